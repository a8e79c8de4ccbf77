"""The objective once more, from its definition: evaluation's own, apart from training's code.

A slip in either then shows as a difference, which the findings report.
"""

from __future__ import annotations

import numpy as np

from xent._links import Array, log_sigmoid
from xent.study._data._dataset import Part
from xent.study._training._objectives import Objective


def reproduce_objective(objective: Objective, outputs: Array, log_q: Array, part: Part) -> float:
    """The mean objective from its definition, in NumPy.

    ``sum over k of c_k (1 - q_k)^γ (-log q_k)`` over ``sum of weight x class weight[y]``. A
    formulation of the user's is evaluated by its own loss, in float64.
    """
    if not objective.hand_written:
        return _reproduce_by_loss(objective, outputs, part)
    modifiers = objective.formulation.modifiers
    rows = np.ones(len(part.target)) if part.weight is None else part.weight
    row_weight = rows * objective.class_weights[part.target]
    one_hot = np.eye(objective.classes)[part.target]
    if objective.formulation.base == "ovr":
        positive = (1 - modifiers.smoothing) * one_hot + modifiers.smoothing / 2
        losses = _terms(positive, log_sigmoid(outputs), log_sigmoid(-outputs), modifiers.focal)
        losses += _terms(1 - positive, log_sigmoid(-outputs), log_sigmoid(outputs), modifiers.focal)
        return float(np.average(losses.mean(axis=1), weights=row_weight))
    smooth = (1 - modifiers.smoothing) * one_hot + modifiers.smoothing / objective.classes
    with np.errstate(divide="ignore"):
        log_rest = np.log(-np.expm1(log_q))
    terms = _terms(smooth * objective.class_weights, log_q, log_rest, modifiers.focal)
    return float((terms.sum(axis=1) * rows).sum() / row_weight.sum())


def _terms(coefficients: Array, log_q: Array, log_rest: Array, focal: float) -> Array:
    with np.errstate(invalid="ignore"):
        losses = np.where(coefficients == 0, 0.0, -coefficients * log_q)
    return losses if focal == 0 else losses * np.exp(focal * log_rest)


def _reproduce_by_loss(objective: Objective, outputs: Array, part: Part) -> float:
    import torch

    with torch.no_grad():
        losses = objective.formulation.loss(
            torch.from_numpy(outputs), torch.from_numpy(part.target)
        )
    return float(np.average(losses.numpy(), weights=part.weight))
