"""What an implementation of a loss is, for those that are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xent.walkthrough._feeds import Feed

# What is added up in a loop or a scalar product may lose half a unit with each term.
ONE_BY_ONE, IN_TREES = "one by one", "in trees"
LOG_OF_ZERO = "log 0 is -inf"
NAN_OF_ZERO = "0 * log 0 is NaN"
INFINITE_LOGITS = "inf - inf is NaN"


@dataclass(frozen=True, eq=False)
class Implementation:
    """One way to compute a loss.

    Args:
        library: whose it is.
        name: what it is called there.
        call: gives the value.
        feed: what it is given.
        sums: ``ONE_BY_ONE`` or ``IN_TREES``, which bounds what the sum loses.
        exact_rows: whether it promises digits of every row, however small its loss is.
        weakness: what it does where a number is at the edge of its domain; empty for nothing.
        edge: how far from 0 and 1 a probability is at the edge.
    """

    library: str
    name: str
    call: Callable[[], Any]
    feed: Feed
    sums: str = IN_TREES
    exact_rows: bool = False
    weakness: str = ""
    edge: float = 0.0


@dataclass(frozen=True)
class Skipped:
    """What was left out.

    Args:
        name: the library or the function.
        why: the reason, and what to do about it.
    """

    name: str
    why: str
