"""Pairs without a test, or with one that sentences must not overstate."""

import io
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rich.console import Console

from xent import InputError, compare, compare_predictions
from xent._links import Link, log_sigmoid
from xent.scoring import finding
from xent.study import DataSpec, StudySpec, prediction_schema, schema
from xent.study._evaluation._row_values import Entrant, ScoredRows
from xent.study._formulations import Formulation
from xent.study._show._pairs import show_pairs
from xent.study._spec import check_spec
from xent.study._statistics import Difference, exact_mcnemar, verdict
from xent.study._sweeps._sweep import AtBest, Choice, _over_data_sets
from xent.study._verdicts._designs import Design, measure
from xent.study._verdicts._margin import given_margin, margin_of_skill
from xent.study._verdicts._pair_sentences import percent
from xent.study._verdicts._pairing import compare_all
from xent.study._verdicts._soundness import unsound_subjects

RANDOM = np.random.default_rng(3)
Z = 1.5 * RANDOM.normal(size=300)
P = 1 / (1 + np.exp(-Z))
Y = (RANDOM.random(300) < P).astype(np.int64)
BOTH = np.stack([1 - P, P], axis=1)
SIGMOIDS = np.stack([1 - 1 / (1 + np.exp(-1.3 * Z)), P], axis=1)


@pytest.mark.parametrize("order", [("good", "ones"), ("ones", "good")])
def test_no_verdict_where_rows_do_not_sum_to_one(order):
    arrays = {"good": BOTH, "ones": np.ones((300, 2))}
    found = compare_predictions(Y, {name: arrays[name] for name in order}, "probs", margin=0.01)
    (pair,) = found.pairs
    assert pair.verdict == "inconclusive"
    assert pair.difference is pair.p_difference is pair.p_equivalence is pair.needed is None
    assert pair.checks == ()
    assert pair.sentence == (
        f"{order[1]} and {order[0]}: inconclusive. There is no verdict, since the log loss of ones "
        "is not that of probabilities (XS103 rows-do-not-sum-to-one): see its finding."
    )


def test_the_other_pairs_are_tested_and_the_skill_is_that_of_the_sound():
    several = {"good": BOTH, "ones": np.ones((300, 2)), "flat": np.full((300, 2), 0.5)}
    found = compare_predictions(Y, several, "probs", margin="skill")
    alone = compare_predictions(
        Y, {n: several[n] for n in ("good", "flat")}, "probs", margin="skill"
    )
    assert found.margin == alone.margin
    assert [pair.difference is None for pair in found.pairs] == [True, False, True]
    assert found.pairs[1] == alone.pairs[0]


def test_two_that_are_no_distributions_are_both_named():
    several = {"ones": np.ones((300, 2)), "sigmoids": SIGMOIDS}
    (pair,) = compare_predictions(Y, several, "probs", margin=0.01).pairs
    assert "the log loss of sigmoids is not that of probabilities (XS103 " in pair.sentence
    assert pair.sentence.endswith(
        "and of ones is not that of probabilities (XS103 rows-do-not-sum-to-one): see their "
        "findings."
    )


def test_which_findings_forbid_a_verdict():
    found = [
        finding("below-entropy-floor", "a", "low"),
        finding("below-entropy-floor", "a", "low in another seed"),
        finding("infinite-loss-rows", "b", "infinite"),
        finding("columns-flipped", "c", "flipped"),
    ]
    assert unsound_subjects(found) == {"a": "XS110 below-entropy-floor"}


def cross_entropy(outputs, target):
    return torch.nn.functional.cross_entropy(outputs, target, reduction="none")


def test_a_trained_study_has_no_verdict_on_what_is_no_distribution():
    sigmoids = Link("two sigmoids", "sigmoid(z_k)", log_sigmoid, None)
    wrong = Formulation("wrong", "", lambda _: 2, cross_entropy, sigmoids)
    study = compare(
        "synthetic:n=400,features=3,seed=5",
        formulations=["ce2", wrong],
        seeds=2,
        epochs=2,
        margin=0.01,
    )
    assert any(found.code == "XS103" for found in study.findings)
    (pair,) = study.pairs
    assert pair.difference is None
    assert "the log loss of wrong is not that of probabilities (XS103" in pair.sentence


def test_identical_with_the_same_infinite_row():
    certain = np.array([0.2, 0.0, 0.9, 0.4])
    (pair,) = compare_predictions([0, 1, 1, 0], {"a": certain, "b": certain}, "probs").pairs
    assert pair.verdict == "identical"
    assert pair.sentence == "b and a are identical: no probability differs, in any digit."
    near = certain + np.array([1e-9, 0.0, 0.0, 0.0])
    (pair,) = compare_predictions([0, 1, 1, 0], {"a": certain, "b": near}, "probs").pairs
    assert pair.sentence.startswith("b and a are identical: their probabilities differ by 1e-9 ")


def test_infinite_in_another_row_or_far_apart_is_not_identical():
    one = np.array([0.2, 0.0, 0.9, 0.4])
    other = np.array([0.2, 1e-9, 0.9, 0.4])
    (pair,) = compare_predictions([0, 1, 1, 0], {"a": one, "b": other}, "probs").pairs
    assert pair.verdict == "inconclusive"
    low = [[-1e-9, -21.0], [-1e-9, -40.0], [-np.inf, 0.0]]
    lower = [[-1e-9, -21.0], [-1e-9, -30.0], [-np.inf, 0.0]]
    (pair,) = compare_predictions([0, 1, 0], {"a": low, "b": lower}, "log-probs").pairs
    assert pair.verdict == "inconclusive"


def halvings(means, spread=0.02, rows=60):
    """Ten splits whose log losses differ by these means, with noise over rows of mean 0."""
    random = np.random.default_rng(1)
    first, second = [], []
    for mean in means:
        noise = random.normal(0.0, spread, rows)
        loss = 0.6 + 0.05 * random.random(rows)
        first.append(loss)
        second.append(loss + mean + noise - noise.mean())
    target = np.zeros(rows, dtype=np.int64)

    def logs(losses):
        return np.stack([-losses, np.log(-np.expm1(-losses))], axis=1)

    design = Design(
        "procedure", tuple(ScoredRows(target, training_rows=rows) for _ in means), five_by_two=True
    )
    entrants = [Entrant("a", tuple(map(logs, first))), Entrant("b", tuple(map(logs, second)))]
    return measure(entrants, design)


def test_five_by_two_asks_for_no_more_splits_and_names_its_test():
    means = [0.021, 0.047, 0.008, 0.041, 0.033, 0.002, 0.045, 0.014, 0.010, 0.039]
    (pair,) = compare_all(halvings(means), given_margin(0.01), 0.95)
    assert pair.verdict == "inconclusive"
    assert pair.needed is pair.needed_unit is None
    assert pair.sentence.endswith(
        "5x2 has ten splits and no more: more splits need another design, --splits N."
    )
    assert "(95 % CI by t " in pair.sentence
    assert "(F test p = " in pair.sentence
    assert "splits in all" not in pair.sentence


def straddling(shift):
    losses = 0.6 + 0.05 * RANDOM.normal(size=300)
    apart = shift + 0.05 * RANDOM.normal(size=300)

    def logs(each):
        return np.stack([-each, np.log(-np.expm1(-each))], axis=1)

    return [Entrant("a", (logs(losses),)), Entrant("b", (logs(losses + apart),))]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_difference_beyond_the_margin_reads_unlike_one_about_it(sign):
    target = np.zeros(300, dtype=np.int64)
    design = Design("fitted", (ScoredRows(target),))
    (beyond,) = compare_all(measure(straddling(sign * 0.05), design), given_margin(0.01), 0.95)
    (about,) = compare_all(measure(straddling(sign * 0.05), design), given_margin(0.05), 0.95)
    assert beyond.verdict == about.verdict == "different"
    assert beyond.sentence.endswith("; the whole interval is above the margin of 0.01.")
    assert "; not shown to be below 0.05 (TOST p = " in about.sentence


def test_one_seed_is_said_of_fitted_models_alone():
    one = compare(
        "synthetic:n=400,features=3,seed=5", formulations=["bce", "ce2"], seeds=1, epochs=2
    )
    assert one.pairs[0].verdict != "identical"
    assert one.pairs[0].sentence.endswith(" Said of these two fitted models.")
    several = compare(
        "synthetic:n=400,features=3,seed=5", formulations=["bce", "ce2"], seeds=2, epochs=2
    )
    assert "fitted models" not in several.pairs[0].sentence


def test_a_margin_needs_a_log_loss():
    for losses in ([], [math.inf]):
        margin = margin_of_skill(0.69, losses, "validation rows")
        assert (margin.value, margin.source) == (None, "none")
        assert margin.words.startswith(
            "No margin: no formulation has a log loss on the validation rows to take the skill "
        )


def test_identical_is_not_wider_than_the_margin():
    apart = Difference(5e-7, 1e-9, 100.0, "")
    assert verdict(apart, 1e-3, largest_gap=5e-7) == "identical"
    assert verdict(apart, None, largest_gap=5e-7) == "identical"
    assert verdict(apart, 1e-9, largest_gap=5e-7) == "different"


def test_levels_keep_their_digits():
    assert [percent(level) for level in (0.95, 0.99, 0.57, 0.999999999)] == [
        "95",
        "99",
        "57",
        "99.9999999",
    ]


@pytest.mark.parametrize("count", [15, 30, 501])
def test_mcnemar_of_neighbours_is_one(count):
    right = np.arange(2 * count - 1) < count
    assert exact_mcnemar(right, ~right).p_value == 1.0
    assert exact_mcnemar(~right, right).p_value == 1.0


def test_clusters_have_no_part_in_splits():
    spec = StudySpec(DataSpec("data.csv", groups="patient"), splits=5, seeds=tuple(range(5)))
    with pytest.raises(InputError) as error:
        check_spec(spec)
    assert str(error.value) == (
        "compare: --groups must be left out with --splits, whose standard errors are over splits "
        "and not over rows; got --groups patient with --splits 5. Leave it out; --group keeps the "
        "rows of a group on one side of every split."
    )


def test_a_document_of_predictions_names_its_schema():
    document = json.loads(compare_predictions(Y, {"a": P, "b": BOTH}, "probs").to_json())
    assert document["schema"] == prediction_schema()["$id"] == "urn:xent:predictions:1.1"
    assert document["schema"] != schema()["$id"]


def test_what_is_no_distribution_is_not_ranked_over_data_sets():
    losses = {"ce2": (0.5, 0.6), "wrong": (0.0, 0.0), "bce": (0.51, 0.61)}
    wrong = SimpleNamespace(findings=(finding("rows-do-not-sum-to-one", "wrong", "no"),))
    best = [
        AtBest(data, "linear", {n: Choice(0.1, (), own[j]) for n, own in losses.items()}, found)
        for j, (data, found) in enumerate([("a", wrong), ("b", SimpleNamespace(findings=()))])
    ]
    spec = SimpleNamespace(
        models=["linear"], data={"a": None, "b": None}, study=SimpleNamespace(level=0.95)
    )
    (over,) = _over_data_sets(spec, best)
    assert set(over.mean_ranks) == {"ce2", "bce"}
    without = [
        AtBest("a", "linear", {n: Choice(0.1, (), 0.5) for n in ("ce2", "wrong")}, wrong),
        AtBest("b", "linear", {n: Choice(0.1, (), 0.5) for n in ("ce2", "wrong")}, wrong),
    ]
    assert _over_data_sets(spec, without) == ()


def test_long_names_are_cut_in_the_sentences_of_the_terminal():
    names = ("a" * 300, "b" * 40 + "end")
    found = compare_predictions(Y, {names[0]: P, names[1]: SIGMOIDS[:, 1] ** 0.9}, "probs")
    shown = io.StringIO()
    show_pairs(found.pairs, (), Console(file=shown, width=10_000))
    said = shown.getvalue()
    assert names[0] not in said
    assert "a" * 28 + "..." + "a" * 29 in said
    assert names[1] in said
    assert names[0] in found.pairs[0].sentence
