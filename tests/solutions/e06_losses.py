"Answers to the exercises of lesson 06."
import math
import numpy as np, torch
import torch.nn.functional as F
from solutions import right, wrong

# -- 1: isotropic_tv

def _steps(x): return x.diff(dim=-1)[..., :-1, :], x.diff(dim=-2)[..., :-1]

@wrong(1)
def across_plus_down(x): return x.diff(dim=-1).abs().mean() + x.diff(dim=-2).abs().mean()

@wrong(1)
def no_slope_at_zero(x): dx, dy = _steps(x); return (dx**2 + dy**2).sqrt().mean()

@wrong(1)
def root_of_the_mean(x): dx, dy = _steps(x); return ((dx**2 + dy**2).mean() + 1e-8).sqrt()

@wrong(1)
def the_largest(x): dx, dy = _steps(x); return (dx**2 + dy**2 + 1e-8).sqrt().max()

@wrong(1)
def the_sum(x): dx, dy = _steps(x); return (dx**2 + dy**2 + 1e-8).sqrt().sum()

@wrong(1)
def length_over_channels(x): dx, dy = _steps(x); return ((dx**2 + dy**2).sum(1) + 1e-8).sqrt().mean()

@wrong(1)
def no_root(x): dx, dy = _steps(x); return (dx**2 + dy**2).mean()

@wrong(1)
def a_number(x): dx, dy = _steps(x); return torch.tensor((dx**2 + dy**2 + 1e-8).sqrt().mean().item(), requires_grad=True)

@right(1)
def with_charbonniers_eps(x): dx, dy = _steps(x); return (dx.square() + dy.square() + 1e-6).sqrt().mean()

@right(1)
def a_guarded_root(x):
    dx, dy = _steps(x); s = dx**2 + dy**2
    return torch.where(s > 0, s.clamp(min=1e-12), torch.full_like(s, 1e-12)).sqrt().mean()

@right(1)
def by_a_convolution(x):
    k = x.new_tensor([[[[-1., 1.], [0., 0.]]], [[[-1., 0.], [1., 0.]]]])
    d = F.conv2d(x.reshape(-1, 1, *x.shape[2:]), k)
    return (d.square().sum(1) + 1e-9).sqrt().mean()

# -- 2: rest

def _h(t): return -sum(p*math.log(p) for p in (t, 1 - t) if p > 0)

@wrong(2)
def of_real_pictures_only(real_label, fake_label): return _h(real_label)

@wrong(2)
def mean_of_the_halves(real_label, fake_label): return (_h(real_label) + _h(fake_label))/2

@wrong(2)
def a_coins_loss(real_label, fake_label): return 2*math.log(2)

@wrong(2)
def log_of_the_label(real_label, fake_label): return -math.log(real_label) - math.log(1 - fake_label)

@wrong(2)
def half_an_entropy(real_label, fake_label): return -sum(p*math.log(p) for p in (real_label, fake_label) if p > 0)

@wrong(2)
def in_bits(real_label, fake_label): return (_h(real_label) + _h(fake_label))/math.log(2)

@wrong(2)
def not_a_number_at_zero(real_label, fake_label):
    t = torch.tensor([real_label, fake_label]); return -(t*t.log() + (1 - t)*(1 - t).log()).sum()

@right(2)
def in_numpy(real_label, fake_label):
    p = np.clip([real_label, 1 - real_label, fake_label, 1 - fake_label], 1e-12, 1)
    return -(p*np.log(p)).sum()

@right(2)
def torchs_own(real_label, fake_label): t = torch.tensor([real_label, fake_label]); return F.binary_cross_entropy(t, t, reduction='sum')

@right(2)
def by_entr(real_label, fake_label):
    t = torch.tensor([real_label, 1 - real_label, fake_label, 1 - fake_label]); return torch.special.entr(t).sum()

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
