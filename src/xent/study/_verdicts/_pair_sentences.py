"""The finding of a pair, the margin and the defaults, in plain sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from xent.study._data._columns import counted
from xent.study._statistics import IDENTICAL, Difference, Needed
from xent.study._verdicts._pairs import FITTED, Pair

# Probabilities that differ less are near enough for a reader to want to know how near.
_NEAR = 1e-3
# Numbers with more digits behind the point are written as powers of ten.
_MOST_DECIMALS = 7


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
        needed: what would decide it: one kind of unit, or several together; empty for neither.
        gap: largest difference of a probability.
        f_test: whether the p-value of no difference is that of the combined 5x2cv F test.
        five_by_two: whether the design has ten splits and can't have more.
        fitted_here: whether it is about fitted models of formulations that were trained here.
    """

    minuend: str
    subtrahend: str
    difference: Difference
    level: float
    margin: float | None
    p_difference: float
    p_holm: float
    verdict: str
    needed: tuple[Needed, ...]
    gap: float
    f_test: bool = False
    five_by_two: bool = False
    fitted_here: bool = False


def sentence(reading: Reading) -> str:
    """The finding of one pair in one sentence; of fitted models alone where it is of them."""
    if reading.verdict == "identical":
        return identical_sentence(reading.minuend, reading.subtrahend, reading.gap)
    of = " Said of these two fitted models." if reading.fitted_here else ""
    return f"{_finding(reading)}{of}"


def _finding(reading: Reading) -> str:
    names = f"{reading.minuend} and {reading.subtrahend}"
    if reading.verdict == "equivalent":
        return (
            f"{names} are equivalent: {_size(reading)}, and less than the margin of "
            f"{reading.margin:g} ({_tost(reading)}); {_no_difference(reading)}.{_near(reading)}"
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
            f"{reading.margin:g} ({_tost(reading)}).{_near(reading)}"
        )
    if reading.margin is None:
        return f"{start}, {_p(reading)}; there is no margin to hold it against."
    if all(abs(end) > reading.margin for end in reading.difference.interval(reading.level)):
        return (
            f"{start}, {_p(reading)}; the whole interval is above the margin of {reading.margin:g}."
        )
    return f"{start}, {_p(reading)}; not shown to be below {reading.margin:g} ({_tost(reading)})."


def identical_sentence(minuend: str, subtrahend: str, gap: float) -> str:
    """Say that two are identical, and how far."""
    start = f"{minuend} and {subtrahend} are identical"
    if gap == 0.0:
        return f"{start}: no probability differs, in any digit."
    return (
        f"{start}: their probabilities differ by {p_text(gap)} at most, within the tolerance of "
        f"{p_text(IDENTICAL)}."
    )


def _size(reading: Reading) -> str:
    """The difference, minuend minus subtrahend, with its interval."""
    difference = reading.difference
    order = f"{reading.minuend} - {reading.subtrahend}"
    if not math.isfinite(difference.standard_error):
        return f"{order} = {difference.mean:+.3g} nats of log loss"
    low, high = difference.interval(reading.level)
    mean = _number(difference.mean, difference, more=1, sign="+")
    ends = " to ".join(_number(end, difference, sign="+") for end in (low, high))
    by = " by t" if reading.f_test else ""
    return f"{order} = {mean} nats of log loss ({percent(reading.level)} % CI{by} {ends})"


def _lead(reading: Reading) -> str:
    """How much better the better one is, above 0, with its interval."""
    difference = reading.difference
    direction = math.copysign(1.0, difference.mean)
    low, high = sorted(direction * end for end in difference.interval(reading.level))
    ends = " to ".join(_number(end, difference) for end in (low, high))
    mean = _number(abs(difference.mean), difference, more=1)
    return f"{mean} nats of log loss ({percent(reading.level)} % CI {ends})"


def _p(reading: Reading) -> str:
    p = "F test " * reading.f_test + p_equation(reading.p_difference)
    if reading.p_holm == reading.p_difference:
        return p
    return f"{p} ({p_text(reading.p_holm)} by Holm)"


def _no_difference(reading: Reading) -> str:
    """That there is none, with its p-value: in parentheses, so that Holm's follows a comma."""
    return f"no difference is shown {_p_inside(reading)}"


def _p_inside(reading: Reading) -> str:
    """The p-value in parentheses; says where Holm's adjustment alone makes the verdict."""
    p = "F test " * reading.f_test + p_equation(reading.p_difference)
    if reading.p_holm == reading.p_difference:
        return f"({p})"
    alpha = 1.0 - reading.level
    if reading.p_difference < alpha <= reading.p_holm:
        return f"after Holm's adjustment ({p}, {p_text(reading.p_holm)} by Holm)"
    return f"({p}, {p_text(reading.p_holm)} by Holm)"


def _tost(reading: Reading) -> str:
    assert reading.margin is not None
    return f"TOST {p_equation(reading.difference.equivalence_p(reading.margin))}"


def _near(reading: Reading) -> str:
    """How near the probabilities are, where they are: a mean near 0 does not say it."""
    if reading.gap > _NEAR:
        return ""
    return f" Their probabilities differ by {p_text(reading.gap)} at most."


def _open(reading: Reading) -> str:
    """Why it is inconclusive and what would decide it."""
    if not math.isfinite(reading.difference.standard_error):
        unit = next(
            (s.unit for s in reading.difference.sources if not math.isfinite(s.variance)), "rows"
        )
        one = {"seeds": "one seed", "splits": "one split", "clusters": "one cluster"}
        return f"{one.get(unit, 'one row')} says nothing about chance."
    shown = f"neither a difference {_p_inside(reading)} nor equivalence "
    if reading.margin is None:
        shown = f"{_no_difference(reading)}, and without a margin no equivalence"
    else:
        shown += f"within {reading.margin:g} ({_tost(reading)}) is shown"
    return f"{shown}. {_needed(reading)}"


_UNITS = {"rows": "test row", "clusters": "cluster", "seeds": "seed", "splits": "split"}


def _needed(reading: Reading) -> str:
    """What would decide it, of that which was tried: nothing is said of any other unit."""
    here = "would decide it at this mean and spread"
    if reading.five_by_two:
        return "5x2 has ten splits and no more: more splits need another design, --splits N."
    counts = [counted(_rounded_up(each.count), _UNITS[each.unit]) for each in reading.needed]
    if len(counts) == 1:
        return f"About {counts[0]} in all {here}."
    kinds = [f"{_UNITS[source.unit]}s" for source in reading.difference.sources]
    if counts:
        alone = " nor ".join(f"more {kind}" for kind in kinds)
        return f"Neither {alone} alone {here}; about {' with '.join(counts)} would."
    if kinds == ["splits"]:
        return (
            f"No number of splits of these rows {here}, since splits share rows; what more rows "
            "would do is not known from here."
        )
    if len(kinds) == 1:
        return f"No number of {kinds[0]} {here}."
    return f"No number of {' and '.join(kinds)} {here}."


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
        f"Level {percent(level)} %: different where p < {alpha:.3g}{holm}; equivalent where the "
        f"two one-sided tests (TOST) give p < {alpha:.3g}, that is, the "
        f"{percent(1 - 2 * alpha)} % interval lies within the margin; identical where no "
        f"probability differs by more than {p_text(IDENTICAL)}, nor the mean log loss, nor that by "
        "more than the margin."
    )


def design_sentence(pairs: Sequence[Pair]) -> str:
    """The test of the pairs, in words; empty where there is none."""
    tested = [pair for pair in pairs if pair.difference is not None]
    if not tested:
        return ""
    degrees = [pair.degrees for pair in tested if pair.degrees is not None]
    if len({pair.design for pair in tested}) == 1:
        return f"Test: {tested[0].design}."
    fewest, most = (f"{end:,.1f}".removesuffix(".0") for end in (min(degrees), max(degrees)))
    if fewest == most:
        return f"Test of the first pair: {tested[0].design}."
    return f"Test of the first pair: {tested[0].design}; {fewest} to {most} over all pairs."


def percent(level: float) -> str:
    """A level in percent, every digit of it.

    >>> percent(0.95), percent(0.999999999)
    ('95', '99.9999999')
    """
    return f"{100.0 * level:.12g}"


def p_equation(p: float) -> str:
    """A p-value with its sign: ``p = 0.17``, or ``p < 1e-300``.

    >>> p_equation(0.1673), p_equation(0.0)
    ('p = 0.17', 'p < 1e-300')
    """
    text = p_text(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


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
    """A number to the second digit of the standard error, and so many more.

    What would be rounded to 0 shows its first digit, since the sign of an interval's end matters.
    """
    size = difference.standard_error or abs(difference.mean)
    if size == 0.0 or value == 0.0:
        return "0"
    decimals = max(0, 1 - math.floor(math.log10(size)))
    if decimals > _MOST_DECIMALS:
        mantissa, exponent = f"{value:{sign}.{1 + more}e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    rounded = f"{value:{sign}.{decimals + more}f}"
    if float(rounded):
        return rounded
    first = -int(f"{value:.0e}".split("e")[1])
    return f"{value:{sign}.{first}f}"
