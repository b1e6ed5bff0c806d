#!/usr/bin/env python3
"""The page that enlarges a photo in the browser: what a visitor loads, and 128 -> 512 pixels in WebAssembly against torch, one thread each.

Both in turns within one run; medians, and the least and greatest ratio of a round. Writes results/page.json.
usage: page.py [--rounds 9] [--quick]    (needs Chromium and the package playwright)
"""
import argparse, statistics, sys, tempfile, time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT/'tests'))
ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
ap.add_argument('--rounds', type=int, default=9)
ap.add_argument('--quick', action='store_true', help='two rounds; writes nothing')
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
    def once():
        t = time.perf_counter(); up.forward(x)
        return time.perf_counter() - t
    return once

def in_turns(pg, rounds):
    "Seconds of both, round by round, after two rounds to warm up."
    torch_once = in_torch()
    pg.evaluate(SET_UP, SIDE)
    return [dict(wasm=pg.evaluate(ONCE, SIDE), torch=torch_once()) for _ in range(rounds + 2)][2:]

def measure(rounds):
    import page, test_page
    from playwright.sync_api import sync_playwright
    with tempfile.TemporaryDirectory() as d, sync_playwright() as p, test_page.serve(d) as url:
        page.copy_page(d)
        weight = sum(f.stat().st_size for f in Path(d).iterdir() if f.suffix != '.c')
        browser = p.chromium.launch(executable_path=test_page.CHROMIUM, args=['--no-sandbox'])
        pg = browser.new_page()
        pg.goto(url); pg.wait_for_selector('body[data-ready]')
        rows, version = in_turns(pg, rounds), browser.version
        browser.close()
    return weight, version, rows

def main():
    a, start = ap.parse_args(), time.perf_counter()
    weight, version, rows = measure(2 if a.quick else a.rounds)
    ratios = [r['wasm']/r['torch'] for r in rows]
    s = {k: statistics.median(r[k] for r in rows) for k in ('wasm', 'torch')}
    ratio = dict(median=statistics.median(ratios), min=min(ratios), max=max(ratios))
    print(f'{weight/1e6:.3f} MB; {SIDE} -> {4*SIDE}: WebAssembly {s["wasm"]:.3f} s, torch {s["torch"]:.3f} s, one thread each: '
          f'{ratio["median"]:.2f} times as long ({ratio["min"]:.2f} to {ratio["max"]:.2f})')
    if a.quick: return
    from srgan_course.metrics import save_result
    save_result(ROOT/'results'/'page.json', 'what the page that enlarges a photo weighs, and its seconds against torch on one thread',
                dict(bytes=weight, seconds={k: round(v, 3) for k, v in s.items()}, ratio=round(ratio['median'], 2), chromium=version),
                spread=dict(ratio=[round(ratio['min'], 2), round(ratio['max'], 2)]), data=f'noise, {SIDE} x {SIDE}', n=len(rows), seed=None,
                protocol='medians of rounds in turns, one thread each', seconds=round(time.perf_counter() - start, 1))

if __name__ == '__main__': main()
