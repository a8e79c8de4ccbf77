"""Every sample on tensors gives the findings that it says, and no others.

A sample runs. ``check`` is ``xent.check`` with ``mode="report"``, and a call ends in
``# expect: XE101`` for each finding; the level is that of the rule unless it is given, as in
``XE101 (note)``. These tensors are there: ``logits`` (32, 10) with the classes ``y``; ``scores``
(32,) with ``yes``, 0.0 or 1.0; ``labels`` (32, 10), several 1.0 a row; ``model``, 8 features
``x`` to 10 outputs.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from case_pages import headings
from torch import nn

import xent
import xent.functional
from xent.wiring import RULES
from xent.wiring._live import LiveFinding, floor_finding

PAGES = Path(__file__).parent / "live_cases"
_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
_EXPECTED = re.compile(r"# expect: (.+)$")


@dataclass(frozen=True)
class Sample:
    """A program on tensors with what its calls of check must find."""

    code: str
    kind: str
    name: str
    program: str

    @property
    def expected(self) -> list[tuple[int, str, str]]:
        calls = (each for each in ast.walk(ast.parse(self.program)) if isinstance(each, ast.Expr))
        begins = {each.end_lineno: each.lineno for each in calls}
        found = []
        for number, line in enumerate(self.program.splitlines(), start=1):
            if marks := _EXPECTED.search(line):
                for mark in marks[1].split(","):
                    code, _, level = mark.strip().partition(" ")
                    found.append((begins[number], code, level.strip("()") or RULES[code].level))
        return sorted(found)


def samples() -> list[Sample]:
    return [
        Sample(page.stem, kind, name, _BLOCK.findall(body)[0])
        for page in sorted(PAGES.glob("*.md"))
        for kind, name, body in headings(page)
    ]


def run(program: str) -> list[tuple[int, str, str]]:
    """The line, code and level of everything that a program's calls of check find."""
    found: list[tuple[int, str, str]] = []

    def recorded(findings):
        line = sys._getframe(2).f_lineno
        found.extend((line, each.code, each.level) for each in findings)

    def check(*args, **options):
        report = xent.check(*args, mode="report", **options)
        assert str(report)
        assert all(len(line) <= 80 for line in str(report).splitlines())
        recorded(report.findings)

    def settles(losses, classes):
        finding = floor_finding(losses, classes)
        recorded([finding] if isinstance(finding, LiveFinding) else [])

    torch.manual_seed(0)
    names = {
        "torch": torch, "nn": nn, "F": nn.functional, "np": np, "xent": xent, "partial": partial,
        "check": check, "settles": settles,
        "logits": 2 * torch.randn(32, 10), "y": torch.arange(32) % 10,
        "scores": 2 * torch.randn(32), "yes": (torch.arange(32) % 2).float(),
        "labels": (torch.rand(32, 10) < 0.3).float(),
        "x": torch.randn(32, 8), "model": nn.Linear(8, 10),
    }  # fmt: skip
    exec(compile(program, "sample", "exec"), names)
    return sorted(found)


SAMPLES = samples()


@pytest.mark.parametrize(
    "sample", SAMPLES, ids=[f"{each.code}-{each.kind}-{each.name}" for each in SAMPLES]
)
def test_a_sample_gives_what_it_says(sample: Sample) -> None:
    assert run(sample.program) == sample.expected


def test_every_rule_of_run_time_has_five_samples_of_each_kind() -> None:
    counted = Counter((each.code, each.kind) for each in SAMPLES)
    for code, rule in RULES.items():
        if rule.found_in != "source":
            assert counted[code, "Faulty"] >= 5, code
            assert counted[code, "Near misses"] >= 5, code


def test_a_faulty_sample_expects_its_rule_and_a_near_miss_does_not() -> None:
    for sample in SAMPLES:
        codes = {code for _, code, _ in sample.expected}
        assert (sample.code in codes) is (sample.kind == "Faulty"), (sample.code, sample.name)


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES.values() if rule.found_in == "run time"], ids=lambda r: r.code
)
def test_the_documentation_of_a_rule_is_true(rule: xent.wiring.Rule) -> None:
    """Its example runs and gives the finding, its cure runs and doesn't."""
    assert rule.code in _reported(rule.example)
    assert rule.code not in _reported(rule.instead)


def _reported(program: str) -> set[str]:
    program = program.replace("xent.check(", "check(")
    program = program.replace("xent.wiring.floor_finding(", "settles(")
    return {code for _, code, _ in run(program)}
