"""What becomes of the losses of rows and elements: every denominator that kernels don't know.

The kernels themselves divide by the weight of what counts. Here stand the denominators that are
asked for besides: an explicit ``normalizer``, and the ``sample_weight`` of elements.
"""

from __future__ import annotations

import torch
from torch import Tensor

from xent.kernels import ElementSettings, RowSettings, product, quotient, row_weights

# What the plain calls ask for, made once.
PLAIN_ROWS = {name: RowSettings(name) for name in ("none", "mean", "sum")}
PLAIN_ELEMENTS = {name: ElementSettings(name) for name in ("none", "mean", "sum")}


def kernel_reduction(reduction: str, *denominators: object) -> str:
    """What a kernel is asked for: the sum where the mean has a denominator of its own."""
    has_own = any(denominator is not None for denominator in denominators)
    return "sum" if reduction == "mean" and has_own else reduction


def over_normalizer(loss: Tensor, normalizer: float | Tensor | None, zero_if_empty: bool) -> Tensor:
    """The sum of a loss over the explicit denominator, if there is one."""
    if normalizer is None:
        return loss
    return quotient(loss, _as_tensor(normalizer, loss), zero_if_empty)


def over_elements(
    loss: Tensor,
    target: Tensor,
    sample_weight: Tensor | None,
    ignore_index: int | None,
    normalizer: float | Tensor | None,
    zero_if_empty: bool,
) -> Tensor:
    """The sum of a loss over the sample weights of the elements that count, or the normalizer."""
    if normalizer is not None or sample_weight is None:
        return over_normalizer(loss, normalizer, zero_if_empty)
    share = over_trailing(sample_weight.to(loss.dtype), target).expand_as(target)
    if ignore_index is not None:
        share = torch.where(_counted(target, ignore_index), share, 0.0)
    return quotient(loss, share.sum(), zero_if_empty)


def reduce_rows(
    loss: Tensor,
    target: Tensor,
    weight: Tensor | None,
    sample_weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    normalizer: float | Tensor | None,
    zero_if_empty: bool,
) -> Tensor:
    """Losses of rows that no kernel has weighted yet, weighted and reduced."""
    weights = row_weights(target, weight, sample_weight, ignore_index, loss.dtype)
    loss = product(weights, loss)
    if reduction == "none":
        return loss
    if reduction == "mean" and normalizer is None:
        return quotient(loss.sum(), weights.sum(), zero_if_empty)
    return over_normalizer(loss.sum(), normalizer, zero_if_empty)


def reduce_elements(loss: Tensor, reduction: str) -> Tensor:
    """Losses of elements that all count."""
    if reduction == "none":
        return loss
    return loss.sum() if reduction == "sum" else loss.mean()


def over_trailing(sample_weight: Tensor, like: Tensor) -> Tensor:
    """A weight of the leading axes, shaped to broadcast along the others."""
    return sample_weight.reshape(sample_weight.shape + (1,) * (like.ndim - sample_weight.ndim))


def _counted(target: Tensor, ignore_index: int) -> Tensor:
    # A narrow integer would wrap the number that it is compared with.
    wide = target if target.is_floating_point() else target.long()
    return wide != ignore_index


def _as_tensor(number: float | Tensor, like: Tensor) -> Tensor:
    if isinstance(number, Tensor):
        return number.to(like.dtype)
    return torch.full_like(like, number)
