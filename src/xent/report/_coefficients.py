"""Coefficients in log-odds with their intervals, beside the truth and maximum likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xent.report._content import Figure, Key, Table
from xent.report._drawing import INK, MUTED, Drawing, label_ticks, name_column, round_ticks
from xent.report._numbers import significant
from xent.report._run import Json, Run
from xent.report._series import legend, style

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

MOST = 30
# Formulations that are drawn in one row; more would lie on each other.
MOST_SERIES = 6
WIDTH, RIGHT, TOP, BOTTOM = 360.0, 12.0, 6.0, 40.0
STEP = 5.5  # pixels from one mark of a row to the next
NAME, CLASS = 25, 8  # letters of a name, and of its class where there are several
NORMAL = 1.959963984540054  # quantile 0.975 of the normal distribution
INTERCEPT = "(intercept)"


@dataclass(frozen=True)
class _Kind:
    """Formulations whose coefficients mean the same: log-odds of these classes against that one.

    Args:
        against: the class that all are compared with.
        several: whether they are the log-odds of more than one class.
        names: the formulations.
        rows: for each coefficient, its parameter in each formulation.
        scales: what turns a coefficient into one per standard deviation of its feature.
    """

    against: str
    several: bool
    names: list[str]
    rows: list[list[Json]]
    scales: list[float]


def coefficients(run: Run) -> list[Figure]:
    """Draw one figure for each kind of log-odds that formulations have."""
    title = "Coefficients"
    kinds = _kinds(run)
    if not kinds:
        return [Figure("coefficients", title, reading=[_why_none(run)])]
    figures = []
    for i, kind in enumerate(kinds):
        heading = title if len(kinds) == 1 else f"{title} against {kind.against}"
        key = "coefficients" if i == 0 else f"coefficients-{i + 1}"
        figures.append(_figure(run, kind, key, heading))
    return figures


def _kinds(run: Run) -> list[_Kind]:
    found: dict[tuple[tuple[str, str, str], ...], list[str]] = {}
    for name in run.names:
        parameters = run.formulation(name).get("parameters") or []
        same = tuple((str(p["log_odds"]), str(p["against"]), p["feature"]) for p in parameters)
        if same:
            found.setdefault(same, []).append(name)
    deviations = run.data.get("standard_deviations") or []
    by_feature = dict(zip(run.data.get("features") or [], deviations, strict=False))
    kinds = []
    for same, names in found.items():
        own = [run.formulation(name)["parameters"] for name in names]
        rows = [list(row) for row in zip(*own, strict=True)]
        scales = [by_feature.get(feature) or 1.0 for _, _, feature in same]
        several = len({log_odds for log_odds, _, _ in same}) > 1
        kinds.append(_Kind(same[0][1], several, names, rows, scales))
    return kinds


def _figure(run: Run, kind: _Kind, key: str, title: str) -> Figure:
    chosen = _most_important(kind)
    drawn = kind.names[:MOST_SERIES]
    indices = [run.names.index(name) for name in drawn]
    shown = [i for i in chosen if kind.rows[i][0]["feature"] != INTERCEPT]
    drawings = [_draw(kind, shown, indices, key)] if shown else []
    keys = [each for each in legend(run.names) if each.name in drawn]
    if any(row[0].get("estimate") is not None for row in kind.rows):
        keys.append(Key("maximum likelihood", "var(--ink)", "solid", "◇"))
    if any(row[0].get("truth") is not None for row in kind.rows):
        keys.append(Key("truth", "var(--muted)", "none", "|"))
    return Figure(key, title, drawings, _reading(run, kind, chosen), _table(kind, chosen), keys)


def _most_important(kind: _Kind) -> list[int]:
    """The thirty largest per standard deviation of the feature, and the intercepts that fit in."""

    def size(i: int) -> tuple[bool, float]:
        first = kind.rows[i][0]
        reference = first["estimate"] if first.get("estimate") is not None else first["mean"]
        is_feature = first["feature"] != INTERCEPT
        return is_feature, abs(reference or 0.0) * kind.scales[i]

    ranked = sorted(range(len(kind.rows)), key=size, reverse=True)
    return ranked[:MOST]


def _draw(kind: _Kind, chosen: Sequence[int], indices: Sequence[int], key: str) -> Markup:
    estimated = any(kind.rows[i][0].get("estimate") is not None for i in chosen)
    marks = len(indices) + estimated
    row = max(14.0, 5.5 + STEP * marks)
    first = (row - STEP * (marks - 1)) / 2
    drawing = Drawing(key, WIDTH, TOP + row * len(chosen) + BOTTOM)
    names = [_label(drawing, kind, kind.rows[i][0]) for i in chosen]
    axes = drawing.axes(name_column(_lengths(kind, chosen), NAME), TOP, RIGHT, BOTTOM)
    axes.set_ylim(row * len(chosen), 0)
    axes.yaxis.grid(visible=False)
    axes.axvline(0, color=MUTED, linewidth=1)
    ends = [0.0]
    for place, i in enumerate(chosen):
        ends += _draw_row(axes, kind, i, row * place + first, indices)
    axes.set_yticks([row * place + row / 2 for place in range(len(chosen))], names)
    room = 0.04 * (max(ends) - min(ends)) or 1.0
    axes.set_xlim(min(ends) - room, max(ends) + room)
    label_ticks(axes.xaxis, round_ticks(min(ends) - room, max(ends) + room))
    axes.set_xlabel(f"log-odds per {_per(kind)}")
    return drawing.svg(
        f"{len(chosen)} coefficients of {', '.join(kind.names)} in log-odds against {kind.against}"
    )


def _draw_row(axes: Axes, kind: _Kind, i: int, top: float, indices: Sequence[int]) -> list[float]:
    """Draw the estimate, then each formulation below it; return what has to fit in."""
    scale, row = kind.scales[i], kind.rows[i]
    first, height = row[0], top
    ends: list[float] = []
    if first.get("estimate") is not None:
        ends += _bar(axes, first["estimate"], first.get("estimate_se"), scale, height, INK)
        axes.plot(
            [first["estimate"] * scale], [height], "D", markersize=4.2, markerfacecolor="none",
            markeredgecolor=INK, markeredgewidth=1.1, clip_on=False,
        )  # fmt: skip
        height += STEP
    for parameter, index in zip(row, indices, strict=False):
        if parameter.get("mean") is not None:
            look, error = style(index), parameter.get("standard_error")
            ends += _bar(axes, parameter["mean"], error, scale, height, look.colour)
            axes.plot(
                [parameter["mean"] * scale], [height], look.marker, color=look.colour,
                markersize=4, markeredgewidth=0, clip_on=False,
            )  # fmt: skip
        height += STEP
    if first.get("truth") is not None:
        ends.append(first["truth"] * scale)
        axes.plot([ends[-1]] * 2, [top - 4, height - STEP + 4], color=MUTED, linewidth=1.6)
    return ends


def _bar(
    axes: Axes, value: float, error: float | None, scale: float, height: float, colour: str
) -> list[float]:
    half = NORMAL * (error or 0.0)
    ends = [(value - half) * scale, (value + half) * scale]
    if error:
        axes.plot(ends, [height, height], color=colour, linewidth=1.1)
    return ends


def _label(drawing: Drawing, kind: _Kind, first: Json) -> str:
    """The feature, of several classes after the class, each cut by itself."""
    if not kind.several:
        return drawing.name(first["feature"], NAME)
    letters = _class_letters(kind)
    feature = drawing.name(first["feature"], NAME - letters - 2)
    return f"{drawing.name(first['log_odds'], letters)}: {feature}"


def _class_letters(kind: _Kind) -> int:
    """What the names of the classes take of a label; the features have the rest."""
    return min(CLASS, max(len(str(row[0]["log_odds"])) for row in kind.rows))


def _lengths(kind: _Kind, chosen: Sequence[int]) -> list[str]:
    """Texts as long as the labels are before they are cut."""
    rows = [kind.rows[i][0] for i in chosen]
    if not kind.several:
        return [str(first["feature"]) for first in rows]
    letters = _class_letters(kind)
    return [f"{str(first['log_odds'])[:letters]}: {first['feature']}" for first in rows]


def _per(kind: _Kind) -> str:
    return "standard deviation of the feature" if _scaled(kind) else "unit of the feature"


def _scaled(kind: _Kind) -> bool:
    return any(scale != 1.0 for scale in kind.scales)


def _reading(run: Run, kind: _Kind, chosen: list[int]) -> list[str]:
    first = kind.rows[0][0]
    of = "each class" if kind.several else f"{first['log_odds']}"
    why = ", so that features of different units can stand on one scale" if _scaled(kind) else ""
    sentences = [
        f"Log-odds of {of} against {kind.against}, means over seeds, per {_per(kind)}{why}; the "
        "largest first."
    ]
    if any(_has_error(parameter) for row in kind.rows for parameter in row):
        sentences.append("Bars are 95% intervals.")
    if len(kind.names) > 1:
        sentences.append(
            "Without a penalty, losses that are the same likelihood have their optimum at the same "
            "coefficients: where their marks differ, training has not reached it."
        )
    if len(chosen) < len(kind.rows):
        sentences.append(
            f"Shown are the {len(chosen)} largest of {len(kind.rows)}, drawn without intercepts; "
            "results.json has all."
        )
    if len(kind.names) > MOST_SERIES:
        sentences.append(f"Drawn are the first {MOST_SERIES} of {len(kind.names)} formulations.")
    likelihood = run.results.get("maximum_likelihood") or {}
    if likelihood and not likelihood.get("exists"):
        sentences.append(f"No maximum likelihood estimate: {likelihood.get('message')}")
    message = str(likelihood.get("message") or "")
    notes = {run.formulation(name).get("parameters_note") or "" for name in kind.names} - {""}
    new = [note for note in sorted(notes) if not message or message not in note]
    return sentences + [note[:1].upper() + note[1:].rstrip(".") + "." for note in new]


def _has_error(parameter: Json) -> bool:
    return bool(parameter.get("standard_error") or parameter.get("estimate_se"))


def _table(kind: _Kind, chosen: list[int]) -> Table:
    truth = any(row[0].get("truth") is not None for row in kind.rows)
    names = kind.names[:MOST_SERIES]
    headings = ["log-odds of", "feature", *(["truth"] if truth else []), "MLE"]
    rows = []
    for i in chosen:
        first = kind.rows[i][0]
        row = [str(first["log_odds"]), str(first["feature"])]
        row += [significant(first["truth"], 4)] if truth else []
        row.append(_estimate(first.get("estimate"), first.get("estimate_se")))
        for parameter in kind.rows[i][: len(names)]:
            row.append(_estimate(parameter.get("mean"), parameter.get("standard_error")))
        rows.append(row)
    note = f"Against {kind.against}, per unit of the feature, ± SE of the likelihood."
    return Table([*headings, *names], rows, names=2, note=note)


def _estimate(value: float | None, error: float | None) -> str:
    shown = significant(value, 4)
    return shown if error is None or value is None else f"{shown} ±{significant(error, 2)}"


def _why_none(run: Run) -> str:
    notes = [run.formulation(name).get("parameters_note") or "" for name in run.names]
    note = next(filter(None, notes), "")
    if note:
        return f"There are no coefficients to show: {note}."
    return "There are no coefficients to show: only linear models have log-odds coefficients."
