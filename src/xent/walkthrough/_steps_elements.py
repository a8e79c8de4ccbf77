"""Binary cross-entropy step by step: each element is a yes or no by itself."""

from __future__ import annotations

import numpy as np

from xent.walkthrough._computed_elements import Elements, terms
from xent.walkthrough._explanation import Step
from xent.walkthrough._given import Given
from xent.walkthrough._gradient_elements import gradient_step
from xent.walkthrough._naive import naive_step
from xent.walkthrough._numbers import Array
from xent.walkthrough._steps_shared import (
    counted_kind,
    label_of,
    options_of_losses,
    percent,
    right_column,
    target_column,
    without_options,
)
from xent.walkthrough._tables import GIVEN, WHOLE, WORDS, column


def first_steps(of: Elements) -> list[Step]:
    """From the input to the target: what all losses of elements share."""
    steps = [_input(of)]
    if of.given.kind == "logits":
        steps.append(_sigmoid(of))
    return [*steps, _prediction(of), _target(of)]


def loss_steps(of: Elements, losses: Array) -> list[Step]:
    """The logarithm and the loss of each element, and what options make of it."""
    steps = [_logarithm(of), _loss(of)]
    if _has_weights(of.given) or not of.counted.all():
        steps.append(_weighted(of, losses))
    return steps


def last_steps(of: Elements) -> list[Step]:
    """The stable form, where the other one breaks, and the gradient."""
    plain, label = without_options(of.given), label_of(of.given)
    without = options_of_losses(of.given)
    naive = naive_step(of.given, plain, of.names, label, without=without)
    stable = [_stable(of)] if of.given.kind == "logits" else []
    return [*stable, naive, gradient_step(of)]


def _has_weights(given: Given) -> bool:
    return any(name in given.options for name in ("weight", "pos_weight", "sample_weight"))


def _input(of: Elements) -> Step:
    given, count = of.given, len(of.p)
    symbol, meaning = (
        ("logit z", "the log-odds of 1, any real numbers")
        if given.kind == "logits"
        else ("p", "probabilities of 1, in [0, 1]")
    )
    each = "sample" if given.task == "binary" else "label of each row"
    sentence = (
        f"{counted_kind(count, given.kind)}, one for each {each}: {meaning}. Beside each stands "
        "its target: 1, 0, or the probability of 1."
    )
    blocks = (
        column(symbol, given.values.ravel(), GIVEN, always=True),
        target_column(given, "target t"),
    )
    kind = "logits z" if given.kind == "logits" else "probabilities p"
    latex = r"z_i,\; t_i" if given.kind == "logits" else r"p_i,\; t_i"
    return Step("input", "Input", f"{kind}, targets t", latex, sentence, (of.table(*blocks),))


def _sigmoid(of: Elements) -> Step:
    with np.errstate(over="ignore"):
        inverse = np.exp(-of.z)
    overflow = np.isinf(inverse) & np.isfinite(of.z) & of.counted
    sentence = (
        "The sigmoid turns log-odds into the probability of 1: numerator 1, denominator "
        "1 + exp(-z), and their quotient p. It rises from 0 to 1, and p and 1 - p sum to 1."
    )
    if overflow.any():
        sentence += " From here on p comes from the stable form, which doesn't overflow."
    table = of.table(
        column("exp(-z)", inverse, marked=overflow),
        column("1 + exp(-z)", 1.0 + inverse, marked=overflow),
        column("p", of.p),
        column("1 - p", of.q),
        mark="overflows float64" if overflow.any() else "",
    )
    return Step(
        "sigmoid", "Sigmoid", "p = sigmoid(z) = 1 / (1 + exp(-z))",
        r"p = \sigma(z) = \frac{1}{1 + e^{-z}}", sentence, (table,),
    )  # fmt: skip


def _prediction(of: Elements) -> Step:
    predicted = of.p > 0.5
    right = predicted == (of.t > 0.5)
    even = of.counted & (of.t == 0.5)
    counted = of.counted & ~even
    correct = percent(int((right & counted).sum()), int(counted.sum()))
    same = ", which is z > 0" if of.given.kind == "logits" else ""
    sentence = f"1 where p is above the threshold 0.5{same}: {correct} are right."
    if even.any():
        sentence += " A target of 0.5 has no right answer and isn't counted."
    sentence += " The loss looks at p itself, and goes on falling after the prediction is right."
    table = of.table(
        column("p", of.p),
        column("prediction", predicted.astype(np.float64), WHOLE),
        target_column(of.given, "target"),
        right_column(right, counted),
    )
    return Step("prediction", "Prediction", "prediction = 1 if p > 0.5 else 0",
                r"\hat{y} = [\, p > 0.5 \,]", sentence, (table,))  # fmt: skip


def _target(of: Elements) -> Step:
    sentence = (
        "A label is a distribution over the two classes, (1 - t, t), with all its weight on one. "
        "The loss measures how far (1 - p, p) is from it."
    )
    formula, latex = "(1 - t, t) against (1 - p, p)", r"(1 - t,\, t) \;\mathrm{vs.}\; (1 - p,\, p)"
    blocks = []
    smoothing = of.given.label_smoothing
    if smoothing:
        sentence += (
            f" Label smoothing moves a share of {smoothing:g} to one half: "
            f"{_smooth(0, smoothing):g} for 0 and {_smooth(1, smoothing):g} for 1."
        )
        formula += ",  t' = (1 - label_smoothing) t + label_smoothing / 2"
        latex += r",\quad t' = (1 - \epsilon)\, t + \epsilon / 2"
        blocks.append(target_column(of.given, "t"))
    if not of.counted.all():
        ignored = int((~of.counted).sum())
        sentence += (
            f" Targets of {of.given.ignore_index} (ignore_index) mark what is left out: "
            f"{ignored:,} here."
        )
        counts = np.where(of.counted, "yes", "no")
        blocks.append(column("counts", counts, WORDS, always=True))
    prime = "'" if smoothing else ""
    blocks += [
        column(f"1 - t{prime}", 1.0 - of.smoothed, GIVEN),
        column(f"t{prime}", of.smoothed, GIVEN),
        column("1 - p", of.q),
        column("p", of.p),
    ]
    return Step("target", "Target", formula, latex, sentence, (of.table(*blocks),))


def _smooth(target: int, smoothing: float) -> float:
    return (1.0 - smoothing) * target + smoothing / 2.0


def _logarithm(of: Elements) -> Step:
    sentence = (
        "The logarithm of a probability is 0 where it is 1 and falls without bound as it nears 0: "
        "what was called unlikely and happened costs much."
    )
    if of.given.kind == "probabilities" and not np.isfinite(of.log_p + of.log_q).all():
        sentence += " log 0 is -inf; in the loss PyTorch's convention of at least -100 stands."
    table = of.table(column("log p", of.log_p), column("log(1 - p)", of.log_q))
    return Step("logarithm", "Logarithm", "log p,  log(1 - p)", r"\log p,\quad \log(1 - p)",
                sentence, (table,))  # fmt: skip


def _loss(of: Elements) -> Step:
    positive, negative = terms(of)
    prime = "'" if of.given.label_smoothing else ""
    sentence = (
        "Of the two terms a label keeps one: -log p where t is 1, and -log(1 - p) where it is 0."
    )
    if ((of.smoothed > 0) & (of.smoothed < 1)).any():
        sentence = "A target between 0 and 1 keeps a share of both terms."
    formula = f"L = -(t{prime} log p + (1 - t{prime}) log(1 - p))"
    latex = rf"\ell = -\left[t{prime} \log p + (1 - t{prime}) \log(1 - p)\right]"
    table = of.table(
        column(f"t{prime} log p", positive + 0.0),
        column(f"(1 - t{prime}) log(1 - p)", negative + 0.0),
        column("loss", -(positive + negative)),
    )
    title = "Loss of each sample" if of.given.task == "binary" else "Loss of each label"
    return Step("loss", title, formula, latex, sentence, (table,))


def _weighted(of: Elements, losses: Array) -> Step:
    given = of.given
    factors = [
        column(name, np.ravel(given.options[name]), GIVEN, always=True)
        for name in ("pos_weight", "weight", "sample_weight")
        if name in given.options
    ]
    if not of.counted.all():
        factors.append(column("counts", of.counted.astype(np.float64), WHOLE, always=True))
    sentence = "Every factor that was given multiplies the loss"
    sentence += "; pos_weight only its term of 1." if given.pos_weight is not None else "."
    if not of.counted.all():
        sentence += " What is ignored costs 0, and doesn't count in the mean."
    return Step(
        "weights", "Weights", given.contract.options_formula,
        r"\ell = -s\, w \left[\mathrm{pos\_weight}\; t' \log p + (1 - t') \log(1 - p)\right]",
        sentence, (of.table(*factors, column("loss", losses)),),
    )  # fmt: skip


def _stable(of: Elements) -> Step:
    with np.errstate(all="ignore"):
        smaller, rest = np.minimum(of.z, 0.0), np.log1p(np.exp(-np.abs(of.z)))
    positive, negative = terms(of)
    sentence = (
        "The same from the logit alone: exp never gets a positive argument, so nothing overflows, "
        "and log 0 is never taken. logsigmoid(-z) is logsigmoid(z) - z."
    )
    if np.isinf(of.z[of.counted]).any():
        sentence += (
            " Of an infinite logit the loss is 0 where the target is the label that it is sure of, "
            "and infinite with any other target."
        )
    table = of.table(
        column("min(z, 0)", smaller + 0.0),
        column("log(1 + exp(-|z|))", rest),
        column("logsigmoid(z)", of.log_p + 0.0),
        column("loss", -(positive + negative)),
    )
    formula = (
        "logsigmoid(z) = min(z, 0) - log(1 + exp(-|z|)),  "
        "L = -(t logsigmoid(z) + (1 - t) logsigmoid(-z))"
    )
    latex = (
        r"\log \sigma(z) = \min(z, 0) - \log(1 + e^{-|z|}),\quad "
        r"\ell = -\left[t \log \sigma(z) + (1 - t) \log \sigma(-z)\right]"
    )
    return Step("stable", "Stable form", formula, latex, sentence, (table,))
