"""Objects of the program's own classes, and layers of torch: how they are made and called."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xent.wiring._flow import _containers as containers
from xent.wiring._flow import _library_calls as library
from xent.wiring._flow import _objects as objects
from xent.wiring._flow import _tensors as tensors
from xent.wiring._flow._function_calls import enter, is_star
from xent.wiring._flow._names import canonical
from xent.wiring._flow._producers import GIVE_THEMSELVES, Effect, layer_effect
from xent.wiring._flow._values import (
    NOTHING,
    PLAIN,
    UNKNOWN,
    ClassValue,
    Constant,
    Container,
    Contents,
    External,
    Frame,
    Function,
    Instance,
    Layer,
    Value,
)
from xent.wiring._places import Site

if TYPE_CHECKING:
    from xent.wiring._flow._interpreter import Interpreter


def make(
    run: Interpreter,
    found: ClassValue,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
) -> Value:
    instance = Instance(found)
    initialise, hidden = objects.find_in_class(run, found, "__init__")
    if isinstance(initialise, Function) and not hidden:
        enter(run, initialise, instance, arguments, keywords, site)
    elif initialise is None and not hidden:
        inherited(run, f"{objects.library_base(found)}.__init__", instance, arguments, keywords,
                   site, found.frame)  # fmt: skip
        _fields(run, found, instance, arguments, keywords)
    elif isinstance(initialise, Function):
        enter(run, initialise, instance, arguments, keywords, site)
    return instance


def _fields(
    run: Interpreter,
    found: ClassValue,
    instance: Instance,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
) -> None:
    """Of a dataclass or named tuple: its fields are its arguments."""
    names = [
        statement.target.id
        for statement in found.node.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    ]
    if not names or any(is_star(value) for value in arguments):
        return
    items: list[tuple[int, Value]] = []
    for position, name in enumerate(names):
        value = arguments[position] if position < len(arguments) else keywords.get(name)
        if value is not None:
            run.store.set((instance, name), value)
            items.append((position, value))
    is_tuple = any(
        isinstance(base, External) and base.name.endswith("NamedTuple") for base in found.bases
    )
    if is_tuple:
        run.fill(instance, Contents(tuple(items)))


def inherited(
    run: Interpreter,
    name: str,
    receiver: Value,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
    frame: Frame,
) -> Value:
    """A method of a class of torch, called on an object of a class of the program."""
    owner, _, method = name.rpartition(".")
    if method == "__init__":
        if owner == "torch.nn.Sequential":
            run.touched.add(receiver)
            run.fill(receiver, library.layers_given(run, arguments))
        elif objects.library_base_of(owner):
            made = Layer(owner, site, tuple(arguments), dict(keywords))
            run.touched.add(receiver)
            run.store.set((receiver, "(library)"), made)
        return NOTHING
    if method in ("forward", "__call__"):
        if owner == "torch.nn.Sequential":
            return _run_through(run, receiver, arguments, site, frame)
        return _call_library_part(run, receiver, owner, arguments, keywords, site, frame)
    if method in GIVE_THEMSELVES:
        return receiver
    if method == "add_module":
        containers.add_module(run, receiver, arguments, keywords)
    return UNKNOWN


def _call_library_part(
    run: Interpreter,
    receiver: Value,
    owner: str,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
    frame: Frame,
) -> Value:
    made = run.store.get((receiver, "(library)"))
    if not isinstance(made, Layer):
        made = Layer(owner, site)
    return call_layer(run, made, arguments, keywords, site, frame)


def call_instance(
    run: Interpreter,
    instance: Instance,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
    frame: Frame,
) -> Value:
    found, hidden = objects.find_in_class(run, instance.type, "__call__")
    if found is None and objects.is_module(instance.type):
        stored = run.store.get((instance, "forward"))
        if isinstance(stored, Value):
            found = stored
        else:
            found, hidden = objects.find_in_class(run, instance.type, "forward")
    if isinstance(found, Function):
        result = enter(run, found, instance, arguments, keywords, site)
        return run.tagged(result, instance)
    if found is not None or hidden:
        return UNKNOWN
    base = objects.library_base(instance.type)
    if base == "torch.nn.Sequential":
        return run.tagged(_run_through(run, instance, arguments, site, frame), instance)
    if base:
        return _call_library_part(run, instance, base, arguments, keywords, site, frame)
    return UNKNOWN


def call_sequence(
    run: Interpreter, sequence: Container, arguments: Sequence[Value], site: Site, frame: Frame
) -> Value:
    return run.tagged(_run_through(run, sequence, arguments, site, frame), sequence)


def _run_through(
    run: Interpreter, sequence: Value, arguments: Sequence[Value], site: Site, frame: Frame
) -> Value:
    """One layer after the other."""
    contents = run.contents(sequence)
    if contents.items is None:
        return UNKNOWN
    given: Sequence[Value] = arguments
    result: Value = arguments[0] if arguments else UNKNOWN
    for _, layer in contents.items:
        where = layer.site if isinstance(layer, Layer) else site
        result = run.call(layer, given, {}, where, frame)
        given = (result,)
    return result


def call_layer(
    run: Interpreter,
    layer: Layer,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
    frame: Frame,
) -> Value:
    """What a layer or loss of torch gives."""
    name = canonical(layer.name)
    given = arguments[0] if arguments else keywords.get("input", UNKNOWN)
    if library.call_loss_layer(run, layer, arguments, keywords, site):
        return PLAIN
    known = layer_effect(name)
    if known is None:
        return library.call_other_layer(run, layer, given, site, frame)
    operation, effect = known
    if effect is Effect.SCORES:
        outputs = library.size_of(layer, operation)
        return run.tagged(tensors.scores(outputs, given, operation, site), layer)
    options = {key: value for key, value in layer.keywords.items() if key in ("dim", "axis")}
    positional: Sequence[Value] = ()
    if effect in (Effect.SOFTMAX, Effect.LOG_SOFTMAX) and operation != "Softmax2d":
        positional = layer.arguments[:1]
    if operation == "Softmax2d":
        options = {"dim": Constant(1)}
    shown = library.OPERATION_OF_LAYER.get(operation, operation)
    return tensors.apply(run, shown, effect, given, positional, options, site)
