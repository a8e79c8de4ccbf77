"""Shapes and dtypes of input, target and weights, as the contracts of the losses have them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from xent._contracts import CONTRACTS
from xent._errors import ContractError, InputError
from xent._validate import check_elements, check_rows
from xent.wiring._finding import ERROR, NOTE, WARNING
from xent.wiring._live._batch import Batch
from xent.wiring._live._given_loss import NAMED, TORCH, XENT
from xent.wiring._live._report import LiveFinding, Outcome, Right, Unknown, found

Shape = tuple[int, ...]

# Which rule a fault of the contracts belongs to; those that are not named here are raised.
_OF_ROWS = {
    "XE404": "XE202", "XE406": "XE202", "XE407": "XE202", "XE409": "XE202",
    "XE408": "XE204", "XE412": "XE204", "XE422": "XE204",
}  # fmt: skip
_OF_ELEMENTS = {"XE407": "XE201", "XE414": "XE201", "XE426": "XE201"}
_INDICES_OF_TORCH = (torch.int64, torch.uint8)


def shapes(batch: Batch) -> Iterator[Outcome]:
    """Whether the arguments have the form that the loss takes.

    Raises:
        InputError: if they could fit no loss at all.
    """
    if batch.loss.name == "log_loss":
        _check_rows_of_score(batch)
        return
    if batch.loss.name not in CONTRACTS:
        yield from _equal_shapes(batch)
        return
    try:
        _check(batch)
    except ContractError as error:
        rule = (_OF_ROWS if batch.loss.of_rows else _OF_ELEMENTS).get(error.code)
        if rule is None:
            raise
        yield _finding(batch, rule, error)
        return
    refused = list(_dtype(batch))
    yield from refused
    if not refused:
        codes = ("XE202", "XE204") if batch.loss.of_rows else ("XE201", "XE202")
        yield Right(codes, f"Shapes and dtypes fit together: {_shapes(batch)}.")
    sizes, axis = batch.input.shape, batch.class_axis
    unsaid = batch.has_indices and batch.options.get("class_dim") is None
    if unsaid and len(sizes) == 3 and sizes[1] == sizes[2] > 1:
        words = f"Axes 1 and 2 are both of size {sizes[1]}: shapes don't tell that axis {axis}"
        yield Unknown(("XE204",), f"{words} is that of the classes.")


def _check_rows_of_score(batch: Batch) -> None:
    rows, other = batch.input.shape[:1], batch.target.shape[:1]
    if rows != other:
        raise InputError(
            "check: target",
            f"as long as input, which has shape {tuple(batch.input.shape)}",
            f"shape {tuple(batch.target.shape)}",
            "Give both for the same rows.",
        )


def _check(batch: Batch) -> None:
    name = batch.loss.name
    known = {argument.name for argument in CONTRACTS[name].arguments}
    options: dict[str, Any] = {
        key: value for key, value in batch.options.items() if key in known and value is not None
    }
    # Names that the deprecated arguments of PyTorch allow are its own matter.
    if options.get("reduction") == "elementwise_mean":
        options["reduction"] = "mean"
    check = check_rows if batch.loss.of_rows else check_elements
    check(name, batch.input, batch.target, **options)


def _finding(batch: Batch, rule: str, error: ContractError) -> LiveFinding:
    _, argument, required, seen, repair, _ = error.args
    message = f"{argument} of {batch.label} must be {required}."
    evidence = f"It has {seen}."
    if batch.given.maker != XENT and repair.startswith("Give class_dim="):
        repair = "Use " + repair.partition(" or ")[2]  # PyTorch has no such option
    if rule == "XE201" and argument in ("input", "target"):
        evidence += _broadcast_words(batch)
    return found(rule, message, repair, evidence)


def _broadcast_words(batch: Batch) -> str:
    joint = _broadcast(tuple(batch.input.shape), tuple(batch.target.shape))
    if joint is None:
        return ""
    return (
        f" PyTorch refuses it here; a loss of your own would broadcast the two to {joint}, "
        "each prediction against every target."
    )


def _equal_shapes(batch: Batch) -> Iterator[Outcome]:
    """Of losses without a contract that broadcast, or refuse what doesn't."""
    shape, other = tuple(batch.input.shape), tuple(batch.target.shape)
    if shape == other:
        yield Right(("XE201",), f"Input and target have one shape, {shape}.")
    else:
        message = f"{batch.label} is given input and target of unequal shapes."
        yield unequal_shapes(shape, other, message, "input")


def unequal_shapes(shape: Shape, other: Shape, message: str, name: str) -> LiveFinding:
    """The finding of outputs and targets that broadcast, or don't.

    A target that is one number for all is meant so, one that is repeated may be; where both are
    repeated each prediction is held against every target.

    Args:
        shape: of the outputs.
        other: of the target.
        message: what they are given to.
        name: what the outputs are called there.

    >>> unequal_shapes((8, 1), (8,), "A difference.", "output").repair
    'Use output.squeeze(-1).'
    """
    squeezed = [size for size in shape if size != 1] == [size for size in other if size != 1]
    repair = "Give each number its own target."
    if squeezed:
        longer = name if len(shape) > len(other) else "target"
        repair = f"Use {longer}.squeeze(-1)."
    joint, level = _broadcast(shape, other), ERROR
    if joint is None:
        seen = "They don't broadcast, and the loss fails."
    elif joint in (shape, other):
        level = NOTE if 1 in (math.prod(shape), math.prod(other)) else WARNING
        seen = f"They broadcast to {joint}: the smaller one is repeated."
    else:
        seen = f"They broadcast to {joint}: each prediction is held against every target."
    evidence = f"{name} has shape {shape} and target {other}. {seen}"
    return found("XE201", message, repair, evidence, level)


def _broadcast(shape: Shape, other: Shape) -> Shape | None:
    try:
        return np.broadcast_shapes(shape, other)
    except ValueError:
        return None


def _dtype(batch: Batch) -> Iterator[Outcome]:
    """What PyTorch's own losses refuse, or would, and this package's take."""
    dtype = batch.target.dtype
    name = str(dtype).removeprefix("torch.")
    if batch.given.maker not in (TORCH, NAMED):
        return
    level = ERROR if batch.given.maker == TORCH else WARNING
    if batch.has_indices and dtype not in _INDICES_OF_TORCH:
        yield found(
            "XE202",
            f"PyTorch's {batch.label} takes class indices in int64 only.",
            "Use target.long(); xent's own takes any integer dtype.",
            f"target has dtype {name}.",
            level,
        )
    elif not batch.loss.of_rows and not dtype.is_floating_point:
        yield found(
            "XE202",
            f"PyTorch's {batch.label} takes labels in a floating dtype.",
            "Use target.float(); xent's own takes labels of any dtype.",
            f"target has dtype {name}.",
            level,
        )
    elif batch.loss.name == "binary_cross_entropy" and dtype != batch.input.dtype:
        wanted = str(batch.input.dtype).removeprefix("torch.")
        yield found(
            "XE202",
            f"PyTorch's {batch.label} takes input and target of one dtype.",
            "Use target.to(input.dtype); xent's own takes labels of any dtype.",
            f"target has dtype {name}, input {wanted}.",
            level,
        )


def _shapes(batch: Batch) -> str:
    return f"input {tuple(batch.input.shape)}, target {tuple(batch.target.shape)}"
