#!/usr/bin/env python3
"""Make the figures in results/ anew, as far as that is cheap, and say what changed.

usage: results.py [--list] [--no-benchmarks] [--no-page]

Every row is measured by the command that a reader would type (`srgan-evaluate --result`), in a process of its own, and takes the place
of the old file only when it is whole and says something else. A row whose pictures are missing is said and passed over.
Then each benchmark runs with --quick (which prints and writes nothing: figures of speed want a quiet machine), and the page of results
is made from the files.
"""
import json, subprocess, sys, tempfile, time
from pathlib import Path
from frame import RESULTS, ROOT, parser
from srgan_course.kit.models import read_index

INDEX = ROOT/'srgan_course'/'models'/'index.json'
WAYS, SCALES, SETS = ('nearest', 'bilinear', 'bicubic', 'lanczos'), (2, 4), ('set5', 'embedded')
# script -> files it writes
BENCHMARKS = {'upscale': ('upscale_cold_start', 'upscale_tiles'), 'upscale_speed': ('upscale_speed', 'upscale_folder'),
              'engines': ('engines',), 'data_loading': ('data_loading',), 'gan_step': ('gan_step',), 'serve': ('serve',),
              'scale': ('scale_machine', 'scale_shards')}

def read(path): return json.loads(path.read_text(encoding='utf-8')) if path.exists() else None

def models():
    "The models that ship, and their scales."
    known = {k: v['scale'] for k, v in read_index(INDEX).items()}
    for p in INDEX.parent.glob('*-x[234].safetensors'):                  # the others make pictures from noise
        known.setdefault(p.stem, int(p.stem[-1]))
    return {k: s for k, s in sorted(known.items()) if (INDEX.parent/f'{k}.safetensors').exists()}

def rows():
    "Name of a result -> arguments of srgan-evaluate."
    for d in SETS:
        for s in SCALES:
            for w in WAYS: yield f'{w}-x{s}-{d}', ['--model', w, '--data', d, '--scale', str(s)]
        for m in models(): yield f'{m}-{d}', ['--model', m, '--data', d]

def changes(old, new, way=''):
    "Figures that differ: (name, old, new)."
    if isinstance(old, dict) or isinstance(new, dict):
        a, b = (x if isinstance(x, dict) else {} for x in (old, new))
        return [c for k in dict.fromkeys([*a, *b]) for c in changes(a.get(k), b.get(k), f'{way} {k}'.strip())]
    return [] if old == new else [(way, old, new)]

def remake(name, args, tmp):
    "One row. Returns a line to print, and whether it was measured."
    path, fresh = RESULTS/f'{name}.json', tmp/'results'/f'{name}.json'
    fresh.parent.mkdir(exist_ok=True)
    r = subprocess.run([sys.executable, '-m', 'srgan_course', 'evaluate', *args, '--result', str(fresh)], capture_output=True, text=True,
                       cwd=ROOT)
    if r.returncode: return f'{name}: left out: {(r.stderr.strip() or r.stdout.strip() or "no word of why").splitlines()[-1]}', False
    old, new = read(path), read(fresh)
    diff = changes(old and old['figures'], new['figures'])
    if old and not diff and old.get('checksum') == new.get('checksum'):
        return f'{name}: the same, mean {new["figures"]["mean"]["psnr"]:.2f} dB', True
    fresh.replace(path) if fresh.stat().st_dev == path.parent.stat().st_dev else path.write_bytes(fresh.read_bytes())
    if not old: return f'{name}: new, mean {new["figures"]["mean"]["psnr"]:.2f} dB', True
    if not diff: return f'{name}: the same figures, from other weights', True
    return '\n'.join([f'{name}: changed', *(f'    {k}: {a} -> {b}' for k, a, b in diff)]), True

def left_out():
    "What is not made anew here, and how long it took when it was."
    done = {n for n, _ in rows()}
    return [(p.stem, d['seconds'], d['command']) for p in sorted(RESULTS.glob('*.json')) if p.stem not in done for d in [read(p)]]

def page():
    "Execute the page of results, so that its tables and plots are those of the files."
    nb = ROOT/'nbs'/'results.ipynb'
    r = subprocess.run([sys.executable, '-m', 'jupyter', 'nbconvert', '--to', 'notebook', '--execute', '--inplace', '--log-level', 'WARN',
                        str(nb)], cwd=ROOT)
    if r.returncode: return False
    subprocess.run([str(Path(sys.executable).with_name('nbdev-clean')), '--fname', str(nb)], cwd=ROOT, check=True)
    return not subprocess.run([sys.executable, str(ROOT/'tests'/'slim.py'), str(nb)], cwd=ROOT).returncode

def main(argv=None):
    ap = parser(__doc__, list=dict(default=False, help='only say what would be made, and what not'),
                no_benchmarks=dict(default=False, help='leave out the quick benchmarks'),
                no_page=dict(default=False, help='do not make the page of results'))
    args, start, missing = ap.parse_args(argv), time.perf_counter(), 0
    if args.list: print('\n'.join(n for n, _ in rows()))
    else:
        with tempfile.TemporaryDirectory(dir=RESULTS.parent, prefix='.results-') as tmp:
            for name, a in rows():
                line, ok = remake(name, a, Path(tmp))
                missing += not ok
                print(line, flush=True)
        for b in () if args.no_benchmarks else BENCHMARKS:
            print(f'== benchmarks/{b}.py --quick', flush=True)
            missing += subprocess.run([sys.executable, str(ROOT/'benchmarks'/f'{b}.py'), '--quick'], cwd=ROOT).returncode != 0
        if not args.no_page: missing += not page()
    print('\nNot made anew here, for it takes long (see make studies, make benchmarks):')
    for name, s, command in left_out(): print(f'  {name:22} {"unknown time" if s is None else f"{s/60:6.1f} minutes"}   {command}')
    if not args.list: print(f'\n{time.perf_counter() - start:.0f} s' + (f', {missing} left out or failed' if missing else ''))
    return 0

if __name__ == '__main__': sys.exit(main())
