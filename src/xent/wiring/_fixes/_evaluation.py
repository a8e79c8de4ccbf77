"""Repairs of how outputs are read: the link that belongs to the loss, and thresholds."""

from __future__ import annotations

import ast

from xent.wiring._finding import Edit, Fix
from xent.wiring._fixes._forms import CALLED, FUNCTION, MADE, METHOD, Activation, activation_at
from xent.wiring._fixes._formulas import replaced_call
from xent.wiring._fixes._log_softmax import made_in_the_class
from xent.wiring._fixes._syntax import Syntax, at, end_of
from xent.wiring._flow._events import Applied, Compared, Event, Returned, Scored
from xent.wiring._flow._kinds import Kind
from xent.wiring._flow._losses import LOGITS
from xent.wiring._flow._producers import OPERATIONS, Effect
from xent.wiring._flow._record import Record
from xent.wiring._flow._values import Tensor

# Only a tensor has these; what they are called on is one.
_OF_TENSORS = ("detach", "cpu", "numpy")


def _axis(tensor: Tensor) -> str | None:
    """The axis of the classes: the last after linear layers, the first after convolutions."""
    if "inear" in tensor.operation:
        return "dim=-1"
    return "dim=1" if "onv" in tensor.operation else None


def _family(record: Record, tensor: Tensor) -> bool | None:
    """Whether the losses of an output take rows, all or none of them; None if not known."""
    losses = [event for event in record.losses_of(tensor) if event.input.kind is Kind.LOGITS]
    families = {event.loss.of_rows for event in losses if event.loss.takes == LOGITS}
    return families.pop() if len(families) == 1 else None


# The link.


def to_softmax(record: Record, event: Event) -> Fix | None:
    """Sigmoid, or exp, of logits becomes softmax."""
    found = activation_at(event.site) if isinstance(event, Applied) else None
    if found is None or not isinstance(event, Applied):
        return None
    axis = _axis(event.input)
    if axis is None:
        return None
    if found.form == CALLED:
        found = made_in_the_class(found, "torch.nn.Sigmoid") or found
    edit = _relinked(found, "softmax", "Softmax", axis)
    return None if edit is None else Fix("Use softmax", (edit,), False)


def to_sigmoid(record: Record, event: Event) -> Fix | None:
    """Softmax of logits becomes sigmoid."""
    found = activation_at(event.site) if isinstance(event, Applied) else None
    if found is not None and found.form == CALLED:
        found = made_in_the_class(found, "torch.nn.Softmax") or found
    edit = None if found is None else _relinked(found, "sigmoid", "Sigmoid", "")
    return None if edit is None else Fix("Use sigmoid", (edit,), False)


def _relinked(found: Activation, function: str, layer: str, options: str) -> Edit | None:
    code, node = found.code, found.node
    if code.text(node.func).endswith("_"):
        return None  # in place: there is no such softmax
    if found.form == MADE:
        name = code.name_of(f"torch.nn.{layer}", node.func)
        return None if name is None else code.replaced(node, f"{name}({options})")
    if found.form == METHOD and isinstance(node.func, ast.Attribute):
        line, offset = end_of(node.func)
        start = line, offset - len(node.func.attr)
        if "#" in code.between(start, end_of(node)):
            return None
        return Edit(code.removed(start, end_of(node)).place, f"{function}({options})")
    if found.form != FUNCTION:
        return None
    name = code.name_of(f"torch.{function}", node.func)
    if name is None:
        name = code.name_of(f"torch.nn.functional.{function}", node.func)
    return None if name is None else replaced_call(found, name, options)


# Thresholds.


def compare_with_zero(record: Record, event: Event) -> Fix | None:
    """A logit is compared with 0 where a probability would be with 0.5."""
    if not isinstance(event, Compared) or event.number != 0.5:
        return None
    if _family(record, event.tensor) is not False:
        return None
    found = at(event.site)
    if found is None:
        return None
    code, node = found
    numbers = [
        each for each in _operands(node) if isinstance(each, ast.Constant) and each.value == 0.5
    ]
    if len(numbers) != 1:
        return None
    return Fix("Compare with 0", (code.replaced(numbers[0], "0"),), False)


def _operands(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return [node.left, *node.comparators]
    return list(node.args) if isinstance(node, ast.Call) else []


# Scores.


def apply_link(record: Record, event: Event) -> Fix | None:
    """Logits become probabilities before a metric or a return, log-probabilities likewise."""
    if isinstance(event, Applied):
        return to_softmax(record, event) if event.effect is Effect.EXP else None
    if not isinstance(event, Scored | Returned):
        return None
    link = _link(record, event)
    found = at(event.site)
    if link is None or found is None:
        return None
    code, node = found
    base = _tensor_in(code, event, node)
    if base is None:
        return None
    edit = Edit(code.removed(end_of(base), end_of(base)).place, f".{link}")
    return Fix(f"Apply {link.partition('(')[0]}", (edit,), False)


def _link(record: Record, event: Scored | Returned) -> str | None:
    tensor = event.tensor
    if tensor.kind is Kind.LOG_SOFTMAX:
        return "exp()"
    family = _family(record, tensor)
    if family is False or (family is None and tensor.outputs == 1):
        return "sigmoid()"
    several = tensor.outputs is not None and tensor.outputs > 1
    of_rows = family or (isinstance(event, Scored) and event.metric == "log_loss" and several)
    axis = _axis(tensor)
    return f"softmax({axis})" if of_rows and axis is not None and tensor.outputs != 1 else None


def _tensor_in(code: Syntax, event: Scored | Returned, node: ast.AST) -> ast.expr | None:
    """The tensor at the beginning of ``model(x).detach().numpy()``."""
    if isinstance(node, ast.Return):
        return _innermost(code, node.value)
    if not isinstance(node, ast.Call):
        return _innermost(code, node) if isinstance(node, ast.expr) else None
    if isinstance(event, Returned):
        return _innermost(code, node)
    chains = [
        base
        for each in (*node.args, *(keyword.value for keyword in node.keywords))
        if (base := _innermost(code, each)) is not None
    ]
    return chains[-1] if chains else None


def _innermost(code: Syntax, node: ast.expr | None) -> ast.expr | None:
    """What the first method of a chain is called on, if the chain shows it to be a tensor."""
    base, certain = node, False
    while isinstance(base, ast.Call) and isinstance(base.func, ast.Attribute):
        method = base.func.attr
        if code.full_name(base.func) or OPERATIONS.get(method) is not Effect.SAME:
            break
        certain = certain or method in _OF_TENSORS
        base = base.func.value
    if not certain or not isinstance(base, ast.Name | ast.Call | ast.Attribute | ast.Subscript):
        return None
    return base
