"""Tiny runs in several processes, for tests/test_distributed.py: this file is imported once by a parent, which forks as many children as a
run has processes. Nothing here needs more than one machine: the processes talk through gloo.

`serve()` reads one JSON line a run on stdin: `job` (a function below), `n` (processes), `folder`, `args`. It answers with the children's
pids and, when they have ended, with their exit codes. What a process has to say stands in FOLDER/said-RANK.json, what it printed in
FOLDER/log-RANK.txt.
"""
import json, os, socket, sys
from functools import partial
from pathlib import Path

os.environ.setdefault('ONEDNN_MAX_CPU_ISA', 'AVX512_CORE_BF16')     # safe in virtual machines that only claim AMX
import gan_runs                                                     # imports torch and fastai; no torch operation runs here
import numpy as np, torch
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from fastai.callback.core import Callback
from fastai.vision.gan import GANModule
from srgan_course.data import Recipe, sr_dls
from srgan_course.gan import SRGANLearner, Turns
from srgan_course.kit.checkpoints import Resumable, SaveEvery, checkpoints
from srgan_course.kit.distributed import processes, rank, world
from srgan_course.kit.files import digest, write_tensors
from srgan_course.losses import AdversarialLoss, ContentLoss, CriticLoss, WeightedLoss

def conv(*a): return nn.Conv2d(*a)

class Plain(nn.Module):
    "8 -> 16 pixels, without batch norm and chance: its gradients are sums over pictures."
    def __init__(self): super().__init__(); self.net = nn.Sequential(conv(3, 6, 3, 1, 1), nn.LeakyReLU(.2), conv(6, 12, 3, 1, 1), nn.PixelShuffle(2))
    def forward(self, x): return self.net(x)

class PlainCritic(nn.Module):
    def __init__(self): super().__init__(); self.net = nn.Sequential(conv(3, 6, 3, 2, 1), nn.LeakyReLU(.2), conv(6, 1, 3, 2, 1))
    def forward(self, x): return self.net(x).mean((2, 3))

class Gradients(Callback):
    "Keeps each player's gradients as they are when it is about to move, and what the batches held."
    order, run_valid = 50, False
    def __init__(self, steps): self.steps, self.kept, self.rows = steps, {}, {}
    def before_batch(self): self.rows[f'x{self.learn.n_steps}'] = self.learn.xb[0].detach().clone()
    def before_step(self):
        net = self.learn.model if self.learn.player == 'model' else getattr(self.learn.model, self.learn.player)
        for k,p in net.named_parameters():
            if p.grad is not None: self.kept[f'{self.learn.n_steps}/{self.learn.player}/{k}'] = p.grad.detach().clone()
    def after_batch(self):
        if self.learn.n_steps >= self.steps: self.learn.ask_stop('enough')

def photographs(bs=4): # random pictures; batches of `bs`
    pics = [np.random.RandomState(s).randint(0, 256, (40, 40, 3), np.uint8) for s in range(4)]
    pics = [gan_runs.Image.fromarray(p) for p in pics]
    return sr_dls(pics, Recipe('tiny', scale=2, size=16, bs=bs, steps_per_epoch=4, seed=7), valid=pics[:2], device='cpu')

def the_game(cbs=(), bs=4, nets=(Plain, PlainCritic), **kw):
    adv = AdversarialLoss('bce', real_label=.9)
    return SRGANLearner(photographs(bs), nets[0](), nets[1](), WeightedLoss(content=(ContentLoss('l1'), 1.), adv=(adv, .1)), CriticLoss(adv),
                        lr=1e-3, precision='float32', cbs=list(cbs), **kw)

def the_cats(cbs=()):
    from srgan_course.cats import CatsRecipe, cats_learner
    from srgan_course.kit.faces import face_dls
    r = CatsRecipe('tiny', size=32, bs=4, steps_per_epoch=3, nf=4, crit_nf=4, adv='hinge', norm='none', toys=18, precision='float32')
    learn = cats_learner(r, face_dls('toy', r, 'cpu'), cbs)
    for m in learn.model.modules():
        if isinstance(m, nn.BatchNorm2d): m.eval(); m.train = lambda on, m=m: m       # a batch norm that stays out of it
    return learn

def the_student(cbs=()):
    from srgan_course.kit.epochs import PairBatches
    from srgan_course.kit.checkpoints import Resumable
    from fastai.data.core import DataLoaders
    x = torch.from_numpy(np.random.RandomState(0).randint(0, 256, (6, 3, 16, 16), np.uint8))
    shrink = lambda x, scale: x[..., ::scale, ::scale]
    return Resumable(DataLoaders(PairBatches(x, shrink, 4, 4, 6, 2), []), Plain(), ContentLoss('l1'), lr=1e-3, opt_func=torch.optim.Adam,
                     precision='float32', cbs=list(cbs))

def the_classifier(cbs=()):
    from srgan_course.data import pets_dls
    from fastai.losses import CrossEntropyLossFlat
    dls = pets_dls('pets-toy', Recipe('tiny', size=32, bs=4, augment=False), n=14, device='cpu')
    net = nn.Sequential(conv(3, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    for p in net[0].parameters(): p.requires_grad_(False)             # a frozen body
    return Resumable(dls, net, CrossEntropyLossFlat(), lr=1e-3, opt_func=torch.optim.Adam, precision='float32', cbs=list(cbs),
                     splitter=lambda m: [p for p in m.parameters() if p.requires_grad])

LEARNERS = dict(game=the_game, turns=lambda cbs: the_game(cbs, switcher=Turns(1, 1)), cats=the_cats, student=the_student, classifier=the_classifier)

def quiet(learn):
    learn.remove_cb(gan_runs.ProgressCallback); learn.logger = lambda *a: None
    return learn

def gradients(folder, kind, steps=3):
    "Gradients of the first steps, and the rows that this process has seen."
    torch.manual_seed(3)
    learn = quiet(LEARNERS[kind](cbs=[g := Gradients(steps)]))
    learn.fit(1)
    write_tensors(folder/f'grads-{world()}-{rank()}.safetensors', g.kept | g.rows | learn.model.state_dict(), {})
    return dict(steps=learn.n_steps, names=[*learn.model.state_dict()])

def train(folder, **kw):
    "`gan_runs.run`: batch norm, dropout, noisy labels, EMA, history, checkpoints."
    res = gan_runs.run(folder=folder, **kw)
    return res

class Until(Callback):
    "Stops a run after so many steps, in an orderly way."
    def __init__(self, steps): self.steps = steps
    def after_batch(self):
        if self.learn.n_steps == self.steps: self.learn.ask_stop('enough')

def part(folder, steps=5):
    "The first steps of a run of twelve."
    gan_runs.make('gan', folder, cbs=[Until(steps)]).fit_one_cycle(2, lr_max=3e-3)

def resume(folder, any_number=False):
    "Take up what lies in `folder`."
    with processes(any_number=any_number):
        learn = gan_runs.make('gan', folder)
        try: learn.resume(folder)
        except ValueError as e: return dict(error=str(e))
        torch.manual_seed(1000)
        learn.fit_one_cycle(2, lr_max=3e-3)
        return dict(steps=learn.n_steps, digest=gan_runs.digest(learn))

def mistake(folder, wrappers):
    "Two steps of a game with one wrapper around both players, or with one each."
    torch.manual_seed(0)
    g, c = Plain(), PlainCritic()
    make, judge = (DistributedDataParallel(m) for m in (g, c))
    at_rest = c                                                       # who judges for the generator
    if wrappers == 1:
        both = DistributedDataParallel(GANModule(g, c))
        def make(x): both.module.switch(True); return both(x)
        def judge(x): both.module.switch(False); return both(x)
        at_rest = judge
    opts, x, y = [torch.optim.SGD(m.parameters(), .01) for m in (g, c)], torch.rand(2, 3, 8, 8), torch.rand(2, 3, 16, 16)
    try:
        for _ in range(2):
            fake = make(x)
            (judge(fake.detach()).mean() - judge(y).mean()).backward(); opts[1].step(); opts[1].zero_grad()
            c.requires_grad_(False)
            (F.l1_loss(fake, y) - at_rest(fake).mean()).backward(); opts[0].step(); opts[0].zero_grad()
            c.requires_grad_(True)
    except RuntimeError as e: return dict(error=str(e))
    return dict(same=digest('', g.state_dict()))

def stop(folder, how):
    "Something happens in the last process alone: all stop after the same step."
    class Trouble(Callback):
        order = 10
        def before_batch(self):
            if how == 'nan' and rank() == world() - 1 and self.learn.n_steps == 2: self.learn.xb[0][:] = float('nan')
        def after_batch(self):
            if how == 'ask' and rank() == world() - 1 and self.learn.n_steps == 2: self.learn.ask_stop('enough', KeyboardInterrupt())
    learn = quiet(the_game([Trouble(), SaveEvery(folder/'c', epochs=1)]))
    error = ''
    try: learn.fit(2)
    except (Exception, KeyboardInterrupt) as e: error = f'{type(e).__name__}: {e}'
    return dict(steps=learn.n_steps, error=error, kept=[p.name for p in checkpoints(folder/'c')], plain=[*learn.model.state_dict()][:1])

def refused(folder, what):
    "What is refused before the first step, as one line."
    try:
        if what == 'batch': quiet(the_game(bs=3)).fit(1)
        if what == 'lr_find': quiet(the_game()).lr_find(show_plot=False)
        if what == 'adaptive':
            from fastai.vision.gan import AdaptiveGANSwitcher
            quiet(the_game(switcher=AdaptiveGANSwitcher())).fit(1)
    except ValueError as e: return dict(error=str(e))

def whole(folder, game=True, resume=False):
    "`train` of lesson 09: a folder with all that a run leaves."
    from srgan_course.srgan import SRGANRecipe, train
    r = SRGANRecipe('tiny', size=16, bs=4, nf=4, n_blocks=1, steps_per_epoch=4, epochs=2, pre_epochs=2, critic='PoolCritic' if game else 'none',
                    critic_nf=4, feature_net='', perceptual=0., precision='float32', ema=.9)
    pics = [gan_runs.Image.fromarray(np.random.RandomState(s).randint(0, 256, (40, 40, 3), np.uint8)) for s in range(4)]
    try: res = train(r, pics, folder/'run', device='cpu', progress=False, valid=pics[:2], resume=resume)
    except ValueError as e: return dict(error=str(e))
    return dict(weights=digest('', res.generator.state_dict()), psnr=float(res.table.psnr.iloc[-1]),
                files=sorted(p.relative_to(folder/'run').as_posix() for p in (folder/'run').rglob('*') if p.is_file()))

def others(folder, kind, die=0, resume=False):
    "What the other commands train: the classifier (a head, then its body, too), the student, the cats. All processes die after step `die`."
    from srgan_course.kit import checkpoints as kc, classifiers
    out, done, after = folder/'run', [], kc.Order.after_batch
    def after_batch(self):
        after(self); done.append(1)
        if len(done) == die: os.kill(os.getpid(), 9)
    kc.Order.after_batch = after_batch
    classifiers.toy_teacher = lambda seed: classifiers.Teacher(classifiers.make_net('toynet', 2, seed=seed), f'toy {seed}', ['cat', 'dog'])
    try:
        if kind == 'cats':
            from srgan_course.cats import CatsRecipe, train_cats
            r = CatsRecipe('tiny', size=32, bs=4, steps_per_epoch=3, epochs=2, nf=4, crit_nf=4, toys=18, precision='float32')
            net, rows = train_cats(r, 'toy', out, resume=resume, device='cpu'), (out/'history.csv').read_text().count('\n')
        elif kind == 'student':
            from srgan_course import recognise as m
            m.labelled = partial(m.labelled, n=24)
            r = m.RECOGNISE_RECIPES['quick'].replace(steps=8, bs=4, nf=4, n_blocks=1, judges=(), teacher='toy', pixel=1., precision='float32')
            res = m.train_recognise(r, 'pets-toy', out, device='cpu')
            net, rows = res['student'], len(res['rows'])
        else:
            from srgan_course.classifier import train_classifier
            from srgan_course.kit.classifier_runs import ClassifierRecipe
            from srgan_course.kit.splits import split_pets
            r = ClassifierRecipe('tiny', size=32, bs=8, epochs=2, body='squeezenet1_1-random', lr=3e-3, unfreeze=2, views=2)
            res = train_classifier(r, out=out, split=split_pets(n=16, size=32), resume=resume, device='cpu')
            net, rows = res.classifier, len(res.history)
    except ValueError as e: return dict(error=str(e))
    write_tensors(folder/f'weights-{rank()}.safetensors', net.state_dict(), {})
    return dict(weights=digest('', net.state_dict()), rows=rows,
                files=sorted(p.relative_to(out).as_posix() for p in out.rglob('*') if p.is_file()))

def run_child(job, r, n, folder, args):
    sys.stdout.flush()
    folder = Path(folder)
    with open(folder/f'log-{r}.txt', 'w') as log: os.dup2(log.fileno(), 1); os.dup2(log.fileno(), 2)
    torch.set_num_threads(1)
    with processes('cpu'):
        assert world() == n
        said = globals()[job](folder, **args)
    (folder/f'said-{r}.json').write_text(json.dumps(said))

def free_port():
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); return s.getsockname()[1]

def serve():
    "Fork the children of each line of stdin."
    for line in sys.stdin:
        job = json.loads(line); n = job['n']
        env = dict(WORLD_SIZE=str(n), MASTER_ADDR='127.0.0.1', MASTER_PORT=str(free_port()), GLOO_SOCKET_IFNAME='lo') if n > 1 else {}
        pids = []
        for r in range(n):
            if not (pid := os.fork()):
                code = 1
                try:
                    os.setpgid(0, 0)
                    os.environ.update(env | (dict(RANK=str(r), LOCAL_RANK=str(r)) if n > 1 else {}))
                    run_child(job['job'], r, n, job['folder'], job.get('args', {})); code = 0
                except BaseException:
                    import traceback; traceback.print_exc()
                finally: sys.stdout.flush(); sys.stderr.flush(); os._exit(code)
            pids.append(pid)
        print(json.dumps(pids), flush=True)
        print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in pids]), flush=True)

if __name__ == '__main__':
    print('ready', flush=True)
    serve()
