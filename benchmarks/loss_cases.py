"""What the benchmark of the losses measures, and the goals that the measurements are held to."""

from __future__ import annotations

import math
from typing import NamedTuple

CE, NLL, BCE, BCEL = (
    "cross_entropy",
    "nll_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
)
PASSES = ("forward+backward", "forward")

# Variants: torch, torch with huge pages, torch.compile, ours, a copy of the same bytes past the
# caches, and ours without the options of the case.
EAGER, HUGE, COMPILED, OURS, COPY, PLAIN = "eager", "huge_pages", "compile", "ours", "copy", "plain"


class Goal(NamedTuple):
    """A bound on a ratio of two variants' times, such as eager over ours at least 20."""

    over: str
    under: str
    bound: float
    at_least: bool

    def is_met(self, ratio: float) -> bool:
        return ratio >= self.bound if self.at_least else ratio <= self.bound


class Case(NamedTuple):
    """One call of a loss. Goals are by pass; options are names that the worker knows."""

    name: str
    loss: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    options: tuple[str, ...] = ()
    goals: dict[str, tuple[Goal, ...]] = {}  # noqa: RUF012 (never written to)

    @property
    def variants(self) -> tuple[str, ...]:
        return (EAGER, HUGE, COMPILED, OURS, COPY, *((PLAIN,) if is_optional(self) else ()))

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def streams(self) -> int:
        """Arrays as large as the input that forward and backward move: input, target, gradient."""
        return 3 if self.loss in (BCE, BCEL) or "probabilities" in self.options else 2

    def smaller(self, by: int) -> Case:
        return self._replace(shape=(max(1, self.shape[0] // by), *self.shape[1:]))


def is_optional(case: Case) -> bool:
    """Whether the case is held against the same loss without options."""
    return "all" in case.options


def faster(eager: float, *others: Goal) -> tuple[Goal, ...]:
    return (Goal(EAGER, OURS, eager, True), *others)


def copies(bound: float) -> Goal:
    return Goal(OURS, COPY, bound, False)


def both(*goals: Goal) -> dict[str, tuple[Goal, ...]]:
    """Goals of forward + backward; forward by itself is held to 8 times torch everywhere."""
    return {PASSES[0]: goals, PASSES[1]: faster(8)}


MANY = both(*faster(20, Goal(HUGE, OURS, 4, True), Goal(COMPILED, OURS, 8, True), copies(1.25)))
SMALL_C = both(*faster(30))
WEIGHTED = ("pos_weight",)
ALL_OPTIONS = {PASSES[0]: (Goal(OURS, PLAIN, 1.25, False),)}

CASES = [
    Case("65536 x 1000", CE, (65536, 1000), goals=MANY),
    Case("2048 x 32000", CE, (2048, 32000), goals=MANY),
    Case("1024 x 128256", CE, (1024, 128256), goals=MANY),
    Case("1e6 x 10", CE, (1_000_000, 10), goals=SMALL_C),
    Case("2e6 x 2", CE, (2_000_000, 2), goals=SMALL_C),
    Case("2e6 x 3", CE, (2_000_000, 3), goals=both(copies(3))),
    Case("segmentation 8 x 21 x 256 x 256", CE, (8, 21, 256, 256), goals=both()),
    Case("65536 x 1000, bfloat16", CE, (65536, 1000), "bfloat16", goals=both(*faster(15))),
    Case("2048 x 32000, bfloat16", CE, (2048, 32000), "bfloat16", goals=both(*faster(15))),
    Case("1e6 x 10, bfloat16", CE, (1_000_000, 10), "bfloat16", goals=both()),
    Case("65536 x 1000, all options", CE, (65536, 1000), options=("all",), goals=ALL_OPTIONS),
    Case("65536 x 1000, soft targets", CE, (65536, 1000), options=("probabilities",), goals=both()),
    Case("logits 1e7", BCEL, (10_000_000,), goals=both(*faster(22, copies(1.15)))),
    Case("logits 1e7, pos_weight", BCEL, (10_000_000,), options=WEIGHTED, goals=both()),
    Case("probabilities 1e7", BCE, (10_000_000,), goals=both()),
    Case("probabilities 1e7, pos_weight", BCE, (10_000_000,), options=WEIGHTED, goals=both()),
]  # fmt: skip

SMALL_ROWS = ((1, 5), (32, 10), (64, 64))
SMALL_CASES = [
    *(Case(f"{n} x {c}", loss, (n, c)) for loss in (CE, NLL) for n, c in SMALL_ROWS),
    *(Case(str(n), loss, (n,)) for loss in (BCEL, BCE) for n in (1, 32, 4096)),
]
SMALL_BOUND = 1.05  # of torch's time


class Memory(NamedTuple):
    """Peak memory of one call, forward + backward; the exceptions have no bound of their own."""

    case: Case
    exception: str = ""


MEMORY_CASES = [
    Memory(CASES[0]),
    Memory(CASES[1]),
    Memory(CASES[3]),
    Memory(CASES[6]),
    Memory(CASES[7]),
    Memory(CASES[10]),
    Memory(CASES[12]),
    Memory(CASES[14]),
    Memory(CASES[11], "soft targets"),
    Memory(CASES[1]._replace(name="2048 x 32000, softcap", options=("softcap",)), "softcap"),
]
# Of the gradient: what remains is for allocators and page tables; rows and classes are counted.
MEMORY_SLACK = 1.05


class Training(NamedTuple):
    """One step of stochastic gradient descent of a small model."""

    name: str
    rows: int
    widths: tuple[int, ...]  # of the layers, from features to classes

    @property
    def variants(self) -> tuple[str, ...]:
        return (EAGER, HUGE, OURS)

    def smaller(self, by: int) -> Training:
        return self._replace(rows=max(1, self.rows // by))


TRAINING_CASES = [
    Training("linear, 1,000 classes", 16384, (64, 1000)),
    Training("linear, 100,000 classes", 512, (64, 100_000)),
    Training("MLP, 1,000 classes", 16384, (64, 256, 1000)),
    Training("MLP, 100,000 classes", 512, (64, 256, 100_000)),
]
