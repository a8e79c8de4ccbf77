"""What each row of logits says of its target."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from xent._validate import check_rows, out_of_range
from xent.functional._logits import class_axis, classes_on_axis_one, row_shape, rows_like
from xent.functional._precision import result_dtype
from xent.kernels import OutOfRange, softmax_statistics


class CrossEntropyStatistics(NamedTuple):
    """Four numbers for each row, each in the shape of the target.

    Args:
        nll: negative log-likelihood of the target, in nats.
        log_sum_exp: logarithm of the sum of the exponentials of the logits.
        entropy: of the softmax of the row, in nats; between 0 and log C.
        prediction: the class with the largest logit, int64.
    """

    nll: Tensor
    log_sum_exp: Tensor
    entropy: Tensor
    prediction: Tensor


def cross_entropy_statistics(
    input: Tensor,
    target: Tensor,
    ignore_index: int = -100,
    *,
    class_dim: int | None = None,
) -> CrossEntropyStatistics:
    r"""What each row of logits says of its target: nll, log-sum-exp, entropy and prediction.

    .. math::
        \mathrm{nll} = L - x_y, \quad L = \log \sum_c e^{x_c}, \quad
        H = -\sum_c p_c \log p_c, \quad \arg\max_c x_c

    with y the target and p = softmax(x). The first three are differentiable.

    Args:
        input: logits ``(N, C)``, ``(N, C, d1, ...)``, or ``(C,)`` for a single row; with
            ``class_dim`` the classes lie on any axis.
        target: class indices in [0, C) of any integer dtype, in the shape of ``input`` without
            the class axis.
        ignore_index: target of the rows that are left out; their logits are never read.
        class_dim: axis of the classes; None is PyTorch's rule, 1, or 0 for a single row.

    Returns:
        A named tuple of four tensors in the shape of the target. An ignored row has 0 in the
        first three, so that sums are over the rows that count, and the prediction -1 (-2 where
        ``ignore_index`` is -1), so that it never counts as right.

    Raises:
        ContractError: where shapes, dtypes or devices don't fit together, and where a class index
            lies outside [0, C) (on the CPU).

    Numerics:
        Half types are computed in float32. Losses and entropies of confident rows keep their
        digits; impossible classes, -inf, add nothing to the entropy.

    See Also:
        cross_entropy: is ``nll``, reduced; its reduction="none" is ``nll`` alone.

    >>> import torch
    >>> x = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> statistics = cross_entropy_statistics(x, torch.tensor([0, -100]))
    >>> statistics.nll, statistics.prediction
    (tensor([0.2395, 0.0000]), tensor([ 0, -1]))

    References:
        I. J. Good, "Rational decisions", 1952.
    """
    check_rows(
        "cross_entropy_statistics", input, target, class_dim=class_dim, ignore_index=ignore_index
    )
    shape = row_shape(input, class_dim)
    logits = classes_on_axis_one(input, class_dim).to(result_dtype(input))
    try:
        found = softmax_statistics(
            logits, rows_like(target.reshape(shape), input, logits), ignore_index
        )
    except OutOfRange as seen:
        raise out_of_range(
            "cross_entropy_statistics",
            "target",
            seen.position,
            seen.value,
            shape=target.shape,
            classes=input.shape[class_axis(input, class_dim)],
            ignore_index=ignore_index,
        ) from None
    nll, log_sum_exp, entropy, prediction = (value.reshape(shape) for value in found)
    return CrossEntropyStatistics(nll, log_sum_exp, entropy, prediction)
