"""Domains: which numbers an argument of a loss may hold, and what they mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
NUMBERS = ("bool", *INTEGERS, *FLOATS)
LABELS = ("bool", *INTEGERS)
DTYPE_GROUPS = {FLOATS: "floating", INTEGERS: "integer", LABELS: "integer, bool", NUMBERS: "real"}

Bound = float | str


@dataclass(frozen=True)
class Domain:
    """A set of numbers with its meaning.

    Args:
        name: the standard term for one such number, such as ``"logit"``.
        plural: the same for many, as messages use it.
        low: the lower bound; a name such as ``"classes"`` stands for a size of the input.
        high: the upper bound, likewise.
        closed: whether the lower and the upper bound belong to the domain.
        whole: whether only whole numbers belong.
        normalised: whether the numbers (of log-probabilities: their exponentials) of one row
            sum to one over the classes.
        last_layer: the layer that gives such numbers: ``"none"``, ``"sigmoid"``, ... or empty.
        choices: the words that are allowed, for an option that is a word.
    """

    name: str
    plural: str
    low: Bound = -math.inf
    high: Bound = math.inf
    closed: tuple[bool, bool] = (True, True)
    whole: bool = False
    normalised: bool = False
    last_layer: str = ""
    choices: tuple[str, ...] = ()

    def contains(self, value: float, sizes: Mapping[str, int] | None = None) -> bool:
        """Whether one number belongs; ``sizes`` gives the value of a named bound.

        >>> CLASS_INDEX.contains(5, {"classes": 5}), PROBABILITY.contains(1.0)
        (False, True)
        """
        low, high = (
            (sizes or {})[bound] if isinstance(bound, str) else bound
            for bound in (self.low, self.high)
        )
        above = low <= value if self.closed[0] else low < value
        below = value <= high if self.closed[1] else value < high
        return above and below and (not self.whole or value == int(value))

    @property
    def interval(self) -> str:
        """The domain in the notation of intervals.

        >>> CLASS_INDEX.interval, PROBABILITY.interval, LOGIT.interval
        ('{0, ..., classes - 1}', '[0, 1]', '[-inf, inf]')
        """
        if self.choices:
            return ", ".join(repr(choice) for choice in self.choices)
        if self.whole and isinstance(self.high, str):
            return f"{{{self.low}, ..., {self.high} - 1}}"
        if (self.low, self.high, self.whole) == (0, 1, True):
            return "{0, 1}"
        opening, closing = "[" if self.closed[0] else "(", "]" if self.closed[1] else ")"
        interval = f"{opening}{self.low}, {self.high}{closing}"
        if self.whole:
            unbounded = self.low == -math.inf and self.high == math.inf
            return "the whole numbers" if unbounded else f"whole numbers in {interval}"
        return interval


LOGIT = Domain("logit", "logits", last_layer="none")
PROBABILITY = Domain("probability", "probabilities", 0, 1, last_layer="sigmoid")
LOG_PROBABILITY = Domain(
    "log-probability", "log-probabilities", high=0, normalised=True, last_layer="log_softmax"
)
CLASS_PROBABILITY = Domain(
    "class probability", "class probabilities", 0, 1, normalised=True, last_layer="softmax"
)
CLASS_INDEX = Domain("class index", "class indices", 0, "classes", (True, False), whole=True)
BINARY_LABEL = Domain("binary label", "binary labels", 0, 1, whole=True)
WEIGHT = Domain("weight", "weights", 0, closed=(True, False))
LOG_ODDS_OFFSET = Domain("logit offset", "logit offsets")
FRACTION = Domain("fraction", "fractions", 0, 1)
COEFFICIENT = Domain("coefficient", "coefficients", 0, closed=(True, False))
SCALE = Domain("scale", "scales", 0, closed=(False, False))
AXIS = Domain("axis", "axes", whole=True)
MARK = Domain("marking value", "marking values", whole=True)
REDUCTION = Domain("reduction", "reductions", choices=("none", "mean", "sum"))
ALL_IGNORED = Domain("word", "words", choices=("nan", "zero"))
