"""Numbers as people hand them over: typed, in a file, in an array or in a tensor."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from xent._contracts import DTYPE_GROUPS
from xent._errors import InputError
from xent._text import printable

Array = NDArray[np.float64]

DTYPES = next(group for group, name in DTYPE_GROUPS.items() if name == "floating")
# What typed numbers are: a learner checks them with a calculator, not with a float32.
TYPED = "float64"
# Significant bits, and the exponent of the smallest normal number.
BITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
LOWEST_EXPONENT = {"float16": -14, "bfloat16": -126, "float32": -126, "float64": -1022}
WAYS = 'numbers such as "1 2; 3 4", or a .csv, .tsv, .npy, .npz or .json file'
_FILE = re.compile(r"(?P<path>.*\.(?P<kind>csv|tsv|npy|npz|json))(?::(?P<part>.*))?", re.DOTALL)


@dataclass(frozen=True, eq=False)
class Numbers:
    """An array with what is known of it.

    Args:
        values: of any shape, in float64.
        dtype: the name of the dtype that it came in, or ``"float64"`` for what was typed.
        whole: whether it came as whole numbers: an integer or bool dtype, or without a point.
        source: where it came from, for titles.
        typed: whether it came as text or as Python's own numbers, whose dtype nobody has chosen.
    """

    values: Array
    dtype: str
    whole: bool
    source: str
    typed: bool


def read_numbers(given: Any, name: str) -> Numbers:
    """Read numbers from text, a path, an array, a tensor or nested lists.

    Args:
        given: text with spaces or commas between numbers and semicolons or new lines between rows,
            or JSON; the path of a .csv, .tsv, .npy, .npz or .json file, with ``:name`` after it
            for columns or an entry; or anything that NumPy makes an array of.
        name: what messages call it.

    Raises:
        InputError: it can't be read, its rows differ in length, or it is no array of numbers.

    >>> read_numbers("1 2; 3 -4e-1", "logits").values.tolist()
    [[1.0, 2.0], [3.0, -0.4]]
    """
    if isinstance(given, Path):
        given = str(given)
    if isinstance(given, str):
        found = _FILE.fullmatch(given.strip())
        if found:
            return _from_file(found["path"], found["kind"], found["part"], name)
        return _from_text(given, name)
    return _from_array(given, name, "memory")


def to_dtype(values: Array, dtype: str) -> Array:
    """Round float64 numbers to a dtype, and hand them back as float64.

    >>> to_dtype(np.array([0.1]), "bfloat16").tolist()
    [0.10009765625]
    """
    if dtype == "float64":
        return values
    with np.errstate(over="ignore"):
        if dtype != "bfloat16":
            return values.astype(dtype).astype(np.float64)
        _, exponent = np.frexp(values)
        lowest = LOWEST_EXPONENT[dtype] + 1
        unit = np.ldexp(1.0, np.maximum(exponent, lowest) - BITS[dtype])
        rounded = np.where(np.isfinite(values), np.rint(values / unit) * unit, values)
        return np.where(np.abs(rounded) >= 2.0**128, np.copysign(np.inf, rounded), rounded)


def _refuse(name: str, required: str, found: str, repair: str) -> NoReturn:
    raise InputError(name, required, printable(found), repair) from None


def _from_text(text: str, name: str, source: str = "text") -> Numbers:
    if text.strip().startswith("["):
        try:
            return _from_array(json.loads(text), name, source, TYPED)
        except (json.JSONDecodeError, RecursionError) as error:
            _refuse(name, WAYS, f"{text[:60]!r} ({error})", "Close every bracket.")
    lines = re.split(r"[;\n]", text)
    rows = [re.split(r"[\s,]+", line.strip(" \t\r,")) for line in lines if line.strip(" \t\r,")]
    if not rows:
        _refuse(name, WAYS, repr(text), "Give one number or more.")
    values = [[_number(word, name, text) for word in row] for row in rows]
    whole = all(re.fullmatch(r"[+-]?\d+", word) for row in rows for word in row)
    _check_ragged([len(row) for row in rows], name)
    array = np.array(values if len(lines) > 1 else values[0], dtype=np.float64)
    return Numbers(array, TYPED, whole, source, typed=True)


def _number(word: str, name: str, text: str) -> float:
    try:
        return float(word.replace("_", "x"))
    except ValueError:
        shown = text if len(text) <= 60 else f"{text[:57]}..."
        found = repr(word) if word == text.strip() else f"{word!r} in {shown!r}"
        _refuse(name, WAYS, found, "Separate numbers by spaces and rows by semicolons.")


def _check_ragged(lengths: list[int], name: str) -> None:
    for row, length in enumerate(lengths):
        if length != lengths[0]:
            found = f"{lengths[0]} in row 0 and {length} in row {row}"
            _refuse(name, "rows of equal length", found, "Give every row one number per class.")


def _from_array(given: Any, name: str, source: str, dtype: str | None = None) -> Numbers:
    """From a tensor of PyTorch, which need not be imported for it, or what NumPy understands."""
    if hasattr(given, "detach"):
        _check_holds_numbers(given, name)
        kind = str(given.dtype).removeprefix("torch.")
        array = given.detach().cpu().double().numpy() if kind in DTYPES else None
        if array is not None:
            return Numbers(np.asarray(array), kind, False, f"a tensor of {kind}", typed=False)
        given, source = given.detach().cpu().numpy(), f"a tensor of {kind}"
    try:
        array = np.asarray(given)
    except (ValueError, OverflowError, RecursionError):
        array = np.empty(0, dtype=object)
    if array.dtype == object and isinstance(given, list | tuple):
        _check_ragged([len(row) if isinstance(row, list | tuple) else 1 for row in given], name)
    if array.dtype.kind not in "biuf":
        _refuse(name, "real numbers", f"{array.dtype} from {source}", f"Give {WAYS}.")
    listed = isinstance(given, list | tuple | int | float)
    if array.dtype.kind in "biu" and isinstance(given, np.ndarray) and "tensor" not in source:
        source = f"{array.dtype} from {source}"
    known = array.dtype.name if array.dtype.name in DTYPES and not listed else TYPED
    whole = array.dtype.kind in "biu"
    typed = listed or dtype is not None
    return Numbers(array.astype(np.float64), dtype or known, whole, source, typed=typed)


def _check_holds_numbers(tensor: Any, name: str) -> None:
    """A tensor whose numbers lie one after the other, somewhere."""
    if getattr(tensor, "is_meta", False):
        found = f"one of shape {tuple(tensor.shape)} on the device meta"
        _refuse(name, "a tensor that holds numbers", found, "Give a tensor on another device.")
    if "strided" not in str(getattr(tensor, "layout", "strided")):
        found = f"one of layout {tensor.layout}"
        _refuse(name, "a dense tensor", found, f"Use {name.replace('-', '_')}.to_dense().")
    if getattr(tensor, "is_quantized", False):
        _refuse(name, "a tensor of numbers", f"one of {tensor.dtype}", "Use dequantize() on it.")


def _from_file(path: str, kind: str, part: str | None, name: str) -> Numbers:
    try:
        return _read_file(path, kind, part, name)
    except InputError:
        raise
    except OSError as error:
        _refuse(name, WAYS, f"{path!r} ({error.strerror or error})", "Check the path.")
    except MemoryError:
        found = f"{path!r}, which is or says that it is larger"
        _refuse(name, f"a .{kind} file that fits in memory", found, "Give a part of it.")
    except Exception as error:  # of NumPy, zip archives, JSON and text that is not UTF-8
        reason = " ".join(str(error).split()) or type(error).__name__
        if "allow_pickle" in reason:
            reason = "it holds Python objects, which are never loaded"
        _refuse(name, f"a .{kind} file of numbers", f"{path!r} ({reason})", "Save it again.")


def _read_file(path: str, kind: str, part: str | None, name: str) -> Numbers:
    if kind in ("csv", "tsv"):
        text = Path(path).read_text(encoding="utf-8-sig")
        return _from_table(text, "," if kind == "csv" else "\t", path, part, name)
    if kind == "json":
        return _from_json(json.loads(Path(path).read_text(encoding="utf-8")), path, part, name)
    with Path(path).open("rb") as file:  # NumPy leaves a file that it opens and can't read open
        loaded = np.load(file, allow_pickle=False)
        if not isinstance(loaded, np.ndarray):
            return _from_array(_entry(loaded, list(loaded), path, part, name), name, path)
    _check_no_part(part, path, name)
    return _from_array(loaded, name, path)


def _entry(entries: Any, names: list[str], path: str, part: str | None, name: str) -> Any:
    """One entry of several; the only one needs no name."""
    if part is None and len(names) == 1:
        return entries[names[0]]
    if part not in names:
        found = "no name" if part is None else repr(part)
        listed = ", ".join(names)
        _refuse(name, f"an entry of {path}", found, f"Give {path}:NAME with one of {listed}.")
    return entries[part]


def _check_no_part(part: str | None, path: str, name: str) -> None:
    if part is not None:
        _refuse(name, f"the path of a file with one array, {path}", f"{path}:{part}", "Leave :"
                f"{part} out.")  # fmt: skip


def _from_json(document: Any, path: str, part: str | None, name: str) -> Numbers:
    if isinstance(document, dict):
        document = _entry(document, list(document), path, part, name)
    else:
        _check_no_part(part, path, name)
    return _from_array(document, name, path, TYPED)


def _from_table(text: str, separator: str, path: str, part: str | None, name: str) -> Numbers:
    """A table of numbers, with or without a line of names."""
    import csv

    rows = [row for row in csv.reader(text.splitlines(), delimiter=separator) if any(row)]
    if not rows:
        _refuse(name, "a table of numbers", f"{path!r}, which is empty", "Check the file.")
    header = None if all(_is_number(cell) for cell in rows[0]) else rows.pop(0)
    if not rows:
        found = f"a line of names and nothing below it in {path!r}"
        _refuse(name, "a table of numbers", found, "Check the file.")
    if separator == "," and header and len(header) == 1 and ";" in header[0]:
        found = f"{path!r}, whose cells are separated by semicolons"
        _refuse(name, "a table with commas between its cells", found, "Save it with commas.")
    if header:
        _check_names(header, rows, name)
    _check_ragged([len(row) for row in rows], name)
    if part is not None:
        columns = _columns(header or [str(i) for i in range(len(rows[0]))], path, part, name)
        rows = [[row[column] for column in columns] for row in rows]
    for line, row in enumerate(rows):
        for cell in row:
            if not _is_number(cell):
                found = f"{cell!r} in row {line} of {path}"
                _refuse(name, "numbers", found, f"Name the columns to read: {path}:NAME,NAME.")
    cells = [[float(cell) for cell in row] for row in rows]
    array = np.array(cells, dtype=np.float64).reshape(len(rows), -1)
    whole = all(re.fullmatch(r"\s*[+-]?\d+\s*", cell) for row in rows for cell in row)
    array = array[:, 0] if array.shape[1] == 1 else array
    return Numbers(array, TYPED, whole, path, typed=True)


def _check_names(header: list[str], rows: list[list[str]], name: str) -> None:
    for row, cells in enumerate(rows):
        if len(cells) != len(header):
            found = f"{len(header)} names and {len(cells)} cells in row {row} below them"
            _refuse(name, "rows as long as the line of names", found, "Fill every cell.")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _columns(header: list[str], path: str, part: str, name: str) -> list[int]:
    positions = []
    for column in part.split(","):
        if column.strip() not in header:
            listed = ", ".join(header)
            _refuse(name, f"a column of {path}", repr(column), f"The columns are {listed}.")
        positions.append(header.index(column.strip()))
    return positions
