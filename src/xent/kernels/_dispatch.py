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

from xent.kernels import _cpu, _ops, _reference
from xent.kernels._settings import ElementSettings, RowSettings

Settings = RowSettings | ElementSettings
Loss = Callable[[Tensor, Tensor, Tensor | None, Tensor | None, Any], Tensor]

_PLAIN_TYPES = frozenset((Tensor, torch.nn.Parameter))
_keeps_graph: Callable[[], bool] | None = getattr(
    torch._C._autograd, "_get_current_graph_task_keep_graph", None
)

# Below this many elements PyTorch's nll_loss costs less than a call of ours: it is exact anyway.
_LEAST_OWN_NLL = 262_144
_EXACT_NLL = frozenset((torch.float32, torch.float64))


def softmax_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    sample_weight: Tensor | None,
    settings: RowSettings,
) -> Tensor:
    """Cross-entropy of logits with class indices; the class axis is 1, or 0 of a single row."""
    return _loss("softmax_loss", input, target, weight, sample_weight, settings)


def soft_target_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    sample_weight: Tensor | None,
    settings: RowSettings,
) -> Tensor:
    """Cross-entropy of logits with probabilities of the classes, shaped like the input."""
    return _loss("soft_target_loss", input, target, weight, sample_weight, settings)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    sample_weight: Tensor | None,
    settings: RowSettings,
) -> Tensor:
    """Negative log-likelihood of log-probabilities with class indices."""
    if (
        weight is None
        and sample_weight is None
        and not torch.compiler.is_compiling()
        and torch._C._get_tracing_state() is None
        and input.numel() < _LEAST_OWN_NLL
        and target.dtype is torch.int64
        and input.dtype in _EXACT_NLL
        and input.is_contiguous()
        and not settings.zero_if_all_ignored
    ):
        try:
            reduction: Any = _cpu.REDUCTIONS[settings.reduction]
            return torch._C._nn.nll_loss_nd(input, target, None, reduction, settings.ignore_index)
        except IndexError:
            pass  # ours says where
    if native_allowed(input, target, weight, sample_weight):
        return _native(_cpu.nll_loss, input, target, weight, sample_weight, settings)
    return _reference.nll_loss(input, target, weight, sample_weight, settings)


def sigmoid_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    settings: ElementSettings,
) -> Tensor:
    """Binary cross-entropy of logits."""
    return _loss("sigmoid_loss", input, target, weight, pos_weight, settings)


def probability_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    settings: ElementSettings,
) -> Tensor:
    """Binary cross-entropy of probabilities, with no logarithm below -100."""
    return _loss("probability_loss", input, target, weight, pos_weight, settings)


def softmax_statistics(input: Tensor, target: Tensor, ignore_index: int) -> _reference.Statistics:
    """Statistics of each row of logits with class indices."""
    needs_graph = input.requires_grad and torch.is_grad_enabled()
    if not needs_graph and native_allowed(input, target, None, None):
        return _reference.Statistics(*_cpu.softmax_statistics(input, target, ignore_index))
    return _reference.softmax_statistics(input, target, ignore_index)


def _loss(
    name: str,
    input: Tensor,
    target: Tensor,
    first_weight: Tensor | None,
    second_weight: Tensor | None,
    settings: Settings,
) -> Tensor:
    """The loss of this name, which the kernels, the operators and the reference share."""
    if native_allowed(input, target, first_weight, second_weight):
        kernel: _cpu.Kernel = getattr(_cpu, name)
        return _native(kernel, input, target, first_weight, second_weight, settings)
    if _operator_allowed(input, target, first_weight, second_weight):
        return _ops.loss_of(name, input, target, first_weight, second_weight, settings)
    reference: Loss = getattr(_reference, name)
    return reference(input, target, first_weight, second_weight, settings)


def native_allowed(
    input: Tensor, target: Tensor, weight: Tensor | None, other_weight: Tensor | None
) -> bool:
    """Whether the native kernels may read these tensors by their addresses."""
    return (
        _cpu.AVAILABLE
        and not _is_traced()
        and type(input) in _PLAIN_TYPES
        and type(target) in _PLAIN_TYPES
        and input.dtype in _cpu.STORAGES
        and input.is_cpu
        and target.is_cpu
        and not target.requires_grad
        and input.layout is target.layout is torch.strided
        and not (input.is_neg() or target.is_neg())
        and (weight is None or _is_constant(weight))
        and (other_weight is None or _is_constant(other_weight))
        and input.numel() > 0
    )


def _operator_allowed(
    input: Tensor, target: Tensor, weight: Tensor | None, other_weight: Tensor | None
) -> bool:
    """Whether a program that is being compiled may call the native kernels by their operators."""
    return (
        torch.compiler.is_compiling()
        and _cpu.AVAILABLE
        and input.dtype in _cpu.STORAGES
        and input.device.type == "cpu"
        and target.device.type == "cpu"
        # So written that the tracer of torch.compile can follow it.
        and isinstance(torch._C._functorch.peek_interpreter_stack(), type(None))
        and not target.requires_grad
        and (weight is None or not weight.requires_grad)
        and (other_weight is None or not other_weight.requires_grad)
    )


def _is_constant(weight: Tensor) -> bool:
    return (
        type(weight) in _PLAIN_TYPES
        and weight.is_cpu
        and not weight.requires_grad
        and not weight.is_neg()
    )


def _is_traced() -> bool:
    """Whether something follows the operations of PyTorch, which it would not see here."""
    return (
        torch.compiler.is_compiling()
        or forward_ad._current_level >= 0
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._get_tracing_state() is not None
    )


def _is_more_than_numbers(grad_output: Tensor) -> bool:
    """Whether it stands for several at once, as under vmap, or is a tensor of somebody's own."""
    return (
        type(grad_output) is not Tensor
        or torch._C._functorch.is_legacy_batchedtensor(grad_output)
        or _is_traced()
    )


def _native(
    kernel: _cpu.Kernel,
    input: Tensor,
    target: Tensor,
    first_weight: Tensor | None,
    second_weight: Tensor | None,
    settings: Settings,
) -> Tensor:
    if input.requires_grad and torch.is_grad_enabled():
        loss: Tensor = _WithGradient.apply(  # type: ignore[no-untyped-call]
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
        versions = _versions(input, target, first_weight, second_weight)
        ctx.state = _State(
            gradient, input, target, first_weight, second_weight, settings, kernel, versions
        )
        return loss

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        state: _State | None = ctx.state
        if state is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time: the gradient has been given "
                "away. Specify retain_graph=True if you need to backward through it again."
            )
        gradient = state.gradient
        if torch.is_grad_enabled() or (gradient is None and _is_more_than_numbers(grad_output)):
            return _differentiable_gradient(state, grad_output), None, None, None, None, None
        if gradient is None:
            return _gradient_of_each(state, grad_output), None, None, None, None, None
        if _is_more_than_numbers(grad_output):
            return gradient * grad_output, None, None, None, None, None
        is_one = grad_output.item() == 1.0
        if _keeps_graph is None or _keeps_graph():
            # What is kept for the next backward pass is not given away.
            gradient = gradient.clone() if is_one else gradient * grad_output
        else:
            ctx.state = None
            gradient = gradient if is_one else gradient.mul_(grad_output)
        return gradient, None, None, None, None, None


class _State(NamedTuple):
    """What the backward pass knows; without a gradient it computes one."""

    gradient: Tensor | None
    input: Tensor
    target: Tensor
    first_weight: Tensor | None
    second_weight: Tensor | None
    settings: Any
    kernel: _cpu.Kernel
    versions: tuple[int, ...]

    def require_unchanged(self) -> None:
        now = _versions(self.input, self.target, self.first_weight, self.second_weight)
        if now != self.versions:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an "
                "inplace operation: the loss reads its arguments again for this gradient. Clone "
                "what you change after the forward pass."
            )


def _versions(
    input: Tensor, target: Tensor, first_weight: Tensor | None, second_weight: Tensor | None
) -> tuple[int, ...]:
    """How often each was changed in place; nothing where inference tensors are among them."""
    weights = (first_weight, second_weight)
    try:
        if first_weight is None and second_weight is None:
            return input._version, target._version
        counted = [input, target, *(weight for weight in weights if weight is not None)]
        return tuple(tensor._version for tensor in counted)
    except RuntimeError:
        return ()


def _gradient_of_each(state: _State, grad_output: Tensor) -> Tensor:
    state.require_unchanged()
    _, input, target, first_weight, second_weight, settings, kernel, _ = state
    return _cpu.gradient_of_each(
        input, target, first_weight, second_weight, settings, kernel, grad_output
    )


def _differentiable_gradient(state: _State, grad_output: Tensor) -> Tensor:
    state.require_unchanged()
    _, input, target, first_weight, second_weight, settings, kernel, _ = state
    reference: Loss = getattr(_reference, kernel.__name__)
    with torch.enable_grad():
        loss = reference(input, target, first_weight, second_weight, settings)
        (gradient,) = torch.autograd.grad(loss, input, grad_output, create_graph=True)
    return gradient
