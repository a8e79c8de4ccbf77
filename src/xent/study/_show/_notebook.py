"""A comparison in a notebook: the summary, the findings and the curves as HTML."""

from __future__ import annotations

import math

from xent.study._comparison import Comparison
from xent.study._show._curves import draw_curves
from xent.study._verdicts._conditions import conditions

# Names come from the user's data: autoescape is on, and nothing is marked safe but our own SVG.
TEMPLATE = """
<div>
  <p><strong>{{ name }}</strong>: {{ rows }} rows tested, {{ seeds }} seed{{ "s" if seeds > 1 }}</p>
  <table>
    <thead><tr>{% for column in columns %}<th>{{ column }}</th>{% endfor %}</tr></thead>
    <tbody>
    {% for row in table %}
      <tr>{% for value in row %}<td>{{ value }}</td>{% endfor %}</tr>
    {% endfor %}
    </tbody>
  </table>
  <ul>
  {% for sentence in sentences %}
    <li>{{ sentence }}</li>
  {% endfor %}
  </ul>
  <ul>
  {% for finding in findings %}
    <li><strong>{{ finding.level }} {{ finding.code }} {{ finding.name }}</strong>,
      {{ finding.subject }}: {{ finding.message }} {{ finding.cure }}</li>
  {% endfor %}
  </ul>
  {{ curves }}
</div>
"""
COLUMNS = {
    "formulation": "formulation",
    "probabilities": "probabilities",
    "log_loss": "log loss (nats)",
    "log_loss_se": "SE over seeds",
    "brier": "Brier",
    "accuracy": "accuracy",
    "auc": "AUC",
    "ece": "ECE",
    "ece_noise_floor": "ECE noise floor",
    "slope": "slope",
    "fit_seconds": "fit (s)",
}


def render(comparison: Comparison) -> str:
    """The comparison as an HTML fragment, without scripts or external addresses."""
    from jinja2 import Environment
    from markupsafe import Markup

    summary = comparison.summary[list(COLUMNS)]
    table = [[_cell(value) for value in row] for row in summary.itertuples(index=False)]
    svg = draw_curves(comparison)
    rendered = (
        Environment(autoescape=True)
        .from_string(TEMPLATE)
        .render(
            name=comparison.dataset.name,
            rows=f"{len(comparison.dataset.test.target):,}",
            seeds=len(comparison.spec.seeds),
            columns=COLUMNS.values(),
            table=table,
            sentences=_sentences(comparison),
            findings=comparison.findings,
            curves=Markup(svg[svg.index("<svg") :]),
        )
    )
    return str(rendered)


def _sentences(comparison: Comparison) -> list[str]:
    """The verdict of each pair, what it holds under, the margin and the rules."""
    verdicts = [pair.sentence for pair in comparison.pairs]
    margin = [] if comparison.margin is None else [comparison.margin.words]
    said = [*verdicts, *conditions(comparison), *margin, *comparison.rules]
    return said if verdicts else []


def _cell(value: object) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.5f}" if isinstance(value, float) and math.isfinite(value) else ""
