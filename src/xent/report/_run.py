"""The results of a run as the sections read them: what may be missing is None or empty.

A run may have been interrupted, have one seed or one formulation, or consist of predictions that
were made elsewhere, so nothing but the names of the formulations is taken for granted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Json = Mapping[str, Any]
Arrays = Callable[[str], Mapping[str, NDArray[Any]] | None]


@dataclass(frozen=True, eq=False)
class Run:
    """A run.

    Args:
        results: what ``results.json`` holds.
        arrays: the arrays of the trial with that key, or None where they are not to be had.
    """

    results: Json
    arrays: Arrays

    @property
    def names(self) -> list[str]:
        """The formulations, in the order asked for."""
        return list(self.results["formulations"])

    def formulation(self, name: str) -> Json:
        """Everything about one formulation."""
        found: Json = self.results["formulations"][name]
        return found

    @property
    def data(self) -> Json:
        """Name, rows, features, classes."""
        return self.results.get("data") or {}

    @property
    def pairs(self) -> list[Json]:
        """The compared pairs of formulations."""
        return list(self.results.get("pairs") or ())

    @property
    def margin(self) -> float | None:
        """The margin of equivalence in nats."""
        return (self.results.get("margin") or {}).get("value")

    def spec(self, part: str) -> Json:
        """One part of what was asked for: data, model or training."""
        return (self.results.get("spec") or {}).get(part) or {}

    @property
    def elsewhere(self) -> bool:
        """Whether the predictions were made elsewhere: nothing was trained here."""
        return bool(self.results.get("elsewhere"))

    @property
    def thing(self) -> str:
        """What is compared."""
        return "model" if self.elsewhere else "formulation"

    @property
    def missing(self) -> list[str]:
        """The formulations that were asked for and have no result yet."""
        asked = (self.results.get("spec") or {}).get("formulations") or ()
        return [name for name in asked if name not in self.results["formulations"]]

    @property
    def unfinished(self) -> bool:
        """Whether trials are yet to come."""
        trials = self.results.get("trials") or {}
        done, planned = trials.get("finished"), trials.get("planned")
        return done is not None and planned is not None and done < planned

    @property
    def converged(self) -> bool:
        """Whether Newton's method took the place of epochs."""
        return bool(self.spec("training").get("converge"))

    def trials(self, name: str) -> list[Json]:
        """All trials of a formulation that are there, diverged ones too."""
        return list(self.formulation(name).get("trials") or ())

    def finished(self, name: str) -> list[Json]:
        """The trials of a formulation that finished."""
        return [trial for trial in self.trials(name) if trial.get("status") == "finished"]

    def recovered(self, name: str) -> bool:
        """Whether probabilities are recovered from what the loss did to them."""
        return bool(self.formulation(name).get("recovered"))


def best(trial: Json) -> Json | None:
    """The scores that compare with other formulations': recovered where there are any."""
    return trial.get("recovered") or trial.get("test")


def unit(trial: Json) -> tuple[Any, ...]:
    """What pairs trials of different formulations: their seed and, of several, their split."""
    return (trial.get("split"), trial.get("seed"))


def unit_names(units: Sequence[tuple[Any, ...]]) -> list[str]:
    """Such units in words.

    >>> unit_names([(0, 3), (0, 4)]), unit_names([(0, 3), (1, 4)])
    (['3', '4'], ['3, split 0', '4, split 1'])
    """
    several = len({split for split, _ in units}) > 1
    return [f"{seed}, split {split}" if several else f"{seed}" for split, seed in units]


def average(values: Sequence[float]) -> float | None:
    """The mean, None of nothing."""
    return sum(values) / len(values) if values else None


def no_arrays(key: str) -> None:
    """The arrays of trials that have none."""


def of_predictions(results: Json) -> Json:
    """The results of a comparison of predictions in the form of a study's: one trial for each."""
    rows = results["data"]["rows"]
    data = {**results["data"], "name": _title(list(results["predictions"])), "rows": {"test": rows}}
    formulations = {name: _of_one(name, own) for name, own in results["predictions"].items()}
    left = {key: value for key, value in results.items() if key != "predictions"}
    return {**left, "elsewhere": True, "data": data, "formulations": formulations}


def _title(names: list[str]) -> str:
    """What such a comparison is called.

    >>> _title(["a", "b"]), _title(["a", "b", "c", "d"])
    ('a and b', 'a, b and 2 more')
    """
    if len(names) <= 3:
        return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return f"{', '.join(names[:2])} and {len(names) - 2} more"


def _of_one(name: str, own: Json) -> Json:
    scores = own["scores"]
    fit = scores["recalibration"]
    means = {
        **{metric: scores[metric] for metric in ("log_loss", "brier", "accuracy", "auc", "ece")},
        "ece_noise_floor": scores["ece_noise_floor"],
        "slope": fit["slope"],
        "slope_se": fit["slope_se"],
    }
    trial = {"key": name, "status": "finished", "seed": None, "test": scores}
    return {
        "over_seeds": {metric: {"mean": mean, "se": None} for metric, mean in means.items()},
        "trials": [trial],
        **{key: value for key, value in own.items() if key != "scores"},
    }
