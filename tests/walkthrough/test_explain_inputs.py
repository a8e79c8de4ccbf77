"""What explain and verify read, which loss they find, and what they refuse in which words."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from xent._contracts import CONTRACTS
from xent._errors import ContractError, InputError
from xent.walkthrough._inputs import read_given
from xent.walkthrough._numbers import read_numbers, to_dtype

CASES = settings(max_examples=60, deadline=None, derandomize=True)


# Numbers.


@pytest.mark.parametrize(
    ("text", "values", "whole"),
    [
        ("1 2 3", [1, 2, 3], True),
        ("1, 2,3", [1, 2, 3], True),
        ("1 2; 3 4", [[1, 2], [3, 4]], True),
        ("1 2;", [[1, 2]], True),
        ("1\n2\n", [[1], [2]], True),
        ("-1e3 +.5 inf", [-1000, 0.5, math.inf], False),
        ("[[1, 2], [3, 4.5]]", [[1, 2], [3, 4.5]], False),
    ],
)
def test_text(text: str, values: list[Any], whole: bool) -> None:
    read = read_numbers(text, "logits")
    np.testing.assert_array_equal(read.values, values)
    assert (read.dtype, read.whole, read.typed) == ("float64", whole, True)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "got ''"),
        ("1 x 2", "got 'x' in '1 x 2'"),
        ("1 2; 3", "must be rows of equal length; got 2 in row 0 and 1 in row 1"),
        ("[[1, 2], [3]]", "must be rows of equal length; got 2 in row 0 and 1 in row 1"),
        ("[1, 2", "Close every bracket."),
        ("1_000", "got '1_000'"),
        ("\x1b[31m", r"got '\x1b[31m'"),
        ("nowhere.csv", "'nowhere.csv' (No such file or directory). Check the path."),
        ('["a", "b"]', "must be real numbers"),
    ],
)
def test_what_is_no_numbers(text: str, found: str) -> None:
    with pytest.raises(InputError, match=re.escape(found)) as refused:
        read_numbers(text, "logits")
    assert str(refused.value).startswith("logits must be ")
    assert "\x1b" not in str(refused.value)


def test_files(tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    table.write_text("a,b,y,name\n1,2.5,0,x\n-3,4,1,y\n")
    np.testing.assert_array_equal(read_numbers(f"{table}:b,a", "l").values, [[2.5, 1], [4, -3]])
    labels = read_numbers(f"{table}:y", "targets")
    assert labels.values.shape == (2,)
    assert labels.whole
    with pytest.raises(InputError, match=re.escape("got 'x' in row 0 of")):
        read_numbers(table, "logits")
    with pytest.raises(InputError, match=r"got 'c'. The columns are a, b, y, name\."):
        read_numbers(f"{table}:a,c", "logits")
    bare = tmp_path / "bare.tsv"
    bare.write_text("1\t2\n3\t4\n")
    np.testing.assert_array_equal(read_numbers(str(bare), "logits").values, [[1, 2], [3, 4]])
    bare.write_text("1\t2\n3\n")
    with pytest.raises(InputError, match="equal length; got 2 in row 0 and 1 in row 1"):
        read_numbers(str(bare), "logits")
    array = tmp_path / "array.npy"
    np.save(array, np.array([1, 2], dtype=np.float32))
    read = read_numbers(array, "logits")
    assert (read.dtype, read.typed) == ("float32", False)
    both = tmp_path / "both.npz"
    np.savez(both, logits=np.ones(2), targets=np.arange(2))
    assert read_numbers(f"{both}:targets", "targets").whole
    with pytest.raises(InputError, match=r"got no name\. Give .*:NAME with one of logits, targets"):
        read_numbers(both, "logits")
    document = tmp_path / "both.json"
    document.write_text(json.dumps({"logits": [[1, 2], [3, 4]], "ragged": [[1], [2, 3]]}))
    assert read_numbers(f"{document}:logits", "logits").values.shape == (2, 2)
    with pytest.raises(InputError, match="equal length; got 1 in row 0 and 2 in row 1"):
        read_numbers(f"{document}:ragged", "logits")


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "objects.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"a \.npy file of numbers"):
        read_numbers(path, "logits")
    (tmp_path / "broken.npy").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"a \.npy file of numbers"):
        read_numbers(tmp_path / "broken.npy", "logits")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_keep_their_dtype(dtype: torch.dtype) -> None:
    tensor = torch.tensor([0.1, -2.5], dtype=dtype, requires_grad=True)
    read = read_given(logits=tensor, targets=torch.tensor([True, False]))
    assert read.dtype == str(dtype).removeprefix("torch.")
    assert read.values.tolist() == tensor.tolist()


@CASES
@hypothesis_given(
    values=arrays.arrays(np.float64, 20, elements=st.floats(-1e39, 1e39, allow_subnormal=True)),
    dtype=st.sampled_from(["float16", "bfloat16", "float32", "float64"]),
)
def test_rounding_is_that_of_torch(values: np.ndarray, dtype: str) -> None:
    expected = torch.from_numpy(values).to(getattr(torch, dtype)).double().numpy()
    if dtype == "bfloat16":  # PyTorch rounds twice, by way of float32
        values = to_dtype(values, "float32")
    np.testing.assert_array_equal(to_dtype(values, dtype), expected)


# Which loss it is.

ROWS, ONE_HOT = "1 2 0; 0 1 3", "1 0 0; 0 0.5 0.5"
P_ROWS, LOG_ROWS = "0.5 0.25 0.25; 0 0 1", "-0.6931471805599453 -0.6931471805599453; 0 -inf"


@pytest.mark.parametrize(
    ("numbers", "loss", "task"),
    [
        ({"logits": "1 2", "targets": "0 1"}, "binary_cross_entropy_with_logits", "binary"),
        ({"logits": "1; 2", "targets": "0 1"}, "binary_cross_entropy_with_logits", "binary"),
        ({"probabilities": ".1 1", "targets": "0 .5"}, "binary_cross_entropy", "binary"),
        ({"logits": ROWS, "targets": "0 2"}, "cross_entropy", "multiclass"),
        ({"logits": ROWS, "targets": "0; 2"}, "cross_entropy", "multiclass"),
        ({"logits": ROWS, "targets": "0.0 2.0"}, "cross_entropy", "multiclass"),
        ({"logits": "1 2 3", "targets": "2"}, "cross_entropy", "multiclass"),
        ({"probabilities": P_ROWS, "targets": "0 2"}, "nll_loss", "multiclass"),
        ({"log_probabilities": LOG_ROWS, "targets": "0 1"}, "nll_loss", "multiclass"),
        (
            {"logits": ROWS, "targets": ONE_HOT, "task": "multiclass"},
            "cross_entropy",
            "multiclass",
        ),
        (
            {"probabilities": P_ROWS, "targets": "0 2", "label_smoothing": 0.1},
            "cross_entropy",
            "multiclass",
        ),
        (
            {"logits": ROWS, "targets": ONE_HOT, "task": "multilabel"},
            "binary_cross_entropy_with_logits",
            "multilabel",
        ),
        (
            {"logits": ROWS, "targets": "0 2", "loss": "softmax_focal_loss"},
            "softmax_focal_loss",
            "multiclass",
        ),
    ],
)
def test_the_loss_follows_from_kind_and_shape(
    numbers: dict[str, Any], loss: str, task: str
) -> None:
    found = read_given(**numbers)
    assert (found.loss, found.task) == (loss, task)


def test_any_axes() -> None:
    """Positions after the classes become rows, in their order."""
    values = np.arange(24.0).reshape(2, 3, 4)
    target = np.array([[0, 1, 2, 0], [1, 1, 0, 2]])
    weight = np.arange(8.0).reshape(2, 4)
    found = read_given(logits=values, targets=target, sample_weight=weight)
    assert found.values.shape == (8, 3)
    assert found.values[1].tolist() == [1, 5, 9]
    assert found.target.tolist() == target.ravel().tolist()
    assert found.sample_weight.tolist() == weight.ravel().tolist()
    last = read_given(logits=np.moveaxis(values, 1, -1), targets=target, class_dim=-1)
    np.testing.assert_array_equal(last.values, found.values)
    elements = read_given(
        logits=values, targets=values / 24, task="multilabel", sample_weight=np.array([1.0, 2.0])
    )
    assert elements.values.shape == elements.sample_weight.shape == (6, 4)


# What is refused: the contract's own codes and texts.

FAULTS: dict[str, tuple[dict[str, Any], str, type[Exception]]] = {
    "nothing": ({"targets": "0"}, "must be given once", ValueError),
    "twice": (
        {"logits": "1", "probabilities": "1", "targets": "0"},
        "got logits and probabilities",
        ValueError,
    ),
    "no targets": ({"logits": "1 2"}, "targets must be given", ValueError),
    "either task": (
        {"logits": ROWS, "targets": ONE_HOT},
        "task must be given: multiclass or multilabel; got logits and targets that both have "
        "shape (2, 3)",
        ValueError,
    ),
    "log P(1) alone": (
        {"log_probabilities": "-1 -2", "targets": "0 1", "task": "binary"},
        "No loss takes log P(1) alone",
        ValueError,
    ),
    "integer logits": (
        {"logits": torch.tensor([1, 2]), "targets": "0 1"},
        "input must be logits in float16, bfloat16, float32 or float64; got a tensor of int64. Use "
        "input.float(). [XE402]",
        NotImplementedError,
    ),
    "swapped": (
        {"logits": torch.tensor([1, 0]), "targets": torch.tensor([0.5, 2.0])},
        "Did you swap input and target? [XE403]",
        NotImplementedError,
    ),
    "label too large": (
        {"logits": ROWS, "targets": "1 3"},
        "cross_entropy: target must be class indices in [0, 3) or -100 (ignore_index); got 3 at "
        "position 1. Class indices start at 0: use target - 1 if yours start at 1. [XE405]",
        IndexError,
    ),
    "label negative": (
        {"logits": ROWS, "targets": "1 -1"},
        "Give ignore_index=-1 to leave such rows out. [XE405]",
        IndexError,
    ),
    "label with a fraction": (
        {"logits": ROWS, "targets": "1 0.5"},
        "must be class indices of an integer dtype; got 0.5 at position 1.",
        RuntimeError,
    ),
    "label infinite": ({"logits": ROWS, "targets": "1 inf"}, "got inf at posit", RuntimeError),
    "float tensor of labels": (
        {"logits": torch.ones(2, 3), "targets": torch.ones(2)},
        "got dtype float32. Use target.long() for class indices; for probabilities give shape "
        "(2, 3). [XE404]",
        RuntimeError,
    ),
    "integer one-hot tensor": (
        {"logits": torch.ones(2, 3), "targets": torch.eye(3)[:2].long(), "task": "multiclass"},
        "Use target.argmax(1) for class indices, or target.float() for probabilities. [XE409]",
        RuntimeError,
    ),
    "column of labels": (
        {"logits": torch.ones(2, 3), "targets": torch.ones(2, 1).long()},
        "target must be of shape (2,); got shape (2, 1). Use target.squeeze(1). [XE407]",
        RuntimeError,
    ),
    "too few labels": ({"logits": ROWS, "targets": "1 2 0"}, "[XE406]", RuntimeError),
    "too few binary targets": (
        {"logits": "1 2 3", "targets": "0 1"},
        "target must be of the shape of input, (3,); got shape (2,). Give each element of input "
        "its own target. [XE426]",
        RuntimeError,
    ),
    "probability above 1": (
        {"probabilities": "0.2 1.2", "targets": "0 1"},
        "input must be probabilities in [0, 1]; got 1.2 at position 1. For logits use "
        "binary_cross_entropy_with_logits. [XE418]",
        RuntimeError,
    ),
    "probability NaN": (
        {"probabilities": "0.2 nan", "targets": "0 1"},
        "got nan at position 1",
        RuntimeError,
    ),
    "class probability negative": (
        {"probabilities": "0.2 0.8; -0.1 1.1", "targets": "0 1"},
        "must be probabilities in [0, 1]; got -0.1 at position (1, 0)",
        ValueError,
    ),
    "rows that don't sum to 1": (
        {"probabilities": "0.2 0.8; 0.2 0.2", "targets": "0 1"},
        "must be probabilities that sum to 1 in every row; got a sum of 0.4 in row 1",
        ValueError,
    ),
    "positive log-probability": (
        {"log_probabilities": "0.1 -1", "targets": "0"},
        "must be log-probabilities in [-inf, 0]; got 0.1 at position (0, 0)",
        ValueError,
    ),
    "logit NaN": (
        {"logits": "1 2; 3 nan", "targets": "0 1"},
        "must be logits in [-inf, inf]; got nan at position (1, 1)",
        ValueError,
    ),
    "binary target 2": (
        {"logits": "1 2", "targets": "0 2"},
        "must be labels 0 and 1, or probabilities of 1; got 2 at position 1",
        ValueError,
    ),
    "target -1": (
        {"probabilities": ".1 .2", "targets": "0 -1"},
        "Use (target + 1) / 2 for labels -1 and 1",
        RuntimeError,
    ),
    "soft target off 1": (
        {"logits": ROWS, "targets": "1 0 0; 0.5 0.2 0", "task": "multiclass"},
        "got a sum of 0.7 in row 1",
        ValueError,
    ),
    "mark with soft targets": (
        {"logits": ROWS, "targets": ONE_HOT, "task": "multiclass", "ignore_index": 1},
        "[XE422]",
        RuntimeError,
    ),
    "class weights": ({"logits": ROWS, "targets": "0 1", "weight": "1 2"}, "[XE412]", RuntimeError),
    "element weights": (
        {"logits": "1 2", "targets": "0 1", "pos_weight": "1 2 3"},
        "[XE414]",
        RuntimeError,
    ),
    "weight negative": (
        {"logits": "1 2", "targets": "0 1", "weight": "1 -2"},
        "weight must be finite numbers of at least 0; got [1.0, -2.0]",
        ValueError,
    ),
    "sample weights": (
        {"logits": ROWS, "targets": "0 1", "sample_weight": "1 2 3"},
        "[XE415]",
        ValueError,
    ),
    "smoothing": (
        {"logits": ROWS, "targets": "0 1", "label_smoothing": 1.5},
        "cross_entropy: label_smoothing must be in [0, 1]; got 1.5",
        RuntimeError,
    ),
    "reduction": (
        {"logits": ROWS, "targets": "0 1", "reduction": "average"},
        "Did you mean 'mean'? [XE416]",
        ValueError,
    ),
    "normalizer": (
        {"logits": ROWS, "targets": "0 1", "reduction": "sum", "normalizer": 2.0},
        "[XE425]",
        ValueError,
    ),
    "option of another loss": (
        {"logits": ROWS, "targets": "0 1", "pos_weight": "1"},
        "cross_entropy: pos_weight must be left out",
        ValueError,
    ),
    "temperature": (
        {"logits": ROWS, "targets": "0 1", "temperature": 0.0},
        "[XE423]",
        ValueError,
    ),
    "fraction for ignore_index": (
        {"logits": ROWS, "targets": "0 1", "ignore_index": 1.5},
        "[XE421]",
        TypeError,
    ),
    "word for a number": (
        {"logits": ROWS, "targets": "0 1", "temperature": "hot"},
        "cross_entropy: temperature must be a number; got 'hot'. Give temperature=1.0. [XE421]",
        TypeError,
    ),
    "class_dim": ({"logits": ROWS, "targets": "0 1", "class_dim": 2}, "[XE411]", IndexError),
    "class_dim of elements": (
        {"logits": "1 2", "targets": "0 1", "class_dim": 0},
        "class_dim must be left out",
        ValueError,
    ),
    "loss": (
        {"logits": ROWS, "targets": "0 1", "loss": "cross_entropi"},
        "Did you mean cross_entropy?",
        ValueError,
    ),
    "loss of another kind": (
        {"logits": "1 2", "targets": "0 1", "loss": "binary_cross_entropy"},
        "loss must be one that takes logits; got binary_cross_entropy, which takes probabilities",
        ValueError,
    ),
    "task": ({"logits": "1", "targets": "0", "task": "regression"}, "task must be", ValueError),
    "dtype": ({"logits": "1", "targets": "0", "dtype": "int8"}, "dtype must be", ValueError),
    "empty": ({"logits": [], "targets": []}, "one number or more", ValueError),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults(fault: str) -> None:
    numbers, text, kind = FAULTS[fault]
    with pytest.raises(InputError, match=re.escape(text)) as refused:
        read_given(**numbers)
    assert isinstance(refused.value, kind)
    assert "\n" not in str(refused.value)
    if "[XE" in str(refused.value):
        error = refused.value
        assert isinstance(error, ContractError)
        assert error.code in {each.code for row in CONTRACTS.values() for each in row.errors}


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        (
            {"logits": ROWS, "targets": "0 1", "input": 3},
            "cross_entropy: input must be left out; got 3. Give the numbers as logits",
        ),
        ({"logits": "1", "targets": "0", "target": 1}, "target must be left out; got 1."),
        (
            {"logits": np.eye(2, dtype=bool), "targets": "0 1"},
            "float32 or float64; got bool from memory. Use input.float(). [XE402]",
        ),
        (
            {"logits": torch.ones(2, 3), "targets": np.array([0, 2**63], dtype=np.uint64)},
            "or -100 (ignore_index); got 9223372036854775808 at position 1.",
        ),
        (
            {"logits": torch.eye(3).to_sparse(), "targets": "0 1 2"},
            "logits must be a dense tensor; got one of layout torch.sparse_coo. Use "
            "logits.to_dense().",
        ),
        (
            {"logits": torch.ones(2, 3, device="meta"), "targets": "0 1"},
            "logits must be a tensor that holds numbers; got one of shape (2, 3) on the device "
            "meta.",
        ),
        ({"logits": "[" * 100_000, "targets": "0"}, "(maximum recursion depth"),
        (
            {"logits": ROWS, "targets": "1 0 0; 0.5 0.2 0", "task": "multiclass"},
            "cross_entropy: target must be probabilities that sum to 1 in every row; got a sum of "
            "0.7 in row 1. Where several classes of a row are right give the task multilabel",
        ),
        (
            {"logits": ROWS, "targets": "1 0 0; 2 -1 0", "task": "multiclass"},
            "cross_entropy: target must be class probabilities in [0, 1]; got 2 at position "
            "(1, 0). A target is a share of its class",
        ),
        (
            {"log_probabilities": "-1 -1", "targets": "0"},
            "nll_loss: input must be log-probabilities whose exponentials sum to 1 in every row; "
            "got a sum of 0.735759 in row 0. Give logits as logits: --logits, or logits=;",
        ),
    ],
)
@pytest.mark.filterwarnings("error")
def test_faults_that_no_loss_has(numbers: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=re.escape(text)) as refused:
        read_given(**numbers)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_softmax_in_every_dtype_sums_to_one(dtype: torch.dtype, classes: int) -> None:
    """What a layer gives in a half type is taken, as it was given and rounded once more."""
    generator = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(200, classes, generator=generator)).to(dtype)
    targets = torch.zeros(200, dtype=torch.int64)
    outputs = {
        "probabilities": torch.softmax(logits, 1),
        "log_probabilities": torch.log_softmax(logits, 1),
    }
    for kind, values in outputs.items():
        for rounded_to in (None, "float64", dtype):
            found = read_given(**{kind: values, "targets": targets, "dtype": rounded_to})
            assert found.values.shape == (200, classes)
    soft = {"logits": logits, "targets": outputs["probabilities"], "task": "multiclass"}
    assert read_given(**soft).soft
    # The rounding of its own dtype, and no more.
    wrong = {torch.float16: 0.99, torch.bfloat16: 0.9, torch.float32: 0.99}[dtype]
    with pytest.raises(InputError, match="sum to 1 in every row"):
        read_given(probabilities=torch.tensor([[wrong, 0.0]], dtype=dtype), targets="0")


def test_numbers_that_a_dtype_cannot_hold_are_told() -> None:
    found = read_given(logits="1 70000 -7e4", targets="0 1 1", dtype=torch.float16)
    assert found.dtype == "float16"
    assert found.source == "text, 2 of them infinite in float16"
    assert read_given(logits="inf 2", targets="0 1", dtype="float16").source == "text"


def test_files_that_are_no_numbers(tmp_path: Path) -> None:
    def refused(file: Path | str) -> str:
        with pytest.raises(InputError) as error:
            read_numbers(str(file), "logits")
        assert "\n" not in str(error.value)
        return str(error.value)

    np.savez(tmp_path / "o.npz", x=np.array([{"a": 1}], dtype=object))
    assert "(it holds Python objects, which are never loaded)" in refused(f"{tmp_path}/o.npz:x")
    (tmp_path / "zip.npz").write_bytes(b"PK\x03\x04nothing")
    assert "a .npz file of numbers" in refused(tmp_path / "zip.npz")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    assert "a .json file of numbers" in refused(tmp_path / "deep.json")
    with (tmp_path / "huge.npy").open("wb") as file:
        shape = {"descr": "<f8", "fortran_order": False, "shape": (10**11, 2)}
        np.lib.format.write_array_header_1_0(file, shape)
    assert "huge.npy" in refused(tmp_path / "huge.npy")
    table = tmp_path / "names.csv"
    table.write_text("a,b\n")
    assert "got a line of names and nothing below it" in refused(table)
    table.write_text("a;b\n1;2\n")
    assert "whose cells are separated by semicolons" in refused(table)
    table.write_text("a,b\n1,2\n3\n")
    assert "got 2 names and 1 cells in row 1 below them" in refused(table)


def test_what_is_ignored_is_never_read() -> None:
    found = read_given(logits="nan 2; 1 2", targets="-100 0")
    assert found.counted.tolist() == [False, True]
    found = read_given(probabilities="7 0.5", targets="-1 0", ignore_index=-1)
    assert found.counted.tolist() == [False, True]


def test_a_new_row_of_the_table_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = dataclasses.replace(CONTRACTS["cross_entropy"], name="toy")
    monkeypatch.setitem(CONTRACTS, "toy", toy)
    found = read_given(logits=ROWS, targets="0 1", loss="toy", temperature=2.0)
    assert found.contract is toy
