"""An activation before a loss that has its own, or before the same activation once more."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from xent.wiring._finding import ERROR, NOTE, WARNING
from xent.wiring._fixes._activations import remove_input_activation, remove_outer_or_inner
from xent.wiring._fixes._losses import drop_one_log_softmax
from xent.wiring._flow._events import Applied, LossCall
from xent.wiring._flow._kinds import Kind
from xent.wiring._flow._losses import LOGITS
from xent.wiring._flow._producers import Effect
from xent.wiring._flow._record import Record
from xent.wiring._rule import BOTH, Fault, Repair, Rule, fault


def _into(
    kinds: tuple[Kind, ...], message: Callable[[LossCall], str], *, of_rows: bool | None
) -> Callable[[Record], Iterator[Fault]]:
    """Faults where a tensor of some kind reaches a loss that takes logits."""

    def faults(record: Record) -> Iterator[Fault]:
        for event in record.of(LossCall):
            right_family = of_rows is None or event.loss.of_rows is of_rows
            if event.loss.takes == LOGITS and right_family and event.input.kind in kinds:
                what = event.input.operation
                yield fault(event, message(event), event.label, (event.input.origin, what))

    return faults


def _reaches(event: LossCall) -> str:
    return f"{event.input.operation} ({{0}}) reaches {event.label} ({{here}})"


def _softmax_message(event: LossCall) -> str:
    classes = event.input.outputs
    floor = "ln(1 + (C - 1)/e) for C classes"
    if classes is not None and classes > 1:
        floor = f"{math.log1p((classes - 1) / math.e):.2f} for {classes} classes"
    return (
        f"{_reaches(event)}, which applies log_softmax itself: the loss can't go below {floor}, "
        "and gradients are weak. Give it the logits."
    )


def _log_softmax_message(event: LossCall) -> str:
    return (
        f"{_reaches(event)}, which applies log_softmax itself. The value is the same, the work is "
        "done twice: give it the logits, or use NLLLoss."
    )


def _sigmoid_message(event: LossCall) -> str:
    return (
        f"{_reaches(event)}, which takes logits: scores squeezed into (0, 1) can't make one class "
        "sure. Give it the logits."
    )


def _binary_message(event: LossCall) -> str:
    return (
        f"{_reaches(event)}, which applies sigmoid itself: probabilities stay between 0.5 and "
        "0.73. Give it the logits, or use BCELoss."
    )


def _bounded_message(event: LossCall) -> str:
    return (
        f"{_reaches(event)}, which takes logits of either sign: {event.input.operation} cuts or "
        "bounds them. Remove it after the last layer."
    )


def _nested(record: Record) -> Iterator[Fault]:
    for event in record.of(Applied):
        outer = event.effect in (Effect.SOFTMAX, Effect.LOG_SOFTMAX)
        if outer and event.input.kind is Kind.SOFTMAX and _may_be_same(event):
            message = (
                f"{event.operation} ({{here}}) of a {event.input.operation} ({{0}}): "
                "probabilities become nearly equal. Apply it once."
            )
            yield fault(
                event, message, event.operation, (event.input.origin, event.input.operation)
            )


def _may_be_same(event: Applied) -> bool:
    """Whether both normalise over one axis, as far as the code says it."""
    dims = {event.dim, event.input.dim}
    return len(dims) == 1 or None in dims or dims == {1, -1}


RULES = (
    Rule(
        "XE101",
        "softmax-into-cross-entropy",
        ERROR,
        "Probabilities from softmax are given to cross-entropy.",
        "Cross-entropy takes logits and applies log_softmax itself. After a softmax of your own it "
        "is applied twice: the loss can't go below ln(1 + (C - 1)/e), which is 0.31 for 2 classes, "
        "1.46 for 10 and 5.91 for 1000, and gradients are weak. Training goes on and looks slow.",
        """
import torch.nn as nn
import torch.nn.functional as F

model = nn.Sequential(nn.Linear(20, 10), nn.Softmax(dim=1))


def step(x, y):
    return F.cross_entropy(model(x), y)
""",
        """
import torch.nn as nn
import torch.nn.functional as F

model = nn.Sequential(nn.Linear(20, 10))


def step(x, y):
    return F.cross_entropy(model(x), y)
""",
        _into((Kind.SOFTMAX,), _softmax_message, of_rows=True),
        "A softmax in attention, in a second output or after the loss is not meant; only one whose "
        "result reaches the loss is. Probabilities as the target are right.",
        repair=Repair(
            "Takes the softmax away, or gives the loss what the softmax was applied to. "
            "What the code returns may change.",
            "unsafe",
            remove_input_activation,
        ),
        found_in=BOTH,
    ),
    Rule(
        "XE102",
        "log-softmax-into-cross-entropy",
        NOTE,
        "Log-probabilities from log_softmax are given to cross-entropy.",
        "Log_softmax of log-probabilities changes nothing, so the loss is right; the work is done "
        "twice, and who removes one of the two later may remove the wrong one.",
        """
import torch.nn.functional as F


def step(model, x, y):
    return F.cross_entropy(F.log_softmax(model(x), dim=1), y)
""",
        """
import torch.nn.functional as F


def step(model, x, y):
    return F.nll_loss(F.log_softmax(model(x), dim=1), y)
""",
        _into((Kind.LOG_SOFTMAX,), _log_softmax_message, of_rows=True),
        repair=Repair(
            "Takes away the log_softmax in the argument, or uses NLLLoss. Safe where the "
            "axis is 1 and, for NLLLoss, the target is known to be class indices and the "
            "loss object is used nowhere else.",
            "safe or unsafe",
            drop_one_log_softmax,
        ),
        found_in=BOTH,
    ),
    Rule(
        "XE103",
        "sigmoid-into-cross-entropy",
        ERROR,
        "Sigmoids are given to cross-entropy.",
        "Cross-entropy takes logits. Scores between 0 and 1 can differ by at most 1, so that no "
        "class gets a probability above e / (e + C - 1), and the loss has the floor of XE101.",
        """
import torch
import torch.nn.functional as F


def step(model, x, y):
    return F.cross_entropy(torch.sigmoid(model(x)), y)
""",
        """
import torch.nn.functional as F


def step(model, x, y):
    return F.cross_entropy(model(x), y)
""",
        _into((Kind.SIGMOID, Kind.LOG_SIGMOID), _sigmoid_message, of_rows=True),
        repair=Repair(
            "Takes the sigmoid away, or gives the loss what it was applied to. What the "
            "code returns may change.",
            "unsafe",
            remove_input_activation,
        ),
        found_in=BOTH,
    ),
    Rule(
        "XE104",
        "sigmoid-into-bce-with-logits",
        ERROR,
        "Probabilities are given to binary cross-entropy with logits.",
        "The loss applies sigmoid itself. Of a probability that is a number between 0.5 and 0.73, "
        "so a negative costs at least ln 2 whatever the model says.",
        """
import torch
import torch.nn as nn

criterion = nn.BCEWithLogitsLoss()


def step(model, x, y):
    return criterion(torch.sigmoid(model(x)), y)
""",
        """
import torch.nn as nn

criterion = nn.BCEWithLogitsLoss()


def step(model, x, y):
    return criterion(model(x), y)
""",
        _into((Kind.SIGMOID, Kind.SOFTMAX), _binary_message, of_rows=False),
        repair=Repair(
            "Takes the activation away, or gives the loss what it was applied to. What "
            "the code returns may change.",
            "unsafe",
            remove_input_activation,
        ),
        found_in=BOTH,
    ),
    Rule(
        "XE109",
        "activation-on-logits",
        WARNING,
        "ReLU, tanh or the like is the last step before a loss that takes logits.",
        "Logits are log-odds of either sign and any size. ReLU makes every negative one 0 and "
        "stops its gradient; tanh bounds them, as in XE103.",
        """
import torch.nn as nn

model = nn.Sequential(nn.Linear(20, 10), nn.ReLU())
criterion = nn.CrossEntropyLoss()


def step(x, y):
    return criterion(model(x), y)
""",
        """
import torch.nn as nn

model = nn.Sequential(nn.Linear(20, 10))
criterion = nn.CrossEntropyLoss()


def step(x, y):
    return criterion(model(x), y)
""",
        _into((Kind.ACTIVATED,), _bounded_message, of_rows=None),
        "Activations whose result is scaled afterwards, as in 10 * tanh(x), are left alone.",
        repair=Repair(
            "Takes the activation away where it is used for nothing else.",
            "unsafe",
            remove_input_activation,
        ),
        found_in=BOTH,
    ),
    Rule(
        "XE112",
        "nested-softmax",
        ERROR,
        "A softmax is taken of a softmax.",
        "Probabilities lie between 0 and 1, so the second softmax makes them nearly equal: of 10 "
        "classes none gets more than 0.23.",
        """
import torch.nn.functional as F


def probabilities(model, x):
    return F.softmax(F.softmax(model(x), dim=1), dim=1)
""",
        """
import torch.nn.functional as F


def probabilities(model, x):
    return F.softmax(model(x), dim=1)
""",
        _nested,
        "Softmaxes over different axes are left alone.",
        repair=Repair(
            "Takes one of the two away.",
            "unsafe",
            remove_outer_or_inner,
        ),
        found_in=BOTH,
    ),
)
