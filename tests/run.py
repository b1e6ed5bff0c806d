#!/usr/bin/env python3
"""Everything that is tested, in one go: each notebook through nbdev's own runner, and tests/ under pytest, between two workers.

Closes with one line over all of them.

usage: run.py [--slow] [--cuda] [--workers N] [NOTEBOOK or TEST FILE ...]    (default: all of them, two workers)
"""
import argparse, os, subprocess, sys, tempfile, time, xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

def nb_id(p):
    "How tests/test_notebooks.py names a notebook: kit/files, 03_metrics."
    return p.relative_to(ROOT/'nbs').with_suffix('').as_posix() if p.is_relative_to(ROOT/'nbs') else p.stem

def as_tests(paths):
    "What pytest is given for `paths`: a notebook is a test of tests/test_notebooks.py."
    if not paths: return [str(ROOT/'tests')]
    paths = [Path(p).resolve() for p in paths]
    if missing := [str(p) for p in paths if not p.exists()]: sys.exit(f'no such file: {", ".join(missing)}')
    return [f'{ROOT/"tests"/"test_notebooks.py"}::test_notebook[{nb_id(p)}]' if p.suffix == '.ipynb' else str(p) for p in paths]

def run_pytest(tests, flags, workers):
    "Run `tests`; (name of the file, name of the test, 'passed', 'failed' or 'skipped', seconds) of each, and pytest's exit code."
    with tempfile.TemporaryDirectory() as tmp:
        report = Path(tmp)/'report.xml'
        cmd = [sys.executable, '-m', 'pytest', '-q', '--durations=15', f'--junitxml={report}', *(f'--{f}' for f in flags), *tests]
        # a worker that has nothing left takes half of what another has
        if workers > 1: cmd += ['-n', str(workers), '--dist', 'worksteal']
        rc = subprocess.run(cmd, cwd=ROOT).returncode
        cases = ET.parse(report).getroot().iter('testcase') if report.exists() else ()
        return [(c.get('classname', ''), c.get('name'), verdict(c), float(c.get('time') or 0)) for c in cases], rc

def verdict(case):
    kinds = {child.tag for child in case}
    return 'failed' if kinds & {'failure', 'error'} else 'skipped' if 'skipped' in kinds else 'passed'

def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument('paths', nargs='*'); ap.add_argument('--slow', action='store_true'); ap.add_argument('--cuda', action='store_true')
    ap.add_argument('--workers', type=int, default=2)
    a = ap.parse_args()
    os.environ.update(OMP_NUM_THREADS='1', MKL_NUM_THREADS='1', MPLBACKEND='agg', PYTHONUTF8='1')   # one torch thread a worker
    # a notebook's cells run in a thread: in glibc's one heap, what they free is kept, too (conftest.py says why)
    os.environ['MALLOC_ARENA_MAX'] = '1'
    if not a.paths and not list((ROOT/'nbs').glob('*.ipynb')): sys.exit('no notebook found in nbs/: nothing was tested')
    start = time.time()
    cases, rc = run_pytest(as_tests(a.paths), [f for f in ('slow', 'cuda') if getattr(a, f)], a.workers)
    nbs = [c for c in cases if c[0].endswith('test_notebooks')]
    for _, name, said, secs in nbs: print(f'{said if said != "failed" else "FAILED"}  {secs:5.0f} s  {name}')
    n = {k: sum(said == k for _, _, said, _ in cases) for k in ('passed', 'failed', 'skipped')}
    if rc not in (0, 1) and not n['failed']: n['failed'] = 1       # pytest itself stopped, or found no test
    if not a.paths and not any(c[2] == 'passed' for c in nbs): n['failed'] += 1; print('no notebook was run')
    print(f'{time.time() - start:.0f} s; {len(nbs)} notebooks and {len(cases) - len(nbs)} tests')
    print('{passed} passed, {failed} failed, {skipped} skipped'.format(**n))
    return 1 if n['failed'] or not n['passed'] else 0

if __name__ == '__main__': sys.exit(main())
