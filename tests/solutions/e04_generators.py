"Answers to the exercises of lesson 04."
import numpy as np
from solutions import right, wrong

# -- 1: unshuffle

@wrong(1)
def a_reshape_alone(x, s):
    b, c, h, w = x.shape
    return x.reshape(b, c*s*s, h//s, w//s)

@wrong(1)
def columns_before_rows(x, s):
    b, c, h, w = x.shape
    return x.reshape(b, c, h//s, s, w//s, s).permute(0, 1, 5, 3, 2, 4).reshape(b, c*s*s, h//s, w//s)

@wrong(1)
def place_before_channel(x, s):
    b, c, h, w = x.shape
    return x.reshape(b, c, h//s, s, w//s, s).permute(0, 3, 5, 1, 2, 4).reshape(b, c*s*s, h//s, w//s)

@wrong(1)
def blocks_not_phases(x, s):
    b, c, h, w = x.shape
    return x.reshape(b, c, s, h//s, s, w//s).permute(0, 1, 2, 4, 3, 5).reshape(b, c*s*s, h//s, w//s)

@wrong(1)
def two_only(x, s):
    b, c, h, w = x.shape
    return x.reshape(b, c, h//2, 2, w//2, 2).permute(0, 1, 3, 5, 2, 4).reshape(b, c*4, h//2, w//2)

@right(1)
def strides(x, s): return torch.stack([x[..., i::s, j::s] for i in range(s) for j in range(s)], 2).flatten(1, 2)

@right(1)
def unfolded(x, s):
    b, c, h, w = x.shape
    return F.unfold(x, s, stride=s).reshape(b, c*s*s, h//s, w//s)

@right(1)
def in_numpy(x, s):
    x = np.asarray(x); b, c, h, w = x.shape
    return x.reshape(b, c, h//s, s, w//s, s).transpose(0, 1, 3, 5, 2, 4).reshape(b, c*s*s, h//s, w//s)

# -- 2: even_start

@wrong(2)
@torch.no_grad()
def copies_far_apart(conv, s):
    for p in conv.weight, conv.bias: p.copy_(p[::s*s].repeat(s*s, *[1]*(p.dim() - 1)))

@wrong(2)
@torch.no_grad()
def forgets_the_bias(conv, s): conv.weight.copy_(conv.weight[::s*s].repeat_interleave(s*s, dim=0))

@wrong(2)
@torch.no_grad()
def s_for_s_times_s(conv, s):
    for p in conv.weight, conv.bias: p.copy_(p[::s].repeat_interleave(s, dim=0))

@wrong(2)
@torch.no_grad()
def one_filter_for_all(conv, s):
    for p in conv.weight, conv.bias: p.copy_(p[:1].expand_as(p))

@wrong(2)
@torch.no_grad()
def zeros(conv, s): conv.weight.zero_(); conv.bias.zero_()

@wrong(2)
@torch.no_grad()
def the_mean_of_a_cell(conv, s):
    for p in conv.weight, conv.bias: p.copy_(p.unflatten(0, (-1, s*s)).mean(1).repeat_interleave(s*s, dim=0))

@right(2)
@torch.no_grad()
def a_loop(conv, s):
    for k in range(0, len(conv.weight), s*s):
        for i in range(1, s*s): conv.weight[k+i] = conv.weight[k]; conv.bias[k+i] = conv.bias[k]

@right(2)
@torch.no_grad()
def a_fresh_start(conv, s):
    w = torch.empty_like(conv.weight[::s*s]); nn.init.kaiming_normal_(w)
    conv.weight.copy_(w.repeat_interleave(s*s, dim=0)); conv.bias.zero_()

@right(2)
def another_convolution(conv, s):
    new = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, padding=conv.padding)
    new.weight.data, new.bias.data = (p.data[s*s-1::s*s].repeat_interleave(s*s, dim=0) for p in (conv.weight, conv.bias))
    return new

# -- 3: light_params

@wrong(3)
def forgets_the_biases(nf, n_blocks, scale): return 9*(3*nf + (2*n_blocks + 1)*nf*nf + nf*3*scale**2)

@wrong(3)
def forgets_mid(nf, n_blocks, scale):
    conv = lambda ni, no: ni*no*9 + no
    return conv(3, nf) + 2*n_blocks*conv(nf, nf) + conv(nf, 3*scale**2)

@wrong(3)
def one_tail_channel_a_pixel(nf, n_blocks, scale):
    conv = lambda ni, no: ni*no*9 + no
    return conv(3, nf) + (2*n_blocks + 1)*conv(nf, nf) + conv(nf, 3*scale)

@wrong(3)
def one_bias_a_layer(nf, n_blocks, scale): return 9*(3*nf + (2*n_blocks + 1)*nf*nf + nf*3*scale**2) + 2*n_blocks + 3

@right(3)
def layer_by_layer(nf, n_blocks, scale):
    layers = [(3, nf)] + [(nf, nf)]*(2*n_blocks + 1) + [(nf, 3*scale**2)]
    return np.sum([no*(9*ni + 1) for ni, no in layers])

@right(3)
def multiplied_out(nf, n_blocks, scale): return float((2*n_blocks + 1)*(9*nf**2 + nf) + 28*nf + 3*scale**2*(9*nf + 1))
