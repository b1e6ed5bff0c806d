#!/usr/bin/env python3
"""What a batch costs: `sr_dls` against the usual fastai block that crops and shrinks each picture as it is asked for, in one run.

The peers are written as fastai's users write them, `ImageBlock` pairs with a random crop and a resize as item transforms: one opens
each picture from its path, one is given pictures that are open already. All give 16 patches of 24 and 96 px of the embedded photos as
floats, one process, one thread.
usage: data_loading.py [--quick] [--rounds 7] [--out results/data_loading.json]
"""
import random, time
from frame import RESULTS, in_turns, ledger, median, parser, ratio, seconds

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
    return seconds(lambda: [next(it) for _ in range(n)])/n*1000

def main(rounds, out, quick):
    import torch
    if quick: rounds = 2
    torch.set_num_threads(1)
    from srgan_course.data import Recipe, import_fastai, photo_paths, sample_photos, sr_dls
    from srgan_course.images import downscale
    start = time.perf_counter()
    fv, r = import_fastai(), Recipe()
    random.seed(0)
    ours = sr_dls('embedded', r, device='cpu').train
    peer, ready = [peer_block(fv, list(o.values()), downscale, r) for o in (photo_paths('train'), sample_photos('train'))]
    ms_a_batch(ours, 20)                                              # decodes
    ms = in_turns(dict(ours=lambda: ms_a_batch(ours, 60), peer_opening=lambda: ms_a_batch(peer, 4), peer_opened=lambda: ms_a_batch(ready, 8)),
                  rounds, warm=0)
    times = {f'ratio_{k}': ratio(ms[f'peer_{k}'], ms['ours']) for k in ('opening', 'opened')}
    figures = {f'{k}_ms': median(v) for k, v in ms.items()} | {k: v for k, (v, _) in times.items()}
    print('sr_dls {ours_ms:.2f} ms a batch; a per-item fastai block that opens each picture {peer_opening_ms:.0f} ms, {ratio_opening:.0f} '
          'times; with open pictures {peer_opened_ms:.1f} ms, {ratio_opened:.1f} times'.format(**figures))
    if quick: return
    ledger(out, 'cost of a training batch: 16 patches of 24 and 96 px', figures, 'embedded', 5, start, seed=r.seed, recipe=r,
           protocol=f'one process, one thread; medians of {rounds} rounds in turns', spread={k: v for k, (_, v) in times.items()})

if __name__ == '__main__': main(**vars(parser(__doc__, quick=False, rounds=7, out=RESULTS/'data_loading.json').parse_args()))
