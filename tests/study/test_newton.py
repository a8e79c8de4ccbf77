"""Newton's method against functions whose minima are known."""

from __future__ import annotations

import numpy as np
import pytest

from xent.study._training import _newton
from xent.study._training._newton import minimise, newton_step


def softmax_pair(point):
    """Log loss of two logits a + b x over four rows: flat along equal shifts of both."""
    x = np.array([-1.0, 0.2, 0.5, 2.0])
    target = np.array([0, 1, 0, 1])
    design = np.stack([np.ones(4), x], axis=1)
    logits = design @ point.reshape(2, 2).T
    top = logits.max(axis=1, keepdims=True)
    probability = np.exp(logits - top)
    total = probability.sum(axis=1, keepdims=True)
    probability /= total
    value = float(np.mean(np.log(total[:, 0]) + top[:, 0] - logits[np.arange(4), target]))
    residual = probability - np.eye(2)[target]
    gradient = (residual.T @ design / 4).ravel()
    variance = np.array([np.diag(p) - np.outer(p, p) for p in probability])
    hessian = np.einsum("nij,na,nb->iajb", variance, design, design).reshape(4, 4) / 4
    return value, gradient, hessian


def test_quadratic_takes_one_step():
    matrix = np.array([[3.0, 1.0], [1.0, 2.0]])
    aim = np.array([0.5, -2.0])

    def quadratic(point):
        return float((point - aim) @ matrix @ (point - aim)) / 2, matrix @ (point - aim), matrix

    found = minimise(quadratic, np.zeros(2))
    assert found.iterations == 1
    assert found.converged
    assert found.reason == _newton.GRADIENT
    np.testing.assert_allclose(found.point, aim, rtol=1e-15)


@pytest.mark.parametrize("shift", [0.0, 3.0, -100.0])
def test_flat_direction_stays_where_it_was(shift):
    start = np.array([0.3, -0.2, 0.1, 0.4]) + shift * np.array([1.0, 0.0, 1.0, 0.0])
    flat = np.array([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]]) / np.sqrt(2)
    found = minimise(softmax_pair, start)
    assert found.converged
    assert found.gradient_norm <= 1e-10
    assert found.iterations >= 3
    np.testing.assert_allclose(flat @ found.point, flat @ start, atol=1e-13 * (1 + abs(shift)))


def test_contrast_of_the_flat_problem_does_not_depend_on_the_start():
    contrasts = []
    for start in (np.zeros(4), np.array([5.0, 1.0, -3.0, 2.0])):
        point = minimise(softmax_pair, start).point
        contrasts.append(point[2:] - point[:2])
    np.testing.assert_allclose(contrasts[0], contrasts[1], rtol=1e-8)


def rosenbrock(point):
    x, y = point
    value = (1 - x) ** 2 + 100 * (y - x**2) ** 2
    gradient = np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])
    hessian = np.array([[2 - 400 * (y - 3 * x**2), -400 * x], [-400 * x, 200.0]])
    return value, gradient, hessian


@pytest.mark.parametrize("start", [(-1.2, 1.0), (0.0, 2.0), (-3.0, -4.0), (10.0, -10.0)])
def test_nonconvex_valley(start):
    found = minimise(rosenbrock, np.array(start))
    assert found.converged
    np.testing.assert_allclose(found.point, [1.0, 1.0], rtol=1e-9)


def double_well(point):
    x, y = point
    value = (x**2 - 1) ** 2 + y**2
    return value, np.array([4 * x * (x**2 - 1), 2 * y]), np.diag([12 * x**2 - 4, 2.0])


@pytest.mark.parametrize("start", [(0.0, 0.0), (0.0, 3.0), (0.1, 1.0), (-0.01, 0.0)])
def test_saddle_is_left_for_a_minimum(start):
    found = minimise(double_well, np.array(start))
    assert found.converged
    assert abs(found.point[0]) == pytest.approx(1.0, abs=1e-9)
    assert found.point[1] == pytest.approx(0.0, abs=1e-9)


def test_value_never_rises():
    """Newton's undamped steps on log cosh diverge from 2; these must descend."""
    values = []

    def log_cosh(point):
        x = point[0]
        return (
            float(np.logaddexp(x, -x)),
            np.array([np.tanh(x)]),
            np.array([[1 - np.tanh(x) ** 2]]),
        )

    point = np.array([2.0])
    for _ in range(20):
        found = minimise(log_cosh, point, max_iterations=1)
        values.append(found.value)
        point = found.point
    assert (np.diff(values) <= 0).all()
    assert abs(point[0]) < 1e-8


def test_saturated_wrong_side_is_left():
    """A slope without curvature is followed, not taken for a flat direction."""

    def hinge(point):
        x = point[0]
        probability = 1 / (1 + np.exp(-x))
        value = float(np.logaddexp(0, x)) + 5e-3 * (x + 4) ** 2
        return (
            value,
            np.array([probability + 1e-2 * (x + 4)]),
            np.array([[probability * (1 - probability) + 1e-2]]),
        )

    found = minimise(hinge, np.array([500.0]))
    assert found.converged
    assert found.gradient_norm < 1e-10

    def ramp(point):  # |x| with its corner rounded off: curvature underflows far out
        value = float(np.logaddexp(point[0], -point[0]))
        return (
            value,
            np.tanh(point[:1]),
            (1 - np.tanh(point[:1]) ** 2)[:, None],
        )

    found = minimise(ramp, np.array([700.0]))
    assert found.converged
    assert found.value == pytest.approx(np.log(2.0))


def test_rounding_is_said():
    """A gradient with an error of 1e-9 can't reach 1e-12."""
    random = np.random.default_rng(3)

    def noisy(point):
        value = 1.0 + float(point @ point)
        return value, 2 * point + 1e-9 * random.standard_normal(3), 2 * np.eye(3)

    found = minimise(noisy, np.ones(3), gradient_norm=1e-12)
    assert found.reason == _newton.TO_ROUNDING
    assert found.converged
    assert found.iterations < 20


def test_value_target_stops_early():
    found = minimise(
        lambda x: (float(x @ x), 2 * x, 2 * np.eye(1)), np.array([1.0]), value_target=2
    )
    assert found.reason == _newton.VALUE
    assert found.iterations == 0


def test_out_of_iterations_is_not_converged():
    found = minimise(rosenbrock, np.array([-1.2, 1.0]), max_iterations=2)
    assert not found.converged
    assert found.reason == _newton.OUT_OF_ITERATIONS
    assert found.iterations == 2


def test_start_that_is_not_finite():
    found = minimise(lambda x: (np.nan, x, np.eye(1)), np.array([1.0]))
    assert not found.converged
    assert found.reason == _newton.NOT_FINITE


def test_values_that_are_not_finite_are_avoided():
    """-log x + x has its minimum at 1 and no value at 0 or below."""

    def barrier(point):
        x = float(point[0])
        if x <= 0:
            return np.inf, np.array([np.nan]), np.array([[np.nan]])
        return x - np.log(x), np.array([1 - 1 / x]), np.array([[1 / x**2]])

    found = minimise(barrier, np.array([5.0]))
    assert found.point[0] == pytest.approx(1.0, rel=1e-10)


def test_wrong_gradient_finds_no_descent():
    found = minimise(lambda x: (float(x @ x), -2 * x, 2 * np.eye(1)), np.array([1.0]))
    assert not found.converged
    assert found.reason == _newton.NO_DESCENT


def test_newton_step_is_the_pseudo_inverse():
    step = newton_step(np.array([2.0, 0.0, 3.0]), np.diag([4.0, 0.0, 1.5]))
    np.testing.assert_allclose(step, [-0.5, 0.0, -2.0])
