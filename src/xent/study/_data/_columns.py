"""Columns: what a table is made of once it is read, whatever library read it.

A column is numbers, categories, or something that can't be a feature (dates, lists). Everything
after reading works on these three in NumPy, so that only reading needs pandas.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from xent._errors import InputError


@dataclass(frozen=True)
class NumericColumn:
    """Numbers or booleans.

    Args:
        values: ``(rows,)`` of a real or boolean dtype, as it was read (whole numbers above 2**53
            stay exact); NaN is missing.
    """

    values: NDArray[Any]


@dataclass(frozen=True)
class CategoricalColumn:
    """Text or categories.

    Args:
        codes: ``(rows,)`` int64 positions in ``levels``; -1 is missing.
        levels: the distinct values, sorted: as numbers where they are numbers, as text otherwise.
    """

    codes: NDArray[np.int64]
    levels: tuple[str, ...]


@dataclass(frozen=True)
class UnusableColumn:
    """Values that are neither numbers nor categories; ``kind`` says what, in the plural."""

    kind: str


Column: TypeAlias = NumericColumn | CategoricalColumn | UnusableColumn


@dataclass(frozen=True)
class Table:
    """Columns of equal length, and what the source itself says about their use.

    Args:
        name: how messages call the source.
        rows: number of rows.
        columns: name to column, in the order of the source.
        features: the columns that are features; None means all that have no other use.
        target: the target column where the source has one of its own.
        weight: likewise the sample weights.
        group: likewise the groups.
        notes: what reading did, in sentences.
    """

    name: str
    rows: int
    columns: Mapping[str, Column]
    features: tuple[str, ...] | None = None
    target: str | None = None
    weight: str | None = None
    group: str | None = None
    notes: tuple[str, ...] = ()

    def find(self, column: str, option: str) -> Column:
        """Return the column of that name.

        Raises:
            InputError: there is none; suggests the nearest name.
        """
        if column in self.columns:
            return self.columns[column]
        near = _nearest(column, self.columns)
        hint = f"Did you mean {quoted(near)}? " if near is not None else ""
        raise InputError(
            option,
            f"a column of {self.name}",
            quoted(column),
            f"{hint}The columns are {listed(list(self.columns))}.",
        )


def _nearest(name: str, names: Iterable[str]) -> str | None:
    by_lower_case = {candidate.lower(): candidate for candidate in names}
    matches = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    return by_lower_case[matches[0]] if matches else None


def quoted(name: str, longest: int = 40) -> str:
    """Quote a name on one line: control characters are escaped and long names cut.

    >>> quoted("a name that is long", longest=9)
    "'a name...'"
    """
    return repr(name if len(name) <= longest else name[: longest - 3] + "...")


def separated(given: Sequence[str], known: Iterable[str]) -> tuple[str, ...]:
    """Names that came one by one or several in a text with commas, unless that is a name itself.

    >>> separated(["a,b", "Paris, France"], ["a", "b", "Paris, France"])
    ('a', 'b', 'Paris, France')
    """
    names = set(known)
    parts = [
        [text] if text in names else [part.strip() for part in text.split(",")] for text in given
    ]
    return tuple(dict.fromkeys(name for each in parts for name in each if name))


def one_line(text: str, longest: int = 160) -> str:
    """Bring foreign text on one line of printable characters, cut where it is long.

    >>> one_line("two " + chr(10) + " lines")
    'two lines'
    """
    words = " ".join(text.split())
    return "".join(character if character.isprintable() else "?" for character in words)[:longest]


def listed(names: Sequence[str], most: int = 8) -> str:
    """List names for a message, the first few of many.

    >>> listed(["a", "b", "c"], most=2)
    "'a', 'b' and 1 more"
    """
    shown = ", ".join(quoted(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def counted(count: int, thing: str, things: str | None = None) -> str:
    """Count things in words: ``1 row``, ``2 rows``, ``1,000 rows``.

    >>> counted(1000, "row")
    '1,000 rows'
    """
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def first_rows(flagged: NDArray[np.bool_], most: int = 3) -> str:
    """Say how many rows are flagged and which are the first, counted from 0.

    >>> first_rows(np.array([False, True, False, True]))
    '2 rows (1, 3; counted from 0)'
    """
    rows = np.flatnonzero(flagged)
    shown = ", ".join(str(row) for row in rows[:most]) + (", ..." if rows.size > most else "")
    return f"{counted(rows.size, 'row')} ({shown}; counted from 0)"


def missing(column: NumericColumn | CategoricalColumn) -> NDArray[np.bool_]:
    """Flag the rows ``(rows,)`` that have no value."""
    if isinstance(column, CategoricalColumn):
        return np.asarray(column.codes < 0)
    return _missing_numbers(column.values)


def _missing_numbers(values: NDArray[Any]) -> NDArray[np.bool_]:
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, dtype=bool)


def number_text(value: Any) -> str:
    """Write a number as a class or category name: whole numbers without a point.

    >>> number_text(np.float64(2.0)), number_text(np.bool_(True)), number_text(np.float64(0.5))
    ('2', 'True', '0.5')
    """
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and plain.is_integer():
        return str(int(plain))
    return str(plain)


def as_categories(column: NumericColumn | CategoricalColumn) -> CategoricalColumn:
    """Turn numbers into categories, one for each distinct number, in the order of the numbers."""
    if isinstance(column, CategoricalColumn):
        return column
    absent = missing(column)
    codes = np.full(column.values.shape, -1, dtype=np.int64)
    levels, codes[~absent] = np.unique(column.values[~absent], return_inverse=True)
    return CategoricalColumn(codes, tuple(number_text(level) for level in levels))


def categories_of(codes: NDArray[Any], values: Sequence[Any]) -> CategoricalColumn:
    """Build a column from codes into distinct ``values`` in any order; negative codes are missing.

    Values that no row has are left out; values that read the same as text are one level.
    """
    counts = np.bincount(codes[codes >= 0], minlength=len(values))
    present = [value for value, count in zip(values, counts, strict=True) if count]
    numbers = all(isinstance(value, (int, float, np.number, np.bool_)) for value in present)
    ordered = sorted(present) if numbers else sorted(present, key=str)
    levels = tuple(dict.fromkeys(_text(value) for value in ordered))
    position = {level: index for index, level in enumerate(levels)}
    lookup = np.array([position.get(_text(value), -1) for value in values] + [-1], dtype=np.int64)
    return CategoricalColumn(lookup[np.where(codes < 0, len(values), codes)], levels)


def _text(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        return number_text(value)
    return value if isinstance(value, str) else str(value)


def column_of_array(array: NDArray[Any]) -> Column:
    """Turn a 1-D NumPy array into a column; dates and other dtypes become unusable."""
    kind = array.dtype.kind
    if kind in "biuf":
        return NumericColumn(array)
    if kind in "US":
        texts = np.char.decode(array, "utf-8", "replace") if kind == "S" else array
        levels, codes = np.unique(texts, return_inverse=True)
        return CategoricalColumn(codes.astype(np.int64), tuple(levels.tolist()))
    if kind in "mM":
        return UnusableColumn("dates or times")
    return UnusableColumn(f"values of dtype {array.dtype}")


def column_of_series(series: Any) -> Column:
    """Turn a pandas Series of any dtype into a column."""
    import pandas

    if isinstance(series.dtype, pandas.CategoricalDtype):
        return categories_of(series.cat.codes.to_numpy(), series.cat.categories.tolist())
    kind = pandas.api.types.infer_dtype(series, skipna=True)
    if kind in _NUMBERS or pandas.api.types.is_bool_dtype(series.dtype):
        return _numbers_of_series(series)
    if kind.startswith(("date", "time", "period", "interval")):
        return UnusableColumn("dates or times")
    try:
        codes, values = pandas.factorize(series)
    except TypeError:  # unhashable: lists, arrays, dictionaries
        return UnusableColumn("lists or other nested values")
    return categories_of(codes, values.tolist())


# What pandas.api.types.infer_dtype calls numbers.
_NUMBERS = ("boolean", "integer", "floating", "mixed-integer-float", "decimal", "integer-na")


def _numbers_of_series(series: Any) -> NumericColumn:
    absent = series.isna()
    if absent.any() or series.dtype == object:
        present = series[~absent].astype(float)
        values = np.full(len(series), np.nan)
        values[~absent.to_numpy()] = present.to_numpy()
        only_booleans = series.dtype == object and not absent.any() and _all_boolean(series)
        return NumericColumn(values.astype(bool) if only_booleans else values)
    values = series.to_numpy()
    return NumericColumn(values if values.dtype != object else values.astype(float))


def _all_boolean(series: Any) -> bool:
    return all(isinstance(value, (bool, np.bool_)) for value in series.unique())
