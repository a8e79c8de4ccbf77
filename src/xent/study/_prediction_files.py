"""Files of predictions: one model each, the target beside its predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._errors import InputError
from xent.study._columns import (
    NumericColumn,
    Table,
    UnusableColumn,
    as_categories,
    listed,
    missing,
    one_line,
    quoted,
)
from xent.study._prediction_arrays import LOG_PROBS, LOGITS, PROBS
from xent.study._sources import read_table

OPTION = "compare: --predictions"
# What arrays of an archive may be called, and the kind that the name says they are; the first that
# is there counts, so that recovered probabilities of a trial come before its raw ones.
ARRAYS = {
    "recovered_log_probabilities": LOG_PROBS,
    "log_probabilities": LOG_PROBS,
    "log_probs": LOG_PROBS,
    "probabilities": PROBS,
    "probs": PROBS,
    "logits": LOGITS,
    "predictions": None,
}
_TARGETS = ("target", "y")


@dataclass(frozen=True)
class PredictionColumns:
    """Which columns of the files are what.

    Args:
        target: the column of true classes; None for ``target`` or ``y`` of an archive.
        classes: the classes in the order of the columns; empty for those of the target, sorted.
        positive: of two classes, the one that a single column is about; None for the last.
        identity: a column that names the rows, or None.
        groups: a column of clusters, or None.
        weight: a column of weights, or None.
        drop: columns that are no predictions.
    """

    target: str | None = None
    classes: tuple[str, ...] = ()
    positive: str | None = None
    identity: str | None = None
    groups: str | None = None
    weight: str | None = None
    drop: tuple[str, ...] = ()

    @property
    def others(self) -> set[str]:
        """The columns that are no predictions."""
        return {name for name in (self.identity, self.groups, self.weight) if name} | {*self.drop}


@dataclass(frozen=True, eq=False)
class PredictionFile:
    """What one file says.

    Args:
        target: ``(rows,)`` classes as text.
        classes: in the order of the columns.
        values: ``(rows, classes)``, or ``(rows,)`` of the second class.
        identity: ``(rows,)`` names of the rows as text, or None.
        groups: ``(rows,)``, or None.
        weight: ``(rows,)``, or None.
    """

    target: NDArray[np.str_]
    classes: tuple[str, ...]
    values: NDArray[np.float64]
    identity: NDArray[np.str_] | None
    groups: NDArray[np.str_] | None
    weight: NDArray[np.float64] | None


def read_predictions(
    files: Sequence[str], kind: str, columns: PredictionColumns
) -> dict[str, PredictionFile]:
    """Read the files, all of the same rows in the same order, by the names of the files.

    Args:
        files: CSV, TSV, Parquet or ``.npz`` files, one model each.
        kind: what the numbers are: an array whose name says otherwise is refused.
        columns: which columns are what.

    Raises:
        InputError: a file or column that isn't there, columns that don't fit the classes, or files
            that differ in rows, target or order.
        MissingExtraError: Parquet without pyarrow.
    """
    read = dict(zip(_names(files), (_read(file, kind, columns) for file in files), strict=True))
    first_name, first = next(iter(read.items()))
    for name, other in read.items():
        for what in ("target", "identity"):
            _check_same(getattr(first, what), getattr(other, what), (first_name, name), what)
        if other.classes != first.classes:
            raise InputError(
                OPTION,
                "files of the same classes",
                f"{listed(first.classes)} in {first_name} and {listed(other.classes)} in {name}",
                "Give --classes with all of them.",
            )
    return read


def _names(files: Sequence[str]) -> list[str]:
    """The stems of the files; their paths where two stems are alike."""
    stems = [Path(file).name.split(".")[0] for file in files]
    names = stems if len(set(stems)) == len(stems) else [str(Path(file)) for file in files]
    if len(set(names)) < len(names):
        raise InputError(OPTION, "different files", "one file twice", "Name each file once.")
    return names


def _check_same(
    first: NDArray[Any] | None, other: NDArray[Any] | None, names: tuple[str, str], what: str
) -> None:
    if first is None or other is None:
        return
    column = {"target": "target", "identity": "column --id"}[what]
    if len(first) != len(other):
        raise InputError(
            OPTION,
            "files of the same rows",
            f"{len(first):,} rows in {names[0]} and {len(other):,} in {names[1]}",
            "Write the predictions of the same rows, in the same order.",
        )
    if (first != other).any():
        row = int(np.argmax(first != other))
        raise InputError(
            OPTION,
            f"files whose {column} agrees, row by row",
            f"{quoted(str(first[row]))} in {names[0]} and {quoted(str(other[row]))} in {names[1]} "
            f"(row {row}, counted from 0)",
            "Write the rows in the same order.",
        )


def _read(file: str, kind: str, columns: PredictionColumns) -> PredictionFile:
    if file.endswith(".npz"):
        return _read_archive(Path(file), kind, columns)
    table = read_table(file, OPTION)
    target = columns.target or table.target
    if target is None:
        raise InputError(
            "compare: --target",
            f"given for {table.name}: the column of true classes",
            "none",
            f"The columns are {listed(list(table.columns))}.",
        )
    for name in (target, *columns.others - {*columns.drop}):
        table.find(name, OPTION)
    labels = _text_of(table, target)
    names = [name for name in table.columns if name != target and name not in columns.others]
    classes = _classes(columns, labels)
    ordered = _in_order(names, classes, table.name)
    values = np.stack([_numbers_of(table, name) for name in ordered], axis=1)
    return PredictionFile(
        labels,
        classes,
        values[:, 0] if len(ordered) == 1 else values,
        None if columns.identity is None else _text_of(table, columns.identity),
        None if columns.groups is None else _text_of(table, columns.groups),
        None if columns.weight is None else _numbers_of(table, columns.weight),
    )


def _text_of(table: Table, name: str) -> NDArray[np.str_]:
    column = table.columns[name]
    if isinstance(column, UnusableColumn) or missing(column).any():
        what = column.kind if isinstance(column, UnusableColumn) else "missing values"
        raise InputError(
            OPTION,
            "files whose target, ids and groups are text or numbers, none missing",
            f"{quoted(name)} of {table.name} with {what}",
            "Correct that column.",
        )
    categories = as_categories(column)
    return np.asarray(np.array(categories.levels, dtype=np.str_)[categories.codes])


def _numbers_of(table: Table, name: str) -> NDArray[np.float64]:
    column = table.columns[name]
    if not isinstance(column, NumericColumn):
        raise InputError(
            OPTION,
            "files whose other columns are predictions, in numbers",
            f"{quoted(name)} of {table.name}, which is not numbers",
            "Leave such columns out with --drop, or name them with --id, --groups or --weight.",
        )
    return column.values.astype(np.float64)


def _classes(columns: PredictionColumns, labels: NDArray[np.str_]) -> tuple[str, ...]:
    """The classes in the order of columns: as given, or the target's, as numbers or as text."""
    classes = columns.classes or tuple(sorted(np.unique(labels).tolist(), key=_as_number_or_text))
    if columns.positive is None:
        return classes
    if columns.positive not in classes or len(classes) != 2:
        raise InputError(
            "compare: --positive",
            f"one of the two classes {listed(classes)}",
            quoted(columns.positive),
            "Name one of two classes.",
        )
    return (*(name for name in classes if name != columns.positive), columns.positive)


def _as_number_or_text(label: str) -> tuple[bool, float, str]:
    try:
        return (False, float(label), label)
    except ValueError:
        return (True, 0.0, label)


def _in_order(names: Sequence[str], classes: tuple[str, ...], file: str) -> list[str]:
    """The columns of predictions in the order of the classes, found by their names.

    They are called as the classes are, all with the same beginning, such as p_cat and p_dog.
    """
    if len(names) == 1 and len(classes) == 2:
        return list(names)
    last = classes[-1]
    beginnings = [name[: len(name) - len(last)] for name in names if name.endswith(last)]
    fitting = [
        beginning
        for beginning in beginnings
        if sorted(beginning + name for name in classes) == sorted(names)
    ]
    if len(fitting) != 1:
        raise InputError(
            OPTION,
            f"files with one column for each of the classes {listed(classes)}, named after it "
            "(such as p_CLASS), or for two classes a single column",
            f"{file} with the columns {listed(names)}",
            "Rename the columns, leave others out with --drop, or give --classes.",
        )
    return [fitting[0] + name for name in classes]


def _read_archive(path: Path, kind: str, columns: PredictionColumns) -> PredictionFile:
    arrays = _arrays(path)
    array = next((name for name in ARRAYS if name in arrays and name not in columns.drop), None)
    target = columns.target or next((name for name in _TARGETS if name in arrays), None)
    wanted = [name for name in (columns.identity, columns.groups, columns.weight) if name]
    lacking = [name for name in (*wanted, target) if name is not None and name not in arrays]
    if array is None or target is None or lacking:
        raise InputError(
            OPTION,
            f"an archive with a target and one of the arrays {', '.join(ARRAYS)}"
            + f", and {listed(wanted)}" * bool(wanted),
            f"{path.name} with {listed(sorted(arrays))}",
            "Save it with numpy.savez(path, target=y, probs=p), or name its target with --target.",
        )
    if ARRAYS[array] not in (None, kind):
        raise InputError(
            "compare: --input",
            f"{ARRAYS[array]} for the array {quoted(array)} of {path.name}",
            kind,
            "Say what the numbers are, or save them under the right name.",
        )
    values = arrays[array].astype(np.float64)
    labels = _text(arrays[target])
    width = values.shape[1] if values.ndim == 2 and values.shape[1] > 1 else 2
    numbered = tuple(map(str, range(width)))
    return PredictionFile(
        labels,
        columns.classes or numbered,
        values,
        None if columns.identity is None else _text(arrays[columns.identity]),
        None if columns.groups is None else _text(arrays[columns.groups]),
        None if columns.weight is None else arrays[columns.weight].astype(np.float64),
    )


def _text(array: NDArray[Any]) -> NDArray[np.str_]:
    if array.dtype.kind == "f" and np.array_equal(array, np.floor(array)):
        array = array.astype(np.int64)
    return array.astype(np.int64 if array.dtype.kind == "b" else array.dtype).astype(np.str_)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise InputError(
            OPTION,
            "existing files",
            quoted(str(path), 80),
            "There is no such file: check the path.",
        )
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen types for a damaged file
        raise InputError(
            OPTION,
            "NumPy .npz archives of arrays that are not objects",
            one_line(f"{path.name} ({type(error).__name__}: {error})"),
            "Save it with numpy.savez(path, target=y, probs=p).",
        ) from error
