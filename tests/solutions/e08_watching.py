"Answers to the exercises of lesson 08."
import math
import numpy as np, torch
from solutions import right, wrong

# -- 1: steps_to_half

@wrong(1)
def rounded_down(decay): return int(math.log(.5)/math.log(decay))

@wrong(1)
def to_the_nearest(decay): return max(1, round(math.log(.5)/math.log(decay)))

@wrong(1)
def not_whole(decay): return math.log(.5)/math.log(decay)

@wrong(1)
def half_in_a_line(decay): return math.ceil(.5/(1 - decay))

@wrong(1)
def down_to_a_third(decay): return math.ceil(1/(1 - decay))

@wrong(1)
def nearly_the_logarithm(decay): return math.ceil(math.log(2)/(1 - decay))

@wrong(1)
def the_new_in_place_of_the_old(decay): return math.ceil(math.log(.5)/math.log(1 - decay))

@wrong(1)
def less_than_half(decay):
    n, left = 0, 1.
    while left >= .5: n, left = n + 1, left*decay
    return n

@wrong(1)
def one_too_many(decay): return math.ceil(math.log(.5)/math.log(decay)) + 1

@right(1)
def step_by_step(decay):
    n, left = 0, 1.
    while left > .5: n, left = n + 1, left*decay
    return n

@right(1)
def an_average_that_runs(decay):
    avg, n = torch.tensor(1., dtype=torch.float64), 0
    while avg > .5: avg.lerp_(torch.zeros_like(avg), 1 - decay); n += 1
    return torch.tensor(n)

@right(1)
def in_base_2(decay): return np.ceil(-1/np.log2(decay))

# -- 2: verdict

@wrong(2)
def by_d_of_x(d_real, d_fake):
    return 'nothing learnt' if abs(d_real - d_fake) < .02 else 'critic' if d_real > .95 else 'generator' if d_fake > .95 else 'balance'

@wrong(2)
def by_d_of_g_alone(d_real, d_fake): return 'critic' if d_fake < .05 else 'generator' if d_fake > .95 else 'balance'

@wrong(2)
def other_bounds(d_real, d_fake):
    return 'nothing learnt' if abs(d_real - d_fake) < .02 else 'critic' if d_fake < .01 else 'generator' if d_fake > .96 else 'balance'

@wrong(2)
def wants_d_of_x_near_one(d_real, d_fake):
    return 'nothing learnt' if abs(d_real
                                   - d_fake) < .02 else 'critic' if d_fake < .05 and d_real > .9 else 'generator' if d_fake > .95 else 'balance'

@wrong(2)
def nearly_the_same(d_real, d_fake):
    return 'nothing learnt' if abs(d_real - d_fake) < .01 else 'critic' if d_fake < .05 else 'generator' if d_fake > .95 else 'balance'

@wrong(2)
def no_absolute_difference(d_real, d_fake):
    return 'nothing learnt' if d_real - d_fake < .02 else 'critic' if d_fake < .05 else 'generator' if d_fake > .95 else 'balance'

@wrong(2)
def by_the_sum(d_real, d_fake): return 'critic' if d_real - d_fake > .9 else 'generator' if d_fake > d_real else 'balance'

@right(2)
def with_ifs(d_real, d_fake):
    if -.02 < d_real - d_fake < .02: return 'nothing learnt'
    if d_fake > .95: return 'generator'
    if d_fake < .05: return 'critic'
    return 'balance'

@right(2)
def by_a_table(d_real, d_fake):
    words = np.array(['critic', 'balance', 'generator'])
    return words[np.searchsorted([.05, .95], d_fake)] if not np.isclose(d_real, d_fake, rtol=0, atol=.02) else 'nothing learnt'

@right(2)
def as_the_lesson_says_it(d_real, d_fake):
    words = {'the critic says the same of everything': 'nothing learnt', 'the generator has won': 'generator', 'balance': 'balance'}
    return words.get(who_is_ahead(d_real, d_fake), 'critic')
