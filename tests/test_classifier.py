"Lesson 14's library: what must not move does not, what must be equal is, bad input ends in one line, and the command."
import json
import numpy as np, pytest, torch
from PIL import Image
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss, roc_auc_score
import forked
from srgan_course import classifier as C
from srgan_course.kit import classifiers as K, epochs, views as N
from srgan_course.kit.classifiers import save_classifier
from srgan_course.kit.epochs import learn_epochs
from srgan_course.kit.pets import draw_pet
from srgan_course.kit.splits import leaks
from srgan_course.kit.stats import mcnemar, over_runs
from srgan_course.kit.weights import read_weights

TINY = C.ClassifierRecipe('tiny', size=32, bs=8, epochs=2, body='toynet-random', lr=3e-3)

DRAW = epochs.plot_curves
@pytest.fixture(autouse=True)
def no_curves(monkeypatch):
    "To draw the curves takes longer than a toy training: here they are drawn where a test looks at them."
    monkeypatch.setattr(epochs, 'plot_curves', lambda history, path=None: None)

def toys(n=16, size=32): return C.split_pets(n=n, size=size)

def learn(clf, split, r, phase=0):
    epochs, lr = (r.unfreeze, r.unfreeze_lr) if phase else (r.epochs, r.lr)
    learn_epochs(clf, C.classifier_dls(split, r, 'cpu'), epochs, lr, r.seed, phase)

@pytest.fixture
def pets(tmp_path):
    "A folder with a folder of drawn pets for each class."
    for kind in ('cat', 'dog'):
        (tmp_path/'pets'/kind).mkdir(parents=True)
        for i in range(6): draw_pet(kind, 100*(kind == 'dog') + i, 96).save(tmp_path/'pets'/kind/f'{i}.png')
    return tmp_path/'pets'

# ---- measures

@pytest.fixture
def judged():
    r = np.random.default_rng(0)
    y = r.integers(0, 2, 300)
    z = (y + r.normal(0, .9, 300)).round(1)                         # with ties
    p = 1/(1 + np.exp(-2*(z - .5)))
    return np.stack([1 - p, p], 1), y

def test_auc_is_that_of_scores(judged):
    p, y = judged
    assert C._of_resample(p, y)['auc'] == pytest.approx(roc_auc_score(y, p[:, 1]), abs=1e-12)
    r = C.report(p, y, times=0)
    assert r['auc'] == pytest.approx(roc_auc_score(y, p[:, 1])) and r['f1'] == pytest.approx(f1_score(y,
        p.argmax(1))) and r['loss'] == pytest.approx(log_loss(y, p))

def test_auc_of_decisions_is_found_out(judged, monkeypatch):
    """The published project's mistake, made here on purpose: the comparison with scikit-learn's AUC of scores goes red, and the report
    refuses decisions."""
    p, y = judged
    d = p.argmax(1).astype(float)
    assert roc_auc_score(y, d) == pytest.approx(balanced_accuracy_score(y, d))
    with pytest.raises(ValueError, match='decisions'): C.report(np.stack([1 - d, d], 1), y)
    right = C._above
    monkeypatch.setattr(C, '_above', lambda a, b: right(a > .5, b > .5))
    with pytest.raises(AssertionError): assert C._of_resample(p, y)['auc'] == pytest.approx(roc_auc_score(y, p[:, 1]), abs=1e-6)

def test_quick_measures_equal_scikit_learns(judged):
    p, y = judged
    for q, t in ((p, y), (np.random.default_rng(1).dirichlet(np.ones(3), 200), np.arange(200) % 3)):
        a, b = C._of_resample(q, t), C.report(q, t, times=0)
        for k in a: assert a[k] == pytest.approx(b[k], abs=1e-12), k

def test_intervals_hold_the_figure_and_shrink(judged):
    p, y = judged
    small, large = C.report(p[:75], y[:75], times=200), C.report(p, y, times=200)
    for r in (small, large):
        for k in ('loss', 'accuracy', 'auc'): assert r['intervals'][k][0] <= r[k] <= r['intervals'][k][1], k
    wide = lambda r: np.diff(r['intervals']['accuracy'])[0]
    assert wide(large) < .75*wide(small)
    assert C.report(p, y, times=50)['intervals'] == C.report(p, y, times=50)['intervals'] != C.report(p, y, times=50, seed=1)['intervals']

def test_calibration_error():
    r = np.random.default_rng(0); p = r.uniform(.5, 1, 20000); y = (r.uniform(size=20000) > p).astype(int)
    q = np.stack([p, 1 - p], 1)
    assert C.ece(q, y) < .015                                        # says 80 %, is right 80 %
    sure = np.stack([.5 + .5*np.sign(p - .5)*.998, .5 - .5*.998*np.sign(p - .5)], 1)
    assert C.ece(sure, y) == pytest.approx(.999 - (y == 0).mean(), abs=1e-6)

def test_imbalance_is_named():
    r = np.random.default_rng(0); y = np.r_[np.zeros(90, int), np.ones(10, int)]; p = r.uniform(.6, .9, 100)
    text = C.report_lines(C.report(np.stack([p, 1 - p], 1), y, ['cat', 'dog'], times=0))
    assert 'always the largest class: accuracy 0.9000' in text and 'uneven' in text
    assert 'uneven' not in C.report_lines(C.report(np.stack([p, 1 - p], 1), np.arange(100) % 2, times=0))

def test_paired_tests():
    from scipy.stats import ttest_rel
    a, b = np.array([.91, .92, .90, .93, .91]), np.array([.92, .93, .92, .93, .93])
    t = ttest_rel(b, a).confidence_interval()
    assert over_runs(b - a) == pytest.approx((t.low, t.high))
    assert mcnemar([1]*10 + [0]*2, [0]*10 + [1]*2)['p'] == pytest.approx(.0385742, abs=1e-6)
    with pytest.raises(ValueError, match='same ones'): mcnemar([1], [1, 0])
    with pytest.raises(ValueError, match='two runs or more'): over_runs([1.])

# ---- the split

def test_no_near_duplicate_crosses(pets):
    from srgan_course.images import interpolate, downscale
    for kind in ('cat', 'dog'):
        im = Image.open(pets/kind/'0.png'); im.save(pets/kind/'0 again.jpg', quality=90)
        interpolate(downscale(Image.open(pets/kind/'1.png'), 4), 4).save(pets/kind/'1 enlarged.png')
        Image.open(pets/kind/'2.png').transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(pets/kind/'2 mirrored.png')
    s = C.split_pets(pets, seed=0)
    assert len(s.dropped) == 6 and all(a.name[0] == b.name[0] and a.parent == b.parent for a, b in s.dropped)
    for seed in range(5):
        s = C.split_pets(pets, seed=seed)
        assert leaks(s.train, s.valid) == [] and not set(s.train) & set(s.valid) and len(s.train) + len(s.valid) == 12
        assert np.bincount(s.y_valid).tolist() == [2, 2] and all(p.parent.name == s.classes[y] for p,
            y in zip(s.train + s.valid, [*s.y_train, *s.y_valid]))
    assert C.split_pets(pets, seed=3).valid == C.split_pets(pets, seed=3).valid
    assert len({tuple(C.split_pets(pets, seed=i).valid) for i in range(6)}) > 1

def test_an_enlarged_copy_of_a_validation_picture_is_found(pets):
    from srgan_course.images import downscale, interpolate
    s = C.split_pets(pets)
    copy = interpolate(downscale(Image.open(s.valid[0]).convert('RGB'), 4), 4)
    assert leaks(s.train + [copy], s.valid) == [(len(s.train), 0)]

def test_what_no_probabilities_are_has_no_calibration():
    "Percent, logits, one label for all, NaN; a class without a picture is no obstacle. Features that are not finite teach no head."
    p, y = np.array([[.9, .1], [.3, .7], [.6, .4]]), np.array([0, 1, 0])
    assert C.ece(p, y) == pytest.approx((.1 + .3 + .4)/3) and C.ece(p, y*0) > 0
    for probs, labels, says in ((p*100, y, 'scores run from 10 to 90'), (np.log(p), y, 'give probabilities'), (p, y[:1], '3 predictions for 1 labels'),
                                (p*np.nan, y, 'scores run from nan'), (p, y + 1, 'there are 2 classes')):
        for f in C.ece, C.calibration:
            with pytest.raises(ValueError, match=says): f(probs, labels)
    with pytest.raises(ValueError, match='bins is 0; give a whole number'): C.ece(p, y, bins=0)
    with pytest.raises(ValueError, match='a feature with NaN or infinite values tells nothing'): C.train_head(torch.full((3, 4), torch.nan), y)

def test_other_forms_of_what_is_judged_and_learnt_from(judged):
    "Probabilities of class 1 alone, labels as a column, generators; features of NumPy, in double precision; pictures from a generator, or one by mistake."
    p, y = judged
    want, got = C.report(p, y, times=9), C.report(p[:, 1], y[:, None], times=9)
    assert all(np.allclose(v, got[k]) for k, v in want.items() if k not in ('classes', 'intervals')) and want.keys() == got.keys()
    assert str(C.report((row for row in p), (int(i) for i in y), times=0)) == str(C.report(p, y, times=0))
    with pytest.raises(ValueError, match='labels are float64; give class numbers from 0 to 1'): C.report(p, y*1.)
    f = np.random.default_rng(0).random((12, 4)); x = torch.from_numpy(f)
    heads = [C.train_head(v, y[:12], v, y[:12], steps=3) for v in (x.float(), x, f, f.astype(np.float32))]
    assert all((h.probs(f) == heads[0].probs(x.float())).all() and h.history == heads[0].history for h in heads)
    labels = y[:12].astype(np.int32), y[:12].astype(np.uint16), y[:12, None], torch.as_tensor(y[:12]).int(), y[:12].tolist()
    assert all((C.train_head(f, v, f, v, steps=3).probs(f) == heads[0].probs(x.float())).all() for v in labels)

def test_what_a_head_does_not_learn_from_and_names_that_do_not_fit(judged):
    p, y = judged
    f, y12 = np.random.default_rng(0).random((12, 4)), y[:12]
    for args, kw, says in (((f, y12*1.), {}, 'labels float64 .* are no list of class numbers'), ((f, y12 - 1), {}, 'labels go from -1 to 0; .* to inf:'),
                           ((f, y12), dict(n_classes=1), 'labels go from 0 to 1; the head tells classes from 0 to 0'),
                           ((f[:0], y[:0].astype(int)), {}, 'pictures of one class only'), ((f, y12), dict(bs=0), 'bs is 0; give a whole number'),
                           ((f, y12), dict(every=0), 'every is 0'), ((f, y12), dict(steps=-1), 'steps is -1'), ((f, y12, f), {}, 'labels object'),
                           ((f, y12, f, y12 + 1), {}, 'labels go from 1 to 2; the head tells classes from 0 to 1')):
        with pytest.raises(ValueError, match=says): C.train_head(*args, **kw)
    for names in [], ['cat'], ['cat', 'dog', 'cow']:
        with pytest.raises(ValueError, match=f'{len(names)} names for 2 classes; give one for each'): C.report(p, y, names, times=0)
    c, pics = K.Classifier(K.body('toynet-random', 0), ['a', 'b'], 'linear', 32, 0), [draw_pet('cat', i, 32) for i in range(3)]
    assert (c.probs(im for im in pics) == c.probs(pics)).all()
    with pytest.raises(ValueError, match='a source is a folder, a name or a list, not <PIL'): c.probs(pics[0])

def test_a_picture_in_two_classes_is_told(pets):
    "Which label counts; a class that has no other pictures is told so, in both kinds of split."
    from srgan_course.kit.splits import three_parts
    (pets/'dog'/'like.png').write_bytes((pets/'cat'/'0.png').read_bytes())
    for split in lambda: C.split_pets(pets).dropped, lambda: three_parts(*by_folder(pets)).dropped:
        with pytest.warns(UserWarning, match=r'1 pair of pictures of two classes look alike \(.*dog/like.png like .*cat/0.png\)'): assert len(split()) == 1
    (pets/'wolf').mkdir()
    for i in range(3): (pets/'wolf'/f'{i}.png').write_bytes((pets/'dog'/f'{i}.png').read_bytes())
    with pytest.warns(UserWarning, match='4 pairs'), pytest.raises(ValueError, match='class wolf has 0 pictures unlike all before'): C.split_pets(pets)

def by_folder(root):
    "Pictures of a folder of folders, with the numbers of their classes."
    found = C.class_items(root)
    return [p for v in found.values() for p in v], np.repeat(range(len(found)), [len(v) for v in found.values()])

def test_one_picture_is_named_alone(saved, pets):
    "The counts are of nothing where each picture is read by itself."
    (pets/'cat'/'0.png').write_bytes(b'no picture')
    rows, bad = K.classify_files(saved[0], [pets])
    assert len(rows) == 11 and 'cat/0.png' in bad[0]['error'] and 'remove' not in bad[0]['error'] and '1 of 1' not in bad[0]['error']

def test_a_body_from_a_file_is_called_so(saved):
    assert C.body(saved[1]).label == 'toynet-random (c)' and C.body('toynet-random').label == 'toynet-random'

def test_a_table_holds_its_columns():
    "Whatever the classes are called: as many lines as classes, numbers under their names."
    names = ['a\nb', 'l'*200, 'German shepherd dog']
    text = C.report_lines(C.report(np.eye(3)[[0, 1, 2, 0]]*.8 + .2/3, np.array([0, 1, 2, 0]), names, times=0)).splitlines()
    assert len(text) == 1 + 5 + 1 + 4 and len({len(l) for l in text[-4:]}) == 1 and 'l'*25 not in '\n'.join(text) and '  German shepherd dog' in text[-4]

def bad_folders(pets):
    yield 'one class', lambda: [p.unlink() for p in (pets/'dog').iterdir()] and (pets/'dog').rmdir(), 'pictures of 1 class'
    yield 'empty class', lambda: (pets/'bird').mkdir(), 'class bird has no picture'
    yield 'a class too many', lambda: (pets/'bird').mkdir() or draw_pet('cat', 5,
        40).save(pets/'bird'/'a.png'), 'wanted are exactly cat, dog'
    yield 'unreadable', lambda: (pets/'cat'/'0.png').write_bytes(b'no picture'), 'cannot be used'
    yield 'loose', lambda: draw_pet('cat', 5, 40).save(pets/'a.png'), 'outside of its class folders'

@pytest.mark.parametrize('k', range(5))
def test_bad_folders_end_in_one_line_and_nothing_is_written(pets, tmp_path, k):
    what, spoil, says = list(bad_folders(pets))[k]
    spoil()
    with pytest.raises(ValueError, match=says) as e: C.train_classifier(TINY.replace(classes=('cat', 'dog')), pets, tmp_path/'out')
    assert len(str(e.value).splitlines()) == 1 and not (tmp_path/'out').exists()

@pytest.mark.parametrize('kw, says', [(dict(body='resnet5'), "body 'resnet5' is not known"), (dict(size=15), 'nothing of pictures of size 15; give size=64'),
    (dict(body='squeezenet1_1', size=16), 'squeezenet1_1 leaves nothing of'), (dict(head='own'), "toynet-random: its own head .* give head='linear'"),
    (dict(body='vit_b_32'), 'no feature maps')])
def test_a_body_is_looked_at_before_the_pictures(kw, says, tmp_path, monkeypatch):
    "All pictures were opened first, and a recipe of too small a size ended in torch's words and left a folder in the way of the next run."
    def opened(*_, **__): raise AssertionError('the pictures were opened')
    monkeypatch.setattr(C, 'split_pets', opened)
    with pytest.raises(ValueError, match=says): C.train_classifier(TINY.replace(**kw), 'pets', tmp_path/'out')
    assert not (tmp_path/'out').exists()

def test_of_a_large_body_no_number_is_drawn_to_look_at_it(monkeypatch):
    "A VGG's took nine seconds; what is said of AlexNet is what is said of one with numbers."
    def said(f, *args):
        try: f(*args)
        except ValueError as e: return str(e)
        except RuntimeError: return f'alexnet leaves nothing of pictures of size {args[1]}; give size=64'
    b = K.body('alexnet-random'); b.name = 'alexnet'
    cases = [(h, n) for h in ('linear', 'own', 'none') for n in (1, 62, 63, 64)]
    want = [said(lambda h, n: K.Classifier(b, ['a', 'b'], h, n).eval()(torch.zeros(1, 3, n, n)), *c) for c in cases]
    seen, make = [], K.make_net
    monkeypatch.setattr(K, 'make_net', lambda *a, **k: (net := make(*a, **k), seen.append(next(net.parameters()).device.type))[0])
    assert [said(lambda h, n: K.check_body('alexnet', h, n), *c) for c in cases] == want and None in want and len({*want}) > 3
    K.check_body('vgg11', 'own', 64); assert set(seen) == {'meta'}

def test_what_nobody_sees_is_told_where_it_is_judged(pets, saved):
    "A picture that is wholly transparent was named by its hidden colours, and a film by its first frame, without a word."
    Image.open(pets/'cat'/'1.png').convert('RGBA').save(p := pets/'cat'/'1.png'); img = Image.open(p); img.putalpha(0); img.save(p)
    for f in lambda: K.classify_files(saved[0], [pets/'cat']), lambda: C.evaluate_classifier(saved[0], pets, times=0):
        with pytest.warns(UserWarning, match='1 of (6|12) pictures have transparent pixels, and are judged as if opaque: 1.png'): f()

def test_grey_and_transparent_pictures_are_read(pets):
    Image.open(pets/'cat'/'0.png').convert('L').save(pets/'cat'/'0.png')
    Image.open(pets/'cat'/'1.png').convert('RGBA').save(pets/'cat'/'1.png')
    x = C.load_pictures([pets/'cat'/'0.png', pets/'cat'/'1.png'], 32)
    assert x.shape == (2, 3, 32, 32) and x.dtype == torch.uint8 and (x[0, 0] == x[0, 1]).all()

# ---- bodies, features, frozen layers

def everything_in(net): return {k: v.clone() for k, v in net.state_dict().items()}

def test_frozen_layers_do_not_move():
    s = toys(); clf = C.Classifier(C.body('toynet-random'), s.classes, size=32)
    before, head = everything_in(clf.body), everything_in(clf.head)
    assert any('running_mean' in k for k in before)
    learn(clf, s, TINY)
    after = clf.body.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before), 'the frozen body has moved'
    assert not torch.equal(head['2.weight'], clf.head.state_dict()['2.weight'])
    clf.unfreeze(); learn(clf, s, TINY.replace(unfreeze=1), 1)
    assert all(not torch.equal(before[k], clf.body.state_dict()[k]) for k in before if k.endswith(('weight', 'running_mean')))

def test_that_test_would_see_moving_statistics(monkeypatch):
    "fastai trains a frozen body's batch norm, and so does `Module.train`: without our `train`, the statistics move."
    monkeypatch.setattr(K.FrozenNet, 'train', torch.nn.Module.train)
    s = toys(); clf = C.Classifier(C.body('toynet-random'), s.classes, size=32)
    before = everything_in(clf.body)
    learn(clf, s, TINY)
    assert not all(torch.equal(before[k], clf.body.state_dict()[k]) for k in before)

@pytest.mark.parametrize('name', ['toynet-random', 'resnet18-random', 'mobilenet_v2-random'])
def test_cached_features_equal_uncached_ones(name, tmp_path):
    s, b = toys(), C.body(name)
    x = C.load_pictures(s.train, 64)
    f, again = (C.cached_features(b, x, bs=5, cache=tmp_path) for _ in range(2))
    assert torch.equal(f, again) and len(list(tmp_path.iterdir())) == 1 and f.dtype == torch.float32
    with torch.no_grad(): one = torch.cat([b.pooled(x[i:i+1].float()/255) for i in range(len(x))])
    assert ((f - one).abs().max()/one.abs().max()) < 1e-5
    view = C.cached_features(b, x, view=1, cache=tmp_path)
    with torch.no_grad(): plain = b.pooled(N.augment(x, 42, 1))
    assert ((view - plain).abs().max()/plain.abs().max()) < 1e-5 and not torch.allclose(view, f, rtol=1e-3, atol=0)
    C.cached_features(b, x.flip(0), cache=tmp_path); C.cached_features(C.body(name, seed=1), x, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 4                         # other pictures, other weights, another view: other files
    for p in tmp_path.iterdir(): p.write_bytes(b'damaged')
    assert torch.equal(C.cached_features(b, x, bs=5, cache=tmp_path), f)

def test_cached_head_is_the_plain_loops_head():
    "The same weights to begin with, the same batches: after some steps the same head."
    s, b = toys(24), C.body('toynet-random')
    x = C.load_pictures(s.train, 32); f = C.cached_features(b, x); y = torch.as_tensor(s.y_train)
    h = C.train_head(f, y, steps=30, bs=8, seed=3)
    clf = C.Classifier(b, s.classes, size=32, seed=3)
    opt, g = torch.optim.Adam(clf.head.parameters(), 1e-3), torch.Generator().manual_seed(3)
    for step in range(30):
        if step % 3 == 0: order = torch.randperm(24, generator=g)
        i = order[step % 3*8:][:8]
        opt.zero_grad(); torch.nn.functional.cross_entropy(clf(x[i].float()/255), y[i]).backward(); opt.step()
    assert torch.allclose(h.linear.weight, clf.head[-1].weight, atol=1e-5)

def test_cached_head_is_fastais_head():
    "With all pictures in one batch the order does not matter: fastai's loop and the kept features end at the same head."
    s, b = toys(24), C.body('toynet-random')
    r = TINY.replace(bs=24, epochs=12, flip=False, degrees=0., jitter=0., seed=3)
    clf = C.Classifier(b, s.classes, size=32, seed=3)
    learn(clf, s, r)
    h = C.train_head(C.cached_features(b, C.load_pictures(s.train, 32)), s.y_train, steps=12, bs=24, lr=r.lr, seed=3)
    assert torch.allclose(h.linear.weight, clf.head[-1].weight, atol=1e-5) and torch.allclose(h.linear.bias, clf.head[-1].bias, atol=1e-5)

def test_views_follow_from_their_numbers():
    x = C.load_pictures(toys().train, 32)
    a = N.augment(x, 7, 2)
    assert torch.allclose(a, torch.cat([N.augment(x[:5], 7, 2), N.augment(x[5:], 7, 2, start=5)]), atol=1e-6) and not torch.allclose(a,
        N.augment(x, 7, 3), atol=.01)
    assert torch.allclose(N.augment(x, 7, 2, flip=False, degrees=0, jitter=0), x.float()/255, atol=1e-5)

def test_real_weights(srgan_weights):
    """Photographs that ship with packages: a pretrained body tells what they show better than chance tells it; its own last layers name
    the cat."""
    from torchvision.transforms.functional import normalize
    from srgan_course.data import sample_photos
    chelsea = C.load_pictures([sample_photos('valid')['chelsea']], 224)
    for arch in ('resnet50', 'mobilenet_v2', 'squeezenet1_1'):
        net, source, variant = K.pretrained(arch)
        b = K.Body(K.cut_head(net), arch, source, arch, variant, net)
        top = net.eval()(normalize(chelsea.float()/255, K.IMAGENET_MEAN, K.IMAGENET_STD)).topk(3).indices[0].tolist()
        assert set(top) & {281, 282, 283, 285, 287}, f'{arch} sees classes {top}, no cat'
        # a file of another make is named
        assert b.label == (arch if source.startswith(f'{arch}-') else f'{arch} ({source.rpartition(".")[0]})')
    assert K._strides_v1 is K.VARIANTS['v1'] and C.body('resnet50').net.layer2[0].conv1.stride == (2, 2)

def test_without_weights_one_line_says_where_they_come_from(monkeypatch):
    monkeypatch.delenv('SRGAN_WEIGHTS', raising=False)
    def offline(*a, **k): raise OSError('no route')
    monkeypatch.setattr('torch.hub.load_state_dict_from_url', offline)
    monkeypatch.setattr('torchvision.models._api.load_state_dict_from_url', offline)
    with pytest.raises(OSError, match=r'resnet18: its weights could not be had from https.*resnet18-random'): C.body('resnet18')
    with pytest.raises(ValueError, match='not known'): C.body('resnet5')
    with pytest.raises(ValueError, match='feature maps'): K.Body(torch.nn.Flatten(), 'flat')
    with pytest.raises(ValueError, match="head='linear'"): C.Classifier(C.body('resnet18-random'), ['a', 'b'], 'own')

# ---- runs

def same(a, b): return all(torch.equal(a[k], b[k]) for k in a) and a.keys() == b.keys()

def small_vgg(name, seed=0):
    "A body whose network ends like VGG's, with dropout, only smaller."
    net = K.make_net('toynet', seed=seed); b = K.Body(net.features, name, arch='toynet')
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        whole = torch.nn.Module(); whole.avgpool = torch.nn.AdaptiveAvgPool2d(2)
        whole.classifier = torch.nn.Sequential(torch.nn.Linear(4*b.nf, 16), torch.nn.ReLU(), torch.nn.Dropout(), torch.nn.Linear(16, 10))
    b._whole = [whole]
    return b

@pytest.mark.parametrize('recipe', [TINY.replace(head='own', epochs=3), TINY.replace(unfreeze=3),
                                    TINY.replace(head='own', epochs=1, unfreeze=2)],
                         ids=['own head', 'fine-tuning', 'own head and fine-tuning'])
def test_resumed_equals_uninterrupted(recipe, tmp_path, monkeypatch):
    if recipe.head == 'own': [monkeypatch.setattr(m, 'body', small_vgg) for m in (C, K)]
    s, less = toys(), dict(unfreeze=1) if recipe.unfreeze else dict(epochs=1)
    whole = C.train_classifier(recipe, split=s, out=tmp_path/'whole')
    C.train_classifier(recipe.replace(**less), split=s, out=tmp_path/'parts')
    with pytest.raises(ValueError, match='holds a run already'): C.train_classifier(recipe, split=s, out=tmp_path/'parts')
    with pytest.raises(ValueError, match='another run: bs'):
        C.train_classifier(recipe.replace(bs=4), split=s, out=tmp_path/'parts', resume=True)
    with pytest.raises(ValueError, match=r'a run on other pictures \(training: '): C.train_classifier(recipe, split=toys(8), out=tmp_path/'parts', resume=True)
    parts = C.train_classifier(recipe, split=s, out=tmp_path/'parts', resume=True)
    assert same(whole.classifier.state_dict(), parts.classifier.state_dict()) and whole.history == parts.history
    assert (tmp_path/'whole'/'history.csv').read_text() == (tmp_path/'parts'/'history.csv').read_text()

def test_a_folder_spelled_otherwise_is_the_same_run(tmp_path, monkeypatch):
    "pets, pets/ and its whole path hold the same pictures, and the run knows them by content; a picture of another class is another run."
    for c in 'cat', 'dog':
        for i in range(8): (tmp_path/'pets'/c).mkdir(parents=True, exist_ok=True); draw_pet(c, i, 64).save(tmp_path/'pets'/c/f'{c}{i}.png')
    monkeypatch.chdir(tmp_path)
    C.train_classifier(TINY.replace(epochs=1), 'pets', tmp_path/'run')
    for spelled in 'pets/', './pets', str(tmp_path/'pets'): C.train_classifier(TINY.replace(epochs=2), spelled, tmp_path/'run', resume=True)
    (tmp_path/'pets'/'cat'/'cat7.png').rename(tmp_path/'pets'/'dog'/'cat7.png')
    with pytest.raises(ValueError, match='a run on other pictures|holds another run'):
        C.train_classifier(TINY.replace(epochs=3), 'pets', tmp_path/'run', resume=True)

def test_a_run_without_a_terminal_says_what_goes_on(capsys):
    "Its pictures and its body before either is made ready, then a line an epoch; all of it on the standard error."
    C.train_classifier(TINY.replace(unfreeze=2), split=toys(), progress='lines')
    said = capsys.readouterr(); lines = said.err.strip().splitlines()
    assert not said.out and 'toynet-random is loaded or taught' in lines[0] and [l.split(',')[1] for l in lines if l.startswith('phase 1')] == [' epoch 1', ' epoch 2']

@pytest.mark.parametrize('head', ['linear', 'own'])
def test_more_epochs_of_the_head_are_a_new_body(head, tmp_path, monkeypatch):
    """Resumed with more epochs of the head, even after a kill on the way, a run is the one that had them from the start: its body does not go
    on from a shorter head. Fewer are refused, and the run is as it was."""
    if head == 'own': [monkeypatch.setattr(m, 'body', small_vgg) for m in (C, K)]
    r, s = TINY.replace(unfreeze=2, head=head), toys()
    longer, run = r.replace(epochs=3), tmp_path/'run'
    whole = C.train_classifier(longer, split=s, out=tmp_path/'whole')
    C.train_classifier(r, split=s, out=run)
    with monkeypatch.context() as m:
        m.setattr(C, 'report', lambda *a: 1/0)
        with pytest.raises(ZeroDivisionError): C.train_classifier(longer, split=s, out=run, resume=True)
    more = C.train_classifier(longer, split=s, out=run, resume=True)
    assert same(whole.classifier.state_dict(), more.classifier.state_dict()) and whole.history == more.history
    files = {p: p.read_bytes() for p in run.rglob('*') if p.is_file()}
    for kw, says in (dict(epochs=1), 'more epochs: epochs 3 there, 1 here'), (dict(unfreeze=1), 'more unfreeze: unfreeze 2 there, 1 here'):
        with pytest.raises(ValueError, match=says): C.train_classifier(longer.replace(**kw), split=s, out=run, resume=True)
    assert files == {p: p.read_bytes() for p in run.rglob('*') if p.is_file()}

@pytest.mark.parametrize('name', ['history.csv', 'classifier.safetensors', 'results.json'])
def test_what_is_lost_of_a_finished_run_is_made_again(name, tmp_path):
    r, s = TINY.replace(unfreeze=1), toys()
    whole, p = C.train_classifier(r, split=s, out=tmp_path), tmp_path/name
    was = p.read_bytes()
    for spoil in (p.unlink, lambda: p.write_bytes(was[:len(was)//3])):
        spoil()
        again = C.train_classifier(r, split=s, out=tmp_path, resume=True)
        assert same(whole.classifier.state_dict(), again.classifier.state_dict()) and whole.history == again.history
        assert p.stat().st_size > len(was)/2

@pytest.fixture
def odd_addresses(monkeypatch):
    """A machine on which files are read to addresses that are no multiple of 16, and a product that meets one has other last digits (MKL's
    have)."""
    import safetensors.torch as st
    def odd(t):
        at, size = max(4, t.element_size()), t.numel()*t.element_size()
        room = torch.empty(at + size, dtype=torch.uint8)
        moved = room[at:].view(t.dtype).view(t.shape).copy_(t) if size else t
        assert not size or moved.data_ptr() % 16
        return moved
    for where, name in (st, 'load'), (st, 'load_file'), (torch, 'load'):
        f = getattr(where, name)
        monkeypatch.setattr(where, name, lambda *a, f=f, **kw: {k: odd(v) if torch.is_tensor(v) else v for k, v in f(*a, **kw).items()})
    linear = torch.nn.functional.linear
    def product(x, w, b=None): return linear(x, w, b)*(1 + 1e-6*any(t is not None and t.data_ptr() % 16 for t in (x, w, b)))
    monkeypatch.setattr(torch.nn.functional, 'linear', product)

def resumed(recipe, s, folder, less):
    "A run in one go, and the same run interrupted and taken up again."
    whole = C.train_classifier(recipe, split=s, out=folder/'whole')
    C.train_classifier(recipe.replace(**less), split=s, out=folder/'parts')
    return whole, C.train_classifier(recipe, split=s, out=folder/'parts', resume=True)

@pytest.mark.parametrize('recipe', [TINY.replace(head='own', epochs=3), TINY.replace(unfreeze=3), TINY.replace(unfreeze=3, views=2)],
                         ids=['own head', 'fine-tuning', 'views'])
def test_resumed_equals_uninterrupted_wherever_files_are_read_to(recipe, tmp_path, monkeypatch, odd_addresses):
    if recipe.head == 'own': [monkeypatch.setattr(m, 'body', small_vgg) for m in (C, K)]
    whole, parts = resumed(recipe, toys(), tmp_path, dict(unfreeze=1) if recipe.unfreeze else dict(epochs=1))
    assert same(whole.classifier.state_dict(), parts.classifier.state_dict()) and whole.history == parts.history

def test_what_is_read_back_has_memory_of_its_own(tmp_path, odd_addresses):
    "Features, checkpoints, weights: at a multiple of 64, as torch puts what it works out."
    own = lambda tensors: all(t.data_ptr() % 64 == 0 for t in tensors)
    s = toys(); res = C.train_classifier(TINY.replace(unfreeze=1), split=s, out=tmp_path)
    files = list((tmp_path/'features').iterdir()); assert files
    assert own(N._read_features(p, n, 64) for p in files for n in (len(s.train), len(s.valid)) if N._read_features(p, n, 64) is not None)
    from srgan_course.kit.checkpoints import latest_checkpoint, read_checkpoint
    assert own(read_checkpoint(latest_checkpoint(tmp_path/'checkpoints'/'1'))[0].values())
    back = C.load_classifier(tmp_path/'classifier.safetensors')
    assert own(back.state_dict().values()) and same(back.state_dict(), res.classifier.state_dict())
    torch.save({'a': torch.ones(3)}, tmp_path/'w.pth'); assert own(read_weights(tmp_path/'w.pth').values())

def test_without_it_that_test_is_red(tmp_path, monkeypatch, odd_addresses):
    "Features that stay where the file was read to: the head is the same, and the losses of the resumed run are others."
    def as_read(path, n, nf):
        import safetensors.torch as st
        return st.load_file(path)['x']
    monkeypatch.setattr(N, '_read_features', as_read)
    whole, parts = resumed(TINY.replace(unfreeze=2), toys(), tmp_path, dict(unfreeze=1))
    assert whole.history != parts.history

def test_without_the_seeds_of_an_epoch_that_test_is_red(tmp_path, monkeypatch):
    "A resume that forgets the random state: other views, so other weights."
    monkeypatch.setattr('srgan_course.kit.checkpoints.set_rng_state', lambda *a: None)
    count = iter(range(1000))
    monkeypatch.setattr('srgan_course.kit.epochs.draws', lambda n, *where: np.array([next(count)]*n) if where[-1] == 6
                        else np.random.SeedSequence(where).generate_state(n))
    r, s = TINY.replace(unfreeze=2), toys()
    whole = C.train_classifier(r, split=s)
    C.train_classifier(r.replace(unfreeze=1), split=s, out=tmp_path)
    assert not same(whole.classifier.state_dict(), C.train_classifier(r, split=s, out=tmp_path, resume=True).classifier.state_dict())

def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, capsys):
    r, s = TINY.replace(unfreeze=2), toys()
    whole = C.train_classifier(r, split=s, out=tmp_path)
    (tmp_path/'classifier.safetensors').unlink()                      # or the run were found done
    last = sorted((tmp_path/'checkpoints'/'1').iterdir())[-1]; raw = bytearray(last.read_bytes()); raw[-3] ^= 1; last.write_bytes(raw)
    assert same(whole.classifier.state_dict(), C.train_classifier(r, split=s, out=tmp_path, resume=True).classifier.state_dict())
    assert 'checksum does not fit' in capsys.readouterr().out

@pytest.mark.parametrize('name', [n for n in C.CLASSIFIER_RECIPES if n != 'full'])
def test_two_steps_of_every_recipe(name, tmp_path, monkeypatch):
    monkeypatch.setattr(epochs, 'plot_curves', DRAW)
    r = C.CLASSIFIER_RECIPES[name]
    assert C.ClassifierRecipe.from_json(r.to_json()) == r
    arch = r.body.split('-')[0]
    r = r.replace(bs=2, epochs=1, views=min(r.views, 1), unfreeze=min(r.unfreeze, 1), body=f'{arch}-random')
    s = toys(4, 64)
    res = C.train_classifier(r, split=s, out=tmp_path)
    assert len(res.history) == 1 + r.unfreeze and np.isfinite(res.report['loss'])
    longer = C.train_classifier(r.replace(epochs=2), split=s, out=tmp_path, resume=True)
    assert len(longer.history) == 2 + r.unfreeze and longer.history[0] == res.history[0]
    assert Image.open(tmp_path/'curves.png').width > 400

def test_two_steps_of_full(tmp_path):
    "VGG16's own head, 119.5 million parameters, Adam and a checkpoint; random weights by name."
    r = C.CLASSIFIER_RECIPES['full']
    assert (r.size, r.bs, r.epochs, r.lr, r.valid, r.head) == (128, 256, 50, 1e-3, .3, 'own')
    s = toys(4, 64)
    res = C.train_classifier(r.replace(body='vgg16-random', bs=2, epochs=1), split=s, out=tmp_path)
    clf = res.classifier
    assert sum(p.numel() for p in clf.parameters() if p.requires_grad) == 119_554_050
    from srgan_course.kit.checkpoints import latest_checkpoint
    _, state, plain = latest_checkpoint(tmp_path/'checkpoints'/'0', read=True)
    assert all(torch.equal(state[f'model/{k}'], p) for k, p in clf.named_parameters())
    learning = [p for p in clf.parameters() if p.requires_grad]
    assert sum(t.numel() for k, t in state.items() if k.startswith('opt/') and k.endswith('exp_avg_sq')) == sum(p.numel() for p in learning)
    assert plain['cb.epoch_rows']['rows'] == res.history
    back = C.load_classifier(tmp_path/'classifier.safetensors')
    assert all(torch.equal(a, b) for a, b in zip(back.state_dict().values(), clf.state_dict().values())) and back.kind == 'own'

def test_nan_ends_a_run():
    with pytest.raises(ValueError, match='unfreeze_lr is 1e'): TINY.replace(unfreeze_lr=1e30)
    r = TINY.replace(unfreeze=2)
    object.__setattr__(r, 'unfreeze_lr', 1e30)              # more than a recipe may say, so that the weights surely overflow
    with pytest.raises(FloatingPointError, match='try a rate below'): C.train_classifier(r, split=toys())

def test_recipes_refuse_what_cannot_be():
    for kw, says in (dict(head='deep'), 'head'), (dict(valid=1.), 'valid'), (dict(lr=-1.), 'lr'), (dict(views=-1), 'views'), (dict(rate=1),
        'no field'):
        with pytest.raises(ValueError, match=says): TINY.replace(**kw)
    with pytest.raises(ValueError, match='not in'): C.get_recipe('fast', C.ClassifierRecipe)
    assert TINY.replace(size=31).size == 31                          # a classifier has no scale that a size could be a multiple of

# ---- files

@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    clf = C.Classifier(C.body('toynet-random'), ['cat', 'dog'], size=32)
    return clf, save_classifier(clf, tmp_path_factory.mktemp('c')/'c.safetensors', note='a test')

def test_saved_and_loaded(saved, tmp_path):
    clf, path = saved
    x = C.load_pictures(toys().train, 32)
    back = C.load_classifier(path)
    assert same(clf.state_dict(), back.state_dict()) and np.allclose(clf.probs(x), back.probs(x),
        atol=1e-6) and back.classes == ['cat', 'dog'] and back.size == 32 and back.meta['note'] == 'a test' and not back.training
    half = C.load_classifier(save_classifier(clf, tmp_path/'h.safetensors', dtype=torch.float16))
    assert abs(clf.probs(x) - half.probs(x)).max() < 1e-2 and (tmp_path/'h.safetensors').stat().st_size < .6*path.stat().st_size
    assert C.body(path).nf == clf.body.nf and C.body(path).frozen

def test_files_that_are_not_ours(saved, tmp_path):
    _, path = saved
    raw, p = path.read_bytes(), tmp_path/'x.safetensors'
    def refused(data, says):
        p.write_bytes(data)
        with pytest.raises(ValueError, match=says) as e: C.load_classifier(p)
        assert len(str(e.value).splitlines()) == 1
    refused(b'', 'damaged'); refused(raw[:-100], 'damaged'); refused(raw[:400], '400 bytes, where the header alone has'); refused(raw[:-1] + bytes([raw[-1] ^ 1]), 'checksum')
    torch.save({'a': 1}, p); refused(p.read_bytes(), 'pickle')
    from safetensors.torch import save
    from srgan_course.kit.files import digest
    refused(save({'a': torch.zeros(1)}), 'not a classifier')
    meta = dict(classifier='1', variant='', head='linear', classes='["cat", "dog"]', size='32', body='x', weights='y')
    def with_sum(t, m): return save(t, m | dict(checksum=digest(json.dumps(m, sort_keys=True), t)))
    refused(with_sum({'a': torch.zeros(1)}, meta), 'does not say')
    refused(with_sum({'a': torch.zeros(1)}, meta | dict(arch='os.system')), 'not known')
    refused(with_sum({'a': torch.zeros(1)}, meta | dict(arch='toynet')), 'x.safetensors')
    with pytest.raises(FileNotFoundError, match='no such file'): C.load_classifier(tmp_path/'none.safetensors')
    bad = C.Classifier(C.body('toynet-random'), ['cat', 'dog'], size=32); bad.head[-1].weight.data[0, 0] = float('nan')
    with pytest.raises(ValueError, match='not finite'): save_classifier(bad, tmp_path/'n.safetensors')
    assert not (tmp_path/'n.safetensors').exists()

# ---- the command

def command(*args, cwd=None, ok=None):
    r = forked.command('classify', *args, cwd=cwd)
    assert 'Traceback' not in r.stderr, r.stderr
    if ok is not None: assert r.returncode == ok, r.stderr
    return r

def test_command_trains_evaluates_and_classifies(pets, tmp_path):
    TINY.save(tmp_path/'tiny.json')
    r = command('--train', pets, '--recipe', tmp_path/'tiny.json', '--out', tmp_path/'run', '--json', ok=0)
    assert json.loads(r.stdout)['figures']['confusion'] and (tmp_path/'run'/'classifier.safetensors').is_file()
    model = tmp_path/'run'/'classifier.safetensors'
    r = json.loads(command('--evaluate', pets, '--model', model, '--json', ok=0).stdout)
    assert r['n'] == 12 and 0 <= r['accuracy'] <= 1 and len(r['intervals']['auc']) == 2
    (pets/'cat'/'broken.png').write_bytes(b'nothing')
    r = command(pets/'cat', '--model', model, '--json', ok=1)
    d = json.loads(r.stdout)
    assert len(d['pictures']) == 6 and len(d['bad']) == 1 and d['pictures'][0]['class'] in ('cat', 'dog') and 'broken.png' in r.stderr
    assert abs(sum(d['pictures'][0]['probs'].values()) - 1) < 1e-6

def test_command_errors(pets, tmp_path):
    for args, says in (([], 'nothing to do'), ([tmp_path/'none.png', '--model', tmp_path/'m.safetensors'], 'no such file'),
                       (['--train', tmp_path/'nowhere'], 'neither a folder'), ([pets, '--evaluate', 'x', '--train', 'y'], 'one of')):
        r = command(*args, cwd=tmp_path, ok=2)
        assert says in r.stderr and len(r.stderr.strip().splitlines()) == 1, r.stderr

@pytest.mark.parametrize('arch', ['resnet18', 'mobilenet_v2', 'densenet121', 'shufflenet_v2_x0_5', 'swin_t'])
def test_features_are_what_the_networks_own_head_is_given(arch):
    "The pooled maps of a body equal the input of the last layer, whatever else stands in the network's `forward`."
    import torch
    from torch import nn
    whole, x, seen = K.make_net(arch).eval(), torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0)), []
    for m in whole.modules():
        if isinstance(m, nn.BatchNorm2d): nn.init.normal_(m.bias, 0, .2)               # something for a ReLU to do
    [m for m in whole.modules() if isinstance(m, nn.Linear)][-1].register_forward_pre_hook(lambda m, args: seen.append(args[0]))
    b = K.Body(K.cut_head(whole), arch)
    with torch.no_grad(): own = whole((x - b.mean)/b.std); pooled = b.pooled(x)
    assert own.shape == (2, 1000) and b.nf == pooled.shape[1] and torch.allclose(pooled, seen[0], atol=1e-5)

@pytest.mark.parametrize('arch', ['vit_b_16', 'maxvit_t'])
def test_networks_without_feature_maps_are_refused(arch):
    with pytest.raises(ValueError, match=f'{arch}-random makes no feature maps of pictures of 64 pixels; give a convolutional network'): K.body(f'{arch}-random')

def test_probabilities_of_floats():
    "Those of the same pictures as bytes; they were divided by 255 once more. What lies outside of [0,1] is refused."
    c = K.Classifier(K.body('toynet-random', 0), ['a', 'b'], 'linear', 32, 0)
    u = torch.randint(0, 256, (5, 3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()
    assert (c.probs(u) == c.probs(u.float()/255)).all() and len({*c.probs(u, bs=2)[:, 0]}) == 5
    t = K.teacher(c); assert (t.scores(u) == t.scores(u.float()/255)).all() and (N.augment(u) == N.augment(u.float()/255)).all()
    assert (N.cached_features(c.body, u) == N.cached_features(c.body, u.float()/255)).all()
    assert np.allclose(c.probs(u), c.eval()(u.float()/255).softmax(1).detach(), atol=1e-6)
    for odd in u.float(), u/127.5 - 1, u.long(), u[0, 0]:
        with pytest.raises(ValueError, match='a batch (runs from|is torch.int64|has shape)'): c.probs(odd)
