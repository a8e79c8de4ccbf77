"""The fit of greatest likelihood of a linear classifier, or the name of what stands in its way.

Every loss formulation of a linear model minimises one likelihood, so its maximum is the reference
for all of them. "maximum" and "separable" are each proved on the rows before they are said;
"nearly separable" is what remains.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xent._errors import InputError
from xent.study._optimum._collinearity import Design, orthogonalise
from xent.study._optimum._likelihood import (
    block_diagonal,
    covariance_of_features,
    inverse_information,
    log_likelihood_terms,
)
from xent.study._optimum._separation import Separation, find_separation, overlap_is_certain
from xent.study._training._newton import Minimum, minimise, newton_step

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

MAXIMUM = "maximum"
SEPARABLE = "separable"
NEARLY_SEPARABLE = "nearly separable"
COLLINEAR = "collinear"
TOO_LARGE = "not computed"

#: Newton's steps cost the cube of the number of coefficients: a second at this many.
MOST_COEFFICIENTS = 1200


@dataclass(frozen=True)
class MaximumLikelihood:
    """The fit of greatest likelihood, or the reason why there is none.

    Args:
        coefficients: ``(classes - 1, features + 1)`` log-odds against class 0, or one row per
            class against the rest; intercept last. With collinear features those of least norm;
            where the classes are separable only the point at which the search stopped.
        standard_errors: same shape, or None unless the status is "maximum".
        covariance: of the coefficients in the order of ``coefficients.ravel()``, or None like the
            standard errors.
        log_loss: the least mean log loss on these rows, in nats. Where no maximum exists, the
            limit it falls to. One against the rest: the sum over the classes' problems.
        status: "maximum", "separable", "nearly separable", "collinear", one of the middle two
            followed by " and collinear", or "not computed".
        message: the status in a sentence.
        gradient_norm: Euclidean norm of the gradient of the mean log loss where the search
            stopped, in orthogonal coordinates of unit spread.
        iterations: Newton steps.
        collinear: groups of feature indices that depend linearly on each other (and the intercept).
        problems: one against the rest only: the fit of each class.
    """

    coefficients: Array
    standard_errors: Array | None
    covariance: Array | None
    log_loss: float
    status: str
    message: str
    gradient_norm: float
    iterations: int
    collinear: tuple[tuple[int, ...], ...] = ()
    problems: tuple[MaximumLikelihood, ...] = ()


def fit_maximum_likelihood(
    features: Array, target: Indices, classes: int, weight: Array | None = None
) -> MaximumLikelihood:
    """Fit logistic (multinomial) regression without penalty, or say why that has no answer.

    - "maximum": the last Newton step proves that the classes overlap, so that the maximum exists
      and was reached, and the information can be inverted.
    - "separable": a direction of the coefficients was found that never lowers and somewhere raises
      the likelihood, on every row; no maximum exists.
    - "nearly separable": neither proof came out, or the information in orthogonal coordinates, at
      unit diagonal, has a reciprocal condition number below 1e-12. If a maximum exists it is so
      far out that float64 can't tell, and standard errors would mean nothing.
    - "collinear": features depend linearly on each other to ten digits. The log loss is unique,
      the coefficients are not.

    Args:
        features: shape ``(rows, features)``, finite, float64; best standardised.
        target: class indices from 0 to ``classes - 1``, shape ``(rows,)``.
        classes: the number of classes, at least 2.
        weight: how often each row counts, shape ``(rows,)``, not negative; None for once each.

    Raises:
        InputError: on features that are not finite, targets outside the classes, or weights that
            are negative or all zero.

    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> fit = fit_maximum_likelihood(x, np.array([0, 1, 0, 1]), 2)
    >>> fit.status, fit.coefficients.round(4).tolist()
    ('maximum', [[0.9082, -1.3623]])
    >>> fit_maximum_likelihood(x, np.array([0, 0, 1, 1]), 2).status
    'separable'
    """
    features, target, weight = _checked(features, target, classes, weight)
    if (classes - 1) * (features.shape[1] + 1) > MOST_COEFFICIENTS:
        return _not_computed((classes - 1, features.shape[1] + 1))
    return _fit(orthogonalise(features), target, classes, weight)


def _not_computed(shape: tuple[int, int]) -> MaximumLikelihood:
    return MaximumLikelihood(
        coefficients=np.full(shape, np.nan),
        standard_errors=None,
        covariance=None,
        log_loss=np.nan,
        status=TOO_LARGE,
        message=(
            f"The estimate has {shape[0] * shape[1]:,} coefficients, more than the "
            f"{MOST_COEFFICIENTS:,} that it is computed for."
        ),
        gradient_norm=np.nan,
        iterations=0,
    )


def fit_one_vs_rest(
    features: Array, target: Indices, classes: int, weight: Array | None = None
) -> MaximumLikelihood:
    """Fit each class against all others by itself, as `fit_maximum_likelihood` does for two.

    Returns:
        Coefficients ``(classes, features + 1)``: the log-odds of each class against the rest. The
        log loss is the sum of the classes' mean log losses. The status is that of the worst class;
        ``problems`` has each class's own.

    Raises:
        InputError: as `fit_maximum_likelihood`.

    >>> x = np.array([[0.0], [1.0], [2.0], [3.0], [2.0], [1.0]])
    >>> fit = fit_one_vs_rest(x, np.array([0, 1, 2, 0, 1, 2]), 3)
    >>> fit.status, fit.coefficients.shape
    ('maximum', (3, 2))
    """
    features, target, weight = _checked(features, target, classes, weight)
    if features.shape[1] + 1 > MOST_COEFFICIENTS:
        return _not_computed((classes, features.shape[1] + 1))
    design = orthogonalise(features)
    fits = tuple(
        _fit(design, (target == label).astype(np.intp), 2, weight) for label in range(classes)
    )
    order = [MAXIMUM, COLLINEAR, NEARLY_SEPARABLE, SEPARABLE]
    ranks = [max(order.index(word) for word in fit.status.split(" and ")) for fit in fits]
    worst = fits[int(np.argmax(ranks))]
    errors = [fit.standard_errors for fit in fits if fit.standard_errors is not None]
    blocks = [fit.covariance for fit in fits if fit.covariance is not None]
    known = len(errors) == classes
    return replace(
        worst,
        coefficients=np.vstack([fit.coefficients for fit in fits]),
        standard_errors=np.vstack(errors) if known else None,
        covariance=block_diagonal(blocks) if known else None,
        log_loss=float(sum(fit.log_loss for fit in fits)),
        message="Against the rest, by class: "
        + ", ".join(f"{label} {fit.status}" for label, fit in enumerate(fits))
        + ".",
        gradient_norm=max(fit.gradient_norm for fit in fits),
        iterations=sum(fit.iterations for fit in fits),
        problems=fits,
    )


def _checked(
    features: Array, target: Indices, classes: int, weight: Array | None
) -> tuple[Array, Indices, Array | None]:
    if not np.isfinite(features).all():
        count = int((~np.isfinite(features)).sum())
        raise InputError(
            "fit: features", "finite", f"{count} values that are not", "Drop or fill them."
        )
    if len(target) and not 0 <= target.min() <= target.max() < classes:
        found = f"{target.min()} to {target.max()}"
        raise InputError(
            "fit: target", f"class indices 0 to {classes - 1}", found, "Number the classes from 0."
        )
    if weight is None:
        return features, target, None
    if not (np.isfinite(weight).all() and weight.min(initial=0.0) >= 0.0 and weight.any()):
        found = f"{weight.min(initial=0.0):g} to {weight.max(initial=0.0):g}"
        raise InputError(
            "fit: weight", "finite, not negative and not all zero", found, "Check the weights."
        )
    counted = weight > 0.0  # rows that count for nothing must not pin down a coefficient
    return features[counted], target[counted], weight[counted]


class _Problem:
    """One fit in orthogonal coordinates; points are flat vectors."""

    def __init__(self, design: Design, target: Indices, classes: int, weight: Array | None) -> None:
        self.design, self.target, self.classes, self.weight = design, target, classes, weight
        self.shape = (classes - 1, design.columns.shape[1] + 1)
        self.total = float(len(target) if weight is None else weight.sum())
        # a row on the wrong side costs at least log 2: below this mean there is none, which is
        # complete separation and needs no further proof
        rarest = 1.0 if weight is None else float(weight.min())
        self.none_wrong = 0.99 * np.log(2.0) * rarest / self.total

    def terms(self, point: Array) -> tuple[float, Array, Array]:
        value, gradient, hessian = log_likelihood_terms(
            point.reshape(self.shape), self.design.columns, self.target, self.classes, self.weight
        )
        return value, gradient.ravel(), hessian

    def minimise(self, start: Array, gradient_norm: float) -> Minimum:
        return minimise(
            self.terms, start, gradient_norm=gradient_norm, value_target=self.none_wrong
        )

    def proof(self, point: Array) -> tuple[Array, Array | None]:
        """Return the Newton step, and the covariance where the step proves a maximum."""
        _, gradient, hessian = self.terms(point)
        inverse = inverse_information(self.total * hessian)
        if inverse is None:
            return newton_step(gradient, hessian).reshape(self.shape), None
        # the full step: what `newton_step` leaves out as flat may be where there is no maximum
        step = -self.total * (inverse @ gradient).reshape(self.shape)
        certain = overlap_is_certain(step, self.design.columns, point.reshape(self.shape))
        return step, inverse if certain else None

    def separation(self, candidate: Array, time_limit: float) -> Separation:
        return find_separation(
            self.design.columns, self.target, self.classes, candidate, time_limit=time_limit
        )


def _fit(design: Design, target: Indices, classes: int, weight: Array | None) -> MaximumLikelihood:
    problem = _Problem(design, target, classes, weight)
    minimum = problem.minimise(np.zeros(problem.shape).ravel(), 1e-10)
    step, inverse = problem.proof(minimum.point)
    separation = Separation(None)
    if inverse is None and minimum.value > problem.none_wrong:
        separation = problem.separation(step, time_limit=0.0)
        if not separation.found:  # perhaps a maximum further out
            before = minimum.iterations
            minimum = problem.minimise(minimum.point, 1e-15)
            minimum = replace(minimum, iterations=minimum.iterations + before)
            step, inverse = problem.proof(minimum.point)
            if inverse is None and minimum.value > problem.none_wrong:
                separation = problem.separation(step, time_limit=10.0)
    status, message, limit = _verdict(problem, minimum, inverse, separation)
    if design.collinear:
        status, message, inverse = *_with_collinear(status, message, design), None
    coefficients = minimum.point.reshape(problem.shape) @ design.back.T
    known = None if inverse is None else covariance_of_features(inverse, design)
    errors = None if known is None else np.sqrt(np.diag(known)).reshape(coefficients.shape)
    return MaximumLikelihood(
        coefficients=coefficients,
        standard_errors=errors,
        covariance=known,
        log_loss=limit,
        status=status,
        message=message,
        gradient_norm=minimum.gradient_norm,
        iterations=minimum.iterations,
        collinear=design.collinear,
    )


def _verdict(
    problem: _Problem, minimum: Minimum, inverse: Array | None, separation: Separation
) -> tuple[str, str, float]:
    """Return the status, the message, and the least log loss or its limit."""
    if minimum.value <= problem.none_wrong:
        message = (
            "The classes are separated completely, so larger coefficients always fit better:"
            " the likelihood has no maximum and the log loss falls to 0."
        )
        return SEPARABLE, message, 0.0
    if inverse is not None:
        return MAXIMUM, "The likelihood has a maximum, and it was reached.", minimum.value
    if separation.found:
        message = (
            "The classes are separated in part: some rows always fit better with larger"
            " coefficients and no row worse, so the likelihood has no maximum."
        )
        return SEPARABLE, message, minimum.value
    shown = (
        "Neither a maximum nor a separation of the classes could be proved in float64"
        if separation.found is None
        else "The classes overlap, but by so little that float64 can't invert the information"
    )
    message = f"{shown}: a maximum, if any, is so far out that standard errors mean nothing."
    return NEARLY_SEPARABLE, message, minimum.value


def _with_collinear(status: str, message: str, design: Design) -> tuple[str, str]:
    groups = "; ".join(
        ", ".join(map(str, group)) if len(group) > 1 else f"{group[0]} (constant)"
        for group in design.collinear
    )
    dependence = f"Features are linearly dependent, so the coefficients are not unique: {groups}."
    if status == MAXIMUM:
        return COLLINEAR, dependence
    return f"{status} and {COLLINEAR}", f"{message} {dependence}"
