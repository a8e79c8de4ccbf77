"""A comparison of predictions on the terminal and in a notebook."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from xent.study._predictions._compare import PredictionComparison
from xent.study._verdicts._intervals import MetricInterval
from xent.study._verdicts._pair_sentences import percent

if TYPE_CHECKING:
    from rich.console import Console

HEADINGS = {
    "log_loss": "log loss",
    "brier": "Brier",
    "accuracy": "accuracy",
    "auc": "AUC",
    "ece": "ECE",
    "slope": "slope",
}
# Columns that fit beside each other and beside a name.
HEADED_FIRST, HEADED_LAST = slice(0, 4), slice(4, None)
# Names come from the user: autoescape is on.
TEMPLATE = """
<div>
  <p><strong>{{ rows }} rows</strong>, {{ classes }} classes</p>
  <table>
    <thead><tr><th>predictions</th>
      {% for heading in headings %}<th>{{ heading }}</th>{% endfor %}</tr></thead>
    <tbody>
    {% for name, cells in table %}
      <tr><td>{{ name }}</td>{% for cell in cells %}<td>{{ cell }}</td>{% endfor %}</tr>
    {% endfor %}
    </tbody>
  </table>
  <table>
    <thead><tr><th>pair</th><th>difference (nats)</th><th>interval</th><th>p</th><th>p (Holm)</th>
      <th>p (TOST)</th><th>verdict</th></tr></thead>
    <tbody>
    {% for pair in pairs %}
      <tr>{% for cell in pair %}<td>{{ cell }}</td>{% endfor %}</tr>
    {% endfor %}
    </tbody>
  </table>
  <ul>{% for sentence in reading %}<li>{{ sentence }}</li>{% endfor %}</ul>
  <ul>
  {% for finding in findings %}
    <li><strong>{{ finding.level }} {{ finding.code }} {{ finding.name }}</strong>,
      {{ finding.subject }}: {{ finding.message }} {{ finding.cure }}</li>
  {% endfor %}
  </ul>
</div>
"""


def show_predictions(comparison: PredictionComparison, console: Console | None = None) -> None:
    """Print scores with their intervals, verdicts and findings."""
    from rich.console import Console as RichConsole
    from rich.markup import escape

    from xent._text import printable
    from xent.study._data._columns import counted
    from xent.study._show._checks import show_checks
    from xent.study._show._pairs import show_pairs
    from xent.study._show._terminal import NAME_WIDTH, new_table, show_findings

    console = RichConsole(highlight=False) if console is None else console
    rows, classes = counted(comparison.rows, "row"), len(comparison.class_names)
    clusters = ""
    if comparison.clusters is not None:
        clusters = f" in {counted(comparison.clusters, 'cluster')}"
    console.print(f"{rows}{clusters}, {classes} classes{', weighted' * comparison.weighted}")
    # Two tables, so that neither names nor intervals are cut at 80 columns.
    for some in (HEADED_FIRST, HEADED_LAST):
        table = new_table()
        table.add_column("", overflow="fold", min_width=NAME_WIDTH)
        for heading in list(HEADINGS.values())[some]:
            table.add_column(heading, justify="right", no_wrap=True)
        for name, intervals in comparison.intervals.items():
            table.add_row(escape(printable(name)), *map(cell, intervals[some]))
        # One blank line between the two, not that of either edge.
        table.show_edge = False
        console.print()
        console.print(table)
    console.print()
    console.print(f"Log loss in nats; below each score its {percent(comparison.level)} % interval.")
    console.print()
    show_pairs(comparison.pairs, comparison.reading[len(comparison.pairs) :], console)
    show_checks(comparison.pairs, console)
    show_findings(comparison.findings, console)


def cell(interval: MetricInterval) -> str:
    """A score, and its interval on a second line."""
    value = _number(interval.value)
    if interval.low is None or interval.high is None:
        return value
    between = "-" if interval.low >= 0.0 else " to "
    return f"{value}\n{interval.low:.3f}{between}{interval.high:.3f}"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.5f}" if math.isfinite(value) else "infinite"


def render_predictions(comparison: PredictionComparison) -> str:
    """The comparison as an HTML fragment, without scripts or external addresses."""
    from jinja2 import Environment

    pairs = [
        (
            pair.name,
            _signed(pair.difference),
            f"{_signed(pair.interval[0])} to {_signed(pair.interval[1])}",
            _p(pair.p_difference),
            _p(pair.p_holm),
            _p(pair.p_equivalence),
            pair.verdict,
        )
        for pair in comparison.pairs
    ]
    return (
        Environment(autoescape=True)
        .from_string(TEMPLATE)
        .render(
            rows=f"{comparison.rows:,}",
            classes=len(comparison.class_names),
            headings=HEADINGS.values(),
            table=[(name, list(map(cell, own))) for name, own in comparison.intervals.items()],
            pairs=pairs,
            reading=comparison.reading,
            findings=comparison.findings,
        )
    )


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.6f}"


def _p(value: float | None) -> str:
    from xent.study._verdicts._pair_sentences import p_text

    return "-" if value is None else p_text(value)
