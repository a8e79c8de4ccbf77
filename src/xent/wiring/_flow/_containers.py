"""Lists, tuples, dicts and sequences of layers: what is in them, and how that changes."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xent.wiring._flow._store import DELETED
from xent.wiring._flow._values import (
    UNKNOWN,
    Bound,
    ClassValue,
    Constant,
    Container,
    Contents,
    Frame,
    Function,
    Instance,
    Layer,
    Tensor,
    Value,
)

if TYPE_CHECKING:
    from xent.wiring._flow._interpreter import Interpreter

_MAPPINGS = ("dict", "module-dict")


def items_of(run: Interpreter, value: Value) -> list[Value] | None:
    """The items of a sequence in order; None where they are not known."""
    if not isinstance(value, Container | Instance):
        return None
    if isinstance(value, Container) and value.flavour in _MAPPINGS:
        items = run.contents(value).items
        return None if items is None else [Constant(key) for key, _ in items]
    if run.store.get((value, None)) is None:
        return None
    items = run.contents(value).items
    return None if items is None else [item for _, item in items]


def extend(run: Interpreter, container: Container, added: Value) -> None:
    """``container += added``."""
    before, after = run.contents(container), items_of(run, added)
    if before.items is None or after is None:
        elements = [
            run.element(container),
            run.element(added) if isinstance(added, Container) else UNKNOWN,
        ]
        known = [element for element in elements if element is not None]
        run.fill(container, Contents(None, run.store.join(known) if known else None))
        return
    values = [*(value for _, value in before.items), *after]
    if container.flavour == "sequential":
        run.fill(container, Contents(tuple((str(i), value) for i, value in enumerate(values))))
    else:
        run.fill(container, Contents(tuple(enumerate(values))))


def append(run: Interpreter, container: Value, value: Value, name: str | None = None) -> None:
    """One item more, at the end."""
    before = run.contents(container)
    if before.items is None:
        known = [element for element in (before.element, value) if element is not None]
        run.fill(container, Contents(None, run.store.join(known)))
        return
    key: Any = len(before.items)
    if name is not None:
        key = name
        if any(key == name for key, _ in before.items):
            put(run, container, name, value)
            return
    elif isinstance(container, Container) and container.flavour == "sequential":
        key = str(key)
    run.fill(container, Contents((*before.items, (key, value))))


def put(run: Interpreter, container: Value, key: Any, value: Value) -> None:
    before = run.contents(container)
    if before.items is None:
        return
    if value is DELETED:
        rest = tuple((k, v) for k, v in before.items if k != key)
        run.fill(container, Contents(rest))
        return
    if any(k == key for k, _ in before.items):
        items = tuple((k, value if k == key else v) for k, v in before.items)
    elif (isinstance(container, Container) and container.flavour in _MAPPINGS) or _is_layer(value):
        items = (*before.items, (key, value))
    else:
        return
    run.fill(container, Contents(items))


def _is_layer(value: Value) -> bool:
    return isinstance(value, Layer | Instance) or (
        isinstance(value, Container) and value.flavour in ("sequential", "modules", "module-dict")
    )


def set_item(run: Interpreter, owner: Value, index: ast.expr, value: Value, frame: Frame) -> None:
    """``owner[index] = value``."""
    if not isinstance(owner, Container):
        run.value(index, frame) if not isinstance(index, ast.Slice | ast.Tuple) else None
        if isinstance(owner, Layer):
            run.store.set((owner, "[]"), value)
        return
    found = run.value(index, frame)
    contents = run.contents(owner)
    known = isinstance(found, Constant) and contents.items is not None
    if not known or contents.items is None or not isinstance(found, Constant):
        run.fill(owner, Contents(None, UNKNOWN))
        return
    if owner.flavour in _MAPPINGS:
        put(run, owner, found.value, value)
        return
    position = _position(found.value, len(contents.items))
    if position is None:
        run.fill(owner, Contents(None, UNKNOWN))
        return
    items = list(contents.items)
    items[position] = (items[position][0], value)
    run.fill(owner, Contents(tuple(items)))


def _position(index: object, length: int) -> int | None:
    if not isinstance(index, int) or isinstance(index, bool):
        return None
    position = index + length if index < 0 else index
    return position if 0 <= position < length else None


def get_item(run: Interpreter, owner: Value, index: Value) -> Value:
    """``owner[index]`` for a container and an index that is no slice."""
    contents = run.contents(owner)
    if contents.items is None:
        return contents.element or UNKNOWN
    if not isinstance(index, Constant):
        return run.element(owner) or UNKNOWN
    if isinstance(owner, Container) and owner.flavour in _MAPPINGS:
        return item(run, owner, index.value) or UNKNOWN
    position = _position(index.value, len(contents.items))
    return contents.items[position][1] if position is not None else UNKNOWN


def item(run: Interpreter, owner: Value, key: Any) -> Value | None:
    contents = run.contents(owner)
    if contents.items is None:
        return contents.element
    return next((value for k, value in contents.items if k == key), None)


def sliced(run: Interpreter, owner: Container, low: Value, high: Value, step: Value) -> Value:
    """``owner[low:high:step]``."""
    contents = run.contents(owner)
    bounds: list[Any] = [
        value.value if isinstance(value, Constant) else UNKNOWN for value in (low, high, step)
    ]
    if contents.items is None or UNKNOWN in bounds:
        return run.container(owner.flavour, Contents(None, run.element(owner)), owner.site)
    try:
        kept = contents.items[slice(bounds[0], bounds[1], bounds[2])]
    except (TypeError, ValueError):
        return UNKNOWN
    named = owner.flavour == "sequential"
    items = tuple((str(i) if named else i, value) for i, (_, value) in enumerate(kept))
    return run.container(owner.flavour, Contents(items), owner.site)


def truth(run: Interpreter, value: Value) -> bool | None:
    """Whether a condition holds; None where that is not known."""
    if isinstance(value, Constant):
        return bool(value.value)
    if isinstance(value, Function | Bound | ClassValue | Layer | Instance):
        return True
    if isinstance(value, Container):
        items = run.contents(value).items
        return None if items is None else bool(items)
    return None


def turns(run: Interpreter, value: Value) -> list[Value] | None:
    """What a loop runs over, turn by turn; None where that is not known."""
    return items_of(run, value)


def any_turn(run: Interpreter, value: Value) -> Value:
    """What is known of every turn of a loop whose number of turns is not known."""
    if isinstance(value, Container):
        return run.element(value) or UNKNOWN
    return replace(value.reshaped(), batched=False) if isinstance(value, Tensor) else UNKNOWN


def add_module(
    run: Interpreter, owner: Value, arguments: Sequence[Value], keywords: Mapping[str, Value]
) -> None:
    """``container.add_module(name, module)``."""
    name = keywords.get("name", arguments[0] if arguments else UNKNOWN)
    module = keywords.get("module", arguments[1] if len(arguments) > 1 else UNKNOWN)
    if isinstance(name, Constant) and isinstance(name.value, str):
        run.touched.add(owner)
        run.store.set((owner, name.value), module)
    if run.store.get((owner, None)) is not None:
        key = name.value if isinstance(name, Constant) and isinstance(name.value, str) else None
        append(run, owner, module, key)
