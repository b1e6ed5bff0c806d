"""Real processes are killed with SIGKILL in each phase of a run and resumed in a new one: weights, averages, optimiser and loss history
must end as those of the run that was left alone."""
import contextlib, json, os, random, signal, subprocess, sys, time
from pathlib import Path
import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
HERE = Path(__file__).parent

class Parent:
    "A process that has imported everything once and forks a child for each run."
    def __init__(self):
        env = {**os.environ, 'OMP_NUM_THREADS': '1', 'ONEDNN_MAX_CPU_ISA': 'AVX512_CORE_BF16',
               'PYTHONPATH': f'{HERE}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'}
        self.p = subprocess.Popen([sys.executable, str(HERE/'gan_runs.py')], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  env=env, cwd=HERE.parent)
        assert self.p.stdout.readline().strip() == 'ready'
    def start(self, **job):
        self.p.stdin.write(json.dumps(job) + '\n'); self.p.stdin.flush()
        return json.loads(self.p.stdout.readline())
    def wait(self): return json.loads(self.p.stdout.readline())
    def finish(self, out, **job):
        "Run to the end; its result."
        self.start(out=str(out), **job)
        status = self.wait()
        assert status == 0, Path(str(out) + '.log').read_text()
        return json.loads(Path(out).read_text())
    def close(self): self.p.stdin.close(); self.p.wait(30)

@pytest.fixture(scope='module')
def parent():
    p = Parent()
    yield p
    p.close()

def left_alone(parent, new_folder):
    "A function of settings: the result of a run that nobody stops; each is run once."
    known = {}
    def get(**job):
        key = json.dumps({**job, 'workers': 0}, sort_keys=True)     # workers must not matter
        if key not in known:
            folder = new_folder('whole')
            known[key] = parent.finish(folder/'out.json', folder=str(folder), **json.loads(key))
        return known[key]
    return get

@pytest.fixture(scope='module')
def whole(parent, tmp_path_factory): return left_alone(parent, tmp_path_factory.mktemp)

def wait_for(file, line, seconds=40):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if file.exists() and line in file.read_text().splitlines(): return
        time.sleep(.005)
    logs = ''.join(p.read_text() for p in file.parent.glob('*.log'))
    raise AssertionError(f'{line!r} did not come; {file.read_text() if file.exists() else "no marks"}; {logs}')

def nothing_half_written(folder):
    "Whatever has a checkpoint's name is whole, at every moment."
    from srgan_course.kit.files import check_tensors
    for p in folder.glob('*.safetensors'): check_tensors(p, 'checkpoint')

def kill_and_resume(parent, folder, place, delay=0., times=1, clock=0., **job):
    "Start, wait for `place`, kill `delay` seconds later, resume to the end; the result. `clock`: how far it jumps, there and back again."
    for i in range(times):
        marks = folder/f'marks{i}.txt'
        pid = parent.start(out=str(folder/'killed.json'), folder=str(folder), marks=str(marks), place=place, wait=30., jump=clock, **job)
        wait_for(marks, place)
        time.sleep(delay)
        os.kill(pid, signal.SIGKILL)
        assert parent.wait() == signal.SIGKILL
        assert not (folder/'killed.json').exists()
        nothing_half_written(folder)
    return parent.finish(folder/'out.json', folder=str(folder), seed=3, jump=-clock, **job)

def fill_and_resume(parent, folder, place, size, **job):
    "From `place` on no file may grow over `size` bytes: the run ends with one error. Then there is room again, and it goes on."
    parent.start(out=str(folder/'full.json'), folder=str(folder), place=place, full=size, **job)
    assert os.waitstatus_to_exitcode(parent.wait()) == 1
    said = (folder/'full.json.log').read_text()
    assert 'what was saved is untouched' in said, said
    nothing_half_written(folder)
    assert not list(folder.glob('.*.tmp'))
    return parent.finish(folder/'out.json', folder=str(folder), seed=3, **job)

# place, settings, where the resumed run begins: every phase, schedule or none, workers, both precisions; EMA, noisy labels, dropout and
# gradient clipping are always on
CASES = {
    'mid-epoch, schedule':             ('step 6',    dict(how='fit_one_cycle'), 4),
    'validation, schedule':            ('valid 6',   dict(how='fit_one_cycle'), 4),
    'between write and rename':        ('rename 8',  dict(how='fit_one_cycle'), 4),
    'workers, second epoch':           ('step 10',   dict(how='fit_one_cycle', workers=2), 8),
    'bfloat16, no schedule':           ('step 11',   dict(how='fit', precision='bfloat16'), 8),
}

@pytest.mark.parametrize('case', CASES)
def test_kill(case, parent, whole, tmp_path):
    place, job, begin = CASES[case]
    want = whole(**job)
    got = kill_and_resume(parent, tmp_path, place, **job)
    assert got['resumed'] == begin                       # it did go on, and did not begin anew
    assert {k: got[k] for k in ('digest', 'history', 'steps')} == {k: want[k] for k in ('digest', 'history', 'steps')}
    assert not list(tmp_path.glob('*.tmp')) and not list(tmp_path.glob('.*.tmp'))     # nothing half-written stays

def test_killed_before_the_first_checkpoint(parent, whole, tmp_path):
    "There is nothing to go on from: the run begins anew and ends the same; the history of the killed one is kept aside."
    got = kill_and_resume(parent, tmp_path, 'step 2', how='fit_one_cycle')
    assert (got['resumed'] == 0 and got['digest'] == whole(how='fit_one_cycle')['digest']
            and got['history'] == whole(how='fit_one_cycle')['history'])
    assert (tmp_path/'history.old.csv').exists()

def test_killed_twice(parent, whole, tmp_path):
    got = kill_and_resume(parent, tmp_path, 'step 9', times=2, how='fit_one_cycle')
    assert got['digest'] == whole(how='fit_one_cycle')['digest'] and got['history'] == whole(how='fit_one_cycle')['history']

def test_pretraining(parent, whole, tmp_path):
    job = dict(kind='pretrain', how='fit', workers=2)
    got = kill_and_resume(parent, tmp_path, 'step 7', **job)
    assert got['resumed'] == 4 and got['digest'] == whole(**job)['digest'] and got['history'] == whole(**job)['history']

def test_ctrl_c(parent, whole, tmp_path):
    "The first Ctrl-C ends the run after the batch at hand, with a checkpoint and a line that says how to go on."
    marks = tmp_path/'marks.txt'
    pid = parent.start(out=str(tmp_path/'killed.json'), folder=str(tmp_path), marks=str(marks), place='step 3', wait=.3,
                       how='fit_one_cycle')
    wait_for(marks, 'step 3'); os.kill(pid, signal.SIGINT)
    assert os.waitstatus_to_exitcode(parent.wait()) == 1
    said = (tmp_path/'killed.json.log').read_text()
    assert f"stopped after step 3 (interrupted): checkpoint {tmp_path}/step-00000003.safetensors; to go on: learn.resume('{tmp_path}')" in said, said
    assert 'KeyboardInterrupt' in said
    got = parent.finish(tmp_path/'out.json', folder=str(tmp_path), how='fit_one_cycle')
    assert (got['resumed'] == 3 and got['digest'] == whole(how='fit_one_cycle')['digest']
            and got['history'] == whole(how='fit_one_cycle')['history'])

def test_a_second_process_in_the_folder_of_a_run_at_work(parent, whole, tmp_path):
    "It is refused in one line and changes nothing; the first ends as if it had been alone, and then the folder is free."
    from gan_runs import make
    marks, second = tmp_path/'marks.txt', make('gan', tmp_path)
    parent.start(out=str(tmp_path/'out.json'), folder=str(tmp_path), marks=str(marks), place='step 6', wait=5., how='fit_one_cycle')
    wait_for(marks, 'step 6')
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    second.resume(tmp_path)
    for _ in range(2):                                                       # the second time, too
        with pytest.raises(BlockingIOError, match='another process trains in .*; wait until'): second.fit_one_cycle(2, lr_max=3e-3)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    assert parent.wait() == 0
    got, want = json.loads((tmp_path/'out.json').read_text()), whole(how='fit_one_cycle')
    assert {k: got[k] for k in ('digest', 'history', 'steps')} == {k: want[k] for k in ('digest', 'history', 'steps')}
    second.fit_one_cycle(2, lr_max=3e-3)

def test_a_refusal_that_is_forgotten_later_frees_nothing(tmp_path):
    "POSIX locks go with the first descriptor of their file that is closed: one kept by a refusal took the lock of the next fit along."
    from srgan_course.kit.lists import alone
    code = ('import sys; from pathlib import Path; from srgan_course.kit.lists import claims\n'
            'with claims(Path(sys.argv[1])) as mine: print(mine("run"), flush=True); sys.stdin.readline()')
    other = lambda: subprocess.Popen([sys.executable, '-c', code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    first, refused = other(), contextlib.ExitStack()
    assert first.stdout.readline() == 'True\n'
    with pytest.raises(BlockingIOError): alone([tmp_path], refused)
    first.communicate('\n')
    with contextlib.ExitStack() as held:
        alone([tmp_path], held)
        refused.close()                                                      # as when the error, and all that it holds, is forgotten
        assert other().communicate('\n')[0] == 'False\n'

# how many of the fifty: the game, pretraining, batches from workers, two processes, a disk that fills, a clock that jumps by ten years
KINDS = dict(game=14, pretrain=12, workers=8, processes=6, disk=5, clock=5)

def moment(kind, seed):
    "Settings, and a place drawn from `seed`: any step, validation batch or rename, with a delay inside it."
    rng = random.Random(f'{kind} {seed}')
    job = dict(kind='pretrain' if kind == 'pretrain' else 'gan', how=rng.choice(['fit', 'fit_one_cycle']), workers=2*(kind == 'workers'),
               precision=rng.choice(['float32', 'bfloat16']) if kind != 'processes' else 'float32')
    place = rng.choice([f'step {rng.randint(1, 12)}', f'valid {rng.choice([6, 12])}', f'rename {rng.choice([4, 8, 12])}'])
    if kind in ('processes', 'disk'): place = f'step {rng.randint(1, 11)}'
    return job, place, rng

class Pairs:
    "Runs of two processes."
    def __init__(self): self.parent, self.whole = None, {}
    def __call__(self, folder, seed):
        from test_distributed import Parent as Two
        self.parent = self.parent or Two()
        job, place, rng = moment('processes', seed)
        job = {k: job[k] for k in ('kind', 'how')}
        key = job['how']
        if key not in self.whole: self.whole[key] = self.parent('train', folder/'whole', **job)
        marks = folder/'killed'/'marks.txt'
        pids = self.parent.start('train', folder/'killed', place=place, wait=30., marks=str(marks), **job)
        wait_for(marks, place)
        for p in rng.sample(pids, 2): time.sleep(rng.random()*.01); os.kill(p, signal.SIGKILL)
        assert self.parent.wait() == [-signal.SIGKILL]*2
        nothing_half_written(folder/'killed')
        got = self.parent('train', folder/'killed', seed=3, **job)
        return [[o[k] for k in ('digest', 'history', 'steps')] for o in got], [[o[k] for k in ('digest', 'history', 'steps')] for o in self.whole[key]]
    def close(self):
        if self.parent: self.parent.close()

def seeded_kill(parent, whole, pairs, folder, kind, seed):
    "Stopped at a moment drawn from `seed`; what the resumed run ends with, and what the run that was left alone ended with."
    if kind == 'processes': return pairs(folder, seed)
    job, place, rng = moment(kind, seed)
    if kind == 'disk': got = fill_and_resume(parent, folder, place, rng.randint(3000, 9000), **job)
    else: got = kill_and_resume(parent, folder, place, delay=rng.random()*.01, clock=3e8*(-1)**seed*(kind == 'clock'), **job)
    ends = lambda d: [d[k] for k in ('digest', 'history', 'steps')]
    return ends(got), ends(whole(**job))

@pytest.fixture(scope='module')
def pairs():
    p = Pairs()
    yield p
    p.close()

@pytest.mark.parametrize('kind', [k for k in KINDS if k != 'processes'])
def test_seeded(kind, parent, whole, pairs, tmp_path):
    got, want = seeded_kill(parent, whole, pairs, tmp_path, kind, 0); assert got == want

@pytest.mark.slow
@pytest.mark.parametrize('kind, seed', [(k, i) for k, n in KINDS.items() for i in range(n)])
def test_fifty(kind, seed, parent, whole, pairs, tmp_path):
    "benchmarks/kills.py counts them."
    got, want = seeded_kill(parent, whole, pairs, tmp_path, kind, seed); assert got == want
