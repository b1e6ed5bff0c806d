"What Windows does otherwise, imitated: found with its Python and this package's wheel under Wine."
import io, os, subprocess, sys
from pathlib import Path
from types import SimpleNamespace
import pytest
from srgan_course.kit import files, lists, shards

fcntl = pytest.importorskip('fcntl')         # Windows itself needs no imitation

def test_a_drive_that_is_not_there(monkeypatch, tmp_path):
    r"Nothing of Q:\x\y.png is there, its drive neither: the walk upwards came to no end, or to StopIteration."
    asked, real = [], Path.is_dir
    def nowhere(p):
        asked.append(p); assert len(asked) < 100, 'for ever'
        return False
    gone = tmp_path/'gone'
    monkeypatch.setattr(Path, 'is_dir', nowhere)
    assert not files.ignores_case(gone)
    monkeypatch.setattr(Path, 'is_dir', real); monkeypatch.setattr(os.path, 'lexists', lambda p: False)
    monkeypatch.setattr(Path, 'exists', lambda p: False); monkeypatch.setattr(Path, 'is_dir', lambda p: False)
    for path, kw in (gone, dict(folder=True)), (gone/'a.png', {}), (gone/'a.png', dict(make=True)):
        with pytest.raises((FileNotFoundError, NotADirectoryError), match='there is no folder|is not there'): files.writable(path, **kw)

def test_a_list_in_an_old_code_page(monkeypatch, tmp_path):
    "Windows decodes names strictly: the first line of another code page ended the list."
    def strict(b): return b.decode('utf-8', 'surrogatepass')
    monkeypatch.setattr(os, 'fsdecode', strict)
    (tmp_path/'list.txt').write_bytes('a.png\r\nkäse.png\r\nb.png\r\n'.encode('cp1252'))
    got = [line for _, line in lists.numbered_lines(tmp_path/'list.txt', 0, 1)]
    assert got[::2] == ['a.png', 'b.png'] and os.fsencode(got[1]) == b'k\xe4se.png'
    with pytest.raises(ValueError, match='UTF-8'): lists.check_line(tmp_path, got[1])

def test_a_long_name_is_cut_between_its_letters(monkeypatch, tmp_path):
    "Half a letter is no name on Windows or a Mac; and what a process that died left of such a file is found again."
    tmp, real = [], os.replace
    monkeypatch.setattr(os, 'replace', lambda a, b: (tmp.append(Path(a)), real(a, b)))
    dst = files.write_whole(tmp_path/f'{"猫"*40}.png', b'x')
    tmp[0].name.encode('utf-8'); assert dst.read_bytes() == b'x' and tmp[0].name.startswith('.猫猫猫')
    tmp[0].write_bytes(b'half')
    s = shards.Shard.__new__(shards.Shard)
    s.out, s.log = tmp_path, SimpleNamespace(begun={'猫'*40})
    shards.Shard.clear(s, '猫'*40)
    assert not tmp[0].exists() and dst.exists()

@pytest.mark.parametrize('name', ['straße', '猫'*40])
def test_a_name_in_a_locale_that_lacks_its_letters(name, tmp_path):
    "Its bytes come back as they were."
    code = "import sys; from srgan_course.kit.files import write_whole; write_whole(sys.argv[1], b'x')"
    env = {**os.environ, 'LC_ALL': 'C', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'}
    r = subprocess.run([sys.executable, '-c', code, f'{name}.bin'], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert r.returncode == 0 and [p.name for p in tmp_path.iterdir()] == [f'{name}.bin'], r.stderr

def test_letters_that_the_terminal_lacks(monkeypatch, capsysbinary):
    "A code page lacks most letters: what a command prints comes out escaped, and the command goes on."
    from srgan_course.kit import commands
    out = io.TextIOWrapper(io.BytesIO(), encoding='cp1252')
    monkeypatch.setattr(sys, 'stdout', out); monkeypatch.setattr(os, 'name', 'nt')
    assert commands._steady_streams() is None
    print('猫 ä'); out.flush()
    assert out.buffer.getvalue() == b'\\u732b \xe4' + os.linesep.encode()

def test_what_is_synced_may_be_written(monkeypatch, tmp_path):
    "Windows refuses to sync what is open for reading only: a tar of any pictures ended its shard, after all the work."
    from test_scale import a_tar, toy_work
    asked = []
    monkeypatch.setattr(os, 'fsync', lambda fd: asked.append(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE))
    a_tar(tmp_path/'t.tar', ('x.png', b'x')); (tmp_path/'list.txt').write_text('t.tar\n')
    assert shards.run_shard(tmp_path/'list.txt', 0, 1, tmp_path/'out', toy_work())['done'] == 1
    assert asked and os.O_RDONLY not in asked
