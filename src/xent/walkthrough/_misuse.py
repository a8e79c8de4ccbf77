"""What PyTorch's losses give for numbers that are not for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from xent.walkthrough import _feeds as feeds
from xent.walkthrough._agreement import Misuse
from xent.walkthrough._combinations import Combination
from xent.walkthrough._in_numpy import PLAIN_LOSSES
from xent.walkthrough._inputs import Given
from xent.walkthrough._mistakes import ANOTHER, REFUSED, Mistake, mistakes
from xent.walkthrough._routes import routes

_TARGETS: dict[str, Callable[[Any], Any]] = {
    "target": lambda target: target,
    "target.float()": lambda target: target.float(),
    "target.long()": lambda target: target.long(),
}


def misuses(given: Given) -> Iterator[Misuse]:
    """The losses that are not for these outputs, and those that are not for their activation.

    Nothing with options, where numbers would not compare, and nothing where PyTorch is not
    installed, which the rows say already.
    """
    try:
        import torch
    except ImportError:
        return
    if given.loss not in PLAIN_LOSSES or given.options or given.reduction != "mean":
        return
    if not given.counted.all():
        return
    values = feeds.in_torch(given.values, given.dtype)
    letter = "x" if given.of_rows else "z"
    if given.kind != "logits":
        letter = "p" if given.kind == "probabilities" else "log p"
        layer = {"p": "softmax" if given.of_rows else "sigmoid"}.get(letter, "log_softmax")
        yield from _of_outputs(given, layer, letter, values, (REFUSED, ANOTHER))
        return
    first = list(_of_outputs(given, "none", letter, values, (REFUSED, ANOTHER)))
    yield from first
    if given.of_rows:
        activated, layer = torch.softmax(values, dim=1), "softmax"
    else:
        activated, layer = torch.sigmoid(values), "sigmoid"
    told = {misuse.why for misuse in first}
    for misuse in _of_outputs(given, layer, f"{layer}({letter})", activated, (ANOTHER,)):
        if misuse.why not in told:
            yield misuse


def _of_outputs(
    given: Given, layer: str, letter: str, values: Any, outcomes: tuple[str, ...]
) -> Iterator[Misuse]:
    form = "floats"
    if given.of_rows:
        form = "probabilities" if given.soft else "indices"
    combination = Combination(given.task, layer, form)
    classes = given.values.shape[1] if given.of_rows else 2
    for mistake in mistakes(combination, routes(combination), classes):
        if mistake.loss in PLAIN_LOSSES and mistake.outcome in outcomes:
            yield _made(mistake, given, letter, values)


def _made(mistake: Mistake, given: Given, letter: str, values: Any) -> Misuse:
    from torch.nn import functional

    call = f"F.{mistake.loss}({letter}, y)"
    why = f"It {mistake.why}."
    target = _TARGETS[mistake.target](feeds.target_in_torch(given))
    try:
        value = float(getattr(functional, mistake.loss)(values, target).item())
    except (RuntimeError, ValueError, IndexError) as error:
        reason = " ".join(str(error).split())
        return Misuse(call, None, f"{type(error).__name__}: {reason}", why)
    if mistake.outcome == REFUSED:
        why += " These do, and the number means nothing."
    return Misuse(call, value, "", why)
