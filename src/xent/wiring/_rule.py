"""A rule: what it finds, with the documentation that messages and pages come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from xent.wiring._finding import Finding, Fix, Related
from xent.wiring._flow._events import Event
from xent.wiring._flow._record import Record
from xent.wiring._places import Place, Site

Fault = tuple[Event, str, str, tuple[tuple[Site, str], ...], str | None]


CALLED = "called from here"
SOURCE, RUN_TIME, BOTH = "source", "run time", "both"


@dataclass(frozen=True)
class Repair:
    """How the faults of a rule are repaired.

    Args:
        words: what is done to the code and what it changes, in one sentence.
        safety: ``safe``, ``unsafe``, or ``safe or unsafe`` where it depends on the code.
        make: the fix of the fault at an event; None where no change is certain to be right.
    """

    words: str
    safety: str
    make: Callable[[Record, Event], Fix | None]


@dataclass(frozen=True)
class Rule:
    """One rule.

    Args:
        code: such as ``XE101``.
        name: reads after "allow": the fault, not the cure.
        level: ``error``, ``warning`` or ``note``.
        what: what it flags, in one sentence.
        why: what goes wrong.
        example: code that it flags.
        instead: the same code without the fault.
        faults: yields the faults of a record.
        limits: what it leaves alone on purpose.
        repair: how its faults are repaired, where code can do that.
        found_in: ``source`` (``xent check PATH``), ``run time`` (``xent.check``) or ``both``.
    """

    code: str
    name: str
    level: str
    what: str
    why: str
    example: str
    instead: str
    faults: Callable[[Record], Iterator[Fault]]
    limits: str = ""
    repair: Repair | None = None
    found_in: str = SOURCE

    @property
    def found_by(self) -> str:
        """Who finds it, in words: ``xent check`` in source, ``xent.check`` on tensors."""
        both = "xent check in source and xent.check on tensors"
        return {
            SOURCE: "xent check in source", RUN_TIME: "xent.check on tensors", BOTH: both
        }[self.found_in]  # fmt: skip

    def findings(self, record: Record) -> Iterator[Finding]:
        """What it finds in a record."""
        for event, message, label, others, level in self.faults(record):
            place = event.site.place
            related = _related(event, others, place)
            text = _fill(message, place, [item.place for item in related])
            fix = None if self.repair is None else self.repair.make(record, event)
            yield Finding(
                place, self.code, self.name, level or self.level, text, label, related, fix
            )


def fault(
    event: Event,
    message: str,
    label: str,
    *others: tuple[Site | None, str],
    level: str | None = None,
) -> Fault:
    """A fault at an event.

    Args:
        event: what shows it.
        message: what is wrong; ``{here}`` and ``{0}``, ``{1}``, ... become the places.
        label: what stands at the event, in a word.
        others: the other places and what stands there.
        level: where it isn't that of the rule.
    """
    known = tuple((site, words) for site, words in others if site is not None)
    return event, message, label, known, level


def _related(
    event: Event, others: tuple[tuple[Site, str], ...], place: Place
) -> tuple[Related, ...]:
    found = [Related(site.place, words) for site, words in others]
    seen = {place, *(item.place for item in found)}
    for site in reversed(event.calls[-3:]):
        called = Related(site.place, CALLED)
        if called.place not in seen:
            found.append(called)
            seen.add(called.place)
    return tuple(found)


def _fill(message: str, here: Place, others: list[Place]) -> str:
    named = [place for number, place in enumerate(others) if f"{{{number}}}" in message]
    apart = any(place.path == here.path and place.cell != here.cell for place in named)
    # Of places in several cells each is named with its cell: no cell has the number 0.
    seen_from = replace(here, cell=0) if apart else here
    words = [place.words(seen_from) for place in others]
    return message.format(*words, here=here.words(seen_from))
