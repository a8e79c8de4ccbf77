"""Comments that are added: where they stand, what they say, and that they work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from case_pages import samples

from xent.cli import main
from xent.wiring import check_paths
from xent.wiring._fixes._noqa import silence_paths, silence_text

HEAD = "import torch.nn.functional as F\n"
FAULT = "F.cross_entropy(F.softmax(z, dim=1), y)"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


LINES = {
    f"loss = {FAULT}": f"loss = {FAULT}  # noqa: XE101",
    f"loss = {FAULT}   ": f"loss = {FAULT}  # noqa: XE101",
    f"loss = {FAULT}  # of all": f"loss = {FAULT}  # of all  # noqa: XE101",
    f"loss = {FAULT}  # noqa: E501": f"loss = {FAULT}  # noqa: E501, XE101",
    f"loss = {FAULT}  #NOQA:E501,W291": f"loss = {FAULT}  #NOQA:E501,W291, XE101",
    f"loss = {FAULT}  # noqa: E501 so": f"loss = {FAULT}  # noqa: E501, XE101 so",
    f"loss = {FAULT}; y = '#'": f"loss = {FAULT}; y = '#'  # noqa: XE101",
    f"a, b = {FAULT}, F.nll_loss(z.softmax(1), y)":
        f"a, b = {FAULT}, F.nll_loss(z.softmax(1), y)  # noqa: XE101, XE106",
    # A comment may not stand behind a backslash or in a string.
    f"loss = \\\n    {FAULT}": f"loss = \\\n    {FAULT}  # noqa: XE101",
    "loss = F.cross_entropy(F.softmax(z, dim=1), \\\n    y)":
        "loss = F.cross_entropy(F.softmax(z, dim=1), \\\n    y)  # noqa: XE101",
    "loss = F.cross_entropy(\n    F.softmax(z, dim=1),\n    y,\n)":
        "loss = F.cross_entropy(  # noqa: XE101\n    F.softmax(z, dim=1),\n    y,\n)",
    'loss = F.cross_entropy(z.softmax(1), y, reduction="""\nmean""".strip())':
        'loss = F.cross_entropy(z.softmax(1), y, reduction="""\nmean""".strip())  # noqa: XE101',
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_where_the_comment_stands(line: str, end: str) -> None:
    code = f"{HEAD}{line}\nz = 1\n".replace("\n", end)
    done = silence_text(code.encode())
    after = f"{HEAD}{LINES[line]}\nz = 1\n".replace("\n", end)
    assert [change.after.decode() for change in done.changes] == [after]
    assert (done.count, done.left, done.report.findings) == (1, (), ())
    again = silence_text(after.encode())
    assert (again.count, again.changes) == (0, ())


def test_a_line_that_can_take_no_comment() -> None:
    """The text of the loss ends inside a string that goes on, and begins before a backslash."""
    code = HEAD + 'loss = F.cross_entropy(z.softmax(1), \\\n    y, reduction="mean"), """\n\n"""\n'
    done = silence_text(code.encode())
    assert done.changes == ()
    ((finding, reason),) = done.left
    assert (finding.code, reason) == ("XE101", "no comment can stand on its lines")
    assert done.report.findings == (finding,)


@pytest.mark.parametrize(
    "sample",
    [each for each in samples() if each.kind == "Faulty"],
    ids=lambda each: f"{each.code}-{each.name}",
)
def test_every_sample_can_be_silenced(sample: object, tmp_path: Path) -> None:
    sample.write(tmp_path)  # type: ignore[attr-defined]
    found = check_paths([tmp_path], select=["ALL"], jobs=1).findings
    done = silence_paths([tmp_path], select=["ALL"], jobs=1)
    assert done.left == ()
    for change in done.changes:
        Path(change.path).write_bytes(change.after)
    after = check_paths([tmp_path], select=["ALL"], jobs=1)
    assert (after.findings, after.problems) == ((), ())
    assert done.count == len(
        {(each.place.path, each.place.cell, each.place.line) for each in found}
    )


def test_notebooks(folder: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Title"]},
        {"cell_type": "code", "source": ["%time\n", HEAD, "!pip list\n", f"{FAULT}\n", "é = 1"]},
        {"cell_type": "code", "source": FAULT},
    ]
    before = json.dumps({"cells": cells}, indent=1, ensure_ascii=False)
    (folder / "a.ipynb").write_text(before, encoding="utf-8")
    done = silence_paths(["a.ipynb"])
    assert done.changes[0].after.decode() == before.replace(FAULT, f"{FAULT}  # noqa: XE101")
    assert done.report.findings == ()


def test_what_is_not_shown_is_not_silenced() -> None:
    code = f"{HEAD}p = F.softmax(z)\n"
    assert silence_text(code.encode()).changes == ()
    (change,) = silence_text(code.encode(), extend_select=["XE2"]).changes
    assert change.after.decode() == f"{HEAD}p = F.softmax(z)  # noqa: XE205\n"


def test_comments_that_silence_nothing_are_no_finding_to_silence() -> None:
    assert silence_text(b"import torch\nx = 1  # noqa: XE101\n").changes == ()


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.py").write_text(f"{HEAD}loss = {FAULT}\n")
    (folder / "b.py").write_text(f"{HEAD}loss = {FAULT}\n")
    (folder / "b.py").chmod(0o444)
    with pytest.raises(SystemExit) as stop:
        main(["check", ".", "--add-noqa"])
    assert stop.value.code == 2
    assert (folder / "a.py").read_text() == f"{HEAD}loss = {FAULT}  # noqa: XE101\n"
    assert capsys.readouterr().err == "Not written: b.py: it is read-only.\n"
    with pytest.raises(SystemExit) as stop:
        main(["check", "a.py", "--add-noqa", "--fix"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == (
        "Error: check: --add-noqa must be given without --fix and --diff; got both. Fix first, "
        "then silence what is left.\n"
    )
