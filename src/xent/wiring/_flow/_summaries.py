"""Summaries of calls: what a call did is done once more without reading the function again.

A call has a summary where nothing that rules look at happened in it and where it changed nothing
but its own object and what it made itself. It holds for every call of the function with arguments
of which the same is known.
"""

from __future__ import annotations

import ast
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from xent.wiring._flow import _objects as objects
from xent.wiring._flow._interest import WORDS
from xent.wiring._flow._store import is_none
from xent.wiring._flow._values import (
    UNKNOWN,
    Bound,
    ClassValue,
    Constant,
    Container,
    Contents,
    External,
    Frame,
    Function,
    Instance,
    Layer,
    ModuleValue,
    Partial,
    Tensor,
    Value,
    next_number,
)

if TYPE_CHECKING:
    from xent.wiring._flow._interpreter import Interpreter

MOST_CHANGES = 2_000


@dataclass(frozen=True, eq=False)
class Summary:
    """What a call did.

    Args:
        result: what it gave.
        changes: object, attribute and value of everything that it changed.
        receiver: the object that it was a method of.
        start: what it made has greater numbers.
        laden: the attributes of objects that hold anything that matters.
    """

    result: Value
    changes: Sequence[tuple[Value | Frame, Any, Value]]
    receiver: Value | None
    start: int
    laden: Mapping[Value, frozenset[str]]


@dataclass(frozen=True)
class Question:
    """What is asked for: a call, as far as its summary depends on it.

    Args:
        key: the function and what is known of the arguments.
        is_new: whether the object of the method, if any, has just been made.
        carried: whether anything that matters is given to the function.
    """

    key: Hashable
    is_new: bool
    carried: bool


def question(
    run: Interpreter,
    function: Function,
    receiver: Value | None,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    *,
    carried: bool,
) -> Question | None:
    """What a call asks for; None where no summary can hold.

    Args:
        run: the interpreter.
        function: what is called.
        receiver: the object that it is a method of.
        arguments: the positional arguments.
        keywords: the arguments by name.
        carried: whether anything is given that matters by itself.
    """
    is_new = (
        receiver not in run.touched
        if isinstance(receiver, Instance)
        else (receiver is None or isinstance(receiver, ClassValue))
    )
    if not is_new and _names_operations(run, function):
        return None
    given = [_fingerprint(run, value) for value in arguments]
    named = [(name, _fingerprint(run, value)) for name, value in keywords.items()]
    if None in given or any(found is None for _, found in named):
        return None
    owner: Hashable = "any"
    if is_new and isinstance(receiver, Instance | ClassValue):
        found = receiver.type if isinstance(receiver, Instance) else receiver
        owner = type(receiver), objects.reached(run, found, function)
    where = function.node, function.frame, owner, run.reassignments
    return Question((*where, tuple(given), tuple(named)), is_new, carried)


def _names_operations(run: Interpreter, function: Function) -> bool:
    words = run.relevance.words(function.frame.module, function.node)
    return isinstance(function.node, ast.Lambda) or not WORDS.isdisjoint(words)


def _fingerprint(run: Interpreter, value: Value, depth: int = 0) -> Hashable | None:
    """What tells a value from others; None for one that summaries can't speak of."""
    if value is UNKNOWN:
        return "unknown"
    if isinstance(value, Constant):
        return type(value.value).__name__, value.value
    if isinstance(value, Tensor):
        return ("tensor", value.batched) if value.kind is None else None
    if isinstance(value, External):
        return "external", value.name
    if isinstance(value, Function | ClassValue):
        return "defined", value.node, value.frame
    if isinstance(value, ModuleValue):
        return "module", value.module
    if isinstance(value, Container) and value.flavour in ("list", "tuple", "dict", "*"):
        return _of_contents(run, value, depth)
    if isinstance(value, Partial):
        inside = [value.function, *value.arguments, *value.keywords.values()]
        parts = [_fingerprint(run, each, depth + 1) for each in inside]
        return None if None in parts or depth > 2 else ("partial", *parts, *value.keywords)
    if isinstance(value, Bound) and isinstance(value.receiver, ClassValue):
        return "bound", _fingerprint(run, value.function), value.receiver.node
    return None


def _of_contents(run: Interpreter, value: Container, depth: int) -> Hashable | None:
    contents = run.contents(value)
    if depth > 2 or (contents.items is not None and len(contents.items) > 24):
        return None
    if contents.items is None:
        inside = (
            "unknown"
            if contents.element is None
            else _fingerprint(run, contents.element, depth + 1)
        )
        return None if inside is None else (value.flavour, "any", inside)
    found = [(str(key), _fingerprint(run, item, depth + 1)) for key, item in contents.items]
    return None if any(item is None for _, item in found) else (value.flavour, *found)


# Making one.


def summary(
    run: Interpreter,
    asked: Question,
    receiver: Value | None,
    result: Value,
    changed: Iterable[Mapping[Any, Value]],
    start: int,
) -> Summary | None:
    """What a call did, after it; None where it did what a summary can't say."""
    keys: dict[Any, None] = {}
    for changes in changed:
        keys.update(dict.fromkeys(changes))
    if len(keys) > MOST_CHANGES:
        return None
    if not asked.is_new:
        return _quiet(run, asked, receiver, result, keys, start)
    kept: list[tuple[Value | Frame, Any, Value]] = []
    for owner, name in keys:
        value = run.store.get((owner, name))
        if isinstance(owner, Frame):
            if _is_old(owner, start):
                if not _is_remembered(owner, value):
                    return None
                kept.append((owner, name, value or UNKNOWN))
            continue
        if value is None or (owner is not receiver and _is_old(owner, start)):
            return None
        kept.append((owner, name, value))
    laden = {
        owner: run.laden[owner]
        for owner, _, _ in kept
        if not isinstance(owner, Frame) and owner in run.laden
    }
    return Summary(result, kept, receiver, start, laden)


def _quiet(
    run: Interpreter,
    asked: Question,
    receiver: Value | None,
    result: Value,
    keys: Iterable[tuple[Value | Frame, Any]],
    start: int,
) -> Summary | None:
    """Of a method that was called on an object in use: that it did nothing that matters."""
    if not (is_none(result) or (result is UNKNOWN and not asked.carried)):
        return None
    kept: list[tuple[Value | Frame, Any, Value]] = []
    for owner, name in keys:
        if not _is_old(owner, start):
            continue
        value = run.store.get((owner, name))
        if isinstance(owner, Frame):
            if not _is_remembered(owner, value):
                return None
        elif value is None or objects.carries(run, value):
            return None
        elif owner is receiver:
            kept.append((owner, name, UNKNOWN))
    return Summary(result, kept, receiver, start, {})


def _is_remembered(owner: Frame, value: Value | None) -> bool:
    """Whether what is kept in a file or a class is nothing but a number or the like."""
    plain = value is UNKNOWN or isinstance(value, Constant | External)
    return plain and not owner.function_name


def _is_old(owner: Value | Frame, start: int) -> bool:
    return getattr(owner, "number", 0) <= start


# Using one.


class _Again:
    """Does once more what a call did, on new objects in place of those that it made."""

    def __init__(self, found: Summary, receiver: Value | None) -> None:
        self._start = found.start
        self._new: dict[Value, Value] = {}
        if found.receiver is not None and receiver is not None:
            self._new[found.receiver] = receiver

    def value(self, value: Value) -> Value:
        """A value with new objects in place of old ones."""
        if value in self._new:
            return self._new[value]
        if isinstance(value, Instance | Container | Layer):
            if value.number > self._start:
                self._new[value] = self._object(value)
                return self._new[value]
        elif isinstance(value, Contents):
            items = value.items and tuple((key, self.value(item)) for key, item in value.items)
            element = None if value.element is None else self.value(value.element)
            return Contents(items, element)
        elif isinstance(value, Tensor) and value.models:
            return replace(value, models=tuple(self.value(model) for model in value.models))
        elif isinstance(value, Bound):
            return Bound(self.value(value.function), self.value(value.receiver))
        elif isinstance(value, Partial):
            given = tuple(self.value(each) for each in value.arguments)
            named = {name: self.value(each) for name, each in value.keywords.items()}
            return Partial(self.value(value.function), given, named)
        return value

    def _object(self, value: Instance | Container | Layer) -> Value:
        if isinstance(value, Layer):
            given = tuple(self.value(each) for each in value.arguments)
            named = {name: self.value(each) for name, each in value.keywords.items()}
            return Layer(value.name, value.site, given, named)
        return replace(value, number=next_number())


def again(run: Interpreter, found: Summary, receiver: Value | None) -> Value:
    """What a call gives of which there is a summary; what it changes is changed."""
    same = _Again(found, receiver)
    run.step(1 + len(found.changes) // 8)
    for owner, name, value in found.changes:
        place = owner if isinstance(owner, Frame) else same.value(owner)
        run.store.set((place, name), same.value(value))
    for owner, names in found.laden.items():
        new = same.value(owner)
        run.laden[new] = run.laden.get(new, frozenset()) | names
    if receiver is not None and found.changes:
        run.touched.add(receiver)
    return same.value(found.result)
