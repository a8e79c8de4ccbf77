"""Separation is found where it is, and never where a single row overlaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog

from xent.study._optimum._collinearity import orthogonalise
from xent.study._optimum._maximum_likelihood import fit_maximum_likelihood
from xent.study._optimum._separation import find_separation, overlap_is_certain


def separation(features, target, classes, **options):
    return find_separation(
        orthogonalise(np.asarray(features, dtype=float)).columns,
        np.asarray(target),
        classes,
        **options,
    )


def overlaps(features, target, classes):
    """The dual, in the features' own units: weights of at least 1 that balance all pairs."""
    design = np.c_[features, np.ones(len(features))]
    pairs = []
    for row, label in zip(design, target, strict=True):
        for other in set(range(classes)) - {int(label)}:
            whole = np.zeros((classes, design.shape[1]))
            whole[label] += row
            whole[other] -= row
            pairs.append(whole[1:].ravel())
    matrix = np.array(pairs).T
    answer = linprog(
        np.ones(matrix.shape[1]), A_eq=matrix, b_eq=np.zeros(len(matrix)), bounds=(1, None)
    )
    assert answer.status in (0, 2)
    return answer.status == 0


LINE = np.array([[-3.0], [-2.0], [-1.0], [1.0], [2.0], [3.0]])
RANDOM = np.random.default_rng(0)
NORMAL = RANDOM.normal(size=(60, 3))
NOISE = (RANDOM.random(60) < 0.5).astype(int)
DUMMY = np.r_[np.ones(7), np.zeros(53)]
NOISE_WITH_DUMMY = np.where(DUMMY == 1, 1, NOISE)
ONE_AGAINST = NOISE_WITH_DUMMY.copy()
ONE_AGAINST[3] = 0
THREE = np.r_[np.zeros(20, int), 1 + NOISE[20:]]
SHIFTED = NORMAL.copy()
SHIFTED[:20, 0] += 20.0
SHIFTED_BACK = SHIFTED.copy()
SHIFTED_BACK[5, 0] = SHIFTED[20:, 0].min() - 3.0
SHIFTED_BACK[6] = SHIFTED[25] + 1e-3

CASES = {
    "complete on a line": (LINE, [0, 0, 0, 1, 1, 1], 2, True),
    "complete, other way": (LINE, [1, 1, 1, 0, 0, 0], 2, True),
    "tie at the boundary": (np.r_[LINE, [[0.0], [0.0]]], [0, 0, 0, 1, 1, 1, 0, 1], 2, True),
    "overlap by one row": (np.r_[LINE, [[-1.1]]], [0, 0, 0, 1, 1, 1, 1], 2, False),
    "overlap by little": (np.r_[LINE, [[-1.0 - 1e-7]]], [0, 0, 0, 1, 1, 1, 1], 2, False),
    "two values, all tied": (np.sign(LINE), [0, 1, 0, 1, 0, 1], 2, False),
    "dummy of one class": (np.c_[NORMAL, DUMMY], NOISE_WITH_DUMMY, 2, True),
    "dummy but for one row": (np.c_[NORMAL, DUMMY], ONE_AGAINST, 2, False),
    "three on a line": (LINE, [0, 0, 1, 1, 2, 2], 3, True),
    "three mixed on a line": (LINE, [0, 1, 2, 0, 1, 2], 3, False),
    "middle class between": (np.tile(LINE, (2, 1)), [0] * 3 + [1] * 3 + [2, 0] * 3, 3, False),
    "one class of three apart": (SHIFTED, THREE, 3, True),
    "apart but for two rows": (SHIFTED_BACK, THREE, 3, False),
    "class without rows": (NORMAL, NOISE, 3, True),
    "noise": (NORMAL, NOISE, 2, False),
    "one class only": (NORMAL, np.zeros(60, int), 2, True),
}


@pytest.mark.parametrize("case", CASES)
def test_linear_program(case):
    features, target, classes, expected = CASES[case]
    assert separation(features, target, classes).found is expected


@pytest.mark.parametrize("case", [case for case in CASES if "little" not in case])
def test_cases_are_as_they_say(case):
    features, target, classes, expected = CASES[case]
    assert overlaps(features, np.asarray(target), classes) is not expected


@pytest.mark.parametrize("case", CASES)
def test_fit_names_it(case):
    features, target, classes, expected = CASES[case]
    found = fit_maximum_likelihood(np.asarray(features, float), np.asarray(target), classes)
    assert found.status == ("separable" if expected else "maximum")
    assert (found.standard_errors is None) is expected
    assert (found.covariance is None) is expected


def test_direction_is_verified():
    features, target, classes, _ = CASES["one class of three apart"]
    columns = orthogonalise(features).columns
    direction = find_separation(columns, target, classes).direction
    logits = np.c_[np.zeros(60), columns @ direction[:, :-1].T + direction[:, -1]]
    margins = logits[np.arange(60), target][:, None] - logits
    assert margins.min() > -1e-12
    assert margins.max() > 1e-3


SMALL = {"min_value": -2, "max_value": 2}


@given(st.data())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_small_whole_numbers_against_the_dual_program(data):
    """Whole numbers from -2 to 2 are full of ties, where quasi-complete separation lives."""
    classes = data.draw(st.integers(2, 4), label="classes")
    count = data.draw(st.integers(4, 24), label="rows")
    width = data.draw(st.integers(1, 3), label="features")
    features = data.draw(arrays(np.float64, (count, width), elements=st.integers(**SMALL)))
    target = data.draw(arrays(np.intp, count, elements=st.integers(0, classes - 1)))
    expected = not overlaps(features, target, classes)
    assert separation(features, target, classes).found is expected
    found = fit_maximum_likelihood(features, target, classes)
    assert found.status.startswith("separable") is expected
    assert "nearly" not in found.status


def test_program_grows_by_what_it_violates():
    """Far more rows than the first program holds, one of them against."""
    random = np.random.default_rng(7)
    x = random.normal(size=(30_000, 2))
    target = (x[:, 0] + 0.3 * x[:, 1] > 0).astype(int)
    assert separation(x, target, 2).found is True
    apart = np.argmax(np.abs(x[:, 0] + 0.3 * x[:, 1]))
    target[apart] = 1 - target[apart]
    assert separation(x, target, 2).found is False


def test_out_of_time_is_undecided():
    features, target, classes, _ = CASES["one class of three apart"]
    assert separation(features, target, classes, time_limit=0.0).found is None


def test_wrong_candidate_does_no_harm():
    features, target, classes, _ = CASES["dummy but for one row"]
    candidate = np.array([[0.0, 0.0, 0.0, 1.0, 0.0]])
    assert separation(features, target, classes, candidate=candidate).found is False


def test_candidate_is_polished():
    """A direction that is off by 1e-9 is moved onto its ties and verified without a solver."""
    features, target, _, _ = CASES["dummy of one class"]
    columns = orthogonalise(features).columns
    exact = np.linalg.lstsq(np.c_[columns, np.ones(60)], features[:, 3], rcond=None)[0]
    found = find_separation(columns, target, 2, (exact + 1e-9)[None], time_limit=0.0)
    assert found.found


def test_certificate_is_exact_in_one_dimension():
    """Rows -1 and 1, one of each class at both, have p' = p (1 - z + mean z) > 0 up to |z| < 1."""
    columns = np.array([[-1.0], [1.0], [-1.0], [1.0]])
    zero = np.zeros((1, 2))
    assert overlap_is_certain(np.array([[0.9, 0.0]]), columns, zero)
    assert not overlap_is_certain(np.array([[1.1, 0.0]]), columns, zero)
    assert not overlap_is_certain(np.array([[np.nan, 0.0]]), columns, zero)
