"""The contract table in the form that is quick to ask, and its errors in words."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from xent._contracts import CONTRACTS, Domain, Fault
from xent._errors import ContractError, contract_error_class

Shape = tuple[int, ...]

# Flat, so that torch.compile can trace the questions.
DOMAINS: dict[tuple[str, str], Domain] = {
    (contract.name, argument.name): argument.domains[0]
    for contract in CONTRACTS.values()
    for argument in contract.arguments
}
FORMS: dict[str, str] = {
    name: contract.argument("input").forms[0].shape for name, contract in CONTRACTS.items()
}
FAULTS: dict[tuple[str, str], Fault] = {
    (contract.name, fault.name): fault
    for contract in CONTRACTS.values()
    for fault in contract.errors
}
TAKES_PROBABILITIES = frozenset(
    name
    for name, contract in CONTRACTS.items()
    if any(domain.name == "class probability" for domain in contract.argument("target").domains)
)


def error(
    name: str, fault_name: str, argument: str, found: str, situation: str = "", **fields: object
) -> ContractError:
    """The error of a fault in the contract of a loss, with the caller's numbers filled in."""
    fault = FAULTS[name, fault_name]
    fields = {
        "meaning": DOMAINS[name, "input"].plural,
        "form": FORMS[name],
        "argument": argument,
        **fields,
    }
    required = fault.required.format(**fields)
    repair = fault.repairs[situation].format(**fields)
    kind = contract_error_class(fault.raises)
    return kind(name, argument, required, found, repair, fault.code)


def form(tensor: Tensor) -> str:
    """Shape and dtype, as messages show them."""
    return f"shape {tuple(tensor.shape)} and {dtype(tensor)}"


def dtype(tensor: Tensor) -> str:
    """The dtype, as messages show it."""
    return f"dtype {str(tensor.dtype).removeprefix('torch.')}"


def place(position: int, shape: Shape) -> str:
    """Where a flat position lies, as messages show it."""
    if not shape:
        return ""
    index: list[int] = []
    for size in reversed(shape):
        position, inside = divmod(position, size)
        index.insert(0, inside)
    return f" at position {index[0] if len(index) == 1 else tuple(index)}"


def without(shape: Sequence[int], axis: int) -> Shape:
    """A shape without one axis."""
    return (*shape[:axis], *shape[axis + 1 :])


def axis_of_one(shape: Shape, wanted: Shape) -> int | None:
    """The axis of size one without which a shape is the wanted one."""
    for axis, size in enumerate(shape):
        if size == 1 and without(shape, axis) == wanted:
            return axis
    return None
