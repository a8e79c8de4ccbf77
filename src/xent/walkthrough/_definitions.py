"""The cross-entropies as one would write them first, with nothing but NumPy.

They are here to be compared: the first two take probabilities, as the textbook does, and so break
where a probability rounds to 0 or 1; the third takes logits. All compute in the dtype of the input.
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


def binary_by_loop(p: Array, y: Array) -> Any:
    """Sample by sample: log p for a 1, log(1 - p) for a 0.

    >>> round(float(binary_by_loop(np.array([0.9, 0.2]), np.array([1.0, 0.0]))), 4)
    0.1643
    """
    total = p.dtype.type(0)
    for probability, label in zip(p, y, strict=True):
        if label == 1:
            total += np.log(probability)
        elif label == 0:
            total += np.log(1 - probability)
        else:
            total += label * np.log(probability) + (1 - label) * np.log(1 - probability)
    return -total / len(p)


def binary_vectorised(p: Array, y: Array) -> Any:
    """All samples at once, by two scalar products.

    >>> round(float(binary_vectorised(np.array([0.9, 0.2]), np.array([1.0, 0.0]))), 4)
    0.1643
    """
    return (-(y @ np.log(p)) - (1 - y) @ np.log(1 - p)) / len(p)


def binary_by_logsigmoid(z: Array, y: Array) -> Any:
    """From logits: log p is logsigmoid(z), and log(1 - p) is logsigmoid(z) - z.

    >>> round(float(binary_by_logsigmoid(np.array([1000.0, 0.0]), np.array([0.0, 1.0]))), 4)
    500.3466
    """
    return (-(y @ log_sigmoid(z)) - (1 - y) @ (log_sigmoid(z) - z)) / len(z)


def multiclass_by_loop(p: Array, y: Array) -> Any:
    """Row by row: the logarithm of the probability of its class, or their mean over the target.

    >>> round(float(multiclass_by_loop(np.array([[0.7, 0.2, 0.1]]), np.array([0]))), 4)
    0.3567
    """
    total = p.dtype.type(0)
    for row, label in zip(p, y, strict=True):
        total += np.log(row[label]) if np.ndim(label) == 0 else (label * np.log(row)).sum()
    return -total / len(p)


def multiclass_vectorised(p: Array, t: Array) -> Any:
    """All rows at once, from the target as one column of 0 and 1 for each class.

    >>> t = np.array([[1.0, 0.0, 0.0]])
    >>> round(float(multiclass_vectorised(np.array([[0.7, 0.2, 0.1]]), t)), 4)
    0.3567
    """
    return -np.mean(np.sum(t * np.log(p), axis=1))


def multiclass_by_log_sum_exp(x: Array, t: Array) -> Any:
    """From logits: the log-sum-exp of a row minus the logit of its class.

    >>> x = np.array([[1000.0, 0.0]])
    >>> float(multiclass_by_log_sum_exp(x, np.array([[0.0, 1.0]])))
    1000.0
    """
    return np.mean(np.sum(t * (log_sum_exp(x)[:, None] - x), axis=1))
