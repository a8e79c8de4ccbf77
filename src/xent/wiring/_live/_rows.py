"""The rows of a batch that are looked at, as NumPy arrays in float64."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xent._symptoms import row_sum_tolerance

Array = NDArray[np.float64]

# So many numbers at most, for tasks of very many classes, but not fewer rows than this.
MOST_NUMBERS, FEWEST_ROWS = 2**20, 32
# bfloat16 has 8 bits where float16 has 11.
_COARSER = 8.0
_COARSE = (torch.bfloat16,)


@dataclass(frozen=True)
class Rows:
    """Rows of a batch.

    Args:
        values: the input, ``(rows, classes)``; of a loss of elements without axis 1 one column.
        target: class indices ``(rows,)`` or numbers ``(rows, classes)``; None where the target
            has another shape.
        total: how many rows the batch has.
        ignored: how many of them the loss leaves out; of elements, those that were looked at.
        kept: for a loss of elements which of the values count.
        coarse: whether the values are rounded as in bfloat16.
        rounding: of numbers below 1, and at least of sums in single precision.
    """

    values: Array
    target: NDArray[Any] | None
    total: int
    ignored: int
    kept: NDArray[np.bool_]
    coarse: bool
    rounding: float = 1e-6

    def __len__(self) -> int:
        return len(self.values)

    @property
    def classes(self) -> int:
        """The number of columns."""
        return int(self.values.shape[1])

    @property
    def is_part(self) -> bool:
        """Whether there are more rows than were looked at."""
        return len(self) < self.total - self.ignored

    @property
    def counted(self) -> Array:
        """The numbers that count, in one line."""
        return np.asarray(self.values[self.kept])

    @cached_property
    def finite(self) -> Array:
        """The rows without NaN and +inf; -inf stands for what is masked."""
        usual = np.all(self.values < np.inf, axis=1)
        return np.asarray(self.values[usual & ~np.isnan(self.values).any(axis=1)])

    def tolerance(self, terms: int) -> float:
        """How far from 1 so many probabilities may sum because of the way they were stored."""
        return tolerance_of_sums(terms, self.coarse)

    def words(self) -> str:
        """How many rows there are, as in ``all 64 rows``."""
        count = len(self)
        if self.is_part:
            return f"all {count:,} rows looked at of {self.total:,}"
        return "the one row" if count == 1 else f"all {count:,} rows"


def tolerance_of_sums(terms: int, coarse: bool) -> float:
    """How far from 1 so many probabilities may sum, stored as in bfloat16 or finer.

    >>> tolerance_of_sums(2, coarse=True) / tolerance_of_sums(2, coarse=False)
    8.0
    """
    return row_sum_tolerance(terms) * (_COARSER if coarse else 1.0)


def is_coarse(dtype: torch.dtype, values: Array) -> bool:
    """Whether values are rounded as in bfloat16, also if they were converted since.

    >>> is_coarse(torch.float32, np.array([0.5, 0.25])), is_coarse(torch.float32, np.array([0.1]))
    (True, False)
    """
    return dtype in _COARSE or _fits_bfloat16(values)


def sampled(
    input: Tensor, target: Tensor | None, axis: int | None, mark: int | None, most_rows: int
) -> Rows:
    """Rows at even distances of what the loss doesn't leave out, without a copy of the rest."""
    input = input.detach()
    if axis is None:
        input = input.reshape(-1, 1)
        target = None if target is None else target.detach().reshape(-1, 1)
    else:
        input = input.movedim(axis, -1)
    with_classes = target is not None and target.ndim == input.ndim
    if target is not None:
        target = target.detach()
        target = target.movedim(axis, -1) if with_classes and axis is not None else target
    lead, classes = input.shape[:-1], input.shape[-1]
    total = lead.numel()
    places, ignored = _places(None if with_classes else target, total, mark)
    limit = min(most_rows, max(FEWEST_ROWS, MOST_NUMBERS // max(classes, 1)))
    if len(places) > limit:
        even = torch.linspace(0, len(places) - 1, limit, dtype=torch.float64, device="cpu")
        places = places[even.round().long().to(places.device)]
    values = _numbers(_taken(input, places, lead))
    goals = None if target is None else _taken(target, places, lead).cpu()
    kept = np.ones(values.shape, dtype=bool)
    if with_classes and goals is not None and mark is not None:
        kept = (goals != mark).numpy()
        ignored = int((~kept).all(axis=1).sum())
    coarse = is_coarse(input.dtype, values)
    rounding = 2.0**-9 if coarse else 2.0**-12 if input.dtype == torch.float16 else 1e-6
    goal = None if goals is None else _target(goals)
    return Rows(values, goal, total, ignored, kept, coarse, rounding)


def _places(target: Tensor | None, total: int, mark: int | None) -> tuple[Tensor, int]:
    """Flat positions of the rows that count, and how many don't."""
    if target is None or mark is None:
        return torch.arange(total, device="cpu"), 0  # whatever the default device
    places = (target.reshape(-1) != mark).nonzero().reshape(-1)
    return places, total - len(places)


def _taken(tensor: Tensor, places: Tensor, lead: torch.Size) -> Tensor:
    """The rows at flat positions of the leading axes."""
    if not lead:
        return tensor.reshape(1, *tensor.shape)[places.to(tensor.device)]
    where = torch.unravel_index(places.to(tensor.device), lead)
    return tensor[where]


def _numbers(tensor: Tensor) -> Array:
    if tensor.dtype.is_complex:
        tensor = tensor.real
    return np.asarray(tensor.cpu().to(torch.float64).numpy())


def _target(goals: Tensor) -> NDArray[Any]:
    goals = goals.real if goals.dtype.is_complex else goals
    whole = not goals.dtype.is_floating_point
    return np.asarray(goals.to(torch.int64 if whole else torch.float64).numpy())


def _fits_bfloat16(values: Array) -> bool:
    """Whether no value uses the bits that bfloat16 lacks: computed in it and converted."""
    finite = values[np.isfinite(values)]
    if finite.size == 0 or np.all(finite == np.round(finite)):
        return False
    single = finite.astype(np.float32)
    same = bool(np.all(single == finite))
    return same and not np.any(single.view(np.uint32) & np.uint32(0xFFFF))
