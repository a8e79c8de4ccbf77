"""Exact sums: math.fsum is the reference, and no order or partition may show."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.stats.weightstats as weightstats
from hypothesis import given
from hypothesis import strategies as st

from xent.scoring import ExactSum, WeightedMean

# Half of the largest float: fsum itself gives up where a partial sum overflows.
numbers = st.lists(st.floats(-1e300, 1e300), max_size=60)


@given(numbers)
def test_value_is_the_correctly_rounded_sum(values: list[float]) -> None:
    assert ExactSum.of(np.array(values, dtype=np.float64)).value == math.fsum(values)


@given(numbers, st.integers(0, 60), st.randoms(use_true_random=False))
def test_order_and_partition_do_not_show(values: list[float], cut: int, random: object) -> None:
    whole = ExactSum.of(np.array(values, dtype=np.float64))
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    parts = [np.array(part, dtype=np.float64) for part in (shuffled[:cut], shuffled[cut:])]
    assert ExactSum.of(parts[1]) + ExactSum.of(parts[0]) == whole


def test_subnormals_and_extremes_are_exact() -> None:
    least, greatest = 5e-324, 1.7976931348623157e308
    assert ExactSum.of(np.array([least, least])).value == 1e-323
    assert ExactSum.of(np.array([greatest, least, -greatest])).value == least
    assert ExactSum.of(np.array([greatest, greatest])).value == math.inf
    assert ExactSum.of(np.array([-greatest, -greatest])).value == -math.inf


def test_large_arrays_equal_fsum() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=20_000) * 10.0 ** random.integers(-200, 200, size=20_000)
    assert ExactSum.of(values).value == math.fsum(values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, math.inf], math.inf),
        ([1.0, -math.inf], -math.inf),
        ([math.inf, -math.inf], math.nan),
        ([math.nan, 1.0], math.nan),
    ],
)
def test_infinities_and_nan_follow_ieee_arithmetic(values: list[float], expected: float) -> None:
    total = ExactSum.of(np.array(values[:1])) + ExactSum.of(np.array(values[1:]))
    assert not total.is_finite
    np.testing.assert_equal(total.value, expected)


def test_standard_error_without_weights_is_s_over_root_n() -> None:
    values = np.random.default_rng(1).exponential(size=500)
    mean = WeightedMean.of(values, None)
    assert mean.value == pytest.approx(values.mean(), rel=1e-15)
    assert mean.standard_error == pytest.approx(values.std(ddof=1) / math.sqrt(500), rel=1e-12)
    described = weightstats.DescrStatsW(values, ddof=1)
    assert mean.standard_error == pytest.approx(described.std / math.sqrt(500), rel=1e-12)


def test_standard_error_does_not_cancel_far_from_zero() -> None:
    values = 1e6 + np.arange(5.0)
    expected = math.sqrt(2.5 / 5)
    assert WeightedMean.of(values, None).standard_error == pytest.approx(expected, rel=1e-12)


def test_equal_weights_change_nothing_and_weight_zero_leaves_a_row_out() -> None:
    values = np.array([0.1, 0.7, 1.9, math.inf])
    weighted = WeightedMean.of(values, np.array([2.0, 2.0, 2.0, 0.0]))
    plain = WeightedMean.of(values[:3], None)
    assert weighted.value == pytest.approx(plain.value, rel=1e-15)
    assert weighted.standard_error == pytest.approx(plain.standard_error, rel=1e-14)
    assert weighted.effective_rows == 3.0


def test_weighted_standard_error_matches_its_sampling_distribution() -> None:
    random = np.random.default_rng(2)
    means, errors = [], []
    for _ in range(1000):
        weight = random.exponential(size=1000)
        values = random.normal(loc=weight, size=1000)
        mean = WeightedMean.of(values, weight)
        means.append(mean.value)
        errors.append(mean.standard_error)
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.06)


def test_undefined_is_none_or_nan() -> None:
    empty = WeightedMean.of(np.empty(0), None)
    assert math.isnan(empty.value)
    assert empty.effective_rows == 0.0
    assert WeightedMean.of(np.ones(1), None).standard_error is None
    infinite = WeightedMean.of(np.array([math.inf, 1.0]), None)
    assert infinite.value == math.inf
    assert infinite.standard_error is None
