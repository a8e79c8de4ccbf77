"""What the losses can't use, from whichever side it comes: a ContractError, never a bare one."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as torch_functional

import xent.functional as F
from xent import ContractError, nn
from xent.functional import _binary

GENERATOR = torch.Generator().manual_seed(0)
PROBABILITIES = torch.rand(4, 3, generator=GENERATOR)
INDICES = torch.tensor([0, 1, 2, 0])
TARGETS = {
    "binary_cross_entropy": PROBABILITIES,
    "binary_cross_entropy_with_logits": PROBABILITIES,
    "cross_entropy": INDICES,
    "nll_loss": INDICES,
}
EVERY_LOSS = pytest.mark.parametrize("name", TARGETS)
STRANGE: list[Any] = [
    [[0.5]],
    "text",
    b"mean",
    ["mean"],
    {},
    (1,),
    1j,
    object(),
    np.array([0.5, 0.25]),
    torch.tensor([0.5, 0.25]),
    torch.tensor([[0.5]]),
]


def outcome(function: Any, case: dict[str, Any]) -> Exception | None:
    try:
        function(**case)
    except Exception as error:  # the kind is what is asserted
        return error
    return None


@EVERY_LOSS
@pytest.mark.parametrize("strange", STRANGE, ids=lambda value: f"{value!r:.20}")
def test_strange_values_in_every_place(name: str, strange: Any) -> None:
    """Where PyTorch has that argument, the error is of its type too."""
    theirs = getattr(torch_functional, name)
    for argument in inspect.signature(getattr(F, name)).parameters:
        if argument in ("size_average", "reduce"):
            continue  # PyTorch's own words about its deprecated arguments
        case = {"input": PROBABILITIES, "target": TARGETS[name], argument: strange}
        if argument == "all_ignored" and isinstance(strange, np.ndarray):
            continue
        error = outcome(getattr(F, name), case)
        if argument in inspect.signature(theirs).parameters:
            raised = outcome(theirs, case)
            assert (error is None) == (raised is None), argument
            assert error is None or isinstance(error, type(raised)), argument
        assert error is None or isinstance(error, ContractError), (argument, error)


@pytest.mark.parametrize("option", ["z_loss", "temperature"])
def test_an_option_that_is_a_number_may_not_be_none(option: str) -> None:
    with pytest.raises(ContractError, match=f"{option} must be a number; got None") as caught:
        F.cross_entropy(PROBABILITIES, INDICES, **{option: None})
    assert caught.value.code == "XE421"


def layouts(name: str) -> list[torch.Tensor]:
    """The input in every layout that isn't dense."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # PyTorch's compressed layouts are in beta
        return [
            PROBABILITIES.to_sparse(),
            PROBABILITIES.to_sparse_csr(),
            PROBABILITIES.to_sparse_csc(),
            PROBABILITIES.to_mkldnn(),
        ]


@EVERY_LOSS
def test_sparse_tensors(name: str) -> None:
    """Also of the shape and dtype that are checked in one look."""
    cases = [("input", sparse, TARGETS[name]) for sparse in layouts(name)]
    cases = [(which, (sparse, target)) for which, sparse, target in cases]
    if name.startswith("binary"):
        cases += [("target", (PROBABILITIES, sparse)) for sparse in layouts(name)]
    else:
        cases += [("target", (PROBABILITIES, INDICES.to_sparse()))]
    for which, arguments in cases:
        with pytest.raises(ContractError) as caught:
            getattr(F, name)(*arguments)
        assert caught.value.code == "XE427"
        assert f"Use {which}.to_dense()" in str(caught.value)
        assert isinstance(caught.value, NotImplementedError)


def test_sparse_probabilities_of_classes_are_read() -> None:
    expected = F.cross_entropy(PROBABILITIES, PROBABILITIES)
    for sparse in layouts("cross_entropy")[:3]:
        torch.testing.assert_close(F.cross_entropy(PROBABILITIES, sparse), expected)


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_a_target_on_another_device(name: str) -> None:
    with pytest.raises(ContractError) as caught:
        getattr(F, name)(PROBABILITIES, INDICES.to("meta"))
    assert caught.value.code == "XE420"


@EVERY_LOSS
def test_the_old_name_of_the_mean(name: str) -> None:
    """PyTorch warns and takes it; so does the module that keeps it."""
    arguments = (PROBABILITIES, TARGETS[name])
    expected = getattr(F, name)(*arguments)
    with pytest.warns(UserWarning, match="reduction='elementwise_mean' is deprecated") as seen:
        found = getattr(F, name)(*arguments, reduction="elementwise_mean")
    assert seen[0].filename == __file__
    torch.testing.assert_close(found, expected)
    with pytest.warns(UserWarning, match="reduction='elementwise_mean' is deprecated"):
        found = nn.CrossEntropyLoss(reduction="elementwise_mean")(PROBABILITIES, INDICES)
    torch.testing.assert_close(found, F.cross_entropy(PROBABILITIES, INDICES))


@EVERY_LOSS
def test_an_unhashable_reduction(name: str) -> None:
    with pytest.raises(ContractError, match="reduction must be 'none' or 'mean' or 'sum'") as seen:
        getattr(F, name)(PROBABILITIES, TARGETS[name], reduction=["mean"])
    assert seen.value.code == "XE416"


def test_probabilities_under_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused on an accelerator, after the form of the arguments is checked; the CPU is fine."""
    monkeypatch.setattr(_binary, "autocast_is_on", lambda input: True)
    meta = PROBABILITIES.to("meta")
    with pytest.raises(RuntimeError, match="autocast enabled for meta") as caught:
        F.binary_cross_entropy(meta, meta)
    assert isinstance(caught.value, ContractError)
    assert caught.value.code == "XE428"
    with pytest.raises(ContractError, match="target must be of the shape of input"):
        F.binary_cross_entropy(meta, meta[:2])
    with pytest.raises(ContractError, match=r"must be a torch\.Tensor; got type list"):
        F.binary_cross_entropy([[0.5]], PROBABILITIES[:1, :1])
    assert F.binary_cross_entropy(PROBABILITIES, PROBABILITIES) > 0
    F.binary_cross_entropy_with_logits(meta, meta)
