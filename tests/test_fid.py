"""Distances between sets of pictures against second implementations (pytorch-fid, torch-fidelity, SciPy), folders and bad input.

Inception's weights come from the folder that SRGAN_WEIGHTS names; without them those tests are skipped, by name.
"""
import subprocess, sys, warnings
from pathlib import Path
import numpy as np, pytest, torch
from PIL import Image
from srgan_course import fid as F
from srgan_course.kit import features as N, sets as S
from srgan_course.kit.figures import differ
from srgan_course.kit.weights import find_weights

needs_inception = pytest.mark.skipif(not find_weights(N.SMALL), reason=f'no {N.SMALL} in the folder that SRGAN_WEIGHTS names')

def pictures(n, seed, size=40, sharp=8):
    "Smooth coloured noise: textures that differ by `sharp`."
    g = torch.Generator().manual_seed(seed)
    x = torch.nn.functional.interpolate(torch.rand(n, 3, sharp, sharp, generator=g), (size, size), mode='bicubic', align_corners=False)
    return (x.clamp(0, 1)*255).round().byte()

def write(folder, x):
    folder.mkdir()
    for i, p in enumerate(x): Image.fromarray(p.permute(1, 2, 0).numpy()).save(folder/f'{i:03}.png')
    return folder

@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    d = tmp_path_factory.mktemp('sets')
    return write(d/'a', pictures(70, 1)), write(d/'b', pictures(72, 2, sharp=12))

@pytest.fixture
def theirs(monkeypatch):
    "pytorch-fid's own network with the weights at hand (its last block is not in them and stays random)."
    from safetensors.torch import load_file
    import pytorch_fid.inception as pf
    state, load = {k: v.float() for k, v in load_file(find_weights(N.SMALL)).items()}, torch.nn.Module.load_state_dict
    monkeypatch.setattr(pf, 'load_state_dict_from_url', lambda *a, **k: state)
    monkeypatch.setattr(torch.nn.Module, 'load_state_dict', lambda self, s, strict=True, **k: load(self, s, strict=False, **k))
    return pf

@needs_inception
@pytest.mark.parametrize('dims', [64, 192, 768])
def test_features_of_pytorch_fid(dims, theirs):
    net, x = theirs.InceptionV3([theirs.InceptionV3.BLOCK_INDEX_BY_DIM[dims]]).eval(), pictures(3, 5, 96)
    with torch.inference_mode(): want = net(x/255)[0].mean((2, 3)).numpy()
    got = S.features(x, f'inception@{dims}').x
    assert got.shape == (3, dims) and abs(got - want).max() < 1e-4*abs(want).max()

@needs_inception
@pytest.mark.parametrize('dims', [64, pytest.param(192, marks=pytest.mark.slow), pytest.param(768, marks=pytest.mark.slow)])
def test_figure_of_pytorch_fid(dims, theirs, folders):
    "The same folders, the same figure; with fewer pictures than features, too."
    from pytorch_fid.fid_score import calculate_fid_given_paths
    want = calculate_fid_given_paths([str(f) for f in folders], 36, 'cpu', dims, num_workers=0)
    with warnings.catch_warnings(): warnings.simplefilter('ignore'); got = F.fid(*folders, f'inception@{dims}')
    assert abs(got - want) < 1e-3*want
    assert got.statement['net'] == f'inception@{dims}' and got.statement['resize'] == 'bilinear 299' and got.statement['n'] == [70, 72]

def test_statistics_both_ways(tmp_path):
    from pytorch_fid.fid_score import compute_statistics_of_path
    s = S.features(pictures(20, 1), 'random@16').stats
    s.save(tmp_path/'s.npz')
    mu, sigma = compute_statistics_of_path(str(tmp_path/'s.npz'), None, 1, 16, 'cpu')
    assert np.allclose(mu, s.mu) and np.allclose(sigma, s.sigma)
    np.savez_compressed(tmp_path/'t.npz', mu=mu, sigma=sigma)
    assert F.fid(tmp_path/'t.npz', s) < 1e-9

@pytest.mark.parametrize('n,m,d', [(400, 500, 150), (60, 90, 150), (151, 149, 150), (2, 2, 5), (30, 31, 1)])
def test_distance_against_scipy(n, m, d):
    "Full rank, fewer pictures than features, nearly singular."
    from scipy.linalg import sqrtm
    r = np.random.default_rng(d + n)
    x, y = (r.normal(size=(k, d))*np.logspace(0, -3, d) + r.normal(size=d)*.1 for k in (n, m))
    (s, t), (p, q) = [np.atleast_2d(np.cov(v, rowvar=False)) for v in (x, y)], (x.mean(0), y.mean(0))
    got, eps = F.frechet_distance(p, s, q, t), 1e-12*np.eye(d)
    want = ((p - q)**2).sum() + np.trace(s) + np.trace(t) - 2*np.trace(sqrtm((s + eps)@(t + eps))).real
    assert abs(got - want) < 1e-4*want
    assert F.frechet_distance(p, s, p, s) < 1e-9*np.trace(s)

def test_kid_of_torch_fidelity():
    fidelity = pytest.importorskip('torch_fidelity.metric_kid')
    r = np.random.default_rng(0)
    x, y = r.normal(size=(200, 24)), r.normal(.2, 1.1, (180, 24))
    kid = lambda k, size: fidelity.kid_features_to_metric(torch.from_numpy(x[:180]), torch.from_numpy(y), kid_subsets=k,
                                                          kid_subset_size=size, verbose=False, rng_seed=0)
    all_of_it = kid(1, 180)
    assert abs(F.kid(x[:180], y, subsets=1, size=180)
               - all_of_it['kernel_inception_distance_mean']) < 1e-6*abs(all_of_it['kernel_inception_distance_mean'])
    ours, other = F.kid(x[:180], y, subsets=400, size=60), kid(400, 60)
    assert abs(ours - other['kernel_inception_distance_mean']) < 4*ours.spread*(2/400)**.5
    assert abs(ours.spread/other['kernel_inception_distance_std'] - 1) < .2

def test_interval_of_large_sets_covers():
    """By subsets of sets of one size, of two sizes, and by subsets asked for that are as large as the sets: the truth lies inside about 95
    times of 100, or more."""
    for n, m, size in (200, 200, 1000), (200, 200, 50), (300, 40, 1000):
        runs = [F._kid_large((r := np.random.default_rng(i)).normal(size=(n, 4)), r.normal(.3, 1, (m, 4)), 30, size,
                             np.random.default_rng(0), None, {}) for i in range(60)]
        held = np.mean([v.interval[0] <= np.mean(runs) <= v.interval[1] for v in runs])
        assert .88 <= held and runs[0].statement['subsets'] == f'30 of {min(size, m//2)}'

def test_inception_score_of_torch_fidelity():
    fidelity = pytest.importorskip('torch_fidelity.metric_isc')
    logits = torch.randn(120, 7, generator=torch.Generator().manual_seed(0)).double()*3
    order = np.random.default_rng(5).permutation(120)
    want = fidelity.isc_features_to_metric(logits[order], splits=10, shuffle=False)
    got = F.inception_score(logits.softmax(1), splits=10, seed=5)
    assert abs(got - want['inception_score_mean']) < 1e-6 and abs(got.spread - want['inception_score_std']) < 1e-6

def test_threads_batches_and_forms_agree(folders):
    a, b = folders
    want = F.fid(a, b, 'random@32')
    for kw in (dict(bs=5), dict(workers=4, bs=9)): assert abs(F.fid(a, b, 'random@32', **kw) - want) < 1e-4*want
    assert abs(F.fid(pictures(70, 1), list(pictures(72, 2, sharp=12).flip(0)/255), 'random@32') - want) < 1e-4*want

def test_bad_folders(folders, tmp_path):
    a, b = folders
    (tmp_path/'none').mkdir()
    with pytest.raises(ValueError, match='no picture in'): F.fid(tmp_path/'none', b, 'random@32')
    with pytest.raises((FileNotFoundError, ValueError), match='nowhere'): F.fid(tmp_path/'nowhere', b, 'random@32')
    c = write(tmp_path/'c', pictures(6, 3))
    (c/'broken.png').write_bytes((c/'000.png').read_bytes()[:60])
    Image.new('RGBA', (40, 40), (9, 9, 9, 99)).save(c/'glass.png')
    with pytest.raises(ValueError) as e: S.features(c, 'random@32')
    said = str(e.value)
    assert (said.startswith('2 of 8 pictures cannot be used') and 'broken.png' in said and 'glass.png' in said and 'skip=True' in said
            and '\n' not in said)
    with pytest.warns(UserWarning, match='2 of 8 pictures left out'): assert len(S.features(c, 'random@32', skip=True)) == 6
    for p in ('broken.png', 'glass.png'): (c/p).unlink()
    Image.new('L', (50, 40), 90).save(c/'grey.png')
    with pytest.raises(ValueError, match='40 x 40 and 50 x 40 pixels in one set, and random@32 has no size of its own'):
        S.features(c, 'random@32')
    assert S.features(c, N.PooledNet(lambda x: x.mean((2, 3)), 'colour', size=20)).x.shape == (7, 3)

def test_too_few_pictures(folders):
    a, b = folders
    with pytest.warns(UserWarning, match='FID of 70 pictures with 128 features'): F.fid(a, b, 'random@128')
    with pytest.raises(ValueError, match='1 picture in the second set: a covariance needs 2'): F.fid(a, pictures(1, 1), 'random@32')
    with pytest.raises(ValueError, match='KID needs 2 or more'): F.kid(pictures(1, 1), pictures(4, 1), 'random@32')

def test_tiny_sets_have_no_nan():
    "A bootstrap of three pictures draws one of them three times now and then; that has no pairs, and must not become NaN."
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for g in (None, [0, 1, 2], [0, 0, 1, 2]):
            x = np.eye(len(g or 'abc'))
            assert np.isfinite(F.kid(x, 2*x, groups=g).interval).all()
        two = F.kid(np.eye(3), 2*np.eye(3), groups=[0, 0, 1])
        assert np.isfinite(two) and two.interval is None                           # every draw holds the same pairs

def test_classifiers_of_lesson_04_are_rulers():
    "The body of a classifier, or a whole classifier for the score, goes where a net's name goes; the figure says which it was."
    from srgan_course.classifier import body
    b = body('toynet-random')
    v = F.kid(pictures(20, 1, 64), pictures(20, 2, 64, sharp=12), b)
    assert v.statement['net'] == b.name and v.statement['dims'] == b.nf and v > 0

def test_speed_is_on_the_ledger():
    "Agreement with pytorch-fid, and the ratios of `benchmarks/fid.py`: 2048 features, and the whole way from two folders."
    from conftest import ROOT
    from srgan_course.metrics import load_result
    distance, folders, same = (load_result(ROOT/'results'/f'{n}.json')['figures'] for n in ('fid_distance', 'fid_folders', 'fid_agreement'))
    assert {f'FID inception@{d}' for d in (64, 192, 768)} <= set(same) and all(f['relative_difference'] < 1e-3 for f in same.values())
    assert distance['relative_difference'] < 1e-4 and folders['relative_difference'] < 1e-3
    assert distance['ratio'] >= 10 and folders['ratio'] >= 1.5

def test_memory_does_not_grow():
    "Endless batches are taken in one by one; what is kept is a mean and a covariance."
    seen = []
    def endless():
        while True: seen.append(1); yield torch.rand(10, 3, 16, 16)
    v = F.fid(endless(), endless(), 'random@8', n=300, bs=10, workers=1)
    assert v.statement['n'] == [300, 300] and len(seen) < 120

def test_light_import():
    code = ('import sys, srgan_course.fid; print([m for m in ("fastai", "torchvision", "scipy", "pytorch_fid", "matplotlib") if m in '
            'sys.modules])')
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=120)
    assert r.stdout.strip() == '[]', r.stdout + r.stderr

def test_folders_before_weights(tmp_path, monkeypatch):
    "A folder without pictures is told before any weights are looked for."
    def none(*args, **kw): raise AssertionError('weights were looked for')
    monkeypatch.setattr(N, 'pretrained_weights', none)
    for i in range(3): Image.new('RGB', (32, 32), (i, 9, 9)).save(tmp_path/f'{i}.png')
    (empty := tmp_path/'none').mkdir()
    for net in 'inception@2048', 'inception@64':
        with pytest.raises(ValueError, match='no picture in'): F.fid(tmp_path, empty, net)

def test_numbers_of_pictures_that_are_none(tmp_path):
    for i in range(3): Image.new('RGB', (32, 32), (i, 9, 9)).save(tmp_path/f'{i}.png')
    for n in 0, -3:
        with pytest.raises(ValueError, match=f'^n is {n}; give a whole number from 1 to'): F.fid(tmp_path, tmp_path, 'random@32', n=n)

def test_whole_numbers_of_16_bits_are_no_pictures():
    with pytest.raises(ValueError, match=r'the set \(torch.uint16\) runs from 0 to .*; give floats in \[0,1\], or uint8'):
        F.fid(np.arange(768, dtype=np.uint16).reshape(4, 3, 8, 8), pictures(4, 1), 'random@32')

def test_no_interval_of_a_distance_begins_below_zero():
    r = np.random.default_rng(0); f = F.fid(r.normal(size=(40, 4)), r.normal(size=(40, 4)), draws=50)
    assert f.interval[0] == 0 < f < f.interval[1] and f.draws.min() < 0 < f.draws.max()      # a difference still has all of its draws

def test_interval_of_fid_is_one_at_this_n():
    """It holds the mean of FID at this n and not the value of endless pictures, and the figure says so; a difference and a mean over seeds
    pass it on."""
    from srgan_course.kit.figures import over_seeds
    d, n = 32, 200
    wide = np.exp(-np.arange(d)/(d/4))
    endless = F.frechet_distance(np.zeros(d), np.diag(wide**2), .15*wide, np.diag((1.1*wide)**2))
    runs = [F.fid((r := np.random.default_rng(i)).normal(size=(n, d))*wide, r.normal(.15, 1.1, (n, d))*wide, draws=50) for i in range(40)]
    held = lambda v: np.mean([f.interval[0] <= v <= f.interval[1] for f in runs])
    assert held(np.mean(runs)) > .85 and held(endless) < .35
    for f in runs[0], differ(runs[0], runs[1]), over_seeds(runs[:3]): assert f.covers == 'at this n' and ', 95 % at this n: ' in repr(f)
    k = F.kid(np.eye(9), 2*np.eye(9))
    assert not k.covers and ', 95 %: ' in repr(k)

def test_symmetric_matrices_may_have_negative_eigenvalues():
    "Symmetry alone makes no covariance: refused whichever side it stands on, also where it hides behind a singular partner."
    bad = np.array([[0., 1.], [1., 0.]])
    for s, t in (bad, np.eye(2)), (np.eye(2), bad), (np.diag([1., 0]), np.array([[-1., 0], [0, 1.]])):
        with pytest.raises(ValueError, match='negative eigenvalue'): F.frechet_distance(np.zeros(2), s, np.zeros(2), t)

def test_the_net_is_called_features_and_the_older_name_works():
    a, b = pictures(20, 1), pictures(20, 2)
    for f, kw in (F.fid, {}), (F.kid, dict(draws=0)):
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            new, old = f(a, b, features='random@16', **kw), f(a, b, net='random@16', **kw)
        assert new == old and new.statement == old.statement and new.statement['net'] == 'random@16'

def test_inception_alone_is_the_whole_network(monkeypatch):
    monkeypatch.setattr(N, 'named_net', lambda name: name)
    assert N.pooled_net('inception') == 'inception@2048'

def test_complex_statistics_are_refused(tmp_path):
    "Half of a covariance is not passed over; numbers whose imaginary part is 0 are real."
    mu, sigma = np.zeros(3), np.eye(3)
    for m, s in ((mu, sigma*(1 + 1e-3j)), (mu + 1j, sigma)):
        np.savez(tmp_path/'c.npz', mu=m, sigma=s)
        with pytest.raises(ValueError, match='c.npz: statistics of complex numbers; give real ones'): F.Stats.load(tmp_path/'c.npz')
    np.savez(tmp_path/'r.npz', mu=mu, sigma=sigma.astype(complex))
    with warnings.catch_warnings(): warnings.simplefilter('error'); assert F.fid(tmp_path/'r.npz', F.Stats.load(tmp_path/'r.npz')) < 1e-9

def test_first_of_several_frames_is_said(tmp_path, capsys):
    "Once for each set, with how many, whatever is worked out, also where features come from the cache; files beyond `n` are not named."
    from srgan_course.cli import fid
    for s in 'ab':
        (d := tmp_path/s).mkdir()
        for i in range(6): noise = Image.fromarray(np.random.default_rng(i).integers(0, 256, (40, 40, 3)).astype(np.uint8)); noise.save(d/f'{i}.png')
        noise.save(d/'z.gif', save_all=True, append_images=[noise.rotate(90)])
    for _ in range(2):
        fid(str(tmp_path/'a'), str(tmp_path/'b'), features='random', dims=32, kid=True, cache=tmp_path/'kept')
        said = capsys.readouterr().err
        for s in 'ab': assert said.count(f'the first frame or page alone is measured of {tmp_path/s/"z.gif"} (2)') == 1, said
    fid(str(tmp_path/'a'), str(tmp_path/'b'), features='random', dims=32, n=6)
    assert 'z.gif' not in capsys.readouterr().err

# ---- what can be known of both sets is said before either is measured

@pytest.fixture
def unmeasured(monkeypatch):
    "A network that must not run."
    def never(*args): raise AssertionError('a set was measured')
    monkeypatch.setattr(N.PooledNet, 'forward', never)

def test_what_was_left_out_is_not_forgotten(tmp_path):
    "Features of a part of a set are not kept as those of all."
    a = write(tmp_path/'a', pictures(4, 3)); (tmp_path/'a'/'broken.png').write_bytes(b'no picture')
    net = N.PooledNet(lambda x: x.mean((2, 3)), 'mean colour', weights='w1')           # a net whose weights have a name is kept
    for _ in range(2):
        with pytest.warns(UserWarning, match='1 of 5 pictures left out'): S.features(a, net, tmp_path/'kept', skip=True)
    with pytest.raises(ValueError, match='1 of 5 pictures cannot be used'): S.features(a, net, tmp_path/'kept')

def test_a_cache_that_may_lack_pictures_is_not_believed(tmp_path):
    "One of version 0.1 that was kept where --skip had left a picture out gave figures of fewer pictures, without a word."
    import hashlib, json
    from srgan_course.kit.files import sha256_of
    for i in range(3): Image.new('RGB', (32, 32), (i, 9, 9)).save(tmp_path/f'{i}.png')
    files, net = [tmp_path/f'{i}.png' for i in range(3)], N.PooledNet(lambda x: x.mean((2, 3)), 'mean colour', weights='w1')
    h = hashlib.sha256(json.dumps([net.note, None]).encode())
    for f in files: h.update(bytes.fromhex(sha256_of(f)))
    (kept := tmp_path/'kept').mkdir(); np.savez(kept/f'{h.hexdigest()[:32]}.npz', x=np.zeros((2, 3)))
    for _ in range(2): assert len(S.features(files, net, kept)) == 3
    assert len([*kept.iterdir()]) == 2

def test_features_of_a_random_net_are_kept_by_its_name(folders, tmp_path, monkeypatch):
    "Its seed stands in it. `srgan-fid --cache FOLDER` kept nothing of them, without a word."
    from srgan_course.cli import fid
    kept, run = tmp_path/'kept', lambda net: fid(*map(str, folders), features=net, cache=tmp_path/'kept')
    for net in 'random@32', 'random7@32', 'random@32': run(net)
    assert len([*kept.iterdir()]) == 4                                                    # two sets by two nets
    monkeypatch.setattr(N.PooledNet, 'forward', lambda *a: pytest.fail('measured again'))
    run('random7@32')

def test_a_network_that_is_trained_goes_on_in_training(folders):
    "Its dropout was off, and its batch norm at rest, after the first figure."
    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(48, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(.5))
    net[4].eval()                                                              # each part as it was
    a, b, was = pictures(40, 1), pictures(40, 2), {k: v.clone() for k, v in net.state_dict().items()}
    first = F.fid(a, b, net)
    for f in (lambda: F.fid(a, b, N.pooled_net(net)), lambda: F.kid(a, b, net), lambda: F.inception_score(a, net, splits=2)):
        f(); assert [m.training for m in net.modules()] == [True]*5 + [False]
    assert F.fid(a, b, net) == first == F.fid(a, b, net.eval()) and not net.training             # and it is measured at rest
    assert all((was[k] == v).all() for k, v in net.state_dict().items())

def test_what_cannot_be_kept_is_said(folders, tmp_path):
    "Of open pictures, by a net without a name, on a full disk (here: below a file); the features come all the same."
    own, named = (lambda x: x.mean((2, 3))), N.PooledNet(lambda x: x.mean((2, 3)), 'mean colour', weights='w1')
    for what, net in (pictures(3, 3), named), (folders[0], own), (folders[0], N.PooledNet(own, 'randomly')):
        with pytest.warns(UserWarning, match='nothing is kept in .*kept: only of files'): assert len(S.features(what, net, tmp_path/'kept'))
    (tmp_path/'file').touch()
    with pytest.warns(UserWarning, match='could not be kept'): want = S.features(folders[0], named, tmp_path/'file'/'kept').x
    S.features(folders[0], named, tmp_path/'kept'); [p] = (tmp_path/'kept').iterdir(); whole = p.read_bytes()
    p.write_bytes(whole[:200])                                                            # damaged: worked out and kept anew
    assert (S.features(folders[0], named, tmp_path/'kept').x == want).all() and p.read_bytes() == whole

def test_result_is_not_written_over_what_is_none(folders, tmp_path):
    p = next(Path(folders[0]).iterdir()); before = p.read_bytes()
    refused(f'{p} is there already, and is no result of these commands; give another --result', *folders, result=p)
    assert p.read_bytes() == before

def refused(says, *args, **kw):
    from srgan_course.cli import fid
    with pytest.raises((ValueError, OSError)) as e: fid(*map(str, args), **(dict(features='random', dims=32) | kw))
    assert says in str(e.value) and '\n' not in str(e.value), e.value

def test_sets_that_are_too_small_are_told_first(folders, tmp_path, unmeasured):
    a, one = folders[0], write(tmp_path/'one', pictures(1, 3))
    for kw in {}, dict(kid=True), dict(draws=5), dict(cache=tmp_path/'kept'):
        refused('1 picture in the second set: a covariance needs 2 or more', a, one, **kw)
        refused('1 picture in the first set: a covariance needs 2 or more', one/'000.png', a, **kw)
    refused('1 picture in the first set', a, a, n=1)
    with pytest.raises(ValueError, match='1 picture in the second set: KID needs 2'): F.kid(a, one, 'random@32')
    with pytest.raises(ValueError, match='1 picture in the second set: k=3 needs 4'): F.precision_recall(a, one, 'random@32')

def test_files_that_cannot_be_read_are_told_first(folders, tmp_path, unmeasured):
    "Cut ones, too; with `skip` what is left has to be enough. Files beyond `n` are not looked at."
    a, b = folders[0], write(tmp_path/'b', pictures(3, 3))
    (b/'002.png').write_bytes((b/'002.png').read_bytes()[:-40])
    for kw in {}, dict(kid=True), dict(cache=tmp_path/'kept'): refused(f'1 of 3 pictures cannot be used: {b/"002.png"}: ', a, b, **kw)
    (b/'001.png').write_bytes(b'')
    refused('1 picture in the second set: a covariance needs 2 or more', a, b, skip=True)
    (tmp_path/'x.tar').write_bytes(bytes(1024))
    refused(f'no picture in the set; {tmp_path/"x.tar"}: ', tmp_path/'x.tar', a, skip=True)
    refused('1 of 1 pictures cannot be used', a, b/'001.png', n=1)
    with pytest.raises(AssertionError, match='a set was measured'): refused('', a, write(tmp_path/'c', pictures(2, 3)))

def test_what_statistics_do_not_hold_is_told_first(folders, tmp_path, unmeasured, monkeypatch):
    S.Stats(dict(net='random1@32', resize='none')).add(np.random.default_rng(0).normal(size=(40, 32))).save(tmp_path/'s.npz')
    refused('the second with random1@32', folders[0], tmp_path/'s.npz')
    refused(f'{tmp_path/"s.npz"}: statistics hold a mean and a covariance; KID needs the pictures', folders[0], tmp_path/'s.npz', kid=True)
    np.savez(tmp_path/'theirs.npz', mu=np.zeros(64), sigma=np.eye(64))                        # pytorch-fid's do not say their net
    refused('64 features in the first set and 32 in the second', tmp_path/'theirs.npz', folders[0])
    refused('32 features in the first set and 64 in the second', folders[0], tmp_path/'theirs.npz', cache=tmp_path/'kept')
    def none(name): raise AssertionError('weights were looked for')
    monkeypatch.setattr(N, 'named_net', none)
    for kw in {}, dict(Is=True): refused('the first set is measured with inception@768, the second with random1@32', folders[0], tmp_path/'s.npz', features='inception', dims=768, **kw)
    refused('192 features in the first set and 64 in the second', folders[0], tmp_path/'theirs.npz', features='inception', dims=192)
    refused('statistics have no Inception Score', tmp_path/'s.npz', folders[0], Is=True, features='squeezenet-caffe', dims=None)

def test_the_score_is_looked_after_first(folders, tmp_path, unmeasured, monkeypatch):
    "Its weights, and whether the pictures are enough for its ten parts."
    known = N.named_net
    def named(name):
        if name.endswith('logits'): raise FileNotFoundError('no weights of the score')
        return known('random@32')
    monkeypatch.setattr(N, 'named_net', named)
    refused('no weights of the score', *folders, Is=True, features='inception', dims=64)
    refused('no picture in', tmp_path, folders[0], Is=True, features='inception', dims=64)
    monkeypatch.setattr(N, 'named_net', lambda name: known('random@32'))
    refused('9 pictures in the first set: the score in ten parts needs 10 or more', *folders, Is=True, features='inception', dims=64, n=9)

def test_statistics_are_not_said_to_be_of_another_net(tmp_path, capsys):
    from srgan_course.cli import fid
    S.Stats(dict(net='random1@32', resize='none')).add(np.random.default_rng(0).normal(size=(40, 32))).save(tmp_path/'s.npz')
    fid(*[str(tmp_path/'s.npz')]*2)
    said = capsys.readouterr()
    assert 'inception' not in said.out + said.err and 'random1@32' in said.out and said.err.startswith(f'srgan-fid: {tmp_path/"s.npz"} against ')

def test_one_subset_has_no_interval():
    "Of more than 4,000 pictures, the interval follows from the spread of subsets, and one has none."
    x, y = (np.random.default_rng(i).normal(size=(4100, 4)) for i in (0, 1))
    with pytest.raises(ValueError, match='1 subsets of 50 of 4100: give 2 or more'): F.kid(x, y, subsets=1, size=50)
    lo, hi = F.kid(x, y, subsets=5, size=50).interval
    assert lo < hi

def test_the_callback_counts_epochs_of_a_fit_alone():
    "What is validated or predicted between two fits is no epoch."
    import gan_runs as R
    from srgan_course.kit.checkpoints import Resumable
    from srgan_course.losses import ContentLoss
    learn = Resumable(R.tiny_dls(), R.TinyGenerator(), ContentLoss('l1'), precision='float32', cbs=(cb := F.FIDCallback('random@64')))
    learn.remove_cb(R.ProgressCallback); learn.logger = lambda *a: None
    learn.fit(2); learn.validate(); learn.get_preds()
    assert [e for e, _ in cb.history] == [0, 1]

def test_pairs_of_a_picture_and_its_class():
    "torch's usual data sets: the class was taken for the true picture of a pair."
    from torch.utils.data import DataLoader
    x = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    want = S.features(x, 'random@64')
    for pairs in [(p, 1) for p in x], DataLoader([(p, 1) for p in x], 4), [(x[:1], p) for p in x]:
        np.testing.assert_allclose(S.features(pairs, 'random@64').x, want.x, atol=1e-5)
