"""Bits flipped and ends cut off in whatever a run or the package keeps: refused in one line, or equal to what it was. Nothing is executed,
and a run goes on from the checkpoint before."""
import pickle, random, shutil, warnings
import numpy as np, pytest, torch
from srgan_course.generators import LightSR, MODELS, load_model, save_model
from srgan_course.kit import engines, models
from srgan_course.kit.checkpoints import Resumable, latest_checkpoint, read_checkpoint, write_checkpoint
from srgan_course.kit.files import write_tensors
from srgan_course.kit.phases import kept_recipe
from srgan_course.kit.lists import keep_pictures
from srgan_course.kit.sets import Stats
from srgan_course.srgan import RECIPES, SRGANRecipe

@pytest.fixture(autouse=True)
def nothing_is_executed(monkeypatch):
    def never(*args, **kwargs): raise AssertionError('a pickle was opened')
    for where, name in ((pickle, 'load'), (pickle, 'loads'), (pickle, 'Unpickler'), (torch, 'load')): monkeypatch.setattr(where, name, never)

def flips(raw, n=None, seed=0):
    "Each bit (or `n` of them) of some bytes turned round."
    places = range(8*len(raw)) if n is None else random.Random(seed).sample(range(8*len(raw)), min(n, 8*len(raw)))
    for k in places: yield f'bit {k}', raw[:k//8] + bytes([raw[k//8] ^ 1 << k % 8]) + raw[k//8 + 1:]

def cuts(raw, n=None, seed=1):
    "Each shorter length (or `n` of them), and some that are longer."
    for k in range(len(raw)) if n is None else random.Random(seed).sample(range(len(raw)), min(n, len(raw))): yield f'length {k}', raw[:k]
    for more in b'\0', b'}', b' '*8: yield f'{len(more)} bytes more', raw + more

def refused_or_equal(path, read, damaged, same=lambda a, b: a == b):
    "How many were refused. `read` gives what the file says."
    want, whole, n = read(), path.read_bytes(), 0
    for what, raw in damaged:
        path.write_bytes(raw)
        try: got = read()
        except (ValueError, OSError) as e:
            n += 1
            assert '\n' not in str(e) and len(str(e)) < 900 and path.name.split('.')[0] in str(e), (what, str(e))
        else: assert same(got, want), f'{path.name}, {what}: taken, and it says something else'
    path.write_bytes(whole)
    assert same(read(), want)
    return n

def said(net): return net.meta, {k: v.tolist() for k, v in net.state_dict().items()}

@pytest.fixture
def small(tmp_path):
    "A network of four kilobytes."
    torch.manual_seed(0)
    path = save_model(LightSR(2, 2, 1), tmp_path/'small.safetensors', licence='CC0-1.0')
    assert 2500 < path.stat().st_size < 6000
    return path

def damage_network(path, n):
    raw = path.read_bytes(); bad = [*flips(raw, n), *cuts(raw, n)]
    assert refused_or_equal(path, lambda: said(load_model(path)), bad) == len(bad)                       # not one passes
    assert refused_or_equal(path, lambda: models.model_facts([path]), bad) == len(bad)                   # nor in the list of models

def test_network(small): damage_network(small, 150)

@pytest.mark.slow
def test_every_bit_and_length_of_a_network(small): damage_network(small, None)

def damage_shipped(folder, n):
    "`n` flips, spread over the files that ship; a graph points into the file of weights beside it."
    files = sorted(p for p in MODELS.iterdir() if p.suffix in ('.safetensors', '.onnx', '.json'))
    for p in files: shutil.copy(p, folder/p.name)
    sealed = lambda: models.read_index(folder/'index.json')
    x = {'dcgan-cats': torch.randn(1, 100).numpy()}
    def runs(p):
        e = engines.OnnxEngine(p.with_suffix('.onnx'))
        return e.args, e.checksum, e.overlap, e(x.get(p.stem, torch.rand(1, 3, 6, 5, generator=torch.Generator().manual_seed(1)).numpy())).tolist()
    refused = {}
    for i, name in enumerate(sorted(random.Random(2).choices([p.name for p in files], k=n))):
        p = folder/name
        read = sealed if p.suffix == '.json' else (lambda: runs(p)) if p.suffix == '.onnx' or i % 2 else lambda: said(load_model(p))
        refused.setdefault(p.suffix, []).append(refused_or_equal(p, read, flips(p.read_bytes(), 1, i)))
    return {k: (sum(v), len(v)) for k, v in refused.items()}

def test_shipped_files(tmp_path): assert sum(r for r, _ in damage_shipped(tmp_path, 12).values()) >= 11

@pytest.mark.slow
def test_many_flips_of_shipped_files(tmp_path):
    got = damage_shipped(tmp_path, 500)
    print(got)
    assert all(got[k][0] == got[k][1] for k in ('.safetensors', '.json'))
    assert got['.onnx'][1] - got['.onnx'][0] <= 2          # the name of the entry that holds the checksum: nobody reads it

def damage_checkpoints(folder, n, capsys):
    old, new = (write_checkpoint(folder/f'step-{i:08d}.safetensors', {'w': torch.full((3,), float(i))}, dict(n_steps=i, recipe='{"bs": 4}'))
                for i in (4, 8))
    raw, want = new.read_bytes(), read_checkpoint(old)[1]
    for what, bad in [*flips(raw, n), *cuts(raw, n)]:
        new.write_bytes(bad)
        path, t, p = latest_checkpoint(folder, read=True)
        assert path == old and p == want and t['w'].tolist() == [4.]*3, what
        assert len(capsys.readouterr().out.strip().splitlines()) == 1
    new.write_bytes(raw); assert latest_checkpoint(folder) == new

# ---- intact files of another kind

def of_other_kinds(folder):
    "file -> what it is called"
    from PIL import Image
    photo = Image.new('RGB', (32, 32))
    for name, fmt in dict(p='PNG', j='JPEG', g='GIF', w='WEBP', t='TIFF', b='BMP').items(): photo.save(folder/f'{name}.safetensors', fmt)
    (folder/'recipe.json').write_text('{"scale": 4, "bs": 8}\n'); (folder/'lfs.safetensors').write_text('version https://git-lfs.github.com/spec/v1\n')
    np.savez(folder/'s.npz', mu=np.zeros(3), sigma=np.eye(3))
    (folder/'m.onnx').write_bytes((MODELS/'light-x4.onnx').read_bytes()); (folder/'d.safetensors').mkdir()
    (folder/'t.pth').write_bytes(b'PK\x03\x04' + bytes(26) + b'archive/data.pkl')
    write_checkpoint(folder/'step-00000001.safetensors', {'w': torch.zeros(3)}, dict(step=1))
    write_tensors(folder/'c.safetensors', {'w': torch.zeros(3)}, dict(classifier='1', head='own'))
    calls = {'[pjgwtb].safetensors': 'a picture, not a model', '*.json': 'text or JSON, not a model', 'lfs*': 'text or JSON, not a model', 'm.onnx': 'an ONNX file',
             's.npz': 'NumPy arrays (.npz), not a model', 'd.*': 'is a folder', 't.pth': 'a pickle (torch.save)', 'step-*': 'a checkpoint of a training', 'c.*': 'a classifier; '}
    return {f: said for k, said in calls.items() for f in folder.glob(k)}

def test_files_of_another_kind_are_called_so(tmp_path, monkeypatch):
    "Wherever a model is asked for; they were damaged, or no model."
    from srgan_course import cli
    from srgan_course.kit.community import load_enlarger
    from srgan_course.srgan import start_from
    kinds = of_other_kinds(tmp_path)
    assert len(kinds) == 14
    doors = (load_model, lambda f: start_from(LightSR(2, 4, 1), f), lambda f: cli.models(f), load_enlarger, lambda f: cli.models(f, export=tmp_path/'out.onnx'))
    for f, said in kinds.items():
        for door in doors:
            with pytest.raises((ValueError, OSError)) as e: door(f)
            assert said in str(e.value) and f.name in str(e.value) and 'damaged' not in str(e.value) and '\n' not in str(e.value), (f.name, e.value)
    with pytest.raises(ValueError, match=r"no model '.*' \(a folder\); known are light-x2"): load_enlarger(tmp_path)
    for shipped in MODELS.glob('*.safetensors'):
        with pytest.raises(ValueError, match='a network that makes pictures; wanted is a checkpoint'): read_checkpoint(shipped)

def test_checkpoint_before_is_used(tmp_path, capsys): damage_checkpoints(tmp_path, 100, capsys)

@pytest.mark.slow
def test_every_bit_of_a_checkpoint(tmp_path, capsys): damage_checkpoints(tmp_path, None, capsys)

def goes_on(asked, folder, checkpoint):
    "The recipe that a run would go on with: compared with the one that is asked for, then with the one in its checkpoint."
    kept = kept_recipe(asked, folder, True)
    learn = Resumable.__new__(Resumable); learn.recipe, learn.model = kept, torch.nn.Linear(1, 1)
    learn._check_run('step-00000001', {f'model/{k}': v for k, v in learn.model.state_dict().items()}, checkpoint)
    return kept

def damage_run(folder, n):
    "What a run keeps beside its checkpoints."
    r = RECIPES['quick'].replace(name='mine', start='light-x4')
    whole = r.replace(precision='float32')                                                     # as the device settled it
    path, checkpoint = whole.save(folder/'recipe.json'), dict(kind='Resumable', recipe=whole.to_json())
    raw = path.read_bytes()
    refused_or_equal(path, lambda: goes_on(r, folder, checkpoint), [*flips(raw, n), *cuts(raw, n)])
    refused_or_equal(path, lambda: SRGANRecipe.load(path), cuts(raw, n))
    (folder/'a.png').write_bytes(b'x'*50); (folder/'b.png').write_bytes(b'y')
    keep = lambda begun: keep_pictures(folder/'run', begun, 'srgan-train', training=[folder/'a.png'], held_out=[folder/'b.png'])
    kept = keep(False)
    raw = kept.read_bytes(); bad = [*flips(raw, n), *cuts(raw, n)]
    refused_or_equal(kept, lambda: keep(True), bad)

def test_recipe_and_pictures(tmp_path): damage_run(tmp_path, 300)

@pytest.mark.slow
def test_every_bit_of_recipe_and_pictures(tmp_path): damage_run(tmp_path, None)

def test_statistics(tmp_path):
    s = Stats(dict(net='random@3')).add(torch.randn(9, 3).numpy()); path = s.save(tmp_path/'s.npz')
    def read(): t = Stats.load(path); return t.n, t.mu.tolist(), t.sigma.tolist(), t.note
    raw, want = path.read_bytes(), read()
    path.write_bytes(raw[:-2] + b'\4\0note'); assert read() == want; path.write_bytes(raw)    # a zip may end in a comment
    start = raw.index(b'PK\1\2')                    # the directory, in which a whole entry may be lost
    ends = [(what, raw[:start] + end) for what, end in flips(raw[start:])]
    assert refused_or_equal(path, read, [*flips(raw, 400), *ends, *cuts(raw, 50)]) > 300

@pytest.mark.parametrize('fmt', ['TIFF', 'GIF'])
def test_a_file_that_breaks_off_after_its_first_page(fmt):
    "Its first page is read as it is, with its notes, or refused; Pillow stands at the damaged one when it has tried to count."
    from io import BytesIO
    from PIL import Image
    from srgan_course.images import open_image
    r = np.random.default_rng(0)
    first, *more = [Image.fromarray(r.integers(0, 256, (24, 36, 3), np.uint8)) for _ in range(3)]
    if fmt == 'GIF': first, *more = [p.quantize(64) for p in (first, *more)]
    first.save(f := BytesIO(), fmt, save_all=True, append_images=more, **(dict(dpi=(300, 300)) if fmt == 'TIFF' else dict(comment=b'mine')))
    whole, seen = f.getvalue(), 0
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')                                      # Pillow's remarks on the damage
        want = open_image(whole)
        for end, opened in [(end, opened) for end in range(60, len(whole), 5) for opened in (False, True)]:
            try: got = open_image(Image.open(BytesIO(whole[:end])) if opened else whole[:end])
            except (ValueError, OSError, SyntaxError): continue
            seen += 1
            assert (got.convert('RGB').tobytes(), got.info.get('dpi'), got.info.get('comment')) == (
                want.convert('RGB').tobytes(), want.info.get('dpi'), want.info.get('comment')), end
    assert seen > 800
