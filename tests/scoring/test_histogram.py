"""The histogram: a plain loop is the reference, and the extension gives the same bits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xent._errors import InputError
from xent.scoring import NATIVE, Histogram
from xent.scoring._histogram import log_odds_histogram

scores = st.lists(st.floats(allow_nan=False), min_size=1, max_size=40)


def columns(values: list[float], weighted: bool) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(len(values))
    score = np.array(values, dtype=np.float64)
    label = random.integers(0, 2, len(values)).astype(np.uint8)
    weight = random.exponential(size=len(values)) if weighted else None
    return score, label, weight, random.random(len(values))


@given(scores, st.booleans())
def test_sums_equal_a_plain_loop(values: list[float], weighted: bool) -> None:
    score, label, weight, probability = columns(values, weighted)
    expected = np.zeros((3, 8))
    for row, value in enumerate(values):
        bin_index = min(7, math.floor((min(max(value, -2.0), 2.0) + 2.0) * 2.0))
        w = 1.0 if weight is None else weight[row]
        expected[:, bin_index] += w, w * label[row], w * probability[row]
    result = log_odds_histogram(score, label, weight, probability, 2.0, 8)
    for sums, column in zip(result, expected, strict=True):
        assert sums.dtype == np.float64
        assert sums.tolist() == column.tolist()


@pytest.mark.skipif(not NATIVE, reason="the native extension is not installed")
@given(scores, st.booleans())
def test_the_extension_gives_the_same_bits(values: list[float], weighted: bool) -> None:
    from xent import _native

    given_columns = columns(values, weighted)
    ours = log_odds_histogram(*given_columns, 32.0, 8192)
    native = _native.log_odds_histogram(*given_columns, 32.0, 8192)
    for left, right in zip(ours, native, strict=True):
        assert left.tolist() == right.tolist()


@pytest.mark.skipif(not NATIVE, reason="the native extension is not installed")
def test_the_extension_refuses_what_it_can_not_read() -> None:
    from xent import _native

    score, label, weight, probability = columns([0.0, 1.0], True)
    with pytest.raises(ValueError, match="NaN"):
        _native.log_odds_histogram(score * np.nan, label, weight, probability, 32.0, 8)
    with pytest.raises(ValueError, match="columns must have the same length"):
        _native.log_odds_histogram(score, label[:1], weight, probability, 32.0, 8)
    with pytest.raises(ValueError, match="bins and limit must be positive"):
        _native.log_odds_histogram(score, label, weight, probability, 32.0, 0)
    with pytest.raises(TypeError):
        _native.log_odds_histogram(score, label.astype(float), weight, probability, 32.0, 8)


def test_strided_columns_are_read() -> None:
    score, label, weight, probability = columns([0.5, -1.0, 2.0, 7.0], True)
    every_other = Histogram.of(score[::2], label[::2], weight[::2], probability[::2])
    copied = Histogram.of(*(column[::2].copy() for column in (score, label, weight, probability)))
    assert every_other.weight.tolist() == copied.weight.tolist()
    assert every_other.probability_weight.sum() == copied.probability_weight.sum()


def test_infinite_scores_fall_into_the_end_bins() -> None:
    score = np.array([-np.inf, np.inf, 0.0])
    histogram = Histogram.of(score, np.array([0, 1, 1], np.uint8), None, np.array([0.0, 1.0, 0.5]))
    assert np.flatnonzero(histogram.weight).tolist() == [0, 4096, 8191]


def test_a_nan_score_is_an_input_error() -> None:
    one = np.ones(1)
    with pytest.raises(InputError) as caught:
        Histogram.of(one * np.nan, one.astype(np.uint8), None, one)
    assert str(caught.value) == (
        "histogram: score must be a number; got NaN. Look for NaN in the predictions."
    )
