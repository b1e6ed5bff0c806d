"""The Fréchet distance at 2048 features, and a figure from two folders at 768, each against pytorch-fid's own in turns.

The folders hold crops of the embedded photos; the weights are those in the folder that SRGAN_WEIGHTS names, in both programs.
Writes results/fid_distance.json and results/fid_folders.json.
    python benchmarks/fid.py [--quick] [distance] [folders]
"""
import contextlib, io, statistics, sys, tempfile, time, warnings
from pathlib import Path
import numpy as np, torch
from PIL import Image
from srgan_course import fid as F
from srgan_course.data import sample_photos
from srgan_course.images import downscale, interpolate
from srgan_course.losses import find_weights
from srgan_course.metrics import save_result

ROOT = Path(__file__).resolve().parent.parent

def in_turns(times, *fs):
    "Seconds and the last value of each function, called in turns."
    secs, values = [[] for _ in fs], [None]*len(fs)
    for _ in range(times):
        for i, f in enumerate(fs):
            t = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings(): warnings.simplefilter('ignore'); values[i] = f()
            secs[i].append(time.perf_counter() - t)
    return secs, values

def report(name, what, data, n, secs, values, protocol):
    ours, theirs = map(statistics.median, secs)
    figures = dict(ours_seconds=round(ours, 3), pytorch_fid_seconds=round(theirs, 3), ratio=round(theirs/ours, 2), relative_difference=float(abs(values[0] - values[1])/values[1]), value=float(values[0]))
    print(name, figures, flush=True)
    spread = dict(ours_seconds=[round(s, 3) for s in secs[0]], pytorch_fid_seconds=[round(s, 3) for s in secs[1]])
    save_result(ROOT/'results'/f'{name}.json', what, figures, data, n, protocol=protocol, seed=0, spread=spread, seconds=round(sum(map(sum, secs)), 1))

def distance(dims, times):
    from pytorch_fid.fid_score import calculate_frechet_distance
    r, stats = np.random.default_rng(0), []
    for decay in (.3, .35):                                        # spectra that fall over three decades, as those of networks do
        mix = r.normal(size=(dims, dims))/dims**.5*np.exp(-np.arange(dims)/(decay*dims))
        x = r.normal(size=(dims + 500, dims))@mix.T + decay
        stats += [x.mean(0), np.cov(x, rowvar=False)]
    report('fid_distance', f'Fréchet distance of two Gaussians with {dims} features: frechet_distance against pytorch-fid (scipy.linalg.sqrtm)', 'made-up features', dims + 500,
           *in_turns(times, lambda: F.frechet_distance(*stats), lambda: calculate_frechet_distance(*stats)), f'{dims} features, {times} runs in turns, medians')

def folders(n, times):
    import pytorch_fid.inception as pf
    from pytorch_fid.fid_score import calculate_fid_given_paths
    from safetensors.torch import load_file
    path, load = find_weights(F._FP16), torch.nn.Module.load_state_dict
    if not path: print(f'fid_folders left out: no {F._FP16} in the folder that SRGAN_WEIGHTS names'); return
    def lenient(self, s, strict=True, **k): return load(self, s, strict=False, **k)
    def theirs():
        pf.load_state_dict_from_url, torch.nn.Module.load_state_dict = (lambda *a, **k: {k: v.float() for k, v in load_file(path).items()}), lenient
        try: return calculate_fid_given_paths([f'{tmp}/hr', f'{tmp}/sr'], 50, 'cpu', 768, num_workers=2)
        finally: torch.nn.Module.load_state_dict = load
    def ours(): F._NETS.clear(); return F.fid(f'{tmp}/hr', f'{tmp}/sr', 'inception@768')
    with tempfile.TemporaryDirectory() as tmp:
        photos = [p.convert('RGB') for p in sample_photos('all').values()]
        enlarged = [interpolate(downscale(p.crop((0, 0, p.width//4*4, p.height//4*4)), 4), 4) for p in photos]
        for name, pics in dict(hr=[p.crop((0, 0, *q.size)) for p, q in zip(photos, enlarged)], sr=enlarged).items():
            Path(f'{tmp}/{name}').mkdir()
            for i, x in enumerate(F.crops(pics, n=n, size=96)[0]): Image.fromarray(x.permute(1, 2, 0).numpy()).save(f'{tmp}/{name}/{i:04}.png')
        report('fid_folders', 'from two folders to a figure, network built and weights read: fid against pytorch-fid', 'embedded photos: crops of 96 px, and the same of bicubic x4', 2*n,
               *in_turns(times, ours, theirs), f'inception@768, weights {path.name}, {torch.get_num_threads()} threads, {times} runs in turns, medians')

if __name__ == '__main__':
    quick = '--quick' in sys.argv
    which = [a for a in sys.argv[1:] if not a.startswith('-')] or ['distance', 'folders']
    if 'distance' in which: distance(512 if quick else 2048, 3 if quick else 2)
    if 'folders' in which: folders(8 if quick else 60, 1 if quick else 2)
