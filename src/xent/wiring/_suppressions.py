"""Comments that suppress findings: ``# noqa: XE101`` and ``# xent: ignore[XE101] reason``."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from xent.wiring._files._source import Source
from xent.wiring._finding import Edit, Finding, Fix
from xent.wiring._places import Place
from xent.wiring._selection import matches
from xent.wiring.rules import RULES
from xent.wiring.rules._suppressions import UNUSED

_NOQA = re.compile(r"#\s*noqa(?:\s*:\s*(?P<codes>[A-Za-z0-9, \-]+))?", re.IGNORECASE)
_IGNORE = re.compile(r"#\s*xent:\s*ignore(?P<file>-file)?(?:\[(?P<codes>[^\]]*)\])?")
# Comments that say nothing but codes; the reason that follows an ignore goes with it.
_ONLY_CODES = re.compile(
    r"(?P<lead>#\s*noqa\s*:\s*|#\s*xent:\s*ignore(?:-file)?\[\s*)"
    r"(?P<codes>(?:[A-Z]+[0-9]+|[a-z0-9]+(?:-[a-z0-9]+)+)"
    r"(?:[,\s]+(?:[A-Z]+[0-9]+|[a-z0-9]+(?:-[a-z0-9]+)+))*)(?P<end>\s*\][^#]*)?\s*"
    r"|#\s*xent:\s*ignore(?:-file)?\s*"
)
_CODE = re.compile(r"^XE\d{0,3}$")
_ANY_CODE = re.compile(r"^[A-Z]+[0-9]+$")
_NAMES = frozenset(rule.name for rule in RULES.values())


@dataclass(frozen=True)
class Suppression:
    """A comment.

    Args:
        place: where it stands.
        codes: codes or names that it suppresses; empty for all.
        whole_file: whether it is for the whole file.
        is_ours: whether it names xent or one of its codes.
        text: what it says, from the # on.
        blanks: the number of blanks before it.
        is_alone: whether it names one code, or none.
    """

    place: Place
    codes: tuple[str, ...]
    whole_file: bool
    is_ours: bool
    text: str = ""
    blanks: int = 0
    is_alone: bool = True


def suppressions(source: Source) -> Iterator[Suppression]:
    """The comments of a file that suppress findings."""
    if "noqa" not in source.text.lower() and "xent:" not in source.text:
        return
    found = [each for number in _wanted(source) for each in _on_line(source, number)]
    # Only those that may be reported as unused must surely be comments.
    certain = _tokens(source.text) if any(each.is_ours for each in found) else None
    for each in found:
        line = each.place.line + source.lines_before(each.place)
        if not each.is_ours or certain is None or certain.get(line) == each.place.column - 1:
            yield each


def _wanted(source: Source) -> Iterator[int]:
    for number, line in enumerate(source.lines, start=1):
        if "noqa" in line.lower() or "xent:" in line:
            yield number


def _on_line(source: Source, number: int) -> Iterator[Suppression]:
    line = source.lines[number - 1]
    for pattern in (_NOQA, _IGNORE):
        found = pattern.search(line)
        if found is None:
            continue
        codes = [code.strip() for code in re.split(r"[,\s]+", found["codes"] or "")]
        ours = tuple(code for code in codes if _CODE.match(code) or code in _NAMES)
        if found["codes"] is not None and not ours:
            continue  # of another tool
        whole_file = pattern is _IGNORE and found["file"] is not None
        begins = line.index("#")
        column = begins if _is_comment(line, begins) else found.start()
        place = _place(source, number, column, len(line) - column)
        text, before = line[column:], line[:column]
        blanks = len(before) - len(before.rstrip()) if before.strip() else 0
        is_ours = bool(ours) or pattern is _IGNORE
        is_alone = sum(code in _NAMES or bool(_ANY_CODE.match(code)) for code in codes) < 2
        yield Suppression(place, ours, whole_file, is_ours, text, blanks, is_alone)


def _is_comment(line: str, column: int) -> bool:
    """Whether a comment begins there, as far as the line alone says it."""
    before = line[:column]
    return before.count('"') % 2 == 0 and before.count("'") % 2 == 0


def _tokens(text: str) -> dict[int, int] | None:
    """For each line the column of its comment; None where the text is not Python as a whole."""
    try:
        return {
            token.start[0]: token.start[1]
            for token in tokenize.generate_tokens(io.StringIO(text).readline)
            if token.type == tokenize.COMMENT
        }
    except (tokenize.TokenError, SyntaxError):
        return None


def _place(source: Source, line: int, column: int, length: int) -> Place:
    cell, first = source.cell_of(line)
    local = line - first
    return Place(source.path, cell, local, column + 1, local, column + length + 1)


def apply(
    findings: Iterable[Finding], comments: Iterable[Suppression]
) -> tuple[list[Finding], list[Finding]]:
    """Split findings into those that stay and the unused suppressions."""
    by_line: dict[tuple[str, int | None, int], list[Suppression]] = {}
    by_file: dict[str, list[Suppression]] = {}
    known = list(comments)
    for comment in known:
        if comment.whole_file:
            by_file.setdefault(comment.place.path, []).append(comment)
        else:
            key = (comment.place.path, comment.place.cell, comment.place.line)
            by_line.setdefault(key, []).append(comment)
    used: set[tuple[Place, str]] = set()
    kept: list[Finding] = []
    for finding in findings:
        place = finding.place
        near = [*by_file.get(place.path, ())]
        for line in range(place.line, min(place.end_line, place.line + 50) + 1):
            near += by_line.get((place.path, place.cell, line), ())
        hits = [
            (comment.place, code)
            for comment in near
            for code in (comment.codes or ("",))
            if matches(code, finding.code, finding.name)
        ]
        used.update(hits)
        if not hits:
            kept.append(finding)
    return kept, [*_unused(known, used)]


def _unused(comments: list[Suppression], used: set[tuple[Place, str]]) -> Iterator[Finding]:
    for comment in comments:
        if not comment.is_ours:
            continue
        for code in comment.codes or ("",):
            if (comment.place, code) not in used:
                what = f" of {code}" if code else ""
                repair = "Remove" if comment.is_alone else f"Take {code} out of"
                message = f"There is no finding{what} to suppress here. {repair} the comment."
                yield Finding(
                    comment.place, UNUSED.code, UNUSED.name, UNUSED.level, message, "unused",
                    fix=_without(comment, code),
                )  # fmt: skip


def _without(comment: Suppression, code: str) -> Fix | None:
    """The fix that takes a code out of a comment that says nothing else."""
    place = comment.place
    found = _ONLY_CODES.fullmatch(comment.text)
    if found is None:
        return None
    codes = [each for each in re.split(r"[,\s]+", found["codes"] or "") if each not in ("", code)]
    if codes:
        text = f"{found['lead']}{', '.join(codes)}{found['end'] or ''}"
        return Fix(f"Remove {code}", (Edit(place, text),), True)
    whole = replace(place, column=place.column - comment.blanks)
    return Fix("Remove the comment", (Edit(whole, ""),), True)
