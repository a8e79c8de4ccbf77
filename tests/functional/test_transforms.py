"""The losses under everything that PyTorch wraps around a function."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as torch_functional
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx

import xent.functional as F

# PyTorch's own forward mode and tracing compile their formulas with it.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(4, 3, dtype=torch.float64, generator=GENERATOR)
INDICES = torch.tensor([0, 2, -100, 1])
SHARES = torch.softmax(torch.randn(4, 3, dtype=torch.float64, generator=GENERATOR), 1)
LABELS = torch.tensor([[0, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 1]], dtype=torch.float64)

Loss = Callable[[Tensor], Tensor]
REDUCTIONS = ["none", "mean", "sum"]
NAMES = [
    "cross_entropy",
    "cross_entropy of probabilities",
    "nll_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
]


def loss_named(name: str, functions: Any = F, **options: Any) -> Loss:
    """The loss as a function of its input alone."""
    target = INDICES
    if "binary" in name:
        target = LABELS
    elif "probabilities" in name:
        target = SHARES
    function = getattr(functions, name.split(maxsplit=1)[0])
    return lambda input: function(input, target.to(input.device), **options)


def input_for(name: str) -> Tensor:
    return torch.sigmoid(LOGITS) if name == "binary_cross_entropy" else LOGITS.clone()


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", NAMES)
class TestEveryLoss:
    def test_gradients_of_both_orders(self, name: str, reduction: str) -> None:
        loss, input = loss_named(name, reduction=reduction), input_for(name).requires_grad_()
        assert torch.autograd.gradcheck(loss, input, check_forward_ad=True, check_batched_grad=True)
        assert torch.autograd.gradgradcheck(loss, input, check_fwd_over_rev=True)

    def test_forward_mode(self, name: str, reduction: str) -> None:
        tangent = torch.linspace(-1, 1, LOGITS.numel(), dtype=torch.float64).reshape(LOGITS.shape)
        results = []
        for functions in (F, torch_functional):
            with forward_ad.dual_level():
                dual = forward_ad.make_dual(input_for(name), tangent)
                value = loss_named(name, functions, reduction=reduction)(dual)
                results.append(forward_ad.unpack_dual(value).tangent)
        torch.testing.assert_close(*results)

    @pytest.mark.parametrize("transform", ["grad", "jacrev", "jacfwd", "hessian"])
    def test_functional_transforms(self, name: str, reduction: str, transform: str) -> None:
        apply = getattr(torch.func, transform)

        def result(functions: Any) -> Tensor:
            loss = loss_named(name, functions, reduction=reduction)
            outcome: Tensor = apply(lambda x: loss(x).sum())(input_for(name))
            return outcome

        ours, theirs = result(F), result(torch_functional)
        torch.testing.assert_close(ours, theirs)

    def test_vmap_over_inputs(self, name: str, reduction: str) -> None:
        inputs = torch.stack([input_for(name), input_for(name).flip(0)])
        loss = loss_named(name, reduction=reduction)
        torch.testing.assert_close(torch.vmap(loss)(inputs), torch.stack([*map(loss, inputs)]))

    def test_vmap_of_gradients(self, name: str, reduction: str) -> None:
        inputs = torch.stack([input_for(name), input_for(name).flip(0)])
        loss = loss_named(name, reduction=reduction)
        gradient = torch.func.grad(lambda x: loss(x).sum())
        torch.testing.assert_close(
            torch.vmap(gradient)(inputs), torch.stack([*map(gradient, inputs)])
        )

    def test_fake_tensors(self, name: str, reduction: str) -> None:
        real = loss_named(name, reduction=reduction)(input_for(name))
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            input = mode.from_tensor(input_for(name)).requires_grad_()
            value = loss_named(name, reduction=reduction)(input)
            assert (value.shape, value.dtype) == (real.shape, real.dtype)
            assert torch.autograd.grad(value.sum(), input)[0].shape == input.shape

    def test_meta_device(self, name: str, reduction: str) -> None:
        input = input_for(name).to("meta")
        real = loss_named(name, reduction=reduction)(input_for(name))
        assert loss_named(name, reduction=reduction)(input).shape == real.shape

    def test_traced_graph(self, name: str, reduction: str) -> None:
        loss = loss_named(name, reduction=reduction)
        traced = make_fx(loss, tracing_mode="symbolic", _allow_non_fake_inputs=True)(
            input_for(name)
        )
        other = input_for(name).flip(0)
        torch.testing.assert_close(traced(other), loss(other))

    def test_inference_mode(self, name: str, reduction: str) -> None:
        loss = loss_named(name, reduction=reduction)
        with torch.inference_mode():
            value = loss(input_for(name))
        torch.testing.assert_close(value.clone(), loss(input_for(name)))

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
    def test_autocast(self, name: str, reduction: str, dtype: torch.dtype) -> None:
        input = input_for(name).to(dtype).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = loss_named(name, reduction=reduction)(input)
            target = LABELS.to(dtype) if "binary" in name else None
            if target is not None:
                value = getattr(F, name)(input, target, reduction=reduction)
        halves = name != "cross_entropy of probabilities" and dtype != torch.float64
        assert value.dtype == (torch.float32 if halves else torch.float64)
        assert torch.autograd.grad(value.sum(), input)[0].dtype == dtype


@pytest.mark.parametrize("name", NAMES)
def test_compiled_whole(name: str) -> None:
    """With its gradient, without a break in the graph."""
    loss = loss_named(name)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    ours, expected = input_for(name).requires_grad_(), input_for(name).requires_grad_()
    value, truth = compiled(ours), loss(expected)
    torch.testing.assert_close(value, truth)
    torch.testing.assert_close(
        torch.autograd.grad(value, ours)[0], torch.autograd.grad(truth, expected)[0]
    )


def test_compiled_whole_with_every_option() -> None:
    def loss(input: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            INDICES,
            torch.ones(3),
            label_smoothing=0.1,
            z_loss=0.1,
            softcap=5.0,
            temperature=2.0,
            logit_adjustment=torch.zeros(3),
            sample_weight=torch.ones(4),
            class_dim=-1,
            normalizer=4,
        )

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(LOGITS), loss(LOGITS))


def test_per_sample_gradients() -> None:
    """Of a model, by torch.func, with the targets mapped as well."""
    weight = torch.eye(3, dtype=torch.float64)

    def loss(weight: Tensor, features: Tensor, label: Tensor) -> Tensor:
        return F.cross_entropy(features @ weight, label)

    target = torch.tensor([0, 2, 1, 1])
    mapped = torch.vmap(torch.func.grad(loss), (None, 0, 0))(weight, LOGITS, target)
    singly = [torch.func.grad(loss)(weight, *pair) for pair in zip(LOGITS, target, strict=True)]
    torch.testing.assert_close(mapped, torch.stack(singly))


def test_checkpointing() -> None:
    input = LOGITS.clone().requires_grad_()
    checkpoint = torch.utils.checkpoint.checkpoint(
        lambda x: F.cross_entropy(2 * x, INDICES), input, use_reentrant=False
    )
    plain = F.cross_entropy(2 * input, INDICES)
    torch.testing.assert_close(
        torch.autograd.grad(checkpoint, input), torch.autograd.grad(plain, input)
    )


def test_twice_through_one_graph() -> None:
    input = LOGITS.clone().requires_grad_()
    loss = F.cross_entropy(input, INDICES)
    first = torch.autograd.grad(loss, input, retain_graph=True)[0].clone()
    torch.testing.assert_close(torch.autograd.grad(2 * loss, input)[0], 2 * first)


class Labelled(Tensor):
    """A subclass that keeps its type through PyTorch's functions."""


@pytest.mark.parametrize("name", NAMES)
def test_subclasses_keep_their_type(name: str) -> None:
    loss = loss_named(name)
    value = loss(input_for(name).as_subclass(Labelled))
    assert type(value) is Labelled
    torch.testing.assert_close(value.as_subclass(Tensor), loss(input_for(name)))


def test_parameters() -> None:
    parameter = torch.nn.Parameter(LOGITS.clone())
    F.cross_entropy(parameter, INDICES).backward()
    assert parameter.grad is not None


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_left_alone(name: str) -> None:
    input = input_for(name).requires_grad_()
    version, before = input._version, input.detach().clone()
    loss_named(name)(input).backward()
    assert input._version == version
    torch.testing.assert_close(input.detach(), before, rtol=0.0, atol=0.0)


def test_no_warning_and_no_state() -> None:
    """The functions can be copied and pickled like PyTorch's."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pickle.loads(pickle.dumps(F.cross_entropy)) is F.cross_entropy
        assert copy.deepcopy(F.nll_loss) is F.nll_loss


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_million_half_precision_rows(dtype: torch.dtype) -> None:
    """Sums are float32's: the mean of a million equal losses is the loss."""
    rows = torch.tensor([[1.0, 0.0]], dtype=dtype).expand(1_000_000, 2)
    target = torch.ones(1_000_000, dtype=torch.int64)
    one = F.cross_entropy(rows[:1].float(), target[:1])
    unit = torch.finfo(dtype).eps * one.item()
    assert abs(F.cross_entropy(rows, target).item() - one.item()) <= unit / 2
