"""The formats: what people, programs and code hosts are shown."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest

from xent.wiring import check_paths
from xent.wiring._output import FORMATS

MODEL = """import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(8, 4)

    def forward(self, x):
        return torch.softmax(self.fc(x), dim=1)
"""
TRAIN = """import torch
from model import Net

net = Net()
loss = torch.nn.CrossEntropyLoss()(net(x), y)
"""
CELLS = ["# text", "import torch.nn.functional as F\np = z.softmax(1)", "F.cross_entropy(p, y)"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "train.py").write_text(TRAIN)
    kinds = ["markdown", "code", "code"]
    cells = [{"cell_type": k, "source": c} for k, c in zip(kinds, CELLS, strict=True)]
    (tmp_path / "book.ipynb").write_text(json.dumps({"cells": cells}))
    return tmp_path


def shown(name: str) -> str:
    return FORMATS[name](check_paths(["."]))


def test_full(folder: Path) -> None:
    assert shown("full") == (
        "XE101 softmax-into-cross-entropy (error)\n"
        "  softmax (cell 2 line 2) reaches cross_entropy (line 1), which applies log_softmax "
        "itself: the loss can't go below ln(1 + (C - 1)/e) for C classes, and gradients are weak. "
        "Give it the logits.\n"
        "  Fix: Remove softmax (unsafe)\n"
        " --> book.ipynb:cell 2:2:5\n"
        "2 | p = z.softmax(1)\n"
        "  |     ^^^^^^^^^^^^ softmax\n"
        " --> book.ipynb:cell 3:1:1\n"
        "1 | F.cross_entropy(p, y)\n"
        "  | ^^^^^^^^^^^^^^^^^^^^^ cross_entropy\n"
        "\n"
        "XE101 softmax-into-cross-entropy (error)\n"
        "  softmax (model.py:9) reaches CrossEntropyLoss (line 5), which applies log_softmax "
        "itself: the loss can't go below 0.74 for 4 classes, and gradients are weak. Give it the "
        "logits.\n"
        "  Fix: Remove softmax (unsafe)\n"
        " --> model.py:9:16\n"
        "9 |         return torch.softmax(self.fc(x), dim=1)\n"
        "  |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ softmax\n"
        " --> train.py:5:8\n"
        "5 | loss = torch.nn.CrossEntropyLoss()(net(x), y)\n"
        "  |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ CrossEntropyLoss\n"
    )


def test_concise(folder: Path) -> None:
    lines = shown("concise").splitlines()
    assert lines[0].startswith("book.ipynb:cell 3:1:1: XE101 [error] softmax (cell 2 line 2)")
    assert lines[1].startswith("train.py:5:8: XE101 [error] softmax (model.py:9) reaches")


def test_json(folder: Path) -> None:
    book, train = json.loads(shown("json"))
    assert list(train) == [
        "path", "cell", "line", "column", "code", "name", "level", "message", "related",
        "fix",
    ]  # fmt: skip
    assert (train["path"], train["cell"], train["line"], train["column"]) == (
        "train.py",
        None,
        5,
        8,
    )
    assert (train["code"], train["name"], train["level"]) == (
        "XE101", "softmax-into-cross-entropy", "error",
    )  # fmt: skip
    assert train["related"] == [{"path": "model.py", "cell": None, "line": 9}]
    assert (book["cell"], book["line"]) == (3, 1)
    assert book["related"] == [{"path": "book.ipynb", "cell": 2, "line": 2}]
    assert [json.loads(line) for line in shown("json-lines").splitlines()] == [book, train]


def test_nothing_is_an_empty_list(tmp_path: Path) -> None:
    assert FORMATS["json"](check_paths([tmp_path])) == "[]\n"


def test_github(folder: Path) -> None:
    book, train = shown("github").splitlines()
    assert train.startswith(
        "::error file=train.py,line=5,col=8,endLine=5,endColumn=46,"
        "title=XE101 softmax-into-cross-entropy::softmax (model.py:9) reaches"
    )
    assert book.startswith(
        "::error file=book.ipynb,title=XE101 softmax-into-cross-entropy::cell 3:1:1: softmax"
    )


def test_gitlab(folder: Path) -> None:
    (folder / "train.py").write_text(TRAIN + "\nloss = torch.nn.CrossEntropyLoss()(net(x), y)\n")
    book, *train = json.loads(shown("gitlab"))
    assert [entry["location"] for entry in train] == [
        {"path": "train.py", "lines": {"begin": line, "end": line}} for line in (5, 7)
    ]
    assert {entry["severity"] for entry in (book, *train)} == {"major"}
    assert {entry["check_name"] for entry in (book, *train)} == {"softmax-into-cross-entropy"}
    assert book["location"]["path"] == "book.ipynb"
    assert book["description"].startswith("XE101: cell 3:1:1: softmax (cell 2 line 2) reaches")
    # GitLab takes two entries with one fingerprint for one.
    assert len({entry["fingerprint"] for entry in (book, *train)}) == 3


# The parts of SARIF 2.1.0 that are used, from its schema.
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool"],
                "properties": {
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["message"],
                            "properties": {
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "ruleIndex": {"type": "integer", "minimum": -1},
                                "fixes": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "required": ["artifactChanges"],
                                        "properties": {
                                            "artifactChanges": {
                                                "type": "array",
                                                "minItems": 1,
                                                "items": {
                                                    "type": "object",
                                                    "required": [
                                                        "artifactLocation",
                                                        "replacements",
                                                    ],
                                                },
                                            },
                                        },
                                    },
                                },
                                "partialFingerprints": {
                                    "type": "object",
                                    "additionalProperties": {"type": "string"},
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}


def test_sarif(folder: Path) -> None:
    log = json.loads(shown("sarif"))
    jsonschema.validate(log, SARIF)
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    _, train = run["results"]
    assert rules[train["ruleIndex"]]["id"] == train["ruleId"] == "XE101"
    region = train["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 5, "startColumn": 8, "endLine": 5, "endColumn": 46}
    flow = train["codeFlows"][0]["threadFlows"][0]["locations"]
    ends = [step["location"]["physicalLocation"]["artifactLocation"]["uri"] for step in flow]
    assert ends == ["model.py", "train.py"]
    book, _ = run["results"]
    (change,) = train["fixes"][0]["artifactChanges"]
    assert change["artifactLocation"]["uri"] == "model.py"
    assert "fixes" not in book  # SARIF knows no cells


def test_fingerprints_survive_a_move(folder: Path) -> None:
    def fingerprints() -> list[str]:
        results = json.loads(shown("sarif"))["runs"][0]["results"]
        return [result["partialFingerprints"]["xentFinding/v1"] for result in results]

    before = fingerprints()
    (folder / "train.py").write_text("# moved\n\n" + TRAIN)
    assert fingerprints() == before


def test_junit(folder: Path) -> None:
    suite = ET.fromstring(shown("junit")).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    failures = [case.find("failure") for case in suite]
    assert [each.get("type") for each in failures if each is not None] == [
        "softmax-into-cross-entropy"
    ] * 2


def test_columns_are_characters(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "import torch.nn.functional as F\né = 'ü'; F.cross_entropy(z.softmax(1), é)\n",
        encoding="utf-8",
    )
    (finding,) = check_paths([tmp_path]).findings
    assert (finding.place.column, finding.place.end_column) == (10, 42)
    frame = FORMATS["full"](check_paths([tmp_path])).splitlines()
    assert frame[-2].index("^") == frame[-3].index("F.cross")
    assert frame[-1].index("^") == frame[-3].index("z.softmax")


def test_what_terminals_obey_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[31m.py").write_text(
        "import torch.nn.functional as F\nF.cross_entropy(z.softmax(1), '\x1b[2J')\n"
    )
    report = check_paths([tmp_path])
    for name in ("full", "concise", "junit"):
        assert "\x1b" not in FORMATS[name](report)
