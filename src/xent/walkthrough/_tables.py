"""Tables of numbers: what is shown of them, and with how many digits.

A table holds every number that was computed. What a reader sees is a part: the first and last rows
and columns of a large one, with the digits that PyTorch would print, so that a notebook and this
read the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent.walkthrough._numbers import Array

# Rows and columns beyond these are left out in the middle.
FIRST_ROWS, LAST_ROWS = 8, 2
# As many columns of a block as 80 letters hold.
NARROW = 5
ELLIPSIS = "..."
NOTHING = "-"
MARK = "*"

REAL, GIVEN, WHOLE, DIGITS, WORDS = "real", "given", "whole", "digits", "words"


@dataclass(frozen=True, eq=False)
class Block:
    """Columns that share one format.

    Args:
        headings: one for each column.
        values: ``(rows, columns)``; of words where ``kind`` says so.
        kind: ``"real"`` numbers are printed as PyTorch prints a tensor of them, ``"given"`` ones
            more like they were given, ``"whole"`` ones without a point; ``"digits"`` gives each
            eight significant digits.
        marked: which cells carry the mark, or None.
        always: whether it is shown of rows that are left out, too.
    """

    headings: tuple[str, ...]
    values: NDArray[Any]
    kind: str = REAL
    marked: NDArray[np.bool_] | None = None
    always: bool = False


@dataclass(frozen=True, eq=False)
class Table:
    """Blocks side by side, one line for each row of the input.

    Args:
        label: what a line is: a sample, a row.
        names: the name of each line.
        blocks: what stands in it.
        mark: what the mark beside a number means; empty without marks.
        ignored: the lines of which nothing is computed, or None.
    """

    label: str
    names: Sequence[str]
    blocks: tuple[Block, ...]
    mark: str = ""
    ignored: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Grid:
    """What is shown of a table, as text.

    Args:
        header: of each column; the first is that of the names.
        lines: the cells of each line.
        notes: what the mark means, and what is left out.
    """

    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def column(
    heading: str, values: Any, kind: str = REAL, marked: Any = None, *, always: bool = False
) -> Block:
    """A block of one column."""
    array = np.asarray(values).reshape(-1, 1)
    marks = None if marked is None else np.reshape(marked, (-1, 1))
    return Block((heading,), array, kind, marks, always)


def shown_rows(rows: int) -> list[int]:
    """The positions of the rows that are shown.

    >>> shown_rows(3), shown_rows(1000)
    ([0, 1, 2], [0, 1, 2, 3, 4, 5, 6, 7, 998, 999])
    """
    if rows <= FIRST_ROWS + LAST_ROWS:
        return list(range(rows))
    return [*range(FIRST_ROWS), *range(rows - LAST_ROWS, rows)]


def _shown_columns(columns: int, most: int) -> list[int]:
    if columns <= most:
        return list(range(columns))
    # The dots take the place of a column, too.
    return [*range(most - 2), columns - 1]


def grid(table: Table, most_columns: int = NARROW) -> Grid:
    """What is shown of a table, with so many columns of a block at most.

    >>> grid(Table("row", ["0", "1"], (column("p", [0.5, 1e-7]),))).lines
    (('0', '5.0000e-01'), ('1', '1.0000e-07'))
    """
    rows = shown_rows(len(table.names))
    header: list[str] = [table.label]
    lines: list[list[str]] = [[table.names[row]] for row in rows]
    notes: list[str] = []
    for block in table.blocks:
        columns = _shown_columns(len(block.headings), most_columns)
        cells = _cells(block, rows, columns, table.ignored)
        gap = len(columns) - 1 if len(columns) < len(block.headings) else None
        for place, position in enumerate(columns):
            if place == gap:
                _leave_out(header, lines)
            header.append(block.headings[position])
            for line, texts in zip(lines, cells, strict=True):
                line.append(texts[place])
        if gap is not None:
            left_out = len(block.headings) - len(columns)
            notes.append(f"{left_out:,} of {len(block.headings):,} columns are left out here.")
    if table.mark and any(cell.endswith(MARK) for line in lines for cell in line):
        notes.insert(0, f"{MARK} {table.mark}")
    if len(rows) < len(table.names):
        lines.insert(FIRST_ROWS, [ELLIPSIS] * len(header))
        left_out = len(table.names) - len(rows)
        notes.append(f"{left_out:,} of {len(table.names):,} {table.label}s are left out here.")
    return Grid(tuple(header), tuple(map(tuple, lines)), tuple(dict.fromkeys(notes)))


def _leave_out(header: list[str], lines: list[list[str]]) -> None:
    header.append(ELLIPSIS)
    for line in lines:
        line.append(ELLIPSIS)


def _cells(
    block: Block, rows: list[int], columns: list[int], ignored: NDArray[np.bool_] | None
) -> list[list[str]]:
    """The cells at some rows and columns as text; a dash for what isn't computed."""
    if ignored is None or block.always:
        return _computed_cells(block, rows, columns)
    computed = iter(_computed_cells(block, [row for row in rows if not ignored[row]], columns))
    return [[NOTHING] * len(columns) if ignored[row] else next(computed) for row in rows]


def _computed_cells(block: Block, rows: list[int], columns: list[int]) -> list[list[str]]:
    """Marked ones carry the mark, the others are aligned with them."""
    part = block.values[np.ix_(rows, columns)]
    if block.kind == WORDS:
        return [[str(cell) for cell in line] for line in part]
    texts = formatted(part, block.kind)
    if block.marked is None:
        return texts
    marked = block.marked[np.ix_(rows, columns)]
    pad = " " if marked.any() else ""
    return [
        [text + (MARK if mark else pad) for text, mark in zip(line, marks, strict=True)]
        for line, marks in zip(texts, marked, strict=True)
    ]


def formatted(values: NDArray[Any], kind: str) -> list[list[str]]:
    """Numbers ``(rows, columns)`` as text, all in one format.

    >>> formatted(np.array([[0.25, 100.0]]), REAL), formatted(np.array([[0.25, 1000.0]]), REAL)
    ([['0.2500', '100.0000']], [['2.5000e-01', '1.0000e+03']])
    """
    flat = np.asarray(values, dtype=np.float64)
    if kind == DIGITS:
        return [[eight_digits(float(value)) for value in line] for line in flat]
    spec = _torchs(flat)
    if kind == WHOLE or (kind == GIVEN and _all_whole(flat)):
        spec = ".0f"
    elif kind == GIVEN and spec == ".4e":
        spec = ".6g"
    return [[format(float(value) + 0.0, spec) for value in line] for line in flat]


def _all_whole(values: Array) -> bool:
    finite = values[np.isfinite(values)]
    return bool(np.all(finite == np.rint(finite)) and np.all(np.abs(finite) < 1e8))


def _torchs(values: Array) -> str:
    """The format in which PyTorch prints a tensor of these numbers.

    Four decimals, unless a number is so small or so large beside the others that the exponent
    says more.
    """
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    if not sizes.size:
        return ".4f"
    least, most = float(sizes.min()), float(sizes.max())
    return ".4e" if most / least > 1000.0 or most > 1e8 or least < 1e-4 else ".4f"


def eight_digits(value: float) -> str:
    """A number to eight significant digits.

    >>> eight_digits(1000.0), eight_digits(-0.0010631926), eight_digits(math.inf)
    ('1000', '-0.0010631926', 'inf')
    """
    return f"{value + 0.0:.8g}" if math.isfinite(value) else str(value)
