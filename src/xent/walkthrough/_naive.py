"""The textbook's forms, computed as they are written: where they overflow, and take log 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent.walkthrough._exact import digits, exact_rows
from xent.walkthrough._explanation import Step
from xent.walkthrough._given import Given
from xent.walkthrough._numbers import BITS, Array
from xent.walkthrough._tables import DIGITS, FIRST_ROWS, LAST_ROWS, WORDS, Table, column

# A relative error that shows in the digits that are printed.
WRONG = 5e-5
# Reasons are told of so many rows.
MOST_REASONS = 3
PRECISIONS = ("float32", "float64")


def naive_losses(given: Given, dtype: str) -> Array:
    """The loss of each row or element without options, by the textbook, in a dtype.

    >>> from xent.walkthrough._inputs import read_given
    >>> naive_losses(read_given(logits="-1000 0", targets="1 1"), "float32").round(4).tolist()
    [inf, 0.6931]
    """
    with np.errstate(all="ignore"):
        values = given.values.astype(dtype)
        form = _naive_rows if given.of_rows else _naive_elements
        return np.asarray(form(given, values), dtype=np.float64)


def _naive_elements(given: Given, values: NDArray[Any]) -> NDArray[Any]:
    one = values.dtype.type(1)
    p = values if given.kind == "probabilities" else one / (one + np.exp(-values))
    t = given.target.astype(values.dtype)
    return np.asarray(-(t * np.log(p) + (one - t) * np.log(one - p))).ravel()


def _naive_rows(given: Given, values: NDArray[Any]) -> NDArray[Any]:
    terms = np.exp(values)
    p = terms / terms.sum(axis=1, keepdims=True)
    if given.soft:
        return np.asarray(-(given.target.astype(values.dtype) * np.log(p)).sum(axis=1))
    safe = np.where(given.counted, given.target, 0)
    return np.asarray(-np.log(np.take_along_axis(p, safe[:, None], axis=1)[:, 0]))


def naive_step(
    given: Given, plain: Given, names: list[str], label: str, without: Sequence[str] = ()
) -> Step:
    """Where the textbook's form breaks on these numbers.

    Args:
        given: the numbers.
        plain: the same without the options of the loss, whose definition gives the stable value.
        names: of the rows or elements.
        label: what one is called.
        without: options that the losses here leave out.
    """
    stable = plain_losses(plain)
    by_dtype = {dtype: naive_losses(given, dtype) for dtype in PRECISIONS}
    counted = np.ravel(given.counted)
    wrong = {dtype: _wrong(naive, stable) & counted for dtype, naive in by_dtype.items()}
    broken = np.flatnonzero(wrong["float32"] | wrong["float64"])
    shown = _most_telling(broken, np.flatnonzero(counted))
    exact = [digits(loss, 8) for loss in exact_rows(plain.taken(shown))]
    table = Table(
        label,
        [names[position] for position in shown],
        (
            *(
                column(f"naive, {dtype}", by_dtype[dtype][shown], DIGITS, wrong[dtype][shown])
                for dtype in PRECISIONS
            ),
            column("stable", stable[shown], DIGITS),
            column("exact", exact, WORDS),
        ),
        mark="differs from the exact value in the digits that count" if broken.size else "",
    )
    reason = _row_reason if given.of_rows else _element_reason
    sentence = _sentence(given, names, label, broken, wrong, reason, stable)
    if without:
        sentence = f"Compared are the losses before {', '.join(without)}. {sentence}"
    naive, latex = _forms(given)
    return Step("naive", "Where the naive form breaks", naive, latex, sentence, (table,))


def plain_losses(plain: Given) -> Array:
    """The loss of each row or element by the definition of the contract table, in float64."""
    with np.errstate(all="ignore"):
        return np.ravel(plain.contract.definition(np, **plain.arguments())).astype(np.float64)


def _wrong(naive: Array, stable: Array) -> NDArray[np.bool_]:
    with np.errstate(all="ignore"):
        near = np.abs(naive - stable) <= WRONG * np.abs(stable)
    # Two equal infinities are not wrong, though their difference is no number; nor is a NaN
    # wrong where the loss itself is one.
    return np.asarray(~(near | (naive == stable) | np.isnan(stable)))


def _most_telling(broken: NDArray[np.int64], counted: NDArray[np.int64]) -> list[int]:
    """The first rows that break, then the first of the others, in the order of the input."""
    others = np.setdiff1d(counted, broken)
    return sorted(np.concatenate([broken, others])[: FIRST_ROWS + LAST_ROWS].tolist())


def _sentence(
    given: Given,
    names: list[str],
    label: str,
    broken: NDArray[np.int64],
    wrong: dict[str, NDArray[np.bool_]],
    reason: Callable[[Given, int, str], str],
    stable: Array,
) -> str:
    limits = _limits(given)
    undefined = np.flatnonzero(np.isnan(stable) & np.ravel(given.counted))
    if undefined.size:
        limits = (
            f"{undefined.size:,} {label}{'s have' if undefined.size != 1 else ' has'} no loss in "
            f"any form: infinite logits make it inf - inf, which is NaN. {limits}"
        )
        if not broken.size:
            return f"The naive form breaks nowhere where there is a loss. {limits}"
    if not broken.size:
        return f"Nothing breaks on these numbers. {limits}"
    reasons = []
    for position in broken[:MOST_REASONS]:
        # What breaks float64 breaks float32 too: the reason in the wider one says more.
        dtype = "float64" if wrong["float64"][position] else "float32"
        reasons.append(f"{label} {names[position]}: {reason(given, int(position), dtype)}")
    more = len(broken) - len(reasons)
    others = f" So it is with {more:,} more." if more else ""
    told = "; ".join(reasons)
    return f"{told[0].upper()}{told[1:]}.{others} {limits}"


def _element_reason(given: Given, position: int, dtype: str) -> str:
    value, t = float(given.values.ravel()[position]), float(given.target.ravel()[position])
    real = np.dtype(dtype).type
    with np.errstate(all="ignore"):
        if given.kind == "probabilities":
            p = real(value)
            cause = f"p is {p:g}"
        else:
            p = real(1) / (real(1) + np.exp(-real(value)))
            overflows = np.isinf(np.exp(-real(value)))
            infinite = f"exp({-value:g}) overflows to inf in {dtype}"
            if np.isinf(value):
                infinite = "exp(inf) is inf"
            cause = f"{infinite}, so p is 0"
            cause = cause if overflows else f"p rounds to {p:g} in {dtype}"
    if 0 < p < 1:
        return f"1 - p keeps few digits in {dtype}, where p is next to 1"
    name, share = ("p", t) if p == 0 else ("1 - p", 1 - t)
    if share == 0:
        return f"{cause}, and 0 times log({name}) = log 0 is not a number"
    return f"{cause}, and log({name}) is log 0 = -inf"


def _row_reason(given: Given, position: int, dtype: str) -> str:
    with np.errstate(all="ignore"):
        row = given.values[position].astype(dtype)
        terms = np.exp(row)
        total = terms.sum()
        if np.isinf(terms).any():
            own = terms if given.soft else terms[given.target[position]]
            outcome = "inf / inf is not a number"
            if not np.isinf(own).any():
                outcome = "what is divided by inf is 0: log 0 is -inf"
            overflows = (
                "is inf"
                if np.isinf(given.values[position].max())
                else (f"overflows to inf in {dtype}")
            )
            return f"exp({row.max():g}) {overflows}, and {outcome}"
        if np.isinf(total):
            return f"the sum of exp(x) overflows to inf in {dtype}, so every p is 0"
        if total == 0:
            return f"every exp(x) underflows to 0 in {dtype}, and 0 / 0 is not a number"
        p = terms / total
        own = p if given.soft else p[given.target[position]]
        vanished = bool(np.any(own == 0))
    if vanished:
        return f"a p underflows to 0 in {dtype}, and log 0 is -inf"
    return f"p keeps few digits in {dtype}, next to 0 or 1"


def _limits(given: Given) -> str:
    """From where on the naive form breaks, in float32 and in float64."""
    overflow = [math.log(float(np.finfo(dtype).max)) for dtype in PRECISIONS]
    if given.of_rows:
        return (
            f"exp(x) overflows from x = {overflow[0]:.1f} in float32 and {overflow[1]:.1f} in "
            "float64, and loses every digit of a small loss, whose p rounds to 1; x minus the "
            "largest x of the row never overflows."
        )
    if given.kind == "probabilities":
        return (
            "A p of exactly 0 or 1 has lost the logit that it came from; PyTorch then takes -100 "
            "for the logarithm. Losses of logits have no such limit."
        )
    rounds = [BITS[dtype] * math.log(2) for dtype in PRECISIONS]
    return (
        f"1 - p is 0 from z = {rounds[0]:.1f} in float32 and {rounds[1]:.1f} in float64; "
        f"exp(-z) overflows below z = {-overflow[0]:.1f} and {-overflow[1]:.1f}. The stable form "
        "has no such limit."
    )


def _forms(given: Given) -> tuple[str, str]:
    if given.of_rows:
        return (
            "-log(exp(x_y) / sum_c exp(x_c))",
            r"-\log \frac{e^{x_y}}{\sum_c e^{x_c}}",
        )
    p = "p" if given.kind == "probabilities" else "p,  p = 1 / (1 + exp(-z))"
    formula = f"-(t log p + (1 - t) log(1 - p)){',  ' + p.partition(',  ')[2] if ',' in p else ''}"
    latex = r"-\left[t \log p + (1 - t) \log(1 - p)\right]"
    return formula, latex
