"""The exact value of a loss: its definition in the contract table, run on numbers of 240 bits.

The definitions run on any array namespace. Here that is NumPy's arrays of mpmath numbers, so a new
row of the table has an exact value as soon as it has a definition.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from xent.walkthrough._numbers import BITS, LOWEST_EXPONENT

if TYPE_CHECKING:
    import mpmath

    from xent.walkthrough._given import Given

PRECISION = 240


class _ExactNamespace:
    """What a definition needs of an array namespace, for NumPy arrays of mpmath numbers."""

    where = staticmethod(np.where)
    sum = staticmethod(np.sum)
    abs = staticmethod(np.abs)
    argmax = staticmethod(np.argmax)
    arange = staticmethod(np.arange)
    moveaxis = staticmethod(np.moveaxis)
    ones_like = staticmethod(np.ones_like)
    zeros_like = staticmethod(np.zeros_like)

    def __getattr__(self, name: str) -> Callable[[Any], Any]:
        """A function of one number, such as exp or log1p, from mpmath."""
        import mpmath

        function: Callable[[Any], Any] = np.frompyfunc(getattr(mpmath, name), 1, 1)
        return function


def exact_rows(given: Given, shift: tuple[int, float] | None = None) -> list[mpmath.mpf]:
    """The loss of each row or element, in the order of the flattened input; 0 where ignored.

    The numbers keep their 240 bits; arithmetic on them outside of ``mpmath.workprec`` does not.

    Args:
        given: the numbers.
        shift: a column of the input and what is added to it, exactly; of elements the column is 0.

    >>> from xent.walkthrough._inputs import read_given
    >>> [str(x)[:12] for x in exact_rows(read_given(logits="-1000 0", targets="0 1"))]
    ['5.0759588975', '0.6931471805']
    """
    import mpmath

    with mpmath.workprec(PRECISION):
        arguments = _exact_arguments(given, shift)
        losses = given.contract.definition(_ExactNamespace(), **arguments)
        return [mpmath.mpf(loss) for loss in np.asarray(losses, dtype=object).ravel()]


def exact_loss(given: Given) -> mpmath.mpf:
    """The reduced loss; for the reduction "none" it is the mean.

    >>> from xent.walkthrough._inputs import read_given
    >>> str(exact_loss(read_given(logits="-0.1 2 3 0.5", targets="0 1 1 0")))[:14]
    '0.448497251717'
    """
    import mpmath

    with mpmath.workprec(PRECISION):
        total = mpmath.fsum(exact_rows(given))
        if given.reduction == "sum":
            return total
        return _quotient(total, exact_denominator(given), given)


def exact_denominator(given: Given) -> mpmath.mpf:
    """What the mean divides by."""
    import mpmath

    with mpmath.workprec(PRECISION):
        if given.options.get("normalizer") is not None:
            return mpmath.mpf(given.options["normalizer"])
        denominator = given.contract.denominator
        if denominator is None:
            return mpmath.mpf(1)
        counted = denominator(_ExactNamespace(), **_exact_arguments(given))
        return mpmath.mpf(np.asarray(counted, dtype=object).item())


def _quotient(total: mpmath.mpf, count: mpmath.mpf, given: Given) -> mpmath.mpf:
    import mpmath

    if count:
        return total / count
    if given.options.get("all_ignored") == "zero":
        return mpmath.mpf(0)
    return mpmath.mpf("nan") if not total else mpmath.mpf("inf")


def _exact_arguments(given: Given, shift: tuple[int, float] | None = None) -> dict[str, Any]:
    """The arguments of the definition, every float as an mpmath number."""
    import mpmath

    def number(value: Any) -> Any:
        with np.errstate(invalid="ignore"):  # of a NaN in a row that is never read
            return np.frompyfunc(mpmath.mpf, 1, 1)(value)

    def exact(value: Any) -> Any:
        if isinstance(value, float):
            return mpmath.mpf(value)
        if isinstance(value, np.ndarray) and value.dtype == np.float64:
            return np.asarray(number(value), dtype=object)
        return value

    arguments = {name: exact(value) for name, value in given.arguments().items()}
    values = exact(given.values)
    if shift is not None:
        column, step = shift
        by_row = values.reshape(len(given.values), -1)
        by_row[:, column] = by_row[:, column] + mpmath.mpf(step)
    if given.through_logarithm:
        values = np.frompyfunc(mpmath.log, 1, 1)(values)
    return {**arguments, "input": values}


def ulps(value: float, exact: mpmath.mpf, dtype: str) -> float:
    """How far a value lies from the exact one, in units of the last place of a dtype there.

    Infinite where one of them is infinite and the other isn't, NaN where the value is no number.

    >>> import mpmath
    >>> ulps(1.0 + 2**-23, mpmath.mpf(1), "float32"), ulps(1.0, mpmath.mpf(1), "float64")
    (1.0, 0.0)
    """
    import mpmath

    if math.isnan(value) or mpmath.isnan(exact):
        return 0.0 if math.isnan(value) and mpmath.isnan(exact) else math.nan
    if math.isinf(value) or mpmath.isinf(exact):
        return 0.0 if value == exact else math.inf
    with mpmath.workprec(PRECISION):
        distance = abs(mpmath.mpf(value) - exact)
        _, exponent = mpmath.frexp(exact)
        smallest = LOWEST_EXPONENT[dtype] + 1
        exponent = max(int(exponent), smallest) if exact else smallest
        return float(mpmath.ldexp(distance, BITS[dtype] - exponent))


def digits(exact: mpmath.mpf, count: int = 25) -> str:
    """An exact number to so many significant digits.

    >>> import mpmath
    >>> digits(mpmath.mpf(1) / 3, 5), digits(mpmath.mpf(1000)), digits(mpmath.exp(-1000), 3)
    ('0.33333', '1000', '5.08e-435')
    """
    import mpmath

    with mpmath.workprec(PRECISION):
        return str(mpmath.nstr(exact, count)).removesuffix(".0").removeprefix("+")
