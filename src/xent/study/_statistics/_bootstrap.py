"""The paired bootstrap: rows (or clusters of them), and seeds where there are several, redrawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xent._links import Array
from xent.study._statistics._checks import check_groups, check_values, check_weights
from xent.study._statistics._difference import critical

RESAMPLES = 2000
# More rows than this are dealt at random into so many blocks, and blocks are redrawn.
MOST_BLOCKS = 10_000
_AT_ONCE = 100


def paired_bootstrap(
    differences: ArrayLike,
    level: float = 0.95,
    *,
    weights: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Expanded percentile interval of a mean difference, whole rows or clusters redrawn.

    Args:
        differences: ``(rows,)``, or ``(seeds, rows)``: then seeds are redrawn as well.
        level: of the interval.
        weights: ``(rows,)``; None counts each row once.
        groups: ``(rows,)``; rows that share one are redrawn together.
        resamples: how many draws.
        seed: of the draws.

    Raises:
        InputError: wrong shapes, or values that are not finite.

    >>> low, high = paired_bootstrap(np.linspace(0.0, 0.5, 30))
    >>> 0.1 < low < 0.25 < high < 0.4
    True
    """
    values = np.atleast_2d(np.asarray(differences, dtype=np.float64))
    values = check_values(values, "paired_bootstrap: differences", ("seeds", "rows"))
    ((low, high),) = bootstrap_intervals(
        values[None], level, weights=weights, groups=groups, resamples=resamples, seed=seed
    )
    return float(low), float(high)


def bootstrap_intervals(
    differences: Array,
    level: float = 0.95,
    *,
    weights: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Array:
    """Intervals ``(comparisons, 2)`` of several mean differences from the same draws.

    More than 10,000 rows are dealt at random into 10,000 blocks, and blocks are redrawn: that
    leaves the variance of the mean as it is, to √(2 / 10,000) = 1.4 %, at a tenth of the time.

    Args:
        differences: ``(comparisons, seeds, rows)``, finite.
        level: of the intervals.
        weights: ``(rows,)``; None counts each row once.
        groups: ``(rows,)``; rows that share one are redrawn together.
        resamples: how many draws.
        seed: of the draws.
    """
    comparisons, seeds, rows = differences.shape
    weight = check_weights(weights, rows, "paired_bootstrap")
    group = check_groups(groups, rows, "paired_bootstrap")
    random = np.random.default_rng(seed)
    block, blocks = _blocks(rows, group, random)
    flat = differences.reshape(-1, rows)
    centre = flat @ weight / weight.sum()
    sums = _block_sums(flat - centre[:, None], weight, block, blocks)
    means = np.empty((resamples, comparisons))
    for start in range(0, resamples, _AT_ONCE):
        count = min(_AT_ONCE, resamples - start)
        redrawn = _counts(random, count, blocks) @ sums
        by_seed = centre + redrawn[:, :-1] / np.maximum(redrawn[:, -1:], 1e-300)
        again = _counts(random, count, seeds) / seeds if seeds > 1 else np.ones((count, 1))
        by_seed = by_seed.reshape(count, comparisons, seeds)
        means[start : start + count] = np.einsum("ncj,nj->nc", by_seed, again)
    units = rows if group is None else int(group.max()) + 1
    tail = _expanded_tail(level, units if seeds == 1 else min(units, seeds))
    return np.asarray(np.quantile(means, [tail, 1.0 - tail], axis=0).T)


def _expanded_tail(level: float, units: int) -> float:
    """The tail of the percentile interval, smaller for few units: the fewest of what is redrawn.

    Redrawn means scatter by √((n - 1) / n) too little and know nothing of Student's t: the tail
    is that of a normal quantile of √(n / (n - 1)) t (Hesterberg 2015, "expanded percentile").
    """
    from scipy.special import ndtr

    if units < 2:
        return 0.5 - level / 2.0
    t = critical(0.5 + level / 2.0, units - 1.0)
    return float(ndtr(-t * np.sqrt(units / (units - 1.0))))


def _blocks(
    rows: int, group: NDArray[np.int64] | None, random: np.random.Generator
) -> tuple[NDArray[np.int64] | None, int]:
    """The block of each row, and how many there are; None where every row is one."""
    units = rows if group is None else int(group.max()) + 1
    if units <= MOST_BLOCKS:
        return group, units
    dealt = random.permutation(units) % MOST_BLOCKS
    return dealt if group is None else dealt[group], MOST_BLOCKS


def _block_sums(
    values: Array, weight: Array, block: NDArray[np.int64] | None, blocks: int
) -> Array:
    """Σ w x of each block, one column for each line of ``values``, and Σ w in the last column."""
    weighted = np.vstack([values * weight, weight])
    if block is None:
        return np.ascontiguousarray(weighted.T)
    return np.stack([np.bincount(block, line, minlength=blocks) for line in weighted], axis=1)


def _counts(random: np.random.Generator, draws: int, units: int) -> Array:
    """How often each unit is drawn, ``(draws, units)``: as many as there are, with replacement."""
    drawn = random.integers(units, size=(draws, units), dtype=np.int64)
    drawn += np.arange(draws)[:, None] * units
    counts = np.bincount(drawn.ravel(), minlength=draws * units)
    return counts.reshape(draws, units).astype(np.float64)
