"""Where PyTorch in float32 prints another last digit than the exact value has."""

from __future__ import annotations

import numpy as np

from xent.walkthrough._computed_rows import Rows, single_log_softmax
from xent.walkthrough._explanation import Step
from xent.walkthrough._tables import REAL, formatted, shown_rows

# Numbers of which another rounding is told one by one.
MOST_DIGITS = 3


def single_digits(of: Rows) -> list[Step]:
    """Where float32 prints another last digit than the exact value has."""
    finite = np.isfinite(of.x).all(axis=1) & of.counted
    positions = [row for row in shown_rows(len(of.x)) if finite[row]]
    if not positions:
        return []
    single = single_log_softmax(of.x[positions])
    ours = formatted(of.log_p[positions] + 0.0, REAL)
    theirs = formatted(single + 0.0, REAL)
    differing = [
        (row, place)
        for row, (line, other) in enumerate(zip(ours, theirs, strict=True))
        for place, (text, another) in enumerate(zip(line, other, strict=True))
        if text != another
    ]
    if not differing:
        return []
    digits = [
        f"row {of.names[positions[row]]}, class {place}: {theirs[row][place]} in float32, "
        f"{of.log_p[positions[row], place]:.5e} exactly"
        for row, place in differing[:MOST_DIGITS]
    ]
    more = f" and {len(differing) - len(digits)} more" if len(differing) > len(digits) else ""
    sentence = (
        f"PyTorch in float32 prints another last digit: {'; '.join(digits)}{more}. It takes the "
        f"logarithm of the whole sum, which float32 rounds to a multiple of {2.0**-23:.3g} above "
        "1: that much of a small log-probability is rounding. The logarithm of 1 plus the other "
        "terms, log1p, keeps it."
    )
    return [Step("float32", "Digits that float32 loses", "log(1 + r) against log1p(r)",
                 r"\log(1 + r) \;\mathrm{vs.}\; \mathrm{log1p}(r)", sentence)]  # fmt: skip
