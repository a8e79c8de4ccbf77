"""Steps that every loss ends with: weights, reduction, and the result to the last digit."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xent.walkthrough._exact import PRECISION, digits, exact_denominator, exact_loss, exact_rows
from xent.walkthrough._explanation import Step
from xent.walkthrough._given import Given
from xent.walkthrough._naive import plain_losses
from xent.walkthrough._numbers import Array
from xent.walkthrough._tables import GIVEN, REAL, WORDS, Block, Table, column, formatted

if TYPE_CHECKING:
    import mpmath

# Exact arithmetic costs some 30 microseconds a number: beyond this it isn't waited for.
MOST_EXACT = 2000
# Options that belong to the numbers or to what comes after them.
WEIGHTS = ("pos_weight", "weight", "sample_weight")


def names_of(given: Given) -> list[str]:
    """The names of rows or elements."""
    if given.of_rows or given.values.ndim == 1 or given.values.shape[1] == 1:
        return [str(row) for row in range(len(given.values))]
    rows, labels = given.values.shape
    return [f"{row},{label}" for row in range(rows) for label in range(labels)]


def counted_kind(count: int, kind: str) -> str:
    """So many numbers of a kind.

    >>> counted_kind(1, "logits"), counted_kind(2000, "probabilities")
    ('1 logit', '2,000 probabilities')
    """
    one = f"{kind.removesuffix('ies')}y" if kind.endswith("ies") else kind.removesuffix("s")
    return f"{count:,} {one if count == 1 else kind}"


def label_of(given: Given) -> str:
    """What a line of the tables is called."""
    if given.of_rows:
        return "row"
    return "sample" if given.task == "binary" else "row,label"


def percent(part: int, whole: int) -> str:
    """A share in words: ``3 of 4 (75 %)``.

    >>> percent(2, 3)
    '2 of 3 (67 %)'
    """
    return f"{part:,} of {whole:,} ({100 * part / whole:.0f} %)" if whole else "0 of 0"


def right_column(right: NDArray[np.bool_], counted: NDArray[np.bool_]) -> Block:
    """Whether a prediction is right, as a word."""
    words = np.where(counted, np.where(right, "yes", "no"), "-")
    return column("right", words, WORDS, always=True)


def target_column(given: Given, heading: str) -> Block:
    """The targets, as they were given."""
    return column(heading, given.target.ravel().astype(np.float64), GIVEN, always=True)


def told(where: NDArray[np.bool_], names: Sequence[str], label: str) -> str:
    """Some of the lines by their names: ``rows 0 and 3``.

    >>> told(np.array([True, False, True]), ["0", "1", "2"], "row")
    'rows 0 and 2'
    """
    found = [names[position] for position in np.flatnonzero(where).tolist()]
    if len(found) == 1:
        return f"{label} {found[0]}"
    more = f"{len(found) - 2:,} more" if len(found) > 2 else ""
    first = found[:2] if more else found[:1]
    return f"{label}s {', '.join(first)} and {more or found[1]}"


def without_mean(given: Given) -> str:
    """That there is no gradient of a mean over nothing."""
    if given.reduction != "mean" or denominator_of(given):
        return ""
    return " Here the mean divides by 0, so that it has no gradient: NaN."


def _why_no_number(given: Given, losses: Array, count: float = 1.0) -> str:
    """Why the reduced loss is no number, where it is none."""
    undefined = np.isnan(losses)
    if undefined.any():
        which = told(undefined, names_of(given), label_of(given))
        whose = "has" if np.count_nonzero(undefined) == 1 else "have"
        return (
            f" {which[0].upper()}{which[1:]} {whose} no loss, NaN, so that all together have none."
        )
    infinite = np.isposinf(losses)
    if infinite.any():
        which = told(infinite, names_of(given), label_of(given))
        return f" The loss of {which} is infinite, and with it that of all together."
    if count:
        return ""
    left = "Every weight that counts is 0" if given.counted.any() else "All are ignored"
    if given.options.get("all_ignored") == "zero":
        return f' {left}: the mean of nothing is 0 with all_ignored="zero".'
    if _added(losses):
        return f" {left}, and what is not 0 divided by 0 is inf."
    return f' {left}: 0 / 0 is not a number. all_ignored="zero" would make it 0.'


def options_of_losses(given: Given) -> tuple[str, ...]:
    """The options that change the loss of a row or element, but for those of its logits."""
    names = (*WEIGHTS, "label_smoothing", "z_loss")
    return tuple(name for name in names if given.options.get(name) is not None)


def without_options(given: Given) -> Given:
    """The same numbers for the same loss, with nothing but what is ignored."""
    kept = {name: value for name, value in given.options.items() if name == "ignore_index"}
    return replace(given, options=kept)


def _added(losses: Array) -> float:
    """The sum, correctly rounded."""
    try:
        return math.fsum(losses)
    except (OverflowError, ValueError):  # beyond float64, or infinities of both signs
        with np.errstate(all="ignore"):
            return float(np.sum(losses))


def reduction_step(given: Given, losses: Array) -> Step:
    """What becomes of the losses: their sum, their mean, or all of them."""
    total = _added(losses)
    if given.reduction == "none":
        sentence = 'With reduction="none" the losses stay as they are, one for each.'
        return Step("reduction", "Reduction", "none", r"\ell_i", sentence)
    if given.reduction == "sum":
        table = _quantities(["sum"], [total])
        sentence = f"The {len(losses):,} losses are added."
        sentence += _why_no_number(given, losses)
        return Step("reduction", "Reduction", "L = sum_i L_i", r"L = \sum_i \ell_i", sentence,
                    (table,))  # fmt: skip
    with np.errstate(all="ignore"):
        count = denominator_of(given)
    names = ["sum of the losses", "divided by", "mean"]
    values = [total, count, reduced(given, losses)]
    divisor = for_target(given, given.contract.mean_denominator)
    sentence = f"The mean divides by {divisor}: here {count:.6g}."
    if given.options.get("normalizer") is not None:
        sentence = f"The sum is divided by the normalizer that was given, {count:g}."
    sentence += _why_no_number(given, losses, count)
    return Step(
        "reduction", "Reduction", "L = (1 / D) sum_i L_i", r"L = \frac{1}{D} \sum_i \ell_i",
        sentence, (_quantities(names, values),),
    )  # fmt: skip


def _quantities(names: list[str], values: list[float]) -> Table:
    """Numbers of different kinds, each in a format of its own."""
    words = [formatted(np.array([[value]]), REAL)[0][0] for value in values]
    return Table("quantity", names, (column("value", words, WORDS),))


def for_target(given: Given, told: str) -> str:
    """What a text of the contract says of this form of target, where it tells two apart."""
    of_indices, *others = re.split(r";\s+(?:for )?class probabilities:? ", told)
    if not others:
        return told
    of_probabilities, *both = others[0].split(";  ")
    own = of_probabilities if given.soft else of_indices.removeprefix("class index: ")
    return ";  ".join([own, *both])


def denominator_of(given: Given) -> float:
    """What the mean divides by."""
    if given.options.get("normalizer") is not None:
        return float(given.options["normalizer"])
    denominator = given.contract.denominator
    assert denominator is not None
    return float(denominator(np, **given.arguments()))


def reduced(given: Given, losses: Array) -> float:
    """The sum or mean in float64; the sum is correctly rounded."""
    total = _added(losses)
    if given.reduction == "sum":
        return total
    count = denominator_of(given)
    if count:
        return total / count
    if given.options.get("all_ignored") == "zero":
        return 0.0
    return math.inf if total else math.nan


def scale_of(given: Given) -> float:
    """What the gradient of each loss is divided by."""
    if given.reduction != "mean":
        return 1.0
    return denominator_of(given) or math.nan


def exact_value(given: Given) -> mpmath.mpf | None:
    """The reduced loss to 240 bits, if the input is small enough to wait for it."""
    if given.reduction == "none" or given.values.size > MOST_EXACT:
        return None
    return exact_loss(given)


def result_step(given: Given, losses: Array, exact: mpmath.mpf | None) -> Step:
    """The result, and which digits a dtype can hold of it."""
    if exact is None:
        value = reduced(given, losses)
        table = Table("number", ["float64"], (column("value", [repr(value)], WORDS),))
        sentence = (
            f"Computed in float64 over all {len(losses):,}, and added without rounding; exact "
            f"arithmetic is kept for inputs of up to {MOST_EXACT:,} numbers."
        )
        return Step("result", "The result to the last digit", "", "", sentence, (table,))
    names = ["exact", "nearest float64", "nearest float32"]
    double = float(exact)
    with np.errstate(over="ignore"):
        single = np.float32(double)
    words = [digits(exact), repr(double), repr(float(single))]
    sentence = "Exact: the definition of the loss in arithmetic of 240 bits."
    if math.isfinite(float(single)) and single:
        unit = float(np.spacing(abs(single)))
        sentence += (
            f" float32 numbers are {unit:.3g} apart here, so of the digits that Python prints of "
            f"one about {_sure_digits(double, unit)} say something; a calculation in float32 may "
            "end a few such steps away, and `xent verify` shows where each library ends."
        )
    if math.isnan(double):
        sentence += " It is no number; the step of the reduction says why."
    table = Table("number", names, (column("value", words, WORDS),))
    return Step("result", "The result to the last digit", "", "", sentence, (table,))


def _sure_digits(value: float, unit: float) -> int:
    return max(1, round(math.log10(abs(value) / unit)))


def losses_of(given: Given) -> Array:
    """The loss of each row or element, by the contract's definition with every option."""
    return plain_losses(given)


def numerical_gradient(given: Given, positions: list[int]) -> Array:
    """The gradient of the reduced loss by the logits of some rows, from exact differences.

    In arithmetic of 240 bits a central difference with a step of 2**-70 is right to 1e-40, for any
    definition that the contract table may hold.
    """
    import mpmath

    part = given.taken(positions)
    values = part.values.reshape(len(positions), -1)
    gradient = np.empty(values.shape)
    with mpmath.workprec(PRECISION):
        scale = exact_denominator(given) if given.reduction == "mean" else mpmath.mpf(1)
        for place in range(values.shape[1]):
            up, down = (_shifted(part, place, sign) for sign in (1, -1))
            for row, (above, below) in enumerate(zip(up, down, strict=True)):
                slope = (above - below) / mpmath.ldexp(1, -69) / (scale or mpmath.nan)
                gradient[row, place] = float(slope)
    return gradient


def _shifted(part: Given, place: int, sign: int) -> list[mpmath.mpf]:
    return exact_rows(part, shift=(place, sign * 2.0**-70))
