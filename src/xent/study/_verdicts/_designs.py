"""Which test answers which question: values of rows to a difference with its standard error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from xent._links import Array
from xent.study._evaluation._row_values import ROW_VALUES, Entrant, ScoredRows, without_weightless
from xent.study._statistics import Difference, crossed, paired_rows, resampled
from xent.study._verdicts._pairs import FITTED

Values = Sequence[Array | None]


@dataclass(frozen=True, eq=False)
class Design:
    """How replicates and rows are laid out, and which question is asked of them.

    Args:
        question: ``fitted`` or ``procedure``.
        rows: the test rows of each split; one for all replicates where there is one split. None
            has weight 0.
        five_by_two: whether the splits are five halvings, each used both ways round.
    """

    question: str
    rows: tuple[ScoredRows, ...]
    five_by_two: bool = False

    @property
    def splits(self) -> bool:
        """Whether every replicate has a split of its own."""
        return len(self.rows) > 1

    @property
    def unit(self) -> str:
        """What a replicate is: a seed, or a split with its seed."""
        return "split" if self.splits else "seed"

    def rows_of(self, replicate: int) -> ScoredRows:
        """The test rows of a replicate."""
        return self.rows[replicate if self.splits else 0]

    def difference(self, values: Values) -> Difference:
        """Mean, standard error and degrees of freedom of values by row, one array a replicate.

        Args:
            values: ``(rows,)`` of each replicate, None where it has none; at least one is there.
        """
        if self.splits:
            return self._over_splits(values)
        rows = self.rows[0]
        there = np.stack([each for each in values if each is not None])
        if self.question == FITTED:
            return paired_rows(there.mean(axis=0), rows.weight, rows.groups)
        return crossed(there, rows.weight, rows.groups)

    def _over_splits(self, values: Values) -> Difference:
        there = [j for j, each in enumerate(values) if each is not None]
        return resampled(self.split_means(values), self.test_over_train(there))

    def test_over_train(self, splits: Sequence[int]) -> float:
        """Test rows over training rows, mean over the given splits."""
        ratios = []
        for split in splits:
            rows = self.rows[split]
            assert rows.training_rows
            ratios.append(len(rows.target) / rows.training_rows)
        return float(np.mean(ratios))

    def split_means(self, values: Values) -> Array:
        """The mean of each split's values ``(splits,)``."""
        return np.array(
            [
                np.average(each, weights=rows.weight)
                for each, rows in zip(values, self.rows, strict=True)
                if each is not None
            ]
        )


class Measured:
    """An entrant's values by row, each computed once."""

    def __init__(self, entrant: Entrant, design: Design) -> None:
        self.name = entrant.name
        self.design = design
        self.replicates = entrant.replicates
        self._values: dict[str, tuple[Array | None, ...]] = {}

    def values(self, metric: str) -> tuple[Array | None, ...]:
        """Values by row of one of ``ROW_VALUES``, one array a replicate."""
        if metric not in self._values:
            self._values[metric] = tuple(
                None if log_q is None else ROW_VALUES[metric](log_q, self.design.rows_of(j))
                for j, log_q in enumerate(self.replicates)
            )
        return self._values[metric]


def measure(entrants: Sequence[Entrant], design: Design) -> tuple[Measured, ...]:
    """The entrants with the design they are tested by, rows of weight 0 left out of both."""
    kept, rows = without_weightless(entrants, design.rows)
    design = replace(design, rows=rows)
    return tuple(Measured(entrant, design) for entrant in kept)


def paired_values(
    minuend: Measured, subtrahend: Measured, metric: str, shared: Sequence[int]
) -> Values:
    """Differences by row, one array a replicate; None for those that aren't shared."""
    first, second = minuend.values(metric), subtrahend.values(metric)
    differences: list[Array | None] = [None] * len(first)
    for j in shared:
        one, other = first[j], second[j]
        if one is not None and other is not None:
            differences[j] = one - other
    return differences
