#!/usr/bin/env python3
"""Lesson 16 on photographs: what a third of the width and height costs a classifier, and how much a trained network wins back.

usage: recognise.py [--minutes M] [--start FILE] [--out runs/recognise] [--only teachers|start|base|arms]

teachers  top-1 and top-5 of three classifiers on all 600 of `photos`, and which weights they are -> results/recognise_teachers.json
start     a PSNR-trained x3 network: the body of an x4 one and a new tail, trained on pixels (all arms but "from scratch" begin with it)
base      originals, classic ways and the GAN on the test pictures
arms      logits / logits + pixels / pixels only / logits from scratch, seeds 0 to 4: each trained and judged, one after the other ->
results/recognise_study.json
What is done is kept in --out and not done again; with --minutes it stops before that time is over, and the next call goes on. The body
must come from a model that has not seen `photos`, as the models that ship have. So --start is a file that `srgan-train --data bsds500`
makes with a recipe of LightSR x4 that begins from nothing (`"start": ""`; what the stored study had stands in it). Pictures and weights
come from the folders that SRGAN_DATA and SRGAN_WEIGHTS name.
"""
import json, time
from pathlib import Path
import numpy as np, torch
from frame import RESULTS, RUNS, kept, ledger, parser, time_left
from srgan_course import recognise as M
from srgan_course.augment import paired_gap
from srgan_course.kit.classifiers import load_pictures
from srgan_course.kit.labels import name_labels
from srgan_course.kit.models import find_model
from srgan_course.kit.recognition import ORIGINALS, Recognition, by_group, in_top, recognition_table, won_back
from srgan_course.kit.stats import over_pictures
from srgan_course.data import find_source
from srgan_course.generators import load_model, save_model
from srgan_course.metrics import CLASSIC, enlarger

TEACHER, JUDGE, SIZE, SCALE, SIDE, STEPS, BS, LR, SEEDS = 'mobilenet_v2', 'resnet50', 192, 3, 32, 300, 8, 3e-4, (0, 1, 2, 3, 4)
# weights of logits and pixels
ARMS = {'logits': (1., 0.), 'logits + pixels': (1., 10.), 'pixels only': (0., 1.), 'logits, from scratch': (1., 0.)}
GAN = 'srgan-x4, made smaller'
SUPERCLASSES = {'dogs': [(151, 268)], 'other mammals': [(101, 106), (147, 150), (269, 299), (330, 388)],
                'birds': [(7, 24), (80, 100), (127, 146)],
                'fish, reptiles, amphibians': [(0, 6), (25, 68), (389, 397)], 'invertebrates': [(69, 79), (107, 126), (300, 329)],
                'things': [(398, 923), (999, 999)], 'food, plants, places': [(924, 998)]} # ImageNet's class numbers, first and last

def superclass(y):
    "The coarse group, one of SUPERCLASSES, of each class number of ImageNet. WordNet's numbers were given branch by branch."
    of = {i: k for k, spans in SUPERCLASSES.items() for a, b in spans for i in range(a, b + 1)}
    return [of[int(i)] for i in y]

def groups_by_confidence(rec, parts=4):
    "Equal parts of the pictures by the teacher's highest probability on the original: (n,) names, from the least sure."
    p = torch.from_numpy(rec.of(ORIGINALS)).double().softmax(1).amax(1).numpy()
    place = np.argsort(np.argsort(p, kind='stable'), kind='stable')*parts//len(p)
    ends = [(p[place == k].min(), p[place == k].max()) for k in range(parts)]
    return [f'{k + 1}: sure {ends[k][0]:.2f} to {ends[k][1]:.2f}' for k in place]

def jobs(): return [*((a, s) for s in SEEDS for a in ('logits + pixels', 'pixels only', 'logits')), ('logits, from scratch', 0)]

def pictures(args):
    """Originals to learn from (photos and pets) and to judge by, class numbers of these, how many photos are learnt from; kept, because
    opening them takes longer than a step."""
    def make():
        paths = find_source('photos')
        parts = M.three_parts(paths, name_labels(paths), valid=.1, test=.3, seed=42)
        x = load_pictures([*parts.train, *find_source('pets')[::5]], SIZE)                         # more to learn from; never to judge by
        return dict(x=x.numpy(), xt=load_pictures(parts.test, SIZE).numpy(), y=parts.y_test, n=len(parts.train))
    d = kept(args.out/'pictures.npz', make)
    return torch.from_numpy(d['x']), torch.from_numpy(d['xt']), d['y'], int(d['n'])

def fast(way, args):
    "A way to enlarge, its network in the precision of the study."
    def enlarge(img):
        with torch.autocast('cpu', torch.bfloat16, enabled=args.precision == 'bfloat16'): return way(img)
    return enlarge

def keep(args, way, seed, rec):
    "What classifiers said of one way."
    np.savez_compressed(args.out/f'{way}-{seed}.npz', psnr=rec.psnr[way], seconds=rec.seconds[way],
                        **{k: v[way].astype(np.float16) for k, v in rec.scores.items()})

def weights_of(t):
    """Which weights a name stands for: their file, how many they are, the share of zeros among those of convolutions and linear layers,
    and where the first block of `layer2` has its stride."""
    w = torch.cat([p.detach().flatten() for p in t.net.parameters() if p.dim() > 1])
    d = dict(label=t.label, weights=t.weights, parameters=sum(p.numel() for p in t.net.parameters()),
             zeros=round((w == 0).float().mean().item(), 4))
    if hasattr(t.net, 'layer2'): d['stride in'] = next(n for n in ('conv1', 'conv2') if getattr(t.net.layer2[0], n).stride == (2, 2))
    return d

def run_teachers(args):
    if (RESULTS/'recognise_teachers.json').exists() and not args.again: return
    start, paths, fig, spread, networks = time.perf_counter(), find_source('photos'), {}, {}, {}
    y, x = name_labels(paths), load_pictures(paths, 224)
    for n in ('resnet50', 'mobilenet_v2', 'squeezenet1_1'):
        t = M.teacher(n); z = t.scores(x, 25, args.precision); networks[n] = weights_of(t)
        fig[n] = {'top1': float(in_top(z, y).mean()), 'top5': float(in_top(z, y, 5).mean())}
        spread[n] = over_pictures(np.mean, in_top(z, y).astype(float)); print(n, fig[n], flush=True)
    ledger('recognise_teachers', 'Top-1 and top-5 of the teachers on one photograph a class', fig, 'photos', len(y), start, spread=spread,
           protocol=f'{args.precision}; central squares, bicubic to 224 pixels; probably pictures of ImageNet\'s training set, so higher '
                    f'than on new ones', networks=networks)

def train_arm(args, way, seed, x, teacher, net=None):
    a, b = ARMS[way]
    net = net or (M.student(None, SCALE, 48, 8, seed) if 'scratch' in way else load_model(args.out/'psnr-x3.safetensors'))
    rows = M.train_student(net, x, M.RecogniseLoss(teacher, a, b), STEPS, BS, LR, SIDE, SCALE, seed, every=10, precision=args.precision,
                           progress=lambda r: print(way, seed, {k: round(v, 4) for k, v in r.items()}, flush=True))
    save_model(net, args.out/f'{way}-{seed}.safetensors', torch.float16)
    return net, rows

def run_start(args, x):
    p = args.out/'psnr-x3.safetensors'
    if p.exists(): return
    net = M.student(args.start, SCALE, seed=0)
    M.train_student(net, x, M.RecogniseLoss(None, 0., 1.), 150, 16, 5e-4, 16, SCALE, 99, every=25, precision=args.precision,
                    progress=lambda r: print('start', r, flush=True))
    save_model(net, p)

def main():
    args = parser(__doc__, minutes=None, start=str(RUNS/'recognise'/'start.safetensors'), out=RUNS/'recognise',
                  only=dict(choices=('teachers', 'start', 'base', 'arms')), again=False,
                  precision=dict(default='bfloat16', choices=('auto', 'bfloat16', 'float32'))).parse_args()
    args.out.mkdir(parents=True, exist_ok=True); left = time_left(args.minutes)
    if args.precision == 'auto':
        from srgan_course.kit.devices import pick_precision
        args.precision = pick_precision('auto', torch.device('cpu'))
    if args.only in (None, 'teachers'): run_teachers(args)
    if args.only == 'teachers': return
    x, xt, y, n = pictures(args)
    teacher, judge = M.teacher(TEACHER), M.teacher(JUDGE)
    todo = [j for j in jobs() if not (args.out/f'{j[0]}-{j[1]}.npz').exists()]
    if args.only in (None, 'start') and todo: run_start(args, x)
    if args.only in (None, 'base') and not (args.out/'base.json').exists():
        start = time.monotonic()
        ways = {**{w: w for w in CLASSIC}, GAN: fast(M.resized_to(load_model(find_model('srgan-x4')), SCALE), args),
                'start': fast(enlarger(load_model(args.out/'psnr-x3.safetensors'), SCALE), args)}
        rec = M.evaluate_recognition(ways, xt, y, teacher, [judge], SCALE, args.precision)
        for w in rec.ways: keep(args, w, 0, rec)
        (args.out/'base.json').write_text(json.dumps(dict(ways=rec.ways, seconds=time.monotonic() - start)))
        print(recognition_table(rec).round(3).to_string(), recognition_table(rec, JUDGE).round(3).to_string(), sep='\n', flush=True)
    took = 0.
    for way, seed in todo if args.only in (None, 'arms') else ():
        if left() < 1.1*took: print('time is over; the next call goes on'); break
        mark = args.out/f'{way}-{seed}.begun'                               # another call may be at it
        if (args.out/f'{way}-{seed}.npz').exists() or mark.exists() and time.time() - mark.stat().st_mtime < 300: continue
        mark.touch()
        start = time.monotonic()
        net, rows = train_arm(args, way, seed, x, teacher)
        trained = time.monotonic() - start
        small = M.shrink(xt, SCALE)
        begun = time.perf_counter()
        big = M.enlarge(fast(enlarger(net, SCALE), args), small, SCALE)
        sec = (time.perf_counter() - begun)/len(small)
        rec = Recognition(y, TEACHER, {t.name: {way: t.scores(big, precision=args.precision)} for t in (teacher, judge)},
                            {way: M.psnr_y(big.float()/255, xt.float()/255, SCALE).double().numpy()}, {way: sec})
        keep(args, way, seed, rec)
        (args.out/f'{way}-{seed}.json').write_text(json.dumps(dict(rows=rows, seconds=trained)))
        took = max(took, time.monotonic() - start)
        print(way, seed, f'{took:.0f} s: teacher {in_top(rec.of(way), y).mean():.3f}, judge '
                         f'{in_top(rec.of(way, JUDGE), y).mean():.3f}, {rec.psnr[way].mean():.2f} dB', flush=True)
    write(args, n, y)

def gather(args, y):
    "All that is measured, as one `Recognition`; trained ways carry their seed, as in 'logits 0'."
    rec = Recognition(y, TEACHER, {TEACHER: {}, JUDGE: {}}, {}, {})
    names = {**{w: (w, 0) for w in json.loads((args.out/'base.json').read_text())['ways']}, **{f'{a} {s}': (a, s) for a, s in jobs()}}
    for name, (way, seed) in names.items():
        if not (p := args.out/f'{way}-{seed}.npz').exists(): continue
        with np.load(p) as d:
            rec.psnr[name], rec.seconds[name] = d['psnr'], float(d['seconds'])
            for k in rec.scores: rec.scores[k][name] = d[k].astype(np.float32)
    return rec

def write(args, n, y):
    "results/recognise_study.json from what there is."
    if not (args.out/'base.json').exists(): return
    rec = gather(args, y)
    seeds = {a: [s for b, s in jobs() if b == a and f'{a} {s}' in rec.psnr] for a in ARMS}
    figures, spread, confidence, kinds = {}, {}, {}, {}
    for j in (TEACHER, JUDGE):
        t = recognition_table(rec, j).replace(np.inf, np.nan)
        rows = {w: {k: float(v) for k, v in t.loc[w].items() if v == v} for w in t.index if w not in {f'{a} {s}' for a, s in jobs()}}
        for a, s in seeds.items():
            if s:
                m = t.loc[[f'{a} {k}' for k in s]]; rows[a] = {k: float(v) for k, v in m.mean().items()}
                spread[f'{j}: {a}'] = {'top1 by seed': m.top1.tolist(), 'psnr by seed': m.psnr.tolist()}
        for a in [w for w in rows if w not in (ORIGINALS, 'bicubic')]:
            ways = [f'{a} {k}' for k in seeds[a]] if a in seeds else [a]
            g = won_back(rec, ways, j); rows[a] |= dict(won=g['won'], share=g['share'])
            spread.setdefault(f'{j}: {a}', {}).update({k: g['intervals'][k] for k in ('way', 'won', 'share')})
        g = won_back(rec, 'bicubic', j); rows['bicubic']['cost'] = g['cost']
        spread[f'{j}: bicubic'] = {'cost': g['intervals']['cost'], 'way': g['intervals']['base']}
        spread[f'{j}: originals'] = {'way': g['intervals']['original']}
        figures['teacher' if j == TEACHER else 'judge'] = rows
        for a in ('logits', 'logits + pixels', 'pixels only'):
            if seeds[a]:
                for store, groups in ((confidence, groups_by_confidence(rec)), (kinds, superclass(y))):
                    tab = by_group(rec, groups, f'{a} {seeds[a][0]}', j)
                    store[f'{j}: {a}'] = {g: {k if k in ('n', 'originals', 'bicubic', 'change', 'lo', 'hi') else 'way': float(v) for k,
                                              v in r.items()} for g, r in tab.iterrows()}
    pairs = {}
    for a, b in (('logits', 'pixels only'), ('logits + pixels', 'pixels only'), ('logits + pixels', 'logits'), ('logits', 'start'),
                 ('logits + pixels', 'start'), ('pixels only', 'start')):
        both = [k for k in seeds[a] if b not in seeds or k in seeds[b]]
        for j in (TEACHER, JUDGE) if both else ():
            hit = lambda w: np.stack([in_top(rec.of(f'{w} {k}' if w in seeds else w, j), y) for k in both])
            g = paired_gap(hit(b), hit(a))
            pairs[f'{j}: {a} - {b}'] = dict(difference=g['mean'], interval=[g['lo'], g['hi']], by_seed=g['seeds'], seeds=len(both))
    s = json.loads(Path(args.start).with_name('results.json').read_text())
    begun = f"{s['data']} alone ({s['steps']['pretrain']:,} steps of {s['recipe']['bs']} patches of {s['recipe']['size']} pixels)"
    missing = [f'{a} {s}' for a, s in jobs() if f'{a} {s}' not in rec.psnr]
    spent = sum(json.loads(p.read_text())['seconds'] for p in args.out.glob('*.json'))
    ledger('recognise_study',
                f'What {TEACHER} (teacher) and {JUDGE} (judge, never trained with) make of pictures a third as wide and high, enlarged in '
                f'several ways', figures, 'photos, and 360 of pets to learn from', len(y),
                protocol=f'{args.precision}; central squares of {SIZE} pixels, made small by Pillow bicubic x{SCALE}; test {len(y)}, to '
                         f'learn from {n} photos and 360 pets, no near-duplicates; students: {STEPS} steps of {BS} patches of {SIDE*SCALE} '
                         f'pixels, Adam {LR}; PSNR on luminance, {SCALE} pixels cropped; 95 % intervals: test pictures by bootstrap, seeds '
                         f'by the t distribution',
                seed=list(SEEDS), recipe=dict(arms={k: dict(logits=a, pixel=b) for k, (a, b) in ARMS.items()}, steps=STEPS, bs=BS, lr=LR,
                                              side=SIDE, size=SIZE,
                                              start=f'the body of an x4 network trained on {begun}, a new x3 tail, 150 steps on pixels'),
                spread=spread, seconds=round(spent), networks={t: M.teacher(t).label for t in (TEACHER, JUDGE)}, confidence=confidence,
                kinds=kinds, pairs=pairs, seeds=seeds, not_measured=missing, teacher=TEACHER, judge=JUDGE,
                note='srgan-x4 was trained on all of photos, these test pictures included; no student was. The classifiers have probably '
                     'seen the photographs in training.')

if __name__ == '__main__': main()
