"""The curve of the loss with the samples on it, as an SVG of a few kilobytes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape

import numpy as np
from numpy.typing import NDArray

from xent.walkthrough._computed_elements import elements
from xent.walkthrough._computed_rows import rows
from xent.walkthrough._given import Given
from xent.walkthrough._naive import plain_losses
from xent.walkthrough._numbers import Array
from xent.walkthrough._steps_shared import without_options

WIDTH, HEIGHT = 640.0, 340.0
LEFT, RIGHT, TOP, BOTTOM = 70.0, 16.0, 30.0, 52.0
# Points beyond these are thinned out, and beyond the second number carry no names.
MOST_POINTS, MOST_NAMED = 400, 12
STEPS = 160
FARTHEST = 1e100


@dataclass(frozen=True)
class Point:
    """One sample: where it lies, how it is called, and which of the curves it belongs to."""

    x: float
    loss: float
    name: str
    of: int


@dataclass(frozen=True)
class LossCurve:
    """What is drawn.

    Args:
        axis: what is measured from left to right.
        curves: the name of each curve with its sign: the loss is ``log(1 + exp(sign x))``.
        points: the samples.
        left_out: how many samples are not drawn, being infinite or too many.
    """

    axis: str
    curves: tuple[tuple[str, float], ...]
    points: tuple[Point, ...]
    left_out: int

    def svg(self) -> str:
        """The drawing; its colours are the variables of the page."""
        return _svg(self)


def curve_of_elements(given: Given, losses: Array) -> LossCurve:
    """Two curves, one for each label; a target between them lies between them."""
    of = elements(given)
    plain = plain_losses(without_options(given))
    curves = (("target 1: -log p", -1.0), ("target 0: -log(1 - p)", 1.0))
    belongs = np.where(of.t > 0.5, 0, 1)
    return _curve("logit z", curves, of.z, plain, belongs, of.counted, of.names)


def curve_of_rows(given: Given, losses: Array) -> LossCurve:
    """One curve: the loss of a row falls with the log-odds of its class against all others."""
    of = rows(given)
    seen = without_options(given)
    plain = plain_losses(replace(seen, values=of.x) if given.kind == "logits" else seen)
    with np.errstate(all="ignore"):
        others = np.where(of.is_target, -np.inf, of.log_p)
        largest = others.max(axis=1, keepdims=True)
        rest = largest[:, 0] + np.log(np.exp(others - largest).sum(axis=1))
        own = np.sum(np.where(of.is_target, of.log_p, 0.0), axis=1)
        odds = own - rest
    axis = "log-odds of the right class against all others"
    if given.soft:
        axis = "log-odds of the likeliest target class against all others"
    belongs = np.zeros(len(odds), dtype=np.int64)
    return _curve(
        axis, (("-log p of the class", -1.0),), odds, plain, belongs, of.counted, of.names
    )


def _curve(
    axis: str,
    curves: tuple[tuple[str, float], ...],
    x: Array,
    losses: Array,
    belongs: NDArray[np.int64],
    counted: NDArray[np.bool_],
    names: list[str],
) -> LossCurve:
    drawable = np.flatnonzero(counted & (np.abs(x) < FARTHEST) & (losses < FARTHEST))
    stride = max(1, math.ceil(len(drawable) / MOST_POINTS))
    chosen = drawable[::stride]
    points = tuple(Point(float(x[i]), float(losses[i]), names[i], int(belongs[i])) for i in chosen)
    return LossCurve(axis, curves, points, int(np.count_nonzero(counted)) - len(points))


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _svg(curve: LossCurve) -> str:
    low = min([-4.0, *(point.x for point in curve.points)])
    high = max([4.0, *(point.x for point in curve.points)])
    pad = 0.05 * (high - low)
    low, high = low - pad, high + pad
    top = 1.12 * max([_softplus(4.0), *(point.loss for point in curve.points)])

    def across(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (x - low) / (high - low)

    def up(loss: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * min(loss, top) / top

    body = [*_axes(curve.axis, (low, high), top, across, up)]
    xs = [low + (high - low) * step / STEPS for step in range(STEPS + 1)]
    for number, (name, sign) in enumerate(curve.curves):
        # Where a curve leaves the picture it ends, rather than run along its edge.
        seen = [(x, _softplus(sign * x)) for x in xs if _softplus(sign * x) <= top]
        line = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in seen)
        body.append(f'<polyline class="curve of-{number}" points="{line}"/>')
        place = LEFT + 8 + 250 * number
        body.append(f'<line class="curve of-{number}" x1="{place:.0f}" x2="{place + 22:.0f}" '
                    f'y1="14" y2="14"/>')  # fmt: skip
        body.append(f'<text x="{place + 28:.0f}" y="18">{escape(name)}</text>')
    named = len(curve.points) <= MOST_NAMED
    for point in curve.points:
        body += _dot(point, across(point.x), up(point.loss), named=named)
    text = f"Loss curve with {len(curve.points)} samples"
    return (
        f'<svg class="loss-curve" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" '
        f'aria-label="{text}">' + "".join(body) + "</svg>"
    )


def _dot(point: Point, x: float, y: float, *, named: bool) -> list[str]:
    title = f"{escape(point.name)}: {point.x:.5g}, loss {point.loss:.5g}"
    dot = f'<circle class="of-{point.of}" cx="{x:.1f}" cy="{y:.1f}" r="4.5">'
    drawn = [f"{dot}<title>{title}</title></circle>"]
    if named:
        drawn.append(f'<text class="name" x="{x + 7:.1f}" y="{y - 6:.1f}">'
                     f"{escape(point.name)}</text>")  # fmt: skip
    return drawn


def _axes(
    axis: str,
    ends: tuple[float, float],
    top: float,
    across: Callable[[float], float],
    up: Callable[[float], float],
) -> list[str]:
    """Grid, ticks and titles."""
    drawn = []
    for tick in ticks(*ends):
        x = across(tick)
        drawn.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP:.0f}" '
                     f'y2="{HEIGHT - BOTTOM:.0f}"/>')  # fmt: skip
        drawn.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 18:.0f}" '
                     f'text-anchor="middle">{tick:g}</text>')  # fmt: skip
    for tick in ticks(0.0, top):
        y = up(tick)
        drawn.append(f'<line class="grid" x1="{LEFT:.0f}" x2="{WIDTH - RIGHT:.0f}" y1="{y:.1f}" '
                     f'y2="{y:.1f}"/>')  # fmt: skip
        drawn.append(f'<text class="tick" x="{LEFT - 6:.0f}" y="{y + 4:.1f}" '
                     f'text-anchor="end">{tick:g}</text>')  # fmt: skip
    middle = (LEFT + WIDTH - RIGHT) / 2
    drawn.append(f'<text x="{middle:.0f}" y="{HEIGHT - 8:.0f}" text-anchor="middle">'
                 f"{escape(axis)}</text>")  # fmt: skip
    centre = (TOP + HEIGHT - BOTTOM) / 2
    drawn.append(f'<text x="18" y="{centre:.0f}" text-anchor="middle" '
                 f'transform="rotate(-90 18 {centre:.0f})">loss, nats</text>')  # fmt: skip
    return drawn


def ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round numbers between two ends.

    >>> ticks(-4.4, 4.4), ticks(0.0, 0.02)
    ([-4.0, -2.0, 0.0, 2.0, 4.0], [0.0, 0.005, 0.01, 0.015, 0.02])
    """
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1.0, 2.0, 5.0, 10.0) if power * factor >= raw)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(place * step, 12) for place in range(first, last + 1)]
