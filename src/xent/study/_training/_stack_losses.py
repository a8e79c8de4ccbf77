"""Losses of a whole stack of models and their gradients, written by hand.

A built-in row loss is ``sum over k of c_k (1 - q_k)^γ (-log q_k)``. Label smoothing, class weights
and sample weights all live in the coefficients c, which are made once per part of the data; the
kernels here know only c, its sum over classes and γ. Tests hold each equal to autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from xent.kernels import sigmoid_sums
from xent.study._formulations import Formulation
from xent.study._training._scratch import Scratch


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
        return positive_total(self.row_weight.sum(-1))

    def _each(self, take: Callable[[Tensor], Tensor]) -> Targets:
        return replace(
            self,
            index=take(self.index),
            coefficients=take(self.coefficients),
            tilt=take(self.tilt),
            row_weight=None if self.row_weight is None else take(self.row_weight),
            total=None if self.total is None else take(self.total),
        )


def positive_total(total: Tensor) -> Tensor:
    """A denominator that is never 0.

    A batch of rows without weight asks for nothing: 0 / tiny is 0, where 0 / 0 would be NaN.
    """
    return total.clamp_min(torch.finfo(total.dtype).tiny)


class SigmoidKernel:
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


class PairKernel:
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


class SoftmaxKernel:
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


Kernel = SigmoidKernel | PairKernel | SoftmaxKernel


def find_kernel(formulation: Formulation, n_outputs: int) -> Kernel | None:
    if not formulation.built_in:
        return None
    if formulation.base == "bce":
        return SigmoidKernel()
    if formulation.base == "ce1":
        return SigmoidKernel(scale=2.0)
    if formulation.base == "ovr":
        return SigmoidKernel(share=1.0 / n_outputs, one_vs_rest=True)
    return PairKernel() if n_outputs == 2 else SoftmaxKernel()
