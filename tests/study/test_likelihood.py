"""Likelihood terms and standard errors against mpmath, finite differences and statsmodels."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from xent.study._optimum._likelihood import (
    covariance,
    information,
    log_likelihood_terms,
    standard_errors,
    to_original_units,
)


def rows(classes, count=40, features=3, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, features))
    target = random.integers(0, classes, size=count)
    theta = random.normal(size=(classes - 1, features + 1))
    return theta, x, target


def exact_terms(theta, x, target, weight):
    """The mean negative log-likelihood and its gradient in 60 digits."""
    with mpmath.workdps(60):
        value = mpmath.mpf(0)
        gradient = [[mpmath.mpf(0)] * theta.shape[1] for _ in theta]
        total = mpmath.fsum(map(mpmath.mpf, weight.tolist()))
        for row, label, count in zip(x.tolist(), target.tolist(), weight.tolist(), strict=True):
            design = [mpmath.mpf(v) for v in [*row, 1.0]]
            logits = [mpmath.mpf(0)] + [
                mpmath.fsum(mpmath.mpf(c) * d for c, d in zip(one, design, strict=True))
                for one in theta.tolist()
            ]
            normaliser = mpmath.log(mpmath.fsum(map(mpmath.exp, logits)))
            value += count * (normaliser - logits[label]) / total
            for k, one in enumerate(gradient):
                residual = mpmath.exp(logits[k + 1] - normaliser) - (label == k + 1)
                for f, d in enumerate(design):
                    one[f] += count * residual * d / total
        return float(value), np.array([[float(v) for v in one] for one in gradient])


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_value_and_gradient_against_mpmath(classes, spread):
    theta, x, target = rows(classes)
    weight = np.random.default_rng(1).uniform(0.5, 3.0, size=len(x))
    value, gradient, _ = log_likelihood_terms(spread * theta, x, target, classes, weight)
    expected, slope = exact_terms(spread * theta, x, target, weight)
    assert value == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(gradient, slope, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("classes", [2, 3])
def test_tiny_losses_keep_their_digits(classes):
    """All rows right by about 50 nats: 1 - p rounds to 0, its sum over rows must not."""
    x = np.array([[-1.0], [1.0]])
    theta = np.array([[50.0, 0.25], [3.0, -40.0]])[: classes - 1]
    target = np.array([0, 1])
    value, gradient, _ = log_likelihood_terms(theta, x, target, classes)
    expected, slope = exact_terms(theta, x, target, np.ones(2))
    assert 0.0 < value < 1e-15
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(gradient, slope, rtol=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_hessian_is_the_derivative_of_the_gradient(classes):
    theta, x, target = rows(classes)
    hessian = log_likelihood_terms(theta, x, target, classes)[2]
    assert (hessian == hessian.T).all()
    for index in range(theta.size):
        step = np.zeros(theta.size)
        step[index] = 1e-5
        ahead, behind = (
            log_likelihood_terms(theta + side * step.reshape(theta.shape), x, target, classes)[1]
            for side in (1, -1)
        )
        difference = (ahead - behind).ravel() / 2e-5
        np.testing.assert_allclose(hessian[index], difference, atol=1e-9)


def test_binary_is_the_two_class_case():
    """A third class that is out of reach changes nothing."""
    theta, x, target = rows(2)
    two = log_likelihood_terms(theta, x, target, 2)
    far = np.vstack([theta, [[0.0, 0.0, 0.0, -800.0]]])
    three = log_likelihood_terms(far, x, target, 3)
    assert three[0] == pytest.approx(two[0], rel=1e-14)
    np.testing.assert_allclose(three[1][0], two[1][0], rtol=1e-12)
    np.testing.assert_allclose(three[2][:4, :4], two[2], rtol=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_blocks_of_rows_add_up(classes):
    theta, x, target = rows(classes, count=50_000)
    whole = log_likelihood_terms(theta, x, target, classes)
    halves = [
        log_likelihood_terms(theta, x[part], target[part], classes)
        for part in (slice(0, 25_000), slice(25_000, None))
    ]
    for index in range(3):
        mean = (halves[0][index] + halves[1][index]) / 2
        np.testing.assert_allclose(whole[index], mean, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("classes", [2, 4])
def test_weights_are_repeats(classes):
    theta, x, target = rows(classes)
    weight = np.random.default_rng(2).integers(0, 4, size=len(x))
    repeated = log_likelihood_terms(
        theta, np.repeat(x, weight, axis=0), np.repeat(target, weight), classes
    )
    weighted = log_likelihood_terms(theta, x, target, classes, weight.astype(float))
    for one, other in zip(weighted, repeated, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)
    errors = standard_errors(theta, x, classes, weight.astype(float))
    np.testing.assert_allclose(
        errors, standard_errors(theta, np.repeat(x, weight, axis=0), classes), rtol=1e-10
    )


def test_information_is_the_weighted_sum_of_squares():
    theta, x, _ = rows(2)
    design = np.c_[x, np.ones(len(x))]
    probability = 1 / (1 + np.exp(-design @ theta[0]))
    expected = design.T @ np.diag(probability * (1 - probability)) @ design
    np.testing.assert_allclose(information(theta, x, 2), expected, rtol=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_covariance_inverts_the_information(classes):
    theta, x, _ = rows(classes)
    product = covariance(theta, x, classes) @ information(theta, x, classes)
    np.testing.assert_allclose(product, np.eye(theta.size), atol=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_standard_errors_away_from_the_maximum_against_statsmodels(classes):
    from statsmodels.discrete.discrete_model import Logit, MNLogit

    theta, x, target = rows(classes, count=300)
    design = np.c_[x, np.ones(len(x))]
    if classes == 2:
        hessian = Logit(target, design).hessian(theta[0])
    else:
        hessian = MNLogit(target, design).hessian(theta.ravel())
    expected = np.sqrt(np.diag(np.linalg.inv(-hessian))).reshape(theta.shape)
    np.testing.assert_allclose(standard_errors(theta, x, classes), expected, rtol=1e-9)


def test_one_against_the_rest_is_a_binary_problem_each():
    _, x, _ = rows(3)
    theta = np.random.default_rng(5).normal(size=(3, 4))
    errors = standard_errors(theta, x, 3, log_odds_of="rest")
    single = [standard_errors(row[None], x, 2)[0] for row in theta]
    np.testing.assert_allclose(errors, single, rtol=1e-12)
    blocks = covariance(theta, x, 3, log_odds_of="rest")
    assert blocks[:4, 4:].tolist() == np.zeros((4, 8)).tolist()
    np.testing.assert_allclose(
        blocks @ information(theta, x, 3, log_odds_of="rest"), np.eye(12), atol=1e-12
    )


def test_errors_of_strongly_correlated_columns():
    """A correlation of 1 - 1e-13 / 2 costs no more than it must: exact in 60 digits."""
    random = np.random.default_rng(6)
    first = random.normal(size=60)
    x = np.c_[first, first + 3e-7 * random.normal(size=60)]
    theta = np.array([[0.5, -0.25, 0.1]])
    with mpmath.workdps(60):
        total = mpmath.zeros(3, 3)
        for row in x.tolist():
            design = mpmath.matrix([*row, 1.0])
            p = 1 / (1 + mpmath.exp(-mpmath.fdot(theta[0].tolist(), design)))
            total += p * (1 - p) * design * design.T
        inverse = total**-1
        expected = [float(mpmath.sqrt(inverse[i, i])) for i in range(3)]
    np.testing.assert_allclose(standard_errors(theta, x, 2)[0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("theta", "x"),
    [
        ([[1000.0, 0.0]], [[-1.0], [1.0]]),
        ([[1.0, 1.0, 0.0]], [[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]),
        ([[0.0, 0.0]], [[2.0], [2.0]]),
    ],
    ids=["saturated", "collinear", "constant"],
)
def test_no_standard_errors_of_a_singular_information(theta, x):
    assert standard_errors(np.array(theta), np.array(x), 2) is None


def test_zero_weights_do_not_hide_collinearity():
    x = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0], [1.0, -1.0]])
    weight = np.array([1.0, 1.0, 1.0, 0.0])
    assert standard_errors(np.zeros((1, 3)), x, 2, weight) is None
    assert standard_errors(np.zeros((1, 3)), x, 2) is not None


@pytest.mark.parametrize("classes", [2, 3])
def test_original_units(classes):
    """Standard errors in original units are those computed there."""
    theta, x, _ = rows(classes)
    center, scale = np.array([10.0, -3.0, 0.5]), np.array([2.0, 0.1, 7.0])
    original, errors = to_original_units(theta, covariance(theta, x, classes), center, scale)
    raw = x * scale + center
    np.testing.assert_allclose(
        raw @ original[:, :-1].T + original[:, -1], x @ theta[:, :-1].T + theta[:, -1], rtol=1e-10
    )
    np.testing.assert_allclose(errors, standard_errors(original, raw, classes), rtol=1e-9)
    assert to_original_units(theta, None, center, scale)[1] is None
