"""Encoding: fitted on the training rows alone, and each value where its name says."""

import numpy as np
import pandas
import pytest
from sklearn.preprocessing import StandardScaler

from xent._errors import InputError
from xent.study._data._columns import (
    CategoricalColumn,
    NumericColumn,
    UnusableColumn,
    column_of_array,
)
from xent.study._data._encoding import Selection, encode, fit_encoding
from xent.study._data._giveaways import find_giveaways
from xent.study._data._sources import read_table


def text(values):
    """Build a column of text where None is missing."""
    levels = tuple(sorted({value for value in values if value is not None}))
    codes = [-1 if value is None else levels.index(value) for value in values]
    return CategoricalColumn(np.array(codes, dtype=np.int64), levels)


def numbers(values):
    return NumericColumn(np.asarray(values))


def encoded(columns, train, rows=None, *, standardize=False, part="test"):
    encoding = fit_encoding(columns, np.arange(train), standardize=standardize)
    size = next(iter(columns.values()))
    total = size.values.size if isinstance(size, NumericColumn) else size.codes.size
    rows = np.arange(total) if rows is None else np.asarray(rows)
    matrix, notes = encode(encoding, Selection(columns, rows, part))
    return encoding, matrix, notes


def test_missing_numbers_become_the_training_median():
    nan = np.nan
    columns = {"age": numbers([30.0, nan, 40.0, 37.0, nan, 99.0])}
    encoding, matrix, notes = encoded(columns, train=4)
    assert encoding.feature_names == ("age", "age is missing")
    np.testing.assert_array_equal(matrix, [[30, 0], [37, 1], [40, 0], [37, 0], [37, 1], [99, 0]])
    assert encoding.notes == (
        "age: 1 missing training value replaced by the training median 37; column 'age is "
        "missing' added",
    )
    assert notes == ()


def test_numbers_missing_outside_training_only():
    columns = {"age": numbers([30.0, 31.0, 40.0, np.nan, np.nan])}
    encoding, matrix, notes = encoded(columns, train=3)
    assert encoding.feature_names == ("age",)
    assert encoding.notes == ()
    np.testing.assert_array_equal(matrix[3:, 0], [31, 31])
    assert notes == ("age: 2 missing test values replaced by the training median 31",)


def test_categories_against_the_most_frequent():
    columns = {"colour": text(["red", "blue", "green", "blue", "red", "blue", "green"])}
    encoding, matrix, _ = encoded(columns, train=7)
    assert encoding.feature_names == ("colour=green", "colour=red")
    np.testing.assert_array_equal(matrix, [[0, 1], [0, 0], [1, 0], [0, 0], [0, 1], [0, 0], [1, 0]])
    assert encoding.notes == ("colour: 3 categories as 2 columns against 'blue'",)


def test_ties_go_to_the_first_in_sort_order_and_missing_comes_last():
    columns = {"c": text(["b", "a", None, "a", "b", None])}
    encoding, matrix, _ = encoded(columns, train=6)
    assert encoding.feature_names == ("c=b", "c is missing")
    np.testing.assert_array_equal(matrix[:3], [[1, 0], [0, 0], [0, 1]])


def test_missing_can_be_the_reference():
    columns = {"c": text([None, None, None, "a", "b", "a", "b"])}
    encoding, _, _ = encoded(columns, train=7)
    assert encoding.feature_names == ("c=a", "c=b")
    assert encoding.notes == (
        "c: 3 categories as 2 columns against missing",
        "c: 3 missing training values kept as a category of their own, against which the others "
        "are measured",
    )


def test_unseen_categories_are_the_reference():
    columns = {"c": text(["a", "a", "b", "b", "a", "z", None, "b"])}
    _, matrix, notes = encoded(columns, train=5, rows=[5, 6, 7])
    np.testing.assert_array_equal(matrix[:, 0], [0, 0, 1])
    assert notes == ("c: 2 test rows have categories that no training row has, counted as 'a'",)


def test_levels_of_a_test_file_match_by_name():
    encoding = fit_encoding({"c": text(["a", "b", "c", "a", "a", "b", "c"])}, np.arange(7))
    other = {"c": text(["c", "0", "b"])}
    matrix, notes = encode(encoding, Selection(other, np.arange(3), "test"))
    np.testing.assert_array_equal(matrix, [[0, 1], [0, 0], [1, 0]])
    assert notes == ("c: 1 test row has a category that no training row has, counted as 'a'",)


def test_numbers_in_a_test_file_match_text_by_name():
    encoding = fit_encoding({"c": text(["1", "2", "x", "1", "1", "2", "x"])}, np.arange(7))
    matrix, _ = encode(encoding, Selection({"c": numbers([2.0, 1.0])}, np.arange(2), "test"))
    np.testing.assert_array_equal(matrix, [[1, 0], [0, 0]])


def test_column_without_values_in_a_test_file_is_missing():
    encoding = fit_encoding({"x": numbers([1.0, 2.0, 3.0])}, np.arange(3), standardize=False)
    matrix, _ = encode(encoding, Selection({"x": text([None, None])}, np.arange(2), "test"))
    np.testing.assert_array_equal(matrix, [[2], [2]])


def test_fifty_levels_at_most():
    values = [f"{level:02}" for level in range(60) for _ in range(3)] + ["59", "58", "00"]
    encoding, matrix, notes = encoded({"c": text(values)}, train=len(values))
    assert len(encoding.feature_names) == 49
    assert {"c=58", "c=59"} <= set(encoding.feature_names)
    assert encoding.notes == (
        "c: 60 categories as 49 columns against '00'; the 10 rarest ones counted as '00'",
    )
    assert notes == ()
    assert matrix[values.index("50")].sum() == 0


def test_nearly_unique_text_is_dropped():
    columns = {"id": text([f"row {n}" for n in range(8)]), "x": numbers(np.arange(8.0))}
    encoding, _, _ = encoded(columns, train=8)
    assert encoding.feature_names == ("x",)
    assert encoding.notes == (
        "id: 8 different values on 8 training rows, like an id or free text, so dropped",
    )


def test_columns_constant_in_training_are_dropped():
    nan = np.nan
    columns = {
        "same": numbers([5, 5, 5, 6]),
        "one": text(["a", "a", "a", "b"]),
        "none": numbers([nan, nan, nan, 1.0]),
        "gap": numbers([2.0, nan, 2.0, 2.0]),
        "flag": numbers([True, False, True, True]),
    }
    encoding, matrix, _ = encoded(columns, train=3)
    assert encoding.feature_names == ("gap is missing", "flag")
    np.testing.assert_array_equal(matrix, [[0, 1], [1, 0], [0, 1], [0, 1]])
    assert encoding.notes == (
        "same: 5 on every training row, so dropped",
        "one: 'a' on every training row, so dropped",
        "none: no values in the training part, so dropped",
        "gap: 2 on every training row that has a value, so only whether it is missing is kept; "
        "column 'gap is missing' added",
    )


def test_stray_text_among_numbers_is_told():
    columns = {"age": text(["1", "2", "3", "1", "2", "3", "1", "n/a"])}
    encoding, _, _ = encoded(columns, train=8)
    assert encoding.notes[0] == (
        "age: mostly numbers, but 1 training value is not, such as 'n/a', so read as categories; "
        "empty those cells to have numbers"
    )
    assert "age=n/a" in encoding.feature_names


def test_names_are_all_different():
    columns = {"c": text(["a", "b", "a", "b"]), "c=b": numbers([1, 2, 3, 4])}
    assert encoded(columns, train=4)[0].feature_names == ("c=b", "c=b (2)")


def test_standardised_like_scikit_learn_on_the_training_rows_only():
    random = np.random.default_rng(0)
    values = random.normal(5.0, 3.0, size=(50, 2)) * [1.0, 1e-6]
    columns = {
        "a": numbers(values[:, 0]),
        "c": text(["a", "b"] * 25),
        "b": numbers(values[:, 1].astype(np.float32)),
    }
    encoding, matrix, _ = encoded(columns, train=30, standardize=True)
    assert encoding.feature_names == ("a", "c=b", "b")
    values[:, 1] = values[:, 1].astype(np.float32)
    expected = StandardScaler().fit(values[:30]).transform(values)
    np.testing.assert_allclose(matrix[:, [0, 2]], expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(matrix[:, 1], np.arange(50) % 2)
    assert (encoding.center[1], encoding.scale[1]) == (0.0, 1.0)
    assert matrix.flags.c_contiguous
    assert matrix.dtype == np.float64


def test_one_hot_like_pandas():
    random = np.random.default_rng(1)
    values = random.choice(["a", "b", "c", "d"], size=200, p=[0.2, 0.4, 0.3, 0.1])
    encoding, matrix, _ = encoded({"c": column_of_array(values)}, train=200)
    expected = pandas.get_dummies(pandas.Series(values), prefix="c", prefix_sep="=", dtype=float)
    pandas.testing.assert_frame_equal(
        pandas.DataFrame(matrix, columns=encoding.feature_names), expected.drop(columns="c=b")
    )


def refusal(function, *arguments, **options):
    with pytest.raises(InputError) as caught:
        function(*arguments, **options)
    return str(caught.value)


def test_dates():
    assert refusal(fit_encoding, {"day": UnusableColumn("dates or times")}, np.arange(2)) == (
        "compare: column 'day' must be numbers, booleans or text; got dates or times. Drop it "
        "with --drop 'day', or convert it to numbers."
    )


# Training rows and other rows are checked in different places.
@pytest.mark.parametrize("row", [0, 3])
def test_infinite_values(row):
    values = np.array([1.0, 2.0, 3.0, 4.0])
    values[row] = -np.inf
    assert refusal(encoded, {"x": numbers(values)}, train=2) == (
        f"compare: column 'x' must be finite numbers; got infinite values in 1 row ({row}; "
        "counted from 0). Correct those cells, empty them, or drop the column with --drop 'x'."
    )


def test_numbers_too_large_to_standardise():
    assert refusal(fit_encoding, {"x": numbers([1e200, -2e200])}, np.arange(2)) == (
        "compare: column 'x' must be numbers whose squares are finite; got 2e+200. Divide the "
        "column by a constant, or do without standardisation."
    )


def test_no_column_left():
    columns = {"x": numbers([1, 1]), "two\nlines": numbers([2, 2])}
    assert refusal(fit_encoding, columns, np.arange(2)) == (
        "compare: DATA must be a table with at least one feature that varies on the training "
        "rows; got 2 candidate columns, all dropped. Give features that vary (x: 1 on every "
        "training row, so dropped; two lines: 2 on every training row, so dropped)."
    )


def test_text_where_training_has_numbers():
    encoding = fit_encoding({"x": numbers([1.0, 2.0])}, np.arange(2))
    selection = Selection({"x": text(["a", None])}, np.arange(2), "test", "compare: --test")
    assert refusal(encode, encoding, selection) == (
        "compare: --test: column 'x' must be numbers, as in the training data; got text. Write it "
        "alike in both files, or drop it with --drop 'x'."
    )


def giveaways(column, target):
    columns = {"other": numbers(np.random.default_rng(0).normal(size=len(target))), "x": column}
    target = np.asarray(target)
    rows = np.arange(target.size)
    return find_giveaways(columns, rows, target, int(target.max()) + 1)


TARGET = np.tile([0, 1, 1], 20)
NOISE = np.random.default_rng(7).random(60)
GIVEAWAYS = {
    "the target itself": numbers(TARGET),
    "its opposite": numbers(1 - TARGET),
    "text that spells it": column_of_array(np.array(["no", "yes"])[TARGET]),
    "a threshold": numbers(NOISE + 2.0 * TARGET),
    "known for one class only": numbers(np.where(TARGET == 1, NOISE, np.nan)),
    "text for one class only": CategoricalColumn(TARGET - 1, ("a",)),
    "three texts": column_of_array(np.array(["a", "b", "c"] * 20)),
}
INNOCENT = {
    "noise": numbers(NOISE),
    "one row on the wrong side": numbers(np.append(TARGET[:-1], 0)),
    "a row number": numbers(np.arange(60)),
    "a different text each": column_of_array(np.arange(60).astype(str)),
    "seven pure texts": column_of_array((np.arange(60) % 21 // 3 * 3 + TARGET).astype(str)),
}


@pytest.mark.parametrize("name", GIVEAWAYS)
def test_giveaway(name):
    (warning,) = giveaways(GIVEAWAYS[name], TARGET)
    assert warning.feature == "x"
    assert warning.sentence == (
        "'x' alone tells the class of all 60 training rows: if it is known only after the "
        "outcome, leave it out with --drop 'x'"
    )


@pytest.mark.parametrize("name", INNOCENT)
def test_no_giveaway(name):
    assert giveaways(INNOCENT[name], TARGET) == ()


def test_codes_of_three_classes_in_any_order():
    target = np.tile([0, 1, 2], 20)
    assert giveaways(numbers(np.array([7, 3, 5])[target]), target)


def test_row_numbers_in_the_order_of_the_classes_are_called_so():
    (warning,) = giveaways(numbers(np.arange(60)), np.sort(TARGET))
    assert warning.sentence == (
        "'x' is another whole number on each of 60 training rows and runs in the order of the "
        "classes, like an id or row number: leave it out with --drop 'x'"
    )


def test_few_rows_separate_by_chance():
    assert giveaways(numbers([0.1, 0.2, 0.3, 0.4]), [0, 0, 1, 1]) == ()


@pytest.mark.parametrize("name", ["breast_cancer", "digits", "iris", "wine"])
def test_no_false_alarm_on_real_data(name):
    table = read_table(f"sklearn:{name}")
    columns = dict(table.columns)
    target = columns.pop("target")
    values = target.codes if isinstance(target, CategoricalColumn) else target.values
    rows = np.arange(table.rows)
    assert find_giveaways(columns, rows, values.astype(np.int64), int(values.max()) + 1) == ()


def test_a_whole_number_that_no_rows_share_is_pointed_out():
    said = "id: a different whole number on every training row; drop it if it is an id"
    for values, notes in (
        (np.arange(40) * 7, (said,)),
        (np.arange(40) * 7.0, ()),
        (np.arange(40) // 2, ()),
        (np.arange(10), ()),
    ):
        encoding, _, _ = encoded({"id": numbers(values)}, train=len(values))
        assert encoding.notes == notes


def text_column(values):
    levels = sorted({value for value in values if value is not None})
    codes = [-1 if value is None else levels.index(value) for value in values]
    return CategoricalColumn(np.array(codes), tuple(levels))


@pytest.mark.parametrize(
    ("values", "note"),
    [
        (
            ["red"] * 5 + ["blue"] * 3 + [None] * 2,
            "c: 2 missing training values kept as a category of their own, column 'c is missing'",
        ),
        (
            ["red"] * 2 + ["blue"] + [None] * 5,
            "c: 5 missing training values kept as a category of their own, against which the "
            "others are measured",
        ),
        (
            [f"v{i}" for i in range(60)] * 2 + ["v0", None],
            "c: 1 missing training value counted as 'v0'",
        ),
    ],
)
def test_missing_text_is_said(values, note):
    encoding = fit_encoding({"c": text_column(values)}, np.arange(len(values)))
    assert note in encoding.notes


def test_missing_text_that_there_is_none_of_is_not_said():
    encoding = fit_encoding({"c": text_column(["red", "blue"] * 5)}, np.arange(10))
    assert not any("missing" in note for note in encoding.notes)


@pytest.mark.parametrize(
    "values",
    [["2024-03-31", "2024-04-01"], ["31.3.2024", "1.4.2024"], ["3/31/24 10:00", "4/1/24 11:30"],
     ["2024/03/31T10:00:00", "2024/4/1"]],
)  # fmt: skip
def test_text_that_looks_like_dates_is_said(values):
    encoding = fit_encoding({"when": text_column(values * 5)}, np.arange(10))
    assert (
        "when: looks like dates, read as categories; leave it out with --drop 'when', or write it "
        "as numbers, such as days or months"
    ) in encoding.notes


@pytest.mark.parametrize("values", [["10-20", "20-30"], ["1.5.3", "a"], ["1-2/3", "2024"]])
def test_text_that_does_not_is_not(values):
    encoding = fit_encoding({"when": text_column(values * 5)}, np.arange(10))
    assert not any("dates" in note for note in encoding.notes)
