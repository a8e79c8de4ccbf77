"""Repairing files: fixes are tried, what they give is checked again, and bad ones are dropped."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xent.wiring._check import Report, options_of
from xent.wiring._finding import Edit, Finding, Fix
from xent.wiring._fixes._edited import Change, Edited, edited_paths, edited_text
from xent.wiring._fixes._edits import EditError, apply_edits
from xent.wiring._flow._interpreter import IN_PART
from xent.wiring._places import Place

# Fixes of one fault after the other, each repairing what the one before has brought.
DEEPEST = 4
# Each step checks the files again that it changes; what is not repaired by then stays.
MOST_CHECKS = 100

Texts = dict[str, bytes]
Spot = tuple[int, int]


@dataclass(frozen=True)
class Fixed:
    """What fixing has come to; nothing is written yet.

    Args:
        report: what is found in the changed files.
        changes: the files that change, in order.
        count: how many findings are gone.
        dropped: findings whose fix would have brought another fault or code that doesn't parse.
    """

    report: Report
    changes: tuple[Change, ...]
    count: int
    dropped: tuple[Finding, ...] = ()


def may_apply(fix: Fix | None, *, unsafe: bool) -> bool:
    """Whether a fix is asked for."""
    return fix is not None and (fix.safe or unsafe)


def fix_paths(
    paths: Sequence[str | Path],
    *,
    select: Sequence[str] = (),
    extend_select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    jobs: int | None = None,
    unsafe: bool = False,
) -> Fixed:
    """Repair what can be repaired of what is shown, in memory.

    Args:
        paths: as of check_paths.
        select: as of check_paths.
        extend_select: as of check_paths.
        ignore: as of check_paths.
        jobs: as of check_paths.
        unsafe: whether fixes that change what the program computes are applied too.

    >>> from tempfile import TemporaryDirectory
    >>> code = "import torch.nn.functional as F\\nloss = F.nll_loss(F.softmax(z, dim=1), y)\\n"
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "train.py").write_text(code)
    ...     fixed = fix_paths([folder], unsafe=True)
    >>> fixed.changes[0].after.decode().splitlines()[1]
    'loss = F.nll_loss(F.log_softmax(z, dim=1), y)'
    """
    edited = edited_paths(paths, options_of(select, extend_select, ignore), jobs)
    return _Fixing(edited, unsafe=unsafe).run()


def fix_text(
    data: bytes,
    name: str = "-",
    *,
    select: Sequence[str] = (),
    extend_select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    unsafe: bool = False,
) -> Fixed:
    """The same for code that is in no file."""
    edited = edited_text(data, name, options_of(select, extend_select, ignore))
    return _Fixing(edited, unsafe=unsafe).run()


@dataclass
class _Fixing:
    """One run: a state of the texts, and what is found in it.

    Args:
        edited: the files.
        unsafe: whether every fix is applied.
    """

    edited: Edited
    unsafe: bool
    texts: Texts = field(default_factory=dict)
    originals: Texts = field(default_factory=dict)
    dropped: dict[object, Finding] = field(default_factory=dict)
    count: int = 0
    checks: int = 0

    def run(self) -> Fixed:
        """Apply fixes until none is left that helps."""
        report = self._check({})
        # It ends: each step leaves fewer findings, or fewer fixes that may be tried.
        while self.checks < MOST_CHECKS and (batch := self._batch(report)):
            report = self._apply(report, batch)
        changes = [
            Change(path, self.originals[path], text)
            for path, text in sorted(self.texts.items())
            if text != self.originals[path]
        ]
        return Fixed(report, tuple(changes), self.count, tuple(self.dropped.values()))

    def _check(self, texts: Texts) -> Report:
        self.checks += 1
        return self.edited.check(texts)

    def _batch(self, report: Report) -> list[list[Finding]]:
        """Fixes that can be applied together, each by the findings that it repairs.

        Those that overlap with one of them wait for the next step.
        """
        chosen: dict[tuple[Edit, ...], list[Finding]] = {}
        taken = _Taken()
        for finding in report.findings:
            fix = finding.fix
            if fix is None or not may_apply(fix, unsafe=self.unsafe):
                continue
            if self._key(finding) in self.dropped:
                continue
            if fix.edits in chosen:
                chosen[fix.edits].append(finding)
            elif taken.add(fix.edits):
                chosen[fix.edits] = [finding]
        return list(chosen.values())

    def _apply(self, report: Report, batch: Sequence[list[Finding]]) -> Report:
        """Apply fixes; of those that can't be applied together the first half, down to one."""
        findings = [finding for group in batch for finding in group]
        state = self._tried(report, batch)
        if state is None and len(batch) > 1:
            return self._apply(report, batch[: len(batch) // 2])
        state = state or self._chain(report, findings)
        if state is None:
            self.dropped |= {self._key(finding): finding for finding in findings}
            return report
        report, self.texts = state
        self.count += len(findings)
        return report

    def _chain(self, report: Report, findings: Sequence[Finding]) -> tuple[Report, Texts] | None:
        """Apply one fix, and then those of what it has brought; None if a fault remains."""
        now, texts, step = report, self.texts, list(findings[:1])
        for _ in range(DEEPEST):
            edited = self._edited(texts, step)
            if edited is None:
                return None
            texts = edited
            now = self._check(texts)
            brought = _brought(report, now, findings)
            if not brought:
                return now, texts
            step = [
                each
                for each in now.everything
                if (each.code, each.place.path) in brought
                and may_apply(each.fix, unsafe=self.unsafe)
            ][:1]
            if not step:
                return None
        return None

    def _tried(self, report: Report, batch: Sequence[list[Finding]]) -> tuple[Report, Texts] | None:
        edited = self._edited(self.texts, [group[0] for group in batch])
        if edited is None:
            return None
        after = self._check(edited)
        fixed = [finding for group in batch for finding in group]
        return None if _brought(report, after, fixed) else (after, edited)

    def _edited(self, texts: Texts, findings: Iterable[Finding]) -> Texts | None:
        """The texts after the fixes of findings; None where an edit can't be made."""
        by_path: dict[str, list[Edit]] = {}
        for finding in findings:
            for edit in finding.fix.edits if finding.fix else ():
                by_path.setdefault(edit.place.path, []).append(edit)
        edited = dict(texts)
        try:
            for path, edits in by_path.items():
                if path not in self.originals:
                    self.originals[path] = self.edited.read(path)
                before = edited.get(path, self.originals[path])
                edited[path] = apply_edits(path, before, edits)
        except EditError:
            return None
        return edited

    def _key(self, finding: Finding) -> object:
        """What stays the same of a finding while other lines change."""
        edits = finding.fix.edits if finding.fix else ()
        lengths = tuple(
            (edit.text, edit.place.end_line - edit.place.line, edit.place.column) for edit in edits
        )
        place = finding.place
        return finding.code, place.path, place.cell, place.column, finding.label, lengths


def _brought(before: Report, after: Report, fixed: Sequence[Finding]) -> set[tuple[str, str]]:
    """Codes and files of findings that should not be there after some were fixed."""
    allowed = Counter((each.code, each.place.path) for each in before.everything)
    allowed.subtract((each.code, each.place.path) for each in fixed)
    found = Counter((each.code, each.place.path) for each in after.everything)
    # Of a file that was too much to read to the end another part is read once it has changed.
    in_part = {path for path, reason in before.problems if reason.startswith(IN_PART)}
    return {key for key, number in found.items() if number > allowed[key] and key[1] not in in_part}


class _Taken:
    """The places of edits that are to be made at once: none may touch another."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, int | None], list[tuple[Spot, Spot]]] = {}

    def add(self, edits: Sequence[Edit]) -> bool:
        """Take the places of edits; False where one of them touches a place that is taken."""
        new = [((e.place.path, e.place.cell), (_start(e.place), _end(e.place))) for e in edits]
        for key, (start, end) in new:
            taken = self._places.setdefault(key, [])
            at = bisect_right(taken, (start, end))
            before = at > 0 and taken[at - 1][1] >= start
            if before or (at < len(taken) and taken[at][0] <= end):
                return False
        for key, place in new:
            insort(self._places[key], place)
        return True


def _start(place: Place) -> Spot:
    return place.line, place.column


def _end(place: Place) -> Spot:
    return place.end_line, place.end_column
