"Every notebook runs from top to bottom, by nbdev's own runner, each in a process of its own."
import json, multiprocessing, symtable, sys
import pytest
from conftest import ROOT

NBS = sorted((ROOT/'nbs').glob('*.ipynb')) + sorted((ROOT/'nbs'/'kit').glob('*.ipynb'))

def new_process():
    "A fork where that is safe: it need not import fastai again. A GPU that was used cannot be used in a fork."
    if sys.platform != 'linux': return multiprocessing.get_context('spawn')
    import srgan_course.gan, torch                 # noqa: F401 (fastai, once for all forks)
    return multiprocessing.get_context('spawn' if torch.cuda.is_available() else 'fork')

def names(source):
    "What a cell uses of others, and what it assigns."
    top = symtable.symtable(source, 'cell', 'exec')
    tables = [top]
    for t in tables: tables += t.get_children()
    symbols = [(s, t is top or s.is_global()) for t in tables for s in t.get_symbols()]
    made, used = ({s.get_name() for s, outer in symbols if outer and getattr(s, how)()} for how in ('is_assigned', 'is_referenced'))
    return used - made, made

def shown(outputs):
    "The words of stored outputs, tables and prints; not the pictures."
    texts = (o.get('text') or o.get('data', {}).get('text/markdown') or o.get('data', {}).get('text/plain', '') for o in outputs)
    return [w for t in map(''.join, texts) if not t.startswith('<Figure') for w in t.split()]

def watch_results(path, stale):
    """Add the ids of cells to `stale` that show what files of results/ say, and whose stored output is another.

    Such a cell reads `load_result` or `results_folder`, or what a cell of this kind has assigned, and no value that another cell worked out.
    What an exercise's check says of the empty answer is looked at, too.
    """
    import pandas
    from execnb.shell import CaptureShell
    pandas.set_option('display.width', 80, 'display.max_columns', 20)          # as in a kernel without a terminal
    stored = {c['id']: c.get('outputs', []) for c in json.loads(path.read_text())['cells']}
    files, own, run = {'load_result', 'results_folder'}, set(), CaptureShell.cell
    def cell(self, c, **kwargs):
        run(self, c, **kwargs)
        if c.cell_type != 'code' or self.exc: return
        used, made = names(c.source)
        if used & own or not (used & files or c.source.startswith('check_')):
            files.difference_update(made); own.update(n for n in made if not callable(self.user_ns.get(n)))
            return
        files.update(made); own.difference_update(made)
        if shown(stored[c.id]) and shown(stored[c.id]) != shown(c.outputs): stale.append(c.id)
    CaptureShell.cell = cell

def run_notebook(path, flags, out):
    "Send whether `path` ran to its end and shows what results/ says; what went wrong goes to stderr."
    sys.stdout = sys.stderr = sys.__stderr__       # into the test's captured output
    from nbdev.test import test_nb as run_nb
    stale = []
    watch_results(path, stale)
    ok = run_nb(path, skip_flags=[f for f in ('slow', 'cuda') if f not in flags], force_flags=flags, basepath=ROOT, cell_timeout=600)[0]
    if stale: print(f'{path}: the stored output of {", ".join(stale)} is not what results/ says; run the notebook anew', file=sys.stderr)
    out.send(ok and not stale)
    out.close()

def runs(path, flags=()):
    "Whether the notebook runs; None where its process ended without a word."
    context = new_process()
    got, out = context.Pipe(duplex=False)
    p = context.Process(target=run_notebook, args=(path, list(flags), out))
    p.start(); out.close()
    try: ok = got.recv()
    except EOFError: ok = None
    p.join()
    return ok

pytestmark = pytest.mark.filterwarnings('ignore:This process.*fork:DeprecationWarning')

@pytest.mark.parametrize('nb', NBS, ids=lambda p: p.relative_to(ROOT/'nbs').with_suffix('').as_posix())
def test_notebook(nb, pytestconfig):
    assert runs(nb, [f for f in ('slow', 'cuda') if pytestconfig.getoption('--'
        + f)]), f'{nb.relative_to(ROOT)} failed; what it said stands below'

READS = 'from builtins import len as load_result\nprint(load_result("ab"))'
MEASURES = 'n = 2', 'from builtins import len as load_result\nprint(load_result("ab") + n)'

def notebook(path, *cells):
    "Write a notebook of `cells`: code, or (code, what it printed)."
    cells = [c if isinstance(c, tuple) else (c, '') for c in cells]
    path.write_text(json.dumps(dict(
        nbformat=4, nbformat_minor=5, metadata=dict(kernelspec=dict(name='python3', language='python', display_name='python3')),
        cells=[dict(cell_type='code', id=f'c{i}', source=c, metadata={}, execution_count=None,
                    outputs=[dict(output_type='stream', name='stdout', text=said)]*bool(said)) for i,(c,said) in enumerate(cells)])))
    return path

@pytest.mark.parametrize('cell, want', [('assert 1 + 1 == 2', True), ('assert 1 + 1 == 3', False), ('import os; os._exit(0)', None),
                                        ('#| slow\nassert False', True)])
def test_the_runner_can_fail(cell, want, tmp_path): assert runs(notebook(tmp_path/'a.ipynb', cell)) is want

@pytest.mark.parametrize('cells, want', [([(READS, '2\n')], True), ([(READS, '3\n')], False), ([READS], True),
                                         ([MEASURES[0], (MEASURES[1], '5\n')], True),
                                         ([READS + '\nm = load_result("abc")', ('print(m)', '4\n')], False)])
def test_a_stored_output_is_what_the_results_say(cells, want, tmp_path): assert runs(notebook(tmp_path/'a.ipynb', *cells)) is want
