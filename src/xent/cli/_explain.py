"""``xent explain``: one loss on the user's own numbers, step by step."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from xent.cli._loss_options import named_options, number_options, setting_options
from xent.cli._present import print_document, terminal

FORMATS = ("text", "markdown", "latex", "html", "json")
ENDINGS = {".md": "markdown", ".tex": "latex", ".html": "html", ".htm": "html", ".json": "json"}


@click.command()
@number_options
@click.option("--reduction", type=click.Choice(["mean", "sum", "none"]), default="mean",
              show_default=True)  # fmt: skip
@setting_options
@click.option("-f", "--format", "form", type=click.Choice(FORMATS),
              help="[default: what the ending of --out says, else text]")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write it here.")  # fmt: skip
def command(
    form: str | None, as_json: bool, out: Path | None, others: tuple[str, ...], **options: Any
) -> int:  # the \b below is click's mark for lines to leave as they are
    """Walk through the calculation of a cross-entropy on your own numbers.

    NUMBERS have spaces or commas between them and semicolons between rows. FILE is a .csv, .tsv,
    .npy, .npz or .json file; FILE:NAME,NAME takes columns, FILE:NAME an entry.

    \b
    Examples:
      xent explain --logits "-0.1 2 3 0.5" --targets "0 1 1 0"
      xent explain --logits "2 1 0; 0 3 1" --targets "0 2" --label-smoothing 0.1
      xent explain --logits scores.csv:a,b,c --targets scores.csv:y -o page.html

    Exit codes: 0 fine, 2 bad input.
    """
    from xent.walkthrough._explain import explain

    form = _form(form, out, as_json=as_json)
    explanation = explain(**options, **named_options(others, options))
    if out is not None:
        _write(out, getattr(explanation, f"to_{form}")())
    elif form == "text" and sys.stdout.isatty():
        explanation.show(terminal())
    elif form == "json":
        print_document(explanation.to_dict())
    else:
        click.echo(getattr(explanation, f"to_{form}")(), nl=False)
    return 0


def _form(form: str | None, out: Path | None, *, as_json: bool) -> str:
    """The format that was asked for, or that the name of the file stands for."""
    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --format {form} contradict each other; give one.")
    if as_json:
        return "json"
    return form or ENDINGS.get(out.suffix.lower() if out else "", "text")


def _write(path: Path, text: str) -> None:
    from xent._errors import InputError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(
            "explain: --out",
            "a file that can be written to",
            f"{str(path)!r} ({error.strerror or error})",
            "Name another file.",
        ) from error
    click.echo(f"Written: {path}", err=True)
