"""What every implementation of one loss gives on the same numbers, as data."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from xent.walkthrough._explanation import plain
from xent.walkthrough._implementations import Skipped
from xent.walkthrough._judgement import AGREES, DISAGREES
from xent.walkthrough._numbers import to_dtype

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Row:
    """What one implementation gave.

    Args:
        library: whose it is.
        name: what it is called there.
        takes: what it was given, with shapes and dtypes of input and target.
        value: the loss.
        ulp: how far that is from the exact loss, in units of the last place of the numbers' dtype;
            NaN of NaN.
        seconds: the time of a call, without the conversion of its input; None if not measured.
        verdict: ``"agrees"``, ``"loses digits"``, ``"does not hold"`` or ``"disagrees"``.
        why: why it doesn't agree, in one sentence.
    """

    library: str
    name: str
    takes: str
    value: float
    ulp: float
    seconds: float | None
    verdict: str
    why: str


@dataclass(frozen=True)
class Equality:
    """Two calls that must give the same number.

    Args:
        library: whose they are.
        left: one call, in letters.
        left_takes: shapes and dtypes of its input and target.
        left_value: what it gave.
        right: the other call.
        right_takes: likewise.
        right_value: likewise.
        to_the_bit: whether they must be the very same number, rather than the same up to rounding.
        ulp: the distance, in units of the last place.
        verdict: ``"agrees"`` where that is no more than it may be; ``"loses digits"`` where a side
            was given rounded probabilities and ``"does not hold"`` where a number is beyond what it
            is written for; or ``"disagrees"``.
        why: why not; empty where they agree.
    """

    library: str
    left: str
    left_takes: str
    left_value: float
    right: str
    right_takes: str
    right_value: float
    to_the_bit: bool
    ulp: float
    verdict: str
    why: str


@dataclass(frozen=True)
class Misuse:
    """A call with numbers that are not for it.

    Args:
        call: the call, in letters.
        value: what it gave; None where it was refused.
        error: the error that PyTorch raised; empty where a number came out.
        why: what is wrong, in one sentence.
    """

    call: str
    value: float | None
    error: str
    why: str


@dataclass(frozen=True)
class Agreement:
    """Every implementation of one loss on the same numbers. Printed, it is a table.

    Args:
        loss: the name of the loss in ``xent.functional``.
        given: what the numbers are, in one sentence.
        dtype: the dtype that they have.
        size: how many numbers there are.
        numbers: the first of them.
        probabilities: the probabilities that they stand for, rounded to their dtype.
        target_size: how many targets there are.
        targets: the first of them.
        exact: the exact loss to 25 digits.
        rounded: the exact loss rounded to the dtype.
        rows: what each implementation gave.
        equalities: pairs of calls that must give the same number.
        misuses: what the losses give that are not for these numbers.
        skipped: what was left out, and why.
    """

    loss: str
    given: str
    dtype: str
    size: int
    numbers: tuple[float, ...]
    probabilities: tuple[float, ...]
    target_size: int
    targets: tuple[float, ...]
    exact: str
    rounded: float
    rows: tuple[Row, ...]
    equalities: tuple[Equality, ...]
    misuses: tuple[Misuse, ...]
    skipped: tuple[Skipped, ...]

    @property
    def ok(self) -> bool:
        """Whether all that must agree does."""
        verdicts = [row.verdict for row in self.rows]
        verdicts += [equality.verdict for equality in self.equalities]
        return DISAGREES not in verdicts

    @property
    def note(self) -> str:
        """Why values that agree are not the number nearest to the exact one; empty if all are."""
        right = {row.value for row in self.rows if row.verdict == AGREES}
        beside = sorted(value for value in right if value != self.rounded)
        values = [repr(value) for value in beside if _is_of(value, self.dtype)]
        if not values:
            return ""
        others = f", and {len(values) - 3} more," if len(values) > 3 else ""
        verb = "is" if len(values) == 1 else "are"
        return (
            f"{', '.join(values[:3])}{others} {verb} not the {self.dtype} nearest to the exact "
            f"loss, {self.rounded!r}: on the way to it the loss of each row, their sum and the "
            "quotient are rounded, too. An ulp is the distance from one such number to the next."
        )

    def row(self, library: str, name: str) -> Row:
        """The row of that name, as in ``row("PyTorch", "F.cross_entropy")``.

        Raises:
            KeyError: there is none.
        """
        for row in self.rows:
            if (row.library, row.name) == (library, name):
                return row
        listed = ", ".join(f"{row.library}: {row.name}" for row in self.rows)
        raise KeyError(f"{library}: {name}; the rows are {listed}")

    @property
    def takes(self) -> dict[str, list[str]]:
        """From what is given (with shapes and dtypes of input and target) to who takes it."""
        found: dict[str, list[str]] = {}
        for row in self.rows:
            found.setdefault(row.takes, []).append(f"{row.library}: {row.name}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """As what JSON can hold: every number, and "inf", "-inf" and "nan" as words."""
        found: dict[str, Any] = _plain({"ok": self.ok, **asdict(self)})
        return found

    def to_json(self) -> str:
        """As JSON."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def to_markdown(self) -> str:
        """As Markdown."""
        from xent.walkthrough._render_agreement import markdown

        return markdown(self)

    def show(self, console: Console | None = None) -> None:
        """Print it on a terminal; None is standard output."""
        from xent.walkthrough._render_agreement import show

        show(self, console)

    def __str__(self) -> str:
        from xent.walkthrough._render_agreement import plain_text

        return plain_text(self)

    def __repr__(self) -> str:
        return f"<Agreement on {self.loss}: {len(self.rows)} values, ok={self.ok}>"

    def _repr_markdown_(self) -> str:
        return self.to_markdown()


def _is_of(value: float, dtype: str) -> bool:
    """Whether a dtype holds the number."""
    return bool(to_dtype(np.array([value]), dtype)[0] == value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return plain(value)
