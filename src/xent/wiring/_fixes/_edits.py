"""Edits applied to the bytes of a file, which stay what they are everywhere else."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Sequence

from xent.wiring._files._source import UnreadableError, parse
from xent.wiring._finding import Edit
from xent.wiring._fixes._edits_notebook import edit_cells

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")
_END = re.compile(r"[\r\n]+$")


class EditError(Exception):
    """An edit that can't be applied; the text says why."""


def apply_edits(path: str, data: bytes, edits: Iterable[Edit]) -> bytes:
    """What is in a file after edits.

    Args:
        path: the file; the suffix .ipynb makes it a notebook.
        data: what is in it.
        edits: changes that don't overlap.

    Raises:
        EditError: the edits don't fit, or what they give does not parse.
    """
    wanted = list(dict.fromkeys(edits))
    try:
        if path.endswith(".ipynb"):
            changed = edit_cells(data, wanted, replaced)
        else:
            changed = _edit_text(data, wanted)
        after = parse(path, changed, notebook=path.endswith(".ipynb"))
        before = parse(path, data, notebook=path.endswith(".ipynb"))
    except (UnreadableError, ValueError) as error:
        raise EditError(str(error)) from None
    if len(after.problems) > len(before.problems):
        raise EditError(after.problems[-1])
    return changed


def _edit_text(data: bytes, edits: Sequence[Edit]) -> bytes:
    text, encoding = decoded(data)
    return replaced(text, edits).encode(encoding)


def decoded(data: bytes) -> tuple[str, str]:
    """The text of a file with its line ends as they are, and its encoding; raises ValueError."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
        same = text.encode(encoding) == data
    except (SyntaxError, UnicodeError, LookupError) as error:
        raise ValueError(f"not text of its encoding: {error}") from None
    if not same:
        raise ValueError(f"{encoding} does not give the same bytes back")
    return text, encoding


def lines_of(text: str) -> list[str]:
    """The lines of a text with their ends, as Python counts them."""
    return [line for line in _LINE.findall(text) if line]


def replaced(text: str, edits: Sequence[Edit]) -> str:
    """A text after edits; new lines end as the line does in which they begin.

    >>> from xent.wiring._places import Place
    >>> replaced("a = f(x)\\r\\n", [Edit(Place("", None, 1, 5, 1, 9), "(x\\n)")])
    'a = (x\\r\\n)\\r\\n'
    """
    lines = lines_of(text)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    parts: list[str] = []
    done = 0
    for edit in sorted(edits):
        place = edit.place
        if not 1 <= place.line <= place.end_line <= len(starts):
            raise ValueError("an edit beyond the end of the file")
        start = starts[place.line - 1] + place.column - 1
        end = starts[place.end_line - 1] + place.end_column - 1
        if not done <= start <= end <= len(text):
            raise ValueError("edits that overlap")
        line = lines[place.line - 1] if place.line <= len(lines) else ""
        ending = _END.search(line)
        new_line = ending[0] if ending else _newline(text)
        parts += [text[done:start], edit.text.replace("\n", new_line)]
        done = end
    return "".join([*parts, text[done:]])


def _newline(text: str) -> str:
    found = re.search(r"\r\n|\r|\n", text)
    return found[0] if found else "\n"
