"""From entrants to pairs: every two formulations tested, adjusted, judged and put into words."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xent.study._evaluation._row_values import largest_gap
from xent.study._statistics import (
    IDENTICAL,
    Difference,
    Needed,
    combined_five_by_two,
    holm,
    needed,
    needed_together,
    verdict,
)
from xent.study._verdicts._designs import Design, Measured, Values, paired_values
from xent.study._verdicts._pair_checks import bootstrap_checks, checks_of
from xent.study._verdicts._pair_sentences import (
    Reading,
    identical_sentence,
    infinite_sentence,
    sentence,
    unpaired_sentence,
)
from xent.study._verdicts._pairs import FITTED, Check, Margin, Pair
from xent.study._verdicts._soundness import unsound_sentence


def compare_all(
    measured: Sequence[Measured],
    margin: Margin | None,
    level: float,
    unsound: Mapping[str, str] | None = None,
) -> tuple[Pair, ...]:
    """Every pair of entrants, the later one minus the earlier one.

    Replicates that diverged in either are left out of their pair. Holm's adjustment is over all
    pairs that have a p-value.

    Args:
        measured: the entrants in their order, of one design; names are different.
        margin: the largest difference that does not matter.
        level: confidence level.
        unsound: entrants whose log loss is not that of probabilities, each with the reason; their
            pairs are not tested.
    """
    if len(measured) < 2:
        return ()
    design = measured[0].design
    reasons = {} if unsound is None else unsound
    drafts = [_draft(b, a, design, reasons) for a, b in itertools.combinations(measured, 2)]
    tested = [draft for draft in drafts if draft.difference is not None]
    adjusted = iter(holm([draft.p_difference for draft in tested]))
    redrawn = iter(bootstrap_checks(design, [draft.values for draft in tested], level))
    value = None if margin is None else margin.value
    return tuple(
        _open_pair(draft, design, value, level)
        if draft.difference is None
        else _pair(draft, design, value, level, next(adjusted), len(tested), next(redrawn))
        for draft in drafts
    )


@dataclass(frozen=True, eq=False)
class _Draft:
    """A pair before its p-value is adjusted.

    Args:
        minuend: the later entrant.
        subtrahend: the earlier one.
        shared: replicates that both have.
        gap: largest difference of a probability, None without a shared replicate.
        values: differences by row of each replicate.
        untested: the sentence of a pair whose log losses can't be tested; empty where they can.
        verdict: of such a pair.
        checked: whether the other metrics can be compared.
        difference: None where log losses can't be compared.
        p_difference: of no difference.
        f_test: words of the F test where it gives the p-value; empty otherwise.
    """

    minuend: Measured
    subtrahend: Measured
    shared: tuple[int, ...]
    gap: float | None
    values: Values
    untested: str
    verdict: str
    checked: bool
    difference: Difference | None
    p_difference: float
    f_test: str


def _draft(
    minuend: Measured, subtrahend: Measured, design: Design, unsound: Mapping[str, str]
) -> _Draft:
    replicates = range(len(minuend.replicates))
    shared = tuple(
        j
        for j in replicates
        if minuend.replicates[j] is not None and subtrahend.replicates[j] is not None
    )
    gap = max((_gap(minuend, subtrahend, j) for j in shared), default=None)
    empty = _Draft(minuend, subtrahend, shared, gap, (), "", "inconclusive", True, None, 1.0, "")
    names = (minuend.name, subtrahend.name)
    if gap is None:
        return replace(empty, untested=unpaired_sentence(*names, design.unit), checked=False)
    if said := unsound_sentence(*names, unsound):
        return replace(empty, untested=said, checked=False)
    infinite = {each.name: _infinite_rows(each, shared) for each in (minuend, subtrahend)}
    if any(infinite.values()):
        if gap <= IDENTICAL and _same_losses(minuend, subtrahend, shared):
            return replace(empty, untested=identical_sentence(*names, gap), verdict="identical")
        return replace(empty, untested=infinite_sentence(*names, infinite))
    values = paired_values(minuend, subtrahend, "log_loss", shared)
    difference = design.difference(values)
    if len(shared) < len(replicates):
        left_out = f"{len(replicates) - len(shared)} of {len(replicates)} {design.unit}s left out"
        difference = replace(difference, design=f"{difference.design}, {left_out}")
    p_difference, f_test = difference.p_value, ""
    if design.five_by_two and len(shared) == 10:
        test = combined_five_by_two(design.split_means(values).reshape(5, 2))
        p_difference = test.p_value
        f_test = f"combined 5x2cv F({test.statistic:.3g}) on 10 and 5 degrees of freedom"
        difference = replace(
            difference, design=f"{f_test}; interval and equivalence: {difference.design}"
        )
    return replace(
        empty, values=values, difference=difference, p_difference=p_difference, f_test=f_test
    )


def _infinite_rows(measured: Measured, shared: Sequence[int]) -> int:
    losses = [measured.values("log_loss")[j] for j in shared]
    return max((int(np.isinf(each).sum()) for each in losses if each is not None), default=0)


def _same_losses(minuend: Measured, subtrahend: Measured, shared: Sequence[int]) -> bool:
    """Whether the same rows are infinite and the others' mean log loss agrees."""
    ones, others = minuend.values("log_loss"), subtrahend.values("log_loss")
    for j in shared:
        one, other = ones[j], others[j]
        assert one is not None
        assert other is not None
        finite = np.isfinite(one)
        if (finite != np.isfinite(other)).any():
            return False
        weight = minuend.design.rows_of(j).weight
        differences = np.subtract(one, other, out=np.zeros_like(one), where=finite)
        apart = np.average(differences, weights=weight)
        if not abs(apart) <= IDENTICAL:
            return False
    return True


def _gap(minuend: Measured, subtrahend: Measured, replicate: int) -> float:
    one, other = minuend.replicates[replicate], subtrahend.replicates[replicate]
    assert one is not None
    assert other is not None
    return largest_gap(one, other)


def _pair(
    draft: _Draft,
    design: Design,
    margin: float | None,
    level: float,
    p_holm: float,
    pairs: int,
    redrawn: tuple[Check, ...],
) -> Pair:
    difference = draft.difference
    assert difference is not None
    assert draft.gap is not None
    judged = verdict(difference, margin, level, largest_gap=draft.gap, p_difference=p_holm)
    decides: Needed | None = None
    together: tuple[Needed, ...] = ()
    # The combined F test is of ten splits: there is no more of them to ask for.
    if judged == "inconclusive" and not design.five_by_two:
        decides = needed(difference, margin, level, comparisons=pairs)
        if decides is None:
            together = needed_together(difference, margin, level, comparisons=pairs)
    reading = Reading(
        draft.minuend.name,
        draft.subtrahend.name,
        difference,
        level,
        margin,
        draft.p_difference,
        p_holm,
        judged,
        (decides,) if decides is not None else together,
        draft.gap,
        f_test=bool(draft.f_test),
        five_by_two=design.five_by_two,
        fitted_here=design.question == FITTED and design.rows[0].training_rows is not None,
    )
    known = np.isfinite(difference.standard_error)
    low, high = difference.interval(level)
    return Pair(
        minuend=draft.minuend.name,
        subtrahend=draft.subtrahend.name,
        metric="log_loss",
        question=design.question,
        design=difference.design,
        difference=difference.mean,
        standard_error=difference.standard_error if known else None,
        degrees=difference.degrees if known else None,
        level=level,
        interval=(low, high) if known else (None, None),
        p_difference=draft.p_difference,
        p_holm=p_holm,
        margin=margin,
        p_equivalence=None if margin is None else difference.equivalence_p(margin),
        verdict=judged,
        needed=None if decides is None else decides.count,
        needed_unit=None if decides is None else decides.unit,
        largest_probability_gap=draft.gap,
        checks=redrawn + checks_of(draft.minuend, draft.subtrahend, draft.shared, level),
        sentence=sentence(reading),
    )


def _open_pair(draft: _Draft, design: Design, margin: float | None, level: float) -> Pair:
    """A pair whose log losses can't be tested: nothing finished, unsound or infinite losses."""
    checks: tuple[Check, ...] = ()
    if draft.checked:
        checks = checks_of(draft.minuend, draft.subtrahend, draft.shared, level)
    return Pair(
        minuend=draft.minuend.name,
        subtrahend=draft.subtrahend.name,
        metric="log_loss",
        question=design.question,
        design="none",
        difference=None,
        standard_error=None,
        degrees=None,
        level=level,
        interval=(None, None),
        p_difference=None,
        p_holm=None,
        margin=margin,
        p_equivalence=None,
        verdict=draft.verdict,
        needed=None,
        needed_unit=None,
        largest_probability_gap=draft.gap,
        checks=checks,
        sentence=draft.untested,
    )
