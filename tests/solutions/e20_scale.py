"Lesson 20: the lines of a part, when the last worker is done, which pictures are left out, a gradient from uneven parts."
import heapq
from collections import Counter
import torch
from solutions import right, wrong

@wrong(1)
def by_count(data, i, n):
    lines = data.splitlines()
    return lines[len(lines)*i//n:len(lines)*(i + 1)//n]

@wrong(1)
def loses_a_line_that_begins_at_the_cut(data, i, n):
    first, end, found = len(data)*i//n, len(data)*(i + 1)//n, []
    at = data.find(b'\n', first) + 1 if first else 0
    while at < end:
        stop = data.index(b'\n', at)
        found.append(data[at:stop]); at = stop + 1
    return found

@wrong(1)
def what_lies_between_the_cuts(data, i, n):
    return data[len(data)*i//n:len(data)*(i + 1)//n].splitlines()

@wrong(1)
def that_end_in_it(data, i, n):
    at, found = 0, []
    for l in data.splitlines(keepends=True):
        at += len(l)
        if len(data)*i//n < at <= len(data)*(i + 1)//n: found.append(l[:-1])
    return found

@right(1)
def all_looked_at(data, i, n):
    at, found = 0, []
    for l in data.split(b'\n')[:-1]:
        if len(data)*i//n <= at < len(data)*(i + 1)//n: found.append(l)
        at += len(l) + 1
    return found

@right(1)
def by_the_byte_before(data, i, n):
    first, end = len(data)*i//n, len(data)*(i + 1)//n
    starts = [k for k in range(first, end) if k == 0 or data[k-1:k] == b'\n']
    return tuple(data[k:data.index(b'\n', k)] for k in starts)

@wrong(2)
def shared_evenly(seconds, n): return sum(seconds)/n

@wrong(2)
def dealt_like_cards(seconds, n): return max(sum(seconds[k::n]) for k in range(n))

@wrong(2)
def longest_first(seconds, n):
    free = [0]*n
    for s in sorted(seconds, reverse=True): free[free.index(min(free))] += s
    return max(free)

@wrong(2)
def at_least(seconds, n): return max(max(seconds), sum(seconds)/n)

@right(2)
def with_a_heap(seconds, n):
    free = [0.]*n
    for s in seconds: heapq.heapreplace(free, free[0] + s)
    return max(free)

@right(2)
def sorted_each_time(seconds, n):
    free = [0]*n
    for s in seconds: free = sorted([free[0] + s, *free[1:]])
    return free[-1]

@wrong(3)
def never_forgets(events):
    begun = Counter(e['begin'] for e in events if 'begin' in e)
    return {k for k, v in begun.items() if v >= 3}

@wrong(3)
def forgives_all_that_was_ever_done(events):
    begun, done = Counter(e.get('begin') for e in events), {e.get('done') for e in events}
    return {k for k, v in begun.items() if k and v >= 3 and k not in done}

@wrong(3)
def one_try_too_many(events):
    begun = Counter()
    for e in events:
        if 'begin' in e: begun[e['begin']] += 1
        else: begun[e['done']] = 0
    return {k for k, v in begun.items() if v > 3}

@right(3)
def as_a_list(events):
    begun = Counter()
    for e in events:
        if 'begin' in e: begun[e['begin']] += 1
        else: begun[e['done']] = 0
    return [k for k, v in begun.items() if v > 2]

@right(3)
def backwards(events):
    done, begun = set(), Counter()
    for e in reversed(events):
        if 'done' in e: done.add(e['done'])
        elif e['begin'] not in done: begun[e['begin']] += 1
    return frozenset(k for k in begun if begun[k] >= 3)

@wrong(4)
def mean_of_means(grads, sizes): return sum(grads)/len(grads)

@wrong(4)
def sum_of_sums(grads, sizes): return sum(g*n for g, n in zip(grads, sizes))

@wrong(4)
def divided_by_the_parts(grads, sizes): return sum(g*n for g, n in zip(grads, sizes))/len(sizes)

@wrong(4)
def weighted_the_wrong_way(grads, sizes): return sum(g/n for g, n in zip(grads, sizes))/sum(1/n for n in sizes)

@right(4)
def by_shares(grads, sizes):
    whole = torch.zeros_like(grads[0])
    for g, n in zip(grads, sizes): whole += g*(n/sum(sizes))
    return whole

@right(4)
def stacked(grads, sizes):
    w = torch.tensor(sizes, dtype=torch.float32)
    return torch.einsum('k,k...->...', w, torch.stack(grads))/w.sum()
