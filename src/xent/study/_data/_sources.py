"""Sources: a CSV, Parquet or NumPy file, a data set inside scikit-learn, or data in memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._errors import InputError, MissingExtraError
from xent.study._data._columns import (
    CategoricalColumn,
    Column,
    NumericColumn,
    Table,
    column_of_array,
    column_of_series,
    counted,
    listed,
    one_line,
    quoted,
)

_SKLEARN = "sklearn:"
_CLASSIFICATION_SETS = ("breast_cancer", "digits", "iris", "wine")
_REGRESSION_SETS = ("diabetes", "linnerud")
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_EXTENSIONS = ".csv, .tsv (either also as .gz), .parquet and .npz"


def read_table(source: str, option: str = "compare: DATA") -> Table:
    """Read a table from a file or from scikit-learn.

    Args:
        source: the path of a ``.csv``, ``.tsv``, ``.csv.gz``, ``.tsv.gz``, ``.parquet`` or
            ``.npz`` file, or ``sklearn:NAME``.
        option: the argument that messages name.

    Returns:
        The table; numbers keep their dtype and text its exact wording.

    Raises:
        InputError: there is no such file or data set, or it can't be read as what it is called.
        MissingExtraError: Parquet without pyarrow.

    >>> read_table("sklearn:iris").rows
    150
    """
    if source.startswith(_SKLEARN):
        return _read_sklearn(source.removeprefix(_SKLEARN), option)
    path = Path(source)
    reader = _reader_of(path, option)
    if _is_directory(path):
        raise _directory(path, option)
    if not _exists(path):
        raise InputError(
            option,
            "an existing file, sklearn:NAME, synthetic:KEY=VALUE,... or bce-versus-ce",
            quoted(source, 80),
            "There is no such file: check the path.",
        )
    table = reader(path, option)
    if table.rows == 0 or not table.columns:
        raise InputError(option, "a table with rows", f"{path.name} without any", "Check the file.")
    return table


def table_of(data: Any, option: str = "compare: data") -> Table:
    """Take a table from memory: a pandas DataFrame, or a pair of features and target.

    Args:
        data: a DataFrame with the target among its columns, or ``(X, y)``: X a matrix or DataFrame
            ``(rows, features)``, y one class a row. The columns of a matrix are called x1, x2, ...
        option: the argument that messages name.

    Raises:
        InputError: it is neither, X and y don't fit each other, or there are no rows.

    >>> table_of((np.zeros((4, 2)), np.array([0, 1, 0, 1]))).features
    ('x1', 'x2')
    """
    if isinstance(data, tuple) and len(data) == 2:
        table = _table_of_pair(data[0], data[1], option)
    elif _is_frame(data):
        table = _table_of_frame(data, "DataFrame", option)
    else:
        raise InputError(
            option,
            "a file name, sklearn:NAME, synthetic:KEY=VALUE,..., a DataFrame or a pair (X, y)",
            type(data).__name__,
            "Give a DataFrame with target=, or (X, y).",
        )
    if table.rows == 0 or not table.columns:
        raise InputError(option, "a table with rows", f"{table.name} without any", "Add rows.")
    return table


def _is_frame(data: Any) -> bool:
    import pandas

    return isinstance(data, pandas.DataFrame)


def _table_of_pair(features: Any, target: Any, option: str) -> Table:
    import pandas

    try:
        frame = features if _is_frame(features) else pandas.DataFrame(np.asarray(features))
        labels = np.asarray(target)
        labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
        column = column_of_series(pandas.Series(labels).infer_objects())
    except Exception as error:  # NumPy and pandas refuse shapes and types in many ways
        raise _not_a_pair(option, f"{type(error).__name__}: {error}") from error
    if len(frame) != len(labels) or np.ndim(features) != 2:
        shapes = f"X of shape {np.shape(features)} and y of shape {np.shape(target)}"
        raise _not_a_pair(option, shapes)
    if frame is not features:
        frame.columns = _numbered(frame.shape[1]).tolist()
    table = _table_of_frame(frame, "(X, y)", option)
    name = "y"
    while name in table.columns:
        name += "'"
    columns = {**table.columns, name: column}
    return Table(table.name, table.rows, columns, features=tuple(table.columns), target=name)


def _not_a_pair(option: str, found: str) -> InputError:
    return InputError(
        option,
        "(X, y) with X of shape (rows, features) and y of shape (rows,)",
        one_line(found),
        "Give one row of X for each entry of y.",
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a name that is too long
        return False


def _is_directory(path: Path) -> bool:
    return _exists(path) and path.is_dir()


def _directory(path: Path, option: str) -> InputError:
    return InputError(option, "a file", f"the directory {quoted(str(path), 80)}", "Name a file.")


def _reader_of(path: Path, option: str) -> Callable[[Path, str], Table]:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
        readers = {}
    else:
        readers = {".parquet": _read_parquet, ".npz": _read_npz}
    reader = {**dict.fromkeys(_SEPARATORS, _read_delimited), **readers}.get("".join(suffixes[-1:]))
    if reader is not None:
        return reader
    if _is_directory(path):
        raise _directory(path, option)
    raise InputError(
        option,
        f"a file ending in {_EXTENSIONS}, or sklearn:NAME, synthetic:KEY=VALUE,... "
        "or bce-versus-ce",
        quoted(str(path), 80),
        "Convert the file, or give it the extension of its format.",
    )


def _unreadable(path: Path, option: str, form: str, reason: object) -> InputError:
    found = f"{path.name}, which can't be read: {one_line(str(reason))}"
    return InputError(option, form, found.rstrip("."), "Check the file and its extension.")


def _read_delimited(path: Path, option: str) -> Table:
    import pandas

    separator = _SEPARATORS[[s.lower() for s in path.suffixes if s.lower() != ".gz"][-1]]
    form = f"UTF-8 text with one header line and {_separator_name(separator)} between the fields"
    try:
        with warnings.catch_warnings():
            # With index_col=False pandas only warns when rows are longer than the header.
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            frame = pandas.read_csv(path, sep=separator, index_col=False, low_memory=False)
    except (OSError, EOFError, ValueError, pandas.errors.ParserWarning) as error:
        raise _unreadable(path, option, form, error) from error
    except Exception as error:
        if type(error).__module__ != "zlib":
            raise
        raise _unreadable(path, option, form, error) from error
    if _holds_control_characters(frame):
        raise _unreadable(path, option, form, "it holds binary data")
    _check_separator(frame, path, option, form)
    return _table_of_frame(frame, path.name, option)


def _separator_name(separator: str) -> str:
    return {",": "commas", "\t": "tabs", ";": "semicolons"}[separator]


def _holds_control_characters(frame: Any) -> bool:
    return any("\x00" in str(name) or "\ufffd" in str(name) for name in frame.columns)


def _check_separator(frame: Any, path: Path, option: str, form: str) -> None:
    """Refuse a file with another separator, which reads as a single column."""
    if frame.shape[1] > 1:
        return
    header = str(frame.columns[0])
    for separator in (",", "\t", ";"):
        if separator in header:
            raise InputError(
                option,
                form,
                f"{path.name} with the one column {quoted(header)}",
                f"It seems to have {_separator_name(separator)}: write it with commas, "
                "or with tabs as .tsv.",
            )


def _read_parquet(path: Path, option: str) -> Table:
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtraError("reading Parquet", "pyarrow", "data") from error
    import pandas

    try:
        frame = pandas.read_parquet(path, engine="pyarrow")
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise _unreadable(path, option, "a Parquet file", error) from error
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    return _table_of_frame(frame, path.name, option)


def _table_of_frame(frame: Any, name: str, option: str) -> Table:
    names = [str(column) for column in frame.columns]
    _check_distinct(names, name, option)
    columns = {
        column: column_of_series(frame.iloc[:, position]) for position, column in enumerate(names)
    }
    return Table(name, len(frame), columns)


def _check_distinct(names: list[str], table: str, option: str) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1}) if _repeats(names) else []
    if repeated:
        raise InputError(
            option,
            "a table whose columns have different names",
            f"{table} with {listed(repeated)} more than once",
            "Rename the columns.",
        )


def _repeats(names: list[str]) -> bool:
    return len(set(names)) < len(names)


def _read_npz(path: Path, option: str) -> Table:
    form = "a NumPy .npz archive of arrays that are not objects"
    try:
        # NumPy leaves a file it opened itself open when the archive is damaged.
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not hasattr(archive, "files"):
                raise ValueError("it is a single array, not an archive")
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen types for a damaged file
        raise _unreadable(path, option, form, error) from error
    if "X" in arrays:
        return _table_of_matrix(arrays, path.name, option)
    lengths = {name: array.shape for name, array in arrays.items()}
    if any(len(shape) != 1 for shape in lengths.values()) or len(set(lengths.values())) > 1:
        raise InputError(
            option,
            "an archive with a matrix X and a target y, or with 1-D arrays of equal length",
            f"{path.name} with {_shapes(arrays)}",
            "Save it with numpy.savez(path, X=X, y=y).",
        )
    columns = {name: column_of_array(array) for name, array in arrays.items()}
    return Table(path.name, next(iter(lengths.values()), (0,))[0], columns)


def _shapes(arrays: dict[str, NDArray[Any]]) -> str:
    shapes = [f"{quoted(name)} of shape {array.shape}" for name, array in arrays.items()]
    return ", ".join(shapes[:4]) if shapes else "no arrays"


def _table_of_matrix(arrays: dict[str, NDArray[Any]], name: str, option: str) -> Table:
    matrix = arrays.pop("X")
    if matrix.ndim != 2:
        raise InputError(
            option,
            "an archive whose X has the shape (rows, features)",
            f"{name} with X of shape {matrix.shape}",
            "Save X as a matrix.",
        )
    rows, width = matrix.shape
    names = [str(feature) for feature in arrays.pop("feature_names", _numbered(width)).ravel()]
    if len(names) != width:
        raise InputError(
            option,
            f"an archive with {counted(width, 'feature name')}, as many as X has columns",
            f"{name} with {len(names):,}",
            "Save feature_names with one name for each column of X.",
        )
    fitting = {key: array for key, array in arrays.items() if array.shape in ((rows,), (rows, 1))}
    _check_distinct([*names, *fitting], name, option)
    columns: dict[str, Column] = {
        feature: column_of_array(matrix[:, position]) for position, feature in enumerate(names)
    }
    columns.update({key: column_of_array(array.ravel()) for key, array in fitting.items()})
    ignored = [key for key in arrays if key not in fitting]
    return Table(
        name,
        rows,
        columns,
        features=tuple(names),
        target="y" if "y" in fitting else None,
        weight="weight" if "weight" in fitting else None,
        group="group" if "group" in fitting else None,
        notes=(f"arrays that don't have one value for each row, unused: {listed(ignored)}",)
        if ignored
        else (),
    )


def _numbered(width: int) -> NDArray[np.str_]:
    return np.array([f"x{position}" for position in range(1, width + 1)], dtype=np.str_)


def _read_sklearn(name: str, option: str) -> Table:
    if name not in _CLASSIFICATION_SETS:
        repair = (
            f"{quoted(name)} has a number as its target, not classes: take one of these."
            if name in _REGRESSION_SETS
            else "Take one of these."
        )
        raise InputError(
            option,
            f"sklearn:NAME with one of {', '.join(_CLASSIFICATION_SETS)}",
            quoted(_SKLEARN + name),
            repair,
        )
    import sklearn.datasets

    bunch = getattr(sklearn.datasets, f"load_{name}")()
    columns: dict[str, Column] = {
        str(feature): NumericColumn(bunch.data[:, position])
        for position, feature in enumerate(bunch.feature_names)
    }
    columns["target"] = _sklearn_target(bunch)
    return Table(_SKLEARN + name, bunch.data.shape[0], columns, target="target")


def _sklearn_target(bunch: Any) -> Column:
    names = np.asarray(bunch.target_names)
    if names.dtype.kind in "iu":
        return NumericColumn(names[bunch.target])
    column = column_of_array(names[bunch.target].astype(np.str_))
    assert isinstance(column, CategoricalColumn)
    return column
