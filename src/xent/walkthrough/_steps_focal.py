"""The focal losses step by step: cross-entropy, weighted down where the answer is right already."""

from __future__ import annotations

import numpy as np

from xent.walkthrough._computed_elements import Elements
from xent.walkthrough._computed_rows import Rows, at_target
from xent.walkthrough._explanation import Step
from xent.walkthrough._numbers import Array
from xent.walkthrough._steps_shared import scale_of, without_mean
from xent.walkthrough._tables import GIVEN, Block, column

# The contract's defaults.
GAMMA, ALPHA = 2.0, 0.25
_SENTENCE = (
    "What the model misses, {missed}, to the power gamma = {gamma:g} multiplies the cross-entropy: "
    "next to nothing of it is left where the model is right already, nearly all where it is wrong."
)


def loss_of_rows(of: Rows, losses: Array) -> Step:
    """(1 - p_y)^gamma (-log p_y), with every factor in a column."""
    p, log_p, gamma = at_target(of, of.p), at_target(of, of.log_p), _gamma(of)
    blocks = [
        column("p_y", p),
        column("-log p_y", -log_p + 0.0),
        column("(1 - p_y)^gamma", (-np.expm1(log_p)) ** gamma),
        *_factors_of_rows(of),
        column("loss", losses),
    ]
    sentence = _SENTENCE.format(missed="1 - p_y", gamma=gamma)
    latex = r"\ell_i = s_i\, w_{y_i} (1 - p_{i y_i})^\gamma (-\log p_{i y_i})"
    formula = of.given.contract.options_formula
    return Step("loss", "Loss of each row", formula, latex, sentence, (of.table(*blocks),))


def gradient_of_rows(of: Rows) -> Step:
    """By the logits: that of cross-entropy, times a factor of the row."""
    factor, each = slope_of_rows(of)
    sentence = (
        "The slope of cross-entropy, p - t, times one factor for the row: the power itself, and "
        "what is left from its own slope."
    )
    if _gamma(of):
        sentence += " The factor is 0 at p_y = 1."
    if of.undefined.any():
        sentence += " Where p is NaN, so is the gradient."
    mark = "the class of the row"
    tables = [of.table(column("F", factor), *_factors_of_rows(of))]
    with np.errstate(all="ignore"):
        reduced = each / scale_of(of.given)
    tables.append(of.table(of.classes(each, marked=of.is_target), mark=mark))
    if not np.array_equal(each, reduced, equal_nan=True):
        sentence += " Last stands the gradient of the reduced loss."
        tables.append(of.table(of.classes(reduced, marked=of.is_target), mark=mark))
    formula = (
        "dL/dx_c = s w_y F (p_c - t_c),  "
        "F = (1 - p_y)^gamma - gamma p_y (1 - p_y)^(gamma - 1) log p_y"
    )
    latex = (
        r"\frac{\partial \ell}{\partial x_c} = s\, w_y F (p_c - t_c),\quad "
        r"F = (1 - p_y)^\gamma - \gamma\, p_y (1 - p_y)^{\gamma - 1} \log p_y"
    )
    return Step("gradient", "Gradient", formula, latex, sentence + without_mean(of.given),
                tuple(tables))  # fmt: skip


def slope_of_rows(of: Rows) -> tuple[Array, Array]:
    """The factor of each row, and the gradient of its loss by its logits, weights and all."""
    p, log_p, gamma = at_target(of, of.p), at_target(of, of.log_p), _gamma(of)
    with np.errstate(all="ignore"):
        missed = -np.expm1(log_p)
        # p log p / (1 - p) goes to 0 as p does, and to -1 as p goes to 1.
        ratio = np.where(p == 0, 0.0, np.where(missed == 0, -1.0, p * log_p / missed))
        factor = missed**gamma * (1.0 - gamma * ratio)
        share = of.counted * factor
        for block in _factors_of_rows(of):
            share = share * block.values[:, 0]
        slope = share[:, None] * (np.where(of.counted[:, None], of.p, 0.0) - of.onehot)
    return factor, np.where(of.counted[:, None], slope, 0.0)


def _factors_of_rows(of: Rows) -> list[Block]:
    given, blocks = of.given, []
    if given.weight is not None:
        blocks.append(column("w_y", of.onehot @ given.weight, GIVEN))
    if given.sample_weight is not None:
        blocks.append(column("sample_weight", given.sample_weight, GIVEN))
    return blocks


def _gamma(of: Rows | Elements) -> float:
    return float(of.given.options.get("gamma", GAMMA))


def loss_of_elements(of: Elements, losses: Array) -> Step:
    """alpha_t (1 - p_t)^gamma (-log p_t), with every factor in a column."""
    missed, plain, alpha = _parts(of)
    gamma = _gamma(of)
    blocks = [
        column("p_t", 1.0 - missed),
        column("-log p_t" if _hard(of) else "cross-entropy", plain),
        column("(1 - p_t)^gamma", missed**gamma),
        column("alpha_t", alpha, GIVEN),
        column("loss", losses),
    ]
    sentence = _SENTENCE.format(missed="1 - p_t", gamma=gamma)
    if not _hard(of):
        sentence += " Of a target between 0 and 1 the cross-entropy keeps a share of both terms."
    title = "Loss of each sample" if of.given.task == "binary" else "Loss of each label"
    contract = of.given.contract
    return Step("loss", title, contract.options_formula, contract.latex, sentence,
                (of.table(*blocks),))  # fmt: skip


def gradient_of_elements(of: Elements) -> Step:
    """By the logit: that of the power, and that of the cross-entropy."""
    each = slope_of_elements(of)
    with np.errstate(all="ignore"):
        reduced = each / scale_of(of.given)
    _, plain, alpha = _parts(of)
    table = of.table(
        column("p - t", of.p - of.t), column("CE", plain), column("alpha_t", alpha, GIVEN),
        column("slope", each), column("gradient", reduced),
    )  # fmt: skip
    sentence = (
        "Two parts: the slope of cross-entropy, p - t, weighted as the loss is, and what the "
        "weight itself changes by, times the cross-entropy CE."
    )
    if of.given.reduction == "mean":
        sentence += " The mean's gradient is that, divided as the mean is."
    formula = (
        "dL/dz = alpha_t ((1 - p_t)^gamma (p - t) + "
        "gamma (1 - p_t)^(gamma - 1) (1 - 2 t) p (1 - p) CE)"
    )
    latex = (
        r"\frac{\partial \ell}{\partial z} = \alpha_t \left[(1 - p_t)^\gamma (p - t) + "
        r"\gamma (1 - p_t)^{\gamma - 1} (1 - 2 t)\, p (1 - p)\, \mathrm{CE}\right]"
    )
    return Step("gradient", "Gradient", formula, latex, sentence, (table,))


def slope_of_elements(of: Elements) -> Array:
    """The gradient of each loss by its logit."""
    missed, plain, alpha = _parts(of)
    gamma = _gamma(of)
    with np.errstate(all="ignore"):
        # p (1 - p) / (1 - p_t) goes to 1 as both vanish; the power of 1 - p_t does the rest.
        rate = np.where(missed == 0, 1.0, of.p * of.q / missed) * (1.0 - 2.0 * of.t)
        changes = np.where(rate == 0, 0.0, rate * plain)
        return np.asarray(alpha * missed**gamma * ((of.p - of.t) + gamma * changes))


def _parts(of: Elements) -> tuple[Array, Array, Array]:
    """1 - p_t, the cross-entropy and alpha_t of each element."""
    t, alpha = of.t, of.given.options.get("alpha", ALPHA)
    with np.errstate(all="ignore"):
        missed = of.q * t + of.p * (1.0 - t)
        positive = np.where(t == 0, 0.0, -t * of.log_p)
        plain = positive + np.where(t == 1, 0.0, -(1.0 - t) * of.log_q)
    if alpha is None or alpha < 0:
        return missed, plain, np.ones_like(t)
    return missed, plain, alpha * t + (1.0 - alpha) * (1.0 - t)


def _hard(of: Elements) -> bool:
    return bool(np.all((of.t == 0) | (of.t == 1)))
