"""How formulations are told apart: colour, mark and dash, so that no difference is colour alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xent.report._content import Key
from xent.report._drawing import PLACEHOLDERS

COLOURS = 8
# matplotlib's marks, and the letters that look like them in a legend.
_MARKS = (("o", "●"), ("s", "■"), ("^", "▲"), ("D", "◆"), ("v", "▼"), ("P", "✚"), ("X", "✖"))
_DASHES: tuple[tuple[Any, str], ...] = (
    ("-", "solid"),
    ((0, (5, 2)), "dashed"),
    ((0, (1.2, 1.6)), "dotted"),
)


@dataclass(frozen=True)
class Style:
    """How matplotlib draws one series: colour, marker and linestyle."""

    colour: str
    marker: str
    line: Any


def style(i: int) -> Style:
    """The style of the i-th formulation."""
    line = _DASHES[i % len(_DASHES)][0]
    return Style(PLACEHOLDERS[f"series-{i % COLOURS + 1}"], _MARKS[i % len(_MARKS)][0], line)


def legend(names: list[str]) -> list[Key]:
    """The same styles for the page."""
    return [
        Key(
            name,
            f"var(--series-{i % COLOURS + 1})",
            _DASHES[i % len(_DASHES)][1],
            _MARKS[i % len(_MARKS)][1],
        )
        for i, name in enumerate(names)
    ]
