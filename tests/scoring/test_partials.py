"""Partial sums: any split and any order give the same scores, and scikit-learn agrees."""

from __future__ import annotations

import math
from functools import reduce
from operator import add

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from xent._errors import InputError
from xent._links import log_softmax
from xent.scoring import Partials, wilson_interval


def make_rows(
    rows: int, classes: int, seed: int = 0, scale: float = 2.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    logs = log_softmax(random.normal(scale=scale, size=(rows, classes)))
    return logs, random.integers(0, classes, rows), random.exponential(size=rows)


def read(partials: Partials) -> tuple[object, ...]:
    return (
        partials.rows,
        partials.log_loss,
        partials.log_loss_se,
        partials.brier,
        partials.brier_se,
        partials.accuracy,
        partials.effective_rows,
        partials.infinite_rows,
        partials.row_sums,
    )


# Few rows and many cuts: chunks of one row and empty chunks are where merging would go wrong.
@settings(max_examples=40)
@given(
    st.integers(0, 30),
    st.integers(2, 4),
    st.lists(st.integers(0, 30), max_size=4),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_split_and_order_do_not_show(
    rows: int, classes: int, cuts: list[int], weighted: bool, random: object
) -> None:
    logs, target, weight = make_rows(rows, classes)
    whole_weight = weight if weighted else None
    order = list(range(rows))
    random.shuffle(order)  # type: ignore[attr-defined]
    chunks = np.split(np.array(order, dtype=np.intp), sorted(min(cut, rows) for cut in cuts))
    parts = [
        Partials.from_rows(logs[chunk], target[chunk], weight[chunk] if weighted else None)
        for chunk in chunks
    ]
    merged = reduce(add, parts)
    whole = Partials.from_rows(logs, target, whole_weight)
    np.testing.assert_equal(read(merged), read(whole))
    counts = (merged.histogram.weight, merged.histogram.label_weight, merged.class_weight)
    expected = (whole.histogram.weight, whole.histogram.label_weight, whole.class_weight)
    for left, right in zip(counts, expected, strict=True):
        # Counts are exact; weights are rounded in the order in which they come.
        np.testing.assert_allclose(left, right, rtol=1e-14 if weighted else 0.0)
    np.testing.assert_allclose(
        merged.histogram.probability_weight, whole.histogram.probability_weight, rtol=1e-13
    )


@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 10))
def test_merging_is_associative_and_commutative(one: int, two: int, three: int) -> None:
    a, b, c = (Partials.from_rows(*make_rows(n, 3, seed=n)[:2]) for n in (one, two, three))
    np.testing.assert_equal(read((a + b) + c), read(a + (b + c)))
    np.testing.assert_equal(read(a + b), read(b + a))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [2, 5])
def test_means_equal_scikit_learn(classes: int, weighted: bool) -> None:
    logs, target, weight = make_rows(400, classes)
    weights = weight if weighted else None
    partials = Partials.from_rows(logs, target, weights)
    probabilities = np.exp(logs)
    labels = list(range(classes))
    expected = sklearn.metrics.log_loss(target, probabilities, sample_weight=weights, labels=labels)
    assert partials.log_loss == pytest.approx(expected, rel=1e-12)
    error = (probabilities - np.eye(classes)[target]) ** 2
    per_row = error[:, 1] if classes == 2 else error.sum(axis=1)
    assert partials.brier == pytest.approx(np.average(per_row, weights=weights), rel=1e-12)
    accuracy = sklearn.metrics.accuracy_score(target, logs.argmax(axis=1), sample_weight=weights)
    assert partials.accuracy == pytest.approx(accuracy, rel=1e-12)
    assert partials.class_shares.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(("share", "count"), [(0.0, 10), (0.2, 50), (0.656, 50_000), (1.0, 3)])
def test_wilson_equals_statsmodels(share: float, count: int) -> None:
    expected = proportion_confint(share * count, count, method="wilson")
    assert wilson_interval(share, count) == pytest.approx(expected, abs=1e-12)


def test_a_probability_of_zero_at_the_true_class_is_an_infinite_loss() -> None:
    logs = np.array([[0.0, -np.inf], [np.log(0.5), np.log(0.5)]])
    partials = Partials.from_rows(logs, [1, 0])
    assert partials.log_loss == math.inf
    assert partials.log_loss_se is None
    assert partials.infinite_rows == 1
    assert Partials.from_rows(logs, [0, 0]).infinite_rows == 0
    assert Partials.from_rows(logs, [1, 0], [0.0, 1.0]).log_loss == pytest.approx(math.log(2))


def test_a_row_without_any_probability_is_an_infinite_loss_at_even_odds() -> None:
    partials = Partials.from_rows([[-np.inf, -np.inf]], [1])
    assert partials.log_loss == math.inf
    assert np.flatnonzero(partials.histogram.weight).tolist() == [4096]


def test_ties_go_to_the_lower_class() -> None:
    assert Partials.from_rows(np.log([[0.5, 0.5]]), [0]).accuracy == 1.0
    assert Partials.from_rows(np.log([[0.5, 0.5]]), [1]).accuracy == 0.0


def test_rows_are_scored_as_they_are() -> None:
    partials = Partials.from_rows(np.log([[0.8, 0.8]]), [1])
    assert partials.log_loss == pytest.approx(-math.log(0.8))
    assert partials.row_sums.mean == pytest.approx(1.6)


def test_top_label_log_odds_keep_confident_rows_apart() -> None:
    logs = log_softmax(np.array([[20.0, 0.0, 0.0], [25.0, 0.0, 0.0]]))
    bins = np.flatnonzero(Partials.from_rows(logs, [0, 0]).histogram.weight)
    assert (bins[1] - bins[0]) / 128.0 == pytest.approx(5.0, abs=0.01)


@pytest.mark.parametrize(
    ("logs", "target", "weight", "message"),
    [
        (
            [[0.0]],
            [0],
            None,
            "score: log_probabilities must be of shape (rows, classes) with 2 or more classes; got "
            "shape (1, 1). Give one column of log-probabilities for each class.",
        ),
        (
            [[-1.0, -1.0], [math.nan, 0.0]],
            [0, 1],
            None,
            "score: log_probabilities must be below infinity and not NaN; got [nan, 0.0] in row 1. "
            "Look for a logit that overflowed in the model that made them.",
        ),
        (
            [[-1.0, -1.0]],
            [2],
            None,
            "score: target must be class indices from 0 to 1; got 2 to 2. "
            "Give the column number of each row's true class, counted from 0.",
        ),
        (
            [[-1.0, -1.0]],
            [0.5],
            None,
            "score: target must be whole numbers; got dtype float64. "
            "Give the column number of each row's true class, counted from 0.",
        ),
        (
            [[-1.0, -1.0]],
            [[1]],
            None,
            "score: target must be of shape (1,); got shape (1, 1). "
            "Give one class index for each row.",
        ),
        (
            [[-1.0, -1.0]],
            [1],
            [-1.0],
            "score: weight must be finite and not negative; got -1.0 to -1.0. "
            "Give 0 to leave a row out.",
        ),
        (
            [[-1.0, -1.0]],
            [1],
            [1.0, 1.0],
            "score: weight must be of shape (1,); got shape (2,). Give one weight for each row.",
        ),
    ],
)
def test_bad_rows_are_one_line_errors(
    logs: list[list[float]], target: list[float], weight: list[float] | None, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        Partials.from_rows(logs, target, weight)
    assert str(caught.value) == message


def test_unlike_partials_do_not_merge() -> None:
    two = Partials.from_rows(*make_rows(3, 2)[:2])
    three = Partials.from_rows(*make_rows(3, 3))
    with pytest.raises(InputError) as caught:
        two + three
    assert str(caught.value) == (
        "merge: partial sums must be of 2 classes, not weighted; got 3 classes, weighted. "
        "Score every chunk in the same way."
    )
