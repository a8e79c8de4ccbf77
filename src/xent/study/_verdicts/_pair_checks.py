"""Second looks at a pair: the bootstrap, the other metrics, and the exact test of accuracy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xent.study._data._columns import counted
from xent.study._statistics import bootstrap_intervals, exact_mcnemar
from xent.study._verdicts._designs import Design, Measured, Values, paired_values
from xent.study._verdicts._pairs import FITTED, Check

_METRICS = {
    "brier": "Brier score, by the same test",
    "accuracy": "accuracy, by the same test",
    "auc": "AUC, by the same test on the values behind DeLong's variance",
}

# With fewer seeds a bootstrap over them covers too little: 85 % for 95 % was simulated with 4.
FEWEST_SEEDS_REDRAWN = 5


def bootstrap_checks(
    design: Design, values: Sequence[Values], level: float
) -> list[tuple[Check, ...]]:
    """The paired bootstrap of each pair's log losses, all pairs of equal shape from one draw.

    None over splits, whose overlap a bootstrap of rows does not see, and none over two to four
    seeds, whose few redrawn combinations cover too little.
    """
    checks: list[tuple[Check, ...]] = [() for _ in values]
    if design.splits:
        return checks
    stacks = [np.stack([each for each in pair if each is not None]) for pair in values]
    if design.question == FITTED:
        stacks = [stack.mean(axis=0, keepdims=True) for stack in stacks]
    rows = design.rows[0]
    for seeds in {len(stack) for stack in stacks}:
        if 1 < seeds < FEWEST_SEEDS_REDRAWN:
            continue
        places = [i for i, stack in enumerate(stacks) if len(stack) == seeds]
        together = np.stack([stacks[i] for i in places])
        intervals = bootstrap_intervals(together, level, weights=rows.weight, groups=rows.groups)
        drawn = "rows" if rows.groups is None else "clusters of rows"
        words = f"log loss, percentile interval, {drawn}{' and seeds' * (seeds > 1)} redrawn"
        for i, (low, high) in zip(places, intervals.tolist(), strict=True):
            mean = float(np.average(stacks[i].mean(axis=0), weights=rows.weight))
            checks[i] = (Check("paired bootstrap", mean, low, high, None, words),)
    return checks


def checks_of(
    minuend: Measured, subtrahend: Measured, shared: Sequence[int], level: float
) -> tuple[Check, ...]:
    """Brier score, accuracy and AUC by the pair's own design, and exact McNemar for fitted models.

    Args:
        minuend: the later entrant.
        subtrahend: the earlier one.
        shared: replicates that both have.
        level: of the intervals.
    """
    design = minuend.design
    checks = []
    for metric, words in _METRICS.items():
        values = paired_values(minuend, subtrahend, metric, shared)
        if all(each is None for each in values):
            continue
        difference = design.difference(values)
        known = bool(np.isfinite(difference.standard_error))
        low, high = difference.interval(level) if known else (None, None)
        p_value = difference.p_value if known else None
        checks.append(Check(metric, difference.mean, low, high, p_value, words))
    if design.question == FITTED:
        checks.append(_mcnemar(minuend, subtrahend, shared))
    return tuple(checks)


def _mcnemar(minuend: Measured, subtrahend: Measured, shared: Sequence[int]) -> Check:
    """The exact test of the first seed's models: a count needs one right or wrong for each row."""
    first = minuend.values("accuracy")[shared[0]]
    second = subtrahend.values("accuracy")[shared[0]]
    assert first is not None
    assert second is not None
    test = exact_mcnemar(first > 0.5, second > 0.5)
    value = (test.first_only - test.second_only) / len(first)
    several = ", models of the first seed" if len(shared) > 1 else ""
    words = (
        f"accuracy, exact McNemar{several}: only {minuend.name} right in "
        f"{counted(test.first_only, 'row')}, only {subtrahend.name} in {test.second_only:,}"
    )
    return Check("exact McNemar", value, None, None, test.p_value, words)
