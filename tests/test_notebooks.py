"Every notebook runs from top to bottom, by nbdev's own runner, each in a process of its own."
import multiprocessing, sys
import pytest
from conftest import ROOT

NBS = sorted((ROOT/'nbs').glob('*.ipynb')) + sorted((ROOT/'nbs'/'kit').glob('*.ipynb'))

def new_process():
    "A fork where that is safe: it need not import fastai again. A GPU that was used cannot be used in a fork."
    if sys.platform != 'linux': return multiprocessing.get_context('spawn')
    import srgan_course.gan, torch                 # noqa: F401 (fastai, once for all forks)
    return multiprocessing.get_context('spawn' if torch.cuda.is_available() else 'fork')

def run_notebook(path, flags, out):
    "Send whether `path` ran to its end; what went wrong goes to stderr."
    sys.stdout = sys.stderr = sys.__stderr__       # into the test's captured output
    from nbdev.test import test_nb as run_nb
    out.send(run_nb(path, skip_flags=[f for f in ('slow', 'cuda') if f not in flags], force_flags=flags, basepath=ROOT,
                    cell_timeout=600)[0])
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

@pytest.mark.parametrize('cell, want', [('assert 1 + 1 == 2', True), ('assert 1 + 1 == 3', False), ('import os; os._exit(0)', None),
                                        ('#| slow\nassert False', True)])
def test_the_runner_can_fail(cell, want, tmp_path):
    import json
    nb = tmp_path/'a.ipynb'
    nb.write_text(json.dumps(dict(nbformat=4, nbformat_minor=5,
                                  metadata=dict(kernelspec=dict(name='python3', language='python', display_name='python3')),
                                  cells=[dict(cell_type='code', id='a', source=cell, metadata={}, outputs=[], execution_count=None)])))
    assert runs(nb) is want
