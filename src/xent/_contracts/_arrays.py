"""Arithmetic on arrays of any namespace, for the definitions of the losses."""

from __future__ import annotations

from typing import Any

Array = Any
Namespace = Any


def product(xp: Namespace, factor: Array, term: Array) -> Array:
    """Multiply, where a factor of zero drops the term: 0 * inf is 0."""
    return factor * xp.where(factor == 0, 0.0, term)
