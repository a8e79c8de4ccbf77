"""Findings: each fault is found by name, and its near misses stay silent."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import scipy.special

from xent._errors import InputError
from xent._links import log_sigmoid, log_softmax
from xent.scoring import (
    FINDINGS,
    Finding,
    class_order_findings,
    finding,
    objective_findings,
    prediction_findings,
    score_rows,
    value_findings,
)

ROWS = 5000


def binary_rows(log_odds: np.ndarray) -> np.ndarray:
    return np.column_stack([log_sigmoid(-log_odds), log_sigmoid(log_odds)])


def binary_truth(scale: float = 2.0, loc: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    log_odds = random.normal(loc=loc, scale=scale, size=ROWS)
    return log_odds, (random.random(ROWS) < scipy.special.expit(log_odds)).astype(np.int64)


def multiclass_truth(classes: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(classes)
    z = random.normal(scale=2.0, size=(ROWS, classes))
    gumbel = random.gumbel(size=z.shape)
    return z, (z + gumbel).argmax(axis=1)


def names(logs: np.ndarray, target: np.ndarray, **options: object) -> list[str]:
    scores = score_rows(logs, target, **options)  # type: ignore[arg-type]
    return [found.name for found in prediction_findings(scores, logs, target, subject="model")]


def test_table_is_whole() -> None:
    codes = [kind.code for kind in FINDINGS.values()]
    assert len(set(codes)) == len(codes)
    for name, kind in FINDINGS.items():
        assert kind.name == name
        assert re.fullmatch(r"XS1\d\d", kind.code)
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
        assert kind.level in {"error", "warning", "note"}
        assert kind.cause.endswith(".")
        assert kind.cure.endswith(".")


def test_a_finding_reads_its_kind_and_can_be_raised() -> None:
    found = finding("log-odds-scaled", "ce1", "The slope is 2.", {"slope": 2.0})
    kind = FINDINGS["log-odds-scaled"]
    assert (found.code, found.name, found.level) == (kind.code, kind.name, "warning")
    assert (found.cause, found.cure) == (kind.cause, kind.cure)
    assert Finding(kind, "ce1", "", {}, "error").level == "error"
    with pytest.raises(KeyError):
        finding("no-such-kind", "ce1", "")


@pytest.mark.parametrize("scale", [0.05, 0.5, 2.0, 8.0])
def test_calibrated_binary_predictions_raise_nothing(scale: float) -> None:
    log_odds, target = binary_truth(scale)
    logs = binary_rows(log_odds)
    assert names(logs, target, prior=[0.5, 0.5], truth=np.exp(logs)) == []


@pytest.mark.parametrize("classes", [3, 10])
def test_calibrated_multiclass_predictions_raise_nothing(classes: int) -> None:
    z, target = multiclass_truth(classes)
    logs = log_softmax(z)
    prior = np.full(classes, 1 / classes)
    assert names(logs, target, prior=prior, truth=np.exp(logs)) == []


def test_float16_storage_raises_nothing() -> None:
    log_odds, target = binary_truth()
    stored = np.exp(binary_rows(log_odds)).astype(np.float16).astype(np.float64)
    assert value_findings(stored, subject="file") == ()
    assert names(np.log(stored), target) == []


def test_halved_log_odds_are_an_error_with_a_slope_of_two() -> None:
    log_odds, target = binary_truth()
    logs = binary_rows(log_odds / 2.0)
    scores = score_rows(logs, target)
    (found,) = prediction_findings(scores, logs, target, subject="ce1")
    assert (found.name, found.level, found.subject) == ("log-odds-scaled", "error", "ce1")
    assert found.values["slope"] == pytest.approx(2.0, abs=0.1)
    slope, error = scores.recalibration.slope, scores.recalibration.slope_se
    assert found.message == (
        f"The recalibration slope is {slope:.3f} ± {error:.3f} where calibrated predictions "
        f"have 1: every log-odds should be {slope:.3g} times as large."
    )


def test_other_factors_few_rows_or_a_shift_are_a_warning() -> None:
    log_odds, target = binary_truth()

    def levels(logs: np.ndarray, labels: np.ndarray) -> list[str]:
        found = prediction_findings(score_rows(logs, labels), logs, labels, subject="model")
        return [each.level for each in found if each.name == "log-odds-scaled"]

    assert levels(binary_rows(2.0 * log_odds), target) == ["error"]
    assert levels(binary_rows(log_odds / 3.0), target) == ["warning"]
    assert levels(binary_rows(log_odds / 2.0 + 1.0), target) == ["warning"]
    assert levels(binary_rows(log_odds / 2.0)[:600], target[:600]) == ["warning"]
    assert levels(binary_rows(log_odds / 1.2), target) == []


def linked_findings(logs: np.ndarray, target: np.ndarray) -> list[Finding]:
    scores = score_rows(logs, target)
    return list(prediction_findings(scores, logs, target, subject="bce", linked=True))


@pytest.mark.parametrize(
    ("factor", "meaning"),
    [(2.0, "the model is too sure of itself"), (0.5, "the model is not sure enough")],
)
def test_a_slope_of_the_model_s_own_is_a_note(factor: float, meaning: str) -> None:
    log_odds, target = binary_truth()
    logs = binary_rows(factor * log_odds)
    (found,) = linked_findings(logs, target)
    assert (found.code, found.name, found.level) == ("XS123", "miscalibrated", "note")
    fit = score_rows(logs, target).recalibration
    assert found.values == {"slope": fit.slope, "slope_se": fit.slope_se}
    assert found.message == (
        f"The recalibration slope is {fit.slope:.3f} ± {fit.slope_se:.3f} where calibrated "
        f"predictions have 1: {meaning}."
    )


def test_a_proven_link_is_no_wrong_scorer() -> None:
    log_odds, target = binary_truth()
    suspects = [
        (binary_rows(-log_odds), "columns-flipped"),
        (log_softmax(np.exp(binary_rows(log_odds))), "softmax-applied-twice"),
        (binary_rows(scipy.special.expit(log_odds)), "sigmoid-applied-twice"),
    ]
    for logs, name in suspects:
        assert name in names(logs, target)
        assert [each.name for each in linked_findings(logs, target)] == ["miscalibrated"]
    assert linked_findings(binary_rows(log_odds / 1.2), target) == []


@pytest.mark.parametrize("linked", [True, False])
def test_slopes_that_are_not_above_0_are_no_factor(linked: bool) -> None:
    log_odds, target = binary_truth()
    unrelated = np.random.default_rng(5).normal(scale=2.0, size=ROWS)
    cases = [
        (unrelated, "the log-odds hold no information about the target"),
        (-log_odds, "the log-odds point away from the class that comes true"),
    ]
    for values, meaning in cases:
        logs = binary_rows(values)
        scores = score_rows(logs, target)
        found = prediction_findings(scores, logs, target, subject="bce", linked=linked)
        wanted = "miscalibrated" if linked else "log-odds-scaled"
        (message,) = (each.message for each in found if each.name == wanted)
        fit = scores.recalibration
        assert message == (
            f"The recalibration slope is {fit.slope:.3f} ± {fit.slope_se:.3f} where calibrated "
            f"predictions have 1: {meaning}."
        )


def test_causes_and_cures_hold_for_files_and_studies() -> None:
    infinite = FINDINGS["infinite-loss-rows"]
    assert "stored or computed, or the model rules the class out" in infinite.cause
    assert "--head" in FINDINGS["paired-by-seed-only"].cure
    assert "matched" not in FINDINGS["paired-by-seed-only"].cure


def test_softmax_twice_is_told_from_a_weak_model() -> None:
    log_odds, target = binary_truth()
    twice = log_softmax(np.exp(binary_rows(log_odds)))
    assert "softmax-applied-twice" in names(twice, target)
    weak, weak_target = binary_truth(scale=0.2)
    assert np.exp(binary_rows(weak)).max() < 0.731
    assert names(binary_rows(weak), weak_target) == []
    z, many = multiclass_truth(5)
    assert "softmax-applied-twice" in names(log_softmax(np.exp(log_softmax(z))), many)


def test_softmax_twice_is_found_where_the_scores_separate_the_classes() -> None:
    sure = binary_rows(np.r_[np.linspace(-30, -1, 500), np.linspace(1, 30, 500)])
    target = np.repeat([0, 1], 500)
    assert "softmax-applied-twice" in names(log_softmax(np.exp(sure)), target)
    assert names(sure, target) == []


def test_sigmoid_twice_is_told_from_a_class_in_the_majority() -> None:
    log_odds, target = binary_truth()
    assert "sigmoid-applied-twice" in names(binary_rows(scipy.special.expit(log_odds)), target)
    random = np.random.default_rng(1)
    likely = random.uniform(0.1, 0.9, ROWS)
    labels = (random.random(ROWS) < scipy.special.expit(likely)).astype(np.int64)
    assert names(binary_rows(likely), labels) == []


def test_values_that_are_no_probabilities() -> None:
    (first, second) = value_findings([[2.0, -1.5], [0.5, 0.5]], subject="file")
    assert first.name == "values-outside-unit-interval"
    assert first.message == ("2 of 4 values are no probabilities: they reach from -1.5 to 2.")
    assert second.message == (
        "The probabilities of a row sum to 0.75 in the mean, from 0.5 to 1, where storage "
        "rounding explains 1 ± 0.001."
    )
    # Logits that happen to sum to 1 are caught by their range alone.
    assert [each.name for each in value_findings([[2.0, -1.0]], subject="file")] == [
        "values-outside-unit-interval"
    ]


def test_softmax_over_rows_and_a_single_column() -> None:
    z = np.random.default_rng(0).normal(size=(50, 3))
    found = value_findings(scipy.special.softmax(z, axis=0), subject="file")
    assert [each.name for each in found] == ["softmax-over-rows", "rows-do-not-sum-to-one"]
    (single,) = value_findings(np.ones((7, 1)), subject="file")
    assert single.name == "single-column-of-ones"
    assert single.message == "All 7 rows hold one probability, and it is 1."
    assert value_findings([[0.3], [0.8]], subject="file") == ()


def test_given_probabilities_are_tested_as_they_were_given() -> None:
    values = np.array([[1.2, -0.2], [0.4, 0.6]])
    logs = np.log(np.clip(values, 1e-9, None))
    scores = score_rows(logs, [0, 1])
    found = prediction_findings(scores, logs, [0, 1], subject="file", probabilities=values)
    assert found[0].values["count"] == 2


def test_flipped_columns_are_told_from_no_signal() -> None:
    log_odds, target = binary_truth()
    found = names(binary_rows(-log_odds), target, prior=[0.5, 0.5])
    assert "columns-flipped" in found
    assert "worse-than-prior" in found
    noise = np.random.default_rng(3).normal(scale=0.01, size=ROWS)
    assert "columns-flipped" not in names(binary_rows(noise), target)
    z, many = multiclass_truth(4)
    assert "columns-flipped" in names(log_softmax(-z), many)


def test_a_few_rows_of_huge_loss_lose_to_the_prior_however_they_scatter() -> None:
    target = np.tile([0, 1], 20)
    log_odds = np.where(target == 1, 3.0, -3.0)
    log_odds[:2] = [900.0, -900.0]
    scores = score_rows(binary_rows(log_odds), target, prior=[0.5, 0.5])
    # The mean is ruled by two rows of forty, and within four of its standard errors of the prior's.
    assert scores.log_loss > 40.0
    assert scores.log_loss - np.log(2) < 4 * scores.over_prior_se
    assert "worse-than-prior" in names(binary_rows(log_odds), target, prior=[0.5, 0.5])
    log_odds[:2] = [10.0, -10.0]
    assert "worse-than-prior" not in names(binary_rows(log_odds), target, prior=[0.5, 0.5])


def test_infinite_rows_are_counted_and_lose_to_the_prior() -> None:
    logs = binary_rows(np.array([-np.inf, 1.0, -1.0, 0.5]))
    target = np.array([1, 1, 0, 0])
    scores = score_rows(logs, target, prior=[0.5, 0.5])
    found = prediction_findings(scores, logs, target, subject="file")
    assert [each.name for each in found] == ["worse-than-prior", "infinite-loss-rows"]
    assert found[1].message == (
        "1 of 4 rows give probability 0 to the class that came true, so the log loss is infinite."
    )


def test_errors_come_before_warnings_before_notes() -> None:
    log_odds, target = binary_truth()
    logs = binary_rows(-3.0 * log_odds)
    scores = score_rows(logs, target, class_names=["10", "2"], prior=[0.5, 0.5])
    levels = [each.level for each in prediction_findings(scores, logs, target, subject="file")]
    assert set(levels) == {"error", "warning", "note"}
    assert levels == sorted(levels, key=["error", "warning", "note"].index)


@pytest.mark.parametrize(
    ("classes", "found"),
    [
        (["1", "10", "2"], True),
        (["-1", "-2"], True),
        (["1", "2", "10"], False),
        (["2", "1"], False),
        (["a", "b"], False),
        (["0", "1"], False),
    ],
)
def test_class_order(classes: list[str], found: bool) -> None:
    assert bool(class_order_findings(classes, subject="target")) is found


def test_objectives_agree_up_to_float32_training() -> None:
    losses = np.random.default_rng(0).exponential(size=100_000)
    single = float(losses.astype(np.float32).mean(dtype=np.float32))
    assert (
        objective_findings(
            subject="bce", objective=single, reproduced=losses.mean(), log_loss=losses.mean()
        )
        == ()
    )
    assert objective_findings(subject="bce", objective=0.0, log_loss=4e-8) == ()


def test_objectives_that_disagree_are_errors_with_both_numbers() -> None:
    first, second = objective_findings(
        subject="ce2", objective=0.6184, reproduced=0.62, log_loss=0.6443
    )
    assert (first.name, second.name) == (
        "objective-not-reproduced",
        "objective-is-not-the-log-loss",
    )
    assert first.level == second.level == "error"
    assert second.message == (
        "The model minimised 0.618400, and its reported log loss on the same rows is 0.644300."
    )
    assert objective_findings(subject="ce2", objective=0.6, log_loss=math.inf)[0].name == (
        "objective-is-not-the-log-loss"
    )


@pytest.mark.parametrize("objective", [math.inf, math.nan])
def test_an_objective_that_is_no_number_diverged(objective: float) -> None:
    (found,) = objective_findings(subject="bce", objective=objective, log_loss=0.5)
    assert found.name == "training-diverged"
    assert found.message == f"The objective ended at {objective}."


def test_arrays_must_be_those_of_the_scores() -> None:
    logs = np.log([[0.5, 0.5], [0.5, 0.5]])
    scores = score_rows(logs, [0, 1])
    with pytest.raises(InputError) as caught:
        prediction_findings(scores, logs[:1], [0], subject="file")
    assert str(caught.value) == (
        "findings: log_probabilities must be the 2 rows of 2 classes that were scored; got shape "
        "(1, 2). Give the arrays that the scores were made of."
    )
    with pytest.raises(InputError) as caught:
        value_findings([0.5], subject="file")
    assert str(caught.value) == (
        "findings: probabilities must be of shape (rows, columns) with at least one value; got "
        "shape (1,). Give one row of probabilities for each prediction."
    )
