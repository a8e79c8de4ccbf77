"""The documentation of the rules is true: every example gives its finding, every cure none."""

from __future__ import annotations

import re

import pytest

from xent.wiring import RULES, Rule, check_text


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES.values() if rule.found_in != "run time"], ids=lambda r: r.code
)
def test_the_example_is_found_and_the_cure_is_clean(rule: Rule) -> None:
    found = check_text(rule.example, extend_select=["ALL"])
    assert rule.code in {finding.code for finding in found.findings}
    assert not found.problems
    assert check_text(rule.instead, extend_select=["ALL"]).findings == ()


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_every_rule_is_documented(rule: Rule) -> None:
    assert re.fullmatch(r"XE\d{3}", rule.code)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", rule.name)
    assert rule.level in ("error", "warning", "note")
    for text in (rule.what, rule.why):
        assert text[0].isupper()
        assert text.endswith(".")


def test_names_are_distinct() -> None:
    names = [rule.name for rule in RULES.values()]
    assert len(set(names)) == len(names)


MESSAGES = {
    "XE101": "softmax (line 5) reaches cross_entropy (line 9), which applies log_softmax itself: "
    "the loss can't go below 1.46 for 10 classes, and gradients are weak. Give it the logits.",
    "XE105": "The output of Linear (line 9) reaches BCELoss (line 9) without a sigmoid: it takes "
    "probabilities and fails on anything outside [0, 1]. Use BCEWithLogitsLoss.",
    "XE110": "Linear (line 9) has one output, and cross_entropy (line 9) needs one for each class: "
    "the loss is always 0 and nothing is learnt. Use BCEWithLogitsLoss, or 2 outputs.",
    "XE302": "Logits (line 13), trained with binary_cross_entropy_with_logits (line 9), are "
    "compared with 0.5 (line 13), which is a probability of 0.62. Compare with 0, or apply "
    "sigmoid first.",
    "XE502": "log (line 6) of sigmoid (line 6) is -inf where it rounds to 0, or wrong there if a "
    "small number is added. Use logsigmoid.",
}


@pytest.mark.parametrize("code", MESSAGES)
def test_messages_name_both_ends(code: str) -> None:
    found = check_text(RULES[code].example, select=[code])
    assert [finding.message for finding in found.findings] == [MESSAGES[code]]


def test_a_floor_without_the_number_of_classes() -> None:
    (finding,) = check_text(
        "import torch.nn.functional as F\nloss = F.cross_entropy(z.softmax(1), y)\n"
    ).findings
    assert "below ln(1 + (C - 1)/e) for C classes" in finding.message


LEVELS = {"> 0.5": "error", ".argmax(dim=1)": "note", "": "warning"}


@pytest.mark.parametrize("use", LEVELS)
def test_a_wrong_link_weighs_by_what_comes_of_it(use: str) -> None:
    code = f"""
import torch, torch.nn as nn
net = nn.Sequential(nn.Linear(8, 4))
def train(x, y):
    return nn.CrossEntropyLoss()(net(x), y)
def predict(x):
    return torch.sigmoid(net(x)){use}
"""
    (finding,) = check_text(code, select=["XE301"]).findings
    assert finding.level == LEVELS[use]


def test_a_fault_that_several_calls_lead_to_is_one_finding() -> None:
    code = """
import torch.nn.functional as F
def loss(x, y):
    return F.cross_entropy(F.softmax(x, dim=1), y)
a = loss(u, y)
b = loss(v, y) + F.softmax(w)
def implicit(x):
    return F.log_softmax(x)
implicit(u), implicit(v)
"""
    found = check_text(code, extend_select=["ALL"]).findings
    assert [(finding.code, finding.place.line) for finding in found] == [
        ("XE101", 4),
        ("XE205", 6),
        ("XE205", 8),
    ]
    assert [item.words for item in found[0].related] == ["softmax", "called from here"]


@pytest.mark.parametrize(
    ("value", "scale", "repair"),
    [("net(x)", "logits", "softmax or sigmoid"),
     ("F.log_softmax(net(x), dim=1)", "log-probabilities", "exp")],
)  # fmt: skip
def test_the_repair_belongs_to_the_scale(value: str, scale: str, repair: str) -> None:
    code = f"""
import torch.nn as nn
import torch.nn.functional as F
from sklearn.metrics import log_loss
net = nn.Linear(8, 4)
def predict_proba(x):
    return {value}
def score(x, y):
    return log_loss(y, {value})
"""
    first, second = (finding.message for finding in check_text(code, select=["XE304"]).findings)
    assert first.startswith(f"predict_proba returns {scale} (line 7) from ")
    assert second.startswith(f"{scale.capitalize()} from ")
    assert first.endswith(f". Use {repair} first.")
    assert second.endswith(f"as probabilities. Use {repair} first.")
