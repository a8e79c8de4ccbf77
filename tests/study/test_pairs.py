"""Pairs of a study and of entrants: question, design, margin, verdict, checks, sentences."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from xent import InputError, compare
from xent.study import DataSpec, StudySpec
from xent.study._evaluation._row_values import Entrant, ScoredRows
from xent.study._spec import check_spec
from xent.study._statistics import (
    Difference,
    crossed,
    needed,
    needed_together,
    paired_rows,
    resampled,
    verdict,
)
from xent.study._verdicts._designs import Design, measure
from xent.study._verdicts._margin import given_margin, margin_of_skill
from xent.study._verdicts._pair_sentences import Reading, design_sentence, p_text, sentence
from xent.study._verdicts._pairing import compare_all

DATA = "synthetic:n=600,features=3,seed=5"
ROWS = 400


def entrants(shift=0.02, replicates=1, noise=0.05, names=("a", "b"), rows=ROWS):
    """Log-odds of one truth, each entrant with noise and a scale of its own."""
    random = np.random.default_rng(0)
    z = 1.5 * random.normal(size=rows)
    target = (random.random(rows) < 1 / (1 + np.exp(-z))).astype(np.int64)
    found = []
    for number, name in enumerate(names):
        logs = []
        for _ in range(replicates):
            odds = (1 + number * shift) * z + noise * random.normal(size=rows)
            logs.append(-np.logaddexp(0, np.stack([odds, -odds], axis=1)))
        found.append(Entrant(name, tuple(logs)))
    return found, target


def pair_of(found, target, question="fitted", margin=0.01, level=0.95, **rows):
    chosen = None if margin is None else given_margin(margin)
    design = Design(question, (ScoredRows(target, **rows),))
    return compare_all(measure(found, design), chosen, level)[0]


def losses(entrant, target):
    return np.stack([-log_q[np.arange(len(target)), target] for log_q in entrant.replicates])


def test_a_fitted_pair_is_the_paired_t_of_its_losses():
    (a, b), target = entrants()
    pair = pair_of([a, b], target)
    expected = paired_rows((losses(b, target) - losses(a, target))[0])
    assert (pair.minuend, pair.subtrahend, pair.name) == ("b", "a", "b - a")
    assert (pair.metric, pair.question, pair.level) == ("log_loss", "fitted", 0.95)
    assert pair.difference == pytest.approx(expected.mean, rel=1e-12)
    assert pair.interval == pytest.approx(expected.interval(), rel=1e-12)
    assert pair.p_difference == pair.p_holm == pytest.approx(expected.p_value)
    assert pair.p_equivalence == pytest.approx(expected.equivalence_p(0.01))
    gap = np.abs(np.exp(a.replicates[0]) - np.exp(b.replicates[0])).max()
    assert pair.largest_probability_gap == gap


def test_a_fitted_pair_of_several_seeds_averages_them():
    (a, b), target = entrants(replicates=4)
    pair = pair_of([a, b], target)
    expected = paired_rows((losses(b, target) - losses(a, target)).mean(axis=0))
    assert pair.standard_error == pytest.approx(expected.standard_error, rel=1e-12)
    assert pair.design == f"paired t over {ROWS} test rows, {ROWS - 1} degrees of freedom"
    (check,) = [check for check in pair.checks if check.name == "exact McNemar"]
    assert "models of the first seed" in check.words


def test_a_pair_of_procedures_crosses_seeds_and_rows():
    (a, b), target = entrants(replicates=5)
    pair = pair_of([a, b], target, "procedure")
    expected = crossed(losses(b, target) - losses(a, target))
    assert pair.standard_error == pytest.approx(expected.standard_error, rel=1e-12)
    assert pair.degrees == pytest.approx(expected.degrees)
    assert "5 seeds, crossed" in pair.design
    assert {check.name for check in pair.checks} == {"paired bootstrap", "brier", "accuracy", "auc"}


def test_few_seeds_are_not_redrawn():
    (a, b), target = entrants(replicates=4)
    pair = pair_of([a, b], target, "procedure")
    assert {check.name for check in pair.checks} == {"brier", "accuracy", "auc"}


def test_pairs_over_splits_are_corrected():
    found, target = entrants(replicates=5)
    rows = tuple(ScoredRows(target, training_rows=800) for _ in range(5))
    measured = measure(found, Design("procedure", rows))
    (pair,) = compare_all(measured, given_margin(0.01), 0.95)
    means = (losses(found[1], target) - losses(found[0], target)).mean(axis=1)
    expected = resampled(means, ROWS / 800)
    assert pair.standard_error == pytest.approx(expected.standard_error, rel=1e-12)
    assert "bootstrap" not in [check.name for check in pair.checks]


def test_clusters_and_weights_reach_the_test():
    (a, b), target = entrants()
    groups, weight = np.arange(ROWS) // 4, np.random.default_rng(1).gamma(2.0, size=ROWS)
    pair = pair_of([a, b], target, groups=groups, weight=weight)
    difference = (losses(b, target) - losses(a, target))[0]
    expected = paired_rows(difference, weight, groups)
    assert pair.standard_error == pytest.approx(expected.standard_error, rel=1e-12)
    assert "100 clusters of rows" in pair.design
    assert "clusters of rows redrawn" in pair.checks[0].words


def test_rows_of_weight_zero_are_left_out_even_if_infinite():
    (a, b), target = entrants()
    weight = np.ones(ROWS)
    weight[7] = 0.0
    b.replicates[0][7] = -np.inf
    pair = pair_of([a, b], target, weight=weight)
    kept = weight > 0
    expected = paired_rows((losses(b, target) - losses(a, target))[0][kept])
    assert pair.difference == pytest.approx(expected.mean, rel=1e-12)
    assert pair.degrees == ROWS - 2


def test_infinite_losses_are_said_in_words():
    (a, b), target = entrants()
    b.replicates[0][3, target[3]] = -np.inf
    pair = pair_of([a, b], target)
    assert pair.verdict == "inconclusive"
    assert pair.difference is pair.p_difference is pair.p_holm is pair.needed is None
    assert pair.interval == (None, None)
    assert pair.sentence == (
        "b and a: inconclusive. What came true had probability 0 for b in 1 test row: that log "
        "loss is infinite, its differences have no mean to test, and no number of rows would "
        "decide it; the Brier score, which stays finite, is among the checks."
    )
    brier = pair.checks[0]
    assert brier.name == "brier"
    assert math.isfinite(brier.p_value)


def test_an_infinite_pair_does_not_stop_the_others():
    found, target = entrants(names=("a", "b", "c"))
    found[1].replicates[0][3, target[3]] = -np.inf
    design = Design("fitted", (ScoredRows(target),))
    pairs = compare_all(measure(found, design), given_margin(0.05), 0.95)
    assert [pair.difference is None for pair in pairs] == [True, False, True]
    assert pairs[1].p_holm == pairs[1].p_difference


def test_seeds_that_diverged_are_left_out_of_their_pair():
    (a, b), target = entrants(replicates=4)
    b = Entrant("b", (*b.replicates[:2], None, b.replicates[3]))
    pair = pair_of([a, b], target, "procedure")
    both = [0, 1, 3]
    expected = crossed((losses(a, target) * -1)[both] + losses_of(b, target, both))
    assert pair.standard_error == pytest.approx(expected.standard_error, rel=1e-12)
    assert pair.design.endswith("1 of 4 seeds left out")


def losses_of(entrant, target, replicates):
    return np.stack([-entrant.replicates[j][np.arange(len(target)), target] for j in replicates])


def test_one_seed_left_says_nothing_about_chance():
    (a, b), target = entrants(replicates=2)
    b = Entrant("b", (b.replicates[0], None))
    pair = pair_of([a, b], target, "procedure")
    assert pair.verdict == "inconclusive"
    assert pair.interval == (None, None)
    assert pair.p_difference == 1.0
    assert pair.sentence.endswith("one seed says nothing about chance.")
    json.dumps([vars(check) for check in pair.checks], allow_nan=False)


def test_nothing_finished_in_both():
    (a, b), target = entrants(replicates=2)
    a = Entrant("a", (a.replicates[0], None))
    b = Entrant("b", (None, b.replicates[1]))
    pair = pair_of([a, b], target, "procedure")
    assert pair.sentence == (
        "b and a: inconclusive. There is no seed in which both finished training."
    )
    assert pair.checks == ()


def test_equal_predictions_are_identical():
    (a, _), target = entrants()
    pair = pair_of([a, Entrant("twin", a.replicates)], target)
    assert pair.verdict == "identical"
    assert pair.difference == pair.standard_error == 0.0
    assert pair.sentence == "twin and a are identical: no probability differs, in any digit."
    shifted = Entrant("shifted", (a.replicates[0] - 2e-7,))
    assert "identical: their probabilities differ by 2e-7 at most, within" in (
        pair_of([a, shifted], target).sentence
    )


def test_an_open_pair_says_what_would_decide_it():
    found, target = entrants(shift=0.3, noise=0.5)
    pair = pair_of(found, target, margin=0.001)
    assert pair.verdict == "inconclusive"
    assert pair.needed > ROWS
    assert pair.needed_unit == "rows"
    assert "nor equivalence within 0.001 (TOST p = " in pair.sentence
    assert "test rows in all would decide it at this mean and spread." in pair.sentence


def reading(difference, margin, needed_units=(), **changes):
    given = {
        "minuend": "b", "subtrahend": "a", "level": 0.95, "p_difference": difference.p_value,
        "p_holm": difference.p_value, "verdict": verdict(difference, margin), "gap": 0.1,
    }  # fmt: skip
    return Reading(difference=difference, margin=margin, needed=needed_units, **given | changes)


def test_where_one_kind_of_unit_alone_decides_nothing_the_sentence_says_what_both_would():
    random = np.random.default_rng(0)
    values = random.normal(0, 1, (6, 1)) + random.normal(0, 6, (1, 300))
    found = crossed(values - values.mean())
    assert verdict(found, 0.3) == "inconclusive"
    assert needed(found, 0.3) is None
    rows, seeds = needed_together(found, 0.3)
    assert (rows.unit, seeds.unit) == ("rows", "seeds")
    # Both by one factor, up to the rounding of the smaller number.
    assert rows.count == seeds.count * 300 // 6
    said = sentence(reading(found, 0.3, (rows, seeds)))
    assert "Neither more test rows nor more seeds alone would decide it at this mean and " in said
    assert said.endswith(f"with {seeds.count} seeds would.")
    larger = np.tile(values - values.mean(), (seeds.count // 6 + 2, seeds.count // 6 + 2))
    assert verdict(crossed(larger), 0.3) == "equivalent"


def test_only_what_was_tried_is_ruled_out():
    splits = resampled(np.random.default_rng(2).normal(0.0, 1.0, size=10), 1.0)
    assert needed(splits, 0.5) is None
    assert needed_together(splits, 0.5) == ()
    assert sentence(reading(splits, 0.5)).endswith(
        "No number of splits of these rows would decide it at this mean and spread, since splits "
        "share rows; what more rows would do is not known from here."
    )
    rows = paired_rows([1.0, -1.0])
    assert sentence(reading(rows, None)).endswith(
        "No number of test rows would decide it at this mean and spread."
    )
    both = crossed([[1.0, -1.0, 0.5, -0.5], [-1.0, 1.0, -0.5, 0.5]])
    assert needed_together(both, None) == ()
    assert sentence(reading(both, None)).endswith(
        "No number of test rows and seeds would decide it at this mean and spread."
    )


def test_an_end_of_the_interval_never_loses_its_sign_to_rounding():
    def ends(mean, error):
        found = Difference(mean, error, 1e6, "")
        said = sentence(reading(found, 1.0, verdict="equivalent"))
        return said.split("% CI ")[1].split(")")[0]

    assert ends(0.0195, 0.01) == "-0.0001 to +0.039"
    assert ends(0.01, 0.01) == "-0.010 to +0.030"
    assert ends(0.0, 0.0) == "0 to 0"
    assert ends(-6.9e-9, 1e-8) == "-2.6e-8 to +1.3e-8"


def test_p_values_too_small_for_a_number_are_below_one():
    found = Difference(0.5, 0.001, 1e6, "")
    assert sentence(reading(found, None)).endswith(
        "p < 1e-300; there is no margin to hold it against."
    )


def test_near_probabilities_are_said_to_be_near():
    found = Difference(1e-5, 1e-5, 1e6, "")
    near = sentence(reading(found, 0.001, gap=4.2e-5))
    assert near.endswith(". Their probabilities differ by 4e-5 at most.")
    assert near.count("no difference is shown (p = 0.32)") == 1
    assert "Their" not in sentence(reading(found, 0.001, gap=0.02))


def test_designs_that_differ_are_summed_up_without_repetition():
    def design(words, degrees):
        return SimpleNamespace(design=words, degrees=degrees, difference=0.1)

    assert design_sentence([design("t", 9.0), design("t", 9.0)]) == "Test: t."
    assert design_sentence([design("F(1)", 9.0), design("F(2)", 9.0)]) == (
        "Test of the first pair: F(1)."
    )
    assert design_sentence([design("t1", 9.0), design("t2", 1499.04)]) == (
        "Test of the first pair: t1; 9 to 1,499 over all pairs."
    )


def test_without_margin_no_equivalence_is_claimed():
    found, target = entrants(shift=0.0, noise=1e-3)
    pair = pair_of(found, target, margin=None)
    assert pair.verdict == "inconclusive"
    assert pair.p_equivalence is pair.margin is None
    assert "and without a margin no equivalence" in pair.sentence
    worse, target = entrants(shift=2.0)
    pair = pair_of(worse, target, margin=None)
    assert pair.verdict == "different"
    assert pair.sentence.startswith("b is worse than a by 0.")
    assert pair.sentence.endswith("there is no margin to hold it against.")


def test_holm_decides_over_all_pairs():
    found, target = entrants(names=("a", "b", "c", "d"), shift=0.16, noise=0.1)
    design = Design("fitted", (ScoredRows(target),))
    pairs = compare_all(measure(found, design), given_margin(1e-6), 0.95)
    assert len(pairs) == 6
    raw = np.sort([pair.p_difference for pair in pairs])
    assert min(pair.p_holm for pair in pairs) == pytest.approx(min(1.0, 6 * raw[0]))
    changed = [pair for pair in pairs if pair.p_difference < 0.05 <= pair.p_holm]
    assert changed
    assert all(pair.verdict == "inconclusive" for pair in changed)
    for pair in changed:
        p, by_holm = p_text(pair.p_difference), p_text(pair.p_holm)
        said = f"neither a difference after Holm's adjustment (p = {p}, {by_holm} by Holm) nor"
        assert said in pair.sentence


def test_three_classes_have_every_check():
    random = np.random.default_rng(3)
    target = random.integers(3, size=200)
    logits = random.normal(size=(2, 200, 3)) + 2 * np.eye(3)[target]
    logs = logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)
    pair = pair_of([Entrant("a", (logs[0],)), Entrant("b", (logs[1],))], target)
    values = {check.name: check.value for check in pair.checks}
    brier = ((np.exp(logs) - np.eye(3)[target]) ** 2).sum(axis=2).mean(axis=1)
    assert values["brier"] == pytest.approx(brier[1] - brier[0])
    right = (logs.argmax(axis=2) == target).mean(axis=1)
    assert values["accuracy"] == pytest.approx(right[1] - right[0])
    assert -0.5 < values["auc"] < 0.5


def test_one_class_among_the_rows_has_no_area():
    (a, b), target = entrants()
    pair = pair_of([a, b], np.zeros_like(target))
    assert "auc" not in [check.name for check in pair.checks]


def test_one_entrant_has_no_pair():
    found, target = entrants(names=("a",))
    assert compare_all(measure(found, Design("fitted", (ScoredRows(target),))), None, 0.95) == ()


# A whole study.


@pytest.mark.parametrize("option", ["group", "groups"])
def test_clusters_of_a_study(option):
    """--group keeps clusters in one part and --groups does not; both are the errors' units."""
    random = np.random.default_rng(4)
    frame = pd.DataFrame(random.normal(size=(300, 2)), columns=["a", "b"])
    frame["y"] = np.where(random.random(300) < 0.5, "no", "yes")
    frame["site"] = [f"site {number}" for number in np.arange(300) // 6]
    study = compare(frame, "y", seeds=1, epochs=5, formulations="bce,ce1", **{option: "site"})
    clusters = study.dataset.test.groups
    (pair,) = study.pairs
    count = len(np.unique(clusters))
    assert f"{count} clusters of rows" in pair.design
    losses = [
        -result.trials[0].log_probabilities[np.arange(len(clusters)), study.dataset.test.target]
        for result in study.formulations
    ]
    expected = paired_rows(losses[1] - losses[0], None, clusters)
    assert pair.standard_error == pytest.approx(expected.standard_error, rel=1e-9)
    assert "site" not in study.dataset.feature_names


def test_questions_and_margins_of_a_study():
    study = compare(DATA, seeds=3, epochs=15)
    assert study.question == "procedure"
    assert [pair.name for pair in study.pairs] == ["ce1 - bce", "ce2 - bce", "ce2 - ce1"]
    skill = study.margin.value / 0.02
    assert 0.05 < skill < 0.3
    assert study.margin.source == "skill"
    assert "2 % of the skill" in study.margin.words
    assert "on the validation rows" in study.margin.words
    assert study.rules[0].startswith("Question: do the training procedures differ, trained on")
    assert "120 test rows and 3 seeds, crossed" in study.rules[-1]


def test_one_seed_asks_about_fitted_models():
    study = compare(DATA, seeds=1, epochs=15, margin=0.5, validation=0.0)
    assert study.question == "fitted"
    assert study.margin.words == "Differences below 0.5 nats of log loss do not matter, as given."
    assert {pair.verdict for pair in study.pairs} <= {"equivalent", "identical"}
    assert study.rules[0].endswith("of models trained from other seeds it says nothing.")


def test_fitted_can_be_asked_of_several_seeds():
    study = compare(DATA, seeds=3, epochs=5, question="fitted", validation=0.0)
    assert study.question == "fitted"
    assert "averaged over the 3 seeds" in study.rules[0]
    assert "training rows, as there are no validation rows" in study.margin.words


def test_splits_are_resampled():
    study = compare(DATA, splits=4, epochs=5, formulations="bce,ce1")
    (pair,) = study.pairs
    assert pair.degrees == 3
    assert "corrected resampled t over 4 splits, test/train 0.286" in pair.design
    losses = {r.name: [t.test.log_loss for t in r.trials] for r in study.formulations}
    assert pair.difference == pytest.approx(np.mean(np.subtract(losses["ce1"], losses["bce"])))


def test_five_by_two_uses_the_f_test():
    study = compare(DATA, splits="5x2", epochs=5, formulations="bce,ce1", margin=0.5)
    (pair,) = study.pairs
    assert pair.design.startswith("combined 5x2cv F(")
    assert "interval and equivalence: corrected resampled t over 10 splits" in pair.design
    losses = {r.name: [t.test.log_loss for t in r.trials] for r in study.formulations}
    values = np.subtract(losses["ce1"], losses["bce"]).reshape(5, 2)
    statistic = (values**2).sum() / ((values[:, 0] - values[:, 1]) ** 2).sum()
    assert f"F({statistic:.3g})" in pair.design


def test_recovered_probabilities_are_the_ones_compared():
    study = compare(DATA, seeds=2, epochs=60, formulations="bce,bce+smoothing=0.2", margin=0.02)
    (pair,) = study.pairs
    recovered = study["bce+smoothing=0.2"].mean("log_loss", recovered=True)
    assert pair.difference == pytest.approx(recovered - study["bce"].mean("log_loss"))


def test_diverged_studies_have_open_pairs():
    study = compare(DATA, seeds=2, epochs=4, optimizer="sgd", learning_rate=1e38)
    assert {pair.verdict for pair in study.pairs} == {"inconclusive"}
    assert study.margin.value is None
    assert study.margin.words.startswith(
        "No margin: no formulation has a log loss on the validation "
    )
    assert len(study.rules) == 2
    json.dumps(study.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"margin": 0.0},
            "compare: --margin must be above 0 and finite, in nats of log loss; got 0.",
        ),
        ({"level": 0.4}, "compare: --level must be above 0.5 and below 1; got 0.4."),
        ({"question": "both"}, "compare: --question must be one of fitted, procedure; got 'both'."),
        (
            {"question": "procedure", "seeds": (0,)},
            "compare: --question procedure must be asked with several seeds or splits, since one "
            "says "
            "nothing about the others; got 1 seed. Give --seeds 10, or ask --question fitted.",
        ),
        (
            {"question": "fitted", "splits": 10},
            "compare: --question fitted must be asked of models that are tested on the same rows; "
            "got "
            "--splits 10, each with test rows of its own.",
        ),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(InputError) as error:
        check_spec(StudySpec(DataSpec(DATA), **options))
    assert str(error.value).startswith(message)


def test_margins():
    assert given_margin(0.001).value == 0.001
    margin = margin_of_skill(0.6658, [0.62, 0.6179, math.nan], "validation rows")
    assert margin.value == 0.00096
    for losses in ([], [0.7], [math.inf], [math.nan]):
        none = margin_of_skill(0.6658, losses, "validation rows")
        assert none.value is None
        assert none.source == "none"
        assert "without it no equivalence can be claimed" in none.words


def test_p_values_are_never_shown_as_nothing():
    assert [p_text(p) for p in (0.999, 0.05, 0.00099, 3e-300, 0.0)] == [
        "1", "0.05", "1e-3", "3e-300", "< 1e-300",
    ]  # fmt: skip
