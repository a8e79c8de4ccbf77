"""An explanation: steps with formula, numbers and a sentence each, whatever they are shown in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from xent.walkthrough._tables import WORDS, Block, Table

if TYPE_CHECKING:
    from rich.console import Console

    from xent.walkthrough._loss_curve import LossCurve


@dataclass(frozen=True)
class Step:
    """One step of the calculation.

    Args:
        key: a short name that stays, for programs: ``"softmax"``.
        title: what is done.
        formula: in plain text.
        latex: the same for a typesetter.
        sentence: what it means, on these numbers.
        tables: the numbers.
    """

    key: str
    title: str
    formula: str
    latex: str
    sentence: str
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, eq=False)
class Explanation:
    """One loss on given numbers, step by step.

    Args:
        loss: the name of the loss in ``xent.functional``.
        summary: what it measures, in one sentence.
        given: what it was given, in one sentence.
        steps: the calculation, in order.
        value: the reduced loss in nats, rounded from the exact one; None where nothing is reduced.
        exact: the same to 25 digits, from arithmetic of 240 bits; empty where it wasn't computed.
        rows: the loss of each row or element, in the order of the input.
        curve: the curve of the loss with the samples on it.
        options: the options of the loss that were given.
    """

    loss: str
    summary: str
    given: str
    steps: tuple[Step, ...]
    value: float | None
    exact: str
    rows: tuple[float, ...]
    curve: LossCurve | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def step(self, key: str) -> Step:
        """The step of that key.

        Raises:
            KeyError: there is none.
        """
        for step in self.steps:
            if step.key == key:
                return step
        raise KeyError(f"{key!r}; the steps are {', '.join(step.key for step in self.steps)}")

    def show(self, console: Console | None = None) -> None:
        """Print it on a terminal; None is standard output."""
        from xent.walkthrough._render_terminal import show

        show(self, console)

    def to_text(self) -> str:
        """As plain text of 80 columns."""
        from xent.walkthrough._render_terminal import plain_text

        return plain_text(self)

    def to_markdown(self) -> str:
        """As Markdown, with formulas as mathematics."""
        from xent.walkthrough._render_markdown import markdown

        return markdown(self)

    def to_latex(self) -> str:
        """As a LaTeX document that stands by itself."""
        from xent.walkthrough._render_latex import latex

        return latex(self)

    def to_html(self) -> str:
        """As an HTML page that needs nothing from outside and holds no script."""
        from xent.walkthrough._render_html import page

        return page(self)

    def to_dict(self) -> dict[str, Any]:
        """As what JSON can hold: every number, and "inf", "-inf" and "nan" as words."""
        return {
            "loss": self.loss,
            "summary": self.summary,
            "given": self.given,
            "options": {name: plain(value) for name, value in self.options.items()},
            "value": plain(self.value),
            "exact": self.exact,
            "rows": plain(self.rows),
            "steps": [_step(step) for step in self.steps],
        }

    def to_json(self) -> str:
        """As JSON."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return f"<Explanation of {self.loss}: {len(self.rows)} losses, value {self.value}>"

    def _repr_html_(self) -> str:
        from xent.walkthrough._render_html import fragment

        return fragment(self)


def plain(value: Any) -> Any:
    """Arrays as lists, and what JSON has no number for as words."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _step(step: Step) -> dict[str, Any]:
    return {
        "key": step.key,
        "title": step.title,
        "formula": step.formula,
        "latex": step.latex,
        "sentence": step.sentence,
        "tables": [_table(table) for table in step.tables],
    }


def _table(table: Table) -> dict[str, Any]:
    columns = [column for block in table.blocks for column in _columns(block)]
    return {table.label: list(table.names), "columns": columns}


def _columns(block: Block) -> list[dict[str, Any]]:
    words = block.kind == WORDS
    return [
        {
            "heading": heading,
            "values": [str(each) for each in values] if words else plain(values),
        }
        for heading, values in zip(block.headings, block.values.T, strict=True)
    ]
