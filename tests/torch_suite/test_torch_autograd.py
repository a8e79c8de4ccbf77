"""Derivatives of ours as PyTorch's tests take them: gradcheck, forward mode, graphs that stay."""

from __future__ import annotations

import copy
import io
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing._internal.opinfo.core import SampleInput
from torch_samples import (
    LOSSES,
    OPERATORS,
    call,
    few_samples,
    one_argument,
    ours,
    path,  # noqa: F401 -- a fixture that every test uses
    raised,
    sample_of,
    samples,
    tensors,
    theirs,
    with_input,
)

import xent.nn

EVERY_LOSS = pytest.mark.parametrize("name", LOSSES)
CHECKS = {"check_batched_grad": True, "raise_exception": True}

# PyTorch adds 1e-12 to (p (1 - p))^2 in the second derivative of binary cross-entropy of
# probabilities, which is 1e-8 of it at p = 0.01. Ours is compared with the exact one as well.
SECOND = {"binary_cross_entropy": 1e-6}


def checkable(name: str, sample: SampleInput) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """The loss of a sample as a function of what PyTorch has a gradient of, too."""
    function, floating = one_argument(name, sample)
    twin, _ = one_argument(name, sample, theirs(name))
    given = []
    for place, tensor in enumerate(floating):
        alone = [other.detach().clone() for other in floating]
        alone[place].requires_grad_()
        differentiable = raised(lambda alone=alone: twin(*alone).sum().backward()) is None
        given.append(tensor.detach().clone().requires_grad_(differentiable and tensor.numel() > 0))
    return function, given


@EVERY_LOSS
def test_gradcheck(name: str) -> None:
    """First derivatives, backward and forward, one at a time and batched."""
    assert OPERATORS[name].supports_forward_ad
    for sample in few_samples(name, largest=12):
        function, given = checkable(name, sample)
        torch.autograd.gradcheck(
            function,
            given,
            check_forward_ad=True,
            check_batched_forward_grad=True,
            check_undefined_grad=True,
            **CHECKS,
        )


@EVERY_LOSS
def test_gradcheck_of_every_sample(name: str) -> None:
    """PyTorch's fast mode: one random direction."""
    for sample in samples(name):
        function, given = checkable(name, sample)
        torch.autograd.gradcheck(function, given, fast_mode=True, check_forward_ad=True)


@EVERY_LOSS
def test_gradgradcheck(name: str) -> None:
    """Second derivatives, backward over backward and forward over backward."""
    assert OPERATORS[name].supports_fwgrad_bwgrad
    for sample in few_samples(name, largest=6):
        function, given = checkable(name, sample)
        torch.autograd.gradgradcheck(
            function, given, check_fwd_over_rev=True, check_rev_over_rev=True, **CHECKS
        )


@EVERY_LOSS
def test_gradgradcheck_of_every_sample(name: str) -> None:
    for sample in samples(name):
        function, given = checkable(name, sample)
        torch.autograd.gradgradcheck(function, given, fast_mode=True)


@EVERY_LOSS
def test_third_derivative(name: str) -> None:
    for sample in few_samples(name):
        thirds = []
        for loss in (ours(name), theirs(name)):
            input = sample.input.detach().clone().requires_grad_()
            value = (call(loss, with_input(sample, input)) ** 2).sum()
            for power in (1, 2):
                value = torch.autograd.grad(value, input, create_graph=True)[0].pow(power).sum()
            thirds.append(torch.autograd.grad(value, input)[0])
        close = SECOND.get(name, 1e-9)
        torch.testing.assert_close(*thirds, rtol=close, atol=close)


def test_second_derivative_of_probabilities_is_exact() -> None:
    chance = torch.tensor([1e-9, 1e-3, 0.25, 0.75, 1 - 1e-3], dtype=torch.float64)
    target = torch.tensor([1.0, 0.0, 0.5, 1.0, 0.25], dtype=torch.float64)
    exact = target / chance**2 + (1 - target) / (1 - chance) ** 2
    leaf = chance.clone().requires_grad_()
    value = xent.nn.BCELoss(reduction="sum")(leaf, target)
    (slope,) = torch.autograd.grad(value, leaf, create_graph=True)
    (second,) = torch.autograd.grad(slope.sum(), leaf)
    torch.testing.assert_close(second, exact, rtol=1e-13, atol=0.0)


# What a user does with the graph of a loss.


def graph(loss: Callable[..., Tensor], sample: SampleInput) -> tuple[Tensor, Tensor]:
    """The input as a leaf, and the loss of it as one number."""
    leaf = sample.input.detach().clone().requires_grad_()
    return leaf, call(loss, with_input(sample, leaf)).sum()


def both(
    name: str, use: Callable[[Callable[..., Tensor], SampleInput], Any], least: float = 1e-10
) -> None:
    """The same use of our loss and of PyTorch's, on one sample of each kind: the same tensors."""
    for dtype in (torch.float64, torch.float32):
        for sample in few_samples(name, dtype):
            close = least if dtype is torch.float64 else 2e-5
            given, expected = (use(loss, sample) for loss in (ours(name), theirs(name)))
            torch.testing.assert_close(given, expected, rtol=close, atol=close)


@EVERY_LOSS
def test_backward_twice_with_the_graph_retained(name: str) -> None:
    def use(loss: Callable[..., Tensor], sample: SampleInput) -> list[Tensor]:
        leaf, value = graph(loss, sample)
        seen = []
        for factor in (1.0, 3.0, -2.0):
            value.backward(torch.full_like(value, factor), retain_graph=True)
            seen.append(leaf.grad.clone())
        return seen

    both(name, use)


@EVERY_LOSS
def test_gradients_that_are_kept_stay_as_they_were(name: str) -> None:
    """A gradient handed out is the caller's: another backward or another loss changes nothing."""
    for sample in samples(name, torch.float32):
        leaf, value = graph(ours(name), sample)
        kept = [
            torch.autograd.grad(value, leaf, torch.tensor(factor), retain_graph=True)[0]
            for factor in (1.0, 1.0, 2.0)
        ]
        copies = [gradient.clone() for gradient in kept]
        kept[0].zero_()
        again, other = graph(ours(name), sample)
        other.backward()
        torch.testing.assert_close(kept[1:], copies[1:], rtol=0, atol=0)
        torch.testing.assert_close(again.grad, copies[0], rtol=1e-6, atol=1e-7)


@EVERY_LOSS
def test_second_backward_without_the_graph(name: str) -> None:
    """An error, as in PyTorch."""
    for loss in (ours(name), theirs(name)):
        sample = samples(name)[-1]
        leaf = sample.input.detach().clone().requires_grad_()
        value = call(loss, with_input(sample, leaf * 0.5)).sum()
        value.backward()
        with pytest.raises(RuntimeError, match="second time"):
            value.backward()


@EVERY_LOSS
def test_accumulation_of_two_losses(name: str) -> None:
    def use(loss: Callable[..., Tensor], sample: SampleInput) -> Tensor:
        leaf = sample.input.detach().clone().requires_grad_()
        for factor in (1.0, 0.5):
            (call(loss, with_input(sample, leaf * factor)).sum() * factor).backward()
        call(loss, with_input(sample, leaf)).sum().backward()
        return leaf.grad

    both(name, use)


@EVERY_LOSS
def test_one_loss_added_to_itself(name: str) -> None:
    def use(loss: Callable[..., Tensor], sample: SampleInput) -> Tensor:
        leaf, value = graph(loss, sample)
        (value + value * value).backward()
        return leaf.grad

    both(name, use)


@EVERY_LOSS
def test_create_graph(name: str) -> None:
    """A penalty on the norm of the gradient."""

    def use(loss: Callable[..., Tensor], sample: SampleInput) -> Tensor:
        leaf, value = graph(loss, sample)
        slope = torch.autograd.grad(value, leaf, create_graph=True)[0]
        assert slope.requires_grad or name == "nll_loss"
        (value + slope.square().sum()).backward()
        return leaf.grad

    both(name, use, SECOND.get(name, 1e-10))


@EVERY_LOSS
def test_gradient_in_an_inner_tensor(name: str) -> None:
    """Logits that come from a layer, with a retained gradient and a hook on it."""

    def use(loss: Callable[..., Tensor], sample: SampleInput) -> list[Tensor]:
        leaf = sample.input.detach().clone().requires_grad_()
        inner = leaf * 0.5
        inner.retain_grad()
        inner.register_hook(lambda gradient: gradient * 2.0)
        call(loss, with_input(sample, inner)).sum().backward()
        return [leaf.grad, inner.grad]

    both(name, use)


@EVERY_LOSS
def test_no_gradient_is_asked_for(name: str) -> None:
    for sample in few_samples(name, torch.float32):
        plain = call(ours(name), sample)
        assert not plain.requires_grad
        wanted = with_input(sample, sample.input.detach().clone().requires_grad_())
        assert call(ours(name), wanted).requires_grad
        with torch.no_grad():
            value = call(ours(name), wanted)
            assert not value.requires_grad
            torch.testing.assert_close(value, plain, rtol=1e-6, atol=1e-6)
        with torch.inference_mode():
            value = call(ours(name), wanted)
            assert value.is_inference()
            torch.testing.assert_close(value.clone(), plain, rtol=1e-6, atol=1e-6)
            frozen = SampleInput(
                sample.input.clone(),
                args=tuple(tensor.clone() for tensor in sample.args),
                kwargs=sample.kwargs,
            )
            assert call(ours(name), frozen).is_inference()
        # Tensors made in inference mode, used outside of it.
        torch.testing.assert_close(call(ours(name), frozen), plain, rtol=1e-6, atol=1e-6)


@EVERY_LOSS
def test_logits_that_are_overwritten_after_the_forward(name: str) -> None:
    """Where PyTorch refuses the backward ours refuses it or is right; never a wrong gradient."""
    for sample in few_samples(name, torch.float32):
        leaf, value = graph(ours(name), sample)
        value.backward()
        right = leaf.grad
        results = []
        for loss in (theirs(name), ours(name)):
            leaf = sample.input.detach().clone().requires_grad_()
            inner = leaf.clone()
            value = call(loss, with_input(sample, inner)).sum()
            with torch.no_grad():
                inner.mul_(0.0)
            error = raised(value.backward)
            if error is None:
                torch.testing.assert_close(leaf.grad, right, rtol=1e-5, atol=1e-6)
            else:
                assert isinstance(error, RuntimeError)
                assert "modified by an inplace operation" in str(error)
            results.append(error)
        # What PyTorch allows, ours allows: its loss of index targets saves no logits. But where the
        # gradient depends on what comes back, ours reads them again, and says so.
        reads_again = sample.kwargs.get("reduction") == "none"
        assert results[0] is not None or results[1] is None or reads_again, name


@EVERY_LOSS
def test_target_and_weights_that_are_overwritten_after_the_forward(name: str) -> None:
    """Never a wrong gradient without an error."""
    for sample in few_samples(name, torch.float32):
        leaf, value = graph(ours(name), sample)
        value.backward()
        right = leaf.grad
        for place in range(1, len(tensors(sample))):
            changing = copy.deepcopy(sample)
            leaf = changing.input.detach().clone().requires_grad_()
            value = call(ours(name), with_input(changing, leaf)).sum()
            tensors(changing)[place].zero_()
            error = raised(value.backward)
            if error is None:
                torch.testing.assert_close(leaf.grad, right, rtol=1e-5, atol=1e-6)
            else:
                assert "modified by an inplace operation" in str(error)


@EVERY_LOSS
def test_in_place_on_the_result(name: str) -> None:
    def use(loss: Callable[..., Tensor], sample: SampleInput) -> Tensor:
        leaf = sample.input.detach().clone().requires_grad_()
        call(loss, with_input(sample, leaf * 1.0)).mul_(2.0).add_(1.0).sum().backward()
        return leaf.grad

    both(name, use)


@EVERY_LOSS
def test_hooks_on_saved_tensors(name: str) -> None:
    """Packed to bytes and back, as in offloading: nothing is saved behind the hooks' back."""

    def pack(tensor: Tensor) -> bytes:
        buffer = io.BytesIO()
        torch.save(tensor, buffer)
        return buffer.getvalue()

    def unpack(packed: bytes) -> Tensor:
        return torch.load(io.BytesIO(packed))

    def use(loss: Callable[..., Tensor], sample: SampleInput) -> Tensor:
        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            leaf, value = graph(loss, sample)
        value.backward()
        return leaf.grad

    both(name, use)


@EVERY_LOSS
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoint(name: str, reentrant: bool) -> None:
    def use(loss: Callable[..., Tensor], sample: SampleInput) -> list[Tensor]:
        leaf = sample.input.detach().clone().requires_grad_()
        value = torch.utils.checkpoint.checkpoint(
            lambda input: call(loss, with_input(sample, input * 0.5)), leaf, use_reentrant=reentrant
        )
        value.sum().backward()
        return [value.detach(), leaf.grad]

    both(name, use)


@EVERY_LOSS
def test_anomaly_mode(name: str) -> None:
    def use(loss: Callable[..., Tensor], sample: SampleInput) -> Tensor:
        with torch.autograd.detect_anomaly(check_nan=False):
            leaf, value = graph(loss, sample)
            value.backward()
        return leaf.grad

    with pytest.warns(UserWarning, match="Anomaly Detection has been enabled"):
        both(name, use)


@EVERY_LOSS
def test_deterministic_algorithms(name: str) -> None:
    torch.use_deterministic_algorithms(True)
    try:
        both(name, graph_gradient)
    finally:
        torch.use_deterministic_algorithms(False)


def graph_gradient(loss: Callable[..., Tensor], sample: SampleInput) -> Tensor:
    leaf, value = graph(loss, sample)
    value.backward()
    return leaf.grad


@EVERY_LOSS
def test_several_threads(name: str) -> None:
    """Forward and backward in many threads at once, and one graph's backward in another thread."""
    sample = samples(name, torch.float32)[-1]
    expected = graph_gradient(ours(name), sample)
    leaf, value = graph(ours(name), sample)
    seen: list[Tensor] = []

    def work() -> None:
        seen.extend(graph_gradient(ours(name), sample) for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(4)]
    threads.append(threading.Thread(target=value.backward))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 80
    for gradient in (*seen, leaf.grad):
        torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-7)


@EVERY_LOSS
def test_forward_mode_by_hand(name: str) -> None:
    """A dual input and, where it has one, a dual target: tangents as PyTorch's."""
    for sample in few_samples(name):
        tangents = []
        for loss in (ours(name), theirs(name)):
            with torch.autograd.forward_ad.dual_level():
                dual = torch.autograd.forward_ad.make_dual(
                    sample.input.detach(), torch.ones_like(sample.input)
                )
                value = call(loss, with_input(sample, dual))
                tangents.append(torch.autograd.forward_ad.unpack_dual(value).tangent)
        torch.testing.assert_close(*tangents, rtol=1e-10, atol=1e-10)


@EVERY_LOSS
def test_zero_tangent(name: str) -> None:
    """PyTorch's tensors of zeros without memory."""
    for sample in few_samples(name):
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(
                sample.input.detach(), torch._efficientzerotensor(sample.input.shape).double()
            )
            value = call(ours(name), with_input(sample, dual))
            tangent = torch.autograd.forward_ad.unpack_dual(value).tangent
        assert tangent is None or not tangent.any()


@EVERY_LOSS
def test_zero_upstream_gradient(name: str) -> None:
    for sample in few_samples(name):
        leaf = sample.input.detach().clone().requires_grad_()
        value = call(ours(name), with_input(sample, leaf))
        zeros = torch._efficientzerotensor(value.shape).double()
        (gradient,) = torch.autograd.grad(value, leaf, zeros)
        assert not gradient.any()


@EVERY_LOSS
def test_autograd_functional(name: str) -> None:
    for sample in few_samples(name):
        function, floating = one_argument(name, sample)
        twin, _ = one_argument(name, sample, theirs(name))
        rest = floating[1:]
        for transform in (torch.autograd.functional.jacobian, torch.autograd.functional.hessian):
            results = [
                transform(lambda input, f=f, rest=rest: f(input, *rest).sum(), floating[0])
                for f in (function, twin)
            ]
            close = SECOND.get(name, 1e-10)
            torch.testing.assert_close(*results, rtol=close, atol=close)


def test_modules_keep_their_gradients_after_a_copy() -> None:
    for module in (
        xent.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0]), label_smoothing=0.1),
        copy.deepcopy(xent.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0]))),
    ):
        sample = sample_of(torch.ones(2, 3), torch.tensor([0, 2]))
        assert graph_gradient(module, sample).isfinite().all()
