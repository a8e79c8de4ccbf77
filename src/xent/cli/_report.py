"""``xent report``: the report of a run, made again from its folder."""

from __future__ import annotations

from pathlib import Path

import click

from xent.cli._present import show_page


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--open", "show", is_flag=True, help="Show it in the browser.")
def command(run: Path, show: bool) -> int:
    """Write RUN/report.html again, from what the folder of a run holds.

    RUN is a folder that xent compare --out or xent demo --out has written. Neither the data nor
    torch is needed, and nothing is trained or scored again.

    \b
    Examples:
      xent report runs/demo
      xent report runs/demo --open
    """
    from xent.report import write

    path = write(run)
    click.echo(f"Written: {path}", err=True)
    if show:
        show_page(path)
    return 0
