"""The folder of a run: what is kept so that later comparisons need no retraining.

``trials/<key>.npz`` holds a trial's parameters and the log-probabilities of its test rows, without
pickle; ``results.json`` everything else; ``learning-curves.svg`` the curves.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._errors import InputError
from xent.study._comparison import Comparison
from xent.study._dataset import Dataset
from xent.study._evaluation import Trial


@dataclass(frozen=True)
class RunFolder:
    """An existing folder that results are written to; every file appears whole or not at all."""

    path: Path

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Make the folder if need be.

        Raises:
            InputError: if it can't be made or written to.
        """
        try:
            (path / "trials").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                "--out",
                "a folder that can be written to",
                f"{str(path)!r} ({error.strerror})",
                "Name another folder.",
            ) from error
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
        target = self.path / "trials" / f"{trial.key}.npz"
        unfinished = target.with_suffix(".npz.part")
        with unfinished.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        unfinished.replace(target)

    def write_results(self, comparison: Comparison) -> None:
        """Keep ``results.json`` and the learning curves."""
        from xent.study._curves import draw_curves

        self._write("results.json", json.dumps(comparison.to_dict(), indent=1, allow_nan=False))
        self._write("learning-curves.svg", draw_curves(comparison))

    def _write(self, name: str, text: str) -> None:
        unfinished = self.path / f"{name}.part"
        unfinished.write_text(text + "\n", encoding="utf-8")
        unfinished.replace(self.path / name)
