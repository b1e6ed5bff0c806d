"Models of others: what spandrel makes of a file is what srgan-upscale writes, in tiles, too; what is none is refused in one line."
import hashlib, re, subprocess, sys
import numpy as np, pytest, torch
from PIL import Image
from safetensors.torch import load_file, save_file
from srgan_course.kit.models import model_facts
from srgan_course.kit.sources import sample_photos
from srgan_course.upscale import Upscaler
spandrel = pytest.importorskip('spandrel', reason="pip install 'srgan_course[community]'")

def state(arch, *args, gain=1., **kwargs):
    "Random weights of an architecture; more than 1 of `gain`: what is far away counts more."
    torch.manual_seed(1)
    net = arch(*args, **kwargs)
    with torch.no_grad():
        for p in net.parameters():
            if p.dim() == 4: p.mul_(gain)
    return {k: v.contiguous().clone() for k, v in net.state_dict().items()}

def esrgan(**kw): from spandrel.architectures.ESRGAN.__arch.RRDB import RRDBNet; return state(RRDBNet, out_nc=3, num_filters=8, num_blocks=1, gain=1.6, **kw)
def compact(**kw): from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact; return state(SRVGGNetCompact, num_feat=8, **kw)
def span(): from spandrel.architectures.SPAN.__arch.span import SPAN; return state(SPAN, num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2)
def rcan(): from spandrel.architectures.RCAN import RCAN; return state(RCAN, n_resgroups=1, n_resblocks=1, n_feats=8, scale=2, reduction=4)
def swin():
    from spandrel.architectures.SwinIR import SwinIR
    return state(SwinIR, img_size=16, window_size=8, depths=[2], embed_dim=12, num_heads=[2], upscale=2, upsampler='pixelshuffledirect')

KINDS = dict(esrgan_x4=(4, lambda: esrgan(in_nc=3, scale=4)),
             folded_x2=(2, lambda: esrgan(in_nc=12, scale=4, shuffle_factor=2)),          # RealESRGAN_x2plus: wants even sides, and tiles that begin at even places
             compact_x3=(3, lambda: compact(num_conv=6, upscale=3, gain=1.6)),
             grey_x2=(2, lambda: compact(num_in_ch=1, num_out_ch=1, num_conv=2, upscale=2)),
             span_x2=(2, span), swin_x2=(2, swin))                                         # the last wants 16 pixels at least, and has windows
PHOTO = sample_photos('valid')['chelsea'].crop((100, 30, 191, 103))

def write(folder, kind, **change):
    save_file(KINDS[kind][1]() | change, p := folder/f'{kind}.safetensors', dict(format='pt'))
    return p

def spandrel_s(path, img):
    "What spandrel itself makes of a picture, as bytes."
    m = spandrel.ModelLoader('cpu').load_from_file(path).eval()
    x = torch.from_numpy(np.array(img).transpose(2, 0, 1)[None]/np.float32(255))
    y = m(x) if m.input_channels == 3 else torch.cat([m(x[:, i:i+1]) for i in range(3)], 1)
    return np.rint(y[0].numpy()*255).transpose(1, 2, 0).astype(int)

@pytest.mark.parametrize('kind', KINDS)
def test_a_picture_is_what_spandrel_makes_of_it(tmp_path, kind):
    "Whole, in tiles, and where it is smaller than the network likes: to one level of 255."
    p, said = write(tmp_path, kind), []
    up = Upscaler.load(p, device='cpu', say=said.append)
    assert up.scale == KINDS[kind][0] and up.name == kind
    whole = np.asarray(up(PHOTO)).astype(int)
    assert np.abs(whole - spandrel_s(p, PHOTO)).max() <= 1 and whole.std() > 2
    for tile in 40, 29: assert np.abs(np.asarray(up(PHOTO, tile)).astype(int) - whole).max() <= 1, tile
    assert not said and 4 <= up.overlap <= 64
    tiny = PHOTO.crop((20, 20, 23, 21))
    assert np.abs(np.asarray(up(tiny)).astype(int) - spandrel_s(p, tiny)).max() <= 1
    for mode in ('LA', 'RGBA', 'L'): assert up(tiny.convert(mode)).mode == mode
    x = torch.rand(2, 3, 9, 7); assert torch.equal(up(x)[1], up(x[1]))

def test_who_looks_everywhere_is_told_of(tmp_path):
    "A network that weighs channels by their mean over the picture: near in tiles, and it is said."
    save_file(rcan(), p := tmp_path/'rcan.safetensors'); said = []
    up = Upscaler.load(p, device='cpu', say=said.append)
    assert np.abs(np.asarray(up(PHOTO, 40)).astype(int) - np.asarray(up(PHOTO))).max() < 20 and up.overlap == 64
    words = r'tiles differ from the whole picture, on noise by up to \d+ of 255 levels: RCAN looks further than the 64 pixels that they overlap'
    assert len(said) == 1 and re.fullmatch(words, said[0]), said

def test_a_network_that_pads_to_windows_is_not_cut_into_tiny_tiles():
    "Tried on 24 x 24 pixels it seemed to want seven times its memory: GRL got tiles of 16 pixels, 70 levels off, where the picture fits."
    from srgan_course.kit.engines import TorchEngine
    class Windows(torch.nn.Module):
        def __init__(self):
            super().__init__(); self.args = dict(scale=2, step=32); self.body = torch.nn.Conv2d(3, 12, 3, padding=1)
        def forward(self, x):
            h, w = x.shape[2:]
            y = self.body(torch.nn.functional.pad(x, (0, -w % 64, 0, -h % 64)))
            return torch.nn.functional.pixel_shuffle(y, 2)[..., :2*h, :2*w]
    assert TorchEngine(Windows(), 'cpu').bytes_per_pixel == 4*(3 + 12 + 8*12)

def test_command(tmp_path, capsys):
    "A file of others, its note; a .pth by the way of --convert, whose error names it."
    from srgan_course.cli import models, upscale
    p = write(tmp_path, 'compact_x3'); PHOTO.save(tmp_path/'a.png')
    upscale(tmp_path/'a.png', model=str(p), device='cpu')
    img = Image.open(tmp_path/'a-x3.png')
    assert img.text['ProcessingSoftware'] == f'srgan_course compact_x3, scale 3, {hashlib.sha256(p.read_bytes()).hexdigest()}'
    torch.save(dict(params_ema=load_file(p)), tmp_path/'b.pth')
    with pytest.raises(ValueError, match=r'b.pth: a pickle .* is not opened; srgan-models --convert .*b.pth writes'): upscale(tmp_path/'a.png', model=str(tmp_path/'b.pth'))
    models(convert=tmp_path/'b.pth')
    upscale(tmp_path/'a.png', model=str(tmp_path/'b.safetensors'), out=tmp_path/'b.png', device='cpu')
    assert np.array_equal(np.asarray(Image.open(tmp_path/'b.png')), np.asarray(img))

@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_no_picture(tmp_path, bad):
    "NaN and infinite weights give no black or white picture."
    d = KINDS['compact_x3'][1](); k = [*d][-1]; d[k] = torch.full_like(d[k], bad)
    up = Upscaler.load(write(tmp_path, 'compact_x3', **{k: d[k]}), device='cpu')
    with pytest.raises(ValueError, match='compact_x3 makes NaN or infinite values, which are no picture; give another model$'): up(PHOTO.crop((0, 0, 9, 8)))

def test_a_network_that_fails_is_a_line_for_each_picture(tmp_path, capsys):
    "Whatever its code raises: in a folder, alone, and with memory that ran out told apart."
    from srgan_course.cli import upscale
    from srgan_course.kit.community import Foreign
    from spandrel.architectures.DAT import DAT
    p, out = tmp_path/'dat.safetensors', tmp_path/'out'
    save_file(state(DAT, img_size=32, embed_dim=12, split_size=[4, 8], depth=[2], num_heads=[2], expansion_factor=2, upscale=2, upsampler='pixelshuffledirect'), p)
    (tmp_path/'in').mkdir()
    for n in 'ab': PHOTO.crop((0, 0, 30, 20)).save(tmp_path/'in'/f'{n}.png')
    assert upscale(tmp_path/'in', model=str(p), out=out, device='cpu') == 2 and not [*out.glob('*.png')]
    assert capsys.readouterr().out.count('this network of others (DAT) fails: Given groups=1') == 2
    assert upscale(tmp_path/'in'/'a.png', tmp_path/'in'/'b.png', model=str(p), out=out, device='cpu') == 2
    class Broken(torch.nn.Module):
        def forward(self, x): raise self.error
    def raised(e):
        net = Foreign(spandrel.ModelLoader('cpu').load_from_file(write(tmp_path, 'compact_x3')), ''); net.model = Broken(); net.model.input_channels, net.model.error = 3, e
        with pytest.raises(BaseException) as got: net(torch.zeros(1, 3, 8, 8))
        return got.value
    for e in RuntimeError('size\n of tensor'), AssertionError(), IndexError('x'), TypeError('y'): assert 'this network of others (RealESRGAN Compact) fails: ' in str(raised(e)) and '\n' not in str(raised(e))
    for e in RuntimeError('CUDA out of memory'), MemoryError(), KeyboardInterrupt(), Exception('nobody wants it any more'): assert raised(e) is e

def test_refused_in_one_line(tmp_path):
    "No architecture, another purpose, a folder of tensors, a damaged file, a pickle by another name."
    def says(p, *words):
        with pytest.raises(ValueError) as e: Upscaler.load(p)
        assert '\n' not in str(e.value) and all(w in str(e.value) for w in (str(p), *words)), e.value
    save_file({'a.weight': torch.zeros(2)}, p := tmp_path/'a.safetensors'); says(p, 'neither a model of this package nor one that spandrel', 'knows')
    d = KINDS['esrgan_x4'][1](); save_file({k: v[:, :-1].contiguous() if v.dim() == 4 else v for k, v in d.items()}, p); says(p, 'neither a model of this package')
    save_file(esrgan(in_nc=3, scale=1), p); says(p, '(ESRGAN) that turns 3 channels into 3 at scale 1')
    whole = write(tmp_path, 'compact_x3')
    p.write_bytes(whole.read_bytes()[:-100]); says(p, 'neither a model of this package')
    p.write_bytes(whole.read_bytes()[:100]); says(p, 'damaged')
    torch.save(d, p); says(p, 'a pickle', '--convert')

def test_without_spandrel(tmp_path, monkeypatch):
    p = write(tmp_path, 'compact_x3'); monkeypatch.setitem(sys.modules, 'spandrel', None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'srgan_course\[community\]'"): Upscaler.load(p)

def test_own_models_import_neither(tmp_path):
    PHOTO.crop((0, 0, 9, 8)).save(tmp_path/'a.png')
    code = f"import sys; from pathlib import Path; from srgan_course.cli import upscale\nupscale(Path({str(tmp_path/'a.png')!r}), device='cpu')\n" \
           "print([m for m in ('torch', 'spandrel') if m in sys.modules])"
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert r.returncode == 0 and r.stdout.strip().endswith('[]'), r.stdout + r.stderr

def test_who_wants_one_of_ours_says_so(tmp_path):
    "srgan-models and srgan-serve list what a file says of itself; a file of others is not called damaged."
    p = write(tmp_path, 'grey_x2')
    with pytest.raises(ValueError, match='a network of others.* srgan-upscale takes'): model_facts([p])

def test_a_model_of_others_is_measured(tmp_path, capsys, monkeypatch):
    "srgan-evaluate takes what srgan-upscale takes; without spandrel, it says what the file is."
    import json
    from srgan_course import cli
    from srgan_course.images import downscale
    from srgan_course.metrics import psnr_y
    p = write(tmp_path, 'compact_x3'); (tmp_path/'in').mkdir()
    hr = PHOTO.crop((0, 0, 72, 60)); hr.save(tmp_path/'in'/'a.png')
    cli.evaluate(str(p), str(tmp_path/'in'), json=True, result=tmp_path/'r.json')
    d = json.loads(capsys.readouterr().out)
    sr = Image.fromarray(spandrel_s(p, downscale(hr, 3)).clip(0, 255).astype(np.uint8))
    assert d['scale'] == 3 and abs(d['figures']['a']['psnr'] - psnr_y(sr, hr, 3)) < .05
    assert json.loads((tmp_path/'r.json').read_text())['checksum'] == hashlib.sha256(p.read_bytes()).hexdigest()
    monkeypatch.setitem(sys.modules, 'spandrel', None)
    with pytest.raises(ModuleNotFoundError, match=r"a network of others, or none at all; to read those of others: pip install 'srgan_course\[community\]'"):
        cli.evaluate(str(p), str(tmp_path/'in'))
