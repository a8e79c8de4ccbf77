"""The axis along which the input was normalised, against that of the classes."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from xent.wiring._finding import NOTE
from xent.wiring._flow._losses import LOG_PROBABILITY
from xent.wiring._live._chance import chance_of_unit_sums, chance_words, level_by_chance
from xent.wiring._live._evidence import Evidence
from xent.wiring._live._report import Outcome, Unknown, found

# Sums over another axis need the whole tensor, not some of its rows.
_MOST_NUMBERS = 2**22


def axes(evidence: Evidence) -> Iterator[Outcome]:
    """Whether sums over another axis than that of the classes are 1."""
    batch = evidence.batch
    known = batch.class_axis is not None and batch.loss.name != "kl_div"
    if not known or batch.input.ndim < 2 or not _may_be_probabilities(evidence):
        return
    if batch.input.numel() > _MOST_NUMBERS:
        yield Unknown(("XE206",), "The batch is too large to sum over its other axes.")
        return
    numbers = batch.input.detach()
    numbers = numbers.double() if numbers.device.type == "cpu" else numbers.float()
    numbers = numbers.exp() if batch.loss.takes == LOG_PROBABILITY else numbers
    for axis in range(numbers.ndim):
        if axis != batch.class_axis and numbers.shape[axis] > 1:
            yield from _normalised_over(evidence, numbers, axis)


def _may_be_probabilities(evidence: Evidence) -> bool:
    """Not normalised over the classes, but of the range of what is normalised."""
    if evidence.batch.loss.takes == LOG_PROBABILITY:
        highest = evidence.values.max()
        return not evidence.are_log_probabilities and bool(highest <= 1e-3)
    return not evidence.are_probabilities and evidence.are_inside


def _normalised_over(evidence: Evidence, numbers: Tensor, axis: int) -> Iterator[Outcome]:
    batch, size = evidence.batch, numbers.shape[axis]
    sums = numbers.sum(dim=axis)
    deviation = float((sums - 1).abs().max())
    if not deviation <= batch.rows.tolerance(size):
        return
    columns = numbers.movedim(axis, -1).flatten(0, -2).cpu().double().numpy()
    chance = chance_of_unit_sums(
        columns, batch.rows.rounding, of_probabilities=not batch.takes_logits
    )
    if level_by_chance(chance) == NOTE:
        return
    what = "the samples" if axis == 0 else f"axis {axis}"
    yield found(
        "XE206",
        f"input sums to 1 over {what}, not over the classes on axis {batch.class_axis}: a "
        "softmax along the wrong axis.",
        _repair(evidence, axis),
        f"All {sums.numel():,} sums over axis {axis} are 1 up to {deviation:.2g}; those over the "
        f"classes aren't.{chance_words(chance)}",
    )


def _repair(evidence: Evidence, axis: int) -> str:
    batch = evidence.batch
    if batch.takes_logits:
        return f"Give it the logits: {batch.label} normalises them itself."
    other = "" if axis == 0 else f", or move the classes there: input.movedim({axis}, 1)"
    return f"Use dim={batch.class_axis} in the softmax{other}."
