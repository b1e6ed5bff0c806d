#!/usr/bin/env python3
"""Everything that is tested, in one go: each notebook through nbdev's own runner, then tests/ under pytest; one closing line over all of them.

usage: run.py [--slow] [--cuda] [--workers N] [NOTEBOOK or TEST FILE ...]    (default: all of them, two workers)
"""
import argparse, os, subprocess, sys, tempfile, time, xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

def split_paths(paths):
    "Notebooks and test files among `paths`; all of them where none is given."
    if not paths: return sorted((ROOT/'nbs').glob('*.ipynb')), [ROOT/'tests']
    paths = [Path(p).resolve() for p in paths]
    if missing := [str(p) for p in paths if not p.exists()]: sys.exit(f'no such file: {", ".join(missing)}')
    return [p for p in paths if p.suffix == '.ipynb'], [p for p in paths if p.suffix != '.ipynb']

def run_notebooks(nbs, flags, workers):
    "(passed, failed) over `nbs`, run by nbdev's `test_nb` in `workers` processes."
    if not nbs: return 0, 0
    from fastcore.parallel import parallel
    from nbdev.test import test_nb as run_nb
    # the longest first, so that no worker is left alone with it at the end
    order = sorted(nbs, key=lambda p: SECONDS.get(p.stem, 30), reverse=True)
    skip = [f for f in ('slow', 'cuda') if f not in flags]
    res = parallel(run_nb, order, skip_flags=skip, force_flags=list(flags), basepath=ROOT, cell_timeout=600,
                   n_workers=min(workers, len(order)), pause=.01)
    for p, (ok, secs) in sorted(zip(order, res)): print(f'{"passed" if ok else "FAILED"}  {secs:5.0f} s  nbs/{p.name}', flush=True)
    n_ok = sum(bool(ok) for ok, _ in res)
    return n_ok, len(order) - n_ok

# rough seconds under test on one core, for the order alone
SECONDS = {'09_srgan': 90, '08_gan': 80, '02_data': 60, '07_losses': 50, '06_critics': 45, '05_generators': 40, '10_upscale': 40}

def run_pytest(paths, flags, workers):
    "(passed, failed, skipped) over `paths` under pytest."
    if not paths: return 0, 0, 0
    with tempfile.TemporaryDirectory() as tmp:
        report = Path(tmp)/'report.xml'
        cmd = [sys.executable, '-m', 'pytest', '-q', f'--junitxml={report}', *(f'--{f}' for f in flags), *map(str, paths)]
        if workers > 1: cmd += ['-n', str(workers), '--dist', 'loadgroup']
        rc = subprocess.run(cmd, cwd=ROOT).returncode
        if not report.exists(): return 0, 1, 0
        t = ET.parse(report).getroot()
        suites = [t] if t.tag == 'testsuite' else list(t)
        n = {k: sum(int(s.get(k, 0)) for s in suites) for k in ('tests', 'failures', 'errors', 'skipped')}
    bad = n['failures'] + n['errors']
    if rc not in (0, 1) and not bad: bad = 1            # pytest itself stopped, or found no test
    return n['tests'] - n['failures'] - n['errors'] - n['skipped'], bad, n['skipped']

def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument('paths', nargs='*'); ap.add_argument('--slow', action='store_true'); ap.add_argument('--cuda', action='store_true')
    ap.add_argument('--workers', type=int, default=2)
    a = ap.parse_args()
    os.environ.update(OMP_NUM_THREADS='1', MKL_NUM_THREADS='1', MPLBACKEND='agg', PYTHONUTF8='1')   # one torch thread a worker
    flags = [f for f in ('slow', 'cuda') if getattr(a, f)]
    nbs, tests = split_paths(a.paths)
    if not a.paths and not nbs: sys.exit('no notebook found in nbs/: nothing was tested')
    start = time.time()
    passed, failed = run_notebooks(nbs, flags, a.workers)
    p, f, skipped = run_pytest(tests, flags, a.workers)
    passed, failed = passed + p, failed + f
    print(f'{time.time() - start:.0f} s; {len(nbs)} notebooks and {p + f + skipped} tests')
    print(f'{passed} passed, {failed} failed, {skipped} skipped')
    return 1 if failed or not passed else 0

if __name__ == '__main__': sys.exit(main())
