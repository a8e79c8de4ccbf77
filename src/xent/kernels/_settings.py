"""What is asked of a loss besides its tensors: plain values, the same for every kernel."""

from __future__ import annotations

from typing import NamedTuple


class RowSettings(NamedTuple):
    """What is asked of a loss of rows, one class out of several each.

    Args:
        reduction: "none", "mean" or "sum".
        ignore_index: target of the rows that are left out; their input is never read.
        label_smoothing: share of the target that is spread evenly over all classes.
        z_loss: coefficient of the squared log-sum-exp that is added to a row.
        zero_if_all_ignored: whether a mean over no weight at all is 0, and not NaN.
    """

    reduction: str = "mean"
    ignore_index: int = -100
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    zero_if_all_ignored: bool = False


class ElementSettings(NamedTuple):
    """What is asked of a loss of elements, each a yes or no by itself.

    Args:
        reduction: "none", "mean" or "sum".
        label_smoothing: share of the target that is moved to one half.
        ignore_index: target of the elements that are left out; None for none.
        zero_if_all_ignored: whether a mean over no elements at all is 0, and not NaN.
    """

    reduction: str = "mean"
    label_smoothing: float = 0.0
    ignore_index: int | None = None
    zero_if_all_ignored: bool = False


class OutOfRange(Exception):  # noqa: N818 -- says what was seen; the caller words the error
    """A value that was read lies outside its domain.

    Args:
        position: index into the flattened target or input.
        value: what stands there.
        argument: name of the tensor, "input" or "target".
    """

    def __init__(self, position: int, value: float, argument: str = "target") -> None:
        super().__init__(position, value, argument)
        self.position = position
        self.value = value
        self.argument = argument
