"""A sweep on the terminal: best learning rates, verdicts at them, and over the data sets."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from xent._text import printable
from xent.study._data._columns import counted
from xent.study._show._pairs import show_pairs
from xent.study._show._terminal import new_table, show_findings
from xent.study._sweeps._sweep import AtBest, Cell, Choice, Sweep


def show_sweep(sweep: Sweep, console: Console) -> None:
    """Print what each data set and model gave, then what they give together."""
    spec = sweep.spec
    grid = ", ".join(
        [
            counted(len(spec.data), "data set"),
            counted(len(spec.models), "model"),
            counted(len(spec.learning_rates), "learning rate"),
        ]
    )
    _say(console, f"{counted(len(sweep.cells), 'study', 'studies')}: {grid}; {sweep.done} trials.")
    if sweep.taken:
        taken = f"{sweep.taken} of {sweep.planned} trials"
        _say(console, f"{taken} were finished in the folder before and are not trained again.")
    if len(spec.learning_rates) > 1:
        _say(
            console,
            "Best learning rates are chosen on the validation rows alone, by the mean log loss "
            "over seeds; scores and verdicts are of the test rows.",
        )
    console.print()
    for each in sweep.best:
        _show_best(each, sweep, console)
    for over in sweep.over_data_sets:
        _say(console, f"Over all data sets, {over.model}", style="bold")
        _say(console, over.sentence)
        ranks = ", ".join(f"{name} {rank:.3g}" for name, rank in over.mean_ranks.items())
        _say(console, f"Mean ranks at the best learning rates (1 the lowest log loss): {ranks}.")
        console.print()


def _show_best(each: AtBest, sweep: Sweep, console: Console) -> None:
    _say(console, f"{each.data}, {each.model}", style="bold")
    console.print(_choices_table(each))
    if each.notes:
        for note in each.notes:
            _say(console, note)
        console.print()
    comparison = each.comparison
    margin = () if comparison.margin is None else (comparison.margin.words,)
    show_pairs(comparison.pairs, margin, console)
    if len(sweep.spec.learning_rates) > 1 and comparison.pairs:
        heading = "At each common learning rate: verdict (difference of log loss, in nats)"
        _say(console, heading, style="bold")
        cells = [c for c in sweep.cells if (c.data, c.model) == (each.data, each.model)]
        for line in _lines_of_pairs(cells):
            _say(console, line)
        console.print()
    if comparison.findings:
        _say(console, "Findings at the best learning rates", style="bold")
        show_findings(comparison.findings, console)
        console.print()


def _choices_table(each: AtBest) -> Table:
    table = new_table()
    table.add_column("")
    errors = any(choice.test_log_loss_se is not None for choice in each.choices.values())
    for heading in ("best rate", "validation", f"test log loss{' (± SE)' * errors}"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, choice in each.choices.items():
        known = [loss for loss in choice.validation_log_losses if loss is not None]
        rate = choice.learning_rate
        table.add_row(
            Text(printable(name)),
            "diverged" if rate is None else f"{rate:g}",
            "-" if rate is None or not known else f"{min(known):.5f}",
            _with_error(choice),
        )
    return table


def _with_error(choice: Choice) -> str:
    if choice.test_log_loss is None:
        return "-"
    if choice.test_log_loss_se is None:
        return f"{choice.test_log_loss:.5f}"
    return f"{choice.test_log_loss:.5f} ±{choice.test_log_loss_se:.5f}"


def _lines_of_pairs(cells: Iterable[Cell]) -> Iterable[str]:
    """One line a pair: its verdict at every learning rate."""
    lines: dict[str, list[str]] = {}
    for cell in cells:
        for pair in cell.results["pairs"]:
            name = f"{pair['minuend']} - {pair['subtrahend']}"
            gap = "" if pair["difference"] is None else f" ({pair['difference']:+.2g})"
            lines.setdefault(name, []).append(f"{cell.learning_rate:g} {pair['verdict']}{gap}")
    return (f"- {name}: {'; '.join(found)}" for name, found in lines.items())


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(printable(text), style=style))
