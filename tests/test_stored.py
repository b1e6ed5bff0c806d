"What formats mean by the numbers they store, where Pillow takes them for something else: seen by another decoder, or known from how the file was made."
import struct, warnings
from io import BytesIO
import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image
from srgan_course.images import from_array, open_image, save_image, to_array
from srgan_course.kit.codec import identify
from srgan_course.kit.formats import need_package
from srgan_course.kit.frames import first_of, frame_count, read_frames
from srgan_course.kit.wanted import Wanted, size_to_make

rng = np.random.default_rng(0)
noise = lambda *s: rng.integers(0, 256, s).astype(np.uint8)
by_opencv = lambda b: cv2.imdecode(np.frombuffer(b, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]

# ---- TIFF

@pytest.mark.parametrize('kind', [1, 4, 5])
@pytest.mark.parametrize('deep', [np.uint8, np.uint16])
def test_a_smaller_copy_or_a_mask_in_front_is_not_the_picture(tmp_path, kind, deep):
    a, p = noise(20, 28, 3).astype(deep)*np.uint8(1), tmp_path/'x.tif'
    with tifffile.TiffWriter(p) as t:
        for _ in range(2): t.write(a[::2, ::2], photometric='rgb', subfiletype=1)
        t.write(a, photometric='rgb'); t.write(a[::2, ::2], photometric='rgb', subfiletype=1)
    p.write_bytes(p.read_bytes().replace(struct.pack('<HHII', 254, 4, 1, 1), struct.pack('<HHII', 254, 4, 1, kind)))
    np.testing.assert_array_equal(to_array(open_image(p)), a)
    assert frame_count(p) == 1 and first_of(p) == (None, None) and [to_array(f).shape for f, _ in read_frames(p)] == [a.shape]
    with pytest.raises(ValueError, match='28 x 20 = 560 pixels'): open_image(p, max_pixels=300)
    with p.open('rb') as f: assert identify(f, 10**6).size == (28, 20)
    tifffile.imwrite(p, a[::2, ::2], photometric='rgb', subfiletype=1)          # nothing else is there
    np.testing.assert_array_equal(to_array(open_image(p)), a[::2, ::2])

@pytest.mark.parametrize('times', [1, 257])
@pytest.mark.parametrize('compression', [None, 'zlib'])
def test_colour_map_of_8_or_16_bits(times, compression):
    colours = noise(3, 256).astype(np.uint16)
    tifffile.imwrite(out := BytesIO(), a := noise(9, 8), photometric='palette', colormap=colours*np.uint16(times), compression=compression)
    got = to_array(open_image(out.getvalue()))
    np.testing.assert_array_equal(got, colours[:, a].transpose(1, 2, 0))
    np.testing.assert_array_equal(got, by_opencv(out.getvalue()))

@pytest.mark.parametrize('across, down', [(2, 2), (2, 1), (1, 1)])
def test_colours_that_pixels_share_without_compression(across, down):
    "The brightness of each pixel, and after those of a block the two colours of all of them."
    ycc = np.asarray(Image.fromarray(noise(4, 6, 3).repeat(2, 0).repeat(2, 1)).convert('YCbCr'))
    blocks = ycc.reshape(8//down, down, 12//across, across, 3).transpose(0, 2, 1, 3, 4).reshape(-1, down*across, 3)
    strip = np.concatenate([blocks[..., 0], blocks[:, 0, 1:]], 1).tobytes()
    tags = {256: (3, 1, 12), 257: (3, 1, 8), 258: (3, 3, 122), 259: (3, 1, 1), 262: (3, 1, 6), 273: (4, 1, 128), 277: (3, 1, 3), 279: (4, 1, len(strip)),
            530: (3, 2, across | down << 16)}
    b = b'II*\0\x08\0\0\0' + struct.pack('<H', len(tags)) + b''.join(struct.pack('<HHII', k, *v) for k, v in tags.items()) + bytes(4)
    b = b.ljust(122, b'\0') + struct.pack('<3H', 8, 8, 8) + strip
    got = to_array(open_image(b)).astype(int)
    assert got.shape == (8, 12, 3) and np.abs(got - by_opencv(b)).max() <= 2

# ---- Photoshop

def psd(a, mode, bits=8, packed=False, layers=b'', resources=b''):
    "Of planes (channels,h,bytes of a row); `w` from them, 8 pixels a byte where it is of 1 bit."
    c, h, n = a.shape
    rows = [bytes([len(r) - 1]) + r.tobytes() for r in a.reshape(-1, n)]
    pixels = b'\0\1' + b''.join(struct.pack('>H', len(r)) for r in rows) + b''.join(rows) if packed else b'\0\0' + a.tobytes()
    part = lambda b: struct.pack('>I', len(b)) + b
    return b'8BPS\0\1' + bytes(6) + struct.pack('>HIIHH', c, h, n*8//bits, bits, mode) + bytes(4) + part(resources) + part(layers) + pixels

@pytest.mark.parametrize('packed', [False, True])
def test_in_a_photoshop_bitmap_1_is_black(packed):
    black = rng.integers(0, 2, (9, 24))
    got = to_array(open_image(psd(np.packbits(black, axis=1).astype(np.uint8)[None], 0, 1, packed)))
    np.testing.assert_array_equal(got, 255*(1 - black))

@pytest.mark.parametrize('mode, channels, read, left', [(1, 1, 1, 0), (1, 2, 1, 1), (3, 3, 3, 0), (3, 4, 4, 0), (3, 6, 3, 3), (4, 4, 3, 0), (4, 5, 3, 1), (7, 3, 1, 2)])
def test_channels_of_a_photoshop_file_that_are_left_out_are_said(mode, channels, read, left):
    img = open_image(psd(noise(channels, 9, 8), mode))
    assert np.atleast_3d(to_array(img)).shape == (9, 8, read)
    assert (img.info.get('lost') or '').startswith(f'{left} channel{"s"*(left > 1)} of the file' if left else '') and bool(img.info.get('lost')) == bool(left)

@pytest.mark.parametrize('layers, named, clear', [(-2, True, True), (2, True, False), (0, True, False), (0, False, True)])
def test_a_saved_selection_is_no_transparency(layers, named, clear):
    "Adobe: the first of the spare channels is the transparency of the whole where the number of layers is negative."
    info = struct.pack('>h', layers) + bytes(2) if layers else b''
    a, names = noise(4, 9, 8), b'8BIM' + struct.pack('>HHI', 1006, 0, 8) + b'\x07Alpha 1'
    img = open_image(psd(a, 3, layers=struct.pack('>I', len(info)) + info if info else b'', resources=names*named))
    np.testing.assert_array_equal(to_array(img), a[:4 if clear else 3].transpose(1, 2, 0))
    assert bool(img.info.get('lost')) != clear

# ---- others

@pytest.mark.parametrize('kind, order', [(1, [2, 1, 0]), (3, [0, 1, 2])])
def test_sun_raster_of_32_bits(kind, order):
    "Its spare byte comes first (FFmpeg: 0BGR, 0RGB)."
    a = noise(9, 8, 3)
    b = struct.pack('>8I', 0x59a66a95, 8, 9, 32, 4*72, kind, 0, 0) + np.dstack([noise(9, 8), a[..., order]]).tobytes()
    np.testing.assert_array_equal(to_array(open_image(b)), a)

@pytest.mark.parametrize('end', [b'', b'\n', b' '])
@pytest.mark.parametrize('top', [255, 1023, 65535])
def test_numbers_in_words_may_end_with_the_file(end, top, capfd):
    a = rng.integers(0, top + 1, (9, 8, 3))
    got = to_array(open_image(b'P3\n8 9\n%d\n' % top + b' '.join(b'%d' % v for v in a.ravel()) + end))
    np.testing.assert_array_equal(got, a if top == 255 else np.rint(a*(65535/top)))
    assert capfd.readouterr().err == ''

def test_pictures_of_a_heic(tmp_path):
    "All of them as pages, the main one first, wherever it stands; without being asked for, that one, and a word on the others."
    heif = pytest.importorskip('pillow_heif')
    need_package('HEIF')
    plain = [np.full((h, 64, 3), c, np.uint8) for h, c in ((48, (200, 30, 30)), (32, (30, 200, 30)), (48, (30, 30, 200)))]
    several = heif.from_pillow(Image.fromarray(plain[0]))
    for a in plain[1:]: several.add_from_pillow(Image.fromarray(a))
    several.save(p := tmp_path/'x.heic', quality=-1, primary_index=1)
    alike = lambda img, a: img.size == a.shape[1::-1] and np.abs(to_array(img).astype(int) - a).max() < 4
    assert alike(open_image(p), plain[1]) and first_of(p) == ([1, 3], None)
    got = [*read_frames(p)]
    assert [s for _, s in got] == [None]*3 and all(alike(img, plain[i]) for (img, _), i in zip(got, (1, 0, 2)))
    assert Wanted(frames=True).suffix(p) == '.tif' and Wanted().suffix(p) == '.png'

def test_a_jpeg_on_its_side_inside_a_jpeg_xl(tmp_path):
    "As cjxl packs photographs: turned like the JPEG, and what it says of itself comes along."
    pytest.importorskip('pillow_jxl')
    need_package('JXL')
    ex = Image.Exif(); ex[274], ex[0x010F] = 6, 'Maker'
    Image.fromarray(noise(3, 4, 3).repeat(8, 0).repeat(8, 1)).save(p := tmp_path/'x.jpg', quality=98, subsampling=0, exif=ex, dpi=(300, 300))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        Image.open(p).save(q := tmp_path/'x.jxl')
    a, b = open_image(p), open_image(q)
    assert a.size == b.size == (24, 32) and np.abs(to_array(a).astype(int) - to_array(b)).max() < 4
    assert b.info['dpi'] == (300, 300) and b.getexif()[0x010F] == 'Maker' and 274 not in b.getexif()

def test_xmp_of_a_jpeg_xl(tmp_path):
    pytest.importorskip('pillow_jxl')
    p = save_image(from_array(noise(9, 8, 3), {'xmp': b'<x:xmpmeta>hello</x:xmpmeta>'}), tmp_path/'x.jxl')
    assert open_image(p).info['xmp'] == b'<x:xmpmeta>hello</x:xmpmeta>'
    Image.fromarray(noise(9, 8, 3)).save(p, xmp=b'<x:xmpmeta>hello</x:xmpmeta>'*9, compress_metadata=True)
    assert open_image(p).info['lost'] == 'XMP that is packed left out'

def test_a_heic_that_is_too_narrow_is_refused_before_the_network_runs(tmp_path):
    pytest.importorskip('pillow_heif')
    with pytest.raises(ValueError, match='y.heic: cannot be saved as HEIF'): size_to_make(Image.new('RGB', (8300, 1)), tmp_path/'y.heic', 2)
    assert size_to_make(Image.new('RGB', (8300, 32)), tmp_path/'y.heic', 2) == (16600, 64)
