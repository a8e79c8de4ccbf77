"""Which way a loss goes, and that every way leads to the same numbers."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

import xent.functional as F
from xent.kernels import _cpu, _dispatch, _reference
from xent.kernels._settings import ElementSettings, OutOfRange, RowSettings

native = pytest.mark.skipif(not _cpu.AVAILABLE, reason="the native extension is not installed")

INSTRUCTION_SETS = ("avx512", "avx2", "portable")


@pytest.fixture(params=INSTRUCTION_SETS)
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each set of loops that this processor can run."""
    fastest = _cpu._native.instruction_set()
    if not _cpu._native.choose_instruction_set(request.param):
        pytest.skip(f"this processor has no {request.param}")
    yield request.param
    assert _cpu._native.choose_instruction_set(fastest)


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def logits(shape: tuple[int, ...], dtype: torch.dtype, seed: int = 0) -> Tensor:
    """Rows of every kind: ordinary, confident, far from 0, with impossible classes."""
    x = 3 * torch.randn(shape, generator=random(seed), dtype=torch.float64)
    rows = x.movedim(1, -1).reshape(-1, shape[1])
    rows[1::7] *= 10
    rows[2::7] += 3000 if dtype is not torch.float16 else 300
    rows[3::7, :1] = -torch.inf
    rows[4::7, -1:] += 60
    x = rows.reshape(*shape[:1], *shape[2:], shape[1]).movedim(-1, 1)
    return x.to(dtype).contiguous()


# Rows that end in every part of a vector, rows and strips of rows that end in the middle, both
# kernels (few and many classes), and classes between positions.
SHAPES = [
    (1, 1), (5, 2), (16, 3), (133, 4), (40, 8), (37, 9), (300, 17), (50, 64), (20, 127), (9, 128),
    (7, 1000), (3, 1024), (5, 2100), (2, 5, 7), (3, 20, 33), (2, 3, 4, 5),
]  # fmt: skip
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


@native
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("options", ["plain", "all"])
def test_rows_as_the_reference(
    shape: tuple[int, ...], dtype: torch.dtype, options: str, instruction_set: str
) -> None:
    x = logits(shape, dtype)
    target = torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=random(1))
    weight = sample_weight = None
    settings = RowSettings("sum")
    if options == "all":
        target.flatten()[::5] = -100
        weight = torch.rand(shape[1], generator=random(2)) + 0.5
        sample_weight = torch.rand(target.shape, generator=random(3)) + 0.5
        settings = RowSettings("sum", -100, 0.0, 1e-3)
        if not torch.isinf(x).any():
            settings = settings._replace(label_smoothing=0.1)
    exact = x.double().requires_grad_()
    doubles = [None if w is None else w.double() for w in (weight, sample_weight)]
    each = settings._replace(reduction="none")
    expected = _reference.softmax_loss(exact, target, *doubles, each)
    finite = torch.isfinite(expected)
    (expected_gradient,) = torch.autograd.grad(expected[finite].sum(), exact)
    losses, _ = _cpu.softmax_loss(x, target, weight, sample_weight, each, False)
    tolerance = {torch.float64: 1e-13, torch.float32: 1e-6, torch.bfloat16: 8e-3}.get(dtype, 1e-3)
    assert_near(losses, expected, tolerance)
    _, gradient = _cpu.softmax_loss(x, target, weight, sample_weight, settings, True)
    assert gradient is not None
    assert gradient.shape == x.shape
    rows = finite.unsqueeze(1)
    largest = expected_gradient.abs().amax(1, keepdim=True).clamp_min(1e-30)
    off = torch.where(rows, (gradient.double() - expected_gradient).abs() / largest, 0.0)
    # Below its smallest normal number float16 has fewer digits.
    tiny = 6e-8 / largest if dtype is torch.float16 else 0.0
    # The slopes of z-loss and of the loss itself may cancel.
    assert (off <= (4 if options == "plain" else 40) * tolerance + tiny).all()


def assert_near(found: Tensor, expected: Tensor, tolerance: float) -> None:
    same = (found.double() == expected) | (found.double() - expected).abs().le(
        tolerance * expected.abs() + (6e-8 if found.dtype is torch.float16 else 0.0)
    )
    too_large = expected.abs() > torch.finfo(found.dtype).max
    assert (same | too_large).all()


@native
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [1, 15, 16, 17, 600, 1003])
@pytest.mark.parametrize("options", ["plain", "all"])
def test_elements_as_the_reference(
    size: int, dtype: torch.dtype, options: str, instruction_set: str
) -> None:
    x = (8 * torch.randn(size, generator=random(0))).to(dtype)
    target = torch.randint(0, 2, (size,), generator=random(1)).to(dtype)
    weight = pos_weight = None
    settings = ElementSettings("none")
    if options == "all":
        target[::5] = -1
        weight = torch.rand(size, generator=random(2)) + 0.5
        pos_weight = torch.tensor([2.5])
        settings = ElementSettings("none", 0.1, -1)
    doubles = [None if w is None else w.double() for w in (weight, pos_weight)]
    tolerance = {torch.float64: 1e-14, torch.float32: 1e-6, torch.bfloat16: 8e-3}.get(dtype, 1e-3)
    for name, values in (("sigmoid_loss", x), ("probability_loss", torch.sigmoid(x))):
        exact = values.double().requires_grad_()
        reference = getattr(_reference, name)
        expected = reference(exact, target.double(), *doubles, settings)
        (expected_gradient,) = torch.autograd.grad(expected.sum(), exact)
        kernel = getattr(_cpu, name)
        losses, _ = kernel(values, target, weight, pos_weight, settings, False)
        assert_near(losses, expected.detach(), tolerance)
        summed = settings._replace(reduction="sum")
        _, gradient = kernel(values, target, weight, pos_weight, summed, True)
        off = (gradient.double() - expected_gradient).abs()
        representable = expected_gradient.abs() <= torch.finfo(dtype).max
        bound = 8 * tolerance * expected_gradient.abs().clamp_min(0.05 if options == "all" else 0)
        assert (off <= bound + 6e-8)[representable].all()


@native
@pytest.mark.parametrize("shape", [(70_000, 10), (300, 1000), (4, 50_000), (6, 11, 3000)])
def test_results_do_not_depend_on_the_number_of_threads(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=random(0))
    target = torch.randint(0, shape[1], (shape[0], *shape[2:]), generator=random(1))
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(_cpu.softmax_loss(x, target, None, None, RowSettings(), True))
    finally:
        torch.set_num_threads(before)
    for loss, gradient in results[1:]:
        assert torch.equal(loss, results[0][0])
        assert torch.equal(gradient, results[0][1])


@native
def test_ignored_rows_are_never_read() -> None:
    for classes in (3, 200):
        x = torch.randn((40, classes), generator=random(0))
        target = torch.randint(0, classes, (40,), generator=random(1))
        target[::3] = -100
        clean = _cpu.softmax_loss(x, target, None, None, RowSettings(), True)
        x[::3] = torch.nan
        poisoned = _cpu.softmax_loss(x, target, None, None, RowSettings(), True)
        assert torch.equal(clean[0], poisoned[0])
        assert torch.equal(clean[1], poisoned[1])


@native
def test_the_first_bad_target_is_found_before_anything_is_written() -> None:
    x = torch.randn((100_000, 3), generator=random(0))
    target = torch.randint(0, 3, (100_000,), generator=random(1))
    target[70_001] = 3
    target[99_999] = -1
    with pytest.raises(OutOfRange) as seen:
        _cpu.softmax_loss(x, target, None, None, RowSettings(), True)
    assert (seen.value.position, seen.value.value) == (70_001, 3)


class TestThePool:
    @native
    def test_a_gradient_takes_the_memory_of_the_one_before(self) -> None:
        _cpu._native.empty_pool()
        x = torch.randn((1000, 700), generator=random(0), requires_grad=True)
        target = torch.randint(0, 700, (1000,), generator=random(1))
        addresses = set()
        for _ in range(4):
            x.grad = None
            F.cross_entropy(x, target).backward()
            assert x.grad is not None
            addresses.add(x.grad.data_ptr())
        assert len(addresses) == 1

    @native
    def test_memory_in_use_is_never_given_away(self) -> None:
        x = torch.randn((1000, 700), generator=random(0), requires_grad=True)
        target = torch.randint(0, 700, (1000,), generator=random(1))
        (kept,) = torch.autograd.grad(F.cross_entropy(x, target), x)
        row = kept[3]
        expected = row.clone()
        del kept
        for seed in range(4):
            other = torch.randn((1000, 700), generator=random(seed), requires_grad=True)
            F.cross_entropy(other, target).backward()
        assert torch.equal(row, expected)

    @native
    def test_idle_memory_goes_back_on_request(self) -> None:
        x = torch.randn((1000, 700), generator=random(0), requires_grad=True)
        F.cross_entropy(x, torch.zeros(1000, dtype=torch.long)).backward()
        x.grad = None
        assert _cpu._native.empty_pool() >= x.nbytes
        assert _cpu._native.empty_pool() == 0

    @native
    def test_gradients_can_be_resized_copied_and_shared(self) -> None:
        x = torch.randn((1000, 700), generator=random(0), requires_grad=True)
        F.cross_entropy(x, torch.zeros(1000, dtype=torch.long)).backward()
        assert x.grad is not None
        assert torch.equal(copy.deepcopy(x).detach(), x.detach())
        assert torch.equal(torch.from_numpy(x.grad.numpy()), x.grad)
        assert torch.equal(x.grad.clone().share_memory_(), x.grad)


@native
def test_python_threads_do_not_disturb_each_other() -> None:
    target = torch.randint(0, 700, (1000,), generator=random(1))
    inputs = [torch.randn((1000, 700), generator=random(seed)) for seed in range(6)]
    alone = [gradient_of(x, target) for x in inputs]
    together: dict[int, list[Tensor]] = {}

    def work(i: int) -> None:
        together[i] = [gradient_of(inputs[i], target) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, expected in enumerate(alone):
        assert all(torch.equal(found, expected) for found in together[i])


def gradient_of(x: Tensor, target: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    F.cross_entropy(x, target).backward()
    assert x.grad is not None
    return x.grad


FORKED = """
import os, sys, torch
import xent.functional as F
torch.set_num_threads(2)
x = torch.randn((1000, 700), generator=torch.Generator().manual_seed(0), requires_grad=True)
target = torch.zeros(1000, dtype=torch.long)
def gradient():
    x.grad = None
    F.cross_entropy(x, target).backward()
    return x.grad.numpy()
expected = gradient().copy()
child = os.fork()
if child == 0:
    os._exit(0 if all((gradient() == expected).all() for _ in range(3)) else 1)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status) or (0 if (gradient() == expected).all() else 2))
"""


@native
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_computes_the_same() -> None:
    """With the pool in use and threads running in its parent."""
    done = subprocess.run([sys.executable, "-c", FORKED], timeout=120, check=False)
    assert done.returncode == 0


class TestWhichWay:
    def calls(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        seen: list[str] = []

        def spy(name: str, function: Callable[..., object]) -> Callable[..., object]:
            def wrapped(*args: object) -> object:
                seen.append(name)
                return function(*args)

            wrapped.__name__ = "softmax_loss"
            return wrapped

        monkeypatch.setattr(_cpu, "softmax_loss", spy("native", _cpu.softmax_loss))
        monkeypatch.setattr(_reference, "softmax_loss", spy("reference", _reference.softmax_loss))
        return seen

    @native
    def test_plain_tensors_go_to_the_native_kernel(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = self.calls(monkeypatch)
        F.cross_entropy(torch.zeros(4, 3, requires_grad=True), torch.zeros(4, dtype=torch.long))
        assert seen == ["native"]

    @pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
    def test_the_rest_goes_to_the_reference(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = self.calls(monkeypatch)
        x, target = torch.zeros(4, 3), torch.zeros(4, dtype=torch.long)
        F.cross_entropy(x, target, weight=torch.ones(3, requires_grad=True))
        F.cross_entropy(x.to("meta"), target.to("meta"))
        torch.func.grad(lambda v: F.cross_entropy(v, target))(x)
        with torch.autograd.forward_ad.dual_level():
            F.cross_entropy(torch.autograd.forward_ad.make_dual(x, x), target)
        assert seen == ["reference"] * 4

    def test_without_the_extension_everything_does(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_cpu, "AVAILABLE", False)
        seen = self.calls(monkeypatch)
        F.cross_entropy(torch.zeros(4, 3, requires_grad=True), torch.zeros(4, dtype=torch.long))
        assert seen == ["reference"]


class TestBackward:
    def test_twice_needs_a_kept_graph(self) -> None:
        x = torch.randn((6, 5), generator=random(0), requires_grad=True)
        target = torch.zeros(6, dtype=torch.long)
        loss = F.cross_entropy(x, target)
        (first,) = torch.autograd.grad(loss, x, retain_graph=True)
        (second,) = torch.autograd.grad(2 * loss, x, retain_graph=True)
        (third,) = torch.autograd.grad(loss, x)
        torch.testing.assert_close(second, 2 * first)
        assert torch.equal(third, first)
        with pytest.raises(RuntimeError, match="backward through the graph a second time"):
            torch.autograd.grad(loss, x)

    def test_logits_may_change_after_the_forward_pass(self) -> None:
        x = torch.randn((6, 5), generator=random(0), requires_grad=True)
        target = torch.zeros(6, dtype=torch.long)
        (expected,) = torch.autograd.grad(F.cross_entropy(x, target), x)
        logits = x * 1.0
        loss = F.cross_entropy(logits, target)
        with torch.no_grad():
            logits.zero_()
        (found,) = torch.autograd.grad(loss, x)
        assert torch.equal(found, expected)

    @pytest.mark.parametrize("reduction", ["none", "mean"])
    def test_but_not_where_they_are_read_again(self, reduction: str) -> None:
        x = torch.randn((6, 5), generator=random(0), requires_grad=True)
        logits = x * 1.0
        loss = F.cross_entropy(logits, torch.zeros(6, dtype=torch.long), reduction=reduction).sum()
        with torch.no_grad():
            logits.zero_()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            torch.autograd.grad(loss, x, create_graph=True)

    @native
    def test_logits_are_let_go_by_the_backward_pass(self) -> None:
        x = torch.randn((6, 5), generator=random(0), requires_grad=True)
        loss = _dispatch.softmax_loss(
            x, torch.zeros(6, dtype=torch.long), None, None, RowSettings()
        )
        assert loss.grad_fn is not None
        assert loss.grad_fn.state.input is x  # type: ignore[attr-defined]
        loss.backward()
        assert loss.grad_fn.state is None  # type: ignore[attr-defined]
