"""Large gradients, which are written past the caches: the same numbers, and nothing beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

import xent.functional as F
from xent.kernels import _cpu

pytestmark = pytest.mark.skipif(not _cpu.AVAILABLE, reason="the native extension is not installed")

MARGIN = 64  # elements; also what streamed memory is aligned to
LEAST_STREAMED_BYTES = 24 << 20
UNTOUCHED = 7.0


class GuardedMemory:
    """Takes the place of the pool: memory that was used before, between two margins."""

    def __init__(self, used: bool) -> None:
        self.used = used
        self.blocks: list[Tensor] = []

    def __call__(self, shape: list[int], storage: int) -> tuple[object, bool]:
        dtype = next(dtype for dtype, number in _cpu.STORAGES.items() if number == storage)
        size = torch.Size(shape).numel()
        block = torch.full((size + 2 * MARGIN,), UNTOUCHED, dtype=dtype)
        self.blocks.append(block)
        return torch.utils.dlpack.to_dlpack(block[MARGIN : MARGIN + size].view(shape)), self.used

    def is_untouched_around(self) -> bool:
        margins = [part for block in self.blocks for part in (block[:MARGIN], block[-MARGIN:])]
        return len(margins) == 2 and all(bool((part == UNTOUCHED).all()) for part in margins)


@pytest.fixture(params=["avx512", "avx2", "portable"])
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    fastest = _cpu._native.instruction_set()
    if not _cpu._native.choose_instruction_set(request.param):
        pytest.skip(f"this processor has no {request.param}")
    yield request.param
    _cpu._native.choose_instruction_set(fastest)


def gradient(loss: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(loss(x), x)
    return found


def logits(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert x.nbytes >= LEAST_STREAMED_BYTES
    return x.requires_grad_()


def same_when_streamed(
    loss: Callable[[Tensor], Tensor], x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for used in (False, True):
        memory = GuardedMemory(used)
        monkeypatch.setattr(_cpu._native, "pooled_tensor", memory)
        found.append(gradient(loss, x))
        assert memory.is_untouched_around()
    assert torch.equal(*found)


# Rows that end in every part of a vector, and a number of rows that no block divides.
ROWS = [
    ((3_150_001, 2), torch.float32),
    ((2_100_003, 3), torch.float32),
    ((640_011, 10), torch.float32),
    ((6_301, 1001), torch.float32),
    ((63, 100_003), torch.float32),
    ((7, 30, 30_011), torch.float32),
    ((3_151, 1003), torch.float64),
    ((12_601, 1001), torch.bfloat16),
    ((1_280_001, 11), torch.float16),
]


@pytest.mark.usefixtures("instruction_set")
@pytest.mark.parametrize(("shape", "dtype"), ROWS, ids=str)
def test_rows(shape: tuple[int, ...], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    x = logits(shape, dtype)
    generator = torch.Generator().manual_seed(1)
    target = torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=generator)
    target.view(-1)[::5] = -100
    same_when_streamed(lambda x: F.cross_entropy(x, target), x, monkeypatch)


@pytest.mark.usefixtures("instruction_set")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("of_probabilities", [True, False])
def test_elements(
    of_probabilities: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = LEAST_STREAMED_BYTES // dtype.itemsize + 13
    x = logits((size,), dtype)
    target = (x.detach() > 0.5).to(dtype)
    if of_probabilities:
        x = torch.sigmoid(x.detach()).requires_grad_()
        same_when_streamed(lambda x: F.binary_cross_entropy(x, target), x, monkeypatch)
    else:
        same_when_streamed(lambda x: F.binary_cross_entropy_with_logits(x, target), x, monkeypatch)


def test_the_guard_sees_what_is_written_beside() -> None:
    memory = GuardedMemory(used=True)
    memory([5], _cpu.STORAGES[torch.float32])
    assert memory.is_untouched_around()
    memory.blocks[0][MARGIN + 5] = 0.0
    assert not memory.is_untouched_around()
