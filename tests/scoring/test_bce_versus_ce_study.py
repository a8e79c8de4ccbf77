"""The BCE-versus-CE study: its published weights, scored rightly and as the study scored them.

The study trained three formulations of one logistic regression and then applied a sigmoid to
every output of every model. Data and weights are enough to repeat its table; each wrong figure
must be caught by name, and the right ones must raise nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import scipy.special

from xent._links import find_link, log_sigmoid
from xent.scoring import (
    Finding,
    Scores,
    calibration,
    objective_findings,
    prediction_findings,
    score_rows,
)
from xent.scoring._histogram import Histogram


@dataclass(frozen=True)
class Study:
    target: np.ndarray
    truth: np.ndarray
    prior: np.ndarray
    outputs: dict[str, np.ndarray]

    def score(self, logs: np.ndarray) -> Scores:
        return score_rows(logs, self.target, prior=self.prior, truth=self.truth)

    def findings(self, logs: np.ndarray, subject: str) -> tuple[Finding, ...]:
        return prediction_findings(self.score(logs), logs, self.target, subject=subject)


@pytest.fixture(scope="module")
def study() -> Study:
    random = np.random.default_rng(seed=0)
    w = random.normal(size=(4, 1))
    b = random.normal(size=1)
    X = random.normal(size=(100_000, 4))
    y_logit = b + X @ w + random.normal(scale=0.0, size=(100_000, 1))
    y = random.binomial(n=1, p=scipy.special.expit(y_logit)).flatten()
    test, true_logit = X[50_000:], y_logit[50_000:]
    bce = test @ [[0.1037], [-0.1576], [0.6802], [0.1207]] - 0.5245
    ce_1 = test @ [[0.0615], [-0.0684], [0.3213], [0.0474]] - 0.2585
    weights = np.array([[-0.0351, -0.0528, -0.5174, -0.1480], [0.0698, -0.2241, 0.0729, -0.0377]])
    ce_2 = test @ weights.T + [0.4980, -0.0408]
    return Study(
        target=y[50_000:],
        truth=scipy.special.expit(np.hstack([-true_logit, true_logit])),
        prior=np.bincount(y[:50_000]) / 50_000,
        outputs={"BCE": bce, "CE-1": ce_1, "CE-2": ce_2},
    )


def right(study: Study, name: str) -> np.ndarray:
    link = {"BCE": "sigmoid", "CE-1": "symmetric-softmax", "CE-2": "softmax"}[name]
    return find_link(link).log_probabilities(study.outputs[name])


def wrong(study: Study, name: str) -> np.ndarray:
    """A sigmoid on every output; for CE-2 with and without dividing by the row sum."""
    z = study.outputs[name.split(maxsplit=1)[0]]
    if name == "CE-1":
        return log_sigmoid(np.hstack([-z, z]))
    if name == "CE-2 divided":
        return find_link("normalised-sigmoid").log_probabilities(z)
    return log_sigmoid(z)


RIGHT = {"BCE": 0.618044, "CE-1": 0.617899, "CE-2": 0.618391}
WRONG = {"CE-1": 0.63566, "CE-2 divided": 0.64426, "CE-2": 0.5521}


@pytest.mark.parametrize("name", list(RIGHT))
def test_right_figures_raise_nothing(study: Study, name: str) -> None:
    logs = right(study, name)
    scores = study.score(logs)
    assert scores.log_loss == pytest.approx(RIGHT[name], abs=5e-6)
    assert [each.name for each in study.findings(logs, name)] == []
    assert (
        objective_findings(
            subject=name, objective=float(np.float32(RIGHT[name])), log_loss=scores.log_loss
        )
        == ()
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("CE-1", ["log-odds-scaled"]),
        ("CE-2 divided", ["log-odds-scaled"]),
        ("CE-2", ["rows-do-not-sum-to-one", "below-entropy-floor", "log-odds-scaled"]),
    ],
)
def test_wrong_figures_are_caught_by_name(study: Study, name: str, expected: list[str]) -> None:
    logs = wrong(study, name)
    scores = study.score(logs)
    assert scores.log_loss == pytest.approx(WRONG[name], abs=5e-5)
    assert [each.name for each in study.findings(logs, name)] == expected
    minimised = RIGHT[name.split(maxsplit=1)[0]]
    (objective,) = objective_findings(subject=name, objective=minimised, log_loss=scores.log_loss)
    assert objective.name == "objective-is-not-the-log-loss"


def test_ce_1_has_rows_that_sum_to_one_and_a_slope_of_two(study: Study) -> None:
    logs = wrong(study, "CE-1")
    scores = study.score(logs)
    assert scores.row_sums.are_one
    assert scores.recalibration.slope == pytest.approx(2.024, abs=5e-4)
    assert scores.recalibration.slope_se == pytest.approx(0.031, abs=5e-4)
    (found,) = study.findings(logs, "CE-1")
    assert found.level == "error"
    assert study.score(right(study, "CE-1")).recalibration.slope == pytest.approx(1.012, abs=5e-4)


def test_ce_2_row_sums_and_accuracy(study: Study) -> None:
    scores = study.score(wrong(study, "CE-2"))
    assert scores.row_sums.least == pytest.approx(0.602, abs=5e-4)
    assert scores.row_sums.greatest == pytest.approx(1.537, abs=5e-4)
    # The order within a row is kept, so accuracy sees nothing of the fault.
    assert scores.accuracy == study.score(right(study, "CE-2")).accuracy


def test_true_model_and_prior(study: Study) -> None:
    logs = np.log(study.truth)
    scores = study.score(logs)
    assert scores.log_loss == pytest.approx(0.617859, abs=5e-7)
    assert scores.prior_log_loss == pytest.approx(0.6658, abs=5e-5)
    assert study.findings(logs, "truth") == ()


def test_noise_floor_of_the_true_model_equals_a_redraw(study: Study) -> None:
    random = np.random.default_rng(0)
    positive = np.ascontiguousarray(study.truth[:, 1])
    log_odds = scipy.special.logit(positive)
    draws = []
    for _ in range(60):
        label = (random.random(50_000) < positive).astype(np.uint8)
        histogram = Histogram.of(log_odds, label, None, positive)
        draws.append(calibration(histogram, of="positive class"))
    errors = np.array([draw.error for draw in draws])
    sampling = errors.std() / np.sqrt(len(errors))
    assert draws[0].noise_floor == pytest.approx(errors.mean(), abs=4 * sampling)
    assert 0.003 < study.score(np.log(study.truth)).ece < 0.008
