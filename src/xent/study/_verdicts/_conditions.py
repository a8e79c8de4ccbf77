"""Under which conditions the verdicts hold: how long steps are, and whether training converged."""

from __future__ import annotations

from collections.abc import Iterable

from xent._errors import InputError
from xent.study._comparison import Comparison
from xent.study._evaluation._trial import CONVERGED
from xent.study._training._protocol import match


def conditions(comparison: Comparison) -> list[str]:
    """Sentences that belong beside the verdicts, on the terminal and in the report."""
    return [*_step_sentence(comparison), *_distance_sentences(comparison)]


def _step_sentence(comparison: Comparison) -> Iterable[str]:
    """Which formulations take longer steps in log-odds at the same learning rate."""
    training, classes = comparison.spec.training, len(comparison.dataset.class_names)
    if training.protocol == "matched" or training.converge or classes > 2:
        return
    factors: dict[float, list[str]] = {}
    for result in comparison.formulations:
        try:
            rate = match(result.formulation, classes, training.optimizer).learning_rate
        except InputError:
            continue
        if rate != 1.0:
            factors.setdefault(1 / rate, []).append(result.name)
    for factor, names in factors.items():
        yield (
            f"As written, a step of {training.optimizer} is {factor:g} times as long in log-odds "
            f"for {', '.join(names)} as for one logit; --protocol matched evens that out."
        )


def _distance_sentences(comparison: Comparison) -> Iterable[str]:
    """How far each formulation is from the maximum likelihood estimate."""
    distances = {r.name: r.distance for r in comparison.formulations if r.distance is not None}
    norms = {
        result.name: max(trial.gradient_norm for trial in result.trials)
        for result in comparison.formulations
        if result.distance is None and result.status == "finished"
    }
    if norms:
        listed = ", ".join(f"{name} {value:.2g}" for name, value in norms.items())
        yield f"Largest norm of the objective's gradient at the end (0 at an optimum): {listed}."
    if not distances:
        return
    listed = ", ".join(f"{name} {value:.2g}" for name, value in distances.items())
    worst = max(distances.values())
    training = comparison.spec.training
    if worst > CONVERGED:
        yield (
            f"{training.epochs} epochs have not converged. Largest distance of a coefficient from "
            f"the maximum likelihood estimate (MLE), in standard errors: {listed}."
        )
    else:
        yield f"Converged: within {worst:.1g} standard errors of the maximum likelihood estimate."
