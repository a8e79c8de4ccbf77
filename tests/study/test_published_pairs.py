"""The three models of the BCE-versus-CE study, from its published weights, truly compared.

Margin 0.001 nats. CE-1 is also compared as the study itself scored it, with a sigmoid on each of
its two logits.
"""

import json

import numpy as np
import pytest

from xent import compare_predictions
from xent.cli import main
from xent.study import DataSpec, load_dataset
from xent.study._bce_versus_ce import PUBLISHED
from xent.study._evaluation._misscored import score_with_sigmoids
from xent.study._formulations import BUILT_IN
from xent.study._training._models import perceptron_outputs

# mean difference, ends of the 95 % interval, p of no difference, p of TOST, verdict
TABLE = {
    ("ce1", "bce"): ("-0.000145", "-0.00035", "+0.00006", "0.17", "4e-16", "equivalent"),
    ("ce2", "bce"): ("+0.000347", "-0.00001", "+0.00071", "0.058", "2e-04", "equivalent"),
    ("ce2", "ce1"): (
        "+0.000492", "+0.00021", "+0.00078", "7e-04", "2e-04", "different but negligible",
    ),
    ("ce1 as scored", "bce"): ("+0.0176", "+0.0160", "+0.0193", "1e-95", "1e+00", "different"),
}  # fmt: skip


@pytest.fixture(scope="module")
def test_part():
    return load_dataset(DataSpec("bce-versus-ce")).test


@pytest.fixture(scope="module")
def predictions(test_part):
    found = {}
    for model in PUBLISHED:
        formulation = BUILT_IN[model.formulation]
        outputs = perceptron_outputs({"head": np.asarray(model.head)}, test_part.features)
        found[model.formulation] = formulation.resolved_link.log_probabilities(outputs)
        if model.formulation == "ce1":
            found["ce1 as scored"] = score_with_sigmoids(formulation, outputs).raw
    return found


@pytest.fixture(scope="module")
def pairs(test_part, predictions):
    right = {name: log_q for name, log_q in predictions.items() if name in ("bce", "ce1", "ce2")}
    wrong = {name: predictions[name] for name in ("bce", "ce1 as scored")}
    found = {}
    for given in (right, wrong):
        result = compare_predictions(test_part.target, given, "log-probs", margin=0.001)
        found |= {(pair.minuend, pair.subtrahend): pair for pair in result.pairs}
    return found


def shown_like(value, text):
    """The value written to as many digits as the text."""
    if "e" in text:
        return f"{value:.0e}"
    decimals = len(text.partition(".")[2])
    return f"{value:+.{decimals}f}" if text[0] in "+-" else f"{value:.{decimals}f}"


@pytest.mark.parametrize("names", TABLE, ids=" - ".join)
def test_the_table_of_differences(pairs, names):
    pair = pairs[names]
    *numbers, verdict = TABLE[names]
    values = (pair.difference, *pair.interval, pair.p_difference, pair.p_equivalence)
    assert [shown_like(v, text) for v, text in zip(values, numbers, strict=True)] == numbers
    assert pair.verdict == verdict
    assert pair.design == "paired t over 50,000 test rows, 49,999 degrees of freedom"


def test_paired_errors_are_a_tenth_of_unpaired_ones(test_part, predictions, pairs):
    losses = -predictions["bce"][np.arange(50_000), test_part.target]
    assert losses.std(ddof=1) / np.sqrt(50_000) == pytest.approx(0.00166, abs=5e-6)
    for names in list(TABLE)[:3]:
        assert 1e-4 <= pairs[names].standard_error < 2e-4


def test_accuracy_is_too_blunt_to_see_any_of_it(pairs):
    found = {
        names: check.p_value
        for names, pair in pairs.items()
        for check in pair.checks
        if check.name == "exact McNemar"
    }
    assert f"{found['ce1', 'bce']:.2f}" == "0.80"
    assert f"{found['ce2', 'bce']:.2f}" == "0.48"


def test_the_scoring_bug_is_more_than_a_third_of_the_skill(pairs):
    assert pairs["ce1 as scored", "bce"].difference / 0.0479 == pytest.approx(0.37, abs=0.005)


def test_the_sentences(pairs):
    assert pairs["ce1", "bce"].sentence == (
        "ce1 and bce are equivalent: ce1 - bce = -0.000145 nats of log loss "
        "(95 % CI -0.00035 to +0.00006), and less than the margin of 0.001 (TOST p = 4e-16); "
        "no difference is shown (p = 0.17)."
    )
    assert pairs["ce2", "ce1"].sentence == (
        "ce2 is worse than ce1 by 0.000492 nats of log loss (95 % CI 0.00021 to 0.00078), "
        "but negligibly: p = 7e-4 (0.0021 by Holm), yet less than the margin of 0.001 "
        "(TOST p = 2e-4)."
    )
    assert pairs["ce1 as scored", "bce"].sentence == (
        "ce1 as scored is worse than bce by 0.017612 nats of log loss "
        "(95 % CI 0.01595 to 0.01927), p = 1e-95; the whole interval is above the margin "
        "of 0.001."
    )


def test_the_command_line_says_the_same(test_part, predictions, pairs, tmp_path, capsys):
    files = []
    for name in ("bce", "ce1", "ce2"):
        files.append(str(tmp_path / f"{name}.npz"))
        np.savez(files[-1], target=test_part.target, log_probs=predictions[name])
    options = ["--input", "log-probs", "--margin", "0.001", "--json"]
    with pytest.raises(SystemExit) as stop:
        main(["compare", "--predictions", *files, *options])
    assert stop.value.code == 0
    found = json.loads(capsys.readouterr().out)["pairs"]
    expected = [pairs[names] for names in list(TABLE)[:3]]
    assert [pair["sentence"] for pair in found] == [pair.sentence for pair in expected]
