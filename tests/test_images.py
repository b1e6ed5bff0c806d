"Pictures of every kind a folder may hold: read faithfully, saved whole or not at all."
import builtins, errno, functools, os, pickle, stat, struct, subprocess, sys, warnings, zlib
from io import BytesIO
from pathlib import Path
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageDraw, ImageFilter, PngImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from srgan_course.kit import pixels, show
from srgan_course.images import (DeepImage, compare_still, crop_to_multiple, downscale, find_images, from_array, interpolate, luminance,
                                 open_image,
                                 save_image, show_grid, to_array, to_image, to_tensor)
from srgan_course.kit.codec import image_bytes
from srgan_course.kit.files import write_whole
from srgan_course.kit.formats import check_quality
from srgan_course.kit.lists import to_do
from srgan_course.kit.pixels import to_8bit, to_view
from srgan_course.kit.splits import class_items

rng = np.random.default_rng(0)
noise = lambda *shape, top=256: rng.integers(0, top, shape).astype(np.uint8 if top <= 256 else np.uint16)
deep = lambda *shape: noise(*shape, top=65536)

def smooth(h=20, w=30):
    "An RGB picture that no turn or mirror leaves alike and that JPEG hardly changes: red grows to the right, green downwards."
    y,x = np.mgrid[:h, :w]
    return np.stack([40 + 150*x/w, 60 + 120*y/h, 90 + 0*x], -1).astype(np.uint8)

def png(a, bits=None, kind=None, extra=b'', size=None):
    "A PNG made by hand of the array `a`: what Pillow cannot write."
    chunk = lambda t, d: struct.pack('>I', len(d)) + t + d + struct.pack('>I', zlib.crc32(t + d))
    a = np.atleast_3d(a)
    bits, kind = bits or a.dtype.itemsize*8, {1: 0, 2: 4, 3: 2, 4: 6}[a.shape[2]] if kind is None else kind
    w,h = size or a.shape[1::-1]
    raw = b''.join(b'\0' + row.astype('>u2' if bits == 16 else 'u1').tobytes() for row in a)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', w, h, bits, kind, 0, 0, 0)) + extra
            + chunk(b'IDAT', zlib.compress(raw)) + chunk(b'IEND', b''))

def encoded(img, fmt, **kw):
    out = BytesIO()
    img.save(out, fmt, **kw)
    return out.getvalue()

def same(img, a): return np.array_equal(to_array(img), a)

# ---- reading: modes

def test_rgb_grey_alpha_are_as_stored(tmp_path):
    for shape, mode in {(9,7): 'L', (9,7,2): 'LA', (9,7,3): 'RGB', (9,7,4): 'RGBA'}.items():
        a = noise(*shape)
        for fmt in ('PNG', 'TIFF'):
            p = tmp_path/f'{mode}.{fmt.lower()}'
            Image.fromarray(a).save(p)
            img = open_image(p)
            assert img.mode == mode and same(img, a)
            assert type(img) is Image.Image                    # no handle on the file is left
            p.unlink()

def test_sources(tmp_path):
    "A path, text, bytes, a binary file and a picture opened with Pillow give the same."
    a = noise(5, 6, 3)
    p = tmp_path/'ein Bild ä.png'
    Image.fromarray(a).save(p)
    with open(p, 'rb') as f: assert same(open_image(f), a)
    for src in (p, str(p), p.read_bytes(), BytesIO(p.read_bytes()), Image.open(p)): assert same(open_image(src), a)

def test_one_bit():
    a = noise(11, 13, top=2)*255
    img = open_image(encoded(Image.fromarray(a).convert('1'), 'PNG'))
    assert img.mode == 'L' and same(img, a)

def test_palette():
    a = noise(8, 8, 3)//64*64
    img = Image.fromarray(a).quantize(200, dither=Image.Dither.NONE)
    got = open_image(encoded(img, 'PNG'))
    assert got.mode == 'RGB' and same(got, np.array(img.convert('RGB')))

def test_palette_with_transparency():
    img = Image.fromarray(np.array([[0,1],[2,1]], np.uint8), 'L').convert('P')
    img.putpalette([255,0,0, 0,255,0, 0,0,255])
    for clear in (1, bytes([255, 0, 255])):                    # one index, or an alpha for each
        got = open_image(encoded(img, 'PNG', transparency=clear))
        assert got.mode == 'RGBA'
        assert same(got, [[[255,0,0,255],[0,255,0,0]],[[0,0,255,255],[0,255,0,0]]])

def test_colour_key_becomes_alpha():
    a = noise(4, 5, 3)
    got = open_image(encoded(Image.fromarray(a), 'PNG', transparency=tuple(int(v) for v in a[1,2])))
    assert got.mode == 'RGBA' and to_array(got)[1,2,3] == 0 and (to_array(got)[...,3] == 0).sum() == 1
    g = np.arange(20, dtype=np.uint8).reshape(4, 5)
    got = open_image(encoded(Image.fromarray(g), 'PNG', transparency=7))
    assert got.mode == 'LA' and same(got, np.stack([g, np.where(g == 7, 0, 255)], -1))

def test_cmyk_is_not_inverted():
    "White paper stays white, whether the file stores ink or, as Adobe's JPEG do, what is left of the paper."
    img = Image.new('CMYK', (16, 16), (0, 0, 0, 0))
    img.paste((0, 255, 255, 0), (0, 0, 8, 16))                 # red ink on the left
    for fmt in ('JPEG', 'TIFF'):
        got = open_image(encoded(img, fmt))
        assert got.mode == 'RGB'
        assert np.abs(to_array(got)[8,2].astype(int) - [255,0,0]).max() < 12 and to_array(got)[8,13].min() > 243

def test_lab_and_others():
    red = np.full((4, 4, 3), (200, 30, 40), np.uint8)
    to_lab = ImageCms.buildTransform(ImageCms.createProfile('sRGB'), ImageCms.createProfile('LAB'), 'RGB', 'LAB')
    got = open_image(encoded(ImageCms.applyTransform(Image.fromarray(red), to_lab), 'TIFF'))
    assert got.mode == 'RGB' and np.abs(to_array(got).astype(int) - red).max() <= 3
    for mode in ('YCbCr', 'HSV', 'RGBX', 'PA', 'La', 'RGBa', 'I', '1', 'P'):      # pictures made in memory
        assert open_image(Image.new(mode, (3, 2))).mode in ('L', 'LA', 'RGB', 'RGBA', 'I;16')

# ---- reading: 16 bit

def test_grey16_stays_16():
    import tifffile
    a = deep(6, 9)
    def tiff(x, **kw):
        out = BytesIO()
        tifffile.imwrite(out, x, **kw)
        return out.getvalue()
    files = dict(png=png(a), tiff=tiff(a), big_endian=tiff(a, byteorder='>'), white_is_zero=tiff(65535 - a, photometric='miniswhite'),
                 pgm=b'P5 9 6 65535\n' + a.astype('>u2').tobytes())
    for name, b in files.items():
        got = open_image(b)
        assert got.mode == 'I;16' and same(got, a), name

def test_grey_of_more_bits():
    a = noise(6, 9, top=1024).astype(np.uint16)
    got = open_image(b'P5 9 6 1023\n' + a.astype('>u2').tobytes())
    assert np.abs(to_array(got) - a*(65535/1023)).max() <= 1
    f = rng.random((6, 9), dtype=np.float32)
    assert np.abs(to_array(open_image(encoded(Image.fromarray(f), 'TIFF'))) - f*65535).max() <= .51
    with pytest.raises(ValueError, match='do not say what is white'): open_image(encoded(Image.fromarray(f*300), 'TIFF'))

def test_grey16_with_a_clear_value():
    a = np.arange(20, dtype=np.uint16).reshape(4, 5)*3000
    chunk = struct.pack('>I', 2) + b'tRNS' + struct.pack('>H', 6000)
    got = open_image(png(a, extra=chunk + struct.pack('>I', zlib.crc32(chunk[4:]))))
    assert got.mode == 'LA' and np.array_equal(got.deep, np.stack([a, np.where(a == 6000, 0, 65535)], -1))

def sgi(a):
    "An SGI file of 16 bits a channel."
    a = np.atleast_3d(a); h, w, c = a.shape
    head = struct.pack('>hBBHHHHII', 474, 0, 2, 3 if c > 1 else 2, w, h, c, 0, 65535).ljust(512, b'\0')
    return head + a[::-1].transpose(2, 0, 1).astype('>u2').tobytes()

@pytest.mark.parametrize('c', [3, 4])
def test_16_bits_of_jpeg_2000(c):
    "Pillow gives 8, and turns the white into black."
    import cv2
    a = deep(48, 64, c); a[:9] = 65535; a[9:12] = 65407
    b = cv2.imencode('.jp2', a[..., [2, 1, 0, 3][:c]], [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])[1].tobytes()
    got = open_image(b)
    assert np.array_equal(got.deep, a) and 'lost' not in got.info

@pytest.mark.parametrize('bits', [10, 12])
def test_more_than_8_bits_of_avif_and_heic(bits):
    "To the last bit where the file has it; white is white, also where colour has half the resolution."
    import cv2
    a = deep(16, 24, 3); a[:4] = 65535
    if cv2.haveImageWriter('x.avif'):
        for quality, off in (100, 40), (90, 12000):
            how = [cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, quality]
            got = open_image(cv2.imencode('.avif', a[..., ::-1] >> 16 - bits, how)[1].tobytes()).deep
            assert got.max() == 65535 and np.abs(got.astype(int) - a).mean() < off
    heif = pytest.importorskip('pillow_heif')
    was, heif.options.SAVE_HDR_TO_12_BIT = heif.options.SAVE_HDR_TO_12_BIT, bits == 12
    try:
        for chroma, off in (444, 60), (420, 12000):
            for n, c in (3, 'RGB;16'), (4, 'RGBA;16'):
                x = a if n == 3 else np.dstack([a, a[..., 0]])
                heif.from_bytes(c, (24, 16), x.tobytes()).save(out := BytesIO(), quality=-1, chroma=chroma)
                got = open_image(out.getvalue())
                assert 'lost' not in got.info and np.abs(got.deep.astype(int) - x).mean() < off and got.deep[:4].min() >= 65280
    finally: heif.options.SAVE_HDR_TO_12_BIT = was

def test_what_is_read_with_8_bits_is_said(tmp_path):
    "SGI and CMYK: no library gives all their bits."
    import tifffile
    a = deep(6, 9, 3)
    for x in (a, a[..., 0], np.dstack([a, a[..., 0]])):
        got = open_image(sgi(x))
        assert got.info['lost'] == 'colours of 16 bits were read as 8' and np.abs(to_array(got).astype(int) - (x >> 8)).max() <= 1
    tifffile.imwrite(out := BytesIO(), deep(6, 9, 4), photometric='separated')
    assert open_image(out.getvalue()).info['lost'] == 'colours of 16 bits were read as 8'
    assert 'lost' not in open_image(save_image(got, tmp_path/'x.png')).info

@pytest.mark.parametrize('white', ['minisblack', 'miniswhite'])
@pytest.mark.parametrize('byteorder', '<>')
@pytest.mark.parametrize('compression', [None, 'zlib'])
def test_grey_tiff_of_every_kind(white, byteorder, compression):
    "Whole numbers with and without a sign and floats, in both orders of bytes, black or white first: what is read is right."
    import tifffile
    ramp, read = np.arange(96).reshape(8, 12), set()
    for dtype in ('u1', 'i1', 'u2', 'i2', 'u4', 'i4', 'f2', 'f4', 'f8'):
        top = {'f': 1, 'u1': 255, 'i1': 255}.get(dtype if dtype[1] == '1' else dtype[0], 65535)
        greys = ramp/95 if top == 1 else 9*ramp if dtype[1] == '4' else ramp           # greys up to 95 in 32 bits do not say what is white
        tifffile.imwrite(out := BytesIO(), greys.astype(dtype), photometric=white, byteorder=byteorder, compression=compression)
        try: got = to_array(open_image(out.getvalue()))
        except ValueError as e: assert 'which Pillow does not read' in str(e); continue
        want = np.rint(greys*65535) if top == 1 else greys
        assert np.abs(got - (want if white == 'minisblack' else (65535 if top == 1 else top) - want)).max() <= 1, dtype
        read.add(dtype)
    assert {'u1', 'f4'} <= read

@pytest.mark.parametrize('dtype', ['u4', 'i4'])
def test_greys_of_8_bits_in_32_are_refused(dtype):
    "They were read as those of 16 bits, and black."
    import tifffile
    tifffile.imwrite(out := BytesIO(), np.arange(256).reshape(16, 16).astype(dtype))
    with pytest.raises(ValueError, match='32-bit grey values from 0 to 255 do not say what is white'): open_image(out.getvalue())

def tga(px, bits, kind=2, palette=b''):
    "A TGA whose head gives `bits` to transparency, of stored pixels (h,w,channels)."
    head = struct.pack('<BBBHHBHHHHBB', 0, bool(palette), kind, 0, len(palette)//4, 32*bool(palette), 0, 0, *px.shape[1::-1], 8*px.shape[2], bits)
    return head + palette + px.tobytes()

def bmp(px, masks=None):
    "A BMP of 32 bits a pixel."
    head = struct.pack('<IiiHHIIiiII', 124, *px.shape[1::-1], 1, 32, 3 if masks else 0, px.nbytes, 0, 0, 0, 0) + struct.pack('<4I', *masks or (0,)*4)
    return b'BM' + struct.pack('<IHHI', 138 + px.nbytes, 0, 0, 138) + head.ljust(124, b'\0') + px.tobytes()

def ico(px):
    dib = struct.pack('<IiiHHIIiiII', 40, px.shape[1], 2*px.shape[0], 1, 32, 0, 0, 0, 0, 0, 0) + px.tobytes() + bytes(4*px.shape[0])
    return struct.pack('<HHH', 0, 1, 1) + struct.pack('<BBBBHHII', *px.shape[1::-1], 0, 0, 1, 32, len(dib), 22) + dib

def test_a_channel_that_is_no_transparency_hides_nothing():
    "0 bits of it in a TGA's head, or 0 everywhere in a BMP or an icon."
    px, masks = np.zeros((4, 4, 4), np.uint8) + np.uint8([10, 20, 200, 0]), (0xff0000, 0xff00, 0xff, 0xff << 24)
    some = px.copy(); some[0, 0, 3] = 77
    grey = np.zeros((4, 4, 2), np.uint8) + np.uint8([9, 0])
    for b, mode, first in ((tga(px, 0), 'RGB', (200, 20, 10)), (tga(px, 8), 'RGBA', (200, 20, 10, 0)), (tga(some, 8), 'RGBA', None), (tga(some, 0), 'RGB', None),
                           (tga(grey, 0, 3), 'L', 9), (tga(px[..., 3:], 0, 1, bytes([10, 20, 200, 0])*2), 'RGB', (200, 20, 10)),
                           (bmp(px), 'RGB', None), (bmp(px, masks), 'RGB', (200, 20, 10)), (bmp(some, masks), 'RGBA', None),
                           (ico(px), 'RGB', (200, 20, 10)), (ico(some), 'RGBA', None)):
        got = open_image(b)
        assert got.mode == mode and (first is None or got.getpixel((3, 3)) == first)
        assert ('lost' in got.info) == (b == tga(some, 0))                 # it may have meant something

@pytest.mark.parametrize('c', [2, 3, 4])
@pytest.mark.parametrize('suffix', ['.png', '.tif'])
def test_deep_colour_round_trip(tmp_path, c, suffix):
    "All 16 bits, alpha included, and the notes beside them."
    a = deep(70, 31, c)
    notes = dict(dpi=(300., 300.), icc_profile=srgb_profile(), exif=camera_exif())
    p = save_image(from_array(a, notes), tmp_path/f'x{suffix}')
    got = open_image(p)
    if c == 2 and suffix == '.tif': a = a[..., [0,0,0,1]]      # grey with alpha goes into a TIFF as colour
    assert isinstance(got, DeepImage) and np.array_equal(got.deep, a)
    assert c == 2 or got.info['icc_profile'] == notes['icc_profile']      # a profile for RGB does not fit grey
    assert got.info['dpi'] == pytest.approx((300, 300), abs=.01)
    exif = got.getexif()
    assert exif[0x0110] == 'Model 7' and exif.get_ifd(0x8769)[0x829A] == pytest.approx(1/250)
    with Image.open(p) as seen: assert seen.size == (31, 70)   # and it is a file that Pillow reads, too
    x = to_tensor(got)
    assert x.shape == (a.shape[2], 70, 31) and np.array_equal(to_image(x, like=got).deep, a)

def test_deep_png_agrees_with_opencv(tmp_path):
    cv2 = pytest.importorskip('cv2')
    a = deep(66, 5, 4)
    seen = cv2.imread(str(save_image(from_array(a), tmp_path/'x.png')), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(seen[..., [2,1,0,3]], a)

def test_deep_files_of_others():
    import cv2, tifffile
    a, b = deep(5, 7, 3), deep(5, 7, 4)
    assert np.array_equal(open_image(cv2.imencode('.png', a[..., ::-1])[1].tobytes()).deep, a)
    assert np.array_equal(open_image(cv2.imencode('.tiff', a[..., ::-1])[1].tobytes()).deep, a)          # LZW
    assert np.array_equal(open_image(b'P6 7 5 65535\n' + a.astype('>u2').tobytes()).deep, a)
    def tiff(x, **kw):
        out = BytesIO()
        tifffile.imwrite(out, x, photometric='rgb', **kw)
        return out.getvalue()
    for kw in (dict(), dict(byteorder='>'), dict(planarconfig='separate')):
        x = a.transpose(2,0,1).copy() if 'planarconfig' in kw else a
        assert np.array_equal(open_image(tiff(x, **kw)).deep, a), kw
    assert np.array_equal(open_image(tiff(b, extrasamples=['unassalpha'])).deep, b)
    times = (b.astype(np.uint32)*b[..., 3:]//65535).astype(np.uint16)
    times[..., 3] = b[..., 3]
    got = open_image(tiff(times, extrasamples=['assocalpha'])).deep                                     # colours stored times alpha
    assert np.array_equal(got[..., 3], b[..., 3])
    firm = b[..., 3] > 6000
    assert np.abs(got.astype(int) - b)[firm].max() < 16

def test_planes_that_pillow_mixes_up_are_refused():
    "Grey with alpha in packed planes was off by up to 252, CMYK of 16 bits in planes by up to 214; others of their kind are read."
    import tifffile
    r = np.random.default_rng(0)
    def tiff(a, photo, packed, apart, **kw):
        out = BytesIO()
        tifffile.imwrite(out, a.transpose(2, 0, 1).copy() if apart else a, photometric=photo, compression=packed,
                         planarconfig='separate' if apart else 'contig', metadata=None, **kw)
        return out.getvalue()
    la, cmyk = r.integers(0, 256, (40, 30, 2)).astype(np.uint8), r.integers(0, 2**16, (40, 30, 4)).astype(np.uint16)
    for packed in None, 'zlib':
        assert np.array_equal(to_array(open_image(tiff(la, 'minisblack', packed, False, extrasamples=['unassalpha']))), la)
    assert open_image(tiff(cmyk, 'separated', 'zlib', True)).size == (30, 40)
    for b in tiff(la, 'minisblack', 'zlib', True, extrasamples=['unassalpha']), tiff(cmyk, 'separated', None, True):
        with pytest.raises(ValueError, match='in planes of their own; save it as PNG first'): open_image(b)

def test_dark_square_tiff_is_not_turned_twice():
    "In the dark all upper bytes agree, whichever way a picture lies: who turns it has to be known, not guessed."
    import cv2
    a = deep(9, 9, 3) % 200
    b = cv2.imencode('.tiff', np.rot90(a)[..., ::-1])[1].tobytes()                            # LZW, which only OpenCV reads here
    with Image.open(BytesIO(b)) as img: tags = dict(img.tag_v2)
    assert tags[259] == 5
    ifd, out = ImageFileDirectory_v2(), BytesIO()
    for k,v in {**tags, 273: (0,), 274: 6}.items(): ifd[k] = v
    ifd.save(out)
    assert np.array_equal(open_image(out.getvalue() + b[tags[273][0]:][:tags[279][0]]).deep, a)

def test_deep_image_never_goes_stale():
    d = from_array(deep(8, 8, 3), {'dpi': (72., 72.)})
    for made in (d.convert('L'), d.crop((0, 0, 4, 4)), d.transpose(Image.Transpose.ROTATE_90), d.resize((4, 4)), d.filter(ImageFilter.BLUR),
                 Image.merge('RGB', d.split())):
        assert getattr(made, 'deep', None) is None             # Pillow's own operations give 8-bit pictures
    again = pickle.loads(pickle.dumps(d))
    assert np.array_equal(again.deep, d.deep) and np.array_equal(d.copy().deep, d.deep) and again.info == d.info
    ImageDraw.Draw(d).rectangle((0, 0, 7, 7), fill=(255, 0, 0))
    assert d.deep is None and (to_array(d) == [255, 0, 0]).all()

def test_8bit_rounds():
    assert to_8bit(np.array([0, 128, 129, 257*7, 65406, 65407, 65535], np.uint16)).tolist() == [0, 0, 1, 7, 254, 255, 255]
    assert np.array_equal(to_8bit(np.arange(256, dtype=np.uint16)*257), np.arange(256))

# ---- reading: orientation, animations, profiles

def with_orientation(o, fmt, **kw):
    exif = Image.Exif()
    exif[0x0112] = o
    exif[0x010F] = 'Maker'
    return encoded(Image.fromarray(stored(o)), fmt, exif=exif, **kw)

def stored(o):
    "What a camera held as orientation `o` says would store of the upright picture: worked out with Pillow, from the other end."
    T, img = Image.Transpose, Image.fromarray(smooth())
    back = {2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM, 5: T.TRANSPOSE, 6: T.ROTATE_90, 7: T.TRANSVERSE,
            8: T.ROTATE_270}.get(o)
    return np.array(img if back is None else img.transpose(back))

@pytest.mark.parametrize('o', range(1, 9))
@pytest.mark.parametrize('fmt', ['JPEG', 'PNG', 'TIFF', 'WEBP'])
def test_orientation(tmp_path, o, fmt):
    kw = dict(quality=100, subsampling=0) if fmt == 'JPEG' else dict(lossless=True) if fmt == 'WEBP' else {}
    got = open_image(with_orientation(o, fmt, **kw))
    assert got.size == (30, 20) and np.abs(to_array(got).astype(int) - smooth()).max() <= 4
    assert got.getexif().get(0x0112, 1) == 1 and got.getexif()[0x010F] == 'Maker'         # the tag is spent, the rest is kept
    again = open_image(save_image(got, tmp_path/'x.jpg'))
    assert again.size == (30, 20)                              # not turned a second time

@pytest.mark.parametrize('o', range(1, 9))
def test_orientation_of_deep_colour(o):
    import tifffile
    up = smooth().astype(np.uint16)*257 + 3
    x, out = stored(o).astype(np.uint16)*257 + 3, BytesIO()
    tifffile.imwrite(out, x, photometric='rgb', extratags=[(274, 3, 1, o, True)])
    assert np.array_equal(open_image(out.getvalue()).deep, up)
    exif = Image.Exif()
    exif[0x0112] = o
    body = exif.tobytes()[6:] if exif.tobytes()[:6] == b'Exif\0\0' else exif.tobytes()
    chunk = struct.pack('>I', len(body)) + b'eXIf' + body + struct.pack('>I', zlib.crc32(b'eXIf' + body))
    got = open_image(png(x, extra=chunk))
    assert np.array_equal(got.deep, up) and (o == 1 or 'exif' not in got.info)

@pytest.mark.parametrize('fmt', ['GIF', 'WEBP', 'PNG', 'TIFF'])
def test_first_frame(fmt):
    frames = [Image.new('RGB', (12, 8), c) for c in ('red', 'lime', 'blue')]
    got = open_image(encoded(frames[0], fmt, save_all=True, append_images=frames[1:], **(dict(lossless=True) if fmt == 'WEBP' else {})))
    assert to_array(got)[4,6,:3].tolist() == [255, 0, 0] and got.info['frames'] == 3

@functools.lru_cache
def srgb_profile(): return ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()

def swapped_profile():
    "sRGB with the tags of red and blue exchanged: a picture looks right only where the profile is used."
    b = srgb_profile()
    return b.replace(b'rXYZ', b'?XYZ', 1).replace(b'bXYZ', b'rXYZ', 1).replace(b'?XYZ', b'bXYZ', 1)

def wide_profile(gamma=2.2, primaries=((.64,.33),(.21,.71),(.15,.06))):
    "An RGB profile of the primaries and the gamma of Adobe RGB, made by hand."
    xyz = lambda x,y: np.array([x/y, 1, (1-x-y)/y])
    P, white = np.stack([xyz(*p) for p in primaries], 1), xyz(.3127, .3290)
    M = P*np.linalg.solve(P, white)
    B = np.array([[.8951,.2664,-.1614],[-.7502,1.7135,.0367],[.0389,-.0685,1.0296]])                    # Bradford: D65 -> D50
    d50 = np.array([.9642, 1, .8249])
    M = np.linalg.inv(B)@np.diag(B@d50/(B@white))@B@M
    s15 = lambda v: b'XYZ \0\0\0\0' + b''.join(struct.pack('>i', round(x*65536)) for x in v)
    curve = b'curv\0\0\0\0' + struct.pack('>IH', 1, round(gamma*256)) + b'\0\0'
    desc = b'desc\0\0\0\0' + struct.pack('>I', 11) + b'Wide Test\0\0' + bytes(78)
    tags, table, body = {b'desc': desc, b'wtpt': s15(d50), b'rXYZ': s15(M[:,0]), b'gXYZ': s15(M[:,1]), b'bXYZ': s15(M[:,2]),
                         b'rTRC': curve, b'gTRC': curve, b'bTRC': curve, b'cprt': b'text\0\0\0\0none\0\0\0\0'}, b'', b''
    start = 128 + 4 + 12*len(tags)
    for k,v in tags.items():
        v += bytes(-len(v) % 4)
        table += k + struct.pack('>II', start + len(body), len(v))
        body += v
    head = struct.pack('>I4sI4s4s4s12s4s', start + len(body), b'\0\0\0\0', 0x02100000, b'mntr', b'RGB ', b'XYZ ', bytes(12), b'acsp')
    head += bytes(68 - len(head)) + b''.join(struct.pack('>i', round(x*65536)) for x in d50)
    return head + bytes(128 - len(head)) + struct.pack('>I', len(tags)) + table + body

def test_profile_turned_into_srgb():
    a = smooth()
    img = open_image(encoded(Image.fromarray(a), 'PNG', icc_profile=swapped_profile()))
    assert np.abs(to_array(img).astype(int)
                  - a[..., ::-1]).max() <= 2 and 'icc_profile' not in img.info and 'into sRGB' in img.info['icc_note']
    rgba = open_image(encoded(Image.fromarray(np.dstack([a, a[...,:1]])), 'PNG', icc_profile=swapped_profile()))
    assert rgba.mode == 'RGBA' and np.abs(to_array(rgba)[..., :3].astype(int)
                                          - a[..., ::-1]).max() <= 2 and np.array_equal(to_array(rgba)[..., 3], a[..., 0])

def test_wide_profile_by_hand():
    "Adobe RGB (60,200,120), worked out with the standard matrices: sRGB clips red to 0, green 202, blue 118."
    img = open_image(encoded(Image.new('RGB', (4, 4), (60, 200, 120)), 'JPEG', quality=100, icc_profile=wide_profile()))
    lin = (np.array([60, 200, 120])/255)**2.2
    to_xyz = np.array([[.5767,.1856,.1882],[.2973,.6274,.0753],[.0270,.0707,.9911]])
    from_xyz = np.array([[3.2406,-1.5372,-.4986],[-.9689,1.8758,.0415],[.0557,-.2040,1.0570]])
    v = (from_xyz@to_xyz@lin).clip(0, 1)
    want = np.where(v <= .0031308, 12.92*v, 1.055*v**(1/2.4) - .055)*255
    assert np.abs(to_array(img)[2,2] - want).max() <= 3, (to_array(img)[2,2], want)
    assert 'Wide Test' in img.info['icc_note']

def test_profile_kept_when_asked(tmp_path):
    a, icc = smooth(), wide_profile()
    img = open_image(encoded(Image.fromarray(a), 'PNG', icc_profile=icc), icc='keep')
    assert same(img, a) and img.info['icc_profile'] == icc and 'kept' in img.info['icc_note']
    for suffix in ('.png', '.jpg', '.webp', '.tif'):
        with Image.open(save_image(interpolate(img, 2), tmp_path/f'x{suffix}')) as saved: assert saved.info['icc_profile'] == icc

def test_srgb_profile_changes_no_pixel():
    a = noise(9, 9, 3)
    img = open_image(encoded(Image.fromarray(a), 'PNG', icc_profile=srgb_profile()))
    assert same(img, a) and img.info['icc_profile'] == srgb_profile() and img.info['icc_note'].startswith('sRGB')

def test_grey_profile_and_misfits(tmp_path):
    icc = bytearray(wide_profile())                            # a profile for RGB in a grey picture; and one that is no profile
    g = np.arange(200, dtype=np.uint8).reshape(10, 20)
    for bad in (bytes(icc), b'not a profile at all'):
        img = open_image(encoded(Image.fromarray(g), 'PNG', icc_profile=bad))
        assert img.mode == 'L' and same(img, g) and 'dropped' in img.info['icc_note'] and 'icc_profile' not in img.info
    rgb = open_image(encoded(Image.fromarray(smooth()), 'PNG', icc_profile=srgb_profile()))
    with Image.open(save_image(rgb.convert('L'), tmp_path/'x.png')) as saved: assert 'icc_profile' not in saved.info
    with pytest.raises(ValueError, match="icc 'p3' is not in"): open_image(b'', icc='p3')

# ---- reading: what is no picture

def bad_files():
    good = encoded(Image.fromarray(noise(64, 64, 3)), 'PNG')
    jpeg = encoded(Image.fromarray(noise(64, 64, 3)), 'JPEG')
    return {'empty.png': (b'', 'empty'), 'text.png': (b'I am no picture, whatever my name says', 'not a picture'),
            'truncated.png': (good[:len(good)//2], 'truncated'),
            'truncated.jpg': (jpeg[:len(jpeg)//2], 'truncated'), 'head.jpg': (jpeg[:12], 'truncated'), 'head.png': (good[:20], 'truncated'),
            'truncated.gif': (encoded(Image.fromarray(noise(64, 64)), 'GIF')[:900], 'truncated'),
            'truncated.webp': (encoded(Image.fromarray(noise(64, 64, 3)), 'WEBP')[:900], 'truncated|not a picture'),
            'truncated.tif': (encoded(Image.fromarray(noise(64, 64, 3)), 'TIFF')[:900], 'truncated|not a picture'),
            'truncated16.png': (png(deep(64, 64, 3))[:12000], 'truncated'), 'zeros.png': (bytes(500), 'not a picture'),
            'zero_width.png': (png(noise(1, 1, 3), size=(0, 5)), 'zero size'),
            'zero_height.png': (png(noise(1, 1, 3), size=(5, 0)), 'zero size'),
            'zero.gif': (b'GIF89a\0\0\0\0\0\0\0;', 'zero size|not a picture'),
            'bomb.png': (png(noise(1, 1, 3), size=(60_000, 60_000)), 'more than max_pixels=268,435,456'),
            'bomb16.png': (png(deep(1, 1, 3), size=(60_000, 60_000)), 'more than max_pixels')}

@pytest.mark.parametrize('name', bad_files())
def test_bad_file(tmp_path, name):
    b, says = bad_files()[name]
    p = tmp_path/name
    p.write_bytes(b)
    with pytest.raises(ValueError, match=says) as e: open_image(p)
    assert str(e.value).startswith(str(p)) and '\n' not in str(e.value) and '0x' not in str(e.value), str(e.value)

def test_no_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError): open_image(tmp_path/'none.png')
    with pytest.raises(OSError): open_image(tmp_path)

def test_bomb_limit_is_ours_alone(monkeypatch):
    "A large picture opens without a warning, ours is the limit, and Pillow's own stays as it was."
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    b = encoded(Image.fromarray(noise(40, 40)), 'PNG')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        img = open_image(b)
        assert crop_to_multiple(img, 3).size == (39, 39)
    assert Image.MAX_IMAGE_PIXELS == 100
    with pytest.raises(ValueError, match='40 x 40 = 1,600 pixels, more than max_pixels=1,599'): open_image(b, max_pixels=1599)
    with pytest.raises(ValueError): open_image(b'nothing')
    assert Image.MAX_IMAGE_PIXELS == 100

def test_fuzz():
    "Bytes changed or cut at random: a picture or one clear line, nothing else."
    r, sources = np.random.default_rng(1), []
    img = Image.fromarray(smooth())
    for fmt in ('PNG', 'JPEG', 'GIF', 'WEBP', 'TIFF', 'BMP', 'PPM'):
        sources.append(encoded(img, fmt, **(dict(exif=camera_exif()) if fmt in ('JPEG', 'PNG', 'TIFF', 'WEBP') else {})))
    sources += [png(deep(20, 30, 3)), encoded(img, 'TIFF', compression='tiff_lzw')]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')                        # Pillow's remarks on the damage
        for b in sources*25:
            b = bytearray(b)
            for i in r.integers(0, len(b) if r.random() < .5 else min(len(b), 120), r.integers(1, 6)): b[i] = r.integers(0, 256)
            if r.random() < .3: b = b[:r.integers(0, len(b))]
            try: assert open_image(bytes(b), max_pixels=10**6).mode in ('L', 'LA', 'RGB', 'RGBA', 'I;16')
            except ValueError as e: assert '\n' not in str(e)

# ---- folders

def test_find_images(tmp_path):
    for n in ('b.PNG', 'a.jpg', 'sub/c.tiff', 'notes.txt', '.hidden.png', '.cache/d.png', 'sub/e.webp'):
        (tmp_path/n).parent.mkdir(exist_ok=True)
        (tmp_path/n).write_bytes(b'')
    (tmp_path/'folder.png').mkdir()
    assert [p.relative_to(tmp_path).as_posix() for p in find_images(tmp_path)] == ['a.jpg', 'b.PNG', 'sub/c.tiff', 'sub/e.webp']
    with pytest.raises(ValueError, match=r'no picture in .* \(looked for'): find_images(tmp_path/'folder.png')
    with pytest.raises(FileNotFoundError, match='no folder'): find_images(tmp_path/'nowhere')

def test_a_folder_that_may_not_be_read_is_not_called_empty(tmp_path, monkeypatch):
    save_image(from_array(noise(8, 8, 3)), tmp_path/'a.png'); (tmp_path/'.jpg').write_bytes((tmp_path/'a.png').read_bytes()); (tmp_path/'in').mkdir()
    may = os.access
    closed = lambda name: monkeypatch.setattr(os, 'access', lambda p, how: Path(p).name != name and may(p, how))     # root may read all
    closed('in')
    with pytest.warns(UserWarning, match='passed over, folders that may not be read: .*in$'): assert [p.name for p in find_images(tmp_path)] == ['a.png']
    with warnings.catch_warnings(action='error'): passed = to_do(tmp_path, tmp_path/'out')[1]
    assert sorted((Path(d['src']).name, d['why']) for d in passed) == [('.jpg', 'hidden'), ('in', 'a folder that may not be read')]
    with pytest.raises(PermissionError, match='in: a folder that may not be read'): (tmp_path/'a.png').rename(tmp_path/'in/a.png'); class_items(tmp_path)
    closed(tmp_path.name)
    with pytest.raises(PermissionError, match='a folder that may not be read'): find_images(tmp_path)

# ---- saving

@pytest.mark.parametrize('thing', [np.zeros((8, 8, 3), np.uint8), torch.zeros(3, 8, 8), 'a.png', None])
def test_what_is_no_pil_picture_is_told_how_to_become_one(thing, tmp_path):
    with pytest.raises(TypeError, match=r'x.png: a \w+ is no PIL picture; make it one with to_image'): save_image(thing, tmp_path/'x.png')
    assert not (tmp_path/'x.png').exists()

def camera_exif():
    ex = Image.Exif()
    ex[0x010F], ex[0x0110], ex[0x013B] = 'Maker', 'Model 7', 'An author'
    ex[0x8769], ex[0x8825] = {0x829A: 1/250, 0xA002: 30, 0xA003: 20}, {1: 'N', 3: 'E'}
    return ex.tobytes()

@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.tif'])
def test_metadata_survives(tmp_path, suffix):
    src = open_image(encoded(Image.fromarray(smooth()), 'JPEG', exif=camera_exif(), dpi=(240, 240), icc_profile=srgb_profile()))
    out = open_image(save_image(interpolate(src, 2), tmp_path/f'x{suffix}'))
    ex = out.getexif()
    assert ex[0x0110] == 'Model 7' and ex[0x013B] == 'An author' and ex.get_ifd(0x8825)[1] == 'N'
    assert ex.get_ifd(0x8769)[0x829A] == pytest.approx(1/250)
    assert (ex.get_ifd(0x8769)[0xA002], ex.get_ifd(0x8769)[0xA003]) == (60, 40)           # the size of this picture, not of the old one
    assert out.info['icc_profile'] == srgb_profile()
    assert out.info['dpi'] == pytest.approx((240, 240), abs=.01)                          # in a WebP: in its EXIF

def test_metadata_of_like(tmp_path):
    src = open_image(encoded(Image.fromarray(smooth()), 'JPEG', exif=camera_exif(), dpi=(240, 240)))
    out = open_image(save_image(from_array(noise(8, 8, 3)), tmp_path/'x.png', like=src))
    assert out.getexif()[0x0110] == 'Model 7' and out.info['dpi'][0] == pytest.approx(240, abs=.01)

def test_tiff_notes_without_its_storage(tmp_path):
    "What a TIFF says about its strips is not carried into a JPEG; who made the picture is."
    ifd = {0x010F: 'Maker', 0x013B: 'An author'}
    img = open_image(encoded(Image.fromarray(smooth()), 'TIFF', tiffinfo=ifd, compression='tiff_lzw'))
    got = open_image(save_image(img, tmp_path/'x.jpg')).getexif()
    assert dict(got) == ifd

def test_png_text(tmp_path):
    notes = PngImagePlugin.PngInfo()
    notes.add_text('Author', 'Zoë')
    img = open_image(encoded(Image.fromarray(smooth()), 'PNG', pnginfo=notes))
    with Image.open(save_image(img, tmp_path/'x.png')) as saved: assert saved.text == {'Author': 'Zoë'}

@pytest.mark.parametrize('suffix', ['.png', '.tif', '.webp', '.bmp', '.jpg', '.gif', '.jp2'])
def test_every_mode_into_every_format(tmp_path, suffix):
    for shape in ((9,8), (9,8,2), (9,8,3), (9,8,4)):
        for make in (noise, deep):
            a = make(*shape)
            # all opaque: nothing is lost
            if shape[-1] in (2, 4) and suffix in ('.jpg', '.bmp', '.gif'): a[..., -1] = np.iinfo(a.dtype).max
            got = open_image(save_image(from_array(a), tmp_path/f'x{suffix}'))
            assert got.size == (8, 9)
            if suffix in ('.png', '.tif') and not (shape == (9,8,2) and suffix == '.tif' and make is deep): assert same(got, a)

@pytest.mark.parametrize('suffix', ['.jpg', '.bmp', '.dib', '.ppm', '.pgm', '.gif', '.pcx', '.eps', '.pdf'])
def test_transparency_is_not_lost_silently(tmp_path, suffix):
    "Half a picture's alpha is refused in one line, also in 16 bits and beside grey; where all is opaque there is nothing to lose."
    for a in (noise(9, 8, 4), noise(9, 8, 2), deep(9, 8, 4)):
        if suffix == '.pgm': a = a[..., -2:].copy()                # which holds no colour
        with pytest.raises(ValueError, match='cannot hold (half-)?transparent pixels; save as .png or .webp') as e:
            save_image(from_array(a), tmp_path/f'x{suffix}')
        assert '\n' not in str(e.value) and not list(tmp_path.iterdir())
        a[..., -1] = np.iinfo(a.dtype).max
        assert save_image(from_array(a), tmp_path/f'x{suffix}').stat().st_size
        (tmp_path/f'x{suffix}').unlink()

@pytest.mark.parametrize('suffix', ['.png', '.tif', '.webp', '.avif', '.jp2', '.tga', '.sgi', '.dds', '.qoi'])
def test_formats_that_hold_alpha_do(tmp_path, suffix):
    if suffix not in Image.registered_extensions() or Image.registered_extensions()[suffix] not in Image.SAVE:
        pytest.skip(f'this Pillow writes no {suffix}')
    a = noise(9, 8, 4)
    with Image.open(save_image(from_array(a), tmp_path/f'x{suffix}')) as got:
        off = abs(np.asarray(got.convert('RGBA'))[..., 3].astype(int) - a[..., 3])
    assert off.mean() < 10 if suffix == '.avif' else not off.any()      # AVIF loses a little of everything

def test_gif_holds_clear_and_opaque(tmp_path):
    a = noise(9, 8, 4); a[..., 3] = np.where(a[..., 3] > 99, 255, 0)
    got = to_array(open_image(save_image(from_array(a), tmp_path/'x.gif')))
    assert (got[..., 3] == a[..., 3]).all()
    a[4, 4, 3] = 254
    with pytest.raises(ValueError, match='GIF cannot hold half-transparent pixels'): save_image(from_array(a), tmp_path/'x.gif')

BEGINS = {'.jpg': b'\xff\xd8\xff', '.jpe': b'\xff\xd8\xff', '.jfif': b'\xff\xd8\xff', '.mpo': b'\xff\xd8\xff', '.ppm': b'P6', '.pnm': b'P[56]', '.pgm': b'P5',
          '.jp2': b'\0\0\0\x0cjP', '.j2k': b'\xff\x4f\xff\x51', '.j2c': b'\xff\x4f\xff\x51', '.jpc': b'\xff\x4f\xff\x51', '.png': b'\x89PNG',
          '.apng': b'\x89PNG', '.webp': b'RIFF....WEBP', '.avif': b'....ftypavif', '.heic': b'....ftyphei', '.jxl': b'\xff\x0a|\0\0\0\x0cJXL',
          '.tif': b'II', '.bmp': b'BM', '.gif': b'GIF', '.tga': b'\0\0[\2\3]', '.sgi': b'\x01\xda', '.qoi': b'qoif', '.dds': b'DDS '}

@pytest.mark.parametrize('suffix', BEGINS)
def test_what_is_inside_is_what_the_suffix_says(suffix):
    "Every format takes every quality, or none; where it has one, it does something."
    import re
    if suffix in ('.heic', '.jxl'): pytest.importorskip('pillow_' + ('heif' if suffix == '.heic' else 'jxl'))
    for mode in ('RGB', 'L', 'RGBA', 'LA'):
        img, made = Image.fromarray(noise(16, 16, 4)).convert(mode), set()
        try: image_bytes(img, f'x{suffix}')
        except ValueError as e:
            assert mode[-1] == 'A' and 'transparent' in str(e) or (suffix, mode) == ('.pgm', 'RGB') and 'grey alone' in str(e), e
            continue
        for quality in range(1, 101): made.add(b := image_bytes(img, f'x{suffix}', quality))
        assert re.match(BEGINS[suffix], b, re.S), b[:16]
        try: check_quality(f'x{suffix}', 80)
        except ValueError: assert len(made) == 1
        else: assert len(made) >= 40
        if suffix == '.jxl': assert same(open_image(b).convert(mode), np.asarray(img))     # quality 100: nothing is lost

@pytest.mark.parametrize('suffix', ['.pbm', '.pfm'])
def test_no_picture_of_another_kind_under_a_suffix(tmp_path, suffix):
    for mode in ('RGB', 'L'):
        with pytest.raises(ValueError, match=f'{suffix} holds .*; save as .ppm, or .pgm for grey'): save_image(Image.new(mode, (2, 2)), tmp_path/f'x{suffix}')
    assert not any(tmp_path.iterdir())

@pytest.mark.parametrize('suffix', ['.ico', '.icns'])
def test_icons_are_refused(tmp_path, suffix):
    "Pillow would bring the picture to one of an icon's sizes without a word."
    with pytest.raises(ValueError, match='holds icons of fixed sizes; save as .png'):
        save_image(from_array(noise(40, 48, 3)), tmp_path/f'x{suffix}')
    assert not list(tmp_path.iterdir())

def test_save_refuses(tmp_path):
    img = from_array(noise(4, 4, 3))
    for name, im, says in (('x.xyz', img, 'suffix'), ('x', img, 'suffix'), ('x.png', Image.new('RGB', (0, 4)), 'zero size'),
                           ('x.webp', Image.new('RGB', (20_000, 1)), 'cannot be saved as WEBP')):
        with pytest.raises(ValueError, match=says) as e: save_image(im, tmp_path/name)
        assert '\n' not in str(e.value)
    with pytest.raises(ValueError, match='quality 0'): save_image(img, tmp_path/'x.jpg', quality=0)
    with pytest.raises(FileNotFoundError, match='nothing was written'): save_image(img, tmp_path/'no folder'/'x.png')
    assert not list(tmp_path.iterdir())

@pytest.mark.parametrize('step', ['open', 'write', 'fsync', 'replace'])
@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_failing_write_leaves_the_old_file(tmp_path, monkeypatch, step, code):
    p = save_image(from_array(noise(4, 4, 3)), tmp_path/'x.png')
    before = p.read_bytes()
    def fail(*a, **k): raise OSError(code, os.strerror(code))
    if step in ('fsync', 'replace'): monkeypatch.setattr(os, step, fail)
    else:
        real = builtins.open
        def opened(path, mode='r', *a, **k):
            if 'x' not in mode: return real(path, mode, *a, **k)
            if step == 'open': fail()
            f = real(path, mode, *a, **k)
            class Full:                                        # half of it fits on the disk
                def __enter__(self): return self
                def __exit__(self, *e): f.close()
                def write(self, b): f.write(b[:len(b)//2]); fail()
            return Full()
        monkeypatch.setattr(builtins, 'open', opened)
    with pytest.raises(OSError) as e: save_image(from_array(noise(9, 9, 3)), p)
    monkeypatch.undo()
    assert e.value.errno == code and 'nothing was written' in str(e.value) and str(p) in str(e.value) and '\n' not in str(e.value)
    assert p.read_bytes() == before and [f.name for f in tmp_path.iterdir()] == ['x.png']

def test_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def stop(*a): raise KeyboardInterrupt
    monkeypatch.setattr(os, 'fsync', stop)
    with pytest.raises(KeyboardInterrupt): write_whole(tmp_path/'x.bin', b'1234')
    assert not list(tmp_path.iterdir())

@pytest.mark.skipif(not hasattr(os, 'fork'), reason='POSIX permissions')
def test_read_only_folder(tmp_path):
    "In a child process that is not root, whoever runs the tests."
    folder = tmp_path/'fixed'
    folder.mkdir()
    p = save_image(from_array(noise(4, 4, 3)), folder/'x.png')
    before, img, said = p.read_bytes(), from_array(noise(9, 9, 3)), tmp_path/'said.txt'
    said.touch()
    said.chmod(0o666)
    if os.getuid() == 0:                                       # let nobody through to the folder
        for d in (tmp_path, *tmp_path.parents):
            if d.stat().st_uid == 0: d.chmod(d.stat().st_mode | 0o055)
    folder.chmod(0o555)
    pid = os.fork()
    if pid == 0:
        try:
            if os.getuid() == 0: os.setuid(65534)
            for name in ('x.png', 'new.png'):
                try: save_image(img, folder/name)
                except PermissionError as e:
                    with open(said, 'a') as f: print(e, file=f)
        finally: os._exit(0)
    os.waitpid(pid, 0)
    lines = said.read_text().splitlines()
    assert len(lines) == 2 and all('nothing was written' in l for l in lines), lines
    assert p.read_bytes() == before and [f.name for f in folder.iterdir()] == ['x.png']

@pytest.mark.skipif(sys.platform == 'win32', reason='resource limits')
def test_disk_really_full(tmp_path):
    "A limit on the size of files stands in for the full disk: the write itself fails half-way."
    p = tmp_path/'x.png'
    p.write_bytes(b'old')
    code = ("import resource, signal, numpy as np; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
            "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
            "from srgan_course.images import save_image, from_array\n"
            f"try: save_image(from_array(np.random.default_rng(0).integers(0, 256, (200,200,3)).astype(np.uint8)), {str(p)!r})\n"
            "except OSError as e: print(e)\n")
    r = subprocess.run([sys.executable, '-B', '-c', code], capture_output=True, text=True)
    assert 'nothing was written' in r.stdout, r.stderr
    assert p.read_bytes() == b'old' and [f.name for f in tmp_path.iterdir()] == ['x.png']

@pytest.mark.skipif(os.name != 'posix', reason='POSIX permissions and links')
def test_rights_and_links_are_kept(tmp_path):
    p = tmp_path/'real.png'
    save_image(from_array(noise(4, 4, 3)), p)
    os.chmod(p, 0o640)
    (tmp_path/'link.png').symlink_to(p)
    a = noise(5, 5, 3)
    save_image(from_array(a), tmp_path/'link.png')
    assert (tmp_path/'link.png').is_symlink() and same(open_image(p), a) and stat.S_IMODE(p.stat().st_mode) == 0o640

# ---- the way to tensors and back, and what is shown (trap 8)

COLOURS = {'red': (230, 20, 30), 'green': (10, 200, 40), 'blue': (30, 60, 240), 'white': (255, 255, 255), 'black': (0, 0, 0),
           'skin': (224, 172, 141)}

@pytest.fixture
def chart(): return Image.fromarray(np.array([COLOURS[c] for c in COLOURS], np.uint8).reshape(1, -1, 3).repeat(24, 0).repeat(24, 1))

def colours_of(img):
    "The colours in the middle of the chart's six fields."
    a = np.asarray(img.convert('RGB'))
    h,w = a.shape[:2]
    return {c: a[h//2, int(w*(i + .5)/6)].astype(int) for i,c in enumerate(COLOURS)}

def assert_colours(img, tol):
    for c,v in colours_of(img).items(): assert np.abs(v - COLOURS[c]).max() <= tol, f'{c} is {v}, not {COLOURS[c]}'

def all_the_way(chart, folder, suffix):
    "Opened, as a tensor, smaller, larger, back, saved, opened: the same colours, neither inverted nor shifted."
    img = open_image(save_image(chart, folder/f'a{suffix}'))
    x = to_tensor(img)
    assert x.shape == (3, 24, 144) and x.min() >= 0 and x.max() <= 1
    img = open_image(save_image(interpolate(downscale(to_image(x), 3), 3), folder/f'b{suffix}'))
    assert_colours(img, 0 if suffix in ('.png', '.tif') else 8)

def shown(chart, folder):
    "What `show_grid` draws of a picture, a tensor and an array."
    for x in (chart, to_tensor(chart), np.asarray(chart), np.asarray(chart)/255, from_array(np.asarray(chart).astype(np.uint16)*257)):
        show_grid([[x]], size=3, path=folder/'g.png')
        with Image.open(folder/'g.png') as seen: a = np.asarray(seen.convert('RGB'))
        inside = a[10:-10, 10:-10]                             # past the margin
        assert_colours(Image.fromarray(inside), 2)

@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.tif', '.webp'])
def test_colours_all_the_way(tmp_path, chart, suffix): all_the_way(chart, tmp_path, suffix)

def test_colours_shown(tmp_path, chart):
    shown(chart, tmp_path)
    assert_colours(compare_still(chart, chart, 0), 0)

FAULTS = {'inverted': lambda a: 255 - a, 'bgr': lambda a: a[..., ::-1],
          'shifted': lambda a: (a.astype(int)*2 - 255).clip(0, 255).astype(np.uint8)}

@pytest.mark.parametrize('fault', FAULTS)
def test_the_trap_is_seen(tmp_path, chart, fault, monkeypatch):
    "Trap 8: with the fault in our own way back from tensors, or in what is shown, the checks above go red."
    real, view = pixels.from_array, show.to_view
    with monkeypatch.context() as m:
        m.setattr(pixels, 'from_array', lambda a, info=None: real(FAULTS[fault](a), info))
        with pytest.raises(AssertionError, match='is .* not'): all_the_way(chart, tmp_path, '.png')
    with monkeypatch.context() as m:
        m.setattr(show, 'to_view', lambda x: FAULTS[fault](view(x)))
        with pytest.raises(AssertionError, match='is .* not'): shown(chart, tmp_path)

def test_to_image_rounds_clamps_and_refuses():
    import torch
    x = torch.tensor([-.1, 0, .4999/255, .5001/255, 254.6/255, 1, 1.7]).reshape(1, 1, 7)
    assert to_array(to_image(x)).ravel().tolist() == [0, 0, 0, 1, 255, 255, 255]
    assert same(to_image(x[None]), to_array(to_image(x)))
    for bad, says in ((torch.zeros(5, 4, 4), 'no picture'), (torch.zeros(2, 3, 4, 4), 'no picture'),
                      (torch.full((3, 4, 4), float('nan')), 'NaN')):
        with pytest.raises(ValueError, match=says): to_image(bad)
    with pytest.raises(ValueError, match='bits 12'): to_image(x, bits=12)
    assert to_image(x.bfloat16().requires_grad_()).size == (7, 1)

def test_every_8_and_16_bit_value_survives():
    for a in (np.arange(256, dtype=np.uint8).reshape(16, 16), np.arange(65536).astype(np.uint16).reshape(256, 256)):
        img = from_array(a)
        assert same(to_image(to_tensor(img), like=img), a)

# ---- resampling

def test_16_bit_resampling_agrees_with_8():
    a = smooth(24, 36)
    want = np.asarray(Image.fromarray(a).resize((12, 8), Image.Resampling.BICUBIC)).astype(int)
    got = downscale(from_array(a.astype(np.uint16)*257), 3)
    assert np.abs(got.deep/257 - want).max() <= 1 and len(np.unique(got.deep % 257)) > 10     # finer than 8 bits

def test_alpha_does_not_bleed():
    "The colour hidden under clear pixels must not show at the edge, in 8 bits and in 16."
    a = np.zeros((16, 16, 4), np.uint8)
    a[:, :8] = (255, 0, 0, 255)                                # red, opaque; beside it clear green
    a[:, 8:] = (0, 255, 0, 0)
    for img in (from_array(a), from_array(a.astype(np.uint16)*257)):
        for out in (interpolate(img, 4), downscale(interpolate(img, 3), 4)):
            b = to_array(out)
            top = np.iinfo(b.dtype).max
            seen = b[..., 3] > top//8
            assert b[seen][:, 1].max() <= top//50

def test_resample_modes_and_refusals():
    for shape in ((9,7), (9,7,2), (9,7,3), (9,7,4)):
        for make in (noise, deep):
            img = from_array(make(*shape), {'dpi': (72., 72.)})
            for how in ('nearest', 'bilinear', 'bicubic', 'lanczos'):
                out = interpolate(img, 2, how)
                assert out.size == (14,
                                    18) and out.mode == img.mode and to_array(out).dtype == to_array(img).dtype and out.info['dpi'] == (72.,
                                        72.)
            assert np.array_equal(to_array(interpolate(img, 2, 'nearest')), to_array(img).repeat(2, 0).repeat(2, 1))
            assert downscale(img, 2).size == (3, 4) and crop_to_multiple(img, 4).size == (4, 8)
    img = from_array(noise(9, 7, 3))
    for call, says in ((lambda: interpolate(img, 2, 'cubic'), "how 'cubic'"), (lambda: interpolate(img, 0), 'factor 0'),
                       (lambda: interpolate(img, float('nan')), 'factor nan'),
                       (lambda: downscale(img, 1.5), 'factor 1.5'), (lambda: downscale(img, 8), 'smaller than factor 8'),
                       (lambda: downscale(img, 0), 'factor 0')):
        with pytest.raises(ValueError, match=says): call()

def test_luminance_of_everything():
    assert luminance(Image.new('RGB', (2, 2), 'white'))[0,0]*255 == pytest.approx(235) and luminance(Image.new('RGB', (2, 2)))[0,
        0]*255 == pytest.approx(16)
    a = noise(5, 6, 3)
    want = luminance(from_array(a))
    assert np.allclose(luminance(to_tensor(from_array(a))), want, atol=1e-6)
    assert np.allclose(luminance(from_array(np.dstack([a, noise(5, 6)]))), want)              # alpha is left out
    assert np.allclose(luminance(from_array(a.astype(np.uint16)*257)), want)
    g = noise(5, 6)
    assert np.allclose(luminance(from_array(g)), luminance(from_array(np.dstack([g]*3))))
    assert luminance(to_tensor(from_array(a))[None].repeat(2,1,1,1)).shape == (2, 5, 6)
    with pytest.raises(ValueError, match='is not'): luminance(to_tensor(from_array(g)))

# ---- shown

def test_show_grid_takes_what_there_is(tmp_path):
    pics = [from_array(noise(6, 9)), None, to_tensor(from_array(noise(6, 9, 3))), from_array(deep(6, 9, 4)), noise(6, 9)]
    fig = show_grid([pics, pics[:2]], titles=[['a', 'b\nc'], ['d']], row_titles=['x', 'y'], path=tmp_path/'g.jpg')
    assert len(fig.axes) == 7 and open_image(tmp_path/'g.jpg').width > 1000
    assert len(show_grid([pics, pics], row_titles=['x']).texts) == 1
    with pytest.raises(ValueError, match='no picture to show'): show_grid([])
    with pytest.raises(OSError, match='nothing was written'): show_grid([pics], path=tmp_path/'none'/'g.png')

def test_clear_pixels_are_chequered():
    v = to_view(Image.new('RGBA', (16, 16), (255, 0, 0, 0)))
    assert set(np.unique(v)) == {205, 245}

def test_light_import():
    "What `images` must not pull in when it is imported."
    heavy = ['torch', 'torchvision', 'fastai', 'matplotlib', 'cv2', 'skimage', 'tifffile', 'ipywidgets', 'IPython', 'scipy', 'pandas']
    r = subprocess.run([sys.executable, '-c', f'import sys, srgan_course.images; print([m for m in {heavy} if m in sys.modules])'],
                       capture_output=True, text=True)
    assert r.stdout.strip() == '[]', r.stdout + r.stderr
