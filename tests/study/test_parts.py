"""Parts: every row once, each class in proportion, groups whole, and nothing but the seed."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from xent._errors import InputError
from xent.study._data._parts import check_fractions, count_repeated_rows, split_rows

FRACTIONS = st.sampled_from([(0.0, 0.2), (0.1, 0.2), (0.25, 0.5), (0.1, 0.0), (0.05, 0.9)])


def all_rows(parts):
    return np.concatenate([parts.train, parts.validation, parts.test])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    fractions=FRACTIONS,
    seed=st.integers(0, 5),
)
def test_each_row_is_in_one_part_and_each_class_in_proportion(sizes, fractions, seed):
    strata = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    validation, test = fractions
    assume(strata.size >= 40)
    parts = split_rows(strata, validation=validation, test=test, seed=seed)
    np.testing.assert_array_equal(np.sort(all_rows(parts)), np.arange(strata.size))
    shares = (1 - validation - test, validation, test)
    rows = (parts.train, parts.validation, parts.test)
    for share, selected in zip(shares, rows, strict=True):
        assert (np.diff(selected) > 0).all()
        counts = np.bincount(strata[selected], minlength=len(sizes))
        # One row by rounding, and one carried from the class before or given to training.
        assert (np.abs(counts - share * np.array(sizes)) <= 2 + 1e-9).all()
        if share == 0:
            assert selected.size == 0
    assert (np.bincount(strata[parts.train], minlength=len(sizes)) >= 1).all()


def test_exact_proportions():
    strata = np.repeat([0, 1, 2], [100, 50, 10])
    parts = split_rows(strata, validation=0.1, test=0.2, seed=0)
    np.testing.assert_array_equal(np.bincount(strata[parts.train]), [70, 35, 7])
    np.testing.assert_array_equal(np.bincount(strata[parts.validation]), [10, 5, 1])
    np.testing.assert_array_equal(np.bincount(strata[parts.test]), [20, 10, 2])


def test_many_small_classes_leave_no_part_short():
    # Rounding each class alone would give validation none of 3 * 0.1 rows, a hundred times.
    parts = split_rows(np.repeat(np.arange(100), 3), validation=0.1, test=0.2, seed=0)
    assert (parts.train.size, parts.validation.size, parts.test.size) == (210, 30, 60)


def test_a_class_of_one_row_trains():
    strata = np.append(np.zeros(99, dtype=int), 1)
    for seed in range(20):
        assert 99 in split_rows(strata, validation=0.1, test=0.8, seed=seed).train


def test_split_depends_on_the_seed_alone():
    strata = np.tile([0, 1], 50)
    np.random.seed(1)
    first = split_rows(strata, validation=0.1, test=0.2, seed=4)
    np.random.seed(2)
    again = split_rows(strata, validation=0.1, test=0.2, seed=4)
    other = split_rows(strata, validation=0.1, test=0.2, seed=5)
    np.testing.assert_array_equal(first.test, again.test)
    assert set(first.test) != set(other.test)


def test_every_row_is_equally_likely_to_test():
    strata = np.tile([0, 1], 10)
    times = np.zeros(20)
    for seed in range(2000):
        times[split_rows(strata, validation=0.1, test=0.2, seed=seed).test] += 1
    # Binomial(2000, 0.2): standard deviation 17.9.
    assert np.abs(times - 400).max() < 4.5 * 17.9


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=3, max_size=40),
    fractions=FRACTIONS,
    seed=st.integers(0, 5),
)
def test_groups_stay_whole(sizes, fractions, seed):
    random = np.random.default_rng(seed)
    groups = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    strata = np.unique(random.integers(0, 3, size=groups.size), return_inverse=True)[1]
    validation, test = fractions
    parts = split_rows(strata, validation=validation, test=test, seed=seed, groups=groups)
    np.testing.assert_array_equal(np.sort(all_rows(parts)), np.arange(groups.size))
    owners = [set(groups[rows]) for rows in (parts.train, parts.validation, parts.test)]
    assert sum(map(len, owners)) == len(sizes)
    assert all(
        bool(owner) == (share > 0) for owner, share in zip(owners[1:], fractions, strict=True)
    )
    assert owners[0]


def test_groups_of_one_class_are_in_proportion():
    groups = np.repeat(np.arange(100), 5)
    strata = (groups < 30).astype(int)
    parts = split_rows(strata, validation=0.1, test=0.2, seed=0, groups=groups)
    np.testing.assert_array_equal(np.bincount(strata[parts.train]), [245, 105])
    np.testing.assert_array_equal(np.bincount(strata[parts.validation]), [35, 15])
    np.testing.assert_array_equal(np.bincount(strata[parts.test]), [70, 30])


def test_a_class_of_one_group_trains():
    groups = np.append(np.arange(40) // 2, [20, 20])
    strata = np.append(np.zeros(40, dtype=int), [1, 1])
    parts = split_rows(strata, validation=0.1, test=0.8, seed=0, groups=groups)
    assert {40, 41} <= set(parts.train)


def test_too_few_groups():
    with pytest.raises(InputError) as caught:
        split_rows(
            np.zeros(9, dtype=int), validation=0.1, test=0.2, seed=0, groups=np.arange(9) % 2
        )
    assert str(caught.value) == (
        "compare: --group must be a column of at least 3 groups, one for each part; got 2. Name a "
        "finer column, or do without a validation part: --validation 0."
    )


def test_empty_part():
    with pytest.raises(InputError) as caught:
        split_rows(np.zeros(4, dtype=int), validation=0.1, test=0.25, seed=0)
    assert str(caught.value) == (
        "compare: the validation part must be at least one row; got none: a fraction of 0.1 of 4 "
        "rows. Give more rows, or other fractions with --test and --validation."
    )


REFUSED = {
    (-0.1, 0.2, 0): (
        "compare: --validation must be a fraction of at least 0 and below 1; got -0.1. Give "
        "--validation 0.1, or 0 for none."
    ),
    (float("nan"), 0.2, 0): (
        "compare: --validation must be a fraction of at least 0 and below 1; got nan. Give "
        "--validation 0.1, or 0 for none."
    ),
    (0.1, 1.0, 0): (
        "compare: --test must be a fraction above 0 and below 1, or a file; got 1. Give --test 0.2."
    ),
    (0.5, 0.5, 0): (
        "compare: --test and --validation must be together below 1; got 0.5 + 0.5. Leave some "
        "rows to train on."
    ),
    (0.1, 0.2, -1): "compare: --split-seed must be at least 0; got -1. Give --split-seed 0.",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_refused_fractions(arguments):
    with pytest.raises(InputError) as caught:
        check_fractions(*arguments)
    assert str(caught.value) == REFUSED[arguments]


def test_repeated_rows():
    known = [
        (np.array([[1.0, 2.0], [0.0, 4.0]]), np.array([0, 1])),
        (np.array([[5.0, 6.0]]), np.array([2])),
    ]
    rows = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [-0.0, 4.0], [5.0, 6.0], [2.0, 1.0]])
    # Alike twice, another class, minus 0, the second pair, numbers in another order.
    assert count_repeated_rows(known, (rows, np.array([0, 0, 1, 1, 2, 0]))) == 4
