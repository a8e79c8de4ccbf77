"""Types and shapes of losses' arguments that the code itself proves wrong.

Only what holds for every input is a fault here: the types and axes that are written next to the
call, and the number of outputs of the last layer. The rest shows when the tensors are there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from xent.wiring._flow._events import LossCall
from xent.wiring._flow._kinds import Kind
from xent.wiring._flow._record import Record
from xent.wiring._flow._values import Layer, Tensor
from xent.wiring._places import Site
from xent.wiring._rule import Fault, fault
from xent.wiring.rules._forms import (
    BOOL,
    FLOAT,
    INT,
    LONG,
    UNKNOWN_FORM,
    Form,
    form_of,
    numbers_given,
)
from xent.wiring.rules._surroundings import Surroundings, imports

_OF_CLASSES = ("cross_entropy", "nll_loss")
_BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
# Operations that give the index of a class; the rest of them give something else.
_INDICES = ("argmax", "argmin", "max", "topk", "sort")


@dataclass(frozen=True)
class _Call:
    """A call of a loss, with what the code around it says of its arguments.

    Args:
        event: the call.
        input: the form of its input.
        target: the form of its target.
        outputs: the outputs of the linear layer that the input comes straight from.
    """

    event: LossCall
    input: Form
    target: Form
    outputs: int | None


def _calls(record: Record, losses: tuple[str, ...]) -> Iterator[_Call]:
    for event in record.of(LossCall):
        node = event.site.node
        if event.loss.name not in losses or not isinstance(node, ast.Call):
            continue
        target = _argument(node, 1, "target")
        if target is None:
            continue
        around = Surroundings(event.site)
        given = form_of(_argument(node, 0, "input"), around)
        yield _Call(event, given, form_of(target, around), _outputs(event.input))


def _argument(node: ast.Call, position: int, name: str) -> ast.expr | None:
    for keyword in node.keywords:
        if keyword.arg == name:
            return keyword.value
    if any(isinstance(each, ast.Starred) for each in node.args[: position + 1]):
        return None
    return node.args[position] if position < len(node.args) else None


def _outputs(tensor: Tensor) -> int | None:
    """The size of the last axis, where a linear layer and nothing after it says it."""
    root: Tensor | None = tensor
    for _ in range(4):
        if root is not None and root.kind is not Kind.LOGITS:
            root = root.before
    linear = root is not None and "inear" in root.operation
    return tensor.outputs if linear else None


def _origin(call: _Call) -> tuple[Site | None, str]:
    return call.event.input.origin, call.event.input.operation


# The target's type.


def target_form(record: Record) -> Iterator[Fault]:
    """Targets of a type or with axes that the loss doesn't take.

    Args:
        record: what the project does with its tensors.
    """
    for call in _calls(record, (*_OF_CLASSES, *_BINARY)):
        event = call.event
        binary = event.loss.name in _BINARY
        words = _wrong_binary_type(call) if binary else _wrong_class_type(call)
        if words:
            yield fault(event, f"The target of {event.label} ({{here}}) {words}", event.label)
        elif not binary and _is_column(call):
            message = (
                f"The target of {event.label} ({{here}}) has a second axis of size 1, but "
                f"{event.input.operation} ({{0}}) gives {call.outputs} scores a sample: class "
                "indices have the axes of the scores without that of the classes. Leave the axis "
                "out: squeeze(1)."
            )
            yield fault(event, message, event.label, _origin(call))


def _wrong_class_type(call: _Call) -> str:
    target, loss = call.target, call.event.loss.name
    if target.one_hot and target.dtype == LONG and loss == "cross_entropy":
        if call.input.exact:  # a class of two for each label, perhaps
            return ""
        return (
            "is one-hot in whole numbers. Give it the class indices themselves, or "
            "probabilities: one_hot(...).float()."
        )
    if target.one_hot and loss == "nll_loss":
        return "" if call.input.exact else "is one-hot. Give it the class indices themselves."
    if target.dtype in (INT, BOOL) and not _may_be_of_xent(call.event):
        return f"is of type {target.dtype}. Class indices are long: use .long()."
    if target.dtype != FLOAT:
        return ""
    if loss == "nll_loss":
        return "is float. Class indices are long: use .long()."
    if _are_indices(call.event.target) or _are_numbers_of_samples(call):
        return (
            "is class indices as float, which it takes for probabilities. Class indices are long: "
            "use .long()."
        )
    return ""


def _wrong_binary_type(call: _Call) -> str:
    if call.target.dtype in (LONG, INT, BOOL) and not _may_be_of_xent(call.event):
        return f"is of type {call.target.dtype}. It takes numbers from 0 to 1: use .float()."
    return ""


def _may_be_of_xent(event: LossCall) -> bool:
    """Whether the loss may be one of xent's, which take whole numbers of every type."""
    made = [event.site, event.layer.site] if isinstance(event.layer, Layer) else [event.site]
    return any(name.startswith("xent") for site in made for name in imports(site.source).values())


def _are_indices(target: object) -> bool:
    is_index = isinstance(target, Tensor) and target.kind is Kind.CLASS_INDEX
    return is_index and isinstance(target, Tensor) and target.operation in _INDICES


def _are_numbers_of_samples(call: _Call) -> bool:
    """One number for each sample, where the scores have an axis more."""
    return call.target.number_of_axes == 1 and _has_two_axes(call)


def _has_two_axes(call: _Call) -> bool:
    """Whether the input is known to have at least an axis of samples and one of classes."""
    known = call.input.number_of_axes
    if known is not None:
        return known > 1
    of_batch = call.event.input.batched and call.outputs is not None
    return of_batch or call.event.input.operation.startswith(("Conv2d", "Conv3d"))


def _is_column(call: _Call) -> bool:
    """Class indices in a column, beside scores of several classes on their last axis."""
    if call.outputs is None or call.outputs < 2 or call.input.exact:
        return False
    if call.target.exact:
        return len(call.target.axes) == 2 and call.target.axes[1] == 1
    return call.target.column and call.event.input.batched


# The two shapes.


def shape_mismatch(record: Record) -> Iterator[Fault]:
    """Inputs and targets of binary cross-entropy that can't have the same shape.

    Args:
        record: what the project does with its tensors.
    """
    for call in _calls(record, _BINARY):
        event = call.event
        given = call.input
        if given == UNKNOWN_FORM and call.outputs is not None:
            given = Form(axes=(call.outputs,))
        batched = event.input.batched and call.input == UNKNOWN_FORM
        words = _difference(given, call.target, batched=batched)
        if words:
            message = (
                f"The input of {event.label} ({{here}}) {words}. The two need the same shape: "
                "squeeze(-1) the input or unsqueeze(-1) the target."
            )
            yield fault(event, message, event.label, _origin(call))


def _difference(given: Form, target: Form, *, batched: bool) -> str:
    """In what two shapes differ, whatever the data; empty where they may be the same."""
    if given.exact and target.exact and len(given.axes) != len(target.axes):
        return f"has {_axes(len(given.axes))} and its target {_axes(len(target.axes))}"
    for flat, column in ((given, target), (target, given)):
        if flat.number_of_axes == 1 and column.column:
            return "and its target differ: one has one axis, the other has at least two"
    for one, other in zip(reversed(given.axes), reversed(target.axes), strict=False):
        if one is not None and other is not None and one != other:
            return f"has an axis of size {one} where its target has one of size {other}"
    if given.no_ones and 1 in target.axes:
        return "has lost its axes of size 1, and its target has one"
    if target.no_ones and 1 in given.axes:
        return "has an axis of size 1, and its target has lost those"
    if batched and given.axes and target.number_of_axes == 1:
        return "has an axis of samples and one of outputs, and its target one axis"
    return ""


def _axes(number: int) -> str:
    return f"{number} {'axis' if number == 1 else 'axes'}"


# The axis of the classes.


def class_axis(record: Record) -> Iterator[Fault]:
    """Classes that are on another axis, or as many as the weights are not.

    Args:
        record: what the project does with its tensors.
    """
    for event in record.of(LossCall):
        if event.loss.name in (*_OF_CLASSES, "binary_cross_entropy_with_logits"):
            yield from _wrong_weights(event)
    for call in _calls(record, _OF_CLASSES):
        event = call.event
        if call.input.turned and call.event.input.operation.startswith(("Conv", "conv")):
            message = (
                f"The classes of {event.input.operation} ({{0}}) are moved to the last axis before "
                f"{event.label} ({{here}}), which has them on axis 1. Leave them there, or flatten "
                "the other axes: reshape(-1, classes), and the target likewise."
            )
            yield fault(event, message, event.label, _origin(call))


def _wrong_weights(event: LossCall) -> Iterator[Fault]:
    binary = event.loss.name not in _OF_CLASSES
    name = "pos_weight" if binary else "weight"
    classes = _outputs(event.input) if binary else event.input.outputs
    if classes is None or (classes == 1 and not binary):
        return
    site, node = _weights(event, name)
    numbers = None if site is None else numbers_given(node, Surroundings(site))
    if numbers is None or numbers == classes or (binary and numbers == 1):
        return
    message = (
        f"{name} of {event.label} ({{here}}) has {numbers} numbers, but {event.input.operation} "
        f"({{0}}) gives {classes} scores a sample. It needs one for each."
    )
    made = (site, "weights") if site is not event.site else (None, "")
    yield fault(event, message, event.label, (event.input.origin, event.input.operation), made)


def _weights(event: LossCall, name: str) -> tuple[Site | None, ast.expr | None]:
    """Where the weights are given: at the call, or where the loss is made."""
    layer = event.layer
    site = layer.site if isinstance(layer, Layer) else event.site
    node = site.node
    if not isinstance(node, ast.Call):
        return None, None
    if name == "pos_weight":
        return site, _argument(node, 99, name)
    return site, _argument(node, 0 if isinstance(layer, Layer) else 2, name)
