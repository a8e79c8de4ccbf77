"""Whether a value agrees with the exact one and, where it doesn't, why."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent.walkthrough._feeds import NUMPY_DTYPES, Feed, probabilities_in_numpy
from xent.walkthrough._identities import Identity
from xent.walkthrough._implementations import INFINITE_LOGITS, ONE_BY_ONE, Implementation
from xent.walkthrough._inputs import Given
from xent.walkthrough._numbers import BITS
from xent.walkthrough._summing import overflow_of_sum, rounding_of_sum

AGREES, LOSES, BREAKS, DISAGREES = "agrees", "loses digits", "does not hold", "disagrees"
FLOORED = "logarithms are floored at -100"
LOST = "log 1 is 0, so the loss of what is so likely is lost"
# Of a value that is right, in units of its last place: its terms, their sum and the quotient are
# rounded, each by a unit or two.
_UNITS = 8.0
# A value that has kept fewer digits than these is no loss of digits, it is another number.
_STILL_THE_SAME = 1e-2


@dataclass(frozen=True)
class Judgement:
    """What is to be said of a value.

    Args:
        verdict: ``"agrees"``; ``"loses digits"`` and ``"does not hold"``, of numbers that were
            spoilt before or are beyond what is written for; or ``"disagrees"``.
        why: one sentence; empty where there is nothing to explain.
    """

    verdict: str
    why: str = ""


def judge(
    one: Implementation, value: float, exact: float, distance: float, given: Given
) -> Judgement:
    """Compare a value with the exact one, and with the exact one of what was really fed.

    Args:
        one: the implementation that gave the value.
        value: what it gave.
        exact: the exact loss of the given numbers.
        distance: how far the value is from it, in ulp of the dtype.
        given: the numbers.
    """
    summing = _of_the_sum(one, given)
    # What is added in a longer dtype loses less of a unit of the numbers' own.
    shorter = min(1.0, 2.0 ** (BITS[given.dtype] - BITS[one.feed.dtype]))
    if distance <= _UNITS + summing * shorter:
        return Judgement(AGREES)
    own = exact_of_feed(one.feed, given)
    same = math.isfinite(exact) and abs(value - exact) <= _STILL_THE_SAME * abs(exact)
    if _within(value, own, _UNITS + summing, one, given):
        return Judgement(LOSES if same else BREAKS, _lost_before(one, given, value))
    dtype = one.feed.dtype
    edge = overflow_of_sum(value, own, given, dtype) or at_the_edge(one, given, value)
    if edge:
        return Judgement(BREAKS, f"{edge}.")
    if one.sums == ONE_BY_ONE:
        rounded = rounding_of_sum(value, own, given, dtype)
        if rounded:
            return Judgement(LOSES if same else BREAKS, f"{rounded}.")
    return Judgement(
        DISAGREES, f"The loss of what it was given is {own!r}, and rounding explains no more."
    )


def judge_refusal(one: Implementation, given: Given, error: str) -> Judgement:
    """An error where there should be a value is excused by numbers at the edge of a domain."""
    edge = at_the_edge(one, given, math.nan)
    return Judgement(BREAKS, f"{edge}; {error}") if edge else Judgement(DISAGREES, error)


def _of_the_sum(one: Implementation, given: Given) -> float:
    """What rounding may do to the sum, in units of its last place; no more than a digit or two.

    A short dtype can lose the whole sum to rounding: that is then no agreement, but explained.
    """
    terms = float(given.values.size)
    in_trees = math.log2(terms + 1)
    if one.sums != ONE_BY_ONE:
        return in_trees
    unit = 2.0 ** (1 - BITS[one.feed.dtype])
    return max(in_trees, min(terms / 2, _STILL_THE_SAME / unit))


def _within(value: float, own: float, bound: float, one: Implementation, given: Given) -> bool:
    """Whether a value is right for what was fed, as far as its arithmetic can be."""
    if math.isnan(value) or math.isinf(value) or not math.isfinite(own):
        return value == own or (math.isnan(value) and math.isnan(own))
    unit = 2.0 ** (1 - BITS[one.feed.dtype])
    scale = abs(own) if one.exact_rows else abs(own) + _size(one.feed.values, given)
    smallest = 2.0 ** (-24 if one.feed.dtype == "float16" else -133)
    return abs(value - own) <= bound * unit * scale + smallest


def _size(values: Any, given: Given) -> float:
    """The mean size of the numbers that a loss is a difference of, 1 at least."""
    finite = np.abs(values[np.isfinite(values)])
    mean = max(1.0, float(np.mean(finite)) if finite.size else 1.0)
    if not given.of_rows:
        return mean
    largest = np.where(np.isfinite(values), np.abs(values), 0.0).max(axis=1)
    return max(1.0, float(np.mean(largest)))


def exact_of_feed(feed: Feed, given: Given) -> float:
    """The loss of what was fed, to decide whether an implementation is right for that."""
    return exact_of_loss(replace(given, loss=feed.loss), feed.values.reshape(given.values.shape))


def exact_of_loss(given: Given, values: Any) -> float:
    """The loss by its definition in float64 with an exact sum: right to a few units of its own.

    Args:
        given: the loss with target and options.
        values: its input.
    """
    contract = given.contract
    arguments = {**given.arguments(), "input": values}
    with np.errstate(all="ignore"):
        rows = np.asarray(contract.definition(np, **arguments)).ravel()
        assert contract.denominator is not None
        count = float(contract.denominator(np, **arguments))
    if given.options.get("normalizer") is not None:
        count = float(given.options["normalizer"])
    total = math.fsum(rows) if np.isfinite(rows).all() else float(np.sum(rows))
    if given.reduction == "sum":
        return total
    return total / count if count else math.nan


def judge_equality(left: float, right: float, pair: Identity, given: Given) -> Judgement:
    """Two calls agree if no more lies between them than rounding explains.

    The terms of a loss are differences of the numbers, and rounding them costs a few units of the
    numbers' last place; rounding a probability costs as much as the odds.
    """
    if left == right or (math.isnan(left) and math.isnan(right)):
        return Judgement(AGREES)
    if pair.to_the_bit:
        return Judgement(DISAGREES, "A module calls the function: every bit must be the same.")
    unit = 2.0 ** (1 - BITS[given.dtype])
    bound = (_UNITS + math.log2(given.values.size + 1)) * unit
    size = abs(left) + _size(given.values, given)
    if abs(left - right) <= bound * size:
        return Judgement(AGREES)
    excuse = _excuse(left, right, pair, given)
    if excuse:
        return Judgement(BREAKS, f"{excuse}.")
    if pair.through_probabilities and abs(left - right) <= bound * (size + _odds(given)):
        return Judgement(LOSES, f"The probabilities have been rounded to {given.dtype}.")
    return Judgement(DISAGREES, "More lies between them than rounding explains.")


def _excuse(left: float, right: float, pair: Identity, given: Given) -> str:
    """What of the numbers keeps two sides apart that are the same elsewhere."""
    if pair.through_probabilities and _saturates(given):
        return "A probability has rounded to 0 or 1, and its logit is lost"
    if pair.through_probabilities and _is_floored(given):
        return f"A probability is below exp(-100), and {FLOORED}"
    if not np.isfinite(given.values).all():
        return f"A number is infinite: {INFINITE_LOGITS}"
    by_hand = pair.library == "NumPy, by hand"
    dtype = NUMPY_DTYPES[given.dtype] if by_hand else given.dtype
    mean = exact_of_loss(given, np.asarray(given.arguments()["input"]))
    for value in (left, right):
        excuse = overflow_of_sum(value, mean, given, dtype)
        if not excuse and by_hand and abs(value - mean) > _STILL_THE_SAME * abs(mean):
            excuse = rounding_of_sum(value, mean, given, dtype)
        if excuse:
            return excuse
    return ""


def _saturates(given: Given) -> bool:
    p = probabilities_in_numpy(given)
    return bool(np.any((p == 0) | (p == 1) | ~np.isfinite(p)))


def _is_floored(given: Given) -> bool:
    p = probabilities_in_numpy(given).astype(np.float64)
    return bool(np.any(p < math.exp(-100.0)))


def _odds(given: Given) -> float:
    """The mean of p / (1 - p) over the noes, by which the rounding of a probability grows."""
    p = probabilities_in_numpy(given).astype(np.float64)
    return float(np.mean(np.where(given.target > 0.5, 1.0, p / np.maximum(1 - p, 2.0**-53))))


def at_the_edge(one: Implementation, given: Given, value: float) -> str:
    """What the edge of the domain does to the numbers that were fed; empty where none is there."""
    counted, dtype = given.counted, given.dtype
    values = one.feed.values.reshape(given.values.shape)[counted]
    if not one.feed.of_probabilities:
        infinite = int(np.count_nonzero(np.isinf(values)))
        if not infinite or not one.weakness:
            return ""
        return f"{_many(infinite, values.size, 'numbers')} infinite: {one.weakness}"
    p = np.exp(values) if given.of_rows else values
    unknown = int(np.count_nonzero(np.isnan(p)))
    if unknown:
        overflow = f"exp is infinite in {dtype}, and inf / inf is NaN"
        return f"{_many(unknown, p.size, 'probabilities')} NaN: {overflow}"
    reached = int(np.count_nonzero((p <= one.edge) | (p >= 1 - one.edge)))
    if not reached:
        return ""
    where = "within eps of 0 or 1" if one.edge else "0 or 1"
    weakness = one.weakness or (FLOORED if one.feed.loss == "binary_cross_entropy" else "")
    if not one.edge and math.isfinite(value) and not _unlikely(p, given):
        weakness = LOST
    start = f"{_many(reached, p.size, 'probabilities')} {where} in {dtype}"
    return f"{start}: {weakness}" if weakness else start


def _unlikely(p: NDArray[np.float64], given: Given) -> bool:
    """Whether a target says what has a probability of 0, so that its loss is infinite or floored.

    Args:
        p: the probabilities of what is not ignored.
        given: the numbers with their targets.
    """
    target = given.target[given.counted]
    if not given.of_rows:
        return bool(np.any(((p == 0) & (target > 0)) | ((p == 1) & (target < 1))))
    if given.soft:
        return bool(np.any((p == 0) & (target > 0)))
    return bool(np.any(p[np.arange(len(p)), target] == 0))


def _many(count: int, size: int, what: str) -> str:
    verb = "is" if count == 1 else "are"
    return f"{count} of {size} {what} {verb}"


def _lost_before(one: Implementation, given: Given, value: float) -> str:
    """Why the loss of what was fed is not the loss of what was given."""
    if not one.feed.of_probabilities:
        return (
            f"{one.feed.dtype} has no more digits for this: the loss is small beside the numbers "
            "that it is a difference of."
        )
    edge = at_the_edge(one, given, value)
    if edge:
        return f"{edge}."
    if given.kind == "probabilities":
        return f"Computed in {one.feed.dtype}, 1 - p and log p have lost digits."
    layer = "softmax" if given.of_rows else "sigmoid"
    return f"The {layer} has been rounded to {one.feed.dtype} before its logarithm."
