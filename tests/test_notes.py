"Notes of a picture from one file into the next: kept, fitted, or said to be lost; never a picture lost for its notes."
import re, struct, warnings, zlib
from io import BytesIO
import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, PngImagePlugin
from srgan_course.images import from_array, open_image, save_image, to_array
from srgan_course.kit.codec import image_bytes
from srgan_course.kit import notes
from srgan_course.kit.frames import frame_count, read_frames, save_frames

rng = np.random.default_rng(0)
noise = lambda *s: rng.integers(0, 256, s).astype(np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><!--%s--></x:xmpmeta>'
IPTC = b'\x1c\x02\x78\x00\x07caption'

def exif(n=0, **tags):
    ex = Image.Exif(); ex[0x010F] = 'Maker'
    if n: ex[0x9286] = b'x'*n
    return ex.tobytes()

def saved(img, path, **kw):
    "The file, and what was said while it was written."
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        p = save_image(img, path, **kw)
    return p, [str(w.message) for w in said]

LONG = dict(exif=exif(70_000), xmp=XMP % (b'x'*70_000), comment=b'c'*70_000, iptc=IPTC + bytes(70_000), icc_profile=SRGB + bytes(17_000_000), dpi=(70_000., 70_000.))

@pytest.mark.parametrize('turn', [1, 3, 5, 6, 7, 8])
def test_what_is_said_of_width_and_height_turns_with_the_picture(tmp_path, turn):
    "A PNG's shape of pixels, and a JPEG's resolution in its head and in its EXIF: from five on, the sides change places."
    want = (lambda a, b: (b, a)) if turn > 4 else (lambda a, b: (a, b))
    ex = Image.Exif(); ex[274], ex[282], ex[283], ex[296] = turn, 300., 150., 2; ex[0x8769] = {0xA20E: 40., 0xA20F: 20., 0xA002: 8, 0xA003: 9}
    img = Image.fromarray(noise(9, 8, 3)); img.save(out := BytesIO(), 'PNG', exif=ex)
    got = open_image(notes.with_chunks(out.getvalue(), {b'pHYs': struct.pack('>IIB', 3, 2, 0)}))
    assert got.size == want(8, 9) and struct.unpack('>II', got.info['chunks'][b'pHYs'][:8]) == want(3, 2)
    assert struct.unpack('>II', chunks_of(saved(got, tmp_path/'x.png')[0].read_bytes())[b'pHYs'][:8]) == want(3, 2)
    img.save(out := BytesIO(), 'JPEG', exif=ex, dpi=(300, 150))
    for suffix in '.jpg', '.webp':
        p, _ = saved(open_image(out.getvalue()), tmp_path/f'x{suffix}')
        with Image.open(p) as got: ex, sub = got.getexif(), got.getexif().get_ifd(0x8769)
        assert (ex[282], ex[283]) == want(300, 150) and (sub[0xA20E], sub[0xA20F]) == want(40, 20) and (sub[0xA002], sub[0xA003]) == want(8, 9)
        if suffix == '.jpg': assert got.info['dpi'] == want(300, 150)

STORED = {254: 1, 258: (16,)*3, 259: 5, 262: 0, 266: 2, 273: (8,), 284: 2, 301: (0, 9), 317: 2, 320: (0, 9), 322: 16, 323: 16, 324: (8,), 325: (9,), 330: 99, 332: 2,
          338: (2, 2), 339: (3,)*3, 347: b'tables', 513: 8, 514: 9, 530: (2, 2), 34675: SRGB, 37724: b'layers', 50706: b'\1\4\0\0'}

@pytest.mark.parametrize('a', [noise(9, 8, 3), noise(9, 8, 3).astype(np.uint16)*257, noise(9, 8)], ids=['8', '16', 'grey'])
@pytest.mark.parametrize('tag', STORED)
def test_how_another_file_was_stored_does_not_get_into_a_tiff(tmp_path, tag, a):
    "EXIF of a JPEG or PNG made from a TIFF, or from a raw file: as a picture and as pages; three readers see the pixels, and the rest of the notes is there."
    ex = Image.Exif(); ex[0x010F], ex[tag], ex[282], ex[296], ex[700] = 'Maker', STORED[tag], 2., 3, XMP % b''
    img = open_image(image_bytes(from_array(a), 'x.png', like=from_array(a, {'exif': ex.tobytes()})))
    p, q = saved(img, tmp_path/'x.tif')[0], save_frames(tmp_path/'y.tif', [img, img])
    for got in open_image(p), *(f for f, _ in read_frames(q)): np.testing.assert_array_equal(to_array(got), a)
    np.testing.assert_array_equal(tifffile.imread(p), a)
    np.testing.assert_array_equal(cv2.imread(str(p), cv2.IMREAD_UNCHANGED), a[..., ::-1] if a.ndim == 3 else a)
    with Image.open(p) as t: kept = t.tag_v2
    assert (kept[0x010F], kept[282], kept[296], kept[700]) == ('Maker', 2, 3, XMP % b'') and (tag in (258, 259, 262, 273, 284) or tag not in kept)

@pytest.mark.parametrize('turn', [1, 6])
@pytest.mark.parametrize('suffix', ['.tif', '.jpg', '.png'])
def test_a_directory_inside_a_directory_of_exif_is_kept(tmp_path, suffix, turn):
    "Interoperability: two rooms down."
    ex = Image.Exif(); ex[274] = turn; ex[0x8769] = {0xA20E: 40., 0xA005: {1: 'R98', 2: b'0100'}}
    noisy = Image.fromarray(noise(9, 8, 3)); noisy.save(out := BytesIO(), 'JPEG', exif=ex)
    p, _ = saved(open_image(saved(open_image(out.getvalue()), tmp_path/f'x{suffix}')[0]), tmp_path/'y.jpg')
    for p in tmp_path/f'x{suffix}', p:
        with Image.open(p) as got: ex = got.getexif(); sub = ex.get_ifd(0x8769); assert ex.get_ifd(0xA005) == {1: 'R98', 2: b'0100'} and 40 in sub.values()

@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.tif', '.avif', '.gif', '.jp2', '.bmp'])
@pytest.mark.parametrize('note', LONG)
def test_a_note_that_is_too_long_costs_no_picture(tmp_path, suffix, note):
    "With one note too long, and another beside it that fits: the picture is there, and so is the short note where the format holds one."
    short = {'exif': exif()} if note != 'exif' else {'xmp': XMP % b''}
    p, said = saved(from_array(noise(9, 8, 3), {note: LONG[note], **short}), tmp_path/f'x{suffix}')
    assert open_image(p, icc='keep').size == (8, 9)
    if suffix == '.jpg': assert len(said) == 1 and re.search('JPEG (cannot hold, too long or damaged:|has no place for) ' + notes.NOTE_NAMES[note], said[0])
    if suffix in ('.jpg', '.png', '.tif', '.webp'): assert [*short][0] in open_image(p).info

def test_all_notes_as_long_as_a_jpeg_takes(tmp_path):
    info = dict(exif=exif(65_400), xmp=XMP % (b'x'*65_000), comment=b'c'*65_000, icc_profile=SRGB)
    p, said = saved(from_array(noise(2, 2, 3), info), tmp_path/'x.jpg')
    assert not said and {*info} <= {*open_image(p).info}

def test_damaged_exif_costs_no_picture(tmp_path):
    for b in (b'Exif\0\0MM\0*\0\0\0\x08\xff\xff', b'Exif\0\0', b'\xff'*40):
        for suffix in ('.jpg', '.png', '.tif', '.webp', '.avif'): assert saved(from_array(noise(9, 8, 3), {'exif': b}), tmp_path/f'x{suffix}')[0].stat().st_size

@pytest.mark.parametrize('fmt, suffix', [('JPEG', '.jpg'), ('PNG', '.png'), ('WEBP', '.webp'), ('TIFF', '.tif'), ('AVIF', '.avif'), ('GIF', '.gif'),
                                         ('JPEG2000', '.jp2'), ('BMP', '.bmp'), ('PPM', '.ppm'), ('TGA', '.tga'), ('QOI', '.qoi')])
def test_what_a_format_holds_is_there_and_the_rest_is_said(tmp_path, fmt, suffix):
    info = dict(exif=exif(), icc_profile=SRGB, xmp=XMP % b'', iptc=IPTC, photoshop={1034: b'\1'}, comment=b'hello', text={'Title': 'A title'}, dpi=(300., 150.))
    p, said = saved(from_array(noise(9, 8, 3), info), tmp_path/f'x{suffix}')
    got = open_image(p, icc='keep').info
    for k in notes._HOLDS.get(fmt, ()):
        if k != 'chunks': assert k in got, k
    lost = [notes.NOTE_NAMES[k] for k in info if k not in got and not (k == 'comment' and 'hello' in (got.get('text', {}).get('Comment'), open_image(p).getexif().get(270)))]
    assert len(said) == bool(lost) and all(n in said[0] for n in lost), (lost, said)

def test_a_caption_goes_from_file_to_file(tmp_path):
    "IPTC's bytes, as other programs read them: a JPEG's and a TIFF's from each other, by Pillow's own reader; a length that is odd, too."
    from PIL.IptcImagePlugin import getiptcinfo
    segment = b'Photoshop 3.0\0' + b'8BIM\x04\x04\0\0' + struct.pack('>I', len(IPTC)) + IPTC
    Image.fromarray(noise(9, 8, 3)).save(out := BytesIO(), 'JPEG', extra=b'\xff\xed' + struct.pack('>H', len(segment) + 2) + segment)
    out = out.getvalue()
    for suffix in '.jpg', '.tif', '.tif', '.jpg':
        p, said = saved(open_image(out), tmp_path/f'x{suffix}', software='a model')
        assert not said and getiptcinfo(Image.open(p)) == {(2, 120): b'caption'}, suffix
        out = p
    assert 'PNG has no place for IPTC; not in the file' in saved(open_image(out), tmp_path/'x.png')[1][0]
    Image.fromarray(noise(9, 8)).save(tmp_path/'old.tif', tiffinfo={33723: IPTC})
    assert open_image(tmp_path/'old.tif').info['iptc'] == IPTC

def block(k, v, name=b''): return b'8BIM' + struct.pack('>H', k) + bytes([len(name)]) + name + bytes(1 - len(name) % 2) + struct.pack('>I', len(v)) + v + bytes(len(v) % 2)

def test_copyright_goes_from_file_to_file_and_paths_are_said(tmp_path):
    "Photoshop's flag and address, beside IPTC and without it: a JPEG's and a TIFF's from each other. Thumbnail, digest and paths stay behind."
    kept = {1034: b'\1', 1035: b'https://example.org/who'}
    for iptc in {}, {1028: IPTC}:
        blocks = block(1036, bytes(40)) + b''.join(block(k, v) for k,v in (iptc | kept).items()) + block(1061, bytes(16))
        path = block(2000, bytes(26), b'a path') if iptc else b''
        seg = b'Photoshop 3.0\0' + path + blocks
        Image.fromarray(noise(9, 8, 3)).save(out := BytesIO(), 'JPEG', extra=b'\xff\xed' + struct.pack('>H', len(seg) + 2) + seg)
        src = out.getvalue()
        assert open_image(src).info.get('lost') == ("Photoshop's paths left out" if path else None)
        for suffix in '.jpg', '.tif', '.tif', '.jpg':
            src, said = saved(open_image(src), tmp_path/f'x{suffix}')
            with Image.open(src) as img: found = dict(img.info['photoshop']) if suffix == '.jpg' else {k: v['data'] for k,v in img.get_photoshop_blocks().items()}
            assert not said and found == iptc | kept, suffix
        assert saved(open_image(src), tmp_path/'x.png')[1] == [f"{tmp_path/'x.png'}: PNG has no place for {'IPTC, ' if iptc else ''}Photoshop's copyright; not in the file"]
    none = from_array(noise(9, 8, 3), {'iptc': IPTC + bytes(65_480), 'photoshop': kept})
    assert saved(none, tmp_path/'y.jpg')[1] == [f"{tmp_path/'y.jpg'}: JPEG has no place for Photoshop's copyright; not in the file"] and open_image(tmp_path/'y.jpg').info['iptc']
    seg = b'Photoshop 3.0\0' + block(1034, b'\0')                         # no copyright is claimed: nothing to keep
    Image.fromarray(noise(9, 8, 3)).save(out := BytesIO(), 'JPEG', extra=b'\xff\xed' + struct.pack('>H', len(seg) + 2) + seg)
    assert 'photoshop' not in open_image(out.getvalue()).info

LAB, GREY = (ImageCms.ImageCmsProfile(ImageCms.createProfile('LAB')).tobytes(), notes.chunk_profile({b'gAMA': struct.pack('>I', 100_000)}, grey=True))

@pytest.mark.parametrize('shape, icc, why', [((9, 8), SRGB, 'is for RGB, not for grey'), ((9, 8, 3), LAB, 'is for Lab, not for RGB'), ((9, 8, 3), GREY, 'is for grey, not for RGB'),
                                             ((9, 8), b'no profile'*20, 'is damaged'), ((9, 8, 4), b'\0'*200, 'is damaged')])
@pytest.mark.parametrize('suffix', ['.png', '.tif', '.webp', '.avif'])
def test_a_profile_of_another_picture_is_left_out_for_its_own_reason(tmp_path, shape, icc, why, suffix):
    a = noise(*shape)
    p, said = saved(from_array(a, {'icc_profile': icc}), tmp_path/f'x{suffix}')
    assert said == [f'{p}: its colour profile {why}; not in the file'] and 'icc_profile' not in open_image(p, icc='keep').info

@pytest.mark.parametrize('suffix', ['.webp', '.avif'])
def test_a_film_in_grey_with_a_profile_for_colours(tmp_path, suffix):
    film = [from_array(noise(9, 8), {'icc_profile': SRGB}) for _ in range(2)]
    with pytest.warns(UserWarning, match='its colour profile is for RGB, not for grey'): save_frames(p := tmp_path/f'x{suffix}', film, .1)
    with Image.open(p) as got: assert 'icc_profile' not in got.info

def test_a_cmyk_picture_says_that_its_profile_did_not_fit(tmp_path):
    Image.fromarray(noise(9, 8, 4), 'CMYK').save(p := tmp_path/'x.jpg', icc_profile=SRGB)
    assert open_image(p, icc='keep').info['lost'] == 'a profile that does not fit CMYK was dropped'

def png_with(chunks, a):
    info = PngImagePlugin.PngInfo()
    for k,v in chunks.items(): info.add(k, v)
    Image.fromarray(a).save(out := BytesIO(), 'PNG', pnginfo=info)
    return out.getvalue()

def chunks_of(b):
    at, res = 8, {}
    while at < len(b):
        n = int.from_bytes(b[at:at+4], 'big'); k, v = b[at+4:at+8], b[at+8:at+8+n]
        assert zlib.crc32(k + v) == int.from_bytes(b[at+8+n:at+12+n], 'big')
        res.setdefault(k, v); at += 12 + n
    return res

ADOBE = {b'gAMA': struct.pack('>I', 45_455), b'cHRM': struct.pack('>8I', 31_270, 32_900, 64_000, 33_000, 21_000, 71_000, 15_000, 6_000)}
CICP = {b'cICP': b'\x0c\x0d\0\1'}

@pytest.mark.parametrize('shape', [(9, 8), (9, 8, 3), (9, 8, 4)])
@pytest.mark.parametrize('chunks', [ADOBE, CICP, {**ADOBE, b'sRGB': b'\0'}, {b'gAMA': struct.pack('>I', 100_000)}])
def test_colour_chunks_go_from_png_to_png(tmp_path, chunks, shape):
    a = noise(*shape)
    img = open_image(png_with(chunks, a), icc='keep')
    assert np.array_equal(to_array(img), a)
    p, said = saved(img, tmp_path/'x.png')
    got = chunks_of(p.read_bytes())
    assert not said and {k: got.get(k) for k in chunks} == chunks
    assert np.array_equal(to_array(open_image(p, icc='keep')), a)

def test_primaries_get_into_a_jpeg_as_a_profile(tmp_path):
    "Adobe RGB (60,200,120) is (0,202,118) in sRGB, which clips red: by hand, see test_images."
    b = png_with(ADOBE, np.full((16, 16, 3), (60, 200, 120), np.uint8))
    p, said = saved(open_image(b, icc='keep'), tmp_path/'x.jpg', quality=100)
    assert not said
    for img in (open_image(b), open_image(p)): assert np.abs(to_array(img)[8, 8].astype(int) - [0, 202, 118]).max() <= 3
    assert not {b'gAMA', b'cHRM'} & chunks_of(save_image(open_image(b), tmp_path/'y.png').read_bytes()).keys()     # its colours are sRGB's now

def test_a_colour_code_that_gets_lost_is_said(tmp_path):
    img = open_image(png_with(CICP, noise(9, 8, 3)))
    assert img.info['icc_note'] == 'colours kept as cICP says (primaries 12, transfer 13), not turned into sRGB'
    assert 'JPEG has no place for colour code (cICP)' in saved(img, tmp_path/'x.jpg')[1][0]

def test_shape_of_pixels(tmp_path):
    a, aspect = noise(9, 8, 3), struct.pack('>IIB', 2, 1, 0)
    b = png_with({}, a)
    b = b[:33] + struct.pack('>I', 9) + b'pHYs' + aspect + struct.pack('>I', zlib.crc32(b'pHYs' + aspect)) + b[33:]
    p, _ = saved(open_image(b), tmp_path/'x.png')
    assert chunks_of(p.read_bytes())[b'pHYs'] == aspect
    assert 'shape of pixels' in saved(open_image(b), tmp_path/'x.webp')[1][0]
    Image.fromarray(a).save(out := BytesIO(), 'PNG', dpi=(300, 300))
    assert chunks_of(save_image(open_image(out.getvalue()), p).read_bytes())[b'pHYs'] == struct.pack('>IIB', 11_811, 11_811, 1)

@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.tif'])
def test_shape_of_pixels_of_a_jpeg(tmp_path, suffix):
    "300 : 150 without a unit, in each format's own words, and back into a JPEG; Pillow makes 72 pixels an inch of an EXIF without any."
    Image.fromarray(noise(9, 8, 3)).save(out := BytesIO(), 'JPEG', exif=exif())
    b = bytearray(out.getvalue()); b[13:18] = struct.pack('>BHH', 0, 300, 150)
    p, said = saved(open_image(bytes(b)), tmp_path/f'x{suffix}')
    q, also = saved(open_image(p), tmp_path/'y.jpg')
    assert not said and not also and q.read_bytes()[13:18] == struct.pack('>BHH', 0, 2, 1)
    if suffix == '.png': assert chunks_of(p.read_bytes())[b'pHYs'] == struct.pack('>IIB', 2, 1, 0)
    if suffix == '.tif': assert Image.open(p).info['resolution'] == (2, 1)
    assert 'dpi' not in open_image(p).info and 'shape of pixels' in saved(open_image(p), tmp_path/'x.webp')[1][0]

@pytest.mark.parametrize('suffix', ['.webp', '.avif'])
def test_resolution_in_exif(tmp_path, suffix):
    "Of a picture on its side, too: what ran across runs down now."
    ex = Image.Exif(); ex[274] = 6
    Image.fromarray(noise(9, 8, 3)).save(out := BytesIO(), 'JPEG', exif=ex, dpi=(300, 150))
    p, said = saved(open_image(out.getvalue()), tmp_path/f'x{suffix}')
    got = Image.open(p).getexif()
    assert not said and (got[282], got[283], got[296]) == (150, 300, 2) and open_image(p).info['dpi'] == (150, 300)
    assert Image.open(saved(open_image(p), tmp_path/'x.png')[0]).info['dpi'] == pytest.approx((150, 300), abs=.02)
    assert saved(open_image(p), tmp_path/'x.gif')[1][0].endswith('GIF has no place for resolution, EXIF; not in the file')

def test_16_bits_beside_a_gamma(tmp_path):
    a = rng.integers(0, 2**16, (9, 8, 3)).astype(np.uint16)
    b = save_image(from_array(a, {'chunks': {b'gAMA': struct.pack('>I', 100_000)}}), tmp_path/'x.png').read_bytes()
    got = open_image(b)
    assert np.array_equal(got.deep, a) and got.info['chunks'][b'gAMA'] == struct.pack('>I', 100_000) and '16 bits' in got.info['icc_note']

def test_films_keep_their_notes(tmp_path):
    film = [from_array(noise(9, 8, 3), {'exif': exif(), 'chunks': ADOBE}) for _ in range(2)]
    p = save_frames(tmp_path/'x.png', film, .1)
    assert {k: chunks_of(p.read_bytes())[k] for k in ADOBE} == ADOBE
    for f,_ in read_frames(p, icc='keep'): assert f.info['chunks'] == ADOBE and f.getexif()[0x010F] == 'Maker'
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        p = save_frames(tmp_path/'x.gif', film, .1)
    assert 'GIF has no place for EXIF' in str(said[0].message)

@pytest.mark.parametrize('suffix', ['.png', '.webp', '.gif', '.mpo', '.tif'])
def test_pages_of_different_profiles_and_notes_as_a_film(tmp_path, suffix):
    "Red and blue change places in the first page's profile; a TIFF holds both, a film has one: colours are turned, and what is left out is said."
    swapped = SRGB.replace(b'rXYZ', b'?XYZ', 1).replace(b'bXYZ', b'rXYZ', 1).replace(b'?XYZ', b'bXYZ', 1)
    flat = lambda *c: np.full((16, 16, 3), c, np.uint8)
    pages = [from_array(flat(40, 120, 200), dict(icc_profile=swapped, exif=exif(), dpi=(300., 300.))), from_array(flat(90, 60, 200), dict(icc_profile=SRGB, exif=exif(9), dpi=(72., 72.)))]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        p = save_frames(tmp_path/f'x{suffix}', pages, None if suffix in ('.tif', '.mpo') else .1)
    for (img,_), want in zip(read_frames(p), ((200, 120, 40), (90, 60, 200)), strict=True): assert np.abs(to_array(img)[8, 8, :3].astype(int) - want).max() <= 4
    got = [img.info.get('icc_profile') for img,_ in read_frames(p, icc='keep')]
    if suffix == '.tif': assert not said and got == [swapped, SRGB]
    else: assert len(said) == 1 and 'several colour profiles (all colours are sRGB now)' in str(said[0].message) and got == [None, None]
    if suffix in ('.png', '.mpo'): assert 'no place for EXIF, resolution of later frames, ' in str(said[0].message)

@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.webp', '.tif', '.avif', '.bmp', '.gif'])
def test_what_made_it(tmp_path, suffix):
    made = 'srgan_course light-x4, scale 4, 0123456789abcdef'
    for info in ({}, {'exif': exif()}, {'text': {'Software': 'GIMP'}}):
        p, said = saved(from_array(noise(9, 8, 3), info), tmp_path/f'x{suffix}', software=made)
        got = open_image(p)
        if suffix == '.png': assert got.info['text']['ProcessingSoftware'] == made and (not info.get('text') or got.info['text']['Software'] == 'GIMP')
        elif suffix not in ('.bmp', '.gif'): assert got.getexif()[11] == made
        if info.get('exif') and suffix not in ('.bmp', '.gif'): assert got.getexif()[0x010F] == 'Maker' and not said

# ---- what a result's file says of the model that made it

def told(p):
    "The note in a file, in its text or its EXIF data, or None."
    img = open_image(p)
    return img.info['text'].get('ProcessingSoftware') if 'text' in img.info else img.getexif().get(11)

def test_results_say_which_model_made_them(tmp_path, capsys):
    "One note wherever a result comes from, none after --no-note; a folder whose results were to have none is done again."
    from srgan_course.cli import upscale
    from srgan_course.kit.models import model_facts
    want = f"srgan_course light-x2, scale 2, {model_facts(['light-x2'])['light-x2']['checksum']}"
    (folder := tmp_path/'in').mkdir()
    for i in range(2): save_image(from_array(noise(6, 5 + i, 3), {'exif': exif()}), folder/f'{i}.jpg')
    for format in 'png', 'jpg', 'webp', 'tif': upscale(folder, model='light-x2', out=tmp_path/format, format=format)
    for p in tmp_path.glob('[pjwt]*/*-x2.*'): assert told(p) == want and (p.suffix == '.png' or open_image(p).getexif()[0x010F] == 'Maker'), p
    (tmp_path/'list.txt').write_text('in/0.jpg\nin/1.jpg\n')
    upscale(manifest=tmp_path/'list.txt', out=tmp_path/'shards', model='light-x2')
    for i in range(2): assert (tmp_path/'shards'/'in'/f'{i}.jpg.png').read_bytes() == (tmp_path/'png'/f'{i}-x2.png').read_bytes()
    upscale(tmp_path/'png'/'0-x2.png', out=tmp_path/'again.png', model='light-x4', width=30)
    upscale(tmp_path/'jpg'/'0-x2.jpg', out=tmp_path/'other.png', model='light-x4')
    for p in tmp_path/'again.png', tmp_path/'other.png':                  # the last model's word counts
        assert told(p).startswith('srgan_course light-x4, scale 4, ') and b'light-x2' not in p.read_bytes()
    capsys.readouterr(); upscale(folder, model='light-x2', out=tmp_path/'png', no_note=True)
    assert '2 done' in capsys.readouterr().out and all(told(p) is None for p in tmp_path.glob('png/*-x2.png'))
    with pytest.raises(ValueError, match='no note'): upscale(manifest=tmp_path/'list.txt', out=tmp_path/'shards', model='light-x2', no_note=True)

@pytest.mark.parametrize('suffix', ['.png', '.webp', '.tif'])
def test_films_say_it_too(tmp_path, suffix):
    from srgan_course.cli import upscale
    save_frames(tmp_path/f'film{suffix}', [from_array(noise(6, 5, 3)) for _ in range(2)], None if suffix == '.tif' else .1)
    upscale(tmp_path/f'film{suffix}', out=(out := tmp_path/f'out{suffix}'), model='light-x2', frames=True)
    assert told(out).startswith('srgan_course light-x2, scale 2, ')

def test_note_of_a_strange_name(tmp_path):
    "Letters that are no text, and a network without a file."
    import torch
    from srgan_course.upscale import Upscaler
    up = Upscaler(torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), torch.nn.Upsample(scale_factor=2)), name='m\udcff\u00fc')
    out = save_image(up(from_array(noise(6, 5, 3), {'text': {'Title': 'kept'}})), tmp_path/'x.png')
    assert open_image(out).info['text'] == {'ProcessingSoftware': 'srgan_course m?\u00fc, scale 2', 'Title': 'kept'}
    assert told(save_image(up(from_array(noise(6, 5, 3))), tmp_path/'x.jpg')) == 'srgan_course m??, scale 2'

@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.tif', '.avif'])
def test_text_beyond_ascii(tmp_path, suffix):
    "EXIF is written anew for the size and the model's note; its bytes stay what they were, and a comment's are put in as they are."
    ex, owner, words = Image.Exif(), '\u00a9 M\u00fcller', 'caf\u00e9 \u65e5\u672c'.encode()
    ex[0x8298], ex[0x10E] = owner.encode(), 'Gr\u00fc\u00dfe'.encode('latin-1')
    ex[0x8769] = {0xA002: 6, 0xA003: 5}
    pic = from_array(noise(6, 5, 3), {'exif': ex.tobytes()})
    for name in f'a{suffix}', f'b{suffix}':                                            # the second from the file of the first
        pic = open_image(save_image(pic, tmp_path/name, software='a model'))
        got = pic.getexif()
        assert (got[0x8298].encode('latin-1'), got[0x10E]) == (owner.encode(), 'Gr\u00fc\u00dfe')
    if suffix in ('.webp', '.tif', '.avif'):
        made = open_image(save_image(from_array(noise(6, 5, 3), {'comment': words}), tmp_path/f'c{suffix}', software='a model'))
        assert made.getexif()[0x10E].encode('latin-1') == words

@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.tif'])
def test_where_the_subject_is_in_pixels_is_left_out_with_another_size(tmp_path, suffix):
    "A point, a circle or a box, in EXIF: it stays in a picture of the same size that was not turned."
    for area in (4, 3), (4, 3, 2), (4, 3, 2, 1):
        for n, turn, there in (1, 1, True), (2, 1, False), (1, 2, False), (1, 6, False):
            ex = Image.Exif(); ex[271], ex[274], ex[0x8769] = 'Maker', turn, {0x9214: area, 0xA214: area[:2], 0x829A: .5, 0xA002: 8, 0xA003: 9}
            Image.fromarray(noise(9, 8, 3)).save(src := tmp_path/f'a{suffix}', exif=ex.tobytes())
            with Image.open(save_image(enlarged(open_image(src), n), tmp_path/f'b{suffix}')) as got: sub = got.getexif().get_ifd(0x8769)
            assert (sub.get(0x9214), sub.get(0xA214), sub[0x829A]) == ((area, area[:2], .5) if there else (None, None, .5)), (area, n, turn)

# ---- damaged chunks of a PNG

def chunk(kind, b, off=0): return struct.pack('>I', len(b)) + kind + b + struct.pack('>I', (zlib.crc32(kind + b) + off) % 2**32)

EACH = dict(cHRM=struct.pack('>8I', 31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000), gAMA=struct.pack('>I', 45_455), pHYs=struct.pack('>IIB', 2, 1, 0),
            sRGB=b'\0', cICP=b'\1\x0d\0\1', iCCP=b'name\0\0' + zlib.compress(SRGB), tEXt=b'Title\0x', zTXt=b'Title\0\0' + zlib.compress(b'x'),
            iTXt=b'Title\0\1\0\0\0' + zlib.compress(b'x'), eXIf=exif()[6:], tRNS=b'\1\2\3\4\5\6', bKGD=b'\0\1\0\1\0\1', tIME=bytes(7), mDCV=bytes(24), abCd=b'private')
SHORT = {k: b[:len(b)//2] for k, b in EACH.items() if k not in ('tEXt', 'bKGD', 'tIME', 'abCd')} | dict(eXIf=b'MM')      # what Pillow or the course reads

def png_of(a, chunks, after=False, **kw):
    Image.fromarray(a).save(out := BytesIO(), 'PNG', **kw)
    b = out.getvalue(); at = len(b) - 12 if after else b.index(b'IDAT') - 4
    return b[:at] + chunks + b[at:]

@pytest.mark.parametrize('a', [noise(9, 8, 3), noise(9, 8)], ids=['colour', 'grey'])
@pytest.mark.parametrize('kind, b, off', [(k, b, 1) for k, b in EACH.items()] + [(k, b, 0) for k, b in SHORT.items()])
def test_a_damaged_chunk_costs_itself_and_not_the_picture(tmp_path, kind, b, off, a):
    "A wrong checksum, or too few bytes: said, left out, and what stands beside it is there."
    if kind == 'tRNS' and not off and a.ndim == 2: b = b[:1]                    # of a grey picture it has two bytes
    for after in (False, True) if kind[1:] == 'TXt' else (False,):
        bytes_ = png_of(a, chunk(kind.encode(), b, off) + chunk(b'tEXt', b'Author\0somebody'), after)
        img = open_image(bytes_)
        np.testing.assert_array_equal(to_array(img), a)
        assert img.info['lost'] == f'damaged {kind} left out' and img.info['text'] == {'Author': 'somebody'} and {*img.info} <= {'lost', 'text'}
        assert [to_array(f).shape for f, _ in read_frames(bytes_)] == [a.shape]
    whole = open_image(png_of(a, chunk(kind.encode(), EACH[kind])))
    assert 'lost' not in whole.info

def test_what_is_damaged_among_16_bits_in_a_palette_and_in_a_film(tmp_path):
    a = noise(9, 8, 3).astype(np.uint16)*257
    b = cv2.imencode('.png', a[..., ::-1])[1].tobytes()
    img = open_image(b[:33] + chunk(b'gAMA', b'') + chunk(b'eXIf', b'none') + b[33:])
    np.testing.assert_array_equal(to_array(img), a); assert img.info == {'lost': 'damaged gAMA, eXIf left out'}
    Image.fromarray(noise(9, 8)).quantize(16).save(out := BytesIO(), 'PNG', transparency=3)
    b = out.getvalue(); at = b.index(b'tRNS')
    img = open_image(b[:at + 8] + bytes([b[at + 8] ^ 1]) + b[at + 9:])         # opaque, as libpng has it
    assert img.mode == 'RGB' and img.info['lost'] == 'damaged tRNS left out'
    frames = [Image.fromarray(noise(9, 8, 3)) for _ in range(3)]
    frames[0].save(out := BytesIO(), 'PNG', save_all=True, append_images=frames[1:])
    for kind in b'acTL', b'fcTL':
        at = out.getvalue().index(kind); b = out.getvalue()
        b = b[:at + 5] + b'\xff' + b[at + 6:]
        img = open_image(b)
        assert frame_count(b) == 1 and img.info == {'lost': 'damaged film left out'}
        np.testing.assert_array_equal(to_array(img), np.asarray(frames[0]))
    with pytest.raises(ValueError, match='damaged or truncated PNG'): open_image(png_of(noise(99, 98, 3), chunk(b'gAMA', b''))[:-9000])      # its pixels are

# ---- what is true of a TIFF's own pixels

def enlarged(img, n): b = from_array(to_array(img).repeat(n, 0).repeat(n, 1), img.info); b.info = dict(img.info); return b

MAP = [(34735, 'H', 4, (1, 1, 0, 0), True), (33550, 'd', 3, (10., 20., 0.), True), (33922, 'd', 6, (0., 0., 0., 500., 900., 0.), True)]

def test_pixels_under_another_name_are_missed():
    "Left out as something damaged beside the pixels, they made way for those of the second frame."
    one, two = (Image.new('RGB', (9, 7), c) for c in ('red', 'blue'))
    one.save(f := BytesIO(), 'PNG', save_all=True, append_images=[two], duration=50)
    with pytest.raises(ValueError, match='damaged or truncated PNG picture'): open_image(f.getvalue().replace(b'IDAT', b'ISAT'))

def test_a_place_on_the_map_is_not_that_of_other_pixels(tmp_path):
    "It is left out, and said when the file is read; who took the picture stays."
    tifffile.imwrite(p := tmp_path/'x.tif', noise(9, 8, 3), photometric='rgb', extratags=[*MAP, (315, 's', 0, 'Maker', True)], metadata=None)
    img = open_image(p)
    assert img.info['lost'] == 'its place on the map left out'
    tags = Image.open(save_image(enlarged(img, 2), tmp_path/'y.tif')).tag_v2
    assert tags[315] == 'Maker' and not {k for k, *_ in MAP} & {*tags}

def test_what_a_program_says_of_other_pixels_is_not_in_the_result(tmp_path):
    "tifffile's shape, OME-XML, and ImageJ's numbers of pages; a description that is none of these stays."
    a, p = noise(3, 9, 8), tmp_path/'x.tif'
    def result(**kw):
        tifffile.imwrite(p, a, **kw)
        img = open_image(p)
        return img.info.get('lost'), Image.open(save_image(enlarged(img, 2), tmp_path/'y.tif')).tag_v2.get(270)
    said = 'what ImageJ or OME says of its pages left out'
    for kw, want in (dict(), (None, None)), (dict(ome=True), (said, None)), (dict(imagej=True, metadata=dict(unit='um', axes='CYX')), (said, None)):
        assert result(photometric='minisblack', **kw) == want and tifffile.imread(tmp_path/'y.tif').shape == (18, 16)
        save_frames(q := tmp_path/'z.tif', [enlarged(f, 2) for f, _ in read_frames(p)])
        assert tifffile.imread(q).shape == (3, 18, 16)
    assert result(description='a cat', metadata=None) == (None, 'a cat')

@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.tif'])
def test_sizes_in_xmp_and_in_the_first_directory_are_those_of_the_result(tmp_path, suffix):
    ex = Image.Exif(); ex[256], ex[257], ex[0x010F] = 8, 9, 'Maker'
    xmp = (b'<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
           b'exif:PixelXDimension="8" tiff:ImageLength="9"><exif:PixelYDimension>9</exif:PixelYDimension>8</x:xmpmeta>')
    img = from_array(noise(9, 8, 3), {'exif': ex.tobytes(), 'xmp': xmp})
    got = open_image(saved(enlarged(img, 2), tmp_path/f'x{suffix}')[0])
    assert got.info['xmp'] == xmp.replace(b'"8"', b'"16"').replace(b'"9"', b'"18"').replace(b'>9<', b'>18<')
    if suffix != '.tif': assert (got.getexif()[256], got.getexif()[257]) == (16, 18)

def test_a_byte_of_xmp_that_is_no_text_costs_no_xmp():
    img = open_image(png_of(noise(9, 8, 3), chunk(b'iTXt', b'XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta>\xff</x:xmpmeta>')))
    assert img.info == {'xmp': b'<x:xmpmeta>\xff</x:xmpmeta>'}
    img = open_image(png_of(noise(9, 8, 3), chunk(b'iTXt', b'XML:com.adobe.xmp\0\1\0\0\0packed')))
    assert img.info == {'lost': 'damaged iTXt left out'}

def xmp_packet(body): return ('<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
                              f'<rdf:Description {body}/></rdf:RDF></x:xmpmeta>').encode()

def test_a_motion_photo_promises_no_video_in_its_result(tmp_path):
    xmp = xmp_packet('xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" GCamera:MotionPhoto="1" GCamera:MicroVideoOffset="40"')
    from_array(noise(9, 8, 3)).save(p := tmp_path/'a.jpg', xmp=xmp)
    p.write_bytes(p.read_bytes() + b'\0\0\0\x18ftypmp42' + bytes(28))
    img = open_image(p)
    assert img.info['lost'] == 'the video of a motion photo left out' and b'Motion' not in img.info['xmp'] and b'GCamera' in img.info['xmp']

def test_places_in_a_panorama_are_those_of_the_result(tmp_path):
    xmp = xmp_packet('xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" GPano:FullPanoWidthPixels="32" GPano:CroppedAreaImageWidthPixels="8" '
                     'GPano:CroppedAreaLeftPixels="4" GPano:CroppedAreaImageHeightPixels="9" GPano:CroppedAreaTopPixels="3"')
    got = open_image(saved(enlarged(from_array(noise(9, 8, 3), {'xmp': xmp}), 2), tmp_path/'a.jpg')[0]).info['xmp']
    assert [int(v) for v in re.findall(rb'Pixels="(\d+)"', got)] == [64, 16, 8, 18, 6]

def test_colours_that_a_heic_or_avif_codes_stay_coded(tmp_path):
    heif, coded, pixels = pytest.importorskip('pillow_heif'), [], noise(48, 64, 3)
    heif.encode('RGB', (64, 48), pixels.tobytes(), tmp_path/'a.heic', color_primaries=9, transfer_characteristics=16, matrix_coefficients=9)
    coded.append(tmp_path/'a.heic')
    if 'AVIF' in Image.SAVE:
        from_array(pixels).save(out := BytesIO(), 'AVIF')
        b = out.getvalue(); i = b.index(b'colrnclx') + 8
        (tmp_path/'a.avif').write_bytes(b[:i] + struct.pack('>HH', 9, 16) + b[i+4:]); coded.append(tmp_path/'a.avif')
    for p in coded:
        img = open_image(p)
        assert img.info['chunks'] == {b'cICP': b'\x09\x10\0\1'} and 'primaries 9, transfer 16' in img.info['icc_note']
        got, said = saved(img, tmp_path/'a.png'); assert open_image(got).info['chunks'] == img.info['chunks'] and not said
        assert 'JPEG has no place for colour code (cICP)' in saved(img, tmp_path/'a.jpg')[1][0]
        got, said = saved(img, tmp_path/'b.heic'); assert open_image(got).info['chunks'] == img.info['chunks'] and not said
    heif.encode('RGB', (64, 48), noise(48, 64, 3).tobytes(), tmp_path/'s.heic', color_primaries=1, transfer_characteristics=13)
    assert 'chunks' not in open_image(tmp_path/'s.heic').info

def test_jpeg_xl_knows_no_profiles(tmp_path):
    "Its plugin calls all pixels sRGB: numbers of another profile were wrong colours, without a word."
    pytest.importorskip('pillow_jxl')
    from srgan_course.kit.notes import chunk_profile
    points = .3127, .329, .68, .32, .265, .69, .15, .06                                       # Display P3, as of phones
    icc = chunk_profile({b'cHRM': struct.pack('>8I', *(round(v*1e5) for v in points)), b'gAMA': struct.pack('>I', 45455)})
    a = np.kron(np.random.default_rng(0).integers(60, 200, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    Image.fromarray(a).save(tmp_path/'a.png', icc_profile=icc)
    img = open_image(tmp_path/'a.png', icc='keep'); right = np.asarray(open_image(tmp_path/'a.png')).astype(int)
    assert abs(right - a).mean() > 5
    with pytest.warns(UserWarning, match='its colour profile .turned from .* into sRGB.; not in the file'): save_image(img, tmp_path/'a.jxl', 100)
    assert abs(np.asarray(open_image(tmp_path/'a.jxl')).astype(int) - right).max() <= 1
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        save_image(Image.open(BytesIO(image_bytes(Image.fromarray(a), 'b.png'))), tmp_path/'b.jxl', 100)
