"""What is missing is said in words; nothing of it breaks the page."""

import numpy as np
import pytest
from report_runs import make_results, pair_of, parameter_of, predictions_of, scores_of
from taken_apart import page_of

from xent.report import build


def nothing(key):
    return None


def test_one_seed():
    page = page_of(make_results(seeds=1))
    assert "One seed: there is no spread over seeds to see." in page.text
    assert "One seed: a line each, no band." in page.text


def test_one_formulation():
    results = make_results(("bce",)) | {"pairs": []}
    page = page_of(results)
    assert "One formulation was run: there is nothing to compare it with." in page.text
    assert "There is no pair to draw." in page.text


def test_results_of_before_there_were_pairs():
    results = make_results()
    for key in ("pairs", "margin", "question", "rules", "trials"):
        del results[key]
    del results["data"]["standard_deviations"]
    page = page_of(results)
    assert "These results hold no comparison of pairs." in page.text
    assert "log-odds per unit of the feature" in page.inside("coefficients")


def test_no_predictions_at_hand():
    page = page_of(make_results(), nothing)
    assert "The predictions of the test rows are not at hand" in page.text
    assert "<svg" not in page.inside("reliability")


BROKEN = {
    "not finite": {"log_probabilities": np.full((200, 2), np.nan)},
    "of other rows": {"target": np.zeros(3, dtype=np.int64)},
    "of other classes": {"target": np.full(200, 7)},
    "negative": {"target": np.full(200, -1)},
    "no numbers of classes": {"target": np.zeros(200)},
    "flat": {"log_probabilities": np.zeros(200)},
    "weightless": {"weight": np.zeros(200)},
    "empty": {"log_probabilities": np.zeros((0, 2)), "target": np.zeros(0, dtype=np.int64)},
}


@pytest.mark.parametrize("broken", BROKEN)
def test_predictions_that_are_not_what_they_should_be(broken):
    page = page_of(make_results(), lambda key: predictions_of(key) | BROKEN[broken])
    assert "The predictions of the test rows are not at hand" in page.text


def test_no_coefficients():
    results = make_results()
    for own in results["formulations"].values():
        own["parameters"] = []
    assert "only linear models have log-odds coefficients" in page_of(results).text
    results["formulations"]["bce"]["parameters_note"] = "its link has no log-odds"
    assert "no coefficients to show: its link has no log-odds." in page_of(results).text


def test_separable_data_have_no_estimate_and_no_errors():
    results = make_results()
    results["maximum_likelihood"] = {"status": "separable", "exists": False,
                                     "message": "The classes are separated.",
                                     "train_log_loss": None}  # fmt: skip
    for own in results["formulations"].values():
        for parameter in own["parameters"]:
            parameter |= {"estimate": None, "estimate_se": None, "standard_error": None,
                          "truth": None}  # fmt: skip
    page = page_of(results)
    assert "No maximum likelihood estimate: The classes are separated." in page.text
    assert "Bars are 95% intervals." not in page.text
    assert "truth" not in page.cells("coefficients")


def test_a_diverged_formulation():
    results = make_results()
    own = results["formulations"]["ce2"]
    own["status"] = "diverged"
    for trial in own["trials"]:
        trial |= {"status": "diverged", "test": None, "diverged_at_epoch": 3}
        trial["train_curve"] = [1.0, 5.0, 1e30] + [None] * 27
    own["over_seeds"] = {metric: {"mean": None, "se": None} for metric in own["over_seeds"]}
    results["pairs"] = [results["pairs"][0]]
    page = page_of(results)
    assert "No finished trial: ce2." in page.text
    assert "Diverged, drawn while finite: ce2." in page.text
    assert "diverged" in page.inside("scores")


def test_everything_diverged():
    results = make_results() | {"status": "failed", "pairs": []}
    for own in results["formulations"].values():
        own["status"] = "diverged"
        for trial in own["trials"]:
            trial |= {"status": "diverged", "test": None, "train_curve": [None] * 5}
            trial["validation_curve"] = [None] * 5
        own["over_seeds"] = {metric: {"mean": None, "se": None} for metric in own["over_seeds"]}
    page = page_of(results)
    assert "Something went wrong" in page.text
    assert "No trial has a learning curve." in page.text
    assert "No trial has a finite log loss to draw." in page.text
    assert "Fewer than two formulations have a finished trial" in page.text


def test_infinite_losses():
    results = make_results()
    trial = results["formulations"]["ce1"]["trials"][1]
    trial["test"] = scores_of(None) | {"infinite_rows": 2}
    results["formulations"]["ce1"]["over_seeds"]["log_loss"] = {"mean": None, "se": None}
    for pair in results["pairs"][::2]:
        pair |= {"difference": None, "standard_error": None, "degrees": None, "p_holm": None,
                 "interval": [None, None], "p_difference": None, "p_equivalence": None,
                 "verdict": "inconclusive"}  # fmt: skip
    page = page_of(results)
    assert "seeds of ce1" in page.text
    assert "infinite" in page.cells("seeds")
    assert "infinite" in page.cells("scores")
    assert "An infinite log loss is a probability of 0" in page.text
    assert page.inside("differences").count("inconclusive") >= 2


def test_no_difference_is_finite():
    results = make_results(("a", "b"))
    results["pairs"] = [pair_of("b", "a", 0.1) | {"difference": None, "verdict": "inconclusive"}]
    assert "No difference is a finite number" in page_of(results).text


def test_without_standard_errors_and_margin():
    results = make_results(("a", "b"))
    results["margin"] = {"value": None, "words": "No margin.", "source": "none"}
    results["pairs"][0] |= {"standard_error": None, "degrees": None, "interval": [None, None],
                            "margin": None, "p_equivalence": None}  # fmt: skip
    page = page_of(results)
    assert "There is no margin, so equivalence can't be judged" in page.text
    assert "No margin." in page.text


def test_identical_pairs():
    results = make_results(("a", "b"))
    results["pairs"][0] |= {"difference": 0.0, "standard_error": 0.0, "interval": [0.0, 0.0],
                            "verdict": "identical", "margin": None}  # fmt: skip
    results["margin"]["value"] = None
    assert "The two are identical." in page_of(results).text


def test_differences_far_beyond_the_margin():
    results = make_results(("a", "b", "c"))
    results["pairs"][0] |= {"difference": -3.5, "interval": [-4.0, -3.0], "verdict": "different"}
    page = page_of(results)
    assert "The scale is linear inside the band and logarithmic beyond it." in page.text
    assert "Of 3 pairs: 1 different, 2 equivalent." in page.text


def test_an_interrupted_run():
    results = make_results(("bce", "ce1"))
    results |= {"status": "interrupted", "trials": {"finished": 4, "planned": 9}}
    results["spec"]["formulations"] = ["bce", "ce1", "ce2"]
    del results["formulations"]["ce1"]["trials"][1:]
    page = page_of(results)
    assert "3 formulations" in page.text
    assert "Interrupted: 4 of 9 trials are finished" in page.text
    assert "verdicts may change with the rest. Nothing is finished of ce2." in page.text
    assert "So far: the two are equivalent." in page.text
    assert "--formulations bce,ce1,ce2" in page.text
    assert ["1", "0.602000", "–"] in page.tables["seeds"][0]
    del results["formulations"]["ce1"]
    page = page_of(results | {"pairs": []})
    assert "One formulation is finished so far" in page.text
    assert "Nothing is finished of ce1, ce2." in page.text


def test_recovered_probabilities():
    results = make_results(("ce", "ce+focal=2"))
    own = results["formulations"]["ce+focal=2"]
    own["recovered"] = {metric: {"mean": 0.5, "se": 0.001} for metric in own["over_seeds"]}
    for trial in own["trials"]:
        trial["recovered"] = scores_of(0.55)
    page = page_of(results)
    assert page.text.count("Where a loss distorts probabilities these are the recovered ones.") == 2
    assert ["1", "0.602000", "0.550000"] in page.tables["seeds"][0]
    first = page.tables["scores"][0]
    assert [row[0] for row in first[2:4]] == ["ce+focal=2raw", "ce+focal=2recovered"]


def test_splits():
    results = make_results(("bce", "ce2"))
    results["spec"]["splits"] = 3
    for own in results["formulations"].values():
        for split, trial in enumerate(own["trials"]):
            trial["split"] = split
    page = page_of(results)
    assert ["2, split 2", "0.604000", "0.614000"] in page.tables["seeds"][0]
    assert "3 splits of the rows, each drawn anew" in page.text
    assert "--splits 3" in page.text
    assert "--seeds" not in page.text


def test_a_converged_study():
    results = make_results()
    results["spec"]["training"]["converge"] = True
    page = page_of(results)
    assert "Newton evaluation" in page.inside("curves")
    assert page.inside("curves").count("<svg") == 1
    assert "Newton’s method in float64" in page.text


def test_a_hundred_classes():
    results = make_results(("ce",))
    classes = [f"class {k}" for k in range(100)]
    results["data"]["classes"] = classes
    results["formulations"]["ce"]["parameters"] = [
        parameter_of(f, 0.01 * k, name, classes[0])
        for k, name in enumerate(classes[1:])
        for f in ("age", "height")
    ]
    random = np.random.default_rng(0)
    logits = random.normal(size=(200, 100))
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    arrays = {"log_probabilities": logs, "target": random.integers(0, 100, 200)}
    page = page_of(results, lambda key: arrays)
    assert "100 classes" in page.text
    assert "top label" in page.text
    assert len(page.tables["coefficients"][0]) == 31
    assert len(page.html.encode()) < 150_000


def test_weighted_rows_count_as_effective_rows():
    results = make_results(("a",))
    even = page_of(results, lambda key: predictions_of(key) | {"weight": np.full(200, 0.5)})
    assert even.tables["reliability"] == page_of(results).tables["reliability"]
    weight = np.where(np.arange(200) < 20, 10.0, 0.1)
    uneven = page_of(results, lambda key: predictions_of(key) | {"weight": weight})

    def width(page):
        return np.mean([float(r[-2]) - float(r[-3]) for r in page.tables["reliability"][0][1:]])

    assert width(uneven) > 1.5 * width(even)


def test_data_and_code_from_python_have_no_command():
    page = page_of(make_results(("bce", "my own")))
    assert "No command line can" in page.text
    results = make_results()
    results["spec"]["data"]["source"] = "DataFrame"
    assert "No command line can" in page_of(results).text


def test_predictions_made_elsewhere():
    groups = {"of": "positive class", "predicted": [0.2, 0.8], "observed": [0.25, 0.7],
              "weight": [100.0, 100.0]}  # fmt: skip
    one = {"scores": scores_of(0.5), "intervals": {}, "reliability": groups}
    results = {
        "schema_version": "1.1", "status": "finished", "environment": {"xent": "0.1.0"},
        "data": {"rows": 200, "classes": ["no", "yes"], "clusters": None, "weighted": False},
        "level": 0.95, "question": "fitted",
        "margin": {"value": 0.01, "words": "As given.", "source": "given"},
        "predictions": {"ours": one, "theirs": one},
        "pairs": [pair_of("theirs", "ours", 0.001)], "rules": [], "findings": [],
    }  # fmt: skip
    page = page_of(results, nothing)
    assert "200 test rows" in page.text
    assert "theirs and ours are equivalent." in page.text
    assert page.tables["scores"][0][1][:2] == ["ours", "0.50000"]
    assert page.inside("reliability").count("<svg") == 2
    assert page.inside("findings").count("No findings.") == 1
    sections = [own["id"] for tag, own in page.elements if tag == "section"]
    assert sections == ["verdict", "findings", "scores", "differences", "reliability", "methods"]
    assert page.tables["scores"][0][0][-1] == "slope"
    assert "p, Holm" not in page.cells("differences")
    assert "Many pairs" not in page.text
    assert "formulation" not in page.text
    assert "ours and theirs" in page.text
    assert "call xent.compare_predictions with the same ones" in page.text
    results["data"] |= {"kinds": {"ours": "logits", "theirs": "logits"}, "fingerprint": "abc"}
    results["asked"] = {"files": {"ours": "ours.csv", "theirs": "their file.csv"},
                        "input": "logits", "identity": "row", "drop": ["a", "b"]}  # fmt: skip
    page = page_of(results, nothing)
    assert (
        "xent compare --predictions ours.csv 'their file.csv' --input logits --id row --drop a,b"
    ) in page.text
    assert "theirs: their file.csv, logits" in page.text
    results["asked"]["drop"] = ["a", "b, or c"]
    assert "--drop a --drop 'b, or c'" in page_of(results, nothing).text
    assert "data fingerprint abc" in page.text


def test_bare_results():
    page = build({"schema_version": "1.1", "formulations": {"a": {}, "b": {}}})
    assert "These results hold no comparison" in page or "Fewer than two" in page
