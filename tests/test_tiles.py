"Any size from one pixel on, any tile: the tiles are the whole, with networks of any depth, in both engines."
import numpy as np
import pytest, torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from srgan_course.generators import LightSR, SRResNet
from srgan_course.images import from_array, to_array
from srgan_course.upscale import Upscaler
from test_upscale import Shift

def network(make): torch.manual_seed(0); return Upscaler(make(), device='cpu')

UP = {'LightSR x4': lambda: network(lambda: LightSR(4, 8, 2)), 'LightSR x3': lambda: network(lambda: LightSR(3, 4, 1)),
      'exactly 4 pixels': lambda: network(lambda: Shift(4)), 'SRResNet x2': lambda: network(lambda: SRResNet(2, 4, 1)), 'light-x4 in ONNX': lambda: Upscaler.load('light-x4', device='cpu', engine='onnx')}
def test_one_pixel_less_would_be_noticed():
    up = UP['exactly 4 pixels'](); up._overlap = up.overlap - 1
    with pytest.raises(AssertionError): check_tiles(up)

few = settings(max_examples=15, deadline=None, derandomize=True, database=None, phases=[Phase.generate])

@pytest.mark.parametrize('name', UP)
def test_any_tile_is_the_whole(name):
    "Floats to 1e-4; pictures of every mode to a level of 255, and with 16 bits to 257 levels of 65,535."
    check_tiles(UP[name]())

def check_tiles(up):
    @few
    @given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 48), st.sampled_from([None, 2, 3, 4]), st.sampled_from([8, 16]), st.integers(0, 2**32 - 1))
    def check(h, w, tile, c, bits, seed):
        rng = np.random.default_rng(seed)
        x = rng.random((1, 3, h, w), np.float32)
        whole = up.tensor(x, max(h, w))
        assert whole.shape == (1, 3, h*up.scale, w*up.scale) and np.abs(up.tensor(x, tile) - whole).max() <= 1e-4
        img = from_array(rng.integers(0, 2**bits, (h, w) if c is None else (h, w, c)).astype(f'uint{bits}'))
        a, b = up(img, max(h, w)), up(img, tile)
        assert (a.size, a.mode) == (b.size, b.mode) == ((w*up.scale, h*up.scale), img.mode)
        assert np.abs(to_array(a).astype(int) - to_array(b).astype(int)).max() <= (1 if bits == 8 else 257)
    check()
