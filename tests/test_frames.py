"Films and pages, files of other kinds, and what can be saved: black boxes."
import os, struct, sys, threading, warnings, zlib
from io import BytesIO
from types import SimpleNamespace
import numpy as np
import pytest, tifffile
from PIL import Image
from conftest import ROOT
from srgan_course.images import from_array, open_image, save_image, to_array
from srgan_course.kit.codec import find_images
from srgan_course.kit import devices, folders
from srgan_course.kit.files import write_whole
from srgan_course.kit.folders import enlarge_file
from srgan_course.kit.formats import check_save
from srgan_course.kit.frames import first_of, frame_count, read_frames, save_frames
from srgan_course.kit.notes import chunk_profile
from srgan_course.kit.results import load_result
from srgan_course.kit.wanted import _IN_WRITING, Wanted

rng = np.random.default_rng(0)
def chunk(kind, b): return struct.pack('>I', len(b)) + kind + b + struct.pack('>I', zlib.crc32(kind + b))

def film_of_16_bits(default, first, second, blend=1, w=32, h=24):
    "A 16-bit RGBA APNG whose default picture is not part of the film."
    pixels = lambda rgb: zlib.compress(b''.join(b'\0' + np.tile(np.array((*rgb, 65535), '>u2'), w).tobytes() for _ in range(h)))
    control = lambda n: chunk(b'fcTL', struct.pack('>IIIIIHHBB', n, w, h, 0, 0, 10, 100, 0, blend))
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', w, h, 16, 6, 0, 0, 0)) + chunk(b'acTL', struct.pack('>II', 2, 1))
            + chunk(b'IDAT', pixels(default)) + control(0) + chunk(b'fdAT', struct.pack('>I', 1) + pixels(first))
            + control(2) + chunk(b'fdAT', struct.pack('>I', 3) + pixels(second)) + chunk(b'IEND', b''))

@pytest.mark.parametrize('default, first, second, blend', [
    ((65535, 0, 0), (0, 0, 0), (0, 65535, 0), 1), ((40000, 0, 0), (0, 20000, 0), (0, 0, 50000), 1),
    ((65535, 0, 0), (0, 65535, 65535), (0, 0, 0), 1), ((65535, 65535, 65535), (0, 0, 0), (0, 0, 0), 0)])
def test_default_picture_beside_a_film(tmp_path, default, first, second, blend):
    "The still picture with all 16 bits, and the film without it: black and white are 255 apart, and -255 is 1 in eight bits."
    (p := tmp_path/'x.png').write_bytes(film_of_16_bits(default, first, second, blend))
    got = open_image(p)
    assert (got.deep == [*default, 65535]).all()
    assert frame_count(p) == 2
    for (frame, s), want in zip(read_frames(p), (first, second), strict=True):
        assert s == .1 and (abs(to_array(frame)[..., :3].astype(int) - np.array(want)//257) <= 1).all()

@pytest.mark.parametrize('suffix', ['.gif', '.png', '.webp', '.avif'])
@pytest.mark.parametrize('shape', [(9, 7), (9, 7, 3), (9, 7, 4)])
def test_film_there_and_back(tmp_path, suffix, shape):
    film = [rng.integers(0, 256, shape).astype(np.uint8) for _ in range(5)]             # 63 pixels: a palette holds them all
    if shape[2:] == (4,): film = [np.dstack([f[..., :3], np.where(f[..., 3] > 99, 255, 0)]).astype(np.uint8) for f in film]
    film = [from_array(f) for f in film]
    times = [.05, .1, .2, .05, 1.]
    p = save_frames(tmp_path/f'x{suffix}', film, times, loop=3, quality=100)
    got = list(read_frames(p))
    assert frame_count(p) == 5 and [s for _,s in got] == pytest.approx(times)
    assert suffix == '.avif' or got[0][0].info['loop'] == 3
    for (g, _), f in zip(got, film):
        a, b = np.asarray(g.convert('RGBA')).astype(int), np.asarray(f.convert('RGBA')).astype(int)
        seen = b[..., 3] > 0
        assert np.array_equal(a[..., 3] > 127, seen)
        if suffix in ('.gif', '.png'): assert np.array_equal(a[seen], b[seen])

@pytest.mark.parametrize('suffix', ['.gif', '.png', '.webp'])
def test_times_of_a_film(tmp_path, suffix):
    "NumPy's numbers are numbers; what is no time is refused by every format, and the file before stays."
    film = [Image.new('RGB', (4, 4), c) for c in ('red', 'blue')]
    for seconds in np.float32(.25), np.array(.25), np.array([.25, .25]), [.25, np.float64(.25)], iter([.25, .25]):
        p = save_frames(tmp_path/f'x{suffix}', film, seconds)
        assert [s for _,s in read_frames(p)] == [.25, .25]
    before = p.read_bytes()
    for bad in -1, float('nan'), float('inf'):
        with pytest.raises(ValueError, match=f'x{suffix}: a picture cannot be shown for {bad} seconds'): save_frames(p, film, [.25, bad])
    assert p.read_bytes() == before

def test_pages_keep_their_bits_and_sizes(tmp_path):
    pages = [from_array(rng.integers(0, 2**16, (9, 7, 3)).astype(np.uint16), {'dpi': (300., 300.)}), from_array(rng.integers(0, 2**16, (4, 5)).astype(np.uint16)),
             from_array(rng.integers(0, 256, (8, 6, 4)).astype(np.uint8)), from_array(rng.integers(0, 256, (3, 3)).astype(np.uint8))]
    p = save_frames(tmp_path/'x.tif', pages)
    assert [to_array(f).tolist() for f,_ in read_frames(p)] == [to_array(f).tolist() for f in pages]
    with tifffile.TiffFile(p) as t: assert [q.shape for q in t.pages] == [(9, 7, 3), (4, 5), (8, 6, 4), (3, 3)]
    assert open_image(p).info['frames'] == 4 and open_image(p).info['dpi'] == (300, 300)

def test_mpo_has_two_pictures(tmp_path):
    pair = [from_array(np.full((16, 16, 3), v, np.uint8)) for v in (40, 200)]
    p = save_frames(tmp_path/'x.mpo', pair)
    assert frame_count(p) == 2 and [int(np.asarray(f).mean().round()) for f,_ in read_frames(p)] == [40, 200]

def test_a_page_too_large_and_a_film_cut_short(tmp_path):
    (p := save_frames(tmp_path/'x.tif', [Image.new('L', (4, 4)), Image.new('L', (400, 400))]))
    pages = read_frames(p, max_pixels=1000)
    next(pages)
    with pytest.raises(ValueError, match='160,000 pixels, more than max_pixels=1,000'): next(pages)
    film = [from_array(rng.integers(0, 256, (40, 40, 3)).astype(np.uint8)) for _ in range(4)]
    whole = save_frames(tmp_path/'x.png', film).read_bytes()
    p.write_bytes(whole[:len(whole)*2//3])
    with pytest.raises(ValueError, match='damaged or truncated PNG') as e: list(read_frames(p))
    assert '\n' not in str(e.value)

# ---- what else a file may be

def tiff(a, **kw): tifffile.imwrite(out := BytesIO(), a, **kw); return out.getvalue()

def raw_with_preview(**kw):
    out = BytesIO()
    with tifffile.TiffWriter(out) as t:
        t.write(np.zeros((6, 8, 3), np.uint8), photometric='rgb', subfiletype=1, subifds=1, **kw)
        t.write(np.zeros((60, 80), np.uint16), photometric='minisblack')
    return out.getvalue()

INTACT = {'page.html': (b'<!DOCTYPE html><html>', 'a web page, not a picture'), 'x.svg': (b'<svg xmlns="http://www.w3.org/2000/svg">', 'an SVG drawing'),
          'x.pdf': (b'%PDF-1.7\n', 'a PDF document'), 'x.eps': (b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n', 'a PostScript document'),
          'x.zip': (b'PK\x03\x04' + bytes(30), 'a ZIP archive'), 'x.exr': (b'\x76\x2f\x31\x01' + bytes(30), 'an OpenEXR'),
          'x.mp4': (b'\0\0\0\x20ftypisom' + bytes(30), 'a film'), 'x.mkv': (b'\x1aE\xdf\xa3' + bytes(30), 'a film'),
          'x.cr3': (b'\0\0\0\x18ftypcrx ' + bytes(30), r'a camera raw file \(CR3\)'), 'x.raf': (b'FUJIFILMCCD-RAW ' + bytes(30), r'a camera raw file \(RAF\)'),
          'x.orf': (b'IIRO\x08\0\0\0' + bytes(30), r'a camera raw file \(ORF\)'), 'x.rw2': (b'IIU\0\x08\0\0\0' + bytes(30), r'a camera raw file \(RW2\)'),
          'x.nef': (raw_with_preview(), 'a camera raw file'), 'x.dng': (raw_with_preview(extratags=[(50706, 1, 4, (1, 4, 0, 0), True)]), r'a camera raw file \(DNG\)'),
          'float.tif': (tiff(np.zeros((4, 5, 3), np.float32), photometric='rgb'), 'a TIFF with 32, 32, 32 bits a channel'),
          'int32.tif': (tiff(np.zeros((4, 5, 3), np.int32), photometric='rgb'), 'a TIFF with 32, 32, 32 bits a channel'),
          'signed.tif': (tiff(np.arange(-10, 10, dtype=np.int8).reshape(4, 5)), 'grey values from -10 to 9 do not say what is white'),
          'signed16.tif': (tiff(np.arange(-10, 10, dtype=np.int16).reshape(4, 5)), 'grey values from -10 to 9 do not say what is white'),
          'holes.tif': (tiff(np.array([[0, np.nan, 1], [.5, np.inf, 0]], np.float32)), '2 of 6 grey values are NaN or infinite'),
          'hundreds.tif': (tiff(np.full((4, 5), 300, np.float32)), 'do not say what is white'),
          'u32.tif': (tiff(np.array([[5, 2**32 - 1]], np.uint32)), 'grey values from 5 to 4,294,967,295 do not say what is white'),
          'big.tif': (tiff(np.zeros((4, 5, 3), np.uint8), photometric='rgb', bigtiff=True, byteorder='>'), 'a BigTIFF with its bytes in big-endian order'),
          '12bit.jpg': (b'\xff\xd8\xff\xc1\0\x11\x0c' + bytes(30), 'a JPEG with 12 bits a channel'),
          'deep.psd': (b'8BPS\0\1' + bytes(6) + struct.pack('>HIIHH', 3, 4, 4, 16, 3) + bytes(40), 'a PSD with 16 bits a channel'),
          'large.psb': (b'8BPS\0\2' + bytes(30), 'a large Photoshop document')}

@pytest.mark.parametrize('name', INTACT)
def test_an_intact_file_of_another_kind_is_not_called_damaged(tmp_path, name):
    b, says = INTACT[name]
    (p := tmp_path/name).write_bytes(b)
    with pytest.raises(ValueError, match=says) as e: open_image(p)
    assert str(e.value).startswith(str(p)) and '\n' not in str(e.value) and 'damaged' not in str(e.value), str(e.value)

def test_signed_grey_without_negatives_is_as_stored():
    a = np.arange(20, dtype=np.int8).reshape(4, 5)
    assert np.array_equal(to_array(open_image(tiff(a))), a)

def test_what_opens_alone_is_found_in_a_folder(tmp_path):
    img = Image.fromarray(rng.integers(0, 256, (9, 8, 3)).astype(np.uint8))
    names = [f'x.{s}' for s in ('jfif', 'jpe', 'mpo', 'tga', 'j2k', 'jp2', 'jpx', 'dib', 'qoi', 'sgi', 'pcx', 'pnm', 'apng', 'ppm', 'avif')]
    for n in names: img.save(tmp_path/n)
    assert [p.name for p in find_images(tmp_path)] == sorted(names)
    for p in find_images(tmp_path): assert open_image(p).size == (8, 9)
    (tmp_path/'x.dng').write_bytes(b''), (tmp_path/'notes.txt').write_bytes(b'')
    assert len(find_images(tmp_path)) == len(names)

# ---- what can be saved, before anything is computed

def test_check_save_agrees_with_save_image(tmp_path):
    "What it lets pass is saved, and what it refuses is refused by `save_image`, in the same words but for the folder."
    for suffix in ('.png', '.jpg', '.webp', '.tif', '.gif', '.bmp', '.jp2', '.avif', '.ppm', '.tga', '.ico', '.xyz', ''):
        for mode in ('L', 'LA', 'RGB', 'RGBA', 'I;16'):
            img = Image.new(mode, (5, 4), 0)
            try: fmt = check_save(tmp_path/f'x{suffix}', mode, (5, 4))
            except ValueError as e:
                with pytest.raises(ValueError) as late: save_image(img, tmp_path/f'x{suffix}')
                assert str(e).split(': ')[-1] == str(late.value).split(': ')[-1]
            else: assert fmt in Image.SAVE and save_image(img, tmp_path/f'x{suffix}').stat().st_size

@pytest.mark.parametrize('name, size', [('x.webp', (16_384, 1)), ('x.jpg', (65_501, 1)), ('x.gif', (1, 65_536)), ('x.ico', (300, 300))])
def test_too_long_for_the_format(tmp_path, name, size):
    with pytest.raises(ValueError, match='cannot be saved as|icons of fixed sizes') as e: check_save(tmp_path/name, 'RGB', size)
    with pytest.raises(ValueError) as late: save_image(Image.new('L', size), tmp_path/name)
    assert str(late.value) == str(e.value)
    if name != 'x.ico': assert save_image(Image.new('L', (max(size) - 1, 1)), tmp_path/name).stat().st_size    # one less fits

def test_the_folder_is_looked_at_first(tmp_path):
    for bad in (tmp_path/'no'/'x.png', tmp_path): pytest.raises(OSError, check_save, bad, 'RGB', (5, 4))

# ---- formats that need another package

@pytest.mark.parametrize('suffix, package, fmt', [('.heic', 'pillow_heif', 'HEIF'), ('.jxl', 'pillow_jxl', 'JXL')])
def test_heic_and_jpeg_xl(tmp_path, suffix, package, fmt):
    pytest.importorskip(package)
    y, x = np.mgrid[:40, :60]
    a = np.stack([4*x, 6*y, 90 + 0*x], -1).astype(np.uint8)
    ex = Image.Exif(); ex[0x010F] = 'Maker'
    p = save_image(from_array(a, {'exif': ex.tobytes()}), tmp_path/f'x{suffix}')
    got = open_image(p)
    assert find_images(tmp_path) == [p] and got.getexif()[0x010F] == 'Maker' and np.abs(to_array(got).astype(int) - a).mean() < 4
    clear = np.dstack([a, np.where(x > 30, 255, 0)]).astype(np.uint8)
    assert np.abs(to_array(open_image(save_image(from_array(clear), p)))[..., 3].astype(int) - clear[..., 3]).mean() < 4
    assert check_save(p, 'RGBA', (60, 40)) == fmt
    p.write_bytes(p.read_bytes()[:200])
    with pytest.raises(ValueError, match='damaged or truncated') as e: open_image(p)
    assert '\n' not in str(e.value)

@pytest.mark.parametrize('suffix, head, says', [('.heic', b'\0\0\0\x18ftypheic\0\0\0\0', 'pip install pillow-heif'), ('.jxl', b'\xff\x0a\0\0', 'pip install pillow-jxl-plugin')])
def test_without_its_package_the_error_names_it(tmp_path, monkeypatch, suffix, head, says):
    for m in ('pillow_heif', 'pillow_jxl'): monkeypatch.setitem(sys.modules, m, None)
    for k in ('HEIF', 'JXL'): monkeypatch.delitem(Image.OPEN, k, raising=False)
    (p := tmp_path/f'x{suffix}').write_bytes(head + bytes(40))
    with pytest.raises(ValueError, match=says) as e: open_image(p)
    assert str(e.value).startswith(str(p)) and 'damaged' not in str(e.value)
    with pytest.raises(ValueError, match=says): check_save(tmp_path/f'y{suffix}', 'RGB', (4, 4))


# ---- what a fresh tester found

def hand_png(grey, bits, clear):
    "A grey PNG of `bits` bits whose grey `clear` is transparent; one row of 8 pixels."
    row = sum(v << bits*(7 - i) for i,v in enumerate(grey)).to_bytes(bits, 'big')
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 8, 1, bits, 0, 0, 0, 0)) + chunk(b'tRNS', struct.pack('>H', clear))
            + chunk(b'IDAT', zlib.compress(b'\0' + row)) + chunk(b'IEND', b''))

@pytest.mark.parametrize('bits', [1, 2, 4, 8])
@pytest.mark.parametrize('opened', [lambda b: b, lambda b: Image.open(BytesIO(b))])
def test_transparent_grey_of_few_bits(bits, opened):
    grey, top = [i % 2**bits for i in range(8)], 2**bits - 1
    a = to_array(open_image(opened(hand_png(grey, bits, 1))))
    assert a[0, :, 0].tolist() == [v*255//top for v in grey] and a[0, :, 1].tolist() == [0 if v == 1 else 255 for v in grey]

@pytest.mark.parametrize('extra, channels', [(0, 3), (2, 4)])
def test_fourth_channel_that_is_no_alpha(extra, channels):
    a = rng.integers(0, 65536, (6, 9, 4)).astype(np.uint16)
    tifffile.imwrite(out := BytesIO(), a, photometric='rgb', extrasamples=[extra])
    assert (to_array(open_image(out.getvalue())) == a[..., :channels]).all()

def icon(*pictures):
    "An .ico of (pixels (h,w,4) as blue, green, red, alpha; mask (h,w), 1 where nothing is seen; bits said in the directory), 32 or 24 bits each."
    head, body, at = struct.pack('<HHH', 0, 1, len(pictures)), b'', 6 + 16*len(pictures)
    for a, mask, said in pictures:
        h, w, c = a.shape
        rows = np.pad(a[::-1].reshape(h, w*c), ((0, 0), (0, -w*c % 4))).tobytes() + np.pad(np.packbits(mask[::-1], axis=1), ((0, 0), (0, -(-(-w//8)) % 4))).tobytes()
        dib = struct.pack('<IiiHHIIiiII', 40, w, 2*h, 1, 8*c, 0, 0, 0, 0, 0, 0) + rows
        head += struct.pack('<BBBBHHII', w, h, 0, 0, 1, said, len(dib), at + len(body)); body += dib
    return head + body

@pytest.mark.parametrize('said', [32, 0])
@pytest.mark.parametrize('w', [16, 37])
def test_alpha_and_mask_of_an_icon(w, said):
    "As in Windows: alpha counts, unless it is 0 everywhere; then the mask does, and where that hides nothing, all is seen."
    a, mask = rng.integers(0, 256, (12, w, 4)).astype(np.uint8), rng.integers(0, 2, (12, w)).astype(np.uint8)
    none, rgb = a*np.uint8([1, 1, 1, 0]), a[..., 2::-1]
    assert np.array_equal(to_array(open_image(icon((a, mask, said)))), np.dstack([rgb, a[..., 3]]))
    assert np.array_equal(to_array(open_image(icon((none, mask, said)))), np.dstack([rgb, 255*(1 - mask)]))
    assert np.array_equal(to_array(open_image(icon((none, 0*mask, said)))), rgb)
    if said: assert np.array_equal(to_array(open_image(icon((none, mask, said))[:-12*(4 if w == 16 else 8)])), rgb)     # without a mask, all is seen

def test_an_icon_of_several_depths_gives_the_best():
    a, mask = rng.integers(0, 256, (12, 16, 4)).astype(np.uint8), np.zeros((12, 16), np.uint8)
    for order in (0, 1), (1, 0):
        b = icon(*[((255 - a[..., :3], mask, 24), (a, mask, 32))[i] for i in order])
        assert np.array_equal(to_array(open_image(b)), a[..., [2, 1, 0, 3]])

@pytest.mark.parametrize('kind, extra, n', [(np.uint8, (), 0), (np.uint16, (), 0), (np.uint8, (2,), 0), (np.uint16, (2,), 0),
                                            (np.uint8, (0,), 1), (np.uint16, (0,), 1), (np.uint8, (0, 0), 2)])
def test_channels_that_are_left_out_are_said(kind, extra, n):
    a = rng.integers(0, 200, (6, 9, 3 + len(extra))).astype(kind)
    tifffile.imwrite(out := BytesIO(), a, photometric='rgb', extrasamples=extra)
    lost = open_image(out.getvalue()).info.get('lost')
    assert (lost or '').startswith(f'{n} channel{"s"*(n > 1)} of the file' if n else '') and bool(lost) == bool(n), lost

def test_gif_frame_that_goes_away_leaves_nothing(tmp_path):
    "The first frame has no transparency, the second is a small square: around it nothing is left of the first."
    first, second = Image.new('P', (16, 12), 0), Image.new('P', (16, 12), 1)
    for p in (first, second): p.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    second.paste(2, (4, 4, 8, 8)); second.info['transparency'] = 1
    first.save(p := tmp_path/'x.gif', save_all=True, append_images=[second], disposal=2, duration=100, optimize=False)
    (a, _), (b, _) = read_frames(p)
    assert a.convert('RGBA').getpixel((0, 0)) == (255, 0, 0, 255) and b.getpixel((0, 0))[3] == 0 and b.getpixel((5, 5)) == (0, 0, 255, 255)

@pytest.mark.parametrize('plays', [0, 1, 3])
def test_a_film_is_played_as_often_in_another_format(plays, tmp_path):
    film = [Image.new('RGB', (8, 8), c) for c in ('red', 'lime')]
    for s in ('.gif', '.png', '.webp'):
        film = [p for p,_ in read_frames(save_frames(tmp_path/f'x{s}', film, .1, plays))]
        assert film[0].info['loop'] == plays
    with Image.open(tmp_path/'x.gif') as img: assert img.info.get('loop') == {0: 0, 1: None, 3: 2}[plays]      # it says how often again
    if plays:
        with pytest.warns(UserWarning, match='AVIF has no place for how often'): save_frames(tmp_path/'x.avif', film, .1, plays)

@pytest.mark.parametrize('mode, suffix', [(m, s) for m in ('L', 'LA') for s in ('.webp', '.avif')])
def test_grey_profile_has_no_place_among_colours(mode, suffix, tmp_path):
    img = Image.new(mode, (8, 8)); img.info['icc_profile'] = chunk_profile({b'gAMA': struct.pack('>I', 100_000)}, grey=True)
    with pytest.warns(UserWarning, match=f'x{suffix}: its colour profile is for grey, not for RGB; not in the file'): save_image(img, tmp_path/f'x{suffix}')
    with Image.open(tmp_path/f'x{suffix}') as got: assert 'icc_profile' not in got.info

class Twice:
    "Repeats pixels; counts how often it is asked."
    name, scale, device, asked = 'toy', 2, 'cpu', 0
    def __call__(self, img, tile=None, progress=None, size=None):
        self.asked += 1
        return img.resize(size, Image.Resampling.BILINEAR)

@pytest.mark.parametrize('name, says', [('x.jpg', 'holds a single picture'), ('x.png', 'frames of 2 sizes are no film'), ('x.xbm', 'cannot')])
def test_what_cannot_be_saved_is_refused_before_it_is_computed(name, says, tmp_path):
    pages = [Image.new('RGB', (8, 8)), Image.new('RGB', (8, 12))]
    pages[0].save(src := tmp_path/'p.mpo', save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match=says): enlarge_file(src, tmp_path/name, up := Twice(), want=Wanted(frames=name != 'x.xbm'))
    assert not up.asked and not (tmp_path/name).exists()

def test_a_film_that_memory_does_not_hold_is_refused_before_it_is_computed(tmp_path, monkeypatch):
    Image.new('RGB', (8, 8), 'red').save(src := tmp_path/'f.gif', save_all=True, append_images=[Image.new('RGB', (8, 8), 'blue')])
    monkeypatch.setattr(devices, 'available_memory', lambda device: 13*2*16*16 - 1)
    with pytest.raises(MemoryError, match='2 frames of 16 x 16 pixels takes up to'): enlarge_file(src, tmp_path/'a.png', up := Twice(), want=Wanted(frames=True))
    assert not up.asked and not (tmp_path/'a.png').exists()
    monkeypatch.setattr(devices, 'available_memory', lambda device: 13*2*16*16)
    assert enlarge_file(src, tmp_path/'a.png', up, want=Wanted(frames=True))['frames'] == [2, 2]

def test_a_picture_that_cannot_be_written_for_want_of_memory_is_refused_before_it_is_computed(tmp_path, monkeypatch):
    "What a format's writer takes besides the pixels; a 16-bit picture takes twice as much."
    Image.new('RGB', (8, 8), 'red').save(src := tmp_path/'a.png'); Image.new('I;16', (8, 8)).save(tmp_path/'deep.png')
    monkeypatch.setattr(devices, 'available_memory', lambda device: 9*3*16*16 - 1)
    with pytest.raises(MemoryError, match='b.webp: to write 16 x 16 pixels as WEBP takes up to'): enlarge_file(src, tmp_path/'b.webp', up := Twice())
    assert not up.asked and not (tmp_path/'b.webp').exists()
    assert enlarge_file(src, tmp_path/'b.png', up)['out_size'] == [16, 16]
    monkeypatch.setattr(devices, 'available_memory', lambda device: 5*2*16*16 - 1)
    with pytest.raises(MemoryError, match='as PNG'): enlarge_file(tmp_path/'deep.png', tmp_path/'c.png', up)

def test_what_is_asked_for_writing_a_picture_is_what_it_takes():
    "Never less than a photograph takes, and less than twice as much."
    for name, times in load_result(ROOT/'results'/'saving.json')['figures'].items():
        fmt, deep = name.split(',')[0], '16 bit' in name
        asked = _IN_WRITING.get(fmt, 6)
        assert times['photograph'] <= (max(asked, 5) if deep else asked) < 2*times['photograph'], name

@pytest.mark.parametrize('half', [False, True])
def test_gif_of_a_transparent_picture(half, tmp_path):
    img = Image.new('RGBA', (8, 8), 'red'); img.paste((0, 0, 0, 127 if half else 0), (0, 0, 5, 8)); img.save(src := tmp_path/'x.png')
    if half:
        with pytest.raises(ValueError, match='half-transparent'): enlarge_file(src, tmp_path/'y.gif', up := Twice())
        assert not up.asked
    else:
        enlarge_file(src, tmp_path/'y.gif', Twice())
        with Image.open(tmp_path/'y.gif') as got: assert set(np.unique(got.convert('RGBA').getchannel('A'))) == {0, 255}

def test_broken_second_page(tmp_path):
    "The first page is enlarged, for nothing else was asked; all pages are refused before anything is computed."
    tifffile.imwrite(src := tmp_path/'x.tif', np.zeros((2, 8, 8, 3), np.uint8), photometric='rgb')
    b, at = bytearray(src.read_bytes()), int.from_bytes(src.read_bytes()[4:8], 'little')
    n = int.from_bytes(b[at:at+2], 'little'); page = int.from_bytes(b[(end := at + 2 + 12*n):end + 4], 'little')
    b[page:page+2] = b'\0\0'; b[page+2:page+6] = b'\0\0\0\0'
    src.write_bytes(b)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        assert enlarge_file(src, tmp_path/'y.png', Twice())['out_size'] == [16, 16]
        with pytest.raises(ValueError, match='x.tif'): enlarge_file(src, tmp_path/'z.tif', up := Twice(), want=Wanted(frames=True))
        assert not up.asked and not (tmp_path/'z.tif').exists()

def test_long_name_in_bytes(tmp_path):
    assert write_whole(p := tmp_path/('文'*80 + '.png'), b'x').read_bytes() == b'x' and p.exists()
    assert [*tmp_path.iterdir()] == [p]

def test_grey_qoi(tmp_path): assert open_image(save_image(Image.new('L', (8, 8), 9), tmp_path/'x.qoi')).getpixel((0, 0)) == (9, 9, 9)

def test_frames_laid_over_others(tmp_path):
    "A half-transparent patch over an opaque picture leaves it opaque, and what it covered comes back; Pillow alone gets both wrong."
    ground = np.dstack([rng.integers(0, 256, (16, 20, 3)), np.full((16, 20), 255)]).astype(np.uint8)
    red, green = np.full((8, 10, 4), (255, 0, 0, 128), np.uint8), np.full((4, 4, 4), (0, 255, 0, 200), np.uint8)
    pixels = lambda a: zlib.compress(b''.join(b'\0' + r.tobytes() for r in a))
    control = lambda i, w, h, x, y, dispose, blend: chunk(b'fcTL', struct.pack('>IIIIIHHBB', i, w, h, x, y, 1, 10, dispose, blend))
    (tmp_path/'x.png').write_bytes(
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 20, 16, 8, 6, 0, 0, 0)) + chunk(b'acTL', struct.pack('>II', 4, 0))
        + control(0, 20, 16, 0, 0, 0, 0) + chunk(b'IDAT', pixels(ground)) + control(1, 10, 8, 5, 4, 2, 1) + chunk(b'fdAT', b'\0\0\0\2' + pixels(red))
        + control(3, 4, 4, 1, 1, 1, 1) + chunk(b'fdAT', b'\0\0\0\4' + pixels(green)) + control(5, 4, 4, 9, 9, 0, 0)
        + chunk(b'fdAT', b'\0\0\0\6' + pixels(green)) + chunk(b'IEND', b''))
    def over(a, patch, x, y):
        h, w, k = *patch.shape[:2], patch[..., 3:]/255
        res = a.astype(float); res[y:y + h, x:x + w, :3] = patch[..., :3]*k + res[y:y + h, x:x + w, :3]*(1 - k)
        return res
    last = ground.astype(float); last[1:5, 1:5] = 0; last[9:13, 9:13] = green
    for (got, s), want in zip(read_frames(tmp_path/'x.png'), [ground, over(ground, red, 5, 4), over(ground, green, 1, 1), last], strict=True):
        got = to_array(got)
        if got.shape[2] == 3: got = np.dstack([got, np.full((16, 20), 255, np.uint8)])
        assert s == .1 and np.abs(got - want).max() <= 1

def test_what_a_film_loses_is_told(tmp_path):
    "Times that pages cannot have, and bits that a film cannot."
    deep, plain = ([from_array(rng.integers(0, 256, (4, 5, 3)).astype(t)) for _ in range(2)] for t in (np.uint16, np.uint8))
    for pictures, suffix, s, want in ((deep, '.png', None, 'PNG has no place for 16 bits in a film'), (plain, '.png', .1, None),
                                      (plain, '.tif', .1, 'TIFF has no place for how long frames are shown'), (deep, '.tif', None, None)):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter('always')
            save_frames(tmp_path/f'x{suffix}', pictures, s)
        assert [str(w.message).removeprefix(f'{tmp_path}/x{suffix}: ') for w in said] == ([f'{want}; not in the file'] if want else [])

def test_half_transparent_film_into_a_gif(tmp_path):
    "Refused before anything is computed, as the single picture is."
    soft = [from_array(np.dstack([rng.integers(0, 256, (4, 5, 3)), np.full((4, 5), 100)]).astype(np.uint8)) for _ in range(2)]
    save_frames(src := tmp_path/'x.png', soft, .1)
    for frames in True, False:
        with pytest.raises(ValueError, match='GIF cannot hold half-transparent'): enlarge_file(src, tmp_path/'y.gif', up := Twice(), want=Wanted(frames=frames))
        assert not up.asked and not (tmp_path/'y.gif').exists()

def test_still_beside_a_film_is_told(tmp_path):
    (src := tmp_path/'x.png').write_bytes(film_of_16_bits((9, 9, 9), (1, 2, 3), (4, 5, 6)))
    with pytest.warns(UserWarning, match='x.png: its still picture is none of the 2 frames, and not in the film'):
        enlarge_file(src, tmp_path/'y.png', Twice(), want=Wanted(frames=True))
    d = enlarge_file(src, tmp_path/'z.png', Twice())
    assert d['frames'] == [0, 2] and '; this is the still beside a film of 2 frames, --frames enlarges it' in folders._result_line(d)
    assert 'only the still beside a film of frames: x.png (2)' in folders.summary(dict(done=[d], kept=[], bad=[], passed=[]))

@pytest.mark.parametrize('suffix, seconds, want', [
    ('.gif', (1/30, .067, .1), '33.33 ms is shown for 30 ms'), ('.webp', (1/60, .1, .1), '16.67 ms is shown for 17 ms'),
    ('.gif', (.03, .07, .1), None), ('.webp', (.033, .1, 1), None), ('.png', (1/60, .0333, .1), None)])
def test_times_that_a_format_cannot_hold_are_told_once(tmp_path, suffix, seconds, want):
    films = [Image.new('RGB', (8, 8), (i, 99, 0)) for i in (0, 90, 200)]
    with warnings.catch_warnings(record=True) as said: warnings.simplefilter('always'); save_frames(p := tmp_path/f'x{suffix}', films, seconds)
    assert len(said) == (want is not None) and all(str(w.message).startswith(f'{p}: ') and want in str(w.message) for w in said)
    off = [abs(s - t) for (_, s), t in zip(read_frames(p), seconds)]
    assert max(off) < (.0051 if suffix == '.gif' else .00051) if want else max(off) < 2e-6

def test_a_single_gif_says_that_colours_were_chosen(tmp_path):
    for mode, want in ('RGB', True), ('L', False):
        Image.new(mode, (8, 8)).save(p := tmp_path/f'{mode}.png')
        assert (', 256 colours chosen,' in folders._result_line(enlarge_file(p, tmp_path/f'{mode}.gif', Twice()))) == want

class Deep(Twice):
    "Repeats pixels with all their bits."
    precision, note, engine = 'float32', True, SimpleNamespace(checksum='', threads=1)
    def __call__(self, img, tile=None, progress=None, size=None): return from_array(to_array(img).repeat(2, 0).repeat(2, 1), img.info)

@pytest.mark.parametrize('a', [rng.integers(0, 2**16, s).astype(np.uint16) for s in ((9, 8), (9, 8, 3), (9, 8, 4))], ids=['grey', 'colour', 'alpha'])
def test_fewer_bits_are_said(tmp_path, a):
    "Wherever 16 bits become 8: one picture and its line, a folder, a film, pages, and from Python."
    (tmp_path/'in').mkdir()
    save_image(from_array(a), src := tmp_path/'in'/'x.png')
    said, suffix = '16 bits a channel are written as 8', '.jpg' if a.ndim == 2 or a.shape[2] == 3 else '.webp'
    d = enlarge_file(src, tmp_path/f'y{suffix}', Deep())
    assert d['lost'] == said and folders._result_line(d).endswith(f'; {said}')
    assert 'lost' not in enlarge_file(src, tmp_path/'y.png', Deep())
    res = folders.enlarge_folder(tmp_path/'in', tmp_path/'out', Deep(), progress=False, want=Wanted(format=suffix[1:]))
    assert f'{said} in: x.png' in folders.summary(res)
    with pytest.warns(UserWarning, match=f'z{suffix}: {said}$'): save_image(open_image(src), tmp_path/f'z{suffix}')
    pages = [open_image(src)]*2
    save_frames(tmp_path/'p.tif', pages)
    if suffix == '.jpg':
        with pytest.warns(UserWarning, match=f'p.mpo: {said}$'): save_frames(tmp_path/'p.mpo', pages)
    d = enlarge_file(tmp_path/'p.tif', tmp_path/'p.webp', Deep(), want=Wanted(frames=True))
    assert d['lost'] == 'WEBP has no place for 16 bits in a film (left out)'

def test_a_film_of_16_bits_is_read_as_8_and_says_so(tmp_path):
    (src := tmp_path/'x.png').write_bytes(film_of_16_bits((9, 9, 9), (1, 2, 3), (4, 5, 6)))
    d = enlarge_file(src, tmp_path/'y.png', Twice(), want=Wanted(frames=True))
    assert d['lost'] == 'colours of 16 bits were read as 8' and 'lost' not in enlarge_file(src, tmp_path/'z.png', Twice())

def test_colours_of_a_gif_are_said(tmp_path):
    "Once in a line, in a picture and in a film; not of a picture that has no more than 256."
    few = Image.fromarray(np.arange(3*256, dtype=np.uint16).astype(np.uint8).reshape(16, 16, 3)).resize((20, 20), 0); many = from_array(rng.integers(0, 256, (20, 20, 3)).astype(np.uint8))
    said = 'more than 256 colours are written as 256'
    with warnings.catch_warnings(): warnings.simplefilter('error'); save_image(few, tmp_path/'few.gif'); save_frames(tmp_path/'few2.gif', [few]*2)
    with pytest.warns(UserWarning, match=f'many.gif: {said}$'): save_image(many, tmp_path/'many.gif')
    with pytest.warns(UserWarning, match=f'many2.gif: {said}$'): save_frames(tmp_path/'many2.gif', [few, many])
    many.save(src := tmp_path/'s.png')
    line = folders._result_line(d := enlarge_file(src, tmp_path/'y.gif', Twice()))
    assert d['lost'] == said and line.count('256 colours') == 1 and '256 colours chosen' in line

def test_what_a_jpeg_has_no_place_for_is_in_the_result(tmp_path):
    "What the writer leaves out: in the line and in the JSON, and of a folder in one line."
    img = from_array(rng.integers(0, 256, (9, 8, 3)).astype(np.uint8), {'text': {'Title': 'a title'}})
    (tmp_path/'in').mkdir()
    for n in 'ab': save_image(img, tmp_path/'in'/f'{n}.png')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        res = folders.enlarge_folder(tmp_path/'in', tmp_path/'out', Deep(), progress=False, want=Wanted(format='jpg'))
    assert folders.summary(res).count('has no place') == 1 and 'JPEG has no place for text (left out) in: a.png, b.png' in folders.summary(res)

@pytest.mark.parametrize('suffix, package', [('.jpg', ''), ('.mpo', ''), ('.avif', ''), ('.heic', 'pillow_heif')])
def test_colours_are_as_fine_as_grey(tmp_path, suffix, package):
    "Red and blue pixels in turn stay red and blue; where the colour's resolution is halved, they become purple."
    if package: pytest.importorskip(package)
    a = np.where(np.indices((16, 16)).sum(0)[..., None] % 2, (200, 30, 30), (30, 30, 200)).astype(np.uint8)
    assert np.abs(to_array(open_image(save_image(from_array(a), tmp_path/f'x{suffix}'))).astype(int) - a).mean() < 12
    if suffix == '.avif': assert np.abs(to_array(next(read_frames(save_frames(tmp_path/'f.avif', [from_array(a)]*2, .1)))[0]).astype(int) - a).mean() < 12

def test_a_page_says_only_what_it_says_itself(tmp_path):
    "Profile, resolution, comment and notes of other pages were taken for its own (Pillow only adds to what it knows): wrong colours, a picture turned."
    from PIL import ImageCms
    icc, red = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes(), Image.new('RGB', (32, 24), (200, 30, 30))
    says = lambda p: [(bool(i.info.get('icc_profile')), i.info.get('dpi', (0,))[0], i.size) for i, _ in read_frames(p, icc='keep')]
    bare, full = dict(photometric='rgb', metadata=None), dict(photometric='rgb', metadata=None, iccprofile=icc, resolution=(600, 600), resolutionunit='INCH')
    for pages in (bare, full), (full, bare), (bare, full, bare):
        with tifffile.TiffWriter(tmp_path/'x.tif') as t:
            for page in pages: t.write(np.asarray(red), **page)
        want = [(page is full, 600*(page is full), (32, 24)) for page in pages]
        assert says(tmp_path/'x.tif') == want and open_image(tmp_path/'x.tif', icc='keep').info.get('icc_profile') == (icc if want[0][0] else None)
        save_frames(tmp_path/'y.tif', *zip(*read_frames(tmp_path/'x.tif', icc='keep')))
        assert [34675 in p.tags for p in tifffile.TiffFile(tmp_path/'y.tif').pages] == [w[0] for w in want]
    exif = Image.Exif(); exif[0x112] = 6
    (second := red.copy()).encoderinfo = dict(icc_profile=None, dpi=(0, 0), exif=b'', comment=None)
    red.save(tmp_path/'x.mpo', save_all=True, append_images=[second], icc_profile=icc, dpi=(600, 600), exif=exif, comment=b'hello')
    assert says(tmp_path/'x.mpo') == [(True, 600, (24, 32)), (False, 0, (32, 24))]
    assert [i.info.get('comment') for i, _ in read_frames(tmp_path/'x.mpo')] == [b'hello', None]
    with tifffile.TiffWriter(tmp_path/'z.tif') as t:                                            # a thumbnail in front is not the picture
        t.write(np.zeros((8, 8, 3), np.uint8), subfiletype=1, **full); t.write(np.asarray(red), **bare)
    assert open_image(tmp_path/'z.tif', icc='keep').info.keys().isdisjoint({'icc_profile', 'dpi'})

def a_gif(w, h, frames, palette):
    "A GIF of (array of numbers, place, disposal, transparent number or None), without compression: every code is followed by none that is learnt."
    def packed(a):
        bits = ''.join(f'{v:09b}'[::-1] for k, i in enumerate(a.ravel().tolist()) for v in ([256, i] if k % 200 == 0 else [i])) + f'{257:09b}'[::-1]
        b = bytes(int(bits[k:k+8][::-1], 2) for k in range(0, len(bits), 8))
        return b'\x08' + b''.join(bytes([len(b[k:k+255])]) + b[k:k+255] for k in range(0, len(b), 255)) + b'\0'
    out = b'GIF89a' + struct.pack('<HHBBB', w, h, 0xf7, 0, 0) + np.resize(np.array(palette, np.uint8), (256, 3)).tobytes()
    for a, (x, y), disposal, clear in frames:
        out += b'\x21\xf9\x04' + struct.pack('<BHBB', disposal << 2 | (clear is not None), 10, clear or 0, 0)
        out += b',' + struct.pack('<HHHHB', x, y, a.shape[1], a.shape[0], 0) + packed(a)
    return out + b';'

@pytest.mark.parametrize('seed', range(40))
def test_a_gif_is_what_a_browser_shows(seed, tmp_path):
    """Frames that stay, are cleared or give back what was there, of all sizes, against a canvas of our own. Pillow takes the disposal of the frame
    before where a frame has none, and leaves a colour around a first frame that does not fill its film."""
    r, (w, h) = np.random.default_rng(seed), ((12, 9), (5, 17), (8, 8))[seed % 3]
    palette, frames, want, canvas = r.integers(0, 256, (8, 3)), [], [], np.zeros((h, w, 4), np.uint8)
    for k in range(1 + seed % 6):
        fw, fh = (w, h) if r.random() < .3 else (int(r.integers(1, w + 1)), int(r.integers(1, h + 1)))
        x, y = int(r.integers(0, w - fw + 1)), int(r.integers(0, h - fh + 1))
        a, clear, disposal = r.integers(0, 8, (fh, fw)), (None, 0, 3)[r.integers(0, 3)], int(r.integers(0, 4))
        before, box = canvas.copy(), canvas[y:y+fh, x:x+fw]
        seen = a != clear if clear is not None else np.ones(a.shape, bool)
        box[seen] = np.concatenate([palette, np.full((8, 1), 255)], 1)[a][seen]
        frames.append((a, (x, y), disposal, clear)); want.append(canvas.copy())
        if disposal == 2: box[:] = 0
        if disposal == 3: canvas = before
    (p := tmp_path/'x.gif').write_bytes(a_gif(w, h, frames, palette))
    got = [np.asarray(i.convert('RGBA')) for i, _ in read_frames(p)]
    assert len(got) == len(want) and all((g[..., 3] == v[..., 3]).all() and (g[v[..., 3] > 0] == v[v[..., 3] > 0]).all() for g, v in zip(got, want))
    first = np.asarray(open_image(p).convert('RGBA')); assert (first[..., 3] == want[0][..., 3]).all()

@pytest.mark.skipif(os.name == 'nt', reason='Windows has no pipes of this kind')
def test_the_pages_of_a_pipe_are_not_waited_for(tmp_path):
    "A picture may become one between the moment that it is read and the moment that its result is written, when its pages are counted."
    os.mkfifo(pipe := tmp_path/'a.png')
    got = []
    count = threading.Thread(target=lambda: got.append(first_of(pipe)), daemon=True); count.start(); count.join(30)
    if waits := count.is_alive(): os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)); count.join()
    assert not waits and got[0][0] is None and str(got[0][1]) == f'{pipe} is a pipe or a device'
