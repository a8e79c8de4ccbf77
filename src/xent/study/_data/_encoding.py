"""Encoding: columns to a float64 matrix, fitted on the training rows and on nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent._errors import InputError
from xent._links import Array
from xent.study._data._columns import (
    CategoricalColumn,
    Column,
    NumericColumn,
    UnusableColumn,
    as_categories,
    counted,
    first_rows,
    one_line,
    quoted,
)

_MOST_LEVELS = 50
# Of fewer rows chance alone makes every number different.
_FEW_ROWS = 20
# 2024-03-31, 2024/3/31, 31.03.2024 or 3/31/24, whatever time of day follows.
_DATE = re.compile(r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3\d{2,4})(\D|$)")


@dataclass(frozen=True)
class NumericBlock:
    """A numeric column's share of the matrix: the number, an indicator of missing ones, or both.

    Args:
        column: name of the source column.
        fill: what stands for a missing number: the training median.
        number: whether the number itself is a feature (it isn't where it never varies).
        indicator: whether "is missing" is a feature.
    """

    column: str
    fill: float
    number: bool
    indicator: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its features."""
        return (self.column,) * self.number + (f"{self.column} is missing",) * self.indicator


@dataclass(frozen=True)
class CategoricalBlock:
    """A categorical column's share of the matrix: one 0/1 feature for each level but one.

    Args:
        column: name of the source column.
        levels: the levels that have a feature; None is the missing value.
        reference: the level that is all zeros.
        seen: all levels of the training rows, those counted as the reference included.
    """

    column: str
    levels: tuple[str | None, ...]
    reference: str | None
    seen: frozenset[str | None]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its features."""
        return tuple(_feature_name(self.column, level) for level in self.levels)


@dataclass(frozen=True)
class Encoding:
    """What was learnt from the training rows.

    Args:
        blocks: the columns that became features, in order.
        feature_names: one name for each matrix column, all different.
        center: ``(features,)`` float64, subtracted.
        scale: ``(features,)`` float64, divided by.
        notes: what was done, in sentences.
    """

    blocks: tuple[NumericBlock | CategoricalBlock, ...]
    feature_names: tuple[str, ...]
    center: Array
    scale: Array
    notes: tuple[str, ...]


def _feature_name(column: str, level: str | None) -> str:
    return f"{column} is missing" if level is None else f"{column}={level}"


def fit_encoding(
    columns: Mapping[str, Column], rows: NDArray[np.int64], *, standardize: bool = True
) -> Encoding:
    """Learn from the training rows how each column becomes numbers.

    Numbers stay numbers: missing ones become the median, and a column "NAME is missing" is added.
    Categories become 0/1 columns against the most frequent one. Columns that never vary are
    dropped. Numbers are standardised by mean and standard deviation; 0/1 columns of categories
    and of missing values are not.

    Args:
        columns: the features, name to column.
        rows: ``(n,)`` int64 training rows.
        standardize: whether to standardise at all.

    Raises:
        InputError: a column holds dates or lists, or no column is left.

    >>> colour = CategoricalColumn(np.array([0, 0, 1, 1, 1, 0, 0]), ("blue", "red"))
    >>> fit_encoding({"colour": colour}, np.arange(7)).feature_names
    ('colour=red',)
    """
    blocks: list[NumericBlock | CategoricalBlock] = []
    notes: list[str] = []
    for name, column in columns.items():
        if isinstance(column, UnusableColumn):
            raise InputError(
                f"compare: column {quoted(name)}",
                "numbers, booleans or text",
                column.kind,
                f"Drop it with --drop {quoted(name)}, or convert it to numbers.",
            )
        block: NumericBlock | CategoricalBlock | None
        if isinstance(column, NumericColumn):
            block, said = _fit_numbers(name, column, rows)
        else:
            block, said = _fit_categories(name, column, rows)
        notes.extend(said)
        if block is not None:
            blocks.append(block)
    if not blocks:
        raise InputError(
            "compare: DATA",
            "a table with at least one feature that varies on the training rows",
            f"{counted(len(columns), 'candidate column')}, all dropped",
            f"Give features that vary ({one_line('; '.join(notes[:3]), longest=300)}).",
        )
    names = _all_different([name for block in blocks for name in block.names])
    center, scale = np.zeros(len(names)), np.ones(len(names))
    if standardize:
        _measure(blocks, columns, rows, center, scale)
    return Encoding(tuple(blocks), names, center, scale, tuple(notes))


def _fit_numbers(
    name: str, column: NumericColumn, rows: NDArray[np.int64]
) -> tuple[NumericBlock | None, list[str]]:
    values = column.values[rows].astype(np.float64)
    _check_finite(values, column, name)
    present = values[~np.isnan(values)]
    absent = values.size - present.size
    if present.size == 0:
        return None, [f"{name}: no values in the training part, so dropped"]
    varies = bool(present.min() < present.max())
    if not absent:
        if not varies:
            return None, [f"{name}: {present[0]:g} on every training row, so dropped"]
        block = NumericBlock(name, float(np.median(present)), number=True, indicator=False)
        return block, _note_id(name, column, present)
    median = float(np.median(present))
    block = NumericBlock(name, median, number=varies, indicator=True)
    added = f"column '{name} is missing' added"
    if not varies:
        return block, [
            f"{name}: {median:g} on every training row that has a value, so only whether it is "
            f"missing is kept; {added}"
        ]
    return block, [
        f"{name}: {counted(absent, 'missing training value')} replaced by the training median "
        f"{median:g}; {added}"
    ]


def _note_id(name: str, column: NumericColumn, present: Array) -> list[str]:
    """A whole number that no two rows share may be a feature or an id; only the user knows."""
    whole = np.issubdtype(column.values.dtype, np.integer)
    if not whole or present.size < _FEW_ROWS or np.unique(present).size < present.size:
        return []
    return [f"{name}: a different whole number on every training row; drop it if it is an id"]


def _check_finite(values: Array, column: NumericColumn, name: str) -> None:
    if np.isinf(values).any():
        raise InputError(
            f"compare: column {quoted(name)}",
            "finite numbers",
            f"infinite values in {first_rows(np.isinf(column.values))}",
            f"Correct those cells, empty them, or drop the column with --drop {quoted(name)}.",
        )


def _fit_categories(
    name: str, column: CategoricalColumn, rows: NDArray[np.int64]
) -> tuple[CategoricalBlock | None, list[str]]:
    codes = column.codes[rows]
    counts = np.bincount(codes + 1, minlength=len(column.levels) + 1)
    notes = _note_stray_text(name, column.levels, counts[1:])
    present, distinct = int(counts[1:].sum()), int((counts[1:] > 0).sum())
    if distinct > max(present / 2, 2):
        return None, [
            *notes,
            f"{name}: {distinct:,} different values on {counted(present, 'training row')}, like "
            "an id or free text, so dropped",
        ]
    # Most frequent first; the missing value, at 0, comes last among equals.
    by_sort_order = np.append(np.arange(1, counts.size), 0)
    ranked = by_sort_order[np.argsort(-counts[by_sort_order], kind="stable")]
    ranked = ranked[counts[ranked] > 0]
    names = [column.levels[code - 1] if code else None for code in ranked.tolist()]
    if len(names) == 1:
        same = "missing" if names[0] is None else quoted(names[0])
        return None, [*notes, f"{name}: {same} on every training row, so dropped"]
    reference, kept = names[0], ranked[1:_MOST_LEVELS]
    in_order = np.sort(kept[kept > 0]).tolist() + [0] * int((kept == 0).any())
    levels = tuple(column.levels[code - 1] if code else None for code in in_order)
    notes.append(_describe_levels(name, len(names), len(levels), reference))
    notes += _note_missing_text(name, int(counts[0]), levels, reference)
    notes += _note_dates(name, column.levels, counts[1:])
    return CategoricalBlock(name, levels, reference, frozenset(names)), notes


def _describe_levels(name: str, found: int, features: int, reference: str | None) -> str:
    against = "missing" if reference is None else quoted(reference)
    sentence = f"{name}: {found} categories as {counted(features, 'column')} against {against}"
    rest = found - features - 1
    if rest:
        sentence += f"; the {counted(rest, 'rarest one', 'rarest ones')} counted as {against}"
    return sentence


def _note_missing_text(
    name: str, absent: int, levels: tuple[str | None, ...], reference: str | None
) -> list[str]:
    if not absent:
        return []
    if None in levels:
        kept = f"kept as a category of their own, column '{name} is missing'"
    elif reference is None:
        kept = "kept as a category of their own, against which the others are measured"
    else:
        kept = f"counted as {quoted(reference)}"
    return [f"{name}: {counted(absent, 'missing training value')} {kept}"]


def _note_dates(name: str, levels: tuple[str, ...], counts: NDArray[np.int64]) -> list[str]:
    """A date as text has a category for every day, which tells a model nothing of the next one."""
    present = [level for level, count in zip(levels, counts.tolist(), strict=True) if count]
    dates = sum(_DATE.match(level.strip()) is not None for level in present)
    if dates <= len(present) / 2:
        return []
    return [
        f"{name}: looks like dates, read as categories; leave it out with --drop {quoted(name)}, "
        "or write it as numbers, such as days or months"
    ]


def _note_stray_text(name: str, levels: tuple[str, ...], counts: NDArray[np.int64]) -> list[str]:
    """Tell of a column of numbers that a few stray texts have made a column of categories."""
    strays = np.array([not _is_number(level) for level in levels], dtype=bool)
    numeric = int(counts[~strays].sum())
    stray = int(counts[strays].sum())
    if stray == 0 or numeric <= stray:
        return []
    example = quoted(levels[int(np.argmax(np.where(strays, counts, -1)))])
    return [
        f"{name}: mostly numbers, but {counted(stray, 'training value is', 'training values are')} "
        f"not, such as {example}, so read as categories; empty those cells to have numbers"
    ]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _all_different(names: list[str]) -> tuple[str, ...]:
    used: dict[str, None] = {}
    for name in names:
        candidate, copy = name, 2
        while candidate in used:
            candidate, copy = f"{name} ({copy})", copy + 1
        used[candidate] = None
    return tuple(used)


def _measure(
    blocks: list[NumericBlock | CategoricalBlock],
    columns: Mapping[str, Column],
    rows: NDArray[np.int64],
    center: Array,
    scale: Array,
) -> None:
    position = 0
    for block in blocks:
        column = columns[block.column]
        if isinstance(block, NumericBlock) and block.number and isinstance(column, NumericColumn):
            values = column.values[rows].astype(np.float64)
            values[np.isnan(values)] = block.fill
            center[position], scale[position] = mean_and_deviation(values, block.column)
        position += len(block.names)


def mean_and_deviation(values: Array, name: str) -> tuple[float, float]:
    """Return the mean and the standard deviation (divisor n); 1 in place of a deviation of 0.

    Raises:
        InputError: the numbers are so large that their squares overflow.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = float(values.mean()), float(values.std())
    if not np.isfinite(deviation):
        raise InputError(
            f"compare: column {quoted(name)}",
            "numbers whose squares are finite",
            f"{np.abs(values).max():g}",
            "Divide the column by a constant, or do without standardisation.",
        )
    return mean, deviation or 1.0


@dataclass(frozen=True)
class Selection:
    """The rows of one part, and where they come from.

    Args:
        columns: name to column; those of a test file may have other levels.
        rows: ``(n,)`` int64 rows.
        part: what notes call them: training, validation or test.
        option: the argument that messages name.
    """

    columns: Mapping[str, Column]
    rows: NDArray[np.int64]
    part: str
    option: str = "compare: DATA"


def encode(encoding: Encoding, selection: Selection) -> tuple[Array, tuple[str, ...]]:
    """Turn rows into the matrix ``(n, features)``, float64 and C-contiguous.

    Returns:
        The matrix, standardised where the encoding says so, and notes on values that the
        training rows don't have.

    Raises:
        InputError: a column of numbers holds text here, or infinite numbers.
    """
    matrix = np.zeros((selection.rows.size, len(encoding.feature_names)))
    notes: list[str] = []
    position = 0
    for block in encoding.blocks:
        width = len(block.names)
        share = matrix[:, position : position + width]
        if isinstance(block, NumericBlock):
            notes.extend(_encode_numbers(block, selection, share))
        else:
            notes.extend(_encode_categories(block, selection, share))
        position += width
    matrix -= encoding.center
    matrix /= encoding.scale
    return matrix, tuple(notes)


def _encode_numbers(block: NumericBlock, selection: Selection, share: Array) -> list[str]:
    column = selection.columns[block.column]
    if not isinstance(column, NumericColumn):
        # A column without any value has no type of its own.
        if isinstance(column, UnusableColumn) or (column.codes >= 0).any():
            raise _other_kind(block.column, "numbers, as in the training data", selection)
        column = NumericColumn(np.full(column.codes.size, np.nan))
    values = column.values[selection.rows].astype(np.float64)
    _check_finite(values, column, block.column)
    absent = np.isnan(values)
    if block.number:
        values[absent] = block.fill
        share[:, 0] = values
    if block.indicator:
        share[:, -1] = absent
    if block.indicator or not absent.any():
        return []
    number = counted(int(absent.sum()), f"missing {selection.part} value")
    return [f"{block.column}: {number} replaced by the training median {block.fill:g}"]


def _encode_categories(block: CategoricalBlock, selection: Selection, share: Array) -> list[str]:
    column = selection.columns[block.column]
    if isinstance(column, UnusableColumn):
        raise _other_kind(block.column, "text, as in the training data", selection)
    categories = as_categories(column)
    levels: tuple[str | None, ...] = (*categories.levels, None)
    feature_of = {level: feature for feature, level in enumerate(block.levels)}
    lookup = np.array([feature_of.get(level, -1) for level in levels])
    unseen = np.array([level not in block.seen for level in levels])
    codes = categories.codes[selection.rows]  # -1, a missing value, finds the last level: None
    features = lookup[codes]
    hit = np.flatnonzero(features >= 0)
    share[hit, features[hit]] = 1.0
    strangers = int(unseen[codes].sum())
    if not strangers:
        return []
    reference = "missing" if block.reference is None else quoted(block.reference)
    part = selection.part
    rows_with = counted(strangers, f"{part} row has a category", f"{part} rows have categories")
    return [f"{block.column}: {rows_with} that no training row has, counted as {reference}"]


def _other_kind(name: str, required: str, selection: Selection) -> InputError:
    column = selection.columns[name]
    return InputError(
        f"{selection.option}: column {quoted(name)}",
        required,
        column.kind if isinstance(column, UnusableColumn) else "text",
        f"Write it alike in both files, or drop it with --drop {quoted(name)}.",
    )
