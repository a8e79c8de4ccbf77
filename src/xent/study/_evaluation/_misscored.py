"""What a formulation would seem to score if every output went through a sigmoid.

The BCE-versus-CE study did that to all three of its models: right for one logit, wrong for two.
The outputs it scored were the logits handed to the loss: z, (-z, z) and (a, b).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xent._links import Array, log_sigmoid
from xent.study._formulations import Formulation

REASONS = {
    "bce": "right: one logit, P(1) = sigmoid(z)",
    "ce1": "wrong: P(1) is sigmoid(2z); sigmoid(z) halves the log-odds, rows still sum to 1",
    "ce2": "wrong: sigmoid(a) and sigmoid(b) are no distribution, rows do not sum to 1",
}


@dataclass(frozen=True)
class SigmoidScored:
    """Log-"probabilities" by a sigmoid on every output, ``(rows, 2)``.

    Args:
        raw: as they are; rows need not sum to 1.
        renormalised: divided by their row sums, as older versions of scikit-learn did silently.
    """

    raw: Array
    renormalised: Array


def score_with_sigmoids(formulation: Formulation, outputs: Array) -> SigmoidScored:
    """Score the logits that this formulation hands to its loss with a sigmoid each.

    Args:
        formulation: bce, ce1 or ce2.
        outputs: of the model, ``(rows, outputs)``.
    """
    if formulation.base == "bce":
        raw = np.hstack([log_sigmoid(-outputs), log_sigmoid(outputs)])
    elif formulation.base == "ce1":
        raw = log_sigmoid(np.hstack([-outputs, outputs]))
    else:
        raw = log_sigmoid(outputs)
    return SigmoidScored(raw, raw - np.logaddexp.reduce(raw, axis=1, keepdims=True))
