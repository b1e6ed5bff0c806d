#!/usr/bin/env python3
"""A real training, killed in the middle without warning and resumed, against the same training left alone: do the curves lie on one
another?

`srgan-train` runs a short form of the recipe light-x4 (its network, patches and loss; 300 steps in three epochs, the last with larger
patches) twice, on the same photographs: once to its end; once until a step in the second epoch, where the process gets SIGKILL, and on
with --resume.
Writes results/resume.json with both curves, every tenth step.
usage: resume.py [--data SOURCE] [--quick]
"""
import csv, signal, subprocess, sys, tempfile, time
from pathlib import Path
from frame import ROOT, ledger, parser

def recipe(quick):
    from srgan_course.srgan import RECIPES
    kw = dict(steps_per_epoch=10, save_every=5, nf=16, n_blocks=2, start='', bs=4) if quick else dict(steps_per_epoch=100, save_every=40)
    return RECIPES['light-x4'].replace(name='short', epochs=3, late=.34, sample_every=10**6, **kw)

def train(r, data, out, *more):
    return subprocess.Popen([sys.executable, '-m', 'srgan_course', 'train', '--recipe', str(r), '--data', data, '--out', str(out), *more],
                            cwd=ROOT, stdout=subprocess.DEVNULL)

def curve(out):
    rows = list(csv.DictReader((out/'history_pretrain.csv').open(encoding='utf-8')))
    return {int(r['step']): float(r['loss']) for r in rows if r['loss']}, {int(r['step']): float(r['valid_psnr']) for r in rows
        if r['valid_psnr']}

def steps(out):
    try: return max(curve(out)[0], default=0)
    except (OSError, ValueError, KeyError, TypeError): return 0

def main(data, quick):
    from srgan_course.generators import load_model
    start, r = time.perf_counter(), recipe(quick)
    if quick: data = 'embedded'
    at = int(1.55*r.steps_per_epoch)
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp); file, whole, cut = r.save(tmp/'short.json'), tmp/'whole', tmp/'cut'
        assert train(file, data, whole).wait() == 0, 'the run left alone has failed'
        p = train(file, data, cut)
        while steps(cut) < at and p.poll() is None: time.sleep(.05)
        p.send_signal(signal.SIGKILL); assert p.wait() == -signal.SIGKILL, 'the run was over before it could be killed'
        seen = steps(cut)
        left = sorted((cut/'checkpoints'/'pretrain').glob('step-*.safetensors'))[-1]
        assert train(file, data, cut, '--resume').wait() == 0, 'the resumed run has failed'
        (a, va), (b, vb) = curve(whole), curve(cut)
        same = [x.state_dict() for x in (load_model(o/'generator.safetensors') for o in (whole, cut))]
        far = max(float((same[0][k] - same[1][k]).abs().max()) for k in same[0])
    apart = max(abs(a[k] - b[k]) for k in a) if a.keys() == b.keys() else float('inf')
    figures = dict(steps=max(a), killed_after_step=seen, checkpoint_at_step=int(left.stem.split('-')[1]), largest_difference_of_loss=apart,
                   largest_difference_of_weights=far, valid_psnr=[list(va.values()), list(vb.values())],
                   curve=dict(step=list(a)[::10], whole=[round(v, 6) for v in list(a.values())[::10]],
                              resumed=[round(v, 6) for v in list(b.values())[::10]]))
    print({k: v for k, v in figures.items() if k != 'curve'})
    if not quick:
        ledger('resume', 'A run killed by SIGKILL and resumed, against the same run left alone', figures, data, max(a), start, seed=r.seed,
               protocol='srgan-train; recipe light-x4, short: 3 epochs of 100 steps, a checkpoint every 40', recipe=r)
    return apart > 0 or far > 0

if __name__ == '__main__': sys.exit(main(**vars(parser(__doc__, data='bsds500', quick=False).parse_args())))
