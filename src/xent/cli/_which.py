"""``xent which``: the right loss for a task, a last layer and a target."""

from __future__ import annotations

import click

from xent.cli._present import print_document, terminal


@click.command()
@click.option("--task", metavar="TASK", help="binary, multiclass or multilabel.")
@click.option("-l", "--last-layer", metavar="LAYER",
              help="What the model ends with: none, sigmoid, softmax or log_softmax.")  # fmt: skip
@click.option("-t", "--target", metavar="FORM",
              help="indices, one-hot, probabilities or floats.")  # fmt: skip
@click.option("--table", is_flag=True, help="The cheat sheet: one line for each combination.")
@click.option("--json", "as_json", is_flag=True, help="Print the answers as JSON.")
@click.option("--markdown", is_flag=True, help="Print the answers as Markdown.")
def command(
    task: str | None,
    last_layer: str | None,
    target: str | None,
    table: bool,
    as_json: bool,
    markdown: bool,
) -> int:
    """Say which loss is right, and how it is used.

    For a task, the last layer of the model and the form of the target: the loss with its shapes
    and dtypes, the way from outputs to probabilities and predictions, what goes wrong with each of
    the other losses, and five lines that run. What is left out stands for all there is, and then
    the answers are those of the cheat sheet.

    \b
    Examples:
      xent which --task multiclass --last-layer softmax --target indices
      xent which --task binary
      xent which --table
    """
    from xent.walkthrough._choice import cheat_sheet

    if as_json and markdown:
        raise click.UsageError("--json and --markdown exclude each other.")
    choices = cheat_sheet(task, last_layer, target)
    whole = len(choices) == 1 and not table
    if as_json:
        print_document({"choices": [choice.to_dict() for choice in choices]})
        return 0
    from xent.walkthrough import _render_choice as render

    if markdown:
        sheet = f"{render.sheet_in_markdown(choices)}\n\n{render.LEGEND}"
        click.echo(choices[0].to_markdown() if whole else sheet)
    elif whole:
        render.show_choice(choices[0], terminal())
    else:
        render.show_sheet(choices, terminal())
    return 0
