"""Repairs that take an activation away."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from xent.wiring._finding import Edit, Fix
from xent.wiring._fixes._forms import (
    MADE,
    Activation,
    activation_at,
    is_carried,
    is_used_once,
)
from xent.wiring._fixes._names import readings
from xent.wiring._fixes._syntax import Syntax, end_of, start_of
from xent.wiring._fixes._uses import logits_at_the_loss, may_change
from xent.wiring._flow._events import Applied, Event, LossCall
from xent.wiring._flow._kinds import Kind
from xent.wiring._flow._producers import LAYERS, OPERATIONS, Effect
from xent.wiring._flow._record import Record
from xent.wiring._flow._values import Tensor
from xent.wiring._places import Site

_GIVES = {
    Effect.SOFTMAX: Kind.SOFTMAX, Effect.LOG_SOFTMAX: Kind.LOG_SOFTMAX,
    Effect.SIGMOID: Kind.SIGMOID, Effect.LOG_SIGMOID: Kind.LOG_SIGMOID,
    Effect.ACTIVATED: Kind.ACTIVATED,
}  # fmt: skip
_COUNTING = ("len", "list", "tuple", "enumerate", "reversed", "iter", "zip")


def remove_input_activation(record: Record, event: Event) -> Fix | None:
    """Give a loss what its input was before the activation."""
    if not isinstance(event, LossCall):
        return None
    before = logits_at_the_loss(event)
    if before is not None:
        code, place, text = before
        return Fix(f"Give it {text}", (code.replaced(place, text),), False)
    if not may_change(record, event, event.input):
        return None
    return _removal(event.input, event.input.origins)


def remove_outer_or_inner(record: Record, event: Event) -> Fix | None:
    """Of two softmaxes take away the outer one, if it isn't a log_softmax."""
    if not isinstance(event, Applied):
        return None
    if event.effect is Effect.SOFTMAX:
        outer = activation_at(event.site)
        if outer is not None and outer.form != MADE:
            return _removal(event.input, (event.site,))
    if not may_change(record, event, event.input):
        return None
    return _removal(event.input, event.input.origins)


def _removal(tensor: Tensor, sites: Iterable[Site]) -> Fix | None:
    effect = OPERATIONS.get(tensor.operation) or LAYERS.get(tensor.operation)
    if effect is None or _GIVES.get(effect) is not tensor.kind or tensor.complement:
        return None  # one class of a softmax, a logarithm, 1 - p
    edits: list[Edit] = []
    for site in sites:
        edit = removed(activation_at(site), alone=tensor.kind is Kind.ACTIVATED)
        if edit is None:
            return None
        edits.append(edit)
    if not edits:
        return None
    return Fix(f"Remove {tensor.operation}", tuple(dict.fromkeys(edits)), False)


def removed(found: Activation | None, *, alone: bool = False) -> Edit | None:
    """The edit that takes an activation away.

    Args:
        found: the activation.
        alone: whether a layer may only go where it is made, so that no other place has it.
    """
    if found is None:
        return None
    if found.form == MADE:
        return _layer_removed(found, alone=alone)
    if found.given is None or is_carried(found):
        return None
    text = found.code.standing_for(found.node, found.given)
    if text is None:
        return None
    return _statement_removed(found, text) or found.code.replaced(found.node, text)


def _statement_removed(found: Activation, text: str) -> Edit | None:
    """The edit that takes the whole line away where nothing of it would be left, as in x = x."""
    code = found.code
    statement = code.parents.get(found.node)
    if isinstance(statement, ast.Assign):
        if len(statement.targets) != 1 or code.text(statement.targets[0]) != text:
            return None
    elif not isinstance(statement, ast.Expr):
        return None
    (first, start), (last, end) = start_of(statement), end_of(statement)
    lines = code.source.lines
    around = lines[first - 1].encode()[:start] + lines[last - 1].encode()[end:]
    if around.strip():
        return None
    parent = code.parents[statement]
    blocks = [getattr(parent, name, None) for name in ("body", "orelse", "finalbody")]
    alone = any(block == [statement] for block in blocks)
    if alone or last == len(lines) or code.source.cell_of(last + 1) != code.source.cell_of(last):
        return code.replaced(statement, "pass")
    return code.removed((first, 0), (last + 1, 0))


def _layer_removed(found: Activation, *, alone: bool) -> Edit | None:
    code, node = found.code, found.node
    parent = code.parents.get(node)
    if isinstance(parent, ast.Call) and code.full_name(parent.func) == "torch.nn.Sequential":
        last = not parent.keywords and len(parent.args) > 1 and parent.args[-1] is node
        before = parent.args[-2] if last and not _is_taken_apart(code, parent) else None
        if before is not None and not isinstance(before, ast.Starred):
            between = code.between(end_of(before), start_of(node))
            if between.strip() == ",":
                return code.removed(end_of(before), end_of(node))
    elif not (isinstance(parent, ast.List | ast.Tuple) or (not alone and is_used_once(found))):
        return None
    name = code.name_of("torch.nn.Identity", node.func)
    return None if name is None else code.replaced(node, f"{name}()")


def _is_taken_apart(code: Syntax, made: ast.Call) -> bool:
    """Whether the file takes layers out of a Sequential, as ``net[:-1]``, or counts them."""
    parent = code.parents.get(made)
    if not isinstance(parent, ast.Assign):
        return isinstance(parent, ast.Subscript | ast.Starred)
    uses = [(use, code.parents.get(use)) for each in parent.targets for use in readings(code, each)]
    return any(
        isinstance(user, ast.Subscript | ast.Starred | ast.For | ast.comprehension)
        or (isinstance(user, ast.Attribute) and user.attr.endswith("children"))
        or (isinstance(user, ast.Call) and use in user.args and _counts(user.func))
        for use, user in uses
    )


def _counts(function: ast.expr) -> bool:
    return isinstance(function, ast.Name) and function.id in _COUNTING
