"""Dataclasses as plain lists for JSON, and back."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints


def plain(value: Any) -> Any:
    """A value as lists, strings, numbers, True, False and None; a dataclass is its fields.

    >>> from xent.wiring._places import Place
    >>> plain((Place("a.py", None, 1, 2, 3, 4), 5))
    [['a.py', None, 1, 2, 3, 4], 5]
    """
    if is_dataclass(value):
        return [plain(getattr(value, each.name)) for each in fields(value)]
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def rebuilt(kind: Any, data: Any) -> Any:
    """The value of a type that ``plain`` made the data of; ValueError where it can't be.

    >>> rebuilt(tuple[int, ...] | None, [1, 2])
    (1, 2)
    """
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        if data is None and type(None) in get_args(kind):
            return None
        (kind,) = (each for each in get_args(kind) if each is not type(None))
        return rebuilt(kind, data)
    if origin is tuple:
        return _tuple(get_args(kind), data)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        if not isinstance(data, list) or len(data) != len(hints):
            raise ValueError(f"no {kind.__name__}: {data!r}")
        return kind(*(rebuilt(hint, item) for hint, item in zip(hints, data, strict=True)))
    if type(data) is not kind:
        raise ValueError(f"no {kind.__name__}: {data!r}")
    return data


def _tuple(kinds: tuple[Any, ...], data: Any) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise ValueError(f"no list: {data!r}")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(rebuilt(kinds[0], item) for item in data)
    if len(kinds) != len(data):
        raise ValueError(f"not of length {len(kinds)}: {data!r}")
    return tuple(rebuilt(kind, item) for kind, item in zip(kinds, data, strict=True))


@cache
def _hints(kind: type) -> tuple[Any, ...]:
    hints = get_type_hints(kind)
    return tuple(hints[each.name] for each in fields(kind))
