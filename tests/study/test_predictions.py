"""Predictions made elsewhere: kinds, order, sizes, margin, and how the result is shown."""

import io
import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from rich.console import Console

import xent
from xent import InputError, compare_predictions
from xent.study import prediction_schema

RANDOM = np.random.default_rng(0)
Z = RANDOM.normal(size=300) * 1.5
Y = (RANDOM.random(300) < 1 / (1 + np.exp(-Z))).astype(int)
P = 1 / (1 + np.exp(-Z))
Q = 1 / (1 + np.exp(-1.1 * Z))


def logs(p):
    return np.log(np.stack([1 - p, p], axis=1))


FORMS = {
    "probs of one class": (P, Q, "probs"),
    "probs of both": (np.exp(logs(P)), np.exp(logs(Q)), "probs"),
    "one column": (P[:, None], Q[:, None], "probs"),
    "log-probs of one class": (np.log(P), np.log(Q), "log-probs"),
    "log-probs of both": (logs(P), logs(Q), "log-probs"),
    "log-odds": (Z, 1.1 * Z, "logits"),
    "logits": (np.stack([-Z, Z], 1) / 2, np.stack([0 * Z, 1.1 * Z], 1), "logits"),
    "lists": (P.tolist(), Q.tolist(), "probs"),
    "tensors": (torch.tensor(P, requires_grad=True), torch.tensor(Q), "probs"),
    "Series": (pd.Series(P), pd.Series(Q), "probs"),
    "DataFrames in another order": (
        pd.DataFrame({"1": P, "0": 1 - P}),
        pd.DataFrame({0: 1 - Q, 1: Q}),
        "probs",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_predictions_gives_the_same_pair(form):
    expected = compare_predictions(Y, {"p": logs(P), "q": logs(Q)}, "log-probs", margin=0.01)
    p, q, kind = FORMS[form]
    found = compare_predictions(Y, {"p": p, "q": q}, kind, margin=0.01)
    assert found.pairs[0].difference == pytest.approx(expected.pairs[0].difference, rel=1e-9)
    assert found.pairs[0].verdict == expected.pairs[0].verdict
    assert found.scores["p"].log_loss == pytest.approx(expected.scores["p"].log_loss)


def test_the_pair_is_the_paired_t():
    found = compare_predictions(Y, {"p": P, "q": Q}, "probs", margin=0.01)
    loss = [-np.log(np.where(Y == 1, values, 1 - values)) for values in (P, Q)]
    expected = xent.study._statistics.paired_rows(loss[1] - loss[0])
    assert found.pairs[0].difference == pytest.approx(expected.mean)
    assert found.pairs[0].p_equivalence == pytest.approx(expected.equivalence_p(0.01))
    assert found.rows == 300
    assert found.ok


def test_kinds_by_name():
    kinds = {"p": "probs", "z": "logits"}
    found = compare_predictions(Y, {"p": P, "z": Z}, kinds)
    assert found.pairs[0].verdict == "identical"


def test_labels_with_classes():
    y = np.array(["no", "yes"])[Y]
    frames = {
        "p": pd.DataFrame({"yes": P, "no": 1 - P}),
        "q": np.stack([1 - Q, Q], axis=1),
    }
    found = compare_predictions(y, frames, "probs", classes=["no", "yes"])
    plain = compare_predictions(Y, {"p": P, "q": Q}, "probs")
    assert found.pairs[0].difference == pytest.approx(plain.pairs[0].difference)
    assert found.class_names == ("no", "yes")


def test_groups_and_weights():
    groups, weight = np.arange(300) // 3, RANDOM.gamma(2.0, size=300)
    found = compare_predictions(Y, {"p": P, "q": Q}, "probs", groups=groups, weight=weight)
    again = compare_predictions(Y, {"p": P, "q": Q}, "probs", groups=groups, weight=50 * weight)
    assert found.pairs[0].standard_error == pytest.approx(again.pairs[0].standard_error)
    assert found.clusters == 100
    assert "100 clusters of rows" in found.pairs[0].design


def test_margin_of_the_skill_is_said_to_be_late():
    found = compare_predictions(Y, {"p": P, "q": Q}, "probs", margin="skill")
    prior = -np.mean(np.log(np.where(Y == 1, Y.mean(), 1 - Y.mean())))
    best = min(scores.log_loss for scores in found.scores.values())
    assert found.margin.value == pytest.approx(0.02 * (prior - best), rel=0.05)
    assert found.margin.words.endswith("so it was not fixed before.")


def test_no_margin_no_equivalence():
    found = compare_predictions(Y, {"p": P, "q": Q}, "probs")
    assert found.margin.value is None
    assert found.margin.words.startswith("No margin: whether differences are small enough")
    assert found.pairs[0].p_equivalence is None


def test_wrong_row_sums_are_found():
    sigmoids = np.stack([1 - Q, P], axis=1)
    found = compare_predictions(Y, {"p": P, "sigmoids": sigmoids}, "probs")
    assert not found.ok
    assert found.findings[0].name == "rows-do-not-sum-to-one"
    assert found.to_dict()["status"] == "failed"


REFUSED = [
    (
        {"predictions": {"p": P}},
        "compare_predictions: predictions must be a mapping of two or more names to arrays; got 1 "
        "of them.",
    ),
    (
        {"predictions": [P, Q]},
        "compare_predictions: predictions must be a mapping of two or more names to arrays; got "
        "list.",
    ),
    (
        {"predictions": {"p": P, "q": Q[:-1]}},
        "compare_predictions: predictions['q'] must be of shape (300, classes), or (300,) for two "
        "classes; got shape (299,).",
    ),
    (
        {"predictions": {"p": P, "q": np.full((300, 3), 1 / 3)}},
        "compare_predictions: predictions must be of the same classes; got 'p' of 2, 'q' of 3.",
    ),
    (
        {"kind": "probabilities"},
        "compare_predictions: kind must be one of probs, log-probs, logits; got 'probabilities'. "
        "Say what the numbers are; it is never guessed.",
    ),
    (
        {"kind": {"p": "probs"}},
        "compare_predictions: kind must be one of probs, log-probs, logits for 'q'; got None.",
    ),
    (
        {"predictions": {"p": P, "q": Z}},
        "compare_predictions: predictions['q'] must be probabilities from 0 to 1; got ",
    ),
    (
        {"kind": "log-probs"},
        "compare_predictions: predictions['p'] must be log-probabilities of at most 0; got ",
    ),
    (
        {"kind": "logits", "predictions": {"p": Z, "q": np.r_[Z[:-1], np.inf]}},
        "compare_predictions: predictions['q'] must be finite logits; got inf in row 299.",
    ),
    (
        {"predictions": {"p": P, "q": np.r_[Q[:-1], np.nan]}},
        "compare_predictions: predictions['q'] must be without NaN; got NaN in row 299.",
    ),
    (
        {"predictions": {"p": P, "q": ["a"] * 300}},
        "compare_predictions: predictions['q'] must be numbers; got ",
    ),
    (
        {"y": Y + 1},
        "compare_predictions: y must be column numbers from 0 to 1; got 1 to 2. The predictions "
        "have 2 classes; give classes= if y holds labels.",
    ),
    (
        {"y": np.array(["no", "yes"])[Y]},
        "compare_predictions: y must be column numbers from 0, or labels together with classes=; "
        "got dtype <U3.",
    ),
    (
        {"y": np.array(["no", "yes"])[Y], "classes": ["no", "maybe"]},
        "compare_predictions: y must be one of the classes 'no', 'maybe'; got 'yes'.",
    ),
    (
        {"classes": ["0", "1", "2"]},
        "compare_predictions: predictions['p'] must be of 3 columns, one for each of the classes "
        "'0', '1', '2'; got shape (300,).",
    ),
    (
        {"predictions": {"p": P, "q": pd.DataFrame({"a": 1 - Q, "b": Q})}},
        "compare_predictions: predictions['q'] must be a DataFrame whose columns are the classes "
        "'0', '1'; got the columns 'a', 'b'.",
    ),
    (
        {"y": pd.Series(Y), "predictions": {"p": P, "q": pd.Series(Q, index=range(1, 301))}},
        "compare_predictions: predictions['q'] must be rows with the index of y, in its order; "
        "got 1 where y has 0 (row 0).",
    ),
    (
        {"margin": -0.1},
        "compare_predictions: margin must be above 0 and finite, in nats of log loss; got -0.1.",
    ),
    (
        {"margin": "small"},
        "compare_predictions: margin must be a number of nats, 'skill' or None; got 'small'.",
    ),
    ({"level": 95}, "compare_predictions: level must be above 0.5 and below 1; got 95."),
    (
        {"weight": np.zeros(300)},
        "compare_predictions: weight must be of shape (300,), finite, at least 0 and not all 0; "
        "got 0 to 0.",
    ),
    (
        {"groups": [1, 2]},
        "compare_predictions: groups must be of shape (300,); got shape (2,).",
    ),
    ({"y": [], "predictions": {"p": [], "q": []}}, "compare_predictions: predictions['p'] must"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_is_refused(change, message):
    options = {"y": Y, "predictions": {"p": P, "q": Q}, "kind": "probs"} | change
    with pytest.raises(InputError) as error:
        compare_predictions(options.pop("y"), options.pop("predictions"), **options)
    assert str(error.value).startswith(message)


@settings(max_examples=25, deadline=None)
@given(value=st.floats(-700, 0, exclude_max=True))
def test_log_probabilities_of_one_class_keep_the_other_class_s(value):
    found = compare_predictions([0, 1], {"a": [value, value], "b": [-1.0, -1.0]}, "log-probs")
    rest = found.scores["a"].log_loss * 2 + value
    assert rest == pytest.approx(-np.log(-np.expm1(value)), rel=1e-6, abs=1e-12)


def test_certain_predictions():
    found = compare_predictions([1, 1, 0], {"a": [1.0, 1.0, 1.0], "b": [0.9, 0.8, 0.2]}, "probs")
    assert np.isinf(found.scores["a"].log_loss)
    assert "had probability 0 for a in 1 test row" in found.pairs[0].sentence
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.fixture(scope="module")
def comparison():
    names = {"<script>alert(1)</script>": P, "q": Q}
    return compare_predictions(Y, names, "probs", margin=0.01)


def test_results_are_valid_by_the_schema(comparison):
    schema = prediction_schema()
    Draft202012Validator.check_schema(schema)
    document = json.loads(comparison.to_json())
    Draft202012Validator(schema).validate(document)
    assert document["pairs"][0]["sentence"] == comparison.pairs[0].sentence
    bad = compare_predictions([1, 0, 1], {"a": [0, 0, 1], "b": [0.1, 0.5, 0.9]}, "probs")
    Draft202012Validator(schema).validate(json.loads(bad.to_json()))


def test_the_terminal_has_scores_verdicts_and_rules(comparison):
    text = io.StringIO()
    comparison.show(Console(file=text, width=80, highlight=False))
    shown = " ".join(text.getvalue().split())
    assert max(map(len, text.getvalue().splitlines())) <= 80
    for sentence in comparison.reading:
        assert " ".join(sentence.split()) in shown
    assert "300 rows, 2 classes" in shown


def test_notebooks_get_escaped_tables(comparison):
    page = comparison._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<td>equivalent</td>" in page or "<td>inconclusive</td>" in page


def test_summary_and_repr(comparison):
    assert list(comparison.summary["predictions"]) == ["<script>alert(1)</script>", "q"]
    row = comparison.summary.iloc[1]
    assert row["log_loss_low"] < row["log_loss"] < row["log_loss_high"]
    assert repr(comparison).endswith("q: 300 rows>")
