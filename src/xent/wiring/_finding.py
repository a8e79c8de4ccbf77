"""A finding: one fault at one place, with the other end of the wire."""

from __future__ import annotations

from dataclasses import dataclass, field

from xent.wiring._places import Place

ERROR, WARNING, NOTE = "error", "warning", "note"
LEVELS = (ERROR, WARNING, NOTE)


@dataclass(frozen=True, order=True)
class Related:
    """A place that belongs to a finding.

    Args:
        place: where.
        words: what is there.
    """

    place: Place
    words: str


@dataclass(frozen=True, order=True)
class Edit:
    """A change of the code.

    Args:
        place: what is replaced; an empty range inserts.
        text: what takes its place.
    """

    place: Place
    text: str


@dataclass(frozen=True, order=True)
class Fix:
    """A repair of a finding.

    Args:
        title: what it does, in a few words that complete "Fix:".
        edits: the changes, all of them or none.
        safe: whether what the program computes stays the same, but for rounding.
    """

    title: str
    edits: tuple[Edit, ...]
    safe: bool


@dataclass(frozen=True, order=True)
class Finding:
    """One fault.

    Args:
        place: where it shows: the call of the loss, or the operation.
        code: of the rule, such as ``XE101``.
        name: of the rule, such as ``softmax-into-cross-entropy``.
        level: ``error``, ``warning`` or ``note``.
        message: what is wrong there, naming both ends, and what to do.
        label: what stands at the place, in a word.
        related: the other places, in the order in which the program comes through them.
        fix: a repair, where one is certain; it takes no part in the order.
    """

    place: Place
    code: str
    name: str
    level: str
    message: str
    label: str
    related: tuple[Related, ...] = ()
    fix: Fix | None = field(default=None, compare=False)
