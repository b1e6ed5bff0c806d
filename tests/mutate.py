"""Damaged pictures, made from a seed: a small one of each format that is read, with bits flipped, parts cut out, doubled or exchanged,
numbers set to extremes. `python mutate.py FIRST LAST` opens those with these numbers in a process of 2 GB, each in 5 seconds at most."""
import signal, struct, sys, warnings, zlib
from contextlib import suppress
from functools import lru_cache
from io import BytesIO
import numpy as np
from PIL import Image, ImageOps
from srgan_course.kit.codec import open_image
from srgan_course.kit.formats import readable
from srgan_course.kit.frames import frame_count, read_frames
from srgan_course.kit.pixels import to_array

def encoded(img, fmt, **kw): img.save(out := BytesIO(), fmt, **kw); return out.getvalue()

def deep_png(a):
    import cv2
    return cv2.imencode('.png', a)[1].tobytes()

@lru_cache
def seeds():
    "name -> bytes of a small file."
    import tifffile
    r = np.random.default_rng(0)
    a = np.kron(r.integers(0, 256, (8, 12, 3)), np.ones((3, 3, 1))).astype(np.uint8)
    rgb, rgba = Image.fromarray(a), Image.fromarray(np.dstack([a, a[..., 0]]))
    deep = (a.astype(np.uint16) << 8) | a[..., ::-1]
    film = dict(save_all=True, append_images=[rgb.rotate(90*i) for i in (1, 2)], duration=50)
    ex = Image.Exif(); ex[0x0112], ex[0x010F] = 6, 'Maker'; ex[0x8769] = {0x829A: .01}
    tiff = lambda x, **kw: (tifffile.imwrite(out := BytesIO(), x, **kw), out.getvalue())[1]
    plain = dict(BMP={}, DIB={}, PPM={}, TGA={}, QOI={}, DDS={}, PCX={}, SGI={}, ICO={}, ICNS={}, JPEG2000={}, AVIF={}, MPO={}, WEBP={}, GIF={}, JPEG={},
                 PNG={}, TIFF={})
    res = {k: encoded(rgb, k, **kw) for k,kw in plain.items() if k in Image.SAVE and (k in readable() or k == 'MPO')}
    res |= dict(XBM=encoded(rgb.convert('1'), 'XBM'),
        XPM=b'/* XPM */\nstatic char *x[] = {\n"3 2 2 1",\n"a c #ff0000",\n"b c #00ff00",\n"aba",\n"bab"\n};\n',
        SUN=struct.pack('>8I', 0x59a66a95, 36, 24, 24, a.nbytes, 1, 0, 0) + a.tobytes(),
        PSD=b'8BPS\0\1' + bytes(6) + struct.pack('>HIIHH', 3, 24, 36, 8, 3) + bytes(12) + b'\0\0' + a.transpose(2, 0, 1).tobytes(),
        png_alpha=encoded(rgba, 'PNG', exif=ex), png_palette=encoded(rgb.quantize(20), 'PNG', transparency=3), png_grey=encoded(rgb.convert('L'), 'PNG'),
        png_one=encoded(rgb.convert('1'), 'PNG'), png_deep=deep_png(deep), png_deep_grey=deep_png(deep[..., 0]), png_film=encoded(rgb, 'PNG', **film),
        jpeg_steps=encoded(rgb, 'JPEG', progressive=True, exif=ex, comment=b'hello', dpi=(72, 72)), jpeg_cmyk=encoded(rgb.convert('CMYK'), 'JPEG'),
        gif_film=encoded(rgb, 'GIF', **film), webp_film=encoded(rgb, 'WEBP', **film), webp_exact=encoded(rgba, 'WEBP', lossless=True, exif=ex),
        tiff_lzw=encoded(rgb, 'TIFF', compression='tiff_lzw'), tiff_zip=encoded(rgba, 'TIFF', compression='tiff_adobe_deflate', tiffinfo={0x010F: 'Maker', 0x0112: 6}),
        tiff_jpeg=encoded(rgb, 'TIFF', compression='jpeg'), tiff_fax=encoded(rgb.convert('1'), 'TIFF', compression='group4'),
        tiff_deep=tiff(deep, photometric='rgb'), tiff_planes=tiff(deep.transpose(2, 0, 1).copy(), photometric='rgb', planarconfig='separate'),
        tiff_grey=tiff(deep[..., 0]), tiff_signed=tiff((a[..., 0] >> 1).view(np.int8)), tiff_tiles=tiff(a, photometric='rgb', tile=(16, 16)),
        tiff_pages=encoded(rgb, 'TIFF', save_all=True, append_images=[rgb.rotate(90)]), tga_rle=encoded(rgba, 'TGA', compression='tga_rle'),
        bmp_palette=encoded(rgb.quantize(200), 'BMP'), ppm_deep=b'P6 36 24 65535\n' + deep.astype('>u2').tobytes(), pgm_text=b'P2\n3 2\n9\n1 2 3 4 5 6\n',
        pfm=b'Pf\n3 2\n-1.0\n' + np.linspace(0, 1, 6, dtype='<f4').tobytes(), j2k=encoded(rgba, 'JPEG2000', no_jp2=True), avif_film=encoded(rgb, 'AVIF', **film))
    return res

def with_sums(b):
    "A PNG whose checksums fit again, so that the damage gets past them."
    at, out = 8, bytearray(b[:8])
    while at + 12 <= len(b):
        n = int.from_bytes(b[at:at+4], 'big')
        if at + 12 + n > len(b): break
        out += b[at:at+8+n] + struct.pack('>I', zlib.crc32(b[at+4:at+8+n]))
        at += 12 + n
    return bytes(out + b[at:])

def mutated(i):
    "Damaged picture number `i`: the name of what it was made from, and its bytes."
    r, names = np.random.default_rng(i), sorted(seeds())
    name = names[i % len(names)]
    b = bytearray(seeds()[name])
    def place(): return int(r.integers(0, min(len(b), r.choice([40, 200, len(b)]))))
    def part(): s = place(); return s, s + int(r.integers(1, r.choice([5, 60, len(b)]) + 1))
    for _ in range(r.integers(1, 5)):
        if len(b) < 2: break
        match r.integers(0, 8):
            case 0 | 1: b[place()] ^= 1 << int(r.integers(0, 8))
            case 2: b[place()] = int(r.integers(0, 256))
            case 3:
                n, s = int(r.choice([2, 4])), place()
                b[s:s+n] = int(r.choice([0, 1, 0x7f, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff]) % 256**n).to_bytes(n, r.choice(['big', 'little']))
            case 4: del b[slice(*part())]
            case 5: s, e = part(); b[s:s] = b[s:e]
            case 6: (s, e), (t, f) = sorted((part(), part())); b[s:f] = b[t:f] + b[min(e, t):t] + b[s:min(e, t)]
            case 7: del b[place():]
    b = bytes(b)
    return name, with_sums(b) if b[:4] == b'\x89PNG' and r.random() < .7 else b

TURN = dict(zip(range(2, 9), map(Image.Transpose, (0, 3, 1, 5, 4, 6, 2))))     # EXIF's orientation

def pixels_alone(b, lost):
    "A PNG without all that may be left out: the four chunks that make a picture, and what is transparent, if that is not named as lost."
    at, out = 8, b[:8]
    while at + 12 <= len(b):
        kind, end = b[at+4:at+8], at + 12 + int.from_bytes(b[at:at+4], 'big')
        if kind in (b'IHDR', b'PLTE', b'IDAT', b'IEND') or kind == b'tRNS' and 'tRNS' not in lost: out += b[at:end]
        at = end
    return out + b[at:]

def check(b, max_pixels=2**25, path=None):
    "'refused' in one line, or 'opened' as Pillow decodes it; anything else is an AssertionError."
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')                # Pillow's remarks on the damage
        try: got = open_image(path or b, max_pixels=max_pixels, icc='keep')
        except ValueError as e:
            assert str(e) and '\n' not in str(e), repr(e)
            return 'refused'
        a, limit = to_array(got), Image.MAX_IMAGE_PIXELS
        def decoded(b): ref = Image.open(BytesIO(b), formats=readable()); ref.load(); return ref
        try: Image.MAX_IMAGE_PIXELS = None; ref = decoded(b)
        except Exception:                              # what is damaged beside a PNG's pixels costs no picture here, and is named
            if b[:4] != b'\x89PNG' or not got.info.get('lost'): raise
            ref = decoded(pixels_alone(b, got.info['lost']))
        finally: Image.MAX_IMAGE_PIXELS = limit
        box = ref.dispose_extent if ref.format == 'GIF' and 'transparency' not in ref.info else None
        if box and box != (0, 0, *ref.size):           # around a first frame there is nothing, as browsers show it; Pillow paints it
            whole = Image.new('RGBA', ref.size); whole.paste(ref.convert('RGBA').crop(box), box[:2]); ref = whole
        if ref.format != 'JXL':
            try: ref = ImageOps.exif_transpose(ref)
            except Exception:                          # its EXIF is damaged, too, but perhaps not where it says how the picture lies
                with suppress(Exception): ref = ref.transpose(TURN[ref.getexif()[274]])
        assert got.size == ref.size, (got.size, ref.size)
        if 'does not call transparency' in (got.info.get('lost') or ''): ref = ref.convert('RGB')     # a TGA without bits of alpha
        if a.dtype == np.uint16 and a.ndim == 3 and 'transparency' not in ref.info: assert planes(b) or np.abs((a >> 8).astype(int)[..., :3] - np.asarray(ref)[..., :3]).max() <= 1
        elif a.dtype == np.uint8 and ref.mode not in ('CMYK', 'LAB'): assert np.array_equal(np.asarray(got.convert('RGBA')), np.asarray(ref.convert('RGBA')))
        return 'opened'

def planes(b): return b[:2] in (b'II', b'MM')          # the colours of some 16-bit TIFF files Pillow itself gets wrong

def check_frames(path, max_pixels=2**25):
    "Every frame opens, or one line says why not."
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try: return frame_count(path, max_pixels), sum(1 for _,_ in zip(read_frames(path, max_pixels), range(8)))
        except ValueError as e: assert str(e) and '\n' not in str(e), repr(e)

if __name__ == '__main__':
    import resource, tempfile
    from collections import Counter
    from pathlib import Path
    first, last = map(int, sys.argv[1:3])
    seeds(); check(seeds()['png_deep']); check(seeds()['tiff_deep'])      # all that is imported, before the limit
    resource.setrlimit(resource.RLIMIT_DATA, (2**31, 2**31))
    seen = Counter()
    with tempfile.TemporaryDirectory() as d:
        for i in range(first, last):
            name, b = mutated(i)
            print(i, name, len(b), end=' ', flush=True)
            signal.setitimer(signal.ITIMER_PROF, 5); signal.alarm(120)      # of the processor's time; and where it only waits
            (p := Path(d)/'x').write_bytes(b)
            seen[says := check(b, path=p)] += 1
            if any(k in name for k in ('film', 'pages', 'MPO')): check_frames(p)
            signal.setitimer(signal.ITIMER_PROF, 0); signal.alarm(0)
            print(says, flush=True)
    print('all', dict(seen))
