"""The form of arguments: what is valid passes, and every fault has its error, code and repair."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import pytest
import torch
import torch.nn.functional as torch_functional
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses import FakeTensorMode

from strategies import (
    SEEN_AROUND,
    SEEN_BY_KERNELS,
    Case,
    breaker,
    broken_inputs,
    of_rows,
    sizes,
    valid_inputs,
)
from xent import ContractError, InputError
from xent._contracts import CONTRACTS, Contract, Fault
from xent._errors import contract_error_class
from xent._validate import (
    check_elements,
    check_rows,
    legacy_reduction,
    out_of_range,
    under_autocast,
)

CASES = settings(max_examples=40, deadline=None, derandomize=True)
ROWS = ("cross_entropy", "nll_loss")
SHARED = ("binary_cross_entropy", "binary_cross_entropy_with_logits", *ROWS)  # torch has them too
EVERY_FAULT = [
    (contract, fault)
    for contract in CONTRACTS.values()
    for fault in contract.errors
    if fault.name not in SEEN_BY_KERNELS | SEEN_AROUND
]
names = pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)


def check(name: str, case: Case) -> None:
    options = {key: value for key, value in case.items() if key not in ("input", "target")}
    function = check_rows if of_rows(CONTRACTS[name]) else check_elements
    function(name, case["input"], case["target"], **options)


def refused(name: str, case: Case) -> ContractError:
    with pytest.raises(ContractError) as caught:
        check(name, case)
    return caught.value


def torch_raises(name: str, case: Case) -> type[BaseException] | None:
    """What torch raises for the same call, where it has that function and these arguments."""
    ours = {argument.name for argument in CONTRACTS[name].arguments if argument.keyword_only}
    if name not in SHARED or ours & set(case):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            getattr(torch_functional, name)(**case)
    except Exception as error:
        return type(error)
    return None


@names
@CASES
@given(data=st.data())
def test_valid_arguments_pass(contract: Contract, data: st.DataObject) -> None:
    check(contract.name, data.draw(valid_inputs(contract)))


@pytest.mark.parametrize(
    ("contract", "fault"), EVERY_FAULT, ids=lambda value: getattr(value, "name", "")
)
@settings(max_examples=5, deadline=None, derandomize=True)
@given(data=st.data())
def test_every_fault_is_found(contract: Contract, fault: Fault, data: st.DataObject) -> None:
    broken = data.draw(broken_inputs(contract, fault))
    error = refused(contract.name, broken.case)
    assert error.code == fault.code, str(error)
    assert str(error).startswith(f"{contract.name}: {broken.argument} must be ")
    assert isinstance(error, InputError)
    for kind in fault.raises:
        assert isinstance(error, kind)


# What torch has no argument for, or says nothing about.
SILENT_IN_TORCH = {
    "class-dim-out-of-range",
    "normalizer-without-mean",
    "not-one-number",
    "not-real",
    "option-out-of-range",
    "option-type",
    "sample-weight-shape",
    "smoothing-out-of-range",
}


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        (name, fault)
        for name in SHARED
        for fault in CONTRACTS[name].errors
        if fault.name not in SEEN_AROUND
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_errors_are_of_the_type_that_torch_raises(name: str, fault: Fault) -> None:
    contract = CONTRACTS[name]
    case: Case = {"input": torch.full((3, 5), 0.25), "target": torch.ones(3, 5)}
    if of_rows(contract):
        case["target"] = torch.tensor([0, 4, 1])
    breaker(contract, fault)(case)
    raised = torch_raises(name, case)
    if raised is None:
        assert fault.name in SILENT_IN_TORCH
    else:
        assert issubclass(contract_error_class(fault.raises), raised)


# One whole message for each fault and situation, in the loss where it is most often met.
X = torch.zeros(3, 5)
Y = torch.tensor([0, 4, 1])
LONG = torch.int64
MESSAGES: list[tuple[str, str, Case, str]] = [
    (
        "cross_entropy",
        "",
        {"input": X, "target": [0, 4, 1]},
        "cross_entropy: target must be a torch.Tensor; got type list. "
        "Use torch.as_tensor(target). [XE401]",
    ),
    (
        "binary_cross_entropy",
        "none",
        {"input": X, "target": None},
        "binary_cross_entropy: target must be a torch.Tensor; got None. "
        "Only weights may be left out. [XE401]",
    ),
    (
        "cross_entropy",
        "",
        {"input": torch.zeros(3, 5, dtype=LONG), "target": Y},
        "cross_entropy: input must be logits in float16, bfloat16, float32 or float64; "
        "got dtype int64. Use input.float(). [XE402]",
    ),
    (
        "nll_loss",
        "complex",
        {"input": torch.zeros(3, 5, dtype=torch.complex64), "target": Y},
        "nll_loss: input must be log-probabilities in float16, bfloat16, float32 or float64; "
        "got dtype complex64. Use input.real if its imaginary part means nothing. [XE402]",
    ),
    (
        "cross_entropy",
        "",
        {"input": torch.zeros(8, dtype=LONG), "target": torch.zeros(8, 5)},
        "cross_entropy: input must be logits of shape (*batch, classes, *positions); "
        "got shape (8,) and dtype int64. Did you swap input and target? [XE403]",
    ),
    (
        "binary_cross_entropy_with_logits",
        "",
        {"input": torch.zeros(8, dtype=LONG), "target": torch.zeros(8)},
        "binary_cross_entropy_with_logits: input must be logits of shape (*shape); "
        "got shape (8,) and dtype int64. Did you swap input and target? [XE403]",
    ),
    (
        "cross_entropy",
        "probabilities allowed",
        {"input": X, "target": torch.zeros(3)},
        "cross_entropy: target must be class indices of an integer dtype; got dtype float32. "
        "Use target.long() for class indices; for probabilities give shape (3, 5). [XE404]",
    ),
    (
        "nll_loss",
        "",
        {"input": X, "target": torch.zeros(3)},
        "nll_loss: target must be class indices of an integer dtype; got dtype float32. "
        "Use target.long(). [XE404]",
    ),
    (
        "cross_entropy",
        "",
        {"input": X, "target": torch.zeros(3, dtype=torch.bool)},
        "cross_entropy: target must be class indices of an integer dtype; got dtype bool. "
        "Use target.long(). [XE404]",
    ),
    (
        "cross_entropy",
        "axis of one",
        {"input": X, "target": torch.zeros(3, 1)},
        "cross_entropy: target must be class indices of an integer dtype; "
        "got shape (3, 1) and dtype float32. Use target.squeeze(1).long(). [XE404]",
    ),
    (
        "nll_loss",
        "probabilities",
        {"input": X, "target": torch.zeros(3, 5)},
        "nll_loss: target must be class indices of an integer dtype; "
        "got shape (3, 5) and dtype float32. Use target.argmax(1) for class indices; "
        "for probabilities use cross_entropy on the logits. [XE404]",
    ),
    (
        "cross_entropy",
        "",
        {"input": X, "target": torch.zeros(4, dtype=LONG)},
        "cross_entropy: target must be class indices of shape (3,) or probabilities of shape "
        "(3, 5); got shape (4,) and dtype int64. Give each row of input its own class index. "
        "[XE406]",
    ),
    (
        "nll_loss",
        "not flattened",
        {"input": torch.zeros(6, 5), "target": torch.zeros(2, 3, dtype=LONG)},
        "nll_loss: target must be class indices of shape (6,); "
        "got shape (2, 3) and dtype int64. Use target.reshape(-1). [XE406]",
    ),
    (
        "cross_entropy",
        "",
        {"input": X, "target": Y[:, None]},
        "cross_entropy: target must be of shape (3,); got shape (3, 1) and dtype int64. "
        "Use target.squeeze(1). [XE407]",
    ),
    (
        "cross_entropy",
        "",
        {"input": torch.zeros(3, 5, 7, 6), "target": torch.zeros(3, 1, 7, 6, dtype=LONG)},
        "cross_entropy: target must be of shape (3, 7, 6); got shape (3, 1, 7, 6) and dtype int64. "
        "Use target.squeeze(1). [XE407]",
    ),
    (
        "binary_cross_entropy_with_logits",
        "",
        {"input": torch.zeros(3, 1), "target": torch.zeros(3)},
        "binary_cross_entropy_with_logits: input must be of shape (3,); "
        "got shape (3, 1) and target of shape (3,). Use input.squeeze(1). [XE407]",
    ),
    (
        "binary_cross_entropy",
        "",
        {"input": torch.zeros(3), "target": torch.zeros(3, 1)},
        "binary_cross_entropy: target must be of shape (3,); "
        "got shape (3, 1) and dtype float32. Use target.squeeze(1). [XE407]",
    ),
    (
        "cross_entropy",
        "",
        {"input": torch.zeros(3, 7, 5), "target": torch.zeros(3, 7, dtype=LONG)},
        "cross_entropy: input must be logits with the classes on axis 1; "
        "got shape (3, 7, 5) and target of shape (3, 7). "
        "Give class_dim=-1 or input.movedim(-1, 1). [XE408]",
    ),
    (
        "nll_loss",
        "",
        {"input": torch.zeros(3, 7, 5), "target": torch.zeros(7, 5, dtype=LONG)},
        "nll_loss: input must be log-probabilities with the classes on axis 1; "
        "got shape (3, 7, 5) and target of shape (7, 5). "
        "Give class_dim=0 or input.movedim(0, 1). [XE408]",
    ),
    (
        "cross_entropy",
        "",
        {"input": X, "target": torch.zeros(3, 5, dtype=LONG)},
        "cross_entropy: target must be class indices of shape (3,) or probabilities of shape "
        "(3, 5); got shape (3, 5) and dtype int64. "
        "Use target.argmax(1) for class indices, or target.float() for probabilities. [XE409]",
    ),
    (
        "nll_loss",
        "indices only",
        {"input": X, "target": torch.zeros(3, 5, dtype=torch.bool)},
        "nll_loss: target must be class indices of shape (3,); got shape (3, 5) and dtype bool. "
        "Use target.long().argmax(1) for class indices. [XE409]",
    ),
    (
        "cross_entropy",
        "",
        {"input": torch.tensor(1.0), "target": torch.tensor(0)},
        "cross_entropy: input must be logits of shape (*batch, classes, *positions); "
        "got shape () and dtype float32. For one logit use binary_cross_entropy_with_logits. "
        "[XE410]",
    ),
    (
        "cross_entropy",
        "",
        {"input": X, "target": Y, "class_dim": 2},
        "cross_entropy: class_dim must be an axis of input, in [-2, 2); "
        "got 2 for input of shape (3, 5). Give class_dim=-1 where the classes are on the last "
        "axis. [XE411]",
    ),
    (
        "cross_entropy",
        "",
        {"input": X, "target": Y, "weight": torch.ones(4)},
        "cross_entropy: weight must be of shape (5,); got shape (4,). "
        "Give one number for each of the 5 classes. [XE412]",
    ),
    (
        "cross_entropy",
        "one per row",
        {"input": X, "target": Y, "weight": torch.ones(3)},
        "cross_entropy: weight must be of shape (5,); got shape (3,). "
        "Give one number per row as sample_weight. [XE412]",
    ),
    (
        "cross_entropy",
        "other axes",
        {"input": X, "target": Y, "logit_adjustment": torch.ones(1, 5)},
        "cross_entropy: logit_adjustment must be of shape (5,); got shape (1, 5). "
        "Use logit_adjustment.reshape(-1). [XE412]",
    ),
    (
        "binary_cross_entropy",
        "",
        {"input": X, "target": torch.zeros(3, 5, dtype=torch.complex64)},
        "binary_cross_entropy: target must be real numbers; got dtype complex64. "
        "Use target.real. [XE413]",
    ),
    (
        "binary_cross_entropy_with_logits",
        "",
        {"input": X, "target": X, "pos_weight": torch.ones(4)},
        "binary_cross_entropy_with_logits: pos_weight must be of a shape that broadcasts to "
        "(3, 5); got shape (4,). Give one number for each element of the last axis, "
        "or one for all. [XE414]",
    ),
    (
        "binary_cross_entropy",
        "one per row",
        {"input": X, "target": X, "weight": torch.ones(3)},
        "binary_cross_entropy: weight must be of a shape that broadcasts to (3, 5); "
        "got shape (3,). Use weight.reshape(3, 1) for one number per row. [XE414]",
    ),
    (
        "binary_cross_entropy",
        "enlarges",
        {"input": X, "target": X, "weight": torch.ones(1, 3, 5)},
        "binary_cross_entropy: weight must be of a shape that broadcasts to (3, 5); "
        "got shape (1, 3, 5). Use weight.squeeze(0), so that the loss keeps the shape of input. "
        "[XE414]",
    ),
    (
        "cross_entropy",
        "",
        {"input": X, "target": Y, "sample_weight": torch.ones(4)},
        "cross_entropy: sample_weight must be of shape (3,); got shape (4,). "
        "Give one weight per row. [XE415]",
    ),
    (
        "binary_cross_entropy",
        "axis of one",
        {"input": X, "target": X, "sample_weight": torch.ones(3, 1)},
        "binary_cross_entropy: sample_weight must be of shape (3,); got shape (3, 1). "
        "Use sample_weight.squeeze(1). [XE415]",
    ),
    (
        "cross_entropy",
        "",
        {"input": X, "target": Y, "reduction": "means"},
        "cross_entropy: reduction must be 'none' or 'mean' or 'sum'; got 'means'. "
        "Did you mean 'mean'? [XE416]",
    ),
    (
        "nll_loss",
        "",
        {"input": X, "target": Y, "all_ignored": "0"},
        "nll_loss: all_ignored must be 'nan' or 'zero'; got '0'. Did you mean 'zero'? [XE416]",
    ),
    (
        "cross_entropy",
        "",
        {"input": X, "target": Y, "label_smoothing": -0.5},
        "cross_entropy: label_smoothing must be in [0, 1]; got -0.5. "
        "Give label_smoothing=0.1, or 0 for none. [XE417]",
    ),
    (
        "cross_entropy",
        "",
        {"input": X, "target": Y.to("meta")},
        "cross_entropy: target must be on the device of input, cpu; got meta. "
        "Use target.to(input.device). [XE420]",
    ),
    (
        "cross_entropy",
        "",
        {"input": torch.zeros(2, 3, 4, 4), "target": torch.zeros(2, 3, 4, dtype=LONG)},
        "cross_entropy: input must be logits with the classes on axis 1; "
        "got shape (2, 3, 4, 4) and target of shape (2, 3, 4). "
        "Give class_dim=-1 or input.movedim(-1, 1). [XE408]",
    ),
    (
        "binary_cross_entropy",
        "",
        {"input": X, "target": torch.zeros(2, 5, dtype=LONG)},
        "binary_cross_entropy: target must be of the shape of input, (3, 5); "
        "got shape (2, 5) and dtype int64. Give each element of input its own target. [XE426]",
    ),
    (
        "cross_entropy",
        "",
        {"input": X, "target": Y, "ignore_index": True},
        "cross_entropy: ignore_index must be an int; got True. Give ignore_index=-100. [XE421]",
    ),
    (
        "nll_loss",
        "",
        {"input": X, "target": Y, "ignore_index": None},
        "nll_loss: ignore_index must be an int; got None. Give ignore_index=-100. [XE421]",
    ),
    (
        "cross_entropy",
        "",
        {"input": X, "target": Y, "label_smoothing": "a"},
        "cross_entropy: label_smoothing must be a number; got 'a'. "
        "Give label_smoothing=0.1. [XE421]",
    ),
    (
        "cross_entropy",
        "",
        {"input": X, "target": X, "ignore_index": 0},
        "cross_entropy: ignore_index must be negative where target holds probabilities, "
        "which no index marks; got 0. Leave ignore_index out; "
        "give sample_weight 0 to rows that are to be left out. [XE422]",
    ),
    (
        "cross_entropy",
        "",
        {"input": X, "target": Y, "softcap": 0.0},
        "cross_entropy: softcap must be in (0, inf); got 0.0. Give softcap=30.0. [XE423]",
    ),
    (
        "cross_entropy",
        "",
        {"input": X, "target": Y, "normalizer": torch.ones(3)},
        "cross_entropy: normalizer must be a number or a tensor of shape (); got shape (3,). "
        "Use normalizer.reshape(()) if it holds one number; one per row is a sample_weight. "
        "[XE424]",
    ),
    (
        "cross_entropy",
        "",
        {"input": X, "target": Y, "normalizer": 3, "reduction": "sum"},
        "cross_entropy: reduction must be 'mean' where normalizer is given; got 'sum'. "
        "Give reduction='mean', which then divides by normalizer instead. [XE425]",
    ),
    (
        "binary_cross_entropy",
        "",
        {"input": X, "target": X[:2]},
        "binary_cross_entropy: target must be of the shape of input, (3, 5); "
        "got shape (2, 5) and dtype float32. Give each element of input its own target. [XE426]",
    ),
    (
        "binary_cross_entropy_with_logits",
        "class indices",
        {"input": X, "target": Y},
        "binary_cross_entropy_with_logits: target must be of the shape of input, (3, 5); "
        "got shape (3,) and dtype int64. For class indices use cross_entropy. [XE426]",
    ),
    (
        "cross_entropy",
        "",
        {"input": X.to_sparse(), "target": Y},
        "cross_entropy: input must be a dense tensor; got layout sparse_coo. "
        "Use input.to_dense(). [XE427]",
    ),
]


@pytest.mark.parametrize(
    ("name", "case", "message"),
    [(name, case, message) for name, _, case, message in MESSAGES],
    ids=[message[-7:-1] + situation for _, situation, _, message in MESSAGES],
)
def test_messages(name: str, case: Case, message: str) -> None:
    error = refused(name, case)
    assert str(error) == message
    raised = torch_raises(name, case)
    assert raised is None or isinstance(error, raised)


SEEN: list[tuple[str, str, dict[str, Any], type[Exception], str]] = [
    (
        "cross_entropy",
        "",
        {"position": 3, "value": 7, "shape": (6,), "classes": 5, "ignore_index": -100},
        IndexError,
        "cross_entropy: target must be class indices in [0, 5) or -100 (ignore_index); "
        "got 7 at position 3. Give input one logit for each class, or leave such rows out: "
        "ignore_index=7. [XE405]",
    ),
    (
        "cross_entropy",
        "one too many",
        {"position": 6, "value": 5, "shape": (2, 4), "classes": 5, "ignore_index": -100},
        IndexError,
        "cross_entropy: target must be class indices in [0, 5) or -100 (ignore_index); "
        "got 5 at position (1, 2). "
        "Class indices start at 0: use target - 1 if yours start at 1. [XE405]",
    ),
    (
        "nll_loss",
        "negative",
        {"position": 0, "value": -1, "shape": (), "classes": 5, "ignore_index": -100},
        IndexError,
        "nll_loss: target must be class indices in [0, 5) or -100 (ignore_index); got -1. "
        "Give ignore_index=-1 to leave such rows out. [XE405]",
    ),
    (
        "binary_cross_entropy",
        "",
        {"argument": "input", "position": 1, "value": 1.5, "shape": (3,)},
        RuntimeError,
        "binary_cross_entropy: input must be probabilities in [0, 1]; got 1.5 at position 1. "
        "For logits use binary_cross_entropy_with_logits. [XE418]",
    ),
    (
        "binary_cross_entropy",
        "nan",
        {"argument": "input", "position": 1, "value": float("nan"), "shape": (3,)},
        RuntimeError,
        "binary_cross_entropy: input must be probabilities in [0, 1]; got nan at position 1. "
        "Look for the NaN in what made input: torch.autograd.detect_anomaly() finds it. [XE418]",
    ),
    (
        "binary_cross_entropy",
        "",
        {"position": 2, "value": 255.0, "shape": (3,), "ignore_index": -100},
        RuntimeError,
        "binary_cross_entropy: target must be probabilities in [0, 1] or -100 (ignore_index); "
        "got 255 at position 2. Scale the labels to [0, 1], as in target / target.max(). [XE419]",
    ),
    (
        "binary_cross_entropy",
        "nan",
        {"position": 2, "value": float("nan"), "shape": (3,)},
        RuntimeError,
        "binary_cross_entropy: target must be probabilities in [0, 1]; got nan at position 2. "
        "Mark missing labels with a whole number and give it as ignore_index. [XE419]",
    ),
    (
        "binary_cross_entropy",
        "minus one",
        {"position": 2, "value": -1.0, "shape": (3,)},
        RuntimeError,
        "binary_cross_entropy: target must be probabilities in [0, 1]; got -1 at position 2. "
        "Use (target + 1) / 2 for labels -1 and 1; "
        "give ignore_index=-1 to leave such elements out. [XE419]",
    ),
]


@pytest.mark.parametrize(
    ("name", "seen", "kind", "message"),
    [(name, seen, kind, message) for name, _, seen, kind, message in SEEN],
    ids=[message[-7:-1] + situation for _, situation, _, _, message in SEEN],
)
def test_messages_of_values(
    name: str, seen: dict[str, Any], kind: type[Exception], message: str
) -> None:
    error = out_of_range(name, **{"argument": "target", **seen})
    assert str(error) == message
    assert isinstance(error, ContractError)
    assert isinstance(error, kind)


def test_message_under_autocast() -> None:
    error = under_autocast("binary_cross_entropy", torch.zeros(3, device="meta"))
    assert str(error) == (
        "binary_cross_entropy: input must be probabilities outside of autocast, which rounds them "
        "away near 0 and 1; got autocast enabled for meta. "
        "Use binary_cross_entropy_with_logits on the logits, which is safe to autocast. [XE428]"
    )
    assert isinstance(error, ContractError)
    assert isinstance(error, RuntimeError)


def test_every_fault_and_situation_has_a_message() -> None:
    told = {("XE428", "")} | {(message[-6:-1], situation) for _, situation, _, message in MESSAGES}
    told |= {(message[-6:-1], situation) for _, situation, _, _, message in SEEN}
    known = {
        (fault.code, situation)
        for contract in CONTRACTS.values()
        for fault in contract.errors
        for situation in fault.repairs
    }
    assert told == known


def test_errors_survive_a_process_boundary() -> None:
    error = out_of_range("cross_entropy", "target", 3, 7, shape=(6,), classes=5)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.code == "XE405"


# What PyTorch takes and means something passes.


def test_a_single_row_may_have_a_target_with_an_axis_of_one() -> None:
    check("cross_entropy", {"input": torch.zeros(5), "target": torch.tensor([1])})
    check("nll_loss", {"input": torch.zeros(5), "target": torch.tensor(1)})


def test_a_scalar_pos_weight_may_be_elsewhere() -> None:
    weight = torch.tensor(2.0, device="meta")
    check("binary_cross_entropy_with_logits", {"input": X, "target": X, "pos_weight": weight})


@pytest.mark.parametrize("value", [0, True, torch.tensor(0.1)])
def test_numbers_that_torch_takes_for_label_smoothing(value: object) -> None:
    check("cross_entropy", {"input": X, "target": Y, "label_smoothing": value})


def test_an_unbatched_distribution() -> None:
    check("cross_entropy", {"input": torch.zeros(5), "target": torch.full((5,), 0.2)})


def test_no_rows() -> None:
    check("cross_entropy", {"input": torch.zeros(0, 5), "target": torch.zeros(0, dtype=LONG)})
    check("binary_cross_entropy", {"input": torch.zeros(0), "target": torch.zeros(0)})


# Values are never looked at.


def everything(name: str) -> Case:
    """Arguments that set every option, so that every check runs."""
    if of_rows(CONTRACTS[name]):
        case: Case = {"input": X, "target": Y, "class_dim": 1, "ignore_index": -1}
        vectors, leading = ("weight", "logit_adjustment"), "sample_weight"
        case |= {vector: torch.ones(5) for vector in vectors} | {leading: torch.ones(3)}
        numbers = {"z_loss": 0.1, "softcap": 30.0, "temperature": 2.0, "gamma": 2.0}
    else:
        case = {"input": X, "target": X, "sample_weight": torch.ones(3), "ignore_index": -1}
        case |= {"weight": torch.ones(5), "pos_weight": torch.ones(3, 1)}
        numbers = {"alpha": 0.25, "gamma": 2.0}
    case |= numbers | {"label_smoothing": 0.1, "all_ignored": "zero", "normalizer": 3.0}
    known = {argument.name for argument in CONTRACTS[name].arguments}
    return {key: value for key, value in case.items() if key in known}


@names
def test_checks_are_traced_without_a_break(contract: Contract) -> None:
    case = everything(contract.name)

    def checked(case: Case) -> torch.Tensor:
        check(contract.name, case)
        return case["input"] + 1

    torch._dynamo.reset()
    compiled = torch.compile(checked, fullgraph=True, backend="eager", dynamic=True)
    assert torch.equal(compiled(case), X + 1)


@names
def test_fake_tensors(contract: Contract) -> None:
    mode = FakeTensorMode()
    case = {
        key: mode.from_tensor(value) if isinstance(value, torch.Tensor) else value
        for key, value in everything(contract.name).items()
    }
    with mode:
        check(contract.name, case)


@pytest.mark.parametrize("name", ROWS)
def test_under_vmap_shapes_are_those_of_one_sample(name: str) -> None:
    def checked(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        check(name, {"input": x, "target": y})
        return x

    torch.vmap(checked)(X, Y)
    with pytest.raises(ContractError, match=r"of shape \(\) or|of shape \(\);"):
        torch.vmap(checked)(X, torch.zeros(3, 2, dtype=LONG))


class Tagged(torch.Tensor):
    pass


def test_subclasses() -> None:
    check("cross_entropy", {"input": X.as_subclass(Tagged), "target": Y.as_subclass(Tagged)})


@CASES
@given(size=sizes())
def test_the_class_axis_may_be_anywhere(size: Any) -> None:
    target = torch.zeros(size.rows, dtype=LONG)
    case = {"input": torch.zeros(size.input), "target": target, "class_dim": len(size.batch)}
    check("cross_entropy", case)


def test_legacy_reduction() -> None:
    assert legacy_reduction(None, None, "sum") == "sum"
    with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated"):
        assert legacy_reduction(None, False, "mean") == "none"
    with pytest.warns(UserWarning, match="reduction='elementwise_mean' is deprecated"):
        assert legacy_reduction(None, None, "elementwise_mean") == "mean"
