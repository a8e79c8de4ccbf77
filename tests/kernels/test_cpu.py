"""The native kernel of independent sigmoids against float64 and exact arithmetic."""

from __future__ import annotations

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xent.kernels import _cpu, sigmoid_sums

native = pytest.mark.skipif(not _cpu.AVAILABLE, reason="the native extension is not installed")

# Shapes on both sides of what one vector, one task and one thread take.
ROWS = (1, 7, 16, 511, 513, 8191, 8193, 50_001)


def reference(
    logits: torch.Tensor, coefficients: torch.Tensor, total: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    u, c = logits.double(), coefficients.double()
    t = 1.0 if total is None else total.double()
    softplus = u.clamp_min(0) + torch.log1p(torch.exp(-u.abs()))
    return (t * softplus - c * u).sum((1, 2)), t * torch.sigmoid(u) - c


@native
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_sums_and_slopes(rows: int, outputs: int, shared: bool, weighted: bool) -> None:
    random = torch.Generator().manual_seed(rows)
    members = 2
    logits = 6 * torch.randn((members, outputs, rows), generator=random)
    own = () if shared else (members,)
    coefficients = torch.rand((*own, outputs, rows), generator=random)
    total = torch.rand((*own, 1, rows), generator=random) + 0.5 if weighted else None
    slope = torch.empty_like(logits)
    values = sigmoid_sums(logits, coefficients, total, slope)
    expected, expected_slope = reference(logits, coefficients, total)
    assert values is not None
    assert values.dtype is torch.float64
    torch.testing.assert_close(values, expected, rtol=2e-6, atol=1e-6)
    torch.testing.assert_close(slope.double(), expected_slope, rtol=0, atol=6e-7)
    assert torch.equal(values, sigmoid_sums(logits, coefficients, total, None))


@native
@settings(max_examples=200, deadline=None)
@given(st.floats(min_value=-80, max_value=80, width=32))
def test_both_tails_keep_relative_precision(logit: float) -> None:
    u = torch.tensor([[[logit]]])
    slope = torch.empty_like(u)
    value = sigmoid_sums(u, torch.zeros((1, 1)), None, slope)
    assert value is not None
    with mpmath.workdps(40):
        softplus = mpmath.log1p(mpmath.exp(mpmath.mpf(logit)))
        sigmoid = 1 / (1 + mpmath.exp(-mpmath.mpf(logit)))
        assert abs(mpmath.mpf(value.item()) / softplus - 1) < 1e-6
        assert abs(mpmath.mpf(slope.item()) / sigmoid - 1) < 1e-6


@native
@pytest.mark.parametrize("coefficient", [0.0, 1.0])
def test_nan_is_carried_into_its_own_member_alone(coefficient: float) -> None:
    logits = torch.zeros((2, 1, 40))
    logits[0, 0, 3] = torch.nan
    slope = torch.empty_like(logits)
    values = sigmoid_sums(logits, torch.full((1, 40), coefficient), None, slope)
    assert values is not None
    assert torch.isnan(values).tolist() == [True, False]
    assert torch.isnan(slope).sum().item() == 1


@native
def test_sums_do_not_depend_on_the_number_of_threads() -> None:
    logits = torch.randn((3, 1, 60_000), generator=torch.Generator().manual_seed(0))
    coefficients = torch.rand((1, 60_000), generator=torch.Generator().manual_seed(1))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = sigmoid_sums(logits, coefficients, None, None)
        torch.set_num_threads(2)
        together = sigmoid_sums(logits, coefficients, None, None)
    finally:
        torch.set_num_threads(before)
    assert alone is not None
    assert together is not None
    assert torch.equal(alone, together)


@native
def test_a_block_of_columns_is_read_in_place() -> None:
    whole = torch.rand((2, 100), generator=torch.Generator().manual_seed(0))
    logits = torch.randn((1, 2, 30), generator=torch.Generator().manual_seed(1))
    block = whole[:, 40:70]
    values = sigmoid_sums(logits, block, None, None)
    torch.testing.assert_close(values, reference(logits, block, None)[0], rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(
    "logits",
    [
        torch.zeros((1, 1, 4), dtype=torch.float64),
        torch.zeros((1, 1, 8))[..., ::2],
    ],
)
def test_what_does_not_fit_is_left_to_others(logits: torch.Tensor) -> None:
    assert sigmoid_sums(logits, torch.zeros((1, 4)), None, None) is None


def test_without_the_extension_there_is_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cpu, "AVAILABLE", False)
    assert sigmoid_sums(torch.zeros((1, 1, 4)), torch.zeros((1, 4)), None, None) is None


@native
def test_shapes_that_do_not_fit_are_not_read() -> None:
    """The native code reads what it is told to: a wrong length would be somebody else's memory."""
    logits = torch.zeros((2, 1, 30))
    fitting = torch.zeros((1, 30))
    assert sigmoid_sums(logits, fitting, None, None) is not None
    for coefficients in (torch.zeros((1, 10)), torch.zeros((3, 1, 30)), torch.zeros(30)):
        assert sigmoid_sums(logits, coefficients, None, None) is None
    assert sigmoid_sums(logits, fitting, torch.zeros((1, 10)), None) is None
    assert sigmoid_sums(logits, fitting, None, torch.zeros((2, 1, 10))) is None
    assert sigmoid_sums(logits, fitting, None, torch.zeros((2, 1, 30)).double()) is None
    assert sigmoid_sums(logits[0], fitting, None, None) is None
