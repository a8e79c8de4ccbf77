"""The native losses as operators of PyTorch, so that compiled programs call them too.

Outside of torch.compile the kernels are called directly: an operator costs more than a small loss.
An operator returns the gradient along with the loss, and its backward pass multiplies it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xent.kernels import _cpu
from xent.kernels._settings import ElementSettings, OutOfRange, RowSettings

KERNELS: dict[str, _cpu.Kernel] = {
    kernel.__name__: kernel
    for kernel in (
        _cpu.softmax_loss,
        _cpu.soft_target_loss,
        _cpu.nll_loss,
        _cpu.sigmoid_loss,
        _cpu.probability_loss,
    )
}


def loss_of(
    kernel: str,
    input: Tensor,
    target: Tensor,
    first_weight: Tensor | None,
    second_weight: Tensor | None,
    settings: RowSettings | ElementSettings,
) -> Tensor:
    """The loss by its operator, for a program that is being compiled."""
    flat = _flat(settings)
    with_gradient = input.requires_grad and settings.reduction != "none"
    loss: Tensor = torch.ops.xent.loss(
        input, target, first_weight, second_weight, kernel, *flat, with_gradient
    )[0]
    return loss


@torch.library.custom_op("xent::loss", mutates_args=(), device_types="cpu")
def _loss(  # noqa: PLR0917 -- the schema of an operator knows no keywords
    input: Tensor,
    target: Tensor,
    first_weight: Tensor | None,
    second_weight: Tensor | None,
    kernel: str,
    reduction: str,
    ignore_index: int | None,
    label_smoothing: float,
    z_loss: float,
    zero_if_all_ignored: bool,
    with_gradient: bool,
) -> tuple[Tensor, Tensor]:
    settings = _settings(
        kernel, reduction, ignore_index, label_smoothing, z_loss, zero_if_all_ignored
    )
    with _spoken(kernel):
        loss, gradient = KERNELS[kernel](
            input, target, first_weight, second_weight, settings, with_gradient
        )
    return loss, input.new_empty(0) if gradient is None else gradient


@_loss.register_fake
def _(input: Tensor, target: Tensor, *options: Any) -> tuple[Tensor, Tensor]:
    _, _, kernel, reduction, *_, with_gradient = options
    if reduction != "none":
        loss = input.new_empty(())
    elif _is_of_elements(kernel):
        loss = torch.empty_like(input)
    elif kernel != "soft_target_loss":
        loss = input.new_empty(target.shape)
    else:
        loss = input.new_empty(input.shape[:1] + input.shape[2:] if input.ndim > 1 else ())
    return loss, torch.empty_like(input) if with_gradient else input.new_empty(0)


@torch.library.custom_op("xent::gradient_of_each", mutates_args=(), device_types="cpu")
def _gradient_of_each(  # noqa: PLR0917
    grad_output: Tensor,
    input: Tensor,
    target: Tensor,
    first_weight: Tensor | None,
    second_weight: Tensor | None,
    kernel: str,
    ignore_index: int | None,
    label_smoothing: float,
    z_loss: float,
) -> Tensor:
    settings = _settings(kernel, "none", ignore_index, label_smoothing, z_loss, False)
    return _cpu.gradient_of_each(
        input, target, first_weight, second_weight, settings, KERNELS[kernel], grad_output
    )


@_gradient_of_each.register_fake
def _(grad_output: Tensor, input: Tensor, *options: Any) -> Tensor:
    return torch.empty_like(input)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    input, target, first_weight, second_weight, *ctx.options = inputs
    if ctx.options[1] == "none":
        ctx.save_for_backward(input, target, first_weight, second_weight)
    else:
        ctx.save_for_backward(output[1])
    ctx.mark_non_differentiable(output[1])


def _backward(ctx: Any, grad_loss: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    kernel, reduction, ignore_index, label_smoothing, z_loss, *_ = ctx.options
    if reduction == "none":
        gradient = torch.ops.xent.gradient_of_each(
            grad_loss, *ctx.saved_tensors, kernel, ignore_index, label_smoothing, z_loss
        )
    else:
        gradient = ctx.saved_tensors[0] * grad_loss
    return gradient, *([None] * 10)


_loss.register_autograd(_backward, setup_context=_setup_context)


def _is_of_elements(kernel: str) -> bool:
    return kernel in ("sigmoid_loss", "probability_loss")


def _flat(settings: RowSettings | ElementSettings) -> tuple[Any, ...]:
    """Settings as arguments of the operator: plain values of both kinds."""
    z_loss = settings.z_loss if isinstance(settings, RowSettings) else 0.0
    return (
        settings.reduction,
        settings.ignore_index,
        settings.label_smoothing,
        z_loss,
        settings.zero_if_all_ignored,
    )


def _settings(
    kernel: str,
    reduction: str,
    ignore_index: int | None,
    label_smoothing: float,
    z_loss: float,
    zero_if_all_ignored: bool,
) -> RowSettings | ElementSettings:
    if _is_of_elements(kernel):
        return ElementSettings(reduction, label_smoothing, ignore_index, zero_if_all_ignored)
    assert ignore_index is not None
    return RowSettings(reduction, ignore_index, label_smoothing, z_loss, zero_if_all_ignored)


class _spoken:  # noqa: N801 -- reads as what it does in a with statement
    """A compiled program can't word an error as the function that it came from does."""

    def __init__(self, kernel: str) -> None:
        self.kernel = kernel

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OutOfRange):
            family = RuntimeError if _is_of_elements(self.kernel) else IndexError
            raise family(
                f"{self.kernel}: {error.argument} holds {error.value} at position "
                f"{error.position}, outside of its range"
            ) from None
