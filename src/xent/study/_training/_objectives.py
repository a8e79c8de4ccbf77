"""What training minimises: the one place where the study calls a loss.

``Objective.row_loss`` is the real, differentiable loss of rows of outputs, made of torch's own
functions. ``Objective.value_and_gradient`` gives the same sums and their gradient for a whole
stack of models at once, by hand for the built-in formulations (tests hold it equal to autograd)
and by autograd for everybody else's.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from xent._errors import InputError
from xent._links import Array
from xent.study._evaluation._recovery import Recovered, recover_one_vs_rest, recover_softmax
from xent.study._formulations import Formulation
from xent.study._training._stack_losses import Targets, find_kernel, positive_total


class Objective:
    """A formulation bound to a task: number of classes, class weights, kernel.

    Args:
        formulation: what to minimise.
        class_weights: ``(classes,)`` float64; ones where the formulation has none.
        floor: least probability that undoing label smoothing gives.
    """

    def __init__(self, formulation: Formulation, class_weights: Array, floor: float = 0.0) -> None:
        self.formulation = formulation
        self.class_weights = class_weights
        self.floor = floor
        self.classes = len(class_weights)
        self.n_outputs = formulation.outputs(self.classes)
        self._kernel = find_kernel(formulation, self.n_outputs)

    @classmethod
    def bind(cls, formulation: Formulation, class_totals: Array) -> Objective:
        """Fix the class weights; ``class_totals`` is the weight of each class in training.

        The floor of recovery is the share of one row more than there are in training, spread over
        the classes: less than that no data of this size could tell from 0.

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
        return cls(formulation, values, 1.0 / (class_totals.sum() + len(class_totals)))

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
        return losses.sum() / positive_total(
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
        return recover(rows, modifiers.smoothing, modifiers.focal, self.class_weights, self.floor)

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
