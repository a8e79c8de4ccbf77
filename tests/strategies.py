"""Arguments for every loss, drawn from the contract table: valid ones, and ones with one fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from xent._contracts import Argument, Contract, Domain, Fault, Form

Case = dict[str, Any]
ELEMENTS = {
    "logit": st.floats(-30, 30, width=32),
    "probability": st.floats(0, 1, width=32),
    "binary label": st.integers(0, 1),
    "weight": st.floats(0, 4, width=16),
    "logit offset": st.floats(-3, 3, width=16),
}
OPTIONS = {
    "fraction": st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    "coefficient": st.sampled_from([0.0, 1e-4, 0.5, 2.0]),
    "scale": st.sampled_from([0.5, 1.0, 3.0, 30.0]),
}


@dataclass(frozen=True)
class Sizes:
    """Sizes of the axes that the shapes of the table name."""

    batch: tuple[int, ...]
    classes: int
    positions: tuple[int, ...] = ()

    @property
    def rows(self) -> tuple[int, ...]:
        return self.batch + self.positions

    @property
    def input(self) -> tuple[int, ...]:
        return (*self.batch, self.classes, *self.positions)


@st.composite
def sizes(draw: st.DrawFn) -> Sizes:
    """Small sizes, zero rows included, with any number of axes before and after the classes."""
    axes = st.lists(st.integers(0, 3), max_size=2).map(tuple)
    return Sizes(draw(axes), draw(st.integers(2, 5)), draw(axes))


def of_rows(contract: Contract) -> bool:
    return "classes" in contract.argument("input").forms[0].shape


def numbers(domain: Domain, shape: tuple[int, ...], axis: int | None) -> st.SearchStrategy[Any]:
    """Arrays of a domain; ``axis`` is that of the classes, over which probabilities sum to one."""
    if domain.normalised:
        logits = arrays.arrays(np.float64, shape, elements=st.floats(-12, 12, width=32))
        log_p = logits.map(lambda x: torch.log_softmax(torch.from_numpy(x), axis))
        return log_p if domain.low < 0 else log_p.map(torch.exp)
    kind = np.int64 if domain.whole else np.float64
    drawn = arrays.arrays(kind, shape, elements=ELEMENTS[domain.name])
    return drawn.map(lambda x: torch.from_numpy(np.asarray(x)))


@st.composite
def tensors(draw: st.DrawFn, form: Form, size: Sizes, dtypes: tuple[str, ...]) -> torch.Tensor:
    """A tensor of one form."""
    shape, axis = shape_of(draw, form.shape, size), len(size.batch)
    if form.domain.high == "classes":
        values = arrays.arrays(np.int64, shape, elements=st.integers(0, size.classes - 1)).map(
            lambda x: torch.from_numpy(np.asarray(x))
        )
    else:
        values = numbers(form.domain, shape, axis)
    allowed = [name for name in form.dtypes if name in dtypes]
    return draw(values).to(getattr(torch, draw(st.sampled_from(allowed))))


def shape_of(draw: st.DrawFn, text: str, size: Sizes) -> tuple[int, ...]:
    """The shape that the words of the table stand for."""
    if text.startswith("broadcasts to"):
        kept = size.input[draw(st.integers(0, len(size.input))) :]
        return tuple(draw(st.sampled_from([1, length])) for length in kept)
    if text.startswith("the leading axes"):
        return size.input[: draw(st.integers(1, len(size.input)))]
    named = {
        "*batch": size.batch,
        "classes": (size.classes,),
        "*positions": size.positions,
        "*shape": size.input,
    }
    words = [word.strip() for word in text.strip("()").split(",") if word.strip()]
    return sum((named[word] for word in words), ())


FLOATING = ("float32", "float64")
ANY_DTYPE = (
    "bool",
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    *FLOATING,
)


@st.composite
def valid_inputs(
    draw: st.DrawFn,
    contract: Contract,
    dtypes: tuple[str, ...] = ANY_DTYPE,
    size: Sizes | None = None,
) -> Case:
    """Arguments by name that a loss must take: every form, shape and option of its row."""
    size = size or draw(sizes())
    case: Case = {}
    for argument in contract.arguments:
        if argument.optional and argument.name != "class_dim" and draw(st.booleans()):
            continue
        value = draw(argument_values(contract, argument, size, dtypes, case))
        if value is not None:
            case[argument.name] = value
    return case


@st.composite
def argument_values(
    draw: st.DrawFn,
    contract: Contract,
    argument: Argument,
    size: Sizes,
    dtypes: tuple[str, ...],
    case: Case,
) -> Any:
    """A value of one argument that goes with those before it, or None to leave it out."""
    form = draw(st.sampled_from(argument.forms))
    if argument.name == "class_dim":
        axis = len(size.batch)
        by_rule = axis == (1 if len(size.input) > 1 else 0)
        choices = [axis, axis - len(size.input), *([None] if by_rule else [])]
        return draw(st.sampled_from(choices))
    if argument.name == "ignore_index":
        return draw(marks(contract, case))
    if argument.name == "normalizer" and case.get("reduction", "mean") != "mean":
        return None
    if form.domain.choices:
        return draw(st.sampled_from(form.domain.choices))
    if not form.dtypes or (argument.name == "temperature" and draw(st.booleans())):
        return draw(OPTIONS[form.domain.name])
    if form.shape == "()":
        return torch.tensor(draw(OPTIONS[form.domain.name]))
    return draw(tensors(form, size, dtypes))


@st.composite
def marks(draw: st.DrawFn, contract: Contract, case: Case) -> int:
    """A value for ignore_index: one that occurs, or one that doesn't."""
    target = case["target"]
    soft = of_rows(contract) and target.is_floating_point()
    occurring = [] if soft or not target.numel() else [int(target.flatten()[0])]
    return draw(st.sampled_from([-100, -1, *occurring]))


# One thing broken. Every breaker takes the arguments of a valid call of this size and changes one
# so that the fault is there; it returns the name of the argument that the error must name.

DISTINCT = Sizes((3,), 5)
DEEPER = Sizes((3,), 5, (4,))
Breaker = Callable[[Case], str]


def _replace(argument: str, value: Any) -> Breaker:
    def apply(case: Case) -> str:
        case[argument] = value(case) if callable(value) else value
        return argument

    return apply


def _swap(case: Case) -> str:
    case["input"], case["target"] = torch.ones(3, dtype=torch.int64), torch.zeros(3, 5)
    return "input"


def _move_class_axis(case: Case) -> str:
    case["input"] = torch.zeros(3, 4, 5)
    case["target"] = torch.zeros(3, 4, dtype=torch.int64)
    return "input"


def _mark_with_probabilities(case: Case) -> str:
    case["target"], case["ignore_index"] = torch.full((3, 5), 0.2), 1
    return "ignore_index"


def _normalizer_of_sum(case: Case) -> str:
    case["normalizer"], case["reduction"] = 3.0, "sum"
    return "reduction"


ROW_BREAKERS: dict[str, Breaker] = {
    "not-a-tensor": _replace("target", [0, 1, 2]),
    "sparse-tensor": _replace("input", lambda case: torch.zeros(3, 5).to_sparse()),
    "input-not-floating": _replace("input", torch.zeros(3, 5, dtype=torch.int64)),
    "swapped-arguments": _swap,
    "no-class-axis": _replace("input", torch.tensor(1.0)),
    "class-dim-out-of-range": _replace("class_dim", 2),
    "target-not-integer": _replace("target", torch.zeros(3)),
    "integers-for-probabilities": _replace("target", torch.zeros(3, 5, dtype=torch.int64)),
    "axis-of-one": _replace("target", torch.zeros(3, 1, dtype=torch.int64)),
    "class-axis-elsewhere": _move_class_axis,
    "index-shape": _replace("target", torch.zeros(4, dtype=torch.int64)),
    "mixed-devices": _replace("target", torch.zeros(3, dtype=torch.int64, device="meta")),
    "option-type": _replace("ignore_index", 1.5),
    "class-vector-shape": _replace("weight", torch.ones(4)),
    "not-real": _replace("weight", torch.ones(5, dtype=torch.complex64)),
    "sample-weight-shape": _replace("sample_weight", torch.ones(4)),
    "unknown-choice": _replace("reduction", "average"),
    "not-one-number": _replace("normalizer", torch.ones(3)),
    "option-out-of-range": _replace("normalizer", -1.0),
    "normalizer-without-mean": _normalizer_of_sum,
    "smoothing-out-of-range": _replace("label_smoothing", 1.5),
    "mark-with-probabilities": _mark_with_probabilities,
}
ELEMENT_BREAKERS: dict[str, Breaker] = {
    "not-a-tensor": _replace("target", [[0.0] * 5] * 3),
    "sparse-tensor": _replace("input", lambda case: torch.zeros(3, 5).to_sparse()),
    "input-not-floating": _replace("input", torch.zeros(3, 5, dtype=torch.complex64)),
    "swapped-arguments": _swap,
    "not-real": _replace("target", torch.zeros(3, 5, dtype=torch.complex64)),
    "axis-of-one": _replace("target", torch.zeros(3, 5, 1)),
    "unequal-shapes": _replace("target", torch.zeros(3)),
    "not-broadcastable": _replace("weight", torch.ones(4)),
    "sample-weight-shape": _replace("sample_weight", torch.ones(4)),
    "mixed-devices": _replace("target", torch.zeros(3, 5, device="meta")),
    "unknown-choice": _replace("reduction", "average"),
    "option-type": _replace("label_smoothing", "a"),
    "option-out-of-range": _replace("normalizer", -1.0),
    "not-one-number": _replace("normalizer", torch.ones(3)),
    "normalizer-without-mean": _normalizer_of_sum,
    "smoothing-out-of-range": _replace("label_smoothing", -0.5),
}
FOCAL_BREAKERS: dict[str, Breaker] = {
    **ELEMENT_BREAKERS,
    "option-type": _replace("gamma", "a"),
    "option-out-of-range": _replace("gamma", -1.0),
}
# What only a kernel can see, since only kernels read values.
SEEN_BY_KERNELS = frozenset(
    ("index-out-of-range", "probability-out-of-range", "target-out-of-range")
)
# What lies in the state of the program, whatever the arguments.
SEEN_AROUND = frozenset(("under-autocast",))
SEEN_BREAKERS: dict[str, Breaker] = {
    "index-out-of-range": _replace("target", torch.tensor([0, 5, 1])),
    "probability-out-of-range": _replace("input", torch.full((3, 5), 1.5)),
    "target-out-of-range": _replace("target", torch.full((3, 5), -0.5)),
}


def breaker(contract: Contract, fault: Fault) -> Breaker:
    """How to bring a fault into valid arguments of a loss."""
    if fault.name in SEEN_BREAKERS:
        return SEEN_BREAKERS[fault.name]
    if of_rows(contract):
        return ROW_BREAKERS[fault.name]
    return (FOCAL_BREAKERS if contract.name == "sigmoid_focal_loss" else ELEMENT_BREAKERS)[
        fault.name
    ]


@dataclass(frozen=True)
class Broken:
    """Arguments with one fault, and what the error must name."""

    fault: Fault
    argument: str
    case: Case


@st.composite
def broken_inputs(draw: st.DrawFn, contract: Contract, fault: Fault | None = None) -> Broken:
    """Arguments that a loss must refuse, valid but for one fault of its row."""
    fault = fault or draw(
        st.sampled_from([fault for fault in contract.errors if fault.name not in SEEN_AROUND])
    )
    case = draw(valid_inputs(contract, (*FLOATING, "int64"), DISTINCT))
    for dependent in ("class_dim", "ignore_index", "normalizer", "reduction"):
        case.pop(dependent, None)
    if of_rows(contract):
        case["target"] = torch.tensor([0, 4, 1])
        case.pop("sample_weight", None)
    return Broken(fault, breaker(contract, fault)(case), case)
