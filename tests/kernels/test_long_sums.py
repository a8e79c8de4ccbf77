"""Sums over many rows keep their digits: nothing drifts with the number of rows."""

import math

import pytest
import torch

import xent.functional as F

ROWS = 30_000


def inputs():
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(ROWS, 3, dtype=torch.float64, generator=random)
    target = torch.randint(0, 3, (ROWS,), generator=random)
    weight = torch.tensor([0.3, 1.7, 0.9], dtype=torch.float64)
    each = torch.rand(ROWS, dtype=torch.float64, generator=random)
    return logits, target, weight, each


def losses():
    logits, target, weight, each = inputs()
    log_p, soft = logits.log_softmax(1), logits.softmax(1)
    many = torch.randn(3000, 100, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    of_many = target[:3000] * 33
    weights_of_many = weight.repeat(34)[:100]
    return {
        "few classes": (F.cross_entropy, (logits, target), {"weight": weight}, weight[target]),
        "two classes": (
            F.cross_entropy, (logits[:, :2], target % 2), {"weight": weight[:2]},
            weight[target % 2],
        ),
        "many classes": (
            F.cross_entropy, (many, of_many), {"weight": weights_of_many},
            weights_of_many[of_many],
        ),
        "sample weights": (F.cross_entropy, (logits, target), {"sample_weight": each}, each),
        "soft targets": (F.cross_entropy, (logits, soft), {"sample_weight": each}, each),
        "log-probabilities": (F.nll_loss, (log_p, target), {"weight": weight}, weight[target]),
    }  # fmt: skip


@pytest.mark.parametrize("name", losses())
def test_a_weighted_mean_of_many_rows(name):
    loss, arguments, options, divisors = losses()[name]
    rows = loss(*arguments, **options, reduction="none")
    exact = math.fsum(rows.tolist()) / math.fsum(divisors.tolist())
    mean = loss(*arguments, **options).item()
    assert abs(mean - exact) <= 3 * math.ulp(exact)
