"""One batch of a loss: what it was given, and the rows of it that are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xent._errors import InputError
from xent.wiring._flow._losses import LOGITS, Loss
from xent.wiring._live._given_loss import GivenLoss, given_loss
from xent.wiring._live._given_tensor import given_tensor, has_values
from xent.wiring._live._rows import Rows, sampled

MOST_ROWS = 4096
_IGNORED = {"cross_entropy", "nll_loss", "softmax_focal_loss", "cross_entropy_statistics"}


@dataclass(frozen=True)
class Batch:
    """What a loss was given.

    Args:
        given: the loss with its options.
        input: the first argument.
        target: the second one.
        most_rows: how many rows are looked at; of more, as many are taken at even distances.
        trained_with: the loss that the outputs were trained with, where it is another.
        outputs: what the model gave that loss.
    """

    given: GivenLoss
    input: Tensor
    target: Tensor
    most_rows: int = MOST_ROWS
    trained_with: GivenLoss | None = None
    outputs: Tensor | None = None

    @property
    def loss(self) -> Loss:
        """What the loss takes."""
        return self.given.loss

    @property
    def label(self) -> str:
        """How the loss was called."""
        return self.given.label

    @property
    def options(self) -> Mapping[str, Any]:
        """The options of the loss that were given."""
        return self.given.options

    @property
    def takes_logits(self) -> bool:
        """Whether the loss applies softmax or sigmoid itself."""
        return self.loss.takes == LOGITS

    @property
    def class_axis(self) -> int | None:
        """The axis of the classes, or of the labels; None for a loss of elements of one axis."""
        axes = self.input.ndim
        given = self.options.get("class_dim")
        if isinstance(given, int) and -axes <= given < axes:
            return given % axes
        if axes >= 2:
            return 1
        return 0 if self.loss.of_rows and axes == 1 and self.loss.name != "log_loss" else None

    @property
    def classes(self) -> int | None:
        """The size of the axis of the classes, or of the labels."""
        return None if self.class_axis is None else int(self.input.shape[self.class_axis])

    @property
    def has_indices(self) -> bool:
        """Whether the target is class indices and fits the input."""
        if not self.loss.of_rows or self.loss.name == "kl_div" or self.class_axis is None:
            return False
        shape = list(self.input.shape)
        del shape[self.class_axis]
        whole = not (self.target.dtype.is_floating_point or self.target.dtype.is_complex)
        return whole and list(self.target.shape) == shape

    @property
    def has_elements(self) -> bool:
        """Whether the target has one number for each number of the input."""
        return self.target.shape == self.input.shape and not self.has_indices

    @property
    def ignore_index(self) -> int | None:
        """The target that marks what is left out; None for none."""
        default = -100 if self.loss.name in _IGNORED else None
        given = self.options.get("ignore_index", default)
        return None if given is None else int(given)

    @property
    def may_be_masked(self) -> bool:
        """Whether the caller may leave elements out: by their losses one by one, or by weights."""
        weight = self.options.get("weight")
        weighed_out = isinstance(weight, Tensor) and has_values(weight) and not weight.all()
        return weighed_out or self.options.get("reduction") == "none"

    @property
    def has_values(self) -> bool:
        """Whether there are values to look at."""
        return self.input.numel() > 0 and has_values(self.input) and has_values(self.target)

    @cached_property
    def indices(self) -> Tensor:
        """Class indices as int64: in unsigned dtypes a mark of -100 would wrap around."""
        return self.target.detach().to(torch.int64)

    @cached_property
    def rows(self) -> Rows:
        """The rows that are looked at, without those that the loss leaves out."""
        target = self.target if self.has_elements else None
        target = self.indices if self.has_indices else target
        return sampled(self.input, target, self.class_axis, self.ignore_index, self.most_rows)

    @property
    def classes_of_rows(self) -> NDArray[np.int64] | None:
        """The class of each row looked at, where all lie among the classes."""
        indices = self.rows.target if self.has_indices else None
        if indices is None or not len(indices):
            return None
        return indices if indices.min() >= 0 and indices.max() < self.rows.classes else None

    def __str__(self) -> str:
        words = [
            f"{name} {tuple(each.shape)} {str(each.dtype).removeprefix('torch.')}"
            for name, each in (("input", self.input), ("target", self.target))
        ]
        return f"{self.label}, {', '.join(words)}"


def batch_of(
    loss: object,
    input: object,
    target: object,
    *,
    most_rows: int = MOST_ROWS,
    trained_with: object = None,
    outputs: object = None,
) -> Batch:
    """The batch of a loss; nothing of it is changed or copied yet.

    Raises:
        InputError: if the loss is not known, an argument is no tensor or ``most_rows`` no number.

    >>> batch_of("cross_entropy", torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])).classes
    3
    """
    given = given_loss(loss)
    trained = None if trained_with is None else given_loss(trained_with, "check: trained_with")
    if outputs is not None and trained is None:
        raise InputError(
            "check: trained_with", "given with outputs", "None", 'Try trained_with="cross_entropy".'
        )
    tensors = given_tensor(input, "input"), given_tensor(target, "target")
    behind = None if outputs is None else given_tensor(outputs, "outputs")
    return Batch(given, *tensors, _number_of_rows(most_rows), trained, behind)


def _number_of_rows(given: object) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise InputError("check: most_rows", "a number of at least 1", repr(given), "Try 4096.")
    return given
