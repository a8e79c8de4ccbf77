"""What a comparison of two formulations found: one frozen record a pair, and the margin used."""

from __future__ import annotations

from dataclasses import dataclass

FITTED, PROCEDURE = "fitted", "procedure"
QUESTIONS = (FITTED, PROCEDURE)


@dataclass(frozen=True)
class Margin:
    """The largest difference of log loss that does not matter.

    Args:
        value: in nats; None where there is none, and no claim of equivalence can be made.
        words: where it comes from and what it means, one sentence.
        source: ``given``, ``skill`` or ``none``.
    """

    value: float | None
    words: str
    source: str


@dataclass(frozen=True)
class Check:
    """A second look at a pair by another test or metric; the verdict does not rest on it.

    Args:
        name: which.
        value: the difference, minuend minus subtrahend; None where there is none.
        low: lower end of its interval, or None.
        high: upper end, or None.
        p_value: of no difference, or None.
        words: what it is, for a reader who doesn't know the name.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    p_value: float | None
    words: str


@dataclass(frozen=True)
class Pair:
    """Two formulations compared by their log loss on the same test rows.

    Numbers are None where they aren't defined (an infinite log loss, no seed that finished, no
    margin); ``sentence`` says why then.

    Args:
        minuend: the later formulation.
        subtrahend: the earlier one; differences are minuend minus subtrahend.
        metric: ``log_loss``, in nats.
        question: ``fitted`` or ``procedure``.
        design: the test in words, with its degrees of freedom.
        difference: mean difference; above 0 the minuend is worse.
        standard_error: of it.
        degrees: degrees of freedom of Student's t.
        level: confidence level.
        interval: at that level.
        p_difference: of the hypothesis of no difference.
        p_holm: the same, adjusted by Holm over all pairs; the verdict goes by it.
        margin: the largest difference that does not matter, in nats.
        p_equivalence: of the hypothesis of a difference of the margin or more (TOST).
        verdict: one of the five.
        needed: how many units of one kind would decide an inconclusive pair; None where more of
            one kind alone would not, and the sentence says whether more of all would.
        needed_unit: ``rows``, ``clusters``, ``seeds`` or ``splits``.
        largest_probability_gap: largest absolute difference of a predicted probability.
        checks: other tests and metrics.
        sentence: the finding in one sentence.
    """

    minuend: str
    subtrahend: str
    metric: str
    question: str
    design: str
    difference: float | None
    standard_error: float | None
    degrees: float | None
    level: float
    interval: tuple[float | None, float | None]
    p_difference: float | None
    p_holm: float | None
    margin: float | None
    p_equivalence: float | None
    verdict: str
    needed: int | None
    needed_unit: str | None
    largest_probability_gap: float | None
    checks: tuple[Check, ...]
    sentence: str

    @property
    def name(self) -> str:
        """Both names as a difference: ``ce2 - bce``."""
        return f"{self.minuend} - {self.subtrahend}"
