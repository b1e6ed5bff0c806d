#!/usr/bin/env python3
"""Half an hour on a GPU: light-x4 on larger patches and batches, then srgan-x4, then cats of 64 features; what it needs fits into a small
folder, and what it makes comes back in small files.

usage: gpu.py pack [--pack FOLDER] [--room MB]    choose the pictures with the most detail of hr and bsds500 that fit into so many
       megabytes (copied, not compressed again; none that is held out), and add held-out ones to watch by, the cat faces and VGG19
       gpu.py run [--minutes M] [--only NAME...]  go on with the three studies for so long, each where it stopped; ten minutes at a time,
       with one study in each, lets every schedule come to its end
       gpu.py run --quick                         ten small steps of each on whatever device there is, and its weights: does it all run?
       gpu.py fetch --out FOLDER [--size MB]      weights, histories and figures as one archive, cut into files of at most so many
       megabytes; of a study that is not finished its newest checkpoint, too, as long as all of it stays under --most megabytes
       gpu.py restore --out FOLDER                put back what `fetch` has brought, so that `run` goes on with it

The studies are trained by `srgan-train` and `srgan-cats --train`, by recipes of the course with what a GPU changes: batches, patches,
precision, processes that cut patches. They are stopped with a checkpoint when the time is over.
"""
import io, os, shutil, sys, tarfile
from itertools import accumulate
from pathlib import Path
import studies
from frame import RUNS, parser, read_json, write_json
from srgan_course.kit.checkpoints import checkpoints
from srgan_course.kit.devices import pick_device
from srgan_course.kit.runs import run_state

HOME, MB = RUNS/'gpu', 10**6
WATCHED = 10           # held-out pictures of each source that go along
LAST = 75              # seconds of a call that a training does not get: its start, and its figures at the end

# ---- what goes along

def detail(path):
    "How much a picture loses when it is made four times smaller: mean difference of its luminance to the bicubic enlargement, in levels."
    import numpy as np
    from srgan_course.images import crop_to_multiple, downscale, interpolate
    from srgan_course.kit.sources import get_picture
    hr = crop_to_multiple(get_picture(path).convert('L'), 4)
    return float(np.abs(np.asarray(hr, np.float32) - np.asarray(interpolate(downscale(hr, 4), 4), np.float32)).mean())

def size_of(paths): return sum(Path(p).stat().st_size for p in paths)

def choose(paths, room):
    "As many of the pictures with the most detail as fit into `room` bytes; (path, detail), most detail first."
    rows = sorted(((p, detail(p)) for p in paths), key=lambda r: (-r[1], str(r[0])))
    sums = accumulate(size_of([p]) for p, _ in rows)
    return [r for r, n in zip(rows, sums) if n <= room]

def spaced(items, n): return [items[i*len(items)//n] for i in range(min(n, len(items)))]

def pack(out, room, watched=WATCHED):
    "Everything that a run reads, in one folder; returns what stands in its pack.json."
    from srgan_course.kit.sources import bsds_split, find_source, hr_split
    from srgan_course.kit.weights import find_weights
    if out.exists(): raise ValueError(f'{out} is there already; give another folder, or take it away')
    hr, bsds = hr_split(), bsds_split()
    held = [*spaced(hr['valid'], watched), *spaced(bsds['valid'], watched)]
    vgg, cats = find_weights('vgg19*.safetensors'), find_source('catfaces')
    if vgg is None: raise FileNotFoundError('no file vgg19*.safetensors in the folder that SRGAN_WEIGHTS names; put one there')
    train = choose([*hr['train'], *bsds['train']], room*MB - size_of(held))
    source = {p: k for k, parts in dict(hr=hr, bsds500=bsds).items() for ps in parts.values() for p in ps}
    name = lambda p: f'{source[p]}-{p.name}'
    parts = {'train': {name(p): p for p, _ in train}, 'valid': {name(p): p for p in held},
             'catfaces': {p.name: p for p in cats}, 'weights': {vgg.name: vgg}}
    for folder, files in parts.items():
        (out/folder).mkdir(parents=True)
        for k, p in files.items(): shutil.copyfile(p, out/folder/k)
    what = dict(detail={name(p): round(d, 3) for p, d in train}, held_out=[*parts['valid']],
                bytes={k: size_of(files.values()) for k, files in parts.items()}, files={k: len(files) for k, files in parts.items()},
                of=len(hr['train']) + len(bsds['train']))
    write_json(out/'pack.json', what)
    return what

# ---- what is run

def deepest(folder, arch='vgg19'):
    "The name of the deepest feature net that the packed weights hold."
    from srgan_course.kit.vgg import vgg_names
    from srgan_course.kit.weights import read_weights
    have = {k.removeprefix('features.') for p in Path(folder).glob(f'{arch}*.safetensors') for k in read_weights(p)}
    if not have: raise FileNotFoundError(f'{folder}: no file {arch}*.safetensors; run gpu.py pack again')
    layers = [n for i, n in enumerate(vgg_names(arch)) if n.startswith('relu') and f'{i - 1}.weight' in have]
    return f'{arch}-oxford@{layers[-1]}'

def workers_for(cores, shared, batch):
    "Processes that cut patches: one a core but two, as far as two batches of each (bytes) fit into the memory that they share."
    return max(0, min(cores - 2, int((.8*shared/batch - 1)/2)))

def shared_memory():
    try: return shutil.disk_usage('/dev/shm').free
    except OSError: return 2**40                                   # a system that shares by other means

def recipes(feature_net, workers, quick=False):
    "Name -> recipe of a study. What a GPU changes is said here, and nothing else."
    from srgan_course.cats import CATS_RECIPES
    from srgan_course.srgan import RECIPES
    fed = dict(workers=workers, precision='bfloat16', steps_per_epoch=2000, save_every=1000)
    rs = {'light-x4': RECIPES['light-x4-more'].replace(bs=64, size=256, late_size=256, **fed),
          'srgan-x4': RECIPES['srgan-x4'].replace(bs=32, feature_net=feature_net, **fed),
          'cats': CATS_RECIPES['full'].replace(steps_per_epoch=2000, epochs=50, precision='float32')}
    few = dict(steps_per_epoch=5, epochs=2)
    small = {'light-x4': dict(bs=2, size=32, late_size=32, save_every=5), 'srgan-x4': dict(bs=2, size=48, save_every=5),
             'cats': dict(bs=4)}
    return {k: r.replace(name=f'{k}-gpu', **(few | small[k] if quick else {})) for k, r in rs.items()}

class Study(studies.Training):
    "An SRGAN's training, with as many steps as fit into the time left when it begins."
    def __init__(self, name, recipe, home, pack, device, minutes):
        self.name, self.out, self.pack, self.device, self.minutes, self.left = name, home/name, pack, device, minutes, None
        self.recipe = home/'recipes'/f'{name}.json'
        if not self.recipe.exists(): recipe.save(self.recipe)      # a run that goes on elsewhere keeps the number of its processes
    def state(self): return {'nothing': 'not begun'}.get(s := run_state(self.out), s)
    def fits(self, seconds):
        "It goes on with a minute left; it begins where most of its time is there."
        self.left = seconds
        return seconds > (60 if self.state() == 'begun' or not self.minutes else 45*self.minutes)
    def options(self):
        fresh = self.minutes and self.state() == 'not begun'
        return dict(recipe=str(self.recipe), data=str(self.pack/'train'), valid=str(self.pack/'valid'), out=str(self.out), resume=True,
                    device=self.device, **(dict(minutes=round(.9*(self.left - LAST)/60, 2)) if fresh else {}))
    def command(self, what='train'):
        args = [s for k, v in self.options().items() for s in ([f'--{k}'] if v is True else [f'--{k}', str(v)])]
        return [sys.executable, '-m', 'srgan_course', what, *args]
    def says(self): return str(self.out)

class Cats(Study):
    "The cats' game, which may end at any step: its generator is an average."
    def steps(self): return max((int(p.stem.split('-')[1]) for p in checkpoints(self.out/'checkpoints')), default=0)
    def planned(self): r = read_json(self.recipe); return r['epochs']*r['steps_per_epoch']
    def state(self): return 'finished' if self.steps() >= self.planned() else 'begun' if self.steps() else 'not begun'
    def fits(self, seconds): self.left = seconds; return seconds > 60
    def options(self):
        return dict(train=str(self.pack/'catfaces'), recipe=str(self.recipe), out=str(self.out), resume=True, device=self.device,
                    **(dict(minutes=round((self.left - 30)/60, 2)) if self.minutes else {}))
    def command(self): return super().command('cats')
    def says(self): return f'{self.out}, {self.steps():,} of {self.planned():,} steps'

def plan(home, pack, device, minutes, quick=False):
    "The three studies in their order. `minutes`: of a call; None for `quick`, whose recipes say how many steps."
    batch = 64*256**2*3*17/16
    rs = recipes(deepest(pack/'weights'), workers_for(4 if quick else os.cpu_count(), shared_memory(), batch), quick)
    return [(Cats if k == 'cats' else Study)(k, r, home, pack, device, minutes) for k, r in rs.items()]

def few(pack, folder):
    "A few of the packed pictures, the smallest, to try things with."
    for part, n in dict(train=4, valid=2, catfaces=24, weights=9).items():
        (folder/part).mkdir(parents=True, exist_ok=True)
        for p in sorted((pack/part).iterdir(), key=lambda p: p.stat().st_size)[:n]: shutil.copyfile(p, folder/part/p.name)
    return folder

def run(home, pack, device, minutes, only=(), quick=False):
    import torch
    if not (pack/'pack.json').exists(): raise FileNotFoundError(f'{pack} holds no pack.json; make it with gpu.py pack')
    dev = pick_device(device)
    name = torch.cuda.get_device_name(dev) if dev.type == 'cuda' else dev
    print(f'{name}, {os.cpu_count()} cores, torch {torch.__version__}', flush=True)
    if quick: pack = few(pack, home/'few')
    os.environ['SRGAN_WEIGHTS'] = str(pack.resolve()/'weights')
    todo = plan(home.resolve(), pack.resolve(), dev.type, None if quick else minutes, quick)
    studies.main(['--minutes', str(minutes), *(['--only', *only] if only else [])], todo)
    return [s for s in todo if quick and s.state() != 'finished']

# ---- what comes back

KEPT = 'generator.safetensors', 'pretrained.safetensors', 'recipe.json', 'results.json', 'pictures.json', 'generator.md', 'history*.csv'

def to_bring(home, most):
    "Files worth bringing; the newest checkpoint of a study that is not finished as long as all stay under `most` bytes together."
    found = [p for k in ('light-x4', 'srgan-x4', 'cats') for pattern in KEPT for p in sorted((home/k).glob(pattern))]
    found += sorted((home/'recipes').glob('*.json'))
    for k in 'light-x4', 'srgan-x4', 'cats':
        if run_state(home/k) == 'finished': continue
        for p in [p for folder in (home/k/'checkpoints', *(home/k/'checkpoints').glob('*')) for p in checkpoints(folder)[-1:]]:
            if size_of([*found, p]) <= most: found.append(p)
            else: print(f'{p.relative_to(home)}, {size_of([p])/MB:.1f} MB, stays: --most is {most/MB:g} MB', flush=True)
    return found

def fetch(home, out, size, most):
    "One archive, cut into files of at most `size` bytes."
    if not (files := to_bring(home, most)): raise FileNotFoundError(f'{home} holds nothing to bring; gpu.py run makes something')
    with tarfile.open(fileobj=(raw := io.BytesIO()), mode='w:gz') as tar:
        for p in files: tar.add(p, p.relative_to(home).as_posix())
    out.mkdir(parents=True, exist_ok=True)
    parts = [raw.getbuffer()[i:i + size] for i in range(0, len(raw.getbuffer()), size)]
    for i, b in enumerate(parts): (out/f'gpu.tar.gz.{i:02}').write_bytes(b)
    print(f'{len(files)} files in {len(parts)} parts, {len(raw.getbuffer())/MB:.1f} MB, in {out}')

def restore(home, folder):
    "The archive's files, where the runs are; what is there already is not touched."
    parts = sorted(folder.glob('gpu.tar.gz.*'))
    if not parts: raise FileNotFoundError(f'{folder} holds no gpu.tar.gz.00; give the folder that gpu.py fetch wrote')
    with tarfile.open(fileobj=io.BytesIO(b''.join(p.read_bytes() for p in parts))) as tar:
        todo = [m for m in tar if not (home/m.name).exists()]
        for m in todo: tar.extract(m, home, filter='data')
    print(f'{len(todo)} files put into {home}')

def main(argv=None):
    ap = parser(__doc__, quick=False, pack=dict(default=HOME/'pack', help='the folder that is packed, and read by run'),
                room=dict(default=40., help='megabytes of pictures to train on and to watch by'),
                runs=dict(default=HOME, help='where the runs stand'),
                minutes=9.5, device=dict(default=None, help='cuda, or with --quick what there is'),
                only=dict(nargs='+', default=[], help='only these studies'), out=dict(type=Path, help="fetch's folder"),
                size=dict(default=16., help='megabytes of a file'), most=dict(default=60., help='megabytes of all'))
    ap.add_argument('what', choices=('pack', 'run', 'fetch', 'restore'))
    a = ap.parse_args(argv)
    if a.what in ('fetch', 'restore') and not a.out: ap.error(f'{a.what} wants --out FOLDER')
    try:
        if a.what == 'pack':
            d = pack(a.pack, a.room)
            print(f"{d['files']['train']} of {d['of']} pictures, {len(d['held_out'])} to watch by, {d['files']['catfaces']:,} faces: "
                  f"{sum(d['bytes'].values())/MB:.1f} MB in {a.pack}")
        elif a.what == 'run':
            home = a.runs/'quick' if a.quick else a.runs
            return 1 if run(home, a.pack, a.device or ('auto' if a.quick else 'cuda'), a.minutes, a.only, a.quick) else 0
        elif a.what == 'fetch': fetch(a.runs, a.out, int(a.size*MB), int(a.most*MB))
        else: restore(a.runs, a.out)
    except (ValueError, OSError) as e: print(e, file=sys.stderr); return 1
    return 0

if __name__ == '__main__': sys.exit(main())
