"What the benchmarks share: their command lines, turns, ratios, what is kept, and the time that is left."
import ast
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
import numpy as np, pytest
from conftest import ROOT, script

SCRIPTS = sorted(p.stem for p in (ROOT/'benchmarks').glob('*.py') if p.stem != 'frame')

@pytest.fixture
def frame(): return script('frame')

def test_options_and_parts(frame, capsys):
    ap = frame.parser('What it measures.\nusage: ...', ('a', 'b'), ('c',), quick=False, rounds=5, minutes=None, no_save=False,
                      out=frame.RUNS/'x', sizes=dict(nargs='+', default=['small']))
    d = vars(ap.parse_args([]))
    assert d == dict(what=['a', 'b'], quick=False, rounds=5, minutes=None, no_save=False, out=ROOT/'runs'/'x', sizes=['small'])
    d = vars(ap.parse_args('c --no-save --minutes 1.5 --rounds 2 --out y --sizes 1 2'.split()))
    assert (d['what'], d['no_save'], d['minutes'], d['rounds'], str(d['out']), d['sizes']) == (['c'], True, 1.5, 2, 'y', ['1', '2'])
    with pytest.raises(SystemExit): ap.parse_args(['d'])
    assert "'d' is not one of a, b, c" in capsys.readouterr().err

def test_in_turns_each_begins_once(frame, monkeypatch):
    said = []
    monkeypatch.setattr(frame.gc, 'collect', lambda: None)                       # half a second each, where much is imported
    ways = {k: (lambda k=k: said.append(k) or len(said)) for k in 'abc'}
    rows = frame.in_turns(ways, 3)
    assert ''.join(said) == 'cababcbcacab' and rows == dict(a=[4, 9, 11], b=[5, 7, 12], c=[6, 8, 10])
    assert frame.in_turns(ways, 1, warm=0) == dict(a=[13], b=[14], c=[15])

def test_ratio_is_of_each_round(frame):
    assert frame.ratio([2, 9, 40], [1, 3, 10]) == (3, [2, 4])                    # not of the medians or means
    a, b = [.91, .93, .95], [.92, .95, .99]
    d = frame.paired(a, b)
    assert d['n'] == 3 and d['mean'] == pytest.approx(.07/3) and d['hi'] - d['mean'] == pytest.approx(4.30265*np.std([.01, .02, .04], ddof=1)/3**.5)

def test_time_left(frame):
    assert frame.time_left(None)() == float('inf') and 59 < frame.time_left(1)() <= 60

@pytest.mark.parametrize('name, value', [('a.json', dict(psnr=[1, 2.5])), ('a.npy', np.arange(3.)), ('a.npz', dict(x=np.arange(3), n=2))])
def test_kept_whole_or_not_at_all(frame, tmp_path, name, value):
    def stopped(): raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): frame.kept(tmp_path/'new'/name, stopped)
    calls = []
    for _ in range(2): got = frame.kept(tmp_path/'new'/name, lambda: calls.append(1) or value)
    assert len(calls) == 1 and [p.name for p in (tmp_path/'new').iterdir()] == [name]
    np.testing.assert_equal(got, value)

@pytest.mark.parametrize('name', SCRIPTS)
def test_scripts_say_how_they_are_called(name):
    assert f'usage: {name}.py' in (ROOT/'benchmarks'/f'{name}.py').read_text(encoding='utf-8')

@pytest.mark.parametrize('name', SCRIPTS)
def test_scripts_name_what_there_is(name):
    "What a script takes from the library is there: a long study was found not to start."
    tree = ast.parse((ROOT/'benchmarks'/f'{name}.py').read_text(encoding='utf-8'))
    there = lambda module, a: hasattr(module, a) or find_spec(f'{module.__name__}.{a}') is not None
    rooms = {}
    for n in ast.walk(tree):
        if not isinstance(n, ast.ImportFrom) or not (n.module or '').startswith('srgan_course'): continue
        module = import_module(n.module)
        for a in n.names:
            assert there(module, a.name), f'{name}.py, line {n.lineno}: {n.module} has no {a.name}'
            if not hasattr(module, a.name) or isinstance(getattr(module, a.name), ModuleType):
                rooms[a.asname or a.name] = import_module(f'{n.module}.{a.name}')
    for n in ast.walk(tree):
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id in rooms:
            assert hasattr(rooms[n.value.id], n.attr), f'{name}.py, line {n.lineno}: {n.value.id} has no {n.attr}'

def test_labels_above_pictures_in_a_row():
    from PIL import Image
    ship, im = script('ship'), Image.new('RGB', (60, 8), 'tan')
    out = ship.label(im, 'a name that is far too long')
    assert out.size == (60, 26) and out.crop((0, 18, 60, 26)).tobytes() == im.tobytes()
    assert ship.side_by_side([im, im.resize((20, 8))]).size == (84, 8)

def test_stripes_are_seen_in_flat_places_alone():
    "srgan_quality.py: soft noise counts 1, also where it is made smaller; upright stripes of one level are seen, lying ones count below 1."
    stripes, rng = script('srgan_quality').stripes, np.random.default_rng(0)
    grey, wave = 128 + 2*rng.standard_normal((256, 256)), np.sin(2*np.pi*np.arange(256)/3.2)
    assert stripes([grey], [grey]) == 1 and abs(stripes([grey/2], [grey]) - 1) < 1e-9
    assert stripes([grey + wave], [grey]) > 2 and stripes([grey + wave[:, None]], [grey]) < .5
    right = np.arange(256) >= 128
    loud = grey + 20*right*rng.standard_normal((256, 256))                       # flat on the left alone
    assert stripes([loud + 3*right*wave], [loud]) == 1
    with pytest.raises(ValueError, match='no flat blocks'): stripes([20*grey], [20*grey])
