"""Repairs of formulas written out, and of the axis that is summed over."""

from __future__ import annotations

import ast

from xent.wiring._finding import Edit, Fix
from xent.wiring._fixes._forms import FUNCTION, METHOD, Activation, activation_at, input_of
from xent.wiring._fixes._losses import added_argument
from xent.wiring._fixes._names import is_in_the_block, is_stable, value_of
from xent.wiring._fixes._syntax import Syntax, call_at, end_of
from xent.wiring._flow._events import Applied, AxisLeftOut, Event
from xent.wiring._flow._kinds import Kind
from xent.wiring._flow._producers import Effect
from xent.wiring._flow._record import Record

_TO_RANK_TWO = ("view", "reshape")


def _logarithm(event: Event) -> Activation | None:
    """The call of a logarithm, with what it is applied to."""
    if not isinstance(event, Applied) or event.effect is not Effect.LOG:
        return None
    found = activation_at(event.site)
    return found if found is not None and found.form in (FUNCTION, METHOD) else None


def _has_no_more_arguments(node: ast.Call, form: str) -> bool:
    return len(node.args) + len(node.keywords) == (1 if form == FUNCTION else 0)


def _inner(code: Syntax, node: ast.expr | None, operation: str, use: ast.AST) -> Activation | None:
    """The call of an operation that an expression is, or the only value of a name.

    What is written elsewhere must be made of names alone, which still have their values at the
    place of use: a model that is called once more may give other numbers.
    """
    if isinstance(node, ast.Name):
        return _by_name(code, node, operation, use)
    if not isinstance(node, ast.Call):
        return None
    name = code.full_name(node.func)
    if name:
        given = input_of(node)
        right = name.startswith("torch.") and name.rpartition(".")[2] == operation
        return Activation(code, node, FUNCTION, given) if right and given is not None else None
    if isinstance(node.func, ast.Attribute) and node.func.attr == operation:
        return Activation(code, node, METHOD, node.func.value)
    return None


def _by_name(code: Syntax, name: ast.Name, operation: str, use: ast.AST) -> Activation | None:
    value = value_of(code, name)
    found = None if isinstance(value, ast.Name) else _inner(code, value, operation, use)
    if found is None or not isinstance(found.given, ast.Name):
        return None
    if not is_in_the_block(code, found.node, use):
        return None
    scope = code.scope(use)
    needed = {each.id for each in ast.walk(found.node) if isinstance(each, ast.Name)}
    stable = all(is_stable(code, scope, each, found.node, use) for each in needed)
    return found if stable and is_stable(code, scope, name.id, found.node, use) else None


def _free_of_comments(code: Syntax, node: ast.AST) -> bool:
    return "#" not in code.text(node)


# Logarithms.


def use_log_softmax(record: Record, event: Event) -> Fix | None:
    """``log(softmax(x))`` becomes ``log_softmax(x)``; the numbers change where it underflows."""
    found = _logarithm(event)
    if found is None or not _has_no_more_arguments(found.node, found.form):
        return None
    code = found.code
    inner = _inner(code, found.given, "softmax", found.node)
    if inner is None or not _free_of_comments(code, found.node):
        return None
    function = inner.node.func
    rest = code.between(end_of(function), end_of(inner.node))
    if inner.form == METHOD and isinstance(function, ast.Attribute):
        name: str | None = f"{code.text(function.value)}.log_softmax"
    else:
        module = code.full_name(function).rpartition(".")[0]
        name = code.name_of(f"{module}.log_softmax", function)
    if name is None:
        return None
    return Fix("Use log_softmax", (code.replaced(found.node, name + rest),), False)


def use_logsigmoid(record: Record, event: Event) -> Fix | None:
    """``log(sigmoid(x))`` becomes ``logsigmoid(x)``, ``log(1 - sigmoid(x))`` that of -x."""
    found = _logarithm(event)
    if found is None or not _has_no_more_arguments(found.node, found.form):
        return None
    code, given = found.code, found.given
    complement = _one_minus(given)
    inner = _inner(code, complement or given, "sigmoid", found.node)
    if inner is None or inner.given is None or not _free_of_comments(code, found.node):
        return None
    if not _has_no_more_arguments(inner.node, inner.form):
        return None
    name = code.name_of("torch.nn.functional.logsigmoid", found.node.func)
    if name is None:
        return None
    text = code.text(inner.given)
    if complement is not None:
        text = f"-{text}" if _binds_tightly(inner.given) else f"-({text})"
    return Fix("Use logsigmoid", (code.replaced(found.node, f"{name}({text})"),), True)


def _one_minus(node: ast.expr | None) -> ast.expr | None:
    """What is taken from 1."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        one = node.left
        if isinstance(one, ast.Constant) and type(one.value) in (int, float) and one.value == 1:
            return node.right
    return None


def _binds_tightly(node: ast.expr) -> bool:
    return isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript)


def use_logsumexp(record: Record, event: Event) -> Fix | None:
    """``log(exp(x).sum(dim))`` becomes ``logsumexp(x, dim)``."""
    found = _logarithm(event)
    if found is None or not _has_no_more_arguments(found.node, found.form):
        return None
    code = found.code
    total = _inner(code, found.given, "sum", found.node)
    inner = None if total is None else _inner(code, total.given, "exp", found.node)
    if total is None or inner is None or inner.given is None:
        return None
    if not _has_no_more_arguments(inner.node, inner.form):
        return None
    options = _sum_options(code, total)
    if options is None or not _free_of_comments(code, found.node):
        return None
    text = code.text(inner.given)
    name = code.name_of("torch.logsumexp", found.node.func)
    if name is not None:
        new = f"{name}({text}, {options})"
    else:
        new = f"{text if _binds_tightly(inner.given) else f'({text})'}.logsumexp({options})"
    return Fix("Use logsumexp", (code.replaced(found.node, new),), True)


def _sum_options(code: Syntax, total: Activation) -> str | None:
    """The arguments of a sum that logsumexp has too; None if it has no axis or other ones."""
    node = total.node
    positional = list(node.args)
    if total.form == FUNCTION and positional and positional[0] is total.given:
        positional = positional[1:]
    if any(isinstance(each, ast.Starred) for each in positional) or len(positional) > 2:
        return None
    words = [code.text(each) for each in positional]
    names = {"axis": "dim", "dim": "dim", "keepdim": "keepdim", "keepdims": "keepdim"}
    has_axis = bool(positional)
    for keyword in node.keywords:
        if keyword.value is total.given:
            continue
        if keyword.arg not in names:
            return None
        has_axis = has_axis or names[keyword.arg] == "dim"
        words.append(f"{names[keyword.arg]}={code.text(keyword.value)}")
    axes = positional[:1] or [each.value for each in node.keywords if each.arg in ("dim", "axis")]
    if not has_axis or (isinstance(axes[0], ast.Constant) and axes[0].value is None):
        return None
    return ", ".join(words)


# Axes.


def add_axis(record: Record, event: Event) -> Fix | None:
    """Give a softmax its axis: that of the classes, as far as the code shows it."""
    found = call_at(event.site) if isinstance(event, AxisLeftOut) else None
    if found is None:
        return None
    code, node = found
    if any(each.arg in ("dim", "axis") for each in node.keywords):
        return None
    after_linear = any(
        applied.site.key == event.site.key and "inear" in applied.input.operation
        and applied.input.kind is Kind.LOGITS
        for applied in record.of(Applied)
    )  # fmt: skip
    is_rank_two = code.full_name(node.func)[-7:] == "softmax" and _has_two_axes(input_of(node))
    dim = "dim=-1" if after_linear and not is_rank_two else "dim=1"
    edit = added_argument(code, node, dim)
    return None if edit is None else Fix(f"Add {dim}", (edit,), is_rank_two)


def _has_two_axes(node: ast.expr | None) -> bool:
    """Whether an expression ends in ``.view(a, b)``, or in ``.flatten(1)``."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.keywords:
        return False
    if any(isinstance(each, ast.Starred | ast.Name) for each in node.args[:1]):
        return False  # view(shape), where shape may have any number of axes
    if node.func.attr in _TO_RANK_TWO:
        return len(node.args) == 2 and not any(isinstance(e, ast.Starred) for e in node.args)
    first = node.args[0] if len(node.args) == 1 else None
    return node.func.attr == "flatten" and isinstance(first, ast.Constant) and first.value == 1


def change_axis(record: Record, event: Event) -> Fix | None:
    """Axis 0 becomes axis 1 where it is written in the call."""
    found = activation_at(event.site) if isinstance(event, Applied) else None
    if found is None:
        return None
    node = found.node
    places = [each.value for each in node.keywords if each.arg in ("dim", "axis")]
    if not places:
        position = 1 if found.form == FUNCTION else 0
        places = node.args[position : position + 1]
    if len(places) != 1 or not isinstance(places[0], ast.Constant) or places[0].value != 0:
        return None
    return Fix("Use axis 1", (found.code.replaced(places[0], "1"),), False)


def replaced_call(found: Activation, name: str, options: str = "") -> Edit | None:
    """The edit that calls another function on what a call is applied to."""
    code, node, given = found.code, found.node, found.given
    if given is None or not _free_of_comments(code, node):
        return None
    extra = f", {options}" if options else ""
    return code.replaced(node, f"{name}({code.text(given)}{extra})")
