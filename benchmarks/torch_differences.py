"""Where PyTorch's losses are wrong: calls that are run with both, and the exact answers."""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import mpmath
import torch
from torch import Tensor

import xent.functional

inf, nan = float("inf"), float("nan")


class Difference(NamedTuple):
    """A call, with the losses of one library or the other, and what it should give, as texts."""

    call: str
    exact: str


# BCEL is that with logits, t the target, and slope the gradient with respect to the input.
DIFFERENCES = [
    Difference("slope(BCE(t=0.), 0.)", "1"),
    Difference("slope(BCE(t=1.), 1.)", "-1"),
    Difference("slope(BCE(t=0.), 1e-13)", "1"),
    Difference("slope(BCE(t=0.), 1e-20)", "1"),
    Difference("slope(BCE(t=1.), 1e-20)", "-1e20"),
    Difference("value(BCEL(t=0.), -15.)", "log1p(exp(-15))"),
    Difference("value(BCEL(t=0.), -40., float64)", "log1p(exp(-40))"),
    Difference("slope(BCEL(t=1.), 15.)", "-1 / (1 + exp(15))"),
    Difference("slope(BCEL(t=1.), 18.)", "-1 / (1 + exp(18))"),
    Difference("value(BCEL(t=1.), inf)", "0"),
    Difference("value(BCEL(t=0.), -inf)", "0"),
    Difference("value(BCEL(t=1.), -inf)", "inf"),
    Difference("value(CE(t=0), [15., 0.])", "log1p(exp(-15))"),
    Difference("value(CE(t=0), [17., 0.])", "log1p(exp(-17))"),
    Difference("slope(CE(t=0), [17., 0.])[0]", "-1 / (1 + exp(17))"),
    Difference("slope(CE(t=0), [40., 0.], float64)[0]", "-1 / (1 + exp(40))"),
    Difference("slope(CE(t=0), [5., 0.], bfloat16)[0]", "-1 / (1 + exp(5))"),
    Difference("value(CE(t=[.5, 0., .5]), [0., -inf, 0.])", "log(2)"),
    Difference("value(CE(t=0, label_smoothing=.3, weight=[1., 0.]), [0., -inf])", "0"),
    Difference("value(CE(t=1, weight=[1., 0.], reduction='sum'), [0., -inf])", "0"),
    Difference("slope(CE(t=-100, reduction='sum'), [nan, nan])[0]", "0"),
    Difference("slope(CE(t=-100, reduction='sum'), [-inf, -inf])[0]", "0"),
    Difference("value(NLL(t=1, weight=[1., 0.], reduction='sum'), [0., -inf])", "0"),
    Difference("value(CE(t=0, rows=70_000), [0.] * 4, float16)", "log(4)"),
    Difference("value(CE(t=[.25] * 4, rows=70_000), [0.] * 4, float16)", "log(4)"),
    Difference("value(NLL(t=0, rows=70_000), [-2.] * 4, float16)", "2"),
    Difference("value(CE(t=0, label_smoothing=.1), [0.] * 70_000, float16)", "log(70000)"),
]


class Loss(NamedTuple):
    """A loss with everything but its input."""

    function: Any
    target: Any
    rows: int | None
    options: dict[str, Any]

    def __call__(self, values: Tensor) -> Tensor:
        def tensor(numbers: Any) -> Tensor:
            exact = torch.tensor(numbers)
            return exact.to(values.dtype) if exact.is_floating_point() else exact

        target = tensor(self.target)
        if self.rows is not None:
            values = values.expand(self.rows, *values.shape)
            target = target.expand(self.rows, *target.shape)
        options = {
            name: tensor(option) if isinstance(option, list) else option
            for name, option in self.options.items()
        }
        result: Tensor = self.function(values, target, **options)
        return result


def namespace(functions: ModuleType) -> dict[str, Any]:
    """What the calls of the table mean with one module of losses."""

    def short(name: str) -> Any:
        def loss(t: Any, rows: int | None = None, **options: Any) -> Loss:
            return Loss(getattr(functions, name), t, rows, options)

        return loss

    def value(loss: Loss, numbers: Any, dtype: torch.dtype = torch.float32) -> float:
        return loss(torch.tensor(numbers, dtype=dtype)).item()

    def slope(loss: Loss, numbers: Any, dtype: torch.dtype = torch.float32) -> Any:
        values = torch.tensor(numbers, dtype=dtype, requires_grad=True)
        return torch.autograd.grad(loss(values), values)[0].tolist()

    return {
        "BCE": short("binary_cross_entropy"),
        "BCEL": short("binary_cross_entropy_with_logits"),
        "CE": short("cross_entropy"),
        "NLL": short("nll_loss"),
        "value": value,
        "slope": slope,
        "inf": inf,
        "nan": nan,
        **{name: getattr(torch, name) for name in ("float16", "bfloat16", "float64")},
    }


def measure_difference(difference: Difference) -> dict[str, Any]:
    """PyTorch's answer, ours and the exact one."""
    theirs, ours = namespace(torch.nn.functional), namespace(xent.functional)
    exactly = {name: getattr(mpmath, name) for name in ("exp", "log", "log1p", "inf")}
    return {
        "call": difference.call,
        "torch": eval(difference.call, theirs),
        "ours": eval(difference.call, ours),
        "exact": float(eval(difference.exact, exactly)),
    }
