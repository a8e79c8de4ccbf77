"""A trust-region Newton method for smooth functions of a few hundred numbers.

It asks for exact second derivatives and gives back a minimum to rounding. Flat directions (the
shift of two softmax logits, collinear columns) are left alone, negative curvature is turned
around, and every step lowers the value by a fair share of what the quadratic promised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Terms = tuple[float, Array, Array]
Objective = Callable[[Array], Terms]

#: A direction is flat where the curvature is below this share of the greatest ...
FLAT_CURVATURE = 1e-12
#: ... and the slope below this share of the greatest curvature and the first gradient.
FLAT_SLOPE = 1e-14
#: Differences of values below this share of the value are rounding.
ROUNDING = 100 * float(np.finfo(np.float64).eps)
#: A step is taken when it delivers this share of the predicted decrease.
SUFFICIENT = 0.1
SHORTENINGS = 60

GRADIENT = "gradient norm reached"
VALUE = "value reached"
TO_ROUNDING = "converged to rounding"
NO_DESCENT = "no step lowers the value"
OUT_OF_ITERATIONS = "out of iterations"
NOT_FINITE = "not finite at the start"


@dataclass(frozen=True)
class Minimum:
    """Where the search ended, and why.

    Args:
        point: the best point found, shape ``(size,)``.
        value: the objective there.
        gradient_norm: Euclidean norm of the gradient there.
        iterations: Newton steps taken.
        converged: whether ``point`` is a stationary point without negative curvature, or has the
            value that was asked for.
        reason: why the search stopped, in words (the constants of this module).
    """

    point: Array
    value: float
    gradient_norm: float
    iterations: int
    converged: bool
    reason: str


def minimise(
    objective: Objective,
    start: Array,
    *,
    gradient_norm: float = 1e-10,
    max_iterations: int = 100,
    value_target: float = -np.inf,
) -> Minimum:
    """Minimise a function with known gradient and Hessian by Newton's method in a trust region.

    The Hessian may be singular or indefinite. Steps divide the gradient by the absolute
    eigenvalues, raised alike where the step would leave the region of trust; they have no
    component along a direction that is flat, that is without curvature and slope but for rounding,
    so what is not identified stays as it was in ``start``. At a saddle the step follows the most
    negative curvature. A value that is not finite counts as no decrease.

    Args:
        objective: a point of shape ``(size,)`` to the value, the gradient ``(size,)`` and the
            symmetric Hessian ``(size, size)``, in float64.
        start: where to begin, shape ``(size,)``.
        gradient_norm: stop when the Euclidean norm of the gradient is at most this.
        max_iterations: the most Newton steps to take.
        value_target: stop as soon as the value is at most this.

    Returns:
        A `Minimum`. The reason is "converged to rounding" when the predicted decrease is below
        the rounding of the value and a further step no longer halves the gradient.

    >>> bowl = lambda x: (float(x @ x), 2 * x, 2 * np.eye(2))
    >>> minimise(bowl, np.array([3.0, 4.0])).reason
    'gradient norm reached'
    """
    point = np.array(start, dtype=np.float64)
    terms = objective(point)
    radius = 10.0 * (1.0 + float(np.linalg.norm(point)))
    first_value, first_norm = abs(terms[0]), float(np.linalg.norm(terms[1]))

    def ended(iterations: int, converged: bool, reason: str) -> Minimum:
        norm = float(np.linalg.norm(terms[1]))
        return Minimum(point, float(terms[0]), norm, iterations, converged, reason)

    if not _finite(terms):
        return ended(0, False, NOT_FINITE)
    for iteration in range(max_iterations + 1):
        norm = float(np.linalg.norm(terms[1]))
        if terms[0] <= value_target:
            return ended(iteration, True, VALUE)
        model = _Quadratic(terms[1], terms[2], first_norm, stationary=norm <= gradient_norm)
        if norm <= gradient_norm and not model.saddle:
            return ended(iteration, True, GRADIENT)
        if iteration == max_iterations:
            break
        if not model.saddle and model.decrease <= ROUNDING * max(abs(terms[0]), first_value):
            trial = objective(point + model.step())
            if not (_finite(trial) and float(np.linalg.norm(trial[1])) < norm / 2):
                return ended(iteration, True, TO_ROUNDING)
            point, terms = point + model.step(), trial
            continue
        found = _descend(objective, point, terms[0], model, radius)
        if found is None:
            return ended(iteration, False, NO_DESCENT)
        point, terms, radius = found
    return ended(max_iterations, False, OUT_OF_ITERATIONS)


def newton_step(gradient: Array, hessian: Array) -> Array:
    """Return the step to the local quadratic's minimum, with no component in flat directions."""
    return _Quadratic(gradient, hessian, float(np.linalg.norm(gradient))).step()


class _Quadratic:
    """The local quadratic in the eigenvectors of the Hessian, and steps that lower it."""

    def __init__(
        self, gradient: Array, hessian: Array, first_norm: float, stationary: bool = False
    ) -> None:
        self.eigenvalues, self.vectors = np.linalg.eigh(hessian)
        self.slopes = self.vectors.T @ gradient
        self.sizes = np.abs(self.eigenvalues)
        greatest = float(self.sizes.max(initial=0.0))
        flat = (self.sizes <= FLAT_CURVATURE * greatest) & (
            np.abs(self.slopes) <= FLAT_SLOPE * (greatest + first_norm)
        )
        self.slopes[flat], self.sizes[flat] = 0.0, 1.0
        # a slope without curvature must not overflow; the radius keeps its step short
        floor = np.maximum(np.finfo(np.float64).eps * greatest, 1e-100 * np.abs(self.slopes))
        self.sizes = np.maximum(self.sizes, np.maximum(floor, np.finfo(np.float64).tiny))
        self.saddle = bool(
            stationary
            and len(self.eigenvalues)
            and self.eigenvalues[0] < -FLAT_CURVATURE * greatest
        )
        self.decrease = 0.5 * float((self.slopes**2 / self.sizes).sum())

    def step(self, radius: float = np.inf) -> Array:
        return np.asarray(self.vectors @ self._coordinates(radius))

    def limited(self, radius: float) -> tuple[Array, float, bool]:
        """Return a step within the radius, the decrease it predicts, and if the radius binds."""
        if self.saddle:
            along = np.zeros_like(self.slopes)
            along[0] = -min(radius, 1.0) if self.slopes[0] > 0.0 else min(radius, 1.0)
            binds = False
        else:
            along = self._coordinates(radius)
            binds = float(np.linalg.norm(along)) > 0.9 * radius
        predicted = -float(along @ self.slopes + 0.5 * (along**2) @ self.eigenvalues)
        return np.asarray(self.vectors @ along), predicted, binds

    def _coordinates(self, radius: float) -> Array:
        coordinates = -self.slopes / self.sizes
        if np.linalg.norm(coordinates) <= radius:
            return np.asarray(coordinates)
        low, high = 0.0, float(np.linalg.norm(self.slopes)) / radius
        for _ in range(60):  # bisection for the shift that puts the step on the boundary
            shift = 0.5 * (low + high)
            coordinates = -self.slopes / (self.sizes + shift)
            if np.linalg.norm(coordinates) > radius:
                low = shift
            else:
                high = shift
        return np.asarray(-self.slopes / (self.sizes + high))


def _descend(
    objective: Objective, point: Array, value: float, model: _Quadratic, radius: float
) -> tuple[Array, Terms, float] | None:
    """Shorten the step until it delivers; return the new point, its terms and the next radius."""
    for _ in range(SHORTENINGS):
        step, predicted, binds = model.limited(radius)
        trial = objective(point + step)
        length = float(np.linalg.norm(step))
        if _finite(trial) and value - trial[0] >= SUFFICIENT * predicted:
            share = (value - trial[0]) / predicted
            if share < 0.25:
                radius = length / 2
            elif share > 0.75 and binds:
                radius *= 3.0
            return point + step, trial, radius
        radius = length / 4
    return None


def _finite(terms: Terms) -> bool:
    return all(bool(np.isfinite(term).all()) for term in terms)
