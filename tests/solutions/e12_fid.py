"Lesson 12: a distance of single numbers, the likeness of different pictures, an FID for endless pictures."
from solutions import makes, right, wrong
import math, statistics

@wrong(1)
def squares_of_widths(x, y): return (x.mean() - y.mean())**2 + (x.var() - y.var())**2

@wrong(1)
def by_sorting(x, y):
    "The effort of the best plan: right for bells, and of two heaps of one size only."
    n = min(len(x), len(y))
    return ((np.sort(x)[:n] - np.sort(y)[:n])**2).mean()

@wrong(1)
def by_quantiles(x, y):
    at = (np.arange(1000) + .5)/1000
    return ((np.quantile(x, at) - np.quantile(y, at))**2).mean()

@wrong(1)
def medians(x, y): return (np.median(x) - np.median(y))**2 + (x.std() - y.std())**2

@wrong(1)
def of_a_sample(x, y): return (x.mean() - y.mean())**2 + (x.std(ddof=1) - y.std(ddof=1))**2

@wrong(1)
def not_squared(x, y): return abs(x.mean() - y.mean()) + abs(x.std() - y.std())

@wrong(1)
def root(x, y): return math.hypot(x.mean() - y.mean(), x.std() - y.std())

@right(1)
def by_the_library(x, y): return frechet_distance(x.mean(), x.var(), y.mean(), y.var())

@right(1)
def by_the_other_formula(x, y): return (x.mean() - y.mean())**2 + x.var() + y.var() - 2*(x.var()*y.var())**.5

@right(1)
def plain_python(x, y): return (statistics.fmean(x) - statistics.fmean(y))**2 + (statistics.pstdev(x) - statistics.pstdev(y))**2

@right(1)
def tensors(x, y):
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    return (x.mean() - y.mean())**2 + (x.std(correction=0) - y.std(correction=0))**2

@wrong(2)
def with_itself(k): return k.mean()

@wrong(2)
def too_many_pairs(k): return (k.sum() - np.trace(k))/len(k)**2

@wrong(2)
def upper_with_diagonal(k): return k[np.triu_indices(len(k))].mean()

@wrong(2)
def one_for_the_diagonal(k): return (k.sum() - len(k))/(len(k)*(len(k) - 1))

@wrong(2)
def middle_pair(k): return np.median(k[~np.eye(len(k), dtype=bool)])

@wrong(2)
def pairs_once(k): return (k.sum() - np.trace(k))/(len(k)*(len(k) - 1)/2)

@right(2)
def mask(k): return k[~np.eye(len(k), dtype=bool)].mean()

@right(2)
def upper(k): return k[np.triu_indices(len(k), 1)].mean()

@right(2)
def loops(k):
    pairs = [k[i, j] for i in range(len(k)) for j in range(len(k)) if i != j]
    return sum(pairs)/len(pairs)

@right(2)
def in_place(k):
    np.fill_diagonal(k, np.nan)
    return np.nanmean(k)

@wrong(3)
def over_n(n, values): return np.polyfit(n, values, 1)[1]

@wrong(3)
def slope(n, values): return np.polyfit(1/n, values, 1)[0]

@wrong(3)
def largest_n(n, values): return values[np.argmax(n)]

@wrong(3)
def last_two(n, values):
    a, b = np.argsort(n)[-2:]
    return (n[b]*values[b] - n[a]*values[a])/(n[b] - n[a])

@wrong(3)
def ends_alone(n, values):
    a, b = np.argmin(n), np.argmax(n)
    return (n[b]*values[b] - n[a]*values[a])/(n[b] - n[a])

@wrong(3)
def over_the_root(n, values): return np.polyfit(n**-.5, values, 1)[1]

@wrong(3)
def never_below_zero(n, values): return max(np.polyfit(1/n, values, 1)[1], .1)

@right(3)
def least_squares(n, values): return np.linalg.lstsq(np.stack([1/n, np.ones(len(n))], 1), values, rcond=None)[0][1]

@right(3)
def by_scipy(n, values):
    from scipy.stats import linregress
    return linregress(1/n, values).intercept

@right(3)
def by_hand(n, values):
    x = [1/k for k in n]
    mx, my = sum(x)/len(x), sum(values)/len(x)
    return my - mx*sum((a - mx)*(b - my) for a, b in zip(x, values))/sum((a - mx)**2 for a in x)
