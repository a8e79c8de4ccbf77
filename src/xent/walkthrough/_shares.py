"""What the terms of a sum are multiplied by, and what the sum is divided by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent.walkthrough._feeds import NUMPY_DTYPES
from xent.walkthrough._inputs import Given

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Shares:
    """Weights of what is not ignored, worked out apart from the contract table.

    Args:
        mask: which rows or elements are not ignored.
        weight: of each row or element; None for 1.
        class_weight: of each class, where a row is one class out of several.
        pos_weight: of the term of 1, where an element is a yes or no.
        count: what the sum is divided by; None for the number of rows or elements.
    """

    mask: NDArray[np.bool_]
    weight: Array | None
    class_weight: Array | None
    pos_weight: Array | None
    count: float | None

    def counted(self, array: Array) -> Array:
        """The rows, or the elements in a line, that are not ignored."""
        return np.asarray(array)[self.mask]

    @property
    def plain(self) -> bool:
        """Whether it is the mean of what is not ignored, and nothing more."""
        others = (self.weight, self.class_weight, self.pos_weight, self.count)
        return all(each is None for each in others)

    def mean(self, losses: Array) -> Any:
        """The losses weighted, added and divided."""
        if self.weight is None and self.count is None:
            return np.mean(losses)
        total = np.sum(losses if self.weight is None else losses * self.weight)
        return total / (len(losses) if self.count is None else self.count)

    def of_labels(self, labels: Array) -> Array:
        """One weight for each label, of what its class, its row and its term of 1 weigh."""
        own = np.ones(len(labels)) if self.weight is None else self.weight.astype(np.float64)
        if self.class_weight is not None:
            own = own * self.class_weight[labels]
        if self.pos_weight is not None:
            own = np.where(labels == 1, own * self.pos_weight, own)
        return own


def shares_of(given: Given) -> Shares:
    """Those of the options of the loss, in the dtype of the numbers."""
    kind, mask = NUMPY_DTYPES[given.dtype], given.counted

    def counted(array: Array | None) -> Array | None:
        return None if array is None else array[mask].astype(kind)

    of_sample = counted(given.sample_weight)
    if given.of_rows:
        of_class = None if given.weight is None else given.weight.astype(kind)
        count = _count(given, of_sample, None if given.soft else given.weight)
        return Shares(mask, of_sample, of_class, None, count)
    weight = counted(given.weight)
    if weight is not None and of_sample is not None:
        weight = weight * of_sample
    own = of_sample if weight is None else weight
    return Shares(mask, own, None, counted(given.pos_weight), _count(given, of_sample, None))


def _count(given: Given, of_sample: Array | None, of_class: Array | None) -> float | None:
    """The divisor, if it is not how many there are."""
    if given.reduction == "sum":
        return 1.0
    if given.options.get("normalizer") is not None:
        return float(given.options["normalizer"])
    if of_sample is None and of_class is None:
        return None
    share = np.ones(int(np.count_nonzero(given.counted)))
    if of_class is not None:
        share = of_class[given.target[given.counted]]
    if of_sample is not None:
        share = share * of_sample.astype(np.float64)
    return float(np.sum(share))
