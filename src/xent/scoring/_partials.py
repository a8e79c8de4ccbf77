"""Partial sums of a score: made from a chunk of rows, merged in any order, then read.

Everything that is a mean of rows is held exactly, so the log loss of a data set is the same to the
last bit however it was cut into chunks. What needs the rows themselves is in ``_exact``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xent._errors import InputError
from xent._symptoms import RowSums, row_sum_tolerance, sums_of_rows
from xent.scoring._calibration import (
    POSITIVE_CLASS,
    TOP_LABEL,
    Calibration,
    HistogramAuc,
    calibration,
    histogram_auc,
)
from xent.scoring._histogram import Histogram
from xent.scoring._rows import Target, binary_log_odds, check_rows, per_row_loss
from xent.scoring._sums import ExactSum, WeightedMean, nearest_float

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Partials:
    """Mergeable sums over scored rows: ``Partials.from_rows(...) + Partials.from_rows(...)``.

    Args:
        rows: number of rows, those of weight 0 included.
        classes: number of classes K.
        weighted: whether the rows came with weights.
        loss: sums of the log loss in nats.
        squared_error: sums of the Brier score: (P(1) - y)² for two classes, the sum over all
            classes of (P(k) - [k is true])² for more.
        correct_weight: Σ w over rows whose most probable class came true; the lower class index
            wins a tie.
        class_weight: Σ w of each class, float64 ``(classes,)``; exact counts without weights.
        infinite_rows: rows of positive weight that give their true class probability 0.
        row_sum: sum of the row sums of probabilities.
        least_row_sum: smallest row sum, infinite without rows.
        greatest_row_sum: largest row sum, minus infinity without rows.
        histogram: for two classes the log-odds of P(1) against y = 1; for more the log-odds of the
            largest probability against its class being the true one.
    """

    rows: int
    classes: int
    weighted: bool
    loss: WeightedMean
    squared_error: WeightedMean
    correct_weight: ExactSum
    class_weight: Array
    infinite_rows: int
    row_sum: ExactSum
    least_row_sum: float
    greatest_row_sum: float
    histogram: Histogram

    @classmethod
    def from_rows(
        cls, log_probabilities: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None
    ) -> Partials:
        """Sum up rows.

        Args:
            log_probabilities: ``(rows, classes)``; scored as they are, normalised or not.
            target: ``(rows,)``, the column of each row's true class.
            weight: ``(rows,)``, finite and not negative; None counts each row once.

        Raises:
            InputError: wrong shapes, NaN or plus infinity, targets that are no column numbers,
                or negative weights.

        >>> rows = Partials.from_rows(np.log([[0.5, 0.5], [0.25, 0.75]]), [0, 1])
        >>> round(rows.log_loss, 4), rows.brier
        (0.4904, 0.15625)
        """
        logs, labels, weights = check_rows(log_probabilities, target, weight, "score")
        probabilities = np.exp(logs)
        correct = _most_probable(logs) == labels
        losses = per_row_loss(logs, labels)
        sums = sums_of_rows(probabilities)
        return cls(
            rows=len(labels),
            classes=logs.shape[1],
            weighted=weights is not None,
            loss=WeightedMean.of(losses, weights),
            squared_error=WeightedMean.of(_squared_error(probabilities, labels), weights),
            correct_weight=_sum_of_weights(correct, weights),
            class_weight=np.bincount(labels, weights, logs.shape[1]).astype(np.float64),
            infinite_rows=_infinite_rows(losses, weights),
            row_sum=ExactSum.of(sums),
            least_row_sum=float(sums.min(initial=math.inf)),
            greatest_row_sum=float(sums.max(initial=-math.inf)),
            histogram=_histogram(logs, probabilities, labels, weights, correct),
        )

    def __add__(self, other: Partials) -> Partials:
        if self.classes != other.classes or self.weighted != other.weighted:
            raise InputError(
                "merge: partial sums",
                f"of {self.classes} classes, {_weighting(self)}",
                f"{other.classes} classes, {_weighting(other)}",
                "Score every chunk in the same way.",
            )
        return Partials(
            self.rows + other.rows,
            self.classes,
            self.weighted,
            self.loss + other.loss,
            self.squared_error + other.squared_error,
            self.correct_weight + other.correct_weight,
            self.class_weight + other.class_weight,
            self.infinite_rows + other.infinite_rows,
            self.row_sum + other.row_sum,
            min(self.least_row_sum, other.least_row_sum),
            max(self.greatest_row_sum, other.greatest_row_sum),
            self.histogram + other.histogram,
        )

    @property
    def log_loss(self) -> float:
        """Mean log loss in nats over the sum of weights, infinite if a row's is: never clipped."""
        return self.loss.value

    @property
    def log_loss_se(self) -> float | None:
        """Standard error of the log loss; None with fewer than two rows or an infinite loss."""
        return self.loss.standard_error

    @property
    def brier(self) -> float:
        """Mean Brier score, over the sum of weights."""
        return self.squared_error.value

    @property
    def brier_se(self) -> float | None:
        """Standard error of the Brier score; None with fewer than two rows."""
        return self.squared_error.standard_error

    @property
    def accuracy(self) -> float:
        """Weighted share of rows whose most probable class came true."""
        return nearest_float(self.correct_weight.numerator, self.loss.weight.numerator)

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy; weighted rows enter as effective rows."""
        return wilson_interval(self.accuracy, self.effective_rows)

    @property
    def effective_rows(self) -> float:
        """Kish's effective number of rows, (Σ w)² / Σ w²."""
        return self.loss.effective_rows

    @property
    def class_shares(self) -> Array:
        """Weighted share of each class, float64 ``(classes,)``."""
        return np.asarray(self.class_weight / self.class_weight.sum())

    @property
    def row_sums(self) -> RowSums:
        """Smallest, mean and largest row sum of the probabilities."""
        mean = nearest_float(self.row_sum.numerator, ExactSum.of_count(self.rows).numerator)
        tolerance = row_sum_tolerance(self.classes)
        return RowSums(self.least_row_sum, mean, self.greatest_row_sum, tolerance)

    @property
    def calibration(self) -> Calibration:
        """Expected calibration error with its noise floor and reliability curve."""
        of = POSITIVE_CLASS if self.classes == 2 else TOP_LABEL
        return calibration(self.histogram, of=of, effective_rows=self.effective_rows)

    @property
    def auc(self) -> HistogramAuc | None:
        """AUC of class 1 with its error bound; None for three classes or more."""
        return histogram_auc(self.histogram) if self.classes == 2 else None


def wilson_interval(share: float, count: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share of so many independent rows.

    >>> [round(end, 4) for end in wilson_interval(0.5, 100)]
    [0.4038, 0.5962]
    """
    if not count > 0.0:
        return (0.0, 1.0)
    squared = NormalDist().inv_cdf(0.5 + level / 2.0) ** 2 / count
    centre = (share + squared / 2.0) / (1.0 + squared)
    half = math.sqrt(squared * (share * (1.0 - share) + squared / 4.0)) / (1.0 + squared)
    return (max(0.0, centre - half), min(1.0, centre + half))


def _weighting(partials: Partials) -> str:
    return "weighted" if partials.weighted else "not weighted"


def _most_probable(log_probabilities: Array) -> Target:
    if log_probabilities.shape[1] == 2:
        return (log_probabilities[:, 1] > log_probabilities[:, 0]).astype(np.int64)
    return np.asarray(log_probabilities.argmax(axis=1), dtype=np.int64)


def _squared_error(probabilities: Array, target: Target) -> Array:
    if probabilities.shape[1] == 2:
        return np.asarray((probabilities[:, 1] - target) ** 2)
    error = probabilities.copy()
    error[np.arange(len(target)), target] -= 1.0
    error *= error
    return np.asarray(error.sum(axis=1))


def _sum_of_weights(chosen: NDArray[np.bool_], weight: Array | None) -> ExactSum:
    if weight is None:
        return ExactSum.of_count(int(np.count_nonzero(chosen)))
    return ExactSum.of(weight[chosen])


def _infinite_rows(losses: Array, weight: Array | None) -> int:
    infinite = np.isposinf(losses)
    return int(np.count_nonzero(infinite if weight is None else infinite & (weight > 0.0)))


def reliability_histogram(
    log_probabilities: Array, target: Target, weight: Array | None = None
) -> Histogram:
    """The fine histogram that calibration is read from, of rows that have been checked.

    Args:
        log_probabilities: ``(rows, classes)``; of two classes the second's probability counts, of
            more the largest.
        target: ``(rows,)``, the column of each row's true class.
        weight: ``(rows,)``; None counts each row once.

    >>> rows = np.log([[0.5, 0.5], [0.25, 0.75]])
    >>> reliability_histogram(rows, np.array([0, 1])).label_weight.sum()
    np.float64(1.0)
    """
    correct = _most_probable(log_probabilities) == target
    return _histogram(log_probabilities, np.exp(log_probabilities), target, weight, correct)


def _histogram(
    log_probabilities: Array,
    probabilities: Array,
    target: Target,
    weight: Array | None,
    correct: NDArray[np.bool_],
) -> Histogram:
    if log_probabilities.shape[1] == 2:
        score = binary_log_odds(log_probabilities)
        return Histogram.of(score, target.astype(np.uint8), weight, probabilities[:, 1])
    top = log_probabilities.max(axis=1)
    return Histogram.of(_log_odds_of_top(top), correct.astype(np.uint8), weight, np.exp(top))


def _log_odds_of_top(log_probability: Array) -> Array:
    """Log-odds of a probability given as its log: the small complement keeps its digits."""
    capped = np.minimum(log_probability, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(capped - np.log(-np.expm1(capped)))
