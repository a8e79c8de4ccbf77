"""``xent check --fix``, ``--diff`` and ``--add-noqa``: what changes files, or shows how."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from xent.wiring import Finding, Report
    from xent.wiring._fixes._edited import Change


def fixed(
    paths: Sequence[str], name: str, selectors: dict[str, Any], *, unsafe: bool, diff: bool
) -> tuple[Report, bool]:
    """Apply fixes, or show what they would change.

    Args:
        paths: as of check; a single - is standard input.
        name: what reports call standard input.
        selectors: what is shown, and the number of processes.
        unsafe: whether every fix is applied.
        diff: whether the changes are only shown.

    Returns:
        What is left, and whether that is all: with ``diff`` whether nothing would change, else
        whether every file could be written.
    """
    from xent.wiring._fixes._fixing import fix_paths, fix_text

    if _is_stdin(paths):
        selectors.pop("jobs")
        outcome = fix_text(sys.stdin.buffer.read(), name, unsafe=unsafe, **selectors)
    else:
        outcome = fix_paths(paths, unsafe=unsafe, **selectors)
    for finding in outcome.dropped:
        reason = "its fix would bring another fault or code that does not parse"
        click.echo(f"Not fixed: {_where(finding)}: {finding.code}: {reason}.", err=True)
    if diff:
        _show_changes(outcome.changes)
        click.echo(_would_fix(outcome.count, len(outcome.changes)), err=True)
        return outcome.report, not outcome.changes
    if _is_stdin(paths):
        _print_text(outcome.report)
    elif not _write(outcome.changes):
        from xent.wiring import check_paths

        return check_paths(paths, **selectors), False
    if outcome.count:
        click.echo(f"{_many(outcome.count, 'finding')} fixed.", err=True)
    return outcome.report, True


def _show_changes(changes: Sequence[Change]) -> None:
    """To be read on a terminal, and anywhere else to be applied."""
    from xent.wiring._output._differences import diff, patch

    click.echo(diff(changes) if sys.stdout.isatty() else patch(changes), nl=False)


def silenced(paths: Sequence[str], name: str, selectors: dict[str, Any]) -> int:
    """Add comments that silence what is shown; the exit code."""
    from xent.wiring._fixes._noqa import silence_paths, silence_text

    if _is_stdin(paths):
        selectors.pop("jobs")
        outcome = silence_text(sys.stdin.buffer.read(), name, **selectors)
        _print_text(outcome.report)
        written = True
    else:
        outcome = silence_paths(paths, **selectors)
        written = _write(outcome.changes)
    for finding, reason in outcome.left:
        click.echo(f"Not silenced: {_where(finding)}: {finding.code}: {reason}.", err=True)
    if written:
        click.echo(f"{_many(outcome.count, 'comment')} added.", err=True)
    return 0 if written else 2


def _is_stdin(paths: Sequence[str]) -> bool:
    return list(paths) == ["-"]


def _print_text(report: Report) -> None:
    ((_, data),) = report.texts
    click.echo(data, nl=False)


def _write(changes: Sequence[Change]) -> bool:
    """Write files; those that can't be written are named, the others are written."""
    from pathlib import Path

    from xent._text import printable
    from xent.wiring._fixes._writing import UnwritableError, write

    done = True
    for change in changes:
        try:
            write(Path(change.path), change.before, change.after)
        except UnwritableError as error:
            click.echo(f"Not written: {printable(change.path)}: {printable(str(error))}.", err=True)
            done = False
    return done


def _where(finding: Finding) -> str:
    from xent.wiring._output._lines import where

    return where(finding.place)


def _would_fix(count: int, files: int) -> str:
    if not count:
        return "Nothing would be fixed."
    return f"{_many(count, 'finding')} would be fixed in {_many(files, 'file')}."


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def fixable(report: Report, *, unsafe: bool) -> str:
    """How many of the findings options of the command would fix; empty if none."""
    fixes = [finding.fix for finding in report.findings if finding.fix is not None]
    safe = sum(fix.safe for fix in fixes)
    rest = len(fixes) - safe
    if not fixes:
        return ""
    if unsafe or not safe:
        return f" {len(fixes)} fixable with --fix --unsafe-fixes."
    more = f", {rest} more with --unsafe-fixes" if rest else ""
    return f" {safe} fixable with --fix{more}."
