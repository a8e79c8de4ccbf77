"""From a trained model to what it is worth: the scores, parameters and findings of one trial.

Nothing here shares code with training: outputs are computed again in float64, probabilities come
from the formulation's link, and the objective is summed from its definition.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xent._links import Array, log_sigmoid
from xent.scoring import (
    Finding,
    Scores,
    finding,
    objective_findings,
    per_row_loss,
    prediction_findings,
    score_rows,
)
from xent.study._dataset import Dataset, Part
from xent.study._likelihood import to_original_units
from xent.study._maximum_likelihood import MaximumLikelihood
from xent.study._models import perceptron_outputs
from xent.study._objectives import Objective
from xent.study._tasks import Outcome

# A coefficient farther than this from the optimum, in standard errors, is worth a note.
CONVERGED = 0.1


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

    @property
    def best(self) -> Scores | None:
        """The scores that compare with other formulations': recovered where there are any."""
        return self.test if self.recovered is None else self.recovered


def evaluate_trial(
    outcome: Outcome,
    objective: Objective,
    dataset: Dataset,
    likelihood: MaximumLikelihood | None,
    key: str,
    *,
    linear: bool,
    penalised: bool,
) -> Trial:
    """Score one trained model and look for what is wrong with it."""
    outputs = {
        name: _outputs_of(outcome, name, part, linear_or_stack=outcome.outputs is None)
        for name, part in dataset.parts.items()
    }
    if not all(np.isfinite(values).all() for values in outputs.values()):
        return _diverged(outcome, objective, dataset, key)
    log_q = {
        name: objective.formulation.resolved_link.log_probabilities(values)
        for name, values in outputs.items()
    }
    reproduced = reproduce_objective(objective, outputs["train"], log_q["train"], dataset.train)
    train_loss = mean_log_loss(log_q["train"], dataset.train)
    validation = dataset.validation
    trial = Trial(
        key=key,
        formulation=objective.formulation.name,
        seed=outcome.seed,
        status="finished" if outcome.diverged_at is None else "diverged",
        diverged_at=outcome.diverged_at,
        objective=outcome.objective,
        objective_reproduced=reproduced,
        gradient_norm=outcome.gradient_norm,
        train_log_loss=train_loss,
        validation_log_loss=(
            None if validation is None else mean_log_loss(log_q["validation"], validation)
        ),
        test=score_part(log_q["test"], dataset, "test"),
        recovered=None,
        coefficients=log_odds_coefficients(objective, outcome, dataset) if linear else None,
        distance=None,
        parameters=outcome.parameters,
        log_probabilities=log_q["test"],
        recovered_log_probabilities=None,
        train_curve=outcome.train_curve,
        validation_curve=outcome.validation_curve,
        findings=(),
    )
    trial = _with_recovery(trial, objective, outputs["test"], dataset)
    if linear and likelihood is not None and objective.formulation.likelihood and not penalised:
        trial = replace(trial, distance=distance_to(trial.coefficients, likelihood, dataset))
    return replace(trial, findings=trial.findings + _find(trial, objective, dataset))


def _outputs_of(outcome: Outcome, name: str, part: Part, *, linear_or_stack: bool) -> Array:
    if linear_or_stack:
        return perceptron_outputs(outcome.parameters, part.features)
    assert outcome.outputs is not None
    return outcome.outputs[name]


def _diverged(outcome: Outcome, objective: Objective, dataset: Dataset, key: str) -> Trial:
    name = objective.formulation.name
    epoch = outcome.diverged_at or len(outcome.train_curve)
    message = f"seed {outcome.seed}: the objective is no longer finite after epoch {epoch}."
    shape = (len(dataset.test.target), len(dataset.class_names))
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
        log_probabilities=np.full(shape, np.nan),
        recovered_log_probabilities=None,
        train_curve=outcome.train_curve,
        validation_curve=outcome.validation_curve,
        findings=(finding("training-diverged", name, message, {"epoch": float(epoch)}),),
    )


def reproduce_objective(objective: Objective, outputs: Array, log_q: Array, part: Part) -> float:
    """The mean objective from its definition, in NumPy.

    ``sum over k of c_k (1 - q_k)^γ (-log q_k)`` over ``sum of weight x class weight[y]``. A
    formulation of the user's is evaluated by its own loss, in float64.
    """
    if not objective.hand_written:
        return _reproduce_by_loss(objective, outputs, part)
    modifiers = objective.formulation.modifiers
    rows = np.ones(len(part.target)) if part.weight is None else part.weight
    row_weight = rows * objective.class_weights[part.target]
    one_hot = np.eye(objective.classes)[part.target]
    if objective.formulation.base == "ovr":
        positive = (1 - modifiers.smoothing) * one_hot + modifiers.smoothing / 2
        losses = _terms(positive, log_sigmoid(outputs), log_sigmoid(-outputs), modifiers.focal)
        losses += _terms(1 - positive, log_sigmoid(-outputs), log_sigmoid(outputs), modifiers.focal)
        return float(np.average(losses.mean(axis=1), weights=row_weight))
    smooth = (1 - modifiers.smoothing) * one_hot + modifiers.smoothing / objective.classes
    with np.errstate(divide="ignore"):
        log_rest = np.log(-np.expm1(log_q))
    terms = _terms(smooth * objective.class_weights, log_q, log_rest, modifiers.focal)
    return float((terms.sum(axis=1) * rows).sum() / row_weight.sum())


def _terms(coefficients: Array, log_q: Array, log_rest: Array, focal: float) -> Array:
    with np.errstate(invalid="ignore"):
        losses = np.where(coefficients == 0, 0.0, -coefficients * log_q)
    return losses if focal == 0 else losses * np.exp(focal * log_rest)


def _reproduce_by_loss(objective: Objective, outputs: Array, part: Part) -> float:
    import torch

    weight = None if part.weight is None else torch.from_numpy(part.weight)
    with torch.no_grad():
        loss = objective.mean_loss(torch.from_numpy(outputs), torch.from_numpy(part.target), weight)
    return loss.item()


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


def _with_recovery(trial: Trial, objective: Objective, outputs: Array, dataset: Dataset) -> Trial:
    recovered = objective.recover(outputs, trial.log_probabilities)
    if recovered is None:
        return trial
    scores = score_part(recovered.log_probabilities, dataset, "test")
    found: list[Finding] = []
    if recovered.clipped_rows:
        message = (
            f"seed {trial.seed}: {recovered.clipped_rows:,} of {len(outputs):,} rows have a "
            "probability below what smoothed targets allow; it became 0."
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
    )


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
    linked = plain and not found
    found += tuple(
        # The link was just seen to be the loss's own: a slope is then the model's, not a scorer's.
        replace(each, raised_to=None) if linked and each.name == "log-odds-scaled" else each
        for each in prediction_findings(
            trial.best or trial.test, _best_rows(trial), dataset.test.target, subject=name
        )
        if each.name != "class-order"
    )
    if trial.distance is not None and trial.distance > CONVERGED:
        message = (
            f"seed {trial.seed}: a coefficient is {trial.distance:.2g} standard errors away from "
            "the maximum likelihood estimate."
        )
        numbers = {"distance": trial.distance, "gradient_norm": trial.gradient_norm}
        found += (finding("not-converged", name, message, numbers),)
    return found


def _best_rows(trial: Trial) -> Array:
    if trial.recovered_log_probabilities is not None:
        return trial.recovered_log_probabilities
    return trial.log_probabilities
