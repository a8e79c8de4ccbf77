"""Adding the comments that silence findings: ``# noqa: XE101`` at the end of their lines."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xent.wiring._check import Report, options_of
from xent.wiring._files._source import Source, UnreadableError, lines_of
from xent.wiring._finding import Edit, Finding
from xent.wiring._fixes._edited import Change, Edited, edited_paths, edited_text
from xent.wiring._fixes._edits import EditError, apply_edits
from xent.wiring._places import Place

_CODES = re.compile(
    r"#\s*noqa\s*:\s*[A-Z]+[0-9]+(?:\s*,\s*[A-Z]+[0-9]+|\s+[A-Z]+[0-9]+(?!\w))*", re.IGNORECASE
)
_UNUSED = "XE001"
# A comment silences what begins up to so many lines above it, as reading comments has it.
_FURTHEST = 50


@dataclass(frozen=True)
class Silenced:
    """What adding comments has come to; nothing is written yet.

    Args:
        report: what is still found.
        changes: the files that change, in order.
        count: how many comments are new or name more codes.
        left: findings that no comment can silence, with the reason.
    """

    report: Report
    changes: tuple[Change, ...]
    count: int
    left: tuple[tuple[Finding, str], ...]


def silence_paths(
    paths: Sequence[str | Path],
    *,
    select: Sequence[str] = (),
    extend_select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    jobs: int | None = None,
) -> Silenced:
    """Add a comment to every line of which something is shown.

    Args:
        paths: as of check_paths.
        select: as of check_paths.
        extend_select: as of check_paths.
        ignore: as of check_paths.
        jobs: as of check_paths.

    >>> from tempfile import TemporaryDirectory
    >>> code = "import torch.nn.functional as F\\nloss = F.nll_loss(F.softmax(z, dim=1), y)\\n"
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "train.py").write_text(code)
    ...     silenced = silence_paths([folder])
    >>> silenced.changes[0].after.decode().splitlines()[1]
    'loss = F.nll_loss(F.softmax(z, dim=1), y)  # noqa: XE106'
    """
    return _silence(edited_paths(paths, options_of(select, extend_select, ignore), jobs))


def silence_text(
    data: bytes,
    name: str = "-",
    *,
    select: Sequence[str] = (),
    extend_select: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> Silenced:
    """The same for code that is in no file."""
    return _silence(edited_text(data, name, options_of(select, extend_select, ignore)))


def _silence(edited: Edited) -> Silenced:
    report = edited.check({})
    by_path: dict[str, list[Finding]] = {}
    for finding in report.findings:
        if finding.code != _UNUSED:
            by_path.setdefault(finding.place.path, []).append(finding)
    changes: list[Change] = []
    left: list[tuple[Finding, str]] = []
    count = 0
    for path, findings in sorted(by_path.items()):
        try:
            before = edited.read(path)
            edits, unable = _comments(path, before, findings)
            left += [(finding, "no comment can stand on its lines") for finding in unable]
            changes.append(Change(path, before, apply_edits(path, before, edits)))
            count += len(edits)
        except (EditError, UnreadableError) as error:
            left += [(finding, str(error)) for finding in findings]
    changes = [change for change in changes if change.before != change.after]
    after = edited.check({change.path: change.after for change in changes})
    return Silenced(after, tuple(changes), count, tuple(left))


def _comments(
    path: str, data: bytes, findings: Sequence[Finding]
) -> tuple[list[Edit], list[Finding]]:
    """The edits that add comments, and the findings that have no line for one."""
    source = lines_of(path, data)
    free: dict[int | None, set[int]] = {}
    wanted: dict[tuple[int | None, int], dict[str, None]] = {}
    unable: list[Finding] = []
    for finding in findings:
        place = finding.place
        if place.cell not in free:
            free[place.cell] = _free_lines(_text(source, place.cell))
        last = min(place.end_line, place.line + _FURTHEST)
        lines = [line for line in range(place.line, last + 1) if line in free[place.cell]]
        if lines:
            wanted.setdefault((place.cell, lines[0]), {})[finding.code] = None
        else:
            unable.append(finding)
    edits = [
        _comment(source, Place(path, cell, line, 1, line, 1), list(codes))
        for (cell, line), codes in wanted.items()
    ]
    return edits, unable


def _text(source: Source, cell: int | None) -> str:
    if cell is None:
        return "\n".join(source.lines)
    return next(each.text for each in source.cells if each.number == cell)


def _free_lines(text: str) -> set[int]:
    """The lines at whose end a comment may stand: not in a string, not before a continuation."""
    ends = (tokenize.NEWLINE, tokenize.NL)
    try:
        return {
            token.start[0]
            for token in tokenize.generate_tokens(io.StringIO(text).readline)
            if token.type in ends
        }
    except (tokenize.TokenError, SyntaxError):
        return set()


def _comment(source: Source, place: Place, codes: Sequence[str]) -> Edit:
    """The edit that names codes in a comment at the end of a line."""
    line = source.line_of(place, place.line)
    known = _CODES.search(line)
    if known is not None:
        at, text = known.end(), "".join(f", {code}" for code in codes)
        end = at
    else:
        at, text = len(line.rstrip()), f"  # noqa: {', '.join(codes)}"
        end = len(line)
    where = Place(place.path, place.cell, place.line, at + 1, place.line, end + 1)
    return Edit(where, text)
