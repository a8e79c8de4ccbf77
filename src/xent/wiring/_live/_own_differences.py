"""Losses of one's own that broadcast: differences of outputs and targets of unequal shapes."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from xent.wiring._live._graph_nodes import operation_of
from xent.wiring._live._report import LiveFinding
from xent.wiring._live._shapes import unequal_shapes


def broadcast_difference(args: Any) -> LiveFinding | None:
    """The fault of a difference, if it has one.

    One of the two has a gradient, and is an output; the other has none, and is the target. Pairs of
    outputs, as in losses that rank, are left alone, and so are shapes (N, 1) and (1, N), and
    outputs that ``[:, None]`` made a column: these are meant to broadcast.

    Args:
        args: what the difference is taken of.

    >>> import torch
    >>> output = torch.zeros(8, 1, requires_grad=True)
    >>> broadcast_difference((output, torch.ones(8))).code
    'XE201'
    >>> broadcast_difference((output, torch.ones(8, 1))) is None
    True
    """
    pair = _column_and_row(args)
    if pair is None:
        return None
    message = "A difference of outputs and targets is taken of unequal shapes."
    output, target = (tuple(each.shape) for each in pair)
    return unequal_shapes(output, target, message, "output")


def _column_and_row(args: Any) -> tuple[Tensor, Tensor] | None:
    if len(args) < 2 or not all(isinstance(each, Tensor) for each in args[:2]):
        return None
    one, other = args[:2]
    if one.requires_grad == other.requires_grad or {one.dim(), other.dim()} != {1, 2}:
        return None
    column, row = (one, other) if one.dim() == 2 else (other, one)
    if column.shape[1] != 1 or column.shape[0] != row.shape[0] or row.shape[0] < 2:
        return None
    if operation_of(column.grad_fn) == "Unsqueeze":
        return None
    return (one, other) if one.requires_grad else (other, one)
