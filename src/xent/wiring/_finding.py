"""A finding: one fault at one place, with the other end of the wire."""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    place: Place
    code: str
    name: str
    level: str
    message: str
    label: str
    related: tuple[Related, ...] = ()
