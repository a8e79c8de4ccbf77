"""Formulas written out that a fused function computes without losing digits."""

from __future__ import annotations

from collections.abc import Iterator

from xent.wiring._finding import NOTE
from xent.wiring._fixes._formulas import use_log_softmax, use_logsigmoid, use_logsumexp
from xent.wiring._flow._events import Applied
from xent.wiring._flow._kinds import Kind
from xent.wiring._flow._producers import Effect
from xent.wiring._flow._record import Record
from xent.wiring._flow._values import Tensor
from xent.wiring._rule import Fault, Repair, Rule, fault


def _of_softmax(tensor: Tensor) -> bool:
    if tensor.operation == "gumbel_softmax":  # its noise is in no fused function
        return False
    return tensor.kind is Kind.SOFTMAX or (
        tensor.kind is Kind.SIGMOID and "softmax" in tensor.operation
    )


def _logs(record: Record) -> Iterator[Applied]:
    return (event for event in record.of(Applied) if event.effect is Effect.LOG)


def _at(event: Applied, message: str) -> Fault:
    return fault(event, message, event.operation, (event.input.origin, event.input.operation))


def _log_softmax(record: Record) -> Iterator[Fault]:
    for event in _logs(record):
        if _of_softmax(event.input):
            yield _at(
                event,
                "log ({here}) of softmax ({0}) is -inf where a probability rounds to 0, or wrong "
                "there if a small number is added. Use log_softmax.",
            )


def _log_sigmoid(record: Record) -> Iterator[Fault]:
    for event in _logs(record):
        if event.input.kind is Kind.SIGMOID and not _of_softmax(event.input):
            inside, instead = (
                ("1 - sigmoid", "logsigmoid(-x)") if event.input.complement
                else ("sigmoid", "logsigmoid")
            )  # fmt: skip
            yield _at(
                event,
                f"log ({{here}}) of {inside} ({{0}}) is -inf where it rounds to 0, or wrong "
                f"there if a small number is added. Use {instead}.",
            )


def _is_bounded(summed: Tensor) -> bool:
    """Whether the greatest number is subtracted first, or the exponentials are of logarithms."""
    exponential = summed.before
    given = None if exponential is None else exponential.before
    return given is not None and given.operation in ("difference", "logarithm")


def _logsumexp(record: Record) -> Iterator[Fault]:
    for event in _logs(record):
        if event.input.kind is Kind.SUM_OF_EXPONENTIALS and not _is_bounded(event.input):
            yield _at(
                event,
                "log ({here}) of a sum ({0}) of exponentials is inf where one of them overflows. "
                "Use torch.logsumexp.",
            )


RULES = (
    Rule(
        "XE501",
        "manual-log-softmax",
        NOTE,
        "The logarithm of a softmax.",
        "In float32 a probability below 1e-45 is 0 and its logarithm -inf; adding a small number "
        "changes the value. Log_softmax keeps all digits.",
        """
import torch


def log_probabilities(scores):
    return torch.log(torch.softmax(scores, dim=1))
""",
        """
import torch


def log_probabilities(scores):
    return torch.log_softmax(scores, dim=1)
""",
        _log_softmax,
        repair=Repair(
            "Uses log_softmax, which gives other numbers where the softmax underflows.",
            "unsafe",
            use_log_softmax,
        ),
    ),
    Rule(
        "XE502",
        "manual-log-sigmoid",
        NOTE,
        "The logarithm of a sigmoid, or of 1 minus a sigmoid.",
        "Sigmoid rounds to 1 above 17 in float32, so log(1 - sigmoid(x)) is -inf there and its "
        "gradient NaN. Logsigmoid keeps all digits.",
        """
import torch


def log_probability(score):
    return torch.log(torch.sigmoid(score))
""",
        """
import torch.nn.functional as F


def log_probability(score):
    return F.logsigmoid(score)
""",
        _log_sigmoid,
        repair=Repair(
            "Uses logsigmoid: the same numbers to rounding, and finite ones where they were not.",
            "safe",
            use_logsigmoid,
        ),
    ),
    Rule(
        "XE503",
        "manual-logsumexp",
        NOTE,
        "The logarithm of a sum of exponentials.",
        "The exponential of 89 is infinite in float32. Torch.logsumexp takes out the largest.",
        """
import torch


def normaliser(scores):
    return torch.log(torch.exp(scores).sum(dim=1))
""",
        """
import torch


def normaliser(scores):
    return torch.logsumexp(scores, dim=1)
""",
        _logsumexp,
        repair=Repair(
            "Uses logsumexp: the same numbers to rounding, and finite ones where they were not.",
            "safe",
            use_logsumexp,
        ),
    ),
)
