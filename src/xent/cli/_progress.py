"""A line on the terminal that says how far a long command has come."""

from __future__ import annotations

import sys
import time
from types import TracebackType

_BEFORE_FIRST, _BETWEEN = 1.0, 0.1  # seconds


class ProgressLine:
    """``Checked 1,200 of 2,285 files``, only on a terminal and only where it takes a while.

    Used as a context, at the end of which the line is gone.

    Args:
        did: what has been done, such as ``Checked``.
        things: to what, such as ``files``.
    """

    def __init__(self, did: str, things: str) -> None:
        self._did = did
        self._things = things
        self._shown = ""
        self._next = time.monotonic() + _BEFORE_FIRST
        self._on = sys.stderr.isatty()

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._shown:
            self._write("")

    def __call__(self, done: int, of: int) -> None:
        """Say how many are done of how many; seldom enough to cost nothing."""
        if not self._on or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _BETWEEN
        self._write(f"{self._did} {done:,} of {of:,} {self._things}")

    def _write(self, text: str) -> None:
        spaces = " " * (len(self._shown) - len(text))
        back = "" if text else "\r"
        sys.stderr.write(f"\r{text}{spaces}{back}")
        sys.stderr.flush()
        self._shown = text
