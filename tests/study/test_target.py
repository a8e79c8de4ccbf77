"""Targets: the order of the classes, and one clear line for every column that is no target."""

import numpy as np
import pytest

from xent._errors import InputError
from xent.study._data._columns import (
    CategoricalColumn,
    NumericColumn,
    UnusableColumn,
    column_of_array,
)
from xent.study._data._target import encode_target, encode_test_target


def column(values):
    return column_of_array(np.asarray(values))


# One case for each kind of label; "10" before "9" is right for text and wrong for numbers.
@pytest.mark.parametrize(
    ("values", "names", "codes"),
    [
        (["9", "10", "9", "10"], ("10", "9"), [1, 0, 1, 0]),
        ([9, 10, 9, 10], ("9", "10"), [0, 1, 0, 1]),
        ([9.0, 10.0, 9.0, -1.0, -1.0], ("-1", "9", "10"), [1, 2, 1, 0, 0]),
        ([True, False, True, False], ("False", "True"), [1, 0, 1, 0]),
        (["b", "é", "B", "b", "é", "B"], ("B", "b", "é"), [1, 2, 0, 1, 2, 0]),
    ],
)
def test_order_of_classes(values, names, codes):
    target = encode_target(column(values), "y")
    assert target.class_names == names
    np.testing.assert_array_equal(target.codes, codes)
    np.testing.assert_array_equal(target.rows, np.arange(len(values)))
    assert target.codes.dtype == np.int64


def test_positive_class_becomes_class_1():
    target = encode_target(column(["no", "yes", "no"]), "y", positive="no")
    assert target.class_names == ("yes", "no")
    np.testing.assert_array_equal(target.codes, [1, 0, 1])


def test_only_some_classes():
    values = ["a", "b", "c", "a", "b", "c"]
    target = encode_target(column(values), "y", classes=("c", "a"), positive="a")
    assert target.class_names == ("c", "a")
    np.testing.assert_array_equal(target.rows, [0, 2, 3, 5])
    np.testing.assert_array_equal(target.codes, [1, 0, 1, 0])
    assert target.notes == ("kept 4 of 6 rows: those of classes 'a', 'c'",)


def test_test_file_follows_the_training_classes():
    target = encode_test_target(column(["b", "a", "b"]), "y", ("b", "z", "a"))
    np.testing.assert_array_equal(target.codes, [0, 2, 0])


def test_test_file_numbers_match_by_value():
    target = encode_test_target(column([2.0, 1.0]), "y", ("1", "2"))
    np.testing.assert_array_equal(target.codes, [1, 0])


def test_test_file_leaves_out_classes_that_were_not_chosen():
    target = encode_test_target(column(["b", "x", "a"]), "y", ("a", "b"), only_these=True)
    np.testing.assert_array_equal(target.rows, [0, 2])
    np.testing.assert_array_equal(target.codes, [1, 0])


def refusal(function, *arguments, **options):
    with pytest.raises(InputError) as caught:
        function(*arguments, **options)
    return str(caught.value)


def test_missing_values():
    codes = np.array([0, -1, 1, -1, 0, -1, -1])
    assert refusal(encode_target, CategoricalColumn(codes, ("a", "b")), "y") == (
        "compare: --target must be a column without missing values; got 'y' missing in 4 rows "
        "(1, 3, 5, ...; counted from 0). Fill those cells or delete those rows (an empty cell, "
        "NA, None and nan all read as missing)."
    )
    assert "missing in 1 row (1; counted from 0)" in refusal(
        encode_target, column([0.0, np.nan, 1.0]), "y"
    )


@pytest.mark.parametrize(("value", "shown"), [(0.5, "0.5"), (np.inf, "inf")])
def test_continuous(value, shown):
    assert refusal(encode_target, column([1.0, value, 1.0, value]), "price") == (
        "compare: --target must be a column of classes; got 'price', which looks continuous: it "
        f"holds numbers such as {shown}. Name a column of classes, or cut the numbers into "
        "classes first."
    )


def whole_numbers(distinct, rows):
    """A column in which each of ``distinct`` whole numbers stands on at least two rows."""
    return np.sort(np.arange(rows) % distinct) * 1000


# Either side of both limits: 50 numbers, and 20 rows each beyond 20 numbers.
@pytest.mark.parametrize(
    ("distinct", "rows", "refused"),
    [(20, 40, False), (21, 419, True), (21, 420, False), (50, 1000, False), (51, 5100, True)],
)
@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_many_whole_numbers_look_continuous(distinct, rows, refused, dtype):
    values = column(whole_numbers(distinct, rows).astype(dtype))
    if not refused:
        assert len(encode_target(values, "price").class_names) == distinct
        return
    assert refusal(encode_target, values, "price") == (
        "compare: --target must be a column of classes; got 'price', which looks continuous: it "
        f"holds {distinct} different whole numbers on {rows:,} rows. Cut the numbers into classes "
        "first, or, if each of them is a class, write them as text, such as 'class 0'."
    )


def test_rounded_measurements_look_continuous():
    values = np.round(60 * np.random.default_rng(0).normal(size=3000))
    assert "which looks continuous" in refusal(encode_target, column(values), "change")


def test_many_classes_of_text():
    values = column(whole_numbers(327, 3000).astype(str))
    assert len(encode_target(values, "code").class_names) == 327


def test_classes_named_among_many_numbers():
    values = column(whole_numbers(100, 1000))
    target = encode_target(values, "code", classes=("5000", "99000"))
    assert target.class_names == ("5000", "99000")


def test_one_class():
    assert refusal(encode_target, column(["a", "a"]), "y") == (
        "compare: --target must be a column with at least two classes; got 'y' with only 'a'. "
        "Name another column, or give data with both classes."
    )


def test_ids():
    assert refusal(encode_target, column([5, 6, 7, 8, 8]), "id") == (
        "compare: --target must be a column of classes that rows share; got 'id', where 3 of 5 "
        "rows have a value of their own. Name the column of classes rather than an id or free "
        "text."
    )


def test_half_of_the_rows_alone_is_allowed():
    assert len(encode_target(column([5, 6, 8, 8]), "y").class_names) == 3


def test_dates():
    assert refusal(encode_target, UnusableColumn("dates or times"), "day") == (
        "compare: --target must be a column of text, whole numbers or booleans; got 'day' with "
        "dates or times. Name a column of classes."
    )


def test_classes_that_do_not_exist():
    assert refusal(encode_target, column([0, 1, 0, 1]), "y", classes=("1", "2")) == (
        "compare: --classes must be among the classes '0', '1'; got '2'. Name classes as the "
        "target column writes them."
    )


def test_one_class_chosen():
    assert "got 'y' with only '1'" in refusal(
        encode_target, column([0, 1, 0, 1]), "y", classes=("1",)
    )


def test_positive_that_is_no_class():
    assert refusal(encode_target, column(["a", "b", "a", "b"]), "y", positive="c") == (
        "compare: --positive must be one of the classes 'a', 'b'; got 'c'. Name a class as the "
        "target column writes it."
    )


def test_positive_of_three():
    assert refusal(encode_target, column([0, 1, 2, 0, 1, 2]), "y", positive="1") == (
        "compare: --positive must be left out unless there are two classes; got '1' with 3 "
        "classes. Leave it out, or name two classes with --classes."
    )


def test_unseen_classes_in_a_test_file():
    assert refusal(encode_test_target, column(["a", "x"]), "y", ("a", "b")) == (
        "compare: --test must be a file whose classes are all in the training data ('a', 'b'); "
        "got 'x' in 'y'. Leave those rows out, or add such rows to the training data."
    )


def test_missing_values_in_a_test_file():
    assert refusal(encode_test_target, column([0.0, np.nan]), "y", ("0", "1")).startswith(
        "compare: --test must be a column without missing values; got 'y' missing in 1 row"
    )


def test_million_rows_are_cheap_in_types():
    target = encode_target(NumericColumn(np.tile([0, 1], 500_000).astype(np.int8)), "y")
    assert target.codes.dtype == np.int64
