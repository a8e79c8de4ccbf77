"""PyTorch's own samples of its four loss modules through ours, and its reference functions."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing._internal import common_nn
from torch.testing._internal.common_modules import ModuleInfo, ModuleInput, module_db
from torch_samples import (
    assert_as_good,
    path,  # noqa: F401 -- a fixture that every test uses
    raised,
)

import xent.functional
import xent.nn
from xent import ContractError

MODULES: dict[str, ModuleInfo] = {
    info.module_cls.__name__: info
    for info in module_db
    if info.module_cls.__name__ in ("BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "NLLLoss")
}
EVERY_MODULE = pytest.mark.parametrize("name", MODULES)
CASES = [(name, dtype) for name, info in MODULES.items() for dtype in info.dtypes]
EVERY_CASE = pytest.mark.parametrize(("name", "dtype"), CASES)

# What PyTorch refuses and ours takes: a class weight of another floating dtype.
TAKEN = {"NLLLoss": "expected scalar type"}


def inputs(name: str, dtype: torch.dtype) -> list[ModuleInput]:
    info = MODULES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return list(
            info.module_inputs_func(
                info, device="cpu", dtype=dtype, requires_grad=False, training=True
            )
        )


def made(module: type[torch.nn.Module], given: ModuleInput, dtype: torch.dtype) -> torch.nn.Module:
    arguments = given.constructor_input
    return module(*arguments.args, **arguments.kwargs).to(dtype)


def both(name: str, given: ModuleInput, dtype: torch.dtype) -> list[torch.nn.Module]:
    return [
        made(getattr(xent.nn, name), given, dtype),
        made(MODULES[name].module_cls, given, dtype),
    ]


def results(module: torch.nn.Module, given: ModuleInput, dtype: torch.dtype) -> list[Tensor]:
    """The loss and its gradient in the input."""
    input, target = given.forward_input.args
    leaf = input.detach().to(dtype).requires_grad_()
    value = module(leaf, target.to(dtype) if target.is_floating_point() else target)
    return [value.detach(), torch.autograd.grad(value.sum(), leaf)[0]]


@EVERY_CASE
def test_module_inputs(name: str, dtype: torch.dtype) -> None:
    for given in inputs(name, dtype):
        module, twin = both(name, given, dtype)
        truth = results(made(MODULES[name].module_cls, given, torch.float64), given, torch.float64)
        pairs = zip(results(module, given, dtype), results(twin, given, dtype), truth, strict=True)
        for one, other, exact in pairs:
            # Weights of both signs cancel in a sum and in its denominator.
            assert_as_good(one, other, exact, 4 * float(exact.nan_to_num().abs().sum()))


@EVERY_CASE
def test_reference_functions(name: str, dtype: torch.dtype) -> None:
    """The loops in Python that PyTorch holds its modules to."""
    compared = 0
    for given in inputs(name, dtype):
        if given.reference_fn is None:
            continue
        module = made(getattr(xent.nn, name), given, dtype)
        arguments = given.forward_input
        expected = given.reference_fn(module, *arguments.args, **arguments.kwargs)
        value = module(*arguments.args, **arguments.kwargs)
        # The loops sum in float16, ours in float32.
        close = 2e-2 if dtype is torch.float16 else 1e-5
        torch.testing.assert_close(
            value, expected, rtol=close, atol=close, check_dtype=False, equal_nan=True
        )
        compared += 1
    assert compared


@EVERY_CASE
def test_module_error_inputs(name: str, dtype: torch.dtype) -> None:
    """What PyTorch's modules refuse, with its type of error."""
    info = MODULES[name]
    if info.module_error_inputs_func is None:
        assert name.startswith("BCE")
        return
    errors = info.module_error_inputs_func(
        info, device="cpu", dtype=dtype, requires_grad=False, training=True
    )
    for error in errors:
        given = error.module_error_input
        module, twin = both(name, given, dtype)
        # Moving a module to a dtype would mend the weight that is wrong on purpose.
        for one in (module, twin):
            one.weight = given.constructor_input.kwargs.get("weight")
        arguments = given.forward_input.args
        theirs = raised(lambda twin=twin, arguments=arguments: twin(*arguments))
        assert isinstance(theirs, error.error_type)
        ours = raised(lambda module=module, arguments=arguments: module(*arguments))
        if TAKEN.get(name, "\0") in str(theirs):
            assert ours is None
        else:
            assert isinstance(ours, ContractError)
            assert isinstance(ours, error.error_type)


@EVERY_MODULE
def test_state_copies_and_pickles(name: str) -> None:
    """Our module takes PyTorch's state and gives it back; copies and pickles give the same loss."""
    for given in inputs(name, torch.float64):
        module, twin = both(name, given, torch.float64)
        assert isinstance(module, MODULES[name].module_cls)
        expected = dict(twin.state_dict())
        assert module.state_dict().keys() == expected.keys()
        module.load_state_dict(expected)
        twin.load_state_dict(module.state_dict())
        buffer = io.BytesIO()
        torch.save(module, buffer)
        buffer.seek(0)
        value = results(module, given, torch.float64)
        for other in (
            copy.copy(module),
            copy.deepcopy(module),
            pickle.loads(pickle.dumps(module)),
            torch.load(buffer, weights_only=False),
        ):
            assert type(other) is type(module)
            again = results(other, given, torch.float64)
            torch.testing.assert_close(again, value, rtol=0, atol=0, equal_nan=True)


@EVERY_MODULE
def test_methods_of_a_module(name: str) -> None:
    """Moving, freezing, listing and printing, as of PyTorch's."""
    given = inputs(name, torch.float64)[0]
    module, twin = both(name, given, torch.float64)
    for method in ("train", "eval", "half", "float", "double", "requires_grad_", "zero_grad"):
        getattr(module, method)()
        getattr(twin, method)()
        assert module.training == twin.training
    assert [key for key, _ in module.named_buffers()] == [key for key, _ in twin.named_buffers()]
    assert list(module.parameters()) == list(twin.parameters()) == []
    assert repr(module) == repr(twin)
    assert module.to("meta") is module


@EVERY_MODULE
def test_module_hooks(name: str) -> None:
    given = inputs(name, torch.float64)[0]
    module, _ = both(name, given, torch.float64)
    seen: list[str] = []
    module.register_forward_pre_hook(lambda *_: seen.append("before"))
    module.register_forward_hook(lambda *_: seen.append("after"))
    module.register_full_backward_hook(lambda *_: seen.append("backward"))
    results(module, given, torch.float64)
    assert seen == ["before", "after", "backward"]


# The older tests of PyTorch's criterions.

CRITERIONS = [
    test
    for test in common_nn.criterion_tests
    if test["fullname"].split("_")[0] in ("BCELoss", "BCEWithLogitsLoss", "NLLLoss")
]
WRAPPED = [
    test
    for test in common_nn.get_new_module_tests()
    if test.get("fullname", "").startswith(("BCE", "NLLLoss"))
]


def named(test: dict[str, Any]) -> str:
    return str(test["fullname"])


@pytest.mark.parametrize("test", CRITERIONS, ids=named)
def test_criterions_without_a_batch(test: dict[str, Any]) -> None:
    torch.manual_seed(0)
    twin = test["constructor"]()
    module = getattr(xent.nn, type(twin).__name__)(reduction=twin.reduction)
    input, target = test["input_fn"](), test["target_fn"]()
    expected = test["reference_fn"](input, target, twin)
    torch.testing.assert_close(module(input, target), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore:size_average and reduce:UserWarning")
@pytest.mark.parametrize("test", WRAPPED, ids=named)
def test_losses_of_each_element(test: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's tests call its functional module by name: ours stands in for it."""
    torch.manual_seed(0)
    monkeypatch.setattr(common_nn, "F", xent.functional)
    module = test["constructor"]()
    if "input_fn" in test:
        input = test["input_fn"]()
    else:
        input = torch.as_tensor(
            test["input"] if "input" in test else torch.randn(test["input_size"])
        )
    for dtype, close in ((torch.float64, 1e-12), (torch.float32, test.get("precision", 2e-4))):
        given = input.detach().to(dtype).requires_grad_()
        value = module(given)
        expected = test["reference_fn"](given.detach(), [], module)
        torch.testing.assert_close(
            value.detach(), expected.to(dtype), rtol=close, atol=close, check_dtype=False
        )
        if dtype is torch.float64:
            assert torch.autograd.gradcheck(module, [given], fast_mode=True)


def test_nothing_of_the_older_tests_is_lost() -> None:
    assert len(CRITERIONS) == 9
    assert len(WRAPPED) >= 18
