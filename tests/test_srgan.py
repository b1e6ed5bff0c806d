"""Recipes and whole runs: every named recipe takes steps and resumes, a run of another recipe is refused, colours survive the whole way
(trap 8),
and balance is judged by what the critic says, not by its loss (trap 10)."""
import ast, importlib.util, json, os, re, signal
from pathlib import Path
import numpy as np, pandas as pd, pytest, torch
from PIL import Image
from srgan_course.kit.recipe import HOMES, build, get_recipe
from srgan_course.kit.runs import run_state
from srgan_course import data, srgan
from srgan_course.kit.checkpoints import checkpoints
from srgan_course.generators import count_params, load_model, shipped_models
from srgan_course.images import downscale, to_image, to_tensor
from srgan_course.losses import AdversarialLoss
from srgan_course import demo
from srgan_course.kit import cards, inspect, phases
from srgan_course.srgan import RECIPES, SRGANRecipe, train
from srgan_course.watching import Curves, who_is_ahead
from fastai.callback.core import Callback

TINY = RECIPES['quick'].replace(name='tiny', size=32, pre_size=0, sample_every=0, bs=2, steps_per_epoch=3, pre_epochs=2, epochs=2, nf=4,
                                n_blocks=1, critic_nf=2, precision='float32', perceptual=.05, feature_net='vgg19-random@relu1_1')

DRAW = Curves.draw
@pytest.fixture(autouse=True)
def no_curves(monkeypatch):
    "A training draws its curves after each phase, which takes longer than a few steps: here they are drawn where a test looks at them."
    monkeypatch.setattr(Curves, 'draw', lambda self: None)

class StopAfter(Callback):
    "Ctrl-C after `n` steps of a phase."
    def __init__(self, n, phase): self.n, self.gan = n, phase == 'gan'
    def after_batch(self):
        if self.learn.training and hasattr(self.learn.model, 'critic') == self.gan and self.learn.n_steps == self.n:
            self.learn.ask_stop('test', KeyboardInterrupt())

def weights(path): return torch.cat([p.detach().flatten() for p in load_model(path).parameters()])
def same_history(a, b, phase):
    "The same steps, and figures equal but for their last digits, which depend on where a tensor lies in memory."
    x, y = (pd.read_csv(p/f'history_{phase}.csv') for p in (a, b))
    return list(x) == list(y) and np.allclose(x, y, rtol=1e-5, atol=1e-7, equal_nan=True)
def pictures(n=4, size=200):
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (size//8, size//8, 3), np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
            for _ in range(n)]

def test_curves_that_a_full_disk_left_out_are_drawn_in_the_end(tmp_path, monkeypatch):
    "Those of a phase that was done were missing, or showed an earlier step, for good."
    run = lambda **kw: train(TINY, pictures(), tmp_path/'a', progress=False, device='cpu', **kw)
    run()                                                             # nothing is drawn, as on a full disk
    files = [tmp_path/'a'/f'curves_{p}.png' for p in ('pretrain', 'gan')]
    assert not any(f.exists() for f in files)
    monkeypatch.setattr(Curves, 'draw', DRAW)
    run(resume=True)
    old = files[0].read_bytes(); files[0].write_bytes(b'of an earlier step'); os.utime(files[0], (1, 1))
    was = files[1].stat().st_mtime_ns
    run(resume=True)
    assert files[0].read_bytes() == old and files[1].stat().st_mtime_ns == was     # what is there stays

# ---- recipes

@pytest.mark.parametrize('name', RECIPES)
def test_two_steps_and_resume(name, tmp_path, monkeypatch):
    """Each recipe at its own networks, sizes and losses (batch 2; VGG's layers random where they cannot be had) is stopped after a step of
    each phase and goes on; where patches grow, the second step sees the large ones."""
    r = RECIPES[name]
    r = r.replace(bs=2, steps_per_epoch=1 if r.late else 2, epochs=2 if r.late else 1, pre_epochs=min(1, r.pre_epochs), late=r.late and .5,
                  feature_net=re.sub('-(torchvision|oxford)', '-random', r.feature_net),
                  start=r.start if r.start in shipped_models() else '', precision='float32', save_every=0, sample_every=0)
    out = tmp_path/'a'
    for phase in build(r).phases:
        with pytest.raises(KeyboardInterrupt, match='resume'):
            train(r, pictures(), out, resume=(out/'recipe.json').exists(), progress=False, device='cpu', cbs=[StopAfter(1, phase)])
        assert [p.name for p in checkpoints(out/'checkpoints'/phase)] == ['step-00000001.safetensors']
    with monkeypatch.context() as m:
        m.setattr(Curves, 'draw', DRAW)
        res = train(r, pictures(), out, resume=True, progress=False, device='cpu')
    assert Image.open(out/f'curves_{phase}.png').width > 200
    if r.generator == 'SRResNet': assert count_params(res.generator) == 1_547_350
    for phase in build(r).phases:
        lines = (out/f'history_{phase}.csv').read_text().splitlines()
        # two steps, a validation an epoch, none twice
        assert [l.split(',')[0] for l in lines] == (['step', '1', '1', '2', '2'] if r.late else ['step', '1', '2', '2'])
    assert SRGANRecipe.load(out/'recipe.json') == r
    # exactly as if nothing had happened (lesson 07 tests this for everything)
    if r.generator == 'LightSR':
        train(r, pictures(), tmp_path/'b', progress=False, device='cpu')
        assert torch.equal(weights(out/'generator.safetensors'), weights(tmp_path/'b'/'generator.safetensors'))

def test_recipe_round_trip(tmp_path):
    for r in RECIPES.values():
        assert SRGANRecipe.from_json(r.to_json()) == r
        assert SRGANRecipe.load(r.save(tmp_path/f'{r.name}.json')) == r
    with pytest.raises(ValueError, match="no field 'colour'"): SRGANRecipe.from_json('{"colour": 1}')
    with pytest.raises(ValueError, match='recipe .big. is not in'): get_recipe('big', srgan.SRGANRecipe)

# ---- where a recipe is known

def test_rooms_on_the_walk_of_a_recipe(tmp_path, capsys):
    """From `srgan-train` to the card a recipe is handed to functions of four rooms at most: the command, `srgan`, the door (`kit.recipe`),
    and who keeps it beside the run (`kit.phases`). Below that nobody is given one."""
    import sys
    from srgan_course import cli
    (tmp_path/'pics').mkdir(); [p.save(tmp_path/'pics'/f'{i}.png') for i, p in enumerate(pictures(size=96))]
    TINY.replace(pre_epochs=1, epochs=1, steps_per_epoch=1, perceptual=0.).save(tmp_path/'tiny.json')
    home, seen = str(Path(srgan.__file__).parent), {}
    def look(frame, event, arg):
        if event != 'call' or not (c := frame.f_code).co_filename.startswith(home): return
        given = [frame.f_locals.get(n) for n in c.co_varnames[:c.co_argcount + c.co_kwonlyargcount]]
        if any(isinstance(v, SRGANRecipe) for v in given):
            seen.setdefault(Path(c.co_filename).relative_to(home).with_suffix('').as_posix(), set()).add(c.co_name)
    sys.setprofile(look)
    try: cli.train(str(tmp_path/'tiny.json'), str(tmp_path/'pics'), tmp_path/'run', json=True)
    finally: sys.setprofile(None)
    assert (tmp_path/'run'/'generator.md').exists() and {'srgan', 'kit/recipe'} <= set(seen) and len(seen) <= 4, seen

@pytest.mark.parametrize('line,settings', [('feature_net', dict(feature_net='')), ('pre_epochs is 2', dict(critic='none')),
                                           ('critic .Patch. is not in', dict(critic='Patch')),
                                           ('generator .UNet. is not in', dict(generator='UNet')),
    ('schedule .steps. is not in', dict(schedule='steps')), ('judges one size only', dict(critic='SRGANCritic', shift=1)),
                                           ('wears no glasses', dict(alike=True, shift=0, soften=0)), ('share below 1', dict(late=.2)),
                                           ('share below 1', dict(late_size=64)), ('share below 1', dict(late=1., late_size=64)),
                                           ('but late is 0', dict(late_loss='mse')),
    ('multiple of scale 4', dict(late=.2, late_size=66)), ('pre_size 33 is not', dict(pre_size=33)), ('ema is 1', dict(ema=1.)),
                                           ('nf is 4.5', dict(nf=4.5))])
def test_settings_that_contradict_each_other(line, settings):
    with pytest.raises(ValueError, match=line): TINY.replace(**settings)

def test_recipes_say_what_the_issue_says():
    full, pets, faces, light = (RECIPES[k] for k in ('full', 'pets', 'faces', 'light-x4'))
    assert (full.generator, full.n_blocks, full.content, full.perceptual, full.feature_scale, full.adv) == ('SRResNet', 16, 0, .006, 1,
        1e-3) and full.pre_epochs
    assert (pets.size//pets.scale, pets.size, pets.content_loss, pets.content, pets.adv, pets.perceptual, pets.tv, pets.epochs) == (32, 128,
        'mse', 1, 1e-3, .006, 2e-8, 150)
    assert pets.feature_net.startswith('vgg16')
    assert (faces.size//faces.scale, faces.size, faces.n_blocks, faces.adv, faces.adv_kind, faces.fake_label, faces.epochs) == (44, 176, 16,
        1e-3, 'bce', .1, 2500) and faces.label_noise
    assert (count_params(srgan.make_generator(light.replace(start=''))) <= 400_000
            and count_params(srgan.make_generator(RECIPES['srresnet-x4'])) <= 1_550_000)
    game = RECIPES['srgan-x4']
    assert game.start == 'srresnet-x4' and (game.generator, game.nf,
                                            game.n_blocks) == tuple(getattr(RECIPES['srresnet-x4'], k)
                                                for k in ('generator', 'nf',
                                                          'n_blocks')) and game.perceptual and game.feature_net.startswith('vgg19')

def test_no_later_lesson_is_named():
    "Not in an import, and not in a string that an import may be made of: what later lessons add comes through the tables."
    code = Path(importlib.util.find_spec('srgan_course.srgan').origin).read_text(encoding='utf-8')
    strings = [n.value for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    assert not [v for v in strings if re.fullmatch(r'(srgan_course)?\.?(upscale|augment|fid|domain|esrgan|recognise|cats)', v)]
    assert 'RRDBNet' not in code and 'div2k' not in code.lower()

def test_whoever_has_a_layout_puts_it_into_the_table(monkeypatch):
    "A source laid out in a way of its own is read by a function of the table; any other source is `sr_dls`'s."
    asked = []
    def mine(source, recipe, valid=None, fit=None, device=None):
        asked.append((source, recipe.size, valid, fit))
        return data.sr_dls(pictures(5), recipe, device=device) if source == 'mine' else None
    monkeypatch.setitem(HOMES['layout'], 'mine', mine)
    r = TINY.replace(pre_size=48)
    assert len(srgan.make_dls(r, 'mine', 'cpu').train_ds) + len(srgan.make_dls(r, 'mine', 'cpu').valid_ds) == 5
    assert len(srgan.make_dls(r, 'embedded', 'cpu').train_ds) == 5 and asked[0] == ('mine', 48, None, None) and asked[-1][0] == 'embedded'

def test_a_weight_of_0_leaves_a_term_out():
    weights = dict(content=1., perceptual=.1, grid=1., tv=1e-3, adv=1e-3)
    r = SRGANRecipe('r', feature_net='vgg19-random@relu1_1', **weights)
    assert set(srgan.make_losses(r)[0].terms) == set(weights)
    for k in weights: assert set(srgan.make_losses(r.replace(**{k: 0.}))[0].terms) == set(weights) - {k}
    with pytest.raises(ValueError, match='all weights are 0'): srgan.make_losses(SRGANRecipe('r', content=0., adv=0.))

def test_a_game_without_an_adversarial_term(tmp_path):
    "The critic learns on, the generator is asked for pixels alone; the run ends as any other."
    res = train(TINY.replace(adv=0., pre_epochs=1, epochs=1), 'embedded', tmp_path/'a', progress=False, device='cpu')
    head = (tmp_path/'a'/'history_gan.csv').read_text().splitlines()[0].split(',')
    assert 'adv' not in head and {'content', 'd_real', 'd_fake', 'gen_loss'} <= set(head) and 'SRGAN' in res.table.index

# ---- a run and its folder

@pytest.fixture(scope='module')
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp('run')/'a'
    return train(TINY, 'embedded', out, progress=False, device='cpu')

def test_what_a_run_leaves(run):
    names = {p.name for p in run.out.iterdir()}
    assert {'recipe.json', 'results.json', 'generator.safetensors', 'generator.md', 'pretrained.safetensors', 'checkpoints', 'samples',
            'history_pretrain.csv', 'history_gan.csv', 'curves_pretrain.png', 'curves_gan.png'} <= names
    assert list(run.table.index) == ['nearest', 'bicubic', 'pretrained', 'SRGAN']
    res = json.loads((run.out/'results.json').read_text(encoding='utf-8'))
    assert res['recipe'] == json.loads(TINY.to_json()) and res['n'] == 3 and abs(res['figures']['bicubic']['psnr'] - 27.06) < .02

def test_another_recipe_is_refused(run, tmp_path):
    with pytest.raises(ValueError, match='holds a run that is finished'): train(TINY, 'embedded', run.out, progress=False)
    with pytest.raises(ValueError, match='another recipe: nf 4 there, 6 here'):
        train(TINY.replace(nf=6), 'embedded', run.out, resume=True, progress=False)
    out = tmp_path/'b'                                          # also where recipe.json was made to fit by hand
    with pytest.raises(KeyboardInterrupt): train(TINY, 'embedded', out, progress=False, device='cpu', cbs=[StopAfter(2, 'pretrain')])
    TINY.replace(pre_lr=1e-3).save(out/'recipe.json')
    with pytest.raises(ValueError, match='checkpoint of another recipe: pre_lr'):
        train(TINY.replace(pre_lr=1e-3), 'embedded', out, resume=True, progress=False, device='cpu')

def folder(path, n, first=0):
    path.mkdir()
    for i, im in enumerate(pictures(n + first)[first:]): im.save(path/f'{i}.png')
    return path

def test_a_run_goes_on_with_its_own_pictures_alone(tmp_path):
    "Begun on A and stopped: B is refused by what has changed, held-out pictures too, and A goes on wherever it lies; so after the end."
    a, b, out, r = folder(tmp_path/'a', 4), folder(tmp_path/'b', 5, 3), tmp_path/'run', TINY.replace(critic='none', shift=0, soften=0, pre_epochs=0,
        perceptual=0., feature_net='')
    again = lambda source, r=r, **kw: train(r, source, out, resume=True, progress=False, device='cpu', **kw)
    with pytest.raises(KeyboardInterrupt): train(r, a, out, progress=False, device='cpu', cbs=[StopAfter(2, 'pretrain')])
    before = {p: p.read_bytes() for p in out.rglob('*') if p.is_file()}
    def refused():
        with pytest.raises(ValueError, match=r'run: a run on other pictures \(training: 3 gone \(1.png, [\d,]+ bytes, ...\), 4 new'): again(b)
        with pytest.raises(ValueError, match=r'\(training: 1 new \(0.png, [\d,]+ bytes\); held_out: 1 gone .*, 5 new'): again(a, valid=b)
        with pytest.raises(ValueError, match="made of its recipe's own steps, and minutes is 3 here"): again(a, minutes=3.)
        with pytest.raises(ValueError, match='another recipe: seed'): again(a, r.replace(seed=7))
    refused()
    assert before == {p: p.read_bytes() for p in out.rglob('*') if p.is_file()}           # a refusal touches nothing
    res = again(a.rename(tmp_path/'moved')); a = tmp_path/'moved'
    refused()
    assert again(a).table.equals(res.table)
    (out/'pictures.json').unlink(); (out/'results.json').unlink(); again(a)             # a run of before has no list

def test_minutes_become_steps_and_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(phases, 'step_seconds', lambda job, dls: {'pretrain': .1, 'gan': .2})
    r = phases.fit_minutes(build(TINY.replace(steps_per_epoch=50, pre_epochs=8, epochs=4)), {'pretrain': .1, 'gan': .2}, 10)
    assert abs(r.steps_per_epoch*(r.pre_epochs*.1 + r.epochs*.2) - .93*600) < 30 and r.pre_epochs > r.epochs
    one = phases.fit_minutes(build(TINY.replace(steps_per_epoch=50)), {'pretrain': 100., 'gan': 100.}, .01)     # too short for one step: still one
    assert (one.steps_per_epoch, one.pre_epochs, one.epochs) == (1, 1, 1)
    a = train(TINY, 'embedded', tmp_path/'m', minutes=.02, progress=False, device='cpu')
    monkeypatch.setattr(phases, 'step_seconds', lambda job, dls: pytest.fail('timed again'))
    b = train(TINY, 'embedded', tmp_path/'m', minutes=.02, resume=True, progress=False, device='cpu')
    assert a.recipe == b.recipe and a.recipe.minutes == .02

# ---- a model to begin from, and larger patches late

GROWS = TINY.replace(name='grows', critic='none', shift=0, soften=0, pre_epochs=0, epochs=4, steps_per_epoch=3, late=.5, late_size=48,
                     late_loss='mse', copies=1, perceptual=0., feature_net='', save_every=2)

class Die(Callback):
    "The end of the process, after a step."
    order, run_valid = 150, False
    def __init__(self, at): self.at = at
    def after_batch(self):
        if self.learn.n_steps == self.at: os.kill(os.getpid(), signal.SIGKILL)

@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
def test_growing_patches_killed_and_resumed(tmp_path):
    "Killed (in a child process) in the middle of the first epoch with large patches, resumed: the same weights and history as without."
    out, threads = tmp_path/'killed', torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if not (pid := os.fork()):
            try: train(GROWS, 'embedded', out, device='cpu', progress=False, cbs=[Die(8)])
            finally: os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        assert run_state(out) == 'begun' and checkpoints(out/'checkpoints'/'pretrain') and not (out/'generator.safetensors').exists()
        res, whole = (train(GROWS, 'embedded', o, resume=o == out, progress=False, device='cpu') for o in (out, tmp_path/'whole'))
    finally: torch.set_num_threads(threads)
    assert torch.equal(weights(out/'generator.safetensors'), weights(tmp_path/'whole'/'generator.safetensors'))
    assert same_history(out, tmp_path/'whole', 'pretrain')
    assert np.allclose(res.table, whole.table, rtol=1e-5)

def test_begun_from_another_model(run, tmp_path):
    "Training goes on from the model that is named, by file; one of another width is refused before anything is kept."
    start = str(run.out/'generator.safetensors')
    r = GROWS.replace(name='more', start=start, late=0., late_size=0, late_loss='', epochs=1, steps_per_epoch=1, ema=0., pre_lr=1e-9)
    res = train(r, 'embedded', tmp_path/'a', progress=False, device='cpu')
    assert torch.allclose(weights(tmp_path/'a'/'generator.safetensors'), weights(start), atol=1e-7)
    assert 'begun from generator.safetensors' in (tmp_path/'a'/'generator.md').read_text(encoding='utf-8') and abs(res.table.loc['more',
        'psnr'] - run.table.loc['SRGAN', 'psnr']) < 1e-3
    with pytest.raises(ValueError, match='tensors of LightSR fit those of'):
        train(r.replace(nf=6), 'embedded', tmp_path/'b', progress=False, device='cpu')
    with pytest.raises(ValueError, match="no model 'lite-x2'"):
        train(r.replace(start='lite-x2'), 'embedded', tmp_path/'b', progress=False, device='cpu')
    assert not (tmp_path/'b').exists()

# ---- the end of a run, and ends before it

def test_no_time_for_a_step(tmp_path, capsys):
    "A budget of six microseconds: one step, a model that can be used and is about as good as bicubic, and no pretence."
    r = GROWS.replace(name='hurry', late=0., late_size=0, late_loss='')
    res = train(r, 'embedded', tmp_path/'a', minutes=1e-7, device='cpu')
    assert '1e-07 minutes are too short for more than one step' in capsys.readouterr().out.splitlines()[0]
    assert res.recipe.steps_per_epoch == res.recipe.epochs == 1 and load_model(tmp_path/'a'/'generator.safetensors').meta['steps'] == '1'
    assert abs(res.table.loc['hurry', 'psnr'] - res.table.loc['bicubic', 'psnr']) < .5
    assert 'after 1 steps. So few steps only show' in res.said and res.said in (tmp_path/'a'/'generator.md').read_text(encoding='utf-8')

class Full(Callback):
    "Memory runs out at a step."
    def __init__(self, at, error): self.at, self.error = at, error
    def after_batch(self):
        if self.training and self.learn.n_steps == self.at: raise self.error

@pytest.mark.parametrize('error', [MemoryError(), torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 20.00 GiB.'),
                                   RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")],
                         ids=['of Python', 'of a GPU', 'of the processor'])
def test_memory_runs_out(tmp_path, error):
    "One line says what to lower; the folder of a run that has learnt nothing is free for the smaller one."
    r, out = GROWS.replace(bs=4), tmp_path/'a'
    with pytest.raises(MemoryError, match=r'out of memory: lower bs, now 4 \(--bs 2\), or size, now up to 48 px'):
        train(r, 'embedded', out, progress=False, device='cpu', cbs=[Full(1, error)])
    if error.args: return
    train(r.replace(bs=2, epochs=1), 'embedded', out, progress=False, device='cpu')
    assert not list(tmp_path.rglob('*.tmp'))

def test_memory_runs_out_late(tmp_path):
    out = tmp_path/'a'
    with pytest.raises(MemoryError, match='give another folder than'):
        train(GROWS, 'embedded', out, progress=False, device='cpu', cbs=[Full(5, MemoryError())])
    # and it can go on, elsewhere
    assert run_state(out) == 'begun' and train(GROWS, 'embedded', out, resume=True, progress=False, device='cpu').recipe == GROWS

def test_a_run_of_several_sources(tmp_path, capsys):
    "Sources joined by +: the first one's held-out pictures; the card names all, their terms, and what is not known."
    (tmp_path/'mine').mkdir()
    for i, im in enumerate(pictures(2)): im.save(tmp_path/'mine'/f'{i}.png')
    res = train(GROWS.replace(epochs=1, late=0., late_size=0, late_loss='', copies=0), f'embedded+{tmp_path/"mine"}', tmp_path/'a',
                device='cpu')
    said, card = capsys.readouterr().out, (tmp_path/'a'/'generator.md').read_text(encoding='utf-8')
    assert '7 pictures for training and 3 held out' in said and 'float32 on cpu' in said.splitlines()[0]
    assert ('- `embedded`: five photographs' in card and 'CC BY 2.0' in card
            and '`mine`: a folder of pictures; nothing is known here of their terms' in card and str(tmp_path) not in card)
    result = json.loads((tmp_path/'a'/'results.json').read_text(encoding='utf-8'))
    for k, v in result['figures'].items(): assert f"| {k} | {v['psnr']:.2f} / {v['ssim']:.4f} |" in card
    assert result['device'] == 'cpu' and result['said'] == res.said and result['seconds'] > 0

def test_benchmarks_are_named():
    for source in 'set5', 't91+set5', 'photos+bsds500/val', Path('data')/'Urban100'/'HR':
        assert 'is a benchmark and was trained on' in cards.about_data(source)[-1], source
    for source, but in (('bsds500+t91+photos', ' (but for `woman`, which is 302003 of `bsds500/train`, smaller)'), ('embedded', ''),
                        ('t91+bsds500/test', '')):
        assert cards.about_data(source)[-1] == f'Set5{but}, Set14, BSD100 and Urban100 were not trained on, as far as the source says.'

def test_time_of_all_sessions(tmp_path):
    out = tmp_path/'a'
    with pytest.raises(KeyboardInterrupt): train(GROWS, 'embedded', out, progress=False, device='cpu', cbs=[StopAfter(7, 'pretrain')])
    from srgan_course.kit.checkpoints import read_checkpoint
    before = read_checkpoint(checkpoints(out/'checkpoints'/'pretrain')[-1])[1]['cb.clock']['seconds']
    res = train(GROWS, 'embedded', out, resume=True, progress=False, device='cpu')
    assert 0 < before < res.seconds and abs(float(load_model(out/'generator.safetensors').meta['seconds']) - res.seconds) < .1

def test_check_of_a_folder_without_use(tmp_path):
    for i in range(3): Image.new('RGB', (20, 20), (9*i, 0, 0)).save(tmp_path/f'{i}.png')
    report, ours, held = inspect.check_pictures(tmp_path, TINY)
    assert (ours, held) == ([], []) and len(report['too_small']) == 3 and '3 smaller than the patch' in inspect.report_text(report)
    (tmp_path/'empty').mkdir()
    with pytest.raises(ValueError, match='no picture'): inspect.check_pictures(tmp_path/'empty', TINY)

# ---- the demo

def test_demo(tmp_path, capsys, monkeypatch):
    out = tmp_path/'demo'
    srgan_train = srgan.train
    monkeypatch.setattr(demo, 'train', lambda *a, **k: srgan_train(*a, **k, cbs=[StopAfter(2, 'gan')]))
    with pytest.raises(KeyboardInterrupt, match='goes on where it was'): demo.demo(out, progress=True, recipe=TINY)
    monkeypatch.setattr(demo, 'train', srgan_train)
    figures = demo.demo(out, progress=True, recipe=TINY)
    said = capsys.readouterr().out
    assert 'going on where it was' in said and 'held-out photos' in said and 'Next:' in said
    for name in demo.MADE: assert (out/name).stat().st_size > 0, name
    assert set(figures['photos']) == {'chelsea', 'china', 'coffee'} and 0 < figures['critic']['d_real'] < 1
    gif = Image.open(out/'samples.gif')
    assert gif.n_frames == 6 and gif.size == (256, 274)
    made = (out/'generator.safetensors').stat().st_mtime_ns
    phases = [float(load_model(out/f).meta['seconds']) for f in ('pretrained.safetensors', 'generator.safetensors')]
    assert abs(json.loads((out/'results.json').read_text())['seconds'] - sum(phases)) < .2       # of all sessions
    assert demo.demo(out, recipe=TINY) == figures and '--fresh' in capsys.readouterr().out
    assert (out/'generator.safetensors').stat().st_mtime_ns == made
    (out/'generator.safetensors').write_bytes(b'')                      # no finished demo
    with pytest.raises(ValueError, match='the file is empty; remove it; the same command makes it again; or begin again with --fresh'):
        demo.demo(out, progress=False, recipe=TINY)
    (out/'mine.txt').write_text('not the demo\'s')
    demo.demo(out, fresh=True, progress=False, recipe=TINY)
    assert (out/'generator.safetensors').stat().st_mtime_ns > made and (out/'mine.txt').exists()

def test_what_the_demo_says_of_the_critic(tmp_path, monkeypatch):
    "D(x) is read for critics that were taught as probabilities, and not for others."
    photo = {k: dict(psnr=27., ssim=.7, gradient=5.) for k in ('nearest', 'bicubic', 'pretrained', 'SRGAN')} | {'HR': dict(gradient=10.)}
    assert 'D(G(z)) 0.40: balance.' in demo.demo_report({'a': photo}, dict(d_real=.6, d_fake=.4), tmp_path)
    assert 'the critic has won' in demo.demo_report({'a': photo}, dict(d_real=.99, d_fake=.01),
                                                     tmp_path) and 'D(x)' not in demo.demo_report({'a': photo}, None, tmp_path)
    for drawn in 'before_after', 'all_curves', 'training_gif': monkeypatch.setattr(demo, drawn, lambda *a, **k: None)
    hinge = TINY.replace(name='hinge', adv_kind='hinge', steps_per_epoch=1, pre_epochs=1, epochs=1)
    assert demo.demo(tmp_path/'demo', recipe=hinge, progress=False)['critic'] is None

# ---- trap 8: ranges and colours, the whole way

COLOURS = {'black': (0, 0, 0), 'white': (255, 255, 255), 'red': (220, 30, 20), 'green': (20, 200, 40), 'blue': (20, 40, 210),
           'dim': (60, 50, 40)}

def coloured(size=128):
    "A picture of six fields: black and white among them."
    img = Image.new('RGB', (size, size))
    for i, c in enumerate(COLOURS.values()): img.paste(c, (i%3*size//3, i//3*size//2, (i%3+1)*size//3 + 1, (i//3+1)*size//2))
    return img

def colours_of(img, size=128):
    "The middle of each field."
    return np.array([img.getpixel((i%3*size//3 + size//6, i//3*size//2 + size//4)) for i in range(len(COLOURS))])

def whole_way(out):
    "Train, save, load, enlarge: the largest error of a colour, in grey levels, in the file's picture and in the sample sheet."
    r = TINY.replace(nf=8, steps_per_epoch=10, pre_epochs=6, epochs=1, adv=1e-4)
    imgs = [coloured() for _ in range(3)]
    lr = downscale(imgs[0], 4)
    train(r, imgs, out, progress=False, device='cpu', samples=to_tensor(lr)[None])
    with torch.no_grad(): sr = to_image(load_model(out/'generator.safetensors')(to_tensor(lr)[None])[0])
    sheet = Image.open(sorted((out/'samples'/'gan').glob('*.png'))[-1])
    want = np.array(list(COLOURS.values()))
    return max(np.abs(colours_of(im) - want).max() for im in (sr, sheet))

def test_colours_the_whole_way(tmp_path): assert whole_way(tmp_path/'a') < 20

def faulty_tanh(r):
    "A generator that ends in tanh, as if pictures were in [-1,1]."
    net = whole_generator(r); forward = net.forward
    net.forward = lambda x: torch.tanh(2*forward(x) - 1)
    return net
whole_generator = srgan.make_generator

def begins_in_range():
    """Before its first step, a light generator gives a flat-coloured batch back in the range of its targets: the skip has nothing to add
    there."""
    r = TINY.replace(steps_per_epoch=5)
    learn = build(r).phases['pretrain'].learner(srgan.make_dls(r, [coloured()]*3, 'cpu'))
    x, y = learn.dls.one_batch()
    with torch.no_grad(): return (learn.generator.eval()(x) - y).abs().mean() < .05

def test_trap_8_a_tanh_against_other_targets(monkeypatch):
    assert begins_in_range()
    monkeypatch.setattr(srgan, 'make_generator', faulty_tanh)
    assert not begins_in_range()

@pytest.mark.parametrize('fault', [lambda a: a[..., ::-1], lambda a: 255 - a, lambda a: a//2 + 64],
                         ids=['channels swapped', 'inverted', 'half range'])
def test_trap_8_is_caught(tmp_path, monkeypatch, fault):
    "Targets whose colours were changed on the way into the loader: the saved generator gives itself away."
    cut = data.cut_pair
    monkeypatch.setattr(data, 'cut_pair', lambda *a, **k: (lambda l, h: (l, np.ascontiguousarray(fault(h))))(*cut(*a, **k)))
    assert whole_way(tmp_path/'a') > 25

# ---- trap 10: a loss that rests near 0.5

def test_trap_10():
    real, fake = (torch.full((16, 1), p).logit() for p in (.7999, .0001))
    loss = AdversarialLoss('mean', real_label=.8).crit(real, fake)
    assert abs(loss.item() - .5006) < .0006                    # the published Loss_D, with nothing but a critic that has won
    assert abs(-.8*np.log(.8) - .2*np.log(.2) - .5004) < 5e-5  # the entropy of a label of 0.8
    assert who_is_ahead(.7999, .0001, real_label=.8) == 'the critic has won'
    by_loss = lambda loss: 'balance' if abs(loss - .5) < .05 else 'not'
    assert by_loss(loss.item()) == 'balance'                   # the trap
    assert who_is_ahead(.55, .45) == 'balance' and who_is_ahead(.45, .35, real_label=.8) == 'balance'
    assert who_is_ahead(.99, .01) == 'the critic has won' and who_is_ahead(.03, .5) == 'the generator has won' and who_is_ahead(.6,
        .02) == 'the critic is about to win'
    # nobody has won: it tells nobody anything
    assert who_is_ahead(.01, .01) == who_is_ahead(.99, .98) == 'the critic says the same of everything'
    assert abs(AdversarialLoss('mean').gen(torch.tensor([[.0001]]).logit()).item() - .9999) < 1e-4
