#!/usr/bin/env python3
"""Lesson 14 on real photographs: Model A with several bodies, and cached features against the plain loop.

usage: classifier.py [features] [pets] [speed] [vgg] [copies] [--minutes M] [--ready] [--bodies NAME...] [--data pets] [--cache FOLDER]

features  works out the pooled features of every picture and of two augmented views of it, one body after the other; what is done is
kept and skipped the next time
pets      trains the heads, five seeds each (the seed says who is held out, how the head begins and in which order it sees the
pictures), and writes results/classifier_pets.json
speed     the plain fastai loop against cached features, same pictures and same number of steps, three seeds:
results/classifier_speed.json
vgg       one step of VGG16's own head of 119.5 million parameters, timed: results/classifier_vgg.json
copies    how alike different photographs and copies of one are, by thumbnails and by a 256-bit hash: results/classifier_copies.json
Pictures and weights come from the folders that SRGAN_DATA and SRGAN_WEIGHTS name, or from their downloads.
"""
import statistics, time
import numpy as np, torch
import torch.nn.functional as F
from frame import RUNS, ledger, paired, parser, time_left
from srgan_course import classifier as C
from srgan_course.kit.classifiers import Classifier
from srgan_course.kit.epochs import learn_epochs
from srgan_course.kit.views import augment
from srgan_course.kit.recipe import draws
from srgan_course.kit.splits import Split, class_items, split_pets, thumbnail

BODIES, SEEDS, SIZE, VIEWS, EPOCHS = ('squeezenet1_1', 'resnet50', 'mobilenet_v2', 'squeezenet1_1-random'), (42, 43, 44, 45, 46), 128, 2, 50
KEYS = ('loss', 'accuracy', 'f1', 'auc', 'ece')

def everything(data):
    "All pictures of the two classes, without near-duplicates: items, class numbers."
    s = split_pets(data, seed=SEEDS[0], classes=('cat', 'dog'))
    items = sorted(zip(s.train + s.valid, [*s.y_train, *s.y_valid]), key=lambda o: str(o[0]))
    return [i for i, _ in items], np.array([y for _, y in items]), s.dropped

def features(body, x, cache, left):
    "Plain features and two views, (1 + VIEWS, n, nf); None where the time is over."
    out = []
    for v in (None, *range(VIEWS)):
        part = []
        for i in range(0, len(x), 300):                              # in parts, so that a stopped run loses little
            if left() < 0: return None
            xs = x[i:i+300] if v is None else (augment(x[i:i+300], 42, v, start=i)*255).round().byte()
            part.append(C.cached_features(body, xs, cache=cache))
        out.append(torch.cat(part))
    return torch.stack(out)

def split_of(y, seed, share=.3):
    "Numbers of the pictures to learn from and to judge by: the same share of each class."
    held = np.concatenate([np.flatnonzero(y == c)[np.argsort(draws((y == c).sum(), seed, c, 4),
                                                             kind='stable')][:round(share*(y == c).sum())] for c in (0, 1)])
    return np.setdiff1d(np.arange(len(y)), held), np.sort(held)

def run_pets(args):
    items, y, dropped = everything(args.data)
    x, figures, spread, curves = C.load_pictures(items, SIZE), {}, {}, {}
    start, left = time.perf_counter(), time_left(args.minutes)
    for name in args.bodies:
        if args.ready and not (args.cache/f'{name}.done').exists(): print(f'{name}: features not worked out yet'); continue
        b = C.body(name)
        if (f := features(b, x, args.cache, left)) is None: print(f'{name}: the time is over before its features are done'); continue
        (args.cache/f'{name}.done').touch(); print(f'{name}: features {tuple(f.shape)}, {time.perf_counter() - start:.0f} s', flush=True)
        if 'pets' not in args.what: continue
        rows, plain = [], []
        for seed in SEEDS:
            tr, va = split_of(y, seed)
            steps = EPOCHS*-(-len(tr)//256)
            h = C.train_head(f[1:, tr], y[tr], f[0, va], y[va], steps=steps, seed=seed, every=-(-len(tr)//256))
            p = h.probs(f[0, va]); rows.append(C.report(p, y[va], ['cat', 'dog'], times=1000 if seed == SEEDS[0] else 0))
            plain.append(C.report(C.train_head(f[0, tr], y[tr], steps=steps, seed=seed).probs(f[0, va]), y[va], times=0))
            if seed == SEEDS[0]:
                c, rows_of = C.calibration(p, y[va], 10), h.history
                curves[name] = dict(history={k: [row[k] for row in rows_of] for k in rows_of[0]},
                                    calibration={k: v.tolist() for k, v in c.items()})
        first = rows[0]
        figures[name] = {k: float(np.mean([r[k] for r in rows]))
                         for k in KEYS} | {f'{k} without views': float(np.mean([r[k] for r in plain])) for k in ('loss', 'accuracy')}
        figures[name] |= dict(body=b.label, features=b.nf, seed_42={k: first[k] for k in KEYS}, confusion=first['confusion'].tolist(),
                              baseline=first['baseline'])
        spread[name] = dict(intervals={k: list(v) for k, v in first['intervals'].items()}, **{k: [r[k] for r in rows] for k in KEYS},
                            **{f'{k} without views': [r[k] for r in plain] for k in ('loss', 'accuracy')})
        print(name, {k: round(figures[name][k], 4) for k in KEYS}, first['confusion'].tolist(), flush=True)
    if 'pets' in args.what and figures:
        tr, va = split_of(y, SEEDS[0])
        ledger('classifier_pets', f'Model A: a linear head on the pooled features of a frozen body, cats and dogs, mean of {len(SEEDS)} seeds',
            figures, args.data, len(va), since=start, seed=list(SEEDS), spread=spread, curves=curves,
            protocol=f'{SIZE} x {SIZE} central squares; 70/30 split, stratified, seeds {SEEDS[0]} to {SEEDS[-1]}; {len(tr)} pictures to '
                     f'learn from, {VIEWS} fixed augmented views of each; {EPOCHS} epochs, batch 256, Adam 1e-3; '
                     f'AUC from probabilities; ECE of 15 bins; intervals: 95 % bootstrap of the validation pictures of seed {SEEDS[0]}; '
                     f'{len(dropped)} near-duplicates left out')

def run_speed(args, n=400, epochs=5, seeds=(0, 1, 2), name='squeezenet1_1'):
    "The same pictures, head, batches of 64 and number of steps; no augmentation, in either."
    items, y, _ = everything(args.data)
    tr, va = split_of(y, 42)
    tr, va = (np.concatenate([k[y[k] == c][:m//2] for c in (0, 1)]) for k, m in ((tr, n), (va, 200)))
    split = Split([items[i] for i in tr], y[tr], [items[i] for i in va], y[va], ['cat', 'dog'])
    plain, cached, secs = [], [], dict(plain=[], cached=[], features=[])
    for seed in seeds:
        r = C.ClassifierRecipe('speed', size=SIZE, bs=64, epochs=epochs, body=name, flip=False, degrees=0., jitter=0., seed=seed)
        b = C.body(name); clf = Classifier(b, split.classes, 'linear', SIZE, seed)
        dls, history = C.classifier_dls(split, r, 'cpu'), []
        t = time.perf_counter(); learn_epochs(clf, dls, epochs, r.lr, seed, history=history)
        secs['plain'].append((time.perf_counter() - t)/epochs)
        plain.append(C.report(clf.probs(split.valid), y[va], times=0))
        t = time.perf_counter(); x, xv = (C.load_pictures(o, SIZE) for o in (split.train, split.valid))
        f, fv = (C.cached_features(b, o) for o in (x, xv)); secs['features'].append(time.perf_counter() - t)
        per = -(-len(tr)//64)
        t = time.perf_counter(); h = C.train_head(f, y[tr], fv, y[va], steps=epochs*per, seed=seed, bs=64, every=per)
        secs['cached'].append((time.perf_counter() - t)/epochs)
        cached.append(C.report(h.probs(fv), y[va], times=0))
        print(f'seed {seed}: plain {secs["plain"][-1]:.2f} s an epoch, accuracy {plain[-1]["accuracy"]:.4f}; features once '
              f'{secs["features"][-1]:.2f} s, then {secs["cached"][-1]*1000:.1f} ms an epoch, accuracy {cached[-1]["accuracy"]:.4f}',
              flush=True)
    med, acc = {k: statistics.median(v) for k, v in secs.items()}, {k: [r['accuracy'] for r in v] for k,
        v in dict(plain=plain, cached=cached).items()}
    loss = {k: [r['loss'] for r in v] for k, v in dict(plain=plain, cached=cached).items()}
    figures = dict(plain=dict(seconds_an_epoch=med['plain'], accuracy=float(np.mean(acc['plain'])), loss=float(np.mean(loss['plain']))),
                   cached=dict(seconds_an_epoch=med['cached'], accuracy=float(np.mean(acc['cached'])), loss=float(np.mean(loss['cached']))),
                   features_once_seconds=med['features'], ratio_an_epoch=med['plain']/med['cached'],
                   ratio_in_all=epochs*med['plain']/(med['features'] + epochs*med['cached']), accuracy_difference=paired(acc['plain'], acc['cached']))
    ledger('classifier_speed', f'an epoch of the plain fastai loop against cached features, {name}, linear head', figures, args.data, len(va),
        protocol=f'{n} pictures of {SIZE} px to learn from, {len(va)} to judge by, {epochs} epochs of {per} steps, no augmentation, one '
                 f'process, {torch.get_num_threads()} thread(s); medians over seeds; the plain loop opens each picture each epoch',
        seed=list(seeds), spread=dict(accuracy=acc, loss=loss, seconds=secs))
    print(figures)

def run_vgg(args, bs=32):
    "Where the time of a step goes when VGG16 keeps its own head. The weights do not matter for that: they are random."
    b = C.body('vgg16-random'); clf = Classifier(b, ['cat', 'dog'], 'own', SIZE)
    x, y, secs = torch.rand(bs, 3, SIZE, SIZE), torch.arange(bs) % 2, {}
    opt = torch.optim.Adam(clf.head.parameters(), 1e-3); clf.head.train()
    for run in range(2):                                             # the first makes Adam's memory
        t = time.perf_counter()
        with torch.no_grad(): maps = b(x)
        secs['body'] = time.perf_counter() - t; t = time.perf_counter()
        F.cross_entropy(clf.head(maps), y).backward(); secs['head'] = time.perf_counter() - t; t = time.perf_counter()
        opt.step(); opt.zero_grad(); secs['adam'] = time.perf_counter() - t
    n = sum(p.numel() for p in clf.head.parameters())
    f = b.pooled(x); lin = torch.nn.Linear(512, 2); o2 = torch.optim.Adam(lin.parameters())
    t = time.perf_counter()
    for _ in range(20): F.cross_entropy(lin(f), y).backward(); o2.step(); o2.zero_grad()
    secs['linear'] = (time.perf_counter() - t)/20
    figures = dict(head_parameters=n, body_seconds=secs['body'], head_seconds=secs['head'], adam_seconds=secs['adam'],
                   head_and_adam_seconds=secs['head'] + secs['adam'], linear_seconds=secs['linear'], checkpoint_bytes=4*3*n)
    ledger('classifier_vgg', "one step of VGG16's own head, two-way, by its parts", figures, 'random pictures', bs,
           protocol=f'batch {bs}, {SIZE} px, second of two steps, {torch.get_num_threads()} thread(s)', seed=0)
    print(figures)

def run_copies(args, scale=4, bits=5, alike=.95):
    "Thumbnails of all pictures and of copies made small and enlarged again; beside them the usual hash, one bit a place."
    from PIL import Image
    from srgan_course.data import get_picture
    from srgan_course.images import downscale, interpolate
    found = class_items(args.data, ('cat', 'dog'))
    pics = [get_picture(o) for v in found.values() for o in v]
    start, grey = time.perf_counter(), lambda im: np.asarray(im.convert('L').resize((16, 16), Image.Resampling.LANCZOS), float).ravel()
    hashed = lambda im: (g := grey(im)) > g.mean()
    enlarged = [interpolate(downscale(p, scale), scale) for p in pics]
    a, b = (np.stack([thumbnail(p) for p in o]) for o in (pics, enlarged))
    mirrored = a.reshape(-1, 16, 16)[:, :, ::-1].reshape(a.shape)
    pairs = np.triu(np.maximum(a@a.T, a@mirrored.T), 1)
    far = np.array([np.count_nonzero(hashed(p) != hashed(q)) for p, q in zip(pics, enlarged)])
    figures = dict(most_alike_of_different=np.sort(pairs.ravel())[::-1][:5].tolist(), least_alike_of_copies=float((a*b).sum(1).min()),
                   pairs_above=int((pairs >= alike).sum()),
                   copies_below=int(((a*b).sum(1) < alike).sum()), copies_hash_misses=int((far > bits).sum()))
    ledger('classifier_copies', 'how alike different photographs are, and copies of one', figures, args.data, len(pics), seed=0, since=start,
        protocol=f'16 x 16 grey thumbnails of mean 0 and length 1, their product, the larger of straight and mirrored; copies: whole '
                 f'pictures made small by {scale} and enlarged by bicubic interpolation; hash: one bit for each of 16 x 16 places, '
                 f'brighter than the mean or not, '
                 f'a copy is missed where more than {bits} bits differ; the set had been cleaned of near-duplicates when it was put '
                 f'together')
    i, j = np.unravel_index(pairs.argmax(), pairs.shape); names = [str(o) for v in found.values() for o in v]
    print(figures, names[i], names[j])

if __name__ == '__main__':
    args = parser(__doc__, ('features', 'pets', 'speed', 'vgg', 'copies'), minutes=None, data='pets', cache=RUNS/'classifier'/'features',
                  ready=dict(action='store_true', help='only the bodies whose features are complete'),
                  bodies=dict(nargs='+', default=BODIES)).parse_args()
    if {'features', 'pets'} & set(args.what): run_pets(args)
    if 'speed' in args.what: run_speed(args)
    if 'vgg' in args.what: run_vgg(args)
    if 'copies' in args.what: run_copies(args)
