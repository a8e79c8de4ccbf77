"""The matched protocol: steps that are the same in log-odds, whatever the parametrisation.

One logit z, the pair (-z, z) and two logits are one likelihood in different coordinates. The same
learning rate is then not the same step in log-odds θ = c·W, nor the same weight decay the same
penalty on θ. With these factors the trajectories of θ are equal to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xent._errors import InputError
from xent.study._formulations import Formulation


@dataclass(frozen=True)
class Scaling:
    """Factors for the head of one formulation, relative to one logit."""

    learning_rate: float = 1.0
    epsilon: float = 1.0
    weight_decay: float = 1.0


def match(formulation: Formulation, classes: int, optimizer: str) -> Scaling:
    """Return the factors that make steps in log-odds equal to those of one logit.

    With ``c`` the row of contrasts: a gradient step moves θ by ``|c|^2`` times that of one logit,
    an Adam step by ``sum |c|``, whose gradients are ``max |c|`` times as large; the smallest
    outputs that stand for θ have the squared norm ``|θ|^2 / |c|^2``.

    Raises:
        InputError: where no such factors exist.

    >>> from xent.study._formulations import BUILT_IN
    >>> match(BUILT_IN["ce1"], 2, "adam")
    Scaling(learning_rate=0.5, epsilon=2.0, weight_decay=4.0)
    """
    contrasts = formulation.contrasts(classes)
    if contrasts is None or formulation.resolved_link.log_odds_of != "reference":
        raise InputError(
            "compare: --protocol matched",
            "used with formulations that have log-odds against one reference class",
            f"{formulation.name} ({formulation.resolved_link.formula})",
            "Leave it out, or use --protocol as-written.",
        )
    if optimizer == "lbfgs":
        raise InputError(
            "compare: --protocol matched",
            "used with sgd, adam or adamw",
            "lbfgs, whose first step depends on the parametrisation",
            "Use --protocol as-written, or --converge.",
        )
    if len(contrasts) > 1:
        return Scaling()
    row = np.abs(contrasts[0])
    squared, total, largest = float(row @ row), float(row.sum()), float(row.max())
    if optimizer == "sgd":
        return Scaling(1 / squared, 1.0, squared)
    if float(row.min()) != largest:
        raise InputError(
            "compare: --protocol matched",
            "used with contrasts of one size under an adaptive optimiser",
            f"{contrasts[0].tolist()} of {formulation.name}",
            "Use --optimizer sgd.",
        )
    return Scaling(1 / total, largest, total if optimizer == "adamw" else squared)


def require_matchable(formulations: tuple[Formulation, ...], classes: int) -> None:
    """More than two classes: only formulations that share their contrasts can be matched."""
    if classes == 2:
        return
    first = formulations[0].contrasts(classes)
    for formulation in formulations[1:]:
        other = formulation.contrasts(classes)
        if first is None or other is None or not np.array_equal(first, other):
            raise InputError(
                "compare: --protocol matched",
                "used with formulations that share their outputs when there are more than 2 "
                "classes",
                f"{formulations[0].name} and {formulation.name}",
                "Use --protocol as-written.",
            )
