"""The axis that a softmax normalises over."""

from __future__ import annotations

from collections.abc import Iterator

from xent.wiring._finding import NOTE, WARNING
from xent.wiring._fixes._formulas import add_axis, change_axis
from xent.wiring._flow._events import Applied, AxisLeftOut
from xent.wiring._flow._kinds import Kind
from xent.wiring._flow._producers import Effect
from xent.wiring._flow._record import Record
from xent.wiring._rule import BOTH, Fault, Repair, Rule, fault


def _left_out(record: Record) -> Iterator[Fault]:
    for event in record.of(AxisLeftOut):
        message = (
            f"{event.operation} ({{here}}) without dim guesses the axis from the number of axes: "
            "0 for 1 or 3 of them, else 1. Give dim, mostly dim=1 or dim=-1."
        )
        yield fault(event, message, event.operation)


def _over_samples(record: Record) -> Iterator[Fault]:
    for event in record.of(Applied):
        normalises = event.effect in (Effect.SOFTMAX, Effect.LOG_SOFTMAX)
        scores = event.input.batched and event.input.kind is Kind.LOGITS
        if normalises and event.dim == 0 and scores:
            message = (
                f"{event.operation} ({{here}}) over axis 0 of the scores of a batch ({{0}}) sums "
                "to 1 over the samples. Use dim=1 for the classes."
            )
            yield fault(
                event, message, event.operation, (event.input.origin, event.input.operation)
            )


RULES = (
    Rule(
        "XE205",
        "softmax-implicit-dim",
        NOTE,
        "A softmax or log_softmax without dim.",
        "PyTorch then guesses the axis from the number of axes and warns: axis 0 for 1 or 3 of "
        "them, else axis 1. The same line means different things for different inputs.",
        """
import torch.nn.functional as F


def probabilities(scores):
    return F.softmax(scores)
""",
        """
import torch.nn.functional as F


def probabilities(scores):
    return F.softmax(scores, dim=1)
""",
        _left_out,
        repair=Repair(
            "Adds dim=1, or dim=-1 after a linear layer. Safe where the scores are known "
            "to have two axes.",
            "safe or unsafe",
            add_axis,
        ),
    ),
    Rule(
        "XE206",
        "softmax-wrong-dim",
        WARNING,
        "A softmax over axis 0 of the scores of a batch.",
        "It normalises over the samples: each probability depends on the other rows of the batch, "
        "and rows don't sum to 1.",
        """
import torch.nn as nn
import torch.nn.functional as F

layer = nn.Linear(784, 10)


def forward(x):
    return F.log_softmax(layer(x.view(-1, 784)), dim=0)
""",
        """
import torch.nn as nn
import torch.nn.functional as F

layer = nn.Linear(784, 10)


def forward(x):
    return F.log_softmax(layer(x.view(-1, 784)), dim=1)
""",
        _over_samples,
        "Scores of one sample have one axis, so only scores that are known to be of a batch are "
        "meant: after Flatten, view(-1, n) or a batch norm.",
        repair=Repair(
            "Makes it axis 1 where the axis is written in the call.",
            "unsafe",
            change_axis,
        ),
        found_in=BOTH,
    ),
)
