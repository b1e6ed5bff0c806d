"Damaged pictures and pictures of any mode: opened as Pillow decodes them, or refused in one line; saved and opened again, they are the same."
import math, subprocess, sys, tracemalloc
from pathlib import Path
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
import mutate
from srgan_course.images import from_array, open_image, to_array
from srgan_course.kit.codec import image_bytes
from srgan_course.metrics import psnr_rgb, psnr_y

@pytest.mark.parametrize('name', sorted(mutate.seeds()))
def test_the_seeds_open_as_pillow_decodes_them(name): assert mutate.check(mutate.seeds()[name]) == 'opened'

def test_a_few_hundred_damaged_pictures(tmp_path):
    "Seeded: each format some six times."
    seen = {'refused': 0, 'opened': 0}
    for i in range(300):
        name, b = mutate.mutated(i)
        seen[mutate.check(b, max_pixels=2**22)] += 1
        if 'film' in name or 'pages' in name: (p := tmp_path/'x').write_bytes(b); mutate.check_frames(p, max_pixels=2**22)
    assert min(seen.values()) > 20, seen

@pytest.mark.parametrize('name', ['PNG', 'png_one', 'png_grey'])
def test_damaged_pixels_are_damage_also_where_notes_are_asked_first(name):
    "Pillow decodes a PNG when it is asked for its EXIF, and gives what it has when it is asked again: such files were opened half black."
    b = bytearray(mutate.seeds()[name])
    b[b.index(b'IDAT') + 4] ^= 0xff
    with pytest.raises(ValueError, match='damaged or truncated PNG'): open_image(mutate.with_sums(bytes(b)))

def test_a_length_of_2_gb_is_not_set_aside(tmp_path):
    "A chunk that claims more than the file holds, behind pixels that are all there: Pillow asks for the rest of it, and Python would make room first."
    b = mutate.seeds()['PNG']; at = b.index(b'IDAT')
    (p := tmp_path/'x.png').write_bytes(b[:at-4] + b'\x7f\xff\xff\xf0' + b[at:])
    tracemalloc.start()
    try: assert open_image(p).size == (36, 24) and tracemalloc.get_traced_memory()[1] < 2**24
    finally: tracemalloc.stop()

@pytest.mark.slow
@pytest.mark.skipif(sys.platform == 'win32', reason='limits of a process')
def test_20_000_damaged_pictures():
    "In processes of 2 GB; no picture takes 5 seconds of the processor."
    for first in range(0, 20_000, 5_000):
        r = subprocess.run([sys.executable, '-B', Path(mutate.__file__), str(first), str(first + 5_000)], capture_output=True, text=True)
        assert r.returncode == 0, (r.returncode, r.stdout[-300:], r.stderr[-2000:])

@st.composite
def arrays(draw):
    "uint8 or uint16, grey, with alpha, in colour, of any small size."
    h, w, c = draw(st.integers(1, 40)), draw(st.integers(1, 40)), draw(st.sampled_from([None, 2, 3, 4]))
    bits, seed = draw(st.sampled_from([8, 16])), draw(st.integers(0, 2**32 - 1))
    return np.random.default_rng(seed).integers(0, 2**bits, (h, w) if c is None else (h, w, c)).astype(f'uint{bits}')

few = settings(max_examples=40, deadline=None, derandomize=True)

@few
@given(arrays(), st.sampled_from(['.png', '.tif']))
def test_any_mode_in_is_that_mode_out(a, suffix):
    img = from_array(a)
    got = open_image(image_bytes(img, f'x{suffix}'))
    if suffix == '.tif' and a.dtype == np.uint16 and a.shape[2:] == (2,): a = a[..., [0, 0, 0, 1]]       # as documented
    else: assert got.mode == img.mode
    assert np.array_equal(to_array(got), a)

@few
@given(arrays(), st.integers(1, 60))
def test_psnr_of_itself_is_infinite_and_a_shift_costs_what_the_formula_says(a, d):
    "All levels moved by d of 255: 20 lg(255/d) dB on the colours."
    x = np.atleast_3d(a)[..., :1].repeat(3, 2)
    x = (x//(257 if a.dtype == np.uint16 else 1)//2).astype(np.uint8)                       # room above for the shift
    x = from_array(np.pad(x, ((0, 12), (0, 12), (0, 0)), 'edge'))
    assert psnr_rgb(x, x, 0) == psnr_y(x, x, 0) == math.inf
    y = from_array(to_array(x) + np.uint8(d))
    assert psnr_rgb(x, y, 0) == pytest.approx(20*math.log10(255/d), abs=1e-6)
    assert psnr_y(x, y, 0) == pytest.approx(20*math.log10(255/(d*219/255)), abs=1e-3)      # luminance in studio range has 219 levels
