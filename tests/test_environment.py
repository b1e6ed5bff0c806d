"A process without a home, without a place for temporary files, in a locale of ASCII: each command works, or says in one line what it needs."
import os, subprocess, sys
import pytest
from PIL import Image

posix = pytest.mark.skipif(os.name == 'nt', reason='users of Unix')
# a user whom no list knows, as in a container started with --user 12345; a disk where nothing temporary can be kept
NOBODY = "import os, pwd\ndef nobody(*a): raise KeyError(a)\npwd.getpwuid = nobody; os.environ.pop('HOME', None)\n"
NO_TEMP = "import tempfile\ntempfile._candidate_tempdir_list = lambda: []\n"
ASCII = dict(LANG='C', LC_ALL='C', PYTHONIOENCODING='ascii', PYTHONUTF8='0', PYTHONCOERCECLOCALE='0')
WAYS = {'nobody': (NOBODY, {}), 'a home that is not there': ('', dict(HOME='/nowhere/at/all')), 'no temporary folder': (NO_TEMP, {}),
        'ascii': ('', ASCII), 'all': (NOBODY + NO_TEMP, ASCII | dict(TMPDIR='/nowhere'))}
NAME = 'Zoë.png'

def run(way, folder, *args):
    "A command in a process of its own."
    code, env = WAYS[way]
    env = {k: v for k, v in os.environ.items() if not k.startswith(('LC_', 'LANG', 'PYTHONIO', 'PYTHONUTF8', 'XDG_'))} | dict(OMP_NUM_THREADS='1') | env
    code += "import runpy\nrunpy.run_module('srgan_course', run_name='__main__', alter_sys=True)"
    return subprocess.run([sys.executable, '-c', code, *map(os.fsencode, args)], capture_output=True, env=env, cwd=folder, stdin=subprocess.DEVNULL, timeout=600)

@pytest.fixture
def folder(tmp_path):
    from srgan_course.data import draw_pet
    for kind in ('cat', 'dog'):
        (tmp_path/'pets'/kind).mkdir(parents=True)
        for i in range(8): draw_pet(kind, i + 100*(kind == 'dog'), 64).save(tmp_path/'pets'/kind/f'{i}.png')
    Image.effect_mandelbrot((24, 16), (-2, -1.2, 1, 1.2), 60).convert('RGB').save(tmp_path/NAME)
    return tmp_path

@posix
def test_pictures_and_cats_need_neither_home_nor_temporary_files(folder):
    r = run('all', folder, 'upscale', NAME, 'pets', '--out', 'out')
    assert r.returncode == 0 and b'Traceback' not in r.stderr, r
    assert len([*(folder/'out').rglob('*.png')]) == 17
    r = run('all', folder, 'cats', '--n', '2')
    assert r.returncode == 0 and (folder/'cats.png').exists(), r

TINY = dict(size=32, pre_size=0, bs=2, steps_per_epoch=3, pre_epochs=2, epochs=2, nf=16, n_blocks=1, critic_nf=8)
COMMANDS = ['models', 'upscale pets --out out', 'upscale --manifest list.txt --out parts', 'cats --n 2', 'lessons --to l --no-open',
            'evaluate --data pets/cat --result r.json', 'fid pets/cat pets/dog --features random --cache c', 'train --recipe tiny.json --out t',
            'train --recipe tiny.json --check embedded', 'classify --train pets --recipe tinyc.json --epochs 2 --out cl',
            'recognise pets/cat/0.png --teacher toy --out rec.jpg', 'models light-x4 --export m.onnx']

@posix
@pytest.mark.slow
@pytest.mark.parametrize('command', COMMANDS)
@pytest.mark.parametrize('way', [w for w in WAYS if w != 'all'])
def test_every_command(folder, way, command):
    "Exit code 0, or 2 and a line that names what is missing."
    from srgan_course.kit.classifier_runs import ClassifierRecipe
    from srgan_course.srgan import RECIPES
    RECIPES['quick'].replace(name='tiny', **TINY).save(folder/'tiny.json')
    ClassifierRecipe('tinyc', size=64, bs=8, body='toynet-random').save(folder/'tinyc.json')
    (folder/'list.txt').write_text('pets/cat/0.png\npets/dog/0.png\n')
    r = run(way, folder, *command.split())
    assert b'Traceback' not in r.stderr + r.stdout, r.stderr.decode('utf-8', 'replace')[-2000:]
    assert r.returncode == 0 or r.returncode == 2 and b'temporary' in r.stderr.splitlines()[-1], r
