"Where results are to go is looked at before anything is computed: by every command that writes, for every kind of place that will not do."
import os, sys
import pytest
from fastcore.script import _run_cli
from srgan_course import cli, deploy, scale
from srgan_course.kit import engines, hub
from test_options import COMMANDS, POS, Began, lazy                                     # noqa: F401

ALL = COMMANDS | {'scale': deploy.scale}
# what is asked for, with a * where the place stands; the suffix of a file, or '' for a folder
WRITES = {'upscale pics/0.png --out=*': '.png', 'upscale pics --out=*': '', 'upscale --manifest list.txt --out=*': '', 'scale pics --out=*': '',
          'cats --out=*': '.png', 'cats --gif --out=*': '.gif', 'cats --train toy --out=*': '', 'train --out=*': '', 'demo --out=*': '',
          'classify --train pets-toy --out=*': '', 'recognise --train pets-toy --out=*': '', 'recognise pics/0.png --out=*': '.jpg',
          'evaluate --model bicubic --data pics --result=*': '.json', 'fid pics pics --features random --result=*': '.json',
          'fid pics pics --features random --cache=*': '', 'fid pics --features random --save-stats=*': '.npz', 'models light-x4 --export=*': '.onnx',
          'models --convert w.pth --out=*': '.safetensors', 'models --pull a/b --out=*': '', 'lessons --no-open --to=*': ''}
MAKES = {'recognise pics/0.png --out=*', 'evaluate --model bicubic --data pics --result=*', 'fid pics pics --features random --result=*'}

def places(call):
    "Places that will not do."
    if not (end := WRITES[call]): return ['taken', 'taken/sub', 'shut/sub']
    into = [] if call.startswith('upscale') else [f'folder{end}']                              # where results may go
    return into + [f'taken/a{end}', f'shut/a{end}'] + ([] if call in MAKES else [f'none/a{end}'])

@pytest.mark.parametrize('call', WRITES)
def test_no_place_for_the_result(call, lazy, monkeypatch, capsys, tmp_path):            # noqa: F811
    "One line that names it, before anything is computed; and a good place is taken."
    def begin(*args, **kwargs): raise Began
    for where, name in ((engines.OnnxEngine, '__call__'), (scale, 'scale_out'), (hub, '_client'), (hub, 'convert_file'), (engines, 'export_file')): monkeypatch.setattr(where, name, begin)
    real = os.access
    monkeypatch.setattr(os, 'access', lambda p, mode, **kw: real(p, mode, **kw) and not str(p).endswith('shut'))       # also for root
    (tmp_path/'taken').touch(); (tmp_path/'list.txt').write_text('pics/0.png\n')
    for d in 'shut', f'folder{WRITES[call]}': (tmp_path/d).mkdir()
    before = sorted(tmp_path.rglob('*'))
    name = call.split()[0]
    for place in places(call):
        monkeypatch.setattr(sys, 'argv', [f'srgan-{name}', *call.replace('*', place).split()[1:]])
        with pytest.raises(SystemExit) as e: _run_cli(ALL[name].__wrapped__, False, POS.get(name))
        *more, last = capsys.readouterr().err.strip().splitlines()
        assert e.value.code == 2 and place.split('/')[0] in last and last.startswith(f'srgan-{name}: '), (place, more, last)
        assert sorted(tmp_path.rglob('*')) == before, place

@pytest.mark.skipif(not os.path.isdir('/proc/self'), reason='no /proc')
@pytest.mark.parametrize('call', WRITES)
def test_a_place_where_nothing_can_be_made(call, lazy, monkeypatch, capsys, tmp_path):                                   # noqa: F811
    "Its rights may say otherwise: what the disk itself says to a first file is told, with the place, before anything is computed."
    real = os.access
    monkeypatch.setattr(os, 'access', lambda p, mode, **kw: str(p) == '/proc' or real(p, mode, **kw))                     # as for root
    (tmp_path/'list.txt').write_text('pics/0.png\n')
    name, place = call.split()[0], f'/proc/none{WRITES[call]}'
    monkeypatch.setattr(sys, 'argv', [f'srgan-{name}', *call.replace('*', place).split()[1:]])
    with pytest.raises(SystemExit) as e: _run_cli(ALL[name].__wrapped__, False, POS.get(name))
    *_, last = capsys.readouterr().err.strip().splitlines()
    assert e.value.code == 2 and last.startswith(f'srgan-{name}: {place}: nothing can be made in /proc (') and last.endswith('; give another place')

@pytest.mark.parametrize('out, said', [('a.xyz', "'.xyz'"), ('a.jpg', 'at most 65,500'), ('cats', 'has no suffix')])
def test_cats_in_a_format_that_cannot_hold_them(out, said, lazy, monkeypatch, tmp_path):                                # noqa: F811
    with pytest.raises(ValueError, match=said): cli.cats(n=1000, interpolate=True, out=tmp_path/out)
    assert not list(tmp_path.glob('*cats*')) and not list(tmp_path.glob('a.*'))

def test_a_figure_in_a_format_that_nobody_draws(lazy, tmp_path):                                                         # noqa: F811
    with pytest.raises(ValueError, match='ends in .jpg'): cli.recognise(tmp_path/'pics'/'0.png', out=tmp_path/'a.xyz')
