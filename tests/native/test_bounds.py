"""Every small shape, in memory of exactly its size: no loop reads or writes past an end.

The sanitizers see it where these tests run under them; the numbers are held against the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

import xent.functional as F
from xent.kernels import _cpu

pytestmark = pytest.mark.skipif(not _cpu.AVAILABLE, reason="the native extension is not installed")

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
# All parts of a vector, with a row more or less than one of 64 bytes has numbers, and both sides of
# where rows become long.
CLASSES = (*range(1, 20), 31, 32, 33, 63, 64, 65, 127, 128, 129, 257)
ROWS = (1, 7, 17)
SIZES = (*range(1, 36), 63, 64, 65, 127, 128, 129, 513)

Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES_OF_ROWS: dict[str, Loss] = {
    "cross_entropy": F.cross_entropy,
    "cross_entropy none": lambda x, y: F.cross_entropy(x, y, reduction="none").sum(),
    "probabilities": lambda x, y: F.cross_entropy(x, smooth(x, y)),
    "between positions": lambda x, y: F.cross_entropy(x.T[None], y[None]),
    "nll_loss": F.nll_loss,
    "statistics": lambda x, y: sum(F.cross_entropy_statistics(x, y)[:3]).sum(),
}
LOSSES_OF_ELEMENTS: dict[str, Loss] = {
    "with logits": F.binary_cross_entropy_with_logits,
    "with logits none": lambda x, t: F.binary_cross_entropy_with_logits(
        x, t, reduction="none"
    ).sum(),
    "of probabilities": lambda x, t: F.binary_cross_entropy(torch.sigmoid(x), t),
}


def smooth(x: Tensor, y: Tensor) -> Tensor:
    return (torch.nn.functional.one_hot(y, x.shape[1]) * 0.75 + 0.25 / x.shape[1]).to(x.dtype)


@pytest.fixture(params=["avx512", "avx2", "portable"])
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    fastest = _cpu._native.instruction_set()
    if not _cpu._native.choose_instruction_set(request.param):
        pytest.skip(f"this processor has no {request.param}")
    yield request.param
    _cpu._native.choose_instruction_set(fastest)


def value_and_gradient(loss: Loss, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    x = x.detach().requires_grad_()
    value = loss(x, target)
    return value.detach(), torch.autograd.grad(value, x)[0]


def hold_against_reference(
    loss: Loss, x: Tensor, target: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = value_and_gradient(loss, x, target)
    with monkeypatch.context() as patch:
        patch.setattr(_cpu, "AVAILABLE", False)
        expected = value_and_gradient(loss, x, target)
    torch.testing.assert_close(found, expected, msg=lambda text: f"{tuple(x.shape)}: {text}")


@pytest.mark.usefixtures("instruction_set")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", list(LOSSES_OF_ROWS))
def test_rows(name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    for classes in CLASSES:
        for rows in ROWS:
            x = torch.randn((rows, classes), generator=generator).to(dtype)
            target = torch.randint(0, classes, (rows,), generator=generator)
            hold_against_reference(LOSSES_OF_ROWS[name], x, target, monkeypatch)


@pytest.mark.usefixtures("instruction_set")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", list(LOSSES_OF_ELEMENTS))
def test_elements(name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    for size in SIZES:
        x = torch.randn((size,), generator=generator).to(dtype)
        target = torch.randint(0, 2, (size,), generator=generator).to(dtype)
        hold_against_reference(LOSSES_OF_ELEMENTS[name], x, target, monkeypatch)
