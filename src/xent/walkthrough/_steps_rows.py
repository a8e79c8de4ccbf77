"""Cross-entropy step by step: each row is one class out of several."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from xent.walkthrough._computed_rows import (
    Rows,
    at_target,
    gradient,
    log_sum_exp,
    single_log_softmax,
)
from xent.walkthrough._explanation import Step
from xent.walkthrough._naive import naive_step
from xent.walkthrough._numbers import Array
from xent.walkthrough._steps_shared import (
    for_target,
    percent,
    right_column,
    target_column,
    without_options,
)
from xent.walkthrough._tables import (
    GIVEN,
    REAL,
    WHOLE,
    column,
    formatted,
    shown_rows,
)

TRANSFORMS = ("softcap", "temperature", "logit_adjustment")
# Numbers of which another rounding is told one by one.
MOST_DIGITS = 3


def first_steps(of: Rows) -> list[Step]:
    """From the input to the target: what all losses of rows share."""
    steps = [_input(of)]
    if any(name in of.given.options for name in TRANSFORMS):
        steps.append(_transform(of))
    if of.given.kind == "logits":
        steps += _softmax(of)
    elif of.given.kind == "log-probabilities":
        steps.append(_exponential(of))
    return [*steps, _prediction(of), _target(of)]


def loss_steps(of: Rows, losses: Array) -> list[Step]:
    """The logarithm and the loss of each row, and what options make of it."""
    steps = [_soft_loss(of)] if of.soft else [_picked(of), _loss(of)]
    weighted = any(name in of.given.options for name in ("weight", "sample_weight", "z_loss"))
    if weighted or not of.counted.all():
        steps.append(_weighted(of, losses))
    return steps


def last_steps(of: Rows) -> list[Step]:
    """The stable form, where the other one breaks, and the gradient."""
    if of.given.kind != "logits":
        return [_gradient(of)]
    seen = without_options(of.given)
    seen = replace(seen, values=of.x)
    naive = naive_step(seen, seen, of.names, "row")
    steps = [_stable(of), *_single_digits(of), naive]
    return [*steps, _gradient(of)]


def _input(of: Rows) -> Step:
    given, (count, classes) = of.given, of.x.shape
    what = {
        "logits": "any real numbers, the larger the likelier",
        "probabilities": "in [0, 1], summing to 1 over a row",
        "log-probabilities": "logarithms of what sums to 1 over a row",
    }[given.kind]
    target = "a distribution over the classes" if given.soft else "one class"
    sentence = (
        f"{count:,} rows of {classes:,} {given.kind}, shape ({count}, {classes}): one for each "
        f"class, {what}. The target of a row is {target}."
    )
    values = of.classes(given.values, GIVEN)
    tables = [of.table(replace(values, always=True))]
    if given.soft:
        tables.append(of.table(of.classes(of.onehot, GIVEN)))
        formula, latex = f"{given.kind} x, class probabilities t", r"x_{ic},\; t_{ic}"
    else:
        tables[0] = of.table(*tables[0].blocks, target_column(given, "target"))
        formula, latex = f"{given.kind} x, class y of each row", r"x_{ic},\; y_i"
    return Step("input", "Input", formula, latex, sentence, tuple(tables))


def _transform(of: Rows) -> Step:
    given = [name for name in TRANSFORMS if name in of.given.options]
    sentence = f"Before the softmax the logits go through {', '.join(given)}."
    return Step(
        "transform", "Logits that the softmax sees",
        "x = softcap tanh(input / softcap) / temperature + logit_adjustment",
        r"x = \frac{c \tanh(\mathrm{input} / c)}{T} + b", sentence,
        (of.table(of.classes(of.x)),),
    )  # fmt: skip


def _softmax(of: Rows) -> list[Step]:
    with np.errstate(over="ignore"):
        terms = np.exp(of.x)
        total = terms.sum(axis=1)
    count, classes = of.x.shape
    overflow = np.isinf(terms) & np.isfinite(of.x)
    numerator = Step(
        "numerator", "Softmax: numerator", "exp(x)", r"e^{x_{ic}}",
        f"The exponential makes every number positive and keeps their order; shape ({count}, "
        f"{classes}).",
        (of.table(of.classes(terms, marked=overflow), mark=_overflows(overflow)),),
    )  # fmt: skip
    denominator = Step(
        "denominator", "Softmax: denominator", "sum_c exp(x_c)", r"\sum_c e^{x_{ic}}",
        f"One sum for each row, shape ({count},); kept as a column, ({count}, 1), it divides its "
        "own row.",
        (of.table(column("denominator", total, marked=np.isinf(total)),
                  mark=_overflows(np.isinf(total))),),
    )  # fmt: skip
    sentence = "Every row is positive and sums to 1: a distribution over the classes."
    if np.isinf(total[of.counted]).any():
        sentence += " Where exp overflows, p comes from the stable form below."
    quotient = Step(
        "softmax", "Softmax: quotient", "p = exp(x) / sum_c exp(x_c)",
        r"p_{ic} = \frac{e^{x_{ic}}}{\sum_k e^{x_{ik}}}", sentence,
        (of.table(of.classes(of.p), column("sum", of.p.sum(axis=1))),),
    )  # fmt: skip
    return [numerator, denominator, quotient]


def _overflows(where: NDArray[np.bool_]) -> str:
    return "overflows float64" if where.any() else ""


def _exponential(of: Rows) -> Step:
    sentence = "The exponential gives the probabilities back, which sum to 1 in every row."
    table = of.table(of.classes(of.p), column("sum", of.p.sum(axis=1)))
    return Step("exponential", "Probabilities", "p = exp(x)", r"p_{ic} = e^{x_{ic}}", sentence,
                (table,))  # fmt: skip


def _prediction(of: Rows) -> Step:
    best, wanted = np.argmax(of.log_p, axis=1), np.argmax(of.onehot, axis=1)
    right, counted = best == wanted, of.counted
    correct = percent(int((right & counted).sum()), int(counted.sum()))
    sentence = f"The class of the largest p, which is that of the largest x: {correct} are right."
    target = column("likeliest target", wanted, WHOLE)
    table = of.table(
        column("prediction", best, WHOLE),
        column("its p", of.p.max(axis=1)),
        target if of.given.soft else target_column(of.given, "target"),
        right_column(right, counted),
    )
    return Step("prediction", "Prediction", "prediction = argmax_c p_c",
                r"\hat{y}_i = \arg\max_c p_{ic}", sentence, (table,))  # fmt: skip


def _target(of: Rows) -> Step:
    classes, smoothing = of.x.shape[1], of.given.label_smoothing
    if of.given.soft:
        title, sentence = "Target", "The target of each row is a distribution of its own."
        formula, latex = "t", r"t_{ic}"
    else:
        title, sentence = "One-hot target", "1 at the class of the row, 0 elsewhere."
        formula, latex = "t_c = 1 if c = y else 0", r"t_{ic} = [\, c = y_i \,]"
    if not of.counted.all():
        ignored = int((~of.counted).sum())
        sentence += (
            f" Rows whose target is {of.given.ignore_index} (ignore_index) have none and are left "
            f"out: {ignored:,} here."
        )
    tables = [of.table(of.classes(of.onehot, GIVEN))]
    if smoothing:
        sentence += (
            f" Label smoothing takes a share of {smoothing:g} from it and spreads it evenly, "
            f"{smoothing / classes:.4g} for each of the {classes:,} classes."
        )
        formula += ",  t'_c = (1 - label_smoothing) t_c + label_smoothing / C"
        latex += r",\quad t'_{ic} = (1 - \epsilon)\, t_{ic} + \epsilon / C"
        tables.append(of.table(of.classes(of.smoothed)))
    return Step("target", title, formula, latex, sentence, tuple(tables))


def _picked(of: Rows) -> Step:
    product = of.p * of.onehot
    with np.errstate(divide="ignore"):
        naive = -np.log(product)
    sentence = (
        "Times the one-hot target, one probability of a row is left. The logarithm of the zeros is "
        "-inf: of sum_c t_c log p_c only the term of the class itself is taken, the finite one."
    )
    mark = "the class of the row"
    tables = (
        of.table(of.classes(product, marked=of.is_target), mark=mark),
        of.table(of.classes(naive, marked=of.is_target), mark=mark),
    )
    return Step("picked", "Probability of the class itself", "t p,  then -log(t p)",
                r"t_{ic}\, p_{ic},\quad -\log(t_{ic}\, p_{ic})", sentence, tables)  # fmt: skip


def _loss(of: Rows) -> Step:
    log_p = at_target(of, of.log_p)
    table = of.table(
        column("p_y", at_target(of, of.p)), column("log p_y", log_p), column("loss", -log_p + 0.0)
    )
    sentence = "Only the probability of the right class counts: 0 where it is 1, more as it falls."
    return Step("loss", "Loss of each row", "L = -log p_y", r"\ell_i = -\log p_{i y_i}", sentence,
                (table,))  # fmt: skip


def _soft_loss(of: Rows) -> Step:
    prime = "'" if of.given.label_smoothing else ""
    with np.errstate(invalid="ignore"):
        terms = of.smoothed * np.where(of.smoothed == 0, 0.0, -of.log_p)
    table = of.table(of.classes(terms + 0.0), column("loss", terms.sum(axis=1)))
    sentence = (
        "Every class with a share of the target has its term. The smallest that the loss can be is "
        "the entropy of the target, where p equals it."
    )
    return Step("loss", "Loss of each row", f"L = sum_c -t{prime}_c log p_c",
                rf"\ell_i = -\sum_c t{prime}_{{ic}} \log p_{{ic}}", sentence, (table,))  # fmt: skip


def _weighted(of: Rows, losses: Array) -> Step:
    given = of.given
    factors = []
    sentence = "Every factor that was given multiplies the loss of the row."
    if given.weight is not None and given.soft:
        sentence = "Class weights multiply the term of their class; other factors the row's loss."
    elif given.weight is not None:
        factors.append(column("w_y", of.onehot @ given.weight, GIVEN))
        sentence = "A row counts by the weight of its class, in the mean's denominator too."
    if given.sample_weight is not None:
        factors.append(column("sample_weight", given.sample_weight, GIVEN, always=True))
    if "z_loss" in given.options:
        lse = log_sum_exp(of)
        sentence += f" z_loss adds {given.options['z_loss']:g} times the squared log-sum-exp."
        factors.append(column("lse^2", lse**2))
    if not of.counted.all():
        counts = of.counted.astype(np.float64)
        factors.append(column("counts", counts, WHOLE, always=True))
        sentence += " An ignored row costs 0, and doesn't count in the mean."
    latex = r"\ell_i = s_i \left[ w_{y_i} (-\log p_{i y_i}) + z\, \mathrm{lse}_i^2 \right]"
    if of.soft:
        latex = (
            r"\ell_i = s_i \left[ -\sum_c w_c\, t'_{ic} \log p_{ic} + z\, \mathrm{lse}_i^2 \right]"
        )
    formula = for_target(given, given.contract.options_formula)
    return Step("weights", "Weights", formula, latex, sentence,
                (of.table(*factors, column("loss", losses)),))  # fmt: skip


def _stable(of: Rows) -> Step:
    largest = of.x.max(axis=1)
    with np.errstate(all="ignore"):
        total = np.exp(of.x - largest[:, None]).sum(axis=1)
    sentence = (
        "Less the largest logit, which changes no probability, exp is at most 1 and the sum at "
        "least 1: nothing overflows, and log 0 is never taken. The loss is lse - x_y. Log-softmax "
        "of the whole row, which NLLLoss takes:"
    )
    lse = of.table(
        column("max m", largest, GIVEN), column("sum exp(x - m)", total),
        column("lse", log_sum_exp(of)),
    )  # fmt: skip
    logs = of.table(of.classes(of.log_p + 0.0, marked=of.is_target), mark="the class of the row")
    return Step(
        "stable", "Stable form: log-sum-exp",
        "lse = m + log(sum_c exp(x_c - m)), m = max_c x_c,  log softmax(x) = x - lse",
        r"\mathrm{lse}_i = m_i + \log \sum_c e^{x_{ic} - m_i},\; m_i = \max_c x_{ic},\quad "
        r"\log p_{ic} = x_{ic} - \mathrm{lse}_i",
        sentence, (lse, logs),
    )  # fmt: skip


def _single_digits(of: Rows) -> list[Step]:
    """Where float32 prints another last digit than the exact value has."""
    positions = shown_rows(len(of.x))
    single = single_log_softmax(of.x[positions])
    ours = formatted(of.log_p[positions] + 0.0, REAL)
    theirs = formatted(single + 0.0, REAL)
    differing = [
        (row, place)
        for row, (line, other) in enumerate(zip(ours, theirs, strict=True))
        for place, (text, another) in enumerate(zip(line, other, strict=True))
        if text != another
    ]
    if not differing:
        return []
    told = [
        f"row {of.names[positions[row]]}, class {place}: {theirs[row][place]} in float32, "
        f"{of.log_p[positions[row], place]:.5e} exactly"
        for row, place in differing[:MOST_DIGITS]
    ]
    more = f" and {len(differing) - len(told)} more" if len(differing) > len(told) else ""
    sentence = (
        f"PyTorch in float32 prints another last digit: {'; '.join(told)}{more}. It takes the "
        f"logarithm of the whole sum, which float32 rounds to a multiple of {2.0**-23:.3g} above "
        "1: that much of a small log-probability is rounding. The logarithm of 1 plus the other "
        "terms, log1p, keeps it."
    )
    return [Step("float32", "Digits that float32 loses", "log(1 + r) against log1p(r)",
                 r"\log(1 + r) \;\mathrm{vs.}\; \mathrm{log1p}(r)", sentence)]  # fmt: skip


def _gradient(of: Rows) -> Step:
    prime = "'" if of.given.label_smoothing else ""
    sentence = (
        "By the logits the loss of a row has the slope p - t: negative at the right class, which "
        "is pulled up, and positive at the others. It sums to 0 over a row"
    )
    slope = gradient(of)
    tables = [of.table(of.classes(of.p - of.smoothed, marked=of.is_target),
                       mark="the class of the row")]  # fmt: skip
    if not np.array_equal(slope, of.p - of.smoothed):
        sentence += "; below it the gradient of the reduced loss"
        tables.append(of.table(of.classes(slope, marked=of.is_target),
                               mark="the class of the row"))  # fmt: skip
    sentence += "."
    if of.given.kind != "logits":
        sentence = (
            f"By the logits behind these {of.given.kind}: {sentence[0].lower()}{sentence[1:]}"
        )
    return Step("gradient", "Gradient", f"dL/dx_c = p_c - t{prime}_c",
                rf"\frac{{\partial \ell}}{{\partial x_c}} = p_c - t{prime}_c", sentence,
                tuple(tables))  # fmt: skip
