"""Files that version 0.1.0 made are read by what came after it: models, classifiers, recipes, and the checkpoints of finished runs, which
go on for longer.

tests/files_0_1/make.py made them, before the code that reads and writes files was moved. Nothing here may be made anew to get a test to
pass.
"""
import json, shutil
import pytest, torch
from conftest import ROOT

OLD = ROOT/'tests'/'files_0_1'

@pytest.fixture
def run(tmp_path):
    "A copy of one of the old runs, to go on in."
    def copy(name): return shutil.copytree(OLD/name, tmp_path/name)
    return copy

@pytest.mark.parametrize('path', sorted([*(OLD/'models').glob('*.safetensors'), *OLD.glob('*_run/generator.safetensors'),
                                         *OLD.glob('*_run/pretrained.safetensors'), *OLD.glob('*_run/student.safetensors')]),
                         ids=lambda p: p.relative_to(OLD).as_posix())
def test_models(path):
    from srgan_course.generators import load_model
    net = load_model(path)
    if 'scale' not in net.args: assert net(torch.zeros(1, net.args['nz'])).shape[1] == 3; return
    y = net(torch.rand(1, 3, 12, 12))
    assert y.shape[-1] == 12*net.args['scale'] and y.isfinite().all()

def test_classifier():
    from srgan_course.classifier import load_classifier
    clf = load_classifier(OLD/'classifier_run'/'classifier.safetensors')
    assert clf.classes == ['cat', 'dog'] and clf.probs(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).shape == (2, 2)

@pytest.mark.parametrize('name', ['srgan_run', 'cats_run', 'student_run', 'classifier_run'])
def test_recipes(name):
    from srgan_course.cats import CatsRecipe
    from srgan_course.classifier import ClassifierRecipe
    from srgan_course.recognise import RecogniseRecipe
    from srgan_course.srgan import SRGANRecipe
    if name == 'classifier_run':
        was = json.loads((OLD/name/'run.json').read_text())['recipe']
        assert json.loads(ClassifierRecipe(**was).to_json()) == was
        return
    get = dict(srgan_run=SRGANRecipe.load, cats_run=CatsRecipe.load, student_run=RecogniseRecipe.load)[name]
    was = json.loads((OLD/name/'recipe.json').read_text())
    now = json.loads(get(OLD/name/'recipe.json').to_json())
    assert {k: now[k] for k in was if k != 'opt'} == {k: v for k, v in was.items() if k != 'opt'} and was.get('opt', 'adam') == 'adam'

@pytest.mark.parametrize('phase', ['pretrain', 'gan'])
def test_checkpoints(phase):
    from srgan_course.kit.checkpoints import latest_checkpoint
    path, tensors, plain = latest_checkpoint(OLD/'srgan_run'/'checkpoints'/phase, read=True)
    assert plain['n_steps'] == 2 and any(k.startswith('model/') for k in tensors) and any(k.startswith('opt/') for k in tensors)

def test_srgan_run_is_found_done(run):
    "The command that made the run finds both phases done, and measures the same figures."
    from srgan_course.metrics import load_result
    from srgan_course.kit.recipe import get_recipe
    from srgan_course.srgan import SRGANRecipe, train
    out = run('srgan_run')
    train(get_recipe(out/'recipe.json', SRGANRecipe), out=out, resume=True, progress=False)
    assert (out/'generator.safetensors').read_bytes() == (OLD/'srgan_run'/'generator.safetensors').read_bytes()
    was, now = (load_result(p/'results.json')['figures'] for p in (OLD/'srgan_run', out))
    for name in was:
        for k, v in was[name].items(): assert abs(now[name][k] - v) < 1e-4, (name, k)

def test_srgan_checkpoint_is_taken_up(run):
    "Without the generator's file the game is taken up from its last checkpoint, which makes the same generator."
    from srgan_course.generators import load_model
    from srgan_course.kit.recipe import get_recipe
    from srgan_course.srgan import SRGANRecipe, train
    out = run('srgan_run')
    (out/'generator.safetensors').unlink()
    train(get_recipe(out/'recipe.json', SRGANRecipe), out=out, resume=True, progress=False)
    was, now = (load_model(p/'generator.safetensors').state_dict() for p in (OLD/'srgan_run', out))
    assert all(torch.equal(was[k], now[k]) for k in was)

def test_cats_checkpoint_is_taken_up(run):
    "Without the generator's file the game of the cats is taken up from its last checkpoint, which makes the same generator."
    from srgan_course.cats import CatsRecipe, train_cats
    from srgan_course.generators import load_model
    out = run('cats_run')
    (out/'generator.safetensors').unlink()
    train_cats(CatsRecipe.load(out/'recipe.json'), out=out, resume=True)
    was, now = (load_model(p/'generator.safetensors').state_dict() for p in (OLD/'cats_run', out))
    assert all((was[k] - now[k]).abs().max() < 1e-5 for k in was)

def test_classifier_run_is_found_done(run):
    "The old run's own training goes on with its checkpoint: nothing is left to train, and its report is the same."
    from srgan_course.classifier import ClassifierRecipe, split_pets, train_classifier
    from srgan_course.metrics import load_result
    out = run('classifier_run')
    r = ClassifierRecipe(**json.loads((out/'run.json').read_text())['recipe'])
    res = train_classifier(r, out=out, resume=True, split=split_pets('pets-toy', .3, 0, n=16, size=32, classes=r.classes))
    was = load_result(OLD/'classifier_run'/'results.json')['figures']
    assert abs(res.report['loss'] - was['loss']) < 1e-4 and res.report['accuracy'] == was['accuracy'] and len(res.history) == 2
