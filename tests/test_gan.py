"""Traps of adversarial training: each check passes on our code and goes red when the fault is put into it.

The networks have a few hundred weights (gan_runs.py); a run takes a fraction of a second.
"""
import contextlib, io, json, os, random, subprocess, sys
from functools import partial
import numpy as np, pytest
gan = pytest.importorskip('srgan_course.gan')
from srgan_course.kit.recipe import build, get_recipe
from srgan_course import watching
from srgan_course.kit import checkpoints as kept, devices
devices.bfloat16_works()                                 # before anything is computed: in some virtual machines it keeps oneDNN from AMX
import gan_runs as R
import torch
from torch import nn
from fastai.callback.core import Callback, CancelFitException
from fastai.callback.tracker import EarlyStoppingCallback, ReduceLROnPlateau, SaveModelCallback
from fastai.vision.gan import FixedGANSwitcher, GANDiscriminativeLR, GANLearner
from fastai.learner import Learner
from srgan_course.losses import AdversarialLoss, ContentLoss, CriticLoss, WeightedLoss


def game(cbs=(), **kw):
    torch.manual_seed(11)
    adv = AdversarialLoss('bce', real_label=.9, noise=.1)
    g, c = R.TinyGenerator(), R.TinyCritic()
    learn = gan.SRGANLearner(R.tiny_dls(), g, c, WeightedLoss(content=(ContentLoss('l1'), 1.), adv=(adv, .01)), CriticLoss(adv),
                             **{**dict(lr=3e-3, precision='float32', cbs=list(cbs)), **kw})
    learn.remove_cb(R.ProgressCallback); learn.logger = lambda *a: None
    return learn

def steps_of(learn, net): return {int(learn.opt.opt.state[p].get('step', 0)) if p in learn.opt.opt.state else 0 for p in net.parameters()}

# -- importing does no work

IMPORTING = """
import importlib, os, pathlib, sys
import torch, fastai.vision.gan                  # what others do at import is not ours to test
read = pathlib.Path.read_text
pathlib.Path.read_text = lambda self, *a, **kw: 'flags : avx2 amx_bf16 amx_tile' if str(self) == '/proc/cpuinfo' else read(self, *a, **kw)
sys.addaudithook(lambda event, args: print(event, file=sys.stderr) if event in ('os.fork', 'os.posix_spawn', 'subprocess.Popen', 'os.exec') else None)
before = dict(os.environ)
for module in 'kit.devices', 'watching', 'gan':
    importlib.import_module(f'srgan_course.{module}')
    changed = {k: v for k,v in os.environ.items() if before.get(k) != v} | {k: None for k in before if k not in os.environ}
    if changed: print(module, 'has changed the environment:', changed, file=sys.stderr)
print('all three')
"""
def test_importing_starts_no_process_and_changes_no_setting():
    "Also on a processor that announces AMX: whether it can be used is asked when a precision is chosen. One after the other."
    env = {k: v for k,v in os.environ.items() if k != 'ONEDNN_MAX_CPU_ISA'}
    r = subprocess.run([sys.executable, '-W', 'ignore', '-c', IMPORTING], env=env, capture_output=True, text=True, timeout=240)
    assert (r.returncode, r.stdout, r.stderr) == (0, 'all three\n', '')

# -- trap 1: a player is moved by its own loss alone

def each_moved_once_a_step():
    learn = game(); learn.fit(1)
    return steps_of(learn, learn.model.critic) == steps_of(learn, learn.model.generator) == {learn.n_steps}

def test_trap_1(): assert each_moved_once_a_step()

def test_trap_1_zeros_for_none(monkeypatch):
    "fastai's way of clearing gradients."
    monkeypatch.setattr(gan.PlayersOpt, 'zero_grad', lambda self, *a: self.opt.zero_grad(set_to_none=False), raising=False)
    assert not each_moved_once_a_step()

def test_trap_1_critic_not_resting(monkeypatch):
    "The critic gathers gradients in the generator's part, and the generator's step moves it."
    monkeypatch.setattr(gan, 'resting', lambda net: contextlib.nullcontext())
    assert not each_moved_once_a_step()

def test_trap_1_not_detached(monkeypatch):
    "The critic's loss reaches the generator."
    monkeypatch.setattr(torch.Tensor, 'detach', lambda self: self)
    with pytest.raises(RuntimeError): each_moved_once_a_step()      # the graph is gone when the generator wants it

def test_stock_fastai_has_it():
    "The fault that the lesson shows is there: should fastai mend it, the lesson wants another text."
    import warnings
    learn = game()
    stock = GANLearner(learn.dls, R.TinyGenerator(), R.TinyCritic(), learn.loss_func.gen_loss_func, learn.loss_func.crit_loss_func, lr=1e-3,
                       switcher=FixedGANSwitcher(1, 1))
    stock.remove_cb(R.ProgressCallback); stock.logger = lambda *a: None
    seen = []
    class Watch(Callback):
        order = -4
        def before_batch(self):
            self.old = [p.detach().clone() for p in self.learn.model.generator.parameters()]; self.who = self.learn.gan_trainer.gen_mode
        def after_batch(self):
            if self.training and not self.who:
                seen.append(any(not torch.equal(a, b) for a,b in zip(self.old, self.learn.model.generator.parameters())))
    stock.add_cb(Watch())
    with warnings.catch_warnings(): warnings.simplefilter('ignore'); stock.fit(1)
    assert any(seen)

def test_the_critic_learns_first():
    "The generator is judged by the critic that has just learnt; also where autocast keeps copies of weights."
    for precision in ('float32', 'bfloat16'):
        seen = {}
        class Spy(Callback):
            def before_backward(self):
                if self.learn.player == 'critic': seen['old'] = [p.detach().clone() for p in self.learn.model.critic.parameters()]
                else: seen['loss'] = self.learn.loss_func.gen_loss_func.parts['adv'].item(); seen['fake'] = self.learn.pred.detach()
            def after_batch(self):
                if not self.training: return
                lf, critic = self.learn.loss_func, self.learn.model.critic
                with torch.no_grad(), gan.resting(critic):
                    seen['new'] = lf.gen_loss_func.terms['adv'].gen(lf.judge(seen['fake'])).item()
                    now = [p.detach().clone() for p in critic.parameters()]
                    for p,o in zip(critic.parameters(), seen['old']): p.copy_(o)
                    seen['stale'] = lf.gen_loss_func.terms['adv'].gen(lf.judge(seen['fake'])).item()
                    for p,o in zip(critic.parameters(), now): p.copy_(o)
                raise CancelFitException
        game(cbs=[Spy()], lr=.05, precision=precision).fit(1)
        assert seen['loss'] == pytest.approx(seen['new'], rel=1e-5) and abs(seen['loss']
            - seen['stale']) > 1e-3*abs(seen['loss']), (precision, seen)

def test_running_averages_of_the_critic():
    "Moved by the critic's own two batches, not by the generator's part."
    learn = game(); bn = learn.model.critic.body[3]
    learn.fit(1)
    assert bn.num_batches_tracked == 2*learn.n_steps

# -- traps 2 and 3: turns

class TurnLog(Callback):
    order = -4
    def __init__(self): self.said, self.rates = '', []
    def before_train(self): self.said += '|'
    def before_step(self):
        who = 'G' if self.learn.gan_trainer.gen_mode else 'C'
        self.said += who; self.rates.append((who, round(float(self.learn.opt.hypers[-1]['lr']), 9)))

def turns(switcher):
    log = TurnLog(); game(cbs=[log], switcher=switcher).fit(3)
    return log.said

def test_trap_2(): assert turns(gan.Turns(4)) == '|CCCCGC|CCCGCC|CCGCCC'
def test_trap_2_count_lost(monkeypatch):
    monkeypatch.setattr(gan.Turns, 'before_train', FixedGANSwitcher.before_train)
    assert turns(gan.Turns(4)) != '|CCCCGC|CCCGCC|CCGCCC'
def test_trap_2_turn_lost(monkeypatch):
    monkeypatch.setattr(gan.InTurns, 'before_epoch', lambda self: self.switch(self.gen_mode))
    assert turns(gan.Turns(4)).split('|')[2][0] == 'G'

def test_trap_2_a_switcher_of_fastai():
    "Also the one that `wgan` brings along: five steps of the critic, one of the generator, over the end of an epoch."
    assert turns(FixedGANSwitcher(4)) == '|CCCCGC|CCCGCC|CCGCCC'
    log = TurnLog()
    learn = gan.SRGANLearner.wgan(R.tiny_dls(), R.TinyGenerator(), R.TinyCritic(), cbs=[log], precision='float32')
    learn.remove_cb(R.ProgressCallback); learn.logger = lambda *a: None
    learn.fit(2)
    assert log.said == '|CCCCCG|CCCCCG' and learn.turns.n_crit == 5
    learn.dls = R.tiny_dls(steps=4); log.said = ''; learn.fit(3)
    assert log.said == '|CCCC|CGCC|CCCG'

class Asked(Callback):
    "Who was asked in which mode, and whose batch norm's averages moved, in each turn."
    order = 150
    def __init__(self): self.turns, self.now = [], set()
    def before_fit(self):
        m = self.learn.model
        self.nets = dict(G=m.generator, C=m.critic)
        self.hooks = [net.register_forward_pre_hook(lambda mod, x, k=k: self.now.add((k, mod.training))) for k, net in self.nets.items()]
        self.was = self.averages()
    def after_fit(self): [h.remove() for h in self.hooks]
    def averages(self): return {k: torch.cat([b.float().flatten() for b in net.buffers()]) for k, net in self.nets.items()}
    def before_step(self): self.who = 'G' if self.learn.gan_trainer.gen_mode else 'C'
    def after_batch(self):
        if self.learn.training:
            now = self.averages()
            self.turns.append((self.who, self.now, {k for k in now if not torch.equal(now[k], self.was[k])}))
        self.was, self.now = self.averages(), set()

def test_in_turns_each_is_asked_in_training_mode_and_moves_its_own_averages():
    asked = Asked(); learn = game(cbs=[asked], switcher=gan.Turns(1)); learn.fit(2)
    assert len(asked.turns) == 12
    for who, modes, moved in asked.turns: assert (modes, moved) == ({('G', True), ('C', True)}, {who})

def test_in_turns_validation_is_in_eval_mode_and_moves_nothing():
    "fastai's `switch_eval` leaves the generator in training mode there, and the held-out pictures in its averages."
    learn = game(switcher=gan.Turns(1)); learn.fit(1)
    was = {k: v.clone() for k, v in learn.model.state_dict().items()}
    learn.validate(); pred, _ = learn.get_preds()
    assert all(torch.equal(v, was[k]) for k, v in learn.model.state_dict().items())
    with torch.no_grad(): want = learn.model.generator.eval()(torch.cat([x.as_subclass(torch.Tensor) for x, _ in learn.dls.valid]))
    assert torch.allclose(pred.as_subclass(torch.Tensor), want, atol=1e-6)
    with pytest.raises(ValueError, match='switch_eval=True judges by a critic in eval mode'): game(switcher=gan.Turns(1), switch_eval=True)

def rates(late, how='fit'):
    log, mult = TurnLog(), GANDiscriminativeLR(5.)
    learn = game(cbs=[log] if late else [mult, log], switcher=gan.Turns(), lr=1e-3)
    if late: learn.add_cb(mult)
    getattr(learn, how)(2)
    return log.rates

@pytest.mark.parametrize('late', [False, True])
def test_trap_3(late): assert set(rates(late)) == {('C', .005), ('G', .001)}
def test_trap_3_order_left_to_chance(monkeypatch):
    monkeypatch.setattr(gan.SRGANLearner, 'add_cb', Learner.add_cb)
    assert set(rates(True)) != {('C', .005), ('G', .001)}
def test_trap_3_under_a_schedule():
    "A schedule sets the rate in each step; the factor must come after it."
    with_mult, log = rates(True, 'fit_one_cycle'), TurnLog()
    game(cbs=[log], switcher=gan.Turns(), lr=1e-3).fit_one_cycle(2)
    assert [(w, round(r*5, 7) if w == 'C' else round(r, 7)) for w,r in log.rates] == [(w, round(r, 7)) for w,r in with_mult]

# -- trap 4: averages, and what a resume may forget

def average_right():
    torch.manual_seed(0)
    a, b = R.TinyGenerator(), R.TinyGenerator()
    ema = watching.EMA(.9, warmup=False); ema.shadow = a
    want = {k: .9*v + .1*b.state_dict()[k] if v.is_floating_point() else b.state_dict()[k] for k,
            v in {k: v.clone() for k,v in a.state_dict().items()}.items()}
    for p in a.parameters(): p.requires_grad_(False)
    ema.update(b)
    return all(torch.allclose(v, want[k], atol=1e-6) for k,v in ema.model.state_dict().items())

def test_trap_4_average(): assert average_right()
def test_trap_4_average_inverted(monkeypatch):
    lerp = torch._foreach_lerp_
    monkeypatch.setattr(torch, '_foreach_lerp_', lambda a, b, w: lerp(a, b, 1 - w))
    assert not average_right()
def test_trap_4_average_forgets_batch_norm(monkeypatch):
    lerp = torch._foreach_lerp_
    monkeypatch.setattr(torch, '_foreach_lerp_', lambda a, b, w: lerp([x for x in a if x.dim() != 1], [y for y in b if y.dim() != 1], w))
    assert not average_right()

def test_average_starts_anew_from_loaded_weights(tmp_path):
    "What was averaged before `load` has nothing to do with it; `lr_find`, which loads what it found, leaves the average alone."
    learn = game(cbs=[watching.EMA(.9)], path=tmp_path)
    learn.fit(1); learn.save('early')
    early = {k: v.clone() for k,v in learn.generator.state_dict().items()}
    learn.fit(1)
    average = {k: v.clone() for k,v in learn.ema.model.state_dict().items()}
    same = lambda net, want: all(torch.equal(v, want[k]) for k,v in net.state_dict().items())
    learn.lr_find(num_it=4, show_plot=False)
    assert same(learn.ema.model, average) and not same(learn.ema.model, early)
    learn.load('early')
    assert same(learn.ema.model, early) and learn.ema.count == 0 and not learn.ema.model.training
    learn.fit(1)
    assert learn.ema.count == 6 and not same(learn.ema.model, early)

# -- trap 14: what a critic says is a probability only where it was trained as one

@pytest.mark.parametrize('switcher', [None, 'in turns'])
@pytest.mark.parametrize('kind, said', [('bce', True), ('hinge', False)])
def test_trap_14(kind, said, switcher, tmp_path):
    adv = AdversarialLoss(kind)
    learn = gan.SRGANLearner(R.tiny_dls(), R.TinyGenerator(), R.TinyCritic(), WeightedLoss(adv=(adv, 1.)), CriticLoss(adv),
                             precision='float32',
                             switcher=switcher and gan.Turns(), cbs=[watching.LossHistory(tmp_path/'h.csv')])
    learn.remove_cb(R.ProgressCallback); learn.logger = lambda *a: None
    learn.fit(1)
    import pandas as pd
    df = pd.read_csv(tmp_path/'h.csv')
    assert df.crit_acc.between(0, 1).sum() >= 3 and ({'d_real', 'd_fake'} <= set(df)) == said
    assert watching._panels(df.set_index('step'))['what the critic says'] == (['d_real', 'd_fake'] if said else []) + ['crit_acc']

class StopAt(Callback):
    order = 95
    def __init__(self, n): self.n = n
    def after_batch(self):
        if self.training and self.learn.n_steps == self.n: self.learn.ask_stop('enough')

def end(learn, folder): return R.digest(learn), (folder/'history.csv').read_text(), {k: s.state_dict() for k,s in learn.scalers.items()}

@pytest.fixture(scope='module')
def scaled():
    "Gradient scalers that begin high and try to grow every second step, so that their state matters."
    mp = pytest.MonkeyPatch()
    scaler = torch.amp.GradScaler
    mp.setattr(torch.amp, 'GradScaler', lambda kind: scaler(kind, init_scale=2.**22, growth_interval=2))
    yield
    mp.undo()

@pytest.fixture(scope='module')
def stopped(tmp_path_factory, scaled):
    "For each precision: the end of a whole run, and the folder of one stopped at step 8."
    def both(precision):
        whole, half = (tmp_path_factory.mktemp(n) for n in ('whole', 'half'))
        a = R.make('gan', whole, precision=precision); torch.manual_seed(5); a.fit_one_cycle(2)
        b = R.make('gan', half, precision=precision, cbs=[StopAt(8)]); torch.manual_seed(5)
        with contextlib.redirect_stdout(io.StringIO()): b.fit_one_cycle(2)
        return end(a, whole), half
    return {p: both(p) for p in ('float32', 'float16')}

def resumed_alike(stopped, tmp_path, precision='float32', forget=lambda learn, t, p: None):
    "Resume a copy of the stopped run, with something forgotten; does it end as the whole run did?"
    import shutil
    want, half = stopped[precision]
    folder = tmp_path/'run'; shutil.copytree(half, folder)
    learn = R.make('gan', folder, precision=precision)
    torch.manual_seed(77); random.seed(77); np.random.seed(77)
    learn.resume(folder)
    forget(learn, *learn.saved)
    learn.fit_one_cycle(2)
    return end(learn, folder) == want

@pytest.mark.parametrize('precision', ['float32', 'float16'])
def test_trap_4_resume(stopped, tmp_path, precision): assert resumed_alike(stopped, tmp_path, precision)

def _no_schedule(learn, t, p): p['pct_train'] = p['epoch']/p['n_epoch']
def _no_random(learn, t, p): t['rng/torch'] = torch.Generator().manual_seed(1).get_state()
def _no_optimiser(learn, t, p): learn.opt.opt.state.clear()
def _no_steps(learn, t, p): [s['step'].zero_() for s in learn.opt.opt.state.values()]
def _no_average(learn, t, p):
    for k in t:
        if k.startswith('cb.ema/'): t[k] = t['model/generator.' + k[7:]]
def _no_count(learn, t, p): p['cb.ema']['count'] = 0
def _no_batch_norm(learn, t, p):
    for m in learn.model.modules():
        if isinstance(m, nn.BatchNorm2d): m.reset_running_stats()
def _no_place(learn, t, p): p['batch'] -= 1
def _no_epoch(learn, t, p): learn.n_epochs = 1
def _no_rows(learn, t, p): p['cb.loss_history']['rows'] -= 1

@pytest.mark.parametrize('forget', [_no_schedule, _no_random, _no_optimiser, _no_steps, _no_average, _no_count, _no_batch_norm, _no_place,
                                    _no_epoch, _no_rows], ids=lambda f: f.__name__[4:])
def test_trap_4_resume_forgets(stopped, tmp_path, forget): assert not resumed_alike(stopped, tmp_path, forget=forget)

def test_trap_4_resume_forgets_the_scaler(stopped, tmp_path):
    def forget(learn, t, p): p['scaler'] = {k: torch.amp.GradScaler('cpu').state_dict() for k in p['scaler']}
    assert not resumed_alike(stopped, tmp_path, 'float16', forget)

@pytest.mark.parametrize('what', ['python', 'numpy'])
def test_other_random_states_come_back(what):
    draw = dict(python=random.random, numpy=np.random.rand)[what]
    def comes_back(forget=()):
        t, p = kept.rng_state(); p = json.loads(json.dumps(p))
        want = draw(); draw()
        for k in forget: t[k][:624] = t[k][:624].flip(0)
        kept.set_rng_state((t, p))
        return draw() == want
    assert comes_back() and not comes_back(forget=[what])

# -- what else must hold

def test_relativistic_losses_get_real_pred():
    seen = []
    class Rel:
        needs_real = True
        def __call__(self, fake_pred, output, target, real_pred):
            seen.append((real_pred.shape, real_pred.requires_grad))
            return (fake_pred - real_pred.mean()).mean() + (output - target).abs().mean()
    learn = gan.SRGANLearner(R.tiny_dls(), R.TinyGenerator(), R.TinyCritic(), Rel(), lambda r, f: (f - r).mean(), precision='float32')
    learn.remove_cb(R.ProgressCallback); learn.logger = lambda *a: None
    learn.fit(1)
    assert seen[0] == (torch.Size([2, 1]), False) and steps_of(learn, learn.model.critic) == {6}

def test_noise_to_pictures():
    "A DCGAN's loader: noise in, picture out; the inputs are no pictures."
    from fastai.data.core import DataLoaders
    from fastai.data.load import DataLoader
    ds = [(torch.randn(10), torch.rand(3, 16, 16)) for _ in range(12)]
    gen = nn.Sequential(nn.Linear(10, 3*16*16), nn.Unflatten(1, (3, 16, 16)))
    adv = AdversarialLoss('hinge')
    learn = gan.SRGANLearner(DataLoaders(DataLoader(ds, bs=4, shuffle=True), DataLoader(ds[:4], bs=4)), gen, R.TinyCritic(),
                             WeightedLoss(adv=(adv, 1.)), CriticLoss(adv), precision='float32', betas=(.5, .999), clip=.1)
    learn.remove_cb(R.ProgressCallback); learn.logger = lambda *a: None
    learn.fit(2)
    assert learn.opt.hypers[0]['mom'] == .5 and all(p.abs().max() < .2 for p in learn.model.critic.parameters())

def test_wgan_and_from_learners():
    "fastai's other ways to make a GANLearner lead to ours."
    other = gan.SRGANLearner.wgan(R.tiny_dls(), R.TinyGenerator(), R.TinyCritic(), gan.Turns(2, 1), precision='float32')
    assert (other.turns.n_crit, other.turns.n_gen) == (2, 1)
    learn = gan.SRGANLearner.wgan(R.tiny_dls(), R.TinyGenerator(), R.TinyCritic(), precision='float32')
    learn.remove_cb(R.ProgressCallback); learn.logger = lambda *a: None
    learn.fit(1); assert isinstance(learn, gan.SRGANLearner) and learn.in_turns and learn.n_steps == 6
    real, fake = torch.tensor([[2.], [4.]]), torch.tensor([[-1.], [0.]])         # real above generated: the critic's loss is low
    assert (learn.loss_func.crit_loss_func(real, fake), learn.loss_func.gen_loss_func(fake, None, None)) == (-3.5, .5)

def test_a_folder_is_no_history(tmp_path):
    "It was moved aside, with all that lay in it, and a file took its place."
    (tmp_path/'runs').mkdir(); (tmp_path/'runs'/'work.txt').write_text('mine')
    with pytest.raises(OSError, match=r'the loss history failed: Is a directory \(.*runs\)'): game(cbs=[watching.LossHistory(tmp_path/'runs')]).fit(1)
    assert (tmp_path/'runs'/'work.txt').read_text() == 'mine' and [p.name for p in tmp_path.iterdir()] == ['runs']

def test_a_history_that_cannot_be_written(tmp_path):
    (tmp_path/'file').write_text('x')
    learn = game(cbs=[watching.LossHistory(tmp_path/'file'/'history.csv'), kept.SaveEvery(tmp_path/'run')])
    with contextlib.redirect_stdout(io.StringIO()), pytest.raises(OSError, match='the loss history failed'): learn.fit(1)
    assert kept.checkpoints(tmp_path/'run')                             # the run itself is not lost

@pytest.mark.parametrize('switcher', [None, 2])
def test_resume_in_turns_and_with_any_loader(switcher, tmp_path):
    "fastai's own loader shuffles and knows no place to begin at; with a switcher the turn and its count go on as well."
    from fastai.data.core import DataLoaders
    from fastai.data.load import DataLoader
    ds = [(torch.rand(3, 8, 8), torch.rand(3, 16, 16)) for _ in range(12)]
    def run(where, *more):
        torch.manual_seed(11); random.seed(11)
        dls = DataLoaders(DataLoader(ds, bs=2, shuffle=True), DataLoader(ds[:4], bs=4))
        dls.train.rng.seed(3)
        adv, turns = AdversarialLoss('bce', noise=.1), {} if switcher is None else dict(switcher=gan.Turns(switcher))
        learn = gan.SRGANLearner(dls, R.TinyGenerator(), R.TinyCritic(), WeightedLoss(content=(ContentLoss('l1'), 1.), adv=(adv, .01)),
                                 CriticLoss(adv), lr=3e-3, precision='float32', **turns,
                                 cbs=[watching.LossHistory(tmp_path/where/'history.csv'), kept.SaveEvery(tmp_path/where, steps=4), *more])
        learn.remove_cb(R.ProgressCallback); learn.logger = lambda *a: None
        return learn
    a = run('a'); a.fit_one_cycle(2)
    with contextlib.redirect_stdout(io.StringIO()): run('b', StopAt(8)).fit_one_cycle(2)
    c = run('b').resume(tmp_path/'b'); random.seed(8); torch.manual_seed(8); c.fit_one_cycle(2)
    assert all(torch.equal(x, y) for x,y in zip(a.model.state_dict().values(), c.model.state_dict().values()))
    assert (tmp_path/'a'/'history.csv').read_text() == (tmp_path/'b'/'history.csv').read_text()

@pytest.mark.parametrize('kind', ['generator', 'sampler', 'batch sampler', 'dsets'])
@pytest.mark.parametrize('at', [6, 8, 'validation'])                   # at the end of an epoch, in the middle
def test_resume_with_what_others_draw_from(kind, at, tmp_path):
    """torch's loader with a generator of its own began anew; where fastai draws an item to see what it is, it did so after the random
    states of a resumed run were back."""
    from fastai.data.core import DataLoaders
    from torch.utils.data import BatchSampler, DataLoader, RandomSampler
    pairs = [(x, x.repeat_interleave(2, 1).repeat_interleave(2, 2)) for x in torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(1))]
    class Flipped:
        def __len__(self): return len(pairs)
        def __getitem__(self, i): return tuple(x.flip(-1) if flip else x for flip in [torch.rand(()) < .5] for x in pairs[i])
    def run(*more):
        torch.manual_seed(11); random.seed(11); ds, g = Flipped(), torch.Generator().manual_seed(0)
        kw = {'generator': lambda: dict(batch_size=2, shuffle=True, generator=g), 'sampler': lambda: dict(batch_size=2, sampler=RandomSampler(ds, generator=g)),
              'batch sampler': lambda: dict(batch_sampler=BatchSampler(RandomSampler(ds, generator=g), 2, False))}
        dls = (DataLoaders.from_dsets(ds, ds, bs=2, num_workers=0, device='cpu') if kind == 'dsets' else
               DataLoaders(DataLoader(ds, **kw[kind]()), DataLoader(ds, 4), device='cpu'))
        learn = gan.SRGANLearner(dls, R.TinyGenerator(), R.TinyCritic(), WeightedLoss(content=(ContentLoss('l1'), 1.)), CriticLoss(AdversarialLoss('bce')),
                                 lr=3e-3, precision='float32', cbs=more)
        learn.remove_cb(R.ProgressCallback); learn.logger = lambda *a: None
        return learn
    class StopInValid(Callback):
        order = 95
        def after_batch(self):
            if not self.training and self.learn.epoch == 1: self.learn.ask_stop('enough')
    a = run(); a.fit(3)
    with contextlib.redirect_stdout(io.StringIO()): run(kept.SaveEvery(tmp_path), StopInValid() if at == 'validation' else StopAt(at)).fit(3)
    c = run(kept.SaveEvery(tmp_path)).resume(tmp_path); torch.manual_seed(8); c.fit(3)
    assert all(torch.equal(x, y) for x,y in zip(a.model.state_dict().values(), c.model.state_dict().values()))

def test_how_often_is_a_whole_number(tmp_path):
    "`keep=0` kept all of them, `every=0` ended the run after its first batch."
    for name, make in dict(keep=kept.SaveEvery, steps=kept.SaveEvery, epochs=kept.SaveEvery, every=watching.LossHistory).items():
        for v in 0, -1, 1.5:
            with pytest.raises(ValueError, match=f'{name} is {v}; give a whole number from 1 to'): make(tmp_path/'x', **{name: v})

def test_a_call_of_fit_that_would_train_nothing_is_refused(tmp_path):
    "The checkpoint lies in the third epoch, and it was one epoch that was asked for: nothing happened, without a word."
    with contextlib.redirect_stdout(io.StringIO()): game(cbs=[kept.SaveEvery(tmp_path), StopAt(14)]).fit(4)
    for n in 1, 2:
        with pytest.raises(ValueError, match=f'made in a fit over 4 epochs; go on with 4, not {n}'): game().resume(tmp_path).fit(n)
    learn = game().resume(tmp_path); learn.fit(3); assert (learn.n_steps, learn.n_epochs) == (18, 3)        # fewer epochs, but some

def test_two_fits_one_history(tmp_path):
    learn = game(cbs=[watching.LossHistory(tmp_path/'h.csv')]); learn.fit(1); learn.fit(1)
    assert (learn.n_steps, learn.n_epochs) == (12, 2)
    assert [l.split(',')[0] for l in (tmp_path/'h.csv').read_text().splitlines()][-1] == '12'

def test_a_metric_of_several_numbers_ends_no_fit(tmp_path):
    "It is kept in the checkpoint and shown in fastai's table; a history has a column for each number, and none for several."
    from fastai.metrics import AvgMetric
    def by_channel(out, y): return (out - y).abs().mean((0, 2, 3))
    def run(*more):
        learn = game(metrics=AvgMetric(by_channel), cbs=[watching.LossHistory(tmp_path/'h.csv'), kept.SaveEvery(tmp_path/'run'), *more])
        learn.metrics = learn.metrics + [AvgMetric(lambda out, y: out.mean())]
        return learn
    learn = run(); learn.fit(1)
    head = (tmp_path/'h.csv').read_text().splitlines()[0].split(',')
    assert 'valid_<lambda>' in head and 'valid_by_channel' not in head
    again = run().resume(tmp_path/'run'); again.fit(2)
    assert [[len(v) for v in row if not isinstance(v, float)] for row in again.recorder.values] == [[3], [3]]

def test_a_game_is_not_frozen_by_groups():
    "`freeze`, and `fine_tune` with it, froze the critic without a word, and so did `freeze_to`; a mean over patches is no picture."
    learn = game()
    for f in learn.freeze, lambda: learn.fine_tune(1), lambda: learn.freeze_to(-1):
        with pytest.raises(ValueError, match="first group is the critic.*requires_grad_"): f()
    with pytest.raises(ValueError, match='different patches; call get_preds'): learn.tta()
    learn.unfreeze()
    assert all(p.requires_grad for p in learn.model.parameters())

def test_load_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    class Evil:
        def __reduce__(self): return (eval, ("open('pwned','w')",))
    (tmp_path/'models').mkdir(); torch.save({'model': Evil(), 'opt': {}}, tmp_path/'models'/'evil.pth')
    with pytest.raises(Exception): game(path=tmp_path).load('evil')
    assert not (tmp_path/'pwned').exists()

def test_one_step_is_short():
    """Of the package's own functions, how many does one adversarial step of the demo's recipe call, and in how many rooms does a batch
    stop?
    The three networks (generator, critic, features) are arguments: their calls count, their rooms do not."""
    from srgan_course import srgan
    r = get_recipe('quick', srgan.SRGANRecipe).replace(precision='float32', bs=2)
    learn = build(r).phases['gan'].learner(srgan.make_dls(r, 'embedded', 'cpu'))
    calls, step = [], type(learn)._do_one_batch
    def own(frame, event, arg):
        code = frame.f_code
        if event == 'call' and 'srgan_course' in code.co_filename and not code.co_name.startswith('<'):
            inside, f = False, frame
            while f is not None and not inside: f = f.f_back; inside = f is not None and f.f_locals.get('self') in nets
            calls.append((os.path.basename(code.co_filename), code.co_qualname, inside or frame.f_locals.get('self') in nets))
    nets = [learn.model.generator, learn.model.critic, *(m for m in learn.loss_func.modules() if type(m).__name__ == 'FeatureNet')]
    def watched(self):
        sys.setprofile(own)
        try: step(self)
        finally: sys.setprofile(None)
        raise CancelFitException
    learn._do_one_batch = watched.__get__(learn)
    learn.fit(1)
    rooms = {file for file,_,inside in calls if not inside}
    assert len(rooms) <= 3, rooms
    assert len(calls) <= 60, len(calls)

@pytest.mark.cuda
def test_cuda(tmp_path):
    "On a GPU: bfloat16 by itself, float16 with scalers, resume."
    if not torch.cuda.is_available(): pytest.skip('no GPU')
    for precision in ('auto', 'float16'):
        torch.manual_seed(0)
        dls = R.tiny_dls().to('cuda')
        adv = AdversarialLoss('bce')
        def new():
            return gan.SRGANLearner(dls, R.TinyGenerator(), R.TinyCritic(), WeightedLoss(content=(ContentLoss('l1'), 1.), adv=(adv, .01)),
                                    CriticLoss(adv), precision=precision,
                                    cbs=[watching.EMA(.9), kept.SaveEvery(tmp_path/precision, steps=4)])
        learn = new(); learn.remove_cb(R.ProgressCallback); learn.add_cb(StopAt(5)); learn.fit(2)
        again = new(); again.remove_cb(R.ProgressCallback); again.resume(tmp_path/precision).fit(2)
        assert again.n_steps == 12 and next(again.generator.parameters()).is_cuda

# -- what users bring: frozen layers, rates, fastai's callbacks

def test_in_turns_what_was_frozen_stays_and_nobody_is_left_at_rest():
    class BreaksOff(Callback):
        def after_batch(self):
            if self.training and self.learn.n_steps == 2: raise RuntimeError('broken off')
    learn = game(switcher=gan.Turns()); head = learn.generator.net[0]
    head.requires_grad_(False); was = head.weight.clone()
    with pytest.raises(RuntimeError, match='broken off'): learn.fit(1, cbs=BreaksOff())
    before = [p.detach().clone() for p in learn.model.critic.parameters()]
    learn.fit(1)
    assert torch.equal(head.weight, was) and not head.weight.requires_grad
    assert any(not torch.equal(p, q) for p, q in zip(learn.model.critic.parameters(), before))          # also after a fit that broke off
    assert all(p.requires_grad for m in (learn.model.critic, learn.generator.net[4]) for p in m.parameters())

@pytest.mark.parametrize('opt, kw, want', [(torch.optim.AdamW, dict(betas=(.5, .99)), (.5, .99)), (None, dict(betas=(.5, .99)), (.5, .99)),
                                           (partial(torch.optim.AdamW, betas=(.4, .9)), {}, (.4, .9))])
def test_betas_are_those_of_any_optimiser_that_has_them(opt, kw, want):
    learn = game(opt_func=opt, **kw); learn.fit(1)
    assert {g.get('betas') for g in learn.opt.opt.param_groups} == {want}
    assert learn.moms == (want[0],)*3                                       # what a schedule of momentum would set

def test_an_optimiser_without_betas_is_not_given_some_in_silence():
    game(opt_func=torch.optim.SGD).fit(1)
    with pytest.raises(TypeError, match="SGD.*'betas'"): game(opt_func=torch.optim.SGD, betas=(.5, .99)).fit(1)

def test_what_would_do_nothing_or_go_wrong_is_refused():
    with pytest.raises(ValueError, match='GANDiscriminativeLR and crit_lr set one rate'): game([GANDiscriminativeLR(5.)], switcher=gan.Turns(), crit_lr=1e-2)
    with pytest.raises(ValueError, match="ReduceLROnPlateau: it does not reach torch's optimisers"): game([ReduceLROnPlateau()])
    with pytest.raises(ValueError, match='with_loss=True: a game has no loss of one picture'): game().get_preds(with_loss=True)

class Halve(Callback):
    "A rate that the run itself changes."
    def __init__(self): self.rates = []
    def after_batch(self):
        if self.training: self.rates.append(self.opt.hypers[-1]['lr'])
    def after_epoch(self): self.opt.set_hyper('lr', self.opt.hypers[-1]['lr']/2)

class Killed(Callback):
    "Ends the process, as it were, after so many epochs and what is kept at their end."
    order = 200
    def __init__(self, after): self.after = after
    def after_epoch(self):
        if self.learn.epoch + 1 == self.after: raise KeyboardInterrupt

def halving(folder, stop=None, lr=3e-3, resume=False):
    learn = game([kept.SaveEvery(folder), halve := Halve(), Killed(stop)], lr=lr)
    if resume: learn.resume(folder)
    with contextlib.suppress(KeyboardInterrupt): learn.fit(4, lr=lr)
    return halve.rates

def test_a_rate_that_the_run_has_changed_goes_on(tmp_path):
    "Kept at the end of an epoch, after `Halve`; a call with another rate begins with that."
    whole = halving(tmp_path/'whole')
    assert halving(tmp_path/'a', 2) + halving(tmp_path/'a', resume=True) == whole and len(set(whole)) == 4
    halving(tmp_path/'b', 2)
    assert halving(tmp_path/'b', lr=1e-5, resume=True)[0] == 1e-5

def test_fastais_trackers_go_on(tmp_path):
    "The best so far and the epochs without improvement: a resumed run stops where the whole one does, and keeps the better model."
    def run(name, stop=None, resume=False):
        trackers = [EarlyStoppingCallback(min_delta=10., patience=3), SaveModelCallback(fname=f'best-{name}')]
        learn = game([kept.SaveEvery(tmp_path/name), halve := Halve(), Killed(stop), *trackers], path=tmp_path)
        if resume: learn.resume(tmp_path/name)
        with contextlib.suppress(KeyboardInterrupt), contextlib.redirect_stdout(io.StringIO()): learn.fit(8)
        return learn.early_stopping.wait, float(learn.save_model.best), len(halve.rates)
    wait, best, steps = run('whole')
    first, rest = run('a', 3), run('a', resume=True)
    assert rest[:2] == (wait, best) and first[2] + rest[2] == steps

def test_what_is_kept_between_two_fits_begins_the_next_one(tmp_path):
    "With the rate of its call and a record of its own, after any kind of fit; a tracker that was just added has nothing to keep."
    class Rates(Callback):
        order = 65                                                            # after a schedule has set the rate
        def __init__(self): self.rates = []
        def before_step(self): self.rates.append(self.opt.hypers[-1]['lr'])
    learn = game(lr=1e-2); learn.fit_one_cycle(2); learn.add_cb(EarlyStoppingCallback())
    learn.save_checkpoint(tmp_path/'step-00000012.safetensors')
    def go(how):
        again = game([rates := Rates()], lr=1e-2); again.resume(tmp_path); getattr(again, how)(1)
        assert (again.n_steps, again.n_epochs, len(again.recorder.values)) == (18, 3, 1)
        return rates.rates
    assert set(go('fit')) == {1e-2} and len(set(go('fit_one_cycle'))) == 6

def test_a_best_that_is_met_again_is_no_better(tmp_path):
    "A metric that is a Python float comes back with all of its digits."
    def nine(out, y): return .9
    def run(name, stop=None, resume=False):
        early = EarlyStoppingCallback('nine', comp=np.greater, patience=3)
        learn = game([kept.SaveEvery(tmp_path/name), Killed(stop), early], metrics=[nine])
        if resume: learn.resume(tmp_path/name)
        with contextlib.suppress(KeyboardInterrupt), contextlib.redirect_stdout(io.StringIO()): learn.fit(8)
        return learn.n_steps
    assert run('whole') == 24
    run('a', 2); assert run('a', resume=True) == 24

def test_a_layer_that_is_frozen_between_two_fits_stays():
    learn = game(switcher=gan.Turns()); learn.fit(1)
    head = learn.generator.net[0].requires_grad_(False); was = head.weight.clone()
    learn.fit(1); assert torch.equal(head.weight, was) and not head.weight.requires_grad

def test_between_two_fits_nobody_is_in_the_middle_of_a_turn(tmp_path):
    "Six steps of `Turns(3, 1)` end within the critic's turn; a new fit begins it anew, and so does one from a checkpoint."
    def new(**kw): return game(switcher=gan.Turns(3, 1), **kw)
    learn = new(); learn.fit(1); learn.save_checkpoint(tmp_path/'step-00000006.safetensors'); learn.fit(1)
    again = new().resume(tmp_path); again.fit(1)
    assert all(torch.equal(a, b) for a, b in zip(learn.model.state_dict().values(), again.model.state_dict().values()))

def test_another_rate_of_the_critic_counts(tmp_path):
    learn = game([kept.SaveEvery(tmp_path), Killed(1)], crit_lr=4e-4)
    with contextlib.suppress(KeyboardInterrupt): learn.fit(2)
    again = game([kept.SaveEvery(tmp_path)], crit_lr=1e-4).resume(tmp_path); again.fit(2)
    assert again.opt.hypers[0]['lr'] == pytest.approx(1e-4)
