"""PyTorch's own samples of its four losses, and how a result of ours is compared with its.

The samples come from the operator database that PyTorch's tests are generated from. Random ones
are drawn with a fixed seed. Each test runs twice: as the losses dispatch by themselves, and with
the plain PyTorch path forced.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as torch_functional
from torch import Tensor
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.opinfo.core import OpInfo, SampleInput
from torch.utils._pytree import tree_leaves, tree_map

import xent.functional as F

with warnings.catch_warnings():
    # What forward mode loads on its first use is scripted, which PyTorch itself deprecates.
    warnings.simplefilter("ignore", DeprecationWarning)
    importlib.import_module("torch._decomp.decompositions_for_jvp")

LOSSES = (
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "nll_loss",
)
OPERATORS: dict[str, OpInfo] = {
    operator.name.removeprefix("nn.functional."): operator
    for operator in op_db
    if operator.name.removeprefix("nn.functional.") in LOSSES
}
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
SEED = 0

# Units in the last place that ours may be off where PyTorch by luck is not.
UNITS = 4.0

DISPATCH = "xent.kernels._dispatch"


@pytest.fixture(autouse=True, params=["dispatched", "plain PyTorch"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """As the losses dispatch by themselves, and with native kernels forbidden."""
    if request.param == "plain PyTorch":
        if importlib.util.find_spec(DISPATCH) is None:
            pytest.skip("nothing is dispatched: plain PyTorch is the only path")
        dispatch = importlib.import_module(DISPATCH)
        monkeypatch.setattr(dispatch, "native_allowed", lambda *_, **__: False)
    return str(request.param)


# Where PyTorch traces or transforms a loss, there is one path anyway.
ONE_PATH = pytest.mark.parametrize("path", ["dispatched"], indirect=True)


@cache
def samples(name: str, dtype: torch.dtype = torch.float64) -> list[SampleInput]:
    """PyTorch's samples of a loss; tests that change a tensor change a copy."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return list(OPERATORS[name].sample_inputs("cpu", dtype, requires_grad=False))


def few_samples(
    name: str, dtype: torch.dtype = torch.float64, *, largest: int = 1000
) -> list[SampleInput]:
    """One sample of each kind: axes and dtypes of the tensors, reduction, smoothing."""
    kinds: dict[object, SampleInput] = {}
    for sample in samples(name, dtype):
        if sample.input.numel() > largest:
            continue
        shapes = tuple((leaf.ndim, leaf.dtype) for leaf in tensors(sample))
        smoothed = bool(sample.kwargs.get("label_smoothing"))
        kinds.setdefault((shapes, sample.kwargs.get("reduction"), smoothed), sample)
    return list(kinds.values())


def every_sample(dtype: torch.dtype = torch.float64) -> Iterator[tuple[str, SampleInput]]:
    """The samples of all losses."""
    for name in LOSSES:
        yield from ((name, sample) for sample in samples(name, dtype))


def tensors(sample: SampleInput) -> list[Tensor]:
    """Every tensor of a sample: the input, the target, and the weights."""
    leaves = tree_leaves((sample.input, sample.args, sample.kwargs))
    return [leaf for leaf in leaves if isinstance(leaf, Tensor)]


def ours(name: str) -> Callable[..., Tensor]:
    """Our loss of that name."""
    return getattr(F, name)


def theirs(name: str) -> Callable[..., Tensor]:
    """PyTorch's loss of that name."""
    return getattr(torch_functional, name)


def call(loss: Callable[..., Tensor], sample: SampleInput) -> Tensor:
    """A loss of a sample."""
    return loss(sample.input, *sample.args, **sample.kwargs)


def sample_of(input: Tensor, target: Tensor, **options: object) -> SampleInput:
    """A sample of one's own."""
    return SampleInput(input, args=(target,), kwargs=options)


def with_input(sample: SampleInput, input: Tensor) -> SampleInput:
    """A sample with another input."""
    return SampleInput(input, args=sample.args, kwargs=sample.kwargs)


def mapped(sample: SampleInput, change: Callable[[Tensor], Tensor]) -> SampleInput:
    """A sample with all its tensors changed, floating or not."""

    def changed(leaf: object) -> object:
        return change(leaf) if isinstance(leaf, Tensor) else leaf

    input, args, kwargs = tree_map(changed, (sample.input, sample.args, sample.kwargs))
    return SampleInput(input, args=args, kwargs=kwargs)


def widened(sample: SampleInput) -> SampleInput:
    """A sample in float64."""
    return mapped(sample, lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)


def one_argument(
    name: str, sample: SampleInput, loss: Callable[..., Tensor] | None = None
) -> tuple[Callable[..., Tensor], tuple[Tensor, ...]]:
    """The loss as a function of every floating tensor of a sample, and those tensors."""
    loss = loss or ours(name)
    leaves, restore = flattened(sample)

    def function(*floating: Tensor) -> Tensor:
        input, args, kwargs = restore(floating)
        return loss(input, *args, **kwargs)

    return function, tuple(leaves)


def flattened(
    sample: SampleInput,
) -> tuple[list[Tensor], Callable[[tuple[Tensor, ...]], tuple[Any, Any, Any]]]:
    """The floating tensors of a sample, and what puts others in their place."""
    floating = [leaf for leaf in tensors(sample) if leaf.is_floating_point()]
    places = {id(leaf): place for place, leaf in enumerate(floating)}

    def restore(others: tuple[Tensor, ...]) -> tuple[Any, Any, Any]:
        def put(leaf: object) -> object:
            return others[places[id(leaf)]] if id(leaf) in places else leaf

        restored = tree_map(put, (sample.input, sample.args, sample.kwargs))
        return restored[0], restored[1], restored[2]

    return floating, restore


def value_and_gradient(
    loss: Callable[..., Tensor], sample: SampleInput, *, upstream: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The loss of a sample and its gradient in the input, for an upstream gradient not all 1."""
    input = sample.input.detach().requires_grad_()
    value = call(loss, with_input(sample, input))
    if upstream is None:
        steps = torch.linspace(0.5, 1.0, value.numel(), dtype=value.dtype, device=value.device)
        upstream = steps.reshape(value.shape)
    return value.detach(), torch.autograd.grad(value, input, upstream)[0]


def assert_as_good(ours: Tensor, theirs: Tensor, truth: Tensor, scale: float = 0.0) -> None:
    """Within a few units in the last place of PyTorch's number, or nearer to the truth than it is.

    ``scale`` is the size of the terms that cancel in the numbers: what a unit is measured of.
    In float64 there is no truth but PyTorch's own, and 1e-12 is asked for.
    """
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    assert ours.device == theirs.device
    if ours.dtype is torch.float64:
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12 * scale, equal_nan=True)
        return
    unit = UNITS * torch.finfo(ours.dtype).eps
    same = (ours == theirs) | (ours.isnan() & theirs.isnan())
    ours, theirs, truth = ours.double(), theirs.double(), truth.double()
    size = truth.abs().clamp(min=scale)
    near = ((ours - theirs).abs() <= unit * size) | ((ours - truth).abs() <= unit * size)
    nearer = (ours - truth).abs() <= (theirs - truth).abs()
    good = same | near | nearer
    assert good.all(), (ours[~good], theirs[~good], truth[~good])


def compare(name: str, sample: SampleInput) -> None:
    """Value and gradient of ours beside PyTorch's on the same tensors."""
    compare_as(name, sample, sample)


def compare_as(name: str, sample: SampleInput, plain: SampleInput) -> None:
    """Ours on a sample beside PyTorch's on the same numbers."""
    given = value_and_gradient(ours(name), sample)
    expected = value_and_gradient(theirs(name), plain)
    truth = value_and_gradient(theirs(name), widened(plain))
    assert_as_good(given[0], expected[0], truth[0], value_scale(name, plain))
    assert_as_good(given[1], expected[1], truth[1], gradient_scale(plain))


def value_scale(name: str, sample: SampleInput) -> float:
    """The size of the terms that are summed: samples have negative weights, which cancel."""
    apart = SampleInput(
        sample.input, args=sample.args, kwargs={**sample.kwargs, "reduction": "none"}
    )
    terms = float(call(theirs(name), widened(apart)).detach().abs().nansum())
    reduction = sample.kwargs.get("reduction", "mean")
    if reduction == "none":
        return 1e-3
    return terms / max(1, sample.args[0].numel()) if reduction == "mean" else terms


def gradient_scale(sample: SampleInput) -> float:
    """The size of the two terms of a gradient, such as p - y, that cancel in it."""
    weights = [leaf for leaf in sample.kwargs.values() if isinstance(leaf, Tensor)]
    largest = max([1.0, *(float(weight.abs().max()) for weight in weights if weight.numel())])
    if sample.kwargs.get("reduction", "mean") == "mean":
        return largest / max(1, sample.args[0].numel())
    return largest


def raised(function: Callable[[], object]) -> BaseException | None:
    """What a call raises."""
    try:
        function()
    except Exception as error:  # the kind is what is compared
        return error
    return None
