"""What a difference means beside a margin: one of five verdicts, and what would decide it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xent._errors import InputError
from xent.study._statistics._difference import Difference, Source, half_width

VERDICTS = (
    "identical",
    "equivalent",
    "different",
    "different but negligible",
    "inconclusive",
)
# Probabilities, and mean losses in nats, that agree this far are called identical.
IDENTICAL = 1e-6
# A larger number of rows, seeds or splits is not worth naming.
_MOST = 10**9


def verdict(
    difference: Difference,
    margin: float | None,
    level: float = 0.95,
    *,
    largest_gap: float | None = None,
    tolerance: float = IDENTICAL,
    p_difference: float | None = None,
) -> str:
    """Say which of ``VERDICTS`` a difference is, with α = 1 - level.

    - ``identical``: no probability differs by more than the tolerance, and the mean difference is
      within it too, and within the margin; no test is needed.
    - ``equivalent``: TOST rejects a difference of the margin or more; no difference is shown.
    - ``different but negligible``: both are shown: there is a difference, below the margin.
    - ``different``: a difference is shown, and not that it is below the margin.
    - ``inconclusive``: neither is shown.

    Args:
        difference: mean, standard error and degrees of freedom.
        margin: the largest difference that does not matter; None allows no claim of equivalence.
        level: confidence level, between 0.5 and 1.
        largest_gap: largest absolute difference of a predicted probability; None if not known.
        tolerance: of ``identical``.
        p_difference: takes the place of the difference's own p-value: Holm's, or another test's.

    Raises:
        InputError: a margin that is not above 0, or a level outside (0.5, 1).

    >>> verdict(Difference(0.0001, 0.0001, 1000.0, ""), margin=0.001)
    'equivalent'
    >>> verdict(Difference(0.0005, 0.0001, 1000.0, ""), margin=0.001)
    'different but negligible'
    """
    check_margin(margin, "verdict: margin")
    check_level(level, "verdict: level")
    same = largest_gap is not None and largest_gap <= tolerance
    if same and abs(difference.mean) <= min(tolerance, math.inf if margin is None else margin):
        return "identical"
    alpha = 1.0 - level
    differs = (difference.p_value if p_difference is None else p_difference) < alpha
    negligible = margin is not None and difference.equivalence_p(margin) < alpha
    if differs:
        return "different but negligible" if negligible else "different"
    return "equivalent" if negligible else "inconclusive"


def check_margin(margin: float | None, subject: str) -> None:
    """Refuse a margin that is not above 0 and finite; None passes."""
    if margin is not None and not 0.0 < margin < math.inf:
        raise InputError(
            subject,
            "above 0 and finite, in nats of log loss",
            f"{margin:g}",
            "Give the largest difference that does not matter, such as 0.001.",
        )


def check_level(level: float, subject: str) -> None:
    """Refuse a confidence level outside (0.5, 1)."""
    if not 0.5 < level < 1.0:
        raise InputError(
            subject, "above 0.5 and below 1", f"{level:g}", "Give 0.95 for intervals of 95 %."
        )


@dataclass(frozen=True)
class Needed:
    """How many units would decide an inconclusive comparison, all else as it is.

    Args:
        count: of the units, in all.
        unit: ``rows``, ``clusters``, ``seeds`` or ``splits``.
    """

    count: int
    unit: str


def needed(
    difference: Difference,
    margin: float | None,
    level: float = 0.95,
    *,
    comparisons: int = 1,
) -> Needed | None:
    """The fewest units with which the same mean and spread would give a verdict.

    The standard error shrinks with one unit's number n (rows, or seeds, or splits; the others stay
    as they are) and degrees of freedom grow. The answer is the smallest n where either 0 lies
    outside the interval of level 1 - (1 - level) / comparisons, or the interval of level
    1 - 2 (1 - level) lies within ±margin. A new sample's mean scatters about the old one, so
    that this n decides about every second time: take it as the order of magnitude.

    Args:
        difference: with its sources of variation.
        margin: as for :func:`verdict`.
        level: confidence level.
        comparisons: how many pairs the test of a difference is adjusted for (Bonferroni).

    Returns:
        The unit that gets there with the fewest; None where none does by itself (the mean is 0 and
        there is no margin, the part of the variance that stays is too large, or it takes more than
        10⁹); :func:`needed_together` then says whether all of them do.

    >>> from xent.study._statistics._rows import paired_rows
    >>> needed(paired_rows([0.1, -0.3, 0.2, 0.4]), margin=0.05)
    Needed(count=36, unit='rows')
    """
    check_margin(margin, "needed: margin")
    check_level(level, "needed: level")
    candidates = []
    for position, source in enumerate(difference.sources):
        if not math.isfinite(difference.standard_error) or not source.variance > source.lasting:
            continue

        def decides(count: int, position: int = position) -> bool:
            return _decides(difference, position, count, margin, level, comparisons)

        count = _fewest(decides, source.count)
        if count is not None:
            candidates.append(Needed(count, source.unit))
    return min(
        candidates, key=lambda each: each.count / _count_of(difference, each.unit), default=None
    )


def needed_together(
    difference: Difference,
    margin: float | None,
    level: float = 0.95,
    *,
    comparisons: int = 1,
) -> tuple[Needed, ...]:
    """The fewest units of every kind, all multiplied by one factor, that would give a verdict.

    For rows and seeds that are crossed: where one source of variation stays too large, more of the
    other alone never decides, and more of both may.

    Args:
        difference: with its sources of variation.
        margin: as for :func:`verdict`.
        level: confidence level.
        comparisons: how many pairs the test of a difference is adjusted for (Bonferroni).

    Returns:
        One for each source; empty where there are not several, or no factor decides.

    >>> from xent.study._statistics._difference import Source
    >>> sources = (Source("rows", 200, 0.0004, 199.0), Source("seeds", 5, 0.0004, 4.0))
    >>> open_pair = Difference.of_sources(0.001, sources, "crossed")
    >>> needed(open_pair, margin=0.02) is None
    True
    >>> [(each.count, each.unit) for each in needed_together(open_pair, margin=0.02)]
    [(1240, 'rows'), (31, 'seeds')]
    """
    check_margin(margin, "needed_together: margin")
    check_level(level, "needed_together: level")
    sources = difference.sources
    if len(sources) < 2 or not math.isfinite(difference.standard_error):
        return ()
    fewest = min(source.count for source in sources)

    def scaled(count: int) -> list[Source]:
        return [source.with_count(-(-source.count * count // fewest)) for source in sources]

    def decides(count: int) -> bool:
        return _sources_decide(difference.mean, scaled(count), margin, level, comparisons)

    count = _fewest(decides, fewest)
    return () if count is None else tuple(Needed(each.count, each.unit) for each in scaled(count))


def _count_of(difference: Difference, unit: str) -> int:
    return next(source.count for source in difference.sources if source.unit == unit)


def _decides(
    difference: Difference,
    position: int,
    count: int,
    margin: float | None,
    level: float,
    comparisons: int,
) -> bool:
    sources = list(difference.sources)
    sources[position] = sources[position].with_count(count)
    return _sources_decide(difference.mean, sources, margin, level, comparisons)


def _sources_decide(
    mean: float, sources: Sequence[Source], margin: float | None, level: float, comparisons: int
) -> bool:
    distance, alpha = abs(mean), 1.0 - level
    if distance > half_width(sources, 1.0 - alpha / comparisons / 2.0):
        return True
    return margin is not None and distance + half_width(sources, 1.0 - alpha) < margin


def _fewest(decides: Callable[[int], bool], start: int) -> int | None:
    """Smallest count that decides, by doubling and halving; None beyond the largest."""
    high = start
    while not decides(high):
        high *= 2
        if high > _MOST:
            return None
    low = max(2, high // 2)
    while low < high:
        middle = (low + high) // 2
        if decides(middle):
            high = middle
        else:
            low = middle + 1
    return high
