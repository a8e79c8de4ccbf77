"""Collinear columns are named, and independent ones are left in peace."""

from __future__ import annotations

import numpy as np
import pytest

from xent.study._optimum._collinearity import orthogonalise, triangular_factor


def columns(rows=200, width=5, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, width))


def test_columns_are_orthogonal_and_lead_back():
    features = columns() @ np.random.default_rng(1).normal(size=(5, 5)) + 7.0
    design = orthogonalise(features)
    assert design.collinear == ()
    np.testing.assert_allclose(design.columns.T @ design.columns / 200, np.eye(5), atol=1e-12)
    np.testing.assert_allclose(design.columns.mean(axis=0), 0.0, atol=1e-13)
    point = np.random.default_rng(2).normal(size=(2, 6))
    theta = point @ design.back.T
    logits = design.columns @ point[:, :-1].T + point[:, -1]
    np.testing.assert_allclose(features @ theta[:, :-1].T + theta[:, -1], logits, atol=1e-11)
    np.testing.assert_allclose(design.coordinates(theta), point, rtol=1e-10)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda x: np.c_[x, x[:, 0] - 2 * x[:, 3]], ((0, 3, 5),)),
        (lambda x: np.c_[x, 4.0 * x[:, 2] + 1.0], ((2, 5),)),
        (lambda x: np.c_[x, np.full(len(x), 3.3)], ((5,),)),
        (lambda x: np.c_[x, np.zeros(len(x))], ((5,),)),
        (lambda x: np.c_[np.eye(3)[np.arange(len(x)) % 3], x], ((0, 1, 2),)),
        (lambda x: np.c_[x, x[:, 1], x[:, 2] + 5.0], ((1, 5), (2, 6))),
        (lambda x: np.c_[x, 1e6 * (x[:, 0] + x[:, 1])], ((0, 1, 5),)),
        (lambda x: np.c_[x, 1e-6 * (x[:, 0] + x[:, 1])], ((0, 1, 5),)),
    ],
    ids=["sum", "copy", "constant", "zero", "dummies", "two groups", "large", "small"],
)
def test_collinear_columns_are_named(build, expected):
    assert orthogonalise(build(columns())).collinear == expected


@pytest.mark.parametrize("offset", [0.0, 1.0, 1e4])
def test_badly_scaled_but_independent_columns(offset):
    scale = 10.0 ** np.array([-6, -3, 0, 3, 6])
    assert orthogonalise((columns() + offset) * scale).collinear == ()


def test_strong_correlation_is_not_dependence():
    x = columns()
    nearly = np.c_[x, x[:, 0] + 1e-7 * np.random.default_rng(4).normal(size=len(x))]
    assert orthogonalise(nearly).collinear == ()


def test_powers_are_independent():
    x = np.linspace(-1, 1, 300)
    assert orthogonalise(np.stack([x**power for power in range(1, 9)], axis=1)).collinear == ()


def test_fewer_rows_than_columns():
    design = orthogonalise(columns(rows=4, width=7))
    assert design.columns.shape == (4, 3)
    assert len(design.collinear) == 4


def test_least_norm():
    """A column given twice shares its coefficient."""
    x = columns(width=1)
    design = orthogonalise(np.c_[x, x])
    np.testing.assert_allclose(design.back[0], design.back[1], rtol=1e-12)


def test_no_columns():
    design = orthogonalise(np.zeros((5, 0)))
    assert design.columns.shape == (5, 0)
    assert design.back.tolist() == [[1.0]]


def test_factor_does_not_depend_on_blocks():
    x = columns()
    whole = triangular_factor([x], 5)
    parts = triangular_factor(np.array_split(x, 7), 5)
    np.testing.assert_allclose(whole.T @ whole, parts.T @ parts, rtol=1e-12)
    np.testing.assert_allclose(whole.T @ whole, x.T @ x, rtol=1e-12)
