"The commands as real processes: help, results, exit codes, one line for each error, and nothing half written."
import importlib.util, json, os, shutil, signal, subprocess, sys, time
from pathlib import Path
import pytest
from fastcore.script import anno_parser
from PIL import Image
from conftest import ROOT
from forked import Forked, command

OPTIONS = dict(demo='out fresh json', upscale='model out scale width height format keep-format quality frames no-note tile device again manifest shard json',
               train='recipe data out minutes resume check valid bs size seed device tensorboard recipes json',
               evaluate='model data scale lpips result json', models='export precision convert push pull out json',
               classify='model train evaluate recipe body epochs seed out resume json',
               recognise='model teacher judge evaluate train recipe labels share size steps seed out json',
               fid='features dims kid is draws save-stats n skip cache result json',
               cats='n seed out model truncation interpolate gif train recipe minutes resume device json', lessons='to no-open')
COMMANDS, DEPLOY = list(OPTIONS), ('serve', 'scale')         # the latter stand on the page about deployment
ENV = {**os.environ, 'PYTHONUTF8': '1', 'OMP_NUM_THREADS': '1'}

def run(*args, cwd=None, timeout=300, **env):
    return subprocess.run([sys.executable, '-m', 'srgan_course', *map(str, args)], capture_output=True, text=True, cwd=cwd, timeout=timeout,
                          env={**ENV, **env}, stdin=subprocess.DEVNULL)

def fork(*args, cwd=None, **env):
    "The same without the seconds that importing torch takes."
    return command(*args, cwd=cwd, env={**ENV, **env}, timeout=300)

def one_line(r, *words, code=2):
    "The process ended with `code` and one line on standard error that holds `words`; no traceback."
    assert r.returncode == code, (r.returncode, r.stdout, r.stderr)
    lines = r.stderr.strip().splitlines()
    assert len(lines) == 1, r.stderr
    for w in words: assert str(w) in lines[0], lines[0]

def photo(path, size=(24, 16), **kw):
    im = Image.effect_mandelbrot(size, (-2, -1.2, 1, 1.2), 60).convert('RGB'); im.save(path, **kw); return path

@pytest.mark.parametrize('name', COMMANDS)
def test_help(name):
    "--help answers without importing torch, says what each option is, and the console script is there."
    code = f"""import sys; sys.argv = ['srgan-{name}', '--help']
from srgan_course import cli
from fastcore.script import anno_parser
print(anno_parser(cli.{name}.__wrapped__).format_help()); print([m for m in ('torch', 'fastai', 'PIL', 'matplotlib', 'numpy') if m in sys.modules])"""
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env=ENV)
    assert r.returncode == 0, r.stderr
    assert r.stdout.strip().endswith('[]'), r.stdout[-200:]
    for o in OPTIONS[name].split(): assert f'--{o} ' in r.stdout.replace('\n', ' '), o
    script = Path(sys.executable).parent/f'srgan-{name}'
    assert script.exists() or script.with_suffix('.exe').exists(), f'{script} is not installed'

def test_main_lists_commands():
    r = run(); assert r.returncode == 0 and all(c in r.stdout for c in [*COMMANDS, *DEPLOY])
    one_line(run('upscal'), 'upscal', 'upscale')

def test_page_has_every_command():
    "In the table of the commands' page, as a section of it, and as a script."
    text = '\n'.join(''.join(c['source']) for c in json.loads((ROOT/'nbs'/'cli.ipynb').read_text(encoding='utf-8'))['cells']
                     if c['cell_type'] == 'markdown')
    ini = (ROOT/'settings.ini').read_text(encoding='utf-8')
    for c in [*COMMANDS, *DEPLOY]:
        assert f'| [`srgan-{c}`](#srgan-{c}) |' in text and f'\n## srgan-{c}\n' in f'{text}\n', c
        assert f'srgan-{c} = srgan_course.{"deploy" if c in DEPLOY else "cli"}:{c}' in ini, c

def test_script_itself():
    r = subprocess.run([Path(sys.executable).parent/'srgan-evaluate', '--help'], capture_output=True, text=True, env=ENV)
    assert r.returncode == 0 and '--data' in r.stdout

def test_upscale_one_and_errors(tmp_path):
    src = photo(tmp_path/'a b.jpg')
    r = run('upscale', src, '--out', tmp_path/'big.png', '--json'); assert r.returncode == 0, r.stderr
    d = json.loads(r.stdout)['done'][0]
    assert Image.open(tmp_path/'big.png').size == (96, 64) and d['size'] == [24, 16] and d['model'] == 'light-x4'
    one_line(fork('upscale'), 'no picture given')
    one_line(fork('upscale', tmp_path/'none.jpg'), 'none.jpg', 'no such file')
    one_line(fork('upscale', src, '--model', 'lite-x4'), 'lite-x4', 'light-x4')
    (tmp_path/'bad.png').write_bytes(src.read_bytes()[:150])
    one_line(fork('upscale', tmp_path/'bad.png'), 'bad.png')
    (tmp_path/'pickle.safetensors').write_bytes(b'\x80\x04K\x01.')
    one_line(fork('upscale', src, '--model', tmp_path/'pickle.safetensors'), 'pickle.safetensors')
    (tmp_path/'empty').mkdir(); one_line(fork('upscale', tmp_path/'empty'), 'no picture')
    for d in 'ab': (tmp_path/d).mkdir(); photo(tmp_path/d/'x.png')
    for pair in (('a', 'b'), ('a/x.png', 'b/x.png')):                 # the second would take the place of the first, or be taken for done
        one_line(fork('upscale', *(tmp_path/p for p in pair), '--out', tmp_path/'out'), 'would both become', str(tmp_path/'out'/'x-x4.png'))
    one_line(fork('upscale', src, tmp_path/'a'/'x.png', '--out', 'one.png'), 'one.png is one file, but 2 pictures', 'give a folder')
    for d in 'ab': shutil.rmtree(tmp_path/d)
    assert sorted(p.name for p in tmp_path.iterdir()) == ['a b.jpg', 'bad.png', 'big.png', 'empty', 'pickle.safetensors']

def test_upscale_folder(tmp_path):
    "Bad files are listed, the others finished; the second time nothing is done again."
    src, out = tmp_path/'in', tmp_path/'out'; src.mkdir()
    for i in range(3): photo(src/f'{i}.png')
    (src/'x.jpg').write_bytes(b'not a picture')
    r = run('upscale', src, '--out', out)
    assert r.returncode == 1, r.stderr
    assert len(list(out.rglob('*-x4.*') or out.rglob('*.*'))) == 3 and 'x.jpg' in r.stdout + r.stderr and 'Traceback' not in r.stderr
    times = {p: p.stat().st_mtime_ns for p in out.rglob('*.png')}
    r = run('upscale', src, '--out', out, '--json')
    d = json.loads(r.stdout); assert r.returncode == 1 and len(d['kept']) == 3 and not d['done'] and len(d['bad']) == 1
    assert times == {p: p.stat().st_mtime_ns for p in out.rglob('*.png')}

def test_upscale_several(tmp_path, capsys):
    "Of several pictures, a bad one is named and the others are done; alone, it is the command's own error."
    from srgan_course import cli
    good, bad = photo(tmp_path/'a.png'), tmp_path/'bad.png'; bad.write_bytes(b'no')
    assert cli.upscale(bad, good, out=tmp_path/'out') == 1
    out = capsys.readouterr()
    assert out.err.startswith('srgan-upscale: ') and 'bad.png' in out.err and 'a.png (24 x 16) -> ' in out.out
    assert cli.upscale(bad, good, out=tmp_path/'out', json=True) == 1
    d = json.loads(capsys.readouterr().out); assert [len(d[k]) for k in ('done', 'kept', 'bad')] == [1, 0, 1] and 'bad.png' in d['bad'][0]['src']
    with pytest.raises(ValueError, match='bad.png'): cli.upscale(bad)

def test_evaluate(tmp_path):
    r = fork('evaluate', '--model', 'bicubic', '--data', 'embedded', '--json', '--result', tmp_path/'r.json')
    assert r.returncode == 0, r.stderr
    d = json.loads(r.stdout)
    from srgan_course.metrics import evaluate_sr, load_result
    assert abs(d['figures']['mean']['psnr'] - evaluate_sr('bicubic', 'embedded', 4).loc['mean', 'psnr']) < 1e-3
    assert load_result(tmp_path/'r.json')['n'] == 3
    one_line(fork('evaluate', '--model', 'bicubic', '--data', tmp_path/'nowhere'), 'nowhere')

def test_evaluate_a_picture_called_mean_and_one_without_error(tmp_path):
    "Each has its row; an infinite figure is null in JSON, and costs no other one."
    photo(tmp_path/'mean.png', (80, 64)); Image.new('RGB', (40, 40), 'navy').save(tmp_path/'plain.png')
    r = fork('evaluate', '--model', 'bicubic', '--data', tmp_path, '--json', '--result', tmp_path/'r.json')
    assert r.returncode == 0 and 'Infinity' not in r.stdout
    figures, kept = json.loads(r.stdout)['figures'], json.loads((tmp_path/'r.json').read_text())
    assert list(figures) == ['mean (file)', 'plain', 'mean'] and (kept['n'], kept['figures']) == (2, figures)
    assert figures['mean (file)']['psnr'] > 0 and figures['plain'] == dict(psnr=None, ssim=1) and figures['mean']['psnr'] is None
    assert r.stderr.strip() == 'srgan-evaluate: plain is enlarged without error, so its PSNR and the mean are infinite'

def test_evaluate_refuses(tmp_path, monkeypatch):
    "A name nobody knows, a damaged file, another network's, a net of LPIPS that is not there: one line each."
    from srgan_course import cli
    from srgan_course.generators import LightSR, MODELS, save_model
    from srgan_course.metrics import lpips_net
    raw, net = (MODELS/'light-x4.safetensors').read_bytes(), LightSR(4, 4, 1)
    (tmp_path/'hit.safetensors').write_bytes(raw[:-9] + bytes([raw[-9] ^ 1]) + raw[-8:])
    net.args['nf'] = 6                                                  # says another width than its tensors have
    save_model(net, tmp_path/'width.safetensors')
    parse = lambda *a: anno_parser(cli.evaluate.__wrapped__).parse_args(a).lpips
    assert [parse(), parse('--lpips'), parse('--lpips', 'squeeze-caffe')] == [None, 'squeeze', 'squeeze-caffe']
    with pytest.raises(ValueError, match='squeeze-caffe'): cli.evaluate('bicubic', lpips='squeez')
    for model, line in {'lite-x4': "no model 'lite-x4'; known are .*light-x4.*bicubic",
                        tmp_path/'hit.safetensors': 'hit.safetensors: damaged, its checksum',
                        tmp_path/'width.safetensors': 'width.safetensors: LightSR wants'}.items():
        with pytest.raises(ValueError, match=line): cli.evaluate(str(model))
    monkeypatch.setenv('SRGAN_WEIGHTS', ''); lpips_net.cache_clear()
    with pytest.raises(FileNotFoundError, match='squeeze-caffe.*SRGAN_WEIGHTS'): cli.evaluate('bicubic', lpips='squeeze-caffe')
    r = fork('evaluate', '--model', 'bicubic', '--lpips', SRGAN_WEIGHTS='', TORCH_HOME=str(tmp_path/'hub'), https_proxy='http://127.0.0.1:9',
             HTTPS_PROXY='http://127.0.0.1:9')
    one_line(r, 'squeezenet1_1', 'squeeze-caffe')

def test_evaluate_refuses_what_enlarges_nothing(tmp_path):
    from srgan_course.generators import MODELS
    for model in 'dcgan-cats', MODELS/'dcgan-cats.safetensors': one_line(fork('evaluate', '--model', model), 'is a DCGANGenerator, which enlarges nothing')
    one_line(fork('evaluate', '--model', MODELS/'light-x4.onnx'), 'an ONNX file is for srgan-upscale')

def test_evaluate_names_all_unusable_pictures_in_one_go(tmp_path):
    "As srgan-fid does, and not one run after another."
    for n in 'abcd': photo(tmp_path/f'{n}.png', (80, 64))
    (tmp_path/'b.png').write_bytes(b'no picture'); Image.new('RGBA', (80, 64)).save(tmp_path/'c.png'); photo(tmp_path/'d.png', (80, 8))
    r = fork('evaluate', '--model', 'bicubic', '--data', tmp_path)
    one_line(r, '3 of 4 pictures cannot be used: ', 'b.png: ', 'c.png has mode RGBA', 'd.png: 80 x 8 pixels are too few')

@pytest.mark.parametrize('model', ['dcgan-cats', 'my cats.safetensors'])
def test_upscale_says_which_command_draws_from_noise(tmp_path, monkeypatch, model):
    "A file by its path: by its stem srgan-cats does not find it."
    from srgan_course import cli
    from srgan_course.generators import MODELS
    from srgan_course.kit.noise import noise_engine
    monkeypatch.chdir(tmp_path); (tmp_path/'my cats.safetensors').write_bytes((MODELS/'dcgan-cats.safetensors').read_bytes())
    with pytest.raises(ValueError, match=f'^{model} is a DCGANGenerator.*srgan-cats --model {model}$') as e: cli.upscale(photo(tmp_path/'a.png'), model=model)
    assert noise_engine(str(e.value).partition('--model ')[2])

def test_a_network_that_reads_no_pictures_has_no_8_bit_form(tmp_path):
    r = fork('models', 'dcgan-cats', '--export', tmp_path/'c.onnx', '--precision', 'int8')
    assert r.returncode == 2 and r.stderr.strip().splitlines()[-1] == "srgan-models: precision 'int8' is not in ('fp32', 'fp16'), the forms of a DCGANGenerator"
    assert not any(tmp_path.iterdir())

def test_a_scale_that_the_model_has_not_is_no_scale_to_measure_at(tmp_path, capsys):
    from srgan_course import cli
    with pytest.raises(ValueError, match='light-x4 enlarges by 4, and a scale of 2 is asked for; leave'): cli.evaluate(scale=2)
    Image.new('RGB', (32, 32)).save(tmp_path/'a.png')
    for model, scale, want in (('light-x2', None, 2), ('light-x2', 2, 2), ('nearest', None, 4), ('nearest', 2, 2)):
        cli.evaluate(model, str(tmp_path), scale, json=True)
        assert json.loads(capsys.readouterr().out)['scale'] == want

def test_json_that_is_nested_too_deep_is_one_line(tmp_path):
    "In a model's file, a classifier's, a checkpoint, a recipe, labels, a log: wherever somebody else's text is read."
    import torch
    from srgan_course import cli
    from srgan_course.generators import LightSR, save_model
    from srgan_course.kit.checkpoints import read_checkpoint
    from srgan_course.kit.classifiers import load_classifier
    from srgan_course.kit.files import read_tensors, write_tensors
    from srgan_course.kit.folders import read_log
    from srgan_course.kit.labels import read_labels
    from srgan_course.kit.lists import read_events
    deep, p = '['*10**5, save_model(LightSR(2, 4, 1), tmp_path/'a.safetensors')
    write_tensors(p, read_tensors(p)[0], {**{k: v for k, v in read_tensors(p)[1].items() if k != 'checksum'}, 'args': deep})
    Image.new('RGB', (4, 4)).save(tmp_path/'a.png'); (tmp_path/'d.json').write_text(deep); (tmp_path/'.upscaled.jsonl').write_text(deep + '\n')
    checkpoint = write_tensors(tmp_path/'c.safetensors', {'a': torch.ones(1)}, dict(checkpoint=deep))
    clf = write_tensors(tmp_path/'k.safetensors', {'a': torch.ones(1)}, dict(classifier='1', arch='toynet', variant='', body='toynet', weights='', classes=deep, head='linear', size='9'))
    for f in (lambda: cli.evaluate(str(p)), lambda: cli.upscale(tmp_path/'a.png', model=str(p)), lambda: cli.models(p), lambda: cli.train(str(tmp_path/'d.json')),
              lambda: read_labels(tmp_path/'d.json'), lambda: read_checkpoint(checkpoint), lambda: load_classifier(clf)):
        with pytest.raises(ValueError, match='nested too deep') as e: f()
        assert '\n' not in str(e.value) and len(str(e.value)) < 300
    assert read_log(tmp_path) == {} and not [*read_events(tmp_path/'.upscaled.jsonl')]
    one_line(run('models', p), 'nested too deep')

def test_models(tmp_path):
    """What ships is listed with size, figures and licence, without torch; a file of one's own can be asked about; what is no model is
    refused."""
    from srgan_course.generators import LightSR, load_model, save_model, shipped_models
    code = ("import sys; from srgan_course import cli; cli.models(json=True); print([m for m in ('torch', 'fastai', 'numpy', 'PIL') if m "
            "in "
            "sys.modules])")
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env=ENV); assert r.returncode == 0, r.stderr
    listed, imported = r.stdout.splitlines()
    assert imported == '[]'
    facts = json.loads(listed)
    assert list(facts) == sorted(shipped_models() | shipped_models(noise=True))
    index = json.loads((ROOT/'srgan_course'/'models'/'index.json').read_text(encoding='utf-8'))
    for name, path in shipped_models().items():
        f, net = facts[name], load_model(path)
        assert (f['network'], f['args'], f['bytes'], f['checksum']) == (type(net).__name__, net.args, path.stat().st_size,
            net.meta['checksum'])
        assert f['parameters'] == sum(p.numel() for p in net.parameters()) and f['scale'] == net.args['scale']
        assert f['licence'] == 'Apache-2.0' and f['summary'], name
        for d in ('set5', 'embedded'):
            mean = lambda m: json.loads((ROOT/'results'/f'{m}-{d}.json').read_text(encoding='utf-8'))['figures']['mean']
            assert f[d] == {k: round(mean(name)[k], 4) for k in ('psnr', 'ssim')}, f'{name}: another figure than the ledger has'
            assert f[d]['psnr'] > mean(f'bicubic-x{f["scale"]}')['psnr'], f'{name}: no better than bicubic'
        assert index[name]['checksum'] == net.meta['checksum'], f'{name}: its figures in index.json are those of another file'
    r = run('models'); assert r.returncode == 0 and all(n in r.stdout for n in facts) and 'dB' in r.stdout
    mine = save_model(LightSR(2, 4, 1), tmp_path/'mine.safetensors')
    r = run('models', mine)
    assert r.returncode == 0 and 'mine' in r.stdout and 'no figures listed' in r.stdout and 'light' not in r.stdout.split('Use one')[0]
    (tmp_path/'bad.safetensors').write_bytes(b'\x80\x04K\x01.')
    one_line(run('models', tmp_path/'bad.safetensors'), 'bad.safetensors', 'a pickle')
    one_line(run('models', 'lite-x4'), 'lite-x4', 'light-x4')

TINY = dict(size=32, bs=2, steps_per_epoch=3, pre_epochs=2, epochs=2, nf=16, n_blocks=1, critic_nf=8)

def test_train_and_stop(tmp_path, capsys):
    """A run by a recipe file; the folder of a finished run is refused; SIGTERM and Ctrl-C leave a checkpoint in a process of its own, which
    then goes on."""
    from srgan_course import cli
    from srgan_course.srgan import RECIPES
    recipe = RECIPES['quick'].replace(name='tiny', **TINY).save(tmp_path/'tiny.json')
    cli.train(str(recipe), out=tmp_path/'a', json=True)
    assert (json.loads(capsys.readouterr().out)['figures'] and (tmp_path/'a'/'generator.safetensors').exists()
            and (tmp_path/'a'/'generator.md').exists())
    with pytest.raises(ValueError, match='finished'): cli.train(str(recipe), out=tmp_path/'a')
    cli.train(str(recipe), out=tmp_path/'a', resume=True)
    assert 'The run is finished; it is only measured again' in capsys.readouterr().out
    RECIPES['quick'].replace(name='long', **{**TINY, 'steps_per_epoch': 100, 'pre_epochs': 8}).save(tmp_path/'long.json')
    p = Forked('train', '--recipe', tmp_path/'long.json', '--out', tmp_path/'b', env=ENV)
    end = time.time() + 120
    while time.time() < end and not list((tmp_path/'b').glob('history*.csv')): time.sleep(.1)
    time.sleep(1.5); p.send_signal(signal.SIGTERM); out, err = p.communicate(timeout=60)
    assert p.returncode == 130 and 'resume' in err and 'Traceback' not in err, (p.returncode, out, err)
    assert list((tmp_path/'b'/'checkpoints').rglob('*.safetensors'))
    seen = (tmp_path/'b'/'history_pretrain.csv').stat().st_size                       # and Ctrl-C, after it has gone on
    p = Forked('train', '--recipe', tmp_path/'long.json', '--out', tmp_path/'b', '--resume', env=ENV)
    end = time.time() + 120
    while time.time() < end and (tmp_path/'b'/'history_pretrain.csv').stat().st_size <= seen: time.sleep(.1)
    p.send_signal(signal.SIGINT); out, err = p.communicate(timeout=60)
    assert p.returncode == 130 and 'resume' in err and 'Traceback' not in err, (p.returncode, out, err)
    with pytest.raises(ValueError, match='another recipe'): cli.train(str(recipe), out=tmp_path/'b', resume=True)

def test_train_errors(tmp_path):
    one_line(fork('train', '--recipe', 'quik', '--out', tmp_path/'a'), 'quik', 'quick')
    # the others from Python: the same lines, without the seconds that each process takes
    from srgan_course import cli
    for line, settings in {'nowhere': dict(data=str(tmp_path/'nowhere')),
                           'neither a folder nor a known source': dict(data='embedded+nowhere'),
                           'size 30 is not a multiple of scale 4': dict(size=30),
                           "device 'gpu' is not there": dict(device='gpu'), 'minutes is 0': dict(minutes=0.),
                           'pip install tensorboard': dict(tensorboard=True)}.items():
        if 'tensorboard' in settings and importlib.util.find_spec('tensorboard'): continue
        with pytest.raises((ValueError, OSError, ModuleNotFoundError), match=line): cli.train('quick', out=tmp_path/'a', **settings)
        assert not (tmp_path/'a'/'recipe.json').exists()

def test_recipes(capsys, monkeypatch):
    "They are listed by name; batch, patches and seed can be set on the command line."
    from srgan_course import cli, srgan
    from srgan_course.kit.recipe import named_recipes
    cli.train(recipes=True)
    assert [l.split()[0] for l in capsys.readouterr().out.splitlines()] == list(named_recipes(srgan.SRGANRecipe))
    got = []; monkeypatch.setattr(srgan, 'train', lambda r, *a, **k: got.append(r) or 1/0)
    with pytest.raises(ZeroDivisionError): cli.train('quick', bs=8, size=28, seed=1)
    assert (got[0].bs, got[0].size, got[0].pre_size, got[0].seed) == (8, 28, 48, 1)
    with pytest.raises(ValueError, match='bs is 0; give a number from 1 to'): cli.train('quick', bs=0)

def test_check(tmp_path, capsys, monkeypatch):
    "A folder is looked over before anything is trained: nothing is written, and the exit code says whether training would take it."
    from srgan_course import cli
    from srgan_course.data import sample_photos
    from srgan_course.srgan import RECIPES
    recipe = str(RECIPES['quick'].replace(name='tiny', **{**TINY, 'pre_size': 0}).save(tmp_path/'tiny.json'))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path/'mine'; folder.mkdir()
    for i in range(11): photo(folder/f'{i:02}.png', size=(40 + i, 40))
    (folder/'again.png').write_bytes((folder/'05.png').read_bytes()); photo(folder/'small.png', size=(31, 40))
    for name, size in {'f1.png': (64, 48), 'f2.jpg': (128, 96)}.items(): sample_photos('train')['flower'].resize(size).save(folder/name)
    assert cli.train(recipe, check=str(folder), json=True, device='cpu') == 0
    d = json.loads(capsys.readouterr().out)
    assert (d['pictures'], d['training'] + d['held_out'], d['sizes']['largest']) == (15, 14,
        [128, 96]) and [Path(p).name for p in d['too_small']] == ['small.png']
    assert [sorted(Path(p).name for p in g) for g in d['duplicates']] == [['05.png', 'again.png']] and ['f1.png',
        'f2.jpg'] in [sorted(Path(p).name for p in g) for g in d['near_duplicates']]
    assert d['cost']['steps'] == {'pretrain': 6, 'gan': 6} and d['cost']['device'] == 'cpu' and d['cost']['minutes'] >= 0
    (folder/'torn.jpg').write_bytes(photo(folder/'05.png').read_bytes()[:100])
    assert cli.train(recipe, check=str(folder), device='cpu') == 1
    said = capsys.readouterr().out
    for words in 'cannot be read: torn.jpg', 'training will refuse the folder', 'time: pretrain 6 steps', 'memory: about':
        assert words in said, said
    assert sorted(p.name for p in tmp_path.iterdir()) == ['mine', 'tiny.json']

def test_lessons(tmp_path):
    "Copied whole, never over what is there."
    r = run('lessons', '--to', tmp_path/'l', '--no-open'); assert r.returncode == 0, r.stderr
    want = {p.name for p in (ROOT/'nbs').glob('*.ipynb')}
    assert want <= {p.name for p in (tmp_path/'l').glob('*.ipynb')}
    (tmp_path/'l'/'00_tour.ipynb').write_text('mine'); (tmp_path/'l'/'01_images.ipynb').unlink()
    r = run('lessons', '--to', tmp_path/'l', '--no-open')
    assert ((tmp_path/'l'/'00_tour.ipynb').read_text() == 'mine' and (tmp_path/'l'/'01_images.ipynb').exists()
            and '1 files copied' in r.stdout)

def test_lessons_without_jupyter(tmp_path, monkeypatch):
    "Python's own words were all, and the code was 0; a module that is missing anywhere says where to get it."
    from srgan_course import cli
    from srgan_course.kit.commands import as_options
    (tmp_path/'jupyter.py').write_text('raise SystemExit(1)'); monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    with pytest.raises(OSError, match='Jupyter Lab did not open'): cli.lessons(tmp_path/'l')
    assert as_options(ModuleNotFoundError("No module named 'torch'"), cli.fid) == (
        "No module named 'torch'; the whole installation of the README has it, or pip install it")
    assert as_options(ModuleNotFoundError('give this; or that'), cli.fid) == 'give this; or that'

@pytest.mark.skipif(os.name == 'nt', reason='limits of Unix')
def test_lessons_that_the_disk_does_not_hold(tmp_path):
    "What could not be written whole is not there, so the same command makes up for it."
    most = 'import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16)); '       # bytes of a file
    call = 'from srgan_course.kit.commands import copy_lessons; from pathlib import Path; print(copy_lessons(Path("l")))'
    r = subprocess.run([sys.executable, '-c', most + call], cwd=tmp_path, capture_output=True, text=True)
    assert r.returncode and 'File too large; nothing was written' in r.stderr, r.stderr
    subprocess.run([sys.executable, '-c', call], cwd=tmp_path, check=True)
    for p in (ROOT/'nbs').glob('*.ipynb'): assert (tmp_path/'l'/p.name).read_bytes() == p.read_bytes()

def test_classify(tmp_path, capsys):
    "Trained, judged, and asked what pictures show."
    from srgan_course import cli
    from srgan_course.classifier import ClassifierRecipe
    from srgan_course.data import draw_pet
    for kind in ('cat', 'dog'):
        (tmp_path/'pets'/kind).mkdir(parents=True)
        for i in range(8): draw_pet(kind, i + 100*(kind == 'dog'), 64).save(tmp_path/'pets'/kind/f'{i}.png')
    tiny, pets, out = str(ClassifierRecipe('tiny', size=64, bs=8, body='toynet-random').save(tmp_path/'tiny.json')), str(tmp_path/'pets'), tmp_path/'run'
    cli.classify(train=pets, recipe=tiny, epochs=3, out=out); capsys.readouterr()
    cli.classify(evaluate=pets, out=out, json=True)
    assert json.loads(capsys.readouterr().out)['n'] == 16
    (tmp_path/'bad.png').write_bytes(b'no')
    assert cli.classify(tmp_path/'pets'/'cat', tmp_path/'bad.png', out=out, json=True) == 1
    said = capsys.readouterr(); d = json.loads(said.out)
    assert [r['class'] in ('cat', 'dog') for r in d['pictures']] == [True]*8 and len(d['bad']) == 1 and 'bad.png' in said.err
    (tmp_path/'worse.png').write_bytes(b'no'); assert cli.classify(tmp_path/'bad.png', tmp_path/'worse.png', out=out) == 2; assert not capsys.readouterr().out
    for line, args, kw in (('holds a run already', (), dict(train=pets, recipe=tiny, out=out)), ('nothing to do', (), {}),
                           ('give one of', (Path(pets),), dict(evaluate=pets)), ('no such file', (Path('none.jpg'),), {})):
        with pytest.raises((ValueError, OSError), match=line): cli.classify(*args, **kw)

def test_what_is_drawn_needs_no_file(tmp_path, capsys, monkeypatch):
    "`--train pets-toy`, the body `toynet-turns` and the teacher `toy`, by their names alone: in a hurry here, at full length in the lessons."
    from functools import partial
    from srgan_course import classifier, cli
    from srgan_course.kit import classifiers
    for room, name, hurry in ((classifier, 'split_pets', dict(n=16)), (classifiers, 'learn_turns', dict(steps=2, n=8)),
                              (classifiers, 'toy_teacher', dict(steps=2, n=16))):
        monkeypatch.setattr(room, name, partial(getattr(room, name), **hurry))
    tiny = str(classifier.ClassifierRecipe('tiny', size=32, bs=8, body='toynet-turns').save(tmp_path/'tiny.json'))
    cli.classify(train='pets-toy', recipe=tiny, epochs=1, out=tmp_path/'run')
    assert capsys.readouterr().out.startswith('toynet-turns: 7 pictures: ')
    photo(tmp_path/'pet.png', (96, 96)); cli.recognise(tmp_path/'pet.png', teacher='toy', size=66, out=tmp_path/'pet.jpg')
    assert 'seen by toy teacher 0 (made by the course on drawn pets)' in capsys.readouterr().out and (tmp_path/'pet.jpg').is_file()

def test_recognise_refuses(tmp_path):
    "Before a classifier is made ready."
    from srgan_course import cli
    same = [photo(tmp_path/d/'x.png') for d in 'ab' if not (tmp_path/d).mkdir()]
    for line, args, kw in (('give one of', (), dict(train='a', evaluate='b')), ('nothing to do', (), {}),
                           ('multiple of 3 from 48 on; give --size 198', (), dict(evaluate='x', size=200)),
                           ('no such file', (Path('none.jpg'),), {}), ('neither a folder', (), dict(evaluate='nowhere')),
                           ('none.json: no such file', (), dict(evaluate='pets-toy', labels=Path('none.json'))),
                           ('two of the pictures have one name', same, {}), ('share is 2', (), dict(evaluate='pets-toy', share=2.)),
                           ('is one file, but 2 pictures', same, dict(out=Path('a.jpg')))):
        with pytest.raises((ValueError, OSError), match=line): cli.recognise(*args, **kw)

def test_fid(tmp_path, capsys, monkeypatch):
    "FID and KID of two folders, by a net that needs no download; bad input is one line."
    from srgan_course import cli
    from srgan_course.data import draw_pet
    for kind in ('cat', 'dog'):
        (tmp_path/kind).mkdir()
        for i in range(6): draw_pet(kind, i, 32).save(tmp_path/kind/f'{i}.png')
    cats, dogs = str(tmp_path/'cat'), str(tmp_path/'dog')
    cli.fid(cats, dogs, features='random@256', kid=True, json=True)
    out = capsys.readouterr(); d = json.loads(out.out)
    assert d['fid']['value'] > 0 and len(d['kid']['interval']) == 2 and d['fid']['net'] == 'random@256'
    # what is done, and the warning as a line
    assert len(out.err.splitlines()) == 2 and 'no full rank' in out.err and 'Warning' not in out.err
    (tmp_path/'dog'/'x.png').write_bytes(b'no picture')
    for line, args in {'cannot be used.*x.png': (cats, dogs), 'nowhere': (cats, 'nowhere')}.items():
        with pytest.raises((ValueError, OSError), match=line): cli.fid(*args, features='random@256')
    cli.fid(cats, dogs, features='random@256', skip=True)
    assert 'left out' in capsys.readouterr().err
    cli.fid(dogs, features='random', save_stats=tmp_path/'s.npz', skip=True, json=True)
    out = capsys.readouterr()
    assert json.loads(out.out) == dict(file=str(tmp_path/'s.npz'), n=6,
                                       net='random@256') and out.err.startswith('srgan-fid: 1 of 7 pictures left out') and len(out.err.splitlines()) == 1

    (tmp_path/'dog'/'x.png').unlink()
    cli.fid(cats, cats, features='random', kid=True, paired=True, json=True)              # twins: as if the set were compared with another of its kind
    kid = json.loads(capsys.readouterr().out)['kid']
    for name in ('cat', 'cat-young'):                                                     # cat-young.png comes before cat.png, cat-x4.png before cat-young-x4.png
        for folder, n in (tmp_path/'hr', name), (tmp_path/'sr', f'{name}-x4'):
            folder.mkdir(exist_ok=True); draw_pet('cat', 1, 32).save(folder/f'{n}.png')
    with monkeypatch.context() as m:
        m.setattr('srgan_course.kit.sets._described', lambda *a, **k: pytest.fail('features were computed'))
        for line, a, b, kw in (('cat-x4.png belongs to cat, but in the order of names it stands beside cat-young.png', 'sr', 'hr', {}),
                               ('no pairs; give as many of both, or leave out --paired', 'sr', 'dog', {}),
                               ('--paired does not count with --skip', 'dog', 'dog', dict(skip=True))):
            with pytest.raises(ValueError, match=line):
                cli.fid(str(tmp_path/a), str(tmp_path/b), features='random', kid=True, paired=True, **kw)
    cli.fid(cats, cats, features='random', kid=True, json=True)
    assert kid['groups'] == 6 and abs(kid['value']) < 1e-9 > json.loads(capsys.readouterr().out)['kid']['value']
    cli.fid(cats, cats, features='random', result=tmp_path/'r.json'); cli.fid(dogs, str(tmp_path/'s.npz'), features='random', dims=256)
    zero = [float(l.split()[1]) for l in capsys.readouterr().out.splitlines()]      # a set and itself, also from its statistics
    assert abs(zero[0]) < 1e-3 and abs(zero[1]) < 1e-3 and json.loads((tmp_path/'r.json').read_text())['n'] == 6
    for line, args, kw in (('inception@2048', (cats, dogs), dict(features='inseption@2048')),
                           ('--paired counts with --kid', (cats, dogs), dict(features='random', paired=True)), ('one set has no distance', (cats,), {}),
                           ("feature net 'inception@' is not known", (cats, dogs), dict(features='inception@')),
                           ('leave out .*dog', (cats, dogs), dict(save_stats=tmp_path/'x.npz')), ('in a .npz file', (cats,), dict(save_stats=Path('s.txt'))),
                           ('measures nothing; leave out --kid, --is', (cats,), dict(save_stats=tmp_path/'x.npz', kid=True, Is=True)),
                           ('an interval .--draws. needs the pictures', (str(tmp_path/'s.npz'), dogs), dict(draws=9)),
                           ('nowhere', (cats, 'nowhere'), dict(kid=True))):
        with pytest.raises((ValueError, OSError), match=line): cli.fid(*args, **(dict(features='random') | kw))

def test_fid_of_sets_of_two_sizes_says_so(tmp_path, capsys):
    from srgan_course import cli
    from srgan_course.data import draw_pet
    for kind, n in (('cat', 12), ('dog', 10)):
        (tmp_path/kind).mkdir()
        for i in range(n): draw_pet(kind, i, 32).save(tmp_path/kind/f'{i}.png')
    cli.fid(str(tmp_path/'cat'), str(tmp_path/'dog'), features='random@8', draws=10, json=True)
    out = capsys.readouterr(); f = json.loads(out.out)['fid']
    assert 'FID of 12 against 10 pictures' in out.err and len(out.err.splitlines()) == 2
    assert f['n'] == [12, 10] and f['interval'][0] < f['value'] < f['interval'][1]

def test_fid_scores_by_the_classifier_that_was_named(tmp_path, capsys):
    from srgan_course import cli
    from srgan_course.data import draw_pet
    from srgan_course.kit.weights import find_weights
    for i in range(20): draw_pet('cat', i, 32).save(tmp_path/f'{i}.png')
    with pytest.raises(ValueError, match='random has no classes'): cli.fid(str(tmp_path), str(tmp_path), features='random', Is=True)
    if not find_weights('squeezenet1_1_fp16.safetensors'): pytest.skip('SRGAN_WEIGHTS has no SqueezeNet')
    cli.fid(str(tmp_path), str(tmp_path), features='squeezenet-caffe', Is=True)
    assert 'classifier score (squeezenet-caffe@logits)' in capsys.readouterr().out

def test_what_torch_says_of_a_download_is_no_result(monkeypatch, capsys):
    from srgan_course.kit import weights
    monkeypatch.delenv('SRGAN_WEIGHTS', raising=False)
    monkeypatch.setattr(weights.torch.hub, 'load_state_dict_from_url', lambda *a, **k: print('Downloading: x') or {})
    weights.pretrained_weights('a net', url='https://example.org/x.pth', instead='another')
    out = capsys.readouterr()
    assert not out.out and 'Downloading' in out.err

def test_fid_wants_pictures_for_kid(tmp_path):
    for i in range(3): Image.new('RGB', (32, 32), (i, 9, 9)).save(tmp_path/f'{i}.png')
    assert fork('fid', tmp_path, '--save-stats', tmp_path/'s.npz', '--features', 'random').returncode == 0
    r = fork('fid', tmp_path/'s.npz', tmp_path, '--kid', '--features', 'random')
    assert r.returncode == 2 and 'KID needs the pictures' in r.stderr and 'Traceback' not in r.stderr

def test_cats(tmp_path):
    "A sheet, a walk, a film; what cannot be drawn or trained is refused."
    from srgan_course import cli
    from srgan_course.cats import DCGANGenerator
    from srgan_course.generators import save_model
    net, sheet, film = str(save_model(DCGANGenerator(32, 8, 4), tmp_path/'g.safetensors')), tmp_path/'cats.png', tmp_path/'cats.gif'
    cli.cats(n=4, out=sheet, model=net); assert Image.open(sheet).size == (66, 66)
    cli.cats(n=3, out=sheet, model=net, interpolate=True, json=True); assert Image.open(sheet).size == (8*34 - 2, 3*34 - 2)
    cli.cats(n=2, out=film, model=net, gif=True, truncation=1.); assert Image.open(film).n_frames == 24
    for line, kw in {'n is 0': dict(n=0), '--gif writes a .gif': dict(gif=True), 'seed is -1': dict(n=2, seed=-1), '--resume counts only with --train': dict(resume=True),
                     'no-such-folder': dict(train='no-such-folder'), "recipe 'dogs'": dict(train='toy', recipe='dogs')}.items():
        with pytest.raises((ValueError, OSError), match=line): cli.cats(**((dict(out=tmp_path/'run') if 'train' in kw else dict(out=sheet, model=net)) | kw))
    assert not (tmp_path/'run').exists()

def test_demo_out_of_memory_names_no_option_that_it_lacks(tmp_path, monkeypatch):
    from srgan_course import demo
    def full(*args, **kwargs): raise MemoryError('out of memory: lower bs, now 8 (--bs 4), or size')
    monkeypatch.setattr(demo, 'train', full)
    with pytest.raises(MemoryError, match='^out of memory; close other programs, and give the same command again$'): demo.demo(tmp_path/'demo', progress=False)

@pytest.mark.skipif(os.name == 'nt', reason='no fork')
@pytest.mark.parametrize('killed', [True, False])
def test_a_worker_whose_command_was_killed_says_nothing(killed, tmp_path):
    "multiprocessing shows a traceback of the connection that has gone; as long as the command lives, it is shown."
    (tmp_path/'a.py').write_text("""import multiprocessing, os, signal, sys, time
from srgan_course.kit.commands import command
def work(parent, killed):
    while killed and os.getppid() == parent: time.sleep(.01)
    try: raise ConnectionResetError(104, 'Connection reset by peer')
    except OSError: sys.excepthook(*sys.exc_info())
    open('done', 'w').close()
@command
def go(killed:bool=False): # Is it?
    p = multiprocessing.get_context('fork').Process(target=work, args=(os.getpid(), killed)); p.start()
    if killed: os.kill(os.getpid(), signal.SIGKILL)
    p.join()
go()
""")
    r = subprocess.run([sys.executable, 'a.py', *['--killed']*killed], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (tmp_path/'done').exists() and (r.returncode == 0) != killed and ('ConnectionResetError' in r.stderr) != killed, r.stderr

def test_the_page_of_commands_shows_the_list_of_models_as_it_is():
    "Its output was stored before a model changed."
    from srgan_course.kit.models import MODELS
    cells = json.loads((ROOT/'nbs'/'cli.ipynb').read_text(encoding='utf-8'))['cells']
    stored = next(o for c in cells if '\nprint(said.getvalue().replace(str(MODELS)' in ''.join(c['source']) for o in c['outputs'])
    assert ''.join(stored['text']).strip() == fork('models').stdout.replace(str(MODELS), 'srgan_course/models').strip()

def test_a_disk_that_is_full_costs_no_figure(tmp_path):
    "The distance of two large sets takes an hour; it was not said where its file could not be written."
    from srgan_course.data import draw_pet
    for i in range(6): draw_pet('cat', i, 32).save(tmp_path/f'{i}.png')
    code = ("import errno, srgan_course.metrics as m\nfrom srgan_course import cli\n"
            "def full(*a, **k): raise OSError(errno.ENOSPC, 'No space left on device', 'r.json')\n"
            "m.save_result = full\ncli.fid(*['.']*2, features='random@8', result='r.json')")
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=tmp_path, env=ENV)
    assert r.returncode and 'No space left' in r.stderr and 'FID ' in r.stdout, (r.stdout, r.stderr)

def test_pairs_named_on_a_mac():
    "There an accent may be a letter of its own, which stands elsewhere in the order of names."
    from srgan_course.kit.wanted import need_pairs
    hr = sorted(f'{n}.png' for n in ('e\u0301te\u0301', 'zoo')); sr = sorted(f'{n}-x4.png' for n in ('\xe9t\xe9', 'zoo'))
    for a, b in (hr, sr), (sr, hr):
        with pytest.raises(ValueError, match='belongs to .*, but in the order of names it stands beside'): need_pairs(a, b)
    need_pairs(sorted(hr), sorted(f'{n}-x4.png' for n in ('e\u0301te\u0301', 'zoo')))
