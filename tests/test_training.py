"""What a fresh tester found in the commands that train: other pictures under the names of a run's own, held-out pictures that are trained
on, numbers that no recipe should hold, empty arguments. Each is refused or said in one line, before a folder is made."""
import json, re, sys, warnings
from dataclasses import fields
from shutil import rmtree
from types import SimpleNamespace
import numpy as np, pytest
from PIL import Image
from conftest import ROOT
from test_cli import fork, one_line
from test_srgan import TINY, StopAfter
from srgan_course import cli
from srgan_course.cats import CatsRecipe, train_cats
from srgan_course.classifier import ClassifierRecipe, train_classifier
from srgan_course.data import sr_dls
from srgan_course.kit.checkpoints import SaveEvery
from srgan_course.kit.inspect import check_source
from srgan_course.kit.labels import read_labels
from srgan_course.kit.lists import keep_pictures, left_in
from srgan_course.kit.recipe import Recipe, build, get_recipe, named_recipes
from srgan_course.kit.recognition import RecogniseRecipe
from srgan_course.kit.runs import run_folder
from srgan_course.recognise import train_recognise
from srgan_course.srgan import SRGANRecipe, train

ALONE = TINY.replace(critic='none', shift=0, soften=0, pre_epochs=0, perceptual=0., feature_net='')

def folder(path, seed=0, n=4, size=(60, 50), names='{}.bmp'):
    "Bitmaps: those of one size have one number of bytes, whatever they show."
    rng = np.random.default_rng(seed)
    for i in range(n):
        p = path/names.format(i); p.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), np.uint8)).save(p)
    return path

def all_known(out):
    "What a run leaves is what no other run may write over."
    assert {p.name for p in out.iterdir()} == {*left_in(out)}

def files(out): return {p: p.read_bytes() for p in out.rglob('*') if p.is_file()}

def refused(out, f, *words):
    "One line with these words, and the folder as it was."
    was = files(out)
    with pytest.raises(ValueError) as e: f()
    assert '\n' not in str(e.value) and all(w in str(e.value) for w in words), e.value
    assert files(out) == was

# ---- the pictures of a run, by content

def test_other_pictures_of_the_same_names_and_bytes_are_refused(tmp_path):
    "All four learners; a list of an older run, without hashes, still goes on."
    a, b, out = folder(tmp_path/'a'), folder(tmp_path/'b', 1), tmp_path/'sr'
    assert [p.stat().st_size for p in sorted(a.iterdir())] == [p.stat().st_size for p in sorted(b.iterdir())]
    with pytest.raises(KeyboardInterrupt): train(ALONE, a, out, progress=False, device='cpu', cbs=[StopAfter(2, 'pretrain')])
    go = lambda source: train(ALONE, source, out, resume=True, progress=False, device='cpu')
    refused(out, lambda: go(b), f'{out}: a run on other pictures', 'training: 3 of other content (1.bmp, 9,054 bytes, ...)',
            'held_out: 1 of other content (0.bmp, 9,054 bytes)')
    listed = (out/'pictures.json').read_text()
    (out/'pictures.json').write_text(re.sub(r'(?<= bytes), [0-9a-f]{16}', '', listed))
    assert 'bytes"' in (out/'pictures.json').read_text()
    assert go(b).table is not None
    (out/'pictures.json').write_text(listed)
    refused(out, lambda: go(b), 'of other content')

def test_other_cats_of_the_same_names_and_bytes_are_refused(tmp_path):
    a, b, out = folder(tmp_path/'a', n=12), folder(tmp_path/'b', 1, n=12), tmp_path/'run'
    r = CatsRecipe('tiny', size=32, bs=4, steps_per_epoch=1, epochs=1, nz=4, nf=2, crit_nf=2)
    train_cats(r, a, out); all_known(out)
    refused(out, lambda: train_cats(r, b, out, resume=True), 'training: 10 of other content (1.bmp', 'held_out: 2 of other content (0.bmp')

def test_a_run_that_lost_its_recipe_is_not_written_over(tmp_path):
    "What it has made would go on under another run's name, or be lost."
    a, b, out = folder(tmp_path/'a'), folder(tmp_path/'b', 1), tmp_path/'sr'
    train(ALONE, a, out, progress=False, device='cpu')
    (out/'recipe.json').unlink()
    for resume in True, False: refused(out, lambda: train(ALONE, b, out, resume=resume, progress=False, device='cpu'), f'{out} holds checkpoints, generator.')
    rmtree(out/'checkpoints')
    refused(out, lambda: train(ALONE, b, out, progress=False, device='cpu'), f'{out} holds generator.safetensors, which')

def test_finished_cats_without_their_checkpoints_are_not_written_over(tmp_path):
    a, out = folder(tmp_path/'a', n=12), tmp_path/'run'
    r = CatsRecipe('tiny', size=32, bs=4, steps_per_epoch=1, epochs=1, nz=4, nf=2, crit_nf=2)
    train_cats(r, a, out)
    rmtree(out/'checkpoints')
    for resume in True, False: refused(out, lambda: train_cats(r, a, out, resume=resume), f'{out} holds generator.safetensors, which')
    (out/'generator.safetensors').unlink()                     # stopped before its first checkpoint: nothing to lose
    train_cats(r, a, out)

def test_other_classes_of_the_same_names_and_bytes_are_refused(tmp_path):
    a, b = (folder(folder(tmp_path/k, s, names='cat/{}.bmp'), s + 9, names='dog/{}.bmp') for k, s in (('a', 0), ('b', 1)))
    r, out = ClassifierRecipe('tiny', size=32, bs=4, epochs=1, body='toynet-random', classes=('cat', 'dog')), tmp_path/'run'
    train_classifier(r, a, out); all_known(out)
    refused(out, lambda: train_classifier(r, b, out, resume=True), 'training: ', 'of other content')

def test_any_list_is_kept_by_content(tmp_path):
    "What students and packed faces hand over: files, and arrays, which are known by their bytes."
    a, x = folder(tmp_path/'a')/'0.bmp', np.zeros((3, 8, 8), np.uint8)
    keep_pictures(tmp_path/'r', False, 'srgan-train', training=[a, x])
    keep_pictures(tmp_path/'r', True, 'srgan-train', training=[a, x])
    refused(tmp_path/'r', lambda: keep_pictures(tmp_path/'r', True, 'srgan-train', training=[a, x + 1]), '1 gone (picture 1, 3 x 8 x 8, ')
    a.write_bytes(a.read_bytes()[:-1] + b'!')
    refused(tmp_path/'r', lambda: keep_pictures(tmp_path/'r', True, 'srgan-train', training=[a, x]), '1 of other content (0.bmp, 9,054 bytes)')

# ---- what is in the pictures, and which folder is meant

def half_clear(path, names, n=1):
    "The same folder, with `n` pictures through which a ground can be seen, and one whose alpha hides nothing."
    noise = np.random.default_rng(7).integers(0, 256, (50, 60, 3), np.uint8)
    for i, alpha in enumerate([90]*n + [255]):
        Image.fromarray(np.dstack([noise + i, np.full((50, 60), alpha, np.uint8)])).save(path/names.format(f'clear{i}'))
    return path

def test_transparent_pictures_are_told(tmp_path, capsys):
    "Once, at the start, by all that train; a picture whose alpha hides nothing is as good as any."
    a = half_clear(folder(tmp_path/'a'), '{}.png', 2)
    with pytest.warns(UserWarning, match='^2 of 7 pictures have transparent pixels, and are trained on as if opaque: clear[01].png, clear[01].png; put'):
        train(ALONE, a, tmp_path/'sr', progress=False, device='cpu')
    with pytest.warns(UserWarning, match='2 of 10 pictures'): train(ALONE, folder(tmp_path/'b', 1, 3), tmp_path/'valid', valid=a, progress=False, device='cpu')
    assert check_source(a, ALONE, cost=lambda *_: {}, as_json=False) == 0
    assert '2 with transparent pixels, trained on as if opaque: clear0.png, clear1.png' in capsys.readouterr().out
    cats = CatsRecipe('tiny', size=32, bs=4, steps_per_epoch=1, epochs=1, nz=4, nf=2, crit_nf=2)
    with pytest.warns(UserWarning, match='^1 of 14 pictures have'): train_cats(cats, half_clear(folder(tmp_path/'c', n=12), '{}.png'), tmp_path/'cats')
    kinds = folder(folder(tmp_path/'k', 3, names='cat/{}.bmp'), 4, names='dog/{}.bmp')
    half_clear(kinds, 'dog/{}.png')
    r = ClassifierRecipe('tiny', size=32, bs=4, epochs=1, body='toynet-random', classes=('cat', 'dog'))
    with pytest.warns(UserWarning, match='^1 of [0-9]+ pictures have transparent'): train_classifier(r, kinds, tmp_path/'classes')

def test_held_out_pictures_that_are_too_small_are_called_so(tmp_path):
    rv = folder(tmp_path/'rv', n=2, size=(20, 20))
    refused(tmp_path, lambda: sr_dls('embedded', ALONE, valid=rv), f'no held-out picture is as large as the {ALONE.size} x {ALONE.size} px crop', str(rv/'0.bmp'))
    Image.new('RGB', (64, 64)).save(rv/'large.png')
    with pytest.warns(UserWarning, match=f'^2 of 3 held-out pictures are smaller than .* left out: {rv}/0.bmp'): sr_dls('embedded', ALONE, valid=rv)

@pytest.mark.parametrize('command', [True, False])
def test_a_run_that_is_stopped_names_no_class(command, tmp_path, monkeypatch, capsys):
    "Someone at a command line has options, and no callbacks; before a run keeps anything, nothing is promised."
    monkeypatch.setattr('srgan_course.kit.checkpoints.is_cli', lambda: command)
    dls = sr_dls('embedded', ALONE, device='cpu')
    def stopped(*cbs):
        with pytest.raises(KeyboardInterrupt): build(ALONE).phases['pretrain'].learner(dls, cbs=[StopAfter(2, 'pretrain'), *cbs]).fit(1)
    stopped()
    assert ''.join(capsys.readouterr()) == 'stopped after step 2 (test): no checkpoint was kept\n'
    stopped(SaveEvery(tmp_path))
    assert ('go on: the same command (--resume, if it has it)\n' if command else f"learn.resume('{tmp_path}')") in (said := capsys.readouterr()[command]), said

# ---- held-out pictures that are trained on

def spellings(tmp_path):
    "A folder of training pictures, and ways to give it again as the held-out ones."
    a = folder(tmp_path/'a')
    (tmp_path/'link').symlink_to(a); (tmp_path/'copy').mkdir()
    for i, p in enumerate(sorted(a.iterdir())): (tmp_path/'copy'/f'other{i}.bmp').write_bytes(p.read_bytes())
    return a, [a, f'{a}/../a/', tmp_path/'link', tmp_path/'copy']

def test_held_out_pictures_that_are_trained_on_are_told(tmp_path):
    a, ways = spellings(tmp_path)
    lines = []
    for i, valid in enumerate(ways):
        with pytest.warns(UserWarning, match=r'^4 of 4 held-out pictures are trained on as well \(\w+.bmp, ...\), so the figures are too good$'):
            res = train(ALONE, a, tmp_path/f'r{i}', valid=valid, progress=False, device='cpu')
        lines.append(res.said)
        assert json.loads((tmp_path/f'r{i}'/'results.json').read_text())['said'] == res.said
        assert res.said in (tmp_path/f'r{i}'/'generator.md').read_text()
    assert all('4 of 4 held-out pictures are trained on as well' in l for l in lines)

def test_a_copy_in_another_format_is_told(tmp_path, recwarn):
    "A held-out picture that is trained on as JPEG, in half its size or mirrored is no equal file; at the start it is told all the same."
    from srgan_course.data import Pictures, sample_photos
    from srgan_course.kit.lists import look_alikes
    a, held = tmp_path/'a', tmp_path/'held'; a.mkdir(); held.mkdir()
    for k, im in sample_photos('train').items(): im.resize((im.width//4, im.height//4)).save(a/f'{k}.png')
    for k, im in sample_photos('valid').items(): im.resize((im.width//4, im.height//4)).save(held/f'{k}.png')
    files, new = sorted(a.iterdir()), len([*held.iterdir()]); rocket = Image.open(a/'rocket.png')
    rocket.save(held/'copy.jpg', quality=50)
    train(ALONE, a, tmp_path/'run', valid=held, progress=False, device='cpu')
    line = f'1 of {new + 1} held-out pictures looks nearly like one that is trained on (copy.jpg like rocket.png), so the figures may be too good'
    assert [str(w.message) for w in recwarn if 'trained on' in str(w.message)] == [line]
    rocket.resize((rocket.width//2, rocket.height//2), Image.Resampling.BOX).save(tmp_path/'half.png')
    rocket.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path/'mirror.png')
    for keep_mb in 2048, 0:
        pics = lambda *o: Pictures(o, ALONE, keep_mb=keep_mb)
        assert look_alikes(pics(*files), pics(tmp_path/'half.png', tmp_path/'mirror.png')).startswith('2 of 2 held-out pictures look ')
        assert look_alikes(pics(*files), pics(*files)) == ''                # equal files: `trained_on` tells

def test_parts_of_a_source_that_overlap_are_told(tmp_path, recwarn):
    a, b = folder(tmp_path/'a'), folder(tmp_path/'b', 1)
    with pytest.warns(UserWarning, match='1 of 1 held-out picture is trained on as well'):
        train(ALONE, f'{a}+{a}', tmp_path/'twice', progress=False, device='cpu')
    recwarn.clear()
    res = train(ALONE, f'{a}+{b}', tmp_path/'two', progress=False, device='cpu')
    assert 'trained on' not in res.said and not [w for w in recwarn if 'trained on' in str(w.message)]

def test_it_is_a_line_of_the_command(tmp_path):
    ALONE.save(tmp_path/'tiny.json'); a = folder(tmp_path/'a')
    r = fork('train', '--recipe', tmp_path/'tiny.json', '--data', a, '--valid', a, '--out', tmp_path/'run', '--device', 'cpu')
    assert r.returncode == 0 and r.stderr.strip() == ('srgan-train: 4 of 4 held-out pictures are trained on as well (0.bmp, ...), so the '
                                                      'figures are too good'), r.stderr
    assert 'the figures are too good' in r.stdout

# ---- every number of every recipe

CLASSES = Recipe, SRGANRecipe, CatsRecipe, ClassifierRecipe, RecogniseRecipe
OFFERED = {'scale', 'channels', 'kernel'}            # numbers of a few values, which an error lists

def numbers(): return [(c, f.name) for c in CLASSES for f in fields(c) if f.type in (int, float) and f.name not in OFFERED]

@pytest.mark.parametrize('cls', CLASSES)
def test_named_recipes_are_in_their_ranges(cls):
    for r in named_recipes(cls).values(): assert cls.from_json(r.to_json()) == r

@pytest.mark.parametrize('cls, name', numbers(), ids=lambda v: getattr(v, '__name__', v))
def test_numbers_of_a_recipe_have_an_end(cls, name, tmp_path):
    "Below, above, nan and infinite: refused by name from a JSON file, by whatever check comes first."
    least, most, *above = cls.ranges[name]
    bad = [least - 1, most*2 + 1, 'NaN', 'Infinity', '-Infinity', 'null', 'true', '"1"'] + ([least] if above else [])
    for v in bad:
        (tmp_path/'r.json').write_text(f'{{"{name}": {v}}}')
        with pytest.raises(ValueError) as e: cls.load(tmp_path/'r.json')
        assert name in str(e.value) and '\n' not in str(e.value), (v, e.value)

def test_what_forks_and_what_fills_memory_has_an_end():
    "100,000 workers are refused where the recipe is made: nothing is started."
    for kw, says in (({'workers': 65}, 'workers is 65; give a number from 0 to 64'), ({'bs': 2**16, 'size': 96}, 'bs x size x size is'),
                     ({'bs': 2**16, 'steps_per_epoch': 1000, 'size': 4}, 'bs x steps_per_epoch is')):
        with pytest.raises(ValueError, match=says): SRGANRecipe(**kw)
    with pytest.raises(ValueError, match='nf x nf x n_blocks is 67108864; give a number from 0 to 4,194,304'): SRGANRecipe(nf=1024, n_blocks=64)
    with pytest.raises(ValueError, match='nf x nf x n_blocks is'): RecogniseRecipe(nf=1024, n_blocks=64)
    with pytest.raises(ValueError, match='critic_nf x size x size is'): SRGANRecipe(size=1024, bs=1, critic='SRGANCritic', critic_nf=64)
    with pytest.raises(ValueError, match='toys is'): CatsRecipe(toys=10**6)
    from srgan_course import deploy
    with pytest.raises(ValueError, match='workers is 100000; give a number from 1 to'): deploy.scale(ROOT, out=ROOT/'none', workers=100_000)
    assert not (ROOT/'none').exists()

@pytest.mark.parametrize('settings, says', [
    (dict(pre_lr=-1.), 'pre_lr is -1.0; give a number above 0'), (dict(save_every=-3), 'save_every is -3'), (dict(gan_lr=0.), 'gan_lr is 0.0'),
    (dict(pre_loss='huber'), "pre_loss 'huber' is not in (mse, l1, charbonnier)"), (dict(feature_loss='l3'), "feature_loss 'l3' is not in"),
    (dict(late=.5, late_size=64, late_loss='huber'), "late_loss 'huber' is not in"), (dict(tv=-1.), 'tv is -1.0')])
def test_a_bad_recipe_makes_no_folder(settings, says, tmp_path):
    (tmp_path/'r.json').write_text(json.dumps(json.loads(TINY.to_json()) | settings))
    with pytest.raises(ValueError) as e: cli.train(str(tmp_path/'r.json'), data='pets-toy', out=tmp_path/'run')
    assert says in str(e.value) and str(tmp_path/'r.json') in str(e.value) and not (tmp_path/'run').exists()

@pytest.mark.parametrize('text, says', [
    ('{"scale": "4"}', "scale is the text '4'; give a whole number"), ('{"bs": 4.5}', 'bs is 4.5; give a whole number'),
    ('{"bs": true}', 'bs is True; give a whole number'), ('{"augment": 1}', 'augment is 1; give True or False'), ('{"name": null}', 'name is None; give text'),
    ('{"size": 56, "size": 64}', "not JSON that is read here ('size' stands in it twice)"), ('{"feature_net": "foo"}', "feature net 'foo' is not of the form"),
    ('{"feature_net": "vgg19-random@relu9_9"}', "has no layer 'relu9_9'"), ('{"sice": 56}', "a recipe has no field 'sice'")])
def test_a_recipe_that_is_not_meant_is_one_line(text, says, tmp_path):
    "Whatever the pictures: none is read."
    (tmp_path/'r.json').write_text(text)
    for kw in dict(out=tmp_path/'run'), dict(check=str(tmp_path/'nowhere')):
        with pytest.raises(ValueError) as e: cli.train(str(tmp_path/'r.json'), **kw)
        assert f'{tmp_path/"r.json"}: ' in str(e.value) and says in str(e.value) and '\n' not in str(e.value)
    assert [p.name for p in tmp_path.iterdir()] == ['r.json']

def test_a_whole_number_may_be_written_with_a_point():
    r = SRGANRecipe.from_json('{"scale": 4.0, "bs": 8.0, "pre_lr": 1}')
    assert (r.scale, r.bs, r.pre_lr) == (4, 8, 1.) and [type(v) for v in (r.scale, r.bs, r.pre_lr)] == [int, int, float]

def test_labels_that_name_a_folder_twice_are_refused(tmp_path):
    (tmp_path/'labels.json').write_text('{"n01440764": "tench", "n01443537": "goldfish", "n01440764": "goldfish"}')
    with pytest.raises(ValueError, match="labels.json is not JSON that is read here .'n01440764' stands in it twice"): read_labels(tmp_path/'labels.json')

@pytest.mark.parametrize('settings', [dict(shift=20, soften=0), dict(critic='UNetCritic', shift=0, soften=0, size=36),
                                      dict(size=16, bs=1, shift=0, soften=0)])
def test_patches_that_the_critic_cannot_judge_make_no_folder(settings, tmp_path):
    "They were found when pretraining was over."
    a, r = folder(tmp_path/'a'), TINY.replace(**settings)
    refused(tmp_path, lambda: train(r, a, tmp_path/'run', progress=False, device='cpu'),
            f'patches of {r.size} px, {r.bs} at a time', r.critic, 'give another size')
    assert not (tmp_path/'run').exists()

@pytest.mark.parametrize('settings, says', [(dict(network='UNet'), "network 'UNet' is not in"), (dict(precision='float31'), 'float31'),
    (dict(logits=0.), 'give one a weight'), (dict(valid=.6, test=.6), 'sum is below 1'), (dict(start='nowhere'), 'nowhere'),
    (dict(feature=1., feature_net=''), 'no feature_net is named')])
def test_a_bad_student_makes_no_folder(settings, says, tmp_path):
    (tmp_path/'r.json').write_text(json.dumps(json.loads(named_recipes(RecogniseRecipe)['quick'].to_json()) | settings))
    with pytest.raises((ValueError, OSError)) as e: cli.recognise(train='pets-toy', recipe=str(tmp_path/'r.json'), out=tmp_path/'run')
    assert says in str(e.value) and not (tmp_path/'run').exists()

# ---- pictures that need a package

@pytest.mark.parametrize('suffix, package, pip', [('.heic', 'pillow_heif', 'pillow-heif'), ('.jxl', 'pillow_jxl', 'pillow-jxl-plugin')])
def test_heic_and_jpeg_xl_are_trained_on(suffix, package, pip, tmp_path, monkeypatch):
    "Where the package is installed; else the line says which one is missing."
    pytest.importorskip(package)
    from srgan_course.images import save_image
    (tmp_path/'a').mkdir()
    for i, p in enumerate(sorted(folder(tmp_path/'b').iterdir())): save_image(Image.open(p), tmp_path/'a'/f'{i}{suffix}')
    with monkeypatch.context() as m:
        m.delitem(Image.OPEN, dict(pillow_heif='HEIF', pillow_jxl='JXL')[package]); m.setitem(sys.modules, package, None)
        with pytest.raises(ValueError, match=f'a/1{suffix}: .*for which a package is missing; pip install {pip}'): sr_dls(tmp_path/'a', ALONE)
    x, y = sr_dls(tmp_path/'a', ALONE).one_batch()
    assert x.shape == (2, 3, 8, 8) and y.shape == (2, 3, 32, 32)

# ---- empty arguments

EMPTY = [('train', ['--out', '']), ('train', ['--data', '']), ('train', ['--valid', '']), ('train', ['--recipe=']), ('train', ['--check', '']),
         ('upscale', ['a.png', '--model', '']), ('upscale', ['--manifest', '']), ('evaluate', ['--data', '']), ('evaluate', ['--result=']),
         ('models', ['--export', '']), ('classify', ['--train', '']), ('classify', ['--model', '', 'a.png']), ('recognise', ['--evaluate', '']),
         ('fid', ['', 'b']), ('upscale', ['', 'b.png']), ('fid', ['a', '']), ('fid', ['a', 'b', '--cache', '']), ('cats', ['--out', '']), ('cats', ['--train', '']),
         ('demo', ['--out', '']), ('lessons', ['--to', '']), ('scale', ['x', '--out', '']), ('serve', ['--host', '']), ('serve', ['--token', ''])]

@pytest.mark.parametrize('name, args', EMPTY, ids=lambda v: v if isinstance(v, str) else ' '.join(v))
def test_empty_arguments_are_one_line(name, args, tmp_path, monkeypatch, capsys):
    "As a path, '' is the folder we are in; as a token, none."
    from fastcore.script import _run_cli
    from srgan_course import deploy
    monkeypatch.chdir(tmp_path)
    for k in 'argv', 'orig_argv': monkeypatch.setattr(sys, k, [f'srgan-{name}', *args])
    f = getattr(cli, name, None) or getattr(deploy, name)
    with pytest.raises(SystemExit) as e: _run_cli(f.__wrapped__, False, ['b'] if name == 'fid' else None)
    err = capsys.readouterr().err
    assert e.value.code == 2 and err.count('\n') == 1 and err.startswith(f'srgan-{name}: ') and 'is empty; give something' in err, err
    assert not list(tmp_path.iterdir())

def test_empty_arguments_of_a_process(tmp_path):
    one_line(fork('train', '--out', '', cwd=tmp_path), 'srgan-train: what stands after --out is empty; give something, or leave it out')
    one_line(fork('upscale', '', cwd=tmp_path), 'an argument is empty')
    one_line(fork('train', '--data', 'embedded+', cwd=tmp_path), "'embedded+' has an empty part")
    assert not list(tmp_path.iterdir())

def test_first_of_several_frames_is_said(tmp_path, capsys):
    "Where a run begins, in the look before it, and where pictures are named: once for all files, and nothing where each holds one."
    from srgan_course.kit.classifiers import classify_files
    from srgan_course.kit.frames import open_first
    from srgan_course.kit.inspect import check_source
    from srgan_course.kit.sources import Smaller
    one, film = [Image.fromarray(np.random.default_rng(i).integers(0, 256, (80, 80, 3)).astype(np.uint8)) for i in (0, 1)]
    one.save(tmp_path/'a.png'); one.save(tmp_path/'f.gif', save_all=True, append_images=[film])
    files, said = [tmp_path/'a.png', tmp_path/'f.gif'], rf'^the first frame or page alone is read of {tmp_path}/f.gif \(2\)$'
    clf = SimpleNamespace(size=32, classes=['x', 'y'], probs=lambda x: np.array([[.4, .6]]))
    ways = (lambda f: keep_pictures(tmp_path/'run', False, 'srgan-train', training=[*f, *[Smaller(p, .5) for p in f]], held_out=f[:1]),
            lambda f: check_source(f, ALONE, files[:1], lambda *_: {}, True), lambda f: classify_files(clf, f), lambda f: open_first(f[-1]))
    for way in ways:
        with pytest.warns(UserWarning, match=said) as seen: way(files)
        assert len(seen) == 1
        with warnings.catch_warnings(): warnings.simplefilter('error'); way(files[:1])

# ---- whose folder it is

def test_a_demo_deletes_and_continues_only_a_demo(tmp_path):
    from srgan_course.demo import clear_run, demo
    mine = {'results.json': '{"figures": 1}', 'curves.png': 'mine', 'thesis.txt': 'mine'}
    for name, text in mine.items(): (tmp_path/name).write_text(text)
    (tmp_path/'checkpoints').mkdir(); (tmp_path/'checkpoints'/'mine.txt').write_text('mine')
    for fresh in False, True:
        with pytest.raises(ValueError, match='holds results.json, checkpoints, curves.png, and no demo; give another folder'):
            demo(tmp_path, fresh=fresh, progress=False)
    assert {n: (tmp_path/n).read_text() for n in mine} == mine and (tmp_path/'checkpoints'/'mine.txt').exists()
    run = tmp_path/'run'                                              # a run of srgan-train is no demo either
    keep_pictures(run, False, 'srgan-train', training=[]); (run/'recipe.json').write_text('{"name": "quick"}')
    with pytest.raises(ValueError, match='and no demo'): demo(run, fresh=True, progress=False)
    (run/'recipe.json').write_text('{"name": "demo"}'); (run/'thesis.txt').write_text('mine'); clear_run(run)
    assert [p.name for p in run.iterdir()] == ['thesis.txt']

def test_no_command_writes_over_the_run_of_another(tmp_path):
    from srgan_course.kit.classifier_runs import open_run
    keep_pictures(tmp_path, False, 'srgan-recognise', training=[], held_out=[])
    was = (tmp_path/'pictures.json').read_bytes()
    wanted = 'pictures.json: this folder holds a run of srgan-recognise; give another folder'
    few = get_recipe('quick', CatsRecipe).replace(toys=12)
    for begin in (lambda: train(ALONE, 'embedded', tmp_path, device='cpu', progress=False), lambda: train_cats(few, 'toy', tmp_path, device='cpu'),
                  lambda: open_run(tmp_path, ClassifierRecipe('mine'), SimpleNamespace(classes=[], train=[], valid=[]))):
        with pytest.raises(ValueError, match=wanted): begin()
    assert [p.name for p in tmp_path.iterdir()] == ['pictures.json'] and (tmp_path/'pictures.json').read_bytes() == was

def test_held_out_pictures_of_one_colour_are_left_out_or_refused(tmp_path):
    "PSNR is infinite on them, and a ledger holds finite figures: a run would end without its results."
    train_on, held = folder(tmp_path/'a', n=3), folder(tmp_path/'held', seed=1, n=1)
    Image.new('RGB', (60, 50), (9, 8, 7)).save(held/'flat.png')
    with pytest.warns(UserWarning, match='1 of 2 held-out pictures is of one colour.*[(]flat[)]: not measured'):
        res = train(ALONE, train_on, tmp_path/'run', valid=held, device='cpu', progress=False)
    assert json.loads((tmp_path/'run'/'results.json').read_text())['n'] == 1 and np.isfinite(res.table.psnr).all()
    (held/'0.bmp').unlink()
    with pytest.raises(ValueError, match='every held-out picture is of one colour.*give others [(]--valid[)]'):
        train(ALONE, train_on, tmp_path/'other', valid=held, device='cpu', progress=False)
    assert not (tmp_path/'other').exists()                            # nor is there a run that is begun

def test_held_out_pictures_too_small_to_be_measured_are_left_out_or_refused(tmp_path):
    "SSIM looks at 11 pixels and more: it would be told after the last step. The look before a run says so, too."
    small, held = ALONE.replace(size=16, pre_size=16), folder(tmp_path/'held', n=1, size=(17, 19), names='t{}.png')
    recipe, a = tmp_path/'r.json', folder(tmp_path/'a', n=3); small.save(recipe)
    line = 'every held-out picture is under 20 x 20 px, which SSIM needs (t0); give others (--valid)'
    with pytest.raises(ValueError, match=re.escape(line)): train(small, a, tmp_path/'run', valid=held, device='cpu', progress=False)
    with pytest.raises(ValueError, match=re.escape(line)): cli.train(str(recipe), check=str(a), valid=str(held), device='cpu')
    assert not (tmp_path/'run').exists()
    folder(held, n=1, names='u{}.png')
    with pytest.warns(UserWarning, match='1 of 2 held-out pictures is under 20 x 20 px, which SSIM needs [(]t0[)]: not measured'):
        train(small, a, tmp_path/'run', valid=held, device='cpu', progress=False)
    assert json.loads((tmp_path/'run'/'results.json').read_text())['n'] == 1

def test_a_damaged_picture_is_found_before_the_first_step(tmp_path):
    "And not when a patch of it is drawn, hours later, in a run that cannot go on without it; also where not all can be kept in memory."
    bad = folder(tmp_path/'a', names='{}.png')/'3.png'; bad.write_bytes(bad.read_bytes()[:5000])
    for keep_mb in 2048, 0:
        pics = sr_dls(tmp_path/'a', ALONE, keep_mb=keep_mb, device='cpu').train_ds.items[0].pics
        with pytest.raises(ValueError, match='3.png: damaged'): pics.load(all=True)
    with pytest.raises(ValueError, match='3.png: damaged'): train(ALONE, tmp_path/'a', tmp_path/'run', device='cpu', progress=False)
    assert not (tmp_path/'run').exists()

def test_a_batch_that_processes_cannot_share_is_refused_before_a_run_is_begun(tmp_path, monkeypatch):
    "Or the right number would be refused, in a folder that holds a run. What a callback says is said without the code's name for it."
    from fastai.callback.core import Callback
    from srgan_course.kit import distributed, runs
    class Refuse(Callback):
        def before_fit(self): raise ValueError('give another')
    with pytest.raises(ValueError, match='^give another$'):
        build(ALONE).phases['pretrain'].learner(sr_dls(folder(tmp_path/'a'), ALONE, device='cpu'), cbs=[Refuse()]).fit(1)
    monkeypatch.setattr(distributed, 'world', lambda: 2)
    monkeypatch.setattr(runs, 'told', lambda f: f())                  # as in each of the two
    for begin in (lambda: train(ALONE.replace(bs=5), tmp_path/'a', tmp_path/'run', device='cpu'),
                  lambda: train_cats(CatsRecipe('mine', size=32, bs=5, toys=12), 'toy', tmp_path/'cats', device='cpu'),
                  lambda: train_classifier(get_recipe('quick', ClassifierRecipe).replace(bs=5), out=tmp_path/'clf', device='cpu'),
                  lambda: train_recognise(get_recipe('quick', RecogniseRecipe).replace(bs=5), out=tmp_path/'student')):
        with pytest.raises(ValueError, match='a batch of 5 is not shared evenly by 2 processes; give bs=4'): begin()
    assert [p.name for p in tmp_path.iterdir()] == ['a']

@pytest.mark.parametrize('begin', [lambda a, out: train(ALONE, a, out, device='cpu', progress=False), lambda a, out: train_cats('quick', a, out, device='cpu'),
                                   lambda a, out: train(ALONE, f'embedded+{a}', out, device='cpu', progress=False),
                                   lambda a, out: train_classifier('quick', a, out, device='cpu'), lambda a, out: train_recognise('quick', a, out)])
def test_a_run_does_not_go_into_the_folder_of_its_pictures(begin, tmp_path, monkeypatch):
    "What it leaves would be more pictures, and the run could not be gone on with."
    a = folder(tmp_path/'a'); monkeypatch.chdir(a)
    for source, out in (a, a/'run'), ('.', 'run'), (str(a), tmp_path/'b'/'..'/'a'):
        with pytest.raises(ValueError, match=f'{re.escape(str(out))} lies in .*, whose pictures are trained on'): begin(source, out)
    assert len(files(tmp_path)) == 4
    monkeypatch.setenv('SRGAN_DATA', str(tmp_path)); monkeypatch.chdir(tmp_path.parent)
    with pytest.raises(ValueError, match='a, whose pictures are trained on'): begin('a', tmp_path/'a'/'run')
    assert len(files(tmp_path)) == 4
    for part in 'train', 'valid': (tmp_path/'split'/part).mkdir(parents=True)     # there, other folders hold none of its pictures
    assert run_folder(tmp_path/'split'/'run', 8, tmp_path/'split') == tmp_path/'split'/'run'
    with pytest.raises(ValueError, match='split/train, whose'): run_folder(tmp_path/'split'/'train', 8, tmp_path/'split')

def test_a_list_of_pictures_is_no_folder(tmp_path):
    "A run may lie beside the pictures that were named one by one, and goes on."
    for resume in False, True: train(ALONE, sorted(folder(tmp_path).glob('*.bmp')), tmp_path/'run', resume, device='cpu', progress=False)

@pytest.mark.parametrize('name', ['bicubic', 'nearest'])
def test_a_recipe_takes_the_place_of_no_other_row(name, tmp_path):
    "Figures of the network under the name of an interpolation, and a gain of 0 over it, would be untrue."
    res = train(ALONE.replace(name=name), 'embedded', tmp_path/'run', device='cpu', progress=False)
    assert [*res.table.index] == ['nearest', 'bicubic', f'{name} (trained)'] and res.table.psnr['bicubic'] > res.table.psnr['nearest'] + .5
    assert f'{name} (trained): ' in res.said and '+0.00 dB' not in res.said

def test_nor_does_a_game_that_of_its_start(tmp_path):
    start = train(ALONE, 'embedded', tmp_path/'a', device='cpu', progress=False).out/'generator.safetensors'
    game = TINY.replace(pre_epochs=0, start=str(start.rename(tmp_path/'SRGAN.safetensors')))
    res = train(game, 'embedded', tmp_path/'b', device='cpu', progress=False)
    assert [*res.table.index] == ['nearest', 'bicubic', 'SRGAN', 'SRGAN (trained)'] and res.said.startswith('SRGAN (trained): ')

def test_a_classifier_that_answers_with_nan_is_refused(tmp_path, monkeypatch, capsys):
    "Its weights may be what their checksum says, and no numbers."
    import torch
    from srgan_course.kit.classifiers import Classifier, body, classify_files, teacher
    clf = Classifier(body('toynet-random'), ['cat', 'dog'], size=32); a = folder(tmp_path/'a', n=1)
    with torch.no_grad(): clf.head[-1].weight.fill_(torch.nan)
    line = 'an answer of .* with NaN or infinite values names no class; give another model'
    with pytest.raises(ValueError, match=line): classify_files(clf, [a])
    with pytest.raises(ValueError, match=line): teacher(clf).guesses(Image.new('RGB', (32, 32)))

def test_what_a_command_says_of_a_run_is_not_among_its_json(tmp_path, monkeypatch, capsys):
    "A stop, a damaged checkpoint, other circumstances, a history with a gap: to the standard error, where no JSON is read from."
    for room in 'kit.checkpoints', 'watching': monkeypatch.setattr(f'srgan_course.{room}.is_cli', lambda: True)
    out = tmp_path/'run'
    with pytest.raises(KeyboardInterrupt): train(ALONE, 'embedded', out, device='cpu', progress=False, cbs=[StopAfter(2, 'pretrain')])
    (at := out/'checkpoints'/'pretrain'/'step-00000009.safetensors').write_bytes(b'damaged')
    monkeypatch.setattr('srgan_course.kit.checkpoints.Resumable._circumstances', lambda self: {'torch': '9'})
    (out/'history_pretrain.csv').unlink()
    train(ALONE, 'embedded', out, True, device='cpu', progress=False)
    said = capsys.readouterr()
    assert said.out == '' and all(w in said.err for w in ('stopped after step 2', f'{at}: ', 'not to the last bit', 'goes on with a gap'))

def test_a_long_student_keeps_more_checkpoints_than_rows(tmp_path, monkeypatch):
    "Of 40,000 steps a kill would cost up to 10,000."
    import torch
    from srgan_course.kit import epochs
    kept, x = [], epochs.PairBatches(torch.zeros(2, 3, 12, 12, dtype=torch.uint8), lambda x, s: x[:, :, ::s, ::s], 1, 1)
    monkeypatch.setattr(epochs, 'SaveEvery', lambda folder, steps: kept.append(steps) or SaveEvery(folder, steps))
    for every in 10_000, 20:
        net = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), torch.nn.Upsample(scale_factor=3))
        epochs.learn_steps(net, x, torch.nn.functional.l1_loss, 1e-3, every, folder=tmp_path/str(every))
    assert kept == [500, 20]

def test_seconds_of_a_classifier_are_those_of_all_sessions(tmp_path, monkeypatch):
    from srgan_course.kit.runs import Clock
    monkeypatch.setattr(Clock, 'to_save', lambda self: ({}, {'seconds': 1000.}))
    r = ClassifierRecipe('mine', size=32, bs=4, epochs=1, body='toynet-random', unfreeze=1)
    for k in 'ab': folder(tmp_path/'data'/k, ord(k), size=(40, 40))
    took = lambda n, resume: train_classifier(r.replace(unfreeze=n), tmp_path/'data', tmp_path/'run', resume).seconds
    assert took(1, False) < 1000 < took(2, True) and json.loads((tmp_path/'run'/'results.json').read_text())['seconds'] > 1000

def test_what_a_game_leaves_is_written_over_by_no_other_run(tmp_path):
    train(TINY, folder(tmp_path/'a'), tmp_path/'run', device='cpu', progress=False); all_known(tmp_path/'run')

def test_a_metric_of_several_numbers_is_left_out_of_tensorboard(tmp_path, monkeypatch):
    import gan_runs as R
    from fastai.callback.core import Callback
    from fastai.metrics import AvgMetric
    from srgan_course.kit.checkpoints import Resumable
    from srgan_course.kit.runs import tensorboard
    from srgan_course.losses import ContentLoss
    seen = {}
    class Theirs(Callback):                                              # in the place of fastai's, which needs the package
        def __init__(self, *args, **kwargs): self.writer = SimpleNamespace(add_scalar=lambda k, v, n: seen.update({k: v}))
    monkeypatch.setitem(sys.modules, 'fastai.callback.tensorboard', SimpleNamespace(TensorBoardCallback=Theirs))
    def each(out, y): return (out - y).abs().mean((0, 2, 3))
    def worst(out, y): return (out - y).abs().max()
    learn = Resumable(R.tiny_dls(), R.TinyGenerator(), ContentLoss('l1'), precision='float32', cbs=tensorboard(tmp_path),
                      metrics=[AvgMetric(each), AvgMetric(worst)])
    with learn.no_bar(), learn.no_logging(): learn.fit(1)
    assert {'loss', 'lr', 'valid_loss', 'valid_worst'} <= seen.keys() and 'valid_each' not in seen

def test_a_recipe_that_notepad_has_saved(tmp_path):
    "It begins with a byte order mark."
    r = ALONE.replace(name='mine')
    (tmp_path/'r.json').write_text(r.to_json(), encoding='utf-8-sig')
    assert type(r).load(tmp_path/'r.json') == r
