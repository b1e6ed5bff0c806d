"""Lesson 18 from outside: shapes and counts, losses by hand, augmentation, ranges and colours, same seed same cats, resume to the last
bit, bad input, the command."""
import json, math, subprocess, sys
from pathlib import Path
import numpy as np, pytest, torch
from PIL import Image
from torch import nn
import forked
from conftest import script
from srgan_course import cats as C
from srgan_course.fid import FIDCallback
from srgan_course.kit.faces import face_dls
from srgan_course.kit.recipe import get_recipe
from srgan_course.kit.show import sheet
from srgan_course.generators import count_params, find_model, load_model, save_model, shipped_models

ROOT = Path(__file__).resolve().parent.parent
TINY = dict(size=32, bs=4, steps_per_epoch=3, epochs=2, nf=4, crit_nf=4, nz=8, toys=18, precision='float32')
SHIPPED = 'dcgan-cats' in shipped_models(noise=True)

@pytest.mark.parametrize('size', C.SIZES)
@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('dense', [0, 1])
def test_shapes(size, channels, dense):
    g, d = C.DCGANGenerator(size, 10, 4, channels, dense), C.DCGANCritic(size, 4, channels)
    x = g(torch.randn(3, 10))
    assert x.shape == (3, channels, size, size) and x.abs().max() <= 1
    assert d(x).shape == (3, 1)
    assert torch.equal(g.eval()(z := torch.randn(2, 10)), g(z[:, :, None, None]))

def test_published_counts():
    assert count_params(C.DCGANGenerator()) == 3_576_704 and count_params(C.DCGANCritic()) == 2_765_568
    assert count_params(C.DCGANGenerator(nf=128)) == 12_658_432
    assert isinstance(C.DCGANGenerator().start[2], nn.ReLU)

@pytest.mark.parametrize('name', ['student', 'student-long'])
def test_the_students_generator(name, tmp_path):
    "256 x 8 x 8 from a linear layer, kernels of 3 in every doubling, LeakyReLU of 0.1; the file gives it back."
    r = get_recipe(name, C.CatsRecipe)
    net = C.DCGANGenerator(r.size, r.nz, r.nf, r.channels, r.dense, r.kernel, r.leak)
    assert net.start[0].lin.weight.shape == (256*8*8, 100)
    ups = [m for m in net.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [(m.kernel_size, m.stride) for m in ups] == [((3, 3), (2, 2))]*3
    assert {m.negative_slope for m in net.modules() if isinstance(m, nn.LeakyReLU)} == {.1} and not any(isinstance(m, nn.ReLU)
        for m in net.modules())
    assert count_params(net) == 100*256*64 + 9*(256*128 + 128*64 + 64) + 2*(256 + 128 + 64)
    save_model(net.eval(), tmp_path/'g.safetensors')
    assert torch.allclose(C.sample_cats(2, 1, tmp_path/'g.safetensors'), C.sample_cats(2, 1, net), atol=1e-5)
    for bad in lambda: C.DCGANGenerator(kernel=5), lambda: r.replace(kernel=5):
        with pytest.raises(ValueError, match=r'kernel 5 is not in \(3, 4\)'): bad()

def test_start_of_weights():
    torch.manual_seed(0)
    for net in C.DCGANGenerator(), C.DCGANCritic():
        for m in net.modules():
            if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d)):
                assert abs(m.weight.std().item() - .02) < .002 and abs(m.weight.mean().item()) < .002
            if isinstance(m, nn.BatchNorm2d): assert abs(m.weight.mean().item() - 1) < .02 and m.weight.std() > 0 and not m.bias.any()

def test_spectral_norm():
    torch.manual_seed(0)
    d = C.DCGANCritic(32, 8, norm='spectral').train()
    for _ in range(30): d(torch.randn(2, 3, 32, 32))
    for m in d.modules():
        if isinstance(m, nn.Conv2d): assert abs(torch.linalg.matrix_norm(m.weight.detach().flatten(1), 2).item() - 1) < .05
    assert not any(isinstance(m, nn.BatchNorm2d) for m in d.modules())

def test_spectral_norm_is_of_the_reshaped_kernel():
    "The convolution itself stretches by more than 1, and by less than kernel / stride; nothing in the module says otherwise."
    torch.manual_seed(0)
    d = C.DCGANCritic(64, 16, norm='spectral').train()
    with torch.no_grad():
        for _ in range(30): d(torch.randn(2, 3, 64, 64))
    m = d.eval().body[1][0]; w, x = m.weight.detach(), torch.randn(1, 16, 32, 32)
    for _ in range(60):
        y = torch.nn.functional.conv2d(x, w, stride=2, padding=1); most = (y.norm()/x.norm()).item()
        x = torch.nn.functional.conv_transpose2d(y/y.norm(), w, stride=2, padding=1)
    assert 1.1 < most < 2
    assert 'stretch is 1' not in Path(C.__file__).read_text(encoding='utf-8')

@pytest.mark.parametrize('name', ['hinge', 'bce', 'ra-bce'])
def test_how_often_the_critic_is_right(name):
    "A hinge critic at its goal looks undecided by its sigmoids and is always right; a relativistic one may be shifted by any constant."
    from srgan_course.losses import CriticLoss, critic_accuracy
    r, f = torch.full((8, 1), 1.), torch.full((8, 1), -1.)
    assert [critic_accuracy(*p) for p in ((r, f), (r + 9, f + 9), (f, r))] == [1, 1, 0]
    assert critic_accuracy(torch.tensor([[0.], [2.]]), torch.tensor([[1.], [-1.]])) == .75
    loss = CriticLoss(C.make_adv(name))
    loss(r, f); assert ('d_real' in loss.parts) == (name == 'bce')

def test_history_says_how_often_the_critic_is_right(tmp_path):
    C.train_cats(C.CatsRecipe(**TINY), 'toy', tmp_path/'run', device='cpu')
    head, *rows = (tmp_path/'run'/'history.csv').read_text().splitlines()
    at = head.split(',').index('crit_acc')
    assert all(0 <= float(v) <= 1 for v in (row.split(',')[at] for row in rows) if v)

def by_hand(name, r, f):
    "The two players' losses, number by number."
    s, mean = (lambda v: 1/(1 + math.exp(-v))), (lambda v: sum(v)/len(v))
    if name == 'bce':
        return mean([-math.log(s(v)) for v in r]) + mean([-math.log(1 - s(v)) for v in f]), mean([-math.log(s(v)) for v in f])
    if name == 'lsgan': return mean([.5*(v - 1)**2 for v in r]) + mean([.5*v*v for v in f]), mean([.5*(v - 1)**2 for v in f])
    if name == 'hinge': return mean([max(0, 1 - v) for v in r]) + mean([max(0, 1 + v) for v in f]), -mean(f)
    a, b = [v - mean(f) for v in r], [v - mean(r) for v in f]
    kind = {'ra-bce': lambda v: math.log(1 + math.exp(-v)), 'ra-lsgan': lambda v: (v - 1)**2, 'ra-hinge': lambda v: max(0, 1 - v)}[name]
    return mean(list(map(kind, a))) + mean([kind(-v) for v in b]), mean(list(map(kind, b))) + mean([kind(-v) for v in a])

@pytest.mark.parametrize('name', ['bce', 'lsgan', 'hinge', 'ra-bce', 'ra-lsgan', 'ra-hinge'])
def test_losses(name):
    r, f = torch.tensor([[.7], [-.4], [.2]], requires_grad=True), torch.tensor([[-.3], [.8], [.1]], requires_grad=True)
    adv, (crit, gen) = C.make_adv(name), by_hand(name, r.flatten().tolist(), f.flatten().tolist())
    c = adv.crit(r, f); g = adv.gen(f, r)
    assert abs(c.item() - crit) < 1e-6 and abs(g.item() - gen) < 1e-6
    gr, gf = torch.autograd.grad(c, (r, f))
    assert gr.sum() < 0 < gf.sum()                       # the critic wants more for real pictures, less for made ones
    gf, = torch.autograd.grad(g, f)
    assert gf.sum() < 0                                  # the generator wants more for its own

def test_relativistic_is_that_of_lesson_14():
    from srgan_course.esrgan import RelativisticLoss
    assert type(C.make_adv('ra-hinge')) is RelativisticLoss and C.make_adv('ra-hinge').kind == 'hinge'
    assert not hasattr(C, 'RelativisticLoss')            # one definition, and no import before it is wanted

@pytest.mark.parametrize('policy', C.POLICIES)
def test_augmentation(policy):
    torch.manual_seed(0)
    x = (torch.rand(16, 3, 32, 32)*2 - 1).requires_grad_()
    y = C.diff_augment(x, policy)
    assert y.shape == x.shape and not torch.equal(x, y)
    g, = torch.autograd.grad(y.square().sum(), x)
    assert g.abs().sum((1, 2, 3)).min() > 0              # every picture's gradient passes
    assert C.diff_augment(x, '') is x

def test_shift_moves_and_hole_cuts():
    torch.manual_seed(1)
    x = torch.zeros(64, 1, 32, 32); x[:, :, 16, 16] = 1
    at = C.random_shift(x).flatten(1).argmax(1)
    moved = torch.stack([at//32 - 16, at % 32 - 16])
    assert moved.min() == -4 and moved.max() == 4 and (C.random_shift(x).sum((1, 2, 3)) == 1).all()
    kept = C.random_hole(torch.ones(256, 1, 32, 32)).sum((1, 2, 3))
    assert kept.min() == 32*32 - 16*16 and kept.max() <= 32*32 - 8*8

def test_critic_augments_only_in_training():
    d = C.DCGANCritic(32, 4, norm='none', augment='colour+shift+hole'); x = torch.randn(2, 3, 32, 32)
    assert not torch.equal(d(x), d(x))
    d.eval(); assert torch.equal(d(x), d(x))

def solid(folder, colour, n=12, size=40, mode='RGB'):
    folder.mkdir(exist_ok=True)
    for i in range(n): Image.new(mode, (size, size + i), colour).save(folder/f'{i:02d}.png')
    return folder

def test_colours_all_the_way(tmp_path):
    "A known colour through files, loader, range, sheet and file."
    folder = solid(tmp_path/'orange', (250, 128, 10))
    r = C.CatsRecipe(**TINY)
    z, x = next(iter(face_dls(str(folder), r, 'cpu').train))
    assert z.shape == (4, 8) and x.shape == (4, 3, 32, 32)
    assert torch.allclose(x[0, :, 0, 0], torch.tensor([250, 128, 10.])/127.5 - 1, atol=1e-6)
    sheet(C.to_unit(x)).save(tmp_path/'sheet.png')
    assert Image.open(tmp_path/'sheet.png').getpixel((3, 3)) == (250, 128, 10)

def test_loader_follows_from_numbers():
    r = C.CatsRecipe(**TINY)
    a, b = (face_dls('toy', r, 'cpu').train for _ in range(2))
    xs, ys = [list(map(lambda t: t[1], a)) for _ in range(2)]
    assert all(torch.equal(p, q) for p, q in zip(xs, ys)) and len(xs) == 3
    b.start = 2; assert torch.equal(next(iter(b))[1], xs[2])
    a.epoch = 1; assert not torch.equal(next(iter(a))[1], xs[0])
    assert (len(a.pics), len(xs)) == (15, r.steps_per_epoch)

def test_resume_is_exact(tmp_path):
    r = C.CatsRecipe(**TINY | dict(norm='spectral', adv='ra-lsgan', ema=.9, anneal=.5, policy='colour+shift+hole'))
    whole = C.train_cats(r, 'toy', tmp_path/'a', device='cpu')
    from fastai.callback.core import Callback
    class Halt(Callback):
        order = 98
        def after_batch(self):
            if self.learn.training and self.learn.n_steps == 4: self.learn.ask_stop('test')
    C.train_cats(r, 'toy', tmp_path/'b', device='cpu', cbs=[Halt()])
    with pytest.raises(ValueError, match='holds a run; go on with resume=True'): C.train_cats(r, 'toy', tmp_path/'b', device='cpu')
    rest = C.train_cats(r, 'toy', tmp_path/'b', resume=True, device='cpu')
    for (k, v), w in zip(whole.state_dict().items(), rest.state_dict().values()): assert torch.equal(v, w), k
    assert (tmp_path/'a'/'samples'/'samples.gif').exists() and (tmp_path/'a'/'history.csv').exists()
    assert (tmp_path/'a'/'history.csv').read_bytes() == (tmp_path/'b'/'history.csv').read_bytes()
    net = load_model(tmp_path/'a'/'generator.safetensors')
    assert torch.equal(C.sample_cats(3, 1, net), C.sample_cats(3, 1, tmp_path/'b'/'generator.safetensors'))

@pytest.mark.parametrize('name', list(C.CATS_RECIPES))
def test_every_recipe_takes_steps(name, tmp_path, monkeypatch):
    few = C.settle; monkeypatch.setattr(C, 'settle', lambda net, n=8: few(net, 8))          # noises; the averages are another test's
    r = get_recipe(name, C.CatsRecipe)
    r = r.replace(bs=2, steps_per_epoch=2, epochs=1, toys=12, precision='float32')
    if r.size == 128 or r.nf > 64: r = r.replace(nf=8, crit_nf=8)
    net = C.train_cats(r, 'toy', tmp_path/'run', device='cpu')
    assert C.make_faces(net, C.noise(2, r.nz)).shape == (2, r.channels, r.size, r.size)
    assert C.CatsRecipe.load(tmp_path/'run'/'recipe.json') == r

def test_settle():
    "After `settle`, evaluation mode gives what training mode gives."
    torch.manual_seed(0)
    g = C.DCGANGenerator(32, 8, 4); z = C.noise(512, 8, 1)
    C.settle(g, 512, bs=512)
    with torch.no_grad(): assert (g(z) - g.train()(z)).abs().max() < 1e-3

def test_noise_and_truncation():
    assert torch.equal(C.noise(3, 5, 1), C.noise(9, 5, 1)[:3])
    z = C.noise(2000, 50, 0)
    t = C.truncate(z, 1.)
    assert t.abs().max() <= 1 and torch.equal(t.argsort(0), z.argsort(0))
    assert abs(t.std().item() - .5396) < .01                # of a normal distribution cut at 1
    assert C.truncate(z) is z

def test_slerp():
    a, b = torch.tensor([3., 0, 0]), torch.tensor([0, 2., 0])
    assert torch.allclose(C.slerp(a, b, 0.), a, atol=1e-6) and torch.allclose(C.slerp(a, b, 1.), b, atol=1e-6)
    assert torch.allclose(C.slerp(a, b, .5), torch.tensor([3, 2, 0])*math.sqrt(.5), atol=1e-5)
    assert torch.allclose(C.slerp(a, a, .3), a)
    z = C.noise(64, 100)
    assert C.slerp(z[:32], z[32:], .5).norm(dim=1).mean() > 9.5 > 8 > (z[:32]/2 + z[32:]/2).norm(dim=1).mean()
    assert C.walk(z[:3], 4).shape == (12, 100) and C.walk(z[:3], 4, closed=False).shape == (9, 100)

@pytest.mark.parametrize('call, says', [
    (lambda: C.DCGANGenerator(48), r'size 48 is not in \(32, 64, 128\)'),
    (lambda: C.CatsRecipe(size=100), r'size 100 is not in'),
    (lambda: C.DCGANGenerator(channels=4), r'channels 4 is not in \(1, 3\)'),
    (lambda: C.DCGANGenerator(nz=8)(torch.zeros(2, 9)), r'takes noise \(B,8\), not \(2, 9\)'),
    (lambda: C.DCGANCritic(64)(torch.zeros(1, 3, 32, 32)), r'judges pictures \(B,3,64,64\), not \(1, 3, 32, 32\)'),
    (lambda: C.DCGANCritic(norm='layer'), "norm 'layer' is not in"),
    (lambda: C.DCGANCritic(nf=0), 'nf is 0; give a whole number from 1'), (lambda: C.DCGANGenerator(nf=0), 'nf is 0'),
    (lambda: C.DCGANGenerator(nz=0), 'nz is 0; give a whole number from 1'),
    (lambda: C.CatsRecipe(adv='wgan'), "'wgan'"),
    (lambda: C.CatsRecipe(policy='blur'), "augmentation 'blur' is not in"),
    (lambda: C.CatsRecipe(lr=0.), 'lr is 0.0; give a number above 0'),
    (lambda: C.CatsRecipe(ema=1.), 'ema is 1.0'),
    (lambda: get_recipe('dogs', C.CatsRecipe), "recipe 'dogs' is not in"),
    (lambda: C.sample_cats(0), 'n is 0; give a whole number from 1 to 50,000'),
    (lambda: C.noise(10**9), 'n is 1000000000; give a whole number from 1 to 50,000'),
    (lambda: C.truncate(torch.zeros(2), 0), 'truncation is 0; give a number above 0'),
    (lambda: C.truncate(torch.zeros(2), float('nan')), 'truncation is nan; give a number above 0'),
    (lambda: C.noise(2, 4, -1), 'seed is -1; give a whole number from 0 on'),
    (lambda: C.walk(torch.zeros(1, 4)), '1 cat is no way; give 2 or more'),
    (lambda: C.load_cats('light-x4'), 'makes no pictures from noise'),
    (lambda: face_dls(['a.png']*5, C.CatsRecipe()), '5 pictures are too few')])
def test_refused(call, says):
    with pytest.raises(ValueError, match=says) as e: call()
    assert '\n' not in str(e.value)

def test_grey_pictures(tmp_path):
    folder = solid(tmp_path/'grey', 90, mode='L')
    with pytest.raises(ValueError, match='all 10 pictures are grey and the recipe is for colour; give channels=1'):
        face_dls(str(folder), C.CatsRecipe(**TINY), 'cpu')
    x = next(iter(face_dls(str(folder), C.CatsRecipe(**TINY, channels=1), 'cpu').train))[1]
    assert x.shape == (4, 1, 32, 32) and abs(x.mean().item() - (90/127.5 - 1)) < 1e-5

def test_a_batch_larger_than_the_pictures_is_told():
    with pytest.warns(UserWarning, match='bs is 14 and there are 13 pictures to learn from'): face_dls('toy', C.CatsRecipe(**TINY | dict(bs=14, toys=16)), 'cpu')

def test_grid_of_an_average_is_settled(tmp_path, capsys):
    "The sheet is what `make_faces` gives of the settled average, and the average in training is left as it was."
    import copy
    seen = {}
    from fastai.callback.core import Callback
    class Look(Callback):
        order = 91                                       # after the grid
        def after_batch(self):
            if self.learn.training and self.learn.n_steps == 4: seen['net'] = copy.deepcopy(self.learn.ema.model)
    r = C.CatsRecipe(**TINY | dict(ema=.9))
    C.train_cats(r, 'toy', tmp_path/'run', device='cpu', sample_every=2, cbs=[Look()])
    assert 'no sample' not in capsys.readouterr().err
    want = sheet(C.make_faces(C.settle(copy.deepcopy(seen['net']), 256), C.noise(64, 8)), 8)
    assert Image.open(tmp_path/'run'/'samples'/'sample-00000004.png').tobytes() == want.tobytes()
    bn = next(m for m in seen['net'].modules() if isinstance(m, nn.BatchNorm2d))
    assert bn.momentum is not None and bn.num_batches_tracked == 4

def test_live_fid(tmp_path):
    cb = FIDCallback('random@64', n=3, subsets=5, size=3, decode=C.to_unit)
    C.train_cats(C.CatsRecipe(**TINY), 'toy', tmp_path/'run', device='cpu', cbs=[cb])
    assert [e for e, _ in cb.history] == [0, 1] and all(math.isfinite(f) for _, f in cb.history)

def test_no_fastai_for_sampling(tmp_path):
    save_model(C.DCGANGenerator(32, 8, 4), tmp_path/'g.safetensors')
    code = (f"import sys; from srgan_course.cats import sample_cats; x = sample_cats(2, 1, {str(tmp_path/'g.safetensors')!r}); assert "
            f"x.shape == (2, 3, 32, 32); print([m for m in sys.modules if m.split('.')[0] in ('fastai', 'torchvision', 'matplotlib', "
            f"'pandas')])")
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert r.stdout.strip() == '[]', r.stdout + r.stderr

@pytest.mark.skipif(not SHIPPED, reason='dcgan-cats is not in this tree')
def test_shipped():
    path = find_model('dcgan-cats')
    assert path.stat().st_size < 8e6 and 'dcgan-cats' not in shipped_models() and (path.parent/'dcgan-cats.md').exists()
    a, b = C.sample_cats(4, 3), C.sample_cats(4, 3)
    assert a.shape == (4, 3, 64, 64) and torch.equal(a, b) and not torch.equal(a, C.sample_cats(4, 4))
    assert 0 <= a.min() and a.max() <= 1 and a.std() > .1 and (a[0] - a[1]).abs().mean() > .02
    contrast = lambda t: C.sample_cats(32, 1, truncation=t).std((1, 2, 3)).mean()
    # short noise gives paler pictures, down to mist: nothing may call it better or more typical cats
    assert contrast(.1) < .5*contrast(1.) < .5*contrast(None) and .7 < contrast(.5)/contrast(1.) < .8

@pytest.mark.skipif(not SHIPPED, reason='dcgan-cats is not in this tree')
def test_the_command_needs_no_torch_and_draws_the_same_cats(tmp_path):
    code = ("import sys; from pathlib import Path; from srgan_course.cli import cats; cats(n=5, seed=2, truncation=1.5, out=Path(sys.argv[1])); "
            "print([m for m in ('torch', 'fastai', 'matplotlib', 'scipy', 'pandas', 'safetensors') if m in sys.modules])")
    r = subprocess.run([sys.executable, '-c', code, str(tmp_path/'a.png')], capture_output=True, text=True)
    assert r.stdout.splitlines()[-1:] == ['[]'], r.stdout + r.stderr
    want = np.asarray(sheet(C.sample_cats(5, 2, truncation=1.5))).astype(int)      # by torch
    assert np.abs(np.asarray(Image.open(tmp_path/'a.png')).astype(int) - want).max() <= 1

def command(*args): return forked.command('cats', *args)

def test_command(tmp_path):
    torch.manual_seed(0); save_model(C.DCGANGenerator(32, 8, 4), tmp_path/'g.safetensors')
    m = '--model', tmp_path/'g.safetensors'
    args = '--n', 5, '--seed', 2, *m, '--out'
    assert command(*args, tmp_path/'a.png').returncode == 0
    assert subprocess.run([sys.executable, '-m', 'srgan_course', 'cats', *map(str, args), tmp_path/'b.png']).returncode == 0
    assert (tmp_path/'a.png').read_bytes() == (tmp_path/'b.png').read_bytes() and Image.open(tmp_path/'a.png').size == (100, 66)
    # what is saved: 0 is black, 1 is white, rounded, nothing runs over
    want = C.sample_cats(5, 2, tmp_path/'g.safetensors')
    saved = np.asarray(Image.open(tmp_path/'a.png'))[:32, :32]
    assert np.abs(saved/255 - want[0].permute(1, 2, 0).numpy()).max() <= .5/255 + 1e-6
    r = command('--n', 3, '--interpolate', '--gif', '--out', tmp_path/'w.gif', *m, '--json')
    assert r.returncode == 0 and Image.open(tmp_path/'w.gif').n_frames == json.loads(r.stdout)['frames'] > 3
    for args, says in (('--n', 0), 'n is 0'), (('--model', 'light-x4'), 'makes no pictures from noise'), (('--model', 'nothing'),
        'no model'), (('--train', tmp_path/'none'), 'neither a folder'), (('--train', tmp_path/'none', *m), 'leave it out'):
        r = command(*args, '--out', tmp_path/'x.png', *(m if not {'--model', '--train'} & set(args) else ()))
        assert r.returncode == 2 and says in r.stderr and len(r.stderr.strip().splitlines()) == 1, r.stderr

def test_command_refuses(tmp_path):
    from srgan_course import cli
    torch.manual_seed(0); save_model(C.DCGANGenerator(32, 8, 4), tmp_path/'g.safetensors')
    r = json.loads(C.CatsRecipe(**TINY).to_json()); (tmp_path/'48.json').write_text(json.dumps(r | dict(size=48)))
    (tmp_path/'tiny.json').write_text(json.dumps(r))
    few, grey = solid(tmp_path/'few', (9, 9, 99), 5), solid(tmp_path/'grey', 90, mode='L')
    for kw, says in ((dict(train=str(few), recipe=str(tmp_path/'tiny.json')), '5 pictures are too few for a GAN'),
                     (dict(train=str(grey), recipe=str(tmp_path/'tiny.json')), 'give channels=1'),
                     (dict(train=str(grey), recipe=str(tmp_path/'48.json')), r'size 48 is not in \(32, 64, 128\)'),
                     (dict(n=10**9, model=str(tmp_path/'g.safetensors')), 'n is 1000000000; give a whole number from 1 to 50,000'),
                     (dict(truncation=-1., model=str(tmp_path/'g.safetensors')), 'truncation is -1.0'),
                     (dict(gif=True, out=tmp_path/'x.png'), 'writes a .gif')):
        with pytest.raises(ValueError, match=says) as e: cli.cats(**{'out': tmp_path/'run', **kw})
        assert '\n' not in str(e.value)
    for minutes in 0., -1., float('nan'), float('inf'):
        with pytest.raises(ValueError, match='give a number above 0'):
            cli.cats(train='toy', recipe=str(tmp_path/'tiny.json'), out=tmp_path/'run', minutes=minutes)
    with pytest.raises(ValueError, match='--resume counts only with --train'): cli.cats(n=2, resume=True, out=tmp_path/'x.png')
    assert not (tmp_path/'run').exists() and not (tmp_path/'x.png').exists()

def test_a_run_goes_on_with_its_own_cats_alone(tmp_path, capsys):
    "Other pictures are refused by what has changed, another recipe before recipe.json is touched; an older run, without a list, goes on."
    r, out = C.CatsRecipe(**TINY), tmp_path/'run'
    a, b = (solid(tmp_path/n, colour, 12) for n, colour in (('a', (200, 90, 9)), ('b', (9, 90, 200))))
    C.train_cats(r, a, out)
    (b/'00b.png').write_bytes((b/'00.png').read_bytes())
    with pytest.raises(ValueError, match=r'a run on other pictures \(training: 2 gone \(05.png, .*2 new \(00b.png, '): C.train_cats(r, b, out, resume=True)
    with pytest.raises(ValueError, match='another recipe: lr'): C.train_cats(r.replace(lr=1e-3), a, out, resume=True)
    assert C.CatsRecipe.load(out/'recipe.json') == r
    C.train_cats(r, a, out, resume=True)
    (out/'pictures.json').unlink(); capsys.readouterr(); C.train_cats(r, b, out, resume=True)
    assert 'holds no pictures.json: nobody can tell whether the run began on these pictures; it is written now' in capsys.readouterr().err
    with pytest.raises(ValueError, match='a run on other pictures'): C.train_cats(r, a, out, resume=True)

def test_command_says_how_to_go_on(tmp_path, capsys):
    from srgan_course import cli
    r = C.CatsRecipe(**TINY | dict(epochs=10**5)); r.save(tmp_path/'tiny.json')
    cli.cats(train='toy', recipe=str(tmp_path/'tiny.json'), out=tmp_path/'run', minutes=.005, resume=True, json=True)
    said = capsys.readouterr()
    assert ('holds no run to go on with' in said.err
            and 'the same call with --resume goes on' in json.loads(said.out.splitlines()[-1])['left'])

def test_upscale_does_not_take_cats(tmp_path):
    save_model(C.DCGANGenerator(32, 8, 4), tmp_path/'g.safetensors')
    from srgan_course.upscale import Upscaler
    with pytest.raises(ValueError, match='srgan-cats'): Upscaler.load(tmp_path/'g.safetensors', device='cpu')

def test_benchmark_parts():
    m = script('cats')
    assert m.wilson(5, 10) == [.237, .763] and m.wilson(0, 10) == [0, .278]     # published examples of the interval
    x = torch.tensor([[255, 0, 0], [0, 255, 0], [90, 90, 90]], dtype=torch.uint8).view(3, 3, 1, 1)
    assert m.grey(x)[:, :, 0, 0].tolist() == [[76]*3, [150]*3, [90]*3]
    names = [o.name for o, _ in m.runs()]
    assert len(set(names)) == len(names) and {f'{a}-{s}' for a in ('flat', 'student') for s in (42, 1, 2)} <= set(names)
    one = {o.name: r for o, r in m.runs()}
    for arm in 'spectral', 'adam-1e-3', 'bce', 'augment', 'ra-bce', 'shift', 'repeat':              # what is compared has one step count, and one change
        r, base = one[f'{arm}-42'], one['flat-42']
        assert r.steps == base.steps == m.SHORT and (r.bs, r.nf, r.crit_nf, r.anneal) == (base.bs, base.nf, base.crit_nf, base.anneal)

def test_trials_leave_files_that_load(tmp_path):
    "What only the trials have is known to the benchmark; the rest is lesson 18's own, by the names of its weights too."
    m = script('cats'); g = m.grown(); r = g.CatsRecipe('trial', **m.TRIAL | m.TRIALS['patches'])
    assert r.patches and not r.repeat and g.CatsRecipe.from_json(r.to_json()) == r
    net, crit = g.DCGANGenerator(32, 8, 4).eval(), g.DCGANCritic(32, 4, patches=True)
    parts = lambda net: {k.split('.')[0] for k in net.state_dict()}
    assert (parts(net), parts(crit)) == ({'start', 'body', 'last'}, {'body', 'head', 'patch'})
    save_model(net, tmp_path/'g.safetensors')
    assert torch.equal(C.sample_cats(2, 1, tmp_path/'g.safetensors'), C.sample_cats(2, 1, net))
    grown = g.DCGANGenerator(32, 8, 4, refine=1, excite=1)
    assert grown(torch.randn(2, 8)).shape == (2, 3, 32, 32) and (grown.args['refine'], grown.args['excite']) == (1, 1)
    up = g.DCGANGenerator(32, 8, 4, smooth=1).last
    with torch.no_grad(): y = up(torch.ones(1, 4, 8, 8))[..., 2:-2, 2:-2]                      # smoothed: no grid of dots is left
    assert y.std((2, 3)).max() < 1e-6 and up.weight.std() > .01

STUDY = ROOT/'results'/'cats_study.json'

@pytest.mark.skipif(not STUDY.exists(), reason='results/cats_study.json: not measured')
def test_study_is_sound():
    study = json.loads(STUDY.read_text(encoding='utf-8')); f = study['figures']
    for name, row in f.items():
        for k in 'fid_192', 'kid_768', 'precision', 'recall':
            lo, hi = row[f'{k}_interval']; assert lo <= row[k] <= hi, (name, k)
    for grey in '', '-grey':                                                     # nothing that was made is nearer than cats nobody has seen
        mine = [v for k, v in f.items() if k.endswith('-grey') == bool(grey) and 'held-out' not in k]
        assert all(f[f'held-out{grey}']['kid_768_interval'][1] < v['kid_768'] for v in mine)

def test_a_loss_without_labels_takes_none():
    for adv in 'ra-bce', 'ra-hinge', 'hinge':
        with pytest.raises(ValueError, match='no labels'): C.CatsRecipe(adv=adv, real_label=.9)
        assert C.CatsRecipe(adv=adv).real_label == 1

def test_arrays_that_are_no_faces():
    "Floats, rows last, one number, nothing: a line that says what to give, of pictures and of whole sets. Tensors of bytes are faces."
    from srgan_course.kit.faces import load_faces
    x, r = np.random.default_rng(0).integers(0, 256, (12, 3, 40, 36), np.uint8), get_recipe('quick', C.CatsRecipe)
    for odd in x/255, x.transpose(0, 2, 3, 1), x[:, 0], x.astype(np.uint16), x[:, :, :0], x[:, None], x > 9:
        for f in lambda o: load_faces(list(o), 32), lambda o: face_dls(o, r):
            with pytest.raises(ValueError, match=r'^a picture of \w+, shape .*; give bytes \(1,H,W\) or \(3,H,W\), paths, or PIL pictures$'): f(odd)
    for odd, says in (np.uint8(3), 'a source is'), (None, 'a source is'), ([None]*12, 'is a NoneType'), ([], 'list of pictures is empty'):
        with pytest.raises(ValueError, match=says): load_faces(odd, 32)
    assert (load_faces(torch.from_numpy(x), 32) == load_faces(x, 32)).all()
    assert load_faces(x[:, :1, :, :1], 1, 1).shape == (12, 1, 1, 1)                                # a column of pixels is one

def test_a_generator_that_is_trained_goes_on_in_training():
    "Cats are made of it in evaluation mode, and it is left in its own."
    net = C.DCGANGenerator(32, 8, 4); net.last.eval()
    made, was = C.sample_cats(3, model=net), [m.training for m in net.modules()]
    assert net.training and not net.last.training and was == [m.training for m in net.modules()]
    assert (made == C.sample_cats(3, model=net.eval())).all()
