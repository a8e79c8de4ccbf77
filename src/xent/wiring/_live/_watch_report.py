"""What a watch of a training loop saw."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from xent._errors import LossWarning
from xent.wiring._finding import NOTE
from xent.wiring._live._loss_calls import Site, site_of_caller
from xent.wiring._live._report import LiveFinding, LiveReport, Right, Unknown, report_of


@dataclass(frozen=True)
class WatchFinding:
    """A fault, and where it was seen first.

    Args:
        finding: the fault.
        path: the file whose code calls the loss; "" for what belongs to no call.
        line: its line, from 1.
        batch: the training batch, counted from 1.
    """

    finding: LiveFinding
    path: str
    line: int
    batch: int

    @property
    def code(self) -> str:
        """Of the rule, such as ``XE101``."""
        return self.finding.code

    @property
    def level(self) -> str:
        """``error``, ``warning`` or ``note``."""
        return self.finding.level

    @property
    def place(self) -> str:
        """Where it was seen, in words."""
        where = f"{Site(self.path, self.line, '')}, " if self.path else ""
        return f"{where}batch {self.batch}"

    def __str__(self) -> str:
        return str(self.finding)


@dataclass(frozen=True)
class WatchReport:
    """The result of ``xent.watch``; true where a loss was seen and no error or warning was found.

    Args:
        subject: what was watched.
        batches: how many batches were trained with while it was.
        calls: how many calls of each loss were looked at.
        findings: the faults, errors first.
        checked: what was found to be right, and why.
        not_checked: what could not be decided, and why.
    """

    subject: str
    batches: int
    calls: Mapping[str, int]
    findings: tuple[WatchFinding, ...]
    checked: tuple[Right, ...]
    not_checked: tuple[Unknown, ...]

    @property
    def faults(self) -> tuple[WatchFinding, ...]:
        """The errors and warnings; notes are left out."""
        return tuple(each for each in self.findings if each.level != NOTE)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of all findings, notes too, each once."""
        return tuple(dict.fromkeys(each.code for each in self.findings))

    def __bool__(self) -> bool:
        return bool(self.calls) and not self.faults

    def to_dict(self) -> dict[str, Any]:
        """The report as plain lists, texts and numbers, for JSON."""
        listed = self._listed().to_dict()
        places = {
            "findings": [
                {**asdict(each.finding), "name": each.finding.name, "path": each.path,
                 "line": each.line, "batch": each.batch}
                for each in self.findings
            ]
        }  # fmt: skip
        return {**listed, "batches": self.batches, "calls": dict(self.calls), **places}

    def __str__(self) -> str:
        return str(self._listed())

    def _listed(self) -> LiveReport:
        calls = ", ".join(f"{count} of {label}" for label, count in self.calls.items())
        batches = "1 batch" if self.batches == 1 else f"{self.batches} batches"
        subject = f"{self.subject}, {batches}, calls: {calls or 'none'}"
        placed = [
            replace(each.finding, evidence=f"{each.finding.evidence} ({each.place})")
            for each in self.findings
        ]
        return report_of(subject, [*placed, *self.checked, *self.not_checked])


@dataclass
class Notes:
    """What is written down for a report while a watch goes on."""

    findings: dict[tuple[str, Site | None], WatchFinding] = field(default_factory=dict)
    checked: dict[Right, None] = field(default_factory=dict)
    not_checked: dict[Unknown, None] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)

    def report(self, subject: str, batches: int) -> WatchReport:
        """The report so far."""
        ordered = report_of("", (each.finding for each in self.findings.values())).findings
        findings = sorted(
            self.findings.values(), key=lambda each: (ordered.index(each.finding), each.line)
        )
        return WatchReport(
            subject,
            batches,
            dict(self.calls),
            tuple(findings),
            tuple(self.checked),
            tuple(self.not_checked),
        )


NO_LOSS = Unknown(
    ("XE1", "XE2", "XE6"),
    "No call of a loss was seen. Call a loss of torch.nn, torch.nn.functional, xent.nn or "
    "xent.functional in the thread that watches, or give output and target to xent.check.",
)
NO_EVALUATION = Unknown(
    ("XE113", "XE301", "XE303"),
    "No call of a loss in evaluation was seen that could be held against those in training.",
)


def warn(text: str, site: Site | None = None, module: dict[str, Any] | None = None) -> None:
    """Warn of a line of the user's code; of the one that runs, if none is given."""
    if site is None or module is None:
        site, module = site_of_caller() if site is None else (site, {})
    registry = module.setdefault("__warningregistry__", {})
    warnings.warn_explicit(text, LossWarning, site.path, site.line, site.module, registry)
