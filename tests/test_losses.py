"""The losses against plain PyTorch, and the traps: a term without gradient (4), pictures that are not normalised (5), a loss near 0.5 read
as balance (10).

Each trap's test is run on the right version and on one with the named fault, and must go red on the second.
"""
import copy, math, os, pickle, subprocess, sys, urllib.error
import pytest, torch, torch.nn.functional as F
from torch import nn
from srgan_course.kit import vgg
from srgan_course.kit.vgg import FEATURE_RMS, FeatureNet, feature_net, measure_rms, vgg_layers, vgg_names
from srgan_course.losses import AdversarialLoss, ContentLoss, CriticLoss, GridLoss, PerceptualLoss, TVLoss, WeightedLoss

KINDS = ('bce', 'lsgan', 'hinge', 'mean')
SMALL = 'vgg19-random@relu2_2'

@pytest.fixture(autouse=True)
def seeded(): torch.manual_seed(0)

def pictures(size=24, n=2): return torch.rand(n, 3, size, size, requires_grad=True), torch.rand(n, 3, size, size)

class Toy(nn.Module):
    "Generator and critic of one layer each."
    def __init__(self):
        super().__init__()
        self.gen, self.critic = nn.Conv2d(3, 3, 3, padding=1), nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.AdaptiveAvgPool2d(1),
            nn.Flatten(), nn.Linear(4, 1))

# --- pixels

def test_content_against_loops():
    x, y = pictures(5)
    d = [a - b for a, b in zip(x.flatten().tolist(), y.flatten().tolist())]
    for how, f in {'mse': lambda d: d*d, 'l1': abs, 'charbonnier': lambda d: math.sqrt(d*d + 1e-6)}.items():
        assert ContentLoss(how)(x, y).item() == pytest.approx(sum(map(f, d))/len(d), rel=1e-5)

def test_charbonnier_has_a_gradient_where_l1_has_a_kink():
    x = torch.zeros(1, 3, 4, 4, requires_grad=True)
    ContentLoss('charbonnier')(x, torch.zeros(1, 3, 4, 4)).backward()
    assert torch.equal(x.grad, torch.zeros_like(x))

@pytest.mark.parametrize('how,f', [('l1', abs), ('l2', lambda d: d*d)])
def test_tv_against_loops(how, f):
    x = torch.rand(2, 3, 4, 5)
    across = [f((x[b,c,i,j+1] - x[b,c,i,j]).item()) for b in range(2) for c in range(3) for i in range(4) for j in range(4)]
    down = [f((x[b,c,i+1,j] - x[b,c,i,j]).item()) for b in range(2) for c in range(3) for i in range(3) for j in range(5)]
    assert TVLoss(how)(x).item() == pytest.approx(sum(across)/len(across) + sum(down)/len(down), rel=1e-5)

# --- the game

def reference(kind, r, f, real=1., fake=0.):
    "Critic's and generator's loss from probabilities, in double precision."
    r, f = r.double(), f.double()
    ce = lambda x, t: -(t*x.sigmoid().log() + (1 - t)*(1 - x.sigmoid()).log()).mean()
    if kind == 'lsgan': return ((r - real)**2).mean()/2 + ((f - fake)**2).mean()/2, ((f - 1)**2).mean()/2
    if kind == 'hinge': return torch.clamp(1 - r, min=0).mean() + torch.clamp(1 + f, min=0).mean(), -f.mean()
    return ce(r, real) + ce(f, fake), (ce(f, 1.) if kind == 'bce' else (1 - f.sigmoid()).mean())

@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('labels', [(1., 0.), (.8, 0.), (.9, .1)])
def test_adversarial_against_plain(kind, labels):
    if kind == 'hinge' and labels != (1., 0.): pytest.raises(ValueError, AdversarialLoss, kind, *labels); return
    r, f = torch.randn(16, 1)*2, torch.randn(16, 1)*2
    adv, (crit, gen) = AdversarialLoss(kind, *labels), reference(kind, r, f, *labels)
    assert adv.crit(r, f).item() == pytest.approx(crit.item(), rel=1e-5)
    assert adv.gen(f).item() == pytest.approx(gen.item(), rel=1e-5)

@pytest.mark.parametrize('kind', KINDS)
def test_both_players_pull_the_right_way(kind):
    r, f = (torch.rand(8, 1).mul(.8).add(.1).requires_grad_() for _ in range(2))
    adv = AdversarialLoss(kind)
    gr, gf = torch.autograd.grad(adv.crit(r, f), (r, f)); gg, = torch.autograd.grad(adv.gen(f), f)
    assert (gr < 0).all() and (gf > 0).all() and (gg < 0).all()

def test_a_generator_that_fools_nobody_is_still_pulled():
    pull = lambda kind: torch.autograd.grad(AdversarialLoss(kind).gen(x := torch.tensor([[-9.]], requires_grad=True)), x)[0].abs().item()
    assert pull('bce') > .99 and pull('lsgan') > .99 and pull('hinge') > .99 and pull('mean') < 1e-3

@pytest.mark.parametrize('kind', ('bce', 'mean', 'lsgan', 'hinge'))
def test_a_critic_that_is_very_sure_stays_finite(kind):
    r, f = torch.full((4, 1), 1e4, requires_grad=True), torch.full((4, 1), -1e4, requires_grad=True)
    adv = AdversarialLoss(kind)
    total = adv.crit(f, r) + adv.gen(f); total.backward()
    assert total.isfinite() and r.grad.isfinite().all() and f.grad.isfinite().all()

def test_label_noise_follows_the_seed_and_stays_a_probability():
    adv, z = AdversarialLoss(fake_label=.1, noise=.1), torch.randn(64, 1)
    values = []
    for _ in range(2): torch.manual_seed(5); values.append([adv.crit(z, z).item() for _ in range(3)])
    assert values[0] == values[1] and len(set(values[0])) == 3
    torch.manual_seed(5); adv.crit(z, z); state = torch.get_rng_state(); a = adv.crit(z, z)
    torch.set_rng_state(state); assert adv.crit(z, z) == a                 # what a checkpoint with torch's random state gives
    x = torch.zeros(10_000, 1, requires_grad=True)
    y = .5 - torch.autograd.grad(adv.judge(x, .1, .1), x)[0]*10_000         # the gradient of cross-entropy is D minus the label
    assert y.min().item() == pytest.approx(0, abs=1e-6) and y.max() <= 1 and y.mean().item() == pytest.approx(.108, abs=.005)
    x = torch.zeros(100, 1, 3, 3, requires_grad=True)
    y = torch.autograd.grad(adv.judge(x, .1, .1), x)[0].flatten(1)
    assert y.std() > 0 and (y.std(1) < 1e-9).all()                          # a label for each picture, not for each patch

def test_label_noise_is_for_the_side_that_was_asked():
    z = torch.randn(32, 1)
    a, b = (AdversarialLoss(fake_label=.1, noise=.1).crit_halves(z, z) for _ in range(2))
    assert a[0] == b[0] and a[1] != b[1]
    adv = AdversarialLoss(noise=.1)
    assert adv.gen(z) == adv.gen(z) == AdversarialLoss().gen(z)            # the generator's own aim is never noisy

def test_trap_10_a_loss_near_a_half_is_not_balance():
    won = torch.logit(torch.tensor([[.8]])), torch.logit(torch.tensor([[.0001]]))
    loss = CriticLoss(AdversarialLoss(real_label=.8))
    assert loss(*won).item() == pytest.approx(.5005, abs=1e-4)
    assert loss.parts['crit_real'].item() == pytest.approx(.5004, abs=1e-4)
    judged_by_loss = lambda loss, parts: abs(loss - .5) < .05                                # the fault
    judged_by_words = lambda loss, parts: .05 < parts['d_real'] < .95 and .05 < parts['d_fake'] < .95
    value = loss(*won)
    assert judged_by_loss(value, loss.parts) and not judged_by_words(value, loss.parts)
    even = torch.zeros(1, 1), torch.zeros(1, 1)
    value = loss(*even)
    assert not judged_by_loss(value, loss.parts) and judged_by_words(value, loss.parts)

def test_critic_parts_are_on_one_scale():
    r, f = torch.full((2, 1), 1.), torch.full((2, 1), -1.)
    for kind, want in dict(bce=(.731, .269), mean=(.731, .269), lsgan=(1., -1.)).items():
        loss = CriticLoss(AdversarialLoss(kind)); loss(r, f)
        assert (loss.parts['d_real'].item(), loss.parts['d_fake'].item()) == pytest.approx(want, abs=1e-3)

class Relative(AdversarialLoss):
    needs_real = True

@pytest.mark.parametrize('adv', [AdversarialLoss('hinge'), Relative()], ids=['hinge', 'relativistic'])
def test_trap_14_no_probability_from_a_critic_that_says_none(adv):
    "A hinge critic rests near sigmoid(1) when it has won, a relativistic one anywhere: neither has a D(x)."
    loss = CriticLoss(adv); loss(torch.full((2, 1), 1.2), torch.full((2, 1), -1.2))
    assert not {'d_real', 'd_fake'} & set(loss.parts) and {'crit_real', 'crit_fake'} <= set(loss.parts)
    pytest.raises(ValueError, adv.score, torch.zeros(1, 1)).match('critic_accuracy')

def test_trap_14_accuracy_needs_no_scale():
    from srgan_course.losses import critic_accuracy
    g = torch.Generator().manual_seed(0)
    r, f = torch.randn(50, 1, generator=g) + 1, torch.randn(40, 1, generator=g)
    want = sum((a > b) + .5*(a == b) for a in r.flatten().tolist() for b in f.flatten().tolist())/2000
    for shift, scale in (0, 1), (5, 1), (-5, .1):
        assert critic_accuracy(scale*r + shift, scale*f + shift).item() == pytest.approx(want, abs=2e-3)
    assert critic_accuracy(r, r).item() == .5 and critic_accuracy(torch.ones(3, 1), torch.zeros(5, 1)).item() == 1

# --- feature nets

@pytest.mark.parametrize('arch', ('vgg16', 'vgg19'))
def test_layers_are_torchvisions(arch):
    torchvision = pytest.importorskip('torchvision')
    with torch.device('meta'): theirs, ours = getattr(torchvision.models, arch)().features, vgg_layers(arch, 'pool5')
    assert {k: v.shape for k, v in theirs.state_dict().items()} == {k: v.shape for k, v in ours.state_dict().items()}
    assert [type(m) for m in theirs] == [type(m) for m in ours] and len(vgg_names(arch)) == len(theirs)

def test_torchvisions_weights_give_torchvisions_features(tmp_path, monkeypatch):
    torchvision = pytest.importorskip('torchvision')
    net = torchvision.models.vgg16().eval()
    torch.save(net.state_dict(), tmp_path/'vgg16-397923af.pth')             # the file that a download leaves, with random numbers in it
    monkeypatch.setenv('SRGAN_WEIGHTS', str(tmp_path))
    x = torch.rand(1, 3, 32, 32)
    norm = torchvision.transforms.Normalize((.485, .456, .406), (.229, .224, .225))
    ours = feature_net('vgg16-torchvision@relu3_3', rms=1.)
    with torch.no_grad(): assert torch.allclose(ours(x), net.features[:16](norm(x)), atol=1e-6)
    del net; (tmp_path/'vgg16-397923af.pth').write_bytes(b'cut short')
    with pytest.raises(ValueError, match='vgg16-397923af.pth cannot be read as weights'): feature_net('vgg16-torchvision@relu3_3')

def _spring(): raise SystemExit('code from a weights file ran')
class Evil:
    def __reduce__(self): return _spring, ()

def test_code_in_a_weights_file_does_not_run(tmp_path, monkeypatch):
    torch.save({'features.0.weight': Evil()}, tmp_path/'vgg19-dcbb9e9d.pth')
    monkeypatch.setenv('SRGAN_WEIGHTS', str(tmp_path))
    with pytest.raises(ValueError, match='cannot be read as weights'): feature_net('vgg19-torchvision@relu1_1')

def check_normalised(net):
    "Trap 5's test."
    x = torch.rand(2, 3, 20, 20)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((.485, .456, .406), (.229, .224, .225)))
    assert torch.allclose(net(x), net.net((x - mean)/std), rtol=1e-4, atol=1e-4*net.rms), 'not normalised as ImageNet networks expect'

@pytest.mark.parametrize('fault', (None, 'as it is', '[-1,1]', '0 to 255', 'BGR'))
def test_trap_5_normalisation(fault, monkeypatch):
    net = feature_net(SMALL)
    if fault is None: return check_normalised(net)
    change = {'as it is': lambda x: x, '[-1,1]': lambda x: 2*x - 1, '0 to 255': lambda x: 255*x,
              'BGR': lambda x: (x.flip(1) - net.mean)/net.std}[fault]
    monkeypatch.setattr(FeatureNet, 'forward', lambda self, x: self.net(change(x)))
    with pytest.raises(AssertionError, match='not normalised'): check_normalised(net)

def test_a_net_of_ones_own_sees_what_it_was_taught_on():
    "ImageNet's mean and spread are ImageNet's: a network of one's own sees [0,1], or what is said of it; 'rms' is its own RMS."
    (x, y), same = pictures(), nn.Identity()
    assert PerceptualLoss(same)(x, y).item() == pytest.approx((x - y).square().mean().item()/measure_rms(same)**2, rel=1e-5)
    assert PerceptualLoss(same, scale=1.)(x, y).item() == pytest.approx((x - y).square().mean().item(), rel=1e-5)
    own = feature_net(same, mean=(.485, .456, .406), std=(.229, .224, .225)); check_normalised(own)
    assert own.rms == pytest.approx(measure_rms(own)) and feature_net(same, rms=3.).rms == 3.
    for net in (SMALL, own):
        with pytest.raises(ValueError, match='^mean: .* knows how it was taught'): feature_net(net, mean=.5)
    with pytest.raises(ValueError, match='^Sequential does not take photographs of 224 x 224 pixels, so give its rms'):
        feature_net(nn.Sequential(nn.Flatten(), nn.Linear(48, 4)))

def test_perceptual_against_plain():
    x, y = pictures()
    for how, f in dict(mse=torch.square, l1=torch.abs).items():
        loss = PerceptualLoss('vgg16-random@conv3_1', how)
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((.485, .456, .406), (.229, .224, .225)))
        d = loss.net.net((x - mean)/std) - loss.net.net((y - mean)/std)
        assert loss(x, y).item() == pytest.approx(f(d/FEATURE_RMS['vgg16-random']['conv3_1']).mean().item(), rel=1e-4)
        assert PerceptualLoss('vgg16-random@conv3_1', how, scale=1.)(x, y).item() == pytest.approx(f(d).mean().item(), rel=1e-4)

def test_before_and_after_the_relu():
    a, b = feature_net('vgg19-random@conv2_2'), feature_net('vgg19-random@relu2_2')
    x = torch.rand(1, 3, 16, 16)
    assert a(x).min() < 0 and torch.equal(a(x).clamp(min=0), b(x))

def test_the_net_is_a_ruler():
    loss = PerceptualLoss(SMALL)
    holder = nn.ModuleDict({'loss': loss, 'net': nn.Linear(2, 2)}).train()
    assert len(list(loss.parameters())) == 0 and len(list(holder.parameters())) == 2 and not any('loss' in k for k in holder.state_dict())
    assert not any(m.training for m in loss.net.modules())
    x, y = pictures(); y.requires_grad_()
    before = [b.clone() for b in loss.net.buffers()]
    loss(x, y).backward()
    assert x.grad.abs().sum() > 0 and y.grad is None
    assert not any(b.requires_grad or b.grad is not None for b in loss.net.buffers()) and all(map(torch.equal, before, loss.net.buffers()))

def test_a_net_with_statistics_does_not_move():
    own = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(.5))
    loss = PerceptualLoss(own).train()
    x, y = pictures(); loss(x, y).backward()
    assert torch.equal(own[1].running_mean, torch.zeros(4)) and torch.equal(loss.net.net[1].running_mean, torch.zeros(4))
    assert own.training and all(p.requires_grad and p.grad is None for p in own.parameters())        # the user's own copy is as it was
    assert loss(x, y) == loss(x, y)

def test_a_frozen_net_can_be_copied_and_pickled():
    net, x = feature_net('vgg19-random@relu1_2'), torch.rand(1, 3, 8, 8)
    assert torch.equal(copy.deepcopy(net)(x), net(x)) and torch.equal(pickle.loads(pickle.dumps(net))(x), net(x))

def test_making_a_net_draws_no_random_numbers():
    before = torch.get_rng_state(); a, b, c = (feature_net(f'vgg19-random{s}@relu1_2', rms=1.) for s in ('', '0', '7'))
    assert torch.equal(before, torch.get_rng_state())
    x = torch.rand(1, 3, 8, 8); assert torch.equal(a(x), b(x)) and not torch.equal(a(x), c(x))

@pytest.mark.parametrize('name,why', [
    ('vgg19', 'not of the form network-source@layer'), ('resnet50-random@relu1_1', "network 'resnet50' is not in (vgg16, vgg19)"),
    ('vgg19-keras@relu5_4', "source 'keras' is not in (torchvision, oxford, random)"),
                                      ('vgg16-random@relu5_4', "vgg16 has no layer 'relu5_4'"),
    ('vgg19-torchvision3@relu5_4', 'only random weights have a seed')])
def test_names_not_offered(name, why):
    with pytest.raises(ValueError) as e: PerceptualLoss(name)
    assert why in str(e.value) and name in str(e.value) and '\n' not in str(e.value)

def test_offline_says_what_from_where_and_what_instead(monkeypatch, tmp_path):
    def offline(*a, **k): raise urllib.error.URLError('Name or service not known')
    monkeypatch.setattr(torch.hub, 'load_state_dict_from_url', offline); monkeypatch.setenv('SRGAN_WEIGHTS', str(tmp_path))
    with pytest.raises(OSError) as e: feature_net('vgg19-torchvision@relu5_4')
    for part in ('vgg19-torchvision@relu5_4', 'https://download.pytorch.org/models/vgg19-dcbb9e9d.pth', 'Name or service not known',
                 'SRGAN_WEIGHTS', "'vgg19-random@relu5_4'"):
        assert part in str(e.value)
    assert '\n' not in str(e.value)
    with pytest.raises(FileNotFoundError, match='vgg19_to_relu3_4.safetensors'): feature_net('vgg19-oxford@relu3_4')
    monkeypatch.delenv('SRGAN_WEIGHTS')
    with pytest.raises(FileNotFoundError, match='it is not set'): feature_net('vgg16-oxford@relu2_2')

def test_a_download_that_is_not_the_file_is_refused(monkeypatch, tmp_path):
    "torch.hub compares the hash in the file's name; its own error becomes ours."
    served = tmp_path/'served'; served.mkdir(); torch.save({'features.0.weight': torch.zeros(1)}, served/'vgg19-dcbb9e9d.pth')
    monkeypatch.setattr(vgg, '_URL', served.as_uri() + '/'); monkeypatch.delenv('SRGAN_WEIGHTS', raising=False)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path/'home'))
    with pytest.raises(OSError, match='invalid hash value'): feature_net('vgg19-torchvision@relu1_1')

def test_weights_that_end_early_are_refused(srgan_weights):
    with pytest.raises(ValueError, match='vgg19-oxford@relu5_4: these weights have no conv4_1; the last layer in them is relu3_4'):
        feature_net('vgg19-oxford@relu5_4')
    with pytest.raises(ValueError, match='have no conv3_1; the last layer in them is relu2_2'): feature_net('vgg16-oxford@relu3_3')

@pytest.mark.parametrize('name', ('vgg19-random@relu5_4', 'vgg16-random@conv4_3', 'vgg19-oxford@relu3_4', 'vgg19-oxford@conv2_2',
                                  'vgg16-oxford@relu2_2'))
def test_stated_rms_is_what_is_measured(name, request):
    if 'oxford' in name: request.getfixturevalue('srgan_weights')
    net = feature_net(name)
    assert measure_rms(net) == pytest.approx(net.rms, rel=1e-3)

def test_pretrained_features_mind_blur_far_more_than_light(srgan_weights):
    from srgan_course.data import sample_photos
    from srgan_course.images import to_tensor
    x = to_tensor(sample_photos('valid')['chelsea'].crop((110, 90, 238, 218)))[None]
    g = torch.exp(-torch.arange(-8., 9)**2/4.5); g = (g/g.sum())
    blurred = F.conv2d(F.conv2d(F.pad(x, (8,)*4, mode='reflect').transpose(0, 1), g[None,None,None]), g[None,None,:,None]).transpose(0, 1)
    lighter = x + F.mse_loss(blurred, x).sqrt()                            # the same mean squared error
    ratio = lambda name: (lambda p: (p(blurred, x)/p(lighter, x)).item())(PerceptualLoss(name))
    assert ratio('vgg19-oxford@relu3_4') > 50 and ratio('vgg19-random@relu3_4') < 5

def test_in_a_process_of_its_own():
    """Neither fastai nor torchvision comes along (torchvision only when VGG is asked for); and bfloat16 and channels_last give the same
    loss (without AMX, which some virtual machines announce and cannot use)."""
    code = '''
import sys, torch
from srgan_course.losses import PerceptualLoss, WeightedLoss, ContentLoss
torch.manual_seed(0)
assert not {'fastai', 'torchvision'} & set(sys.modules), 'imported'
loss = WeightedLoss(content=(ContentLoss(), 1.), features=(PerceptualLoss('vgg19-random@relu3_1'), 1.))
assert 'fastai' not in sys.modules, 'imported'
x, y = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
def grad(dtype, fmt):
    z = x.clone().to(memory_format=fmt).requires_grad_()
    with torch.autocast('cpu', torch.bfloat16, enabled=dtype == torch.bfloat16): v = loss.to(memory_format=fmt)(None, z, y.to(memory_format=fmt))
    assert v.dtype == torch.float32 and all(p.dtype == torch.float32 for p in loss.parts.values())
    v.backward(); return v.item(), z.grad.flatten()
a, b, c = grad(torch.float32, torch.contiguous_format), grad(torch.float32, torch.channels_last), grad(torch.bfloat16, torch.channels_last)
assert abs(a[0] - b[0]) < 1e-4*a[0] and abs(a[0] - c[0]) < .03*a[0], (a[0], b[0], c[0])
assert torch.cosine_similarity(a[1], b[1], 0) > .9999 and torch.cosine_similarity(a[1], c[1], 0) > .95
'''
    subprocess.run([sys.executable, '-c', code], check=True, env={**os.environ, 'ONEDNN_MAX_CPU_ISA': 'AVX512_CORE_BF16'}, timeout=120)

@pytest.mark.parametrize('how', ('l1', 'l2'))
def test_total_variation_of_one_row_is_no_nan(how):
    for shape in (1, 3, 1, 5), (1, 3, 5, 1):
        with pytest.raises(ValueError, match='no neighbours; give sides of 2 or more'): TVLoss(how)(torch.rand(shape))
    assert TVLoss(how)(torch.rand(1, 3, 2, 2)).isfinite()

def test_targets_features_are_not_kept():
    "The graph must hold one pass, not two."
    class Count(nn.Module):
        seen = []
        def forward(self, x): self.seen.append(torch.is_grad_enabled()); return x*2
    x, y = pictures(8); PerceptualLoss(FeatureNet(Count(), 'count'))(x, y)
    assert sorted(Count.seen) == [False, True]

# --- what repeats

def grid_against_loops(scale, blocks):
    "GridLoss on random pictures beside a slow version: every place of every block, block by block."
    x, y = (torch.rand(2, 3, 4*scale + 1, 5*scale) for _ in range(2))          # one row too many: it belongs to no block
    def repeats(x):
        out = []
        for top in range(4 - blocks + 1):
            for left in range(5 - blocks + 1):
                part = torch.stack([x[..., i*scale:(i+1)*scale, j*scale:(j+1)*scale] for i in range(top, top + blocks)
                                    for j in range(left, left + blocks)]).mean(0)
                out.append(part - part.mean((-2, -1), keepdim=True))
        return torch.stack(out)
    return GridLoss(scale, blocks)(x, y).item(), (repeats(x) - repeats(y)).abs().mean().item()

@pytest.mark.parametrize('scale,blocks', [(2, 1), (2, 3), (4, 2), (4, 4)])
def test_grid_against_loops(scale, blocks):
    got, want = grid_against_loops(scale, blocks)
    assert got == pytest.approx(want, rel=1e-4)

# --- the sum

def every_term():
    return dict(content=(ContentLoss('l1'), 1.), smooth=(TVLoss(), 2e-8), grid=(GridLoss(2, 3), 1.), features=(PerceptualLoss(SMALL), .1),
                adv=(AdversarialLoss(), 1e-3))

def reaches_the_generator(terms):
    "Trap 4's test: each term alone must move every parameter of the generator, and no other term's gradient may stand in for it."
    toy, lr, hr = Toy(), torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    for name, (loss, weight) in terms.items():
        toy.zero_grad(set_to_none=True)
        out = toy.gen(lr)
        v = loss.gen(toy.critic(out)) if hasattr(loss, 'gen') else loss(out, hr)
        if v.requires_grad: (weight*v).backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in toy.gen.parameters()), f'{name} does not reach the generator'

def test_trap_4_every_term_reaches_the_generator(): reaches_the_generator(every_term())

class Rebuilt(PerceptualLoss):
    "The fault of a published SRGAN's code."
    def forward(self, output, target): return torch.Tensor([super().forward(output, target).item()])[0]

def test_trap_4_goes_red_on_the_fault():
    terms = {**every_term(), 'features': (Rebuilt(SMALL), .1)}
    with pytest.raises(AssertionError, match='features does not reach'): reaches_the_generator(terms)

@pytest.mark.parametrize('fault', (Rebuilt, 'detached', 'critic detached'))
def test_the_sum_refuses_a_term_without_gradient(fault):
    toy, lr, hr = Toy(), torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    out = toy.gen(lr); said = toy.critic(out)
    if fault is Rebuilt: bad, terms = 'features', {**every_term(), 'features': (Rebuilt(SMALL), .1)}
    elif fault == 'detached': bad, terms = 'content', {**every_term(), 'content': (lambda o, t: ContentLoss()(o, t).detach(), 1.)}
    else: bad, terms, said = 'adv', every_term(), said.detach()
    with pytest.raises(ValueError, match=f"term '{bad}' carries no gradient"): WeightedLoss(**terms)(said, out, hr)
    with torch.no_grad(): assert WeightedLoss(**terms)(said, out, hr).isfinite()

def test_the_sum_and_its_parts():
    toy, lr, hr = Toy(), torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    terms = every_term(); loss = WeightedLoss(**terms)
    out = toy.gen(lr); said = toy.critic(out)
    total = loss(said, out, hr)
    plain = {k: (l.gen(said) if k == 'adv' else l(out, hr)).item() for k, (l, _) in terms.items()}
    assert {k: v.item() for k, v in loss.parts.items()} == pytest.approx(plain)
    assert {k: v.item() for k, v in loss.weighted.items()} == pytest.approx({k: plain[k]*w for k, (_, w) in terms.items()})
    assert total.item() == pytest.approx(sum(plain[k]*w for k, (_, w) in terms.items()))
    assert not any(v.requires_grad or v.dim() for v in [*loss.parts.values(), *loss.weighted.values()])
    total.backward(); assert toy.gen.weight.grad.abs().sum() > 0

def test_tensor_subclasses_as_fastai_hands_them_over():
    class Picture(torch.Tensor): pass
    toy, lr, hr = Toy(), torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    out = toy.gen(lr).as_subclass(Picture); said = toy.critic(out).as_subclass(Picture)
    loss, crit = WeightedLoss(**every_term()), CriticLoss(AdversarialLoss())
    total, told = loss(said, out, hr.as_subclass(Picture)), crit(said.detach(), said.detach())
    assert {type(v) for v in (total, told, *loss.parts.values(), *crit.parts.values())} == {torch.Tensor}

def test_a_relativistic_loss_fits():
    class Relativistic(AdversarialLoss):
        needs_real = True
        def gen(self, fake_pred, real_pred):
            f, r = fake_pred - real_pred.mean(), real_pred - fake_pred.mean()
            return F.softplus(-f).mean() + F.softplus(r).mean()
    loss = WeightedLoss(content=(ContentLoss(), 1.), adv=(Relativistic(), 1.))
    assert loss.needs_real and not WeightedLoss(**every_term()).needs_real
    out, hr = pictures(8); f, r = (x.mean((1, 2, 3))[:, None].requires_grad_() for x in (out.detach(), hr))
    gf, gr = torch.autograd.grad(loss(f, out, hr, real_pred=r), (f, r))
    assert (gf < 0).all() and (gr > 0).all()                                # both halves send gradient

@pytest.mark.parametrize('terms,why', [({}, 'needs a term'), (dict(content=ContentLoss()), r'give content=\(loss, weight\)'),
                                       (dict(content=('mse', 1.)), r'give content=\(loss, weight\)')])
def test_terms_that_are_none(terms, why):
    with pytest.raises(ValueError, match=why): WeightedLoss(**terms)

@pytest.mark.parametrize('make', (lambda: ContentLoss('l2'), lambda: TVLoss('mse'), lambda: AdversarialLoss('wgan'),
                                  lambda: AdversarialLoss(noise=-1), lambda: PerceptualLoss(SMALL, 'cosine')))
def test_bad_arguments(make): pytest.raises(ValueError, make)

@pytest.mark.parametrize('shape', ((2, 1, 16, 16), (3, 16, 16), (2, 4, 16, 16)))
def test_pictures_that_a_net_cannot_read(shape):
    x = torch.rand(shape)
    with pytest.raises(ValueError, match=r'takes pictures \(B,3,H,W\) in \[0,1\]'): PerceptualLoss(SMALL)(x, x)

def test_shapes_that_would_be_stretched():
    for loss in ContentLoss(), PerceptualLoss(SMALL):
        with pytest.raises(ValueError, match='differ in shape'): loss(torch.rand(2, 3, 16, 16), torch.rand(1, 3, 16, 16))

@pytest.mark.cuda
def test_on_cuda():
    loss = WeightedLoss(**every_term()).to('cuda', memory_format=torch.channels_last)
    x, y = (t.detach().to('cuda').requires_grad_(t.requires_grad) for t in pictures())
    with torch.autocast('cuda', torch.bfloat16): v = loss(x.mean((1, 2, 3))[:, None], x, y)
    v.backward(); assert v.is_cuda and x.grad.isfinite().all()
    assert PerceptualLoss(SMALL)(x, y).is_cuda                              # the net follows its pictures
