"""Findings as text: for people, for programs and for the pages of code hosts."""

from __future__ import annotations

from collections.abc import Callable

from xent.wiring._check import Report
from xent.wiring._output._full import full
from xent.wiring._output._lines import concise, github
from xent.wiring._output._machine import as_json, gitlab, json_lines, junit, sarif

FORMATS: dict[str, Callable[[Report], str]] = {
    "full": full,
    "concise": concise,
    "json": as_json,
    "json-lines": json_lines,
    "github": github,
    "gitlab": gitlab,
    "sarif": sarif,
    "junit": junit,
}

__all__ = ["FORMATS", "full"]
