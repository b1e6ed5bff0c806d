"A thousand files with bad ones, several processes at one folder, runs that are told to stop: every result whole, every file accounted for."
import io, json, os, random, signal, subprocess, sys, time
from pathlib import Path
import numpy as np
import pytest
from PIL import Image
from srgan_course.kit.folders import LOG, out_files
from srgan_course.kit.shards import merge_logs
from srgan_course.upscale import Upscaler, upscale_file

posix = pytest.mark.skipif(os.name == 'nt', reason='signals and pipes of Unix')
ENV = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONUTF8': '1'}

def start(*args, **kw):
    "srgan-upscale as a process of its own. (A shell's background jobs ignore SIGINT, and so would their children.)"
    if os.name == 'posix': kw.setdefault('preexec_fn', lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
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

def alone(up, files, out):
    "Each picture by a call of its own, into a folder laid out as that of a folder's run."
    for f, o in out_files(files, files[0].parents[1], out).items(): o.parent.mkdir(parents=True, exist_ok=True); upscale_file(f, o, up)
    return results(out)

@pytest.fixture(scope='module')
def up(): return Upscaler.load('light-x4', device='cpu')

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

# ---- several processes at once

def a_list(folder): (folder/'list.txt').write_text(''.join(p.relative_to(folder).as_posix() + '\n' for p in sorted((folder/'in').rglob('*.*'))))

def at_one_folder(folder, up, k, n):
    "`k` processes at one folder, results in one folder; then its list, in `k` parts at once and twice as a whole."
    a_batch(folder/'in', n, sides=(16, 40)); a_list(folder)
    want = alone(up, sorted((folder/'in').rglob('*.*')), folder/'alone')
    made = []
    for p in [start(folder/'in', '--out', folder/'out', '--json') for _ in range(k)]:
        r = json.loads(ended(p)[0]); made += [d['src'] for d in r['done']]
        assert len(r['done']) + len(r['kept']) == n and r['bad'] == r['passed'] == []
    assert len(made) == len({*made}) == n, 'a picture was done twice'
    assert results(folder/'out') == want
    nothing_left(folder/'out'); whole_log(folder/'out', n)
    parts = [start('--manifest', folder/'list.txt', '--shard', f'{i}/{k}', '--out', folder/'parts', '--json') for i in range(k)]
    whole = [start('--manifest', folder/'list.txt', '--out', folder/'whole', '--json') for _ in range(k)]
    counts = lambda ps: [[json.loads(ended(p)[0])[w] for p in ps] for w in ('done', 'kept', 'bad')]
    done, kept, bad = counts(parts); assert sum(done) == n and not any(kept) and not any(bad)
    done, kept, bad = counts(whole); assert sorted(done) == [0]*(k - 1) + [n] and sorted(kept) == [0] + [n]*(k - 1) and not any(bad)
    for out in folder/'parts', folder/'whole':
        assert sorted(results(out/'in').values()) == sorted(want.values())
        nothing_left(out)
        r = merge_logs(out); assert r['pictures'] == n and not r['bad'] and not r['left']

@posix
def test_a_process_that_is_killed_gives_up_its_claim(tmp_path, up):
    "Another one leaves its picture until the end, waits for it, and does it; what a third has made meanwhile is left as it is, and said."
    a_batch(tmp_path/'in', 6, sides=(16, 40))
    names = [o.relative_to(tmp_path/'out').as_posix() for o in out_files(sorted((tmp_path/'in').rglob('*.*')), tmp_path/'in', tmp_path/'out').values()]
    (tmp_path/'out').mkdir()
    hold = ('import sys, time; from pathlib import Path; from srgan_course.kit.lists import claims\n'
            'with claims(Path(sys.argv[1])) as mine: print(*map(mine, sys.argv[2:]), flush=True); time.sleep(300)')
    held = subprocess.Popen([sys.executable, '-c', hold, tmp_path/'out', *names[:2]], env=ENV, stdout=subprocess.PIPE, text=True)
    try:
        assert held.stdout.readline().split() == ['True', 'True']
        p = start(tmp_path/'in', '--out', tmp_path/'out')
        for line in p.stderr:
            if 'waiting' in line: break
        assert line == 'srgan-upscale: waiting for 2 of another process\n' and sorted(results(tmp_path/'out')) == sorted(names[2:])
        (tmp_path/'out'/names[0]).parent.mkdir(exist_ok=True); upscale_file(sorted((tmp_path/'in').rglob('*.*'))[0], tmp_path/'out'/names[0], up)
    finally: held.kill()
    assert ended(p)[0] == '5 done, 1 done by another process\n' and sorted(results(tmp_path/'out')) == sorted(names)
    held.wait(); held.stdout.close()

def test_two_processes_at_one_folder(tmp_path, up): at_one_folder(tmp_path, up, 2, 10)

@pytest.mark.slow
def test_four_processes_at_one_folder(tmp_path, up): at_one_folder(tmp_path, up, 4, 80)

# ---- told to stop

def stopped(folder, how, sig, n, delay):
    "A run that gets a signal when `n` results are there: it says how to go on, and leaves nothing by halves."
    out = folder/how
    args = (folder/'in', '--out', out) if how == 'folder' else ('--manifest', folder/'list.txt', '--out', out)
    p = start(*args)
    while p.poll() is None and len(results(out)) < n: time.sleep(.002)
    time.sleep(delay)
    p.send_signal(sig)
    _, err = ended(p, 130)
    assert 'goes on with the rest' in err.splitlines()[-1], err
    nothing_left(out)
    return args, results(out)

def stop_and_go_on(folder, up, how, sig, times, n=30, seed=0):
    "Stopped again and again, then left alone: each start does only what is left, and no picture is blamed."
    a_batch(folder/'in', n, sides=(24, 64)); a_list(folder)
    want, rng = alone(up, sorted((folder/'in').rglob('*.*')), folder/'alone'), random.Random(seed)
    known = lambda got: all(b in want.values() for b in got.values())
    kept = {}
    for i in range(times):
        args, got = stopped(folder, how, sig, len(kept) + rng.randint(1, max(1, n//times//4)), rng.random()*.02)
        assert known(got) and all(got[k] == b for k, b in kept.items()) and len(got) < n
        kept = got
    r = json.loads(ended(start(*args, '--json'))[0])
    count = lambda v: v if isinstance(v, int) else len(v)
    assert count(r['done']) + count(r['kept']) == n and count(r['kept']) >= len(kept) - 1 and not r['bad']
    assert sorted(results(folder/how).values()) == sorted(want.values())
    nothing_left(folder/how)

@posix
@pytest.mark.parametrize('how, sig', [('folder', 'SIGTERM'), ('list', 'SIGINT')])
def test_a_stopped_run_goes_on(tmp_path, up, how, sig): stop_and_go_on(tmp_path, up, how, getattr(signal, sig), 1, 60)

@posix
@pytest.mark.slow
@pytest.mark.parametrize('sig', ['SIGTERM', 'SIGINT'])
@pytest.mark.parametrize('how', ['folder', 'list'])
def test_stopped_six_times(tmp_path, up, how, sig): stop_and_go_on(tmp_path, up, how, getattr(signal, sig), 6, 120)

def test_a_picture_in_hand_is_not_blamed(tmp_path):
    "Stopped three times at one picture, or its disk full three times: it is tried a fourth time."
    from srgan_course.kit.shards import Work, run_shard
    (tmp_path/'a.png').write_text('a'); (tmp_path/'list.txt').write_text('a.png\n')
    for why in (KeyboardInterrupt, SystemExit)*2:
        def stop(x): raise why
        with pytest.raises(why): run_shard(tmp_path/'list.txt', 0, 1, tmp_path/'out', Work('toy', bytes.decode, stop, lambda x, y: y.encode()))
    r = run_shard(tmp_path/'list.txt', 0, 1, tmp_path/'out', Work('toy', bytes.decode, str.upper, lambda x, y: y.encode()))
    assert (r['done'], r['bad'], (tmp_path/'out'/'a.png.png').read_text()) == (1, {}, 'A')
