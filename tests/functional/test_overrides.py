"""Classes and modes with a form of their own of PyTorch's losses are asked as PyTorch asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as torch_functional
from torch import Tensor
from torch.overrides import BaseTorchFunctionMode, TorchFunctionMode

import xent.functional as F

LOGITS = torch.tensor([[-15.0, 15.0], [0.5, 0.25]])
ARGUMENTS = {
    "binary_cross_entropy": (torch.tensor([0.25, 0.5]), torch.tensor([1.0, 0.0])),
    "binary_cross_entropy_with_logits": (torch.tensor([-15.0]), torch.tensor([0.0])),
    "cross_entropy": (LOGITS, torch.tensor([1, 0])),
    "nll_loss": (LOGITS, torch.tensor([1, 0])),
}
EVERY_LOSS = pytest.mark.parametrize("name", ARGUMENTS)
# A case of each where PyTorch's number is not ours: it has rounded to 0, or half of it is lost.
APART = (torch.tensor([[40.0, 0.0]]), torch.tensor([0]))


class Recorder:
    """What was asked, and with which arguments."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []


def owner_of(name: str, recorder: Recorder) -> type[Tensor]:
    class Owner(Tensor):
        @classmethod
        def __torch_function__(
            cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func is getattr(torch_functional, name):
                recorder.asked.append((func, args, kwargs))
                return "its own"
            return super().__torch_function__(func, types, args, kwargs or {})

    return Owner


@EVERY_LOSS
def test_a_class_is_asked_with_what_pytorch_gives_it(name: str) -> None:
    """The same function, arguments and keywords, whichever argument is of the class."""
    weights = ["weight"]
    if name == "binary_cross_entropy_with_logits":
        weights.append("pos_weight")
    for place in ("input", "target", *weights):
        recorder = Recorder()
        owner = owner_of(name, recorder)
        input, target = ARGUMENTS[name]
        given: dict[str, Any] = {"input": input, "target": target}
        size = 2 if input.ndim == 2 else 1
        given |= {weight: torch.ones(size) for weight in weights}
        given[place] = given[place].as_subclass(owner)
        assert getattr(torch_functional, name)(**given, reduction="sum") == "its own"
        assert getattr(F, name)(**given, reduction="sum") == "its own"
        theirs, ours = recorder.asked
        assert ours[0] is theirs[0]
        assert [id(one) for one in ours[1]] == [id(one) for one in theirs[1]]
        assert list(ours[2]) == list(theirs[2])
        assert all(ours[2][key] is one or ours[2][key] == one for key, one in theirs[2].items())


@EVERY_LOSS
def test_what_is_no_tensor_is_asked_too(name: str) -> None:
    class Own:
        @classmethod
        def __torch_function__(
            cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            return func.__name__

    assert getattr(F, name)(Own(), Own()) == name


@EVERY_LOSS
def test_operations_inside_are_seen_where_an_option_of_ours_is_set(name: str) -> None:
    recorder = Recorder()
    owner = owner_of(name, recorder)
    input, target = ARGUMENTS[name]
    sample_weight = torch.ones(target.shape)
    value = getattr(F, name)(input.as_subclass(owner), target, sample_weight=sample_weight)
    assert type(value) is owner
    assert not recorder.asked


@EVERY_LOSS
def test_a_mode_is_asked(name: str) -> None:
    class Own(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            return func

    with Own():
        assert getattr(F, name)(*ARGUMENTS[name]) is getattr(torch_functional, name)
        assert getattr(F, name)(*ARGUMENTS[name], reduction="none") is getattr(
            torch_functional, name
        )


def in_a_plain_subclass() -> Tensor:
    class Plain(Tensor):
        pass

    return F.cross_entropy(APART[0].as_subclass(Plain), APART[1]).as_subclass(Tensor)


def in_a_device_context() -> Tensor:
    with torch.device("meta"):
        return F.cross_entropy(*APART)


def with_a_default_device() -> Tensor:
    torch.set_default_device("cpu")
    try:
        return F.cross_entropy(*APART)
    finally:
        torch.set_default_device(None)


def in_a_mode_of_pytorch() -> Tensor:
    with BaseTorchFunctionMode():
        return F.cross_entropy(*APART)


@pytest.mark.parametrize(
    "loss",
    [in_a_plain_subclass, in_a_device_context, with_a_default_device, in_a_mode_of_pytorch],
)
def test_who_has_no_form_of_its_own_gets_ours(loss: Callable[[], Tensor]) -> None:
    """PyTorch's number is 0 here: a row right by 40 nats."""
    assert torch_functional.cross_entropy(*APART) == 0.0
    torch.testing.assert_close(loss(), torch.tensor(4.248354e-18))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.int8])
def test_a_target_that_pytorch_refuses_is_still_taken(dtype: torch.dtype) -> None:
    class PassedOn(Tensor):
        @classmethod
        def __torch_function__(
            cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            return super().__torch_function__(func, types, args, kwargs or {})

    input, target = ARGUMENTS["cross_entropy"]
    value = F.cross_entropy(input, target.to(dtype).as_subclass(PassedOn))
    torch.testing.assert_close(value.as_subclass(Tensor), F.cross_entropy(input, target))


@EVERY_LOSS
def test_symbolic_trace(name: str) -> None:
    """A program recorded by torch.fx holds PyTorch's loss."""

    class Loss(torch.nn.Module):
        def forward(self, input: Tensor, target: Tensor) -> Tensor:
            return getattr(F, name)(input, target)

    graph = torch.fx.symbolic_trace(Loss())
    called = [node.target for node in graph.graph.nodes if node.op == "call_function"]
    assert called == [getattr(torch_functional, name)]
    torch.testing.assert_close(
        graph(*ARGUMENTS[name]), getattr(torch_functional, name)(*ARGUMENTS[name])
    )


def test_compiled_programs_are_not_asked() -> None:
    torch._dynamo.reset()
    loss = torch.compile(F.cross_entropy, fullgraph=True, backend="eager")
    with torch.device("cpu"):
        torch.testing.assert_close(loss(*APART), torch.tensor(4.248354e-18))
    torch._dynamo.reset()
