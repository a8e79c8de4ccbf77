"""``xent demo``: the BCE-versus-CE study, run again and scored right."""

from __future__ import annotations

from pathlib import Path

import click

from xent.cli._present import (
    exit_code,
    hand_over,
    interruptible,
    print_json,
    progress_bar,
    terminal,
)


@click.command()
@click.option("--seeds", type=click.IntRange(min=1), default=10, show_default=True,
              help="How many starting points.")  # fmt: skip
@click.option("--converge", is_flag=True,
              help="Newton to the optimum of each loss instead of 50 epochs.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Keep report, results.json and trials here.")  # fmt: skip
@click.option("--open", "show", is_flag=True, help="Show the report in the browser.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def command(
    seeds: int, converge: bool, out: Path | None, show: bool, as_json: bool, quiet: bool
) -> int:
    """Run the BCE-versus-CE study again: 100,000 rows, three formulations.

    A published comparison of one logit with binary cross entropy (bce), one logit as a pair (ce1)
    and two logits (ce2) found log losses of 0.618, 0.636 and 0.644. All three are 0.618: it scored
    every output with a sigmoid. Needs no network. Without --out the report goes to a temporary
    folder, and where that is is said.
    """
    from xent.study import demo_spec, run_study

    with interruptible(out), progress_bar(quiet=quiet) as progress:
        comparison = run_study(demo_spec(seeds, converge=converge), out=out, progress=progress)
    if as_json:
        print_json(comparison)
        if show:
            hand_over(comparison, out, show=True, wanted=True)
        return exit_code(comparison)
    from xent.study._bce_versus_ce import score_published, score_wrongly
    from xent.study._show._terminal import show as show_comparison
    from xent.study._show._terminal import show_sigmoid_scores

    console = terminal()
    show_comparison(comparison, console)
    console.print()
    show_sigmoid_scores(
        score_wrongly(comparison),
        "The same models, had every output been scored with a sigmoid: test log loss",
        console,
        published=False,
    )
    show_sigmoid_scores(
        score_published(comparison.dataset),
        "The weights that the study published, scored again: test log loss",
        console,
        published=True,
    )
    hand_over(comparison, out, show=show, wanted=True)
    return exit_code(comparison)
