"A thousand files with bad ones, several processes at one folder, runs that are told to stop: every result whole, every file accounted for."
import io, json, os, random, signal, subprocess, sys, time
from pathlib import Path
import numpy as np
import pytest
from PIL import Image
from srgan_course.kit.folders import LOG
from srgan_course.kit.shards import SHARDS, merge_logs

posix = pytest.mark.skipif(os.name == 'nt', reason='signals and pipes of Unix')
ENV = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONUTF8': '1'}

def start(*args, **kw):
    "srgan-upscale as a process of its own."
    return subprocess.Popen([sys.executable, '-m', 'srgan_course', 'upscale', *map(str, args)], env=ENV, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)

def ended(p, code=0, timeout=300):
    "What it printed, when it has ended with `code` and no traceback."
    out, err = p.communicate(timeout=timeout)
    assert p.returncode == code and 'Traceback' not in out + err, (p.returncode, out[-2000:], err[-2000:])
    return out, err

def pixels(seed, sides=(4, 24)):
    rng = np.random.default_rng(seed)
    h, w = rng.integers(*sides, 2)
    return Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8))

def encoded(img, fmt): b = io.BytesIO(); img.save(b, fmt); return b.getvalue()

def damaged(i):
    "A bad file of one of ten kinds: name, bytes."
    img, png, jpg = pixels(i), encoded(pixels(i), 'PNG'), encoded(pixels(i), 'JPEG')
    at = png.index(b'IDAT') + 8
    return [('empty.png', b''), ('text.jpg', b'no picture'), ('cut.png', png[:-30]), ('cut.jpg', jpg[:len(jpg)//2]),
            ('flipped.png', png[:at] + bytes([png[at] ^ 255]) + png[at + 1:]), ('page.webp', b'<html>404</html>'), ('zeros.bmp', bytes(200)),
            ('header.tif', encoded(img, 'TIFF')[:60]), ('film.png', b'\0\0\0\x18ftypmp42' + bytes(50)), ('cut.gif', encoded(img, 'GIF')[:40])][i%10]

def results(out): return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(Path(out).rglob('*.png')) if not p.name.startswith('.')}

def nothing_left(out):
    "No file that was being written when its process ended."
    left = [p for p in Path(out).rglob('*') if p.is_file() and p.suffix in ('.tmp', '.part')]
    assert not left, left

def whole_log(out, n):
    "Each line of the folder's log is whole, and each result has one."
    lines = [json.loads(l) for l in (out/LOG).read_bytes().splitlines()]
    assert len({l['file'] for l in lines}) == n
    return lines

def alone(up, src, out):
    "Each picture by a call of its own, into a folder laid out as that of a folder's run."
    from srgan_course.kit.folders import out_files
    names = out_files(src, src[0].parents[1], out)
    for f, o in names.items(): o.parent.mkdir(parents=True, exist_ok=True); up_file(f, o, up)
    return results(out)

def up_file(f, o, up):
    from srgan_course.upscale import upscale_file
    return upscale_file(f, o, up)

@pytest.fixture(scope='module')
def up():
    from srgan_course.upscale import Upscaler
    return Upscaler.load('light-x4', device='cpu')

def a_batch(folder, n, bad=0, sides=(4, 24)):
    "`n` files in ten folders, every so many of them bad; which these are."
    kinds, wrong = ['png', 'jpg', 'webp', 'bmp', 'tif'], []
    for i in range(n):
        d = folder/f'{i%10}'; d.mkdir(parents=True, exist_ok=True)
        if bad and i%(n//bad) == 3: name, b = damaged(i//(n//bad)); wrong.append(d/f'{i:04}-{name}')
        else: name, b = f'{i:04}.{kinds[i%5]}', encoded(pixels(i, sides), dict(jpg='JPEG', tif='TIFF').get(kinds[i%5], kinds[i%5].upper()))
        (d/(f'{i:04}-{name}' if name[:4] != f'{i:04}' else name)).write_bytes(b)
    return wrong

def check_batch(folder, up, n, bad):
    "A folder through srgan-upscale, with --json and again in words, against calls of one picture each."
    wrong = a_batch(folder/'in', n, bad)
    t = time.perf_counter()
    out, _ = ended(start(folder/'in', '--out', folder/'out', '--json'), 1, 900)
    seconds, r = time.perf_counter() - t, json.loads(out)
    assert (len(r['done']), len(r['bad']), r['kept'], r['passed']) == (n - bad, bad, [], [])
    assert sorted(b['src'] for b in r['bad']) == sorted(map(str, wrong)) and all(len(b['error']) > 20 and '\n' not in b['error'] for b in r['bad'])
    good = sorted({p for p in (folder/'in').rglob('*.*')} - {*wrong})
    assert results(folder/'out') == alone(up, good, folder/'alone') and len(good) == n - bad
    nothing_left(folder/'out'); whole_log(folder/'out', n - bad)
    times = {p: p.stat().st_mtime_ns for p in (folder/'out').rglob('*.png')}
    said, _ = ended(start(folder/'in', '--out', folder/'out'), 1)
    lines = said.strip().splitlines()
    assert lines[-bad - 1] == f'0 done, {n - bad} done before, {bad} could not be done:'
    assert all(any(str(w) in l and len(l) > len(str(w)) + 10 for l in lines[-bad:]) for w in wrong)
    assert times == {p: p.stat().st_mtime_ns for p in (folder/'out').rglob('*.png')}
    return seconds

@pytest.mark.slow
def test_a_thousand_files_with_fifty_bad_ones(tmp_path, up):
    "950 results, each to the byte that of a call by itself; fifty files named, each with what is wrong."
    check_batch(tmp_path, up, 1000, 50)

def test_forty_files_with_ten_bad_ones(tmp_path, up): check_batch(tmp_path, up, 40, 10)
