"""Cross-entropy step by step: each row is one class out of several."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from xent.walkthrough._computed_rows import (
    TRANSFORMS,
    Rows,
    at,
    at_target,
    class_weights,
    log_sum_exp,
)
from xent.walkthrough._explanation import Step
from xent.walkthrough._gradient_rows import gradient_step
from xent.walkthrough._naive import naive_step
from xent.walkthrough._numbers import Array
from xent.walkthrough._single_digits import single_digits
from xent.walkthrough._steps_shared import (
    counted_kind,
    for_target,
    options_of_losses,
    percent,
    right_column,
    target_column,
    told,
    without_options,
)
from xent.walkthrough._tables import (
    GIVEN,
    WHOLE,
    column,
)


def first_steps(of: Rows) -> list[Step]:
    """From the input to the target: what all losses of rows share."""
    steps = [_input(of)]
    transformed = any(name in of.given.options for name in TRANSFORMS)
    if transformed:
        steps.append(_transform(of))
    if of.given.kind == "logits" or transformed:
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
        return [gradient_step(of)]
    seen = without_options(of.given)
    seen = replace(seen, values=of.x)
    naive = naive_step(seen, seen, of.names, "row", without=options_of_losses(of.given))
    steps = [_stable(of), *single_digits(of), naive]
    return [*steps, gradient_step(of)]


def _input(of: Rows) -> Step:
    given, (count, classes) = of.given, of.x.shape
    what = {
        "logits": "any real numbers, the larger the likelier",
        "probabilities": "in [0, 1], summing to 1 over a row",
        "log-probabilities": "logarithms of what sums to 1 over a row",
    }[given.kind]
    target = "a distribution over the classes" if given.soft else "one class"
    sentence = (
        f"{counted_kind(count, 'rows')} of {counted_kind(classes, given.kind)}, shape ({count}, "
        f"{classes}): one for each class, {what}. The target of a row is {target}."
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
    too_large = np.isinf(total) & ~np.isposinf(of.x).any(axis=1)
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
        (of.table(column("denominator", total, marked=too_large), mark=_overflows(too_large)),),
    )  # fmt: skip
    sentence = "Every row is positive and sums to 1: a distribution over the classes."
    if too_large[of.counted].any():
        sentence += " Where exp overflows, p comes from the stable form below."
    if of.undefined.any():
        which = told(of.undefined, of.names, "row")
        sentence += f" But {which}: an infinite logit makes it inf / inf, which is not a number."
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
    # Where two classes share the largest target, either is right.
    right = at(of.onehot, best) == of.onehot.max(axis=1)
    counted = of.counted
    correct = percent(int((right & counted).sum()), int(counted.sum()))
    sentence = f"The class of the largest p, which is that of the largest x: {correct} are right."
    blocks = [column("prediction", best, WHOLE), column("its p", of.p.max(axis=1))]
    if "logit_adjustment" in of.given.options:
        sentence += (
            " That is of the adjusted logits, which the loss sees; a model that is trained so "
            "predicts by its own logits, whose largest stands beside it as argmax(input)."
        )
        blocks.append(column("argmax(input)", np.argmax(of.given.values, axis=1), WHOLE))
    target = column("likeliest target", wanted, WHOLE)
    table = of.table(
        *blocks,
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
        terms = of.smoothed * _costs(of)
    table = of.table(of.classes(terms + 0.0), column("loss", terms.sum(axis=1)))
    sentence = (
        "Every class with a share of the target has its term. The smallest that the loss can be is "
        "the entropy of the target, where p equals it."
    )
    return Step("loss", "Loss of each row", f"L = sum_c -t{prime}_c log p_c",
                rf"\ell_i = -\sum_c t{prime}_{{ic}} \log p_{{ic}}", sentence, (table,))  # fmt: skip


def _costs(of: Rows) -> Array:
    """-log p of each class, where it has a share of the target."""
    return np.where(of.smoothed == 0, 0.0, -of.log_p)


def _weighted(of: Rows, losses: Array) -> Step:
    given = of.given
    prime = "'" if given.label_smoothing else ""
    terms = class_weights(of) * _costs(of)
    share = f"w_c t{prime}_c" if given.weight is not None else f"t{prime}_c"
    factors = [column(f"sum {share} (-log p_c)" if of.soft else "-log p_y",
                      terms.sum(axis=1) if of.soft else at_target(of, -of.log_p))]  # fmt: skip
    sentence = "Every factor that was given multiplies the loss of the row."
    if given.weight is not None and of.soft:
        sentence = "Class weights multiply the term of their class; other factors the row's loss."
    if given.weight is not None and not given.soft:
        factors.append(column("w_y", of.onehot @ given.weight, GIVEN))
        sentence = "A row counts by the weight of its class, in the mean's denominator too."
        if of.soft:
            sentence += (
                " With t' for t every class has a term, w_c t'_c (-log p_c), and a weight of its "
                "own; the first column is their sum."
            )
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
    latex = r"\ell_i = s_i w_{y_i} \left[ -\log p_{i y_i} + z\, \mathrm{lse}_i^2 \right]"
    if of.soft:
        latex = (
            rf"\ell_i = s_i \left[ -\sum_c w_c\, t{prime}_{{ic}} \log p_{{ic}} + "
            rf"{'' if given.soft else 'w_{y_i} '}z\, \mathrm{{lse}}_i^2 \right]"
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
    if of.undefined.any():
        which = told(of.undefined, of.names, "row")
        sentence = sentence.replace(
            " The loss is", f" Only an infinite logit breaks it: inf - inf is NaN ({which})."
            " The loss is",
        )  # fmt: skip
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
