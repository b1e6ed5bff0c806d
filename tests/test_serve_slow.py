"srgan-serve under load, for long, and under a fuzzer: real processes, minutes."
import asyncio, os, subprocess, sys, time
from importlib.util import find_spec
import httpx, psutil, pytest
from test_serve import png, process
from srgan_course.serve import enlarge_bytes

pytestmark = pytest.mark.slow

def resident(p): return psutil.Process(p.pid).memory_info().rss/2**20      # MiB

def test_two_hundred_clients_for_a_minute():
    "Every answer is the right picture, or a 503 that says when to come back; memory is bounded."
    from srgan_course.upscale import Upscaler
    up, pictures = Upscaler.load('light-x4', device='cpu'), [png(40, 30, seed=i) for i in range(8)]
    want, count = [enlarge_bytes(up, b).body for b in pictures], {200: 0, 503: 0}
    async def client(c, url, i, end):
        while time.monotonic() < end:
            r = await c.post(f'{url}/v1/upscale', content=pictures[i%8])
            count[r.status_code] += 1                                      # a KeyError for any other
            if r.status_code == 200: assert r.content == want[i%8]
            else: assert int(r.headers['retry-after']) >= 1; await asyncio.sleep(.2)
    async def all_of_them(p, url, end):
        most = resident(p)
        async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=200)) as c:
            todo = asyncio.gather(*(client(c, url, i, end) for i in range(200)))
            while not todo.done():
                await asyncio.sleep(.5); most = max(most, resident(p))
            await todo
        return most
    with process('--cache-megabytes', 0) as (p, url):
        for b in pictures: httpx.post(f'{url}/v1/upscale', content=b)
        before = resident(p); most = asyncio.run(all_of_them(p, url, time.monotonic() + 60))
        print(f'{count}, memory {before:.0f} -> at most {most:.0f} MiB')
        assert count[200] > 100 and count[503] > 100 and most < before + 100
        assert httpx.post(f'{url}/v1/upscale', content=pictures[0]).content == want[0]

def test_memory_stays_where_it_is():
    "Five hundred requests of several sizes, formats and refusals; without the cache, whose size is an option."
    bodies = [png(20 + 10*(i%5), 30, 'RGBA' if i%3 else 'RGB', seed=i) for i in range(20)] + [b'no picture', png()[:50]]
    with process('--cache-megabytes', 0) as (p, url), httpx.Client(timeout=60) as c:
        def ask(n):
            for i in range(n): c.post(f'{url}/v1/upscale?format={"webp" if i%2 else "png"}', content=bodies[i%len(bodies)])
            return resident(p)
        warm = ask(100); after = ask(500)
        print(f'memory {warm:.1f} -> {after:.1f} MiB')
        assert after < 1.05*warm

@pytest.mark.skipif(not find_spec('schemathesis'), reason='fuzzer: needs the package schemathesis')
def test_fuzzer_finds_no_server_error(tmp_path):
    "501 is what /v1/recognise answers where no classifier's weights are; with SRGAN_WEIGHTS it is fuzzed, too."
    with process('--deadline', 30) as (p, url):
        args = [] if os.environ.get('SRGAN_WEIGHTS') else ['--exclude-path', '/v1/recognise']
        r = subprocess.run([sys.executable, '-m', 'schemathesis.cli', 'run', f'{url}/openapi.json', '--checks', 'not_a_server_error',
                            '--max-examples', '40', *args], capture_output=True, text=True, cwd=tmp_path, timeout=500)
        print(r.stdout[-1500:])
        assert r.returncode == 0 and 'Not a Server Error' not in r.stdout, r.stdout[-3000:] + r.stderr[-500:]
        assert httpx.get(f'{url}/readyz').status_code == 200
