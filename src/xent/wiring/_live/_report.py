"""What a check of a batch found, what it looked at, and what it could not see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from xent._text import filled
from xent.wiring._finding import ERROR, LEVELS, NOTE
from xent.wiring._live._rows import Array
from xent.wiring.rules import RULES

WIDTH = 80
_ENGLISH = ("input ", "output ", "target ", "all ", "the ")


@dataclass(frozen=True)
class LiveFinding:
    """One fault that a batch shows.

    Args:
        code: of the rule, such as ``XE101``.
        level: ``error``, ``warning`` or ``note``.
        message: what is wrong.
        repair: what to do.
        evidence: the values, or the operation in ``grad_fn``, that show it.
    """

    code: str
    level: str
    message: str
    repair: str
    evidence: str

    @property
    def name(self) -> str:
        """The name of the rule, such as ``softmax-into-cross-entropy``."""
        return RULES[self.code].name

    def __str__(self) -> str:
        return f"{self.code} {self.name}: {self.message} {self.evidence} {self.repair}"


@dataclass(frozen=True)
class Right:
    """Something that is as it should be, and why.

    Args:
        codes: the rules that were looked for.
        because: what was seen, as a sentence.
    """

    codes: tuple[str, ...]
    because: str


@dataclass(frozen=True)
class Unknown:
    """Something that could not be decided, and why.

    Args:
        codes: the rules that were not decided.
        because: what is missing, as a sentence.
    """

    codes: tuple[str, ...]
    because: str


Outcome = LiveFinding | Right | Unknown


def found(
    code: str, message: str, repair: str, evidence: str, level: str | None = None
) -> LiveFinding:
    """A finding, of the level of its rule where no other is given."""
    level = level or RULES[code].level
    return LiveFinding(code, level, _sentence(message), repair, _sentence(evidence))


def _sentence(text: str) -> str:
    """With a capital, unless it begins with a name from code."""
    return text[0].upper() + text[1:] if text.startswith(_ENGLISH) else text


def range_words(values: Array) -> str:
    """The range of values, or the one that all of them round to.

    >>> import numpy as np
    >>> range_words(np.array([1.0, 1.00001])), range_words(np.array([0.5, 2.0]))
    ('1', '0.5 to 2')
    """
    least, greatest = f"{values.min():.4g}", f"{values.max():.4g}"
    return least if least == greatest else f"{least} to {greatest}"


@dataclass(frozen=True)
class LiveReport:
    """The result of ``xent.check``; true where no error and no warning was found.

    Args:
        subject: the loss and what it was given.
        findings: the faults, errors first.
        checked: what was found to be right, and why.
        not_checked: what could not be decided, and why.

    >>> report = LiveReport("cross_entropy", (), (Right(("XE110",), "There are 3 classes."),), ())
    >>> bool(report), report.codes
    (True, ())
    >>> print(report)
    cross_entropy: nothing wrong found
    <BLANKLINE>
    Right:
      There are 3 classes. [XE110]
    """

    subject: str
    findings: tuple[LiveFinding, ...]
    checked: tuple[Right, ...]
    not_checked: tuple[Unknown, ...]

    @property
    def faults(self) -> tuple[LiveFinding, ...]:
        """The errors and warnings; notes are left out."""
        return tuple(finding for finding in self.findings if finding.level != NOTE)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of all findings, notes too."""
        return tuple(finding.code for finding in self.findings)

    def __bool__(self) -> bool:
        return not self.faults

    def to_dict(self) -> dict[str, Any]:
        """The report as plain lists, texts and numbers, for JSON."""
        return {
            "subject": self.subject,
            "findings": [{**asdict(each), "name": each.name} for each in self.findings],
            "checked": [_listed(each) for each in self.checked],
            "not_checked": [_listed(each) for each in self.not_checked],
        }

    def __str__(self) -> str:
        blocks = [filled(f"{self.subject}: {self._verdict()}", WIDTH)]
        blocks += [_finding_text(finding) for finding in self.findings]
        for title, items in (("Right", self.checked), ("Not known", self.not_checked)):
            lines = [
                filled(f"{each.because} [{', '.join(each.codes)}]", WIDTH, "  ") for each in items
            ]
            if lines:
                blocks.append("\n".join([f"{title}:", *lines]))
        return "\n\n".join(blocks)

    def _verdict(self) -> str:
        counts = [sum(each.level == level for each in self.findings) for level in LEVELS]
        words = [
            f"{count} {level}{'' if count == 1 else 's'}"
            for level, count in zip(LEVELS, counts, strict=True)
            if count
        ]
        return ", ".join(words) or "nothing wrong found"


def report_of(subject: str, outcomes: Iterable[Outcome]) -> LiveReport:
    """Sort what the tests say into a report."""
    all_of_them = list(dict.fromkeys(outcomes))
    findings = [each for each in all_of_them if isinstance(each, LiveFinding)]
    findings.sort(key=lambda each: (LEVELS.index(each.level), each.code))
    return LiveReport(
        subject,
        tuple(findings),
        tuple(each for each in all_of_them if isinstance(each, Right)),
        tuple(each for each in all_of_them if isinstance(each, Unknown)),
    )


def _listed(item: Right | Unknown) -> dict[str, Any]:
    return {"codes": list(item.codes), "because": item.because}


def _finding_text(finding: LiveFinding) -> str:
    mark = finding.level.upper() if finding.level == ERROR else finding.level
    return "\n".join(
        [
            f"{finding.code} {finding.name} ({mark.lower()})",
            filled(finding.message, WIDTH, "  "),
            filled(f"Seen: {finding.evidence}", WIDTH, "  "),
            filled(f"Repair: {finding.repair}", WIDTH, "  "),
        ]
    )
