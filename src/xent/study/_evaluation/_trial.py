"""From a trained model to what it is worth: the scores, parameters and findings of one trial.

Nothing here shares code with training: a perceptron's outputs are computed again in float64,
probabilities come from the formulation's link, and ``_reproduction`` sums the objective from its
definition.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xent._links import Array
from xent.scoring import (
    Finding,
    Scores,
    finding,
    objective_findings,
    per_row_loss,
    prediction_findings,
    score_rows,
)
from xent.study._data._dataset import Dataset, Part
from xent.study._evaluation._reproduction import reproduce_objective
from xent.study._formulations import BUILT_IN, Formulation
from xent.study._optimum._likelihood import to_original_units
from xent.study._optimum._maximum_likelihood import MaximumLikelihood
from xent.study._runs._tasks import Outcome
from xent.study._spec import StudySpec
from xent.study._training._models import perceptron_outputs
from xent.study._training._objectives import Objective

# A coefficient farther than this from the optimum, in standard errors, is worth a note.
CONVERGED = 0.1
# A mean loss of a million nats is a probability of exp(-1000000) for the true class of each row.
DIVERGED = 1e6


@dataclass(frozen=True, eq=False)
class Trial:
    """One formulation trained from one seed, scored by its right link.

    Args:
        key: names the trial; a hash of all that its numbers depend on.
        formulation: name.
        seed: its seed.
        status: ``finished`` or ``diverged``.
        diverged_at: epoch after which the objective was no longer finite.
        objective: training's mean objective at the end, in nats.
        objective_reproduced: the same mean from its definition, in float64 and evaluation mode.
        gradient_norm: of the objective at the end.
        train_log_loss: log loss on the training part by the link, in nats.
        validation_log_loss: on the validation part, where there is one.
        test: scores on the test part by the link.
        recovered: scores of the recovered probabilities, where the loss distorts them.
        coefficients: ``(log-odds, features + 1)`` in original units, intercept last; linear models.
        distance: largest distance of a coefficient from the maximum likelihood estimate, in
            standard errors; None where there is no such estimate.
        parameters: float64 arrays by layer name.
        log_probabilities: of the test rows by the link, ``(rows, classes)``.
        recovered_log_probabilities: the same after recovery, or None.
        train_curve: mean objective of each epoch's steps.
        validation_curve: mean objective after each epoch on the part that curves follow.
        findings: what is wrong or worth knowing.
        split: number of the split that it was trained and tested on.
        recovered_validation_log_loss: of the recovered probabilities on the validation part, where
            there are both.
    """

    key: str
    formulation: str
    seed: int
    status: str
    diverged_at: int | None
    objective: float
    objective_reproduced: float
    gradient_norm: float
    train_log_loss: float
    validation_log_loss: float | None
    test: Scores | None
    recovered: Scores | None
    coefficients: Array | None
    distance: float | None
    parameters: dict[str, Array]
    log_probabilities: Array
    recovered_log_probabilities: Array | None
    train_curve: Array
    validation_curve: Array
    findings: tuple[Finding, ...]
    split: int = 0
    recovered_validation_log_loss: float | None = None

    @property
    def best_validation_log_loss(self) -> float | None:
        """Log loss on the validation part of what ``best`` scores: recovered where there is."""
        if self.recovered is None:
            return self.validation_log_loss
        return self.recovered_validation_log_loss

    @property
    def best(self) -> Scores | None:
        """The scores that compare with other formulations': recovered where there are any."""
        return self.test if self.recovered is None else self.recovered

    @property
    def best_log_probabilities(self) -> Array:
        """The log-probabilities that those scores are of."""
        recovered = self.recovered_log_probabilities
        return self.log_probabilities if recovered is None else recovered


def evaluate_trial(
    outcome: Outcome,
    objective: Objective,
    dataset: Dataset,
    spec: StudySpec,
    likelihood: MaximumLikelihood | None,
    key: str,
) -> Trial:
    """Score one trained model and look for what is wrong with it.

    Args:
        outcome: what training gave.
        objective: what it minimised.
        dataset: the rows to score.
        spec: the study.
        likelihood: maximum likelihood of the log-odds that its link has, or None.
        key: names the trial.
    """
    outputs = _outputs_of_parts(outcome, dataset)
    finite = all(np.isfinite(values).all() for values in outputs.values())
    if outcome.diverged_at is not None or not finite or not outcome.objective < DIVERGED:
        return _diverged(outcome, objective, dataset, key)
    link = objective.formulation.resolved_link
    log_q = {name: link.log_probabilities(values) for name, values in outputs.items()}
    validation = dataset.validation
    trial = Trial(
        key=key,
        formulation=objective.formulation.name,
        seed=outcome.seed,
        status="finished",
        diverged_at=None,
        objective=outcome.objective,
        objective_reproduced=reproduce_objective(
            objective, outputs["train"], log_q["train"], dataset.train
        ),
        gradient_norm=outcome.gradient_norm,
        train_log_loss=mean_log_loss(log_q["train"], dataset.train),
        validation_log_loss=(
            None if validation is None else mean_log_loss(log_q["validation"], validation)
        ),
        test=score_part(log_q["test"], dataset, "test"),
        recovered=None,
        coefficients=log_odds_coefficients(objective, outcome, dataset) if spec.linear else None,
        distance=None,
        parameters=outcome.parameters,
        log_probabilities=log_q["test"],
        recovered_log_probabilities=None,
        train_curve=outcome.train_curve,
        validation_curve=outcome.validation_curve,
        findings=(),
    )
    trial = _with_recovery(trial, objective, outputs, dataset)
    estimates = is_likelihood(objective.formulation) and spec.training.weight_decay == 0
    if likelihood is not None and estimates:
        trial = replace(trial, distance=distance_to(trial.coefficients, likelihood, dataset))
    found = _find(trial, objective, dataset) + _find_unconverged(trial, spec)
    return replace(trial, findings=trial.findings + found)


def _outputs_of_parts(outcome: Outcome, dataset: Dataset) -> dict[str, Array]:
    """Outputs by part: a module's as it gave them, a perceptron's computed again."""
    if outcome.outputs is not None:
        return outcome.outputs
    with np.errstate(over="ignore", invalid="ignore"):
        return {
            name: perceptron_outputs(outcome.parameters, part.features)
            for name, part in dataset.parts.items()
        }


def is_likelihood(formulation: Formulation) -> bool:
    """Whether the loss is the likelihood of its log-odds: together, or of each class by itself."""
    one_vs_rest = formulation.built_in and formulation.base == "ovr" and not formulation.modifiers
    return formulation.likelihood or one_vs_rest


def _diverged(outcome: Outcome, objective: Objective, dataset: Dataset, key: str) -> Trial:
    name = objective.formulation.name
    epoch = outcome.diverged_at or len(outcome.train_curve)
    message = f"seed {outcome.seed}: the objective is no longer finite after epoch {epoch}."
    if np.isfinite(outcome.objective):
        message = f"seed {outcome.seed}: the objective ended at {outcome.objective:.2g} nats."
    return Trial(
        key=key,
        formulation=name,
        seed=outcome.seed,
        status="diverged",
        diverged_at=epoch,
        objective=outcome.objective,
        objective_reproduced=np.nan,
        gradient_norm=outcome.gradient_norm,
        train_log_loss=np.nan,
        validation_log_loss=None,
        test=None,
        recovered=None,
        coefficients=None,
        distance=None,
        parameters=outcome.parameters,
        log_probabilities=np.full((len(dataset.test.target), len(dataset.class_names)), np.nan),
        recovered_log_probabilities=None,
        train_curve=outcome.train_curve,
        validation_curve=outcome.validation_curve,
        findings=(finding("training-diverged", name, message, {"epoch": float(epoch)}),),
    )


def mean_log_loss(log_q: Array, part: Part) -> float:
    """Log loss of a part in nats, weighted by its sample weights."""
    return float(np.average(per_row_loss(log_q, part.target), weights=part.weight))


def score_part(log_q: Array, dataset: Dataset, name: str) -> Scores:
    """All scores of one part, beside the prior's and, where known, the truth's."""
    part = dataset.parts[name]
    truth = None if dataset.truth is None else np.exp(dataset.truth.log_probabilities[name])
    return score_rows(
        log_q,
        part.target,
        part.weight,
        dataset.class_names,
        prior=class_prior(dataset),
        truth=truth,
    )


def class_prior(dataset: Dataset) -> Array:
    """The shares of the classes in the training part, ``(classes,)``."""
    train = dataset.train
    totals = np.bincount(train.target, weights=train.weight, minlength=len(dataset.class_names))
    return np.asarray(totals / totals.sum())


def _with_recovery(
    trial: Trial, objective: Objective, outputs: dict[str, Array], dataset: Dataset
) -> Trial:
    recovered = objective.recover(outputs["test"], trial.log_probabilities)
    if recovered is None:
        return trial
    scores = score_part(recovered.log_probabilities, dataset, "test")
    found: list[Finding] = []
    if recovered.clipped_rows:
        message = (
            f"seed {trial.seed}: {recovered.clipped_rows:,} of {len(outputs['test']):,} rows have "
            "a probability below what smoothed targets allow; it was raised to "
            f"{objective.floor:.2g}."
        )
        numbers = {"clipped_rows": float(recovered.clipped_rows)}
        found.append(finding("recovery-clipped", trial.formulation, message, numbers))
    assert trial.test is not None
    message = (
        f"Raw log loss {trial.test.log_loss:.6f}, recovered {scores.log_loss:.6f}: the raw "
        "probabilities are not meant to be the class probabilities."
    )
    found.append(finding("objective-is-not-proper", trial.formulation, message))
    return replace(
        trial,
        recovered=scores,
        recovered_log_probabilities=recovered.log_probabilities,
        findings=tuple(found),
        recovered_validation_log_loss=_recovered_validation_loss(objective, outputs, dataset),
    )


def _recovered_validation_loss(
    objective: Objective, outputs: dict[str, Array], dataset: Dataset
) -> float | None:
    if dataset.validation is None:
        return None
    link = objective.formulation.resolved_link
    log_q = link.log_probabilities(outputs["validation"])
    recovered = objective.recover(outputs["validation"], log_q)
    assert recovered is not None
    return mean_log_loss(recovered.log_probabilities, dataset.validation)


def log_odds_coefficients(objective: Objective, outcome: Outcome, dataset: Dataset) -> Array | None:
    """A linear model's outputs as log-odds, for features in original units."""
    contrasts = objective.formulation.contrasts(objective.classes)
    if contrasts is None:
        return None
    theta = contrasts @ outcome.parameters["head"]
    return to_original_units(theta, None, dataset.center, dataset.scale)[0]


def distance_to(
    coefficients: Array | None, likelihood: MaximumLikelihood, dataset: Dataset
) -> float | None:
    """Largest distance of a coefficient from the estimate, in the estimate's standard errors."""
    if coefficients is None or likelihood.covariance is None:
        return None
    estimate, errors = to_original_units(
        likelihood.coefficients, likelihood.covariance, dataset.center, dataset.scale
    )
    assert errors is not None
    return float(np.max(np.abs(coefficients - estimate) / errors))


def _find(trial: Trial, objective: Objective, dataset: Dataset) -> tuple[Finding, ...]:
    assert trial.test is not None
    name = trial.formulation
    plain = objective.formulation.likelihood
    found = objective_findings(
        subject=name,
        objective=trial.objective,
        reproduced=trial.objective_reproduced,
        log_loss=trial.train_log_loss if plain else None,
    )
    predictions = prediction_findings(
        trial.best or trial.test,
        _best_rows(trial),
        dataset.test.target,
        subject=name,
        # The link is proven to be the loss's own, so what is odd is the model's, not a scorer's.
        linked=not found and _proves_link(objective),
    )
    return found + tuple(each for each in predictions if each.name != "class-order")


def _proves_link(objective: Objective) -> bool:
    """Whether an objective that is reproduced proves that its probabilities are meant as such."""
    formulation = objective.formulation
    if formulation.recover is not None:
        return False  # what is scored went through a function of the user's
    if formulation.built_in and formulation.base == "ovr":
        # Its objective is reproduced from outputs, which says nothing about another link.
        return formulation.link == BUILT_IN["ovr"].link
    return formulation.likelihood or objective.hand_written


def _find_unconverged(trial: Trial, spec: StudySpec) -> tuple[Finding, ...]:
    """Whether training stopped before the optimum, as far as that can be told."""
    if trial.distance is not None and trial.distance > CONVERGED:
        message = (
            f"a coefficient is {trial.distance:.2g} standard errors away from "
            "the maximum likelihood estimate."
        )
    elif spec.training.converge and not trial.gradient_norm <= spec.training.gradient_norm:
        message = (
            f"the gradient norm is {trial.gradient_norm:.2g}, above the "
            f"{spec.training.gradient_norm:g} that was asked for."
        )
    else:
        return ()
    numbers = {"gradient_norm": trial.gradient_norm}
    if trial.distance is not None:
        numbers["distance"] = trial.distance
    message = f"seed {trial.seed}: {message}"
    return (finding("not-converged", trial.formulation, message, numbers),)


def _best_rows(trial: Trial) -> Array:
    if trial.recovered_log_probabilities is not None:
        return trial.recovered_log_probabilities
    return trial.log_probabilities
