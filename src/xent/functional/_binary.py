"""Binary cross-entropy: each element is a yes or no by itself."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as torch_functional
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_variadic

from xent._validate import check_elements, legacy_reduction, out_of_range, under_autocast
from xent.functional._overrides import has_own_form
from xent.functional._precision import autocast_is_on, result_dtype, wide
from xent.functional._reduction import (
    PLAIN_ELEMENTS,
    kernel_reduction,
    over_elements,
    over_trailing,
)
from xent.kernels import ElementSettings, OutOfRange, probability_loss, sigmoid_loss

Kernel = Callable[[Tensor, Tensor, Tensor | None, Tensor | None, ElementSettings], Tensor]

PLAIN_DTYPES = frozenset((torch.float32, torch.float64))


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    *,
    pos_weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
    all_ignored: str = "nan",
) -> Tensor:
    r"""Cross-entropy between target and predicted probabilities, each element by itself.

    .. math::
        \ell = -w \left[\mathrm{pos\_weight} \cdot t' \log p + (1 - t') \log(1 - p)\right],
        \qquad t' = (1 - \epsilon)\, t + \epsilon / 2

    with p the input, t the target and :math:`\epsilon` the label smoothing.

    Args:
        input: probabilities in [0, 1], of any shape. For logits use
            ``binary_cross_entropy_with_logits``.
        target: labels 0 and 1, or probabilities of 1 in [0, 1], in the shape of ``input``; any
            floating dtype, any integer or bool.
        weight: weight of each element, of a shape that broadcasts to that of ``input``.
        size_average: deprecated in PyTorch; use ``reduction``.
        reduce: deprecated in PyTorch; use ``reduction``.
        reduction: "none" for the loss of each element, "mean" or "sum".
        pos_weight: weight of the term of 1, broadcast like ``weight``.
        label_smoothing: share of the target that is moved to one half, in [0, 1].
        ignore_index: elements with this target are left out, of the mean's denominator too;
            their input is never read. None for none.
        sample_weight: weight of the elements of a row, in the shape of the leading axes of
            ``input``, such as ``(N,)`` for ``(N, C)``. Counts in the mean's denominator too.
        normalizer: what the mean divides by instead, a number or a 0-d tensor.
        all_ignored: the mean over nothing, "nan" as in PyTorch or "zero"; its gradient is 0.

    Returns:
        The loss in nats, in the dtype of ``input``: in its shape for "none", else a scalar. The
        mean divides by the number of elements that are not ignored (whatever their ``weight``),
        by the sum of their ``sample_weight`` where it is given, or by ``normalizer``.

    Raises:
        ContractError: where shapes, dtypes, devices or options don't fit together, and where a
            probability lies outside [0, 1] (on the CPU, where values are seen anyway). It is
            also of the type that PyTorch raises in that place. RuntimeError under autocast on an
            accelerator, as in PyTorch.

    Numerics:
        Half types are computed and summed in float32. The logarithms are floored at -100, as in
        PyTorch, so that p = 0 with t = 1 costs 100. The gradient is the exact one wherever it is
        a number of the dtype: 1 at p = 0 with t = 0, -1e20 at p = 1e-20 with t = 1; where it is
        not, at p = 0 with t = 1, PyTorch's 1e12 stands for it. A probability that has rounded to
        0 or 1 has lost what only its logit knows.

    See Also:
        binary_cross_entropy_with_logits: takes logits, and keeps every digit in both tails.
        cross_entropy: takes one class out of several for each row.

    >>> p, t = torch.tensor([0.7, 0.3]), torch.tensor([1.0, 0.0])
    >>> binary_cross_entropy(p, t)
    tensor(0.3567)
    >>> binary_cross_entropy(p, torch.tensor([1, -1]), ignore_index=-1)
    tensor(0.3567)

    References:
        I. J. Good, "Rational decisions", 1952.
    """
    is_pytorchs = (
        pos_weight is None
        and ignore_index is None
        and sample_weight is None
        and normalizer is None
        and all_ignored == "nan"
        and type(label_smoothing) is float
        and label_smoothing == 0.0
    )
    try:
        # What is asked most, in one look and without a call: it costs as much as a small loss.
        if (
            is_pytorchs
            and weight is None
            and size_average is None
            and reduce is None
            and type(reduction) is str
            and reduction in PLAIN_ELEMENTS
            and type(input) is Tensor
            and type(target) is Tensor
            and (dtype := input.dtype) in PLAIN_DTYPES
            and target.dtype is dtype
            and target.shape == input.shape
            and input.is_cpu
            and target.is_cpu
            and not has_torch_function_variadic(input, target)
        ):
            try:
                return probability_loss(input, target, None, None, PLAIN_ELEMENTS[reduction])
            except RuntimeError:
                pass  # a sparse tensor: refused in words below
        if (
            is_pytorchs
            and has_torch_function_variadic(input, target, weight)
            and has_own_form(input, target, weight)
        ):
            own: Tensor = handle_torch_function(
                torch_functional.binary_cross_entropy,
                (input, target, weight),
                input,
                target,
                weight=weight,
                size_average=size_average,
                reduce=reduce,
                reduction=reduction,
            )
            return own
        return _loss_of_elements(
            "binary_cross_entropy",
            probability_loss,
            input,
            target,
            reduction=legacy_reduction(size_average, reduce, reduction),
            weight=weight,
            pos_weight=pos_weight,
            label_smoothing=label_smoothing,
            ignore_index=ignore_index,
            sample_weight=sample_weight,
            normalizer=normalizer,
            all_ignored=all_ignored,
        )
    except OutOfRange as seen:
        raise out_of_range(
            "binary_cross_entropy",
            seen.argument,
            seen.position,
            seen.value,
            shape=input.shape,
            ignore_index=ignore_index,
        ) from None


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
    *,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
    all_ignored: str = "nan",
) -> Tensor:
    r"""Cross-entropy between target probabilities and sigmoid(input), each element by itself.

    .. math::
        \ell = w \left[\mathrm{pos\_weight} \cdot t' \log(1 + e^{-x}) + (1 - t') \log(1 + e^{x})
        \right], \qquad t' = (1 - \epsilon)\, t + \epsilon / 2

    with x the input, t the target and :math:`\epsilon` the label smoothing.

    Args:
        input: logits, that is log-odds of 1, of any shape; infinite ones are allowed.
        target: labels 0 and 1, or probabilities of 1, in the shape of ``input``; any floating
            dtype, any integer or bool. Values outside [0, 1] are taken as they are.
        weight: weight of each element, of a shape that broadcasts to that of ``input``.
        size_average: deprecated in PyTorch; use ``reduction``.
        reduce: deprecated in PyTorch; use ``reduction``.
        reduction: "none" for the loss of each element, "mean" or "sum".
        pos_weight: weight of the term of 1, broadcast like ``weight``.
        label_smoothing: share of the target that is moved to one half, in [0, 1].
        ignore_index: elements with this target are left out, of the mean's denominator too;
            their input is never read. None for none.
        sample_weight: weight of the elements of a row, in the shape of the leading axes of
            ``input``, such as ``(N,)`` for ``(N, C)``. Counts in the mean's denominator too.
        normalizer: what the mean divides by instead, a number or a 0-d tensor.
        all_ignored: the mean over nothing, "nan" as in PyTorch or "zero"; its gradient is 0.

    Returns:
        The loss in nats: in the shape of ``input`` for "none", else a scalar; in the dtype of
        ``target`` where that is a floating one, as in PyTorch, else of ``input``. The mean divides
        by the number of elements that are not ignored (whatever their ``weight``), by the sum of
        their ``sample_weight`` where it is given, or by ``normalizer``.

    Raises:
        ContractError: where shapes, dtypes, devices or options don't fit together. It is also of
            the type that PyTorch raises in that place.

    Numerics:
        Half types are computed and summed in float32. Value and gradient are exact to a few units
        in the last place in both tails: L(-15, 0) = 3.06e-7 in float32. Infinite logits give 0
        where they are right and infinity where they are wrong, never NaN: a target of exactly 0
        drops the term that it multiplies.

    See Also:
        binary_cross_entropy: takes probabilities: apply no sigmoid for this one.
        cross_entropy: takes one class out of several; on the two logits (0, x) it is the same.
        sigmoid_focal_loss: gives elements that are already right less weight.

    >>> x, t = torch.tensor([2.0, -1.0]), torch.tensor([1.0, 0.0])
    >>> binary_cross_entropy_with_logits(x, t)
    tensor(0.2201)
    >>> binary_cross_entropy_with_logits(torch.tensor([-15.0]), torch.tensor([False]))
    tensor(3.0590e-07)

    References:
        I. J. Good, "Rational decisions", 1952.
        D. R. Cox, "The regression analysis of binary sequences", 1958.
    """
    is_pytorchs = (
        ignore_index is None
        and sample_weight is None
        and normalizer is None
        and all_ignored == "nan"
        and type(label_smoothing) is float
        and label_smoothing == 0.0
    )
    if (
        is_pytorchs
        and weight is None
        and size_average is None
        and reduce is None
        and pos_weight is None
        and type(reduction) is str
        and reduction in PLAIN_ELEMENTS
        and type(input) is Tensor
        and type(target) is Tensor
        and (dtype := input.dtype) in PLAIN_DTYPES
        and target.dtype is dtype
        and target.shape == input.shape
        and input.is_cpu
        and target.is_cpu
        and not has_torch_function_variadic(input, target)
    ):
        try:
            return sigmoid_loss(input, target, None, None, PLAIN_ELEMENTS[reduction])
        except RuntimeError:
            pass  # a sparse tensor: refused in words below
    if (
        is_pytorchs
        and has_torch_function_variadic(input, target, weight, pos_weight)
        and has_own_form(input, target, weight, pos_weight)
    ):
        own: Tensor = handle_torch_function(
            torch_functional.binary_cross_entropy_with_logits,
            (input, target, weight, pos_weight),
            input,
            target,
            weight=weight,
            size_average=size_average,
            reduce=reduce,
            reduction=reduction,
            pos_weight=pos_weight,
        )
        return own
    loss = _loss_of_elements(
        "binary_cross_entropy_with_logits",
        sigmoid_loss,
        input,
        target,
        reduction=legacy_reduction(size_average, reduce, reduction),
        weight=weight,
        pos_weight=pos_weight,
        label_smoothing=label_smoothing,
        ignore_index=ignore_index,
        sample_weight=sample_weight,
        normalizer=normalizer,
        all_ignored=all_ignored,
    )
    if not target.is_floating_point():
        return loss
    return loss.to(result_dtype(target))


def _loss_of_elements(
    name: str,
    kernel: Kernel,
    input: Tensor,
    target: Tensor,
    *,
    reduction: str,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    label_smoothing: float,
    ignore_index: int | None,
    sample_weight: Tensor | None,
    normalizer: float | Tensor | None,
    all_ignored: str,
) -> Tensor:
    check_elements(
        name,
        input,
        target,
        weight=weight,
        pos_weight=pos_weight,
        sample_weight=sample_weight,
        reduction=reduction,
        label_smoothing=label_smoothing,
        ignore_index=ignore_index,
        normalizer=normalizer,
        all_ignored=all_ignored,
    )
    if kernel is probability_loss:
        _refuse_autocast(name, input)
    dtype = result_dtype(input, target)
    has_own_denominator = reduction == "mean" and not (sample_weight is None and normalizer is None)
    working = input.to(wide(dtype) if has_own_denominator else dtype)
    if sample_weight is not None:
        share = over_trailing(sample_weight, input).to(working.dtype)
        weight = share if weight is None else share * weight
    zero = all_ignored == "zero"
    asked = kernel_reduction(reduction, sample_weight, normalizer)
    settings = ElementSettings(asked, label_smoothing, ignore_index, zero)
    loss = kernel(working, target, weight, pos_weight, settings)
    if has_own_denominator:
        loss = over_elements(loss, target, sample_weight, ignore_index, normalizer, zero)
    return loss.to(dtype)


def _refuse_autocast(name: str, input: Tensor) -> None:
    """As PyTorch: what comes out of a layer under autocast has lost the digits near 0 and 1."""
    if not input.is_cpu and autocast_is_on(input):
        raise under_autocast(name, input)
