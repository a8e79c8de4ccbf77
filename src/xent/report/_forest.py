"""The key figure: paired differences with their intervals, over the band of what is negligible."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from xent.report._content import Figure, Table
from xent.report._drawing import (
    BAND,
    INK,
    LETTER,
    LINE,
    MUTED,
    PLACEHOLDERS,
    Drawing,
    label_ticks,
    round_ticks,
    tick_labels,
)
from xent.report._numbers import fixed, p_value, signed, significant
from xent.report._run import Json, Run
from xent.report._verdicts import look

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

# More pairs than this make a drawing that nobody reads, and more rows than this a table.
MOST, MOST_ROWS = 20, 45
WIDTH, ROW = 360.0, 38.0
TOP, BOTTOM, SIDE = 6.0, 40.0, 10.0
# A difference so many margins wide would leave nothing of the band on a linear scale.
TOO_WIDE = 25.0
# From the top of a row to the ends of the lane that the interval is drawn in.
LANE = (17.0, 35.0)


def forest(run: Run) -> Figure:
    """Draw the difference of each pair with its interval."""
    title = "Paired differences in log loss"
    pairs = [pair for pair in run.pairs if pair.get("difference") is not None]
    if not pairs:
        return Figure("differences", title, reading=[_why_none(run)], table=_table(run.pairs))
    shown = _largest(pairs, MOST)
    symmetric = _too_wide(shown, run.margin)
    drawing = _draw(shown, run.margin, symmetric=symmetric)
    reading = _reading(shown, run, symmetric=symmetric)
    if len(shown) < len(run.pairs):
        reading.append(f"Drawn are the {len(shown)} largest of {len(run.pairs)} differences.")
    return Figure("differences", title, [drawing], reading, _table(run.pairs))


def _largest(pairs: list[Json], most: int) -> list[Json]:
    """The pairs with the largest differences; all of few, in their own order."""
    if len(pairs) <= most:
        return pairs
    return sorted(pairs, key=lambda pair: -abs(pair.get("difference") or 0.0))[:most]


def _draw(pairs: list[Json], margin: float | None, *, symmetric: bool) -> Markup:
    drawing = Drawing("forest", WIDTH, TOP + ROW * len(pairs) + BOTTOM)
    axes = drawing.axes(SIDE, TOP, SIDE, BOTTOM)
    axes.set_ylim(ROW * len(pairs), 0)
    axes.yaxis.set_visible(False)
    for i, pair in enumerate(pairs):
        _draw_pair(axes, drawing, pair, ROW * i)
    _scale(axes, pairs, margin, symmetric=symmetric)
    _draw_lanes(axes, [ROW * i for i in range(len(pairs))], margin)
    axes.set_xlabel("difference, nats (below 0: the first is better)")
    words = "; ".join(f"{signed(pair['difference'])}, {pair['verdict']}" for pair in pairs)
    return drawing.svg(f"Differences in log loss with intervals: {words}")


def _draw_lanes(axes: Axes, tops: list[float], margin: float | None) -> None:
    """Band and grid behind the intervals alone, so that no name stands on them."""
    axes.xaxis.grid(visible=False)
    for top in tops:
        low, high = top + LANE[0], top + LANE[1]
        if margin is not None:
            axes.fill_betweenx([low, high], -margin, margin, color=BAND, linewidth=0, zorder=0.5)
        axes.vlines(axes.get_xticks(), low, high, color=LINE, linewidth=0.7, zorder=0.6)


def _draw_pair(axes: Axes, drawing: Drawing, pair: Json, top: float) -> None:
    verdict = look(pair)
    colour = PLACEHOLDERS[verdict.colour]
    across = axes.get_yaxis_transform()
    words = f"{verdict.sign} {pair['verdict']}"
    widths = _name_widths(pair, len(words))
    first = drawing.name(pair["minuend"], widths[0])
    second = drawing.name(pair["subtrahend"], widths[1])
    axes.text(0, top + 13, f"{first} − {second}", transform=across, color=INK)
    axes.text(1, top + 13, words, transform=across, color=colour, ha="right")
    height = top + 26
    axes.plot([0, 0], [height - 9, height + 9], color=MUTED, linewidth=1)
    for (low, high), width in zip(_intervals(pair), (1.4, 4.0), strict=False):
        axes.plot([low, high], [height, height], color=colour, linewidth=width, clip_on=False)
    axes.plot([pair["difference"]], [height], "D", color=colour, markersize=6.5, clip_on=False)


def _name_widths(pair: Json, verdict: int) -> tuple[int, int]:
    """How many letters of both names fit beside a verdict of so many.

    >>> _name_widths({"minuend": "bce", "subtrahend": "m" * 40}, 14)
    (17, 31)
    """
    room = int((WIDTH - 2 * SIDE) / LETTER) - verdict - len(" − ") - 2
    half = room // 2
    first, second = len(str(pair["minuend"])), len(str(pair["subtrahend"]))
    return max(half, room - second), max(half, room - first)


def _intervals(pair: Json) -> list[tuple[float, float]]:
    """The interval of the test, and the narrower one that decides equivalence; none without SE."""
    interval = pair.get("interval")
    if not interval or None in interval:
        return []
    found = [(interval[0], interval[1])]
    error, degrees = pair.get("standard_error"), pair.get("degrees")
    if error and pair.get("margin") is not None:
        half = _quantile(pair.get("level") or 0.95, degrees) * error
        found.append((pair["difference"] - half, pair["difference"] + half))
    return found


def _quantile(level: float, degrees: float | None) -> float:
    """Student's t at ``level``: two one-sided tests at 1 - level make an interval of 2 level - 1.

    >>> round(_quantile(0.95, None), 4), round(_quantile(0.95, 9), 4)
    (1.6449, 1.8331)
    """
    from scipy.special import ndtri, stdtrit

    if degrees is None or not math.isfinite(degrees):
        return float(ndtri(level))
    return float(stdtrit(degrees, level))


def _ends(pairs: list[Json]) -> list[float]:
    return [end for pair in pairs for own in _intervals(pair) for end in own] + [
        pair["difference"] for pair in pairs
    ]


def _too_wide(pairs: list[Json], margin: float | None) -> bool:
    return bool(margin) and max(map(abs, _ends(pairs))) > TOO_WIDE * (margin or 0.0)


def _scale(axes: Axes, pairs: list[Json], margin: float | None, *, symmetric: bool) -> None:
    ends = [*_ends(pairs), 0.0]
    if margin:
        ends += [-1.25 * margin, 1.25 * margin]
    low, high = min(ends), max(ends)
    room = 0.04 * (high - low) or 1e-6
    if symmetric and margin:
        axes.set_xscale("symlog", linthresh=margin, linscale=1.0)
        axes.set_xlim(1.6 * low, 1.6 * high)
        powers = range(math.ceil(math.log10(2 * margin)), math.floor(math.log10(high - low)) + 1)
        beyond = [10.0**power for power in powers][-3:]
        ticks = [-margin, 0.0, margin, *beyond, *(-tick for tick in beyond)]
        ticks = sorted(tick for tick in ticks if 1.6 * low <= tick <= 1.6 * high)
        label_ticks(axes.xaxis, ticks, [significant(tick) for tick in ticks])
    else:
        axes.set_xlim(low - room, high + room)
        ticks = round_ticks(low - room, high + room)
        label_ticks(axes.xaxis, ticks, tick_labels(ticks))


def _reading(pairs: list[Json], run: Run, *, symmetric: bool) -> list[str]:
    level = pairs[0].get("level") or 0.95
    sentences = [
        "Each row is one pair, scored on the same rows: the log loss of the first minus "
        f"the second's. The diamond is the mean, the thin line the {level:.0%} interval."
    ]
    holm = ", if p holds by Holm over all pairs" if len(run.pairs) > 1 else ""
    if run.margin is not None:
        sentences.append(
            f"The shaded band is the margin, ±{significant(run.margin)} nats: what is inside does "
            f"not matter. A thick line (the {2 * level - 1:.0%} interval) wholly inside the band "
            f"is equivalence; a thin line that misses 0 is a difference{holm}."
        )
    else:
        sentences.append("There is no margin, so equivalence can't be judged; --margin sets one.")
    if symmetric:
        sentences.append("The scale is linear inside the band and logarithmic beyond it.")
    return sentences


def _table(pairs: list[Json]) -> Table | None:
    if not pairs:
        return None
    # Of one pair Holm's p-value is p itself.
    holm = ("p, Holm",) if len(pairs) > 1 else ()
    headings = (
        "first", "second", "difference", "SE", "degrees of freedom", "low", "high",
        "p, difference", *holm, "p, equivalence", "verdict",
    )  # fmt: skip
    rows = [
        (
            pair["minuend"],
            pair["subtrahend"],
            signed(pair.get("difference")),
            significant(pair.get("standard_error")),
            fixed(pair.get("degrees"), 1).removesuffix(".0"),
            *(signed(end) for end in pair.get("interval") or (None, None)),
            p_value(pair.get("p_difference")),
            *(p_value(pair.get("p_holm")) for _ in holm),
            p_value(pair.get("p_equivalence")),
            pair["verdict"],
        )
        for pair in _largest(pairs, MOST_ROWS)
    ]
    note = "Differences in nats of log loss."
    if len(rows) < len(pairs):
        note += f" The {len(rows)} largest of {len(pairs)}; results.json has all."
    return Table(headings, rows, names=2, note=note, texts=1)


def _why_none(run: Run) -> str:
    if run.pairs:
        return f"No difference is a finite number: a {run.thing} has an infinite log loss."
    return "There is no pair to draw."
