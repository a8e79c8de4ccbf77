"""Numbers as text: one place for digits, signs, units and what is not there."""

from __future__ import annotations

import math

ABSENT = "–"
MINUS = "\u2212"
# From here on digits behind the point say nothing, and below it a fixed number of them is none.
LARGE, SMALL = 1e4, 1e-4


def fixed(value: float | None, digits: int = 5) -> str:
    """A number with so many digits behind the point; large ones by their exponent.

    >>> fixed(0.6180114), fixed(-0.5, 2), fixed(None), fixed(123456.7)
    ('0.61801', '−0.50', '–', '1.23e5')
    """
    if value is None or math.isnan(value):
        return ABSENT
    if abs(value) >= LARGE:
        return significant(value, 3)
    return f"{value:.{digits}f}".replace("-", MINUS)


def significant(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits.

    >>> significant(0.00034712), significant(4e-16, 1), significant(-12.0), significant(None)
    ('0.000347', '4e−16', '−12', '–')
    """
    if value is None or math.isnan(value):
        return ABSENT
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    text = f"{value:.{digits}g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", MINUS)


def signed(value: float | None, digits: int = 3) -> str:
    """A difference: its sign always stands before it.

    >>> signed(0.0123), signed(-0.5), signed(0.0)
    ('+0.0123', '−0.5', '0')
    """
    text = significant(value, digits)
    return f"+{text}" if value is not None and value > 0 else text


def plus_minus(value: float | None, error: float | None, digits: int = 5) -> str:
    """A mean and its standard error.

    >>> plus_minus(0.618, 0.0002), plus_minus(0.618, None), plus_minus(None, None)
    ('0.61800 ±0.00020', '0.61800', '–')
    """
    shown = fixed(value, digits)
    return shown if error is None or value is None else f"{shown} ±{fixed(error, digits)}"


def p_value(value: float | None) -> str:
    """A probability of a test; below 1e-300 there is nothing to compare.

    >>> p_value(0.0312), p_value(7e-20), p_value(0.0), p_value(None)
    ('0.031', '7e−20', '< 1e−300', '–')
    """
    if value is not None and value < 1e-300:
        return f"< 1e{MINUS}300"
    return significant(value, 2 if value is not None and value >= SMALL else 1)


def seconds(value: float | None) -> str:
    """A time in the unit that suits it.

    >>> seconds(0.00123), seconds(75.0), seconds(4.2e-6)
    ('1.2 ms', '75 s', '4.2 µs')
    """
    if value is None:
        return ABSENT
    scale, unit = time_unit(value)
    scaled = value * scale
    return f"{scaled:.0f} {unit}" if scaled >= 10 else f"{scaled:.2g} {unit}"


def time_unit(value: float) -> tuple[float, str]:
    """What to multiply seconds by, and what they are called then.

    >>> time_unit(0.02)
    (1000.0, 'ms')
    """
    if value < 1e-3:
        return 1e6, "µs"
    return (1e3, "ms") if value < 1 else (1.0, "s")
