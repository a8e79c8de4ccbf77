"""An explanation as HTML: a page by itself, or a part of a notebook. No script, nothing fetched."""

from __future__ import annotations

import re
from html import escape
from itertools import chain

from xent._text import printable
from xent.walkthrough._explanation import Explanation, Step
from xent.walkthrough._render_terminal import formula_lines, headline
from xent.walkthrough._tables import MARK, Grid, grid

MOST_COLUMNS = 10
STYLE = """
.xent-explain { --ink: #1b1f24; --muted: #59636e; --line: #d5dae0; --card: #f6f7f9;
  --bad: #b3261e; --shade: rgba(0, 0, 0, .28); --page: #fff;
  --series-0: #0b62a8; --series-1: #c2410c;
  color: var(--ink); background: var(--page); max-width: 54rem; overflow-wrap: anywhere;
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans",
  "Helvetica Neue", Arial, sans-serif; }
@media (prefers-color-scheme: dark) { .xent-explain { --ink: #e8eaed; --muted: #a3acb6;
  --line: #3b434c; --card: #1d2126; --bad: #ff8b82; --shade: rgba(255, 255, 255, .35);
  --series-0: #6cb6ff; --series-1: #ff9d66; --page: #14171b; } }
.xent-explain h1 { margin: 0 0 .2rem; font-size: 1.5rem; line-height: 1.25; }
.xent-explain h2 { margin: 2rem 0 .4rem; font-size: 1.1rem; }
.xent-explain p { margin: 0 0 .5rem; max-width: 44rem; }
.xent-explain .result { font-size: 1.15rem; font-weight: 650; }
.xent-explain .given, .xent-explain .note, .xent-explain figcaption { color: var(--muted);
  font-size: .875rem; }
.xent-explain .formula { margin: 0 0 .6rem; padding: .5rem .8rem; background: var(--card);
  color: inherit; border-left: 3px solid var(--series-0); white-space: pre-wrap;
  font: .9rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
.xent-explain .scroll { overflow-x: auto; margin: .4rem 0; background:
  linear-gradient(to right, var(--page) 40%, transparent) left / 2rem 100% no-repeat local,
  linear-gradient(to left, var(--page) 40%, transparent) right / 2rem 100% no-repeat local,
  linear-gradient(to right, var(--shade), transparent) left / .7rem 100% no-repeat scroll,
  linear-gradient(to left, var(--shade), transparent) right / .7rem 100% no-repeat scroll; }
.xent-explain code { font: .9em ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono",
  monospace; color: inherit; background: var(--card); }
.xent-explain table { border-collapse: collapse; font-size: .875rem; border: 0; margin: 0;
  font-variant-numeric: tabular-nums; }
.xent-explain th, .xent-explain td { padding: .25rem .7rem; text-align: right; border: 0;
  white-space: nowrap; border-bottom: 1px solid var(--line); background: none; }
.xent-explain th { color: var(--muted); font-weight: 500; }
.xent-explain td { color: var(--ink); }
.xent-explain tr > :first-child { text-align: left; padding-left: 0; }
.xent-explain td.marked { font-weight: 700; }
.xent-explain td.warned { color: var(--bad); font-weight: 650; }
.xent-explain figure { margin: 1.2rem 0; }
.xent-explain .loss-curve { display: block; width: 100%; max-width: 42rem; height: auto; }
.xent-explain .loss-curve text { fill: var(--ink); font-size: 12px; font-family: inherit; }
.xent-explain .loss-curve .tick { fill: var(--muted); font-size: 11px; }
.xent-explain .loss-curve .name { font-size: 11px; paint-order: stroke; stroke: var(--page);
  stroke-width: 3px; }
@media (max-width: 40rem) { .xent-explain .loss-curve text, .xent-explain .loss-curve .tick,
  .xent-explain .loss-curve .name { font-size: 19px; } }
.xent-explain .loss-curve .grid { stroke: var(--line); stroke-width: 1; }
.xent-explain .loss-curve .curve { fill: none; stroke-width: 2; }
.xent-explain .loss-curve .of-0 { stroke: var(--series-0); }
.xent-explain .loss-curve .of-1 { stroke: var(--series-1); stroke-dasharray: 6 3; }
.xent-explain .loss-curve circle { fill-opacity: .85; stroke: var(--page); stroke-dasharray: none; }
.xent-explain .loss-curve circle.of-0 { fill: var(--series-0); stroke: var(--page); }
.xent-explain .loss-curve circle.of-1 { fill: var(--series-1); stroke: var(--page);
  stroke-dasharray: none; }
""".strip()
PAGE_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0; background: #fff; }
@media (prefers-color-scheme: dark) { body { background: #14171b; } }
body > .xent-explain { margin: 0 auto; padding: 1.5rem clamp(1rem, 4vw, 2.5rem) 4rem; }
""".strip()


def page(explanation: Explanation) -> str:
    """A whole page."""
    title = escape(f"{explanation.loss}: {headline(explanation)}")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{PAGE_STYLE}\n</style>\n</head>\n<body>\n"
        f"{fragment(explanation)}\n</body>\n</html>\n"
    )


def fragment(explanation: Explanation) -> str:
    """What a notebook shows: its style touches nothing around it."""
    parts = [
        f"<style>\n{STYLE}\n</style>",
        f"<h1>{escape(explanation.loss)}</h1>",
        f'<p class="result">{escape(headline(explanation))}</p>',
        f"<p>{escape(explanation.summary)}</p>",
        f'<p class="given">{escape(printable(explanation.given))}</p>',
        _figure(explanation),
        *chain.from_iterable(
            _step(number, step) for number, step in enumerate(explanation.steps, 1)
        ),
    ]
    return '<div class="xent-explain">\n' + "\n".join(part for part in parts if part) + "\n</div>"


def _figure(explanation: Explanation) -> str:
    curve = explanation.curve
    if curve is None or not curve.points:
        return ""
    caption = "The loss before weights and smoothing, each sample on its curve."
    if curve.left_out:
        caption += f" {curve.left_out:,} samples are not drawn."
    return f"<figure>{curve.svg()}<figcaption>{caption}</figcaption></figure>"


def _step(number: int, step: Step) -> list[str]:
    lines = [f"<h2>{number}. {escape(step.title)}</h2>"]
    if step.formula:
        formula = "\n".join(formula_lines(step.formula))
        lines.append(f'<pre class="formula">{escape(formula)}</pre>')
    lines.append(f"<p>{_with_code(step.sentence)}</p>")
    for table in step.tables:
        shown = grid(table, MOST_COLUMNS)
        lines.append(_table(shown))
        lines += [f'<p class="note">{escape(note)}</p>' for note in shown.notes]
    return lines


def _with_code(sentence: str) -> str:
    """Between backticks stands what is to be typed."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(sentence))


def _table(shown: Grid) -> str:
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in shown.header)
    lines = "".join(f"<tr>{''.join(map(_cell, line))}</tr>\n" for line in shown.lines)
    return (
        f'<div class="scroll" tabindex="0"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{lines}</tbody>\n</table></div>"
    )


def _cell(cell: str) -> str:
    text = cell.strip()
    kind = ""
    if text.endswith(MARK):
        kind = ' class="marked"'
    elif text in ("inf", "-inf", "nan", "no"):
        kind = ' class="warned"'
    return f"<td{kind}>{escape(text)}</td>"
