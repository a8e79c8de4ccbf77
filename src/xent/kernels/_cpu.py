"""Kernels on the CPU: tensors become addresses here, and nothing is computed.

Every kernel returns the loss and, if asked, its gradient; the caller has checked that the tensors
are plain ones on the CPU (see ``_dispatch``).
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor

from xent.kernels._settings import ElementSettings, OutOfRange, RowSettings

_native: Any
try:
    from xent import _native
except ImportError:
    _native = None

AVAILABLE = _native is not None
STORAGES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2, torch.float16: 3}
REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}

Kernel = Callable[
    [Tensor, Tensor, Tensor | None, Tensor | None, Any, bool], tuple[Tensor, Tensor | None]
]

# Below this many elements a second thread costs more than it saves.
ELEMENTS_PER_THREAD = 16_384
# From here on fresh memory costs more than the arithmetic: gradients then come from a pool.
LEAST_POOLED_BYTES = 1 << 20
# Shorter weights are repeated, so that vectors of them can be loaded.
LEAST_WEIGHT_PERIOD = 512

_SOFTMAX, _NLL = 0, 1

# The losses of half types are rounded from float32.
_SCALARS = [torch.zeros((), dtype=dtype) for dtype in (torch.float32, torch.float64)]
_SCALARS += [_SCALARS[0], _SCALARS[0]]


def softmax_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    sample_weight: Tensor | None,
    settings: RowSettings,
    with_gradient: bool,
) -> tuple[Tensor, Tensor | None]:
    """Cross-entropy of logits with class indices."""
    return _rows_loss(_SOFTMAX, input, target, weight, sample_weight, settings, with_gradient)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    sample_weight: Tensor | None,
    settings: RowSettings,
    with_gradient: bool,
) -> tuple[Tensor, Tensor | None]:
    """Negative log-likelihood of log-probabilities with class indices."""
    return _rows_loss(_NLL, input, target, weight, sample_weight, settings, with_gradient)


def sigmoid_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    settings: ElementSettings,
    with_gradient: bool,
) -> tuple[Tensor, Tensor | None]:
    """Binary cross-entropy of logits."""
    return _elements_loss(False, input, target, weight, pos_weight, settings, with_gradient)


def probability_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    settings: ElementSettings,
    with_gradient: bool,
) -> tuple[Tensor, Tensor | None]:
    """Binary cross-entropy of probabilities."""
    return _elements_loss(True, input, target, weight, pos_weight, settings, with_gradient)


def gradient_of_each(
    input: Tensor,
    target: Tensor,
    first_weight: Tensor | None,
    second_weight: Tensor | None,
    settings: RowSettings | ElementSettings,
    kernel: Kernel,
    grad_output: Tensor,
) -> Tensor:
    """Gradient of losses that each have a gradient of their own coming back.

    It is the gradient of their sum, weighted by what comes back.
    """
    summed: Any = settings._replace(reduction="sum")
    grad_output = grad_output.to(_computed_in(input))
    if isinstance(settings, RowSettings):
        second_weight = (
            grad_output if second_weight is None else second_weight.to(grad_output) * grad_output
        )
    else:
        first_weight = (
            grad_output if first_weight is None else first_weight.to(grad_output) * grad_output
        )
    gradient = kernel(input, target, first_weight, second_weight, summed, True)[1]
    assert gradient is not None
    return gradient


# ---- rows ----


def _rows_loss(
    kind: int,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    sample_weight: Tensor | None,
    settings: RowSettings,
    with_gradient: bool,
) -> tuple[Tensor, Tensor | None]:
    reduction, ignore_index, label_smoothing, z_loss, zero_if_all_ignored = settings
    shape = input.shape
    axes = len(shape)
    if axes == 1:
        rows, classes, positions = 1, shape[0], 1
    elif axes == 2:
        rows, classes = shape
        positions = 1
    else:
        classes, positions = shape[1], prod(shape[2:])
        rows = shape[0] * positions
    classes_last = False
    if not input.is_contiguous():
        classes_last = axes > 2 and input.movedim(1, -1).is_contiguous()
        if classes_last:
            positions = 1
        else:
            input = input.contiguous()
    if target.dtype is not torch.int64:
        target = target.long()
    if not target.is_contiguous():
        target = target.contiguous()
    total_weight = float(classes)
    if weight is not None:
        weight = weight.to(_computed_in(input)).contiguous()
        if label_smoothing:
            total_weight = weight.double().sum().item()
    if sample_weight is not None:
        sample_weight = sample_weight.to(_computed_in(input)).contiguous()
    dtype = input.dtype
    storage = STORAGES[dtype]
    size = rows * classes
    gradient, streaming = (
        _gradient_like(input, classes_last, kind == _NLL) if with_gradient else (None, False)
    )
    losses = loss = None
    if reduction == "none":
        losses = input.new_empty(target.shape)
    else:
        loss = torch.empty_like(_SCALARS[storage])
    outside = _native.rows_loss(
        kind,
        input.data_ptr(),
        target.data_ptr(),
        0 if weight is None else weight.data_ptr(),
        0 if sample_weight is None else sample_weight.data_ptr(),
        0 if gradient is None else gradient.data_ptr(),
        0 if losses is None else losses.data_ptr(),
        0 if loss is None else loss.data_ptr(),
        rows,
        classes,
        positions,
        storage,
        REDUCTIONS[reduction],
        zero_if_all_ignored,
        ignore_index,
        label_smoothing,
        z_loss,
        total_weight,
        streaming,
        1 if size < ELEMENTS_PER_THREAD else _threads(size),
    )
    if outside >= 0:
        raise OutOfRange(outside, target.flatten()[outside].item())
    if loss is None:
        assert losses is not None
        return losses, gradient
    return (loss.to(dtype) if storage > 1 else loss), gradient


def _gradient_like(input: Tensor, classes_last: bool, zeroed: bool) -> tuple[Tensor, bool]:
    """Memory for a gradient, and whether its pages have been written before."""
    if classes_last:
        gradient, used = _memory_like(input.movedim(1, -1))
        gradient = gradient.movedim(-1, 1)
    else:
        gradient, used = _memory_like(input)
    return gradient.zero_() if zeroed else gradient, used


def _memory_like(input: Tensor) -> tuple[Tensor, bool]:
    """Contiguous memory of this shape and dtype."""
    if input.nbytes >= LEAST_POOLED_BYTES:
        pooled = _native.pooled_tensor(list(input.shape), STORAGES[input.dtype])
        if pooled is not None:
            capsule, used = pooled
            return torch._C._from_dlpack(capsule), used
    return torch.empty_like(input), False


# ---- elements ----


def _elements_loss(
    of_probabilities: bool,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    settings: ElementSettings,
    with_gradient: bool,
) -> tuple[Tensor, Tensor | None]:
    reduction, label_smoothing, ignore_index, zero_if_all_ignored = settings
    if not input.is_contiguous():
        input = input.contiguous()
    dtype = input.dtype
    size = counted = input.numel()
    if ignore_index is not None:
        # Before the conversion, which could round another target to this number.
        kept = (
            target.long() != ignore_index
            if not target.is_floating_point()
            else target != ignore_index
        )
        counted = int(kept.sum())
        target = torch.where(kept, target.to(dtype), float(ignore_index))
    if target.dtype is not dtype:
        target = target.to(dtype)
    if not target.is_contiguous():
        target = target.contiguous()
    storage = STORAGES[dtype]
    weight, weight_period = _periodic(weight, input)
    pos_weight, pos_weight_period = _periodic(pos_weight, input)
    gradient, streaming = _memory_like(input) if with_gradient else (None, False)
    losses = loss = None
    if reduction == "none":
        losses = torch.empty_like(input)
    else:
        loss = torch.empty_like(_SCALARS[storage])
    in_range = _native.elements_loss(
        of_probabilities,
        input.data_ptr(),
        target.data_ptr(),
        0 if weight is None else weight.data_ptr(),
        weight_period,
        0 if pos_weight is None else pos_weight.data_ptr(),
        pos_weight_period,
        0 if gradient is None else gradient.data_ptr(),
        0 if losses is None else losses.data_ptr(),
        0 if loss is None else loss.data_ptr(),
        size,
        counted,
        storage,
        REDUCTIONS[reduction],
        zero_if_all_ignored,
        label_smoothing,
        ignore_index is not None,
        0.0 if ignore_index is None else float(ignore_index),
        streaming,
        1 if size < ELEMENTS_PER_THREAD else _threads(size),
    )
    if not in_range:
        raise _first_outside(input, target, ignore_index)
    if loss is None:
        assert losses is not None
        return losses, gradient
    return (loss.to(dtype) if storage > 1 else loss), gradient


def _periodic(weight: Tensor | None, input: Tensor) -> tuple[Tensor | None, int]:
    """A weight as a contiguous vector that repeats itself along the elements, and its length."""
    if weight is None:
        return None, 0
    weight = weight.to(_computed_in(input))
    if weight.numel() == 1:
        return weight, 1
    if weight.ndim == 1 or weight.numel() == weight.shape[-1] == input.shape[-1]:
        weight = weight.reshape(-1)
        if weight.numel() < LEAST_WEIGHT_PERIOD < input.numel():
            weight = weight.repeat(-(-LEAST_WEIGHT_PERIOD // weight.numel()))
        return weight.contiguous(), weight.numel()
    return weight.expand(input.shape).contiguous(), input.numel()


def _first_outside(input: Tensor, target: Tensor, ignore_index: int | None) -> OutOfRange:
    for name, values in (("input", input), ("target", target)):
        outside = ~((values >= 0) & (values <= 1))
        if ignore_index is not None:
            outside &= target != ignore_index
        if outside.any():
            position = int(outside.flatten().int().argmax())
            return OutOfRange(position, values.flatten()[position].item(), name)
    raise AssertionError("the kernel saw a value outside [0, 1] that is not there")


def _computed_in(input: Tensor) -> torch.dtype:
    return torch.float64 if input.dtype is torch.float64 else torch.float32


def _threads(size: int) -> int:
    return min(torch.get_num_threads(), 1 + size // ELEMENTS_PER_THREAD)


# ---- stacks of models, for the study ----


def sigmoid_sums(
    logits: Tensor, coefficients: Tensor, total: Tensor | None, slope: Tensor | None
) -> Tensor | None:
    """Sum ``t softplus(u) - c u`` over outputs and rows; write its gradient into ``slope``.

    Accurate to 2 units in the last place a logit, in both tails; sums are the same for every number
    of threads.

    Args:
        logits: u, ``(members, outputs, rows)``.
        coefficients: c, ``(outputs, rows)`` shared by the members, or ``(members, outputs, rows)``.
        total: t, ``(1, rows)`` or ``(members, 1, rows)``; None for 1.
        slope: where ``t sigmoid(u) - c`` goes, like ``logits``; None for no gradient.

    Returns:
        Sums ``(members,)`` float64, or None where this kernel can't be used: another device or
        dtype, shapes that don't fit, a layout with gaps between rows, or no extension.
    """
    if not AVAILABLE or not _fits(logits, coefficients, total, slope):
        return None
    members, outputs, rows = logits.shape
    values = torch.empty(members, dtype=torch.float64)
    stride = coefficients.stride()
    own_total = total is not None and total.ndim == 3
    _native.sigmoid_sums(
        logits.data_ptr(),
        coefficients.data_ptr(),
        0 if total is None else total.data_ptr(),
        0 if slope is None else slope.data_ptr(),
        values.data_ptr(),
        members,
        outputs,
        rows,
        stride[-2],
        stride[0] if len(stride) == 3 else 0,
        total.stride(0) if own_total and total is not None else 0,
        _threads(logits.numel()),
    )
    return values


def _fits(logits: Tensor, coefficients: Tensor, total: Tensor | None, slope: Tensor | None) -> bool:
    """Whether the addresses may be handed over: the native code reads what it is told to."""
    if logits.ndim != 3 or not (_is_plain(logits) and logits.is_contiguous()):
        return False
    members, outputs, rows = logits.shape
    if coefficients.shape not in ((outputs, rows), (members, outputs, rows)):
        return False
    if total is not None and total.shape not in ((1, rows), (members, 1, rows)):
        return False
    if slope is not None and (slope.shape != logits.shape or not slope.is_contiguous()):
        return False
    others = (coefficients, total, slope)
    return all(tensor is None or _is_plain(tensor) for tensor in others)


def _is_plain(tensor: Tensor) -> bool:
    return tensor.dtype is torch.float32 and tensor.device.type == "cpu" and tensor.stride(-1) == 1
