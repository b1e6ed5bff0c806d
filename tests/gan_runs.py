"""Tiny runs of both learners, for the tests that kill them: this file is imported once by a parent process, which forks a child for each
run.

`serve()` (python gan_runs.py) reads one JSON line a run on stdin, forks, and answers with the child's pid; the child works, writes its
marks into a file, and ends with its result in another.
"""
import hashlib, json, os, sys, time
from pathlib import Path

os.environ.setdefault('ONEDNN_MAX_CPU_ISA', 'AVX512_CORE_BF16')     # safe in virtual machines that only claim AMX
from srgan_course.gan import SRGANLearner      # imports torch and fastai; no torch operation runs here
from srgan_course.kit.checkpoints import Resumable, SaveEvery, checkpoints, opt_state
from srgan_course.watching import EMA, LossHistory
from srgan_course.losses import AdversarialLoss, ContentLoss, CriticLoss, WeightedLoss
from srgan_course.data import Recipe, sr_dls
import numpy as np, torch
from PIL import Image
from torch import nn
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.callback.training import GradientClip

class TinyGenerator(nn.Module):
    "8 -> 16 pixels, with batch norm and dropout: averages and random numbers in every step."
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.PReLU(), nn.Dropout(.1),
                                 nn.Conv2d(6, 12, 3, padding=1), nn.PixelShuffle(2))
    def forward(self, x): return self.net(x)

class TinyCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.LeakyReLU(.2), nn.Conv2d(6, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6),
                                  nn.LeakyReLU(.2))
        self.head = nn.Linear(6, 1)
    def forward(self, x): return self.head(self.body(x).float().mean((2, 3)))

def tiny_dls(workers=0, epochs=2, steps=6):
    pics = [Image.fromarray(np.random.RandomState(s).randint(0, 256, (64, 64, 3), np.uint8)) for s in range(4)]
    return sr_dls(pics, Recipe(name='kill', scale=2, size=16, bs=2, steps_per_epoch=steps, epochs=epochs, seed=7, workers=workers),
                  valid=pics[:2])

class Mark(Callback):
    "Says where the run is, in a file; at the place asked for the disk is full from now on (no file may become larger), or it waits."
    order = 200
    def __init__(self, file, place, wait, full=0): self.file, self.place, self.wait, self.full = Path(file), place, wait, full
    def say(self, what):
        with open(self.file, 'a') as f: f.write(what + '\n')
        if self.place != what: return
        if self.full:
            import resource
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.full, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        time.sleep(self.wait)
    def after_batch(self): self.say(f"{'step' if self.training else 'valid'} {self.learn.n_steps}")

def hold_rename(mark):
    "Between the writing of a checkpoint and its rename: a mark, and a wait where asked for."
    real = os.replace
    def replace(a, b, *args, **kw):
        if str(b).endswith('.safetensors'): mark.say(f'rename {int(Path(b).stem[5:])}')
        return real(a, b, *args, **kw)
    os.replace = replace

def set_clock(seconds, files):
    "The clock on the wall jumps, and `files` were written by it."
    real = time.time
    time.time = lambda: real() + seconds
    for p in files: os.utime(p, (time.time(),)*2)

def make(kind, folder, workers=0, precision='float32', cbs=(), **kw):
    torch.manual_seed(11)
    adv = AdversarialLoss('bce', real_label=.9, noise=.1)
    folder = Path(folder)
    cbs = [EMA(.9), LossHistory(folder/'history.csv'), SaveEvery(folder, steps=4), GradientClip(1.), *cbs]
    kw = dict(lr=3e-3, precision=precision, cbs=cbs, **kw)
    if kind == 'pretrain': learn = Resumable(tiny_dls(workers), TinyGenerator(), ContentLoss('l1'), **kw)
    else:
        learn = SRGANLearner(tiny_dls(workers), TinyGenerator(), TinyCritic(),
                             WeightedLoss(content=(ContentLoss('l1'), 1.), adv=(adv, .01)), CriticLoss(adv), crit_lr=2e-3, **kw)
    learn.remove_cb(ProgressCallback); learn.logger = lambda *a: None
    return learn

def digest(learn):
    "One number for everything a run leaves behind."
    h = hashlib.sha256()
    for part in (learn.model.state_dict(), learn.ema.model.state_dict(), opt_state(learn.opt.opt)[0]):
        for k,v in sorted(part.items()): h.update(k.encode()); h.update(v.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return h.hexdigest()

def run(kind='gan', folder='.', how='fit_one_cycle', workers=0, precision='float32', place=None, wait=0., epochs=2, seed=0, marks=None,
        full=0, jump=0.):
    "Train, from the newest checkpoint where there is one; returns what the end looks like."
    torch.set_num_threads(1)
    folder = Path(folder)
    mark = Mark(marks or folder/'marks.txt', place, wait, full)
    if jump: set_clock(jump, checkpoints(folder)[::2])
    hold_rename(mark)
    learn = make(kind, folder, workers, precision, [mark])
    torch.manual_seed(1000 + seed)       # what a new process happens to have
    if checkpoints(folder): learn.resume(folder)
    else: torch.manual_seed(5)
    resumed = learn.n_steps
    getattr(learn, how)(epochs, **(dict(lr_max=3e-3) if how == 'fit_one_cycle' else {}))
    return dict(digest=digest(learn), history=hashlib.sha256((folder/'history.csv').read_bytes()).hexdigest(), steps=learn.n_steps,
                resumed=resumed)

def serve():
    "Fork a child for each line of stdin."
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.setpgid(0, 0)
                out = job.pop('out')
                with open(out + '.log', 'w') as log:
                    os.dup2(log.fileno(), 1); os.dup2(log.fileno(), 2)
                    res = run(**job)
                Path(out).write_text(json.dumps(res)); code = 0
            except BaseException:
                import traceback; traceback.print_exc()
            finally: os._exit(code)
        print(json.dumps(pid), flush=True)
        print(json.dumps(os.waitpid(pid, 0)[1]), flush=True)

if __name__ == '__main__':
    print('ready', flush=True)
    serve()
