"""What a batch is made of: tensors, or arrays of NumPy, of which the values may be out of reach."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from xent._errors import InputError


def given_tensor(value: object, name: str) -> Tensor:
    """A tensor, or an array as one.

    Args:
        value: what was given.
        name: of the argument, for errors.

    Raises:
        InputError: for anything else, for arrays of no numbers, and for nested tensors.

    >>> given_tensor(np.array([0.5, 2.0])[::-1], "input").tolist()
    [2.0, 0.5]
    """
    where, required = f"check: {name}", "a tensor or a NumPy array"
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biufc":
            found, repair = f"an array of dtype {value.dtype}", "Give numbers, classes from 0."
            raise InputError(where, f"{required} of numbers", found, repair)
        value = torch.as_tensor(_readable(value))
    if not isinstance(value, Tensor):
        found = f"type {type(value).__name__}"
        raise InputError(where, required, found, f"Use torch.as_tensor({name}).")
    if value.is_nested:
        repair = f"Use torch.nested.to_padded_tensor({name}, ...), or check its parts."
        raise InputError(where, required, "a nested tensor", repair)
    return value


def _readable(array: np.ndarray) -> np.ndarray:
    """The array itself if PyTorch can share its memory, else a copy."""
    dtype = array.dtype.newbyteorder("=")
    if dtype.kind == "f" and dtype.itemsize > 8:
        dtype = np.dtype(np.float64)
    steps = all(step >= 0 and step % dtype.itemsize == 0 for step in array.strides)
    shared = steps and array.flags.writeable and dtype == array.dtype
    return array if shared else np.array(array, dtype=dtype)


def has_values(tensor: Tensor) -> bool:
    """Whether numbers lie behind a tensor: not behind meta and fake ones, nor inside of vmap.

    >>> has_values(torch.ones(2)), has_values(torch.ones(2, device="meta"))
    (True, False)
    """
    if tensor.layout != torch.strided or tensor.is_meta or isinstance(tensor, FakeTensor):
        return False
    return not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
