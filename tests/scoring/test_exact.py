"""Exact AUC: counting pairs is the reference, and scikit-learn agrees."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from xent._links import log_softmax
from xent.scoring import auc, macro_auc


def count_pairs(score: np.ndarray, positive: np.ndarray, weight: np.ndarray) -> float | None:
    won = total = 0.0
    for i in np.flatnonzero(positive):
        for j in np.flatnonzero(~positive):
            pair = weight[i] * weight[j]
            total += pair
            won += pair * (1.0 if score[i] > score[j] else 0.5 if score[i] == score[j] else 0.0)
    return won / total if total else None


# Few distinct values make ties common; infinities must sort and tie like any other score.
@given(
    arrays.arrays(
        np.float64, st.integers(1, 15), elements=st.sampled_from([-np.inf, -1, 0.5, 2, np.inf])
    ),
    st.integers(0, 1000),
    st.booleans(),
)
def test_auc_counts_pairs(score: np.ndarray, seed: int, weighted: bool) -> None:
    random = np.random.default_rng(seed)
    positive = random.random(len(score)) < 0.5
    weight = random.integers(0, 4, len(score)).astype(float) if weighted else np.ones(len(score))
    result = auc(score, positive, weight if weighted else None)
    expected = count_pairs(score, positive, weight)
    assert (result is None) == (expected is None)
    if expected is not None:
        assert result == pytest.approx(expected, rel=1e-13)


def test_auc_equals_scikit_learn() -> None:
    random = np.random.default_rng(0)
    score, weight = random.normal(size=2000).round(2), random.exponential(size=2000)
    positive = random.random(2000) < 0.3
    for weights in (None, weight):
        expected = sklearn.metrics.roc_auc_score(positive, score, sample_weight=weights)
        assert auc(score, positive, weights) == pytest.approx(expected, rel=1e-12)


def test_large_logits_do_not_tie_on_the_log_odds_scale() -> None:
    log_odds = np.array([40.0, 50.0, 60.0, 70.0])
    positive = np.array([False, False, True, True])
    assert auc(log_odds, positive) == 1.0
    assert auc(1.0 / (1.0 + np.exp(-log_odds)), positive) == 0.5


def test_macro_auc_equals_scikit_learn() -> None:
    random = np.random.default_rng(1)
    logs = log_softmax(random.normal(size=(500, 4)))
    target = random.integers(0, 4, 500)
    expected = sklearn.metrics.roc_auc_score(target, np.exp(logs), multi_class="ovr")
    result = macro_auc(logs, target)
    assert result.value == pytest.approx(expected, rel=1e-12)
    assert result.classes_left_out == ()


def test_macro_auc_says_which_classes_it_left_out() -> None:
    logs = log_softmax(np.random.default_rng(2).normal(size=(20, 4)))
    result = macro_auc(logs, np.arange(20) % 2)
    assert result.classes_left_out == (2, 3)
    assert result.value is not None
    alone = macro_auc(logs, np.zeros(20, dtype=np.int64))
    assert (alone.value, alone.classes_left_out) == (None, (0, 1, 2, 3))
