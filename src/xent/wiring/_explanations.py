"""What reaches each loss, and why that is right: the question that is asked most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from xent.wiring._flow._events import LossCall
from xent.wiring._flow._kinds import Kind
from xent.wiring._flow._losses import LOG_PROBABILITY, LOGITS, PROBABILITY
from xent.wiring._flow._record import Record
from xent.wiring._places import Place

_RIGHT = {
    (Kind.LOGITS, LOGITS): "{loss} takes logits and applies {link} itself",
    (Kind.SIGMOID, PROBABILITY): "{loss} takes probabilities",
    (Kind.LOG_SOFTMAX, LOG_PROBABILITY): "{loss} takes log-probabilities",
}


@dataclass(frozen=True, order=True)
class Explanation:
    """What is known of the input of one loss.

    Args:
        place: where the loss is called.
        is_right: whether the input is proven to be what the loss takes.
        text: the same in words.
    """

    place: Place
    is_right: bool
    text: str


def explanations(record: Record) -> Iterator[Explanation]:
    """One explanation for each loss whose input is right or not known."""
    known: dict[Place, Explanation] = {}
    for event in record.of(LossCall):
        place = event.site.place
        found = _explain(event, place)
        if found is not None and (place not in known or found.is_right):
            known[place] = found
    yield from known.values()


def _explain(event: LossCall, place: Place) -> Explanation | None:
    kind, origin = event.input.kind, event.input.origin
    if kind is None or origin is None:
        text = (
            f"{event.label}: not known. What reaches it comes from code that could not be "
            "followed to a layer or an activation."
        )
        return Explanation(place, False, text)
    reason = _RIGHT.get((kind, event.loss.takes))
    if reason is None or (event.input.outputs == 1 and event.loss.of_rows):
        return None
    link = "log_softmax" if event.loss.of_rows else "sigmoid"
    where = origin.place.words(place)
    because = reason.format(loss=event.label, link=link)
    given = f"{kind.value} from {event.input.operation} ({where})"
    text = f"{event.label} is given {given}: right, {because}."
    return Explanation(place, True, text)
