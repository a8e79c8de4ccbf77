"""An interval for the expected calibration error that holds however well calibrated it is."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from xent._links import Array
from xent.scoring import Calibration
from xent.study._statistics._difference import critical

_DRAWS = 20_000


def ece_interval(
    calibration: Calibration, effective_rows: float, level: float = 0.95
) -> tuple[float, float]:
    """Confidence interval of the expected calibration error (ECE) of the given groups.

    The observed gaps are the true ones plus noise ε_g of standard error s_g, and the observed ECE
    is biased upwards by it. By the triangle inequality the true ECE is at least
    ECE - Σ π_g |ε_g|, and by the signs of the true gaps at most ECE + |Σ ± π_g ε_g|, whose
    standard error is √(Σ π_g² s_g²). So the lower end takes off the (1 + level) / 2 quantile of
    Σ π_g |ε_g| (drawn, with a fixed seed), and the upper end adds a normal quantile. Both bounds
    hold for any true gaps, which makes the interval wide where calibration is good; the ends of
    the groups are taken as fixed.

    Args:
        calibration: ECE and its groups.
        effective_rows: Kish's (Σ w)² / Σ w²; the number of rows without weights.
        level: of the interval.

    >>> groups = np.array([0.2, 0.8]), np.array([0.3, 0.8]), np.array([50.0, 50.0])
    >>> low, high = ece_interval(Calibration("positive class", 0.05, 0.04, *groups), 100.0)
    >>> low, round(high, 4)
    (0.0, 0.1343)
    """
    share = calibration.weight / calibration.weight.sum()
    errors = share * np.sqrt(_variances(calibration) / np.maximum(1.0, effective_rows * share))
    noise = _absolute_normals(len(errors)) @ errors
    low = calibration.error - float(np.quantile(noise, 0.5 + level / 2.0))
    high = calibration.error + critical(0.5 + level / 2.0, np.inf) * float(np.linalg.norm(errors))
    return (max(0.0, low), min(1.0, high))


@lru_cache(maxsize=4)
def _absolute_normals(groups: int) -> Array:
    return np.abs(np.random.default_rng(0).standard_normal((_DRAWS, groups)))


def _variances(calibration: Calibration) -> Array:
    """The larger of the two variances that each group's labels would have: p's, or as observed."""
    p, observed = calibration.probability, calibration.observed
    return np.maximum(p * (1.0 - p), observed * (1.0 - observed))
