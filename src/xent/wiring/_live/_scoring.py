"""Probabilities that are scored, against the loss that the outputs were trained with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xent.wiring._finding import ERROR, NOTE
from xent.wiring._live._batch import Batch
from xent.wiring._live._chance import chance_words, level_by_chance
from xent.wiring._live._evidence import Evidence
from xent.wiring._live._given_loss import CLASS_PROBABILITY
from xent.wiring._live._report import LiveFinding, Outcome, Right, Unknown, found, range_words
from xent.wiring._live._trained import against_outputs, two_losses

# Numbers in single precision are no multiples of 0.01, and not far from it.
_MOST_DECIMALS, _OF_SINGLE_PRECISION = 5, 1e-7
_SCALES = ("probability", CLASS_PROBABILITY)


def scoring(batch: Batch) -> Iterator[Outcome]:
    """Whether what is scored are the probabilities that were trained."""
    if not batch.has_values or batch.loss.takes not in _SCALES:
        return
    evidence = Evidence(batch)
    if not evidence.values.size:
        return
    compared = list(against_outputs(evidence))
    yield from compared
    if any(isinstance(each, LiveFinding) for each in compared):
        return
    of_rows = batch.loss.takes == CLASS_PROBABILITY
    if of_rows and not evidence.are_inside:
        yield found(
            "XE304",
            f"{batch.label} takes probabilities, and input has other numbers.",
            "Use softmax or sigmoid first, whichever belongs to the loss of the training.",
            f"The values go from {evidence.range_words()}.",
        )
    elif evidence.values.shape[1] > 1:
        yield from _of_several_classes(evidence, of_rows=of_rows)
    elif batch.trained_with is not None and batch.trained_with.loss.of_rows:
        yield Unknown(("XE301",), "Probabilities of one class alone have no sum to look at.")


def _of_several_classes(evidence: Evidence, *, of_rows: bool) -> Iterator[Outcome]:
    batch = evidence.batch
    trained = batch.trained_with
    by_rows = trained.loss.of_rows if trained is not None else of_rows
    if by_rows and evidence.are_inside and not evidence.are_probabilities:
        decimals = _decimals(evidence)
        if decimals:
            words = (
                f"Rows sum to {range_words(evidence.sums)}, as far from 1 as numbers of {decimals}"
            )
            yield Unknown(("XE301",), f"{words} decimals may.")
        else:
            yield _sums_differ(evidence)
    elif by_rows and evidence.are_probabilities:
        whose = f"as those of {trained.label} do" if trained else f"as {batch.label} takes them"
        yield Right(("XE304",), f"The sums of {batch.rows.words()} are 1, {whose}.")
        if trained is not None and batch.outputs is None and batch.classes == 2:
            yield Unknown(
                ("XE301",),
                "Two columns that sum to 1 may be a sigmoid of one output and still not what was "
                "trained: outputs= compares.",
            )
    elif trained is not None and evidence.are_probabilities and evidence.values.shape[1] > 2:
        # Of two columns one may be 1 minus the other, which is right.
        chance = evidence.chance_of_sums
        if level_by_chance(chance) == NOTE:
            return
        yield found(
            "XE303",
            f"The probabilities of the classes sum to 1, but {trained.label} trained each class as "
            "a yes or no by itself.",
            "Use sigmoid.",
            f"So they do in {batch.rows.words()}.{chance_words(chance)}",
            level_by_chance(chance),
        )


def _decimals(evidence: Evidence) -> int | None:
    """To how many decimals the values were rounded, if that explains their sums."""
    values, distance = evidence.values, float(np.abs(evidence.sums - 1).max())
    for decimals in range(1, _MOST_DECIMALS + 1):
        whole = values * 10.0**decimals
        if np.abs(whole - whole.round()).max() < _OF_SINGLE_PRECISION * 10.0**decimals:
            return decimals if distance <= values.shape[1] * 0.5 / 10.0**decimals else None
    return None


def _sums_differ(evidence: Evidence) -> LiveFinding:
    batch, sums = evidence.batch, evidence.sums
    trained = batch.trained_with
    whose = f"that {trained.label} trained" if trained else "of one class out of several"
    label = trained.label if trained else "cross_entropy"
    return found(
        "XE301",
        f"{batch.label} is given probabilities that don't sum to 1 over the classes: they look "
        f"like a sigmoid of each score, and aren't the softmax {whose}.",
        f"Use softmax, as {label} does.",
        f"Rows sum to {sums.min():.4g} to {sums.max():.4g}.{two_losses(batch)}",
        ERROR,
    )
