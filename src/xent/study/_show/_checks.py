"""The same pairs by other tests and metrics, on the terminal: what the verdicts do not rest on."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from xent._text import printable
from xent.study._verdicts._pair_sentences import p_equation
from xent.study._verdicts._pairs import Check, Pair

# Of more pairs than this a table would be longer than the verdicts.
MOST = 6
HEADINGS = {
    "paired bootstrap": "bootstrap",
    "brier": "Brier",
    "accuracy": "accuracy",
    "auc": "AUC",
    "exact McNemar": "McNemar",
}


def show_checks(pairs: Sequence[Pair], console: Console) -> None:
    """Print each check's difference above its interval or p-value; of many pairs, where they are.

    Args:
        pairs: those that were compared.
        console: where to print.
    """
    from xent.study._show._terminal import NAME_WIDTH, new_table

    names = [name for name in HEADINGS if any(_of(pair, name) for pair in pairs)]
    if not names:
        return
    if len(pairs) > MOST:
        listed = ", ".join(HEADINGS[name] for name in names)
        console.print(Text(f"Other tests of each pair ({listed}) are in the report and the JSON."))
        console.print()
        return
    console.print(Text("The same differences by other tests and metrics", style="bold"))
    table = new_table()
    table.add_column("", overflow="fold", min_width=NAME_WIDTH)
    for name in names:
        table.add_column(HEADINGS[name], justify="right", no_wrap=True)
    for pair in pairs:
        if pair.checks:
            name = f"{printable(pair.minuend)}\n- {printable(pair.subtrahend)}"
            table.add_row(escape(name), *(_cell(_of(pair, each)) for each in names))
    console.print(table)
    bootstrap = "Bootstrap: log loss, percentile interval. " if "paired bootstrap" in names else ""
    words = (
        "The verdicts do not rest on these, and their p-values are not adjusted for their number."
    )
    console.print(Text(bootstrap + words))
    console.print()


def _of(pair: Pair, name: str) -> Check | None:
    return next((check for check in pair.checks if check.name == name), None)


def _cell(check: Check | None) -> str:
    """The difference, and below it the interval of the bootstrap or the p-value of the others."""
    if check is None or check.value is None:
        return "-"
    first = f"{check.value:+.3g}" if check.value else "0"
    if check.p_value is not None:
        return f"{first}\n{p_equation(check.p_value)}"
    if check.low is None or check.high is None:
        return first
    return f"{first}\n{check.low:+.2g} to {check.high:+.2g}"
