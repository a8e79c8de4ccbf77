"""Every number that two tutorials print for fixed inputs is in the explanation of these inputs.

"Binary and multiclass loss functions in PyTorch" (a notebook) and Sebastian Raschka's "Losses
Learned" (part 1, 2022). Numbers are looked for as whole words, so that 0.4485 isn't found in
10.4485.
"""

from __future__ import annotations

import re

import pytest
import torch

from xent.walkthrough import Explanation, explain
from xent.walkthrough._computed_rows import single_log_softmax
from xent.walkthrough._tables import REAL, formatted

LOGITS = "-5 10 1.2 3 -4; 5 -4 0.1 1 0.1; 1 3 2.5 -0.1 2.5; -7 2.5 0.1 3.1 0.2"


def words(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w.])-?(?:inf|\d+(?:\.\d+)?(?:e[+-]\d+)?)(?![\w])", text))


def missing(printed: str, explanation: Explanation) -> list[str]:
    """What of the printed numbers the text doesn't show."""
    shown = words(explanation.to_text())
    return [number for number in printed.split() if number not in shown]


class TestLossFunctionsInPyTorch:
    binary = explain(logits="-0.1 2 3 0.5", targets="0 1 1 0")
    multiclass = explain(logits=LOGITS, targets="0 2 3 1")

    def test_probabilities_and_their_logarithms(self) -> None:
        assert not missing("0.4750 0.8808 0.9526 0.6225", self.binary)
        assert not missing("-0.7444 -0.1269 -0.0486 -0.4741", self.binary)

    def test_binary_loss(self) -> None:
        assert not missing("0.6444 0.1269 0.0486 0.9741 0.4485", self.binary)

    def test_better_probabilities(self) -> None:
        better = explain(probabilities="0.01 0.9 0.99 0.1", targets="0 1 1 0")
        assert not missing("0.0577", better)

    def test_input_and_one_hot(self) -> None:
        printed = "-5.0000 10.0000 1.2000 3.0000 -4.0000 2.5000 -0.1000 -7.0000 3.1000 0.2000"
        assert not missing(printed, self.multiclass)
        one_hot = self.multiclass.step("target").tables[0].blocks[0].values.tolist()
        assert one_hot == [[1, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 1, 0, 0, 0]]

    def test_softmax(self) -> None:
        numerator = (
            "6.7379e-03 2.2026e+04 3.3201e+00 2.0086e+01 1.8316e-02 1.4841e+02 1.1052e+00 "
            "2.7183e+00 1.2182e+01 9.0484e-01 9.1188e-04 2.2198e+01 1.2214e+00"
        )
        quotient = (
            "3.0558e-07 9.9894e-01 1.5057e-04 9.1091e-04 8.3065e-07 9.6774e-01 1.1943e-04 "
            "7.2064e-03 1.7725e-02 5.6544e-02 4.1781e-01 2.5341e-01 1.8822e-02 2.4842e-05 "
            "3.3188e-01 3.0107e-02 6.0472e-01 3.3274e-02"
        )
        assert not missing(numerator, self.multiclass)
        assert not missing("22049.8965 153.3601 48.0736 36.7079", self.multiclass)
        assert not missing(f"{quotient} 1.0000", self.multiclass)

    def test_shapes(self) -> None:
        text = " ".join(self.multiclass.to_text().split())
        for shape in ("(4, 5)", "(4,)", "(4, 1)"):
            assert f"shape {shape}" in text or f"column, {shape}" in text

    def test_prediction(self) -> None:
        prediction = self.multiclass.step("prediction").tables[0].blocks[0]
        assert prediction.values.ravel().tolist() == [1, 0, 1, 3]

    def test_the_right_class_and_the_infinite_rest(self) -> None:
        assert not missing("0.0000e+00 15.0011 4.9328 3.9727 1.1030 inf", self.multiclass)
        naive = self.multiclass.step("picked").tables[1].blocks[0].values
        assert (naive == float("inf")).sum() == 16

    def test_loss(self) -> None:
        assert not missing("6.2524", self.multiclass)

    def test_log_softmax(self) -> None:
        printed = (
            "-1.5001e+01 -1.0631e-03 -8.8011e+00 -7.0011e+00 -1.4001e+01 -3.2789e-02 -9.0328e+00 "
            "-4.9328e+00 -4.0328e+00 -2.8727e+00 -8.7273e-01 -1.3727e+00 -3.9727e+00 -1.0603e+01 "
            "-1.1030e+00 -3.5030e+00 -5.0299e-01 -3.4030e+00"
        )
        assert not missing(printed, self.multiclass)

    def test_why_a_last_digit_differs(self) -> None:
        """PyTorch's -1.0631e-03 stands beside the exact value, with its reason."""
        assert not missing("-1.0632e-03 -1.06319e-03 1.19e-07", self.multiclass)
        sentence = self.multiclass.step("float32").sentence
        assert sentence.startswith(
            "PyTorch in float32 prints another last digit: row 0, class 1: -1.0631e-03 in float32, "
            "-1.06319e-03 exactly. It takes the logarithm of the whole sum, which float32 rounds"
        )
        logits = torch.tensor([[float(x) for x in row.split()] for row in LOGITS.split(";")])
        theirs = torch.log_softmax(logits, dim=1).double().numpy()
        assert formatted(single_log_softmax(logits.double().numpy()), REAL) == formatted(
            theirs, REAL
        )

    def test_no_such_step_where_no_digit_differs(self) -> None:
        assert "float32" not in [step.key for step in explain(logits="1 2", targets="1").steps]


class TestLossesLearned:
    @pytest.mark.parametrize(
        ("logits", "targets", "printed"),
        [
            (
                "1.1 2.2 0.5 -1.1 -2.2",
                "1 1 0 0 0",
                "0.7503 0.9002 0.6225 0.2497 0.0998 0.3518",
            ),
            ("-1 0 1", "0 0 1", "0.4399"),
        ],
    )
    def test_from_logits_and_from_probabilities(
        self, logits: str, targets: str, printed: str
    ) -> None:
        from_logits = explain(logits=logits, targets=targets, dtype="float32")
        assert not missing(printed, from_logits)
        p = torch.sigmoid(torch.tensor([float(z) for z in logits.split()]))
        assert not missing(printed, explain(probabilities=p, targets=targets))


class TestBinaryAgainstCategorical:
    """Notebook on the difference between binary cross-entropy and cross-entropy."""

    def test_all_digits_that_float32_has(self) -> None:
        binary = explain(probabilities="0.7 0.3", targets="1 0", dtype="float32")
        assert not missing("0.3566749691963196", binary)
        # The notebook prints 0.22009485960006714 here, one step of float32 above the nearest.
        logits = explain(logits="1.5 -0.5; 0.5 1.5", targets="0 1", dtype="float32")
        assert not missing("0.22009484469890594", logits)
        assert logits.exact.startswith("0.2200948492")
        assert "1.49e-08 apart" in logits.step("result").sentence
