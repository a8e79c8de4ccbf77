"""What is written: the fixed code, and everything else as it was."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xent.cli import main
from xent.wiring._finding import Edit
from xent.wiring._fixes._edits import EditError, apply_edits, lines_of, replaced
from xent.wiring._fixes._fixing import fix_text
from xent.wiring._fixes._writing import UnwritableError, write
from xent.wiring._places import Place

FAULT = "import torch.nn.functional as F\nloss = F.nll_loss(F.softmax(z, dim=1), y)\n"
REPAIRED = FAULT.replace("F.softmax", "F.log_softmax")
CLEAN = "import torch\n"
Binary = pytest.CaptureFixture[bytes]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["check", *arguments])
    return int(stop.value.code or 0)


def fixed(data: bytes, name: str = "a.py") -> bytes:
    (change,) = fix_text(data, name, unsafe=True).changes
    return change.after


# Encodings and line ends.


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "shift_jis"])
def test_encoding_and_line_ends_stay(encoding: str, end: str) -> None:
    cookie = "" if encoding.startswith("utf-8") else f"# coding: {encoding}\n"
    if cookie and end == "\r":
        pytest.skip("Python itself finds no encoding there")
    word = "あ" if encoding == "shift_jis" else "é"
    code = f"{cookie}{FAULT}name = '{word}'\n"
    data = code.replace("\n", end).encode(encoding)
    assert fixed(data) == code.replace(FAULT, REPAIRED).replace("\n", end).encode(encoding)


def test_letters_beyond_ascii_before_the_edit() -> None:
    code = "import torch.nn.functional as F\né = 'ü𝔘'; F.nll_loss(F.softmax(é𝔘, dim=1), y)\n"
    assert fixed(code.encode()).decode() == code.replace("F.softmax", "F.log_softmax")


def test_mixed_line_ends_and_no_last_one() -> None:
    data = b"import torch.nn.functional as F\r\nx = 1\rloss = F.nll_loss(F.softmax(z, 1), y)"
    assert fixed(data) == data.replace(b"F.softmax", b"F.log_softmax")


def test_form_feeds_tabs_and_continuations() -> None:
    code = (
        "import torch.nn.functional as F\n\x0c\nif 1:\n\tloss = \\\n\tF.nll_loss(F.softmax(\n"
        "\t\tz, 1), y)\n"
    )
    assert fixed(code.encode()).decode() == code.replace("F.softmax", "F.log_softmax")


def place(line: int, column: int, end_line: int, end_column: int) -> Place:
    return Place("a.py", None, line, column, end_line, end_column)


def test_edits_that_do_not_fit() -> None:
    one, other = Edit(place(1, 1, 1, 4), "x"), Edit(place(1, 2, 1, 5), "y")
    with pytest.raises(EditError, match=r"^edits that overlap$"):
        apply_edits("a.py", b"abcdef\n", [one, other])
    with pytest.raises(EditError, match=r"^an edit beyond the end of the file$"):
        apply_edits("a.py", b"abcdef\n", [Edit(place(9, 1, 9, 2), "")])
    with pytest.raises(EditError, match=r"^does not parse: "):
        apply_edits("a.py", b"f(x)\n", [Edit(place(1, 4, 1, 5), "")])


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_edits_replace_what_they_say(data: st.DataObject) -> None:
    lines = data.draw(st.lists(st.text("ab ü\t", max_size=6), min_size=1, max_size=5))
    ends = data.draw(st.lists(st.sampled_from(["\n", "\r\n", "\r"]), min_size=5, max_size=5))
    text = "".join(line + end for line, end in zip(lines, ends, strict=False))
    # An end of \r, an empty line and an end of \n are one end of \r\n.
    assume(len(lines_of(text)) == len(lines))
    cuts = sorted(data.draw(st.lists(st.integers(0, len("".join(lines))), max_size=6)))
    # Places between the letters, counted over all lines without their ends.
    spots = [
        (number, column) for number, line in enumerate(lines, 1) for column in range(len(line))
    ]
    spots.append((len(lines), len(lines[-1])))
    at = [spots[min(cut, len(spots) - 1)] for cut in cuts]
    pairs = [(at[i], at[i + 1]) for i in range(0, len(at) - 1, 2)]
    offsets = [0]
    for line in lines_of(text):
        offsets.append(offsets[-1] + len(line))
    edits, expected, done = [], "", 0
    for number, (start, end) in enumerate(dict.fromkeys(pairs)):
        if number and start == pairs[number - 1][1]:
            continue
        edits.append(Edit(place(start[0], start[1] + 1, end[0], end[1] + 1), f"<{number}>"))
        begin = offsets[start[0] - 1] + start[1]
        if begin < done:
            return
        expected += text[done:begin] + f"<{number}>"
        done = offsets[end[0] - 1] + end[1]
    assert replaced(text, edits) == expected + text[done:]


# Files.


def test_mode_and_link_stay(folder: Path) -> None:
    (folder / "real").mkdir()
    target = folder / "real" / "train.py"
    target.write_text(FAULT)
    target.chmod(0o751)
    (folder / "link.py").symlink_to(target)
    assert run("link.py", "--fix", "--unsafe-fixes") == 0
    assert (folder / "link.py").is_symlink()
    assert target.read_text() == REPAIRED
    assert stat.S_IMODE(target.stat().st_mode) == 0o751
    assert [path.name for path in (folder / "real").iterdir()] == ["train.py"]


def test_read_only_files_are_named_and_the_others_done(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.py", "b.py"):
        (folder / name).write_text(FAULT)
    (folder / "a.py").chmod(0o444)
    assert run(".", "--fix", "--unsafe-fixes") == 2
    assert (folder / "a.py").read_text() == FAULT
    assert (folder / "b.py").read_text() == REPAIRED
    shown = capsys.readouterr()
    assert shown.err == (
        "Not written: a.py: it is read-only.\n"
        "1 error in 2 files. 1 fixable with --fix --unsafe-fixes.\n"
    )
    assert shown.out.startswith("XE106 probabilities-into-nll (error)\n")


def test_a_file_of_two_names_is_repaired_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.py").write_text(FAULT)
    (folder / "b.py").symlink_to("a.py")
    assert run(".", "--fix", "--unsafe-fixes") == 0
    assert (folder / "a.py").read_text() == REPAIRED
    assert capsys.readouterr().err == "2 findings fixed.\nNothing found in 2 files.\n"


def test_a_file_that_changes_meanwhile_is_left_alone(folder: Path) -> None:
    file = folder / "a.py"
    file.write_text(CLEAN)
    with pytest.raises(UnwritableError, match=r"^it was changed meanwhile$"):
        write(file, b"other", b"new")
    with pytest.raises(UnwritableError, match=r"^No such file or directory$"):
        write(folder / "none.py", b"", b"new")
    assert file.read_text() == CLEAN


def test_what_fails_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.py").write_text(FAULT)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnwritableError, match=r"^No space left on device$"):
        write(folder / "a.py", FAULT.encode(), REPAIRED.encode())
    assert [path.name for path in folder.iterdir()] == ["a.py"]
    assert (folder / "a.py").read_text() == FAULT


# Notebooks.


def notebook(*sources: object) -> dict[str, object]:
    cells: list[dict[str, object]] = [{"cell_type": "markdown", "metadata": {}, "source": ["é\n"]}]
    for source in sources:
        cells.append(
            {
                "cell_type": "code",
                "execution_count": 1.0,
                "metadata": {"b": 1, "a": {"source": "no"}},
                "outputs": [{"data": {"image/png": 'iVBOR\\n"}]'}, "text": ["source", "ü"]}],
                "source": source,
            }
        )
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


SOURCES = [
    FAULT.splitlines(keepends=True),
    FAULT,
    ["%matplotlib inline\n", *FAULT.splitlines(keepends=True), "!pip list\n", "# ü"],
    [FAULT[:20], FAULT[20:40], FAULT[40:]],
]
FORMATS = [
    {"indent": 1, "ensure_ascii": False},
    {"indent": 1, "ensure_ascii": True},
    {"indent": 4, "sort_keys": True},
    {"separators": (",", ":")},
    {"indent": "\t", "ensure_ascii": False},
]


@pytest.mark.parametrize("form", FORMATS, ids=str)
@pytest.mark.parametrize("source", SOURCES, ids=["lines", "text", "magics", "pieces"])
@pytest.mark.parametrize("end", ["", "\n"])
def test_of_a_notebook_only_the_line_changes(
    source: object, form: dict[str, object], end: str
) -> None:
    before = json.dumps(notebook("x = 1", source), **form) + end  # type: ignore[arg-type]
    after = fixed(before.encode(), "a.ipynb").decode()
    joined = "".join(source) if isinstance(source, list) else source
    assert isinstance(joined, str)
    wanted = notebook("x = 1", joined.replace("F.softmax", "F.log_softmax"))
    found = json.loads(after)
    found["cells"][2]["source"] = "".join(found["cells"][2]["source"])
    assert found == wanted
    if source is not SOURCES[3]:
        assert after == before.replace("F.softmax", "F.log_softmax")


def test_a_notebook_of_format_3_and_other_encodings() -> None:
    cells = [{"cell_type": "code", "input": FAULT.splitlines(keepends=True)}]
    text = json.dumps({"worksheets": [{"cells": cells}], "nbformat": 3}, indent=1)
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        data = text.encode(encoding)
        expected = text.replace("F.softmax", "F.log_softmax")
        assert fixed(data, "a.ipynb").decode(encoding) == expected


def test_lines_that_go_go_from_the_list() -> None:
    source = ["import torch.nn.functional as F\n", "def f(x, y):\n", "    x = F.softmax(x, 1)\n",
              "    return F.cross_entropy(x, y)"]  # fmt: skip
    before = json.dumps(notebook(source), indent=1)
    after = fixed(before.encode(), "a.ipynb").decode()
    assert after == before.replace('    "    x = F.softmax(x, 1)\\n",\n', "")


LETTERS = st.text('aé"\\\n\u2028', max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | LETTERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LETTERS, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(VALUES, max_size=3), VALUES, st.sampled_from(SOURCES), st.sampled_from(FORMATS)
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_whatever_else_is_in_a_notebook_stays(
    outputs: list[object], metadata: object, source: object, form: dict[str, object]
) -> None:
    cells = [
        {"outputs": outputs, "cell_type": "code", "source": source, "metadata": metadata},
        {"cell_type": "raw", "source": metadata},
    ]
    before = json.dumps({"metadata": metadata, "cells": cells}, **form)  # type: ignore[arg-type]
    after = json.loads(fixed(before.encode(), "a.ipynb"))
    assert "F.log_softmax" in "".join(after["cells"][0].pop("source"))
    cells[0].pop("source")
    assert after == {"metadata": metadata, "cells": cells}


# The command.


def test_only_the_difference(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.py").write_text(FAULT)
    assert run(".", "--diff") == 0
    assert capsys.readouterr().err == "Nothing would be fixed.\n"
    assert run(".", "--diff", "--unsafe-fixes") == 1
    shown = capsys.readouterr()
    assert shown.out == (
        "--- a.py\n+++ a.py\n@@ -1,2 +1,2 @@\n import torch.nn.functional as F\n"
        "-loss = F.nll_loss(F.softmax(z, dim=1), y)\n"
        "+loss = F.nll_loss(F.log_softmax(z, dim=1), y)\n"
    )
    assert shown.err == "1 finding would be fixed in 1 file.\n"
    assert run(".", "--diff", "--fix", "--unsafe-fixes", "--exit-zero") == 0
    assert (folder / "a.py").read_text() == FAULT


@pytest.mark.skipif(shutil.which("git") is None, reason="applies the patch by git")
def test_the_difference_in_a_pipe_is_a_patch(folder: Path, capfdbinary: Binary) -> None:
    """With line ends, letters that can't be shown, encodings and notebooks as they are."""
    code = f"# a\u00a0b \u202e\x0c\n{FAULT}s = 'é'  # \x0b \x85\n"
    texts = {
        "a.py": FAULT,
        "with blanks.py": code,
        "end.py": FAULT.rstrip("\n"),
        "lines.py": code.replace("\n", "\r\n"),
        "old.py": FAULT.replace("\n", "\r"),
        "book.ipynb": json.dumps(notebook(SOURCES[2]), indent=1),
    }
    data = {name: text.encode() for name, text in texts.items()}
    data["latin.py"] = f"# coding: latin-1\n{FAULT}s = 'é'\n".encode("latin-1")
    for name, before in data.items():
        (folder / name).write_bytes(before)
    assert run(".", "--diff", "--unsafe-fixes") == 1
    patch = capfdbinary.readouterr().out
    git = ["git", "apply", "-p0", "--whitespace=nowarn"]
    subprocess.run(git, input=patch, check=True)
    patched = {name: (folder / name).read_bytes() for name in data}
    assert all(patched[name] != before for name, before in data.items())
    for name, before in data.items():
        (folder / name).write_bytes(before)
    assert run(".", "--fix", "--unsafe-fixes") == 0
    assert {name: (folder / name).read_bytes() for name in data} == patched


def test_safe_and_unsafe(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.py").write_text(FAULT + "import torch\nb = torch.log(torch.sigmoid(z))\n")
    assert run(".", "--extend-select", "ALL") == 1
    assert capsys.readouterr().err == (
        "1 error, 1 note in 1 file. 1 fixable with --fix, 1 more with --unsafe-fixes.\n"
    )
    assert run(".", "--extend-select", "ALL", "--unsafe-fixes") == 1
    assert capsys.readouterr().err == (
        "1 error, 1 note in 1 file. 2 fixable with --fix --unsafe-fixes.\n"
    )
    assert run(".", "--extend-select", "ALL", "--fix") == 1
    assert capsys.readouterr().err == (
        "1 finding fixed.\n1 error in 1 file. 1 fixable with --fix --unsafe-fixes.\n"
    )
    assert run(".", "--fix", "--unsafe-fixes") == 0
    assert capsys.readouterr().err == "1 finding fixed.\nNothing found in 1 file.\n"
    assert run(".", "--fix", "--unsafe-fixes") == 0
    assert capsys.readouterr().err == "Nothing found in 1 file.\n"


def test_standard_input(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = FAULT.replace("\n", "\r\n") + "torch = F.cross_entropy(F.softmax(z) * 1, y)\r\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(code.encode())))
    out = io.TextIOWrapper(io.BytesIO(), write_through=True)
    monkeypatch.setattr(sys, "stdout", out)
    assert run("-", "--fix", "--unsafe-fixes", "--format", "concise") == 0
    written = out.buffer.getvalue()  # type: ignore[attr-defined]
    assert (
        written
        == code.replace("F.softmax(z, dim", "F.log_softmax(z, dim")
        .replace("F.softmax(z) * 1", "z * 1")
        .encode()
    )
    assert capsys.readouterr().err == "2 findings fixed.\nNothing found in 1 file.\n"


def test_the_fix_is_shown_and_given_to_programs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.py").write_text(FAULT)
    run(".")
    assert "  Fix: Use log_softmax (unsafe)\n" in capsys.readouterr().out
    run(".", "--format", "json")
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["fix"] == {
        "title": "Use log_softmax",
        "safe": False,
        "edits": [
            {"path": "a.py", "cell": None, "line": 2, "column": 19, "end_line": 2,
             "end_column": 28, "text": "F.log_softmax"},
        ],
    }  # fmt: skip
    run(".", "--format", "sarif")
    (result,) = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    region = {"startLine": 2, "startColumn": 19, "endLine": 2, "endColumn": 28}
    assert result["fixes"] == [
        {
            "description": {"text": "Use log_softmax"},
            "artifactChanges": [
                {
                    "artifactLocation": {"uri": "a.py"},
                    "replacements": [
                        {"deletedRegion": region, "insertedContent": {"text": "F.log_softmax"}}
                    ],
                }
            ],
        }
    ]


def test_a_fix_that_is_dropped_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.py").write_text(
        "import torch.nn as nn\nnet = nn.Linear(8, 1)\ncriterion = nn.BCELoss()\n"
        "def train(x, y):\n    return criterion(net(x), y)\n"
        "def predict(x):\n    return net(x).round()\n"
    )
    assert run(".", "--fix", "--unsafe-fixes") == 1
    assert capsys.readouterr().err.startswith(
        "Not fixed: a.py:5:12: XE105: its fix would bring another fault or code that does not "
        "parse.\n"
    )
