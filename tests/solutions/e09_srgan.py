"Answers to the exercises of lesson 09."
from collections import deque
import numpy as np, torch, torch.nn.functional as F
from PIL import Image, ImageChops, ImageStat
from solutions import right, wrong

# ---- 1: misfit(sr, lr, scale)

@wrong(1)
def the_large_pictures_are_compared(sr, lr, scale):
    return np.abs(np.asarray(sr, float) - np.asarray(lr.resize(sr.size, Image.Resampling.BICUBIC), float)).mean()
@wrong(1)
def bytes_wrap_around(sr, lr, scale): return np.abs(np.asarray(downscale(sr, scale)) - np.asarray(lr)).mean()
@wrong(1)
def signs_cancel(sr, lr, scale): return abs((np.asarray(downscale(sr, scale), float) - np.asarray(lr, float)).mean())
@wrong(1)
def root_of_the_mean_square(sr, lr, scale): return ((np.asarray(downscale(sr, scale), float) - np.asarray(lr, float))**2).mean()**.5
@wrong(1)
def every_nth_pixel(sr, lr, scale): return np.abs(np.asarray(sr, float)[::scale, ::scale] - np.asarray(lr, float)).mean()
@wrong(1)
def a_bicubic_that_leaps_over_pixels(sr, lr, scale):
    return 255*(F.interpolate(to_tensor(sr)[None], size=lr.size[::-1], mode='bicubic').clamp(0, 1)[0] - to_tensor(lr)).abs().mean().item()
@wrong(1)
def of_one_and_not_of_255(sr, lr, scale): return (to_tensor(downscale(sr, scale)) - to_tensor(lr)).abs().mean().item()
@right(1)
def with_tensors(sr, lr, scale): return 255*(to_tensor(downscale(sr, scale)) - to_tensor(lr)).abs().mean()
@right(1)
def with_pillow(sr, lr, scale): return sum(ImageStat.Stat(ImageChops.difference(downscale(sr, scale), lr)).mean)/3
@right(1)
def in_whole_numbers(sr, lr, scale):
    a, b = (np.asarray(im).astype(np.int32).ravel() for im in (downscale(sr, scale), lr))
    return sum(abs(int(p) - int(q)) for p, q in zip(a, b))/len(a)

# ---- 2: lost_at(history)

@wrong(2)
def one_odd_batch_rings_it(history):
    bad = history.step[history.d_fake < .05]
    return bad.iloc[0] if len(bad) else None
@wrong(2)
def windows_of_2(history):
    h = history.dropna(subset='d_fake'); bad = h.step[h.d_fake.rolling(2).mean() < .05]
    return int(bad.iloc[0]) if len(bad) else None
@wrong(2)
def windows_of_10(history):
    h = history.dropna(subset='d_fake'); bad = h.step[h.d_fake.rolling(10).mean() < .05]
    return int(bad.iloc[0]) if len(bad) else None
@wrong(2)
def a_part_of_a_window_is_enough(history):
    h = history.dropna(subset='d_fake'); bad = h.step[h.d_fake.rolling(20, min_periods=1).mean() < .05]
    return int(bad.iloc[0]) if len(bad) else None
@wrong(2)
def over_the_rows_of_validation(history):
    bad = history.step[history.d_fake.rolling(20, min_periods=15).mean() < .05]
    return int(bad.iloc[0]) if len(bad) else None
@wrong(2)
def the_row_and_not_the_step(history):
    h = history.dropna(subset='d_fake').reset_index(drop=True); bad = h.index[h.d_fake.rolling(20).mean() < .05]
    return int(bad[0]) if len(bad) else None
@wrong(2)
def by_the_loss(history):
    h = history.dropna(subset='crit_loss'); bad = h.step[h.crit_loss.rolling(20).mean() < .55]
    return int(bad.iloc[0]) if len(bad) else None
@wrong(2)
def only_at_the_end(history):
    h = history.dropna(subset='d_fake')
    return int(h.step.iloc[-1]) if h.d_fake[-20:].mean() < .05 else None
@right(2)
def with_a_queue(history):
    last = deque(maxlen=20)
    for _, row in history.iterrows():
        if row.d_fake != row.d_fake: continue
        last.append(row.d_fake)
        if len(last) == 20 and sum(last)/20 < .05: return row.step
@right(2)
def with_numpy(history):
    h = history[history.d_fake.notna()]
    low = np.flatnonzero(np.convolve(h.d_fake, np.ones(20)/20, 'valid') < .05)
    return h.step.to_numpy()[low[0] + 19] if len(low) else None
