"""Statements: assignments, branches, loops, definitions and imports."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from xent.wiring._flow import _containers as containers
from xent.wiring._flow import _objects as objects
from xent.wiring._flow import _tensors as tensors
from xent.wiring._flow._store import DELETED, Changes
from xent.wiring._flow._values import (
    NOTHING,
    UNKNOWN,
    Container,
    Contents,
    Deferred,
    External,
    Frame,
    Tensor,
    Value,
)

if TYPE_CHECKING:
    from xent.wiring._flow._interpreter import Interpreter

MOST_TURNS = 48


def block(run: Interpreter, body: Sequence[ast.stmt], frame: Frame) -> bool:
    """Read statements one after the other; whether the end is reached."""
    for statement in body:
        run.step()
        reader = _READERS.get(type(statement))
        if reader is not None and not reader(run, statement, frame):
            return False
    return True


def _expression(run: Interpreter, node: ast.Expr, frame: Frame) -> bool:
    given = node.value
    if isinstance(given, ast.Constant):
        return True
    result = run.value(given, frame)
    if (
        isinstance(given, ast.Call)
        and isinstance(given.func, ast.Attribute)
        and given.func.attr.endswith("_")
        and isinstance(given.func.value, ast.Name)
        and isinstance(result, Tensor)
    ):
        run.bind(given.func.value.id, result, frame)  # x.sigmoid_() changes x
    return True


def _assign(run: Interpreter, node: ast.Assign, frame: Frame) -> bool:
    value = run.value(node.value, frame)
    for target in node.targets:
        assign(run, target, value, frame)
    return True


def _annotated(run: Interpreter, node: ast.AnnAssign, frame: Frame) -> bool:
    if node.value is not None:
        assign(run, node.target, run.value(node.value, frame), frame)
    return True


def _augmented(run: Interpreter, node: ast.AugAssign, frame: Frame) -> bool:
    load = _as_load(node.target)
    before = run.value(load, frame) if load is not None else UNKNOWN
    added = run.value(node.value, frame)
    if isinstance(before, Container) and isinstance(node.op, ast.Add):
        containers.extend(run, before, added)
        return True
    assign(run, node.target, tensors.binary(run, node, before, added), frame)
    return True


def _as_load(target: ast.expr) -> ast.expr | None:
    if isinstance(target, ast.Name):
        return ast.copy_location(ast.Name(target.id, ast.Load()), target)
    if isinstance(target, ast.Attribute):
        return ast.copy_location(ast.Attribute(target.value, target.attr, ast.Load()), target)
    return None


def assign(run: Interpreter, target: ast.expr, value: Value, frame: Frame) -> None:
    """Give a target a value."""
    if isinstance(target, ast.Name):
        run.bind(target.id, value, frame)
    elif isinstance(target, ast.Tuple | ast.List):
        _unpack(run, target.elts, value, frame)
    elif isinstance(target, ast.Attribute):
        objects.set_attribute(run, run.value(target.value, frame), target.attr, value)
    elif isinstance(target, ast.Subscript):
        containers.set_item(run, run.value(target.value, frame), target.slice, value, frame)
    elif isinstance(target, ast.Starred):
        assign(run, target.value, UNKNOWN, frame)


def _unpack(run: Interpreter, targets: Sequence[ast.expr], value: Value, frame: Frame) -> None:
    items = containers.items_of(run, value)
    starred = next((i for i, one in enumerate(targets) if isinstance(one, ast.Starred)), None)
    if items is None:
        every = run.element(value) if isinstance(value, Container) else None
        for target in targets:
            assign(run, target, every or UNKNOWN, frame)
        return
    if starred is None:
        for position, target in enumerate(targets):
            assign(run, target, items[position] if position < len(items) else UNKNOWN, frame)
        return
    after = len(targets) - starred - 1
    for position, target in enumerate(targets[:starred]):
        assign(run, target, items[position] if position < len(items) else UNKNOWN, frame)
    middle = tuple(enumerate(items[starred : len(items) - after]))
    rest = targets[starred]
    if isinstance(rest, ast.Starred):
        assign(run, rest.value, run.container("list", Contents(middle)), frame)
    for position, target in enumerate(targets[starred + 1 :], start=len(items) - after):
        assign(run, target, items[position] if 0 <= position < len(items) else UNKNOWN, frame)


def _delete(run: Interpreter, node: ast.Delete, frame: Frame) -> bool:
    for target in node.targets:
        if isinstance(target, ast.Name):
            run.store.set((frame, target.id), DELETED)
        elif isinstance(target, ast.Attribute):
            objects.set_attribute(run, run.value(target.value, frame), target.attr, DELETED)
        elif isinstance(target, ast.Subscript):
            owner = run.value(target.value, frame)
            if isinstance(owner, Container):
                run.fill(owner, Contents(None, UNKNOWN))
    return True


def _return(run: Interpreter, node: ast.Return, frame: Frame) -> bool:
    value = run.value(node.value, frame) if node.value is not None else NOTHING
    frame.returns.append(value)
    if node.value is not None:
        run.note_return(frame.function_name, value, run.site(node.value))
    frame.exits.append(run.store.since(frame.depth))
    return False


def _raise(run: Interpreter, node: ast.Raise, frame: Frame) -> bool:
    if node.exc is not None:
        run.value(node.exc, frame)
    return False


def _if(run: Interpreter, node: ast.If, frame: Frame) -> bool:
    """Iterative over elif, of which there may be thousands."""
    ends: list[Changes] = []
    tests: ast.If | None = node
    while tests is not None:
        truth = containers.truth(run, run.value(tests.test, frame))
        if truth is not False:
            run.store.push()
            through = block(run, tests.body, frame)
            changes = run.store.pop()
            if through:
                ends.append(changes)
        if truth is True:
            break
        rest = tests.orelse
        if len(rest) == 1 and isinstance(rest[0], ast.If):
            tests = rest[0]
            run.step()
            continue
        run.store.push()
        through = block(run, rest, frame)
        changes = run.store.pop()
        if through:
            ends.append(changes)
        tests = None
    if ends:
        run.store.merge(ends)
    return bool(ends)


def _with(run: Interpreter, node: ast.With | ast.AsyncWith, frame: Frame) -> bool:
    before = frame.under_no_grad
    for item in node.items:
        value = run.value(item.context_expr, frame)
        if _stops_gradients(run, item.context_expr, frame):
            frame.under_no_grad = True
        if item.optional_vars is not None:
            assign(run, item.optional_vars, value, frame)
    through = block(run, node.body, frame)
    frame.under_no_grad = before
    return through


def _stops_gradients(run: Interpreter, node: ast.expr, frame: Frame) -> bool:
    function = run.value(node.func, frame) if isinstance(node, ast.Call) else UNKNOWN
    return isinstance(function, External) and function.name in (
        "torch.no_grad", "torch.inference_mode", "torch.autograd.no_grad",
    )  # fmt: skip


def _for(run: Interpreter, node: ast.For | ast.AsyncFor, frame: Frame) -> bool:
    over = run.value(node.iter, frame)
    turns = containers.turns(run, over)
    known = turns is not None and 0 < len(turns) <= MOST_TURNS and not _leaves_early(node.body)
    if known and turns is not None:
        for item in turns:
            assign(run, node.target, item, frame)
            if not block(run, node.body, frame):
                return False
        return block(run, node.orelse, frame)
    every = run.store.join(turns) if turns else containers.any_turn(run, over)
    return _loop(run, node, frame, every)


def _leaves_early(body: Sequence[ast.stmt]) -> bool:
    return any(
        isinstance(found, ast.Break | ast.Continue | ast.Return)
        for statement in body
        for found in ast.walk(statement)
    )


def _while(run: Interpreter, node: ast.While, frame: Frame) -> bool:
    if containers.truth(run, run.value(node.test, frame)) is False:
        return block(run, node.orelse, frame)
    return _loop(run, node, frame, None)


def _loop(
    run: Interpreter, node: ast.For | ast.AsyncFor | ast.While, frame: Frame, item: Value | None
) -> bool:
    """One turn, which may be the only one, none or one of many."""
    run.store.push()
    depth = len(run.store.layers) - 1
    frame.loops.append((depth, []))
    if item is not None and not isinstance(node, ast.While):
        assign(run, node.target, item, frame)
    through = block(run, node.body, frame)
    _, left = frame.loops.pop()
    changes = run.store.pop()
    ends = [changes] if through else []
    run.store.merge([{}, *ends, *left])
    return block(run, node.orelse, frame)


def _leave_turn(run: Interpreter, node: ast.Break | ast.Continue, frame: Frame) -> bool:
    if frame.loops:
        depth, left = frame.loops[-1]
        left.append(run.store.since(depth))
    return False


def _try(run: Interpreter, node: ast.Try, frame: Frame) -> bool:
    ends: list[Changes] = []
    run.store.push()
    through = block(run, [*node.body, *node.orelse], frame)
    changes = run.store.pop()
    if through:
        ends.append(changes)
    for handler in node.handlers:
        run.store.push()
        if handler.name:
            run.bind(handler.name, UNKNOWN, frame)
        through = block(run, handler.body, frame)
        changes = run.store.pop()
        if through:
            ends.append(changes)
    if ends:
        run.store.merge(ends)
    through = block(run, node.finalbody, frame)
    return through and bool(ends)


def _match(run: Interpreter, node: ast.Match, frame: Frame) -> bool:
    run.value(node.subject, frame)
    ends: list[Changes] = []
    catches_all = False
    for case in node.cases:
        run.store.push()
        for part in ast.walk(case.pattern):
            name = getattr(part, "name", None) or getattr(part, "rest", None)
            if isinstance(name, str):
                run.bind(name, UNKNOWN, frame)
        through = block(run, case.body, frame)
        changes = run.store.pop()
        if through:
            ends.append(changes)
        if (
            case.guard is None
            and isinstance(case.pattern, ast.MatchAs)
            and not case.pattern.pattern
        ):
            catches_all = True
    if not catches_all:
        ends.append({})
    if ends:
        run.store.merge(ends)
    return bool(ends)


def _function(run: Interpreter, node: ast.FunctionDef | ast.AsyncFunctionDef, frame: Frame) -> bool:
    run.bind(node.name, objects.define_function(run, node, frame), frame)
    return True


def _class(run: Interpreter, node: ast.ClassDef, frame: Frame) -> bool:
    run.bind(node.name, objects.define_class(run, node, frame), frame)
    return True


def _import(run: Interpreter, node: ast.Import, frame: Frame) -> bool:
    for alias in node.names:
        if alias.asname:
            run.bind(alias.asname, Deferred(alias.name, None, frame.module), frame)
        else:
            top = alias.name.partition(".")[0]
            run.bind(top, Deferred(top, None, frame.module), frame)
    return True


def _import_from(run: Interpreter, node: ast.ImportFrom, frame: Frame) -> bool:
    module = run.project.absolute(frame.module, node.module, node.level)
    for alias in node.names:
        if alias.name == "*":
            frame.stars.append(Deferred(module, None, frame.module))
            run.starred.clear()
        elif not module:
            inner = Deferred(alias.name, None, frame.module)
            run.bind(alias.asname or alias.name, inner, frame)
        else:
            run.bind(alias.asname or alias.name, Deferred(module, alias.name, frame.module), frame)
    return True


def _global(run: Interpreter, node: ast.Global, frame: Frame) -> bool:
    frame.globals.update(node.names)
    return True


def _nonlocal(run: Interpreter, node: ast.Nonlocal, frame: Frame) -> bool:
    frame.nonlocals.update(node.names)
    return True


def _assert(run: Interpreter, node: ast.Assert, frame: Frame) -> bool:
    run.value(node.test, frame)
    return True


_READERS: dict[type, objects.Reader] = {
    ast.Expr: _expression,
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augmented,
    ast.Delete: _delete,
    ast.Return: _return,
    ast.Raise: _raise,
    ast.If: _if,
    ast.With: _with,
    ast.AsyncWith: _with,
    ast.For: _for,
    ast.AsyncFor: _for,
    ast.While: _while,
    ast.Break: _leave_turn,
    ast.Continue: _leave_turn,
    ast.Try: _try,
    ast.TryStar: _try,
    ast.Match: _match,
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.ClassDef: _class,
    ast.Import: _import,
    ast.ImportFrom: _import_from,
    ast.Global: _global,
    ast.Nonlocal: _nonlocal,
    ast.Assert: _assert,
}
