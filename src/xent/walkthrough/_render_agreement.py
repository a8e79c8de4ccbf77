"""The answer of ``xent verify`` for a terminal and in Markdown."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING

from xent.walkthrough._judgement import AGREES, BREAKS, DISAGREES, LOSES
from xent.walkthrough._render_markdown import escaped
from xent.walkthrough._telling import tell, tell_as_it_is

if TYPE_CHECKING:
    from rich.console import Console

    from xent.walkthrough._agreement import Agreement, Equality, Misuse, Row

_STYLES = {AGREES: "green", LOSES: "yellow", BREAKS: "magenta", DISAGREES: "bold red"}
_TAKES = "Given: shapes and dtypes of input and target"
_SAME = "Must be the same"
_OTHER = "Not for these numbers"
_SKIPPED = "Skipped"


def show(agreement: Agreement, console: Console | None = None) -> None:
    """Print it; None is standard output."""
    from rich.console import Console as NewConsole

    console = NewConsole(highlight=False) if console is None else console
    tell(console, agreement.given, style="bold")
    for line in first_lines(agreement):
        tell(console, line, 1, hanging=15)
    tell(console)
    _tell_rows(agreement, console)
    if agreement.note:
        tell(console)
        tell(console, agreement.note)
    for heading, entries in _lists(agreement):
        tell(console)
        tell(console, heading, style="bold")
        for head, rest, style in entries:
            tell(console, head, 1, style, hanging=4)
            for line in rest:
                tell(console, line, 5)
    tell(console)
    tell(console, last_line(agreement), style="green" if agreement.ok else "bold red")


def _tell_rows(agreement: Agreement, console: Console) -> None:
    timed = any(row.seconds is not None for row in agreement.rows)
    headings = _in_columns("", "value", "ulp", "a call" if timed else "")
    tell_as_it_is(console, headings, 1, "bold")
    for library, rows in groupby(agreement.rows, key=lambda row: row.library):
        tell(console, library, style="bold")
        for row in rows:
            tell_as_it_is(console, _in_columns(*_cells(row)), 1, _STYLES[row.verdict])
            if row.why:
                tell(console, f"{row.verdict}: {row.why}", 5)


def _in_columns(name: str, value: str, ulp: str, seconds: str) -> str:
    return f"{name:<34} {value:<22} {ulp:>8} {seconds:>8}".rstrip()


def _cells(row: Row) -> tuple[str, str, str, str]:
    seconds = "" if row.seconds is None else _time(row.seconds)
    return row.name, repr(row.value), _distance(row.ulp), seconds


def _distance(ulp: float) -> str:
    if not math.isfinite(ulp):
        return "-"
    return f"{ulp:.2f}" if ulp < 1000 else f"{ulp:.1e}"


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def first_lines(agreement: Agreement) -> list[str]:
    """What was given, and the exact loss."""
    numbers = _listed(agreement.numbers, agreement.size)
    lines = [f"numbers        {numbers}"]
    if agreement.probabilities != agreement.numbers:
        lines.append(f"probabilities  {_listed(agreement.probabilities, agreement.size)}")
    lines.append(f"targets        {_listed(agreement.targets, agreement.target_size)}")
    lines.append(f"exact          {agreement.exact}")
    nearest = f"{agreement.rounded!r}, nearest in {agreement.dtype}"
    return [*lines, f"rounded        {agreement.rounded:.4f}; {nearest}"]


def _listed(numbers: tuple[float, ...], size: int) -> str:
    whole = all(float(number).is_integer() for number in numbers)
    shown = " ".join(f"{number:.0f}" if whole else f"{number:.4f}" for number in numbers)
    return f"{shown} ..." if size > len(numbers) else shown


Entry = tuple[str, list[str], str]


def _lists(agreement: Agreement) -> list[tuple[str, list[Entry]]]:
    """Headings with entries, each of a line, lines below it, and a style."""
    by_calls: dict[tuple[str, str], list[Equality]] = {}
    for equality in agreement.equalities:
        by_calls.setdefault((equality.left, equality.right), []).append(equality)
    same = [_equality(equalities) for equalities in by_calls.values()]
    takes = [(what, [", ".join(_names(who))], "") for what, who in agreement.takes.items()]
    other = [(f"{one.call}: {_given(one)}", [one.why], "cyan") for one in agreement.misuses]
    skipped: list[Entry] = [(f"{one.name}: {one.why}", [], "") for one in agreement.skipped]
    headed = ((_TAKES, takes), (_SAME, same), (_OTHER, other), (_SKIPPED, skipped))
    return [(heading, entries) for heading, entries in headed if entries]


def _names(who: list[str]) -> list[str]:
    """Each library once, before its names."""
    by_library: dict[str, list[str]] = {}
    for library, _, name in (one.partition(": ") for one in who):
        by_library.setdefault(library, []).append(name)
    return [f"{library} ({'; '.join(names)})" for library, names in by_library.items()]


def _equality(equalities: list[Equality]) -> Entry:
    """One equality in every library that was asked."""
    first = equalities[0]
    lines = [f"{first.left_takes} = {first.right_takes}"]
    for one in equalities:
        both_nan = math.isnan(one.left_value) and math.isnan(one.right_value)
        same = one.left_value == one.right_value or both_nan
        apart = "the same" if same else f"{_distance(one.ulp)} ulp apart"
        lines.append(f"{one.library}: {one.left_value!r} = {one.right_value!r}, {apart}")
        if one.why:
            lines.append(f"{one.verdict}: {one.why}")
    worst = max((one.verdict for one in equalities), key=list(_STYLES).index)
    return f"{first.left} = {first.right}", lines, _STYLES[worst]


def _given(misuse: Misuse) -> str:
    return misuse.error if misuse.value is None else repr(misuse.value)


def last_line(agreement: Agreement) -> str:
    """The verdict."""
    if agreement.ok and math.isnan(agreement.rounded):
        return "All agree that there is no loss but NaN: nothing is counted, or inf - inf is taken."
    if agreement.ok:
        return "All that must agree does."
    wrong = [f"{row.library} {row.name}" for row in agreement.rows if row.verdict == DISAGREES]
    wrong += [
        f"{one.left} = {one.right}" for one in agreement.equalities if one.verdict == DISAGREES
    ]
    return f"What must agree does not: {'; '.join(wrong)}."


def plain_text(agreement: Agreement) -> str:
    """As text of 80 columns without colour."""
    import io

    from rich.console import Console

    out = io.StringIO()
    show(agreement, Console(file=out, width=80, highlight=False, color_system=None))
    return out.getvalue()


def markdown(agreement: Agreement) -> str:
    """As Markdown."""
    lines = [f"**{escaped(agreement.given)}**", "", "```text", *first_lines(agreement), "```", ""]
    lines += ["| | takes | value | ulp | a call | |", "|---|---|---|---|---|---|"]
    for row in agreement.rows:
        name, value, ulp, seconds = _cells(row)
        verdict = f"{row.verdict}. {row.why}".rstrip() if row.why else row.verdict
        lines.append(
            f"| {row.library} `{name}` | {row.takes} | {value} | {ulp} | {seconds} | {verdict} |"
        )
    if agreement.note:
        lines += ["", agreement.note]
    for heading, entries in _lists(agreement):
        if heading == _TAKES:
            continue  # it is in the table
        lines += ["", f"{heading}:", ""]
        for head, rest, _ in entries:
            code = f"`{head}`" if heading == _SAME else head
            lines.append(f"- {code}")
            lines += [f"  - {line}" for line in rest]
    return "\n".join([*lines, "", f"**{last_line(agreement)}**"])
