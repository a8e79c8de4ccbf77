"""Whether a linear classifier can fit its rows ever better without bound.

It can when some direction of the coefficients lowers no row's log-odds of its own class against
any other, and raises at least one: then the likelihood grows along that direction for ever and no
maximum exists (Albert and Anderson 1984, Biometrika 71:1). `overlap_is_certain` proves from a
Newton step that there is no such direction; `find_separation` finds one and verifies it on every
row, or has a linear program prove that there is none.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent.study._optimum._collinearity import triangular_factor

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

#: Margins are divided by ``1 + |row|``, for a direction whose largest entry is 1, then compared.
EXACT = 16 * float(np.finfo(np.float64).eps)  # times unknowns per class: rounding of a zero
TIED = 1e-6  # a margin within this may be a zero that is yet to be made exact
STRICT = 1e-8  # a margin above this is positive
VIOLATED = 1e-9  # a margin below minus this breaks the linear program's constraint
#: Singular values below this share of the largest are zero.
NULL = 1e-11
#: What the search may cost: unknowns of the linear program, and pairs times unknowns squared.
MOST_UNKNOWNS = 1_500
MOST_WORK = 1e11
BLOCK_PAIRS = 8_192


@dataclass(frozen=True)
class Separation:
    """What is known about separation.

    Args:
        found: True with a direction that was verified on every row, False where a linear program
            proved that there is none, None where neither came out.
        direction: shape ``(classes - 1, columns + 1)``, log-odds against class 0, intercept last.
    """

    found: bool | None
    direction: Array | None = None


def overlap_is_certain(
    step: Array, columns: Array, log_odds_point: Array, largest: float = 0.5
) -> bool:
    """Whether a Newton step proves that the classes overlap, so that a maximum exists.

    With probabilities p at the present point and z the change of the logits by the full step,
    the numbers p (1 - z + mean of z under p) balance the rows exactly. If all are positive, no
    direction can raise one row's log-odds without lowering another's (Stiemke's theorem of the
    alternative). In exact arithmetic anything below 1 is a proof; ``largest`` leaves a margin.

    Args:
        step: the full Newton step, shape ``(classes - 1, columns + 1)``.
        columns: shape ``(rows, columns)``.
        log_odds_point: where the step starts, same shape as ``step``.
        largest: the bound on z minus its mean.

    >>> columns = np.array([[-1.0], [1.0]])
    >>> overlap_is_certain(np.array([[0.1, 0.0]]), columns, np.zeros((1, 2)))
    True
    >>> overlap_is_certain(np.array([[2.0, 0.0]]), columns, np.zeros((1, 2)))
    False
    """
    for start in range(0, len(columns), BLOCK_PAIRS):
        block = columns[start : start + BLOCK_PAIRS]
        logits = _logits(block, log_odds_point)
        probability = np.exp(logits - logits.max(axis=1, keepdims=True))
        probability /= probability.sum(axis=1, keepdims=True)
        change = _logits(block, step)
        change -= (probability * change).sum(axis=1, keepdims=True)
        if not np.abs(change).max(initial=0.0) < largest:
            return False
    return True


def find_separation(
    columns: Array,
    target: Indices,
    classes: int,
    candidate: Array | None = None,
    *,
    time_limit: float = 10.0,
) -> Separation:
    """Find a direction that separates the classes, in whole or in part, or prove there is none.

    First tries ``candidate``, such as the last Newton step; then a linear program: the greatest
    sum of margins over directions in a box with no negative margin. The program starts from few
    rows and takes in those that its answer violates, so its cost hardly grows with the rows. Any
    direction found is moved onto the exact solution of its ties and checked on every row, so
    ``found=True`` never rests on a solver's tolerance.

    Args:
        columns: shape ``(rows, columns)``, centred, of unit spread, linearly independent.
        target: class indices, shape ``(rows,)``.
        classes: the number of classes, at least 2.
        candidate: a direction to try first, shape ``(classes - 1, columns + 1)``.
        time_limit: seconds after which the linear program gives up and ``found`` is None; 0 to
            try the candidate only.

    >>> x = np.array([[-1.5], [-0.5], [0.5], [1.5]])
    >>> find_separation(x, np.array([0, 0, 1, 1]), 2).found
    True
    >>> find_separation(x, np.array([0, 1, 0, 1]), 2).found
    False
    """
    pairs = _Pairs(columns, target, classes)
    for guess in () if candidate is None else (candidate, pairs.onto_ties(candidate)):
        verified = pairs.verify(guess)
        if verified.found:
            return verified
    if pairs.unknowns > MOST_UNKNOWNS:
        return Separation(None)
    return _by_linear_program(pairs, candidate, time.monotonic() + time_limit)


class _Pairs:
    """Every row paired with each class that is not its own, and their margins."""

    def __init__(self, columns: Array, target: Indices, classes: int) -> None:
        self.columns, self.target, self.classes = columns, target, classes
        self.size = 1.0 + np.linalg.norm(columns, axis=1)
        self.unknowns = (classes - 1) * (columns.shape[1] + 1)
        self.count = len(columns) * (classes - 1)

    def margins(self, direction: Array) -> Array:
        """Change of the log-odds of the own class against each, over the row's size; own: 0."""
        logits = _logits(self.columns, direction)
        own = np.take_along_axis(logits, self.target[:, None], axis=1)
        return np.asarray((own - logits) / self.size[:, None])

    def rows(self, row: Indices, other: Indices) -> Array:
        """Dense constraints ``(pairs, unknowns)``: times a direction they give its margins."""
        design = np.hstack([self.columns[row], np.ones((len(row), 1))]) / self.size[row, None]
        dense = np.zeros((len(row), self.classes, design.shape[1]))
        index = np.arange(len(row))
        dense[index, self.target[row]] = design
        dense[index, other] -= design
        return dense[:, 1:].reshape(len(row), -1)

    def sum(self) -> Array:
        """Return the sum of all rows of constraints, shape ``(unknowns,)``."""
        design = np.hstack([self.columns, np.ones((len(self.columns), 1))]) / self.size[:, None]
        total = np.broadcast_to(-design.sum(axis=0), (self.classes, design.shape[1])).copy()
        for label in range(self.classes):
            total[label] += self.classes * design[self.target == label].sum(axis=0)
        return total[1:].ravel()

    def verify(self, direction: Array | None) -> Separation:
        if direction is None or not np.abs(direction).max() > 0.0:
            return Separation(None)
        direction = direction / np.abs(direction).max()
        margins = self.margins(direction)
        if margins.min() < -EXACT * (self.columns.shape[1] + 1):
            return Separation(None)
        return Separation(True, direction) if margins.max() > STRICT else Separation(None)

    def onto_ties(self, direction: Array | None) -> Array | None:
        """Move a direction so that its margins near zero are zero, or None where it can't be."""
        if direction is None or not np.abs(direction).max() > 0.0:
            return None
        margins = self.margins(direction / np.abs(direction).max())
        tied = np.abs(margins) <= TIED
        np.put_along_axis(tied, self.target[:, None], False, axis=1)
        row, other = np.nonzero(tied)
        if len(row) * self.unknowns**2 > MOST_WORK:
            return None
        factor = triangular_factor(self._dense_blocks(row, other), self.unknowns)
        _, singular, right = np.linalg.svd(factor)
        rank = int((singular > NULL * singular.max(initial=0.0)).sum())
        free = right[rank:]
        return (free.T @ (free @ direction.ravel())).reshape(direction.shape)

    def _dense_blocks(self, row: Indices, other: Indices) -> Iterator[Array]:
        for start in range(0, len(row), BLOCK_PAIRS):
            here = slice(start, start + BLOCK_PAIRS)
            yield self.rows(row[here], other[here])


def _by_linear_program(pairs: _Pairs, candidate: Array | None, deadline: float) -> Separation:
    shape = (pairs.classes - 1, -1)
    gain = pairs.sum()
    if np.abs(gain).max() <= EXACT * pairs.count:
        return Separation(False)  # margins that are not negative and sum to zero are all zero
    gain /= np.abs(gain).max()
    start = gain.reshape(shape) if candidate is None else candidate
    many = 20 * pairs.unknowns + 200
    row, other = _lowest(pairs, start, many, np.inf)
    constraints = pairs.rows(row, other)
    while time.monotonic() < deadline:
        answer = _solve(gain, constraints, deadline - time.monotonic())
        if answer.status != 0:
            return Separation(None)
        if -answer.fun <= VIOLATED:
            return Separation(False)  # already true of a part of the rows, so of all
        direction = answer.x.reshape(shape)
        row, other = _lowest(pairs, direction, many, -VIOLATED)
        if len(row) == 0:
            return pairs.verify(pairs.onto_ties(direction))
        constraints = np.vstack([constraints, pairs.rows(row, other)])
    return Separation(None)


def _lowest(pairs: _Pairs, direction: Array, many: int, below: float) -> tuple[Indices, Indices]:
    """Return the pairs of lowest margin, at most so many, all below a bound."""
    margins = pairs.margins(direction)
    np.put_along_axis(margins, pairs.target[:, None], np.inf, axis=1)
    flat = margins.ravel()
    chosen = np.flatnonzero(flat < below)
    if len(chosen) > many:
        chosen = chosen[np.argpartition(flat[chosen], many)[:many]]
    row, other = np.unravel_index(chosen, margins.shape)
    return row, other


def _solve(gain: Array, constraints: Array, seconds: float) -> Any:
    from scipy.optimize import linprog

    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    return linprog(
        -gain,
        A_ub=-constraints,
        b_ub=np.zeros(len(constraints)),
        bounds=(-1.0, 1.0),
        method="highs",
        options={"time_limit": max(seconds, 0.1), **tight},
    )


def _logits(columns: Array, direction: Array) -> Array:
    logits = np.zeros((len(columns), len(direction) + 1))
    logits[:, 1:] = columns @ direction[:, :-1].T + direction[:, -1]
    return logits
