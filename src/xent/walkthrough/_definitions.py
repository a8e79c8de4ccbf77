"""The cross-entropies as one would write them first, with nothing but NumPy.

They are here to be compared: the first two take probabilities, as the textbook does, and so break
where a probability rounds to 0 or 1; the third takes logits. All compute in the dtype of the input.

Weights are of each sample (and ``pos_weight`` of its term of 1) where a sample is a yes or no; of
each class and of each row where a row is one class out of several. The sum is divided by ``count``,
and by the number of samples or rows where that is None.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def log_sigmoid(z: Array) -> Array:
    """The logarithm of 1 / (1 + exp(-z)), without overflow."""
    return np.asarray(np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z))))


def log_sum_exp(x: Array) -> Array:
    """The logarithm of the sum of exponentials of each row, without overflow."""
    largest = x.max(axis=1)
    return np.asarray(largest + np.log(np.exp(x - largest[:, None]).sum(axis=1)))


def binary_by_loop(
    p: Array,
    y: Array,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    count: float | None = None,
) -> Any:
    """Sample by sample: log p for a 1, log(1 - p) for a 0.

    >>> round(float(binary_by_loop(np.array([0.9, 0.2]), np.array([1.0, 0.0]))), 4)
    0.1643
    """
    total = p.dtype.type(0)
    of_sample, of_yes = _or_ones(weight, p), _or_ones(pos_weight, p)
    for probability, label, share, positive in zip(p, y, of_sample, of_yes, strict=True):
        if label == 1:
            total += share * positive * np.log(probability)
        elif label == 0:
            total += share * np.log(1 - probability)
        else:
            yes, no = label * np.log(probability), (1 - label) * np.log(1 - probability)
            total += share * (positive * yes + no)
    return -total / (len(p) if count is None else count)


def binary_vectorised(
    p: Array,
    y: Array,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    count: float | None = None,
) -> Any:
    """All samples at once, by two scalar products.

    >>> round(float(binary_vectorised(np.array([0.9, 0.2]), np.array([1.0, 0.0]))), 4)
    0.1643
    """
    yes, no = _shares(y, weight, pos_weight)
    return (-(yes @ np.log(p)) - no @ np.log(1 - p)) / (len(p) if count is None else count)


def binary_by_logsigmoid(
    z: Array,
    y: Array,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    count: float | None = None,
) -> Any:
    """From logits: log p is logsigmoid(z), and log(1 - p) is logsigmoid(z) - z.

    >>> round(float(binary_by_logsigmoid(np.array([1000.0, 0.0]), np.array([0.0, 1.0]))), 4)
    500.3466
    """
    yes, no = _shares(y, weight, pos_weight)
    log_p = log_sigmoid(z)
    return (-(yes @ log_p) - no @ (log_p - z)) / (len(z) if count is None else count)


def multiclass_by_loop(
    p: Array,
    y: Array,
    class_weight: Array | None = None,
    row_weight: Array | None = None,
    count: float | None = None,
) -> Any:
    """Row by row: the logarithm of the probability of its class, or their mean over the target.

    >>> round(float(multiclass_by_loop(np.array([[0.7, 0.2, 0.1]]), np.array([0]))), 4)
    0.3567
    """
    total = p.dtype.type(0)
    of_class, of_row = _or_ones(class_weight, p[0]), _or_ones(row_weight, p[:, 0])
    for row, label, share in zip(p, y, of_row, strict=True):
        if np.ndim(label) == 0:
            total += share * of_class[label] * np.log(row[label])
        else:
            total += share * (of_class * label * np.log(row)).sum()
    return -total / (len(p) if count is None else count)


def multiclass_vectorised(
    p: Array,
    t: Array,
    class_weight: Array | None = None,
    row_weight: Array | None = None,
    count: float | None = None,
) -> Any:
    """All rows at once, from the target as one column of 0 and 1 for each class.

    >>> t = np.array([[1.0, 0.0, 0.0]])
    >>> round(float(multiclass_vectorised(np.array([[0.7, 0.2, 0.1]]), t)), 4)
    0.3567
    """
    return -_mean(np.sum(_weighted(t, class_weight) * np.log(p), axis=1), row_weight, count)


def multiclass_by_log_sum_exp(
    x: Array,
    t: Array,
    class_weight: Array | None = None,
    row_weight: Array | None = None,
    count: float | None = None,
) -> Any:
    """From logits: the log-sum-exp of a row minus the logit of its class.

    >>> x = np.array([[1000.0, 0.0]])
    >>> float(multiclass_by_log_sum_exp(x, np.array([[0.0, 1.0]])))
    1000.0
    """
    losses = log_sum_exp(x)[:, None] - x
    return _mean(np.sum(_weighted(t, class_weight) * losses, axis=1), row_weight, count)


def _or_ones(weight: Array | None, like: Array) -> Array:
    return np.ones_like(like) if weight is None else weight


def _shares(y: Array, weight: Array | None, pos_weight: Array | None) -> tuple[Array, Array]:
    """What the term of 1 and the term of 0 of each sample are multiplied by."""
    share = _or_ones(weight, y)
    return share * _or_ones(pos_weight, y) * y, share * (1 - y)


def _weighted(t: Array, class_weight: Array | None) -> Array:
    return t if class_weight is None else t * class_weight


def _mean(rows: Array, row_weight: Array | None, count: float | None) -> Any:
    if row_weight is None and count is None:
        return np.mean(rows)
    return np.sum(rows if row_weight is None else row_weight * rows) / (
        len(rows) if count is None else count
    )
