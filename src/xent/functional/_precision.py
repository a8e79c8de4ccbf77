"""In which dtype a loss is computed and returned."""

from __future__ import annotations

import torch
from torch import Tensor

HALF_TYPES = (torch.float16, torch.bfloat16)


def result_dtype(input: Tensor, *others: Tensor | None) -> torch.dtype:
    """The dtype that holds input and the others: what PyTorch promotes their product to.

    Under autocast a half type counts as float32, since losses are on its list of functions that
    run in float32.
    """
    autocast = autocast_is_on(input)
    dtype = _under_autocast(input.dtype, autocast)
    for other in others:
        if other is not None and other.is_floating_point():
            dtype = torch.promote_types(dtype, _under_autocast(other.dtype, autocast))
    return dtype


def wide(dtype: torch.dtype) -> torch.dtype:
    """The dtype for arithmetic around a kernel: float32 for the half types, itself otherwise."""
    return torch.float32 if dtype in HALF_TYPES else dtype


def autocast_is_on(input: Tensor) -> bool:
    """Whether autocast is enabled for the device of input; some devices know no autocast."""
    device = input.device.type
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def _under_autocast(dtype: torch.dtype, autocast: bool) -> torch.dtype:
    return wide(dtype) if autocast else dtype
