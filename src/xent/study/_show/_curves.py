"""Learning curves as one SVG: median and quartiles over seeds, every formulation in each panel."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from xent._links import Array
from xent._text import printable
from xent.study._comparison import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette: told apart by every kind of colour vision, and by line style in print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#444444")
STYLES = ("-", "--", ":", "-.")


def draw_curves(comparison: Comparison) -> str:
    """Draw the objective over epochs on training rows and on the rows that curves follow.

    Returns:
        The SVG as text, the same for the same comparison.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: Any = {"svg.hashsalt": "xent", "svg.fonttype": "none", "font.size": 9}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(8, 3.6), layout="constrained")
        FigureCanvasSVG(figure)
        followed = "test" if comparison.dataset.validation is None else "validation"
        panels = [("train_curve", "training rows, before each epoch's steps")]
        if not comparison.spec.training.converge:
            panels.append(("validation_curve", f"{followed} rows, after each epoch"))
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axis, (curve, title) in zip(axes, panels, strict=True):
            _draw_panel(axis, comparison, curve, title)
        axes[0].set_ylabel("objective (nats)")
        _draw_legend(axes[-1], comparison)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Title": "Learning curves"})
    return text.getvalue()


def _draw_panel(axis: Axes, comparison: Comparison, curve: str, title: str) -> None:
    longest = 0
    for i, result in enumerate(comparison.formulations):
        finished = [trial for trial in result.trials if trial.status == "finished"]
        curves: Array = np.stack([getattr(trial, curve) for trial in finished or result.trials])
        epochs = np.arange(1, curves.shape[1] + 1)
        colour, style = COLOURS[i % len(COLOURS)], STYLES[i % len(STYLES)]
        known = np.isfinite(curves).all(axis=0)
        longest = max(longest, int(known.sum()))
        lower, median, upper = np.quantile(curves[:, known], [0.25, 0.5, 0.75], axis=0)
        axis.plot(epochs[known], median, style, color=colour)
        if len(curves) > 1:
            axis.fill_between(epochs[known], lower, upper, color=colour, alpha=0.2, linewidth=0)
    axis.set_title(title, fontsize=9)
    axis.set_xlabel("epoch" if not comparison.spec.training.converge else "Newton evaluation")
    if longest >= 20:
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter("{x:g}")
    axis.spines[["top", "right"]].set_visible(False)


def _draw_legend(axis: Axes, comparison: Comparison) -> None:
    """Name the lines; the names are put in last, as matplotlib leaves out those that begin "_"."""
    results = comparison.formulations
    legend = axis.legend(axis.get_lines(), [str(i) for i in range(len(results))], frameon=False)
    for text, result in zip(legend.get_texts(), results, strict=True):
        # As literal text: matplotlib would read dollars as mathematics.
        text.set_text(printable(result.name).replace("$", r"\$"))
