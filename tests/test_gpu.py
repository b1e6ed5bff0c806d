"Half an hour on a GPU, tried without one: what is packed, how a run is planned, stopped and gone on with, and what stays on the device."
import json, shutil
import numpy as np, pytest, torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from conftest import script
from srgan_course.data import draw_pet
from srgan_course.kit.sources import HR_HELD

gpu = script('gpu')

def photo(path, spread, side=64, seed=0):
    "Noise around grey: the more of it, the more detail, and the larger the file."
    path.parent.mkdir(parents=True, exist_ok=True)
    x = 128 + spread*np.random.default_rng(seed).standard_normal((side, side, 3))
    Image.fromarray(x.clip(0, 255).astype(np.uint8)).save(path)
    return path

@pytest.fixture
def sources(tmp_path, monkeypatch):
    "A few pictures laid out as hr, bsds500 and catfaces, and a VGG19 of its first three layers."
    data, weights = tmp_path/'data', tmp_path/'weights'
    for i in range(6): photo(data/'hr'/f'free-{i}.png', 5 + 10*i, seed=i)
    for k in sorted(HR_HELD)[:3]: photo(data/'hr'/f'{k}.png', 90)
    for i in range(4): photo(data/'bsds500'/'train'/f'{i}.png', 10 + 10*i, 48, i); photo(data/'bsds500'/'test'/f'{i + 10}.png', 80, 48, i)
    for i in range(12): photo(data/'catfaces'/f'{i}.png', 20, 16, i)
    weights.mkdir()
    save_file({f'features.{k}.{n}': torch.zeros(1) for k in (0, 2, 5) for n in ('weight', 'bias')}, weights/'vgg19_to_relu2_1.safetensors')
    monkeypatch.setenv('SRGAN_DATA', str(data)); monkeypatch.setenv('SRGAN_WEIGHTS', str(weights))
    return data

def test_pack_takes_detail_and_nothing_held_out(sources, tmp_path):
    d = gpu.pack(tmp_path/'pack', .07, watched=2)
    names = {k: {p.name for p in (tmp_path/'pack'/k).iterdir()} for k in ('train', 'valid', 'catfaces', 'weights')}
    assert gpu.size_of((tmp_path/'pack').glob('[tv]*/*')) <= 70_000 < gpu.size_of(sources.glob('[bh]*/**/*.png'))
    held = {f'hr-{k}.png' for k in HR_HELD} | {'bsds500-10.png', 'bsds500-12.png'}
    assert not names['train'] & held and names['valid'] < held and len(names['valid']) == 4
    assert list(d['detail'].values()) == sorted(d['detail'].values(), reverse=True) and set(d['detail']) == names['train']
    assert {'bsds500-11.png', 'hr-free-5.png'} <= names['train'] and 'hr-free-0.png' not in names['train']       # most and least detail
    for p in (tmp_path/'pack'/'train').iterdir():
        k, _, name = p.name.partition('-')
        assert p.read_bytes() == next((sources/k).rglob(name)).read_bytes()                                       # not compressed again
    assert len(names['catfaces']) == 12 and gpu.deepest(tmp_path/'pack'/'weights') == 'vgg19-oxford@relu2_1'
    with pytest.raises(ValueError, match='is there already'): gpu.pack(tmp_path/'pack', 1)

def test_detail_is_what_small_pictures_lose(tmp_path):
    flat, wild = photo(tmp_path/'flat.png', 0), photo(tmp_path/'wild.png', 60)
    assert gpu.detail(flat) < .01 and gpu.detail(wild) > 10
    one = gpu.size_of([wild])
    assert gpu.choose([flat, wild], one) == [(wild, gpu.detail(wild))] and gpu.choose([flat, wild], one - 1) == []

def test_workers_fit_into_shared_memory():
    assert gpu.workers_for(16, 2**34, 13e6) == 14 and gpu.workers_for(16, 2**26, 13e6) == 1
    assert gpu.workers_for(16, 2**24, 13e6) == 0 and gpu.workers_for(1, 2**34, 13e6) == 0

def test_plan():
    "What the work asks of each study; a training begins where most of its time is there, and goes on with a minute."
    rs = gpu.recipes('vgg19-oxford@relu3_4', 3)
    light, srgan, cats = rs.values()
    assert (light.bs, light.size//light.scale, light.precision, light.start) == (64, 64, 'bfloat16', 'light-x4') and light.critic == 'none'
    assert srgan.perceptual and srgan.feature_net == 'vgg19-oxford@relu3_4' and srgan.critic != 'none'
    assert (cats.nf, cats.crit_nf, cats.size) == (64, 64, 64)
    assert {r.epochs*r.steps_per_epoch for r in gpu.recipes('vgg19-oxford@relu3_4', 0, quick=True).values()} == {10}

def test_a_study_begins_once_and_goes_on(tmp_path):
    r = gpu.recipes('vgg19-random@relu1_2', 0)['light-x4']
    s = gpu.Study('light-x4', r, tmp_path, tmp_path/'pack', 'cuda', 9.5)
    assert not s.fits(5*60) and s.fits(9.5*60) and '--minutes' in s.command() and '--resume' in s.command()
    minutes = float(s.command()[s.command().index('--minutes') + 1])
    assert 7 < minutes < 8.5
    (tmp_path/'light-x4').mkdir(); r.save(tmp_path/'light-x4'/'recipe.json')
    assert s.state() == 'begun' and s.fits(61) and not s.fits(59) and '--minutes' not in s.command()
    gpu.Study('light-x4', r.replace(workers=9), tmp_path, tmp_path/'pack', 'cuda', 9.5)
    assert json.loads(s.recipe.read_text())['workers'] == 0                        # the processes it was begun with, on any machine

def test_stopped_after_one_step_brought_back_and_finished(tmp_path):
    "Two steps on this processor: the first here; its checkpoint comes back in small files, and another folder goes on from it."
    from fastai.callback.core import Callback
    from srgan_course.cli import train as command
    from srgan_course.srgan import train
    class Stop(Callback):
        def after_batch(self): self.learn.ask_stop('the time is over', KeyboardInterrupt())
    for k in 'train', 'valid':
        (tmp_path/'pack'/k).mkdir(parents=True)
        for i in range(2): draw_pet('cat', i + 9*(k == 'valid'), 64).save(tmp_path/'pack'/k/f'{i}.png')
    r = gpu.recipes('vgg19-random@relu1_2', 0, quick=True)['light-x4'].replace(steps_per_epoch=1, precision='float32')
    study = lambda home: gpu.Study('light-x4', r, home, tmp_path/'pack', 'cpu', None)
    first, o = study(tmp_path/'a'), study(tmp_path/'a').options()
    with pytest.raises(KeyboardInterrupt):
        train(o['recipe'], o['data'], o['out'], valid=o['valid'], device='cpu', progress=False, cbs=[Stop()])
    assert first.state() == 'begun'
    gpu.fetch(tmp_path/'a', tmp_path/'back', 10**6, 10**8); shutil.rmtree(tmp_path/'a')
    parts = sorted(p.stat().st_size for p in (tmp_path/'back').iterdir())
    assert len(parts) > 1 and max(parts) == 10**6
    gpu.restore(tmp_path/'b', tmp_path/'back')
    second = study(tmp_path/'b')
    assert second.state() == 'begun'
    command(**second.options(), json=True)
    steps = (tmp_path/'b'/'light-x4'/'history_pretrain.csv').read_text().splitlines()
    assert second.state() == 'finished' and [l.split(',')[0] for l in steps[1:] if l.split(',')[2]] == ['1', '2']

def test_fetch_leaves_large_checkpoints(tmp_path, capsys):
    cp = tmp_path/'runs'/'cats'/'checkpoints'/'step-00000001.safetensors'
    cp.parent.mkdir(parents=True); cp.write_bytes(bytes(2000)); (tmp_path/'runs'/'cats'/'generator.safetensors').write_bytes(b'x')
    assert [p.name for p in gpu.to_bring(tmp_path/'runs', 1000)] == ['generator.safetensors']
    assert 'step-00000001.safetensors, 0.0 MB, stays' in capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match='holds nothing to bring'): gpu.fetch(tmp_path/'none', tmp_path/'out', 10, 10)

def onto(net, device):
    "Every parameter and buffer, as `net.to(device)` would; which tensors without numbers do not allow."
    for m in net.modules():
        for k, p in m._parameters.items():
            if p is not None: m._parameters[k] = nn.Parameter(p.detach().to(device), p.requires_grad)
        for k, b in m._buffers.items():
            if b is not None: m._buffers[k] = b.to(device)
    return net

@pytest.mark.parametrize('name', ['light-x4', 'srgan-x4', 'cats'])
def test_nothing_of_a_step_stays_on_the_processor(name):
    "Networks and losses on a CUDA of tensors that have a device and no numbers: two devices in one sum would be an error."
    from torch._subclasses.fake_tensor import FakeTensorMode
    from srgan_course.cats import DCGANCritic, DCGANGenerator, make_adv
    from srgan_course.losses import ContentLoss, CriticLoss, WeightedLoss
    from srgan_course.srgan import make_critic, make_generator, make_losses
    r, x, y = gpu.recipes('vgg19-random@relu3_4', 0)[name], (2, 3, 24, 24), (2, 3, 96, 96)
    with FakeTensorMode():
        if name == 'cats':
            adv, x, y = make_adv(r.adv, r.real_label), (2, r.nz), (2, 3, 64, 64)
            gen, crit = DCGANGenerator(r.size, r.nz, r.nf, repeat=r.repeat), DCGANCritic(r.size, r.crit_nf, norm=r.norm, augment=r.policy)
            loss, crit_loss = WeightedLoss(adversarial=(adv, 1.)), CriticLoss(adv)
        else:
            # a place drawn at random would have to be a number
            r = r.replace(start='', shift=0, soften=int(r.critic != 'none'))
            gen = make_generator(r)
            crit, (loss, crit_loss) = (make_critic(r), make_losses(r)) if r.critic != 'none' else (None, (ContentLoss(r.late_loss), None))
        for net in (gen, crit, loss):
            if net is not None: onto(net, 'cuda')
        if name == 'srgan-x4': crit.eval()                                                # likewise
        x, y = (torch.rand(s).to('cuda') for s in (x, y))
        with torch.autocast('cuda', torch.bfloat16, enabled=r.precision == 'bfloat16'):
            out = gen(x).float()
            value = loss(out, y) if crit is None else loss(crit(out).float(), out, y)
            if crit: assert crit_loss(crit(y).float(), crit(out.detach()).float()).device.type == 'cuda'
    assert out.shape == y.shape and value.device.type == 'cuda' and value.dtype == torch.float32 and value.requires_grad
