"""Paired differences against statsmodels, scipy and closed forms."""

import math
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from xent import InputError
from xent.study._statistics import (
    Difference,
    Source,
    combined_five_by_two,
    crossed,
    paired_rows,
    resampled,
)
from xent.study._statistics._difference import half_width

EXACT = {"rel": 1e-8, "abs": 1e-300}


def sample(rows=80, shift=0.1, seed=0):
    random = np.random.default_rng(seed)
    first = random.gamma(1.5, size=rows)
    return first, first + random.normal(shift, 0.4, size=rows)


@pytest.mark.parametrize("margin", [0.05, 0.2, 1.0])
def test_paired_rows_and_tost_are_those_of_statsmodels_and_scipy(margin):
    first, second = sample()
    difference = paired_rows(first - second)
    test = stats.ttest_rel(first, second)
    assert difference.p_value == pytest.approx(test.pvalue, **EXACT)
    assert difference.degrees == test.df
    for level in (0.8, 0.95, 0.999):
        ends = test.confidence_interval(level)
        assert difference.interval(level) == pytest.approx((ends.low, ends.high), **EXACT)
    p_value, _, _ = ttost_paired(first, second, -margin, margin)
    assert difference.equivalence_p(margin) == pytest.approx(p_value, **EXACT)


def test_weights_are_those_of_a_robust_weighted_regression():
    first, second = sample()
    weight = np.random.default_rng(1).gamma(2.0, size=len(first))
    difference = paired_rows(first - second, weight)
    fit = sm.WLS(first - second, np.ones(len(first)), weights=weight).fit(cov_type="HC1")
    assert difference.mean == pytest.approx(fit.params[0], **EXACT)
    assert difference.standard_error == pytest.approx(fit.bse[0], **EXACT)
    effective = np.sum(weight**2) ** 2 / np.sum(weight**4)
    assert difference.degrees == pytest.approx(effective - 1, **EXACT)
    scaled = paired_rows(first - second, 7 * weight).standard_error
    assert scaled == pytest.approx(difference.standard_error, **EXACT)


@pytest.mark.parametrize("weighted", [False, True])
def test_clusters_are_those_of_a_cluster_robust_regression(weighted):
    first, second = sample(rows=120)
    random = np.random.default_rng(2)
    groups = random.integers(15, size=120)
    weight = random.gamma(2.0, size=120) if weighted else np.ones(120)
    difference = paired_rows(first - second, weight if weighted else None, groups)
    fit = sm.WLS(first - second, np.ones(120), weights=weight).fit(
        cov_type="cluster", cov_kwds={"groups": groups}
    )
    assert difference.standard_error == pytest.approx(fit.bse[0], **EXACT)
    assert difference.degrees < 14
    assert "15 clusters of rows" in difference.design


def test_clusters_of_one_row_are_rows_and_equal_clusters_have_whole_degrees():
    first, second = sample()
    plain, alone = paired_rows(first - second), paired_rows(first - second, None, np.arange(80))
    assert plain.standard_error == pytest.approx(alone.standard_error, rel=1e-14)
    assert alone.degrees == plain.degrees == 79
    assert paired_rows(first - second, None, np.arange(80) // 8).degrees == 9


def test_a_row_of_weight_zero_is_no_row():
    first, second = sample()
    weight = np.r_[np.ones(70), np.zeros(10)]
    with_it, without = paired_rows(first - second, weight), paired_rows((first - second)[:70])
    assert with_it.design == without.design
    assert with_it.mean == pytest.approx(without.mean, **EXACT)
    assert with_it.standard_error == pytest.approx(without.standard_error, **EXACT)


def test_crossed_by_its_closed_form():
    values = np.random.default_rng(3).normal(size=(6, 50)) + np.arange(6)[:, None] / 10
    difference = crossed(values)
    of_rows = values.mean(axis=0).var(ddof=1) / 50
    of_seeds = values.mean(axis=1).var(ddof=1) / 6
    assert difference.mean == pytest.approx(values.mean(), **EXACT)
    assert difference.standard_error**2 == pytest.approx(of_rows + of_seeds, **EXACT)
    # Each variance with its own quantile of Student's t.
    half = math.sqrt(stats.t.ppf(0.975, 49) ** 2 * of_rows + stats.t.ppf(0.975, 5) ** 2 * of_seeds)
    low, high = difference.interval()
    assert high - difference.mean == pytest.approx(half, **EXACT)
    assert difference.mean - low == pytest.approx(half, **EXACT)
    alike = stats.t.ppf(0.975, difference.degrees) * difference.standard_error
    assert alike == pytest.approx(half, **EXACT)
    assert difference.design.endswith("6 seeds, crossed, 6 degrees of freedom")
    assert [source.unit for source in difference.sources] == ["rows", "seeds"]


def test_crossed_with_equal_seeds_is_paired_by_row():
    """Training without any noise: what is left is the sample of rows."""
    first, second = sample()
    rows = paired_rows(first - second)
    both = crossed(np.tile(first - second, (5, 1)))
    assert both.mean == pytest.approx(rows.mean, **EXACT)
    assert both.standard_error == pytest.approx(rows.standard_error, **EXACT)
    assert both.degrees == pytest.approx(rows.degrees, **EXACT)


def test_crossed_with_weights_and_clusters_takes_both():
    random = np.random.default_rng(4)
    values, weight = random.normal(size=(4, 60)), random.gamma(2.0, size=60)
    groups = np.arange(60) // 4
    difference = crossed(values, weight, groups)
    rows = paired_rows(values.mean(axis=0), weight, groups)
    seeds = np.average(values, axis=1, weights=weight)
    assert difference.mean == pytest.approx(rows.mean, **EXACT)
    assert difference.standard_error**2 == pytest.approx(
        rows.standard_error**2 + seeds.var(ddof=1) / 4, **EXACT
    )


@pytest.mark.parametrize("ratio", [0.25, 1.0, 1 / 9])
def test_resampled_by_its_closed_form(ratio):
    values = np.random.default_rng(5).normal(0.3, 1.0, size=10)
    difference = resampled(values, ratio)
    error = math.sqrt((1 / 10 + ratio) * values.var(ddof=1))
    assert difference.standard_error == pytest.approx(error, **EXACT)
    t = values.mean() / error
    assert difference.p_value == pytest.approx(2 * stats.t.sf(abs(t), 9), **EXACT)
    low, high = difference.interval(0.9)
    assert (low, high) == pytest.approx(stats.t.interval(0.9, 9, values.mean(), error), **EXACT)


def test_five_by_two_by_its_closed_form():
    values = np.random.default_rng(6).normal(0.2, 0.3, size=(5, 2))
    spread = sum((a - (a + b) / 2) ** 2 + (b - (a + b) / 2) ** 2 for a, b in values)
    test = combined_five_by_two(values)
    assert test.statistic == pytest.approx((values**2).sum() / (2 * spread), **EXACT)
    assert test.p_value == pytest.approx(stats.f.sf(test.statistic, 10, 5), **EXACT)


def test_five_by_two_without_variation():
    assert combined_five_by_two(np.zeros((5, 2))).p_value == 1.0
    assert combined_five_by_two(np.ones((5, 2))).p_value == 0.0
    with pytest.raises(InputError, match=r"of shape \(5, 2\); got shape \(2, 5\)"):
        combined_five_by_two(np.zeros((2, 5)))


@pytest.mark.parametrize(
    "difference",
    [
        paired_rows([0.1] * 7),
        paired_rows([0.1] * 7, np.arange(7.0)),
        crossed([[0.1] * 7] * 3),
        resampled([0.1] * 5, 0.25),
    ],
)
def test_no_variation_leaves_nothing_to_chance(difference):
    assert difference.mean == 0.1
    assert difference.standard_error == 0.0
    assert difference.interval() == (0.1, 0.1)
    assert difference.p_value == 0.0
    assert difference.equivalence_p(0.2) == 0.0
    assert difference.equivalence_p(0.1) == difference.equivalence_p(0.05) == 1.0


def test_no_difference_at_all():
    difference = paired_rows(np.zeros(9))
    assert difference.p_value == 1.0
    assert difference.equivalence_p(1e-9) == 0.0


@pytest.mark.parametrize(
    ("difference", "unit"),
    [
        (paired_rows([0.1]), "rows"),
        (paired_rows([0.1, 0.2], [1.0, 0.0]), "rows"),
        (paired_rows([0.1, 0.2, 0.4], None, [1, 1, 1]), "clusters"),
        (crossed([[0.1, 0.2, 0.3]]), "seeds"),
        (resampled([0.1], 0.25), "splits"),
    ],
)
def test_a_single_unit_says_nothing_about_chance(difference, unit):
    assert difference.interval() == (-math.inf, math.inf)
    assert difference.p_value == difference.equivalence_p(1e9) == 1.0
    assert unit in [source.unit for source in difference.sources if math.isinf(source.variance)]


def test_differences_are_not_sensitive_to_a_large_common_part():
    values = 1e9 + np.array([0.5, 0.25, 0.75, 0.5])
    assert paired_rows(values).standard_error == paired_rows(values - 1e9).standard_error
    assert paired_rows(values).mean == 1e9 + 0.5


VALUES = hnp.arrays(float, st.integers(2, 30), elements=st.floats(-10, 10, width=32))


@settings(max_examples=60, deadline=None)
@given(values=VALUES, margin=st.floats(1e-3, 20), level=st.floats(0.55, 0.999))
def test_tost_is_the_interval_within_the_margin(values, margin, level):
    """Rejecting at α and the interval of level 1 - 2 α inside ±margin are one and the same."""
    difference = paired_rows(values)
    alpha = 1 - level
    low, high = difference.interval(1 - 2 * alpha)
    assert 0.0 <= difference.equivalence_p(margin) <= 1.0
    if min(abs(margin - high), abs(margin + low)) > 1e-9:
        inside = -margin < low and high < margin
        assert (difference.equivalence_p(margin) < alpha) == inside


@settings(max_examples=60, deadline=None)
@given(values=VALUES, level=st.floats(0.55, 0.999))
def test_the_other_order_is_the_same_difference(values, level):
    one, other = paired_rows(values), paired_rows(-values)
    assert other.p_value == pytest.approx(one.p_value, rel=1e-9)
    low, high = one.interval(level)
    assert other.interval(level) == pytest.approx((-high, -low), rel=1e-9, abs=1e-12)
    assert other.equivalence_p(0.5) == pytest.approx(one.equivalence_p(0.5), rel=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: paired_rows([]),
            r"paired_rows: differences must be of shape \(rows,\); got shape \(0,\)\. "
            "Give at least one of the rows.",
        ),
        (
            lambda: paired_rows([0.1, math.inf]),
            r"paired_rows: differences must be finite; got inf at \[1\]\.",
        ),
        (
            lambda: paired_rows([0.1, 0.2], [1.0, -1.0]),
            r"paired_rows: weights must be of shape \(2,\), finite, at least 0 and not all 0; "
            "got -1 to 1.",
        ),
        (
            lambda: paired_rows([0.1, 0.2], None, [1]),
            r"paired_rows: groups must be of shape \(2,\); got shape \(1,\)\.",
        ),
        (
            lambda: crossed([0.1, 0.2]),
            r"crossed: differences must be of shape \(seeds, rows\); got shape \(2,\)\.",
        ),
        (
            lambda: resampled([0.1, 0.2], 0.0),
            "resampled: test_over_train must be above 0 and finite; got 0.",
        ),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_a_difference_of_sources_adds_their_variances():
    sources = (Source("rows", 10, 0.04, 9.0), Source("seeds", 3, 0.09, 2.0))
    difference = Difference.of_sources(1.0, sources, "test, {degrees}")
    assert difference.standard_error == pytest.approx(math.sqrt(0.13))
    half = math.sqrt(stats.t.ppf(0.95, 9) ** 2 * 0.04 + stats.t.ppf(0.95, 2) ** 2 * 0.09)
    assert difference.interval(0.9)[1] == pytest.approx(1.0 + half)
    assert difference.equivalence_p(1.0 + half) == pytest.approx(0.05, rel=1e-8)
    assert replace(difference, mean=half).p_value == pytest.approx(0.1, rel=1e-8)
    assert replace(difference, mean=0.0).p_value == 1.0
    assert 2.0 < difference.degrees < 9.0
    assert difference.design == "test, 2.3 degrees of freedom"


@given(
    st.lists(st.tuples(st.floats(1e-6, 1e6), st.integers(1, 10_000)), min_size=1, max_size=3),
    st.floats(1e-12, 0.49),
)
def test_p_values_and_intervals_of_any_sources_agree(parts, tail):
    sources = [Source(str(i), 2, v, float(d)) for i, (v, d) in enumerate(parts)]
    half = half_width(sources, 1.0 - tail)
    assume(1.0 - tail < 1.0)
    difference = Difference.of_sources(half, sources, "")
    assert difference.p_value == pytest.approx(2.0 * (1.0 - (1.0 - tail)), rel=1e-4, abs=1e-12)


def test_a_group_with_nearly_all_of_the_weight_tells_nothing():
    groups = np.r_[np.zeros(700), 1 + np.arange(300)]
    values = np.random.default_rng(1).normal(size=1000)
    difference = paired_rows(values, groups=groups)
    assert difference.interval() == (-math.inf, math.inf)
    assert difference.p_value == 1.0
    assert math.isfinite(paired_rows(values, groups=np.arange(1000) % 30).standard_error)
