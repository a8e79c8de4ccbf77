"""The gradient of cross-entropy: its formula with the options that were given."""

from __future__ import annotations

import numpy as np

from xent.walkthrough._computed_rows import (
    TRANSFORMS,
    Rows,
    class_weights,
    gradient,
    log_sum_exp,
    slope,
)
from xent.walkthrough._explanation import Step
from xent.walkthrough._steps_shared import told, without_mean
from xent.walkthrough._tables import GIVEN, Block, column

# From here on the shares of a row don't sum to one, and its p counts as often as they do.
_OFF_ONE = 1e-6


def gradient_step(of: Rows) -> Step:
    """By the logits that were given, of each row and then of the reduced loss."""
    formula, latex = _formula(of)
    sentence = _meaning(of)
    of_each, of_all = slope(of), gradient(of)
    mark = "" if of.soft else "the class of the row"
    marked = None if of.soft else of.is_target
    tables = [of.table(of.classes(of_each, marked=marked), mark=mark)]
    factors = _factors(of)
    if factors:
        tables.insert(0, of.table(*factors))
    if not np.array_equal(of_each, of_all, equal_nan=True):
        sentence += " Last stands the gradient of the reduced loss."
        tables.append(of.table(of.classes(of_all, marked=marked), mark=mark))
    if of.undefined.any():
        sentence += f" Of {told(of.undefined, of.names, 'row')} it is NaN, as p is."
    sentence += without_mean(of.given)
    if of.given.kind != "logits":
        sentence = (
            f"By the logits behind these {of.given.kind}: {sentence[0].lower()}{sentence[1:]}"
        )
    return Step("gradient", "Gradient", formula, latex, sentence, tuple(tables))


def _sums_to_one(of: Rows) -> bool:
    return bool(np.all(np.abs(of.smoothed.sum(axis=1) - 1.0)[of.counted] <= _OFF_ONE))


def _spread_weights(of: Rows) -> bool:
    """Whether the classes of one row have weights of their own."""
    return of.given.weight is not None and of.soft


def _has_total(of: Rows) -> bool:
    return _spread_weights(of) or not _sums_to_one(of)


def _penalised(of: Rows) -> bool:
    return bool(of.given.options.get("z_loss"))


def _own_weight(of: Rows) -> bool:
    """Whether the one class of a row has a weight."""
    return of.given.weight is not None and not of.given.soft


def _formula(of: Rows) -> tuple[str, str]:
    """In plain text and in LaTeX, with nothing but what was given."""
    options, prime = of.given.options, "'" if of.given.label_smoothing else ""
    own, own_latex = f"p_c - t{prime}_c", rf"p_c - t{prime}_c"
    where, where_latex = "", ""
    if _has_total(of):
        share, share_latex = f"t{prime}_c", f"t{prime}_c"
        if _spread_weights(of):
            share, share_latex = f"w_c t{prime}_c", rf"w_c\, t{prime}_c"
        own, own_latex = f"A p_c - {share}", rf"A\, p_c - {share_latex}"
        where = f",  A = sum_c {share}"
        where_latex = rf",\quad A = \sum_c {share_latex}"
    elif _own_weight(of):
        own, own_latex = f"w_y ({own})", rf"w_y (p_c - t{prime}_c)"
    if _penalised(of):
        weight, weight_latex = ("w_y ", r"w_y\, ") if _own_weight(of) else ("", "")
        own += f" + 2 z_loss {weight}lse p_c"
        own_latex += rf" + 2 z\, {weight_latex}\mathrm{{lse}}\, p_c"
    factors, factors_latex = [], []
    if "softcap" in options:
        factors.append("(1 - tanh(input_c / softcap)^2)")
        factors_latex.append(r"\left(1 - \tanh^2(\mathrm{input}_c / \mathrm{softcap})\right)")
    if "temperature" in options:
        factors.append("1 / temperature")
        factors_latex.append(r"\frac{1}{T}")
    if of.given.sample_weight is not None:
        factors.append("sample_weight")
        factors_latex.append(r"s")
    if factors:
        own = f"{' * '.join(factors)} * ({own})"
        before = r" \, ".join(factors_latex)
        own_latex = rf"{before} \left({own_latex}\right)"
    by = "input" if any(name in options for name in TRANSFORMS) else "x"
    by_latex = r"\mathrm{input}" if by == "input" else "x"
    return (
        f"dL/d{by}_c = {own}{where}",
        rf"\frac{{\partial \ell}}{{\partial {by_latex}_c}} = {own_latex}{where_latex}",
    )


def _meaning(of: Rows) -> str:
    """What the signs mean, and whether the slopes of a row cancel."""
    prime = "'" if of.given.label_smoothing else ""
    sentence = f"By the logits the loss of a row has the slope p - t{prime}"
    plain = not (_has_total(of) or _penalised(of))
    if of.given.weight is not None or of.given.sample_weight is not None:
        sentence += " with its weights" if plain else ""
    if not plain:
        sentence = "By the logits the loss of a row has the slope above"
    if of.soft or _penalised(of):
        sentence += ": a class is pulled up where it is negative, and pushed down where positive."
    else:
        sentence += ": negative at the right class, which is pulled up, and positive at the others."
    breaks = [name for name in ("z_loss", "softcap") if of.given.options.get(name)]
    if breaks:
        return f"{sentence} With {' and '.join(breaks)} it doesn't sum to 0 over a row."
    return f"{sentence} It sums to 0 over a row."


def _factors(of: Rows) -> list[Block]:
    """The numbers of the formula that stand in no other step."""
    found = []
    if _has_total(of):
        found.append(column("A", class_weights(of).sum(axis=1)))
    weight = of.given.weight
    if weight is not None and _own_weight(of) and (not _has_total(of) or _penalised(of)):
        found.append(column("w_y", of.onehot @ weight, GIVEN))
    if of.given.sample_weight is not None:
        found.append(column("sample_weight", of.given.sample_weight, GIVEN))
    if _penalised(of):
        found.append(column("lse", log_sum_exp(of)))
    return found
