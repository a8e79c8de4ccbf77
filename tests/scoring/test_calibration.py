"""Calibration: a Monte Carlo redraw is the reference for the noise floor."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from xent._links import log_sigmoid
from xent.scoring import Histogram, Partials, auc, calibration, histogram_auc
from xent.scoring._calibration import binomial_deviation


def histogram_of(log_odds: np.ndarray, label: np.ndarray) -> Histogram:
    probability = 1.0 / (1.0 + np.exp(-log_odds))
    return Histogram.of(log_odds, label.astype(np.uint8), None, probability)


@given(st.integers(1, 60), st.floats(0.001, 0.999))
def test_de_moivre_equals_the_sum_over_outcomes(trials: int, probability: float) -> None:
    outcomes = np.arange(trials + 1)
    mass = scipy.stats.binom.pmf(outcomes, trials, probability)
    expected = float((np.abs(outcomes - trials * probability) * mass).sum())
    assert binomial_deviation(trials, probability) == pytest.approx(expected, rel=1e-9)


def test_a_certain_outcome_does_not_deviate() -> None:
    assert binomial_deviation(10, 0.0) == 0.0
    assert binomial_deviation(10, 1.0) == 0.0


# 300 rows leave 20 a group, where the binomial is far from normal; the wide scores vary within
# their groups, the narrow and constant ones do not.
@pytest.mark.parametrize(
    ("rows", "scale"), [(300, 0.0), (300, 1.5), (3000, 0.3), (3000, 3.0), (10_000, 0.7)]
)
def test_noise_floor_equals_a_redraw_from_the_predictions(rows: int, scale: float) -> None:
    random = np.random.default_rng(rows)
    log_odds = random.normal(loc=-0.5, scale=scale, size=rows)
    probability = 1.0 / (1.0 + np.exp(-log_odds))
    draws = [
        calibration(histogram_of(log_odds, random.random(rows) < probability), of="positive class")
        for _ in range(400)
    ]
    errors = np.array([draw.error for draw in draws])
    sampling = errors.std() / math.sqrt(len(errors))
    assert draws[0].noise_floor == pytest.approx(errors.mean(), abs=4 * sampling)


def test_noise_floor_of_a_group_of_unlike_probabilities_equals_a_redraw() -> None:
    random = np.random.default_rng(5)
    log_odds = np.repeat([-4.0, 4.0], 500)
    probability = 1.0 / (1.0 + np.exp(-log_odds))
    errors, floor = [], 0.0
    for _ in range(1000):
        label = random.random(1000) < probability
        draw = calibration(histogram_of(log_odds, label), of="positive class", groups=1)
        errors.append(draw.error)
        floor = draw.noise_floor
    assert floor == pytest.approx(np.mean(errors), rel=0.1)


def test_groups_have_equal_mass_and_rebuild_the_error() -> None:
    random = np.random.default_rng(0)
    log_odds = random.normal(size=30_000)
    result = calibration(histogram_of(log_odds, random.random(30_000) < 0.5), of="positive class")
    assert len(result.weight) == 15
    assert result.weight.sum() == 30_000
    # A bin at the centre holds some 94 rows, and a group is off by at most one bin.
    np.testing.assert_allclose(result.weight, 2000, atol=110)
    share = result.weight / result.weight.sum()
    assert result.error == pytest.approx(np.abs(result.observed - result.probability) @ share)
    assert (np.diff(result.probability) > 0).all()


def test_ties_stay_together() -> None:
    log_odds = np.repeat([-1.0, 2.0], [90, 10])
    result = calibration(histogram_of(log_odds, log_odds > 0), of="positive class")
    assert result.weight.tolist() == [90.0, 10.0]
    assert result.observed.tolist() == [0.0, 1.0]


def test_weights_enter_the_noise_floor_as_effective_rows() -> None:
    random = np.random.default_rng(1)
    log_odds = random.normal(size=4000)
    logs = np.column_stack([log_sigmoid(-log_odds), log_sigmoid(log_odds)])
    probability = np.exp(logs[:, 1])
    weight = random.exponential(size=4000)
    results = [
        Partials.from_rows(logs, random.random(4000) < probability, weight).calibration
        for _ in range(300)
    ]
    errors = np.array([result.error for result in results])
    plain = calibration(histogram_of(log_odds, log_odds > 0), of="positive class").noise_floor
    assert results[0].noise_floor == pytest.approx(errors.mean(), rel=0.05)
    assert results[0].noise_floor > 1.2 * plain


def test_no_rows_have_no_calibration() -> None:
    empty = Histogram(np.zeros(4), np.zeros(4), np.zeros(4))
    result = calibration(empty, of="positive class")
    assert math.isnan(result.error)
    assert histogram_auc(empty) is None


def test_more_than_two_classes_calibrate_the_top_label() -> None:
    three = Partials.from_rows(np.log([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]), [0, 1])
    assert three.calibration.of == "top label"
    assert three.calibration.error == pytest.approx(0.0, abs=1e-12)
    assert three.auc is None
    assert Partials.from_rows(np.log([[0.5, 0.5]]), [0]).calibration.of == "positive class"


@given(st.integers(0, 200), st.floats(0.001, 40.0))
def test_histogram_auc_is_within_its_bound(seed: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    log_odds = random.normal(scale=scale, size=60)
    label = random.random(60) < 0.4
    exact = auc(log_odds, label)
    result = histogram_auc(histogram_of(log_odds, label))
    assert exact is not None
    assert result is not None
    assert abs(result.value - exact) <= result.error_bound + 1e-15


def test_all_ties_make_an_auc_of_one_half_and_say_so() -> None:
    result = histogram_auc(histogram_of(np.zeros(10), np.arange(10) < 3))
    assert result is not None
    assert (result.value, result.error_bound) == (0.5, 0.5)
