"""Random numbers to verify, where none are given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xent._errors import InputError
from xent.walkthrough._inputs import KINDS, TASKS, Given, read_given
from xent.walkthrough._numbers import DTYPES, to_dtype


def drawn(
    task: str,
    kind: str,
    size: int,
    classes: int,
    seed: int,
    dtype: str | None,
) -> Given:
    """Logits from a standard normal, or probabilities evenly from (0, 1), with random labels.

    Rows of probabilities are divided by their sums. Numbers are rounded to the dtype, float32
    where none is named.

    >>> drawn("multiclass", "logits", 10, 3, 0, None).values.shape
    (10, 3)
    """
    for name, word, known in (("task", task, TASKS), ("kind", kind, KINDS)):
        if word not in known:
            raise InputError(
                f"verify: {name}", f"one of {', '.join(known)}", repr(word), f"Give {known[0]!r}."
            )
    for name, number, least in (("size", size, 1), ("classes", classes, 2)):
        if number < least:
            raise InputError(f"verify: {name}", f"at least {least}", f"{number}", f"Give {least}.")
    generator = np.random.default_rng(seed)
    shape = (size,) if task == "binary" else (size, classes)
    numbers = generator.standard_normal(shape)
    if kind == "probabilities":
        # An open interval: a probability of 0 or 1 is for those who give it.
        numbers = 2.0**-22 + (1 - 2.0**-20) * generator.random(shape)
    if task == "multiclass":
        if kind == "probabilities":
            numbers /= numbers.sum(axis=1, keepdims=True)
        elif kind == "log-probabilities":
            numbers -= np.log(np.exp(numbers).sum(axis=1, keepdims=True))
        target = generator.integers(0, classes, size)
    else:
        target = generator.integers(0, 2, shape)
    chosen = dtype or "float32"
    if chosen not in DTYPES:
        raise InputError("dtype", f"one of {', '.join(DTYPES)}", repr(dtype), "Give float32.")
    given = read_given(
        numbers if kind == "logits" else None,
        numbers if kind == "probabilities" else None,
        numbers if kind == "log-probabilities" else None,
        target,
        task=task,
    )
    # Rounded after the check: in a half type the probabilities of a row need not sum to one.
    values = to_dtype(given.values, chosen)
    return replace(given, values=values, dtype=chosen, source=f"seed {seed}")
