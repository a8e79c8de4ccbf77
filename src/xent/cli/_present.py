"""What compare and demo share: progress while a study runs, and how its result is handed over."""

from __future__ import annotations

import json
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import click

if TYPE_CHECKING:
    from rich.console import Console

    from xent.study import Comparison, PredictionComparison

Progress = Callable[[str, float], None]

# A narrower terminal wraps the lines, which reads better than names and numbers cut short.
NARROWEST = 80
# What a run leaves in its folder.
KEPT = "report.html, results.json, trials.jsonl, trials/"


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


@contextmanager
def interruptible(out: Path | None) -> Iterator[None]:
    """Ctrl-C and SIGTERM end a study alike: what is finished is in its folder, and that is said."""
    ended = None
    if hasattr(signal, "SIGTERM") and threading.current_thread() is threading.main_thread():
        ended = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt as stop:
        from xent.study import Interrupted

        if isinstance(stop, Interrupted):
            go_on = "the same command goes on from there" if stop.done else "nothing is kept"
            click.echo(f"{stop}; {go_on}.", err=True)
            if stop.comparison is not None:
                say_where(out)
        raise
    finally:
        if ended is not None:
            signal.signal(signal.SIGTERM, ended)


def terminal() -> Console:
    """Standard output: as wide as the terminal, 80 columns at least."""
    from rich.console import Console

    _end_with_the_reader()
    if sys.stdout.isatty():
        return Console(highlight=False, width=max(Console().width, NARROWEST))
    return Console(file=cast("IO[str]", _Unpadded()), highlight=False, width=NARROWEST)


class _Unpadded:
    """Standard output of a file or a pipe, without the spaces that fill lines up to its width."""

    def write(self, text: str) -> int:
        """Write what ends in whole lines, as the console does."""
        sys.stdout.write(re.sub(r" +(?=\n|$)", "", text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stdout, name)


def _end_with_the_reader() -> None:
    """Let ``| head`` end the command as it ends others, not with an exit code of our own."""
    if hasattr(signal, "SIGPIPE") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def print_json(comparison: Comparison) -> None:
    """The results as JSON on standard output, and nothing else there."""
    print_document(comparison.to_dict())


def print_document(document: dict[str, object]) -> None:
    """A document as JSON on standard output, and nothing else there."""
    _end_with_the_reader()
    click.echo(json.dumps(document, indent=1, allow_nan=False))


def say_where(out: Path | None, kept: str = KEPT) -> None:
    """Say on standard error where the results are, or how to keep them."""
    if out is None:
        click.echo("Nothing was written; --out FOLDER keeps report, results and trials.", err=True)
    else:
        click.echo(f"Written: {out}/{kept}", err=True)


def hand_over(
    comparison: Comparison | PredictionComparison,
    out: Path | None,
    *,
    show: bool,
    wanted: bool = False,
    kept: str = KEPT,
) -> None:
    """Say where everything is, and show the report if that was asked for.

    Args:
        comparison: what is reported.
        out: its folder, or None; a report goes to a temporary folder then.
        show: whether to open the report in the browser.
        wanted: whether there is to be a report even if nobody asked to see it.
        kept: what the folder holds.
    """
    page = None if out is None else out / "report.html"
    if page is None and (show or wanted):
        from tempfile import mkdtemp

        page = Path(mkdtemp(prefix="xent-")) / "report.html"
        comparison.to_html(page)
        click.echo(f"Report: {page} (--out FOLDER keeps everything)", err=True)
    else:
        say_where(out, kept)
    if show and page is not None:
        show_page(page)


def show_page(path: Path) -> None:
    """Show a page in the browser; say so where there is none."""
    import webbrowser

    if not webbrowser.open(path.absolute().as_uri()):
        click.echo(f"No browser could be opened; the report is {path}.", err=True)


def exit_code(comparison: Comparison) -> int:
    """0 fine, 1 a finding of level error."""
    return 0 if comparison.ok else 1
