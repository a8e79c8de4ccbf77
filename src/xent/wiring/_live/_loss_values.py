"""What the numbers of a running loss say: the first, where it settles, and that nothing moves."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from xent._symptoms import double_softmax_loss_floor
from xent.wiring._live._batch import Batch
from xent.wiring._live._report import LiveFinding, Unknown, found

# One nat more than a guess is what logits of standard deviation 1.4 cost that know nothing; the
# losses of single rows scatter by about as much, and their mean is allowed three standard errors.
_TOO_MUCH, _STANDARD_ERRORS = 1.0, 3.0
_SETTLED, _FEWEST = 20, 40
# Of rows whose target is lowest, by chance no more than one in as many as there are classes.
_FEWEST_ROWS, _NEARLY_ALL = 8, 0.9
OF_MARGIN = Unknown(
    ("XE604", "XE605"),
    "The class of the target has the lowest score in nearly all rows, as a margin makes it.",
)


def initial_loss_finding(loss: float, batch: Batch) -> LiveFinding | None:
    """Whether the first mean loss is far above that of a guess: ln C, or ln 2 for yes or no.

    A model that knows nothing and says so has a loss of ln C, and less where its biases begin at
    the class frequencies. Much more means sure predictions about what it can't know yet.

    Args:
        loss: the mean over the first batch, in nats.
        batch: that batch.
    """
    guess = guessing_loss(batch)
    if guess is None or math.isnan(loss) or has_margin(batch):
        return None
    if loss <= guess[0] + _TOO_MUCH + _STANDARD_ERRORS / math.sqrt(max(len(batch.rows), 1)):
        return None
    return found(
        "XE604",
        f"The first loss is {loss:.3g}, and guessing costs {guess[1]}: the model is sure "
        "of what it can't know yet.",
        "Make the initial weights of the last layer smaller, or scale the features.",
        f"The loss is {loss - guess[0]:.3g} nats above it.",
    )


def guessing_loss(batch: Batch) -> tuple[float, str] | None:
    """The loss in nats of giving every class the same probability, and how it is written."""
    if batch.options.get("pos_weight") is not None or batch.options.get("weight") is not None:
        return None
    if batch.loss.name in ("cross_entropy", "nll_loss"):
        classes = batch.classes or 0
        return (
            (math.log(classes), f"ln {classes} = {math.log(classes):.3g}") if classes > 1 else None
        )
    if batch.loss.name in ("binary_cross_entropy", "binary_cross_entropy_with_logits"):
        return math.log(2), "ln 2 = 0.693"
    return None


def has_margin(batch: Batch) -> bool:
    """Whether the class of the target alone has the lowest score in nearly all rows.

    No model does that by itself: a loss with a margin, such as ArcFace, lowers that score before
    the cross-entropy.

    >>> import torch
    >>> from xent.wiring._live import batch_of
    >>> target = torch.arange(12) % 4
    >>> logits = torch.ones(12, 4).scatter(1, target[:, None], -20.0)
    >>> has_margin(batch_of("cross_entropy", logits, target))
    True
    """
    indices, rows = batch.classes_of_rows, batch.rows
    if indices is None or len(rows) < _FEWEST_ROWS or rows.classes < 3:
        return False
    of_target = rows.values[np.arange(len(rows)), indices]
    not_above = (rows.values <= of_target[:, None]).sum(axis=1)
    return bool((not_above == 1).mean() > _NEARLY_ALL)


def floor_finding(losses: Sequence[float], classes: int) -> LiveFinding | None:
    """Whether a running cross-entropy has settled at the floor of a double softmax.

    That floor is ``ln(1 + (C - 1)/e)``. The loss must lie above it all the time, as it does where
    softmax is applied twice, and rest right on it: a loss that passes by on its way down is not
    meant, nor one that scatters around it.

    Args:
        losses: mean losses in nats, in order; at least 40.
        classes: the number of classes, C.

    >>> falling = [1.4612 + 0.8 * 0.9**step for step in range(200)]
    >>> floor_finding(falling, 10).code
    'XE607'
    >>> floor_finding([loss - 1 for loss in falling], 10) is None
    True
    """
    if classes < 2 or len(losses) < _FEWEST or not np.all(np.isfinite(losses)):
        return None
    floor, guess = double_softmax_loss_floor(classes), math.log(classes)
    recent = np.asarray(losses[-max(_SETTLED, len(losses) // 4) :], dtype=float)
    above = (recent - floor) / (guess - floor)
    halves = above[: len(above) // 2].mean(), above[len(above) // 2 :].mean()
    # Single precision of the losses themselves, not of the test.
    never_below = min(losses) >= floor * (1 - 1e-5)
    settled = above.max() < 0.1 and halves[1] < 0.03 and abs(halves[0] - halves[1]) < 0.02
    if not (never_below and settled):
        return None
    return found(
        "XE607",
        f"The loss has settled at {recent.mean():.4g}, the least that cross-entropy can reach when "
        f"it is given probabilities of {classes} classes: ln(1 + {classes - 1}/e) = {floor:.4g}.",
        "Look for a softmax or sigmoid before the loss, and give it the logits.",
        f"The last {len(recent)} losses lie between {recent.min():.4g} and {recent.max():.4g}.",
    )


def dead_gradient_finding(of_what: str, evidence: str) -> LiveFinding:
    """That a gradient that was looked at is exactly 0 throughout.

    Args:
        of_what: whose gradient, such as ``the scores`` or ``all parameters``.
        evidence: what was seen, as a sentence.

    >>> dead_gradient_finding("the scores", "All 32 rows.").code
    'XE608'
    """
    return found(
        "XE608",
        f"The gradient of {of_what} is exactly 0: nothing is learnt from this batch.",
        "Look for an activation without slope, a detach or a cast to integers before the loss.",
        evidence,
    )
