"""Reliability: what was predicted beside what came true, from every row of every trial.

Groups of equal mass are the ones that the expected calibration error is read from. All seeds of a
formulation go into one histogram; they share their test rows, so the band is that of one seed's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xent.report._content import Figure, Table
from xent.report._drawing import BAND, LINE, MUTED, Drawing, label_ticks
from xent.report._numbers import fixed
from xent.report._run import Json, Run
from xent.report._series import style
from xent.scoring import Calibration, Histogram, calibration, reliability_histogram

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

WIDTH, HEIGHT = 250.0, 300.0
LEFT, RIGHT, TOP = 40.0, 12.0, 26.0
BENEATH = 50.0  # pixels that the histogram takes
BARS = 20
TICKS = [0.0, 0.5, 1.0]
# Of more panels than this each has a line without marks.
MOST_MARKED = 12
LEVEL = 0.95
NAME = 28


@dataclass(frozen=True, eq=False)
class Reliability:
    """One formulation's reliability.

    Args:
        name: of the formulation.
        index: its place among the formulations.
        groups: of equal mass: what was predicted and observed.
        low: what perfectly calibrated predictions would show at least, ``(groups,)``.
        high: and at most.
        shares: of the predictions in each of so many bars from 0 to 1; None where only the
            groups are known.
    """

    name: str
    index: int
    groups: Calibration
    low: Array
    high: Array
    shares: Array | None

    @property
    def outside(self) -> int:
        """How many groups lie outside the band."""
        observed, slack = self.groups.observed, 1e-12
        return int(((observed < self.low - slack) | (observed > self.high + slack)).sum())


def reliability(run: Run) -> Figure:
    """Draw a panel for each formulation whose predictions are at hand."""
    title = "Reliability"
    found = [each for i, name in enumerate(run.names) if (each := _measure(run, name, i))]
    if not found:
        why = "The predictions of the test rows are not at hand (trials/KEY.npz in the run folder)."
        return Figure("reliability", title, reading=[why])
    drawings = [_draw(each, marked=len(found) <= MOST_MARKED) for each in found]
    table = _table(found, run.thing)
    return Figure("reliability", title, drawings, _reading(run, found), table, panels="narrow")


def _measure(run: Run, name: str, index: int) -> Reliability | None:
    trials = [usable for trial in run.finished(name) if (usable := _usable(run, trial["key"]))]
    if not trials:
        return _of_groups(name, index, run.formulation(name).get("reliability"))
    pooled: Histogram = reduce(
        add, (reliability_histogram(each.logs, each.target, each.weight) for each in trials)
    )
    effective = _effective_rows(trials)
    of = "positive class" if trials[0].logs.shape[1] == 2 else "top label"
    groups = calibration(pooled, of=of, effective_rows=effective)
    shrink = effective / float(pooled.weight.sum())
    low, high = consistency_band(groups.probability, groups.weight * shrink)
    return Reliability(name, index, groups, low, high, _bars(pooled))


def _of_groups(name: str, index: int, known: Json | None) -> Reliability | None:
    """From the groups alone, whose weights are effective rows."""
    if not known or not known["predicted"]:
        return None
    arrays = (np.asarray(known[key], float) for key in ("predicted", "observed", "weight"))
    predicted, observed, weight = arrays
    error = float(np.average(np.abs(predicted - observed), weights=weight))
    groups = Calibration(known["of"], error, math.nan, predicted, observed, weight)
    return Reliability(name, index, groups, *consistency_band(predicted, weight), None)


@dataclass(frozen=True, eq=False)
class _Predictions:
    logs: Array
    target: NDArray[np.int64]
    weight: Array | None
    row_ids: NDArray[Any]


def _effective_rows(trials: list[_Predictions]) -> float:
    """Rows that several trials have been tested on count once; weighted ones as effective rows."""
    different = {each.row_ids.tobytes(): each.row_ids for each in trials}
    distinct = len(np.unique(np.concatenate(list(different.values()))))
    weight = trials[0].weight
    if weight is None:
        return float(distinct)
    return distinct * float(weight.sum() ** 2 / (weight**2).sum()) / len(weight)


def _usable(run: Run, key: str) -> _Predictions | None:
    """The predictions of a trial, or None where its arrays are not what they should be."""
    arrays = run.arrays(key) or {}
    logs, target = arrays.get("log_probabilities"), arrays.get("target")
    logs = arrays.get("recovered_log_probabilities", logs)
    if logs is None or target is None or logs.ndim != 2 or target.shape != logs.shape[:1]:
        return None
    if not len(target) or logs.shape[1] < 2 or target.dtype.kind not in "iu":
        return None
    logs = np.asarray(logs, dtype=np.float64)
    if np.isnan(logs).any() or target.min() < 0 or target.max() >= logs.shape[1]:
        return None
    row_ids = arrays.get("row_ids", np.arange(len(target)))
    weight = arrays.get("weight")
    if weight is not None:
        weight = np.asarray(weight, dtype=np.float64)
        if weight.shape != target.shape or not weight.sum() > 0.0:
            return None
    return _Predictions(logs, target.astype(np.int64), weight, row_ids)


def consistency_band(probability: Array, rows: Array, level: float = LEVEL) -> tuple[Array, Array]:
    """Where the observed share of a calibrated group lies with at least this probability.

    Quantiles of the binomial share of ``rows`` independent events of one probability. Where the
    probabilities within a group differ the share varies less, so that the band is on the wide side.

    >>> low, high = consistency_band(np.array([0.5]), np.array([100.0]))
    >>> float(low[0]), float(high[0])
    (0.4, 0.6)
    """
    from scipy.special import bdtr, bdtrik

    trials = np.maximum(1.0, np.rint(rows))
    p = np.clip(probability, 0.0, 1.0)
    inside = np.clip(p, 1e-12, 1.0 - 1e-12)
    ends = []
    for tail in ((1.0 - level) / 2.0, (1.0 + level) / 2.0):
        count = np.ceil(np.maximum(bdtrik(tail, trials, inside), 0.0))
        count = np.where(np.isnan(count), 0.0, count)
        # The inverse is continuous: the count below may be large enough already.
        below = np.maximum(count - 1.0, 0.0)
        ends.append(
            np.where(bdtr(below, trials.astype(int), inside) >= tail, below, count) / trials
        )
    low, high = ends
    return np.minimum(low, p), np.maximum(high, p)


def _bars(histogram: Histogram) -> Array:
    bins = np.flatnonzero(histogram.weight)
    weight = histogram.weight[bins]
    place = (histogram.probability_weight[bins] / weight * BARS).astype(np.intp)
    shares = np.bincount(np.clip(place, 0, BARS - 1), weight, BARS)
    return np.asarray(shares / shares.sum())


def _draw(each: Reliability, *, marked: bool) -> Markup:
    bars = each.shares is not None
    drawing = Drawing(f"reliability-{each.index}", WIDTH, HEIGHT if bars else HEIGHT - BENEATH)
    axes = drawing.axes(LEFT, TOP, RIGHT, 38 + BENEATH * bars)
    groups, look = each.groups, style(each.index)
    axes.plot([0, 1], [0, 1], color=LINE, linewidth=1.2)
    axes.fill_between(groups.probability, each.low, each.high, color=BAND, linewidth=0)
    axes.plot(
        groups.probability, groups.observed, color=look.colour, linewidth=1.3, clip_on=False,
        marker=look.marker if marked else "none", markersize=4.2, markeredgewidth=0,
    )  # fmt: skip
    _unit_square(axes)
    axes.set_ylabel("observed share")
    axes.set_title(drawing.name(each.name, NAME), fontsize=11.5, loc="left")
    if each.shares is not None:
        axes.tick_params(labelbottom=False)
        axes = drawing.axes(LEFT, HEIGHT - 80, RIGHT, 38)
        _draw_bars(axes, each.shares)
    axes.set_xlabel("predicted probability")
    outside = f"{each.outside} of {len(groups.observed)} groups outside the band"
    return drawing.svg(f"Reliability of {each.name}: {outside}; ECE {fixed(groups.error)}")


def _unit_square(axes: Axes) -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    for axis in (axes.xaxis, axes.yaxis):
        label_ticks(axis, TICKS)


def _draw_bars(axes: Axes, shares: Array) -> None:
    axes.stairs(shares, np.linspace(0, 1, BARS + 1), fill=True, color=MUTED, alpha=0.55)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, float(shares.max()) * 1.05)
    label_ticks(axes.xaxis, TICKS)
    label_ticks(axes.yaxis, [])


def _reading(run: Run, found: list[Reliability]) -> list[str]:
    of = found[0].groups.of
    sentences = [
        f"Predicted probability of the {of} against how often it came true, in groups of equal "
        "mass over all rows and seeds; the diagonal is perfect. The shaded band is where at least "
        f"{LEVEL:.0%} of groups would be if predictions were calibrated."
        f"{' Beneath: how the predictions are spread.' * any(e.shares is not None for e in found)}",
    ]
    off = [each for each in found if each.outside > max(1, 0.15 * len(each.groups.observed))]
    if off:
        listed = ", ".join(f"{e.name} {e.outside} of {len(e.groups.observed)}" for e in off[:8])
        more = f" and {len(off) - 8} {run.thing}s more" if len(off) > 8 else ""
        sentences.append(f"Groups outside the band, more than chance puts there: {listed}{more}.")
    else:
        sentences.append(f"No {run.thing} has more groups outside the band than chance puts there.")
    if any(run.recovered(each.name) for each in found):
        sentences.append("Where a loss distorts probabilities these are the recovered ones.")
    missing = len(run.names) - len(found)
    if missing:
        sentences.append(f"{missing} of {len(run.names)} {run.thing}s have no predictions to show.")
    return sentences


def _table(found: list[Reliability], thing: str) -> Table:
    headings = (
        thing, "predicted", "observed", "band from", "band to", "share of rows",
    )  # fmt: skip
    rows = []
    for each in found:
        groups = each.groups
        total = groups.weight.sum()
        columns = (groups.probability, groups.observed, each.low, each.high, groups.weight / total)
        rows += [
            (each.name, *(fixed(float(v), 4) for v in row)) for row in zip(*columns, strict=True)
        ]
    return Table(headings, rows, grouped=True)
