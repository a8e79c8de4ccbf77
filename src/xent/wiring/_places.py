"""Where something stands: a node of a file while it is read, a place once it is reported."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xent.wiring._files._source import Source


@dataclass(frozen=True, order=True)
class Place:
    """A range of a file, or of a cell of a notebook.

    Args:
        path: the file, as it was named.
        cell: the number of the cell, counted from 1 over all cells; None outside notebooks.
        line: counted from 1, inside the cell.
        column: counted from 1, in characters.
        end_line: the last line of the range.
        end_column: the first column after it.
    """

    path: str
    cell: int | None
    line: int
    column: int
    end_line: int
    end_column: int

    def words(self, seen_from: Place) -> str:
        """How a message at another place names this one.

        >>> here, there = Place("a.py", None, 9, 1, 9, 5), Place("b.py", None, 3, 1, 3, 5)
        >>> here.words(here), there.words(here)
        ('line 9', 'b.py:3')
        """
        if self.path != seen_from.path:
            cell = "" if self.cell is None else f"cell {self.cell}:"
            return f"{self.path}:{cell}{self.line}"
        if self.cell != seen_from.cell:
            return f"cell {self.cell} line {self.line}"
        return f"line {self.line}"


class Site:
    """A node of a file that is being read."""

    __slots__ = ("node", "source")

    def __init__(self, source: Source, node: ast.AST) -> None:
        self.source = source
        self.node = node

    @property
    def place(self) -> Place:
        """The place that a report names."""
        return self.source.place(self.node)

    @property
    def key(self) -> tuple[str, int, int]:
        """What tells two sites apart."""
        node = self.node
        return self.source.path, getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
