"""The numbers that three tutorials print for fixed inputs, to the digits that they print.

"Binary and multiclass loss functions in PyTorch" (a notebook), Sebastian Raschka's "Losses
Learned" (part 1, 2022), and a notebook on the difference between binary cross-entropy and
cross-entropy. What they compute with PyTorch is computed here with xent.
"""

from __future__ import annotations

import mpmath
import pytest
import torch
from mpmath import mpf

import xent.functional as F
from xent import nn


def assert_prints(value: torch.Tensor, printed: str) -> None:
    """The value, rounded as the tutorial rounds it, is what the tutorial shows."""
    digits = len(printed.partition(".")[2])
    assert f"{value.item():.{digits}f}" == printed


class TestLossFunctionsInPyTorch:
    """Notebook "Binary and multiclass loss functions in PyTorch"."""

    labels = torch.tensor([0, 1, 1, 0], dtype=torch.float64)
    log_odds = torch.tensor([-0.1, 2.0, 3.0, 0.5], dtype=torch.float64)
    logits = torch.tensor(
        [
            [-5.0, 10.0, 1.2, 3.0, -4.0],
            [5.0, -4.0, 0.1, 1.0, 0.1],
            [1.0, 3.0, 2.5, -0.1, 2.5],
            [-7.0, 2.5, 0.1, 3.1, 0.2],
        ]
    )
    classes = torch.tensor([0, 2, 3, 1])

    def test_binary_loss_of_each_sample(self) -> None:
        by_sample = F.binary_cross_entropy_with_logits(self.log_odds, self.labels, reduction="none")
        for value, printed in zip(by_sample, ["0.6444", "0.1269", "0.0486", "0.9741"], strict=True):
            assert_prints(value, printed)

    @pytest.mark.parametrize("labels", [labels, labels.bool(), labels.to(torch.uint8)])
    def test_binary_loss(self, labels: torch.Tensor) -> None:
        probabilities = torch.sigmoid(self.log_odds)
        assert_prints(F.binary_cross_entropy(probabilities, labels), "0.4485")
        assert_prints(F.binary_cross_entropy_with_logits(self.log_odds, labels), "0.4485")
        assert_prints(nn.BCELoss()(probabilities, labels), "0.4485")
        assert_prints(nn.BCEWithLogitsLoss()(self.log_odds, labels), "0.4485")

    def test_better_probabilities_cost_less(self) -> None:
        # The tutorial multiplies float32 by float64 here, which PyTorch's own loss refuses.
        probabilities = torch.tensor([0.01, 0.9, 0.99, 0.1])
        assert_prints(F.binary_cross_entropy(probabilities, self.labels), "0.0577")

    def test_loss_of_each_row(self) -> None:
        by_row = F.cross_entropy(self.logits, self.classes, reduction="none")
        for value, printed in zip(by_row, ["15.0011", "4.9328", "3.9727", "1.1030"], strict=True):
            assert_prints(value, printed)

    def test_loss_of_rows(self) -> None:
        assert_prints(F.cross_entropy(self.logits, self.classes), "6.2524")
        assert_prints(nn.CrossEntropyLoss()(self.logits, self.classes), "6.2524")

    def test_loss_of_rows_from_log_probabilities(self) -> None:
        log_probabilities = F.log_softmax(self.logits, dim=1)
        assert_prints(F.nll_loss(log_probabilities, self.classes), "6.2524")
        assert_prints(nn.NLLLoss()(log_probabilities, self.classes), "6.2524")

    def test_loss_of_rows_from_one_hot_targets(self) -> None:
        one_hot = F.one_hot(self.classes, num_classes=5).float()
        assert_prints(F.cross_entropy(self.logits, one_hot), "6.2524")

    def test_predicted_classes(self) -> None:
        assert F.cross_entropy_statistics(self.logits, self.classes).prediction.tolist() == [
            1,
            0,
            1,
            3,
        ]


class TestLossesLearned:
    """Sebastian Raschka, "Losses Learned", part 1."""

    @pytest.mark.parametrize(
        ("logits", "labels", "printed"),
        [
            ([1.1, 2.2, 0.5, -1.1, -2.2], [1.0, 1.0, 0.0, 0.0, 0.0], "0.3518"),
            ([-1.0, 0.0, 1.0], [0.0, 0.0, 1.0], "0.4399"),
        ],
    )
    def test_binary_loss(self, logits: list[float], labels: list[float], printed: str) -> None:
        log_odds, target = torch.tensor(logits), torch.tensor(labels)
        assert_prints(F.binary_cross_entropy(torch.sigmoid(log_odds), target), printed)
        assert_prints(F.binary_cross_entropy_with_logits(log_odds, target), printed)
        assert_prints(nn.BCELoss()(torch.sigmoid(log_odds), target), printed)
        assert_prints(nn.BCEWithLogitsLoss()(log_odds, target), printed)


class TestBinaryAgainstCategorical:
    """Notebook on the difference between binary cross-entropy and cross-entropy."""

    def test_binary_loss_of_probabilities(self) -> None:
        # Printed from float32 with 16 digits: the exact value goes on 0.35667496|0969.
        loss = F.binary_cross_entropy(torch.tensor([0.7, 0.3]), torch.tensor([1.0, 0.0]))
        assert_one_unit_apart(loss, "0.3566749691963196", exact_binary())
        double = torch.tensor([0.7, 0.3], dtype=torch.float64)
        loss = F.binary_cross_entropy(double, torch.tensor([1, 0]))
        assert loss.item() == pytest.approx(float(-mpmath.log(mpf("0.7"))), rel=4e-16)

    def test_loss_of_logits(self) -> None:
        # Printed from float32 with 17 digits: the exact value goes on 0.2200948|49281.
        logits = torch.tensor([[1.5, -0.5], [0.5, 1.5]])
        loss = F.cross_entropy(logits, torch.tensor([0, 1]))
        assert_one_unit_apart(loss, "0.22009485960006714", exact_categorical())

    def test_exact_values(self) -> None:
        assert mpmath.nstr(exact_binary(), 12) == "0.356674960969"
        assert mpmath.nstr(exact_categorical(), 12) == "0.220094849281"


def exact_binary() -> mpf:
    """Of 0.7 and 0.3 as float32 holds them."""
    right, wrong = (mpf(torch.tensor(p).item()) for p in (0.7, 0.3))
    return -(mpmath.log(right) + mpmath.log(1 - wrong)) / 2


def exact_categorical() -> mpf:
    return (mpmath.log(1 + mpmath.exp(-2)) + mpmath.log(1 + mpmath.exp(-1))) / 2


def assert_one_unit_apart(loss: torch.Tensor, printed: str, exact: mpf) -> None:
    """Ours and PyTorch's float32 are both within a unit in the last place of the exact value."""
    unit = 2.0**-25  # of float32 between 1/4 and 1/2; twice that of those below
    assert abs(loss.item() - float(printed)) <= unit
    assert abs(loss.item() - exact) <= unit
    assert abs(loss.item() - exact) <= abs(float(printed) - exact)
