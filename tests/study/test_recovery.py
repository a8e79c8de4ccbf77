"""Recovery of class probabilities from the minimisers of modified losses.

The reference is the population itself: for known class probabilities the expected loss is
minimised numerically over the outputs, by scipy, and what the minimiser says must lead back.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logsumexp

from xent.study._evaluation._recovery import (
    recover_one_vs_rest,
    recover_softmax,
    undo_focal,
    undo_smoothing,
    undo_weights,
)
from xent.study._formulations import BUILT_IN, Formulation, Modifiers, modified
from xent.study._training._objectives import Objective

WEIGHTS = (1.0, 4.0, 0.5)
MODIFIERS = {
    "smoothing": Modifiers(smoothing=0.2),
    "focal 2": Modifiers(focal=2.0),
    "focal 0.5": Modifiers(focal=0.5),
    "focal 1": Modifiers(focal=1.0),
    "weights": Modifiers(weights=WEIGHTS),
    "smoothing and weights": Modifiers(0.1, 0.0, WEIGHTS),
    "all": Modifiers(0.1, 2.0, WEIGHTS),
    "all, fractional": Modifiers(0.3, 0.7, WEIGHTS),
}
TRUTHS = [(0.7, 0.3), (0.05, 0.95), (0.5, 0.5), (0.2, 0.5, 0.3), (0.9, 0.02, 0.08)]


def expected_loss(base, z, eta, modifiers):
    """Expected loss of the outputs ``z`` of one point whose class probabilities are ``eta``.

    Written from the definitions, without the code under test.
    """
    classes = len(eta)
    weights = np.ones(classes) if modifiers.weights is None else np.array(modifiers.weights)
    smoothing, focal = modifiers.smoothing, modifiers.focal
    total = 0.0
    for label, probability in enumerate(eta):
        one_hot = np.eye(classes)[label]
        if base == "ovr":
            target = (1 - smoothing) * one_hot + smoothing / 2
            q = expit(z)
            positive = target * (1 - q) ** focal * np.logaddexp(0, -z)
            negative = (1 - target) * q**focal * np.logaddexp(0, z)
            loss = weights[label] * np.mean(positive + negative)
        else:
            target = (1 - smoothing) * one_hot + smoothing / classes
            log_q = log_softmax(z)
            loss = np.sum(target * weights * (1 - np.exp(log_q)) ** focal * -log_q)
        total += probability * loss
    return total


def outputs_to_logits(base, outputs):
    if base == "bce":
        return np.array([0.0, outputs[0]])
    return np.array([-outputs[0], outputs[0]]) if base == "ce1" else outputs


def population_minimiser(base, eta, modifiers):
    n_outputs = BUILT_IN[base].outputs(len(eta))

    def objective(outputs):
        z = outputs if base == "ovr" else outputs_to_logits(base, outputs)
        return expected_loss(base, z, eta, modifiers)

    start = minimize(objective, np.zeros(n_outputs), method="BFGS", options={"gtol": 1e-9})
    found = minimize(
        objective,
        start.x,
        method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-16, "maxiter": 4000, "maxfev": 8000},
    )
    return min((start, found), key=lambda each: each.fun).x


def short(modifiers, classes):
    weights = modifiers.weights
    return Modifiers(
        modifiers.smoothing, modifiers.focal, None if weights is None else weights[:classes]
    )


@pytest.mark.parametrize(
    ("base", "eta"),
    [
        (base, eta)
        for base in ("bce", "ce1", "ce", "ovr")
        for eta in TRUTHS
        if len(eta) == 2 or not BUILT_IN[base].binary_only
    ],
    ids=str,
)
@pytest.mark.parametrize("modifiers", MODIFIERS.values(), ids=MODIFIERS)
def test_recovery_leads_back_from_the_population_minimiser(base, modifiers, eta):
    classes = len(eta)
    modifiers = short(modifiers, classes)
    # So many rows that the floor of recovery is out of the way.
    objective = Objective.bind(modified(BUILT_IN[base], modifiers), np.full(classes, 1e12))
    outputs = population_minimiser(base, eta, modifiers)[None]
    log_q = objective.formulation.resolved_link.log_probabilities(outputs)
    recovered = objective.recover(outputs, log_q)
    assert recovered.clipped_rows == 0
    np.testing.assert_allclose(np.exp(recovered.log_probabilities[0]), eta, atol=1e-6)
    assert np.abs(np.exp(log_q[0]) - eta).max() > 1e-3 or max(eta) == 0.5


def stationary(eta, focal):
    """The minimiser of the focal loss for two classes by bisection of its derivative."""
    low, high = 1e-9, 1 - 1e-9

    def slope(q):
        value = eta * (focal * (1 - q) ** (focal - 1) * np.log(q) - (1 - q) ** focal / q)
        other = (1 - eta) * (focal * q ** (focal - 1) * np.log(1 - q) - q**focal / (1 - q))
        return value - other

    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return low


def test_focal_two_sends_seventy_percent_to_fifty_eight():
    q = stationary(0.7, 2.0)
    assert round(q, 3) == 0.578
    back = np.exp(undo_focal(np.log([[1 - q, q]]), 2.0))
    np.testing.assert_allclose(back, [[0.3, 0.7]], atol=1e-9)


@given(eta=st.floats(0.001, 0.999), focal=st.floats(0.1, 6.0))
def test_focal_leads_back(eta, focal):
    q = stationary(eta, focal)
    back = np.exp(undo_focal(np.log([[1 - q, q]]), focal))
    np.testing.assert_allclose(back[0, 1], eta, atol=1e-7)


def test_closed_forms():
    np.testing.assert_allclose(
        np.exp(undo_weights(np.log([[0.5, 0.5]]), np.array([1.0, 3.0]))), [[0.75, 0.25]]
    )
    smooth = undo_smoothing(np.log([[0.15, 0.85]]), 0.2)
    np.testing.assert_allclose(np.exp(smooth.log_probabilities), [[0.0625, 0.9375]])
    assert smooth.clipped_rows == 0


def test_nothing_to_undo_changes_nothing():
    log_q = np.log([[0.2, 0.8], [0.6, 0.4]])
    recovered = recover_softmax(log_q, 0.0, 0.0, np.ones(2))
    np.testing.assert_allclose(recovered.log_probabilities, log_q, rtol=1e-14)
    assert recovered.clipped_rows == 0


def test_plain_formulations_have_no_recovery():
    for base in BUILT_IN:
        assert Objective(BUILT_IN[base], np.ones(2)).recover(np.zeros((1, 2)), None) is None


def test_a_users_recovery_is_used():
    def halve(log_q):
        return log_softmax(log_q / 2, axis=1)

    mine = Formulation("mine", "", lambda _: 2, lambda z, y: z[:, 0], "softmax", recover=halve)
    log_q = np.log([[0.2, 0.8]])
    recovered = Objective.bind(mine, np.ones(2)).recover(np.zeros((1, 2)), log_q)
    np.testing.assert_allclose(np.exp(recovered.log_probabilities), [[1 / 3, 2 / 3]])
    assert recovered.clipped_rows == 0


def test_smoothing_clips_and_counts_rows():
    log_q = np.log([[0.04, 0.96], [0.05, 0.95], [0.5, 0.5], [0.97, 0.03]])
    recovered = undo_smoothing(log_q, 0.1)
    assert recovered.clipped_rows == 2  # 0.05 is just what smoothing makes of 0
    np.testing.assert_allclose(
        np.exp(recovered.log_probabilities), [[0, 1], [0, 1], [0.5, 0.5], [1, 0]], atol=1e-15
    )


def test_one_against_the_rest_clips_and_counts_rows():
    log_odds = np.log([0.04 / 0.96, 0.5, 0.96 / 0.04, 0.05 / 0.95])
    outputs = np.array([log_odds[[0, 1, 1]], log_odds[[1, 1, 1]], log_odds[[2, 1, 1]]])
    recovered = recover_one_vs_rest(outputs, 0.1, 0.0, np.ones(3))
    assert recovered.clipped_rows == 2
    probabilities = np.exp(recovered.log_probabilities)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert probabilities[0, 0] == 0.0
    hopeless = recover_one_vs_rest(np.full((1, 3), -9.0), 0.1, 0.0, np.ones(3))
    assert hopeless.clipped_rows == 1
    np.testing.assert_allclose(np.exp(hopeless.log_probabilities), 1 / 3)


@pytest.mark.parametrize("focal", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(
    "q", [(0.0, 1.0), (1.0, 0.0), (0.0, 0.5, 0.5), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)], ids=str
)
def test_certain_rows_stay_certain(q, focal, smoothing):
    with np.errstate(divide="ignore"):
        log_q = np.log([q])
    recovered = recover_softmax(log_q, smoothing, focal, np.full(len(q), 2.0))
    np.testing.assert_allclose(np.exp(recovered.log_probabilities), [q], atol=1e-15)


@pytest.mark.parametrize("focal", [0.5, 1.0, 2.0])
def test_nearly_certain_rows_keep_their_odds(focal):
    """For tiny p, h(p) is p and h(1 - p) is p^-γ / (1 + γ)."""
    p = 1e-200
    log_q = np.array([[np.log(p), -p]])
    recovered = undo_focal(log_q, focal)
    log_large = -focal * np.log(p) - np.log1p(focal)
    expected = np.log(p) - logsumexp([log_large, np.log(p)])
    np.testing.assert_allclose(recovered[0, 0], expected, rtol=1e-12)


@pytest.mark.parametrize("size", [50.0, 1000.0])
def test_extreme_outputs_recover_without_nan(size):
    outputs = size * np.array([[1.0, -1.0, 0.0], [1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]])
    recovered = recover_one_vs_rest(outputs, 0.0, 2.0, np.array(WEIGHTS))
    assert not np.isnan(recovered.log_probabilities).any()
    np.testing.assert_allclose(np.exp(recovered.log_probabilities).sum(axis=1), 1.0)


@given(
    logits=st.lists(st.floats(-30, 30), min_size=3, max_size=3),
    smoothing=st.sampled_from([0.0, 0.2]),
    focal=st.sampled_from([0.0, 0.5, 3.0]),
)
def test_recovered_rows_are_distributions_and_keep_the_order(logits, smoothing, focal):
    log_q = log_softmax(np.array([logits]), axis=1)
    recovered = recover_softmax(log_q, smoothing, focal, np.ones(3)).log_probabilities
    np.testing.assert_allclose(np.exp(recovered).sum(axis=1), 1.0, rtol=1e-12)
    in_order = recovered[0, np.argsort(log_q[0])]
    assert (in_order[1:] >= in_order[:-1] - 1e-12).all()


def test_a_floor_keeps_recovered_losses_finite():
    """At the optimum of a right model some rows still fall below what smoothing allows."""
    log_q = np.log([[0.04, 0.96], [0.5, 0.5], [0.051, 0.949]])
    bound = Objective.bind(modified(BUILT_IN["ce2"], Modifiers(smoothing=0.1)), np.array([30, 68]))
    assert bound.floor == 0.01
    recovered = bound.recover(np.zeros((3, 2)), log_q)
    eta = np.exp(recovered.log_probabilities)
    np.testing.assert_allclose(eta.sum(axis=1), 1)
    # Row 3 is above 0 but below the floor: to keep the order, both end there.
    odds = eta[[0, 2], 0] / eta[[0, 2], 1]
    np.testing.assert_allclose(odds, [0.01 / (0.91 / 0.9), 0.01 / (0.899 / 0.9)])
    assert recovered.clipped_rows == 2
