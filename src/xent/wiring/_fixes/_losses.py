"""Repairs at the loss: another loss, or the loss of the other scale."""

from __future__ import annotations

import ast
from collections.abc import Callable

from xent.wiring._finding import Edit, Fix
from xent.wiring._fixes._activations import removed
from xent.wiring._fixes._forms import activation_at, input_of
from xent.wiring._fixes._names import is_in_the_block, is_read_once, readings, stores, value_of
from xent.wiring._fixes._syntax import Syntax, at, call_at, end_of
from xent.wiring._fixes._uses import may_change
from xent.wiring._flow._events import Event, LossCall
from xent.wiring._flow._kinds import Kind
from xent.wiring._flow._losses import OPTIONS
from xent.wiring._flow._record import Record
from xent.wiring._flow._values import Layer, Tensor

_LAYER_OF = {
    "nll_loss": "NLLLoss",
    "cross_entropy": "CrossEntropyLoss",
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
}
_INDEX_METHODS = ("long", "argmax")
_INDEX_TYPES = ("torch.long", "torch.int64", "torch.LongTensor")
_INDEX_FUNCTIONS = ("torch.argmax", "torch.randint", "torch.LongTensor")


def other_loss(name: str) -> Callable[[Record, Event], Fix | None]:
    """A repair that calls another loss with the same arguments.

    Args:
        name: the function, such as ``cross_entropy``; layers become the layer of that name.
    """

    def make(record: Record, event: Event) -> Fix | None:
        if not isinstance(event, LossCall):
            return None
        edit = renamed_loss(record, event, name)
        return None if edit is None else Fix(f"Use {edit.text.rpartition('.')[2]}", (edit,), False)

    return make


def renamed_loss(record: Record, event: LossCall, name: str) -> Edit | None:
    """The edit that makes a loss another one; None where the loss is used for other inputs too."""
    if event.layer is None:
        found, known, new = call_at(event.site), event.loss.name, name
        module = "torch.nn.functional"
    elif isinstance(event.layer, Layer):
        found, known, new = call_at(event.layer.site), event.label, _LAYER_OF[name]
        module = "torch.nn"
        if not _all_like(record, event):
            return None
    else:
        return None
    if found is None:
        return None
    code, node = found
    if code.full_name(node.func) != f"{module}.{known}":
        return None
    text = code.name_of(f"{module}.{new}", node.func)
    return None if text is None else code.replaced(node.func, text)


def _calls_of(record: Record, event: LossCall) -> list[LossCall]:
    """The calls of the same loss object, or of those made in the same place."""
    known = record.__dict__.get("_calls_by_object")
    if known is None:
        known = record.__dict__["_calls_by_object"] = {}
        for other in record.of(LossCall):
            if isinstance(other.layer, Layer):
                known.setdefault(other.layer.site.key, []).append(other)
    found: list[LossCall] = (
        known.get(event.layer.site.key, []) if isinstance(event.layer, Layer) else []
    )
    return found


def _all_like(record: Record, event: LossCall) -> bool:
    """Whether a loss object is always given the same kind of input."""
    kinds = record.__dict__.setdefault("_kinds_by_object", {})
    key = event.layer.site.key if isinstance(event.layer, Layer) else None
    if key not in kinds:
        kinds[key] = {other.input.kind for other in _calls_of(record, event)}
    return len(kinds[key]) == 1


# Log_softmax before cross-entropy.


def drop_one_log_softmax(record: Record, event: Event) -> Fix | None:
    """Take away the log_softmax that is written in the argument, or the one in the loss."""
    if not isinstance(event, LossCall) or event.input.kind is not Kind.LOG_SOFTMAX:
        return None
    on_classes = event.input.dim == 1
    edit = _log_softmax_in_the_argument(event)
    if edit is not None and may_change(record, event, event.input):
        return Fix(f"Remove {event.input.operation}", (edit,), on_classes)
    if not set(event.options) <= {*OPTIONS["nll_loss"], "input", "target"}:
        return None
    edit = renamed_loss(record, event, "nll_loss")
    if edit is None:
        return None
    safe = on_classes and takes_class_indices(event) and _is_used_nowhere_else(record, event)
    return Fix(f"Use {edit.text.rpartition('.')[2]}", (edit,), safe)


def _log_softmax_in_the_argument(event: LossCall) -> Edit | None:
    """The edit that takes away a log_softmax of which nothing but the loss has the result."""
    found = at(event.site)
    activation = activation_at(event.input.origin)
    if found is None or activation is None or len(event.input.origins) != 1:
        return None
    code, call = found
    if activation.code is not code or event.input.operation != "log_softmax":
        return None
    given = input_of(call) if isinstance(call, ast.Call) else None
    if given is activation.node:
        return removed(activation)
    if not isinstance(given, ast.Name):
        return None
    scope = code.scope(given)
    set_at = stores(code, scope, given.id)
    parent = code.parents.get(activation.node)
    once = len(set_at) == 1 and is_read_once(code, given)
    once = once and is_in_the_block(code, activation.node, call)
    if once and isinstance(parent, ast.Assign) and parent.targets == set_at:
        return removed(activation)
    return None


def takes_class_indices(event: LossCall) -> bool:
    """Whether the code proves that the target holds class indices, not probabilities."""
    if isinstance(event.target, Tensor) and event.target.kind is Kind.CLASS_INDEX:
        return True
    found = call_at(event.site)
    if found is None:
        return False
    code, call = found
    given = next((each.value for each in call.keywords if each.arg == "target"), None)
    if given is None and len(call.args) > 1:
        given = call.args[1]
    if isinstance(given, ast.Name):
        given = value_of(code, given)
    return given is not None and _is_index(code, given)


def _is_index(code: Syntax, node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    if code.full_name(node.func) in _INDEX_FUNCTIONS:
        return True
    if not isinstance(node.func, ast.Attribute) or code.full_name(node.func):
        return False
    if node.func.attr in ("to", "type") and len(node.args) == 1 and not node.keywords:
        return code.full_name(node.args[0]) in _INDEX_TYPES
    return node.func.attr in _INDEX_METHODS


def _is_used_nowhere_else(record: Record, event: LossCall) -> bool:
    """Whether the code reads a loss object only where it is called on log-probabilities."""
    if event.layer is None:
        return True
    found = at(event.layer.site) if isinstance(event.layer, Layer) else None
    if found is None:
        return False
    code, made = found
    calls = [at(other.site) for other in _calls_of(record, event)]
    known = {id(call[1].func) for call in calls if call and isinstance(call[1], ast.Call)}
    parent = code.parents.get(made)
    if isinstance(parent, ast.Call):
        return id(made) in known
    if not isinstance(parent, ast.Assign) or len(parent.targets) != 1:
        return False
    uses = readings(code, parent.targets[0])
    return bool(uses) and all(id(use) in known for use in uses)


# The Kullback-Leibler divergence.


def add_log_target(record: Record, event: Event) -> Fix | None:
    """Say that the target of a divergence is log-probabilities."""
    if not isinstance(event, LossCall) or "log_target" in event.options:
        return None
    if event.layer is not None and not isinstance(event.layer, Layer):
        return None
    if any(
        not isinstance(other.target, Tensor) or other.target.kind is not Kind.LOG_SOFTMAX
        for other in _calls_of(record, event)
    ):
        return None
    found = call_at(event.site if event.layer is None else event.layer.site)
    if found is None:
        return None
    edit = added_argument(found[0], found[1], "log_target=True")
    return None if edit is None else Fix("Add log_target=True", (edit,), False)


def added_argument(code: Syntax, call: ast.Call, text: str) -> Edit | None:
    """The edit that gives a call one more argument, as the last."""
    if any(each.arg is None for each in call.keywords):
        return None
    given: list[ast.AST] = [*call.args, *call.keywords]
    line, offset = end_of(call)
    last = max((end_of(each) for each in given), default=end_of(call.func))
    between = code.between(last, (line, offset - 1)).strip()
    if not given:
        between = between.removeprefix("(").strip()
    if between not in ("", ","):
        return None
    if given and last[0] != line:  # the bracket that closes is on a line of its own
        return Edit(code.removed(last, last).place, f", {text}")
    lead = ", " if given and not between else " " if given else ""
    return Edit(code.removed((line, offset - 1), (line, offset - 1)).place, lead + text)
