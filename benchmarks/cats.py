#!/usr/bin/env python3
"""Cats from noise: train the recipes of lesson 18 on SRGAN_DATA/catfaces, at the same numbers of steps, several seeds; then measure what
they make.

usage: cats.py train [--minutes M] [--only ARM...]     go on with the arms below, in their order, until the time is over; without
--minutes, say where they stand
       cats.py measure [--minutes M]                   FID, KID, precision, recall and classifier score of every generator that was
       kept; writes results/cats_study.json
       cats.py study --minutes M                       both, one after the other
       cats.py stages                                  the figures of `cats` after 300, 1,000, 5,000, ... steps; writes
       results/cats_long.json
       cats.py ship                                    put the best generator into the package, with its card
       cats.py step                                    a step against stock fastai's GANLearner in turns; writes results/cats_step.json
       cats.py sampling                                64 cats from a cold start; writes results/cats_sampling.json
       cats.py trials [--minutes M] [--only ARM...]    `TRIALS` against their base, 1,000 steps each, three seeds, each change alone,
       against the held-out faces; writes results/cats_trials.json
       cats.py long [--minutes M] [--file PACK]        go on with the run that ships (`cats`), from a packed checkpoint where there is none;
       without --minutes, say where it stands
       cats.py look [--out FOLDER]                     its figures against the held-out faces at this moment, and a sheet; the run may
       be going on meanwhile
       cats.py viewer --file ANSWERS                   64 cats of the model that ships, of a seed that no sheet shows, in
       runs/cats/viewer.png; where ANSWERS exists (a line for each: number, what it is, ears, eyes, good|odd|broken), counts them;
       writes results/cats_viewer.json
       cats.py pack --file PACK [--out FOLDER]         its last checkpoint, small enough to be kept: weights and their average as
       float16, of Adam's memory one number a filter

Runs stand in runs/cats/ARM-SEED, with a checkpoint every 100 steps: a call that is stopped goes on where it was, to the last bit on the
same machine.
"""
import copy, csv, json, os, statistics, subprocess, sys, time
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
import frame
from frame import RESULTS, ROOT, in_turns, kept, ledger, median, parser, ratio, read_json, seconds, time_left, write_json

RUNS = frame.RUNS/'cats'
KEEP = 300, 1000, *range(5000, 100_001, 5000)    # steps after which the generator is kept
NORM = dict(batch='batch norm', spectral='spectral norm', none='no norm')
SHORT = 300                               # steps of the comparisons
# arm -> recipe, what is changed, steps, seeds; the short ones have batches of 32, critics of 32 channels and a constant rate
SAME = dict(bs=32, crit_nf=32)
FLAT = dict(repeat=False, policy='', ema=.995, anneal=0.)      # `cats` with transposed convolutions and without augmentation
SEEDS = 42, 1, 2
ARMS = {'cats': ('cats', {}, None, (42,)), 'flat': ('cats', FLAT, SHORT, SEEDS), 'student': ('student', SAME, SHORT, SEEDS),
        'dcgan': ('dcgan', SAME | dict(nf=32), SHORT, SEEDS), 'repeat': ('cats', FLAT | dict(repeat=True), SHORT, SEEDS),
        'shift': ('cats', FLAT | dict(policy='shift'), SHORT, SEEDS),
        'augment': ('cats', FLAT | dict(policy='colour+shift+hole'), SHORT, SEEDS),
        'spectral': ('cats', FLAT | dict(norm='spectral'), SHORT, SEEDS),
        'adam-1e-3': ('cats', FLAT | dict(lr=1e-3, crit_lr=1e-3, beta1=.9), SHORT, SEEDS),
        'bce': ('cats', FLAT | dict(adv='bce'), SHORT, SEEDS), 'ra-bce': ('cats', FLAT | dict(adv='ra-bce'), SHORT, SEEDS)}

def runs():
    "(folder, recipe) of every run, in the order of what matters."
    from srgan_course.cats import CatsRecipe
    from srgan_course.kit.recipe import get_recipe
    for arm, (base, kw, steps, seeds) in ARMS.items():
        r = get_recipe(base, CatsRecipe)
        for s in seeds:
            yield RUNS/f'{arm}-{s}', r.replace(**kw, seed=s, **(dict(epochs=1, steps_per_epoch=steps) if steps else {}))

def faces(channels):
    "The cat faces as bytes, kept beside the runs: opening 3,000 files takes longer than a hundred steps."
    from srgan_course.kit.faces import load_faces
    from srgan_course.kit.sources import find_source
    return kept(RUNS/f'faces-{channels}.npy', lambda: load_faces(find_source('catfaces'), 64, channels))

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
    from srgan_course.kit.checkpoints import checkpoints
    found = checkpoints(out/'checkpoints')
    return int(found[-1].stem.split('-')[1]) if found else 0

def train(minutes=None, only=()):
    from srgan_course.cats import train_cats
    left = time_left(minutes)
    todo = [x for o in only for x in runs() if x[0].name == o or x[0].name.startswith(f'{o}-')] if only else runs()
    for out, r in todo:
        if minutes and steps_done(out) < r.steps and (m := left()/60) > .7:
            go = lambda: train_cats(r, faces(r.channels), out, resume=True, minutes=max(m - .3, .2), cbs=[keeper(out)],
                                    sample_every=max(SHORT, r.steps//20))
            print(f'{seconds(go):.0f} s', flush=True)
        print(f'{out.name:14} {steps_done(out):5} of {r.steps} steps', flush=True)

# `flat`, for longer
TRIAL = dict(bs=32, steps_per_epoch=1000, epochs=1, nf=32, crit_nf=32, adv='hinge', lr=5e-4, crit_lr=5e-4, ema=.995)
TRIALS = {'base': {}, 'augment': dict(policy='colour+shift+hole'), 'refine': dict(refine=True), 'spread': dict(spread=True),
          'wide': dict(nf=48, crit_nf=48), 'r1': dict(r1=.05, norm='none', adv='bce'), 'excite': dict(excite=True),
          'patches': dict(patches=True),
          'shift': dict(policy='shift'), 'shift-smooth': dict(policy='shift', smooth=True),
          'shift-repeat': dict(policy='shift', repeat=True),
          'spectral': dict(norm='spectral'), 'no-norm': dict(norm='none', adv='bce'),
          'lr-1e-3': dict(lr=1e-3, crit_lr=1e-3), 'lr-2e-4': dict(lr=2e-4, crit_lr=2e-4), 'two-rates': dict(lr=2.5e-4, crit_lr=1e-3),
          'bs-16': dict(bs=16), 'bs-64': dict(bs=64), 'all': dict(policy='colour+shift+hole', refine=True, spread=True)}

@lru_cache
def grown():
    """(generator, critic, recipe, learner) of lesson 18 with what the trials of 1,000 steps added; their names, and those of their weights
    and fields, are to stay, so that checkpoints stay readable."""
    from dataclasses import dataclass
    import srgan_course.gan as gan
    import srgan_course.watching as watching
    import srgan_course.cats as C
    import torch
    from fastai.callback.core import Callback
    from torch import nn
    from torch.nn import functional as F
    from srgan_course.losses import CriticLoss, WeightedLoss, plain

    class Refine(nn.Module):
        "What a 3x3 convolution finds is added; the side stays."
        def __init__(self, n): super().__init__(); self.conv, self.norm = nn.Conv2d(n, n, 3, 1, 1, bias=False), nn.BatchNorm2d(n)
        def forward(self, x): return F.relu(x + self.norm(self.conv(x)))

    class Smooth(nn.ConvTranspose2d):
        "A transposed convolution whose output is smoothed by 1-2-1 both ways: nothing is left of the finest grid of dots."
        def forward(self, x):
            k = torch.tensor([1., 2., 1.], device=x.device)/4
            y = F.conv_transpose2d(x, self.weight, stride=2)                    # two pixels wider than wanted, which the smoothing eats
            return F.conv2d(y, (k[:, None]*k).expand(y.shape[1], 1, 3, 3).to(y.dtype), groups=y.shape[1])

    def smoothed(up):
        "The same weights; drawing none leaves the random numbers as they were."
        new = Smooth(up.in_channels, up.out_channels, 4, bias=False, device='meta'); new.weight = up.weight
        return new

    class Excite(nn.Module):
        "FastGAN's skip-layer excitation: an early, small map says how much each channel of a later one counts."
        def __init__(self, ni, no):
            super().__init__()
            self.net = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Conv2d(ni, no, 4), nn.LeakyReLU(.1), nn.Conv2d(no, no, 1), nn.Sigmoid())
        def forward(self, small, large): return large*self.net(small)

    class DCGANGenerator(C.DCGANGenerator):
        def __init__(self, size=64, nz=100, nf=64, channels=3, dense=0, repeat=0, refine=0, excite=0, smooth=0):
            super().__init__(size, nz, nf, channels, dense, repeat=repeat)
            self.args |= {k: 1 for k, on in dict(refine=refine, excite=excite, smooth=smooth).items() if on}   # else lesson 18's
            widths = [up[1].num_features for up in self.body]; first = self.start[1].num_features
            if refine: self.body = nn.Sequential(*[m for up, n in zip(self.body, widths) for m in (up, Refine(n))])
            if excite: self.excite = nn.ModuleList([Excite(i, o) for i, o in zip([first, *widths], widths[1:])])
            if refine or excite: C.init_dcgan(self)
            if smooth:
                for up in self.body: up[0] = smoothed(up[0])
                self.last = smoothed(self.last)
        def forward(self, z):
            if 'excite' not in self.args: return super().forward(z)
            x, k = [self.start(z.reshape(len(z), self.nz, 1, 1))], 1 + ('refine' in self.args)
            for i in range(len(self.body)//k):
                y = self.body[i*k:i*k + k](x[-1])
                x.append(self.excite[i - 1](x[i - 1], y) if i else y)
            return self.last(x[-1]).tanh()

    class DCGANCritic(C.DCGANCritic):
        def __init__(self, size=64, nf=64, channels=3, norm='batch', augment='', spread=False, patches=False):
            super().__init__(size, nf, channels, norm, augment)
            self.args |= dict(spread=spread, patches=patches)
            if spread: self.head = nn.Conv2d(self.head.in_channels + 1, 1, 4, 1, 0, bias=False)
            if patches: self.patch = nn.Conv2d(self.body[-1][0].in_channels, 1, 3, 1, 1, bias=False)
            for m in ([self.head] if spread else []) + ([self.patch] if patches else []):
                C.init_dcgan(m)
                if norm == 'spectral': nn.utils.parametrizations.spectral_norm(m)
        def forward(self, x):
            near = self.body[:-1](C.diff_augment(plain(x), self.augment if self.training else ''))
            f = self.body[-1](near)
            with torch.autocast(f.device.type, enabled=False):
                f = f.float()
                # how much the pictures of the batch differ
                if self.args['spread']:
                    f = torch.cat([f, (f.var(0, unbiased=False) + 1e-8).sqrt().mean().expand(len(f), 1, *f.shape[2:])], 1)
                said = self.head(f).flatten(1)
                if not self.args['patches']: return said
                parts = self.patch(near.float()).flatten(1)
                return torch.cat([said.expand_as(parts), parts], 1)     # the whole counts as much as all of its parts

    class R1(Callback):
        "Every so many steps the critic pays for how steeply it answers around real pictures."
        def __init__(self, weight, every): self.weight, self.every = weight, every
        def before_backward(self):
            learn = self.learn
            if learn.player != 'critic' or (learn.n_steps + 1) % self.every: return
            x = plain(learn.yb[0]).detach().requires_grad_()
            with learn.loss_func.amp(): said = learn.model.critic(x)
            g, = torch.autograd.grad(said.sum(), x, create_graph=True)
            pen = self.weight/2*g.square().sum((1, 2, 3)).mean()
            learn.loss_func.crit_loss_func.parts['r1'] = pen.detach()
            learn.loss_grad = learn.loss_grad + self.every*pen

    @dataclass(frozen=True)
    class CatsRecipe(C.CatsRecipe):
        refine:bool = False    # a 3x3 convolution after each doubling of the generator
        smooth:bool = False    # the doublings of the generator are smoothed
        excite:bool = False    # skip-layer excitation in the generator
        spread:bool = False    # the critic is told how much the pictures of a batch differ
        patches:bool = False   # the critic judges parts of the picture, too
        r1:float = 0.          # weight of the gradient penalty; 0: none
        r1_every:int = 8       # steps from one penalty to the next

    def learner(r, dls, cbs=(), **kwargs):
        adv = C.make_adv(r.adv, r.real_label)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(r.seed)
            gen = DCGANGenerator(r.size, r.nz, r.nf, r.channels, r.dense, r.repeat, r.refine, r.excite, r.smooth)
            crit = DCGANCritic(r.size, r.crit_nf, r.channels, r.norm, r.policy, r.spread, r.patches)
        cbs = ([watching.EMA(r.ema)] if r.ema else []) + ([R1(r.r1, r.r1_every)] if r.r1 else []) + list(cbs)
        return gan.SRGANLearner(dls, gen, crit, WeightedLoss(adversarial=(adv, 1.)), CriticLoss(adv), lr=r.lr, crit_lr=r.crit_lr,
                                betas=(r.beta1, .999), precision=r.precision, recipe=r, cbs=cbs, **kwargs)
    return SimpleNamespace(DCGANGenerator=DCGANGenerator, DCGANCritic=DCGANCritic, CatsRecipe=CatsRecipe, learner=learner)

def play(r, out, minutes, **kwargs):
    "Go on with a run of `grown` networks; a stop (Ctrl-C, SIGTERM, the time) leaves a checkpoint."
    from unittest.mock import patch
    import torch
    import srgan_course.cats as C
    torch.set_num_threads(1)
    if minutes and steps_done(out) < r.steps:
        with patch.object(C, 'cats_learner', grown().learner):
            C.train_cats(r, faces(3), out, resume=True, minutes=minutes, save_every=100, **kwargs)
    print(f'{out}: {steps_done(out)} of {r.steps} steps', flush=True)

def long(minutes=None, file=None):
    "Go on with the long run."
    if file and not steps_done(RUNS/'cats-42'): unpack(file, RUNS/'cats-42')
    train(minutes, ('cats-42',))

def trials(minutes=None, only=()):
    "Each change alone; what is trained is judged at once."
    g, left, start, figures, recipes = grown(), time_left(minutes), time.perf_counter(), {}, {}
    todo = [(a, s) for s in (1, 2, 3) for a in TRIALS if not only or a in only]     # a seed of every arm before the next
    for arm, seed in todo:
        out, r = RUNS/f'trial-{arm}-{seed}', g.CatsRecipe(f'trial-{arm}', seed=seed, **(TRIAL | TRIALS[arm]))
        m = left()/60 if minutes else 0
        play(r, out, m - 1 if m > 2 else None, sample_every=r.steps)
        if steps_done(out) == r.steps and (m > 1 or (RUNS/'features'/f'{out.name}-{r.steps}-against-held-out.json').exists()):
            figures[out.name], recipes[out.name] = look(out), r.to_json()
    if minutes and figures:
        ledger('cats_trials', 'cat faces from noise: changes of one recipe, each alone', figures, DATA, N, start,
               protocol=f'{TRIAL["steps_per_epoch"]} steps; n={N} made pictures of noise seed 0 against {N} of the held-out faces; '
                        f'features and intervals as in cats_study', recipe={k: json.loads(v) for k, v in recipes.items()},
               not_measured=[f'trial-{a}-{s}' for a, s in todo if f'trial-{a}-{s}' not in figures])

def pack(file, out=None):
    """Keep the last checkpoint of the long run in a file of a quarter of its size; what goes on from it has the same weights to float16,
    the same steps of Adam, and no momentum at first."""
    from srgan_course.kit.checkpoints import latest_checkpoint, write_checkpoint
    path, t, p = latest_checkpoint(Path(out or RUNS/'cats-42')/'checkpoints', read=True)
    shapes = {k: list(v.shape) for k, v in t.items() if k.startswith('opt/') and k.endswith(('/exp_avg', '/exp_avg_sq'))}
    small = {k: v.flatten(1).mean(1) if k in shapes and v.dim() > 1 else v.half() if k.startswith(('model/', 'cb.'))
             and v.is_floating_point() and v.dim() > 1 else v
             for k, v in t.items() if not (k in shapes and k.endswith('/exp_avg'))}
    write_checkpoint(file, small, p | dict(packed=shapes))
    print(f'{path.name}, {path.stat().st_size:,} bytes -> {file}, {Path(file).stat().st_size:,} bytes')

def unpack(file, out):
    "Make a packed checkpoint whole again, in the folder of a run."
    import torch
    from srgan_course.kit.checkpoints import read_checkpoint, write_checkpoint
    t, p = read_checkpoint(file)
    whole = {k: v.float() if v.dtype == torch.float16 else v for k, v in t.items()}
    for k, shape in p.pop('packed').items():
        v = whole.get(k, torch.zeros(shape[:1]))      # (out channels,), or as it was where it had one dimension
        whole[k] = v.view(-1, *[1]*(len(shape) - 1)).expand(shape).contiguous()
    # no recipe: the class may have got more fields since
    write_checkpoint(Path(out)/'checkpoints'/f'step-{p["n_steps"]:08d}.safetensors', whole, p | dict(recipe=None))

def look(out=None):
    "Figures of the averaged generator in the last checkpoint against held-out faces, and 64 cats that nobody has picked."
    import torch
    from srgan_course.cats import make_faces, noise, settle
    from srgan_course.kit.show import sheet
    from srgan_course.kit.checkpoints import latest_checkpoint
    from srgan_course.images import save_image
    torch.set_num_threads(1)
    out, g = Path(out or RUNS/'cats-42'), grown()
    _, t, p = latest_checkpoint(out/'checkpoints', read=True)
    r, n = g.CatsRecipe.load(out/'recipe.json'), p['n_steps']
    net = g.DCGANGenerator(r.size, r.nz, r.nf, r.channels, r.dense, r.repeat, r.refine, r.excite, r.smooth)
    net.load_state_dict({k.removeprefix('cb.ema/'): v for k, v in t.items() if k.startswith('cb.ema/')})
    x, held = make_faces(settle(net), noise(N, r.nz, 0)), torch.from_numpy(faces(3))[torch.arange(3000) % 6 == 0][:N]
    save_image(sheet(x[:64]), out/f'sheet-{n}.png')
    row = judge(f'{out.name}-{n}-against-held-out', lambda: x.mul(255).round().byte(), measured(lambda: held, 'held-out'))
    print(out.name, n, row, flush=True)
    return row

NETS = 'inception@768', 'inception@192'
N = int(os.environ.get('CATS_N', 300))     # pictures of a set; 500 are held out
DATA = 'SRGAN_DATA/catfaces (3,000 at 64 px; every sixth held out)'
GREY = 'flat', 'student', 'held-out'       # judged without colour as well: the student's recipe makes grey pictures

def measured(pictures, name):
    """Both kinds of features of bytes (n,3,64,64) from one pass, kept beside the runs; the net computes in bfloat16 where a processor has
    it (the same for every set)."""
    import numpy as np, torch
    from srgan_course.kit.devices import pick_precision
    from srgan_course.kit.features import pooled_net
    from srgan_course.kit.sets import FeatureSet, features
    files = [RUNS/'features'/f'{name}-{net}.npy' for net in NETS]
    if not all(f.exists() for f in files):
        half, net, early = pick_precision() == 'bfloat16', pooled_net(NETS[0]), []
        hook = net.net.maxpool2.register_forward_hook(lambda m, i, y: early.append(y.float().mean((2, 3)).numpy()))
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=half): late = features(pictures(), net, bs=25).x
        hook.remove(); files[0].parent.mkdir(parents=True, exist_ok=True)
        for f, x in zip(files, (late, np.concatenate(early))): np.save(f, x)
        (RUNS/'features'/'precision.txt').write_text('bfloat16' if half else 'float32')
    notes = dict(net=NETS[0], resize='bilinear 299'), dict(net=NETS[1], resize='bilinear 299')
    return {net: FeatureSet(np.load(f), note) for net, f, note in zip(NETS, files, notes)}

def grey(x):
    "Bytes (n,3,H,W) without colour."
    import torch
    y = (x.float()*torch.tensor([.299, .587, .114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return y.round().clamp(0, 255).byte().expand(-1, 3, -1, -1).contiguous()

def sets():
    "(name, function that gives bytes): real cats to train on, held out, and what each kept generator makes of seed 0."
    import torch
    from srgan_course.cats import load_cats, sample_cats
    made = lambda f: lambda: sample_cats(N, 0, load_cats(f)).mul(255).round().byte().expand(-1, 3, -1, -1).contiguous()
    def real(held):
        x, sixth = torch.from_numpy(faces(3)), torch.arange(3000) % 6 == 0
        return x[sixth][:N] if held else x[~sixth][torch.linspace(0, 2499, N).long()]
    found = [('train', lambda: real(False)), ('held-out', lambda: real(True))]
    for out, r in runs():
        arm, n = out.name.rsplit('-', 1)[0], steps_done(out)
        if arm == 'cats':
            if (f := out/'generator.safetensors').exists() and n: found.append((f'{out.name}-{n}', made(f)))
        elif (f := out/f'generator-{SHORT}-{"ema" if r.ema else "raw"}.safetensors').exists():
            found.append((f'{out.name}-{SHORT}', made(f)))
            if arm == 'flat':
                found.append((f'no-average-{out.name.rsplit("-", 1)[1]}-{SHORT}', made(out/f'generator-{SHORT}-raw.safetensors')))
    for name, f in found: yield name, f
    for name, f in found:
        if name == 'train' or name.startswith(GREY): yield f'{name}-grey', lambda f=f: grey(f())

def wilson(k, n, z=1.96):
    "95 % interval of a share of k in n."
    p, d = k/n, 1 + z*z/n
    off = z*(p*(1 - p)/n + z*z/4/n/n)**.5
    return [round((p + z*z/2/n - off)/d, 3), round((p + z*z/2/n + off)/d, 3)]

def judge(name, pictures, real):
    "All figures of a set against `real`, kept beside the runs."
    return kept(RUNS/'features'/f'{name}.json', lambda: judged(name, pictures, real))

def judged(name, pictures, real):
    import torch
    from srgan_course.kit.faces import nearest_faces
    from srgan_course.fid import fid, inception_score, kid, precision_recall
    fs, row = measured(pictures, name), {}
    few, many = (k.split('@')[1] for k in NETS[::-1])
    f = fid(fs[NETS[1]], real[NETS[1]], draws=100)
    row[f'fid_{few}'], row[f'fid_{few}_interval'] = round(float(f), 2), [round(v, 2) for v in f.interval]
    k = kid(fs[NETS[0]], real[NETS[0]])
    row[f'kid_{many}'], row[f'kid_{many}_interval'] = round(float(k), 5), [round(v, 5) for v in k.interval]
    for key, v in zip(('precision', 'recall'), precision_recall(fs[NETS[0]], real[NETS[0]])):
        row[key], row[f'{key}_interval'] = round(float(v), 3), wilson(round(float(v)*N), N)
    if not name.endswith('-grey'):
        x = pictures()
        d, _ = nearest_faces(x, torch.from_numpy(faces(3))[torch.arange(3000) % 6 != 0])
        row |= dict(nearest=round(d.mean().item(), 4), nearest_least=round(d.min().item(), 4))
        try:
            c = inception_score(x, 'squeezenet-caffe@logits', splits=5)
            row |= dict(classifier_score=round(float(c), 3), classifier_score_spread=round(float(c.spread), 3))
        except (ImportError, OSError): pass
    return row

def words(name):
    "What the critic said in the last 50 steps, in the mean: how often it was right, and D(x), D(G(z)) where it says a probability."
    file = RUNS/name.removesuffix('-grey').rsplit('-', 1)[0]/'history.csv'
    if name.endswith('-grey') or not file.exists(): return {}
    rows = [r for r in csv.DictReader(file.open()) if r['crit_acc']][-50:]
    names = dict(crit_acc='critic_right', d_real='d_real', d_fake='d_fake')
    return {v: round(statistics.mean(float(r[k]) for r in rows), 3) for k, v in names.items() if rows and rows[0].get(k)}

def measure(minutes=None, only=()):
    more, start, figures, real, left = time_left(minutes), time.perf_counter(), {}, {}, []
    for name, pictures in sets():
        if only and not name.startswith(('train', 'held-out', *only)): continue
        if name in ('train', 'train-grey'):
            if name == 'train' or more() > 0 or any((RUNS/'features').glob('*-grey.json')):
                real[name] = measured(pictures, name)
            continue
        if not (RUNS/'features'/f'{name}.json').exists() and (more() < 0 or name.endswith('-grey')
                                                              and 'train-grey' not in real):
            left.append(name); continue
        figures[name] = judge(name, pictures, real['train-grey' if name.endswith('-grey') else 'train']) | words(name)
        print(name, figures[name], flush=True)
    half = (RUNS/'features'/'precision.txt').read_text()
    todo = left + [o.name for o, r in runs() if steps_done(o) < r.steps]
    ledger('cats_study', 'cat faces from noise: two recipes and what changes one of them', figures, DATA, N, start,
                protocol=f"n={N} made pictures of noise seed 0 against {N} of the training pictures (held-out: {N} real ones against the "
                         f"same); pytorch-fid's Inception up to its 192 features for FID, for which n suffices, and up to 768 for KID, "
                         f"precision and recall with 3 neighbours (the 2048 need weights that cannot be had offline), its resize, {half}; "
                         '95 % intervals: FID and KID by bootstrap, precision and recall after Wilson; classifier score: SqueezeNet 1.1 '
                         '(Caffe), 5 splits; D(x), D(G(z)): mean of the last 50 steps; nearest: root mean square difference at 32 px to '
                         'the nearest of the 2,500 training pictures or mirror images; names: recipe, seed, steps; grey: all pictures '
                         'without colour',
                recipe={o.name: dict(lr=r.lr, crit_lr=r.crit_lr, beta1=r.beta1, norm=r.norm, adv=r.adv, ema=r.ema, anneal=r.anneal,
                                     policy=r.policy, channels=r.channels, dense=r.dense, nf=r.nf, crit_nf=r.crit_nf, bs=r.bs)
                        for o, r in runs() if any(n.startswith(o.name + '-') for n in figures)}, not_measured=todo)

def stages(run='cats-42'):
    "How good the run that ships is after so many steps; writes results/cats_long.json."
    from srgan_course.cats import CatsRecipe, load_cats, sample_cats
    start, out = time.perf_counter(), RUNS/run
    r, (train_set, held) = CatsRecipe.load(out/'recipe.json'), [f for _, f in zip(range(2), (f for _, f in sets()))]
    real = measured(train_set, 'train')
    figures = {'held-out': judge('held-out', held, real)}
    rows = [(int(x['step']), float(x['crit_acc'])) for x in csv.DictReader((out/'history.csv').open()) if x['crit_acc']]
    def said(n): return dict(critic_right=round(statistics.mean([a for k, a in rows if n - 500 < k <= n]), 3))
    for n in KEEP:
        if not (f := out/f'generator-{n}-ema.safetensors').exists(): continue
        made = lambda f=f: sample_cats(N, 0, load_cats(f)).mul(255).round().byte()
        for against, other in ('', real), ('-vs-held', measured(held, 'held-out')):
            figures[f'{run}-{n}{against}'] = judge(f'{run}-{n}{against}', made, other) | (said(n) if not against else {})
            print(n, figures[f'{run}-{n}{against}'], flush=True)
    half = (RUNS/'features'/'precision.txt').read_text()
    ledger('cats_long', 'cat faces from noise: the run that ships, after so many steps', figures, DATA, N, start,
                protocol=f'n={N} made pictures of noise seed 0 against {N} of the training pictures (vs-held: against {N} held-out ones; '
                         f'held-out: those against the same), features, intervals and distances as in cats_study, in {half}; critic_right: '
                         f'share of pairs in which the critic puts the real picture higher, mean of the 500 steps before',
                recipe=json.loads(r.to_json()), not_measured=[] if steps_done(out) >= r.steps else [f'{run}-{r.steps}'])

def viewer(file):
    "What somebody sees in 64 cats, who was not told what they are."
    from torchvision.utils import save_image
    from srgan_course.cats import sample_cats
    start, seed = time.perf_counter(), 7
    if not file or not Path(file).exists():
        RUNS.mkdir(parents=True, exist_ok=True)
        return save_image(sample_cats(64, seed, 'dcgan-cats'), RUNS/'viewer.png', nrow=8, padding=4, pad_value=1)
    rows = [line.split() for line in Path(file).read_text().splitlines() if line.strip()]
    if [r[0] for r in rows] != [str(i) for i in range(1, 65)] or {len(r) for r in rows} != {5}:
        raise SystemExit(f'{file}: give a line for each of the 64: number, what it is, ears, eyes, good|odd|broken')
    count = lambda k, v: sum(r[k] == v for r in rows)
    ledger('cats_viewer', 'dcgan-cats: what a viewer sees in 64 cats at once, who was not told what they are',
           dict(cat=count(1, 'cat'), two_eyes=count(3, '2'), two_ears=count(2, '2'), **{v: count(4, v) for v in ('good', 'odd', 'broken')}), DATA, 64,
           start, seed=seed, protocol='one viewer, a vision model that was given the pictures alone, at three times their size; the training '
                                      'pictures are cut too close for most ears')

def study(minutes):
    "Train for three quarters of the time, and measure what there is."
    if not minutes: raise SystemExit('cats.py study: give --minutes')
    train(.75*minutes); measure(.25*minutes)

FAILS = ('It makes fewer kinds of face than there are: see the recall above. Some eyes differ in size, colour or place; some noses and '
         'mouths smear; whiskers end in the air. It knows frontal faces only, cut close, without bodies and mostly without ears.')

def ship(name='dcgan-cats', run='cats-42', steps=20_000):
    """Put a generator of a run into the package: float16 weights, a sheet of 64 cats that nobody has picked, the card. `steps`: where KID
    against the held-out faces was lowest (`stages`)."""
    import torch
    from srgan_course.cats import CatsRecipe, load_cats, sample_cats
    from srgan_course.kit.engines import export_onnx
    from srgan_course.kit.show import sheet
    from srgan_course.generators import count_params, save_model
    from srgan_course.images import save_image
    out, models = RUNS/run, ROOT/'srgan_course'/'models'
    net, r = load_cats(out/f'generator-{steps}-ema.safetensors'), CatsRecipe.load(out/'recipe.json')
    seconds = float(load_cats(out/'generator.safetensors').meta['seconds'])
    file = save_model(net, models/f'{name}.safetensors', dtype=torch.float16, licence='Apache-2.0', data='catfaces', card=f'{name}.md',
                      recipe=r.to_json(), steps=str(steps))
    export_onnx(load_cats(file), file.with_suffix('.onnx'), beside=True)
    for f in models/f'{name}-samples.jpg', ROOT/'nbs'/'images'/'cats.jpg': save_image(sheet(sample_cats(64, 0, file)), f, quality=80)
    study = read_json(f) if (f := RESULTS/'cats_long.json').exists() else dict(figures={})
    key, lines = f'{run}-{steps}', []
    if f := study['figures'].get(key):
        fig = {k: f[k] for k in f if k.startswith(('fid', 'kid', 'precision', 'recall'))} | dict(n=study['n'])
        what = f'{name}: what it makes against its training pictures'
        write_json(RESULTS/f'{name}-fid.json', {**study, 'name': f'{name}-fid', 'what': what, 'figures': fig})
        between = lambda k, d: f"{fig[k]:.{d}f} (interval {fig[f'{k}_interval'][0]:.{d}f} to {fig[f'{k}_interval'][1]:.{d}f})"
        lines = ['', '## Figures', '',
                 f"`{name}` against {study['n']} of its training pictures, {study['n']} samples of seed 0: KID {between('kid_768', 5)} by "
                 f"`inception@768`, FID {between('fid_192', 1)} by `inception@192`. "
                 f"Precision {between('precision', 2)}, recall {between('recall', 2)}. These are not the 2048-feature figures that papers "
                 f"give: those weights cannot be had offline, and the two do not compare."]
    if (f := RESULTS/'cats_viewer.json').exists():
        v = read_json(f)
        lines += ['', f"A viewer who was given {v['n']} cats of seed {v['seed']}, and not told what they are (a vision model), took "
                      f"{v['figures']['cat']} of them for cats; {v['figures']['two_eyes']} have two eyes. {v['figures']['good']} are well "
                      f"formed, {v['figures']['odd']} odd, {v['figures']['broken']} broken."]
    (models/f'{name}.md').write_text('\n'.join([f'# {name}', '', 'Makes faces of cats, 64 x 64 pixels, from noise: `srgan-cats`.', '',
                                                '| | |', '|---|---|',
        f"| network | `DCGANGenerator({', '.join(f'{k}={v}' for k, v in net.args.items())})`: {count_params(net):,} parameters |",
        f'| file | `{name}.safetensors`, float16 weights, {file.stat().st_size:,} bytes, licence Apache-2.0 |',
        '| trained on | 2,500 of the 3,000 cat faces of `catfaces` (AnnikaV9/cat-dataset, cleaned; every sixth held out) |',
        "| terms of the data | the repository states MIT; its five sources have their own terms (Oxford pets CC BY-SA 4.0, Pixabay's "
        "licence, Flickr's terms for COCO's pictures; none found for the others). No picture of them is in the file |",
        f'| recipe | `{r.name}`: {r.adv} loss, {NORM[r.norm]} in the critic, Adam {r.lr:g} (first beta {r.beta1:g}) for both, batches of '
        f'{r.bs}, average of weights (EMA {r.ema:g}), mirrored pictures, '
        f'{"the critic sees them moved by up to an eighth (" + r.policy + ")" if r.policy else "no augmentation"} |',
        f'| steps, seed | {steps:,} of the {r.steps:,} that were played, seed {r.seed}: of the stages kept, the one with the lowest KID '
        f'against held-out faces; the whole run took {seconds/60:.0f} minutes on one thread of a shared virtual machine |',
        '| made by | `python benchmarks/cats.py long --minutes 120`, then `stages` and `ship` |', *lines, '', '## What it makes', '',
                                                f'![64 cats of seed 0]({name}-samples.jpg)', '',
        'The first 64 of seed 0: 64 were made and 64 are shown.', '', '## Where it fails', '',
        FAILS, '',
                                                '## What it must not be used for', '',
        'Passing its pictures off as photographs of animals that exist.']) + '\n', encoding='utf-8')
    print(f'{file}: {file.stat().st_size:,} bytes, {steps} steps')

def sampling(rounds=3):
    "Seconds from nothing to 64 cats in a file, against importing torch; fresh processes in turns."
    import tempfile
    with tempfile.TemporaryDirectory() as tmp:
        run = lambda *cmd: lambda: seconds(lambda: subprocess.run([sys.executable, *cmd], check=True, cwd=ROOT, stdout=subprocess.DEVNULL))
        cats = '-m', 'srgan_course', 'cats', '--n', '64', '--seed', '1', '--out', f'{tmp}/cats.png'
        t = in_turns(dict(torch=run('-c', 'import torch'), cats=run(*cats)), rounds, warm=0)
    f = dict(import_torch_s=median(t['torch'], 2), sample_64_s=median(t['cats'], 2),
             more_s=median([b - a for a, b in zip(t['torch'], t['cats'])], 2))
    print(f, flush=True)
    ledger('cats_sampling', '64 cats from a cold start, against importing torch alone', f, 'none', rounds,
           protocol=f'median of {rounds} rounds, in turns, fresh processes; srgan-cats --n 64 with dcgan-cats')

def step(rounds=5):
    """A critic + generator step of DCGAN (64 px, 64 channels, batch 64) on one thread: ours in bfloat16 and float32 against stock fastai
    in turns (two of its batches make a step).
    Seconds are the processor's own, which other programs hardly lengthen; the clock on the wall stands beside them."""
    import warnings
    import torch
    import srgan_course.gan as gan           # before any torch operation: keeps oneDNN from AMX where it cannot be used
    from fastai.data.core import DataLoaders
    from fastai.data.load import DataLoader
    from fastai.vision.gan import FixedGANSwitcher, GANLearner
    from torch.nn import functional as F
    from srgan_course.cats import DCGANCritic, DCGANGenerator
    from gan_step import quiet, timed
    torch.set_num_threads(1)
    g = torch.Generator().manual_seed(0)
    z, x = torch.randn(64, 100, generator=g), torch.rand(64, 3, 64, 64, generator=g)*2 - 1
    def dls(n): return DataLoaders(DataLoader([(z, x)]*n, bs=None), DataLoader([(z, x)], bs=None))
    bce = F.binary_cross_entropy_with_logits
    gen = lambda fake_pred, output, target: bce(fake_pred, torch.ones_like(fake_pred))
    crit = lambda real_pred, fake_pred: bce(real_pred, torch.ones_like(real_pred)) + bce(fake_pred, torch.zeros_like(fake_pred))
    def nets(): torch.manual_seed(0); return DCGANGenerator(), DCGANCritic()
    ours = lambda precision: timed(quiet(gan.SRGANLearner(dls(1), *nets(), gen, crit, lr=2e-4, betas=(.5, .999), precision=precision)), 1)
    stock = timed(quiet(GANLearner(dls(2), *nets(), gen, crit, switcher=FixedGANSwitcher(1, 1), lr=2e-4)), 2)
    def quietly():
        with warnings.catch_warnings(): warnings.simplefilter('ignore'); return stock()
    start = time.perf_counter()
    t = in_turns({'stock_float32': quietly, 'ours_float32': ours('float32'), 'ours_bfloat16': ours('bfloat16')}, rounds)
    wall, own = ({k: [x[i] for x in v] for k, v in t.items()} for i in (0, 1))        # by the clock, by the processor
    f = {f'{k}_s': median(v) for k, v in own.items()} | {f'{k}_wall_s': median(v) for k, v in wall.items()}
    for after, by in ('', own), ('_wall', wall):
        f |= {f'ratio_{p}{after}': ratio(by['stock_float32'], by[f'ours_{p}'], 2)[0] for p in ('bfloat16', 'float32')}
    print(f, flush=True)
    ledger('cats_step', "a critic + generator step of DCGAN against stock fastai's GANLearner", f, 'random pictures', rounds, start,
           protocol=f'64 px, 64 channels, batch 64, BCE, one thread; seconds of the processor (and by the clock on the wall) are medians '
                    f'of {rounds} rounds in turns, ratios medians of each round; stock fastai in float32 against ours in bfloat16, and at '
                    f'equal precision', spread={k: [round(min(v), 3), round(max(v), 3)] for k, v in own.items()})

PARTS = dict(train=lambda a: train(a.minutes, a.only), measure=lambda a: measure(a.minutes, a.only), study=lambda a: study(a.minutes),
             stages=lambda a: stages(), ship=lambda a: ship(), step=lambda a: step(), sampling=lambda a: sampling(),
             trials=lambda a: trials(a.minutes, a.only), long=lambda a: long(a.minutes, a.file), look=lambda a: look(a.out),
             viewer=lambda a: viewer(a.file), pack=lambda a: pack(a.file, a.out))

def arguments():
    ap = parser(__doc__, minutes=None, only=dict(nargs='+', default=[], metavar='ARM', help='these arms alone'),
                out=dict(type=Path, help='folder of the long run'), file=dict(type=Path, help='its packed checkpoint; for viewer, the answers'))
    ap.add_argument('what', choices=PARTS)
    return ap

if __name__ == '__main__':
    args = arguments().parse_args()
    PARTS[args.what](args)
