"`srgan-models --push` and `--pull` against a small server that answers as the Hugging Face Hub does; without huggingface_hub, one line."
import base64, hashlib, json, os, pickle, re, subprocess, sys, threading, warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import pytest, torch
from srgan_course.generators import LightSR, MODELS, load_model, save_model
from srgan_course.kit import hub
from srgan_course.kit.weights import read_weights

class Hub(BaseHTTPRequestHandler):
    "The calls of the Hub that create, upload, list and download."
    def log_message(self, *args): pass
    def answer(self, body=b'', code=200, **headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        for k, v in {'Content-Length': len(body), **headers}.items(): self.send_header(k.replace('_', '-'), str(v))
        self.end_headers()
        if self.command != 'HEAD': self.wfile.write(body)
    def do_POST(self):
        s, raw, path = self.server, self.rfile.read(int(self.headers.get('Content-Length') or 0)), self.path.split('?')[0]
        s.said.append(path)
        if path == '/api/repos/create':
            d = json.loads(raw); name = f"{d['organization']}/{d['name']}" if d.get('organization') else f"me/{d['name']}"
            s.repos.setdefault(name, {}); return self.answer(dict(url=f'{s.url}/{name}', id=name, name=name))
        if path == '/api/validate-yaml': return self.answer(dict(warnings=[], errors=[]))
        if m := re.fullmatch('/api/models/(.+)/preupload/main', path):
            mode = lambda p: 'lfs' if p.endswith(('.safetensors', '.jpg')) else 'regular'
            return self.answer(dict(files=[dict(path=f['path'], uploadMode=mode(f['path']), shouldIgnore=f['path'].endswith(s.ignored)) for f in json.loads(raw)['files']]))
        if path.endswith('.git/info/lfs/objects/batch'):
            up = lambda o: dict(oid=o['oid'], size=o['size'], actions=dict(upload=dict(href=f"{s.url}/lfs/{o['oid']}", header={})))
            return self.answer(dict(transfer='basic', objects=[up(o) for o in json.loads(raw)['objects']]))
        if m := re.fullmatch('/api/models/(.+)/commit/main', path):
            for line in map(json.loads, raw.splitlines()):
                v = line['value']
                if line['key'] == 'file': s.repos[m[1]][v['path']] = base64.b64decode(v['content'])
                if line['key'] == 'lfsFile': s.repos[m[1]][v['path']] = s.large[v['oid']]
            return self.answer(dict(success=True, commitOid='a'*40, commitUrl=f'{s.url}/{m[1]}/commit/{"a"*40}'))
        self.answer(dict(error='no such call'), 404)
    def do_PUT(self):
        raw = self.rfile.read(int(self.headers['Content-Length']))
        oid = self.path.rsplit('/', 1)[1]
        ok = hashlib.sha256(raw).hexdigest() == oid
        if ok: self.server.large[oid] = raw
        self.answer(code=200 if ok else 400)
    def do_GET(self):
        s, path = self.server, self.path.split('?')[0]
        if m := re.fullmatch('/api/models/([^/]+/[^/]+)(/revision/.+)?', path):
            if m[1] not in s.repos: return self.answer(dict(error='Repository not found'), 404, X_Error_Code='RepoNotFound')
            lfs = lambda b: dict(sha256=hashlib.sha256(b).hexdigest(), size=len(b), pointerSize=134)
            files = [dict(rfilename=k, size=len(b), blobId='b'*40) | (dict(lfs=lfs(b)) if k.endswith(('.safetensors', '.jpg', '.bin')) else {})
                     for k, b in s.repos[m[1]].items()]
            return self.answer(dict(id=m[1], modelId=m[1], sha='a'*40, siblings=files or None, tags=[], private=False, downloads=0, likes=0))
        if m := re.fullmatch('/([^/]+/[^/]+)/resolve/[^/]+/(.+)', path):
            b = s.repos[m[1]][m[2]]; s.said.append(f'GET {m[2]}')
            etag = hashlib.sha256(b).hexdigest()
            if s.damage and m[2].endswith('.safetensors'): b = bytes([b[-1] ^ 1]).rjust(1) if len(b) < 2 else b[:-1] + bytes([b[-1] ^ 1])
            return self.answer(b, ETag=f'"{etag}"', X_Repo_Commit='a'*40, X_Linked_Size=len(b), X_Linked_Etag=f'"{etag}"', Accept_Ranges='none')
        self.answer(dict(error='not here'), 404)
    do_HEAD = do_GET

@pytest.fixture
def there(monkeypatch, tmp_path):
    "The stand-in, at the address that HF_ENDPOINT names."
    monkeypatch.setenv('HF_HOME', str(tmp_path/'hf')); monkeypatch.setenv('HF_TOKEN', 'hf_stand_in'); monkeypatch.setenv('HF_HUB_DISABLE_XET', '1')
    pytest.importorskip('huggingface_hub', reason="pip install 'srgan_course[hub]'")
    def never(*args, **kwargs): raise AssertionError('a pickle was opened')
    for where, name in ((pickle, 'load'), (pickle, 'loads'), (torch, 'load')): monkeypatch.setattr(where, name, never)
    server = ThreadingHTTPServer(('127.0.0.1', 0), Hub)
    server.url = f'http://127.0.0.1:{server.server_address[1]}'
    server.repos, server.large, server.said, server.damage, server.ignored = {}, {}, [], False, ()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv('HF_ENDPOINT', server.url)
    yield server
    server.shutdown()

def test_there_and_back(there, tmp_path, capsys):
    "A model that ships goes out with its card and the card's picture, and comes back as the same bytes."
    from srgan_course import cli
    cli.models('light-x2', push='me/light')
    assert sorted(there.repos['me/light']) == ['README.md', 'light-x2-failures.jpg', 'light-x2.safetensors']
    card = there.repos['me/light']['README.md'].decode()
    assert card.startswith('---\nlicense: apache-2.0\nlibrary_name: srgan_course\n') and '## Where it fails' in card
    cli.models(pull='me/light', out=tmp_path/'got')
    said = capsys.readouterr().out
    assert 'light-x2.safetensors' in said and f'--model {tmp_path/"got"/"light-x2.safetensors"}' in said and 'left there: light-x2-failures.jpg' in said
    assert (tmp_path/'got'/'light-x2.safetensors').read_bytes() == (MODELS/'light-x2.safetensors').read_bytes()
    assert load_model(tmp_path/'got'/'light-x2.safetensors').args['scale'] == 2 and sorted(os.listdir(tmp_path/'got')) == ['README.md', 'light-x2.safetensors']
    hub.pull_model('me/light', tmp_path/'got')                                # the same again is no harm
    hub.push_model(tmp_path/'got'/'light-x2.safetensors', 'me/copy'); assert there.repos['me/copy']['README.md'].decode() == card
    mine = save_model(LightSR(2, 4, 1), tmp_path/'got'/'mine.safetensors')    # beside it, a model without a card: that one is another's
    with pytest.raises(FileNotFoundError, match='mine.md: a model goes out with its card'): hub.push_model(mine, 'me/mine')
    mine.unlink()
    (tmp_path/'got'/'README.md').write_text('mine')
    with pytest.raises(ValueError, match='holds another README.md; give another folder'): hub.pull_model('me/light', tmp_path/'got')

def test_what_a_hub_leaves_out_is_said(there):
    "A .gitignore in the repository keeps weights out; the client only logs it, and the command said that they had gone up."
    there.ignored = ('.safetensors',)
    with pytest.raises(ValueError, match='^me/light leaves out light-x2.safetensors, which its .gitignore names; change that'):
        hub.push_model('light-x2', 'me/light')
    assert 'README.md' in there.repos['me/light'] and 'light-x2.safetensors' not in there.repos['me/light']
    there.repos['them/empty'] = {}                                            # of which the stand-in, as some mirrors, says no files at all
    with pytest.raises(ValueError, match='them/empty has no .safetensors file .it is empty'): hub.pull_model('them/empty')

def test_tensors_that_no_safetensors_file_holds(tmp_path):
    "Refused in one line, and no file is left; two that would have one name without `module.` keep their own."
    def convert(**d): torch.save(d, tmp_path/'x.pth'); return hub.convert_file(tmp_path/'x.pth')
    for d, says in ((dict(a=torch.ones(3, dtype=torch.complex128)), 'torch.complex128, which safetensors cannot hold'),
                    (dict(a=torch.eye(3).to_sparse_csr()), 'a is quantised, sparse or without numbers'),
                    (dict(__metadata__=torch.ones(2)), 'a tensor is called __metadata__')):
        with pytest.raises(ValueError, match=f'x.pth: .*{says}') as e: convert(**d)
        assert '\n' not in str(e.value) and not (tmp_path/'x.safetensors').exists()
    assert '2 tensors, 5 numbers' in convert(**{'module.a': torch.ones(2), 'a': torch.zeros(3)})
    assert {k: len(v) for k, v in read_weights(tmp_path/'x.safetensors').items()} == {'module.a': 2, 'a': 3}

def test_only_three_kinds_are_fetched(there, tmp_path):
    model = save_model(LightSR(2, 4, 1), tmp_path/'m.safetensors').read_bytes()
    there.repos['them/mixed'] = {'m.safetensors': model, 'pytorch_model.bin': b'\x80\x04K\x01.', 'run.py': b'1/0', 'config.json': b'{}',
                                 'sub/x.safetensors': model, '../up.json': b'{}', '.gitattributes': b'*'}
    said = hub.pull_model('them/mixed', tmp_path/'got')
    assert sorted(os.listdir(tmp_path/'got')) == ['config.json', 'm.safetensors'] and not (tmp_path/'up.json').exists()
    assert 'left there: pytorch_model.bin, run.py, sub/x.safetensors, ../up.json' in said
    assert not any('pytorch_model.bin' in s for s in there.said)                                      # not even asked for
    there.repos['them/pickles'] = {'pytorch_model.bin': b'\x80\x04K\x01.'}
    with pytest.raises(ValueError, match='has no .safetensors file .pytorch_model.bin'): hub.pull_model('them/pickles', tmp_path/'none')

def test_what_arrives_damaged_is_refused(there, tmp_path):
    there.repos['them/m'] = {'m.safetensors': save_model(LightSR(2, 4, 1), tmp_path/'m.safetensors').read_bytes()}
    there.damage = True
    with pytest.raises((ValueError, OSError), match='them/m.*(damaged|onsistency)') as e: hub.pull_model('them/m', tmp_path/'got')
    assert '\n' not in str(e.value) and not (tmp_path/'got').exists()

def test_errors_are_one_line(there, tmp_path):
    mine = save_model(LightSR(2, 4, 1), tmp_path/'mine.safetensors')
    for f, line in ((lambda: hub.pull_model('them/nothing'), 'them/nothing: the Hub says: '), (lambda: hub.pull_model('nothing'), 'give OWNER/NAME'),
                    (lambda: hub.push_model(mine, 'me/mine'), 'mine.md: a model goes out with its card')):
        with pytest.raises((ValueError, OSError), match=line) as e: f()
        assert '\n' not in str(e.value)
    assert not there.repos

@pytest.mark.parametrize('call', ['/api/models/', '/api/repos/create', '/preupload/', '.git/info/lfs', '/lfs/', '/commit/main'])
def test_a_hub_that_never_answers(there, tmp_path, monkeypatch, call):
    "Each call ends, in one line, and nothing is left."
    there.repos['them/m'] = {'m.safetensors': save_model(LightSR(2, 4, 1), tmp_path/'m.safetensors').read_bytes()}
    over, ask, waited = threading.Event(), Hub.answer, []
    def silent(self, *args, **kwargs):
        if call in self.path: waited.append(over.wait(60)); return
        ask(self, *args, **kwargs)
    monkeypatch.setattr(Hub, 'answer', silent); monkeypatch.setattr(hub, 'WAIT', .2)
    monkeypatch.setattr('time.sleep', lambda s: None)                          # the client's own pauses between its attempts
    with pytest.raises(OSError, match='m: the Hub could not be reached') as e:
        hub.pull_model('them/m', tmp_path/'got') if call == '/api/models/' else hub.push_model('light-x2', 'me/m')
    over.set()
    assert False not in waited                                                 # nobody waited for the server's end
    assert '\n' not in str(e.value) and not (tmp_path/'got').exists()

def test_without_the_client(tmp_path):
    "The extra is named, in one line."
    code = ("import sys; sys.modules['huggingface_hub'] = None; sys.argv = ['srgan-models', '--pull', 'me/x']\n"
            "from fastcore.script import _run_cli\nfrom srgan_course import cli\n_run_cli(cli.models.__wrapped__, False)")
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=tmp_path)
    assert r.returncode == 2 and r.stderr.strip() == "srgan-models: --push and --pull need huggingface_hub: pip install 'srgan_course[hub]'", r.stderr

def test_another_card_is_not_replaced(there):
    "A repository has one card: a second model would take its place."
    hub.push_model('light-x2', 'me/light'); before = dict(there.repos['me/light'])
    with pytest.raises(ValueError, match='me/light holds another model .light-x2.safetensors.*give a repository of its own'): hub.push_model('light-x4', 'me/light')
    assert there.repos['me/light'] == before
    hub.push_model('light-x2', 'me/light')                                    # the same model anew

def test_what_is_no_model_is_told(there, tmp_path):
    there.repos['them/junk'], there.repos['them/deep'] = {'a.safetensors': b'x'*99}, {'w/a.safetensors': b'x'*99}
    assert 'a.safetensors is a network of others, or none at all' in hub.pull_model('them/junk', tmp_path/'got')
    with pytest.raises(ValueError, match='them/deep has its weights in folders .w/a.safetensors.'): hub.pull_model('them/deep', tmp_path/'none')

def test_a_model_that_lies_there_damaged_is_called_so(there, tmp_path):
    "By its header, and where that is gone, too, by its card; one of others is still one of others."
    from safetensors.torch import save
    whole, card = save_model(LightSR(2, 4, 1), tmp_path/'m.safetensors').read_bytes(), {'README.md': b'---\nlibrary_name: srgan_course\n---\n'}
    flip = lambda i: whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1:]
    for i, (raw, more) in enumerate(((flip(-2), {}), (whole[:-9], {}), (whole[:len(whole)//2], {}), (flip(20), {}), (whole[:5], card), (b'', card))):
        there.repos[f'them/m{i}'] = {'m.safetensors': raw, **more}
        said = hub.pull_model(f'them/m{i}', tmp_path/f'{i}')
        assert f'{i}/m.safetensors: damaged' in said and said.endswith('so it lies there: tell its owner') and 'of others' not in said, said
    there.repos['them/else'] = {'m.safetensors': save({'a': torch.ones(2)}), **card}
    assert 'm.safetensors is a network of others' in hub.pull_model('them/else', tmp_path/'else')

def test_odd_tables_are_one_line(tmp_path):
    for i, (table, line) in enumerate((({1: torch.ones(2)}, 'holds no table of weights'), *(({'a': t}, 'a is quantised, sparse or without numbers') for t in (torch.ones(2).to_sparse(), torch.ones(2, device='meta'))))):
        torch.save(table, p := tmp_path/f'{i}.pth')
        with pytest.raises(ValueError, match=line): hub.convert_file(p)
        assert not p.with_suffix('.safetensors').exists()
    with pytest.raises(ValueError, match="'.' is no file; give the .pth"): hub.convert_file('.')

def test_a_pickle_with_the_other_name(tmp_path):
    "The commands said: convert it; and the conversion said: it is a safetensors file already, also of one that is not there."
    torch.save({'w': torch.ones(2)}, p := tmp_path/'renamed.safetensors')
    with pytest.raises(ValueError, match='whatever its name says; rename it to end in .pth, and convert that'): hub.convert_file(p)
    p = p.rename(tmp_path/'renamed.pth'); hub.convert_file(p)
    with pytest.raises(ValueError, match='renamed.safetensors is a safetensors file already'): hub.convert_file(tmp_path/'renamed.safetensors')
    with pytest.raises(OSError, match='none.safetensors: there is no such file'): hub.convert_file(tmp_path/'none.safetensors')

def test_what_holds_no_weights_is_told_in_words(tmp_path):
    "A picture, a tar file, a folder, a cut file, objects: no class of Python, and what to give instead."
    import tarfile
    from PIL import Image
    Image.new('RGB', (9, 9)).save(tmp_path/'a.jpg'); (tmp_path/'d').mkdir()
    with tarfile.open(tmp_path/'t.tar', 'w') as t: t.add(tmp_path/'a.jpg')
    torch.save({'a': torch.ones(99)}, tmp_path/'cut.pth'); (tmp_path/'cut.pth').write_bytes((tmp_path/'cut.pth').read_bytes()[:400])
    torch.save({'a': os.mkdir}, tmp_path/'o.pth'); torch.save({'a': torch.ones(2)}, tmp_path/'d'/'whole.pth')
    for name in 'a.jpg', 't.tar', 'cut.pth', 'o.pth', 'd':
        with pytest.raises((ValueError, OSError)) as e: hub.convert_file(tmp_path/name)
        want = 'd: a folder; give a file in it' if name == 'd' else f'{name} cannot be read as weights alone: damaged, or no .pth or .pt of tensors; give one'
        assert want in str(e.value) and 'Error' not in str(e.value) and '\n' not in str(e.value)
    assert 'whole.safetensors: 1 tensors' in hub.convert_file(tmp_path/'d'/'whole.pth')

def test_options_without_their_command(tmp_path):
    "Nothing is passed over: --out alone, and a name that is empty."
    from srgan_course import cli
    for kw, line in ((dict(out=tmp_path/'x'), '--out .* goes with --convert or --pull'), (dict(pull=''), '--pull has no name; give OWNER/NAME'),
                     (dict(push=''), '--push has no name')):
        with pytest.raises(ValueError, match=line): cli.models(**kw)

def test_of_two_tables_of_weights_it_is_said_which_is_taken(tmp_path):
    "The averaged ones; a single table is taken without a word."
    from srgan_course.kit.weights import read_weights
    ones = {'a': torch.ones(2)}
    torch.save(dict(params={'a': torch.zeros(2)}, params_ema=ones), two := tmp_path/'two.pth'); torch.save(dict(params=ones), one := tmp_path/'one.pth')
    with pytest.warns(UserWarning, match=r'two.pth holds 2 tables of weights .params_ema, params.: params_ema is taken'): d = read_weights(two)
    with warnings.catch_warnings(): warnings.simplefilter('error'); assert torch.equal(read_weights(one)['a'], d['a'])

def test_a_table_is_found_where_others_put_it(tmp_path):
    "By the names of the field, in another table, or as the only one; of several by other names it is said which there are."
    from srgan_course.kit.weights import read_weights
    ones, zeros, f = {'a': torch.ones(2)}, {'a': torch.zeros(2)}, tmp_path/'x.pth'
    for d in ({'model': {'state_dict': ones}, 'step': 3}, {'net': ones, 'disc': zeros}, {'generator': ones, 'epoch': 1}, {0: ones}):
        torch.save(d, f); assert torch.equal(read_weights(f)['a'], ones['a'])
    torch.save({'g': ones, 'd': zeros, 'step': 3}, f)
    with pytest.raises(ValueError, match='x.pth: holds 2 tables of weights .g, d., none called params or state_dict; save one alone'): hub.convert_file(f)
    round_and_round = {'step': 3}; round_and_round['model'] = round_and_round; torch.save(round_and_round, f)
    with pytest.raises(ValueError, match='holds no table of weights'): hub.convert_file(f)

@pytest.mark.parametrize('zipped', [True, False])
def test_a_cut_pth_is_damaged_wherever_it_is_cut(zipped, tmp_path):
    "torch calls some of them an invalid argument of the system's."
    torch.save({f'layer.{i}': torch.rand(9, 9) for i in range(20)}, f := tmp_path/'x.pth', _use_new_zipfile_serialization=zipped)
    whole = f.read_bytes()
    for n in (1, 100, len(whole)//2, len(whole)*9//10, len(whole) - 10, len(whole) - 1):
        f.write_bytes(whole[:n])
        with pytest.raises(ValueError, match='x.pth cannot be read as weights alone: damaged'): hub.convert_file(f)

def test_cards_that_are_read_by_nobody_or_have_a_head(there, tmp_path):
    mine = save_model(LightSR(2, 4, 1), tmp_path/'mine.safetensors')
    mine.with_suffix('.md').write_bytes('# é'.encode('latin-1'))
    with pytest.raises(ValueError, match='mine.md is no UTF-8; save it as UTF-8'): hub.push_model(mine, 'me/mine')
    mine.with_suffix('.md').write_text(card := '---\nlicense: mit\n---\n# mine\n')
    hub.push_model(mine, 'me/mine'); assert there.repos['me/mine']['README.md'].decode() == card               # its own licence, said once
    mine.with_suffix('.md').write_text(card, encoding='utf-8-sig')           # as Notepad saves it
    hub.push_model(mine, 'me/mine'); assert there.repos['me/mine']['README.md'].decode() == card
    mine.with_suffix('.md').unlink(); mine.with_name('README.md').write_text('# of the project, and no card')
    with pytest.raises(FileNotFoundError, match='mine.md: a model goes out with its card'): hub.push_model(mine, 'me/mine')

def test_what_is_wrong_here_is_not_put_down_to_the_hub(there, tmp_path, monkeypatch):
    "A folder in a card's place is said before anything is fetched; a full disk is this machine's; an answer without its fields is no Hub's."
    there.repos['them/m'] = {'m.safetensors': save_model(LightSR(2, 4, 1), tmp_path/'m.safetensors').read_bytes(), 'README.md': b'# m'}
    (tmp_path/'got'/'README.md').mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match='README.md is a folder'): hub.pull_model('them/m', tmp_path/'got')
    assert not there.said
    for e, said in ((OSError(28, 'No space left on device'), r'No space left on device, on this machine.*TMPDIR'), (KeyError('id'), 'what answered is no Hub .*HF_ENDPOINT')):
        def broken(*args, **kwargs): raise e
        with pytest.raises(OSError, match=said) as got: hub._asked('them/m', broken)
        assert '\n' not in str(got.value)
