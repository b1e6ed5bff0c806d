#!/usr/bin/env python3
"""One network in torch and in ONNX Runtime: what its forms cost in dB and bytes, how fast they are, and how long a command takes to start.

forms   light-x4 in torch, as ONNX in float32, with float16 weights, in int8 (the body alone; everything; everything, with the ranges of
        one flat grey picture): bytes, PSNR, largest difference to torch
speed   seconds of torch (channels_last) over those of each form, in turns, by the side of the picture; the larger network likewise
start   srgan-upscale from its start to a saved 512 x 512 picture, a folder of one picture, --help and srgan-cats, over `import torch` alone

Every speed is a ratio within one run. Writes what was measured into results/engines.json, beside what is there.
usage: engines.py [forms] [speed] [start] [--quick] [--rounds N]
"""
import subprocess, sys, tempfile, time
from pathlib import Path
from frame import RESULTS, ROOT, in_turns, ledger, median, parser, ratio, read_json, seconds

FORMS = {'fp32': ('fp32',), 'fp16': ('fp16',), 'int8 body': ('int8', 'body'), 'int8 all': ('int8', 'all')}
SIDES = 64, 128, 256, 512

def exported(tmp):
    "Form -> file."
    import numpy as np
    from srgan_course.generators import find_model, load_model
    from srgan_course.kit.engines import export_onnx
    net, flat = load_model(find_model('light-x4')), [np.full((1, 3, 64, 64), .5, np.float32)]
    files = {k: export_onnx(net, tmp/f'{k}.onnx', *how) for k, how in FORMS.items()}
    return files | {'int8 all, ranges of a grey picture': export_onnx(net, tmp/'grey.onnx', 'int8', 'all', flat)}

def forms(files, quick, **_):
    import numpy as np
    from srgan_course.generators import find_model
    from srgan_course.images import downscale
    from srgan_course.kit.sources import sample_photos
    from srgan_course.metrics import evaluate_sr
    from srgan_course.upscale import Upscaler
    torch = Upscaler(find_model('light-x4'), device='cpu', engine='torch')
    sets = dict(embedded='embedded') if quick else dict(set5='set5', embedded='embedded')
    photo = np.asarray(downscale(sample_photos('valid')['coffee'], 4))[None].transpose(0, 3, 1, 2).astype(np.float32)/255
    rows = {}
    for k, up in dict(torch=torch, **{k: Upscaler(f) for k, f in files.items()}).items():
        rows[k] = dict(bytes=Path(files.get(k, find_model('light-x4'))).stat().st_size,
                       largest_difference=float(f'{np.abs(up.forward(photo) - torch.forward(photo)).max():.2g}'),
                       **{s: round(float(evaluate_sr(up, p, 4).psnr['mean']), 3) for s, p in sets.items()})
        print(k, rows[k], flush=True)
    return rows, None

def speed(files, quick, rounds):
    import numpy as np
    from srgan_course.upscale import Upscaler
    figures, spread = {}, {}
    for name in 'light-x4', 'srresnet-x4':
        ups = {'torch': Upscaler.load(name, device='cpu', engine='torch'), 'onnx': Upscaler.load(name, device='cpu', engine='onnx')}
        if name == 'light-x4': ups |= {k: Upscaler(f) for k, f in files.items() if k in ('fp16', 'int8 body', 'int8 all')}
        for side in SIDES[:2] if quick else SIDES:
            x = np.random.default_rng(0).random((1, 3, side, side), np.float32)
            t = in_turns({k: (lambda u=u: seconds(lambda: u.forward(x))) for k, u in ups.items()}, max(3, rounds*64//side))
            key = f'{name} {side}'
            r = {k: ratio(t['torch'], t[k]) for k in t if k != 'torch'}
            figures[key], spread[key] = {k: v[0] for k, v in r.items()}, {k: v[1] for k, v in r.items()}
            print(f'torch over ... {key}:', ', '.join(f'{k} {v:.2f}' for k, v in figures[key].items()), flush=True)
    return figures, spread

def start(files, quick, rounds):
    "Fresh processes in turns."
    from srgan_course.images import save_image
    from srgan_course.kit.sources import sample_photos
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp); (tmp/'in').mkdir()
        small = sample_photos('valid')['chelsea'].crop((100, 60, 228, 188))
        for f in tmp/'small.png', tmp/'in'/'small.png': save_image(small, f)
        command = lambda *a: ('-m', 'srgan_course', *map(str, a))
        ways = {'import torch': ('-c', 'import torch'), 'picture': command('upscale', tmp/'small.png', '--out', tmp/'out.png'),
                'folder': command('upscale', tmp/'in', '--out', tmp/'out', '--again'), 'cats': command('cats', '--out', tmp/'cats.png'),
                'help': command('upscale', '--help'),
                'onnx ready': ('-c', "from srgan_course.upscale import Upscaler; Upscaler.load('light-x4', device='cpu', engine='onnx')"),
                'torch ready': ('-c', "from srgan_course.upscale import Upscaler; Upscaler.load('light-x4', device='cpu', engine='torch')")}
        run = lambda a: seconds(lambda: subprocess.run([sys.executable, *a], check=True, capture_output=True, cwd=ROOT))
        t = in_turns({k: (lambda a=a: run(a)) for k, a in ways.items()}, 3 if quick else rounds)
    figures = {f'{k}_s'.replace(' ', '_'): median(v) for k, v in t.items()}
    spread = {}
    for k in t:
        if k != 'import torch': figures[f'{k} over import torch'], spread[k] = ratio(t[k], t['import torch'])
    print(figures, flush=True)
    return figures, spread

def main(what, quick, rounds):
    begun, path = time.perf_counter(), RESULTS/'engines.json'
    known = read_json(path) if path.exists() else dict(figures={}, spread={})
    with tempfile.TemporaryDirectory() as tmp:
        files = {} if what == ['start'] else exported(Path(tmp))
        for part in what:
            figures, spread = globals()[part](files, quick=quick, rounds=rounds)
            known['figures'][part], known['spread'][part] = figures, spread or {}
    if quick: return
    ledger('engines', 'light-x4 and srresnet-x4 in torch and in ONNX Runtime: PSNR and bytes of the forms, speed, and start of the commands',
           known['figures'], 'Set5 and the embedded held-out photographs; random pictures for speed', 8,
           begun, spread=known['spread'], protocol=f'PSNR on Y, 4 pixels cropped, LR by Pillow bicubic; int8: 8-bit activations, 7-bit weights, '
           f'ranges from the embedded training photographs; ratios: medians in turns, spread: least and greatest; speed: {rounds} rounds at '
           f'64 pixels a side, as few as 3 at larger ones; each part as it was measured last')

if __name__ == '__main__': main(**vars(parser(__doc__, what=('forms', 'speed', 'start'), quick=False, rounds=9).parse_args()))
