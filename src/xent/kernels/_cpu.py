"""Kernels on the CPU: the native extension where it is installed and fits, None where not."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_sums: Callable[..., None] | None
try:
    from xent._native import sigmoid_sums as _sums
except ImportError:
    _sums = None

# Below this many logits a second thread costs more than it saves.
ROWS_PER_THREAD = 16384


def sigmoid_sums(
    logits: Tensor, coefficients: Tensor, total: Tensor | None, slope: Tensor | None
) -> Tensor | None:
    """Sum ``t softplus(u) - c u`` over outputs and rows; write its gradient into ``slope``.

    Accurate to 1e-6 relative a logit, in both tails; sums are the same for every number of threads.

    Args:
        logits: u, ``(members, outputs, rows)``.
        coefficients: c, ``(outputs, rows)`` shared by the members, or ``(members, outputs, rows)``.
        total: t, ``(1, rows)`` or ``(members, 1, rows)``; None for 1.
        slope: where ``t sigmoid(u) - c`` goes, like ``logits``; None for no gradient.

    Returns:
        Sums ``(members,)`` float64, or None where this kernel can't be used: another device or
        dtype, shapes that don't fit, a layout with gaps between rows, or no extension.
    """
    if _sums is None or not _fits(logits, coefficients, total, slope):
        return None
    members, outputs, rows = logits.shape
    values = torch.empty(members, dtype=torch.float64)
    stride = coefficients.stride()
    own_total = total is not None and total.ndim == 3
    _sums(
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
        min(torch.get_num_threads(), 1 + logits.numel() // ROWS_PER_THREAD),
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
