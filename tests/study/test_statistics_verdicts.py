"""The five verdicts, and what would decide an open one."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xent import InputError
from xent.study._statistics import (
    IDENTICAL,
    VERDICTS,
    Difference,
    Needed,
    crossed,
    needed,
    paired_rows,
    resampled,
    verdict,
)
from xent.study._statistics._verdicts import _decides


def difference(mean, error=0.1, degrees=1e6):
    return Difference(mean, error, degrees, "")


@pytest.mark.parametrize(
    ("mean", "margin", "expected"),
    [
        (0.0, 0.5, "equivalent"),
        (0.15, 0.5, "equivalent"),
        (0.25, 0.5, "different but negligible"),
        (-0.25, 0.5, "different but negligible"),
        (0.45, 0.5, "different"),
        (0.8, 0.5, "different"),
        (0.1, 0.2, "inconclusive"),
        (0.0, None, "inconclusive"),
        (0.3, None, "different"),
    ],
)
def test_the_rule(mean, margin, expected):
    assert verdict(difference(mean), margin) == expected


def test_identical_needs_no_test():
    open_question = difference(1e-7, error=1.0)
    assert verdict(open_question, None, largest_gap=IDENTICAL) == "identical"
    assert verdict(open_question, None, largest_gap=2e-6) == "inconclusive"
    assert verdict(open_question, None, largest_gap=1e-3, tolerance=1e-2) == "identical"
    # A tiny probability may change by little and its logarithm by much.
    assert verdict(difference(0.5, error=0.01), None, largest_gap=1e-9) == "different"


def test_another_p_value_takes_the_place_of_the_difference_s_own():
    assert verdict(difference(0.25), None, p_difference=0.06) == "inconclusive"
    assert verdict(difference(0.25), 0.5, p_difference=0.06) == "equivalent"
    assert verdict(difference(0.0), 0.5, p_difference=0.01) == "different but negligible"


def test_the_level_moves_both_tests():
    assert verdict(difference(0.18), 0.35, level=0.95) == "equivalent"
    assert verdict(difference(0.18), 0.35, level=0.9) == "different but negligible"
    assert verdict(difference(0.18), 0.35, level=0.999) == "inconclusive"


@pytest.mark.parametrize("margin", [0.0, -1.0, np.inf, np.nan])
def test_margins_that_are_none(margin):
    with pytest.raises(InputError, match="verdict: margin must be above 0 and finite, in nats"):
        verdict(difference(0.1), margin)


@pytest.mark.parametrize("level", [0.5, 1.0, 95])
def test_levels_that_are_none(level):
    with pytest.raises(InputError, match=r"verdict: level must be above 0\.5 and below 1"):
        verdict(difference(0.1), 0.1, level)


ROWS = np.random.default_rng(0).normal(0.01, 1.0, size=40)


@settings(max_examples=60, deadline=None)
@given(
    shift=st.floats(-0.5, 0.5),
    margin=st.one_of(st.none(), st.floats(0.01, 1.0)),
    level=st.floats(0.8, 0.99),
    comparisons=st.integers(1, 6),
)
def test_what_is_needed_is_the_smallest_number_that_decides(shift, margin, level, comparisons):
    found = paired_rows(ROWS + shift)
    assert verdict(found, margin, level) in VERDICTS
    answer = needed(found, margin, level, comparisons=comparisons)
    assume(answer is not None)
    assert answer.unit == "rows"
    assert _decides(found, 0, answer.count, margin, level, comparisons)
    if answer.count > 20:
        assert not _decides(found, 0, answer.count - 1, margin, level, comparisons)


def test_what_is_needed_decides_a_sample_with_the_same_mean_and_spread():
    """A larger sample of the very same values is judged as was foretold."""
    values = np.tile([0.1, -0.3, 0.2, 0.4, 0.0, -0.2], 4)
    margin = 0.08
    assert verdict(paired_rows(values), margin) == "inconclusive"
    count = needed(paired_rows(values), margin).count
    repeats = -(-count // 6)
    larger = np.tile(values[:6], repeats + 1)
    assert verdict(paired_rows(larger), margin) == "equivalent"
    assert verdict(paired_rows(np.tile(values[:6], repeats - 2)), margin) == "inconclusive"


def test_more_seeds_are_asked_for_where_seeds_are_what_varies():
    random = np.random.default_rng(1)
    noisy_seeds = random.normal(0.02, 0.1, size=(4, 1)) + random.normal(0, 0.01, size=(1, 500))
    found = needed(crossed(noisy_seeds), margin=0.05)
    assert found.unit == "seeds"
    assert found.count > 4
    noisy_rows = random.normal(0.0, 0.001, size=(4, 1)) + random.normal(0, 1.0, size=(1, 500))
    assert needed(crossed(noisy_rows), margin=0.05).unit == "rows"


def test_no_number_of_splits_can_take_the_shared_part_away():
    random = np.random.default_rng(2)
    halves = resampled(random.normal(0.0, 1.0, size=10), 1.0)
    assert needed(halves, margin=0.5) is None
    assert needed(halves, margin=3.0).unit == "splits"


def test_clusters_are_counted_as_clusters():
    groups = np.repeat(np.arange(20), 5)
    found = paired_rows(np.random.default_rng(3).normal(size=100), None, groups)
    assert needed(found, margin=0.1).unit == "clusters"


def test_nothing_is_needed_that_can_not_be_told():
    assert needed(paired_rows([0.1]), margin=0.1) is None
    assert needed(paired_rows([1.0, -1.0]), margin=None) is None
    assert needed(paired_rows([0.0, 1e-12, 0.0]), margin=None) != Needed(0, "rows")
