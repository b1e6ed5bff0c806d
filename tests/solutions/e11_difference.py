"Lesson 11: an interval of paired gains, a verdict over runs, the size of a study."
from solutions import right, wrong
import numpy as np
from scipy import stats as st

@wrong(1)
def two_intervals(a, b):
    (l, h), (m, k) = over_pictures(np.mean, a), over_pictures(np.mean, b)
    return m - h, k - l

@wrong(1)
def each_redrawn_alone(a, b):
    r = np.random.default_rng(1); n = len(a)
    return tuple(np.percentile([b[r.integers(0, n, n)].mean() - a[r.integers(0, n, n)].mean() for _ in range(1000)], [2.5, 97.5]))

@wrong(1)
def the_other_way_round(a, b): return over_pictures(np.mean, a - b)

@wrong(1)
def sorted_first(a, b): return over_pictures(np.mean, np.sort(b) - np.sort(a))

@wrong(1)
def spread_of_pictures(a, b): return tuple(np.percentile(b - a, [2.5, 97.5]))

@wrong(1)
def medians(a, b): return over_pictures(np.median, b - a)

@right(1)
def both_arrays(a, b): return over_pictures(lambda x, y: y.mean() - x.mean(), a, b)

@right(1)
def by_hand(a, b):
    r = np.random.default_rng(7); d = b - a
    return list(np.quantile(d[r.integers(0, len(d), (4000, len(d)))].mean(1), [.025, .975]))

@right(1)
def textbook(a, b): return over_runs(b - a)

@wrong(2)
def all_numbers_alike(a, b): return says(*over_runs((b - a).ravel()))

@wrong(2)
def over_the_pictures(a, b): return says(*over_pictures(np.mean, (b - a).mean(0)))

@wrong(2)
def pictures_too(a, b): return says(*over_both(b - a))

@wrong(2)
def means_alone(a, b): return 'more' if b.mean() > a.mean() else 'less'

@wrong(2)
def two_standard_errors(a, b):
    d = (b - a).mean(1); e = 1.96*d.std(ddof=1)/len(d)**.5
    return says(d.mean() - e, d.mean() + e)

@wrong(2)
def all_of_one_sign(a, b):
    g = (b - a).mean(1)
    return 'cannot tell' if len(g) < 3 else 'more' if (g > 0).all() else 'less' if (g < 0).all() else 'cannot tell'

@wrong(2)
def two_standard_errors_of_three_or_more(a, b):
    d = (b - a).mean(1); e = 1.96*d.std(ddof=1)/len(d)**.5
    return 'cannot tell' if len(d) < 3 else says(d.mean() - e, d.mean() + e)

@wrong(2)
def not_in_pairs(a, b):
    p = st.ttest_ind(a.mean(1), b.mean(1)).pvalue
    return 'cannot tell' if p > .05 else 'more' if b.mean() > a.mean() else 'less'

@right(2)
def paired_test(a, b):
    t = st.ttest_rel(b.mean(1), a.mean(1))
    return 'cannot tell' if t.pvalue > .05 else 'more' if t.statistic > 0 else 'less'

@right(2)
def with_the_words(a, b):
    lo, hi = over_runs(b.mean(1) - a.mean(1))
    if lo > 0: return 'more'
    return 'less' if hi < 0 else 'cannot tell'

@wrong(3)
def spread_of_the_world(pilot, claimed):
    n = 2
    while smallest_effect(pilot.std(), n) > abs(claimed): n += 1
    return n

@wrong(3)
def forgets_the_sign(pilot, claimed):
    for n in range(2, 1000):
        if smallest_effect(pilot.std(ddof=1), n) <= claimed: return n

@wrong(3)
def half_width_only(pilot, claimed):
    n = 2
    while st.t.ppf(.975, n - 1)*pilot.std(ddof=1)/n**.5 > abs(claimed): n += 1
    return n

@wrong(3)
def one_too_many(pilot, claimed):
    n = 2
    while smallest_effect(pilot.std(ddof=1), n) > abs(claimed): n += 1
    return n + 1

@wrong(3)
def normal_formula(pilot, claimed): return int(np.ceil(((1.96 + .84)*pilot.std(ddof=1)/claimed)**2))

@right(3)
def a_list_of_all(pilot, claimed):
    return next(n for n in range(2, 10**6) if smallest_effect(np.std(pilot, ddof=1), n) <= abs(claimed))

@right(3)
def by_halving(pilot, claimed):
    s, lo, hi = float(pilot.std(ddof=1)), 1, 10**6           # hi is enough, lo is not
    while hi - lo > 1:
        m = (lo + hi)//2
        lo, hi = (lo, m) if smallest_effect(s, m) <= abs(claimed) else (m, hi)
    return hi
