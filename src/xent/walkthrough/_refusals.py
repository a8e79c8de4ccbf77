"""The errors of the contract table for arguments that aren't tensors: same codes, same texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from xent._contracts import Contract
from xent._errors import contract_error_class


def refuse(
    contract: Contract,
    fault_name: str,
    argument: str,
    found: str,
    situation: str = "",
    **fields: object,
) -> NoReturn:
    """Raise the error of a fault in the contract of a loss, with the caller's numbers filled in."""
    form = contract.argument("input").forms[0]
    fault = contract.fault(fault_name)
    fields = {"meaning": form.domain.plural, "form": form.shape, "argument": argument, **fields}
    required = fault.required.format(**fields)
    repair = fault.repairs[situation].format(**fields)
    kind = contract_error_class(fault.raises)
    raise kind(contract.name, argument, required, found, repair, fault.code)


def place(position: int, shape: Sequence[int]) -> str:
    """Where a flat position lies, as messages show it.

    >>> place(5, (4, 3)), place(2, (4,)), place(0, ())
    (' at position (1, 2)', ' at position 2', '')
    """
    index: list[int] = []
    for size in reversed(shape):
        position, inside = divmod(position, size)
        index.insert(0, inside)
    if not index:
        return ""
    return f" at position {index[0] if len(index) == 1 else tuple(index)}"


def axis_of_one(shape: Sequence[int], wanted: Sequence[int]) -> int | None:
    """The axis of size one without which a shape is the wanted one."""
    for axis, size in enumerate(shape):
        if size == 1 and (*shape[:axis], *shape[axis + 1 :]) == tuple(wanted):
            return axis
    return None
