"""Reading a file: its text, its statements, and the places in it."""

from __future__ import annotations

import ast
import bisect
import io
import re
import tokenize
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from xent.wiring._files._notebook import Cell, cells_of
from xent.wiring._places import Place

LARGEST_FILE = 8 * 1024 * 1024

# What a rule can end in; a file that mentions nothing of it has nothing to report.
_ENDS = (
    b"ross_entropy", b"rossEntropy", b"nll_loss", b"NLLLoss", b"BCE", b"kl_div", b"KLDiv",
    b"focal_loss", b"FocalLoss", b"SoftMarginLoss", b"log_loss", b"brier_score",
    b"roc_auc_score", b"average_precision_score", b"calibration_curve", b"predict_proba",
    b"NeuralNetBinaryClassifier", b"noqa: XE", b"xent: ignore",
    b"riterion", b"RITERION", b"loss_fn", b"loss_func",  # made in a file that is imported
)  # fmt: skip
# What ends in something only beside something else.
_PAIRS = (
    (b"igmoid", (b".log(", b".eval()", b"no_grad", b"predict")),
    (b"exp(", (b".log(",)),
    (b".backward(", (b"loss", b"Loss", b"objective")),  # made in a file that is imported
)
# What trains with a model and a loss that come from other files; those import torch.
_TRAINS = (b"riterion", b"loss_fn", b"loss_func", b".backward(")
_LAYERS = (b"Linear(", b"Sequential(")
_MAX = re.compile(rb"(?<!oft)max\(")
# One softmax by itself can only lack its axis; beside these it can be the start or end of a wire.
_BESIDE_SOFTMAX = (
    b"log(", b"exp(", b".eval()", b"no_grad", b"infer", b"predict", b"topk", b"round(",
)  # fmt: skip
_WITH_AXIS = re.compile(
    rb"oftmax\((?:[^()\n]|\((?:[^()\n]|\([^()\n]*\))*\))*?(?:dim ?= ?|, *|(?<=\())(?:-1|[1-9])[,)]"
)
_SOFTMAX_AS_VALUE = re.compile(rb"[.=(\[] ?\w{0,12}oftmax\s{0,9}(?:[,)\]}\n]|$)|oftmax\s{1,9}as\b")


class UnreadableError(Exception):
    """A file that can't be checked; the text says why."""


@dataclass(eq=False)
class Source:
    """A file that is read.

    Args:
        path: as it is named in reports.
        text: what is in it; of a notebook, its code cells one after the other.
        cells: of a notebook, where each code cell begins.
    """

    path: str
    text: str
    cells: tuple[Cell, ...] = ()
    body: list[ast.stmt] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def place(self, node: ast.AST) -> Place:
        """Where a node stands, in the words of a report."""
        line = getattr(node, "lineno", 1)
        end_line = getattr(node, "end_lineno", None) or line
        column = self._characters(line, getattr(node, "col_offset", 0))
        end_column = self._characters(end_line, getattr(node, "end_col_offset", None) or 0)
        cell, first = self.cell_of(line)
        return Place(self.path, cell, line - first, column + 1, end_line - first, end_column + 1)

    def cell_of(self, line: int) -> tuple[int | None, int]:
        """The number of the cell of a line, and the lines before that cell."""
        if not self.cells:
            return None, 0
        found = bisect.bisect_right([cell.first_line for cell in self.cells], line) - 1
        cell = self.cells[max(found, 0)]
        return cell.number, cell.first_line - 1

    @property
    def lines(self) -> list[str]:
        """The lines as Python counts them."""
        if not hasattr(self, "_lines"):
            self._lines = self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return self._lines

    def _characters(self, line: int, offset: int) -> int:
        """Characters before an offset in bytes, which is what the parser counts."""
        if not 1 <= line <= len(self.lines):
            return offset
        text = self.lines[line - 1]
        if text.isascii():
            return offset
        return len(text.encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "ignore"))

    def lines_before(self, place: Place) -> int:
        """The number of lines before the cell of a place."""
        if place.cell is None:
            return 0
        return next(cell.first_line - 1 for cell in self.cells if cell.number == place.cell)

    def line_of(self, place: Place, line: int) -> str:
        """A line by the number that a report gives it."""
        number = self.lines_before(place) + line - 1
        return self.lines[number] if 0 <= number < len(self.lines) else ""


def may_matter(data: bytes) -> bool:
    """Whether a file can have anything to report: a search of bytes, long before it is parsed.

    >>> may_matter(b"import torch"), may_matter(b"import torch; torch.softmax(x)")
    (False, True)
    >>> may_matter(b"import torch; weights = torch.softmax(q @ k, dim=-1)")
    False
    """
    if not (b"torch" in data or b"xent" in data or b"XE" in data):
        return any(word in data for word in _TRAINS)
    if any(end in data for end in _ENDS) or (b"oftmax" in data and _softmax_matters(data)):
        return True
    if any(layer in data for layer in _LAYERS) and _MAX.search(data):
        return True
    return any(
        first in data and any(second in data for second in seconds) for first, seconds in _PAIRS
    )


def _softmax_matters(data: bytes) -> bool:
    """Whether softmax can be at fault in a file without losses: mostly it is one of attention."""
    calls = data.count(b"oftmax(")
    if calls > 1 or any(word in data for word in _BESIDE_SOFTMAX):
        return True
    if _SOFTMAX_AS_VALUE.search(data) or _MAX.search(data):
        return True
    return calls == 1 and not _WITH_AXIS.search(data)


def read_bytes(path: Path) -> bytes:
    """What is in a file; raises UnreadableError."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UnreadableError(f"larger than {LARGEST_FILE // 2**20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise UnreadableError(error.strerror or type(error).__name__) from None


def parse(path: str, data: bytes, *, notebook: bool) -> Source:
    """The statements of a file; raises UnreadableError where there are none to be had."""
    if notebook:
        return _parse_notebook(path, data)
    text = _decode(data)
    source = Source(path, text)
    source.body = _statements(text)
    return source


def lines_of(path: str, data: bytes) -> Source:
    """A file for its lines alone; raises UnreadableError."""
    if not path.endswith(".ipynb"):
        return Source(path, _decode(data))
    try:
        cells = cells_of(data)
    except ValueError as error:
        raise UnreadableError(f"not a notebook: {error}") from None
    return Source(path, "\n".join(cell.text for cell in cells), cells)


def _decode(data: bytes) -> str:
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise UnreadableError(f"not text of its encoding: {error}") from None


def _statements(text: str) -> list[ast.stmt]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of invalid escapes, which are not ours to report
            return ast.parse(text).body
    except SyntaxError as error:
        raise UnreadableError(f"does not parse: {error.msg} (line {error.lineno})") from None
    except ValueError as error:
        raise UnreadableError(f"does not parse: {error}") from None
    except (RecursionError, MemoryError):
        raise UnreadableError("nested too deeply to parse") from None


def _parse_notebook(path: str, data: bytes) -> Source:
    try:
        cells = cells_of(data)
    except ValueError as error:
        raise UnreadableError(f"not a notebook: {error}") from None
    source = Source(path, "\n".join(cell.text for cell in cells), cells)
    for cell in cells:
        try:
            body = _statements(cell.text)
        except UnreadableError as error:
            source.problems.append(f"cell {cell.number} {error}")
            continue
        for statement in body:
            ast.increment_lineno(statement, cell.first_line - 1)
        source.body += body
    return source
