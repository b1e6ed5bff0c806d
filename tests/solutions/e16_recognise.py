"Answers to the exercises of lesson 16."
import numpy as np, torch
from solutions import right, wrong

# 1: does a student flatter?

@wrong(1)
def asks_the_teacher_alone(own, other): return own[0] < own[1]

@wrong(1)
def asks_the_judge_alone(own, other): return other[0] > other[1]

@wrong(1)
def any_disagreement(own, other): return (own[0] < own[1]) != (other[0] < other[1])

@wrong(1)
def gains_more_by_the_teacher(own, other): return own[1] - own[0] > other[1] - other[0]

@wrong(1)
def gains_more_in_proportion(own, other): return own[0]/own[1] < other[0]/other[1]

@wrong(1)
def lets_a_tie_count(own, other): return own[0] <= own[1] and other[0] >= other[1]

@wrong(1)
def takes_losses_for_scores(own, other): return own[0] > own[1] and other[0] < other[1]

@right(1)
def by_signs(own, other): return np.sign(np.subtract(*own)) == -1 and np.sign(np.subtract(*other)) == 1

@right(1)
def as_tensors(own, other):
    (a, b), (c, d) = torch.tensor(own), torch.tensor(other)
    return (a < b) & (c > d)

@right(1)
def by_the_worse_one(own, other): return 1 if max(own[0] - own[1], other[1] - other[0]) < 0 else 0

# 2: what share comes back?

@wrong(2)
def of_the_originals(original, bicubic, way): return way.mean()/original.mean()

@wrong(2)
def counts_what_is_new_and_not_what_is_lost(original, bicubic, way): return (way & ~bicubic).sum()/(original & ~bicubic).sum()

@wrong(2)
def only_where_the_original_was_right(original, bicubic, way):
    return ((way & original).mean() - (bicubic & original).mean())/(original.mean() - (bicubic & original).mean())

@wrong(2)
def a_fifth_was_lost(original, bicubic, way): return 5*(way.mean() - bicubic.mean())

@wrong(2)
def of_all_pictures(original, bicubic, way): return way.mean() - bicubic.mean()

@wrong(2)
def of_what_bicubic_gets_wrong(original, bicubic, way): return (way.mean() - bicubic.mean())/(1 - bicubic.mean())

@wrong(2)
def never_below_nothing(original, bicubic, way): return max(0., (way.mean() - bicubic.mean())/(original.mean() - bicubic.mean()))

@wrong(2)
def never_above_all(original, bicubic, way): return min(1., (way.mean() - bicubic.mean())/(original.mean() - bicubic.mean()))

@wrong(2)
def size_of_the_change(original, bicubic, way): return abs(way.mean() - bicubic.mean())/abs(original.mean() - bicubic.mean())

@right(2)
def by_counting(original, bicubic, way):
    lost = won = 0
    for o, b, w in zip(original.tolist(), bicubic.tolist(), way.tolist()): lost += o - b; won += w - b
    return won/lost

@right(2)
def on_tensors(original, bicubic, way):
    o, b, w = (torch.from_numpy(v).float().mean() for v in (original, bicubic, way))
    return (w - b)/(o - b)

@right(2)
def what_is_still_missing(original, bicubic, way):
    o, b, w = (np.average(np.array(v, float)) for v in (original, bicubic, way))
    return 1 - (o - w)/(o - b)
