"""What compare and demo share: progress while a study runs, and how its result is handed over."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from xent.study import Comparison

Progress = Callable[[str, float], None]

# A narrower terminal wraps the lines, which reads better than names and numbers cut short.
NARROWEST = 80


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
    """Standard output: as wide as the terminal, 80 columns at least."""
    from rich.console import Console

    _end_with_the_reader()
    width = Console().width if sys.stdout.isatty() else NARROWEST
    return Console(highlight=False, width=max(width, NARROWEST))


def _end_with_the_reader() -> None:
    """Let ``| head`` end the command as it ends others, not with an exit code of our own."""
    if hasattr(signal, "SIGPIPE") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def print_json(comparison: Comparison) -> None:
    """The results as JSON on standard output, and nothing else there."""
    _end_with_the_reader()
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
