"The page as srgan-serve serves it, in a real Chromium: the server enlarges, the page says what the server says."
import io, re, threading
import httpx, pytest
from PIL import Image
from test_page import browser_only, chromium, encoded, give, photo, result, visit   # noqa: F401  (chromium is a fixture)
from test_serve import Toy, live, toy_app, until
from srgan_course.kit.server import Limits
from srgan_course.serve import make_app

def settled(pg):
    "A page that has loaded all it needs."
    pg.wait_for_selector('body[data-ready]')
    return pg

@pytest.fixture(scope='module')
def server():
    app = make_app()
    with live(app) as url: yield app, url

@browser_only
@pytest.mark.parametrize('kind', ['PNG', 'JPEG', 'WEBP', 'RGBA', 'turned'])
def test_picture_is_the_api_s(chromium, server, kind, tmp_path):
    "What is downloaded has the API's bytes, and the slider shows its pixels."
    turned = Image.Exif(); turned[274] = 6                                                        # Chromium does not turn a WebP
    data = (encoded(photo(40, 30, 'RGBA')) if kind == 'RGBA' else encoded(photo(30, 40), 'WEBP', exif=turned) if kind == 'turned' else
            encoded(photo(40, 30), kind))
    app, url = server; pg = settled(visit(chromium, url))
    give(pg, data, f'my.cat.{kind.lower()}')
    pg.wait_for_selector('#download:not([hidden]), #error:not([hidden])'); assert not pg.is_visible('#error'), pg.inner_text('#error')
    with pg.expect_download() as d: pg.click('#download')
    want = httpx.post(f'{url}/v1/upscale', content=data).content
    assert d.value.path().read_bytes() == want and d.value.suggested_filename == 'my.cat-x4.png'
    shown = pg.evaluate("(([c]) => [c.width, c.height, [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]])"
                        "([document.getElementById('after')])")
    (tmp_path/'want.png').write_bytes(want); img = Image.open(tmp_path/'want.png').convert('RGBA')
    assert shown[:2] == list(img.size)
    if kind != 'RGBA': assert bytes(shown[2]) == img.tobytes()
    assert pg.inner_text('#status').startswith('Done: 160 × 120 pixels in ') and not pg.complaints, pg.complaints
    pg.context.close()

@browser_only
def test_says_what_is_left_out(chromium, server):
    _, url = server; pg = settled(visit(chromium, url))
    Image.new('RGB', (12, 10)).save(f := io.BytesIO(), 'WEBP', save_all=True, append_images=[Image.new('RGB', (12, 10), 'red')])
    give(pg, f.getvalue()); pg.wait_for_selector('#download:not([hidden]), #error:not([hidden])')
    pg.wait_for_function("document.getElementById('status').innerText.startsWith('Done')")
    assert pg.inner_text('#status').endswith(' MB (the first of 2 frames or pages alone).') and not pg.complaints
    pg.context.close()

@browser_only
def test_says_where_the_photo_goes_and_loads_no_model(chromium, server):
    app, url = server; pg = settled(visit(chromium, url))
    assert 'sent to this server' in pg.inner_text('#where') and 'stays on your device' not in pg.inner_text('#where')
    result(pg, encoded(photo(12, 10)))
    asked = [(r.method, re.sub(r'[\w-]{16}', 'ID', r.url.removeprefix(url))) for r in pg.requests if not r.url.startswith(('blob:', 'data:'))]
    assert all(r.url.startswith((url, 'blob:', 'data:')) for r in pg.requests)
    assert not [u for _, u in asked if u.endswith(('.wasm', '.safetensors'))]
    assert [a for a in asked if '/v1/' in a[1]][1:5] == [('GET', '/v1/models'), ('POST', '/v1/jobs'), ('GET', '/v1/jobs/ID/events'), ('GET', '/v1/jobs/ID/result')]
    until(lambda: not len(app.state.service.jobs))                         # what is done is forgotten
    pg.context.close()

@browser_only
def test_a_server_of_another_scale(chromium):
    "The page of `srgan-serve` took every model for x4: half of the canvas was empty, and the file was called -x4."
    with live(make_app(models=('light-x2',))) as url:
        pg = settled(visit(chromium, url))
        assert 'makes your photo 2 times as wide' in pg.inner_text('main')
        img, name = result(pg, encoded(photo(9, 6)))
        assert (img.size, name) == ((18, 12), 'photo-x2.png') and pg.evaluate('[after.width, after.height]') == [18, 12]
        assert pg.evaluate('after.getContext("2d").getImageData(17, 11, 1, 1).data[3]') == 255
        pg.context.close()

@browser_only
def test_server_is_busy(chromium):
    "One sentence; and when there is a place again, the same page goes on."
    gate = threading.Event(); toy = Toy(gate); app = toy_app(toy, Limits(queue=0))
    with live(app) as url:
        job = url + httpx.post(f'{url}/v1/jobs', content=encoded(photo(9, 9))).headers['location']
        pg = settled(visit(chromium, url)); give(pg, encoded(photo(20, 12)))
        pg.wait_for_selector('#error:not([hidden])')
        assert re.fullmatch(r'This server is busy: all 0 places in its queue are taken\. Ask again in \d+ seconds?\.', pg.inner_text('#error'))
        assert not pg.is_visible('#result') and not pg.is_visible('#work')
        httpx.delete(job); gate.set(); until(lambda: not app.state.service.shop.running)
        assert result(pg, encoded(photo(20, 12)))[0].size == (80, 48)
        pg.context.close()

@browser_only
def test_cancel_reaches_the_server(chromium):
    gate = threading.Event(); gate.set(); toy = Toy(gate); app = toy_app(toy)
    with live(app) as url:
        pg = settled(visit(chromium, url)); give(pg, encoded(photo(30, 200)))
        pg.wait_for_selector('#tile:not(:empty)')
        assert re.fullmatch(r'\d+ of 200 tiles', pg.inner_text('#tile'))
        gate.clear(); pg.click('#cancel'); pg.wait_for_selector('#status:text-is("Cancelled.")', timeout=2000)
        until(lambda: all(j.ended for j in app.state.service.shop.running)); seen = toy.tiles; gate.set()
        until(lambda: not app.state.service.shop.running and not len(app.state.service.jobs))
        assert toy.tiles - seen <= 2 and not pg.is_visible('#download')
        assert result(pg, encoded(photo(9, 9)))[0].size == (36, 36)
        pg.context.close()

@browser_only
@pytest.mark.parametrize('leave', ['close', 'reload'])
def test_who_leaves_waits_no_longer(chromium, leave):
    "A closed tab and a page that is loaded again cancel their job, as the button does: it went on, and its picture was kept."
    gate = threading.Event(); app = toy_app(Toy(gate))                     # which waits before its first row
    with live(app) as url:
        pg = settled(visit(chromium, url)); context = pg.context
        with pg.expect_request('**/events'): give(pg, encoded(photo(30, 200)))
        until(lambda: app.state.service.shop.running)
        getattr(pg, leave)()
        try: until(lambda: app.state.service.shop.running and all(j.ended for j in app.state.service.shop.running))
        finally: gate.set()
        until(lambda: not app.state.service.shop.running and not len(app.state.service.jobs))
        context.close()

@browser_only
def test_a_server_that_comes_back_with_another_model(chromium):
    "The page that stood open while the server changed took the new model's picture for one of the old scale."
    with live(toy_app()) as url:
        pg = settled(visit(chromium, url)); assert result(pg, encoded(photo(9, 6)))[0].size == (36, 24)
        with live(make_app(models=('light-x2',))) as other:
            pg.route(f'{url}/v1/**', lambda r: r.fulfill(response=r.fetch(url=r.request.url.replace(url, other))))
            img, name = result(pg, encoded(photo(9, 6)))
            assert (img.size, name) == ((18, 12), 'photo-x2.png') and pg.evaluate('[after.width, after.height]') == [18, 12]
            assert 'makes your photo 2 times as wide' in pg.inner_text('main')
        pg.context.close()

@browser_only
def test_a_server_that_dies_at_work(chromium):
    "The browser's own words for it are others in each."
    gate = threading.Event()
    with live(toy_app(Toy(gate))) as url:
        pg = settled(visit(chromium, url))
        with pg.expect_request('**/events'): give(pg, encoded(photo(30, 200)))
        pg.context.set_offline(True); pg.evaluate('0')
    gate.set(); pg.wait_for_selector('#error:not([hidden])')
    assert pg.inner_text('#error') == 'The server does not answer; is it still running?'
    pg.context.close()

@browser_only
@pytest.mark.parametrize('data, says', [(encoded(photo(60, 40))[:900], 'browser'), (encoded(photo(60, 40), 'GIF'), 'not a PNG, JPEG or WebP')],
                         ids=['damaged', 'a GIF'])
def test_what_cannot_be_read(chromium, server, data, says):
    pg = settled(visit(chromium, server[1])); give(pg, data)
    pg.wait_for_selector('#error:not([hidden])')
    assert says in pg.inner_text('#error') and pg.inner_text('#error').endswith('.')
    pg.context.close()

@browser_only
def test_token_in_the_fragment(chromium):
    with live(toy_app(token='cats')) as url:
        pg = settled(visit(chromium, url)); give(pg, encoded(photo(9, 9))); pg.wait_for_selector('#error:not([hidden])')
        assert pg.inner_text('#error') == 'This server wants a token: put #token=… at the end of the address of this page.'
        with pg.expect_navigation(): pg.evaluate("location.hash = '#token=cats'")              # in the same tab
        assert result(settled(pg), encoded(photo(9, 9)))[0].size == (36, 36); pg.context.close()
        pg = settled(visit(chromium, f'{url}/#token=cats')); assert result(pg, encoded(photo(9, 9)))[0].size == (36, 36)
        assert not any('cats' in r.url.partition('#')[0] for r in pg.requests)
        pg.context.close()

@browser_only
def test_server_that_has_gone(chromium):
    with live(toy_app()) as url:
        pg = settled(visit(chromium, url))
        pg.context.set_offline(True); give(pg, encoded(photo(9, 9))); pg.wait_for_selector('#error:not([hidden])')
        assert pg.inner_text('#error') == 'The server does not answer; is it still running?'
        pg.context.close()
