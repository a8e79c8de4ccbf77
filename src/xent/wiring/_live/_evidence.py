"""What the values of a batch look like, once for all rules, with ``grad_fn`` beside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xent._symptoms import outside_unit_interval, sums_of_rows
from xent.wiring._live._batch import Batch
from xent.wiring._live._chance import (
    chance_inside_unit_interval,
    chance_of_unit_sums,
    distinct_rows,
)
from xent.wiring._live._graph import Activation, activation_before, why_unknown
from xent.wiring._live._rows import Array


@dataclass(frozen=True)
class Evidence:
    """The values of a batch and where they come from.

    Args:
        batch: the batch.
    """

    batch: Batch

    @cached_property
    def values(self) -> Array:
        """The rows without NaN and +inf."""
        return self.batch.rows.finite

    @cached_property
    def activation(self) -> Activation | None:
        """The activation that gave the input, if ``grad_fn`` shows one."""
        return activation_before(self.batch.input)

    def comes_from(self, *kinds: str) -> bool:
        """Whether ``grad_fn`` shows one of these activations before the loss."""
        return self.activation is not None and self.activation.kind in kinds

    @property
    def why_no_graph(self) -> str | None:
        """Why ``grad_fn`` says nothing."""
        return why_unknown(self.batch.input)

    @cached_property
    def are_inside(self) -> bool:
        """Whether all values lie in [0, 1], up to rounding."""
        return self.values.size > 0 and outside_unit_interval(self.values).count == 0

    @cached_property
    def sums(self) -> Array:
        """The sum of each row."""
        return sums_of_rows(self.values)

    @cached_property
    def sums_of_exponentials(self) -> Array:
        """The sum of exp of each row, 1 for log-probabilities."""
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(self.values).sum(axis=1))

    def _are_one(self, sums: Array) -> bool:
        tolerance = self.batch.rows.tolerance(self.values.shape[1])
        return len(sums) > 0 and bool(np.all(np.abs(sums - 1) <= tolerance))

    @cached_property
    def are_probabilities(self) -> bool:
        """Whether every row is >= 0 and sums to 1."""
        several = self.values.ndim == 2 and self.values.shape[1] > 1
        return several and self.are_inside and self._are_one(self.sums)

    @property
    def are_decisions(self) -> bool:
        """Whether every row is one-hot."""
        return self.are_probabilities and bool(np.isin(self.values, (0, 1)).all())

    @cached_property
    def are_log_probabilities(self) -> bool:
        """Whether the exponentials of every row sum to 1."""
        several = self.values.ndim == 2 and self.values.shape[1] > 1
        return several and self._are_one(self.sums_of_exponentials)

    @cached_property
    def distinct(self) -> int:
        """How many rows differ."""
        return distinct_rows(self.values) if self.values.size else 0

    @cached_property
    def chance_of_sums(self) -> float:
        """Chance that the sums of a right model's rows are all 1."""
        batch = self.batch
        return chance_of_unit_sums(
            self.values, batch.rows.rounding, of_probabilities=not batch.takes_logits
        )

    @cached_property
    def chance_of_range(self) -> float:
        """Chance that the scores of a right model all lie in [0, 1]."""
        return chance_inside_unit_interval(self.values)

    @cached_property
    def share_of_zeros(self) -> float:
        """How many of the values are exactly 0, but for a class that is the zero of the others."""
        zeros = self.values == 0
        zeros = zeros[:, ~zeros.all(axis=0)] if len(zeros) else zeros
        return float(np.mean(zeros)) if zeros.size else 0.0

    def by_graph(self) -> str:
        """The activation in words, as evidence."""
        assert self.activation is not None
        return f"grad_fn shows that input comes from {self.activation.kind}."

    def range_words(self) -> str:
        """The range of the values."""
        return f"{self.values.min():.4g} to {self.values.max():.4g}"
