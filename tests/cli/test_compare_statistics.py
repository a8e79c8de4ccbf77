"""``--question``, ``--margin`` and ``--level`` from the command line to what is printed."""

import json

import pytest
from command_line import xent

DATA = "synthetic:n=400,features=3,seed=5"
FAST = ("--seeds", "2", "--epochs", "5")


def document(*arguments):
    ended = xent("compare", DATA, *FAST, "--json", *arguments)
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def test_options_reach_the_pairs():
    found = document("--question", "fitted", "--margin", "0.25", "--level", "0.9")
    assert found["question"] == "fitted"
    assert found["margin"]["value"] == 0.25
    assert {pair["level"] for pair in found["pairs"]} == {0.9}
    assert found["spec"]["question"] == "fitted"
    assert found["spec"]["margin"] == 0.25
    assert found["spec"]["level"] == 0.9


@pytest.mark.parametrize("arguments", [(), ("--margin", "skill")])
def test_defaults(arguments):
    found = document(*arguments)
    assert found["question"] == "procedure"
    assert found["margin"]["source"] == "skill"
    assert found["spec"]["margin"] is None


def test_verdicts_and_rules_are_printed():
    ended = xent("compare", DATA, *FAST, "--margin", "5")
    said = " ".join(ended.out.split())
    assert "Are they really different?" in ended.out
    assert "- ce2 and ce1 are identical: their probabilities differ by " in said
    assert said.count("less than the margin of 5 (TOST p = ") == 2
    assert "Differences below 5 nats of log loss do not matter, as given." in said
    assert "adjusted by Holm over 3 pairs" in said
    assert "Test of the first pair: paired t over 80 test rows and 2 seeds, crossed, " in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--margin", "0"), "--margin must be above 0 and finite, in nats of log loss; got 0."),
        (("--margin", "nan"), "--margin must be above 0 and finite, in nats of log loss; got nan."),
        (("--level", "95"), "--level must be above 0.5 and below 1; got 95. Give 0.95 for"),
        (("--question", "what"), "Invalid value for '--question': 'what' is not one of"),
    ],
)
def test_what_is_refused(arguments, message):
    ended = xent("compare", DATA, *FAST, *arguments)
    assert ended.code == 2
    assert message in ended.err
