"""Who has a form of its own of PyTorch's losses, and is asked for it as PyTorch does.

A class or a mode with ``__torch_function__`` knows PyTorch's functions and not ours, so it is given
PyTorch's. Where an option of ours is set it sees the operations inside instead.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import _get_current_function_mode_stack

# Integers that PyTorch takes as class indices.
_INDICES = (torch.int64, torch.uint8)


def has_own_form(input: object, target: object, *weights: object) -> bool:
    """Whether one of them, or a mode, may have a form of its own of a loss of PyTorch.

    To be asked only where ``torch.overrides.has_torch_function_variadic`` says so. Nobody is asked
    while a program is compiled, where the operations inside are what is wanted, nor about a target
    that PyTorch's own form would refuse.
    """
    if torch.compiler.is_compiling() or not _is_taken(target):
        return False
    modes = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
    # Those that PyTorch brings, such as a default device, care for the operations inside.
    if any(type(mode).__module__.partition(".")[0] != "torch" for mode in modes):
        return True
    return any(_overrides(argument) for argument in (input, target, *weights))


def _is_taken(target: object) -> bool:
    dtype = getattr(target, "dtype", None)
    return not isinstance(dtype, torch.dtype) or dtype.is_floating_point or dtype in _INDICES


def _overrides(argument: object) -> bool:
    own: Any = getattr(type(argument), "__torch_function__", None)
    if own is None or own is torch._C._disabled_torch_function_impl:
        return False
    inherited: Any = Tensor.__torch_function__
    return getattr(own, "__func__", own) is not inherited.__func__
