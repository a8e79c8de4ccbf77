"""The finding of a pair, the margin and the defaults, in plain sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from xent.study._columns import counted
from xent.study._pairs import FITTED, Pair
from xent.study._statistics import IDENTICAL, Difference, Needed


@dataclass(frozen=True)
class Reading:
    """What a sentence about one pair is made of.

    Args:
        minuend: the later formulation.
        subtrahend: the earlier one.
        difference: mean, error and degrees of freedom.
        level: confidence level.
        margin: in nats, or None.
        p_difference: of no difference.
        p_holm: the same by Holm.
        verdict: one of the five.
        needed: what would decide it, or None.
        gap: largest difference of a probability.
    """

    minuend: str
    subtrahend: str
    difference: Difference
    level: float
    margin: float | None
    p_difference: float
    p_holm: float
    verdict: str
    needed: Needed | None
    gap: float


def sentence(reading: Reading) -> str:
    """The finding of one pair in one sentence."""
    names = f"{reading.minuend} and {reading.subtrahend}"
    if reading.verdict == "identical":
        return (
            f"{names} are identical: their probabilities differ by {_digits(reading.gap)} at most, "
            f"within the tolerance of {p_text(IDENTICAL)}."
        )
    if reading.verdict == "equivalent":
        return (
            f"{names} are equivalent: {_size(reading)}, and less than the margin of "
            f"{reading.margin:g} ({_tost(reading)}); {_no_difference(reading)}."
        )
    if reading.verdict == "inconclusive":
        return f"{names}: inconclusive. {_size(reading)}; {_open(reading)}"
    worse, better = reading.minuend, reading.subtrahend
    if reading.difference.mean < 0.0:
        worse, better = better, worse
    start = f"{worse} is worse than {better} by {_lead(reading)}"
    if reading.verdict == "different but negligible":
        return (
            f"{start}, but negligibly: {_p(reading)}, yet less than the margin of "
            f"{reading.margin:g} ({_tost(reading)})."
        )
    if reading.margin is None:
        return f"{start}, {_p(reading)}; there is no margin to hold it against."
    return f"{start}, {_p(reading)}; not shown to be below {reading.margin:g} ({_tost(reading)})."


def _size(reading: Reading) -> str:
    """The difference, minuend minus subtrahend, with its interval."""
    difference = reading.difference
    order = f"{reading.minuend} - {reading.subtrahend}"
    if not math.isfinite(difference.standard_error):
        return f"{order} = {difference.mean:+.3g} nats of log loss"
    low, high = difference.interval(reading.level)
    mean = _number(difference.mean, difference, more=1, sign="+")
    ends = " to ".join(_number(end, difference, sign="+") for end in (low, high))
    return f"{order} = {mean} nats of log loss ({100 * reading.level:g} % CI {ends})"


def _lead(reading: Reading) -> str:
    """How much better the better one is, above 0, with its interval."""
    difference = reading.difference
    direction = math.copysign(1.0, difference.mean)
    low, high = sorted(direction * end for end in difference.interval(reading.level))
    ends = " to ".join(_number(end, difference) for end in (low, high))
    mean = _number(abs(difference.mean), difference, more=1)
    return f"{mean} nats of log loss ({100 * reading.level:g} % CI {ends})"


def _p(reading: Reading) -> str:
    p = p_text(reading.p_difference)
    if reading.p_holm == reading.p_difference:
        return f"p = {p}"
    return f"p = {p} ({p_text(reading.p_holm)} by Holm)"


def _no_difference(reading: Reading) -> str:
    return f"no difference is shown ({_p(reading)})"


def _tost(reading: Reading) -> str:
    assert reading.margin is not None
    return f"TOST p = {p_text(reading.difference.equivalence_p(reading.margin))}"


def _open(reading: Reading) -> str:
    """Why it is inconclusive and what would decide it."""
    if not math.isfinite(reading.difference.standard_error):
        unit = next(
            (s.unit for s in reading.difference.sources if not math.isfinite(s.variance)), "rows"
        )
        one = {"seeds": "one seed", "splits": "one split", "clusters": "one cluster"}
        return f"{one.get(unit, 'one row')} says nothing about chance."
    shown = f"neither a difference ({_p(reading)}) nor equivalence "
    if reading.margin is None:
        shown = f"no difference is shown ({_p(reading)}), and without a margin no equivalence"
    else:
        shown += f"within {reading.margin:g} ({_tost(reading)}) is shown"
    return f"{shown}. {_needed(reading)}"


def _needed(reading: Reading) -> str:
    if reading.needed is None:
        return "No number of rows, seeds or splits would decide it at this mean and spread."
    unit = {"rows": "test row", "clusters": "cluster", "seeds": "seed", "splits": "split"}
    count = _rounded_up(reading.needed.count)
    words = counted(count, unit[reading.needed.unit])
    return f"About {words} in all would decide it at this mean and spread."


def _rounded_up(count: int) -> int:
    """Two digits are more than is known."""
    scale: int = 10 ** max(0, len(str(count)) - 2)
    return -(-count // scale) * scale


def infinite_sentence(minuend: str, subtrahend: str, rows: dict[str, int]) -> str:
    """Say that log losses are infinite, so that no test of their mean exists."""
    who = " and ".join(
        f"{name} in {counted(count, 'test row')}" for name, count in rows.items() if count
    )
    return (
        f"{minuend} and {subtrahend}: inconclusive. What came true had probability 0 for {who}: "
        "that log loss is infinite, its differences have no mean to test, and no number of rows "
        "would decide it; the Brier score, which stays finite, is among the checks."
    )


def unpaired_sentence(minuend: str, subtrahend: str, unit: str) -> str:
    """Say that there is nothing to pair."""
    return (
        f"{minuend} and {subtrahend}: inconclusive. There is no {unit} in which both finished "
        "training."
    )


def question_sentence(question: str, unit: str, replicates: int) -> str:
    """Which question is answered, and of what that is true."""
    if question == FITTED:
        over = ""
        if replicates > 1:
            over = f", each row's loss averaged over the {replicates:,} seeds of its formulation"
        one = "" if replicates > 1 else "; of models trained from other seeds it says nothing"
        return (
            "Question: do these fitted models differ on the population of the test rows? Paired "
            f"by test row{over}{one}."
        )
    if unit == "split":
        return (
            "Question: do the training procedures differ on data like these? Paired by split, "
            "each with a seed of its own; the variance is corrected for splits that overlap."
        )
    return (
        "Question: do the training procedures differ, trained on these training rows? Paired by "
        "seed and by test row; both are taken as drawn at random, the training rows as given."
    )


def rule_sentence(level: float, pairs: int) -> str:
    """The rule that the verdicts follow, with its defaults."""
    alpha = 1.0 - level
    holm = f", adjusted by Holm over {pairs} pairs" if pairs > 1 else ""
    return (
        f"Level {100 * level:g} %: different where p < {alpha:.3g}{holm}; equivalent where the "
        f"two one-sided tests (TOST) give p < {alpha:.3g}, that is, the "
        f"{100 * (1 - 2 * alpha):.3g} % interval lies within the margin; identical where no "
        f"probability differs by more than {p_text(IDENTICAL)}, nor the mean log loss."
    )


def design_sentence(pairs: Sequence[Pair]) -> str:
    """The test of the pairs, in words; empty where there is none."""
    tested = [pair for pair in pairs if pair.difference is not None]
    if not tested:
        return ""
    degrees = [pair.degrees for pair in tested if pair.degrees is not None]
    others = ""
    if len({pair.design for pair in tested}) > 1:
        others = f" (first pair; {min(degrees):,.1f} to {max(degrees):,.1f} for all)"
    return f"Test: {tested[0].design}{others}."


def p_text(p: float) -> str:
    """A p-value in two digits, or as a power of ten.

    >>> [p_text(p) for p in (0.1673, 0.058, 0.0007, 4e-16, 0.0, 1.0)]
    ['0.17', '0.058', '7e-4', '4e-16', '< 1e-300', '1']
    """
    if p < 1e-300:
        return "< 1e-300"
    if p >= 0.001:
        return f"{p:.2g}"
    mantissa, exponent = f"{p:.0e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def _number(value: float, difference: Difference, *, more: int = 0, sign: str = "") -> str:
    """A number to the second digit of the standard error, and so many more."""
    size = difference.standard_error or abs(difference.mean)
    if size == 0.0:
        return "0"
    decimals = max(0, 1 - math.floor(math.log10(size))) + more
    return f"{value:{sign}.{decimals}f}" if decimals < 10 else f"{value:{sign}.3g}"


def _digits(value: float) -> str:
    return "0" if value == 0.0 else p_text(value)
