"""A process that times one variant of the losses, for losses.py: a JSON line in, a JSON line out.

Each variant has a process of its own, because what sets it apart is read when a process starts,
and because the memory of one must not be ready for another.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as torch_functional
from loss_cases import BCE, BCEL, COMPILED, COPY, OURS, PASSES, PLAIN, Case, Training
from torch import Tensor

MOST_REPEATS = 50
POS_WEIGHT = 3.0
SOFTCAP = 30.0


class Work(NamedTuple):
    """What is timed, by pass, and what is done before each time."""

    steps: dict[str, Callable[[], object]]
    clear: Callable[[], None]


def functions_of(variant: str) -> Any:
    """The module with the losses of a variant."""
    if variant not in (OURS, PLAIN):
        return torch_functional
    import xent.functional

    return xent.functional


def inputs_of(case: Case) -> tuple[Tensor, Tensor]:
    """Input, a leaf that asks for its gradient, and target: the same in each variant."""
    torch.manual_seed(0)
    values = torch.randn(case.shape, dtype=torch.float32)
    if case.loss in (BCE, BCEL):
        target = torch.randint(2, case.shape).float()
    elif "probabilities" in case.options:
        target = torch.randn(case.shape).softmax(1)
    else:
        target = torch.randint(case.shape[1], (case.shape[0], *case.shape[2:]))
    if case.loss == BCE:
        values = values.sigmoid()
    elif case.loss == "nll_loss":
        values = values.log_softmax(1)
    return values.to(getattr(torch, case.dtype)).requires_grad_(), target


def loss_of(case: Case, variant: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The call that is timed: with the options of the case, except in the plain variant."""
    function = getattr(functions_of(variant), case.loss)
    options: dict[str, Any] = {}
    if "all" in case.options and variant != PLAIN:
        weight = torch.linspace(0.5, 2.0, case.shape[1])
        options = {"weight": weight, "label_smoothing": 0.1, "ignore_index": 3}
    if "pos_weight" in case.options:
        pos_weight = torch.tensor([POS_WEIGHT])
        if case.loss == BCE and variant != OURS:  # torch has none: this is how it is made up for
            return lambda values, target: function(
                values, target, weight=1.0 + (POS_WEIGHT - 1.0) * target
            )
        options = {"pos_weight": pos_weight}
    if "softcap" in case.options:
        if variant != OURS:
            return lambda values, target: function(SOFTCAP * torch.tanh(values / SOFTCAP), target)
        options = {"softcap": SOFTCAP}
    return lambda values, target: function(values, target, **options)


def work_of(case: Case, variant: str) -> Work:
    """A loss and its gradient."""
    values, target = inputs_of(case)
    if variant == COPY:
        return copy_work(case, values)
    loss = loss_of(case, variant)
    if variant == COMPILED:
        torch._dynamo.reset()
        loss = torch.compile(loss, dynamic=False)

    def clear() -> None:
        values.grad = None

    @torch.no_grad()
    def forward() -> None:
        loss(values, target)

    def both() -> None:
        loss(values, target).backward()

    return Work({PASSES[0]: both, PASSES[1]: forward}, clear)


def copy_work(case: Case, values: Tensor) -> Work:
    """A pass over as many arrays as the case must read and write, without its arithmetic."""
    size = (
        -(-values.numel() * values.element_size() // 64) * 64
    )  # the copy knows whole vectors only
    source, other, destination = (torch.ones(size // 4) for _ in range(3))
    native = native_copy()
    threads = torch.get_num_threads()
    second = other.data_ptr() if case.streams == 3 else 0

    def copy() -> None:
        if native is not None:
            native(source.data_ptr(), second, destination.data_ptr(), size, threads)
        elif second:
            torch.add(source, other, out=destination)
        else:
            destination.copy_(source)

    return Work({PASSES[0]: copy}, lambda: None)


def native_copy() -> Callable[[int, int, int, int, int], None] | None:
    """The extension's copy past the caches, if it has one."""
    try:
        from xent import _native
    except ImportError:
        return None
    return getattr(_native, "copy_past_caches", None)


def training_work(training: Training, variant: str) -> Work:
    """One step of a model from features to classes."""
    torch.manual_seed(0)
    layers: list[torch.nn.Module] = []
    for inner, outer in zip(training.widths[:-1], training.widths[1:], strict=True):
        layers += [torch.nn.Linear(inner, outer), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    features = torch.randn(training.rows, training.widths[0])
    target = torch.randint(training.widths[-1], (training.rows,))
    cross_entropy = functions_of(variant).cross_entropy

    def step() -> None:
        optimiser.zero_grad()
        cross_entropy(model(features), target).backward()
        optimiser.step()

    return Work({"step": step}, lambda: None)


def timed(work: Work, name: str, budget: float) -> dict[str, float]:
    """Median seconds of a step within a budget, after one that isn't timed."""
    step = work.steps[name]
    work.clear()
    step()
    seconds: list[float] = []
    waited, start = waiting(), time.perf_counter()
    while not seconds or (
        len(seconds) < MOST_REPEATS and time.perf_counter() - start < budget
    ):  # fmt: skip
        work.clear()
        before = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - before)
    share = (waiting() - waited) / (time.perf_counter() - start)
    return {"seconds": statistics.median(seconds), "waited": share}


def waiting() -> float:
    """Seconds that the threads of this process have waited for a processor; 0 if nobody knows."""
    try:
        lines = [path.read_text() for path in Path("/proc/self/task").glob("*/schedstat")]
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines) / 1e9


def small_ratios(case: Case, rounds: int, calls: int) -> dict[str, float]:
    """Our time over torch's for a small input, in turns within this process, and torch's time."""
    values, target = inputs_of(case)
    steps = {
        variant: repeated(loss_of(case, variant), values, target) for variant in ("eager", OURS)
    }
    for step in steps.values():
        step(calls)
    gc.disable()
    ratios, theirs = [], []
    for number in range(rounds):
        seconds = {}
        for variant in sorted(steps, reverse=bool(number % 2)):
            start = time.perf_counter()
            steps[variant](calls)
            seconds[variant] = time.perf_counter() - start
        ratios.append(seconds[OURS] / seconds["eager"])
        theirs.append(seconds["eager"] / calls)
    gc.enable()
    return {"ratio": statistics.median(ratios), "seconds": statistics.median(theirs)}


def repeated(
    loss: Callable[[Tensor, Tensor], Tensor], values: Tensor, target: Tensor
) -> Callable[[int], None]:
    def repeat(calls: int) -> None:
        for _ in range(calls):
            values.grad = None
            loss(values, target).backward()

    return repeat


def peak_memory(case: Case, variant: str) -> dict[str, float | bool]:
    """Peak bytes of one forward and backward above what the inputs take."""
    tiny_values, tiny_target = inputs_of(case._replace(shape=(1, *case.shape[1:])))
    loss = loss_of(case, variant)
    loss(tiny_values, tiny_target).backward()  # libraries, threads
    values, target = inputs_of(case)
    gc.collect()
    could_reset = reset_peak()
    before = status_bytes("VmRSS" if could_reset else "VmHWM")
    loss(values, target).backward()
    extra = status_bytes("VmHWM") - before
    gradient = values.numel() * values.element_size()
    return {"extra": extra, "gradient": gradient, "reset": could_reset}


def reset_peak() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def status_bytes(field: str) -> int:
    """A size in /proc/self/status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def requests() -> Iterator[dict[str, Any]]:
    for line in sys.stdin:
        yield json.loads(line)


def case_from(fields: list[Any]) -> Case:
    name, loss, shape, dtype, options = fields
    return Case(name, loss, tuple(shape), dtype, tuple(options))


def main() -> None:
    """Answer requests until the input ends."""
    variant = sys.argv[1]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what compilers print must not be taken for an answer
    work: Work | None = None
    for request in requests():
        answer: dict[str, Any] = {}
        try:
            match request["do"]:
                case "prepare":
                    work = None
                    gc.collect()
                    work = work_of(case_from(request["case"]), variant)
                case "prepare_training":
                    work = None
                    work = training_work(Training(*request["training"]), variant)
                case "time" if work is not None:
                    answer = timed(work, request["pass"], request["budget"])
                case "small":
                    arguments = request["rounds"], request["calls"]
                    answer = small_ratios(case_from(request["case"]), *arguments)
                case "memory":
                    answer = peak_memory(case_from(request["case"]), variant)
                case "describe":
                    answer = {"copy": "copy_" if native_copy() is None else "copy_past_caches"}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:400]}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
