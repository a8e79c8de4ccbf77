"""Calls: of the program's own functions and classes, of layers and losses, and of libraries."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xent.wiring._flow import _container_calls as container_calls
from xent.wiring._flow import _containers as containers
from xent.wiring._flow import _library_calls as library
from xent.wiring._flow import _object_calls as made
from xent.wiring._flow import _objects as objects
from xent.wiring._flow import _tensors as tensors
from xent.wiring._flow._function_calls import enter, let_out
from xent.wiring._flow._producers import GIVE_THEMSELVES, Effect, method_effect
from xent.wiring._flow._values import (
    NOTHING,
    PLAIN,
    UNKNOWN,
    Bound,
    ClassValue,
    Container,
    Contents,
    External,
    Frame,
    Function,
    Instance,
    Layer,
    Partial,
    Super,
    Tensor,
    Value,
)
from xent.wiring._places import Site

if TYPE_CHECKING:
    from xent.wiring._flow._interpreter import Interpreter

# What only tensors have: of an unknown object these are taken to be of torch.
_TELLING = (Effect.SOFTMAX, Effect.LOG_SOFTMAX, Effect.SIGMOID, Effect.CLASS_INDEX)


def read_call(run: Interpreter, node: ast.Call, frame: Frame) -> Value:
    """What a call expression gives."""
    function = node.func
    if isinstance(function, ast.Name) and function.id == "super" and frame.owner is not None:
        return _super(run, node, frame)
    if isinstance(function, ast.Attribute):
        owner = run.value(function.value, frame)
        arguments, keywords = _arguments(run, node, frame)
        return _method(run, owner, function.attr, arguments, keywords, run.site(node), frame)
    found = run.value(function, frame)
    arguments, keywords = _arguments(run, node, frame)
    return call(run, found, arguments, keywords, run.site(node), frame)


def _super(run: Interpreter, node: ast.Call, frame: Frame) -> Value:
    if frame.receiver is None or frame.owner is None:
        return UNKNOWN
    return Super(frame.owner, frame.receiver)


def _arguments(
    run: Interpreter, node: ast.Call, frame: Frame
) -> tuple[list[Value], dict[str, Value]]:
    """The arguments of a call; after a star of unknown length nothing is known."""
    arguments: list[Value] = []
    for item in node.args:
        if not isinstance(item, ast.Starred):
            arguments.append(run.value(item, frame))
            continue
        found = run.value(item.value, frame)
        items = containers.items_of(run, found)
        if items is None:
            every = run.element(found) if isinstance(found, Container) else None
            arguments.append(run.container("*", Contents(None, every or UNKNOWN)))
        else:
            arguments.extend(items)
    keywords: dict[str, Value] = {}
    for keyword in node.keywords:
        found = run.value(keyword.value, frame)
        if keyword.arg is not None:
            keywords[keyword.arg] = found
            continue
        inside = run.contents(found).items if isinstance(found, Container) else None
        keywords.update({key: value for key, value in inside or () if isinstance(key, str)})
        if inside is None:
            keywords["**"] = UNKNOWN
    return arguments, keywords


def call(
    run: Interpreter,
    function: Value,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
    frame: Frame,
) -> Value:
    """What calling a value gives."""
    if isinstance(function, Function):
        return enter(run, function, None, arguments, keywords, site)
    if isinstance(function, Bound):
        return _bound(run, function, arguments, keywords, site, frame)
    if isinstance(function, Partial):
        given = {**function.keywords, **keywords}
        both = [*function.arguments, *arguments]
        return call(run, function.function, both, given, site, frame)
    if isinstance(function, ClassValue):
        return made.make(run, function, arguments, keywords, site)
    if isinstance(function, Instance):
        return made.call_instance(run, function, arguments, keywords, site, frame)
    if isinstance(function, Layer):
        return made.call_layer(run, function, arguments, keywords, site, frame)
    if isinstance(function, Container) and function.flavour == "sequential":
        return made.call_sequence(run, function, arguments, site, frame)
    if isinstance(function, External):
        return library.call(run, function.name, arguments, keywords, site, frame)
    let_out(run, arguments, keywords)
    return UNKNOWN


def _bound(
    run: Interpreter,
    function: Bound,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
    frame: Frame,
) -> Value:
    inner = function.function
    if isinstance(inner, Function):
        return enter(run, inner, function.receiver, arguments, keywords, site)
    if isinstance(inner, External):  # super() reached a class of a library
        return made.inherited(run, inner.name, function.receiver, arguments, keywords, site, frame)
    return call(run, inner, arguments, keywords, site, frame)


def _method(
    run: Interpreter,
    owner: Value,
    name: str,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
    frame: Frame,
) -> Value:
    if isinstance(owner, Tensor):
        return library.tensor_method(run, owner, name, arguments, keywords, site)
    if isinstance(owner, Container):
        return container_calls.call(run, owner, name, arguments, keywords, site, frame)
    if isinstance(owner, Layer):
        return _layer_method(run, owner, name, arguments, keywords, site, frame)
    found = objects.get_attribute(run, owner, name, frame)
    if isinstance(owner, Instance) and found is UNKNOWN and objects.is_module(owner.type):
        if name in GIVE_THEMSELVES:
            return owner
        if name in ("add_module", "register_module"):
            containers.add_module(run, owner, arguments, keywords)
            return NOTHING
    if owner is UNKNOWN:
        effect = method_effect(name)
        if effect in _TELLING or (effect is Effect.EXP and not arguments):
            assert effect is not None
            return tensors.apply(run, name, effect, PLAIN, arguments, keywords, site)
        if name in ("sub", "sub_") and arguments:
            return tensors.DIFFERENCE
        if name in ("view", "reshape") and len(arguments) > 1:
            return tensors.apply(run, name, Effect.RESHAPED, PLAIN, arguments, keywords, site)
        let_out(run, arguments, keywords)
        return UNKNOWN
    return call(run, found, arguments, keywords, site, frame)


def _layer_method(
    run: Interpreter,
    owner: Layer,
    name: str,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
    frame: Frame,
) -> Value:
    if name in GIVE_THEMSELVES:
        return owner
    if name in ("forward", "__call__"):
        return made.call_layer(run, owner, arguments, keywords, site, frame)
    if name in ("fit", "partial_fit"):
        return owner
    if name in ("add_module", "register_module"):
        containers.add_module(run, owner, arguments, keywords)
        return NOTHING
    let_out(run, arguments, keywords)
    return UNKNOWN
