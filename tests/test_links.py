"""Links: outputs to log-probabilities, held to mpmath and to each other."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from xent._errors import InputError
from xent._links import LINKS, Link, find_link, log_sigmoid, log_softmax

logits = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(2, 5)),
    elements=st.floats(-50, 50, allow_subnormal=False),
)


@pytest.mark.parametrize("z", [-745.0, -40.0, -1e-8, 0.0, 0.3, 17.0, 40.0, 700.0])
def test_log_sigmoid_equals_mpmath_in_both_tails(z: float) -> None:
    with mpmath.workdps(400):
        expected = -mpmath.log1p(mpmath.exp(-mpmath.mpf(z)))
        assert float(log_sigmoid(np.array([z]))[0]) == pytest.approx(float(expected), rel=4e-16)


@given(logits)
def test_log_softmax_equals_mpmath(z: np.ndarray) -> None:
    with mpmath.workdps(60):
        for row, result in zip(z, log_softmax(z), strict=True):
            total = sum(mpmath.exp(mpmath.mpf(float(v))) for v in row)
            for value, log_probability in zip(row, result, strict=True):
                expected = float(mpmath.mpf(float(value)) - mpmath.log(total))
                assert log_probability == pytest.approx(expected, rel=1e-14, abs=1e-300)


@given(logits, st.floats(-100, 100))
def test_softmax_does_not_see_a_shift(z: np.ndarray, shift: float) -> None:
    np.testing.assert_allclose(log_softmax(z + shift), log_softmax(z), atol=1e-12)


@pytest.mark.parametrize("name", sorted(LINKS))
def test_every_link_gives_rows_that_sum_to_one(name: str) -> None:
    outputs = 1 if name in {"sigmoid", "symmetric-softmax"} else 3
    z = np.random.default_rng(0).normal(scale=5.0, size=(50, outputs))
    sums = np.exp(LINKS[name].log_probabilities(z)).sum(axis=1)
    np.testing.assert_allclose(sums, 1.0, rtol=1e-14)


@pytest.mark.parametrize(("name", "outputs"), [("sigmoid", 1), ("symmetric-softmax", 1)])
def test_contrasts_of_one_output_give_the_log_odds_of_class_one(name: str, outputs: int) -> None:
    link = find_link(name)
    z = np.random.default_rng(1).normal(size=(20, outputs))
    logs = link.log_probabilities(z)
    assert link.contrasts is not None
    np.testing.assert_allclose(logs[:, 1:] - logs[:, :1], z @ link.contrasts(2).T, rtol=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_contrasts_of_softmax_give_the_log_odds_against_class_zero(classes: int) -> None:
    link = find_link("softmax")
    z = np.random.default_rng(2).normal(size=(20, classes))
    logs = link.log_probabilities(z)
    assert link.contrasts is not None
    assert link.log_odds_of == "reference"
    np.testing.assert_allclose(logs[:, 1:] - logs[:, :1], z @ link.contrasts(classes).T, rtol=1e-9)


def test_symmetric_softmax_is_the_softmax_of_the_symmetric_pair() -> None:
    z = np.linspace(-30, 30, 61)[:, None]
    pair = np.hstack([-z, z])
    np.testing.assert_allclose(
        find_link("symmetric-softmax").log_probabilities(z), log_softmax(pair), rtol=1e-13
    )


def test_normalised_sigmoid_is_each_sigmoid_over_their_sum() -> None:
    z = np.random.default_rng(3).normal(size=(10, 4))
    sigmoids = 1.0 / (1.0 + np.exp(-z))
    expected = sigmoids / sigmoids.sum(axis=1, keepdims=True)
    link = find_link("normalised-sigmoid")
    np.testing.assert_allclose(np.exp(link.log_probabilities(z)), expected, rtol=1e-13)


def test_a_link_passes_through_and_an_unknown_name_is_an_error() -> None:
    own = Link("own", "P = z", lambda z: z, None)
    assert find_link(own) is own
    with pytest.raises(InputError) as caught:
        find_link("logit")
    assert str(caught.value) == (
        "link must be one of sigmoid, symmetric-softmax, softmax, normalised-sigmoid, or an "
        "xent.Link of your own; got 'logit'. Say how the outputs become probabilities."
    )
