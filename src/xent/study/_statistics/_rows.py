"""Question A, "do these fitted models differ": the paired t over test rows or clusters of them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xent._links import Array
from xent.study._statistics._checks import check_groups, check_values, check_weights
from xent.study._statistics._difference import Difference, Source


def paired_rows(
    differences: ArrayLike, weights: ArrayLike | None = None, groups: ArrayLike | None = None
) -> Difference:
    """Paired t of the differences of each test row, cluster-robust where rows share a group.

    With weights w and clusters g (single rows where there are none), and m the weighted mean,
    variance = G / (G - 1) · Σ_g (Σ_{i in g} w_i (d_i - m))² / (Σ w)². Equal weights without
    clusters give s² / n. Degrees of freedom are G* - 1 with G* = (Σ W_g²)² / Σ W_g⁴ over the
    clusters' weights W_g, which is G where all are equal, and less where few clusters carry most
    of the weight (in the manner of Carter, Schnepel and Steigerwald 2017). Where one carries nearly
    all of it, G* below 2, nothing is known of the variation.

    Args:
        differences: ``(rows,)``, loss of one model minus loss of the other, finite.
        weights: ``(rows,)``; None counts each row once, 0 leaves a row out.
        groups: ``(rows,)`` of any values; rows that share one share an error (Miller 2024).

    Raises:
        InputError: wrong shapes, no rows, values that are not finite, weights below 0.

    >>> difference = paired_rows([0.1, 0.3, 0.2, 0.4])
    >>> round(difference.mean, 4), round(difference.standard_error, 4), difference.design
    (0.25, 0.0645, 'paired t over 4 test rows, 3 degrees of freedom')
    """
    values = check_values(differences, "paired_rows: differences", ("rows",))
    weight = check_weights(weights, len(values), "paired_rows")
    group = check_groups(groups, len(values), "paired_rows")
    mean = weighted_mean(values, weight)
    source = row_source(values - mean, weight, group)
    over = f"{source.count:,} test rows" if group is None else f"{source.count:,} clusters of rows"
    return Difference.of_sources(mean, (source,), f"paired t over {over}, {{degrees}}")


def weighted_mean(values: Array, weight: Array) -> float:
    """Σ w x / Σ w; exactly x where all values are x."""
    first = float(values[0])
    return first + float(np.average(values - first, weights=weight))


def row_source(residuals: Array, weight: Array, group: NDArray[np.int64] | None) -> Source:
    """What sampling rows, or clusters of them, adds to the variance of a weighted mean.

    Args:
        residuals: ``(rows,)`` values minus their weighted mean.
        weight: ``(rows,)``.
        group: ``(rows,)`` cluster numbers from 0, or None.
    """
    scores, loads = weight * residuals, weight
    if group is not None:
        scores = np.bincount(group, scores).astype(np.float64)
        loads = np.bincount(group, weight).astype(np.float64)
    counted = loads > 0.0
    count = int(np.count_nonzero(counted))
    unit = "rows" if group is None else "clusters"
    if count < 2:
        return Source(unit, count, math.inf, 0.0)
    loads = loads[counted] / loads.max()
    effective = float(np.sum(loads**2) ** 2 / np.sum(loads**4))
    total = float(weight.sum())
    variance = float(np.sum((scores / total) ** 2)) * count / (count - 1)
    if effective < 2.0:  # nearly all weight is one unit's
        return Source(unit, count, math.inf, 0.0)
    return Source(unit, count, variance, effective - 1.0)
