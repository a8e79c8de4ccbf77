"""An explanation as Markdown, with formulas as code hosts and notebooks set them."""

from __future__ import annotations

import re

from xent._text import printable
from xent.walkthrough._explanation import Explanation, Step
from xent.walkthrough._render_terminal import headline
from xent.walkthrough._tables import Grid, grid

MOST_COLUMNS = 10


def markdown(explanation: Explanation) -> str:
    """Headings, formulas, sentences and tables."""
    lines = [
        f"# {escaped(explanation.loss)}",
        "",
        f"**{escaped(headline(explanation))}**. {escaped(explanation.summary)}",
        "",
        escaped(printable(explanation.given)),
    ]
    for number, step in enumerate(explanation.steps, 1):
        lines += ["", *_step(number, step)]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    r"""Text in which nothing is markup.

    >>> print(escaped("-log(|z|) * <b> w_y"))
    -log(\|z\|) \* \<b\> w\_y
    """
    return re.sub(r"([\\`*_{}\[\]<>|#$~])", r"\\\1", text)


def _step(number: int, step: Step) -> list[str]:
    lines = [f"## {number}. {escaped(step.title)}", ""]
    if step.latex:
        lines += ["```math", step.latex, "```", ""]
    lines.append(_with_code(step.sentence))
    for table in step.tables:
        lines += ["", *_table(grid(table, MOST_COLUMNS))]
    return lines


def _with_code(sentence: str) -> str:
    """Between backticks stands what is to be typed."""
    parts = sentence.split("`")
    return "".join(f"`{part}`" if place % 2 else escaped(part) for place, part in enumerate(parts))


def _table(shown: Grid) -> list[str]:
    lines = [_line(shown.header), "|:--" + "|--:" * (len(shown.header) - 1) + "|"]
    lines += [_line(tuple(cell.strip() for cell in line)) for line in shown.lines]
    for note in shown.notes:
        lines += ["", f"*{escaped(note)}*"]
    return lines


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"
