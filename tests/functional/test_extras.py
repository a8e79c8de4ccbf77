"""The options that PyTorch doesn't have, against closed forms and against each other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as torch_functional
from torch import Tensor

import xent.functional as F
from xent import ContractError

DOUBLE = torch.float64


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def close(ours: Tensor, expected: Tensor | float, rtol: float = 1e-12) -> None:
    expected = torch.as_tensor(expected, dtype=ours.dtype)
    torch.testing.assert_close(ours, expected, rtol=rtol, atol=1e-15, equal_nan=True)


LOGITS = 2 * randn(5, 4)
TARGET = torch.tensor([0, 3, -100, 1, 1])
COUNTED = torch.tensor([0, 1, 3, 4])
SAMPLE = torch.tensor([0.5, 2.0, 7.0, 0.0, 1.5], dtype=DOUBLE)
WEIGHT = torch.tensor([1.0, 0.5, 2.0, 3.0], dtype=DOUBLE)


class TestRows:
    def nll(self, logits: Tensor = LOGITS) -> Tensor:
        return torch_functional.cross_entropy(logits, TARGET, reduction="none")

    def test_sample_weight_of_indices(self) -> None:
        rows = F.cross_entropy(LOGITS, TARGET, sample_weight=SAMPLE, reduction="none")
        close(rows, SAMPLE * self.nll())
        close(
            F.cross_entropy(LOGITS, TARGET, sample_weight=SAMPLE),
            (SAMPLE * self.nll()).sum() / SAMPLE[COUNTED].sum(),
        )

    def test_sample_weight_and_class_weight_multiply(self) -> None:
        weights = (SAMPLE * WEIGHT[TARGET.clamp(min=0)])[COUNTED]
        expected = (weights * self.nll()[COUNTED]).sum() / weights.sum()
        close(F.cross_entropy(LOGITS, TARGET, WEIGHT, sample_weight=SAMPLE), expected)

    def test_sample_weight_of_probabilities(self) -> None:
        shares = torch.softmax(randn(5, 4, seed=1), 1)
        rows = torch_functional.cross_entropy(LOGITS, shares, WEIGHT, reduction="none")
        close(
            F.cross_entropy(LOGITS, shares, WEIGHT, sample_weight=SAMPLE),
            (SAMPLE * rows).sum() / SAMPLE.sum(),
        )

    def test_sample_weight_of_log_probabilities(self) -> None:
        log_probabilities = torch.log_softmax(LOGITS, 1)
        close(
            F.nll_loss(log_probabilities, TARGET, WEIGHT, sample_weight=SAMPLE),
            F.cross_entropy(LOGITS, TARGET, WEIGHT, sample_weight=SAMPLE),
        )

    @pytest.mark.parametrize("normalizer", [8, 8.0, torch.tensor(8.0), torch.tensor(8)])
    def test_normalizer_replaces_the_denominator(self, normalizer: float | Tensor) -> None:
        expected = torch_functional.cross_entropy(LOGITS, TARGET, WEIGHT, reduction="sum") / 8
        close(F.cross_entropy(LOGITS, TARGET, WEIGHT, normalizer=normalizer), expected)
        log_probabilities = torch.log_softmax(LOGITS, 1)
        close(F.nll_loss(log_probabilities, TARGET, WEIGHT, normalizer=normalizer), expected)

    def test_normalizer_keeps_half_types_from_overflow(self) -> None:
        logits = torch.zeros(70_000, 2, dtype=torch.float16)
        target = torch.zeros(70_000, dtype=torch.int64)
        loss = F.cross_entropy(logits, target, normalizer=140_000)
        assert loss.dtype == torch.float16
        assert loss.item() == pytest.approx(math.log(2) / 2, rel=2**-11)

    def test_microbatches_with_the_same_normalizer_add_up(self) -> None:
        number = (TARGET != -100).sum()
        parts = [
            F.cross_entropy(LOGITS[part], TARGET[part], normalizer=number)
            for part in (slice(0, 2), slice(2, 5))
        ]
        close(parts[0] + parts[1], F.cross_entropy(LOGITS, TARGET))

    @pytest.mark.parametrize("extra", [{}, {"normalizer": 4}])
    def test_all_ignored(self, extra: dict[str, Any]) -> None:
        nothing = torch.full((5,), -100)
        for name in ("cross_entropy", "nll_loss", "softmax_focal_loss"):
            logits = LOGITS.clone().requires_grad_()
            loss = getattr(F, name)(logits, nothing, all_ignored="zero", **extra)
            assert loss.item() == 0.0
            assert not torch.autograd.grad(loss, logits)[0].any()
        if not extra:
            logits = LOGITS.clone().requires_grad_()
            loss = F.cross_entropy(logits, nothing)
            assert math.isnan(loss.item())
            assert not torch.autograd.grad(loss, logits)[0].any()

    def test_all_ignored_changes_nothing_else(self) -> None:
        close(F.cross_entropy(LOGITS, TARGET, all_ignored="zero"), F.cross_entropy(LOGITS, TARGET))

    def test_z_loss(self) -> None:
        penalty = torch.logsumexp(LOGITS, 1) ** 2
        expected = torch.where(TARGET == -100, 0.0, self.nll() + 0.1 * penalty)
        close(F.cross_entropy(LOGITS, TARGET, z_loss=0.1, reduction="none"), expected)

    def test_z_loss_of_probabilities_has_no_class_weight(self) -> None:
        shares = torch.softmax(randn(5, 4, seed=1), 1)
        rows = torch_functional.cross_entropy(LOGITS, shares, WEIGHT, reduction="none")
        penalty = torch.logsumexp(LOGITS, 1) ** 2
        close(
            F.cross_entropy(LOGITS, shares, WEIGHT, z_loss=0.1, reduction="none"),
            rows + 0.1 * penalty,
        )

    def test_softcap_then_temperature_then_adjustment(self) -> None:
        offsets = torch.log(torch.tensor([0.5, 0.2, 0.2, 0.1]))
        changed = 3.0 * torch.tanh(LOGITS / 3.0) / 0.5 + offsets
        close(
            F.cross_entropy(
                LOGITS,
                TARGET,
                reduction="none",
                softcap=3.0,
                temperature=0.5,
                logit_adjustment=offsets,
            ),
            self.nll(changed),
        )

    @pytest.mark.parametrize(
        ("option", "changed"),
        [
            ({"softcap": 3.0}, 3.0 * torch.tanh(LOGITS / 3.0)),
            ({"temperature": 0.5}, LOGITS / 0.5),
            ({"logit_adjustment": torch.arange(4)}, LOGITS + torch.arange(4)),
        ],
    )
    def test_each_change_by_itself(self, option: dict[str, Any], changed: Tensor) -> None:
        target = TARGET.clamp(min=0)
        close(F.cross_entropy(LOGITS, target, **option), F.cross_entropy(changed, target))
        shares = torch.softmax(randn(5, 4, seed=1), 1)
        close(F.cross_entropy(LOGITS, shares, **option), F.cross_entropy(changed, shares))

    def test_temperature_is_learned(self) -> None:
        temperature = torch.tensor(1.5, dtype=DOUBLE, requires_grad=True)
        logits = LOGITS.clone()
        logits[2] = math.nan
        (slope,) = torch.autograd.grad(
            F.cross_entropy(logits, TARGET, temperature=temperature), temperature
        )
        step = 1e-6
        rise = F.cross_entropy(LOGITS, TARGET, temperature=1.5 + step)
        fall = F.cross_entropy(LOGITS, TARGET, temperature=1.5 - step)
        close(slope, (rise - fall) / (2 * step), rtol=1e-7)

    @pytest.mark.parametrize(
        "change",
        [
            {"softcap": 5.0},
            {"temperature": 2.0},
            {"logit_adjustment": torch.arange(4)},
            {"z_loss": 0.5},
            {"sample_weight": SAMPLE},
            {"label_smoothing": 0.2},
            {"normalizer": 3},
        ],
    )
    def test_ignored_rows_are_never_read(self, change: dict[str, Any]) -> None:
        logits = LOGITS.clone()
        logits[2] = torch.tensor([math.nan, math.inf, -math.inf, 0.0])
        logits.requires_grad_()
        loss = F.cross_entropy(logits, TARGET, **change)
        close(loss, F.cross_entropy(LOGITS, TARGET, **change))
        gradient = torch.autograd.grad(loss, logits)[0]
        assert not gradient[2].any()
        assert gradient.isfinite().all()

    @pytest.mark.parametrize("class_dim", [0, 1, 2, 3, -1, -4])
    def test_class_dim(self, class_dim: int) -> None:
        logits = randn(2, 3, 4, 5)
        moved = logits.movedim(1, class_dim)
        target = torch.randint(0, 3, (2, 4, 5), generator=torch.Generator().manual_seed(3))
        sample = randn(2, 4, 5, seed=4).abs()
        for options in ({}, {"reduction": "none"}, {"sample_weight": sample}):
            close(
                F.cross_entropy(moved, target, class_dim=class_dim, **options),
                F.cross_entropy(logits, target, **options),
            )
            close(
                F.nll_loss(moved, target, class_dim=class_dim, **options),
                F.nll_loss(logits, target, **options),
            )
        shares = torch.softmax(logits.flip(1), 1)
        close(
            F.cross_entropy(moved, shares.movedim(1, class_dim), class_dim=class_dim),
            F.cross_entropy(logits, shares),
        )

    @pytest.mark.parametrize(
        "dtype", ["int8", "int16", "int32", "uint8", "uint16", "uint32", "uint64"]
    )
    def test_indices_of_any_width(self, dtype: str) -> None:
        target = torch.tensor([0, 3, 1, 2, 3])
        narrow = target.to(getattr(torch, dtype))
        close(F.cross_entropy(LOGITS, narrow), F.cross_entropy(LOGITS, target))
        # In one byte -100 is 156: nothing is ignored.
        close(
            F.nll_loss(LOGITS, narrow, ignore_index=3), F.nll_loss(LOGITS, target, ignore_index=3)
        )

    def test_ignored_index_of_a_byte_does_not_wrap(self) -> None:
        logits = randn(2, 200)
        target = torch.tensor([156, 3])
        close(F.cross_entropy(logits, target.byte()), F.cross_entropy(logits, target))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int64, torch.bool])
    def test_class_weight_of_any_dtype(self, dtype: torch.dtype) -> None:
        weight = torch.tensor([1, 0, 1, 1]).to(dtype)
        logits = LOGITS.float()
        loss = F.cross_entropy(logits, TARGET, weight)
        assert loss.dtype == torch.float32
        close(loss, torch_functional.cross_entropy(logits, TARGET, weight.float()), rtol=1e-6)

    def test_class_weight_has_a_gradient(self) -> None:
        weight = WEIGHT.clone().requires_grad_()
        sample = SAMPLE.clone().requires_grad_()
        for loss in (F.cross_entropy, F.nll_loss, F.softmax_focal_loss):
            assert torch.autograd.gradcheck(
                lambda w, s, loss=loss: loss(LOGITS, TARGET, w, sample_weight=s), (weight, sample)
            )

    def test_all_together(self) -> None:
        """One formula with everything in it, computed once more in NumPy."""
        offsets = np.array([0.1, -0.2, 0.3, 0.0])
        x = 4 * np.tanh(LOGITS.numpy() / 4) / 1.3 + offsets
        lse = np.log(np.exp(x).sum(1))
        kept, w, s = COUNTED.numpy(), WEIGHT.numpy(), SAMPLE.numpy()
        y = TARGET.numpy()
        total = sum(
            s[i]
            * (
                w[y[i]] * (0.9 * (lse[i] - x[i, y[i]]) + 0.01 * lse[i] ** 2)
                + 0.1 / 4 * (w * (lse[i] - x[i])).sum()
            )
            for i in kept
        )
        loss = F.cross_entropy(
            LOGITS,
            TARGET,
            WEIGHT,
            label_smoothing=0.1,
            sample_weight=SAMPLE,
            z_loss=0.01,
            softcap=4.0,
            temperature=1.3,
            logit_adjustment=torch.from_numpy(offsets),
        )
        close(loss, total / (s[kept] * w[y[kept]]).sum())

    def test_negative_smoothing_raises(self) -> None:
        with pytest.raises(ContractError, match="label_smoothing must be in \\[0, 1\\]") as raised:
            F.cross_entropy(LOGITS, TARGET, label_smoothing=-0.1)
        assert isinstance(raised.value, RuntimeError)

    def test_index_out_of_range_is_located(self) -> None:
        wrong = torch.tensor([[0, 1], [-100, 4]])
        for name in ("cross_entropy", "nll_loss", "softmax_focal_loss", "cross_entropy_statistics"):
            with pytest.raises(IndexError, match="got 4 at position \\(1, 1\\)"):
                getattr(F, name)(randn(2, 2, 4), wrong, class_dim=-1)


ODDS = 2 * randn(3, 4, seed=5)
LABELS = torch.tensor([[0, 1, 1, 0], [1, -1, 0, -1], [-1, -1, -1, -1]])
VALID = LABELS != -1
ELEMENTWISE = [
    (F.binary_cross_entropy_with_logits, ODDS),
    (F.binary_cross_entropy, torch.sigmoid(ODDS)),
]


@pytest.mark.parametrize(("loss", "input"), ELEMENTWISE)
class TestElements:
    def truth(self, target: Tensor) -> Tensor:
        return torch_functional.binary_cross_entropy_with_logits(
            ODDS, target.double(), reduction="none"
        )

    def test_label_smoothing(self, loss: Any, input: Tensor) -> None:
        hard = (ODDS > 0).int()
        close(
            loss(input, hard, label_smoothing=0.1, reduction="none"),
            self.truth(0.9 * hard.double() + 0.05),
        )

    @pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.float32, torch.float64])
    def test_ignore_index(self, loss: Any, input: Tensor, dtype: torch.dtype) -> None:
        poisoned = torch.where(VALID, input, math.nan).requires_grad_()
        value = loss(poisoned, LABELS.to(dtype), ignore_index=-1)
        close(value.double(), self.truth(LABELS.clamp(min=0))[VALID].mean(), rtol=1e-6)
        gradient = torch.autograd.grad(value, poisoned)[0]
        assert gradient.isfinite().all()
        assert not gradient[~VALID].any()

    def test_sample_weight(self, loss: Any, input: Tensor) -> None:
        share = torch.tensor([1.0, 2.0, 5.0])
        rows = share.double()[:, None] * self.truth(LABELS.clamp(min=0))
        options = {"sample_weight": share, "ignore_index": -1}
        close(loss(input, LABELS, reduction="sum", **options), rows[VALID].sum())
        close(loss(input, LABELS, **options), rows[VALID].sum() / (4 * 1.0 + 2 * 2.0))
        close(
            loss(input, LABELS, reduction="none", **options),
            torch.where(VALID, rows, 0.0),
        )

    def test_sample_weight_of_every_element(self, loss: Any, input: Tensor) -> None:
        share = randn(3, 4, seed=6).abs()
        target = (ODDS > 0).bool()
        expected = (share * self.truth(target)).sum() / share.sum()
        close(loss(input, target, sample_weight=share), expected)

    def test_sample_weight_with_weight(self, loss: Any, input: Tensor) -> None:
        share, weight = torch.tensor([1.0, 2.0, 5.0]), torch.tensor([1.0, 0.5, 2.0, 0.0])
        target = (ODDS > 0).bool()
        expected = (share[:, None] * weight * self.truth(target)).sum() / (4 * share.sum())
        close(loss(input, target, weight, sample_weight=share), expected)

    def test_pos_weight(self, loss: Any, input: Tensor) -> None:
        hard, positive = (ODDS > 0).double(), torch.tensor([1.0, 2.0, 3.0, 0.5])
        expected = torch_functional.binary_cross_entropy_with_logits(
            ODDS, hard, pos_weight=positive
        )
        close(loss(input, hard, pos_weight=positive), expected)

    def test_normalizer(self, loss: Any, input: Tensor) -> None:
        hard = (ODDS > 0).double()
        close(loss(input, hard, normalizer=7), self.truth(hard).sum() / 7)

    def test_all_ignored(self, loss: Any, input: Tensor) -> None:
        nothing = torch.full((3, 4), -1)
        for word, expected in (("nan", math.nan), ("zero", 0.0)):
            for extra in ({}, {"sample_weight": torch.ones(3)}):
                variable = input.clone().requires_grad_()
                value = loss(variable, nothing, ignore_index=-1, all_ignored=word, **extra)
                close(value, expected)
                assert not torch.autograd.grad(value, variable)[0].any()

    @pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int16, torch.int64])
    def test_targets_of_any_dtype(self, loss: Any, input: Tensor, dtype: torch.dtype) -> None:
        hard = ODDS > 0
        value = loss(input.float(), hard.to(dtype))
        assert value.dtype == torch.float32
        close(value, self.truth(hard).mean().float(), rtol=1e-6)

    def test_wide_targets_widen_the_arithmetic(self, loss: Any, input: Tensor) -> None:
        narrow, target = input.float(), torch.sigmoid(ODDS.flip(1))
        value = loss(narrow, target)
        assert value.dtype == torch.float64
        close(value, loss(narrow.double(), target))

    def test_everything_has_a_gradient(self, loss: Any, input: Tensor) -> None:
        tensors = [
            tensor.clone().requires_grad_()
            for tensor in (input, torch.sigmoid(ODDS), randn(4).abs(), randn(4, seed=1).abs())
        ]

        def composed(input: Tensor, target: Tensor, weight: Tensor, positive: Tensor) -> Tensor:
            value: Tensor = loss(
                input, target, weight, pos_weight=positive, label_smoothing=0.1, normalizer=5
            )
            return value

        assert torch.autograd.gradcheck(composed, tensors)
        assert torch.autograd.gradgradcheck(composed, tensors)


@pytest.mark.parametrize("extra", [{}, {"sample_weight": torch.ones(2)}])
def test_ignored_byte_does_not_wrap(extra: dict[str, Any]) -> None:
    """255 is not -1: it counts, and PyTorch's formula takes it as it is."""
    odds, target = torch.tensor([1.0, 2.0]), torch.tensor([255, 1], dtype=torch.uint8)
    loss = F.binary_cross_entropy_with_logits(odds, target, ignore_index=-1, **extra)
    close(loss, torch_functional.binary_cross_entropy_with_logits(odds, target.float()), 1e-6)
    left_out = F.binary_cross_entropy_with_logits(odds, target, ignore_index=255, **extra)
    close(left_out, math.log1p(math.exp(-2)), 1e-6)


def test_probability_out_of_range_is_located() -> None:
    with pytest.raises(RuntimeError, match="input must be probabilities") as raised:
        F.binary_cross_entropy(torch.tensor([[0.5, 1.5]]), torch.tensor([[1.0, 0.0]]))
    assert isinstance(raised.value, ContractError)
    assert "got 1.5 at position (0, 1)" in str(raised.value)
    with pytest.raises(RuntimeError, match="got 2 at position 1"):
        F.binary_cross_entropy(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 2.0]))
    ignored = F.binary_cross_entropy(
        torch.tensor([0.5, 9.0]), torch.tensor([1, -1]), ignore_index=-1
    )
    close(ignored, math.log(2), rtol=1e-6)


class TestFocal:
    @pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
    @pytest.mark.parametrize("alpha", [0.25, 0.9, -1.0, None])
    def test_elements(self, gamma: float, alpha: float | None) -> None:
        target = torch.sigmoid(ODDS.flip(0))
        p = torch.sigmoid(ODDS)
        missed = 1 - (p * target + (1 - p) * (1 - target))
        expected = missed**gamma * self.binary(target)
        if alpha is not None and alpha >= 0:
            expected = (alpha * target + (1 - alpha) * (1 - target)) * expected
        for reduction, reduced in (("none", expected), ("mean", expected.mean())):
            close(F.sigmoid_focal_loss(ODDS, target, alpha, gamma, reduction), reduced)
        close(F.sigmoid_focal_loss(ODDS, target, alpha, gamma, "sum"), expected.sum())

    def binary(self, target: Tensor) -> Tensor:
        return torch_functional.binary_cross_entropy_with_logits(ODDS, target, reduction="none")

    @pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
    def test_rows(self, gamma: float) -> None:
        nll = torch_functional.cross_entropy(LOGITS, TARGET, reduction="none")
        rows = (1 - torch.exp(-nll)) ** gamma * nll
        weights = torch.where(TARGET == -100, 0.0, SAMPLE * WEIGHT[TARGET.clamp(min=0)])
        options = {"gamma": gamma, "sample_weight": SAMPLE}
        close(F.softmax_focal_loss(LOGITS, TARGET, gamma=gamma, reduction="none"), rows)
        close(
            F.softmax_focal_loss(LOGITS, TARGET, WEIGHT, **options),
            (weights * rows).sum() / weights.sum(),
        )
        close(
            F.softmax_focal_loss(LOGITS, TARGET, WEIGHT, normalizer=3, **options),
            (weights * rows).sum() / 3,
        )

    def test_class_dim(self) -> None:
        logits, target = randn(2, 3, 4), torch.tensor([[0, 1, 2, 0], [1, 1, -100, 2]])
        close(
            F.softmax_focal_loss(logits.movedim(1, -1), target, class_dim=-1, reduction="none"),
            F.softmax_focal_loss(logits, target, reduction="none"),
        )

    def test_confident_elements_keep_their_digits(self) -> None:
        odds = torch.tensor([-30.0, 30.0], requires_grad=True)
        loss = F.sigmoid_focal_loss(odds, torch.tensor([0, 1]), alpha=None, gamma=1.0)
        assert loss.item() == pytest.approx(math.exp(-60), rel=1e-5, abs=0.0)
        slopes = torch.autograd.grad(loss, odds)[0]
        assert slopes.tolist() == pytest.approx([math.exp(-60), -math.exp(-60)], rel=1e-5, abs=0.0)

    def test_confident_rows_keep_their_digits(self) -> None:
        logits = torch.tensor([[30.0, 0.0]], requires_grad=True)
        loss = F.softmax_focal_loss(logits, torch.tensor([0]), gamma=1.0)
        assert loss.item() == pytest.approx(math.exp(-60), rel=1e-5, abs=0.0)
        slopes = torch.autograd.grad(loss, logits)[0][0]
        assert slopes.tolist() == pytest.approx(
            [-2 * math.exp(-60), 2 * math.exp(-60)], rel=1e-5, abs=0.0
        )

    @pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
    def test_infinite_logits(self, gamma: float) -> None:
        odds = torch.tensor([math.inf, -math.inf, math.inf, -math.inf], requires_grad=True)
        target = torch.tensor([1, 0, 0, 1])
        loss = F.sigmoid_focal_loss(odds, target, gamma=gamma, reduction="none")
        assert loss.tolist() == [0.0, 0.0, math.inf, math.inf]
        assert not torch.autograd.grad(loss.sum(), odds)[0].isnan().any()
        logits = torch.tensor([[0.0, -math.inf], [0.0, -math.inf]], requires_grad=True)
        loss = F.softmax_focal_loss(logits, torch.tensor([0, 1]), gamma=gamma, reduction="none")
        assert loss.tolist() == [0.0, math.inf]
        assert not torch.autograd.grad(loss.sum(), logits)[0].isnan().any()

    def test_derivatives(self) -> None:
        odds = ODDS.clone().requires_grad_()
        target = torch.sigmoid(ODDS.flip(0)).requires_grad_()
        for gamma in (0.5, 2.0):
            for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
                assert check(
                    lambda x, t, gamma=gamma: F.sigmoid_focal_loss(x, t, gamma=gamma),
                    (odds, target),
                )
                assert check(
                    lambda x, gamma=gamma: F.softmax_focal_loss(
                        x, torch.tensor([0, 1, 3]), gamma=gamma
                    ),
                    (odds,),
                )


class TestStatistics:
    def test_against_definitions(self) -> None:
        found = F.cross_entropy_statistics(LOGITS, TARGET)
        p = torch.softmax(LOGITS, 1)
        kept = TARGET != -100
        close(found.nll, torch_functional.cross_entropy(LOGITS, TARGET, reduction="none"))
        close(found.log_sum_exp, torch.where(kept, torch.logsumexp(LOGITS, 1), 0.0))
        close(found.entropy, torch.where(kept, -(p * p.log()).sum(1), 0.0))
        assert found.prediction.tolist() == torch.where(kept, LOGITS.argmax(1), -1).tolist()

    @pytest.mark.parametrize("ignore_index", [-100, -1, 0, 255])
    def test_an_ignored_row_never_counts_as_right(self, ignore_index: int) -> None:
        target = torch.full((5,), ignore_index)
        found = F.cross_entropy_statistics(LOGITS, target, ignore_index)
        assert not (found.prediction == target).any()
        assert not any(part.any() for part in found[:3])

    def test_impossible_and_certain(self) -> None:
        logits = torch.tensor([[0.0, -math.inf, 0.0], [60.0, 0.0, -math.inf]])
        found = F.cross_entropy_statistics(logits, torch.tensor([0, 0]))
        assert found.entropy.tolist() == pytest.approx(
            [math.log(2), 61 * math.exp(-60)], rel=1e-6, abs=0.0
        )
        assert found.nll.tolist() == pytest.approx([math.log(2), math.exp(-60)], rel=1e-6, abs=0.0)

    def test_shapes(self) -> None:
        logits = randn(2, 3, 4)
        for given, target, class_dim in (
            (logits, torch.zeros(2, 4).long(), None),
            (logits, torch.zeros(2, 3).long(), -1),
            (logits[0, :, 0], torch.tensor(1), None),
        ):
            found = F.cross_entropy_statistics(given, target, class_dim=class_dim)
            assert all(part.shape == target.shape for part in found)

    def test_derivatives(self) -> None:
        logits = LOGITS.clone().requires_grad_()
        for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
            assert check(lambda x: F.cross_entropy_statistics(x, TARGET)[:3], (logits,))
