"""The code cells of a notebook, as Python that can be parsed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

# What IPython adds to Python: %magic, !command, and help? at the end of a line.
_MAGIC = re.compile(r"^(\s*)(?:[%!].*|.*[^\s#?]\?{1,2}\s*)$")
_ASSIGNED_MAGIC = re.compile(r"^(\s*[\w, ]+=\s*)[%!].*$")
_CELL_MAGICS_OF_PYTHON = ("%%time", "%%capture", "%%timeit", "%%prun", "%%python", "%%memit")


@dataclass(frozen=True)
class Cell:
    """A code cell.

    Args:
        number: counted from 1 over all cells, those of text too.
        first_line: the line at which it begins, in all code cells one after the other.
        text: its code, with what is not Python left out.
    """

    number: int
    first_line: int
    text: str


def cells_of(data: bytes) -> tuple[Cell, ...]:
    """The code cells of a notebook in order; raises ValueError for what is no notebook.

    >>> notebook = b'{"cells": [{"cell_type": "markdown", "source": "x"}, ' \\
    ...            b'{"cell_type": "code", "source": ["%matplotlib inline\\\\n", "y = 1"]}]}'
    >>> cells_of(notebook)
    (Cell(number=2, first_line=1, text='pass\\ny = 1'),)
    """
    try:
        notebook = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON ({error})") from None
    found: list[Cell] = []
    line = 1
    for number, cell in enumerate(_raw_cells(notebook), start=1):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        text = _python(_text(cell.get("source", cell.get("input", ""))))
        found.append(Cell(number, line, text))
        line += text.count("\n") + 1
    return tuple(found)


def _raw_cells(notebook: object) -> list[object]:
    if not isinstance(notebook, dict):
        raise ValueError("no object")
    cells = notebook.get("cells")
    if cells is None and isinstance(notebook.get("worksheets"), list):  # format 3
        sheets = [sheet for sheet in notebook["worksheets"] if isinstance(sheet, dict)]
        lists = [sheet.get("cells", []) for sheet in sheets]
        if not all(isinstance(each, list) for each in lists):
            raise ValueError("no cells")
        cells = [cell for each in lists for cell in each]
    if not isinstance(cells, list):
        raise ValueError("no cells")
    return cells


def _text(source: object) -> str:
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    text = source if isinstance(source, str) else ""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", " ")


def _python(text: str) -> str:
    """The text with every line that is IPython's own replaced, so that lines keep their numbers."""
    lines = text.split("\n")
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("%%") and not first.startswith(_CELL_MAGICS_OF_PYTHON):
        return "\n".join("" for _ in lines)
    lines = [_ASSIGNED_MAGIC.sub(r"\1None", line) for line in lines]
    return "\n".join(_MAGIC.sub(r"\1pass", line) for line in lines)
