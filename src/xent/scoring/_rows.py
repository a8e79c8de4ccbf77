"""What the rows to be scored must look like, and the log-odds of a binary row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xent._errors import InputError

Array = NDArray[np.float64]
Target = NDArray[np.int64]


def check_log_probabilities(values: ArrayLike, subject: str) -> Array:
    """Return log-probabilities as float64 ``(rows, classes)``; minus infinity is allowed."""
    array = np.asarray(values, dtype=np.float64)
    name = f"{subject}: log_probabilities"
    if array.ndim != 2 or array.shape[1] < 2:
        raise InputError(
            name,
            "of shape (rows, classes) with 2 or more classes",
            f"shape {array.shape}",
            "Give one column of log-probabilities for each class.",
        )
    # One pass instead of two: a NaN anywhere makes the maximum NaN, which is not below infinity.
    if array.size and not array.max() < np.inf:
        row = int(np.argmax(~(array < np.inf).all(axis=1)))
        raise InputError(
            name,
            "below infinity and not NaN",
            f"{array[row].tolist()} in row {row}",
            "Look for a logit that overflowed in the model that made them.",
        )
    return array


def check_target(target: ArrayLike, rows: int, classes: int, subject: str) -> Target:
    """Return class indices as int64 ``(rows,)``, each within the number of classes."""
    array: NDArray[Any] = np.asarray(target)
    name = f"{subject}: target"
    if array.shape != (rows,):
        raise InputError(
            name,
            f"of shape ({rows},)",
            f"shape {array.shape}",
            "Give one class index for each row.",
        )
    if array.dtype == np.bool_:
        array = array.astype(np.int64)
    if not np.issubdtype(array.dtype, np.integer):
        raise InputError(
            name,
            "whole numbers",
            f"dtype {array.dtype}",
            "Give the column number of each row's true class, counted from 0.",
        )
    if rows and (array.min() < 0 or array.max() >= classes):
        raise InputError(
            name,
            f"class indices from 0 to {classes - 1}",
            f"{array.min()} to {array.max()}",
            "Give the column number of each row's true class, counted from 0.",
        )
    return array.astype(np.int64, copy=False)


def check_weight(weight: ArrayLike | None, rows: int, subject: str) -> Array | None:
    """Return weights as float64 ``(rows,)``, finite and not negative; None stays None."""
    if weight is None:
        return None
    array = np.asarray(weight, dtype=np.float64)
    name = f"{subject}: weight"
    if array.shape != (rows,):
        raise InputError(
            name, f"of shape ({rows},)", f"shape {array.shape}", "Give one weight for each row."
        )
    if rows and not (array.min() >= 0.0 and array.max() < np.inf):
        raise InputError(
            name,
            "finite and not negative",
            f"{array.min()} to {array.max()}",
            "Give 0 to leave a row out.",
        )
    return array


def check_rows(
    log_probabilities: ArrayLike, target: ArrayLike, weight: ArrayLike | None, subject: str
) -> tuple[Array, Target, Array | None]:
    """Check log-probabilities, targets and weights together: the first fault is an InputError."""
    logs = check_log_probabilities(log_probabilities, subject)
    rows, classes = logs.shape
    return logs, check_target(target, rows, classes, subject), check_weight(weight, rows, subject)


def per_row_loss(log_probabilities: Array, target: Target) -> Array:
    """Log loss of each row in nats: minus the log-probability of the class that came true.

    Args:
        log_probabilities: float64 ``(rows, classes)``, scored as they are: not normalised, not
            clipped; minus infinity at the true class is an infinite loss.
        target: int64 ``(rows,)``, the column of each row's true class.

    Returns:
        float64 ``(rows,)``.

    >>> per_row_loss(np.log([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 1])).round(4).tolist()
    [0.6931, 0.2877]
    """
    if log_probabilities.shape[1] == 2:
        true_class = np.where(target == 1, log_probabilities[:, 1], log_probabilities[:, 0])
    else:
        true_class = log_probabilities[np.arange(len(target)), target]
    return np.asarray(0.0 - true_class)


def binary_log_odds(log_probabilities: Array) -> Array:
    """Log-odds of class 1 against class 0; a row with no probability at all counts as even.

    >>> binary_log_odds(np.array([[-1000.0, 0.0], [-np.inf, -np.inf]])).tolist()
    [1000.0, 0.0]
    """
    with np.errstate(invalid="ignore"):
        log_odds = np.asarray(log_probabilities[:, 1] - log_probabilities[:, 0])
    if np.isnan(log_odds).any():
        log_odds[np.isnan(log_odds)] = 0.0
    return log_odds
