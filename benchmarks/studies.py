#!/usr/bin/env python3
"""The queue of what takes long: training the models that ship, and the benchmarks that want a quiet machine. It can be stopped and gone on
with.

usage: studies.py [--minutes M] [--only NAME...]

Without --minutes it lists the queue and where each study stands: not begun, begun, finished. With it, studies are taken up in their
order until the time is over; a training that is stopped leaves a checkpoint, and the next call goes on from there.
"""
import signal, subprocess, sys
from frame import RESULTS, ROOT, RUNS, parser, read_json, time_left

# recipe -> pictures; light-x4 begins from light-x2, srresnet-x4-full and srgan-x4 from srresnet-x4
TRAIN = {'light-x2': 'bsds500+t91+photos', 'light-x4': 'bsds500+t91+photos', 'srresnet-x4': 'bsds500+t91+photos',
         'light-x4-more': 'bsds500+t91+photos', 'light-x4-pets': 'bsds500+t91+photos+pets',
         'srresnet-x4-full': 'bsds500+t91+photos+hr', 'srgan-x4': 'bsds500+t91+photos+hr'}
MEASURE = {'upscale': (8, ['benchmarks/upscale.py'], ['upscale_cold_start', 'upscale_tiles']),
           'engines': (12, ['benchmarks/engines.py'], ['engines']),
           'upscale_speed': (6, ['benchmarks/upscale_speed.py'], ['upscale_speed', 'upscale_folder']),
           'srgan_quality': (20, ['benchmarks/srgan_quality.py'], ['srgan-x4-kid']), 'resume': (4, ['benchmarks/resume.py'], ['resume']),
           'fid': (5, ['benchmarks/fid.py'], ['fid_distance', 'fid_folders', 'fid_agreement']),
           'classifier': (15, ['benchmarks/classifier.py'], ['classifier_pets', 'classifier_speed', 'classifier_vgg', 'classifier_copies']), 'augment': (30, ['benchmarks/augment.py'], ['augment_pets', 'augment_few']), 'esrgan': (30, ['benchmarks/esrgan.py', 'all'], ['esrgan_x2', 'esrgan_scaling', 'esrgan_phone']), 'gan_step': (4, ['benchmarks/gan_step.py'], ['gan_step']), 'data_loading': (1, ['benchmarks/data_loading.py'], ['data_loading']),
           'saving': (3, ['benchmarks/saving.py'], ['saving'])}                # minutes it takes, command, files it writes

DOMAIN = {'cats': 60, 'faces': 60, 'pets': 60}                    # pairs of lesson 13, and minutes of their whole queue

class Training:
    def __init__(self, name, data): self.name, self.data, self.out = name, data, RUNS/name
    def state(self):
        if (self.out/'results.json').is_file() and (self.out/'generator.safetensors').is_file(): return 'finished'
        return 'begun' if any((self.out/'checkpoints').glob('*')) else 'not begun'
    def command(self):
        return [sys.executable, '-m', 'srgan_course', 'train', '--recipe', self.name, '--data', self.data, '--out', f'runs/{self.name}',
                *(['--resume'] if self.state() == 'begun' else [])]
    def says(self):
        return (f'python benchmarks/ship.py runs/{self.name} {self.name}    puts it into the package' if self.state() == 'finished'
                else f'runs/{self.name}')
    def fits(self, seconds): return seconds > 60

class Measurement:
    def __init__(self, name, minutes, args, files): self.name, self.minutes, self.args, self.files = name, minutes, args, files
    def state(self):
        n = sum((RESULTS/f'{f}.json').is_file() for f in self.files)
        return 'finished' if n == len(self.files) else 'begun' if n else 'not begun'
    def command(self): return [sys.executable, *self.args]
    def says(self): return f'about {self.minutes} minutes; writes {", ".join(f"results/{f}.json" for f in self.files)}'
    def fits(self, seconds): return seconds > 60*self.minutes

class Resumable(Measurement):
    """A study that does one thing after the other for as many minutes as it is given, and goes on the next time; it is finished when its
    file says that nothing is left."""
    def state(self):
        files = [RESULTS/f'{f}.json' for f in self.files]
        if all(f.is_file() for f in files):
            return 'begun' if any(read_json(f).get('not_measured') for f in files) else 'finished'
        return 'begun' if (RUNS/self.name.replace('-', '/')).is_dir() else 'not begun'
    def fits(self, seconds): self.left = seconds; return seconds > 600
    def command(self): return [sys.executable, *self.args, '--minutes', f'{max(5, self.left/60 - 4):.1f}']

class Long:
    "The cats' long run: finished when all of its steps are done."
    def __init__(self, name, out): self.name, self.out = name, out
    def state(self):
        return ('finished' if (self.out/'generator.safetensors').is_file() and self.steps() >= self.planned() else 'begun' if self.steps()
                else 'not begun')
    def steps(self): return max((int(p.stem.split('-')[1]) for p in (self.out/'checkpoints').glob('step-*.safetensors')), default=0)
    def planned(self): r = read_json(self.out/'recipe.json'); return r['epochs']*r['steps_per_epoch']
    def says(self): return f'python benchmarks/cats.py look    its figures; {self.steps()} steps are done'
    def fits(self, seconds): self.left = seconds; return seconds > 600
    def command(self): return [sys.executable, 'benchmarks/cats.py', 'long', '--minutes', f'{self.left/60 - 2:.1f}']

def queue():
    return [*(Training(*x) for x in TRAIN.items()), *(Measurement(k, *v) for k, v in MEASURE.items()),
            Resumable('cats', 60, ['benchmarks/cats.py', 'study'], ['cats_study']),
            Resumable('cats-trials', 120, ['benchmarks/cats.py', 'trials'], ['cats_trials']),
            Long('cats-long', RUNS/'cats'/'cats-42'), Resumable('recognise', 25, ['benchmarks/recognise.py'],
                ['recognise_study', 'recognise_teachers']), *(Resumable(f'domain-{k}', m, ['benchmarks/domain.py', '--pair', k],
                    [f'domain_{k}']) for k, m in DOMAIN.items())]

def run(study, seconds):
    "Run it for at most `seconds`; a training is asked to stop, and leaves a checkpoint."
    p = subprocess.Popen(study.command(), cwd=ROOT)
    try: p.wait(seconds)
    except (subprocess.TimeoutExpired, KeyboardInterrupt) as e:
        p.send_signal(signal.SIGTERM)
        try: p.wait(120)
        except subprocess.TimeoutExpired: p.kill(); p.wait()
        if isinstance(e, KeyboardInterrupt): raise
    return p.returncode

def main(argv=None, studies=None):
    ap = parser(__doc__, minutes=dict(help='go on with the queue for so long'), only=dict(nargs='+', default=[], help='only these studies'))
    args, studies = ap.parse_args(argv), studies if studies is not None else queue()
    if unknown := set(args.only) - {s.name for s in studies}:
        ap.error(f'no study {", ".join(sorted(unknown))}; there are {", ".join(s.name for s in studies)}')
    studies = [s for s in studies if not args.only or s.name in args.only]
    left = time_left(args.minutes)
    for s in studies if args.minutes else ():
        if s.state() == 'finished': continue
        if not s.fits(left()): print(f'{s.name}: {max(left(), 0)/60:.1f} minutes are left, too few for it', flush=True); continue
        print(f'== {s.name} ({s.state()}), {left()/60:.0f} minutes left', flush=True)
        code = run(s, left())
        print(f'{s.name}: {s.state()}' + (f' (exit code {code})' if code and left() > 0 else ''), flush=True)
    for s in studies: print(f'{s.name:14} {s.state():10} {s.says()}')
    return 0

if __name__ == '__main__': sys.exit(main())
