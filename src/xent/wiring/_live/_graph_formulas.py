"""Softmax and log_softmax that are written out, in an autograd graph."""

from __future__ import annotations

from typing import Any

from xent.wiring._live._graph_axes import AXES, rank_of, saved_number
from xent.wiring._live._graph_nodes import operation_of

Edge = tuple[Any, int]

# Of views between a quotient and its sum, mostly none or one.
_LONGEST_CHAIN = 50


def axis_of_softmax_by_hand(quotient: Any) -> int | None:
    """The axis of a quotient of exponentials and their own sum; None if it isn't one.

    >>> import torch
    >>> powers = torch.zeros(2, 3, requires_grad=True).exp()
    >>> axis_of_softmax_by_hand((powers / powers.sum(1, keepdim=True)).grad_fn)
    1
    """
    above, below = quotient.next_functions[:2]
    total, name = _past_shape(below)
    if operation_of(above[0]) != "Exp" or name != "Sum" or not _same(above, total):
        return None
    return _summed_axis(total)


def axis_of_log_softmax_by_hand(difference: Any) -> int | None:
    """The axis of scores less the logarithm of the sum of their exponentials; None if not that."""
    scores, below = difference.next_functions[:2]
    total, name = _past_shape(below)
    if name == "Logsumexp" and _same(scores, total):
        return _summed_axis(total)
    if name == "Log":
        return _summed_axis_of_exponentials(scores, total)
    return None


def _past_shape(edge: Edge) -> tuple[Edge, str]:
    """The first operation behind an edge that does more than move numbers, and its name."""
    for _ in range(_LONGEST_CHAIN):
        name = operation_of(edge[0])
        if name not in AXES:
            return edge, name
        edge = edge[0].next_functions[0]
    return edge, ""


def _same(edge: Edge, total: Edge) -> bool:
    behind: Edge = total[0].next_functions[0]
    return edge[0] is not None and behind[0] is edge[0] and behind[1] == edge[1]


def _summed_axis(total: Edge) -> int | None:
    """The one axis that a sum goes over; None if there are several."""
    node = total[0]
    rank = rank_of(*node.next_functions[0])
    if node.name().startswith("SumBackward0"):
        return 0 if rank == 1 else None
    dims = saved_number(node, "dim")
    if rank is None or not isinstance(dims, tuple) or len(dims) != 1:
        return None
    return int(dims[0]) % rank


def _summed_axis_of_exponentials(scores: Edge, logarithm: Edge) -> int | None:
    total, name = _past_shape(logarithm[0].next_functions[0])
    if name != "Sum":
        return None
    exponentials = total[0].next_functions[0]
    if operation_of(exponentials[0]) != "Exp" or not _same(scores, exponentials):
        return None
    return _summed_axis(total)
