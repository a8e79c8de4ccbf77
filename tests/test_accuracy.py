"""Values and gradients of the losses against 200-bit arithmetic, on inputs that are hard.

The inputs and the arithmetic are those of the benchmark that makes the table in the documentation,
with fewer rows.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def benchmark(name: str) -> ModuleType:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(BENCHMARKS))


accuracy = benchmark("accuracy")
differences = benchmark("torch_differences")

# Rows of one register and of several, of one block of rows and of what is left over.
SHAPES = ((19, 2), (13, 3), (17, 5), (18, 10), (9, 17), (3, 130), (1, 1100))
HALF_SHAPES = ((19, 2), (17, 10), (2, 130))
LOSSES = list(accuracy.grids(torch.float32, []))
WIDE = (torch.float32, torch.float64)
HALF = (torch.bfloat16, torch.float16)
CASES = [(loss, dtype) for dtype in WIDE + HALF for loss in LOSSES]
# Doubles have nothing longer to be summed in: an eighth of each bar, and one unit, of slack.
SLACK = {torch.float64: 1.125}
ROUNDING = 0.501  # what the last rounding to a half type may cost, and the arithmetic before it


def measured(loss: str, dtype: torch.dtype) -> Any:
    """Errors of each kind of inputs."""
    grid = accuracy.grids(dtype, HALF_SHAPES if dtype in HALF else SHAPES)[loss]
    return [(one.kind, tuple(one.input.shape), accuracy.measure(one)) for one in grid]


def lines(failures: dict[str, Any]) -> str:
    return "\n".join(f"{kind}: {error}" for kind, error in failures.items())


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def errors(request: pytest.FixtureRequest) -> Any:
    return request.param[1], measured(*request.param)


def test_values_are_within_two_ulp(errors: Any) -> None:
    dtype, kinds = errors
    bound = ROUNDING if dtype in HALF else 2.0 * SLACK.get(dtype, 1.0)
    off = {f"{kind} {shape}": one.values[1].max() for kind, shape, one in kinds}
    off = {kind: error for kind, error in off.items() if not error <= bound}
    assert not off, lines(off)


def test_gradients_are_within_their_bound(errors: Any) -> None:
    dtype, kinds = errors
    off = {}
    for kind, shape, one in kinds:
        allowed = ROUNDING if dtype in HALF else one.allowed
        off[f"{kind} {shape}"] = (one.gradients[1] / allowed).max()
    off = {kind: ratio for kind, ratio in off.items() if not ratio <= SLACK.get(dtype, 1.0)}
    assert not off, lines(off)


def test_no_gradient_is_worse_than_torchs(errors: Any) -> None:
    # Single numbers are rounded by luck: it is the largest error of a kind that tells.
    dtype, kinds = errors
    off = {}
    for kind, shape, one in kinds:
        theirs, ours = (each.max() for each in one.gradients)
        if not ours <= theirs + (2.0 if dtype in SLACK else 1.0):
            off[f"{kind} {shape}"] = f"{ours:.3g}, PyTorch {theirs:.3g}"
    assert not off, lines(off)


@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_means_over_many_rows_are_those_of_float32(dtype: torch.dtype) -> None:
    rows = accuracy.measure_means(200_000, (dtype,))
    off = {row["loss"]: row["ours"]["ulp"] for row in rows}
    off = {loss: error for loss, error in off.items() if not error <= ROUNDING}
    assert not off, lines(off)


@pytest.mark.parametrize("difference", differences.DIFFERENCES, ids=lambda one: one.call)
def test_where_torch_is_wrong_ours_is_right(difference: Any) -> None:
    row = differences.measure_difference(difference)
    relative = 2.0**-8 if "float16" in difference.call else 2.0**-22
    assert row["ours"] == pytest.approx(row["exact"], rel=relative, abs=0.0)
    assert row["torch"] != pytest.approx(row["exact"], rel=relative, abs=0.0)


def test_ulps_are_those_of_the_result() -> None:
    mpf = accuracy.mpf
    found = torch.tensor([1.0, 1.0 + 2.0**-23, 0.0, float("inf"), float("nan")])
    exact = [mpf(1), mpf(1), mpf(2) ** -149, mpf(2) ** 130, mpf(1)]
    np.testing.assert_array_equal(
        accuracy.ulps(found, exact, exact), [0.0, 1.0, 1.0, 0.0, float("inf")]
    )
