"""What a kernel saw out of range, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from xent._errors import ContractError
from xent._validate._wording import error, place


def out_of_range(
    name: str,
    argument: str,
    position: int,
    value: float,
    *,
    shape: Sequence[int],
    classes: int | None = None,
    ignore_index: int | None = None,
) -> ContractError:
    """The error for a value that a kernel found outside the domain of its argument.

    Args:
        name: the loss.
        argument: "input" or "target".
        position: where it stands in the flattened argument.
        value: what stands there.
        shape: the shape of the argument as the caller gave it.
        classes: the number of classes, where the argument holds class indices.
        ignore_index: the value that marks what is left out, if any.

    Returns:
        What is to be raised.
    """
    number = f"{int(value)}" if classes is not None else f"{value:.9g}"
    or_ignored = "" if ignore_index is None else f" or {ignore_index} (ignore_index)"
    found = number + place(position, tuple(shape))
    fields = {"or_ignored": or_ignored, "value": number, "classes": classes}
    if classes is not None:
        fault = "index-out-of-range"
        situation = "negative" if value < 0 else "one too many" if value == classes else ""
    else:
        fault = "probability-out-of-range" if argument == "input" else "target-out-of-range"
        situation = "nan" if math.isnan(value) else ""
        if argument == "target" and value == -1:
            situation = "minus one"
    return error(name, fault, argument, found, situation, **fields)
