"""Calls of the program's own functions: their bodies are read with what they are given."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xent.wiring._flow import _objects as objects
from xent.wiring._flow import _summaries as summaries
from xent.wiring._flow._values import (
    NOTHING,
    UNKNOWN,
    Bound,
    Container,
    Contents,
    Frame,
    Function,
    Instance,
    Value,
    next_number,
)
from xent.wiring._places import Site

if TYPE_CHECKING:
    from xent.wiring._flow._interpreter import Interpreter

DEEPEST_CALL = 16


def is_star(value: Value) -> bool:
    return isinstance(value, Container) and value.flavour == "*"


def enter(
    run: Interpreter,
    function: Function,
    receiver: Value | None,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
) -> Value:
    """Read the body of a function with the arguments of a call."""
    run.step()
    if len(run.stack) >= DEEPEST_CALL or sum(f.node is function.node for f in run.stack) >= 2:
        run.truncated += 1
        return UNKNOWN
    carried = any(objects.carries(run, value) for value in (*arguments, *keywords.values()))
    carried = carried or objects.method_matters(run, function, receiver)
    if not carried and not run.matters(function):
        return UNKNOWN
    asked = summaries.question(run, function, receiver, arguments, keywords, carried=carried)
    if asked is not None and (known := run.summaries.get(asked.key)) is not None:
        return summaries.again(run, known, receiver)
    start, truncated = next_number(), run.truncated
    frame = Frame(function.frame.module, function.frame)
    frame.owner, frame.receiver = function.owner, receiver
    given = list(arguments) if receiver is None else [receiver, *arguments]
    events = len(run.events)
    with run.in_frame(frame, site):
        _bind_parameters(run, function.node.args, frame, given, dict(keywords))
        result = _body(run, function, frame)
    if asked is not None and len(run.events) == events and run.truncated == truncated:
        found = summaries.summary(run, asked, receiver, result, frame.exits, start)
        if found is not None:
            run.summaries[asked.key] = found
    return result


def enter_with_unknowns(run: Interpreter, function: Function, receiver: Value | None) -> Value:
    """Read the body of a function of whose arguments nothing is known."""
    if len(run.stack) >= DEEPEST_CALL or any(f.node is function.node for f in run.stack):
        return UNKNOWN
    frame = Frame(function.frame.module, function.frame)
    frame.owner = function.owner
    names = [*function.node.args.posonlyargs, *function.node.args.args]
    static = "builtins.staticmethod" in function.decorators
    if function.owner is not None and receiver is not None and not static:
        frame.receiver = receiver
        of_class = "builtins.classmethod" in function.decorators
        is_instance = isinstance(receiver, Instance)
        first: Value = receiver.type if of_class and isinstance(receiver, Instance) else receiver
        if names and is_instance:
            run.store.set((frame, names[0].arg), first)
            names = names[1:]
    run.frame_stack.append(frame)
    kept, run.sites = run.sites, []
    depth, run.expression_depth = run.expression_depth, 0
    try:
        rest = [function.node.args.vararg, function.node.args.kwarg]
        for parameter in [*names, *function.node.args.kwonlyargs, *rest]:
            if parameter is not None:
                run.store.set((frame, parameter.arg), UNKNOWN)
        return _body(run, function, frame)
    finally:
        run.frame_stack.pop()
        run.sites, run.expression_depth = kept, depth


def _body(run: Interpreter, function: Function, frame: Frame) -> Value:
    run.read.add(function.node)
    run.stack.append(function)
    frame.under_no_grad = any(
        name in ("torch.no_grad", "torch.inference_mode") for name in function.decorators
    )
    if isinstance(function.node, ast.Lambda):
        frame.function_name = "<lambda>"
        try:
            return run.value(function.node.body, frame)
        finally:
            run.stack.pop()
    frame.function_name = function.node.name
    run.store.push()
    frame.depth = len(run.store.layers) - 1
    try:
        through = run.block(function.node.body, frame)
    finally:
        run.stack.pop()
        changes = run.store.pop() if len(run.store.layers) > frame.depth else {}
    ends = [*frame.exits, *([changes] if through else [])]
    outside = [{k: v for k, v in end.items() if k[0] is not frame} for end in ends]
    if outside:
        run.store.merge(outside)
    frame.exits = outside
    if _yields(function):
        return UNKNOWN
    if not frame.returns:
        return NOTHING
    returned = list(frame.returns) + ([NOTHING] if through else [])
    return run.store.join(returned)


def _yields(function: Function) -> bool:
    """Whether a call gives a generator and not what the function returns."""
    node = function.node
    lines = function.frame.module.source.lines[node.lineno - 1 : node.end_lineno]
    return any("yield" in line for line in lines) and any(
        isinstance(part, ast.Yield | ast.YieldFrom) for part in ast.walk(node)
    )


def _bind_parameters(
    run: Interpreter,
    parameters: ast.arguments,
    frame: Frame,
    given: list[Value],
    keywords: dict[str, Value],
) -> None:
    names = [*parameters.posonlyargs, *parameters.args]
    defaults: list[ast.expr | None] = [None] * (len(names) - len(parameters.defaults))
    defaults += parameters.defaults
    unsure = keywords.pop("**", None) is not None
    star = next((i for i, value in enumerate(given) if is_star(value)), None)
    known = given if star is None else given[:star]
    for position, (parameter, default) in enumerate(zip(names, defaults, strict=True)):
        if position < len(known):
            value = known[position]
        elif parameter.arg in keywords:
            value = keywords.pop(parameter.arg)
        elif star is not None or unsure:
            value = UNKNOWN
        else:
            value = _default(run, default, frame)
        run.store.set((frame, parameter.arg), value)
    for parameter, default in zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True):
        if parameter.arg in keywords:
            value = keywords.pop(parameter.arg)
        else:
            value = UNKNOWN if unsure else _default(run, default, frame)
        run.store.set((frame, parameter.arg), value)
    if parameters.vararg is not None:
        rest = Contents(tuple(enumerate(known[len(names) :])))
        made = rest if star is None else Contents(None, UNKNOWN)
        run.store.set((frame, parameters.vararg.arg), run.container("tuple", made))
    if parameters.kwarg is not None:
        left = Contents(None, UNKNOWN) if unsure else Contents(tuple(keywords.items()))
        run.store.set((frame, parameters.kwarg.arg), run.container("dict", left))


def _default(run: Interpreter, default: ast.expr | None, frame: Frame) -> Value:
    return UNKNOWN if default is None else run.value(default, frame.outer or frame)


def let_out(run: Interpreter, arguments: Sequence[Value], keywords: Mapping[str, Value]) -> None:
    """What is given to code that can't be read: its functions are called, its lists filled."""
    for value in (*arguments, *keywords.values()):
        receiver = value.receiver if isinstance(value, Bound) else None
        function = value.function if isinstance(value, Bound) else value
        if isinstance(function, Function) and run.is_new(function):
            run.read_apart(function, receiver)
        elif isinstance(value, Container) and run.contents(value).items == ():
            run.fill(value, Contents(None, UNKNOWN))
