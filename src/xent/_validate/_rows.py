"""The form of the arguments of a loss of rows: one class out of several each."""

from __future__ import annotations

import torch
from torch import Tensor

from xent._errors import ContractError
from xent._validate._options import (
    check_index,
    check_normalizer,
    check_number,
    check_smoothing,
    check_word,
)
from xent._validate._recording import unrecorded
from xent._validate._tensors import (
    FLOATS,
    NUMBERS,
    Tensors,
    check_devices,
    check_input_dtype,
    check_tensors,
    refuse_row_weight,
)
from xent._validate._wording import (
    TAKES_PROBABILITIES,
    Shape,
    axis_of_one,
    dtype,
    error,
    form,
    without,
)


@unrecorded
def check_rows(
    name: str,
    input: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    sample_weight: Tensor | None = None,
    class_dim: int | None = None,
    reduction: str = "mean",
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float | None = None,
    temperature: float | Tensor = 1.0,
    logit_adjustment: Tensor | None = None,
    normalizer: float | Tensor | None = None,
    all_ignored: str = "nan",
    gamma: float = 0.0,
) -> None:
    """Check the form of the arguments of a loss of rows.

    Shapes are the caller's, before the class axis is moved. As in PyTorch, a target of shape (1,)
    passes for an input of shape (classes,), and so do integer and bool weights.
    ``name`` is "cross_entropy", "nll_loss", "softmax_focal_loss" or "cross_entropy_statistics".

    Raises:
        ContractError: where an argument doesn't fit; also of the type that PyTorch raises there.
    """
    by_class = {"weight": weight, "logit_adjustment": logit_adjustment}
    weights = {**by_class, "sample_weight": sample_weight}
    check_tensors(name, input, target, weights)
    check_input_dtype(name, input, target)
    axis = _class_axis(name, input, class_dim)
    check_index(name, "ignore_index", ignore_index)
    soft = name in TAKES_PROBABILITIES and target.shape == input.shape
    if soft and target.dtype in FLOATS:
        if ignore_index >= 0:
            raise error(name, "mark-with-probabilities", "ignore_index", repr(ignore_index))
    else:
        _check_class_indices(name, input, target, axis)
    _check_class_vectors(name, by_class, input, target, axis)
    _check_row_weight(name, sample_weight, input, target, axis)
    check_devices(name, input, {"target": target, **weights})
    check_word(name, "reduction", reduction)
    check_word(name, "all_ignored", all_ignored)
    check_smoothing(name, label_smoothing)
    check_number(name, "z_loss", z_loss, "1e-4")
    if softcap is not None:
        check_number(name, "softcap", softcap, "30.0")
    check_number(name, "temperature", temperature, "1.0")
    check_number(name, "gamma", gamma, "2.0")
    check_normalizer(name, normalizer, reduction)


def _class_axis(name: str, input: Tensor, class_dim: int | None) -> int:
    axes = input.ndim
    if axes == 0:
        raise error(name, "no-class-axis", "input", form(input))
    if class_dim is None:
        return min(1, axes - 1)
    check_index(name, "class_dim", class_dim)
    if not -axes <= class_dim < axes:
        found = f"{class_dim} for input of shape {tuple(input.shape)}"
        raise error(name, "class-dim-out-of-range", "class_dim", found, axes=axes)
    return class_dim % axes


def _check_class_indices(name: str, input: Tensor, target: Tensor, axis: int) -> None:
    wanted = without(input.shape, axis)
    shape = tuple(target.shape)
    if shape != wanted and not (input.ndim == 1 and shape == (1,) != tuple(input.shape)):
        raise _wrong_index_shape(name, input, target, axis, wanted)
    if target.dtype in FLOATS or target.dtype not in NUMBERS or target.dtype == torch.bool:
        allowed = name in TAKES_PROBABILITIES and target.dtype in FLOATS
        situation = "probabilities allowed" if allowed else ""
        fields = {"input_shape": tuple(input.shape)}
        raise error(name, "target-not-integer", "target", dtype(target), situation, **fields)


def _wrong_index_shape(
    name: str, input: Tensor, target: Tensor, axis: int, wanted: Shape
) -> ContractError:
    shape, found = tuple(target.shape), form(target)
    forms = f"class indices of shape {wanted}"
    if name in TAKES_PROBABILITIES:
        forms += f" or probabilities of shape {tuple(input.shape)}"
    if shape == tuple(input.shape):
        return _one_number_per_class(name, target, axis, forms)
    single = axis_of_one(shape, wanted)
    if single is not None and target.dtype in FLOATS:
        return error(name, "target-not-integer", "target", found, "axis of one", axis=single)
    if single is not None:
        return error(name, "axis-of-one", "target", found, shape=wanted, axis=single)
    for other in reversed(range(input.ndim)):
        if without(input.shape, other) == shape:
            seen = f"shape {tuple(input.shape)} and target of shape {shape}"
            last = -1 if other == input.ndim - 1 else other
            return error(name, "class-axis-elsewhere", "input", seen, axis=axis, found_axis=last)
    flat = len(shape) > 1 and wanted == (target.numel(),)
    return error(name, "index-shape", "target", found, "not flattened" if flat else "", forms=forms)


def _one_number_per_class(name: str, target: Tensor, axis: int, forms: str) -> ContractError:
    """The error for a target of the shape of input where that isn't a floating distribution."""
    takes_probabilities = name in TAKES_PROBABILITIES
    if target.dtype in FLOATS:
        found = form(target)
        return error(name, "target-not-integer", "target", found, "probabilities", axis=axis)
    indices = "target.long().argmax" if target.dtype == torch.bool else "target.argmax"
    situation = "" if takes_probabilities else "indices only"
    fields = {"forms": forms, "indices": f"{indices}({axis})"}
    return error(name, "integers-for-probabilities", "target", form(target), situation, **fields)


def _check_class_vectors(
    name: str, vectors: Tensors, input: Tensor, target: Tensor, axis: int
) -> None:
    classes = input.shape[axis]
    for argument, vector in vectors.items():
        if vector is None or tuple(vector.shape) == (classes,):
            continue
        situation = ""
        if vector.numel() == classes:
            situation = "other axes"
        elif argument == "weight" and tuple(vector.shape) == without(input.shape, axis):
            situation = "one per row"
        found = f"shape {tuple(vector.shape)}"
        raise error(name, "class-vector-shape", argument, found, situation, classes=classes)


def _check_row_weight(
    name: str, sample_weight: Tensor | None, input: Tensor, target: Tensor, axis: int
) -> None:
    if sample_weight is None:
        return
    wanted = without(input.shape, axis)
    shape = tuple(sample_weight.shape)
    if shape != wanted and not (input.ndim == 1 and shape == (1,)):
        refuse_row_weight(name, sample_weight, wanted)
