"""AUC: DeLong's covariance of areas on the same rows, and the values of rows behind it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xent._errors import InputError
from xent._links import Array
from xent.study._statistics._checks import check_values
from xent.study._statistics._difference import critical


@dataclass(frozen=True, eq=False)
class DeLong:
    """Areas under the ROC curve of models on the same rows.

    Args:
        areas: ``(models,)``.
        covariance: ``(models, models)`` of the areas.
    """

    areas: Array
    covariance: Array

    @cached_property
    def standard_errors(self) -> Array:
        """Of the areas, ``(models,)``."""
        return np.sqrt(np.diag(self.covariance))

    def interval(self, model: int, level: float = 0.95) -> tuple[float, float]:
        """Normal interval of one area, cut to [0, 1]."""
        half = _normal(level) * float(self.standard_errors[model])
        area = float(self.areas[model])
        return (max(0.0, area - half), min(1.0, area + half))

    def difference(self, minuend: int, subtrahend: int) -> tuple[float, float]:
        """Difference of two areas and its standard error."""
        contrast = np.zeros(len(self.areas))
        contrast[minuend] += 1.0
        contrast[subtrahend] -= 1.0
        variance = float(contrast @ self.covariance @ contrast)
        return float(contrast @ self.areas), float(np.sqrt(max(0.0, variance)))


def _normal(level: float) -> float:
    return critical(0.5 + level / 2.0, np.inf)


def delong(scores: ArrayLike, positive: ArrayLike) -> DeLong:
    """Areas under the ROC curves of models on the same rows, with DeLong's covariance.

    The area is the share of pairs of a positive and a negative row that are in order, ties one
    half. Covariance = S10 / positives + S01 / negatives, of the shares of each positive row and of
    each negative row (DeLong, DeLong and Clarke-Pearson 1988; Sun and Xu 2014 for the ranks).

    Args:
        scores: ``(models, rows)``, in any scale that keeps the order; finite.
        positive: ``(rows,)`` booleans.

    Raises:
        InputError: wrong shapes, or fewer than two positive or two negative rows.

    >>> test = delong([[0.1, 0.4, 0.35, 0.8]], [False, False, True, True])
    >>> float(test.areas[0]), round(float(test.standard_errors[0]), 4)
    (0.75, 0.3536)
    """
    values = check_values(scores, "delong: scores", ("models", "rows"))
    label = np.asarray(positive, dtype=bool)
    counts = (int(np.count_nonzero(label)), int(np.count_nonzero(~label)))
    if label.shape != (values.shape[1],) or min(counts) < 2:
        raise InputError(
            "delong: positive",
            f"of shape ({values.shape[1]},) with 2 or more of each kind",
            f"shape {label.shape} with {counts[0]} positive and {counts[1]} negative",
            "Give rows of both classes.",
        )
    ones = np.ones(values.shape[1])
    shares = np.stack([_shares_in_order(row, label, ones) for row in values])
    areas = shares[:, label].mean(axis=1)
    covariance = sum(
        np.atleast_2d(np.cov(shares[:, side])) / np.count_nonzero(side) for side in (label, ~label)
    )
    return DeLong(areas, np.asarray(covariance))


def area_values(score: Array, positive: NDArray[np.bool_], weight: Array | None = None) -> Array:
    """Values of rows whose weighted mean is the AUC, and whose spread gives its standard error.

    A row's value is the area plus (its share of pairs in order - area) · Σ w / Σ w of its own kind:
    the area's influence function. The mean of differences of such values, with the error that any
    test gives to a mean over rows, is DeLong's comparison up to a factor 1 + O(1 / rows).

    Args:
        score: ``(rows,)``, in any scale that keeps the order; infinities are allowed.
        positive: ``(rows,)`` booleans; both kinds must have weight.
        weight: ``(rows,)``; None counts each row once.

    >>> values = area_values(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    >>> float(values.mean())
    0.75
    """
    loads = np.ones(len(score)) if weight is None else weight
    shares = _shares_in_order(score, positive, loads)
    positives = float(loads[positive].sum())
    total = float(loads.sum())
    area = float(loads[positive] @ shares[positive]) / positives
    kind = np.where(positive, positives, total - positives)
    return np.asarray(area + (shares - area) * (total / kind))


def _shares_in_order(score: Array, positive: NDArray[np.bool_], weight: Array) -> Array:
    """For each row the weighted share of rows of the other kind that it is in order with."""
    order = np.argsort(score)
    ranked = score[order]
    ones = np.where(positive, weight, 0.0)[order]
    zeros = np.where(positive, 0.0, weight)[order]
    last_of_tie = np.flatnonzero(np.r_[ranked[1:] != ranked[:-1], True])
    tie = np.repeat(np.arange(len(last_of_tie)), np.diff(last_of_tie, prepend=-1))
    shares = np.empty(len(score))
    below = _up_to_half_of_tie(zeros, last_of_tie)[tie] / zeros.sum()
    above = 1.0 - _up_to_half_of_tie(ones, last_of_tie)[tie] / ones.sum()
    shares[order] = np.where(positive[order], below, above)
    return shares


def _up_to_half_of_tie(weight: Array, last_of_tie: NDArray[np.intp]) -> Array:
    up_to = np.cumsum(weight)[last_of_tie]
    return np.asarray(up_to - np.diff(up_to, prepend=0.0) / 2.0)
