"The small installation: what README tells people to install is enough for the commands that promise to need no torch."
import re, subprocess, sys, venv
from configparser import ConfigParser
import pytest
from PIL import Image
from conftest import ROOT

LINE = re.search(r'^pip install (numpy .*) && pip install --no-deps \.$', (ROOT/'README.md').read_text(encoding='utf-8'), re.M)

def small():
    ini = ConfigParser(delimiters=['='], interpolation=None); ini.read(ROOT/'settings.ini', encoding='utf-8')
    return ini['DEFAULT']['small_requirements'].split(), ini['DEFAULT']['requirements'].split()

def test_readme_names_what_settings_name():
    few, every = small()
    assert LINE and LINE[1].split() == [re.split('[<>=]', r)[0] for r in few]
    assert set(few) <= set(every) | {r for r in few if r.startswith(('starlette', 'uvicorn', 'python-multipart'))}

def test_the_commands_import_nothing_else(tmp_path):
    "What upscaling and drawing import belongs to the packages of the line, or to what those ask for."
    Image.new('RGB', (20, 12), 'red').save(tmp_path/'a.jpg')
    code = """
import pathlib, sys
from srgan_course.cli import cats, models, upscale
d = pathlib.Path(sys.argv[1])
upscale(d/'a.jpg'); cats(n=2, out=d/'cats.png'); cats(n=2, out=d/'cats.gif', gif=True); models()
print(sorted({n.split('.')[0] for n, m in list(sys.modules.items()) if 'site-packages' in str(getattr(m, '__file__', ''))}))
"""
    r = subprocess.run([sys.executable, '-c', code, str(tmp_path)], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    more = set(eval(r.stdout.splitlines()[-1])) - {'numpy', 'PIL', 'onnxruntime', 'fastcore', 'cv2', 'packaging', 'google', 'flatbuffers'}
    assert not {m for m in more if not m.startswith(('_', 'srgan_course', 'numpy'))}, more

@pytest.mark.slow
def test_an_empty_environment(tmp_path):
    "README's line, word by word, in a fresh environment: at most 400 MB, and a picture, cats, the list of models."
    venv.create(tmp_path/'env', with_pip=True)
    at = tmp_path/'env'/('Scripts' if sys.platform == 'win32' else 'bin')
    r = None
    for part in LINE[0].split(' && '):
        r = subprocess.run([at/'python', '-m', *part.split()], capture_output=True, text=True, cwd=ROOT)
        if r.returncode and 'numpy' in part: pytest.skip(f'nothing can be installed here: {r.stderr[-200:]}')
        assert r.returncode == 0, r.stderr
    size = sum(p.stat().st_size for p in (tmp_path/'env').rglob('*') if p.is_file() and not p.is_symlink())/1e6
    assert size <= 400, f'{size:.0f} MB'
    Image.new('RGB', (128, 128), 'red').save(tmp_path/'a.jpg')
    for command, *args in (('srgan-upscale', 'a.jpg'), ('srgan-cats',), ('srgan-models',)):
        r = subprocess.run([at/command, *args], capture_output=True, text=True, cwd=tmp_path)
        assert r.returncode == 0, r.stderr
    assert Image.open(tmp_path/'a-x4.png').size == (512, 512) and Image.open(tmp_path/'cats.png').size == (526, 526)
    r = subprocess.run([at/'srgan-train'], capture_output=True, text=True, cwd=tmp_path)
    assert r.returncode == 2 and len(r.stderr.strip().splitlines()) == 1, r.stderr
