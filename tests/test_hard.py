"What a machine does to srgan-upscale: pipes and devices in the place of files, streams that are closed or full, names that cannot be printed."
import json, os, shutil, subprocess, sys, threading
from pathlib import Path
import numpy as np, pytest
from PIL import Image
from srgan_course import cli
from srgan_course.images import from_array, open_image, resize, save_image, to_array
from srgan_course.kit import engines, folders
from srgan_course.kit.codec import read_pipe
from srgan_course.kit.files import write_whole
from srgan_course.kit.folders import enlarge_paths, summary
from srgan_course.kit.frames import read_frames
from srgan_course.kit.wanted import Wanted
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

@pytest.fixture
def calls(monkeypatch):
    "Counts what the network is asked."
    n, real = [], engines.OnnxEngine.__call__
    monkeypatch.setattr(engines.OnnxEngine, '__call__', lambda self, x: (n.append(x.shape), real(self, x))[1])
    return n

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
    for out in 'round.png', 'folder':
        with pytest.raises(OSError, match='symbolic links'): enlarge_paths([tmp_path/'a.png'], tmp_path/out, up)
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
    for n in 'notes.txt', 'scan.dng', 'film.mov', '.hidden', '.trash/x.png', '.b.PNG', 'old/.c.png', '._a.png', '.DS_Store': (d/n).parent.mkdir(exist_ok=True); (d/n).write_bytes(b'x')
    enlarge_paths([d/'a.png'], None, up, progress=False)                       # a result beside its picture
    enlarge_paths([d/'old'], d/'old'/'large', up, progress=False)              # and some of an earlier run
    capsys.readouterr()
    assert cli.upscale(d, json=True) == 0
    r = json.loads(capsys.readouterr().out)
    assert [Path(f['src']).relative_to(d).as_posix() for f in r['done']] == ['a.png', 'b.png', 'old/c.png']
    why = {Path(p['src']).relative_to(d).as_posix(): p['why'] for p in r['passed']}
    assert why == {'a-x4.png': 'a result of a.png', 'old/large/c-x4.png': 'a result of an earlier run',
                   **dict.fromkeys(('notes.txt', 'scan.dng', 'film.mov'), 'no picture by its name'), **dict.fromkeys(('.b.PNG', 'old/.c.png'), 'hidden')}
    said = summary(r).splitlines(); assert 'passed over, hidden: .b.PNG, .c.png' in said
    assert 'passed over, no picture by its name: film.mov, notes.txt, scan.dng' in said and said[-1] == '3 done'
    assert enlarge_paths([d/'old'/'large'], tmp_path/'x16', up, progress=False)['done'][0]['out_size'] == [96, 80]   # asked for by name: done

@posix
def test_links_and_pipes_in_a_folder_are_listed(tmp_path, up, capsys):
    "What is no file: links to folders are not followed, links to nothing, in a circle, pipes; each with its reason, in text and in JSON."
    d = tmp_path/'in'; picture(d/'a.png'); picture(d/'real'/'b.png'); picture(tmp_path/'else'/'z.png'); picture(tmp_path/'y.png')
    for n, to in dict(linked='../else', circle='..', gone='nope', turn='turn.png').items(): (d/(n if to[0] == '.' else f'{n}.png')).symlink_to(to)
    (d/'y.png').symlink_to('../y.png'); os.mkfifo(d/'p.png')
    assert cli.upscale(d, json=True) == 0
    r = json.loads(capsys.readouterr().out)
    assert [Path(f['src']).relative_to(d).as_posix() for f in r['done']] == ['a.png', 'real/b.png', 'y.png']
    assert {Path(p['src']).name: p['why'].split(';')[0] for p in r['passed']} == {'linked': 'a link to a folder', 'circle': 'a link to a folder',
        'gone.png': 'a link to nothing', 'turn.png': 'a link to nothing', 'p.png': 'a pipe, a device or a socket'}
    assert 'passed over, a link to a folder; give that folder itself: circle, linked' in summary(r).splitlines()

@posix
@pytest.mark.parametrize('frames', [False, True])
def test_a_pipe_as_picture(tmp_path, up, frames):
    "A FIFO or what `<(...)` gives is read once, into memory; the result is that of the file, and needs a name of its own."
    (src, _), pipe = film(tmp_path/'a.gif', duration=[50, 120, 300]), tmp_path/'pipe.gif'
    os.mkfifo(pipe)
    want, (r, w) = Wanted(frames=frames), os.pipe()
    same = enlarge_paths([src], tmp_path/'file.png', up, progress=False, want=want)['done'][0]
    try:
        for p, send in (pipe, lambda: pipe.write_bytes(src.read_bytes())), (Path(f'/dev/fd/{r}'), lambda: (os.write(w, src.read_bytes()), os.close(w))):
            for out in None, tmp_path, tmp_path/'new':
                with pytest.raises(ValueError, match='gives its result no name; give it alone, with --out FILE'): enlarge_paths([p], out, up, want=want)
            t = threading.Thread(target=send); t.start()
            d = enlarge_paths([p], tmp_path/'piped.png', up, progress=False, want=want)['done'][0]; t.join(20)
            assert (d['frames'], d['out_size'], d['src']) == (same['frames'], same['out_size'], str(p))
            assert (tmp_path/'piped.png').read_bytes() == (tmp_path/'file.png').read_bytes()
    finally: os.close(r)

@posix
def test_a_pipe_has_an_end(tmp_path, monkeypatch):
    "What never ends is refused at a limit; standard input goes by its name."
    if not Path('/dev/zero').exists(): pytest.skip('no /dev/zero')
    with pytest.raises(ValueError, match='/dev/zero: more than 4,194,304 bytes'): read_pipe('/dev/zero', 2**22)
    with pytest.raises(FileNotFoundError, match='standard input is /dev/stdin'): cli.upscale(Path('-'))
    a = picture(tmp_path/'a.png')
    for stdin in subprocess.PIPE, a.open('rb'):
        cmd = [sys.executable, '-m', 'srgan_course', 'upscale', '/dev/stdin', '--out', tmp_path/'b.png']
        r = subprocess.run(cmd, env=ENV, capture_output=True, timeout=100, **(dict(input=a.read_bytes()) if stdin == subprocess.PIPE else dict(stdin=stdin)))
        assert r.returncode == 0 and Image.open(tmp_path/'b.png').size == (24, 20), r
        (tmp_path/'b.png').unlink()
    stdin.close()

def cut_tiff(path):
    "Two pages; where the second should begin, the file has ended."
    Image.new('RGB', (8, 6)).save(path, save_all=True, append_images=[Image.new('RGB', (8, 6), 'red')])
    b = bytearray(path.read_bytes()); at = int.from_bytes(b[4:8], 'little'); at += 2 + 12*int.from_bytes(b[at:at+2], 'little')
    b[at:at+4] = (len(b) + 1000).to_bytes(4, 'little'); path.write_bytes(b)
    return path

@pytest.mark.parametrize('many', [False, True])
def test_what_follows_the_first_page_is_damaged(tmp_path, many):
    "The first page is enlarged, and a line says what is lost; if all are wanted, nothing is written and the line says why. Alone and in a folder, no word of Pillow's."
    d = tmp_path/'in'; d.mkdir(); src = cut_tiff(d/'x.tif')
    if many: picture(d/'a.png')
    run = lambda *more: upscale(d if many else src, '--out', tmp_path/'out', *more)
    r = run(); said = (r.stdout + r.stderr).decode()
    assert r.returncode == 0 and 'what follows the first frame or page is damaged' in said and 'Warning' not in said and 'warn(' not in said, said
    assert json.loads(run('--json', '--again').stdout)['done'][-1]['lost'] == 'what follows the first frame or page is damaged'
    shutil.rmtree(tmp_path/'out')
    r = run('--frames'); said = (r.stdout + r.stderr).decode()
    assert r.returncode == (1 if many else 2) and 'x.tif: damaged' in said and 'without --frames, the first frame or page is enlarged' in said, said
    assert 'Warning' not in said and sorted(p.name for p in (tmp_path/'out').glob('[!.]*')) == ['a-x4.png']*many

def test_warnings_are_lines(tmp_path):
    "A note that the format cannot hold."
    img = Image.new('RGB', (8, 8)); img.info['xmp'] = b'<x/>'*20_000; save_image(img, tmp_path/'a.png')
    r = upscale(tmp_path/'a.png', '--format', 'jpg').stderr.decode()
    assert r.startswith('srgan-upscale: ') and 'XMP; not in the file' in r and r.count('\n') == 1, r

def test_several_pictures_into_a_folder_with_a_point_in_its_name(tmp_path, up):
    for n in 'x.png', 'y.jpg': picture(tmp_path/n)
    with pytest.raises(ValueError, match='is one file, but 2'): enlarge_paths([tmp_path/'x.png', tmp_path/'y.jpg'], tmp_path/'large.v2', up)
    (tmp_path/'large.v2').mkdir()
    enlarge_paths([tmp_path/'x.png', tmp_path/'y.jpg'], tmp_path/'large.v2', up)
    assert sizes(tmp_path/'large.v2') == {'x-x4.png': (24, 20), 'y-x4.png': (24, 20)}

@posix
def test_a_link_to_nothing_as_result(tmp_path, up, calls):
    "Written through where its target has a folder; else refused before anything is computed, by the link's and the folder's name."
    a, b = picture(tmp_path/'a.png'), picture(tmp_path/'b.png')
    for n, to in dict(good='new.png', bad='no/new.png', folder='none').items(): (tmp_path/(n if n == 'folder' else f'{n}.png')).symlink_to(to)
    for paths, out in ([a], 'bad.png'), ([a, b], 'folder'), ([a], 'folder/x.png'):
        with pytest.raises(FileNotFoundError, match=f'the link .*{out[:3]}.* leads to no.*, and there is no folder .*no'): enlarge_paths(paths, tmp_path/out, up)
    assert not calls and not (tmp_path/'none').exists()
    enlarge_paths([a], tmp_path/'good.png', up)
    assert (tmp_path/'good.png').is_symlink() and Image.open(tmp_path/'new.png').size == (24, 20)

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

# ---- refused before anything is computed

BAD = {'unknown suffix': ('rgb', dict(out='a.xyz'), "'.xyz'"), 'missing folder': ('rgb', dict(out='no/a.png'), 'there is no folder'),
       'alpha into JPEG': ('alpha', dict(out='a.jpg'), 'cannot hold transparent'), 'WebP side': ('long', dict(out='a.webp'), 'at most 16,383'),
       'JPEG side': ('longer', dict(out='a.jpg'), 'at most 65,500'), 'icon': ('rgb', dict(out='a.ico'), 'icons of fixed sizes'),
       'a file without suffix': ('rgb', dict(out='plain'), 'has no suffix'), 'a folder by that name': ('rgb', dict(out='dir.png/x/y.png'), 'no folder'),
       'the picture itself': ('rgb', dict(out='rgb.png'), 'is the picture itself'), 'format': ('rgb', dict(format='mp4'), "'.mp4'"),
       'format and name': ('rgb', dict(format='webp', out='a.png'), 'is no webp'), 'quality': ('rgb', dict(quality=0), 'quality 0'),
       'scale': ('rgb', dict(scale=4.5), 'more than this model gives'), 'no scale': ('rgb', dict(scale=float('nan')), 'scale nan'),
       'width': ('rgb', dict(width=25), 'a width of 25 is more'), 'no enlargement': ('rgb', dict(height=5), 'a height of 5 is no enlargement'),
       'both': ('rgb', dict(height=9, scale=2.), 'give one of them'), 'a film into JPEG': ('film', dict(frames=True, out='a.jpg'), 'holds a single picture'),
       'tile': ('rgb', dict(tile=0), 'tile 0'), 'the same size': ('rgb', dict(scale=1.0000001), 'a scale of 1.0000001 is no enlargement'),
       'no model': ('rgb', dict(model=''), "no model ''; known are"), 'a folder as model': ('rgb', dict(model='dir.png'), 'no model'),
       'a quality of PNG': ('rgb', dict(quality=80), 'quality 80 is asked for, and PNG has none; leave it out'),
       'a quality of a TIFF': ('rgb', dict(quality=80, format='tif'), 'quality 80 is asked for, and TIFF has none'),
       'a quality of a JP2': ('rgb', dict(quality=80, out='a.jp2'), 'a.jp2: quality 80 is asked for, and JPEG2000 has none'),
       'colour in a PGM': ('rgb', dict(out='q.pgm'), 'q.pgm: .*grey alone; save as .ppm'), 'a PBM': ('rgb', dict(out='q.pbm'), 'black and white alone'),
       'no suffix to keep': ('bare', dict(keep_format=True), 'bare has no suffix')}

@pytest.mark.parametrize('what', BAD)
def test_what_is_wrong_with_the_result_is_said_before_it_is_made(tmp_path, calls, what, monkeypatch):
    "The network is not asked once, and nothing is written."
    monkeypatch.chdir(tmp_path)
    src, options, said = BAD[what]
    picture('rgb.png'); Image.new('RGBA', (3, 3), (9, 9, 9, 100)).save('alpha.png'); Image.new('RGB', (4100, 1)).save('long.png')
    Image.new('RGB', (16400, 1)).save('longer.png'); Path('plain').touch(); Path('dir.png').mkdir()
    Image.new('L', (4, 4)).save('film.gif', save_all=True, append_images=[Image.new('L', (4, 4), 99)])
    shutil.copy('rgb.png', 'bare')
    before = sorted(tmp_path.rglob('*'))
    file = next(tmp_path.glob(f'{src}*'))
    with pytest.raises((ValueError, OSError), match=said): cli.upscale(file.relative_to(tmp_path), **{k: Path(v) if k == 'out' else v for k, v in options.items()})
    assert not calls and sorted(tmp_path.rglob('*')) == before

@posix
def test_a_folder_that_may_not_be_written_is_said_before(tmp_path):
    "Results into folders without the right to write, in real processes that have no more rights than others: one line each, nothing computed."
    drop = ['setpriv', '--bounding-set', '-dac_override,-dac_read_search', '--inh-caps', '-dac_override,-dac_read_search'] if not os.geteuid() else []
    if drop and (not shutil.which('setpriv') or subprocess.run([*drop, 'true'], capture_output=True).returncode): pytest.skip('root keeps its rights here')
    src, shut = picture(tmp_path/'in'/'a.png'), tmp_path/'shut'; shut.mkdir(); shut.chmod(0o555); (tmp_path/'in').chmod(0o555)
    code = ("import sys; from srgan_course.kit import engines; from srgan_course import cli; from pathlib import Path\n"
            "def no(*a): print('computed')\n"
            "engines.OnnxEngine.__call__ = no\nfor p, out in ((sys.argv[1], sys.argv[3]), (sys.argv[2], sys.argv[3]), (sys.argv[1], None), (sys.argv[1], sys.argv[3] + '/b.png')):\n"
            "    try: print(cli.upscale(Path(p), out=out and Path(out)))\n    except OSError as e: print(e)")
    r = subprocess.run([*drop, sys.executable, '-c', code, src, src.parent, shut], capture_output=True, text=True, env=ENV | dict(PYTHONPATH=os.getcwd()))
    shut.chmod(0o755); (tmp_path/'in').chmod(0o755)
    assert r.stdout.count('\n') == 4 == r.stdout.count('nothing may be written into') and 'computed' not in r.stdout, r
    assert not list(shut.iterdir()) and [p.name for p in (tmp_path/'in').iterdir()] == ['a.png']

def test_in_a_folder_only_what_cannot_be_saved_is_left_out(tmp_path, up, calls):
    "Too long for WebP, transparent for JPEG: named, not computed; the others are done in the format that was asked for."
    d = tmp_path/'in'; picture(d/'a.png'); Image.new('RGB', (4100, 1)).save(d/'long.png'); Image.new('RGBA', (3, 3), (9, 9, 9, 100)).save(d/'alpha.png')
    for fmt, bad in ('webp', 'long.png'), ('jpg', 'alpha.png'):
        calls.clear()
        r = enlarge_paths([d], tmp_path/fmt, up, progress=False, want=Wanted(format=fmt))
        assert [Path(b['src']).name for b in r['bad']] == [bad] and len(r['done']) == 2 and all(s[-2:] != (1, 4100) or fmt == 'jpg' for s in calls)
        assert {p.suffix for p in (tmp_path/fmt).glob('*-x4*')} == {f'.{fmt}'}

# ---- sizes, formats, frames

@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'L', 'I;16', 'deep'])
def test_another_size_is_the_networks_made_smaller_in_one_step(tmp_path, up, mode):
    "To the pixel what Lanczos makes of the network's result, in the picture's mode and bits; said in the result; the same in tiles to a level."
    a = np.random.default_rng(0).integers(0, 256, (15, 20, 4), dtype=np.uint8)
    img = {'deep': from_array(a[..., :3].astype(np.uint16)*257), 'I;16': from_array(a[..., 0].astype(np.uint16)*257)}.get(mode) or Image.fromarray(a).convert(mode)
    save_image(img, src := tmp_path/'a.png')
    for kw, size, name in ((dict(width=50), (50, 38), 'a-w50.png'), (dict(height=18), (24, 18), 'a-h18.png'), (dict(scale=1.5), (30, 22), 'a-x1.5.png'),
                           (dict(width=60, height=30), (40, 30), 'a-fit60x30.png'), (dict(scale=4.), (80, 60), 'a-x4.png')):
        r = enlarge_paths([src], None, up, progress=False, want=Wanted(**kw))['done'][0]
        got, want = open_image(r['dst'], icc='keep'), up(img)
        want = want if size == want.size else resize(want, size, 'lanczos')
        assert (got.size, got.mode, Path(r['dst']).name, r.get('resampled')) == (size, want.mode, name, None if size == (80, 60) else 'lanczos')
        assert to_array(got).dtype == to_array(img).dtype and (to_array(got) == to_array(want)).all()

def test_a_quality_that_changes_nothing_stops_a_folder_before_it_begins(tmp_path, up, calls):
    "And is taken where each picture keeps its format."
    for n in ('a.png', 'b.jpg'): picture(tmp_path/'in'/n, (4, 3))
    with pytest.raises(ValueError, match='quality 80 is asked for, and PNG has none'):
        enlarge_paths([tmp_path/'in'], tmp_path/'out', up, progress=False, want=Wanted(quality=80))
    assert not calls and not (tmp_path/'out').exists()
    enlarge_paths([tmp_path/'in'], tmp_path/'out', up, progress=False, want=Wanted(quality=80, keep_format=True))
    assert len(list((tmp_path/'out').glob('[ab]-x4.*'))) == 2

def test_what_was_read_with_fewer_bits_is_said(tmp_path, up, capsys):
    "In the line of a picture, in the summary of a folder and in the JSON."
    (tmp_path/'in').mkdir()
    Image.new('RGB', (4, 3)).save(tmp_path/'in'/'a.sgi')
    b = (tmp_path/'in'/'a.sgi').read_bytes(); (tmp_path/'in'/'a.sgi').write_bytes(b[:3] + b'\2' + b[4:512] + bytes(72))
    for src in (tmp_path/'in'/'a.sgi', tmp_path/'in'):
        res = enlarge_paths([src], tmp_path/'out', up, again=True, want=Wanted())
        assert [d['lost'] for d in res['done']] == ['colours of 16 bits were read as 8']
        assert 'colours of 16 bits were read as 8' in capsys.readouterr().out

def test_formats_of_a_folder(tmp_path, up):
    "A format for all, that of each, and its quality; what was made in another way does not count as done, what was made so does."
    d = tmp_path/'in'; picture(d/'a.png', (40, 30)); picture(d/'b.jpg', (40, 30)); picture(d/'c.bmp', (40, 30))
    run = lambda **kw: enlarge_paths([d], tmp_path/'out', up, progress=False, want=Wanted(**kw))
    names = lambda r: sorted(Path(f['dst']).name for f in r['done'])
    assert names(run(format='webp')) == ['a-x4.webp', 'b-x4.webp', 'c-x4.webp']
    big = {p.name: p.stat().st_size for p in (tmp_path/'out').glob('*.webp')}
    assert len(run(format='webp', quality=50)['done']) == 3 and len(run(format='webp', quality=50)['kept']) == 3
    assert all(p.stat().st_size < .8*big[p.name] for p in (tmp_path/'out').glob('*.webp'))
    assert names(run(keep_format=True)) == ['a-x4.png', 'b-x4.jpg', 'c-x4.bmp']
    assert [Image.open(tmp_path/'out'/n).format for n in ('a-x4.png', 'b-x4.jpg', 'c-x4.bmp')] == ['PNG', 'JPEG', 'BMP']

def film(path, n=3, **kw):
    frames = [Image.fromarray((np.mgrid[:6, :8, :3].transpose(1, 2, 3, 0)@[20, 11, 30] + 25*i).astype(np.uint8)) for i in range(n)]
    frames[0].save(path, save_all=True, append_images=frames[1:], **kw)
    return path, frames

@pytest.mark.parametrize('name', ['a.png', 'a.webp', 'a.gif', 'a.tif'])
@pytest.mark.parametrize('where', ['alone', 'in a folder', 'at once'])
def test_frames(tmp_path, name, where, up, monkeypatch, capsys):
    "The first alone, and said; or all of them, each as the network makes it, with the times of the film."
    (tmp_path/'in').mkdir(); times = {} if name.endswith('tif') else dict(duration=[50, 120, 300], loop=2)
    src, _ = film(tmp_path/'in'/name, **times, **(dict(lossless=True) if name.endswith('webp') else {}))
    if where != 'alone': src = src.parent
    if where == 'at once': monkeypatch.setattr(up.engine, 'threads', 2); picture(tmp_path/'in'/'b.png', (4, 4))
    r = enlarge_paths([src], tmp_path/'one', up)
    assert [d['frames'] for d in r['done'] if 'frames' in d] == [[1, 3]] and '--frames enlarges' in capsys.readouterr().out
    r = enlarge_paths([src], tmp_path/'all', up, want=Wanted(frames=True))
    d = next(d for d in r['done'] if 'frames' in d)
    assert d['frames'] == [3, 3] and '--frames enlarges' not in capsys.readouterr().out and Path(d['dst']).name == name.replace('.', '-x4.')
    made, of = list(read_frames(d['dst'])), list(read_frames(tmp_path/'in'/name, icc='keep'))
    assert [s for _, s in made] == [s for _, s in of] == ([None]*3 if 'tif' in name else [.05, .12, .3])
    if 'tif' not in name: assert Image.open(d['dst']).info['loop'] == 2
    for (got, _), (img, _) in zip(made, of):
        off = np.abs(to_array(got).astype(int) - to_array(up(img)).astype(int))
        assert got.size == (32, 24) and (off.mean() < 12 if name[-3:] in ('gif', 'ebp') else off.max() <= 1)       # 256 colours, WebP's quality

def test_another_picture_of_that_name_is_done(tmp_path, up):
    a, b, out = tmp_path/'a', tmp_path/'b', tmp_path/'out'
    for d, c in ((a, 'red'), (b, 'blue')): d.mkdir(); Image.new('RGB', (8, 8), c).save(d/'i.png')
    os.utime(b/'i.png', (1e9, 1e9))
    n = lambda d: len(enlarge_paths([d], out, up, progress=False)['done'])
    assert [n(a), n(a)] == [1, 0]
    for p in b, b/'i.png':
        with pytest.raises(ValueError, match='i-x4.png is the result of .*a/i.png, and that of .*b/i.png would take its place'): enlarge_paths([p], out, up, progress=False)
    assert open_image(out/'i-x4.png').getpixel((9, 9))[0] > 200                # still that of the red one
    assert len(enlarge_paths([b], out, up, again=True, progress=False)['done']) == 1 and n(b) == 0
    log = out/'.upscaled.jsonl'           # of an earlier version: no size, no hash
    lines = [{k: v for k, v in json.loads(l).items() if k != 'of'} for l in log.read_text().splitlines()]
    log.write_text(''.join(json.dumps(l) + '\n' for l in lines)); assert n(b) == 0

def test_a_kept_picture_is_hashed_only_where_its_date_is_new(tmp_path, up, monkeypatch):
    src, asked, real = picture(tmp_path/'in'/'a.png'), [], folders._print_of
    monkeypatch.setattr(folders, '_print_of', lambda p: (asked.append(p.name), real(p))[1])
    def run(): asked.clear(); r = enlarge_paths([src.parent], tmp_path/'out', up, progress=False); return len(r['done']), bool(asked)
    assert [run(), run()] == [(1, True), (0, False)]
    os.utime(src, (1e9, 1e9)); assert [run(), run()] == [(0, True), (0, False)]
    picture(src, seed=1); os.utime(src, (9e8, 9e8)); assert run() == (1, True)            # another picture, older
