"""How likely a right model shows a symptom by chance: a few rows prove little.

Numbers are rough on purpose and lean to the side of a right model. They decide between an error,
a warning and a note, and are told where they aren't negligible.
"""

from __future__ import annotations

import math

import numpy as np

from xent.wiring._finding import ERROR, NOTE, WARNING
from xent.wiring._live._rows import Array

FOR_AN_ERROR, FOR_A_WARNING = 1e-6, 1e-3
# Of numbers that are all 1/n, as sigmoids of a last layer of zeros are for n = 2.
_ALL_EQUAL = 0.1


def level_by_chance(chance: float) -> str:
    """The level at which a symptom of that chance is told.

    >>> level_by_chance(1e-9), level_by_chance(1e-4), level_by_chance(0.002)
    ('error', 'warning', 'note')
    """
    if chance < FOR_AN_ERROR:
        return ERROR
    return WARNING if chance < FOR_A_WARNING else NOTE


def chance_words(chance: float) -> str:
    """The chance as a sentence; empty where it is negligible.

    >>> chance_words(0.002)
    ' A right model shows this in about 1 of 500 batches of this size.'
    """
    if chance < FOR_AN_ERROR:
        return ""
    several = round(1 / chance, 1 - int(math.log10(1 / chance)) - 1) if chance < 0.1 else 1 / chance
    return f" A right model shows this in about 1 of {several:,.0f} batches of this size."


def distinct_rows(values: Array) -> int:
    """How many rows differ: equal rows are one piece of evidence, however many they are.

    >>> distinct_rows(np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]))
    2
    """
    return len(np.unique(_marks(values)))


def _marks(values: Array) -> Array:
    """One number for each row, the same where rows are equal."""
    directions = np.random.default_rng(0).normal(size=values.shape[1])
    return np.asarray(np.where(np.isfinite(values), values, -1e4) @ directions)


def chance_of_unit_sums(
    values: Array, rounding: float = 1e-6, *, of_probabilities: bool = False
) -> float:
    """Chance that the rows of a right model sum as nearly to 1 as these do.

    Let d be the greatest distance of a sum from 1. Every row that differs is worth the part that
    ``2 d`` is of the spread that sums of unrelated numbers of this size would have. Where the sums
    of scores lie as a whole is worth ``2 d`` too, as they could lie anywhere; probabilities next to
    one half prove nothing.

    Args:
        values: numbers ``(rows, terms)``.
        rounding: that of the numbers; sums can't be known to lie closer to 1.
        of_probabilities: whether a right model gives probabilities, too. Those of a sure model are
            next to 0 and 1, and one of them next to 1 is no wonder.

    >>> chance_of_unit_sums(np.array([[0.3, 0.7], [0.9, 0.1], [0.4, 0.6]])) < 1e-12
    True
    >>> sigmoids = np.array([[0.5, 0.501], [0.501, 0.5], [0.499, 0.5]])
    >>> chance_of_unit_sums(sigmoids, of_probabilities=True) > 0.01
    True
    """
    distance = 2 * max(float(np.abs(values.sum(axis=1) - 1).max()), rounding)
    if values.max() - values.min() <= 2e-6:
        return _ALL_EQUAL
    different = values[np.unique(_marks(values), return_index=True)[1]]
    if of_probabilities:
        from_whole = np.square(different - different.round()).sum(axis=1)
        from_mean = values.shape[1] * float(values.var())
        spreads = 2.5 * np.sqrt(np.minimum(from_whole, from_mean))
        # Whether it is one or another number of a sure row that is next to 1 is left to chance.
        most = np.where(from_whole < from_mean, 0.5, 1.0)
        parts = np.minimum(most, distance / np.maximum(spreads, distance))
    else:
        spread = 2.5 * float(np.sqrt(values.var(axis=0).sum()))
        parts = np.full(len(different), distance / max(spread, distance))
        parts[0] = min(1.0, distance)
    return float(np.exp(max(np.log(parts).sum(), -600.0)))


def chance_inside_unit_interval(values: Array) -> float:
    """Chance that all scores of a right model lie inside [0, 1].

    The scores of each class lie around a place of their own, and nothing holds a right model to a
    sign: of a column that fills a part L of [0, 1] the chance is at most ``(1 - L) / 2``, and one
    half of a column that is constant. Equal columns count once; where all numbers are the same,
    as of a last layer of zeros, nothing is known.

    >>> chance_inside_unit_interval(np.full((8, 3), 0.5))
    1.0
    """
    least, greatest = values.min(axis=0), values.max(axis=0)
    if values.min() == values.max():
        return 1.0
    columns = np.unique(np.stack([least, greatest], axis=1).round(6), axis=0)
    columns = columns[(columns != columns[:, :1]).any(axis=1) | (columns[:, 0] != 0)]
    room = 1.0 - (columns[:, 1] - columns[:, 0])
    smallest = 2.0 / (len(values) + 1)
    return float(np.prod(np.clip(room, smallest, 1.0) / 2))
