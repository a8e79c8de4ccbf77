"""Reads the samples of tests/wiring/cases: code with the expected findings in comments.

A page is named by its rule. Under "## Faulty" and "## Near misses" each heading of the third level
begins a sample. A block ``python NAME`` is the file NAME, blocks ``python cell`` are the cells of a
notebook, and code that imports nothing gets the usual imports of torch in front.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CASES = Path(__file__).parent / "cases"
IMPORTS = "import torch; import torch.nn as nn; import torch.nn.functional as F\n"
_BLOCK = re.compile(r"```python ?(?P<name>\S*)\n(?P<code>.*?)```", re.DOTALL)
_EXPECTED = re.compile(r"# expect: (?P<codes>[\w, ]+)$")


@dataclass(frozen=True)
class Sample:
    """A program with the findings that it must give."""

    code: str
    kind: str
    name: str
    files: tuple[tuple[str, str], ...]
    expected: tuple[tuple[str, int | None, int, str], ...]

    def write(self, folder: Path) -> None:
        """Lay the files down."""
        for name, text in self.files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")


def samples() -> list[Sample]:
    """Every sample of every page."""
    return [sample for page in sorted(CASES.glob("*.md")) for sample in _page(page)]


def _page(page: Path) -> list[Sample]:
    return [_sample(page.stem, kind, name, body) for kind, name, body in headings(page)]


def headings(page: Path) -> Iterator[tuple[str, str, str]]:
    """Kind, name and body of each sample of a page."""
    parts = re.split(r"^## (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    for kind, text in zip(parts[::2], parts[1::2], strict=True):
        headed = re.split(r"^### (.*)$", text, flags=re.MULTILINE)[1:]
        for name, body in zip(headed[::2], headed[1::2], strict=True):
            yield kind, name, body


def _sample(code: str, kind: str, name: str, body: str) -> Sample:
    files: list[tuple[str, str]] = []
    cells: list[dict[str, object]] = [{"cell_type": "markdown", "source": "# Title"}]
    expected: list[tuple[str, int | None, int, str]] = []
    for block in _BLOCK.finditer(body):
        text = block["code"]
        if block["name"] == "cell":
            cells.append({"cell_type": "code", "source": text.splitlines(keepends=True)})
            expected += _expected("book.ipynb", len(cells), text)
            continue
        file = block["name"] or "sample.py"
        if not re.search(r"^\s*(import|from) ", text, re.MULTILINE) and not block["name"]:
            text = IMPORTS + text
        files.append((file, text))
        expected += _expected(file, None, text)
    if len(cells) > 1:
        files.append(("book.ipynb", json.dumps({"cells": cells, "nbformat": 4})))
    assert files, f"{code}: {name} has no code"
    return Sample(code, kind, name, tuple(files), tuple(sorted(expected, key=str)))


def _expected(file: str, cell: int | None, text: str) -> list[tuple[str, int | None, int, str]]:
    return [
        (file, cell, number, code.strip())
        for number, line in enumerate(text.splitlines(), start=1)
        if (found := _EXPECTED.search(line))
        for code in found["codes"].split(",")
    ]
