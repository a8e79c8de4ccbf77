"""A choice among classes where there is one output only."""

from __future__ import annotations

from collections.abc import Iterator

from xent.wiring._finding import ERROR
from xent.wiring._flow._events import Applied, LossCall
from xent.wiring._flow._kinds import Kind
from xent.wiring._flow._losses import LOGITS
from xent.wiring._flow._producers import Effect
from xent.wiring._flow._record import Record
from xent.wiring._flow._values import Container, Instance, Tensor
from xent.wiring._rule import BOTH, Fault, Rule, fault


def _single_loss(record: Record) -> Iterator[Fault]:
    for event in record.of(LossCall):
        rows = event.loss.takes == LOGITS and event.loss.of_rows
        if rows and event.input.outputs == 1 and event.input.kind is Kind.LOGITS:
            message = (
                f"{event.input.operation} ({{0}}) has one output, and {event.label} ({{here}}) "
                "needs one for each class: the loss is always 0 and nothing is learnt. Use "
                "BCEWithLogitsLoss, or 2 outputs."
            )
            yield fault(event, message, event.label, (event.input.origin, event.input.operation))
    for applied in record.of(Applied):
        normalises = applied.effect in (Effect.SOFTMAX, Effect.LOG_SOFTMAX)
        if normalises and applied.input.kind is Kind.LOGITS and _over_single(applied):
            message = (
                f"{applied.operation} ({{here}}) over the one output of {applied.input.operation} "
                "({0}) is the same number for every input. Use sigmoid, or 2 outputs."
            )
            origin = (applied.input.origin, applied.input.operation)
            yield fault(applied, message, applied.operation, origin)


def _over_single(event: Applied) -> bool:
    """Whether the axis is that of the one output: the last of linear layers, the first of others.

    Axis 1 after a linear layer may be that of positions, as in attention, so it doesn't count.
    """
    if event.input.outputs != 1:
        return False
    return event.dim == (-1 if _is_linear(event.input) else 1)


def _is_linear(tensor: Tensor) -> bool:
    return "inear" in tensor.operation


def _single_argmax(record: Record) -> Iterator[Fault]:
    for event in record.of(Applied):
        if event.effect not in (Effect.CLASS_INDEX, Effect.EXTREME) or event.dim is None:
            continue
        if event.operation in ("multinomial", "one_hot", "bucketize"):
            continue
        whole = any(isinstance(model, Instance | Container) for model in event.input.models)
        of_model = event.dim == 1 and whole
        if event.input.outputs == 1 and (of_model or event.dim == -1):
            message = (
                f"{event.operation} ({{here}}) over the one output of {event.input.operation} "
                "({0}) is always class 0. Compare with a threshold."
            )
            yield fault(
                event, message, event.operation, (event.input.origin, event.input.operation)
            )


RULES = (
    Rule(
        "XE110",
        "cross-entropy-single-output",
        ERROR,
        "Cross-entropy or softmax over a single output.",
        "The softmax of one number is 1, so the loss is 0 for every input and its gradient too. "
        "Nothing is learnt, and nothing complains.",
        """
import torch.nn as nn
import torch.nn.functional as F

model = nn.Linear(20, 1)


def step(x, y):
    return F.cross_entropy(model(x), y)
""",
        """
import torch.nn as nn
import torch.nn.functional as F

model = nn.Linear(20, 1)


def step(x, y):
    return F.binary_cross_entropy_with_logits(model(x).squeeze(-1), y)
""",
        _single_loss,
        found_in=BOTH,
    ),
    Rule(
        "XE305",
        "argmax-on-single-output",
        ERROR,
        "The class is taken as the largest of one output.",
        "The largest of one number is always at index 0: every prediction is class 0.",
        """
import torch.nn as nn

model = nn.Sequential(nn.Linear(20, 1), nn.Sigmoid())


def predict(x):
    return model(x).argmax(dim=1)
""",
        """
import torch.nn as nn

model = nn.Sequential(nn.Linear(20, 1), nn.Sigmoid())


def predict(x):
    return model(x) > 0.5
""",
        _single_argmax,
    ),
)
