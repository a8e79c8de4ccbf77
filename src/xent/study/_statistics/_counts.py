"""Accuracy: the exact test of two models' right and wrong rows, and Wilson's interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from xent._errors import InputError
from xent.scoring import wilson_interval


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test.

    Args:
        first_only: rows that only the first model gets right.
        second_only: rows that only the second model gets right.
        p_value: two-sided, of the hypothesis that a row that only one gets right is as likely to
            be either's.
    """

    first_only: int
    second_only: int
    p_value: float


def exact_mcnemar(first_right: ArrayLike, second_right: ArrayLike) -> McNemar:
    """Exact McNemar test: twice the smaller tail of the binomial with probability one half.

    Rows that both get right, or both wrong, say nothing. Without any other row p is 1. Rows count
    once each, whatever their weight: the test is of counts. Dietterich (1998) found it the
    acceptable test of two models that were each trained once.

    Args:
        first_right: ``(rows,)`` booleans, whether the first model is right.
        second_right: ``(rows,)`` booleans, of the second model on the same rows.

    Raises:
        InputError: the two differ in shape.

    >>> exact_mcnemar([True, True, True, False], [False, False, True, False])
    McNemar(first_only=2, second_only=0, p_value=0.5)
    """
    first, second = np.asarray(first_right, dtype=bool), np.asarray(second_right, dtype=bool)
    if first.ndim != 1 or first.shape != second.shape:
        raise InputError(
            "exact_mcnemar",
            "given two arrays of shape (rows,)",
            f"shapes {first.shape} and {second.shape}",
            "Give one boolean for each row and model.",
        )
    first_only = int(np.count_nonzero(first & ~second))
    second_only = int(np.count_nonzero(second & ~first))
    # Exactly, by symmetry; the sum of the tail's terms would be a rounding error below 1.
    if abs(first_only - second_only) <= 1:
        return McNemar(first_only, second_only, 1.0)
    from scipy.special import bdtr

    tail = float(bdtr(min(first_only, second_only), first_only + second_only, 0.5))
    return McNemar(first_only, second_only, min(1.0, 2.0 * tail))


def wilson(share: float, count: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share of so many independent rows.

    >>> [round(end, 4) for end in wilson(0.5, 100)]
    [0.4038, 0.5962]
    """
    return wilson_interval(share, count, level)
