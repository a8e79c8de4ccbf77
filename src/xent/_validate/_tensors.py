"""Checks that both families make of their tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from xent._errors import ContractError
from xent._validate._wording import TAKES_PROBABILITIES, Shape, axis_of_one, dtype, error, form

Tensors = Mapping[str, Tensor | None]

FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
NUMBERS = (
    *FLOATS,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.uint16,
    torch.uint32,
    torch.uint64,
    torch.bool,
)
SPARSE = (
    torch.sparse_coo,
    torch.sparse_csr,
    torch.sparse_csc,
    torch.sparse_bsr,
    torch.sparse_bsc,
    torch._mkldnn,  # type: ignore[attr-defined]
)


def check_tensors(name: str, input: object, target: object, weights: Tensors) -> None:
    """Tensors, and weights of real numbers."""
    for argument, value in (("input", input), ("target", target)):
        if value is None:
            raise error(name, "not-a-tensor", argument, "None", "none")
    everything: dict[str, object] = {"input": input, "target": target, **weights}
    for argument, value in everything.items():
        if value is not None and not isinstance(value, Tensor):
            raise error(name, "not-a-tensor", argument, f"type {type(value).__name__}")
    for argument, tensor in weights.items():
        if tensor is not None and tensor.dtype not in NUMBERS:
            raise error(name, "not-real", argument, dtype(tensor))


def check_input_dtype(name: str, input: Tensor, target: Tensor) -> None:
    """A dense input in a floating dtype."""
    # PyTorch reads sparse class probabilities, so a sparse target is no fault everywhere.
    takes_sparse = name in TAKES_PROBABILITIES and target.dtype in FLOATS
    dense = {"input": input} if takes_sparse else {"input": input, "target": target}
    for argument, tensor in dense.items():
        if tensor.layout in SPARSE:
            layout = str(tensor.layout).removeprefix("torch.").lstrip("_")
            raise error(name, "sparse-tensor", argument, f"layout {layout}")
    if input.dtype in FLOATS:
        return
    if target.dtype in FLOATS and input.dtype in NUMBERS:
        raise error(name, "swapped-arguments", "input", form(input))
    situation = "complex" if input.dtype.is_complex else ""
    raise error(name, "input-not-floating", "input", dtype(input), situation)


def check_devices(name: str, input: Tensor, others: Tensors) -> None:
    """All on the device of input."""
    for argument, tensor in others.items():
        if tensor is not None and tensor.device != input.device:
            found = str(tensor.device)
            raise error(name, "mixed-devices", argument, found, device=input.device)


def under_autocast(name: str, input: Tensor) -> ContractError:
    """The error for probabilities on a device whose autocast is on."""
    found = f"autocast enabled for {input.device.type}"
    return error(name, "under-autocast", "input", found)


def refuse_row_weight(name: str, sample_weight: Tensor, wanted: Shape) -> None:
    """Raise for a sample_weight that isn't of the wanted shape."""
    axis = axis_of_one(tuple(sample_weight.shape), wanted)
    situation = "" if axis is None else "axis of one"
    found = f"shape {tuple(sample_weight.shape)}"
    fields = {"shape": wanted, "axis": axis}
    raise error(name, "sample-weight-shape", "sample_weight", found, situation, **fields)
