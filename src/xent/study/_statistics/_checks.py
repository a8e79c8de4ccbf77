"""What the arrays of a test must look like."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xent._errors import InputError
from xent._links import Array


def check_values(values: ArrayLike, subject: str, shape: tuple[str, ...]) -> Array:
    """Return finite float64 values of as many axes as ``shape`` names, none of them empty."""
    array = np.asarray(values, dtype=np.float64)
    required = f"of shape ({', '.join(shape)}{',' if len(shape) == 1 else ''})"
    if array.ndim != len(shape) or not array.size:
        raise InputError(
            subject, required, f"shape {array.shape}", f"Give at least one of the {shape[-1]}."
        )
    if not np.isfinite(array).all():
        place = np.unravel_index(int(np.argmin(np.isfinite(array))), array.shape)
        raise InputError(
            subject,
            "finite",
            f"{array[place]} at {[int(index) for index in place]}",
            "A mean of infinite differences has no standard error: leave them out, or say so.",
        )
    return array


def check_weights(weights: ArrayLike | None, rows: int, subject: str) -> Array:
    """Return float64 weights ``(rows,)``, at least one above 0; ones where there are none."""
    if weights is None:
        return np.ones(rows)
    array = np.asarray(weights, dtype=np.float64)
    usable = array.shape == (rows,) and bool((array >= 0).all() and np.isfinite(array).all())
    if not usable or not array.any():
        found = (
            f"shape {array.shape}"
            if array.shape != (rows,)
            else f"{array.min():g} to {array.max():g}"
        )
        raise InputError(
            f"{subject}: weights",
            f"of shape ({rows},), finite, at least 0 and not all 0",
            found,
            "Give one weight for each row; 0 leaves a row out.",
        )
    return array


def check_groups(groups: ArrayLike | None, rows: int, subject: str) -> NDArray[np.int64] | None:
    """Return cluster numbers ``(rows,)`` from 0 without gaps; None stays None."""
    if groups is None:
        return None
    array: NDArray[Any] = np.asarray(groups)
    if array.shape != (rows,):
        raise InputError(
            f"{subject}: groups",
            f"of shape ({rows},)",
            f"shape {array.shape}",
            "Give one group for each row.",
        )
    return np.unique(array, return_inverse=True)[1].astype(np.int64)
