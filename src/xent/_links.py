"""Links: the one place where a model's outputs become log-probabilities and log-odds.

A link says two things of a vector of outputs for one row: which log-probabilities it stands for,
and which fixed matrix of *contrasts* turns linear outputs into log-odds. Everything is NumPy in
float64; nothing here guesses what an output means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent._errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Link:
    """How outputs become probabilities.

    Args:
        name: how the link is called in tables and messages.
        formula: the same in one line of plain text.
        log_probabilities: outputs ``(rows, outputs)`` to log-probabilities ``(rows, classes)``.
        contrasts: number of classes to the matrix ``(log-odds, outputs)`` that maps outputs to
            log-odds; None where the probabilities have no such linear form.
        log_odds_of: what each row of the contrasts is a log-odds of: ``"reference"`` (class k
            against class 0) or ``"rest"`` (class k against all others).
    """

    name: str
    formula: str
    log_probabilities: Callable[[Array], Array]
    contrasts: Callable[[int], Array] | None
    log_odds_of: str = "reference"


def log_sigmoid(z: Array) -> Array:
    """Log of the logistic function, exact in both tails: ``min(z, 0) - log1p(exp(-|z|))``.

    >>> [float(v) for v in log_sigmoid(np.array([-1000.0, 0.0, 1000.0])).round(6)]
    [-1000.0, -0.693147, 0.0]
    """
    return np.minimum(z, 0.0) - np.log1p(np.exp(-np.abs(z)))


def log_softmax(z: Array) -> Array:
    """Log-softmax over the last axis that keeps tiny losses: ``log1p`` of the non-maximal terms.

    >>> float(-log_softmax(np.array([[40.0, 0.0]]))[0, 0])
    4.24835425529...e-18
    """
    top = np.argmax(z, axis=-1, keepdims=True)
    shifted = z - np.take_along_axis(z, top, axis=-1)
    terms = np.exp(shifted)
    np.put_along_axis(terms, top, 0.0, axis=-1)
    return np.asarray(shifted - np.log1p(terms.sum(axis=-1, keepdims=True)))


def _sigmoid_pair(z: Array) -> Array:
    logit = z[..., 0]
    return np.stack([log_sigmoid(-logit), log_sigmoid(logit)], axis=-1)


def _symmetric_pair(z: Array) -> Array:
    return _sigmoid_pair(2.0 * z)


def _normalised_sigmoids(z: Array) -> Array:
    scores = log_sigmoid(z)
    return log_softmax(scores)


def _against_first(classes: int) -> Array:
    return np.hstack([-np.ones((classes - 1, 1)), np.eye(classes - 1)])


def _one_logit(_: int) -> Array:
    return np.array([[1.0]])


def _twice_the_logit(_: int) -> Array:
    return np.array([[2.0]])


def _each_by_itself(classes: int) -> Array:
    return np.eye(classes)


# Functions of this module rather than lambdas, so that a formulation can travel to other processes.
LINKS: dict[str, Link] = {
    link.name: link
    for link in (
        Link("sigmoid", "P(1) = sigmoid(z)", _sigmoid_pair, _one_logit),
        Link(
            "symmetric-softmax",
            "P = softmax(-z, z), so P(1) = sigmoid(2 z)",
            _symmetric_pair,
            _twice_the_logit,
        ),
        Link("softmax", "P = softmax(z)", log_softmax, _against_first),
        Link(
            "normalised-sigmoid",
            "P(k) = sigmoid(z_k) / sum over j of sigmoid(z_j)",
            _normalised_sigmoids,
            _each_by_itself,
            log_odds_of="rest",
        ),
    )
}


def find_link(link: str | Link) -> Link:
    """Return the link of that name; a name that is not in the table is an error, never a guess.

    >>> find_link("softmax").formula
    'P = softmax(z)'
    """
    if isinstance(link, Link):
        return link
    if link not in LINKS:
        raise InputError(
            "link",
            f"one of {', '.join(LINKS)}, or an xent.Link of your own",
            repr(link),
            "Say how the outputs become probabilities.",
        )
    return LINKS[link]
