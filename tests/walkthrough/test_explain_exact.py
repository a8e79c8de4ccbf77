"""The exact value of every loss of the table, and the distance from it in ulp."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st

from xent._contracts import CONTRACTS
from xent.walkthrough._exact import digits, exact_denominator, exact_loss, exact_rows, ulps
from xent.walkthrough._inputs import read_given

CASES = settings(max_examples=40, deadline=None, derandomize=True)


@pytest.mark.parametrize("z", [-1000.0, -40.0, -1e-12, 0.0, 3.0, 745.0, 1e4])
@pytest.mark.parametrize("t", [0.0, 0.25, 1.0])
def test_binary(z: float, t: float) -> None:
    found = exact_loss(read_given(logits=[z], targets=[t]))
    with mpmath.workdps(4400):
        exact = t * mpmath.log1p(mpmath.exp(-mpmath.mpf(z)))
        exact += (1 - mpmath.mpf(t)) * mpmath.log1p(mpmath.exp(mpmath.mpf(z)))
        assert abs(found - exact) <= exact * mpmath.mpf(2) ** -200


def test_rows_with_every_option() -> None:
    x, weight = [[1.0, -2.0, 0.5], [0.1, 0.2, 0.3]], [1.0, 2.0, 0.5]
    found = read_given(
        logits=x, targets=[2, 1], weight=weight, label_smoothing=0.1, sample_weight=[0.7, 1.3],
        z_loss=0.01, temperature=2.0, softcap=5.0, logit_adjustment=[0.1, 0.0, -0.1],
    )  # fmt: skip
    with mpmath.workdps(70):
        total = mpmath.mpf(0)
        for row, target, share in zip(x, [2, 1], [0.7, 1.3], strict=True):
            seen = [
                5 * mpmath.tanh(mpmath.mpf(logit) / 5) / 2 + mpmath.mpf(offset)
                for logit, offset in zip(row, [0.1, 0.0, -0.1], strict=True)
            ]
            lse = mpmath.log(mpmath.fsum(map(mpmath.exp, seen)))
            loss = (1 - mpmath.mpf(0.1)) * (lse - seen[target]) + mpmath.mpf(0.01) * lse**2
            spread = mpmath.fsum(w * (lse - s) for w, s in zip(weight, seen, strict=True))
            total += share * (weight[target] * loss + mpmath.mpf(0.1) / 3 * spread)
        expected = total / (mpmath.mpf(0.7) * 0.5 + mpmath.mpf(1.3) * 2)
        assert abs(exact_loss(found) / expected - 1) < mpmath.mpf(10) ** -60


@CASES
@hypothesis_given(data=st.data())
def test_every_definition_rounds_to_its_exact_value(data: st.DataObject) -> None:
    """The same definition in float64 is near: only a rounding error lies between."""
    name = data.draw(st.sampled_from([n for n, row in CONTRACTS.items() if row.denominator]))
    domain = CONTRACTS[name].argument("input").domains[0].name
    seed = data.draw(st.integers(0, 10**6))
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 10, (3, 4))
    options: dict[str, Any] = {"loss": name, "targets": [0, 3, 1]}
    if domain == "probability" or name.startswith(("binary", "sigmoid")):
        options["targets"] = generator.random((3, 4))
    if domain == "logit":
        options["logits"] = logits
    elif domain == "probability":
        options["probabilities"] = 1 / (1 + np.exp(-logits))
    else:
        options["log_probabilities"] = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    found = read_given(**options, task=None)
    losses = np.ravel(found.contract.definition(np, **found.arguments()))
    exact = [float(loss) for loss in exact_rows(found)]
    np.testing.assert_allclose(losses, exact, rtol=1e-12, atol=1e-300)


def test_class_probabilities_are_taken_the_logarithm_of_exactly() -> None:
    found = read_given(probabilities=[[0.1, 0.9], [0.0, 1.0]], targets=[0, 1])
    with mpmath.workdps(60):
        assert abs(exact_rows(found)[0] + mpmath.log(mpmath.mpf(0.1))) < mpmath.mpf(10) ** -55
    assert exact_rows(found)[1] == 0
    assert exact_loss(read_given(probabilities=[[0.0, 1.0]], targets=[0])) == mpmath.inf


def test_reductions_and_denominators() -> None:
    numbers: dict[str, Any] = {"logits": [0.0, 0.0, 9.0], "targets": [0, 1, -1], "ignore_index": -1}
    log2 = math.log(2)
    assert float(exact_loss(read_given(**numbers))) == pytest.approx(log2)
    assert float(exact_loss(read_given(**numbers, reduction="sum"))) == pytest.approx(2 * log2)
    assert float(exact_loss(read_given(**numbers, normalizer=8.0))) == pytest.approx(log2 / 4)
    assert exact_denominator(read_given(**numbers)) == 2
    nothing = {"logits": [[1.0, 2.0]], "targets": [-100]}
    assert mpmath.isnan(exact_loss(read_given(**nothing)))
    assert exact_loss(read_given(**nothing, all_ignored="zero")) == 0


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("exponent", [-14, -3, 0, 1, 9])
def test_ulps_are_numpys_spacing(dtype: str, exponent: int) -> None:
    one = np.dtype(dtype).type(1.5) * np.dtype(dtype).type(2.0) ** exponent
    after = np.nextafter(one, np.dtype(dtype).type(np.inf))
    assert ulps(float(after), mpmath.mpf(float(one)), dtype) == 1.0
    assert ulps(float(one), mpmath.mpf(float(one)), dtype) == 0.0


def test_ulps_of_what_is_not_finite_and_of_the_smallest() -> None:
    assert ulps(math.inf, mpmath.inf, "float32") == 0.0
    assert ulps(math.inf, mpmath.mpf(1), "float32") == math.inf
    assert math.isnan(ulps(math.nan, mpmath.mpf(1), "float32"))
    assert ulps(5e-324, mpmath.mpf(0), "float64") == 1.0
    assert ulps(0.0, mpmath.exp(-1000), "float64") < 1e-100
    assert ulps(2.0**-7 + 1, mpmath.mpf(1), "bfloat16") == 1.0


def test_digits() -> None:
    assert digits(mpmath.mpf(1) / 3, 5) == "0.33333"
    assert digits(mpmath.mpf("nan")) == "nan"
    assert digits(mpmath.inf) == "inf"
