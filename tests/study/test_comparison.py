"""The tables of a comparison, and that it is frozen."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas
import pytest

from xent.scoring import finding
from xent.study import Aggregate, Spread, compare
from xent.study._comparison import METRICS, merge_findings

DATA = "synthetic:n=300,features=3,seed=5"


@pytest.fixture(scope="module")
def comparison():
    return compare(DATA, seeds=3, epochs=5, formulations="bce,ce2,bce+focal=1", batch_size=100)


@pytest.mark.parametrize(
    "pick",
    [
        lambda comparison: comparison,
        lambda comparison: comparison["bce"],
        lambda comparison: comparison["bce"].trials[0],
        lambda comparison: comparison["bce"].parameters[0],
        lambda comparison: comparison.baselines,
    ],
)
def test_frozen(comparison, pick):
    with pytest.raises(FrozenInstanceError):
        pick(comparison).seconds = 0.0


def test_looked_up_by_name(comparison):
    assert comparison["ce2"].name == "ce2"
    with pytest.raises(KeyError, match="ce3"):
        comparison["ce3"]


def test_says_what_it_is_in_one_line(comparison):
    assert repr(comparison) == "<Comparison of bce, ce2, bce+focal=1 on synthetic: 3 seeds>"
    assert repr(comparison["bce"]) == "<FormulationResult bce: 3 trials, finished>"


def test_summary(comparison):
    summary = comparison.summary
    assert list(summary.columns) == [
        "formulation", "probabilities", "log_loss", "log_loss_se", "brier", "brier_se", "accuracy",
        "accuracy_se", "auc", "auc_se", "ece", "ece_se", "ece_noise_floor", "slope", "slope_se",
        "intercept", "intercept_se", "fit_seconds", "parameters",
    ]  # fmt: skip
    assert summary["formulation"].tolist() == ["bce", "ce2", "bce+focal=1", "bce+focal=1"]
    assert summary["probabilities"].tolist() == ["raw", "raw", "raw", "recovered"]
    assert summary["parameters"].tolist() == [4, 8, 4, 4]
    losses = [trial.test.log_loss for trial in comparison["bce"].trials]
    assert summary["log_loss"][0] == pytest.approx(np.mean(losses))
    assert summary["log_loss_se"][0] == pytest.approx(np.std(losses, ddof=1) / np.sqrt(3))


def test_trials(comparison):
    trials = comparison.trials
    assert list(trials.columns) == [
        "key", "formulation", "seed", "split", "status", "objective", "objective_reproduced",
        "gradient_norm", "train_log_loss", "validation_log_loss", "distance", "test_log_loss",
        "test_log_loss_se", "recovered_log_loss",
    ]  # fmt: skip
    assert trials["key"].is_unique
    assert trials["seed"].tolist() == [0, 1, 2] * 3
    assert trials["recovered_log_loss"].notna().tolist() == [False] * 6 + [True] * 3


def test_parameters(comparison):
    parameters = comparison.parameters
    assert list(parameters.columns) == [
        "formulation", "log_odds", "against", "feature", "mean", "sd", "standard_error",
        "estimate", "estimate_se", "truth",
    ]  # fmt: skip
    assert parameters["feature"].tolist() == ["x1", "x2", "x3", "(intercept)"] * 3
    coefficients = np.stack([trial.coefficients[0] for trial in comparison["bce"].trials])
    bce = parameters[parameters["formulation"] == "bce"]
    np.testing.assert_allclose(bce["mean"], coefficients.mean(axis=0))
    np.testing.assert_allclose(bce["sd"], coefficients.std(axis=0, ddof=1))


def test_curves_and_timings(comparison):
    curves = comparison.curves
    assert list(curves.columns) == ["formulation", "seed", "epoch", "train", "validation"]
    assert len(curves) == 3 * 3 * 5
    assert curves["epoch"].tolist() == [1, 2, 3, 4, 5] * 9
    timings = comparison.timings
    assert list(timings.columns) == ["formulation", "phase", "median", "lower", "upper", "repeats"]
    assert (timings["lower"] <= timings["median"]).all()
    assert (timings["median"] <= timings["upper"]).all()
    bce = timings[timings["formulation"] == "bce"].set_index("phase")
    # 5 epochs of 3 batches, the loader apart from the step.
    assert bce.loc[["step", "data", "evaluation"], "repeats"].tolist() == [15, 15, 5]
    assert "loss" in bce.index


@pytest.mark.parametrize(
    "options", [{"converge": True}, {"optimizer": "sgd", "learning_rate": 1e38}], ids=str
)
def test_tables_of_unusual_studies(options):
    comparison = compare(DATA, seeds=2, epochs=4, **options)
    for table in ("summary", "trials", "parameters", "curves", "timings"):
        assert getattr(comparison, table) is not None
    assert len(comparison.summary) == 3


def test_aggregate():
    assert Aggregate.of([2.0]) == Aggregate(2.0, None)
    assert Aggregate.of([1.0, 3.0]) == Aggregate(2.0, 1.0)
    for missing in ([], [None], [1.0, None], [float("nan")]):
        assert Aggregate.of(missing) == Aggregate(None, None)
    assert Aggregate.of([1.0, float("inf")]) == Aggregate(float("inf"), None)


def test_spread():
    assert Spread.of([]) is None
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(2.0, 1.5, 2.5, 3)


def test_metrics_take_the_intercept_farthest_from_0(comparison):
    scores = comparison["bce"].trials[0].test
    changed = replace(
        scores,
        recalibration=replace(scores.recalibration, intercepts=(0.1, -0.4), intercept_ses=(1, 2)),
    )
    assert METRICS["intercept"](changed) == -0.4
    assert METRICS["intercept_se"](changed) == 2
    steadier = replace(
        scores,
        recalibration=replace(scores.recalibration, intercepts=(0.1, -0.4), intercept_ses=(2, 1)),
    )
    assert METRICS["intercept_se"](steadier) == 1
    without = replace(
        scores, recalibration=replace(scores.recalibration, intercepts=(), intercept_ses=())
    )
    assert METRICS["intercept"](without) is None
    assert METRICS["intercept_se"](without) is None


def test_findings_are_merged_over_seeds():
    merged = merge_findings(
        [
            finding("not-converged", "bce", "seed 0: far.", {"distance": 1.0}),
            finding("not-converged", "bce", "seed 1: farther.", {"distance": 2.0}),
            finding("not-converged", "bce", "seed 2: near.", {"distance": 0.5}),
            finding("worse-than-prior", "ce2", "Worse."),
            finding("training-diverged", "ce2", "Broken."),
            finding("training-diverged", "bce", "Broken too."),
            finding("training-diverged", "bce", "Broken again."),
        ]
    )
    assert [(found.level, found.subject, found.message) for found in merged] == [
        ("error", "ce2", "Broken."),
        ("error", "bce", "Broken too. (1 more seed alike.)"),
        ("warning", "ce2", "Worse."),
        ("note", "bce", "seed 1: farther. (2 more seeds alike.)"),
    ]


def test_test_rows_that_are_training_rows_are_a_warning(tmp_path):
    random = np.random.default_rng(0)
    frame = pandas.DataFrame({"x": random.normal(size=80), "y": random.integers(0, 2, 80)})
    path = tmp_path / "data.csv"
    frame.to_csv(path, index=False)
    comparison = compare(path, "y", test=path, seeds=1, epochs=2, formulations="bce", margin=0.1)
    (found,) = [each for each in comparison.findings if each.name == "test-rows-in-training"]
    assert (found.code, found.level, found.subject) == ("XS124", "warning", "data")
    assert found.message == "80 of 80 test rows also stand in the training data."
    assert comparison.ok
    apart = compare(path, "y", seeds=1, epochs=2, formulations="bce", margin=0.1)
    assert all(each.name != "test-rows-in-training" for each in apart.findings)


def test_findings_of_several_seeds_say_of_which_their_numbers_are():
    settings = {"formulations": "ce+focal=2", "epochs": 3}
    for seeds, start in ((1, "Raw log loss"), (2, "seed 0: Raw log loss")):
        result = compare("synthetic:n=200,features=2", seeds=seeds, **settings)
        found = next(each for each in result.findings if each.name == "objective-is-not-proper")
        assert found.message.startswith(start)


def test_the_conditions_of_the_verdicts():
    settings = {"formulations": "bce,ce2", "seeds": 1, "epochs": 3}
    written = compare("synthetic:n=200,features=2", **settings).to_dict()
    assert written["conditions"][0] == (
        "As written, a step of adam is 2 times as long in log-odds for ce2 as for one logit; "
        "--protocol matched evens that out."
    )
    assert written["conditions"][1].startswith("3 epochs have not converged. Largest distance")
    matched = compare("synthetic:n=200,features=2", protocol="matched", **settings).to_dict()
    assert [sentence[:8] for sentence in matched["conditions"]] == ["3 epochs"]
