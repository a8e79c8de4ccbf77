"""What a project does with its tensors, as the rules ask for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from xent.wiring._flow._events import Event, LossCall
from xent.wiring._flow._values import Container, Instance, Layer, Tensor, Value
from xent.wiring._places import Site

E = TypeVar("E", bound=Event)


class Record:
    """Events in order.

    Args:
        events: all that happened.
    """

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self._losses = [event for event in events if isinstance(event, LossCall)]
        self._modelled = [event for event in self._losses if event.input.models]
        # The models whose losses a rule has asked for: other files may have more of them.
        self.asked: set[str] = set()

    def of(self, kind: type[E]) -> Iterator[E]:
        """The events of a kind."""
        return (event for event in self.events if isinstance(event, kind))

    def losses_of(self, tensor: Tensor) -> list[LossCall]:
        """The calls of losses on the output of the model that a tensor is the output of.

        A tensor that comes out of no model is looked for itself.
        """
        self.asked |= model_keys(tensor)
        if not tensor.models:
            return [] if tensor.origin is None else self._on_origin(tensor.origin)
        return [
            event for event in self._modelled if _share_a_model(tensor.models, event.input.models)
        ]

    def _on_origin(self, origin: Site) -> list[LossCall]:
        return [event for event in self._losses if _starts_at(event.input, origin)]


def model_keys(tensor: Tensor) -> set[str]:
    """Where the models are made or written whose output a tensor is: the same in every reading."""
    return {key for model in tensor.models if (key := value_key(model))}


def value_key(value: Value | None) -> str:
    """Where an object is made, or its class written; empty for what has no such place."""
    if isinstance(value, Instance):
        node, path = value.type.node, value.type.frame.module.source.path
        return f"{path}:{node.lineno}:{node.col_offset}"
    site = value.site if isinstance(value, Layer | Container) else None
    return "" if site is None else ":".join(map(str, site.key))


def _starts_at(tensor: Tensor | None, origin: Site) -> bool:
    for _ in range(4):
        if tensor is None:
            return False
        if tensor.origin is origin:
            return True
        tensor = tensor.before
    return False


def _share_a_model(some: Sequence[Value], others: Sequence[Value]) -> bool:
    """Whether two tensors come out of one model, and out of one of its heads."""
    of_layers = isinstance(some[0], Layer) and isinstance(others[0], Layer)
    if of_layers and value_key(some[0]) != value_key(others[0]):
        return False
    return any(_same_model(one, other) for one in some for other in others)


def _same_model(one: Value, other: Value) -> bool:
    """Whether two values are one model, or one stands for every object of the other's class."""
    if one is other:
        return True
    both = isinstance(one, Instance) and isinstance(other, Instance)
    if not both or not isinstance(one, Instance) or not isinstance(other, Instance):
        return False
    return one.type is other.type and (one.generic or other.generic)
