#!/usr/bin/env python3
"""What sharing gradients costs, measured with two processes on one machine, and a model of the speed with more of them.

usage: several.py [sizes] [two] [--quick] [--rounds N] [--steps N], started by torchrun --nproc-per-node 2
writes results/distributed.json; `two` wants a quiet machine and is done only when named (what it gave before is kept)

Sizes: the bytes of each player's gradients, for named recipes, and the seconds of an all-reduce between the processes, through gloo and this
machine's memory: the best of many, for 4 bytes and for 16 MiB. Two: a small SRGAN whose two processes share gradients, against
the same two that do not (each its own batch, flags still exchanged); in turns, so that a slow minute of the machine hits both.

The model says which part of a step is left for computing when n processes share it, with nothing hidden behind the backward pass:

    efficiency(n) = step/(step + messages(n)),    messages(n) = 2 (n-1)/n bytes/bandwidth + (buckets + 4) 2 (n-1) latency

for a ring: each process sends 2 (n-1)/n of the gradients, in 2 (n-1) rounds. Buckets are those of DistributedDataParallel (25 MB); 4 more
messages a step are flags and running averages. Bandwidths of links are what their makers write on them, latency is the one measured here.
The step is `gan_step`'s (results/gan_step.json), measured on a processor: a GPU's is shorter, so `least step` says how long a step must be
for 90 % of n.
"""
import json, math, statistics, time
from srgan_course.kit.files import read_json
from frame import RESULTS, in_turns, ledger, median, parser, ratio

LINKS = {'1 Gbit/s Ethernet': .125e9, '10 Gbit/s Ethernet': 1.25e9, '100 Gbit/s': 12.5e9, 'PCIe 4 x16': 32e9, 'NVLink 4': 450e9}  # bytes/s, one way
NUMBERS, GOAL, BUCKET = (2, 4, 8, 16, 32, 64), .9, 25*2**20
SIZES = {'srgan full': 'full', 'srgan-x4': 'srgan-x4', 'light-x4': 'light-x4', 'esrgan': 'esrgan'}

def gradient_bytes(recipe):
    "Bytes of each player's gradients, float32."
    import torch
    from srgan_course.kit.recipe import get_recipe
    from srgan_course.srgan import SRGANRecipe, make_critic, make_generator
    r = get_recipe(recipe, SRGANRecipe).replace(start='')
    size = lambda net: 4*sum(p.numel() for p in net.parameters())
    with torch.device('meta'): return dict(generator=size(make_generator(r)), **({} if r.critic == 'none' else dict(critic=size(make_critic(r)))))

def messages(n, sizes, bandwidth, latency):
    "Seconds a step that `n` processes spend on gradients, where nothing hides them."
    buckets = sum(math.ceil(b/BUCKET) for b in sizes.values())
    return 2*(n - 1)/n*sum(sizes.values())/bandwidth + (buckets + 4)*2*(n - 1)*latency

def efficiency(n, step, *args): return step/(step + messages(n, *args))

def least_step(n, *args): return messages(n, *args)*GOAL/(1 - GOAL)

def model(sizes, step, latency):
    "For each link: efficiency by number of processes, and the step's least seconds for the goal."
    return {k: {str(n): dict(efficiency=round(efficiency(n, step, sizes, b, latency), 4), least_step=round(least_step(n, sizes, b, latency), 5))
                for n in NUMBERS} for k,b in LINKS.items()}

def all_reduce(numel, times):
    "The best seconds of an all-reduce of float32."
    import torch, torch.distributed as dist
    x, best = torch.zeros(numel), math.inf
    for _ in range(times):
        dist.barrier(); start = time.perf_counter(); dist.all_reduce(x); best = min(best, time.perf_counter() - start)
    return best

def learner(shared, steps, size=48, bs=4):
    "A small game; its processes share gradients or do not."
    import torch
    from fastai.callback.progress import ProgressCallback
    from fastai.data.core import DataLoaders
    from fastai.data.load import DataLoader
    from srgan_course.critics import SRGANCritic
    from srgan_course.gan import SRGANLearner
    from srgan_course.generators import SRResNet
    from srgan_course.kit.distributed import Distributed, world
    from srgan_course.losses import AdversarialLoss, ContentLoss, CriticLoss, WeightedLoss
    torch.manual_seed(0)
    hr = torch.rand(bs*(world() if shared else 1), 3, size, size)
    dl = DataLoader([(torch.nn.functional.avg_pool2d(hr, 4), hr)]*steps, bs=None)
    adv = AdversarialLoss('bce')
    learn = SRGANLearner(DataLoaders(dl, DataLoader([], bs=None)), SRResNet(4, 16, 4), SRGANCritic(size, 32),
                         WeightedLoss(content=(ContentLoss('mse'), 1.), adv=(adv, 1e-3)), CriticLoss(adv), precision='float32')
    learn.remove_cb(ProgressCallback); learn.logger = lambda *a: None
    if not shared: learn.remove_cb(Distributed)
    return learn

def seconds_a_step(shared, steps):
    "A function that runs some steps and gives the seconds of one."
    from fastai.callback.core import Callback
    class Clock(Callback):
        order = -99
        def before_fit(self): self.times = []
        def before_batch(self): self.start = time.perf_counter()
        def after_batch(self):
            if self.training: self.times.append(time.perf_counter() - self.start)
    learn = learner(shared, steps + 1)
    learn.add_cb(clock := Clock())
    def run(): learn.fit(1); return statistics.median(clock.times[1:])       # the first step makes the wrappers
    return run, learn

def main():
    args = parser(__doc__, ('sizes',), ('two',), quick=False, rounds=7, steps=8).parse_args()
    if args.quick: args.rounds, args.steps = 2, 2
    import torch
    from srgan_course.kit.distributed import processes, rank, world
    start = time.perf_counter()
    torch.set_num_threads(1)
    with processes('cpu'):
        if world() != 2: raise SystemExit('start it with torchrun --nproc-per-node 2')
        latency = all_reduce(1, 20 if args.quick else 500)/(2*(world() - 1))
        big = all_reduce(2**22, 2 if args.quick else 20)
        if 'two' in args.what:
            (shared, a), (alone, _) = (seconds_a_step(s, args.steps) for s in (True, False))
            rows = in_turns({'shared': shared, 'alone': alone}, args.rounds)
            bytes_ = 4*sum(p.numel() for p in a.model.parameters())
        if rank(): return
    file, sizes, bandwidth = RESULTS/'distributed.json', {k: gradient_bytes(r) for k,r in SIZES.items()}, 2**24/big   # of two, each sends all, once
    step = read_json(RESULTS/'gan_step.json')['figures']['large: ours bfloat16, s']
    figures = dict(bytes=sizes, latency=round(latency, 7), gloo_gigabytes_a_second=round(bandwidth/1e9, 3), step=step,
                   model=model(sizes['srgan full'], step, latency))
    spread = None
    if 'two' in args.what:
        measured, between = ratio(rows['alone'], rows['shared'])
        t = median(rows['alone'], 4)
        figures['two'], spread = dict(measured=measured, predicted=round(t/(t + bytes_/bandwidth), 3), step=t, bytes=bytes_), {'two measured': between}
    elif file.exists() and 'two' in (was := read_json(file))['figures']: figures['two'], spread = was['figures']['two'], was['spread']
    print(json.dumps(figures, indent=1))
    if args.quick: return
    ledger('distributed', 'what sharing gradients costs, and a model of the speed of n processes', figures, 'random pictures, made beforehand', 8, start,
           seed=0, spread=spread,
           protocol='two processes of one thread through gloo on one machine, the best of many messages; links at their nominal bandwidth; step: '
                    'gan_step, large, bfloat16, batch 16, one thread; a ring, nothing hidden behind the backward pass; every process keeps its batch; '
                    'two: SRResNet 16 x 4 and SRGANCritic 32 at 48 px, batch 4 a process, medians in turn')

if __name__ == '__main__': main()
