"Options and fixtures shared by the tests."
import ctypes, importlib.util, os, sys
from pathlib import Path
import pytest

os.environ.setdefault('MPLBACKEND', 'agg')
ROOT = Path(__file__).resolve().parent.parent

if sys.platform == 'linux' and hasattr(ctypes.CDLL(None), 'mallopt'):
    # glibc gives a large tensor's memory back at once; to fetch it anew, page by page, takes as long as a convolution. Kept here, and in forks
    for what, size in (-3, 10**9), (-1, 2*10**9): ctypes.CDLL(None).mallopt(what, size)        # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD

def pytest_addoption(parser):
    parser.addoption('--slow', action='store_true', help='run what is marked slow, too')
    parser.addoption('--cuda', action='store_true', help='run what needs a GPU, too')

def pytest_sessionstart(session):
    "An AMX that a virtual machine announces and cannot use would end a test's process: oneDNN is told before it computes anything."
    from srgan_course.kit.devices import bfloat16_works
    bfloat16_works()

def pytest_collection_modifyitems(config, items):
    # what takes long is begun first: at the end, when a worker has nothing left, the other one is busy with something short
    items.sort(key=lambda item: item.path.name not in ('test_notebooks.py', 'test_site.py'))
    for flag in ('slow', 'cuda'):
        if config.getoption('--' + flag): continue
        skip = pytest.mark.skip(reason=f'{flag}: run with --{flag}')
        for item in items:
            if item.get_closest_marker(flag): item.add_marker(skip)

def script(name):
    "A script of benchmarks/ as a module."
    if (folder := str(ROOT/'benchmarks')) not in sys.path: sys.path.append(folder)          # where it finds frame.py
    spec = importlib.util.spec_from_file_location(f'benchmark_{name}', ROOT/'benchmarks'/f'{name}.py')
    spec.loader.exec_module(m := importlib.util.module_from_spec(spec))
    return m

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
