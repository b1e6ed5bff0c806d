#!/usr/bin/env python3
"""The page that enlarges a photo in the browser: what a visitor loads, and 128 -> 512 pixels in WebAssembly against torch, one thread each.

Both in turns within one run; medians, and the least and greatest ratio of a round. Writes results/page.json.
usage: page.py [--rounds 9] [--quick]    (needs Chromium and the package playwright)
"""
import sys, tempfile, time
from pathlib import Path
from frame import ROOT, in_turns, ledger, median, parser, ratio, seconds

sys.path.insert(0, str(ROOT/'tests'))
SIDE = 128
SET_UP = '''async side => {
  const {Network} = await import('./network.js'), get = async f => (await fetch(f)).arrayBuffer();
  window.net = await Network.load(await get('light-x4.safetensors'), await get('conv.wasm'));
  window.x = Float32Array.from({length: 3*side*side}, (_, i) => (i*7919%255)/255);
}'''
ONCE = 'side => { const t = performance.now(); window.net.forward(window.x, side, side); return (performance.now() - t)/1000; }'

def in_torch():
    import torch
    from srgan_course.upscale import Upscaler
    torch.set_num_threads(1)
    up, x = Upscaler.load('light-x4', device='cpu', engine='torch'), torch.rand(1, 3, SIDE, SIDE)
    return lambda: seconds(lambda: up.forward(x))

def measure(rounds):
    import page, test_page
    from playwright.sync_api import sync_playwright
    with tempfile.TemporaryDirectory() as d, sync_playwright() as p, test_page.serve(d) as url:
        page.copy_page(d)
        weight = sum(f.stat().st_size for f in Path(d).iterdir() if f.suffix != '.c')
        browser = p.chromium.launch(executable_path=test_page.CHROMIUM, args=['--no-sandbox'])
        pg = browser.new_page()
        pg.goto(url); pg.wait_for_selector('body[data-ready]'); pg.evaluate(SET_UP, SIDE)
        rows = in_turns(dict(wasm=lambda: pg.evaluate(ONCE, SIDE), torch=in_torch()), rounds, warm=2)
        version = browser.version
        browser.close()
    return weight, version, rows

def main():
    a, start = parser(__doc__, quick=False, rounds=9).parse_args(), time.perf_counter()
    weight, version, rows = measure(2 if a.quick else a.rounds)
    s, (times, ends) = {k: median(v) for k, v in rows.items()}, ratio(rows['wasm'], rows['torch'], 2)
    print(f'{weight/1e6:.3f} MB; {SIDE} -> {4*SIDE}: WebAssembly {s["wasm"]:.3f} s, torch {s["torch"]:.3f} s, one thread each: '
          f'{times:.2f} times as long ({ends[0]:.2f} to {ends[1]:.2f})')
    if a.quick: return
    ledger('page', 'what the page that enlarges a photo weighs, and its seconds against torch on one thread',
           dict(bytes=weight, seconds=s, ratio=times, chromium=version), f'noise, {SIDE} x {SIDE}', a.rounds, start,
           spread=dict(ratio=ends), protocol='medians of rounds in turns, one thread each')

if __name__ == '__main__': main()
