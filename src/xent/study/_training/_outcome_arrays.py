"""What training gave, as named arrays and back: enough to evaluate a trial without training it.

Floats keep all their bits, so that a trial evaluated again has the numbers it had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xent._links import Array
from xent.study._runs._tasks import Outcome, TaskResult
from xent.study._training._stacks import Timings

Arrays = dict[str, NDArray[Any]]

_PARAMETER, _OUTPUTS, _SECONDS = "parameter/", "outputs/", "seconds/"
_NEVER = -1


def outcome_arrays(outcome: Outcome) -> Arrays:
    """The arrays of one outcome: parameters, outputs of modules, curves and closing numbers."""
    arrays: Arrays = {_PARAMETER + name: array for name, array in outcome.parameters.items()}
    arrays |= {_OUTPUTS + name: _shortest(array) for name, array in (outcome.outputs or {}).items()}
    return arrays | {
        "seed": np.asarray(outcome.seed),
        "objective": np.asarray(outcome.objective),
        "gradient_norm": np.asarray(outcome.gradient_norm),
        "diverged_at": np.asarray(_NEVER if outcome.diverged_at is None else outcome.diverged_at),
        "train_curve": outcome.train_curve,
        "validation_curve": outcome.validation_curve,
    }


def timing_arrays(timings: Timings) -> Arrays:
    """The seconds of one task; the first of the trials that trained together keeps them."""
    return {_SECONDS + name: np.asarray(value) for name, value in vars(timings).items()}


def task_result(kept: Sequence[Mapping[str, NDArray[Any]]]) -> TaskResult:
    """What a task gave, from the arrays of its trials in the order of their seeds.

    Raises:
        KeyError: an array is missing.
    """
    first = kept[0]
    timings = Timings(
        step=first[_SECONDS + "step"].tolist(),
        data=first[_SECONDS + "data"].tolist(),
        evaluation=first[_SECONDS + "evaluation"].tolist(),
        fit=float(first[_SECONDS + "fit"]),
    )
    return TaskResult(tuple(map(_outcome, kept)), timings)


def _outcome(arrays: Mapping[str, NDArray[Any]]) -> Outcome:
    outputs = {name: array.astype(np.float64) for name, array in _named(arrays, _OUTPUTS).items()}
    diverged_at = int(arrays["diverged_at"])
    return Outcome(
        seed=int(arrays["seed"]),
        parameters=_named(arrays, _PARAMETER),
        outputs=outputs or None,
        objective=float(arrays["objective"]),
        gradient_norm=float(arrays["gradient_norm"]),
        train_curve=arrays["train_curve"],
        validation_curve=arrays["validation_curve"],
        diverged_at=None if diverged_at == _NEVER else diverged_at,
    )


def _named(arrays: Mapping[str, NDArray[Any]], prefix: str) -> Arrays:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _shortest(outputs: Array) -> NDArray[Any]:
    """As float32 where that loses nothing, as with modules that compute in it: half the file."""
    with np.errstate(over="ignore", under="ignore"):
        short = outputs.astype(np.float32)
    return short if np.array_equal(short, outputs, equal_nan=True) else outputs
