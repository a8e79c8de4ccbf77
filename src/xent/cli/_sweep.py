"""``xent compare study.toml``: a sweep over data sets, models and learning rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from xent.cli._present import interruptible, print_document, progress_bar, show_page, terminal
from xent.cli._replaced import replacing

# What may stand beside the file on the command line.
_BESIDE = ("data", "out", "jobs", "show", "as_json", "quiet")


def run_file(
    context: click.Context,
    path: str,
    *,
    out: Path | None,
    jobs: int,
    show: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run the sweep of a TOML file and show it; 1 where something failed.

    Raises:
        UsageError: other options beside the file, which belong in it.
    """
    given = [
        parameter
        for parameter in context.command.params
        if parameter.name not in _BESIDE
        and context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(_misplaced(given[0], Path(path).name), context)
    from xent.study import sweep
    from xent.study._sweeps._spec import read_sweep

    source = context.get_parameter_source("jobs")
    chosen = jobs if source is ParameterSource.COMMANDLINE else None
    kept = out or read_sweep(path).out
    replaced = replacing(kept, "sweep.json")
    with interruptible(out), replaced, progress_bar(quiet=quiet) as progress:
        result = sweep(path, out=out, jobs=chosen, progress=progress)
    if as_json:
        print_document(result.to_dict())
    else:
        from xent.study._show._sweep import show_sweep

        show_sweep(result, terminal())
        _say_where(result)
    if show:
        _show(result)
    return 0 if result.ok else 1


def _misplaced(option: click.Parameter, name: str) -> str:
    if option.name in ("predictions", "input_kind", "identity"):
        return f"{option.opts[-1]} is for files of predictions, not for a sweep."
    return f"{option.opts[-1]} belongs in {name}."


def _say_where(result: Any) -> None:
    out = result.spec.out
    if out is None:
        click.echo("Nothing was written; out in the file, or --out, keeps everything.", err=True)
    else:
        kept = "sweep.html, sweep.json, trials.jsonl, trials/, cells/"
        click.echo(f"Written: {out}/{kept}", err=True)


def _show(result: Any) -> None:
    """Show the page in the browser, without a folder from a temporary one."""
    if result.spec.out is not None:
        show_page(result.spec.out / "sweep.html")
        return
    from tempfile import mkdtemp

    page = Path(mkdtemp(prefix="xent-")) / "sweep.html"
    result.to_html(page)
    click.echo(f"Report: {page} (--out FOLDER keeps everything)", err=True)
    show_page(page)
