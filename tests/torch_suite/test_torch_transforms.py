"""Ours under torch.func: grad, vjp, jvp, jacobians, hessians, vmap and what they compose to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.func import functionalize, grad, hessian, jacfwd, jacrev, jvp, linearize, vjp, vmap
from torch.utils._pytree import tree_flatten, tree_unflatten
from torch_samples import (
    LOSSES,
    ONE_PATH,
    call,
    few_samples,
    flattened,
    one_argument,
    ours,
    path,  # noqa: F401 -- a fixture that every test uses
    samples,
    tensors,
    theirs,
    with_input,
)

pytestmark = ONE_PATH
EVERY_LOSS = pytest.mark.parametrize("name", LOSSES)
ROWS = 3

# As in the tests of derivatives: PyTorch adds 1e-12 to a second derivative.
SECOND = {"binary_cross_entropy": 1e-6}

FIRST_ORDER = {
    "grad": lambda f: grad(lambda x: f(x).sum()),
    "jacrev": jacrev,
    "jacfwd": jacfwd,
    "vjp": lambda f: lambda x: vjp(f, x)[1](torch.ones_like(f(x)))[0],
    "jvp": lambda f: lambda x: jvp(f, (x,), (torch.ones_like(x),))[1],
    "linearize": lambda f: lambda x: linearize(f, x)[1](torch.ones_like(x)),
    "functionalize": lambda f: functionalize(grad(lambda x: f(x).sum())),
}
HIGHER_ORDER = {
    "hessian": hessian,
    "jacrev of jacrev": lambda f: jacrev(jacrev(f)),
    "jacrev of jacfwd": lambda f: jacrev(jacfwd(f)),
    "jacfwd of jacfwd": lambda f: jacfwd(jacfwd(f)),
    "grad of grad": lambda f: grad(lambda x: grad(lambda y: f(y).sum())(x).sum()),
}


def of_the_input(
    name: str, sample: object, loss: Callable[..., Tensor]
) -> Callable[[Tensor], Tensor]:
    return lambda input: call(loss, with_input(sample, input))


# PyTorch's own losses warn so as well.
@pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node:UserWarning")
@EVERY_LOSS
@pytest.mark.parametrize("transform", FIRST_ORDER)
def test_first_order(name: str, transform: str) -> None:
    # Linearising traces the loss, which takes its time.
    for sample in few_samples(name)[: 3 if transform == "linearize" else None]:
        given, expected = (
            FIRST_ORDER[transform](of_the_input(name, sample, loss))(sample.input)
            for loss in (ours(name), theirs(name))
        )
        torch.testing.assert_close(given, expected, rtol=1e-10, atol=1e-11)


@EVERY_LOSS
@pytest.mark.parametrize("transform", HIGHER_ORDER)
def test_higher_order(name: str, transform: str) -> None:
    close = SECOND.get(name, 1e-9)
    for sample in few_samples(name, largest=25):
        given = HIGHER_ORDER[transform](of_the_input(name, sample, ours(name)))(sample.input)
        # PyTorch's binary loss of logits has no second derivative in forward mode.
        twin = HIGHER_ORDER["grad of grad"] if transform == "grad of grad" else hessian
        expected = twin(of_the_input(name, sample, theirs(name)))(sample.input)
        torch.testing.assert_close(given, expected, rtol=close, atol=close)


@EVERY_LOSS
def test_grad_of_every_floating_argument(name: str) -> None:
    """Of the target and the weights too, where PyTorch has it."""
    for sample in few_samples(name):
        function, floating = one_argument(name, sample)
        twin, _ = one_argument(name, sample, theirs(name))
        for place in range(len(floating)):
            try:
                expected = grad(lambda *x, f=twin: f(*x).sum(), argnums=place)(*floating)
            except (RuntimeError, NotImplementedError):
                continue
            given = grad(lambda *x, f=function: f(*x).sum(), argnums=place)(*floating)
            torch.testing.assert_close(given, expected, rtol=1e-10, atol=1e-11)


# Which tensors carry the batch: the input, the target, a weight, all; at the front, at the back.
def in_axes(count: int) -> list[tuple[int | None, ...]]:
    alone = [tuple(0 if place == one else None for place in range(count)) for one in range(count)]
    everything = [(0,) * count, (-1,) * count, (-1, *(0,) * (count - 1))]
    return [*alone, *everything]


@EVERY_LOSS
@pytest.mark.parametrize("randomness", [False, True], ids=["equal", "different"])
def test_vmap(name: str, randomness: bool) -> None:
    """Against a loop over the batch, for values and for gradients of every row by itself."""
    for sample in few_samples(name, largest=25):
        leaves = tensors(sample)
        for axes in in_axes(len(leaves)):
            batches = [
                batch(leaf, axis, randomness) for leaf, axis in zip(leaves, axes, strict=True)
            ]
            loss = of_the_leaves(sample, ours(name))
            twin = of_the_leaves(sample, theirs(name))
            given = vmap(loss, in_dims=axes)(*batches)
            rows = [
                [
                    leaf if axis is None else leaf.select(axis, row)
                    for leaf, axis in zip(batches, axes, strict=True)
                ]
                for row in range(ROWS)
            ]
            expected = torch.stack([twin(*row) for row in rows])
            torch.testing.assert_close(given, expected, rtol=1e-11, atol=1e-11)
            slopes = vmap(grad(lambda *x, f=loss: f(*x).sum()), in_dims=axes)(*batches)
            expected = torch.stack([grad(lambda *x, f=twin: f(*x).sum())(*row) for row in rows])
            torch.testing.assert_close(slopes, expected, rtol=1e-11, atol=1e-11)


def batch(leaf: Tensor, axis: int | None, different: bool) -> Tensor:
    """Copies of a tensor along a new axis; the target of a class index moves to other classes."""
    if axis is None:
        return leaf
    copies = [leaf] * ROWS
    if different and leaf.is_floating_point():
        copies = [leaf * factor for factor in (1.0, 0.5, 0.25)]
    return torch.stack(copies, axis)


def of_the_leaves(sample: object, loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The loss as a function of every tensor of a sample."""
    leaves, form = tree_flatten((sample.input, sample.args, sample.kwargs))
    places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]

    def function(*given: Tensor) -> Tensor:
        filled = list(leaves)
        for place, tensor in zip(places, given, strict=True):
            filled[place] = tensor
        input, args, kwargs = tree_unflatten(filled, form)
        return loss(input, *args, **kwargs)

    return function


@EVERY_LOSS
def test_out_dims_nesting_and_chunks(name: str) -> None:
    for sample in few_samples(name, largest=25):
        loss, twin = (
            of_the_input(name, sample, ours(name)),
            of_the_input(name, sample, theirs(name)),
        )
        inputs = torch.stack([torch.stack([sample.input * f for f in (1.0, 0.5)])] * ROWS)
        for transform in (
            lambda f: vmap(vmap(f)),
            lambda f: vmap(vmap(f), in_dims=1, out_dims=-1),
            lambda f: vmap(vmap(f), chunk_size=2),
            lambda f: vmap(vmap(grad(lambda x: f(x).sum()))),
            lambda f: vmap(jacrev(vmap(f))),
        ):
            torch.testing.assert_close(
                transform(loss)(inputs), transform(twin)(inputs), rtol=1e-10, atol=1e-11
            )


@EVERY_LOSS
def test_hessian_vector_product(name: str) -> None:
    close = SECOND.get(name, 1e-9)
    for sample in few_samples(name):
        products = []
        for loss in (ours(name), theirs(name)):
            slope = FIRST_ORDER["grad"](of_the_input(name, sample, loss))
            products.append(jvp(slope, (sample.input,), (torch.ones_like(sample.input),))[1])
        torch.testing.assert_close(*products, rtol=close, atol=close)


@EVERY_LOSS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_transforms_of_other_dtypes(name: str, dtype: torch.dtype) -> None:
    close = 2e-5 if dtype is torch.float32 else 4e-2
    for sample in few_samples(name, dtype):
        given, expected = (
            FIRST_ORDER["grad"](of_the_input(name, sample, loss))(sample.input)
            for loss in (ours(name), theirs(name))
        )
        torch.testing.assert_close(given, expected, rtol=close, atol=close)


@EVERY_LOSS
def test_functional_call_per_sample_gradients(name: str) -> None:
    """The gradient of a model's parameters for each row of a batch: the textbook use of vmap."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Sigmoid()).double()
    parameters = {key: value.detach() for key, value in model.named_parameters()}
    rows = torch.randn(5, 4, dtype=torch.float64)
    target = torch.tensor([0, 2, 1, 1, 0])
    if name.startswith("binary"):
        target = torch.nn.functional.one_hot(target, 3).double()

    def loss_of(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def of_one(parameters: dict[str, Tensor], row: Tensor, target: Tensor) -> Tensor:
            output = torch.func.functional_call(model, parameters, (row[None],))
            return loss(output, target[None])

        return of_one

    given, expected = (
        vmap(grad(loss_of(loss)), in_dims=(None, 0, 0))(parameters, rows, target)
        for loss in (ours(name), theirs(name))
    )
    torch.testing.assert_close(given, expected, rtol=1e-12, atol=1e-14)


def test_every_sample_has_leaves() -> None:
    """The samples hold what the tests above map over."""
    for name in LOSSES:
        assert all(len(flattened(sample)[0]) >= 1 for sample in samples(name))
