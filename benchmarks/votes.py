#!/usr/bin/env python3
"""Blind votes between two models: crops of pictures that neither was trained on, side by side in an order that nobody can guess.

sheets A B   writes runs/votes/A-B/01.png ... 20.png: each the same crop by both models, left and right as the seed decides, enlarged
             twice without smoothing; and a file `answers.txt` to fill in, one line a sheet: left, right or neither
count A B    compares the answers with the seed and writes results/votes-A-B.json

Whoever votes gets the sheets and the question, nothing else: "Which of the two is sharper and still natural, as a photograph?" Several
people answer in files of their own: answers-anna.txt, answers-ben.txt.
A and B: models that ship, or .safetensors files. The crops are the most detailed ones of the 20 photographs of `hr` that are held out.
Wants SRGAN_DATA (hr).
usage: votes.py sheets|count A B
"""
import math, time, zlib
from pathlib import Path
from frame import RUNS, ledger, parser

SIDE, ZOOM, SEED = 144, 2, 7

def stem(model): return Path(model).stem

def folder(a, b): return RUNS/'votes'/f'{stem(a)}-{stem(b)}'

def order(n, a, b): # whether A stands on the left; each pair of models has an order of its own
    import numpy as np
    return np.random.default_rng([SEED, zlib.crc32(f'{stem(a)} {stem(b)}'.encode())]).permutation([True, False]*(n//2))

def best_crop(picture):
    "The square with the largest mean gradient, on a grid of half its side."
    from srgan_course.metrics import mean_gradient
    w, h = picture.size
    boxes = [(x, y, x + SIDE, y + SIDE) for y in range(0, h - SIDE + 1, SIDE//2) for x in range(0, w - SIDE + 1, SIDE//2)]
    return max(boxes, key=lambda b: mean_gradient(picture.crop(b)))

def sheets(a, b):
    from PIL import Image
    from srgan_course.images import crop_to_multiple, downscale, open_image
    from srgan_course.kit.sources import hr_split
    from srgan_course.upscale import Upscaler
    ups, out, files = [Upscaler.load(m, device='cpu') for m in (a, b)], folder(a, b), sorted(hr_split()['valid'])
    out.mkdir(parents=True, exist_ok=True)
    for i, (path, a_left) in enumerate(zip(files, order(len(files), a, b)), 1):
        hr = crop_to_multiple(open_image(path).convert('RGB'), 4)
        box, lr = best_crop(hr), downscale(hr, ups[0].scale)
        pair = [up(lr).crop(box).resize((ZOOM*SIDE,)*2, Image.Resampling.NEAREST) for up in ups]
        sheet = Image.new('RGB', (2*ZOOM*SIDE + 16, ZOOM*SIDE), 'white')
        for k, im in enumerate(pair if a_left else pair[::-1]): sheet.paste(im, (k*(ZOOM*SIDE + 16), 0))
        sheet.save(out/f'{i:02}.png')
    (out/'answers.txt').write_text(''.join(f'{i:02} \n' for i in range(1, len(files) + 1)))
    print(f'{len(files)} sheets in {out}; fill in answers.txt (left, right or neither), then: votes.py count {a} {b}')

def count(a, b):
    start, votes = time.perf_counter(), {}
    for f in sorted(folder(a, b).glob('answers*.txt')):
        said = dict(line.split() for line in f.read_text().splitlines() if len(line.split()) == 2)
        if not said: continue
        left = order(20, a, b)
        if set(said) != {f'{i:02}' for i in range(1, len(left) + 1)} or not set(said.values()) <= {'left', 'right', 'neither'}:
            raise SystemExit(f'{f}: give one line for each of the {len(left)} sheets: 01 left, 02 neither, ...')
        for_b = sum(bool((said[f'{i:02}'] == 'right') == l and said[f'{i:02}'] != 'neither') for i, l in enumerate(left, 1))
        none = sum(v == 'neither' for v in said.values())
        votes[f.stem] = dict(a=len(left) - for_b - none, b=for_b, neither=none)
    if not votes: raise SystemExit(f'{folder(a, b)}: no answers yet')
    from srgan_course.upscale import Upscaler
    n, scale = len(left), Upscaler.load(a, device='cpu').scale
    p = sum(math.comb(n, k) for k in range(14, n + 1))/2**n
    print(votes)
    ledger(f'votes-{stem(a)}-{stem(b)}', f'Blind votes: sharper and still natural, {stem(a)} (a) or {stem(b)} (b)', votes,
           'hr: the 20 held-out photographs, the most detailed crop of each', n, start, seed=SEED,
           protocol=f'x{scale}, crops of {SIDE} px shown at {ZOOM} times their size, left and right at random; each row is one voter, a vision '
                    f'model that was given the sheets alone; a coin '
                    f'would give 14 or more of 20 with probability {p:.3f}')

if __name__ == '__main__':
    ap = parser(__doc__)
    ap.add_argument('what', choices=('sheets', 'count')); ap.add_argument('a'); ap.add_argument('b')
    args = ap.parse_args()
    dict(sheets=sheets, count=count)[args.what](args.a, args.b)
