"Answers to the exercises of lesson 07."
import numpy as np, torch
from solutions import right, wrong

# -- 1: ema_step

@wrong(1)
def factors_changed_places(avg, new, decay): return (1 - decay)*avg + decay*new

@wrong(1)
def a_sum_that_grows(avg, new, decay): return avg + (1 - decay)*new

@wrong(1)
def away_from_the_new(avg, new, decay): return avg - (1 - decay)*(new - avg)

@wrong(1)
def the_plain_mean(avg, new, decay): return (avg + new)/2

@wrong(1)
def decay_hard_wired(avg, new, decay): return .999*avg + .001*new

@wrong(1)
def one_number(avg, new, decay): return (decay*avg + (1 - decay)*new).mean()

@right(1)
def in_place(avg, new, decay): return avg.lerp_(new, 1 - decay)

@right(1)
def by_the_difference(avg, new, decay): return avg + (1 - decay)*(new - avg)

@right(1)
def in_numpy(avg, new, decay): return np.average([avg.numpy(), new.numpy()], axis=0, weights=[decay, 1 - decay])

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
