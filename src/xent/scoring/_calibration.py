"""Calibration and AUC read from the fine histogram, each with what is known about its error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent.scoring._histogram import Histogram
from xent.scoring._sums import inner_product

Array = NDArray[np.float64]

GROUPS = 15
POSITIVE_CLASS = "positive class"
TOP_LABEL = "top label"


@dataclass(frozen=True, eq=False)
class Calibration:
    """Expected calibration error over groups of equal mass, and the reliability curve behind it.

    Args:
        of: whose probability it is: ``"positive class"`` or ``"top label"``.
        error: the expected calibration error (ECE), Σ |observed - predicted| weighed by mass.
        noise_floor: the mean ECE that perfectly calibrated predictions would show on as many rows.
            With weights it counts effective rows, (Σ w)² / Σ w².
        probability: mean predicted probability of each group, float64 ``(groups,)``.
        observed: share of rows in which it came true, float64 ``(groups,)``.
        weight: Σ w of each group, float64 ``(groups,)``; counts where rows have no weights.
    """

    of: str
    error: float
    noise_floor: float
    probability: Array
    observed: Array
    weight: Array


@dataclass(frozen=True)
class HistogramAuc:
    """AUC from a histogram, pairs within a bin counted as ties at one half.

    Args:
        value: the area.
        error_bound: the area of the rows themselves is at most this far away, with certainty.
    """

    value: float
    error_bound: float


def calibration(
    histogram: Histogram, *, of: str, effective_rows: float | None = None, groups: int = GROUPS
) -> Calibration:
    """Compute expected calibration error, noise floor and reliability curve of a histogram.

    Fine bins are merged into at most ``groups`` groups of nearly equal mass. Rows that share a bin
    stay together, so ties never split, and a bin that holds much of the mass is a group of its own.

    Args:
        histogram: the sums per fine bin.
        of: ``"positive class"`` or ``"top label"``, passed on to the result.
        effective_rows: (Σ w)² / Σ w² of weighted rows; None counts the mass itself.
        groups: how many groups to aim for.

    >>> half = Histogram(np.array([4.0]), np.array([2.0]), np.array([3.0]))
    >>> result = calibration(half, of="positive class")
    >>> result.error, round(result.noise_floor, 4)
    (0.25, 0.1582)
    """
    bins = np.flatnonzero(histogram.weight)
    weight = histogram.weight[bins]
    total = float(weight.sum())
    if not total:
        empty = np.empty(0)
        return Calibration(of, math.nan, math.nan, empty, empty, empty)
    middle = np.cumsum(weight) - weight / 2.0
    place = np.minimum((middle * (groups / total)).astype(np.intp), groups - 1)
    starts = np.flatnonzero(np.r_[True, place[1:] != place[:-1]])
    mass = np.add.reduceat(weight, starts)
    observed = np.add.reduceat(histogram.label_weight[bins], starts)
    predicted = np.add.reduceat(histogram.probability_weight[bins], starts)
    in_bin = np.clip(histogram.probability_weight[bins] / weight, 0.0, 1.0)
    variance = np.add.reduceat(weight * in_bin * (1.0 - in_bin), starts) / mass
    shrink = 1.0 if effective_rows is None else effective_rows / total
    deviation = _mean_absolute_deviations(mass * shrink, predicted / mass, variance)
    return Calibration(
        of=of,
        error=float(np.abs(observed - predicted).sum() / total),
        noise_floor=float((mass * deviation).sum() / total),
        probability=predicted / mass,
        observed=observed / mass,
        weight=mass,
    )


def _mean_absolute_deviations(rows: Array, probability: Array, variance: Array) -> Array:
    """E|share - p| of each group under perfect calibration.

    De Moivre's formula is exact where all rows of a group share one p. Where p varies inside the
    group the share has a smaller variance than p (1 - p), and the deviation shrinks with its root.
    """
    result = np.zeros(len(rows))
    for group, (count, p, spread) in enumerate(zip(rows, probability, variance, strict=True)):
        if 0.0 < p < 1.0:
            trials = max(1, round(count))
            ratio = min(1.0, spread / (p * (1.0 - p)))
            result[group] = binomial_deviation(trials, float(p)) / trials * math.sqrt(ratio)
    return result


def binomial_deviation(trials: int, probability: float) -> float:
    """Mean absolute deviation E|X - n p| of a binomial count, by De Moivre's closed form.

    2 m C(n, m) p^m (1 - p)^(n - m + 1), with m the smallest whole number above n p.

    >>> round(binomial_deviation(1, 0.25), 6), round(binomial_deviation(2, 0.5), 6)
    (0.375, 0.5)
    """
    if not 0.0 < probability < 1.0:
        return 0.0
    above = min(trials, math.floor(trials * probability) + 1)
    log_choose = math.lgamma(trials + 1) - math.lgamma(above + 1) - math.lgamma(trials - above + 1)
    log_mass = above * math.log(probability) + (trials - above + 1) * math.log1p(-probability)
    return 2.0 * above * math.exp(log_choose + log_mass)


def histogram_auc(histogram: Histogram) -> HistogramAuc | None:
    """AUC of label 1 against label 0, ties at one half; None where a label is missing.

    The error bound is ½ Σ n₀ n₁ / (N₀ N₁) over the bins: a pair within one bin counts one half
    here, and 0, ½ or 1 in truth.
    """
    positive = histogram.label_weight
    negative = np.maximum(histogram.weight - positive, 0.0)
    pairs = float(positive.sum() * negative.sum())
    if not pairs:
        return None
    below = np.cumsum(negative) - negative
    tied = inner_product(positive, negative) / 2.0
    return HistogramAuc((inner_product(positive, below) + tied) / pairs, tied / pairs)
