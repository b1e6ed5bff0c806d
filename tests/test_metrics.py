"Figures: equal to published ones and to other implementations, refused where the input is no picture, kept with their circumstances."
import csv, json, os, re, subprocess, sys, warnings
from pathlib import Path
import numpy as np, pytest, torch
from PIL import Image
from conftest import ROOT
from srgan_course import metrics as M
from srgan_course.kit import results as R
from srgan_course.images import crop_to_multiple, downscale, interpolate, luminance, to_tensor
from srgan_course.data import sample_photos

@pytest.fixture(scope='module')
def cat(): return crop_to_multiple(sample_photos('valid')['chelsea'], 4)
@pytest.fixture(scope='module')
def bicubic(cat): return interpolate(downscale(cat, 4), 4)

def one_line(f, says, kind=ValueError):
    "`f` raises `kind` with a message of one line that holds `says`."
    with pytest.raises(kind) as e: f()
    assert says in str(e.value) and '\n' not in str(e.value), str(e.value)

# --- agreement with others

@pytest.mark.parametrize('how,psnr,ssim', [('nearest', 26.26, None), ('bicubic', 28.43, .8104)])
def test_set5_rows_are_the_published_ones(srgan_data, how, psnr, ssim):
    row = M.evaluate_sr(how, srgan_data/'set5', 4)
    assert len(row) == 6 and row.attrs['n'] == 5
    assert abs(row.psnr['mean'] - psnr) < .05
    if ssim: assert abs(row.ssim['mean'] - ssim) < .005

def test_set5_by_name(srgan_data): assert abs(M.evaluate_sr('bicubic', 'set5', 4).psnr['mean'] - 28.4293) < 1e-3

EMBEDDED = {'nearest': [(29.7055, .7405), (21.9679, .6188), (26.1787, .7218)],
            'bilinear': [(30.8554, .7891), (22.2213, .6216), (26.8608, .7496)],
            'bicubic': [(31.4718, .8062), (22.4250, .6371), (27.2908, .7648)],
            'lanczos': [(31.7239, .8134), (22.5043, .6430), (27.4635, .7699)]}
@pytest.mark.parametrize('how', M.CLASSIC)
def test_embedded_rows_are_pinned(how):
    df = M.evaluate_sr(how, 'embedded', 4)
    assert list(df.index) == ['chelsea', 'china', 'coffee', 'mean']
    np.testing.assert_allclose(df.iloc[:3], EMBEDDED[how], atol=2e-3)
    np.testing.assert_allclose(df.loc['mean'], df.iloc[:3].mean(), rtol=1e-12)

@pytest.mark.parametrize('size,crop', [((11, 11), 0), ((12, 40), 0), ((19, 40), 4), ((64, 33), 4)])
def test_ssim_and_psnr_equal_scikit_image(size, crop):
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity
    g = torch.Generator().manual_seed(sum(size))
    a = torch.rand(3, *size, generator=g); b = (a + .1*torch.randn(3, *size, generator=g)).clamp(0, 1)
    inside = slice(crop, -crop or None)
    ya, yb = (luminance(M.as_pixels(t)).numpy()[inside, inside] for t in (a, b))
    want = structural_similarity(ya, yb, data_range=1., gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    assert M.ssim_y(a, b, crop) == pytest.approx(want, abs=1e-10)
    assert M.psnr_y(a, b, crop) == pytest.approx(peak_signal_noise_ratio(yb, ya, data_range=1.), abs=1e-9)

def test_symmetric_and_perfect(cat, bicubic):
    for f in (M.psnr_y, M.psnr_rgb, M.ssim_y): assert f(cat, bicubic, 4) == pytest.approx(f(bicubic, cat, 4), rel=1e-12)
    assert M.psnr_y(cat, cat, 4) == M.psnr_rgb(cat, cat, 4) == float('inf') and M.ssim_y(cat, cat, 4) == pytest.approx(1, abs=1e-12)

# --- what goes in

@pytest.mark.parametrize('f', [M.psnr_y, M.psnr_rgb, M.ssim_y], ids=lambda f: f.__name__)
def test_pictures_tensors_and_batches_agree(f, cat, bicubic):
    want = f(bicubic, cat, 4)
    assert isinstance(want, float)
    a, b = to_tensor(bicubic), to_tensor(cat)
    close = pytest.approx(want, rel=1e-9)                        # the same pixels, on other addresses and in another layout
    assert f(a, b, 4) == close and f((a*255).round().to(torch.uint8), cat, 4) == close
    got = f(torch.stack([a, b, a]), torch.stack([b, a, a]), 4)
    assert got.shape == (3,) and got[0].item() == close and got[1].item() == close
    assert f(a[None], b[None], 4).shape == (1,) and f(a[None,None], b[None,None], 4).shape == (1, 1)
    assert f(a.double(), b.requires_grad_(), 4) == close         # neither precision nor a gradient matters

def test_rounded_before_compared():
    hr = torch.full((3, 16, 16), 100/255)
    assert M.psnr_y(hr + .4/255, hr, 0) == float('inf')                                  # the same file
    assert M.psnr_rgb(hr + .6/255, hr, 0) == pytest.approx(-20*np.log10(1/255))          # one level off
    assert M.psnr_rgb(torch.full((3, 16, 16), 1.2), torch.ones(3, 16, 16), 0) == float('inf')   # an overshoot is clamped

def test_grey_counts_as_colour(cat, bicubic):
    g, h = cat.convert('L'), bicubic.convert('L')
    assert M.psnr_y(h, g, 4) == pytest.approx(M.psnr_y(h.convert('RGB'), g.convert('RGB'), 4))

@pytest.mark.parametrize('f', [M.psnr_y, M.psnr_rgb, M.ssim_y, lambda a, b, crop: M.lpips(a, b)])
def test_bad_input_is_one_clear_line(f):
    x = torch.rand(3, 40, 48)
    one_line(lambda: f(x[..., :40], x, 4), 'SR is 40 x 40 pixels and HR 48 x 40')
    one_line(lambda: f(x*255, x, 4), 'SR runs from')
    one_line(lambda: f(x, x*2 - 1, 4), 'HR runs from')                                   # trap 8: tanh against [0,1]
    one_line(lambda: f(x*float('nan'), x, 4), 'SR runs from nan')
    one_line(lambda: f(x[:, :0], x[:, :0], 0), 'no pixel')
    one_line(lambda: f(x[0], x[0], 0), 'SR has shape (40, 48)')
    one_line(lambda: f(x.long(), x, 0), 'torch.int64')
    one_line(lambda: f(torch.stack([x, x]), x, 0), 'as many of one')
    one_line(lambda: f(Image.new('RGBA', (48, 40)), x, 0), 'mode RGBA')
    one_line(lambda: f('cat.png', x, 0), 'SR is a str')

@pytest.mark.parametrize('f', [M.psnr_y, M.psnr_rgb, M.ssim_y, lambda a, b, crop: M.mean_gradient(a)])
def test_a_soft_picture_in_tanhs_range_is_refused(f, cat):
    """Trap 8: without black and white, -1..1 may lie within -0.5..1.5; the share of values below -0.1 finds it, in one picture of a batch,
    too."""
    x = to_tensor(cat)
    soft = (.3 + .5*x)*2 - 1
    assert soft.min() > -.5 and soft.max() < 1.5
    for sr, hr in ((soft, x), (torch.stack([x]*15 + [soft]), torch.stack([x]*16))):
        one_line(lambda: f(sr, hr, 4), 'of it below -0.1; pictures are in [0,1]')
    for sr in ((x*1.3 - .15), torch.where(torch.arange(x.shape[-1]) % 11 == 0, -.4, x)): f(sr, x, 4)      # an overshoot, in few places

def test_range_of_a_network_is_checked_before_it_is_clamped(cat):
    "A network in tanh's range gets no row in a table."
    class Tanh(torch.nn.Module):
        def __init__(self, k=1.): super().__init__(); self.k = k
        def forward(self, x): return self.k*(2*torch.nn.functional.interpolate(x, scale_factor=4) - 1)
    for k in (1., .45): one_line(lambda: M.evaluate_sr(Tanh(k), {'cat': cat}, 4), 'cat: what the network gives runs from -')
    with pytest.warns(UserWarning, match='what the network gives lies below -0.1 in more than a tenth'):        # where it is clamped, it is said
        M.evaluate_sr(Tanh(), {'cat': cat}, 4, strict=False)

def test_bad_crop():
    x = torch.rand(3, 40, 48)
    one_line(lambda: M.psnr_y(x, x, 20), 'crop 20 leaves nothing of 48 x 40 pixels; give at most 19')
    for crop in (-1, 1.5): one_line(lambda: M.psnr_y(x, x, crop), f'crop {crop} is not')
    one_line(lambda: M.ssim_y(x, x, 15), 'SSIM looks at 11 x 11')

# --- tables

def test_evaluate_a_network_and_a_function(cat):
    net = torch.nn.Upsample(scale_factor=4, mode='nearest').train()
    want = M.evaluate_sr('nearest', {'cat': cat}, 4)
    for model in (net, lambda img: img.resize((img.width*4, img.height*4), Image.Resampling.NEAREST)):
        np.testing.assert_allclose(M.evaluate_sr(model, {'cat': cat}, 4), want, rtol=1e-9)
    assert net.training and want.attrs['crop'] == 4
    assert [*M.evaluate_sr('nearest', {1: cat, 'mean': cat}, 4).index] == ['1', 'mean (file)', 'mean']             # numbers are names, too
    net = torch.nn.Sequential(torch.nn.BatchNorm2d(3).eval(), net)                                             # a part that somebody has frozen
    M.evaluate_sr(net, {'cat': cat}, 4); M.enlarge(net, torch.zeros(1, 3, 8, 8, dtype=torch.uint8), 4)
    assert net.training and not net[0].training and net[1].training

def test_network_is_left_as_it_was_when_it_fails(cat):
    class Breaks(torch.nn.Module):
        def forward(self, x): raise ValueError('out of paint')
    net = Breaks().train()
    one_line(lambda: M.evaluate_sr(net, {'cat': cat}, 4), 'cat: out of paint')
    assert net.training

def test_network_that_gives_nan_is_refused(cat):
    class Nan(torch.nn.Module):
        def forward(self, x): return torch.nn.functional.interpolate(x, scale_factor=4)*float('nan')
    one_line(lambda: M.evaluate_sr(Nan(), {'cat': cat}, 4), 'NaN')

def test_odd_sizes_are_cropped_first(cat):
    odd = cat.crop((0, 0, 103, 98))
    a, b = M.evaluate_sr('bicubic', {'x': odd}, 4), M.evaluate_sr('bicubic', {'x': odd.crop((0, 0, 100, 96))}, 4)
    assert a.psnr['x'] == pytest.approx(b.psnr['x'], rel=1e-9)

def test_folders_and_lists(tmp_path, cat):
    small = cat.crop((0, 0, 64, 48))
    small.save(tmp_path/'b.png'); small.convert('L').save(tmp_path/'a.png'); small.convert('RGBA').save(tmp_path/'c.png')
    assert list(M.evaluate_sr('bicubic', tmp_path, 4).index) == ['a', 'b', 'c', 'mean']
    assert list(M.evaluate_sr('bicubic', str(tmp_path), 4).index) == ['a', 'b', 'c', 'mean']
    assert list(M.evaluate_sr('bicubic', tmp_path/'b.png', 4).index) == ['b', 'mean']
    assert list(M.evaluate_sr('bicubic', [small, tmp_path/'b.png'], 4).index) == ['picture 0', 'b', 'mean']
    (tmp_path/'d').mkdir(); small.save(tmp_path/'d'/'b.png')
    names = list(M.evaluate_sr('bicubic', tmp_path, 4).index)
    assert len(names) == len(set(names)) == 5                       # two b.png keep apart
    (tmp_path/'e.png').write_bytes(b'no picture')
    one_line(lambda: M.evaluate_sr('bicubic', tmp_path, 4), 'e.png')
    half = small.convert('RGBA'); half.putalpha(100)
    one_line(lambda: M.evaluate_sr('bicubic', {'half': half}, 4), 'half has mode RGBA')

@pytest.mark.parametrize('what', ['clear', 'small', 'no picture', 'bomb', 'truncated head'])
def test_what_cannot_be_measured_is_said_before_anything_is(tmp_path, what):
    "The last of many would cost all that was measured before."
    calls, seen = [], lambda img: calls.append(1) or img.resize((img.width*4, img.height*4))
    for n in 'ab': Image.new('RGB', (32, 24)).save(tmp_path/f'{n}.png')
    last, png = tmp_path/'c.png', (tmp_path/'a.png').read_bytes()
    if what == 'clear': Image.new('RGBA', (32, 24)).save(last)
    if what == 'small': Image.new('RGB', (40, 18)).save(last)
    if what == 'no picture': last.write_bytes(b'no picture')
    if what == 'bomb': last.write_bytes(png[:16] + (10**5).to_bytes(4, 'big')*2 + png[24:])
    if what == 'truncated head': last.write_bytes(png[:20])
    one_line(lambda: M.evaluate_sr(seen, tmp_path, 4), f'{last}' + (' has mode RGBA and transparent pixels; ' if what == 'clear' else ': '))
    with pytest.raises(ValueError, match=r'^(?!.*c\.png.*c\.png)(?!c: )'): M.evaluate_sr(seen, tmp_path, 4)        # named once
    assert not calls
    last.unlink(); assert len(M.evaluate_sr(seen, tmp_path, 4)) == 3 and len(calls) == 2

def test_first_of_several_frames_is_said(tmp_path):
    "Once for all files, before anything is measured."
    a, b = (Image.new('RGB', (32, 24), c) for c in ('red', 'lime'))
    a.save(tmp_path/'one.png'); a.save(tmp_path/'f.gif', save_all=True, append_images=[b]); a.save(tmp_path/'g.tif', save_all=True, append_images=[b, b])
    with pytest.warns(UserWarning, match=r'first frame or page alone is measured of .*f.gif \(2\), .*g.tif \(3\)$') as said: M.evaluate_sr('nearest', tmp_path, 4)
    assert len([w for w in said if 'is enlarged without error' not in str(w.message)]) == 1

def test_each_file_is_opened_twice(tmp_path, monkeypatch):
    "Once for its head and its frames, once for its pixels: a folder on a slow disk is not read more often than that."
    from srgan_course.kit import codec
    Image.new('RGB', (32, 24)).save(tmp_path/'a.png'); Image.new('L', (32, 24)).save(tmp_path/'b.tif', save_all=True, append_images=[Image.new('L', (32, 24))])
    opened, Clamped = [], codec.Clamped
    monkeypatch.setattr(codec, 'Clamped', lambda path: opened.append(os.path.basename(path)) or Clamped(path))
    with pytest.warns(UserWarning, match=r'b.tif \(2\)$'): M.evaluate_sr('nearest', tmp_path, 4)
    assert sorted(opened) == ['a.png', 'a.png', 'b.tif', 'b.tif']

def test_16_bits_are_rounded_to_8(tmp_path):
    "In grey as in colour, and as whatever else is measured."
    import cv2
    a = np.random.default_rng(0).integers(0, 65536, (24, 32, 3)).astype(np.uint16)
    for n, x in ('colour', a), ('grey', a[..., 0]):
        cv2.imwrite(str(tmp_path/f'{n}.png'), x); cv2.imwrite(str(tmp_path/f'{n}8.png'), np.rint(x/257).astype(np.uint8))
    df = M.evaluate_sr('bicubic', tmp_path, 4)
    for n in 'colour', 'grey': assert abs(df.psnr[n] - df.psnr[f'{n}8']) < 1e-9

def test_nothing_to_measure(tmp_path):
    one_line(lambda: M.evaluate_sr('bicubic', tmp_path, 4), 'no picture')
    one_line(lambda: M.evaluate_sr('bicubic', {}, 4), 'no picture')
    one_line(lambda: M.evaluate_sr('bicubic', 'no/such/folder', 4), 'no/such/folder', (ValueError, OSError))
    one_line(lambda: M.evaluate_sr('magic', 'embedded', 4), "'magic' is not in")
    one_line(lambda: M.evaluate_sr('bicubic', {'dot': Image.new('RGB', (8, 8))}, 4), 'dot: ')

# --- trap 9: another downsampler at test time

def rows_are_right(**kw): return abs(M.evaluate_sr('bicubic', 'embedded', 4, **kw).psnr['mean'] - 27.0625) < .05

def test_trap_9_the_rows_find_another_downsampler():
    from PIL.Image import Resampling as R
    assert rows_are_right()
    for how in (R.NEAREST, R.BILINEAR, R.LANCZOS):
        assert not rows_are_right(degrade=lambda img, f: img.resize((img.width//f, img.height//f), how))
    assert M.evaluate_sr('bicubic', {'a': Image.new('RGB', (64, 64))}, 4).attrs['protocol'].endswith('LR by downscale')

# --- sharpness

def test_mean_gradient(cat, bicubic):
    assert M.mean_gradient(bicubic) < M.mean_gradient(cat)
    both = M.mean_gradient(torch.stack([to_tensor(cat), to_tensor(bicubic)]))
    assert both.tolist() == pytest.approx([M.mean_gradient(cat), M.mean_gradient(bicubic)])
    ramp = torch.arange(10.).div(255).expand(3, 4, 10)
    assert M.mean_gradient(ramp) == pytest.approx(219/255)
    one_line(lambda: M.mean_gradient(torch.rand(3, 1, 9)), 'no neighbours')

# --- LPIPS

@pytest.fixture
def fresh_nets(monkeypatch, tmp_path):
    "No cached network, no download, no weights but those a test puts there."
    M.lpips_net.cache_clear()
    monkeypatch.setenv('TORCH_HOME', str(tmp_path/'hub')); monkeypatch.delenv('SRGAN_WEIGHTS', raising=False)
    def offline(*a, **k): raise OSError('no connection')
    monkeypatch.setattr('urllib.request.urlopen', offline); monkeypatch.setattr('torch.hub.urlopen', offline)
    yield tmp_path
    M.lpips_net.cache_clear()

def test_lpips_says_what_is_missing(fresh_nets, cat, bicubic):
    one_line(lambda: M.lpips(bicubic, cat), 'download.pytorch.org', OSError)
    one_line(lambda: M.lpips(bicubic, cat, 'squeeze-caffe'), 'SRGAN_WEIGHTS', FileNotFoundError)
    one_line(lambda: M.lpips(bicubic, cat, 'alexx'), "net 'alexx' is not in")
    one_line(lambda: M.lpips(cat.crop((0, 0, 31, 40)), cat.crop((0, 0, 31, 40))), '31 x 40 pixels are too few')

def test_lpips_reads_torchvisions_file_from_srgan_weights(fresh_nets, monkeypatch, cat, bicubic):
    from torchvision.models import squeezenet1_1
    torch.manual_seed(0)
    sd = squeezenet1_1(weights=None).state_dict()
    torch.save(sd, fresh_nets/'squeezenet1_1-00000000.pth')
    monkeypatch.setenv('SRGAN_WEIGHTS', str(fresh_nets))
    net = M.lpips_net('squeeze')
    for k, v in net.net.state_dict().items(): assert torch.equal(v, sd['features.' + k.split('.', 1)[1]])
    assert (net.lin0.model[-1].weight >= 0).all() and net.lin0.model[-1].weight.max() > 0    # the package's own heads
    assert abs(M.lpips(cat, cat)) < 1e-6 < M.lpips(bicubic, cat)
    df = M.evaluate_sr('bicubic', {'a': cat.crop((0, 0, 64, 64))}, 4, lpips=True)
    assert list(df.columns) == ['psnr', 'ssim', 'lpips']

def test_stand_in_carries_its_name(srgan_weights, cat, bicubic):
    df = M.evaluate_sr('bicubic', {'cat': cat}, 4, lpips='squeeze-caffe')
    assert list(df.columns) == ['psnr', 'ssim', 'lpips squeeze-caffe']
    d = df['lpips squeeze-caffe']['cat']
    assert d == pytest.approx(M.lpips(bicubic, cat, 'squeeze-caffe')) and d == pytest.approx(3.2668, abs=.01)
    assert abs(M.lpips(cat, cat, 'squeeze-caffe')) < 1e-6
    two = M.lpips(torch.stack([to_tensor(bicubic), to_tensor(cat)]), to_tensor(cat).expand(2, -1, -1, -1), 'squeeze-caffe')
    assert two.tolist() == pytest.approx([d, 0], abs=1e-4)

# --- classifiers

def made_up(n=400, seed=0):
    rng = np.random.default_rng(seed); t = rng.integers(0, 2, n)
    return (1/(1 + np.exp(-rng.normal(2*t - 1, 1.)))).astype(np.float32), t

def test_report_equals_scikit_learn():
    from sklearn import metrics as S
    p, t = made_up()
    for preds in ((p, t), (torch.tensor(p)[:,None], torch.tensor(t)), (np.stack([1 - p, p], 1), t)):
        r = M.classification_report(preds)
        assert r['auc'] == pytest.approx(S.roc_auc_score(t, p)) and r['accuracy'] == S.accuracy_score(t,
            p > .5) and r['f1'] == S.f1_score(t, p > .5)
        assert r['loss'] == pytest.approx(S.log_loss(t, p.astype(float)),
                                          rel=1e-5) and (r['confusion'] == S.confusion_matrix(t, p > .5)).all()

def test_more_classes_and_learners():
    p = torch.softmax(torch.randn(60, 3, generator=torch.Generator().manual_seed(0)), 1); t = torch.arange(60) % 3
    class Learn:
        def get_preds(self, dl=None): return (p, t) if dl is None else (p[:30], t[:30])
    r = M.classification_report(Learn())
    assert r['confusion'].shape == (3, 3) and r['confusion'].sum() == 60 and 0 < r['auc'] < 1
    assert M.classification_report(Learn(), dl='some')['confusion'].sum() == 30

def auc_is_right(report):
    from sklearn.metrics import roc_auc_score
    p, t = made_up()
    return abs(report((p, t))['auc'] - roc_auc_score(t, p)) < 1e-9

def test_trap_11_auc_from_decisions(monkeypatch):
    from sklearn.metrics import balanced_accuracy_score
    import srgan_course.kit.measured as report
    assert auc_is_right(M.classification_report)
    def of_decisions(preds):                                     # the fault: scores rounded before they are counted
        p, t = scores(preds); return np.eye(2)[p.argmax(1)].clip(1e-9, 1 - 1e-9), t       # 0 and 1 themselves are refused
    scores = report.judged
    with monkeypatch.context() as m:
        m.setattr(report, 'judged', of_decisions)
        p, t = made_up()
        assert M.classification_report((p, t))['auc'] == pytest.approx(balanced_accuracy_score(t, p > .5))
        assert not auc_is_right(M.classification_report)
    for d in ((p > .5), (p > .5).astype(int), (p > .5).astype(np.float32), np.eye(2)[(p > .5).astype(int)]):
        one_line(lambda: M.classification_report((d, t)), 'balanced accuracy')

def test_bad_predictions():
    p, t = made_up(20)
    one_line(lambda: M.classification_report(([], [])), 'empty')
    one_line(lambda: M.classification_report((p[:5], t)), '5 predictions for 20 labels')
    one_line(lambda: M.classification_report((p*9, t)), 'softmax')
    one_line(lambda: M.classification_report((p*np.nan, t)), 'nan')
    one_line(lambda: M.classification_report((np.stack([p, p], 1), t)), 'row sum')
    one_line(lambda: M.classification_report((p, t*0)), 'class 1 has no picture')
    one_line(lambda: M.classification_report((p, t + 1)), 'labels run from 1 to 2')
    one_line(lambda: M.classification_report((p, t.astype(float))), 'class numbers')

# --- the ledger

def a_result(path, **kw):
    return R.save_result(path, **{**dict(what='a test', figures=dict(psnr=np.float32(28.5), list=torch.tensor([1, 2])), data='embedded',
                                         n=3, seed=[1, 2], protocol='Y'), **kw})

def test_results_hold_their_circumstances(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['/home/ada/bin/srgan-evaluate', '--data', '/home/ada/my pictures/set5', '--out=runs/a'])
    from srgan_course.data import Recipe
    d = R.load_result(a_result(tmp_path/'new'/'bicubic.json', recipe=Recipe(), note='more'))
    assert set(R.RESULT_FIELDS) <= set(d) and d['note'] == 'more'
    assert d['name'] == 'bicubic' and d['command'] == "srgan-evaluate --data 'my pictures/set5' --out=runs/a"
    assert d['figures'] == dict(psnr=28.5,
                                list=[1, 2]) and d['recipe']['scale'] == 4 and d['versions']['torch'] == torch.__version__.split('+')[0] or d['versions']['torch']
    assert re.fullmatch(r'[0-9a-f]{40}\+?|unknown', d['commit']) and re.match(r'\d{4}-\d\d-\d\dT', d['date'])
    assert '/home' not in (tmp_path/'new'/'bicubic.json').read_text()

def test_results_are_whole_or_not_at_all(tmp_path, monkeypatch):
    p = a_result(tmp_path/'r.json'); before = p.read_bytes()
    one_line(lambda: a_result(p, figures=dict(psnr=float('inf'))), 'infinite or not a number')
    one_line(lambda: a_result(p, figures={}), 'no figures')
    one_line(lambda: a_result(p, seed='one'), "seed is 'one'")
    def full(*a): raise OSError(28, 'No space left on device')
    with monkeypatch.context() as m:
        m.setattr(os, 'fsync', full)
        one_line(lambda: a_result(p), 'No space left', OSError)
    assert p.read_bytes() == before and [f.name for f in tmp_path.iterdir()] == ['r.json']
    p.write_bytes(before[:50]); one_line(lambda: R.load_result(p), 'is not JSON')
    p.write_text('[]'); one_line(lambda: R.load_result(p), 'JSON object')
    d = json.loads(before); del d['commit']; p.write_text(json.dumps(d)); one_line(lambda: R.load_result(p), 'no commit')

def test_results_are_found_in_an_installed_package(tmp_path, monkeypatch):
    "The lessons that `srgan-lessons` has copied show measured figures, too: outside a checkout, the package's own copy is read."
    package = tmp_path/'site'/'srgan_course'; package.mkdir(parents=True)
    (tmp_path/'lessons').mkdir(); monkeypatch.chdir(tmp_path/'lessons')
    monkeypatch.setattr(R, '_package', lambda: package.resolve())
    one_line(R.results_folder, 'no results/ in', FileNotFoundError)
    (package/'results').mkdir(); a_result(package/'results'/'x.json')
    assert R.results_folder() == (package/'results').resolve() and R.load_result(R.results_folder()/'x.json')['figures']['psnr'] == 28.5
    (tmp_path/'results').mkdir(); (tmp_path/'settings.ini').touch()          # in a checkout, its own come first
    assert R.results_folder() == tmp_path/'results'

def test_every_result_in_the_repository():
    for p in sorted((ROOT/'results').rglob('*.json')):
        d = R.load_result(p)
        assert d['name'] == p.stem and d['n'] > 0, p.name
        assert not re.search(r'(?<![\w.])/(home|root|work|Users|tmp)/',
                             p.read_text(encoding='utf-8')), f'{p.name} names a folder of this machine'

# --- the house

def test_import_is_light():
    code = ("import sys, srgan_course.metrics; print([m for m in ('fastai', 'torchvision', 'pandas', 'sklearn', 'skimage', 'lpips', "
            "'matplotlib') if m in sys.modules])")
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.strip() == '[]'

BIB = (ROOT/'nbs'/'references.bib').read_text(encoding='utf-8')
KEYS = re.findall(r'^@\w+\{([\w-]+),', BIB, re.M)

def test_every_citation_has_its_entry():
    assert len(KEYS) == len(set(KEYS))
    for p in sorted((ROOT/'nbs').glob('*.ipynb')):
        text = '\n'.join(''.join(c['source']) for c in json.loads(p.read_text(encoding='utf-8'))['cells'] if c['cell_type'] == 'markdown')
        unknown = set(re.findall(r'(?<![\w`])@([a-z]+\d{4}[a-z0-9]*)', text)) - set(KEYS)
        assert not unknown, f'{p.name} cites {unknown}, which references.bib does not hold'

def test_every_published_figure_has_its_source():
    rows = list(csv.DictReader((ROOT/'nbs'/'published.csv').open(encoding='utf-8')))
    assert rows
    for r in rows:
        assert r['source'] in KEYS and r['protocol'] in ('A', 'B') and r['where'], r
        assert 20 < float(r['psnr']) < 40 and .5 < float(r['ssim']) < 1

def test_nothing_is_lost_of_a_measurement(tmp_path, capsys, monkeypatch):
    "A picture that is cut short is told before a network has run; what was measured is printed before it is written down."
    from srgan_course import cli, metrics
    for name, c in (('a', 'red'), ('b', 'blue')): Image.effect_noise((64, 64), 60).convert('RGB').save(tmp_path/f'{name}.png')
    if Path('/dev/full').exists():
        with pytest.raises(OSError, match='No space left'): cli.evaluate.__wrapped__('bicubic', str(tmp_path), result=Path('/dev/full'))
        assert 'mean' in capsys.readouterr().out
    (tmp_path/'z.png').write_bytes((tmp_path/'b.png').read_bytes()[:2000])
    monkeypatch.setattr(metrics, 'psnr_y', lambda *a: pytest.fail('measured before all pictures were looked at'))
    with pytest.raises(ValueError, match='z.png: damaged or truncated'): metrics.evaluate_sr('bicubic', tmp_path, 4)

def test_many_at_once_are_looked_at_before_they_are_clamped():
    "`enlarge` says of a network in [-1,1] what `evaluate_sr` and `Upscaler` say, and lets one in [0,1] pass without a word."
    class Net(torch.nn.Module):
        def __init__(self, a, b): super().__init__(); self.a, self.b = a, b
        def forward(self, x): return self.a*torch.nn.functional.interpolate(x, scale_factor=4) + self.b
    x = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)
    with pytest.warns(UserWarning, match='below -0.1 in more than a tenth'): M.enlarge(Net(2, -1), x, 4)
    with warnings.catch_warnings(): warnings.simplefilter('error'); assert M.enlarge(Net(1, 0), x, 4, bs=2).shape == (3, 3, 32, 32)

BIG = """
import resource, sys, torch
from srgan_course.metrics import luminance, ssim_map, ssim_y
from srgan_course.kit.measured import as_pixels
torch.set_num_threads(1)
g = torch.Generator().manual_seed(0)
x = torch.rand(3, 1603, 1001, generator=g); y = (x + .2*torch.rand(3, 1603, 1001, generator=g)).clamp(0, 1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
by_bands = ssim_y(x, y, 2)
took = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)/(2**20 if sys.platform == 'darwin' else 2**10)
a, b = (luminance(as_pixels(v))[None, 2:-2, 2:-2] for v in (x, y))
print(took < 500, abs(by_bands - ssim_map(a, b).mean().item()) < 1e-12)
"""
@pytest.mark.skipif(os.name == 'nt', reason='counts memory as Unix does')
def test_ssim_of_a_large_picture_is_worked_out_in_bands():
    "All 1.6 megapixels at once took 800 MB; by bands it is the same figure."
    r = subprocess.run([sys.executable, '-W', 'ignore', '-c', BIG], capture_output=True, text=True, timeout=120)
    assert r.stdout.split() == ['True', 'True'], (r.stdout, r.stderr)
