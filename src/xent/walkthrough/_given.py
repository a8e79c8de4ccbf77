"""What is to be explained or verified: numbers, targets and options that a loss takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._contracts import CONTRACTS, Contract
from xent.walkthrough._checks import takes_rows
from xent.walkthrough._numbers import Array

# Arguments of the losses that are arrays, and so are read as numbers are.
ARRAYS = ("weight", "pos_weight", "sample_weight", "logit_adjustment")
# What follows the definition of a loss.
_AFTERWARDS = ("reduction", "normalizer", "all_ignored")


@dataclass(frozen=True, eq=False)
class Given:
    """Numbers that a loss takes, checked against its contract.

    Args:
        loss: the name of the loss in the contract table.
        kind: ``"logits"``, ``"probabilities"`` or ``"log-probabilities"``.
        task: ``"binary"``, ``"multiclass"`` or ``"multilabel"``.
        values: ``(N, C)`` for a loss of rows; ``(N,)`` or ``(N, C)`` for one of elements.
        target: ``(N,)`` class indices, int64; otherwise floats in the shape of ``values``.
        dtype: the dtype that the numbers have for the user; ``values`` are rounded to it.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        options: the other options that were given, by the names of the contract. Weights of
            elements have the shape of ``values``.
        shape: that of the numbers as they were given.
        source: where they came from.
    """

    loss: str
    kind: str
    task: str
    values: Array
    target: NDArray[Any]
    dtype: str
    reduction: str
    options: Mapping[str, Any]
    shape: tuple[int, ...]
    source: str

    @property
    def contract(self) -> Contract:
        """The row of the contract table."""
        return CONTRACTS[self.loss]

    @property
    def of_rows(self) -> bool:
        """Whether each row is one class out of several, rather than each element a yes or no."""
        return takes_rows(self.contract)

    @property
    def soft(self) -> bool:
        """Whether the target of a row is a distribution over the classes."""
        return self.of_rows and self.target.shape == self.values.shape

    @property
    def weight(self) -> Array | None:
        """Of each class, or of each element."""
        return self.options.get("weight")

    @property
    def pos_weight(self) -> Array | None:
        """Of the term of 1, for each element."""
        return self.options.get("pos_weight")

    @property
    def sample_weight(self) -> Array | None:
        """Of each row, or of each element."""
        return self.options.get("sample_weight")

    @property
    def ignore_index(self) -> int | None:
        """The target that marks what is left out; of rows -100 if nothing else is said."""
        mark: int | None = self.options.get("ignore_index", -100 if self.of_rows else None)
        return mark

    @property
    def label_smoothing(self) -> float:
        """The share of the target that is spread evenly."""
        return float(self.options.get("label_smoothing", 0.0))

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Which rows or elements are not ignored."""
        if self.soft or self.ignore_index is None:
            rows = len(self.values) if self.soft else self.target.shape
            return np.ones(rows, dtype=np.bool_)
        return np.asarray(self.target != self.ignore_index)

    @property
    def through_logarithm(self) -> bool:
        """Whether the loss takes the logarithm of these numbers, as of class probabilities."""
        return self.kind == "probabilities" and self.of_rows

    def taken(self, positions: Sequence[int]) -> Given:
        """Some of the rows or elements, by their positions in the flattened input.

        >>> from xent.walkthrough._inputs import read_given
        >>> read_given(logits="1 2 3", targets="0 1 1").taken([2]).values.tolist()
        [3.0]
        """
        own = {name: value for name, value in self.options.items() if name in ARRAYS}
        if self.of_rows:
            weight = own.get("sample_weight")
            parts = {} if weight is None else {"sample_weight": weight[positions]}
            values = self.values[positions]
        else:
            parts = {name: np.ravel(value)[positions] for name, value in own.items()}
            values = self.values.ravel()[positions]
        target = (self.target if self.of_rows else self.target.ravel())[positions]
        options = {**self.options, **parts}
        return replace(self, values=values, target=target, options=options, shape=values.shape)

    def arguments(self) -> dict[str, Any]:
        """The arguments of the contract's definition, in float64."""
        options = {name: value for name, value in self.options.items() if name not in _AFTERWARDS}
        values = self.values
        if self.through_logarithm:
            with np.errstate(divide="ignore", invalid="ignore"):
                values = np.log(values)
        return {"input": values, "target": self.target, **options}
