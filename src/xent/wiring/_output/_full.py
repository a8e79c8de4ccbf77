"""Findings with the lines of code that they are about, both ends marked."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from pathlib import Path

from xent._text import printable
from xent.wiring._check import Report
from xent.wiring._finding import Finding
from xent.wiring._output._lines import where
from xent.wiring._places import Place
from xent.wiring._source import Source, UnreadableError, lines_of, read_bytes

_WIDEST = 120


def full(report: Report) -> str:
    """Every finding with its frame."""
    return "\n".join(_one(finding, report.texts) for finding in report.findings)


def _one(finding: Finding, texts: tuple[tuple[str, bytes], ...]) -> str:
    head = f"{finding.code} {finding.name} ({finding.level})"
    lines = [head, f"  {printable(finding.message)}"]
    if finding.fix is not None:
        unsafe = "" if finding.fix.safe else " (unsafe)"
        lines.append(f"  Fix: {printable(finding.fix.title)}{unsafe}")
    marks = [
        (finding.place, finding.label),
        *((item.place, item.words) for item in finding.related),
    ]
    known = dict(texts)
    # The frames in the order of the program: from the activation to the loss.
    order = [*marks[1:], marks[0]]
    for (path, cell), group in groupby(order, key=lambda mark: (mark[0].path, mark[0].cell)):
        lines += _frame(path, cell, list(group), known)
    return "\n".join(lines) + "\n"


def _frame(
    path: str, cell: int | None, marks: list[tuple[Place, str]], texts: dict[str, bytes]
) -> list[str]:
    source = _source(path, texts.get(path))
    width = max(len(str(place.line)) for place, _ in marks)
    lines = [f"{' ' * width}--> {where(marks[-1][0])}"]
    shown_line = 0
    for place, words in dict.fromkeys(sorted(marks)):
        text = "" if source is None else source.line_of(place, place.line)
        shown = printable(text.replace("\t", " "))[:_WIDEST]
        same_line = place.end_line == place.line
        end = place.end_column if same_line else len(text) + 1
        length = max(1, min(end, _WIDEST) - place.column)
        if place.line != shown_line:
            lines.append(f"{place.line:>{width}} | {shown}")
            shown_line = place.line
        lines.append(f"{' ' * width} | {' ' * (place.column - 1)}{'^' * length} {words}")
    return lines


def _source(path: str, text: bytes | None) -> Source | None:
    try:
        return _read(path) if text is None else lines_of(path, text)
    except UnreadableError:
        return None


@cache
def _read(path: str) -> Source:
    return lines_of(path, read_bytes(Path(path)))
