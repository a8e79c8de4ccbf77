"""What each test row says of a model: the values that metrics are means of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xent._links import Array
from xent.scoring import per_row_loss
from xent.study._statistics import area_values


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """The test rows of one split.

    Args:
        target: ``(rows,)`` columns of the true classes.
        weight: ``(rows,)``, or None.
        groups: ``(rows,)`` clusters of rows that share an error, or None.
        training_rows: how many rows trained the models that are scored; None if not known.
    """

    target: NDArray[np.int64]
    weight: Array | None = None
    groups: NDArray[np.int64] | None = None
    training_rows: int | None = None


@dataclass(frozen=True, eq=False)
class Entrant:
    """One formulation, or one set of predictions, as it enters a comparison.

    Args:
        name: its name.
        replicates: log-probabilities ``(rows, classes)`` of each seed or split; None where it
            diverged.
    """

    name: str
    replicates: tuple[Array | None, ...]


def without_weightless(
    entrants: Sequence[Entrant], rows: Sequence[ScoredRows]
) -> tuple[tuple[Entrant, ...], tuple[ScoredRows, ...]]:
    """Leave out the rows of weight 0, which say nothing of anybody.

    Args:
        entrants: what is compared.
        rows: one for all replicates, or one for each.
    """
    if all(each.weight is None or (each.weight > 0.0).all() for each in rows):
        return tuple(entrants), tuple(rows)
    kept = [
        np.ones(len(each.target), dtype=bool) if each.weight is None else each.weight > 0.0
        for each in rows
    ]
    filtered = tuple(
        replace(
            each,
            target=each.target[keep],
            weight=None if each.weight is None else each.weight[keep],
            groups=None if each.groups is None else each.groups[keep],
        )
        for each, keep in zip(rows, kept, strict=True)
    )
    several = len(rows) > 1
    return tuple(
        Entrant(
            entrant.name,
            tuple(
                None if log_q is None else log_q[kept[j if several else 0]]
                for j, log_q in enumerate(entrant.replicates)
            ),
        )
        for entrant in entrants
    ), filtered


def log_losses(log_q: Array, rows: ScoredRows) -> Array:
    """Log loss of each row in nats; infinite where the true class has no probability."""
    return per_row_loss(log_q, rows.target)


def brier_losses(log_q: Array, rows: ScoredRows) -> Array:
    """Squared error of each row: of P(1) for two classes, summed over the classes for more."""
    if log_q.shape[1] == 2:
        return np.asarray(np.square(np.exp(log_q[:, 1]) - rows.target))
    errors = np.exp(log_q)
    errors[np.arange(len(errors)), rows.target] -= 1.0
    return np.asarray((errors**2).sum(axis=1))


def right_rows(log_q: Array, rows: ScoredRows) -> Array:
    """1 where the most probable class came true, 0 elsewhere."""
    if log_q.shape[1] == 2:
        guess = (log_q[:, 1] > log_q[:, 0]).astype(np.int64)
    else:
        guess = log_q.argmax(axis=1)
    return np.asarray(guess == rows.target, dtype=np.float64)


def auc_values(log_q: Array, rows: ScoredRows) -> Array | None:
    """Values whose weighted mean is the AUC, the mean of one-vs-rest for more than two classes.

    None where no class has rows both in it and outside it.
    """
    classes = log_q.shape[1]
    present = np.bincount(rows.target, minlength=classes) > 0
    if np.count_nonzero(present) < 2:
        return None
    if classes == 2:
        with np.errstate(invalid="ignore"):
            odds = log_q[:, 1] - log_q[:, 0]
        return area_values(np.nan_to_num(odds, nan=0.0), rows.target == 1, rows.weight)
    columns = np.flatnonzero(present)
    areas = [
        area_values(np.ascontiguousarray(log_q[:, k]), rows.target == k, rows.weight)
        for k in columns
    ]
    return np.asarray(sum(areas) / len(areas))


ROW_VALUES: dict[str, Callable[[Array, ScoredRows], Array | None]] = {
    "log_loss": log_losses,
    "brier": brier_losses,
    "accuracy": right_rows,
    "auc": auc_values,
}


def largest_gap(first: Array, second: Array) -> float:
    """Largest absolute difference of a probability."""
    return float(np.abs(np.exp(first) - np.exp(second)).max())
