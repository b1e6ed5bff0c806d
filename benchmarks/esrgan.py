#!/usr/bin/env python3
"""ESRGAN at x2: a small RRDBNet trained with pixels alone and then in the relativistic game, beside the classic ways and light-x2; what
lies between the two networks; a network without residual scaling; clean pictures against a phone's.

The photographs of BSDS500 (the course's split) are laid out as DIV2K is published, in runs/esrgan/div2k: 300 to train on, 100 held out.
Forty of those (the first of every second by name) are measured.
Each call goes on where the last one stopped. Runs, and what is measured of them, are kept in runs/esrgan; `collect` writes
results/esrgan_x2.json, results/esrgan_scaling.json and results/esrgan_phone.json, and says what is missing.
Wants SRGAN_DATA (bsds500) and SRGAN_WEIGHTS (VGG19, Inception).
usage: esrgan.py train|scaling|measure|phone|collect|all [--only NAME...] [--minutes M]
"""
import json, os, statistics, time
from pathlib import Path
from frame import ROOT, kept, kid_row, ledger, parser

RUNS = Path('runs')/'esrgan'                                  # from the root, as the recipes' `start` is written
NET, CROPS, SIDE, HELD = 'inception@192', 400, 96, 40
SMALL = dict(scale=2, generator='RRDBNet', nf=32, n_blocks=2, save_every=25)
PIXELS = dict(size=48, critic='none', save_every=100)
BEGUN = dict(SMALL, start=(RUNS/'rrdb'/'generator.safetensors').as_posix())
MORE = dict(BEGUN, **PIXELS | dict(pre_lr=4e-4, steps_per_epoch=300, epochs=2))
# pixels alone
ARMS = {'rrdb': dict(SMALL, **PIXELS | dict(pre_lr=1e-3, steps_per_epoch=250, epochs=16)),
        'light': dict(scale=2, generator='LightSR', nf=48, n_blocks=8, **PIXELS | dict(pre_lr=1e-3, steps_per_epoch=250, epochs=16)),                # lesson 04's network of the same size, for as many steps
        'game': dict(BEGUN, size=64, bs=6, critic='VGGCritic', critic_nf=32, steps_per_epoch=100, epochs=5, gan_lr=2e-4, crit_lr=1e-4,
                     schedule='tail', adv_kind='ra-bce',
                     feature_net='vgg19-oxford@conv3_4', feature_loss='l1', perceptual=1., content=.1, adv=.02, ema=.99),                            # and then against a critic
        'phone': dict(MORE, degrade='phone'), 'more': dict(MORE),                                                                                    # as many steps more, on a phone's pictures and on clean ones
        'srresnet': dict(scale=2, generator='SRResNet', nf=64, n_blocks=16, **PIXELS | dict(pre_lr=4e-4, steps_per_epoch=250, epochs=8))}            # the published one, for half the steps, which take it longer
SHARES = (0., .2, .4, .6, .8, 1.)
SEEDS, STEPS = (0, 1, 2), 60

def layout(div=RUNS/'div2k', split=None): # folder; function that gives 'train' and 'valid' -> files, else the split of BSDS500
    "A split of photographs, laid out as DIV2K is."
    from srgan_course.images import crop_to_multiple, open_image, save_image
    from srgan_course.kit.sources import bsds_split
    for part, files in (split or bsds_split)().items():
        if (div/f'{part}.done').exists(): continue
        (div/f'DIV2K_{part}_HR').mkdir(parents=True, exist_ok=True)
        for i, p in enumerate(sorted(files), 1):
            save_image(crop_to_multiple(open_image(p).convert('RGB'), 4), div/f'DIV2K_{part}_HR'/f'{i + 800*(part == "valid"):04}.png')
        (div/f'{part}.done').touch()
    return div

def train(only):
    from srgan_course.kit.runs import run_state
    from srgan_course.srgan import SRGANRecipe, train as run
    for name in only or list(ARMS):
        out = RUNS/name
        if (out/'generator.safetensors').exists(): print(name, 'is there'); continue
        # a phone's pictures are made of HR, the others are the pairs of the layout
        source = layout() if name != 'phone' else (layout()/'DIV2K_train_HR').as_posix()
        start = time.perf_counter()
        res = run(SRGANRecipe(f'esrgan-{name}', **ARMS[name]), source, out, resume=run_state(out) != 'nothing', device='cpu',
                  valid=(layout()/'DIV2K_valid_HR').as_posix() if name == 'phone' else None)
        print(name, res.said, f'{time.perf_counter() - start:.0f} s', flush=True)

def measured(name, work):
    "A measurement that was made before is read, else it is made, kept and shown."
    path = RUNS/'measured'/f'{name}.json'
    new, res = not path.exists(), kept(path, work)
    if new: print(name, {k: v for k, v in res.items() if not isinstance(v, list)}, flush=True)
    return res

def scaling(only=None):
    "A deep and narrow RRDBNet with what the paper asks for, without residual scaling, without small beginnings, and without both."
    import torch
    from srgan_course.data import Recipe, sr_dls
    from srgan_course.esrgan import RRDBNet
    def one(percent, gain, seed):
        dls = sr_dls((layout()/'DIV2K_train_HR').as_posix(), Recipe('t', scale=2, size=32, bs=8, steps_per_epoch=STEPS, seed=seed),
                     valid=(layout()/'DIV2K_valid_HR').as_posix(), device='cpu')
        torch.manual_seed(seed)
        net = RRDBNet(2, 16, 8, 8, percent)
        with torch.no_grad():
            for n, p in net.body.named_parameters(): p.mul_(gain/.1 if n.endswith('weight') else 1.)
        opt, losses = torch.optim.Adam(net.parameters(), lr=1e-3), []
        for x, y in dls.train:
            x, y = x.as_subclass(torch.Tensor), y.as_subclass(torch.Tensor)
            loss = (net(x) - y).abs().mean()
            losses.append(round(min(loss.item(), 1e30), 6) if loss.isfinite() else None)
            if not loss.isfinite(): break
            opt.zero_grad(); loss.backward(); opt.step()
        end = [v for v in losses[-10:]]
        return dict(losses=losses, first=losses[0], end=round(statistics.mean(end), 6) if None not in end else None)
    for seed in SEEDS:
        for name, (percent, gain) in dict(both=(20, .1), no_scaling=(100, .1), no_small_start=(20, 1.), neither=(100, 1.)).items():
            yield name, seed, measured(f'scaling-{name}-{seed}', lambda: one(percent, gain, seed))

def networks():
    from srgan_course.esrgan import mix_networks
    from srgan_course.generators import find_model, load_model
    nets = {k: k for k in ('nearest', 'bilinear', 'bicubic', 'lanczos')} | {'light-x2': load_model(find_model('light-x2'))}
    ends = [load_model(p) if (p := RUNS/n/'generator.safetensors').exists() else None for n in ('rrdb', 'game')]
    if ends[0] is not None: nets['rrdb'] = ends[0]
    if None not in ends: nets |= {'esrgan': ends[1]} | {f't={t:g}': mix_networks(*ends, t) for t in SHARES[1:-1]}
    nets |= {n: load_model(p) for n in ('light', 'srresnet') if (p := RUNS/n/'generator.safetensors').exists()}
    return nets

def held():
    from srgan_course.images import open_image
    return [open_image(p) for p in sorted((layout()/'DIV2K_valid_HR').glob('*.png'))[::2][:HELD]]

def measure(only=None):
    from srgan_course.kit.sets import crops, features
    from srgan_course.images import downscale
    from srgan_course.metrics import enlarger, mean_gradient, psnr_y, ssim_y
    hr = held()
    def feats(name, pictures, seed): kept(RUNS/'features'/f'{name}.npy', lambda: features(crops(pictures, CROPS, SIDE, seed)[0], NET).x)
    feats('HR', hr, 1)
    for name, net in networks().items():
        if only and name not in only: continue
        def one():
            f = enlarger(net, 2)
            sr = [f(downscale(p, 2)) for p in hr]
            feats(name, sr, 0)
            both = list(zip(sr, hr))
            return dict(psnr=round(statistics.mean(psnr_y(a, b, 2) for a, b in both), 4),
                        ssim=round(statistics.mean(ssim_y(a, b, 2) for a, b in both), 5),
                        gradient=round(statistics.mean(mean_gradient(a)/mean_gradient(b) for a, b in both), 4),
                        parameters=0 if isinstance(net, str) else sum(p.numel() for p in net.parameters()))
        measured(f'model-{name}', one)

def speed(only=None):
    """What a megapixel of each way costs, in turns, in processor seconds, which other work disturbs little. The published RRDBNet has
    random weights here: how good it would be is not measured."""
    from srgan_course.esrgan import RRDBNet
    from srgan_course.images import downscale
    from srgan_course.metrics import enlarger
    nets = {n: net for n, net in networks().items() if not n.startswith('t=')} | {'full': RRDBNet(2, 64, 23)}
    lr = [downscale(p, 2) for p in held()[:3]]
    def once(f, a): t = time.process_time(); f(a); return (time.process_time() - t)/(4*a.width*a.height/1e6)
    def all_of_them():
        fs = {n: enlarger(net, 2) for n, net in nets.items()}
        took = [{n: once(f, a) for n, f in fs.items()} for a in lr]
        return {n: dict(seconds_megapixel=round(statistics.median(t[n] for t in took), 4),
                        parameters=0 if isinstance(net, str) else sum(p.numel() for p in net.parameters())) for n, net in nets.items()}
    measured('speed', all_of_them)

def phone_rows(only=None):
    from srgan_course.esrgan import phone
    from srgan_course.generators import load_model
    from srgan_course.images import downscale
    from srgan_course.metrics import evaluate_sr
    nets = {'bicubic': 'bicubic'} | {n: load_model(p) for n in ('rrdb', 'more', 'phone') if (p := RUNS/n/'generator.safetensors').exists()}
    for name, net in nets.items():
        for how in (downscale, phone):
            measured(f'phone-{name}-{how.__name__}', lambda: {k: round(float(v), 5) for k,
                                                          v in evaluate_sr(net, held()[:10], 2, degrade=how).loc['mean'].items()})

def collect():
    import numpy as np
    from srgan_course.fid import kid
    from srgan_course.kit.figures import differ
    from srgan_course.kit.sets import FeatureSet
    got = {p.stem: json.loads(p.read_text()) for p in sorted((RUNS/'measured').glob('*.json'))}
    recipes = {n: json.loads((RUNS/n/'recipe.json').read_text()) for n in ARMS if (RUNS/n/'recipe.json').exists()}
    layout_says = 'the photographs of BSDS500 laid out as DIV2K is, the course\'s split'
    scal = {k.rsplit('-', 1)[0][8:]: {} for k in got if k.startswith('scaling-')}
    for k, v in got.items():
        if k.startswith('scaling-'): scal[k.rsplit('-', 1)[0][8:]][k.rsplit('-', 1)[1]] = v
    if scal:
        ledger('esrgan_scaling', f'An RRDBNet of 8 blocks, 16 channels, after {STEPS} steps, with and without residual scaling and small initial weights',
        {k: dict(first=[s['first'] for s in v.values()], end=[s['end'] for s in v.values()], curve=[s['losses'][::5] for s in v.values()])
         for k, v in scal.items()}, layout_says, 300,
        protocol='L1 loss on patches of 32 px, batch 8, Adam 1e-3, x2; first: the first step\'s loss, end: mean of the last 10 steps, '
                 'null where it is no number; curve: every fifth step; one value or curve a seed', seed=list(SEEDS))
    rows = {k[6:]: v for k, v in got.items() if k.startswith('model-')}
    for n, v in got.get('speed', {}).items(): rows.setdefault(n, {}).update(v)
    if rows and (RUNS/'features'/'HR.npy').exists():
        which = np.sort(np.arange(CROPS) % HELD)
        load = lambda n: FeatureSet(np.load(RUNS/'features'/f'{n}.npy'), dict(net=NET))
        kids = {n: kid(load(n), load('HR'), groups=which) for n in rows if 'psnr' in rows[n]}
        for n, k in kids.items(): rows[n] |= kid_row(k)
        pairs = [(a, b) for a, b in (('esrgan', 'rrdb'), ('esrgan', 'bicubic'), ('rrdb', 'bicubic'), ('rrdb', 'light'),
                                     ('rrdb', 'light-x2'), ('esrgan', 'light-x2'), ('t=0.6', 'rrdb'), ('t=0.6', 'esrgan'),
                                     ('t=0.6', 'light-x2')) if a in rows and b in rows]
        diffs = {f'{a} - {b}': kid_row(differ(kids[a], kids[b])) for a, b in pairs}
        names = {0.: 'rrdb', 1.: 'esrgan'} | {t: f't={t:g}' for t in SHARES[1:-1]}
        curve = [dict(share=t, psnr=rows[n]['psnr'], ssim=rows[n]['ssim'], kid=rows[n]['kid'], interval=rows[n]['interval']) for t,
                 n in sorted(names.items()) if n in rows]
        order = ['nearest', 'bilinear', 'bicubic', 'lanczos', 'light-x2', 'light', 'srresnet', 'rrdb', 'esrgan', 'full']
        ledger('esrgan_x2', 'x2: the classic ways, light-x2, a small RRDBNet by pixels alone and after the relativistic game, and the networks '
                    'between those two', dict(models={n: rows[n] for n in order if n in rows}, differences=diffs, curve=curve),
            layout_says + f'; {HELD} of the 100 held out', HELD, seed=42, recipe=recipes, not_measured=[n for n in order if n not in rows],
            protocol=f'Y (BT.601), crop 2, x2, LR by bicubic; KID: {NET}, {CROPS} crops of {SIDE} px against as many of the originals at '
                     f'other places, of pairs of different photographs, 95 % intervals from 1000 draws of whole photographs; gradient: mean '
                     f'gradient of Y over HR\'s; processor seconds for a megapixel of the result, float32, one thread, median of three '
                     f'pictures; full: the published network (23 blocks, 64 channels) with random weights, for its time alone')
    rows = {k[6:]: v for k, v in got.items() if k.startswith('phone-')}
    if rows:
        figs = {}
        for k, v in rows.items(): n, how = k.rsplit('-', 1); figs.setdefault(n, {})['phone' if how == 'phone' else 'clean'] = v
        ledger('esrgan_phone', 'A network trained on clean pictures and one that went on with a phone\'s, each on both kinds', figs,
                    layout_says + '; 10 of the 100 held out', 10,
            protocol='Y (BT.601), crop 2, x2; LR by bicubic (clean), or blurred, noisy and compressed (phone); rrdb: what both begin with; '
                     'more and phone: 600 steps more on clean pictures and on a phone\'s', seed=42, recipe=recipes)

if __name__ == '__main__':
    ap = parser(__doc__, only=dict(nargs='+'), minutes=dict(help='for the queue of studies; what was begun is gone on with by the next call'))
    ap.add_argument('what', choices=['train', 'scaling', 'measure', 'phone', 'collect', 'all'])
    args = ap.parse_args()
    os.chdir(ROOT)
    if args.what in ('scaling', 'all'): list(scaling())
    if args.what in ('train', 'all'): train(args.only)
    if args.what in ('measure', 'all'): measure(args.only); speed()
    if args.what in ('phone', 'all'): phone_rows()
    collect()
