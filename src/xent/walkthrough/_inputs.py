"""Reading what is to be explained or verified, and finding the loss that takes it.

Nothing is guessed from values. The loss follows from what the numbers are called (logits,
probabilities, log-probabilities) and from shapes; where two losses take the same shapes, the task
must be said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from xent._contracts import CONTRACTS, Contract
from xent._errors import InputError
from xent.walkthrough import _checks as checks
from xent.walkthrough._arrangement import arrange_elements, arrange_rows, has_distributions
from xent.walkthrough._checks import takes_class_probabilities, takes_rows
from xent.walkthrough._given import ARRAYS, Given
from xent.walkthrough._numbers import DTYPES, Array, Numbers, read_numbers, to_dtype

__all__ = ["ARRAYS", "KINDS", "TASKS", "Given", "read_given"]

TASKS = ("binary", "multiclass", "multilabel")
KINDS = ("logits", "probabilities", "log-probabilities")
_ELEMENT_LOSSES = {
    "logits": "binary_cross_entropy_with_logits",
    "probabilities": "binary_cross_entropy",
}
_ROW_LOSSES = {
    "logits": "cross_entropy",
    "probabilities": "nll_loss",
    "log-probabilities": "nll_loss",
}


def read_given(
    logits: Any = None,
    probabilities: Any = None,
    log_probabilities: Any = None,
    targets: Any = None,
    *,
    task: str | None = None,
    loss: str | None = None,
    dtype: Any = None,
    class_dim: int | None = None,
    **options: Any,
) -> Given:
    """Read numbers and targets, find the loss that takes them, and check all against its contract.

    Args:
        logits: text, a path, an array or a tensor; one of these three.
        probabilities: likewise, of 1 for each element or of each class in a row.
        log_probabilities: likewise, of each class in a row.
        targets: class indices, labels or probabilities, given in the same ways.
        task: ``"binary"``, ``"multiclass"`` or ``"multilabel"``; None follows from the shapes.
        loss: a name of the contract table; None follows from the task and the kind of numbers.
        dtype: the numbers are rounded to it; None leaves an array's own, and takes typed numbers
            as float64.
        class_dim: the axis of the classes; None is PyTorch's rule.
        options: the other arguments of the loss by name; None leaves one out.

    Raises:
        InputError: the numbers can't be read, or it isn't said what they are.
        ContractError: they don't fit the contract of the loss.

    >>> given = read_given(logits="-0.1 2 3 0.5", targets="0 1 1 0")
    >>> given.loss, given.task, given.values.shape
    ('binary_cross_entropy_with_logits', 'binary', (4,))
    """
    by_kind = dict(zip(KINDS, (logits, probabilities, log_probabilities), strict=True))
    kind, raw = _the_one(by_kind)
    if targets is None:
        raise InputError("targets", "given", "nothing", 'Give one for each sample: "0 1 1 0".')
    values, target = read_numbers(raw, kind), read_numbers(targets, "targets")
    for name, size in ((kind, values.values.size), ("targets", target.values.size)):
        if not size:
            raise InputError(name, "one number or more", "none", "Give the numbers of a sample.")
    spread = options.get("label_smoothing") not in (None, 0)
    contract = _contract(kind, values, target, task, loss, spread=spread)
    checks.check_input_dtype(contract, values, target)
    chosen = str(dtype or values.dtype).removeprefix("torch.")
    if chosen not in DTYPES:
        raise InputError("dtype", f"one of {', '.join(DTYPES)}", repr(dtype), "Give float32.")
    read = _read_options(options)
    checks.check_options(contract, read)
    rounded = replace(values, values=to_dtype(values.values, chosen))
    arrange = arrange_rows if takes_rows(contract) else arrange_elements
    arranged, arranged_target, arranged_options = arrange(
        contract, kind, rounded, target, class_dim, read, chosen
    )
    return Given(
        loss=contract.name,
        kind=kind,
        task=task or _task(contract, arranged),
        values=arranged,
        target=arranged_target,
        dtype=chosen,
        reduction=arranged_options.pop("reduction", "mean"),
        options=arranged_options,
        shape=values.values.shape,
        source=values.source + _overflowed(values.values, rounded.values, chosen),
    )


def _overflowed(before: Array, after: Array, dtype: str) -> str:
    """How many numbers a dtype is too narrow for."""
    count = int(np.count_nonzero(np.isfinite(before) & np.isinf(after)))
    return f", {count:,} of them infinite in {dtype}" if count else ""


def _the_one(by_kind: Mapping[str, Any]) -> tuple[str, Any]:
    found = {kind: raw for kind, raw in by_kind.items() if raw is not None}
    if len(found) != 1:
        raise InputError(
            "the numbers",
            "given once, as logits, probabilities or log-probabilities",
            " and ".join(found) or "none of them",
            "Say what the model's outputs are; it is never guessed.",
        )
    return next(iter(found.items()))


def _contract(
    kind: str,
    values: Numbers,
    target: Numbers,
    task: str | None,
    loss: str | None,
    *,
    spread: bool,
) -> Contract:
    """The loss that takes such numbers."""
    if loss is not None:
        return _named(loss, kind)
    if task is None:
        task = _task_of_shapes(kind, values, target)
    if task not in TASKS:
        listed = ", ".join(TASKS)
        raise InputError("task", f"one of {listed}", repr(task), "Say what a target is.")
    if task == "multiclass":
        as_distribution = spread or has_distributions(target, values.values.shape)
        name = "cross_entropy" if as_distribution else _ROW_LOSSES[kind]
        return CONTRACTS[name]
    if kind not in _ELEMENT_LOSSES:
        raise InputError(
            "log-probabilities",
            "one for each class in each row",
            f"shape {values.values.shape} for a {task} task",
            "No loss takes log P(1) alone: give logits, or columns log P(0), log P(1).",
        )
    return CONTRACTS[_ELEMENT_LOSSES[kind]]


def _task_of_shapes(kind: str, values: Numbers, target: Numbers) -> str:
    shape, wanted = values.values.shape, target.values.shape
    if len(shape) < 2 or (len(shape) == 2 and shape[1] == 1):
        one_row = len(shape) == 1 and shape[0] > 1 and target.values.size == 1
        return "multiclass" if one_row or kind == "log-probabilities" else "binary"
    if shape == wanted and kind != "log-probabilities":
        raise InputError(
            "task",
            "given: multiclass or multilabel",
            f"{kind} and targets that both have shape {shape}",
            "Are the targets of a row a distribution over classes, or a yes or no for each label?",
        )
    return "multiclass"


_DOMAINS_OF = {
    "logits": ("logit",),
    "probabilities": ("probability", "log-probability"),
    "log-probabilities": ("log-probability", "logit"),
}


def _named(loss: str, kind: str) -> Contract:
    """A loss by its name, if it takes numbers of this kind."""
    losses = [name for name, contract in CONTRACTS.items() if contract.denominator is not None]
    if loss not in losses:
        from difflib import get_close_matches

        near = get_close_matches(loss, losses, n=1)
        hint = f"Did you mean {near[0]}?" if near else "Leave it out to have it chosen."
        raise InputError("loss", f"one of {', '.join(losses)}", repr(loss), hint)
    contract = CONTRACTS[loss]
    domain = contract.argument("input").domains[0]
    # Log-probabilities are logits that need no softmax, but no loss of elements knows them.
    fits = domain.name in _DOMAINS_OF[kind] and (takes_rows(contract) or domain.name != "logit"
                                                 or kind == "logits")  # fmt: skip
    if not fits and not (kind == "probabilities" and takes_class_probabilities(contract)):
        raise InputError(
            "loss", f"one that takes {kind}", f"{loss}, which takes {domain.plural}",
            f"Give {domain.plural}, or leave the loss out to have it chosen.",
        )  # fmt: skip
    return contract


def _task(contract: Contract, values: Array) -> str:
    if takes_rows(contract):
        return "multiclass"
    return "multilabel" if values.ndim == 2 and values.shape[1] > 1 else "binary"


def _read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options that were given, arrays as arrays."""
    read: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        if name in ARRAYS:
            array = read_numbers(value, name).values
            least = -np.inf if name == "logit_adjustment" else 0.0
            if not (np.isfinite(array) & (array >= least)).all():
                bound = "finite numbers" if least else "finite numbers of at least 0"
                raise InputError(name, bound, f"{array.ravel()[:8].tolist()}", "Give 1 for none.")
            read[name] = array
        else:
            read[name] = value.item() if hasattr(value, "item") else value
    return read
