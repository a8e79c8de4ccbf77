"""The gradient of binary cross-entropy: its formula with the options that were given."""

from __future__ import annotations

from xent.walkthrough._computed_elements import Elements, gradient, gradient_by_p, slope
from xent.walkthrough._explanation import Step
from xent.walkthrough._steps_shared import without_mean
from xent.walkthrough._tables import GIVEN, column

_FACTORS = ("weight", "sample_weight")


def gradient_step(of: Elements) -> Step:
    """By the logit, and where probabilities were given by them, too."""
    given, prime = of.given, "'" if of.given.label_smoothing else ""
    pushed = given.pos_weight is not None
    own = f"(1 - t{prime}) p - pos_weight t{prime} (1 - p)" if pushed else f"p - t{prime}"
    factors = [name for name in _FACTORS if name in given.options]
    formula = f"dL/dz = {_times(factors, own)}"
    latex = rf"\frac{{\partial \ell}}{{\partial z}} = {_times_latex(factors, _latex(own))}"
    sentence = _meaning(prime, pushed=pushed, weighted=bool(factors))
    if given.reduction == "mean":
        sentence += " The mean's gradient is that, divided as the mean is."
    sentence += without_mean(given)
    blocks = [column("p", of.p), column(f"t{prime}", of.smoothed, GIVEN)]
    # The weights themselves stand in the step before: all of them would be wider than a terminal.
    blocks += [column("slope" if pushed or factors else own, slope(of))]
    blocks.append(column("gradient", gradient(of)))
    if given.kind == "probabilities":
        blocks.append(column("by p", gradient_by_p(of)))
        by_p = f"(p - t{prime}) / (p (1 - p))"
        by_p_latex = rf"\frac{{p - t{prime}}}{{p (1 - p)}}"
        if pushed:
            by_p = f"(1 - t{prime}) / (1 - p) - pos_weight t{prime} / p"
            by_p_latex = (
                rf"\left[\frac{{1 - t{prime}}}{{1 - p}} - "
                rf"\frac{{\mathrm{{pos\_weight}}\; t{prime}}}{{p}}\right]"
            )
        formula += f",  dL/dp = {_times(factors, by_p)}"
        latex += (
            rf",\quad \frac{{\partial \ell}}{{\partial p}} = {_times_latex(factors, by_p_latex)}"
        )
        sentence += (
            " By p it is divided by p (1 - p), which grows without bound; the sigmoid before it "
            "multiplies by the same, and the two cancel only where both keep their digits."
        )
    return Step("gradient", "Gradient", formula, latex, sentence, (of.table(*blocks),))


def _times(factors: list[str], own: str) -> str:
    return f"{' '.join(factors)} ({own})" if factors else own


def _times_latex(factors: list[str], own: str) -> str:
    names = " ".join(rf"\mathrm{{{name}}}\," for name in factors).replace("_", r"\_")
    return rf"{names} \left({own}\right)" if factors else own


def _latex(own: str) -> str:
    return own.replace("pos_weight", r"\mathrm{pos\_weight}\;")


def _meaning(prime: str, *, pushed: bool, weighted: bool) -> str:
    """What the slope is and between which bounds it lies, however wrong the logit is."""
    times = ", times its weights" if weighted else ""
    if pushed:
        sentence = (
            "By the logit the loss of a sample is pushed down by what the model gives to 1 "
            "wrongly, and up, pos_weight times, by what it doesn't give to it"
        )
        bounds = "between -pos_weight and 1"
    else:
        sentence = (
            f"By the logit the loss of a sample has the slope p - t{prime}: what the model says "
            "less what is true"
        )
        bounds = "between -1 and 1"
    before = " Without the weights it lies" if weighted else " It lies"
    return f"{sentence}{times}.{before} {bounds}, however wrong the logit."
