"""Recalibration: the slope and intercepts that would make the predictions fit best.

A slope of 1 and intercepts of 0 are what calibrated predictions have. A slope of 2 says that every
log-odds is half of what it should be, a slope of ½ that it is twice as large.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from xent.scoring._rows import Target, binary_log_odds, per_row_loss
from xent.scoring._sums import inner_product

Array = NDArray[np.float64]
Evaluation = tuple[float, Array, Array]

_MOST_ITERATIONS = 50
# Squared distance to the optimum in standard errors at which Newton's method stops.
_DECREMENT = 1e-12
# A standard error beyond this, for scores of unit spread, says the optimum lies at infinity.
_UNBOUNDED = 1e3
_SHORTEST_STEP = 1e-6
_SEPARATED = "the scores separate the classes"


@dataclass(frozen=True)
class Recalibration:
    """Maximum-likelihood slope and intercepts of the targets on the predicted log-odds.

    For two classes logit P(1) = intercept + slope · log-odds; for more, P is the softmax of
    slope · log-probability + intercept, the first class having intercept 0.

    Args:
        slope: None where there is no estimate.
        slope_se: its standard error, from the information matrix; a sandwich with weights.
        intercepts: one for each class but the first; empty where there is no estimate.
        intercept_ses: their standard errors.
        converged: whether there is an estimate.
        iterations: Newton steps taken.
        failure: why there is no estimate, in words; None where there is one.
    """

    slope: float | None
    slope_se: float | None
    intercepts: tuple[float, ...]
    intercept_ses: tuple[float, ...]
    converged: bool
    iterations: int
    failure: str | None = None


def recalibration(
    log_probabilities: Array, target: Target, weight: Array | None = None
) -> Recalibration:
    """Fit slope and intercepts by Newton's method.

    Args:
        log_probabilities: ``(rows, classes)``, normalised or not: only log-odds enter.
        target: ``(rows,)``, the column of each row's true class.
        weight: ``(rows,)``; None counts each row once.

    Returns:
        The fit; where none exists (a class without rows, constant scores, scores that separate the
        classes, probability 0 for a class that came true) ``converged`` is False and ``failure``
        says why.

    >>> log_odds = np.log([1.0, 3.0]).repeat(4)
    >>> logs = -np.log1p(np.exp(np.column_stack([log_odds, -log_odds])))
    >>> fit = recalibration(logs, np.array([0, 0, 1, 1, 0, 1, 1, 1]))
    >>> round(fit.slope, 6), round(fit.intercepts[0], 6)
    (1.0, 0.0)
    """
    if weight is not None:
        counted = weight > 0.0
        log_probabilities, target = log_probabilities[counted], target[counted]
        # Thresholds below are for sums over rows: only the proportions of the weights may matter.
        weight = _of_mean_one(weight[counted])
    classes = log_probabilities.shape[1]
    missing = np.flatnonzero(np.bincount(target, minlength=classes) == 0)
    if len(missing):
        return _failed(f"class {missing[0]} has no rows")
    if np.isposinf(per_row_loss(log_probabilities, target)).any():
        return _failed("a class that came true has probability 0")
    if classes == 2:
        return _binary(binary_log_odds(log_probabilities), target, weight)
    return _multiclass(log_probabilities, target, weight)


def _of_mean_one(weight: Array) -> Array:
    if not len(weight):
        return weight
    # By the largest first: a sum of very large weights would overflow.
    weight = weight / weight.max()
    return np.asarray(weight / weight.mean())


def _failed(failure: str, iterations: int = 0) -> Recalibration:
    return Recalibration(None, None, (), (), False, iterations, failure)


def _binary(log_odds: Array, target: Target, weight: Array | None) -> Recalibration:
    # A row whose log-odds are infinite on the right side has loss 0 for every positive slope.
    finite = np.isfinite(log_odds)
    if not finite.all():
        log_odds, target = log_odds[finite], target[finite]
        weight = None if weight is None else weight[finite]
    label = target == 1
    if label.all() or not label.any():
        return _failed(_SEPARATED)
    ones, zeros = log_odds[label], log_odds[~label]
    if log_odds.min() == log_odds.max():
        return _failed("the scores are constant")
    if zeros.max() <= ones.min() or ones.max() <= zeros.min():
        return _failed(_SEPARATED)
    spread = float(log_odds.std())
    model = _BinaryModel(log_odds / spread, label.astype(np.float64), weight)
    return _fit(model, np.array([spread, 0.0]), spread)


def _multiclass(log_probabilities: Array, target: Target, weight: Array | None) -> Recalibration:
    # A class of probability 0 that did not come true adds nothing for any positive slope.
    score = np.ascontiguousarray(log_probabilities.T)
    possible = np.isfinite(score)
    score = np.where(possible, score, 0.0)
    # Row means leave the log-odds as they are and keep the slope apart from the intercepts.
    score -= score.sum(axis=0) / possible.sum(axis=0)
    score[~possible] = 0.0
    if not np.ptp(score, axis=1).any():
        return _failed("the scores are constant")
    spread = float(np.sqrt((score**2).mean()))
    impossible = None if possible.all() else ~possible
    model = _MulticlassModel(score / spread, impossible, target, weight)
    start = np.zeros(log_probabilities.shape[1])
    start[0] = spread
    return _fit(model, start, spread)


class _Model(Protocol):
    """A likelihood in (slope, intercepts ...), for scores of unit spread."""

    @property
    def weight(self) -> Array | None: ...

    def evaluate(self, parameters: Array) -> Evaluation:
        """Return the negative log-likelihood, its gradient and its Hessian."""

    def row_gradients(self, parameters: Array) -> Array:
        """Return the gradient of each row's loss, unweighted, ``(rows, parameters)``."""


@dataclass(frozen=True)
class _BinaryModel:
    score: Array
    label: Array
    weight: Array | None

    def evaluate(self, parameters: Array) -> Evaluation:
        linear = parameters[0] * self.score + parameters[1]
        probability, softplus = _logistic(linear)
        loss = softplus - self.label * linear
        residual = probability - self.label
        curvature = probability * (1.0 - probability)
        if self.weight is not None:
            loss, residual = self.weight * loss, self.weight * residual
            curvature = self.weight * curvature
        tilted = curvature * self.score
        cross = tilted.sum()
        gradient = np.array([inner_product(residual, self.score), residual.sum()])
        hessian = np.array([[inner_product(tilted, self.score), cross], [cross, curvature.sum()]])
        return float(loss.sum()), gradient, hessian

    def row_gradients(self, parameters: Array) -> Array:
        residual = _logistic(parameters[0] * self.score + parameters[1])[0] - self.label
        return np.column_stack([residual * self.score, residual])


def _logistic(linear: Array) -> tuple[Array, Array]:
    """Probability and softplus of log-odds, without overflow."""
    tail = np.exp(-np.abs(linear))
    probability = 0.5 + np.copysign(1.0 / (1.0 + tail) - 0.5, linear)
    return probability, np.log1p(tail) + np.maximum(linear, 0.0)


@dataclass(frozen=True)
class _MulticlassModel:
    # Classes by rows, (classes, rows): sums over classes then run along memory.
    score: Array
    impossible: NDArray[np.bool_] | None
    target: Target
    weight: Array | None

    def softmax(self, parameters: Array) -> tuple[Array, Array]:
        linear = parameters[0] * self.score
        linear[1:] += parameters[1:, None]
        if self.impossible is not None:
            linear[self.impossible] = -np.inf
        linear -= linear.max(axis=0)
        probability = np.exp(linear)
        total = probability.sum(axis=0)
        loss = np.log(total) - linear[self.target, np.arange(len(total))]
        probability /= total
        return loss, probability

    def evaluate(self, parameters: Array) -> Evaluation:
        loss, probability = self.softmax(parameters)
        classes, rows = probability.shape
        true_score = self.score[self.target, np.arange(rows)]
        weighed = probability
        if self.weight is not None:
            weighed = self.weight * probability
            loss, true_score = self.weight * loss, self.weight * true_score
        tilted = weighed * self.score
        mean_score = (probability * self.score).sum(axis=0)
        expected = weighed.sum(axis=1)[1:]
        observed = np.bincount(self.target, self.weight, classes)[1:]
        gradient = np.r_[tilted.sum() - true_score.sum(), expected - observed]
        # The covariance of score and class indicators under the predicted probabilities.
        tilted -= weighed * mean_score
        hessian = np.empty((classes, classes))
        hessian[0, 0] = (tilted * self.score).sum()
        hessian[0, 1:] = hessian[1:, 0] = tilted.sum(axis=1)[1:]
        hessian[1:, 1:] = np.diag(expected) - weighed[1:] @ probability[1:].T
        return float(loss.sum()), gradient, hessian

    def row_gradients(self, parameters: Array) -> Array:
        residual = self.softmax(parameters)[1]
        residual[self.target, np.arange(len(self.target))] -= 1.0
        return np.column_stack([(residual * self.score).sum(axis=0), residual[1:].T])


def _fit(model: _Model, start: Array, spread: float) -> Recalibration:
    optimum = _newton(model.evaluate, start)
    if optimum is None:
        return _failed(_SEPARATED, _MOST_ITERATIONS)
    parameters, hessian, iterations = optimum
    covariance = np.linalg.inv(hessian)
    variances = np.diag(covariance)
    # Where the information is all but singular, rounding even makes variances negative.
    largest = (_UNBOUNDED * max(1.0, abs(float(parameters[0])))) ** 2
    if not np.all((variances > 0.0) & (variances < largest)):
        return _failed(_SEPARATED, iterations)
    errors = np.sqrt(variances)
    if model.weight is not None:
        gradients = model.weight[:, None] * model.row_gradients(parameters)
        # A sum of squares, the diagonal of the sandwich, can't be rounded below 0.
        errors = np.sqrt(((gradients @ covariance) ** 2).sum(axis=0))
    return Recalibration(
        slope=float(parameters[0] / spread),
        slope_se=float(errors[0] / spread),
        intercepts=tuple(parameters[1:].tolist()),
        intercept_ses=tuple(errors[1:].tolist()),
        converged=True,
        iterations=iterations,
    )


def _newton(
    evaluate: Callable[[Array], Evaluation], parameters: Array
) -> tuple[Array, Array, int] | None:
    """Minimise a convex function, halving steps that climb; None where no minimum is in reach."""
    loss, gradient, hessian = evaluate(parameters)
    for iteration in range(1, _MOST_ITERATIONS + 1):
        try:
            step = np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            return None
        decrement = float(gradient @ step)
        if not 0.0 <= decrement < np.inf:
            return None
        if decrement <= _DECREMENT:
            return parameters - step, hessian, iteration
        # Rounding alone moves the loss by some 1e-12 of itself near the optimum.
        ceiling = loss + 1e-10 * abs(loss)
        length = 1.0
        loss, gradient, hessian = evaluate(parameters - step)
        while loss > ceiling and length > _SHORTEST_STEP:
            length /= 2.0
            loss, gradient, hessian = evaluate(parameters - length * step)
        parameters = parameters - length * step
    return None
