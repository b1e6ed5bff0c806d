#!/usr/bin/env python3
"""More than one machine: what one worker does in an hour, and what it costs to have many.

machine   megapixels a second and memory of float32, bfloat16 and int8, in batches and in tiles, one thread; the memory model beside it
workers   a list of pictures by one worker and by two, one thread each, handed out by Dask
engine    shards of five seconds in which nothing is computed: the share of the workers' time that is no picture's
driver    20,000 shards in which nothing is done: the memory of the process that hands them out
Writes results/scale_machine.json and results/scale_shards.json. A busy machine falsifies seconds on the wall; seconds of the processor
hardly, so both stand there, with the load.
usage: scale.py [machine] [workers] [engine] [driver] [--quick] [--rounds N]
"""
import json, os, statistics, subprocess, sys, tempfile, time
from pathlib import Path
from frame import ROOT, ledger, median, parser

SHAPES = {'one of 128 x 128': (1, 128, None), '8 of 128 x 128': (8, 128, None), 'one of 512 x 512': (1, 512, None),
          'one of 512 x 512, tiles of 128': (1, 512, 128)}
FORMS = {'torch float32': dict(engine='torch'), 'torch bfloat16': dict(engine='torch', precision='bfloat16'), 'ONNX float32': dict(engine='onnx'),
         'ONNX int8': dict(file='int8')}
ONE_THREAD = {**os.environ, 'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1', 'PYTHONPATH': f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'}

def busy(): return round(os.getloadavg()[0], 1)

def in_a_fork(f):
    "Bytes that a call takes at most beyond what this process has, measured in a child, so that nothing kept from an earlier call is used again."
    status = lambda k: next(int(l.split()[1])*1024 for l in Path('/proc/self/status').read_text().splitlines() if l.startswith(k))
    r, w = os.pipe()
    if not (pid := os.fork()):
        Path('/proc/self/clear_refs').write_text('5'); before = status('VmRSS')      # the high-water mark begins anew
        f(); os.write(w, str(status('VmHWM') - before).encode()); os._exit(0)
    os.close(w)
    with os.fdopen(r) as said: peak = int(said.read())
    os.waitpid(pid, 0)
    return peak

def one_form(name, file, rounds):
    "In a process of its own: speed and memory of one form, for every shape."
    import numpy as np
    from srgan_course.kit.devices import bfloat16_works
    from srgan_course.upscale import Upscaler
    kw = dict(FORMS[name])
    if kw.get('precision') == 'bfloat16' and not bfloat16_works(): return None
    up = Upscaler.load(file if kw.pop('file', None) else 'light-x4', device='cpu', **kw)
    up.tensor(np.zeros((1, 3, 32, 32), np.float32))
    rows, inputs = {}, {what: np.random.default_rng(0).random((b, 3, side, side), np.float32) for what, (b, side, _) in SHAPES.items()}
    peaks = {what: in_a_fork(lambda: up.tensor(inputs[what], tile)) for what, (_, _, tile) in SHAPES.items()}     # before anything large was held here
    for what, (b, side, tile) in SHAPES.items():
        x = inputs[what]
        wall, cpu = [], []
        for _ in range(rounds):
            t, c = time.perf_counter(), time.process_time(); up.tensor(x, tile)
            wall.append(time.perf_counter() - t); cpu.append(time.process_time() - c)
        out, mb = b*side*side*up.scale**2, lambda n: round(n/2**20)
        reads = min(side, tile + 2*up.overlap)**2 if tile else b*side**2                # pixels that the network gets at once
        rows[what] = dict(megapixels_per_second=round(out/1e6/statistics.median(wall), 3),
                          megapixels_per_cpu_second=round(out/1e6/statistics.median(cpu), 3), megabytes=mb(peaks[what]), megabytes_of_result=mb(12*out),
                          megabytes_by_the_model=mb(up.engine.bytes_per_pixel*reads))
    return rows

def machine(quick, rounds):
    from srgan_course.kit.engines import export_onnx
    from srgan_course.kit.models import find_model
    from srgan_course.kit.weights import load_model
    figures = {}
    with tempfile.TemporaryDirectory() as tmp:
        int8 = export_onnx(load_model(find_model('light-x4')), Path(tmp)/'int8.onnx', 'int8')
        for name in FORMS:
            code = f'import json, scale; print(json.dumps(scale.one_form({name!r}, {str(int8)!r}, {2 if quick else rounds})))'
            r = subprocess.run([sys.executable, '-c', code], env=ONE_THREAD, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
            figures[name] = json.loads(r.stdout.splitlines()[-1])
            for what, f in (figures[name] or {}).items(): print(f'{name:15} {what:32}', f, flush=True)
    return {k: v for k, v in figures.items() if v}

def photo_list(folder, n):
    "Crops of the embedded photographs as files, and a list of them."
    from srgan_course.kit.sources import sample_photos
    photos = [p.convert('RGB') for p in sample_photos('all').values()]
    folder.mkdir()
    for i in range(n):
        p = photos[i % len(photos)]; x, y = i*37 % (p.width - 160), i*53 % (p.height - 160)
        p.crop((x, y, x + 160, y + 160)).save(folder/f'{i:04}.jpg', quality=92)
    (folder/'list.txt').write_text(''.join(f'{i:04}.jpg\n' for i in range(n)))
    return folder/'list.txt'

def keep_to_cores(client):
    "Each worker's threads on a core of its own, as if it were a machine with one."
    def keep_to(core):
        for t in os.listdir('/proc/self/task'): os.sched_setaffinity(int(t), {core})    # threads that begin later inherit it
    for core, worker in zip(sorted(os.sched_getaffinity(0)), client.scheduler_info()['workers']): client.run(keep_to, core, workers=[worker])

def workers(quick, rounds):
    """The same list by one worker and by two, each with a core of its own; and by one that may use both: it writes a file while it computes
    the next picture. Seconds on the wall, and of the processor."""
    from srgan_course.scale import ShardJob, do_shard, hand_out, load_work, open_client
    def timed(job, i):
        c = time.process_time(); r = do_shard(job, i)
        return r | dict(cpu=time.process_time() - c)
    rows = dict(one=[], two=[], free=[])
    with tempfile.TemporaryDirectory() as tmp:
        n = 16 if quick else 96
        manifest = photo_list(Path(tmp)/'in', n)
        for r in range(1 if quick else rounds):
            for who in [*rows][::1 if r % 2 else -1]:
                w = 2 if who == 'two' else 1
                with open_client(w) as client:
                    client.wait_for_workers(w); assert len(client.nthreads()) == w
                    if who != 'free': keep_to_cores(client)
                    job = lambda name, n: ShardJob(str(manifest), n, f'{tmp}/{name}{who}-{r}', f'{tmp}/in', load_work, ('light-x4', 'cpu', None))
                    [*hand_out(client, job('warm', 8*w), range(2*w), timed)]            # the model is loaded
                    t = time.perf_counter(); said = [*hand_out(client, job('out', 12), range(12), timed)]
                    rows[who].append((time.perf_counter() - t, sum(s['cpu'] for s in said)))
                    assert sum(s['done'] for s in said) == n
                    client.cluster.close()
                print(f'{who}: {rows[who][-1][0]:.2f} s, of the processor {rows[who][-1][1]:.2f} s, load {busy()}', flush=True)
    (one, two, free), (c1, c2, c3) = ([round(statistics.median(r[k] for r in x), 2) for x in rows.values()] for k in (0, 1))
    return dict(pictures=n, seconds_one=one, seconds_two=two, seconds_one_on_both_cores=free, two_over_one=round(one/two, 3),
                two_over_one_on_both_cores=round(free/two, 3), cpu_seconds_one=c1, cpu_seconds_two=c2, cpu_seconds_one_on_both_cores=c3, load=busy())

def engine(n=8, each=5., pictures=50):
    """`n` shards of `each` seconds by two workers: the share of their time that is no picture's, on the wall (`engines_share`), and the
    processor's seconds beside those of the pictures: files, the log, Dask's messages (`engines_share_by_cpu`)."""
    from srgan_course.kit.shards import Work
    from srgan_course.scale import ShardJob, hand_out, open_client
    def sleepy():
        def make(x): t = time.perf_counter(); time.sleep(each/pictures); return time.perf_counter() - t
        return Work('sleepy', bytes.decode, make, lambda x, y: x.encode(), lambda body, x, y: dict(slept=y))
    from srgan_course.kit.lists import read_events
    with tempfile.TemporaryDirectory() as tmp, open_client(2) as client:
        tmp = Path(tmp)
        for i in range(n*pictures): (tmp/f'{i:05}.png').write_text(str(i))
        (tmp/'list.txt').write_text(''.join(f'{i:05}.png\n' for i in range(n*pictures)))
        client.wait_for_workers(2)
        [*hand_out(client, None, range(4), lambda job, i: __import__('srgan_course.kit.shards'))]
        busy_for = lambda: sum(client.run(time.process_time).values()) + time.process_time()
        job, t, c = ShardJob(str(tmp/'list.txt'), n, str(tmp/'out'), str(tmp), sleepy), time.perf_counter(), busy_for()
        [*hand_out(client, job, range(n))]
        wall, cpu = time.perf_counter() - t, busy_for() - c
        slept = sum(e['slept'] for f in (tmp/'out'/'.shards').glob('*.jsonl') for e in read_events(f) if 'done' in e)
        client.cluster.close()
    return dict(shards=n, seconds_each=each, pictures_each=pictures, workers=2, seconds=round(wall, 2), seconds_of_pictures=round(slept, 2),
                engines_share=round(1 - slept/2/wall, 4), cpu_seconds=round(cpu, 2), engines_share_by_cpu=round(cpu/slept, 4), load=busy())

def driver(n=20_000):
    "Memory of the process that hands out `n` shards, with Dask's scheduler in it, at a tenth of them and at the end."
    import gc, psutil
    from srgan_course.scale import hand_out, open_client
    def megabytes(): gc.collect(); return round(psutil.Process().memory_info().rss/2**20, 1)
    with open_client(2) as client:
        client.wait_for_workers(2)
        t, at = time.perf_counter(), {}
        for k, _ in enumerate(hand_out(client, None, range(n), lambda job, i: dict(shard=i, done=64, kept=0, bad={})), 1):
            if k in (n//10, n//2, n): at[k] = megabytes()
        seconds = time.perf_counter() - t
        client.cluster.close()
    return dict(shards=n, megabytes_at_a_tenth=at[n//10], megabytes_at_half=at[n//2], megabytes_at_end=at[n], milliseconds_a_shard=median([1000*seconds/n]),
                load=busy())

def main(what, quick, rounds):
    start, figures = time.perf_counter(), {}
    if 'machine' in what:
        f = machine(quick, rounds)
        if not quick:
            ledger('scale_machine', 'light-x4 in one process and one thread: megapixels of the result a second, and memory, by number format, batch and tile',
                   f, 'random pictures', 8, start, protocol=f'medians of {rounds} calls; memory: the peak beyond what the process had before; load {busy()} at the end: seconds of '
                   'the processor bear it, seconds on the wall do not')
    for k, f in dict(workers=lambda: workers(quick, rounds), engine=lambda: engine(2 if quick else 8), driver=lambda: driver(500 if quick else 20_000)).items():
        if k in what: figures[k] = f(); print(k, figures[k], flush=True)
    if figures and not quick:
        file = ROOT/'results'/'scale_shards.json'
        figures = (json.loads(file.read_text())['figures'] if file.exists() else {}) | figures
        ledger('scale_shards', 'Shards of a list, handed out by Dask to processes of one thread on one machine', figures,
               'crops of the embedded photographs (workers); nothing is computed in the others', 96, start,
               protocol='workers: light-x4, 96 crops of 160 x 160 in 12 shards, medians, each worker on a core of its own, or one on both; engine: '
               'shards of 5 s asleep; driver: shards in which nothing is done; load: of the machine at the end of each part')

if __name__ == '__main__':
    main(**vars(parser(__doc__, ('machine', 'workers', 'engine', 'driver'), quick=False, rounds=5).parse_args()))
