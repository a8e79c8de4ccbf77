"""The folder of a run: what is kept so that later comparisons need no retraining.

``trials/<key>.npz`` holds what training a trial gave and the log-probabilities of its test rows,
without pickle; ``trials.jsonl`` names the trials that are finished; ``results.json`` holds
everything else; ``report.html`` shows it.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import numpy as np

from xent._errors import InputError
from xent.study._comparison import Comparison
from xent.study._data._dataset import Dataset
from xent.study._evaluation._trial import Trial
from xent.study._runs._claims import claim
from xent.study._runs._ledger import NAME, Ledger
from xent.study._runs._tasks import TaskResult
from xent.study._training._outcome_arrays import Arrays, outcome_arrays, task_result, timing_arrays

# What a process that was killed left unfinished is swept up after this many seconds; a file that
# is still being written is younger.
ABANDONED = 3600.0
UNFINISHED = re.compile(r".+\.[0-9a-f]{12}\.part")


@dataclass(frozen=True)
class RunFolder:
    """Where a run is kept. It is made with its first file, so that a run that fails leaves none.

    Every file but the ledger appears whole or not at all. A trial whose line is in the ledger and
    whose arrays can be read is finished.

    Args:
        path: the folder of the results.
        store: the folder of the ledger and the trials where several runs share one; the trials of
            this run's results are linked into ``path``, so that it stands by itself.
    """

    path: Path
    store: Path | None = None

    @property
    def kept_in(self) -> Path:
        """The folder of the ledger and the trials."""
        return self.path if self.store is None else self.store

    @property
    def ledger(self) -> Ledger:
        """The lines of the finished trials."""
        return Ledger(self.kept_in / NAME)

    @classmethod
    def plan(cls, path: Path, store: Path | None = None) -> RunFolder:
        """Check that the folder can be made and written to, without making it.

        Raises:
            InputError: if it can't.
        """
        try:
            there = next(each for each in (path, *path.absolute().parents) if each.exists())
        except OSError as error:
            raise _unusable(path, error.strerror or str(error)) from error
        if not there.is_dir():
            raise _unusable(path, f"{str(there)!r} is a file")
        if not os.access(there, os.W_OK | os.X_OK):
            raise _unusable(path, f"no permission to write in {str(there)!r}")
        return cls(path, store)

    def finished(self) -> set[str]:
        """The keys in the ledger; sweeps up what killed processes left.

        Raises:
            InputError: if the ledger can't be read.
        """
        self._sweep_up()
        try:
            return set(self.ledger.read())
        except OSError as error:
            raise _unusable(self.path, error.strerror or str(error)) from error

    def finished_after(self, place: int) -> tuple[set[str], int]:
        """The keys in the ledger after so many bytes, whoever added them, and where it ends.

        Raises:
            InputError: if the ledger can't be read.
        """
        try:
            return self.ledger.keys_after(place)
        except OSError as error:
            raise _unusable(self.path, error.strerror or str(error)) from error

    def claim(self, key: str, *, wait: bool = False) -> AbstractContextManager[bool]:
        """Keep other processes from training the task whose first trial has this key."""
        return claim(self.kept_in, key, wait=wait)

    def kept(
        self, keys: Sequence[str], seeds: Sequence[int], finished: Collection[str]
    ) -> TaskResult | None:
        """What the task with these trials gave, or None unless all of them are finished.

        Args:
            keys: of the trials that trained together.
            seeds: theirs.
            finished: keys in the ledger.
        """
        if not all(key in finished for key in keys):
            return None
        try:
            result = task_result([self._read(key) for key in keys])
        except Exception:  # zipfile and NumPy raise a dozen types for a damaged file
            return None
        return result if [outcome.seed for outcome in result.outcomes] == [*seeds] else None

    def _read(self, key: str) -> Arrays:
        # NumPy leaves a file it opened itself open when the archive is damaged.
        with (self.kept_in / "trials" / f"{key}.npz").open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            return {name: archive[name] for name in archive.files}

    def write_task(self, result: TaskResult, trials: Sequence[Trial], dataset: Dataset) -> None:
        """Keep the trials of a task: the arrays of each, then all their lines at once.

        Raises:
            InputError: if they can't be written.
        """
        arrays = [
            outcome_arrays(outcome) | _test_arrays(trial, dataset)
            for outcome, trial in zip(result.outcomes, trials, strict=True)
        ]
        arrays[0] |= timing_arrays(result.timings)
        for trial, named in zip(trials, arrays, strict=True):
            self._write(self.kept_in, f"trials/{trial.key}.npz", partial(_save, arrays=named))
        try:
            self.ledger.append([_line(trial) for trial in trials])
        except OSError as error:
            raise _unusable(self.path, error.strerror or str(error)) from error

    def write_results(self, comparison: Comparison) -> None:
        """Keep ``results.json``, then the report, which can be made of it again."""
        from xent.study._show._page import report_page

        self._link_trials(comparison)
        results = comparison.to_dict()
        self.write_document("results.json", results)
        self.write_page("report.html", report_page(comparison, results))

    def write_document(self, name: str, document: dict[str, object]) -> None:
        """Keep a document as JSON.

        Raises:
            InputError: if it can't be written.
        """
        text = json.dumps(document, indent=1, allow_nan=False) + "\n"
        self._write(self.path, name, partial(_put, content=text.encode()))

    def write_page(self, name: str, page: str) -> None:
        """Keep a page.

        Raises:
            InputError: if it can't be written.
        """
        self._write(self.path, name, partial(_put, content=page.encode()))

    def _sweep_up(self) -> None:
        folders = {self.path, self.kept_in, self.kept_in / "trials"}
        for unfinished in (part for folder in folders for part in folder.glob("*.part")):
            with suppress(OSError):
                ours = UNFINISHED.fullmatch(unfinished.name)
                if ours and time.time() - unfinished.stat().st_mtime > ABANDONED:
                    unfinished.unlink()

    def _link_trials(self, comparison: Comparison) -> None:
        if self.store is None:
            return
        for trial in (trial for result in comparison.formulations for trial in result.trials):
            name = f"trials/{trial.key}.npz"
            kept, own = self.store / name, self.path / name
            if own.exists() and own.samefile(kept):
                continue
            try:
                own.parent.mkdir(parents=True, exist_ok=True)
                own.unlink(missing_ok=True)
                own.hardlink_to(kept)
            except OSError:  # a file system without links
                self._write(self.path, name, partial(_put, content=kept.read_bytes()))

    def _write(self, folder: Path, name: str, write: Callable[[BinaryIO], object]) -> None:
        target = folder / name
        # Of this writer alone: another process may be at the same file.
        unfinished = target.with_name(f"{target.name}.{uuid4().hex[:12]}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                write(file)
            unfinished.replace(target)
        except OSError as error:
            raise _unusable(self.path, error.strerror or str(error)) from error
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)


def _test_arrays(trial: Trial, dataset: Dataset) -> Arrays:
    """What scoring a trial again needs: its test rows' log-probabilities, ids, target, weights."""
    arrays: Arrays = {
        "log_probabilities": trial.log_probabilities,
        "row_ids": dataset.test.row_ids,
        "target": dataset.test.target,
        "split": np.asarray("test"),
    }
    if dataset.test.weight is not None:
        arrays["weight"] = dataset.test.weight
    if trial.recovered_log_probabilities is not None:
        arrays["recovered_log_probabilities"] = trial.recovered_log_probabilities
    return arrays


def _line(trial: Trial) -> dict[str, object]:
    loss = None if trial.best is None else trial.best.log_loss
    return {
        "key": trial.key,
        "formulation": trial.formulation,
        "seed": trial.seed,
        "status": trial.status,
        "test_log_loss": loss if loss is not None and np.isfinite(loss) else None,
    }


def _put(file: BinaryIO, content: bytes) -> None:
    file.write(content)


def _save(file: BinaryIO, arrays: Arrays) -> None:
    assert all(array.dtype != object for array in arrays.values()), "objects would be pickled"
    np.savez(file, **arrays)  # type: ignore[arg-type]  # an array could be called allow_pickle


def _unusable(path: Path, reason: str) -> InputError:
    return InputError(
        "compare: --out",
        "a folder that can be written to",
        f"{str(path)!r} ({reason})",
        "Name another folder.",
    )
