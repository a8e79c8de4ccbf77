"""Files of predictions: one model each, the target beside its predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._errors import InputError
from xent.study._data._columns import (
    NumericColumn,
    Table,
    UnusableColumn,
    as_categories,
    listed,
    missing,
    one_line,
    quoted,
    separated,
)
from xent.study._data._sources import read_table
from xent.study._predictions._arrays import LOG_PROBS, LOGITS, PROBS
from xent.study._runs._trial_names import trial_name

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
    """Read the files, all of the same rows, by the names of the files.

    With a column that names the rows all are brought into the order of the first file; without
    one they must have the same order.

    Args:
        files: CSV, TSV, Parquet or ``.npz`` files, one model each.
        kind: what the numbers are: an array whose name says otherwise is refused.
        columns: which columns are what.

    Raises:
        InputError: a file or column that isn't there, columns that don't fit the classes, or files
            that differ in rows or target, or in order where no column names the rows.
        MissingExtraError: Parquet without pyarrow.
    """
    read = dict(zip(_names(files), (_read(file, kind, columns) for file in files), strict=True))
    first_name, first = next(iter(read.items()))
    for name, as_written in read.items():
        names = (first_name, name)
        _check_count(first, as_written, names)
        other = read[name] = _in_order_of(first, as_written, names)
        _check_target(first, other, names)
        if other.classes != first.classes:
            raise InputError(
                OPTION,
                "files of the same classes",
                f"{listed(first.classes)} in {first_name} and {listed(other.classes)} in {name}",
                "Give --classes with all of them.",
            )
    return read


def _names(files: Sequence[str]) -> list[str]:
    """The stems of the files, a run's trials by formulation and seed; paths where two are alike."""
    stems = [trial_name(Path(file)) or Path(file).name.split(".")[0] for file in files]
    names = stems if len(set(stems)) == len(stems) else [str(Path(file)) for file in files]
    if len(set(names)) < len(names):
        raise InputError(OPTION, "different files", "one file twice", "Name each file once.")
    return names


def _check_count(first: PredictionFile, other: PredictionFile, names: tuple[str, str]) -> None:
    counts = len(first.target), len(other.target)
    if counts[0] != counts[1]:
        raise InputError(
            OPTION,
            "files of the same rows",
            f"{counts[0]:,} rows in {names[0]} and {counts[1]:,} in {names[1]}",
            "Write the predictions of the same rows.",
        )


def _in_order_of(
    first: PredictionFile, other: PredictionFile, names: tuple[str, str]
) -> PredictionFile:
    """The other file in the order of the first one's row names; as it is where it has none."""
    ours, theirs = first.identity, other.identity
    if ours is None or theirs is None or np.array_equal(ours, theirs):
        return other
    for name, ids in zip(names, (ours, theirs), strict=True):
        values, counts = np.unique(ids, return_counts=True)
        if (counts > 1).any():
            raise InputError(
                "compare: --id",
                "a column that names each row once, where files have the rows in another order",
                f"{quoted(str(values[np.argmax(counts > 1)]))} in several rows of {name}",
                "Name such a column, or write the rows in the same order.",
            )
    order, place = np.argsort(theirs), np.argsort(np.argsort(ours))
    if not np.array_equal(np.sort(ours), theirs[order]):
        lacking = sorted({*ours.tolist()} - {*theirs.tolist()})
        raise InputError(
            "compare: --id",
            "a column with the same values in all files",
            f"{listed(lacking)} in {names[0]} and not in {names[1]}",
            "Write the predictions of the same rows.",
        )
    rows = order[place]
    return replace(
        other,
        target=other.target[rows],
        values=other.values[rows],
        identity=theirs[rows],
        groups=None if other.groups is None else other.groups[rows],
        weight=None if other.weight is None else other.weight[rows],
    )


def _check_target(first: PredictionFile, other: PredictionFile, names: tuple[str, str]) -> None:
    differ = first.target != other.target
    if not differ.any():
        return
    row = int(np.argmax(differ))
    where, repair = f"row {row}, counted from 0", (
        "Write the rows in the same order, or name a column of row names with --id: rows are "
        "matched by it then."
    )  # fmt: skip
    if first.identity is not None and other.identity is not None:
        where = f"the row called {quoted(str(first.identity[row]))}"
        repair = "Correct the target, or the names of the rows."
    ours, theirs = quoted(str(first.target[row])), quoted(str(other.target[row]))
    raise InputError(
        OPTION,
        "files whose target agrees, row by row",
        f"{ours} in {names[0]} and {theirs} in {names[1]} ({where})",
        repair,
    )


def _read(file: str, kind: str, columns: PredictionColumns) -> PredictionFile:
    if file.endswith(".npz"):
        return _read_archive(Path(file), kind, columns)
    table = read_table(file, OPTION)
    columns = replace(columns, drop=separated(columns.drop, table.columns))
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
    if len(ordered) == 1:
        _check_single(ordered[0], classes, table.name, said=columns.positive is not None)
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
    present = sorted(np.unique(labels).tolist(), key=_as_number_or_text)
    classes = separated(columns.classes, present) or tuple(present)
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
            "Rename the columns, leave others out with --drop, name rows with --id, or give "
            "--classes.",
        )
    return [fitting[0] + name for name in classes]


def _check_single(name: str, classes: tuple[str, ...], file: str, *, said: bool) -> None:
    """Refuse a single column that is named after the first class: it would be read as the last's.

    Args:
        name: of the column, such as p_cat.
        classes: both, that which the column is about last.
        file: for the message.
        said: whether --positive said which; then an end such as the 0 of p0 may mean anything.
    """
    named = [label for label in classes if _ends_with(name, label, loosely=not said)]
    if named and max(named, key=len) == classes[0]:
        raise InputError(
            OPTION,
            f"files whose single column is about the class {quoted(classes[1])}, "
            + ("as --positive says" if said else "the last"),
            f"{file} with the column {quoted(name)}, named after {quoted(classes[0])}",
            "Name the class that it is about with --positive, give both columns, or rename it.",
        )


def _ends_with(name: str, label: str, *, loosely: bool) -> bool:
    """Whether a column's name is a class, or ends with it after a sign such as _.

    >>> [_ends_with(name, "0", loosely=True) for name in ("0", "p_0", "p0", "p10")]
    [True, True, True, False]
    """
    if name == label:
        return True
    if not label or not name.endswith(label):
        return False
    before = name[-len(label) - 1]
    return not before.isalnum() or (loosely and before.isdigit() != label[0].isdigit())


def _read_archive(path: Path, kind: str, columns: PredictionColumns) -> PredictionFile:
    arrays = _arrays(path)
    columns = replace(columns, drop=separated(columns.drop, arrays))
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
        separated(columns.classes, labels) or numbered,
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
