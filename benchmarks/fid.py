#!/usr/bin/env python3
"""The Fréchet distance at 2048 features, and a figure from two folders at 768, each against pytorch-fid's own in turns; and whether the
figures agree.

The folders hold crops of the embedded photos; the weights are those in the folder that SRGAN_WEIGHTS names, in both programs.
Writes results/fid_distance.json, results/fid_folders.json and results/fid_agreement.json.
usage: fid.py [--quick] [distance] [folders] [agreement]
"""
import contextlib, io, statistics, sys, tempfile, time, warnings
from pathlib import Path
import numpy as np, torch
from frame import in_turns, ledger, now, parser
from PIL import Image
from srgan_course import fid as F
from srgan_course.data import sample_photos
from srgan_course.images import downscale, interpolate
from srgan_course.kit import features as N, sets as S
from srgan_course.kit.features import FULL, SMALL
from srgan_course.kit.weights import find_weights

def quietly(f):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter('ignore'); return f()

def timed(f):
    "`f` as a function that gives seconds by the clock, seconds of the processor and the value."
    def run():
        time.sleep(.5)                                             # the other's threads wait awake for a while
        start = now(); value = quietly(f)
        return *(round(s, 3) for s in now() - start), value
    return run

def report(name, what, data, n, times, ours, theirs, protocol, quick):
    "The ratio is of the clock's medians; other programs lengthen both of its sides, the processor's own seconds hardly."
    rows = in_turns(dict(ours=timed(ours), theirs=timed(theirs)), times, warm=0)
    wall, cpu, values = zip(*(zip(*r) for r in rows.values()))
    values = [v[-1] for v in values]
    (ours, theirs), (own, their_own) = (map(statistics.median, s) for s in (wall, cpu))
    figures = dict(ours_seconds=ours, pytorch_fid_seconds=theirs, ratio=round(theirs/ours, 2), ours_processor_seconds=own,
                   pytorch_fid_processor_seconds=their_own, processor_ratio=round(their_own/own, 2),
                   relative_difference=float(abs(values[0] - values[1])/values[1]), value=float(values[0]))
    print(name, figures, flush=True)
    if quick: return
    spread = dict(ours_seconds=wall[0], pytorch_fid_seconds=wall[1], ours_processor_seconds=cpu[0], pytorch_fid_processor_seconds=cpu[1])
    ledger(name, what, figures, data, n, protocol=protocol, seed=0, spread=spread, seconds=round(sum(map(sum, wall)), 1))

def distance(quick, times=3):
    dims = 512 if quick else 2048
    from pytorch_fid.fid_score import calculate_frechet_distance
    r, stats = np.random.default_rng(0), []
    for decay in (.3, .35):                                        # spectra that fall over three decades, as those of networks do
        mix = r.normal(size=(dims, dims))/dims**.5*np.exp(-np.arange(dims)/(decay*dims))
        x = r.normal(size=(dims + 500, dims))@mix.T + decay
        stats += [x.mean(0), np.cov(x, rowvar=False)]
    # what comes once, at the first call, is not counted: threads are started, memory is had
    F.frechet_distance(*stats)
    report('fid_distance',
           f'Fréchet distance of two Gaussians with {dims} features: frechet_distance against pytorch-fid (scipy.linalg.sqrtm)',
           'made-up features', dims + 500,
           times, lambda: F.frechet_distance(*stats), lambda: calculate_frechet_distance(*stats),
           f'{dims} features, {torch.get_num_threads()} threads, {times} runs in turns, medians', quick)

def write_folders(tmp, n):
    "Crops of the embedded photos, and the same crops of their bicubic enlargements, as files."
    photos = [p.convert('RGB') for p in sample_photos('all').values()]
    enlarged = [interpolate(downscale(p.crop((0, 0, p.width//4*4, p.height//4*4)), 4), 4) for p in photos]
    for name, pics in dict(hr=[p.crop((0, 0, *q.size)) for p, q in zip(photos, enlarged)], sr=enlarged).items():
        Path(f'{tmp}/{name}').mkdir()
        for i, x in enumerate(S.crops(pics, n=n, size=96)[0]): Image.fromarray(x.permute(1, 2, 0).numpy()).save(f'{tmp}/{name}/{i:04}.png')

def theirs(tmp, dims):
    "pytorch-fid's figure of two folders, with the weights at hand in its own network."
    import pytorch_fid.inception as pf
    from pytorch_fid.fid_score import calculate_fid_given_paths
    from safetensors.torch import load_file
    load = torch.nn.Module.load_state_dict
    def lenient(self, s, strict=True, **k): return load(self, s, strict=False, **k)
    # the same file that ours takes: pytorch-fid's own where it is, which has the last layers too
    full = find_weights(FULL)
    state = torch.load(full, map_location='cpu', weights_only=True) if full else load_file(find_weights(SMALL))
    pf.load_state_dict_from_url, torch.nn.Module.load_state_dict = (lambda *a, **k: {k: v.float() for k, v in state.items()}), lenient
    try: return calculate_fid_given_paths([f'{tmp}/hr', f'{tmp}/sr'], 50, 'cpu', dims, num_workers=2)
    finally: torch.nn.Module.load_state_dict = load

def ours(tmp, dims): N.named_net.cache_clear(); return F.fid(f'{tmp}/hr', f'{tmp}/sr', f'inception@{dims}')

def folders(quick):
    n, times = (8, 1) if quick else (60, 2)
    with tempfile.TemporaryDirectory() as tmp:
        write_folders(tmp, n)
        report('fid_folders', 'from two folders to a figure, network built and weights read: fid against pytorch-fid',
               'embedded photos: crops of 96 px, and the same of bicubic x4', 2*n,
               times, lambda: ours(tmp, 768), lambda: theirs(tmp, 768),
               f'inception@768, weights {FULL if find_weights(FULL) else SMALL}, {torch.get_num_threads()} threads, {times} runs '
               f'in turns, medians', quick)

def agreement(quick):
    """The same folders, the same figures: FID against pytorch-fid by three layers, and by the last where its own weights are; KID and IS
    of the same features against torch-fidelity."""
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    figures, start, n = {}, time.perf_counter(), 8 if quick else 36
    with tempfile.TemporaryDirectory() as tmp:
        write_folders(tmp, n)
        for dims in (64, 192, 768) + (2048,)*bool(find_weights(FULL)):
            a, b = float(quietly(lambda: ours(tmp, dims))), float(quietly(lambda: theirs(tmp, dims)))
            figures[f'FID inception@{dims}'] = dict(ours=a, other=b, relative_difference=abs(a - b)/b)
        x, y = (S.features(f'{tmp}/{k}', 'inception@768').x for k in ('hr', 'sr'))
    pair = [torch.from_numpy(v).double() for v in (x, y)]
    k, other = float(F.kid(x, y, subsets=1, size=n, draws=0)), kid_features_to_metric(*pair, kid_subsets=1, kid_subset_size=n,
        verbose=False)['kernel_inception_distance_mean']
    figures['KID inception@768'] = dict(ours=k, other=float(other), relative_difference=abs(k - other)/abs(other))
    logits = torch.from_numpy(x[:, :10]).double()*3                # any classifier will do: both sides get the same ten numbers
    i, other = float(F.inception_score(logits.softmax(1), splits=1)), isc_features_to_metric(logits, splits=1,
        shuffle=False)['inception_score_mean']
    figures['Inception Score of given logits'] = dict(ours=i, other=float(other), relative_difference=abs(i - other)/other)
    for name, f in figures.items(): print(name, f, flush=True)
    if not quick: ledger('fid_agreement',
           'FID against pytorch-fid, KID and Inception Score against torch-fidelity: the same pictures, the same weights', figures,
           'embedded photos: crops of 96 px, and the same of bicubic x4', 2*n,
           start, protocol=f'weights {FULL if find_weights(FULL) else SMALL}, bilinear 299; KID of one subset of all; float32 features', seed=0)

if __name__ == '__main__':
    args = parser(__doc__, ('distance', 'folders', 'agreement'), quick=False).parse_args()
    quick, which = args.quick, args.what
    if 'distance' in which: distance(quick)
    if not (find_weights(FULL) or find_weights(SMALL)):
        sys.exit(f'folders and agreement left out: no {SMALL} in the folder that SRGAN_WEIGHTS names'
                 if {'folders', 'agreement'} & set(which) else 0)
    if 'folders' in which: folders(quick)
    if 'agreement' in which: agreement(quick)
