"""Which way a loss goes: the native kernels where they fit, plain PyTorch everywhere else.

The native kernels compute a gradient along with the loss, in one pass over memory. They take plain
tensors on the CPU whose input alone asks for a gradient. Everything else goes to the reference:
other devices, tensor subclasses, functorch's transforms and forward mode, tracing and compilation,
gradients of weights and targets, and derivatives of the gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from xent.kernels import _cpu, _reference
from xent.kernels._settings import ElementSettings, RowSettings

Settings = RowSettings | ElementSettings
Loss = Callable[[Tensor, Tensor, Tensor | None, Tensor | None, Any], Tensor]

_PLAIN_TYPES = frozenset((Tensor, torch.nn.Parameter))
_keeps_graph: Callable[[], bool] | None = getattr(
    torch._C._autograd, "_get_current_graph_task_keep_graph", None
)

# Below this many elements PyTorch's nll_loss costs less than a call of ours: it is exact anyway.
_LEAST_OWN_NLL = 262_144


def softmax_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    sample_weight: Tensor | None,
    settings: RowSettings,
) -> Tensor:
    """Cross-entropy of logits with class indices; the class axis is 1, or 0 of a single row."""
    if native_allowed(input, target, weight, sample_weight):
        return _native(_cpu.softmax_loss, input, target, weight, sample_weight, settings)
    return _reference.softmax_loss(input, target, weight, sample_weight, settings)


def soft_target_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    sample_weight: Tensor | None,
    settings: RowSettings,
) -> Tensor:
    """Cross-entropy of logits with probabilities of the classes, shaped like the input."""
    return _reference.soft_target_loss(input, target, weight, sample_weight, settings)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    sample_weight: Tensor | None,
    settings: RowSettings,
) -> Tensor:
    """Negative log-likelihood of log-probabilities with class indices."""
    if not native_allowed(input, target, weight, sample_weight):
        return _reference.nll_loss(input, target, weight, sample_weight, settings)
    if (
        weight is None
        and sample_weight is None
        and input.numel() < _LEAST_OWN_NLL
        and target.dtype is torch.int64
        and input.itemsize >= 4
        and not settings.zero_if_all_ignored
    ):
        try:
            return torch._C._nn.nll_loss_nd(
                input, target, None, _cpu.REDUCTIONS[settings.reduction], settings.ignore_index
            )
        except IndexError:
            pass  # ours says where
    return _native(_cpu.nll_loss, input, target, weight, sample_weight, settings)


def sigmoid_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    settings: ElementSettings,
) -> Tensor:
    """Binary cross-entropy of logits."""
    if native_allowed(input, target, weight, pos_weight):
        return _native(_cpu.sigmoid_loss, input, target, weight, pos_weight, settings)
    return _reference.sigmoid_loss(input, target, weight, pos_weight, settings)


def probability_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    settings: ElementSettings,
) -> Tensor:
    """Binary cross-entropy of probabilities, with no logarithm below -100."""
    if native_allowed(input, target, weight, pos_weight):
        return _native(_cpu.probability_loss, input, target, weight, pos_weight, settings)
    return _reference.probability_loss(input, target, weight, pos_weight, settings)


def softmax_statistics(input: Tensor, target: Tensor, ignore_index: int) -> _reference.Statistics:
    """Statistics of each row of logits with class indices."""
    return _reference.softmax_statistics(input, target, ignore_index)


def native_allowed(
    input: Tensor, target: Tensor, weight: Tensor | None, other_weight: Tensor | None
) -> bool:
    """Whether the native kernels may read these tensors by their addresses."""
    return (
        _cpu.AVAILABLE
        and type(input) in _PLAIN_TYPES
        and type(target) in _PLAIN_TYPES
        and input.dtype in _cpu.STORAGES
        and input.is_cpu
        and target.is_cpu
        and not target.requires_grad
        and input.layout is torch.strided
        and input.numel() > 0
        and (weight is None or _is_constant(weight))
        and (other_weight is None or _is_constant(other_weight))
        and not _is_traced()
    )


def _is_constant(weight: Tensor) -> bool:
    return type(weight) in _PLAIN_TYPES and weight.is_cpu and not weight.requires_grad


def _is_traced() -> bool:
    """Whether something follows the operations of PyTorch, which it would not see here."""
    return (
        torch.compiler.is_compiling()
        or forward_ad._current_level >= 0
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._get_tracing_state() is not None
    )


def _is_batched(grad_output: Tensor) -> bool:
    """Whether it stands for several at once: under vmap, and with is_grads_batched."""
    return torch._C._functorch.is_legacy_batchedtensor(grad_output) or _is_traced()


def _native(
    kernel: _cpu.Kernel,
    input: Tensor,
    target: Tensor,
    first_weight: Tensor | None,
    second_weight: Tensor | None,
    settings: Settings,
) -> Tensor:
    if input.requires_grad and torch.is_grad_enabled():
        loss: Tensor = _WithGradient.apply(
            input, target, first_weight, second_weight, settings, kernel
        )
        return loss
    return kernel(input, target, first_weight, second_weight, settings, False)[0]


class _WithGradient(torch.autograd.Function):
    """A loss whose gradient was computed along with it, or is, where it depends on the row."""

    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        target: Tensor,
        first_weight: Tensor | None,
        second_weight: Tensor | None,
        settings: Settings,
        kernel: _cpu.Kernel,
    ) -> Tensor:
        is_scalar = settings.reduction != "none"
        loss, gradient = kernel(input, target, first_weight, second_weight, settings, is_scalar)
        # Not save_for_backward: PyTorch's losses allow the logits to change after the forward pass,
        # and with the gradient at hand they are needed for derivatives of it only.
        ctx.state = _State(
            gradient, input, input._version, target, first_weight, second_weight, settings, kernel
        )
        return loss

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        state: _State | None = ctx.state
        if state is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time: the gradient has been given "
                "away. Specify retain_graph=True if you need to backward through it again."
            )
        gradient = state.gradient
        is_batched = _is_batched(grad_output)
        if torch.is_grad_enabled() or (gradient is None and is_batched):
            return _differentiable_gradient(state, grad_output), None, None, None, None, None
        if is_batched:
            return gradient * grad_output, None, None, None, None, None
        if gradient is None:
            gradient = _gradient_of_each(state, grad_output)
            is_own = is_scaled = True
        else:
            is_own, is_scaled = False, grad_output.item() == 1.0
        if _keeps_graph is not None and not _keeps_graph():
            # Nobody else has this gradient then: it may be scaled in place, and kept as .grad.
            ctx.state, is_own = None, True
        if not is_scaled:
            gradient = gradient.mul_(grad_output) if is_own else gradient * grad_output
        return gradient, None, None, None, None, None


class _State(NamedTuple):
    """What the backward pass knows; without a gradient it computes one."""

    gradient: Tensor | None
    input: Tensor
    version: int
    target: Tensor
    first_weight: Tensor | None
    second_weight: Tensor | None
    settings: Any
    kernel: _cpu.Kernel

    def require_unchanged(self) -> None:
        if self.input._version != self.version:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an "
                f"inplace operation: the input of the loss is at version {self.input._version}; "
                f"expected version {self.version} instead."
            )


def _gradient_of_each(state: _State, grad_output: Tensor) -> Tensor:
    state.require_unchanged()
    _, input, _, target, first_weight, second_weight, settings, kernel = state
    return _cpu.gradient_of_each(
        input, target, first_weight, second_weight, settings, kernel, grad_output
    )


def _differentiable_gradient(state: _State, grad_output: Tensor) -> Tensor:
    state.require_unchanged()
    _, input, _, target, first_weight, second_weight, settings, kernel = state
    reference: Loss = getattr(_reference, kernel.__name__)
    with torch.enable_grad():
        loss = reference(input, target, first_weight, second_weight, settings)
        (gradient,) = torch.autograd.grad(loss, input, grad_output, create_graph=True)
    return gradient
