"""Where the classes lie in the logits, and what is done to the logits before the loss."""

from __future__ import annotations

import torch
from torch import Tensor


def classes_on_axis_one(tensor: Tensor, class_dim: int | None) -> Tensor:
    """The same with the classes on axis 1; where they are the last axis, as ``(rows, classes)``."""
    if class_dim is None or tensor.ndim == 1:
        return tensor
    if class_dim in (-1, tensor.ndim - 1):
        return tensor.flatten(0, -2)
    return tensor.movedim(class_dim, 1)


def rows_like(rows: Tensor, input: Tensor, logits: Tensor) -> Tensor:
    """A tensor with one entry per row, shaped for logits that have come from input."""
    return rows.flatten() if logits.ndim != input.ndim else rows


def row_shape(input: Tensor, class_dim: int | None) -> list[int]:
    """The shape of one entry per row: that of input without its class axis."""
    shape = list(input.shape)
    del shape[class_axis(input, class_dim)]
    return shape


def class_axis(input: Tensor, class_dim: int | None) -> int:
    """The axis of the classes: by PyTorch's rule 1, or 0 of a single row."""
    if class_dim is None:
        return min(1, input.ndim - 1)
    return class_dim


def transformed(
    logits: Tensor,
    softcap: float | None,
    temperature: float | Tensor,
    logit_adjustment: Tensor | None,
) -> Tensor:
    """``softcap tanh(logits / softcap) / temperature + logit_adjustment``."""
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    if isinstance(temperature, Tensor) or temperature != 1.0:
        logits = logits / temperature
    if logit_adjustment is not None:
        trailing = (1,) * (logits.ndim - class_axis(logits, None) - 1)
        logits = logits + logit_adjustment.to(logits.dtype).reshape(-1, *trailing)
    return logits


def readable(logits: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """Logits with 0 in the rows that are ignored, whatever stood there."""
    counted = (target.long() != ignore_index).unsqueeze(class_axis(logits, None))
    return torch.where(counted, logits, 0.0)
