"""Activations as code writes them: functions, methods, layers that are made or called."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

from xent.wiring._fixes._names import is_read_once
from xent.wiring._fixes._syntax import Syntax, call_at, start_of
from xent.wiring._flow._producers import OPERATIONS, function_effect, layer_effect
from xent.wiring._places import Site

FUNCTION, METHOD, MADE, CALLED = "function", "method", "made", "called"
_LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.comprehension)


@dataclass(frozen=True)
class Activation:
    """An activation as the code writes it.

    Args:
        code: the file.
        node: the call.
        form: ``function`` for ``F.softmax(x, dim=1)``, ``method`` for ``x.softmax(1)``, ``made``
            for ``nn.Softmax(dim=1)``, ``called`` for ``self.act(x)``.
        given: what it is applied to; None where it is made.
    """

    code: Syntax
    node: ast.Call
    form: str
    given: ast.expr | None = None


def activation_at(site: Site | None) -> Activation | None:
    """The activation at a site; None where it isn't certain what the call is applied to."""
    found = call_at(site)
    if found is None or any(each.arg == "out" for each in found[1].keywords):
        return None
    code, node = found
    name = code.full_name(node.func)
    if layer_effect(name) is not None:
        return Activation(code, node, MADE)
    if function_effect(name) is not None:
        given = input_of(node)
        return None if given is None else Activation(code, node, FUNCTION, given)
    if name:
        return None
    return _method_or_object(code, node)


def input_of(node: ast.Call) -> ast.expr | None:
    """The first argument of a call, by position or as ``input``."""
    given = next((each.value for each in node.keywords if each.arg == "input"), None)
    if given is None and node.args:
        given = node.args[0]
    return None if isinstance(given, ast.Starred) else given


def _method_or_object(code: Syntax, node: ast.Call) -> Activation | None:
    function = node.func
    if isinstance(function, ast.Attribute) and function.attr in OPERATIONS:
        if _has_options_only(node):
            return Activation(code, node, METHOD, function.value)
        if not (isinstance(function.value, ast.Name) and function.value.id == "self"):
            return None
    one = len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Starred)
    return Activation(code, node, CALLED, node.args[0]) if one else None


def _has_options_only(node: ast.Call) -> bool:
    """Whether the arguments are those of a method of a tensor: an axis, or nothing."""
    return all(is_whole(each) for each in node.args) and all(
        each.arg in ("dim", "axis", "dtype") for each in node.keywords
    )


def is_whole(node: ast.expr) -> bool:
    """Whether a whole number is written there, such as -1."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant) and type(node.value) is int


def is_used_once(found: Activation) -> bool:
    """Whether a layer goes to one place: as an argument, a result, or by a name read once."""
    code, node = found.code, found.node
    parent = code.parents.get(node)
    if isinstance(parent, ast.Call | ast.keyword | ast.Return | ast.IfExp | ast.List | ast.Tuple):
        return True
    if not isinstance(parent, ast.Assign) or len(parent.targets) != 1:
        return False
    target = parent.targets[0]
    if isinstance(target, ast.Subscript):
        return True
    return is_read_once(code, target)


def is_carried(found: Activation) -> bool:
    """Whether a loop applies it again and again, or to what other turns gave."""
    code, node, given = found.code, found.node, found.given
    loops = [each for each in _inside(code, node) if isinstance(each, _LOOPS)]
    if not loops or given is None:
        return False
    turned = {each.id for loop in loops for each in ast.walk(loop) if _is_stored(each)}
    of_loop = isinstance(node.func, ast.Name) and node.func.id in turned
    if found.form == CALLED and (of_loop or isinstance(node.func, ast.Subscript)):
        return True
    statement = code.statement(node)
    if not isinstance(statement, ast.Assign | ast.AugAssign):
        return False
    targets = {each.id for each in ast.walk(statement) if _is_stored(each)}
    return any(
        name in targets and not _is_set_before(loops[0], name, statement)
        for name in (each.id for each in ast.walk(given) if isinstance(each, ast.Name))
    )


def _inside(code: Syntax, node: ast.AST) -> Iterator[ast.AST]:
    for each in code.above(node):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return
        yield each


def _is_stored(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _is_set_before(loop: ast.AST, name: str, statement: ast.stmt) -> bool:
    return any(
        isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Store)
        and start_of(each) < start_of(statement)
        for each in ast.walk(loop)
    )  # fmt: skip
