#!/usr/bin/env python3
"""What an installation takes on the disk, in a fresh environment each: the README's small one, the course (`pip install .`), and the course
with its tests (`.[dev]`, which `make` prepares). From the package index, so on Linux with the CUDA build of torch.

Writes results/install.json.
usage: install.py [small] [course] [tests] [--quick]
"""
import subprocess, sys, tempfile, time, venv
from configparser import ConfigParser
from pathlib import Path
from frame import ROOT, ledger, parser

def lines():
    "What each one gives to pip, a list a call."
    ini = ConfigParser(delimiters=['='], interpolation=None); ini.read(ROOT/'settings.ini', encoding='utf-8')
    return {'small': [ini['DEFAULT']['small_requirements'].split(), ['--no-deps', '.']], 'course': [['.']], 'tests': [['.[dev]']]}

def size_of(calls):
    "Megabytes of all files (links are not counted) of an environment after these calls of pip."
    with tempfile.TemporaryDirectory() as d:
        venv.create(d, with_pip=True)
        python = Path(d)/('Scripts' if sys.platform == 'win32' else 'bin')/'python'
        for c in calls: subprocess.run([python, '-m', 'pip', 'install', '-q', '--disable-pip-version-check', *c], check=True, cwd=ROOT)
        return round(sum(p.stat().st_size for p in Path(d).rglob('*') if p.is_file() and not p.is_symlink())/1e6)

if __name__ == '__main__':
    args, start = parser(__doc__, tuple(lines()), quick=False).parse_args(), time.perf_counter()
    figures = {k: dict(megabytes=size_of(lines()[k])) for k in (['small'] if args.quick else args.what)}
    print('\n'.join(f'{k:7} {v["megabytes"]:6} MB' for k, v in figures.items()))
    if not args.quick:
        ledger('install', 'what an installation takes on the disk, in millions of bytes', figures, 'the packages that pip takes from the index',
               len(figures), start, protocol='all files of a fresh environment after pip install; on Linux with the CUDA build of torch')
