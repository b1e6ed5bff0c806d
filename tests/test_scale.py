"Shards of a list as real processes: killed workers, a killed driver, pictures that kill; every result once, and the bytes of one process."
import contextlib, io, json, os, re, shutil, signal, subprocess, sys, tarfile, time
from pathlib import Path
from types import SimpleNamespace
import pytest
from PIL import Image
from conftest import script
from scale_toy import toy_work
from srgan_course.kit.lists import SHARDS, keep_plan, read_events, shard_lines
from srgan_course.kit.shards import counts_of, merge_logs, run_shard, shards_report, upscale_list, upscale_work
from srgan_course.upscale import Upscaler

HERE = Path(__file__).parent
ENV = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONUTF8': '1', 'PYTHONPATH': f'{HERE}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'}

def a_list(folder, n, bad=()):
    folder.mkdir()
    for i in range(n): (folder/f'{i:03}.png').write_text(f'KILL {i}' if i in bad else f'picture {i}')
    (folder.parent/'list.txt').write_text(''.join(f'{folder.name}/{i:03}.png\n' for i in range(n)))
    return folder.parent/'list.txt'

def results(out): return {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob('*')) if p.is_file() and SHARDS not in p.parts}

def a_shard(manifest, out, i=0, n=1, *work):
    "One shard in a process of its own."
    code = f'from scale_toy import toy_work; from srgan_course.kit.shards import run_shard; run_shard({str(manifest)!r}, {i}, {n}, {str(out)!r}, toy_work(*{work!r}))'
    return subprocess.Popen([sys.executable, '-c', code], env=ENV, cwd=HERE)

def wait_for(what, seconds=120):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, 'it did not come'
        time.sleep(.01)

def test_a_killed_shard_goes_on(tmp_path):
    "SIGKILL in the middle; the second process does what is left, and at most the three pictures in hand again."
    manifest, mark = a_list(tmp_path/'in', 40), tmp_path/'mark'
    run_shard(manifest, 0, 1, tmp_path/'want', toy_work())
    p = a_shard(manifest, tmp_path/'out', 0, 1, .02, str(mark))
    wait_for(lambda: mark.exists() and len(mark.read_text()) >= 15)
    p.kill(); p.wait(30)
    half = results(tmp_path/'out')
    assert 12 <= len(half) < 40
    r = run_shard(manifest, 0, 1, tmp_path/'out', toy_work(0., str(mark)))
    assert r['done'] + r['kept'] == 40 and r['kept'] >= len(half) - 1 and not r['bad']
    assert results(tmp_path/'out') == results(tmp_path/'want') and 40 <= len(mark.read_text()) <= 43
    times = {q: q.stat().st_mtime_ns for q in (tmp_path/'out').rglob('*.png')}
    assert run_shard(manifest, 0, 1, tmp_path/'out', toy_work(0., str(mark)))['kept'] == 40
    assert times == {q: q.stat().st_mtime_ns for q in times} and len(mark.read_text()) <= 43

def test_pictures_that_kill_cost_only_themselves(tmp_path):
    "Two of twelve end the process. Each does so three times; then all the others are done, and nobody else is blamed."
    manifest, starts = a_list(tmp_path/'in', 12, bad=(4, 5)), 0
    while a_shard(manifest, tmp_path/'out').wait(60): starts += 1; assert starts <= 6
    r = merge_logs(tmp_path/'out')
    assert starts == 6 and [*r['bad']] == ['in/004.png', 'in/005.png'] and r['pictures'] == 10 and not r['left']
    assert set(r['bad'].values()) == {'the process died each time'}
    assert len(results(tmp_path/'out')) == 10

def test_what_is_written_by_halves_is_passed_over(tmp_path):
    "A log that was cut at any byte: no result is lost, and none is believed that is not there."
    manifest = a_list(tmp_path/'in', 3); run_shard(manifest, 0, 1, tmp_path/'out', toy_work())
    log = tmp_path/'out'/SHARDS/'000000.jsonl'; whole, want = log.read_bytes(), results(tmp_path/'out')
    for cut in range(0, len(whole), 23):
        log.write_bytes(whole[:cut])
        r = run_shard(manifest, 0, 1, tmp_path/'out', toy_work())
        assert r['done'] + r['kept'] == 3 and results(tmp_path/'out') == want
        assert [e['done'] for e in read_events(log) if 'done' in e][-r['done']:] or not r['done']
    (tmp_path/'out'/'in'/'001.png.png').unlink(); (tmp_path/'out'/'in'/'002.png.png').write_text('half')
    assert run_shard(manifest, 0, 1, tmp_path/'out', toy_work())['done'] == 2 and results(tmp_path/'out') == want

def test_a_full_disk_blames_no_picture(tmp_path, monkeypatch):
    "What is wrong with the disk ends the shard; the next start does it."
    from srgan_course.kit import shards
    manifest = a_list(tmp_path/'in', 3)
    def full(*_): raise OSError(28, 'No space left on device')
    monkeypatch.setattr(shards, 'write_whole', full)
    with pytest.raises(OSError, match='No space'): run_shard(manifest, 0, 1, tmp_path/'out', toy_work())
    monkeypatch.undo()
    for _ in range(2): r = run_shard(manifest, 0, 1, tmp_path/'out', toy_work())
    assert r['kept'] == 3 and not merge_logs(tmp_path/'out')['bad']

def test_a_million_lines_are_read_in_parts(tmp_path):
    "Part 777 of 1000 of a long list: no time for the rest, and nothing between two parts is lost."
    with open(tmp_path/'list.txt', 'w') as f: f.writelines(f'folder/{i:07}.jpg\n' for i in range(10**6))
    start = time.perf_counter(); part = [*shard_lines(tmp_path/'list.txt', 777, 1000)]
    assert part == [f'folder/{i:07}.jpg' for i in range(777000, 778000)] and time.perf_counter() - start < 1

@pytest.fixture
def photos(tmp_path):
    (tmp_path/'photos'/'sub').mkdir(parents=True)
    for i in range(6):
        img = Image.effect_mandelbrot((24 + i, 16), (-2, -1.2, 1, 1.2), 60).convert('RGB')
        img.save(tmp_path/'photos'/('sub' if i % 2 else '.')/f'{i}.png')
    (tmp_path/'list.txt').write_text(''.join(f'photos/{"sub/" if i % 2 else ""}{i}.png\n' for i in range(6)))
    return tmp_path

def test_commands(photos, capsys):
    "Parts of a list by srgan-upscale, the pixels of a folder; the report; what is refused."
    from srgan_course import cli, deploy
    from srgan_course.kit.codec import open_image
    (photos/'photos'/'bad.png').write_bytes(b'no picture'); (photos/'list.txt').open('a').write('photos/bad.png\n')
    assert [cli.upscale(manifest=photos/'list.txt', shard=f'{i}/3', out=photos/'out') for i in range(3)] == [None]*3     # bad ones end in 0
    said = capsys.readouterr(); assert '3 done, 0 done before' in said.out and 'photos/bad.png is left out' in said.err
    cli.upscale(photos/'photos', out=photos/'folder', json=True)
    for i in range(6):
        sub = 'sub/' if i % 2 else ''
        a, b = open_image(photos/'out'/'photos'/f'{sub}{i}.png.png'), open_image(photos/'folder'/f'{sub}{i}-x4.png')
        assert a.size == (4*(24 + i), 64) and a.tobytes() == b.tobytes()
    capsys.readouterr()
    assert deploy.scale(photos/'photos', out=photos/'out', report=True, price=3600, json=True) == 1
    r = json.loads(capsys.readouterr().out); assert r['pictures'] == 6 and r['cost'] > 0 and [*r['bad']] == ['photos/bad.png']
    for kw, said in ((dict(shard='0/2'), 'give the list with --manifest'), (dict(manifest=photos/'list.txt'), 'give --out'),
                     (dict(manifest=photos/'list.txt', shard='3/3', out=photos/'out'), 'not I/N'),
                     (dict(manifest=photos/'list.txt', shard='0/2', out=photos/'out'), 'begun with shards 3, and this is shards 2'),
                     (dict(manifest=photos/'list.txt', shard='0/3', out=photos/'out', model='light-x2'), 'light-x2')):
        with pytest.raises(ValueError, match=said): cli.upscale(**kw)
    with pytest.raises(ValueError, match='give one of them'): cli.upscale(photos/'photos', manifest=photos/'list.txt', out=photos/'out')

def test_help_of_scale():
    code = """import sys; sys.argv = ['srgan-scale', '--help']
from srgan_course import deploy
from fastcore.script import anno_parser
print(anno_parser(deploy.scale.__wrapped__).format_help()); print([m for m in ('torch', 'distributed', 'PIL', 'numpy') if m in sys.modules])"""
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env=ENV)
    assert r.returncode == 0 and r.stdout.strip().endswith('[]'), r.stdout[-200:] + r.stderr
    for o in 'out model tile device shards workers scheduler report price json'.split(): assert f'--{o} ' in r.stdout.replace('\n', ' '), o

def test_without_dask_it_says_what_to_do(photos, monkeypatch):
    from srgan_course import deploy, scale
    monkeypatch.setattr(scale, 'find_spec', lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"srgan_course\[scale\]'. Without it, srgan-upscale --manifest FILE"):
        deploy.scale(photos/'photos', out=photos/'out')

def drive(manifest, out, n, *work, workers=2):
    "srgan-scale with the toy, in a process of its own."
    code = f"""if __name__ == '__main__':
    from scale_toy import toy_work
    from srgan_course.scale import scale_out
    r = scale_out({str(manifest)!r}, {str(out)!r}, toy_work, {work!r}, {n}, {workers}, told=lambda k, n, r: print(k, flush=True))
    print(r)
"""
    (file := Path(out).parent/f'drive_{time.monotonic_ns()}.py').write_text(code)
    return subprocess.Popen([sys.executable, file], env=ENV, cwd=HERE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

def children(pid):
    import psutil
    return [c for c in psutil.Process(pid).children(recursive=True) if 'spawn_main' in ' '.join(c.cmdline())]

def test_as_many_workers_as_were_asked_for():
    pytest.importorskip('distributed')
    from srgan_course.scale import open_client
    for n in 1, 3:
        with open_client(n) as client:
            client.wait_for_workers(n, timeout=60)
            assert len(client.cluster.workers) == n and [*client.nthreads().values()] == [1]*n
            client.cluster.close()

@pytest.mark.slow
@pytest.mark.skipif(os.name == 'nt', reason='SIGKILL')
def test_dask_loses_workers_and_the_driver(tmp_path):
    "A worker is killed, then the driver; the next start ends with every result once, the bytes of one process, and nothing to do."
    pytest.importorskip('distributed')
    import psutil
    manifest, mark = a_list(tmp_path/'in', 120), tmp_path/'mark'
    run_shard(manifest, 0, 1, tmp_path/'want', toy_work())
    p, done = drive(manifest, tmp_path/'out', 24, .1, str(mark)), lambda: len(mark.read_text()) if mark.exists() else 0
    wait_for(lambda: done() >= 20)
    victim = next(c for c in children(p.pid) if c.pid in {e['pid'] for f in (tmp_path/'out'/SHARDS).glob('*.jsonl') for e in read_events(f) if 'start' in e})
    victim.kill()
    now = done(); wait_for(lambda: done() >= now + 20)
    rest = children(p.pid)
    p.send_signal(signal.SIGKILL); p.wait(30)
    psutil.wait_procs(rest, 30)
    assert not [c for c in rest if c.is_running() and c.status() != 'zombie'], 'a worker outlives its driver'
    assert len(results(tmp_path/'out')) < 120
    p = drive(manifest, tmp_path/'out', 24, 0., str(mark)); assert p.wait(200) == 0, p.stderr.read()
    assert results(tmp_path/'out') == results(tmp_path/'want') and done() <= 120 + 3*3
    r = merge_logs(tmp_path/'out'); assert r['pictures'] == 120 and not r['bad'] and not r['left']
    before = done(), {q: q.stat().st_mtime_ns for q in (tmp_path/'out').rglob('*.png')}
    p = drive(manifest, tmp_path/'out', 24, 0., str(mark)); assert p.wait(200) == 0
    assert before == (done(), {q: q.stat().st_mtime_ns for q in before[1]})

@pytest.mark.slow
def test_dask_survives_pictures_that_kill(tmp_path):
    pytest.importorskip('distributed')
    manifest = a_list(tmp_path/'in', 30, bad=(7, 21))
    p = drive(manifest, tmp_path/'out', 6); assert p.wait(300) == 0, p.stderr.read()
    r = merge_logs(tmp_path/'out')
    assert [*r['bad']] == ['in/007.png', 'in/021.png'] and r['pictures'] == 28 and not r['left']

@pytest.mark.slow
def test_the_drivers_memory_is_flat():
    "20,000 shards in which nothing is computed, after 2,000: the driver needs no more than a tenth more memory."
    pytest.importorskip('distributed')
    f = script('scale').driver(20_000)
    assert f['shards'] == 20_000 and f['megabytes_at_end'] <= 1.1*f['megabytes_at_a_tenth'], f

def test_ctrl_c_in_a_terminal_is_one_line(tmp_path):
    "A terminal sends it to the workers, too, and each of them printed two tracebacks."
    pytest.importorskip('distributed')
    (tmp_path/'in').mkdir()
    for i in range(60): Image.new('RGB', (240, 180), (4*i, 90, 30)).save(tmp_path/'in'/f'{i:02}.png')
    args = ['scale', 'in', '--out', 'out', '--model', 'light-x2', '--device', 'cpu', '--workers', '2', '--shards', '20']
    p = subprocess.Popen([sys.executable, '-m', 'srgan_course', *args], env=ENV, cwd=tmp_path, stderr=subprocess.PIPE, text=True,
                         start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))     # see test_batches
    first = p.stderr.readline()                                    # a shard is done: all workers are there
    os.killpg(p.pid, signal.SIGINT)
    said = p.communicate(timeout=120)[1]
    assert p.returncode == 130 and 'shard' in first and 'Traceback' not in said and said.rstrip().endswith('srgan-scale: stopped.'), said

@pytest.mark.skipif(os.name == 'nt', reason='Windows has no signal masks')
def test_workers_do_not_hear_ctrl_c_from_their_first_moment():
    "They inherit a mask: before Dask has given them its plugin, too. Who started them hears it as before."
    pytest.importorskip('distributed')
    from srgan_course.scale import open_client
    with open_client(1) as client:
        masks = client.run(lambda: signal.pthread_sigmask(signal.SIG_BLOCK, []))
        client.cluster.close()
    assert [*masks.values()] == [{signal.SIGINT}] and not signal.pthread_sigmask(signal.SIG_BLOCK, [])

@pytest.mark.slow
def test_the_engines_share():
    """Shards of five seconds, all asleep: at most a twentieth of the workers' time is no picture's. It is time on the wall, which a busy machine
    stretches: run it on a quiet one."""
    pytest.importorskip('distributed')
    f = script('scale').engine(8)
    assert f['engines_share'] <= .05, f

@pytest.mark.parametrize('lines, says', [(['q', 'q.png'], 'where results go'), (['t.tar'], 'where results go'),
                                         (['{}/q', '{0}/q.png'], 'where results go'), (['{}/q', '{1}/q'], 'both become')])
def test_no_result_lands_on_a_picture_or_on_another_result(tmp_path, lines, says):
    root, out = tmp_path/'in', tmp_path/'out'
    root.mkdir(); twin = str(root).lstrip('/'); (root/twin).mkdir(parents=True)
    for f in root/'q', root/'q.png', root/'t.tar', root/twin/'q': f.write_bytes(b'x')
    lines = [l.format(root, twin) for l in lines] if 'become' in says else [l.format(root) if '{0' not in l else str(root/'q.png')
        for l in lines]
    (root/'list.txt').write_text('\n'.join(lines) + '\n')
    with pytest.raises(ValueError, match=says): run_shard(root/'list.txt', 0, 1, out if 'become' in says else root, toy_work())
    assert (root/'q').read_bytes() == (root/'q.png').read_bytes() == (root/'t.tar').read_bytes() == b'x'
    assert not (root/SHARDS).exists() and not out.exists()

def a_tar(path, *members): # (name, bytes, or type and target)
    with tarfile.open(path, 'w') as t:
        for name, body in members:
            m = tarfile.TarInfo(name)
            if isinstance(body, bytes): m.size = len(body); t.addfile(m, io.BytesIO(body))
            else: m.type, m.linkname = body; t.addfile(m)

def in_tar(path):
    with tarfile.open(path) as t: return [(m.name, t.extractfile(m).read().decode()) for m in t]

def test_two_of_one_name_and_links_in_a_tar(tmp_path):
    "The last of two is taken, as after unpacking; a hard link is read; the rest is told, also at a later start and in the report."
    a_tar(tmp_path/'t.tar', ('x.png', b'old'), ('y.png', (tarfile.LNKTYPE, 'x.png')), ('z.png', (tarfile.SYMTYPE, 'x.png')), ('x.png', b'new'),
          ('X.png', b'other'), ('../o.png', b'outside'))
    (tmp_path/'list.txt').write_text('t.tar\n')
    want = {'t.tar/x.png': 'an older one of the same name; the last is taken', 't.tar/z.png': 'a symbolic link',
            't.tar/../o.png': 'a name that leaves the folder'}
    for _ in range(2):
        r = run_shard(tmp_path/'list.txt', 0, 1, tmp_path/'out', toy_work())
        assert (r['done'] + r['kept'], r['bad'], r['passed']) == (1, {}, want)
    want_in = [('y.png.png', 'old'), ('x.png.png', 'new'), ('X.png.png', 'other')]
    assert [(n, 'old' if 'OLD' in b.upper() else 'new' if 'NEW' in b.upper() else 'other') for n, b in in_tar(tmp_path/'out'/'t.tar')] == want_in
    assert merge_logs(tmp_path/'out')['passed'] == want

def test_what_is_to_be_known_of_results_is_said_at_each_start(tmp_path, capsys):
    "A film of which one frame is enlarged, loose or in a tar, and a picture of a tar that could not be done: in text, JSON and report."
    frames = [Image.new('RGB', (9, 7), (60*i, 0, 0)) for i in range(4)]
    frames[0].save(tmp_path/'film.gif', save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path/'a.png', icc_profile=b'no profile')
    a_tar(tmp_path/'t.tar', ('in/film.gif', (tmp_path/'film.gif').read_bytes()), ('bad.png', b'x'), ('a.png', (tmp_path/'a.png').read_bytes()))
    (tmp_path/'list.txt').write_text('film.gif\na.png\nt.tar\n')
    said = dict.fromkeys(('film.gif', 't.tar/in/film.gif'), 'the first of 4 frames or pages alone')
    said |= dict.fromkeys(('a.png', 't.tar/a.png'), 'its colour profile is damaged (left out)')
    for kept in 0, 3:
        r = run_shard(tmp_path/'list.txt', 0, 1, tmp_path/'out', upscale_work(Upscaler.load('light-x2')))
        assert (r['kept'], r['said'], [*r['bad']]) == (kept, said, ['t.tar/bad.png'])
        assert upscale_list((), tmp_path/'list.txt', None, tmp_path/'out', lambda: Upscaler.load('light-x2'), None, False, False) == 1
        err = capsys.readouterr().err
        assert 'the first of 4 frames or pages alone: film.gif, t.tar/in/film.gif' in err and 't.tar/bad.png is left out' in err
    r = merge_logs(tmp_path/'out')
    assert (r['said'], [*r['bad']]) == (said, ['t.tar/bad.png']) and 'frames or pages alone: film.gif, t.tar/in/film.gif' in shards_report(r)

def test_a_tar_is_counted_by_its_pictures(tmp_path):
    "A line of a list may stand for many; a bad one, and what is no picture, do not count."
    for p in 'ab': (tmp_path/f'{p}.png').write_bytes(b'x')
    a_tar(tmp_path/'t.tar', *((f'{i}.png', b'x') for i in range(12)), ('bad.png', b''), ('note.txt', b'x'))
    work = toy_work()
    def read(body):
        if not body: raise ValueError('the file is empty')
        return work.read(body)
    (tmp_path/'list.txt').write_text('a.png\nt.tar\nb.png\n')
    r = run_shard(tmp_path/'list.txt', 0, 1, tmp_path/'out', work._replace(read=read))
    assert (r['done'], r['pictures'], counts_of(r)) == (3, 14, '3 done (14 pictures), 0 done before, 1 left out')
    r = run_shard(tmp_path/'list.txt', 0, 1, tmp_path/'out', work)
    assert (r['pictures'], counts_of(r)) == (0, '0 done, 3 done before, 1 left out')

def test_a_tar_that_changes_while_it_is_at_work(tmp_path):
    "The log took the results of the old one for the new one's; and of a part of each, had it been written over in place."
    a_tar(tmp_path/'t.tar', ('x.png', b'old')); (tmp_path/'list.txt').write_text('t.tar\n')
    work = toy_work()
    def read(body):
        if body == b'old': a_tar(tmp_path/'new.tar', ('x.png', b'newer')); os.replace(tmp_path/'new.tar', tmp_path/'t.tar')
        return work.read(body)
    r = run_shard(tmp_path/'list.txt', 0, 1, tmp_path/'out', work._replace(read=read))
    assert (r['done'], r['bad']) == (1, {}) and b'newer' in in_tar(tmp_path/'out'/'t.tar')[0][1].lower().encode()
    assert run_shard(tmp_path/'list.txt', 0, 1, tmp_path/'out', work)['kept'] == 1

def test_lines_that_are_no_picture(tmp_path):
    "A pipe would be waited for, for ever; a folder named .tar ended the shard. Each costs only itself, with its reason."
    (tmp_path/'a.png').write_text('a'); (tmp_path/'sub').mkdir(); (tmp_path/'d.tar').mkdir(); (tmp_path/'p.tar.gz').write_bytes(b'\x1f\x8b')
    (tmp_path/'gz.tar').write_bytes(b'\x1f\x8b' + bytes(2000)); (tmp_path/'two.tar').touch()
    a_tar(tmp_path/'two.tar', ('x.png', b'x')); (tmp_path/'two.tar').write_bytes((tmp_path/'two.tar').read_bytes()*2)
    lines = ['a.png', 'sub', 'd.tar', 'p.tar.gz', 'gz.tar', 'two.tar', 'https://example.org/a.png']
    if hasattr(os, 'mkfifo'):
        for n in 'f.png', 'f.tar': os.mkfifo(tmp_path/n); lines.append(n)
    (tmp_path/'list.txt').write_bytes(b'\xef\xbb\xbf' + '\r\n'.join(lines).encode())
    r = run_shard(tmp_path/'list.txt', 0, 1, tmp_path/'out', toy_work())
    says = dict(zip(lines[1:], ['a folder; list', 'a folder; list', 'unpack it first', 'compressed (gzip); unpack', 'something else follows', 'an address',
                                *['a pipe or a device']*2]))
    assert r['done'] == 1 and set(r['bad']) == set(lines[1:]) and all(says[k] in v for k, v in r['bad'].items()), r['bad']

def test_results_of_a_list_are_not_enlarged_again(photos, capsys):
    from srgan_course import cli
    from srgan_course.kit.lists import list_once
    cli.upscale(manifest=photos/'list.txt', out=photos/'photos'/'large'); capsys.readouterr()
    cli.upscale(photos/'photos', out=photos/'res', json=True)
    r = json.loads(capsys.readouterr().out)
    assert len(r['done']) == 6 and {p['why'] for p in r['passed']} == {'a result of an earlier run'} and len(r['passed']) == 6
    manifest, _, _ = list_once(photos/'photos', photos/'other')
    assert len(manifest.read_text().splitlines()) == 6

@pytest.mark.parametrize('options, says', [
    (dict(shards=-1), 'shards is -1; give a number from 1'), (dict(shards=0), 'shards is 0'), (dict(workers=0), 'workers is 0; give a number'),
    (dict(price=float('nan')), 'price is nan; give a number from 0'), (dict(price=-1.), 'price is -1'), (dict(tile=0), 'tile is 0'),
    (dict(out='photos'), 'no picture in .*where results go; give another --out'), (dict(src='empty'), 'no picture in'),
    (dict(src='no.txt'), 'names no picture'), (dict(src='p.png'), 'is not a list'), (dict(src='none'), 'no such folder or list')])
def test_bad_options_of_scale(photos, options, says, monkeypatch):
    from srgan_course import deploy
    monkeypatch.chdir(photos); Path('empty').mkdir(); Path('no.txt').write_text('\n\n'); Image.new('L', (9, 9)).save('p.png')
    options = dict(src='photos', out='out') | options
    src, out = Path(options.pop('src')), Path(options.pop('out'))
    with pytest.raises((ValueError, OSError), match=says): deploy.scale(src, out=out, **options)

@pytest.mark.parametrize('options, says', [
    (dict(tile=0), 'tile is 0'), (dict(tile=-5), 'tile is -5'), (dict(model='dcgan-cats'), 'dcgan-cats'), (dict(model='none'), 'none'),
    (dict(device='warp'), 'warp'), (dict(manifest='p.png'), 'is not a list: a picture'), (dict(manifest='photos'), 'is a folder'),
    (dict(manifest='u16.txt'), 'text as UTF-16')])
def test_bad_options_of_a_list(photos, options, says, monkeypatch):
    "An option that is wrong is said once, and no picture is tried."
    from srgan_course import cli
    monkeypatch.chdir(photos); Image.new('L', (9, 9)).save('p.png'); Path('u16.txt').write_text('photos/0.png\n', encoding='utf-16')
    options = dict(manifest='list.txt') | options
    with pytest.raises((ValueError, OSError), match=says): cli.upscale(manifest=Path(options.pop('manifest')), out=Path('o'), **options)
    assert not list(Path('.').rglob('*.jsonl'))

def test_a_name_with_an_escape_is_not_obeyed(tmp_path):
    "A file's name that clears the terminal, or turns its line around, is printed with its letters' numbers, by say and by print alike."
    names = ['a\x1b[2J.png', 'b\u202egnp.exe']
    (tmp_path/'list.txt').write_text('\n'.join(names) + '\n', encoding='utf-8')
    for command, args in ('upscale', [tmp_path/names[0]]), ('upscale', ['--manifest', tmp_path/'list.txt', '--out', tmp_path/'o']), \
            ('scale', [tmp_path/'x', '--out', tmp_path/'o', '--report']):
        r = subprocess.run([sys.executable, '-m', 'srgan_course', command, *map(str, args)], capture_output=True, env=ENV)
        assert b'\x1b' not in r.stdout + r.stderr and '\u202e'.encode() not in r.stdout + r.stderr
        assert rb'a\x1b[2J.png' in r.stdout + r.stderr, r.stderr

# ---- nothing could be done, nothing to do

NOTHING = { # what is listed -> what is said of it
    'missing': ('x.png\ny.png\n', 'No such file'), 'broken': ('bad/a.png\nbad/b.png\n', 'not a picture'), 'an empty tar': ('none.tar\n', 'no file in it'),
    'a tar of labels': ('label.tar\n', 'no picture in it'), 'a tar of broken pictures': ('bad.tar\n', 'none of its 2 pictures'),
    'a file of no bytes': ('zero.tar\n', 'the file is empty')}

@pytest.fixture
def bad_ones(tmp_path):
    (tmp_path/'bad').mkdir()
    for n in 'ab': (tmp_path/'bad'/f'{n}.png').write_bytes(b'no picture')
    (tmp_path/'zero.tar').touch(); a_tar(tmp_path/'none.tar'); a_tar(tmp_path/'label.tar', ('a.txt', b'cat'))
    a_tar(tmp_path/'bad.tar', ('a.png', b'no'), ('b.png', b'no'), ('a.txt', b'cat'))
    Image.new('RGB', (8, 6), 'red').save(tmp_path/'good.png')
    return tmp_path

@pytest.mark.parametrize('what', NOTHING)
def test_nothing_could_be_done(bad_ones, what, capsys):
    "It ends with 2, as one bad picture alone does; again and again, in text, in JSON and in the report. With one that is done, or was done before, it is 1, and 0 of a part."
    from srgan_course import cli, deploy
    lines, says = NOTHING[what]; (bad_ones/'list.txt').write_text(lines)
    for json_too in False, True, False:
        assert cli.upscale(manifest=bad_ones/'list.txt', out=bad_ones/'out', json=json_too) == 2
        said = capsys.readouterr()
        if json_too: assert json.loads(said.out)['done'] == 0 and says in said.out; continue
        assert '0 done, 0 done before, ' in said.out and ' left out' in said.out and says in said.err
    assert deploy.scale(bad_ones/'list.txt', out=bad_ones/'out', report=True) == 2 and says in capsys.readouterr().out and not results(bad_ones/'out')
    (bad_ones/'list.txt').write_text(lines + 'good.png\n')
    assert [cli.upscale(manifest=bad_ones/'list.txt', out=bad_ones/'more') for _ in range(2)] == [1, 1]                     # done, and done before
    assert cli.upscale(manifest=bad_ones/'list.txt', out=bad_ones/'more', shard='0/1') is None                              # a scheduler would start it again
    assert deploy.scale(bad_ones/'list.txt', out=bad_ones/'more', report=True) == 1                                         # the report knows of all

def test_nothing_of_a_folder_or_of_several_could_be_done(bad_ones, capsys):
    from srgan_course import cli
    a, b = (bad_ones/'bad'/f'{n}.png' for n in 'ab')
    assert cli.upscale(bad_ones/'bad') == cli.upscale(a, b) == cli.upscale(bad_ones/'bad', a, json=True) == 2
    assert cli.upscale(a, bad_ones/'good.png') == 1
    shutil.copy(bad_ones/'good.png', bad_ones/'bad'); assert [cli.upscale(bad_ones/'bad') for _ in range(2)] == [1, 1]

@pytest.mark.parametrize('src, says', [('empty', 'it is empty'), ('empty.txt', 'names no picture (the file is empty)'),
    ('notes.txt', 'names no picture (blank lines and comments alone)'), ('t.tar', 'is a tar file; give a list that names it'),
    ('links', 'it holds a link to nothing: gone.png, me.png; a link to a folder, give that folder itself: out')])
def test_nothing_to_do_is_one_line_and_2(tmp_path, src, says):
    "From the command line, by srgan-scale and by srgan-upscale; no folder is made."
    if src == 'links' and os.name == 'nt': pytest.skip('links')
    (tmp_path/'empty').mkdir(); (tmp_path/'empty.txt').touch(); (tmp_path/'notes.txt').write_text('# of June\n\n  # more\n'); a_tar(tmp_path/'t.tar')
    if src == 'links':
        (tmp_path/'links').mkdir()
        for n, to in dict(gone='nope', me='me.png').items(): (tmp_path/'links'/f'{n}.png').symlink_to(to)
        (tmp_path/'links'/'out').symlink_to('../empty')
    a = ['--manifest'] if src.endswith('.txt') or src == 't.tar' else []
    for args in ['scale', src, '--out', 'o'], ['upscale', *a, src, '--out', 'o']:
        r = subprocess.run([sys.executable, '-m', 'srgan_course', *args], capture_output=True, text=True, env=ENV, cwd=tmp_path)
        assert (r.returncode, r.stdout, r.stderr.count('\n')) == (2, '', 1) and says in r.stderr, r.stderr
    assert not (tmp_path/'o').exists()

def test_a_comment_is_said_to_be_one(bad_ones):
    (bad_ones/'list.txt').write_text('# good ones\ngood.png\n#1.png\n'); shutil.copy(bad_ones/'good.png', bad_ones/'#1.png')
    r = run_shard(bad_ones/'list.txt', 0, 1, bad_ones/'out', toy_work()._replace(read=len, make=str))
    assert r['done'] == 2 and r['bad'] == {'# good ones': 'a comment, and no file of that name; a list holds paths alone'}

def test_one_picture_written_in_two_ways_is_done_once(bad_ones):
    (bad_ones/'list.txt').write_text('good.png\n./good.png\nbad/../good.png\n')
    r = run_shard(bad_ones/'list.txt', 0, 1, bad_ones/'out', toy_work()._replace(read=len, make=str))
    assert (r['done'], [*results(bad_ones/'out')], merge_logs(bad_ones/'out')['pictures']) == (1, ['good.png.png'], 1)

@pytest.mark.parametrize('n', [1, 2, 5, 40])
def test_no_picture_is_in_two_shards(photos, n, capsys):
    "However it is spelt, and whichever shard is first; the lines that name it again are counted and named by the shards and by the report."
    from srgan_course import cli, deploy
    lines = ['photos/0.png', 'photos/sub/1.png', './photos/0.png', 'photos/2.png', 'photos/sub/../0.png', f'{photos.resolve()}/photos/2.png', 'photos/0.png']
    (photos/'list.txt').write_text('\n'.join(lines)); seen = []
    work = toy_work()._replace(read=lambda body: seen.append(body), make=str)
    rs = [run_shard(photos/'list.txt', i, n, photos/'out', work) for i in reversed(range(n))]
    assert sum(r['done'] for r in rs) == 3 == len(seen) == len({*seen}) and sum((r['again'] for r in reversed(rs)), []) == [*lines[2:3], *lines[4:]]
    assert deploy.scale(photos/'list.txt', out=photos/'out', report=True) == 0
    said = '4 lines name a picture again, which is done once: ./photos/0.png, photos/sub/../0.png, '
    assert said in capsys.readouterr().out and len(results(photos/'out')) == 3
    if n == 1: cli.upscale(manifest=photos/'list.txt', out=photos/'big'); assert f'srgan-upscale: {said}' in capsys.readouterr().err

def test_a_run_of_an_older_plan_goes_on(photos):
    "Its plan does not say which lines name a picture again: that is added, and nothing else is changed. A list that was changed under the plan loses no line."
    (photos/'list.txt').write_text('photos/0.png\nphotos/2.png\nphotos/0.png\n'); work = toy_work()._replace(read=len, make=str)
    run_shard(photos/'list.txt', 0, 1, photos/'out', work); plan = photos/'out'/SHARDS/'plan.json'; new = json.loads(plan.read_text())
    assert new['again'] == {'26': 'photos/0.png'}
    plan.write_text(json.dumps({k: v for k, v in new.items() if k != 'again'}))
    assert run_shard(photos/'list.txt', 0, 1, photos/'out', work)['kept'] == 2 and json.loads(plan.read_text()) == new
    (photos/'list.txt').write_text('photos/0.png\nphotos/2.png\nphotos/4.png\n')
    assert run_shard(photos/'list.txt', 0, 1, photos/'out', work)['done'] == 1

def test_a_name_with_a_line_feed_stays_on_its_line(bad_ones, capsys, monkeypatch):
    "Of a folder, of a tar file, given singly, as result: whatever is said of it is one line, in which the line feed is a letter."
    from srgan_course import classifier, cli, deploy
    from srgan_course.kit import classifiers
    odd = 'a\nSPLIT\tb\r'; d = bad_ones/f'd{odd}'; d.mkdir()
    for n in 'good', 'cut': shutil.copy(bad_ones/'good.png', d/f'{n}{odd}.png')
    os.truncate(d/f'cut{odd}.png', 20); (d/f'{odd}.txt').touch(); film = [Image.new('P', (9, 9), i) for i in range(2)]
    film[0].save(d/f'{odd}.gif', save_all=True, append_images=film[1:])
    body = (bad_ones/'good.png').read_bytes()
    a_tar(bad_ones/'t.tar', (f'{odd}.png', body), (f'{odd}.png', body), ('../x.png', body), (f'bad{odd}.png', b'no'))
    (bad_ones/'list.txt').write_text('t.tar\n')
    assert cli.upscale(d) == 1 and cli.upscale(d/f'good{odd}.png', d/f'cut{odd}.png', out=bad_ones/f'to{odd}') == 1
    cli.upscale(manifest=bad_ones/'list.txt', out=bad_ones/'out'); deploy.scale(bad_ones/'list.txt', out=bad_ones/'out', report=True)
    row = {'file': odd, 'class': 'cat', 'probability': .5}
    monkeypatch.setattr(classifier, 'load_classifier', id); monkeypatch.setattr(classifiers, 'classify_files', lambda *a: ([row], []))
    cli.classify(d/f'good{odd}.png')
    from srgan_course.kit.inspect import report_text
    print(report_text(dict(pictures=1, training=1, held_out=0, sizes=None, unreadable={odd: 'no'}, too_small=[odd], transparent=[], duplicates=[[odd]*2],
                           near_duplicates=[], leaks=[])))
    said = capsys.readouterr(); lines = re.split('[\r\n]', said.out + said.err)
    assert not [l for l in lines if l.startswith('SPLIT') or '\t' in l] and said.out.count(r'a\nSPLIT\tb\r') >= 10, lines

@pytest.mark.parametrize('lines, says', [(b'good.png\rbad/a.png\r', 'its lines end with carriage returns alone; save it with line feeds'),
                                         (b'good.png\n../x/good.png\n', 'leaves the folder of the list')])
def test_a_list_that_cannot_be_followed_makes_no_folder(bad_ones, lines, says):
    (bad_ones/'list.txt').write_bytes(lines)
    with pytest.raises(ValueError, match=says): run_shard(bad_ones/'list.txt', 0, 1, bad_ones/'out', toy_work())
    assert not (bad_ones/'out').exists()

def test_a_line_in_another_encoding_is_said_to_be_one(bad_ones):
    (bad_ones/'list.txt').write_bytes('good.png\né.png\n'.encode('latin-1'))
    r = run_shard(bad_ones/'list.txt', 0, 1, bad_ones/'out', toy_work()._replace(read=len, make=str))
    assert r['done'] == 1 and [*r['bad'].values()] == ['no such file, and the line is no UTF-8; save the list as UTF-8']

def test_a_result_without_a_place_costs_only_itself(bad_ones):
    "A folder stands where it goes, a file where its folder goes, or its name grows too long: the shard ended there at every start, with all that came after."
    Image.new('RGB', (8, 6)).save(bad_ones/'b', 'PNG'); long = f'{"x"*250}.png'
    (bad_ones/'b.png').mkdir(); (bad_ones/'out'/'in.png.png').mkdir(parents=True); (bad_ones/'out'/'t.tar').mkdir()
    names = ['b', 'b.png/c.png', 'in.png', long, 't.tar', 'good.png']
    for n in names[1:4]: shutil.copy(bad_ones/'good.png', bad_ones/n)
    a_tar(bad_ones/'t.tar', ('a.png', (bad_ones/'good.png').read_bytes()))
    (bad_ones/'list.txt').write_text('\n'.join(names)); work = toy_work()._replace(read=len, make=str)
    for done, kept in (2, 0), (0, 2):
        r = run_shard(bad_ones/'list.txt', 0, 1, bad_ones/'out', work)
        assert (r['done'], r['kept'], [*r['bad']]) == (done, kept, ['in.png', 't.tar', 'b.png/c.png', long]) and 'no place for its result' in r['bad'][long]
        for n in 'in.png', 't.tar': assert r['bad'][n] == f'{bad_ones/"out"/n}{".png"*(n[0] == "i")} is a folder, and is no result of it; move it away'
    r = merge_logs(bad_ones/'out'); assert (len(r['bad']), r['pictures'], r['left']) == (4, 2, [])
    assert not any('made' in e or e.get('begin') == 't.tar' for e in read_events(bad_ones/'out'/SHARDS/'000000.jsonl'))      # no work for nothing
    (bad_ones/'out'/'t.tar').rmdir(); assert run_shard(bad_ones/'list.txt', 0, 1, bad_ones/'out', work)['done'] == 1

def test_a_file_of_somebody_else_is_not_written_over(bad_ones):
    "It stood where a result goes before the run: its picture is left out, at every start and in the report, until it is moved away. --again takes the place."
    Image.new('RGB', (8, 6)).save(bad_ones/'b.png'); out = bad_ones/'out'; (out/'t.tar').parent.mkdir(); work = toy_work()._replace(read=len, make=str)
    a_tar(bad_ones/'t.tar', ('a.png', (bad_ones/'good.png').read_bytes())); (bad_ones/'list.txt').write_text('b.png\ngood.png\nt.tar\n')
    theirs = [out/'b.png.png', out/'t.tar']; [p.write_text('a diary') for p in theirs]
    for done, kept in (1, 0), (0, 1):
        r = run_shard(bad_ones/'list.txt', 0, 1, out, work)
        assert (r['done'], r['kept'], [*r['bad']]) == (done, kept, ['b.png', 't.tar']) and 'was there before the run, and is no result of it; move it away' in r['bad']['t.tar']
        assert merge_logs(out)['bad'] == r['bad'] and [p.read_text() for p in theirs] == ['a diary']*2
    for p in theirs: p.write_text('a diary, and a day more')
    assert run_shard(bad_ones/'list.txt', 0, 1, out, work)['done'] == 0 and [p.read_text() for p in theirs] == ['a diary, and a day more']*2
    theirs[0].unlink(); assert run_shard(bad_ones/'list.txt', 0, 1, out, work)['done'] == 1 and [*merge_logs(out)['bad']] == ['t.tar']
    r = run_shard(bad_ones/'list.txt', 0, 1, out, work, again=True); assert (r['done'], r['bad'], merge_logs(out)['pictures'], merge_logs(out)['bad']) == (3, {}, 3, {})

def test_a_file_that_is_put_there_while_a_run_is_at_work(bad_ones):
    "During its first start, or before a later one, when its picture has not had its turn: it was written over. Moved away, the picture is done."
    out = bad_ones/'out'; a_tar(bad_ones/'t.tar', ('a.png', (bad_ones/'good.png').read_bytes()))
    for n in 'bc': shutil.copy(bad_ones/'good.png', bad_ones/f'{n}.png')
    (bad_ones/'list.txt').write_text('good.png\nb.png\nc.png\nt.tar\n'); theirs = [out/f'{n}.png.png' for n in 'bc'] + [out/'t.tar']
    def make(img):
        if not theirs[0].exists(): theirs[0].write_text('a diary')                     # while the first picture is at work
        elif not theirs[1].exists(): raise KeyboardInterrupt
        return str(img)
    work = toy_work()._replace(read=len, make=make)
    with pytest.raises(KeyboardInterrupt): run_shard(bad_ones/'list.txt', 0, 1, out, work)
    for p in theirs[1:]: p.write_text('a diary')                                       # between two starts
    for done, kept in (0, 1), (0, 1):
        r = run_shard(bad_ones/'list.txt', 0, 1, out, work)
        assert (r['done'], r['kept'], [*r['bad']]) == (done, kept, ['b.png', 'c.png', 't.tar']) and [p.read_text() for p in theirs] == ['a diary']*3
        assert all(why == f'{out/(n + ".png" if n[0] != "t" else n)} was put there during the run, and is no result of it; move it away' for n, why in r['bad'].items())
        assert merge_logs(out)['bad'] == r['bad']
    for p in theirs[1:]: p.unlink()
    work = toy_work()._replace(read=len, make=str)
    r = run_shard(bad_ones/'list.txt', 0, 1, out, work); assert (r['done'], [*r['bad']]) == (2, ['b.png'])
    assert run_shard(bad_ones/'list.txt', 0, 1, out, work, again=True)['bad'] == {} and theirs[0].read_bytes() != b'a diary'

@pytest.mark.skipif(os.name == 'nt', reason='Windows has no pipes of this kind')
def test_a_pipe_in_the_place_of_a_result_is_not_waited_for(bad_ones):
    "At the first run, at a later one, and with --again."
    (bad_ones/'list.txt').write_text('good.png\n'); out = bad_ones/'out'; work = toy_work()._replace(read=len, make=str); at = out/'good.png.png'
    assert run_shard(bad_ones/'list.txt', 0, 1, out, work)['done'] == 1
    at.unlink(); os.mkfifo(at)
    for again in False, True: assert 'move it away' in run_shard(bad_ones/'list.txt', 0, 1, out, work, again=again)['bad']['good.png']
    at.unlink(); assert run_shard(bad_ones/'list.txt', 0, 1, out, work)['done'] == 1

def test_a_run_that_died_before_its_first_picture_has_not_looked_at_all_places(bad_ones):
    "Killed after it made its log, or when it had noted one file of somebody else: the next run looks again. After --again nothing is anybody's."
    shutil.copy(bad_ones/'good.png', bad_ones/'b.png'); (bad_ones/'list.txt').write_text('b.png\ngood.png\n'); work = toy_work()._replace(read=len, make=str)
    start, said = '{"start": 1, "host": "x", "pid": 2, "t": 0.1}\n', 'was there before the run, and is no result of it; move it away'
    begun = start + '{"taken": "b.png", "of": [1, 2], "error": "it was there"}\n'
    for i, log in enumerate(['', start[:9], start, start*2, begun, begun + start]):
        out = bad_ones/f'out{i}'; file = out/'.shards'/'000000.jsonl'; run = lambda **kw: run_shard(bad_ones/'list.txt', 0, 1, out, work, **kw)
        keep_plan(out, dict(manifest='list.txt', size=15, shards=1, made_with=work.by), lambda: {}); file.write_text(log)
        (theirs := out/'good.png.png').write_text('mine')
        r = run(); assert (r['done'], [*r['bad']], theirs.read_text()) == (1, ['good.png'], 'mine') and said in r['bad']['good.png'], log
        theirs.unlink(); r = run(); assert (r['done'], r['kept'], r['bad']) == (1, 1, {}), log
        theirs.write_text('not whole'); r = run(); assert (r['done'], r['kept'], r['bad']) == (1, 1, {}), log           # it was ours
    run(again=True); file.write_text(start)                                          # killed before its first picture
    r = run(); assert (r['done'], r['bad']) == (2, {})

def test_more_shards_than_anybody_can_look_for(photos):
    from srgan_course.kit.lists import parse_shard
    assert parse_shard('9/10000000') == (9, 10**7)
    with pytest.raises(ValueError, match='shard is 10000000000; give a number from 1 to 10,000,000'): parse_shard('9/10000000000')
    with pytest.raises(ValueError, match='is not I/N'): parse_shard('٣/٤')

def test_a_reason_names_no_class_of_python(bad_ones):
    "And no picture but the line's own; a fault of ours keeps its class."
    from srgan_course.kit.codec import open_image
    Image.effect_noise((40, 40), 50).save(bad_ones/'cut.png'); os.truncate(bad_ones/'cut.png', 700)
    (bad_ones/'list.txt').write_text('cut.png\ngone.png\ngood.png\n')
    def broken(img): raise KeyError('x')
    r = run_shard(bad_ones/'list.txt', 0, 1, bad_ones/'out', toy_work()._replace(read=open_image, make=broken))['bad']
    assert r['cut.png'].startswith('damaged or truncated PNG picture') and r['good.png'] == "KeyError: 'x'"
    assert r['gone.png'] == f'No such file or directory: {(bad_ones/"gone.png").resolve()}'

def test_what_was_done_once_and_is_broken_now_is_not_done(tmp_path):
    "The result has gone, the picture is another one that cannot be done: it counted as done, and the command ended with 0."
    manifest = a_list(tmp_path/'in', 2); run_shard(manifest, 0, 1, tmp_path/'out', toy_work())
    for i in range(2): (tmp_path/'out'/'in'/f'00{i}.png.png').unlink(); (tmp_path/'in'/f'00{i}.png').write_bytes(b'\xff')
    for _ in range(2):
        r = run_shard(manifest, 0, 1, tmp_path/'out', toy_work())
        assert (r['done'], r['kept'], len(r['bad'])) == (0, 0, 2)
    assert merge_logs(tmp_path/'out')['pictures'] == 0

# ---- what a folder is, and how many parts

def test_results_of_srgan_upscale_are_not_enlarged_by_srgan_scale(photos, capsys):
    "Beside their pictures or in a folder below; also at a second start, when there are more of them."
    from srgan_course import cli
    from srgan_course.kit.lists import list_once
    d = photos/'photos'; cli.upscale(d/'0.png'); cli.upscale(d/'sub', out=d/'large'); capsys.readouterr()
    for i in range(2):
        manifest, _, _ = list_once(d, photos/'out')
        assert manifest.read_text().split() == ['0.png', '2.png', '4.png', 'sub/1.png', 'sub/3.png', 'sub/5.png']
        said = capsys.readouterr().err
        assert 'srgan-scale: passed over, a result of 0.png: ' in said and 'passed over, a result of an earlier run: ' in said
        cli.upscale(d/'2.png', out=d); capsys.readouterr()

def test_no_worker_is_idle(photos, monkeypatch):
    "Six pictures are a shard for each of two workers, also where others lend them; a second start with more of them goes on with the same two."
    from srgan_course import scale
    workers = 2
    @contextlib.contextmanager
    def client(*_):
        yield SimpleNamespace(wait_for_workers=lambda n: None, nthreads=lambda: {i: 1 for i in range(workers)}, cluster=SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(scale, 'open_client', client); monkeypatch.setattr(scale, 'hand_out', lambda c, job, todo: (scale.do_shard(job, i) for i in todo))
    work = (toy_work()._replace(read=len, make=str),)
    for out, kw in ('out', {}), ('lent', dict(scheduler='tcp://10.0.0.5:8786')):
        workers = 2; said = []
        scale.scale_out(photos/'photos', photos/out, lambda w: w, work, told=lambda k, n, r: said.append((n, r['done'])), **kw)
        assert [n for n, _ in said] == [2, 2] and all(d for _, d in said) and sum(d for _, d in said) == 6
        workers = 5; said.clear()
        r = scale.scale_out(photos/'photos', photos/out, lambda w: w, work, workers=5, told=lambda k, n, r: said.append((n, r['kept'])), **kw)
        assert [n for n, _ in said] == [2, 2] and r['shards'] == 2 and r['pictures'] == 6

def test_scheduler_that_is_gone_or_has_no_worker(photos, monkeypatch):
    from concurrent.futures import CancelledError
    from srgan_course import scale
    @contextlib.contextmanager
    def client(*_): yield SimpleNamespace(wait_for_workers=lambda n: None, nthreads=dict)
    def lost(*_): raise CancelledError('scheduler-connection-lost')
    monkeypatch.setattr(scale, 'open_client', client); monkeypatch.setattr(scale, 'hand_out', lost)
    with pytest.warns(UserWarning, match='no worker at tcp://10.0.0.5:8786 yet; waiting for one'), \
            pytest.raises(OSError, match='the scheduler at tcp://10.0.0.5:8786 is gone; the same again goes on where it was'):
        scale.scale_out(photos/'photos', photos/'gone', lambda w: w, (toy_work(),), scheduler='tcp://10.0.0.5:8786')

def test_workers_that_are_gone_in_mid_work_are_said_once(photos, monkeypatch):
    "The only worker was killed, and nobody said what was waited for; each time that none is left is one line."
    from concurrent.futures import CancelledError
    from srgan_course import scale
    workers = {'a': 1}
    @contextlib.contextmanager
    def client(*_): yield SimpleNamespace(wait_for_workers=lambda n: None, nthreads=lambda: dict(workers))
    def hand_out(*_):
        for there in {}, {'b': 1}, {}: workers.clear(); workers.update(there); time.sleep(.5)
        raise CancelledError
    monkeypatch.setattr(scale, 'open_client', client); monkeypatch.setattr(scale, 'hand_out', hand_out); monkeypatch.setattr(scale, '_LOOK', .02)
    with pytest.warns(UserWarning) as seen, pytest.raises(OSError, match='is gone'):
        scale.scale_out(photos/'photos', photos/'idle', lambda w: w, (toy_work(),), scheduler='tcp://10.0.0.5:8786')
    assert [str(w.message)[8:] for w in seen] == [': no worker at tcp://10.0.0.5:8786 any more; waiting for one']*2      # the time makes them two

@pytest.mark.parametrize('blind', [False, True])
def test_lines_that_differ_in_case(tmp_path, blind, monkeypatch):
    "Two files, two results; where the disk of the results takes both names for one, they are refused before anything is made, in a list and as pictures."
    from srgan_course.kit import files, folders, lists
    if files.ignores_case(tmp_path): pytest.skip('a disk that ignores case')
    (tmp_path/'in').mkdir(); (tmp_path/'in'/'A.png').write_text('one'); (tmp_path/'in'/'a.png').write_text('two')
    (tmp_path/'list.txt').write_text('in/A.png\nin/a.png\n')
    if blind:
        real = files.ignores_case
        for m in files, lists: monkeypatch.setattr(m, 'ignores_case', lambda d: 'out' in str(d) or real(d))
        for call in (lambda: run_shard(tmp_path/'list.txt', 0, 1, tmp_path/'out', toy_work()), lambda: lists.list_once(tmp_path/'list.txt', tmp_path/'out'),
                     lambda: folders.enlarge_paths([tmp_path/'in'/n for n in ('A.png', 'a.png')], tmp_path/'out', SimpleNamespace(scale=4))):
            with pytest.raises(ValueError, match='(?i)a.png and .*a.png .*would both become'): call()
        assert not (tmp_path/'out').exists()
    else:
        run_shard(tmp_path/'list.txt', 0, 1, tmp_path/'out', toy_work()); assert results(tmp_path/'out') == {'in/A.png.png': b'ONE', 'in/a.png.png': b'TWO'}

def test_a_damaged_log_costs_no_traceback(photos):
    "Events that lack what they must say, or say it in another form, are passed over: the picture is done anew."
    work, log = toy_work()._replace(read=len, make=str), photos/'out'/SHARDS/'000000.jsonl'; (photos/'list.txt').write_text('photos/0.png\n')
    run_shard(photos/'list.txt', 0, 1, photos/'out', work); good = json.loads(next(l for l in log.read_text().splitlines() if '"done"' in l and '"of"' in l))
    for bad in ([{k: v for k, v in good.items() if k != gone} for gone in ('of', 'bytes')] + [good | dict(bytes='x'), good | dict(of=7), good | dict(t='x'),
                good | dict(done=5), dict(begin='photos/0.png'), dict(begin=[], of=None), dict(fail='photos/0.png'), good | dict(passed=[])]):
        log.write_text(json.dumps(bad) + '\n'); merge_logs(photos/'out')
        assert run_shard(photos/'list.txt', 0, 1, photos/'out', work)['done'] == 1, bad
    log.write_text(json.dumps({k: v for k, v in good.items() if k != 'sha256'}) + '\n')               # size and time tell
    assert run_shard(photos/'list.txt', 0, 1, photos/'out', work)['kept'] == 1

@pytest.mark.parametrize('text', ['', '{"shards": 1, "again": []}', '[1]', '{}', '{"shards": "2"}', '{"shards": 0}', '3'])
def test_a_plan_that_is_none_is_refused(photos, text):
    "By the report, by a worker and by the count, in one line."
    from srgan_course.kit.lists import count_shards, keep_plan
    (plan := photos/'out'/SHARDS/'plan.json').parent.mkdir(parents=True); plan.write_text(text)
    for f in (lambda: merge_logs(photos/'out'), lambda: keep_plan(photos/'out', dict(shards=2)), lambda: count_shards(photos/'list.txt', photos/'out')):
        with pytest.raises(ValueError, match='plan.json is no plan of shards; move .*shards away'): f()
    assert plan.read_text() == text

@pytest.mark.parametrize('born', [1, 2, 3])
def test_stopped_while_workers_begin(photos, born):
    "A half-built cluster was closed at exit, with fifty lines of traceback: stopped when the first, second and third process of Dask is there."
    import psutil
    p = subprocess.Popen([sys.executable, '-m', 'srgan_course', 'scale', str(photos), '--out', str(photos/'out'), '--workers', '2'], stderr=subprocess.PIPE, text=True)
    while p.poll() is None and len(psutil.Process(p.pid).children()) < born: time.sleep(.01)
    p.terminate(); said = p.communicate(timeout=60)[1]
    assert p.returncode == 130 and 'stopped' in said, said
    assert 'close_clusters' not in said and 'never retrieved' not in said, said
