"""Training a linear model to the optimum of its own loss: Newton's method in float64.

First and second derivatives of each row's loss come from autograd, so that any formulation can be
converged, the user's own too. Directions that the loss does not see (two logits moved together)
stay where they started.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xent._errors import InputError
from xent._links import Array
from xent.study._training._models import Stack
from xent.study._training._newton import minimise
from xent.study._training._objectives import Objective
from xent.study._training._stacks import Timings, Trained

Derivatives = tuple[float, Array, Array]

MOST_PARAMETERS = 3000
MOST_STEPS = 200


class LinearLoss:
    """Mean loss of a linear model as a function of its flat parameters, with two derivatives.

    Args:
        objective: the loss.
        features: ``(rows, features)`` float64.
        target: ``(rows,)`` int64.
        weight: ``(rows,)`` float64 or None.
        weight_decay: adds ``weight_decay / 2 * |W|^2``, as the optimisers' coupled decay does.
    """

    def __init__(
        self,
        objective: Objective,
        features: Array,
        target: NDArray[np.int64],
        weight: Array | None,
        weight_decay: float = 0.0,
    ) -> None:
        self.objective = objective
        self.design = torch.from_numpy(np.hstack([features, np.ones((len(features), 1))]))
        self.target = torch.from_numpy(target)
        class_weights = torch.from_numpy(objective.class_weights)
        self.weight = None if weight is None else torch.from_numpy(weight)
        row_weight = class_weights[self.target]
        if self.weight is not None:
            row_weight = row_weight * self.weight
        self.denominator = float(row_weight.sum())
        self.weight_decay = weight_decay

    def __call__(self, flat: Array) -> Derivatives:
        """Value, gradient and Hessian at ``flat``, the head ``(outputs, features + 1)`` by rows."""
        head = torch.from_numpy(flat).view(self.objective.n_outputs, -1)
        outputs = (self.design @ head.T).requires_grad_()
        losses = self.objective.row_loss(outputs, self.target)
        if self.weight is not None:
            losses = losses * self.weight
        value = losses.sum() / self.denominator
        (slope,) = torch.autograd.grad(value, outputs, create_graph=True)
        gradient = (slope.T @ self.design).detach().reshape(-1)
        hessian = self._hessian(outputs, slope)
        penalty = 0.5 * self.weight_decay * float(flat @ flat)
        return (
            value.item() + penalty,
            gradient.numpy() + self.weight_decay * flat,
            hessian.numpy() + self.weight_decay * np.eye(len(flat)),
        )

    def value(self, head: Array) -> float:
        """The mean loss alone, without the penalty: ``head`` is ``(outputs, features + 1)``."""
        with torch.no_grad():
            losses = self.objective.row_loss(self.design @ torch.from_numpy(head).T, self.target)
            losses = losses if self.weight is None else losses * self.weight
            return losses.sum().item() / self.denominator

    def _hessian(self, outputs: Tensor, slope: Tensor) -> Tensor:
        n_outputs, width = outputs.shape[1], self.design.shape[1]
        hessian = torch.zeros((n_outputs, width, n_outputs, width), dtype=torch.float64)
        if not slope.requires_grad:  # a loss that is linear in the outputs
            return hessian.reshape(n_outputs * width, -1)
        for first in range(n_outputs):
            # Rows don't share outputs, so the derivative of a column's sum is the row's own.
            (curvature,) = torch.autograd.grad(
                slope[:, first].sum(), outputs, retain_graph=True, materialize_grads=True
            )
            for second in range(first + 1):
                block = self.design.T @ (self.design * curvature[:, second, None])
                hessian[first, :, second] = block
                hessian[second, :, first] = block
        return hessian.reshape(n_outputs * width, -1)


def converge(
    stack: Stack,
    loss: LinearLoss,
    gradient_norm: float,
) -> Trained:
    """Take every member from its starting point to the optimum.

    Raises:
        InputError: for more parameters than Newton's method can take.
    """
    head = stack.layers[-1]
    if head[0].numel() > MOST_PARAMETERS:
        raise InputError(
            "compare: --converge",
            f"used with at most {MOST_PARAMETERS} parameters",
            f"{head[0].numel()}",
            "Use --optimizer lbfgs with more --epochs.",
        )
    timings, curves, points, norms = Timings(), [], [], []
    begin = time.perf_counter()
    for member in range(len(head)):
        start = time.perf_counter()
        curve: list[float] = []
        found = minimise(
            _recorded(loss, curve),
            head[member].double().cpu().numpy().reshape(-1),
            gradient_norm=gradient_norm,
            max_iterations=MOST_STEPS,
        )
        timings.step.append(time.perf_counter() - start)
        points.append(found.point.reshape(head.shape[1:]))
        curves.append(np.asarray([*curve, found.value]))
        norms.append(found.gradient_norm)
    timings.fit = time.perf_counter() - begin
    train_curve = _padded(curves)
    return Trained(
        [{"head": point} for point in points],
        np.asarray([loss.value(point) for point in points]),
        np.asarray(norms),
        train_curve,
        np.full_like(train_curve, np.nan),
        [None if np.isfinite(curve[-1]) else len(curve) for curve in curves],
        timings,
    )


def _recorded(loss: LinearLoss, curve: list[float]) -> Callable[[Array], Derivatives]:
    """The same function; the lowest value so far is written down at each evaluation."""

    def evaluate(flat: Array) -> Derivatives:
        value, gradient, hessian = loss(flat)
        curve.append(float(np.fmin(value, curve[-1])) if curve else value)
        return value, gradient, hessian

    return evaluate


def _padded(curves: Sequence[Array]) -> Array:
    """Curves of different length as ``(steps, stack)``; a finished one stays at its end."""
    longest = max(len(curve) for curve in curves)
    return np.stack([np.concatenate([c, np.full(longest - len(c), c[-1])]) for c in curves], axis=1)
