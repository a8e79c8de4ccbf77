"""The hooks for pre-commit run commands that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import xent

ROOT = Path(__file__).parents[2]
HOOKS = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
ENTRIES = dict(re.findall(r"^- id: (.+)$(?:\n  .+$)*?\n  entry: xent (.+)$", HOOKS, re.MULTILINE))


def test_there_are_two() -> None:
    assert ENTRIES == {"xent-check": "check", "xent-check-fix": "check --fix"}
    assert HOOKS.count("types_or: [python, jupyter]") == 2


@pytest.mark.parametrize("hook", ENTRIES)
def test_a_hook_checks_the_files_that_it_is_given(
    hook: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text(
        "import torch.nn.functional as F\nloss = F.cross_entropy(z.softmax(1), y)\n"
    )
    (tmp_path / "b.py").write_text("x = 1\n")
    assert xent(*ENTRIES[hook].split(), "a.py", "b.py").code == 1
    assert xent(*ENTRIES[hook].split(), "b.py").code == 0


def test_the_guide_names_them() -> None:
    guide = (ROOT / "docs" / "check.md").read_text(encoding="utf-8")
    assert all(f"`{hook}`" in guide for hook in ENTRIES)
