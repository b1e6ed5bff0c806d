"Answers to the exercises of lesson 08."
import numpy as np
from solutions import right, wrong

# -- 1: ema_step

@wrong(1)
def factors_changed_places(avg, new, decay): return (1 - decay)*avg + decay*new

@wrong(1)
def a_sum_that_grows(avg, new, decay): return avg + (1 - decay)*new

@wrong(1)
def away_from_the_new(avg, new, decay): return avg - (1 - decay)*(new - avg)

@wrong(1)
def the_plain_mean(avg, new, decay): return (avg + new)/2

@wrong(1)
def decay_hard_wired(avg, new, decay): return .999*avg + .001*new

@wrong(1)
def one_number(avg, new, decay): return (decay*avg + (1 - decay)*new).mean()

@right(1)
def in_place(avg, new, decay): return avg.lerp_(new, 1 - decay)

@right(1)
def by_the_difference(avg, new, decay): return avg + (1 - decay)*(new - avg)

@right(1)
def in_numpy(avg, new, decay): return np.average([avg.numpy(), new.numpy()], axis=0, weights=[decay, 1 - decay])

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
