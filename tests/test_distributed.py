"""One run in several processes (`kit.distributed`), seen with two of them that talk through gloo on one machine."""
import json, os, signal, subprocess, sys, time
from pathlib import Path
import pytest
from conftest import ROOT

pytestmark = pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
HERE = Path(__file__).parent

class Parent:
    "A process that has imported everything once and forks the processes of each run."
    def __init__(self):
        env = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': f'{HERE}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'}
        self.p = subprocess.Popen([sys.executable, str(HERE/'ddp_runs.py')], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env,
                                  cwd=ROOT)
        assert self.p.stdout.readline().strip() == 'ready'
    def start(self, job, folder, n=2, **args):
        folder.mkdir(parents=True, exist_ok=True)
        self.p.stdin.write(json.dumps(dict(job=job, n=n, folder=str(folder), args=args)) + '\n'); self.p.stdin.flush()
        return json.loads(self.p.stdout.readline())
    def wait(self): return json.loads(self.p.stdout.readline())
    def __call__(self, job, folder, n=2, **args):
        "What each process of a run has to say."
        self.start(job, folder, n, **args)
        assert self.wait() == [0]*n, '\n'.join((folder/f'log-{r}.txt').read_text() for r in range(n))
        return [json.loads((folder/f'said-{r}.json').read_text()) for r in range(n)]
    def close(self): self.p.stdin.close(); self.p.wait(30)

@pytest.fixture(scope='module')
def run():
    p = Parent()
    yield p
    p.close()

def tensors(path):
    from srgan_course.kit.files import read_tensors
    return read_tensors(path)[0]

@pytest.mark.parametrize('kind', ['game', 'turns', 'cats', 'student', 'classifier'])
def test_gradients_are_those_of_one_process(run, tmp_path, kind):
    "Two processes with half of each batch move as one with the whole batch; they hold the same numbers, and their halves make the batch."
    import torch
    one, two = run('gradients', tmp_path, 1, kind=kind), run('gradients', tmp_path, 2, kind=kind)
    assert one[0] == two[0] == two[1]                                     # steps, and names without a wrapper's prefix
    w, a, b = (tensors(tmp_path/f'grads-{f}.safetensors') for f in ('1-0', '2-0', '2-1'))
    moved = [k for k in w if k not in one[0]['names'] and not k.startswith('x')]
    assert moved and w.keys() == a.keys() == b.keys()
    for k in w:
        if k.startswith('x'): assert torch.equal(torch.cat([a[k], b[k]]), w[k]), k
        else:
            assert torch.equal(a[k], b[k]), f'{k} differs between the processes'
            assert torch.allclose(a[k].float(), w[k].float(), rtol=0, atol=1e-6), f'{k}: {(a[k] - w[k]).abs().max()}'
    assert {k.split('/')[1] for k in moved} == ({'critic', 'generator'} if kind in ('game', 'turns', 'cats') else {'model'})

def test_one_wrapper_for_two_players_fails(run, tmp_path):
    "The mistake that fastai's `distrib_ctx` makes for a game; with one wrapper a player the same loop runs."
    assert all('Expected to have finished reduction' in o['error'] for o in run('mistake', tmp_path/'1', wrappers=1))
    a, b = run('mistake', tmp_path/'2', wrappers=2)
    assert a == b and a['same']

def wait_for(file, line, seconds=40):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if file.exists() and line in file.read_text().splitlines(): return
        time.sleep(.005)
    raise AssertionError(f'{line!r} did not come; ' + ''.join(p.read_text() for p in file.parent.glob('log-*')))

def test_killed_and_resumed(run, tmp_path):
    "SIGKILL for both processes in the middle of an epoch: with two again the run ends in the same bits, EMA and history included."
    job = dict(how='fit_one_cycle')
    whole = run('train', tmp_path/'whole', **job)
    assert whole[0]['digest'] == whole[1]['digest']                       # weights, EMA and optimiser are equal in the processes
    marks = tmp_path/'killed'/'marks.txt'
    pids = run.start('train', tmp_path/'killed', place='step 6', wait=30., marks=str(marks), **job)
    wait_for(marks, 'step 6')
    for p in pids: os.kill(p, signal.SIGKILL)
    assert run.wait() == [-signal.SIGKILL]*2
    got = run('train', tmp_path/'killed', seed=3, **job)
    assert [o['resumed'] for o in got] == [4, 4]
    assert [(o['digest'], o['history'], o['steps']) for o in got] == [(o['digest'], o['history'], o['steps']) for o in whole]
    assert not [*tmp_path.rglob('*.tmp'), *tmp_path.rglob('.*.tmp')]

def test_another_number_of_processes(run, tmp_path):
    "A checkpoint of two processes is refused by one and by three, by name; one of one is refused by two; each goes on where that was asked for."
    a, b = tmp_path/'a', tmp_path/'b'
    run('part', a); run('part', b, 1)
    for folder, n, said in (a, 1, '2 processes, and here is a run in 1'), (a, 3, '2 processes, and here is a run in 3'), (b, 2, '1 process, and here is a run in 2'):
        got = run('resume', folder, n)
        assert all(said in o['error'] and '--any-number' in o['error'] for o in got), got
    for folder, n in ((a, 1), (b, 2)):
        got = run('resume', folder, n, any_number=True)
        assert {o['steps'] for o in got} == {12} and len({o['digest'] for o in got}) == 1

@pytest.mark.parametrize('how', ['ask', 'nan'])
def test_all_stop_together(run, tmp_path, how):
    "One process is asked to stop, or its loss is not a number: both end after the same step, with the same kind of error, and wait for nobody."
    a, b = run('stop', tmp_path, how=how)
    assert a['steps'] == b['steps'] == 2 and a['plain'] == b['plain'] == ['generator.net.0.weight']
    if how == 'ask': assert a['error'] == b['error'] == 'KeyboardInterrupt: ' and a['kept'] == b['kept'] == ['step-00000002.safetensors']
    else:
        assert "the critic's loss is" in a['error'] and 'in another process of the run a loss is not finite' in a['error']
        assert 'the batch itself holds values that are not finite' in b['error']

@pytest.mark.parametrize('what, said', [('batch', 'a batch of 3 is not shared evenly by 2 processes; give bs=2'), ('lr_find', 'without torchrun'),
                                        ('adaptive', 'AdaptiveGANSwitcher goes by the losses of one process')])
def test_refused(run, tmp_path, what, said):
    assert all(said in o['error'] for o in run('refused', tmp_path, what=what))

def test_train_in_a_folder(run, tmp_path):
    "`train` of lesson 09: the first process writes, all end with the same weights, close to those of one process; the folder is not taken twice."
    two, one = run('whole', tmp_path/'2'), run('whole', tmp_path/'1', 1)
    assert two[0] == two[1] and {'generator.safetensors', 'generator.md', 'history_gan.csv', 'results.json'} <= {*two[0]['files']}
    assert two[0]['files'] == one[0]['files'] and abs(two[0]['psnr'] - one[0]['psnr']) < .01
    rows = [(tmp_path/n/'run'/'history_gan.csv').read_text().splitlines() for n in '12']
    assert len(rows[0]) == len(rows[1]) == 1 + 8 + 2                      # a header, a row a step, a row a validation: one process wrote it
    assert all('go on with resume=True' in o['error'] for o in run('whole', tmp_path/'2'))
    assert run('whole', tmp_path/'2', resume=True) == two                 # done: nothing is trained again

@pytest.mark.parametrize('kind', ['classifier', 'student', 'cats'])
def test_several_processes_that_share_nothing(monkeypatch, tmp_path, kind):
    "A script that torchrun starts without `processes()`: one line, and no folder."
    from srgan_course.cats import train_cats
    from srgan_course.classifier import train_classifier
    from srgan_course.recognise import train_recognise
    monkeypatch.setenv('WORLD_SIZE', '2')
    with pytest.raises(ValueError, match='torchrun has started 2 processes'):
        dict(classifier=train_classifier, student=train_recognise, cats=train_cats)[kind]('quick', out=tmp_path/'run')
    assert not (tmp_path/'run').exists()

OTHERS = dict(classifier='classifier.safetensors', student='student.safetensors', cats='generator.safetensors')

@pytest.mark.parametrize('kind', OTHERS)
def test_the_other_trainings(run, tmp_path, kind):
    "The first process writes the files of one process, all end with the same weights, and without batch norm with those of one process."
    two, one = run('others', tmp_path/'2', kind=kind), run('others', tmp_path/'1', 1, kind=kind)
    assert two[0] == two[1] and OTHERS[kind] in two[0]['files']
    assert (two[0]['files'], two[0]['rows']) == (one[0]['files'], one[0]['rows'])
    a, b = (tensors(tmp_path/n/'weights-0.safetensors') for n in '12')
    apart = max((a[k].double() - b[k].double()).abs().max() for k in a)
    assert 1e-6 < apart < .01 if kind == 'cats' else apart < 1e-6, apart   # the cats' generator has batch norms, which see a part of a batch

@pytest.mark.slow
@pytest.mark.parametrize('kind', OTHERS)
def test_the_other_trainings_killed_and_resumed(run, tmp_path, kind):
    "SIGKILL in the middle of an epoch; two processes again end in the same bits. Then the folder is taken, and each process is told."
    whole = run('others', tmp_path/'whole', kind=kind)
    run.start('others', tmp_path/'killed', kind=kind, die=3 if kind == 'classifier' else 5)
    assert run.wait() == [-signal.SIGKILL]*2
    assert run('others', tmp_path/'killed', kind=kind, resume=True) == whole
    assert all('another folder' in o['error'] for o in run('others', tmp_path/'whole', kind=kind))

def test_resumed_before_a_rest_that_is_nobodys(tmp_path):
    "Nine pictures by eight in two processes: a loader counts a second batch, and none comes. A run stopped before it goes on."
    import torch
    from fastai.callback.core import Callback
    from fastai.data.core import DataLoaders
    from fastai.data.load import DataLoader
    from srgan_course.kit.checkpoints import Resumable, SaveEvery
    class Short(DataLoader):
        def __len__(self): return 2
    class Stop(Callback):
        def after_batch(self): self.learn.ask_stop('enough')
    def learner(*cbs):
        torch.manual_seed(0); rows = [(torch.full((2,), i/8), torch.ones(1)) for i in range(8)]
        return Resumable(DataLoaders(Short(rows, bs=8), Short(rows, bs=8)), torch.nn.Linear(2, 1), torch.nn.MSELoss(), cbs=[SaveEvery(tmp_path), *cbs])
    def fit(learn):
        with learn.no_bar(), learn.no_logging(): learn.fit(2)
        return learn.n_steps
    assert fit(learner(Stop())) == 1 and fit(learner().resume(tmp_path)) == 2

@pytest.mark.cuda
def test_on_gpus(tmp_path):
    "Real GPUs under torchrun with nccl: one where there is one, two where there are more."
    import torch
    n = min(2, torch.cuda.device_count())
    if not n: pytest.skip('no CUDA')
    torchrun(n, tmp_path/'run', 'cuda')

def torchrun(n, out, device, *more):
    "A tiny `srgan-train` under a real torchrun; the process's end."
    recipe = out.with_suffix('.json'); recipe.write_text(json.dumps(TINY))
    cmd = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', str(n), '-m', 'srgan_course', 'train', '--recipe',
           str(recipe), '--out', str(out), '--device', device, *more]
    p = subprocess.run(cmd, cwd=ROOT, env={**os.environ, 'GLOO_SOCKET_IFNAME': 'lo'}, capture_output=True, text=True, timeout=400)
    assert p.returncode == 0, p.stdout + p.stderr
    return p

TINY = dict(name='tiny', size=32, bs=4, nf=4, n_blocks=1, steps_per_epoch=3, epochs=1, pre_epochs=1, critic='PoolCritic', critic_nf=4,
            perceptual=0., precision='float32')

@pytest.mark.slow
def test_torchrun(tmp_path):
    "The command of lesson 20, with two processes on the processor: it prints once, and the folder is that of one run."
    p = torchrun(2, tmp_path/'run', 'cpu')
    assert p.stdout.count('after 6 steps') == 1 and (tmp_path/'run'/'generator.safetensors').exists()
