"""Walkthroughs: what a loss does on given numbers, and which one is right.

explain    one loss, step by step
verify     one loss by every implementation on the same numbers
which      the right loss for a task, a last layer and a form of the target

Each loads on first use; none needs torch before it calls something of torch's.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xent.walkthrough._agreement import Agreement as Agreement
    from xent.walkthrough._choice import Choice as Choice
    from xent.walkthrough._choice import cheat_sheet as cheat_sheet
    from xent.walkthrough._choice import which as which
    from xent.walkthrough._explain import explain as explain
    from xent.walkthrough._explanation import Explanation as Explanation
    from xent.walkthrough._explanation import Step as Step
    from xent.walkthrough._verify import verify as verify

_HOMES = {
    "Agreement": "xent.walkthrough._agreement",
    "Choice": "xent.walkthrough._choice",
    "Explanation": "xent.walkthrough._explanation",
    "Step": "xent.walkthrough._explanation",
    "cheat_sheet": "xent.walkthrough._choice",
    "explain": "xent.walkthrough._explain",
    "verify": "xent.walkthrough._verify",
    "which": "xent.walkthrough._choice",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'xent.walkthrough' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
