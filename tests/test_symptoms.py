"""Symptoms: each test fires on what it names, and stays silent beside it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from xent import _symptoms as symptoms


def softmax_rows(classes: int, scale: float = 3.0, rows: int = 200) -> np.ndarray:
    z = np.random.default_rng(classes).normal(scale=scale, size=(rows, classes))
    return np.asarray(scipy.special.softmax(z, axis=1))


# float16 is the coarsest storage that must pass; 1000 classes bring its subnormals into play.
@pytest.mark.parametrize("classes", [2, 10, 1000])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_storage_rounding_of_probabilities_passes(classes: int, dtype: type) -> None:
    stored = softmax_rows(classes).astype(dtype).astype(np.float64)
    assert symptoms.row_sums(stored).are_one


def test_storage_rounding_of_log_probabilities_passes() -> None:
    # Equal probabilities all round the same way, which is the worst that rounding can do.
    for classes in range(2, 500):
        row = np.full((1, classes), -np.log(classes))
        stored = row.astype(np.float16).astype(np.float64)
        assert symptoms.row_sums(np.exp(stored)).are_one, classes


@pytest.mark.parametrize("fault", [0.99, 1.01])
def test_one_row_off_by_a_hundredth_is_seen(fault: float) -> None:
    probabilities = softmax_rows(2)
    probabilities[7] *= fault
    sums = symptoms.row_sums(probabilities)
    assert not sums.are_one
    assert min(sums.least, 1.0) == pytest.approx(min(fault, 1.0))
    assert max(sums.greatest, 1.0) == pytest.approx(max(fault, 1.0))


def test_a_nan_row_does_not_pass() -> None:
    assert not symptoms.row_sums(np.array([[np.nan, 0.5], [0.5, 0.5]])).are_one


@given(st.integers(1, 30), st.integers(2, 12), st.integers(0, 30))
def test_sums_of_rows_do_not_depend_on_chunks(rows: int, classes: int, cut: int) -> None:
    values = np.random.default_rng(rows * classes).random((rows, classes))
    chunks = [values[:cut], values[cut:]]
    parts = np.concatenate([symptoms.sums_of_rows(np.asfortranarray(part)) for part in chunks])
    assert parts.tolist() == symptoms.sums_of_rows(values).tolist()


def test_outside_unit_interval_counts_logits_and_nan() -> None:
    values = np.array([[2.0, -1.0], [1.0000001, 0.0], [np.nan, 0.5]])
    assert symptoms.outside_unit_interval(values).count == 3
    found = symptoms.outside_unit_interval(np.array([[2.0, -1.0]]))
    assert (found.least, found.greatest) == (-1.0, 2.0)


def test_softmax_over_rows_is_told_from_softmax_over_classes() -> None:
    z = np.random.default_rng(0).normal(size=(40, 3))
    assert symptoms.is_softmax_over_rows(scipy.special.softmax(z, axis=0))
    assert not symptoms.is_softmax_over_rows(scipy.special.softmax(z, axis=1))
    assert not symptoms.is_softmax_over_rows(np.eye(3))


def test_single_column_of_ones() -> None:
    assert symptoms.is_single_column_of_ones(np.ones((5, 1)))
    assert not symptoms.is_single_column_of_ones(np.ones((5, 2)))
    assert not symptoms.is_single_column_of_ones(np.full((5, 1), 0.5))


# 1 000 classes: there the ceiling, e / (e + 999), is close to uniform.
@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
def test_double_softmax_ceiling_and_floor_are_what_softmax_gives(classes: int) -> None:
    sure = np.zeros((1, classes))
    sure[0, 0] = 1.0
    largest = float(scipy.special.softmax(sure, axis=1)[0, 0])
    assert symptoms.largest_softmax_of_probabilities(classes) == pytest.approx(largest)
    assert symptoms.double_softmax_loss_floor(classes) == pytest.approx(-np.log(largest))
    twice = scipy.special.softmax(softmax_rows(classes, scale=30.0), axis=1)
    assert symptoms.never_leaves_double_softmax(twice)
    assert not symptoms.never_leaves_double_softmax(softmax_rows(classes, scale=30.0))


def test_double_sigmoid_range() -> None:
    once = scipy.special.expit(np.linspace(-20, 20, 100))
    twice = scipy.special.expit(once)
    assert symptoms.never_leaves_double_sigmoid(np.column_stack([1 - twice, twice]))
    assert not symptoms.never_leaves_double_sigmoid(np.column_stack([twice, 1 - twice]))
    assert not symptoms.never_leaves_double_sigmoid(np.column_stack([1 - once, once]))
