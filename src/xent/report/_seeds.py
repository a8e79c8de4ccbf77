"""Every seed's log loss, joined across formulations: what is paired is seen to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xent.report._content import Figure, Table
from xent.report._drawing import MUTED, Drawing, label_ticks, name_column, round_ticks
from xent.report._numbers import ABSENT, fixed
from xent.report._run import Run, average, best, unit, unit_names
from xent.report._series import style

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

Losses = dict[str, dict[tuple[object, ...], float | None]]

# More lines than this are a smear; they are spread evenly over the seeds.
MOST_LINES = 60
MOST_ROWS = 100
WIDTH, RIGHT, TOP, BOTTOM = 360.0, 14.0, 6.0, 38.0
NAME = 18


def seeds(run: Run) -> Figure:
    """Draw a dot for each trial and a line for each seed."""
    title = "Each seed"
    losses: Losses = {
        name: {unit(trial): (best(trial) or {}).get("log_loss") for trial in run.finished(name)}
        for name in run.names
    }
    units = list(dict.fromkeys(each for own in losses.values() for each in own))
    known = [loss for own in losses.values() for loss in own.values() if loss is not None]
    if not known:
        return Figure("seeds", title, reading=["No trial has a finite log loss to draw."])
    drawn = units[:: -(-len(units) // MOST_LINES)]
    reading = _reading(run, losses, units)
    if len(drawn) < len(units):
        reading.append(f"Drawn are {len(drawn)} of {len(units)} lines, evenly spread.")
    return Figure(
        "seeds", title, [_draw(run, losses, drawn)], reading, _table(run.names, losses, units)
    )


def _draw(run: Run, losses: Losses, units: list[tuple[object, ...]]) -> Markup:
    names = run.names
    row = 26.0 if len(names) <= 10 else 19.0
    drawing = Drawing("seeds", WIDTH, TOP + row * len(names) + BOTTOM)
    axes = drawing.axes(name_column(names, NAME), TOP, RIGHT, BOTTOM)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.yaxis.grid(visible=False)
    heights = list(range(len(names)))
    axes.set_yticks(heights, [drawing.name(name, NAME) for name in names])
    nan = float("nan")
    if len(names) > 1:
        for each in units:
            line = [losses[name].get(each) for name in names]
            values = [nan if value is None else value for value in line]
            axes.plot(values, heights, color=MUTED, linewidth=0.7, alpha=0.45, clip_on=False)
    for i, name in enumerate(names):
        own = [losses[name].get(each) for each in units]
        values = [nan if value is None else value for value in own]
        look = style(i)
        axes.plot(
            values, [i] * len(values), look.marker, color=look.colour, markersize=4.6,
            alpha=0.75, markeredgewidth=0, clip_on=False,
        )  # fmt: skip
    _scale(axes, losses)
    axes.set_xlabel("log loss on the test part, nats")
    return drawing.svg(
        "Log loss of every seed by formulation; "
        + "; ".join(f"{name}: mean {_mean(losses, name)}" for name in names)
    )


def _scale(axes: Axes, losses: Losses) -> None:
    known = [loss for own in losses.values() for loss in own.values() if loss is not None]
    low, high = min(known), max(known)
    # Rounding noise is not to fill the figure.
    room = max(0.05 * (high - low), 1e-7 * max(abs(low), 1.0))
    axes.set_xlim(low - room, high + room)
    label_ticks(axes.xaxis, round_ticks(low - room, high + room, 4))


def _mean(losses: Losses, name: str) -> str:
    return fixed(average([loss for loss in losses[name].values() if loss is not None]))


def _reading(run: Run, losses: Losses, units: list[tuple[object, ...]]) -> list[str]:
    if len(units) == 1:
        sentences = ["One seed: there is no spread over seeds to see."]
    else:
        sentences = [
            "A dot is one trained model; a line joins the models that share seed, split and order "
            "of batches. Parallel lines mean that what differs is the formulation, crossing ones "
            "that it is noise."
        ]
    if any(run.recovered(name) for name in run.names):
        sentences.append("Where a loss distorts probabilities these are the recovered ones.")
    infinite = [name for name, own in losses.items() if None in own.values()]
    if infinite:
        sentences.append(f"Not drawn, for their log loss is infinite: seeds of {_few(infinite)}.")
    without = [name for name, own in losses.items() if not own]
    if without:
        sentences.append(f"No finished trial: {_few(without)}.")
    return sentences


def _few(names: list[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _table(names: list[str], losses: Losses, units: list[tuple[object, ...]]) -> Table:
    rows = [
        (words, *(_cell(losses[name], each) for name in names))
        for words, each in zip(unit_names(units), units[:MOST_ROWS], strict=False)
    ]
    note = "Log loss on the test part, nats."
    if len(units) > MOST_ROWS:
        note += f" The first {MOST_ROWS} of {len(units)}; results.json has all."
    return Table(("seed", *names), rows, note=note)


def _cell(own: dict[tuple[object, ...], float | None], each: tuple[object, ...]) -> str:
    if each not in own:
        return ABSENT
    value = own[each]
    return "infinite" if value is None else fixed(value, 6)
