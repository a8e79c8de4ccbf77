"""Linear dependence among columns, and coordinates in which there is none.

Fitting in orthogonal coordinates keeps two troubles apart that look alike in the information
matrix: columns that depend on each other (found here, from the features alone) and classes that
can be separated (found from the targets, in `_separation`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: A column is dependent when less than this share of its spread is left once the others have
#: explained what they can: the dependence holds to ten digits.
DEPENDENT = 1e-10
#: A column is constant when its spread is below this share of its root mean square.
CONSTANT = 1e-12
#: Coefficients of a dependence below this, between columns of unit spread, are rounding.
NEGLIGIBLE = 1e-6
BLOCK_ROWS = 16_384


@dataclass(frozen=True)
class Design:
    """Features in orthogonal coordinates, and the way back.

    Args:
        columns: shape ``(rows, rank)``, each of mean 0 and mean square 1, orthogonal.
        back: shape ``(features + 1, rank + 1)``; coefficients of ``columns`` and an intercept
            times this are the coefficients of the features, of least norm, intercept last.
        collinear: groups of feature indices, each linearly dependent (with the intercept).
    """

    columns: Array
    back: Array
    collinear: tuple[tuple[int, ...], ...]

    def coordinates(self, theta: Array) -> Array:
        """Turn coefficients ``(outputs, features + 1)`` into those of the columns."""
        return np.asarray(np.linalg.lstsq(self.back, theta.T, rcond=None)[0].T)


def orthogonalise(features: Array) -> Design:
    """Write features in orthogonal coordinates and name the collinear ones.

    A column counts as collinear when it repeats a linear combination of others (and a constant)
    to ten digits of its own spread, whatever its unit: found by QR with column pivoting on
    columns of mean 0 and equal spread.

    Args:
        features: shape ``(rows, features)``, float64, at least one row.

    >>> x = np.arange(6.0)
    >>> orthogonalise(np.stack([x, x**2, 3.0 - 2.0 * x], axis=1)).collinear
    ((0, 2),)
    """
    rows, width = features.shape
    mean = features.mean(axis=0)
    factor = triangular_factor((block - mean for block in _blocks(features)), width)
    spread = np.linalg.norm(factor, axis=0)
    constant = spread <= CONSTANT * np.hypot(spread, np.sqrt(rows) * np.abs(mean))
    scale = np.where(constant, 1.0, spread)
    factor = np.where(constant, 0.0, factor / scale)
    _, singular, right = np.linalg.svd(factor, full_matrices=False)
    rank, groups = _dependences(factor, constant, singular)
    onto = np.sqrt(rows) * (right[:rank] / singular[:rank, None]).T / scale[:, None]
    columns = np.empty((rows, rank))
    for start in range(0, rows, BLOCK_ROWS):
        here = slice(start, start + BLOCK_ROWS)
        columns[here] = (features[here] - mean) @ onto
    back = np.zeros((width + 1, rank + 1))
    back[:-1, :-1] = onto
    back[-1] = np.append(-mean @ onto, 1.0)
    return Design(columns, back, groups)


def triangular_factor(blocks: Iterable[Array], width: int) -> Array:
    """Return R of the QR decomposition of blocks of rows stacked, holding one block at a time."""
    factor: Array = np.zeros((0, width))
    for block in blocks:
        factor = np.asarray(np.linalg.qr(np.vstack([factor, block]), mode="r"))
    return factor


def _blocks(features: Array) -> Iterator[Array]:
    for start in range(0, len(features), BLOCK_ROWS):
        yield features[start : start + BLOCK_ROWS]


def _dependences(
    factor: Array, constant: NDArray[np.bool_], singular: Array
) -> tuple[int, tuple[tuple[int, ...], ...]]:
    groups: list[tuple[int, ...]] = [(int(column),) for column in np.flatnonzero(constant)]
    candidates = np.flatnonzero(~constant)
    if candidates.size == 0:
        return 0, tuple(groups)
    # No pivot is smaller than the smallest singular value; loading scipy takes longer than the fit.
    if len(singular) >= candidates.size and singular[candidates.size - 1] > DEPENDENT:
        return candidates.size, tuple(groups)
    from scipy.linalg import qr, solve_triangular

    upper, pivots = qr(factor[:, candidates], mode="r", pivoting=True)
    rank = int((np.abs(np.diag(upper)) > DEPENDENT).sum())
    weights = solve_triangular(upper[:rank, :rank], upper[:rank, rank:])
    for place, column in enumerate(candidates[pivots[rank:]]):
        partners = candidates[pivots[:rank]][np.abs(weights[:, place]) > NEGLIGIBLE]
        groups.append(tuple(sorted({int(column), *map(int, partners)})))
    return rank, tuple(sorted(groups))
