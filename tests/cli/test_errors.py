"""Bad input on the command line: exit code 2, one line, nothing on standard output or on disk."""

import sys

import numpy as np
import pandas
import pytest
from command_line import xent

BAD_MODULE = """
import torch
from torch import nn
from torch.nn import functional
import xent

def loss(outputs, target):
    return functional.cross_entropy(outputs, target, reduction="none")

def mean_loss(outputs, target):
    return functional.cross_entropy(outputs, target)

calls = []

def failing(outputs, target):
    calls.append(1)
    if len(calls) > 4:
        raise ValueError("tired\\nof it")
    return loss(outputs, target)

class Wide(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.out = nn.Linear(n_features, 7)
    def forward(self, features):
        return self.out(features)

not_a_formulation = 5
tired = xent.Formulation("tired", "raises", lambda k: k, failing, "softmax")
reduced = xent.Formulation("reduced", "a mean", lambda k: k, mean_loss, "softmax")
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder of files, each with one fault, and of modules that are faulty too."""
    folder = tmp_path_factory.mktemp("files")
    random = np.random.default_rng(0)
    rows = 60
    good = pandas.DataFrame(
        {
            "x": random.normal(size=rows),
            "z": random.normal(size=rows),
            "y": random.choice(["no", "yes"], rows),
            "three": random.choice(["a", "b", "c"], rows),
            "same": "only",
            "real": random.normal(size=rows),
            "id": [f"n{i}" for i in range(rows)],
            "gap": np.where(np.arange(rows) == 4, np.nan, np.arange(rows) % 2),
            "rare": np.where(np.arange(rows) == 7, "rare", np.where(np.arange(rows) % 2, "p", "q")),
            "minus": -1.0,
        }
    )
    good.to_csv(folder / "good.csv", index=False)
    (folder / "empty.csv").write_text("")
    (folder / "broken.parquet").write_bytes(b"not parquet")
    (folder / "data.xlsx").write_bytes(b"PK")
    (folder / "in_the_way").write_text("a file")
    (folder / "faulty.py").write_text(BAD_MODULE)
    (folder / "unknown_link.py").write_text(
        "import xent\nmine = xent.Formulation('m', 'd', lambda k: k, None, 'logit')\n"
    )
    (folder / "raising.py").write_text("raise RuntimeError('at import\\ntime')\n")
    return folder


# Grouped as a user meets them: the file, the target, the parts, the formulations, the model, the
# training, the command itself. Each with a piece of its line.
FAULTS = {
    "no such file": ("nowhere.csv -t y", "There is no such file: check the path."),
    "no such data set": ("sklearn:iriss", "sklearn:NAME with one of breast_cancer"),
    "a regression set": ("sklearn:diabetes", "has a number as its target"),
    "unknown extension": ("{f}/data.xlsx -t y", "a file ending in .csv"),
    "empty file": ("{f}/empty.csv -t y", "empty.csv, which can't be read"),
    "broken Parquet": ("{f}/broken.parquet -t y", "broken.parquet, which can't be read"),
    "a folder": ("{f} -t y", "must be a file; got the directory"),
    "bad synthetic": ("synthetic:n=10,wings=2", "wings"),
    "no target": ("{f}/good.csv", "--target must be given for good.csv"),
    "no such column": ("{f}/good.csv -t yy", "Did you mean 'y'?"),
    "one class": ("{f}/good.csv -t same", "at least two classes; got 'same' with only 'only'"),
    "NaN target": ("{f}/good.csv -t gap", "a column without missing values; got 'gap' missing in"),
    "continuous target": ("{f}/good.csv -t real", "'real', which looks continuous"),
    "a class a row": ("{f}/good.csv -t id", "60 of 60 rows have a value of their own"),
    "class not in training": ("{f}/good.csv -t rare --no-stratify --split-seed {rare}",
                              "the training part must be rows of every class; got none of 'rare'"),
    "unknown positive": ("{f}/good.csv -t y --positive maybe", "one of the classes 'no', 'yes'"),
    "unknown classes": ("{f}/good.csv -t three --classes a,d", "got 'd'"),
    "one class kept": ("{f}/good.csv -t three --classes a", "with only 'a'"),
    "unknown weight": ("{f}/good.csv -t y --weight w", "--weight must be a column of good.csv"),
    "negative weight": ("{f}/good.csv -t y --weight minus", "finite numbers of at least 0"),
    "unknown group": ("{f}/good.csv -t y --group w", "--group must be a column of good.csv"),
    "unknown drop": ("{f}/good.csv -t y --drop w", "--drop must be a column of good.csv"),
    "test fraction": ("{f}/good.csv -t y --test 1.5", "--test must be"),
    "test of nothing": ("{f}/good.csv -t y --test 0", "--test must be a fraction above 0"),
    "test is no number": ("{f}/good.csv -t y --test nan", "--test must be"),
    "no test file": ("{f}/good.csv -t y --test nowhere.csv", "--test must be an existing file"),
    "validation fraction": ("{f}/good.csv -t y --validation -0.1", "--validation must be"),
    "fractions": ("{f}/good.csv -t y --test 0.6 --validation 0.5", "must be"),
    "unknown formulation": ("{f}/good.csv -t y -f bcee", "formulations must be among bce, ce1"),
    "unknown modifier": ("{f}/good.csv -t y -f bce+blur=1", "modified by smoothing=, focal= or"),
    "bad modifier": ("{f}/good.csv -t y -f bce+smoothing=2", "a number in [0, 1)"),
    "formulation twice": ("{f}/good.csv -t y -f bce,bce", "'bce' twice"),
    "binary on three classes": ("{f}/good.csv -t three -f bce,ce", "a target with 3 classes"),
    "weights of other classes": ("{f}/good.csv -t three -f ce+weights=1:2", "a class (3)"),
    "no formulation module": ("{f}/good.csv -t y -f no_such_module:x", "No module named"),
    "no such formulation": ("{f}/good.csv -t y -f faulty:absent", "has no 'absent'"),
    "not a formulation": ("{f}/good.csv -t y -f faulty:not_a_formulation", "of type int"),
    "unknown link": ("{f}/good.csv -t y -f unknown_link:mine", "link must be one of sigmoid"),
    "raises at import": ("{f}/good.csv -t y -f raising:x", "RuntimeError: at import time"),
    "reduced loss": ("{f}/good.csv -t y -f faulty:reduced", "formulation 'reduced': loss must be"),
    "loss that raises": ("{f}/good.csv -t y -f faulty:tired", "ValueError: tired of it"),
    "unknown model": ("{f}/good.csv -t y --model tree", "linear, mlp or package.module:factory"),
    "no model module": ("{f}/good.csv -t y --model no_such_module:Net", "No module named"),
    "no such model": ("{f}/good.csv -t y --model faulty:Net", "has no 'Net'"),
    "model is no factory": ("{f}/good.csv -t y --model faulty:not_a_formulation", "of type int"),
    "model of other outputs": ("{f}/good.csv -t y --model faulty:Wide", "(rows, n_outputs)"),
    "no such head": ("{f}/good.csv -t y --model faulty:Wide --head in", "modules are: 'out'"),
    "no widths": ("{f}/good.csv -t y --model mlp", "--widths must be given with --model mlp"),
    "bad widths": ("{f}/good.csv -t y --model mlp --widths 3,x", "--widths must be whole numbers"),
    "zero widths": ("{f}/good.csv -t y --model mlp --widths 0", "--widths must be whole numbers"),
    "widths of linear": ("{f}/good.csv -t y --widths 3", "Add --model mlp."),
    "ovr matched": ("{f}/good.csv -t three -f ce,ovr --protocol matched", "--protocol matched"),
    "lbfgs matched": ("{f}/good.csv -t y --optimizer lbfgs --protocol matched", "lbfgs, whose"),
    "matched without head": ("{f}/good.csv -t y --model faulty:Wide --protocol matched", "--head"),
    "lbfgs in batches": ("{f}/good.csv -t y --optimizer lbfgs --batch-size 8", "the full batch"),
    "converge an mlp": ("{f}/good.csv -t y --model mlp --widths 2 --converge", "--model linear"),
    "learning rate": ("{f}/good.csv -t y --lr -1", "--learning-rate must be above 0 and finite"),
    "momentum": ("{f}/good.csv -t y --momentum 0.9", "Add --optimizer sgd."),
    "unknown device": ("{f}/good.csv -t y --device tpu9", "a device that torch can use here"),
    "out is a file": ("{f}/good.csv -t y --out {f}/in_the_way/run", "is a file)"),
    "seeds": ("{f}/good.csv -t y --seeds 0", "--seeds"),
    "seeds in words": ("{f}/good.csv -t y --seeds ten", "'ten' is not a valid integer"),
    "unknown option": ("{f}/good.csv -t y --sedes 3", "'--sedes'"),
    "unknown choice": ("{f}/good.csv -t y --optimizer adagrad", "'adagrad' is not one of"),
    "too many arguments": ("{f}/good.csv more -t y", "files of predictions need --predictions"),
    "no data": ("", "Missing argument 'DATA'"),
}  # fmt: skip


def rare_split_seed(files):
    """A split seed that keeps the single rare row out of the training part."""
    from xent._errors import InputError
    from xent.study import DataSpec, load_dataset

    for seed in range(20):
        try:
            load_dataset(DataSpec(str(files / "good.csv"), "rare", stratify=False, split_seed=seed))
        except InputError:
            return seed
    raise AssertionError("no such seed")


@pytest.mark.parametrize(("arguments", "piece"), FAULTS.values(), ids=FAULTS)
def test_one_line_and_nothing_written(files, tmp_path, monkeypatch, arguments, piece):
    monkeypatch.syspath_prepend(files)
    monkeypatch.chdir(tmp_path)
    for name in ("faulty", "raising", "unknown_link"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    if "{rare}" in arguments:
        arguments = arguments.replace("{rare}", str(rare_split_seed(files)))
    given = arguments.format(f=files).split()
    out = [] if "--out" in given else ["--out", "kept"]
    before = sorted(files.rglob("*.*"))
    ended = xent("compare", *given, "--epochs", "2", *out)
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith("Error: ")
    assert ended.err.endswith("\n")
    assert ended.err.count("\n") == 1
    assert piece in ended.err
    assert list(tmp_path.iterdir()) == []
    assert [p for p in before if "__pycache__" not in str(p)] == [
        p for p in sorted(files.rglob("*.*")) if "__pycache__" not in str(p)
    ]


def test_parquet_without_pyarrow_says_what_to_install(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    ended = xent("compare", files / "broken.parquet", "-t", "y")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "Error: reading Parquet needs pyarrow, which is not installed. "
        "Run: pip install 'xent[data]'\n"
    )


def test_unknown_commands():
    ended = xent("comparee")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "Error: No such command 'comparee'. Did you mean 'compare'? Try: xent --help\n"
    )
    assert xent("zzz").err == "Error: No such command 'zzz'. Try: xent --help\n"


def test_demo_usage():
    ended = xent("demo", "--seeds", "0")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Error: Invalid value for '--seeds'")
    assert ended.err.endswith(" Try: xent demo --help\n")
    assert ended.err.count("\n") == 1


def test_a_feature_that_gives_the_target_away_is_warned_of(tmp_path):
    random = np.random.default_rng(0)
    target = random.integers(0, 2, 80)
    frame = pandas.DataFrame({"x": random.normal(size=80), "paid": target * 5.0, "y": target})
    frame.to_csv(tmp_path / "data.csv", index=False)
    ended = xent("compare", tmp_path / "data.csv", "-t", "y", "--epochs", 2)
    assert ended.code == 0
    assert "warning XS121 feature-gives-target-away" in ended.out
    assert "paid" in ended.out


def test_a_fault_of_xent_s_own_is_one_line_too(monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("xent.study.run_study", broken)
    ended = xent("compare", "synthetic:n=100,features=2")
    assert (ended.code, ended.out) == (70, "")
    assert ended.err == "Error: RuntimeError: two lines (XENT_TRACEBACK=1 shows where)\n"
    monkeypatch.setenv("XENT_TRACEBACK", "1")
    ended = xent("compare", "synthetic:n=100,features=2")
    assert ended.code == 70
    assert ended.err.startswith("Traceback (most recent call last):")


def test_interrupted(monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("xent.study.run_study", interrupt)
    ended = xent("compare", "synthetic:n=100,features=2")
    assert (ended.code, ended.out) == (130, "")
    assert ended.err.strip() == "Interrupted."
