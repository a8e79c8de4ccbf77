"""PyTorch's samples of its losses through ours: values and gradients of every dtype and layout."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch_samples import (
    DTYPES,
    LOSSES,
    assert_as_good,
    call,
    compare,
    compare_as,
    few_samples,
    gradient_scale,
    mapped,
    ours,
    path,  # noqa: F401 -- a fixture that every test uses
    sample_of,
    samples,
    tensors,
    theirs,
    value_and_gradient,
    widened,
    with_input,
)

EVERY_LOSS = pytest.mark.parametrize("name", LOSSES)
EVERY_DTYPE = pytest.mark.parametrize("dtype", DTYPES)


@EVERY_LOSS
@EVERY_DTYPE
def test_samples(name: str, dtype: torch.dtype) -> None:
    for sample in samples(name, dtype):
        compare(name, sample)


@EVERY_LOSS
@EVERY_DTYPE
def test_noncontiguous_samples(name: str, dtype: torch.dtype) -> None:
    """PyTorch's own way of making all tensors of a sample non-contiguous."""
    for sample in few_samples(name, dtype):
        compare_as(name, sample.noncontiguous(), sample)


def transposed(tensor: Tensor) -> Tensor:
    """The same numbers with the axes in memory the other way round."""
    order = tuple(reversed(range(tensor.ndim)))
    return tensor.permute(order).contiguous().permute(order)


def sliced(tensor: Tensor) -> Tensor:
    """The same numbers between others, NaN where that can be said."""
    if not tensor.ndim:
        return tensor
    other = torch.nan if tensor.is_floating_point() else 10**6
    around = tensor.new_full([2 * size + 1 for size in tensor.shape], other)
    inside = around[tuple(slice(1, None, 2) for _ in tensor.shape)]
    return inside.copy_(tensor)


def offset(tensor: Tensor) -> Tensor:
    """The same numbers one element into their storage, off every vector boundary."""
    around = tensor.new_zeros(tensor.numel() + 1)[1:]
    return around.view(tensor.shape).copy_(tensor)


def negated_twice(tensor: Tensor) -> Tensor:
    """The same numbers with the negative bit set: what lies in memory has the other sign."""
    return torch._neg_view(-tensor) if tensor.is_floating_point() else tensor


def copied_on_write(tensor: Tensor) -> Tensor:
    """The same numbers in a storage that is copied when it is written."""
    return torch._lazy_clone(tensor.clone())


Layout = Callable[[Tensor], Tensor]
LAYOUTS: list[Layout] = [transposed, sliced, offset, negated_twice, copied_on_write]


@EVERY_LOSS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_layouts(name: str, dtype: torch.dtype, layout: Layout) -> None:
    for sample in few_samples(name, dtype):
        compare_as(name, mapped(sample, layout), sample)


@EVERY_LOSS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_layout_of_one_tensor(name: str, dtype: torch.dtype, layout: Layout) -> None:
    """Each tensor in turn is laid out in another way, the others as usual."""
    for sample in few_samples(name, dtype):
        for one in tensors(sample):
            changed = mapped(
                sample, lambda tensor, one=one: layout(tensor) if tensor is one else tensor
            )
            compare_as(name, changed, sample)


@EVERY_LOSS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_layout_of_the_upstream_gradient(name: str, dtype: torch.dtype, layout: Layout) -> None:
    for sample in few_samples(name, dtype):
        value = call(theirs(name), sample)
        upstream = torch.linspace(0.5, 1.0, value.numel(), dtype=dtype).reshape(value.shape)
        given, expected = (
            value_and_gradient(ours(name), sample, upstream=laid_out)[1]
            for laid_out in (layout(upstream), upstream)
        )
        torch.testing.assert_close(given, expected)


@EVERY_LOSS
@EVERY_DTYPE
def test_expanded(name: str, dtype: torch.dtype) -> None:
    """Along each axis in turn: every number there is the same one in memory."""
    for sample in few_samples(name, dtype):
        for axis in range(sample.input.ndim):
            if not sample.input.shape[axis]:
                continue
            expanded = sample.input.narrow(axis, 0, 1).expand_as(sample.input)
            compare_as(
                name, with_input(sample, expanded), with_input(sample, expanded.contiguous())
            )


@EVERY_LOSS
def test_channels_last(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    input = torch.rand(2, 3, 4, 5, generator=generator)
    labels = torch.rand(2, 3, 4, 5, generator=generator).round()
    indices = torch.randint(0, 3, (2, 4, 5), generator=generator)
    target = labels if name.startswith("binary") else indices
    for reduction in ("none", "mean", "sum"):
        given, expected = (
            value_and_gradient(ours(name), sample_of(laid_out, target, reduction=reduction))
            for laid_out in (input.contiguous(memory_format=torch.channels_last), input)
        )
        torch.testing.assert_close(given, expected, rtol=1e-6, atol=1e-7)
        if name.startswith("binary"):
            last = sample_of(input, target.contiguous(memory_format=torch.channels_last))
            compare_as(name, last, sample_of(input, target))


@EVERY_LOSS
@EVERY_DTYPE
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_empty_batches(name: str, dtype: torch.dtype, reduction: str) -> None:
    shapes = [(0, 3), (0, 3, 2), (2, 3, 0), (0, 3, 2, 2)]
    if name.startswith("binary"):
        shapes += [(0,), (3, 0)]
    for shape in shapes:
        input = torch.zeros(shape, dtype=dtype)
        indices = torch.zeros((shape[0], *shape[2:]), dtype=torch.long)
        target = input if name.startswith("binary") else indices
        compare(name, sample_of(input, target, reduction=reduction))
        if name == "cross_entropy":
            compare(name, sample_of(input, input, reduction=reduction))


@EVERY_LOSS
@EVERY_DTYPE
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_unbatched(name: str, dtype: torch.dtype, reduction: str) -> None:
    input = torch.tensor([0.25, 0.5, 0.125], dtype=dtype)
    targets = [torch.tensor(1)]
    if name.startswith("binary"):
        targets = [torch.tensor([0.0, 1.0, 0.5], dtype=dtype)]
    elif name == "cross_entropy":
        targets.append(torch.tensor([0.25, 0.5, 0.25], dtype=dtype))
    for target in targets:
        compare(name, sample_of(input, target, reduction=reduction))


@EVERY_LOSS
def test_gradients_of_target_and_weights(name: str) -> None:
    """Where PyTorch has a gradient of a target or a weight, ours is the same."""
    compared = 0
    for sample in samples(name):
        floating = {"target": sample.args[0], **sample.kwargs}
        floating = {
            key: tensor
            for key, tensor in floating.items()
            if isinstance(tensor, Tensor) and tensor.is_floating_point()
        }
        for key, tensor in floating.items():
            results = []
            for loss in (theirs(name), ours(name)):
                variable = tensor.detach().clone().requires_grad_()
                args = (variable,) if key == "target" else sample.args
                kwargs = sample.kwargs if key == "target" else {**sample.kwargs, key: variable}
                try:
                    value = loss(sample.input, *args, **kwargs)
                    results.append(torch.autograd.grad(value.sum(), variable)[0])
                except (RuntimeError, NotImplementedError):
                    break
            if results:
                assert len(results) == 2, key
                torch.testing.assert_close(results[1], results[0], rtol=1e-12, atol=1e-12)
                compared += 1
    assert compared or name == "nll_loss"


@EVERY_LOSS
@EVERY_DTYPE
def test_upstream_gradient_not_one(name: str, dtype: torch.dtype) -> None:
    for sample in few_samples(name, dtype):
        for factor in (-3.0, 0.0, 1e-3, 2.0**60):
            if abs(factor) > torch.finfo(dtype).max:
                continue
            upstream = torch.full_like(call(theirs(name), sample), factor)
            results = [
                value_and_gradient(loss, case, upstream=upstream.to(case.input.dtype))[1]
                for loss, case in (
                    (ours(name), sample),
                    (theirs(name), sample),
                    (theirs(name), widened(sample)),
                )
            ]
            assert_as_good(*results, scale=abs(factor) * gradient_scale(sample))


@EVERY_LOSS
def test_expanded_upstream_gradient(name: str) -> None:
    """What ``sum().backward()`` hands back is one number expanded."""
    for sample in few_samples(name, torch.float32):
        value = call(theirs(name), sample)
        one = torch.full((), 0.5).expand(value.shape)
        given, expected = (
            value_and_gradient(loss, sample, upstream=one)[1] for loss in (ours(name), theirs(name))
        )
        torch.testing.assert_close(given, expected, rtol=1e-5, atol=1e-6)
