"""Parts: which rows train, validate and test, decided by the split seed alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent._errors import InputError
from xent._links import Array

_NAMES = ("training", "validation", "test")
_TRAIN = 0
# Keeps the split apart from data drawn with the same seed.
_SPLIT_STREAM = 1


@dataclass(frozen=True)
class PartRows:
    """Row positions of each part, ascending; a part that wasn't asked for has none.

    Args:
        train: ``(rows,)`` int64.
        validation: likewise.
        test: likewise.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]


def check_fractions(validation: float, test: float, seed: int) -> None:
    """Refuse fractions that leave no training rows, and negative seeds.

    Raises:
        InputError: a fraction is out of its range, or the two together reach 1.
    """
    if not 0 <= validation < 1:
        raise InputError(
            "compare: --validation",
            "a fraction of at least 0 and below 1",
            f"{validation:g}",
            "Give --validation 0.1, or 0 for none.",
        )
    if not 0 <= test < 1:
        raise InputError(
            "compare: --test",
            "a fraction above 0 and below 1, or a file",
            f"{test:g}",
            "Give --test 0.2.",
        )
    if validation + test >= 1:
        raise InputError(
            "compare: --test and --validation",
            "together below 1",
            f"{test:g} + {validation:g}",
            "Leave some rows to train on.",
        )
    if seed < 0:
        raise InputError("compare: --split-seed", "at least 0", f"{seed}", "Give --split-seed 0.")


def split_rows(
    strata: NDArray[np.int64],
    *,
    validation: float,
    test: float,
    seed: int,
    groups: NDArray[np.int64] | None = None,
) -> PartRows:
    """Split rows at random, each stratum in proportion, groups whole.

    Without groups every stratum is split by largest remainder; what rounding leaves over is
    carried to the next stratum, so that the parts keep their sizes however small the strata are.
    Every stratum has a training row. With groups, whole groups go to the part that lacks most
    rows, the largest first, class by class (a group counts for the class most of its rows have).

    Args:
        strata: ``(rows,)`` int64 from 0 without gaps: the classes, or zeros for a plain split.
        validation: fraction of the rows; 0 for no such part.
        test: likewise.
        seed: decides the split, alone.
        groups: ``(rows,)`` int64 from 0 without gaps; rows of one group stay together.

    Returns:
        Ascending row positions of the parts: every row is in exactly one.

    Raises:
        InputError: a part that was asked for would be empty.

    >>> split_rows(np.array([0, 0, 0, 1, 1, 1]), validation=0, test=1 / 3, seed=0).test.size
    2
    """
    shares = np.array([1.0 - validation - test, validation, test])
    random = np.random.default_rng((seed, _SPLIT_STREAM))
    if groups is None:
        part = _deal_rows(strata, shares, random)
    else:
        part = _deal_groups(strata, groups, shares, random)
    rows = [np.flatnonzero(part == number) for number in range(3)]
    for number, share in enumerate(shares):
        if share > 0 and rows[number].size == 0:
            raise InputError(
                f"compare: the {_NAMES[number]} part",
                "at least one row",
                f"none: a fraction of {share:.3g} of {strata.size:,} rows",
                "Give more rows, or other fractions with --test and --validation.",
            )
    return PartRows(*rows)


def exchange_halves(
    parts: PartRows,
    strata: NDArray[np.int64],
    *,
    validation: float,
    seed: int,
    groups: NDArray[np.int64] | None = None,
) -> PartRows:
    """Test on the half that trained and train on the half that tested.

    Args:
        parts: of one half to test on, from :func:`split_rows`.
        strata: as there, of all rows.
        validation: fraction of all rows; they are taken from the half that now trains.
        seed: as there.
        groups: as there, of all rows.

    Raises:
        InputError: a part that was asked for would be empty.

    >>> rows = np.array([0, 0, 1, 1])
    >>> halves = split_rows(rows, validation=0, test=0.5, seed=0)
    >>> other = exchange_halves(halves, rows, validation=0, seed=0)
    >>> (halves.train == other.test).all() and (halves.test == other.train).all()
    np.True_
    """
    half = parts.test
    inner = split_rows(
        _without_gaps(strata[half]),
        validation=2 * validation,
        test=0.0,
        seed=seed,
        groups=None if groups is None else _without_gaps(groups[half]),
    )
    test = np.sort(np.concatenate([parts.train, parts.validation]))
    return PartRows(half[inner.train], half[inner.validation], test)


def _without_gaps(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.unique(numbers, return_inverse=True)[1]


def count_repeated_rows(
    known: Iterable[tuple[Array, NDArray[np.int64]]], rows: tuple[Array, NDArray[np.int64]]
) -> int:
    """Count the rows that stand among the known ones too, with all features and the class.

    Args:
        known: pairs of features ``(n, features)`` float64 and classes ``(n,)`` int64.
        rows: one such pair.

    >>> same, other = np.array([[1.0, 2.0]]), np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> count_repeated_rows([(same, np.array([0]))], (other, np.array([0, 0])))
    1
    """
    seen = {row for pair in known for row in _hashes(*pair)}
    return sum(row in seen for row in _hashes(*rows))


def _hashes(features: Array, classes: NDArray[np.int64]) -> Iterator[int]:
    for row, number in zip(features, classes.tolist(), strict=True):
        # Adding 0 makes -0 the 0 that it equals.
        yield hash(((row + 0.0).tobytes(), number))


def _deal_rows(
    strata: NDArray[np.int64], shares: Array, random: np.random.Generator
) -> NDArray[np.int64]:
    shuffled = random.permutation(strata.size)
    order = shuffled[np.argsort(strata[shuffled], kind="stable")]
    counts = _apportion_strata(np.bincount(strata), shares)
    part = np.empty(strata.size, dtype=np.int64)
    part[order] = np.repeat(np.tile(np.arange(3), counts.shape[0]), counts.ravel())
    return part


def _apportion_strata(sizes: NDArray[np.int64], shares: Array) -> NDArray[np.int64]:
    counts = np.zeros((sizes.size, 3), dtype=np.int64)
    carried = np.zeros(3)
    for stratum, size in enumerate(sizes.tolist()):
        quota = size * shares + carried
        counts[stratum] = _largest_remainder(quota, size)
        carried = quota - counts[stratum]
        if counts[stratum, _TRAIN] == 0 and size > 0:
            counts[stratum, np.argmax(counts[stratum])] -= 1
            counts[stratum, _TRAIN] = 1
    return counts


def _largest_remainder(quota: Array, size: int) -> NDArray[np.int64]:
    """Round quotas that sum to ``size`` to whole numbers that do."""
    # A quota of 0.29 * 100 is 28.999999999999996.
    counts = np.maximum(np.floor(quota + 1e-9), 0).astype(np.int64)
    largest_first = np.argsort(counts - quota, kind="stable")
    counts[largest_first[: size - int(counts.sum())]] += 1
    return counts


def _deal_groups(
    strata: NDArray[np.int64],
    groups: NDArray[np.int64],
    shares: Array,
    random: np.random.Generator,
) -> NDArray[np.int64]:
    sizes = np.bincount(groups)
    wanted = int((shares > 0).sum())
    if sizes.size < wanted:
        raise InputError(
            "compare: --group",
            f"a column of at least {wanted} groups, one for each part",
            f"{sizes.size}",
            "Name a finer column, or do without a validation part: --validation 0.",
        )
    stratum = _commonest_stratum(strata, groups)
    shuffled = random.permutation(sizes.size)
    order = shuffled[np.lexsort((-sizes[shuffled], stratum[shuffled]))]
    part = np.empty(sizes.size, dtype=np.int64)
    lacking = [0.0, 0.0, 0.0]
    previous = -1
    rows_of_stratum = np.bincount(stratum, weights=sizes)
    for group in order.tolist():
        first = stratum[group] != previous
        if first:
            previous = stratum[group]
            lacking = [
                lack + share * rows_of_stratum[previous]
                for lack, share in zip(lacking, shares.tolist(), strict=True)
            ]
        part[group] = _TRAIN if first else lacking.index(max(lacking))
        lacking[part[group]] -= sizes[group]
    _fill_empty_parts(part, sizes, shares)
    return np.asarray(part[groups])


def _commonest_stratum(strata: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the stratum ``(groups,)`` that most rows of each group have; ties go to the lowest."""
    number = int(strata.max()) + 1
    pairs, counts = np.unique(groups * number + strata, return_counts=True)
    order = np.lexsort((-counts, pairs // number))
    firsts = np.unique(pairs[order] // number, return_index=True)[1]
    return np.asarray(pairs[order][firsts] % number)


def _fill_empty_parts(part: NDArray[np.int64], sizes: NDArray[np.int64], shares: Array) -> None:
    for number in np.flatnonzero(shares > 0):
        if not (part == number).any():
            giver = np.argmax(np.bincount(part, minlength=3))
            candidates = np.flatnonzero(part == giver)
            part[candidates[np.argmin(sizes[candidates])]] = number
