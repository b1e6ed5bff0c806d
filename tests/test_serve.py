"""srgan-serve from outside: what it answers, what it refuses, and how it ends. Most of it without a network's weights, with a toy that waits
at a gate; the rest with the model that ships, in a process of its own."""
import contextlib, gc, http.client, io, json, os, re, signal, socket, struct, subprocess, sys, threading, time, weakref
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from urllib.parse import unquote
from pathlib import Path
import httpx, numpy as np, pytest, uvicorn
from PIL import Image
from starlette.testclient import TestClient
import page
from conftest import ROOT
from srgan_course.kit.codec import image_bytes
from srgan_course.kit.desk import Desk, Made
from srgan_course.kit.models import model_facts
from srgan_course.kit.pixels import DeepImage
from srgan_course.kit import server
from srgan_course.kit.server import Limits
from srgan_course.serve import endpoints, make_app

# ---- pictures, a toy, and a server in a thread

def with_profile():
    Image.new('RGB', (40, 30)).save(f := io.BytesIO(), 'PNG', icc_profile=np.random.default_rng(0).bytes(4000))
    return f.getvalue()

def png(w=24, h=16, mode='RGB', kind='png', seed=0, **info):
    a = np.random.default_rng(seed).integers(0, 256, (h, w, 4), np.uint8)
    img = Image.fromarray(a).convert('RGB').resize((w, h)) if mode == 'RGB' else Image.fromarray(a).convert(mode)
    img.info.update(info)
    return image_bytes(img, f'x.{kind}')

class Toy:
    "Repeats pixels, a row a tile; where it has a gate, it waits there before each row."
    name, scale = 'light-x4', 4
    def __init__(self, gate=None): self.gate, self.tiles, self.calls, self.began = gate, 0, 0, threading.Event()
    def __call__(self, img, tile=None, told=None):
        if img.size != (32, 32): self.calls += 1; self.began.set()         # 32 x 32: what it warms up with
        for i in range(img.height if img.size != (32, 32) else 0):
            if self.gate: self.gate.wait(20)
            self.tiles += 1; time.sleep(.002)
            if told: told((i + 1)/img.height)
        return img.resize((4*img.width, 4*img.height), Image.Resampling.NEAREST)

def toy_app(toy=None, limits=Limits(), **kwargs):
    toy = toy or Toy()
    return make_app(limits, load=lambda file, device: toy, **kwargs)

@contextlib.contextmanager
def client(*args, **kwargs):
    with TestClient(toy_app(*args, **kwargs), raise_server_exceptions=False) as c: yield c

@contextlib.contextmanager
def live(app, root_path=''):
    "The app behind a real socket, in a thread: its address."
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, http='h11', ws='none', loop='asyncio',
                                           root_path=root_path))
    sock = socket.create_server(('127.0.0.1', 0))
    thread = threading.Thread(target=server.run, args=([sock],), daemon=True); thread.start()
    url = f'http://127.0.0.1:{sock.getsockname()[1]}'
    until(lambda: server.started and app.state.service.ready)
    try: yield url
    finally: server.should_exit = server.force_exit = True; thread.join(20)

def until(what, seconds=20):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, 'it did not come to that'
        time.sleep(.01)

def problem(r, status, *says):
    "It is a problem of this status, says so, and shows nothing of the inside."
    assert r.status_code == status and r.headers['content-type'] == 'application/problem+json', (r.status_code, r.text)
    d = r.json()
    assert d['status'] == status and d['title'] and d['detail'].endswith('.') and len(d['detail']) > 20
    for s in says: assert s in d['detail'], d['detail']
    assert not re.search(r'Traceback|srgan_course/|\.py|/tmp|/secret|\w+Error\b|object at', r.text), r.text
    return d

def test_a_client_that_writes_before_it_reads_sees_why_it_is_refused(monkeypatch):
    with live(toy_app(limits=Limits(megabytes=1))) as url:
        for _ in range(3):
            link = http.client.HTTPConnection(url[7:], timeout=20)
            link.request('POST', '/v1/upscale', bytes(30_000_000)); r = link.getresponse()
            assert r.status == 413 and b'send a smaller file' in r.read(); link.close()
        monkeypatch.setattr(server, '_LINGER', .2)
        with socket.create_connection((url[7:].split(':')[0], int(url.rsplit(':', 1)[1])), timeout=20) as s:      # says much, sends little
            s.sendall(b'POST /v1/upscale HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n\r\nabc')
            got = b''
            while b := s.recv(4096): got += b
        assert got.startswith(b'HTTP/1.1 413')

# ---- what it offers

def test_answer_is_what_srgan_upscale_writes(tmp_path):
    "Byte for byte: colour, alpha, grey, 16 bits, notes, in each format."
    from srgan_course.images import save_image
    from srgan_course.upscale import upscale_file, Upscaler
    from srgan_course.kit.codec import open_image
    up, exif = Upscaler.load('light-x4'), Image.Exif()
    exif[0x112], exif[0x10F] = 6, 'a maker of cameras'
    deep = np.random.default_rng(1).integers(0, 65536, (9, 11), np.uint16)
    cases = {'a.png': png(40, 30), 'b.png': png(13, 17, 'RGBA'), 'c.png': png(9, 20, 'L'), 'd.png': image_bytes(Image.fromarray(deep), 'd.png'),
             'e.jpg': png(31, 20, kind='jpg', exif=exif.tobytes(), dpi=(300, 300)), 'f.webp': png(20, 20, kind='webp'), 'g.png': png(1, 1)}
    with TestClient(make_app(load=lambda file, device: up)) as c:
        for name, b in cases.items():
            (tmp_path/name).write_bytes(b)
            d = upscale_file(tmp_path/name, tmp_path/f'{name}-x4.png', up)
            for r in (c.post('/v1/upscale', content=b), c.post('/v1/upscale', files=dict(file=(name, b)))):
                assert r.status_code == 200 and r.content == Path(d['dst']).read_bytes(), name
        img = open_image(tmp_path/'e.jpg', icc='keep')
        for format, end, quality in (('jpeg', 'jpg', 95), ('webp', 'webp', 60)):
            save_image(up(img), tmp_path/f'want.{end}', quality, like=img)
            r = c.post(f'/v1/upscale?format={format}&quality={quality}', content=cases['e.jpg'])
            assert r.content == (tmp_path/f'want.{end}').read_bytes() and r.headers['content-type'] == f'image/{format}'

def test_a_damaged_note_is_said_and_costs_no_picture():
    b = png()
    b = b[:33] + bytes(4) + b'gAMA' + bytes(4) + b[33:]
    with client() as c:
        for format in 'png', 'jpeg':
            r = c.post(f'/v1/upscale?format={format}', content=b)
            assert r.status_code == 200 and r.headers['x-lost'] == 'damaged gAMA left out', (r.text, r.headers)

def test_answer_says_what_it_is():
    with client() as c:
        r, again, other = (c.post('/v1/upscale', content=png(seed=i)) for i in (0, 0, 1))
        assert r.headers['x-model'] == 'light-x4' and r.headers['x-model-checksum'] == model_facts(['light-x4'])['light-x4']['checksum']
        assert re.fullmatch(r'queue;dur=[\d.]+, decode;dur=[\d.]+, enlarge;dur=[\d.]+, encode;dur=[\d.]+', r.headers['server-timing'])
        assert re.fullmatch(r'"\w{32}"', r.headers['etag']) and r.headers['etag'] == again.headers['etag'] != other.headers['etag']
        assert r.content == again.content and again.headers['server-timing'].startswith('cache')
        tags = {c.post(f'/v1/upscale?format=webp&quality={q}', content=png()).headers['etag'] for q in (90, 95)}
        assert len({*tags, r.headers['etag']}) == 3

def test_cache_is_asked_first_and_has_an_end():
    for megabytes, calls in ((64, 1), (0, 3)):
        toy = Toy()
        with client(toy, Limits(cache_megabytes=megabytes)) as c:
            for _ in range(3): assert c.post('/v1/upscale', content=png()).status_code == 200
        assert toy.calls == calls

def test_first_frame_of_an_animation():
    f = io.BytesIO()
    frames = [Image.new('RGB', (8, 6), c) for c in ('red', 'blue')]
    frames[0].save(f, 'WEBP', save_all=True, append_images=frames[1:], lossless=True)
    with client() as c: r = c.post('/v1/upscale', content=f.getvalue())
    img = Image.open(io.BytesIO(r.content))
    assert img.size == (32, 24) and img.getpixel((9, 9))[:3] == (255, 0, 0)

def test_cats_are_the_command_s(tmp_path):
    from srgan_course.cli import cats
    cats(n=5, seed=7, out=tmp_path/'cats.png')
    with client() as c:
        r = c.post('/v1/cats?n=5&seed=7')
        assert r.content == (tmp_path/'cats.png').read_bytes() and r.headers['content-type'] == 'image/png'
        problem(c.post('/v1/cats?n=65'), 422, 'n is not a whole number from 1 to 64')

def test_recognise_says_why_not(monkeypatch):
    monkeypatch.delenv('SRGAN_WEIGHTS', raising=False)
    with client() as c: problem(c.post('/v1/recognise', content=png()), 501, 'no classifier', '--classifier')

def test_a_classifier_that_cannot_be_loaded_is_said(tmp_path, monkeypatch):
    "Its weights are damaged: 503 in one line, which names the log and no folder; at the next request at once. A file of another name is no weights: 501."
    from srgan_course.kit import classifiers
    from srgan_course.serve import Service
    monkeypatch.setenv('SRGAN_WEIGHTS', str(tmp_path)); (tmp_path/'resnet50_notes.txt').touch(); (tmp_path/'resnet50-9.pth').mkdir()
    for name in 'resnet50-0.pth', 'resnet50_v1_pruned_int8.safetensors':       # what says that there is one looks where the loader looks
        assert Service().reader_name() is None; (tmp_path/name).write_bytes(b'no weights'); assert Service().reader_name() == 'resnet50'
        with pytest.raises(ValueError, match=name): classifiers.pretrained('resnet50')
        (tmp_path/name).unlink()
    with client() as c: problem(c.post('/v1/recognise', content=png(60, 60)), 501, 'no classifier')
    (tmp_path/'resnet50-1.pth').write_bytes(b'no weights'); real, tried = classifiers.teacher, []
    monkeypatch.setattr(classifiers, 'teacher', lambda name: (tried.append(name), real(name))[1])
    with client() as c:
        for _ in range(2):
            r = c.post('/v1/recognise', content=png(60, 60)); problem(r, 503, 'The classifier resnet50 could not be loaded', 'log'); assert str(tmp_path) not in r.text
    assert tried == ['resnet50']

def test_a_picture_too_small_to_recognise_is_refused_at_the_door():
    "It waits in no queue, and no classifier is loaded for it."
    with client(classifier='resnet50') as c:
        c.app.state.service.submit = None
        problem(c.post('/v1/recognise', content=png(90, 47)), 422, 'the picture is 90 x 47 pixels; 48 or more are wanted on each side')

def test_recognise(srgan_weights):
    from skimage import data
    with client() as c:
        r = c.post('/v1/recognise', content=image_bytes(Image.fromarray(data.chelsea()), 'x.png'))
    d = r.json()
    assert r.status_code == 200 and {'nearest', 'bicubic', 'light-x4', 'srgan-x4'} <= {*d['guesses']} and 'resnet50' in d['classifier'].lower()
    assert all(len(g) == 5 and all(0 <= p <= 1 for _, p in g) for g in d['guesses'].values())

def test_what_it_says_of_itself():
    with client() as c:
        until(lambda: c.get('/readyz').status_code == 200)
        models = {m['name']: m for m in c.get('/v1/models').json()}
        assert models['light-x4']['scale'] == 4 and models['light-x4']['checksum'] and 'file' not in models['light-x4']
        c.post('/v1/upscale', content=png())
        text = c.get('/metrics').text
        assert 'srgan_requests_total{path="/v1/upscale",status="200"} 1\n' in text and 'srgan_pictures_total{model="light-x4"} 1\n' in text
        assert all(re.fullmatch(r'# TYPE \w+ (counter|gauge)|\w+(\{[^}]*\})? [\d.e+]+', l) for l in text.splitlines())

def test_not_ready_while_it_loads():
    gate, toy = threading.Event(), Toy()
    def load(file, device): gate.wait(20); return toy
    with TestClient(make_app(load=load)) as c:
        problem(c.get('/readyz'), 503, 'loading'); assert c.get('/healthz').json() == {'alive': True}
        gate.set(); until(lambda: c.get('/readyz').status_code == 200)

def test_models_that_cannot_be_loaded():
    "A device that fails when it is asked to compute: said for what it is, where it was called loading for ever."
    def load(file, device): raise RuntimeError('CUDA error')
    with TestClient(make_app(load=load)) as c:
        until(lambda: c.app.state.service.broken); problem(c.get('/readyz'), 503, 'could not load its models', 'log')
        with pytest.raises(RuntimeError): c.app.state.service.look()

def test_description_has_every_address():
    with client() as c:
        d, docs = c.get('/openapi.json').json(), c.get('/docs').text
        table = endpoints(c.app.state.service)
        for e in table: assert e.method.lower() in d['paths'][e.path] and f'{e.method} {e.path}' in docs
        assert not re.search(r'<script|(?:src|href)="(?:https?:)?//', docs), 'works offline'
        assert 'Is the process alive?</p>' in docs and 'their figures and licences.</p>' in docs
        assert d['openapi'].startswith('3.1') and len(table) == 12

def test_page_is_the_same_files():
    with client() as c:
        for name in page.FILES:
            r = c.get(f'/{name}')
            want = (page.PAGE/name).read_bytes()
            assert r.content.replace(b'<script src="server.js"></script>\n', b'') == want if name == 'index.html' else r.content == want
            if name[-3:] == '.js': assert r.headers['content-type'].startswith('text/javascript')
            for known in '{}', 'W/{}', '"x", {}', '*':
                assert c.get(f'/{name}', headers={'If-None-Match': known.format(r.headers['etag'])}).status_code == 304
            assert c.get(f'/{name}', headers={'If-None-Match': '"x"'}).status_code == 200
        assert c.get('/').content == c.get('/index.html').content and c.get('/light-x4.safetensors').content == page.MODEL.read_bytes()
        assert c.get('/conv.wasm').headers['content-type'] == 'application/wasm'
        for bad in ('/../settings.ini', '/%2e%2e/settings.ini', '/..%2fsettings.ini', '/nothing.js', '/models/x'): problem(c.get(bad), 404)

def test_note_false_is_no_note(tmp_path):
    "Byte for byte what `srgan-upscale --no-note` writes, as another result with an ETag of its own; the picture's own notes stay."
    from srgan_course.upscale import upscale_file, Upscaler
    exif = Image.Exif(); exif[0x10F] = 'a maker of cameras'
    (tmp_path/'a.jpg').write_bytes(b := png(31, 20, kind='jpg', exif=exif.tobytes()))
    want = Path(upscale_file(tmp_path/'a.jpg', tmp_path/'a.png', Upscaler.load('light-x4', note=False))['dst']).read_bytes()
    with TestClient(make_app()) as c:
        ask = lambda q: c.post(f'/v1/upscale{q}', content=b)
        plain, bare, noted, job = ask(''), ask('?note=false'), ask('?note=true'), c.post('/v1/jobs?note=false', content=b).headers['location']
        until(lambda: c.get(job).json()['state'] == 'done')
        assert bare.content == c.get(f'{job}/result').content == want != plain.content == noted.content
        assert bare.headers['etag'] != plain.headers['etag'] and b'light-x4' not in bare.content and b'maker of cameras' in bare.content
        offered = {o['name']: o for o in c.get('/openapi.json').json()['paths']['/v1/upscale']['post']['parameters']}
        assert offered['note']['schema'] == dict(type='boolean', default=True, description='Let the file say which model made it')
        assert 'true, false (true); Let the file say which model made it' in c.get('/docs').text

# ---- what it refuses

def parts(*named): # (name, contents, a file?)
    head = lambda name, file: f'Content-Disposition: form-data; name="{name}"' + '; filename="a.png"'*file
    body = b''.join(b'--B\r\n' + head(n, file).encode() + b'\r\n\r\n' + b + b'\r\n' for n, b, file in named) + b'--B--\r\n'
    return dict(content=body, headers={'Content-Type': 'multipart/form-data; boundary=B'})

OVERLOOKED = { # what would be overlooked, and the answer a wrong one with status 200
    'an option in the form': (lambda: parts(('file', png(), True), ('model', b'light-x2', False)), "a field 'model'"),
    'before the file': (lambda: parts(('quality', b'1', False), ('file', png(), True)), "a field 'quality'"),
    'a second file': (lambda: parts(('file', png(), True), ('file', png(seed=1), True)), '2 fields named file'),
    'a file and a text of that name': (lambda: parts(('file', png(), True), ('file', b'b.png', False)), '2 fields named file'),
    'a mask beside it': (lambda: parts(('file', png(), True), ('mask', png(), True)), "a field 'mask'"),
    'another name': (lambda: parts(('image', png(), True)), "a field 'image'"), 'no name': (lambda: parts(('', png(), True)), "a field ''"),
    'a name of odd letters': (lambda: parts(('file', png(), True), ('m\u043edel\x1b', b'x', False)), r"a field 'm\u043edel\x1b'")}

@pytest.mark.parametrize('what', OVERLOOKED)
def test_nothing_in_a_form_is_overlooked(what):
    request, says = OVERLOOKED[what]
    with client(toy := Toy()) as c:
        for path in '/v1/upscale', '/v1/jobs': problem(c.post(path, **request()), 422, says, 'address' if 'a field' in says else 'one picture')
        assert not toy.calls and c.post('/v1/upscale', **parts(('file', png(), True))).status_code == 200

def test_the_address_is_read_to_its_end():
    "Each endpoint of the table: unknown, empty, repeated, of odd letters, in the wrong case."
    with client(toy := Toy()) as c:
        for e in endpoints(c.app.state.service):
            path, body = e.path.replace('{id}', 'nobody'), dict(content=png()) if e.takes else {}
            for q, says in {'nothing=1': "no option 'nothing'", '=1': "no option ''", 'Model=light-x2': "no option 'Model'", '%00': r"no option '\x00'",
                            'm%D0%BEdel=a': r"no option 'm\u043edel'", 'x'*3000: 'no option'}.items():
                d = problem(c.request(e.method, f'{path}?{q}', **body), 422, says); assert len(d['detail']) < 200
            for k, v in e.options.items():
                good = v['default'] if v['type'] != 'boolean' else 'true'
                problem(c.request(e.method, f'{path}?{k}={good}&{k}={good}', **body), 422, f'{k} is given 2 times')
                for bad in '', '=', '=%00', '=1;quality=2', '=True', '=1_0', '=%2B7', '=+7', '=07': problem(c.request(e.method, f'{path}?{k}{bad}', **body), 422, f'{k} is not')
        assert not toy.calls

def test_a_body_where_none_is_taken():
    "Options of cats as a form, as curl -d sends them, as JSON, and in chunks: refused, and not seed 0."
    with client() as c:
        chunks = lambda: (b for b in (b'', b'n=4'))
        for kw in dict(data=dict(n=4, seed=7)), dict(json=dict(n=4)), dict(files=dict(n=(None, '4'))), dict(content=chunks()), dict(content=b'0'):
            problem(c.post('/v1/cats', **kw), 422, 'takes no body', 'the address')
        for e in endpoints(c.app.state.service):
            if not e.takes: problem(c.request(e.method, e.path.replace('{id}', 'nobody'), content=b'x'), 422, 'takes no body')
        assert c.post('/v1/cats?n=4', content=b'').status_code == 200

def half(b): return b[:len(b)//2]

REFUSED = {
    'an empty body': (400, 'body is empty', dict(content=b'')), 'a form without a file': (400, 'holds no file', dict(files=dict(a=(None, 'b')))),
    'a form cut short': (400, 'holds no file', dict(content=b'--x\r\nnonsense', headers={'content-type': 'multipart/form-data; boundary=x'})),
    'a form without its boundary': (400, 'cannot be read', dict(content=b'a', headers={'content-type': 'multipart/form-data'})),
    'a text': (415, 'PNG, JPEG or WebP', dict(content=b'no picture')), 'a GIF': (415, 'PNG, JPEG or WebP', dict(content=png(kind='gif'))),
    'a pickle': (415, 'PNG, JPEG or WebP', dict(content=b'\x80\x04K\x01.')),
    'a GIF that is called PNG': (415, 'PNG, JPEG or WebP', dict(content=png(kind='gif'), headers={'content-type': 'image/png'})),
    'half a PNG': (422, 'damaged', dict(content=half(png(200, 200)))), 'half a JPEG': (422, 'damaged', dict(content=half(png(200, 200, kind='jpg')))),
    'half a WebP': (422, 'damaged', dict(content=half(png(200, 200, kind='webp')))), 'the head of a PNG': (422, 'damaged', dict(content=png()[:20])),
    'a PNG cut inside its profile': (422, 'damaged', dict(content=with_profile()[:800])),
    'too many pixels': (413, '1500 x 1400 = 2,100,000 pixels', dict(content=png(1500, 1400, 'L'))),
    'a model that is not there': (422, 'model is not one of light-x4', dict(content=png(), params=dict(model='../../etc/passwd'))),
    'a format that is not there': (422, 'format is not one of png, jpeg, webp', dict(content=png(), params=dict(format='gif'))),
    'a quality of 0': (422, 'whole number from 1 to 100', dict(content=png(), params=dict(quality=0))),
    'a quality of PNG': (422, 'PNG has no quality; leave quality out, or give format=jpeg', dict(content=png(), params=dict(quality=50, format='png'))),
    'an option that is not there': (422, "no option 'url'", dict(content=png(), params=dict(url='http://example.org/a.png'))),
    'alpha as JPEG': (422, 'cannot hold transparent pixels', dict(content=png(8, 8, 'RGBA'), params=dict(format='jpeg')))}

CANNOT_HOLD = {'alpha as JPEG': ('jpeg', png(8, 8, 'RGBA'), 'JPEG cannot hold transparent pixels; give format=png or webp'),
               'alpha of a palette': ('jpeg', png(8, 8, 'RGBA', 'webp'), 'JPEG cannot hold transparent pixels'),
               'too long a WebP': ('webp', png(5000, 8, 'L'), '20000 x 32 pixels cannot be saved as WEBP, whose sides are at most 16,383; give format=png'),
               'too high a JPEG': ('jpeg', png(3, 16400, 'L'), 'sides are at most 65,500; give format=png')}

@pytest.mark.parametrize('what', CANNOT_HOLD)
def test_what_a_format_cannot_hold_is_said_before_the_work(what):
    "Not after minutes of it, and not after a 202."
    format, body, says = CANNOT_HOLD[what]
    with client(toy := Toy()) as c:
        for path in '/v1/upscale', '/v1/jobs': problem(c.post(f'{path}?format={format}', content=body), 422, says)
        assert not toy.calls
        opaque = Image.new('RGBA', (8, 8), (9, 9, 9, 255)); opaque.save(f := io.BytesIO(), 'PNG')
        assert c.post('/v1/upscale?format=jpeg', content=f.getvalue()).status_code == 200

@pytest.mark.parametrize('what', REFUSED)
def test_refused(what):
    status, says, request = REFUSED[what]
    with client() as c:
        for path in ('/v1/upscale', '/v1/jobs') if status != 422 or any(s in says for s in ('option', 'one of', 'PNG has no')) else ('/v1/upscale',):
            problem(c.post(path, **request), status, says)

def test_no_such_address_or_method():
    with client() as c:
        problem(c.get('/v2/upscale'), 404, '/docs'); problem(c.get('/v1/upscale'), 405, '/docs')
        for path in ('', '/events', '/result'): problem(c.get(f'/v1/jobs/nobody{path}'), 404, 'no such job')
        problem(c.delete('/v1/jobs/nobody'), 404, 'no such job')

def test_a_bomb_is_refused_by_its_header(monkeypatch):
    "30,000 x 30,000 pixels of one bit: 110 kB as a file, 900 MB decoded. Nothing that decodes is reached."
    import srgan_course.serve as m
    monkeypatch.setattr(m, 'open_image', lambda *a, **k: pytest.fail('it was decoded'))
    f = io.BytesIO(); Image.new('1', (30_000, 30_000)).save(f, 'PNG')
    with client() as c:
        for form in (dict(content=f.getvalue()), dict(files=dict(file=f.getvalue()))):
            start = time.monotonic(); problem(c.post('/v1/upscale', **form), 413, 'pixels')
            assert time.monotonic() - start < 1

def test_an_error_inside_stays_inside(caplog):
    class Broken(Toy):
        def __call__(self, img, *a): raise KeyError('/secret/path')
    with client(Broken()) as c: problem(c.post('/v1/upscale', content=png()), 500, 'The log of the server says what')
    assert '/secret/path' in caplog.text

def test_no_memory_is_a_503():
    class Full(Toy):
        def __call__(self, img, *a): raise MemoryError
    with client(Full()) as c: assert problem(r := c.post('/v1/upscale', content=png()), 503, 'no memory') and r.headers['retry-after'] == '30'

def test_no_memory_to_write_the_result_is_a_503_before_it_is_made(monkeypatch):
    "16 bits and alpha at the largest size took the server past what its container may have, in writing, and the kernel ended it."
    from srgan_course.kit import devices
    deep = image_bytes(DeepImage(np.full((16, 24, 4), 40000, np.uint16)), 'x.png')
    class Never(Toy):
        def __call__(self, img, *a): pytest.fail('it was made')
    for body, kind, need in (deep, 'png', 4*2*5), (png(), 'png', 3*5), (png(), 'jpeg', 3*3), (png(mode='RGBA'), 'webp', 4*9):
        need *= 4*24*4*16
        monkeypatch.setattr(devices, 'available_memory', lambda device: need - 1)
        with client(Never()) as c: problem(c.post(f'/v1/upscale?format={kind}', content=body), 503, 'no memory')
        monkeypatch.setattr(devices, 'available_memory', lambda device: need)
        with client(Toy()) as c: assert c.post(f'/v1/upscale?format={kind}', content=body).status_code == 200

def test_what_a_failed_request_held_is_free_at_once():
    "It hung in a circle of error, traceback, frames and job until Python's collector came by; till then the next request found no memory."
    held = []
    class Full(Toy):
        error = MemoryError
        def __call__(self, img, *a):
            made = np.zeros(9); held.append(weakref.ref(made))
            raise self.error
    gc.disable()
    try:
        with client(Full()) as c:
            for status, Full.error in (503, MemoryError), (422, ValueError), (503, MemoryError):
                assert c.post('/v1/upscale', content=png(seed=len(held))).status_code == status
                until(lambda: not any(r() is not None for r in held))
            job = c.post('/v1/jobs', content=png()).json()['id']
            until(lambda: c.get(f'/v1/jobs/{job}').json()['state'] == 'failed')
            until(lambda: len(held) > 3 and not any(r() is not None for r in held))
    finally: gc.enable()

def test_no_memory_for_a_body_is_a_503(monkeypatch):
    async def full(*a): raise MemoryError
    monkeypatch.setattr('srgan_course.kit.desk.read_body', full)
    with client() as c: assert problem(r := c.post('/v1/upscale', content=png()), 503, 'no memory') and r.headers['retry-after'] == '30'

def test_no_thread_is_left(monkeypatch):
    "An enlargement that nobody can stop is one; it was 422, `light-x4: can't start new thread`."
    from srgan_course.kit import engines
    from srgan_course.upscale import Upscaler
    up, x = Upscaler.load('light-x2', engine='onnx'), Image.open(io.BytesIO(png()))
    def none(self): raise RuntimeError("can't start new thread")
    monkeypatch.setattr(threading.Thread, 'start', none)
    with engines.stoppable(lambda: None): assert up(x).size == (48, 32)

def test_token():
    with client(token='cats and dogs') as c:
        for head in ({}, {'Authorization': 'Bearer dogs'}, {'Authorization': 'Basic cats and dogs'}, {'Authorization': 'cats and dogs'}):
            for r in (c.post('/v1/upscale', content=png(), headers=head), c.get('/v1/models', headers=head), c.get('/metrics', headers=head)):
                problem(r, 401, 'token'); assert r.headers['www-authenticate'] == 'Bearer'
        for path in ('/', '/page.js', '/healthz', '/docs', '/openapi.json'): assert c.get(path).status_code == 200, path
        assert c.post('/v1/upscale', content=png(), headers={'Authorization': 'Bearer cats and dogs'}).status_code == 200

@pytest.mark.parametrize('root', ['/enlarge', '/v1', '/v'])
def test_token_behind_a_proxy(root):
    "With --root-path the token is wanted where it is wanted without, by the server that is shipped."
    with live(toy_app(token='cats'), root) as url:
        for path in '/v1/models', '/metrics', '/v1/jobs/x': problem(httpx.get(url + path), 401, 'token')
        problem(httpx.post(url + '/v1/upscale', content=png()), 401, 'token')
        for path in '/', '/healthz', '/docs': assert httpx.get(url + path).status_code == 200, path
        assert httpx.get(url + '/v1/models', headers={'Authorization': 'Bearer cats'}).status_code == 200

def test_a_png_with_two_heads_is_as_large_as_pillow_makes_it():
    "The size is read from its head without Pillow only where there is one head, and it comes first: Pillow takes the last one."
    import struct
    from srgan_course.kit.formats import png_chunk
    head = lambda w, h: png_chunk(b'IHDR', struct.pack('>II5B', w, h, 8, 2, 0, 0, 0))
    sig, rest = png()[:8], png()[33:]
    for first in head(24, 16) + png_chunk(b'tEXt', b'k\0IDAT'), png_chunk(b'tEXt', struct.pack('>II', 24, 16) + b'k\0x'):
        with pytest.raises(server.Problem, match='9000'): server.check_picture(sig + first + head(9000, 9000) + rest, Limits(), 4)
    assert server.check_picture(sig + head(24, 16) + rest, Limits(), 4) == (24, 16)

def test_a_picture_that_the_look_at_its_bytes_let_through_is_not_decoded(monkeypatch):
    "Whoever finds another way to hide a size from that look meets Pillow's own."
    import srgan_course.kit.codec as codec, srgan_course.kit.desk as desk
    monkeypatch.setattr(desk, 'check_picture', lambda *of: (1, 1))
    monkeypatch.setattr(codec, 'decode', lambda *a, **k: pytest.fail('it was decoded'))
    with client(limits=Limits(megapixels=300/1e6)) as c:
        for format in 'png', 'jpeg':
            problem(c.post(f'/v1/upscale?format={format}', content=png()), 422, '24 x 16 = 384 pixels, more than max_pixels=300')

def test_a_model_whose_name_has_a_plus(tmp_path):
    "A file is one model; between names + stands for two."
    from srgan_course.deploy import serve
    from srgan_course.kit.models import find_model
    (file := tmp_path/'my+model.safetensors').write_bytes(find_model('light-x2').read_bytes())
    with socket.create_server(('127.0.0.1', 0)) as taken:                  # all is looked at before the port is wanted
        with pytest.raises((ValueError, OSError), match='in use'): serve(models=str(file), port=taken.getsockname()[1])
        with pytest.raises(ValueError, match='stands between two names'): serve(models='light-x2+')

def test_other_origins():
    "Off, unless one is named."
    ask = lambda c: c.options('/v1/upscale', headers={'Origin': 'https://a.example', 'Access-Control-Request-Method': 'POST'})
    with client() as c: assert not any(h.startswith('access-control') for h in ask(c).headers)
    with client(cors='https://a.example') as c:
        assert ask(c).headers['access-control-allow-origin'] == 'https://a.example'
        said = c.get('/v1/models', headers={'Origin': 'https://a.example'}).headers
        assert said['access-control-expose-headers'] == '*'               # X-Lost, Location, Retry-After
    with client(cors='https://b.example') as c: assert 'access-control-allow-origin' not in ask(c).headers

# ---- with a real socket

def talk(url, *parts, wait=0):
    "Send parts of a request, and read what comes until the connection closes or a second is silent."
    host, port = url.removeprefix('http://').split(':')
    with socket.create_connection((host, int(port)), 20) as s:
        for p in parts:
            try: s.sendall(p)
            except OSError: break
            time.sleep(wait)
        s.settimeout(.8); got = b''
        with contextlib.suppress(TimeoutError, ConnectionError):
            while b := s.recv(65536): got += b
    return got

def chunk(b): return f'{len(b):x}\r\n'.encode() + b + b'\r\n'

def test_too_large_is_refused_before_it_arrives():
    toy = Toy()
    with live(toy_app(toy, Limits(megabytes=.1))) as url:
        declared = talk(url, b'POST /v1/upscale HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n')        # and not a byte of it
        chunked = talk(url, b'POST /v1/upscale HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', *[chunk(bytes(30_000))]*4)
        form = talk(url, b'POST /v1/upscale HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Type: multipart/form-data; boundary=x\r\n'
                         b'\r\n', chunk(b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'), *[chunk(bytes(30_000))]*4)
        for got in (declared, chunked, form):
            assert got.startswith(b'HTTP/1.1 413') and b'application/problem+json' in got and b'send a smaller file' in got, got
        assert httpx.post(f'{url}/v1/upscale', content=png()).status_code == 200 and toy.calls == 1

def test_a_slow_body_is_given_up():
    with live(toy_app(limits=Limits(body_seconds=.4))) as url:
        start = time.monotonic()
        got = talk(url, b'POST /v1/upscale HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n', *[b'x']*8, wait=.1)
        assert got.startswith(b'HTTP/1.1 408') and b'within 0.4 seconds' in got and time.monotonic() - start < 4, got
        got = talk(url, b'GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n')            # announced where none is taken, and never sent
        assert got.startswith(b'HTTP/1.1 408') and b'within 0.4 seconds' in got, got
        assert httpx.post(f'{url}/v1/upscale', content=png()).status_code == 200

def test_engine_held_one_runs_four_wait_the_rest_is_sent_away():
    gate = threading.Event(); toy = Toy(gate); app = toy_app(toy, Limits(queue=4)); shop = app.state.service.shop
    with live(app) as url, ThreadPoolExecutor(5) as pool, httpx.Client(timeout=30) as client:
        post = lambda i: httpx.post(f'{url}/v1/upscale', content=png(seed=i), timeout=30)
        held = []
        for i in range(5):
            held.append(pool.submit(post, i)); until(lambda: len(shop.running) + len(shop.waiting) == i + 1)
        assert (len(shop.running), len(shop.waiting)) == (1, 4)
        pictures = [png(seed=i) for i in range(5, 25)]        # made before the clock runs, as is the client, which reads certificates
        for p in pictures:
            start = time.monotonic(); r = client.post(f'{url}/v1/upscale', content=p)
            assert time.monotonic() - start < .5, 'at once'
            problem(r, 503, 'busy', '4 places'); assert int(r.headers['retry-after']) >= 1
        assert httpx.post(f'{url}/v1/jobs', content=png()).status_code == 503
        assert httpx.get(f'{url}/healthz').status_code == httpx.get(f'{url}/readyz').status_code == 200
        gate.set()
        assert [h.result().status_code for h in held] == [200]*5 and toy.calls == 5

def test_sent_away_before_the_body_is_read():
    gate = threading.Event(); app = toy_app(Toy(gate), Limits(queue=0))
    with live(app) as url, ThreadPoolExecutor(1) as pool:
        held = pool.submit(httpx.post, f'{url}/v1/upscale', content=png(), timeout=30); until(lambda: app.state.service.shop.full)
        got = talk(url, b'POST /v1/upscale HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n')
        assert got.startswith(b'HTTP/1.1 503') and b'retry-after' in got
        gate.set(); assert held.result().status_code == 200

def test_bodies_that_arrive_are_bounded():
    app = toy_app(limits=Limits(uploads=2))
    with live(app) as url:
        host, port = url.removeprefix('http://').split(':')
        slow = [socket.create_connection((host, int(port))) for _ in range(2)]
        for s in slow: s.sendall(b'POST /v1/upscale HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n')
        until(lambda: app.state.service.arriving == 2)
        problem(httpx.post(f'{url}/v1/upscale', content=png()), 503, 'busy')
        for s in slow: s.close()
        until(lambda: app.state.service.arriving == 0)
        assert httpx.post(f'{url}/v1/upscale', content=png()).status_code == 200

def test_a_client_that_leaves_costs_two_tiles_at_most():
    gate = threading.Event(); gate.set(); toy = Toy(gate); app = toy_app(toy)
    with live(app) as url:
        host, port = url.removeprefix('http://').split(':')
        for path in ('/v1/upscale', '/v1/upscale?format=webp'):
            body, before = png(10, 600), toy.tiles
            with socket.create_connection((host, int(port))) as s:
                s.sendall(f'POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n'.encode() + body)
                until(lambda: toy.tiles > before + 3)
                gate.clear(); time.sleep(.05)                              # it waits before a tile
            seen = toy.tiles
            until(lambda: not [j for j in app.state.service.shop.running if not j.ended])
            gate.set()
            until(lambda: not app.state.service.shop.running)
            assert toy.tiles - seen <= 2, 'tiles after it had left'

def test_a_client_that_leaves_the_queue_makes_room():
    gate = threading.Event(); toy = Toy(gate); app = toy_app(toy, Limits(queue=1)); shop = app.state.service.shop
    with live(app) as url, ThreadPoolExecutor(2) as pool:
        first = pool.submit(httpx.post, f'{url}/v1/upscale', content=png(), timeout=30); until(lambda: shop.running)
        with pytest.raises(httpx.ReadTimeout): httpx.post(f'{url}/v1/upscale', content=png(seed=1), timeout=.3)
        until(lambda: not shop.waiting)
        second = pool.submit(httpx.post, f'{url}/v1/upscale', content=png(seed=2), timeout=30); until(lambda: shop.waiting)
        gate.set(); assert (first.result().status_code, second.result().status_code, toy.calls) == (200, 200, 2)

def test_deadline():
    gate = threading.Event(); toy = Toy(gate)
    with live(toy_app(toy, Limits(deadline=.3))) as url:
        start = time.monotonic()
        problem(httpx.post(f'{url}/v1/upscale', content=png(10, 300), timeout=30), 504, 'more than 0.3 seconds', '/v1/jobs')
        assert time.monotonic() - start < 2
        gate.set(); until(lambda: httpx.post(f'{url}/v1/upscale', content=png()).status_code == 200)
        assert toy.tiles < 300, 'it went on to the end'

# ---- jobs

def events(url):
    with httpx.stream('GET', url, timeout=30) as r:
        assert r.headers['content-type'].startswith('text/event-stream')
        name = None
        for l in r.iter_lines():
            if l.startswith('event: '): name = l[7:]
            if l.startswith('data: '): yield name, json.loads(l[6:])

def test_job_from_post_to_picture():
    gate = threading.Event(); toy = Toy(gate)
    with live(toy_app(toy)) as url:
        r = httpx.post(f'{url}/v1/jobs?format=webp', content=png(12, 20)); job = url + r.headers['location']
        assert r.status_code == 202 and r.json()['id'] in job and r.json()['state'] in ('queued', 'running')
        heard = events(f'{job}/events'); seen = [next(heard)]; gate.set(); seen += heard
        assert seen[-1][0] == 'end' and seen[-1][1] | dict(id='') == dict(id='', state='done', part=1., tile=20, tiles=20)
        parts = [d['part'] for _, d in seen]
        assert parts == sorted(parts) and {n for n, _ in seen[:-1]} == {'progress'} and len(seen) > 3
        made, direct = httpx.get(f'{job}/result'), httpx.post(f'{url}/v1/upscale?format=webp', content=png(12, 20))
        assert made.content == direct.content and made.headers['etag'] == direct.headers['etag'] and toy.calls == 1
        assert httpx.get(f'{job}/result', headers={'If-None-Match': made.headers['etag']}).status_code == 304
        assert httpx.get(job).json()['state'] == 'done' and httpx.delete(job).status_code == 204
        problem(httpx.get(job), 404, 'no such job')

def test_job_is_cancelled():
    gate = threading.Event(); toy = Toy(gate); app = toy_app(toy)
    with live(app) as url:
        job = url + httpx.post(f'{url}/v1/jobs', content=png(10, 500)).headers['location']
        assert toy.began.wait(20)
        problem(httpx.get(f'{job}/result'), 404, 'running')
        with ThreadPoolExecutor(1) as pool:
            heard = pool.submit(lambda: [*events(f'{job}/events')]); time.sleep(.2)
            assert httpx.delete(job).status_code == 204
            assert heard.result()[-1][1]['state'] == 'cancelled' and 'cancelled' in heard.result()[-1][1]['error']
        gate.set(); until(lambda: not app.state.service.shop.running)
        assert toy.tiles <= 2

def test_cancelled_between_two_layers():
    "One tile of a real network: the worker is free long before the tile would have been done, and the next job's picture is the right one."
    app, big, clock = make_app(devices=['cpu']), png(500, 500), time.monotonic
    with live(app) as url:
        shop, start = app.state.service.shop, clock()
        httpx.post(f'{url}/v1/upscale?note=false', content=big, timeout=120); whole = clock() - start
        for stop in httpx.delete, lambda job: shop.stop(next(iter(shop.running)), 'late'):
            job = url + httpx.post(f'{url}/v1/jobs', content=big).headers['location']
            until(lambda: shop.running); stop(job)
            start = clock(); until(lambda: not shop.running); took = clock() - start
            assert took < max(1.5, whole/3), f'it went on for {took:.1f} seconds, where all of it takes {whole:.1f}'
        assert Image.open(io.BytesIO(httpx.post(f'{url}/v1/upscale', content=png(40, 30)).content)).size == (160, 120)

def test_job_that_fails_says_why():
    with client() as c:
        job = c.post('/v1/jobs', content=half(png(200, 200))).headers['location']
        until(lambda: c.get(job).json()['state'] == 'failed')
        assert 'damaged' in c.get(job).json()['error']; problem(c.get(f'{job}/result'), 422, 'damaged')
        assert 'damaged' in c.get(f'{job}/events').text

def several(kind, n=3, **more):
    frames = [Image.new('RGB', (60, 60), (80*i, 0, 0)) for i in range(n)]
    frames[0].save(f := io.BytesIO(), kind, save_all=True, append_images=frames[1:], **more)
    return f.getvalue()

@pytest.mark.parametrize('kind', ['PNG', 'WEBP', 'MPO'])
def test_frames_that_are_left_out_are_told(kind):
    "In the header of the picture, in what is said of a job, and in what a classifier is asked."
    says, app = 'the first of 3 frames or pages alone', toy_app(classifier='a')
    app.state.service.reader = lambda name: (SimpleNamespace(label='a', guesses=lambda p: [('cat', 1.)]), dict(nearest='nearest'))
    with TestClient(app) as c:
        assert c.post('/v1/upscale', content=several(kind)).headers['x-lost'] == says
        job = c.post('/v1/jobs', content=several(kind)).headers['location']; until(lambda: c.get(job).json()['state'] == 'done')
        assert c.get(job).json()['lost'] == c.get(f'{job}/result').headers['x-lost'] == says
        assert f'"lost": "{says}"' in c.get(f'{job}/events').text
        r = c.post('/v1/recognise', content=several(kind)); assert r.json()['lost'] == r.headers['x-lost'] == says
        job = c.post('/v1/jobs', content=png(60, 60)).headers['location']; until(lambda: c.get(job).json()['state'] == 'done')
        assert 'lost' not in c.get(job).json() and 'lost' not in c.post('/v1/recognise', content=png(60, 60)).json()
        assert c.post('/v1/recognise', content=png(60, 60, 'RGBA')).json()['lost'] == 'transparency'

def test_a_job_from_the_cache_took_no_time():
    with client() as c:
        for timing in r'decode;dur=.*', 'cache;dur=0.0':
            job = c.post('/v1/jobs', content=png()).headers['location']; until(lambda: c.get(job).json()['state'] == 'done')
            r = c.get(f'{job}/result')
            assert re.fullmatch(timing, r.headers['server-timing']), r.headers['server-timing']
        assert 'srgan_cache_hits_total 1\n' in c.get('/metrics').text

def test_what_was_fetched_goes_first_and_a_404_says_all_its_reasons():
    with client(limits=Limits(keep_jobs=3, keep_megabytes=.5)) as c:
        jobs = []
        for i in range(5):
            jobs.append(c.post('/v1/jobs', content=png(seed=i)).headers['location']); until(lambda: c.get(jobs[-1]).json()['state'] == 'done')
            if i == 1: assert c.get(f'{jobs[1]}/result').status_code == 200
            if i == 3: assert c.head(f'{jobs[3]}/result').status_code == 200          # which fetches nothing
        assert [c.get(j).status_code for j in jobs] == [404, 404, 200, 200, 200]
        c.delete(jobs[4])
        for i in 0, 4: problem(c.get(jobs[i]), 404, 'kept for 15 minutes, at most 3 of them and 0.5 MB', 'make way', 'deleted')

def test_a_result_that_is_not_kept_is_not_called_done():
    with client(limits=Limits(keep_megabytes=.001)) as c:
        for cached in False, True:
            r = c.post('/v1/jobs', content=png(40, 40))
            if not cached:
                job = r.headers['location']; until(lambda: c.get(job).json()['state'] == 'failed'); r = c.get(f'{job}/result')
            problem(r, 413, 'keeps 1,000 at most', '/v1/upscale'); assert c.post('/v1/upscale', content=png(40, 40)).status_code == 200

def test_jobs_are_bounded_and_go():
    def some(c, n):
        for i in range(n):
            yield (job := c.post('/v1/jobs', content=png(seed=i)).headers['location'])
            until(lambda: c.get(job).json().get('state', 'done') == 'done')
    with client(limits=Limits(keep_jobs=3)) as c: assert [c.get(j).status_code for j in [*some(c, 5)]] == [404]*2 + [200]*3
    with client(limits=Limits(keep_minutes=.01)) as c:
        jobs, service = [*some(c, 2)], c.app.state.service
        until(lambda: not len(service.jobs)); problem(c.get(jobs[-1]), 404, 'kept for 0.01 minutes')
        assert service.jobs.bytes == 0

@pytest.mark.parametrize('deadline', [60, .6])
def test_a_job_that_is_late_says_so(deadline, monkeypatch):
    "It was answered as one that had never been, and its listeners were sent where it had been sent to: here also where a request has the same time."
    with client(limits=Limits(keep_minutes=.01, deadline=deadline)) as c:
        slow = c.app.state.service.shop; work = slow.submit
        def submit(job): done = job.work; job.work = lambda *of: (time.sleep(.8), done(*of))[1]; return work(job)
        monkeypatch.setattr(slow, 'submit', submit)
        job = c.post('/v1/jobs', content=png()).headers['location']
        until(lambda: c.get(job).json().get('state') not in ('queued', 'running'))
        facts = c.get(job).json()
        assert facts['state'] == 'late' and 'more than 0.6 seconds' in facts['error'] and '--keep-minutes' in facts['error'] and '/v1/jobs' not in facts['error']
        if deadline < 1: problem(r := c.post('/v1/upscale', content=png()), 504, 'more than 0.6 seconds', 'POST /v1/jobs'); assert '--keep' not in r.text

def test_jobs_that_wait_take_no_place_of_a_result():
    "With fewer places for results than for jobs, what was accepted was thrown away the moment it was done."
    with client(limits=Limits(keep_jobs=1, queue=8)) as c:
        shop = c.app.state.service.shop; gates = [threading.Event() for _ in range(4)]; submit, n = shop.submit, iter(gates)
        def held(job): work, gate = job.work, next(n); job.work = lambda *of: (gate.wait(20), work(*of))[1]; return submit(job)
        shop.submit = held
        jobs = [c.post('/v1/jobs', content=png(seed=i)).headers['location'] for i in range(4)]
        for i, gate in enumerate(gates):                           # each is there when it is done, until the next one is
            gate.set(); until(lambda: c.get(jobs[i]).json().get('state') not in ('queued', 'running')); time.sleep(.1)
            assert [c.get(j).status_code for j in jobs] == [404]*i + [200]*(4 - i)

def test_results_of_jobs_are_bounded_in_bytes():
    with client(limits=Limits(keep_megabytes=.02, cache_megabytes=0)) as c:
        jobs = []
        for i in range(4):
            jobs.append(c.post('/v1/jobs', content=png(40, 40, seed=i)).headers['location']); until(lambda: c.get(jobs[-1]).json()['state'] != 'running')
        service = c.app.state.service
        until(lambda: not service.shop.running); time.sleep(.1)
        assert service.jobs.bytes <= 20_000 and c.get(jobs[0]).status_code == 404

# ---- a process of its own

ENV = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')

@contextlib.contextmanager
def process(*args, cwd=None, **env):
    "srgan-serve on a free port: (the process, its address), when it is ready."
    p = subprocess.Popen([sys.executable, '-m', 'srgan_course', 'serve', '--port', '0', *map(str, args)], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, cwd=cwd, env=ENV | env)
    try:
        said = p.stdout.readline(); url = re.search(r'http://\S+?(?=/ )', said)[0]
        assert re.search('/v1/recognise (answered by resnet50, loaded when first asked for|without a classifier)', said), said
        def ready():
            with contextlib.suppress(httpx.HTTPError): return httpx.get(f'{url}/readyz').status_code == 200
        until(ready, 60)
        yield p, url
    finally: p.kill(); p.communicate()

def test_inside_another_app_and_started_twice():
    "A mounted app's lifespan is not run: /readyz said for ever that models are being loaded. After a second start nothing was ever done."
    from starlette.applications import Starlette
    from starlette.routing import Mount
    from starlette.testclient import TestClient
    for make, at in (lambda: Starlette(routes=[Mount('/enlarge', make_app(models=('light-x2',)))]), '/enlarge'), (lambda: make_app(models=('light-x2',)), ''):
        app = make()
        for _ in range(2):
            with TestClient(app) as c:
                until(lambda: c.get(f'{at}/readyz').status_code == 200)
                assert c.post(f'{at}/v1/upscale', content=png(9, 7)).status_code == 200
                assert f'http://testserver{at}/v1/upscale' in c.get(f'{at}/docs').text

def test_sigterm_finishes_the_job_in_hand():
    body = png(200, 200)
    with process('--tile', 64) as (p, url), ThreadPoolExecutor(2) as pool:
        held = pool.submit(httpx.post, f'{url}/v1/upscale', content=body, timeout=60)
        running = lambda n: f'srgan_running {n}\n' in httpx.get(f'{url}/metrics').text
        until(lambda: running(1))
        waits = pool.submit(httpx.post, f'{url}/v1/upscale', content=png(), timeout=60)
        until(lambda: 'srgan_queued 1\n' in httpx.get(f'{url}/metrics').text)
        p.send_signal(signal.SIGTERM)
        problem(waits.result(), 503, 'shutting down')
        problem(httpx.post(f'{url}/v1/upscale', content=png()), 503, 'shutting down'); problem(httpx.get(f'{url}/readyz'), 503)
        assert httpx.get(f'{url}/healthz').status_code == 200 and not held.done()
        r = held.result()
        assert r.status_code == 200 and Image.open(io.BytesIO(r.content)).size == (800, 800)
        out, err = p.communicate(timeout=20)
        assert p.returncode == 0 and err == '', err
        with pytest.raises(httpx.ConnectError): httpx.get(f'{url}/healthz')

def test_sigterm_waits_for_a_job_s_result_to_be_fetched():
    with process('--tile', 64) as (p, url):
        job = url + httpx.post(f'{url}/v1/jobs', content=png(100, 100)).headers['location']
        heard = events(f'{job}/events'); next(heard)
        p.send_signal(signal.SIGTERM)
        assert [*heard][-1][1]['state'] == 'done' and httpx.get(f'{job}/result').status_code == 200
        p.communicate(timeout=20); assert p.returncode == 0

def test_a_second_signal_ends_it():
    with process('--tile', 64) as (p, url), ThreadPoolExecutor(1) as pool:
        pool.submit(httpx.post, f'{url}/v1/upscale', content=png(1000, 1000), timeout=60)
        until(lambda: 'running 1' in httpx.get(f'{url}/metrics').text)
        for s in (signal.SIGTERM, signal.SIGINT): p.send_signal(s); time.sleep(.5)
        start = time.monotonic(); p.communicate(timeout=20); assert time.monotonic() - start < 10

def test_a_second_signal_does_not_wait_for_a_tile():
    with process() as (p, url):
        httpx.post(f'{url}/v1/jobs', content=png(500, 500)); until(lambda: 'running 1' in httpx.get(f'{url}/metrics').text)
        p.send_signal(signal.SIGTERM); assert 'at work (1), in 120 seconds at most' in p.stdout.readline()
        p.send_signal(signal.SIGTERM); start = time.monotonic(); said = p.communicate(timeout=60); assert time.monotonic() - start < 3
        assert said == ('', '')                                # no traceback of what is broken off

def test_a_second_signal_does_not_wait_for_a_file_to_be_written():
    code = 'import time, srgan_course.serve as s; s.image_bytes = lambda *a, **k: time.sleep(40); from srgan_course.deploy import serve; serve(port=0)'
    p = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENV)
    try:
        url = re.search(r'http://\S+?(?=/ )', p.stdout.readline())[0]
        httpx.post(f'{url}/v1/jobs', content=png(), timeout=30); until(lambda: 'tiles_total 1' in httpx.get(f'{url}/metrics').text)
        for _ in range(2): p.send_signal(signal.SIGTERM); time.sleep(.5)
        start = time.monotonic(); p.communicate(timeout=60); assert time.monotonic() - start < 10 and p.returncode == 130
    finally: p.kill(); p.communicate()

def test_sigterm_waits_no_longer_than_a_request_may():
    "A job may take its time, a machine that asks a server to go may not. What was done before can still be fetched."
    with process('--deadline', 1) as (p, url):
        done, big = (url + httpx.post(f'{url}/v1/jobs', content=b).headers['location'] for b in (png(), png(500, 500)))
        heard = events(f'{big}/events'); next(heard); until(lambda: httpx.get(done).json()['state'] == 'done')
        p.send_signal(signal.SIGTERM)
        end = [*heard][-1][1]; assert end['state'] == 'refused' and 'shutting down' in end['error']
        assert httpx.get(f'{done}/result').status_code == 200
        p.communicate(timeout=20); assert p.returncode == 0

def test_sigterm_waits_no_longer_for_who_does_not_read_on():
    "A phone that sleeps kept the server from ever ending, long after it had stopped to listen."
    with process('--deadline', 2, '--model', 'light-x2') as (p, url):
        body = io.BytesIO(); Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 400, 3)).astype(np.uint8)).save(body, 'PNG')
        job = httpx.post(f'{url}/v1/jobs', content=body.getvalue()).headers['location']
        assert [*events(f'{url}{job}/events')][-1][1]['state'] == 'done'
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.connect(('127.0.0.1', int(url.rpartition(':')[2]))); s.sendall(9*f'GET {job}/result HTTP/1.1\r\nHost: x\r\n\r\n'.encode())       # more than the system keeps for it
            time.sleep(.5); p.send_signal(signal.SIGTERM)
            assert p.communicate(timeout=20) == ('', '') and p.returncode == 0

def test_sigkill_leaves_nothing(tmp_path):
    "No half result, and no upload, wherever it might lie."
    for d in ('here', 'tmp'): (tmp_path/d).mkdir()
    with process('--tile', 64, cwd=tmp_path/'here', TMPDIR=str(tmp_path/'tmp'), HOME=str(tmp_path/'here')) as (p, url), ThreadPoolExecutor(1) as pool:
        held = pool.submit(httpx.post, f'{url}/v1/upscale', files=dict(file=png(1000, 900)), timeout=60)      # more than a form keeps in memory
        until(lambda: 'running 1' in httpx.get(f'{url}/metrics').text)
        p.kill(); p.wait()
        with pytest.raises(httpx.HTTPError): held.result()
    left = [str(f.relative_to(tmp_path)) for f in tmp_path.rglob('*') if f.is_file()]
    assert not left, left

def test_command():
    run = lambda *a: subprocess.run([sys.executable, '-m', 'srgan_course', 'serve', *a], capture_output=True, text=True, env=ENV, timeout=60)
    r = run('--help'); assert r.returncode == 0 and 'torch' not in r.stderr
    for k, v in Limits().__dict__.items(): assert re.search(rf'--{k.replace("_", "[-_]")} .*default: {v:g}\)', ' '.join(r.stdout.split())), k
    assert '(default: 127.0.0.1)' in r.stdout
    for args, says in ((('--queue', '-1'), 'queue is -1'), (('--models', 'lite-x4'), 'lite-x4'), (('--models', 'dcgan-cats'), 'enlarges nothing')):
        r = run(*args); assert r.returncode == 2 and r.stderr.startswith('srgan-serve: ') and says in r.stderr and r.stderr.count('\n') == 1, r.stderr

UNFIT = {'another device': (dict(device='cpu+foo'), "device 'foo' is not there"), 'a device that computes nothing': (dict(device='meta'), 'not there'),
         'no classifier': (dict(classifier='nope'), "--classifier nope: teacher 'nope' is not known"),
         'an upscaler': (dict(classifier=str(page.MODEL)), 'wanted is a classifier'), 'a file that is not there': (dict(classifier='no.safetensors'), 'no such file')}

@pytest.mark.parametrize('what', UNFIT)
def test_what_would_fail_later_is_refused_before_it_listens(what, monkeypatch):
    import srgan_course.kit.desk as m
    from srgan_course.deploy import serve
    monkeypatch.setattr(m, 'listen', lambda *a: pytest.fail('it listens'))
    options, says = UNFIT[what]
    with pytest.raises(ValueError, match=re.escape(says)): serve(**options)

def test_nothing_imports_torch():
    code = 'import sys; from srgan_course.serve import make_app; make_app(); print([m for m in ("torch", "fastai") if m in sys.modules])'
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env=ENV); assert r.stdout.strip() == '[]', r.stdout + r.stderr

def test_container_files():
    "Slim, without rights and without torch; its packages are those of settings.ini, with the same bounds."
    docker, compose = ((ROOT/'deploy'/f).read_text(encoding='utf-8') for f in ('Dockerfile', 'compose.yaml'))
    needs = [l for l in (ROOT/'deploy'/'requirements.txt').read_text(encoding='utf-8').splitlines() if l and l[0] != '#']
    ini = next(l for l in (ROOT/'settings.ini').read_text(encoding='utf-8').splitlines() if l.startswith('requirements')).split()
    assert {*needs} <= {*ini} and not any(n.startswith('torch') for n in needs)
    assert re.search(r'^USER \d+$', docker, re.M) and 'HEALTHCHECK' in docker and docker.count('-slim') == 2 and '--no-deps' in docker
    grace = int(re.search(r'stop_grace_period: (\d+)s', compose)[1])
    assert grace > Limits.deadline and '127.0.0.1:8000:8000' in compose and 'read_only: true' in compose

def test_form_token_and_model_whatever_their_letters(tmp_path):
    "Types ignore case, a token may be any text (curl sends UTF-8), and a header holds no Cyrillic."
    with client(token='tökén') as c:
        boundary = b'--B\r\nContent-Disposition: form-data; name="file"; filename="x.png"\r\n\r\n' + png() + b'\r\n--B--\r\n'
        head = {'Content-Type': 'Multipart/Form-Data; boundary=B', 'Authorization': 'Bearer tökén'.encode()}
        r = c.post('/v1/upscale', content=boundary, headers=head)
        assert r.status_code == 200, r.text
        assert c.post('/v1/upscale', content=png(), headers={'Authorization': 'Bearer token'}).status_code == 401
    made = Made(b'x', 'image/png', 'модель.safetensors', 'c')
    r = Desk.file(None, SimpleNamespace(method='POST', headers={}), made)
    assert unquote(r.headers['x-model']) == 'модель.safetensors'

def test_what_a_result_lacks_is_in_its_header():
    "Fewer bits, notes without a place, frames after the first: also from the cache; and nothing where nothing is lost."
    from srgan_course.images import from_array, to_array
    class Deep(Toy):
        def __call__(self, img, *_): return from_array(to_array(img).repeat(4, 0).repeat(4, 1), img.info)
    deep = image_bytes(from_array(np.random.default_rng(0).integers(0, 2**16, (8, 9, 3)).astype(np.uint16), {'text': {'Title': 'x'}}), 'x.png')
    Image.new('RGB', (8, 8)).save(film := io.BytesIO(), 'WEBP', save_all=True, append_images=[Image.new('RGB', (8, 8), 'red')])
    with client(Deep()) as c:
        for _ in range(2):
            said = c.post('/v1/upscale?format=jpeg', content=deep).headers['x-lost']
            assert said == 'JPEG has no place for text (left out); 16 bits a channel are written as 8'
        assert 'x-lost' not in c.post('/v1/upscale', content=deep).headers
        r = c.post('/v1/upscale', content=film.getvalue()); assert r.status_code == 200, r.text
        assert r.headers['x-lost'] == 'the first of 2 frames or pages alone'

def test_a_picture_of_very_many_chunks_is_looked_at_in_little_time_and_beside_the_server(monkeypatch):
    "Each was looked for with all others, or copied with all before it: one request of 1 MB stopped the server for 19 seconds."
    import asyncio, zlib, srgan_course.kit.desk as desk
    from srgan_course.kit.codec import open_image
    from srgan_course.kit.formats import png_chunk
    good, text, palette = png_chunk(b'prIv', b''), png_chunk(b'zTXt', b'k\0\0xx'), png_chunk(b'PLTE', b'abc')
    plain, begun = png(), time.process_time()
    for n, chunks in (40_000, [good[:-4] + bytes(4), good, png_chunk(b'tEXt', bytes(100))]), (60_000, [text]), (200_000, [palette]):
        file = plain[:33] + b''.join(chunks*n) + plain[33:]
        assert open_image(file).size == (24, 16)
        with pytest.raises(server.Problem, match='more scans, notes'): server.check_picture(file, Limits(), 4)
    assert server.check_picture(plain[:33] + text*10_000 + plain[33:], Limits(), 4) == (24, 16)
    profiles = png_chunk(b'iCCP', b'k\0\0' + zlib.compress(bytes(60_000_000)))*30
    assert open_image(plain[:33] + profiles + plain[33:]).size == (24, 16)
    assert time.process_time() - begun < 30, 'seconds of looking'
    def look(*of):
        with pytest.raises(RuntimeError, match='no running event loop'): asyncio.get_running_loop()
        return server.check_picture(*of)
    monkeypatch.setattr(desk, 'check_picture', look)
    with client() as c:
        assert c.post('/v1/upscale', content=plain).status_code == 200
        assert c.post('/v1/upscale', content=plain[:60]).status_code == 422

@pytest.mark.parametrize('kind', ['SHORT', 'RATIONAL'])
def test_exif_of_many_numbers_is_left_out_before_they_are_read(kind):
    "Each becomes an object of Python: EXIF packed in a PNG's text took 2.5 GB (a file of 55 kB) or half a minute of the only worker (109 kB)."
    import tracemalloc, zlib
    from srgan_course.kit.codec import open_image
    from srgan_course.kit.formats import png_chunk
    n, (code, size) = 8_000_000, {'SHORT': (3, 2), 'RATIONAL': (5, 8)}[kind]
    head = b'Exif\0\0II*\0' + struct.pack('<IHHHII', 8, 1, 0x9999, code, n//size, 26) + bytes(4)
    text = b'\nexif\n%8d\n' % (len(head) + n) + (head + struct.pack('<II', 3, 7)*(n//8)).hex().encode() + b'\n'
    plain = png()
    file = plain[:33] + png_chunk(b'zTXt', b'Raw profile type exif\0\0' + zlib.compress(text, 9)) + plain[33:]
    tracemalloc.start()
    try: img, peak = open_image(file), tracemalloc.get_traced_memory()[1]
    finally: tracemalloc.stop()
    assert len(file) < 40_000 and 'EXIF of more than a megabyte (left out)' in img.info['lost'] and not img.getexif()
    assert peak < 100e6, f'{peak/1e6:.0f} MB'

def test_a_result_that_is_gone_holds_no_memory():
    "A job that was deleted, or made way for newer ones, was held to the end of its time by what waits for that."
    import asyncio
    async def held():
        d, refs = Desk(Limits(keep_jobs=2, cache_megabytes=0)), []
        for i in range(6):
            job = d.take_job(f'k{i}', lambda device, told: Made(b'x', 'image/png'))
            await job.wait(); refs.append(weakref.ref(job)); del job; await asyncio.sleep(.02)
        await d.job_delete(None, d.jobs.values()[0].id); await asyncio.sleep(0); gc.collect()
        return sum(r() is not None for r in refs)
    assert asyncio.run(held()) == 1

@pytest.mark.parametrize('where, part, most', [(-2, bytes.fromhex('ffda0008010100013f00'), 400), (2, b'\xff\xe1\0\x09Exif\0\0x', 30),
                                               (2, b'\xff\xe9\0\x02', 4000), (2, b'\xff\xdd\0\4\0\0', 4000), (2, b'\xff', 15_000),
                                               (2, b'\xff\0', 8000), (2, b'\xff\xd8', 8000), (2, b'\xff\xfa\0\4ab', 3000)],
                         ids=['scans', 'EXIF', 'segments', 'restarts', 'filling', 'junk', 'starts', 'extensions'])
def test_a_jpeg_of_very_many_scans_or_notes_is_refused(where, part, most):
    """Pillow goes through the picture for each scan, copies all notes for each, and passes filling byte by byte, as often as it opens the
    file: 1 MB took 33 seconds of a worker, and eight uploads of 20 MB held up all others for three minutes."""
    plain, limits = png(kind='jpg'), Limits()
    many = lambda n: plain[:where] + part*n + plain[where:]
    assert server.check_picture(many(most), limits, 4) == (24, 16)
    with pytest.raises(server.Problem, match='more scans, notes'): server.check_picture(many(2*most), limits, 4)
