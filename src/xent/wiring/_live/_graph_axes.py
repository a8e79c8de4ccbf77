"""Where an axis of a tensor goes when an operation moves numbers about without changing them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

Shape = tuple[int, ...]

# Node, axis and shape of what it is given, shape of what it gives -> axis there, None if lost.
Moved = Callable[[Any, int, Shape, Shape], "int | None"]


def shape_of(node: Any, number: int = 0) -> Shape | None:
    """The shape of an output of the operation that recorded a node; None if it isn't kept.

    >>> import torch
    >>> shape_of(torch.ones(2, 3, requires_grad=True).t().grad_fn)
    (3, 2)
    """
    try:
        return tuple(int(size) for size in node._input_metadata[number].shape)
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
        return None


def rank_of(node: Any, number: int = 0) -> int | None:
    """How many axes that output has."""
    shape = shape_of(node, number)
    return None if shape is None else len(shape)


def saved_number(node: Any, name: str) -> Any:
    """What a node keeps of an option of its operation; False if it keeps nothing of that name.

    Negative axes are kept as unsigned 64-bit numbers and come back as what they were.
    """
    try:
        value = getattr(node, f"_saved_{name}")
    except (AttributeError, RuntimeError):
        return False
    if isinstance(value, tuple):
        return tuple(_signed(item) if isinstance(item, int) else item for item in value)
    if value is None or isinstance(value, int | float):
        return _signed(value) if isinstance(value, int) else value
    return False


def saved_axis(node: Any, name: str, rank: int | None) -> int | None:
    """An axis that a node keeps, counted from 0 in a tensor of that rank."""
    value = saved_number(node, name)
    if isinstance(value, bool) or not isinstance(value, int) or not rank:
        return None
    return value % rank


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _stays(node: Any, axis: int, given: Shape, gives: Shape) -> int | None:
    """The axis keeps its place, unless some of it is cut off or it is repeated."""
    return axis if len(given) == len(gives) and given[axis] == gives[axis] else None


def _from_the_end(node: Any, axis: int, given: Shape, gives: Shape) -> int | None:
    """New axes come first, as in ``expand`` and ``repeat``."""
    moved = axis + len(gives) - len(given)
    return moved if given[axis] == gives[moved] else None


def _view(node: Any, axis: int, given: Shape, gives: Shape) -> int | None:
    """The axis with the same size and the same step: as many numbers lie behind one of its own."""
    if 0 in given or math.prod(given) != math.prod(gives):
        return None
    behind = math.prod(given[axis + 1 :])
    for moved, size in enumerate(gives):
        if size == given[axis] and math.prod(gives[moved + 1 :]) == behind:
            return moved
    return None


def _without(node: Any, axis: int, given: Shape, gives: Shape) -> int | None:
    """One axis is taken away, as in ``select`` and ``unbind``."""
    gone = saved_axis(node, "dim", len(given))
    if gone is None or gone == axis:
        return None
    return axis - (gone < axis)


def _unsqueezed(node: Any, axis: int, given: Shape, gives: Shape) -> int | None:
    new = saved_axis(node, "dim", len(gives))
    return None if new is None else axis + (new <= axis)


def _transposed(node: Any, axis: int, given: Shape, gives: Shape) -> int | None:
    one, other = (saved_axis(node, name, len(given)) for name in ("dim0", "dim1"))
    if one is None or other is None:
        return None
    return {one: other, other: one}.get(axis, axis)


def _turned(node: Any, axis: int, given: Shape, gives: Shape) -> int | None:
    return len(given) - 1 - axis


def _permuted(node: Any, axis: int, given: Shape, gives: Shape) -> int | None:
    dims = saved_number(node, "dims")
    if not isinstance(dims, tuple):
        return None
    return [int(dim) % len(given) for dim in dims].index(axis)


def _other_rows(node: Any, axis: int, given: Shape, gives: Shape) -> int | None:
    """Rows picked by number or mask; the axis is whole if only axes before it are indexed."""
    try:
        indices = node._saved_indices
    except (AttributeError, RuntimeError):
        return None
    taken = 0
    for index in indices:
        if index is None:
            return None
        taken += index.dim() if _is_mask(index) else 1
    if taken > axis:
        return None
    return axis + len(gives) - len(given)


def _is_mask(index: Any) -> bool:
    return str(index.dtype) in ("torch.bool", "torch.uint8")


def _other_rows_of(node: Any, axis: int, given: Shape, gives: Shape) -> int | None:
    along = saved_axis(node, "dim", len(given))
    return axis if along is not None and along != axis else None


def _lost(node: Any, axis: int, given: Shape, gives: Shape) -> int | None:
    return None


# What messages call the operation, and where an axis goes.
AXES: dict[str, tuple[str, Moved]] = {
    "View": ("view", _view),
    "UnsafeView": ("reshape", _view),
    "ReshapeAlias": ("reshape", _view),
    "Squeeze": ("squeeze", _view),
    "Unsqueeze": ("unsqueeze", _unsqueezed),
    "Transpose": ("transpose", _transposed),
    "T": ("t", _turned),
    "Permute": ("permute", _permuted),
    "Select": ("select", _without),
    "Unbind": ("unbind", _without),
    "Slice": ("slice", _stays),
    "Split": ("split", _stays),
    "SplitWithSizes": ("split", _stays),
    "Clone": ("clone", _stays),
    "ToCopy": ("to", _stays),
    "Alias": ("alias", _stays),
    "Flip": ("flip", _stays),
    "Roll": ("roll", _stays),
    "Expand": ("expand", _from_the_end),
    "Repeat": ("repeat", _from_the_end),
    "Index": ("index", _other_rows),
    "IndexSelect": ("index_select", _other_rows_of),
    "Picked": ("gather", _lost),
    "MaskedSelect": ("masked_select", _lost),
    "AsStrided": ("as_strided", _lost),
    "Diagonal": ("diagonal", _lost),
    "Take": ("take", _lost),
}
