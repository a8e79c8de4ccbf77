"""What is wrong with comments that suppress findings."""

from __future__ import annotations

from xent.wiring._finding import WARNING
from xent.wiring._rule import Repair, Rule

UNUSED = Rule(
    "XE001",
    "unused-suppression",
    WARNING,
    "A comment suppresses a finding that there isn't.",
    "The code was repaired or moved, and the comment would hide the next fault on that line.",
    """
import torch.nn.functional as F


def step(model, x, y):
    return F.cross_entropy(model(x), y)  # noqa: XE101
""",
    """
import torch.nn.functional as F


def step(model, x, y):
    return F.cross_entropy(model(x), y)
""",
    lambda record: iter(()),
    "Only comments that name codes of xent are looked at; a bare noqa may be for other tools.",
    repair=Repair(
        "Takes the code out, and the comment if nothing is left of it.",
        "safe",
        lambda record, event: None,
    ),
)
RULES = (UNUSED,)
