"Answers to the exercises of lesson 07."
import torch
from solutions import right, wrong

# -- 1: moves

def _play(steps, clear, opt_class=torch.optim.Adam, which=lambda i: 1 - i%2):
    ws = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    opt, n = opt_class(ws, lr=.01), 0
    for i in range(steps):
        (ws[i%2]**2).sum().backward()
        rest = ws[which(i)].item()
        opt.step(); clear(opt)
        n += ws[which(i)].item() != rest
    return n

@wrong(1)
def to_none_not_handed_on(steps, to_none): return _play(steps, lambda opt: opt.zero_grad())

@wrong(1)
def always_zeros(steps, to_none): return _play(steps, lambda opt: opt.zero_grad(set_to_none=False))

@wrong(1)
def the_other_way_round(steps, to_none): return _play(steps, lambda opt: opt.zero_grad(set_to_none=not to_none))

@wrong(1)
def counts_the_one_that_learns(steps, to_none): return _play(steps, lambda opt: opt.zero_grad(set_to_none=to_none), which=lambda i: i%2)

@wrong(1)
def without_momentum(steps, to_none): return _play(steps, lambda opt: opt.zero_grad(set_to_none=to_none), torch.optim.SGD)

@wrong(1)
def hard_wired(steps, to_none): return 0 if to_none else 9

@right(1)
def cleared_before_the_step(steps, to_none):
    a, b = (torch.ones(1, requires_grad=True) for _ in range(2))
    opt, n = torch.optim.Adam([a, b], lr=.1), 0
    for i in range(steps):
        learns, rests = (a, b) if i%2 == 0 else (b, a)
        opt.zero_grad(set_to_none=to_none)
        (learns**2).backward()
        before = rests.detach().clone(); opt.step(); n += not torch.equal(before, rests)
    return n

@right(1)
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

# -- 2: push

def _grad(critic, x, sign=-1): return torch.autograd.grad(sign*critic(x).mean(), x)[0]

@wrong(2)
def leaves_gradients(critic, fake):
    x = fake.clone().requires_grad_()
    (-critic(x).mean()).backward()
    return x.grad

@wrong(2)
def moves_the_averages(critic, fake): return _grad(critic, fake.clone().requires_grad_())

@wrong(2)
def puts_back_the_mean_alone(critic, fake):
    was = critic[1].running_mean.clone()
    g = _grad(critic, fake.clone().requires_grad_())
    critic[1].running_mean.copy_(was)
    return g

@wrong(2)
def judged_in_eval(critic, fake):
    critic.eval()
    g = _grad(critic, fake.clone().requires_grad_())
    critic.train()
    return g

@wrong(2)
def judged_in_training_mode(critic, fake):
    mode = critic.training
    critic.train()
    with resting(critic): g = _grad(critic, fake.clone().requires_grad_())
    critic.train(mode)
    return g

@wrong(2)
def towards_the_score(critic, fake):
    from copy import deepcopy
    return _grad(deepcopy(critic), fake.clone().requires_grad_(), 1)

@wrong(2)
def unfreezes(critic, fake):
    from copy import deepcopy
    g = _grad(deepcopy(critic), fake.clone().requires_grad_())
    critic.requires_grad_(True)
    return g

@right(2)
def with_norms_that_do_not_move(critic, fake):
    norms = [m for m in critic.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    was = [m.momentum for m in norms]
    for m in norms: m.momentum = 0.
    g = _grad(critic, fake.clone().requires_grad_())
    for m, v in zip(norms, was): m.momentum = v
    return g

@right(2)
def on_a_copy(critic, fake):
    from copy import deepcopy
    return _grad(deepcopy(critic), fake.clone().requires_grad_())

@right(2)
def by_hand(critic, fake):
    bns = [m for m in critic.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    x = fake.clone().requires_grad_()
    for m in bns: m.track_running_stats = False
    g = _grad(critic, x)
    for m in bns: m.track_running_stats = True
    return g
