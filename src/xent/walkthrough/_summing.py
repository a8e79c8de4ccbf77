"""What adding up many numbers does in a dtype that is too short for it."""

from __future__ import annotations

import math

import numpy as np

from xent.walkthrough._inputs import Given
from xent.walkthrough._numbers import BITS, LOWEST_EXPONENT


def overflow_of_sum(value: float, mean: float, given: Given, dtype: str) -> str:
    """Why a value is 0, infinite or NaN: the sum of the losses or their count is beyond the dtype.

    Args:
        value: what came out.
        mean: the loss that is right.
        given: the numbers.
        dtype: that of the arithmetic.
    """
    if math.isfinite(value) and value != 0:
        return ""
    largest = float(np.ldexp(2.0 - 2.0 ** (1 - BITS[dtype]), -LOWEST_EXPONENT[dtype] + 1))
    count = int(np.count_nonzero(given.counted))
    if given.reduction == "sum":
        return f"The sum overflows {dtype}" if abs(mean) > largest else ""
    if count > largest:
        return f"The count, {count:,}, overflows {dtype}, whose largest number is {largest:,.0f}"
    if not math.isfinite(value) and abs(mean) * count > largest:
        return f"The sum before the division overflows {dtype}"
    return ""


def rounding_of_sum(value: float, mean: float, given: Given, dtype: str) -> str:
    """Why a value is off that was added up term by term, as far as that explains it."""
    count = int(np.count_nonzero(given.counted))
    # Each addition may cost half a unit of the sum.
    worst = count * 2.0 ** -BITS[dtype]
    if not math.isfinite(value) or abs(value - mean) > min(1.0, worst) * abs(mean):
        return ""
    if worst > 1 and abs(value) < abs(mean):
        return (
            f"Adding {count:,} terms one by one in {dtype}, additions stop counting: a term is "
            "less than half a unit of the sum so far"
        )
    return f"Each of {count:,} additions one by one is rounded to {dtype}"
