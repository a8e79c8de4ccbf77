"""What the page is made of: tables and figures, each with words for the reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True)
class Table:
    """Numbers as text.

    Args:
        headings: of the columns.
        rows: cells, one for each heading.
        names: how many of the first columns hold names; they are isolated and kept whole.
        note: what is left out, or how to read it.
        grouped: whether equal first cells below each other are shown as one.
        texts: how many of the last columns hold words; they are set as words, and may wrap.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    names: int = 1
    note: str = ""
    grouped: bool = False
    texts: int = 0

    @property
    def spans(self) -> list[int]:
        """How many rows the first cell of each row stands for; 0 where one above does.

        >>> Table(("a", "b"), [("x", "1"), ("x", "2"), ("y", "3")], grouped=True).spans
        [2, 0, 1]
        """
        spans = [1] * len(self.rows)
        for i in range(len(self.rows) - 1, 0, -1) if self.grouped else ():
            if self.rows[i][0] == self.rows[i - 1][0]:
                spans[i - 1] += spans[i]
                spans[i] = 0
        return spans


@dataclass(frozen=True)
class Key:
    """One entry of a legend: a line and a mark in the colour of a series."""

    name: str
    colour: str
    dash: str
    mark: str


@dataclass(frozen=True)
class Figure:
    """Drawings with the words and the numbers behind them.

    Args:
        key: short and unique; the anchor of the figure.
        title: its heading.
        drawings: SVG elements; none where there is nothing to draw.
        reading: sentences that say what is shown and how to read it; without drawings, why.
        table: the numbers that are drawn.
        legend: what the colours mean.
        panels: ``narrow`` or ``broad`` for drawings that stand side by side, else empty.
    """

    key: str
    title: str
    drawings: Sequence[Markup] = ()
    reading: Sequence[str] = ()
    table: Table | None = None
    legend: Sequence[Key] = ()
    panels: str = ""
