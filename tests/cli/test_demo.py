"""``xent demo``: the figures of the BCE-versus-CE study, and how they are printed."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import xent
from statsmodels.discrete.discrete_model import Logit

from xent.study import DataSpec, load_dataset


@pytest.fixture(scope="module")
def printed():
    return xent("demo", "--seeds", "2")


@pytest.fixture(scope="module")
def converged():
    ended = xent("demo", "--seeds", "2", "--converge", "--json")
    assert ended.code == 0
    return json.loads(ended.out)


@pytest.fixture(scope="module")
def estimate():
    train = load_dataset(DataSpec("bce-versus-ce")).train
    design = np.column_stack([train.features, np.ones(len(train.target))])
    return Logit(train.target, design).fit(disp=0, tol=1e-12)


def test_reads_at_80_columns_without_colours(printed):
    assert printed.code == 0
    assert max(map(len, printed.out.splitlines())) <= 80
    assert "\x1b" not in printed.out
    said = printed.err.removeprefix("Report: ")
    assert said.endswith(" (--out FOLDER keeps everything)\n")
    report = Path(said.removesuffix(" (--out FOLDER keeps everything)\n"))
    assert "bce-versus-ce" in report.read_text(encoding="utf-8")


def test_says_how_far_from_converged(printed):
    text = " ".join(printed.out.split())
    assert "50 epochs have not converged" in text
    assert (
        "maximum likelihood estimate (MLE), in standard errors: bce 4.1, ce1 3.7, ce2 3.7" in text
    )
    assert text.count("note XS117 not-converged") == 1


def test_shows_wrong_figures_beside_right_ones_with_the_reason(printed):
    text = " ".join(printed.out.split())
    assert "ce1 0.617899 0.635658 0.635656" in text
    assert "ce2 0.618391 0.644258 0.644257 0.552055" in text
    assert "ce1: wrong: P(1) is sigmoid(2z)" in text
    assert "ce2: wrong: sigmoid(a) and sigmoid(b) are no distribution" in text
    for name in ("log-odds-scaled", "rows-do-not-sum-to-one", "below-entropy-floor"):
        assert name in text


def test_all_three_formulations_score_alike():
    ended = xent("demo", "--seeds", "3", "--json")
    assert ended.code == 0
    formulations = json.loads(ended.out)["formulations"]
    assert list(formulations) == ["bce", "ce1", "ce2"]
    for result in formulations.values():
        assert result["log_loss"] == pytest.approx(0.618, abs=1e-3)
        assert 0.655 <= result["accuracy"] <= 0.658
        assert result["distance_to_maximum_likelihood"] > 1
        assert len(result["trials"]) == 3


def test_converged_coefficients_are_the_estimate(converged, estimate):
    for result in converged["formulations"].values():
        for trial in result["trials"]:
            np.testing.assert_allclose(trial["coefficients"][0], estimate.params, atol=1e-7)
            assert trial["distance_to_maximum_likelihood"] < 1e-5
        errors = [parameter["standard_error"] for parameter in result["parameters"]]
        np.testing.assert_allclose(errors, estimate.bse, rtol=1e-6)


def test_converged_losses_are_the_estimate_s(converged, estimate):
    for result in converged["formulations"].values():
        for trial in result["trials"]:
            assert trial["train_log_loss"] == pytest.approx(-estimate.llf / 50_000, abs=1e-10)
    assert converged["baselines"]["likelihood_log_loss"] == pytest.approx(0.617853, abs=5e-7)
    assert converged["baselines"]["true_log_loss"] == pytest.approx(0.617859, abs=5e-7)
    assert converged["findings"] == []


def test_converged_text_says_so():
    ended = xent("demo", "--seeds", "1", "--converge")
    assert "Converged: within" in ended.out
    assert "have not converged" not in ended.out
