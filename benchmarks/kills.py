#!/usr/bin/env python3
"""Fifty runs stopped at seeded moments and taken up again: in the game, in pretraining, with batches from workers, in two processes, by a
disk that fills, under a clock that jumps by ten years. How many end in the same bits as the runs that nobody stopped?

The runs are those of tests/test_kill.py: tiny networks with batch norm, dropout, noisy labels, an average, a history and checkpoints.
Writes results/kills.json.
usage: kills.py [--quick]
"""
import sys, tempfile, time
from collections import Counter
from pathlib import Path
from frame import ROOT, ledger, parser

def main(quick):
    sys.path.insert(0, str(ROOT/'tests'))
    from test_kill import KINDS, Pairs, Parent, left_alone, seeded_kill
    start, parent, pairs, same, bad = time.perf_counter(), Parent(), Pairs(), Counter(), []
    with tempfile.TemporaryDirectory() as tmp:
        new_folder = lambda name: Path(tempfile.mkdtemp(prefix=name, dir=tmp))
        whole = left_alone(parent, new_folder)
        for kind, n in KINDS.items():
            for seed in range(1 if quick else n):
                try: got, want = seeded_kill(parent, whole, pairs, new_folder(kind), kind, seed)
                except AssertionError as e: got, want = str(e), None
                same[kind] += got == want
                if got != want: bad.append(f'{kind} {seed}')
                print(kind, seed, 'same bits' if got == want else f'DIFFERENT: {got}', flush=True)
    parent.close(); pairs.close()
    n = len(KINDS) if quick else sum(KINDS.values())
    print(f'{sum(same.values())} of {n} the same')
    if not quick:
        ledger('kills', 'Runs stopped at seeded moments and taken up again, against the same runs left alone',
               dict(stopped=n, same_bits=sum(same.values()), by_kind={k: dict(stopped=m, same_bits=same[k]) for k, m in KINDS.items()}, different=bad),
               'noise', n, start, seed=0,
               protocol='SIGKILL (disk: no file may grow any more) at any of 12 steps, validations or renames; weights, average, optimiser and '
                        'history are compared by SHA-256')
    return len(bad)

if __name__ == '__main__': sys.exit(main(**vars(parser(__doc__, quick=False).parse_args())))
