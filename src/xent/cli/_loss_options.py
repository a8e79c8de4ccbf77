"""What explain and verify share: the options that give numbers and settings of a loss."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import reduce
from typing import Any

import click

Command = Callable[..., Any]

TASKS = ("binary", "multiclass", "multilabel")

_NUMBERS = (
    click.option("--logits", metavar="NUMBERS|FILE", help="Outputs before sigmoid or softmax."),
    click.option(
        "--probabilities",
        "--probs",
        metavar="NUMBERS|FILE",
        help="Instead: outputs after sigmoid or softmax.",
    ),
    click.option(
        "--log-probabilities",
        "--log-probs",
        metavar="NUMBERS|FILE",
        help="Instead: outputs after log-softmax.",
    ),
    click.option(
        "-t", "--targets", metavar="NUMBERS|FILE", help="Labels, class indices or probabilities."
    ),
    click.option(
        "--task",
        type=click.Choice(TASKS),
        help="What a target says; needed only where shapes leave it open.",
    ),
    click.option(
        "--loss",
        metavar="NAME",
        help="A loss of xent.functional.  [default: the one that takes such numbers]",
    ),
    click.option("--weight", metavar="NUMBERS", help="Of each class, or of each element."),
    click.option("--pos-weight", metavar="NUMBERS", help="Of the term of 1."),
    click.option("--sample-weight", metavar="NUMBERS", help="Of each row."),
    click.option("--ignore-index", type=int, metavar="N", help="Target of what is left out."),
    click.option(
        "--label-smoothing",
        type=float,
        metavar="SHARE",
        help="Share of the target that is spread evenly.",
    ),
)
_SETTINGS = (
    click.option(
        "--option",
        "others",
        multiple=True,
        metavar="NAME=VALUE",
        help="Any other argument of the loss, such as gamma=2.",
    ),
    click.option("--class-dim", type=int, metavar="AXIS", help="Axis of the classes."),
    click.option("--dtype", metavar="NAME", help="Round the numbers to it first, such as float32."),
)


def number_options(command: Command) -> Command:
    """Numbers, task and loss, and the settings that most losses have."""
    return reduce(lambda decorated, option: option(decorated), reversed(_NUMBERS), command)


def setting_options(command: Command) -> Command:
    """Any other setting of a loss, and how its numbers are read."""
    return reduce(lambda decorated, option: option(decorated), reversed(_SETTINGS), command)


def named_options(others: tuple[str, ...], own: Collection[str] = ()) -> dict[str, Any]:
    """NAME=VALUE, where a value that is a number is one; what has an option of its own is none."""
    named: dict[str, Any] = {}
    for other in others:
        name, equals, value = other.partition("=")
        if not (name and equals and value):
            raise click.UsageError(f"--option takes NAME=VALUE, such as gamma=2; got {other!r}.")
        argument = name.strip().replace("-", "_")
        if argument in own:
            option = argument.replace("_", "-")
            raise click.UsageError(f"{name.strip()} has an option of its own: --{option} {value}.")
        try:
            named[argument] = float(value)
        except ValueError:
            named[argument] = value
    return named
