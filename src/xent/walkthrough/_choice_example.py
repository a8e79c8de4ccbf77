"""The five lines that ``xent which`` prints: they run as they stand."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from xent._links import log_sigmoid, log_softmax
from xent.walkthrough._combinations import (
    Combination,
    example_target,
    of_rows,
    outputs_before_the_last_layer,
)
from xent.walkthrough._routes import VARIABLES, Route

_LAST_LAYER = {
    "none": "{logits}",
    "sigmoid": "{logits}.sigmoid()",
    "softmax": "{logits}.softmax(dim=1)",
    "log_softmax": "{logits}.log_softmax(dim=1)",
}


def example_of(
    combination: Combination,
    route: Route,
    expressions: tuple[str, str],
    instead_of: Combination | None = None,
) -> str:
    """Five lines: imports, outputs, target, loss, probabilities and predictions.

    Args:
        combination: what the example is for.
        route: the right way into the loss.
        expressions: from outputs to probabilities and to predictions.
        instead_of: the combination that was asked for, where nothing fits that one.
    """
    variable = VARIABLES[combination.output_domain.name]
    logits = f"torch.tensor({_logits(combination)})"
    outputs = _LAST_LAYER[combination.last_layer].format(logits=logits)
    module = "torch.nn" if route.is_in_torch else "xent"
    probabilities, prediction = expressions
    last = f"prediction = {prediction}"
    if probabilities != variable:
        last = f"p, prediction = {probabilities}, {prediction}"
    lines = [
        f"import torch, {module}.functional as F",
        f"{variable} = {outputs}",
        f"target = {_target(combination, instead_of)}",
        f"loss = {route.call}",
        last,
    ]
    return "\n".join(lines)


def _target(combination: Combination, instead_of: Combination | None) -> str:
    target = example_target(combination)
    if instead_of is not None and instead_of.target_shape == "lists":
        lists = [np.flatnonzero(row).tolist() for row in target]
        columns = f"torch.eye({target.shape[1]})[row].sum(dim=0)"
        return f"torch.stack([{columns} for row in {json.dumps(lists)}])"
    return f"torch.tensor({json.dumps(target.tolist())})"


def _logits(combination: Combination) -> str:
    """As short as they can be written; one with a point is enough to make them floats."""
    values = outputs_before_the_last_layer(combination).tolist()
    rows = values if isinstance(values[0], list) else [values]
    text = ", ".join("[" + ", ".join(f"{value:g}" for value in row) + "]" for row in rows)
    return f"[{text}]" if rows is values else text


def expected_loss(combination: Combination, route: Route) -> float:
    """The mean that the example must give, by the definition in the contract table."""
    contract = route.contract
    z = outputs_before_the_last_layer(combination)
    if of_rows(contract):
        log_p = log_softmax(z)
        inputs = log_p
    else:
        inputs = z if combination.last_layer == "none" else np.exp(log_sigmoid(z))
    arguments = {"input": inputs, "target": _as_taken(combination, route)}
    losses = contract.definition(np, **arguments)
    assert contract.denominator is not None
    return float(np.sum(losses) / contract.denominator(np, **arguments))


def _as_taken(combination: Combination, route: Route) -> NDArray[np.float64 | np.int64]:
    """The target in the form that the loss takes: what the expression of the route does."""
    target = example_target(combination)
    if not of_rows(route.contract):
        return (
            target[:, 1]
            if target.ndim > outputs_before_the_last_layer(combination).ndim
            else target
        )
    if route.target_domain == "class probability":
        return target if target.ndim == 2 else np.stack([1 - target, target], axis=1)
    return target.argmax(axis=1) if target.ndim == 2 else target.astype(np.int64)
