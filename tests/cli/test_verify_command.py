"""``xent verify`` on the command line."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import xent as command

import xent.functional

NUMBERS = ("--logits", "1.1 2.2 0.5 -1.1 -2.2", "--targets", "1 1 0 0 0", "--dtype", "float32")


def test_numbers_of_the_command_line() -> None:
    ended = command("verify", *NUMBERS)
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0] == (
        "5 logits in float32 from text: the mean of binary_cross_entropy_with_logits"
    )
    assert lines[-1] == "All that must agree does."
    assert " probabilities  0.7503 0.9002 0.6225 0.2497 0.0998" in lines
    for name in ("binary, loop", "log_loss", "nn.BCEWithLogitsLoss", "definition, in NumPy"):
        assert any(line.startswith(f" {name} ") for line in lines), name
    assert " F.binary_cross_entropy_with_logits(z, y) = F.cross_entropy([0, z], y)" in lines
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if line.endswith(" ")]


def test_files(tmp_path: Path) -> None:
    np.save(tmp_path / "logits.npy", np.array([[1.5, -0.5], [0.5, 1.5]], dtype=np.float32))
    (tmp_path / "targets.csv").write_text("y\n0\n1\n")
    ended = command(
        "verify", "--logits", tmp_path / "logits.npy", "--targets", tmp_path / "targets.csv",
        "--no-time",
    )  # fmt: skip
    assert ended.code == 0
    assert "0.22009485960006714" in ended.out
    assert "not the float32 nearest to the exact loss" in " ".join(ended.out.split())


def test_every_task_is_drawn_where_none_is_named() -> None:
    ended = command("verify", "--size", 5, "--no-time")
    assert ended.code == 0
    for told in ("binary_cross_entropy_with_logits\n", "cross_entropy\n"):
        assert f"from seed 0: the mean of {told}" in ended.out
    assert ended.out.count("All that must agree does.") == 3
    ended = command("verify", "--size", 5, "--no-time", "--task", "multiclass")
    assert ended.out.count("All that must agree does.") == 1


def test_json_is_json_and_nothing_else() -> None:
    ended = command("verify", *NUMBERS, "--json", "--no-time")
    (document,) = json.loads(ended.out)["agreements"]
    assert document["ok"] is True
    assert f"{document['rounded']:.4f}" == "0.3518"


def test_markdown() -> None:
    ended = command("verify", *NUMBERS, "--markdown", "--no-time")
    assert ended.out.startswith("**5 logits in float32 from text: ")
    assert "| PyTorch `nn.BCELoss` | sigmoid of logits: (5,) float32, (5,) float32 |" in ended.out


def test_options_of_a_loss() -> None:
    ended = command(
        "verify", "--logits", "1 2 3; 4 1 0", "--targets", "2 0", "--loss", "softmax_focal_loss",
        "--option", "gamma=1.5", "--no-time",
    )  # fmt: skip
    assert ended.code == 0
    assert "the mean of softmax_focal_loss, gamma 1.5" in ended.out


def test_what_must_agree_and_does_not_is_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    right = xent.functional.binary_cross_entropy_with_logits

    def wrong(*arguments: Any, **options: Any) -> Any:
        return right(*arguments, **options) * 1.001

    monkeypatch.setattr(xent.functional, "binary_cross_entropy_with_logits", wrong)
    ended = command("verify", *NUMBERS, "--no-time")
    assert ended.code == 1
    assert ended.err == ""
    assert "disagrees: The loss of what it was given is 0.3517828" in ended.out
    assert "What must agree does not: xent F.binary_cross_entropy_with_logits" in ended.out


def test_bad_numbers_are_one_line() -> None:
    ended = command("verify", "--logits", "1 2; 3", "--targets", "0 1")
    assert ended.code == 2
    assert ended.err == (
        "Error: logits must be rows of equal length; got 2 in row 0 and 1 in row 1. "
        "Give every row one number per class.\n"
    )
    ended = command("verify", "--logits", "1 2 3; 4 5 6", "--targets", "0 3")
    assert ended.code == 2
    assert ended.err.startswith("Error: cross_entropy: target must be class indices in [0, 3)")


def test_options_of_the_draw_are_refused_beside_numbers() -> None:
    ended = command("verify", *NUMBERS, "--seed", 1)
    assert ended.code == 2
    assert "--seed is for numbers that are drawn; leave it out." in ended.err
    assert command("verify", "--json", "--markdown").code == 2


def test_a_loss_without_numbers_is_drawn_for() -> None:
    ended = command("verify", "--loss", "softmax_focal_loss", "--size", 5, "--no-time")
    assert ended.code == 0
    assert ended.out.startswith("5 x 3 logits in float32 from seed 0: the mean of softmax_focal")
    ended = command("verify", "--loss", "sigmoid_focal_loss", "--size", 5, "--no-time")
    assert ended.out.count("All that must agree does.") == 2
    ended = command("verify", "--task", "multiclass", "--weight", "1 2 3", "--size", 5)
    assert ended.code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--option", "input=3"), "--option input: numbers are given by --logits (or the like)"),
        (("--option", "weight=3"), "--option weight: it has an option of its own; see --help."),
        (("--weight", "1 2 3"), "--weight is for a loss: name --task or --loss, too, or give"),
        (("--option", "gamma=2"), "--option gamma is for a loss: name --task or --loss, too"),
        (("--seed", "-1"), "verify: seed must be at least 0; got -1."),
        (("--size", "99999999999"), "verify: size must be at most 10,000,000, for 10,000,000"),
        (("--loss", "focal"), "loss must be one of binary_cross_entropy, "),
    ],
)
def test_refusals_are_one_line(arguments: tuple[str, ...], message: str) -> None:
    ended = command("verify", *arguments)
    assert ended.code == 2
    assert ended.err.startswith(f"Error: {message}")
    assert ended.err.count("\n") == 1


# The page.

PAGE = Path(__file__).parents[2] / "docs" / "verify.md"


def test_the_example_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (block,) = code
    exec(block, {})
    said = re.findall(r"^print\(.*\)  # (.*)$", block, re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == said


def test_the_lines_of_the_page_are_those_of_the_command() -> None:
    text = PAGE.read_text(encoding="utf-8")
    (block,) = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    asked, *shown = block.splitlines()
    ended = command(*shlex.split(asked)[2:])
    assert ended.code == 0
    assert set(shown) <= set(ended.out.splitlines())


def test_every_option_in_the_page_exists() -> None:
    from xent.cli._verify import command as verify_command

    known = {option for parameter in verify_command.params for option in parameter.opts}
    text = PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) <= known
