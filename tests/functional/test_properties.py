"""What is true of the losses for all numbers: drawn by Hypothesis, extremes among them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as torch_functional
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor

import xent.functional as F

DRAWS = settings(max_examples=60, deadline=None, derandomize=True)
NUMBERS = st.one_of(st.floats(-30, 30, width=32), st.floats(-1e4, 1e4, width=32))


@st.composite
def rows(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Logits and class indices, a few of them ignored."""
    shape = draw(st.tuples(st.integers(1, 5), st.integers(1, 6)))
    logits = torch.from_numpy(draw(arrays.arrays(np.float64, shape, elements=NUMBERS)))
    index = st.one_of(st.integers(0, shape[1] - 1), st.just(-100))
    return logits, torch.tensor(draw(st.lists(index, min_size=shape[0], max_size=shape[0])))


@st.composite
def elements(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    number = draw(st.integers(1, 8))
    odds = torch.from_numpy(draw(arrays.arrays(np.float64, number, elements=NUMBERS)))
    labels = st.floats(0, 1, width=16)
    return odds, torch.from_numpy(draw(arrays.arrays(np.float64, number, elements=labels)))


def with_gradient(loss: Any, input: Tensor, *rest: Any, **options: Any) -> tuple[Tensor, Tensor]:
    input = input.detach().requires_grad_()
    value = loss(input, *rest, **options)
    return value.detach(), torch.autograd.grad(value.sum(), input)[0]


def close(ours: Tensor, expected: Tensor, size: Tensor | float = 1.0) -> None:
    """To a few units of the larger of the numbers that went into them."""
    unit = 16 * torch.finfo(torch.float64).eps
    assert ((ours - expected).abs() <= unit * torch.as_tensor(size).clamp(min=1.0)).all()


@DRAWS
@given(rows(), st.sampled_from([0.0, 0.3]))
def test_gradients_of_a_row_sum_to_zero(case: tuple[Tensor, Tensor], smoothing: float) -> None:
    _, gradient = with_gradient(F.cross_entropy, *case, reduction="none", label_smoothing=smoothing)
    close(gradient.sum(1), torch.zeros(len(gradient), dtype=torch.float64))


@DRAWS
@given(rows())
def test_losses_are_never_negative_nor_nan(case: tuple[Tensor, Tensor]) -> None:
    logits, target = case
    value, gradient = with_gradient(F.cross_entropy, logits, target, reduction="none")
    assert (value >= 0.0).all()
    assert gradient.isfinite().all()
    assert (gradient.abs() <= 1.0).all()
    assert not value[target == -100].any()
    assert not gradient[target == -100].any()


@DRAWS
@given(rows(), st.integers(-100, 100))
def test_a_constant_on_a_row_changes_nothing(case: tuple[Tensor, Tensor], constant: int) -> None:
    logits, target = case
    plain = F.cross_entropy(logits, target, reduction="none")
    shifted = F.cross_entropy(logits + constant, target, reduction="none")
    close(shifted, plain, logits.abs().max() + abs(constant))


@DRAWS
@given(rows(), st.randoms(use_true_random=False))
def test_the_order_of_classes_is_a_name(case: tuple[Tensor, Tensor], random: Any) -> None:
    logits, target = case
    order = list(range(logits.shape[1]))
    random.shuffle(order)
    places = torch.tensor(order).argsort()
    renamed = torch.where(target == -100, -100, places[target.clamp(min=0)])
    value, gradient = with_gradient(F.cross_entropy, logits, target, reduction="none")
    other, permuted = with_gradient(F.cross_entropy, logits[:, order], renamed, reduction="none")
    close(other, value, value.abs())
    close(permuted, gradient[:, order])


@DRAWS
@given(rows())
def test_twins_of_rows(case: tuple[Tensor, Tensor]) -> None:
    """Indices, one-hot probabilities and log-probabilities are three ways to one loss."""
    logits, target = case
    value, gradient = with_gradient(F.cross_entropy, logits, target, reduction="none")
    size = logits.abs().max()
    close(F.nll_loss(torch.log_softmax(logits, 1), target, reduction="none"), value, size)
    one_hot = torch_functional.one_hot(target.clamp(min=0), logits.shape[1]).double()
    soft, soft_gradient = with_gradient(F.cross_entropy, logits, one_hot, reduction="none")
    counted = target != -100
    torch.testing.assert_close(soft[counted], value[counted], rtol=2e-15, atol=0.0)
    close(soft_gradient[counted], gradient[counted])
    close(F.softmax_focal_loss(logits, target, gamma=0.0, reduction="none"), value)
    close(F.cross_entropy_statistics(logits, target).nll, value)


@DRAWS
@given(elements())
def test_twins_of_elements(case: tuple[Tensor, Tensor]) -> None:
    """Log-odds x are the two logits (0, x), and their sigmoid a probability."""
    odds, labels = case
    value, gradient = with_gradient(
        F.binary_cross_entropy_with_logits, odds, labels, reduction="none"
    )
    pairs = torch.stack([torch.zeros_like(odds), odds], 1)
    shares = torch.stack([1 - labels, labels], 1)
    rows, slopes = with_gradient(F.cross_entropy, pairs, shares, reduction="none")
    close(rows, value, odds.abs())
    close(slopes[:, 1], gradient)
    inside = odds.abs() < 15
    probabilities = torch.sigmoid(odds)
    twin = F.binary_cross_entropy(probabilities, labels, reduction="none")
    torch.testing.assert_close(twin[inside], value[inside], rtol=1e-9, atol=1e-9)
    focal = F.sigmoid_focal_loss(odds, labels, alpha=-1.0, gamma=0.0, reduction="none")
    torch.testing.assert_close(focal, value, rtol=0.0, atol=0.0)


@DRAWS
@given(elements())
def test_labels_mirror_log_odds(case: tuple[Tensor, Tensor]) -> None:
    odds, labels = case
    hard = labels.round()
    value, gradient = with_gradient(
        F.binary_cross_entropy_with_logits, odds, hard, reduction="none"
    )
    mirrored, slopes = with_gradient(
        F.binary_cross_entropy_with_logits, -odds, 1 - hard, reduction="none"
    )
    torch.testing.assert_close(mirrored, value, rtol=1e-15, atol=0.0)
    torch.testing.assert_close(slopes, -gradient, rtol=1e-15, atol=0.0)
    assert (value >= 0.0).all()
    assert gradient.isfinite().all()
