"""Every exercise: its check refuses the stub and every wrong answer of tests/solutions/, accepts the folded solution and every right one,
prints one line, and never raises.

An exercise is a Markdown cell that begins with `### Exercise N`, a cell marked `#| exercise: N stub`, a cell that calls the check, and
a Markdown cell with the folded solution.
Checks stand in `srgan_course.kit.exercises` and `kit.exercises_more`, and no cell of a lesson holds a check or a wrong answer.
"""
import ast, contextlib, importlib.util, io, json, re
import pytest
from conftest import ROOT

NBS = [p for p in sorted((ROOT/'nbs').glob('[0-9]*.ipynb')) if p.stem[:2] != '00']
STUB = re.compile(r'^#\|\s*exercise:\s*(\d+)\s+stub\s*$', re.M)
SOLUTION = re.compile(r'<summary>\s*Solution.*?```python\n(.*?)```', re.S)

def public(module):
    "What a lesson defines for those who work through it, exported or not."
    return {k: v for k,v in vars(importlib.import_module(f'srgan_course.{module}')).items() if not k.startswith('_')}

def code_cells(nb): return [''.join(c['source']) for c in json.loads(nb.read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'code']

def is_imports(src):
    "True where every statement of a cell imports (or quietens fastai's import)."
    try: body = ast.parse(src).body
    except SyntaxError: return False      # a magic
    return bool(body) and all(isinstance(o, (ast.Import, ast.ImportFrom)) or ast.unparse(o) == 'import_fastai()' for o in body)

def exercises(nb):
    "Imports of the notebook, and for each exercise its stub, the call of its check and the folded solution."
    imports, ex, current = [], {}, None
    for c in json.loads(nb.read_text(encoding='utf-8'))['cells']:
        src = ''.join(c['source'])
        if c['cell_type'] == 'code':
            if m := STUB.search(src): current = m[1]; ex[current] = dict(stub=src)
            elif is_imports(src): imports.append(src)
            elif current and (call := re.search(r'^\s*(check_\w+\(.*\))', src, re.M)): ex[current].setdefault('call', call[1])
        elif current and (s := SOLUTION.search(src)): ex[current].setdefault('solution', s[1])
    return imports, ex

def namespace(nb, imports):
    "What a lesson has in hand when its exercises begin: what it imports, and its own module."
    ns = {'__name__': 'exercise'}
    for s in imports: exec(s, ns)
    for s in code_cells(nb):
        if m := re.search(r'^#\|\s*default_exp\s+([\w.]+)', s, re.M): ns |= public(m[1])
    return ns

def answers(nb, n, ns):
    "The answers to exercise `n` in tests/solutions/: (kind, name, function, whether it makes the answer)."
    path = ROOT/'tests'/'solutions'/f'e{nb.stem}.py'
    if not path.exists(): return []
    spec = importlib.util.spec_from_file_location(path.stem, path)
    mod = importlib.util.module_from_spec(spec)
    for k, v in ns.items():
        if not k.startswith('__'): setattr(mod, k, v)
    spec.loader.exec_module(mod)
    marked = [(name, f) for name, f in vars(mod).items() if isinstance(getattr(f, 'exercise', None), tuple)]
    return [(f.exercise[0], name, f, f.exercise[2]) for name, f in marked if f.exercise[1] == n]

def verdict(call, ns):
    "What the check says: its result and what it prints."
    out = io.StringIO()
    with contextlib.redirect_stdout(out): ok = eval(call, ns)
    return ok, out.getvalue()

# What the check says of some wrong answers: the fault by its name
HINTS = dict(one_number_for_each_channel_of_a_norm='batch norm has two numbers', a_norm_in_the_first_layer='the first convolution has no',
             seeds_torch="torch's global random state", seeds_python="Python's global random state", one_row_for_all='rows get the same',
             in_levels_from_0_to_1='not 5 of 255', with_a_relu='never fall below 0',
             with_a_tanh='without sigmoid or tanh', falls_of_the_sigmoid='not its sigmoid', covers_with_black='black is no mean',
             covers_with_mean_grey='three numbers', the_sum='the mean, not the sum', forgets_the_norms='did you count batch norm',
             slivers='as tile_boxes does', right_for_premultiplied_colours_only='only the ground shows',
             the_ground_is_not_weighted='is the ground weighted', without_momentum='is it one Adam for both',
             counts_the_one_that_learns='that counts the one that learns', judged_in_training_mode='a critic in evaluation mode',
             columns_before_rows='row in the cell, column in the cell', place_before_channel='the order is channel',
             forgets_mid='did you count mid', noise_before_shrinking='after shrinking', the_mean_of_the_halves='added, not averaged',
             the_first_half_is_lost='the first half is missing', the_second_half_is_lost='the second half is missing',
             biases='no layer has a bias', rows_and_columns_swapped='rows and columns inside a pixel are exchanged',
             the_groups_themselves='not the groups', one_side='at each end', a_degree_too_many='the t of k - 1',
             twice_for_half_the_width='not twice')

ALL = [(p, n) for p in NBS for n in exercises(p)[1]]

@pytest.mark.parametrize('nb', NBS, ids=lambda p: p.stem)
def test_every_lesson_has_exercises(nb):
    imports, ex = exercises(nb)
    assert 2 <= len(ex) <= 4, f'{nb.name} has {len(ex)} exercises'
    for n, e in ex.items():
        missing = {'stub', 'solution', 'call'} - set(e)
        assert not missing, f'{nb.name}, exercise {n}: no {", ".join(sorted(missing))}'

@pytest.mark.parametrize('nb', NBS, ids=lambda p: p.stem)
def test_run_all_keeps_what_a_learner_wrote(nb):
    "No cell defines an answer a second time, and none holds a check, which would give the answer away."
    cells = code_cells(nb)
    for n, e in exercises(nb)[1].items():
        name = answer_name(e['stub'])
        again = [s for s in cells if s != e['stub'] and re.search(rf'^(def|class)\s+{name}\b|^{name}\s*=', s, re.M)]
        assert not again, f'{nb.name}: a cell besides the stub of exercise {n} defines {name}: {again[0][:80]!r}'
    assert not [s for s in cells if re.search(r'^#\|\s*exercise:\s*\d+\s+(check|mistake)', s,
                                              re.M)], f'{nb.name} holds a check or a mistake'

def answer_name(stub):
    "The name that a stub asks for."
    return re.search(r'^(?:def|class)\s+(\w+)|^(\w+)\s*=', stub, re.M).group(1) or re.search(r'^(\w+)\s*=', stub, re.M).group(1)

@pytest.mark.parametrize('nb,n', ALL, ids=lambda v: getattr(v, 'stem', v))
def test_exercise(nb, n):
    imports, ex = exercises(nb)
    e, ns = ex[n], namespace(nb, imports)
    name, given = answer_name(e['stub']), answers(nb, n, ns)
    kinds = [kind for kind, *_ in given]
    assert kinds.count('wrong') >= 3 and kinds.count('right') >= 2, f'{nb.name}, exercise {n}: {kinds.count("wrong")} wrong answers and {kinds.count("right")} right ones in tests/solutions/; 3 and 2 are wanted'
    tries = [('the stub', False, e['stub']), ('the folded solution', True, e['solution'])] + [(what, kind == 'right', f() if made else f)
        for kind, what, f, made in given]
    for what, want, answer in tries:
        here = dict(ns)
        if isinstance(answer, str): exec(answer, here)
        else: here[name] = answer
        ok, said = verdict(e['call'], here)
        assert ok is want, f'{nb.name}, exercise {n}: the check said {ok} of {what}: {said}'
        assert len(said.strip().splitlines()) == 1, f'{nb.name}, exercise {n}: not one line for {what}: {said!r}'
        assert HINTS.get(what, '') in said, f'{nb.name}, exercise {n}: {what} is told {said!r}'
