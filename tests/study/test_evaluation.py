"""Scores of a trial against scikit-learn, and the checks that hold training to its word."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score

from xent.study import BUILT_IN, compare
from xent.study._evaluation import _trial as evaluation
from xent.study._evaluation._reproduction import reproduce_objective
from xent.study._formulations import find_formulations
from xent.study._runs import _tasks as tasks
from xent.study._training._objectives import Objective

DATA = "synthetic:n=600,features=3,seed=1"
THREE = "synthetic:n=900,features=3,classes=3,seed=2"


def names(comparison):
    return {found.name for found in comparison.findings}


def test_binary_scores():
    comparison = compare(DATA, seeds=1, epochs=20, formulations=["ce1"])
    (trial,) = comparison["ce1"].trials
    target, q = comparison.dataset.test.target, np.exp(trial.log_probabilities[:, 1])
    assert trial.test.log_loss == pytest.approx(log_loss(target, q))
    assert trial.test.brier == pytest.approx(brier_score_loss(target, q))
    assert trial.test.accuracy == accuracy_score(target, q > 0.5)
    assert trial.test.auc == pytest.approx(roc_auc_score(target, q))
    validation = comparison.dataset.validation
    head = trial.parameters["head"][0]
    z = 2 * (validation.features @ head[:-1] + head[-1])
    expected = log_loss(validation.target, 1 / (1 + np.exp(-z)))
    assert trial.validation_log_loss == pytest.approx(expected)


def test_multiclass_scores():
    comparison = compare(THREE, seeds=1, epochs=20, formulations=["ce", "ovr"])
    target = comparison.dataset.test.target
    for result in comparison.formulations:
        (trial,) = result.trials
        q = np.exp(trial.log_probabilities)
        np.testing.assert_allclose(q.sum(axis=1), 1.0)
        assert trial.test.log_loss == pytest.approx(log_loss(target, q))
        assert trial.test.brier == pytest.approx(((q - np.eye(3)[target]) ** 2).sum(axis=1).mean())
        assert trial.test.auc == pytest.approx(roc_auc_score(target, q, multi_class="ovr"))
        assert trial.test.ece_of == "top label"


def test_baselines():
    comparison = compare(DATA, seeds=1, epochs=1)
    train, test = comparison.dataset.train, comparison.dataset.test
    share = train.target.mean()
    base = comparison.baselines
    constant = np.full(len(test.target), share)
    assert base.prior_log_loss == pytest.approx(log_loss(test.target, constant))
    assert base.majority == np.mean(test.target == (share > 0.5))
    log_p = comparison.dataset.truth.log_probabilities["test"]
    assert base.entropy_floor == pytest.approx(-(np.exp(log_p) * log_p).sum(axis=1).mean())
    assert base.true_log_loss == pytest.approx(log_loss(test.target, np.exp(log_p)))


# Every base, every modifier alone, and all three together.
@pytest.mark.parametrize(
    ("source", "name"),
    [
        (DATA, "bce"),
        (DATA, "ce1+smoothing=0.1"),
        (DATA, "bce+focal=2"),
        (DATA, "ce2+weights=1:3"),
        (DATA, "ce1+smoothing=0.1+focal=1.5+weights=balanced"),
        (THREE, "ce"),
        (THREE, "ce+smoothing=0.2+focal=2+weights=balanced"),
        (THREE, "ovr"),
        (THREE, "ovr+smoothing=0.2+focal=2+weights=1:2:3"),
    ],
)
def test_objective_is_reproduced_from_its_definition(source, name):
    comparison = compare(source, seeds=2, epochs=5, formulations=[name], dtype="float64")
    for trial in comparison.formulations[0].trials:
        assert trial.objective_reproduced == pytest.approx(trial.objective, rel=1e-12)
    assert comparison.ok
    assert ("objective-is-not-proper" in names(comparison)) == ("+" in name)


def test_objective_by_hand():
    """Focal loss with class weights and smoothing on one row, written out."""
    (formulation,) = find_formulations(["ce+smoothing=0.3+focal=2+weights=1:2:4"], 3)
    objective = Objective.bind(formulation, np.ones(3))
    q = np.array([0.2, 0.5, 0.3])
    coefficients = np.array([0.1, 0.8, 0.1]) * [1, 2, 4]
    expected = (coefficients * (1 - q) ** 2 * -np.log(q)).sum() / 2
    part = evaluation.Part(np.zeros((1, 1)), np.array([1]), None, np.array([0]))
    assert reproduce_objective(objective, np.log(q)[None], np.log(q)[None], part) == pytest.approx(
        expected
    )


def test_modifiers_are_shown_raw_and_recovered():
    comparison = compare("synthetic:n=4000,features=2,seed=3", seeds=2, converge=True,
                         formulations=["ce2", "ce2+weights=1:5", "ce2+focal=1"])  # fmt: skip
    plain = comparison["ce2"].mean("log_loss")
    for name in ("ce2+weights=1:5", "ce2+focal=1"):
        result = comparison[name]
        assert result.recovered
        assert result.mean("log_loss") > plain + 0.003
        assert result.mean("log_loss", recovered=True) == pytest.approx(plain, abs=2e-3)
        assert result.trials[0].best is result.trials[0].recovered
    assert not comparison["ce2"].recovered


def test_a_wrong_objective_is_found(monkeypatch):
    train = tasks.train_stack

    def slip(*arguments, **options):
        trained = train(*arguments, **options)
        return replace(trained, objective=trained.objective * 1.01)

    monkeypatch.setattr(tasks, "train_stack", slip)
    comparison = compare(DATA, seeds=2, epochs=2, formulations=["bce"])
    assert not comparison.ok
    found = comparison.findings[0]
    assert (found.name, found.level, found.subject) == ("objective-not-reproduced", "error", "bce")
    assert found.message.endswith("(1 more seed alike.)")


def test_a_wrong_loss_is_found(monkeypatch):
    """Training that minimises half the loss that it is named for."""
    value_and_gradient = Objective.value_and_gradient

    def halved(self, outputs, targets):
        value, gradient = value_and_gradient(self, outputs, targets)
        return value / 2, gradient / 2

    monkeypatch.setattr(Objective, "value_and_gradient", halved)
    comparison = compare(DATA, seeds=1, epochs=2, formulations=["ce2"])
    assert {"objective-not-reproduced", "objective-is-not-the-log-loss"} <= names(comparison)


def test_a_wrong_link_is_found():
    """The slip of the BCE-versus-CE study: (-z, z) read with sigmoid(z)."""
    wrong = replace(BUILT_IN["ce1"], link="sigmoid")
    comparison = compare(DATA, seeds=1, epochs=30, formulations=[wrong])
    assert not comparison.ok
    assert "objective-is-not-the-log-loss" in names(comparison)


@pytest.mark.parametrize(("name", "classes"), [("bce", 2), ("ovr", 3)])
def test_wrong_outputs_are_found(monkeypatch, name, classes):
    forward = evaluation.perceptron_outputs
    monkeypatch.setattr(
        evaluation, "perceptron_outputs", lambda *arguments: forward(*arguments) + 0.5
    )
    source = {2: DATA, 3: THREE}[classes]
    comparison = compare(source, seeds=1, epochs=30, formulations=[name])
    assert "objective-not-reproduced" in names(comparison)


def test_too_few_steps_are_noted():
    comparison = compare(DATA, seeds=2, epochs=2, learning_rate=1e-3, formulations=["bce"])
    (found,) = (found for found in comparison.findings if found.name == "not-converged")
    assert "standard errors away from the maximum likelihood estimate" in found.message
    assert found.values["distance"] == pytest.approx(comparison["bce"].distance)
    assert comparison.ok


def test_a_gradient_norm_out_of_reach_is_noted():
    comparison = compare(DATA, seeds=1, converge=True, gradient_norm=1e-30, formulations=["bce"])
    (found,) = comparison.findings
    assert found.name == "not-converged"
    assert found.message.endswith("above the 1e-30 that was asked for.")


def test_a_penalty_is_no_distance_from_the_estimate():
    comparison = compare(DATA, seeds=1, converge=True, weight_decay=0.1, formulations=["bce"])
    assert comparison["bce"].distance is None
    assert comparison["bce"].parameters_note == (
        "no standard errors: weight decay is a penalty on the likelihood"
    )
    assert all(p.standard_error is None for p in comparison["bce"].parameters)
    assert comparison.ok


def test_divergence_is_a_result():
    comparison = compare(
        DATA, seeds=2, epochs=4, optimizer="adam", learning_rate=3e38, formulations=["bce", "ce2"]
    )
    assert not comparison.ok
    for result in comparison.formulations:
        assert result.status == "diverged"
        assert result.mean("log_loss") is None
        assert result.parameters == ()
        assert result.parameters_note == "every seed diverged"
        for trial in result.trials:
            assert trial.status == "diverged"
            assert 1 <= trial.diverged_at <= 4
            assert trial.test is None
            assert np.isnan(trial.log_probabilities).all()
    found = comparison.findings[0]
    assert (found.name, found.level) == ("training-diverged", "error")
    assert "the objective is no longer finite after epoch" in found.message


def test_one_diverged_seed_leaves_the_others(monkeypatch):
    train = tasks.train_stack

    def one_breaks(*arguments, **options):
        trained = train(*arguments, **options)
        trained.train_curve[2:, 0] = np.inf
        return replace(trained, diverged_at=[2, None, None])

    monkeypatch.setattr(tasks, "train_stack", one_breaks)
    result = compare(DATA, seeds=3, epochs=4, formulations=["bce"])["bce"]
    assert result.status == "diverged"
    assert [trial.status for trial in result.trials] == ["diverged", "finished", "finished"]
    kept = [trial.test.log_loss for trial in result.trials[1:]]
    assert result.mean("log_loss") == pytest.approx(np.mean(kept))


def test_global_random_states_are_left_alone():
    torch.manual_seed(3)
    np.random.seed(3)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    compare(DATA, seeds=1, epochs=2, batch_size=50)
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_before, np.random.get_state()[1])


def test_a_barely_trained_model_is_no_wrong_scorer():
    comparison = compare(
        "synthetic:n=5000,features=4,noise=2,seed=3",
        seeds=2, epochs=5, learning_rate=0.01, test=0.4,
    )  # fmt: skip
    assert comparison.ok
    assert names(comparison) <= {"not-converged", "worse-than-prior", "miscalibrated"}
    assert "miscalibrated" in names(comparison)


@pytest.mark.parametrize("name", ["bce", "ce+smoothing=0.1", "ovr+weights=1:2"])
def test_a_reproduced_objective_proves_the_link(name):
    comparison = compare(
        "synthetic:n=400,features=100,seed=3",
        seeds=1, epochs=300, learning_rate=0.1, test=0.5, formulations=[name],
    )  # fmt: skip
    (found,) = (each for each in comparison.findings if each.name == "miscalibrated")
    assert found.level == "note"
    assert found.values["slope"] < 2 / 3
    assert found.message.split(":")[-1].startswith(" the model is too sure of itself.")
    assert "log-odds-scaled" not in names(comparison)


def test_normalised_sigmoids_are_not_sure_enough():
    comparison = compare(
        "synthetic:n=3000,features=4,classes=10,seed=3",
        seeds=1, epochs=10, learning_rate=0.1, formulations=["ce", "ovr"],
    )  # fmt: skip
    (found,) = (each for each in comparison.findings if each.name == "miscalibrated")
    assert (found.subject, found.level) == ("ovr", "note")
    assert found.values["slope"] > 1.5
    assert found.message.endswith(": the model is not sure enough.")
    assert "log-odds-scaled" not in names(comparison)


def test_another_link_on_a_built_in_loss_is_still_a_suspect():
    def backwards(outputs):
        return BUILT_IN["ovr"].resolved_link.log_probabilities(outputs)[:, ::-1]

    link = replace(BUILT_IN["ovr"].resolved_link, name="backwards", log_probabilities=backwards)
    own = replace(BUILT_IN["ovr"], link=link)
    comparison = compare(DATA, seeds=1, epochs=30, learning_rate=0.1, formulations=[own])
    assert "log-odds-scaled" in names(comparison)
    assert "miscalibrated" not in names(comparison)


def test_what_a_recovery_of_the_user_s_gives_is_still_a_suspect():
    own = replace(BUILT_IN["ce2"], recover=lambda log_q: log_q[:, ::-1])
    comparison = compare(DATA, seeds=1, epochs=30, learning_rate=0.1, formulations=[own])
    assert "log-odds-scaled" in names(comparison)
    assert "miscalibrated" not in names(comparison)


def test_scores_that_all_but_separate_classes_give_no_numpy_warning():
    comparison = compare(
        "sklearn:wine", seeds=2, model="mlp", widths=[16], batch_size=32, epochs=30
    )
    assert comparison.ok
