"""Resampled splits: each has its own rows, features, seed and trials; halves change places."""

import json

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from xent._errors import InputError
from xent.study import DataSpec, StudySpec, compare, load_dataset, schema
from xent.study._data._parts import exchange_halves, split_rows
from xent.study._data._splits import load_splits, with_halves

DATA = "synthetic:n=300,features=3,seed=5"
CLASSES = ["class_0", "class_1"]


def splits_of(data, splits, seeds, **options):
    spec = StudySpec(DataSpec(data, **options), splits=splits, seeds=tuple(range(seeds)))
    return load_splits(with_halves(spec))


def test_splits_differ_and_follow_the_split_seed():
    splits = splits_of("sklearn:breast_cancer", 4, 4, split_seed=7)
    assert [split.spec.split_seed for split in splits] == [7, 8, 9, 10]
    assert len({tuple(split.test.row_ids) for split in splits}) == 4
    for seed, split in zip(range(7, 11), splits, strict=True):
        alone = load_dataset(DataSpec("sklearn:breast_cancer", split_seed=seed))
        assert split.fingerprint == alone.fingerprint
        # Features are fitted on the split's own training rows.
        np.testing.assert_allclose(split.train.features.mean(axis=0), 0.0, atol=1e-10)


def test_five_times_two_halves():
    splits = splits_of("sklearn:breast_cancer", "5x2", 10, split_seed=3)
    assert len(splits) == 10
    rows = set(range(569))
    for one, other in zip(splits[::2], splits[1::2], strict=True):
        assert one.spec.split_seed == other.spec.split_seed
        assert {*one.test.row_ids} | {*other.test.row_ids} == rows
        for first, second in ((one, other), (other, one)):
            tested = set(first.test.row_ids)
            assert {*second.train.row_ids} | {*second.validation.row_ids} == tested
            assert not tested & {*second.test.row_ids}
            assert len(second.validation.row_ids) == pytest.approx(57, abs=1)
            np.testing.assert_allclose(second.train.features.mean(axis=0), 0.0, atol=1e-10)
    assert len({tuple(split.test.row_ids) for split in splits}) == 10
    assert [split.spec.split_seed for split in splits[::2]] == [3, 4, 5, 6, 7]


@given(
    st.lists(st.integers(0, 2), min_size=40, max_size=120),
    st.integers(0, 1000),
    st.sampled_from([0.0, 0.1, 0.2]),
    st.booleans(),
)
def test_halves_change_places(strata, seed, validation, grouped):
    strata = np.unique(strata, return_inverse=True)[1]
    groups = np.arange(len(strata)) // 3 if grouped else None
    options = {"validation": validation, "seed": seed, "groups": groups}
    first = split_rows(strata, test=0.5, **options)
    second = exchange_halves(first, strata, **options)
    np.testing.assert_array_equal(np.union1d(first.train, first.validation), second.test)
    np.testing.assert_array_equal(np.union1d(second.train, second.validation), first.test)
    assert not np.intersect1d(second.train, second.validation).size
    assert (second.validation.size > 0) == (validation > 0)
    if grouped:
        parts = [{*groups[part]} for part in (second.train, second.validation, second.test)]
        assert not any(a & b for a, b in ((parts[0], parts[1]), (parts[0], parts[2])))


@pytest.fixture(scope="module")
def resampled():
    return compare("sklearn:wine", splits=3, epochs=5, split_seed=2, classes=CLASSES)


def test_trials_name_their_split(resampled):
    assert [split.spec.split_seed for split in resampled.splits] == [2, 3, 4]
    assert resampled.dataset is resampled.splits[0]
    for result in resampled.formulations:
        assert [(trial.split, trial.seed) for trial in result.trials] == [(0, 0), (1, 1), (2, 2)]
        for trial in result.trials:
            test = resampled.splits[trial.split].test
            losses = -trial.log_probabilities[np.arange(len(test.target)), test.target]
            assert trial.test.log_loss == pytest.approx(losses.mean(), rel=1e-12)


def test_a_split_is_the_study_of_its_split_seed_and_seed(resampled):
    for split in range(3):
        alone = compare(
            "sklearn:wine", seeds=[split], epochs=5, split_seed=2 + split, classes=CLASSES
        )
        for result in alone.formulations:
            trial = resampled[result.name].trials[split]
            assert trial.key == result.trials[0].key
            assert trial.test.log_loss == result.trials[0].test.log_loss
            same = result.trials[0].log_probabilities
            np.testing.assert_array_equal(trial.log_probabilities, same)
            assert trial.validation_log_loss == result.trials[0].validation_log_loss
        if split == 0:
            assert resampled["ce2"].parameters == alone["ce2"].parameters
            assert resampled.dataset.fingerprint == alone.dataset.fingerprint


def test_baselines_are_means_over_the_splits(resampled):
    alone = [
        compare("sklearn:wine", seeds=1, epochs=1, split_seed=seed, classes=CLASSES).baselines
        for seed in (2, 3, 4)
    ]
    mean = np.mean([baselines.prior_log_loss for baselines in alone])
    assert resampled.baselines.prior_log_loss == pytest.approx(mean, rel=1e-12)
    assert resampled.baselines.true_log_loss is None


def test_results(resampled):
    document = json.loads(json.dumps(resampled.to_dict()))
    Draft202012Validator(schema()).validate(document)
    assert document["spec"]["splits"] == 3
    assert document["trials"] == {"finished": 9, "planned": 9}
    assert [split["split_seed"] for split in document["data"]["splits"]] == [2, 3, 4]
    assert document["data"]["splits"][0]["fingerprint"] == document["data"]["fingerprint"]
    for result in document["formulations"].values():
        assert [trial["split"] for trial in result["trials"]] == [0, 1, 2]
        assert result["parameters_note"].startswith("of the first split")


def test_one_split_has_no_number():
    document = compare(DATA, seeds=2, epochs=1, formulations="bce").to_dict()
    assert [trial["split"] for trial in document["formulations"]["bce"]["trials"]] == [None, None]
    assert len(document["data"]["splits"]) == document["spec"]["splits"] == 1


def test_five_by_two_results():
    comparison = compare(DATA, splits="5x2", epochs=2, formulations="bce,ce2")
    Draft202012Validator(schema()).validate(json.loads(json.dumps(comparison.to_dict())))
    assert comparison.to_dict()["spec"]["data"]["test"] == 0.5
    assert [trial.seed for trial in comparison["bce"].trials] == list(range(10))
    assert {len(trial.log_probabilities) for trial in comparison["bce"].trials} == {150}


def test_processes_give_the_same_numbers():
    options = {"splits": 3, "epochs": 2, "formulations": "bce,ce2", "dtype": "float64"}
    alone, shared = compare(DATA, **options), compare(DATA, jobs=2, **options)
    for result in alone.formulations:
        for trial, same in zip(result.trials, shared[result.name].trials, strict=True):
            assert (trial.key, trial.split) == (same.key, same.split)
            assert trial.test.log_loss == pytest.approx(same.test.log_loss, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"splits": 0}, "compare: --splits must be a whole number of at least 1, or 5x2; got 0. "
                        "Give "
         "--splits 10."),
        ({"splits": "ten"}, "compare: --splits must be a whole number of at least 1, or 5x2; got "
                            "'ten'. "
         "Give --splits 10."),
        ({"splits": 5, "seeds": 10}, "compare: --seeds must be left out, or 5, with --splits 5: "
                                     "each split "
         "has one seed; got 10. Leave it out."),
        ({"splits": "5x2", "seeds": 5}, "compare: --seeds must be left out, or 10, with --splits "
                                        "5x2: each "
         "split has one seed; got 5. Leave it out."),
        ({"splits": 5, "test": "more.csv"}, "compare: --test must be a fraction with --splits, "
                                            "which draws "
         "the test rows anew; got 'more.csv'. Leave --splits out, or give all rows in one file."),
        ({"splits": "5x2", "test": 0.3}, "compare: --test must be left out with --splits 5x2, "
                                         "which tests "
         "on half of the rows; got 0.3. Leave it out."),
        ({"data": "bce-versus-ce", "splits": 5}, "compare: --splits must be left out with "
         "bce-versus-ce, whose halves train and test; got 5. Leave it out, or draw the data with "
         "synthetic:n=100000,features=4."),
        ({"splits": "5x2", "validation": 0.5}, "compare: --test and --validation must be together "
         "below 1; got 0.5 + 0.5. Leave some rows to train on."),
    ],
)  # fmt: skip
def test_refused(options, message):
    with pytest.raises(InputError) as caught:
        compare(**({"data": DATA} | options))
    assert str(caught.value) == message


# Clusters: rows that share an error.


@pytest.fixture
def clustered(tmp_path):
    random = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "x": random.normal(size=80),
            "y": random.integers(0, 2, 80),
            "person": [f"p{number}" for number in random.integers(0, 20, 80)],
            "site": random.integers(0, 8, 80),
        }
    )
    frame.to_csv(tmp_path / "data.csv", index=False)
    return tmp_path / "data.csv", frame


def test_clusters_of_the_test_rows(clustered):
    path, frame = clustered
    data = load_dataset(DataSpec(str(path), "y", groups="person"))
    assert data.feature_names == ("x", "site")
    for part in data.parts.values():
        persons = frame["person"].to_numpy()[part.row_ids]
        np.testing.assert_array_equal(
            part.groups[:, None] == part.groups, persons[:, None] == persons
        )
        assert set(part.groups) == set(range(len(set(persons))))


def test_rows_that_stay_together_are_clusters(clustered):
    path, _ = clustered
    together = load_dataset(DataSpec(str(path), "y", group="site"))
    both = load_dataset(DataSpec(str(path), "y", group="site", groups="person"))
    assert len(set(together.test.groups)) < len(set(both.test.groups))
    assert both.feature_names == ("x",)
    assert load_dataset(DataSpec(str(path), "y")).test.groups is None


def test_clusters_of_a_test_file(clustered, tmp_path):
    path, frame = clustered
    frame[:30].to_csv(tmp_path / "test.csv", index=False)
    frame[:30].drop(columns="person").to_csv(tmp_path / "without.csv", index=False)
    spec = DataSpec(str(path), "y", groups="person", test=str(tmp_path / "test.csv"))
    assert len(set(load_dataset(spec).test.groups)) == frame[:30]["person"].nunique()
    spec = DataSpec(str(path), "y", groups="person", test=str(tmp_path / "without.csv"))
    with pytest.raises(InputError, match=r"got without\.csv without 'person'\."):
        load_dataset(spec)


def test_clusters_that_are_refused(clustered):
    path, _ = clustered
    for options, message in (
        ({"groups": "persons"}, r"^compare: --groups must be "),
        ({"groups": "y"}, r"^compare: --groups must be another column than the target"),
    ):
        with pytest.raises(InputError, match=message):
            load_dataset(DataSpec(str(path), "y", **options))
    with pytest.raises(InputError, match=r"^compare: --groups must be left out for synthetic data"):
        load_dataset(DataSpec(DATA, groups="x"))
