"""Whether anything comes back to the parameters of a model."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn


def any_gradient(models: Iterable[nn.Module], before: bool | None = None) -> bool | None:
    """Whether a parameter has a gradient that isn't 0; None if none has a gradient at all.

    Args:
        models: whose parameters.
        before: what was known before; that something came back stays true.

    >>> model = nn.Linear(2, 1)
    >>> any_gradient([model]) is None
    True
    >>> (0 * model.weight.sum()).backward()
    >>> any_gradient([model])
    False
    """
    if before:
        return True
    known = before
    for model in models:
        for parameter in model.parameters():
            gradient = parameter.grad
            if gradient is None:
                continue
            if gradient.is_sparse or bool(gradient.any()):
                return True
            known = False
    return known
