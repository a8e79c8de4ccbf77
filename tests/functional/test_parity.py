"""PyTorch's losses beside ours over a wide grid: values and gradients of ordinary numbers.

A number of ours passes where it is PyTorch's to a unit in the last place, where it is nearer to
the truth, or where it is within the few units that the sums of a scalar cost in any order. The
truth is PyTorch's own loss in float64. Where PyTorch is wrong has its own tests.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as torch_functional
from torch import Tensor

import xent.functional as F

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
REDUCTIONS = ["none", "mean", "sum"]
ROW_SHAPES = [(3,), (6, 4), (1, 2), (2, 5, 3), (2, 3, 2, 2), (0, 3)]
ELEMENT_SHAPES = [(), (7,), (5, 3), (2, 3, 4), (0, 3)]

# Units in the last place, of the largest term of the sum, that ours may be off where PyTorch by
# luck is not: two of the exponential and the logarithm each.
UNITS = 4.0


def assert_as_good(ours: Tensor, theirs: Tensor, truth: Tensor, scale: float) -> None:
    """Element by element; ``scale`` is the size of the terms that cancel in a gradient."""
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    same = (ours == theirs) | (ours.isnan() & theirs.isnan())
    unit = torch.finfo(ours.dtype).eps
    ours, theirs, truth = ours.double(), theirs.double(), truth.double()
    error = (ours - truth).abs()
    near = error <= UNITS * unit * truth.abs().clamp(min=scale)
    nearer = error <= (theirs - truth).abs()
    assert (same | nearer | near).all(), (ours, theirs, truth)


def compare(
    name: str, input: Tensor, target: Tensor, tensors: dict[str, Tensor], options: dict[str, Any]
) -> None:
    """One case: value and gradient of ours, of PyTorch's, and of PyTorch's in float64."""
    ours = value_and_gradient(getattr(F, name), input, target, tensors, options)
    theirs = value_and_gradient(getattr(torch_functional, name), input, target, tensors, options)
    wide = {key: tensor.double() for key, tensor in tensors.items()}
    wide_target = target.double() if target.is_floating_point() else target
    truth = value_and_gradient(
        getattr(torch_functional, name), input.double(), wide_target, wide, options
    )
    largest = max([1.0, *(float(tensor.max()) for tensor in tensors.values() if tensor.numel())])
    share = largest / max(1, target.numel()) if options["reduction"] == "mean" else largest
    # PyTorch's float64 is truth to a unit of the logits only, which tells nothing of small losses.
    assert_as_good(ours[0], theirs[0], truth[0], 8 * share if input.dtype is torch.float64 else 0.0)
    assert_as_good(ours[1], theirs[1], truth[1], share)


def value_and_gradient(
    loss: Callable[..., Tensor],
    input: Tensor,
    target: Tensor,
    tensors: dict[str, Tensor],
    options: dict[str, Any],
) -> tuple[Tensor, Tensor]:
    input = input.detach().requires_grad_()
    value = loss(input, target, **tensors, **options)
    upstream = torch.linspace(0.5, 1.0, value.numel()).reshape(value.shape).to(value.dtype)
    return value.detach(), torch.autograd.grad(value, input, upstream)[0]


def rows(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[Tensor, Tensor, int, int]:
    generator = torch.Generator().manual_seed(len(shape) * 100 + shape[0])
    axis = min(1, len(shape) - 1)
    logits = (3 * torch.randn(shape, generator=generator)).to(dtype)
    places = shape[:axis] + shape[axis + 1 :]
    target = torch.randint(0, shape[axis], places, generator=generator)
    return logits, target, axis, shape[axis]


def class_weights(classes: int, dtype: torch.dtype) -> Tensor:
    return torch.linspace(0.25, 2.0, classes).to(dtype)


ROW_CASES = list(itertools.product(DTYPES, ROW_SHAPES, REDUCTIONS, [False, True]))


@pytest.mark.parametrize(("dtype", "shape", "reduction", "weighted"), ROW_CASES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_class_indices(
    dtype: torch.dtype, shape: tuple[int, ...], reduction: str, weighted: bool, smoothing: float
) -> None:
    logits, target, _, classes = rows(shape, dtype)
    tensors = {"weight": class_weights(classes, dtype)} if weighted else {}
    options = {"reduction": reduction, "label_smoothing": smoothing}
    compare("cross_entropy", logits, target, tensors, options)


@pytest.mark.parametrize(("dtype", "shape", "reduction", "weighted"), ROW_CASES)
@pytest.mark.parametrize("ignore_index", [-100, 1, 255])
def test_ignored_class_indices(
    dtype: torch.dtype, shape: tuple[int, ...], reduction: str, weighted: bool, ignore_index: int
) -> None:
    logits, target, _, classes = rows(shape, dtype)
    target = torch.where(torch.arange(target.numel()).reshape(target.shape) % 3 == 1, 0, target)
    target[target == 0] = ignore_index
    tensors = {"weight": class_weights(classes, dtype)} if weighted else {}
    options = {"reduction": reduction, "ignore_index": ignore_index}
    compare("cross_entropy", logits, target, tensors, options)
    compare("nll_loss", torch.log_softmax(logits, min(1, len(shape) - 1)), target, tensors, options)


@pytest.mark.parametrize(("dtype", "shape", "reduction", "weighted"), ROW_CASES)
@pytest.mark.parametrize("smoothing", [0.0, 0.25])
def test_class_probabilities(
    dtype: torch.dtype, shape: tuple[int, ...], reduction: str, weighted: bool, smoothing: float
) -> None:
    logits, _, axis, classes = rows(shape, dtype)
    target = torch.softmax(logits.flip(axis).float(), axis).to(dtype)
    tensors = {"weight": class_weights(classes, dtype)} if weighted else {}
    options = {"reduction": reduction, "label_smoothing": smoothing}
    compare("cross_entropy", logits, target, tensors, options)


def elements(shape: tuple[int, ...], dtype: torch.dtype, hard: bool) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(len(shape))
    logits = (3 * torch.randn(shape, generator=generator)).to(dtype)
    target = torch.rand(shape, generator=generator)
    return logits, (target.round() if hard else target).to(dtype)


ELEMENT_CASES = list(itertools.product(DTYPES, ELEMENT_SHAPES, REDUCTIONS, [False, True]))


@pytest.mark.parametrize(("dtype", "shape", "reduction", "hard"), ELEMENT_CASES)
@pytest.mark.parametrize("weights", [(), ("weight",), ("pos_weight",), ("weight", "pos_weight")])
def test_logits_of_elements(
    dtype: torch.dtype,
    shape: tuple[int, ...],
    reduction: str,
    hard: bool,
    weights: tuple[str, ...],
) -> None:
    logits, target = elements(shape, dtype, hard)
    tensors = {name: torch.linspace(0.5, 2.0, max(1, *shape[-1:], 1)).to(dtype) for name in weights}
    tensors = {
        name: tensor[: shape[-1]] if shape else tensor[0] for name, tensor in tensors.items()
    }
    compare("binary_cross_entropy_with_logits", logits, target, tensors, {"reduction": reduction})


@pytest.mark.parametrize(("dtype", "shape", "reduction", "hard"), ELEMENT_CASES)
@pytest.mark.parametrize("weighted", [False, True])
def test_probabilities_of_elements(
    dtype: torch.dtype, shape: tuple[int, ...], reduction: str, hard: bool, weighted: bool
) -> None:
    logits, target = elements(shape, dtype, hard)
    # Away from 0 and 1, where PyTorch's gradient is another.
    probabilities = torch.sigmoid(logits.float()).clamp(0.03, 0.97).to(dtype)
    tensors = {}
    if weighted:
        tensors["weight"] = torch.linspace(0.5, 2.0, shape[-1] if shape else 1).to(dtype)
        tensors["weight"] = tensors["weight"] if shape else tensors["weight"][0]
    compare("binary_cross_entropy", probabilities, target, tensors, {"reduction": reduction})


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_a_single_row_takes_a_target_of_one(name: str, reduction: str) -> None:
    logits, options = torch.tensor([0.5, -1.0, 2.0]), {"reduction": reduction}
    theirs = getattr(torch_functional, name)(logits, torch.tensor([1]), **options)
    # PyTorch's backward fails here; with a target of shape () it doesn't.
    expected = value_and_gradient(getattr(F, name), logits, torch.tensor(1), {}, options)
    ours = value_and_gradient(getattr(F, name), logits, torch.tensor([1]), {}, options)
    torch.testing.assert_close(ours[0], theirs)
    torch.testing.assert_close(ours, expected, rtol=0.0, atol=0.0)


LEGACY = list(itertools.product([None, True, False], repeat=2))


@pytest.mark.filterwarnings("ignore:size_average and reduce:UserWarning")
@pytest.mark.parametrize(("size_average", "reduce"), LEGACY)
def test_deprecated_arguments(size_average: bool | None, reduce: bool | None) -> None:
    logits, target, _, _ = rows((4, 3), torch.float64)
    binary, labels = elements((4,), torch.float64, True)
    deprecated = {"size_average": size_average, "reduce": reduce, "reduction": "sum"}
    for name, given in {
        "cross_entropy": (logits, target),
        "nll_loss": (logits, target),
        "binary_cross_entropy": (binary.sigmoid(), labels),
        "binary_cross_entropy_with_logits": (binary, labels),
    }.items():
        compare(name, *given, {}, deprecated)


def test_positional_order() -> None:
    logits, target, _, _ = rows((4, 3), torch.float64)
    binary, labels = elements((4,), torch.float64, True)
    weight, positive = class_weights(3, torch.float64), torch.tensor(2.0, dtype=torch.float64)
    calls = {
        "cross_entropy": (logits, target, weight, None, 1, None, "sum", 0.1),
        "nll_loss": (logits, target, weight, None, 1, None, "sum"),
        "binary_cross_entropy": (binary.sigmoid(), labels, positive, None, None, "sum"),
        "binary_cross_entropy_with_logits": (
            *(binary, labels, positive, None, None, "sum"),
            positive,
        ),
    }
    for name, arguments in calls.items():
        torch.testing.assert_close(
            getattr(F, name)(*arguments), getattr(torch_functional, name)(*arguments)
        )


PAIRS = list(itertools.product(DTYPES, repeat=2))


@pytest.mark.parametrize(("narrow", "wide"), PAIRS)
def test_dtype_of_mixed_arguments(narrow: torch.dtype, wide: torch.dtype) -> None:
    """Where PyTorch takes two dtypes, the result has its dtype; elsewhere that of the input."""
    input, other = torch.full((2, 3), 0.5, dtype=narrow), torch.full((2, 3), 0.5, dtype=wide)
    index, weight = torch.tensor([1, 2]), torch.ones(3, dtype=wide)
    for name, target, tensors in [
        ("cross_entropy", other, {}),
        ("cross_entropy", input, {"weight": weight}),
        ("binary_cross_entropy", input, {"weight": weight}),
        ("binary_cross_entropy_with_logits", other, {}),
        ("binary_cross_entropy_with_logits", input, {"weight": weight}),
        ("binary_cross_entropy_with_logits", input, {"pos_weight": weight}),
    ]:
        ours = getattr(F, name)(input, target, **tensors)
        theirs = getattr(torch_functional, name)(input, target, **tensors)
        assert ours.dtype == theirs.dtype, (name, list(tensors))
    for name in ("cross_entropy", "nll_loss"):
        assert getattr(F, name)(input, index, weight).dtype == narrow


def test_layouts_give_the_same() -> None:
    """Transposed, expanded and sliced inputs are read where they lie."""
    base = torch.randn(5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, 1, 2, 3, 0])
    for input in (base[:, ::2], base[:, :4].t().contiguous().t(), base[:1, :4].expand(5, 4)):
        compare("cross_entropy", input, target, {}, {"reduction": "mean"})
        compare(
            "binary_cross_entropy_with_logits",
            input,
            torch.sigmoid(input),
            {},
            {"reduction": "none"},
        )
