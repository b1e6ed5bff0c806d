"Answers to the exercises of lesson 07."
import math
import numpy as np, torch
from solutions import right, wrong

# -- 1: steps_to_half

@wrong(1)
def rounded_down(decay): return int(math.log(.5)/math.log(decay))

@wrong(1)
def to_the_nearest(decay): return max(1, round(math.log(.5)/math.log(decay)))

@wrong(1)
def not_whole(decay): return math.log(.5)/math.log(decay)

@wrong(1)
def half_in_a_line(decay): return math.ceil(.5/(1 - decay))

@wrong(1)
def down_to_a_third(decay): return math.ceil(1/(1 - decay))

@wrong(1)
def nearly_the_logarithm(decay): return math.ceil(math.log(2)/(1 - decay))

@wrong(1)
def the_new_in_place_of_the_old(decay): return math.ceil(math.log(.5)/math.log(1 - decay))

@wrong(1)
def less_than_half(decay):
    n, left = 0, 1.
    while left >= .5: n, left = n + 1, left*decay
    return n

@wrong(1)
def one_too_many(decay): return math.ceil(math.log(.5)/math.log(decay)) + 1

@right(1)
def step_by_step(decay):
    n, left = 0, 1.
    while left > .5: n, left = n + 1, left*decay
    return n

@right(1)
def an_average_that_runs(decay):
    avg, n = torch.tensor(1., dtype=torch.float64), 0
    while avg > .5: avg.lerp_(torch.zeros_like(avg), 1 - decay); n += 1
    return torch.tensor(n)

@right(1)
def in_base_2(decay): return np.ceil(-1/np.log2(decay))

# -- 2: verdict

@wrong(2)
def by_d_of_x(d_real, d_fake):
    return 'nothing learnt' if abs(d_real - d_fake) < .02 else 'critic' if d_real > .95 else 'generator' if d_fake > .95 else 'balance'

@wrong(2)
def by_d_of_g_alone(d_real, d_fake): return 'critic' if d_fake < .05 else 'generator' if d_fake > .95 else 'balance'

@wrong(2)
def other_bounds(d_real, d_fake):
    return 'nothing learnt' if abs(d_real - d_fake) < .02 else 'critic' if d_fake < .01 else 'generator' if d_fake > .96 else 'balance'

@wrong(2)
def wants_d_of_x_near_one(d_real, d_fake):
    return 'nothing learnt' if abs(d_real
                                   - d_fake) < .02 else 'critic' if d_fake < .05 and d_real > .9 else 'generator' if d_fake > .95 else 'balance'

@wrong(2)
def no_absolute_difference(d_real, d_fake):
    return 'nothing learnt' if d_real - d_fake < .02 else 'critic' if d_fake < .05 else 'generator' if d_fake > .95 else 'balance'

@wrong(2)
def by_the_sum(d_real, d_fake): return 'critic' if d_real - d_fake > .9 else 'generator' if d_fake > d_real else 'balance'

@right(2)
def with_ifs(d_real, d_fake):
    if -.02 < d_real - d_fake < .02: return 'nothing learnt'
    if d_fake > .95: return 'generator'
    if d_fake < .05: return 'critic'
    return 'balance'

@right(2)
def by_a_table(d_real, d_fake):
    words = np.array(['critic', 'balance', 'generator'])
    return words[np.searchsorted([.05, .95], d_fake)] if not np.isclose(d_real, d_fake, rtol=0, atol=.02) else 'nothing learnt'

# -- 3: moves

def _play(steps, clear, opt_class=torch.optim.Adam, which=lambda i: 1 - i%2):
    ws = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    opt, n = opt_class(ws, lr=.01), 0
    for i in range(steps):
        (ws[i%2]**2).sum().backward()
        rest = ws[which(i)].item()
        opt.step(); clear(opt)
        n += ws[which(i)].item() != rest
    return n

@wrong(3)
def to_none_not_handed_on(steps, to_none): return _play(steps, lambda opt: opt.zero_grad())

@wrong(3)
def always_zeros(steps, to_none): return _play(steps, lambda opt: opt.zero_grad(set_to_none=False))

@wrong(3)
def the_other_way_round(steps, to_none): return _play(steps, lambda opt: opt.zero_grad(set_to_none=not to_none))

@wrong(3)
def counts_the_one_that_learns(steps, to_none): return _play(steps, lambda opt: opt.zero_grad(set_to_none=to_none), which=lambda i: i%2)

@wrong(3)
def without_momentum(steps, to_none): return _play(steps, lambda opt: opt.zero_grad(set_to_none=to_none), torch.optim.SGD)

@wrong(3)
def hard_wired(steps, to_none): return 0 if to_none else 9

@right(3)
def cleared_before_the_step(steps, to_none):
    a, b = (torch.ones(1, requires_grad=True) for _ in range(2))
    opt, n = torch.optim.Adam([a, b], lr=.1), 0
    for i in range(steps):
        learns, rests = (a, b) if i%2 == 0 else (b, a)
        opt.zero_grad(set_to_none=to_none)
        (learns**2).backward()
        before = rests.detach().clone(); opt.step(); n += not torch.equal(before, rests)
    return n

@right(3)
def two_groups(steps, to_none):
    ws = [torch.nn.Linear(1, 1, bias=False) for _ in range(2)]
    for w in ws: torch.nn.init.ones_(w.weight)
    opt = torch.optim.Adam([dict(params=w.parameters()) for w in ws], lr=.01)
    moved = []
    for i in range(steps):
        before = ws[1 - i%2].weight.item()
        ws[i%2].weight.square().sum().backward(); opt.step(); opt.zero_grad(to_none)
        moved.append(ws[1 - i%2].weight.item() != before)
    return torch.tensor(sum(moved))
