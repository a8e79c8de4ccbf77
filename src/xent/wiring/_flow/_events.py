"""What a program does with tensors that rules look at, in the order in which it does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xent.wiring._flow._losses import Loss
from xent.wiring._flow._producers import Effect
from xent.wiring._flow._values import Tensor, Value
from xent.wiring._places import Site


@dataclass(frozen=True, eq=False)
class Event:
    """Something that happens at a site.

    Args:
        site: where.
        calls: the calls that led there, outermost first.
        evaluating: whether it is in code for validation, testing or prediction.
    """

    site: Site
    calls: tuple[Site, ...]
    evaluating: bool


@dataclass(frozen=True, eq=False)
class LossCall(Event):
    """A loss is called.

    Args:
        loss: which.
        label: how the code calls it: ``CrossEntropyLoss`` or ``cross_entropy``.
        input: its first argument.
        target: its second.
        options: the options that are given, of the function or of the layer.
        layer: the loss object; None for a function.
        negated: whether its value is negated at once.
    """

    loss: Loss
    label: str
    input: Tensor
    target: Value
    options: Mapping[str, Value]
    layer: Value | None
    negated: bool


@dataclass(frozen=True, eq=False)
class Applied(Event):
    """An operation is applied to a tensor.

    Args:
        effect: what it does.
        operation: its name.
        input: what it is applied to.
        output: what it gives; None for what is not a tensor.
        dim: the axis, if it is written in the code.
    """

    effect: Effect
    operation: str
    input: Tensor
    output: Tensor | None
    dim: int | None


@dataclass(frozen=True, eq=False)
class AxisLeftOut(Event):
    """A softmax is made or called without its axis."""

    operation: str


@dataclass(frozen=True, eq=False)
class Compared(Event):
    """A tensor is compared with a number, or rounded (the number is then 0.5)."""

    tensor: Tensor
    number: float


@dataclass(frozen=True, eq=False)
class Scored(Event):
    """A tensor is given to a metric as predicted probabilities.

    Args:
        metric: the function, such as ``log_loss``.
        tensor: what it is given.
        of_ranks: whether the metric looks at nothing but the order.
    """

    metric: str
    tensor: Tensor
    of_ranks: bool


@dataclass(frozen=True, eq=False)
class Returned(Event):
    """A function whose name promises probabilities returns a tensor."""

    function: str
    tensor: Tensor
