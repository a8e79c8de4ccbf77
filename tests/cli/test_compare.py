"""``xent compare`` from its arguments to what it prints."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas
import pytest
from command_line import xent

from xent.scoring import NATIVE

DATA = "synthetic:n=300,features=3,seed=5"
OPTIONS = ("--seeds", "2", "--epochs", "5")


def run_as_process(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "xent", *arguments],
        capture_output=True, text=True, timeout=120, check=False, cwd=cwd,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip


NOTHING_WRITTEN = "Nothing was written; --out FOLDER keeps report, results and trials.\n"


def assert_reads_well(text):
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert not [line for line in text.splitlines() if line != line.rstrip()]
    assert "\n\n\n" not in text


# Each kind of output: two and many classes, recovered rows, an mlp, convergence, divergence.
@pytest.mark.parametrize(
    "arguments",
    [
        (DATA,),
        ("sklearn:digits", "-f", "ce,ovr", "--seeds", "1"),
        (DATA, "-f", "bce,ce2+smoothing=0.05+focal=0.5+weights=balanced"),
        (DATA, "--model", "mlp", "--widths", "4,3", "--batch-size", "50"),
        ("sklearn:iris", "--converge"),
        (DATA, "--splits", "2"),
        ("sklearn:wine",),
        (DATA, "--optimizer", "lbfgs", "--lr", "1"),
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_reads_at_80_columns(arguments):
    ended = xent("compare", *OPTIONS, *arguments)
    assert ended.code == 0
    assert_reads_well(ended.out)
    assert "log loss" in ended.out
    assert ended.err == NOTHING_WRITTEN


def test_reads_at_80_columns_with_long_names(tmp_path):
    random = np.random.default_rng(0)
    columns = {f"a column with quite a long name {i} [red]": random.normal(size=90) for i in (1, 2)}
    labels = np.array(["a class of many words and more", "[bold]another class, as long as that"])
    frame = pandas.DataFrame(columns | {"y": labels[random.integers(0, 2, 90)]})
    frame.to_csv(tmp_path / "data.csv", index=False)
    ended = xent("compare", tmp_path / "data.csv", "-t", "y", *OPTIONS, "--converge")
    assert ended.code == 0
    assert_reads_well(ended.out)
    assert "[red]" in ended.out


def test_divergence_is_shown_and_fails(tmp_path):
    diverging = ("--optimizer", "sgd", "--lr", "1e38")
    ended = xent("compare", DATA, *OPTIONS, *diverging, "--out", tmp_path / "run")
    assert ended.code == 1
    assert_reads_well(ended.out)
    assert "training-diverged" in ended.out
    assert "(diverged)" in ended.out
    assert json.loads((tmp_path / "run" / "results.json").read_text())["status"] == "failed"
    assert xent("compare", DATA, *OPTIONS, *diverging, "--json").code == 1


def test_explosion_does_not_crash():
    ended = xent("compare", DATA, *OPTIONS, "--optimizer", "sgd", "--lr", "1e30")
    assert ended.code == 1
    assert "the objective ended at" in " ".join(ended.out.split())
    assert "Lower the learning rate" in ended.out


def test_json_is_all_that_is_printed():
    ended = xent("compare", DATA, *OPTIONS, "--json")
    assert ended.code == 0
    assert ended.err == ""
    document = json.loads(ended.out)
    assert list(document["formulations"]) == ["bce", "ce1", "ce2"]
    assert document["schema_version"] == "1.1"


def test_out(tmp_path):
    ended = xent("compare", DATA, *OPTIONS, "--out", tmp_path / "run")
    assert ended.code == 0
    kept = "report.html, results.json, trials.jsonl, trials/"
    assert ended.err == f"Written: {tmp_path / 'run'}/{kept}\n"
    names = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert names == ["report.html", "results.json", "trials", "trials.jsonl"]
    assert len(list((tmp_path / "run" / "trials").iterdir())) == 6


def test_names_accumulate_and_may_hold_commas(tmp_path):
    random = np.random.default_rng(0)
    columns = {name: random.normal(size=120) for name in ("x", "z", "w", "size, cm", "v")}
    y = random.choice(["a", "b", "Paris, France"], 120)
    pandas.DataFrame(columns | {"y": y}).to_csv(tmp_path / "data.csv", index=False)
    ended = xent(
        "compare", tmp_path / "data.csv", "--target", "y", "--drop", "z", "--drop", "size, cm",
        "--drop", "w, v", "--classes", "Paris, France", "--classes", "a", "--seeds", "1",
        "--epochs", "1", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    document = json.loads(ended.out)
    assert document["data"]["features"] == ["x"]
    assert document["data"]["classes"] == ["Paris, France", "a"]
    assert document["spec"]["data"]["drop"] == ["z", "size, cm", "w", "v"]
    assert document["spec"]["data"]["classes"] == ["Paris, France", "a"]


def test_every_option_reaches_the_study(tmp_path):
    random = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "x": random.normal(size=120),
            "z": random.normal(size=120),
            "site": random.integers(0, 30, 120),
            "times": random.integers(1, 3, 120),
            "y": random.choice(["a", "b", "c"], 120),
        }
    )
    frame.to_csv(tmp_path / "data.csv", index=False)
    ended = xent(
        "compare", tmp_path / "data.csv", "--target", "y", "--classes", "a,b", "--positive", "a",
        "--drop", "z", "--group", "site", "--weight", "times", "--test", "0.3", "--validation",
        "0.2", "--no-stratify", "--split-seed", "4", "--no-standardize", "--model", "mlp",
        "--widths", "4,2", "--optimizer", "sgd", "--momentum", "0.5", "--lr", "0.02", "--epochs",
        "3", "--batch-size", "16", "--weight-decay", "0.001", "--dtype", "float64", "--seeds", "2",
        "--formulations", "bce,ce2", "--protocol", "matched", "--device", "cpu", "--json",
    )  # fmt: skip
    assert ended.code == 0
    spec = json.loads(ended.out)["spec"]
    assert spec["data"] == {
        "source": str(tmp_path / "data.csv"), "target": "y", "test": 0.3, "validation": 0.2,
        "stratify": False, "group": "site", "groups": None, "weight": "times", "positive": "a",
        "classes": ["a", "b"], "drop": ["z"], "split_seed": 4, "standardize": False,
    }  # fmt: skip
    assert spec["model"] == {"kind": "mlp", "widths": [4, 2], "head": None, "factory": None}
    assert spec["training"] == {
        "optimizer": "sgd", "learning_rate": 0.02, "epochs": 3, "batch_size": 16, "momentum": 0.5,
        "weight_decay": 0.001, "protocol": "matched", "converge": False, "gradient_norm": 1e-9,
        "device": "cpu", "dtype": "float64",
    }  # fmt: skip
    assert spec["seeds"] == [0, 1]
    assert spec["formulations"] == ["bce", "ce2"]


def test_a_test_file(tmp_path):
    frame = pandas.DataFrame({"x": np.arange(60.0) % 7, "y": np.arange(60) % 2})
    frame.to_csv(tmp_path / "train.csv", index=False)
    frame[:20].to_csv(tmp_path / "test.csv", index=False)
    ended = xent("compare", tmp_path / "train.csv", "-t", "y", "--test", tmp_path / "test.csv",
                 *OPTIONS, "--json")  # fmt: skip
    assert json.loads(ended.out)["data"]["rows"] == {"train": 54, "validation": 6, "test": 20}


def test_help():
    for arguments in (("--help",), ("compare", "--help"), ("demo", "-h")):
        ended = xent(*arguments)
        assert (ended.code, ended.err) == (0, "")
        assert "Exit codes" in ended.out or arguments[0] == "demo"
        assert_reads_well(ended.out)
    has = "with" if NATIVE else "without"
    assert xent("--version").out == f"xent 0.1.0, {has} the native extension\n"


def test_no_arguments_shows_the_help():
    ended = xent()
    assert ended.code == 2
    assert "Commands:" in ended.err


def test_as_a_process(tmp_path):
    """Exit codes and streams as a shell sees them."""
    fine = run_as_process("compare", DATA, "--seeds", "1", "--epochs", "2", cwd=tmp_path)
    assert fine.returncode == 0
    assert_reads_well(fine.stdout)
    bad = run_as_process("compare", "nowhere.csv", "-t", "y", "--out", "run", cwd=tmp_path)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.startswith("Error: ")
    assert bad.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_module_beside_the_data_can_be_named(tmp_path):
    (tmp_path / "beside_the_data.py").write_text(
        "from torch import nn\n\n\ndef factory(n_features, n_outputs):\n"
        "    return nn.Linear(n_features, n_outputs)\n",
        encoding="utf-8",
    )
    code = (
        "import os, sys; sys.path = [p for p in sys.path if p]; from xent.cli import main; "
        f"main(['compare', {DATA!r}, '--model', 'beside_the_data:factory', '--head', '', "
        "'--seeds', '1', '--epochs', '2', '--json'])"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode == 0


def test_splits():
    ended = xent("compare", DATA, "--splits", "3", "--epochs", "3", "-f", "bce,ce2")
    flowing = " ".join(ended.out.split())
    assert "3 random splits, a seed each, paired: same split, batch order and starting" in flowing
    assert "The data above and the coefficients are the first split's." in flowing
    assert "mean over 3 splits (± SE, as if they shared no rows)" in flowing
    ended = xent("compare", DATA, "--splits", "5x2", "--epochs", "3", "-f", "bce,ce2", "--json")
    assert json.loads(ended.out)["spec"]["seeds"] == list(range(10))
    ended = xent("compare", DATA, "--splits", "3", "--seeds", "5")
    assert ended.err == (
        "Error: compare: --seeds must be left out, or 3, with --splits 3: each split has one seed; "
        "got 5. Leave it out.\n"
    )


def test_what_was_finished_is_said(tmp_path):
    for taken in (False, True):
        ended = xent("compare", DATA, *OPTIONS, "-f", "bce,ce2", "--out", tmp_path / "run")
        said = "4 of 4 trials were finished in the folder before and are not trained again."
        assert (said in " ".join(ended.out.split())) == taken
