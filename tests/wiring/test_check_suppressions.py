"""Comments that suppress findings, and those that suppress nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xent.wiring import check_paths, check_text

FAULT = "import torch.nn.functional as F\nloss = F.cross_entropy(z.softmax(1), y)"


def codes(text: str, **options: list[str]) -> list[tuple[str, int]]:
    report = check_text(text, **options)
    return [(finding.code, finding.place.line) for finding in report.findings]


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa",
        "# noqa: XE101",
        "# NOQA:XE1",
        "# noqa: F401, XE101",
        "# noqa: softmax-into-cross-entropy",
        "# xent: ignore",
        "# xent: ignore[XE101] the loss is only printed",
        "# xent: ignore[softmax-into-cross-entropy]",
    ],
)
def test_a_comment_on_the_line(comment: str) -> None:
    assert codes(f"{FAULT}  {comment}\n") == []


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa: F401",
        "# noqa: E501,W291",
        "# no qa",
        "# xent",
        "# noqa: F401 - re-exported for others",
    ],
)
def test_comments_for_others(comment: str) -> None:
    assert codes(f"{FAULT}  {comment}\n") == [("XE101", 2)]


def test_a_comment_on_the_last_line_of_a_call() -> None:
    text = "import torch.nn.functional as F\nloss = F.cross_entropy(\n    z.softmax(1),\n    y)"
    assert codes(f"{text}  # noqa: XE101\n") == []


@pytest.mark.parametrize("comment", ["# xent: ignore-file", "# xent: ignore-file[XE101]"])
def test_a_comment_for_the_file(comment: str) -> None:
    assert codes(f"{comment}\n{FAULT}\n") == []


def test_a_comment_for_another_rule_is_unused() -> None:
    assert codes(f"{FAULT}  # noqa: XE104\n") == [("XE101", 2), ("XE001", 2)]


def test_unused_ones_are_reported_each() -> None:
    text = f"{FAULT}  # noqa: XE101, XE502\nx = 1  # xent: ignore\n"
    report = check_text(text)
    assert [(f.code, f.place.line, f.level) for f in report.findings] == [
        ("XE001", 2, "warning"),
        ("XE001", 3, "warning"),
    ]
    assert report.findings[0].message == (
        "There is no finding of XE502 to suppress here. Take XE502 out of the comment."
    )
    assert report.findings[1].message == "There is no finding to suppress here. Remove the comment."


@pytest.mark.parametrize(
    ("comment", "repair"),
    [
        ("# noqa: XE502", "Remove the comment."),
        ("# xent: ignore[XE502] not known yet", "Remove the comment."),
        ("# noqa: E501, XE502", "Take XE502 out of the comment."),
        ("# xent: ignore[XE502, nested-softmax]", "Take XE502 out of the comment."),
    ],
)
def test_what_to_do_with_an_unused_one(comment: str, repair: str) -> None:
    first, *_ = check_text(f"x = 1  {comment}\n").findings
    assert first.message == f"There is no finding of XE502 to suppress here. {repair}"


def test_a_note_that_is_not_shown_is_a_use() -> None:
    text = "import torch.nn.functional as F\np = F.softmax(z)  # noqa: XE205\n"
    assert codes(text) == []


def test_text_that_looks_like_a_comment() -> None:
    assert codes(f'{FAULT}; text = "# noqa: XE101"\n') == [("XE101", 2)]


def test_in_a_notebook_with_a_broken_cell(tmp_path: Path) -> None:
    cells = ["def broken(:\n", f"{FAULT}  # noqa: XE101\n", "x = 2  # noqa: XE501\n"]
    book = tmp_path / "book.ipynb"
    book.write_text(json.dumps({"cells": [{"cell_type": "code", "source": c} for c in cells]}))
    report = check_paths([book])
    assert [(f.code, f.place.cell, f.place.line) for f in report.findings] == [("XE001", 3, 1)]
    assert [reason for _, reason in report.problems] == [
        "cell 1 does not parse: invalid syntax (line 1)"
    ]


def test_in_a_file_without_torch(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1  # noqa: XE101\n")
    assert [f.code for f in check_paths([tmp_path]).findings] == ["XE001"]
