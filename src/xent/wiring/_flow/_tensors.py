"""What an operation makes of the meaning of a tensor."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from xent.wiring._flow._kinds import Kind
from xent.wiring._flow._producers import AXIS_NAMES, AXIS_POSITION, Effect
from xent.wiring._flow._store import is_none, join_tensors
from xent.wiring._flow._values import (
    BATCHED,
    PLAIN,
    UNKNOWN,
    Constant,
    Container,
    Contents,
    Tensor,
    Value,
)
from xent.wiring._places import Site

if TYPE_CHECKING:
    from xent.wiring._flow._interpreter import Interpreter

# Added to probabilities before a logarithm; anything larger changes what they mean.
SMALL = 1e-3

_KINDS = {
    Effect.SOFTMAX: Kind.SOFTMAX,
    Effect.LOG_SOFTMAX: Kind.LOG_SOFTMAX,
    Effect.SIGMOID: Kind.SIGMOID,
    Effect.LOG_SIGMOID: Kind.LOG_SIGMOID,
}
# Softplus and the like are steps of formulas as often as they are activations.
_BOUNDING = {
    "relu", "relu_", "relu6", "leaky_relu", "leaky_relu_", "elu", "selu", "gelu", "silu", "tanh",
    "tanh_", "hardtanh", "ReLU", "ReLU6", "LeakyReLU", "ELU", "SELU", "GELU", "SiLU", "Tanh",
    "Hardtanh", "PReLU", "RReLU",
}  # fmt: skip
_CHOOSING = {"select", "gather", "index_select", "narrow", "take", "take_along_dim"}
_PARTS = {"chunk", "split", "unbind"}


# Of unknown meaning, but made in a way that a formula depends on: ``x - x.max()``.
DIFFERENCE = Tensor(operation="difference")
_ONE_PLUS = "one plus exp(-x)"
LOGARITHM = Tensor(operation="logarithm")


def as_tensor(value: Value) -> Tensor:
    """The value as a tensor; what is not known to be one is a tensor of unknown meaning."""
    return value if isinstance(value, Tensor) else PLAIN


def number(value: Value | None) -> float | None:
    """The number that a value is known to be."""
    known = value.value if isinstance(value, Constant) else None
    return known if isinstance(known, int | float) and not isinstance(known, bool) else None


def whole(value: Value | None) -> int | None:
    """The whole number that a value is known to be."""
    known = value.value if isinstance(value, Constant) else None
    return known if isinstance(known, int) and not isinstance(known, bool) else None


def axis_of(
    operation: str, arguments: Sequence[Value], keywords: Mapping[str, Value]
) -> tuple[bool, int | None]:
    """Whether an axis is given, and which, if it is written in the code.

    Args:
        operation: the name of the function.
        arguments: what follows the tensor.
        keywords: its arguments by name.
    """
    for name in AXIS_NAMES:
        if name in keywords:
            value = keywords[name]
            return not is_none(value), whole(value)
    position = AXIS_POSITION.get(operation, 1) - 1
    if position < len(arguments):
        value = arguments[position]
        return not is_none(value), whole(value)
    return False, None


def apply(
    run: Interpreter,
    operation: str,
    effect: Effect,
    given: Value,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
    *,
    is_noted: bool = True,
) -> Value:
    """What an operation gives; records what it is applied to."""
    if effect is Effect.JOINED:
        return _joined(run, operation, given, arguments, keywords)
    if isinstance(given, Container) and effect is Effect.SAME:
        found = run.element(given)  # torch.tensor([...]), np.array([...])
        return found if isinstance(found, Tensor) else PLAIN
    tensor = as_tensor(given)
    _, dim = axis_of(operation, arguments, keywords)
    output: Value
    if effect in _KINDS:
        output = replace(
            tensor, kind=_KINDS[effect], origin=site, operation=operation, dim=dim,
            before=tensor, complement=False,
        )  # fmt: skip
    elif effect is Effect.ACTIVATED:
        output = activated(tensor, operation, site)
    elif effect is Effect.CLASS_INDEX:
        output = replace(tensor, kind=Kind.CLASS_INDEX, origin=site, operation=operation,
                         outputs=None, dim=dim, before=tensor)  # fmt: skip
    elif effect is Effect.EXTREME:
        output = _extreme(run, tensor, operation, arguments, keywords, site)
    elif effect in (Effect.SAME, Effect.RESHAPED, Effect.BATCHED):
        output = _reshaped(run, operation, effect, tensor, arguments, keywords)
    else:
        output = _computed(effect, tensor, operation, arguments, keywords, site)
    shown = output if isinstance(output, Tensor) else None
    if effect is Effect.ROUNDED:
        run.note_comparison(tensor, 0.5, site)
    elif is_noted and effect not in (Effect.SAME, Effect.RESHAPED, Effect.BATCHED, Effect.POOLED):
        run.note_application(effect, operation, tensor, shown, dim, site)
    return output


def scores(outputs: int | None, given: Value, operation: str, site: Site) -> Tensor:
    """What a linear or convolution layer gives."""
    return Tensor(Kind.LOGITS, site, operation, outputs, (), as_tensor(given).batched)


def activated(tensor: Tensor, operation: str, site: Site) -> Tensor:
    """What an activation that cuts or bounds gives."""
    if operation not in _BOUNDING or (tensor.kind is not None and tensor.kind.is_probability):
        return tensor.forgotten()
    return replace(
        tensor, kind=Kind.ACTIVATED, origin=site, operation=operation, before=tensor, dim=None
    )


def _reshaped(
    run: Interpreter,
    operation: str,
    effect: Effect,
    tensor: Tensor,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
) -> Value:
    if operation in _PARTS:
        part = tensor.forgotten() if tensor.kind is Kind.SOFTMAX else replace(tensor, outputs=None)
        return run.container("tuple", Contents(None, part))
    if effect is Effect.SAME:
        return tensor
    if operation in _CHOOSING:
        return chosen(tensor)
    reshaped = tensor.reshaped()
    start = keywords.get("start_dim", arguments[0] if arguments else None)
    if effect is Effect.BATCHED:  # the layer leaves the first axis alone, the function does not
        samples_first = whole(start) == 1 or operation == "Flatten"
        return replace(reshaped, batched=samples_first)
    if operation in ("view", "reshape"):
        first = arguments[0] if arguments else None
        leading = isinstance(first, Constant) and first.value not in (-1,)
        return replace(reshaped, batched=len(arguments) > 1 and not leading)
    return reshaped


def chosen(tensor: Tensor) -> Tensor:
    """The numbers of one class out of several."""
    if tensor.kind is Kind.SOFTMAX:
        return replace(tensor, kind=Kind.SIGMOID, outputs=None, dim=None)
    if tensor.kind in (Kind.LOG_SOFTMAX, Kind.EXPONENTIAL):
        return tensor.forgotten()
    return tensor.reshaped()


def _extreme(
    run: Interpreter,
    tensor: Tensor,
    operation: str,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
) -> Value:
    if not arguments and not keywords:
        return PLAIN
    if arguments and isinstance(arguments[0], Tensor):  # torch.max of two tensors
        return join_tensors(tensor, arguments[0]).reshaped()
    values = chosen(tensor)
    if operation == "amax":
        return values
    _, dim = axis_of(operation, arguments, keywords)
    index = replace(tensor, kind=Kind.CLASS_INDEX, origin=site, operation=operation,
                    outputs=None, dim=dim, before=tensor)  # fmt: skip
    return run.container("tuple", Contents(((0, values), (1, index))))


def _computed(
    effect: Effect,
    tensor: Tensor,
    operation: str,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
    site: Site,
) -> Tensor:
    kind = tensor.kind
    if effect is Effect.POOLED:
        keeps = kind in (Kind.LOGITS, Kind.SIGMOID, Kind.ACTIVATED)
        return replace(tensor, outputs=None, dim=None) if keeps else tensor.forgotten()
    if effect is Effect.NORMALISED:
        return BATCHED
    if effect is Effect.CLIPPED:
        return _clipped(tensor, operation, arguments, keywords)
    if effect is Effect.LOG:
        becomes = {Kind.SOFTMAX: Kind.LOG_SOFTMAX, Kind.SIGMOID: Kind.LOG_SIGMOID}.get(kind)  # type: ignore[arg-type]
        made = _become(tensor, becomes, operation, site)
        return LOGARITHM if made.kind is None else made
    if effect is Effect.EXP:
        becomes = {
            Kind.LOG_SOFTMAX: Kind.SOFTMAX, Kind.LOG_SIGMOID: Kind.SIGMOID,
            Kind.LOGITS: Kind.EXPONENTIAL, Kind.ACTIVATED: Kind.EXPONENTIAL,
            Kind.SOFTMAX: Kind.EXPONENTIAL, Kind.SIGMOID: Kind.EXPONENTIAL,
            None: Kind.EXPONENTIAL,
        }.get(kind)  # fmt: skip
        return _become(tensor, becomes, operation, site)
    if effect is Effect.SUM:
        if kind is None and tensor.operation == LOGARITHM.operation:
            return tensor
        summed = Kind.SUM_OF_EXPONENTIALS if kind is Kind.EXPONENTIAL else None
        return _become(tensor, summed, operation, site)
    if effect is Effect.LOGIT and kind is not None and kind.is_probability:
        return _become(tensor, Kind.LOGITS, operation, site)
    return tensor.forgotten()


def _become(tensor: Tensor, kind: Kind | None, operation: str, site: Site) -> Tensor:
    if kind is None:
        return tensor.forgotten()
    return replace(
        tensor, kind=kind, origin=site, operation=operation, before=tensor, complement=False
    )


def _clipped(
    tensor: Tensor, operation: str, arguments: Sequence[Value], keywords: Mapping[str, Value]
) -> Tensor:
    """Probabilities off their bounds stay what they are; scores that are cut to them do not."""
    if tensor.kind is not Kind.LOGITS:
        return tensor if tensor.kind is not Kind.EXPONENTIAL else tensor.forgotten()
    low = keywords.get("min", arguments[0] if arguments else None)
    high = keywords.get("max", arguments[1] if len(arguments) > 1 else None)
    least = number(low)
    if least is None or least >= 0 or (high is not None and number(high) is None):
        return tensor.forgotten()
    return tensor


def _joined(
    run: Interpreter,
    operation: str,
    given: Value,
    arguments: Sequence[Value],
    keywords: Mapping[str, Value],
) -> Value:
    found = run.element(given) if isinstance(given, Container) else None
    if not isinstance(found, Tensor):
        return PLAIN
    _, axis = axis_of("stack", arguments, keywords)
    adds_first_axis = operation == "stack" and axis in (None, 0)
    return replace(found.reshaped(), batched=False) if adds_first_axis else found.reshaped()


# Arithmetic.


def binary(run: Interpreter, node: ast.BinOp | ast.AugAssign, one: Value, other: Value) -> Value:
    """What an arithmetic operator gives for tensors; UNKNOWN for what it has no rule for."""
    operator = node.op
    if not isinstance(one, Tensor) and not isinstance(other, Tensor):
        unknown = one is UNKNOWN and other is UNKNOWN
        return DIFFERENCE if unknown and isinstance(operator, ast.Sub) else UNKNOWN
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return _of_two(run, node, one, other)
    if _is_sigmoid(operator, one, other):
        return _sigmoid_by_hand(run, node, other)
    if isinstance(one, Tensor):
        return _with_number(one, operator, number(other))
    if isinstance(other, Tensor):
        return _number_with(number(one), operator, other)
    return UNKNOWN


def _of_two(
    run: Interpreter, node: ast.BinOp | ast.AugAssign, one: Tensor, other: Tensor
) -> Tensor:
    operator = node.op
    if isinstance(operator, ast.Div) and other.kind is Kind.SUM_OF_EXPONENTIALS:
        summed = other.before
        if summed is not None and one.kind is Kind.EXPONENTIAL and _same(one, summed):
            site = run.site(node)
            made = replace(one, kind=Kind.SOFTMAX, origin=site, operation="softmax by hand",
                           before=one.before, dim=other.dim)  # fmt: skip
            run.note_application(
                Effect.SOFTMAX, "softmax by hand", one.before or PLAIN, made, other.dim, site
            )
            return made
    if isinstance(operator, ast.Add) and one.kind is other.kind is Kind.LOGITS:
        joined = join_tensors(one, other)
        return replace(joined, before=None)
    if isinstance(operator, ast.MatMult):
        return PLAIN
    if isinstance(operator, ast.Sub):
        return replace(DIFFERENCE, batched=one.batched or other.batched)
    return BATCHED if one.batched or other.batched else PLAIN


def negated(tensor: Tensor) -> Tensor:
    """``-x``."""
    return Tensor(batched=tensor.batched, operation="negated", before=tensor)


def _is_sigmoid(operator: ast.operator, one: Value, other: Value) -> bool:
    divided = isinstance(operator, ast.Div) and number(one) == 1
    return divided and isinstance(other, Tensor) and other.operation == _ONE_PLUS


def _sigmoid_by_hand(run: Interpreter, node: ast.BinOp | ast.AugAssign, other: Value) -> Tensor:
    """``1 / (1 + exp(-x))``."""
    given = as_tensor(other)
    for _ in range(3):  # 1 + exp(-x), exp(-x), -x
        given = given.before or PLAIN
    site = run.site(node)
    made = replace(given, kind=Kind.SIGMOID, origin=site, operation="sigmoid by hand",
                   before=given, dim=None, complement=False)  # fmt: skip
    run.note_application(Effect.SIGMOID, "sigmoid by hand", given, made, None, site)
    return made


def _same(one: Tensor, other: Tensor) -> bool:
    if one is other:
        return True
    if one.origin is None or other.origin is None:
        return False
    return ast.dump(one.origin.node) == ast.dump(other.origin.node)


def _with_number(tensor: Tensor, operator: ast.operator, value: float | None) -> Tensor:
    if value is None:
        return DIFFERENCE if isinstance(operator, ast.Sub) else tensor.forgotten()
    if isinstance(operator, ast.Add | ast.Sub) and abs(value) <= SMALL:
        return tensor
    if isinstance(operator, ast.Mult | ast.Div) and value == 1:
        return tensor
    of_negated = tensor.before is not None and tensor.before.operation == "negated"
    if tensor.kind is Kind.EXPONENTIAL and of_negated and isinstance(operator, ast.Add):
        return Tensor(operation=_ONE_PLUS if value == 1 else "", before=tensor)
    rescaled = isinstance(operator, ast.Add | ast.Sub) or value > 0
    linear = isinstance(operator, ast.Add | ast.Sub | ast.Mult | ast.Div)
    return tensor if tensor.kind is Kind.LOGITS and linear and rescaled else tensor.forgotten()


def _number_with(value: float | None, operator: ast.operator, tensor: Tensor) -> Tensor:
    if value is None:
        return DIFFERENCE if isinstance(operator, ast.Sub) else tensor.forgotten()
    if isinstance(operator, ast.Sub):
        near_one = abs(value - 1) <= SMALL and tensor.kind is Kind.SIGMOID
        return replace(tensor, complement=not tensor.complement) if near_one else tensor.forgotten()
    if isinstance(operator, ast.Add | ast.Mult):
        return _with_number(tensor, operator, value)
    return tensor.forgotten()


# Indexing.


def indexed(tensor: Tensor, index: ast.expr, constants: Sequence[int | None]) -> Tensor:
    """A tensor of which a part is taken.

    Args:
        tensor: the tensor.
        index: what stands in the brackets.
        constants: for each axis of the index, the whole number that it is known to be.
    """
    axes = index.elts if isinstance(index, ast.Tuple) else [index]
    if len(axes) == 1:
        return _first_axis(tensor, axes[0], constants[0])
    if _is_plain_slice(axes[-1]) and all(
        _is_plain_slice(axis) or _is_ellipsis(axis) or _adds_axis(axis) for axis in axes
    ):
        return tensor.reshaped()
    if tensor.dim == -1 and _is_plain_slice(axes[-1]):
        return replace(tensor.reshaped(), dim=-1)
    last = constants[-1] is not None and not _adds_axis(axes[-1])
    if last or any(value is not None for value in constants[1:]):
        at = next(i for i in reversed(range(len(axes))) if constants[i] is not None)
        elsewhere = tensor.dim is not None and tensor.dim >= 0 and tensor.dim != at
        return tensor.reshaped() if elsewhere and at > 0 else chosen(tensor)
    if all(isinstance(axis, ast.Slice) or _is_ellipsis(axis) for axis in axes):
        return tensor.forgotten() if tensor.kind is Kind.SOFTMAX else tensor.reshaped()
    return chosen(tensor)


def _first_axis(tensor: Tensor, axis: ast.expr, constant: int | None) -> Tensor:
    if _is_ellipsis(axis) or _adds_axis(axis):
        return tensor.reshaped()
    reshaped = replace(tensor.reshaped(), batched=isinstance(axis, ast.Slice) and tensor.batched)
    # One sample of a batch, or one class of a single sample: not known which.
    if constant is not None and not tensor.batched and tensor.kind is Kind.SOFTMAX:
        return tensor.forgotten()
    return reshaped


def _is_plain_slice(axis: ast.expr) -> bool:
    return isinstance(axis, ast.Slice) and axis.lower is None and axis.upper is None


def _is_ellipsis(axis: ast.expr) -> bool:
    return isinstance(axis, ast.Constant) and axis.value is Ellipsis


def _adds_axis(axis: ast.expr) -> bool:
    return isinstance(axis, ast.Constant) and axis.value is None
