"Upscaling: exact tiles, every mode, lack of memory, files, folders as real processes, memory of a real process, what is imported."
import contextlib, copy, io, json, os, pickle, re, subprocess, sys, threading, time, traceback, warnings
from pathlib import Path
import numpy as np, pytest, torch
from PIL import Image, ImageCms
from torch import nn
import torch.nn.functional as F
import forked
from srgan_course import upscale as U
from srgan_course.kit import devices, engines, folders, weights as weights_room
from srgan_course.generators import LightSR, SRResNet, load_model, save_model, shipped_models
from srgan_course.images import DeepImage, from_array, open_image, save_image, to_array
from srgan_course.kit.codec import image_bytes
from srgan_course.kit.folders import enlarge_folder, enlarge_paths, summary
from srgan_course.kit.models import MODELS
from srgan_course.upscale import Upscaler, fill_colour, upscale_file, upscale_folder

torch.set_num_threads(min(2, torch.get_num_threads()))

@pytest.fixture(scope='module')
def net(): torch.manual_seed(0); return LightSR(4, 12, 2).eval()

@pytest.fixture(scope='module')
def up(net): return Upscaler(net, device='cpu')

@pytest.fixture(scope='module')
def weights(net, tmp_path_factory): return save_model(net, tmp_path_factory.mktemp('weights')/'mine.safetensors')

def noise(h, w, c=3, dtype=np.uint8, seed=0):
    a = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, (h, w, c), dtype=dtype)
    return from_array(a)

def whole(net, x):
    with torch.inference_mode(): return net(x)

class Shift(nn.Module):
    "Sees exactly `n` pixels up and left, and all of the result comes from there."
    def __init__(self, n=3):
        super().__init__()
        self.convs = nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1, groups=3, bias=False) for _ in range(n)])
        for c in self.convs: c.weight.data.zero_()[:, :, 0, 0] = 1
    def forward(self, x): return F.interpolate(self.convs(x), scale_factor=2)

# ---- tiles (trap 6)

@pytest.mark.parametrize('make', [lambda: LightSR(4, 12, 3), lambda: LightSR(2, 8, 5), lambda: LightSR(3, 8, 2), lambda: SRResNet(3, 8, 1),
                                  lambda: SRResNet(4, 8, 2), lambda: SRResNet(2, 8, 1), Shift])
@pytest.mark.parametrize('tile', [8, 17, 64])
def test_tiles_equal_the_whole(make, tile):
    torch.manual_seed(1)
    n = make().eval()
    for h, w in (41, 67), (20, 90), (3, 130):
        x = torch.rand(1, 3, h, w)
        assert (Upscaler(n, device='cpu').tensor(x, tile) - whole(n, x)).abs().max() <= 1e-5

def test_a_smaller_overlap_is_noticed():
    "One pixel less than the receptive radius, and the result is another."
    n, x = Shift(4), torch.rand(1, 3, 40, 40)
    assert Upscaler(n, device='cpu').overlap == 4
    assert (Upscaler(n, device='cpu', overlap=3).tensor(x, 10) - whole(n, x)).abs().max() > .1

def test_the_fixed_padding_of_others_is_noticed(monkeypatch):
    "The field's usual fault in our own code: ten pixels, whatever the network."
    n, x = Shift(12), torch.rand(1, 3, 48, 48)
    grow = U.grow
    monkeypatch.setattr(U, 'grow', lambda box, overlap, h, w: grow(box, 10, h, w))
    assert (Upscaler(n, device='cpu').tensor(x, 16) - whole(n, x)).abs().max() > .1

def test_a_picture_in_tiles_equals_the_whole(up):
    img = noise(50, 61)
    a, b = to_array(up(img)).astype(int), to_array(up(img, tile=13)).astype(int)
    assert np.abs(a - b).max() <= 1 and (a != b).mean() < 1e-3      # rounding only

def test_a_network_without_bounds_is_refused():
    class Mean(nn.Module):
        def __init__(self): super().__init__(); self.c = nn.Conv2d(3, 3, 1)
        def forward(self, x): return self.c(x + x.mean((2, 3), keepdim=True))
    x = torch.rand(1, 3, 30, 30)
    u = Upscaler(Mean(), device='cpu')
    assert u.tensor(x).shape == x.shape                               # whole: fine
    with pytest.raises(ValueError, match='cannot work in tiles'): u.tensor(x, 10)

def test_tile_must_be_a_size(up):
    for bad in 0, -3, 1.5, '5', float('inf'), float('nan'):
        for x in noise(9, 9), torch.rand(1, 3, 9, 9):
            with pytest.raises(ValueError, match='is not a whole number from 1 on'): up(x, tile=bad)

def test_a_model_of_noise_is_named_as_it_was_given(tmp_path):
    (file := tmp_path/'my cats.safetensors').write_bytes((MODELS/'dcgan-cats.safetensors').read_bytes())
    for given in file, str(file):
        with pytest.raises(ValueError, match=re.escape(f'srgan-cats --model {file}')): Upscaler(given)
    with pytest.raises(ValueError, match='srgan-cats --model dcgan-cats$'): Upscaler.load('dcgan-cats')

# ---- lack of memory

class Flaky(Shift):
    "Runs out of memory at chosen calls; counts them."
    fail, calls = (), 0
    def forward(self, x):
        Flaky.calls += 1
        if Flaky.calls in Flaky.fail: raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 1.00 GiB')
        return super().forward(x)

@pytest.mark.parametrize('fail', [(1,), (3,), (2, 3), (4, 9)])
def test_out_of_memory_is_retried_and_no_wrong_tile_is_pasted(fail):
    x, said = torch.rand(1, 3, 300, 200), []
    u = Upscaler(Flaky(), scale=2, overlap=3, device='cpu', say=said.append)
    Flaky.calls, Flaky.fail = 0, fail
    y = u.tensor(x, 128)
    Flaky.fail = ()
    assert (y - whole(Shift(), x)).abs().max() <= 1e-5
    assert len(said) == len(fail) and all('going on with' in s for s in said)

def test_out_of_memory_for_good_is_one_error():
    u = Upscaler(Flaky(), scale=2, overlap=3, device='cpu', say=lambda s: None)
    Flaky.calls, Flaky.fail = 0, range(10**6)
    try:
        with pytest.raises(MemoryError, match='out of memory, even with tiles of'): u.tensor(torch.rand(1, 3, 100, 100), 64)
    finally: Flaky.fail = ()

def test_a_lack_of_memory_is_said_on_standard_error(capsys):
    u = Upscaler(Flaky(), scale=2, overlap=3, device='cpu')
    Flaky.calls, Flaky.fail = 0, (1,)
    u.tensor(torch.rand(1, 3, 60, 60), 64)
    Flaky.fail = ()
    assert capsys.readouterr().err == 'out of memory with tiles of 64 pixels: going on with 32\n'

def test_other_errors_are_not_taken_for_a_lack_of_memory():
    class Broken(Shift):
        def forward(self, x): raise RuntimeError('expected a tensor on another device')
    with pytest.raises(RuntimeError, match='another device'):
        Upscaler(Broken(), scale=2, overlap=3, device='cpu').tensor(torch.rand(1, 3, 64, 64), 32)

def test_a_result_that_cannot_fit_is_refused_before_it_is_begun(up, monkeypatch):
    monkeypatch.setattr(devices, 'available_memory', lambda device: 10**6)
    with pytest.raises(MemoryError, match='1200 x 1200 pixels takes'): up(noise(300, 300), tile=32)

def test_memory_decides_the_tile(net):
    u = Upscaler(net, device='cpu', memory=8*2**20)
    side = u.side(2000, 2000)
    need = devices.bytes_per_pixel(u.engine.net)
    assert need*(side + 2*u.overlap)**2 <= 8*2**20 < need*2000*2000
    assert u.side(20, 30) == 30 and u.side(2000, 2000, 77) == 77

# ---- digits of float32, precision and memory

SETTINGS = ['pass', 'b.cudnn.allow_tf32 = False', 'b.cuda.matmul.allow_tf32 = True', "torch.set_float32_matmul_precision('high')",
            "torch.set_float32_matmul_precision('medium')", 'b.cudnn.benchmark = b.cudnn.deterministic = True']
NEWER = [f"b.{s}fp32_precision = {v!r}" for s, v in (('', 'tf32'), ('', 'ieee'), ('cudnn.', 'tf32'), ('cudnn.conv.', 'ieee'),
                                                     ('cudnn.conv.', 'tf32'), ('cuda.matmul.', 'tf32'))]

def told(f):
    try: return f()
    except RuntimeError: return 'contradicts'

def settings():
    "All that torch says of its digits, now and if the general switch were turned."
    b = torch.backends
    switches = lambda: [s.fp32_precision for s in (b, b.cudnn, b.cudnn.conv, b.cudnn.rnn, b.cuda.matmul, b.mkldnn, b.mkldnn.conv,
                                                   b.mkldnn.matmul)]
    r = [told(torch.get_float32_matmul_precision), told(lambda: b.cudnn.allow_tf32), told(lambda: b.cuda.matmul.allow_tf32),
         b.cudnn.enabled, b.cudnn.benchmark, b.cudnn.deterministic]
    if not hasattr(b, 'fp32_precision'): return r
    general = b.fp32_precision
    r.append(switches())
    for v in 'ieee', 'tf32': b.fp32_precision = v; r.append(switches())
    b.fp32_precision = general
    return r

def check_setting(setting):
    b = torch.backends
    with warnings.catch_warnings(): warnings.simplefilter('ignore'); exec(setting, dict(b=b, torch=torch))
    before = settings()
    with devices.true_float32(torch.device('cuda')):
        inside = [b.cudnn.conv.fp32_precision, b.cuda.matmul.fp32_precision] if hasattr(b.cudnn, 'conv') else [b.cudnn.allow_tf32]
        # asked in the older way, it does not contradict itself
        assert set(inside) <= {'ieee', False} and not b.cuda.matmul.allow_tf32, inside
    assert settings() == before
    with pytest.raises(KeyError), devices.true_float32(torch.device('cuda')): raise KeyError
    assert settings() == before

@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
@pytest.mark.parametrize('setting', SETTINGS + (NEWER if hasattr(torch.backends, 'fp32_precision') else []))
def test_float32_is_exact_and_every_setting_stays(setting):
    """Convolutions and matrix products keep all their digits inside; afterwards each of torch's switches, old and new, says what it said
    and follows what it followed. (In a child process: settings cannot all be undone.)"""
    if not (pid := os.fork()):
        try: check_setting(setting); os._exit(0)
        except BaseException: traceback.print_exc()
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

def test_bfloat16_is_refused_where_it_would_end_the_process(net, monkeypatch):
    "A processor that announces AMX and cannot use it: one line, before the network is copied; float32 works."
    monkeypatch.setattr(devices, 'bfloat16_works', lambda: False)
    with pytest.raises(ValueError, match="precision 'bfloat16' would end this process"): Upscaler(net, device='cpu', precision='bfloat16')
    assert Upscaler(net, device='cpu').precision == 'float32'

@pytest.mark.parametrize('precision', ['bfloat16', 'float16'])
def test_lower_precision_is_near(net, precision):
    "On a processor that can compute so at all: less than one grey level of root mean square, and not the same bits."
    if not devices.bfloat16_works(): pytest.skip('bfloat16 ends the process here')
    x = torch.rand(1, 3, 40, 40)
    a, b = (Upscaler(net, device='cpu', precision=p).tensor(x) for p in ('float32', precision))
    assert 0 < (a - b).square().mean().sqrt() < 1/255

class Most(Shift):
    "Notes the most pixels that it was given at once."
    most, calls = 0, 0
    def forward(self, x): Most.most, Most.calls = max(Most.most, len(x)*x.shape[-1]*x.shape[-2]), Most.calls + 1; return super().forward(x)

@pytest.mark.parametrize('b,hw,tile,calls', [(12, (40, 50), None, 3), (3, (40, 50), None, 1), (4, (130, 90), None, 8),
                                             (5, (40, 60), 20, 6)])
def test_a_batch_counts_in_the_budget(b, hw, tile, calls):
    "No more pixels than fit are given to the network at once, however many pictures there are; the result is that of each by itself."
    u = Upscaler(Most(), scale=2, overlap=3, device='cpu', memory=2**22)
    u.side(*hw)                                                            # the estimate is made with a call of its own
    Most.most = Most.calls = 0
    x = torch.rand(b, 3, *hw)
    y = u.tensor(x, tile)
    assert Most.most*u.engine.bytes_per_pixel <= 2**22, f'{Most.most*u.engine.bytes_per_pixel/2**22:.1f} times the budget'
    assert (y - whole(Shift(), x)).abs().max() <= 1e-5
    assert Most.calls <= calls

# ---- modes

MODES = {'1': 'L', 'L': 'L', 'LA': 'LA', 'P': 'RGB', 'PA': 'RGBA', 'RGB': 'RGB', 'RGBA': 'RGBA', 'RGBa': 'RGBA', 'RGBX': 'RGB',
         'CMYK': 'RGB', 'YCbCr': 'RGB', 'HSV': 'RGB', 'LAB': 'RGB',
         'I': 'I;16', 'F': 'I;16', 'I;16': 'I;16', 'I;16B': 'I;16'}

def in_mode(mode):
    rgb = noise(14, 18)
    if mode == 'F': return Image.fromarray(np.random.default_rng(0).random((14, 18), np.float32))
    if mode.startswith('I'): return Image.new(mode, (18, 14), 3000)
    if mode == 'LAB': return Image.new('LAB', (18, 14), (90, 120, 130))
    if mode == 'PA': return rgb.convert('P').convert('PA')
    if mode == 'RGBa': return rgb.convert('RGBA').convert('RGBa')
    return rgb.convert(mode)

@pytest.mark.parametrize('mode', MODES)
def test_every_mode(up, mode):
    img = in_mode(mode)
    assert img.mode == mode
    a, b = up(img), up(img, tile=8)
    assert (a.mode, a.size) == (MODES[mode], (72, 56))
    assert np.abs(to_array(a).astype(int) - to_array(b).astype(int)).max() <= 1

def test_grey_is_what_colour_would_be(up):
    g = noise(12, 15, 1)
    rgb = up(g.convert('RGB'))
    want = np.rint(np.asarray(rgb).astype(float) @ [.299, .587, .114])
    assert np.abs(np.asarray(up(g)).astype(int) - want).max() <= 1

@pytest.mark.parametrize('c', [2, 4])
def test_alpha(up, c):
    a = to_array(noise(16, 16, c)).copy()
    for v in 0, 255:
        a[..., -1] = v
        assert np.unique(to_array(up(from_array(a)))[..., -1]).tolist() == [v]      # flat alpha stays what it is, to the last level
    a[..., -1] = 255; a[:, :8, -1] = 0
    al = to_array(up(from_array(a)))[..., -1]
    assert (al[:, :28] == 0).all() and (al[:, 36:] == 255).all()                    # and away from its edge

def test_no_dark_fringe():
    "A white disc on clear black stays white to its last visible pixel. Without the filling it does not."
    a = np.zeros((24, 24, 4), np.uint8)
    y, x = np.mgrid[:24, :24]
    a[(y - 12)**2 + (x - 12)**2 < 64] = 255
    u = Upscaler(Cubic(), scale=4, overlap=3, device='cpu')
    seen = lambda img: to_array(img)[..., :3][to_array(img)[..., 3] > 12]
    assert seen(u(from_array(a))).min() >= 254
    fill, U.fill_colour = U.fill_colour, lambda a: a                                 # the fault: colours as stored
    try: assert seen(u(from_array(a))).min() < 200
    finally: U.fill_colour = fill

class Cubic(nn.Module):
    def __init__(self): super().__init__(); self.p = nn.Parameter(torch.zeros(1))
    def forward(self, x): return F.interpolate(x, scale_factor=4, mode='bicubic')

def test_fill_keeps_what_is_seen():
    a = to_array(noise(13, 21, 4)).copy()
    a[..., 3][np.random.default_rng(1).random((13, 21)) < .7] = 0
    b = fill_colour(a)
    assert (b[a[..., 3] > 0] == a[a[..., 3] > 0]).all() and (b[..., 3] == a[..., 3]).all()
    a[..., 3] = 0
    assert (fill_colour(a) == a).all()                                              # nothing seen: nothing to learn from

@pytest.mark.parametrize('c', [2, 3, 4])
def test_16_bit_colour_stays_16_bit(up, c, tmp_path):
    soft = np.linspace(30000, 30600, 24*20*c).reshape(24, 20, c).astype(np.uint16)
    if c != 3: soft[..., -1] = 65535
    out = up(DeepImage(soft))
    assert isinstance(out, DeepImage) and out.deep.shape == (96, 80, c)
    assert len(np.unique(out.deep[..., 0])) > 100                                   # in 8 bits there would be four
    save_image(DeepImage(soft), tmp_path/'deep.png')
    got = open_image(upscale_file(tmp_path/'deep.png', tmp_path/'out.png', up)['dst'])
    assert to_array(got).dtype == np.uint16 and (to_array(got) == out.deep).all()

def test_16_bit_grey_stays_16_bit(up, tmp_path):
    soft = np.linspace(0, 65535, 24*20).reshape(24, 20).astype(np.uint16)
    save_image(Image.fromarray(soft), tmp_path/'grey.tif')
    got = open_image(upscale_file(tmp_path/'grey.tif', tmp_path/'out.tif', up)['dst'])
    assert got.mode == 'I;16' and len(np.unique(to_array(got))) > 1000

def test_bad_pictures(up, tmp_path):
    with pytest.raises(ValueError, match='nothing in it'): up(Image.new('RGB', (0, 5)))
    with pytest.raises(ValueError): up(Image.fromarray(np.full((4, 4), np.nan, np.float32)))
    for name, data in dict(empty=b'', text=b'hello', cut=jpeg(noise(40, 40))[:400]).items():
        (tmp_path/f'{name}.jpg').write_bytes(data)
        with pytest.raises(ValueError, match=name) as e: upscale_file(tmp_path/f'{name}.jpg', up=up)
        assert '\n' not in str(e.value)
        assert not (tmp_path/f'{name}-x4.png').exists()
    with pytest.raises(FileNotFoundError): upscale_file(tmp_path/'none.jpg', up=up)

def jpeg(img, **kw):
    out = io.BytesIO(); img.save(out, 'JPEG', **kw); return out.getvalue()

@pytest.mark.parametrize('size', [(33, 32), (32, 33), (0, 8), (8, -1)])
def test_a_size_that_the_network_does_not_give(up, size):
    "Lanczos makes its result smaller, not larger; a tensor has one size."
    with pytest.raises(ValueError, match=f'size {size[0]} x {size[1]} is not from 1 x 1 to 32 x 32'): up(Image.new('RGB', (8, 8)), size=size)
    with pytest.raises(ValueError, match='size .* is for pictures'): up(torch.zeros(3, 8, 8), size=size)
    for none in 9, (9,), (9, 9, 9), (9., 9), ('9', 9), 'ab', ():
        with pytest.raises(ValueError, match='^size .* is not from 1 x 1 to 32 x 32 whole pixels'): up(Image.new('RGB', (8, 8)), size=none)
    assert up(Image.new('RGB', (8, 8)), size=(32, 31)).size == (32, 31)

def test_one_pixel(up): assert up(Image.new('RGB', (1, 1), 'red')).size == (4, 4)

# ---- the network's side

def test_the_given_network_is_left_alone(net):
    n = LightSR(2, 8, 1).train()
    Upscaler(n)(noise(8, 8))
    assert n.training and all(p.grad is None for p in n.parameters())

def test_results_have_no_gradient(up): assert not up(torch.rand(3, 8, 8, requires_grad=True)).requires_grad

def test_load(weights, net, tmp_path, monkeypatch):
    u = Upscaler.load(weights, device='cpu')
    assert (u.name, u.scale) == ('mine', 4)
    x = torch.rand(1, 3, 20, 20)
    assert torch.allclose(u.tensor(x), whole(net, x), atol=1e-6)
    with pytest.raises(ValueError, match="no model 'light-x5'; known are"): Upscaler.load('light-x5')
    with pytest.raises(FileNotFoundError): Upscaler.load(tmp_path/'none.safetensors')
    raw = bytearray(Path(weights).read_bytes()); raw[-5] ^= 1
    (tmp_path/'bad.safetensors').write_bytes(raw)
    with pytest.raises(ValueError, match='damaged'): Upscaler.load(tmp_path/'bad.safetensors')
    torch.save(net.state_dict(), tmp_path/'net.pth')
    with pytest.raises(ValueError, match='pickle'): Upscaler.load(tmp_path/'net.pth')
    monkeypatch.setattr('srgan_course.kit.models.MODELS', Path(weights).parent)
    assert Upscaler.load('mine', device='cpu').scale == 4

def test_an_upscaler_in_onnx_runtime_can_be_copied_and_sent():
    "A session of ONNX Runtime cannot; in a copy, or another process, a new one is opened."
    up, x = Upscaler.load('light-x2', engine='onnx'), noise(9, 7)
    for other in copy.deepcopy(up), pickle.loads(pickle.dumps(up)):
        assert other.engine.session is not up.engine.session and np.array_equal(to_array(other(x)), to_array(up(x)))

def test_shipped_models():
    "Each model in the package loads, makes a picture, and is exact in tiles."
    for name, file in shipped_models().items():
        u, x = Upscaler.load(name, device='cpu'), torch.rand(1, 3, 48, 70)
        assert u.engine.kind == 'onnx' and (u.tensor(x, 30) - whole(load_model(file), x)).abs().max() <= 1e-5
        assert u(noise(10, 12)).size == (12*u.scale, 10*u.scale)

# ---- numbers that are no picture

def ruined(net, value):
    "A copy with one weight that is no number, or with weights too large for float32."
    n = type(net)(**net.args)
    n.load_state_dict(net.state_dict())
    with torch.no_grad():
        if value == 'huge': [p.mul_(1e12) for p in n.parameters()]
        else: n.mid.weight[0, 0, 1, 1] = value
    return n

@pytest.mark.parametrize('value', ['huge', float('nan'), float('inf')])
def test_numbers_that_are_no_picture_are_refused(net, tmp_path, monkeypatch, value):
    "Weights that overflow or hold NaN, in both engines, through every way in: one line that names the model, no picture, no warning."
    bad, x = ruined(net, value), torch.rand(1, 3, 12, 12)
    monkeypatch.setattr(engines, '_compare', lambda *a: None)              # it refuses to export such a network
    if value == 'huge': save_model(bad, tmp_path/'ruined.safetensors')
    ups = [Upscaler(bad, device='cpu', name='ruined'), Upscaler.load(engines.export_onnx(bad, tmp_path/'ruined.onnx'))]
    assert [u.engine.kind for u in ups] == ['torch', 'onnx']
    save_image(noise(12, 12), tmp_path/'a.png')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for u in ups:
            for work in (lambda: u(noise(12, 12)), lambda: u(noise(12, 12, 4), tile=8), lambda: u.tensor(x), lambda: u.tensor(x, 5),
                         lambda: u.forward(x.numpy()), lambda: upscale_file(tmp_path/'a.png', up=u)):
                with pytest.raises(ValueError, match='^ruined makes NaN or infinite values, which are no picture; give another'): work()
    assert not list(tmp_path.glob('a-x4*'))

def test_an_export_that_gives_no_picture_is_refused(net, tmp_path):
    with pytest.raises(ValueError, match='r.onnx: differs from the network by nan'): engines.export_onnx(ruined(net, 'huge'), tmp_path/'r.onnx')
    assert not (tmp_path/'r.onnx').exists()
    (tmp_path/'r.onnx').write_bytes(b'older')
    with pytest.raises(ValueError, match='differs from the network by nan'): engines.export_onnx(ruined(net, 'huge'), tmp_path/'r.onnx')
    assert (tmp_path/'r.onnx').read_bytes() == b'older'

def test_bad_arguments(net):
    with pytest.raises(ValueError, match="precision 'float64' is not in"): Upscaler(net, precision='float64')
    with pytest.raises(ValueError, match="device 'gpu' is not there; give cpu"): Upscaler(net, device='gpu')

NO_PICTURE = {'bytes': (np.zeros((3, 5, 4), np.uint8), 'of uint8 and shape .3, 5, 4.: whole numbers do not say what is white'),
              'bytes of a tensor': (torch.zeros(1, 3, 5, 4, dtype=torch.uint8), 'of uint8 and shape .1, 3, 5, 4.: whole numbers'),
              '0 to 255': (np.full((3, 5, 4), 255.), 'runs from 255 to 255, not in .0,1.'), 'grey': (torch.rand(1, 5, 4), 'is no picture; give a PIL'),
              'alpha': (torch.rand(4, 5, 4), 'is no picture'), 'channels last': (np.zeros((5, 4, 3)), 'shape .5, 4, 3. is no picture'),
              'a plane': (np.zeros((5, 4)), 'is no picture'), 'nothing': (np.zeros((3, 0, 4)), 'is no picture'), 'a path': ('a.png', 'str is no picture'),
              'NaN': (torch.full((3, 5, 4), torch.nan), 'holds NaN'), 'None': (None, 'NoneType is no picture')}

@pytest.mark.parametrize('what', NO_PICTURE)
def test_what_is_no_picture_is_refused(up, what):
    x, said = NO_PICTURE[what]
    with pytest.raises(ValueError, match=said) as e: up(x)
    assert '\n' not in str(e.value)

def test_floats_of_another_byte_order_are_floats(up):
    x = np.random.default_rng(0).random((3, 8, 9), np.float32)
    assert np.array_equal(up(x.astype('>f4')), up(x))

def test_a_network_in_another_range_is_told_once():
    class Tanh(torch.nn.Module):
        def forward(self, x): return 2*torch.nn.functional.interpolate(x, scale_factor=2) - 1
    said = []
    up = Upscaler(Tanh(), scale=2, overlap=1, say=said.append)
    for tile in None, 8: up(Image.new('RGB', (20, 16), (60, 80, 90)), tile=tile)
    assert said == ['Tanh makes values from -0.53 to -0.29; 100% lie below -0.1, and black begins at 0']

def test_a_scale_that_the_network_does_not_have_is_refused(net, tmp_path):
    "It would crop every tile, and nobody would see why."
    for scale in 2, 3, 0, -1, 1.5, '4':
        with pytest.raises(ValueError, match='enlarges 4 times, and scale'): Upscaler(net, device='cpu', scale=scale)
        with pytest.raises(ValueError, match='light-x4 enlarges 4 times, and scale'): Upscaler.load('light-x4', device='cpu', scale=scale)
    assert Upscaler.load('light-x4', device='cpu', scale=4).scale == 4
    double = nn.Upsample(scale_factor=2)                                # says nothing of its scale, and has no parameters
    img = noise(9, 7)
    for u in Upscaler(double, device='cpu'), Upscaler(double, device='cpu', scale=2): assert u(img).size == (14, 18) == u(img, 4).size
    with pytest.raises(ValueError, match='Upsample makes .1, 3, 18, 14. of .1, 3, 9, 7., which is not 3 times larger'): Upscaler(double, device='cpu', scale=3)(img)
    for odd in nn.Upsample(size=(50, 50)), nn.Sequential(nn.Conv2d(3, 1, 1), double):
        with pytest.raises(ValueError, match='of .1,3,16,16.; wanted is .1,3,16.s,16.s.'): Upscaler(odd, device='cpu')
        with pytest.raises(ValueError, match='is not 2 times larger'): Upscaler(odd, device='cpu', scale=2)(img)
    with pytest.raises(ValueError, match='Linear takes no pictures of shape'): Upscaler(nn.Linear(3, 3), device='cpu')
    for none in None, 3, lambda x: x:
        with pytest.raises(ValueError, match='is no network; give an nn.Module'): Upscaler(none, device='cpu')

@pytest.mark.parametrize('option', [dict(overlap=-1), dict(overlap=1.5), dict(overlap='a'), dict(overlap=float('nan')), dict(memory=0), dict(memory=-5)])
def test_options_that_are_no_sizes_are_refused(net, option):
    with pytest.raises(ValueError, match=f'{next(iter(option))} .*number from'): Upscaler(net, device='cpu', **option)

@pytest.mark.cuda
def test_cuda(net):
    u, x = Upscaler(net, device='cuda'), torch.rand(1, 3, 90, 130)
    ref = u.forward(x).cpu()
    assert (u.tensor(x, 32) - ref).abs().max() <= 1e-5
    assert (whole(net, x) - ref).abs().max() <= 1e-4

# ---- files

def test_metadata(up, tmp_path):
    "EXIF and resolution travel, orientation is applied once, a colour profile stays with its colours."
    from PIL import ImageCms
    exif = Image.Exif(); exif[0x010F] = 'Camera'; exif[0x0112] = 6
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    (tmp_path/'p.jpg').write_bytes(jpeg(noise(10, 16), exif=exif, dpi=(300, 300), icc_profile=icc))
    r = upscale_file(tmp_path/'p.jpg', up=up)
    assert r['dst'] == str(tmp_path/'p-x4.png') and r['size'] == [10, 16] and r['out_size'] == [40, 64]
    with Image.open(r['dst']) as out:
        assert out.getexif().get(0x010F) == 'Camera' and out.getexif().get(0x0112, 1) == 1
        assert abs(out.info['dpi'][0] - 300) < 1 and out.info['icc_profile'] == icc

def test_where_results_go(up, tmp_path):
    save_image(noise(8, 8), tmp_path/'a.png')
    assert upscale_file(tmp_path/'a.png', tmp_path/'new'/'folder', up)['dst'] == str(tmp_path/'new'/'folder'/'a-x4.png')
    assert Image.open(upscale_file(tmp_path/'a.png', tmp_path/'b.webp', up)['dst']).format == 'WEBP'
    with pytest.raises(ValueError, match='is the picture itself'): upscale_file(tmp_path/'a.png', tmp_path/'a.png', up)
    with pytest.raises(ValueError, match='xyz'): upscale_file(tmp_path/'a.png', tmp_path/'b.xyz', up)
    json.dumps(upscale_file(tmp_path/'a.png', up=up))

# ---- folders

@pytest.fixture
def folder(tmp_path):
    d = tmp_path/'in'; (d/'sub').mkdir(parents=True)
    for i in range(3): save_image(noise(8, 9, seed=i), d/f'{i}.png')
    save_image(noise(8, 9), d/'0.bmp'); save_image(noise(9, 8, 4), d/'sub'/'0.png')
    (d/'text.jpg').write_text('no'); (d/'empty.png').write_bytes(b''); (d/'notes.txt').write_text('not a picture')
    return d

@pytest.fixture(params=[1, 2], ids=['in a row', 'at once'])
def threads(request):
    "One thread: small pictures go through one after another; two: side by side."
    before = torch.get_num_threads(); torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)

def test_folder(up, folder, threads):
    r = upscale_folder(folder, up=up, progress=False)
    assert (len(r['done']), len(r['kept']), len(r['bad']), r['exit_code']) == (5, 0, 2, 1)
    out = folder.with_name('in-x4')
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob('*.png')) == ['0_bmp-x4.png', '0_png-x4.png', '1-x4.png', '2-x4.png',
        'sub/0-x4.png']
    assert {Path(b['src']).name for b in r['bad']} == {'text.jpg', 'empty.png'}
    lines = summary(r).splitlines()
    assert lines[:2] == ['passed over, no picture by its name: notes.txt', '5 done, 2 could not be done:'] and len(lines) == 4

def test_done_is_not_done_again(up, net, folder, threads):
    upscale_folder(folder, up=up, progress=False)
    out = folder.with_name('in-x4')
    stamp = {p: p.stat().st_mtime_ns for p in out.rglob('*.png')}
    r = upscale_folder(folder, up=up, progress=False)
    assert (len(r['done']), len(r['kept'])) == (0, 5) and stamp == {p: p.stat().st_mtime_ns for p in out.rglob('*.png')}
    later = time.time() + 5
    os.utime(folder/'0.png', (later, later))                        # copied anew: the same picture
    save_image(noise(8, 9, seed=9), folder/'1.png'); os.utime(folder/'1.png', (1e9, 1e9))     # another one, of an older date
    (out/'2-x4.png').unlink()
    assert [Path(d['src']).name for d in upscale_folder(folder, up=up, progress=False)['done']] == ['1.png', '2.png']
    assert len(upscale_folder(folder, up=Upscaler(net, name='other', device='cpu'), progress=False)['done']) == 5      # another model
    assert len(upscale_folder(folder, up=up, progress=False, again=True)['done']) == 5

def test_what_is_no_picture_is_no_result(up, tmp_path):
    "A file of others under a result's name: never done before, never written over, but where the file or --again is asked for."
    (src := tmp_path/'in').mkdir(); Image.new('RGB', (9, 7), 'red').save(src/'a.png')
    for folder, paths in ((tmp_path/'in-x4', [src]), (src, [src/'a.png'])):
        folder.mkdir(exist_ok=True); (mine := folder/'a-x4.png').write_text('precious')
        for at in 0, 2**32:
            os.utime(mine, (at, at))
            with pytest.raises(ValueError, match='a-x4.png is no picture, so no result of .*; move it away, or give --again'):
                enlarge_paths(paths, None, up, progress=False)
            assert mine.read_text() == 'precious'
        assert len(enlarge_paths(paths, None, up, progress=False, again=True)['done']) == 1 and Image.open(mine).size == (36, 28)
        mine.unlink()
    (named := tmp_path/'named.png').write_text('precious')
    assert enlarge_paths([src/'a.png'], named, up, progress=False)['done'] and Image.open(named).size == (36, 28)

@pytest.mark.skipif(os.name == 'nt', reason='Windows has no pipes of this kind')
def test_a_pipe_or_a_device_is_no_place_for_the_result_of_a_folder(up, tmp_path):
    "It was waited for by a thread that no signal ends; into a device a result vanished."
    (src := tmp_path/'in').mkdir(); Image.new('RGB', (9, 7), 'red').save(src/'a.png')
    (out := tmp_path/'in-x4').mkdir()
    for make in lambda: os.mkfifo(out/'a-x4.png'), lambda: (out/'a-x4.png').symlink_to('/dev/null'):
        make()
        for again in False, True:
            with pytest.raises(ValueError, match='a-x4.png, where the result of .* would go, is a pipe or a device; move it away'):
                enlarge_paths([src], None, up, progress=False, again=again)
        (out/'a-x4.png').unlink()
    os.mkfifo(src/'a-x4.png')                                             # beside a single picture
    with pytest.raises(ValueError, match='a pipe or a device'): enlarge_paths([src/'a.png'], None, up, progress=False)

def test_an_older_picture_that_no_log_knows_is_not_written_over(up, tmp_path):
    "Not in a folder of results, nor where a link in it leads; what the log knows is made anew when its picture has changed."
    (src := tmp_path/'in').mkdir(); Image.new('RGB', (9, 7), 'red').save(src/'a.png')
    (out := tmp_path/'in-x4').mkdir(); Image.new('RGB', (5, 5)).save(mine := tmp_path/'precious.png'); was = mine.read_bytes()
    os.utime(mine, (0, 0)); (out/'a-x4.png').symlink_to('../precious.png')
    with pytest.raises(ValueError, match='a-x4.png is older than .*a.png, and no log says that it is its result; move it away, or give'):
        enlarge_paths([src], None, up, progress=False)
    assert mine.read_bytes() == was
    (out/'a-x4.png').unlink()
    assert len(enlarge_paths([src], None, up, progress=False)['done']) == 1
    Image.new('RGB', (9, 8), 'blue').save(src/'a.png'); os.utime(out/'a-x4.png', (0, 0))
    assert len(enlarge_paths([src], None, up, progress=False)['done']) == 1 and Image.open(out/'a-x4.png').size == (36, 32)

def test_a_name_that_is_too_long_costs_only_itself(up, tmp_path):
    (src := tmp_path/'in').mkdir()
    for name in 'a', 'n'*250: Image.new('RGB', (9, 7), 'red').save(src/f'{name}.png')
    r = enlarge_paths([src], None, up, progress=False)
    assert [Path(d['src']).name for d in r['done']] == ['a.png'] and 'too long' in r['bad'][0]['error'] and len(r['bad']) == 1
    with pytest.raises(OSError, match=f'{"n"*250}-x4.png.*too long|too long.*{"n"*250}-x4.png'):
        enlarge_paths([src/f'{"n"*250}.png'], None, up, progress=False)

def test_nothing_is_opened_or_loaded_twice(folder, weights, monkeypatch, threads):
    opened, loaded, o, l = [], [], folders.open_image, weights_room.load_model
    monkeypatch.setattr(folders, 'open_image', lambda p, **k: (opened.append(Path(p)), o(p, **k))[1])
    monkeypatch.setattr(weights_room, 'load_model', lambda p: (loaded.append(p), l(p))[1])
    upscale_folder(folder, up=weights, progress=False)
    assert len(loaded) == 1 and len(opened) == len(set(opened)) == 7

def test_reading_and_writing_beside_the_network(up, folder, monkeypatch):
    "While the network has one picture, the next one is opened and the one before is written; no more than that is held."
    from threading import Event
    monkeypatch.setattr(folders, 'SMALL', 0)
    opened, saved, net, o, s, c = [], [], [], folders.open_image, folders.save_image, U.Upscaler.__call__
    beside = {k: Event() for k in ('read', 'write')}
    def opens(p, **k): opened.append(p); len(opened) > 1 and beside['read'].set(); return o(p, **k)
    def saves(*a, **k):
        if not saved: assert beside['write'].wait(20)              # the first result is held back until the network has the second
        saved.append(a[1]); return s(*a, **k)
    def network(self, *a, **k):
        if not net: assert beside['read'].wait(20)                 # the second picture is opened while the network has the first
        net.append(1); len(net) == 2 and beside['write'].set()
        assert len(opened) <= len(net) + 3                            # one ahead; two pictures never reach the network
        return c(self, *a, **k)
    for t, k, v in ((folders, 'open_image', opens), (folders, 'save_image', saves), (U.Upscaler, '__call__', network)):
        monkeypatch.setattr(t, k, v)
    r = upscale_folder(folder, up=up, progress=False)
    assert (len(r['done']), len(r['bad'])) == (5, 2) and len(saved) == 5

def test_a_result_that_cannot_be_written_stops_nothing(up, folder, monkeypatch, threads):
    real = folders.save_image
    def full(img, path, **k):
        if path.name.startswith('1'): raise OSError('no space left')
        return real(img, path, **k)
    monkeypatch.setattr(folders, 'save_image', full)
    r = upscale_folder(folder, up=up, progress=False)
    assert len(r['done']) == 4 and [b['error'] for b in r['bad'] if b['src'].endswith('1.png')] == ['no space left']
    monkeypatch.setattr(folders, 'save_image', real)
    assert [Path(d['src']).name for d in upscale_folder(folder, up=up, progress=False)['done']] == ['1.png']

def test_at_once_is_the_same_as_in_a_row(up, folder, monkeypatch):
    """Two threads: small pictures side by side, a large one by itself; the pictures are those of one thread, and the number of threads is
    as before."""
    save_image(noise(40, 30), folder/'large.png'); monkeypatch.setattr(folders, 'SMALL', 100)
    at, real = [], folders.at_once
    monkeypatch.setattr(folders, 'at_once', lambda todo, *a: (at.extend(p.name for p in todo), real(todo, *a))[1])
    before, made = torch.get_num_threads(), []
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            r = upscale_folder(folder, folder.with_name(f'out{n}'), up, progress=False)
            assert (len(r['done']), len(r['bad']), torch.get_num_threads()) == (6, 2, n)
            made.append({p.name: to_array(open_image(p)).astype(int) for p in folder.with_name(f'out{n}').rglob('*.png')})
    finally: torch.set_num_threads(before)
    assert len(made[0]) >= 5 and made[0].keys() == made[1].keys()
    # another number of threads may round the other way
    for name in made[0]: assert np.abs(made[0][name] - made[1][name]).max() <= 1, name
    assert sorted(at) == ['0.bmp', '0.png', '0.png', '1.png', '2.png']

def test_interrupted_folder_goes_on(up, folder, monkeypatch):
    monkeypatch.setattr(folders, 'SMALL', 0)
    calls, real = [], U.Upscaler.__call__
    def stop(*a, **k):
        calls.append(a)
        if len(calls) == 3: raise KeyboardInterrupt
        return real(*a, **k)
    monkeypatch.setattr(U.Upscaler, '__call__', stop)
    with pytest.raises(KeyboardInterrupt, match='2 of 7 pictures are done; the same again goes on'):
        upscale_folder(folder, up=up, progress=False)
    monkeypatch.setattr(U.Upscaler, '__call__', real)
    r = upscale_folder(folder, up=up, progress=False)
    assert (len(r['kept']), len(r['done'])) == (2, 3)

def test_bad_folders(up, tmp_path):
    with pytest.raises(FileNotFoundError): upscale_folder(tmp_path/'none', up=up)
    (tmp_path/'bare').mkdir()
    with pytest.raises(ValueError, match='no picture in'): upscale_folder(tmp_path/'bare', up=up)

# ---- real processes

def run(*args, **kw):
    env = {**os.environ, 'PYTHONIOENCODING': 'utf-8', 'OMP_NUM_THREADS': '1'}
    return subprocess.run([sys.executable, *map(str, args)], capture_output=True, text=True, encoding='utf-8', timeout=600, env=env, **kw)

def test_command_over_a_folder(folder, weights):
    "srgan-upscale on a folder with bad files: a line for each picture, the bad ones at the end, exit code 1; again: only the bad ones."
    r = run('-m', 'srgan_course', 'upscale', folder, '--model', weights)
    assert r.returncode == 1, r.stderr
    assert 'Traceback' not in r.stderr + r.stdout
    said = r.stdout + r.stderr
    assert '7/7' in said and '2 could not be done' in said and 'text.jpg' in said and 'empty.png' in said
    assert len(list(folder.with_name('in-x4').rglob('*.png'))) == 5
    r = forked.command('upscale', folder, '--model', weights, '--json')
    d = json.loads(r.stdout)
    assert r.returncode == 1 and (len(d['done']), len(d['kept']), len(d['bad'])) == (0, 5, 2)

COLD = '''
import sys
from srgan_course.upscale import upscale_file
upscale_file(sys.argv[1], sys.argv[2], sys.argv[3])
slow = ['fastai', 'torchvision', 'matplotlib', 'scipy', 'skimage', 'sklearn', 'pandas', 'ipywidgets', 'IPython', 'lpips', 'torch._dynamo', 'torch.onnx']
print([m for m in slow if m in sys.modules])
'''

def test_nothing_slow_is_imported(weights, tmp_path):
    save_image(noise(16, 16), tmp_path/'a.png')
    r = run('-c', COLD, tmp_path/'a.png', tmp_path/'b.png', weights)
    assert r.returncode == 0 and r.stdout.strip() == '[]', r.stdout + r.stderr

def test_a_model_that_ships_needs_neither_torch_nor_fastai(tmp_path):
    "A picture, a transparent one, a folder: through the command, as someone who has no torch would have it."
    save_image(noise(20, 24), tmp_path/'a.png'); save_image(noise(9, 8, 4), tmp_path/'b.png')
    (tmp_path/'in').mkdir(); save_image(noise(10, 12), tmp_path/'in'/'c.png'); save_image(noise(10, 12, dtype=np.uint16), tmp_path/'in'/'d.png')
    code = """
import sys
from pathlib import Path
from srgan_course.cli import upscale
upscale(*map(Path, sys.argv[1:]))
print('imported:', *[m for m in ('torch', 'torchvision', 'fastai', 'matplotlib', 'scipy', 'skimage', 'sklearn', 'pandas', 'IPython', 'onnx', 'safetensors', 'nbdev') if m in sys.modules])
"""
    r = run('-c', code, tmp_path/'a.png', tmp_path/'b.png', tmp_path/'in')
    assert r.returncode == 0 and r.stdout.splitlines()[-1] == 'imported:', r.stdout + r.stderr
    for f, size in ('a-x4.png', (96, 80)), ('b-x4.png', (32, 36)), ('in-x4/c-x4.png', (48, 40)), ('in-x4/d-x4.png', (48, 40)):
        assert Image.open(tmp_path/f).size == size

@pytest.mark.parametrize('name', shipped_models())
def test_both_engines_make_the_same_picture(name):
    "Within one level of 255, whole and in tiles, in every kind of picture."
    a, b = (Upscaler.load(name, device='cpu', engine=e) for e in ('onnx', 'torch'))
    assert (a.engine.kind, b.engine.kind, a.overlap, a.scale) == ('onnx', 'torch', b.overlap, b.scale)
    for img in noise(30, 41), noise(13, 9, 4), noise(9, 17, 1), noise(1, 1), noise(12, 12, 2, np.uint16):
        top = 1 if to_array(img).dtype == np.uint8 else 257
        x, y, z = (to_array(u(img, tile=t)).astype(int) for u, t in ((a, None), (b, None), (a, 8)))
        assert np.abs(x - y).max() <= top and np.abs(x - z).max() <= top

MEMORY = '''
import sys
from srgan_course.upscale import Upscaler, upscale_file
from srgan_course.images import to_tensor
def mb(what): return int(next(l for l in open('/proc/self/status') if l.startswith(what)).split()[1])/1024
src, dst, model, memory, tile = sys.argv[1:]
up = Upscaler.load(model, device='cpu', memory=int(memory)*2**20 or None)
import torch; up.forward(torch.zeros(1, 3, 32, 32))
before = mb('VmRSS')
r = upscale_file(src, dst, up, int(tile) or None)
print(before, mb('VmHWM'), *r['out_size'])
'''
linux = pytest.mark.skipif(not Path('/proc/self/status').exists(), reason='memory of a process is read from /proc')

def peak(tmp_path, w, h, mode, memory=0, tile=0):
    "MiB before, MiB at most, in a process of its own that upscales a w x h picture four times."
    model = save_model(LightSR(4, 48, 2), tmp_path/'light.safetensors')       # more blocks take longer, not more memory
    small = np.random.default_rng(0).integers(0, 256, (h//8 + 1, w//8 + 1, 4), dtype=np.uint8)
    Image.fromarray(small).resize((w, h), Image.BICUBIC).convert(mode).save(tmp_path/'in.png')
    r = run('-c', MEMORY, tmp_path/'in.png', tmp_path/'out.tif', model, memory, tile)
    assert r.returncode == 0, r.stderr
    before, most, ow, oh = map(float, r.stdout.split())
    assert (ow, oh) == (4*w, 4*h)
    return before, most

@linux
def test_memory_is_bounded_by_the_tile(tmp_path):
    """7 megapixels out: in one piece the network would take 850 MiB; with 64 MiB for a tile the whole process stays within 300 MiB of
    where it began."""
    before, most = peak(tmp_path, 760, 580, 'RGBA', memory=64)
    assert most - before < 300, f'{most - before:.0f} MiB'

@linux
@pytest.mark.slow
@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'L'])
def test_33_megapixels_within_2_gb(tmp_path, mode):
    before, most = peak(tmp_path, 1760, 1180, mode)
    assert most < 2000, f'{most:.0f} MiB'

@pytest.mark.slow
@pytest.mark.skipif(os.name == 'nt', reason='SIGKILL')
def test_killed_folder_goes_on(tmp_path, weights):
    "Killed at five moments: every result that is there is whole, and the same command finishes."
    d, out = tmp_path/'in', tmp_path/'in-x4'
    d.mkdir()
    for i in range(40): save_image(noise(64, 64, seed=i), d/f'{i:02}.png')
    cmd = [sys.executable, '-m', 'srgan_course', 'upscale', str(d), '--model', str(weights)]
    for n in 1, 5, 11, 18, 27:
        p = subprocess.Popen(cmd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while p.poll() is None and len(list(out.glob('*.png'))) < n: time.sleep(.003)
        p.kill(); p.wait()
        for f in out.glob('*.png'): assert Image.open(f).convert('RGB').size == (256, 256)
    assert subprocess.run(cmd, capture_output=True).returncode == 0
    assert len(list(out.glob('*.png'))) == 40

def test_nothing_is_written_home(tmp_path):
    "ONNX Runtime 1.32 keeps a device's id and a database of what was used, unless it is told not to."
    code = "from srgan_course.upscale import Upscaler; from PIL import Image; Upscaler.load('light-x4', device='cpu')(Image.new('RGB', (8, 8)))"
    env = {k: v for k, v in os.environ.items() if k not in ('ORT_DISABLE_TELEMETRY', 'XDG_CACHE_HOME')}
    subprocess.run([sys.executable, '-c', code], check=True, env=env | dict(HOME=str(tmp_path), TMPDIR=str(tmp_path)))
    assert not [p for p in tmp_path.rglob('*') if p.is_file()]

def test_what_is_given_twice_is_done_once(tmp_path, monkeypatch, capsys):
    "However it is written; a link to a picture is another picture, with a result of its own."
    from srgan_course import cli
    (tmp_path/'in').mkdir(); Image.effect_noise((9, 8), 60).save(tmp_path/'in'/'a.png'); monkeypatch.chdir(tmp_path)
    paths = ['in/a.png', './in/a.png', 'in/../in/a.png', tmp_path/'in'/'a.png']
    if links := os.name != 'nt': os.symlink('in', 'way'); os.symlink('a.png', 'in/b.png'); paths += ['way/a.png', 'in/b.png']
    cli.upscale(*map(Path, paths), out=Path('out')); said = capsys.readouterr()
    assert f'srgan-upscale: {3 + links} given before, and done once: in/a.png, in/../in/a.png, {tmp_path}/in/a.png' in said.err and said.out.count(' -> ') == 1 + links
    assert sorted(p.name for p in (tmp_path/'out').iterdir()) == ['a-x4.png', 'b-x4.png'][:1 + links]
    cli.upscale(*map(Path, paths), out=Path('out'), json=True); r = json.loads(capsys.readouterr().out)
    assert [p['why'] for p in r['passed']] == ['given before, and done once']*(3 + links) and len(r['done']) == 1 + links

@pytest.mark.skipif(os.name == 'nt', reason='Windows has no pipes of this kind')
def test_a_picture_that_becomes_a_pipe_is_not_waited_for(tmp_path, up, threads, monkeypatch):
    "It was a file when the folder was looked through; whoever reads a pipe waits for one who writes."
    for i in range(6): save_image(noise(8, 9, seed=i), tmp_path/f'{i}.png')
    last, was, got = tmp_path/'5.png', Upscaler.__call__, []
    def call(self, *args):
        with contextlib.suppress(FileExistsError): os.mkfifo(tmp_path/'pipe'); os.replace(tmp_path/'pipe', last)
        return was(self, *args)
    monkeypatch.setattr(Upscaler, '__call__', call)
    work = threading.Thread(target=lambda: got.append(enlarge_folder(tmp_path, tmp_path/'out', up, progress=False)), daemon=True)
    work.start(); work.join(60)
    if waits := work.is_alive(): os.close(os.open(last, os.O_WRONLY | os.O_NONBLOCK)); work.join()
    assert not waits and len(got[0]['done']) == 5 and got[0]['exit_code'] == 1
    assert got[0]['bad'] == [dict(src=str(last), error='now a pipe or a device, and not a file')]

@pytest.mark.parametrize('suffix', ['tif', 'bmp', 'gif', 'png'])
def test_a_picture_that_pillow_has_opened_stands_upright(up, suffix):
    "Its EXIF says how its pixels lie, and half of the formats have no place for that."
    e = Image.Exif(); e[274] = 6
    Image.linear_gradient('L').crop((0, 0, 16, 256)).resize((24, 16)).convert('RGB').save(f := io.BytesIO(), 'PNG', exif=e.tobytes())
    want = to_array(up(open_image(f.getvalue(), icc='keep')))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')                    # BMP has no place for EXIF
        made = open_image(image_bytes(up(Image.open(f)), f'x.{suffix}'))
        saved = open_image(image_bytes(Image.open(f), f'x.{suffix}'))
    assert made.size == (64, 96) == want.shape[1::-1] and abs(to_array(made)[..., :3].astype(int) - want).mean() < 4
    assert saved.size == (16, 24)

@pytest.mark.parametrize('suffix', ['png', 'jpg', 'webp', 'tif'])
def test_a_picture_that_pillow_has_opened_keeps_its_notes(up, tmp_path, suffix):
    "Pillow closes a PNG's and a JPEG's file when it has decoded it; all that was to be read of it afterwards was lost, and what the user had added."
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    e = Image.Exif(); e[270] = 'a cat'
    Image.new('RGB', (24, 16)).save(tmp_path/f'a.{suffix}', exif=e, icc_profile=icc)
    img = Image.open(tmp_path/f'a.{suffix}'); img.info['comment'] = b'mine'
    info = up(img).info
    assert b'a cat' in info['exif'] and info['icc_profile'] == icc and info['comment'] == b'mine'
    assert b'a cat' in open_image(image_bytes(Image.open(tmp_path/f'a.{suffix}'), 'x.png')).info['exif']

def test_a_picture_that_pillow_has_opened_keeps_its_16_bits(up):
    import cv2
    b = cv2.imencode('.png', np.linspace(0, 65535, 8*8*3).reshape(8, 8, 3).astype(np.uint16))[1].tobytes()
    assert isinstance(up(Image.open(io.BytesIO(b))), DeepImage)

@pytest.mark.parametrize('alone', [False, True])
def test_a_picture_that_changes_while_it_is_at_work(alone, tmp_path, monkeypatch):
    "The log took the result of the old one for the new one's, and it was kept for good."
    from srgan_course.kit import folders
    from srgan_course.kit.folders import enlarge_paths
    (tmp_path/'in').mkdir(); f = tmp_path/'in'/'a.png'
    red, green = (Image.new('RGB', (12, 9), c) for c in ('red', 'green'))
    up, real = Upscaler.load('light-x2'), folders.size_to_make
    def replaced(*args): green.save(f); return real(*args)                   # when it has been read
    go = lambda: enlarge_folder(tmp_path/'in', tmp_path/'out', up, progress=False) if not alone else enlarge_paths([f], tmp_path/'out', up, progress=False)
    red.save(f)
    if alone: enlarge_folder(tmp_path/'in', tmp_path/'out', up, progress=False)              # there is a log
    monkeypatch.setattr(folders, 'size_to_make', replaced); go(); monkeypatch.setattr(folders, 'size_to_make', real)
    assert open_image(tmp_path/'out'/'a-x2.png').getpixel((9, 9))[0] > 200
    assert len(enlarge_folder(tmp_path/'in', tmp_path/'out', up, progress=False)['done']) == 1
    assert open_image(tmp_path/'out'/'a-x2.png').getpixel((9, 9))[0] < 50
