"""Findings for programs: JSON, SARIF 2.1.0, GitLab's Code Quality and JUnit."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import xent
from xent._text import printable
from xent.wiring._check import Report
from xent.wiring._finding import Finding, Fix, Related
from xent.wiring._output._lines import where
from xent.wiring._places import Place
from xent.wiring._rule import CALLED
from xent.wiring.rules import RULES


def entry(finding: Finding) -> dict[str, Any]:
    """A finding as an object."""
    place = finding.place
    return {
        "path": place.path,
        "cell": place.cell,
        "line": place.line,
        "column": place.column,
        "code": finding.code,
        "name": finding.name,
        "level": finding.level,
        "message": finding.message,
        "related": [
            {"path": item.place.path, "cell": item.place.cell, "line": item.place.line}
            for item in finding.related
        ],
        "fix": None if finding.fix is None else _fix_entry(finding.fix),
    }


def _fix_entry(fix: Fix) -> dict[str, Any]:
    edits = [
        {
            "path": edit.place.path,
            "cell": edit.place.cell,
            "line": edit.place.line,
            "column": edit.place.column,
            "end_line": edit.place.end_line,
            "end_column": edit.place.end_column,
            "text": edit.text,
        }
        for edit in fix.edits
    ]
    return {"title": fix.title, "safe": fix.safe, "edits": edits}


def as_json(report: Report) -> str:
    """A list of objects."""
    return json.dumps([entry(finding) for finding in report.findings], indent=2) + "\n"


def json_lines(report: Report) -> str:
    """One object a line."""
    return "".join(f"{json.dumps(entry(finding))}\n" for finding in report.findings)


def sarif(report: Report) -> str:
    """SARIF 2.1.0; the way from activation to loss is a code flow."""
    rules = list(RULES.values())
    index = {rule.code: number for number, rule in enumerate(rules)}
    driver = {
        "name": "xent",
        "version": xent.__version__,
        "rules": [
            {
                "id": rule.code,
                "name": rule.name,
                "shortDescription": {"text": rule.what},
                "fullDescription": {"text": rule.why},
                "defaultConfiguration": {"level": rule.level},
            }
            for rule in rules
        ],
    }
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, index[finding.code]) for finding in report.findings],
            }
        ],
    }
    return json.dumps(log, indent=2) + "\n"


def _result(finding: Finding, index: int) -> dict[str, Any]:
    result = {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": finding.level,
        "message": {"text": finding.message},
        "locations": [_location(finding.place)],
        "partialFingerprints": {"xentFinding/v1": _fingerprint(finding)},
    }
    if finding.related:
        result["relatedLocations"] = [
            {"id": number, **_location(item.place), "message": {"text": item.words}}
            for number, item in enumerate(finding.related, start=1)
        ]
        result["codeFlows"] = [{"threadFlows": [{"locations": _flow(finding)}]}]
    # Lines of a cell are no lines of the file, which is all that SARIF knows.
    if finding.fix is not None and all(edit.place.cell is None for edit in finding.fix.edits):
        result["fixes"] = [_fix(finding.fix)]
    return result


def _fix(fix: Fix) -> dict[str, Any]:
    changes: dict[str, list[dict[str, Any]]] = {}
    for edit in fix.edits:
        replacement = {
            "deletedRegion": _region(edit.place),
            "insertedContent": {"text": edit.text},
        }
        changes.setdefault(_uri(edit.place.path), []).append(replacement)
    return {
        "description": {"text": fix.title},
        "artifactChanges": [
            {"artifactLocation": {"uri": path}, "replacements": replacements}
            for path, replacements in changes.items()
        ],
    }


def _flow(finding: Finding) -> list[dict[str, Any]]:
    ends: Sequence[Related] = [finding.related[0], Related(finding.place, finding.label)]
    return [
        {"location": {**_location(item.place), "message": {"text": item.words}}} for item in ends
    ]


def _location(place: Place) -> dict[str, Any]:
    region = _region(place)
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": {"uri": _uri(place.path)}, "region": region}
    }
    if place.cell is not None:
        location["logicalLocations"] = [{"name": f"cell {place.cell}", "kind": "module"}]
    return location


def _posix(path: str) -> str:
    """A path as code hosts know it: from the folder of the repository, where the command runs."""
    name = PurePath(path)
    here = Path.cwd()
    return (name.relative_to(here) if name.is_relative_to(here) else name).as_posix()


def _uri(path: str) -> str:
    """A path as part of an address: letters that have a meaning there are written in numbers."""
    from urllib.parse import quote

    name = _posix(path)
    try:
        return quote(name.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return quote(name.encode("utf-8", "surrogatepass"))


def _region(place: Place) -> dict[str, int]:
    return {
        "startLine": place.line, "startColumn": place.column,
        "endLine": place.end_line, "endColumn": place.end_column,
    }  # fmt: skip


def _fingerprint(finding: Finding) -> str:
    """The same while the code moves up and down in its file."""
    ends = [finding.label, *(item.words for item in finding.related[:1] if item.words != CALLED)]
    return _digest([finding.code, _posix(finding.place.path), *ends])


def _digest(words: Sequence[str]) -> str:
    text = "\0".join(words)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


_GITLAB = {"error": "major", "warning": "minor", "note": "info"}


def gitlab(report: Report) -> str:
    """Code Quality of GitLab, which shows what a merge request adds and takes away."""
    seen: Counter[str] = Counter()
    entries = []
    for finding in report.findings:
        place = finding.place
        fingerprint = _fingerprint(finding)
        seen[fingerprint] += 1
        if seen[fingerprint] > 1:  # they have to be unique
            fingerprint = _digest([fingerprint, str(seen[fingerprint])])
        cell = "" if place.cell is None else f"cell {place.cell}:{place.line}:{place.column}: "
        entries.append(
            {
                "description": f"{finding.code}: {cell}{finding.message}",
                "check_name": finding.name,
                "fingerprint": fingerprint,
                "severity": _GITLAB[finding.level],
                "location": {
                    "path": _posix(place.path),
                    "lines": {"begin": place.line, "end": place.end_line},
                },
            }
        )
    return json.dumps(entries, indent=2) + "\n"


def junit(report: Report) -> str:
    """A failed test for each finding; one that passes if there is none."""
    from xml.sax.saxutils import escape, quoteattr  # loads urllib: a tenth of starting up

    cases = []
    for finding in report.findings:
        name = quoteattr(f"{where(finding.place)} {finding.code}")
        kind = quoteattr(finding.name)
        text = escape(printable(finding.message))
        cases.append(
            f'    <testcase classname="xent.check" name={name}>\n'
            f"      <failure type={kind} message={quoteattr(printable(finding.message))}>{text}"
            "</failure>\n    </testcase>\n"
        )
    if not cases:
        cases = ['    <testcase classname="xent.check" name="all files"/>\n']
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<testsuites>\n'
        f'  <testsuite name="xent check" tests="{len(cases)}" failures="{len(report.findings)}">\n'
        f"{''.join(cases)}  </testsuite>\n</testsuites>\n"
    )
