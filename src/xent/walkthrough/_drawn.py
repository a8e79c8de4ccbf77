"""Random numbers to verify, where none are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from xent._contracts import CONTRACTS
from xent._errors import InputError
from xent.walkthrough._checks import takes_rows
from xent.walkthrough._inputs import KINDS, TASKS, Given, read_given
from xent.walkthrough._numbers import DTYPES, to_dtype

# More takes the loops of the definitions minutes, and then the memory.
MOST_NUMBERS = 10_000_000
_KIND_OF_DOMAIN = {
    "probability": "probabilities",
    "class probability": "probabilities",
    "log-probability": "log-probabilities",
}


def tasks_of(loss: str) -> tuple[str, ...]:
    """The tasks whose numbers a loss takes as they are drawn; all for a name that there isn't.

    >>> tasks_of("nll_loss"), tasks_of("sigmoid_focal_loss")
    (('multiclass',), ('binary', 'multilabel'))
    """
    contract = CONTRACTS.get(loss)
    if contract is None:
        return TASKS
    if takes_rows(contract):
        return ("multiclass",)
    return tuple(task for task in TASKS if task != "multiclass" and task in contract.tasks)


def drawn(
    task: str | None,
    kind: str | None,
    size: int,
    classes: int,
    seed: int,
    dtype: str | None,
    loss: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Given:
    """Logits from a standard normal, or probabilities evenly from (0, 1), with random labels.

    Rows of probabilities are divided by their sums. Numbers are rounded to the dtype, float32
    where none is named. Task and kind follow from the loss where they are None.

    >>> drawn("multiclass", "logits", 10, 3, 0, None).values.shape
    (10, 3)
    """
    fitting = TASKS if loss is None else tasks_of(loss)
    task, kind = task or fitting[0], kind or _kind_of(loss)
    for name, word, known in (("task", task, fitting), ("kind", kind, KINDS)):
        if word not in known:
            raise InputError(
                f"verify: {name}",
                f"one of {', '.join(known)}" if len(known) > 1 else repr(known[0]),
                repr(word),
                f"Give {known[0]!r}.",
            )
    _check_sizes(task, size, classes, seed)
    chosen = str(dtype or "float32").removeprefix("torch.")
    if chosen not in DTYPES:
        raise InputError("dtype", f"one of {', '.join(DTYPES)}", repr(dtype), "Give float32.")
    numbers, target = _numbers(task, kind, size, classes, seed)
    given = read_given(
        numbers if kind == "logits" else None,
        numbers if kind == "probabilities" else None,
        numbers if kind == "log-probabilities" else None,
        target,
        task=task,
        loss=loss,
        **(options or {}),
    )
    # Rounded after the check: in a half type the probabilities of a row need not sum to one.
    values = to_dtype(given.values, chosen)
    return replace(given, values=values, dtype=chosen, source=f"seed {seed}")


def _kind_of(loss: str | None) -> str:
    contract = None if loss is None else CONTRACTS.get(loss)
    if contract is None:
        return KINDS[0]
    return _KIND_OF_DOMAIN.get(contract.argument("input").domains[0].name, KINDS[0])


def _check_sizes(task: str, size: int, classes: int, seed: int) -> None:
    for name, number, least in (("size", size, 1), ("classes", classes, 2), ("seed", seed, 0)):
        if isinstance(number, bool) or not isinstance(number, int | np.integer):
            raise InputError(
                f"verify: {name}", "a whole number", repr(number), f"Give {least}, or more."
            )
        if number < least:
            raise InputError(f"verify: {name}", f"at least {least}", f"{number}", f"Give {least}.")
    columns = 1 if task == "binary" else classes
    if size * columns > MOST_NUMBERS:
        name, most = ("size", MOST_NUMBERS // columns)
        if not most:
            name, most, size = "classes", MOST_NUMBERS, classes
        raise InputError(
            f"verify: {name}",
            f"at most {most:,}, for {MOST_NUMBERS:,} numbers are drawn at most",
            f"{size:,}",
            f"Give {min(most, 1000)}.",
        )


def _numbers(
    task: str, kind: str, size: int, classes: int, seed: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    generator = np.random.default_rng(seed)
    shape = (size,) if task == "binary" else (size, classes)
    numbers = generator.standard_normal(shape)
    if kind == "probabilities":
        # An open interval: a probability of 0 or 1 is for those who give it.
        numbers = 2.0**-22 + (1 - 2.0**-20) * generator.random(shape)
    if task != "multiclass":
        return numbers, generator.integers(0, 2, shape)
    if kind == "probabilities":
        numbers /= numbers.sum(axis=1, keepdims=True)
    elif kind == "log-probabilities":
        numbers -= np.log(np.exp(numbers).sum(axis=1, keepdims=True))
    return numbers, generator.integers(0, classes, size)
