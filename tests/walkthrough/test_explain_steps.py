"""The steps: their numbers against PyTorch and exact arithmetic, and what they say of them."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st

import xent
import xent.functional as F
from xent._contracts import CONTRACTS
from xent.walkthrough import Explanation, Step, explain
from xent.walkthrough._computed_elements import elements, gradient_by_p
from xent.walkthrough._computed_elements import gradient as gradient_of_elements
from xent.walkthrough._computed_rows import gradient as gradient_of_rows
from xent.walkthrough._computed_rows import rows
from xent.walkthrough._inputs import read_given
from xent.walkthrough._naive import naive_losses
from xent.walkthrough._steps_shared import MOST_EXACT, numerical_gradient
from xent.walkthrough._tables import shown_rows

CASES = settings(max_examples=60, deadline=None, derandomize=True)
OPTIONS = ("weight", "sample_weight", "label_smoothing", "ignore_index", "normalizer")


def keys(explanation: Explanation) -> list[str]:
    return [step.key for step in explanation.steps]


def cells(step: Step, heading: str) -> list[Any]:
    for table in step.tables:
        for block in table.blocks:
            if heading in block.headings:
                return block.values[:, block.headings.index(heading)].tolist()
    raise AssertionError(heading)


def in_torch(options: dict[str, Any]) -> dict[str, Any]:
    return {
        name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        for name, value in options.items()
    }


# The whole calculation against xent's own losses, gradients by autograd and by exact differences.
# Drawn: every subset of the options, both reductions that have a gradient, all forms of target.


@CASES
@hypothesis_given(
    seed=st.integers(0, 10**6),
    chosen=st.sets(st.sampled_from([*OPTIONS, "z_loss", "softcap", "temperature", "offset"])),
    soft=st.booleans(),
    reduction=st.sampled_from(["mean", "sum"]),
)
def test_rows(seed: int, chosen: set[str], soft: bool, reduction: str) -> None:
    generator = np.random.default_rng(seed)
    x, target = generator.normal(0, 4, (4, 3)), generator.integers(0, 3, 4)
    if soft:
        target = generator.dirichlet(np.ones(3), 4)
    every = {
        "weight": generator.random(3) + 0.1,
        "sample_weight": generator.random(4) + 0.1,
        "label_smoothing": 0.2,
        "ignore_index": -7 if soft else int(target[0]),
        "normalizer": 5.0,
        "z_loss": 0.05,
        "softcap": 6.0,
        "temperature": 2.5,
        "logit_adjustment": generator.normal(size=3),
    }
    names = {"logit_adjustment" if name == "offset" else name for name in chosen}
    if reduction == "sum":
        names.discard("normalizer")
    options = {name: every[name] for name in sorted(names)}
    counted = soft or "ignore_index" not in options or (target != target[0]).any()
    found = read_given(logits=x, targets=target, task="multiclass", reduction=reduction, **options)
    explanation = explain(
        logits=x, targets=target, task="multiclass", reduction=reduction, **options
    )
    tensor = torch.from_numpy(x).requires_grad_()
    loss = F.cross_entropy(
        tensor, torch.from_numpy(target), reduction=reduction, **in_torch(options)
    )
    if not counted and reduction == "mean" and "normalizer" not in options:
        assert math.isnan(explanation.value)
        return
    loss.backward()
    assert explanation.value == pytest.approx(loss.item(), rel=1e-13, abs=1e-15)
    slope = gradient_of_rows(rows(found))
    np.testing.assert_allclose(slope, tensor.grad, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(numerical_gradient(found, [0, 2]), slope[[0, 2]], atol=1e-14)


@CASES
@hypothesis_given(
    seed=st.integers(0, 10**6),
    chosen=st.sets(st.sampled_from([*OPTIONS, "pos_weight"])),
    kind=st.sampled_from(["logits", "probabilities"]),
    reduction=st.sampled_from(["mean", "sum"]),
)
def test_elements(seed: int, chosen: set[str], kind: str, reduction: str) -> None:
    generator = np.random.default_rng(seed)
    values = generator.normal(0, 4, (3, 2))
    if kind == "probabilities":
        values = 1 / (1 + np.exp(-values))
    target = np.round(generator.random((3, 2)), 1)
    every = {
        "weight": generator.random(2) + 0.1,
        "sample_weight": generator.random(3) + 0.1,
        "label_smoothing": 0.2,
        "ignore_index": 0,
        "normalizer": 5.0,
        "pos_weight": generator.random((1, 2)) + 0.1,
    }
    if reduction == "sum":
        chosen.discard("normalizer")
    options = {name: every[name] for name in sorted(chosen)}
    numbers = {kind: values, "targets": target, "task": "multilabel", "reduction": reduction}
    found = read_given(**numbers, **options)
    explanation = explain(**numbers, **options)
    tensor = torch.from_numpy(values).requires_grad_()
    loss_of = F.binary_cross_entropy_with_logits if kind == "logits" else F.binary_cross_entropy
    loss = loss_of(tensor, torch.from_numpy(target), reduction=reduction, **in_torch(options))
    loss.backward()
    assert explanation.value == pytest.approx(loss.item(), rel=1e-13)
    of = elements(found)
    slope = gradient_of_elements(of) if kind == "logits" else gradient_by_p(of)
    np.testing.assert_allclose(slope, tensor.grad.ravel(), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(
        numerical_gradient(found, [0, 5]).ravel(), slope[[0, 5]], rtol=1e-10, atol=1e-13
    )


@pytest.mark.parametrize("kind", ["probabilities", "log_probabilities"])
def test_what_comes_after_a_softmax_has_the_same_loss(kind: str) -> None:
    x, y = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]]), np.array([0, 2])
    log_p = torch.log_softmax(torch.from_numpy(x), 1).numpy()
    values = log_p if kind == "log_probabilities" else np.exp(log_p)
    explanation = explain(**{kind: values}, targets=y)
    assert explanation.loss == "nll_loss"
    assert explanation.value == pytest.approx(explain(logits=x, targets=y).value, rel=1e-14)
    assert ("exponential" in keys(explanation)) == (kind == "log_probabilities")
    slope = explanation.step("gradient")
    assert slope.sentence.startswith(f"By the logits behind these {kind.replace('_', '-')}: by")


# Which steps there are.


def test_the_steps_of_plain_calls() -> None:
    assert keys(explain(logits="1 2", targets="0 1")) == [
        "input", "sigmoid", "prediction", "target", "logarithm", "loss", "reduction", "stable",
        "naive", "gradient", "result",
    ]  # fmt: skip
    assert keys(explain(logits="1 2; 3 1", targets="0 1")) == [
        "input", "numerator", "denominator", "softmax", "prediction", "target", "picked", "loss",
        "reduction", "stable", "naive", "gradient", "result",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "key", "said"),
    [
        ({"weight": [1.0, 2.0]}, "weights", "A row counts by the weight of its class"),
        ({"sample_weight": [1.0, 2.0]}, "weights", "multiplies the loss of the row"),
        ({"label_smoothing": 0.1}, "target", "takes a share of 0.1 from it and spreads it evenly"),
        ({"ignore_index": 1}, "target", "whose target is 1 (ignore_index) have none"),
        ({"ignore_index": 1}, "weights", "An ignored row costs 0"),
        ({"z_loss": 0.5}, "weights", "z_loss adds 0.5 times the squared log-sum-exp"),
        ({"temperature": 2.0}, "transform", "the logits go through temperature"),
        ({"reduction": "sum"}, "reduction", "The 2 losses are added."),
        ({"reduction": "none"}, "reduction", "the losses stay as they are"),
        ({"normalizer": 7.0}, "reduction", "divided by the normalizer that was given, 7."),
    ],
)
def test_every_option_of_rows_is_a_step(options: dict[str, Any], key: str, said: str) -> None:
    explanation = explain(logits=[[1.0, 2.0], [3.0, 1.0]], targets=[0, 1], **options)
    assert said in explanation.step(key).sentence


@pytest.mark.parametrize(
    ("options", "key", "said"),
    [
        ({"pos_weight": 3.0}, "weights", "pos_weight only its term of 1"),
        ({"weight": [1.0, 2.0]}, "weights", "Every factor that was given multiplies the loss"),
        ({"label_smoothing": 0.1}, "target", "moves a share of 0.1 to one half: 0.05 for 0"),
        ({"ignore_index": 1}, "target", "Targets of 1 (ignore_index) mark what is left out: 1"),
    ],
)
def test_every_option_of_elements_is_a_step(options: dict[str, Any], key: str, said: str) -> None:
    explanation = explain(logits=[1.0, 2.0], targets=[0, 1], **options)
    assert said in explanation.step(key).sentence


def test_soft_targets() -> None:
    explanation = explain(logits="1 2 0; 0 0 3", targets="0.5 0.5 0; 0 0 1", task="multiclass")
    assert "picked" not in keys(explanation)
    assert explanation.step("target").sentence.startswith("The target of each row is a distrib")
    halves = explain(logits="1", targets="0.5").step("loss").sentence
    assert halves == "A target between 0 and 1 keeps a share of both terms."


def test_prediction_is_that_of_the_contract() -> None:
    step = explain(logits="-1 0 1e-9", targets="0 0 1").step("prediction")
    assert cells(step, "prediction") == [0, 0, 1]
    assert "3 of 3 (100 %) are right" in step.sentence


# Where the naive form breaks.


@pytest.mark.parametrize(
    ("z", "t", "naive", "why"),
    [
        (1000, 0, math.inf, "p rounds to 1 in float64, and log(1 - p) is log 0 = -inf"),
        (1000, 1, math.nan, "p rounds to 1 in float64, and 0 times log(1 - p) = log 0 is not"),
        (-1000, 1, math.inf, "exp(1000) overflows to inf in float64, so p is 0, and log(p) is"),
        (-1000, 0, math.nan, "exp(1000) overflows to inf in float64, so p is 0, and 0 times"),
    ],
)
def test_extreme_logits_of_elements(z: float, t: int, naive: float, why: str) -> None:
    explanation = explain(logits=[z], targets=[t])
    step = explanation.step("naive")
    for dtype in ("float32", "float64"):
        np.testing.assert_equal(cells(step, f"naive, {dtype}"), [naive])
    right = t == (z > 0)
    assert cells(step, "stable") == [0.0 if right else 1000.0]
    assert cells(step, "exact") == ["5.0759589e-435" if right else "1000"]
    assert why in step.sentence
    slope = cells(explanation.step("gradient"), "gradient")
    assert slope == pytest.approx([0.0 if right else 1.0 - 2.0 * t])


@pytest.mark.parametrize(
    ("x", "y", "naive", "stable", "why"),
    [
        ([1000, 0], 0, math.nan, 0.0, "exp(1000) overflows to inf in float64, and inf / inf"),
        ([1000, 0], 1, math.inf, 1000.0, "what is divided by inf is 0: log 0 is -inf"),
        ([-1000, -1000], 0, math.nan, math.log(2), "every exp(x) underflows to 0 in float64"),
        ([0, -1000], 1, math.inf, 1000.0, "a p underflows to 0 in float64, and log 0 is -inf"),
        ([709.5, 709.5], 0, math.inf, math.log(2), "the sum of exp(x) overflows to inf in float64"),
    ],
)
def test_extreme_logits_of_rows(
    x: list[float], y: int, naive: float, stable: float, why: str
) -> None:
    step = explain(logits=[x], targets=[y]).step("naive")
    np.testing.assert_equal(cells(step, "naive, float64"), [naive])
    assert cells(step, "stable") == pytest.approx([stable])
    assert why in step.sentence
    assert step.tables[0].mark


def test_float32_breaks_before_float64() -> None:
    step = explain(logits=[20.0, 100.0, -100.0], targets=[0, 0, 0]).step("naive")
    marked = {
        block.headings[0]: block.marked
        for block in step.tables[0].blocks
        if block.marked is not None
    }
    assert marked["naive, float32"].ravel().tolist() == [True, True, True]
    assert marked["naive, float64"].ravel().tolist() == [False, True, True]
    assert "sample 1: p rounds to 1 in float64" in step.sentence


def test_the_limits_that_it_tells_are_the_limits() -> None:
    told = explain(logits="0", targets="0").step("naive").sentence
    limits = [float(limit) for limit in re.findall(r"-?\d+\.\d", told)]
    assert limits == [16.6, 36.7, -88.7, -709.8]
    for dtype, below, above in (("float32", -88.8, 16.7), ("float64", -709.9, 36.8)):
        broken = read_given(logits=[below, above], targets=[1, 0])
        assert np.isinf(naive_losses(broken, dtype)).all()
        whole = read_given(logits=[below + 0.2, above - 0.2], targets=[1, 0])
        assert np.isfinite(naive_losses(whole, dtype)).all()


def test_probabilities_of_0_and_1() -> None:
    explanation = explain(probabilities="0 1 0.5", targets="1 1 1")
    sentence = explanation.step("naive").sentence
    assert "Sample 0: p is 0, and log(p) is log 0 = -inf; sample 1: p is 1, and 0 times" in sentence
    assert explanation.rows[0] == 100.0
    assert "at least -100" in explanation.step("logarithm").sentence


def test_infinite_logits() -> None:
    explanation = explain(logits="inf -inf", targets="1 1")
    assert explanation.rows == (0.0, math.inf)
    assert explanation.value == math.inf
    rows_of = explain(logits="1 -inf; 1 -inf", targets="0 1")
    assert rows_of.rows == (0.0, math.inf)


def test_losses_beyond_float64() -> None:
    explanation = explain(logits="1e308 -1e308", targets="0 1")
    assert explanation.rows == (1e308, 1e308)
    assert explanation.value == 1e308  # their sum isn't a float64, their mean is
    assert explain(logits="1e308 -1e308", targets="0 1", reduction="sum").value == math.inf


def test_nothing_left() -> None:
    explanation = explain(logits="1 2", targets="-1 -1", ignore_index=-1)
    assert math.isnan(explanation.value)
    assert explanation.curve.points == ()
    assert explain(logits="1 2", targets="-1 -1", ignore_index=-1, all_ignored="zero").value == 0


# Large inputs: shown in part, computed whole.


def test_large_inputs() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.normal(0, 3, (500, 50)), generator.integers(0, 50, 500)
    x[123, 4] = 2000.0
    y[123] = 4
    explanation = explain(logits=x, targets=y)
    expected = F.cross_entropy(torch.from_numpy(x), torch.from_numpy(y)).item()
    assert x.size > MOST_EXACT
    assert explanation.value == pytest.approx(expected, rel=1e-14)
    assert explanation.exact == ""
    assert len(explanation.rows) == 500
    text = explanation.to_text()
    assert "490 of 500 rows are left out here." in text
    assert "46 of 50 columns are left out here." in text
    assert max(map(len, text.splitlines())) <= 80
    # A row that breaks is shown wherever it stands.
    assert "123" in explanation.step("naive").tables[0].names
    assert "Row 123: exp(2000) overflows" in explanation.step("naive").sentence
    assert len(explanation.curve.points) <= 500
    assert len(explanation.to_html()) < 200_000


def test_shown_rows() -> None:
    assert shown_rows(10) == list(range(10))
    assert shown_rows(11) == [0, 1, 2, 3, 4, 5, 6, 7, 9, 10]


# From the contract table.


def test_a_new_loss_is_explained_from_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the cross-entropy, whose formula, loss and gradient come from the row alone."""

    def doubled(xp: Any, **arguments: Any) -> Any:
        return 2 * CONTRACTS["cross_entropy"].definition(xp, **arguments)

    toy = dataclasses.replace(
        CONTRACTS["cross_entropy"],
        name="toy",
        summary="Twice as much.",
        options_formula="2 (lse - x_y)",
        latex="2x",
        definition=doubled,
    )
    monkeypatch.setitem(CONTRACTS, "toy", toy)
    x, y = [[1.0, 2.0, 0.0], [3.0, 1.0, 0.5]], [0, 1]
    explanation, plain = explain(logits=x, targets=y, loss="toy"), explain(logits=x, targets=y)
    assert explanation.loss == "toy"
    assert explanation.step("loss").formula == "2 (lse - x_y)"
    assert explanation.step("loss").sentence == "Twice as much."
    assert explanation.value == pytest.approx(2 * plain.value, rel=1e-15)
    slope = np.array(explanation.step("gradient").tables[0].blocks[0].values)
    np.testing.assert_allclose(
        slope, 2 * gradient_of_rows(rows(read_given(logits=x, targets=y))), rtol=1e-14
    )
    assert "naive" not in keys(explanation)


@pytest.mark.parametrize(
    "loss", [name for name, row in CONTRACTS.items() if row.denominator is not None]
)
def test_every_loss_of_the_table_is_explained(loss: str) -> None:
    kind = {"logit": "logits", "probability": "probabilities"}.get(
        CONTRACTS[loss].argument("input").domains[0].name, "log_probabilities"
    )
    of_rows = "classes" in CONTRACTS[loss].argument("input").forms[0].shape
    generator = np.random.default_rng(1)
    p = generator.dirichlet(np.ones(3), 4)
    values = {"logits": np.log(p), "probabilities": p, "log_probabilities": np.log(p)}[kind]
    target = np.array([0, 2, 1, 1])
    if not of_rows:
        target = (np.arange(3) == target[:, None]).astype(float)
    explanation = explain(**{kind: values}, targets=target, loss=loss, dtype="float64")
    expected = getattr(F, loss)(torch.from_numpy(values), torch.from_numpy(target))
    expected = expected if expected.ndim == 0 else expected.mean()  # the focal losses' own default
    assert np.mean(explanation.rows) == pytest.approx(expected.item(), rel=1e-12)
    for step in explanation.steps:
        assert step.sentence.endswith((".", ":"))


# The face.


def test_tensors_and_text_say_the_same() -> None:
    tensors = xent.explain(torch.tensor([-0.1, 2.0], dtype=torch.float64), torch.tensor([0, 1]))
    text = xent.explain("-0.1 2", "0 1")
    assert tensors.value == text.value
    assert tensors.given == "binary: 2 logits in float64 from a tensor of float64; reduction mean"
    assert isinstance(text, xent.Explanation)


def test_step_and_repr() -> None:
    explanation = explain(logits="1", targets="1")
    assert repr(explanation).startswith("<Explanation of binary_cross_entropy_with_logits: 1 loss")
    with pytest.raises(KeyError, match="the steps are input, sigmoid"):
        explanation.step("softmax")
