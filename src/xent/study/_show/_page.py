"""The report of a comparison that is in memory."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from xent.report import build
from xent.study._comparison import Comparison


def report_page(comparison: Comparison, results: dict[str, object] | None = None) -> str:
    """The report as one HTML page.

    Args:
        comparison: what is reported.
        results: its ``to_dict()``, where that is at hand.
    """
    return build(comparison.to_dict() if results is None else results, _arrays(comparison).get)


def _arrays(comparison: Comparison) -> dict[str, dict[str, NDArray[Any]]]:
    """What ``trials/KEY.npz`` keeps of the test rows, by key."""
    datasets = comparison.splits or (comparison.dataset,)
    arrays: dict[str, dict[str, NDArray[Any]]] = {}
    for result in comparison.formulations:
        for trial in result.trials:
            test = datasets[trial.split].test
            arrays[trial.key] = {
                "log_probabilities": trial.log_probabilities,
                "target": test.target,
                "row_ids": test.row_ids,
            }
            if test.weight is not None:
                arrays[trial.key]["weight"] = test.weight
            if trial.recovered_log_probabilities is not None:
                arrays[trial.key]["recovered_log_probabilities"] = trial.recovered_log_probabilities
    return arrays
