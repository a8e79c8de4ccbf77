"""The target: which column values become which class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._errors import InputError
from xent.study._data._columns import (
    CategoricalColumn,
    Column,
    NumericColumn,
    UnusableColumn,
    as_categories,
    counted,
    first_rows,
    listed,
    missing,
    number_text,
    quoted,
)

# A column of numbers is one of classes with up to _MOST_NUMBERS of them, and beyond _FEW_NUMBERS
# only where rows repeat them: a measurement rounded to whole numbers has many, each on few rows.
_MOST_NUMBERS = 50
_FEW_NUMBERS = 20
_ROWS_PER_NUMBER = 20


@dataclass(frozen=True)
class Target:
    """The classes of the rows that are kept.

    Args:
        rows: ``(kept,)`` int64 row numbers in the source, ascending.
        codes: ``(kept,)`` int64 classes, 0 to K - 1.
        class_names: the K names; class 1 of two is the positive one.
        notes: what was left out, in sentences.
    """

    rows: NDArray[np.int64]
    codes: NDArray[np.int64]
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()


def encode_target(
    column: Column, name: str, *, classes: Sequence[str] = (), positive: str | None = None
) -> Target:
    """Turn values into classes: numbers in their order, text in alphabetical order.

    Whole numbers look continuous, and are refused, where more than 50 differ, or more than 20
    with fewer than 20 rows each on average. Text may have any number of classes, and so may
    numbers whose classes are named by ``classes``.

    Args:
        column: the target column.
        name: its name, for messages.
        classes: keep only rows of these classes; empty keeps all.
        positive: the class of two that becomes class 1; default the last of the sorted classes.

    Raises:
        InputError: values are missing, fractional or many different numbers, most rows have a
            class of their own, fewer than two classes are left, or ``classes`` or ``positive``
            name no class.

    >>> encode_target(NumericColumn(np.array([10, 9, 10])), "y").class_names
    ('9', '10')
    """
    found = _classes_of(column, name, "compare: --target")
    alone = int((np.bincount(found.codes) == 1).sum())
    if alone > found.codes.size / 2:
        raise InputError(
            "compare: --target",
            "a column of classes that rows share",
            f"{quoted(name)}, where {alone:,} of {counted(found.codes.size, 'row')} have a value "
            "of their own",
            "Name the column of classes rather than an id or free text.",
        )
    if isinstance(column, NumericColumn) and not classes:
        _check_few_numbers(found, name)
    rows, codes, names, notes = _keep_classes(found, classes)
    if len(names) < 2:
        raise InputError(
            "compare: --target",
            "a column with at least two classes",
            f"{quoted(name)} with only {listed(names)}",
            "Name another column, or give data with both classes.",
        )
    codes, names = _put_positive_last(codes, names, positive)
    return Target(rows, codes, names, notes)


def encode_test_target(
    column: Column, name: str, class_names: Sequence[str], *, only_these: bool = False
) -> Target:
    """Turn the values of a test file into the classes of the training data.

    Args:
        column: the target column of the test file.
        name: its name, for messages.
        class_names: the classes in the order of their numbers.
        only_these: leave out rows of other classes, rather than refuse them.

    Raises:
        InputError: values are missing, or belong to no class of the training data.
    """
    found = _classes_of(column, name, "compare: --test")
    unseen = [level for level in found.levels if level not in class_names]
    if unseen and not only_these:
        raise InputError(
            "compare: --test",
            f"a file whose classes are all in the training data ({listed(class_names)})",
            f"{listed(unseen)} in {quoted(name)}",
            "Leave those rows out, or add such rows to the training data.",
        )
    position = {class_name: number for number, class_name in enumerate(class_names)}
    lookup = np.array([position.get(level, -1) for level in found.levels], dtype=np.int64)
    codes = lookup[found.codes]
    rows = np.flatnonzero(codes >= 0)
    return Target(rows, codes[rows], tuple(class_names))


def _classes_of(column: Column, name: str, option: str) -> CategoricalColumn:
    if isinstance(column, UnusableColumn):
        raise InputError(
            option,
            "a column of text, whole numbers or booleans",
            f"{quoted(name)} with {column.kind}",
            "Name a column of classes.",
        )
    absent = missing(column)
    if absent.any():
        raise InputError(
            option,
            "a column without missing values",
            f"{quoted(name)} missing in {first_rows(absent)}",
            "Fill those cells or delete those rows (an empty cell, NA, None and nan all read "
            "as missing).",
        )
    if isinstance(column, NumericColumn):
        _check_whole(column.values, name, option)
    return as_categories(column)


def _check_whole(values: NDArray[Any], name: str, option: str) -> None:
    if values.dtype.kind != "f":
        return
    fractional = ~np.isfinite(values) | (values != np.floor(values))
    if fractional.any():
        example = number_text(values[np.argmax(fractional)])
        raise InputError(
            option,
            "a column of classes",
            f"{quoted(name)}, which looks continuous: it holds numbers such as {example}",
            "Name a column of classes, or cut the numbers into classes first.",
        )


def _check_few_numbers(found: CategoricalColumn, name: str) -> None:
    distinct, rows = len(found.levels), found.codes.size
    spread = distinct > _FEW_NUMBERS and rows < _ROWS_PER_NUMBER * distinct
    if distinct > _MOST_NUMBERS or spread:
        raise InputError(
            "compare: --target",
            "a column of classes",
            f"{quoted(name)}, which looks continuous: it holds {distinct:,} different whole "
            f"numbers on {counted(rows, 'row')}",
            "Cut the numbers into classes first, or, if each of them is a class, write them as "
            f"text, such as {quoted('class ' + found.levels[0])}.",
        )


def _keep_classes(
    found: CategoricalColumn, classes: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[str, ...], tuple[str, ...]]:
    if not classes:
        return np.arange(found.codes.size), found.codes, found.levels, ()
    unknown = [name for name in classes if name not in found.levels]
    if unknown:
        raise InputError(
            "compare: --classes",
            f"among the classes {listed(found.levels)}",
            listed(unknown),
            "Name classes as the target column writes them.",
        )
    names = tuple(level for level in found.levels if level in classes)
    lookup = np.array([names.index(level) if level in names else -1 for level in found.levels])
    codes = lookup[found.codes]
    rows = np.flatnonzero(codes >= 0)
    note = f"kept {rows.size:,} of {counted(codes.size, 'row')}: those of classes {listed(names)}"
    return rows, codes[rows], names, (note,)


def _put_positive_last(
    codes: NDArray[np.int64], names: tuple[str, ...], positive: str | None
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    if positive is None:
        return codes, names
    if len(names) != 2:
        raise InputError(
            "compare: --positive",
            "left out unless there are two classes",
            f"{quoted(positive)} with {len(names)} classes",
            "Leave it out, or name two classes with --classes.",
        )
    if positive not in names:
        raise InputError(
            "compare: --positive",
            f"one of the classes {listed(names)}",
            quoted(positive),
            "Name a class as the target column writes it.",
        )
    if positive == names[1]:
        return codes, names
    return 1 - codes, names[::-1]
