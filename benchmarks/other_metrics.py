#!/usr/bin/env python3
"""torchmetrics and pyiqa beside the course's own metrics, on the three held-out photographs: by how much do they differ where their
protocols do, and do they agree where the protocols are made the same?

Needs both packages (pip install torchmetrics pyiqa); no pretrained weights. Writes results/other_metrics.json.
usage: other_metrics.py [--quick] [--without-pyiqa]
"""
import sys, time
from importlib.util import find_spec
import numpy as np
from frame import ledger, parser

def pairs():
    "Bicubic x4 and the photograph, floats (1,3,H,W) in [0,1], four pixels cropped off each border."
    from srgan_course.images import crop_to_multiple, downscale, interpolate, to_tensor
    from srgan_course.kit.sources import sample_photos
    for name, p in sample_photos('valid').items():
        hr = crop_to_multiple(p, 4)
        yield name, *(to_tensor(im)[None, :, 4:-4, 4:-4] for im in (interpolate(downscale(hr, 4), 4), hr))

def by_torchmetrics(x, y):
    from torchmetrics.functional.image import peak_signal_noise_ratio as psnr, structural_similarity_index_measure as ssim
    from srgan_course.images import luminance
    a, b = (luminance(t)[:, None].double() for t in (x, y))                       # 16 to 235 of 255
    return {'PSNR, its data_range=1, on our Y': psnr(a, b, data_range=1.), 'PSNR, RGB': psnr(x, y, data_range=1.),
            'PSNR, RGB, data_range taken from the picture': psnr(x, y, data_range=float(y.max() - y.min())),
            'SSIM, data_range=1, on our Y': ssim(a, b, data_range=1.), 'SSIM, data_range left out, on our Y': ssim(a, b),
            'SSIM, data_range=1, RGB': ssim(x.double(), y.double(), data_range=1.), 'PSNR of a picture and itself': psnr(y, y, data_range=1.)}

def by_pyiqa(x, y):
    import pyiqa
    make = lambda name, **kw: pyiqa.create_metric(name, device='cpu', **kw)
    return {'psnry': make('psnry')(x, y), 'psnry, color_space=ycbcr': make('psnry', color_space='ycbcr')(x, y), 'psnr': make('psnr')(x, y),
            'ssim': make('ssim')(x, y), 'ssim, color_space=ycbcr': make('ssim', color_space='ycbcr')(x, y), 'ssimc': make('ssimc')(x, y),
            'psnr of a picture and itself': make('psnr')(y, y)}

def frechet(quick):
    "The distance from the same features: 300 crops of the photographs to train on against 300 of those held out."
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance
    from srgan_course.fid import fid
    from srgan_course.kit.features import pooled_net
    from srgan_course.kit.sets import crops
    from srgan_course.kit.sources import sample_photos
    sets = [torch.as_tensor(crops(list(sample_photos(s).values()), n=60 if quick else 300, size=64, seed=1)[0]) for s in ('train', 'valid')]
    net = pooled_net('random@64')
    class Features(torch.nn.Module):
        num_features = 64
        def forward(self, x): return net(x.float()/255 if x.dtype == torch.uint8 else x)
    theirs = FrechetInceptionDistance(feature=Features(), input_img_size=(3, 64, 64))
    for real, s in zip((True, False), sets): theirs.update(s, real=real)
    return dict(ours=float(fid(*sets, 'random@64')), torchmetrics=float(theirs.compute()), pictures=len(sets[0]))

def main(quick, without_pyiqa):
    if missing := [p for p in ('torchmetrics', 'pyiqa')[:1 if without_pyiqa else 2] if not find_spec(p)]:
        sys.exit(f'other_metrics.py: not installed: {", ".join(missing)}; pip install torchmetrics pyiqa')
    from srgan_course.metrics import psnr_rgb, psnr_y, ssim_y
    start, rows = time.perf_counter(), {}
    for name, x, y in pairs():
        ours = {'PSNR on Y': psnr_y(x, y, 0), 'PSNR, RGB': psnr_rgb(x, y, 0), 'SSIM on Y': ssim_y(x, y, 0)}
        for who, d in dict(ours=ours, torchmetrics=by_torchmetrics(x, y), **({} if without_pyiqa else dict(pyiqa=by_pyiqa(x, y)))).items():
            for k, v in d.items(): rows.setdefault(who, {}).setdefault(k, {})[name] = round(float(v), 6) if np.isfinite(float(v)) else str(float(v))
        if quick: break
    figures = rows | dict(frechet=frechet(quick))
    for who, d in figures.items():
        for k, v in d.items(): print(f'{who:13} {k:46} {v}')
    if not quick:
        import torchmetrics
        more = {} if without_pyiqa else dict(pyiqa=__import__('pyiqa').__version__)
        ledger('other_metrics', 'torchmetrics and pyiqa beside the metrics of the course', figures | dict(packages=dict(
            torchmetrics=torchmetrics.__version__, **more)), 'embedded', 3, start,
               protocol='bicubic x4, four pixels cropped; Frechet distance by 64 features of a random network, crops of 64 px')

if __name__ == '__main__': sys.exit(main(**vars(parser(__doc__, quick=False, without_pyiqa=False).parse_args())))
