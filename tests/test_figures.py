"""Every measured figure that README, the model cards and the page of results quote stands in results/, of the model it is quoted for, or
in nbs/published.csv.

A row of a table is about what its first cell names, on the pictures its column names. In prose, a figure in dB, FID, KID or LPIPS has
to be a figure of that kind, of something that its paragraph (or the card it stands on) names;
a number of %, times, seconds or MB has to stand in some file. Where a figure is refused, write it with `kit.results.figure`.
"""
import csv, json, re
import pytest
from conftest import ROOT, script
from quoted import quotable
from readme import figure
from srgan_course.kit.results import load_result
from srgan_course.metrics import CLASSIC

RESULTS = {p.stem: load_result(p) for p in sorted((ROOT/'results').glob('*.json'))}
PUBLISHED = list(csv.DictReader((ROOT/'nbs'/'published.csv').open(encoding='utf-8')))
CARDS = sorted((ROOT/'srgan_course'/'models').glob('*.md'))
ENLARGE = [p for p in CARDS if re.search(r'-x\d$', p.stem)]                        # the others make pictures from noise
PAGES = {'README.md': ROOT/'README.md', **{p.name: p for p in CARDS}, 'results.ipynb': ROOT/'nbs'/'results.ipynb'}

NUMBER = r'(?<![\w.,/-])(\d[\d,]*(?:\.\d+)?)'
BEFORE = re.compile(NUMBER + r'\s?(dB|%|times|seconds|MB)(?![\w-])')
AFTER = re.compile(r'\b(FID|KID|LPIPS)\b[^\d.|]{0,16}?(\d*\.\d+)')
COLUMNS = {'set5': 'set5', 'photos': 'embedded', 'embedded': 'embedded'}          # a word of a column's title -> the end of a file's name
WORDS = {'50': '"50 % larger" is not a measurement', '400 MB': 'a bound: what the small installation takes stands in results/install.json'}

def subject(name):
    "What a result is about: light-x4-set5 -> light-x4, bicubic-x4-set5 -> bicubic-x4, demo -> demo."
    return re.sub(r'-(set5|embedded|train|outlook|paired|kid|fid|lpips|speed)$', '', name)

def about(text, scale=4):
    "The subjects of results, and the methods of the published table, that a text names."
    t = text.lower().replace('`', '')
    has = lambda s: re.search(rf'(?<![\w-]){re.escape(s.lower())}(?![\w-])', t)
    found = {s for s in map(subject, RESULTS) if has(s) or has(s.replace('_', ' '))}
    return found | {f'{c}-x{scale}' for c in CLASSIC if has(c)}, {r['method'] for r in PUBLISHED if has(r['method'])}

def tables(text):
    "Tables of a Markdown text: lists of rows of cells."
    block = []
    for line in [*text.splitlines(), '']:
        if line.lstrip().startswith('|'): block.append([c.strip() for c in line.strip().strip('|').split('|')])
        elif block:
            if len(block) > 2: yield block[0], [r for r in block[2:]]
            block = []

def check_table(head, rows, page, scale):
    "The numbers of a table that nothing holds. Only tables that are about results, or what is published, are looked at."
    bad, where = [], None
    if not re.search(r'PSNR|SSIM|FID|KID|LPIPS|dB', ' '.join(head)): return bad
    if m := re.search(r'\bx([234])\b', ' '.join(head)): scale = int(m[1])
    # the file a whole table is about; its rows are entries of it
    whole = about(head[0])[0]
    for r in rows:
        m = re.search(r'\bx([234])\b', r[0])                                           # a row may name its own scale
        names, methods = about(r[0], int(m[1]) if m else scale)
        kinds = {'pretrained', 'SRGAN'} & set(re.findall(r'\w+', r[0])) if 'demo' in names else set()
        where = None
        for title, cell in zip(head[1:], r[1:]):
            where = next((v for k, v in COLUMNS.items() if k in title.lower()), where)
            for s in re.findall(r'(?<![\w.,-])\d+\.\d+(?![\w.])', cell):
                files = [v for k, v in RESULTS.items() if subject(k) in names
                         and (not where or k.endswith(where) or not re.search('-(set5|embedded)$', k))]
                ok = any(kinds <= set(map(str, w)) and w[-1] != 'n' for v in files for w in quotable(s, v))
                ok = ok or any(r[0] in w and w[-1] != 'n' for k, v in RESULTS.items() if subject(k) in whole for w in quotable(s, v))
                if not (ok or any(s in row.values() for row in PUBLISHED if row['method'] in methods
                                  and where in (None, row['set'].lower()))):
                    bad.append(f'{page}: {s!r} in the row {r[0]!r}, column {title!r}: no file about {sorted(names) or r[0]} holds it'
                               + (f' for {where}' if where else ''))
    return bad

def kind_fits(kind, way):
    "Is the figure at the end of `way` of the kind that the text says?"
    way = ' '.join(map(str, way)).lower()
    return {'dB': 'psnr' in way or 'db' in way, '%': True, 'times': True, 'seconds': True, 'MB': True}.get(kind, kind.lower() in way)

def check_prose(text, page, scale, own=None):
    "The numbers with a unit, outside tables, that nothing holds."
    bad = []
    for par in re.split(r'\n\s*\n', '\n'.join('' if l.lstrip().startswith('|') else l for l in text.splitlines())):
        names, methods = about(par, scale)
        named = names | ({own, *(f'{c}-x{scale}' for c in CLASSIC)} if own else set())
        for m in [*BEFORE.finditer(par), *AFTER.finditer(par)]:
            s, kind = (m[1], m[2]) if m.re is BEFORE else (m[2], m[1])
            if s in WORDS or f'{s} {kind}' in WORDS: continue
            files = [v for k, v in RESULTS.items() if subject(k) in named]
            ok = any(kind_fits(kind, w) for v in files for w in quotable(s, v, kind == '%'))
            ok = ok or kind == 'dB' and any(s == r['psnr'] for r in PUBLISHED if r['method'] in methods)
            if not ok: bad.append(f'{page}: {m[0]!r}: no file about {sorted(named)} holds it')
    return bad

def check(text, page, own=None, scale=4):
    text = re.sub(r'```.*?```|95 % (?=intervals?\b)', '', text, flags=re.S)                # the level of an interval is no figure
    return [b for head, rows in tables(text) for b in check_table(head, rows, page, scale)] + check_prose(text, page, scale, own)

def text_of(path):
    "A page as Markdown; of a notebook its prose, and what its cells have shown as Markdown."
    if path.suffix == '.md': return path.read_text(encoding='utf-8')
    join, parts = ''.join, []
    for c in json.loads(path.read_text(encoding='utf-8'))['cells']:
        if c['cell_type'] == 'markdown': parts.append(join(c['source']))
        parts += [join(o['data']['text/markdown']) for o in c.get('outputs', ()) if 'text/markdown' in o.get('data', {})]
    return '\n\n'.join(parts)

def test_a_figure_as_a_text_writes_it(tmp_path):
    "Its digits; and what is said where it is not measured, not there, or no number."
    (tmp_path/'bicubic-x4.json').write_text(json.dumps(RESULTS['bicubic-x4-set5'] | dict(figures=dict(mean=dict(psnr=28., ssim=.75)))))
    mean = lambda name, *keys, **kw: figure(name, *keys, folder=tmp_path, **kw)
    assert (mean('bicubic-x4', 'mean', 'psnr'), mean('bicubic-x4', 'mean', 'ssim', digits=3)) == ('28.00', '0.750')
    with pytest.raises(ValueError, match="no figure 'mean lpips'; there is psnr, ssim"): mean('bicubic-x4', 'mean', 'lpips')
    with pytest.raises(ValueError, match='is not a number; go on to psnr, ssim'): mean('bicubic-x4', 'mean')
    with pytest.raises(FileNotFoundError, match='best-x4 is not measured'): mean('best-x4', 'mean', 'psnr')

def test_results_follow_the_schema():
    assert RESULTS, 'no file in results/'
    for k, r in RESULTS.items():
        assert r['name'] == k, f'{k}.json says its name is {r["name"]}'
        written = re.search(r'--result \S*?([\w-]+)\.json', r['command'])
        assert not written or written[1] == k, f'{k}.json says it was written as {written[1]}.json: measure it anew'

def test_a_judge_is_called_what_it_is():
    "The ResNet-50 of these figures is pruned and has 8 bits: whoever quotes it says so in the same paragraph."
    for page in ('README.md', 'results.ipynb'):
        for par in re.split(r'\n\s*\n', text_of(PAGES[page])): assert 'ResNet-50' not in par or 'pruned' in par, f'{page}: {par[:200]}'

def test_published_rows_have_source_and_protocol():
    for r in PUBLISHED: assert r['source'] and r['protocol'] and r['where'] and float(r['psnr']) > 20, r
    cited = {r['source'] for r in PUBLISHED}
    keys = set(re.findall(r'^@\w+\{(\w+)', (ROOT/'nbs'/'references.bib').read_text(encoding='utf-8'), re.M))
    assert cited <= keys, f'published.csv cites {cited - keys}, which references.bib does not hold'

@pytest.mark.parametrize('page', PAGES)
def test_quoted_figures_were_measured(page):
    own = PAGES[page].stem if PAGES[page] in CARDS else None
    bad = check(text_of(PAGES[page]), page, own, int(own[-1]) if PAGES[page] in ENLARGE else 4)
    assert not bad, '\n'.join(bad)

def test_every_model_has_its_figures_on_its_card():
    for p in ENLARGE:
        text = p.read_text(encoding='utf-8')
        for d in ('set5', 'embedded'):
            assert figure(f'{p.stem}-{d}', 'mean', 'psnr', folder=ROOT/'results') in text, f'{p.name} does not say its PSNR on {d}'

def test_a_model_set_beside_another_is_measured_with_what_ships():
    "The paired difference on the card of srresnet-x4 is that of the file, of the weights that ship, and its interval is about it."
    from srgan_course.kit.models import model_facts
    r, card = RESULTS['srresnet-x4-paired'], PAGES['srresnet-x4.md'].read_text(encoding='utf-8')
    d, facts = r['figures']['difference'], model_facts(())
    assert r['checksums'] == {m: facts[m]['checksum'] for m in ('srresnet-x4', 'light-x4')}, 'other weights ship: make the card anew (ship.py --cards)'
    value, (lo, hi) = d['psnr']['value'], d['psnr']['interval']
    assert f'{value:.4f} dB more than `light-x4` on the held-out photographs of BSDS500 (95 % interval {lo:.4f} to {hi:.4f} dB; better on {d["better_on"]} of {r["n"]})' in card
    a, b = (r['figures'][m]['psnr'] for m in ('srresnet-x4', 'light-x4'))
    assert 0 < lo < value < hi and abs(a - b - value) < 2e-4 and r['n'] == 100
    wrong = card.replace(f'{value:.4f} dB more', f'{value + .001:.4f} dB more'); assert len(check(wrong, 'srresnet-x4.md', own='srresnet-x4')) == 1

@pytest.mark.parametrize('page', [*(p.name for p in ENLARGE), 'README.md', 'results.ipynb'])
def test_what_was_trained_on_is_said(page):
    text = text_of(PAGES[page])
    assert '`woman`' in text and 'BSDS500' in text and 'Set5, Set14' not in text

HEAD = '| x4, PSNR / SSIM | Set5 | embedded photos |\n|---|---|---|\n'

def test_wrong_figures_are_found():
    "The tests above can fail: on a figure nobody measured, on another model's, on that of other pictures or of another kind."
    f = lambda m, d, k='psnr', digits=2: figure(f'{m}-{d}', 'mean', k, digits=digits, folder=ROOT/'results')
    bi, lz, photos = f('bicubic-x4', 'set5'), f('lanczos-x4', 'set5'), f('bicubic-x4', 'embedded')
    assert check(f'{HEAD}| bicubic | {bi} / {f("bicubic-x4", "set5", "ssim", 4)} | {photos} |', 'page') == []
    assert len(check(f'{HEAD}| bicubic | {lz} | {photos} |', 'page')) == 1                  # Lanczos' figure in bicubic's row
    assert len(check(f'{HEAD}| bicubic | {photos} | {bi} |', 'page')) == 2                  # columns exchanged
    assert len(check(f'{HEAD}| bicubix | {bi} | |', 'page')) == 1                           # about nothing that was measured
    own = lambda row, k, digits=2: figure('srgan-x4-kid', row, k, digits=digits, folder=ROOT/'results')
    table = '| srgan-x4 beside others | feature distance | PSNR |\n|---|---|---|\n| bicubic | {} | {} |\n'
    assert check(table.format(own('bicubic', 'squeeze-caffe'), own('bicubic', 'psnr')), 'page') == []
    # other rows' figures of the same file
    assert len(check(table.format(own('srgan-x4-earlier', 'squeeze-caffe'), own('srgan-x4', 'psnr')), 'page')) == 2
    assert check(f'Bicubic reaches {bi} dB on Set5.', 'page') == []
    assert len(check(f'Everything reaches {bi} dB on Set5.', 'page')) == 1                  # says not what
    assert len(check('Bicubic reaches 99.99 dB.', 'page')) == 1
    # true figures, of another kind
    assert len(check(f'Bicubic has a KID of {f("bicubic-x4", "set5", "ssim", 4)}, and FID {bi}.', 'page')) == 2
    assert len(check(f'It reaches {lz} dB; light-x2 has {f("light-x2", "set5")} dB.', 'light-x4.md', own='light-x4')) == 0
    # another model's figure on this card
    assert len(check(f'It reaches {f("light-x2", "set5")} dB.', 'light-x4.md', own='light-x4')) == 1
    assert check('SRResNet has 32.05 dB [@ledig2017srgan].', 'page') == [] and len(check('A network has 32.05 dB.', 'page')) == 1

def test_tables_take_their_figures_from_the_files():
    "What `make export` does to the front page's tables: each figure from its file, and nothing else touched."
    from readme import refresh
    write = lambda *a, **k: figure(*a, folder=ROOT/'results', **k)
    text = ('# Page\n\n| | Set5 PSNR | Set5 SSIM | three photos, PSNR | SSIM |\n|---|---|---|---|---|\n| bicubic | {} | 0.8111 | {} | '
            '0.7360 |\n| `make demo`, SRGAN | | | {} | |\n| mine | 1.00 | | | |\n\nIt has 9.99 dB.')
    right = text.format(write('bicubic-x4-set5', 'mean', 'psnr'), write('bicubic-x4-embedded', 'mean', 'psnr'),
                        write('demo', 'mean', 'SRGAN', 'psnr'))
    assert refresh(text.format('11.11', '22.22', '33.33'), write) == refresh(right, write) == right

# ---- make results, make studies

@pytest.fixture
def ledger(tmp_path, monkeypatch):
    "results.py on a folder of its own, with a made-up srgan-evaluate."
    m = script('results')
    (tmp_path/'results').mkdir(); (tmp_path/'tmp').mkdir()
    monkeypatch.setattr(m, 'RESULTS', tmp_path/'results')
    def run(cmd, **kw):
        if m.answer is None: return type('R', (), dict(returncode=2, stderr='srgan-evaluate: set5: no such folder\n', stdout=''))
        from pathlib import Path
        Path(cmd[-1]).write_text(json.dumps(m.answer), encoding='utf-8')
        return type('R', (), dict(returncode=0, stderr='', stdout=''))
    monkeypatch.setattr(m.subprocess, 'run', run)
    m.tmp, m.answer = tmp_path/'tmp', dict(figures=dict(mean=dict(psnr=28.4293)), checksum='a')
    return m

def test_results_say_what_changed(ledger):
    go = lambda: ledger.remake('x-set5', ['--model', 'x'], ledger.tmp)
    assert go() == ('x-set5: new, mean 28.43 dB', True)
    assert go() == ('x-set5: the same, mean 28.43 dB', True)
    ledger.answer = dict(figures=dict(mean=dict(psnr=28.5)), checksum='b')
    assert go() == ('x-set5: changed\n    mean psnr: 28.4293 -> 28.5', True)
    ledger.answer = None
    assert go() == ('x-set5: left out: srgan-evaluate: set5: no such folder', False)
    assert json.loads((ledger.RESULTS/'x-set5.json').read_text())['figures']['mean']['psnr'] == 28.5       # the old file stands

def test_results_cover_every_model_and_way():
    m = script('results')
    names = [n for n, _ in m.rows()]
    assert len(names) == len(set(names)) and {f'{p.stem}-set5' for p in ENLARGE} <= set(names) and {f'{w}-x{s}-set5' for w in CLASSIC
        for s in (2, 4)} <= set(names)
    assert set(RESULTS) - {n for n, _, _ in m.left_out()} <= set(names)
    for b in m.BENCHMARKS: assert '--quick' in (ROOT/'benchmarks'/f'{b}.py').read_text(encoding='utf-8'), f'{b}.py has no --quick'

class Fake:
    "A study that takes three calls of a second each."
    def __init__(self, name, file): self.name, self.file = name, file
    def state(self): return {0: 'not begun', 3: 'finished'}.get(len(self.file.read_text()) if self.file.exists() else 0, 'begun')
    def command(self): import sys; return [sys.executable, '-c', f'open({str(self.file)!r}, "a").write("x")']
    def says(self): return ''
    def fits(self, seconds): return seconds > 0

def test_studies_go_on_where_they_stopped(tmp_path, capsys):
    m, studies = script('studies'), [Fake('a', tmp_path/'a'), Fake('b', tmp_path/'b')]
    m.main([], studies)                                                     # only lists
    assert [s.state() for s in studies] == ['not begun']*2 and 'not begun' in capsys.readouterr().out
    for want in (['begun', 'begun'], ['begun', 'begun'], ['finished', 'finished']):
        m.main(['--minutes', '1'], studies)
        assert [s.state() for s in studies] == want
    before = (tmp_path/'a').read_text()
    m.main(['--minutes', '1'], studies)                                     # what is finished is left alone
    assert (tmp_path/'a').read_text() == before
    with pytest.raises(SystemExit): m.main(['--only', 'c'], studies)

def test_a_study_is_stopped_when_the_time_is_over(tmp_path):
    "It gets SIGTERM, with time to leave a checkpoint."
    import sys, time
    class Long(Fake):
        def command(self):
            return [sys.executable, '-c',
                    f'import signal, sys, time\ndef f(*a): open({str(self.file)!r}, "w").write("x"); '
                    f'sys.exit(0)\nsignal.signal(signal.SIGTERM, f)\ntime.sleep(60)']
    s, start = Long('long', tmp_path/'long'), time.monotonic()
    script('studies').run(s, 2)
    assert s.state() == 'begun' and time.monotonic() - start < 30

def test_quotable():
    made = dict(figures=dict(bicubic=dict(psnr=27.0625, ssim=.736), ours=dict(psnr=27.818, ssim=.766)), spread=None, n=3)
    assert quotable('27.06', made) == [('bicubic', 'psnr')] and quotable('27.07', made) == []
    assert quotable('0.76', made) == [('ours - bicubic', 'psnr')]                  # what a text calls a gain
    assert (quotable('74', made), quotable('74', made, percent=True)) == ([], [('bicubic', 'ssim')])
