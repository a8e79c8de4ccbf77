"""What compare and demo share: progress while a study runs, and how its result is handed over."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from xent.study import Comparison

Progress = Callable[[str, float], None]


@contextmanager
def progress_bar(*, quiet: bool) -> Iterator[Progress | None]:
    """A bar on standard error while a study runs; none where that is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks = {}

        def update(name: str, fraction: float) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=1.0)
            bars.update(tasks[name], completed=fraction)

        yield update


def terminal() -> Console:
    """Standard output: as wide as the terminal, 80 columns where there is none."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 80)


def print_json(comparison: Comparison) -> None:
    """The results as JSON on standard output, and nothing else there."""
    click.echo(json.dumps(comparison.to_dict(), indent=1, allow_nan=False))


def say_where(out: Path | None) -> None:
    """Say on standard error where the results are, or how to keep them."""
    if out is None:
        click.echo("Nothing was written; --out FOLDER keeps results, curves and trials.", err=True)
    else:
        click.echo(f"Written: {out}/results.json, learning-curves.svg, trials/", err=True)


def exit_code(comparison: Comparison) -> int:
    """0 fine, 1 a finding of level error."""
    return 0 if comparison.ok else 1
