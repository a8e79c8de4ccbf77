"""Scores of one set of rows: what stands beside the sums, and the errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from test_partials import make_rows

from xent._errors import InputError
from xent.scoring import Partials, auc, macro_auc, per_row_loss, score_rows


def test_binary_scores_gather_what_the_parts_give() -> None:
    logs, target, weight = make_rows(300, 2)
    scores = score_rows(logs, target, weight, ["no", "yes"])
    partials = Partials.from_rows(logs, target, weight)
    assert scores.log_loss == partials.log_loss
    assert scores.brier_se == partials.brier_se
    assert scores.ece == partials.calibration.error
    assert scores.ece_of == "positive class"
    assert scores.auc == auc(logs[:, 1] - logs[:, 0], target == 1, weight)
    assert scores.class_names == ("no", "yes")
    assert sum(scores.class_shares) == pytest.approx(1.0)
    assert scores.prior_log_loss is scores.entropy_floor is scores.over_entropy_se is None


def test_multiclass_auc_is_the_macro_mean() -> None:
    logs, _, _ = make_rows(60, 3)
    target = np.arange(60) % 2
    scores = score_rows(logs, target)
    assert scores.auc == macro_auc(logs, target).value
    assert scores.classes_without_auc == (2,)
    assert scores.ece_of == "top label"
    assert scores.recalibration.failure == "class 2 has no rows"


def test_prior_log_loss_and_its_paired_error() -> None:
    logs, target, _ = make_rows(500, 3)
    prior = np.array([0.2, 0.3, 0.5])
    scores = score_rows(logs, target, prior=prior)
    assert scores.prior_log_loss == pytest.approx(-np.log(prior[target]).mean())
    difference = per_row_loss(logs, target) + np.log(prior[target])
    assert scores.over_prior_se == pytest.approx(difference.std(ddof=1) / math.sqrt(500))
    surprised = score_rows(logs, target, prior=[1.0, 0.0, 0.0])
    assert surprised.prior_log_loss == math.inf


def test_entropy_floor_is_the_mean_entropy_of_the_truth() -> None:
    logs, target, weight = make_rows(200, 2)
    truth = np.exp(logs)
    truth[0] = [1.0, 0.0]
    entropy = [-sum(p * math.log(p) for p in row if p > 0) for row in truth]
    scores = score_rows(logs, target, weight, truth=truth)
    assert scores.entropy_floor == pytest.approx(np.average(entropy, weights=weight))
    assert scores.over_entropy_se is not None


def test_loss_of_a_certain_and_right_row_is_plus_zero() -> None:
    assert math.copysign(1.0, per_row_loss(np.array([[0.0, -np.inf]]), np.array([0]))[0]) == 1.0


def test_one_row_has_scores_without_errors() -> None:
    scores = score_rows(np.log([[0.5, 0.5]]), [1])
    assert (scores.log_loss_se, scores.brier_se, scores.auc) == (None, None, None)
    assert scores.classes_without_auc == (0, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"prior": [0.5, 0.6]},
            "score: prior must be 2 probabilities that sum to 1; got [0.5, 0.6]. "
            "Give the share of each class among the training rows.",
        ),
        (
            {"truth": [[0.5, 0.5]]},
            "score: truth must be of shape (2, 2); got shape (1, 2). "
            "Give the true probability of every class for each row.",
        ),
        (
            {"truth": [[0.5, 0.5], [0.5, 0.25]]},
            "score: truth must be probabilities whose rows sum to 1; got row sums from 0.75 to 1. "
            "Give the true probability of every class for each row.",
        ),
        (
            {"class_names": ["one"]},
            "score: class_names must be 2 names; got 1 names. "
            "Name every column, in the order of the columns.",
        ),
        (
            {"weight": [0.0, 0.0]},
            "score: rows must be at least one of positive weight; got 2 rows of weight 0. "
            "Give some rows.",
        ),
    ],
)
def test_bad_options_are_one_line_errors(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        score_rows(np.log([[0.5, 0.5], [0.5, 0.5]]), [0, 1], **options)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_no_rows_are_an_error() -> None:
    with pytest.raises(InputError) as caught:
        score_rows(np.empty((0, 2)), np.empty(0, dtype=np.int64))
    assert str(caught.value) == (
        "score: rows must be at least one of positive weight; got 0 rows. Give some rows."
    )
