"""Predictions that name what they are of: classes, rows, models and clusters are never guessed."""

import numpy as np
import pandas as pd
import pytest
import torch

from xent import InputError, compare_predictions
from xent.study._predictions._files import PredictionColumns, read_predictions

RANDOM = np.random.default_rng(5)
Z = 1.5 * RANDOM.normal(size=120)
P = 1 / (1 + np.exp(-Z))
Q = 1 / (1 + np.exp(-0.8 * Z))
Y = (RANDOM.random(120) < P).astype(np.int64)
PETS = np.array(["cat", "dog"])[Y]
SHUFFLED = RANDOM.permutation(120)


def refusal(*args, **options):
    with pytest.raises(InputError) as error:
        compare_predictions(*args, **options)
    return str(error.value)


@pytest.mark.parametrize(
    "column",
    [
        pd.DataFrame({"0": 1 - P}),
        pd.DataFrame({0: 1 - P}),
        pd.DataFrame({False: 1 - P}),
        pd.Series(1 - P, name="0"),
        pd.Series(1 - P, name=0.0),
    ],
)
def test_a_single_column_named_after_the_first_class(column):
    said = refusal(Y, {"p": P, "q": column}, "probs")
    assert said.startswith(
        "compare_predictions: predictions['q'] must be of the second class, '1', where it is a "
        "single column; got one named '"
    )
    assert said.endswith("Give both columns, or those of '1'; if it is of '1', give an array.")


def test_a_single_column_by_the_name_of_a_label():
    frame = pd.DataFrame({"cat": 1 - P})
    options = {"kind": "probs", "classes": ["cat", "dog"]}
    said = refusal(PETS, {"p": P, "q": frame}, **options)
    assert (
        "must be of the second class, 'dog', where it is a single column; got one named 'cat'"
        in said
    )
    for name in ("dog", "score", None, 0):
        named = pd.Series(P, name=name)
        assert (
            compare_predictions(PETS, {"p": P, "q": named}, **options).pairs[0].verdict
            == "identical"
        )


def files(folder, **columns):
    for name, (column, values) in columns.items():
        pd.DataFrame({"pet": PETS, column: values}).to_csv(folder / f"{name}.csv", index=False)
    return [str(folder / f"{name}.csv") for name in columns]


@pytest.mark.parametrize("column", ["p_cat", "cat", "P(x)=cat"])
def test_a_file_of_one_column_named_after_the_first_class(tmp_path, column):
    paths = files(tmp_path, a=("p_dog", P), b=(column, 1 - P))
    with pytest.raises(InputError) as error:
        read_predictions(paths, "probs", PredictionColumns(target="pet"))
    assert str(error.value) == (
        "compare: --predictions must be files whose single column is about the class 'dog', the "
        f"last; got b.csv with the column '{column}', named after 'cat'. Name the class that it "
        "is about with --positive, give both columns, or rename it."
    )


def test_positive_says_which_class_a_column_is_about(tmp_path):
    paths = files(tmp_path, a=("p_cat", 1 - P), b=("cat", 1 - Q))
    read = read_predictions(paths, "probs", PredictionColumns(target="pet", positive="cat"))
    assert read["a"].classes == ("dog", "cat")
    with pytest.raises(InputError, match=r"as --positive says; got a\.csv with the column 'p_cat'"):
        read_predictions(paths, "probs", PredictionColumns(target="pet", positive="dog"))


def test_ends_that_say_nothing_of_a_class(tmp_path):
    for number, column in enumerate(["score", "tomcat", "dog_cat_dog"]):
        paths = files(tmp_path, **{f"a{number}": (column, P), f"b{number}": ("p", Q)})
        read_predictions(paths, "probs", PredictionColumns(target="pet"))
    numbered = pd.DataFrame({"y": Y, "model_v10": P, "p0": P})
    for name, drop in (("one", "p0"), ("two", "model_v10")):
        numbered.drop(columns=drop).to_csv(tmp_path / f"{name}.csv", index=False)
    one, two = (str(tmp_path / f"{name}.csv") for name in ("one", "two"))
    with pytest.raises(InputError, match="named after '0'"):
        read_predictions([one, two], "probs", PredictionColumns(target="y"))
    read_predictions([one, two], "probs", PredictionColumns(target="y", positive="1"))


def test_the_longest_class_that_ends_a_column_counts(tmp_path):
    labels = np.array(["b", "not b"])[Y]
    for name in ("one", "two"):
        pd.DataFrame({"y": labels, "p_not b": P}).to_csv(tmp_path / f"{name}.csv", index=False)
    paths = [str(tmp_path / f"{name}.csv") for name in ("one", "two")]
    read = read_predictions(paths, "probs", PredictionColumns(target="y"))
    assert read["one"].classes == ("b", "not b")


def test_names_that_are_one_as_text_are_refused():
    said = refusal(Y, {1: P, "1": Q}, "probs")
    assert said == (
        "compare_predictions: predictions must be of different names; got '1' more than once. "
        "Give each a name of its own; 1 and '1' are one."
    )


def test_classes_that_are_one_are_refused():
    said = refusal(["a"] * 120, {"p": P, "q": Q}, "probs", classes=["a", "a"])
    assert said.startswith(
        "compare_predictions: classes must be of different names; got 'a' more than once."
    )


def test_kinds_by_names_that_are_no_text():
    found = compare_predictions(Y, {1: P, 2: Z}, {1: "probs", 2: "logits"})
    assert found.pairs[0].verdict == "identical"
    assert found.kinds == {"1": "probs", "2": "logits"}


LABELLED = {
    "predictions of each other": (Y, {"p": pd.Series(P), "q": pd.Series(Q)[::-1]}, {}),
    "weights and y": (pd.Series(Y), {"p": P, "q": Q}, {"weight": pd.Series(np.ones(120))[::-1]}),
    "groups and y": (pd.Series(Y), {"p": P, "q": Q}, {"groups": pd.Series(np.arange(120))[::-1]}),
    "groups and predictions": (
        Y,
        {"p": P, "q": pd.DataFrame({"1": Q, "0": 1 - Q})},
        {"groups": pd.Series(np.arange(120), index=SHUFFLED)},
    ),
}


@pytest.mark.parametrize("case", LABELLED)
def test_rows_of_other_labels_are_refused(case):
    y, predictions, options = LABELLED[case]
    said = refusal(y, predictions, "probs", **options)
    first = {
        "predictions of each other": "predictions['p']",
        "groups and predictions": "predictions['q']",
    }
    assert f"must be rows with the index of {first.get(case, 'y')}, in its order; got " in said
    assert said.startswith(
        "compare_predictions: " + ("predictions['q']" if not options else next(iter(options)))
    )


def test_rows_of_one_order_pass_with_arrays_among_them():
    labels = [f"row {i}" for i in SHUFFLED]
    found = compare_predictions(
        pd.Series(Y, index=labels),
        {"p": pd.Series(P, index=labels), "q": Q},
        "probs",
        groups=pd.Series(np.arange(120) // 2, index=labels),
        weight=np.ones(120).tolist(),
    )
    assert found.clusters == 60


MISSING = {
    "floats": np.r_[np.arange(119.0), np.nan],
    "text in a list": [*"abc" * 39, "a", "b", float("nan")],
    "None": [*range(119), None],
    "pandas text": pd.Series([*["a"] * 60, *["b"] * 59, pd.NA], dtype="string"),
    "dates": pd.Series([*pd.date_range("2020-01-01", periods=119), pd.NaT]),
    "a tensor": torch.tensor([*range(119), float("nan")]),
}


@pytest.mark.parametrize("case", MISSING)
def test_missing_groups_are_refused(case):
    said = refusal(Y, {"p": P, "q": Q}, "probs", groups=MISSING[case])
    assert said == (
        "compare_predictions: groups must be without missing values; got one in row 119. Name the "
        "group of each row; a row of its own is a group of its own."
    )


@pytest.mark.parametrize("option", ["q", "weight"])
def test_complex_numbers_are_refused(option):
    values = (P + 0.1j) if option == "q" else np.ones(120, dtype=complex)
    options = {"weight": values} if option == "weight" else {}
    said = refusal(Y, {"p": P, "q": values if option == "q" else Q}, "probs", **options)
    assert "must be real numbers; got dtype complex128." in said
