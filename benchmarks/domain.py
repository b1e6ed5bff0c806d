#!/usr/bin/env python3
"""Does the training set matter? The study of lesson 13: generators of one recipe trained on general photographs, on one kind of pictures,
on a mixture, or tuned; each judged on both kinds.

usage: domain.py [--pair cats|faces|pets] [--minutes M] [--precision auto|float32|bfloat16] [--only training|judging] [--list]
[--report] [--difficulty]

The queue is gone through in its order, one training or one judgement after the other, until the time is over; the next call goes on.
After each call results/domain_PAIR.json is written anew from what is there, as soon as the two arms
have two seeds in common, the fewest that have an interval. Pictures and weights come from the folders that SRGAN_DATA and SRGAN_WEIGHTS
name (or from their downloads); what is trained is kept in runs/domain.
"""
import time, warnings
import numpy as np, torch
from frame import RUNS, kept, ledger, parser, seconds, time_left
from srgan_course import domain as D
from srgan_course.data import bsds_split, find_source
from srgan_course.kit import sets as S
from srgan_course.kit.devices import pick_precision
from srgan_course.kit.figures import apart, average, may_say, over_seeds
from srgan_course.kit.features import INCEPTION_FILES, PooledNet, pooled_net
from srgan_course.generators import load_model
from srgan_course.kit.results import load_result

SEEDS = (0, 1, 2)
# category: source; side; how many pictures of it are for training at most; how many squares judge; numbers of training pictures, the
# largest first; features for FID
PAIRS = dict(cats=dict(source='catfaces', size=64, numbers=(2400, 600, 150), test=400, fid=192),
             faces=dict(source='faces', size=88, numbers=(480, 150), test=120, fid=64),
             pets=dict(source='pets/cat', other='pets/dog', size=96, whole=True, numbers=(720, 180), test=150, fid=64))
PERCEPTUAL = 'squeeze-caffe'                # a stand-in for LPIPS, whose own weights have to be downloaded

def sources(p):
    "Pictures for training and for judging, of both kinds; whole pictures are held out by name."
    if 'other' in p: general = D.hold_out(find_source(p['other']), 5)
    else:
        b, (train, test) = bsds_split(), D.hold_out(find_source('photos'), 4)
        general = [*b['train'], *train], [*b['valid'], *test]
    return dict(general=general, domain=D.hold_out(find_source(p['source']), 5))

def training_set(p, src, arm, n, seed):
    "Squares for an arm: of `n` different squares, from as many pictures as there are."
    cut = lambda kind, n: D.squares(src[kind][0], n, p['size'], seed, whole=p.get('whole', False))[0]
    return torch.cat([cut('general', n - n//2), cut('domain', n//2)]) if arm == 'mixed' else cut('domain' if arm in ('domain', 'tuned')
        else 'general', n)

def queue(p):
    "(arm, pictures, seed) in their order: the two arms with all seeds come first."
    top, *less = p['numbers']
    for s in SEEDS: yield from (('general', top, s), ('domain', top, s))
    for arm in ('tuned', 'mixed'): yield from ((arm, top, s) for s in SEEDS)
    for n in less: yield from ((arm, n, s) for s in SEEDS for arm in ('general', 'domain'))

class Both(D.Judge):
    """A judge whose two Inceptions are one: the features of an early layer are taken on the way to those of the later one. In bfloat16
    where the processor is much faster with it."""
    precision = 'float32'
    def features(self, x):
        late, dims = pooled_net('inception@768'), int(self.nets['fid'].split('@')[1])
        layers, at = list(late.net.children()), {64: 4, 192: 7}[dims]
        def both(t):
            for i, l in enumerate(layers):
                t = l(t)
                if i + 1 == at: early = t.mean((2, 3))
            return torch.cat([early, t.mean((2, 3))], 1)
        half = self.precision == 'bfloat16'
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=half): f = S.features(x, PooledNet(both, 'both', 299, .5, .5), bs=16)
        return dict(kid=S.FeatureSet(f.x[:, dims:], late.note), fid=S.FeatureSet(f.x[:, :dims], {**late.note, 'net': self.nets['fid']}))

def row(figs): # `Judge` figures, one a seed -> {'kid': mean, 'kid_low': ..., 'kid_high': ..., ...}
    "An arm's figures as numbers, for the file."
    out = {}
    for m in figs[0]:
        f = over_seeds([x[m] for x in figs])
        out |= {m: float(f), f'{m}_low': f.interval[0], f'{m}_high': f.interval[1]}
    return out

def arrays(d): return {k: v.x if isinstance(v, S.FeatureSet) else v for k, v in d.items()}

class Study:
    def __init__(self, pair, precision='auto'):
        self.pair, self.p, self.out = pair, PAIRS[pair], RUNS/'domain'/pair
        self.precision = Both.precision = pick_precision(precision, 'cpu')
        self.recipe = D.STUDY.replace(size=self.p['size'], precision=self.precision)
        self.eyes = self.out/'seen'/self.precision
        self.kinds = dict(general='dogs' if 'other' in self.p else 'general', domain=pair if 'other' not in self.p else 'cats')
        self.src = sources(self.p)
        self.judges = {k: Both(*D.squares(v[1], self.p['test'], self.p['size'], 0, whole=self.p.get('whole', False)),
                               fid_net=f"inception@{self.p['fid']}", perceptual=PERCEPTUAL) for k, v in self.src.items()}
    def folder(self, arm, n, seed): return self.out/f'{arm}-{n}-{seed}'
    def net(self, arm, n, seed):
        "The generator of an arm, trained if it is not there."
        file = self.folder(arm, n, seed)/'generator.safetensors'
        if file.exists(): return load_model(file)
        r = self.recipe.replace(seed=seed)
        if arm == 'tuned': r = D.tuned(r, self.folder('general', n, seed)/'generator.safetensors')
        held = self.judges['general' if arm == 'general' else 'domain'].hr[:8]
        with warnings.catch_warnings():
            warnings.simplefilter('ignore'); return D.train_on(training_set(self.p, self.src, arm, n, seed), r, file.parent, held)
    def seen(self, name, model):
        "What is to be seen of a model on both kinds of squares; `model` is a function that gives it."
        res, path = {}, lambda k: self.eyes/f'{name}-on-{k}.npz'
        net = None if all(path(k).exists() for k in self.judges) else model()
        for k, j in self.judges.items(): res[k] = kept(path(k), lambda: arrays(j.look(net)))
        return res
    def truth(self):
        for k, j in self.judges.items():
            d = kept(self.eyes/f'HR-on-{k}.npz', lambda: arrays(j.features(j.hr)))
            j.truth = self.sets(j, d)
    def sets(self, j, d): return {k: S.FeatureSet(d[k], {**pooled_net('inception@768').note, 'net': j.nets[k]}) for k in ('kid', 'fid')}
    def figures(self, name, k):
        d = kept(self.eyes/f'{name}-on-{k}.npz', None)
        return self.judges[k].figures({**d, **self.sets(self.judges[k], d)})
    def done(self, arm, n, seed): return all((self.eyes/f'{arm}-{n}-{seed}-on-{k}.npz').exists() for k in self.judges)
    def steps(self):
        "Everything to do: (name, function, whether it is done)."
        yield 'HR', self.truth, all((self.eyes/f'HR-on-{k}.npz').exists() for k in self.judges)
        for c in ('bicubic', 'lanczos'):
            yield c, lambda c=c: self.seen(c, lambda: c), all((self.eyes/f'{c}-on-{k}.npz').exists() for k in self.judges)
        for t in queue(self.p):
            name, folder = '-'.join(map(str, t)), self.folder(*t)
            yield f'{name}, training', lambda t=t: self.net(*t), (folder/'generator.safetensors').exists()
            yield f'{name}, judging', lambda t=t, name=name: self.seen(name, lambda: self.net(*t)), self.done(*t)

def precision_check(s):
    "Bicubic's figures in both precisions, where it was looked at in both."
    other = {'float32': 'bfloat16', 'bfloat16': 'float32'}[s.precision]
    if not (s.out/'seen'/other).is_dir(): return {}
    t, u = Study.__new__(Study), {}
    t.__dict__ |= {**s.__dict__, 'eyes': s.out/'seen'/other}
    if not all((t.eyes/f'{n}-on-{k}.npz').exists() for n in ('HR', 'bicubic') for k in s.judges): return {}
    for name, x in ((s.precision, s), (other, t)):
        x.truth(); u[name] = {s.kinds[k]: {m: float(x.figures('bicubic', k)[m]) for m in ('kid', 'fid')} for k in s.judges}
    s.truth()
    return u

def report(s):
    "results/domain_PAIR.json from what was seen, if the two arms have all their seeds."
    p, top = s.p, s.p['numbers'][0]
    seeds = [i for i in SEEDS if all(s.done(a, top, i) for a in ('general', 'domain'))]
    if len(seeds) < 2: print(f'the two arms have {len(seeds)} of {len(SEEDS)} seeds, too few for an interval: nothing is written'); return
    s.truth()
    name = lambda arm: s.kinds.get(arm, arm)
    figs, have = {}, {}                                                   # (kind, arm, n) -> list of figures by seed
    for arm, n in dict.fromkeys((a, n) for a, n, _ in queue(p)):
        have[arm, n] = [i for i in SEEDS if s.done(arm, n, i)]
        if set(seeds) <= set(have[arm, n]):
            for k in s.judges: figs[k, arm, n] = [s.figures(f'{arm}-{n}-{i}', k) for i in seeds]
    classic = {(k, c): [s.figures(c, k)] for k in s.judges for c in ('bicubic', 'lanczos')}
    one = lambda g: dict(value=float(g), low=g.interval[0], high=g.interval[1], spread_over_seeds=g.spread,
                         one=int(may_say(g) in ('more', 'less')))
    metrics = list(classic['domain', 'bicubic'][0])
    between = lambda k, a, b: {m: one(apart([f[m] for f in a], [f[m] for f in b])) for m in metrics}
    out, spread = {}, {}
    for k in s.judges:
        out[name(k)] = {**{c: row(classic[k, c]) for c in ('bicubic', 'lanczos')},
                        **{name(a): row(f) for (kk, a, n), f in figs.items() if kk == k and n == top}}
        spread[name(k)] = {name(a): {m: over_seeds([x[m] for x in f]).spread for m in metrics} for (kk, a, n),
                           f in figs.items() if kk == k and n == top}
    mse = {k: {c: out[name(k)][c]['mse'] for c in out[name(k)]} for k in s.judges}
    own = {k: mse[k][name(k)] for k in s.judges}
    gaps = {name(k): {f'{name(a)} - {name(b)}': between(k, figs[k, a, top], figs[k, b, top]) for a,
                      b in (('general', 'domain'), ('mixed', 'domain'), ('general', 'mixed'), ('tuned', 'domain'), ('general', 'tuned'))
                      if (k, a, top) in figs and (k, b, top) in figs} for k in s.judges}
    for k in s.judges:
        gaps[name(k)] |= {f'bicubic - {name(a)}': between(k, classic[k, 'bicubic'], figs[k, a, top]) for a in ('general', 'domain')}
    by_number = {str(n): {name(k): {**{name(a): row(figs[k, a, n]) for a in ('general', 'domain')},
                                    'gap': between(k, figs[k, 'general', n], figs[k, 'domain', n])} for k in s.judges}
                 for n in sorted(p['numbers']) if all((k, a, n) in figs for k in s.judges for a in ('general', 'domain'))}
    content = dict(general_over_domain_trained=own['general']/own['domain'],
                   general_over_domain_bicubic=mse['general']['bicubic']/mse['domain']['bicubic'])
    seconds = sum(load_result(f)['seconds'] for f in s.out.glob('*-*-*/results.json'))
    left = [f'{a} {n}' for (a, n), i in have.items() if len(i) < len(SEEDS)]
    r = load_model(s.folder('general', top, 0)/'generator.safetensors').meta['recipe']
    D_recipe = type(s.recipe).from_json(r)
    photos = {k: len(set(j.groups.tolist())) for k, j in s.judges.items()}
    ledger(f'domain_{s.pair}', f'generators trained on {name("general")} and on {name("domain")} pictures alone, judged on both',
                dict(judged_on=out, gap=gaps, by_number=by_number, content=content,
                     **({'bicubic_by_precision': c} if (c := precision_check(s)) else {})),
                f'{p.get("other", "photos+bsds500")} against {p["source"]}: squares of {p["size"]} px, {top} to train on of each; judged '
                f'on {p["test"]} squares from {photos["general"]} and {photos["domain"]} held-out pictures', p['test'],
                protocol=f'x4, LR by bicubic; PSNR, SSIM on Y, crop 4; KID inception@768 ({INCEPTION_FILES[1]}, bilinear 299, {s.precision}), '
                         f'of pairs of different pictures; FID inception@{p["fid"]}; perceptual: {PERCEPTUAL}, a stand-in for LPIPS; '
                         'intervals 95 %: bootstrap by picture, and seeds by t', seed=seeds, recipe=D_recipe,
                spread=spread, seconds=round(seconds, 1), not_measured=left,
                tuned_steps=D.tuned(D_recipe, 'x').epochs*D_recipe.steps_per_epoch)
    print(f'results/domain_{s.pair}.json written' + (f'; not measured yet: {", ".join(left)}' if left else ''))

def difficulty(n=400):
    "Bicubic's error on several kinds of squares, before anything is trained: results/domain_difficulty.json."
    start, general, figures = time.perf_counter(), find_source('photos') + bsds_split()['train'], {}
    for name, pictures, size, whole in (('faces, whole, 88 px', 'faces', 88, True), ('photographs, whole, 88 px', general, 88, True),
                                        ('photographs, crops, 88 px', general, 88, False),
                                        ('cat faces, whole, 64 px', 'catfaces', 64, True),
                                        ('photographs, whole, 64 px', general, 64, True), ('photographs, crops, 64 px', general, 64, False),
                                        ('cats, whole, 96 px', 'pets/cat', 96, True), ('dogs, whole, 96 px', 'pets/dog', 96, True)):
        x, which = D.squares(pictures, n, size, 0, whole=whole)
        sr = D.enlarge('bicubic', D.shrink(x), 4)
        e = ((sr.float() - x)/255).square().mean((1, 2, 3)).numpy()
        m = average(e, which)
        figures[name] = dict(mse=float(m), mse_low=m.interval[0], mse_high=m.interval[1], median=float(np.median(e)))
        print(name, {k: round(float(v), 5) for k, v in figures[name].items()}, flush=True)
    ratio = lambda a, b: figures[a]['mse']/figures[b]['mse']
    figures['ratio'] = {'photographs over faces, whole, 88 px': ratio('photographs, whole, 88 px', 'faces, whole, 88 px'),
                        'photographs over faces, crops, 88 px': ratio('photographs, crops, 88 px', 'faces, whole, 88 px'),
                        'photographs over cat faces, whole, 64 px': ratio('photographs, whole, 64 px', 'cat faces, whole, 64 px'),
                        'photographs over cat faces, crops, 64 px': ratio('photographs, crops, 64 px', 'cat faces, whole, 64 px')}
    ledger('domain_difficulty', "bicubic's mean squared error (RGB in [0,1]) on several kinds of squares", figures,
           'photos+bsds500, faces, catfaces, pets', n, start, seed=0,
           protocol='x4, LR by bicubic; whole: the middle square, made smaller; crops: at their own size')

def main():
    a, took = parser(__doc__, pair=dict(choices=PAIRS, default='cats'), minutes=None,
        precision=dict(choices=('auto', 'float32', 'bfloat16'), default='auto',
                       help='of training and of the features for KID and FID; auto takes what is fast here'),
        list=dict(action='store_true', help='only say what is done'),
        only=dict(choices=('training', 'judging'), help='leave the other out; only what is trained can be judged'),
        difficulty=dict(action='store_true', help="only measure bicubic's error on several kinds of squares"),
        report=dict(action='store_true', help='only write the result')).parse_args(), {}
    left = time_left(a.minutes)
    if a.difficulty: return difficulty()
    s = Study(a.pair, a.precision)
    if a.list: return print('\n'.join(f'{name:28} {"done" if done else "to do"}' for name, _, done in s.steps()))
    for name, do, done in () if a.report else s.steps():
        if done or a.only and a.only not in name: continue
        if a.only == 'judging' and not (s.out/name.split(',')[0]/'generator.safetensors').exists(): continue
        kind = name.split(', ')[-1]
        if took and left() < 1.1*took.get(kind, max(took.values())): print(f'{left():.0f} s are left, too few for {name}'); break
        took[kind] = max(took.get(kind, 0), t := seconds(do))
        print(f'{name}: {t:.0f} s', flush=True)
    report(s)

if __name__ == '__main__': main()
