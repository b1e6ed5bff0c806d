"Lesson 17: networks, critics, loss, mixing, published names, DIV2K."
import os, re, shutil
import numpy as np, pytest, torch, torch.nn.functional as F
from PIL import Image
from torch import nn
from srgan_course.kit.recipe import get_recipe, named_recipes
from srgan_course.data import draw_pet
from srgan_course.generators import SRResNet, count_params, load_model, save_model
from srgan_course.kit import div2k as made_ready
from srgan_course.kit.div2k import cut_windows, div2k_windows, make_lr, starts
from srgan_course.kit.hub import div2k_from_hub
from srgan_course.kit.sources import div2k_pairs, source_folder
from srgan_course.kit.weights import load_published, read_weights
from srgan_course.images import downscale
from srgan_course.esrgan import (ESRGAN_RECIPES, DenseBlock, RRDB, RRDBNet, RelativisticLoss, UNetCritic, VGGCritic, given_dls,
                                 mix_networks, phone)

def small(seed=0, scale=4, **kw):
    torch.manual_seed(seed)
    return RRDBNet(scale, 8, 2, 4, **kw).eval()

@pytest.mark.parametrize('args,n', [((4,), 16_697_987), ((2,), 16_697_987 - 36_928), ((4, 64, 6), 4_467_779)])
def test_counts(args, n):
    with torch.device('meta'): assert count_params(RRDBNet(*args)) == n

def test_critic_counts():
    with torch.device('meta'):
        assert count_params(VGGCritic(128)) == 14_499_401
        assert count_params(UNetCritic()) == 4_376_897

@pytest.mark.parametrize('scale', (2, 3, 4))
def test_shapes_radius_file(scale, tmp_path):
    net, x = small(scale=scale), torch.rand(1, 3, 9, 11)
    y = net(x)
    assert y.shape == (1, 3, 9*scale, 11*scale)
    assert RRDBNet(scale, 8, 1, 4).radius == {2: 19, 3: 18, 4: 19}[scale]
    save_model(net, tmp_path/'a.safetensors')
    again = load_model(tmp_path/'a.safetensors')
    assert type(again) is RRDBNet and again.args == net.args and torch.allclose(again(x), y, atol=1e-5)

def test_block_adds_a_fifth():
    torch.manual_seed(0)
    block, x = DenseBlock(8, 4), torch.randn(1, 8, 6, 6)
    with torch.no_grad():
        whole = DenseBlock(8, 4, 100); whole.load_state_dict(block.state_dict())
        assert torch.allclose(block(x) - x, .2*(whole(x) - x), atol=1e-6)
    r = RRDB(8, 4)
    with torch.no_grad(): assert torch.allclose(r(x) - x, .2*r.rdb3(r.rdb2(r.rdb1(x))), atol=1e-6)

def test_bad_scale_and_critic_sizes():
    with pytest.raises(ValueError, match='scale 5'): RRDBNet(5)
    with pytest.raises(ValueError, match='multiple of 32'): VGGCritic(100)
    with pytest.raises(ValueError, match='build it with their size'): VGGCritic(32, 4)(torch.rand(1, 3, 64, 64))
    with pytest.raises(ValueError, match='multiples of 8'): UNetCritic(4)(torch.rand(1, 3, 20, 24))

def test_critics_answer():
    assert VGGCritic(32, 4)(torch.rand(2, 3, 32, 32)).shape == (2, 1)
    assert UNetCritic(4)(torch.rand(2, 3, 16, 24)).shape == (2, 1, 16, 24)

def held(critic): return [*critic.down, *critic.up, *critic.after]    # the layers under spectral norm

def matrix_norm(m): return torch.linalg.matrix_norm(m.weight.detach().flatten(1), 2).item()

def layer_norm(m, side=24, n=100):
    "The most by which a convolution stretches a picture of `side` pixels: power iteration with the layer itself."
    w, opts = m.weight.detach(), dict(stride=m.stride, padding=m.padding)
    v = torch.randn(1, w.shape[1], side, side, generator=torch.Generator().manual_seed(0))
    v = v/v.norm()
    for _ in range(n): v = nn.functional.conv_transpose2d(nn.functional.conv2d(v, w, **opts), w, **opts); v = v/v.norm()
    return nn.functional.conv2d(v, w, **opts).norm().item()

@pytest.mark.parametrize('seed', range(5))
def test_spectral_norm(seed):
    # the criterion: within 2 % of 1 after 20 power iterations in training, from construction on (which does 50 of its own: a random
    # matrix's largest singular values lie close together)
    torch.manual_seed(seed)
    c, x = UNetCritic(8).train(), torch.rand(1, 3, 16, 16)
    for _ in range(20): c(x)
    norms = lambda: [matrix_norm(m) for m in held(c.eval())]
    assert len(norms()) == 8 and all(abs(v - 1) < .02 for v in norms()), norms()
    # on weights that move it lags (measured: 4 to 18 %), and comes back when they rest (2 to 6 % after 20)
    c.train()
    opt = torch.optim.Adam(c.parameters(), lr=1e-4)
    for _ in range(20): opt.zero_grad(); nn.functional.softplus(c(x)).mean().backward(); opt.step()
    for _ in range(20): c(x)
    assert all(abs(v - 1) < .1 for v in norms()), norms()

def test_spectral_norm_bounds_the_matrix_and_not_the_layer():
    "A convolution's own norm is above that of its kernel as a matrix: 'largest stretch is 1' is false."
    torch.manual_seed(0)
    for m in held(UNetCritic(8).eval()): assert abs(matrix_norm(m) - 1) < .02 and 1.2 < layer_norm(m) < 1.7
    point, mean = nn.Conv2d(6, 5, 1, bias=False), nn.Conv2d(1, 1, 3, padding=1, bias=False)
    assert layer_norm(point) == pytest.approx(matrix_norm(point), rel=1e-2)         # a kernel of one pixel: the layer is the matrix
    mean.weight.data.fill_(1/3)
    assert matrix_norm(mean) == pytest.approx(1, abs=1e-5) and layer_norm(mean) > 2.8

@pytest.mark.parametrize('kind', ('bce', 'lsgan', 'hinge'))
def test_both_halves_send_gradient(kind):
    loss = RelativisticLoss(kind)
    for i in 0, 1:
        a, b = (torch.tensor(v, requires_grad=True) for v in ([[.1], [.4]], [[.2], [-.3]]))
        loss.halves(a, b)[i].backward()
        assert a.grad.abs().min() > 0 and b.grad.abs().min() > 0
    f, r = torch.tensor([[0.], [2.]]), torch.tensor([[1.], [3.]])
    assert torch.isclose(loss.gen(f, r), loss.gen(f + 7, r + 7))            # only the difference counts
    assert torch.isclose(loss.crit(r, f), loss.gen(r, f))                   # the same question with the roles changed
    assert sum(loss.crit_halves(r, f)) == loss.crit(r, f)
    with pytest.raises(ValueError, match='compares'): loss.gen(f)

def test_relativistic_value():
    f, r = torch.tensor([[0.], [2.]]), torch.tensor([[1.], [3.]])
    want = np.log1p(np.exp(-(np.array([0, 2]) - 2))).mean() + np.log1p(np.exp(np.array([1, 3]) - 1)).mean()
    assert RelativisticLoss().gen(f, r).item() == pytest.approx(want, rel=1e-5)
    with pytest.raises(ValueError, match="'bce', 'lsgan' or 'hinge'"): RelativisticLoss('mean')

def test_mix():
    a, b = small(0), small(1)
    assert all(torch.equal(p, q) for t, n in ((0, a), (1, b)) for p, q in zip(mix_networks(a, b, t).parameters(), n.parameters()))
    w = lambda n: n.conv_first.weight
    assert torch.allclose(w(mix_networks(a, b, .25)), .75*w(a) + .25*w(b), atol=1e-7)
    with pytest.raises(ValueError, match='must agree'): mix_networks(a, small(scale=2), .5)
    with pytest.raises(ValueError, match='from 0 to 1'): mix_networks(a, b, 1.5)

def old(k):   # ESRGAN, 2018
    k = re.sub(r'^body\.(\d+)\.rdb(\d)\.', r'RRDB_trunk.\1.RDB\2.', k)
    return re.sub(r'^conv_body', 'trunk_conv', re.sub(r'^conv_up(\d)', r'upconv\1', re.sub('^conv_hr', 'HRconv', k)))

def oldest(k):   # the first files number their layers; of two blocks, x2 or x4
    if m := re.match(r'body\.(\d+)\.rdb(\d)\.conv(\d)\.(.*)', k): return f'model.1.sub.{m[1]}.RDB{m[2]}.conv{m[3]}.0.{m[4]}'
    where, what = k.split('.')
    return (f'model.1.sub.2.{what}' if where == 'conv_body'
            else f'model.{dict(conv_first=0, conv_up1=3, conv_up2=6, conv_hr=8, conv_last=10)[where]}.{what}')

def lorna(k):
    for a, b in (r'^body\.', 'trunk.'), (r'^conv_first\.', 'conv1.'), (r'^conv_body\.', 'conv2.'), (r'^conv_up(\d)\.',
        r'upsampling\1.0.'), (r'^conv_hr\.', 'conv3.0.'), (r'^conv_last\.', 'conv4.'):
        k = re.sub(a, b, k)
    return k

@pytest.mark.parametrize('name', (str, old, oldest, lorna))
@pytest.mark.parametrize('scale', (2, 4))
def test_published_rrdb(name, scale, tmp_path):
    net, x = small(scale=scale), torch.rand(1, 3, 8, 8)
    torch.save({'params_ema': {'module.' + name(k): v for k, v in net.state_dict().items()}}, tmp_path/'a.pth')
    got = load_published(tmp_path/'a.pth')
    assert got.args == net.args and torch.allclose(got(x), net(x), atol=1e-5)

@pytest.mark.parametrize('block', ('conv', 'conv_block'))
def test_published_srresnet(block, tmp_path):
    torch.manual_seed(0)
    net, x = SRResNet(4, 8, 2).eval(), torch.rand(1, 3, 8, 8)
    def name(k):
        for a, b in (r'^body\.(\d+)\.layers\.', r'trunk.\1.rcb.'), ('^head', block + '1'), ('^mid', block + '2'), (r'^up\.(\d+)\.',
            r'upsampling.\1.upsample_block.'), ('^tail', block + '3'):
            k = re.sub(a, b, k)
        return k
    torch.save({'state_dict': {name(k): v for k, v in net.state_dict().items()}}, tmp_path/'a.pth')
    got = load_published(tmp_path/'a.pth')
    assert got.args == net.args and torch.allclose(got(x), net(x), atol=1e-5)

class Bad:
    def __reduce__(self): return (print, ('this must never run',))

def test_published_refused(tmp_path, capsys):
    p = tmp_path/'a.pth'
    with pytest.raises(FileNotFoundError): load_published(p)
    torch.save({'params': Bad()}, p)
    with pytest.raises(ValueError, match='weights alone'): read_weights(p)
    assert 'never run' not in capsys.readouterr().out
    torch.save({'a.weight': torch.zeros(1)}, p)
    with pytest.raises(ValueError, match='neither an RRDBNet nor'): load_published(p)
    d = small().state_dict()
    torch.save(d | {'conv_first.weight': torch.zeros(8, 12, 3, 3)}, p)
    with pytest.raises(ValueError, match='folded picture'): load_published(p)
    torch.save({k: v for k, v in d.items() if k != 'conv_hr.bias'}, p)
    with pytest.raises(ValueError, match=r'wants \(8,\) for conv_hr.bias, the file has nothing'): load_published(p)
    torch.save(d | {'conv_hr.weight': torch.zeros(8, 8, 1, 1)}, p)
    with pytest.raises(ValueError, match='conv_hr.weight'): load_published(p)

def div2k(folder, sizes=((70, 50), (64, 64)), scale=2, lr=None):
    for i, (w, h) in enumerate(sizes, 1):
        img = draw_pet('cat', i, 70).resize((w*scale, h*scale))
        for d, name, im in ('DIV2K_train_HR', f'{i:04}.png', img), (f'DIV2K_train_LR_bicubic/X{scale}', f'{i:04}x{scale}.png',
            lr or img.reduce(scale)):
            (folder/d).mkdir(parents=True, exist_ok=True); im.save(folder/d/name)
    return folder

def test_div2k_windows(tmp_path):
    pairs = div2k_pairs(div2k(tmp_path))
    assert [(a.name, b.name) for a, b in pairs] == [('0001x2.png', '0001.png'), ('0002x2.png', '0002.png')]
    cut_windows(pairs, tmp_path/'cut', 2, 64, 'train')
    lr, hr = [sorted((tmp_path/'cut'/k/'train').glob('*.png')) for k in ('LR', 'HR')]
    assert len(lr) == len(hr) == 6 + 4 and [p.name for p in lr] == [p.name for p in hr]
    for a, b in zip(lr, hr):                       # each LR window is still the HR window made small, so they are aligned
        a, b = Image.open(a), Image.open(b)
        assert b.size == (64, 64) and a.size == (32, 32) and np.abs(np.asarray(b.reduce(2), int) - np.asarray(a, int)).max() <= 1
    when = [p.stat().st_mtime_ns for p in lr]
    cut_windows(pairs, tmp_path/'cut', 2, 64, 'train')
    assert when == [p.stat().st_mtime_ns for p in lr]
    assert starts(10, 4) == [0, 4, 6] and starts(8, 4) == [0, 4] and starts(3, 4) == [0]

def test_windows_follow_the_pictures(tmp_path):
    "Others under the same names, older by their date: windows and small pictures that were made of the ones before are made anew."
    for split in 'train', 'valid':
        div2k(tmp_path); (tmp_path/'DIV2K_train_HR').rename(tmp_path/f'DIV2K_{split}_HR') if split == 'valid' else None
        shutil.rmtree(tmp_path/'DIV2K_train_LR_bicubic')
        if split == 'train': (tmp_path/'DIV2K_train_HR').rename(tmp_path/'kept')
    (tmp_path/'kept').rename(tmp_path/'DIV2K_train_HR')
    windows = lambda: {p.relative_to(out): (p.stat().st_mtime_ns, p.read_bytes()) for p in sorted(out.glob('?R/train/*.png'))}
    out = div2k_windows(tmp_path, 2, 64, downscale); was = windows()
    div2k_windows(tmp_path, 2, 64, downscale)
    assert len(was) == 20 and windows() == was                     # nothing is done twice
    hr = tmp_path/'DIV2K_train_HR'/'0001.png'
    draw_pet('dog', 5, 70).resize((140, 100)).save(hr); os.utime(hr, (10**9, 10**9))
    div2k_windows(tmp_path, 2, 64, downscale); now = windows()
    assert {p for p in was if now[p][1] != was[p][1]} == {p for p in was if '0001_' in p.name} and now.keys() == was.keys()
    for p in (p for p in now if p.parts[0] == 'LR' and '0001_train_0_0' in p.name):
        a, b = Image.open(out/p), Image.open(out/'HR'/'train'/p.name)
        assert np.abs(np.asarray(downscale(b, 2), int)[4:-4, 4:-4] - np.asarray(a, int)[4:-4, 4:-4]).max() <= 2
    hr.unlink(); div2k_windows(tmp_path, 2, 64, downscale)
    assert {*windows()} == {p for p in was if '0002_' in p.name}    # and those of a picture that is gone, with it

def test_div2k_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='DIV2K_train_HR'): div2k_pairs(tmp_path)
    div2k(tmp_path)
    with pytest.raises(FileNotFoundError, match='DIV2K_train_LR_unknown'): div2k_pairs(tmp_path, track='unknown')
    (tmp_path/'DIV2K_train_HR/0003.png').write_bytes((tmp_path/'DIV2K_train_HR/0001.png').read_bytes())
    with pytest.raises(ValueError, match='1 pictures of train have no partner'): div2k_pairs(tmp_path)
    (tmp_path/'DIV2K_train_HR/0003.png').unlink()
    draw_pet('cat', 1, 60).save(tmp_path/'DIV2K_train_LR_bicubic/X2/0001x2.png')
    with pytest.raises(ValueError, match='not 2 times'): div2k_pairs(tmp_path)

def test_lr_is_made_whole_or_not_at_all(tmp_path, monkeypatch):
    div2k(tmp_path); shutil.rmtree(tmp_path/'DIV2K_train_LR_bicubic')
    draw_pet('cat', 1, 51).save(tmp_path/'DIV2K_train_HR/0003.png')
    make = lambda: make_lr(tmp_path, 2, 'train', downscale)
    with pytest.raises(ValueError, match='51 x 51 is not a multiple of 2'): make()
    assert not (tmp_path/'DIV2K_train_LR_bicubic').exists()
    (tmp_path/'DIV2K_train_HR/0003.png').unlink()
    keep, saved = made_ready.save_image, []
    def stop(img, q): saved.append(q); keep(img, q) if len(saved) < 2 else (_ for _ in ()).throw(KeyboardInterrupt())
    monkeypatch.setattr(made_ready, 'save_image', stop)
    with pytest.raises(KeyboardInterrupt): make()
    assert not (tmp_path/'DIV2K_train_LR_bicubic/X2').exists()      # half a folder would be taken for a whole one
    again = []
    monkeypatch.setattr(made_ready, 'save_image', lambda img, q: (again.append(q), keep(img, q)))
    make()
    assert len(again) == 1 and len(div2k_pairs(tmp_path)) == 2

def layout(folder):
    div2k(folder)
    for d in 'HR', 'LR_bicubic': (folder/f'DIV2K_train_{d}').rename(folder/f'DIV2K_valid_{d}')
    return div2k(folder, sizes=((80, 64), (64, 64), (70, 70)))

def test_a_recipe_that_spoils_its_pictures_does_so_on_div2k_too(tmp_path):
    from srgan_course import srgan
    r = get_recipe('esrgan-quick', srgan.SRGANRecipe).replace(bs=2, steps_per_epoch=2, pre_size=0)
    layout(tmp_path)
    (lr, hr), (worse, same) = (srgan.make_dls(r.replace(degrade=d), str(tmp_path), 'cpu').one_batch() for d in ('bicubic', 'phone'))
    assert torch.equal(hr, same) and (lr - worse).abs().mean() > .005

def test_whole_pictures_of_div2k_are_its_large_ones(tmp_path):
    from srgan_course import srgan
    r = get_recipe('esrgan-quick', srgan.SRGANRecipe).replace(bs=2, steps_per_epoch=2, pre_size=0)
    layout(tmp_path)
    for kw, valid in (dict(whole=True), None), ({}, str(tmp_path/'DIV2K_valid_HR')):
        dls = srgan.make_dls(r.replace(**kw), str(tmp_path), 'cpu', valid)
        assert (len(dls.train_ds), len(dls.valid_ds)) == (3, 2)     # the small pictures beside them are no pictures to learn from

@pytest.mark.parametrize('change, says', [(dict(fake_label=.1), 'has no labels'), (dict(size=40), 'not a multiple of 32'),
                                          (dict(feature_net='vgg19-oxford@conv5_4'), 'conv5_4')])
def test_what_the_game_wants_is_looked_for_before_the_pretraining(change, says, tmp_path):
    from srgan_course import srgan
    with pytest.raises((ValueError, OSError), match=says):
        srgan.train(get_recipe('esrgan-quick', srgan.SRGANRecipe).replace(**change), 'embedded', tmp_path/'run', device='cpu',
                    progress=False)
    assert not (tmp_path/'run').exists()

def test_phone():
    a = draw_pet('cat', 1, 64)
    assert phone(a, 4).size == (16, 16) and phone(a, 4).tobytes() == phone(a, 4).tobytes()
    clean = np.asarray(a.resize((16, 16), Image.BICUBIC), float)
    assert 1 < np.abs(np.asarray(phone(a, 4), float) - clean).mean() < 40

def test_a_run_on_phones_pictures_is_measured_on_them(tmp_path, monkeypatch):
    "The final figures, bicubic's row among them, and the sheets of samples are of the LR that the recipe names."
    import json
    from srgan_course import srgan
    from srgan_course.images import to_tensor
    from srgan_course.metrics import evaluate_sr
    r = srgan.SRGANRecipe('p', scale=2, size=32, bs=2, nf=4, n_blocks=1, critic='none', degrade='phone', steps_per_epoch=2, epochs=1,
                          precision='float32')
    seen, watch = {}, srgan.watchers
    monkeypatch.setattr(srgan, 'watchers', lambda job, out, samples: seen.update(samples=samples) or watch(job, out, samples))
    srgan.train(r, 'embedded', tmp_path/'run', progress=False, device='cpu')
    said = json.loads((tmp_path/'run'/'results.json').read_text())
    by_phone, by_bicubic = (evaluate_sr('bicubic', 'embedded', 2, degrade=f).loc['mean'] for f in (phone, downscale))
    assert said['protocol'].endswith('LR by phone') and by_bicubic.psnr - by_phone.psnr > .5
    assert said['figures']['bicubic'] == pytest.approx(by_phone[['psnr', 'ssim']].to_dict())
    hr = srgan.held_out(srgan.make_dls(r, 'embedded', 'cpu'))
    lr = phone(next(iter(hr.values())), 2); left, top = ((v - 32)//2 for v in lr.size)
    assert torch.equal(seen['samples'][0], to_tensor(lr.crop((left, top, left + 32, top + 32))))

def test_a_u_net_can_judge_small_held_out_pictures():
    "It takes sides of multiples of 8; a crop of 150 pixels ended a game at its first validation, after the pretraining."
    from srgan_course.data import Recipe, sr_dls
    pics = [draw_pet('cat', i, 180).crop((0, 0, 180, 150)) for i in range(4)]
    for scale in 2, 3, 4:
        y = sr_dls(pics, Recipe(scale=scale, size=96, bs=2, steps_per_epoch=1), valid=pics[:2], device='cpu').valid.one_batch()[1]
        assert y.shape[2:] == (144, 144) and UNetCritic(4)(y.as_subclass(torch.Tensor)).shape == (2, 1, 144, 144)

def test_two_steps_on_div2k(tmp_path):
    from srgan_course.gan import SRGANLearner
    from srgan_course.srgan import SRGANRecipe
    from srgan_course.losses import ContentLoss, CriticLoss, WeightedLoss
    div2k(tmp_path)
    for d in 'HR', 'LR_bicubic': (tmp_path/f'DIV2K_train_{d}').rename(tmp_path/f'DIV2K_valid_{d}')
    div2k(tmp_path, sizes=((80, 64), (64, 64), (70, 70)))
    dls = given_dls(tmp_path, get_recipe('esrgan-quick', SRGANRecipe).replace(bs=2, steps_per_epoch=2))
    x, y = dls.one_batch()
    assert x.shape == (2, 3, 16, 16) and y.shape == (2, 3, 32, 32)
    for critic in VGGCritic(32, 4), UNetCritic(4):
        net, adv = small(scale=2).train(), RelativisticLoss()
        before = [[p.detach().clone() for p in m.parameters()] for m in (net, critic)]
        learn = SRGANLearner(dls, net, critic, WeightedLoss(content=(ContentLoss('l1'), 1e-2), adv=(adv, 5e-3)), CriticLoss(adv),
                             precision='float32')
        with learn.no_bar(), learn.no_logging(): learn.fit(1)
        for m, old in zip((net, critic), before):
            assert all(p.isfinite().all() for p in m.parameters()) and any(not torch.equal(p, q) for p, q in zip(m.parameters(), old))

def test_the_adversarial_loss_against_the_released_code():
    "ESRGAN: the paper's sum, of which BasicSR takes half; Real-ESRGAN: plain cross-entropy at .1, not relativistic."
    from srgan_course import srgan
    f, r, bce = torch.randn(6, 1), torch.randn(6, 1), F.binary_cross_entropy_with_logits
    terms = {k: srgan.make_losses(srgan.SRGANRecipe(k, **ESRGAN_RECIPES[k]).replace(perceptual=0., feature_net=''))[0]
             for k in ('esrgan', 'real-photos')}
    half = (bce(r - f.mean(), torch.zeros_like(r)) + bce(f - r.mean(), torch.ones_like(f)))/2
    want = {'esrgan': 5e-3*2*half, 'real-photos': .1*bce(f, torch.ones_like(f))}
    for k, t in terms.items(): assert t.weights['adv']*t.terms['adv'].gen(f, r).item() == pytest.approx(want[k].item(), rel=1e-5), k

def test_recipes_are_found_when_asked_for():
    from srgan_course import srgan
    r = get_recipe('esrgan-quick', srgan.SRGANRecipe)
    assert r.generator == 'RRDBNet' and {'div2k-x2', 'esrgan-faces', 'real-photos', 'esrgan'} <= set(have := named_recipes(srgan.SRGANRecipe))
    for name in ESRGAN_RECIPES: assert srgan.SRGANRecipe.from_json(have[name].to_json()) == have[name]
    with pytest.raises(ValueError, match='no labels'): srgan.make_losses(r.replace(real_label=.9))

def test_a_run_of_each_critic_stops_resumes_and_ships(tmp_path):
    "A made DIV2K trains through `train`, LR made from HR, with either critic."
    from srgan_course import srgan
    from srgan_course.generators import load_model
    div2k(tmp_path, sizes=((80, 64), (64, 64), (70, 70)))
    (tmp_path/'DIV2K_train_HR').rename(tmp_path/'DIV2K_valid_HR')
    div2k(tmp_path, sizes=((80, 64), (64, 64), (70, 70)))
    shutil.rmtree(tmp_path/'DIV2K_train_LR_bicubic')
    for critic in 'VGGCritic', 'UNetCritic':
        r = get_recipe('esrgan-quick', srgan.SRGANRecipe).replace(critic=critic, bs=2, nf=8, n_blocks=1, critic_nf=4, steps_per_epoch=2,
            pre_epochs=1,
                                                     epochs=1, pre_size=0, perceptual=0., feature_net='', precision='float32')
        res = srgan.train(r, tmp_path, tmp_path/critic, progress=False, device='cpu')
        assert load_model(tmp_path/critic/'generator.safetensors').args == res.generator.args == dict(scale=2, nf=8, n_blocks=1, gc=4,
            percent=20)
    assert (tmp_path/'windows_bicubic_X2_480'/'HR'/'train').is_dir() and len(list((tmp_path/'DIV2K_train_LR_bicubic'/'X2').iterdir())) == 3

def test_the_hub_is_asked_for_what_is_wanted(tmp_path, monkeypatch):
    "The network function replaced at its edge: an archive and a folder become the published layout; a name that climbs out does not."
    import sys, types, zipfile
    made, asked, there = div2k(tmp_path/'made'), [], tmp_path/'snapshot'
    there.mkdir(); (made/'DIV2K_train_LR_bicubic').rename(there/'DIV2K_train_LR_bicubic')
    with zipfile.ZipFile(there/'DIV2K_train_HR.zip', 'w') as z:
        for p in sorted((made/'DIV2K_train_HR').iterdir()): z.write(p, f'DIV2K_train_HR/{p.name}')
        z.writestr('DIV2K_train_HR/../../../evil.png', b'')
    def snapshot_download(repo_id, **kw): asked.append((repo_id, kw)); return str(there)
    monkeypatch.setitem(sys.modules, 'huggingface_hub', types.SimpleNamespace(snapshot_download=snapshot_download))
    assert len(div2k_pairs(div2k_from_hub(tmp_path/'a'))) == 2
    repo, kw = asked[0]
    assert repo == 'eugenesiow/Div2k' and set(kw) == {'repo_type',
                                                      'allow_patterns'} and kw['repo_type'] == 'dataset' and '*DIV2K_train_LR_bicubic_X2.zip' in kw['allow_patterns']
    assert len(div2k_pairs(div2k_from_hub(tmp_path/'b', names='0002*'))) == 1
    assert not list(tmp_path.rglob('evil.png'))
    with pytest.raises(ValueError, match='gave no picture'): div2k_from_hub(tmp_path/'c', names='9*')
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(ModuleNotFoundError, match='pip install huggingface_hub'): div2k_from_hub(tmp_path/'d')

def test_lr_is_made_where_it_is_missing(tmp_path):
    for split in 'valid', 'train':
        div2k(tmp_path, scale=4); shutil.rmtree(tmp_path/'DIV2K_train_LR_bicubic')
        if split == 'valid': (tmp_path/'DIV2K_train_HR').rename(tmp_path/'DIV2K_valid_HR')
    assert div2k_windows(tmp_path, 4, 480, downscale) == tmp_path/'windows_bicubic_X4_480'
    for lr, hr in div2k_pairs(tmp_path, 4): assert np.array_equal(np.asarray(Image.open(lr)), np.asarray(downscale(Image.open(hr), 4)))
    draw_pet('cat', 1, 51).save(tmp_path/'DIV2K_train_HR/0009.png')
    with pytest.raises(ValueError, match='not a multiple of 4'): make_lr(tmp_path, 4, 'train', downscale)

def test_without_the_small_numbers_features_explode():
    "What residual scaling and small initial weights are for."
    x = torch.rand(1, 3, 12, 12)
    def grows(percent, gain):
        torch.manual_seed(0)
        net = RRDBNet(2, 8, 8, 4, percent)
        with torch.no_grad():
            for n, p in net.body.named_parameters(): p.mul_(gain/.1 if n.endswith('weight') else 1)
            f = net.conv_first(x)
            return (net.body(f).std()/f.std()).item()
    assert grows(20, .1) == pytest.approx(1.2**8, rel=.1) and grows(100, .1) == pytest.approx(2**8, rel=.1) and grows(100, 1.) > 1e4

def test_div2k_is_found_by_name(tmp_path, monkeypatch):
    div2k(tmp_path/'div2k'); monkeypatch.setenv('SRGAN_DATA', str(tmp_path))
    there = lambda source: source_folder(source, 'DIV2K_train_HR')
    assert there('div2k') == tmp_path/'div2k' == there(tmp_path/'div2k') and there('embedded') is there([1]) is None
