"""Error rates by simulation: of each default test, of TOST at the margin, of each interval.

Seeds are fixed. A rate is held against its nominal value by standard errors of the simulation:
two to pass, five for the naive test that must fail. docs/statistics.md prints these rates.
"""

import math

import numpy as np
import pytest

from xent.scoring import Calibration
from xent.study._statistics import (
    combined_five_by_two,
    crossed,
    delong,
    ece_interval,
    exact_mcnemar,
    friedman,
    paired_bootstrap,
    paired_rows,
    resampled,
    wilcoxon,
    wilson,
)
from xent.study._verdicts._pair_checks import FEWEST_SEEDS_REDRAWN

pytestmark = pytest.mark.slow

ALPHA = 0.05
RUNS = 2000


def two_errors(rate, runs=RUNS):
    return 2 * np.sqrt(rate * (1 - rate) / runs)


def assert_at_most(share, nominal, runs=RUNS):
    assert share <= nominal + two_errors(nominal, runs), share


def assert_far_above(share, nominal, runs=RUNS):
    assert share > nominal + 2.5 * two_errors(nominal, runs), share


def assert_covers(share, nominal, runs=RUNS):
    assert share >= nominal - two_errors(nominal, runs), share


# Question A: rows are drawn, models are fixed.


def draw_rows(seed):
    """Differences of two exponential losses: mean 0, heavy tails."""
    one, other = np.random.default_rng(seed).exponential(size=(2, RUNS, 100)) / np.sqrt(2.0)
    return one - other


def draw_clusters(seed):
    random = np.random.default_rng(seed)
    shared = random.normal(size=(RUNS, 30, 1))
    return (shared + random.normal(size=(RUNS, 30, 5))).reshape(RUNS, 150), np.arange(150) // 5


def test_paired_rows_reject_as_often_as_they_say():
    differences = [paired_rows(values) for values in draw_rows(1)]
    assert_at_most(np.mean([d.p_value < ALPHA for d in differences]), ALPHA)
    low, high = np.array([d.interval() for d in differences]).T
    assert_covers(np.mean((low <= 0) & (high >= 0)), 0.95)


def test_paired_rows_claim_equivalence_as_rarely_as_they_say_and_have_power():
    values = draw_rows(2)
    margin = 0.3
    at_margin = [paired_rows(each + margin).equivalence_p(margin) < ALPHA for each in values]
    assert_at_most(np.mean(at_margin), ALPHA)
    equal = [paired_rows(each).equivalence_p(margin) < ALPHA for each in values]
    assert np.mean(equal) > 0.8
    assert np.mean([paired_rows(each + 0.4).p_value < ALPHA for each in values]) > 0.95


def test_clusters_are_needed_and_enough():
    values, groups = draw_clusters(3)
    clustered = [paired_rows(each, None, groups) for each in values]
    assert_at_most(np.mean([d.p_value < ALPHA for d in clustered]), ALPHA)
    assert_far_above(np.mean([paired_rows(each).p_value < ALPHA for each in values]), ALPHA)
    margin = 0.6
    shifted = (paired_rows(each + margin, None, groups) for each in values)
    assert_at_most(np.mean([d.equivalence_p(margin) < ALPHA for d in shifted]), ALPHA)
    power = np.mean([d.equivalence_p(margin) < ALPHA for d in clustered])
    assert power > 0.7


def test_unequal_weights_reject_as_often_as_they_say():
    random = np.random.default_rng(4)
    weight = random.gamma(0.5, size=60) + 0.02
    values = random.normal(size=(RUNS, 60))
    assert_at_most(np.mean([paired_rows(v, weight).p_value < ALPHA for v in values]), ALPHA)


def test_mcnemar_is_exact():
    random = np.random.default_rng(5)
    first, second = random.random((2, RUNS, 200)) < 0.8
    p = np.array([exact_mcnemar(a, b).p_value for a, b in zip(first, second, strict=True)])
    assert_at_most(np.mean(p < ALPHA), ALPHA)
    better = first | (random.random(first.shape) < 0.5)
    p = np.array([exact_mcnemar(a, b).p_value for a, b in zip(better, second, strict=True)])
    assert np.mean(p < ALPHA) > 0.6


# Question B': rows and seeds are drawn.


def draw_crossed(seed, seeds=5, rows=200, spread=0.15):
    random = np.random.default_rng(seed)
    of_seeds = random.normal(size=(RUNS, seeds, 1)) * spread
    of_rows = random.normal(size=(RUNS, 1, rows))
    return of_seeds + of_rows + random.normal(size=(RUNS, seeds, rows)) * 0.5


def test_crossed_rejects_as_often_as_it_says_where_either_half_alone_does_not():
    values = draw_crossed(6)
    differences = [crossed(each) for each in values]
    assert_at_most(np.mean([d.p_value < ALPHA for d in differences]), ALPHA)
    low, high = np.array([d.interval() for d in differences]).T
    assert_covers(np.mean((low <= 0) & (high >= 0)), 0.95)
    rows_alone = [paired_rows(each.mean(axis=0)).p_value < ALPHA for each in values]
    assert_far_above(np.mean(rows_alone), ALPHA)
    seeds_alone = [paired_rows(each.mean(axis=1)).p_value < ALPHA for each in values]
    assert_far_above(np.mean(seeds_alone), ALPHA)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_crossed_trusts_few_seeds_no_more_than_they_can_tell(seeds):
    # Of the variance of the mean, ten parts in eleven are the seeds'.
    values = draw_crossed(8, seeds, spread=math.sqrt(10 * seeds / 200))
    differences = [crossed(each) for each in values]
    assert_at_most(np.mean([d.p_value < ALPHA for d in differences]), ALPHA)
    low, high = np.array([d.interval() for d in differences]).T
    assert_covers(np.mean((low <= 0) & (high >= 0)), 0.95)
    shifted = [crossed(each + 1.0) for each in values]
    assert_at_most(np.mean([d.equivalence_p(1.0) < ALPHA for d in shifted]), ALPHA)


def test_a_bootstrap_over_seeds_covers():
    values = draw_crossed(9, seeds=FEWEST_SEEDS_REDRAWN, rows=60)[:500]
    low, high = np.array([paired_bootstrap(each, resamples=1000) for each in values]).T
    assert_covers(np.mean((low <= 0) & (high >= 0)), 0.95, 500)


def test_crossed_claims_equivalence_as_rarely_as_it_says_and_has_power():
    values = draw_crossed(7)
    margin = 0.35
    shifted = (crossed(each + margin) for each in values)
    assert_at_most(np.mean([d.equivalence_p(margin) < ALPHA for d in shifted]), ALPHA)
    equal = np.mean([crossed(each).equivalence_p(margin) < ALPHA for each in values])
    assert equal > 0.7
    assert np.mean([crossed(each + 0.5).p_value < ALPHA for each in values]) > 0.9


# Question B: the same rows are split again and again. Two procedures that are equal by symmetry:
# least squares of y = x1 + x2 + noise on x1 alone, and on x2 alone.

ROWS = 300


def split_differences(seed, train, runs=RUNS, rows=ROWS):
    """Mean differences of squared test errors ``(runs, splits)``, ``train`` as booleans."""
    random = np.random.default_rng(seed)
    one, other = random.normal(size=(2, runs, rows))
    y = one + other + random.normal(size=(runs, rows))
    losses = []
    for x in (one, other):
        slope = np.einsum("rsn,rn->rs", train, x * y) / np.einsum("rsn,rn->rs", train, x * x)
        # The sum over test rows of (y - b x)², expanded.
        sums = [np.einsum("rsn,rn->rs", 1 - train, term) for term in (y * y, x * y, x * x)]
        squares = sums[0] - 2 * slope * sums[1] + slope**2 * sums[2]
        losses.append(squares / (1 - train).sum(axis=2))
    return losses[0] - losses[1]


def random_splits(seed, fraction, splits=10, runs=RUNS, rows=ROWS):
    order = np.random.default_rng(seed).random((runs, splits, rows)).argsort(axis=2)
    return (order >= fraction * rows).astype(np.float32)


@pytest.mark.parametrize("fraction", [0.5, 0.2, 0.1])
def test_resampled_rejects_no_more_often_than_it_says_and_the_naive_t_does(fraction):
    values = split_differences(8, random_splits(9, fraction))
    ratio = fraction / (1 - fraction)
    differences = [resampled(each, ratio) for each in values]
    assert_at_most(np.mean([d.p_value < ALPHA for d in differences]), ALPHA)
    low, high = np.array([d.interval() for d in differences]).T
    assert_covers(np.mean((low <= 0) & (high >= 0)), 0.95)
    assert_far_above(np.mean([paired_rows(each).p_value < ALPHA for each in values]), ALPHA)


def test_resampled_claims_equivalence_as_rarely_as_it_says_and_has_power():
    values = split_differences(10, random_splits(11, 0.2))
    margin = 1.0
    shifted = (resampled(each + margin, 0.25) for each in values)
    assert_at_most(np.mean([d.equivalence_p(margin) < ALPHA for d in shifted]), ALPHA)
    equal = [resampled(each, 0.25).equivalence_p(margin) < ALPHA for each in values]
    assert np.mean(equal) > 0.5
    assert np.mean([resampled(each + 1.5, 0.25).p_value < ALPHA for each in values]) > 0.8


def test_five_by_two_rejects_no_more_often_than_it_says_and_has_power():
    halves = random_splits(12, 0.5, splits=5)
    both = np.stack([halves, 1 - halves], axis=2).reshape(RUNS, 10, ROWS)
    values = split_differences(13, both).reshape(RUNS, 5, 2)
    p = np.array([combined_five_by_two(each).p_value for each in values])
    assert_at_most(np.mean(p < ALPHA), ALPHA)
    p = np.array([combined_five_by_two(each + 1.5).p_value for each in values])
    assert np.mean(p < ALPHA) > 0.5


# Question C: data sets are drawn.


def test_signed_ranks_reject_no_more_often_than_they_say_and_have_power():
    values = np.random.default_rng(14).normal(size=(RUNS, 12))
    assert_at_most(np.mean([wilcoxon(each).p_value < ALPHA for each in values]), ALPHA)
    assert np.mean([wilcoxon(each + 1.0).p_value < ALPHA for each in values]) > 0.8


def test_friedman_rejects_no_more_often_than_it_says_and_has_power():
    losses = np.random.default_rng(15).normal(size=(RUNS, 12, 4))
    tests = [friedman(each) for each in losses]
    assert_at_most(np.mean([test.p_value < ALPHA for test in tests]), ALPHA)
    assert_at_most(np.mean([min(test.p_pairs) < ALPHA for test in tests]), ALPHA)
    ordered = [friedman(each + np.arange(4) * 0.6) for each in losses]
    assert np.mean([test.p_value < ALPHA for test in ordered]) > 0.8


# Intervals of single metrics.


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_wilson_covers(share):
    """Discrete, so it swings about its level from one share to the next; these do not fall low."""
    right = np.random.default_rng(16).binomial(300, share, size=RUNS)
    low, high = np.array([wilson(count / 300, 300) for count in right]).T
    assert_covers(np.mean((low <= share) & (share <= high)), 0.95)


def test_delong_covers_and_rejects_as_often_as_it_says():
    runs = 1000
    random = np.random.default_rng(17)
    positive = np.arange(200) < 80
    covered, rejected = [], []
    for _ in range(runs):
        scores = random.normal(size=200) + random.normal(size=(2, 200)) + 1.0 * positive
        test = delong(scores, positive)
        low, high = test.interval(0)
        covered.append(low <= 0.691462 <= high)  # Φ(1 / 2): normals 1 apart, of variance 2
        gap, error = test.difference(1, 0)
        rejected.append(abs(gap) > 1.959964 * error)
    assert_covers(np.mean(covered), 0.95, runs)
    assert_at_most(np.mean(rejected), ALPHA, runs)


def test_the_bootstrap_covers():
    runs = 500
    values = np.random.default_rng(18).exponential(size=(2, runs, 60))
    ends = np.array([paired_bootstrap(each, resamples=1000) for each in values[0] - values[1]])
    assert_covers(np.mean((ends[:, 0] <= 0) & (ends[:, 1] >= 0)), 0.95, runs)


@pytest.mark.parametrize("gap", [0.0, 0.03, 0.15])
def test_the_interval_of_ece_covers_however_good_calibration_is(gap):
    predicted = np.linspace(0.05, 0.8, 15)
    truth = predicted + gap * np.where(np.arange(15) % 2, 1, 0.5)
    counts = np.random.default_rng(19).binomial(40, truth, size=(RUNS, 15)) / 40
    true_error = float(np.mean(np.abs(truth - predicted)))
    rows = np.full(15, 40.0)
    covered = []
    for observed in counts:
        error = float(np.mean(np.abs(observed - predicted)))
        found = Calibration("positive class", error, 0.0, predicted, observed, rows)
        low, high = ece_interval(found, 600.0)
        covered.append(low <= true_error <= high)
    assert_covers(np.mean(covered), 0.95)
