"""``xent explain`` on the command line: formats, files, faults, and what it costs to start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import xent

from xent.walkthrough import explain

BINARY = ("explain", "--logits", "-0.1 2 3 0.5", "--targets", "0 1 1 0")


def test_text_is_that_of_the_library() -> None:
    ended = xent(*BINARY)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == explain(logits="-0.1 2 3 0.5", targets="0 1 1 0").to_text()


@pytest.mark.parametrize(
    ("form", "start"),
    [
        ("markdown", "# binary\\_cross\\_entropy"),
        ("latex", "\\documentclass"),
        ("html", "<!doctype html>"),
        ("json", "{"),
        ("text", "binary_cross_entropy_with_logits\n"),
    ],
)
def test_formats_on_standard_output_and_in_a_file(form: str, start: str, tmp_path: Path) -> None:
    ended = xent(*BINARY, "--format", form)
    assert ended.out.startswith(start)
    file = tmp_path / "explained"
    written = xent(*BINARY, "-f", form, "-o", file)
    assert (written.code, written.out, written.err) == (0, "", f"Written: {file}\n")
    assert file.read_text(encoding="utf-8").strip() == ended.out.strip()


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("x.html", "<!doctype html>"),
        ("x.md", "# binary"),
        ("x.tex", "\\documentclass"),
        ("x.JSON", "{"),
        ("x.txt", "binary"),
    ],
)
def test_the_format_follows_from_the_ending(name: str, start: str, tmp_path: Path) -> None:
    assert xent(*BINARY, "-o", tmp_path / name).code == 0
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)
    assert xent(*BINARY, "-f", "text", "-o", tmp_path / name).code == 0
    assert (tmp_path / name).read_text(encoding="utf-8").startswith("binary_cross")


def test_help_fits_80_columns() -> None:
    assert max(map(len, xent("explain", "--help").out.splitlines())) <= 80


def test_json_flag() -> None:
    document = json.loads(xent(*BINARY, "--json").out)
    assert document["value"] == 0.448497251717598


def test_options_reach_the_loss() -> None:
    ended = xent(
        "explain", "--logits", "1 2; 3 0; 0 0", "-t", "0 1 -1", "--weight", "1 2",
        "--sample-weight", "1 2 3", "--label-smoothing", "0.1", "--ignore-index", "-1",
        "--reduction", "sum", "--option", "z_loss=0.1",
        "--option", "logit-adjustment=0 1", "--json",
    )  # fmt: skip
    expected = explain(
        logits="1 2; 3 0; 0 0", targets="0 1 -1", weight="1 2", sample_weight="1 2 3",
        label_smoothing=0.1, ignore_index=-1, reduction="sum", z_loss=0.1,
        logit_adjustment="0 1",
    )  # fmt: skip
    assert json.loads(ended.out)["value"] == expected.value


def test_files(tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    table.write_text("a,b,y\n1,2,0\n-3,4,1\n")
    ended = xent("explain", "--logits", f"{table}:a,b", "--targets", f"{table}:y", "--json")
    assert json.loads(ended.out)["value"] == explain("1 2; -3 4", "0 1").value


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--logits", "1 2; 3", "-t", "0 1"], "Error: logits must be rows of equal length; got 2"),
        (["--logits", "1 2; 3 4", "-t", "0 2"], "Error: cross_entropy: target must be class ind"),
        (["--probs", "1.5", "-t", "0"], "Error: binary_cross_entropy: input must be probabil"),
        (["--logits", "1 nan", "-t", "0 1"], "Error: binary_cross_entropy_with_logits: input must"),
        (["--logits", "1 2", "-t", "0 1 1"], "Error: binary_cross_entropy_with_logits: target m"),
        (["--logits", "1 2"], "Error: targets must be given; got nothing."),
        (["-t", "0"], "Error: the numbers must be given once, as logits, probabilities or"),
        (["--logits", "1", "-t", "0", "--option", "gamma"], "Error: --option takes NAME=VALUE"),
        (["--logits", "1", "-t", "0", "--option", "gamma=2"], "Error: binary_cross_entropy_with"),
        (["--logits", "1", "-t", "0", "-o", "/nowhere/x"], "Error: explain: --out must be a file"),
        (
            ["--logits", "1", "-t", "0", "--option", "reduction=sum"],
            "Error: reduction has an option of its own: --reduction sum.",
        ),
        (
            ["--logits", "1", "-t", "0", "--option", "ignore-index=-100"],
            "Error: ignore-index has an option of its own: --ignore-index -100.",
        ),
        (
            ["--logits", "1", "-t", "0", "--option", "input=1"],
            "Error: binary_cross_entropy_with_logits: input must be left out; got 1.0.",
        ),
        (
            ["--logits", "1", "-t", "0", "--json", "-f", "html"],
            "Error: --json and --format html contradict each other; give one.",
        ),
        (["--logits", "1", "-t", "0", "-f", "pdf"], "Error: Invalid value for '-f'"),
    ],
)
def test_bad_input_is_one_line_and_code_2(arguments: list[str], line: str) -> None:
    ended = xent("explain", *arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith(line)
    assert ended.err.count("\n") == 1


HEAVY = ("torch", "scipy", "sklearn", "pandas", "matplotlib", "jinja2")
REPORT = f"""
import contextlib, io, sys
from xent.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    try:
        main(sys.argv[1:])
    except SystemExit as stop:
        assert not stop.code, stop.code
print([name for name in {HEAVY!r} + ("numpy",) if name in sys.modules])
"""


def loaded(*arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run(
        [sys.executable, "-c", REPORT, *arguments],
        capture_output=True, text=True, timeout=60, check=True, env=environment,
    )  # fmt: skip
    return ended.stdout.strip()


@pytest.mark.parametrize("form", ["text", "html", "json"])
def test_nothing_heavy_is_imported(form: str) -> None:
    """Torch alone takes longer to import than an explanation may take."""
    assert loaded(*BINARY, "--format", form) == "['numpy']"
    assert loaded("explain", "--logits", "1 2; 3 4", "-t", "0 1", "-f", form) == "['numpy']"


def test_help_imports_nothing() -> None:
    assert loaded("explain", "--help") == "[]"
