"What the scripts here share: where things stand, arguments, seconds in turns, work that is kept, and the entry in results/ (the ledger)."
import argparse, gc, math, statistics, time
from pathlib import Path
from srgan_course.kit.files import read_json, write_json
from srgan_course.kit.results import save_result

ROOT = Path(__file__).resolve().parent.parent
RESULTS, RUNS = ROOT/'results', ROOT/'runs'
OPTIONS = dict(quick=dict(help='less of everything, to see that it runs; writes nothing'), rounds=dict(help='rounds a median is taken over'),
               minutes=dict(type=float, help='begin nothing more after so long; the next call goes on'),
               threads=dict(type=int, help="torch's threads"))

def parser(doc, what=(), more=(), **options):
    """An argument parser with the script's docstring as its help. `what`: parts of the script, all of them done where none is named;
    `more`: parts done only when named; options: a default, or a dict of `add_argument`'s arguments."""
    ap = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    def part(name):
        if name in (*what, *more): return name
        raise argparse.ArgumentTypeError(f'{name!r} is not one of {", ".join((*what, *more))}')
    if what: ap.add_argument('what', nargs='*', type=part, default=[*what])
    for k, v in options.items():
        kw = OPTIONS.get(k, {}) | (v if isinstance(v, dict) else dict(default=v))
        if kw.get('default') is False: kw['action'] = 'store_true'
        elif isinstance(kw.get('default'), (int, float, Path)): kw.setdefault('type', type(kw['default']))
        ap.add_argument('--' + k.replace('_', '-'), **kw)
    return ap

def ledger(name, what, figures, data, n, since=None, **kw):
    "Write results/NAME.json, or the file `name` if it is a path (see `save_result`); `since`: the `time.perf_counter()` of the start."
    if since is not None: kw['seconds'] = round(time.perf_counter() - since, 1)
    return save_result(name if isinstance(name, Path) else RESULTS/f'{name}.json', what, figures, data, n, **kw)

def time_left(minutes):
    "A function that says how many seconds are left of `minutes`; endless where none are given."
    end = time.perf_counter() + 60*minutes if minutes else math.inf
    return lambda: end - time.perf_counter()

class Seconds(tuple):
    "By the clock on the wall, and by the processor."
    def __sub__(self, other): return Seconds(a - b for a, b in zip(self, other))

def now(): return Seconds((time.perf_counter(), time.process_time()))

def seconds(f):
    "By the clock, of one call."
    start = time.perf_counter(); f()
    return time.perf_counter() - start

def in_turns(ways, rounds, warm=1):
    "What each way (name -> function that measures) gave, a list over the rounds. Each round begins with another way."
    names, rows = [*ways], {k: [] for k in ways}
    for r in range(-warm, rounds):
        for k in names[r % len(names):] + names[:r % len(names)]:
            gc.collect(); x = ways[k]()
            if r >= 0: rows[k].append(x)
    return rows

def median(x, digits=3): return round(statistics.median(x), digits)

def ratio(a, b, digits=3):
    "a/b by rounds: the median, and the least and the greatest. What slows a minute slows both."
    r = [x/y for x, y in zip(a, b)]
    return median(r, digits), [round(min(r), digits), round(max(r), digits)]

def kept(path, make):
    "What `make()` gives, read from `path` where it was made before: .json, .npy (an array) or .npz (arrays by name)."
    import numpy as np
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        x, part = make(), path.with_name(f'part-{path.name}')
        if path.suffix == '.json': write_json(part, x)
        elif path.suffix == '.npy': np.save(part, x)
        else: np.savez(part, **x)
        part.replace(path)
    if path.suffix == '.json': return read_json(path)
    if path.suffix == '.npy': return np.load(path, allow_pickle=False)
    with np.load(path, allow_pickle=False) as z: return {k: z[k] for k in z.files}

def paired(a, b, **kw):
    "Mean of b - a over runs with the same seeds, with its 95 % interval (Student's t)."
    import numpy as np
    from srgan_course.kit.stats import over_runs
    d = np.subtract(b, a)
    lo, hi = over_runs(d, **kw)
    return dict(mean=float(d.mean()), lo=lo, hi=hi, n=len(d))

def kid_row(f): return dict(kid=round(float(f), 6), interval=[round(v, 6) for v in f.interval])   # a `Figure`, for the file
