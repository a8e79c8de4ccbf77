"""A mean difference with its standard error: interval, test of no difference, equivalence test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Source:
    """One source of variation, and what it adds to the variance of a mean difference.

    Args:
        unit: what is replicated: ``rows``, ``clusters``, ``seeds`` or ``splits``.
        count: how many of them there are.
        variance: what it adds to the variance of the mean.
        degrees: degrees of freedom of that estimate.
        lasting: the part of ``variance`` that more units would not take away.
    """

    unit: str
    count: int
    variance: float
    degrees: float
    lasting: float = 0.0

    def with_count(self, count: int) -> Source:
        """What the source would add with another number of units of the same spread."""
        shrinking = (self.variance - self.lasting) * self.count / count
        degrees = (self.degrees + 1.0) * count / self.count - 1.0
        return replace(self, count=count, variance=self.lasting + shrinking, degrees=degrees)


@dataclass(frozen=True)
class Difference:
    """A mean difference and what is known about its error, by Student's t.

    A standard error of 0 (no variation at all) leaves nothing to chance: the interval is the mean
    itself and every p-value is 0 or 1. An infinite one (a single row, seed or split, which says
    nothing about variation) leaves everything open: the interval is the whole line and every
    p-value is 1. No result is NaN.

    Args:
        mean: the mean difference.
        standard_error: of the mean.
        degrees: degrees of freedom of Student's t; need not be whole.
        design: the test in words, with its degrees of freedom.
        sources: what the variance is made of, ``standard_error**2 == sum(s.variance)``.

    >>> difference = Difference(0.2, 0.1, 10.0, "an example")
    >>> round(difference.p_value, 4), round(difference.equivalence_p(0.5), 4)
    (0.0734, 0.0067)
    """

    mean: float
    standard_error: float
    degrees: float
    design: str
    sources: tuple[Source, ...] = ()

    @classmethod
    def of_sources(cls, mean: float, sources: Sequence[Source], design: str) -> Difference:
        """A mean whose variance is the sum of independent sources, with Satterthwaite's degrees.

        Args:
            mean: the mean difference.
            sources: at least one.
            design: in words; ``{degrees}`` stands for the degrees of freedom.
        """
        variance = sum(source.variance for source in sources)
        degrees = satterthwaite(sources)
        written = f"{degrees:,.0f}" if degrees == round(degrees) else f"{degrees:,.1f}"
        design = design.format(degrees=f"{written} degrees of freedom")
        return cls(mean, math.sqrt(variance), degrees, design, tuple(sources))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The confidence interval of that level: mean ± t · standard error."""
        if not math.isfinite(self.standard_error):
            return (-math.inf, math.inf)
        half = critical(0.5 + level / 2.0, self.degrees) * self.standard_error
        return (self.mean - half, self.mean + half)

    @property
    def p_value(self) -> float:
        """Two-sided p-value of the hypothesis that the mean difference is 0."""
        return min(1.0, 2.0 * self._lower_tail(-abs(self.mean)))

    def equivalence_p(self, margin: float) -> float:
        """p-value of TOST: of the hypothesis that the difference is ``margin`` or more either way.

        The larger of the two one-sided p-values (Schuirmann 1987; Lakens 2017). It is below α
        exactly where the interval of level 1 - 2 α lies within ±margin.
        """
        return max(self._lower_tail(self.mean - margin), self._lower_tail(-self.mean - margin))

    def _lower_tail(self, distance: float) -> float:
        """P(T ≤ distance / standard error); a distance of exactly 0 without error counts as 1."""
        if not math.isfinite(self.standard_error):
            return 1.0
        if self.standard_error == 0.0:
            return 0.0 if distance < 0.0 else 1.0
        from scipy.special import stdtr

        return float(stdtr(self.degrees, distance / self.standard_error))


def critical(probability: float, degrees: float) -> float:
    """The quantile of Student's t.

    >>> round(critical(0.975, 10.0), 4)
    2.2281
    """
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))


def satterthwaite(sources: Sequence[Source]) -> float:
    """Degrees of freedom of a sum of variances: (Σ v)² / Σ (v² / degrees) (Satterthwaite 1946).

    Without any variance, or where one source's is unknown, the fewest degrees of all.
    """
    variance = sum(source.variance for source in sources)
    if not 0.0 < variance < math.inf:
        return min(source.degrees for source in sources)
    shares = ((source.variance / variance) ** 2 / source.degrees for source in sources)
    return 1.0 / sum(shares)
