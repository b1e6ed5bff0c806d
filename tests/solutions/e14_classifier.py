"Answers to the exercises of lesson 14."
import numpy as np, torch
import torch.nn.functional as F
from solutions import right, wrong

@wrong(1)
def a_share_of_pictures(groups, share, seed): return np.random.default_rng(seed).permutation(len(groups))[:int(share*len(groups))]
@wrong(1)
def large_groups_first(groups, share, seed):
    names = list(dict.fromkeys(groups[np.random.default_rng(seed).permutation(len(groups))]))      # in the order of shuffled pictures
    return np.flatnonzero(np.isin(groups, names[:round(share*len(names))]))
@wrong(1)
def forty_percent(groups, share, seed):
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    return np.flatnonzero(np.isin(groups, names[:round(.4*len(names))]))
@wrong(1)
def thirty_percent_always(groups, share, seed):
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    return np.flatnonzero(np.isin(groups, names[:round(.3*len(names))]))
@wrong(1)
def whole_groups_but_a_share_of_pictures(groups, share, seed):
    held = []
    for g in np.random.default_rng(seed).permutation(np.unique(groups)):
        if len(held) < share*len(groups): held += np.flatnonzero(groups == g).tolist()
    return held
@wrong(1)
def without_the_seed(groups, share, seed):
    names = np.random.default_rng(0).permutation(np.unique(groups))
    return np.flatnonzero(np.isin(groups, names[:round(share*len(names))]))
@wrong(1)
def another_draw_each_time(groups, share, seed):
    names = np.random.permutation(np.unique(groups))
    return np.flatnonzero(np.isin(groups, names[:round(share*len(names))]))
@wrong(1)
def numbers_without_holes(groups, share, seed):
    n = len(np.unique(groups))
    return np.flatnonzero(np.isin(groups, np.random.default_rng(seed).permutation(n)[:round(share*n)]))
@wrong(1)
def the_names_of_groups(groups, share, seed):
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    return names[:round(share*len(names))] % len(groups)
@wrong(1)
def the_groups_themselves(groups, share, seed): return np.random.default_rng(seed).permutation(np.unique(groups))[:round(share*30)]
@wrong(1)
def cut_instead_of_rounded(groups, share, seed):
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    return np.flatnonzero(np.isin(groups, names[:int(share*len(names))]))
@right(1)
def a_mask(groups, share, seed):
    names = np.unique(groups)
    return np.isin(groups, np.random.default_rng(seed).choice(names, round(share*len(names)), replace=False))
@right(1)
def a_set(groups, share, seed):
    import random
    names = sorted(set(groups.tolist()))
    held = random.Random(seed).sample(names, round(share*len(names)))
    return {i for i, g in enumerate(groups) if g in held}
@right(1)
def of_scikit_learn(groups, share, seed):
    from sklearn.model_selection import GroupShuffleSplit
    return next(GroupShuffleSplit(1, test_size=share, random_state=seed).split(groups, groups=groups))[1]

@wrong(2)
def by_accuracy(logits, y):
    return max(np.geomspace(.01, 100, 400), key=lambda k: ((k*logits).argmax(1) == torch.as_tensor(y)).float().mean().item())
@wrong(2)
def a_temperature(logits, y): return 1/min(np.geomspace(.01, 100, 400), key=lambda k: F.cross_entropy(k*logits, torch.as_tensor(y)).item())
@wrong(2)
def too_short_a_range(logits, y): return min(np.linspace(.1, 5, 200), key=lambda k: F.cross_entropy(k*logits, torch.as_tensor(y)).item())
@wrong(2)
def of_length_one(logits, y): return 1/logits.std()
@wrong(2)
def confidence_is_accuracy(logits, y):
    return max(np.geomspace(.01, 100, 400), key=lambda k: (k*logits).softmax(1).max(1).values.mean().item())
@right(2)
def by_gradient(logits, y):
    k = torch.zeros((), dtype=torch.float64, requires_grad=True)
    opt = torch.optim.LBFGS([k], max_iter=100, line_search_fn='strong_wolfe')
    def closure(): opt.zero_grad(); l = F.cross_entropy(k.exp()*logits, torch.as_tensor(y)); l.backward(); return l
    opt.step(closure)
    return k.exp().detach()
@right(2)
def of_scipy_too(logits, y):
    from scipy.optimize import minimize_scalar
    z = logits.numpy(); margin = (z[:, 1] - z[:, 0])*(2*y - 1)
    return np.float32(np.exp(minimize_scalar(lambda k: np.logaddexp(0, -np.exp(k)*margin).mean(), bounds=(-6, 6), method='bounded').x))

# 3: AUC by ranks

def _by_ranks(r, labels):
    pos = np.asarray(labels) == 1
    return (r[pos].sum() - pos.sum()*(pos.sum() + 1)/2)/(pos.sum()*(~pos).sum())

@wrong(3)
def of_decisions(scores, labels):
    from scipy.stats import rankdata
    return _by_ranks(rankdata(scores > .5), labels)

@wrong(3)
def ties_in_order(scores, labels): return _by_ranks(np.argsort(np.argsort(scores, kind='stable'), kind='stable') + 1, labels)

@wrong(3)
def ties_are_lost(scores, labels): return (scores[labels == 1][:,None] > scores[labels == 0][None]).mean()

@wrong(3)
def ties_are_won(scores, labels): return (scores[labels == 1][:,None] >= scores[labels == 0][None]).mean()

@wrong(3)
def as_many_of_each(scores, labels):
    from scipy.stats import rankdata
    n = len(scores)/2
    return (rankdata(scores)[labels == 1].sum() - n*(n + 1)/2)/n**2

@wrong(3)
def never_below_half(scores, labels):
    from scipy.stats import rankdata
    auc = _by_ranks(rankdata(scores), labels)
    return max(auc, 1 - auc)

@wrong(3)
def ranks_from_0(scores, labels):
    from scipy.stats import rankdata
    return _by_ranks(rankdata(scores) - 1, labels)

@wrong(3)
def best_first(scores, labels):
    from scipy.stats import rankdata
    return _by_ranks(rankdata(-scores), labels)

@right(3)
def all_pairs(scores, labels):
    d = scores[labels == 1][:,None] - scores[labels == 0][None]
    return ((d > 0) + .5*(d == 0)).mean()

@right(3)
def by_scikit_learn(scores, labels):
    from sklearn.metrics import roc_auc_score
    return roc_auc_score(labels, scores)

@right(3)
def by_bisection(scores, labels):
    neg = np.sort(scores[labels == 0])
    won = [(np.searchsorted(neg, s, 'left') + np.searchsorted(neg, s, 'right'))/2 for s in scores[labels == 1]]
    return torch.tensor(sum(won)/len(won)/len(neg), dtype=torch.float64)
