"""Roles: which columns are features, target, weight and group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent._errors import InputError
from xent._links import Array
from xent.study._data._columns import (
    CategoricalColumn,
    NumericColumn,
    Table,
    UnusableColumn,
    as_categories,
    first_rows,
    listed,
    missing,
    quoted,
)


@dataclass(frozen=True)
class Roles:
    """Which columns do what.

    Args:
        target: the column of classes.
        weight: the column of sample weights, or None.
        group: the column of groups that stay in one part, or None.
        groups: the column of clusters of rows that share an error, or None.
        features: all the others that weren't dropped.
        notes: the roles that the source gave out by itself, in sentences.
    """

    target: str
    weight: str | None
    group: str | None
    groups: str | None
    features: tuple[str, ...]
    notes: tuple[str, ...] = ()


def assign_roles(
    table: Table,
    *,
    target: str | None = None,
    weight: str | None = None,
    group: str | None = None,
    groups: str | None = None,
    drop: Sequence[str] = (),
) -> Roles:
    """Give each column its role: as asked for, or else as the source itself says.

    Rows that stay together share an error too, unless another column says which do.

    Raises:
        InputError: a column doesn't exist, the target is missing or has two roles, or no feature
            is left.
    """
    target = target or table.target
    if target is None:
        raise InputError(
            "compare: --target",
            f"given for {table.name}: the column of classes",
            "none",
            f"The columns are {listed(list(table.columns))}.",
        )
    table.find(target, "compare: --target")
    notes = []
    if table.weight and not weight:
        weight = table.weight
        notes.append(f"sample weights are the array {quoted(weight)}")
    if table.group and not group:
        group = table.group
        notes.append(f"rows of one value in the array {quoted(group)} stay in one part")
    for option, column in (("--weight", weight), ("--group", group), ("--groups", groups)):
        if column is not None:
            _check_other_column(table, column, target, option)
    for column in drop:
        _check_other_column(table, column, target, "--drop")
    candidates = table.features if table.features is not None else tuple(table.columns)
    used = {target, weight, group, groups, *drop}
    features = tuple(name for name in candidates if name not in used)
    if not features:
        raise InputError(
            "compare: DATA",
            "a table with at least one feature besides the target, weight and group",
            f"{table.name} with the columns {listed(list(table.columns))}",
            "Give feature columns, or drop fewer.",
        )
    return Roles(target, weight, group, groups or group, features, tuple(notes))


def _check_other_column(table: Table, column: str, target: str, option: str) -> None:
    table.find(column, f"compare: {option}")
    if column == target:
        raise InputError(
            f"compare: {option}",
            "another column than the target",
            quoted(column),
            "Name another column, or leave the option out.",
        )


def groups_of(
    table: Table, name: str, rows: NDArray[np.int64], option: str = "compare: --group"
) -> NDArray[np.int64]:
    """Return the group numbers ``(rows,)`` of the rows, from 0 without gaps.

    Raises:
        InputError: the column holds dates or lists, or values are missing in these rows.
    """
    column = _group_column(table, rows, name, option)
    return np.unique(column.codes[rows], return_inverse=True)[1]


def check_groups_apart(
    training: tuple[Table, NDArray[np.int64]], test: tuple[Table, NDArray[np.int64]], name: str
) -> None:
    """Refuse a test file that shares groups with the training data.

    Args:
        training: the table of the training data, and its rows that are kept.
        test: likewise of the test file.
        name: the column of groups, which both tables have.

    Raises:
        InputError: a group is in both, or the column of the test file is no column of groups.
    """
    columns = (
        (_group_column(*training, name, "compare: --group"), training[1]),
        (_group_column(*test, name, "compare: --test"), test[1]),
    )
    present = [
        [column.levels[code] for code in np.unique(column.codes[rows]).tolist()]
        for column, rows in columns
    ]
    known = set(present[0])
    shared = [group for group in present[1] if group in known]
    if shared:
        raise InputError(
            "compare: --test",
            f"a file that shares no group of {quoted(name)} with the training data",
            f"{test[0].name} with {listed(shared)}, in both",
            "Leave the rows of those groups out of one file, or split one file with --test 0.2.",
        )


def _group_column(
    table: Table, rows: NDArray[np.int64], name: str, option: str
) -> CategoricalColumn:
    column = table.columns[name]
    if isinstance(column, UnusableColumn):
        raise InputError(
            option,
            "a column of numbers or text",
            f"{quoted(name)} with {column.kind}",
            "Convert it to text.",
        )
    absent = _only(rows, missing(column))
    if absent.any():
        raise InputError(
            option,
            "a column without missing values",
            f"{quoted(name)} missing in {first_rows(absent)}",
            "Give those rows a group of their own.",
        )
    return as_categories(column)


def _only(rows: NDArray[np.int64], flagged: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Clear the flags of all other rows, which ``--classes`` left out."""
    kept = np.zeros_like(flagged)
    kept[rows] = flagged[rows]
    return kept


def weights_of(
    table: Table, name: str, rows: NDArray[np.int64], part: str, *, kept: NDArray[np.int64]
) -> Array:
    """Return the sample weights ``(rows,)`` of a part's rows, float64, free of their unit.

    They sum to the effective number of rows (Kish), ``(sum w)**2 / sum w**2``: all are 1 where
    all are equal.

    Args:
        table: the table.
        name: the column of weights.
        rows: ``(rows,)`` int64 rows of the part.
        part: what messages call it.
        kept: int64 rows of all parts of the table, whose weights must be sound.

    Raises:
        InputError: a weight is no number, negative, missing or infinite, or all are 0.
    """
    column = table.columns[name]
    required = "a column of finite numbers of at least 0"
    if not isinstance(column, NumericColumn):
        found = f"{quoted(name)}, which does not hold numbers"
        raise InputError("compare: --weight", required, found, "Name a numeric column.")
    weight = column.values.astype(np.float64)
    bad = _only(kept, ~(np.isfinite(weight) & (weight >= 0)))
    if bad.any():
        example = f"{weight[np.argmax(bad)]:g}"
        found = f"{quoted(name)}, which is {example} or the like in {first_rows(bad)}"
        raise InputError("compare: --weight", required, found, "Correct or delete those rows.")
    weight = weight[rows]
    if not weight.any():
        raise InputError(
            "compare: --weight",
            "above 0 on some row of every part",
            f"{quoted(name)} with only zeros in the {part} part",
            "Name another column.",
        )
    # By the largest first: squares of weights as they come could overflow or vanish.
    weight /= weight.max()
    return np.asarray(weight * (weight.sum() / np.square(weight).sum()))
