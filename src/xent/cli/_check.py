"""``xent check``: mis-wired losses, found in code that is read and never run."""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from xent.wiring import Report

_FORMATS = ["full", "concise", "json", "json-lines", "github", "gitlab", "sarif", "junit"]


def _words(values: tuple[str, ...]) -> list[str]:
    return [word.strip() for value in values for word in value.split(",") if word.strip()]


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH...")
@click.option("--select", multiple=True, metavar="CODES",
              help="Show only these: codes, their beginnings, or names, with commas.  "
              "[default: every error and warning]")  # fmt: skip
@click.option("--extend-select", multiple=True, metavar="CODES",
              help="Show these too; ALL shows the notes.")  # fmt: skip
@click.option("--ignore", multiple=True, metavar="CODES", help="Don't show these.")
@click.option("-f", "--format", "output", type=click.Choice(_FORMATS), default="full",
              show_default=True)  # fmt: skip
@click.option("--fix", is_flag=True, help="Apply safe fixes.")
@click.option("--unsafe-fixes", is_flag=True,
              help="With --fix or --diff: also those that change what is computed.")  # fmt: skip
@click.option("--diff", is_flag=True, help="Show what fixes would change, and write nothing.")
@click.option("--add-noqa", is_flag=True, help="Silence what is found by comments.")
@click.option("--statistics", is_flag=True, help="Only count the findings of each rule.")
@click.option("--explain-clean", is_flag=True,
              help="Also say of every loss what reaches it and why that is right.")  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Also name the files read in part.")
@click.option("--stdin-filename", metavar="NAME", help="What reports call standard input.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N",
              help="Processes.  [default: one for each processor]")  # fmt: skip
@click.option("--no-cache", is_flag=True, help="Neither use nor keep results of earlier runs.")
@click.option("--cache-dir", metavar="DIR", envvar="XENT_CACHE_DIR",
              help="Where results are kept; also XENT_CACHE_DIR.  "
              "[default: .xent_cache beside pyproject.toml]")  # fmt: skip
@click.option("--exit-zero", is_flag=True, help="Exit with 0 although there are findings.")
def command(
    paths: tuple[str, ...],
    *,
    select: tuple[str, ...],
    extend_select: tuple[str, ...],
    ignore: tuple[str, ...],
    output: str,
    fix: bool,
    unsafe_fixes: bool,
    diff: bool,
    add_noqa: bool,
    statistics: bool,
    explain_clean: bool,
    verbose: bool,
    stdin_filename: str | None,
    jobs: int | None,
    no_cache: bool,
    cache_dir: str | None,
    exit_zero: bool,
) -> int:
    """Find losses that are given the wrong thing: softmax before cross-entropy and the like.

    PATH is a .py or .ipynb file, or a folder of them; - is standard input. Nothing of it is
    imported or run. Imports are followed inside PATH. What is shown can also be set in
    [tool.xent.check] of pyproject.toml, and for one line by a comment: noqa: XE101.

    \b
    Examples:
      xent check .
      xent check train.py --extend-select ALL
      xent check src --format github
      xent check src --diff --unsafe-fixes
      xent rule XE101

    Exit codes: 0 clean, 1 findings, 2 bad input, 130 interrupted.
    """
    from xent._errors import InputError
    from xent.cli._check_fixes import fixable, fixed, silenced
    from xent.cli._progress import ProgressLine
    from xent.wiring import check_paths, check_text
    from xent.wiring._files._cache import cache_folder

    if not paths:
        raise InputError("check: PATH", "at least one file or folder", "none", "Try: xent check .")
    if "-" in paths and len(paths) > 1:
        raise InputError("check: PATH", "- alone or paths", repr(" ".join(paths)),
                         "Check standard input by itself.")  # fmt: skip
    selectors = {
        "select": _words(select), "extend_select": _words(extend_select), "ignore": _words(ignore),
    }  # fmt: skip
    name = stdin_filename or "-"
    written = True
    if add_noqa:
        if fix or diff:
            raise InputError("check: --add-noqa", "given without --fix and --diff", "both",
                             "Fix first, then silence what is left.")  # fmt: skip
        return silenced(paths, name, {**selectors, "jobs": jobs})
    if fix or diff:
        report, written = fixed(
            paths, name, {**selectors, "jobs": jobs}, unsafe=unsafe_fixes, diff=diff
        )
        if diff:
            _show_problems(report, verbose=verbose)
            return 0 if written or exit_zero else 1
    elif "-" in paths:
        report = check_text(sys.stdin.buffer.read(), name, **selectors)
    else:
        with ProgressLine("Checked", "files") as progress:
            report = check_paths(
                paths, jobs=jobs, progress=progress,
                cache=None if no_cache else cache_dir or cache_folder(paths), **selectors,
            )  # fmt: skip
    # With --fix the repaired text of standard input is what goes to standard output.
    _show(report, output, statistics=statistics, to_stderr=fix and "-" in paths)
    if explain_clean:
        _explain(report, to_stderr=output != "full")
    _show_problems(report, verbose=verbose)
    click.echo(_summary(report) + fixable(report, unsafe=unsafe_fixes), err=True)
    if not written:
        return 2
    return 1 if report.findings and not exit_zero else 0


def _show(report: Report, output: str, *, statistics: bool, to_stderr: bool) -> None:
    from xent._text import page_width
    from xent.wiring._output import FORMATS, full

    if statistics:
        text = _counts(report)
    elif output == "full":
        text = full(report, page_width(), in_color=not to_stderr and _has_colors())
    else:
        text = FORMATS[output](report)
    click.echo(text, nl=False, err=to_stderr)


def _has_colors() -> bool:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


def _explain(report: Report, *, to_stderr: bool) -> None:
    from xent._text import printable
    from xent.wiring._output._lines import where

    for found in report.explanations:
        click.echo(f"{where(found.place)}: {printable(found.text)}", err=to_stderr)


def _show_problems(report: Report, *, verbose: bool) -> None:
    """Files that could not be read are named; of those that were too much only the number."""
    if not report.problems and not report.cache_problem:
        return
    from xent._text import printable
    from xent.wiring._flow._interpreter import IN_PART

    in_part = {path for path, reason in report.problems if reason.startswith(IN_PART)}
    for path, reason in report.problems:
        if verbose or not reason.startswith(IN_PART):
            click.echo(f"Not checked: {printable(path)}: {printable(reason)}", err=True)
    if in_part and not verbose:
        many = f"{len(in_part)} file{'' if len(in_part) == 1 else 's'}"
        click.echo(f"Read in part: {many}, too much for one go (-v names them).", err=True)
    if verbose and report.cache_problem:
        click.echo(f"Results are not kept: {printable(report.cache_problem)}", err=True)


def _counts(report: Report) -> str:
    counted = Counter((finding.code, finding.name) for finding in report.findings)
    width = len(str(max(counted.values(), default=0)))
    lines = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return "".join(f"{number:>{width}}  {code}  {name}\n" for (code, name), number in lines)


def _summary(report: Report) -> str:
    levels = Counter(finding.level for finding in report.findings)
    found = ", ".join(
        f"{levels[level]} {level}{'' if levels[level] == 1 else 's'}"
        for level in ("error", "warning", "note")
        if levels[level]
    )
    files = f"{report.files:,} file{'' if report.files == 1 else 's'}"
    return f"{found or 'Nothing found'} in {files}."
