"""The weights that the BCE-versus-CE study published, scored rightly and its own way."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from xent.study import PUBLISHED, DataSpec, load_dataset
from xent.study._bce_versus_ce import demo_spec, score_published, score_wrongly
from xent.study._evaluation._misscored import score_with_sigmoids
from xent.study._formulations import BUILT_IN
from xent.study._runs._run import run_study


@pytest.fixture(scope="module")
def dataset():
    return load_dataset(DataSpec("bce-versus-ce"))


@pytest.fixture(scope="module")
def scores(dataset):
    return {score.formulation: score for score in score_published(dataset)}


@pytest.mark.parametrize(
    ("name", "right"), [("bce", 0.618044), ("ce1", 0.617899), ("ce2", 0.618391)]
)
def test_right_link(scores, name, right):
    assert scores[name].right == pytest.approx(right, abs=5e-6)


@pytest.mark.parametrize(
    ("name", "published"), [("bce", 0.618044), ("ce1", 0.635658), ("ce2", 0.644258)]
)
def test_a_sigmoid_on_every_output_gives_the_published_table(scores, name, published):
    assert scores[name].renormalised == pytest.approx(published, abs=5e-6)
    assert next(m.published_log_loss for m in PUBLISHED if m.formulation == name) == published


def test_without_renormalising_the_loss_falls_below_the_entropy(scores):
    assert scores["ce2"].raw == pytest.approx(0.5521, abs=5e-5)
    assert scores["ce1"].raw == pytest.approx(scores["ce1"].renormalised, abs=1e-12)


def test_each_wrong_figure_is_caught_by_name(scores):
    names = {name: {found.name for found in score.findings} for name, score in scores.items()}
    assert names["bce"] == set()
    assert names["ce1"] == {"log-odds-scaled", "objective-is-not-the-log-loss"}
    assert names["ce2"] == {
        "rows-do-not-sum-to-one",
        "below-entropy-floor",
        "log-odds-scaled",
        "objective-is-not-the-log-loss",
    }
    levels = {found.name: found.level for found in scores["ce1"].findings}
    assert levels["log-odds-scaled"] == "error"
    slope = next(f for f in scores["ce1"].findings if f.name == "log-odds-scaled").values["slope"]
    assert slope == pytest.approx(2.024, abs=1e-3)


def test_wrong_scores_against_scikit_learn(dataset):
    """Sigmoids as the study applied them, scored by the function that it called."""
    outputs = np.random.default_rng(0).normal(size=(500, 2))
    target = dataset.test.target[:500]
    q = 1 / (1 + np.exp(-outputs))
    wrong = score_with_sigmoids(BUILT_IN["ce2"], outputs)
    np.testing.assert_allclose(np.exp(wrong.raw), q, rtol=1e-12)
    assert -wrong.renormalised[np.arange(500), target].mean() == pytest.approx(
        log_loss(target, q / q.sum(axis=1, keepdims=True)), abs=1e-12
    )
    z = outputs[:, :1]
    halved = score_with_sigmoids(BUILT_IN["ce1"], z)
    np.testing.assert_allclose(
        halved.raw, -np.logaddexp(0, np.hstack([z, -z])), rtol=1e-12, atol=1e-15
    )


def test_trained_models_scored_the_study_s_way():
    comparison = run_study(demo_spec(1, converge=True))
    wrong = {score.formulation: score for score in score_wrongly(comparison)}
    assert list(wrong) == ["bce", "ce1", "ce2"]
    for score in wrong.values():
        assert score.right == pytest.approx(0.617853, abs=1e-6)
    assert wrong["bce"].renormalised == pytest.approx(wrong["bce"].right, abs=1e-12)
    assert wrong["ce1"].renormalised > 0.634
    assert wrong["ce1"].findings


def test_spec_is_the_study_s():
    spec = demo_spec(3)
    assert spec.seeds == (0, 1, 2)
    assert spec.formulations == ("bce", "ce1", "ce2")
    assert (spec.training.optimizer, spec.training.learning_rate) == ("adam", 0.1)
    assert (spec.training.epochs, spec.training.batch_size) == (50, None)
