"""Reading: every format gives the same columns, and every unusable file one clear line."""

import gzip
import sys

import numpy as np
import pandas
import pytest
import sklearn.datasets

from xent._errors import InputError, MissingExtraError
from xent.study._data._columns import (
    CategoricalColumn,
    NumericColumn,
    UnusableColumn,
    as_categories,
    column_of_series,
)
from xent.study._data._sources import read_table

TEXT = "number,whole,flag,colour\n1.5,1,True,red\n,2,False,\n-2.5,3,True,blue\n"


def check_columns(table):
    assert list(table.columns) == ["number", "whole", "flag", "colour"]
    assert table.rows == 3
    np.testing.assert_array_equal(table.columns["number"].values, [1.5, np.nan, -2.5])
    np.testing.assert_array_equal(table.columns["whole"].values, [1, 2, 3])
    assert table.columns["flag"].values.dtype == bool
    colour = table.columns["colour"]
    assert colour.levels == ("blue", "red")
    np.testing.assert_array_equal(colour.codes, [1, -1, 0])


def test_csv(tmp_path):
    (tmp_path / "data.csv").write_text(TEXT)
    check_columns(read_table(str(tmp_path / "data.csv")))


def test_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    (tmp_path / "data.csv").write_text(TEXT, encoding="utf-8-sig")
    check_columns(read_table(str(tmp_path / "data.csv")))


def test_tsv_compressed_and_with_capitals(tmp_path):
    path = tmp_path / "my.data.TSV.gz"
    path.write_bytes(gzip.compress(TEXT.replace(",", "\t").encode()))
    check_columns(read_table(str(path)))


def test_parquet_keeps_categories_nullable_numbers_and_booleans(tmp_path):
    frame = pandas.DataFrame(
        {
            "number": pandas.array([1.5, None, -2.5], dtype="Float64"),
            "whole": pandas.array([1, 2, 3], dtype="Int64"),
            "flag": pandas.array([True, False, True], dtype="boolean"),
            "colour": pandas.Categorical(
                ["red", None, "blue"], categories=["red", "unused", "blue"]
            ),
        }
    )
    frame.to_parquet(tmp_path / "data.parquet")
    check_columns(read_table(str(tmp_path / "data.parquet")))


def test_parquet_index_with_a_name_is_a_column(tmp_path):
    frame = pandas.DataFrame({"id": [5, 6], "x": [1.0, 2.0]}).set_index("id")
    frame.to_parquet(tmp_path / "data.parquet")
    assert list(read_table(str(tmp_path / "data.parquet")).columns) == ["id", "x"]


def test_dates_and_lists_are_unusable(tmp_path):
    frame = pandas.DataFrame(
        {"day": pandas.to_datetime(["2026-01-01", "2026-01-02"]), "tags": [["a"], ["b", "c"]]}
    )
    frame.to_parquet(tmp_path / "data.parquet")
    columns = read_table(str(tmp_path / "data.parquet")).columns
    assert columns["day"] == UnusableColumn("dates or times")
    assert columns["tags"] == UnusableColumn("lists or other nested values")


def test_whole_numbers_above_the_float_limit_stay_apart(tmp_path):
    (tmp_path / "data.csv").write_text("id,x\n9007199254740993,1\n9007199254740992,2\n")
    column = read_table(str(tmp_path / "data.csv")).columns["id"]
    assert as_categories(column).levels == ("9007199254740992", "9007199254740993")


def test_booleans_with_a_gap_are_numbers(tmp_path):
    (tmp_path / "data.csv").write_text("flag,x\nTrue,1\n,2\nFalse,3\n")
    column = read_table(str(tmp_path / "data.csv")).columns["flag"]
    np.testing.assert_array_equal(column.values, [1.0, np.nan, 0.0])


def test_categories_of_numbers_sort_as_numbers():
    column = column_of_series(pandas.Series(pandas.Categorical([10, 9, 10])))
    assert isinstance(column, CategoricalColumn)
    assert column.levels == ("9", "10")


def test_mixed_objects_are_categories_of_their_text():
    column = column_of_series(pandas.Series([1, "1", "b", None], dtype=object))
    assert column.levels == ("1", "b")
    np.testing.assert_array_equal(column.codes, [0, 0, 1, -1])


def test_npz_matrix(tmp_path):
    path = tmp_path / "data.npz"
    matrix = np.arange(6.0).reshape(3, 2)
    np.savez(path, X=matrix, y=["b", "a", "b"], weight=[1.0, 2.0, 3.0], z=np.ones((2, 2)))
    table = read_table(str(path))
    assert table.features == ("x1", "x2")
    assert (table.target, table.weight, table.group) == ("y", "weight", None)
    np.testing.assert_array_equal(table.columns["x2"].values, matrix[:, 1])
    assert table.columns["y"].levels == ("a", "b")
    assert table.notes == ("arrays that don't have one value for each row, unused: 'z'",)


def test_npz_of_columns(tmp_path):
    np.savez(tmp_path / "data.npz", age=[1, 2], sick=[True, False])
    table = read_table(str(tmp_path / "data.npz"))
    assert list(table.columns) == ["age", "sick"]
    assert table.features is None


def test_npz_feature_names(tmp_path):
    np.savez(tmp_path / "data.npz", X=np.ones((2, 2)), y=[0, 1], feature_names=["a", "b"])
    assert read_table(str(tmp_path / "data.npz")).features == ("a", "b")


@pytest.mark.parametrize("name", ["breast_cancer", "digits", "iris", "wine"])
def test_sklearn_sets_hold_what_scikit_learn_holds(name):
    table = read_table(f"sklearn:{name}")
    bunch = getattr(sklearn.datasets, f"load_{name}")()
    values = [table.columns[feature].values for feature in map(str, bunch.feature_names)]
    np.testing.assert_array_equal(np.column_stack(values), bunch.data)
    target = as_categories(table.columns["target"])
    np.testing.assert_array_equal(
        np.array(target.levels)[target.codes], bunch.target_names.astype(str)[bunch.target]
    )


def refusal(source, option="compare: DATA"):
    with pytest.raises(InputError) as caught:
        read_table(str(source), option)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_unknown_sklearn_set():
    assert refusal("sklearn:irises") == (
        "compare: DATA must be sklearn:NAME with one of breast_cancer, digits, iris, wine; got "
        "'sklearn:irises'. Take one of these."
    )


def test_regression_set():
    assert refusal("sklearn:diabetes").endswith(
        "got 'sklearn:diabetes'. 'diabetes' has a number as its target, not classes: take one of "
        "these."
    )


def test_no_such_file():
    assert refusal("nowhere.csv") == (
        "compare: DATA must be an existing file, sklearn:NAME, synthetic:KEY=VALUE,... or "
        "bce-versus-ce; got 'nowhere.csv'. There is no such file: check the path."
    )


@pytest.mark.parametrize("name", ["a" * 5000 + ".csv", "nul\x00.csv"])
def test_impossible_names(name):
    assert refusal(name).endswith("There is no such file: check the path.")


def test_addresses_are_not_fetched():
    assert "There is no such file" in refusal("http://127.0.0.1:9/data.csv")


@pytest.mark.parametrize("name", ["folder", "folder.csv"])
def test_directory(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    assert (
        refusal(name) == f"compare: DATA must be a file; got the directory '{name}'. Name a file."
    )


@pytest.mark.parametrize("name", ["data.xlsx", "data", "data.parquet.gz"])
def test_unknown_extension(name):
    assert refusal(name) == (
        "compare: DATA must be a file ending in .csv, .tsv (either also as .gz), .parquet and "
        ".npz, or sklearn:NAME, synthetic:KEY=VALUE,... or bce-versus-ce; got "
        f"'{name}'. Convert the file, or give it the extension of its format."
    )


CSV = "compare: --test must be UTF-8 text with one header line and commas between the fields; got "

# Each content is what a user may well have under a .csv name: nothing, another format, another
# encoding, rows longer than the header (pandas would shift the columns), a torn archive.
UNREADABLE = {
    "empty.csv": (b"", "No columns to parse from file"),
    "latin.csv": (b"name,y\nJos\xe9,1\n", "codec can't decode"),
    "utf16.csv": ("a,b\n1,2\n".encode("utf-16"), "codec can't decode"),
    "long.csv": (b"a,b\n1,2,3\n4,5,6\n", "Length of header or names"),
    "ragged.csv": (b"a,b\n1,2\n1,2,3\n", "Expected 2 fields in line 3, saw 3"),
    "torn.csv.gz": (gzip.compress(b"a,b\n1,2\n" * 50)[:-12], "ended before"),
    "plain.csv.gz": (b"a,b\n1,2\n", "gzip"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable_text(tmp_path, name):
    content, reason = UNREADABLE[name]
    (tmp_path / name).write_bytes(content)
    message = refusal(tmp_path / name, "compare: --test")
    assert message.startswith(f"{CSV}{name}, which can't be read: ")
    assert reason in message
    assert message.endswith(". Check the file and its extension.")


@pytest.mark.parametrize("name", ["data.csv", "data.tsv"])
def test_binary_file_under_a_text_name(tmp_path, name):
    np.savez(tmp_path / "data.npz", X=np.ones((300, 4)), y=np.arange(300))
    (tmp_path / "data.npz").rename(tmp_path / name)
    assert f"got {name}, which can't be read" in refusal(tmp_path / name)


def test_parquet_under_a_text_name(tmp_path):
    pandas.DataFrame({"x": np.arange(50.0)}).to_parquet(tmp_path / "data.parquet")
    (tmp_path / "data.parquet").rename(tmp_path / "data.csv")
    assert "got data.csv, which can't be read" in refusal(tmp_path / "data.csv")


def test_other_separator(tmp_path):
    (tmp_path / "data.csv").write_text("a;b\n1;2\n")
    assert refusal(tmp_path / "data.csv", "compare: --test") == (
        f"{CSV}data.csv with the one column 'a;b'. It seems to have semicolons: write it with "
        "commas, or with tabs as .tsv."
    )


def test_header_without_rows(tmp_path):
    (tmp_path / "data.csv").write_text("a,b\n")
    assert refusal(tmp_path / "data.csv") == (
        "compare: DATA must be a table with rows; got data.csv without any. Check the file."
    )


def test_text_under_a_parquet_name(tmp_path):
    (tmp_path / "data.parquet").write_text(TEXT)
    message = refusal(tmp_path / "data.parquet")
    assert message.startswith(
        "compare: DATA must be a Parquet file; got data.parquet, which can't be read: "
    )


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"PK\x03\x04 torn"])
def test_other_content_under_an_npz_name(tmp_path, content):
    (tmp_path / "data.npz").write_bytes(content)
    assert refusal(tmp_path / "data.npz").startswith(
        "compare: DATA must be a NumPy .npz archive of arrays that are not objects; got data.npz, "
        "which can't be read: "
    )


def test_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "data.npz", X=np.ones((2, 1)), y=np.array(["a", None], dtype=object))
    assert "Object arrays cannot be loaded" in refusal(tmp_path / "data.npz")


def test_single_array_under_an_npz_name(tmp_path):
    with (tmp_path / "data.npz").open("wb") as file:
        np.save(file, np.ones(3))
    assert "it is a single array, not an archive" in refusal(tmp_path / "data.npz")


def test_npz_of_unequal_columns(tmp_path):
    np.savez(tmp_path / "data.npz", a=[1, 2], b=[1, 2, 3])
    assert refusal(tmp_path / "data.npz") == (
        "compare: DATA must be an archive with a matrix X and a target y, or with 1-D arrays of "
        "equal length; got data.npz with 'a' of shape (2,), 'b' of shape (3,). Save it with "
        "numpy.savez(path, X=X, y=y)."
    )


def test_npz_with_a_flat_matrix(tmp_path):
    np.savez(tmp_path / "data.npz", X=[1.0, 2.0], y=[0, 1])
    assert "got data.npz with X of shape (2,). Save X as a matrix." in refusal(
        tmp_path / "data.npz"
    )


def test_npz_with_too_few_names(tmp_path):
    np.savez(tmp_path / "data.npz", X=np.ones((2, 3)), y=[0, 1], feature_names=["a"])
    assert refusal(tmp_path / "data.npz") == (
        "compare: DATA must be an archive with 3 feature names, as many as X has columns; got "
        "data.npz with 1. Save feature_names with one name for each column of X."
    )


def test_repeated_names(tmp_path):
    np.savez(tmp_path / "data.npz", X=np.ones((2, 2)), y=[0, 1], feature_names=["a", "a"])
    assert refusal(tmp_path / "data.npz") == (
        "compare: DATA must be a table whose columns have different names; got data.npz with 'a' "
        "more than once. Rename the columns."
    )


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    pandas.DataFrame({"x": [1.0]}).to_parquet(tmp_path / "data.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError) as caught:
        read_table(str(tmp_path / "data.parquet"))
    assert str(caught.value) == (
        "reading Parquet needs pyarrow, which is not installed. Run: pip install 'xent[data]'"
    )


def test_nearest_column_is_suggested():
    with pytest.raises(InputError) as caught:
        read_table("sklearn:iris").find("Petal width", "compare: --drop")
    assert str(caught.value) == (
        "compare: --drop must be a column of sklearn:iris; got 'Petal width'. Did you mean 'petal "
        "width (cm)'? The columns are 'sepal length (cm)', 'sepal width (cm)', 'petal length "
        "(cm)', 'petal width (cm)', 'target'."
    )


def test_long_lists_of_columns_are_cut():
    with pytest.raises(InputError) as caught:
        read_table("sklearn:breast_cancer").find("@", "compare: --target")
    assert "Did you mean" not in str(caught.value)
    assert str(caught.value).endswith("'mean concave points' and 23 more.")


def test_names_with_line_breaks_stay_on_one_line(tmp_path):
    (tmp_path / "data.csv").write_text('"two\nlines",b\n1,2\n')
    table = read_table(str(tmp_path / "data.csv"))
    assert isinstance(table.columns["two\nlines"], NumericColumn)
    with pytest.raises(InputError, match=r"The columns are 'two\\nlines', 'b'\.$"):
        table.find("c", "compare: --target")
