"Pairs, order, splits, sources and bad input of lesson 02. fastai is imported once, by the first test that needs it."
import hashlib, io, json, pickle, random, subprocess, sys, warnings
from pathlib import Path
import numpy as np
import pytest
from PIL import Image
from conftest import ROOT
from srgan_course import data as D
from srgan_course.kit import sources as S
from srgan_course.data import Recipe, find_source, patch_place, sample_photos, sr_dls
from srgan_course.images import crop_to_multiple, downscale, open_image

R = Recipe(size=48, bs=4, steps_per_epoch=12)

@pytest.fixture(scope='module')
def dls(): return sr_dls('embedded', R, device='cpu')

def batches(dl): return [(x.clone(), y.clone()) for x, y in dl]
def same(a, b): return len(a) == len(b) and all((x == u).all() and (y == v).all() for (x, y), (u, v) in zip(a, b))
def source_of(dl, n): o = dl.place(n)[0]; return o.pics.items[o.i]

def pictures(folder, n=6, size=(120, 100)):
    "A folder of `n` different pictures."
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for i in range(n):
        small = Image.fromarray(rng.integers(0, 256, (10, 12, 3), dtype=np.uint8))
        small.resize(size, Image.Resampling.BICUBIC).save(folder/f'{i:02}.png')
    return folder

# ---- importing

def test_import_is_light():
    code = ("import sys, srgan_course.data; print([m for m in ('torch', 'torchvision', 'fastai', 'pandas', 'matplotlib', 'skimage', "
            "'sklearn') if m in sys.modules])")
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert out.strip() == '[]'

def test_fastai_import_is_quiet_and_leaves_the_filters_alone():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        before = list(warnings.filters)
        D.import_fastai()
        assert warnings.filters == before
    assert not [w for w in seen if 'torch.jit.script' in str(w.message)]

def test_fastai_comes_quietly_on_python_3_14(tmp_path):
    "There torch warns in other words; here a stand-in for fastai does."
    (f := tmp_path/'fastai'/'vision'/'all.py').parent.mkdir(parents=True)
    for d in f.parents[:2]: (d/'__init__.py').touch()
    f.write_text('import warnings\nfor w in "is deprecated. Use ...", "is not supported in Python 3.14+ and may break.": '
                 'warnings.warn(f"`torch.jit.script` {w}", FutureWarning)\n')
    code = f'import sys; from srgan_course.kit.recipe import import_fastai; sys.path.insert(0, {str(tmp_path)!r}); import_fastai()'
    r = subprocess.run([sys.executable, '-W', 'error', '-c', code], capture_output=True, text=True)
    assert not r.returncode, r.stderr

# ---- trap 9: the downsampler at training is the one at test

def whole_lr(path, scale): return np.asarray(downscale(crop_to_multiple(open_image(path).convert('RGB'), scale), scale))

def check_trap_9(dl, scale, n=24):
    "Every patch is a crop of the LR that `downscale` makes of the whole picture."
    lr = {}
    for i in range(n):
        o, top, left, side, view = dl.place(i)
        path = o.pics.items[o.i]
        if path not in lr: lr[path] = whole_lr(path, scale)
        want = D._view(lr[path][top:top+side, left:left+side], view)
        if not np.array_equal(dl.patch(i)[0], want): return False
    return True

@pytest.mark.parametrize('scale', D.SCALES)
def test_patch_is_the_crop_of_the_lr(scale):
    assert check_trap_9(sr_dls('embedded', R.replace(scale=scale), device='cpu').train, scale)

def test_sizes_not_divisible_by_three(tmp_path):
    "A picture of 121 x 100 pixels is cut to 120 x 99 before it is made a third: LR and HR stay on each other, and are measured so."
    from srgan_course.metrics import evaluate_sr
    folder = pictures(tmp_path/'odd', size=(121, 100))
    dl = sr_dls(folder, R.replace(scale=3), device='cpu').train
    xb, yb = next(iter(dl))
    assert xb.shape[-2:] == (16, 16) and yb.shape[-2:] == (48, 48) and check_trap_9(dl, 3)
    table = evaluate_sr('bicubic', folder, 3)
    assert len(table) == 7 and table.psnr.between(20, 60).all()

def test_trap_9_is_caught(monkeypatch, dls):
    "The named fault: patches of HR that are shrunk one by one."
    def shrink_patch(pair, top, left, side, scale, view=0):
        h = pair[1][top*scale:(top+side)*scale, left*scale:(left+side)*scale]
        return D._view(np.asarray(downscale(Image.fromarray(h), scale)), view), D._view(h, view)
    monkeypatch.setattr(D, 'cut_pair', shrink_patch)
    assert not check_trap_9(dls.train, 4)

def test_batch_holds_the_patches(dls):
    xb, yb = next(iter(dls.train))
    for k in range(R.bs):
        l, h = dls.train.patch(k)
        assert np.array_equal((xb[k]*255).round().permute(1, 2, 0).numpy().astype(np.uint8), l)
        assert np.array_equal((yb[k]*255).round().permute(1, 2, 0).numpy().astype(np.uint8), h)

def test_batch_type_and_range(dls):
    import torch
    xb, yb = next(iter(dls.train))
    assert type(xb).__name__ == type(yb).__name__ == 'TensorImage' and xb.dtype == yb.dtype == torch.float32
    assert xb.shape == (4, 3, 12, 12) and yb.shape == (4, 3, 48, 48) and xb.is_contiguous() and yb.is_contiguous()
    assert 0 <= float(yb.min()) and float(yb.max()) <= 1

def test_all_views_occur_and_lr_turns_with_hr(dls):
    assert {dls.train.place(i)[-1] for i in range(48)} == set(range(8))
    for i in range(16):
        l, h = dls.train.patch(i)
        mean = h.astype(float).reshape(12, 4, 12, 4, 3).mean((1, 3))
        turned = [np.abs(D._view(mean, k) - l).mean() for k in range(8)]
        assert turned[0] <= min(turned) + .5, f'patch {i}: LR fits HR best after view {np.argmin(turned)}'

def test_every_corner_can_be_reached():
    tops = [int(patch_place(5, 1, 0, i)[1][0]*10) for i in range(400)]
    assert set(tops) == set(range(10))

# ---- order

def test_what_spawned_workers_are_sent():
    "Windows and, from Python 3.14 on, Linux start workers anew and send them the loader: no generator can be sent, and no function of a function."
    from multiprocessing.reduction import ForkingPickler
    import torch
    seen = []
    class Sent(ForkingPickler):
        def reducer_override(self, o): seen.append(type(o)); return NotImplemented
    two = sr_dls('embedded', R.replace(workers=2), device='cpu')
    for dl in two: dl.before_iter(); Sent(io.BytesIO()).dump(dl.fake_l)
    assert type(two.train) in seen and torch.Generator not in seen and isinstance(two.train.fake_l.generator, torch.Generator)

@pytest.mark.parametrize('workers', [0, 2])
def test_an_epoch_draws_nothing_from_torch(workers):
    import copy, torch
    train = sr_dls('embedded', R.replace(workers=workers), device='cpu').train
    for dl in train, copy.deepcopy(train), train:
        was = torch.get_rng_state(); next(iter(dl)); assert torch.equal(was, torch.get_rng_state())

@pytest.mark.slow
@pytest.mark.parametrize('way', ['spawn', 'forkserver'])
def test_spawned_workers_give_the_same(way, tmp_path):
    (tmp_path/'t.py').write_text(f"""
if __name__ == '__main__':
    import multiprocessing as mp, torch
    mp.set_start_method({way!r}); torch.set_num_threads(1)
    from srgan_course.data import Recipe, sr_dls
    a, b = (list(sr_dls('embedded', Recipe(size=48, bs=2, steps_per_epoch=3, workers=n), device='cpu').train) for n in (0, 2))
    assert all(torch.equal(x, y) for p, q in zip(a, b) for x, y in zip(p, q)) and len(b) == 3
    from srgan_course.kit.classifier_runs import CLASSIFIER_RECIPES, classifier_dls
    from srgan_course.kit.splits import Split
    from srgan_course.data import draw_pet
    pets = [draw_pet(k, i, 64) for i in range(4) for k in ('cat', 'dog')]
    dls = classifier_dls(Split(pets[:6], [0, 1]*3, pets[6:], [0, 1], ('cat', 'dog')), CLASSIFIER_RECIPES['quick'].replace(bs=2, workers=2), 'cpu')
    assert len(list(dls.train)) == 3
""")
    r = subprocess.run([sys.executable, tmp_path/'t.py'], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr

def test_order_follows_from_seed_epoch_index_with_any_workers(dls):
    random.seed(1); np.random.seed(1); import torch; torch.manual_seed(1)
    dls.train.epoch = dls.train.start = 0
    a = batches(dls.train)
    random.seed(2); np.random.seed(2); torch.manual_seed(2)
    assert same(a, batches(dls.train))
    two = sr_dls('embedded', R.replace(workers=2), device='cpu')
    assert same(a, batches(two.train))
    two.train.start = 5
    assert same(a[5:], batches(two.train))
    dls.train.epoch = two.train.epoch = 1; two.train.start = 0
    b = batches(dls.train); dls.train.epoch = 0
    assert not same(a, b) and same(b, batches(two.train))
    assert not same(a, batches(sr_dls('embedded', R.replace(seed=43), device='cpu').train))

@pytest.mark.parametrize('start', [0, 1, 7, 11, 12])
def test_start_gives_the_tail(dls, start):
    whole = batches(dls.train)
    dls.train.start = start
    try: assert len(dls.train) == 12 - start and same(whole[start:], batches(dls.train))
    finally: dls.train.start = 0

def test_skipped_batches_are_not_made(dls, monkeypatch):
    asked = []
    patch = type(dls.train).patch
    monkeypatch.setattr(type(dls.train), 'patch', lambda self, n: asked.append(n) or patch(self, n))
    dls.train.start = 11
    try: batches(dls.train)
    finally: dls.train.start = 0
    assert asked == [44, 45, 46, 47]

def test_loader_leaves_random_states_alone(dls):
    import torch
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    batches(dls.train); batches(dls.valid)
    assert torch.equal(before[0], torch.get_rng_state()) and before[1] == random.getstate() and (before[2]
        == np.random.get_state()[1]).all()

def test_each_picture_once_before_any_twice():
    for n in (1, 2, 7):
        order = [patch_place(n, 5, 3, i)[0] for i in range(4*n)]
        assert all(sorted(order[k*n:(k+1)*n]) == list(range(n)) for k in range(4))

def test_order_is_pinned():
    "The same on every machine and in every version: a saved run depends on it."
    got = json.dumps([[patch_place(9, 42, e, i)[0], *(float(x) for x in patch_place(9, 42, e, i)[1])] for e in range(2) for i in range(20)])
    assert hashlib.sha256(got.encode()).hexdigest()[:16] == 'e61f60989b3286a5'

# ---- held out

def test_held_out_photos_never_in_training(dls):
    held = {p.name for p in S.photo_paths('valid').values()}
    assert held == {'chelsea.png', 'china.jpg', 'coffee.png'}
    seen = set()
    for dls.train.epoch in range(3): seen |= {source_of(dls.train, n).name for n in range(48)}
    dls.train.epoch = 0
    assert seen == {p.name for p in S.photo_paths('train').values()} and not seen & held
    assert {o.pics.items[o.i].name for o in dls.valid_ds.items} == held

@pytest.mark.parametrize('n', [2, 9, 10, 57, 3000])
def test_split_of_a_folder_is_disjoint(n):
    train, held = S._held_out(list(range(n)))
    assert sorted(train + held) == list(range(n)) and len(held) == min(100, max(1, n//10))

def test_toys_of_validation_have_seeds_of_their_own():
    train, held = S.split_source('pets-toy', 64)
    assert not {t.seed for t in train} & {t.seed for t in held}

def test_bsds_split(srgan_data):
    s = S.bsds_split()
    assert len(s['train']) == 300 and len(s['valid']) == 100 and not set(s['train']) & set(s['valid'])
    names = sorted(p.name for p in (srgan_data/'bsds500'/'test').iterdir())
    assert [p.name for p in s['valid']] == names[::2] and {p.parent.name for p in s['valid']} == {'test'}
    train, held = S.split_source('bsds500', 96)
    assert held == s['valid'] and train == s['train']

def test_folder_with_train_and_valid(tmp_path):
    pictures(tmp_path/'train', 3); pictures(tmp_path/'valid', 2)
    train, held = S.split_source(tmp_path, 96)
    assert {p.parent.name for p in train} == {'train'} and {p.parent.name for p in held} == {'valid'}

# ---- sources

def test_folder_comes_first_then_SRGAN_DATA(tmp_path, monkeypatch):
    pictures(tmp_path/'data'/'mine', 2); pictures(tmp_path/'data'/'bsds500'/'train', 3)
    monkeypatch.setenv('SRGAN_DATA', str(tmp_path/'data')); monkeypatch.chdir(tmp_path)
    assert len(find_source('mine')) == 2 and len(find_source('bsds500/train')) == 3
    pictures(tmp_path/'mine', 4)
    assert len(find_source('mine')) == 4 and find_source('mine')[0].parent == Path('mine')
    assert len(find_source(tmp_path/'data'/'mine')) == 2

def test_sources_of_SRGAN_DATA(srgan_data):
    for name, n in dict(set5=5, t91=91, photos=600, **{'pets/cat': 900, 'bsds500/test': 200}).items(): assert len(find_source(name)) == n

def test_other_names_and_no_benchmark(tmp_path, monkeypatch):
    "BSD100 is the part val of BSDS500: asking for the whole does not give it."
    for part in ('train', 'test', 'val'): pictures(tmp_path/'bsds500'/part, 3)
    pictures(tmp_path/'faces', 2); monkeypatch.setenv('SRGAN_DATA', str(tmp_path)); monkeypatch.chdir(tmp_path.parent)
    assert {p.parent.name for p in find_source('bsds500')} == {'train', 'test'} and len(find_source('bsds500')) == 6
    assert len(find_source('bsds500/val')) == 3 and find_source('celeba') == find_source('faces')

def test_offline_message(monkeypatch, capsys):
    monkeypatch.delenv('SRGAN_DATA', raising=False)
    def no_net(s): raise OSError('Name or service not known')
    monkeypatch.setattr(S, '_untar', no_net); monkeypatch.setattr(S, '_hub', no_net)
    for name in ('oxford-pets', 'faces', 'bsds500/train'):
        s = S.SOURCES[name.split('/')[0]]
        with pytest.raises(ConnectionError) as e: find_source(name)
        msg = str(e.value)
        assert s.where in msg and 'Name or service not known' in msg and "'embedded'" in msg and 'SRGAN_DATA' in msg and '\n' not in msg
        err = capsys.readouterr().err
        assert s.licence in err and s.where in err

def test_real_attempt_offline(monkeypatch, tmp_path):
    "Through fastai's own downloader, to an address where nothing answers."
    monkeypatch.delenv('SRGAN_DATA', raising=False)
    D.import_fastai()
    from fastai.data import external
    external.fastai_cfg.cache_clear(); monkeypatch.setenv('FASTAI_HOME', str(tmp_path))
    monkeypatch.setitem(S.SOURCES, 'far', S.Source('far', 'nothing', 'none', 'untar', 'http://127.0.0.1:9/far.tgz'))
    try:
        with pytest.raises(ConnectionError, match="could not get 'far' from http://127.0.0.1:9/far.tgz"): find_source('far')
    finally: external.fastai_cfg.cache_clear()

def test_download_is_checked_and_found(monkeypatch, tmp_path, capsys):
    "An archive served from the disk: its hash checked before it is unpacked, licence printed, pictures found."
    import tarfile
    monkeypatch.delenv('SRGAN_DATA', raising=False)
    pictures(tmp_path/'src'/'inside', 3)
    with tarfile.open(tmp_path/'toy.tgz', 'w:gz') as t: t.add(tmp_path/'src'/'inside', 'toy/inside')
    raw = (tmp_path/'toy.tgz').read_bytes()
    D.import_fastai()
    from fastai.data import external
    external.fastai_cfg.cache_clear(); monkeypatch.setenv('FASTAI_HOME', str(tmp_path/'home'))
    good = hashlib.sha256(raw).hexdigest()
    make = lambda sha256=good: S.Source('toyset', 'three pictures', 'CC0', 'untar', (tmp_path/'toy.tgz').as_uri(), 'inside', sha256=sha256)
    try:
        monkeypatch.setitem(S.SOURCES, 'toyset', make(sha256='0'*64))
        with pytest.raises(ValueError, match='sha256 differs'): find_source('toyset')
        assert not (tmp_path/'home'/'data'/'toy').exists()
        monkeypatch.setitem(S.SOURCES, 'toyset', make())
        assert len(find_source('toyset')) == 3
        assert 'Licence: CC0' in capsys.readouterr().err
    finally: external.fastai_cfg.cache_clear()

def test_hub_needs_its_package(monkeypatch):
    monkeypatch.delenv('SRGAN_DATA', raising=False)
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(ModuleNotFoundError, match='pip install huggingface_hub'): find_source('faces')

def test_hub_tables_become_pictures(monkeypatch, tmp_path):
    pd = pytest.importorskip('pandas'); import types
    (tmp_path/'t').mkdir(); (tmp_path/'t'/'train-0.parquet').touch()
    raw = pictures(tmp_path/'p', 1)/'00.png'
    monkeypatch.setitem(sys.modules, 'huggingface_hub', types.SimpleNamespace(snapshot_download=lambda *a, **k: str(tmp_path/'t')))
    monkeypatch.setattr(pd, 'read_parquet', lambda p, columns: pd.DataFrame(dict(image=[dict(bytes=raw.read_bytes())]*2)))
    monkeypatch.delenv('SRGAN_DATA', raising=False)
    assert len(find_source('faces')) == 2

def test_every_source_says_its_terms():
    for s in S.SOURCES.values():
        assert s.licence and s.what and s.how in ('', 'untar', 'hub') and bool(s.how) == bool(s.where)
        if s.how == 'hub': assert len(s.revision) == 40
    for k, v in S.PHOTOS.items(): assert v[3], k

def test_photos_without_the_packages(monkeypatch):
    monkeypatch.setattr(S, 'find_spec', lambda name: None)
    with pytest.raises(FileNotFoundError, match='pip install'): sample_photos('train')

# ---- memory, pairs, other loaders

def test_pictures_are_decoded_once_where_they_fit(monkeypatch):
    opened = []
    monkeypatch.setattr(S, 'open_image', lambda p, **k: opened.append(p) or open_image(p, **k))
    one = sr_dls('embedded', R, device='cpu'); batches(one.train); n = len(opened)
    batches(one.train)
    assert n == len(opened) == 5
    tight = sr_dls('embedded', R, keep_mb=0, device='cpu')
    assert same(batches(one.train)[:2], batches(tight.train)[:2]) and len(opened) > n + 5

def test_given_lr(tmp_path):
    hr = pictures(tmp_path/'hr', 4); (tmp_path/'lr').mkdir()
    for p in sorted(hr.iterdir()): downscale(open_image(p), 4).save(tmp_path/'lr'/f'{p.stem}x4.png')
    a, b = sr_dls(hr, R, device='cpu'), sr_dls(hr, R, lr=tmp_path/'lr', device='cpu')
    assert same(batches(a.train), batches(b.train))
    Image.new('RGB', (10, 10)).save(tmp_path/'lr'/'00x4.png')
    with pytest.raises(ValueError, match='LR is 10 x 10 and HR 120 x 100; at scale 4 this HR wants an LR of 30 x 25'):
        [o.pair for o in sr_dls(hr, R, lr=tmp_path/'lr', device='cpu').valid_ds.items
         + sr_dls(hr, R, lr=tmp_path/'lr', device='cpu').train_ds.items]
    (tmp_path/'lr'/'01x4.png').unlink()
    with pytest.raises(ValueError, match='1 of 4 HR pictures have no LR in .*01.png'): sr_dls(hr, R, lr=tmp_path/'lr', device='cpu')

def test_what_is_no_picture_is_named(tmp_path):
    "Arrays, tensors and nothing where pictures are wanted, a folder in a list, a degradation that gives an array: one line each."
    a, imgs = np.zeros((96, 96, 3), np.uint8), [Image.new('RGB', (96, 96), (i, 9, 9)) for i in range(4)]
    for source, says in (([a]*4, 'picture 0 is a ndarray; give paths or PIL pictures'), ([*imgs, None], 'is a NoneType; give paths'),
                         (3, 'a source is a folder, a name or a list, not 3'), (None, 'not None'), (imgs[0], 'a source is a folder')):
        with pytest.raises(ValueError, match=says) as e: sr_dls(source, R, device='cpu')
        assert '\n' not in str(e.value)
    with pytest.raises(IsADirectoryError, match=f'^{tmp_path}: Is a directory'): sr_dls([*imgs, tmp_path], R, device='cpu')
    with pytest.raises(ValueError, match='what `degrade` gives is a ndarray'):
        sr_dls(imgs, R, degrade=lambda im, k: np.asarray(im)[::k, ::k], device='cpu').one_batch()
    with pytest.raises(ValueError, match='is a ndarray; give paths'): D.pets_dls({'a': [a]*4, 'b': [a]*4}, Recipe('p', size=32))

def test_pets_as_open_pictures(tmp_path):
    "As their files, with the right classes; such a loader goes into another process."
    found = {}
    for kind in ('cat', 'dog'):
        (tmp_path/kind).mkdir()
        for i in range(6): D.draw_pet(kind, i, 32).save(tmp_path/kind/f'{i}.png')
        found[kind] = [Image.open(p).convert('RGB') for p in sorted((tmp_path/kind).iterdir())]
    r = Recipe('p', size=32, bs=4, augment=False)
    a, b = (D.pets_dls(o, r, device='cpu') for o in (tmp_path, found))
    for which in 'train_ds', 'valid_ds':
        x, y = getattr(a, which), getattr(b, which)
        assert all((np.asarray(u) == np.asarray(v)).all() and k == l for (u, k), (v, l) in zip(x, y)) and len(x) == len(y)
    assert [y for _, y in pickle.loads(pickle.dumps(b.train_ds))] == [y for _, y in a.train_ds]

def test_given_lr_of_a_picture_that_is_spelt_in_two_ways(tmp_path):
    hr = sorted(pictures(tmp_path/'hr', 4).iterdir()); (tmp_path/'lr').mkdir()
    for p in hr: downscale(open_image(p), 4).save(tmp_path/'lr'/p.name)
    again = f'{tmp_path}/./lr/../hr/{hr[0].name}'
    assert len(sr_dls([*hr, again], R, lr=tmp_path/'lr', device='cpu').train_ds) == 4              # of five, one is held out

def test_given_lr_of_folders_with_equal_names(tmp_path):
    "As REDS and Vimeo have them: a name that stands for several pictures finds no partner; one that ends like an LR finds its own."
    for k, colour in enumerate(('red', 'green', 'blue')):
        for part, side in ('hr', 96), ('lr', 24):
            (tmp_path/part/str(k)).mkdir(parents=True); Image.new('RGB', (side, side), colour).save(tmp_path/part/str(k)/'im.png')
    with pytest.raises(ValueError, match='im is the name of several pictures, one of 1 such names, and pairs are found by name'):
        sr_dls(tmp_path/'hr', R, lr=tmp_path/'lr', device='cpu')
    for ends in '', 'x4':
        for part, side in ('h', 96), ('l', 24):
            (folder := tmp_path/f'{part}{ends}').mkdir()
            for name, colour in ('2', 'red'), ('2x4', 'green'), ('3', 'blue'):
                Image.new('RGB', (side, side), colour).save(folder/f'{name}{ends*(part == "l")}.png')
        for o in (d := sr_dls(tmp_path/f'h{ends}', R, lr=tmp_path/f'l{ends}', device='cpu')).train_ds.items + d.valid_ds.items:
            assert (o.pair[0][0, 0] == o.pair[1][0, 0]).all()

@pytest.mark.parametrize('fit', [-3, 0, 32, 95])
def test_whole_pictures_are_as_large_as_a_patch(fit):
    with pytest.raises(ValueError, match=f'fit, the side of whole pictures, is {fit}; give a whole number from 96 to'):
        sr_dls('embedded', Recipe(), fit=fit, device='cpu')

def test_fastai_user_sees_a_datablock(dls):
    fv = D.import_fastai()
    assert isinstance(dls, fv.DataLoaders) and isinstance(dls.train, fv.TfmdDL) and isinstance(dls.train_ds, fv.Datasets)
    x, y = dls.train_ds[0]
    assert isinstance(x, fv.PILImage) and isinstance(y, fv.PILImage) and y.size == (x.size[0]*4, x.size[1]*4)
    lr = sample_photos('valid')['coffee'].resize((60, 40))
    assert next(iter(dls.test_dl([lr])))[0].shape == (1, 3, 40, 60)
    dls.show_batch(max_n=2)

def test_loader_survives_pickle(dls):
    again = pickle.loads(pickle.dumps(dls.train))
    assert same(batches(dls.train)[:2], batches(again)[:2])
    assert len(pickle.dumps(dls.train)) < 10**5                     # no pixels travel
    assert pickle.dumps(dls.new_empty())

def test_faces_are_whole_and_upright(tmp_path):
    folder = pictures(tmp_path, 12, (100, 100))
    dls = D.faces_dls(folder, R.replace(size=96), device='cpu')
    assert {dls.train.place(n)[-1] for n in range(48)} == {0, 4}
    path = source_of(dls.train, 0)
    want = np.asarray(S.central_square(open_image(path), 96))
    assert np.array_equal(D._view(dls.train.patch(0)[1], dls.train.place(0)[-1] and 4), want)

def test_pets_folder(tmp_path, monkeypatch):
    for kind in ('cat', 'dog'):
        (tmp_path/kind).mkdir()
        for i in range(10): D.draw_pet(kind, i, 32).save(tmp_path/kind/f'{i}.png')
    dls = D.pets_dls(tmp_path, Recipe('pets-toy', size=32, bs=4), device='cpu')
    assert list(dls.vocab) == ['cat', 'dog'] and len(dls.valid_ds) == 6
    assert sorted(p.parent.name for p in dls.valid_ds.items) == ['cat']*3 + ['dog']*3
    assert [p.name for p in D.pets_dls(tmp_path, Recipe('pets-toy', size=32, bs=4), device='cpu').valid_ds.items] == [p.name
        for p in dls.valid_ds.items]
    with pytest.raises(ValueError, match='cat: 10 pictures lie outside of its class folders'): D.pets_dls(tmp_path/'cat')
    few = D.pets_dls({'a': str(tmp_path/'cat'), 'b': tmp_path/'dog'}, Recipe('pets-toy', size=32), device='cpu')     # batches of 16
    assert [len(xb) for xb, _ in few.train] == [14] and list(few.vocab) == ['a', 'b']            # 14 to learn from: no batch was whole
    cats, dogs = (sorted((tmp_path/k).iterdir()) for k in ('cat', 'dog'))
    for twice in {'a': cats, 'b': dogs + cats[:1]}, {'a': cats + cats[:1], 'b': dogs}:
        with pytest.raises(ValueError, match='1 of 21 pictures are listed twice; give each once, in one class'): D.pets_dls(twice)
    with pytest.raises(ValueError, match='n is 0; give a whole number'): D.pets_dls(n=0)
    shown = [Image.new('RGB', (40, 40)) for _ in range(12)]                       # fastai shows all of them by the same text
    assert len(D.split_pets({'a': shown[:6], 'b': shown[6:]}, alike=0).train) == 8

def test_pets_are_the_same_everywhere():
    "Drawn with operations that IEEE 754 fixes to the last bit."
    got = [hashlib.sha256(D.draw_pet(k, s, n).tobytes()).hexdigest()[:12] for k in ('cat', 'dog') for s in (0, 7, 10**6) for n in (32, 64)]
    assert got == ['2a064d191719', '331355eb4f32', 'ff2317d67684', '0c668d222457', 'e8240649758b', '3767600a8cf8', '8f0ca90745a1',
                   'a4f5eae1c898', 'd805c29fa94a', '947124dde098', 'c88791aaaab4', '10f065356dae']

def test_any_seed_and_size_draws():
    for s in range(40): assert D.draw_pet(('cat', 'dog')[s % 2], s*977, 17 + s).size == (17 + s,)*2

def test_16_bit_and_grey_pictures_are_taken(tmp_path):
    grey = np.linspace(0, 65535, 120*100).reshape(100, 120).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path/'a.png'); Image.new('RGBA', (120, 100), (200, 10, 10, 128)).save(tmp_path/'b.png')
    Image.new('L', (120, 100), 77).save(tmp_path/'c.png')
    dls = sr_dls(tmp_path, R, device='cpu')
    pair = {o.pics.items[o.i].stem: o.pair for o in [*dls.train_ds.items, *dls.valid_ds.items]}
    assert {p[1].shape for p in pair.values()} == {(100, 120, 3)} and pair['c'][1].max() == pair['c'][1].min() == 77
    assert np.abs(pair['a'][1][..., 0].astype(int) - (grey/257).round().astype(int)).max() <= 1

def test_open_pictures_of_more_than_8_bits_are_scaled():
    "To train on, for a classifier, and as faces: integers were white and floats black, from a list alone; from files they were right."
    from srgan_course.kit.classifiers import load_pictures
    from srgan_course.kit.faces import load_faces
    a = [np.kron(x, np.ones((8, 8), np.uint8)) for x in np.random.default_rng(0).integers(0, 256, (6, 12, 12), dtype=np.uint8)]
    given = [[Image.fromarray(x) for x in b] for b in (a, [x.astype(np.uint16)*257 for x in a], [x.astype(np.int32)*257 for x in a],
                                                       [x.astype(np.float32)/255 for x in a])]
    assert [pics[0].mode for pics in given] == ['L', 'I;16', 'I', 'F']
    for take in (lambda o: batches(sr_dls(o, R, device='cpu').train), lambda o: [(load_pictures(o, 32),)*2],
                 lambda o: [(load_faces(o, 32, 1),)*2]):
        grey, *more = map(take, given)
        assert all(same(grey, got) for got in more)
    with pytest.raises(ValueError, match='do not say what is white'): load_pictures([Image.fromarray(a[0]*1.)])

# ---- bad input: one line each

def bad(f, *words, kind=ValueError):
    with pytest.raises(kind) as e: f()
    assert all(w in str(e.value) for w in words) and '\n' not in str(e.value), str(e.value)

def test_bad_recipes():
    bad(lambda: Recipe(scale=5), 'scale 5 is not in (2, 3, 4); give scale=2, 3 or 4')
    bad(lambda: Recipe(size=98), 'size 98 is not a multiple of scale 4', 'size=96')
    bad(lambda: Recipe(bs=0), 'bs is 0'); bad(lambda: Recipe(seed=-1), 'seed is -1')
    bad(lambda: Recipe(augment=1), 'augment is 1; give True or False')
    bad(lambda: Recipe.from_json('{'), 'not JSON'); bad(lambda: Recipe.from_json('{"bs": 4, "batch": 2}'), "no field 'batch'")

def test_recipe_file_names_itself(tmp_path):
    p = R.save(tmp_path/'recipe.json'); assert Recipe.load(p) == R
    p.write_text('{"scale": 5}'); bad(lambda: Recipe.load(p), 'recipe.json', 'scale 5')

def test_bad_folders(tmp_path):
    bad(lambda: sr_dls(tmp_path, R), 'no picture in', tmp_path.name)
    pictures(tmp_path, 4, (40, 30))
    bad(lambda: sr_dls(tmp_path, R), 'no picture is as large as the 48 x 48 px crop (01.png, 02.png, 03.png)', 'smaller size')
    pictures(tmp_path/'large', 4)
    with pytest.warns(UserWarning,
                      match='4 of 8 pictures are smaller than the 48 x 48 px crop and left out: 00.png, 01.png, 02.png, ...|3 of'):
        sr_dls(tmp_path, R, valid=tmp_path/'large')
    bad(lambda: sr_dls('no-such-set', R), "'no-such-set' is neither a folder nor a known source", kind=FileNotFoundError)
    bad(lambda: sr_dls([tmp_path/'gone.png']*2, R), 'gone.png', kind=FileNotFoundError)

def test_unreadable_picture(tmp_path):
    pictures(tmp_path, 3); (tmp_path/'broken.png').write_bytes(b'not a picture')
    bad(lambda: sr_dls(tmp_path, R), 'broken.png', 'not a picture')
    raw = (tmp_path/'00.png').read_bytes(); (tmp_path/'broken.png').write_bytes(raw[:len(raw)//2])
    dls = sr_dls(tmp_path, R, device='cpu')
    bad(lambda: [o.pair for o in [*dls.train_ds.items, *dls.valid_ds.items]], 'broken.png')

def test_degradations():
    # lesson 17, once imported, adds 'phone'
    bad(lambda: sr_dls('embedded', R.replace(degrade='no-such-kind')), "degrade 'no-such-kind' is not in (bicubic")
    def phone(img, factor): return downscale(img, factor)
    assert sr_dls('embedded', R, degrade=phone).recipe.degrade == 'phone'
    def wrong(img, factor): return img
    bad(lambda: batches(sr_dls('embedded', R, degrade=wrong, device='cpu').train), 'at scale 4 this HR wants an LR of')

# ---- the table of names

def test_every_name_of_the_table_is_where_it_says():
    from srgan_course.kit.recipe import HOMES, look_up
    for kind, names in HOMES.items():
        for name in names: assert look_up(kind, name) is not None, (kind, name)

@pytest.mark.parametrize('module, cls, name', [('srgan', 'SRGANRecipe', 'light-x2'), ('srgan', 'SRGANRecipe', 'esrgan-quick'),
    ('classifier', 'ClassifierRecipe', 'quick'), ('recognise', 'RecogniseRecipe', 'photos'), ('cats', 'CatsRecipe', 'dcgan')])
def test_recipes_by_name_and_by_file(module, cls, name, tmp_path):
    "Of its own lesson or of a later one, and through JSON."
    from importlib import import_module
    from srgan_course.kit.recipe import get_recipe, named_recipes
    cls = getattr(import_module(f'srgan_course.{module}'), cls)
    r = get_recipe(name, cls)
    assert type(r) is cls and r.name == name and r == named_recipes(cls)[name] and get_recipe(r, cls) is r
    assert get_recipe(r.save(tmp_path/'recipe.json'), cls) == r and get_recipe(str(tmp_path/'recipe.json'), cls) == r
    bad(lambda: get_recipe('no-such', cls), "recipe 'no-such' is not in (", 'nor a .json file')
    bad(lambda: get_recipe(R, cls), f'a Recipe is given; give a {cls.__name__}')

def test_what_of_the_benchmark_was_trained_on(srgan_data):
    "A picture of Set5 is one of BSDS500, made smaller. No other one, nor an embedded held-out photo, is in what the models learnt from."
    from srgan_course.kit.sources import find_source, sample_photos
    from srgan_course.kit.splits import leaks
    held, pairs = [*find_source('set5'), *sample_photos('valid').values()], {}
    for source in 'bsds500', 't91', 'photos', 'hr', 'pets':
        train = find_source(source)
        pairs |= {held[j].stem: train[i].name for i, j in leaks(train, held)}
    assert pairs == {'woman': '302003.jpg'}
