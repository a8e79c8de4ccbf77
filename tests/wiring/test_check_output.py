"""The formats: what people, programs and code hosts are shown."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest

from xent.wiring import check_paths, check_text
from xent.wiring._output import FORMATS, full

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
        "  softmax (cell 2 line 2) reaches cross_entropy (cell 3 line 1), which applies "
        "log_softmax itself:\n  the loss can't go below ln(1 + (C - 1)/e) for C classes, and "
        "gradients are weak. Give it the\n  logits.\n"
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
        "itself: the loss\n  can't go below 0.74 for 4 classes, and gradients are weak. Give it "
        "the logits.\n"
        "  Fix: Remove softmax (unsafe)\n"
        " --> model.py:9:16\n"
        "9 |         return torch.softmax(self.fc(x), dim=1)\n"
        "  |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ softmax\n"
        " --> train.py:5:8\n"
        "5 | loss = torch.nn.CrossEntropyLoss()(net(x), y)\n"
        "  |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ CrossEntropyLoss\n"
    )


def test_long_lines_are_cut_around_what_is_marked(tmp_path: Path) -> None:
    call = "F.cross_entropy(z.softmax(1), y)"
    rest = ", ".join(["one"] * 50)
    lines = [f"a = {call}, {rest}", f"b = {rest}, {call}, {rest}", f"c = {rest}, {call}"]
    code = "import torch.nn.functional as F\n" + "\n".join(lines)
    report = check_text(code, "a.py")
    for width in (40, 60, 100, 1000):
        text = full(report, width)
        assert all(len(line) <= width or "^" in line for line in text.splitlines())
        shown = [line for line in text.splitlines() if " | " in line]
        for number, line in enumerate(shown):
            if line.lstrip().startswith("| "):
                code_line = next(each for each in shown[number::-1] if each[0].isdigit())
                start, end = line.index("^"), line.rindex("^") + 1
                marked = code_line[start:end].removesuffix("...")
                whole = call if line.endswith("cross_entropy") else "z.softmax(1)"
                assert whole.startswith(marked)
                assert len(marked) >= min(len(whole), width // 2)


def test_colors(folder: Path) -> None:
    report = check_paths(["."])
    text = full(report, in_color=True)
    first, *_ = text.splitlines()
    assert first == "\x1b[31mXE101 softmax-into-cross-entropy\x1b[0m (error)"
    assert "  |     \x1b[31m^^^^^^^^^^^^ softmax\x1b[0m\n" in text
    assert re.sub(r"\x1b\[\d+m", "", text) == full(report)


def test_marks_stand_below_what_they_mark_after_letters_that_cannot_be_shown() -> None:
    code = "import torch.nn.functional as F\nx = '\u202e\x1b', F.nll_loss(z.softmax(1), y)\n"
    lines = full(check_text(code, "a.py")).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("2 |"))
    assert lines[at].index("z.softmax") == lines[at + 2].index("^")
    assert lines[at].startswith("2 | x = '\\u202e\\x1b', F.nll_loss")


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


def test_code_hosts_are_told_paths_from_the_folder_of_the_repository(folder: Path) -> None:
    known = [r'"(?:uri|path)": "(.*)"', r'"(?:fingerprint|xentFinding/v1)": "(.*)"']
    for name in ("sarif", "gitlab"):
        there, here = (FORMATS[name](check_paths([each])) for each in (folder, "."))
        for pattern in known:
            found = re.findall(pattern, there)
            assert found
            assert found == re.findall(pattern, here)


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
