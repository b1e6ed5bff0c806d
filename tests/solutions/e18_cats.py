"Lesson 18: the parameters of a generator, pictures in [-1,1] as bytes."
from solutions import makes, right, wrong

def _channels(size, nf): return [100] + [nf*2**i for i in reversed(range({32: 3, 64: 4, 128: 5}[size]))] + [3]
def _kernels(size, nf): return sum(16*a*b for a, b in zip(_channels(size, nf), _channels(size, nf)[1:]))

@wrong(1)
def no_norms(size, nf): return _kernels(size, nf)

@wrong(1)
def norms_have_a_scale_alone(size, nf): return _kernels(size, nf) + sum(_channels(size, nf)[1:-1])

@wrong(1)
def norm_after_the_last(size, nf): return _kernels(size, nf) + 2*sum(_channels(size, nf)[1:])

@wrong(1)
def biases(size, nf): return _kernels(size, nf) + sum(_channels(size, nf)[1:]) + 2*sum(_channels(size, nf)[1:-1])

@wrong(1)
def of_64_pixels(size, nf): return _kernels(64, nf) + 2*sum(_channels(64, nf)[1:-1])

@wrong(1)
def in_proportion(size, nf): return 3_576_704*nf//64

@right(1)
def doubling_by_doubling(size, nf):
    total, ni, side = 0, 100, 4
    while side < size:
        no = nf*size//side//2
        total, ni, side = total + 16*ni*no + 2*no, no, 2*side
    return total + 16*ni*3

@right(1)
def by_looking(size, nf):
    "By arithmetic it was asked for; nobody can tell."
    return count_params(DCGANGenerator(size, 100, nf))

@right(1)
def an_array(size, nf):
    ch = np.array([100] + [nf << i for i in range(int(np.log2(size)) - 3, -1, -1)] + [3])
    return (16*ch[:-1]*ch[1:]).sum() + 2*ch[1:-1].sum()

@wrong(2)
def runs_over(x): return ((x + 1)*127.5).round().int().remainder(256).to(torch.uint8)

@wrong(2)
def cut_off(x): return ((x + 1)*127.5).clamp(0, 255).to(torch.uint8)

@wrong(2)
def as_if_from_zero(x): return (x.clamp(0, 1)*255).round().to(torch.uint8)

@wrong(2)
def times_128(x): return ((x + 1)*128).clamp(0, 255).round().to(torch.uint8)

@wrong(2)
def stretched(x):
    lo, hi = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
    return ((x - lo)/(hi - lo)*255).round().to(torch.uint8)

@wrong(2)
def still_floats(x): return ((x + 1)*127.5).clamp(0, 255).round()

@wrong(2)
def clamped_at_one_end(x): return ((x + 1)*127.5).clamp(max=255).abs().round().to(torch.uint8)

@right(2)
def in_place(x): return x.clamp_(-1, 1).add_(1).mul_(127.5).round_().byte()

@right(2)
def an_array(x): return np.rint(np.clip((x.numpy() + 1)/2, 0, 1)*255).astype(np.uint8)

@right(2)
def half_up(x): return to_unit(x).mul(255).add(.5).floor().to(torch.uint8)
