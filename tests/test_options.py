"""Every numeric option of every command, with what no number should be: refused in one line before any work, or taken where it makes
sense. In this process: a command that begins its work has taken the option."""
import sys
import numpy as np, pytest, torch
from fastcore.script import _run_cli, anno_parser
from PIL import Image
from srgan_course import cats, classifier, cli, deploy, fid, metrics, recognise, serve, srgan
from srgan_course.kit import inspect, noise

VALUES = ('nan', 'inf', '-5', '0', '1e99', 'x', '', '9'*30)
COMMANDS = {c: getattr(cli, c) for c in 'demo upscale train evaluate models classify recognise fid cats lessons'.split()} | {'serve': deploy.serve}
POS = dict(fid=['b'])

# (command, what it is asked for besides) -> option -> the values above that make sense
ASKED = {
    ('train', ''): dict(minutes='', bs='', size='', seed='0'),
    ('train', '--check embedded'): dict(minutes='', bs='', size='', seed='0'),
    ('evaluate', '--model bicubic'): dict(scale=''),
    ('classify', '--train pets-toy'): dict(epochs='', seed='0'),
    ('recognise', '--train pets-toy'): dict(share='', size='', steps='', seed='0'),
    ('recognise', '--evaluate pets-toy --teacher toy'): dict(share='', size='', seed='0'),
    ('fid', 'pics pics --features random'): dict(dims='', draws='0', n=''),
    ('fid', 'pics --save-stats s.npz --features random'): dict(dims='', draws='0', n=''),
    ('cats', ''): dict(n='', seed=f'0 {"9"*30}', truncation=f'inf 1e99 {"9"*30}'),        # noise that is cut nowhere
    ('cats', '--train toy'): dict(minutes=''),
    ('serve', ''): dict(port='0', tile='', megabytes='', megapixels='', out_megapixels='', queue='0', uploads='', deadline='', body_seconds='',
                        keep_minutes='', keep_jobs='', keep_megabytes='', cache_megabytes='0')}

class Began(BaseException): "The command has begun its work."

@pytest.fixture
def lazy(monkeypatch, tmp_path):
    "Work is not done; the folder holds two pictures."
    def begin(*args, **kwargs): raise Began
    for where, names in ((srgan, 'make_dls'), (inspect, 'check_pictures'), (metrics, 'evaluate_sr'), (classifier, 'train_classifier'),
                         (recognise, 'train_recognise picture_ways'), (fid, 'fid'), (noise, 'make_pictures'), (cats, 'cats_learner'),
                         (serve, 'make_app')):
        for name in names.split(): monkeypatch.setattr(where, name, begin)
    monkeypatch.setattr('srgan_course.kit.sets.Stats.of', begin)
    monkeypatch.setattr(srgan, 'check_weights', lambda r: None)
    monkeypatch.setattr(cats, 'face_dls', begin)
    monkeypatch.chdir(tmp_path)
    (tmp_path/'pics').mkdir()
    for i in range(2): Image.new('RGB', (16, 16), (i, 0, 0)).save(tmp_path/'pics'/f'{i}.png')

def outcome(command, args, monkeypatch):
    "'began', or the exit code."
    monkeypatch.setattr(sys, 'argv', [f'srgan-{command}', *args])
    try: return _run_cli(COMMANDS[command].__wrapped__, False, POS.get(command))
    except Began: return 'began'
    except SystemExit as e: return e.code

@pytest.mark.parametrize('command, more, option', [(c, more, o) for (c, more), options in ASKED.items() for o in options])
def test_no_number(command, more, option, lazy, monkeypatch, capsys, tmp_path):
    good = ASKED[command, more][option].split()
    for v in VALUES:
        code, err = outcome(command, [*more.split(), f'--{option.replace("_", "-")}={v}'], monkeypatch), capsys.readouterr().err
        if v in good: assert code == 'began', (v, code, err); continue
        *usage, last = err.strip().splitlines()
        assert code == 2 and 'Traceback' not in err and (not usage or usage[0].startswith('usage: ')), (v, code, err)
        assert option.replace('_', '-') in last.replace('_', '-'), (v, last)                                  # it says which
    assert sorted(p.name for p in tmp_path.iterdir()) == ['pics']                                              # and nothing is kept

def test_every_number_is_asked():
    "The options whose type is a number, by command, are those above."
    for c, f in COMMANDS.items():
        want = {a.dest for a in anno_parser(f.__wrapped__, pos=POS.get(c))._actions if a.type in (int, float)}
        have = {o for (name, _), options in ASKED.items() if name == c for o in options}
        assert c == 'upscale' or want == have, (c, want ^ have)

def settings_of(cls):
    "Recipes of a class, with values from all of what its fields may hold."
    from hypothesis import strategies as st
    from srgan_course.kit.recipe import SCALES
    number, rate, share = st.floats(0, 1e9, exclude_min=True), st.floats(0, 1, exclude_min=True), st.floats(0, 1 - 1e-7)
    own = {'Recipe': {}, 'SRGANRecipe': dict(start=st.text(), pre_lr=rate, gan_lr=rate, tv=number, minutes=st.floats(0, 1e7),
               critic=st.sampled_from(('PoolCritic', 'SRGANCritic')), ema=share, nf=st.integers(1, 512), label_noise=st.floats(0, 1000)),
           'ClassifierRecipe': dict(lr=rate, degrees=st.floats(0, 180), classes=st.lists(st.text()).map(tuple), flip=st.booleans()),
           'CatsRecipe': dict(size=st.just(64), scale=st.sampled_from((2, 4)), lr=rate, zoom=share, toys=st.integers(12, 10**5)),
           'RecogniseRecipe': dict(lr=rate, share=rate, labels=None)}
    more, student = {k: v for k, v in own[cls.__name__].items() if v is not None}, cls.__name__ == 'RecogniseRecipe'
    def build(n, bs, steps):          # 12*n pixels at most; of what has an end as a product, each takes its turn at being large
        scale = dict(scale=st.just(3), size=st.just(192)) if student else dict(scale=st.sampled_from(SCALES), size=st.integers(1, n).map(lambda k: 12*k))
        return st.builds(cls, **dict(name=st.text(), seed=st.integers(0, 2*10**9), bs=st.integers(1, bs), epochs=st.integers(1, 10**6),
                                     steps_per_epoch=st.integers(1, steps), augment=st.booleans(), degrade=st.text(), **scale) | more)
    return build(69 if cls.__name__ == 'SRGANRecipe' else 682, 4, 10**6) | build(5, 7281 if student else 2**16, 152)

@pytest.mark.parametrize('name', ['Recipe', 'SRGANRecipe', 'ClassifierRecipe', 'CatsRecipe', 'RecogniseRecipe'])
def test_a_recipe_as_json_is_itself_again(name):
    from hypothesis import given, settings
    from srgan_course.kit.classifier_runs import ClassifierRecipe
    from srgan_course.kit.recipe import Recipe
    cls = dict(Recipe=Recipe, SRGANRecipe=srgan.SRGANRecipe, ClassifierRecipe=ClassifierRecipe, CatsRecipe=cats.CatsRecipe,
               RecogniseRecipe=recognise.RecogniseRecipe)[name]
    @settings(max_examples=30, deadline=None, derandomize=True, database=None)
    @given(settings_of(cls))
    def check(r): assert cls.from_json(r.to_json()) == r
    check()

# what was passed over without a word -> what is said of it
IDLE = {'cats --n 2 --recipe quick': '--recipe counts only with --train', 'cats --device cpu': '--device counts only with --train',
        'cats --train toy --n 3': '--n does not count with --train', 'cats --train toy --model x': '--model does not count',
        'models --precision int8': '--precision counts only with --export', 'models light-x2 --export x.onnx --json': '--json does not count with --export',
        'models light-x2 --export x.onnx --pull a/b': '--pull does not count with --export', 'models --convert x.pth --json': '--json does not count with --convert',
        'classify pics --epochs 3': '--epochs counts only with --train', 'classify --evaluate pets-toy --seed 1': '--seed counts only with --train',
        'classify --train pets-toy --model x': '--model does not count with --train',
        'recognise pics/0.png --judge toy': '--judge counts only with --evaluate', 'recognise pics/0.png --share .5': '--share counts only with --train or --evaluate',
        'recognise --train pets-toy --size 96': '--size does not count with --train', 'recognise --evaluate pets-toy --out x': '--out does not count with --evaluate',
        'recognise --evaluate pets-toy --steps 5': '--steps counts only with --train',
        'train --check pics --data pics': '--data does not count with --check', 'train --any-number': '--any-number counts only with --resume',
        'scale pics --out big --scheduler tcp://x --workers 2': '--workers does not count with --scheduler',
        'train --recipes --data pics': '--data does not count with --recipes', 'train --recipes --check pics': '--check does not count with --recipes',
        'train --recipes --seed 3': '--seed does not count with --recipes', 'train --check pics --out run': '--out does not count with --check',
        'classify pics --model x.safetensors --out run': '--out does not count with --model',
        'fid pics pics --features inception@768 --dims 64': '--dims does not count with --features inception@768',
        'fid a.npz b.npz --features random': '--features does not count with two .npz files',
        'fid a.npz b.npz --n 5': '--n does not count with two .npz files', 'fid a.npz b.npz --cache kept': '--cache does not count with two .npz files',
        'scale pics --out big --report --shards 2': '--shards does not count with --report',
        # given with their defaults
        'cats --train toy --model dcgan-cats': '--model does not count with --train', 'cats --train toy --n=64': '--n does not count with --train',
        'cats --train toy --see 0': '--seed does not count with --train', 'cats --device auto': '--device counts only with --train',
        'models --precision fp32': '--precision counts only with --export', 'recognise --train pets-toy --size 192': '--size does not count with --train',
        'classify pics --recipe quick': '--recipe counts only with --train', 'train --check pics --out runs/a': '--out does not count with --check',
        'train --recipes --device auto': '--device does not count with --recipes', 'scale pics --out big --report --model light-x4': '--model does not count',
        'upscale --manifest l --out big --quality 95': '--quality does not count with --manifest', 'upscale --manifest l --out big --scale 2': '--scale does not',
        'fid a.npz b.npz --features inception': '--features does not count with two .npz files'}

@pytest.mark.parametrize('line', IDLE)
def test_no_option_is_passed_over(line, lazy, monkeypatch, capsys, tmp_path):
    "An option that counts only with another, or not with it."
    command, *args = line.split()
    monkeypatch.setitem(COMMANDS, 'scale', deploy.scale)
    assert outcome(command, args, monkeypatch) == 2
    err = capsys.readouterr().err
    assert err.count('\n') == 1 and f'srgan-{command}: {IDLE[line]}' in err and 'leave it out' in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ['pics']

@pytest.mark.parametrize('line, says', [('train --size 50', 'size 50 is not a multiple of scale 4; give --size 48'),
                                        ('cats --train toy --out run', 'run holds a run; go on with --resume, or give another folder')])
def test_what_is_to_be_given_is_said_as_it_is_typed(line, says, lazy, monkeypatch, capsys, tmp_path):
    "And not as Python has it: size=48, resume=True."
    (at := tmp_path/'run'/'checkpoints').mkdir(parents=True); (at/'step-0000001.safetensors').touch()
    command, *args = line.split()
    assert outcome(command, args, monkeypatch) == 2 and capsys.readouterr().err == f'srgan-{command}: {says}\n'

def numbers():
    "(argument, numbers that it cannot be, function of one) of what measures and splits, from Python."
    from srgan_course.kit import figures, sets, splits, stats
    rng = np.random.default_rng(0)
    x, y, p, xb = rng.normal(size=(9, 4)), rng.normal(size=(8, 4)), np.full((9, 2), .5), torch.rand(4, 3, 20, 20)
    img = Image.new('RGB', (20, 20))
    count = 0, -1, 1.5, float('nan')
    yield from [('k', count, lambda v: fid.precision_recall(x, y, k=v)), ('draws', (1, *count[1:]), lambda v: fid.fid(x, y, draws=v)),
        ('subsets', count, lambda v: fid.kid(x, y, subsets=v)), ('size', count, lambda v: fid.kid(x, y, size=v)),
        ('draws', count[1:], lambda v: fid.kid(x, y, draws=v)), ('splits', count, lambda v: fid.inception_score(p, splits=v)),
        ('bs', count, lambda v: fid.fid(xb, xb, 'random@8', bs=v)), ('workers', count, lambda v: fid.fid(xb, xb, 'random@8', workers=v)),
        ('n', count[2:], lambda v: fid.fid(xb, xb, 'random@8', n=v)), ('n', count, lambda v: sets.crops(xb, v, 8)),
        ('size', count, lambda v: sets.crops(xb, 2, v)), ('scale', count, lambda v: metrics.evaluate_sr(lambda i: i, {'a': img}, v)),
        ('times', (1, *count), lambda v: stats.over_pictures(np.mean, x, times=v)), ('times', (1, *count), lambda v: stats.over_both(x, v)),
        ('overlap', (-.1, float('nan')), lambda v: stats.over_runs(x[0], v)), ('draws', (1, *count), lambda v: figures.average([1., 2], [0, 1], draws=v)),
        ('spread', (-1, float('nan')), lambda v: stats.smallest_effect(v, 5)), ('run', count, lambda v: stats.smallest_effect(.1, v)),
        ('alike', (-1, float('nan')), lambda v: splits.near_duplicates([img, img], v))]

@pytest.mark.parametrize('i', range(19))
def test_no_figure_by_a_number_that_cannot_be_meant(i):
    "A number of neighbours, draws, pictures or pixels that is none is refused by its name; it gave figures, or another error's words."
    name, bad, f = list(numbers())[i]
    for v in bad:
        with pytest.raises(ValueError, match=rf'\b{name}\b'): f(v)

def test_no_figure_of_what_is_none():
    "NaN among the figures was drawn around, rows of two lengths were cut to the shorter, numbers of classes counted as right, bytes wrapped around."
    from srgan_course.kit.stats import mcnemar, over_pictures, says
    from srgan_course.losses import DISTANCES, ContentLoss
    from srgan_course.watching import who_is_ahead
    x, z = np.arange(9.), torch.zeros(1, 3, 4, 4)
    assert over_pictures(lambda v: (v == 'cat').mean(), np.array(['cat', 'cat']), times=9) == (1, 1)      # names are no numbers
    for f, why in ((lambda: over_pictures(np.mean, np.append(x, np.nan)), '1 of 10 pictures have a figure that is NaN'),
                   (lambda: over_pictures(np.mean, np.append(x, np.inf)), '1 of 10 pictures have a figure that is NaN or infinite'),
                   (lambda: over_pictures(np.mean, x, x[:5]), 'arrays of 9, 5 rows'),
                   (lambda: over_pictures(np.mean, []), 'arrays of 0 rows'), (lambda: over_pictures(np.mean), 'arrays of no rows'),
                   (lambda: says(.5, .1), 'an interval from 0.5 to 0.1'),
                   (lambda: mcnemar([3, 1], [0, 1]), 'True or False'), (lambda: mcnemar([.2, 1.], [0, 1]), 'True or False'),
                   *((lambda how=how: ContentLoss(how)(z.byte(), z.byte() + 255), 'pixels are torch.uint8; give floats') for how in DISTANCES),
                   *((lambda mode=mode: metrics.psnr_y(Image.new(mode, (20, 20)), Image.new(mode, (20, 20)), 0), f'mode {mode}; figures are for colours as RGB')
                     for mode in ('CMYK', 'HSV', 'LAB', 'I', 'F', 'YCbCr')),
                   (lambda: metrics.psnr_y(Image.new('RGBA', (20, 20)), Image.new('RGB', (20, 20)), 0), 'transparent pixels; figures are for pictures without alpha: put')):
        with pytest.raises(ValueError, match=why): f()
    assert over_pictures(np.mean, x)[0] < 4 and over_pictures(lambda b: np.nan if b.all() else b.mean(), x > 4)[0] < .5       # a draw may have no figure
    assert [who_is_ahead(*d) for d in ((float('nan'), .5), (.5, float('nan')))] == ['nobody: the critic says NaN, and the game is lost']*2
