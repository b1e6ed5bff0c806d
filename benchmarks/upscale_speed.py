#!/usr/bin/env python3
"""Megapixels a second: `light-x4` against networks of SRResNet's size, and what a folder of small pictures costs beside the network's own
time.

Everything in turns within one run; medians, and the least and greatest ratio of a round. bfloat16 is timed as well, and how far its
picture is from float32's is measured on the embedded photographs.
Writes results/upscale_speed.json and results/upscale_folder.json.
usage: upscale_speed.py [--quick] [--threads N] [--only speed|folder]
"""
import tempfile, time
from pathlib import Path
from frame import in_turns, ledger, median, parser, ratio, seconds

SHAPES = {'16 pictures of 64 x 64': (16, 64, 64), 'one picture of 256 x 256': (1, 256, 256)}

def networks():
    from srgan_course.generators import LightSR, SRResNet, count_params, shipped_models
    from srgan_course.upscale import Upscaler
    light = Upscaler.load('light-x4', device='cpu', engine='torch')     # networks are compared here, not engines: see engines.py
    ups = {'light-x4': light, 'SRResNet 64 x 16': Upscaler(SRResNet(4, 64, 16), device='cpu'),
           'LightSR 64 x 18': Upscaler.load('srresnet-x4', device='cpu', engine='torch') if 'srresnet-x4' in shipped_models()
           else Upscaler(LightSR(4, 64, 18), device='cpu'),
           'light-x4 bfloat16': Upscaler(light.engine.net, device='cpu', precision='bfloat16')}
    return ups, {k: count_params(u.engine.net) for k, u in ups.items()}

def bfloat16_loss(ups):
    "dB that bfloat16 takes from light-x4 on the held-out photographs, or None where it cannot run."
    from srgan_course.metrics import evaluate_sr
    return evaluate_sr(ups['light-x4'], 'embedded', 4).psnr['mean'] - evaluate_sr(ups['light-x4 bfloat16'], 'embedded', 4).psnr['mean']

def bfloat16_runs():
    "Whether bfloat16 convolutions run here, asked in a process of its own: on some virtual machines they end it."
    from srgan_course.kit.devices import pick_precision
    return pick_precision('auto', 'cpu') == 'bfloat16'

def speed(quick):
    half = bfloat16_runs()                                 # first: it may tell torch's kernels what to leave alone
    import torch
    ups, params = networks()
    if not half: del ups['light-x4 bfloat16']
    figures, spread = dict(parameters=params), {}
    for what, (b, h, w) in SHAPES.items():
        if quick: b = min(b, 4)
        x, pixels = torch.rand(b, 3, h, w), 16*b*h*w/1e6
        t = in_turns({k: (lambda u=u: seconds(lambda: u.forward(x))) for k, u in ups.items()}, 3 if quick else 9)
        figures[what] = {k: dict(megapixels_per_second=round(pixels/median(v, 9), 3)) for k, v in t.items()}
        spread[what] = {}
        for k in t:
            if k == 'light-x4': continue
            figures[what][k]['light_is_faster'], spread[what][k] = ratio(t[k], t['light-x4'])
        for k, f in figures[what].items():
            print(f'{what}: {k:18} {f["megapixels_per_second"]:7.2f} MP/s'
                  + (f', light-x4 {f["light_is_faster"]:.2f} times as fast {spread[what][k]}' if k != 'light-x4' else ''), flush=True)
    if 'light-x4 bfloat16' in ups:
        figures['bfloat16_loss_db'] = round(bfloat16_loss(ups), 4)
        print(f'bfloat16 costs {figures["bfloat16_loss_db"]:.4f} dB on the held-out photographs')
    else: print('bfloat16: not faster here, or does not run; float32 only')
    return figures, spread

def folder(quick, tmp):
    "A folder of small pictures: everything srgan-upscale does, over the network alone on the same pictures."
    from srgan_course.data import sample_photos
    from srgan_course.images import downscale, open_image, save_image
    from srgan_course.upscale import Upscaler, upscale_file, upscale_folder
    up, n, src = Upscaler.load('light-x4', device='cpu'), 24 if quick else 500, tmp/'in'
    src.mkdir()
    photos = [downscale(p.convert('RGB'), 2) for p in sample_photos('all').values()]
    for i in range(n):
        p = photos[i % len(photos)]; x, y = i*37 % (p.width - 96), i*53 % (p.height - 96)
        save_image(p.crop((x, y, x + 96, y + 96)), src/f'{i:03}.jpg')
    files = sorted(src.iterdir()); imgs = [open_image(f) for f in files]
    ways = {'network': lambda: [up(m) for m in imgs], 'folder': lambda: upscale_folder(src, tmp/'out', up, again=True, progress=False),
            'one by one': lambda: [upscale_file(f, tmp/'single.png', up) for f in files]}
    t = in_turns({k: (lambda f=f: seconds(f)) for k, f in ways.items()}, 3)
    figures = {'pictures': n, **{f'{k}: ms a picture': median(1000*s/n for s in v) for k, v in t.items()}}
    spread = {}
    for k in ('folder', 'one by one'):
        figures[f'{k} / network'], spread[f'{k} / network'] = ratio(t[k], t['network'])
    print(f'{n} pictures of 96 x 96: ' + ', '.join(f'{k} {v}' for k, v in figures.items() if k != 'pictures'), spread, flush=True)
    return figures, spread, n

def main(quick, threads, only):
    import torch
    if threads: torch.set_num_threads(threads)
    start = time.perf_counter()
    if only != 'folder':
        figures, spread = speed(quick)
        if not quick:
            ledger('upscale_speed', 'light-x4 against networks of SRResNet\'s size: megapixels out a second', figures, 'random pictures', 17,
                   start, protocol='x4; network alone, float32 and channels_last unless said otherwise; 9 rounds in turns: medians; spread: '
                                   'least and greatest ratio of a round', spread=spread)
    start = time.perf_counter()
    if only != 'speed':
        with tempfile.TemporaryDirectory() as tmp: figures, spread, n = folder(quick, Path(tmp))
        if not quick:
            ledger('upscale_folder', 'A folder of small pictures, file to file, against the network alone on opened pictures', figures,
                   'crops of 96 x 96 of the embedded photographs, JPEG in, PNG out', n, start, spread=spread,
                   protocol='light-x4, float32; 3 rounds in turns: medians; spread: least and greatest ratio of a round')

if __name__ == '__main__':
    main(**vars(parser(__doc__, quick=False, threads=0, only=dict(choices=('speed', 'folder'))).parse_args()))
