"""Every loss on arguments drawn from the contract table, against the table's own definition."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import xent.functional as F
from strategies import broken_inputs, valid_inputs
from xent import ContractError
from xent._contracts import CONTRACTS, Contract, Fault
from xent.kernels import _dispatch

REDUCED = [contract for contract in CONTRACTS.values() if contract.denominator is not None]
every_loss = pytest.mark.parametrize("contract", REDUCED, ids=lambda contract: contract.name)
NOT_IN_DEFINITION = ("reduction", "all_ignored", "normalizer", "size_average", "reduce")
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 3e-3}


def in_double(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    return value.double().numpy() if value.is_floating_point() else value.numpy()


@pytest.mark.parametrize("native", [True, False], ids=["native", "plain PyTorch"])
@every_loss
@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_losses_are_those_of_the_definition(
    contract: Contract, native: bool, data: st.DataObject
) -> None:
    case = data.draw(valid_inputs(contract))
    case = {key: value for key, value in case.items() if key not in NOT_IN_DEFINITION}
    expected = contract.definition(np, **{key: in_double(value) for key, value in case.items()})
    with pytest.MonkeyPatch.context() as patch:
        if not native:
            patch.setattr(_dispatch, "native_allowed", lambda *_: False)
        found = getattr(F, contract.name)(**case, reduction="none")
    tolerance = TOLERANCE[found.dtype]
    np.testing.assert_allclose(
        found.double().numpy(), expected, rtol=tolerance, atol=tolerance * _scale(expected)
    )


def _scale(expected: Any) -> float:
    finite = np.abs(np.asarray(expected))[np.isfinite(expected)]
    return float(finite.max(initial=1.0))


# Autocast is no argument, and no fault on the CPU; it has a test of its own.
FAULTS = [
    (contract, fault)
    for contract in CONTRACTS.values()
    for fault in contract.errors
    if fault.name != "under-autocast"
]


@pytest.mark.parametrize(
    ("contract", "fault"), FAULTS, ids=lambda value: getattr(value, "name", "")
)
@settings(max_examples=3, deadline=None, derandomize=True)
@given(data=st.data())
def test_what_is_broken_raises_its_error(
    contract: Contract, fault: Fault, data: st.DataObject
) -> None:
    broken = data.draw(broken_inputs(contract, fault))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ContractError) as seen:
            getattr(F, contract.name)(**broken.case)
    assert seen.value.code == fault.code
    assert all(isinstance(seen.value, kind) for kind in fault.raises)
