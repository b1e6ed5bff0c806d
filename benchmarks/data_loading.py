#!/usr/bin/env python3
"""What a batch costs: `sr_dls` against the usual fastai block that crops and shrinks each picture as it is asked for, in one run.

The peers are written as fastai's users write them, `ImageBlock` pairs with a random crop and a resize as item transforms: one opens
each picture from its
path, one is given pictures that are open already. All give 16 patches of 24 and 96 px of the embedded photos as floats, one process,
one thread. usage: data_loading.py [--quick] [--rounds 7] [--out results/data_loading.json]
"""
import argparse, random, statistics, time
from pathlib import Path

ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
ap.add_argument('--rounds', type=int, default=7)
ap.add_argument('--quick', action='store_true', help='two rounds, print only')
ap.add_argument('--out', type=Path, default=Path(__file__).resolve().parent.parent/'results'/'data_loading.json')

def peer_block(fv, items, downscale, r):
    "The per-item way: both members of a pair from one path or open picture, cut and shrunk at each visit."
    class Pair(fv.ItemTransform):
        split_idx = None
        def encodes(self, xy):
            hr = xy[1]; x, y = random.randrange(hr.width - r.size + 1), random.randrange(hr.height - r.size + 1)
            hr = hr.crop((x, y, x + r.size, y + r.size))
            if random.random() < .5: hr = hr.transpose(fv.Image.Transpose.FLIP_LEFT_RIGHT)
            return fv.PILImage(downscale(hr, r.scale)), fv.PILImage(hr)
    block = fv.DataBlock((fv.ImageBlock, fv.ImageBlock), splitter=fv.IndexSplitter([0]), item_tfms=[Pair()])
    return block.dataloaders(items*80, bs=r.bs, num_workers=0, device='cpu').train

def ms_a_batch(dl, n):
    "Milliseconds for each of the first `n` batches, mean."
    it = iter(dl); next(it)
    start = time.perf_counter()
    for _ in range(n): next(it)
    return (time.perf_counter() - start)/n*1000

def main(rounds, out, quick):
    import torch
    if quick: rounds = 2
    torch.set_num_threads(1)
    from srgan_course.data import Recipe, import_fastai, photo_paths, sample_photos, sr_dls
    from srgan_course.images import downscale
    began = time.time()
    fv, r = import_fastai(), Recipe()
    random.seed(0)
    ours = sr_dls('embedded', r, device='cpu').train
    peer, ready = [peer_block(fv, list(o.values()), downscale, r) for o in (photo_paths('train'), sample_photos('train'))]
    ms_a_batch(ours, 20)                                              # decodes
    a, b, c = zip(*((ms_a_batch(ours, 60), ms_a_batch(peer, 4), ms_a_batch(ready, 8)) for _ in range(rounds)))   # in turns
    med, ratios = statistics.median, {k: [q/p for p, q in zip(a, x)] for k, x in dict(opening=b, opened=c).items()}
    print(f'sr_dls {med(a):.2f} ms a batch; a per-item fastai block that opens each picture {med(b):.0f} ms, {med(ratios["opening"]):.0f} '
          f'times; with open pictures {med(c):.1f} ms, {med(ratios["opened"]):.1f} times')
    if quick: return
    from srgan_course.metrics import save_result
    save_result(out, what='cost of a training batch: 16 patches of 24 and 96 px', data='embedded', n=5,
                protocol=f'one process, one thread; medians of {rounds} rounds in turns',
                seed=r.seed, recipe=r, seconds=time.time() - began, spread={f'ratio_{k}': [min(v), max(v)] for k, v in ratios.items()},
                figures=dict(ours_ms=med(a), peer_opening_ms=med(b), peer_opened_ms=med(c),
                             **{f'ratio_{k}': med(v) for k, v in ratios.items()}))

if __name__ == '__main__': main(**vars(ap.parse_args()))
