#!/usr/bin/env python3
"""Twice as large: the group's SRGAN recipe with another VGG, an RRDBNet by pixels alone, and an ESRGAN begun from that, beside the classic ways
and light-x2.

The photographs of `hr` are laid out as DIV2K is published, in runs/x2/div2k: 160 to train on, 20 held out by name. Each run has its
number of steps from before its first one: srgan 1,500 (the recipe's 60 epochs of 25 batches, as for 400 pictures), rrdb 3,000,
esrgan-strong 1,000. That game ran away (19.6 dB at step 400), and esrgan is the second attempt: 500 steps, a third of the weight.
Each call goes on where the last one stopped. What is measured of a network is of the 20 held-out photographs.
Wants SRGAN_DATA (hr) and SRGAN_WEIGHTS (VGG19, Inception, SqueezeNet). Writes results/x2_hr.json and nbs/images/x2.jpg.
usage: x2.py train|measure [--only NAME...]
"""
import os, statistics, time
from pathlib import Path
import esrgan
from frame import ROOT, kept, kid_row, ledger, parser
from srgan_quality import less, near, seen

RUNS = Path('runs')/'x2'                                      # from the root, as a recipe's `start` is written
RRDB = dict(scale=2, generator='RRDBNet', nf=32, n_blocks=4)
GAME = dict(RRDB, start=(RUNS/'rrdb'/'generator.safetensors').as_posix(), size=96, bs=8, critic='VGGCritic', critic_nf=32, gan_lr=1e-4,
            schedule='tail', adv_kind='ra-bce', feature_net='vgg19-oxford@conv3_4', feature_loss='l1', perceptual=1., content=.1,
            save_every=100)
# the recipe's VGG is torchvision's, which is not at hand: the Oxford group's has larger features, so they are divided by their own size
# (feature_scale=0), and relu3_4 is as deep as its file goes
ARMS = {'srgan': dict(feature_net='vgg19-oxford@relu3_4', feature_scale=0., steps_per_epoch=50, epochs=30, save_every=100),
        'rrdb': dict(RRDB, size=64, bs=16, critic='none', pre_lr=8e-4, steps_per_epoch=250, epochs=12, save_every=250),
        'esrgan-strong': dict(GAME, steps_per_epoch=100, epochs=10, crit_lr=1e-4, adv=.05, ema=.995),
        'esrgan': dict(GAME, steps_per_epoch=100, epochs=5, crit_lr=5e-5, adv=.015, ema=.99)}
WAYS = 'bilinear', 'bicubic', 'light-x2', 'rrdb', 'srgan', 'esrgan-strong', 'esrgan'
PAIRS = ('esrgan', 'srgan'), ('esrgan', 'rrdb'), ('srgan', 'bicubic'), ('esrgan', 'bicubic'), ('srgan', 'light-x2'), ('esrgan', 'light-x2')
CROPS, SIDE = 1000, 96
SHOWN = {'kitten-on-lawn': (630, 70), 'hans-jurgen-mager-indri': (36, 424), 'roman-colosseum': (540, 40)}     # left, top; all CC0
CUT, ZOOM = 72, 3                                             # side of what is shown, and how many times larger; each pixel stays one

def layout():
    "The split of `hr`, laid out as DIV2K is."
    from srgan_course.kit.sources import hr_split
    return esrgan.layout(RUNS/'div2k', hr_split)

def recipe(name):
    from srgan_course.kit.recipe import get_recipe
    from srgan_course.srgan import SRGANRecipe
    base = get_recipe('div2k-x2', SRGANRecipe) if name == 'srgan' else SRGANRecipe('x2')
    return base.replace(name=f'x2-{name}', **ARMS[name])

def train(only):
    from srgan_course.kit.runs import run_state
    from srgan_course.srgan import train as run
    for name in only or ARMS:
        if (RUNS/name/'generator.safetensors').exists(): print(name, 'is there'); continue
        res = run(recipe(name), layout().as_posix(), RUNS/name, resume=run_state(RUNS/name) != 'nothing', device='cpu')
        print(name, res.said, flush=True)

def held():
    "Name -> picture."
    from srgan_course.images import crop_to_multiple, open_image
    from srgan_course.kit.sources import hr_split
    return {p.stem: crop_to_multiple(open_image(p).convert('RGB'), 4) for p in sorted(hr_split()['valid'])}

def cut_out(names, pictures):
    "What is shown of them."
    return [pictures[names.index(n)].crop((l, t, l + CUT, t + CUT)) for n, (l, t) in SHOWN.items()]

def sheet(shown):
    "Name -> pictures, as columns."
    from PIL import Image
    from ship import label, side_by_side
    columns = [[label(im.resize((ZOOM*CUT,)*2, Image.Resampling.NEAREST), name if i == 0 else '', 22 if i == 0 else 4)
                for i, im in enumerate(ims)] for name, ims in shown.items()]
    rows = [side_by_side(r) for r in zip(*columns)]
    out = Image.new('RGB', (rows[0].width, sum(r.height for r in rows)), 'white')
    for i, r in enumerate(rows): out.paste(r, (0, sum(o.height for o in rows[:i])))
    out.save(ROOT/'nbs'/'images'/'x2.jpg', quality=90, subsampling=0)

def enlarged(way, lr):
    "Name -> the picture by one of the ways, kept as files."
    from srgan_course.images import interpolate, open_image, save_image
    from srgan_course.upscale import Upscaler
    out, up = RUNS/'made'/way, None
    out.mkdir(parents=True, exist_ok=True)
    for name, p in lr.items():
        if (out/f'{name}.png').exists(): continue
        if 'bi' in way: save_image(interpolate(p, 2, way), out/f'{name}.png'); continue
        up = up or Upscaler.load(str(RUNS/way/'generator.safetensors') if way in ARMS else way, device='cpu')
        save_image(up(p), out/f'{name}.png')
    return [open_image(out/f'{name}.png').convert('RGB') for name in lr]

def measure(only):
    import json
    from srgan_course.fid import kid
    from srgan_course.images import downscale
    from srgan_course.kit.figures import differ
    from srgan_course.kit.sets import crops
    start, names, hr = time.perf_counter(), [*held()], [*held().values()]
    true, lr = seen(crops(hr, CROPS, SIDE, seed=1)[0]), {n: downscale(p, 2) for n, p in held().items()}
    rows, each, kids, shown = {}, {}, {}, {}
    for way in [w for w in only or WAYS if w not in ARMS or (RUNS/w/'generator.safetensors').exists()]:
        sr = enlarged(way, lr)
        cut, which = crops(sr, CROPS, SIDE, seed=0)
        each[way] = kept(RUNS/'measured'/f'{way}.json', lambda: near(sr, hr, 'squeeze-caffe', 2))
        kids[way] = kid(seen(cut), true, groups=which)
        rows[way] = kid_row(kids[way]) | {k: v if k == 'stripes' else round(statistics.mean(v), 4) for k, v in each[way].items()}
        shown[way] = cut_out(names, sr)
        print(way, rows[way], f'{time.perf_counter() - start:.0f} s', flush=True)
    if only: return
    gaps = {f'{a} - {b}': kid_row(differ(kids[a], kids[b])) | dict(less={k: less(each[a][k], v) for k, v in each[b].items()
                                                                         if k != 'stripes'})
            for a, b in PAIRS if a in rows and b in rows}
    sheet({name: shown[way] for name, way in {'rrdb-4': 'rrdb', 'SRGAN': 'srgan', 'esrgan-4': 'esrgan'}.items() if way in shown}
          | dict(original=cut_out(names, hr)))
    ledger('x2_hr', 'x2: bilinear, bicubic, light-x2, the SRGAN recipe of the group, an RRDBNet by pixels alone, an ESRGAN from there',
           dict(models=rows, differences=gaps), 'hr, laid out as DIV2K: 160 to train on, the 20 held out by name are measured', len(hr),
           start, seed=42, recipe={n: json.loads((RUNS/n/'recipe.json').read_text()) for n in ARMS if n in rows},
           not_measured=[w for w in WAYS if w not in rows],
           protocol=f'Y (BT.601), crop 2, x2, LR by bicubic; KID: inception@768, {CROPS} crops of {SIDE} px against as many of the '
                    f'originals at other places, of pairs of different photographs, 95 % intervals from 1000 draws of whole photographs; '
                    f'gradient: mean gradient of Y over HR\'s; '
                    f'less: mean difference over the pictures with its 95 % interval; squeeze-caffe: a stand-in for LPIPS, not LPIPS')

if __name__ == '__main__':
    ap = parser(__doc__, only=dict(nargs='+', choices=[*WAYS]))
    ap.add_argument('what', choices=['train', 'measure'])
    args = ap.parse_args()
    os.chdir(ROOT)
    dict(train=train, measure=measure)[args.what](args.only)
