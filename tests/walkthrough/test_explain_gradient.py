"""The gradient step: its formula, with the options that were given, gives the numbers below it."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st

from xent.walkthrough import Step, explain

CASES = settings(max_examples=60, deadline=None, derandomize=True)
X = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]])
Y = np.array([0, 2])
HARD = np.eye(3)[Y]
SOFT = np.array([[0.5, 0.25, 0.25], [0.0, 0.125, 0.875]])
W, S = np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0])
SMOOTHED = 0.9 * HARD + 0.1 / 3


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)


def log_sum_exp(x: np.ndarray) -> np.ndarray:
    return np.log(np.exp(x).sum(axis=1, keepdims=True))


def slope_of(step: Step) -> np.ndarray:
    """The gradient of each row: the first table of all classes."""
    return np.array(next(t.blocks[0].values for t in step.tables if len(t.blocks[0].headings) > 1))


P, PS, LSE = softmax(X), softmax(X / 2), log_sum_exp(X)
CAPPED = 2 * np.tanh(X / 2)
OWN = W[Y][:, None]
# The formula that must be told, and the same by hand.
OF_ROWS: dict[str, tuple[dict[str, Any], str, np.ndarray]] = {
    "plain": ({}, "p_c - t_c", P - HARD),
    "smoothing": ({"label_smoothing": 0.1}, "p_c - t'_c", P - SMOOTHED),
    "soft": ({"targets": SOFT}, "p_c - t_c", P - SOFT),
    "weight": ({"weight": W}, "w_y (p_c - t_c)", OWN * (P - HARD)),
    "weight of soft targets": (
        {"targets": SOFT, "weight": W},
        "A p_c - w_c t_c,  A = sum_c w_c t_c",
        (SOFT * W).sum(axis=1, keepdims=True) * P - SOFT * W,
    ),
    "weight and smoothing": (
        {"weight": W, "label_smoothing": 0.1},
        "A p_c - w_c t'_c,  A = sum_c w_c t'_c",
        (SMOOTHED * W).sum(axis=1, keepdims=True) * P - SMOOTHED * W,
    ),
    "sample_weight": (
        {"sample_weight": S},
        "sample_weight * (p_c - t_c)",
        S[:, None] * (P - HARD),
    ),
    "z_loss": ({"z_loss": 0.1}, "p_c - t_c + 2 z_loss lse p_c", P - HARD + 0.2 * LSE * P),
    "z_loss and weight": (
        {"z_loss": 0.1, "weight": W},
        "w_y (p_c - t_c) + 2 z_loss w_y lse p_c",
        OWN * (P - HARD + 0.2 * LSE * P),
    ),
    "temperature": ({"temperature": 2.0}, "1 / temperature * (p_c - t_c)", (PS - HARD) / 2),
    "softcap": (
        {"softcap": 2.0},
        "(1 - tanh(input_c / softcap)^2) * (p_c - t_c)",
        (1 - np.tanh(X / 2) ** 2) * (softmax(CAPPED) - HARD),
    ),
    "logit_adjustment": (
        {"logit_adjustment": [0.0, 1.0, 2.0]},
        "p_c - t_c",
        softmax(X + np.arange(3)) - HARD,
    ),
}


@pytest.mark.parametrize("case", OF_ROWS)
def test_the_formula_of_rows_gives_the_numbers(case: str) -> None:
    options, formula, by_hand = OF_ROWS[case]
    numbers = {"logits": X, "targets": Y, "task": "multiclass", **options}
    step = explain(**numbers).step("gradient")
    assert step.formula.partition(" = ")[2] == formula
    assert ("dL/dinput_c" in step.formula) == (
        case in ("temperature", "softcap", "logit_adjustment")
    )
    np.testing.assert_allclose(slope_of(step), by_hand, rtol=1e-12)
    assert step.latex.count("{") == step.latex.count("}")


@CASES
@hypothesis_given(
    seed=st.integers(0, 10**6),
    chosen=st.sets(
        st.sampled_from(
            ["weight", "sample_weight", "label_smoothing", "z_loss", "softcap", "temperature"]
        )
    ),
    soft=st.booleans(),
)
def test_what_is_said_of_the_slope_of_rows_is_true(seed: int, chosen: set[str], soft: bool) -> None:
    generator = np.random.default_rng(seed)
    x, target = generator.normal(0, 3, (4, 3)), generator.integers(0, 3, 4)
    labels = np.eye(3)[target]
    if soft:
        target = labels = generator.dirichlet(np.ones(3), 4)
    every = {
        "weight": generator.random(3) + 0.1, "sample_weight": generator.random(4) + 0.1,
        "label_smoothing": 0.2, "z_loss": 0.05, "softcap": 6.0, "temperature": 2.5,
    }  # fmt: skip
    options = {name: every[name] for name in sorted(chosen)}
    step = explain(logits=x, targets=target, task="multiclass", **options).step("gradient")
    slope = slope_of(step)
    cancels = bool(np.all(np.abs(slope.sum(axis=1)) < 1e-12))
    assert ("It sums to 0 over a row." in step.sentence) == cancels
    assert ("it doesn't sum to 0" in step.sentence) != cancels
    if "negative at the right class" in step.sentence:
        assert np.array_equal(slope < 0, labels == 1)
    assert "never larger than" not in step.sentence


@pytest.mark.parametrize(
    ("options", "formula", "by_hand"),
    [
        ({}, "p - t", lambda p, t: p - t),
        ({"label_smoothing": 0.2}, "p - t'", lambda p, t: p - (0.8 * t + 0.1)),
        (
            {"pos_weight": 5.0},
            "(1 - t) p - pos_weight t (1 - p)",
            lambda p, t: (1 - t) * p - 5 * t * (1 - p),
        ),
        (
            {"pos_weight": 5.0, "label_smoothing": 0.2, "weight": 2.0},
            "weight ((1 - t') p - pos_weight t' (1 - p))",
            lambda p, t: 2 * ((0.9 - 0.8 * t) * p - 5 * (0.8 * t + 0.1) * (1 - p)),
        ),
        (
            {"weight": 2.0, "sample_weight": [1.0, 3.0, 1.0]},
            "weight sample_weight (p - t)",
            lambda p, t: 2 * np.array([1, 3, 1]) * (p - t),
        ),
    ],
)
@pytest.mark.parametrize("kind", ["logits", "probabilities"])
def test_the_formula_of_elements_gives_the_numbers(
    options: dict[str, Any], formula: str, by_hand: Any, kind: str
) -> None:
    p, t = np.array([0.25, 0.5, 0.9]), np.array([1.0, 0.0, 0.5])
    values = np.log(p / (1 - p)) if kind == "logits" else p
    numbers = {kind: values, "targets": t, "reduction": "sum", **options}
    step = explain(**numbers).step("gradient")
    by_z, _, by_p = step.formula.partition(",  ")
    assert by_z == f"dL/dz = {formula}"
    blocks = {block.headings[0]: block.values[:, 0] for block in step.tables[0].blocks}
    slope = blocks.get("slope", blocks.get(formula))
    np.testing.assert_allclose(slope, by_hand(p, t), rtol=1e-12)
    if kind == "probabilities":
        np.testing.assert_allclose(blocks["by p"], by_hand(p, t) / (p * (1 - p)), rtol=1e-12)
        prime = "'" if "label_smoothing" in options else ""
        own = f"(p - t{prime}) / (p (1 - p))"
        if "pos_weight" in options:
            own = f"(1 - t{prime}) / (1 - p) - pos_weight t{prime} / p"
        factors = " ".join(name for name in ("weight", "sample_weight") if name in options)
        assert by_p == f"dL/dp = {f'{factors} ({own})' if factors else own}"


@pytest.mark.parametrize("pos_weight", [0.5, 1.0, 20.0])
def test_the_bounds_of_the_slope_of_elements(pos_weight: float) -> None:
    step = explain(
        logits=[-800.0, 800.0, -3.0, 3.0], targets=[1, 0, 0, 1], pos_weight=pos_weight,
        reduction="sum",
    ).step("gradient")  # fmt: skip
    assert "It lies between -pos_weight and 1, however wrong the logit." in step.sentence
    slope = step.tables[0].blocks[-1].values.ravel()
    assert slope.min() == -pos_weight
    assert slope.max() == 1.0
    plain = explain(logits="-800 3", targets="1 0").step("gradient").sentence
    assert "It lies between -1 and 1" in plain


def test_options_that_transform_reach_probabilities() -> None:
    """Their logarithms are logits: the temperature divides those, before another softmax."""
    options = {"loss": "cross_entropy", "temperature": 2.0, "z_loss": 0.1}
    of_logits = explain(logits=np.log(P), targets=Y, **options)
    of_probabilities = explain(probabilities=P, targets=Y, **options)
    assert of_probabilities.value == pytest.approx(of_logits.value, rel=1e-14)
    np.testing.assert_allclose(
        slope_of(of_probabilities.step("gradient")), slope_of(of_logits.step("gradient")), rtol=1e-9
    )
    assert of_probabilities.step("softmax").tables[0].blocks[1].values == pytest.approx(1.0)


# Where there is no number.


@pytest.mark.parametrize("row", ["inf -inf", "inf 2", "-inf -inf", "inf inf"])
def test_an_infinite_logit_is_said_to_have_no_softmax(row: str) -> None:
    explanation = explain(logits=f"{row}; 2 3", targets="1 0")
    assert math.isnan(explanation.value)
    said = {step.key: step.sentence for step in explanation.steps}
    assert "row 0: an infinite logit makes it inf / inf" in said["softmax"]
    assert "Row 0 has no loss, NaN, so that all together have none." in said["reduction"]
    assert "inf - inf is NaN (row 0)" in said["stable"]
    assert "1 row has no loss in any form: infinite logits" in said["naive"]
    assert "Of row 0 it is NaN, as p is." in said["gradient"]
    assert "It is no number" in said["result"]
    assert "float32" not in said
    assert np.isnan(explanation.step("loss").tables[0].blocks[-1].values[0, 0])
    # Nothing overflowed: the logit came as it is.
    assert not explanation.step("denominator").tables[0].mark


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"weight": "0 0"}, "Every weight that counts is 0: 0 / 0 is not a number."),
        ({"ignore_index": 1, "targets": "1 1"}, "All are ignored: 0 / 0 is not a number."),
        (
            {"ignore_index": 1, "targets": "1 1", "all_ignored": "zero"},
            'All are ignored: the mean of nothing is 0 with all_ignored="zero".',
        ),
        (
            {"weight": "0 1", "label_smoothing": 0.1},
            "Every weight that counts is 0, and what is not 0 divided by 0 is inf.",
        ),
    ],
)
def test_a_mean_of_nothing_is_explained(options: dict[str, Any], said: str) -> None:
    explanation = explain(**{"logits": "1 2; 2 3", "targets": "0 0", **options})
    step = explanation.step("reduction")
    assert said in step.sentence
    assert explanation.step("gradient").sentence.endswith(
        "Here the mean divides by 0, so that it has no gradient: NaN."
    )
    shown = float(step.tables[0].blocks[0].values[-1, 0])
    np.testing.assert_equal(shown, explanation.value)


def test_infinite_logits_of_elements_are_told() -> None:
    explanation = explain(logits="inf -inf inf", targets="0 0.5 1")
    assert explanation.rows == (math.inf, math.inf, 0.0)
    said = "The loss of samples 0 and 1 is infinite, and with it that of all together."
    assert said in explanation.step("reduction").sentence
    assert "Of an infinite logit the loss is 0 where" in explanation.step("stable").sentence
    assert "infinite" not in explain(logits="1e4", targets="0").step("stable").sentence


# Prediction, weights, and what is compared with the naive form.


def columns(step: Step) -> dict[str, list[Any]]:
    return {
        heading: block.values[:, place].tolist()
        for table in step.tables
        for block in table.blocks
        for place, heading in enumerate(block.headings)
    }


def test_the_prediction_says_which_logits_it_is_of() -> None:
    step = explain(logits="1 2; 2 3", targets="1 0", logit_adjustment="3 0").step("prediction")
    assert columns(step)["prediction"] == [0, 0]
    assert columns(step)["argmax(input)"] == [1, 1]
    assert "That is of the adjusted logits, which the loss sees" in step.sentence


def test_a_target_without_a_likelier_side_is_not_counted_as_right() -> None:
    step = explain(logits="-1 2 3", targets="0.5 1 0").step("prediction")
    assert columns(step)["right"] == ["-", "yes", "no"]
    assert "1 of 2 (50 %) are right." in step.sentence
    assert "A target of 0.5 has no right answer and isn't counted." in step.sentence
    tie = explain(logits="1 2 0", targets="0.5 0.5 0", task="multiclass").step("prediction")
    assert columns(tie)["right"] == ["yes"]


def test_weights_with_smoothing_can_be_followed() -> None:
    explanation = explain(
        logits=X, targets=Y, weight=W, label_smoothing=0.1, sample_weight=S, z_loss=0.1
    )
    shown = columns(explanation.step("weights"))
    terms, own = np.array(shown["sum w_c t'_c (-log p_c)"]), np.array(shown["w_y"])
    squared, rows = np.array(shown["lse^2"]), np.array(shown["sample_weight"])
    followed = rows * (terms + 0.1 * own * squared)
    np.testing.assert_allclose(shown["loss"], followed, rtol=1e-12)
    np.testing.assert_allclose(explanation.rows, followed, rtol=1e-12)
    naive = explanation.step("naive").sentence
    assert naive.startswith(
        "Compared are the losses before weight, sample_weight, label_smoothing, z_loss."
    )
    assert "Compared" not in explain(logits=X, targets=Y).step("naive").sentence


def test_no_star_is_explained_where_none_stands() -> None:
    generator = np.random.default_rng(0)
    explanation = explain(logits=generator.normal(size=(2, 50)), targets=[20, 30])
    text = explanation.to_text()
    for step in text.split("\n\n"):
        assert ("* the class of the row" in step) == bool(re.search(r"\d\*", step))
    assert "* the class of the row" in explain(logits="1 2 3", targets="0").to_text()
