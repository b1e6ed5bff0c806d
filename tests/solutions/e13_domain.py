"Lesson 13: whole photographs held out, half the width of an interval over runs."
from solutions import makes, right, wrong

@wrong(1)
def every_third_square(which): return np.arange(len(which)) % 3 == 0

@wrong(1)
def numbers_that_three_divides(which): return which % 3 == 0

@wrong(1)
def first_third_of_the_squares(which): return np.arange(len(which)) < len(which)//3

@wrong(1)
def a_third_of_each(which):
    out = np.zeros(len(which), bool)
    for w in np.unique(which): out[np.flatnonzero(which == w)[::3]] = True
    return out

@wrong(1)
def their_places(which): return np.flatnonzero(np.isin(which, np.unique(which)[::3]))

@wrong(1)
def the_rest(which): return ~np.isin(which, np.unique(which)[::3])

@wrong(1)
def when_the_number_changes(which): return np.cumsum(np.r_[0, which[1:] != which[:-1]]) % 3 == 0

@right(1)
def a_list(which):
    judging = sorted(set(which.tolist()))[2::3]
    return [w in judging for w in which.tolist()]

@right(1)
def by_inverse(which): return np.unique(which, return_inverse=True)[1] % 3 == 1

@right(1)
def drawn(which):
    photos = np.random.default_rng(0).permutation(np.unique(which))
    return torch.isin(torch.from_numpy(which), torch.from_numpy(photos[:len(photos)//3]))

@wrong(2)
def many_runs(gaps): return 1.96*gaps.std(ddof=1)/len(gaps)**.5

@wrong(2)
def always_three(gaps): return 4.303*gaps.std(ddof=1)/len(gaps)**.5

@wrong(2)
def of_one_run(gaps):
    from scipy.stats import t
    return t.ppf(.975, len(gaps) - 1)*gaps.std(ddof=1)

@wrong(2)
def no_ddof(gaps):
    from scipy.stats import t
    return t.ppf(.975, len(gaps) - 1)*gaps.std()/len(gaps)**.5

@wrong(2)
def one_side(gaps):
    from scipy.stats import t
    return t.ppf(.95, len(gaps) - 1)*gaps.std(ddof=1)/len(gaps)**.5

@wrong(2)
def a_degree_too_many(gaps):
    from scipy.stats import t
    return t.ppf(.975, len(gaps))*gaps.std(ddof=1)/len(gaps)**.5

@right(2)
def standard_error(gaps):
    from scipy import stats
    return stats.sem(gaps)*stats.t.isf(.025, len(gaps) - 1)

@right(2)
def a_table(gaps):
    by_runs = {2: 12.7062, 3: 4.3027, 4: 3.1824, 5: 2.7764}
    return torch.from_numpy(gaps).std()*by_runs[len(gaps)]/len(gaps)**.5

@right(2)
def plain_python(gaps):
    import statistics
    from scipy.stats import t
    return t.ppf(.975, len(gaps) - 1)*statistics.stdev(gaps.tolist())/len(gaps)**.5
