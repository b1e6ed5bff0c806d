"Options and fixtures shared by the tests."
import os
from pathlib import Path
import pytest

os.environ.setdefault('MPLBACKEND', 'agg')
ROOT = Path(__file__).resolve().parent.parent

def pytest_addoption(parser):
    parser.addoption('--slow', action='store_true', help='run what is marked slow, too')
    parser.addoption('--cuda', action='store_true', help='run what needs a GPU, too')

def pytest_sessionstart(session):
    "An AMX that a virtual machine announces and cannot use would end a test's process: oneDNN is told before it computes anything (the commands and lessons ask for themselves)."
    from srgan_course.kit.devices import bfloat16_works
    bfloat16_works()

def pytest_collection_modifyitems(config, items):
    for flag in ('slow', 'cuda'):
        if config.getoption('--' + flag): continue
        skip = pytest.mark.skip(reason=f'{flag}: run with --{flag}')
        for item in items:
            if item.get_closest_marker(flag): item.add_marker(skip)
    if hasattr(config, 'workerinput'): items.sort(key=seconds, reverse=True)    # in a worker of `make test`: what takes long begins first

# rough seconds on one core, for the order alone; groups by their name
SECONDS = {'test_notebook[16_recognise]': 45, 'test_notebook[17_esrgan]': 45, 'test_notebook[18_cats]': 60, 'test_resume_is_exact': 25,
           'test_notebook[14_classifier]': 60, 'test_notebook[15_augment]': 40, 'test_two_steps_of_full': 60, 'test_notebook[09_srgan]': 90,
           'kill': 85, 'test_notebook[07_gan]': 80, 'test_train_and_stop': 70, 'test_two_steps_and_resume[faces]': 65,
           'test_notebook[02_data]': 60, 'test_notebook[12_fid]': 55, 'test_notebook[13_domain]': 40,
           'test_recipe_stops_resumes_and_is_tuned': 30,
           'test_notebook[06_losses]': 50, 'test_upscale_one_and_errors': 48, 'test_notebook[05_critics]': 45,
           'test_notebook[04_generators]': 42, 'test_notebook[10_upscale]': 40, 'gan': 36, 'test_growing_patches_killed_and_resumed': 35,
           'test_demo': 32, 'site': 75, 'test_command_trains_evaluates_and_classifies': 45, 'test_two_steps_of_every_recipe[photos]': 20,
           'test_two_steps_of_every_recipe[imagenet]': 13, 'test_notebook[kit/files]': 20, 'test_notebook[kit/stats]': 15,
           'test_two_steps_and_resume[pets]': 28, 'test_evaluate': 27, 'test_two_steps_and_resume[full]': 26,
           'test_memory_is_bounded_by_the_tile': 24, 'test_upscale_folder': 20, 'test_command_over_a_folder': 18}

def seconds(item):
    group = item.get_closest_marker('xdist_group')
    return SECONDS.get(group.args[0] if group else item.name, 31 if item.name.startswith('test_notebook[') else 0)

@pytest.fixture
def root(): return ROOT

def _folder(var):
    folder = os.environ.get(var)
    if not folder or not Path(folder).is_dir(): pytest.skip(f'{var} is not set to a folder')
    return Path(folder)

@pytest.fixture
def srgan_data(): "Folder of real pictures; skipped (and counted) where it is missing."; return _folder('SRGAN_DATA')

@pytest.fixture
def srgan_weights(): "Folder of pretrained weights; skipped (and counted) where it is missing."; return _folder('SRGAN_WEIGHTS')
