"""What the trials of a run folder are called: by formulation and seed, not by their keys."""

from __future__ import annotations

import json
from pathlib import Path


def trial_name(path: Path) -> str | None:
    """The name of ``RUN/trials/KEY.npz``; None of any other file."""
    ledger = path.absolute().parent.parent / "trials.jsonl"
    if path.absolute().parent.name != "trials" or path.suffix != ".npz":
        return None
    try:
        lines = ledger.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("key") == path.stem and "formulation" in entry:
            split = entry.get("split")
            of = "" if split is None else f" split {split}"
            return f"{entry['formulation']} seed {entry.get('seed')}{of}"
    return None
