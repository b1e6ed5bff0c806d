#!/usr/bin/env python3
"""Lesson 15 on photographs: do super-resolved copies of the training pictures help a classifier?

usage: augment.py [generator] [features] [leaky] [study] [words] [--minutes M] [--body mobilenet_v2] [--data pets] [--out runs/augment]

generator  trains the generator on the classifier's training pictures alone: the whole of its recipe, or what M minutes allow; called
again, it goes on
leaky      trains the pixels-only generator on for 150 steps twice: on the training pictures and, which is the leak, on the validation
pictures
features   works out the features of originals and copies; what is done is kept
study      trains the heads and writes results/augment_pets.json (all arms, small test pictures, the leaks, a body that has learnt
nothing) and results/augment_few.json (50 to 500 pictures a class)
words      works out anew what follows from the figures in these files: the sentence that they allow, and what the study could have
seen; nothing is trained
Pictures and weights come from the folders that SRGAN_DATA and SRGAN_WEIGHTS name, or from their downloads.
"""
import json, time
import numpy as np, torch
from frame import RESULTS, RUNS, kept, ledger, paired, parser
from srgan_course import augment as M, classifier as C
from srgan_course.generators import load_model
from srgan_course.kit.files import write_json
from srgan_course.kit.stats import mcnemar
from srgan_course.metrics import psnr_y

SEEDS, EPOCHS, SIZE, FEW, VIEWS = (0, 1, 2, 3, 4), 20, 128, (50, 100, 200, 500), 2
CLAIMED = .0041                            # Model B's gain in accuracy, as the published project reports it: 95.27 to 95.68 %
CONTROL = 'squeezenet1_1-random'            # a body that has learnt nothing
FILES = {'SRGAN': 'generator', 'pixels only': 'pretrained'}

def pictures(args):
    s = C.split_pets(args.data, seed=42, classes=('cat', 'dog'))
    return s, C.load_pictures(s.train, SIZE), C.load_pictures(s.valid, SIZE)

def nets(args): return {k: load_model(args.out/'generator'/f'{f}.safetensors').eval() for k, f in FILES.items()}

def copied(args, name, x, how):
    "Copies, made once."
    return torch.from_numpy(kept(args.out/'copies'/f'{name}.npy', lambda: M.copies(x, how).numpy()))

def run_generator(args, x):
    out = args.out/'generator'
    if (out/'results.json').exists(): return
    begun = (out/'recipe.json').exists()
    M.train_copier(x, M.SHORT, out, resume=begun, minutes=None if begun else args.minutes)

def run_leaky(args, x, xv, steps=150):
    "Further steps on pixels, in which the pictures are the only thing that differs."
    for name, pics in (('tuned on training', x), ('tuned on validation', xv)):
        out = args.out/'leaky'/name.split()[-1]
        if (out/'generator.safetensors').exists(): continue
        r = M.SHORT.replace(name='pets-leak', critic='none', perceptual=0., feature_net='', shift=0, soften=0, pre_epochs=0,
                            epochs=steps//50, steps_per_epoch=50, pre_lr=5e-4,
                            start=str(args.out/'generator'/'pretrained.safetensors'))
        M.train_copier(pics[::len(pics)//540], r, out, resume=(out/'recipe.json').exists())

def kinds(args): return {'bicubic': 'bicubic', **nets(args)}

def leaky_nets(args):
    return {f'tuned on {k}': load_model(args.out/'leaky'/k/'generator.safetensors').eval() for k in ('training', 'validation')
            if (args.out/'leaky'/k/'generator.safetensors').exists()}

def features(args, x, xv):
    b, kw = C.body(args.body), dict(cache=args.out/'features')
    f, t = {'original': C.all_views(b, x, VIEWS, **kw)}, {'original': C.cached_features(b, xv, **kw)}
    heap = [C.cached_features(b, x, **kw)]                  # as they are: for the leak of the split
    ks = kinds(args)
    for k, how in ks.items():
        f[k] = C.all_views(b, copied(args, f'train {k}', x, how), VIEWS, **kw)
        t[k] = C.cached_features(b, copied(args, f'valid {k}', xv, how), **kw); print(k, 'features', flush=True)
    for k, how in leaky_nets(args).items(): t[k] = C.cached_features(b, copied(args, f'valid {k}', xv, how), **kw)
    return b, f, t, [*heap, C.cached_features(b, copied(args, 'train SRGAN', x, ks['SRGAN']), **kw)]

def run_control(args, y, yv, x, xv):
    "The arms with a body of random weights: whether anything here is due to what the body has learnt."
    b, kw = C.body(CONTROL), dict(cache=args.out/'features')
    f = {k: C.all_views(b, v, VIEWS, **kw) for k, v in {'original': x, 'bicubic': copied(args, 'train bicubic', x, 'bicubic'),
                                                        'SRGAN': copied(args, 'train SRGAN', x, nets(args)['SRGAN'])}.items()}
    arms = ('A', 'A, twice the steps', 'A + plain copies', 'A + bicubic copies', 'B: A + SRGAN copies')
    p = M.run_arms(f, y, {'original': C.cached_features(b, xv, **kw)}, SEEDS, 500, EPOCHS, arms=arms)
    plain = M.right(p['A + plain copies']['original'], yv)
    return dict(body=CONTROL, arms=M.table(p, yv), B_over_plain=M.paired_gap(plain, M.right(p[arms[-1]]['original'], yv)))

def quality(args, xv, n=100):
    "PSNR of the enlarged validation pictures, the first n."
    ours = M.as_pictures(xv[:n])
    return {k: float(np.mean([psnr_y(c, p, 4) for c, p in zip(M.as_pictures(copied(args, f'valid {k}', xv, how)[:n]), ours)])) for k,
            how in {**kinds(args), **leaky_nets(args)}.items()}

def run_study(args, s, x, xv):
    start = time.perf_counter()
    b, f, t, heap = features(args, x, xv)
    y, yv = s.y_train, s.y_valid
    # the steps it had, not those that were planned
    said = dict(data=args.data, n=len(yv), seed=list(SEEDS), recipe=type(M.SHORT).load(args.out/'generator'/'recipe.json'))
    how = (f'{SIZE} x {SIZE} central squares; in every arm one of {VIEWS} fixed random views of each picture (flip, up to 10 degrees, '
           f'light and colour by up to a fifth) at each step; 70/30 split, stratified, seed 42; {b.label}, frozen, pooled features, linear '
           f'head, Adam 1e-3, batch 64, {EPOCHS} epochs of A (the other arms: twice those steps); '
           f'5 seeds: which pictures are learnt from, the head, the order; copies: 32 -> 128 pixels; the generator saw the {len(y)} '
           f'training pictures alone (one in fifty of them to watch itself by); intervals: 95 %, pictures by bootstrap and seeds by the t '
           f'distribution, the five splits corrected for their overlap (Nadeau and Bengio); McNemar on probabilities averaged over seeds')
    few = {}
    for k in FEW:
        preds = M.run_arms(f, y, t, SEEDS, k, EPOCHS)
        few[str(k)] = M.table(preds, yv)
        for arm in few[str(k)]:
            if arm not in ('A', 'A + plain copies'):
                few[str(k)][arm]['over_plain'] = M.paired_gap(M.right(preds['A + plain copies']['original'], yv),
                                                       M.right(preds[arm]['original'], yv))
        print(k, {a: round(v['accuracy'], 4) for a, v in few[str(k)].items()}, flush=True)
    last = preds                                              # 500 a class
    arms = M.table(last, yv)
    B = last['B: A + SRGAN copies']['original']
    against = {a: dict(gain=M.paired_gap(M.right(last[a]['original'], yv), M.right(B, yv)),
                       loss_change=M.paired_gap(M.nll(last[a]['original'], yv), M.nll(B, yv)),
                       mcnemar=mcnemar(M.right(last[a]['original'].mean(0), yv), M.right(B.mean(0), yv))) for a in last
               if not a.startswith('B')}
    small = {arm: {k: dict(accuracy=float(M.right(p, yv).mean()), loss=float(M.nll(p, yv).mean())) for k, p in v.items()} for arm,
             v in last.items()}
    pick = lambda arm, k: last[arm][k]
    pair = lambda a, b: dict(gain=M.paired_gap(M.right(a, yv), M.right(b, yv)), loss_change=M.paired_gap(M.nll(a, yv), M.nll(b, yv)),
                             mcnemar=mcnemar(M.right(a.mean(0), yv), M.right(b.mean(0), yv)))
    Bk, bk = 'B: A + SRGAN copies', 'A + bicubic copies'
    lows = {'A: SRGAN over bicubic': pair(pick('A', 'bicubic'), pick('A', 'SRGAN')),
            'A: pixels only over bicubic': pair(pick('A', 'bicubic'), pick('A', 'pixels only')),
            'B over A, both on SRGAN': pair(pick('A, twice the steps', 'SRGAN'), pick(Bk, 'SRGAN')),
            'bicubic copies over A, both on bicubic': pair(pick('A, twice the steps', 'bicubic'), pick(bk, 'bicubic')),
            'B on SRGAN over bicubic copies on bicubic': pair(pick(bk, 'bicubic'), pick(Bk, 'SRGAN')),
            'A: originals over SRGAN': pair(pick('A', 'SRGAN'), pick('A', 'original'))}
    if 'tuned on validation' in t:
        lows['leak: tuned on validation over tuned on training'] = pair(pick('A', 'tuned on training'), pick('A', 'tuned on validation'))
    hundred = M.some_of_each(y, 100, 0)
    leak = {}
    for name, i in (('all', np.arange(len(y))), ('100 a class', hundred)):
        d = M.leak_of_split(heap[0][i], heap[1][i], y[i], SEEDS, epochs=EPOCHS)
        leak[name] = dict(leaky=float(np.mean(d['leaky'])), honest=float(np.mean(d['honest'])),
                          gain=paired(d['honest'], d['leaky'], overlap=.3/.7),       # splits of the same pictures overlap
                          loss_change=paired(d['losses']['honest'], d['losses']['leaky'], overlap=.3/.7))
    q, control = quality(args, xv), run_control(args, y, yv, x, xv)
    # probabilities averaged over seeds
    pooled = {a: C.report(np.stack([1 - (p := last[a]['original'].mean(0)), p], 1), yv, s.classes) for a in last}
    pooled = {a: {k: r[k] for k in ('loss', 'accuracy', 'f1', 'auc', 'ece', 'confusion', 'intervals')} for a, r in pooled.items()}
    ledger('augment_pets', 'Model B (originals and SRGAN copies) against Model A with controls, cats and dogs, 500 pictures a class',
           dict(arms=arms, pooled=pooled, random_body=control, B_over=against, small_tests=small, small_pairs=lows, leak_of_split=leak,
           psnr=q, power=power(few)), protocol=how, since=start, spread=dict(by_seed={a: v['by_seed'] for a, v in arms.items()}),
           verdict=M.do_they_help(against['A + plain copies']['gain']), **said)
    ledger('augment_few', 'the arms with few pictures to learn from', few, protocol=how, since=start,
           spread=dict(by_seed={k: {a: v['by_seed'] for a, v in d.items()} for k, d in few.items()}), **said)
    for a, v in against.items():
        print(f"B over {a}: {v['gain']['mean']:+.4f} [{v['gain']['lo']:+.4f}, {v['gain']['hi']:+.4f}] p {v['mcnemar']['p']:.2g}; loss "
              f"{v['loss_change']['mean']:+.4f} [{v['loss_change']['lo']:+.4f}, {v['loss_change']['hi']:+.4f}]")
    for a, v in lows.items():
        print(f"{a}: {v['gain']['mean']:+.4f} [{v['gain']['lo']:+.4f}, {v['gain']['hi']:+.4f}] p {v['mcnemar']['p']:.2g}; loss "
              f"{v['loss_change']['mean']:+.4f}")
    print(leak, q, small['A'], sep='\n')
    print('random body', {a: round(v['accuracy'], 4) for a, v in control['arms'].items()}, control['B_over_plain']['mean'],
          control['B_over_plain']['lo'], control['B_over_plain']['hi'])
    for a, r in pooled.items(): print(a, r['confusion'], {k: round(r[k], 4) for k in ('accuracy', 'auc', 'ece')})

def power(few):
    return {'claimed': CLAIMED, 'B over plain copies': {k: M.power(v['B: A + SRGAN copies']['over_plain'], CLAIMED) for k,
                                                        v in few.items()}}

def run_words():
    paths = [RESULTS/f'augment_{k}.json' for k in ('pets', 'few')]
    r, few = (json.loads(p.read_text(encoding='utf-8')) for p in paths)
    r['verdict'] = M.do_they_help(r['figures']['B_over']['A + plain copies']['gain'])
    r['figures']['power'] = power(few['figures'])
    write_json(paths[0], r)
    print(r['verdict'], r['figures']['power'])

if __name__ == '__main__':
    args = parser(__doc__, ('generator', 'leaky', 'features', 'study'), ('words',), minutes=None, body='mobilenet_v2', data='pets',
                  out=RUNS/'augment').parse_args()
    if args.what == ['words']: run_words(); raise SystemExit
    s, x, xv = pictures(args)
    if 'generator' in args.what: run_generator(args, x)
    if 'leaky' in args.what: run_leaky(args, x, xv)
    if 'features' in args.what: features(args, x, xv)
    if 'study' in args.what: run_study(args, s, x, xv)
