"""``xent which`` on the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from command_line import xent


def test_one_answer() -> None:
    ended = xent("which", "--task", "multiclass", "--last-layer", "softmax", "--target", "indices")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("Multiclass, softmax at the end, target as indices\n")
    assert "  loss           nll_loss\n" in ended.out
    assert "  loss = F.nll_loss(p.log(), target)\n" in ended.out
    said = " ".join(ended.out.split())
    assert "Better without the softmax: F.cross_entropy(logits, target)." in said
    assert "nll_loss: another number. It takes logarithms: of probabilities" in said
    assert max(map(len, ended.out.splitlines())) <= 80
    assert not [line for line in ended.out.splitlines() if line.endswith(" ")]


def test_what_is_impossible_is_said_and_what_to_change() -> None:
    ended = xent("which", "--task", "multilabel", "-l", "softmax", "-t", "floats")
    assert ended.code == 0
    assert "\nImpossible. A softmax makes the classes of a row share one:" in ended.out
    assert "\nChange: Take the softmax off the model: the sigmoid is in the loss.\n" in ended.out


def test_the_sheet_is_whole() -> None:
    ended = xent("which", "--table")
    assert ended.code == 0
    assert ended.out == xent("which").out
    for call in (
        "F.binary_cross_entropy_with_logits(logits, target[:, 1].float())",
        "F.nll_loss(p.log(), target.argmax(dim=1))",
        "F.cross_entropy(log_p, target)",
    ):
        assert call in ended.out
    assert ended.out.count("impossible.") == 5
    assert max(map(len, ended.out.splitlines())) <= 80


def test_json_is_json_and_nothing_else() -> None:
    ended = xent("which", "--json")
    assert len(json.loads(ended.out)["choices"]) == 48
    ended = xent("which", "--json", "--task", "binary", "-l", "none", "-t", "floats")
    (choice,) = json.loads(ended.out)["choices"]
    assert choice["call"] == "F.binary_cross_entropy_with_logits(logits, target)"


def test_markdown() -> None:
    ended = xent("which", "--markdown", "--task", "binary")
    assert ended.out.startswith("## Binary: each row is a yes or a no\n\n| last layer | target |")
    ended = xent("which", "--markdown", "--task", "binary", "-l", "none", "-t", "floats")
    assert "```python\nimport torch, torch.nn.functional as F\n" in ended.out


def test_bad_words() -> None:
    ended = xent("which", "--task", "regression")
    assert ended.code == 2
    assert ended.err == (
        "Error: which: task must be one of binary, multiclass, multilabel; got 'regression'. "
        "Give task='binary'.\n"
    )
    assert xent("which", "--json", "--markdown").code == 2


def test_nothing_slow_is_imported() -> None:
    """So that the whole command ends in a fraction of a second."""
    code = (
        "import sys; from xent.cli import main\n"
        "try: main(['which', '--table'])\n"
        "except SystemExit as stop: assert not stop.code\n"
        "print([m for m in ('torch', 'scipy', 'sklearn', 'pandas', 'mpmath', 'matplotlib') "
        "if m in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert ended.stdout.splitlines()[-1] == "[]"
