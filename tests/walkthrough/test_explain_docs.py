"""What docs/explain.md shows runs, prints what it says, and names only options that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from xent._contracts import CONTRACTS
from xent.cli._explain import command
from xent.walkthrough._steps_shared import MOST_EXACT

PAGE = (Path(__file__).parents[2] / "docs" / "explain.md").read_text(encoding="utf-8")


def test_examples_print_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```(?:\s*```text\n(.*?)```)?", PAGE, re.DOTALL)
    assert len(blocks) == 3
    for code, output in blocks:
        said = re.findall(r"^\s*print\(.*\)  # (.*)$", code, re.MULTILINE)
        exec(code, names)
        assert capsys.readouterr().out == (output or "".join(f"{line}\n" for line in said)), code


def test_commands_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("scores.csv").write_text("a,b,c,y\n1,2,3,0\n3,2,1,1\n")
    lines = re.findall(r"^xent explain (.*)$", PAGE, re.MULTILINE)
    assert len(lines) == 4
    for line in lines:
        assert command.main(shlex.split(line), standalone_mode=False) == 0
    assert Path("explained.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "1. Input" in capsys.readouterr().out


def test_options_losses_and_limits_exist() -> None:
    known = {option for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) <= known
    for loss in re.findall(r"`(\w*(?:entropy|nll_loss|focal)\w*)`", PAGE):
        assert loss in CONTRACTS
    assert f"{MOST_EXACT:,} numbers" in PAGE
