"""What each entrance imports: start-up time is part of the product."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "scipy", "pandas", "sklearn", "matplotlib", "rich", "jinja2", "pyarrow")


def imported(code):
    """The heavy packages that a fresh interpreter has loaded after running the code."""
    report = f"import json, sys; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    ended = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        capture_output=True, text=True, timeout=120, check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    return json.loads(ended.stdout.splitlines()[-1])


QUIETLY = """
import contextlib, io, sys
from xent.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    try:
        main({arguments!r})
    except SystemExit as stop:
        assert not stop.code, stop.code
"""


def test_the_test_can_fail():
    assert imported("import numpy") == ["numpy"]


def test_import_costs_nothing():
    assert imported("import xent, xent._errors, xent.cli") == []


@pytest.mark.parametrize(
    "arguments", [["--help"], ["compare", "--help"], ["demo", "--help"], ["report", "--help"]]
)
def test_help_costs_nothing(arguments):
    assert imported(QUIETLY.format(arguments=arguments)) == []


def test_links_and_scores_need_no_torch():
    assert "torch" not in imported("import xent; xent.LINKS; import xent.scoring")


def test_a_demo_needs_no_tables_and_without_a_report_no_plots():
    arguments = ["demo", "--seeds", "1", "--json"]
    loaded = imported(QUIETLY.format(arguments=arguments))
    assert not {"pandas", "sklearn", "matplotlib", "jinja2", "pyarrow"} & set(loaded)
    assert {"torch", "numpy"} <= set(loaded)


def test_a_report_needs_no_torch(tmp_path):
    imported(QUIETLY.format(arguments=["demo", "--seeds", "1", "--out", str(tmp_path)]))
    loaded = imported(QUIETLY.format(arguments=["report", str(tmp_path)]))
    assert not {"torch", "pandas", "sklearn", "pyarrow"} & set(loaded)
    assert {"numpy", "matplotlib", "jinja2"} <= set(loaded)


@pytest.mark.parametrize("arguments", [["rule", "XE601"], ["check", "{file}"]])
def test_reading_source_needs_neither_torch_nor_numpy(tmp_path, arguments):
    """Though what looks at tensors lives beside it."""
    file = tmp_path / "right.py"
    file.write_text("import torch\nloss = torch.nn.functional.cross_entropy(model(x), y)\n")
    arguments = [each.format(file=file) for each in arguments]
    assert imported(QUIETLY.format(arguments=arguments)) == []


def test_the_rules_on_tensors_load_torch_when_they_are_used():
    assert imported("import xent, xent.wiring") == []
    assert "torch" in imported("import xent; xent.check")
