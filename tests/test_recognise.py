"Lesson 16's library from outside: the teacher stands still, what is measured is what is said, bad input is one line, and the command."
import json, os, subprocess, sys
from pathlib import Path
from types import SimpleNamespace
import numpy as np, pytest, torch
from PIL import Image
from conftest import ROOT, script
from safetensors import safe_open
from srgan_course import recognise as M
from srgan_course.kit import classifiers as K, epochs as E, originals as O, recognition as N
from srgan_course.kit.labels import name_labels
from srgan_course.kit.classifiers import Classifier, body, load_pictures, make_net, save_classifier
from srgan_course.kit.pets import draw_pet, toys as _toys
from srgan_course.kit.splits import near_duplicates
from srgan_course.generators import LightSR, save_model
from srgan_course.images import to_image
from srgan_course.kit.results import load_result

def toy(seed=0): return K.Teacher(make_net('toynet', 2, seed=seed), f'toy {seed}', ['cat', 'dog'])
def one_line(f, *words, kind=ValueError):
    with pytest.raises(kind) as e: f()
    assert all(w in str(e.value) for w in words) and '\n' not in str(e.value), str(e.value)

@pytest.fixture(scope='module')
def x(): return load_pictures(_toys(12, 48), 48)

# ---- the teacher

@pytest.mark.parametrize('arch', ['toynet', 'mobilenet_v2', 'resnet18'])
def test_teacher_does_not_move(arch, x):
    "Neither weights nor the statistics of batch norm, in training mode, over steps of an optimiser that is given all that there is."
    t = K.Teacher(make_net(arch, 2), arch).train()
    was = {k: v.clone() for k, v in t.state_dict().items()}
    net = LightSR(3, 4, 1)
    opt = torch.optim.SGD([p for m in (net, t) for p in m.parameters() if p.requires_grad], .1)
    for _ in range(2):
        M.RecogniseLoss(t)(net(M.shrink(x[:4], 3).float()/255), x[:4].float()/255).backward(); opt.step()
    assert not t.training and not any(m.training for m in t.modules())
    assert all(torch.equal(v, was[k]) for k, v in t.state_dict().items())
    assert all(p.grad is not None for p in net.parameters())

def test_a_moving_teacher_is_found_out(x):
    "The named fault: frozen weights, but batch norm in training mode."
    class Moving(K.Teacher):
        def train(self, mode=True): return torch.nn.Module.train(self, mode)
    t = Moving(make_net('toynet', 2), 'moving').train()
    was = {k: v.clone() for k, v in t.state_dict().items()}
    t(x[:4].float()/255)
    assert any(not torch.equal(v, was[k]) for k, v in t.state_dict().items())

def test_normalised_once(x):
    "A classifier of lesson 14 normalises by itself; as a teacher it says the same."
    clf = Classifier(body('toynet-random'), ['cat', 'dog'], size=48).eval()
    with torch.no_grad(): torch.testing.assert_close(M.teacher(clf)(x[:3].float()/255), clf(x[:3].float()/255))
    assert all(p.requires_grad for p in clf.head.parameters())                # the teacher is a frozen copy; `clf` can be trained on

def test_teacher_from_a_file(tmp_path, x):
    clf = Classifier(body('toynet-random'), ['cat', 'dog'], size=48).eval()
    t = M.teacher(save_classifier(clf, tmp_path/'mine.safetensors'))
    assert t.weights == 'mine.safetensors' and t.classes == ['cat', 'dog']
    with torch.no_grad(): torch.testing.assert_close(t(x[:3].float()/255), clf(x[:3].float()/255))

def test_a_name_says_which_weights():
    "What a table calls resnet50 may be a pruned one: the file stands beside the name."
    net = make_net('toynet', 2)
    assert K.Teacher(net, 'resnet50', weights='resnet50_v1_pruned_int8.safetensors').label == 'resnet50 (resnet50_v1_pruned_int8)'
    assert K.Teacher(net, 'toy', weights='random').label == K.Teacher(net, 'toy').label == 'toy'

def test_without_a_classifier():
    one_line(lambda: K.Teacher(make_net('toynet', 2).features, 'features'), 'features gives (1, 64, 4, 4)', 'a classifier with its last layer')
    one_line(lambda: M.teacher(body('toynet-random')), 'toynet-random is a body without a head')
    one_line(lambda: M.teacher('vgg16-oxford@relu2_2'), 'is not known; give resnet50')

def test_top1_is_pinned():
    "Measured once on all 600 photographs, by `benchmarks/recognise.py --only teachers`."
    fig = load_result(ROOT/'results'/'recognise_teachers.json')['figures']
    assert fig['resnet50']['top1'] > .7
    for name, top1 in dict(resnet50=.868, mobilenet_v2=.860, squeezenet1_1=.625).items(): assert abs(fig[name]['top1'] - top1) <= .005

@pytest.mark.slow
@pytest.mark.parametrize('name', ['resnet50', 'mobilenet_v2', 'squeezenet1_1'])
def test_top1_measured_again(name):
    from srgan_course.data import find_source
    try: paths, t = find_source('photos'), M.teacher(name)
    except OSError as e: pytest.skip(str(e))
    if t.weights.endswith('.pth'): pytest.skip("other weights than those measured")
    want = load_result(ROOT/'results'/'recognise_teachers.json')['figures'][name]
    z = t.scores(load_pictures(paths, 224), precision='float32'); y = name_labels(paths)    # each processor rounds bfloat16 in its own way
    assert abs(N.in_top(z, y).mean() - want['top1']) <= .005 + 1e-9 and abs(N.in_top(z, y, 5).mean() - want['top5']) <= .005 + 1e-9

# ---- measuring

def test_ways_are_compared_on_the_same_pictures(x):
    "A way that gives the originals back agrees with them; one that gives black agrees only by chance, and costs."
    small = M.shrink(x, 3); back = {to_image(s.float()/255).tobytes(): to_image(h.float()/255) for s, h in zip(small, x)}
    rec = M.evaluate_recognition({'perfect': lambda im: back[im.tobytes()], 'black': lambda im: Image.new('RGB', (48, 48))}, x,
                                 np.arange(12) % 2, toy(), [toy(1)])
    t = N.recognition_table(rec)
    assert t.loss['perfect'] < 1e-9 and t.agreement['perfect'] == 1 and t.psnr['perfect'] > 60 and t.loss['black'] > 0
    assert N.won_back(rec, 'perfect', base='black', what='agreement', times=50)['way'] == 1

def test_interval_of_what_is_won():
    "Of 200 made studies, about 95 in 100 intervals hold the truth."
    g, held = np.random.default_rng(0), 0
    for k in range(60):
        rec = N.Recognition(np.zeros(150, int), 'T', {'T': {w: np.eye(2)[(g.random(150) > p).astype(int)] for w,
                                                            p in (('originals', .9), ('bicubic', .5), ('student', .6))}}, {}, {})
        lo, hi = N.won_back(rec, 'student', times=200, seed=k)['intervals']['won']; held += lo <= .1 <= hi
    assert 52 <= held <= 60

def test_top5_and_loss_by_hand():
    g = np.random.default_rng(1); z, y = g.normal(size=(50, 12)), g.integers(0, 12, 50)
    assert (N.in_top(z, y, 5) == [t in np.argsort(-r)[:5] for r, t in zip(z, y)]).all()

# ---- pictures and labels

def folders(root, **counts):
    for c, n in counts.items():
        (root/c).mkdir(parents=True)
        for i in range(n): draw_pet('cat', i, 48).save(root/c/f'{i}.png')
    return root

def test_sampler(tmp_path):
    root = folders(tmp_path/'in', cat=10, dog=4, fox=1)
    before = sorted(p.relative_to(root) for p in root.rglob('*'))
    paths, y = O.sample_folder(root, .5)
    assert np.bincount(y).tolist() == [5, 2, 1] and sorted(p.relative_to(root) for p in root.rglob('*')) == before      # nothing is moved
    again, y2 = O.sample_folder(root, .5); assert again == paths and (y == y2).all()
    next(p for p in root.glob('fox/*')).unlink()
    one_line(lambda: O.sample_folder(root, .5), 'class fox has no picture')

def test_pictures_beside_the_class_folders(tmp_path, monkeypatch):
    "They were passed over without a word, where srgan-classify refuses them; told before a network is loaded. Without folders they are all there is."
    from srgan_course import cli
    for c in 'cat', 'dog': (tmp_path/c).mkdir(parents=True); draw_pet(c, 1, 66).save(tmp_path/c/'a.png')
    draw_pet('cat', 2, 66).save(tmp_path/'b.webp'); (tmp_path/'labels.json').write_text('{"cat": 0, "dog": 1}')
    says = '1 pictures lie outside of its class folders (b.webp); move them into one'
    monkeypatch.setattr(M, 'picture_ways', lambda *_: (_ for _ in ()).throw(AssertionError('a network was loaded')))
    for f in (lambda: O.labelled(tmp_path, toy()), lambda: O.sample_folder(tmp_path), lambda: cli.recognise(evaluate=str(tmp_path), teacher='toy')):
        one_line(f, tmp_path.name, says)
    assert O.labelled(tmp_path/'cat', toy())[0] == [tmp_path/'cat'/'a.png']

def test_every_folder_is_a_class_but_hidden_ones(tmp_path):
    "One that began with _ was passed over, its pictures with it, without a word."
    from srgan_course.kit.splits import class_folders
    for c in 'cat', '_other', '.cache', '__MACOSX': (tmp_path/c).mkdir()                  # the last: what a Mac adds to an archive
    assert class_folders(tmp_path) == ['_other', 'cat']

def test_names_are_no_formulas(tmp_path):
    "A $ in the name of a class or of a model began one: no figure, and 400 letters of Matplotlib's grammar."
    from srgan_course.kit.show import show_grid
    img = Image.new('RGB', (48, 48))
    row = dict(picture=img, guesses=[('a$_$b', .7), ('$x^2$', .3)], psnr=9.)
    N.guess_figure({'originals': row, 'small': dict(picture=img), 'm$a_{$': row}, tmp_path/'a.png')
    show_grid([[img]], [['m$a_{$']], path=tmp_path/'b.png')
    assert (tmp_path/'a.png').stat().st_size > 2000 and (tmp_path/'b.png').exists()

def test_recognise_names_the_picture_that_it_could_not_do(tmp_path, monkeypatch, capsys):
    from srgan_course import cli
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(M, 'picture_ways', lambda *_: {'bicubic': 'bicubic'}); monkeypatch.setattr(K, 'toy_teacher', lambda seed=0: toy(seed))
    for n, side in ('a.png', 66), ('b.png', 40): Image.new('RGB', (side, side)).save(tmp_path/n)
    assert cli.recognise(tmp_path/'a.png', tmp_path/'b.png', teacher='toy') == 1
    assert f'srgan-recognise: {tmp_path}/b.png: the picture is 40 x 40 pixels; 48 or more' in capsys.readouterr().err

def test_a_name_of_two_classes_is_told_by_wordnet_s_number():
    "The garment was taken for the dog of that name wherever no later class stood before it."
    names = ['n01440764_tench.jpg', 'n02963159_cardigan.jpg', 'n03787032_mortarboard.jpg']
    assert name_labels(names).tolist() == [0, 474, 667] and name_labels(names[1:2]).tolist() == [474]
    assert name_labels(['n02113186_Cardigan.jpg']).tolist() == [264]

def test_labels_that_do_not_fit(tmp_path):
    root = folders(tmp_path/'in', cat=3, dog=3)
    (root/'labels.json').write_text('{"cat": 281, "dog": 207}')
    one_line(lambda: M.labelled(root, toy()), 'labels go from 207 to 281', 'do not fit')
    one_line(lambda: O.look_for(root, labels=root/'none.json'), 'none.json', kind=FileNotFoundError)           # before a network is loaded
    (root/'labels.json').write_text('{"cat": 0, "dog": 99999999999999999999}'); one_line(lambda: M.labelled(root, toy()), 'class numbers')
    (root/'labels.json').write_text('{"cat": "dog", "dog": "cat"}'); assert M.labelled(root, toy())[1].tolist() == [1, 1, 1, 0, 0, 0]
    (root/'labels.json').write_text('{"cat": 0}'); one_line(lambda: M.labelled(root, toy()), 'folder dog is not in the labels')
    (root/'labels.json').write_text('{'); one_line(lambda: M.labelled(root, toy()), 'is not JSON')
    (root/'labels.json').write_text('[1, 2]'); one_line(lambda: M.labelled(root, toy()), 'no labels; give {"n01440764": 0}, ')
    (root/'labels.json').unlink(); assert M.labelled(root, toy())[1].tolist() == [0, 0, 0, 1, 1, 1]        # the teacher's own names
    (root/'fox').mkdir(); one_line(lambda: O.sample_folder(root), 'class fox has no picture')

def test_names_of_some_classes_are_no_numbers(tmp_path):
    "Three of ImageNet's thousand, by name alone: the second folder is not class 1."
    root, t = folders(tmp_path/'in', n01443537=1, n02123045=1, n02963159=1), M.teacher('squeezenet1_1-random')
    (root/'labels.json').write_text('{"n01443537": "goldfish", "n02123045": "tabby", "n02963159": "cardigan"}')
    assert M.labelled(root, t)[1].tolist() == [1, 281, 474]
    (root/'labels.json').write_text('{"n01443537": "tabby", "n02123045": "goldfish", "n02963159": "cardigan"}')
    one_line(lambda: M.labelled(root, t), 'do not fit')
    (root/'labels.json').write_text('{"n01443537": "goldfish", "n02123045": "house cat", "n02963159": "cardigan"}')
    one_line(lambda: M.labelled(root, t), 'do not fit')

def test_a_file_called_like_a_way_has_its_own_row(tmp_path, monkeypatch):
    monkeypatch.setattr(M, 'load_enlarger', lambda m: SimpleNamespace(args=dict(scale=3), file=m))
    for name in 'bicubic', 'light-x4', 'originals', 'small':
        ways = M.picture_ways(['light-x4', 'srgan-x4', f := str(tmp_path/f'{name}.safetensors')])
        assert [*ways] == ['nearest', 'bicubic', 'lanczos', 'light-x4', 'srgan-x4', f'{name} (trained)'] and ways[f'{name} (trained)'].file == f
        assert ways['bicubic'] == 'bicubic' and ways['light-x4'].file == 'light-x4'
    assert [*M.picture_ways(['light-x4', 'light-x4'])][3:] == ['light-x4']

def test_originals_are_not_enlarged(tmp_path, monkeypatch):
    monkeypatch.setattr(K, 'toy_teacher', toy)
    root = folders(tmp_path/'in', cat=6, dog=6)                       # 48 px
    one_line(lambda: M.evaluate_folder(root, {'bicubic': 'bicubic'}, toy(), size=96),
             '12 of 12 pictures are smaller than 96 px (the smallest: 48)', 'or a size of 48')
    r = M.RECOGNISE_RECIPES['quick'].replace(size=66, steps=2, bs=2, nf=4, n_blocks=1)
    one_line(lambda: M.train_recognise(r.replace(teacher='toy', judges=()), str(root), tmp_path/'run'), 'smaller than 66 px')
    assert not (tmp_path/'run').exists()

# ---- more pictures than memory

def watched(monkeypatch):
    "Pictures opened one after the other, by how many at a time; and how often all of them were put in order."
    opened, sorts = [], []
    load, draws = O.load_pictures, E.draws
    monkeypatch.setattr(O, 'load_pictures', lambda items, size: (opened.append(len(items)), load(items, size))[1])
    monkeypatch.setattr(E, 'draws', lambda n, *where: (sorts.append(n), draws(n, *where))[1])
    E._turn.cache_clear()
    return opened, sorts

@pytest.mark.parametrize('side', [0, 8])
def test_a_stream_teaches_the_same(x, side):
    "Opened when needed or held in memory: the same pictures in the same order."
    ends = []
    for pictures in (x, O.Originals(_toys(12, 48), 48)):
        net = M.student(None, nf=4, n_blocks=1, seed=1)
        rows = M.train_student(net, pictures, M.RecogniseLoss(toy(), pixel=1.), steps=5, bs=4, every=5, side=side, valid=pictures)
        ends.append([*rows[-1].values(), *(p.abs().sum().item() for p in net.parameters())])
    np.testing.assert_allclose(*ends, rtol=1e-5)
    recs = [M.evaluate_recognition({'bicubic': 'bicubic'}, o, None, toy()) for o in (x, O.Originals(_toys(12, 48), 48))]
    np.testing.assert_allclose(*(r.of('bicubic') for r in recs), rtol=1e-5, atol=1e-5)
    assert (recs[0].psnr['bicubic'] == recs[1].psnr['bicubic']).all()

def test_memory_and_work_do_not_follow_the_number_of_pictures(monkeypatch):
    """Four times the pictures: no more of them in memory at a time, no more opened, and one sorting for a turn through them, not one for
    each picture taken."""
    import tracemalloc
    monkeypatch.setattr(O, 'IN_MEMORY', 0); monkeypatch.setattr(M, '_AT_ONCE', 16)
    seen = {}
    for n in (40, 160):
        paths = _toys(n, 48)
        opened, sorts = watched(monkeypatch)
        tracemalloc.start()
        pics = O.load_originals(paths, 48)
        M.train_student(M.student(None, nf=4, n_blocks=1), pics, M.RecogniseLoss(toy()), steps=6, bs=4, every=100)
        trained = sum(opened)
        seen[n] = dict(most=max(opened), opened=trained, peak=tracemalloc.get_traced_memory()[1], sorts=sorts.count(n))
        tracemalloc.stop()
        M.evaluate_recognition({'bicubic': 'bicubic'}, pics, None, toy()); assert max(opened) == 16 and sum(opened) == trained + n
        monkeypatch.undo(); monkeypatch.setattr(O, 'IN_MEMORY', 0); monkeypatch.setattr(M, '_AT_ONCE', 16)
    few, many = seen.values()
    assert few['most'] == many['most'] == 4 and few['opened'] == many['opened'] == 24 and few['sorts'] == many['sorts'] == 1
    assert many['peak'] < few['peak'] + 120*48*48*3/10, seen                  # a tenth of what 120 pictures more would take

def test_doubles_stand_in_no_part():
    "Whatever looks like an earlier picture is in none of the three parts, however many lie between."
    items = [*(t := _toys(30, 48)), t[3], t[3], t[17]]
    parts = M.three_parts(items, alike=.9)
    gone = {j for _, j in near_duplicates(items, .9)}
    assert {30, 31, 32} <= gone and len(parts.dropped) == len(gone)
    assert len(parts.train) + len(parts.valid) + len(parts.test) == len(items) - len(gone)

@pytest.mark.parametrize('name', [n for n in M.RECOGNISE_RECIPES if n != 'quick'])
def test_two_steps_of_every_recipe(name, tmp_path, monkeypatch):
    "At its own sizes, networks and losses, from a folder like ImageNet's, whose name is no UTF-8; weights at random, by name."
    r, root = M.RECOGNISE_RECIPES[name], tmp_path/os.fsdecode(b'i\xff\nn')
    for c in ('n01443537', 'n02123045'):
        (root/c).mkdir(parents=True)
        for i in range(6): draw_pet('cat', i + 10*(c > 'n02'), r.size).save(root/c/f'{i}.png')
    if r.drop_small: draw_pet('cat', 99, r.size - 3).save(root/'n01443537'/'small.png')
    (root/'labels.json').write_text('{"n01443537": "goldfish", "n02123045": "tabby"}')
    monkeypatch.setattr(O, 'IN_MEMORY', 0)
    r = r.replace(steps=2, bs=2, share=1., teacher=f'{r.teacher}-random', judges=tuple(f'{j}-random' for j in r.judges))
    res = M.train_recognise(r, str(root), tmp_path/'run', device='cpu')
    assert type(res['student']) is LightSR and [row['step'] for row in res['rows']] == [1,
        2] and all(np.isfinite(row['loss']) for row in res['rows'])
    d = load_result(tmp_path/'run'/'results.json'); assert safe_open(tmp_path/'run'/'student.safetensors', 'pt').metadata()['data'].endswith('i\\udcff\nn')
    assert d['networks'] == {r.teacher: r.teacher,
                             r.judges[0]: r.judges[0]} and d['pictures']['found'] == 12 + r.drop_small and d['pictures']['too_small'] == int(r.drop_small)
    assert M.RecogniseRecipe.from_json(r.to_json()) == r

def test_a_folder_spelled_otherwise_is_the_same_training(tmp_path, monkeypatch):
    "What Tab makes of a folder's name, or its whole path, was `another recipe`."
    monkeypatch.setattr(K, 'toy_teacher', toy); monkeypatch.chdir(tmp_path); folders(tmp_path/'pets', cat=6, dog=6)
    r = M.RECOGNISE_RECIPES['quick'].replace(size=48, steps=8, bs=2, nf=4, n_blocks=1, teacher='toy', judges=())
    def stop(row):
        if row['step'] in (4, 6): raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): M.train_recognise(r, 'pets', tmp_path/'run', progress=stop)
    assert [*(tmp_path/'run'/'checkpoints').iterdir()]
    with pytest.raises(KeyboardInterrupt): M.train_recognise(r, 'pets/', tmp_path/'run', progress=stop)
    assert M.train_recognise(r, tmp_path/'pets', tmp_path/'run')['rows'][-1]['step'] == 8

def test_a_folder_renamed_is_the_same_training(tmp_path, monkeypatch):
    "The pictures are known by content. A checkpoint that names its source, as they did, is gone on with, too."
    monkeypatch.setattr(K, 'toy_teacher', toy); folders(tmp_path/'pets', cat=6, dog=6)
    r = M.RECOGNISE_RECIPES['quick'].replace(size=48, steps=8, bs=2, nf=4, n_blocks=1, teacher='toy', judges=())
    def stop(row):
        if row['step'] == 4: raise KeyboardInterrupt
    with monkeypatch.context() as m:
        m.setattr(M, 'train_student', lambda *a, recipe, teach=M.train_student, **kw: teach(*a, recipe=recipe | dict(source='pets'), **kw))
        with pytest.raises(KeyboardInterrupt): M.train_recognise(r, tmp_path/'pets', tmp_path/'run', progress=stop)
    (tmp_path/'pets').rename(tmp_path/'animals')
    assert M.train_recognise(r, tmp_path/'animals', tmp_path/'run')['rows'][-1]['step'] == 8

def test_names_of_classes_begin_no_lines(tmp_path, monkeypatch, capsys):
    "A line feed in one is printed as its letter, in the table of guesses and in a split."
    from srgan_course import cli
    from srgan_course.kit.splits import Split
    monkeypatch.chdir(tmp_path); draw_pet('cat', 0, 60).save('a.png')
    save_classifier(Classifier(body('toynet-random'), ['x\ny', 'dog'], size=48), tmp_path/'t.safetensors')
    cli.recognise(Path('a.png'), teacher='t.safetensors', size=48)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7 and lines[0].startswith('a.png -> ') and all('x\\ny ' in l for l in lines[1:]), lines
    y = np.arange(2)
    assert repr(Split([1, 2], y, [3, 4], y, ['x\ny', 'dog'])).startswith('Split: training 2 (1 x\\ny, 1 dog)')

def test_a_stopped_training_goes_on(tmp_path, monkeypatch):
    "Stopped on the way and called again, a training ends at the same student; another recipe is refused; nothing is left behind."
    monkeypatch.setattr(K, 'toy_teacher', toy)
    r = M.RECOGNISE_RECIPES['quick'].replace(size=66, steps=8, bs=2, nf=4, n_blocks=1, teacher='toy', judges=())
    monkeypatch.setattr('srgan_course.kit.runs.Clock.to_save', lambda self: ({}, {'seconds': 1000.}))
    whole = M.train_recognise(r, out=tmp_path/'whole')
    said = []
    def stop(row):
        said.append(row)
        if row['step'] == 6: raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): M.train_recognise(r, out=tmp_path/'parts', progress=stop)
    assert said[0] == dict(step=0, of=8, pictures=len(whole['parts'].train))                     # a line before the first step
    one_line(lambda: M.train_recognise(r.replace(lr=2e-3), out=tmp_path/'parts'), 'checkpoint of another recipe')
    with monkeypatch.context() as m:                                  # the same source, in which pictures have changed
        m.setattr(M, 'labelled', lambda *a, **k: [x[:-1] for x in O.labelled(*a, **k)])
        one_line(lambda: M.train_recognise(r, out=tmp_path/'parts'), 'a run on other pictures (training: ')
    with monkeypatch.context() as m:                                  # a full disk, or the end of the process, in the last lines
        m.setattr('srgan_course.kit.recognition.save_result', lambda *a, **k: 1/0)
        with pytest.raises(ZeroDivisionError): M.train_recognise(r, out=tmp_path/'parts')
    parts = M.train_recognise(r.replace(judges=('toy-1',)), out=tmp_path/'parts')        # who judges in the end teaches nothing
    assert whole['rows'] == parts['rows']
    assert all(torch.equal(p, q) for p, q in zip(whole['student'].parameters(), parts['student'].parameters()))
    assert not (tmp_path/'parts'/'checkpoints').exists()
    a, b = (json.loads((tmp_path/k/'results.json').read_text())['seconds'] for k in ('whole', 'parts'))
    assert a < 1000 < b                                                # of all sessions

def test_a_panel_is_looked_at_before_anything_is_taught(tmp_path, monkeypatch):
    """Judges that tell other classes, or the same in another order, and a judge that is the teacher by another name are refused before a
    step; two classifiers of one name have a table each."""
    from srgan_course import cli
    monkeypatch.setattr(K, 'toy_teacher', toy); monkeypatch.setattr(M, 'labelled', lambda *a, **kw: 1/0)
    def file(name, classes, seed=0):
        return str(save_classifier(Classifier(body('toynet-random', seed), classes, size=48), tmp_path/f'{name}.safetensors'))
    mine, other = file('mine', ['cat', 'dog']), file('other', ['cat', 'dog'], 1)
    r = M.RECOGNISE_RECIPES['quick'].replace(teacher=mine)
    for judge, *says in ((file('three', ['cat', 'dog', 'fox']), 'tells 3 classes (cat, dog, fox)', 'tells 2 classes (cat, dog)'),
                         (file('turned', ['dog', 'cat'], 2), 'in the same order'), (file('again', ['cat', 'dog']), 'is given twice')):
        one_line(lambda: M.train_recognise(r.replace(judges=(judge,)), 'pets-toy', tmp_path/'run'), *says)
        one_line(lambda: cli.recognise(evaluate='pets-toy', teacher=mine, judge=judge), *says)
    assert not (tmp_path/'run').exists()
    one, two, three = N.panel(M.teacher(mine), M.teacher(other), toy())
    assert (one.name, two.name, three.name) == ('toynet-random (cat, dog)', 'toynet-random (cat, dog), judge 1', 'toy 0')
    rec = M.evaluate_recognition({}, load_pictures(_toys(4, 48), 48), None, one, [two])
    assert rec.judges == [two.name] and (rec.of('originals') != rec.of('originals', two.name)).all()

def test_a_training_goes_on_with_its_own_teacher(tmp_path, monkeypatch):
    "Another classifier at the same path is another teacher."
    def teacher(seed): return str(save_classifier(Classifier(body('toynet-random', seed), ['cat', 'dog'], size=48), tmp_path/'t.safetensors'))
    r = M.RECOGNISE_RECIPES['quick'].replace(size=66, steps=4, bs=2, nf=4, n_blocks=1, teacher=teacher(0), judges=())
    def stop(row):
        if row['step'] == 2: raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): M.train_recognise(r, out=tmp_path/'run', progress=stop)
    teacher(1); one_line(lambda: M.train_recognise(r, out=tmp_path/'run'), "checkpoint of another recipe: weights of the teacher '")
    teacher(0); assert len(M.train_recognise(r, out=tmp_path/'run')['rows']) == 4

def test_no_figure_takes_the_place_of_a_picture(tmp_path, monkeypatch):
    "By --out, through a link, or by the name that another picture's figure would have: refused before anything is read."
    from srgan_course import cli
    monkeypatch.chdir(tmp_path)
    for n in 'a.jpg', 'a-recognised.jpg': (tmp_path/n).write_bytes(b'a photo')
    (tmp_path/'link.jpg').symlink_to('a.jpg')
    monkeypatch.setattr(M, 'picture_ways', lambda *args: 1/0)
    for paths, out in ((['a.jpg'], 'a.jpg'), (['link.jpg'], tmp_path/'a.jpg'), (['a.jpg'], 'link.jpg'), (['a-recognised.jpg', 'a.jpg'], None)):
        one_line(lambda: cli.recognise(*map(Path, paths), out=out and Path(out)), 'is a picture itself; give another --out')
    assert (tmp_path/'a.jpg').read_bytes() == (tmp_path/'a-recognised.jpg').read_bytes() == b'a photo'

def test_small_pictures_are_left_out(tmp_path):
    items = [Image.new('RGB', (50, 40)), Image.new('RGB', (48, 48)), Image.new('RGB', (60, 70))]
    got, y = O.large_enough(items, np.array([5, 6, 7]), 48); assert got == items[1:] and y.tolist() == [6, 7]
    assert O.large_enough(items, None, 60)[1] is None
    one_line(lambda: O.large_enough(items, None, 96), 'all 3 pictures are smaller than 96 px')

def test_pairs_that_do_not_match(x):
    one_line(lambda: M.RecogniseLoss(toy())(torch.rand(1, 3, 48, 48), torch.rand(1, 3, 45, 48)), 'do not match')
    one_line(lambda: M.evaluate_recognition({}, x[..., :47], None, toy()), 'no multiple of scale 3')
    one_line(lambda: M.evaluate_recognition({'x2': LightSR(2, 4, 1)}, x, None, toy()), 'x2 makes pictures (32, 32)', '(48, 48) are wanted')

def test_made_folder_by_class(tmp_path):
    "The per-class code on an ImageNet-style folder."
    root = folders(tmp_path/'in', cat=4, dog=4)
    rec, items = M.evaluate_folder(root, {'bicubic': 'bicubic', 'nearest': 'nearest'}, toy(), [toy(1)], size=48, precision='float32')
    t = N.by_class(rec, 'nearest', ['cat', 'dog'], times=20)
    assert t.n.tolist() == [4, 4] and len(items) == 8 and t.difficulty.between(0, 1).all()

# ---- the command

class Small(torch.nn.Module):
    def forward(self, x): return x/1000

def test_command(tmp_path, capsys, monkeypatch):
    from srgan_course import cli
    monkeypatch.chdir(tmp_path); monkeypatch.setattr(K, 'toy_teacher', lambda seed=0: toy(seed))
    draw_pet('dog', 1, 96).save('pet.png'); (tmp_path/'bad.png').write_bytes(b'no')
    net = save_model(LightSR(3, 4, 1), tmp_path/'mine.safetensors')
    cli.recognise(tmp_path/'pet.png', model=str(net), teacher='toy', json=True)
    d = json.loads(capsys.readouterr().out)['pictures'][0]
    assert {'originals', 'nearest', 'bicubic', 'lanczos', 'light-x4', 'srgan-x4',
            'mine'} == set(d['guesses']) and Image.open(tmp_path/'pet-recognised.jpg').width > 600
    assert d['size'] == 96
    assert cli.recognise(tmp_path/'pet.png', tmp_path/'bad.png', teacher='toy') == 1
    assert '96 px (it has no 192) seen by toy 0' in capsys.readouterr().out
    (tmp_path/'worse.png').write_bytes(b'no'); assert cli.recognise(tmp_path/'bad.png', tmp_path/'worse.png', teacher='toy') == 2
    assert 'bad.png' in capsys.readouterr().err
    root = folders(tmp_path/'in\nside', cat=2, dog=2)
    cli.recognise(evaluate=str(root), teacher='toy', judge='toy-1', size=48, json=True)
    out, err = capsys.readouterr(); assert err.count('\n') == 1 and r'in\nside, seen by toy 0' in err
    d = json.loads(out); assert d['n'] == 4 and d['labels'] and set(d['figures']) == {'toy 0', 'toy 1'}
    monkeypatch.setattr(K, 'toy_teacher', lambda seed=0: K.Teacher(torch.nn.Sequential(make_net('toynet', 2, seed=seed), Small()), f'toy {seed}', ['cat', 'dog']))
    cli.recognise(evaluate=str(root), teacher='toy', size=48)                    # a loss of hundred-thousandths is a number, too
    out = capsys.readouterr().out; assert r'in\nside' in out.splitlines()[0]
    assert all(float(l.split()[1]) > 0 for l in out.splitlines() if l.startswith(('nearest', 'bicubic')))
    monkeypatch.setattr(K, 'toy_teacher', lambda seed=0: toy(seed))
    r = M.RECOGNISE_RECIPES['quick'].replace(size=48, steps=2, bs=2, nf=4, n_blocks=1).save(tmp_path/'tiny.json')
    cli.recognise(train='pets-toy', recipe=str(r), out=tmp_path/'run', json=True)
    assert json.loads(capsys.readouterr().out)['figures'] and (tmp_path/'run'/'student.safetensors').is_file()
    for kw, says in ((dict(evaluate='nowhere', teacher='toy'), 'nowhere'), (dict(evaluate='a', train='b'), 'give one of'),
                     (dict(evaluate=str(root), teacher='resnet5'), 'is not known'), (dict(), 'nothing to do')):
        with pytest.raises((ValueError, OSError), match=says): cli.recognise(**kw)

def test_command_line_errors(tmp_path):
    r = subprocess.run([sys.executable, '-m', 'srgan_course', 'recognise', str(tmp_path/'none.jpg')], capture_output=True, text=True)
    assert r.returncode == 2 and r.stderr.strip().endswith('none.jpg: no such file') and len(r.stderr.strip().splitlines()) == 1

def test_without_weights_the_stand_in_is_named(monkeypatch):
    def gone(arch): raise OSError(f'{arch}: its weights could not be had; put them there')
    monkeypatch.setattr(K, 'pretrained', gone); monkeypatch.setattr(K, 'toy_teacher', lambda seed=0: toy(seed))
    t, said = K.teacher_or_toy()
    assert t.name == 'toy 0' and "resnet50: its weights could not be had: the classifier is the course's own, taught on drawn pets" in said
    one_line(lambda: K.teacher_or_toy('resnet50'), 'could not be had', kind=OSError)

def test_the_seed_of_a_recipe_counts_where_none_is_given(tmp_path, monkeypatch):
    from srgan_course import cli
    monkeypatch.chdir(tmp_path); got = []
    M.RECOGNISE_RECIPES['quick'].replace(seed=7).save(tmp_path/'r.json')
    def stop(r, *args, **kwargs): got.append(r.seed); raise ValueError('enough')
    monkeypatch.setattr(M, 'train_recognise', stop)
    for given in {}, dict(seed=9):
        with pytest.raises(ValueError, match='enough'): cli.recognise.__wrapped__(train='pets-toy', recipe=str(tmp_path/'r.json'), **given)
    assert got == [7, 9]

# ---- what the lesson says

def test_in_short():
    """The lesson's summary says what the file says: what a third of the width costs a classifier that nobody learnt from, and what is won
    back, against bicubic, the control and the start. The README says it in short."""
    cells = json.loads((ROOT/'nbs'/'16_recognise.ipynb').read_text(encoding='utf-8'))['cells']
    [text], d = [t for c in cells if (t := ''.join(c['source'])).startswith('## In short')], load_result(ROOT/'results'/'recognise_study.json')
    rows, spread = d['figures']['judge'], {k.split(': ')[1]: v for k, v in d['spread'].items() if k.startswith(d['judge'])}
    pairs = {k.split(': ')[1]: v for k, v in d['pairs'].items() if k.startswith(d['judge'])}
    p = lambda v: f'{100*v:.1f}'
    span = lambda v: f'{p(v[0])} to {p(v[1])}'
    cost, won = p(rows['bicubic']['cost']), {k: p(v['won']) for k, v in rows.items() if 'won' in v}
    share = [f'{100*v:.0f}' for v in (rows['logits + pixels']['share'], *spread['logits + pixels']['share'])]
    gain = {k: f"{p(v['difference'])} ({span(v['interval'])})" for k, v in pairs.items()}
    runs = dict(zip(range(1, 6), ('one run', 'two runs', 'three runs', 'four runs', 'five runs')))[len(d['seeds']['logits + pixels'])]
    for words in (f"On {d['n']} photographs", "a pruned, 8-bit ResNet-50", f"{cost} points of", f"interval {span(spread['bicubic']['cost'])})",
                  f"already {won['start']} points above bicubic", f"{d['recipe']['steps']} steps on MobileNetV2's scores",
                  f"{won['logits + pixels']} above ({span(spread['logits + pixels']['won'])}; {runs})",
                  f"{share[0]} % of what was lost ({share[1]} to {share[2]} %)",
                  f"{won['pixels only']} above ({span(spread['pixels only']['won'])})", gain['logits + pixels - pixels only'],
                  f"the gain is {gain['logits + pixels - start']}, which is hardly clear of chance"):
        assert words in text, words
    assert 0 < pairs['logits + pixels - start']['interval'][0] < .001
    readme = (ROOT/'README.md').read_text(encoding='utf-8')
    for words in (f"On {d['n']} other photos", "the judge is a ResNet-50 (not the usual one: a pruned network", f"cost it {cost} points",
                  f"| the student | {won['logits + pixels']} |", f"classifier in the loss | {won['pixels only']} |", f"began from | {won['start']} |",
                  f"The {p(pairs['logits + pixels - start']['difference'])} points that this student (of scores and pixels) gained since it began are hardly clear of chance "
                  f"({span(pairs['logits + pixels - start']['interval'])})", f"any of this training (but these photos were among those it learnt from) | {won['srgan-x4, made smaller']} |"):
        assert words in readme, words

# ---- the groups of the study

def test_coarse_groups_of_imagenet():
    from srgan_course.kit.labels import imagenet_classes
    b, at = script('recognise'), {c: i for i, c in enumerate(imagenet_classes())}
    assert b.superclass([at[c] for c in ('beagle', 'goldfish', 'tabby', 'goose', 'king snake', 'monarch', 'teapot', 'pizza', 'toilet tissue')]) == [
        'dogs', 'fish, reptiles, amphibians', 'other mammals', 'birds', 'fish, reptiles, amphibians', 'invertebrates', 'things',
        'food, plants, places', 'things']
    assert sum(hi - lo + 1 for s in b.SUPERCLASSES.values() for lo, hi in s) == len(b.superclass(range(1000))) == 1000

def test_groups_by_confidence_are_equal_parts_in_order():
    z = np.random.default_rng(0).normal(size=(24, 2)).astype(np.float32)
    rec = N.Recognition(None, 'T', {'T': {N.ORIGINALS: z}}, {N.ORIGINALS: z[:, 0]}, {})
    groups = np.array(script('recognise').groups_by_confidence(rec, 3))
    sure, names = torch.from_numpy(z).softmax(1).amax(1).numpy(), sorted(set(groups))
    assert [(groups == n).sum() for n in names] == [8]*3
    assert all(sure[groups == a].max() <= sure[groups == b].min() for a, b in zip(names, names[1:]))

def test_two_figures_of_one_name_on_a_disk_that_ignores_case(tmp_path, monkeypatch):
    "Refused before anything is read; where names differ by case, they are two."
    from srgan_course import cli
    monkeypatch.chdir(tmp_path)
    for n in 'A.png', 'a.png': (tmp_path/n).write_bytes(b'no')
    monkeypatch.setattr(M, 'picture_ways', lambda *args: 1/0)
    with pytest.raises(ZeroDivisionError): cli.recognise(tmp_path/'A.png', tmp_path/'a.png')
    monkeypatch.setattr('srgan_course.kit.files.ignores_case', lambda p: True)
    with pytest.raises(ValueError, match='two of the pictures have one name'): cli.recognise(tmp_path/'A.png', tmp_path/'a.png')

def test_a_grey_picture_of_16_bits_is_what_it_is(tmp_path):
    "It was white for the classifier, for every way, and in the figure."
    a = np.random.default_rng(0).integers(0, 256, (60, 60)).astype(np.uint8)
    grey, deep = Image.fromarray(a), Image.fromarray(a.astype(np.uint16)*257)
    assert deep.mode == 'I;16' and toy().guesses(grey) == toy().guesses(deep)
    one, two = (M.recognise_picture(im, {'bicubic': 'bicubic'}, toy(), size=48) for im in (grey, deep))
    assert all(np.array_equal(np.asarray(one[k]['picture']), np.asarray(two[k]['picture'])) for k in one)

def test_what_a_student_does_not_learn_from():
    "Bytes of NumPy are taken as torch's are; a side that is too large was taken for some place of the picture, without a word."
    x = np.random.default_rng(0).integers(0, 256, (4, 3, 48, 48), dtype=np.uint8)
    def taught(x, **kw): return M.train_student(M.student(None, nf=4, n_blocks=1), x, M.RecogniseLoss(logits=0., pixel=1.), **(dict(steps=1, bs=2, every=1) | kw))
    assert taught(x, side=8, valid=x) == taught(torch.from_numpy(x), side=8, valid=torch.from_numpy(x))
    for bad in x/255, x.transpose(0, 2, 3, 1), x[0], x[:0], [1, 2]:
        with pytest.raises(ValueError, match='^originals are .*; give uint8 .n,3,H,W., or `Originals`, one or more$'): taught(bad)
    for kw, says in (dict(bs=0), 'bs is 0'), (dict(side=17), 'side is 17; give a whole number from 0 to 16'), (dict(every=0), 'every is 0'):
        with pytest.raises(ValueError, match=says): taught(x, **kw)
