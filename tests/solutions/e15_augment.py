"Answers to the exercises of lesson 15."
import math
import numpy as np, torch
from solutions import right, wrong

@wrong(1)
def beside_a_alone(acc): return acc['B'] - acc['A']
@wrong(1)
def ignores_all_other_arms(acc): return acc['B'] - max(acc['A, twice the steps'], acc['A + plain copies'])
@wrong(1)
def beside_plain_copies(acc): return acc['B'] - acc['A + plain copies']
@wrong(1)
def beside_the_best_of_all(acc): return acc['B'] - max(acc.values())
@wrong(1)
def beside_the_second_best(acc): return acc['B'] - sorted(acc.values())[-2]
@wrong(1)
def forgets_a_control_that_ties(acc): return acc['B'] - max(v for v in acc.values() if v != acc['B'])
@wrong(1)
def never_below_zero(acc): return max(0, acc['B'] - max(v for k, v in acc.items() if k != 'B'))
@wrong(1)
def beside_their_mean(acc): return acc['B'] - np.mean([v for k, v in acc.items() if k != 'B'])
@right(1)
def with_pop(acc): return acc.pop('B') - max(acc.values())
@right(1)
def a_loop(acc): return min(acc['B'] - acc[k] for k in acc if not k.startswith('B'))
@right(1)
def a_tensor(acc):
    b = acc['B']; del acc['B']
    return torch.tensor(b, dtype=torch.float64) - torch.tensor([*acc.values()], dtype=torch.float64).max()

@wrong(2)
def originals_against_copies_alone(train, valid, n):
    train, valid = np.asarray(train), np.asarray(valid)
    return np.union1d(np.intersect1d(train, valid - n), np.intersect1d(train - n, valid))
@wrong(2)
def file_numbers(train, valid, n): return np.intersect1d(train, valid)
@wrong(2)
def ten_pictures_always(train, valid, n): return np.intersect1d(train % 10, valid % 10)
@wrong(2)
def copies_in_training_alone(train, valid, n): return np.intersect1d(train - n, valid)
@wrong(2)
def originals_in_training_alone(train, valid, n): return np.intersect1d(train, valid - n)
@wrong(2)
def the_files_that_judge(train, valid, n): return valid[np.isin(valid % n, train % n)]
@wrong(2)
def how_many(train, valid, n): return len(np.intersect1d(train % n, valid % n))
@right(2)
def a_set(train, valid, n): return {int(i) % n for i in train} & {int(i) % n for i in valid}
@wrong(2)
def one_twice_if_it_and_its_copy_train(train, valid, n): return (train % n)[np.isin(train % n, valid % n)]
@wrong(2)
def one_twice_if_it_and_its_copy_judge(train, valid, n): return (valid % n)[np.isin(valid % n, train % n)]
@wrong(2)
def a_list_with_repeats(train, valid, n): return [t % n for t in train.tolist() for v in valid.tolist() if (t - v) % n == 0]
@right(2)
def a_tensor_of_pictures(train, valid, n):
    a = torch.as_tensor(train) % n
    return a[torch.isin(a, torch.as_tensor(valid) % n)].unique()

@wrong(3)
def twice_for_half_the_width(half_width, n, effect): return n*half_width/effect
@wrong(3)
def by_the_root(half_width, n, effect): return n*(half_width/effect)**.5
@wrong(3)
def how_many_more(half_width, n, effect): return n*(half_width/effect)**2 - n
@wrong(3)
def the_other_way(half_width, n, effect): return n*(effect/half_width)**2
@wrong(3)
def of_a_coin(half_width, n, effect): return .25*(1.96/effect)**2
@right(3)
def rounded_up(half_width, n, effect): return math.ceil(n*(half_width/effect)**2)
@right(3)
def by_the_standard_deviation(half_width, n, effect):
    sd = half_width*np.sqrt(n)/1.96
    return np.float64((1.96*sd/effect)**2)
