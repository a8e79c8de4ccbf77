"""The cases where our losses differ from PyTorch's, each with PyTorch's number, ours and the exact.

PyTorch's is asserted too: a version that repairs a case fails here, and the table of differences
in the documentation loses a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as torch_functional
from torch import Tensor

import xent.functional as F

inf, nan = math.inf, math.nan
BFLOAT16, HALF = torch.bfloat16, torch.float16


@dataclass(frozen=True)
class Difference:
    """One number that PyTorch gets wrong: ``measure`` is given either namespace of functions."""

    name: str
    measure: Callable[[Any], float | list[float]]
    theirs: float | list[float]
    exact: float | list[float]
    relative: float = 2.0**-22


def slope(
    loss: str,
    input: list[Any],
    target: list[Any],
    *,
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> Callable[[Any], list[float]]:
    """The gradient of the sum of a loss."""

    def measure(functions: Any) -> list[float]:
        variable = torch.tensor(input, dtype=dtype, requires_grad=True)
        value = getattr(functions, loss)(variable, torch.tensor(target), **options).sum()
        return flat(torch.autograd.grad(value, variable)[0])

    return measure


def value(
    loss: str,
    input: list[Any],
    target: list[Any],
    *,
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> Callable[[Any], list[float]]:
    options = {"reduction": "none", **options}
    return lambda functions: flat(
        getattr(functions, loss)(torch.tensor(input, dtype=dtype), torch.tensor(target), **options)
    )


def mean_of_rows(
    loss: str, rows: int, classes: int, dtype: torch.dtype, **options: Any
) -> Callable[[Any], list[float]]:
    """The mean over equal rows of zeros, all of class 0."""

    def measure(functions: Any) -> list[float]:
        input = torch.zeros(1, classes, dtype=dtype).expand(rows, classes)
        input = input - 2.0 if loss == "nll_loss" else input
        return flat(getattr(functions, loss)(input, torch.zeros(rows).long(), **options))

    return measure


def flat(tensor: Tensor) -> list[float]:
    return tensor.flatten().tolist()


BCE, BCEL, CE, NLL = (
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "nll_loss",
)

DIFFERENCES = [
    # Binary cross-entropy: the gradient divides by max(p (1 - p), 1e-12).
    Difference("p = 0, t = 0: slope", slope(BCE, [0.0], [0.0]), [0.0], [1.0]),
    Difference("p = 1, t = 1: slope", slope(BCE, [1.0], [1.0]), [0.0], [-1.0]),
    Difference("p = 1e-13, t = 0: slope", slope(BCE, [1e-13], [0.0]), [0.1], [1.0]),
    Difference("p = 1e-20, t = 0: slope", slope(BCE, [1e-20], [0.0]), [1e-8], [1.0]),
    Difference("p = 1e-20, t = 1: slope", slope(BCE, [1e-20], [1.0]), [-1e12], [-1e20]),
    Difference("p = 1e-30, t = 1: slope", slope(BCE, [1e-30], [1.0]), [-1e12], [-1e30]),
    # Of logits: one side is a difference of two numbers that are nearly the same.
    Difference("x = -15, t = 0", value(BCEL, [-15.0], [0.0]), [0.0], [math.log1p(math.exp(-15))]),
    Difference("x = -20, t = 0", value(BCEL, [-20.0], [0.0]), [0.0], [math.log1p(math.exp(-20))]),
    Difference(
        "x = 18, t = 1: slope", slope(BCEL, [18.0], [1.0]), [0.0], [-1 / (1 + math.exp(18))]
    ),
    Difference("x = 60, t = 1: slope", slope(BCEL, [60.0], [1.0]), [0.0], [-math.exp(-60)]),
    Difference(
        "infinite logits",
        value(BCEL, [inf, -inf, -inf, inf], [1.0, 0.0, 1.0, 0.0]),
        [nan, nan, nan, inf],
        [0.0, 0.0, inf, inf],
    ),
    # Cross-entropy: the target's own term hides the others in their sum.
    Difference("gap of 17", value(CE, [[17.0, 0.0]], [0]), [0.0], [math.log1p(math.exp(-17))]),
    Difference(
        "gap of 50: slope",
        slope(CE, [[50.0, 0.0]], [0]),
        [0.0, 1.9287499e-22],
        [-1.9287498e-22, 1.9287498e-22],
    ),
    Difference(
        "gap of 50, probabilities",
        value(CE, [[50.0, 0.0]], [[1.0, 0.0]]),
        [0.0],
        [math.exp(-50)],
    ),
    Difference(
        "impossible class without target",
        value(CE, [[0.0, -inf, 0.0]], [[0.5, 0.0, 0.5]]),
        [nan],
        [math.log(2)],
    ),
    Difference(
        "impossible class without weight, smoothed",
        value(
            CE, [[0.0, -inf, 0.0]], [0], weight=torch.tensor([1.0, 0.0, 1.0]), label_smoothing=0.3
        ),
        [nan],
        [0.9 * math.log(2)],
    ),
    Difference(
        "impossible target without weight",
        value(CE, [[0.0, -inf]], [1], weight=torch.tensor([1.0, 0.0])),
        [nan],
        [0.0],
    ),
    Difference(
        "ignored row of NaN: slope",
        slope(CE, [[nan, nan], [0.0, 0.0]], [-100, 0]),
        [nan, nan, -0.5, 0.5],
        [0.0, 0.0, -0.5, 0.5],
    ),
    Difference(
        "ignored row of -inf: slope",
        slope(CE, [[-inf, -inf], [0.0, 0.0]], [-100, 0]),
        [nan, nan, -0.5, 0.5],
        [0.0, 0.0, -0.5, 0.5],
    ),
    Difference(
        "impossible target without weight: log-probabilities",
        value(NLL, [[0.0, -inf]], [1], weight=torch.tensor([1.0, 0.0])),
        [nan],
        [0.0],
    ),
    # Half types: PyTorch sums in them before it divides.
    Difference(
        "float16, 70,000 rows", mean_of_rows(CE, 70_000, 4, HALF), [nan], [math.log(4)], 2.0**-11
    ),
    Difference(
        "float16, 70,000 rows of log-probabilities",
        mean_of_rows(NLL, 70_000, 4, HALF),
        [nan],
        [2.0],
        2.0**-11,
    ),
    Difference(
        "float16, 70,000 classes, smoothed",
        mean_of_rows(CE, 1, 70_000, HALF, label_smoothing=0.1),
        [inf],
        [math.log(70_000)],
        2.0**-11,
    ),
    Difference(
        "bfloat16, target nearly sure: slope",
        slope(CE, [[5.0, 0.0]], [0], dtype=BFLOAT16),
        [-0.0078125, 0.006683349609375],
        [-1 / (1 + math.exp(5)), 1 / (1 + math.exp(5))],
        2.0**-8,
    ),
]


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.name)
def test_ours_is_exact(difference: Difference) -> None:
    assert difference.measure(F) == pytest.approx(
        difference.exact, rel=difference.relative, abs=0.0, nan_ok=True
    )


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.name)
def test_theirs_is_not(difference: Difference) -> None:
    theirs = difference.measure(torch_functional)
    assert theirs == pytest.approx(difference.theirs, rel=1e-2, abs=0.0, nan_ok=True)
    assert theirs != pytest.approx(difference.exact, rel=difference.relative, abs=0.0, nan_ok=True)


class TestConventionsThatStay:
    """What PyTorch documents, or has always done, and ours does too."""

    def test_logarithms_have_a_floor(self) -> None:
        assert value(BCE, [0.0, 1.0, 1e-20], [1.0, 0.0, 1.0])(F) == pytest.approx(
            [100.0, 100.0, 46.0517], rel=1e-6
        )
        assert value(BCE, [1e-60], [1.0], dtype=torch.float64)(F) == [100.0]

    def test_a_slope_that_no_number_can_hold_is_1e12(self) -> None:
        slopes = slope(BCE, [0.0, 1.0, 1e-40], [1.0, 0.0, 1.0], reduction="sum")
        assert slopes(F) == pytest.approx([-1e12, 1e12, -1e12])

    def test_slope_under_the_floor_is_the_exact_one(self) -> None:
        def measure() -> list[float]:
            chance = torch.tensor([1e-60], dtype=torch.float64, requires_grad=True)
            loss = F.binary_cross_entropy(chance, torch.ones(1, dtype=torch.float64))
            return flat(torch.autograd.grad(loss, chance)[0])

        assert measure() == pytest.approx([-1e60], rel=1e-15)

    @pytest.mark.parametrize(
        ("loss", "input", "target"),
        [
            (CE, [[1.0, nan]], [-100]),
            (NLL, [[-1.0, nan]], [-100]),
            (CE, [[[1.0], [nan]]], [[-100]]),
        ],
    )
    def test_a_mean_over_nothing_is_nan_with_gradient_0(
        self, loss: str, input: list[Any], target: list[Any]
    ) -> None:
        assert math.isnan(value(loss, input, target, reduction="mean")(F)[0])
        assert slope(loss, input, target)(F) == [0.0, 0.0]

    def test_a_mean_over_no_weight_is_nan_with_gradient_0(self) -> None:
        weight = torch.tensor([0.0, 1.0])
        assert math.isnan(value(CE, [[1.0, 2.0]], [0], reduction="mean", weight=weight)(F)[0])
        assert slope(CE, [[1.0, 2.0]], [0], weight=weight)(F) == [0.0, 0.0]

    def test_impossible_class_with_smoothing_costs_everything(self) -> None:
        assert value(CE, [[0.0, -inf]], [0], label_smoothing=0.1)(F) == [inf]

    def test_one_hot_targets_divide_by_rows_and_indices_by_weight(self) -> None:
        weight = torch.tensor([1.0, 3.0])
        of_indices = value(CE, [[0.0, 0.0]], [1], reduction="mean", weight=weight)(F)
        of_one_hot = value(CE, [[0.0, 0.0]], [[0.0, 1.0]], reduction="mean", weight=weight)(F)
        assert of_indices == pytest.approx([math.log(2)], rel=1e-6)
        assert of_one_hot == pytest.approx([3 * math.log(2)], rel=1e-6)
