"""The losses in 200-bit arithmetic, and the inputs that are hard for them.

Every value is a sum of terms of one sign; every gradient is written so that nothing cancels but
what cancels in its definition. ``scale`` is then the larger of the two terms: where a target is a
probability, no function of rounded numbers can know their difference to more digits than that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import mpmath
import torch
from torch import Tensor

mpmath.mp.prec = 200
mpf = mpmath.mpf
inf = math.inf

CE, NLL, BCE, BCEL = (
    "cross_entropy",
    "nll_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
)
LOWEST_LOGARITHM = -100  # PyTorch's documented convention for probabilities
EXTREME = (5.0, 15.0, 17.0, 20.0, 40.0, 80.0, 88.0, 100.0, 103.0, 700.0, 740.0, 1e3, 1e4)
SMALL = (0.0, 1e-40, 1e-30, 1e-20, 1e-8, 1e-4, 0.01, 0.3, 0.7, 1.0, 2.0, 3.0)


class Exact(NamedTuple):
    """Values of each sample; gradients of their sum, the size of its terms, and max - x."""

    values: list[mpf]
    gradients: list[mpf]
    scales: list[mpf]
    distances: list[float]


class Inputs(NamedTuple):
    """Inputs of one kind for one loss."""

    kind: str
    loss: str
    input: Tensor
    target: Tensor
    label_smoothing: float = 0.0

    def exact(self) -> Exact:
        return EXACT[self.loss](self)


def of_rows(inputs: Inputs) -> Exact:
    """Cross-entropy of logits, with class indices or with probabilities."""
    result = Exact([], [], [], [])
    for logits, target in zip(inputs.input.tolist(), inputs.target.tolist(), strict=True):
        if inputs.input.dtype != inputs.target.dtype and not inputs.label_smoothing:
            row = index_row(logits, target)
        else:
            row = soft_row(logits, shares(target, len(logits), inputs.label_smoothing))
        for whole, part in zip(result, row, strict=True):
            whole.extend(part)
    return result


def shares(target: int | list[float], classes: int, smoothing: float) -> list[mpf]:
    """The share of each class in a target."""
    if isinstance(target, list):
        return [mpf(share) for share in target]
    # The smoothing is the number that is given, in float64.
    even = mpf(smoothing) / classes
    return [even + (1 - mpf(smoothing) if one == target else 0) for one in range(classes)]


def exponentials(logits: list[float]) -> tuple[float, list[mpf]]:
    peak = max(logits)
    return peak, [mpmath.exp(mpf(x) - mpf(peak)) if x > -inf else mpf(0) for x in logits]


def index_row(logits: list[float], target: int) -> Exact:
    """One row whose target is a class: its own term never meets the others."""
    peak, terms = exponentials(logits)
    others = mpmath.fsum(term for one, term in enumerate(terms) if one != target)
    total = others + terms[target]
    value = mpmath.log1p(others / terms[target]) if terms[target] else mpf(inf)
    gradient = [term / total for term in terms]
    gradient[target] = -others / total
    return Exact([value], gradient, gradient, [peak - x for x in logits])


def soft_row(logits: list[float], target: list[mpf]) -> Exact:
    """One row whose target is a distribution."""
    peak, terms = exponentials(logits)
    total = mpmath.fsum(terms)
    rest = log_of_sum(terms)
    value = mpmath.fsum(
        share * (rest + (mpf(peak) - mpf(x)))
        for share, x in zip(target, logits, strict=True)
        if share
    )
    whole = mpmath.fsum(target)
    parts = [(term / total * whole, share) for term, share in zip(terms, target, strict=True)]
    gradient = [one - other for one, other in parts]
    return Exact([value], gradient, [max(pair) for pair in parts], [peak - x for x in logits])


def log_of_sum(terms: list[mpf]) -> mpf:
    """Of exponentials whose largest is 1."""
    largest = terms.index(max(terms))
    return mpmath.log1p(mpmath.fsum(term for one, term in enumerate(terms) if one != largest))


def of_log_probabilities(inputs: Inputs) -> Exact:
    """Negative log-likelihood: no arithmetic at all."""
    picked = inputs.input.gather(1, inputs.target[:, None]).squeeze(1).tolist()
    hot = torch.zeros_like(inputs.input).scatter(1, inputs.target[:, None], -1.0).flatten().tolist()
    slopes = [mpf(x) for x in hot]
    return Exact([-mpf(x) for x in picked], slopes, slopes, [0.0] * len(slopes))


def of_logits(inputs: Inputs) -> Exact:
    """Binary cross-entropy of logits."""
    result = Exact([], [], [], [])
    for x, t in zip(inputs.input.tolist(), inputs.target.tolist(), strict=True):
        tail = mpmath.exp(-abs(mpf(x))) if math.isfinite(x) else mpf(0)
        yes, no = (1, tail) if x > 0 else (tail, 1)  # both over 1 + tail
        share = mpf(t)
        terms = [(share, max(-x, 0.0)), (1 - share, max(x, 0.0))]
        distance = mpmath.fsum(mpf(part) * mpf(far) for part, far in terms if part)
        result.values.append(mpmath.log1p(tail) + distance)
        pair = (1 - share) * yes / (1 + tail), share * no / (1 + tail)
        result.gradients.append(pair[0] - pair[1])
        result.scales.append(max(pair))
        result.distances.append(0.0)
    return result


def of_probabilities(inputs: Inputs) -> Exact:
    """Binary cross-entropy of probabilities; NaN where no slope of the dtype is steep enough."""
    result = Exact([], [], [], [])
    wide = torch.promote_types(inputs.input.dtype, torch.float32)
    steepest = mpf(torch.finfo(wide).max)
    for p, t in zip(inputs.input.tolist(), inputs.target.tolist(), strict=True):
        chance, share = mpf(p), mpf(t)
        logs = (
            mpmath.log(chance) if chance else mpf(-inf),
            mpmath.log1p(-chance) if chance < 1 else mpf(-inf),
        )
        hit, miss = (max(log, LOWEST_LOGARITHM) for log in logs)
        result.values.append(-(share * hit + (1 - share) * miss))
        pair = over(1 - share, 1 - chance, steepest), over(share, chance, steepest)
        result.gradients.append(pair[0] - pair[1])
        result.scales.append(max(pair))
        result.distances.append(0.0)
    return result


def over(part: mpf, whole: mpf, steepest: mpf) -> mpf:
    if not part:
        return mpf(0)
    return part / whole if whole * steepest > 1 else mpf("nan")


EXACT: dict[str, Callable[[Inputs], Exact]] = {
    CE: of_rows,
    NLL: of_log_probabilities,
    BCEL: of_logits,
    BCE: of_probabilities,
}


def rows_of_logits(rows: int, classes: int, dtype: torch.dtype) -> list[Inputs]:
    """Rows of every kind that is hard, with class indices."""
    random = torch.Generator().manual_seed(1000 * classes + rows)

    def normal() -> Tensor:
        return torch.randn(rows, classes, generator=random, dtype=torch.float64)

    target = torch.randint(classes, (rows,), generator=random)
    is_target = torch.nn.functional.one_hot(target, classes).bool()
    gap = torch.logspace(-3, 4, rows, dtype=torch.float64)[:, None]
    kinds = {
        "normal": normal(),
        "ten times normal": 10 * normal(),
        "up to 1e4": (2e4 * torch.rand(normal().shape, generator=random) - 1e4).double(),
        "confident and right": torch.where(is_target, gap, 0.1 * normal()),
        "confident and wrong": torch.where(is_target, -gap, 0.1 * normal()),
        "gap exactly known": torch.where(is_target, gap.to(dtype).double(), 0.0),
        "nearly equal": 1.0 + 1e-6 * normal(),
        "far from 0": 9e3 + normal(),
    }
    blocked = torch.rand(normal().shape, generator=random) < 0.5
    kinds["impossible classes"] = torch.where(blocked & ~is_target, -inf, 3 * normal())
    kinds["impossible target"] = torch.where(is_target, -inf, normal())
    return [Inputs(kind, CE, logits.to(dtype), target) for kind, logits in kinds.items()]


def with_probabilities(inputs: Inputs) -> Inputs:
    """The same logits, with a distribution as target: uneven, with a 0 where a class can't be."""
    random = torch.Generator().manual_seed(inputs.input.numel())
    shape = inputs.input.shape
    uneven = (3 * torch.randn(shape, generator=random, dtype=torch.float64)).softmax(1)
    uneven = torch.where(torch.isinf(inputs.input), 0.0, uneven).to(inputs.input.dtype)
    return inputs._replace(target=uneven)


def with_log_probabilities(inputs: Inputs) -> Inputs:
    return inputs._replace(loss=NLL, input=inputs.input.log_softmax(1))


def elements_of_logits(dtype: torch.dtype, extra: int = 200) -> list[Inputs]:
    """Binary logits of every size, with labels and with probabilities as targets."""
    random = torch.Generator().manual_seed(extra)
    drawn = (20 * torch.randn(extra, generator=random, dtype=torch.float64)).tolist()
    sizes = [sign * size for size in SMALL + EXTREME for sign in (1.0, -1.0)]
    eps = torch.finfo(dtype).eps
    return [
        pairs("labels", BCEL, [*sizes, inf, -inf, *drawn], [0.0, 1.0], dtype),
        pairs("probabilities", BCEL, [*sizes, *drawn], [eps, 1e-3, 0.3, 0.5, 1 - eps], dtype),
    ]


def elements_of_probabilities(dtype: torch.dtype, extra: int = 200) -> list[Inputs]:
    """Probabilities of every size, down to the smallest that there is."""
    random = torch.Generator().manual_seed(extra)
    drawn = torch.rand(extra, generator=random, dtype=torch.float64).tolist()
    limits = torch.finfo(dtype)
    lowest = limits.smallest_normal
    tiny = [lowest * limits.eps, lowest, 8 * lowest, 1e-30, 1e-20, 1e-13, 1e-8, 1e-4]
    ends = [0.0, *tiny, *(1 - k * limits.eps for k in (0, 0.5, 1, 2, 50)), 0.01, 0.5, 0.99]
    targets = [limits.eps, 0.3, 0.5, 1 - limits.eps]
    return [
        pairs("labels", BCE, [*ends, *drawn], [0.0, 1.0], dtype),
        pairs("probabilities", BCE, [*ends, *drawn], targets, dtype),
    ]


def pairs(
    kind: str, loss: str, values: list[float], targets: list[float], dtype: torch.dtype
) -> Inputs:
    """Each value with each target."""
    grid = torch.cartesian_prod(
        torch.tensor(values, dtype=torch.float64), torch.tensor(targets, dtype=torch.float64)
    ).to(dtype)
    return Inputs(kind, loss, grid[:, 0].contiguous(), grid[:, 1].contiguous())
