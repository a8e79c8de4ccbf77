"""Recalibration: statsmodels is the reference; where no optimum exists it says why."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import statsmodels.api
from hypothesis import given, settings
from hypothesis import strategies as st

from xent._links import log_sigmoid, log_softmax
from xent.scoring import Recalibration, recalibration
from xent.scoring._recalibration import _fit, _MulticlassModel


def binary_rows(log_odds: np.ndarray) -> np.ndarray:
    return np.column_stack([log_sigmoid(-log_odds), log_sigmoid(log_odds)])


def draw(log_odds: np.ndarray, seed: int = 0) -> np.ndarray:
    chance = np.random.default_rng(seed).random(len(log_odds))
    return (chance < 1.0 / (1.0 + np.exp(-log_odds))).astype(np.int64)


# A scale of 60 brings log-odds that a naive exponential would overflow.
@pytest.mark.parametrize("scale", [0.3, 1.0, 5.0, 60.0])
def test_binary_fit_equals_statsmodels(scale: float) -> None:
    log_odds = np.random.default_rng(1).normal(size=800)
    target = draw(0.5 + 1.5 * log_odds)
    fit = recalibration(binary_rows(scale * log_odds), target)
    exogenous = statsmodels.api.add_constant(log_odds)
    expected = statsmodels.api.Logit(target, exogenous).fit(disp=0, tol=1e-12)
    assert fit.converged
    assert fit.failure is None
    assert fit.slope == pytest.approx(expected.params[1] / scale, rel=1e-6)
    assert fit.slope_se == pytest.approx(expected.bse[1] / scale, rel=1e-5)
    assert fit.intercepts == pytest.approx([expected.params[0]], rel=1e-6)
    assert fit.intercept_ses == pytest.approx([expected.bse[0]], rel=1e-5)


def test_weighted_errors_are_the_sandwich_of_statsmodels() -> None:
    random = np.random.default_rng(2)
    log_odds, weight = random.normal(size=500), random.exponential(size=500)
    target = draw(log_odds)
    fit = recalibration(binary_rows(log_odds), target, weight)
    model = statsmodels.api.GLM(
        target,
        statsmodels.api.add_constant(log_odds),
        family=statsmodels.api.families.Binomial(),
        freq_weights=weight,
    )
    expected = model.fit(tol=1e-12)
    assert fit.slope == pytest.approx(expected.params[1], rel=1e-7)
    information = -model.hessian(expected.params)
    gradients = model.score_obs(expected.params)
    inverse = np.linalg.inv(information)
    sandwich = np.sqrt(np.diag(inverse @ gradients.T @ gradients @ inverse))
    assert fit.slope_se == pytest.approx(sandwich[1], rel=1e-5)


def test_integer_weights_give_the_fit_of_repeated_rows() -> None:
    random = np.random.default_rng(3)
    logs = log_softmax(random.normal(size=(200, 3)))
    target, weight = random.integers(0, 3, 200), random.integers(0, 3, 200)
    weighted = recalibration(logs, target, weight.astype(float))
    repeated = recalibration(np.repeat(logs, weight, axis=0), np.repeat(target, weight))
    assert weighted.slope == pytest.approx(repeated.slope, rel=1e-9)
    assert weighted.intercepts == pytest.approx(repeated.intercepts, rel=1e-9)


@pytest.mark.parametrize("classes", [2, 3])
@settings(max_examples=20)
@given(st.floats(-8.0, 8.0))
def test_only_the_proportions_of_weights_matter(classes: int, exponent: float) -> None:
    random = np.random.default_rng(10)
    logs = log_softmax(random.normal(size=(200, classes)))
    target, weight = random.integers(0, classes, 200), random.exponential(size=200)
    fit = recalibration(logs, target, weight)
    scaled = recalibration(logs, target, weight * 10.0**exponent)
    assert fit.converged
    assert scaled.slope == pytest.approx(fit.slope, rel=1e-9)
    assert scaled.slope_se == pytest.approx(fit.slope_se, rel=1e-9)
    assert scaled.intercepts == pytest.approx(fit.intercepts, rel=1e-9, abs=1e-12)
    assert scaled.intercept_ses == pytest.approx(fit.intercept_ses, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-300, 1e-8, 1e8, 1e306])
def test_scale_of_weights_at_the_ends(scale: float) -> None:
    log_odds = np.random.default_rng(11).normal(size=400)
    logs, target = binary_rows(log_odds), draw(log_odds)
    fit = recalibration(logs, target, np.full(400, scale))
    assert fit.slope == pytest.approx(recalibration(logs, target).slope, rel=1e-9)


class IndefiniteModel:
    """A likelihood whose information was rounded until it is no longer positive definite."""

    weight = None

    def evaluate(self, parameters: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        return 0.0, np.zeros_like(parameters), np.array([[1.0, 2.0], [2.0, 1.0]])

    def row_gradients(self, parameters: np.ndarray) -> np.ndarray:
        raise AssertionError("not asked for without weights")


def test_negative_variances_are_no_estimate() -> None:
    fit = _fit(IndefiniteModel(), np.array([1.0, 0.0]), 1.0)
    assert not fit.converged
    assert (fit.slope, fit.slope_se) == (None, None)
    assert fit.failure == "the scores separate the classes"


def test_two_classes_by_either_route_are_the_same_fit() -> None:
    log_odds = np.random.default_rng(4).normal(size=300)
    logs, target = binary_rows(log_odds), draw(0.3 - 0.8 * log_odds)
    score = logs.T - logs.mean(axis=1)
    general = _fit(_MulticlassModel(score, None, target, None), np.array([1.0, 0.0]), 1.0)
    fit = recalibration(logs, target)
    assert fit.slope == pytest.approx(general.slope, rel=1e-9)
    assert fit.slope_se == pytest.approx(general.slope_se, rel=1e-6)
    assert fit.intercepts == pytest.approx(general.intercepts, rel=1e-9)


def test_multiclass_fit_equals_a_general_minimiser() -> None:
    random = np.random.default_rng(5)
    truth = random.normal(scale=1.5, size=(600, 4))
    target = np.array([random.choice(4, p=np.exp(row)) for row in log_softmax(truth)])
    logs = log_softmax(2.0 * truth + [0.0, 0.5, -0.5, 1.0])

    def loss(parameters: np.ndarray) -> float:
        linear = parameters[0] * logs + np.r_[0.0, parameters[1:]]
        return float(-log_softmax(linear)[np.arange(600), target].sum())

    expected = scipy.optimize.minimize(loss, np.array([1.0, 0, 0, 0]), tol=1e-9).x
    fit = recalibration(logs, target)
    assert np.r_[fit.slope, fit.intercepts] == pytest.approx(expected, abs=1e-4)
    assert fit.slope == pytest.approx(0.5, abs=4 * fit.slope_se)


@settings(max_examples=25)
@given(st.floats(0.05, 20.0), st.floats(-3.0, 3.0))
def test_fit_of_a_recalibrated_fit_is_one_and_zero(slope: float, intercept: float) -> None:
    log_odds = np.random.default_rng(6).normal(size=200)
    target = draw(log_odds)
    first = recalibration(binary_rows(slope * log_odds + intercept), target)
    assert first.converged
    rescaled = first.slope * (slope * log_odds + intercept) + first.intercepts[0]
    second = recalibration(binary_rows(rescaled), target)
    assert second.slope == pytest.approx(1.0, abs=1e-6)
    assert second.intercepts[0] == pytest.approx(0.0, abs=1e-6)


def test_only_log_odds_enter_so_normalising_changes_nothing() -> None:
    random = np.random.default_rng(7)
    logs = np.log(random.random((300, 3)))
    target = random.integers(0, 3, 300)
    raw, normalised = recalibration(logs, target), recalibration(log_softmax(logs), target)
    assert raw.slope == pytest.approx(normalised.slope, rel=1e-8)


def test_infinite_log_odds_on_the_right_side_add_nothing() -> None:
    log_odds = np.random.default_rng(8).normal(size=100)
    target = draw(log_odds)
    longer = np.r_[log_odds, np.inf, -np.inf]
    fit = recalibration(binary_rows(longer), np.r_[target, 1, 0])
    assert fit.slope == pytest.approx(recalibration(binary_rows(log_odds), target).slope)


def test_impossible_classes_that_did_not_come_true_are_the_limit_of_unlikely_ones() -> None:
    random = np.random.default_rng(9)
    z = random.normal(size=(600, 3))
    target = (z + random.gumbel(size=z.shape)).argmax(axis=1)
    # Class 0 is out of the question in some rows; class 1 against 2 still is a fit of its own.
    out = (target != 0) & (random.random(600) < 0.5)
    unlikely, impossible = log_softmax(z), log_softmax(z)
    unlikely[out, 0], impossible[out, 0] = -200.0, -np.inf
    limit, near = recalibration(impossible, target), recalibration(unlikely, target)
    assert limit.slope == pytest.approx(near.slope, rel=1e-7)
    assert limit.intercepts == pytest.approx(near.intercepts, rel=1e-7)


certain = np.array([[0.0, -np.inf], [np.log(0.5), np.log(0.5)], [np.log(0.4), np.log(0.6)]])


@pytest.mark.parametrize(
    ("logs", "target", "failure"),
    [
        (binary_rows(np.array([-2.0, -1.0, 1.0, 2.0])), [0, 0, 1, 1], "separate the classes"),
        (binary_rows(np.array([-2.0, -1.0, 1.0, 2.0])), [1, 1, 0, 0], "separate the classes"),
        (binary_rows(np.array([-2.0, 1.0, 1.0, 2.0])), [0, 0, 1, 1], "separate the classes"),
        (binary_rows(np.array([-np.inf, 1.0, 2.0, np.inf])), [0, 1, 1, 1], "separate the classes"),
        (binary_rows(np.full(4, 0.3)), [0, 0, 1, 1], "the scores are constant"),
        (binary_rows(np.arange(4.0)), [1, 1, 1, 1], "class 0 has no rows"),
        (certain, [1, 0, 1], "a class that came true has probability 0"),
        (log_softmax(np.tile([0.1, 0.2, 0.3], (6, 1))), [0, 1, 2] * 2, "the scores are constant"),
        (log_softmax(4.0 * np.eye(3)), [0, 1, 2], "separate the classes"),
        (log_softmax(np.ones((4, 3))), [0, 1, 1, 0], "class 2 has no rows"),
    ],
)
def test_where_no_optimum_exists_it_says_why(
    logs: np.ndarray, target: list[int], failure: str
) -> None:
    fit = recalibration(logs, np.array(target))
    assert isinstance(fit, Recalibration)
    assert not fit.converged
    assert (fit.slope, fit.slope_se, fit.intercepts, fit.intercept_ses) == (None, None, (), ())
    assert fit.failure is not None
    assert failure in fit.failure
