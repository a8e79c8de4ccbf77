"""Numbers of any shape brought into rows or elements, and held against the contract on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._contracts import CONTRACTS, Contract, Domain
from xent._errors import InputError
from xent.walkthrough import _checks as checks
from xent.walkthrough._checks import takes_class_probabilities
from xent.walkthrough._numbers import Array, Numbers
from xent.walkthrough._refusals import axis_of_one, refuse

Arranged = tuple[Array, NDArray[Any], dict[str, Any]]


def _domain(kind: str) -> Domain:
    names = {"logits": "logit", "probabilities": "probability"}
    name = names.get(kind, "log-probability")
    return next(
        domain
        for contract in CONTRACTS.values()
        for domain in contract.argument("input").domains
        if domain.name == name
    )


def arrange_rows(
    contract: Contract,
    kind: str,
    values: Numbers,
    target: Numbers,
    class_dim: int | None,
    options: Mapping[str, Any],
    rounded_to: str,
) -> Arranged:
    """Rows ``(N, C)`` with the classes last, whatever axes they came on."""
    shape = values.values.shape
    axis = checks.class_axis(contract, shape, class_dim)
    classes, leading = shape[axis], (*shape[:axis], *shape[axis + 1 :])
    rows = np.moveaxis(values.values, axis, -1).reshape(-1, classes)
    mark = options.get("ignore_index", -100)
    found: NDArray[Any]
    if takes_class_probabilities(contract) and has_distributions(target, shape):
        found, counted = _distributions(contract, target, axis, mark), np.ones(len(rows), np.bool_)
    else:
        found = _indices(contract, target, shape, axis, mark)
        counted = found != mark
    checks.check_values(contract, _domain(kind), rows, counted[:, None])
    if kind != "logits":
        probabilities = rows if kind == "probabilities" else np.exp(rows)
        dtypes = (values.dtype, rounded_to)
        checks.check_sums(contract, kind, probabilities[counted], dtypes)
    for name in ("weight", "logit_adjustment"):
        if name in options:
            checks.check_class_vector(contract, name, options[name], classes)
    arranged: dict[str, Any] = dict(options)
    if "sample_weight" in options:
        own = checks.row_weight(contract, options["sample_weight"], leading, leading=False)
        arranged["sample_weight"] = own.reshape(-1)
    return rows, found, arranged


def _distributions(contract: Contract, target: Numbers, axis: int, mark: int) -> Array:
    """Class probabilities, one distribution for each row."""
    if mark >= 0:
        refuse(contract, "mark-with-probabilities", "ignore_index", repr(mark))
    found = np.moveaxis(target.values, axis, -1).reshape(-1, target.values.shape[axis])
    everywhere = np.ones_like(found, dtype=np.bool_)
    domain = contract.argument("target").domains[-1]
    checks.check_values(contract, domain, found, everywhere, "target")
    checks.check_sums(contract, "targets", found, (target.dtype,))
    return found


def _indices(
    contract: Contract, target: Numbers, shape: tuple[int, ...], axis: int, mark: int
) -> NDArray[np.int64]:
    """Class indices, one for each row; a typed column of them is as good as a line."""
    leading = (*shape[:axis], *shape[axis + 1 :])
    if target.typed and axis_of_one(target.values.shape, leading) is not None:
        target = replace(target, values=target.values.reshape(leading))
    checks.check_index_shape(contract, shape, target, axis)
    # As floats: beyond int64 there is nothing to turn them into.
    checks.check_indices(contract, target.values, shape[axis], mark, target.values.shape)
    return target.values.astype(np.int64).reshape(-1)


def has_distributions(target: Numbers, shape: tuple[int, ...]) -> bool:
    return target.values.shape == shape and (target.typed or not target.whole)


def _up_to_an_axis_of_one(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return axis_of_one(shape, wanted) is not None or axis_of_one(wanted, shape) is not None


def arrange_elements(
    contract: Contract,
    kind: str,
    values: Numbers,
    target: Numbers,
    class_dim: int | None,
    options: Mapping[str, Any],
    rounded_to: str,
) -> Arranged:
    """Elements ``(N,)`` or ``(N, C)``; axes before the last are taken together."""
    if class_dim is not None:
        raise InputError(
            f"{contract.name}: class_dim", "left out", repr(class_dim),
            "Each element is a yes or no by itself.",
        )  # fmt: skip
    found, shape = target.values, values.values.shape
    if target.typed and values.typed and _up_to_an_axis_of_one(found.shape, shape):
        found = found.reshape(shape)
    checks.check_element_shapes(contract, shape, found.shape)
    mark = options.get("ignore_index")
    counted = np.ones(shape, dtype=np.bool_) if mark is None else found != mark
    checks.check_values(contract, _domain(kind), values.values, counted)
    checks.check_targets_of_elements(contract, found, counted, mark)
    arranged: dict[str, Any] = dict(options)
    flat = (-1, shape[-1]) if len(shape) > 1 else (-1,)
    for name in ("weight", "pos_weight"):
        if name in options:
            own = checks.broadcast_weight(contract, name, options[name], shape)
            arranged[name] = own.reshape(flat)
    if "sample_weight" in options:
        own = checks.row_weight(contract, options["sample_weight"], shape, leading=True)
        arranged["sample_weight"] = own.reshape(flat)
    return values.values.reshape(flat), found.reshape(flat), arranged
