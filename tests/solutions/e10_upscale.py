"Answers to the exercises of lesson 10."
import math
import numpy as np, torch
from solutions import right, wrong

# ---- 1: radius(kernels)

@wrong(1)
def the_whole_width(kernels): return sum(k - 1 for k in kernels)
@wrong(1)
def half_of_the_sum(kernels): return sum(kernels)//2
@wrong(1)
def the_largest_alone(kernels): return max(kernels)//2
@wrong(1)
def one_a_layer(kernels): return len(kernels)
@wrong(1)
def rounded_up(kernels): return sum((k + 1)//2 for k in kernels)
@wrong(1)
def the_whole_field(kernels): return 1 + sum(k - 1 for k in kernels)
@right(1)
def with_numpy(kernels): return np.sum(np.array(kernels)//2)
@right(1)
def from_the_field(kernels):
    field = 1
    for k in kernels: field += k - 1
    return field/2 - .5
@right(1)
def as_a_tensor(kernels): return (torch.tensor(kernels) - 1).sum()/2

# ---- 2: work(h, w, tile, overlap)

@wrong(2)
def as_if_there_were_no_border(h, w, tile, overlap): return ((tile + 2*overlap)/tile)**2
@wrong(2)
def slivers(h, w, tile, overlap):
    read = lambda n: sum(min(i + tile + overlap, n) - max(i - overlap, 0) for i in range(0, n, tile))
    return read(h)*read(w)/(h*w)
@wrong(2)
def overlap_on_one_side(h, w, tile, overlap):
    read = [grow(box, overlap, h, w) for box in tile_boxes(h, w, tile)]
    return sum((b - t)*(r - l) for (t, b, l, _), (*_, r) in zip(read, tile_boxes(h, w, tile)))/(h*w)
@wrong(2)
def not_cut_at_the_border(h, w, tile, overlap):
    return sum((b - t + 2*overlap)*(r - l + 2*overlap) for t, b, l, r in tile_boxes(h, w, tile))/(h*w)
@wrong(2)
def pixels_and_not_a_share(h, w, tile, overlap):
    return sum((b - t)*(r - l) for t, b, l, r in (grow(box, overlap, h, w) for box in tile_boxes(h, w, tile)))
@right(2)
def in_single_precision(h, w, tile, overlap):
    b = np.array([grow(box, overlap, h, w) for box in tile_boxes(h, w, tile)], np.float32)
    return ((b[:, 1] - b[:, 0])*(b[:, 3] - b[:, 2])).sum()/np.float32(h*w)
@right(2)
def as_a_tensor(h, w, tile, overlap):
    t, b, l, r = torch.tensor([grow(box, overlap, h, w) for box in tile_boxes(h, w, tile)]).T
    return ((b - t)*(r - l)).sum()/(h*w)
@right(2)
def rows_times_columns(h, w, tile, overlap):
    def read(n):
        at = edges(n, tile)
        return sum(min(b + overlap, n) - max(a - overlap, 0) for a, b in zip(at, at[1:]))/n
    return read(h)*read(w)

# ---- 3: over(colour, alpha, ground)

@wrong(3)
def right_for_premultiplied_colours_only(colour, alpha, ground): return colour + ground*(1 - alpha)
@wrong(3)
def the_other_way_round(colour, alpha, ground): return colour*(1 - alpha) + ground*alpha
@wrong(3)
def all_or_nothing(colour, alpha, ground): return torch.where(alpha > .5, colour, ground)
@wrong(3)
def the_mean_alpha(colour, alpha, ground): return torch.lerp(ground, colour, alpha.mean())
@wrong(3)
def the_ground_is_not_weighted(colour, alpha, ground): return (colour*alpha + ground).clamp(0, 1)
@wrong(3)
def alpha_counts_twice(colour, alpha, ground): return colour*alpha*alpha + ground*(1 - alpha)
@right(3)
def in_place(colour, alpha, ground): return colour.sub_(ground).mul_(alpha).add_(ground)
@right(3)
def with_lerp(colour, alpha, ground): return torch.lerp(ground, colour, alpha)
@right(3)
def in_numpy(colour, alpha, ground):
    c, a, g = (x.double().numpy() for x in (colour, alpha, ground))
    return a*c + (1 - a)*g
