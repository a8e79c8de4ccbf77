"""A loss that takes probabilities or their logarithms is given something else."""

from __future__ import annotations

from collections.abc import Iterator

from xent.wiring._finding import ERROR, NOTE, Fix
from xent.wiring._fixes._log_softmax import to_log_softmax
from xent.wiring._fixes._losses import add_log_target, other_loss
from xent.wiring._flow._events import Event, LossCall
from xent.wiring._flow._kinds import Kind
from xent.wiring._flow._record import Record
from xent.wiring._flow._values import NOTHING, Constant, Tensor
from xent.wiring._rule import BOTH, Fault, Repair, Rule, fault


def _calls(record: Record, name: str) -> Iterator[LossCall]:
    return (event for event in record.of(LossCall) if event.loss.name == name)


def _reaches(event: LossCall) -> str:
    return f"{event.input.operation} ({{0}}) reaches {event.label} ({{here}})"


def _at_loss(event: LossCall, message: str) -> Fault:
    return fault(event, message, event.label, (event.input.origin, event.input.operation))


def _logits_into_bce(record: Record) -> Iterator[Fault]:
    for event in _calls(record, "binary_cross_entropy"):
        if event.input.kind is Kind.LOGITS:
            yield _at_loss(
                event,
                f"The output of {_reaches(event)} without a sigmoid: it takes probabilities and "
                "fails on anything outside [0, 1]. Use BCEWithLogitsLoss.",
            )


def _softmax_into_bce(record: Record) -> Iterator[Fault]:
    for event in _calls(record, "binary_cross_entropy"):
        if event.input.kind is Kind.SOFTMAX:
            yield _at_loss(
                event,
                f"{_reaches(event)}, which takes every class by itself, but softmax makes them "
                "depend on each other. For one class out of several use CrossEntropyLoss.",
            )


def _probabilities_into_nll(record: Record) -> Iterator[Fault]:
    for event in _calls(record, "nll_loss"):
        if event.input.kind not in (Kind.SOFTMAX, Kind.SIGMOID) or _picks_out(event):
            continue
        yield _at_loss(
            event,
            f"{_reaches(event)}, which takes log-probabilities: the loss is minus a probability "
            "and negative. Use log_softmax, or CrossEntropyLoss on the logits.",
        )


def _picks_out(event: LossCall) -> bool:
    """Whether the loss is used to read the probability of the target, as focal losses do."""
    reduction = event.options.get("reduction", NOTHING)
    known = isinstance(reduction, Constant) and reduction.value in (None, "mean", "sum")
    return event.negated or not known or "reduce" in event.options


def _logits_into_nll(record: Record) -> Iterator[Fault]:
    for event in _calls(record, "nll_loss"):
        if event.input.kind is Kind.LOGITS and not _picks_out(event):
            yield _at_loss(
                event,
                f"The output of {_reaches(event)}, which takes log-probabilities: without "
                "log_softmax the loss has no lower bound. Use log_softmax, or CrossEntropyLoss.",
            )


def _divergence(record: Record) -> Iterator[Fault]:
    for event in _calls(record, "kl_div"):
        if event.input.kind in (Kind.SOFTMAX, Kind.SIGMOID, Kind.LOGITS):
            yield _at_loss(
                event,
                f"{_reaches(event)}, whose first argument is log-probabilities: the divergence has "
                "the wrong size and may be negative. Use log_softmax.",
            )
        target = event.target
        given = event.options.get("log_target", NOTHING)
        plain = isinstance(given, Constant) and not given.value
        if isinstance(target, Tensor) and target.kind is Kind.LOG_SOFTMAX and plain:
            message = (
                f"The target of {event.label} ({{here}}) comes from {target.operation} ({{0}}), "
                "but it is to be probabilities. Use softmax, or log_target=True."
            )
            yield fault(event, message, event.label, (target.origin, target.operation))


def _repaired_divergence(record: Record, event: Event) -> Fix | None:
    if not isinstance(event, LossCall):
        return None
    log_target = isinstance(event.target, Tensor) and event.target.kind is Kind.LOG_SOFTMAX
    if log_target and event.input.kind is Kind.SOFTMAX:
        return None  # the arguments are in the wrong order
    return add_log_target(record, event) if log_target else to_log_softmax(record, event)


RULES = (
    Rule(
        "XE105",
        "logits-into-bce",
        ERROR,
        "The output of a linear or convolution layer is given to binary cross-entropy, which takes "
        "probabilities.",
        "Outside [0, 1] the loss stops with an error (on a GPU with an assertion of the device). "
        "Where a batch happens to lie inside, it is wrong in silence.",
        """
import torch.nn as nn

model = nn.Linear(20, 1)
criterion = nn.BCELoss()


def step(x, y):
    return criterion(model(x), y)
""",
        """
import torch.nn as nn

model = nn.Linear(20, 1)
criterion = nn.BCEWithLogitsLoss()


def step(x, y):
    return criterion(model(x), y)
""",
        _logits_into_bce,
        "Only what comes straight from such a layer is meant: after an activation, a clamp or code "
        "that can't be read the scale is not known.",
        repair=Repair(
            "Uses BCEWithLogitsLoss. What the model returns stays a logit, so thresholds "
            "and scores elsewhere must know.",
            "unsafe",
            other_loss("binary_cross_entropy_with_logits"),
        ),
        found_in=BOTH,
    ),
    Rule(
        "XE106",
        "probabilities-into-nll",
        ERROR,
        "Probabilities are given to the negative log-likelihood loss, which takes logarithms.",
        "The loss is minus the probability of the target: negative, bounded, and nearly without "
        "gradient where the model is wrong.",
        """
import torch.nn.functional as F


def step(model, x, y):
    return F.nll_loss(F.softmax(model(x), dim=1), y)
""",
        """
import torch.nn.functional as F


def step(model, x, y):
    return F.nll_loss(F.log_softmax(model(x), dim=1), y)
""",
        _probabilities_into_nll,
        'With reduction="none", or negated at once, the loss is used to pick out the probability '
        "of the target, which is right.",
        repair=Repair(
            "Turns softmax into log_softmax. What the code returns may change.",
            "unsafe",
            to_log_softmax,
        ),
        found_in=BOTH,
    ),
    Rule(
        "XE107",
        "logits-into-nll",
        ERROR,
        "The output of a linear or convolution layer is given to the negative log-likelihood loss, "
        "which takes log-probabilities.",
        "The loss only reads the score of the target: it falls without bound by making all scores "
        "larger.",
        """
import torch.nn as nn
import torch.nn.functional as F

model = nn.Linear(20, 10)


def step(x, y):
    return F.nll_loss(model(x), y)
""",
        """
import torch.nn as nn
import torch.nn.functional as F

model = nn.Linear(20, 10)


def step(x, y):
    return F.cross_entropy(model(x), y)
""",
        _logits_into_nll,
        repair=Repair(
            "Uses CrossEntropyLoss.",
            "unsafe",
            other_loss("cross_entropy"),
        ),
        found_in=BOTH,
    ),
    Rule(
        "XE108",
        "softmax-into-bce",
        NOTE,
        "Probabilities from softmax are given to binary cross-entropy.",
        "Binary cross-entropy takes each class as a yes or no by itself, softmax ties them "
        "together. For one class out of several cross-entropy is the likelihood; for several at "
        "once the activation is sigmoid. Some losses for rare classes do it on purpose.",
        """
import torch.nn.functional as F


def step(model, x, y):
    return F.binary_cross_entropy(F.softmax(model(x), dim=1), y)
""",
        """
import torch.nn.functional as F


def step(model, x, y):
    return F.cross_entropy(model(x), y)
""",
        _softmax_into_bce,
        "One column of a softmax is the probability of one class and is left alone.",
        found_in=BOTH,
    ),
    Rule(
        "XE111",
        "kl-div-input-not-log",
        ERROR,
        "The first argument of the Kullback-Leibler divergence is not log-probabilities, or the "
        "target is log-probabilities without log_target.",
        "PyTorch takes the first argument in logarithms and the target as probabilities. With "
        "anything else the number is no divergence, and may be negative.",
        """
import torch.nn.functional as F


def distil(student, teacher):
    return F.kl_div(F.softmax(student, dim=1), F.softmax(teacher, dim=1), reduction="batchmean")
""",
        """
import torch.nn.functional as F


def distil(student, teacher):
    return F.kl_div(F.log_softmax(student, dim=1), F.softmax(teacher, dim=1), reduction="batchmean")
""",
        _divergence,
        repair=Repair(
            "Turns softmax into log_softmax, or adds log_target=True for the target.",
            "unsafe",
            _repaired_divergence,
        ),
        found_in=BOTH,
    ),
)
