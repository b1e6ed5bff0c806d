"""Lesson 13: the toy study's recipe and its tuning, fairness of the sets, intervals over seeds, the queue of the real study, and that what
the lesson says is what was measured."""
import json, math, re
import numpy as np, pytest, torch
from conftest import ROOT, script
from quoted import quotable
from srgan_course import domain as D
from srgan_course.kit.figures import Figure, apart, may_say
from srgan_course.kit.checkpoints import checkpoints
from srgan_course.kit.weights import find_weights
from srgan_course.metrics import load_result
from srgan_course.kit.recipe import build
from srgan_course.srgan import train
from test_srgan import StopAfter

RESULT = ROOT/'results'/'domain_cats.json'
measured = pytest.mark.skipif(not RESULT.exists(), reason='results/domain_cats.json: not measured')

def noise(n, size=48, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = torch.nn.functional.interpolate(torch.rand(n, 3, 12, 12, generator=g), (size, size), mode='bicubic', align_corners=False)
    return (x.clamp(0, 1)*255).round().byte()

def test_recipe_stops_resumes_and_is_tuned(tmp_path):
    """The study's recipe at its own networks and losses (VGG's layers random where they cannot be had): each phase is stopped after a step
    and goes on; then tuning begins with what came out."""
    net = D.STUDY.feature_net if find_weights('vgg19_to_relu3_4.safetensors') else 'vgg19-random@relu3_4'
    r, x, out = D.STUDY.replace(bs=2, steps_per_epoch=2, pre_epochs=1, epochs=1, precision='float32', feature_net=net), noise(6,
        D.STUDY.size), tmp_path/'a'
    pics = [D.as_picture(p) for p in x]
    for phase in build(r).phases:
        with pytest.raises(KeyboardInterrupt):
            train(r, pics, out, resume=(out/'recipe.json').exists(), valid=pics[:2], progress=False, device='cpu',
                  cbs=[StopAfter(1, phase)])
        assert checkpoints(out/'checkpoints'/phase)
    a = D.train_on(x, r, out, x[:2])
    b = D.train_on(x, D.tuned(r, out/'generator.safetensors'), tmp_path/'b', x[:2])
    assert {k: p.epochs for k,p in build(D.tuned(r, out/'generator.safetensors')).phases.items()} == {'gan': 1}
    far = lambda m, n: sum((p - q).abs().mean().item() for p, q in zip(m.parameters(), n.parameters()))
    fresh = D.train_on(x, r.replace(seed=9), tmp_path/'c', x[:2])
    assert 0 < far(a, b) < far(a, fresh)/5

def test_general_and_published_recipes_take_whole_squares():
    "44 -> 176, as published, is the same study with another recipe; both phases see whole squares."
    from srgan_course.srgan import RECIPES
    assert RECIPES['faces'].size == 176 and RECIPES['faces'].scale == 4 and RECIPES['faces'].whole and D.STUDY.whole

def test_seeds_alone_make_an_interval_wide():
    "Three runs that differ more than the arms do: no difference, however sure each bootstrap is."
    d = np.random.default_rng(0).normal(0, .01, 500)
    f = lambda v: Figure(v, 'KID', (v - .02, v + .02), draws=d)
    assert may_say(apart([f(5.), f(6.), f(7.)], [f(5.5), f(5.), f(6.2)])) == 'cannot tell'
    assert may_say(apart([f(5.), f(6.), f(7.)], [f(4.5), f(5.52), f(6.49)])) == 'more'

def test_crops_of_a_photo_never_stand_on_both_sides(srgan_data):
    m = script('domain')
    for pair in ('cats', 'faces', 'pets'):
        for train_set, test_set in m.sources(m.PAIRS[pair]).values():
            assert train_set and test_set and not set(map(str, train_set)) & set(map(str, test_set))
    src = m.sources(m.PAIRS['cats'])
    sets = {a: m.training_set(m.PAIRS['cats'], src, a, 30, 1) for a in ('general', 'domain', 'mixed', 'tuned')}
    assert {tuple(x.shape) for x in sets.values()} == {(30, 3, 64, 64)}                                  # as many, of one size
    assert torch.equal(sets['domain'], sets['tuned']) and torch.equal(sets['mixed'][15:],
        m.training_set(m.PAIRS['cats'], src, 'domain', 15, 1))
    assert all(len(torch.unique(x.flatten(1), dim=0)) == 30 for x in sets.values())                      # and all different
    assert not torch.equal(sets['domain'], m.training_set(m.PAIRS['cats'], src, 'domain', 30, 2))        # another seed, other pictures

def test_queue_begins_with_the_minimum():
    m = script('domain')
    q = list(m.queue(m.PAIRS['cats']))
    assert len(q) == len(set(q)) and {(a, s) for a, n, s in q[:6]} == {(a, s) for a in ('general', 'domain') for s in m.SEEDS} and {n for _,
        n, _ in q[:6]} == {m.PAIRS['cats']['numbers'][0]}

@pytest.mark.skipif(not find_weights('inception_fid_to_mixed7a_fp16.safetensors'),
                    reason='no Inception in the folder that SRGAN_WEIGHTS names')
def test_two_rulers_in_one_pass():
    m, x = script('domain'), noise(2)
    for dims in (64, 192):
        got, want = m.Both(x, [0, 1], fid_net=f'inception@{dims}').features(x), D.Judge(x, [0, 1], fid_net=f'inception@{dims}').features(x)
        for k in got: assert got[k].note == want[k].note and abs(got[k].x - want[k].x).max() < 1e-4*abs(want[k].x).max()

def test_what_was_seen_is_kept(tmp_path):
    m, calls = script('domain'), []
    make = lambda: (calls.append(1), dict(psnr=np.arange(3.)))[1]
    for _ in range(2): assert m.kept(tmp_path/'a.npz', make)['psnr'].tolist() == [0, 1, 2]
    assert len(calls) == 1 and [p.name for p in tmp_path.iterdir()] == ['a.npz']

@measured
def test_result_holds_the_study():
    d = load_result(RESULT)
    assert len(d['seed']) >= 2 and len(d['figures']['judged_on']) == 2
    for kind, rows in d['figures']['judged_on'].items():
        assert {'bicubic', 'lanczos', 'general', 'cats'} <= set(rows)
        for arm, r in rows.items():
            for k in ('psnr', 'ssim', 'kid', 'fid', 'perceptual'): assert r[f'{k}_low'] <= r[k] <= r[f'{k}_high'], (kind, arm, k)
    for kind, gaps in d['figures']['gap'].items():
        for name, g in gaps.items():
            for k, v in g.items(): assert v['one'] == (not v['low'] <= 0 <= v['high']), (kind, name, k)
            a, b = name.split(' - ')
            rows = d['figures']['judged_on'][kind]
            assert math.isclose(g['psnr']['value'], rows[a]['psnr'] - rows[b]['psnr'], abs_tol=1e-6)

def text():
    cells = json.loads((ROOT/'nbs'/'13_domain.ipynb').read_text(encoding='utf-8'))['cells']
    return [''.join(c['source']) for c in cells if c['cell_type'] == 'markdown']

@measured
def test_the_closing_sentence_is_what_was_measured():
    "Every figure of the paragraphs on the real study stands in the file, rounded as they round it."
    d = load_result(RESULT)
    said = [t for t in text() if t.startswith('**What was found.**')]
    assert len(said) == 1
    sentence = said[0]
    for word in ('seeds', '95 %', 'squares', 'does not show', 'KID', 'PSNR'): assert word in sentence, word
    known = {'95', '64', '16', '2,400', '1,800', '1000', '192'} | {str(d['n'])}
    numbers = re.findall(r'(?<![\w.,@])-?(\d[\d,]*(?:\.\d+)?)(?![\w])', sentence)
    scaled = {**d, 'figures': {**d['figures'], 'per thousand': json.loads(json.dumps(d['figures']), parse_float=lambda s: 1000*float(s))}}
    absolute = lambda t: json.loads(json.dumps(t), parse_float=lambda s: abs(float(s)))
    scaled['figures'] = absolute(scaled['figures'])
    missing = [s for s in numbers if s not in known and not quotable(s, scaled, True)]
    assert not missing, f'{missing} stand in the closing sentence and not in {RESULT.name}'
    assert len([s for s in numbers if s not in known]) >= 6
