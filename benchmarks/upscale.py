#!/usr/bin/env python3
"""Upscaling: tiles against the whole picture (seconds and peak memory, 1 to 33 megapixels out), and a cold start against `import torch`
alone.

Every row is a process of its own. Writes results/upscale_tiles.json and results/upscale_cold_start.json.
usage: upscale.py [--quick]
"""
import json, subprocess, sys, tempfile, time
from pathlib import Path
from frame import ROOT, in_turns, ledger, median, parser

SIZES = {1: (288, 224), 4: (576, 448), 16: (1152, 896), 33: (1760, 1180)}   # megapixels out -> small picture, width x height
WAYS = {'whole': dict(tile=10**6), 'own choice': dict(tile=0), 'tile 256': dict(tile=256), 'tile 128': dict(tile=128)}

CHILD = '''
import sys, time, torch
from srgan_course.upscale import Upscaler
from srgan_course.generators import LightSR, shipped_models
from srgan_course.images import open_image
def mb(what): return int(next(l for l in open('/proc/self/status') if l.startswith(what)).split()[1])/1024
src, tile = sys.argv[1], int(sys.argv[2])
up = Upscaler.load('light-x4', device='cpu', engine='torch') if 'light-x4' in shipped_models() else Upscaler(LightSR(4, 48, 8), device='cpu')
up.forward(torch.zeros(1, 3, 64, 64))
img, before = open_image(src), mb('VmRSS')
t = time.perf_counter(); out = up(img, tile or None); t = time.perf_counter() - t
import json; print(json.dumps(dict(seconds=t, before=before, peak=mb('VmHWM'), megapixels=out.width*out.height/1e6, tile=up.side(img.height, img.width, tile or None), name=up.name)))
'''

def python(*args):
    "Seconds that a fresh Python takes, and what it printed."
    t = time.perf_counter()
    r = subprocess.run([sys.executable, *map(str, args)], capture_output=True, text=True, cwd=ROOT)
    t = time.perf_counter() - t
    if r.returncode: raise RuntimeError(r.stderr)
    return t, r.stdout

def picture(w, h, path):
    "A held-out photo, laid side by side and one below another until it is large enough."
    from PIL import Image
    from srgan_course.data import sample_photos
    photo = sample_photos('valid')['chelsea'].convert('RGB')
    out = Image.new('RGB', (w, h))
    for y in range(0, h, photo.height):
        for x in range(0, w, photo.width): out.paste(photo, (x, y))
    out.save(path)
    return path

def tiles(tmp, sizes, times):
    rows = []
    for mp in sizes:
        src = picture(*SIZES[mp], tmp/f'{mp}.png')
        for way, kw in WAYS.items():
            runs = [json.loads(python('-c', CHILD, src, kw['tile'])[1]) for _ in range(times if mp <= 4 else 1)]
            r = runs[0]
            rows.append(dict(megapixels=round(r['megapixels'], 2), way=way, tile=min(r['tile'], max(SIZES[mp])), runs=len(runs),
                             seconds=median(x['seconds'] for x in runs),
                             peak_mib=round(max(x['peak'] for x in runs)),
                             beyond_start_mib=round(max(x['peak'] - x['before'] for x in runs))))
            rows[-1]['megapixels_per_second'] = round(rows[-1]['megapixels']/rows[-1]['seconds'], 2)
            print('{megapixels:6.2f} MP  {way:10}  tile {tile:4}  {seconds:7.2f} s  {megapixels_per_second:5.2f} MP/s  peak {peak_mib:5} '
                  'MiB  (+{beyond_start_mib})'.format(**rows[-1]), flush=True)
    return rows, r['name']

def cold_start(tmp, times):
    "In turns: `import torch`, and the whole command from its start to the saved 512 x 512 picture."
    src, model = picture(128, 128, tmp/'small.png'), []
    from srgan_course.generators import shipped_models
    if 'light-x4' not in shipped_models():
        from srgan_course.generators import LightSR, save_model
        model = ['--model', save_model(LightSR(4, 48, 8), tmp/'random.safetensors')]
    command = ['-m', 'srgan_course', 'upscale', src, '--out', tmp/'out.png', *model]
    a, b = in_turns(dict(torch=lambda: python('-c', 'import torch')[0], upscale=lambda: python(*command)[0]), times).values()
    from PIL import Image
    assert Image.open(tmp/'out.png').size == (512, 512)
    more = [y - x for x,y in zip(a, b)]
    f = dict(import_torch_s=median(a), upscale_s=median(b), difference_s=median(more), ratio=median(y/x for x,y in zip(a, b)))
    print('cold start: import torch {import_torch_s:.2f} s, srgan-upscale to a saved 512 x 512 picture {upscale_s:.2f} s: '
          '{difference_s:.2f} s more, {ratio:.2f} times'.format(**f), flush=True)
    return f, dict(difference_s=[round(min(more), 3), round(max(more), 3)])

def main(quick):
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        figures, spread = cold_start(tmp, 3 if quick else 7)
        seconds = time.perf_counter() - start
        rows, name = tiles(tmp, [1, 4] if quick else list(SIZES), 1 if quick else 3)
    if quick: return
    ledger('upscale_cold_start',
           'Seconds from the start of srgan-upscale to a saved 512 x 512 picture, against `import torch` alone, in turns, warm disk',
           figures, 'a 128 x 128 crop of chelsea (scikit-image)', 1, spread=spread, seconds=round(seconds, 1), model=name,
           protocol='medians of 7 pairs; spread: least and greatest difference')
    ledger('upscale_tiles', 'Upscaling x4 in tiles against in one piece: seconds and peak resident memory of a process of its own',
           dict(rows=rows), 'chelsea (scikit-image), repeated to size', len(SIZES), start, model=name,
           protocol='one warmed process a row; 1 and 4 megapixels: median of 3; memory: VmHWM, which includes torch')

if __name__ == '__main__': main(**vars(parser(__doc__, quick=False).parse_args()))
