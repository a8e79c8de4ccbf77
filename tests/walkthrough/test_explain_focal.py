"""The focal losses: every factor stands in a column, and the gradient follows from its formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st

import xent.functional as F
from xent.walkthrough import Step, explain
from xent.walkthrough._inputs import read_given
from xent.walkthrough._steps_shared import numerical_gradient

CASES = settings(max_examples=40, deadline=None, derandomize=True)


def columns(step: Step) -> dict[str, np.ndarray]:
    return {
        heading: block.values[:, place]
        for table in step.tables
        for block in table.blocks
        for place, heading in enumerate(block.headings)
    }


@CASES
@hypothesis_given(
    seed=st.integers(0, 10**6),
    gamma=st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0]),
    chosen=st.sets(st.sampled_from(["weight", "sample_weight", "ignore_index"])),
    reduction=st.sampled_from(["mean", "sum"]),
)
def test_rows(seed: int, gamma: float, chosen: set[str], reduction: str) -> None:
    generator = np.random.default_rng(seed)
    x, y = generator.normal(0, 4, (4, 3)), np.array([0, 1, 2, 1])
    every = {
        "weight": generator.random(3) + 0.1,
        "sample_weight": generator.random(4) + 0.1,
        "ignore_index": 2,
    }
    options: dict[str, Any] = {name: every[name] for name in sorted(chosen)}
    options |= {"gamma": gamma, "reduction": reduction, "loss": "softmax_focal_loss"}
    explanation = explain(logits=x, targets=y, **options)
    shown = columns(explanation.step("loss"))
    counted = np.ones(4, dtype=bool) if "ignore_index" not in chosen else y != 2
    followed = shown["-log p_y"] * shown["(1 - p_y)^gamma"]
    for name in ("w_y", "sample_weight"):
        followed = followed * shown.get(name, 1.0)
    np.testing.assert_allclose(followed[counted], shown["loss"][counted], rtol=1e-12)
    tensor = torch.from_numpy(x).requires_grad_()
    in_torch = {
        name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        for name, value in options.items()
        if name != "loss"
    }
    F.softmax_focal_loss(tensor, torch.from_numpy(y), **in_torch).backward()
    slope = explanation.step("gradient").tables[-1].blocks[0].values
    np.testing.assert_allclose(slope, tensor.grad, rtol=1e-9, atol=1e-13)
    given = read_given(logits=x, targets=y, **options)
    np.testing.assert_allclose(numerical_gradient(given, [0, 1]), slope[[0, 1]], atol=1e-13)


@CASES
@hypothesis_given(
    seed=st.integers(0, 10**6),
    gamma=st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0]),
    alpha=st.sampled_from([-1.0, 0.25, 0.9]),
    soft=st.booleans(),
)
def test_elements(seed: int, gamma: float, alpha: float, soft: bool) -> None:
    generator = np.random.default_rng(seed)
    z, t = generator.normal(0, 4, 6), np.array([0, 1, 1, 0, 1, 0.0])
    if soft:
        t = np.round(generator.random(6), 2)
    options = {"loss": "sigmoid_focal_loss", "gamma": gamma, "alpha": alpha}
    explanation = explain(logits=z, targets=t, **options)
    shown = columns(explanation.step("loss"))
    plain = shown["cross-entropy" if soft else "-log p_t"]
    followed = shown["alpha_t"] * shown["(1 - p_t)^gamma"] * plain
    np.testing.assert_allclose(followed, shown["loss"], rtol=1e-12)
    given = read_given(logits=z, targets=t, **options)
    slope = columns(explanation.step("gradient"))["gradient"]
    expected = numerical_gradient(given, list(range(6))).ravel()
    np.testing.assert_allclose(slope, expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_the_gradient_is_finite_at_the_ends(gamma: float) -> None:
    of_rows = explain(
        logits="0 -2000; 0 -2000", targets="0 1", loss="softmax_focal_loss", gamma=gamma,
        reduction="sum",
    )  # fmt: skip
    np.testing.assert_array_equal(
        of_rows.step("gradient").tables[-1].blocks[0].values, [[0, 0], [1, -1]]
    )
    of_elements = explain(
        logits="2000 -2000 2000", targets="1 1 0", loss="sigmoid_focal_loss", gamma=gamma,
        alpha=-1.0, reduction="sum",
    )  # fmt: skip
    slope = columns(of_elements.step("gradient"))["gradient"]
    np.testing.assert_array_equal(slope, [0, -1, 1])


def test_no_curve_of_another_loss_is_drawn() -> None:
    assert explain(logits="1 2; 3 1", targets="0 1", loss="softmax_focal_loss").curve is None
    hot = explain(logits="1 2; 3 1", targets="0 1", temperature=2.0)
    for point in hot.curve.points:
        assert point.loss == pytest.approx(np.log1p(np.exp(-point.x)), rel=1e-12)
