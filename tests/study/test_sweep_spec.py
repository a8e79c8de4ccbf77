"""The TOML of a sweep: what it may say, and one line for everything that is wrong with it."""

from pathlib import Path

import pytest

from xent._errors import InputError
from xent.study import ModelSpec
from xent.study._sweeps._spec import read_sweep

FULL = """
out = "runs/all"
jobs = 2
formulations = ["bce", "ce2+smoothing=0.1"]
learning-rate = [0.1, 0.001, 1]
seeds = 3
epochs = 7
optimizer = "sgd"
momentum = 0.5
batch-size = 32
question = "fitted"
margin = 1
level = 0.9
validation = 0.2
widths = [8]

[[data]]
source = "churn.csv"
target = "churned"
drop = "id,when"
test = "later.csv"

[[data]]
source = "sklearn:iris"
name = "irises"
classes = ["versicolor", "virginica"]
validation = 0.3

[[model]]
kind = "linear"

[[model]]
kind = "mlp"

[[model]]
kind = "mlp"
widths = [16, 8]
name = "wide"

[[model]]
kind = "nets:make"
head = "out"
"""


def test_everything_that_can_be_said(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(FULL)
    spec = read_sweep(path)
    assert spec.out == tmp_path / "runs" / "all"
    assert spec.jobs == 2
    assert spec.learning_rates == (0.001, 0.1, 1.0)
    assert all(isinstance(rate, float) for rate in spec.learning_rates)
    churn, irises = spec.data.values()
    assert list(spec.data) == ["churn.csv", "irises"]
    assert churn.source == str(tmp_path / "churn.csv")
    assert (churn.target, churn.drop, churn.validation) == ("churned", ("id", "when"), 0.2)
    assert churn.test == str(tmp_path / "later.csv")
    assert (irises.source, irises.classes) == ("sklearn:iris", ("versicolor", "virginica"))
    assert (irises.validation, irises.test) == (0.3, 0.2)
    assert spec.models == {
        "linear": ModelSpec(),
        "mlp 8": ModelSpec("mlp", (8,)),
        "wide": ModelSpec("mlp", (16, 8)),
        "nets:make": ModelSpec("nets:make", (), "out"),
    }
    study = spec.study
    assert study.formulations == ("bce", "ce2+smoothing=0.1")
    assert study.seeds == (0, 1, 2)
    assert (study.question, study.margin, study.level) == ("fitted", 1.0, 0.9)
    assert isinstance(study.margin, float)
    training = study.training
    assert (training.epochs, training.optimizer, training.momentum) == (7, "sgd", 0.5)
    assert training.batch_size == 32
    cell = spec.cell("irises", "wide", 0.1)
    assert (cell.data, cell.model) == (irises, spec.models["wide"])
    assert cell.training.learning_rate == 0.1
    assert cell.training.epochs == 7


def test_the_least_that_can_be_said():
    spec = read_sweep({"data": "sklearn:iris"})
    assert spec.learning_rates == (0.1,)
    assert spec.models == {"linear": ModelSpec()}
    assert spec.study.seeds == tuple(range(10))
    assert (spec.out, spec.jobs) == (None, 1)
    assert read_sweep({"data": "sklearn:iris", "splits": "5x2"}).study.n_splits == 10
    assert read_sweep({"data": "sklearn:iris", "splits": 4}).study.seeds == (0, 1, 2, 3)


def test_spellings_of_the_command_line():
    for key in ("lr", "learning-rate", "learning_rate"):
        assert read_sweep({"data": "sklearn:iris", key: [0.5, 1]}).learning_rates == (0.5, 1.0)


def test_paths_of_a_mapping_begin_here():
    spec = read_sweep({"data": "folder/churn.csv", "target": "y", "out": "run"})
    assert spec.data["churn.csv"].source == str(Path("folder") / "churn.csv")
    assert spec.out == Path("run")


def test_absolute_paths_stay(tmp_path):
    (tmp_path / "a").mkdir()
    path = tmp_path / "a" / "study.toml"
    path.write_text(f'data = "{tmp_path.as_posix()}/x.csv"\ntarget = "y"')
    assert Path(read_sweep(path).data["x.csv"].source) == tmp_path / "x.csv"


def test_columns_of_files_are_not_asked_of_built_in_data():
    columns = {"target": "y", "drop": ["id"], "group": "g", "groups": "c", "weight": "w"}
    grid = {"data": ["sklearn:iris", "a.csv", {"source": "b.csv", "target": "z"}, "bce-versus-ce",
                     {"source": "sklearn:wine", "drop": ["ash"]}],
            "test": "t.csv", "validation": 0.2} | columns  # fmt: skip
    iris, first, second, study, wine = read_sweep(grid).data.values()
    assert (first.target, first.drop, first.group) == ("y", ("id",), "g")
    assert (first.groups, first.weight, first.test) == ("c", "w", "t.csv")
    assert (second.target, second.drop) == ("z", ("id",))
    for built_in in (iris, study, wine):
        assert built_in.target is built_in.group is built_in.groups is built_in.weight is None
        assert (built_in.test, built_in.validation) == (0.2, 0.2)
    assert (iris.drop, wine.drop) == ((), ("ash",))
    # With no file among the data they can only be meant for those.
    assert read_sweep({"data": "sklearn:iris", "drop": ["a"]}).data["sklearn:iris"].drop == ("a",)


IRIS = 'data = "sklearn:iris"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "study.toml: data must be given: one source or a list; got nothing. Add data = "
         '"sklearn:iris".'),
        ("data = []", "study.toml: data must be one or more; got none. Add one, or leave the key "
         "out."),
        ("data = 3", "study.toml: data must be text in quotes; got 3 of type int. Correct the "
         "value."),
        (IRIS + "learning-rat = [0.1]", "study.toml: key must be an option of xent compare; got "
         "'learning-rat'. Did you mean 'learning-rate'?"),
        (IRIS + "Epochs = 3", "study.toml: key must be an option of xent compare; got 'Epochs'. "
         "Did you mean 'epochs'?"),
        (IRIS + "lr = 0.1\nlearning-rate = 0.2", "study.toml: learning-rate must be given once; "
         "got two spellings of it. Keep one."),
        (IRIS + 'seeds = "ten"', "study.toml: seeds must be a whole number; got 'ten' of type str. "
         "Correct the value."),
        (IRIS + "seeds = true", "study.toml: seeds must be a whole number; got True of type bool. "
         "Correct the value."),
        (IRIS + "stratify = 1", "study.toml: stratify must be true or false; got 1 of type int. "
         "Correct the value."),
        (IRIS + "widths = 64", "study.toml: widths must be a list of whole numbers; got 64 of type "
         "int. Correct the value."),
        (IRIS + "margin = nan", "study.toml: margin must be a finite number; got nan of type "
         "float. Correct the value."),
        (IRIS + "formulations = [1]", "study.toml: formulations must be a list of names, or one "
         "text with commas; got [1] of type list. Correct the value."),
        (IRIS + 'learning-rate = ["a"]', "study.toml: learning-rate must be a finite number; got "
         "'a' of type str. Correct the value."),
        (IRIS + "learning-rate = [0.1, 0.1]", "study.toml: learning-rate must be different "
         "numbers; got [0.1, 0.1]. Name each once."),
        (IRIS + "jobs = 0", "study.toml: jobs must be at least 1; got 0. Leave it out."),
        ('data = ["sklearn:iris", "sklearn:iris"]', "study.toml: data must be entries of different "
         "names; got 'sklearn:iris' twice. Give one of them another name with name = \"...\"."),
        ('model = ["mlp", "mlp"]\nwidths = [3]\n' + IRIS, "study.toml: model must be entries of "
         "different names; got 'mlp 3' twice. Give one of them another name with name = \"...\"."),
        ('[[data]]\ntarget = "y"', "study.toml: data: source must be given; got nothing. Add "
         'source = "...".'),
        ('[[data]]\nsource = "sklearn:iris"\nepochs = 3', "study.toml: key must be an option of "
         "xent compare; got 'epochs'. The keys are classes, drop, group, groups, name, positive, "
         "source, split-seed, standardize, stratify, target, test, validation, weight."),
        (IRIS + "widths = [3]", "study.toml: widths must be given with a model that has it; got "
         "models linear. Leave it out."),
        (IRIS + "validation = 0\nlr = [0.1, 1.0]", "study.toml: learning-rate must be one number "
         "for data without validation rows, on which the best is chosen; got [0.1, 1.0] for "
         "'sklearn:iris'. Give validation = 0.1, or one learning rate."),
        ('data = "bce-versus-ce"\nlr = [0.1, 1.0]', "study.toml: learning-rate must be one number "
         "for data without validation rows, on which the best is chosen; got [0.1, 1.0] for "
         "'bce-versus-ce'. Give validation = 0.1, or one learning rate."),
        (IRIS + "converge = true\nlr = [0.1, 1.0]", "study.toml: learning-rate must be one number "
         "with converge, which takes no steps of it; got [0.1, 1.0]. Leave one of them out."),
    ],
)  # fmt: skip
def test_refused(tmp_path, text, message):
    path = tmp_path / "study.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_sweep(path)
    assert str(caught.value) == message


def test_what_is_no_toml(tmp_path):
    path = tmp_path / "study.toml"
    for content in (b"data = ", b"\xff\xfe", b"data: iris"):
        path.write_bytes(content)
        with pytest.raises(InputError) as caught:
            read_sweep(path)
        message = str(caught.value)
        assert message.startswith("compare: DATA must be a TOML file that can be read; got study")
        assert message.endswith("). Correct that place.")
        assert "\n" not in message
    with pytest.raises(InputError, match=r"'[^']*no\.toml' \(No such file or directory\)\. Check"):
        read_sweep(tmp_path / "no.toml")


def test_messages_of_a_mapping_name_the_sweep():
    with pytest.raises(InputError, match=r"^sweep: data must be given"):
        read_sweep({})
