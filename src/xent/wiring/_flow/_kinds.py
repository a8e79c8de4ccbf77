"""Kinds: what the numbers of a tensor mean, as far as the code proves it."""

from __future__ import annotations

from enum import Enum


class Kind(Enum):
    """What a tensor holds; the value is how messages call it. Unknown is None, not a kind."""

    LOGITS = "logits"
    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"
    LOG_SOFTMAX = "log_softmax"
    LOG_SIGMOID = "logsigmoid"
    CLASS_INDEX = "class index"
    ACTIVATED = "activation"
    EXPONENTIAL = "exp"
    SUM_OF_EXPONENTIALS = "sum of exp"

    @property
    def is_probability(self) -> bool:
        """Whether the numbers are probabilities, of one class or of all.

        >>> Kind.SIGMOID.is_probability, Kind.LOG_SOFTMAX.is_probability
        (True, False)
        """
        return self in (Kind.SIGMOID, Kind.SOFTMAX)
