"""What fixes change: for people to look at, and as a patch to apply."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import PurePath

from xent._text import printable
from xent.wiring._fixes._edited import Change
from xent.wiring._fixes._edits import decoded, lines_of
from xent.wiring._fixes._edits_notebook import cell_sources


def diff(changes: Iterable[Change]) -> str:
    """The changes of files, and of notebooks cell by cell, as ``diff -u`` shows them."""
    return "".join(line for change in changes for line in _of_file(change))


def _of_file(change: Change) -> list[str]:
    if not change.path.endswith(".ipynb"):
        return _unified(change.path, decoded(change.before)[0], decoded(change.after)[0])
    before, after = cell_sources(change.before), cell_sources(change.after)
    return [
        line
        for number, text in before.items()
        for line in _unified(f"{change.path}:cell {number}", text, after[number])
    ]


def _unified(name: str, before: str, after: str) -> list[str]:
    shown = printable(name)
    lines = difflib.unified_diff(lines_of(before), lines_of(after), shown, shown)
    return [_shown(line) for line in lines]


def _shown(line: str) -> str:
    text = line.rstrip("\r\n")
    escaped = "\t".join(printable(part) for part in text.split("\t"))
    return f"{escaped}\n" if line != text else f"{escaped}\n\\ No newline at end of file\n"


def patch(changes: Iterable[Change]) -> bytes:
    """The changes to the last byte, of notebooks those of their JSON, for ``patch -p0``."""
    return b"".join(line for change in changes for line in _raw(change))


def _raw(change: Change) -> list[bytes]:
    name = os.fsencode(PurePath(change.path).as_posix())
    if b" " in name:
        name += b"\t"  # without it the name would end at the first blank
    lines = difflib.diff_bytes(
        difflib.unified_diff, _fed(change.before), _fed(change.after), name, name
    )
    end = b"\n\\ No newline at end of file\n"
    return [line if line.endswith(b"\n") else line + end for line in lines]


def _fed(data: bytes) -> list[bytes]:
    """Lines as patches count them: only a line feed ends one."""
    return [line for line in re.split(rb"(?<=\n)", data) if line]
