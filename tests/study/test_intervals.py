"""Intervals of every metric, by question."""

import math

import numpy as np
import pytest

from xent import compare, compare_predictions
from xent.study._statistics import crossed, delong, paired_rows, resampled, wilson

DATA = "synthetic:n=600,features=3,seed=5"
METRICS = ["log_loss", "brier", "accuracy", "auc", "ece", "slope"]


def by_metric(intervals):
    assert [each.metric for each in intervals] == METRICS
    return {each.metric: each for each in intervals}


@pytest.fixture(scope="module")
def one_seed():
    return compare(DATA, seeds=1, epochs=20, formulations="bce,ce2")


def test_intervals_of_one_fitted_model(one_seed):
    found = by_metric(one_seed.intervals["bce"])
    trial, target = one_seed["bce"].trials[0], one_seed.dataset.test.target
    loss = -trial.log_probabilities[np.arange(len(target)), target]
    assert (found["log_loss"].low, found["log_loss"].high) == paired_rows(loss).interval()
    share = trial.test.accuracy
    assert (found["accuracy"].low, found["accuracy"].high) == wilson(share, len(target))
    scores = trial.log_probabilities[:, 1] - trial.log_probabilities[:, 0]
    low, high = delong(scores[None], target == 1).interval(0)
    assert (found["auc"].low, found["auc"].high) == pytest.approx((low, high), abs=2e-3)
    fit = trial.test.recalibration
    assert found["slope"].high - fit.slope == pytest.approx(1.959964 * fit.slope_se, rel=1e-6)
    for metric in METRICS:
        assert found[metric].low <= found[metric].value <= found[metric].high
        assert found[metric].value == pytest.approx(one_seed["bce"].mean(metric))


def test_intervals_over_seeds_are_of_both_sources():
    study = compare(DATA, seeds=4, epochs=5)
    found = by_metric(study.intervals["ce2"])
    target = study.dataset.test.target
    rows = np.arange(len(target))
    losses = np.stack([-trial.log_probabilities[rows, target] for trial in study["ce2"].trials])
    ends = crossed(losses).interval()
    assert (found["log_loss"].low, found["log_loss"].high) == pytest.approx(ends)
    for metric in METRICS:
        assert found[metric].value == pytest.approx(study["ce2"].mean(metric))
        assert found[metric].low <= found[metric].value <= found[metric].high


def test_intervals_over_splits_are_corrected():
    study = compare(DATA, splits=3, epochs=5, formulations="bce,ce1")
    found = by_metric(study.intervals["bce"])
    losses = [trial.test.log_loss for trial in study["bce"].trials]
    ratio = 120 / len(study.dataset.train.target)
    low, high = resampled(losses, ratio).interval()
    assert (found["log_loss"].low, found["log_loss"].high) == pytest.approx((max(0, low), high))
    assert found["ece"].method == found["slope"].method == "corrected resampled t"


def test_infinite_losses_have_no_interval():
    y = np.arange(40) % 2
    good = np.where(y == 1, 0.8, 0.3)
    bad = good.copy()
    bad[0] = 1.0
    found = by_metric(compare_predictions(y, {"a": good, "b": bad}, "probs").intervals["b"])
    assert math.isinf(found["log_loss"].value)
    assert found["log_loss"].low is found["log_loss"].high is None
    assert found["log_loss"].method == "none: a loss is infinite"
    assert found["brier"].low is not None


def test_diverged_formulations_have_none():
    study = compare(DATA, seeds=2, epochs=3, optimizer="sgd", learning_rate=1e38)
    assert {each.value for each in study.intervals["bce"]} == {None}


def test_a_wider_level_is_a_wider_interval(one_seed):
    wide = by_metric(compare(DATA, seeds=1, epochs=20, level=0.99).intervals["bce"])
    narrow = by_metric(one_seed.intervals["bce"])
    for metric in METRICS:
        assert wide[metric].low <= narrow[metric].low
        assert narrow[metric].high <= wide[metric].high
