"""Calls of Python's own functions, as far as layers and tensors go through them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xent.wiring._flow import _containers as containers
from xent.wiring._flow import _objects as objects
from xent.wiring._flow import _tensors as tensors
from xent.wiring._flow._values import (
    UNKNOWN,
    Constant,
    Container,
    Contents,
    Frame,
    Instance,
    Tensor,
    Value,
)
from xent.wiring._places import Site

if TYPE_CHECKING:
    from xent.wiring._flow._interpreter import Interpreter


def call(
    run: Interpreter,
    name: str,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
    frame: Frame,
) -> Value:
    """What a function of Python gives; UNKNOWN for those that carry nothing on."""
    first = arguments[0] if arguments else UNKNOWN
    if name in ("list", "tuple", "iter", "sorted", "reversed"):
        return _sequence(run, name, arguments, first, site)
    if name == "dict":
        return _dict(run, arguments, keywords, site)
    if name in ("getattr", "setattr"):
        return _attribute(run, name, arguments, frame)
    if name in _OF_ARGUMENTS:
        return _OF_ARGUMENTS[name](run, arguments)
    if name == "round" and isinstance(first, Tensor):
        run.note_comparison(first, 0.5, site)
    if name in ("float", "int") and isinstance(first, Constant):
        return first if tensors.number(first) is not None else UNKNOWN
    return first if name == "float" and isinstance(first, Tensor) else UNKNOWN


def _attribute(run: Interpreter, function: str, arguments: Sequence[Value], frame: Frame) -> Value:
    """``getattr(x, "name")`` and ``setattr(x, "name", value)``, for a name that is written out."""
    name = arguments[1] if len(arguments) > 1 else UNKNOWN
    if not isinstance(name, Constant) or not isinstance(name.value, str):
        return UNKNOWN
    if function == "setattr" and len(arguments) == 3:
        objects.set_attribute(run, arguments[0], name.value, arguments[2])
    return objects.get_attribute(run, arguments[0], name.value, frame)


def _length(run: Interpreter, arguments: Sequence[Value]) -> Value:
    items = containers.items_of(run, arguments[0]) if arguments else None
    return UNKNOWN if items is None else Constant(len(items))


def _next(run: Interpreter, arguments: Sequence[Value]) -> Value:
    first = arguments[0] if arguments else UNKNOWN
    return (run.element(first) or UNKNOWN) if isinstance(first, Container) else UNKNOWN


def _sequence(
    run: Interpreter, name: str, arguments: Sequence[Value], first: Value, site: Site
) -> Value:
    flavour = "tuple" if name == "tuple" else "list"
    if not arguments:
        return run.container(flavour, Contents(), site)
    if isinstance(first, Tensor):
        return run.container(flavour, Contents(None, containers.any_turn(run, first)), site)
    items = containers.items_of(run, first)
    if items is None or name == "sorted":
        every = run.element(first) if isinstance(first, Container) else UNKNOWN
        return run.container(flavour, Contents(None, every), site)
    if name == "reversed":
        items.reverse()
    return run.container(flavour, Contents(tuple(enumerate(items))), site)


def _dict(
    run: Interpreter, arguments: Sequence[Value], keywords: Mapping[str, Value], site: Site
) -> Value:
    items: dict[object, Value] = {}
    if arguments:
        given = arguments[0]
        if isinstance(given, Container) and given.flavour == "dict":
            inside = run.contents(given).items
            if inside is None:
                return run.container("dict", Contents(None, UNKNOWN), site)
            items.update(inside)
        else:
            for pair in containers.items_of(run, given) or [UNKNOWN]:
                parts = containers.items_of(run, pair)
                if parts is None or len(parts) != 2 or not isinstance(parts[0], Constant):
                    return run.container("dict", Contents(None, UNKNOWN), site)
                items[parts[0].value] = parts[1]
    items.update({key: value for key, value in keywords.items() if key != "**"})
    return run.container("dict", Contents(tuple(items.items())), site)


def _enumerate(run: Interpreter, arguments: Sequence[Value]) -> Value:
    over = arguments[0] if arguments else UNKNOWN
    items = containers.items_of(run, over)
    if items is None or isinstance(over, Instance):
        every = run.element(over) if isinstance(over, Container) else UNKNOWN
        pair = run.container("tuple", Contents(((0, UNKNOWN), (1, every or UNKNOWN))))
        return run.container("list", Contents(None, pair))
    pairs = [
        run.container("tuple", Contents(((0, Constant(i)), (1, item))))
        for i, item in enumerate(items)
    ]
    return run.container("list", Contents(tuple(enumerate(pairs))))


def _zip(run: Interpreter, arguments: Sequence[Value]) -> Value:
    columns = [containers.items_of(run, value) for value in arguments]
    if not columns or any(column is None for column in columns):
        each = tuple(
            (i, (run.element(value) if isinstance(value, Container) else None) or UNKNOWN)
            for i, value in enumerate(arguments)
        )
        return run.container("list", Contents(None, run.container("tuple", Contents(each))))
    rows = [
        run.container("tuple", Contents(tuple(enumerate(row))))
        for row in zip(*[column for column in columns if column is not None], strict=False)
    ]
    return run.container("list", Contents(tuple(enumerate(rows))))


def _range(run: Interpreter, arguments: Sequence[Value]) -> Value:
    bounds = [tensors.whole(value) for value in arguments]
    if not bounds or None in bounds or len(bounds) > 3:
        return UNKNOWN
    try:
        numbers = range(*[bound for bound in bounds if bound is not None])
    except ValueError:
        return UNKNOWN
    if len(numbers) > 8:  # training runs many epochs; layers come in handfuls
        return UNKNOWN
    found = tuple((i, Constant(number)) for i, number in enumerate(numbers))
    return run.container("list", Contents(found))


_OF_ARGUMENTS = {
    "enumerate": _enumerate,
    "zip": _zip,
    "range": _range,
    "len": _length,
    "next": _next,
}
