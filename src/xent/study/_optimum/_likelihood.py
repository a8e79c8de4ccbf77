"""The likelihood of linear classifiers and its curvature, which gives standard errors.

Coefficients are log-odds: ``theta`` has shape ``(classes - 1, features + 1)``, row k - 1 is class
k against class 0, and the intercept is the last column. Every loss formulation of a linear model
is a parametrisation of this one likelihood, so the same terms and standard errors serve them all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xent._links import log_softmax
from xent.study._optimum._collinearity import Design, orthogonalise

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

#: Information matrices whose reciprocal condition number, at unit diagonal and in orthogonal
#: coordinates, is below this are singular for float64: fewer than about four digits would be left.
SINGULAR = 1e-12
BLOCK_ROWS = 16_384


def log_likelihood_terms(
    theta: Array, features: Array, target: Indices, classes: int, weight: Array | None = None
) -> tuple[float, Array, Array]:
    """Mean negative log-likelihood with its gradient and Hessian.

    Args:
        theta: log-odds against class 0, shape ``(classes - 1, features + 1)``, intercept last.
        features: shape ``(rows, features)``, float64.
        target: class indices, shape ``(rows,)``.
        classes: the number of classes, at least 2.
        weight: how often each row counts, shape ``(rows,)``; None for once each.

    Returns:
        The mean in nats per row (its denominator is the sum of the weights), the gradient of the
        shape of ``theta``, and the Hessian ``(theta.size, theta.size)`` in the order of
        ``theta.ravel()``. Rows are read in blocks, so the memory needed beyond the input does not
        grow with them. Tiny probabilities of wrong classes keep their relative precision.

    >>> value, gradient, hessian = log_likelihood_terms(
    ...     np.zeros((1, 2)), np.array([[1.0], [3.0]]), np.array([0, 1]), 2)
    >>> round(value, 6), gradient.tolist(), hessian.tolist()
    (0.693147, [[-0.5, 0.0]], [[1.25, 0.5], [0.5, 0.25]])
    """
    value, gradient = 0.0, np.zeros_like(theta)
    hessian = np.zeros((theta.size, theta.size))
    add = _binary_terms if classes == 2 else _multinomial_terms
    for start in range(0, len(features), BLOCK_ROWS):
        here = slice(start, start + BLOCK_ROWS)
        block = np.hstack([features[here], np.ones((len(features[here]), 1))])
        counts = None if weight is None else weight[here]
        terms = add(theta, block, target[here], counts)
        value += terms[0]
        gradient += terms[1]
        hessian += terms[2]
    total = float(len(features) if weight is None else weight.sum())
    return value / total, gradient / total, hessian / total


def _binary_terms(
    theta: Array, block: Array, target: Indices, weight: Array | None
) -> tuple[float, Array, Array]:
    sign = 1.0 - 2.0 * target
    against = sign * (block @ theta[0])  # log-odds of the class that is not the target
    small = np.exp(-np.abs(against))
    loss = np.log1p(small) + np.maximum(against, 0.0)
    wrong = np.where(against > 0.0, 1.0, small) / (1.0 + small)
    variance = small / (1.0 + small) ** 2
    if weight is not None:
        loss, wrong, variance = weight * loss, weight * wrong, weight * variance
    hessian = block.T @ (block * variance[:, None])
    return float(loss.sum()), (block.T @ (sign * wrong))[None], (hessian + hessian.T) / 2


def _multinomial_terms(
    theta: Array, block: Array, target: Indices, weight: Array | None
) -> tuple[float, Array, Array]:
    rows, index = len(block), np.arange(len(block))
    logits = np.zeros((rows, len(theta) + 1))
    logits[:, 1:] = block @ theta.T
    log_probability = log_softmax(logits)
    probability = np.exp(log_probability)
    top = np.argmax(logits, axis=1)
    # 1 - p of the most likely class as a sum, because the difference would round to 0
    others = probability.copy()
    others[index, top] = 0.0
    complement = 1.0 - probability
    complement[index, top] = others.sum(axis=1)
    residual = probability.copy()
    residual[index, target] = -complement[index, target]
    counts = np.ones(rows) if weight is None else weight
    value = -float(counts @ log_probability[index, target])
    gradient = (residual[:, 1:] * counts[:, None]).T @ block
    hessian = _multinomial_information(block, probability[:, 1:], complement[:, 1:], counts)
    return value, gradient, hessian


def _multinomial_information(
    block: Array, probability: Array, complement: Array, counts: Array
) -> Array:
    width, outputs = block.shape[1], probability.shape[1]
    information = np.empty((outputs, width, outputs, width))
    for first in range(outputs):
        weighted = block * (counts * probability[:, first])[:, None]
        for second in range(first, outputs):
            same = first == second
            share = complement[:, first] if same else -probability[:, second]
            product = block.T @ (weighted * share[:, None])
            information[first, :, second] = (product + product.T) / 2
            information[second, :, first] = information[first, :, second]
    return information.reshape(outputs * width, outputs * width)


def information(
    theta: Array,
    features: Array,
    classes: int,
    weight: Array | None = None,
    *,
    log_odds_of: str = "reference",
) -> Array:
    """Fisher information X'WX of all rows together, at any coefficients.

    Args:
        theta: ``(classes - 1, features + 1)`` against class 0, or ``(classes, features + 1)`` with
            ``log_odds_of="rest"``; intercept last.
        features: shape ``(rows, features)``.
        classes: the number of classes.
        weight: how often each row counts; None for once each.
        log_odds_of: ``"reference"``, or ``"rest"`` for one binary problem per class.

    Returns:
        Shape ``(theta.size, theta.size)``, in the order of ``theta.ravel()``.

    >>> information(np.zeros((1, 2)), np.array([[-1.0], [1.0]]), 2).tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """
    if log_odds_of == "rest":
        return block_diagonal([information(row[None], features, 2, weight) for row in theta])
    target = np.zeros(len(features), dtype=np.intp)  # the information does not depend on it
    total = float(len(features) if weight is None else weight.sum())
    return total * log_likelihood_terms(theta, features, target, classes, weight)[2]


def covariance(
    theta: Array,
    features: Array,
    classes: int,
    weight: Array | None = None,
    *,
    log_odds_of: str = "reference",
) -> Array | None:
    """Inverse of the Fisher information at any coefficients, or None where it is singular.

    It is inverted in orthogonal coordinates, so strongly correlated features cost no accuracy.
    Singular means: the features are collinear, or the reciprocal condition number there, at unit
    diagonal, is below 1e-12 because the probabilities are saturated.

    Args and order as in `information`.

    >>> covariance(np.zeros((1, 2)), np.array([[-1.0], [1.0]]), 2).round(6).tolist()
    [[2.0, 0.0], [0.0, 2.0]]
    >>> covariance(np.zeros((1, 3)), np.array([[-1.0, 2.0], [1.0, -2.0]]), 2) is None
    True
    """
    if weight is not None:  # rows that count for nothing must not pin down a coefficient
        features, weight = features[weight > 0.0], weight[weight > 0.0]
    design = orthogonalise(features)
    if design.collinear:
        return None
    problems = [row[None] for row in theta] if log_odds_of == "rest" else [theta]
    many = 2 if log_odds_of == "rest" else classes
    blocks = []
    for part in problems:
        point = design.coordinates(part)
        inverse = inverse_information(information(point, design.columns, many, weight))
        if inverse is None:
            return None
        blocks.append(covariance_of_features(inverse, design))
    return block_diagonal(blocks)


def standard_errors(
    theta: Array,
    features: Array,
    classes: int,
    weight: Array | None = None,
    *,
    log_odds_of: str = "reference",
) -> Array | None:
    """Return the standard errors of coefficients: the root of the diagonal of `covariance`.

    The formula is evaluated at ``theta``, which need not be the maximum of the likelihood. The
    shape is that of ``theta``; None where the information is singular.

    >>> standard_errors(np.zeros((1, 2)), np.array([[-1.0], [1.0]]), 2).round(6).tolist()
    [[1.414214, 1.414214]]
    """
    inverse = covariance(theta, features, classes, weight, log_odds_of=log_odds_of)
    return None if inverse is None else np.sqrt(np.diag(inverse)).reshape(theta.shape)


def inverse_information(information: Array) -> Array | None:
    """Invert a symmetric positive matrix, or return None where float64 can't."""
    diagonal = np.diag(information)
    if not (diagonal > 0.0).all():
        return None
    scale = 1.0 / np.sqrt(diagonal)
    values, vectors = np.linalg.eigh(information * np.outer(scale, scale))
    if values[0] < SINGULAR * values[-1]:
        return None
    inverse = (vectors / values) @ vectors.T
    return np.asarray(inverse * np.outer(scale, scale))


def covariance_of_features(inverse: Array, design: Design) -> Array:
    """Turn a covariance in a design's coordinates into that of the features' coefficients."""
    outputs = len(inverse) // design.back.shape[1]
    width = design.back.shape[1]
    blocks = inverse.reshape(outputs, width, outputs, width)
    left = np.einsum("fa,iajb->ifjb", design.back, blocks)
    both = np.einsum("ifjb,gb->ifjg", left, design.back)
    size = outputs * len(design.back)
    return np.asarray(both.reshape(size, size))


def block_diagonal(blocks: list[Array]) -> Array:
    """Put square matrices along the diagonal of one."""
    size = sum(len(block) for block in blocks)
    whole, place = np.zeros((size, size)), 0
    for block in blocks:
        whole[place : place + len(block), place : place + len(block)] = block
        place += len(block)
    return whole


def to_original_units(
    theta: Array, covariance: Array | None, center: Array, scale: Array
) -> tuple[Array, Array | None]:
    """Coefficients and standard errors for features before they were standardised.

    Args:
        theta: coefficients of ``(features - center) / scale``, shape ``(outputs, features + 1)``,
            intercept last.
        covariance: theirs in the order of ``theta.ravel()``, or None.
        center: what was subtracted, shape ``(features,)``.
        scale: what it was divided by, shape ``(features,)``, not zero.

    Returns:
        Coefficients of the features themselves, and their standard errors by the delta method
        (exact, as the map is linear), or None without a covariance.

    >>> theta, errors = to_original_units(
    ...     np.array([[2.0, 1.0]]), np.eye(2), np.array([3.0]), np.array([4.0]))
    >>> theta.tolist(), errors.tolist()
    ([[0.5, -0.5]], [[0.25, 1.25]])
    """
    back = np.diag(np.append(1.0 / scale, 1.0))
    back[-1, :-1] = -center / scale
    original = theta @ back.T
    if covariance is None:
        return original, None
    outputs, width = theta.shape
    blocks = covariance.reshape(outputs, width, outputs, width)
    own = [back @ blocks[output, :, output, :] @ back.T for output in range(outputs)]
    return original, np.sqrt([np.diag(block) for block in own])
