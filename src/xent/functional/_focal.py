"""Focal losses: what is already right counts less."""

from __future__ import annotations

import torch
from torch import Tensor

from xent._validate import check_elements, check_rows, out_of_range
from xent.functional._logits import class_axis, classes_on_axis_one, row_shape, rows_like
from xent.functional._precision import result_dtype, wide
from xent.functional._reduction import PLAIN_ELEMENTS, reduce_elements, reduce_rows
from xent.kernels import OutOfRange, RowSettings, product, sigmoid_loss, softmax_loss


def sigmoid_focal_loss(
    input: Tensor,
    target: Tensor,
    alpha: float | None = 0.25,
    gamma: float = 2.0,
    reduction: str = "mean",
) -> Tensor:
    r"""Binary cross-entropy of logits, weighted down where the prediction is already right.

    .. math::
        \ell = -\alpha_t (1 - p_t)^\gamma \left[t \log p + (1 - t) \log(1 - p)\right],
        \qquad p_t = p\,t + (1 - p)(1 - t), \quad \alpha_t = \alpha t + (1 - \alpha)(1 - t)

    with p = sigmoid(input) and t the target.

    Args:
        input: logits, that is log-odds of 1, of any shape.
        target: labels 0 and 1, or probabilities of 1, in the shape of ``input``; any floating
            dtype, any integer or bool.
        alpha: weight of the label 1, and 1 - alpha that of 0; negative or None for no weights.
        gamma: how fast elements lose weight as they become right; 0 for not at all.
        reduction: "none" for the loss of each element, "mean" or "sum".

    Returns:
        The loss in nats, in the dtype of ``input`` (promoted with floating targets): in the shape
        of ``input`` for "none", else a scalar. The mean divides by the number of elements.

    Raises:
        ContractError: where shapes, dtypes, devices or options don't fit together.

    Numerics:
        Half types are computed in float32. 1 - p_t is computed from its own tail and not as a
        difference, so that confident elements keep their digits; infinite logits give 0 where
        they are right and infinity where they are wrong.

    See Also:
        binary_cross_entropy_with_logits: is this with gamma=0 and alpha=-1.
        softmax_focal_loss: takes one class out of several for each row.

    >>> x, t = torch.tensor([2.0, -1.0]), torch.tensor([1.0, 1.0])
    >>> sigmoid_focal_loss(x, t, reduction="none")
    tensor([0.0005, 0.1755])

    References:
        T.-Y. Lin and others, "Focal loss for dense object detection", 2017, equation 5.
    """
    check_elements(
        "sigmoid_focal_loss", input, target, reduction=reduction, alpha=alpha, gamma=gamma
    )
    dtype = result_dtype(input, target)
    logits, share = input.to(wide(dtype)), target.to(wide(dtype))
    cross_entropy = sigmoid_loss(logits, share, None, None, PLAIN_ELEMENTS["none"])
    missed = torch.sigmoid(-logits) * share + torch.sigmoid(logits) * (1.0 - share)
    loss = _focused(cross_entropy, missed, gamma)
    if alpha is not None and alpha >= 0.0:
        loss = product(alpha * share + (1.0 - alpha) * (1.0 - share), loss)
    return reduce_elements(loss, reduction).to(dtype)


def softmax_focal_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    gamma: float = 2.0,
    ignore_index: int = -100,
    reduction: str = "mean",
    *,
    class_dim: int | None = None,
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
    all_ignored: str = "nan",
) -> Tensor:
    r"""Cross-entropy of logits, weighted down in rows that are already right.

    .. math::
        \ell = -s\, w_y (1 - p_y)^\gamma \log p_y, \qquad p = \mathrm{softmax}(x)

    with y the target, s the sample weight and w the class weights.

    Args:
        input: logits ``(N, C)``, ``(N, C, d1, ...)``, or ``(C,)`` for a single row; with
            ``class_dim`` the classes lie on any axis.
        target: class indices in [0, C) of any integer dtype, in the shape of ``input`` without
            the class axis.
        weight: weight of each class, ``(C,)``.
        gamma: how fast rows lose weight as they become right; 0 for not at all.
        ignore_index: rows with this target are left out, of the mean's denominator too; their
            logits are never read.
        reduction: "none" for the loss of each row, "mean" or "sum".
        class_dim: axis of the classes; None is PyTorch's rule, 1, or 0 for a single row.
        sample_weight: weight of each row, in the shape of the target.
        normalizer: what the mean divides by instead, a number or a 0-d tensor, such as the number
            of objects.
        all_ignored: the mean over nothing, "nan" or "zero"; its gradient is 0.

    Returns:
        The loss in nats, in the dtype of ``input``: in the shape of the target for "none", else a
        scalar. The mean divides by the sum of ``sample_weight * weight[target]`` over the rows
        that are not ignored, or by ``normalizer``; never by what the focus has left of them.

    Raises:
        ContractError: where shapes, dtypes, devices or options don't fit together, and where a
            class index lies outside [0, C) (on the CPU).

    Numerics:
        Half types are computed in float32. 1 - p_y is ``-expm1(-nll)``, which keeps its digits in
        rows that are right almost surely.

    See Also:
        cross_entropy: is this with gamma=0.
        sigmoid_focal_loss: takes a yes or no for each element.

    >>> x = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    >>> softmax_focal_loss(x, torch.tensor([0, 0]), reduction="none")
    tensor([0.0018, 0.7019])

    References:
        T.-Y. Lin and others, "Focal loss for dense object detection", 2017, equation 4.
    """
    check_rows(
        "softmax_focal_loss",
        input,
        target,
        weight=weight,
        sample_weight=sample_weight,
        class_dim=class_dim,
        reduction=reduction,
        ignore_index=ignore_index,
        normalizer=normalizer,
        all_ignored=all_ignored,
        gamma=gamma,
    )
    dtype, shape = result_dtype(input), row_shape(input, class_dim)
    target = target.reshape(shape)
    logits = classes_on_axis_one(input, class_dim).to(wide(dtype))
    settings = RowSettings("none", ignore_index)
    try:
        nll = softmax_loss(logits, rows_like(target, input, logits), None, None, settings)
    except OutOfRange as seen:
        raise out_of_range(
            "softmax_focal_loss",
            "target",
            seen.position,
            seen.value,
            shape=target.shape,
            classes=input.shape[class_axis(input, class_dim)],
            ignore_index=ignore_index,
        ) from None
    nll = nll.reshape(shape)
    return reduce_rows(
        _focused(nll, -torch.expm1(-nll), gamma),
        target,
        weight,
        sample_weight,
        ignore_index,
        reduction,
        normalizer,
        all_ignored == "zero",
    ).to(dtype)


def _focused(loss: Tensor, missed: Tensor, gamma: float) -> Tensor:
    """``missed**gamma * loss``, whose derivative is 0 where nothing is missed and never NaN."""
    if gamma == 0.0:
        return loss
    nothing, everything = missed == 0.0, torch.isinf(loss)
    power = torch.where(nothing | everything, 1.0, missed) ** gamma
    return torch.where(nothing, 0.0, power) * torch.where(nothing, 0.0, loss)
