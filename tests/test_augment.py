"""Lesson 15: the generator sees no held-out picture, arms differ in nothing but what they name, intervals that mean something, leaks that
show, and that the lesson says what was measured."""
import json
import numpy as np, pytest, torch
from conftest import ROOT
from quoted import quotable
from srgan_course import augment as M
from srgan_course import classifier as C
from srgan_course.kit.results import load_result
from srgan_course.kit.splits import leaks

RESULT = ROOT/'results'/'augment_pets.json'
measured = pytest.mark.skipif(not RESULT.exists(), reason='results/augment_pets.json: not measured')

def some(n=120, d=20, gap=.6, seed=0):
    "Features of two classes that overlap."
    g = torch.Generator().manual_seed(seed)
    y = np.arange(n) % 2
    return torch.randn(n, d, generator=g) + gap*torch.as_tensor(2*y - 1)[:, None]*torch.cat([torch.ones(2), torch.zeros(d - 2)]), y

def test_generator_learns_from_training_pictures_alone(monkeypatch, tmp_path):
    "What `train` is given, to learn from and to watch, are the given pictures, each once."
    seen = {}
    monkeypatch.setattr(M, 'train', lambda r, source, out, **kw: seen.update(source=source, **kw))
    x = torch.randint(0, 256, (30, 3, 16, 16), dtype=torch.uint8)
    M.train_copier(x, M.SHORT, tmp_path, every=10)
    key = lambda pics: [np.asarray(p).tobytes() for p in pics]
    a, v = key(seen['source']), key(seen['valid'])
    assert len(a) == 27 and len(v) == 3 and sorted(a + v) == sorted(key(M.as_pictures(x)))

def test_copy_is_the_same_picture_and_stays_on_its_side():
    "A copy is found as a near-duplicate of its own picture; in a split of lesson 14 no copy of a held-out picture is in training."
    s = C.split_pets('pets-toy', n=20, size=64)
    x, xv = C.load_pictures(s.train, 64), C.load_pictures(s.valid, 64)
    train = M.as_pictures(torch.cat([x, M.copies(x)]))
    found = leaks(train + M.as_pictures(M.copies(xv[:2])), M.as_pictures(xv), .98)
    assert {(len(train) + i, i) for i in range(2)} <= set(found)
    a, v = M.honest_split(50)
    assert not set(a % 50) & set(v)
    a, v = M.leaky_split(50)
    assert set(a % 50) & set(v % 50)

def test_steps_and_seeds_are_shared(monkeypatch):
    "All arms of a seed learn from the same pictures; all but the first take the same number of steps."
    f, y = some()
    seen = []
    real = M.train_head
    monkeypatch.setattr(M, 'train_head', lambda feats, y, steps,
                        **kw: (seen.append((len(feats), steps, kw['seed'])), real(feats, y, steps=steps, **kw))[1])
    kinds = {k: f for k in ('original', 'bicubic', 'pixels only', 'SRGAN')}
    M.run_arms(kinds, y, {'original': f}, seeds=(0, 1), k=30, epochs=2, bs=16)
    assert {s for n, s, _ in seen[:2]} == {8} and {s for n, s, _ in seen[2:]} == {16}
    assert [n for n, *_ in seen] == [60]*4 + [120]*8 and {z for *_, z in seen} == {0, 1}

def test_same_features_give_no_gain():
    "Arms whose copies are the originals are one arm: gain exactly 0, and a p of 1."
    f, y = some()
    fv, yv = some(200, seed=1)
    preds = M.run_arms({k: f for k in ('original', 'SRGAN')}, y, {'original': fv}, seeds=(0, 1), epochs=5,
                       arms=('A + plain copies', 'B: A + SRGAN copies'))
    t = M.table(preds, yv, base='A + plain copies')['B: A + SRGAN copies']
    assert t['gain']['mean'] == t['gain']['lo'] == t['gain']['hi'] == 0 and t['mcnemar']['p'] == 1

def test_interval_covers():
    "Over repeated draws of pictures, about 95 % of the intervals hold the true difference."
    r, hits = np.random.default_rng(0), 0
    for i in range(100):
        a = r.random((5, 150)); d = r.normal(.1, 1, 150) + r.normal(0, .02, (5, 1))
        g = M.paired_gap(a, a + d, times=200, seed=i); hits += g['lo'] <= .1 <= g['hi']
    assert 86 <= hits <= 100

def test_interval_covers_seeds():
    "Where seeds are most of the chance, five of them drawn anew would hold the true difference in five of six intervals only."
    r, hits = np.random.default_rng(1), 0
    for i in range(300):
        d = r.normal(.1, .05, 100) + r.normal(0, .2, (5, 1))
        g = M.paired_gap(np.zeros((5, 100)), d, times=100, seed=i); hits += g['lo'] <= .1 <= g['hi']
    assert 275 <= hits <= 295

def test_verdict():
    "An interval clear of zero, and one that holds it."
    assert M.do_they_help(dict(lo=.1, hi=.2)).endswith('helped') and M.do_they_help(dict(lo=-.1,
        hi=.2)).startswith('we cannot tell') and M.do_they_help(dict(lo=-.2, hi=-.1)).endswith('harm')

def test_power():
    """Of studies with a true gain of the size `seen`, about four in five have an interval clear of zero; with a third of it few have one,
    as in the study on photographs."""
    r, found = np.random.default_rng(0), {1: 0, 3: 0}
    study = lambda gain: M.paired_gap(np.zeros((5, 150)), r.normal(gain, 1, 150) + r.normal(0, .02, (5, 1)), times=200,
                               seed=int(r.integers(10**6)))
    seen = np.mean([M.power(study(0), .1)['seen'] for _ in range(20)])
    for part in found:
        for _ in range(100): found[part] += study(seen/part)['lo'] > 0
    assert 65 <= found[1] <= 95 and found[3] <= 35
    assert M.power(dict(lo=-.02, hi=.02), .01)['times'] == pytest.approx(4)

def test_leak_makes_a_gain():
    "Copies in one heap with their originals flatter a head that can learn by heart; split first, and it goes."
    f, y = some(100, 300, .15)
    d = M.leak_of_split(f, f + .01*torch.randn(f.shape, generator=torch.Generator().manual_seed(3)), y, seeds=(0, 1, 2), epochs=60)
    assert np.mean(d['leaky']) > np.mean(d['honest']) + .1

def test_a_third_class_is_refused():
    "It was right wherever class 1 was not named, without a word."
    f, y = torch.rand(30, 4), np.arange(30) % 3
    for study in (lambda: M.leak_of_split(f, f, y, seeds=(0,), epochs=1),
                  lambda: M.run_arms(dict.fromkeys(('original', 'bicubic', 'SRGAN', 'self'), f), y, {'original': f}, seeds=(0,), epochs=1)):
        with pytest.raises(ValueError, match='labels go from 0 to 2; the head tells classes from 0 to 1'): study()

def test_views_of_an_arm():
    "With one view the arms are those of plain features; with several, a head sees more than the first."
    f, y = some(); fv, yv = some(200, seed=1)
    run = lambda g: M.run_arms({'original': g, 'SRGAN': g}, y, {'original': fv}, seeds=(0,), epochs=5,
                               arms=('B: A + SRGAN copies',))['B: A + SRGAN copies']['original']
    assert (run(f) == run(f[None])).all() and (run(torch.stack([f, f + 1])) != run(f)).any()

@pytest.mark.parametrize('call,says', [
    (lambda: M.some_of_each([0, 0, 1], 2, 0), 'the smallest class has 1'),
                                       (lambda: M.copies(torch.zeros(1, 3, 30, 30, dtype=torch.uint8)), 'no multiple of scale 4'),
    (lambda: M.paired_gap([1.], [2.]), '(seeds, pictures)'), (lambda: M.arm_features({'original': torch.zeros(2, 2)}, [0, 1], [0], 'SRGAN'),
                                                       "no features of 'SRGAN'")])
def test_bad_input(call, says):
    with pytest.raises(ValueError) as e: call()
    assert says in str(e.value) and '\n' not in str(e.value)

def lesson():
    return '\n'.join(''.join(c['source']) for c in json.loads((ROOT/'nbs'/'15_augment.ipynb').read_text(encoding='utf-8'))['cells']
                     if c['cell_type'] == 'markdown')

@measured
def test_lesson_ends_with_the_sentence_that_the_figures_allow():
    r = load_result(RESULT)
    assert len(r['seed']) >= 5 and set(r['figures']['arms']) == set(M.ARMS)
    d = r['figures']['B_over']['A + plain copies']['gain']
    assert r['verdict'] == M.do_they_help(d)
    text = lesson().split('## What you have learnt')[0]
    assert r['verdict'] in text.split('## What the photographs say')[1]

@measured
def test_lesson_says_what_the_study_could_have_seen():
    "The claimed gain lies in every interval of B over plain copies, and the lesson names it beside the half-width."
    r, few = load_result(RESULT), load_result(ROOT/'results'/'augment_few.json')['figures']
    p = r['figures']['power']
    text = lesson().split('## What the photographs say')[1]
    for k, v in few.items():
        d = v['B: A + SRGAN copies']['over_plain']
        assert d['lo'] <= 0 <= p['claimed'] <= d['hi'] and p['B over plain copies'][k] == M.power(d, p['claimed'])
    last = p['B over plain copies']['500']
    for s in (f"{p['claimed']:.4f}", f"{last['half_width']:.4f}", f"{last['seen']:.4f}", f"{last['times']:.1f} times"): assert s in text, s

@measured
def test_confusion_matrices_and_the_control_without_learning():
    r = load_result(RESULT); f = r['figures']
    assert set(f['pooled']) == set(M.ARMS)
    for p in f['pooled'].values():
        lo, hi = p['intervals']['accuracy']
        assert (np.sum(p['confusion']) == r['n'] and np.trace(p['confusion'])/r['n'] == pytest.approx(p['accuracy'])
                and lo <= p['accuracy'] <= hi)
    none = f['random_body']; assert none['body'].endswith('-random') and none['arms']['A']['accuracy'] < f['arms']['A']['accuracy'] - .1

@measured
def test_every_number_of_the_lessons_results_is_in_the_file():
    import re
    r, few = load_result(RESULT), load_result(ROOT/'results'/'augment_few.json')
    text = lesson().split('## What the photographs say')[1].split('## What you have learnt')[0]
    for s in re.findall(r'(?<![\w.])\d+\.\d+(?![\w])', text):
        # a loss is told as so much less
        assert any(quotable(t, x) for t in (s, '-' + s) for x in (r, few)), f'{s} is in neither file'
