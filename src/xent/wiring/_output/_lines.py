"""One line for each finding."""

from __future__ import annotations

from xent._text import printable
from xent.wiring._check import Report
from xent.wiring._finding import Finding
from xent.wiring._places import Place


def where(place: Place) -> str:
    """A place as editors and people write it.

    >>> where(Place("a.ipynb", 5, 14, 5, 14, 9))
    'a.ipynb:cell 5:14:5'
    """
    cell = "" if place.cell is None else f"cell {place.cell}:"
    return f"{printable(place.path)}:{cell}{place.line}:{place.column}"


def line(finding: Finding) -> str:
    """A finding on one line."""
    message = printable(finding.message)
    return f"{where(finding.place)}: {finding.code} [{finding.level}] {message}"


def concise(report: Report) -> str:
    """``path:line:column: XE101 [error] message``."""
    return "".join(f"{line(finding)}\n" for finding in report.findings)


_GITHUB = {"error": "error", "warning": "warning", "note": "notice"}


def github(report: Report) -> str:
    """Commands of GitHub Actions, which annotate the lines of a change."""
    lines = []
    for finding in report.findings:
        place = finding.place
        message = finding.message
        at = f"file={_property(place.path)}"
        if place.cell is None:
            at += (
                f",line={place.line},col={place.column},endLine={place.end_line},"
                f"endColumn={place.end_column}"
            )
        else:
            message = f"cell {place.cell}:{place.line}:{place.column}: {message}"
        title = _property(f"{finding.code} {finding.name}")
        lines.append(f"::{_GITHUB[finding.level]} {at},title={title}::{_data(message)}\n")
    return "".join(lines)


def _data(text: str) -> str:
    text = "".join(letter if letter in "\r\n" else printable(letter) for letter in text)
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
