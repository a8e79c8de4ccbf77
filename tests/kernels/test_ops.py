"""The native losses as operators of PyTorch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import xent.functional as F
from xent.kernels import _cpu

pytestmark = pytest.mark.skipif(not _cpu.AVAILABLE, reason="the native extension is not installed")

LOGITS = torch.randn((6, 5), generator=torch.Generator().manual_seed(0))
INDICES = torch.randint(0, 5, (6,), generator=torch.Generator().manual_seed(1))
CHANCES = torch.rand((6, 5), generator=torch.Generator().manual_seed(2))

CALLS = {
    "rows": (LOGITS, INDICES, torch.rand(5), torch.rand(6), "softmax_loss", -100, 0.1, 1e-3),
    "log-probabilities": (LOGITS, INDICES, None, None, "nll_loss", -100, 0.0, 0.0),
    "logits": (LOGITS, CHANCES, None, torch.rand(5), "sigmoid_loss", None, 0.1, 0.0),
    "probabilities": (CHANCES, CHANCES, torch.rand(5), None, "probability_loss", -1, 0.0, 0.0),
}


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_operator(call: str, reduction: str) -> None:
    *tensors, kernel, ignore_index, smoothing, z_loss = CALLS[call]
    tensors[0] = tensors[0].clone().requires_grad_()
    with_gradient = reduction != "none"
    options = (kernel, reduction, ignore_index, smoothing, z_loss, False, with_gradient)
    checks = torch.library.opcheck(torch.ops.xent.loss.default, (*tensors, *options))
    assert set(checks.values()) == {"SUCCESS"}


def both(function: object, *arguments: Tensor, **options: object) -> tuple[list[Tensor], ...]:
    """Losses and gradients, called directly and compiled."""
    torch.compiler.reset()
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    results = []
    for call in (function, compiled):
        x = arguments[0].clone().requires_grad_()
        loss = call(x, *arguments[1:], **options)
        (gradient,) = torch.autograd.grad(loss.sum(), x)
        results.append([loss.detach(), gradient])
    return tuple(results)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("cross_entropy", (LOGITS, INDICES)),
        ("binary_cross_entropy_with_logits", (LOGITS, CHANCES)),
        ("binary_cross_entropy", (CHANCES, CHANCES)),
    ],
    ids=str,
)
def test_a_compiled_program_gives_the_same(
    name: str, arguments: tuple[Tensor, ...], reduction: str
) -> None:
    direct, compiled = both(getattr(F, name), *arguments, reduction=reduction)
    for found, expected in zip(compiled, direct, strict=True):
        torch.testing.assert_close(found, expected)


def test_a_compiled_program_says_what_is_out_of_range() -> None:
    torch.compiler.reset()
    compiled = torch.compile(F.cross_entropy, fullgraph=True, backend="aot_eager")
    with pytest.raises(IndexError, match="target holds 9 at position 2, outside of its range"):
        compiled(LOGITS, torch.tensor([0, 1, 9, 2, 3, 4]))
