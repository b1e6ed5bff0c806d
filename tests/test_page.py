"""The page that enlarges a photo in the browser, nbs/try, in a real Chromium.

Skipped where playwright or Chromium is missing; the kernel's bytes are compared where ziglang is there.
"""
import functools, http.server, io, json, re, shutil, struct, subprocess, threading
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
import numpy as np, pytest
from PIL import Image
import page
from conftest import ROOT

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
browser_only = pytest.mark.skipif(not (CHROMIUM and find_spec('playwright')),
                                  reason='browser: needs Chromium on the path and the package playwright')

# ---- without a browser

ZIG = '0.17.1'   # another version may write other bytes

def zig():
    "The version of ziglang that is installed, or None."
    try: return metadata.version('ziglang')
    except metadata.PackageNotFoundError: return None

@pytest.mark.skipif(zig() != ZIG, reason=f'kernel: needs the package ziglang {ZIG}')
def test_kernel_is_what_its_source_compiles_to():
    assert (page.PAGE/'conv.wasm').read_bytes() == page.compiled(), 'python tests/page.py --write'

def test_page_is_light(tmp_path):
    "Everything that a visitor loads, the model included."
    page.copy_page(tmp_path)
    loaded = sum(p.stat().st_size for p in tmp_path.iterdir() if p.suffix != '.c' and p.name != 'server.js')     # that one: by srgan-serve
    assert loaded < 800_000, f'{loaded} bytes'

def test_files_are_all_of_them():
    kept = {p.name for p in page.PAGE.iterdir() if p.is_file() and p.suffix != '.safetensors'}
    assert kept == set(page.FILES)

def test_card_says_what_the_model_card_says():
    card = page.MODEL.with_suffix('.md').read_text(encoding='utf-8')
    must_not = re.search(r'## What it must not be used for\s+(.+)', card)[1].rstrip('.')
    assert must_not[1:] in ' '.join((page.PAGE/'index.html').read_text(encoding='utf-8').split())

def test_addresses_are_relative():
    for p in page.PAGE.glob('*.*'):
        if p.suffix in ('.html', '.js', '.css'):
            assert not re.search(r'''(?:https?:)?//[\w-]+\.\w|(?:src|href)="/|from '[^.]''', p.read_text(encoding='utf-8')), p.name

@pytest.mark.skipif(not shutil.which('node'), reason='node is not on the path')
@pytest.mark.parametrize('value', ['NaN', '1/0', '.5'])
def test_numbers_that_are_no_picture_are_refused(value, tmp_path):
    "A network that gives NaN or infinity: one message, no black picture."
    shutil.copy(page.PAGE/'picture.js', tmp_path/'picture.mjs')
    code = f"""import {{enlarge}} from '{(tmp_path/'picture.mjs').as_uri()}';
    const net = {{scale: 2, forward: (x, h, w) => new Float32Array(12*h*w).fill({value})}}, all = {{t: 0, b: 2, l: 0, r: 3, t0: 0, b0: 2, l0: 0, r0: 3}};
    try {{ console.log(enlarge(net, new Uint8ClampedArray(24), all, {{}})[0]); }} catch (e) {{ console.log(e.message); }}"""
    r = subprocess.run(['node', '--input-type=module', '-e', code], capture_output=True, text=True, check=True)
    assert r.stdout == ('128\n' if value == '.5' else 'The model makes numbers that are no picture; its file is damaged.\n')

# ---- pictures

def photo(w, h, mode='RGB', seed=0):
    "A part of the cat, in any mode; alpha from 0 to 255 with a hole in it."
    from skimage import data
    a = Image.fromarray(data.chelsea()).crop((100 + seed, 60, 100 + seed + w, 60 + h))
    if mode in ('RGBA', 'LA'):
        x, y = np.meshgrid(np.arange(w), np.arange(h))
        alpha = np.clip((x*255/max(w - 1, 1) + 12*np.sin(y)), 0, 255).astype(np.uint8)
        alpha[h//4:h//2, w//3:w//2] = 0
        a = a.convert(mode)
        a.putalpha(Image.fromarray(alpha))
    return a.convert(mode)

def encoded(img, kind='PNG', **kwargs):
    f = io.BytesIO(); img.save(f, kind, **kwargs)
    return f.getvalue()

def rotated():
    exif = Image.Exif(); exif[0x112] = 6
    return encoded(photo(40, 24), exif=exif)

@functools.cache
def upscaler():
    from srgan_course.upscale import Upscaler
    return Upscaler.load('light-x4', device='cpu')

def python(data):
    from srgan_course.images import open_image
    return upscaler()(open_image(data))

@pytest.mark.skipif(not shutil.which('node'), reason='node is not on the path')
@pytest.mark.parametrize('kind', ['PNG', 'JPEG', 'PROGRESSIVE', 'GIF', 'BMP', 'WEBP'])
def test_half_a_file_is_no_picture(kind, tmp_path):
    "Firefox and WebKit enlarged what there was of it. A whole file is one also with a thumbnail in it, and with something behind its end."
    for f in 'whole', 'png': (tmp_path/f'{f}.mjs').write_text((page.PAGE/f'{f}.js').read_text(encoding='utf-8').replace('png.js', 'png.mjs'))
    exif = Image.Exif(); exif[0x010e] = '\xff\xd9'*9                        # what ends a JPEG, inside one
    kw = dict(exif=exif, progressive=kind == 'PROGRESSIVE') if kind in ('JPEG', 'PROGRESSIVE') else {}
    data = encoded(photo(64, 48), 'JPEG' if kw else kind, **kw)
    files = [data, data + b'and more'*9, *(data[:int(len(data)*part)] for part in (.3, .5, .97)), data[:40]]
    if kind == 'PNG': files.append(data[:len(data)//2] + bytes([data[len(data)//2] ^ 1]) + data[len(data)//2 + 1:])
    for i, b in enumerate(files): (tmp_path/str(i)).write_bytes(b)
    code = f'''import {{isWhole}} from '{(tmp_path/'whole.mjs').as_uri()}'; import fs from 'fs';
    console.log(JSON.stringify([...Array({len(files)}).keys()].map(i => isWhole(new Uint8Array(fs.readFileSync({json.dumps(str(tmp_path))} + '/' + i))))))'''
    r = subprocess.run(['node', '--input-type=module', '-e', code], capture_output=True, text=True, check=True)
    assert json.loads(r.stdout) == [True]*2 + [False]*(len(files) - 2)

# ---- a server that keeps a log, and a browser

class Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {'.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm'}
    def log_message(self, *a): pass

@contextmanager
def serve(folder):
    "A plain file server on `folder`; its address."
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try: yield f'http://127.0.0.1:{server.server_port}/'
    finally: server.shutdown(); server.server_close()

@pytest.fixture(scope='module')
def site(tmp_path_factory):
    "The page below /srgan_course/try/."
    d = tmp_path_factory.mktemp('site')
    page.copy_page(d/'srgan_course'/'try')
    with serve(d) as url: yield f'{url}srgan_course/try/'

@pytest.fixture(scope='module')
def chromium():
    from playwright.sync_api import sync_playwright
    with sync_playwright() as p:
        b = p.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        yield b
        b.close()

def answer(body, route): route.fulfill(body=body, content_type='text/javascript' if route.request.url.endswith('.js') else None)

def visit(chromium, site, **routes):
    "The page in a context of its own, with all its requests and complaints; `routes`: file -> bytes to answer instead."
    ctx = chromium.new_context(viewport=dict(width=390, height=800))
    ctx.set_default_timeout(20_000)
    pg = ctx.new_page()
    pg.requests, pg.complaints = [], []
    ctx.on('request', lambda r: pg.requests.append(r))
    pg.on('pageerror', lambda e: pg.complaints.append(str(e)))
    pg.on('console', lambda m: pg.complaints.append(m.text) if m.type in ('error', 'warning') else None)
    for f, body in routes.items(): ctx.route(f'**/{f}', functools.partial(answer, body))
    pg.goto(site)
    return pg

@pytest.fixture(scope='module')
def ready(chromium, site):
    "A page that has loaded all it needs; it is offline from then on."
    pg = visit(chromium, site)
    pg.wait_for_selector('body[data-ready]')
    pg.loaded = len(pg.requests)
    pg.context.set_offline(True)
    yield pg
    pg.context.close()

def give(pg, data, name='photo.png'): pg.set_input_files('#file', dict(name=name, mimeType='image/png', buffer=data))

def result(pg, data, name='photo.png'):
    "The file that the page offers."
    give(pg, data, name)
    pg.wait_for_selector('#download:not([hidden]), #error:not([hidden])')
    assert not pg.is_visible('#error'), pg.inner_text('#error')
    with pg.expect_download() as d: pg.click('#download')
    with Image.open(d.value.path()) as img: img.load(); return img, d.value.suggested_filename

CASES = {
    'RGB': lambda: encoded(photo(150, 40)), 'RGBA': lambda: encoded(photo(30, 22, 'RGBA')),
    'grey': lambda: encoded(photo(31, 20, 'L')), 'grey with alpha': lambda: encoded(photo(20, 17, 'LA')),
    '1 x 1': lambda: encoded(photo(1, 1)), '1 x 9': lambda: encoded(photo(1, 9)),
    'rotated by EXIF': rotated, 'palette with a transparent colour': lambda: encoded(photo(24, 20).quantize(16), transparency=3)}

@browser_only
@pytest.mark.parametrize('case', CASES)
def test_pixels_are_python_s(ready, case):
    data = CASES[case]()
    got, want = result(ready, data)[0], python(data)
    assert (got.mode, got.size) == (want.mode, want.size)
    worst = np.abs(np.asarray(got).astype(int) - np.asarray(want)).max()
    assert worst <= 1, f'{case}: {worst} levels off'

@browser_only
def test_nothing_leaves_and_nothing_is_asked_for(ready, site):
    "After loading there is no request at all; before, each is a GET of a file beside the page, without a body."
    result(ready, encoded(photo(20, 20)))
    later = [r.url for r in ready.requests[ready.loaded:] if not r.url.startswith('blob:')]
    assert not later and not ready.complaints, (later, ready.complaints)
    for r in ready.requests:
        assert r.url.startswith((site, 'blob:', 'data:')) and r.method == 'GET' and not r.post_data, r.url

@browser_only
def test_name_of_the_file_and_what_is_said(ready):
    img, name = result(ready, encoded(photo(20, 12)), 'my.cat.png')
    assert (img.size, name) == ((80, 48), 'my.cat-x4.png')
    assert ready.inner_text('#status').startswith('Done: 80 × 48 pixels in ') and ready.get_attribute('#status', 'aria-live') == 'polite'
    assert ready.evaluate('document.documentElement.scrollWidth') <= 390, 'the page scrolls sideways on a phone'

@browser_only
def test_slider_answers_the_keyboard(ready):
    result(ready, encoded(photo(20, 20)))
    at = lambda: float(ready.evaluate("getComputedStyle(document.getElementById('inner')).getPropertyValue('--at')")[:-2])
    ready.focus('#slider'); before = at()
    for _ in range(9): ready.keyboard.press('ArrowRight')
    assert at() > before
    ready.keyboard.press('Home'); assert at() == 0

TILES = '''async ([w, h, tile, alpha]) => {
  const {engine} = await import('./engine.js'), data = new ImageData(w, h);
  for (let i = 0; i < data.data.length; i++) data.data[i] = i%4 === 3 && !alpha ? 255 : (i*7919 ^ i*i*31) & 255;
  const bitmap = await createImageBitmap(data, {premultiplyAlpha: 'none'}), whole = await engine.upscale(bitmap);
  let seen = 0;
  const tiles = await engine.upscale(bitmap, p => { seen = Math.max(seen, p.done); }, undefined, undefined, tile);
  return [seen, whole.data.every((v, i) => v === tiles.data[i])];
}'''

@browser_only
@pytest.mark.parametrize('alpha', [False, True])
def test_whole_equals_tiles(ready, alpha):
    assert ready.evaluate(TILES, [61, 45, 23, alpha]) == [6, True]

@browser_only
def test_too_small_an_overlap_is_seen(ready):
    "The test above can fail."
    ready.evaluate("import('./engine.js').then(m => { m.engine.radius = 1; })")
    try: assert ready.evaluate(TILES, [61, 45, 23, False]) == [6, False]
    finally: ready.evaluate("import('./engine.js').then(m => { m.engine.radius = 19; })")

WATCH = '''() => {
    let last = performance.now();
    window.worst = 0;
    window.timer = setInterval(() => { const now = performance.now(); window.worst = Math.max(window.worst, now - last); last = now; }, 5);
}'''

def longest_silence(pg, data):
    "Milliseconds for which the page did not answer, from a photo given to its first tile done."
    pg.evaluate(WATCH)
    pg.evaluate('document.querySelector("#tile").textContent = ""')      # what an earlier picture left there
    give(pg, data)
    pg.wait_for_selector('#tile:not(:empty)')
    return pg.evaluate('clearInterval(window.timer), window.worst')

SPIN = """() => { const code = URL.createObjectURL(new Blob(['const t = Date.now(); while (Date.now() - t < 1500); postMessage(0)']));
    const one = () => new Promise(done => { new Worker(code).onmessage = done; });
    return Promise.all(Array.from({length: navigator.hardwareConcurrency}, one)).then(() => 0); }"""

def silence_of_an_empty_page(pg):
    "The same of a page that does nothing, while as many workers as ours has keep the cores busy."
    with pg.context.new_page() as empty:
        empty.evaluate(WATCH); empty.evaluate(SPIN)
        return empty.evaluate('clearInterval(window.timer), window.worst')

@browser_only
def test_answers_while_it_computes_and_can_be_cancelled(ready):
    """No silence of 100 ms (the best of three); after Cancel the next picture is done as ever. Where other programs silence an empty page,
    too, for 25 ms or more, the silence is not judged, and the test says so."""
    data = encoded(photo(300, 200))
    for _ in range(3):
        if (worst := longest_silence(ready, data)) < 100: break
    busy = worst >= 100 and silence_of_an_empty_page(ready)
    assert worst < 100 or busy >= 25, f'{worst:.0f} ms'
    ready.wait_for_function(r'/^\d of 6 tiles$/.test(document.querySelector("#tile").textContent)', timeout=5000)
    ready.keyboard.press('Escape')
    ready.wait_for_selector('#status:text-is("Cancelled.")', timeout=1000)
    assert not ready.is_visible('#work') and not ready.is_visible('#download')
    assert result(ready, encoded(photo(9, 9)))[0].size == (36, 36)
    if busy: pytest.skip(f'silent for {worst:.0f} ms, and an empty page for {busy:.0f}: the machine is busy')

@browser_only
def test_a_new_photo_replaces_the_one_in_hand(ready):
    give(ready, encoded(photo(200, 130)))
    ready.wait_for_selector('#work:not([hidden])')
    assert result(ready, encoded(photo(12, 9)), 'b.png')[1] == 'b-x4.png'

@browser_only
def test_a_photo_that_comes_while_the_file_is_written_has_its_own_file(chromium, site):
    "The first one's file was offered under the second one's picture."
    ctx = chromium.new_context(); pg = ctx.new_page()
    pg.add_init_script('''window.SRGAN_API = {scale: 4, ready: Promise.resolve(), async upscale(bitmap, told, signal, file) {
        const [w, h] = [4*bitmap.width, 4*bitmap.height], data = new Uint8ClampedArray(4*w*h).fill(255);
        const ready = new Promise(r => setTimeout(r, file.name === 'slow.png' ? 2000 : 0));
        return {data, w, h, kind: {}, blob: () => ready.then(() => new Blob([file.name]))}; }}''')
    pg.goto(site); pg.wait_for_selector('body[data-ready]')
    give(pg, encoded(photo(8, 6)), 'slow.png')
    pg.wait_for_selector('#status:text-is("Writing the file…")')
    give(pg, encoded(photo(6, 4)), 'fast.png')
    pg.wait_for_selector('#download:not([hidden])'); pg.wait_for_timeout(3000)                   # the slow one is ready by now
    assert pg.get_attribute('#download', 'download') == 'fast-x4.png' and pg.inner_text('#status').startswith('Done: 24 × 16')
    ctx.close()

def film(kind):
    first, *rest = (Image.new('RGB', (12, 10), c) for c in ('blue', 'red', 'green'))
    first.save(f := io.BytesIO(), kind, save_all=True, append_images=rest)
    return f.getvalue()

@browser_only
@pytest.mark.parametrize('kind', ['GIF', 'WEBP', 'PNG', '16 bits', 'one'])
def test_what_is_left_out_is_said(ready, kind):
    from srgan_course.images import from_array
    from srgan_course.kit.codec import image_bytes
    deep = kind == '16 bits'
    data = (image_bytes(from_array(np.full((10, 12, 3), 40_000, np.uint16)), 'x.png') if deep else
            encoded(photo(12, 10)) if kind == 'one' else film(kind))
    mime = f'image/{kind.lower()}' if kind in ('GIF', 'WEBP') else 'image/png'
    ready.set_input_files('#file', dict(name='a', mimeType=mime, buffer=data))
    ready.wait_for_selector('#download:not([hidden])')
    said = ready.inner_text('#status')
    assert said.startswith('Done: 48 × 40')
    assert said.endswith('MB.' if kind == 'one' else ' (colours of 16 bits were read as 8).' if deep else ' (the first of 3 frames alone).')

UNREADABLE = 'cannot be read as a picture: it is damaged, far too large, or of a kind that this browser does not know.'
BAD = {'a text': b'no picture', 'nothing': b'', 'half a PNG': encoded(Image.effect_noise((64, 64), 90))[:900]}

@browser_only
@pytest.mark.parametrize('what', BAD)
def test_damaged_picture(ready, what):
    give(ready, BAD[what], 'bad.png')
    ready.wait_for_selector('#error:not([hidden])')
    assert ready.inner_text('#error') == f'bad.png {UNREADABLE}'
    assert not ready.is_visible('#result') and not ready.is_visible('#work')

@browser_only
def test_half_a_file_is_refused_before_it_is_drawn(chromium, site):
    "Also where the browser would draw it: here `createImageBitmap` gives a picture whatever it is asked for."
    pg = visit(chromium, site)
    pg.wait_for_selector('body[data-ready]')
    pg.evaluate('''() => { const real = createImageBitmap; window.createImageBitmap = () => real(new ImageData(8, 6)); }''')
    data = encoded(photo(60, 40), 'JPEG')
    give(pg, data[:len(data)//2], 'half.jpg')
    pg.wait_for_selector('#error:not([hidden])')
    assert pg.inner_text('#error') == f'half.jpg {UNREADABLE}' and not pg.is_visible('#result')
    pg.context.close()

@browser_only
def test_a_browser_that_gives_other_pixels_is_told_of(chromium, site):
    "Protections against fingerprinting do; the result was noise, and nobody said so."
    lie = '''const real = OffscreenCanvasRenderingContext2D.prototype.getImageData;
        OffscreenCanvasRenderingContext2D.prototype.getImageData = function(...a) { const d = real.apply(this, a); d.data[1234] ^= 1; return d; };'''
    pg = visit(chromium, site, **{'pixels.js': lie + (page.PAGE/'pixels.js').read_text(encoding='utf-8')})
    pg.wait_for_selector('body[data-ready]')
    give(pg, encoded(photo(60, 40)))
    pg.wait_for_selector('#error:not([hidden])')
    assert pg.inner_text('#error').startswith('This browser gives a page other pixels than were drawn') and not pg.is_visible('#download')
    pg.context.close()

@browser_only
def test_pixels_of_webgl_that_are_wrong_are_not_taken(chromium, site):
    "WebKit divides what it has not multiplied, and bytes overflow: up to 255 levels."
    lie = '''const real = WebGL2RenderingContext.prototype.readPixels;
        WebGL2RenderingContext.prototype.readPixels = function(...a) { real.apply(this, a); a[6].forEach((v, i) => { a[6][i] = v*2; }); };'''
    pg = visit(chromium, site, **{'pixels.js': lie + (page.PAGE/'pixels.js').read_text(encoding='utf-8')})
    pg.wait_for_selector('body[data-ready]')
    white = lambda img: np.asarray(Image.alpha_composite(Image.new('RGBA', img.size, 'white'), img.convert('RGBA'))).astype(int)
    data = encoded(photo(30, 22, 'RGBA'))
    assert np.abs(white(result(pg, data)[0]) - white(python(data))).max() < 12       # those of the 2D canvas, which are coarse
    pg.context.close()

@browser_only
@pytest.mark.parametrize('size', [(1025, 1024), (9000, 9000), (8200, 1)], ids=str)
def test_too_large(ready, size):
    "Refused in one sentence, by the header: nothing is decoded."
    give(ready, encoded(Image.new('1', size)))
    ready.wait_for_selector('#error:not([hidden])', timeout=5000)
    said = ready.inner_text('#error')
    assert said.startswith(f'This picture has {size[0]} × {size[1]} pixels') and '1024 × 1024' in said and said.count('.') == 1

@browser_only
def test_a_bomb_is_not_decoded(ready):
    give(ready, encoded(Image.new('1', (30_000, 30_000))))
    ready.wait_for_selector('#error:not([hidden])')
    assert ready.inner_text('#error') == f'photo.png {UNREADABLE}' or '30000 × 30000' in ready.inner_text('#error')

@browser_only
@pytest.mark.parametrize('way', ['paste', 'drop'])
def test_other_ways_in(ready, way):
    ready.evaluate('''([way, bytes]) => {
        const d = new DataTransfer();
        for (const name of [way, 'another']) d.items.add(new File([new Uint8Array(bytes)], `${name}.png`, {type: 'image/png'}));
        dispatchEvent(way === 'drop' ? new DragEvent('drop', {dataTransfer: d, cancelable: true})
                                     : new ClipboardEvent('paste', {clipboardData: d}));
    }''', [way, list(encoded(photo(8, 6)))])
    ready.wait_for_selector(f'#download[download="{way}-x4.png"]:not([hidden])')
    assert ready.inner_text('#status').endswith('(the first of 2 pictures alone: give one at a time).')

def tampered(f):
    "The model's file with its header changed by `f`, or its bytes."
    raw = page.MODEL.read_bytes()
    n, = struct.unpack('<Q', raw[:8])
    h = json.loads(raw[8:8 + n]); f(h)
    head = json.dumps(h).encode()
    return struct.pack('<Q', len(head)) + head + raw[8 + n:]

def other_network(h): h['__metadata__']['network'] = 'Stranger'
def outside(h): h['tail.weight']['data_offsets'] = [2**30, 2**30 + 2*48*48*9]
def flipped(raw): return raw[:-1000] + bytes([raw[-1000] ^ 1]) + raw[-999:]

MODELS = {
    'cut short': (lambda: page.MODEL.read_bytes()[:300_000], 'damaged'), 'empty': (lambda: b'', 'damaged'),
    'one bit': (lambda: flipped(page.MODEL.read_bytes()), 'checksum'), 'not a model': (lambda: b'<html>no such page</html>', 'damaged'),
    'another network': (lambda: tampered(other_network), 'Stranger'), 'a place outside': (lambda: tampered(outside), 'does not fit')}

@browser_only
@pytest.mark.parametrize('what', MODELS)
def test_damaged_model(chromium, site, what):
    make, word = MODELS[what]
    pg = visit(chromium, site, **{page.MODEL.name: make()})
    pg.wait_for_selector('#error:not([hidden])')
    assert word in pg.inner_text('#error') and pg.is_disabled('#file')
    pg.context.close()

@browser_only
def test_a_server_may_bring_its_engine(chromium, site):
    "With `window.SRGAN_API` set, that engine is asked, and neither model nor kernel are loaded."
    ctx = chromium.new_context(); pg = ctx.new_page(); asked = []
    ctx.on('request', lambda r: asked.append(r.url))
    pg.add_init_script('''window.SRGAN_API = {scale: 4, ready: Promise.resolve(), async upscale(bitmap, told, signal, file) {
        const [w, h] = [4*bitmap.width, 4*bitmap.height], data = new Uint8ClampedArray(4*w*h).fill(255);
        return {data, w, h, kind: {}, blob: async () => new Blob([`${file.name} from a server`])}; }}''')
    pg.goto(site); pg.wait_for_selector('body[data-ready]')
    give(pg, encoded(photo(8, 6)))
    pg.wait_for_selector('#download:not([hidden])')
    with pg.expect_download() as d: pg.click('#download')
    assert d.value.path().read_text() == 'photo.png from a server'
    assert not any(u.endswith(('.wasm', '.safetensors')) for u in asked)
    ctx.close()

# ---- where it lies

def test_page_travels_in_the_package_and_on_the_site():
    "setup.py, MANIFEST.in, the Makefile and _quarto.yml each know of it."
    for f, word in {'setup.py': 'try/*', 'MANIFEST.in': '*.wasm', 'Makefile': 'tests/page.py --model', '_quarto.yml': 'try/*'}.items():
        assert word in (ROOT/f).read_text(encoding='utf-8'), f
    ignored = subprocess.run(['git', 'check-ignore', '-q', 'nbs/try/light-x4.safetensors'], cwd=ROOT).returncode
    assert ignored in (0, 128)      # 128: not in a git checkout
