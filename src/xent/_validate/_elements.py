"""The form of the arguments of a loss of elements: a yes or no each."""

from __future__ import annotations

from collections.abc import Sequence

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
    NUMBERS,
    check_devices,
    check_input_dtype,
    check_tensors,
    refuse_row_weight,
)
from xent._validate._wording import axis_of_one, dtype, error, form, without


@unrecorded
def check_elements(
    name: str,
    input: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
    sample_weight: Tensor | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    normalizer: float | Tensor | None = None,
    all_ignored: str = "nan",
    alpha: float | None = None,
    gamma: float = 0.0,
) -> None:
    """Check the form of the arguments of a loss of elements.

    A weight or pos_weight of shape () may be on another device, as in PyTorch.
    ``name`` is "binary_cross_entropy", "binary_cross_entropy_with_logits" or "sigmoid_focal_loss".

    Raises:
        ContractError: where an argument doesn't fit; also of the type that PyTorch raises there.
    """
    by_element = {"weight": weight, "pos_weight": pos_weight}
    weights = {**by_element, "sample_weight": sample_weight}
    check_tensors(name, input, target, weights)
    check_input_dtype(name, input, target)
    if target.dtype not in NUMBERS:
        raise error(name, "not-real", "target", dtype(target))
    if target.shape != input.shape:
        raise _unequal_shapes(name, input, target)
    for argument, tensor in by_element.items():
        if tensor is not None and not _broadcasts(tensor.shape, input.shape):
            raise _not_broadcastable(name, argument, tensor, input)
    if sample_weight is not None and sample_weight.shape != input.shape[: sample_weight.ndim]:
        refuse_row_weight(name, sample_weight, tuple(input.shape[:1]))
    moved = {key: tensor for key, tensor in weights.items() if tensor is not None and tensor.ndim}
    check_devices(name, input, {"target": target, **moved})
    check_word(name, "reduction", reduction)
    check_word(name, "all_ignored", all_ignored)
    check_smoothing(name, label_smoothing)
    if ignore_index is not None:
        check_index(name, "ignore_index", ignore_index)
    if alpha is not None and alpha != -1:
        check_number(name, "alpha", alpha, "0.25")
    check_number(name, "gamma", gamma, "2.0")
    check_normalizer(name, normalizer, reduction)


def _broadcasts(shape: Sequence[int], onto: Sequence[int]) -> bool:
    """Whether a shape broadcasts onto another without enlarging it."""
    if len(shape) > len(onto):
        return False
    trailing = onto[len(onto) - len(shape) :]
    return all(size in (1, other) for size, other in zip(shape, trailing, strict=True))


def _unequal_shapes(name: str, input: Tensor, target: Tensor) -> ContractError:
    shape, wanted = tuple(target.shape), tuple(input.shape)
    axis = axis_of_one(shape, wanted)
    if axis is not None:
        return error(name, "axis-of-one", "target", form(target), shape=wanted, axis=axis)
    axis = axis_of_one(wanted, shape)
    if axis is not None:
        found = f"shape {wanted} and target of shape {shape}"
        return error(name, "axis-of-one", "input", found, shape=shape, axis=axis)
    whole = not target.dtype.is_floating_point
    indices = whole and input.ndim > 1 and shape == without(wanted, 1)
    situation = "class indices" if indices else ""
    return error(name, "unequal-shapes", "target", form(target), situation, shape=wanted)


def _not_broadcastable(name: str, argument: str, tensor: Tensor, input: Tensor) -> ContractError:
    shape, wanted = tuple(tensor.shape), tuple(input.shape)
    fields: dict[str, object] = {"shape": wanted}
    situation = ""
    if len(shape) > len(wanted) and shape[0] == 1 and _broadcasts(shape[1:], wanted):
        situation = "enlarges"
    elif shape and shape == wanted[: len(shape)]:
        situation = "one per row"
        column = (*shape, *(1 for _ in wanted[len(shape) :]))
        fields["column"] = ", ".join(str(size) for size in column)
    return error(name, "not-broadcastable", argument, f"shape {shape}", situation, **fields)
