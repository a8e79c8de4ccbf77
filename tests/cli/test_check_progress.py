"""The line that says how far a check has come."""

from __future__ import annotations

import io
import sys

import pytest

from xent.cli import _progress
from xent.cli._progress import ProgressLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, seconds: float) -> str:
    """Three files, each of which takes some seconds."""
    now = [100.0]
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys, "stderr", stream)
    with ProgressLine("Checked", "files") as progress:
        for done in (999, 1200, 7):
            now[0] += seconds
            progress(done, 2285)
    return stream.getvalue()


def test_it_is_written_over_and_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = (
        "Checked 999 of 2,285 files", "Checked 1,200 of 2,285 files", "Checked 7 of 2,285 files",
    )  # fmt: skip
    blank = " " * len(third)
    shown = f"\r{first}\r{second}\r{third}    \r{blank}\r"
    assert run(Terminal(), monkeypatch, 2) == shown


def test_a_short_run_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(Terminal(), monkeypatch, 0.2) == ""


def test_what_is_no_terminal_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(io.StringIO(), monkeypatch, 2) == ""
