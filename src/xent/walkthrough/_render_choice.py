"""The answers of ``xent which`` for a terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from xent.walkthrough._combinations import TASKS
from xent.walkthrough._telling import tell, tell_as_it_is

if TYPE_CHECKING:
    from rich.console import Console

    from xent.walkthrough._choice import Choice, Operand
    from xent.walkthrough._mistakes import Mistake

LEGEND = (
    "F is torch.nn.functional or xent.functional; N rows, C classes. A binary model has one "
    "output a row, but two where it ends with a softmax."
)
_PAIRS = "They take the same outputs and target"
_OTHERS = "With these outputs and this target as they are"


def show_choice(choice: Choice, console: Console) -> None:
    """One answer, whole."""
    tell(console, title(choice), style="bold")
    if choice.impossible:
        tell(console)
        tell(console, f"Impossible. {choice.impossible}", style="bold red", head=11)
        tell(console, f"Change: {choice.change}", style="bold", head=7)
    tell(console)
    for name, value in facts(choice):
        tell(console, f"{name:<13}  {value}", 2, "bold", head=len(name), hanging=15)
    tell(console)
    for line in choice.example.splitlines():
        tell_as_it_is(console, line, 2, "cyan")
    tell(console)
    tell(console, f"The loss comes out as {choice.value:.4f}. {better(choice)}".rstrip())
    for heading, rows in lists(choice):
        tell(console)
        tell(console, heading, style="bold")
        for names, said in rows:
            told = ", ".join(names)
            tell(console, f"{told}: {said}", 2, "cyan", head=len(told))


def title(choice: Choice) -> str:
    """What was asked."""
    layer = "no last layer" if choice.last_layer == "none" else f"{choice.last_layer} at the end"
    return f"{choice.task.capitalize()}, {layer}, target as {choice.target}"


def facts(choice: Choice) -> Iterator[tuple[str, str]]:
    """Names and values of what is to be known of the right loss."""
    yield "loss", choice.loss
    modules = [name for name in choice.names if name.rpartition(".")[2][0].isupper()]
    if modules:
        yield "as a module", f"{', '.join(modules)}, or the same of xent.nn"
    squeezed = "; (N, 1) by squeeze(1) first" if choice.inputs.shape == "(N,)" else ""
    yield "outputs", f"{_operand(choice.inputs)}{squeezed}"
    yield "target, taken", _operand(choice.targets)
    yield "call", choice.call
    yield "probabilities", choice.probabilities
    yield "prediction", choice.prediction


def _operand(operand: Operand) -> str:
    return f"{operand.shape} {operand.meaning}; {operand.dtypes}"


def better(choice: Choice) -> str:
    """What would be better, where it is possible as it is."""
    return choice.change if choice.possible else ""


def lists(choice: Choice) -> Iterator[tuple[str, list[tuple[list[str], str]]]]:
    """Headings with what is said of each of the other losses."""
    if choice.also:
        yield _PAIRS, [([other.loss], f"{other.difference}.") for other in choice.also]
    if choice.mistakes:
        yield (
            _OTHERS,
            [
                (names, f"{mistake.outcome}. {_it(names)} {mistake.why}.")
                for names, mistake in grouped(choice.mistakes)
            ],
        )


def _it(names: list[str]) -> str:
    return "It" if len(names) == 1 else "Each"


def grouped(mistakes: Sequence[Mistake]) -> list[tuple[list[str], Mistake]]:
    """Mistakes that have the same outcome for the same reason, told once."""
    groups: dict[tuple[str, str], tuple[list[str], Mistake]] = {}
    for mistake in mistakes:
        names, _ = groups.setdefault((mistake.outcome, mistake.why), ([], mistake))
        names.append(mistake.loss)
    return list(groups.values())


def choice_in_markdown(choice: Choice, level: int = 2) -> str:
    """One answer as a section of Markdown."""
    lines = [f"{'#' * level} {title(choice)}", ""]
    if choice.impossible:
        lines += [f"**Impossible.** {choice.impossible}", "", f"**Change:** {choice.change}", ""]
    code = {"loss", "call", "probabilities", "prediction"}
    lines += ["| | |", "|---|---|"]
    for name, value in facts(choice):
        lines.append(f"| {name} | {f'`{value}`' if name in code else value} |")
    # As a formatter has it; on a terminal the five lines stand together.
    example = choice.example.replace("\n", "\n\n", 1)
    lines += ["", "```python", example, "```", ""]
    lines += [f"The loss comes out as {choice.value:.4f}. {better(choice)}".rstrip()]
    for heading, rows in lists(choice):
        lines += ["", f"{heading}:", ""]
        lines += [f"- {', '.join(f'`{name}`' for name in names)}: {text}" for names, text in rows]
    return "\n".join(lines)


# The cheat sheet.


def sheet_rows(choices: Sequence[Choice]) -> Iterator[tuple[Choice, str, list[tuple[str, str]]]]:
    """For each task and last layer: its first answer, what follows it, and a row a target.

    What follows the outputs are probabilities and prediction, or why no loss takes them; then
    there are no rows.
    """
    for _, of_layer in groupby(choices, key=lambda choice: (choice.task, choice.last_layer)):
        answers = list(of_layer)
        if not any(answer.possible for answer in answers):
            plain = min(answers, key=lambda answer: len(answer.impossible))
            yield answers[0], f"impossible. {plain.impossible} {plain.change}", []
            continue
        first = answers[0]
        after = f"probabilities {first.probabilities}, prediction {first.prediction}"
        yield first, after, [(answer.target, _cell(answer)) for answer in answers]


def _cell(choice: Choice) -> str:
    return choice.call if choice.possible else f"impossible. {choice.change}"


def show_sheet(choices: Sequence[Choice], console: Console) -> None:
    """The cheat sheet, or a part of it."""
    task = ""
    for first, after, rows in sheet_rows(choices):
        if first.task != task:
            task = first.task
            heading = f"{task.capitalize()}: {TASKS[task]}"
            tell(console, heading, style="bold underline", head=len(task))
            tell(console)
        layer = _layer(first)
        tell(console, f"{layer}: {after}", 1, "bold", head=len(layer))
        for target, call in rows:
            tell(console, f"{target:<13} {call}", 2, hanging=14)
        tell(console)
    tell(console, LEGEND)


def _layer(choice: Choice) -> str:
    return "no last layer" if choice.last_layer == "none" else choice.last_layer


def sheet_in_markdown(choices: Sequence[Choice], level: int = 2) -> str:
    """The cheat sheet in Markdown: a table for each task."""
    lines = []
    task = ""
    for first, after, rows in sheet_rows(choices):
        if first.task != task:
            task = first.task
            lines += ["", f"{'#' * level} {task.capitalize()}: {TASKS[task]}", ""]
            lines += [
                "| last layer | target | loss | probabilities | prediction |",
                "|---" * 5 + "|",
            ]
        if not rows:
            lines.append(f"| {_layer(first)} | any | {after} | | |")
        for target, call in rows:
            impossible = call.startswith("impossible")
            cells = [first.probabilities, first.prediction]
            shown = [call, "", ""] if impossible else [f"`{cell}`" for cell in (call, *cells)]
            lines.append(f"| {_layer(first)} | {target} | {' | '.join(shown)} |")
    return "\n".join(lines[1:])
