"""AUC from the rows themselves: exact, ties at one half."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent.scoring._rows import Target
from xent.scoring._sums import inner_product

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MacroAuc:
    """Mean of the one-versus-rest AUCs.

    Args:
        value: the mean over the classes that have both positives and negatives; None without any.
        classes_left_out: classes that have no positives, or no negatives, and so no AUC.
    """

    value: float | None
    classes_left_out: tuple[int, ...]


def auc(score: Array, positive: NDArray[np.bool_], weight: Array | None = None) -> float | None:
    """Probability that a positive row scores above a negative one, a tie counting one half.

    Args:
        score: ``(rows,)``, in any scale that keeps the order: give log-odds, since probabilities of
            large logits round to the same number and tie. Infinities are allowed, NaN is not.
        positive: ``(rows,)``, which rows are positive.
        weight: ``(rows,)``; None counts each row once.

    Returns:
        A number from 0 to 1; None where there are no positives or no negatives.

    >>> auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]))
    0.875
    """
    order = np.argsort(score)
    ranked = score[order]
    ones = positive[order].astype(np.float64)
    zeros = 1.0 - ones
    if weight is not None:
        ones, zeros = ones * weight[order], zeros * weight[order]
    if not ones.any() or not zeros.any():
        return None
    last_of_tie = np.flatnonzero(np.r_[ranked[1:] != ranked[:-1], True])
    positives = np.diff(np.cumsum(ones)[last_of_tie], prepend=0.0)
    negatives_up_to = np.cumsum(zeros)[last_of_tie]
    negatives = np.diff(negatives_up_to, prepend=0.0)
    area = inner_product(positives, negatives_up_to - negatives / 2.0)
    return area / float(positives.sum() * negatives_up_to[-1])


def macro_auc(log_probabilities: Array, target: Target, weight: Array | None = None) -> MacroAuc:
    """Mean AUC of each class against the rest, every class counting the same.

    The score of a class is its log-probability, which orders rows as its log-odds do and keeps
    probabilities apart that round to 1.

    Args:
        log_probabilities: ``(rows, classes)``.
        target: ``(rows,)``, the column of each row's true class.
        weight: ``(rows,)``; None counts each row once.

    >>> logs = np.log([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1]])
    >>> macro_auc(logs, np.array([0, 1, 0]))
    MacroAuc(value=1.0, classes_left_out=(2,))
    """
    areas: list[float] = []
    left_out: list[int] = []
    for column in range(log_probabilities.shape[1]):
        area = auc(np.ascontiguousarray(log_probabilities[:, column]), target == column, weight)
        if area is None:
            left_out.append(column)
        else:
            areas.append(area)
    return MacroAuc(sum(areas) / len(areas) if areas else None, tuple(left_out))
