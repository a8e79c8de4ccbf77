"""Edits of the cells of a notebook: nothing of the file changes but the lines of code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from xent.wiring._finding import Edit

_TOKEN = re.compile(r'\s*(?:(?P<string>"[^"\\]*(?:\\.[^"\\]*)*")|(?P<mark>[{}\[\],:])|'
                    r'(?P<plain>[^\s{}\[\],:"]+))', re.DOTALL)  # fmt: skip
Replace = Callable[[str, Sequence[Edit]], str]


@dataclass
class _Span:
    """A value of a JSON text: where it stands, and the values in it."""

    start: int
    end: int = 0
    items: list[_Span] = field(default_factory=list)
    named: dict[str, _Span] = field(default_factory=dict)


def edit_cells(data: bytes, edits: Sequence[Edit], replace: Replace) -> bytes:
    """The bytes of a notebook after edits of its cells; raises ValueError where they don't fit.

    Args:
        data: the JSON.
        edits: the changes; lines count from 1 in each cell.
        replace: applies edits to the text of a cell.
    """
    encoding = json.detect_encoding(data)
    text = data.decode(encoding)
    sources = _sources(_spans(text))
    by_cell: dict[int, list[Edit]] = {}
    for edit in edits:
        by_cell.setdefault(edit.place.cell or 0, []).append(edit)
    for number in sorted(by_cell, reverse=True):
        span = sources.get(number)
        if span is None:
            raise ValueError(f"no cell {number}")
        text = text[: span.start] + _source(text, span, by_cell[number], replace) + text[span.end :]
    changed = text.encode(encoding)
    json.loads(changed)
    return changed


def cell_sources(data: bytes) -> dict[int, str]:
    """The code of every cell by its number, with its line ends as they are."""
    text = data.decode(json.detect_encoding(data))
    found: dict[int, str] = {}
    for number, span in _sources(_spans(text)).items():
        value = json.loads(text[span.start : span.end])
        parts = value if isinstance(value, list) else [value]
        found[number] = "".join(part for part in parts if isinstance(part, str))
    return found


def _sources(root: _Span) -> dict[int, _Span]:
    """The value of ``source`` of every cell, by the number of the cell."""
    cells = root.named.get("cells")
    found = [] if cells is None else list(cells.items)
    if cells is None and "worksheets" in root.named:  # format 3
        for sheet in root.named["worksheets"].items:
            found += sheet.named["cells"].items if "cells" in sheet.named else []
    sources: dict[int, _Span] = {}
    for number, cell in enumerate(found, start=1):
        source = cell.named.get("source", cell.named.get("input"))
        if source is not None:
            sources[number] = source
    return sources


def _source(text: str, span: _Span, edits: Sequence[Edit], replace: Replace) -> str:
    written = text[span.start : span.end]
    value = json.loads(written)
    if isinstance(value, str):
        return _string(replace(value, edits), text)
    if not isinstance(value, list) or not value or not all(isinstance(x, str) for x in value):
        raise ValueError("a cell whose source is no text")
    literals = {
        part: text[item.start : item.end] for part, item in zip(value, span.items, strict=True)
    }
    lines = re.findall(r"[^\n]*\n|[^\n]+$", replace("".join(value), edits))
    first, last = span.items[0], span.items[-1]
    opening, closing = text[span.start : first.start], text[last.end : span.end]
    second = span.items[1].start if len(span.items) > 1 else 0
    between = text[first.end : second] if second else f",{opening[1:]}"
    return opening + between.join(literals.get(x, _string(x, text)) for x in lines) + closing


def _string(value: str, text: str) -> str:
    """A string as the rest of the file is written: letters beyond ASCII as such, or escaped."""
    return json.dumps(value, ensure_ascii=text.isascii())


def _spans(text: str) -> _Span:
    """Where every value of a JSON text stands; the text is known to be JSON."""
    root = _Span(0)
    open_spans = [root]
    name: str | None = None
    expects_name = [False]
    position = 0
    while (token := _TOKEN.match(text, position)) is not None:
        position = token.end()
        mark = token["mark"]
        if mark in ("}", "]"):
            open_spans.pop().end = position
            expects_name.pop()
        elif mark == ",":
            expects_name[-1] = expects_name[-1] or bool(open_spans[-1].named)
        elif mark == ":":
            expects_name[-1] = False
        elif token["string"] and expects_name[-1]:
            name = json.loads(token["string"])
        else:
            start = token.start("mark" if mark else "string" if token["string"] else "plain")
            span = _Span(start, position)
            open_spans[-1].items.append(span)
            if name is not None:
                open_spans[-1].named[name] = span
                name = None
            if mark:
                open_spans.append(span)
                expects_name.append(mark == "{")
    return root.items[0] if root.items else root
