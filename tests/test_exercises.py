"""Every exercise: its check refuses the stub and one named typical mistake, accepts the folded solution, prints one line, and never raises.

An exercise's cells carry `#| exercise: N stub`, `N check` and `N mistake`; the solution is the python block in the Markdown cell that follows.
"""
import contextlib, io, json, re
import pytest
from conftest import ROOT

NBS = sorted((ROOT/'nbs').glob('[0-9]*.ipynb'))
MARK = re.compile(r'^#\|\s*exercise:\s*(\d+)\s+(stub|check|mistake)\s*$', re.M)
SOLUTION = re.compile(r'<summary>\s*Solution.*?```python\n(.*?)```', re.S)

def is_imports(src):
    "True where every line of a cell imports (or is a comment, or quietens fastai's import)."
    lines = [l.strip() for l in src.splitlines() if l.strip() and not l.strip().startswith('#')]
    return bool(lines) and all(re.match(r'(from|import)\s|import_fastai\(\)', l) for l in lines)

def exercises(nb):
    "Imports of the notebook, its check cells in order, and for each exercise its stub, mistake, solution and call."
    cells = json.loads(nb.read_text(encoding='utf-8'))['cells']
    imports, checks, ex, current = [], [], {}, None
    for c in cells:
        src = ''.join(c['source'])
        if c['cell_type'] == 'code':
            m = MARK.search(src)
            if m:
                n, what = m.groups()
                if what == 'check': checks.append(src)
                else: ex.setdefault(n, {})[what] = src; current = n
            elif is_imports(src) and not ex: imports.append(src)
            elif current and (call := re.search(r'^\s*(check_\w+\(.*\))', src, re.M)): ex[current].setdefault('call', call.group(1))
        elif current and (s := SOLUTION.search(src)): ex[current].setdefault('solution', s.group(1))
    return imports, checks, ex

ALL = [(p, n) for p in NBS for n in exercises(p)[2]]

def test_every_lesson_has_exercises():
    for p in NBS:
        if p.stem.startswith('00'): continue
        imports, checks, ex = exercises(p)
        assert 2 <= len(ex) <= 4, f'{p.name} has {len(ex)} exercises'
        for n, e in ex.items():
            missing = {'stub', 'mistake', 'solution', 'call'} - set(e)
            assert not missing, f'{p.name}, exercise {n}: no {", ".join(sorted(missing))}'

def verdict(imports, checks, answer, call, name):
    "What the check says of `answer`: its result and its one line."
    ns = {'__name__': 'exercise'}
    for s in imports: exec(s, ns)
    for m in re.findall(r'^#\|\s*default_exp\s+(\w+)', (ROOT/'nbs'/name).read_text(encoding='utf-8').replace('\\n', '\n').replace('"', '\n'), re.M): exec(f'from srgan_course.{m} import *', ns)
    for s in checks: exec(s, ns)
    exec(answer, ns)
    out = io.StringIO()
    with contextlib.redirect_stdout(out): ok = eval(call, ns)
    return ok, out.getvalue()

@pytest.mark.parametrize('nb,n', ALL, ids=lambda v: getattr(v, 'stem', v))
def test_exercise(nb, n):
    imports, checks, ex = exercises(nb)
    e = ex[n]
    for what, want in dict(stub=False, mistake=False, solution=True).items():
        ok, said = verdict(imports, checks, e[what], e['call'], nb.name)
        assert ok is want, f'{nb.name}, exercise {n}: the check said {ok} of the {what}: {said}'
        assert len(said.strip().splitlines()) == 1, f'{nb.name}, exercise {n}: not one line for the {what}: {said!r}'
