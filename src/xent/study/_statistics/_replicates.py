"""Questions B and B', "do the training procedures differ": seeds on one split, or many splits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from xent._errors import InputError
from xent.study._statistics._checks import check_groups, check_values, check_weights
from xent.study._statistics._difference import Difference, Source
from xent.study._statistics._rows import row_source, weighted_mean


def crossed(
    differences: ArrayLike, weights: ArrayLike | None = None, groups: ArrayLike | None = None
) -> Difference:
    """Mean difference over seeds and test rows, which are crossed: each seed scores every row.

    Variance of the mean = s²(rows) / n + s²(seeds) / J: s²(rows) is the variance over rows of the
    mean over seeds, s²(seeds) the variance over seeds of the mean over rows. Each holds the
    residual variance once, so that their sum counts it twice: with few seeds the error is a little
    too large rather than too small. Seeds alone would ignore the test sample, rows alone the noise
    of training (Bouthillier et al. 2021). Each source has its own quantile of Student's t, so that
    few seeds, however alike they happen to be, are not trusted more than they can tell.

    Args:
        differences: ``(seeds, rows)``, paired: the same seed, the same row; finite.
        weights: ``(rows,)``; None counts each row once.
        groups: ``(rows,)``; rows that share one share an error.

    Raises:
        InputError: wrong shapes, values that are not finite, weights below 0.

    >>> difference = crossed([[0.1, 0.3, 0.2], [0.2, 0.5, 0.2]])
    >>> round(difference.mean, 4), round(difference.standard_error, 4)
    (0.25, 0.0913)
    """
    values = check_values(differences, "crossed: differences", ("seeds", "rows"))
    seeds, rows = values.shape
    weight = check_weights(weights, rows, "crossed")
    group = check_groups(groups, rows, "crossed")
    by_row = values[0] + (values - values[0]).mean(axis=0)
    mean = weighted_mean(by_row, weight)
    by_seed = values[:, 0] + np.average(values - values[:, :1], axis=1, weights=weight)
    sources = (row_source(by_row - mean, weight, group), _seed_source(by_seed))
    over = f"{sources[0].count:,} {'test rows' if group is None else 'clusters of rows'}"
    design = f"paired t over {over} and {seeds:,} seeds, crossed, {{degrees}}"
    return Difference.of_sources(mean, sources, design)


def _seed_source(means: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Source:
    count = len(means)
    if count < 2:
        return Source("seeds", count, math.inf, 0.0)
    return Source("seeds", count, float(np.var(means - means[0], ddof=1)) / count, count - 1.0)


def resampled(differences: ArrayLike, test_over_train: float) -> Difference:
    """Corrected resampled t over random splits into training and test rows.

    Variance of the mean = (1 / J + n_test / n_train) · s², J - 1 degrees of freedom (Nadeau and
    Bengio 2003). Splits of the same rows overlap; the naive s² / J ignores that and rejects far
    too often. The second term stays however many splits there are.

    Args:
        differences: ``(splits,)``, the mean difference of each split; finite.
        test_over_train: test rows over training rows.

    Raises:
        InputError: wrong shape, values that are not finite, a ratio that is not above 0.

    >>> difference = resampled([0.1, 0.3, 0.2, 0.4], 0.25)
    >>> round(difference.standard_error, 4), difference.degrees
    (0.0913, 3.0)
    """
    values = check_values(differences, "resampled: differences", ("splits",))
    if not 0.0 < test_over_train < math.inf:
        raise InputError(
            "resampled: test_over_train",
            "above 0 and finite",
            f"{test_over_train:g}",
            "Give the number of test rows over the number of training rows.",
        )
    count = len(values)
    mean = weighted_mean(values, np.ones(count))
    if count < 2:
        source = Source("splits", count, math.inf, 0.0)
    else:
        spread = float(np.var(values - values[0], ddof=1))
        lasting = test_over_train * spread
        source = Source("splits", count, spread / count + lasting, count - 1.0, lasting)
    over = f"{count:,} splits, test/train {test_over_train:.3g}"
    design = f"corrected resampled t over {over}, {{degrees}}"
    return Difference.of_sources(mean, (source,), design)


@dataclass(frozen=True)
class FTest:
    """The combined 5x2cv F test.

    Args:
        statistic: F; 0 where nothing differs, infinite where it differs without variation.
        p_value: of the hypothesis that the procedures are equal.
    """

    statistic: float
    p_value: float


def combined_five_by_two(differences: ArrayLike) -> FTest:
    """Combined 5x2cv F test of five random halvings, each used both ways round.

    F = Σ p_ij² / (2 Σ s_i²) on 10 and 5 degrees of freedom, with s_i² the sum of squares of the
    two differences of halving i about their mean (Alpaydın 1999, doi 10.1162/089976699300016007).

    Args:
        differences: ``(5, 2)``, the mean difference on each half; finite.

    Raises:
        InputError: another shape, or values that are not finite.

    >>> test = combined_five_by_two([[0.1, 0.2], [0.2, 0.1], [0.1, 0.1], [0.3, 0.2], [0.2, 0.2]])
    >>> round(test.statistic, 4), round(test.p_value, 4)
    (11.0, 0.0082)
    """
    subject = "combined_five_by_two: differences"
    values = check_values(differences, subject, ("5", "2"))
    if values.shape != (5, 2):
        raise InputError(
            subject, "of shape (5, 2)", f"shape {values.shape}", "Give two halves of five splits."
        )
    squares = float(np.sum(values**2))
    spread = float(np.sum((values[:, 0] - values[:, 1]) ** 2)) / 2.0
    if squares == 0.0:
        return FTest(0.0, 1.0)
    if spread == 0.0:
        return FTest(math.inf, 0.0)
    from scipy.special import fdtrc

    statistic = squares / (2.0 * spread)
    return FTest(statistic, float(fdtrc(10.0, 5.0, statistic)))
