"""A folder keeps the results of one study: what another one in it replaces is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

# What a rerun may change: the same trials, judged in another way.
_JUDGEMENT = ("question", "margin", "level")


@contextmanager
def replacing(out: Path | None, name: str = "results.json") -> Iterator[None]:
    """Say on standard error whether results of another study in the folder were replaced.

    Args:
        out: the folder, or None.
        name: the document in it that has the results.
    """
    before = None if out is None else _read(out / name)
    try:
        yield
    finally:
        after = None if out is None or before is None else _read(out / name)
        if before is not None and after is not None:
            said = replaced_sentence(before, after, str(out))
            if said:
                click.echo(said, err=True)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def replaced_sentence(before: dict[str, Any], after: dict[str, Any], folder: str) -> str:
    """What was replaced and how it differed; empty where both are of one study.

    >>> old = {"data": {"name": "iris"}, "spec": {"seeds": [0], "margin": 0.1}, "trials": {}}
    >>> replaced_sentence(old, old | {"spec": {"seeds": [0], "margin": 0.2}}, "run")
    ''
    >>> replaced_sentence(old, old | {"spec": {"seeds": [0, 1]}}, "run")
    'Replaced in run: the results of another study, of iris (it differs in seeds). Its trials are
    kept, so that its command brings its results back; name another --out to keep both.'
    """
    ours, theirs = _parts(before), _parts(after)
    differing = [part for part in {**ours, **theirs} if ours.get(part) != theirs.get(part)]
    if not differing:
        return ""
    what = ", ".join(part.replace("_", " ") for part in differing)
    kept = ""
    if "trials" in before:
        kept = "Its trials are kept, so that its command brings its results back; "
    return (
        f"Replaced in {folder}: the results of another study{_of(before)} (it differs in {what}). "
        f"{kept}{'name' if kept else 'Name'} another --out to keep both."
    )


def _parts(document: dict[str, Any]) -> dict[str, Any]:
    """What makes a study the same one, by the names of the options."""
    spec = document.get("spec") or {}
    parts = {name: value for name, value in spec.items() if name not in _JUDGEMENT}
    data = document.get("data") or {}
    known = {key: data[key] for key in ("rows", "classes", "fingerprint") if key in data}
    parts["data"] = [parts.get("data"), known]
    if "predictions" in document:
        parts["predictions"] = list(document["predictions"])
    return parts


def _of(document: dict[str, Any]) -> str:
    data = document.get("data") or {}
    names = data.get("name") or ", ".join((document.get("spec") or {}).get("data") or ())
    return f", of {names}" if names else ""
