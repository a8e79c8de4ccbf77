"""Every implementation on the same numbers: values, verdicts, reasons, and what is left out."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import xent
import xent.functional
import xent.nn
from xent._contracts import CONTRACTS, Contract
from xent._contracts._sigmoid_family import BINARY_CROSS_ENTROPY_WITH_LOGITS
from xent.walkthrough import Agreement
from xent.walkthrough._judgement import AGREES, BREAKS, DISAGREES, LOSES
from xent.walkthrough._numbers import DTYPES

CASES = settings(max_examples=25, deadline=None, derandomize=True)


def verify(*numbers: Any, **options: Any) -> Agreement:
    return xent.verify(*numbers, timed=False, **options)


def verdicts(agreement: Agreement) -> set[str]:
    rows = {row.verdict for row in agreement.rows}
    return rows | {equality.verdict for equality in agreement.equalities}


# The numbers of published notebooks.

LOSSES_LEARNED = {"logits": "1.1 2.2 0.5 -1.1 -2.2", "targets": "1 1 0 0 0", "dtype": "float32"}
CHEAT_SHEET = {"logits": "-1 0 1", "targets": "0 0 1", "dtype": "float32"}
NAMES_OF_BINARY = [
    ("NumPy, by hand", "binary, loop"),
    ("NumPy, by hand", "binary, vectorised"),
    ("NumPy, by hand", "binary, logsigmoid"),
    ("SciPy", "xlogy"),
    ("scikit-learn", "log_loss"),
    ("PyTorch", "F.binary_cross_entropy_with_logits"),
    ("PyTorch", "nn.BCEWithLogitsLoss"),
    ("PyTorch", "F.binary_cross_entropy"),
    ("PyTorch", "nn.BCELoss"),
    ("xent", "definition, in NumPy"),
    ("xent", "F.binary_cross_entropy_with_logits"),
    ("xent", "nn.BCEWithLogitsLoss"),
    ("xent", "F.binary_cross_entropy"),
    ("xent", "nn.BCELoss"),
]


def test_losses_learned() -> None:
    """S. Raschka, Losses Learned, part 1: every way gives 0.3518."""
    agreement = verify(**LOSSES_LEARNED)
    assert [(row.library, row.name) for row in agreement.rows] == NAMES_OF_BINARY
    assert {f"{row.value:.4f}" for row in agreement.rows} == {"0.3518"}
    assert verdicts(agreement) == {AGREES}
    text = str(agreement)
    assert "probabilities  0.7503 0.9002 0.6225 0.2497 0.0998\n" in text
    assert "rounded        0.3518; 0.3517828583717346, nearest in float32\n" in text
    in_torch = torch.tensor([1.1, 2.2, 0.5, -1.1, -2.2])
    value = torch.nn.BCEWithLogitsLoss()(in_torch, torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0]))
    assert f"nn.BCEWithLogitsLoss               {value.item()!r}" in text


def test_losses_learned_cheat_sheet() -> None:
    agreement = verify(**CHEAT_SHEET)
    assert {f"{row.value:.4f}" for row in agreement.rows} == {"0.4399"}
    assert "rounded        0.4399; " in str(agreement)
    assert agreement.ok


def test_bite_size_binary() -> None:
    """A published note prints 0.3566749691963196 for F.binary_cross_entropy in float32."""
    agreement = verify(probabilities="0.7 0.3", targets="1 0", dtype="float32")
    assert agreement.row("PyTorch", "F.binary_cross_entropy").value == 0.3566749691963196
    assert agreement.rounded == 0.3566749691963196
    assert "0.3566749691963196" in str(agreement)


def test_bite_size_multiclass_and_why_its_last_digit_differs() -> None:
    """And 0.22009485960006714 for F.cross_entropy, which is not the float32 nearest to it."""
    agreement = verify("1.5 -0.5; 0.5 1.5", "0 1", dtype="float32")
    assert agreement.row("PyTorch", "F.cross_entropy").value == 0.22009485960006714
    with mpmath.workprec(200):
        exact = (mpmath.log1p(mpmath.exp(-2)) + mpmath.log1p(mpmath.exp(-1))) / 2
        assert agreement.exact == mpmath.nstr(exact, 25)
    assert agreement.rounded == float(np.float32(float(exact))) == 0.22009484469890594
    said = " ".join(agreement.note.split())
    assert "0.22009485960006714" in said
    assert said.endswith(
        "not the float32 nearest to the exact loss, 0.22009484469890594: on the way to it the "
        "loss of each row, their sum and the quotient are rounded, too. An ulp is the distance "
        "from one such number to the next."
    )
    assert agreement.note in " ".join(str(agreement).split())
    assert round(agreement.row("PyTorch", "F.cross_entropy").ulp, 2) == 0.69


# The equalities, for numbers that are drawn.


@pytest.mark.parametrize("seed", range(3))
def test_functions_and_modules_and_both_ways_are_equal(seed: int) -> None:
    """Of ten logits, as in a published notebook: the very same number from class and function."""
    binary = verify(task="binary", size=10, seed=seed)
    multiclass = verify(task="multiclass", size=10, classes=2, seed=seed)
    for agreement in (binary, multiclass):
        assert verdicts(agreement) == {AGREES}
        same = [equality for equality in agreement.equalities if equality.to_the_bit]
        assert {equality.library for equality in same} == {"PyTorch", "xent"}
        assert all(equality.left_value == equality.right_value for equality in same)
    found = {(one.left, one.right) for one in binary.equalities}
    left = "F.binary_cross_entropy_with_logits(z, y)"
    assert (left, "F.cross_entropy([0, z], y)") in found
    assert (left, "F.cross_entropy([-z/2, z/2], y)") in found
    assert (left, "F.binary_cross_entropy(sigmoid(z), y)") in found
    found = {(one.left, one.right) for one in multiclass.equalities}
    left = "F.cross_entropy(x, y)"
    assert (left, "F.nll_loss(log_softmax(x), y)") in found
    assert (left, "F.binary_cross_entropy_with_logits(x1 - x0, y)") in found


def test_shapes_and_dtypes_that_each_takes() -> None:
    agreement = verify(task="binary", size=10)
    pairs = {one.right: (one.left_takes, one.right_takes) for one in agreement.equalities}
    assert pairs["F.cross_entropy([0, z], y)"] == (
        "(10,) float32, (10,) float32",
        "(10, 2) float32, (10,) int64",
    )
    takes = agreement.row("scikit-learn", "log_loss").takes
    assert takes == "probabilities: (10, 2) float32, (10,) float64"
    agreement = verify(task="multiclass", size=10, classes=4)
    takes = {row.name: row.takes for row in agreement.rows if row.library == "PyTorch"}
    assert takes["F.cross_entropy"] == "logits: (10, 4) float32, (10,) int64"
    assert takes["F.nll_loss"] == "log_softmax of logits: (10, 4) float32, (10,) int64"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_bite_size_equalities(task: str, seed: int) -> None:
    """A thousand probabilities: NumPy, SciPy and scikit-learn agree to the last digits."""
    agreement = verify(task=task, kind="probabilities", size=1000, seed=seed, dtype="float64")
    loop = [row.value for row in agreement.rows if row.name.endswith("loop")]
    values = [row.value for row in agreement.rows if not row.name.endswith("loop")]
    assert max(values) - min(values) <= 4 * np.spacing(max(values))
    assert loop == pytest.approx(values[:1], rel=1e-14)
    names = {(row.library, row.name) for row in agreement.rows}
    assert {("SciPy", "xlogy"), ("scikit-learn", "log_loss")} <= names
    if task == "binary":
        assert ("NumPy, by hand", "two-class cross entropy") in names


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_nothing_disagrees(task: str, dtype: str) -> None:
    agreement = verify(task=task, size=200, dtype=dtype, seed=5)
    assert verdicts(agreement) == {AGREES}
    assert all(row.why == "" for row in agreement.rows)


@CASES
@given(
    z=arrays.arrays(np.float32, st.integers(1, 20), elements=st.floats(-200, 200, width=32)),
    seed=st.integers(0, 100),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_whatever_the_logits_nothing_disagrees(z: Any, seed: int, dtype: str) -> None:
    target = np.random.default_rng(seed).integers(0, 2, z.shape)
    agreement = verify(z, target, dtype=dtype)
    assert agreement.ok, agreement
    ours = agreement.row("xent", "F.binary_cross_entropy_with_logits")
    assert ours.verdict == AGREES
    assert ours.ulp <= 4


@CASES
@given(
    x=arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 8), st.integers(2, 5)),
        elements=st.floats(-200, 200, width=32),
    ),
    seed=st.integers(0, 100),
)
def test_whatever_the_rows_nothing_disagrees(x: Any, seed: int) -> None:
    target = np.random.default_rng(seed).integers(0, x.shape[1], len(x))
    agreement = verify(x, target, task="multiclass")
    assert agreement.ok, agreement
    assert agreement.row("xent", "F.cross_entropy").verdict == AGREES


def test_values_and_distances_are_those_of_the_implementations() -> None:
    """Against calls made here, and mpmath's logarithm of 60 digits."""
    z, t = np.array([0.3, -4.0, 7.5]), np.array([1.0, 1.0, 0.0])
    agreement = verify(z, t)
    with mpmath.workdps(60):
        rows = [
            mpmath.log1p(mpmath.exp(-mpmath.mpf(value) if label else mpmath.mpf(value)))
            for value, label in zip(z.tolist(), t.tolist(), strict=True)
        ]
        exact = mpmath.fsum(rows) / 3
        row = agreement.row("PyTorch", "F.binary_cross_entropy_with_logits")
        theirs = torch.nn.functional.binary_cross_entropy_with_logits(
            torch.tensor(z), torch.tensor(t)
        ).item()
        assert row.value == theirs
        distance = abs(mpmath.mpf(theirs) - exact) / mpmath.mpf(2) ** -50  # ulp in [4, 8)
        assert 4 < exact < 8
        assert row.ulp == pytest.approx(float(distance), abs=1e-9)


# Extremes: what breaks, and why it is said to.


def test_logits_of_a_thousand() -> None:
    agreement = verify("-1000 1000 3", "1 0 1")
    assert agreement.exact.startswith("666.68286")
    reasons = {(row.library, row.name): (row.verdict, row.why) for row in agreement.rows}
    edge = "2 of 3 probabilities are 0 or 1 in float64"
    assert reasons["NumPy, by hand", "binary, loop"] == (BREAKS, f"{edge}: log 0 is -inf.")
    assert reasons["NumPy, by hand", "binary, vectorised"] == (
        BREAKS,
        f"{edge}: 0 * log 0 is NaN.",
    )
    assert reasons["scikit-learn", "log_loss"] == (
        BREAKS,
        "2 of 3 probabilities are within eps of 0 or 1 in float64: probabilities are clipped to "
        "[eps, 1 - eps], eps = 2.2e-16.",
    )
    floored = (BREAKS, f"{edge}: logarithms are floored at -100.")
    assert reasons["PyTorch", "F.binary_cross_entropy"] == floored
    assert reasons["xent", "F.binary_cross_entropy"] == floored
    assert reasons["NumPy, by hand", "binary, logsigmoid"] == (AGREES, "")
    for library in ("PyTorch", "xent"):
        name = "F.binary_cross_entropy_with_logits"
        assert reasons[library, name] == (AGREES, "")
    assert agreement.ok, "what breaks is explained by the numbers"


def test_softmax_that_overflows() -> None:
    agreement = verify("-1000 1000 3; 0 800 5", "1 0", dtype="float32")
    loop = agreement.row("NumPy, by hand", "multiclass, loop")
    assert math.isnan(loop.value)
    assert loop.why == (
        "2 of 6 probabilities are NaN: exp is infinite in float32, and inf / inf is NaN."
    )
    refused = agreement.row("scikit-learn", "log_loss")
    assert refused.verdict == BREAKS
    assert refused.why.endswith("; ValueError: Input contains NaN.")
    assert agreement.row("NumPy, by hand", "multiclass, log-sum-exp").value == 400.0
    assert agreement.ok


def test_digits_that_the_sigmoid_has_lost() -> None:
    agreement = verify("12 -11", "0 1", dtype="float32")
    row = agreement.row("PyTorch", "F.binary_cross_entropy")
    assert row.verdict == LOSES
    assert row.why == "The sigmoid has been rounded to float32 before its logarithm."
    assert row.ulp > 100
    assert agreement.row("xent", "F.binary_cross_entropy_with_logits").verdict == AGREES


def test_equalities_that_the_sigmoid_has_spoilt() -> None:
    left, right = (
        "F.binary_cross_entropy_with_logits(z, y)",
        "F.binary_cross_entropy(sigmoid(z), y)",
    )
    for logits, verdict, why in (
        ("40 1", BREAKS, "A probability has rounded to 0 or 1, and its logit is lost."),
        ("12 1", LOSES, "The probabilities have been rounded to float32."),
        ("2 1", AGREES, ""),
    ):
        agreement = verify(logits, "0 1", dtype="float32")
        for one in agreement.equalities:
            if (one.left, one.right) == (left, right):
                assert (one.verdict, one.why) == (verdict, why), logits
            elif one.library != "NumPy, by hand":
                assert one.verdict == AGREES
        assert agreement.ok


def test_a_loss_that_is_small_beside_its_numbers() -> None:
    agreement = verify("-30", "0", dtype="float32")
    assert agreement.row("xent", "F.binary_cross_entropy_with_logits").verdict == AGREES
    row = agreement.row("PyTorch", "F.binary_cross_entropy_with_logits")
    assert row.value == 0.0
    assert row.verdict == BREAKS
    assert row.why == (
        "float32 has no more digits for this: the loss is small beside the numbers that it is a "
        "difference of."
    )
    assert agreement.ok


# Numbers that are not for a loss.


def test_bce_given_logits_and_a_second_sigmoid() -> None:
    misuses = {one.call: one for one in verify(**LOSSES_LEARNED).misuses}
    refused = misuses["F.binary_cross_entropy(z, y)"]
    assert refused.value is None
    assert refused.error == "RuntimeError: all elements of input should be between 0 and 1"
    assert refused.why == (
        "It takes probabilities; logits lie anywhere: what is outside [0, 1] is refused, and a "
        "batch that happens to lie inside passes without a word."
    )
    twice = misuses["F.binary_cross_entropy_with_logits(sigmoid(z), y)"]
    p = torch.sigmoid(torch.tensor([1.1, 2.2, 0.5, -1.1, -2.2]))
    y = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(p, y)
    assert twice.value == expected.item()
    assert twice.why.startswith("It applies a sigmoid to probabilities:")


def test_ce_given_probabilities() -> None:
    agreement = verify(probabilities="0.7 0.2 0.1; 0.1 0.8 0.1", targets="0 1")
    misuses = {one.call: one for one in agreement.misuses}
    wrong = misuses["F.cross_entropy(p, y)"]
    assert wrong.why == "It applies a second softmax: with 3 classes no row costs less than 0.55."
    assert wrong.value is not None
    assert wrong.value > 0.55
    assert misuses["F.nll_loss(p, y)"].value == pytest.approx(-0.75)


def test_logits_that_happen_to_pass_for_probabilities() -> None:
    agreement = verify("0.2 0.9", "0 1")
    (passed,) = [one for one in agreement.misuses if one.call == "F.binary_cross_entropy(z, y)"]
    assert passed.value == pytest.approx(-(math.log(0.8) + math.log(0.9)) / 2)
    assert passed.why.endswith("These do, and the number means nothing.")


# What can fail, fails.


def test_a_wrong_implementation_disagrees(monkeypatch: pytest.MonkeyPatch) -> None:
    right = xent.functional.cross_entropy

    def wrong(*arguments: Any, **options: Any) -> Any:
        return right(*arguments, **options) * (1 + 1e-5)

    monkeypatch.setattr(xent.functional, "cross_entropy", wrong)
    agreement = verify(task="multiclass", size=20)
    assert not agreement.ok
    assert agreement.row("xent", "F.cross_entropy").verdict == DISAGREES
    assert "What must agree does not: xent F.cross_entropy; " in " ".join(str(agreement).split())
    unequal = [one for one in agreement.equalities if one.verdict == DISAGREES]
    assert {one.library for one in unequal} == {"xent"}
    assert {one.why for one in unequal} == {"More lies between them than rounding explains."}


def test_a_module_that_is_not_its_function_disagrees(monkeypatch: pytest.MonkeyPatch) -> None:
    right = xent.nn.CrossEntropyLoss.forward

    def next_number(*arguments: Any, **options: Any) -> Any:
        return torch.nextafter(right(*arguments, **options), torch.tensor(9.0))

    monkeypatch.setattr(xent.nn.CrossEntropyLoss, "forward", next_number)
    agreement = verify(task="multiclass", size=20)
    (unequal,) = [one for one in agreement.equalities if one.verdict == DISAGREES]
    assert unequal.right == "nn.CrossEntropyLoss()(x, y)"
    assert unequal.why == "A module calls the function: every bit must be the same."
    assert unequal.ulp == 1
    assert not agreement.ok


def test_an_implementation_that_raises_disagrees(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: Any, **__: Any) -> Any:
        raise ValueError("not today")

    monkeypatch.setattr("sklearn.metrics.log_loss", refusing)
    agreement = verify(task="binary", size=20)
    row = agreement.row("scikit-learn", "log_loss")
    assert (row.verdict, row.why) == (DISAGREES, "ValueError: not today")
    assert not agreement.ok


# What is not installed.


@pytest.mark.parametrize(
    ("module", "skipped", "gone"),
    [
        ("scipy.special", "SciPy", {"SciPy"}),
        ("sklearn.metrics", "scikit-learn", {"scikit-learn"}),
        ("torch", "PyTorch", {"PyTorch", "xent"}),
    ],
)
def test_a_missing_library_is_skipped_and_said(
    module: str, skipped: str, gone: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    if module == "torch":
        for name in ("torch.nn", "torch.nn.functional", "xent.functional", "xent.nn"):
            monkeypatch.setitem(sys.modules, name, None)
    agreement = verify(task="binary", size=20)
    packages = {"SciPy": "scipy", "scikit-learn": "scikit-learn", "PyTorch": "torch"}
    (why,) = [one.why for one in agreement.skipped if one.name == skipped]
    assert why.endswith(f"Run: pip install {packages[skipped]}")
    assert f"{skipped}: " in str(agreement)
    present = {row.library for row in agreement.rows if row.name != "definition, in NumPy"}
    assert present == {"NumPy, by hand", "SciPy", "scikit-learn", "PyTorch", "xent"} - gone
    assert agreement.ok


def test_without_mpmath_there_is_no_exact_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpmath", None)
    with pytest.raises(xent.XentError) as caught:
        verify(task="binary", size=5)
    assert str(caught.value) == (
        "verify needs mpmath for the exact value, which is not installed. Run: pip install mpmath"
    )


def test_nothing_is_skipped_where_all_is_there() -> None:
    assert verify(task="multiclass", size=5).skipped == ()


# Options.


EVERYWHERE = {"NumPy, by hand", "SciPy", "scikit-learn", "PyTorch", "xent"}
ARRAYS = {"NumPy, by hand", "SciPy", "scikit-learn"}


@pytest.mark.parametrize(
    ("numbers", "options", "rows"),
    [
        (("1 2 3; 4 1 0", "2 0"), {"weight": "1 2 3"}, EVERYWHERE),
        (("1 2 3; 4 1 0", "2 0"), {"label_smoothing": 0.1}, {"PyTorch", "xent"}),
        (("1 2 3; 4 1 0", "2 0"), {"sample_weight": "1 3"}, EVERYWHERE - {"PyTorch"}),
        (("1 2 3", "1 0 1"), {"pos_weight": "2"}, EVERYWHERE),
        (("1 2 3; 4 1 0", "2 -100"), {"ignore_index": -100}, EVERYWHERE),
        (("1 2 3; 4 1 0", "2 0"), {"reduction": "sum"}, EVERYWHERE),
        (("1 2 3; 4 1 0", "2 0"), {"z_loss": 0.1, "softcap": 5.0}, {"xent"}),
        (("1 2 3; 4 1 0", "2 0"), {"normalizer": 4.0}, EVERYWHERE - {"PyTorch"}),
    ],
)
def test_options_are_for_those_that_know_them(
    numbers: tuple[str, str], options: dict[str, Any], rows: set[str]
) -> None:
    agreement = verify(*numbers, **options)
    assert {row.library for row in agreement.rows} == rows
    assert verdicts(agreement) == {AGREES}
    told = {one.name for one in agreement.skipped}
    assert ARRAYS - rows <= told
    assert agreement.misuses == ()


ROWS, LOTS = "1 2 3; 4 1 0; -2 0 1; 0 5 1", "1 2 0.5 3"


@pytest.mark.parametrize(
    ("numbers", "options"),
    [
        ((ROWS, "2 0 -100 1"), {"weight": "1 2 3", "sample_weight": LOTS}),
        ((ROWS, "2 0 -100 1"), {"weight": "1 2 3", "sample_weight": LOTS, "reduction": "sum"}),
        (
            (ROWS, "0.2 0.3 0.5; 1 0 0; 0 0.5 0.5; 0 1 0"),
            {"task": "multiclass", "weight": "1 2 3", "sample_weight": LOTS},
        ),
        (
            ("1 2 -3 0.5", "1 0 1 9"),
            {"weight": LOTS, "pos_weight": "2", "sample_weight": "3 1 1 2", "ignore_index": 9},
        ),
        (
            (ROWS, "1 0 1; 0 1 1; 0 0 0; 1 1 0"),
            {"task": "multilabel", "pos_weight": "2 1 3", "sample_weight": LOTS},
        ),
    ],
)
def test_weights_by_hand_are_those_of_the_loss(
    numbers: tuple[str, str], options: dict[str, Any]
) -> None:
    """Loop, xlogy and log_loss work out weights and divisors without the contract table."""
    agreement = verify(*numbers, **options)
    asked = {row.library for row in agreement.rows}
    assert {"NumPy, by hand", "SciPy", "xent"} <= asked
    assert verdicts(agreement) == {AGREES}


def test_weights_of_probabilities() -> None:
    agreement = verify(probabilities="0.7 0.3 0.9", targets="1 0 1", sample_weight="1 2 3")
    assert verdicts(agreement) == {AGREES}
    expected = -(math.log(0.7) + 2 * math.log(0.7) + 3 * math.log(0.9)) / 6
    for name in ("binary, loop", "two-class cross entropy"):
        assert agreement.row("NumPy, by hand", name).value == pytest.approx(expected)


# Targets that are left out, though nobody has said so.


def test_the_mark_of_a_loss_needs_no_option() -> None:
    agreement = verify("1 2; 3 4", "0 -100")
    assert {row.library for row in agreement.rows} == EVERYWHERE
    assert verdicts(agreement) == {AGREES}
    for row in agreement.rows:
        assert row.value == pytest.approx(math.log1p(math.e))
    assert (agreement.equalities, agreement.misuses) == ((), ())


def test_the_mark_of_a_loss_is_no_class_from_the_end() -> None:
    """With a hundred classes and more, -100 is an index that NumPy takes."""
    x = np.random.default_rng(0).standard_normal((3, 150))
    agreement = verify(x, np.array([0, -100, 3]))
    log_p = torch.log_softmax(torch.tensor(x), dim=1)
    expected = -(log_p[0, 0] + log_p[2, 3]).item() / 2
    assert [row.value for row in agreement.rows] == pytest.approx([expected] * 15)
    assert verdicts(agreement) == {AGREES}


def test_nothing_but_what_is_left_out() -> None:
    agreement = verify("1 2; 3 4", "-100 -100")
    assert {row.library for row in agreement.rows} == {"PyTorch", "xent"}
    why = "every target is ignored, and nothing is left to compute"
    assert {(one.name, one.why) for one in agreement.skipped} == {(name, why) for name in ARRAYS}
    text = str(agreement)
    assert "All agree that there is no loss but NaN: nothing is counted," in text
    assert " 0.00" not in text, "NaN has no distance"
    assert all(math.isnan(row.ulp) for row in agreement.rows)


def test_how_many_there_are() -> None:
    assert verify("1", "0").given.startswith("1 logit in float64 from text: ")
    assert verify(size=20_000).given.startswith("20,000 logits in float32 from seed 0: ")


def test_long_numbers_fit_a_terminal() -> None:
    agreement = verify("12345.678 " * 8, "1 0 1 0 1 0 1 0")
    assert max(map(len, str(agreement).splitlines())) <= 80


def test_weights_that_are_all_zero() -> None:
    agreement = verify("1 2; 2 3", "1 0", weight="0 0")
    assert ("scikit-learn", "log_loss refuses weights that are all 0") in {
        (one.name, one.why) for one in agreement.skipped
    }
    assert verdicts(agreement) == {AGREES}
    agreement = verify("1 2 3", "1 0 1", weight="0")
    assert {row.value for row in agreement.rows} == {0}
    assert agreement.ok


# Sums that a dtype can't hold.


def test_a_count_that_float16_can_not_hold() -> None:
    agreement = verify(task="binary", dtype="float16", size=70000)
    why = "The count, 70,000, overflows float16, whose largest number is 65,504."
    for name in ("binary, loop", "binary, vectorised", "binary, logsigmoid"):
        row = agreement.row("NumPy, by hand", name)
        assert (row.value, row.verdict, row.why) == (0.0, BREAKS, why)
    assert agreement.row("PyTorch", "F.binary_cross_entropy_with_logits").verdict == AGREES
    assert agreement.ok


def test_additions_that_stop_counting() -> None:
    agreement = verify(task="binary", dtype="float16", size=8000)
    row = agreement.row("NumPy, by hand", "binary, loop")
    assert 0.5 < row.value < 0.6 < float(agreement.exact)
    assert (row.verdict, row.why) == (
        BREAKS,
        "Adding 8,000 terms one by one in float16, additions stop counting: a term is less than "
        "half a unit of the sum so far.",
    )
    assert agreement.ok


def test_many_rows_are_no_leave_to_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a unit for each addition comes to more than the whole of a float16 sum."""
    from xent.walkthrough import _definitions

    right = _definitions.binary_by_loop
    for factor in (0.9, 1.1):
        monkeypatch.setattr(
            _definitions, "binary_by_loop", lambda *given, by=factor: right(*given) * by
        )
        agreement = verify(task="binary", dtype="float32", size=20_000)
        assert agreement.row("NumPy, by hand", "binary, loop").verdict == DISAGREES
        agreement = verify(task="binary", dtype="bfloat16", size=1000)
        assert agreement.row("NumPy, by hand", "binary, loop").verdict == DISAGREES


def test_a_side_that_has_overflown_is_no_disagreement() -> None:
    agreement = verify(task="multilabel", dtype="float16", size=700, classes=200)
    (pair,) = [one for one in agreement.equalities if one.library == "NumPy, by hand"]
    assert math.isnan(pair.left_value)
    assert pair.verdict == BREAKS
    assert pair.why.startswith("The count, 140,000, overflows float16")
    assert agreement.ok


def test_a_sum_that_float16_can_not_hold() -> None:
    agreement = verify(task="binary", dtype="float16", size=90_000, reduction="sum")
    row = agreement.row("xent", "F.binary_cross_entropy_with_logits")
    assert (row.value, row.verdict, row.why) == (
        math.inf,
        BREAKS,
        "The sum overflows float16.",
    )
    assert agreement.ok


# What the head and the reasons say.


def test_the_probabilities_of_the_head_do_not_overflow() -> None:
    agreement = verify("100 0; 0 200", "0 1", dtype="float32")
    assert agreement.probabilities == pytest.approx((1, 0, 0, 1), abs=1e-30)
    assert " probabilities  1.0000 0.0000 0.0000 1.0000\n" in str(agreement)
    assert verify("-1000 1000", "0 1").probabilities == (0.0, 1.0)


def test_the_loss_of_a_probability_of_one_is_lost() -> None:
    row = verify("100 0; 0 200", "0 1", dtype="float32").row("SciPy", "xlogy")
    assert row.value == 0
    assert row.why == (
        "3 of 4 probabilities are 0 or 1 in float32: log 1 is 0, so the loss of what is so likely "
        "is lost."
    )
    row = verify("40 1", "1 0", dtype="float32").row("PyTorch", "F.binary_cross_entropy")
    assert row.verdict == AGREES, "what is lost is small beside the rest"
    row = verify("40", "1", dtype="float32").row("PyTorch", "F.binary_cross_entropy")
    assert row.why == (
        "1 of 1 probabilities is 0 or 1 in float32: log 1 is 0, so the loss of what is so likely "
        "is lost."
    )


def test_the_name_of_a_file_is_no_markup(tmp_path: Any) -> None:
    path = tmp_path / "<b>*1*.csv"
    path.write_text("1\n2\n")
    page = verify(path, "0 1").to_markdown()
    assert "\\<b\\>\\*1\\*.csv" in page.splitlines()[0]


def test_soft_targets() -> None:
    agreement = verify("1 2 3; 4 1 0", "0.2 0.3 0.5; 1 0 0", task="multiclass")
    assert verdicts(agreement) == {AGREES}
    assert agreement.skipped[0].why == "log_loss takes labels, no probabilities"
    agreement = verify("1 2 -3", "0.2 0.5 1")
    assert verdicts(agreement) == {AGREES}


def test_log_probabilities() -> None:
    agreement = verify(task="multiclass", kind="log-probabilities", size=30)
    assert verdicts(agreement) == {AGREES}
    names = {(row.library, row.name) for row in agreement.rows}
    assert {("PyTorch", "F.nll_loss"), ("PyTorch", "F.cross_entropy")} <= names


def test_another_loss() -> None:
    agreement = verify("1 2 3; 4 1 0", "2 0", loss="softmax_focal_loss", gamma=1.5)
    assert [row.name for row in agreement.rows] == [
        "definition, in NumPy",
        "F.softmax_focal_loss",
        "nn.SoftmaxFocalLoss",
    ]
    assert verdicts(agreement) == {AGREES}
    agreement = verify("1 2 3", "1 0 1", loss="sigmoid_focal_loss")
    assert "nn.SigmoidFocalLoss" in {row.name for row in agreement.rows}
    assert agreement.ok


# A new loss.


def squared(xp: Any, *, input: Any, target: Any) -> Any:
    """The squared distance of sigmoid(z) from the target."""
    return (1 / (1 + xp.exp(-input)) - target) ** 2


@pytest.fixture
def row() -> Iterator[Contract]:
    """A row more in the table."""
    from dataclasses import replace

    plain = BINARY_CROSS_ENTROPY_WITH_LOGITS
    CONTRACTS["squared_error"] = replace(
        plain, name="squared_error", arguments=plain.arguments[:2], definition=squared,
        also_known_as=(), twin=None,
    )  # fmt: skip
    yield CONTRACTS["squared_error"]
    del CONTRACTS["squared_error"]


def test_a_new_row_is_verified(row: Contract, monkeypatch: pytest.MonkeyPatch) -> None:
    agreement = verify("0.5 -1 2", "1 0 0", loss="squared_error")
    assert [one.name for one in agreement.rows] == ["definition, in NumPy"]
    assert ("xent.functional.squared_error", "there is none") in {
        (one.name, one.why) for one in agreement.skipped
    }

    def function(input: Any, target: Any, reduction: str = "mean") -> Any:
        return ((torch.sigmoid(input) - target) ** 2).mean()

    monkeypatch.setattr(xent.functional, "squared_error", function, raising=False)
    agreement = verify("0.5 -1 2", "1 0 0", loss="squared_error")
    p = 1 / (1 + np.exp(-np.array([0.5, -1, 2])))
    expected = float(np.mean((p - [1, 0, 0]) ** 2))
    assert [one.value for one in agreement.rows] == pytest.approx([expected, expected])
    assert agreement.row("xent", "F.squared_error").verdict == AGREES


# Numbers that are drawn.


def test_drawn_numbers_depend_on_the_seed_alone() -> None:
    first, again, other = (verify(task="multiclass", size=50, seed=seed) for seed in (1, 1, 2))
    assert first.exact == again.exact
    assert first.exact != other.exact
    assert verify(size=5, dtype=torch.float16).dtype == "float16"  # type: ignore[arg-type]
    assert first.given == "50 x 3 logits in float32 from seed 1: the mean of cross_entropy"


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ({"loss": "softmax_focal_loss", "gamma": 1.5}, "9 x 3 logits in float32 from seed 0: the "
         "mean of softmax_focal_loss, gamma 1.5"),
        ({"loss": "nll_loss"}, "9 x 3 log-probabilities in float32 from seed 0: the mean of "
         "nll_loss"),
        ({"loss": "binary_cross_entropy"}, "9 probabilities in float32 from seed 0: the mean of "
         "binary_cross_entropy"),
        ({"loss": "sigmoid_focal_loss", "task": "multilabel"}, "9 x 3 logits in float32 from seed "
         "0: the mean of sigmoid_focal_loss"),
        ({"task": "multiclass", "weight": "1 2 3"}, "9 x 3 logits in float32 from seed 0: the "
         "mean of cross_entropy, weight given"),
        ({"label_smoothing": 0.1}, "9 logits in float32 from seed 0: the mean of "
         "binary_cross_entropy_with_logits, label_smoothing 0.1"),
    ],
)  # fmt: skip
def test_drawn_numbers_for_a_loss_and_its_options(options: dict[str, Any], given: str) -> None:
    agreement = verify(size=9, **options)
    assert agreement.given == given
    assert verdicts(agreement) == {AGREES}
    assert agreement.exact != verify(size=9, seed=1, **options).exact


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "verify: size must be at least 1; got 0. Give 1."),
        ({"classes": 1}, "verify: classes must be at least 2; got 1. Give 2."),
        (
            {"kind": "scores"},
            "verify: kind must be one of logits, probabilities, log-probabilities; got 'scores'. "
            "Give 'logits'.",
        ),
        (
            {"task": "ranking"},
            "verify: task must be one of binary, multiclass, multilabel; got 'ranking'. "
            "Give 'binary'.",
        ),
        (
            {"dtype": "int8"},
            "dtype must be one of float16, bfloat16, float32, float64; got 'int8'. Give float32.",
        ),
        (
            {"class_dim": 1},
            "verify: class_dim must be left out where numbers are drawn; got 1. "
            "Classes are then on axis 1.",
        ),
        ({"size": 2.5}, "verify: size must be a whole number; got 2.5. Give 1, or more."),
        ({"seed": "a"}, "verify: seed must be a whole number; got 'a'. Give 0, or more."),
        ({"seed": -1}, "verify: seed must be at least 0; got -1. Give 0."),
        (
            {"size": 99999999999},
            "verify: size must be at most 10,000,000, for 10,000,000 numbers are drawn at most; "
            "got 99,999,999,999. Give 1000.",
        ),
        (
            {"task": "binary", "loss": "nll_loss"},
            "verify: task must be 'multiclass'; got 'binary'. Give 'multiclass'.",
        ),
        (
            {"logits": "1 2", "targets": "0 1", "reduction": "none"},
            "verify: reduction must be 'mean' or 'sum'; got 'none'. "
            "One number is compared, not many.",
        ),
    ],
)
def test_refusals(options: dict[str, Any], message: str) -> None:
    with pytest.raises(xent.InputError) as caught:
        verify(**options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "numbers",
    [("1 2; 3", "0 1"), ("1 2 3; 4 5 6", "0 3"), ("1 nan", "0 1"), ("1 2", "0 1 1")],
)
def test_bad_numbers_get_the_error_of_the_contract(numbers: tuple[str, str]) -> None:
    with pytest.raises(xent.InputError):
        verify(*numbers)


def test_large_inputs_have_a_reference_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The definition in float64 with an exact sum is as good as 240 bits to 1e-14."""
    exact = verify(task="multiclass", size=300).exact
    monkeypatch.setattr("xent.walkthrough._verify.LARGEST_EXACT", 10)
    agreement = verify(task="multiclass", size=300)
    assert float(agreement.exact) == pytest.approx(float(exact), rel=1e-14)
    assert agreement.ok


# The forms of the answer.


def test_json_holds_every_number() -> None:
    agreement = verify("-1000 1000 3", "1 0 1")
    document = json.loads(agreement.to_json())
    assert document["ok"] is True
    assert len(document["rows"]) == len(agreement.rows)
    assert document["rows"][0]["value"] == "inf"
    assert document["exact"] == agreement.exact


def test_times_are_measured_if_asked_for() -> None:
    agreement = xent.verify(task="binary", size=5)
    assert all(row.seconds is not None and row.seconds > 0 for row in agreement.rows)
    assert "a call" in str(agreement)
    assert all(row.seconds is None for row in verify(task="binary", size=5).rows)


def test_text_and_markdown_name_every_row() -> None:
    agreement = verify(task="multilabel", size=5)
    text, page = str(agreement), agreement.to_markdown()
    for row in agreement.rows:
        assert row.name in text
        assert f"`{row.name}` | {row.takes} | {row.value!r} |" in page
    assert max(map(len, text.splitlines())) <= 80
    assert text.splitlines()[-1] == "All that must agree does."
    assert page.endswith("**All that must agree does.**")
    assert repr(agreement) == (
        "<Agreement on binary_cross_entropy_with_logits: 14 values, ok=True>"
    )
    with pytest.raises(KeyError, match=r"PyTorch: F\.nothing; the rows are NumPy"):
        agreement.row("PyTorch", "F.nothing")


def test_a_logarithm_that_is_floored_excuses_an_equality():
    agreement = verify([-101.0], [1.0], task="binary")
    assert agreement.ok
    said = str(agreement)
    assert "A probability is below exp(-100), and logarithms are floored at -100" in " ".join(
        said.split()
    )
