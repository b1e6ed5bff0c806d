#!/usr/bin/env python3
"""Adam against Muon, and what is asked for at the end: `light-x4`'s network from random numbers, the same patches, the same number of
steps, three seeds.

Each run is a `train` of a recipe that differs in one setting from another one; PSNR of 100 held-out photographs, as always on
luminance. A run that is done is kept in runs/optimisers and not done again, one that was stopped goes on.
usage: optimisers.py [--steps 1000] [--seeds 0 1 2] [--data bsds500+t91+photos]        writes results/optimisers.json
"""
import json, warnings
import numpy as np
from frame import RUNS, ledger, paired, parser

END = dict(late=.5, late_size=96)                         # the second half has another loss, its patches the same size
ARMS = {'adam': {}, 'muon': dict(opt='muon'), 'muon, then mse': dict(opt='muon', late_loss='mse', **END),
        'muon, then luma': dict(opt='muon', late_loss='luma', **END)}
PAIRS = ('muon', 'adam'), ('muon, then mse', 'muon'), ('muon, then luma', 'muon, then mse')

def gap(a, b):
    d = paired(b, a)
    return {k: round(d[o], 4) for k, o in dict(value='mean', low='lo', high='hi').items()}

def main(steps, seeds, data):
    from srgan_course.srgan import SRGANRecipe, train
    warnings.simplefilter('ignore')
    psnr, seconds, bicubic = {a: [] for a in ARMS}, {a: [] for a in ARMS}, None
    for seed in seeds:
        for arm, kw in ARMS.items():
            r = SRGANRecipe(arm, critic='none', nf=48, n_blocks=8, seed=seed, steps_per_epoch=steps//10, epochs=10, **kw)
            out = RUNS/'optimisers'/f'{steps}-{seed}-{arm.replace(", ", "-").replace(" ", "-")}'
            if not (out/'results.json').exists(): train(r, data, out, resume=out.exists(), progress=False)
            res = json.loads((out/'results.json').read_text(encoding='utf-8'))
            psnr[arm].append(round(res['figures'][arm]['psnr'], 4)); seconds[arm].append(res['seconds'])
            bicubic, n = res['figures']['bicubic']['psnr'], res['n']
            print(f'seed {seed}: {arm:16} {psnr[arm][-1]:.3f} dB, {seconds[arm][-1]:.0f} s', flush=True)
    figures = dict(psnr={a: round(float(np.mean(v)), 4) for a, v in psnr.items()} | {'bicubic': round(bicubic, 4)},
                   gap={f'{a} - {b}': gap(psnr[a], psnr[b]) for a, b in PAIRS} if len(seeds) > 1 else {},
                   seconds_of_muon_over_adam=round(float(np.median(np.array(seconds['muon'])/np.array(seconds['adam']))), 3))
    for k, v in figures['gap'].items(): print(f"{k}: {v['value']:+.3f} dB ({v['low']:+.3f} to {v['high']:+.3f})")
    ledger('optimisers', f'LightSR of 48 channels and 8 blocks after {steps:,} steps from random numbers: Adam or Muon, and the loss of the '
                         f'second half', figures, data, n, seed=seeds, spread=psnr, recipe=dict(steps=steps, arms=ARMS),
           protocol='PSNR in dB on luminance (BT.601), 4 pixels cropped, LR by Pillow bicubic, held-out photographs of BSDS500; '
                    'differences: runs with the same seed, 95 % by Student\'s t; spread: each seed',
           seconds=round(sum(map(sum, seconds.values())), 1))

if __name__ == '__main__':
    main(**vars(parser(__doc__, steps=1000, seeds=dict(type=int, nargs='+', default=[0, 1, 2]), data='bsds500+t91+photos').parse_args()))
