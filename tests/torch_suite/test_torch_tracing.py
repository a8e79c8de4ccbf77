"""Ours where PyTorch looks at the operations: compilation, fake tensors, subclasses, modes."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch._subclasses.fake_utils import CrossRefFakeMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode
from torch.testing._internal import composite_compliance, optests
from torch.testing._internal.logging_tensor import LoggingTensor
from torch.testing._internal.opinfo.core import SampleInput
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch_samples import (
    LOSSES,
    ONE_PATH,
    call,
    few_samples,
    mapped,
    ours,
    path,  # noqa: F401 -- a fixture that every test uses
    raised,
    sample_of,
    theirs,
    value_and_gradient,
    with_input,
)

EVERY_LOSS = pytest.mark.parametrize("name", LOSSES)

# PyTorch looks for the gradient of a tensor inside of a graph itself.
NO_GRADIENT_INSIDE = pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")


@pytest.fixture
def compiler() -> Any:
    """Nothing compiled before or after."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def compiled_kinds(name: str) -> list[SampleInput]:
    """One sample for each reduction and kind of target."""
    kinds: dict[object, SampleInput] = {}
    for sample in few_samples(name, torch.float32, largest=25):
        soft = sample.args[0].is_floating_point()
        kinds.setdefault((sample.kwargs.get("reduction"), soft, len(sample.kwargs)), sample)
    return list(kinds.values())


def assert_compiles(name: str, backend: str, limit: int, **options: Any) -> None:
    for sample in compiled_kinds(name)[:limit]:
        loss = torch.compile(ours(name), fullgraph=True, backend=backend, **options)
        given = value_and_gradient(loss, sample)
        torch.testing.assert_close(given, value_and_gradient(theirs(name), sample))


@ONE_PATH
@pytest.mark.usefixtures("compiler")
@EVERY_LOSS
def test_compile_with_one_graph(name: str) -> None:
    assert_compiles(name, "aot_eager", 2)


@ONE_PATH
@pytest.mark.usefixtures("compiler")
@EVERY_LOSS
def test_compile_with_shapes_as_symbols(name: str) -> None:
    assert_compiles(name, "aot_eager", 1, dynamic=True)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@ONE_PATH
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("name", ["binary_cross_entropy_with_logits", "cross_entropy"])
def test_compile_to_native_code(name: str) -> None:
    assert_compiles(name, "inductor", 1)


@NO_GRADIENT_INSIDE
@ONE_PATH
@pytest.mark.usefixtures("compiler")
@EVERY_LOSS
def test_compile_a_training_step(name: str) -> None:
    """A model and its loss in one graph."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Sigmoid())
    rows, target = torch.randn(5, 4), torch.tensor([0, 2, 1, 1, 0])
    if name.startswith("binary"):
        target = torch.nn.functional.one_hot(target, 3).float()

    def slopes(loss: Callable[..., Tensor]) -> list[Tensor]:
        model.zero_grad()
        loss(model(rows), target).backward()
        return [parameter.grad.clone() for parameter in model.parameters()]

    def step(output: Tensor, target: Tensor) -> Tensor:
        return ours(name)(output, target) * 1.0

    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(slopes(compiled), slopes(theirs(name)))


@ONE_PATH
@pytest.mark.usefixtures("compiler")
@EVERY_LOSS
def test_aot_autograd(name: str) -> None:
    """PyTorch's check of an operator under AOTAutograd, with shapes fixed and as symbols."""
    sample = few_samples(name, torch.float32, largest=25)[0]
    leaf = sample.input.clone().requires_grad_()
    for dynamic in (False, True):
        optests.aot_autograd_check(ours(name), (leaf, *sample.args), sample.kwargs, dynamic=dynamic)


@ONE_PATH
@EVERY_LOSS
def test_export(name: str) -> None:
    class Loss(torch.nn.Module):
        def forward(self, input: Tensor, target: Tensor) -> Tensor:
            return ours(name)(input, target)

    sample = few_samples(name, torch.float32)[0]
    exported = torch.export.export(Loss(), (sample.input, sample.args[0]), strict=False).module()
    torch.testing.assert_close(
        exported(sample.input, sample.args[0]), theirs(name)(sample.input, sample.args[0])
    )


@ONE_PATH
@EVERY_LOSS
@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_traced_to_operators(name: str, mode: str) -> None:
    for sample in few_samples(name, torch.float32, largest=12)[:3]:
        gradient = gradient_of(name, sample)
        leaf = sample.input.detach().clone().requires_grad_()
        target = sample.args[0]
        graph = make_fx(gradient, tracing_mode=mode, _allow_non_fake_inputs=True)(leaf, target)
        torch.testing.assert_close(graph(leaf, target), gradient(leaf, target))


def gradient_of(name: str, sample: SampleInput) -> Callable[[Tensor, Tensor], Tensor]:
    def gradient(input: Tensor, target: Tensor) -> Tensor:
        value = ours(name)(input, target, **sample.kwargs)
        return torch.autograd.grad(value.sum(), input)[0]

    return gradient


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@EVERY_LOSS
def test_recorded(name: str) -> None:
    """torch.jit.trace."""
    sample = few_samples(name, torch.float32)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)
        traced = torch.jit.trace(ours(name), (sample.input, sample.args[0]))
    other = with_input(sample, sample.input * 0.5)
    expected = theirs(name)(other.input, other.args[0])
    torch.testing.assert_close(traced(other.input, other.args[0]), expected)


# Fake and meta tensors.


@EVERY_LOSS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fake_tensors(name: str, dtype: torch.dtype) -> None:
    """Shape, dtype, strides and device without numbers, forward and backward."""
    for sample in few_samples(name, dtype):
        with FakeTensorMode() as mode:
            given = value_and_gradient(ours(name), mapped(sample, mode.from_tensor))
        for fake, real in zip(given, value_and_gradient(theirs(name), sample), strict=True):
            assert isinstance(fake, FakeTensor)
            assert (fake.shape, fake.dtype, fake.device) == (real.shape, real.dtype, real.device)


@EVERY_LOSS
def test_real_tensors_under_the_fake_mode(name: str) -> None:
    for sample in few_samples(name, torch.float32):
        with FakeTensorMode(allow_non_fake_inputs=True):
            value = call(ours(name), sample)
        assert isinstance(value, FakeTensor)
        assert value.shape == call(theirs(name), sample).shape


@NO_GRADIENT_INSIDE
@EVERY_LOSS
def test_fake_beside_real(name: str) -> None:
    """PyTorch's mode that runs every operation both ways and compares shapes and strides."""
    for sample in few_samples(name, torch.float32, largest=25)[:5]:
        leaf = sample.input.detach().clone().requires_grad_()
        with CrossRefFakeMode():
            call(ours(name), with_input(sample, leaf)).sum().backward()


@EVERY_LOSS
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_meta_device(name: str, dtype: torch.dtype) -> None:
    for sample in few_samples(name, dtype):
        given = value_and_gradient(ours(name), mapped(sample, lambda tensor: tensor.to("meta")))
        for meta, real in zip(given, value_and_gradient(theirs(name), sample), strict=True):
            assert meta.device.type == "meta"
            assert (meta.shape, meta.dtype) == (real.shape, real.dtype)


# Autocast.


@EVERY_LOSS
@pytest.mark.parametrize("autocast", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_autocast(name: str, autocast: torch.dtype, dtype: torch.dtype) -> None:
    """The dtypes of loss and gradient, and their numbers, where PyTorch has them."""
    for sample in few_samples(name, dtype):
        with torch.autocast("cpu", dtype=autocast):
            error = raised(lambda sample=sample: value_and_gradient(theirs(name), sample))
            if error is not None:
                given_error = raised(lambda sample=sample: value_and_gradient(ours(name), sample))
                assert given_error is None or isinstance(given_error, type(error))
                continue
            expected = value_and_gradient(theirs(name), sample)
            given = value_and_gradient(ours(name), sample)
        torch.testing.assert_close(given, expected, rtol=2e-2, atol=1e-2)


@EVERY_LOSS
def test_autocast_around_a_model(name: str) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(4, 3)
    rows, target = torch.randn(5, 4), torch.tensor([0, 2, 1, 1, 0])
    if name.startswith("binary"):
        target = torch.nn.functional.one_hot(target, 3).float()
    results = []
    for loss in (ours(name), theirs(name)):
        layer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = layer(rows)
            output = output.sigmoid().float() if name == "binary_cross_entropy" else output
            value = loss(output, target)
        value.backward()
        results.append([value.detach(), layer.weight.grad.clone()])
    torch.testing.assert_close(*results, rtol=2e-2, atol=1e-3)


# Subclasses of Tensor.


class Counted(Tensor):
    """Counts what is asked of it, through ``__torch_function__``."""

    seen: ClassVar[list[Any]] = []

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cls.seen.append(func)
        return super().__torch_function__(func, types, args, kwargs or {})


@EVERY_LOSS
def test_subclass_by_function(name: str) -> None:
    """It stays of its class, sees what is done with it, and has PyTorch's numbers."""
    for sample in few_samples(name):
        Counted.seen.clear()
        leaf = sample.input.detach().clone().as_subclass(Counted).requires_grad_()
        value = call(ours(name), with_input(sample, leaf))
        assert type(value) is Counted
        assert Counted.seen
        value.sum().backward()
        plain = sample.input.detach().clone().requires_grad_()
        expected = call(theirs(name), with_input(sample, plain))
        expected.sum().backward()
        torch.testing.assert_close(value.as_subclass(Tensor), expected)
        torch.testing.assert_close(leaf.grad.as_subclass(Tensor), plain.grad)


@EVERY_LOSS
def test_subclass_that_overrides_the_loss(name: str) -> None:
    """A class that has its own form of PyTorch's loss is asked for it."""

    class Own(Tensor):
        @classmethod
        def __torch_function__(
            cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func is theirs(name):
                return "its own"
            return super().__torch_function__(func, types, args, kwargs or {})

    for place, loss in itertools.product((0, 1), (theirs(name), ours(name))):
        sample = few_samples(name)[0]
        given = [sample.input, sample.args[0]]
        given[place] = given[place].as_subclass(Own)
        assert loss(*given) == "its own"


@EVERY_LOSS
def test_mode_that_overrides_the_loss(name: str) -> None:
    class Own(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            return "its own" if func is theirs(name) else func(*args, **(kwargs or {}))

    sample = few_samples(name)[0]
    for loss in (theirs(name), ours(name)):
        with Own():
            value = loss(sample.input, sample.args[0])
        assert isinstance(value, str)


@EVERY_LOSS
def test_parameters(name: str) -> None:
    for sample in few_samples(name):
        parameter = torch.nn.Parameter(sample.input.detach().clone())
        value = call(ours(name), with_input(sample, parameter))
        assert type(value) is Tensor
        torch.testing.assert_close(value.detach(), call(theirs(name), sample))


@EVERY_LOSS
def test_subclass_by_dispatch(name: str) -> None:
    """PyTorch's logging wrapper: it holds a tensor, and has no memory of its own."""
    for sample in few_samples(name):
        value = call(ours(name), mapped(sample, LoggingTensor))
        assert isinstance(value, LoggingTensor)
        torch.testing.assert_close(value.elem, call(theirs(name), sample))


@EVERY_LOSS
def test_subclass_of_two(name: str) -> None:
    """PyTorch's pair of tensors, with a gradient for both."""
    for sample in few_samples(name):
        pair = TwoTensor(sample.input.clone(), sample.input * 0.5).requires_grad_()
        value = call(ours(name), with_input(sample, pair))
        assert isinstance(value, TwoTensor)
        value.sum().backward()
        for half, part, slope in zip(
            (sample.input, sample.input * 0.5),
            (value.a, value.b),
            (pair.grad.a, pair.grad.b),
            strict=True,
        ):
            leaf = half.detach().clone().requires_grad_()
            expected = call(theirs(name), with_input(sample, leaf))
            expected.sum().backward()
            torch.testing.assert_close(part.detach(), expected.detach())
            torch.testing.assert_close(slope, leaf.grad)


class Seen(TorchDispatchMode):
    """Which operators run."""

    def __init__(self) -> None:
        super().__init__()
        self.operators: list[Any] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operators.append(func)
        return func(*args, **(kwargs or {}))


@EVERY_LOSS
def test_dispatch_mode_sees_operators(name: str) -> None:
    for sample in few_samples(name):
        with Seen() as mode:
            given = value_and_gradient(ours(name), sample)
        assert mode.operators
        torch.testing.assert_close(given, value_and_gradient(theirs(name), sample))


@EVERY_LOSS
def test_composite_compliance(name: str) -> None:
    """PyTorch's check of what is composed of operators: any argument may be a wrapper subclass."""
    for sample in few_samples(name, torch.float32, largest=12)[:3]:
        args = (sample.input, *sample.args)
        composite_compliance.check_with_mode(
            ours(name), args, sample.kwargs, torch.testing.assert_close
        )
        composite_compliance.check_all_permutations(
            ours(name), args, sample.kwargs, torch.testing.assert_close
        )
        leaf = sample.input.detach().clone().requires_grad_()
        composite_compliance.check_backward_formula(
            ours(name), (leaf, *sample.args), sample.kwargs, assert_equal_fn=assert_equal
        )
        composite_compliance.check_forward_ad_formula(
            ours(name), (leaf, *sample.args), sample.kwargs, assert_equal_fn=assert_equal
        )


def assert_equal(given: Any, expected: Any, equal_nan: bool = True) -> None:
    torch.testing.assert_close(given, expected, equal_nan=equal_nan)


@EVERY_LOSS
@pytest.mark.parametrize("path", ["plain PyTorch"], indirect=True)
def test_copy_on_write_inputs_stay_lazy(name: str) -> None:
    """As PyTorch's own: reading a tensor that is copied when it is written doesn't copy it."""
    for sample in few_samples(name, torch.float32):
        lazy = torch._lazy_clone(sample.input.clone())
        call(ours(name), with_input(sample, lazy))
        assert torch._C._is_cow_tensor(lazy)


def test_default_device_and_dtype() -> None:
    """What is made inside follows the arguments and not the defaults."""
    for name, target in (("cross_entropy", torch.tensor([1])), ("binary_cross_entropy", None)):
        input = torch.full((1, 2), 0.5)
        sample = sample_of(input, input if target is None else target)
        expected = value_and_gradient(theirs(name), sample)
        with torch.device("meta"):
            given = call(ours(name), sample)
        assert given.device.type == "cpu"
        torch.set_default_dtype(torch.float64)
        try:
            given = value_and_gradient(ours(name), sample, upstream=torch.tensor(0.5).float())
        finally:
            torch.set_default_dtype(torch.float32)
        torch.testing.assert_close(given, expected)
