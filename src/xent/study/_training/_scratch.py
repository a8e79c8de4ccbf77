"""Buffers that are used again: a fresh megabyte costs more in page faults than its arithmetic."""

from __future__ import annotations

import math

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
        self._buffers: dict[str, Tensor] = {}
        self._views: dict[tuple[str, tuple[int, ...]], Tensor] = {}

    def take(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """A contiguous tensor of this shape with the dtype and device of ``like``."""
        view = self._views.get((name, shape))
        if view is not None and view.dtype is like.dtype and view.device == like.device:
            return view
        size = math.prod(shape)
        buffer = self._buffers.get(name)
        fits = (
            buffer is not None
            and buffer.numel() >= size
            and buffer.dtype is like.dtype
            and buffer.device == like.device
        )
        if buffer is None or not fits:
            buffer = torch.empty(size, dtype=like.dtype, device=like.device)
            self._buffers[name] = buffer
            self._views = {key: v for key, v in self._views.items() if key[0] != name}
        view = self._views[name, shape] = buffer[:size].view(shape)
        return view
