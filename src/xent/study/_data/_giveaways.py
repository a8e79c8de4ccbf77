"""Give-aways: single features that alone tell the class of every training row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent.study._data._columns import CategoricalColumn, Column, NumericColumn, counted, quoted

# A feature is reported only where chance alone would rarely separate the classes so.
_LOG_CHANCE = math.log(0.01)


@dataclass(frozen=True)
class LeakWarning:
    """A feature that may hold the target itself.

    Args:
        feature: its column name.
        sentence: what was seen and what to do, in one sentence.
    """

    feature: str
    sentence: str


def find_giveaways(
    columns: Mapping[str, Column],
    rows: NDArray[np.int64],
    target: NDArray[np.int64],
    classes: int,
) -> tuple[LeakWarning, ...]:
    """Find the features that alone determine the class on the training rows.

    A numeric feature does so when the classes lie in disjoint intervals of it; a categorical one
    when every level holds a single class and the levels are at most a tenth of the rows. Missing
    values count as a value of their own. A feature that chance would separate as well (in data of
    very few rows) is not reported.

    Args:
        columns: the features, name to column.
        rows: ``(n,)`` int64 training rows.
        target: ``(n,)`` int64 classes of those rows; each class occurs.
        classes: number of classes.
    """
    order = np.argsort(target, kind="stable")
    starts = np.searchsorted(target[order], np.arange(classes))
    labellings = _log_labellings(np.bincount(target, minlength=classes))
    found = []
    for name, column in columns.items():
        if isinstance(column, NumericColumn):
            values = column.values[rows[order]].astype(np.float64)
            ways, separates = math.lgamma(classes + 1), _separates(values, starts)
            row_numbers = separates and _looks_like_row_numbers(values)
        elif isinstance(column, CategoricalColumn):
            levels, separates = _pure_levels(column.codes[rows], target, classes)
            ways, row_numbers = levels * math.log(classes), False
        else:
            continue
        chance = ways + math.log(len(columns)) - labellings
        if separates and chance < _LOG_CHANCE:
            found.append(LeakWarning(name, _sentence(name, rows.size, row_numbers)))
    return tuple(found)


def _log_labellings(counts: NDArray[np.int64]) -> float:
    """Log of the number of ways to deal the classes out over the rows."""
    return math.lgamma(counts.sum() + 1) - sum(math.lgamma(count + 1) for count in counts.tolist())


def _separates(values: NDArray[np.float64], starts: NDArray[np.int64]) -> bool:
    """Say whether the classes, runs of ``values`` from ``starts``, lie in disjoint intervals."""
    if np.isnan(values).any():
        return any(
            _disjoint(np.where(np.isnan(values), end, values), starts) for end in (-np.inf, np.inf)
        )
    return _disjoint(values, starts)


def _disjoint(values: NDArray[np.float64], starts: NDArray[np.int64]) -> bool:
    lowest = np.minimum.reduceat(values, starts)
    highest = np.maximum.reduceat(values, starts)
    order = np.argsort(lowest)
    return bool((highest[order][:-1] < lowest[order][1:]).all())


def _pure_levels(
    codes: NDArray[np.int64], target: NDArray[np.int64], classes: int
) -> tuple[int, bool]:
    pairs = np.unique((codes + 1) * classes + target)
    levels = np.unique(pairs // classes).size
    return levels, pairs.size == levels and levels <= codes.size / 10


def _sentence(name: str, rows: int, row_numbers: bool) -> str:
    if row_numbers:
        return (
            f"{quoted(name)} is another whole number on each of {counted(rows, 'training row')} "
            "and runs in the order of the classes, like an id or row number: leave it out with "
            f"--drop {quoted(name)}"
        )
    return (
        f"{quoted(name)} alone tells the class of all {counted(rows, 'training row')}: if it is "
        f"known only after the outcome, leave it out with --drop {quoted(name)}"
    )


def _looks_like_row_numbers(values: NDArray[Any]) -> bool:
    whole = np.isfinite(values).all() and (values == np.floor(values)).all()
    return bool(whole and np.unique(values).size == values.size)
