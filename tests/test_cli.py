"The commands as real processes: help, results, exit codes, one line for each error, and nothing half written."
import json, os, signal, subprocess, sys, time
from pathlib import Path
import pytest
from PIL import Image
from conftest import ROOT

COMMANDS = 'demo upscale train evaluate lessons'.split()
ENV = {**os.environ, 'PYTHONUTF8': '1', 'OMP_NUM_THREADS': '1'}

def run(*args, cwd=None, timeout=300, **env):
    return subprocess.run([sys.executable, '-m', 'srgan_course', *map(str, args)], capture_output=True, text=True, cwd=cwd, timeout=timeout, env={**ENV, **env}, stdin=subprocess.DEVNULL)

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
    assert '--' in r.stdout
    script = Path(sys.executable).parent/f'srgan-{name}'
    assert script.exists() or script.with_suffix('.exe').exists(), f'{script} is not installed'

def test_main_lists_commands():
    r = run(); assert r.returncode == 0 and all(c in r.stdout for c in COMMANDS)
    one_line(run('upscal'), 'upscal', 'upscale')

def test_script_itself():
    r = subprocess.run([Path(sys.executable).parent/'srgan-evaluate', '--help'], capture_output=True, text=True, env=ENV)
    assert r.returncode == 0 and '--data' in r.stdout

def test_upscale_one_and_errors(tmp_path):
    src = photo(tmp_path/'a b.jpg')
    r = run('upscale', src, '--out', tmp_path/'big.png', '--json'); assert r.returncode == 0, r.stderr
    d = json.loads(r.stdout)['done'][0]
    assert Image.open(tmp_path/'big.png').size == (96, 64) and d['size'] == [24, 16] and d['model'] == 'light-x4'
    one_line(run('upscale'), 'no picture given')
    one_line(run('upscale', tmp_path/'none.jpg'), 'none.jpg', 'no such file')
    one_line(run('upscale', src, '--model', 'lite-x4'), 'lite-x4', 'light-x4')
    (tmp_path/'bad.png').write_bytes(src.read_bytes()[:150])
    one_line(run('upscale', tmp_path/'bad.png'), 'bad.png')
    (tmp_path/'pickle.safetensors').write_bytes(b'\x80\x04K\x01.')
    one_line(run('upscale', src, '--model', tmp_path/'pickle.safetensors'), 'pickle.safetensors')
    (tmp_path/'empty').mkdir(); one_line(run('upscale', tmp_path/'empty'), 'no picture')
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

def test_evaluate(tmp_path):
    r = run('evaluate', '--model', 'bicubic', '--data', 'embedded', '--json', '--result', tmp_path/'r.json')
    assert r.returncode == 0, r.stderr
    d = json.loads(r.stdout)
    from srgan_course.metrics import evaluate_sr, load_result
    assert abs(d['figures']['mean']['psnr'] - evaluate_sr('bicubic', 'embedded', 4).loc['mean', 'psnr']) < 1e-3
    assert load_result(tmp_path/'r.json')['n'] == 3
    one_line(run('evaluate', '--model', 'bicubic', '--data', tmp_path/'nowhere'), 'nowhere')

TINY = dict(size=32, bs=2, steps_per_epoch=3, pre_epochs=2, epochs=2, nf=16, n_blocks=1, critic_nf=8)

def test_train_and_stop(tmp_path):
    "A run by a recipe file; the folder of a finished run is refused; a stopped one leaves a checkpoint and goes on to the same weights."
    from srgan_course.srgan import RECIPES
    recipe = RECIPES['quick'].replace(name='tiny', **TINY).save(tmp_path/'tiny.json')
    r = run('train', '--recipe', tmp_path/'tiny.json', '--out', tmp_path/'a', '--json', OMP_NUM_THREADS='1'); assert r.returncode == 0, r.stderr
    assert json.loads(r.stdout)['figures'] and (tmp_path/'a'/'generator.safetensors').exists()
    one_line(run('train', '--recipe', tmp_path/'tiny.json', '--out', tmp_path/'a'), 'finished')
    long = RECIPES['quick'].replace(name='long', **{**TINY, 'steps_per_epoch': 100, 'pre_epochs': 8}).save(tmp_path/'long.json')
    p = subprocess.Popen([sys.executable, '-m', 'srgan_course', 'train', '--recipe', str(tmp_path/'long.json'), '--out', str(tmp_path/'b')], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.time() + 120
    while time.time() < end and not list((tmp_path/'b').glob('history*.csv')): time.sleep(.1)
    time.sleep(1.5); p.send_signal(signal.SIGTERM); out, err = p.communicate(timeout=60)
    assert p.returncode == 130 and 'resume' in err and 'Traceback' not in err, (p.returncode, out, err)
    assert list((tmp_path/'b'/'checkpoints').rglob('*.safetensors'))
    one_line(run('train', '--recipe', tmp_path/'tiny.json', '--out', tmp_path/'b', '--resume'), 'another recipe')

def test_train_errors(tmp_path):
    one_line(run('train', '--recipe', 'quik', '--out', tmp_path/'a'), 'quik', 'quick')
    one_line(run('train', '--recipe', 'quick', '--data', tmp_path/'nowhere', '--out', tmp_path/'a'), 'nowhere')
    assert not list(tmp_path.iterdir())

def test_lessons(tmp_path):
    "Copied whole, never over what is there."
    r = run('lessons', '--to', tmp_path/'l', '--no-open'); assert r.returncode == 0, r.stderr
    want = {p.name for p in (ROOT/'nbs').glob('*.ipynb')}
    assert want <= {p.name for p in (tmp_path/'l').glob('*.ipynb')}
    (tmp_path/'l'/'00_tour.ipynb').write_text('mine'); (tmp_path/'l'/'01_images.ipynb').unlink()
    r = run('lessons', '--to', tmp_path/'l', '--no-open')
    assert (tmp_path/'l'/'00_tour.ipynb').read_text() == 'mine' and (tmp_path/'l'/'01_images.ipynb').exists() and '1 files copied' in r.stdout
