"""Cross-entropy of rows: each row is one class out of several."""

from __future__ import annotations

import torch
import torch.nn.functional as torch_functional
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_variadic

from xent._validate import check_rows, legacy_reduction, out_of_range
from xent.functional._logits import (
    class_axis,
    classes_on_axis_one,
    readable,
    row_shape,
    rows_like,
    transformed,
)
from xent.functional._overrides import has_own_form
from xent.functional._precision import result_dtype, wide
from xent.functional._reduction import (
    PLAIN_ROWS,
    kernel_reduction,
    over_normalizer,
)
from xent.kernels import OutOfRange, RowSettings, soft_target_loss, softmax_loss
from xent.kernels import nll_loss as nll_kernel

PLAIN_DTYPES = frozenset((torch.float32, torch.float64))
INDEX_DTYPE = torch.int64


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    *,
    class_dim: int | None = None,
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
    all_ignored: str = "nan",
    z_loss: float = 0.0,
    softcap: float | None = None,
    temperature: float | Tensor = 1.0,
    logit_adjustment: Tensor | None = None,
) -> Tensor:
    r"""Cross-entropy between the target and softmax(input), one class out of several a row.

    For a class index y, with s the sample weight, w the class weights, z the ``z_loss`` and
    :math:`\epsilon` the label smoothing over C classes:

    .. math::
        \ell = s \left[ w_y \left((1 - \epsilon)(L - x_y) + z L^2\right)
        + \frac{\epsilon}{C} \sum_c w_c (L - x_c) \right], \qquad L = \log \sum_c e^{x_c}

    and for probabilities t of the classes:

    .. math::
        \ell = s \left[ \sum_c w_c t'_c (L - x_c) + z L^2 \right],
        \qquad t' = (1 - \epsilon)\, t + \epsilon / C

    The x are ``softcap * tanh(input / softcap) / temperature + logit_adjustment``.

    Args:
        input: logits ``(N, C)``, ``(N, C, d1, ...)``, or ``(C,)`` for a single row; with
            ``class_dim`` the classes lie on any axis. -inf marks a class as impossible.
        target: class indices in [0, C) of any integer dtype, in the shape of ``input`` without
            the class axis; or probabilities of the classes, floating, in the shape of ``input``.
        weight: weight of each class, ``(C,)``.
        size_average: deprecated in PyTorch; use ``reduction``.
        ignore_index: rows with this target are left out, of the mean's denominator too; their
            logits are never read. For class indices only.
        reduce: deprecated in PyTorch; use ``reduction``.
        reduction: "none" for the loss of each row, "mean" or "sum".
        label_smoothing: share of the target that is spread evenly over the classes, in [0, 1].
        class_dim: axis of the classes; None is PyTorch's rule, 1, or 0 for a single row.
        sample_weight: weight of each row, in the shape of ``input`` without the class axis.
        normalizer: what the mean divides by instead, a number or a 0-d tensor, such as the number
            of tokens in all micro-batches of a step.
        all_ignored: the mean over nothing, "nan" as in PyTorch or "zero"; its gradient is 0.
        z_loss: coefficient of the squared log-sum-exp that is added to the loss of a row.
        softcap: bound of the logits.
        temperature: what the logits are divided by, after ``softcap``; a number or 0-d tensor.
        logit_adjustment: what is added to the logits of each class, last: ``(C,)``, such as the
            log of the class priors.

    Returns:
        The loss in nats, in the dtype of ``input`` (promoted with floating targets): one entry
        per row for "none", else a scalar. The mean divides by the sum of
        ``sample_weight * weight[target]`` over the rows that are not ignored, which is their
        number where neither is given; for probabilities by the number of rows, or the sum of
        ``sample_weight``, whatever ``weight``; or by ``normalizer``.

    Raises:
        ContractError: where shapes, dtypes, devices or options don't fit together, and where a
            class index lies outside [0, C) (on the CPU, where values are seen anyway). It is also
            of the type that PyTorch raises in that place, such as IndexError.

    Numerics:
        Half types are computed and summed in float32. The target's own term never enters the sum
        over the other classes, so that a confident row keeps a loss and a gradient of 1e-20. A
        weight or target of exactly 0 drops its term, even an infinite one: with impossible classes
        the loss stays finite where it is. NaN in an ignored row reaches nothing.

    See Also:
        nll_loss: takes log-probabilities: this one is nll_loss of log_softmax(input).
        binary_cross_entropy_with_logits: takes a yes or no for each element, so that several
            classes may be right at once.
        softmax_focal_loss: gives rows that are already right less weight.
        cross_entropy_statistics: gives more numbers per row, and no reduction.

    >>> x = torch.tensor([[1.5, -0.5], [0.5, 1.5]])
    >>> cross_entropy(x, torch.tensor([0, 1]))
    tensor(0.2201)
    >>> cross_entropy(x, torch.tensor([0, -100]))
    tensor(0.1269)
    >>> cross_entropy(x, torch.tensor([0, 1], dtype=torch.uint8), z_loss=1e-2, reduction="none")
    tensor([0.1534, 0.3461])

    References:
        I. J. Good, "Rational decisions", 1952.
        J. S. Bridle, "Probabilistic interpretation of feedforward classification network
        outputs", 1990.
        C. Szegedy and others, "Rethinking the Inception architecture for computer vision", 2016.
        A. K. Menon and others, "Long-tail learning via logit adjustment", 2021.
    """
    is_pytorchs = (
        class_dim is None
        and sample_weight is None
        and normalizer is None
        and softcap is None
        and logit_adjustment is None
        and all_ignored == "nan"
        and type(z_loss) is float
        and z_loss == 0.0
        and type(temperature) is float
        and temperature == 1.0
    )
    try:
        # What is asked most, in one look and without a call: it costs as much as a small loss.
        if (
            is_pytorchs
            and weight is None
            and size_average is None
            and reduce is None
            and type(ignore_index) is int
            and ignore_index == -100
            and type(label_smoothing) is float
            and label_smoothing == 0.0
            and type(reduction) is str
            and reduction in PLAIN_ROWS
            and type(input) is Tensor
            and type(target) is Tensor
            and input.dtype in PLAIN_DTYPES
            and target.dtype is INDEX_DTYPE
            and len(shape := input.shape) == 2
            and type(rows := shape[0]) is int  # not so while torch.jit.trace records
            and target.shape == (rows,)
            and input.is_cpu
            and not has_torch_function_variadic(input, target)
        ):
            try:
                return softmax_loss(input, target, None, None, PLAIN_ROWS[reduction])
            except RuntimeError:
                pass  # a sparse tensor, a target on another device: refused in words below
        if (
            is_pytorchs
            and has_torch_function_variadic(input, target, weight)
            and has_own_form(input, target, weight)
        ):
            own: Tensor = handle_torch_function(
                torch_functional.cross_entropy,
                (input, target, weight),
                input,
                target,
                weight=weight,
                size_average=size_average,
                ignore_index=ignore_index,
                reduce=reduce,
                reduction=reduction,
                label_smoothing=label_smoothing,
            )
            return own
        reduction = legacy_reduction(size_average, reduce, reduction)
        check_rows(
            "cross_entropy",
            input,
            target,
            weight=weight,
            sample_weight=sample_weight,
            class_dim=class_dim,
            reduction=reduction,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            z_loss=z_loss,
            softcap=softcap,
            temperature=temperature,
            logit_adjustment=logit_adjustment,
            normalizer=normalizer,
            all_ignored=all_ignored,
        )
        settings = RowSettings(
            reduction, ignore_index, label_smoothing, z_loss, all_ignored == "zero"
        )
        is_changed = not (
            softcap is None
            and logit_adjustment is None
            and not isinstance(temperature, Tensor)
            and temperature == 1.0
        )
        change = (softcap, temperature, logit_adjustment) if is_changed else None
        return _loss_of_rows(
            input, target, weight, sample_weight, class_dim, normalizer, settings, change=change
        )
    except OutOfRange as seen:
        raise _index_error("cross_entropy", seen, input, target, class_dim, ignore_index) from None


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    *,
    class_dim: int | None = None,
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
    all_ignored: str = "nan",
) -> Tensor:
    r"""Negative log-likelihood of the target, read from log-probabilities.

    .. math::
        \ell = -s\, w_y\, x_y

    with y the target, s the sample weight and w the class weights.

    Args:
        input: log-probabilities ``(N, C)``, ``(N, C, d1, ...)``, or ``(C,)`` for a single row;
            with ``class_dim`` the classes lie on any axis. For logits use ``cross_entropy``.
        target: class indices in [0, C) of any integer dtype, in the shape of ``input`` without
            the class axis.
        weight: weight of each class, ``(C,)``.
        size_average: deprecated in PyTorch; use ``reduction``.
        ignore_index: rows with this target are left out, of the mean's denominator too; what
            stands in them is never read.
        reduce: deprecated in PyTorch; use ``reduction``.
        reduction: "none" for the loss of each row, "mean" or "sum".
        class_dim: axis of the classes; None is PyTorch's rule, 1, or 0 for a single row.
        sample_weight: weight of each row, in the shape of the target.
        normalizer: what the mean divides by instead, a number or a 0-d tensor.
        all_ignored: the mean over nothing, "nan" as in PyTorch or "zero"; its gradient is 0.

    Returns:
        The loss in nats, in the dtype of ``input``: in the shape of the target for "none", else a
        scalar. The mean divides by the sum of ``sample_weight * weight[target]`` over the rows
        that are not ignored, which is their number where neither is given, or by ``normalizer``.

    Raises:
        ContractError: where shapes, dtypes, devices or options don't fit together, and where a
            class index lies outside [0, C) (on the CPU, where values are seen anyway). It is also
            of the type that PyTorch raises in that place, such as IndexError.

    Numerics:
        Half types are summed in float32. A weight of exactly 0 drops its row, even where the
        log-probability is -inf.

    See Also:
        cross_entropy: takes logits: apply no log_softmax for this one.
        binary_cross_entropy: takes probabilities, not their logarithms, and a yes or no for each
            element.

    >>> log_probabilities = torch.tensor([[0.75, 0.25], [0.5, 0.5]]).log()
    >>> nll_loss(log_probabilities, torch.tensor([0, 1]), reduction="none")
    tensor([0.2877, 0.6931])

    References:
        I. J. Good, "Rational decisions", 1952.
    """
    is_pytorchs = (
        class_dim is None and sample_weight is None and normalizer is None and all_ignored == "nan"
    )
    try:
        if (
            is_pytorchs
            and weight is None
            and size_average is None
            and reduce is None
            and type(ignore_index) is int
            and ignore_index == -100
            and type(reduction) is str
            and reduction in PLAIN_ROWS
            and type(input) is Tensor
            and type(target) is Tensor
            and input.dtype in PLAIN_DTYPES
            and target.dtype is INDEX_DTYPE
            and len(shape := input.shape) == 2
            and type(rows := shape[0]) is int  # not so while torch.jit.trace records
            and target.shape == (rows,)
            and input.is_cpu
            and not has_torch_function_variadic(input, target)
        ):
            try:
                return nll_kernel(input, target, None, None, PLAIN_ROWS[reduction])
            except RuntimeError:
                pass  # a sparse tensor, a target on another device: refused in words below
        if (
            is_pytorchs
            and has_torch_function_variadic(input, target, weight)
            and has_own_form(input, target, weight)
        ):
            own: Tensor = handle_torch_function(
                torch_functional.nll_loss,
                (input, target, weight),
                input,
                target,
                weight=weight,
                size_average=size_average,
                ignore_index=ignore_index,
                reduce=reduce,
                reduction=reduction,
            )
            return own
        reduction = legacy_reduction(size_average, reduce, reduction)
        check_rows(
            "nll_loss",
            input,
            target,
            weight=weight,
            sample_weight=sample_weight,
            class_dim=class_dim,
            reduction=reduction,
            ignore_index=ignore_index,
            normalizer=normalizer,
            all_ignored=all_ignored,
        )
        settings = RowSettings(reduction, ignore_index, zero_if_all_ignored=all_ignored == "zero")
        return _loss_of_rows(
            input, target, weight, sample_weight, class_dim, normalizer, settings, log_input=True
        )
    except OutOfRange as seen:
        raise _index_error("nll_loss", seen, input, target, class_dim, ignore_index) from None


def _loss_of_rows(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    sample_weight: Tensor | None,
    class_dim: int | None,
    normalizer: float | Tensor | None,
    settings: RowSettings,
    *,
    change: tuple[float | None, float | Tensor, Tensor | None] | None = None,
    log_input: bool = False,
) -> Tensor:
    """Lay out the rows, change the logits, call the kernel, divide."""
    soft = target.is_floating_point()
    dtype = result_dtype(input, *((target, weight) if soft else ()))
    rows = classes_on_axis_one(input, class_dim)
    rows = rows.to(dtype if change is None and normalizer is None else wide(dtype))
    shape = row_shape(input, class_dim)
    if soft:
        if target.layout is not torch.strided:
            target = target.to_dense()
        target = classes_on_axis_one(target, class_dim)
    else:
        # PyTorch takes a single row with a target of shape (1,) as well.
        target = rows_like(target.reshape(shape), input, rows)
    if sample_weight is not None:
        sample_weight = rows_like(sample_weight.reshape(shape), input, rows)
    if change is not None:
        readable_rows = rows if soft else readable(rows, target, settings.ignore_index)
        rows = transformed(readable_rows, *change)
    kernel = nll_kernel if log_input else soft_target_loss if soft else softmax_loss
    asked = settings._replace(reduction=kernel_reduction(settings.reduction, normalizer))
    loss = kernel(rows, target, weight, sample_weight, asked)
    if settings.reduction == "none":
        return loss.reshape(shape).to(dtype)
    return over_normalizer(loss, normalizer, settings.zero_if_all_ignored).to(dtype)


def _index_error(
    name: str,
    seen: OutOfRange,
    input: Tensor,
    target: Tensor,
    class_dim: int | None,
    ignore_index: int,
) -> Exception:
    classes = input.shape[class_axis(input, class_dim)]
    return out_of_range(
        name,
        "target",
        seen.position,
        seen.value,
        shape=target.shape,
        classes=classes,
        ignore_index=ignore_index,
    )
