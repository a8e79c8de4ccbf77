"""Symptoms: value tests on arrays of predictions that give a wrong scorer away.

Pure functions of probabilities ``(rows, classes)`` in float64. A symptom is not yet a verdict:
a weak model, too, may never leave the range of a double softmax. Whoever reports one says what
else speaks for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Half a unit in the last place of float16 is 2**-11 of the value; twice that leaves room for a
# softmax that was itself computed in half precision.
STORAGE_ROUNDING = 2.0**-10
SMALLEST_HALF = 2.0**-24

LARGEST_SIGMOID_OF_PROBABILITY = math.e / (1.0 + math.e)


@dataclass(frozen=True)
class RowSums:
    """The range of the row sums of probabilities, and the range that storage rounding explains.

    Args:
        least: smallest row sum.
        mean: mean row sum, over rows.
        greatest: largest row sum.
        tolerance: how far from 1 a row sum may lie because it was stored in float16 or better.
    """

    least: float
    mean: float
    greatest: float
    tolerance: float

    @property
    def are_one(self) -> bool:
        """Whether every row sums to 1 up to storage rounding; False where a sum is NaN."""
        return self.least >= 1.0 - self.tolerance and self.greatest <= 1.0 + self.tolerance


@dataclass(frozen=True)
class OutsideUnitInterval:
    """Values that can't be probabilities: how many, and the range of all values.

    Args:
        count: values below 0 or above 1 by more than storage rounding, or NaN.
        least: smallest value.
        greatest: largest value.
    """

    count: int
    least: float
    greatest: float


def row_sum_tolerance(classes: int) -> float:
    """How far from 1 a row of true probabilities can sum after storage in float16 or better.

    Probabilities lose up to 2**-11 of their value, and a subnormal 2**-25; stored log-probabilities
    lose up to 2**-11 of their *logarithm*, which weighs the entropy, at most the log of the number
    of classes. The tolerance is twice the larger of the two.

    >>> row_sum_tolerance(2), round(row_sum_tolerance(1000), 4)
    (0.0009766817..., 0.0068)
    """
    return STORAGE_ROUNDING * max(1.0, math.log(classes)) + SMALLEST_HALF * classes


def sums_of_rows(probabilities: Array) -> Array:
    """Sum of each row, the same to the last bit however the rows are split into chunks."""
    if probabilities.shape[1] == 2:
        return np.asarray(probabilities[:, 0] + probabilities[:, 1])
    return np.asarray(np.ascontiguousarray(probabilities).sum(axis=1))


def row_sums(probabilities: Array) -> RowSums:
    """Range of the row sums of probabilities ``(rows, classes)``.

    >>> row_sums(np.array([[0.25, 0.75], [0.5, 0.75]])).are_one
    False
    """
    sums = sums_of_rows(probabilities)
    tolerance = row_sum_tolerance(probabilities.shape[1])
    return RowSums(float(sums.min()), float(sums.mean()), float(sums.max()), tolerance)


def outside_unit_interval(probabilities: Array) -> OutsideUnitInterval:
    """Count the values that lie below 0 or above 1 by more than storage rounding.

    >>> outside_unit_interval(np.array([[2.0, -1.0], [0.5, 0.5]])).count
    2
    """
    inside = (probabilities >= -STORAGE_ROUNDING) & (probabilities <= 1.0 + STORAGE_ROUNDING)
    count = probabilities.size - int(np.count_nonzero(inside))
    return OutsideUnitInterval(count, float(probabilities.min()), float(probabilities.max()))


def is_single_column_of_ones(probabilities: Array) -> bool:
    """Whether there is one column and it holds nothing but 1: a softmax over a single output.

    >>> is_single_column_of_ones(np.ones((3, 1)))
    True
    """
    return probabilities.shape[1] == 1 and bool(np.all(probabilities == 1.0))


def is_softmax_over_rows(probabilities: Array) -> bool:
    """Whether the columns sum to 1 and the rows do not: a softmax over the wrong axis.

    >>> is_softmax_over_rows(np.array([[0.2, 0.5], [0.1, 0.25], [0.7, 0.25]]))
    True
    """
    rows, classes = probabilities.shape
    if rows < 2 or classes < 2 or row_sums(probabilities).are_one:
        return False
    distance = np.abs(probabilities.sum(axis=0) - 1.0).max()
    return bool(distance <= row_sum_tolerance(rows))


def largest_softmax_of_probabilities(classes: int) -> float:
    """Largest probability that a softmax can give when it is fed probabilities: e / (e + K - 1).

    >>> round(largest_softmax_of_probabilities(2), 3)
    0.731
    """
    return math.e / (math.e + classes - 1.0)


def double_softmax_loss_floor(classes: int) -> float:
    """Smallest cross-entropy, in nats, of a softmax that is fed probabilities: ln(1 + (K - 1)/e).

    >>> [round(double_softmax_loss_floor(classes), 2) for classes in (2, 10)]
    [0.31, 1.46]
    """
    return math.log1p((classes - 1.0) / math.e)


def never_leaves_double_softmax(probabilities: Array) -> bool:
    """Whether rows sum to 1 and no value leaves the range of a softmax fed probabilities.

    For two classes that is 0.269 to 0.731. A weak model stays inside it too.

    >>> never_leaves_double_softmax(np.array([[0.3, 0.7], [0.6, 0.4]]))
    True
    """
    classes = probabilities.shape[1]
    if classes < 2 or not row_sums(probabilities).are_one:
        return False
    ceiling = largest_softmax_of_probabilities(classes) + STORAGE_ROUNDING
    return bool(probabilities.max() <= ceiling)


def never_leaves_double_sigmoid(probabilities: Array) -> bool:
    """Whether P(1) of every row lies in the range of a sigmoid fed probabilities, 0.5 to 0.731.

    >>> never_leaves_double_sigmoid(np.array([[0.5, 0.5], [0.3, 0.7]]))
    True
    """
    if probabilities.shape[1] != 2 or not row_sums(probabilities).are_one:
        return False
    positive = probabilities[:, 1]
    least, greatest = 0.5 - STORAGE_ROUNDING, LARGEST_SIGMOID_OF_PROBABILITY + STORAGE_ROUNDING
    return bool(positive.min() >= least and positive.max() <= greatest)
