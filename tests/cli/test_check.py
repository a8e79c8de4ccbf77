"""``xent check`` and ``xent rule`` as commands: options, settings, exit codes, start-up."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import xent

from xent.wiring import RULES, check_paths, check_text
from xent.wiring._selection import selection_for

FAULT = "import torch.nn.functional as F\nloss = F.cross_entropy(z.softmax(1), y)\n"
NOTE = "import torch.nn.functional as F\np = F.softmax(z)\n"
CLEAN = "import torch.nn as nn\nnet = nn.Linear(2, 2)\nloss = nn.CrossEntropyLoss()(net(x), y)\n"


@pytest.fixture(autouse=True)
def fresh_settings() -> None:
    selection_for.cache_clear()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fault.py").write_text(FAULT)
    (tmp_path / "note.py").write_text(NOTE)
    return tmp_path


def codes(*arguments: str) -> list[str]:
    ended = xent("check", *arguments, "-f", "json")
    return [found["code"] for found in json.loads(ended.out)]


def test_exit_codes(folder: Path) -> None:
    assert xent("check", ".").code == 1
    assert xent("check", "note.py").code == 0
    assert xent("check", ".", "--exit-zero").code == 0
    assert xent("check", "nothing").code == 2


def test_errors_and_warnings_by_default(folder: Path) -> None:
    assert codes(".") == ["XE101"]


SELECTIONS = {
    ("--select", "XE1"): ["XE101"],
    ("--select", "XE205"): ["XE205"],
    ("--select", "softmax-implicit-dim"): ["XE205"],
    ("--select", "XE104,XE2"): ["XE205"],
    ("--select", "XE1", "--select", "XE2"): ["XE101", "XE205"],
    ("--extend-select", "ALL"): ["XE101", "XE205"],
    ("--extend-select", "ALL", "--ignore", "XE1"): ["XE205"],
    ("--ignore", "softmax-into-cross-entropy"): [],
}


@pytest.mark.parametrize("options", SELECTIONS)
def test_selection(options: tuple[str, ...], folder: Path) -> None:
    assert codes(".", *options) == SELECTIONS[options]


def test_a_selector_that_means_nothing(folder: Path) -> None:
    ended = xent("check", ".", "--select", "XE109,softmax-into-crossentropy")
    assert ended.code == 2
    assert ended.err == (
        "Error: select must be codes, beginnings of codes or names of rules; got "
        "'softmax-into-crossentropy'. Did you mean softmax-into-cross-entropy?\n"
    )


def test_no_path(folder: Path) -> None:
    ended = xent("check")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "Error: check: PATH must be at least one file or folder; got none. Try: xent check .\n"
    )


def test_settings_of_the_nearest_file(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.xent.check]\nextend-select = ["XE2"]\n')
    inner = folder / "inner"
    inner.mkdir()
    (inner / "fault.py").write_text(FAULT)
    (inner / "pyproject.toml").write_text('[tool.xent.check]\nignore = ["XE101"]\n')
    assert codes(".") == ["XE101", "XE205"]
    (inner / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    selection_for.cache_clear()
    assert codes(".") == ["XE101", "XE101", "XE205"]


def test_settings_for_files_and_folders(folder: Path) -> None:
    (folder / "tests").mkdir()
    (folder / "tests" / "a.py").write_text(FAULT)
    (folder / "old").mkdir()
    (folder / "old" / "a.py").write_text(FAULT)
    (folder / "pyproject.toml").write_text(
        '[tool.xent.check]\nexclude = ["old"]\nper-file-ignores = {"tests/*" = ["XE1"]}\n'
    )
    assert [finding.place.path for finding in check_paths(["."]).findings] == ["fault.py"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("selekt = []", "must be made of select, extend-select, ignore, per-file-ignores, exclude"),
        ('select = "XE1"', "select must be a list of strings; got 'XE1'"),
        ('ignore = ["XE9"]', "got 'XE9'"),
        ("select = [", "must be a TOML file"),
    ],
)
def test_settings_that_mean_nothing(table: str, said: str, folder: Path) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.xent.check]\n{table}\n")
    ended = xent("check", ".")
    assert ended.code == 2
    assert said in ended.err


def test_statistics(folder: Path) -> None:
    ended = xent("check", ".", "--statistics", "--extend-select", "ALL")
    assert ended.out == ("1  XE101  softmax-into-cross-entropy\n1  XE205  softmax-implicit-dim\n")
    assert ended.err == "1 error, 1 note in 2 files. 2 fixable with --fix --unsafe-fixes.\n"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(FAULT.encode())))
    ended = xent("check", "-", "-f", "concise", "--stdin-filename", "there/train.py")
    assert ended.code == 1
    assert ended.out.startswith("there/train.py:2:8: XE101 [error] softmax (line 2) reaches")


def test_standard_input_has_its_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(FAULT.encode())))
    assert "2 | loss = F.cross_entropy(z.softmax(1), y)\n" in xent("check", "-").out


def test_what_is_right_is_explained(folder: Path) -> None:
    (folder / "clean.py").write_text(CLEAN)
    ended = xent("check", "clean.py", "--explain-clean")
    assert (ended.code, ended.out) == (
        0,
        "clean.py:3:8: CrossEntropyLoss is given logits from Linear (line 3): right, "
        "CrossEntropyLoss takes logits and applies log_softmax itself.\n",
    )
    unknown = check_text("import torch.nn.functional as F\nF.nll_loss(x, y)\n").explanations
    assert [found.is_right for found in unknown] == [False]
    assert unknown[0].text.startswith("nll_loss: not known. What reaches it comes from code")


def test_files_that_cannot_be_read_are_named(folder: Path) -> None:
    (folder / "broken.py").write_text("import torch; softmax(\n")
    ended = xent("check", ".")
    assert ended.code == 1
    assert "Not checked: broken.py: does not parse: '(' was never closed (line 1)" in ended.err


def test_many_files_in_several_processes(folder: Path) -> None:
    for number in range(70):
        (folder / f"more{number:02}.py").write_text(FAULT if number % 7 == 0 else CLEAN)
    alone, together = check_paths(["."], jobs=1), check_paths(["."], jobs=2)
    assert alone == together
    assert len(together.findings) == 11
    assert (together.files, together.read) == (72, 72)


def test_a_file_alone_sees_its_neighbours(folder: Path) -> None:
    (folder / "model.py").write_text(
        "import torch\ndef forward(x):\n    return torch.softmax(x, dim=1)\n"
    )
    (folder / "train.py").write_text(
        "import torch\nfrom model import forward\ntorch.nn.CrossEntropyLoss()(forward(x), y)\n"
    )
    (finding,) = check_paths(["train.py"]).findings
    assert "softmax (model.py:3)" in finding.message


def test_rule() -> None:
    ended = xent("rule", "XE101")
    rule = RULES["XE101"]
    assert ended.code == 0
    assert ended.out.startswith("XE101 softmax-into-cross-entropy (error)\n\n")
    paragraphs = [" ".join(part.split()) for part in ended.out.split("\n\n")]
    assert rule.repair is not None
    fix = f"Fix (unsafe): {rule.repair.words}"
    assert {rule.what, rule.why, rule.limits, fix} <= set(paragraphs)
    assert max(len(line) for line in ended.out.splitlines()) <= 100
    assert xent("rule", "softmax-into-cross-entropy").out == ended.out
    assert xent("rule", "xe101").out == ended.out
    assert "Fix" not in xent("rule", "XE110").out


def test_rules_are_listed() -> None:
    lines = xent("rule").out.splitlines()
    assert [line.split()[0] for line in lines] == list(RULES)


def test_text_is_as_wide_as_the_terminal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, widest in {"60": 60, "1000": 100, "5": 40}.items():
        monkeypatch.setenv("COLUMNS", columns)
        text = xent("rule", "XE101").out.partition("Example:")[0]
        assert widest - 15 < max(len(line) for line in text.splitlines()) <= widest
        message = xent("check", "fault.py", "--no-cache").out.splitlines()[1]
        assert widest - 15 < len(message) <= widest


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="has no pseudo-terminals")
def test_colors_on_a_terminal_only(folder: Path) -> None:
    def shown(**environment: str) -> str:
        ours, theirs = os.openpty()
        ended = subprocess.run(
            [sys.executable, "-m", "xent", "check", "fault.py", "--no-cache"], stdout=theirs,
            env=os.environ | {"TERM": "xterm", "NO_COLOR": ""} | environment, check=False,
        )  # fmt: skip
        os.close(theirs)
        text = os.read(ours, 10_000).decode()
        os.close(ours)
        assert ended.returncode == 1
        return text

    assert shown().startswith("\x1b[31mXE101 softmax-into-cross-entropy\x1b[0m (error)\r\n")
    assert "\x1b" not in shown(NO_COLOR="1") + shown(TERM="dumb") + xent("check", "fault.py").out


@pytest.mark.parametrize(
    ("rule", "repair"),
    [
        ("XE1O1", "xent rule lists them."),
        ("softmax-in-cross-entropy", "Did you mean softmax-into-cross-entropy?"),
    ],
)
def test_a_rule_that_there_is_not(rule: str, repair: str) -> None:
    ended = xent("rule", rule)
    assert ended.code == 2
    assert ended.err == (
        f"Error: rule: RULE must be the code or name of a rule; got {rule!r}. {repair}\n"
    )


def test_nothing_heavy_is_imported(folder: Path) -> None:
    heavy = ("torch", "numpy", "scipy", "rich", "asyncio", "jinja2")
    code = (
        "import contextlib, io, sys\nfrom xent.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    with contextlib.suppress(SystemExit):\n        main(['check', 'fault.py'])\n"
        f"print([name for name in {heavy!r} if name in sys.modules])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert ended.stdout == "[]\n"


def test_every_option_is_in_the_guide_and_the_other_way_round() -> None:
    from xent.cli._check import command

    guide = (Path(__file__).parents[2] / "docs" / "check.md").read_text(encoding="utf-8")
    options = {option for parameter in command.params for option in parameter.opts}
    known = {option for option in options if option.startswith("--")}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", guide)) == known
