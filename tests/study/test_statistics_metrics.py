"""Tests and intervals of the other metrics against statsmodels, scipy, brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from xent import InputError
from xent.scoring import Calibration, auc
from xent.study._statistics import (
    area_values,
    bootstrap_intervals,
    crossed,
    delong,
    ece_interval,
    exact_mcnemar,
    friedman,
    holm,
    paired_bootstrap,
    paired_rows,
    wilcoxon,
    wilson,
)

EXACT = {"rel": 1e-8, "abs": 1e-300}


@pytest.mark.parametrize("only", [(0, 0), (1, 0), (7, 7), (3, 12), (40, 2), (359, 367)])
def test_mcnemar_is_that_of_statsmodels(only):
    first = np.r_[np.ones(5 + only[0], bool), np.zeros(only[1] + 4, bool)]
    second = np.r_[np.ones(5, bool), np.zeros(only[0], bool), np.ones(only[1], bool), [False] * 4]
    test = exact_mcnemar(first, second)
    assert (test.first_only, test.second_only) == only
    if sum(only):
        expected = mcnemar([[5, only[0]], [only[1], 4]], exact=True).pvalue
        assert test.p_value == pytest.approx(expected, **EXACT)
    else:
        assert test.p_value == 1.0


def test_mcnemar_refuses_other_rows():
    with pytest.raises(InputError, match=r"shapes \(1,\) and \(2,\)"):
        exact_mcnemar([True], [True, False])


@pytest.mark.parametrize(("right", "rows"), [(0, 10), (10, 10), (37, 50), (990, 1000)])
def test_wilson_is_that_of_statsmodels(right, rows):
    expected = proportion_confint(right, rows, 0.1, method="wilson")
    assert wilson(right / rows, rows, 0.9) == pytest.approx(expected, rel=1e-8, abs=1e-12)


def brute_areas(scores, positive):
    """DeLong's areas and covariance from the kernel of every pair of rows."""
    ones, zeros = scores[:, positive], scores[:, ~positive]
    kernel = (ones[:, :, None] > zeros[:, None, :]) + (ones[:, :, None] == zeros[:, None, :]) / 2
    covariance = np.atleast_2d(np.cov(kernel.mean(axis=2))) / ones.shape[1]
    covariance = covariance + np.atleast_2d(np.cov(kernel.mean(axis=1))) / zeros.shape[1]
    return kernel.mean(axis=(1, 2)), covariance


@pytest.mark.parametrize("ties", [False, True])
def test_delong_by_brute_force(ties):
    random = np.random.default_rng(7)
    positive = random.random(90) < 0.4
    scores = random.normal(size=(3, 90)) + positive * np.array([[0.5], [1.0], [0.0]])
    if ties:
        scores = scores.round(0)
    areas, covariance = brute_areas(scores, positive)
    found = delong(scores, positive)
    np.testing.assert_allclose(found.areas, areas, rtol=1e-10)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-8, atol=1e-15)
    gap, error = found.difference(1, 0)
    assert gap == pytest.approx(areas[1] - areas[0])
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert error == pytest.approx(np.sqrt(variance), rel=1e-8)
    low, high = found.interval(0)
    half = stats.norm.ppf(0.975) * np.sqrt(covariance[0, 0])
    assert (low, high) == pytest.approx((areas[0] - half, areas[0] + half), rel=1e-8)


def test_delong_refuses_one_class():
    with pytest.raises(InputError, match="2 or more of each kind; got shape"):
        delong(np.zeros((1, 3)), [True, True, False])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), weighted=st.booleans(), digits=st.integers(0, 3))
def test_values_of_rows_average_to_the_area(seed, weighted, digits):
    random = np.random.default_rng(seed)
    positive = np.r_[True, False, random.random(28) < 0.5]
    score = random.normal(size=30).round(digits)
    weight = random.gamma(1.0, size=30) if weighted else None
    values = area_values(score, positive, weight)
    expected = auc(score, positive, weight)
    assert np.average(values, weights=weight) == pytest.approx(expected, abs=1e-12)


def test_values_of_rows_have_delongs_error():
    """Up to the factors n / (n - 1) of rows in all and of each class."""
    random = np.random.default_rng(8)
    positive = random.random(3000) < 0.3
    scores = random.normal(size=(2, 3000)) + positive * np.array([[0.8], [1.0]])
    gap, error = delong(scores, positive).difference(1, 0)
    difference = paired_rows(area_values(scores[1], positive) - area_values(scores[0], positive))
    assert difference.mean == pytest.approx(gap, abs=1e-12)
    assert difference.standard_error == pytest.approx(error, rel=2e-3)


def test_weights_of_rows_repeat_them():
    random = np.random.default_rng(9)
    positive, score = random.random(40) < 0.5, random.normal(size=40)
    repeats = random.integers(1, 4, size=40)
    weighted = area_values(score, positive, repeats.astype(float))
    repeated = area_values(np.repeat(score, repeats), np.repeat(positive, repeats))
    np.testing.assert_allclose(np.repeat(weighted, repeats), repeated, atol=1e-12)


@pytest.mark.parametrize("size", [3, 12, 50])
def test_wilcoxon_exact_is_that_of_scipy(size):
    values = np.random.default_rng(size).normal(0.3, 1.0, size=size)
    test = wilcoxon(values)
    assert test.exact
    assert test.p_value == pytest.approx(stats.wilcoxon(values, method="exact").pvalue, **EXACT)
    assert test.positive_ranks + test.negative_ranks == size * (size + 1) / 2


@pytest.mark.parametrize("zeros", [0, 3])
def test_wilcoxon_with_ties_and_zeros_is_that_of_scipy(zeros):
    random = np.random.default_rng(zeros)
    values = np.r_[random.integers(1, 9, size=30) * random.choice([-1, 1], size=30), [0] * zeros]
    test = wilcoxon(values)
    # Ranks of zeros that go half to each side leave z as Pratt's method has it.
    expected = stats.wilcoxon(values, zero_method="pratt", correction=False, method="asymptotic")
    assert not test.exact
    assert test.p_value == pytest.approx(expected.pvalue, **EXACT)
    assert test.positive_ranks + test.negative_ranks == len(values) * (len(values) + 1) / 2


def test_wilcoxon_of_nothing_but_zeros_and_of_infinities():
    assert wilcoxon([0.0, 0.0, 0.0]).p_value == 1.0
    assert wilcoxon([np.inf, 1.0, 2.0, 3.0, 4.0, 5.0]).p_value == 2 / 2**6
    with pytest.raises(InputError, match="without NaN; got NaN"):
        wilcoxon([np.nan, 1.0])


def test_wilcoxon_by_enumeration():
    values = np.array([1.0, -2.0, 3.0, 4.0])
    sums = [sum(np.array(signs) * [1, 2, 3, 4]) for signs in itertools.product([0, 1], repeat=4)]
    assert wilcoxon(values).p_value == 2 * np.mean(np.array(sums) <= 2)


@pytest.mark.parametrize("digits", [0, 3])
def test_friedman_is_that_of_scipy(digits):
    losses = np.random.default_rng(11).normal([0, 0, 0.5, 1], size=(12, 4)).round(digits)
    test = friedman(losses)
    expected = stats.friedmanchisquare(*losses.T)
    assert test.chi_squared == pytest.approx(expected.statistic, **EXACT)
    assert test.p_value == pytest.approx(expected.pvalue, rel=0.3, abs=1e-3)
    ranks = stats.rankdata(losses, axis=1).mean(axis=0)
    assert test.mean_ranks == pytest.approx(ranks)
    z = [(ranks[j] - ranks[i]) / np.sqrt(4 * 5 / (6 * 12)) for j, i in test.pairs]
    adjusted = multipletests(2 * stats.norm.sf(np.abs(z)), method="holm")[1]
    assert test.p_pairs == pytest.approx(adjusted, **EXACT)


def test_friedman_of_equal_and_of_perfectly_ordered_procedures():
    assert friedman(np.ones((5, 3))).p_value == 1.0
    perfect = friedman(np.tile([1.0, 2.0, 3.0], (5, 1))).p_value
    assert perfect == pytest.approx(6 / 6**5, abs=4e-4)  # all rows in one of 6 orders
    with pytest.raises(InputError, match="two procedures go to wilcoxon"):
        friedman(np.ones((5, 2)))


@pytest.mark.parametrize("tied", [False, True])
def test_friedman_by_enumeration(tied):
    """Every way to order three procedures on three data sets, or in pairs of equal losses."""
    row = [1.5, 1.5, 3.0] if tied else [1.0, 2.0, 3.0]
    observed = np.array([row, row, [row[0], row[2], row[1]]])
    orders = np.array(list(itertools.permutations(row)))
    means = [np.mean(rows, axis=0) for rows in itertools.product(orders, repeat=3)]
    spread = ((np.array(means) - 2) ** 2).sum(axis=1)
    expected = np.mean(spread >= ((observed.mean(axis=0) - 2) ** 2).sum() - 1e-12)
    assert friedman(observed).p_value == pytest.approx(expected, abs=0.012)


@settings(max_examples=15, deadline=None)
@given(p_values=st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_that_of_statsmodels(p_values):
    expected = multipletests(p_values, method="holm")[1] if p_values else []
    assert holm(p_values) == pytest.approx(list(expected), rel=1e-12, abs=1e-300)


def test_the_bootstrap_of_a_mean_is_its_t_interval_for_many_rows():
    values = np.random.default_rng(12).gamma(2.0, size=4000) - 1.9
    interval = paired_bootstrap(values)
    t = paired_rows(values).interval()
    error = paired_rows(values).standard_error
    assert interval == pytest.approx(t, abs=0.15 * error)
    assert interval == paired_bootstrap(values)
    assert interval != paired_bootstrap(values, seed=1)


def test_the_bootstrap_redraws_seeds_too():
    random = np.random.default_rng(13)
    values = random.normal(size=(12, 1, 1)) + random.normal(size=(1, 1, 900)) * 0.1
    low, high = paired_bootstrap(values[:, 0])
    difference = crossed(values[:, 0])
    by_t = difference.interval()
    assert high - low == pytest.approx(by_t[1] - by_t[0], rel=0.12)


def test_the_bootstrap_in_blocks_is_as_wide_as_by_rows(monkeypatch):
    values = np.random.default_rng(14).normal(0.1, 1.0, size=20_000)
    in_blocks = paired_bootstrap(values)
    error = paired_rows(values).standard_error
    assert in_blocks[1] - in_blocks[0] == pytest.approx(2 * 1.96 * error, rel=0.06)
    monkeypatch.setattr("xent.study._statistics._bootstrap.MOST_BLOCKS", 20_000)
    by_rows = paired_bootstrap(values, resamples=500)
    assert in_blocks == pytest.approx(by_rows, abs=0.25 * error)


def test_the_bootstrap_with_weights_and_clusters():
    random = np.random.default_rng(15)
    groups = np.repeat(np.arange(300), 5)
    values = random.normal(size=300)[groups] + random.normal(size=1500) * 0.2
    weight = random.gamma(3.0, size=1500)
    low, high = paired_bootstrap(values, weights=weight, groups=groups)
    difference = paired_rows(values, weight, groups)
    assert high - low == pytest.approx(2 * 1.96 * difference.standard_error, rel=0.1)
    assert low < difference.mean < high


def test_several_comparisons_from_the_same_draws():
    values = np.random.default_rng(16).normal(size=(3, 2, 80))
    together = bootstrap_intervals(values)
    for comparison, interval in zip(values, together, strict=True):
        assert paired_bootstrap(comparison) == pytest.approx(tuple(interval), abs=1e-12)


def calibration(predicted, observed, rows):
    weight = np.asarray(rows, dtype=float)
    error = float(np.average(np.abs(np.subtract(observed, predicted)), weights=weight))
    arrays = (np.asarray(predicted, float), np.asarray(observed, float), weight)
    return Calibration("positive class", error, 0.0, *arrays)


def test_one_group_has_the_interval_of_one_share():
    """With one group the true gap is known to ± z s, at least from above."""
    found = calibration([0.4], [0.7], [100])
    low, high = ece_interval(found, 100.0)
    error = np.sqrt(0.4 * 0.6 / 100)
    assert high == pytest.approx(0.3 + 1.959964 * error, abs=1e-6)
    # The lower end takes off the quantile of |noise|, a little more than z s.
    assert low == pytest.approx(0.3 - stats.halfnorm.ppf(0.975) * error, abs=0.004)


def test_the_interval_of_good_calibration_begins_at_zero():
    predicted = np.linspace(0.1, 0.9, 9)
    low, high = ece_interval(calibration(predicted, predicted + 0.01, [50] * 9), 450.0)
    assert low == 0.0
    assert 0.01 < high < 0.1
