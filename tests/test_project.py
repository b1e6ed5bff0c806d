"""The repository as a whole: modules equal to notebooks, notebooks clean, README equal to index, metadata true, nothing that must not be
there."""
import ast, configparser, json, os, re, runpy, shutil, subprocess, sys
from pathlib import Path
import pytest
import readme
from conftest import ROOT

NBS = sorted((ROOT/'nbs').glob('*.ipynb')) + sorted((ROOT/'nbs'/'kit').glob('*.ipynb'))
page = lambda p: p.relative_to(ROOT/'nbs').as_posix()                             # 03_metrics.ipynb, kit/files.ipynb
cells = lambda p: json.loads(p.read_text(encoding='utf-8'))['cells']
src = lambda c: ''.join(c['source'])

@pytest.fixture(scope='module')
def copy(tmp_path_factory):
    "The notebooks and nbdev's settings in a folder of their own, to export and clean without touching the real ones."
    d = tmp_path_factory.mktemp('repo')
    for f in ('pyproject.toml', 'settings.ini', 'setup.py', 'README.md'): shutil.copy(ROOT/f, d/f)
    shutil.copytree(ROOT/'nbs', d/'nbs', ignore=shutil.ignore_patterns('.ipynb_checkpoints', 'runs', 'models', '_quarto.yml', '.*'))
    (d/'srgan_course').mkdir()
    shutil.copy(ROOT/'srgan_course'/'__init__.py', d/'srgan_course')
    return d

def nbdev(name, cwd): return subprocess.run([Path(sys.executable).parent/name], cwd=cwd, capture_output=True, text=True, timeout=300)

def test_modules_equal_notebooks(copy):
    r = nbdev('nbdev-export', copy)
    assert r.returncode == 0, r.stderr
    own = {'__init__.py', '__main__.py', 'kit/__init__.py'}
    names = lambda d: {p.relative_to(d/'srgan_course').as_posix() for p in (d/'srgan_course').rglob('*.py')} - own
    assert names(copy) == names(ROOT)
    for n in sorted(names(ROOT)):
        assert (copy/'srgan_course'/n).read_text(encoding='utf-8') == (ROOT/'srgan_course'/n).read_text(encoding='utf-8'), f'srgan_course/{n} is not what its notebook exports: run make export'

def test_notebooks_clean(copy):
    r = nbdev('nbdev-clean', copy)
    assert r.returncode == 0, r.stderr
    for p in NBS:
        assert (copy/'nbs'/page(p)).read_text(encoding='utf-8') == p.read_text(encoding='utf-8'), f'nbs/{page(p)} is not clean: run make export'

def test_readme_is_index():
    assert ((ROOT/'README.md').read_text(encoding='utf-8')
            == readme.to_markdown(json.loads((ROOT/'nbs'/'index.ipynb').read_text(encoding='utf-8'))))

def test_links_of_markdown_files_lead_somewhere():
    for p in sorted(ROOT.glob('*.md')):
        for link in re.findall(r'\]\(([^)\s]+)\)', p.read_text(encoding='utf-8')):
            if not link.startswith(('http', '#')): assert (ROOT/link.split('#')[0]).exists(), f'{p.name} links to {link}, which does not exist'

def test_quarto_config_is_one():
    "nbs/_quarto.yml is a link; where a checkout turned it into text, it still names the real one."
    link = ROOT/'nbs'/'_quarto.yml'
    text = link.read_text(encoding='utf-8')
    assert text == (ROOT/'_quarto.yml').read_text(encoding='utf-8') or text.strip() == '../_quarto.yml'

def test_sidebar_names_every_page():
    text = (ROOT/'_quarto.yml').read_text(encoding='utf-8')
    for p in NBS: assert re.search(rf'(?<![\w/]){re.escape(page(p))}', text), f'{page(p)} is not in the side bar of _quarto.yml'
    for name in re.findall(r'[\w/]+\.ipynb', text): assert (ROOT/'nbs'/name).exists(), f'_quarto.yml names {name}, which does not exist'

def test_page_names_differ_without_number():
    names = [re.sub(r'^\d+_', '', page(p)) for p in NBS]      # within a folder: results and kit/results are two pages
    assert len(names) == len(set(names))

def imported(source, here):
    """The modules of this package that a module imports, in functions and in strings too; the kit's table of names, asked by name, is left
    out."""
    tree = ast.parse(source)
    table = {id(c) for n in ast.walk(tree) if isinstance(n, ast.Assign) and getattr(n.targets[0], 'id', '') == 'HOMES'
             for c in ast.walk(n)}
    for n in ast.walk(tree):
        if isinstance(n, ast.Import): yield from (a.name[len('srgan_course.'):] for a in n.names if a.name.startswith('srgan_course.'))
        elif isinstance(n, ast.ImportFrom):
            folder = here.split('.')[:-n.level] if n.level else []
            full = '.'.join([*folder,
                             *(n.module or '').removeprefix('srgan_course').strip('.').split('.')]).strip('.') if n.level or (n.module
                                 or '').split('.')[0] == 'srgan_course' else None
            if full is not None: yield from [full] if full and full != 'kit' else ['.'.join(filter(None, (full, a.name))) for a in n.names]
        elif isinstance(n, ast.Constant) and isinstance(n.value,
                                                        str) and id(n) not in table and (m := re.fullmatch(r'srgan_course\.(\w+(?:\.\w+)?)',
                                                            n.value)):
            yield m[1]

def test_import_order():
    "A module imports only from the kit and from lessons before it, wherever the import stands; the kit imports no lesson."
    floor = {re.search(r'#\|\s*default_exp\s+([\w.]+)', s).group(1): page(p) for p in NBS for c in cells(p) for s in [src(c)]
             if re.search(r'#\|\s*default_exp', s)}
    number = {m: 0 if m.startswith('kit.') else int(s[:2]) if s[:2].isdigit() else 99 + (m == 'cli') for m, s in floor.items()}
    for m in number:
        for other in imported((ROOT/'srgan_course'/f'{m.replace(".", "/")}.py').read_text(encoding='utf-8'), m):
            if other == m or other not in number or m.startswith('kit.') and other.startswith('kit.'): continue
            assert number[other] < number[m], f'{m} (lesson {number[m]}) imports {other} (lesson {number[other]})'

def test_imports_are_seen():
    "In functions, in strings, relative and absolute; the table of names is no import."
    code = ("from .esrgan import a\nfrom srgan_course import cats\ndef f():\n    import srgan_course.fid\n    from . import domain as d\n  "
            " "
            " importlib.import_module('srgan_course.augment')\nHOMES = {'X': 'srgan_course.recognise'}\nfrom .kit.files import b\nfrom "
            "srgan_course.kit import stats")
    assert sorted(imported(code, 'srgan')) == ['augment', 'cats', 'domain', 'esrgan', 'fid', 'kit.files', 'kit.stats']
    assert list(imported('from .files import a\nfrom ..data import b', 'kit.weights')) == ['kit.files', 'data']

HEAVY = ['fastai', 'torchvision', 'matplotlib.pyplot', 'ipywidgets', 'sklearn', 'skimage']
@pytest.mark.parametrize('mods, heavy', [(['images', 'data', 'cli'], [*HEAVY, 'torch']),
                                         (['generators', 'upscale', 'critics', 'losses', 'metrics', 'fid', 'classifier'], HEAVY)],
                         ids=['no torch', 'torch alone'])
def test_light_at_import(mods, heavy):
    "These do not import fastai or torchvision; images, data and cli not even torch. One after the other, looked at after each."
    code = (f'import sys, importlib\nfor m in {mods}:\n    importlib.import_module("srgan_course." + m)\n    if bad := [h for h in {heavy} '
            f'if h in sys.modules]: sys.exit(f"srgan_course.{{m}} imports {{bad}}")')
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=240)
    assert r.returncode == 0, r.stderr

@pytest.mark.parametrize('nb', NBS, ids=lambda p: p.stem)
def test_stored_outputs(nb):
    "No traceback, warning or progress-bar litter in what a reader sees; a size a site can carry."
    assert nb.stat().st_size < 600_000, f'{nb.name} is {nb.stat().st_size//1000} kB'
    for c in cells(nb):
        for o in c.get('outputs', []):
            assert o['output_type'] != 'error', f'{nb.name}: {o.get("evalue")}'
            text = ''.join(o.get('text', o.get('data', {}).get('text/plain', '')))
            assert not re.search(r'\w*Warning\b|Traceback \(most', text), f'{nb.name}: {text[:200]}'
            assert '\r' not in text and 'it/s' not in text, f'{nb.name}: progress bar stored'

@pytest.mark.parametrize('nb', [p for p in NBS if p.stem[:2].isdigit()], ids=lambda p: p.stem)
def test_outputs_are_stored(nb):
    "The site shows lessons without running them, so most cells that make something keep it."
    assert any(c.get('outputs') for c in cells(nb) if c['cell_type'] == 'code'), f'{nb.name} has no stored output: run it and clean it'

def test_citations_have_entries():
    bib = (ROOT/'nbs'/'references.bib').read_text(encoding='utf-8')
    keys = set(re.findall(r'^@\w+\{([\w:-]+),', bib, re.M))
    for p in NBS:
        for c in cells(p):
            if c['cell_type'] != 'markdown': continue
            for k in re.findall(r'(?:(?<=\[)|(?<=; )|(?<= ))@([a-z]+\d{4}\w*)', src(c)):
                assert k in keys, f'{p.name} cites @{k}, which is not in references.bib'

def tracked():
    r = subprocess.run(['git', 'ls-files', '-z'], cwd=ROOT, capture_output=True)
    if r.returncode: pytest.skip('not a git checkout')
    return [ROOT/f for f in r.stdout.decode().split('\0') if f and (ROOT/f).is_file()]

def test_no_path_of_any_one_machine():
    home = re.compile(r'/(?:home|Users|root|work)/(?!ada)[a-z]|\.cud' + r'a\(\)')
    for f in tracked():
        if f.suffix in ('.py', '.ipynb', '.md', '.toml', '.ini', '.yml', '.json', '.csv', '.bib', ''):
            text = f.read_text(encoding='utf-8', errors='replace')
            if f.suffix == '.ipynb':
                text = '\n'.join(src(c) + json.dumps([o for o in c.get('outputs', []) if 'image/jpeg' not in str(o)
                                                      and 'image/png' not in str(o)]) for c in json.loads(text)['cells'])
            m = home.search(text)
            assert not m, f'{f.relative_to(ROOT)}: {text[max(0, m.start()-40):m.end()+40]!r}'

def test_metadata(tmp_path):
    "What setuptools makes of settings.ini now, not of what it was when somebody installed it: a stale .egg-info must not speak for the checkout."
    ini = configparser.ConfigParser(delimiters=['='], interpolation=None); ini.read(ROOT/'settings.ini', encoding='utf-8')
    cfg = ini['DEFAULT']
    from importlib.metadata import PathDistribution
    r = subprocess.run([sys.executable, 'setup.py', '-q', 'egg_info', '--egg-base', str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    built = PathDistribution(tmp_path/f'{cfg["lib_name"]}.egg-info')
    assert built.metadata['Name'].replace('-', '_') == cfg['lib_name'] and built.metadata['Version'] == cfg['version']
    assert built.metadata['Requires-Python'] == f">={cfg['min_python']}"
    import srgan_course; assert srgan_course.__version__ == cfg['version']
    scripts = {e.name: e.value for e in built.entry_points if e.group == 'console_scripts' and callable(e.load())}
    for line in cfg['console_scripts'].split('\n'):
        if line.strip(): name, target = (s.strip() for s in line.split('=')); assert scripts[name] == target

@pytest.fixture
def said(monkeypatch):
    "What setup.py tells setuptools."
    setuptools, said = pytest.importorskip('setuptools'), {}
    monkeypatch.chdir(ROOT); monkeypatch.setattr(setuptools, 'setup', lambda **kw: said.update(kw))
    runpy.run_path('setup.py')
    return said

def test_addresses_come_from_one_place(said):
    "pyproject.toml alone gives the project's addresses: setup.py gives none, and `dynamic` does not promise any."
    import tomllib
    project = tomllib.loads((ROOT/'pyproject.toml').read_text(encoding='utf-8'))['project']
    assert 'urls' in project and 'urls' not in project['dynamic'] and not {'url', 'project_urls', 'download_url'} & set(said)
    from setuptools.config.pyprojecttoml import validate
    full = {'project': {**project, 'urls': {'Repository': 'https://github.com/someone/course',
                                            'Documentation': 'https://someone.github.io/course/'}}}
    for p in ({'project': project}, full): assert validate(p, ROOT/'pyproject.toml')

def test_what_travels_in_the_package(said):
    "Lessons, measured figures and models: what the commands and the copied lessons read outside a clone."
    folder = lambda name: ROOT/said['package_dir'].get(name, name.replace('.', '/'))
    kept = {name: {f.relative_to(folder(name)).as_posix() for p in patterns for f in folder(name).glob(p)} for name,
            patterns in said['package_data'].items()}
    assert set(kept) <= set(said['packages']) and all(kept.values())
    assert {page(p) for p in NBS} | {'references.bib'} <= kept['srgan_course.lessons']
    assert {p.name for p in (ROOT/'results').glob('*.json')} == kept['srgan_course.results']
    assert {f'models/{p.name}' for p in (ROOT/'srgan_course'/'models').iterdir()} == kept['srgan_course']

def make(*args, **env):
    env = {**{k: v for k, v in os.environ.items() if k not in ('MAKEFLAGS', 'MFLAGS', 'MAKELEVEL')}, **env}
    return subprocess.run([shutil.which('make'), '-C', str(ROOT), '--no-print-directory', *args], capture_output=True, text=True, env=env)

@pytest.mark.skipif(not shutil.which('make'), reason='make is not on the path')
def test_make_lists_what_it_can_and_says_what_is_missing(tmp_path):
    "A bare make lists; what cannot be is said in one line before anything is prepared."
    bare = make()
    assert bare.returncode == 0 and {l.split()[1] for l in bare.stdout.splitlines()} >= {'demo', 'test', 'lessons', 'docs', 'clean'}
    docs, old = make('-W', 'settings.ini', 'docs', PATH=str(tmp_path)), make('-W', 'settings.ini', 'test', 'PYTHON=python-of-nobody')
    for r, says in ((docs,
                     'make docs needs Quarto, which is not on the path. Get it from https://quarto.org/docs/get-started/, then run make '
                     'docs again.'),
                    (old, "srgan_course wants Python 3.11 or newer; 'python-of-nobody' is missing. Give another one: make "
                          "PYTHON=python3.12 ...")):
        assert r.returncode == 2 and r.stderr.splitlines()[0] == says and not r.stdout, r

def test_lint():
    "ruff finds nothing, by the settings of pyproject.toml: what it says names the file and the line (a notebook's cell)."
    r = subprocess.run([sys.executable, '-m', 'ruff', 'check', '--no-cache', '--output-format', 'concise', str(ROOT)], capture_output=True, text=True)
    assert r.returncode == 0, r.stdout + r.stderr

def unmarked(source):
    "Tests that call what Windows lacks and are not skipped there."
    tree = ast.parse(source)
    texts = [n.targets[0].id for n in tree.body if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name)
             and re.search(UNIX, ast.unparse(n))]
    if re.search('^pytestmark = .*(fork|slow)', source, re.M): return []
    return [f.name for f in tree.body if isinstance(f, ast.FunctionDef) and f.name.startswith('test_')
            and re.search('|'.join([UNIX, *texts]), ast.unparse(f)) and not re.search('skipif|posix|hasattr', ast.unparse(f))]
UNIX = r'os\.(mkfifo|fork|getuid|setuid)\(|import (resource|fcntl)\b|signal\.(SIGKILL|SIGXFSZ|pthread_sigmask)\b'

def test_what_needs_unix_is_skipped_on_windows():
    "The workflow runs all tests there, too."
    assert unmarked("def test_a(): os.mkfifo('a')\nB = 'import resource'\ndef test_b(): run(B)") == ['test_a', 'test_b']
    assert not unmarked("@posix\ndef test_a(): os.mkfifo('a')\ndef test_b(): os.getcwd()")
    bad = {p.name: names for p in sorted((ROOT/'tests').glob('test_*.py')) if (names := unmarked(p.read_text(encoding='utf-8')))}
    assert not bad, bad
