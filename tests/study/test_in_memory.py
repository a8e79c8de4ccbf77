"""``xent.compare`` on data in memory, and its arguments from Python."""

from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from sklearn.datasets import load_iris

import xent
from xent._errors import InputError
from xent.study import BUILT_IN, load_dataset
from xent.study._data._sources import table_of

OPTIONS = {"seeds": 2, "epochs": 5}


@pytest.fixture(scope="module")
def frame():
    random = np.random.default_rng(1)
    rows = 200
    frame = pandas.DataFrame(
        {
            "age": random.normal(50, 10, rows).round(1),
            "ward": random.choice(["north", "south"], rows),
            "nights": random.integers(1, 5, rows),
            "outcome": random.choice(["sick", "healthy"], rows),
        }
    )
    frame.loc[::9, "age"] = np.nan
    return frame


def losses(comparison):
    return [result.mean("log_loss") for result in comparison.formulations]


def test_a_frame_is_like_its_file(frame, tmp_path):
    frame.to_csv(tmp_path / "clinic.csv", index=False)
    from_file = xent.compare(tmp_path / "clinic.csv", "outcome", weight="nights", **OPTIONS)
    from_frame = xent.compare(frame, "outcome", weight="nights", **OPTIONS)
    assert losses(from_frame) == losses(from_file)
    assert from_frame.dataset.notes == from_file.dataset.notes
    assert from_frame.dataset.name == "DataFrame"
    assert from_frame.dataset.spec.source == "DataFrame"
    assert len(from_frame.dataset.fingerprint) == 64
    from_frame.to_dict()


def test_a_frame_is_left_alone(frame):
    before = frame.copy(deep=True)
    xent.compare(frame.iloc[::-1], "outcome", **OPTIONS)
    pandas.testing.assert_frame_equal(frame, before)


def test_fingerprints_follow_the_values(frame):
    keys = [xent.compare(frame, "outcome", **OPTIONS).trials["key"][0]]
    changed = frame.assign(age=frame["age"] + (frame.index == 20))
    keys.append(xent.compare(changed, "outcome", **OPTIONS).trials["key"][0])
    assert keys[0] != keys[1]
    assert keys[0] == xent.compare(frame.copy(), "outcome", **OPTIONS).trials["key"][0]


# Each as a user may hold it: arrays, lists, tensors, frames and series, one column of classes.
@pytest.mark.parametrize(
    ("features", "target"),
    [
        (np.asarray, np.asarray),
        (np.ndarray.tolist, np.ndarray.tolist),
        (torch.tensor, torch.tensor),
        (lambda x: x.astype(object), lambda y: y.astype(object)),
        (lambda x: x.astype(np.float32), lambda y: y[:, None]),
        (np.asfortranarray, pandas.Series),
    ],
)
def test_a_pair(features, target):
    x, y = load_iris(return_X_y=True)
    comparison = xent.compare((features(x), target(y)), **OPTIONS)
    dataset = comparison.dataset
    assert dataset.feature_names == ("x1", "x2", "x3", "x4")
    assert dataset.class_names == ("0", "1", "2")
    assert dataset.name == "(X, y)"
    original = dataset.test.features * dataset.scale + dataset.center
    np.testing.assert_allclose(original, x[dataset.test.row_ids], rtol=1e-6)
    np.testing.assert_array_equal(dataset.test.target, y[dataset.test.row_ids])


def test_a_frame_and_labels(frame):
    features = frame[["age", "ward"]].rename(columns={"ward": "y"})
    comparison = xent.compare((features, frame["outcome"]), **OPTIONS)
    assert comparison.dataset.feature_names == ("age", "age is missing", "y=south")
    assert comparison.dataset.class_names == ("healthy", "sick")


X = np.zeros((6, 2))
PAIR = "compare: data must be (X, y) with X of shape (rows, features) and y of shape (rows,); got "
FIT = " Give one row of X for each entry of y."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X, np.zeros(5)), f"{PAIR}X of shape (6, 2) and y of shape (5,).{FIT}"),
        ((X[0], np.zeros(2)), f"{PAIR}X of shape (2,) and y of shape (2,).{FIT}"),
        ((X[None], np.zeros(1)), f"{PAIR}ValueError: Must pass 2-d input. shape=(1, 6, 2).{FIT}"),
        ((X, np.zeros((6, 2))), f"{PAIR}ValueError: Data must be 1-dimensional, got ndarray of "
         f"shape (6, 2) instead.{FIT}"),
        ((np.zeros((0, 2)), np.zeros(0)), "compare: data must be a table with rows; got (X, y) "
         "without any. Add rows."),
        (pandas.DataFrame(), "compare: data must be a table with rows; got DataFrame without any. "
         "Add rows."),
        (pandas.DataFrame([[1, 2]], columns=["a", "a"]), "compare: data must be a table whose "
         "columns have different names; got DataFrame with 'a' more than once. Rename the "
         "columns."),
        (X, "compare: data must be a file name, sklearn:NAME, synthetic:KEY=VALUE,..., a DataFrame "
         "or a pair (X, y); got ndarray. Give a DataFrame with target=, or (X, y)."),
        (None, "compare: data must be a file name, sklearn:NAME, synthetic:KEY=VALUE,..., a "
         "DataFrame or a pair (X, y); got NoneType. Give a DataFrame with target=, or (X, y)."),
    ],
)  # fmt: skip
def test_what_is_no_table(data, message):
    with pytest.raises(InputError) as caught:
        xent.compare(data)
    assert str(caught.value) == message


def test_faults_of_a_frame_are_told_as_those_of_a_file(frame):
    with pytest.raises(InputError) as caught:
        xent.compare(frame)
    assert str(caught.value) == (
        "compare: --target must be given for DataFrame: the column of classes; got none. The "
        "columns are 'age', 'ward', 'nights', 'outcome'."
    )
    with pytest.raises(InputError, match=r"Did you mean 'outcome'\?"):
        xent.compare(frame, "outcom")
    with pytest.raises(InputError, match="looks continuous"):
        xent.compare((X, np.arange(6) + 0.5))
    with pytest.raises(InputError, match="with only '0'"):
        xent.compare((X, [0] * 6))


def test_a_pair_has_its_own_target():
    with pytest.raises(InputError) as caught:
        xent.compare((X, [0, 1] * 3), "x1")
    assert str(caught.value) == (
        "compare: target must be left out for a pair (X, y); got 'x1'. Its target is y."
    )


def test_table_is_read_instead_of_the_source(frame):
    spec = xent.compare(frame, "outcome", **OPTIONS).dataset.spec
    assert load_dataset(spec, table_of(frame)).notes


def test_data_options(frame, tmp_path):
    rows = frame.sample(50, random_state=0)
    rows.assign(nights=rows["nights"] + 100).to_csv(tmp_path / "test.csv", index=False)
    comparison = xent.compare(
        frame, "outcome", test=tmp_path / "test.csv", validation=0.0, group="nights",
        positive="healthy", drop=["ward"], standardize=False, split_seed=3, stratify=False,
        **OPTIONS,
    )  # fmt: skip
    dataset = comparison.dataset
    assert dataset.class_names == ("sick", "healthy")
    assert dataset.validation is None
    assert len(dataset.test.target) == 50
    assert dataset.feature_names == ("age", "age is missing")
    assert (dataset.scale == 1).all()


def test_forms_of_the_other_arguments(tmp_path):
    data = "synthetic:n=200,features=2"
    named = xent.compare(data, formulations="bce, ce2", seeds=[4, np.int64(2)], epochs=2)
    assert [result.name for result in named.formulations] == ["bce", "ce2"]
    assert named.spec.seeds == (4, 2)
    assert [trial.seed for trial in named["bce"].trials] == [4, 2]
    named.to_dict()
    single = xent.compare(data, formulations=BUILT_IN["bce"], seeds=1, epochs=2)
    assert [result.name for result in single.formulations] == ["bce"]
    written = xent.compare(data, seeds=1, epochs=2, out=str(tmp_path / "run"))
    assert (Path(tmp_path) / "run" / "results.json").exists()
    assert repr(written).startswith("<Comparison of bce, ce1, ce2")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 0}, "compare: --seeds must be at least 1; got 0. Give --seeds 10."),
        ({"seeds": [0.5]}, "compare: seeds must be a list of whole numbers; got [0.5]. Try [0, 1, "
         "2]."),
        ({"widths": 64, "model": "mlp"}, "compare: widths must be a list of whole numbers; got 64. "
         "Try [0, 1, 2]."),
        ({"drop": "ward"}, "compare: drop must be a list of names; got 'ward'. Try ['ward']."),
    ],
)  # fmt: skip
def test_refused_arguments(options, message):
    with pytest.raises(InputError) as caught:
        xent.compare("synthetic:n=200,features=2", **options)
    assert str(caught.value) == message


def test_rows_to_test_on_are_a_fraction_or_a_file(frame):
    with pytest.raises(InputError) as caught:
        xent.compare(frame, "outcome", test=frame, **OPTIONS)
    assert str(caught.value) == (
        "compare: test must be a fraction of the rows, or the path of a file; got DataFrame. "
        "Write the rows to a file, or put them below the others and use group or a fraction."
    )
