"""Sums that do not depend on the order of their terms, and the means made from them.

A float64 is a 53-bit integer times a power of two. Integers that share an exponent are added in
float64 without rounding as long as their sum stays below 2**53; a Python integer then collects the
few thousand possible exponents. Nothing is ever rounded before :attr:`ExactSum.value`, so a score
is the same to the last bit however the rows were split among chunks, processes or machines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# frexp gives exponents from -1073 (the smallest subnormal) to 1024, and a mantissa of 53 bits.
_LEAST_EXPONENT = -1073
_MANTISSA_BITS = 53
_LOW_BITS = 26
_UNIT_BITS = _MANTISSA_BITS - _LEAST_EXPONENT
_UNIT = 1 << _UNIT_BITS
# The high halves lie below 2**27: this many of them still sum to less than 2**53.
_LARGEST_CHUNK = 2**26


@dataclass(frozen=True)
class ExactSum:
    """Exact sum of float64 numbers: mergeable, and independent of order and partition.

    Args:
        numerator: sum of the finite terms in units of 2**-1126.
        positive_infinities: number of terms that are plus infinity.
        negative_infinities: number of terms that are minus infinity.
        not_numbers: number of terms that are NaN.

    >>> ExactSum.of(np.array([1e100, 1.0, -1e100])).value
    1.0
    """

    numerator: int = 0
    positive_infinities: int = 0
    negative_infinities: int = 0
    not_numbers: int = 0

    @classmethod
    def of(cls, values: Array) -> ExactSum:
        """Sum a 1-D float64 array."""
        total = cls()
        for start in range(0, len(values), _LARGEST_CHUNK):
            total = total + cls._of_chunk(values[start : start + _LARGEST_CHUNK])
        return total

    @classmethod
    def of_count(cls, count: int) -> ExactSum:
        """Return a whole number as a sum.

        >>> ExactSum.of_count(3).value
        3.0
        """
        return cls(count * _UNIT)

    @classmethod
    def _of_chunk(cls, values: Array) -> ExactSum:
        finite = np.isfinite(values)
        if finite.all():
            return cls(_sum_in_units(values))
        return cls(
            _sum_in_units(values[finite]),
            int(np.count_nonzero(values == np.inf)),
            int(np.count_nonzero(values == -np.inf)),
            int(np.count_nonzero(np.isnan(values))),
        )

    def __add__(self, other: ExactSum) -> ExactSum:
        return ExactSum(
            self.numerator + other.numerator,
            self.positive_infinities + other.positive_infinities,
            self.negative_infinities + other.negative_infinities,
            self.not_numbers + other.not_numbers,
        )

    @property
    def is_finite(self) -> bool:
        """Whether every term was finite."""
        return not (self.positive_infinities or self.negative_infinities or self.not_numbers)

    @property
    def fraction(self) -> Fraction:
        """The sum of the finite terms as an exact fraction."""
        return Fraction(self.numerator, _UNIT)

    @property
    def value(self) -> float:
        """The correctly rounded sum; infinite or NaN as IEEE arithmetic would have it."""
        if self.not_numbers or (self.positive_infinities and self.negative_infinities):
            return math.nan
        if self.positive_infinities or self.negative_infinities:
            return math.inf if self.positive_infinities else -math.inf
        return nearest_float(self.numerator, _UNIT)


def nearest_float(numerator: int, denominator: int) -> float:
    """Correctly rounded quotient of two integers; NaN over zero, infinite beyond float64.

    >>> nearest_float(1, 3), nearest_float(-(10**400), 1), nearest_float(0, 0)
    (0.3333333333333333, -inf, nan)
    """
    if not denominator:
        return math.nan
    try:
        return numerator / denominator
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf


def inner_product(left: Array, right: Array) -> float:
    """Sum of products, in float64 on one thread.

    BLAS would split this over threads, which costs ten times the sum on a busy machine.

    >>> inner_product(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    11.0
    """
    return float(np.einsum("i,i", left, right))


def _sum_in_units(values: Array) -> int:
    mantissa, exponent = np.frexp(values)
    scaled = mantissa * 2.0 ** (_MANTISSA_BITS - _LOW_BITS)
    high = np.floor(scaled)
    low = (scaled - high) * 2.0**_LOW_BITS
    shift = np.asarray(exponent - _LEAST_EXPONENT, dtype=np.intp)
    high_sums = np.bincount(shift, weights=high)
    low_sums = np.bincount(shift, weights=low)
    total = 0
    for bits in np.flatnonzero((high_sums != 0) | (low_sums != 0)).tolist():
        total += ((int(high_sums[bits]) << _LOW_BITS) + int(low_sums[bits])) << bits
    return total


@dataclass(frozen=True)
class WeightedMean:
    """Exact sums from which a weighted mean and its standard error follow.

    Args:
        rows: rows of positive weight.
        weight: Σ w.
        squared_weight: Σ w².
        first: Σ w x.
        first_squared_weight: Σ w² x.
        second: Σ w² x².

    >>> mean = WeightedMean.of(np.array([1.0, 2.0, 3.0]), None)
    >>> mean.value, round(mean.standard_error, 4)
    (2.0, 0.5774)
    """

    rows: int
    weight: ExactSum
    squared_weight: ExactSum
    first: ExactSum
    first_squared_weight: ExactSum
    second: ExactSum

    @classmethod
    def of(cls, values: Array, weight: Array | None) -> WeightedMean:
        """Sum values ``(rows,)`` with weights ``(rows,)``; a row of weight 0 counts for nothing."""
        if weight is None:
            count = ExactSum.of_count(len(values))
            first = ExactSum.of(values)
            return cls(len(values), count, count, first, first, ExactSum.of(values * values))
        counted = weight > 0.0
        if not counted.all():
            values, weight = values[counted], weight[counted]
        weighted = weight * values
        return cls(
            len(values),
            ExactSum.of(weight),
            ExactSum.of(weight * weight),
            ExactSum.of(weighted),
            ExactSum.of(weight * weighted),
            ExactSum.of(weighted * weighted),
        )

    def __add__(self, other: WeightedMean) -> WeightedMean:
        return WeightedMean(
            self.rows + other.rows,
            self.weight + other.weight,
            self.squared_weight + other.squared_weight,
            self.first + other.first,
            self.first_squared_weight + other.first_squared_weight,
            self.second + other.second,
        )

    @property
    def effective_rows(self) -> float:
        """Kish's effective number of rows, (Σ w)² / Σ w²; the number of rows without weights."""
        if not self.squared_weight.numerator:
            return 0.0
        return float(self.weight.fraction**2 / self.squared_weight.fraction)

    @property
    def value(self) -> float:
        """Σ w x / Σ w, correctly rounded; NaN without rows, infinite with an infinite value."""
        if not self.first.is_finite:
            return self.first.value
        return nearest_float(self.first.numerator, self.weight.numerator)

    @property
    def standard_error(self) -> float | None:
        """Standard error of the weighted mean m, None where it isn't defined.

        The square root of n / (n - 1) · Σ w² (x - m)² / (Σ w)², the linearised variance of a
        ratio. Equal weights give s / √n. Undefined with fewer than two rows, or where a value is
        infinite.
        """
        if self.rows < 2 or not (self.first.is_finite and self.second.is_finite):
            return None
        weight = self.weight.fraction
        mean = self.first.fraction / weight
        squares = (
            self.second.fraction
            - 2 * mean * self.first_squared_weight.fraction
            + mean**2 * self.squared_weight.fraction
        )
        variance = squares / weight**2 * Fraction(self.rows, self.rows - 1)
        return math.sqrt(max(0.0, float(variance)))
