"""Methods of lists, dicts and sequences of layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xent.wiring._flow import _containers as containers
from xent.wiring._flow import _tensors as tensors
from xent.wiring._flow._producers import GIVE_THEMSELVES
from xent.wiring._flow._values import (
    NOTHING,
    UNKNOWN,
    Constant,
    Container,
    Contents,
    Frame,
    Value,
)
from xent.wiring._places import Site

if TYPE_CHECKING:
    from xent.wiring._flow._interpreter import Interpreter


def call(
    run: Interpreter,
    owner: Container,
    name: str,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
    frame: Frame,
) -> Value:
    first = arguments[0] if arguments else UNKNOWN
    if owner.flavour == "sequential" and name in ("forward", "__call__"):
        return run.call(owner, arguments, keywords, site, frame)
    if owner.flavour in ("sequential", "modules", "module-dict"):
        if name in GIVE_THEMSELVES:
            return owner
        if name in ("add_module", "register_module"):
            containers.add_module(run, owner, arguments, keywords)
            return NOTHING
        if name in ("children", "modules"):
            kept = run.contents(owner) if name == "children" else Contents(None, UNKNOWN)
            return run.container("list", _numbered(kept))
    if name == "append":
        containers.append(run, owner, first)
        return owner if owner.flavour != "list" else NOTHING
    if name == "extend":
        containers.extend(run, owner, first)
        return owner if owner.flavour != "list" else NOTHING
    if name == "insert" and len(arguments) == 2:
        _insert(run, owner, arguments)
        return NOTHING
    if name == "copy":
        return run.container(owner.flavour, run.contents(owner), owner.site)
    contents = run.contents(owner)
    if owner.flavour in ("dict", "module-dict", "sequential"):
        return _mapping_method(run, owner, name, arguments, keywords, contents)
    if name in ("pop", "remove", "clear", "reverse", "sort"):
        run.fill(owner, Contents(None, UNKNOWN))
        every = run.store.element(contents)
        return every if name == "pop" and every is not None else UNKNOWN
    return UNKNOWN


def _numbered(contents: Contents) -> Contents:
    if contents.items is None:
        return contents
    return Contents(tuple((i, value) for i, (_, value) in enumerate(contents.items)))


def _insert(run: Interpreter, owner: Container, arguments: Sequence[Value]) -> None:
    contents = run.contents(owner)
    at = tensors.whole(arguments[0])
    if contents.items is None or at is None:
        run.fill(owner, Contents(None, UNKNOWN))
        return
    values = [value for _, value in contents.items]
    values.insert(at, arguments[1])
    named = owner.flavour == "sequential"
    run.fill(owner, Contents(tuple((str(i) if named else i, v) for i, v in enumerate(values))))


def _take_out(run: Interpreter, owner: Container, key: Value, contents: Contents) -> None:
    """``dict.pop(key)`` and ``sequential.pop(index)``."""
    if contents.items is None or not isinstance(key, Constant):
        run.fill(owner, Contents(None, UNKNOWN))
        return
    if owner.flavour != "sequential":
        run.fill(owner, Contents(tuple(each for each in contents.items if each[0] != key.value)))
        return
    values = [value for _, value in contents.items]
    try:
        values.pop(key.value)
    except (TypeError, IndexError):
        run.fill(owner, Contents(None, UNKNOWN))
        return
    run.fill(owner, Contents(tuple((str(i), value) for i, value in enumerate(values))))


def _update(
    run: Interpreter,
    owner: Container,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    contents: Contents,
) -> None:
    """``dict.update(other, key=value)``."""
    given = arguments[0] if arguments else None
    inside: Any = ()
    if given is not None:
        inside = run.contents(given).items if isinstance(given, Container) else None
    if inside is None:
        run.fill(owner, Contents(None, UNKNOWN))
    elif contents.items is not None:
        run.fill(
            owner, Contents(tuple((dict(contents.items) | dict(inside) | {**keywords}).items()))
        )


def _mapping_method(
    run: Interpreter,
    owner: Container,
    name: str,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    contents: Contents,
) -> Value:
    if name == "pop" and arguments:
        found = containers.get_item(run, owner, arguments[0])
        _take_out(run, owner, arguments[0], contents)
        return found
    if name in ("get", "setdefault") and arguments:
        found = containers.get_item(run, owner, arguments[0])
        if name == "get" and found is UNKNOWN and contents.items is not None:
            default = arguments[1] if len(arguments) > 1 else NOTHING
            return default if isinstance(arguments[0], Constant) else UNKNOWN
        return found
    if name == "update":
        _update(run, owner, arguments, keywords, contents)
        return NOTHING
    if name == "values":
        return run.container("list", _numbered(contents))
    if name in ("items", "named_children"):
        if contents.items is None:
            pair = run.container(
                "tuple", Contents(((0, UNKNOWN), (1, contents.element or UNKNOWN)))
            )
            return run.container("list", Contents(None, pair))
        pairs = [
            run.container("tuple", Contents(((0, Constant(key)), (1, value))))
            for key, value in contents.items
        ]
        return run.container("list", Contents(tuple(enumerate(pairs))))
    if name == "keys" and contents.items is not None:
        keys = [Constant(key) for key, _ in contents.items]
        return run.container("list", Contents(tuple(enumerate(keys))))
    return UNKNOWN
