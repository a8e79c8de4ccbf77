"""From what a modified loss makes a model say back to class probabilities.

A loss with label smoothing, focal factor or class weights is not minimised by the true class
probabilities η but by some q that depends on η. The maps from q to η are known in closed form;
each undoes one modifier, in the order that the loss ``sum_k c_k (1 - q_k)^γ (-log q_k)`` needs:
focal first, then the class weights, then the smoothing.

One-vs-rest losses put focal and smoothing on each sigmoid and the weights on the rows, so that
there the order is focal and smoothing for each output, then the weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent._links import Array, log_sigmoid, log_softmax


@dataclass(frozen=True)
class Recovered:
    """Recovered log-probabilities and how many rows had to be clipped on the way.

    Args:
        log_probabilities: ``(rows, classes)``, normalised.
        clipped_rows: rows with a probability that undoing the smoothing took below the floor.
    """

    log_probabilities: Array
    clipped_rows: int


def undo_focal(log_q: Array, focal: float) -> Array:
    """Undo the focal factor (Charoenphakdee et al., 2021, "On Focal Loss for Class-Posterior ...").

    η_k is proportional to ``h(q_k) = q / ((1 - q)^γ - γ (1 - q)^(γ - 1) q log q)``.

    >>> q = np.log(np.array([[0.422, 0.578]]))
    >>> float(np.exp(undo_focal(q, 2.0))[0, 1].round(2))
    0.7
    """
    if focal == 0:
        return log_q
    rest = _log_complement(log_q)
    # h = q (1-q)^(1-γ) / ((1 - q) - γ q log q); at q = 1 both factors of the bottom vanish, so the
    # bottom is kept as a logarithm of a sum of two positive terms.
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = np.log(focal) + log_q + np.log(-log_q)
    inside = (log_q < 0) & np.isfinite(log_q)  # q log q is 0 at both ends
    bottom = np.logaddexp(rest, np.where(inside, entropy, -np.inf))
    with np.errstate(invalid="ignore"):
        log_h = log_q - (focal - 1.0) * rest - bottom
    certain = np.isneginf(rest)
    log_h = np.where(certain, np.inf, log_h)
    return _normalise(log_h)


def undo_weights(log_q: Array, weights: Array) -> Array:
    """Undo class weights: they multiply the odds, so each probability is divided by its weight.

    >>> np.exp(undo_weights(np.log([[0.2, 0.8]]), np.array([1.0, 4.0]))).tolist()
    [[0.5, 0.5]]
    """
    return log_softmax(log_q - np.log(weights))


def undo_smoothing(log_q: Array, smoothing: float, floor: float = 0.0) -> Recovered:
    """Undo label smoothing, ``η = (q - ε / K) / (1 - ε)``, raised to ``floor`` where it is below.

    A fitted q scatters around its optimum, so that where η is nearly 0 the formula gives a negative
    number as often as not. With a floor of 0 such a row says "impossible".

    >>> undo_smoothing(np.log([[0.05, 0.95]]), 0.1).log_probabilities.tolist()
    [[-inf, 0.0]]
    >>> undo_smoothing(np.log([[0.04, 0.96]]), 0.1, floor=0.25).log_probabilities.round(2).tolist()
    [[-1.62, -0.22]]
    """
    if smoothing == 0:
        return Recovered(log_q, 0)
    classes = log_q.shape[1]
    eta = (np.exp(log_q) - smoothing / classes) / (1.0 - smoothing)
    rounding = 8 * np.finfo(np.float64).eps
    below = eta < (floor if floor > 0 else -rounding)
    eta = np.where(eta < max(floor, rounding), floor, eta)
    with np.errstate(divide="ignore"):
        recovered = np.log(eta / eta.sum(axis=1, keepdims=True))
    return Recovered(recovered, int(np.count_nonzero(below.any(axis=1))))


def recover_softmax(
    log_q: Array, smoothing: float, focal: float, weights: Array, floor: float = 0.0
) -> Recovered:
    """Undo all three for losses whose outputs share one softmax (or one sigmoid)."""
    return undo_smoothing(undo_weights(undo_focal(log_q, focal), weights), smoothing, floor)


def recover_one_vs_rest(
    outputs: Array, smoothing: float, focal: float, weights: Array, floor: float = 0.0
) -> Recovered:
    """Undo all three for one-vs-rest outputs ``(rows, classes)``, each sigmoid by itself."""
    log_own = np.empty_like(outputs)
    clipped = np.zeros(len(outputs), dtype=bool)
    for k in range(outputs.shape[1]):
        pair = np.stack([log_sigmoid(-outputs[:, k]), log_sigmoid(outputs[:, k])], axis=1)
        pair = undo_focal(pair, focal)
        if smoothing:
            least = smoothing / 2 + (1 - smoothing) * floor
            clipped |= (pair < np.log(least) - 1e-12).any(axis=1)
        log_own[:, k] = undo_smoothing(pair, smoothing, floor).log_probabilities[:, 1]
    impossible = np.isneginf(log_own).all(axis=1)
    log_own[impossible] = 0.0
    return Recovered(undo_weights(log_own, weights), int(np.count_nonzero(clipped)))


def _log_complement(log_q: Array) -> Array:
    """``log(1 - q)`` of rows of log-probabilities: the log-sum-exp of all the other classes."""
    if log_q.shape[1] == 2:
        return log_q[:, ::-1]
    others: NDArray[np.float64] = np.empty_like(log_q)
    for k in range(log_q.shape[1]):
        rest = np.delete(log_q, k, axis=1)
        others[:, k] = np.logaddexp.reduce(rest, axis=1)
    return others


def _normalise(log_h: Array) -> Array:
    certain = np.isposinf(log_h)
    if certain.any():
        rows = certain.any(axis=1, keepdims=True)
        log_h = np.where(rows, np.where(certain, 0.0, -np.inf), log_h)
    return log_softmax(log_h)
