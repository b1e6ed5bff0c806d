"Lesson 19: pixel shuffle in the order of torch, 256 steps of a range, two limits of a picture's size."
from solutions import right, wrong

@wrong(1)
def place_first(x, r):
    b, c, h, w = x.shape
    return x.reshape(b, r, r, c//r**2, h, w).transpose(0, 3, 4, 1, 5, 2).reshape(b, c//r**2, h*r, w*r)

@wrong(1)
def no_transpose(x, r):
    b, c, h, w = x.shape
    return x.reshape(b, c//r**2, h*r, w*r)

@wrong(1)
def rows_and_columns_swapped(x, r):
    b, c, h, w = x.shape
    return x.reshape(b, c//r**2, r, r, h, w).transpose(0, 1, 4, 3, 5, 2).reshape(b, c//r**2, h*r, w*r)

@right(1)
def place_by_place(x, r):
    b, c, h, w = x.shape
    y = np.empty((b, c//r**2, h*r, w*r), x.dtype)
    for i in range(r):
        for j in range(r): y[:, :, i::r, j::r] = x[:, i*r + j::r*r]
    return y

@right(1)
def by_torch(x, r): return F.pixel_shuffle(torch.from_numpy(x), r)

@wrong(2)
def cut_off(x, lo, hi):
    step = (hi - lo)/255
    return lo + np.floor((np.clip(x, lo, hi) - lo)/step)*step

@wrong(2)
def runs_over(x, lo, hi):
    step = (hi - lo)/255
    return lo + np.round((x - lo)/step)*step

@wrong(2)
def in_256(x, lo, hi):
    step = (hi - lo)/256
    return lo + np.round((np.clip(x, lo, hi) - lo)/step)*step

@wrong(2)
def as_bytes(x, lo, hi): return np.round((np.clip(x, lo, hi) - lo)/(hi - lo)*255)

@right(2)
def nearest_of_a_list(x, lo, hi):
    values = np.linspace(lo, hi, 256)
    return values[np.abs(np.asarray(x)[..., None] - values).argmin(-1)]

@right(2)
def clipped_afterwards(x, lo, hi): return np.clip(np.rint((x - lo)*255/(hi - lo)), 0, 255)*(hi - lo)/255 + lo

@wrong(3)
def in_alone(w, h, scale, limits): return w*h <= limits.megapixels*1e6

@wrong(3)
def scale_once(w, h, scale, limits): return w*h <= limits.megapixels*1e6 and w*h*scale <= limits.out_megapixels*1e6

@wrong(3)
def below(w, h, scale, limits): return w*h < min(limits.megapixels, limits.out_megapixels/scale**2)*1e6

@wrong(3)
def out_alone(w, h, scale, limits): return w*h*scale**2 <= limits.out_megapixels*1e6

@right(3)
def smaller_of_two(w, h, scale, limits): return w*h/1e6 <= min(limits.megapixels, limits.out_megapixels/scale**2)

@right(3)
def refused_first(w, h, scale, limits):
    if w*h > limits.megapixels*1e6: return False
    return not w*scale*h*scale > limits.out_megapixels*1e6
