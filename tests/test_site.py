"""The site as far as it can be seen without Quarto: what nbdev makes of the notebooks, on a copy of the repository.

nbdev turns the first Markdown cell of a page into its title and subtitle and drops whatever else stands in it. It runs every cell that
is not exported and has an
import anywhere in it, without the cells before it. So a first cell holds a title and one quoted line, and imports stand in cells of
their own.
"""
import ast, json, os, re, shutil, subprocess, sys
from types import SimpleNamespace
import pytest
import forked, home, readme
from conftest import ROOT

NBS = sorted((ROOT/'nbs').glob('*.ipynb')) + sorted((ROOT/'nbs'/'kit').glob('*.ipynb'))
name = lambda p: p.relative_to(ROOT/'nbs').with_suffix('').as_posix()
cells = lambda p: json.loads(p.read_text(encoding='utf-8'))['cells']
src = lambda c: ''.join(c['source'])

# ---- what a notebook has to be

def parsed(code): return ast.parse(re.sub(r'^[%!].*$', '', code, flags=re.M))

def is_mixed(code):
    "Would nbdev run this cell by itself, although it needs the cells before it?"
    if re.search(r'^#\|\s*(export|exporti|exports|exec_doc)\b|^#\|\s*eval:\s*false', code, re.M): return False
    tree, imports = parsed(code), (ast.Import, ast.ImportFrom)
    return any(isinstance(n, imports) for n in ast.walk(tree)) and not all(isinstance(n, imports) for n in tree.body)

@pytest.mark.parametrize('nb', NBS, ids=name)
def test_imports_stand_in_cells_of_their_own(nb):
    mixed = [f'{c["id"]}: {src(c)[:70]!r}' for c in cells(nb) if c['cell_type'] == 'code' and is_mixed(src(c))]
    assert not mixed, f'{name(nb)}: put the imports of these cells into a cell before them:\n' + '\n'.join(mixed)

def first_cell_holds_more(text):
    return [l for l in text.splitlines()[1:] if l.strip() and not l.startswith('> ')] or text.count('\n> ') > 1 or not text.startswith('# ')

@pytest.mark.parametrize('nb', NBS, ids=name)
def test_first_cell_is_title_and_subtitle(nb):
    assert not first_cell_holds_more(src(cells(nb)[0])), f'{name(nb)}: the first cell is a title and one quoted line; the rest of it would not be on the page'

def test_these_can_fail():
    assert [is_mixed(s) for s in ('import os\nx = 1', 'def f():\n    import os\n    return os', 'import os\nfrom a import b',
                                  '#| export\nimport os\nx = 1', 'x = 1', '%matplotlib inline\nimport os')] == [True, True] + [False]*4
    assert (first_cell_holds_more('# A\n\n> B\n\nMore.') and first_cell_holds_more('# A\n> B\n> C') and first_cell_holds_more('A')
            and not first_cell_holds_more('# A\n\n> B'))

def titles():
    "'09_srgan.ipynb' -> '09 The recipe'."
    return {p.name: f'{p.stem[:2]} {src(cells(p)[0]).splitlines()[0][2:].strip()}' for p in NBS if p.stem[:2].isdigit()}

def test_lessons_have_one_name():
    "The side bar, the table of the front page and the lessons themselves agree on number and title."
    side = {m[2]: m[1] for m in re.finditer(r'\{text: "(\d\d [^"]*)", href: ([\w.]+)\}', (ROOT/'_quarto.yml').read_text(encoding='utf-8'))}
    table = {m[2]: m[1] for m in re.finditer(r'^\| \[(\d\d [^\]]*)\]\(nbs/([\w.]+)\)', (ROOT/'README.md').read_text(encoding='utf-8'),
                                             re.M)}
    for where, names in {'the side bar of _quarto.yml': side, "the front page's table": table}.items():
        assert list(names) == list(titles()), f'{where} has other lessons, or another order'
        wrong = {k: (names[k], t) for k, t in titles().items() if names[k] != t}
        assert not wrong, f'{where} has another name than the lesson: {wrong}'

# ---- what nbdev makes of them

def copy_repo(to, notebooks=None):
    """The notebooks and what nbdev reads besides, in a folder of their own; a program named quarto, so that nbdev does not go and install
    it."""
    for f in ('pyproject.toml', 'settings.ini', 'setup.py', '_quarto.yml', 'CITATION.cff', 'README.md'): shutil.copy(ROOT/f, to/f)
    shutil.copytree(ROOT/'srgan_course', to/'srgan_course', ignore=shutil.ignore_patterns('__pycache__', 'models'))
    shutil.copytree(ROOT/'nbs', to/'nbs', ignore=shutil.ignore_patterns('.*', 'runs', 'models', 'demo'))
    shutil.copy(ROOT/'_quarto.yml', to/'nbs'/'_quarto.yml')
    for p in (to/'nbs').rglob('*.ipynb'):
        if notebooks is not None and p.relative_to(to/'nbs').as_posix() not in notebooks: p.unlink()
    (to/'bin').mkdir()
    for n, text in {'quarto': '#!/bin/sh\nexit 0\n', 'quarto.bat': '@exit 0\n'}.items():
        (to/'bin'/n).write_text(text); (to/'bin'/n).chmod(0o755)
    return to

def process(folder):
    "nbdev-proc-nbs in `folder`."
    env = {**os.environ, 'PYTHONPATH': str(folder), 'PATH': f'{folder/"bin"}{os.pathsep}{os.environ["PATH"]}', 'PYTHONUTF8': '1',
           'MPLBACKEND': 'agg'}
    # in one process, a fork: each more would import fastai again. Of this package and of nbdev nothing is kept, so that those of `folder` are read.
    # nbdev reads pyproject.toml anew for each cell, which takes as long as all the rest
    code = (f'import sys; sys.path.insert(0, {str(folder)!r})\n'
            'for m in [*sys.modules]:\n    if m.split(".")[0] in ("srgan_course", "nbdev", "execnb"): del sys.modules[m]\n'
            'import functools, nbdev.config as c; c._load_toml = functools.cache(c._load_toml)\n'
            'from nbdev.serve import proc_nbs; proc_nbs(n_workers=0)')
    return forked.command('-c', code, cwd=folder, env=env, timeout=900)

@pytest.fixture(scope='module')
def site(tmp_path_factory):
    "What nbdev says while it makes the pages, and the folder they are in."
    d = copy_repo(tmp_path_factory.mktemp('site'))
    return process(d), d/'_proc'

def complaints(text):
    "The lines of a program's output that tell of a fault."
    return [l for l in text.splitlines() if re.search(r'\b\w*(?:Error|Warning|Exception)\b|Traceback|warn\(|\bfailed\b', l)]

def test_pages_are_made_without_a_word(site):
    r, pages = site
    assert r.returncode == 0 and not complaints(r.stdout + r.stderr), (r.stdout + r.stderr)[-3000:]
    assert {p.relative_to(pages).with_suffix('').as_posix() for p in pages.rglob('*.ipynb')} == {name(p) for p in NBS}

def page_text(c):
    "Everything of a cell that is Markdown on the page."
    return '\n'.join([src(c)]*(c['cell_type'] != 'code') + [''.join(o['data']['text/markdown']) for o in c.get('outputs', ())
                                                            if 'text/markdown' in o.get('data', {})])

def page(pages, nb): return '\n\n'.join(page_text(c) for c in cells(pages/f'{nb}.ipynb'))

SENTENCES = {'index': ['`make demo` made this picture', '## Three commands', 'Install that first; the rest follows', '| [18 Cats from noise]',
                       'nothing that you give to a command is ever unpickled'],
             '00_tour': ['After this page you know what super-resolution is', 'a photo of your own', '## '],
             'cli': ['Bad input ends in one line on standard error', '## srgan-upscale',
                     'Folder for the pictures, curves, figures and the model', 'The lessons travel inside the package']}

@pytest.mark.parametrize('nb', SENTENCES)
def test_pages_show_their_text(site, nb):
    text = page(site[1], nb)
    for s in SENTENCES[nb]: assert s in text, f'{nb}: {s!r} is not on the page'

def test_a_lesson_shows_the_code_that_it_is_about(site):
    "What a lesson exports stands on its page, under its heading; a kit page has the documentation, not the code."
    code = lambda nb: '\n'.join(src(c) for c in cells(site[1]/f'{nb}.ipynb') if c['cell_type'] == 'code')
    assert 'def _do_one_batch(self:SRGANLearner):' in code('07_gan') and '#| export' not in code('07_gan')
    assert 'show_doc(SRGANLearner)' in code('07_gan') and code('07_gan').count('def __init__(self, dls, ') == 1
    assert 'show_doc(run_state)' in code('kit/runs') and 'def run_state' not in code('kit/runs')

def plain(text): return re.sub(r'\[(`[^`]+`)\]\(/[^)]*\)', r'\1', text)        # links between names taken out again

@pytest.mark.parametrize('nb', NBS, ids=name)
def test_no_text_is_lost(site, nb):
    text = plain(page(site[1], name(nb)))
    for c in cells(nb)[1:]:
        if c['cell_type'] == 'markdown' and not c.get('metadata', {}).get('hide') and '#| hide' not in src(c):
            assert plain(src(c)).strip() in text, f'{name(nb)}, {c["id"]}: not on the page'

def heading_ids(text):
    "The ids that Pandoc gives the headings of a Markdown text."
    seen, fence = {}, False
    for line in text.splitlines():
        if line.startswith('```'): fence = not fence
        if fence or not (m := re.match(r'#{1,6}\s+(.*)', line)): continue
        if given := re.search(r'\{#([\w-]+)', m[1]): yield given[1]; continue
        s = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', m[1]).replace('`', '').replace('*', '')
        s = re.sub(r'[^\w\s.-]', '', s.strip()).lower()
        s = re.sub(r'^[^a-z]+', '', re.sub(r'\s+', '-', s)) or 'section'
        n = seen[s] = seen.get(s, -1) + 1
        yield f'{s}-{n}' if n else s

def test_heading_ids():
    assert list(heading_ids('## 3. Why `psnr_y`?\n```\n# no\n```\n### Stats.add\n## A, b\n## A b\n## X {#y}')) == ['why-psnr_y',
        'stats.add', 'a-b', 'a-b-1', 'y']

def html(p): return re.sub(r'^\d+\w*?_', '', p.stem.lower()) + '.html'

def test_links_lead_somewhere(site):
    "To a page that is there, and to a heading of it; none to a page of source code while there is no server that shows it."
    pages, bad = site[1], []
    ids = {p.relative_to(pages).as_posix(): set(heading_ids(page(pages, p.relative_to(pages).with_suffix('').as_posix())))
           for p in pages.rglob('*.ipynb')}
    at = {'/' + (p.relative_to(pages).parent/html(p)).as_posix(): p.relative_to(pages).as_posix() for p in pages.rglob('*.ipynb')}
    for p in sorted(pages.rglob('*.ipynb')):
        here = p.relative_to(pages)
        text = re.sub(r'```.*?```', '', page(pages, here.with_suffix('').as_posix()), flags=re.S)
        if '[source](' in text and not home.home(ROOT).git_url: bad.append(f'{here}: a link to source code')
        for m in re.finditer(r'(?<!`)\]\(([^)\s]+)\)', text):
            to, _, anchor = m[1].partition('#')
            if re.match(r'https?:|mailto:', to): continue
            if to.startswith('/'): to = at.get(to, to)
            elif to: to = os.path.normpath(here.parent/to).replace(os.sep, '/')
            else: to = here.as_posix()
            if to in ids: bad += [f'{here}: {m[1]}: no such heading'] if anchor and anchor not in ids[to] else []
            elif not (pages/to).is_file(): bad.append(f'{here}: {m[1]}: no such page')
    assert not bad, '\n'.join(bad)

def test_a_plain_word_is_not_taken_for_a_namesake(site):
    "`train`, `right`, `pretrained`: links from a bare word lead only to the page itself."
    pages, bad = site[1], []
    for p in pages.rglob('*.ipynb'):
        own = '/' + (p.relative_to(pages).parent/html(p)).as_posix()
        bad += [f'{p.name}: {m[0]}' for m in re.finditer(r'\[`([a-z]+)(?:\(\))?`\]\((/[^)#]*)#[^)]*\)',
                                                         page(pages, p.relative_to(pages).with_suffix('').as_posix())) if m[2] != own]
    assert not bad, '\n'.join(bad)

def test_addresses_as_python_3_14_joins_them(monkeypatch):
    "Without a host, its `urljoin('//', 'images.html')` is '///images.html', and nbdev joins so."
    from srgan_course.kit import pages
    syms = {'srgan_course.images': {'srgan_course.images.downscale': ('///images.html#downscale',)}}
    monkeypatch.setattr(pages, 'NbdevLookup', lambda: SimpleNamespace(entries={'srgan_course': {'syms': syms}}))
    assert pages._rooms.__wrapped__() == {'images': {'downscale': '/images.html#downscale'}}

# ---- what follows from a home

HOME = '[project.urls]\nRepository = "https://github.com/someone/cours"\nDocumentation = "https://someone.github.io/cours/"\n'

@pytest.mark.parametrize('with_home', [False, True])
def test_what_follows_from_a_home(tmp_path, with_home):
    "Links to source code and to Colab, buttons, sitemap and citation: all with a home in pyproject.toml, none without."
    copy_repo(tmp_path, notebooks=['index.ipynb', 'kit/pages.ipynb', 'kit/measured.ipynb', '00_tour.ipynb'])
    lesson = json.loads((tmp_path/'nbs'/'00_tour.ipynb').read_text(encoding='utf-8'))
    lesson['cells'] = lesson['cells'][:1] + [dict(cell_type='markdown', id='more', metadata={}, source='More.')]
    (tmp_path/'nbs'/'00_tour.ipynb').write_text(json.dumps(lesson), encoding='utf-8')
    toml = re.sub(r'^\[project\.urls\]\n(?:[^\[\n].*\n)*', HOME if with_home else '[project.urls]\n',
                  (tmp_path/'pyproject.toml').read_text(encoding='utf-8'), flags=re.M)
    (tmp_path/'pyproject.toml').write_text(toml, encoding='utf-8')
    home.main(True, tmp_path)
    assert not home.main(False, tmp_path)                                     # written once is enough
    shutil.copy(tmp_path/'_quarto.yml', tmp_path/'nbs'/'_quarto.yml')
    before = (tmp_path/'nbs'/'nbdev.yml').read_text(encoding='utf-8')
    env = dict(cwd=tmp_path, env={**os.environ, 'PYTHONPATH': str(tmp_path)}, capture_output=True, text=True, timeout=300)
    assert subprocess.run([shutil.which('nbdev-export', path=os.path.dirname(sys.executable))], **env).returncode == 0
    r = process(tmp_path)
    assert r.returncode == 0 and not complaints(r.stdout + r.stderr), r.stderr[-2000:]
    assert (tmp_path/'nbs'/'nbdev.yml').read_text(encoding='utf-8') == before  # what nbdev writes itself
    kit, tour = (page(tmp_path/'_proc', p) for p in ('kit/measured', '00_tour'))
    quarto, cff = ((tmp_path/p).read_text(encoding='utf-8') for p in ('_proc/_quarto.yml', 'CITATION.cff'))
    there = {'source': 'https://github.com/someone/cours/blob/main/srgan_course/kit/measured.py#L' in kit, 'any source': '[source]' in kit,
             'Colab': 'https://colab.research.google.com/github/someone/cours/blob/main/nbs/00_tour.ipynb' in tour,
             'any Colab': 'Colab' in tour,
             'edit, issue': 'repo-url: "https://github.com/someone/cours"' in quarto and 'repo-actions: [edit, issue]' in quarto
             and 'repo-subdir: nbs' in quarto, 'any repo': 'repo-' in quarto,
             'sitemap': 'site-url: "https://someone.github.io/cours/"' in quarto, 'any site': 'site-url' in quarto,
             'citation': 'repository-code: "https://github.com/someone/cours"' in cff and 'url: "https://someone.github.io/cours/"' in cff,
             'any address': 'someone' in cff}
    assert set(there.values()) == {with_home}, there
    assert 'github.io' not in kit                                              # links between pages stay within them

def test_home_is_the_same_everywhere():
    assert not home.main(False), 'run make export'

# ---- what the pages are dressed in

def test_settings_of_the_site():
    "What was seen in a browser: no page scrolls sideways, no code is cut, both themes, a card; the pictures are there."
    import yaml
    q = yaml.safe_load((ROOT/'_quarto.yml').read_text(encoding='utf-8'))
    web, fmt = q['website'], q['format']['html']
    assert fmt['code-overflow'] == 'wrap' and 'code-fold' not in fmt and set(fmt['theme']) == {'light',
        'dark'} and web['llms-txt'] is True and web['open-graph']
    for f in (web['favicon'], web['image'], fmt['css']): assert (ROOT/'nbs'/f).is_file(), f
    assert len(web['image-alt']) > 20
    css = (ROOT/'nbs'/fmt['css']).read_text(encoding='utf-8')
    for rule in ('#title-block-header { margin-bottom', 'main table { display: block; overflow-x: auto; }',
                 'mjx-container { overflow-x: auto', 'overflow-wrap: anywhere'):
        assert rule in css, rule

def test_readme_holds_the_front_page():
    text = (ROOT/'README.md').read_text(encoding='utf-8')
    for c in cells(ROOT/'nbs'/'index.ipynb'): assert readme.to_markdown(dict(cells=[c])).removeprefix(readme.NOTE).strip() in text
