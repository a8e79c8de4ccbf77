"""An explanation on the terminal: reads at 80 columns, with and without colour."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from xent._text import printable
from xent.walkthrough._explanation import Explanation, Step
from xent.walkthrough._tables import Grid, grid

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDTH = 80
INDENT = 3


def plain_text(explanation: Explanation) -> str:
    """The same without colour, 80 columns wide."""
    from rich.console import Console

    file = io.StringIO()
    show(explanation, Console(file=file, width=WIDTH, highlight=False, color_system=None))
    lines = (line.rstrip() for line in file.getvalue().splitlines())
    return "\n".join(lines) + "\n"


def show(explanation: Explanation, console: Console | None = None) -> None:
    """Print every step."""
    from rich.console import Console
    from rich.text import Text

    console = console or Console(highlight=False)
    console.print(Text(explanation.loss, style="bold"))
    console.print(Text(headline(explanation), style="bold"))
    console.print(Text(explanation.summary))
    console.print(Text(printable(explanation.given), style="dim"))
    for number, step in enumerate(explanation.steps, 1):
        _show_step(number, step, console)


def headline(explanation: Explanation) -> str:
    """The result in a few words."""
    count = len(explanation.rows)
    losses = f"{count:,} loss{'es' if count != 1 else ''}"
    if explanation.value is None:
        return losses
    return f"{explanation.options['reduction']} of {losses}: {explanation.value:.6g} nats"


def formula_lines(formula: str) -> list[str]:
    """A formula, broken where it has two spaces.

    >>> formula_lines("a = b,  c = d")
    ['a = b,', 'c = d']
    """
    return re.split(r"(?<=[,;])  ", formula) if formula else []


def _show_step(number: int, step: Step, console: Console) -> None:
    from rich.padding import Padding
    from rich.text import Text

    console.print()
    head = Text(f"{number}. ", style="dim")
    head.append(step.title, style="bold")
    console.print(head)
    parts: list[Text | Table] = [Text(line, style="cyan") for line in formula_lines(step.formula)]
    parts.append(Text(step.sentence))
    for part in parts:
        console.print(Padding(part, (0, 0, 0, INDENT), expand=False))
    for table in step.tables:
        shown = grid(table)
        console.print(Padding(_as_rich(shown), (0, 0, 0, INDENT), expand=False))
        for note in shown.notes:
            console.print(Padding(Text(note, style="dim"), (0, 0, 0, INDENT), expand=False))


def _as_rich(shown: Grid) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for place, heading in enumerate(shown.header):
        table.add_column(Text(heading), justify="left" if place == 0 else "right", no_wrap=True)
    for line in shown.lines:
        table.add_row(*(_cell(cell) for cell in line))
    return table


def _cell(cell: str) -> Text:
    from rich.text import Text

    style = "bold" if cell.endswith("*") else "red" if cell.strip() in _WARNED else ""
    return Text(cell, style=style)


_WARNED = ("inf", "-inf", "nan", "no")

if TYPE_CHECKING:
    from rich.text import Text
