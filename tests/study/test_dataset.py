"""Loading as a whole: options, parts, notes and warnings, and what each wrong option is told."""

import hashlib
from dataclasses import replace

import numpy as np
import pandas
import pytest
from scipy.special import expit

from xent._errors import InputError
from xent.study._data._dataset import DataSpec, Truth, _fingerprint, load_dataset


@pytest.fixture
def frame():
    random = np.random.default_rng(0)
    rows = 200
    sick = random.random(rows) < 0.4
    return pandas.DataFrame(
        {
            "age": random.normal(50, 10, rows).round(1),
            "colour": random.choice(["red", "green", "blue"], rows),
            "clinic": random.integers(0, 20, rows),
            "importance": random.random(rows),
            "sick": np.where(sick, "yes", "no"),
        }
    )


@pytest.fixture
def save(tmp_path):
    def write(frame, name="data.csv"):
        frame.to_csv(tmp_path / name, index=False)
        return str(tmp_path / name)

    return write


def relative(weight):
    """Weights that sum to the effective number of rows of Kish, from its formula."""
    weight = np.asarray(weight, dtype=float)
    return weight / weight.sum() * (weight.sum() ** 2 / (weight**2).sum())


def test_table(frame, save):
    frame.loc[3, "age"] = np.nan
    source = save(frame)
    data = load_dataset(DataSpec(source, target="sick", weight="importance", drop=("clinic",)))
    assert data.name == "data.csv"
    assert data.class_names == ("no", "yes")
    assert data.feature_names[0] == "age"
    assert data.truth is None
    assert data.warnings == ()
    assert [part.target.size for part in data.parts.values()] == [140, 20, 40]
    np.testing.assert_array_equal(
        np.sort(np.concatenate([part.row_ids for part in data.parts.values()])), np.arange(200)
    )
    for part in data.parts.values():
        assert part.features.flags.c_contiguous
        original = part.features[:, 0] * data.scale[0] + data.center[0]
        expected = frame["age"].fillna(frame["age"][data.train.row_ids].median())
        np.testing.assert_allclose(original, expected[part.row_ids], rtol=1e-12)
        np.testing.assert_array_equal(part.target, frame["sick"][part.row_ids] == "yes")
        np.testing.assert_allclose(part.weight, relative(frame["importance"][part.row_ids]))
        assert abs(part.target.mean() - (frame["sick"] == "yes").mean()) < 0.03
    np.testing.assert_allclose(data.train.features[:, 0].mean(), 0, atol=1e-12)
    np.testing.assert_allclose(data.train.features[:, 0].std(), 1)


def test_formats_agree(frame, save, tmp_path):
    frame.to_parquet(tmp_path / "data.parquet")
    csv = load_dataset(DataSpec(save(frame), target="sick"))
    parquet = load_dataset(DataSpec(str(tmp_path / "data.parquet"), target="sick"))
    assert csv.feature_names == parquet.feature_names
    np.testing.assert_array_equal(csv.train.features, parquet.train.features)


def test_npz_uses_its_weight_and_group(tmp_path):
    group = np.repeat(np.arange(20), 5)
    X = np.random.default_rng(0).normal(size=(100, 2))
    path = tmp_path / "data.npz"
    np.savez(path, X=X, y=np.arange(100) % 2, weight=np.arange(100) + 1.0, group=group)
    data = load_dataset(DataSpec(str(path), standardize=False))
    assert data.feature_names == ("x1", "x2")
    np.testing.assert_array_equal(data.train.features, X[data.train.row_ids])
    np.testing.assert_allclose(data.train.weight, relative(data.train.row_ids + 1.0))
    assert not set(group[data.train.row_ids]) & set(group[data.test.row_ids])
    assert data.notes == (
        "sample weights are the array 'weight'",
        "rows of one value in the array 'group' stay in one part",
    )


# The last factors would overflow or vanish if squared as they are.
@pytest.mark.parametrize("factor", [1e-8, 1e6, 1e-290, 1e290])
def test_unit_of_weights_does_not_matter(frame, save, factor):
    spec = DataSpec(save(frame), target="sick", weight="importance")
    frame["importance"] *= factor
    scaled = replace(spec, source=save(frame, "scaled.csv"))
    for part, other in zip(
        load_dataset(spec).parts.values(), load_dataset(scaled).parts.values(), strict=True
    ):
        np.testing.assert_allclose(part.weight, other.weight, rtol=1e-12)
        np.testing.assert_array_equal(part.features, other.features)
        np.testing.assert_array_equal(part.row_ids, other.row_ids)
        effective = part.weight.sum() ** 2 / (part.weight**2).sum()
        assert part.weight.sum() == pytest.approx(effective, rel=1e-12)
        assert effective < part.weight.size


def test_equal_weights_are_1(frame, save):
    frame["importance"] = 0.3
    data = load_dataset(DataSpec(save(frame), target="sick", weight="importance"))
    for part in data.parts.values():
        np.testing.assert_array_equal(part.weight, np.ones(part.target.size))


def test_rows_that_classes_leave_out_may_lack_weight_and_group(frame, save):
    frame["sick"] = np.where(np.arange(200) < 3, "unknown", frame["sick"])
    frame["clinic"] = frame["clinic"].astype(float)
    frame.loc[0, "clinic"] = np.nan
    frame.loc[:2, "importance"] = [np.nan, -1.0, np.inf]
    options = {"target": "sick", "weight": "importance", "group": "clinic"}
    data = load_dataset(DataSpec(save(frame), classes=("no", "yes"), **options))
    assert sum(part.target.size for part in data.parts.values()) == 197
    frame.loc[5, "importance"] = -2.0
    assert "which is -2 or the like in 1 row (5; counted from 0)" in refusal(
        save(frame), classes=("no", "yes"), **options
    )


def test_groups_stay_in_one_part(frame, save):
    data = load_dataset(DataSpec(save(frame), target="sick", group="clinic"))
    clinics = [set(frame["clinic"][part.row_ids]) for part in data.parts.values()]
    assert sum(map(len, clinics)) == frame["clinic"].nunique()
    assert "clinic" not in data.feature_names


def test_test_file(frame, save):
    rest, held_out = frame[:150], frame[150:].copy()
    held_out.iloc[0, held_out.columns.get_loc("colour")] = "mauve"
    spec = DataSpec(save(rest), target="sick", test=save(held_out, "held_out.csv"))
    data = load_dataset(spec)
    assert [part.target.size for part in data.parts.values()] == [135, 15, 50]
    np.testing.assert_array_equal(data.test.row_ids, np.arange(50))
    np.testing.assert_array_equal(data.test.target, held_out["sick"] == "yes")
    original = data.test.features[:, 0] * data.scale[0] + data.center[0]
    np.testing.assert_allclose(original, held_out["age"], rtol=1e-12)
    assert any(
        note.startswith("colour: 1 test row has a category that no training row has")
        for note in data.notes
    )


def test_test_file_of_other_groups(frame, save):
    held_out = frame[frame["clinic"] >= 15]
    rest = frame[frame["clinic"] < 15]
    test = save(held_out, "held_out.csv")
    data = load_dataset(DataSpec(save(rest), target="sick", test=test, group="clinic"))
    assert data.test.target.size == len(held_out)
    clinics = [set(rest["clinic"].iloc[part.row_ids]) for part in (data.train, data.validation)]
    assert not clinics[0] & clinics[1]


def test_test_file_of_known_rows_is_counted(frame, save):
    # 26 of 50 test rows are training or validation rows; 25 would not be more than half.
    for first, repeated in ((124, 26), (125, 0)):
        test = save(frame[first : first + 50], "held_out.csv")
        data = load_dataset(DataSpec(save(frame[:150]), target="sick", test=test))
        assert data.repeated == repeated


def test_test_file_of_chosen_classes(tmp_path, save):
    frame = pandas.DataFrame({"x": np.arange(90.0) % 7, "y": np.tile(["a", "b", "c"], 30)})
    spec = DataSpec(save(frame), target="y", test=save(frame, "test.csv"), classes=("a", "c"))
    data = load_dataset(spec)
    assert data.class_names == ("a", "c")
    np.testing.assert_array_equal(data.test.row_ids, np.flatnonzero(frame["y"] != "b"))


def test_two_classes_of_iris():
    data = load_dataset(
        DataSpec("sklearn:iris", classes=("versicolor", "virginica"), positive="versicolor")
    )
    assert data.class_names == ("virginica", "versicolor")
    assert data.notes == ("kept 100 of 150 rows: those of classes 'versicolor', 'virginica'",)
    assert data.warnings == ()
    assert (data.train.row_ids >= 50).all()
    np.testing.assert_array_equal(data.test.target, data.test.row_ids < 100)


@pytest.mark.parametrize("name", ["breast_cancer", "digits", "iris", "wine"])
def test_sets_of_scikit_learn(name):
    data = load_dataset(DataSpec(f"sklearn:{name}"))
    assert data.warnings == ()
    assert np.isfinite(data.test.features).all()


def test_giveaway_is_a_warning(frame, save):
    frame["outcome code"] = np.where(frame["sick"] == "yes", 7, 3)
    (warning,) = load_dataset(DataSpec(save(frame), target="sick")).warnings
    assert warning.feature == "outcome code"


def test_small_class_is_noted(save):
    labels = np.array(["a", "b"] * 50 + ["rare"])
    frame = pandas.DataFrame({"x": np.arange(101.0) % 13, "y": labels})
    data = load_dataset(DataSpec(save(frame), target="y"))
    assert (data.train.target == 2).sum() == 1
    assert data.notes == (
        "the validation part has no row of 'rare'",
        "the test part has no row of 'rare'",
    )


def test_no_validation_part():
    data = load_dataset(DataSpec("sklearn:iris", validation=0.0, test=0.5))
    assert data.validation is None
    assert list(data.parts) == ["train", "test"]


def test_study():
    data = load_dataset(DataSpec("bce-versus-ce"))
    random = np.random.default_rng(seed=0)
    w = random.normal(size=(4, 1))
    b = random.normal(size=1)
    X = random.normal(size=(100000, 4))
    y_logit = b + X @ w + random.normal(scale=0.0, size=(100000, 1))
    y = random.binomial(n=1, p=expit(y_logit)).flatten()
    assert data.validation is None
    np.testing.assert_array_equal(data.train.features, X[:50000])
    np.testing.assert_array_equal(data.test.features, X[50000:])
    np.testing.assert_array_equal(data.train.target, y[:50000])
    np.testing.assert_array_equal(data.test.target, y[50000:])
    np.testing.assert_array_equal(data.test.row_ids, np.arange(50000, 100000))
    np.testing.assert_array_equal(data.scale, np.ones(4))
    # The log loss of the true model on the test half, as the study's own figures give it.
    log_p = data.truth.log_probabilities["test"]
    assert -log_p[np.arange(50000), data.test.target].mean() == pytest.approx(0.617859, abs=1e-6)
    assert data.truth.entropies("test").mean() == pytest.approx(0.6178, abs=2e-3)


def test_synthetic_truth_is_in_original_units():
    data = load_dataset(DataSpec("synthetic:n=300,features=3,classes=3,seed=2"))
    original = data.test.features * data.scale + data.center
    log_odds = original @ data.truth.coefficients[:, :-1].T + data.truth.coefficients[:, -1]
    log_p = data.truth.log_probabilities["test"]
    np.testing.assert_allclose(log_p[:, 1:] - log_p[:, :1], log_odds, atol=1e-12)
    assert list(data.truth.log_probabilities) == ["train", "validation", "test"]
    assert data.notes == ()


def test_synthetic_noise_is_noted():
    data = load_dataset(DataSpec("synthetic:noise=0.5", validation=0.0))
    assert data.notes == (
        "noise 0.5 on the log-odds: the true probabilities are those the labels were drawn from, "
        "noise included, which no model of the features can reach",
    )
    assert list(data.truth.log_probabilities) == ["train", "test"]


def test_entropy_of_a_certain_row_is_zero():
    truth = Truth(np.zeros((1, 1)), {"test": np.array([[0.0, -np.inf], np.log([0.5, 0.5])])})
    np.testing.assert_allclose(truth.entropies("test"), [0.0, np.log(2)])


# Each change must change the fingerprint; the same data read again must not.
@pytest.mark.parametrize(
    "other",
    [
        DataSpec("sklearn:iris", split_seed=1),
        DataSpec("sklearn:iris", standardize=False),
        DataSpec("sklearn:iris", validation=0.2),
        DataSpec("sklearn:iris", drop=("petal width (cm)",)),
        DataSpec("sklearn:wine"),
    ],
)
def test_fingerprint(other):
    first = load_dataset(DataSpec("sklearn:iris")).fingerprint
    assert len(first) == hashlib.sha256().digest_size * 2
    assert first == load_dataset(DataSpec("sklearn:iris")).fingerprint
    assert first != load_dataset(other).fingerprint


@pytest.mark.parametrize("field", ["features", "target", "weight", "row_ids"])
def test_fingerprint_covers_every_array(field):
    data = load_dataset(DataSpec("sklearn:iris"))
    weighted = replace(data, test=replace(data.test, weight=np.ones(30)))
    changed = getattr(weighted.test, field).copy()
    changed[3] += 1
    other = replace(weighted, test=replace(weighted.test, **{field: changed}))
    assert _fingerprint(other) != _fingerprint(weighted) != _fingerprint(data)


@pytest.mark.parametrize("source", ["synthetic:n=500,seed=1", "sklearn:breast_cancer"])
def test_plain_and_stratified_splits(source):
    def imbalance(stratify):
        data = load_dataset(DataSpec(source, stratify=stratify))
        return abs(data.train.target.mean() - data.test.target.mean())

    assert imbalance(stratify=True) < 0.01 < imbalance(stratify=False)


def refusal(*arguments, **options):
    with pytest.raises(InputError) as caught:
        load_dataset(DataSpec(*arguments, **options))
    message = str(caught.value)
    assert "\n" not in message
    return message


COLUMNS = "'age', 'colour', 'clinic', 'importance', 'sick'"


def test_no_target(frame, save):
    assert refusal(save(frame)) == (
        "compare: --target must be given for data.csv: the column of classes; got none. The "
        f"columns are {COLUMNS}."
    )


def test_misspelt_target(frame, save):
    assert refusal(save(frame), target="Sikc") == (
        "compare: --target must be a column of data.csv; got 'Sikc'. Did you mean 'sick'? The "
        f"columns are {COLUMNS}."
    )


@pytest.mark.parametrize("option", ["weight", "group"])
def test_unknown_and_repeated_columns(frame, save, option):
    source = save(frame)
    assert refusal(source, target="sick", **{option: "nothing"}).startswith(
        f"compare: --{option} must be a column of data.csv; got 'nothing'. "
    )
    assert refusal(source, target="sick", **{option: "sick"}) == (
        f"compare: --{option} must be another column than the target; got 'sick'. Name another "
        "column, or leave the option out."
    )


def test_no_features_left(frame, save):
    drop = ("age", "colour", "clinic")
    assert refusal(save(frame), target="sick", weight="importance", drop=drop) == (
        "compare: DATA must be a table with at least one feature besides the target, weight and "
        f"group; got data.csv with the columns {COLUMNS}. Give feature columns, or drop fewer."
    )


@pytest.mark.parametrize(("value", "shown"), [(-1.0, "-1"), (np.inf, "inf"), (np.nan, "nan")])
def test_bad_weight(frame, save, value, shown):
    frame.loc[[7, 9], "importance"] = value
    assert refusal(save(frame), target="sick", weight="importance") == (
        "compare: --weight must be a column of finite numbers of at least 0; got 'importance', "
        f"which is {shown} or the like in 2 rows (7, 9; counted from 0). Correct or delete those "
        "rows."
    )


def test_bad_weights_of_all_parts_are_counted(frame, save):
    frame["importance"] = -1.0
    assert "in 200 rows (0, 1, 2, ...; counted from 0)" in refusal(
        save(frame), target="sick", weight="importance"
    )


def test_weight_of_text(frame, save):
    assert refusal(save(frame), target="sick", weight="colour") == (
        "compare: --weight must be a column of finite numbers of at least 0; got 'colour', which "
        "does not hold numbers. Name a numeric column."
    )


def test_weight_of_zeros(frame, save):
    frame["importance"] = 0.0
    assert refusal(save(frame), target="sick", weight="importance") == (
        "compare: --weight must be above 0 on some row of every part; got 'importance' with only "
        "zeros in the training part. Name another column."
    )


def test_class_of_weight_zero(frame, save):
    frame.loc[frame["sick"] == "yes", "importance"] = 0.0
    assert refusal(save(frame), target="sick", weight="importance") == (
        "compare: the training part must be rows of every class with a weight above 0; got only "
        "weights of 0 for 'yes'. Correct the weights, or leave those classes out."
    )


def test_group_with_gaps(frame, save):
    frame["clinic"] = frame["clinic"].astype(float)
    frame.loc[0, "clinic"] = np.nan
    assert refusal(save(frame), target="sick", group="clinic") == (
        "compare: --group must be a column without missing values; got 'clinic' missing in 1 row "
        "(0; counted from 0). Give those rows a group of their own."
    )


def test_too_few_groups(frame, save):
    frame["clinic"] = frame["clinic"] % 2
    assert "at least 3 groups, one for each part; got 2." in refusal(
        save(frame), target="sick", group="clinic"
    )


def test_class_missing_from_the_training_part(save):
    y = np.array(["a"] * 97 + ["b"] * 3)
    frame = pandas.DataFrame({"x": np.arange(100.0), "y": y})
    spec = DataSpec(save(frame), target="y", stratify=False, test=0.9, validation=0.0)
    messages = set()
    for seed in range(30):
        try:
            load_dataset(replace(spec, split_seed=seed))
        except InputError as error:
            messages.add(str(error))
    assert messages == {
        "compare: the training part must be rows of every class; got none of 'b'. Try another "
        "--split-seed, stratify, use finer groups, or leave those classes out."
    }


def test_test_file_without_columns(frame, save):
    other = save(frame.drop(columns=["age", "sick"]), "other.csv")
    assert refusal(save(frame), target="sick", test=other) == (
        "compare: --test must be a file with the columns of the training data; got other.csv "
        "without 'age', 'sick'. Add those columns to it."
    )


def test_test_file_without_groups(frame, save):
    other = save(frame.drop(columns="clinic"), "other.csv")
    assert refusal(save(frame), target="sick", test=other, group="clinic") == (
        "compare: --test must be a file with the columns of the training data; got other.csv "
        "without 'clinic'. Add those columns to it."
    )


def test_test_file_of_the_same_groups(frame, save):
    # Written as 3.0 in one file and as 3 in the other.
    other = frame[frame["clinic"] == 3].astype({"clinic": float})
    other = save(pandas.concat([other, other.assign(clinic=99.0)]), "other.csv")
    assert refusal(save(frame), target="sick", test=other, group="clinic") == (
        "compare: --test must be a file that shares no group of 'clinic' with the training data; "
        "got other.csv with '3', in both. Leave the rows of those groups out of one file, or "
        "split one file with --test 0.2."
    )


def test_test_file_with_missing_groups(frame, save):
    other = frame.astype({"clinic": float})
    other.loc[4, "clinic"] = np.nan
    message = refusal(save(frame), target="sick", test=save(other, "other.csv"), group="clinic")
    assert message.startswith(
        "compare: --test must be a column without missing values; got 'clinic' missing in 1 row (4;"
    )


def test_test_file_that_is_missing(frame, save):
    assert refusal(save(frame), target="sick", test="none.csv").startswith(
        "compare: --test must be an existing file"
    )


def test_test_file_with_other_classes(frame, save):
    other = save(frame.replace({"sick": {"no": "never"}}), "other.csv")
    assert "got 'never' in 'sick'" in refusal(save(frame), target="sick", test=other)


def test_test_file_without_chosen_classes(save):
    frame = pandas.DataFrame({"x": np.arange(90.0) % 7, "y": np.tile(["a", "b", "c"], 30)})
    other = save(frame[frame["y"] == "c"], "other.csv")
    assert refusal(save(frame), target="y", test=other, classes=("a", "b")) == (
        "compare: --test must be a file with rows of the classes 'a', 'b'; got other.csv without "
        "any. Give another test file."
    )


def test_test_fraction_of_zero():
    assert refusal("sklearn:iris", test=0.0) == (
        "compare: --test must be a fraction above 0 and below 1, or a file; got 0. Give --test 0.2."
    )


def test_too_few_rows(save):
    frame = pandas.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "y": ["a", "b", "a", "b"]})
    assert refusal(save(frame), target="y", validation=0.01) == (
        "compare: the validation part must be at least one row; got none: a fraction of 0.01 of 4 "
        "rows. Give more rows, or other fractions with --test and --validation."
    )


@pytest.mark.parametrize("source", ["synthetic", "bce-versus-ce"])
def test_synthetic_data_have_no_columns(source):
    assert refusal(source, target="y") == (
        "compare: --target must be left out for synthetic data; got 'y'. Synthetic data have no "
        "columns or classes to name."
    )
    assert "compare: --drop must be left out" in refusal(source, drop=("x1", "x2"))


def test_synthetic_test_file():
    assert refusal("synthetic", test="other.csv") == (
        "compare: --test must be a fraction for synthetic data; got 'other.csv'. Give --test 0.2."
    )


def test_synthetic_without_a_class():
    assert refusal("synthetic:n=3,classes=9") == (
        "compare: 'synthetic:n=3,classes=9' must be rows enough that every class is drawn; got no "
        "row of class 0 among 3 rows. Give a larger n, fewer classes or another seed."
    )
