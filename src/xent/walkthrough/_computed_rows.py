"""Everything that is computed of rows, by forms that break nowhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xent._links import log_softmax
from xent.walkthrough._given import Given
from xent.walkthrough._numbers import Array
from xent.walkthrough._steps_shared import names_of, scale_of
from xent.walkthrough._tables import REAL, Block, Table

TRANSFORMS = ("softcap", "temperature", "logit_adjustment")


@dataclass(frozen=True, eq=False)
class Rows:
    """Everything that is computed of rows ``(N, C)``.

    Args:
        given: what was given.
        names: the name of each row.
        x: the logits that the softmax sees; else what was given.
        p: probabilities.
        log_p: their logarithms.
        onehot: 1 at the class of each row, or the class probabilities that were given.
        smoothed: the same after label smoothing.
    """

    given: Given
    names: list[str]
    x: Array
    p: Array
    log_p: Array
    onehot: Array
    smoothed: Array

    def table(self, *blocks: Block, mark: str = "") -> Table:
        """A table with a line for each row."""
        ignored = None if self.counted.all() else ~self.counted
        return Table("row", self.names, blocks, mark, ignored)

    def classes(self, values: Array, kind: str = REAL, marked: NDArray[np.bool_] | None = None
                ) -> Block:  # fmt: skip
        """A block with a column for each class."""
        headings = tuple(f"class {place}" for place in range(values.shape[1]))
        return Block(headings, values, kind, marked)

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Which rows are not ignored."""
        return self.given.counted

    @property
    def undefined(self) -> NDArray[np.bool_]:
        """Which rows have no softmax: an infinite logit makes it inf / inf."""
        return np.asarray(np.isnan(self.p).any(axis=1) & self.counted)

    @property
    def is_target(self) -> NDArray[np.bool_]:
        """The class of each row, or the likeliest of its class probabilities."""
        best = np.argmax(self.onehot, axis=1)
        at_best = np.arange(self.onehot.shape[1]) == best[:, None]
        return np.asarray(at_best & self.counted[:, None])

    @property
    def soft(self) -> bool:
        """Whether several classes of a row have a share of the target."""
        return self.given.soft or bool(self.given.label_smoothing)


def rows(given: Given) -> Rows:
    """Compute everything, by forms that break nowhere."""
    values, classes = given.values, given.values.shape[1]
    with np.errstate(all="ignore"):
        if given.kind == "logits" or any(name in given.options for name in TRANSFORMS):
            x = _transformed(given, _logits(given))
            log_p = log_softmax(x)
            # As in PyTorch: where an infinite logit makes one class NaN, none of the row is known.
            log_p = np.where(np.isnan(log_p).any(axis=1, keepdims=True), np.nan, log_p)
            p = np.exp(log_p)
        elif given.kind == "probabilities":
            p, log_p = values, np.log(values)
            x = log_p
        else:
            x, p, log_p = values, np.exp(values), values
    if given.soft:
        onehot = given.target.astype(np.float64)
    else:
        onehot = (np.arange(classes) == given.target[:, None]).astype(np.float64)
    smoothing = given.label_smoothing
    smoothed = (1.0 - smoothing) * onehot + smoothing / classes * given.counted[:, None]
    return Rows(given, names_of(given), x, p, log_p, onehot, smoothed)


def _logits(given: Given) -> Array:
    """Logits of these probabilities, which their logarithms are, or the logits themselves."""
    if given.kind != "probabilities":
        return given.values
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(given.values))


def _transformed(given: Given, values: Array) -> Array:
    softcap, adjustment = given.options.get("softcap"), given.options.get("logit_adjustment")
    if softcap is not None:
        values = softcap * np.tanh(values / softcap)
    values = values / given.options.get("temperature", 1.0)
    return np.asarray(values if adjustment is None else values + adjustment)


def at(values: Array, places: NDArray[np.int64]) -> Array:
    """The entry of each row at a place of its own."""
    return np.asarray(np.take_along_axis(values, places[:, None], axis=1)[:, 0])


def at_target(of: Rows, values: Array) -> Array:
    """The entry of each row at its class."""
    return np.asarray(np.sum(np.where(of.is_target, values, 0.0), axis=1))


def log_sum_exp(of: Rows) -> Array:
    """Of the logits that the softmax sees."""
    largest = of.x.max(axis=1)
    with np.errstate(all="ignore"):
        return np.asarray(largest - of.log_p.max(axis=1))


def single_log_softmax(x: Array) -> Array:
    """Log-softmax in float32 as PyTorch computes it: the logarithm of the whole sum."""
    with np.errstate(all="ignore"):
        shifted = x.astype(np.float32)
        shifted = shifted - shifted.max(axis=1, keepdims=True)
        logarithm = np.log(np.exp(shifted).sum(axis=1, keepdims=True, dtype=np.float32))
        return np.asarray(shifted - logarithm, dtype=np.float64)


def _coefficients(of: Rows) -> tuple[Array, Array]:
    """What each -log p_c is multiplied by, and what lse^2 is, weights and all."""
    given = of.given
    share = of.counted.astype(np.float64)
    if given.sample_weight is not None:
        share = share * given.sample_weight
    penalty = share * given.options.get("z_loss", 0.0)
    if not given.soft and given.weight is not None:
        penalty = penalty * (of.onehot @ given.weight)
    return share[:, None] * class_weights(of), penalty


def class_weights(of: Rows) -> Array:
    """What stands before -log p_c in the loss of each row, but for its sample weight."""
    weight = np.ones(of.x.shape[1]) if of.given.weight is None else of.given.weight
    return np.asarray(weight * of.smoothed)


def gradient(of: Rows) -> Array:
    """The gradient of the reduced loss by the logits that were given."""
    return np.asarray(slope(of) / scale_of(of.given))


def slope(of: Rows) -> Array:
    """The gradient of the loss of each row by the logits that were given."""
    coefficients, penalty = _coefficients(of)
    with np.errstate(all="ignore"):
        p = np.where(of.counted[:, None], of.p, 0.0)
        lse = np.where(of.counted, log_sum_exp(of), 0.0)
        total = coefficients.sum(axis=1, keepdims=True) * p - coefficients
        total = total + (2.0 * penalty * lse)[:, None] * p
    total = total / of.given.options.get("temperature", 1.0)
    softcap = of.given.options.get("softcap")
    if softcap is not None:
        total = total * (1.0 - np.tanh(_logits(of.given) / softcap) ** 2)
    return np.asarray(total)
