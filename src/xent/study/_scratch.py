"""Buffers that are used again: a fresh megabyte costs more in page faults than its arithmetic."""

from __future__ import annotations

import torch
from torch import Tensor


class Scratch:
    """Named buffers; each grows to the largest shape that was asked of it.

    >>> scratch = Scratch()
    >>> a = scratch.take("logits", (2, 3), torch.zeros(1))
    >>> b = scratch.take("logits", (3, 2), torch.zeros(1))
    >>> a.data_ptr() == b.data_ptr()
    True
    """

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, torch.dtype, torch.device], Tensor] = {}

    def take(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """A contiguous tensor of this shape with the dtype and device of ``like``."""
        key = (name, like.dtype, like.device)
        size = 1
        for length in shape:
            size *= length
        buffer = self._buffers.get(key)
        if buffer is None or buffer.numel() < size:
            buffer = self._buffers[key] = torch.empty(size, dtype=like.dtype, device=like.device)
        return buffer[:size].view(shape)
