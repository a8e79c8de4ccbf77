"""Everything that is computed of elements, by forms that break nowhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent._links import log_sigmoid
from xent.walkthrough._given import Given
from xent.walkthrough._numbers import Array
from xent.walkthrough._steps_shared import label_of, names_of, scale_of
from xent.walkthrough._tables import Block, Table


@dataclass(frozen=True, eq=False)
class Elements:
    """Everything that is computed of elements, flattened.

    Args:
        given: what was given.
        names: the name of each element.
        z: logits; where probabilities were given, those that they stand for.
        p: probabilities of 1.
        q: probabilities of 0, right in both tails.
        log_p: their logarithms.
        log_q: likewise.
        t: the targets as they were given.
        smoothed: the targets after label smoothing.
    """

    given: Given
    names: list[str]
    z: Array
    p: Array
    q: Array
    log_p: Array
    log_q: Array
    t: Array
    smoothed: Array

    def table(self, *blocks: Block, mark: str = "") -> Table:
        """A table with a line for each element."""
        ignored = None if self.counted.all() else ~self.counted
        return Table(label_of(self.given), self.names, blocks, mark, ignored)

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Which elements are not ignored."""
        return self.given.counted.ravel()


def elements(given: Given) -> Elements:
    """Compute everything, by forms that break nowhere."""
    values, t = given.values.ravel(), given.target.ravel().astype(np.float64)
    with np.errstate(all="ignore"):
        if given.kind == "logits":
            z, log_p, log_q = values, log_sigmoid(values), log_sigmoid(-values)
            p, q = np.exp(log_p), np.exp(log_q)
        else:
            p, q, log_p, log_q = values, 1.0 - values, np.log(values), np.log1p(-values)
            z = log_p - log_q
    smoothing = given.label_smoothing
    smoothed = (1.0 - smoothing) * t + smoothing / 2.0
    return Elements(given, names_of(given), z, p, q, log_p, log_q, t, smoothed)


def _floored(of: Elements, logarithm: Array) -> Array:
    """PyTorch's convention for probabilities of 0; logits need none."""
    return np.maximum(logarithm, -100.0) if of.given.kind == "probabilities" else logarithm


def terms(of: Elements) -> tuple[Array, Array]:
    """The terms t log p and (1 - t) log(1 - p), where a factor of 0 drops its term."""
    t = of.smoothed
    log_p, log_q = _floored(of, of.log_p), _floored(of, of.log_q)
    return t * np.where(t == 0, 0.0, log_p), (1.0 - t) * np.where(t == 1, 0.0, log_q)


def _coefficients(of: Elements) -> tuple[Array, Array]:
    """What -log p and -log(1 - p) are multiplied by, weights and all."""
    share = of.counted.astype(np.float64)
    for name in ("weight", "sample_weight"):
        if name in of.given.options:
            share = share * np.ravel(of.given.options[name])
    pos_weight = of.given.pos_weight
    positive = share * of.smoothed * (1.0 if pos_weight is None else np.ravel(pos_weight))
    return positive, share * (1.0 - of.smoothed)


def slope(of: Elements) -> Array:
    """The gradient of each loss by its logit, weights and all."""
    positive, negative = _coefficients(of)
    counts = of.counted
    p, q = np.where(counts, of.p, 0.5), np.where(counts, of.q, 0.5)
    return np.asarray(negative * p - positive * q)


def gradient(of: Elements) -> Array:
    """The gradient of the reduced loss by the logits."""
    return np.asarray(slope(of) / scale_of(of.given))


def gradient_by_p(of: Elements) -> Array:
    """The gradient of the reduced loss by the probabilities; a factor of 0 drops its term."""
    positive, negative = _coefficients(of)
    with np.errstate(all="ignore"):
        rising = np.where(negative == 0, 0.0, negative / of.q)
        falling = np.where(positive == 0, 0.0, positive / of.p)
    return np.asarray((rising - falling) / scale_of(of.given))
