"""A run folder read back: ``results.json`` and the arrays of its trials, nothing else."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._errors import InputError
from xent.report._page import build
from xent.report._run import Arrays, Json

# What a report is made of; other arrays of a trial are not read.
NEEDED = ("log_probabilities", "recovered_log_probabilities", "target", "weight", "row_ids")
SCHEMA = re.compile(r"1\.\d+")
# cells/DATA/MODEL/LEARNING-RATE is so far below the folder of its sweep.
MOST_ABOVE = 4
_KEY = re.compile(r"[\w-]+")


def write(folder: str | PathLike[str]) -> Path:
    """Write ``report.html`` into a run folder from what the folder holds.

    Args:
        folder: where ``xent compare --out`` has kept a run.

    Returns:
        The file.

    Raises:
        InputError: no such folder, no results in it, or results of another version.
    """
    place = Path(folder)
    return write_page(place / "report.html", build(read_results(place), arrays_of(place)))


def write_page(path: Path, page: str) -> Path:
    """Write a page whole or not at all.

    Raises:
        InputError: if it can't be written.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(page, encoding="utf-8", newline="\n")
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise InputError(
            "report: file", "one that can be written", f"{str(path)!r} ({reason})",
            "Name another folder.",
        ) from error  # fmt: skip
    return path


def read_results(folder: Path) -> Json:
    """Read and check ``results.json``.

    Raises:
        InputError: in one line, what it lacks.
    """
    path = folder / "results.json"
    found = _why_unreadable(folder, path)
    if found and (folder / "sweep.json").is_file():
        raise InputError(
            "report: RUN", "the folder of one study", f"{str(folder)!r}, which holds a sweep",
            "Name one of the folders below cells/.",
        )  # fmt: skip
    if found:
        raise _not_a_run(found)
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _not_a_run(f"{str(path)!r} ({type(error).__name__}: {error})") from error
    if not isinstance(results, dict) or not any(
        isinstance(results.get(key), dict) for key in ("formulations", "predictions")
    ):
        raise _not_a_run(f"{str(path)!r}, which holds no formulations")
    version = str(results.get("schema_version"))
    if not SCHEMA.fullmatch(version):
        raise InputError(
            "report: results.json", "of schema version 1", f"version {version}",
            "Use the version of xent that wrote it.",
        )  # fmt: skip
    return results


def _why_unreadable(folder: Path, path: Path) -> str:
    if not folder.exists():
        return f"{str(folder)!r}, which is not there"
    if not folder.is_dir():
        return f"{str(folder)!r}, which is a file"
    return "" if path.is_file() else f"{str(folder)!r}, which has no results.json"


def _not_a_run(found: str) -> InputError:
    return InputError(
        "report: RUN", "a folder that xent compare --out has written", found,
        "Run xent compare with --out first.",
    )  # fmt: skip


def arrays_of(folder: Path) -> Arrays:
    """What gives the arrays of a trial by its key; None where they can't be read.

    The studies of a sweep share the trials of the sweep's own folder, above theirs.
    """
    above = (folder, *folder.absolute().parents[:MOST_ABOVE])
    trials = next((each / "trials" for each in above if (each / "trials").is_dir()), folder)

    def read(key: str) -> Mapping[str, NDArray[Any]] | None:
        if not _KEY.fullmatch(key):
            return None
        try:
            # NumPy leaves a file that it opened itself open when the archive is damaged.
            with (trials / f"{key}.npz").open("rb") as file:
                archive = np.load(file, allow_pickle=False)
                return {name: archive[name] for name in NEEDED if name in archive.files}
        except Exception:  # zipfile and NumPy raise a dozen types for a damaged file
            return None

    return read
