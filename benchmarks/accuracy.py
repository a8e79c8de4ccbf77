"""How many digits the losses have: torch's and ours against 200-bit arithmetic.

Errors are in ulp, the distance of neighbouring numbers of the result's dtype. Gradients are those
of the sum, and of the losses one by one.

    make bench-accuracy                  # half a minute
    python benchmarks/accuracy.py --quick
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable
from datetime import date
from types import ModuleType
from typing import Any, NamedTuple

import mpmath
import numpy as np
import torch
import torch.nn.functional as torch_functional
from exact_losses import (
    BCE,
    BCEL,
    CE,
    NLL,
    Inputs,
    elements_of_logits,
    elements_of_probabilities,
    mpf,
    rows_of_logits,
    with_log_probabilities,
    with_probabilities,
)
from numpy.typing import NDArray
from torch import Tensor

import xent.functional

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
SHAPES = ((200, 2), (100, 3), (60, 10), (20, 100), (4, 1000))
HALF_SHAPES = ((100, 2), (50, 10), (5, 100))
QUICK_SHAPES = ((37, 2), (21, 10))
MEANS = (torch.float16, torch.bfloat16, torch.float32)
MANY_ROWS = 1_000_000
Errors = NDArray[np.float64]


class Measured(NamedTuple):
    """Errors in ulp, of torch and ours; infinite where a finite answer is NaN or infinite."""

    values: tuple[Errors, Errors]
    gradients: tuple[Errors, Errors]
    allowed: Errors  # of the gradients, by their bound

    @classmethod
    def together(cls, parts: Iterable[Measured]) -> Measured:
        values, gradients, allowed = zip(*parts, strict=True)
        return cls(join(values), join(gradients), np.concatenate(allowed))


def join(parts: Iterable[tuple[Errors, Errors]]) -> tuple[Errors, Errors]:
    theirs, ours = zip(*parts, strict=True)
    return np.concatenate(theirs), np.concatenate(ours)


def measure(inputs: Inputs) -> Measured:
    """The errors of both libraries for one kind of inputs; the gradients of two reductions."""
    exact = inputs.exact()
    dtype = inputs.input.dtype
    values, gradients = [], []
    for functions in (torch_functional, xent.functional):
        value, by_sum, by_one = run(functions, inputs)
        values.append(ulps(value, exact.values, exact.values))
        gradients.append(
            np.concatenate([ulps(one, exact.gradients, exact.scales) for one in (by_sum, by_one)])
        )
    allowed = gradient_bound(inputs, exact.gradients, exact.scales, exact.distances, dtype)
    return Measured((values[0], values[1]), (gradients[0], gradients[1]), np.tile(allowed, 2))


def run(functions: ModuleType, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor]:
    """Losses, gradient of their sum, and gradient of the losses each for itself."""
    options: dict[str, Any] = {}
    if inputs.label_smoothing:
        options["label_smoothing"] = inputs.label_smoothing
    loss = getattr(functions, inputs.loss)

    def gradient(reduction: str) -> tuple[Tensor, Tensor]:
        values = inputs.input.clone().requires_grad_()
        result = loss(values, inputs.target, reduction=reduction, **options)
        result.backward(torch.ones_like(result))
        assert values.grad is not None
        return result.detach(), values.grad

    value, by_one = gradient("none")
    return value, gradient("sum")[1], by_one


def spacing(number: mpf, dtype: torch.dtype) -> int:
    """The distance of neighbouring numbers of a dtype near a number: 2 to this power."""
    limits = torch.finfo(dtype)
    digits, lowest = -int(math.log2(limits.eps)), int(math.log2(limits.smallest_normal))
    if not number or not mpmath.isfinite(number):
        return lowest - digits
    return max(int(mpmath.mag(number)) - 1, lowest) - digits


def ulps(result: Tensor, exact: list[mpf], scales: list[mpf]) -> Errors:
    """Errors in ulp of each scale. Where the exact answer is NaN, there is none: the error is 0."""
    dtype = result.dtype
    largest = mpf(torch.finfo(dtype).max)
    overflow = largest + mpmath.ldexp(1, spacing(largest, dtype) - 1)
    errors = np.zeros(len(exact))
    for place, (found, wanted, scale) in enumerate(
        zip(result.double().flatten().tolist(), exact, scales, strict=True)
    ):
        if mpmath.isnan(wanted):
            continue
        if abs(wanted) >= overflow:
            errors[place] = 0.0 if found == math.copysign(math.inf, wanted) else math.inf
        elif not math.isfinite(found):
            errors[place] = math.inf
        else:
            errors[place] = float(mpmath.ldexp(abs(found - wanted), -spacing(scale, dtype)))
    return errors


def gradient_bound(
    inputs: Inputs, exact: list[mpf], scales: list[mpf], distances: list[float], dtype: torch.dtype
) -> Errors:
    """What each gradient may be off by, in ulp: 2, or relative to max - x for rows of logits."""
    if inputs.loss != CE:
        return np.full(len(exact), 2.0)
    unit = mpf(torch.finfo(dtype).eps) / 2
    smallest = mpmath.ldexp(1, spacing(mpf(0), dtype))
    bounds = np.full(len(exact), 1.0)  # of the smallest number that there is
    for place, (slope, scale, distance) in enumerate(zip(exact, scales, distances, strict=True)):
        if slope and math.isfinite(distance):
            allowed = (4 + distance) * unit * abs(scale) + smallest
            bounds[place] = float(mpmath.ldexp(allowed, -spacing(scale, dtype)))
    return bounds


def grids(dtype: torch.dtype, shapes: Iterable[tuple[int, int]]) -> dict[str, list[Inputs]]:
    """All inputs of a dtype, by what is shown in one row of the table."""
    rows = [one for shape in shapes for one in rows_of_logits(*shape, dtype)]
    plain = [one for one in rows if "impossible" not in one.kind]
    possible = [one for one in rows if one.kind != "impossible target"]
    return {
        "cross_entropy": rows,
        "cross_entropy, probabilities": [with_probabilities(one) for one in possible],
        "cross_entropy, label_smoothing": [one._replace(label_smoothing=0.1) for one in plain],
        "nll_loss": [with_log_probabilities(one) for one in plain],
        "binary_cross_entropy_with_logits": elements_of_logits(dtype),
        "binary_cross_entropy": elements_of_probabilities(dtype),
    }


def summary(errors: Errors) -> dict[str, float]:
    """Largest and mean error where there is a number, and how often there is none."""
    finite = errors[np.isfinite(errors)]
    return {
        "max": float(finite.max(initial=0.0)),
        "mean": float(finite.mean()) if finite.size else 0.0,
        "not_numbers": int(errors.size - finite.size),
    }


def measure_samples(shapes: tuple[tuple[int, int], ...]) -> list[dict[str, Any]]:
    """Values and gradients of single samples."""
    rows = []
    for dtype in DTYPES:
        fewer = min(shapes, HALF_SHAPES, key=len) if torch.finfo(dtype).bits == 16 else shapes
        for name, inputs in grids(dtype, fewer).items():
            print(f"  {name} {dtype}", file=sys.stderr, flush=True)
            parts = {one.kind: [] for one in inputs}
            for one in inputs:
                parts[one.kind].append(measure(one))
            kinds = {kind: Measured.together(measured) for kind, measured in parts.items()}
            whole = Measured.together(kinds.values())
            for what, errors in (("value", whole.values), ("gradient", whole.gradients)):
                row = {
                    "loss": name, "dtype": str(dtype).removeprefix("torch."), "of": what,
                    "numbers": errors[0].size,
                    "torch": summary(errors[0]), "ours": summary(errors[1]),
                    "kinds": {
                        kind: summary(getattr(measured, what + "s")[1])["max"]
                        for kind, measured in kinds.items()
                    },
                }  # fmt: skip
                if what == "gradient":
                    row["of_bound"] = [float((one / whole.allowed).max()) for one in errors]
                rows.append(row)
    return rows


def measure_means(number: int, dtypes: Iterable[torch.dtype] = MEANS) -> list[dict[str, Any]]:
    """Means over many rows of half types, and of float32, against float64 arithmetic."""
    rows = []
    for dtype in dtypes:
        for name, loss, values, target in mean_inputs(number, dtype):
            # Rows in float64 are good to 1e-15, and fsum adds no error of its own.
            exact = mpf(math.fsum(float64_losses(loss, values, target))) / number
            found = [
                getattr(functions, loss)(values, target)
                for functions in (torch_functional, xent.functional)
            ]
            rows.append({
                "loss": name, "dtype": str(dtype).removeprefix("torch."), "rows": number,
                "exact": float(exact),
                **{
                    who: {"value": one.item(), "ulp": float(ulps(one, [exact], [exact])[0])}
                    for who, one in zip(("torch", "ours"), found, strict=True)
                },
            })  # fmt: skip
    return rows


def mean_inputs(number: int, dtype: torch.dtype) -> list[tuple[str, str, Tensor, Tensor]]:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(number, 4, generator=random)
    target = torch.randint(4, (number,), generator=random)
    shares = torch.randn(number, 4, generator=random).softmax(1).to(dtype)
    single, labels = logits[:, 0], (target % 2).to(dtype)
    return [
        ("cross_entropy", CE, logits.to(dtype), target),
        ("cross_entropy, probabilities", CE, logits.to(dtype), shares),
        ("nll_loss", NLL, logits.log_softmax(1).to(dtype), target),
        ("binary_cross_entropy_with_logits", BCEL, single.to(dtype), labels),
        ("binary_cross_entropy", BCE, single.sigmoid().to(dtype), labels),
    ]


def float64_losses(loss: str, values: Tensor, target: Tensor) -> list[float]:
    """The loss of each sample by its definition, for values near 1."""
    x = values.double()
    t = target.double() if target.is_floating_point() else target
    if loss == BCE:
        result = -(torch.xlogy(t, x) + torch.xlogy(1 - t, 1 - x))
    elif loss == BCEL:
        result = t * torch.logaddexp(-x, x.new_zeros(())) + (1 - t) * torch.logaddexp(
            x, x.new_zeros(())
        )
    elif target.is_floating_point():
        result = (t * (x.logsumexp(1, keepdim=True) - x)).sum(1)
    else:
        picked = x.gather(1, t[:, None]).squeeze(1)
        result = -picked if loss == NLL else x.logsumexp(1) - picked
    losses: list[float] = result.tolist()
    return losses


def show(document: dict[str, Any]) -> None:
    head = f"{'':60}{'torch max':>10}{'mean':>8}{'NaN':>6}{'ours max':>10}{'mean':>8}{'NaN':>6}"
    print(head + f"{'of bound':>10}")
    for row in document["samples"]:
        cells = "".join(
            f"{row[who]['max']:10.3g}{row[who]['mean']:8.2g}{row[who]['not_numbers']:6d}"
            for who in ("torch", "ours")
        )
        bound = f"{row['of_bound'][1]:10.2f}" if "of_bound" in row else ""
        print(f"{row['loss'] + ', ' + row['dtype'] + ', ' + row['of']:60}{cells}{bound}")
    print(f"\n{'mean, ulp':60}{'torch':>10}{'ours':>10}")
    for row in document["means"]:
        name = f"{row['loss']}, {row['dtype']}, {row['rows']:,} rows"
        print(f"{name:60}{row['torch']['ulp']:10.3g}{row['ours']['ulp']:10.3g}")
    print(f"\n{'where torch is wrong':74}{'torch':>14}{'ours':>14}{'exact':>14}")
    for row in document["differences"]:
        print(f"{row['call']:74}{row['torch']:14.7g}{row['ours']:14.7g}{row['exact']:14.7g}")


def without_infinities(found: Any) -> Any:
    """The same for JSON, which has neither NaN nor infinity: they become texts."""
    if isinstance(found, dict):
        return {name: without_infinities(one) for name, one in found.items()}
    if isinstance(found, list):
        return [without_infinities(one) for one in found]
    return str(found) if isinstance(found, float) and not math.isfinite(found) else found


def main() -> None:
    from losses import commit
    from torch_differences import DIFFERENCES, measure_difference

    from study import RESULTS, machine

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rows")
    parser.add_argument("--save", action="store_true", help="write results/accuracy.json")
    options = parser.parse_args()
    document = {
        "date": date.today().isoformat(), "commit": commit(), "quick": options.quick,
        "machine": machine(),
        "samples": measure_samples(QUICK_SHAPES if options.quick else SHAPES),
        "means": measure_means(MANY_ROWS // 20 if options.quick else MANY_ROWS),
        "differences": [measure_difference(one) for one in DIFFERENCES],
    }  # fmt: skip
    show(document)
    if options.save:
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps(without_infinities(document), indent=1, allow_nan=False)
        (RESULTS / "accuracy.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
