"""The networks of lessons 04 and 05 from outside: exact sizes, what they put out, how far they see, and what their files refuse."""
import io, json, pickle, subprocess, sys
import numpy as np, pytest, torch
from PIL import Image
from srgan_course.kit.files import digest
from srgan_course.generators import (Bicubic, LightSR, NETWORKS, SRResNet, count_params, load_model, positive_copy, read_model,
                                     receptive_map,
                                     receptive_radius, save_model)
from srgan_course.critics import PoolCritic, SRGANCritic, critic_attention
from srgan_course.esrgan import RRDBNet, UNetCritic, VGGCritic
from srgan_course.kit.devices import bfloat16_works

# asked before anything is computed: in some virtual machines it keeps oneDNN from AMX
needs_bfloat16 = pytest.mark.skipif(not bfloat16_works(), reason='bfloat16 would end this process: AMX is announced and cannot be used')

def small(name='LightSR', scale=4): return {'LightSR': LightSR, 'SRResNet': SRResNet}[name](scale, nf=6, n_blocks=2)

# --- sizes ---

@pytest.mark.parametrize('net, n', [(SRResNet(), 1_547_350), (SRResNet(scale=2), 1_399_637), (SRResNet(scale=3), 1_584_277),
                                    (LightSR(), 379_448), (LightSR(3), 371_867), (SRGANCritic(), 23_563_649), (PoolCritic(), 5_213_569)],
                         ids=['srresnet-x4', 'srresnet-x2', 'srresnet-x3', 'light-x4', 'light-x3', 'critic-96', 'critic-any'])
def test_parameters(net, n): assert count_params(net) == n

def test_light_is_light():
    assert all(count_params(LightSR(s)) <= 400_000 for s in (2, 3, 4))
    assert not [m for m in LightSR().modules() if 'Norm' in type(m).__name__]

def test_one_slope_and_no_bias_before_batch_norm():
    mods = list(SRResNet(nf=8, n_blocks=2).modules())
    assert {m.num_parameters for m in mods if isinstance(m, torch.nn.PReLU)} == {1}
    for net in (SRResNet(nf=8, n_blocks=2), SRGANCritic(32, 8), PoolCritic(8)):
        for seq in net.modules():
            kids = list(seq.children()) if isinstance(seq, torch.nn.Sequential) else []
            for a, b in zip(kids, kids[1:]):
                if isinstance(a, torch.nn.Conv2d): assert (a.bias is None) == isinstance(b, torch.nn.BatchNorm2d), (a, b)

# --- what they put out ---

@pytest.mark.parametrize('name', ['LightSR', 'SRResNet'])
@pytest.mark.parametrize('scale', [2, 3, 4])
def test_shapes(name, scale):
    net = small(name, scale).eval()
    for shape in (1, 3, 1, 1), (2, 3, 7, 12):
        y = net(torch.rand(shape))
        assert y.shape == (shape[0], 3, scale*shape[2], scale*shape[3]) and y.isfinite().all()

def test_light_starts_as_bicubic():
    "At its start the output is the bicubic picture and a little more, so it lies in about [0,1]."
    torch.manual_seed(0); x = torch.rand(2, 3, 16, 16)
    d = LightSR()(x) - Bicubic(4)(x)
    assert 0 < d.std() < .05 and d.mean().abs() < .05

@pytest.mark.parametrize('scale', [2, 3, 4])
def test_bicubic_is_pillows(scale):
    torch.manual_seed(0); x = torch.rand(1, 3, 9, 14)
    want = torch.stack([torch.tensor(np.array(Image.fromarray(c.numpy()).resize((14*scale, 9*scale), Image.Resampling.BICUBIC)))
                        for c in x[0]])
    for net in Bicubic(scale), Bicubic(scale).bfloat16(): torch.testing.assert_close(net(x)[0], want, atol=2e-6, rtol=0)
    with torch.autocast('cpu', torch.bfloat16): torch.testing.assert_close(Bicubic(scale)(x)[0], want, atol=2e-6, rtol=0)

def test_pixel_shuffle_phases():
    "Channel 4*r + c of a group fills row r, column c of each 4 x 4 cell: LightSR's tail, asked phase by phase."
    net = small(); torch.nn.init.zeros_(net.tail.weight)
    x = torch.full((1, 3, 3, 3), .5)
    for k in range(48):
        torch.nn.init.zeros_(net.tail.bias); net.tail.bias.data[k] = .25
        d = (net(x) - .5)[0]
        colour, row, col = k//16, k%16//4, k%4
        want = torch.zeros(3, 12, 12); want[colour, row::4, col::4] = .25
        torch.testing.assert_close(d, want, atol=1e-6, rtol=0)

@pytest.mark.parametrize('colour', [(0., 0., 0.), (1., 1., 1.), (.9, .1, .4)])
def test_flat_colours_stay(colour):
    "No shifted or swapped colours, black and white included, and none at the border."
    net = small(); torch.nn.init.zeros_(net.tail.weight)
    x = torch.tensor(colour)[None, :, None, None]
    torch.testing.assert_close(net(x.expand(1, 3, 5, 6)), x.expand(1, 3, 20, 24), atol=1e-6, rtol=0)

def test_output_is_not_clipped():
    "Clipping inside the network would stop gradients; values outside [0,1] must pass, with their gradient."
    for name in 'LightSR', 'SRResNet':
        net = small(name).eval(); net.tail.bias.data += 5
        x = torch.rand(1, 3, 5, 5, requires_grad=True)
        y = net(x); assert y.min() > 1
        y.sum().backward(); assert x.grad.abs().sum() > 0

@needs_bfloat16
def test_autocast_keeps_the_picture():
    "Under bfloat16 the details are rounded, the bicubic picture is not."
    net = small(); torch.nn.init.zeros_(net.tail.weight); x = torch.rand(1, 3, 6, 6)
    with torch.autocast('cpu', torch.bfloat16): y = net(x)
    assert y.dtype == torch.float32; torch.testing.assert_close(y, Bicubic(4)(x), atol=1e-6, rtol=0)

def test_channels_last_is_the_same():
    x = torch.rand(1, 3, 9, 8)
    for name in 'LightSR', 'SRResNet':
        net = small(name).eval(); y = net(x)
        torch.testing.assert_close(net.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last)), y, atol=1e-5,
                                   rtol=1e-5)

# --- misuse ---

@pytest.mark.parametrize('cls', [LightSR, SRResNet])
@pytest.mark.parametrize('scale', [0, 1, 5, 8, 2.0, '4', None, True])
def test_scale_not_offered(cls, scale):
    with pytest.raises(ValueError, match=r'scale .* is not in \(2, 3, 4\); give scale=2, 3 or 4'): cls(scale)

@pytest.mark.parametrize('shape', [(3, 8, 8), (1, 1, 8, 8), (1, 4, 8, 8), (8, 8)])
def test_not_a_batch_of_colour_pictures(shape):
    for name in 'LightSR', 'SRResNet':
        with pytest.raises(ValueError, match=r'give a tensor \(B,3,H,W\)'): small(name)(torch.rand(shape))

@pytest.mark.parametrize('make', [LightSR, SRResNet, RRDBNet, SRGANCritic, PoolCritic, VGGCritic, UNetCritic])
def test_no_network_without_channels(make):
    "It was built, and the first picture ended in torch's words."
    for nf in 0, -4:
        with pytest.raises(ValueError, match=f'nf is {nf}; give a whole number from 1'): make(nf=nf)

def test_critic_sizes():
    for size in 0, 8, 50, -16:
        with pytest.raises(ValueError, match=f'size {size} is not a multiple of 16'): SRGANCritic(size)
    with pytest.raises(ValueError, match=r'judges pictures \(B,3,32,32\), not \(2, 3, 48, 32\)'):
        SRGANCritic(32, 4)(torch.rand(2, 3, 48, 32))
    with pytest.raises(ValueError, match='16 pixels or more'): PoolCritic(4)(torch.rand(2, 3, 64, 12))

def test_critics_answer():
    for net, shape in (SRGANCritic(32, 4), (3, 3, 32, 32)), (PoolCritic(4), (3, 3, 40, 23)):
        x = torch.rand(shape, requires_grad=True)
        y = net(x); y.sum().backward()
        assert y.shape == (3, 1) and x.grad.abs().sum() > 0 and all(p.grad is not None for p in net.parameters())

def test_logits_are_raw():
    "No sigmoid at the end: an answer can lie far from [0,1]."
    net = PoolCritic(4); net.head[-1].bias.data += 50
    assert net(torch.rand(2, 3, 32, 32)).min() > 10

@needs_bfloat16
def test_critic_head_is_float32_under_autocast():
    with torch.autocast('cpu', torch.bfloat16): assert PoolCritic(4).eval()(torch.rand(1, 3, 32, 32)).dtype == torch.float32

def test_attention_leaves_the_critic_alone():
    net = PoolCritic(4).train(); before = {k: v.clone() for k, v in net.state_dict().items()}
    a = critic_attention(net, torch.rand(2, 3, 32, 40))
    assert a.shape == (2, 32, 40) and net.training and all(p.grad is None for p in net.parameters())
    assert a.amax((1, 2)).tolist() == [1, 1] and a.min() >= 0
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items()), 'batch norm statistics moved'

# --- how far they see ---

@pytest.mark.parametrize('scale', [2, 3, 4])
@pytest.mark.parametrize('n', [0, 1, 5])
@pytest.mark.parametrize('cls', [LightSR, SRResNet])
def test_radius_is_what_one_counts(cls, n, scale):
    "SRResNet: 4 at the head, 1 behind the blocks, and between 2 and 3 for all that is at a larger size."
    assert cls(scale, nf=5, n_blocks=n).radius == 2*n + (3 if cls is LightSR else 8)

def test_radius_of_the_networks_that_ship():
    assert (LightSR().radius, SRResNet().radius) == (27, 40)

@pytest.mark.parametrize('cls', [LightSR, SRResNet])
def test_nothing_outside_the_radius(cls):
    "Every pixel outside is changed; the cell in the middle stays as it is to the last bit. Just inside, the gradient is not zero."
    torch.manual_seed(0); net = cls(4, nf=6, n_blocks=2).eval(); r = net.radius; c = r + 3
    x = torch.rand(1, 3, 2*c + 1, 2*c + 1); other = torch.rand_like(x)
    other[..., c-r:c+r+1, c-r:c+r+1] = x[..., c-r:c+r+1, c-r:c+r+1]
    cell = (..., slice(4*c, 4*c + 4), slice(4*c, 4*c + 4))
    with torch.no_grad(): assert torch.equal(net(x)[cell], net(other)[cell])
    g = receptive_map(positive_copy(net), (2*c + 1, 2*c + 1))
    assert g[c-r, c] > 0 or g[c+r, c] > 0
    assert g[c-r-1].sum() == g[c+r+1].sum() == g[:, c-r-1].sum() == g[:, c+r+1].sum() == 0

@pytest.mark.parametrize('margin, same', [(0, True), (-1, False)])
def test_tile_with_the_radius_is_exact(margin, same):
    "Trap 6: a margin one pixel too small changes the result (float64, loud weights)."
    torch.manual_seed(0); net = LightSR(4, nf=6, n_blocks=2).double()
    for m in net.body: m.conv2.weight.data *= 10
    net.tail.weight.data *= 50
    x, r = torch.rand(1, 3, 40, 40).double(), net.radius + margin
    with torch.no_grad():
        whole = net(x)[..., 64:96, 64:96]
        part = net(x[..., 16-r:24+r, 16-r:24+r])[..., 4*r:4*(r+8), 4*r:4*(r+8)]
    assert ((part - whole).abs().max() < 1e-12) == same

def test_radius_leaves_no_trace():
    net = small('SRResNet').train(); before = {k: v.clone() for k, v in net.state_dict().items()}
    other = SRResNet(4, nf=7, n_blocks=3)
    torch.manual_seed(7); want = torch.rand(3); torch.manual_seed(7)
    receptive_radius(other); receptive_radius(net)
    assert torch.equal(torch.rand(3), want) and net.training and all(torch.equal(v, before[k]) for k, v in net.state_dict().items())

def test_unbounded_field_is_refused():
    class Pooled(torch.nn.Module):
        def __init__(self): super().__init__(); self.c = torch.nn.Conv2d(3, 3, 3, padding=1)
        def forward(self, x): return self.c(x)*x.mean((2, 3), keepdim=True)
    with pytest.raises(ValueError, match='Pooled sees further than 60 pixels: it cannot work in tiles'):
        receptive_radius(Pooled(), limit=60)

# --- model files ---

@pytest.mark.parametrize('name', ['LightSR', 'SRResNet'])
@pytest.mark.parametrize('dtype, eps', [(torch.float32, 0), (torch.float16, 5e-3)])
def test_save_and_load(tmp_path, name, dtype, eps):
    net = small(name, 2); net(torch.rand(4, 3, 8, 8)); net.eval()                # batch norm has seen something
    torch.manual_seed(3); want = torch.rand(2); torch.manual_seed(3)
    back = load_model(save_model(net, tmp_path/'a.safetensors', dtype=dtype, recipe='{"steps":3}', card=dict(by='me')))
    assert torch.equal(torch.rand(2), want), 'loading has used up random numbers'
    x = torch.rand(1, 3, 6, 7)
    assert (back(x) - net(x)).abs().max() <= eps
    assert type(back) is type(net) and back.args == net.args and not back.training
    assert {p.dtype for p in back.parameters()} == {torch.float32}
    assert back.meta['recipe'] == '{"steps":3}' and json.loads(back.meta['card']) == dict(by='me') and back.meta['scale'] == '2'
    assert [p.name for p in tmp_path.iterdir()] == ['a.safetensors']

def test_float16_halves_the_file(tmp_path):
    a, b = (save_model(LightSR(), tmp_path/f'{i}.safetensors', dtype=d).stat().st_size for i,
            d in enumerate((torch.float32, torch.float16)))
    assert b < .52*a

def test_saving_leaves_the_network_alone(tmp_path):
    net = small().train(); save_model(net, tmp_path/'a.safetensors', dtype=torch.float16)
    assert net.training and {p.dtype for p in net.parameters()} == {torch.float32}

def test_what_is_not_saved(tmp_path):
    net = small(); net.head.weight.data[0, 0, 0, 0] = float('nan')
    with pytest.raises(ValueError, match='not saved, head.weight holds values that are not finite'):
        save_model(net, tmp_path/'a.safetensors')
    with pytest.raises(ValueError, match='network Linear is not one of'): save_model(torch.nn.Linear(2, 2), tmp_path/'a.safetensors')
    assert not list(tmp_path.iterdir())

def test_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    import os
    path = save_model(small(), tmp_path/'a.safetensors'); before = path.read_bytes()
    def full(fd): raise OSError(28, 'No space left on device')
    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space left'): save_model(small(), path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ['a.safetensors']

def one_line(path, match):
    "`load_model` refuses with one line that names the file."
    with pytest.raises(ValueError, match=match) as e: load_model(path)
    assert str(path) in str(e.value) and '\n' not in str(e.value)

@pytest.fixture
def model(tmp_path): return save_model(small(), tmp_path/'model.safetensors', note='x'*50)

def test_every_flipped_byte_is_noticed(model):
    raw = model.read_bytes()
    head = 8 + int.from_bytes(raw[:8], 'little')
    for at in [*range(0, head, 3), *range(head, len(raw), 101), len(raw) - 1]:
        for bit in (0, 5):
            model.write_bytes(raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at+1:])
            one_line(model, 'model.safetensors: ')

@pytest.mark.parametrize('keep', [1, 7, 8, 9, 100, .5, -1])
def test_truncated(model, keep):
    raw = model.read_bytes()
    model.write_bytes(raw[:int(keep*len(raw)) if isinstance(keep, float) else keep])
    one_line(model, 'damaged')

def test_longer_than_it_says(model):
    model.write_bytes(model.read_bytes() + b'more')
    one_line(model, 'damaged')

def test_empty_missing_folder(model, tmp_path):
    model.write_bytes(b''); one_line(model, 'the file is empty')
    with pytest.raises(FileNotFoundError, match='there is no such file'): load_model(tmp_path/'nowhere.safetensors')
    with pytest.raises(IsADirectoryError, match='is a folder; give a .safetensors file'): load_model(tmp_path)

@pytest.mark.parametrize('data, says', [
    (b'hello world, this is text', 'text or JSON, not a model; give a .safetensors file'),
    (b'\xff\xd8\xff\xe0' + bytes(500), 'a picture, not a model; give a .safetensors file'),
    (b'{"json": true}', 'text or JSON, not a model; give a .safetensors file'), (bytes(100), 'not a safetensors file')],
                         ids=['text', 'jpeg', 'json', 'zeros'])
def test_other_files(model, data, says):
    model.write_bytes(data); one_line(model, says)

marks = []
def mark(x): marks.append(x)

class Trap:
    "Unpickling it leaves a mark."
    def __reduce__(self): return mark, (1,)

@pytest.mark.parametrize('how', ['pickle', 'torch', 'old torch', *range(2, 6)])
def test_nothing_is_unpickled(model, how):
    out = io.BytesIO(); what = {'state': torch.ones(3), 'trap': Trap()}
    if how == 'torch': torch.save(what, out)
    elif how == 'old torch': torch.save(what, out, _use_new_zipfile_serialization=False)
    else: pickle.dump(what, out, protocol=how if isinstance(how, int) else None)
    pickle.loads(pickle.dumps(Trap())); assert marks == [1], 'the trap does not work'
    marks.clear(); model.write_bytes(out.getvalue())
    one_line(model, r'a pickle \(torch.save\) can run any code and is not opened')
    assert marks == []

def forged(path, tensors=None, **meta):
    "A file with a checksum that fits."
    from safetensors.torch import save
    tensors = {k: v.clone() for k, v in small().state_dict().items()} if tensors is None else tensors
    meta = {k: v for k, v in (dict(network='LightSR', args='{"scale": 4, "nf": 6, "n_blocks": 2}', scale='4') | meta).items()
            if v is not None}
    path.write_bytes(save(tensors, meta | dict(checksum=digest(json.dumps(meta, sort_keys=True), tensors))))
    return path

def test_forged_is_a_fair_forgery(model): assert isinstance(load_model(forged(model)), LightSR)

@pytest.mark.parametrize('meta, says', [
    (dict(network='Trojan'), "network 'Trojan' is not one of LightSR, SRResNet, RRDBNet"),
    (dict(network='os.system'), "network 'os.system' is not one of"),
    (dict(network='SRResNet'), 'SRResNet wants .* the file has'),
    (dict(network=None), "does not say its network"),
    (dict(args=None), "does not say its args"),
    (dict(args='{"scale": 4, "nf": 7, "n_blocks": 2}'), r'LightSR wants \(.*7.*\) for .*, the file has \(.*6.*\)'),
    (dict(args='{"scale": 4, "nf": 6, "n_blocks": 3}'), 'LightSR wants .* the file has nothing'),
    (dict(args='{"scale": 4, "nf": 6, "n_blocks": 1}'), 'LightSR wants nothing for .*, the file has'),
    (dict(args='{"scale": 5}'), r'scale 5 is not in \(2, 3, 4\)'),
    (dict(args='{"scale": 4, "nf": 999999999}'), 'not a whole number from 0 to 1024'),
    (dict(args='{"scale": 4, "nf": 6.5}'), 'not a whole number'),
    (dict(args='{"scale": 4, "exec": 1}'), "LightSR has no argument 'exec'"),
    (dict(args='[1, 2]'), r'args are \[1, 2\]'), (dict(args='7'), 'args are 7'), (dict(args='{'), 'Expecting')])
def test_forged_metadata(model, meta, says): one_line(forged(model, **meta), says)

def test_huge_claim_costs_nothing(model):
    "1024 x 1024 channels would take gigabytes: refused by the shapes, without building it."
    import time; t = time.time()
    one_line(forged(model, args='{"scale": 4, "nf": 1024, "n_blocks": 60}'), 'LightSR wants')
    assert time.time() - t < 5

def test_known_network_without_its_module(model, monkeypatch):
    monkeypatch.setitem(NETWORKS, 'RRDBNet', 'srgan_course.no_such_lesson')
    one_line(forged(model, network='RRDBNet'),
             'network RRDBNet needs srgan_course.no_such_lesson, which this version of the package does not have')

def test_strangers_safetensors(model):
    from safetensors.torch import save
    model.write_bytes(save({'a': torch.ones(2)})); one_line(model, 'holds no checksum')

def test_read_model_needs_no_network(model):
    tensors, meta = read_model(model)
    assert meta['network'] == 'LightSR' and tensors['head.weight'].shape == (6, 3, 3, 3)

# --- what they import ---

def test_light_imports(tmp_path):
    "Neither fastai nor torchvision comes along, and loading a file does not wake torch's compiler (seconds)."
    file = save_model(small(), tmp_path/'a.safetensors')
    code = f"""import sys, srgan_course.generators as g, srgan_course.critics
print([m for m in ("fastai", "torchvision", "lpips", "skimage", "pandas") if m in sys.modules])
n = len(sys.modules); g.load_model({str(file)!r}); print(len(sys.modules) - n)"""
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.split('\n')
    assert out[0] == '[]' and int(out[1]) < 100, out
