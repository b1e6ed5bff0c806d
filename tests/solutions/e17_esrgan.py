"Answers to the exercises of lesson 17."
import copy
import numpy as np, torch, torch.nn.functional as F
from srgan_course.esrgan import RRDB
from solutions import right, wrong

# ---- 1: rrdb_params(nf, gc)

@wrong(1)
def without_biases(nf, gc): return 3*sum(9*(nf + i*gc)*(gc if i < 4 else nf) for i in range(5))
@wrong(1)
def one_dense_block(nf, gc): return sum((9*(nf + i*gc) + 1)*(gc if i < 4 else nf) for i in range(5))
@wrong(1)
def the_last_adds_gc_too(nf, gc): return 3*sum((9*(nf + i*gc) + 1)*gc for i in range(5))
@wrong(1)
def counted_from_one(nf, gc): return 3*sum((9*(nf + i*gc) + 1)*(gc if i < 5 else nf) for i in range(1, 6))
@wrong(1)
def one_bias_a_convolution(nf, gc): return 3*sum(9*(nf + i*gc)*(gc if i < 4 else nf) + 1 for i in range(5))
@right(1)
def a_formula(nf, gc): return 3*(9*(4*nf*gc + 6*gc*gc + nf*(nf + 4*gc)) + 4*gc + nf)
@right(1)
def a_loop_in_numpy(nf, gc):
    ni, no = nf + gc*np.arange(5), np.array([gc]*4 + [nf])
    return (3*(9*ni*no + no)).sum()
@right(1)
def by_building_one_without_memory(nf, gc):
    with torch.device('meta'): return sum(p.numel() for p in RRDB(nf, gc).parameters())

# ---- 2: relativistic_hinge(fake, real)

@wrong(2)
def the_second_half_is_lost(fake, real): return F.relu(1 - (fake - real.mean())).mean()
@wrong(2)
def the_critics_loss(fake, real): return F.relu(1 - (real - fake.mean())).mean() + F.relu(1 + (fake - real.mean())).mean()
@wrong(2)
def the_mean_of_the_halves(fake, real): return (F.relu(1 - (fake - real.mean())).mean() + F.relu(1 + (real - fake.mean())).mean())/2
@wrong(2)
def no_bottom(fake, real): return (1 - (fake - real.mean())).mean() + (1 + (real - fake.mean())).mean()
@wrong(2)
def summed(fake, real): return F.relu(1 - (fake - real.mean())).sum() + F.relu(1 + (real - fake.mean())).sum()
@wrong(2)
def means_held_fast(fake, real): return F.relu(1 - (fake - real.mean())).mean() + F.relu(1 + (real - fake.mean().detach())).mean()
@wrong(2)
def without_gradient(fake, real):
    return torch.tensor((F.relu(1 - (fake - real.mean())).mean() + F.relu(1 + (real - fake.mean())).mean()).item())
@wrong(2)
def the_first_half_twice(fake, real): return 2*F.relu(1 - (fake - real.mean())).mean()
@wrong(2)
def the_first_half_is_lost(fake, real): return F.relu(1 + (real - fake.mean())).mean()
@wrong(2)
def the_second_half_twice(fake, real): return 2*F.relu(1 + (real - fake.mean())).mean()
@wrong(2)
def the_hinge_of_the_means(fake, real): return 2*F.relu(1 - (fake.mean() - real.mean()))
@wrong(2)
def one_mean_over_all(fake, real): return 2*F.relu(torch.cat([1 - (fake - real.mean()), 1 + (real - fake.mean())])).mean()
@wrong(2)
def one_hinge_over_the_sum(fake, real): return F.relu((1 - (fake - real.mean())).mean() + (1 + (real - fake.mean())).mean())
@wrong(2)
def a_float(fake, real): return (F.relu(1 - (fake - real.mean())).mean() + F.relu(1 + (real - fake.mean())).mean()).item()
@right(2)
def with_clamp(fake, real): return (1 - fake + real.mean()).clamp(min=0).mean() + (1 + real - fake.mean()).clamp_min(0).mean()
@right(2)
def picture_by_picture(fake, real):
    first = sum(torch.clamp(1 - (f - real.sum()/len(real)), min=0) for f in fake)/len(fake)
    return first + sum(torch.clamp(1 + (r - fake.sum()/len(fake)), min=0) for r in real)/len(real)
@right(2)
def with_maximum(fake, real):
    zero = torch.zeros(())
    return torch.maximum(1 - (fake - real.mean()), zero).mean() + torch.maximum(1 + (real - fake.mean()), zero).mean()
@right(2)
def the_modules_own(fake, real): return RelativisticLoss('hinge').gen(fake, real)

# ---- 3: between_states(a, b, t)

@wrong(3)
def a_half_batch(a, b, t): return {k: (1 - t)*v + t*b[k] for k, v in a.items()}
@wrong(3)
def the_second_networks_count(a, b, t): return {k: torch.lerp(v, b[k], t) if v.is_floating_point() else b[k] for k, v in a.items()}
@wrong(3)
def a_rounded_count(a, b, t): return {k: ((1 - t)*v + t*b[k]).to(v.dtype) for k, v in a.items()}
@wrong(3)
def the_other_way_round(a, b, t): return {k: torch.lerp(b[k], v, t) if v.is_floating_point() else v for k, v in a.items()}
@wrong(3)
def statistics_are_forgotten(a, b, t): return {k: torch.lerp(v, b[k], t) if k.endswith(('weight', 'bias')) else v for k, v in a.items()}
@wrong(3)
def written_over_the_first(a, b, t):
    for k, v in a.items():
        if v.is_floating_point(): v.lerp_(b[k], t)
    return a
@wrong(3)
def counts_left_out(a, b, t): return {k: torch.lerp(v, b[k], t) for k, v in a.items() if v.is_floating_point()}
@right(3)
def by_hand(a, b, t): return {k: v + t*(b[k] - v) if v.dtype.is_floating_point else v.clone() for k, v in a.items()}
@right(3)
def in_a_copy(a, b, t):
    out = copy.deepcopy(a)
    for k in out:
        if out[k].is_floating_point(): out[k].mul_(1 - t).add_(b[k], alpha=t)
    return out
@right(3)
def skips_counts_by_name(a, b, t): return type(a)((k, v if 'num_batches' in k else v*(1 - t) + b[k]*t) for k, v in a.items())
