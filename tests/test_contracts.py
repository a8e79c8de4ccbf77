"""The contract table: complete, consistent, and its definitions are what they say."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import subprocess
import sys
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
import torch.nn.functional as torch_functional
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies import (
    FLOATING,
    SEEN_AROUND,
    SEEN_BY_KERNELS,
    Case,
    Sizes,
    breaker,
    valid_inputs,
)
from xent._contracts import CONTRACTS, Contract, Domain
from xent._contracts._domains import CLASS_INDEX, LOG_PROBABILITY, LOGIT, PROBABILITY, SCALE

CASES = settings(max_examples=60, deadline=None, derandomize=True)
names = pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)
in_torch = pytest.mark.parametrize(
    "name",
    ["binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "nll_loss"],
)
IN_DEFINITION = ("reduction", "normalizer", "all_ignored")  # these are about what follows it


# The table itself.


def test_the_losses() -> None:
    assert set(CONTRACTS) == {
        "binary_cross_entropy",
        "binary_cross_entropy_with_logits",
        "cross_entropy",
        "nll_loss",
        "sigmoid_focal_loss",
        "softmax_focal_loss",
        "cross_entropy_statistics",
    }


def test_nothing_is_imported_for_the_table() -> None:
    code = "import sys, xent._contracts; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@names
def test_siblings_and_twins_exist_and_answer(contract: Contract) -> None:
    assert contract.siblings
    for sibling in contract.siblings:
        assert sibling.name in CONTRACTS
        assert sibling.name != contract.name
    if contract.twin is not None:
        assert CONTRACTS[contract.twin].twin == contract.name
        assert contract.twin in {sibling.name for sibling in contract.siblings}


@names
def test_other_names_exist(contract: Contract) -> None:
    for name in contract.also_known_as:
        module, _, attribute = name.rpartition(".")
        if module.startswith("torch.") or module == "torch":
            assert callable(getattr(importlib.import_module(module), attribute))


@in_torch
def test_arguments_are_those_of_torch_in_its_order(name: str) -> None:
    theirs = [
        argument
        for argument in inspect.signature(getattr(torch_functional, name)).parameters
        if argument not in ("size_average", "reduce")
    ]
    ours = [argument for argument in CONTRACTS[name].arguments if not argument.keyword_only]
    assert [argument.name for argument in ours] == theirs
    parameters = inspect.signature(getattr(torch_functional, name)).parameters
    for argument in ours:
        default = parameters[argument.name].default
        expected = None if default is inspect.Parameter.empty else repr(default)
        assert argument.default == expected


@names
def test_signatures_are_those_of_the_table(contract: Contract) -> None:
    functional = importlib.import_module("xent.functional")
    parameters = inspect.signature(getattr(functional, contract.name)).parameters
    found = [
        (
            name,
            None if parameter.default is inspect.Parameter.empty else repr(parameter.default),
            parameter.kind is inspect.Parameter.KEYWORD_ONLY,
        )
        for name, parameter in parameters.items()
        if name not in ("size_average", "reduce")
    ]
    told = [
        (argument.name, argument.default, argument.keyword_only) for argument in contract.arguments
    ]
    assert found == told


def test_codes_and_names_of_faults_are_never_shared() -> None:
    faults = {
        (fault.code, fault.name) for contract in CONTRACTS.values() for fault in contract.errors
    }
    assert len({code for code, _ in faults}) == len({name for _, name in faults}) == len(faults)
    for code, name in faults:
        assert re.fullmatch(r"XE4\d\d", code)
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)


def test_no_code_is_a_rule_of_check_too() -> None:
    from xent.wiring import RULES

    faults = {fault.code for contract in CONTRACTS.values() for fault in contract.errors}
    assert not faults & set(RULES)


@names
def test_every_fault_has_a_sample(contract: Contract) -> None:
    assert len(set(contract.errors)) == len(contract.errors)
    for fault in contract.errors:
        assert fault.name in SEEN_AROUND or callable(breaker(contract, fault))
        assert "" in fault.repairs
    assert {"index-out-of-range"} <= SEEN_BY_KERNELS


def test_domains() -> None:
    assert LOGIT.contains(-1e30)
    assert not LOG_PROBABILITY.contains(0.1)
    assert PROBABILITY.contains(1)
    assert not PROBABILITY.contains(float("nan"))
    assert not SCALE.contains(0)
    assert not CLASS_INDEX.contains(1.5, {"classes": 5})
    assert Domain("x", "xs", 0, 5, (False, True), whole=True).interval == "whole numbers in (0, 5]"


def test_a_new_loss_is_a_row() -> None:
    """A copy of a row under another name is a whole contract: nothing else knows the names."""
    toy = dataclasses.replace(CONTRACTS["nll_loss"], name="toy", twin=None)
    assert toy.argument("target").domains == (CLASS_INDEX,)
    assert toy.fault("index-shape").code == "XE406"
    assert repr(toy) == "<Contract toy>"


# What is drawn from the table lies in its domains.


@names
@CASES
@given(data=st.data())
def test_drawn_values_lie_in_their_domains(contract: Contract, data: st.DataObject) -> None:
    case = data.draw(valid_inputs(contract))
    axis = case.get("class_dim")
    for name, value in case.items():
        if not isinstance(value, torch.Tensor):
            continue
        classes = case["input"].shape[axis if axis is not None else min(1, case["input"].ndim - 1)]
        tolerance = 0.01 if value.dtype in (torch.bfloat16, torch.float16) else 1e-6
        assert any(
            all(
                domain.contains(number, {"classes": classes})
                or (domain.normalised and domain.contains(number - tolerance))
                for number in value.double().flatten().tolist()
            )
            for domain in contract.argument(name).domains
        )


# Definitions.


def definition_of(contract: Contract, case: Case, xp: Any = np) -> tuple[Any, Any]:
    """Losses and the mean's denominator, computed from the table alone."""
    arrays = {
        key: value.double().numpy()
        if isinstance(value, torch.Tensor) and value.is_floating_point() and xp is np
        else value.numpy()
        if isinstance(value, torch.Tensor) and xp is np
        else value
        for key, value in case.items()
        if key not in IN_DEFINITION
    }
    denominator = contract.denominator
    losses = contract.definition(xp, **arrays)
    return losses, denominator(xp, **arrays) if denominator is not None else None


@in_torch
@CASES
@given(data=st.data())
def test_definitions_are_those_of_torch(name: str, data: st.DataObject) -> None:
    contract = CONTRACTS[name]
    positions = data.draw(st.lists(st.integers(0, 3), max_size=2).map(tuple))
    size = Sizes((data.draw(st.integers(0, 3)),), 4, positions)
    case = data.draw(valid_inputs(contract, ("float64", "int64"), size))
    ours = {argument.name for argument in contract.arguments if argument.keyword_only}
    case = {key: value for key, value in case.items() if key not in ours | {"reduction"}}
    losses, denominator = definition_of(contract, case)
    case = {key: as_float(value, key, case) for key, value in case.items()}
    theirs = getattr(torch_functional, name)
    expected = theirs(**case, reduction="none")
    np.testing.assert_allclose(losses, expected.numpy(), rtol=1e-9, atol=1e-12)
    mean = theirs(**case).item()
    if denominator:
        assert np.sum(losses) / denominator == pytest.approx(mean, rel=1e-9, abs=1e-12)
    else:
        assert np.isnan(mean)


def as_float(value: Any, key: str, case: Case) -> Any:
    """Integer targets of elements and integer weights, for which torch wants floats."""
    elements = case["target"].shape == case["input"].shape
    if isinstance(value, torch.Tensor) and (key != "target" or elements):
        return value.double()
    return value


@names
@CASES
@given(data=st.data())
def test_definitions_are_the_same_in_torch_and_numpy(
    contract: Contract, data: st.DataObject
) -> None:
    case = data.draw(valid_inputs(contract, (*FLOATING[1:], "int64")))
    here, there = definition_of(contract, case), definition_of(contract, case, torch)
    if not isinstance(here[0], tuple):
        here, there = ((here[0],), here[1]), ((there[0],), there[1])
    for numpys, torchs in zip(here[0], there[0], strict=True):
        np.testing.assert_allclose(numpys, np.asarray(torchs), rtol=1e-6, atol=1e-7)
    if here[1] is not None:
        np.testing.assert_allclose(here[1], np.asarray(there[1]), rtol=1e-6)


LOGITS = [0.0, 1e-12, 3.0, 40.0, 745.0, 1e4]


@pytest.mark.parametrize("z", [*LOGITS, *(-z for z in LOGITS)])
@pytest.mark.parametrize("t", [0.0, 0.25, 1.0])
def test_binary_definition_against_exact_values(z: float, t: float) -> None:
    definition = CONTRACTS["binary_cross_entropy_with_logits"].definition
    found = definition(np, input=np.array(z), target=np.array(t))
    with mpmath.workdps(60):
        exact = t * mpmath.log1p(mpmath.exp(-mpmath.mpf(z)))
        exact += (1 - mpmath.mpf(t)) * mpmath.log1p(mpmath.exp(mpmath.mpf(z)))
        assert float(found) == pytest.approx(float(exact), rel=4e-16, abs=1e-320)


@pytest.mark.parametrize("p", [1e-300, 1e-40, 1e-20, 1e-8, 0.5, 1 - 2**-53])
@pytest.mark.parametrize("t", [0.0, 0.25, 1.0])
def test_probability_definition_against_exact_values(p: float, t: float) -> None:
    found = CONTRACTS["binary_cross_entropy"].definition(np, input=np.array(p), target=np.array(t))
    with mpmath.workdps(60):
        log_p = max(mpmath.log(mpmath.mpf(p)), -100)
        log_q = max(mpmath.log1p(-mpmath.mpf(p)), -100)
        exact = -(t * log_p + (1 - mpmath.mpf(t)) * log_q)
        assert float(found) == pytest.approx(float(exact), rel=4e-16)


def test_a_probability_of_zero_costs_100() -> None:
    definition = CONTRACTS["binary_cross_entropy"].definition
    found = definition(np, input=np.array([0.0, 1.0, 0.0, 1.0]), target=np.array([1, 0, 0, 1]))
    np.testing.assert_array_equal(found, [100.0, 100.0, 0.0, 0.0])


@pytest.mark.parametrize("gap", [*LOGITS, *(-gap for gap in LOGITS)])
def test_categorical_definition_against_exact_values(gap: float) -> None:
    rows = np.array([[gap, 0.0, -1.0]])
    found = CONTRACTS["cross_entropy"].definition(np, input=rows, target=np.array([0]))
    with mpmath.workdps(60):
        terms = mpmath.exp(-mpmath.mpf(gap)) + mpmath.exp(-1 - mpmath.mpf(gap))
        assert float(found[0]) == pytest.approx(float(mpmath.log1p(terms)), rel=1e-15, abs=1e-320)


def test_impossible_classes_and_ignored_rows() -> None:
    inf, nan = np.inf, np.nan
    definition = CONTRACTS["cross_entropy"].definition
    rows = np.array([[0.0, 0.0, -inf], [nan, inf, -inf], [0.0, -inf, 0.0]])
    found = definition(np, input=rows, target=np.array([0, -100, 1]))
    np.testing.assert_allclose(found, [np.log(2), 0.0, inf])
    dropped = definition(
        np,
        input=rows[:1],
        target=np.array([0]),
        weight=np.array([1.0, 1.0, 0.0]),
        label_smoothing=0.3,
    )
    np.testing.assert_allclose(dropped, [np.log(2) * (0.7 + 0.2)])
    soft = definition(np, input=rows[:1], target=np.array([[0.5, 0.5, 0.0]]))
    np.testing.assert_allclose(soft, [np.log(2)])


def test_options_of_cross_entropy() -> None:
    """Capped first, then divided by the temperature, then adjusted; the penalty is weighted."""
    x, y = np.array([[2.0, -1.0, 0.5]]), np.array([2])
    weight, offset = np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 0.3])
    seen = 4 * np.tanh(x / 4) / 2 + offset
    log_sum_exp = np.log(np.exp(seen).sum())
    losses = log_sum_exp - seen[0]
    expected = 3 * (0.9 * losses[2] + 0.01 * log_sum_exp**2) + 0.1 / 3 * (weight * losses).sum()
    found = CONTRACTS["cross_entropy"].definition(
        np,
        input=x,
        target=y,
        weight=weight,
        sample_weight=np.array([0.5]),
        label_smoothing=0.1,
        z_loss=0.01,
        softcap=4.0,
        temperature=2.0,
        logit_adjustment=offset,
    )
    np.testing.assert_allclose(found, [0.5 * expected], rtol=1e-14)


def test_options_of_elements() -> None:
    z, t = np.array([[1.0, -2.0]]), np.array([[1, 0]])
    p = 1 / (1 + np.exp(-z))
    smooth = 0.8 * t + 0.1
    loss = -(3 * smooth * np.log(p) + (1 - smooth) * np.log(1 - p))
    options = {
        "target": t,
        "pos_weight": np.array([3.0]),
        "weight": np.array([2.0, 1.0]),
        "sample_weight": np.array([0.5]),
        "label_smoothing": 0.2,
    }
    expected = loss * [[1.0, 0.5]]
    for name, x in (("binary_cross_entropy_with_logits", z), ("binary_cross_entropy", p)):
        found = CONTRACTS[name].definition(np, input=x, **options)
        np.testing.assert_allclose(found, expected, rtol=1e-13)
        counted = CONTRACTS[name].denominator(np, input=x, **options, ignore_index=0)
        assert counted == 0.5


def test_focal_losses() -> None:
    """Written as in the paper, and plain cross-entropy where gamma is 0."""
    z, t = np.array([0.5, -3.0]), np.array([1.0, 0.0])
    p = 1 / (1 + np.exp(-z))
    p_t, alpha_t = np.where(t == 1, p, 1 - p), np.where(t == 1, 0.25, 0.75)
    focal = CONTRACTS["sigmoid_focal_loss"].definition
    expected = -alpha_t * (1 - p_t) ** 2 * np.log(p_t)
    np.testing.assert_allclose(focal(np, input=z, target=t), expected, rtol=1e-13)
    x, y = np.array([[0.5, 1.0, -2.0]]), np.array([1])
    q = np.exp(x[0, 1]) / np.exp(x).sum()
    found = CONTRACTS["softmax_focal_loss"].definition(np, input=x, target=y)
    np.testing.assert_allclose(found, [-((1 - q) ** 2) * np.log(q)], rtol=1e-13)
    plain = CONTRACTS["softmax_focal_loss"].definition(np, input=x, target=y, gamma=0.0)
    np.testing.assert_allclose(plain, CONTRACTS["cross_entropy"].definition(np, input=x, target=y))


def test_statistics() -> None:
    x = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, -np.inf], [np.nan, 0.0, 0.0]])
    y = np.array([0, 1, -1])
    nll, log_sum_exp, entropy, prediction = CONTRACTS["cross_entropy_statistics"].definition(
        np, input=x, target=y, ignore_index=-1
    )
    total = np.exp(x[0]).sum()
    p = np.exp(x[0]) / total
    np.testing.assert_allclose(nll, [np.log(total) - 1, np.log(2), 0])
    np.testing.assert_allclose(log_sum_exp, [np.log(total), np.log(2), 0])
    np.testing.assert_allclose(entropy, [-(p * np.log(p)).sum(), np.log(2), 0])
    np.testing.assert_array_equal(prediction, [2, 0, -2])


def test_twins_agree() -> None:
    z, t = np.linspace(-5, 5, 11), np.linspace(0, 1, 11)
    p = 1 / (1 + np.exp(-z))
    by_logits = CONTRACTS["binary_cross_entropy_with_logits"].definition(np, input=z, target=t)
    by_probabilities = CONTRACTS["binary_cross_entropy"].definition(np, input=p, target=t)
    np.testing.assert_allclose(by_logits, by_probabilities, rtol=1e-12)
    two = np.stack([np.zeros_like(z), z], axis=1)
    y = np.arange(11) % 2
    np.testing.assert_allclose(
        CONTRACTS["cross_entropy"].definition(np, input=two, target=y),
        CONTRACTS["binary_cross_entropy_with_logits"].definition(np, input=z, target=y),
        rtol=1e-12,
    )
    log_p = two - np.log(np.exp(two).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(
        CONTRACTS["nll_loss"].definition(np, input=log_p, target=y),
        CONTRACTS["cross_entropy"].definition(np, input=two, target=y),
        rtol=1e-12,
        atol=1e-15,
    )
