"""A confidence interval for every metric, from the same design as the question asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xent._links import Array
from xent.scoring import Scores
from xent.study._evaluation._row_values import ScoredRows
from xent.study._statistics import Difference, Source, ece_interval, resampled, wilson
from xent.study._verdicts._designs import Design, Measured
from xent.study._verdicts._pairs import FITTED

_BOUNDS = {"log_loss": (0.0, math.inf), "brier": (0.0, 2.0), "accuracy": (0.0, 1.0)}
_BOUNDS |= {"auc": (0.0, 1.0), "ece": (0.0, 1.0), "slope": (-math.inf, math.inf)}
_NORMAL = 1e9


@dataclass(frozen=True)
class MetricInterval:
    """A metric of one formulation and its interval.

    Args:
        metric: ``log_loss``, ``brier``, ``accuracy``, ``auc``, ``ece`` or ``slope``.
        value: the mean over replicates; None where it isn't defined, infinite where a loss is.
        low: lower end, or None where there is no interval.
        high: upper end, or None.
        level: confidence level.
        method: how it was made, in words.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    level: float
    method: str


def metric_intervals(
    measured: Measured, scores: Sequence[Scores | None], level: float
) -> tuple[MetricInterval, ...]:
    """Intervals of one entrant's metrics.

    Args:
        measured: the entrant and its design.
        scores: of each replicate, None where it diverged.
        level: confidence level.
    """
    if all(each is None for each in scores):
        return tuple(MetricInterval(m, None, None, None, level, "none") for m in _BOUNDS)
    found = [_of_rows(measured, metric, level) for metric in ("log_loss", "brier")]
    found += [_of_accuracy(measured, level), _of_rows(measured, "auc", level)]
    found += [_of_ece(scores, measured.design, level), _of_slope(scores, measured.design, level)]
    return tuple(found)


def _of_rows(measured: Measured, metric: str, level: float) -> MetricInterval:
    """The interval of a mean over rows, and over seeds or splits, by the design's own test."""
    values = measured.values(metric)
    there = [each for each in values if each is not None]
    if not there:
        return MetricInterval(metric, None, None, None, level, "none: one class among the rows")
    if not all(np.isfinite(each).all() for each in there):
        return MetricInterval(metric, math.inf, None, None, level, "none: a loss is infinite")
    difference = measured.design.difference(values)
    method = difference.design.removeprefix("paired ")
    if metric == "auc":
        method = f"{method}, of the values behind DeLong's variance"
    return _interval(metric, difference, level, method)


def _interval(metric: str, difference: Difference, level: float, method: str) -> MetricInterval:
    if not math.isfinite(difference.standard_error):
        return MetricInterval(metric, difference.mean, None, None, level, "none: a single unit")
    least, greatest = _BOUNDS[metric]
    low, high = difference.interval(level)
    return MetricInterval(
        metric, difference.mean, max(least, low), min(greatest, high), level, method
    )


def _of_accuracy(measured: Measured, level: float) -> MetricInterval:
    """Wilson's interval for one fitted model; the design's t over clusters, seeds or splits."""
    design = measured.design
    there = [each for each in measured.values("accuracy") if each is not None]
    if design.question != FITTED or len(there) > 1 or design.rows[0].groups is not None:
        return _of_rows(measured, "accuracy", level)
    rows = design.rows[0]
    share = float(np.average(there[0], weights=rows.weight))
    low, high = wilson(share, _effective(rows), level)
    return MetricInterval("accuracy", share, low, high, level, "Wilson")


def _effective(rows: ScoredRows) -> float:
    """Kish's effective number of rows; of clusters, where there are clusters."""
    load = np.ones(len(rows.target)) if rows.weight is None else rows.weight
    if rows.groups is not None:
        load = np.bincount(np.unique(rows.groups, return_inverse=True)[1], load).astype(float)
    return float(load.sum() ** 2 / np.square(load).sum())


def _of_ece(scores: Sequence[Scores | None], design: Design, level: float) -> MetricInterval:
    """Bounds of each replicate, averaged; over seeds widened by the error of their mean."""
    finished = [(j, each) for j, each in enumerate(scores) if each is not None]
    values = np.array([each.ece for _, each in finished])
    if design.splits:
        return _interval(
            "ece", _resampled(finished, values, design), level, "corrected resampled t"
        )
    ends = np.array(
        [
            ece_interval(each.calibration, _effective(design.rows_of(j)), level)
            for j, each in finished
        ]
    ).mean(axis=0)
    mean = float(values.mean())
    seeds = 0.0
    if design.question != FITTED:
        low, high = _over_seeds(values, 0.0).interval(level)
        seeds = (high - low) / 2.0
    if not math.isfinite(seeds):
        return MetricInterval("ece", mean, None, None, level, "none: a single unit")
    low, high = mean - math.hypot(mean - ends[0], seeds), mean + math.hypot(ends[1] - mean, seeds)
    method = "bounds on the noise of the observed gaps, groups as given"
    return MetricInterval("ece", mean, max(0.0, low), min(1.0, high), level, method)


def _of_slope(scores: Sequence[Scores | None], design: Design, level: float) -> MetricInterval:
    finished = [(j, each) for j, each in enumerate(scores) if each is not None]
    fits = [each.recalibration for _, each in finished]
    slopes = [fit.slope for fit in fits if fit.slope is not None]
    errors = [fit.slope_se for fit in fits if fit.slope_se is not None]
    if len(slopes) < len(fits) or len(errors) < len(fits):
        return MetricInterval("slope", None, None, None, level, "none: no estimate")
    values = np.array(slopes)
    if design.splits:
        difference = _resampled(finished, values, design)
        return _interval("slope", difference, level, "corrected resampled t")
    variance = float(np.mean(np.square(errors)))
    if design.question == FITTED:
        source = Source("rows", len(design.rows[0].target), variance, _NORMAL)
        difference = Difference.of_sources(float(values.mean()), (source,), "")
        return _interval("slope", difference, level, "normal, mean standard error over rows")
    difference = _over_seeds(values, variance)
    return _interval("slope", difference, level, "t, variance over rows and over seeds")


def _over_seeds(values: Array, of_rows: float) -> Difference:
    """The mean over seeds, with the variance of seeds and a variance of rows that is known."""
    count = len(values)
    of_seeds = float(np.var(values, ddof=1)) / count if count > 1 else math.inf
    sources = (
        Source("rows", 1, of_rows, _NORMAL),
        Source("seeds", count, of_seeds, max(count - 1.0, 0.0)),
    )
    return Difference.of_sources(float(values.mean()), sources, "")


def _resampled(finished: Sequence[tuple[int, Scores]], values: Array, design: Design) -> Difference:
    return resampled(values, design.test_over_train([j for j, _ in finished]))
