"""Checks while ``torch.jit.trace`` records a program."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import torch

P = ParamSpec("P")


def unrecorded(check: Callable[P, None]) -> Callable[P, None]:
    """A check that says nothing of its own questions: what it asks is no part of the program."""

    @wraps(check)
    def quiet(*args: P.args, **kwargs: P.kwargs) -> None:
        if torch.compiler.is_compiling() or torch._C._get_tracing_state() is None:
            check(*args, **kwargs)
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
            check(*args, **kwargs)

    return quiet
