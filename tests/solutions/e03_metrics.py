"Answers to the exercises of lesson 03: PSNR by the protocol, the best PSNR over shifts."
import math
import numpy as np, torch
from PIL import Image
from solutions import right, wrong

W = np.array([65.481, 128.553, 24.966])/255

def _inside(x, crop): return x[crop:x.shape[0] - crop, crop:x.shape[1] - crop]
def _db(d, peak=255):
    with np.errstate(divide='ignore'): return 10*np.log10(peak**2/np.mean(d**2))

# 1: PSNR on Y

@wrong(1)
def bytes_go_round(sr, hr, crop): return _db(_inside((sr - hr) @ W, crop))

@wrong(1)
def int16_weights(sr, hr, crop):
    y = lambda a: (66*a[..., 0].astype(np.int16) + 129*a[..., 1].astype(np.int16) + 25*a[..., 2].astype(np.int16)) >> 8
    return _db(_inside((y(sr) - y(hr)).astype(float), crop))

@wrong(1)
def int16_squares(sr, hr, crop):
    d = _inside(np.rint(sr @ W).astype(np.int16) - np.rint(hr @ W).astype(np.int16), crop)
    return _db(d)

@wrong(1)
def rgb(sr, hr, crop): return _db(_inside(sr.astype(float) - hr, crop))

@wrong(1)
def whole_range(sr, hr, crop): return _db(_inside((sr.astype(float) - hr) @ np.array([.299, .587, .114]), crop))

@wrong(1)
def plain_mean_of_colours(sr, hr, crop): return _db(_inside((sr.astype(float) - hr).mean(-1), crop)*219/255)

@wrong(1)
def nothing_cropped(sr, hr, crop): return _db((sr.astype(float) - hr) @ W)

@wrong(1)
def crop_of_0_leaves_nothing(sr, hr, crop): return _db(((sr.astype(float) - hr) @ W)[crop:-crop, crop:-crop])

@wrong(1)
def two_borders_only(sr, hr, crop): return _db(((sr.astype(float) - hr) @ W)[crop:, crop:])

@wrong(1)
def peak_of_219(sr, hr, crop): return _db(_inside((sr.astype(float) - hr) @ W, crop), 219)

@wrong(1)
def never_infinite(sr, hr, crop): return -10*np.log10((_inside((sr.astype(float) - hr) @ W, crop)**2).mean()/255**2 + 1e-8)

@wrong(1)
def whole_numbers_as_in_matlab(sr, hr, crop): return _db(_inside(np.rint(sr @ W) - np.rint(hr @ W), crop))

@right(1)
def luminances_first(sr, hr, crop):
    y = lambda a: 16 + a[..., 0]*W[0] + a[..., 1]*W[1] + a[..., 2]*W[2]
    mse = ((_inside(y(sr), crop) - _inside(y(hr), crop))**2).mean()
    return math.inf if mse == 0 else 20*math.log10(255) - 10*math.log10(mse)

@right(1)
def int16_differences(sr, hr, crop): return _db(_inside((sr.astype(np.int16) - hr) @ W, crop))

@right(1)
def by_the_library(sr, hr, crop): return psnr_y(Image.fromarray(sr), Image.fromarray(hr), crop)

@right(1)
def in_torch(sr, hr, crop):
    y = lambda a: torch.from_numpy(a).float() @ torch.tensor(W).float()
    d = y(sr) - y(hr)
    return -10*torch.log10((d[crop:len(d) - crop, crop:d.shape[1] - crop]/255).square().mean())

@right(1)
def pixel_by_pixel(sr, hr, crop):
    h, w = sr.shape[:2]
    e = [sum(k*(float(p) - float(q)) for k, p, q in zip(W, sr[i, j], hr[i, j]))**2 for i in range(crop, h - crop)
         for j in range(crop, w - crop)]
    return 10*math.log10(255**2*len(e)/sum(e)) if sum(e) else math.inf

# 2: the best shift

@wrong(2)
def comes_back_on_the_other_side(sr, hr, reach):
    r = range(-reach, reach + 1)
    return max(psnr_y(sr.roll((i, j), (-2, -1)), hr, 0) for i in r for j in r)

@wrong(2)
def forwards_only(sr, hr, reach):
    r = range(reach + 1)
    return max(psnr_y(sr.roll((i, j), (-2, -1)), hr, reach) for i in r for j in r)

@wrong(2)
def one_step_short(sr, hr, reach):
    r = range(-reach, reach) if reach else [0]
    return max(psnr_y(sr.roll((i, j), (-2, -1)), hr, reach) for i in r for j in r)

@wrong(2)
def one_axis_at_a_time(sr, hr, reach):
    r = range(-reach, reach + 1)
    return max(max(psnr_y(sr.roll(i, d), hr, reach) for i in r) for d in (-2, -1))

@wrong(2)
def diagonals_only(sr, hr, reach): return max(psnr_y(sr.roll((i, i), (-2, -1)), hr, reach) for i in range(-reach, reach + 1))

@wrong(2)
def the_largest_shift_only(sr, hr, reach):
    return max(psnr_y(sr.roll((i, j), (-2, -1)), hr, reach) for i in {-reach, reach} for j in {-reach, reach})

@wrong(2)
def on_rgb(sr, hr, reach):
    r = range(-reach, reach + 1)
    return max(psnr_rgb(sr.roll((i, j), (-2, -1)), hr, reach) for i in r for j in r)

@wrong(2)
def reach_of_3(sr, hr, reach):
    r = range(-3, 4)
    return max(psnr_y(sr.roll((i, j), (-2, -1)), hr, 3) for i in r for j in r)

@right(2)
def by_windows(sr, hr, reach):
    h, w, best = *hr.shape[-2:], -math.inf
    inside = hr[:, reach:h - reach, reach:w - reach]
    for i in range(2*reach + 1):
        for j in range(2*reach + 1): best = max(best, psnr_y(sr[:, i:i + h - 2*reach, j:j + w - 2*reach], inside, 0))
    return best

@right(2)
def a_batch_of_shifts(sr, hr, reach):
    r = range(-reach, reach + 1)
    all_of_them = torch.stack([torch.roll(sr, (i, j), (1, 2)) for i in r for j in r])
    return psnr_y(all_of_them, hr.expand(len(all_of_them), -1, -1, -1), reach).max()
