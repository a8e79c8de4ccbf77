"""The folder of a run: what is kept so that later comparisons need no retraining.

``trials/<key>.npz`` holds a trial's parameters and the log-probabilities of its test rows, without
pickle; ``results.json`` everything else; ``learning-curves.svg`` the curves.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from xent._errors import InputError
from xent.study._comparison import Comparison
from xent.study._dataset import Dataset
from xent.study._evaluation import Trial


@dataclass(frozen=True)
class RunFolder:
    """Where a run is kept. It is made with its first file, so that a run that fails leaves none.

    Every file appears whole or not at all.
    """

    path: Path

    @classmethod
    def plan(cls, path: Path) -> RunFolder:
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
        return cls(path)

    def write_trial(self, trial: Trial, dataset: Dataset) -> None:
        """Keep one trial: parameters, test log-probabilities, row ids and target."""
        arrays: dict[str, NDArray[Any]] = {
            f"parameter/{name}": array for name, array in trial.parameters.items()
        }
        arrays |= {
            "log_probabilities": trial.log_probabilities,
            "row_ids": dataset.test.row_ids,
            "target": dataset.test.target,
            "split": np.asarray("test"),
            "train_curve": trial.train_curve,
            "validation_curve": trial.validation_curve,
        }
        if dataset.test.weight is not None:
            arrays["weight"] = dataset.test.weight
        if trial.recovered_log_probabilities is not None:
            arrays["recovered_log_probabilities"] = trial.recovered_log_probabilities
        self._write(f"trials/{trial.key}.npz", lambda file: _save(file, arrays))

    def write_results(self, comparison: Comparison) -> None:
        """Keep ``results.json`` and the learning curves."""
        from xent.study._curves import draw_curves

        text = json.dumps(comparison.to_dict(), indent=1, allow_nan=False) + "\n"
        curves = draw_curves(comparison)
        self._write("learning-curves.svg", lambda file: file.write(curves.encode()))
        self._write("results.json", lambda file: file.write(text.encode()))

    def _write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        target = self.path / name
        unfinished = target.with_name(f"{target.name}.part")
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


def _save(file: BinaryIO, arrays: dict[str, NDArray[Any]]) -> None:
    assert all(array.dtype != object for array in arrays.values()), "objects would be pickled"
    np.savez(file, **arrays)  # type: ignore[arg-type]  # an array could be called allow_pickle


def _unusable(path: Path, reason: str) -> InputError:
    return InputError(
        "compare: --out",
        "a folder that can be written to",
        f"{str(path)!r} ({reason})",
        "Name another folder.",
    )
