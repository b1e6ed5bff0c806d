"Answers to the exercises of lesson 06."
import torch
import torch.nn.functional as F
from solutions import right, wrong

# -- 1: weight_for

def _grad(f, output, target):
    x = output.detach().clone().requires_grad_()
    return torch.autograd.grad(f(x, target), x)[0]

@wrong(1)
def values_alike(loss, reference, output, target): return (reference(output, target)/loss(output, target)).item()

@wrong(1)
def upside_down(loss, reference, output, target):
    return (_grad(loss, output, target).norm()/_grad(reference, output, target).norm()).item()

@wrong(1)
def mean_sizes(loss, reference, output, target):
    return (_grad(reference, output, target).abs().mean()/_grad(loss, output, target).abs().mean()).item()

@wrong(1)
def the_largest_pixel(loss, reference, output, target):
    return (_grad(reference, output, target).abs().max()/_grad(loss, output, target).abs().max()).item()

@wrong(1)
def no_root(loss, reference, output, target):
    return (_grad(reference, output, target).square().sum()/_grad(loss, output, target).square().sum()).item()

@wrong(1)
def gradient_at_the_target(loss, reference, output, target):
    x = target.clone().requires_grad_()
    a, b = (torch.autograd.grad(f(output, x), x, allow_unused=True)[0] for f in (loss, reference))
    return 1. if a is None or b is None else (b.norm()/a.norm()).item()

@right(1)
def by_backward(loss, reference, output, target):
    lengths = []
    for f in loss, reference:
        x = output.detach().clone().requires_grad_(); f(x, target).backward(); lengths.append(x.grad.square().sum().sqrt())
    return lengths[1]/lengths[0]

@right(1)
def by_backward_on_a_clone(loss, reference, output, target):
    lengths = []
    for f in loss, reference: x = output.clone().requires_grad_(); f(x, target).backward(); lengths.append(x.grad.norm().item())
    return lengths[1]/lengths[0]

@right(1)
def by_func(loss, reference, output, target):
    length = lambda f: torch.linalg.vector_norm(torch.func.grad(lambda x: f(x, target))(output))
    return (length(reference)/length(loss)).item()

# -- 2: isotropic_tv

def _steps(x): return x.diff(dim=-1)[..., :-1, :], x.diff(dim=-2)[..., :-1]

@wrong(2)
def across_plus_down(x): return x.diff(dim=-1).abs().mean() + x.diff(dim=-2).abs().mean()

@wrong(2)
def no_slope_at_zero(x): dx, dy = _steps(x); return (dx**2 + dy**2).sqrt().mean()

@wrong(2)
def root_of_the_mean(x): dx, dy = _steps(x); return ((dx**2 + dy**2).mean() + 1e-8).sqrt()

@wrong(2)
def the_largest(x): dx, dy = _steps(x); return (dx**2 + dy**2 + 1e-8).sqrt().max()

@wrong(2)
def the_sum(x): dx, dy = _steps(x); return (dx**2 + dy**2 + 1e-8).sqrt().sum()

@wrong(2)
def length_over_channels(x): dx, dy = _steps(x); return ((dx**2 + dy**2).sum(1) + 1e-8).sqrt().mean()

@wrong(2)
def no_root(x): dx, dy = _steps(x); return (dx**2 + dy**2).mean()

@wrong(2)
def a_number(x): dx, dy = _steps(x); return torch.tensor((dx**2 + dy**2 + 1e-8).sqrt().mean().item(), requires_grad=True)

@right(2)
def with_charbonniers_eps(x): dx, dy = _steps(x); return (dx.square() + dy.square() + 1e-6).sqrt().mean()

@right(2)
def a_guarded_root(x):
    dx, dy = _steps(x); s = dx**2 + dy**2
    return torch.where(s > 0, s.clamp(min=1e-12), torch.full_like(s, 1e-12)).sqrt().mean()

@right(2)
def by_a_convolution(x):
    k = x.new_tensor([[[[-1., 1.], [0., 0.]]], [[[-1., 0.], [1., 0.]]]])
    d = F.conv2d(x.reshape(-1, 1, *x.shape[2:]), k)
    return (d.square().sum(1) + 1e-9).sqrt().mean()

# -- 3: relativistic_gen

def _bce(x, t): return F.binary_cross_entropy_with_logits(x, torch.full_like(x, t))

@wrong(3)
def generated_half_only(fake_pred, real_pred): return _bce(fake_pred - real_pred.mean(), 1.)

@wrong(3)
def the_critics_loss(fake_pred, real_pred): return _bce(real_pred - fake_pred.mean(), 1.) + _bce(fake_pred - real_pred.mean(), 0.)

@wrong(3)
def rebuilt(fake_pred, real_pred):
    loss = _bce(fake_pred - real_pred.mean(), 1.) + _bce(real_pred - fake_pred.mean(), 0.)
    return torch.tensor(loss.item())

@wrong(3)
def rebuilt_with_a_gradient_of_its_own(fake_pred, real_pred):
    loss = _bce(fake_pred - real_pred.mean(), 1.) + _bce(real_pred - fake_pred.mean(), 0.)
    return torch.tensor(loss.item(), requires_grad=True)

@wrong(3)
def the_mean_is_detached(fake_pred, real_pred):
    return _bce(fake_pred - real_pred.mean(), 1.) + _bce(real_pred - fake_pred.mean().detach(), 0.)

@wrong(3)
def mean_of_the_halves(fake_pred, real_pred): return (_bce(fake_pred - real_pred.mean(), 1.) + _bce(real_pred - fake_pred.mean(), 0.))/2

@wrong(3)
def from_probabilities(fake_pred, real_pred):
    return -(fake_pred - real_pred.mean()).sigmoid().log().mean() - (1 - (real_pred - fake_pred.mean()).sigmoid()).log().mean()

@wrong(3)
def from_probabilities_by_torch(fake_pred, real_pred):
    first, second = (fake_pred - real_pred.mean()).sigmoid(), (real_pred - fake_pred.mean()).sigmoid()
    return F.binary_cross_entropy(first, torch.ones_like(first)) + F.binary_cross_entropy(second, torch.zeros_like(second))

@wrong(3)
def with_a_floor_under_the_logarithm(fake_pred, real_pred):
    log = lambda p: (p + 1e-8).log().mean()
    return -log((fake_pred - real_pred.mean()).sigmoid()) - log(1 - (real_pred - fake_pred.mean()).sigmoid())

@right(3)
def by_softplus(fake_pred, real_pred):
    return F.softplus(real_pred.mean() - fake_pred).mean() + F.softplus(real_pred - fake_pred.mean()).mean()

@right(3)
def by_logsigmoid(fake_pred, real_pred):
    return -F.logsigmoid(fake_pred - real_pred.mean()).mean() - F.logsigmoid(fake_pred.mean() - real_pred).mean()

@right(3)
class AsAModule(torch.nn.Module):
    def __new__(cls, fake_pred, real_pred):
        bce = torch.nn.BCEWithLogitsLoss()
        f, r = fake_pred - real_pred.mean(), real_pred - fake_pred.mean()
        return bce(f, torch.ones_like(f)) + bce(r, torch.zeros_like(r))
