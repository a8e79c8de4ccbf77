"""``xent verify``: one loss by every implementation on the same numbers."""

from __future__ import annotations

from typing import Any

import click

from xent.cli._loss_options import TASKS, named_options, number_options, setting_options
from xent.cli._present import print_document, terminal

# What is meaningful only where numbers are drawn.
_OF_THE_DRAW = ("size", "classes", "kind", "seed")
# What needs to be said of which loss.
_OF_A_LOSS = ("weight", "pos_weight", "sample_weight", "ignore_index", "label_smoothing")


@click.command()
@number_options
@click.option("--reduction", type=click.Choice(["mean", "sum"]), help="[default: mean]")
@setting_options
@click.option("--size", type=int, default=1000, show_default=True, metavar="N",
              help="How many rows to draw where no numbers are given.")  # fmt: skip
@click.option("--classes", type=int, default=3, show_default=True, metavar="C",
              help="How many classes or labels to draw.")  # fmt: skip
@click.option("--kind", type=click.Choice(["logits", "probabilities", "log-probabilities"]),
              help="What to draw.  [default: what the loss takes]")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draw.")
@click.option("--no-time", is_flag=True, help="Measure no times.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option("--markdown", is_flag=True, help="Print it as Markdown.")
@click.pass_context
def command(
    context: click.Context,
    /,
    others: tuple[str, ...],
    no_time: bool,
    as_json: bool,
    markdown: bool,
    **options: Any,
) -> int:  # the \b below is click's mark for lines to leave as they are
    """Compute a loss by every implementation on the same numbers, and say which agree.

    By hand in NumPy, SciPy's xlogy, scikit-learn's log_loss, PyTorch's functions and modules, and
    xent's: value, distance from the exact value in units of the last place, and time of a call;
    then the calls that must be the same number, and what the wrong ones give.

    NUMBERS have spaces or commas between them and semicolons between rows. FILE is a .csv, .tsv,
    .npy, .npz or .json file; FILE:NAME,NAME takes columns, FILE:NAME an entry. Without numbers,
    some are drawn: for --task, for each task of --loss, or for each task in turn.

    \b
    Examples:
      xent verify --logits "1.1 2.2 0.5 -1.1 -2.2" --targets "1 1 0 0 0"
      xent verify --probabilities "0.7 0.3" --targets "1 0" --dtype float32
      xent verify --task multiclass --size 10 --classes 5 --seed 1
      xent verify --loss softmax_focal_loss --option gamma=1 --size 100

    Exit codes: 0 all that must agree does, 1 something does not, 2 bad input.
    """
    from xent.walkthrough._verify import verify

    if as_json and markdown:
        raise click.UsageError("--json and --markdown exclude each other.")
    named = named_options(others)
    _refuse_what_has_an_option_of_its_own(context, named)
    settings = {**options, **named, "timed": not no_time}
    if _is_drawn(options):
        tasks = _tasks_to_draw(options, named)
        found = [verify(**(settings | {"task": task})) for task in tasks]
    else:
        _refuse_options_of_the_draw(context)
        found = [verify(**settings)]
    if as_json:
        print_document({"agreements": [agreement.to_dict() for agreement in found]})
    elif markdown:
        click.echo("\n\n".join(agreement.to_markdown() for agreement in found))
    else:
        console = terminal()
        for number, agreement in enumerate(found):
            if number:
                console.print("\n")
            agreement.show(console)
    return 0 if all(agreement.ok for agreement in found) else 1


def _is_drawn(options: dict[str, Any]) -> bool:
    numbers = ("logits", "probabilities", "log_probabilities", "targets")
    return all(options[name] is None for name in numbers)


def _tasks_to_draw(options: dict[str, Any], named: dict[str, Any]) -> tuple[str, ...]:
    from xent.walkthrough._drawn import tasks_of

    if options["task"] is not None:
        return (options["task"],)
    if options["loss"] is not None:
        return tasks_of(options["loss"])
    for name in (*_OF_A_LOSS, *named):
        if options.get(name) is not None or name in named:
            option = f"--option {name}" if name in named else f"--{name.replace('_', '-')}"
            raise click.UsageError(
                f"{option} is for a loss: name --task or --loss, too, or give numbers."
            )
    return TASKS


def _refuse_what_has_an_option_of_its_own(context: click.Context, named: dict[str, Any]) -> None:
    for name in named:
        if name in ("input", "target"):
            raise click.UsageError(
                f"--option {name}: numbers are given by --logits (or the like) and --targets."
            )
        if name in context.params or name == "timed":
            raise click.UsageError(f"--option {name}: it has an option of its own; see --help.")


def _refuse_options_of_the_draw(context: click.Context) -> None:
    for name in _OF_THE_DRAW:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name} is for numbers that are drawn; leave it out.")
