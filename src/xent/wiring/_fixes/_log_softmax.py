"""Repairs that turn a softmax into log_softmax."""

from __future__ import annotations

import ast

from xent.wiring._finding import Edit, Fix
from xent.wiring._fixes._forms import (
    CALLED,
    FUNCTION,
    MADE,
    METHOD,
    Activation,
    activation_at,
    is_carried,
    is_used_once,
)
from xent.wiring._fixes._names import is_read_once
from xent.wiring._fixes._syntax import Syntax, end_of
from xent.wiring._fixes._uses import may_change, named_activation
from xent.wiring._flow._events import Event, LossCall
from xent.wiring._flow._kinds import Kind
from xent.wiring._flow._record import Record


def to_log_softmax(record: Record, event: Event) -> Fix | None:
    """Turn the softmax before a loss into log_softmax."""
    if not isinstance(event, LossCall) or event.input.kind is not Kind.SOFTMAX:
        return None
    title = "Use log_softmax"
    at_loss = _log_softmax_at_the_loss(event)
    if at_loss is not None:
        return Fix(title, (at_loss,), False)
    if not may_change(record, event, event.input):
        return None
    edits: list[Edit] = []
    for site in event.input.origins:
        found = activation_at(site)
        edit = None if found is None or is_carried(found) else logarithmic(found)
        if edit is None:
            return None
        edits.append(edit)
    return Fix(title, tuple(dict.fromkeys(edits)), False) if edits else None


def logarithmic(found: Activation) -> Edit | None:
    """The edit that makes log_softmax of a softmax."""
    code, node = found.code, found.node
    if found.form == CALLED:
        made = made_in_the_class(found, "torch.nn.Softmax")
        return None if made is None else logarithmic(made)
    name = code.full_name(node.func)
    module, _, last = name.rpartition(".")
    if found.form == METHOD and isinstance(node.func, ast.Attribute):
        return renamed_method(code, node.func, "softmax", "log_softmax")
    if found.form == MADE and last == "Softmax" and is_used_once(found):
        new = code.name_of("torch.nn.LogSoftmax", node.func)
    elif found.form == FUNCTION and last == "softmax":
        new = code.name_of(f"{module}.log_softmax", node.func)
    else:
        return None
    return None if new is None else code.replaced(node.func, new)


def renamed_method(code: Syntax, function: ast.Attribute, old: str, new: str) -> Edit | None:
    """The edit that calls another method of the same object."""
    if function.attr != old:
        return None
    line, offset = end_of(function)
    return Edit(code.removed((line, offset - len(old)), (line, offset)).place, new)


def made_in_the_class(found: Activation, layer: str) -> Activation | None:
    """The one place where ``self.act`` of ``self.act(x)`` is made, if nothing else reads it."""
    code, function = found.code, found.node.func
    if not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)):
        return None
    if function.value.id != "self" or not is_read_once(code, function):
        return None
    owner = next((each for each in code.above(found.node) if isinstance(each, ast.ClassDef)), None)
    stores = [each for each in code.attributes[function.attr] if isinstance(each.ctx, ast.Store)]
    if owner is None or len(stores) != 1 or owner not in code.above(stores[0]):
        return None
    made = code.parents.get(stores[0])
    if not isinstance(made, ast.Assign) or not isinstance(made.value, ast.Call):
        return None
    if code.full_name(made.value.func) != layer:
        return None
    return Activation(code, made.value, MADE)


def _log_softmax_at_the_loss(event: LossCall) -> Edit | None:
    found = named_activation(event)
    if found is None:
        return None
    place, activation = found
    code, node = activation.code, activation.node
    if activation.form == METHOD and isinstance(node.func, ast.Attribute):
        name = f"{code.text(node.func.value)}.log_softmax"
    elif activation.form == FUNCTION:
        module = code.full_name(node.func).rpartition(".")[0]
        name = code.name_of(f"{module}.log_softmax", node.func) or ""
    else:
        return None
    rest = code.between(end_of(node.func), end_of(node))
    return code.replaced(place, name + rest) if name and "\n" not in rest else None
