"""What training minimises: the one place where the study calls a loss.

``Objective.row_loss`` is the real, differentiable loss of rows of outputs, made of torch's own
functions. ``Objective.value_and_gradient`` gives the same sums and their gradient for a whole
stack of models at once, by hand for the built-in formulations (tests hold it equal to autograd)
and by autograd for everybody else's.

A built-in row loss is ``sum over k of c_k (1 - q_k)^γ (-log q_k)``. Label smoothing, class weights
and sample weights all live in the coefficients c, which are made once per part of the data; the
kernels below know only c, its sum over classes and γ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from xent._errors import InputError
from xent._links import Array
from xent.kernels import sigmoid_sums
from xent.study._formulations import Formulation
from xent.study._recovery import Recovered, recover_one_vs_rest, recover_softmax
from xent.study._scratch import Scratch


@dataclass(frozen=True)
class Targets:
    """The target of some rows, in the form that the kernels read; rows are the last axis.

    Args:
        index: classes ``(n,)``, or ``(stack, b)`` for batches that differ within a stack.
        row_weight: ``(n,)``: what each row adds to the denominator of the mean (sample weight times
            the class weight of its true class), or None for 1.
        coefficients: ``(outputs, n)``: c of each class (softmax) or of the positive side (sigmoid).
        total: ``(1, n)``: sum of the coefficients over classes, or None for 1.
        tilt: ``(outputs, n)``: half the total less the coefficients: what multiplies a logit u once
            ``max(u, 0)`` is written as ``(u + |u|) / 2``.
    """

    index: Tensor
    row_weight: Tensor | None
    coefficients: Tensor
    total: Tensor | None
    tilt: Tensor

    def rows(self, start: int, stop: int) -> Targets:
        """Rows ``start`` to ``stop`` as views."""
        return self._each(lambda tensor: tensor[..., start:stop])

    def gather(self, rows: Tensor) -> Targets:
        """One batch a stack member: ``rows`` is ``(stack, b)``; a stack axis comes first."""

        def take(tensor: Tensor) -> Tensor:
            taken = tensor[..., rows]
            return taken if tensor.ndim == 1 else taken.transpose(0, 1)

        return self._each(take)

    def denominator(self) -> Tensor | float:
        """Denominator of the mean: a number, or ``(stack,)`` for gathered batches."""
        if self.row_weight is None:
            return float(self.index.shape[-1])
        return _positive(self.row_weight.sum(-1))

    def _each(self, take: Callable[[Tensor], Tensor]) -> Targets:
        return replace(
            self,
            index=take(self.index),
            coefficients=take(self.coefficients),
            tilt=take(self.tilt),
            row_weight=None if self.row_weight is None else take(self.row_weight),
            total=None if self.total is None else take(self.total),
        )


class Objective:
    """A formulation bound to a task: number of classes, class weights, kernel.

    Args:
        formulation: what to minimise.
        class_weights: ``(classes,)`` float64; ones where the formulation has none.
    """

    def __init__(self, formulation: Formulation, class_weights: Array) -> None:
        self.formulation = formulation
        self.class_weights = class_weights
        self.classes = len(class_weights)
        self.n_outputs = formulation.outputs(self.classes)
        self._kernel = _find_kernel(formulation, self.n_outputs)

    @classmethod
    def bind(cls, formulation: Formulation, class_totals: Array) -> Objective:
        """Fix the class weights; ``class_totals`` is the weight of each class in training.

        Raises:
            InputError: for balanced weights where a class weighs nothing.
        """
        weights = formulation.modifiers.weights
        if weights is None:
            values = np.ones(len(class_totals))
        elif isinstance(weights, tuple):
            values = np.asarray(weights, dtype=np.float64)
        elif np.all(class_totals > 0):
            values = class_totals.sum() / (len(class_totals) * class_totals)
        else:
            raise InputError(
                f"formulation {formulation.name!r}: weights=balanced",
                "used where every class has weight in the training part",
                f"class {int(np.argmin(class_totals))} of weight {class_totals.min():g}",
                "Give the weights as numbers, or check the sample weights.",
            )
        return cls(formulation, values)

    @property
    def hand_written(self) -> bool:
        """Whether the gradient of the fit is written by hand (built-in formulations)."""
        return self._kernel is not None

    def targets(self, index: Tensor, sample_weight: Tensor | None, dtype: torch.dtype) -> Targets:
        """Prepare the target of a part: classes ``(n,)`` int64, weights ``(n,)`` or None."""
        modifiers, kernel = self.formulation.modifiers, self._kernel
        row_weight, total = None, None
        if sample_weight is not None or modifiers.weights is not None:
            row_weight = self.row_weights(index, sample_weight, dtype)
        one_hot = functional.one_hot(index, self.classes).to(dtype).T
        if kernel is not None and kernel.one_vs_rest:
            coefficients = _smoothed(one_hot, modifiers.smoothing, 2)
            if row_weight is not None:
                coefficients, total = coefficients * row_weight, row_weight[None]
        else:
            coefficients = _smoothed(one_hot, modifiers.smoothing, self.classes)
            if row_weight is not None:
                coefficients = coefficients * self._class_weights_like(coefficients)[:, None]
                if sample_weight is not None:
                    coefficients = coefficients * sample_weight.to(dtype)
                total = coefficients.sum(0, keepdim=True)
            if kernel is not None and kernel.binary:
                coefficients = coefficients[1:2]
        coefficients = coefficients.contiguous()
        tilt = (0.5 if total is None else 0.5 * total) - coefficients
        return Targets(index, row_weight, coefficients, total, tilt)

    def row_loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Loss of each row in nats, differentiable: outputs ``(rows, outputs)`` to ``(rows,)``.

        Class weights are inside; sample weights are not.

        Raises:
            InputError: if a loss of the user's gives anything but one number a row.
        """
        modifiers = self.formulation.modifiers
        if not modifiers:
            return _require_row_losses(self.formulation, outputs, target)
        weights = self._class_weights_like(outputs)
        one_hot = functional.one_hot(target, self.classes).to(outputs.dtype)
        if self.formulation.base == "ovr":
            smooth = _smoothed(one_hot, modifiers.smoothing, 2)
            row = weights[target][:, None] / self.n_outputs
            both = torch.stack([row * (1 - smooth), row * smooth])
            log_q = torch.stack([functional.logsigmoid(-outputs), functional.logsigmoid(outputs)])
            return _focal_sum(both, log_q, modifiers.focal).sum(0).sum(1)
        smooth = _smoothed(one_hot, modifiers.smoothing, self.classes)
        log_q = functional.log_softmax(self._softmax_logits(outputs), dim=1)
        return _focal_sum(smooth * weights, log_q, modifiers.focal).sum(1)

    def row_weights(
        self, target: Tensor, sample_weight: Tensor | None, dtype: torch.dtype
    ) -> Tensor:
        """What each row adds to the denominator of the mean: sample weight x class weight[y]."""
        class_weights = torch.as_tensor(self.class_weights, dtype=dtype, device=target.device)
        weights = class_weights[target]
        return weights if sample_weight is None else weights * sample_weight.to(dtype)

    def mean_loss(
        self, outputs: Tensor, target: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """The objective: the weighted mean of the row losses."""
        losses = self.row_loss(outputs, target)
        if sample_weight is None and self.formulation.modifiers.weights is None:
            return losses.mean()
        if sample_weight is not None:
            losses = losses * sample_weight
        return losses.sum() / _positive(
            self.row_weights(target, sample_weight, outputs.dtype).sum()
        )

    def value(self, outputs: Tensor, targets: Targets) -> Tensor:
        """Sum of the row losses of each stack member: ``(stack, outputs, b)`` to ``(stack,)``.

        The outputs are used up: kernels work in place and in buffers of their own.
        """
        return self._evaluate(outputs, targets, gradient=False)[0]

    def value_and_gradient(self, outputs: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        """The same with the gradient of the sum with respect to the outputs."""
        value, gradient = self._evaluate(outputs, targets, gradient=True)
        assert gradient is not None
        return value, gradient

    def _evaluate(
        self, outputs: Tensor, targets: Targets, *, gradient: bool
    ) -> tuple[Tensor, Tensor | None]:
        if self._kernel is not None:
            return self._kernel(outputs, targets, self.formulation.modifiers.focal, gradient)
        return self._by_autograd(outputs, targets, gradient=gradient)

    def _by_autograd(
        self, outputs: Tensor, targets: Targets, *, gradient: bool
    ) -> tuple[Tensor, Tensor | None]:
        stack, _, rows = outputs.shape
        leaf = outputs.detach().requires_grad_(gradient)
        with torch.set_grad_enabled(gradient):
            flat = leaf.transpose(1, 2).reshape(stack * rows, -1)
            losses = self.row_loss(flat, targets.index.expand(stack, rows).reshape(-1))
            losses = losses.reshape(stack, rows)
            if targets.row_weight is not None:
                losses = losses * targets.row_weight
            value = losses.sum(1)
            # Still inside: outside, where training records nothing, a sum would have no gradient.
            total = value.sum()
        if not gradient:
            return value, None
        return value.detach(), torch.autograd.grad(total, leaf)[0]

    def recover(self, outputs: Array, log_q: Array) -> Recovered | None:
        """Undo what the loss does to the probabilities (NumPy); None where nothing is to undo.

        Args:
            outputs: ``(rows, outputs)`` float64.
            log_q: ``(rows, classes)`` log-probabilities by the link.
        """
        if self.formulation.recover is not None:
            return Recovered(np.asarray(self.formulation.recover(log_q)), 0)
        modifiers = self.formulation.modifiers
        if not modifiers:
            return None
        recover, rows = (
            (recover_one_vs_rest, outputs)
            if self.formulation.base == "ovr"
            else (recover_softmax, log_q)
        )
        return recover(rows, modifiers.smoothing, modifiers.focal, self.class_weights)

    def _class_weights_like(self, tensor: Tensor) -> Tensor:
        return torch.as_tensor(self.class_weights, dtype=tensor.dtype, device=tensor.device)

    def _softmax_logits(self, outputs: Tensor) -> Tensor:
        if self.formulation.base == "bce":
            return torch.cat([torch.zeros_like(outputs), outputs], dim=1)
        if self.formulation.base == "ce1":
            return torch.cat([-outputs, outputs], dim=1)
        return outputs


def _smoothed(one_hot: Tensor, smoothing: float, classes: int) -> Tensor:
    return (1 - smoothing) * one_hot + smoothing / classes


def _positive(total: Tensor) -> Tensor:
    # A batch of rows without weight asks for nothing: 0 / tiny is 0, where 0 / 0 would be NaN.
    return total.clamp_min(torch.finfo(total.dtype).tiny)


def _require_row_losses(formulation: Formulation, outputs: Tensor, target: Tensor) -> Tensor:
    losses: object = formulation.loss(outputs, target)
    if isinstance(losses, Tensor) and losses.shape == target.shape:
        return losses
    found = tuple(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
    raise InputError(
        f"formulation {formulation.name!r}: loss",
        f"a function that gives one number a row, shape ({len(target)},)",
        str(found),
        "Leave out the mean (reduction='none'), and check that target is (rows,).",
    )


def _focal_sum(coefficients: Tensor, log_q: Tensor, focal: float) -> Tensor:
    # A class of coefficient 0 must not turn -inf into NaN.
    loss = torch.where(coefficients == 0, 0.0, -coefficients * log_q)
    if focal == 0:
        return loss
    smallest = torch.finfo(log_q.dtype).tiny
    return loss * (-torch.expm1(log_q)).clamp_min(smallest) ** focal


class _SigmoidKernel:
    """Independent sigmoids: ``u = scale * z``; c is of the positive side."""

    def __init__(self, scale: float = 1.0, share: float = 1.0, *, one_vs_rest: bool = False):
        self.scale = scale
        self.share = share
        self.one_vs_rest = one_vs_rest
        self.binary = not one_vs_rest
        self.scratch = Scratch()

    def __call__(
        self, outputs: Tensor, targets: Targets, focal: float, gradient: bool
    ) -> tuple[Tensor, Tensor | None]:
        u = outputs if self.scale == 1.0 else outputs.mul_(self.scale)
        value, slope = _sigmoid(u, targets, focal, gradient, self.scratch)
        if self.share != 1.0:
            value = value * self.share
        factor = self.scale * self.share
        return value, slope if slope is None or factor == 1.0 else slope.mul_(factor)


class _PairKernel:
    """Two logits: the loss sees only their difference ``u = z_1 - z_0``."""

    binary = True
    one_vs_rest = False

    def __init__(self) -> None:
        self.scratch = Scratch()

    def __call__(
        self, outputs: Tensor, targets: Targets, focal: float, gradient: bool
    ) -> tuple[Tensor, Tensor | None]:
        stack, _, rows = outputs.shape
        u = self.scratch.take("difference", (stack, 1, rows), outputs)
        torch.sub(outputs[:, 1:2], outputs[:, 0:1], out=u)
        value, slope = _sigmoid(u, targets, focal, gradient, self.scratch)
        if slope is None:
            return value, None
        both = self.scratch.take("both", (stack, 2, rows), outputs)
        torch.neg(slope, out=both[:, 0:1])
        both[:, 1:2] = slope
        return value, both


class _SoftmaxKernel:
    """K logits and one softmax; c is of every class."""

    binary = False
    one_vs_rest = False

    def __call__(
        self, outputs: Tensor, targets: Targets, focal: float, gradient: bool
    ) -> tuple[Tensor, Tensor | None]:
        shifted = outputs - outputs.amax(1, keepdim=True)
        exponentials = shifted.exp()
        mass = exponentials.sum(1, keepdim=True)
        log_mass = mass.log()
        if focal:
            return _softmax_focal(shifted - log_mass, exponentials / mass, targets, focal)
        total = log_mass if targets.total is None else log_mass * targets.total
        linear = shifted * targets.coefficients
        if targets.total is None:
            value = total.sum((1, 2)) - linear.sum((1, 2))
        else:
            # Σ c_k (lse - z_k) with shifted z: total * log_mass - Σ c_k shifted_k
            value = (total - linear.sum(1, keepdim=True)).sum((1, 2))
        if not gradient:
            return value, None
        q = exponentials.div_(mass)
        weighted = q if targets.total is None else q.mul_(targets.total)
        return value, weighted.sub_(targets.coefficients)


def _sigmoid(
    u: Tensor, targets: Targets, focal: float, gradient: bool, scratch: Scratch
) -> tuple[Tensor, Tensor | None]:
    if focal:
        value, slope = _sigmoid_focal(u, targets, focal)
        return value, slope if gradient else None
    size = scratch.take("size", u.shape, u)
    fused = sigmoid_sums(u, targets.coefficients, targets.total, size if gradient else None)
    if fused is not None:
        return fused, size if gradient else None
    # -log sigmoid(|u|) = log1p(exp(-|u|)): its argument is in [1/2, 1], so that the logarithm is
    # exact to 2^-24 of a nat a row in float32 and costs a third of softplus.
    torch.abs(u, out=size)
    losses = torch.sigmoid(size, out=scratch.take("losses", u.shape, u)).log_()
    losses.sub_(size, alpha=0.5)
    if targets.total is not None:
        losses.mul_(targets.total)
    value = losses.addcmul_(u, targets.tilt, value=-1).sum((1, 2)).neg_()
    if not gradient:
        return value, None
    slope = torch.sigmoid(u, out=size)
    if targets.total is not None:
        slope.mul_(targets.total)
    return value, slope.sub_(targets.coefficients)


def _sigmoid_focal(u: Tensor, targets: Targets, focal: float) -> tuple[Tensor, Tensor]:
    total = 1.0 if targets.total is None else targets.total
    positive = targets.coefficients
    negative = total - positive
    log_p, log_n = functional.logsigmoid(u), functional.logsigmoid(-u)
    p, n = log_p.exp(), log_n.exp()
    value = (-positive * n**focal * log_p - negative * p**focal * log_n).sum((1, 2))
    towards = positive * _focal_slope(p, n, log_p, focal)
    against = negative * _focal_slope(n, p, log_n, focal)
    return value, p * against - n * towards


def _softmax_focal(
    log_q: Tensor, q: Tensor, targets: Targets, focal: float
) -> tuple[Tensor, Tensor]:
    rest = -torch.expm1(log_q)
    value = (-targets.coefficients * rest**focal * log_q).sum((1, 2))
    slope = targets.coefficients * _focal_slope(q, rest, log_q, focal)
    return value, q * slope.sum(1, keepdim=True) - slope


def _focal_slope(q: Tensor, rest: Tensor, log_q: Tensor, focal: float) -> Tensor:
    """Minus the derivative of ``-(1-q)^γ log q`` by ``log q``: the factor that 1 becomes."""
    smallest = torch.finfo(q.dtype).tiny
    return rest**focal - focal * q * rest.clamp_min(smallest) ** (focal - 1) * log_q


_Kernel = _SigmoidKernel | _PairKernel | _SoftmaxKernel


def _find_kernel(formulation: Formulation, n_outputs: int) -> _Kernel | None:
    if not formulation.built_in:
        return None
    if formulation.base == "bce":
        return _SigmoidKernel()
    if formulation.base == "ce1":
        return _SigmoidKernel(scale=2.0)
    if formulation.base == "ovr":
        return _SigmoidKernel(share=1.0 / n_outputs, one_vs_rest=True)
    return _PairKernel() if n_outputs == 2 else _SoftmaxKernel()
