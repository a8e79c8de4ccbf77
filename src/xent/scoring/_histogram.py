"""A fine, mergeable histogram of scores on the log-odds scale.

The one caller of the native extension; where that is not installed NumPy takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xent._errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

Array = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Sums = tuple[Array, Array, Array]

BINS = 8192
LIMIT = 32.0

_native: Callable[[Array, Bytes, Array | None, Array, float, int], Sums] | None
try:
    from xent._native import log_odds_histogram as _native
except ImportError:
    _native = None

NATIVE: bool = _native is not None


@dataclass(frozen=True, eq=False)
class Histogram:
    """Sums per bin of a score in log-odds; scores beyond the limits fall into the end bins.

    Args:
        weight: Σ w per bin, float64 ``(bins,)``; exact counts where the rows have no weights.
        label_weight: Σ w y per bin, y being 0 or 1.
        probability_weight: Σ w p per bin, p being the predicted probability of y = 1.
        limit: bins have equal width from ``-limit`` to ``limit``.
    """

    weight: Array
    label_weight: Array
    probability_weight: Array
    limit: float = LIMIT

    @classmethod
    def of(cls, score: Array, label: Bytes, weight: Array | None, probability: Array) -> Histogram:
        """Sort rows ``(rows,)`` into bins by score; raises InputError if a score is NaN.

        >>> one = np.array([1.0])
        >>> Histogram.of(one, np.array([1], dtype=np.uint8), None, one).label_weight.sum()
        np.float64(1.0)
        """
        sums = _native or log_odds_histogram
        score, label, probability = map(np.ascontiguousarray, (score, label, probability))
        weight = None if weight is None else np.ascontiguousarray(weight)
        try:
            return cls(*sums(score, label, weight, probability, LIMIT, BINS))
        except ValueError as error:
            raise InputError(
                "histogram: score", "a number", str(error), "Look for NaN in the predictions."
            ) from error

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram(
            self.weight + other.weight,
            self.label_weight + other.label_weight,
            self.probability_weight + other.probability_weight,
            self.limit,
        )


def log_odds_histogram(
    score: Array, label: Bytes, weight: Array | None, probability: Array, limit: float, bins: int
) -> Sums:
    """Return Σ w, Σ w y and Σ w p per bin of the score: the extension's arithmetic in NumPy.

    Args:
        score: log-odds, float64 ``(rows,)``; infinities fall into the end bins.
        label: 0 or 1, uint8 ``(rows,)``.
        weight: float64 ``(rows,)``; None counts each row once.
        probability: float64 ``(rows,)``.
        limit: the bins reach from ``-limit`` to ``limit``.
        bins: number of bins of equal width.

    Returns:
        Three float64 arrays ``(bins,)``.

    Raises:
        ValueError: a score is NaN.
    """
    if np.isnan(score).any():
        raise ValueError("NaN")
    place = (np.clip(score, -limit, limit) + limit) * (bins / (2.0 * limit))
    index = np.minimum(place.astype(np.intp), bins - 1)
    positive = label.astype(np.float64)
    if weight is not None:
        positive, probability = weight * positive, weight * probability
    sums = [np.bincount(index, terms, bins) for terms in (weight, positive, probability)]
    count, labels, probabilities = (column.astype(np.float64, copy=False) for column in sums)
    return count, labels, probabilities
