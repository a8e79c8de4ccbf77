"""What PyTorch's losses refuse, ours refuses with an error that is also of PyTorch's type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch_samples import (
    LOSSES,
    OPERATORS,
    call,
    ours,
    path,  # noqa: F401 -- a fixture that every test uses
    raised,
    theirs,
)

from xent import ContractError

ROWS, ELEMENTS = LOSSES[2:], LOSSES[:2]
BCE, BCEL, CE, NLL = LOSSES


class Mistake(NamedTuple):
    """A call that can't be answered."""

    name: str
    losses: tuple[str, ...]
    input: Any
    target: Any
    options: Mapping[str, Any] = MappingProxyType({})


def half(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.full(shape, 0.5, dtype=dtype)


def index(*numbers: int, dtype: torch.dtype = torch.int64) -> Tensor:
    return torch.tensor(numbers, dtype=dtype)


MISTAKES = [
    # Shapes.
    Mistake("fewer targets than rows", ROWS, half(10, 3), index(0, 0, 0)),
    Mistake("more targets than rows", ROWS, half(2, 3), index(0, 1, 2)),
    Mistake("target with an axis too many", ROWS, half(2, 3), index(0, 1)[:, None]),
    Mistake("target of another extent", ROWS, half(2, 3, 5), torch.zeros(2, 4).long()),
    Mistake("target without the extent", ROWS, half(2, 3, 5), torch.zeros(2).long()),
    Mistake("target of several for a single row", ROWS, half(3), index(0, 1)),
    Mistake("scalar input", ROWS, half(), index(0)),
    Mistake("target one row longer, 4-D", ROWS, half(2, 3, 2, 2), torch.zeros(3, 2, 2).long()),
    Mistake("shapes that broadcast", ELEMENTS, half(3, 1), half(3)),
    Mistake("shapes that don't", ELEMENTS, half(3, 2), half(2, 3)),
    Mistake("one target for all", ELEMENTS, half(3), half()),
    Mistake("one target too many", ELEMENTS, half(25), half(26)),
    Mistake("weight that doesn't broadcast", ELEMENTS, half(3, 4), half(3, 4), {"weight": half(3)}),
    Mistake("weight that enlarges", ELEMENTS, half(2), half(2), {"weight": half(2, 2)}),
    Mistake("pos_weight of no fit", (BCEL,), half(3, 4), half(3, 4), {"pos_weight": half(3)}),
    Mistake("weight of too few classes", ROWS, half(2, 3), index(0, 1), {"weight": half(2)}),
    Mistake("weight of too many classes", ROWS, half(2, 3), index(0, 1), {"weight": half(4)}),
    Mistake("weight as a column", ROWS, half(2, 3), index(0, 1), {"weight": half(3, 1)}),
    Mistake("weight as a number", ROWS, half(2, 3), index(0, 1), {"weight": half()}),
    Mistake("weight for probabilities", (CE,), half(2, 3), half(2, 3), {"weight": half(2)}),
    # Types.
    Mistake("target as a list", LOSSES, half(2, 3), [0, 1]),
    Mistake("input as a list", LOSSES, [[0.5, 0.5]], index(0)),
    Mistake("target None", LOSSES, half(2, 3), None),
    Mistake("input of integers", ROWS, torch.ones(2, 3).long(), index(0, 1)),
    Mistake("logits of integers for labels", ELEMENTS, torch.ones(2).long(), half(2)),
    Mistake("floating indices", ROWS, half(2, 3), half(2)),
    Mistake("indices of bool", ROWS, half(2, 3), torch.tensor([True, False])),
    Mistake("integers for probabilities", (CE,), half(2, 3), torch.zeros(2, 3).long()),
    Mistake("probabilities", (NLL,), half(2, 3), half(2, 3)),
    Mistake("complex input", LOSSES, half(2, 3) + 0j, index(0, 1)),
    Mistake("weight as a list", ROWS, half(2, 3), index(0, 1), {"weight": [1.0, 1.0, 1.0]}),
    # Values.
    Mistake("index of the number of classes", ROWS, half(2, 3), index(0, 3)),
    Mistake("index of -1", ROWS, half(2, 3), index(0, -1)),
    Mistake("index out of bounds in 2-D", ROWS, half(2, 3, 2, 2), torch.full((2, 2, 2), 3)),
    Mistake(
        "index out of bounds without reduction",
        ROWS,
        half(2, 3),
        index(0, 9),
        {"reduction": "none"},
    ),
    Mistake("probability above 1", (BCE,), half(3) + 1, half(3)),
    Mistake("probability below 0", (BCE,), half(3) - 1, half(3)),
    Mistake("probability NaN", (BCE,), half(3) * torch.nan, half(3)),
    Mistake("target above 1", (BCE,), half(3), half(3) + 1),
    # Options.
    Mistake(
        "unknown reduction of indices", ROWS, half(2, 3), index(0, 1), {"reduction": "average"}
    ),
    Mistake("unknown reduction of elements", ELEMENTS, half(3), half(3), {"reduction": "average"}),
    Mistake("smoothing above 1", (CE,), half(2, 3), index(0, 1), {"label_smoothing": 1.5}),
    Mistake(
        "smoothing above 1 of probabilities",
        (CE,),
        half(2, 3),
        half(2, 3),
        {"label_smoothing": 1.5},
    ),
    Mistake("smoothing as text", (CE,), half(2, 3), index(0, 1), {"label_smoothing": "0.1"}),
    Mistake("ignored class of probabilities", (CE,), half(2, 3), half(2, 3), {"ignore_index": 1}),
    Mistake("ignore_index as a fraction", ROWS, half(2, 3), index(0, 1), {"ignore_index": 1.5}),
    Mistake("unknown keyword", LOSSES, half(2, 3), index(0, 1), {"weights": half(3)}),
]
CASES = [
    pytest.param(loss, mistake, id=f"{loss}: {mistake.name}")
    for mistake in MISTAKES
    for loss in mistake.losses
]


def given_to(loss: Callable[..., Tensor], mistake: Mistake) -> Callable[[], Tensor]:
    return lambda: loss(mistake.input, mistake.target, **mistake.options)


@pytest.mark.parametrize(("name", "mistake"), CASES)
def test_type_of_the_error(name: str, mistake: Mistake) -> None:
    expected = raised(given_to(theirs(name), mistake))
    assert expected is not None, "PyTorch takes this"
    error = raised(given_to(ours(name), mistake))
    assert error is not None
    assert isinstance(error, type(expected)), (expected, error)
    assert isinstance(error, ContractError) or mistake.name == "unknown keyword"


@pytest.mark.parametrize(("name", "mistake"), CASES)
def test_error_of_fake_tensors(name: str, mistake: Mistake) -> None:
    """The form is checked without numbers too, with the same type of error."""
    if not (isinstance(mistake.input, Tensor) and isinstance(mistake.target, Tensor)):
        return
    expected = raised(given_to(ours(name), mistake))
    with FakeTensorMode() as mode:
        fake = mistake._replace(
            input=mode.from_tensor(mistake.input),
            target=mode.from_tensor(mistake.target),
            options={
                key: mode.from_tensor(value) if isinstance(value, Tensor) else value
                for key, value in mistake.options.items()
            },
        )
        error = raised(given_to(ours(name), fake))
    if mistake.name.startswith(("index", "probability", "target above")):
        assert error is None
    else:
        assert type(error) is type(expected)


@pytest.mark.parametrize("name", LOSSES)
def test_error_inputs_of_the_operators(name: str) -> None:
    """PyTorch's database has none for these operators now; any that it gains are tried here."""
    if OPERATORS[name].error_inputs_func is None:
        return
    for error in OPERATORS[name].error_inputs("cpu"):
        with pytest.raises(error.error_type):
            call(ours(name), error.sample_input)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_ignored_index_out_of_bounds_is_none(name: str, reduction: str) -> None:
    input = half(6, 3).requires_grad_()
    target = index(0, 1, 255, 0, 1, 2)
    for loss in (ours(name), theirs(name)):
        loss(input, target, ignore_index=255, reduction=reduction).sum().backward()
