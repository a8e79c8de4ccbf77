"""What is found in files that are read together, and what that depends on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from xent.wiring._explanations import Explanation
from xent.wiring._finding import Finding
from xent.wiring._rule import CALLED
from xent.wiring._suppressions import Suppression


@dataclass(frozen=True)
class Reading:
    """What is found in files that are read together.

    Args:
        findings: also those at places in other files, which may not be asked for.
        explanations: of every loss, what reaches it.
        problems: of these files, with the reason.
        comments: those of these files that suppress findings.
        read: how many of the files mention anything that a rule looks at.
        losses: keys of the models and loss objects of which there are losses.
        asked: keys of those of which a rule has asked for all losses, and of loss objects of
            other files.
    """

    findings: tuple[Finding, ...] = ()
    explanations: tuple[Explanation, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()
    comments: tuple[Suppression, ...] = ()
    read: int = 0
    losses: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Needs:
    """What a reading depends on: with the same of it, it would be the same.

    Args:
        files: of each file the digest of its contents, its name in reports and the folder from
            which its package begins.
        lookups: the names of modules that were looked up in the files of a folder, with what was
            found, be it nothing.
        certain: whether that is all: not where a file could not be read or depth ran out.
    """

    files: tuple[tuple[Path, str, str, Path], ...]
    lookups: tuple[tuple[Path, str, Path | None], ...]
    certain: bool


def distinct(findings: Iterable[Finding]) -> list[Finding]:
    """One finding for each fault, however many calls lead to it."""
    seen: dict[object, Finding] = {}
    for finding in sorted(findings):
        ends = [item.place for item in finding.related if item.words != CALLED]
        first = ends[0] if ends else None
        seen.setdefault((finding.code, finding.place, first), finding)
    return list(seen.values())
