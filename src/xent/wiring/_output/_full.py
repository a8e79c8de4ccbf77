"""Findings with the lines of code that they are about, both ends marked."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from pathlib import Path

from xent._text import filled, printable
from xent.wiring._check import Report
from xent.wiring._files._source import Source, UnreadableError, lines_of, read_bytes
from xent.wiring._finding import ERROR, NOTE, WARNING, Finding
from xent.wiring._output._lines import where
from xent.wiring._places import Place

WIDTH = 100
_CUT = "..."
_COLORS = {ERROR: 31, WARNING: 33, NOTE: 36}


def full(report: Report, width: int = WIDTH, *, in_color: bool = False) -> str:
    """Every finding with its frame.

    Args:
        report: what was found.
        width: how many columns messages and lines of code may take.
        in_color: whether the names of findings and the marks are in the colour of their level.
    """
    return "\n".join(
        _one(finding, dict(report.texts), width, _COLORS[finding.level] if in_color else None)
        for finding in report.findings
    )


def _one(finding: Finding, texts: dict[str, bytes], width: int, color: int | None) -> str:
    head = f"{_painted(f'{finding.code} {finding.name}', color)} ({finding.level})"
    lines = [head, filled(printable(finding.message), width, indent="  ")]
    if finding.fix is not None:
        unsafe = "" if finding.fix.safe else " (unsafe)"
        lines.append(f"  Fix: {printable(finding.fix.title)}{unsafe}")
    marks = [
        (finding.place, finding.label),
        *((item.place, item.words) for item in finding.related),
    ]
    # The frames in the order of the program: from the activation to the loss.
    order = [*marks[1:], marks[0]]
    for (path, _), group in groupby(order, key=lambda mark: (mark[0].path, mark[0].cell)):
        lines += _frame(_source(path, texts.get(path)), list(group), width, color)
    return "\n".join(lines) + "\n"


def _painted(text: str, color: int | None) -> str:
    return text if color is None else f"\x1b[{color}m{text}\x1b[0m"


def _frame(
    source: Source | None, marks: list[tuple[Place, str]], width: int, color: int | None
) -> list[str]:
    margin = max(len(str(place.line)) for place, _ in marks)
    lines = [f"{' ' * margin}--> {where(marks[-1][0])}"]
    shown_line = ""
    for place, words in dict.fromkeys(sorted(marks)):
        text = "" if source is None else source.line_of(place, place.line)
        code, blanks, carets = _marked(text, place, max(width - margin - 3, 20))
        line = f"{place.line:>{margin}} | {code}"
        if line != shown_line:
            lines.append(line)
            shown_line = line
        lines.append(f"{' ' * margin} | {blanks}{_painted(f'{carets} {words}', color)}")
    return lines


def _marked(text: str, place: Place, room: int) -> tuple[str, str, str]:
    """A line with the blanks and marks below it; of a long one what is around the place."""
    start = place.column - 1
    end = place.end_column - 1 if place.end_line == place.line else len(text)
    before, marked, after = (
        printable(part.replace("\t", " ")) for part in (text[:start], text[start:end], text[end:])
    )
    code, at, length = before + marked + after, len(before), max(1, len(marked))
    cut = at - room // 4
    if cut > 0 and len(code) > room and at + length > room - len(_CUT):
        code, at = _CUT + code[cut + len(_CUT) :], at - cut
    if len(code) > room:
        code = code[: room - len(_CUT)] + _CUT
    return code, " " * at, "^" * max(1, min(length, room - at))


def _source(path: str, text: bytes | None) -> Source | None:
    try:
        return _read(path) if text is None else lines_of(path, text)
    except UnreadableError:
        return None


@cache
def _read(path: str) -> Source:
    return lines_of(path, read_bytes(Path(path)))
