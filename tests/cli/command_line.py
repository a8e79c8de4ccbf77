"""The command line, run in this process."""

import contextlib
import io
from dataclasses import dataclass

import pytest

from xent.cli import main


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


def xent(*arguments):
    """Call ``xent`` with arguments: exit code, standard output and standard error."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as stop,
    ):
        main([str(argument) for argument in arguments])
    return Ended(stop.value.code, out.getvalue(), err.getvalue())
