"""The margin of equivalence: given, or a share of the skill that was measured before the test."""

from __future__ import annotations

import math
from collections.abc import Sequence

from xent.study._verdicts._pairs import Margin

# The share of the skill that does not matter, unless a margin is given.
SHARE_OF_SKILL = 0.02


def given_margin(value: float) -> Margin:
    """A margin that was given.

    >>> given_margin(0.001).words
    'Differences below 0.001 nats of log loss do not matter, as given.'
    """
    words = f"Differences below {value:g} nats of log loss do not matter, as given."
    return Margin(value, words, "given")


def margin_of_skill(
    prior_log_loss: float, log_losses: Sequence[float], rows: str, *, before: bool = True
) -> Margin:
    """2 % of the skill: of the class prior's log loss minus the best formulation's.

    Args:
        prior_log_loss: of predicting the training part's class shares, in nats.
        log_losses: of each formulation on the same rows, mean over its seeds; those that are not
            finite are left out.
        rows: which rows, such as ``validation rows``.
        before: whether these rows are others than those that are tested.

    >>> margin_of_skill(0.6658, [0.6179], "validation rows").words
    'Differences below 0.00096 nats of log loss are taken not to matter. That is 2 % of the skill,
    which is how far the best log loss lies below that of the class shares alone: 0.0479 nats on the
    validation rows.'
    """
    finite = [loss for loss in log_losses if math.isfinite(loss)]
    if not finite:
        return Margin(None, _no_log_loss(rows), "none")
    skill = prior_log_loss - min(finite)
    if not 0.0 < skill < math.inf:
        return Margin(None, _no_skill(rows), "none")
    value = float(f"{SHARE_OF_SKILL * skill:.2g}")
    after = "" if before else " These are the rows that are tested, so it was not fixed before."
    words = (
        f"Differences below {value:g} nats of log loss are taken not to matter. That is "
        f"{100 * SHARE_OF_SKILL:g} % of the skill, which is how far the best log loss lies below "
        f"that of the class shares alone: {skill:.3g} nats on the {rows}.{after}"
    )
    return Margin(value, words, "skill")


def no_margin() -> Margin:
    """No margin, where none was given and there is nothing to derive one from."""
    words = (
        "No margin: whether differences are small enough not to matter can't be said. Give one "
        "with --margin, in nats of log loss."
    )
    return Margin(None, words, "none")


def _no_log_loss(rows: str) -> str:
    return (
        f"No margin: no formulation has a log loss on the {rows} to take the skill from. Give one "
        "with --margin, in nats of log loss; without it no equivalence can be claimed."
    )


def _no_skill(rows: str) -> str:
    return (
        f"No margin: no formulation is better than the class prior on the {rows}, so that there "
        "is no skill to take a share of. Give one with --margin, in nats of log loss; without it "
        "no equivalence can be claimed."
    )
