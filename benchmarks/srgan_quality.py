#!/usr/bin/env python3
"""How near to the true pictures the models that ship come: KID, the sharpness of edges and a distance of features, beside PSNR.

The 100 held-out photographs of BSDS500 are made four times smaller and enlarged again by each model; 1,500 crops of 96 pixels of each
set are compared with 1,500 crops of the originals *at other places*, so that no crop meets its own partner.
stripes: energy of waves 3 to 3.5 pixels long in flat places, across over down, over the same of the originals (1: none).
KID: Inception's 768 features; 95 % intervals by drawing whole photographs anew, and of the differences between models, in which what is
common cancels.
Wants SRGAN_DATA (bsds500) and SRGAN_WEIGHTS (the Inception). Writes results/srgan-x4-kid.json.
A model may also be a .safetensors file, called by its name in the table.
usage: srgan_quality.py [--quick] [--models NAME...]
"""
import math, statistics, time
from pathlib import Path
import numpy as np
from frame import RUNS, kept, kid_row, ledger, parser

NET, SIZE = 'inception@768', 96
MODELS = 'bicubic', 'light-x4', 'srresnet-x4', 'srgan-x4'

def enlarge(model, pictures):
    "Each HR picture made small and large again."
    from srgan_course.images import downscale, interpolate
    from srgan_course.metrics import CLASSIC
    from srgan_course.upscale import Upscaler
    up = (lambda m: interpolate(m, 4, model)) if model in CLASSIC else Upscaler.load(model, device='cpu')
    return [up(downscale(p, 4)) for p in pictures]

def seen(crops):
    "The features of crops; what was worked out before is not worked out again."
    import hashlib
    from srgan_course.kit.features import pooled_net
    from srgan_course.kit.sets import FeatureSet, features
    path = RUNS/'features'/f'{NET}-{hashlib.sha256(crops.numpy().tobytes()).hexdigest()[:24]}.npy'
    return FeatureSet(kept(path, lambda: features(crops, NET).x), pooled_net(NET).note)

def blocks_of(y, side=64):
    "The whole blocks of a picture: luminance (H,W) -> (n,side,side), float64."
    h, w = (n//side for n in y.shape)
    return np.asarray(y, np.float64)[:h*side, :w*side].reshape(h, side, w, side).swapaxes(1, 2).reshape(-1, side, side)

def are_flat(b, most=6.):
    "Whether luminance spreads by less than `most` levels, on average over 8 x 8 pixels: (n,64,64) -> (n,)."
    return b.reshape(len(b), 8, 8, 8, 8).std((2, 4)).mean((1, 2)) < most

def across_over_down(b):
    "Energy of waves 3 to 3.5 pixels long in the rows of blocks (n,64,64) over that in the columns."
    b, band = b - b.mean((1, 2), keepdims=True), slice(math.ceil(64/3.5), 64//3 + 1)
    row, column = [(np.abs(np.fft.rfft(x*np.hanning(64)))**2)[..., band].sum() for x in (b, b.swapaxes(1, 2))]
    return row/column

def stripes(made, true):
    """How much more of the shortest waves stands across than down in the flat places of pictures, over the same of their originals (both:
    luminance, each (H,W) in 0..255). 1: no stripes beyond the originals' own; a photograph's rows and columns differ, too."""
    made, true = (np.concatenate([blocks_of(y) for y in ys]) for ys in (made, true))
    flat = are_flat(true)
    if not flat.any(): raise ValueError('the originals have no flat blocks of 64 x 64 pixels; give more of them')
    return float(across_over_down(made[flat])/across_over_down(true[flat]))

def near(sr, hr, net, scale=4):
    "PSNR, SSIM, the gradient relative to HR's and a distance of features (each a list over the pictures), and stripes."
    from srgan_course.images import luminance
    from srgan_course.metrics import lpips, mean_gradient, psnr_y, ssim_y
    ways = dict(psnr=lambda a, b: psnr_y(a, b, scale), ssim=lambda a, b: ssim_y(a, b, scale), gradient=lambda a, b: mean_gradient(a)/mean_gradient(b),
                **({net: lambda a, b: float(lpips(a, b, net=net))} if net else {}))
    return dict({k: [f(a, b) for a, b in zip(sr, hr)] for k, f in ways.items()},
                stripes=round(stripes(*([255*luminance(p) for p in ps] for ps in (sr, hr))), 3))

def less(a, b):
    "Mean difference over the pictures, and its 95 % interval."
    from srgan_course.kit.figures import average
    f = average([x - y for x, y in zip(a, b)], range(len(a)))
    return dict(value=round(float(f), 4), interval=[round(v, 4) for v in f.interval])

def main(quick, models):
    from srgan_course.data import bsds_split
    from srgan_course.fid import kid
    from srgan_course.kit.figures import differ
    from srgan_course.kit.sets import crops
    from srgan_course.images import crop_to_multiple, open_image
    from srgan_course.kit.weights import find_weights
    start, n = time.perf_counter(), 60 if quick else 1500
    hr = [crop_to_multiple(open_image(p).convert('RGB'), 4) for p in bsds_split()['valid'][:20 if quick else None]]
    net = 'squeeze-caffe' if find_weights('squeezenet1_1_fp16.safetensors') else None
    true, figures, kids, each = seen(crops(hr, n, SIZE, seed=1)[0]), {}, {}, {}
    files, models = models, [Path(m).stem if m.endswith('.safetensors') else m for m in models]
    for m, file in zip(models, files):
        sr = enlarge(file, hr)
        cut, which = crops(sr, n, SIZE, seed=0)
        kids[m] = k = kid(seen(cut), true, groups=which)
        each[m] = near(sr, hr, net)
        figures[m] = kid_row(k) | {k: v if k == 'stripes' else round(statistics.mean(v), 4) for k, v in each[m].items()}
        print(m, figures[m], f'{time.perf_counter() - start:.0f} s', flush=True)
    for m in models[:-1]:
        last, gaps = each[models[-1]], kid_row(differ(kids[models[-1]], kids[m]))
        figures[f'{models[-1]} - {m}'] = gaps | dict(less={k: less(last[k], v) for k, v in each[m].items() if k != 'stripes'})
        print(f'{models[-1]} - {m}', figures[f'{models[-1]} - {m}'], flush=True)
    if not quick:
        ledger('srgan-x4-kid', 'How near the models come to the true photographs: KID and distances beside PSNR', figures,
               'bsds500, the 100 held-out photographs', len(hr), start, seed=0,
        protocol=f'x4; KID: {NET}, {n} crops of {SIZE} px against as many of the originals at other places, of pairs of different photographs, '
                 f'95 % intervals from 1000 draws of whole photographs; gradient: mean gradient of Y over HR\'s; stripes: waves of 3 to 3.5 px in flat places, across over down, over the same of HR; less: mean difference over the pictures with its 95 % interval; squeeze-caffe: a stand-in '
                 f'for LPIPS, not LPIPS')

if __name__ == '__main__': main(**vars(parser(__doc__, quick=False, models=dict(
    nargs='+', default=[*MODELS], help='the last is compared with each of the others')).parse_args()))
