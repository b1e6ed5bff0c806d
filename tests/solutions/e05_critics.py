"Answers to the exercises of lesson 05."
import numpy as np, torch
import torch.nn.functional as F
from torch import nn
from solutions import right, wrong
from srgan_course.critics import PoolCritic, critic_body

# -- 1: critic_params

def _layers(nf): return [3, nf, nf, 2*nf, 2*nf, 4*nf, 4*nf, 8*nf, 8*nf]

@wrong(1)
def a_bias_in_every_convolution(size, nf=64):
    c = _layers(nf)
    return sum(9*a*b + b for a, b in zip(c, c[1:])) + sum(2*b for b in c[2:]) + 8*nf*(size//16)**2*16*nf + 16*nf + 16*nf + 1

@wrong(1)
def forgets_the_norms(size, nf=64):
    c = _layers(nf)
    return sum(9*a*b for a, b in zip(c, c[1:])) + nf + 8*nf*(size//16)**2*16*nf + 16*nf + 16*nf + 1

@wrong(1)
def always_96_pixels(size, nf=64):
    c = _layers(nf)
    return sum(9*a*b for a, b in zip(c, c[1:])) + nf + sum(2*b for b in c[2:]) + 8*nf*36*16*nf + 16*nf + 16*nf + 1

@wrong(1)
def always_1024_neurons(size, nf=64):
    c = _layers(nf)
    return sum(9*a*b for a, b in zip(c, c[1:])) + nf + sum(2*b for b in c[2:]) + 8*nf*(size//16)**2*1024 + 1024 + 1024 + 1

@wrong(1)
def one_number_for_each_channel_of_a_norm(size, nf=64): return multiplied_out(size, nf) - 29*nf

@wrong(1)
def a_norm_in_the_first_layer(size, nf=64): return multiplied_out(size, nf) + 2*nf

@wrong(1)
def no_bias_at_the_end(size, nf=64):
    c = _layers(nf)
    return sum(9*a*b for a, b in zip(c, c[1:])) + nf + sum(2*b for b in c[2:]) + 8*nf*(size//16)**2*16*nf + 16*nf + 16*nf

@right(1)
def multiplied_out(size, nf=64):
    return 27*nf + nf + 9*nf**2*(1 + 2 + 4 + 8 + 16 + 32 + 64) + 2*29*nf + 128*nf**2*(size//16)**2 + 32*nf + 1

@right(1)
def in_numpy(size, nf=64):
    c = np.array(_layers(nf))
    return np.sum(9*c[:-1]*c[1:]) + c[1] + 2*c[2:].sum() + np.int64(c[-1])*(size//16)**2*16*nf + 32*nf + 1

# -- 2: patch_critic

@wrong(2)
class OneAnswerForAll(nn.Module):
    def __init__(self, nf): super().__init__(); self.critic = PoolCritic(nf)
    def forward(self, x): return self.critic(x)[..., None, None].expand(-1, 1, x.shape[2]//16, x.shape[3]//16)

@wrong(2)
def with_a_sigmoid(nf): return nn.Sequential(critic_body(nf), nn.Conv2d(8*nf, 1, 1), nn.Sigmoid())

@wrong(2)
def with_a_relu(nf): return nn.Sequential(critic_body(nf), nn.Conv2d(8*nf, 1, 1), nn.ReLU())

@wrong(2)
def with_a_tanh(nf): return nn.Sequential(critic_body(nf), nn.Conv2d(8*nf, 1, 1), nn.Tanh())

@wrong(2)
def one_halving_short(nf): return nn.Sequential(critic_body(nf)[:-2], nn.Conv2d(4*nf, 1, 1))

@wrong(2)
def a_map_of_features(nf): return critic_body(nf)

@wrong(2)
class MindsTheWholePicture(nn.Module):
    def __init__(self, nf): super().__init__(); self.body, self.head = critic_body(nf), nn.Conv2d(8*nf, 1, 1)
    def forward(self, x): f = self.body(x); return self.head(f - f.mean((2, 3), keepdim=True))

@wrong(2)
def takes_no_notice_of_nf(nf): return nn.Sequential(critic_body(8), nn.Conv2d(64, 1, 1))

@right(2)
class AClass(nn.Module):
    def __init__(self, nf): super().__init__(); self.body, self.head = critic_body(nf), nn.Conv2d(8*nf, 1, 3, padding=1)
    def forward(self, x): return self.head(self.body(x))

@right(2)
def a_lazy_head(nf): return nn.Sequential(critic_body(nf), nn.LazyConv2d(1, 1))

@right(2)
def layers_of_its_own(nf):
    layers, ni = [], 3
    for no in nf, 2*nf, 4*nf, 8*nf: layers += [nn.Conv2d(ni, no, 4, 2, 1), nn.LeakyReLU(.2)]; ni = no
    return nn.Sequential(*layers, nn.Conv2d(ni, 1, 1))

@right(2)
class ALinearLayerForEachPlace(nn.Module):
    def __init__(self, nf): super().__init__(); self.body, self.head = critic_body(nf), nn.Linear(8*nf, 1)
    def forward(self, x): return self.head(self.body(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

# -- 3: occlusion

def _cover(critic, x, k, colour, sign=1., keep=False):
    whole, out = critic(x).item(), torch.zeros(x.shape[2]//k, x.shape[3]//k)
    for i in range(len(out)):
        for j in range(len(out[0])):
            c = x if keep else x.clone()
            c[..., i*k:(i+1)*k, j*k:(j+1)*k] = colour
            out[i, j] = sign*(whole - critic(c).item())
    return out

@wrong(3)
@torch.no_grad()
def covers_the_picture_itself(critic, x, k): return _cover(critic, x, k, x.mean((2, 3), keepdim=True), keep=True)

@wrong(3)
@torch.no_grad()
def covers_with_black(critic, x, k): return _cover(critic, x, k, 0.)

@wrong(3)
@torch.no_grad()
def covers_with_mean_grey(critic, x, k): return _cover(critic, x, k, x.mean())

@wrong(3)
@torch.no_grad()
def falls_of_the_sigmoid(critic, x, k): return _cover(lambda x: critic(x).sigmoid(), x, k, x.mean((2, 3), keepdim=True))

@wrong(3)
@torch.no_grad()
def a_rise_for_a_fall(critic, x, k): return _cover(critic, x, k, x.mean((2, 3), keepdim=True), sign=-1.)

@wrong(3)
@torch.no_grad()
def columns_first(critic, x, k): return _cover(critic, x, k, x.mean((2, 3), keepdim=True)).T

@wrong(3)
@torch.no_grad()
def mean_of_each_square(critic, x, k):
    whole, out = critic(x).item(), torch.zeros(x.shape[2]//k, x.shape[3]//k)
    for i in range(len(out)):
        for j in range(len(out[0])):
            c = x.clone(); s = c[..., i*k:(i+1)*k, j*k:(j+1)*k]; s[:] = s.mean((2, 3), keepdim=True)
            out[i, j] = whole - critic(c).item()
    return out

@right(3)
def puts_it_into_eval_mode(critic, x, k):
    critic.eval()
    with torch.no_grad(): return _cover(critic, x, k, x.mean((2, 3), keepdim=True))

@right(3)
def one_batch_with_masks(critic, x, k):
    h, w = x.shape[2]//k, x.shape[3]//k
    where = F.pad(torch.eye(h*w).reshape(h*w, 1, h, w).repeat_interleave(k, 2).repeat_interleave(k, 3),
                  (0, x.shape[3] - w*k, 0, x.shape[2] - h*k))
    return (critic(x) - critic(torch.lerp(x, x.mean((2, 3), keepdim=True), where)))[:, 0].reshape(h, w)

@right(3)
def an_array(critic, x, k):
    with torch.no_grad(): return _cover(critic, x, k, x.mean((2, 3), keepdim=True)).numpy()
