#!/usr/bin/env python3
"""Cats from noise: train the recipes of lesson 16 on SRGAN_DATA/catfaces, at the same numbers of steps, several seeds; then measure what they make.

usage: cats.py train [--minutes M] [--only ARM...]     go on with the arms below, in their order, until the time is over; without --minutes, say where they stand
       cats.py measure [--minutes M]                   FID, KID, precision, recall and classifier score of every generator that was kept; writes results/cats_study.json
       cats.py ship                                    put the best generator into the package, with its card
       cats.py step                                    a step against stock fastai's GANLearner in turns; writes results/cats_step.json
       cats.py sampling                                64 cats from a cold start; writes results/cats_sampling.json

Runs stand in runs/cats/ARM-SEED, with a checkpoint every 100 steps: a call that is stopped goes on where it was, to the last bit on the same machine.
"""
import argparse, copy, json, os, statistics, subprocess, sys, time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNS, RESULTS = ROOT/'runs'/'cats', ROOT/'results'
KEEP = *range(300, 1000, 100), *range(1000, 4001, 500)    # steps after which the generator is kept
MEASURED = 500, 800                  # and of these, measured
SHORT = 500                          # steps of the comparison over seeds
# arm -> recipe, what is changed, steps, seeds; all with batches of 32, and a critic of 32 channels
SAME = dict(bs=32, crit_nf=32)
FLAT = dict(anneal=0.)               # arms that differ in one thing are compared at a constant rate, at 500 steps
ARMS = {'cats': ('cats', {}, 800, (42,)), 'student': ('student', SAME, SHORT, (42,)), 'flat': ('cats', FLAT, SHORT, (42,)),
        'flat-seeds': ('cats', FLAT, SHORT, (1, 2)), 'student-seeds': ('student', SAME, SHORT, (1, 2)), 'cats-seeds': ('cats', {}, 800, (1, 2)),
        'batch-norm': ('cats', FLAT | dict(norm='batch'), SHORT, (42, 1, 2)), 'lr-2e-4': ('cats', FLAT | dict(lr=2e-4, crit_lr=2e-4), SHORT, (42, 1, 2)), 'bce': ('cats', FLAT | dict(adv='bce'), SHORT, (42, 1, 2)),
        'augment': ('cats', FLAT | dict(policy='colour+shift+hole'), SHORT, (42, 1, 2)), 'lr-1e-3': ('cats', FLAT | dict(lr=1e-3, crit_lr=1e-3, beta1=.9), SHORT, (42, 1, 2)),
        'ra-lsgan': ('cats', FLAT | dict(adv='ra-lsgan'), SHORT, (42, 1, 2)), 'lsgan': ('cats', FLAT | dict(adv='lsgan'), SHORT, (42, 1, 2)), 'smooth': ('cats', FLAT | dict(adv='bce', real_label=.9), SHORT, (42, 1, 2)),
        'two-rates': ('cats', FLAT | dict(lr=3e-4, crit_lr=1e-3), SHORT, (42, 1, 2)), 'dcgan': ('dcgan', dict(bs=32, nf=32, crit_nf=32), SHORT, (42, 1, 2))}

def runs():
    "(folder, recipe) of every run, in the order of what matters."
    from srgan_course.cats import get_cats_recipe
    for arm, (base, kw, steps, seeds) in ARMS.items():
        r = get_cats_recipe(base)
        for s in seeds: yield RUNS/f'{arm.removesuffix("-seeds")}-{s}', r.replace(**kw, seed=s, epochs=steps//r.steps_per_epoch)

def faces(channels):
    "The cat faces as bytes, kept beside the runs: opening 3,000 files takes longer than a hundred steps."
    import numpy as np
    from srgan_course.cats import load_faces
    from srgan_course.data import find_source
    file = RUNS/f'faces-{channels}.npy'
    if not file.exists(): RUNS.mkdir(parents=True, exist_ok=True); np.save(file, load_faces(find_source('catfaces'), 64, channels))
    return np.load(file)

def keeper(out):
    "Keeps the generator, averaged and not, after `KEEP` steps."
    from fastai.callback.core import Callback
    from srgan_course.cats import settle
    from srgan_course.generators import save_model
    class Keep(Callback):
        order = 101
        def after_batch(self):
            n = self.learn.n_steps
            if not (self.learn.training and self.learn.fitting and n in KEEP): return
            nets = {'raw': self.learn.generator} | ({'ema': self.learn.ema.model} if hasattr(self.learn, 'ema') else {})
            for k, net in nets.items(): save_model(settle(copy.deepcopy(net)), out/f'generator-{n}-{k}.safetensors', steps=str(n))
    return Keep()

def steps_done(out):
    from srgan_course.gan import checkpoints
    found = checkpoints(out/'checkpoints')
    return int(found[-1].stem.split('-')[1]) if found else 0

def train(minutes=None, only=()):
    from srgan_course.cats import train_cats
    end = time.monotonic() + 60*(minutes or 0)
    todo = [x for o in only for x in runs() if x[0].name == o or x[0].name.startswith(f'{o}-')] if only else runs()
    for out, r in todo:
        left = (end - time.monotonic())/60
        if minutes and steps_done(out) < r.steps and left > .7:
            t = time.monotonic()
            train_cats(r, faces(r.channels), out, resume=True, minutes=max(left - .3, .2), cbs=[keeper(out)], sample_every=100)
            print(f'{time.monotonic() - t:.0f} s', flush=True)
        print(f'{out.name:14} {steps_done(out):5} of {r.steps} steps', flush=True)

NETS = 'inception@768', 'inception@192'
N = int(os.environ.get('CATS_N', 300))     # pictures of a set; 1000 and more where there is a GPU: features of 299 px take long

def measured(x, name, net):
    "Features of bytes (n,3,64,64), kept beside the runs; the net computes in bfloat16 where a processor has it (the same for every set)."
    import numpy as np, torch
    from srgan_course.fid import FeatureSet, features, pooled_net
    from srgan_course.gan import pick_precision
    file = RUNS/'features'/f'{name}-{net}.npy'
    if not file.exists():
        half = pick_precision() == 'bfloat16'
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=half): f = features(x, net, bs=32)
        file.parent.mkdir(parents=True, exist_ok=True); np.save(file, f.x)
        (RUNS/'features'/'precision.txt').write_text('bfloat16' if half else 'float32')
    return FeatureSet(np.load(file), pooled_net(net).note)

def sets(n=None):
    "name -> function that gives bytes: real cats to train on, held out, and what each kept generator makes of seed 0."
    import torch
    from srgan_course.cats import load_cats, sample_cats
    x = lambda: torch.from_numpy(faces(3))
    rows = torch.arange(3000)
    yield 'train', lambda: x()[rows % 6 != 0][torch.linspace(0, 2499, N).long()]
    for out, r in runs():
        for k in MEASURED:
            for kind in 'ema', 'raw':
                if (kind == 'ema') == bool(r.ema) and (f := out/f'generator-{k}-{kind}.safetensors').exists():
                    yield f'{out.name}-{k}', lambda f=f: sample_cats(N, 0, load_cats(f)).mul(255).round().byte().expand(-1, 3, -1, -1)
        last = out/'generator.safetensors'
        if last.exists() and (steps := steps_done(out)) not in MEASURED: yield f'{out.name}-{steps}', lambda f=last: sample_cats(N, 0, load_cats(f)).mul(255).round().byte().expand(-1, 3, -1, -1)
    yield 'held-out', lambda: x()[rows % 6 == 0][:N]

def measure(minutes=None, only=()):
    import warnings
    import torch
    from srgan_course.cats import nearest_faces
    from srgan_course.fid import fid, inception_score, kid, precision_recall
    from srgan_course.metrics import save_result
    end, start, figures, real = time.monotonic() + 60*(minutes or 1e9), time.monotonic(), {}, {}
    for name, pictures in sets():
        if only and name not in ('train', 'held-out') and not any(name.startswith(o) for o in only): continue
        files = [RUNS/'features'/f'{name}-{net}.npy' for net in NETS]
        if not all(f.exists() for f in files) and time.monotonic() > end: continue
        x = None if all(f.exists() for f in files) else pictures()
        fs = {net: measured(x, name, net) for net in NETS}
        if name == 'train': real = fs; continue
        row = {}
        for net, f in fs.items():
            with warnings.catch_warnings():
                warnings.simplefilter('ignore', UserWarning)
                if f.dims < N: row[f'fid_{net}'] = round(float(fid(f, real[net])), 3)
            k = kid(f, real[net])
            row[f'kid_{net}'], row[f'kid_{net}_interval'] = round(float(k), 5), [round(v, 5) for v in k.interval]
        p, q = precision_recall(fs[NETS[0]], real[NETS[0]])
        row |= dict(precision=round(float(p), 3), recall=round(float(q), 3))
        extra = RUNS/'features'/f'{name}.json'
        if not extra.exists():
            x = pictures() if x is None else x
            seen = torch.from_numpy(faces(3))[torch.arange(3000) % 6 != 0]
            d = nearest_faces(x.float()/255, seen)[0]
            more = dict(nearest=round(d.mean().item(), 4), nearest_least=round(d.min().item(), 4))
            try: s = inception_score(x[:200], 'squeezenet-caffe@logits', splits=5); more |= dict(classifier_score=round(float(s), 3), classifier_score_spread=round(float(s.spread), 3))
            except (FileNotFoundError, ImportError): pass
            extra.write_text(json.dumps(more))
        figures[name] = row | json.loads(extra.read_text())
        print(name, figures[name], flush=True)
    half = (RUNS/'features'/'precision.txt').read_text()
    save_result(RESULTS/'cats_study.json', 'cat faces from noise: two recipes and what changes one of them', figures, 'SRGAN_DATA/catfaces (3,000 at 64 px; every sixth held out)', N,
                protocol=f"n={N} made pictures of noise seed 0 against {N} of the training pictures (held-out: {min(N, 500)} real ones against the same); FID only where n is above the number of features; pytorch-fid's Inception to 768 or 192 features (the 2048 need weights that cannot be had offline), its resize, {half}; KID with 95 % interval; "
                         'precision and recall with 3 neighbours at 768; classifier score: SqueezeNet 1.1 (Caffe) on the first 200, 5 splits; nearest: root mean square difference at 32 px to the nearest of the 2,500 training pictures or mirror images',
                recipe={o.name: dict(lr=r.lr, crit_lr=r.crit_lr, beta1=r.beta1, norm=r.norm, adv=r.adv, ema=r.ema, policy=r.policy, channels=r.channels, dense=r.dense, nf=r.nf, crit_nf=r.crit_nf, bs=r.bs) for o, r in runs() if any(n.startswith(o.name + '-') for n in figures)},
                seconds=round(time.monotonic() - start, 1))

def ship(name='dcgan-cats', run='cats-42'):
    "Put the generator of a run into the package: float16 weights, a sheet of 64 cats that nobody has picked, the card."
    import torch
    from srgan_course.cats import CatsRecipe, cat_sheet, load_cats, sample_cats
    from srgan_course.generators import count_params, read_model, save_model
    from srgan_course.images import save_image
    out, models = RUNS/run, ROOT/'srgan_course'/'models'
    net, r = load_cats(out/'generator.safetensors'), CatsRecipe.load(out/'recipe.json')
    steps, seconds = int(net.meta['steps']), float(net.meta['seconds'])
    file = save_model(net, models/f'{name}.safetensors', dtype=torch.float16, licence='Apache-2.0', data='catfaces', card=f'{name}.md', recipe=net.meta['recipe'], steps=str(steps))
    for f in models/f'{name}-samples.jpg', ROOT/'nbs'/'images'/'cats.jpg': save_image(cat_sheet(sample_cats(64, 0, file)), f, quality=85)
    study = json.loads((RESULTS/'cats_study.json').read_text(encoding='utf-8')) if (RESULTS/'cats_study.json').exists() else dict(figures={}, protocol='')
    key, lines = f'{run}-{steps}', []
    if f := study['figures'].get(key):
        fig = dict(fid_768=f.get('fid_inception@768'), fid_192=f['fid_inception@192'], kid_768=f['kid_inception@768'], kid_768_interval=f['kid_inception@768_interval'], n=N, precision=f['precision'], recall=f['recall'])
        if fig['fid_768'] is None: del fig['fid_768']
        (RESULTS/f'{name}-fid.json').write_text(json.dumps({**study, 'name': f'{name}-fid', 'what': f'{name}: what it makes against its training pictures', 'figures': fig}, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
        lo, hi = fig['kid_768_interval']
        lines = ['', '## Figures', '', f"`{name}` against {N} of its training pictures, {N} samples of seed 0: KID {fig['kid_768']:.4f} (interval {lo:.4f} to {hi:.4f}) by `inception@768`, FID {fig['fid_192']:.2f} by `inception@192`. "
                 f"Precision {fig['precision']:.2f}, recall {fig['recall']:.2f}. These are not the 2048-feature figures that papers give: those weights cannot be had offline, and the two do not compare."]
    (models/f'{name}.md').write_text('\n'.join([f'# {name}', '', 'Makes faces of cats, 64 x 64 pixels, from noise: `srgan-cats`.', '', '| | |', '|---|---|',
        f"| network | `DCGANGenerator({', '.join(f'{k}={v}' for k, v in net.args.items())})`: {count_params(net):,} parameters |",
        f'| file | `{name}.safetensors`, float16 weights, {file.stat().st_size:,} bytes, licence Apache-2.0 |',
        '| trained on | 2,500 of the 3,000 cat faces of `catfaces` (AnnikaV9/cat-dataset, cleaned; every sixth held out) |',
        "| terms of the data | the repository states MIT; its five sources have their own terms (Oxford pets CC BY-SA 4.0, Pixabay's licence, Flickr's terms for COCO's pictures; none found for the others). No picture of them is in the file |",
        f'| recipe | `{r.name}`: {r.adv} loss, spectral norm in the critic, Adam {r.lr:g} (first beta {r.beta1:g}) for both, batches of {r.bs}, average of weights (EMA {r.ema:g}), mirrored pictures |',
        f'| steps, seed | {steps:,} steps, seed {r.seed}; {seconds/60:.0f} minutes on a part of one core of a shared virtual machine |',
        '| made by | `python benchmarks/cats.py train`, then `measure` and `ship` |', *lines, '', '## What it makes', '', f'![64 cats of seed 0]({name}-samples.jpg)', '',
        'The first 64 of seed 0: 64 were made and 64 are shown.', '', '## Where it fails', '',
        'It was stopped early, on two cores. Faces are soft; eyes differ in size and colour; the two halves of a face need not belong to one cat; ears and background run into each other. It knows frontal faces only.', '', '## What it must not be used for', '',
        'Passing its pictures off as photographs of animals that exist.']) + '\n', encoding='utf-8')
    print(f'{file}: {file.stat().st_size:,} bytes, {steps} steps')

def sampling(rounds=3):
    "Seconds from nothing to 64 cats in a file, against importing torch; fresh processes in turns."
    import tempfile
    from srgan_course.metrics import save_result
    t = {'torch': [], 'cats': []}
    with tempfile.TemporaryDirectory() as tmp:
        for _ in range(rounds):
            for k, cmd in {'torch': ['-c', 'import torch'], 'cats': ['-m', 'srgan_course', 'cats', '--n', '64', '--seed', '1', '--out', f'{tmp}/cats.png']}.items():
                s = time.perf_counter(); subprocess.run([sys.executable, *cmd], check=True, cwd=ROOT, stdout=subprocess.DEVNULL); t[k].append(time.perf_counter() - s)
    f = dict(import_torch_s=round(statistics.median(t['torch']), 2), sample_64_s=round(statistics.median(t['cats']), 2), more_s=round(statistics.median(b - a for a, b in zip(t['torch'], t['cats'])), 2))
    print(f, flush=True)
    save_result(RESULTS/'cats_sampling.json', '64 cats from a cold start, against importing torch alone', f, 'none', rounds, protocol=f'median of {rounds} rounds, in turns, fresh processes; srgan-cats --n 64 with dcgan-cats')

def step(rounds=3, threads=None):
    "A critic + generator step of DCGAN (64 px, 64 channels, batch 64): ours in bfloat16 and float32 against stock fastai in turns (two of its batches make a step)."
    import warnings
    import torch
    from fastai.data.core import DataLoaders
    from fastai.data.load import DataLoader
    from fastai.vision.gan import FixedGANSwitcher, GANLearner
    from torch.nn import functional as F
    from srgan_course.cats import CatsRecipe, DCGANCritic, DCGANGenerator
    from srgan_course.gan import SRGANLearner
    from srgan_course.metrics import save_result
    sys.path.insert(0, str(ROOT/'benchmarks'))
    from gan_step import quiet, timed
    torch.set_num_threads(threads or min(2, os.cpu_count() or 1))
    g = torch.Generator().manual_seed(0)
    z, x = torch.randn(64, 100, generator=g), torch.rand(64, 3, 64, 64, generator=g)*2 - 1
    def dls(n): return DataLoaders(DataLoader([(z, x)]*n, bs=None), DataLoader([(z, x)], bs=None))
    bce = F.binary_cross_entropy_with_logits
    gen = lambda fake_pred, output, target: bce(fake_pred, torch.ones_like(fake_pred))
    crit = lambda real_pred, fake_pred: bce(real_pred, torch.ones_like(real_pred)) + bce(fake_pred, torch.zeros_like(fake_pred))
    def nets(): torch.manual_seed(0); return DCGANGenerator(), DCGANCritic()
    ours = lambda precision: timed(quiet(SRGANLearner(dls(1), *nets(), gen, crit, lr=2e-4, betas=(.5, .999), precision=precision)), 1)
    stock = timed(quiet(GANLearner(dls(2), *nets(), gen, crit, switcher=FixedGANSwitcher(1, 1), lr=2e-4)), 2)
    def quietly():
        with warnings.catch_warnings(): warnings.simplefilter('ignore'); return stock()
    kinds, t = {'stock_float32': quietly, 'ours_float32': ours('float32'), 'ours_bfloat16': ours('bfloat16')}, {}
    for f in kinds.values(): f(); f()
    for _ in range(rounds):
        for k, f in kinds.items(): t.setdefault(k, []).append(f())
    ratio = lambda a, b: round(statistics.median(p/q for p, q in zip(t[a], t[b])), 2)
    f = {k: round(statistics.median(v), 3) for k, v in t.items()} | dict(ratio_bfloat16=ratio('stock_float32', 'ours_bfloat16'), ratio_float32=ratio('stock_float32', 'ours_float32'))
    print(f, flush=True)
    save_result(RESULTS/'cats_step.json', "a critic + generator step of DCGAN against stock fastai's GANLearner", f, 'random pictures', rounds,
                protocol=f'64 px, 64 channels, batch 64, BCE; seconds are medians of {rounds} rounds in turns, ratios medians of each round; bfloat16 against its float32, and at equal precision; {torch.get_num_threads()} threads', spread={k: [round(min(v), 3), round(max(v), 3)] for k, v in t.items()})

if __name__ == '__main__':
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument('what', choices=('train', 'measure', 'ship', 'step', 'sampling'))
    ap.add_argument('--minutes', type=float)
    ap.add_argument('--only', nargs='+', default=[])
    args = ap.parse_args()
    {'train': lambda: train(args.minutes, args.only), 'measure': lambda: measure(args.minutes, args.only), 'ship': ship, 'step': step, 'sampling': sampling}[args.what]()
