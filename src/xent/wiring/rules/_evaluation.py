"""Outputs are read in another way than the loss they were trained with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xent.wiring._finding import ERROR, NOTE, WARNING
from xent.wiring._fixes._activations import remove_input_activation
from xent.wiring._fixes._evaluation import apply_link, compare_with_zero, to_sigmoid, to_softmax
from xent.wiring._flow._events import Applied, Compared, LossCall, Returned, Scored
from xent.wiring._flow._kinds import Kind
from xent.wiring._flow._losses import LOGITS
from xent.wiring._flow._producers import Effect
from xent.wiring._flow._record import Record
from xent.wiring._flow._values import Tensor
from xent.wiring._places import Site
from xent.wiring._rule import BOTH, Fault, Repair, Rule, fault


def _trained_on_logits(record: Record, tensor: Tensor, *, of_rows: bool) -> LossCall | None:
    """The loss on logits that the output was trained with, if all its losses are of that family."""
    losses = [event for event in record.losses_of(tensor) if event.input.kind is Kind.LOGITS]
    right = [event for event in losses if event.loss.takes == LOGITS]
    right = [event for event in right if event.loss.of_rows is of_rows]
    return right[0] if right and len(right) == len(losses) else None


def _wrong_link(
    record: Record, effect: Effect, *, of_rows: bool
) -> Iterator[tuple[Applied, LossCall]]:
    for event in record.of(Applied):
        logits = event.input.kind is Kind.LOGITS and event.input.outputs != 1
        if event.effect is effect and logits:
            loss = _trained_on_logits(record, event.input, of_rows=of_rows)
            if loss is not None and loss.site.key != event.site.key:
                yield event, loss


def _level(record: Record, site: Site) -> str:
    """Decisions by the largest survive a wrong link; thresholds and scores don't."""
    chosen = False
    for event in record.events:
        if isinstance(event, Compared | Scored) and event.tensor.origin is site:
            return ERROR
        if isinstance(event, Applied) and event.input.origin is site:
            chosen = chosen or event.effect in (Effect.CLASS_INDEX, Effect.EXTREME)
    return NOTE if chosen else WARNING


def _sigmoid_on_softmax(record: Record) -> Iterator[Fault]:
    for event, loss in _wrong_link(record, Effect.SIGMOID, of_rows=True):
        message = (
            f"{event.operation} ({{here}}) of logits ({{0}}) that are trained with {loss.label} "
            "({1}): the results don't sum to 1 over the classes and aren't its probabilities. Use "
            "softmax."
        )
        places: Sequence[tuple[Site | None, str]] = (
            (event.input.origin, event.input.operation), (loss.site, loss.label),
        )  # fmt: skip
        yield fault(event, message, event.operation, *places, level=_level(record, event.site))


def _softmax_on_multilabel(record: Record) -> Iterator[Fault]:
    for event, loss in _wrong_link(record, Effect.SOFTMAX, of_rows=False):
        message = (
            f"{event.operation} ({{here}}) of logits ({{0}}) that are trained with {loss.label} "
            "({1}), where each class is a yes or no by itself. Use sigmoid."
        )
        places: Sequence[tuple[Site | None, str]] = (
            (event.input.origin, event.input.operation), (loss.site, loss.label),
        )  # fmt: skip
        yield fault(event, message, event.operation, *places, level=_level(record, event.site))


def _threshold(record: Record) -> Iterator[Fault]:
    for event in record.of(Compared):
        if not 0 < event.number < 1 or event.tensor.kind is not Kind.LOGITS:
            continue
        losses = [loss for loss in record.losses_of(event.tensor) if loss.loss.takes == LOGITS]
        losses = [loss for loss in losses if loss.input.kind is Kind.LOGITS]
        if losses:
            loss = losses[0]
            message = (
                f"Logits ({{0}}), trained with {loss.label} ({{1}}), are compared with "
                f"{event.number:g} ({{here}}), which is a probability of "
                f"{_sigmoid(event.number):.2f}. Compare with 0, or apply sigmoid first."
            )
            origin = (event.tensor.origin, event.tensor.operation)
            yield fault(event, message, "threshold", origin, (loss.site, loss.label))


def _sigmoid(logit: float) -> float:
    from math import exp

    return 1 / (1 + exp(-logit))


def _not_probabilities(record: Record) -> Iterator[Fault]:
    scales = {
        Kind.LOGITS: ("logits", "Use softmax or sigmoid first."),
        Kind.LOG_SOFTMAX: ("log-probabilities", "Use exp first."),
    }
    for event in record.of(Scored):
        if event.tensor.kind in scales:
            survives = (
                " Only the order counts here, so the value is right." if event.of_ranks else ""
            )
            scale, repair = scales[event.tensor.kind]
            message = (
                f"{scale} from {event.tensor.operation} ({{0}}) are given to {event.metric} "
                f"({{here}}) as probabilities.{survives} {repair}"
            )
            level = NOTE if event.of_ranks else None
            origin = (event.tensor.origin, event.tensor.operation)
            yield fault(event, message[0].upper() + message[1:], event.metric, origin, level=level)
    for returned in record.of(Returned):
        if returned.tensor.kind in scales:
            scale, repair = scales[returned.tensor.kind]
            message = (
                f"{returned.function} returns {scale} ({{here}}) from "
                f"{returned.tensor.operation} ({{0}}). {repair}"
            )
            origin = (returned.tensor.origin, returned.tensor.operation)
            yield fault(returned, message, "not probabilities", origin)
    yield from _exponentials(record)


def _exponentials(record: Record) -> Iterator[Fault]:
    """Of raw scores: what is then summed or sampled from is the first half of a softmax."""
    used = {id(event.input) for event in record.of(Applied)}
    for event in record.of(Applied):
        if event.effect is not Effect.EXP or event.input.kind is not Kind.LOGITS:
            continue
        loss = _trained_on_logits(record, event.input, of_rows=True)
        if loss is None or event.output is None or id(event.output) in used:
            continue
        if not event.evaluating:
            continue
        message = (
            f"exp ({{here}}) of logits ({{0}}) that are trained with {loss.label} ({{1}}) gives no "
            "probabilities: they don't sum to 1. Use softmax."
        )
        origin = (event.input.origin, event.input.operation)
        yield fault(event, message, "exp", origin, (loss.site, loss.label), level=WARNING)


def _mismatch(record: Record) -> Iterator[Fault]:
    for event in record.of(LossCall):
        probabilities = event.input.kind in (Kind.SOFTMAX, Kind.SIGMOID)
        if event.evaluating and probabilities and event.loss.takes == LOGITS:
            trained = [
                loss for loss in record.losses_of(event.input)
                if not loss.evaluating and loss.loss is event.loss
                and loss.input.kind is Kind.LOGITS
            ]  # fmt: skip
            if trained:
                message = (
                    f"{event.label} ({{here}}) is given {event.input.operation} ({{0}}) at "
                    f"evaluation and logits in training ({{1}}): the two losses can't be compared. "
                    "Give it the logits in both."
                )
                origin = (event.input.origin, event.input.operation)
                yield fault(event, message, event.label, origin, (trained[0].site, "in training"))
    for scored in record.of(Scored):
        yield from _scored_otherwise(record, scored)


def _scored_otherwise(record: Record, event: Scored) -> Iterator[Fault]:
    """Log loss of probabilities that are not those whose log loss was minimised."""
    logits = event.tensor.before
    if event.of_ranks or logits is None or logits.kind is not Kind.LOGITS:
        return
    of_rows = event.tensor.kind is Kind.SIGMOID and event.tensor.operation != "softmax"
    if event.tensor.kind not in (Kind.SIGMOID, Kind.SOFTMAX):
        return
    loss = _trained_on_logits(record, logits, of_rows=of_rows)
    if loss is None or (event.tensor.operation == "softmax" and of_rows):
        return
    minimised = "softmax" if of_rows else "sigmoid"
    if minimised in event.tensor.operation:
        return
    message = (
        f"{event.metric} ({{here}}) scores {event.tensor.operation} ({{0}}) of the outputs, but "
        f"{loss.label} ({{1}}) was minimised, whose probabilities are their {minimised}: the loss "
        "scored is not the loss minimised."
    )
    origin = (event.tensor.origin, event.tensor.operation)
    yield fault(event, message, event.metric, origin, (loss.site, loss.label))


RULES = (
    Rule(
        "XE113",
        "train-eval-loss-mismatch",
        WARNING,
        "The loss at validation or test is of other numbers than the loss in training.",
        "With an activation before the loss only at evaluation, or a score of other probabilities "
        "than those that were fitted, the two curves measure different things.",
        """
import torch
import torch.nn as nn
import torch.nn.functional as F

model = nn.Linear(20, 10)
criterion = nn.CrossEntropyLoss()


def train(x, y):
    return criterion(model(x), y)


def validate(x, y):
    return criterion(F.softmax(model(x), dim=1), y)
""",
        """
import torch
import torch.nn as nn

model = nn.Linear(20, 10)
criterion = nn.CrossEntropyLoss()


def train(x, y):
    return criterion(model(x), y)


def validate(x, y):
    return criterion(model(x), y)
""",
        _mismatch,
        repair=Repair(
            "Takes the activation away, or gives the loss what it was applied to.",
            "unsafe",
            remove_input_activation,
        ),
    ),
    Rule(
        "XE301",
        "sigmoid-on-softmax-logits",
        WARNING,
        "Sigmoid of logits that were trained with cross-entropy.",
        "Cross-entropy fits softmax of the logits. Sigmoids of the same logits don't sum to 1, and "
        "adding a number to all logits of a row, which changes nothing for the loss, changes them. "
        "The largest stays the largest (then this is a note); thresholds, log loss and calibration "
        "are wrong (then it is an error).",
        """
import torch
import torch.nn as nn
import torch.nn.functional as F

model = nn.Linear(20, 10)


def train(x, y):
    return F.cross_entropy(model(x), y)


def predict(x):
    return torch.sigmoid(model(x))
""",
        """
import torch
import torch.nn as nn
import torch.nn.functional as F

model = nn.Linear(20, 10)


def train(x, y):
    return F.cross_entropy(model(x), y)


def predict(x):
    return torch.softmax(model(x), dim=1)
""",
        _sigmoid_on_softmax,
        repair=Repair(
            "Uses softmax over the classes.",
            "unsafe",
            to_softmax,
        ),
        found_in=BOTH,
    ),
    Rule(
        "XE302",
        "threshold-on-logits",
        WARNING,
        "Logits are compared with a number between 0 and 1, or rounded.",
        "The middle of probabilities is 0.5, that of logits is 0. A logit above 0.5 is a "
        "probability above 0.62.",
        """
import torch.nn as nn
import torch.nn.functional as F

model = nn.Linear(20, 1)


def train(x, y):
    return F.binary_cross_entropy_with_logits(model(x), y)


def predict(x):
    return model(x) > 0.5
""",
        """
import torch.nn as nn
import torch.nn.functional as F

model = nn.Linear(20, 1)


def train(x, y):
    return F.binary_cross_entropy_with_logits(model(x), y)


def predict(x):
    return model(x) > 0
""",
        _threshold,
        "Only outputs that a loss on logits was given too are meant: others may be regressions.",
        repair=Repair(
            "Compares with 0 in place of 0.5 where the loss was binary cross-entropy with logits.",
            "unsafe",
            compare_with_zero,
        ),
    ),
    Rule(
        "XE303",
        "softmax-on-multilabel-logits",
        WARNING,
        "Softmax of logits that were trained with binary cross-entropy.",
        "Binary cross-entropy fits each class as a yes or no by itself. Softmax forces their "
        "probabilities to sum to 1, so that of two classes that are both right each gets a half.",
        """
import torch
import torch.nn as nn
import torch.nn.functional as F

model = nn.Linear(20, 10)


def train(x, y):
    return F.binary_cross_entropy_with_logits(model(x), y)


def predict(x):
    return torch.softmax(model(x), dim=1)
""",
        """
import torch
import torch.nn as nn
import torch.nn.functional as F

model = nn.Linear(20, 10)


def train(x, y):
    return F.binary_cross_entropy_with_logits(model(x), y)


def predict(x):
    return torch.sigmoid(model(x))
""",
        _softmax_on_multilabel,
        repair=Repair(
            "Uses sigmoid.",
            "unsafe",
            to_sigmoid,
        ),
        found_in=BOTH,
    ),
    Rule(
        "XE304",
        "logits-as-probabilities",
        ERROR,
        "Logits are returned or scored as probabilities.",
        "Log loss, Brier score and calibration of logits mean nothing; predict_proba promises "
        "numbers between 0 and 1. Areas under curves only need the order, so there it is a note.",
        """
import torch.nn as nn
from sklearn.metrics import log_loss

model = nn.Linear(20, 10)


def evaluate(x, y):
    return log_loss(y, model(x).detach().numpy())
""",
        """
import torch.nn as nn
from sklearn.metrics import log_loss

model = nn.Linear(20, 10)


def evaluate(x, y):
    return log_loss(y, model(x).softmax(dim=1).detach().numpy())
""",
        _not_probabilities,
        repair=Repair(
            "Applies the link that belongs to the loss, where the code shows a tensor.",
            "unsafe",
            apply_link,
        ),
        found_in=BOTH,
    ),
)
