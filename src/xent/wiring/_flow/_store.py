"""The store: what every name, attribute and container holds at one point of the program.

Branches write into a layer of their own, so that afterwards only what they changed is joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xent.wiring._flow._values import (
    UNKNOWN,
    Constant,
    Container,
    Contents,
    External,
    Layer,
    Tensor,
    Value,
)
from xent.wiring._places import Site

Changes = dict[Any, Value]
DELETED = Constant("deleted")


class Store:
    """Values by key; a key is a frame or an object, and a name."""

    def __init__(self) -> None:
        self.layers: list[Changes] = [{}]

    def get(self, key: Any) -> Value | None:
        """The value of a key, or None where nothing was stored."""
        for layer in reversed(self.layers):
            if key in layer:
                value = layer[key]
                return None if value is DELETED else value
        return None

    def set(self, key: Any, value: Value) -> None:
        """Store a value in the branch at hand."""
        self.layers[-1][key] = value

    def push(self) -> None:
        """Begin a branch."""
        self.layers.append({})

    def pop(self) -> Changes:
        """End a branch and take back what it changed."""
        return self.layers.pop()

    def since(self, depth: int) -> Changes:
        """What was changed in the layers from a depth on."""
        changes: Changes = {}
        for layer in self.layers[depth:]:
            changes.update(layer)
        return changes

    def merge(self, branches: Sequence[Changes]) -> None:
        """Go on from the ends of branches, each one of which may be the one that ran."""
        if len(branches) == 1:
            self.layers[-1].update(branches[0])
            return
        found: dict[Any, list[Value | None]] = {}
        for changes in branches:
            for key, value in changes.items():
                found.setdefault(key, []).append(value)
        for key, ends in found.items():
            if len(ends) < len(branches):  # some branches leave it as it was
                ends.insert(len(ends) if key in branches[0] else 0, self.get(key))
            known = [end for end in ends if end is not None and end is not DELETED]
            if known:
                self.layers[-1][key] = self.join(known)

    def join(self, values: Sequence[Value]) -> Value:
        """What is known of a value that is one of several: what all of them have in common.

        None joins with anything, for a program that goes on with None where it needs a tensor
        stops there.
        """
        joined = values[0]
        for value in values[1:]:
            joined = self._pair(joined, value)
        return joined

    def _pair(self, one: Value, other: Value) -> Value:
        if one is other or is_none(other):
            return one
        if is_none(one):
            return other
        if type(one) is not type(other):
            return UNKNOWN
        if isinstance(one, Tensor) and isinstance(other, Tensor):
            return join_tensors(one, other)
        if isinstance(one, Constant) and isinstance(other, Constant):
            same = type(one.value) is type(other.value) and one.value == other.value
            return one if same else UNKNOWN
        if isinstance(one, External) and isinstance(other, External):
            return one if one.name == other.name else UNKNOWN
        if isinstance(one, Layer) and isinstance(other, Layer):
            return one if one.name == other.name and _same_options(one, other) else UNKNOWN
        if isinstance(one, Contents) and isinstance(other, Contents):
            return self._contents(one, other)
        if isinstance(one, Container) and isinstance(other, Container):
            return self._containers(one, other)
        return UNKNOWN

    def _containers(self, one: Container, other: Container) -> Value:
        if one.flavour != other.flavour:
            return UNKNOWN
        first, second = self.get((one, None)), self.get((other, None))
        if not (isinstance(first, Contents) and isinstance(second, Contents)):
            return UNKNOWN
        joined = Container(one.flavour, one.site)
        self.set((joined, None), self._contents(first, second))
        return joined

    def _contents(self, one: Contents, other: Contents) -> Value:
        if one.items is not None and other.items is not None:
            if [key for key, _ in one.items] == [key for key, _ in other.items]:
                pairs = zip(one.items, other.items, strict=True)
                return Contents(tuple((key, self._pair(a, b)) for (key, a), (_, b) in pairs))
            if any(not isinstance(key, int) for key, _ in (*one.items, *other.items)):
                return self._dicts(one.items, other.items)
        elements = [
            found for found in (self.element(one), self.element(other)) if found is not None
        ]
        return Contents(None, self.join(elements) if elements else None)

    def _dicts(
        self, one: tuple[tuple[Any, Value], ...], other: tuple[tuple[Any, Value], ...]
    ) -> Value:
        # A key of one side only is read on paths where it is there.
        joined = dict(one)
        for key, value in other:
            joined[key] = self._pair(joined[key], value) if key in joined else value
        return Contents(tuple(joined.items()))

    def element(self, contents: Contents) -> Value | None:
        """What every item of a container is known to be; None where there is no item."""
        if contents.items is None:
            return contents.element
        values = [value for _, value in contents.items]
        return self.join(values) if values else None


def is_none(value: Value) -> bool:
    """Whether a value is known to be None."""
    return isinstance(value, Constant) and value.value is None


def _same_options(one: Layer, other: Layer) -> bool:
    """Whether two layers of a class do the same to the meaning of a tensor."""
    return _constants(one) == _constants(other)


def _constants(layer: Layer) -> list[Any]:
    named = [*enumerate(layer.arguments), *sorted(layer.keywords.items())]
    return [
        (name, value.value if isinstance(value, Constant) else type(value)) for name, value in named
    ]


def join_tensors(one: Tensor, other: Tensor) -> Tensor:
    """A tensor that is one of two.

    >>> from xent.wiring._flow._kinds import Kind
    >>> join_tensors(Tensor(Kind.SOFTMAX), Tensor(Kind.LOGITS)).kind is None
    True
    """
    batched = one.batched and other.batched
    if one.kind is not other.kind or one.kind is None or one.complement != other.complement:
        both = one.kind is other.kind and one.operation == other.operation
        return Tensor(batched=batched, operation=one.operation if both else "")
    return Tensor(
        one.kind,
        one.origin,
        one.operation,
        one.outputs if one.outputs == other.outputs else None,
        tuple(model for model in one.models if model in other.models),
        batched,
        one.dim if one.dim == other.dim else None,
        one.before if one.before is other.before else None,
        one.complement,
        _origins(one, other),
    )


def _origins(one: Tensor, other: Tensor) -> tuple[Site, ...]:
    """Those of both, each once; none where they are the same."""
    found = {site.key: site for site in (*one.origins, *other.origins)}
    return tuple(found.values()) if len(found) > 1 else ()
