"What a machine does to srgan-upscale: pipes and devices in the place of files, streams that are closed or full, names that cannot be printed."
import json, os, shutil, subprocess, sys, threading
from pathlib import Path
import numpy as np, pytest
from PIL import Image
from srgan_course import cli
from srgan_course.kit.files import write_whole
from srgan_course.kit.folders import enlarge_paths, summary
from srgan_course.upscale import Upscaler

posix = pytest.mark.skipif(os.name == 'nt', reason='pipes, devices and streams of Unix')
ENV = {k: v for k, v in os.environ.items() if not k.startswith(('LC_', 'LANG', 'PYTHONIO', 'PYTHONUTF8'))} | dict(OMP_NUM_THREADS='1')

def picture(path, size=(6, 5), seed=0):
    path = Path(path); path.parent.mkdir(parents=True, exist_ok=True)
    a = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(a).save(path); return path

def sizes(folder): return {p.name: Image.open(p).size for p in folder.rglob('*-x4*.png')}

def upscale(*args, to='', **env):
    "srgan-upscale as a process of its own; `to` is where the shell sends what it prints."
    cmd = [sys.executable, '-m', 'srgan_course', 'upscale', *map(os.fsencode, args)]
    if to: cmd = ['sh', '-c', f'"$@" {to}', 'sh', *cmd]
    return subprocess.run(cmd, capture_output=True, env=ENV | env, stdin=subprocess.DEVNULL, timeout=300)

@pytest.fixture(scope='module')
def up(): return Upscaler.load('light-x4', device='cpu')

# ---- what is no file

def device(path, minor):
    "A device like /dev/null (3) or /dev/full (7) that a fault may break: made anew, where root may, else the true one, which nobody else can replace."
    if os.geteuid(): return Path('/dev')/{3: 'null', 7: 'full'}[minor]
    try: os.mknod(path, 0o666 | 0o020000, os.makedev(1, minor))
    except PermissionError: pytest.skip('this machine makes no devices')
    return path

@posix
def test_a_pipe_and_a_device_stay_what_they_are(tmp_path):
    "The result goes through a pipe; a device takes it, or says in one line that it cannot; neither is replaced by a file."
    got, pipe = [], tmp_path/'pipe.json'
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(json.loads(pipe.read_text()))); reader.start()
    cli.evaluate('bicubic', str(picture(tmp_path/'in'/'a.png', (32, 32)).parent), result=pipe, json=True)
    reader.join(20)
    assert pipe.is_fifo() and got[0]['figures']['mean']['psnr'] > 5
    null, full = device(tmp_path/'null', 3), device(tmp_path/'full', 7)
    write_whole(null, b'x'*9)
    with pytest.raises(OSError, match='No space left on device; what was written is not whole'): write_whole(full, b'x'*9)
    assert null.is_char_device() and full.is_char_device()

@posix
def test_links_in_a_circle_are_one_line(tmp_path, up):
    picture(tmp_path/'a.png'); os.symlink('round.png', tmp_path/'round.png'); os.symlink('folder', tmp_path/'folder')
    for out, said in ('round.png', 'symbolic links'), ('folder', 'suffix'):
        with pytest.raises((OSError, ValueError), match=said): enlarge_paths([tmp_path/'a.png'], tmp_path/out, up)
    with pytest.raises(ValueError, match='cannot take the results'): enlarge_paths([tmp_path], tmp_path/'folder', up)
    with pytest.raises(FileNotFoundError, match='no such file'): cli.upscale(tmp_path/'round.png')

# ---- a report is never worth a result

NAMES = ['Zoë 猫.png', os.fsdecode(b'latin-\xe9.png'), 'line\nbreak.png']

@posix
@pytest.mark.parametrize('to,env,code', [('', dict(LANG='C', PYTHONIOENCODING='ascii'), 1), ('2>&-', {}, 1), ('>&-', {}, 1), ('>&- 2>&-', {}, 1),
                                         ('2>/dev/full', {}, 1), ('>/dev/full', {}, 1), ('| true', {}, 0), ('2>&1 | true', {}, 0)])
def test_what_cannot_be_printed_costs_no_result(tmp_path, to, env, code):
    "Names that ASCII does not have, that are no UTF-8, of two lines; closed, full, broken streams: every result is there, and the bad file is known."
    if to.endswith('full') and not Path('/dev/full').exists(): pytest.skip('no /dev/full')
    for i, n in enumerate(NAMES): picture(tmp_path/'in'/n, seed=i)
    (tmp_path/'in'/'bad.png').write_text('no')
    r = upscale(tmp_path/'in', tmp_path/'in'/NAMES[0], '--out', tmp_path/'out', to=to, **env)
    assert r.returncode == code and b'Traceback' not in r.stderr + r.stdout, r
    assert sizes(tmp_path/'out') == {n.replace('.png', '-x4.png'): (24, 20) for n in NAMES}
    if not to: assert b'Zo\\xeb \\u732b.png' in r.stderr and b'3 done, 1 could not be done' in r.stdout
    if to == '>/dev/full': assert r.stderr.rstrip().endswith(b'could not be written (No space left on device)')
    if to == '2>&-': assert r.stdout.count(b'\n') == r.stdout.decode('utf-8', 'replace').count('\n') >= 3

@posix
def test_json_that_is_lost_is_said(tmp_path):
    "What a program waits for, on a full disk: the pictures are there, and the exit code is no 0."
    picture(tmp_path/'a.png')
    if not Path('/dev/full').exists(): pytest.skip('no /dev/full')
    r = upscale(tmp_path/'a.png', '--json', to='>/dev/full')
    assert r.returncode == 1 and sizes(tmp_path) == {'a-x4.png': (24, 20)}
    assert r.stderr.decode() == 'srgan-upscale: the work is done, but what was to be printed could not be written (No space left on device)\n'

# ---- folders

def test_what_a_folder_passes_over_is_listed(tmp_path, up, capsys):
    "Each file of a folder is done, bad, or named with the reason; in text and in JSON."
    d = tmp_path/'in'
    for n in 'a.png', 'b.png', 'old/c.png': picture(d/n)
    for n in 'notes.txt', 'scan.tga', 'film.mov', '.hidden', '.trash/x.png': (d/n).parent.mkdir(exist_ok=True); (d/n).write_bytes(b'x')
    enlarge_paths([d/'a.png'], None, up, progress=False)                       # a result beside its picture
    enlarge_paths([d/'old'], d/'old'/'large', up, progress=False)              # and some of an earlier run
    capsys.readouterr()
    assert cli.upscale(d, json=True) == 0
    r = json.loads(capsys.readouterr().out)
    assert [Path(f['src']).relative_to(d).as_posix() for f in r['done']] == ['a.png', 'b.png', 'old/c.png']
    why = {Path(p['src']).relative_to(d).as_posix(): p['why'] for p in r['passed']}
    assert why == {'a-x4.png': 'a result of a.png', 'old/large/c-x4.png': 'a result of an earlier run',
                   **dict.fromkeys(('notes.txt', 'scan.tga', 'film.mov'), 'no picture by its name')}
    said = summary(r).splitlines()
    assert 'passed over, no picture by its name: film.mov, notes.txt, scan.tga' in said and said[-1] == '3 done'
    assert enlarge_paths([d/'old'/'large'], tmp_path/'x16', up, progress=False)['done'][0]['out_size'] == [96, 80]   # asked for by name: done

def test_the_same_again_enlarges_no_result(tmp_path, up):
    "Into the folder itself, whatever is inside it: after three runs there are as many results as pictures."
    for n in 'a.png', 'b.jpg', 'sub/a.png': picture(tmp_path/'in'/n)
    for out in tmp_path/'in'/'large', tmp_path/'in'/'more', tmp_path/'in'/'large', None:
        r = enlarge_paths([tmp_path/'in'], out, up, progress=False)
        assert len(r['done'] + r['kept']) == 3, out
    made = [p.name for p in tmp_path.rglob('*-x4*.png')]
    assert len(made) == 9 and not any('-x4-x4' in n for n in made)

def test_pictures_of_one_name_keep_results_of_their_own(tmp_path, up):
    "x.JPG and x.png: one after the other, together, as a folder, or into a folder; and a picture that takes another's place is enlarged."
    a, b = picture(tmp_path/'x.JPG', (6, 5)), picture(tmp_path/'x.png', (7, 5))
    for paths in ([a], [b]), ([a, b],):
        for p in paths: enlarge_paths(p, None, up, progress=False)
        assert sizes(tmp_path) == {'x_JPG-x4.png': (24, 20), 'x_png-x4.png': (28, 20)}
        for f in tmp_path.glob('*-x4.png'): f.unlink()
    enlarge_paths([tmp_path], out := tmp_path/'out', up, progress=False)
    assert sizes(out) == {'x_JPG-x4.png': (24, 20), 'x_png-x4.png': (28, 20)}
    (tmp_path/'y').mkdir(); shutil.move(picture(tmp_path/'z.png', (3, 3)), tmp_path/'y'/'z.png')
    enlarge_paths([tmp_path/'y'], tmp_path/'o', up, progress=False)
    (tmp_path/'y'/'z.png').unlink(); old = picture(tmp_path/'y'/'z.bmp', (4, 3)); os.utime(old, (1, 1))          # older than the result
    assert len(enlarge_paths([tmp_path/'y'], tmp_path/'o', up, progress=False)['done']) == 1 and sizes(tmp_path/'o') == {'z-x4.png': (16, 12)}
