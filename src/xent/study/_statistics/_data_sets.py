"""Question C, "over many data sets": Wilcoxon's signed ranks, Friedman's ranks, Holm's steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from xent._errors import InputError
from xent._links import Array
from xent.study._statistics._checks import check_values

# Up to here the signed-rank distribution is enumerated, where there are no ties and no zeros.
_EXACT = 50
_PERMUTATIONS = 19_999


@dataclass(frozen=True)
class Wilcoxon:
    """Wilcoxon's signed-rank test.

    Args:
        positive_ranks: sum of the ranks of positive differences, zeros half.
        negative_ranks: sum of the ranks of negative differences, zeros half.
        p_value: two-sided.
        exact: whether it is from the exact distribution rather than the normal one.
    """

    positive_ranks: float
    negative_ranks: float
    p_value: float
    exact: bool


def wilcoxon(differences: ArrayLike) -> Wilcoxon:
    """Wilcoxon's signed-rank test of the differences of two procedures over data sets.

    Ties share their mean rank; the ranks of zeros go half to each side (Demšar 2006). The
    distribution is exact up to 50 data sets without ties and zeros, normal beyond, with the
    variance Σ r² / 4 of the ranks as they are and no correction for continuity.

    Args:
        differences: ``(data sets,)``; may be infinite, not NaN.

    Raises:
        InputError: no differences, or NaN.

    >>> wilcoxon([1.0, 2.0, 3.0, 4.0, 5.0, -6.0])
    Wilcoxon(positive_ranks=15.0, negative_ranks=6.0, p_value=0.4375, exact=True)
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not len(values) or np.isnan(values).any():
        raise InputError(
            "wilcoxon: differences",
            "of shape (data sets,) without NaN",
            f"shape {values.shape}" if values.ndim != 1 or not len(values) else "NaN",
            "Give one difference for each data set.",
        )
    ranks = _ranks(np.abs(values))
    ties = len(np.unique(np.abs(values))) < len(values) or bool((values == 0.0).any())
    halves = float(ranks[values == 0.0].sum()) / 2.0
    positive = float(ranks[values > 0.0].sum()) + halves
    negative = float(ranks[values < 0.0].sum()) + halves
    smaller = min(positive, negative)
    if not ties and len(values) <= _EXACT:
        p_value = min(1.0, 2.0 * _signed_rank_tail(len(values), int(smaller)))
        return Wilcoxon(positive, negative, p_value, exact=True)
    from scipy.special import ndtr

    # The sign of a zero is not drawn, but half of its rank on each side: it adds no variance.
    variance = float(np.sum(ranks[values != 0.0] ** 2)) / 4.0
    if variance == 0.0:
        return Wilcoxon(positive, negative, 1.0, exact=False)
    z = (smaller - (positive + negative) / 2.0) / math.sqrt(variance)
    return Wilcoxon(positive, negative, min(1.0, 2.0 * float(ndtr(z))), exact=False)


def _signed_rank_tail(count: int, statistic: int) -> float:
    """P(W ≤ statistic) for ranks 1 to count whose signs are tossed: subsets counted by sum."""
    ways = np.zeros(count * (count + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, count + 1):
        ways[rank:] += ways[:-rank].copy()
    return float(ways[: statistic + 1].sum() / 2.0**count)


def _ranks(values: Array) -> Array:
    """Ranks from 1, ties sharing their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2.0)[place])


@dataclass(frozen=True)
class Friedman:
    """Friedman's test, and each pair of procedures after it.

    Args:
        mean_ranks: of each procedure, 1 the lowest loss.
        chi_squared: Friedman's statistic, corrected for ties.
        p_value: of the hypothesis that all procedures are alike.
        pairs: the procedures compared, by position, the later one first.
        p_pairs: for each pair, from the normal distribution of its difference of mean ranks,
            adjusted by Holm's method over all pairs.
    """

    mean_ranks: tuple[float, ...]
    chi_squared: float
    p_value: float
    pairs: tuple[tuple[int, int], ...]
    p_pairs: tuple[float, ...]


def friedman(losses: ArrayLike) -> Friedman:
    """Friedman's test of three or more procedures over data sets, and all pairs by Holm.

    Procedures are ranked on each data set. The p-value is the share of 20,000 permutations of the
    ranks within data sets (the observed one among them, the seed fixed) whose statistic is as
    large: for few data sets the χ² distribution is too strict and Iman and Davenport's F a little
    too lax. Pairs by z = (R_i - R_j) / √(k (k + 1) / (6 N)) (Demšar 2006).

    Args:
        losses: ``(data sets, procedures)``, lower is better; at least two data sets and three
            procedures. Infinite losses rank last.

    Raises:
        InputError: another shape, or NaN.

    >>> test = friedman([[0.1, 0.2, 0.3], [0.1, 0.3, 0.2], [0.1, 0.2, 0.3], [0.2, 0.3, 0.4]])
    >>> test.mean_ranks, test.chi_squared, round(test.p_value, 2)
    ((1.0, 2.25, 2.75), 6.5, 0.04)
    """
    values = np.asarray(losses, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] < 2 or values.shape[1] < 3 or np.isnan(values).any():
        raise InputError(
            "friedman: losses",
            "of shape (data sets, procedures) with 2 or more by 3 or more and no NaN",
            f"shape {values.shape}",
            "Give a loss for every data set and procedure; two procedures go to wilcoxon.",
        )
    sets, procedures = values.shape
    ranks = np.stack([_ranks(row) for row in values])
    means = ranks.mean(axis=0)
    middle = (procedures + 1) / 2.0
    within = float(np.sum((ranks - middle) ** 2)) / (sets * (procedures - 1))
    between = float(np.sum((means - middle) ** 2))
    from scipy.special import ndtr

    error = math.sqrt(procedures * (procedures + 1) / (6.0 * sets))
    pairs = [(j, i) for i in range(procedures) for j in range(i + 1, procedures)]
    raw = [2.0 * float(ndtr(-abs(means[j] - means[i]) / error)) for j, i in pairs]
    return Friedman(
        tuple(means.tolist()),
        sets * between / within if within > 0.0 else 0.0,
        _permutation_p(ranks, between),
        tuple(pairs),
        tuple(holm(raw)),
    )


def _permutation_p(ranks: Array, between: float) -> float:
    """Share of permutations whose mean ranks spread as much; ties keep their places in the row."""
    sets, procedures = ranks.shape
    untied = all(len(np.unique(row)) == procedures for row in ranks)
    drawn = _spread_of_ranks(sets, procedures) if untied else _permuted_spread(ranks)
    return float((1 + np.count_nonzero(drawn >= between - 1e-12)) / (1 + len(drawn)))


@lru_cache(maxsize=8)
def _spread_of_ranks(sets: int, procedures: int) -> Array:
    return _permuted_spread(np.tile(np.arange(1.0, procedures + 1.0), (sets, 1)))


def _permuted_spread(ranks: Array) -> Array:
    """Σ (mean rank - its expectation)² of permutations within data sets, ``(draws,)``."""
    random = np.random.default_rng(0)
    totals = np.zeros((_PERMUTATIONS, ranks.shape[1]))
    for row in ranks:
        totals += random.permuted(np.tile(row, (_PERMUTATIONS, 1)), axis=1)
    return np.asarray(((totals / len(ranks) - ranks.mean()) ** 2).sum(axis=1))


def holm(p_values: ArrayLike) -> list[float]:
    """p-values adjusted for their number by Holm's step-down method (1979).

    The smallest of m is multiplied by m, the next by m - 1, and so on; none may fall below the one
    before it, nor above 1. "Some pair differs" then errs at most at the level of the test.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    if not np.size(p_values):
        return []
    values = check_values(p_values, "holm: p_values", ("tests",))
    order = np.argsort(values, kind="stable")
    adjusted = [0.0] * len(order)
    highest = 0.0
    for step, place in enumerate(order.tolist()):
        highest = max(highest, min(1.0, (len(order) - step) * float(values[place])))
        adjusted[place] = highest
    return adjusted
