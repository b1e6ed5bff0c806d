#!/usr/bin/env python3
"""One critic + generator step: ours against stock fastai `GANLearner` in turns and against a hand-written loop of the same arithmetic.

usage: gan_step.py [--quick] [--rounds N] [--threads N] [--sizes small large] [--no-save]

Same networks (SRResNet x4 and SRGAN's critic), losses (MSE + 1e-3 BCE), batch 16, pictures of 96 x 96, seeds. All kinds are built
first, then measured in rounds, one after another, so that a slow minute of the machine hits all of them; seconds are medians over the
rounds, ratios medians of each round's ratio. A stock step is one batch for the critic and one for the generator, as fastai takes turns.
Beside the clock on the wall, the processor's own seconds are taken: other programs on the machine lengthen the first and hardly the
second, so a ratio of a few percent is read from these (with --threads 1: a second thread that waits counts, too).
"""
import os, statistics, time
from frame import in_turns, ledger, now, parser, ratio

SIZES = {'small': dict(nf=32, n_blocks=8), 'large': dict(nf=64, n_blocks=16)}

def parse():
    args = parser(__doc__, quick=False, rounds=5, threads=min(2, os.cpu_count() or 1), sizes=dict(nargs='+', default=[*SIZES], choices=SIZES),
                  no_save=dict(action='store_true', help='print only')).parse_args()
    if args.quick: args.sizes, args.rounds, args.no_save = ['small'], 2, True
    return args

def networks(nf, n_blocks):
    import torch
    from srgan_course.critics import SRGANCritic
    from srgan_course.generators import SRResNet
    torch.manual_seed(0)
    return SRResNet(scale=4, nf=nf, n_blocks=n_blocks), SRGANCritic(96, nf=nf)

def loaders(n):
    "`n` batches of 16 pairs, made beforehand: data costs nothing here."
    import torch
    from fastai.data.core import DataLoaders
    from fastai.data.load import DataLoader
    g = torch.Generator().manual_seed(1)
    hr = torch.rand(16, 3, 96, 96, generator=g)
    lr = torch.nn.functional.avg_pool2d(hr, 4)
    many = DataLoader([(lr, hr)]*n, bs=None)
    return DataLoaders(many, DataLoader([(lr, hr)]*1, bs=None)), lr, hr

def losses():
    from torch.nn import functional as F
    bce = F.binary_cross_entropy_with_logits
    def gen(fake_pred, output, target): return F.mse_loss(output, target) + 1e-3*bce(fake_pred, fake_pred.new_ones(fake_pred.shape))
    def crit(real_pred, fake_pred):
        return bce(real_pred, real_pred.new_ones(real_pred.shape)) + bce(fake_pred, fake_pred.new_zeros(fake_pred.shape))
    return gen, crit

def quiet(learn):
    from fastai.callback.progress import ProgressCallback
    learn.remove_cbs(ProgressCallback); learn.logger = lambda *a: None
    return learn

def timed(learn, n):
    "A function that runs `n` batches through the learner's own loop and gives the seconds."
    from fastai.callback.core import Callback
    class NoValid(Callback):
        def before_validate(self):
            from fastai.callback.core import CancelValidException
            raise CancelValidException
    learn.add_cb(NoValid())
    class Clock(Callback):
        order = -99
        def before_train(self): self.start = now()
        def after_train(self): self.seconds = now() - self.start
    clock = Clock(); learn.add_cb(clock)
    def run(): learn.fit(1); return clock.seconds
    return run

def stock(size):
    "fastai's own: critic and generator in turns, so two batches make one step."
    from fastai.vision.gan import GANLearner, FixedGANSwitcher
    import warnings
    dls, _, _ = loaders(2)
    g, c = networks(**size)
    run = timed(quiet(GANLearner(dls, g, c, *losses(), switcher=FixedGANSwitcher(1, 1), lr=1e-4)), 2)
    def quietly():
        with warnings.catch_warnings(): warnings.simplefilter('ignore'); return run()
    return quietly

def ours(size, precision, channels_last=True):
    from srgan_course.gan import SRGANLearner
    dls, _, _ = loaders(1)
    g, c = networks(**size)
    return timed(quiet(SRGANLearner(dls, g, c, *losses(), lr=1e-4, precision=precision, channels_last=channels_last)), 1)

def by_hand(size, precision):
    "The same arithmetic with nothing around it."
    import torch
    from contextlib import nullcontext
    _, lr, hr = loaders(1)
    g, c = networks(**size)
    gl, cl = losses()
    f = dict(memory_format=torch.channels_last)
    g, c, lr, hr = g.to(**f), c.to(**f), lr.contiguous(**f), hr.contiguous(**f)
    og, oc = (torch.optim.Adam(m.parameters(), lr=1e-4, fused=True) for m in (g, c))
    amp = (lambda: torch.autocast('cpu', dtype=torch.bfloat16)) if precision == 'bfloat16' else nullcontext
    bns = [m for m in c.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    def still(on):
        c.requires_grad_(not on)
        for m in bns: m.track_running_stats = not on
    def run():
        start = now()
        with amp(): fake = g(lr)
        fake = fake.float()
        with amp(): loss = cl(c(hr).float(), c(fake.detach()).float())
        loss.backward(); oc.step(); oc.zero_grad()
        still(True)
        with amp(): loss = gl(c(fake).float(), fake, hr)
        still(False)
        loss.backward(); og.step(); og.zero_grad()
        return now() - start
    return run

def measure(size, rounds):
    "Seconds a step by kind, one for each of `rounds`."
    kinds = {'stock fastai float32': stock(size), 'ours float32': ours(size, 'float32'), 'by hand float32': by_hand(size, 'float32'),
             'ours bfloat16': ours(size, 'bfloat16'), 'by hand bfloat16': by_hand(size, 'bfloat16')}
    return in_turns(kinds, rounds)                         # after first steps: memory, kernels

def main():
    args = parse()
    import torch
    from srgan_course.kit.devices import bfloat16_gain      # before any torch operation: keeps oneDNN from AMX in virtual machines
    torch.set_num_threads(args.threads)
    figures, spread, start = {}, {}, time.perf_counter()
    for name in args.sizes:
        both = measure(SIZES[name], args.rounds)
        sec, cpu = [{k: [x[i] for x in v] for k,v in both.items()} for i in (0, 1)]
        res = {k: (statistics.median(v), min(v), max(v)) for k,v in sec.items()}
        for k,(m, lo, hi) in res.items(): print(f'{name:6} {k:26} {m:7.3f} s  ({lo:.3f} to {hi:.3f})', flush=True)
        ratios = {'stock float32 / ours float32': (sec, 'stock fastai float32', 'ours float32'),
                  'stock float32 / ours bfloat16': (sec, 'stock fastai float32', 'ours bfloat16'),
                  **{f'ours {p} / by hand': (sec, f'ours {p}', f'by hand {p}') for p in ('float32', 'bfloat16')},
                  **{f'ours {p} / by hand, processor': (cpu, f'ours {p}', f'by hand {p}') for p in ('float32', 'bfloat16')},
                  'stock float32 / ours bfloat16, processor': (cpu, 'stock fastai float32', 'ours bfloat16')}
        for k,(t, a, b) in ratios.items():
            figures[f'{name}: {k}'], _ = ratio(t[a], t[b]); print(f'{name:6} {k:32} {figures[f"{name}: {k}"]:5.2f}', flush=True)
        for k,v in res.items(): figures[f'{name}: {k}, s'] = round(v[0], 4); spread[f'{name}: {k}, s'] = [round(v[1], 4), round(v[2], 4)]
    if args.no_save: return
    print(ledger('gan_step', 'seconds a critic + generator step, and ratios', figures, 'random pictures, made beforehand', 16, start, seed=0,
                 protocol=f'batch 16, 96 px, x4; small: {SIZES["small"]}, large: {SIZES["large"]}; medians of {args.rounds} rounds, kinds in '
                          f'turn; ratios: medians of each round\'s', spread=spread, bfloat16_gain=bfloat16_gain(),
                 onednn_max_cpu_isa=os.environ.get('ONEDNN_MAX_CPU_ISA', 'any')))

if __name__ == '__main__': main()
