#!/usr/bin/env python3
"""srgan-serve against the same work in the same kind of process: 128 x 128 pixels x4, one request after another.

The server is a process of its own, without its cache; both do the same pictures in turns. Bar: 1.15. Writes results/serve.json.
usage: serve.py [--rounds 60] [--quick]
"""
import argparse, os, statistics, sys, time
from pathlib import Path

os.environ['OMP_NUM_THREADS'] = '1'     # both on one thread, whatever the shell says
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT/'tests'))
ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
ap.add_argument('--rounds', type=int, default=60)
ap.add_argument('--quick', action='store_true', help='ten rounds; writes nothing')

def pictures(n):
    "Crops of the cat of 128 x 128 pixels, as PNG files."
    from PIL import Image
    from skimage import data
    from srgan_course.kit.codec import image_bytes
    cat = Image.fromarray(data.chelsea())
    return [image_bytes(cat.crop((x, 60, x + 128, 188)), 'a.png') for x in range(n)]

def measure(rounds):
    import httpx
    from test_serve import process
    from srgan_course.serve import enlarge_bytes
    from srgan_course.upscale import Upscaler
    up, rows = Upscaler.load('light-x4', device='cpu'), []
    with process('--cache-megabytes', 0, '--device', 'cpu') as (_, url), httpx.Client(timeout=60) as client:
        def timed(f):
            t = time.perf_counter(); made = f()
            return time.perf_counter() - t, made
        for b in pictures(rounds + 5):
            direct, want = timed(lambda: enlarge_bytes(up, b).body)
            http, r = timed(lambda: client.post(f'{url}/v1/upscale', content=b))
            assert r.content == want
            rows.append((direct, http))
    rows = rows[5:]                                                        # the first ones warm up
    direct, http = (statistics.median(c) for c in zip(*rows))
    ratios = sorted(h/d for d, h in rows)
    figures = dict(direct_ms=1000*direct, http_ms=1000*http, ratio=statistics.median(ratios), pictures_per_second=1/http)
    return {k: round(v, 3) for k, v in figures.items()}, [round(ratios[len(ratios)*k//20], 3) for k in (1, 19)]

def main(rounds, quick):
    from srgan_course.kit.results import save_result
    start = time.perf_counter()
    figures, spread = measure(10 if quick else rounds)
    print('128 x 128 x4: direct {direct_ms:.1f} ms, over HTTP {http_ms:.1f} ms, ratio {ratio:.3f}; {pictures_per_second:.1f} pictures/s'.format(**figures))
    if quick: return
    save_result(ROOT/'results'/'serve.json', 'srgan-serve over the same work called directly, 128 x 128 to 512 x 512 pixels, one client',
                figures, 'crops of chelsea (scikit-image)', rounds, protocol='PNG in, PNG out; in turns; medians; spread: 5 % and 95 % of the '
                'ratios; both with one thread', spread=dict(ratio=spread), seconds=round(time.perf_counter() - start, 1), model='light-x4')

if __name__ == '__main__': main(**vars(ap.parse_args()))
