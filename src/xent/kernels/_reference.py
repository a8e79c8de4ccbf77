"""Every loss in plain PyTorch: the definition of truth for the kernels, and the general path.

Any device and dtype, derivatives of any order, forward mode, vmap, torch.func, torch.compile and
tensor subclasses: only PyTorch's own functions, no control flow on values. Half precision is
computed in float32.

Three habits keep the digits. The largest class never enters the sum over the others, so that a
confident row keeps a loss of 1e-20. A factor of exactly 0 drops its term, even an infinite one.
What is left out is replaced before any arithmetic, so that NaN in it reaches neither value nor
gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from xent.kernels._settings import ElementSettings, OutOfRange, RowSettings

# PyTorch's conventions for probabilities of exactly 0 or 1: its documented floor of the logarithm,
# and the slope that stands for one that no number of the dtype can hold.
LOWEST_LOGARITHM = -100.0
STEEPEST_SLOPE = 1e12

# Stands in where an element is left out: a harmless logit and a harmless probability.
HARMLESS = 0.5


def softmax_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    sample_weight: Tensor | None,
    settings: RowSettings,
) -> Tensor:
    """Cross-entropy of logits with class indices; the class axis is 1, or 0 of a single row."""
    target, counted = _indices(input, target, settings.ignore_index)
    rows = _Rows.of(input, counted)
    factor = _factor(counted, sample_weight, rows.dtype)
    row_weight = _row_weight(factor, weight, target, counted)
    loss = torch.zeros_like(row_weight)
    if settings.label_smoothing != 1.0:
        share = 1.0 - settings.label_smoothing
        loss = loss + share * product(row_weight, rows.nll(target))
    if settings.z_loss:
        loss = loss + settings.z_loss * product(row_weight, rows.log_sum_exp**2)
    if settings.label_smoothing and not _is_none(rows.classes):
        along = None if weight is None else rows.along_classes(weight)
        spread = product(factor, rows.weighted_nll(along))
        loss = loss + settings.label_smoothing / rows.classes * spread
    return _reduce(loss, row_weight, settings).to(input.dtype)


def soft_target_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    sample_weight: Tensor | None,
    settings: RowSettings,
) -> Tensor:
    """Cross-entropy of logits with probabilities of the classes, shaped like the input."""
    rows = _Rows.of(input, None)
    share = target.to(rows.dtype)
    if settings.label_smoothing and not _is_none(rows.classes):
        even = settings.label_smoothing / rows.classes
        share = (1.0 - settings.label_smoothing) * share + even
    if weight is not None:
        share = rows.along_classes(weight) * share
    loss = rows.weighted_nll(share)
    if settings.z_loss:
        loss = loss + settings.z_loss * rows.log_sum_exp**2
    row_weight = torch.zeros_like(loss) if _is_none(rows.classes) else torch.ones_like(loss)
    if sample_weight is not None:
        row_weight = row_weight * sample_weight.to(rows.dtype)
        loss = product(row_weight, loss)
    return _reduce(loss, row_weight, settings).to(input.dtype)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    sample_weight: Tensor | None,
    settings: RowSettings,
) -> Tensor:
    """Negative log-likelihood of log-probabilities with class indices."""
    target, counted = _indices(input, target, settings.ignore_index)
    values = _upcast(input)
    factor = _factor(counted, sample_weight, values.dtype)
    row_weight = _row_weight(factor, weight, target, counted)
    picked = torch.where(counted, _pick(values, target), 0.0)
    return _reduce(product(row_weight, -picked), row_weight, settings).to(input.dtype)


class Statistics(NamedTuple):
    """What there is to know of rows of logits; each field has the shape of the target.

    Args:
        nll: negative log-likelihood of the target, in nats; 0 where the row is ignored.
        log_sum_exp: logarithm of the sum of the exponentials of the logits; 0 where ignored.
        entropy: of the softmax of the row, in nats; 0 where ignored.
        prediction: class of the largest logit, int64. Where the row is ignored -1, or -2 where
            -1 is the ignored target itself: an ignored row never counts as right.
    """

    nll: Tensor
    log_sum_exp: Tensor
    entropy: Tensor
    prediction: Tensor


def softmax_statistics(input: Tensor, target: Tensor, ignore_index: int) -> Statistics:
    """Statistics of each row of logits with class indices."""
    target, counted = _indices(input, target, ignore_index)
    rows = _Rows.of(input, counted)
    nll, log_sum_exp, entropy = (
        torch.where(counted, value, 0.0).to(input.dtype)
        for value in (rows.nll(target), rows.log_sum_exp, rows.entropy())
    )
    prediction = torch.where(counted, rows.largest, -2 if ignore_index == -1 else -1)
    return Statistics(nll, log_sum_exp, entropy, prediction)


def sigmoid_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    settings: ElementSettings,
) -> Tensor:
    """Binary cross-entropy of logits, ``a softplus(-x) + b softplus(x)`` with weights a and b."""
    logits, positive, negative, counted = _elements(input, target, weight, pos_weight, settings)
    # One branch for each sign, so that the derivatives at 0 are those of the loss and not of |x|.
    above = torch.where(logits > 0, logits, 0.0)
    below = torch.where(logits > 0, 0.0, -logits)
    tail = torch.log1p(torch.exp(-(above + below)))
    loss = (positive + negative) * tail + product(positive, below) + product(negative, above)
    return _reduce_elements(loss, counted, settings).to(input.dtype)


def probability_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    settings: ElementSettings,
) -> Tensor:
    """Binary cross-entropy of probabilities, with no logarithm below -100."""
    _check_probabilities(input, target, settings.ignore_index)
    chance, positive, negative, counted = _elements(input, target, weight, pos_weight, settings)
    hit = -_floored(torch.log, chance, chance.detach())
    miss = -_floored(torch.log1p, -chance, 1.0 - chance.detach())
    return _reduce_elements(positive * hit + negative * miss, counted, settings).to(input.dtype)


class _Rows(NamedTuple):
    """Rows of logits, taken apart so that no digit is lost in value or gradient.

    With p the largest logit of a row, ``log_sum_exp - x = rest + distance``: ``rest`` is
    log_sum_exp - p and ``distance`` is p - x, both at least 0. Where the largest class has more
    than half of the probability, p is a variable and rest is log1p of the others, so that the
    gradient of the largest class is a sum over the others and not 1 less something near 1;
    elsewhere p is a constant, and the gradient of every class its own probability.
    """

    peak: Tensor
    rest: Tensor
    distance: Tensor
    exponentials: Tensor
    largest: Tensor
    dim: int

    @classmethod
    def of(cls, input: Tensor, counted: Tensor | None) -> _Rows:
        dim = _class_dim(input)
        logits = _upcast(input)
        if counted is not None:
            logits = torch.where(counted.unsqueeze(dim), logits, 0.0)
        if _is_none(logits.shape[dim]):
            nothing = logits.sum(dim)
            none = torch.zeros_like(nothing, dtype=torch.long)
            return cls(nothing, nothing, logits, logits, none, dim)
        largest = logits.detach().argmax(dim, keepdim=True)
        is_largest = torch.zeros_like(logits, dtype=torch.bool).scatter(dim, largest, 1)
        # Not a gather, which would save the logits: they may be overwritten after the forward pass.
        peak = torch.where(is_largest, logits, 0.0).sum(dim, keepdim=True)
        exponentials = _exp_of_difference(logits, peak.detach())
        others = torch.where(is_largest, 0.0, exponentials).sum(dim, keepdim=True)
        one = exponentials.gather(dim, largest)
        confident = others < 1.0
        rest = torch.where(confident, torch.log1p(others / one), torch.log(others + one))
        peak = torch.where(confident, peak, peak.detach())
        distance = torch.where(is_largest & confident, 0.0, peak - logits)
        peak, rest, largest = (value.squeeze(dim) for value in (peak, rest, largest))
        return cls(peak, rest, distance, exponentials, largest, dim)

    @property
    def dtype(self) -> torch.dtype:
        return self.distance.dtype

    @property
    def classes(self) -> int:
        return self.distance.shape[self.dim]

    @property
    def log_sum_exp(self) -> Tensor:
        return self.peak + self.rest

    def nll(self, target: Tensor) -> Tensor:
        """Of the class with the target's index."""
        return self.rest + _pick(self.distance, target)

    def weighted_nll(self, coefficients: Tensor | None) -> Tensor:
        """Sum over the classes of coefficient times nll; None for 1."""
        if coefficients is None:
            return self.classes * self.rest + self.distance.sum(self.dim)
        distances = product(coefficients, self.distance).sum(self.dim)
        return coefficients.sum(self.dim) * self.rest + distances

    def entropy(self) -> Tensor:
        """Of the softmax."""
        share = self.exponentials / self.exponentials.sum(self.dim, keepdim=True)
        return product(share, self.rest.unsqueeze(self.dim) + self.distance).sum(self.dim)

    def along_classes(self, vector: Tensor) -> Tensor:
        """A vector over the classes, shaped to broadcast against the rows."""
        shape = [1] * self.distance.ndim
        shape[self.dim] = -1
        return vector.to(self.dtype).reshape(shape)


def _class_dim(input: Tensor) -> int:
    return 1 if input.ndim > 1 else 0


def _is_none(size: object) -> bool:
    """Whether an axis is empty; while torch.jit.trace records a size is a tensor, and it isn't."""
    return not isinstance(size, Tensor) and size == 0


def _upcast(input: Tensor) -> Tensor:
    return input.float() if input.dtype in (torch.float16, torch.bfloat16) else input


def product(factor: Tensor, value: Tensor) -> Tensor:
    """Product in which a factor of 0 drops an infinite value."""
    dropped = (factor == 0.0) & torch.isinf(value)
    return factor * torch.where(dropped, 0.0, value)


def _exp_of_difference(minuend: Tensor, subtrahend: Tensor) -> Tensor:
    """exp(minuend - subtrahend) as if the difference had not been rounded.

    Rounding it would cost the exponential as many units in the last place as the difference is
    large: 15 in a class that is 15 below the largest. What is lost is known exactly (D. E. Knuth,
    "The Art of Computer Programming", volume 2, section 4.2.2, theorem B).
    """
    difference = minuend - subtrahend
    rounded, minuend = difference.detach(), minuend.detach()
    virtual = minuend - rounded
    lost = (minuend - (rounded + virtual)) + (virtual - subtrahend)
    factor = torch.where(torch.isfinite(lost), 1.0 + lost, 1.0)
    return torch.exp(difference) * factor


def _pick(values: Tensor, target: Tensor) -> Tensor:
    """The value at the target's index of each row."""
    dim = _class_dim(values)
    if _is_none(values.shape[dim]):
        return values.sum(dim)
    return values.gather(dim, target.unsqueeze(dim)).squeeze(dim)


def _indices(input: Tensor, target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Class indices as int64, with 0 where a row is ignored, and where a row counts."""
    target = target.long()
    counted = target != ignore_index
    if _can_read(input, target):
        outside = counted & ((target < 0) | (target >= input.shape[_class_dim(input)]))
        _raise_first(outside, target, "target")
    return torch.where(counted, target, 0), counted


def row_weights(
    target: Tensor,
    weight: Tensor | None,
    sample_weight: Tensor | None,
    ignore_index: int,
    dtype: torch.dtype,
) -> Tensor:
    """The weight of each row, ``sample_weight * weight[target]``; 0 where it is ignored.

    Its sum is what a mean over rows divides by.
    """
    target = target.long()
    counted = target != ignore_index
    factor = _factor(counted, sample_weight, dtype)
    return _row_weight(factor, weight, torch.where(counted, target, 0), counted)


def quotient(total: Tensor, weight: Tensor, zero_if_empty: bool) -> Tensor:
    """A mean, whose gradient is 0, and not NaN, where there is no weight at all."""
    empty = weight == 0.0
    mean = total / torch.where(empty, 1.0, weight)
    undefined = torch.zeros_like(mean) if zero_if_empty else (total / weight).detach()
    return torch.where(empty, undefined, mean)


def _factor(counted: Tensor, sample_weight: Tensor | None, dtype: torch.dtype) -> Tensor:
    """The weight of each row by itself: the sample's, or 1, and 0 where the row is ignored."""
    if sample_weight is None:
        return counted.to(dtype)
    return torch.where(counted, sample_weight.to(dtype), 0.0)


def _row_weight(
    factor: Tensor, class_weight: Tensor | None, target: Tensor, counted: Tensor
) -> Tensor:
    """The weight of each row with that of its class; its sum is the denominator of a mean."""
    if class_weight is None or _is_none(class_weight.shape[0]):
        return factor
    # Not class_weight[target], which reads the value of a target of shape ().
    of_class = class_weight.to(factor.dtype).index_select(0, target.flatten()).reshape(target.shape)
    return factor * torch.where(counted, of_class, 0.0)


def _elements(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    settings: ElementSettings,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Input, weight of "yes", weight of "no", and which elements count (None for all)."""
    values = _upcast(input)
    positive = target.to(values.dtype)
    counted = _counted(target, settings.ignore_index)
    if counted is not None:
        values = torch.where(counted, values, HARMLESS)
        positive = torch.where(counted, positive, HARMLESS)
    negative = 1.0 - positive
    if settings.label_smoothing:
        kept, moved = 1.0 - settings.label_smoothing, settings.label_smoothing / 2.0
        positive, negative = kept * positive + moved, kept * negative + moved
    if pos_weight is not None:
        positive = pos_weight.to(values.dtype) * positive
    if weight is not None:
        weight = weight.to(values.dtype)
        positive, negative = weight * positive, weight * negative
    return values, positive, negative, counted


def _counted(target: Tensor, ignore_index: int | None) -> Tensor | None:
    if ignore_index is None:
        return None
    # A narrow integer would wrap the number that it is compared with.
    wide = target if target.is_floating_point() else target.long()
    return wide != ignore_index


def _floored(function: Callable[[Tensor], Tensor], argument: Tensor, distance: Tensor) -> Tensor:
    """A logarithm floored in its value only: the slope stays the exact one, 1 / distance."""
    steep = torch.isinf(1.0 / distance)
    fixed = argument.detach()
    value = function(torch.where(steep, HARMLESS, argument))
    value = torch.where(value < LOWEST_LOGARITHM, value - value.detach() + LOWEST_LOGARITHM, value)
    floor = torch.clamp(function(fixed), min=LOWEST_LOGARITHM)
    return torch.where(steep, floor + STEEPEST_SLOPE * (argument - fixed), value)


def _reduce(loss: Tensor, row_weight: Tensor, settings: RowSettings) -> Tensor:
    if settings.reduction == "none":
        return loss
    if settings.reduction == "sum":
        return loss.sum()
    return quotient(loss.sum(), row_weight.sum(), settings.zero_if_all_ignored)


def _reduce_elements(loss: Tensor, counted: Tensor | None, settings: ElementSettings) -> Tensor:
    if counted is not None:
        loss = torch.where(counted, loss, 0.0)
    if settings.reduction == "none":
        return loss
    if settings.reduction == "sum":
        return loss.sum()
    if counted is None and not settings.zero_if_all_ignored:
        return loss.mean()
    # Counted by the program itself, not by Python, so that a recorded one counts each batch anew.
    number = (torch.ones_like(loss) if counted is None else counted.to(loss.dtype)).sum()
    return quotient(loss.sum(), number, settings.zero_if_all_ignored)


def _can_read(*tensors: Tensor) -> bool:
    """Whether values may steer the program: plain tensors on the CPU, and nothing traces them."""
    return (
        not torch.compiler.is_compiling()
        and torch._C._len_torch_dispatch_stack() == 0
        and torch._C._get_tracing_state() is None
        and all(
            type(tensor) in (Tensor, torch.nn.Parameter)
            and tensor.device.type == "cpu"
            and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
            for tensor in tensors
        )
    )


def _check_probabilities(input: Tensor, target: Tensor, ignore_index: int | None) -> None:
    if not _can_read(input, target):
        return
    counted = _counted(target, ignore_index)
    for name, values in (("input", input), ("target", target)):
        outside = ~((values >= 0) & (values <= 1))
        _raise_first(outside if counted is None else outside & counted, values, name)


def _raise_first(outside: Tensor, values: Tensor, name: str) -> None:
    if outside.any():
        position = int(outside.flatten().int().argmax())
        raise OutOfRange(position, values.flatten()[position].item(), name)
