"""``xent compare study.toml``: a sweep over data sets, models and learning rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from xent.cli._present import interruptible, print_document, progress_bar, terminal

# What may stand beside the file on the command line.
_BESIDE = ("data", "out", "jobs", "as_json", "quiet")


def run_file(
    context: click.Context,
    path: str,
    *,
    out: Path | None,
    jobs: int,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run the sweep of a TOML file and show it; 1 where something failed.

    Raises:
        UsageError: other options beside the file, which belong into it.
    """
    given = [
        parameter
        for parameter in context.command.params
        if parameter.name not in _BESIDE
        and context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(f"{given[0].opts[-1]} belongs into {Path(path).name}.", context)
    from xent.study import sweep

    source = context.get_parameter_source("jobs")
    chosen = jobs if source is ParameterSource.COMMANDLINE else None
    with interruptible(out), progress_bar(quiet=quiet) as progress:
        result = sweep(path, out=out, jobs=chosen, progress=progress)
    if as_json:
        print_document(result.to_dict())
    else:
        from xent.study._show_sweep import show_sweep

        show_sweep(result, terminal())
        _say_where(result)
    return 0 if result.ok else 1


def _say_where(result: Any) -> None:
    out = result.spec.out
    if out is None:
        click.echo("Nothing was written; out in the file, or --out, keeps everything.", err=True)
    else:
        click.echo(f"Written: {out}/sweep.json, trials.jsonl, trials/, cells/", err=True)
