"""Where the time went: a step, its data, the evaluation of curves, the loss itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xent.report._content import Figure, Table
from xent.report._drawing import Drawing, label_ticks, name_column, round_ticks
from xent.report._numbers import ABSENT, seconds, time_unit
from xent.report._run import Json, Run
from xent.report._series import style

if TYPE_CHECKING:
    from markupsafe import Markup

PHASES = {
    "step": "a step",
    "data": "gathering a batch",
    "evaluation": "evaluating curves",
    "loss": "the loss alone",
}
WIDTH, RIGHT, TOP, BOTTOM = 260.0, 16.0, 26.0, 38.0
NAME = 17


def timing(run: Run) -> Figure:
    """Draw median and quartiles of each phase."""
    title = "Time"
    phases = {
        phase: [(run.formulation(name).get("timings") or {}).get(phase) for name in run.names]
        for phase in PHASES
    }
    drawings = [_draw(run, phase, spreads) for phase, spreads in phases.items() if any(spreads)]
    table = _table(run, phases)
    if not drawings:
        return Figure("time", title, reading=["Nothing was timed."], table=table)
    return Figure("time", title, drawings, _reading(run), table, panels="narrow")


def _draw(run: Run, phase: str, spreads: list[Json | None]) -> Markup:
    numbered = enumerate(zip(run.names, spreads, strict=True))
    rows = [(i, name, spread) for i, (name, spread) in numbered if spread]
    row = 20.0
    drawing = Drawing(f"time-{phase}", WIDTH, TOP + row * len(rows) + BOTTOM)
    axes = drawing.axes(name_column(run.names, NAME), TOP, RIGHT, BOTTOM)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.yaxis.grid(visible=False)
    axes.set_yticks(range(len(rows)), [drawing.name(name, NAME) for _, name, _ in rows])
    highest = max(spread["upper"] for _, _, spread in rows)
    scale, unit = time_unit(highest)
    for place, (i, _, spread) in enumerate(rows):
        look = style(i)
        ends = [spread["lower"] * scale, spread["upper"] * scale]
        axes.plot(ends, [place, place], color=look.colour, linewidth=5, alpha=0.35, clip_on=False)
        axes.plot(
            [spread["median"] * scale], [place], look.marker, color=look.colour, markersize=5.5,
            markeredgewidth=0, clip_on=False,
        )  # fmt: skip
    axes.set_xlim(0, highest * scale * 1.04 or 1.0)
    label_ticks(axes.xaxis, round_ticks(0, highest * scale * 1.04 or 1.0, 4))
    axes.set_title(PHASES[phase], fontsize=11.5, loc="left")
    axes.set_xlabel(unit)
    words = "; ".join(f"{name} {seconds(spread['median'])}" for _, name, spread in rows)
    return drawing.svg(f"Time of {PHASES[phase]}, median: {words}")


def _reading(run: Run) -> list[str]:
    device = (run.results.get("environment") or {}).get("device")
    threads = (run.results.get("environment") or {}).get("threads")
    where = "" if device is None else f" On {device}, {threads} thread{'s' * (threads != 1)}."
    return [
        "Marks are medians, bars reach from the lower to the upper quartile of the repeats. A "
        "built-in model trains all its seeds at once, so a step is that of all of them; the loss "
        f"alone is torch’s own, forward and backward, timed apart.{where}"
    ]


def _table(run: Run, phases: dict[str, list[Json | None]]) -> Table:
    rows = []
    for i, name in enumerate(run.names):
        cells = [_spread(phases[phase][i]) for phase in PHASES]
        rows.append([name, *cells, seconds(run.formulation(name).get("fit_seconds"))])
    headings = ("formulation", *PHASES.values(), "fit, all seeds")
    return Table(headings, rows, note="Median (lower to upper quartile).")


def _spread(spread: Json | None) -> str:
    if not spread:
        return ABSENT
    lower, median, upper = (seconds(spread[each]) for each in ("lower", "median", "upper"))
    return f"{median} ({lower} to {upper})"
