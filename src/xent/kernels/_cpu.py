"""Kernels on the CPU: tensors become addresses here, and nothing is computed.

Every kernel returns the loss and, if asked, its gradient; the caller has checked that the tensors
are plain ones on the CPU (see ``_dispatch``).
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

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
    grad_output = grad_output.resolve_neg().to(_computed_in(input))
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


class _Layout(NamedTuple):
    """How rows lie in memory: ``(images, classes, positions)``, or row by row."""

    rows: int
    classes: int
    positions: int
    classes_last: bool


def _layout_of(input: Tensor) -> _Layout:
    shape = input.shape
    if len(shape) == 2:
        return _Layout(shape[0], shape[1], 1, False)
    if len(shape) == 1:
        return _Layout(1, shape[0], 1, False)
    positions = prod(shape[2:])
    # As channels-last images are: each position is a row of its own then.
    classes_last = not input.is_contiguous() and input.movedim(1, -1).is_contiguous()
    return _Layout(shape[0] * positions, shape[1], 1 if classes_last else positions, classes_last)


def _laid_out(values: Tensor, layout: _Layout) -> Tensor:
    """The same values in the layout; without a copy where they are already."""
    if layout.classes_last:
        return values.movedim(1, -1).contiguous()
    return values if values.is_contiguous() else values.contiguous()


def _rows_loss(
    kind: int,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    sample_weight: Tensor | None,
    settings: RowSettings,
    with_gradient: bool,
) -> tuple[Tensor, Tensor | None]:
    layout = _layout_of(input)
    values = _laid_out(input, layout)
    target = _contiguous_indices(target)
    weight, sample_weight = _like_sums(weight, input), _like_sums(sample_weight, input)
    total_weight = float(layout.classes)
    if weight is not None and settings.label_smoothing:
        total_weight = weight.double().sum().item()
    gradient, used = _gradient_like(values, with_gradient, kind == _NLL)
    loss, losses = _results(input, settings.reduction, target.shape)
    storage = STORAGES[input.dtype]
    outside = _native.rows_loss(
        kind,
        values.data_ptr(),
        target.data_ptr(),
        0 if weight is None else weight.data_ptr(),
        0 if sample_weight is None else sample_weight.data_ptr(),
        0 if gradient is None else gradient.data_ptr(),
        0 if losses is None else losses.data_ptr(),
        0 if loss is None else loss.data_ptr(),
        layout.rows,
        layout.classes,
        layout.positions,
        storage,
        REDUCTIONS[settings.reduction],
        settings.zero_if_all_ignored,
        settings.ignore_index,
        settings.label_smoothing,
        settings.z_loss,
        total_weight,
        used,
        _threads(layout.rows * layout.classes),
    )
    if outside >= 0:
        raise OutOfRange(outside, target.flatten()[outside].item())
    return _result(loss, losses, input.dtype), _as_input(gradient, layout)


def soft_target_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    sample_weight: Tensor | None,
    settings: RowSettings,
    with_gradient: bool,
) -> tuple[Tensor, Tensor | None]:
    """Cross-entropy of logits with probabilities of the classes."""
    layout = _layout_of(input)
    values = _laid_out(input, layout)
    target = _laid_out(target.to(input.dtype), layout)
    weight, sample_weight = _like_sums(weight, input), _like_sums(sample_weight, input)
    gradient, used = _gradient_like(values, with_gradient, False)
    shape = input.shape[:1] + input.shape[2:] if input.ndim > 1 else torch.Size()
    loss, losses = _results(input, settings.reduction, shape)
    _native.soft_target_loss(
        values.data_ptr(),
        target.data_ptr(),
        0 if weight is None else weight.data_ptr(),
        0 if sample_weight is None else sample_weight.data_ptr(),
        0 if gradient is None else gradient.data_ptr(),
        0 if losses is None else losses.data_ptr(),
        0 if loss is None else loss.data_ptr(),
        layout.rows,
        layout.classes,
        layout.positions,
        STORAGES[input.dtype],
        REDUCTIONS[settings.reduction],
        settings.zero_if_all_ignored,
        settings.label_smoothing,
        settings.z_loss,
        used,
        _threads(layout.rows * layout.classes),
    )
    return _result(loss, losses, input.dtype), _as_input(gradient, layout)


def softmax_statistics(
    input: Tensor, target: Tensor, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Negative log-likelihood, log-sum-exp, entropy and prediction of each row."""
    layout = _layout_of(input)
    values = _laid_out(input, layout)
    target = _contiguous_indices(target)
    nll, log_sum_exp, entropy = (input.new_empty(target.shape) for _ in range(3))
    prediction = torch.empty_like(target)
    outside = _native.softmax_statistics(
        values.data_ptr(),
        target.data_ptr(),
        nll.data_ptr(),
        log_sum_exp.data_ptr(),
        entropy.data_ptr(),
        prediction.data_ptr(),
        layout.rows,
        layout.classes,
        layout.positions,
        STORAGES[input.dtype],
        ignore_index,
        _threads(layout.rows * layout.classes),
    )
    if outside >= 0:
        raise OutOfRange(outside, target.flatten()[outside].item())
    return nll, log_sum_exp, entropy, prediction


def _contiguous_indices(target: Tensor) -> Tensor:
    if target.dtype is not torch.int64:
        target = target.long()
    return target if target.is_contiguous() else target.contiguous()


def _like_sums(weight: Tensor | None, input: Tensor) -> Tensor | None:
    return None if weight is None else weight.to(_computed_in(input)).contiguous()


def _results(
    input: Tensor, reduction: str, shape: torch.Size
) -> tuple[Tensor | None, Tensor | None]:
    """Room for the one number, or for one number each."""
    if reduction == "none":
        return None, input.new_empty(shape)
    return torch.empty_like(_SCALARS[STORAGES[input.dtype]]), None


def _result(loss: Tensor | None, losses: Tensor | None, dtype: torch.dtype) -> Tensor:
    if loss is None:
        assert losses is not None
        return losses
    return loss if loss.dtype is dtype else loss.to(dtype)


def _gradient_like(values: Tensor, wanted: bool, zeroed: bool) -> tuple[Tensor | None, bool]:
    """Contiguous memory for a gradient, and whether its pages have been written before."""
    if not wanted:
        return None, False
    gradient, used = _memory_like(values)
    return gradient.zero_() if zeroed else gradient, used


def _memory_like(values: Tensor) -> tuple[Tensor, bool]:
    if values.nbytes >= LEAST_POOLED_BYTES:
        pooled = _native.pooled_tensor(list(values.shape), STORAGES[values.dtype])
        if pooled is not None:
            capsule, used = pooled
            return torch._C._from_dlpack(capsule), used
    return torch.empty_like(values), False


def _as_input(gradient: Tensor | None, layout: _Layout) -> Tensor | None:
    if gradient is None or not layout.classes_last:
        return gradient
    return gradient.movedim(-1, 1)


def empty_cache() -> int:
    """Return the memory of past gradients to the system; how many bytes it was.

    Gradients of 1 MiB and more come from a pool, since fresh pages cost more than the arithmetic.
    The pool keeps up to four blocks that nobody uses, for about ten seconds.
    """
    returned: int = _native.empty_pool() if AVAILABLE else 0
    return returned


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
        kept = (target if target.is_floating_point() else target.long()) != ignore_index
        counted = int(kept.sum())
        target = torch.where(kept, target.to(dtype), float(ignore_index))
    if target.dtype is not dtype:
        target = target.to(dtype)
    if not target.is_contiguous():
        target = target.contiguous()
    weight, weight_period = _periodic(weight, input)
    pos_weight, pos_weight_period = _periodic(pos_weight, input)
    gradient, used = _gradient_like(input, with_gradient, False)
    loss, losses = _results(input, reduction, input.shape)
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
        STORAGES[dtype],
        REDUCTIONS[reduction],
        zero_if_all_ignored,
        label_smoothing,
        ignore_index is not None,
        0.0 if ignore_index is None else float(ignore_index),
        used,
        _threads(size),
    )
    if not in_range:
        raise _first_outside(input, target, ignore_index)
    return _result(loss, losses, dtype), gradient


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
    if size < ELEMENTS_PER_THREAD:
        return 1
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
