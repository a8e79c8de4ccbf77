"""Learning curves: the median over seeds and the band between the quartiles."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xent.report._content import Figure, Table
from xent.report._drawing import Drawing, label_ticks, round_ticks, tick_labels
from xent.report._numbers import fixed
from xent.report._run import Run
from xent.report._series import legend, style

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

Array = NDArray[np.floating[Any]]

MOST_POINTS = 32
# More bands than this hide each other; only medians are drawn then.
MOST_BANDS = 8
# Cells of the table behind the figure; epochs are thinned out to keep to it.
MOST_CELLS = 600
WIDTH, HEIGHT = 350.0, 230.0
# From this many epochs on, and from this factor between losses on, scales are logarithmic.
MANY_EPOCHS, LARGE_FACTOR = 20, 30.0


@dataclass(frozen=True)
class Band:
    """One formulation's curve: lower quartile, median and upper quartile at each epoch."""

    name: str
    index: int
    epochs: NDArray[Any]
    quartiles: Array


def curves(run: Run) -> Figure:
    """Draw the objective over epochs on training rows and on the rows that curves follow."""
    title = "Learning curves"
    followed = "validation" if (run.data.get("rows") or {}).get("validation") else "test"
    panels = [("train_curve", "training rows, before each epoch’s steps")]
    if not run.converged:
        panels.append(("validation_curve", f"{followed} rows, after each epoch"))
    bands = {key: _bands(run, key) for key, _ in panels}
    bands = {key: own for key, own in bands.items() if own}
    if not bands:
        return Figure("curves", title, reading=["No trial has a learning curve."])
    limits = _limits([band for own in bands.values() for band in own])
    step = "Newton evaluation" if run.converged else "epoch"
    drawings = [
        _draw(key, heading, bands[key], limits, step) for key, heading in panels if key in bands
    ]
    names = [
        name for name in run.names if any(name == b.name for own in bands.values() for b in own)
    ]
    keys = [key for key in legend(run.names) if key.name in names]
    return Figure(
        "curves", title, drawings, _reading(run), _table(bands, step), keys, panels="broad"
    )  # fmt: skip


def _bands(run: Run, key: str) -> list[Band]:
    found = []
    for i, name in enumerate(run.names):
        own = [trial.get(key) or [] for trial in run.finished(name) or run.trials(name)]
        longest = max(map(len, own), default=0)
        values = np.full((len(own), longest), np.nan)
        for row, curve in zip(values, own, strict=True):
            row[: len(curve)] = [np.nan if value is None else value for value in curve]
        epochs = np.flatnonzero(np.isfinite(values).any(axis=0))
        epochs = epochs[_spread(len(epochs), MOST_POINTS)]
        if not epochs.size:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            quartiles: Array = np.nanquantile(values[:, epochs], [0.25, 0.5, 0.75], axis=0)
        found.append(Band(name, i, epochs + 1.0, quartiles))
    return found


def _spread(count: int, most: int) -> NDArray[np.intp]:
    """At most so many positions of a curve, evenly in its logarithm, the first and last too."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.rint(np.geomspace(1, count, most)).astype(np.intp)) - 1


def _limits(bands: list[Band]) -> tuple[float, float, bool]:
    low = min(float(band.quartiles.min()) for band in bands)
    high = max(float(band.quartiles.max()) for band in bands)
    logarithmic = low > 0 and high > LARGE_FACTOR * low
    if logarithmic:
        return low / 1.3, high * 1.3, True
    room = max(0.05 * (high - low), 1e-7 * max(abs(low), 1.0))
    return low - room, high + room, False


def _draw(
    key: str, heading: str, bands: list[Band], limits: tuple[float, float, bool], step: str
) -> Markup:
    drawing = Drawing(key.replace("_", "-"), WIDTH, HEIGHT)
    axes = drawing.axes(52, 24, 10, 38)
    for band in bands:
        look = style(band.index)
        lower, median, upper = band.quartiles
        if len(bands) <= MOST_BANDS and (upper > lower).any():
            axes.fill_between(band.epochs, lower, upper, color=look.colour, alpha=0.18, linewidth=0)
        marker = look.marker if len(median) == 1 else "none"
        axes.plot(
            band.epochs, median, color=look.colour, linestyle=look.line, linewidth=1.7,
            marker=marker,
        )  # fmt: skip
    _scale(axes, bands, limits)
    axes.set_title(heading, fontsize=11.5, loc="left")
    axes.set_xlabel(step)
    axes.set_ylabel("objective, nats")
    words = "; ".join(
        f"{band.name} ends at {fixed(float(band.quartiles[1, -1]))}" for band in bands
    )
    return drawing.svg(f"Objective over {step}s on {heading}: {words}")


def _scale(axes: Axes, bands: list[Band], limits: tuple[float, float, bool]) -> None:
    low, high, logarithmic = limits
    last = max(band.epochs[-1] for band in bands)
    if last >= MANY_EPOCHS:
        axes.set_xscale("log")
        axes.set_xlim(1, last)
        label_ticks(axes.xaxis, _decades(1.0, float(last)))
    else:
        axes.set_xlim(0.8, last + 0.2)
        label_ticks(axes.xaxis, [tick for tick in round_ticks(1, last) if tick == round(tick)])
    if logarithmic:
        axes.set_yscale("log")
    axes.set_ylim(low, high)
    ticks = _decades(low, high) if logarithmic else round_ticks(low, high)
    label_ticks(axes.yaxis, ticks, [f"{t:g}" for t in ticks] if logarithmic else tick_labels(ticks))


def _decades(low: float, high: float) -> list[float]:
    """Ticks of a logarithmic scale: 1, 2 and 5 of every decade, or whole decades of many.

    >>> _decades(1, 50)
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0]
    """
    exponents = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    digits = (1, 2, 5) if len(exponents) <= 3 else (1,)
    ticks = [float(f"{digit}e{exponent}") for exponent in exponents for digit in digits]
    ticks = [tick for tick in ticks if low <= tick <= high]
    return ticks[:: -(-len(ticks) // 7)] if len(ticks) > 7 else ticks


def _reading(run: Run) -> list[str]:
    several = any(len(run.trials(name)) > 1 for name in run.names)
    lines = "One seed: a line each, no band."
    if several and len(run.names) <= MOST_BANDS:
        lines = "Lines are medians over seeds, bands reach from the lower to the upper quartile."
    elif several:
        lines = "Lines are medians over seeds; the table has the quartiles."
    sentences = [
        lines,
        "Each formulation is drawn by its own objective, so levels compare only between "
        "formulations that minimise the same function; what the test part says is in the scores.",
    ]
    diverged = [name for name in run.names if run.formulation(name).get("status") == "diverged"]
    if diverged:
        sentences.append(f"Diverged, drawn while finite: {', '.join(diverged[:6])}.")
    return sentences


def _table(bands: dict[str, list[Band]], step: str) -> Table:
    parts = {"train_curve": "training", "validation_curve": "followed"}
    count = sum(map(len, bands.values()))
    most = max(4, MOST_CELLS // (4 * count))
    rows: list[tuple[str, ...]] = []
    thinned = False
    for key, own in bands.items():
        for band in own:
            chosen = _spread(len(band.epochs), most)
            thinned |= len(chosen) < band.epochs[-1]
            rows += [
                (
                    band.name,
                    parts[key],
                    f"{band.epochs[at]:.0f}",
                    *(fixed(float(value), 5) for value in band.quartiles[:, at]),
                )
                for at in chosen
            ]
    headings = ("formulation", "rows", step, "lower quartile", "median", "upper quartile")
    note = f"Not every {step}; results.json has all of them." if thinned else ""
    return Table(headings, rows, names=2, note=note, grouped=True)
