"""A comparison as JSON values, by the schema in ``results.schema.json``.

JSON has no NaN and no infinity: what is not finite is null, and ``status`` says why.
"""

from __future__ import annotations

import json
import math
from importlib.resources import files

import numpy as np

from xent.scoring import Finding, Scores
from xent.study._comparison import METRICS, Comparison, FormulationResult
from xent.study._evaluation import Trial
from xent.study._maximum_likelihood import MAXIMUM, MaximumLikelihood
from xent.study._spec import canonical

SCHEMA_VERSION = "1.0"


def schema() -> dict[str, object]:
    """The JSON Schema of ``results.json``.

    >>> schema()["properties"]["schema_version"]
    {'const': '1.0'}
    """
    text = files("xent.study").joinpath("results.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, object] = json.loads(text)
    return loaded


def results(comparison: Comparison) -> dict[str, object]:
    """The whole comparison as JSON values."""
    dataset, spec = comparison.dataset, comparison.spec
    parts = {name: len(part.target) for name, part in dataset.parts.items()}
    document = {
        "schema_version": SCHEMA_VERSION,
        "status": "finished" if comparison.ok else "failed",
        "units": {"losses": "nats", "seconds": "seconds", "coefficients": "log-odds per unit"},
        "environment": comparison.environment,
        "spec": {
            "data": canonical(spec.data),
            "formulations": [result.name for result in comparison.formulations],
            "seeds": list(spec.seeds),
            "model": canonical(spec.model),
            "training": canonical(spec.training),
        },
        "data": {
            "name": dataset.name,
            "rows": parts,
            "features": list(dataset.feature_names),
            "classes": list(dataset.class_names),
            "notes": list(dataset.notes),
            "fingerprint": dataset.fingerprint,
        },
        "baselines": vars(comparison.baselines),
        "maximum_likelihood": _likelihood(comparison.likelihood),
        "formulations": {
            result.name: _formulation(result, comparison) for result in comparison.formulations
        },
        "findings": [_finding(found) for found in comparison.findings],
        "seconds": comparison.seconds,
    }
    plain = _plain(document)
    assert isinstance(plain, dict)
    return plain


def _likelihood(fit: MaximumLikelihood | None) -> dict[str, object] | None:
    if fit is None:
        return None
    return {
        "status": fit.status,
        "message": fit.message,
        "exists": fit.status == MAXIMUM,
        "train_log_loss": fit.log_loss,
    }


def _formulation(result: FormulationResult, comparison: Comparison) -> dict[str, object]:
    link = result.formulation.resolved_link
    recovered = {m: _aggregate(result, m, recovered=True) for m in METRICS}
    return {
        "description": result.formulation.description,
        "link": {"name": link.name, "formula": link.formula},
        "outputs": result.formulation.outputs(len(comparison.dataset.class_names)),
        "model_parameters": result.n_parameters,
        "status": result.status,
        "fit_seconds": result.fit_seconds,
        **{metric: result.mean(metric) for metric in METRICS},
        "log_loss_se": result.aggregate("log_loss").se,
        "accuracy_se": result.aggregate("accuracy").se,
        "over_seeds": {metric: _aggregate(result, metric) for metric in METRICS},
        "recovered": recovered if result.recovered else None,
        "distance_to_maximum_likelihood": result.distance,
        "timings": {
            phase: None if spread is None else vars(spread)
            for phase, spread in result.timings.items()
        },
        "parameters": [vars(parameter) for parameter in result.parameters],
        "parameters_note": result.parameters_note,
        "trials": [_trial(trial) for trial in result.trials],
    }


def _aggregate(
    result: FormulationResult, metric: str, *, recovered: bool = False
) -> dict[str, object]:
    return vars(result.aggregate(metric, recovered=recovered))


def _trial(trial: Trial) -> dict[str, object]:
    return {
        "key": trial.key,
        "seed": trial.seed,
        "status": trial.status,
        "diverged_at_epoch": trial.diverged_at,
        "objective": trial.objective,
        "objective_reproduced": trial.objective_reproduced,
        "gradient_norm": trial.gradient_norm,
        "train_log_loss": trial.train_log_loss,
        "validation_log_loss": trial.validation_log_loss,
        "distance_to_maximum_likelihood": trial.distance,
        "test": _scores(trial.test),
        "recovered": _scores(trial.recovered),
        "coefficients": trial.coefficients,
        "train_curve": trial.train_curve,
        "validation_curve": trial.validation_curve,
    }


def _scores(scores: Scores | None) -> dict[str, object] | None:
    if scores is None:
        return None
    fit = scores.recalibration
    return {
        "rows": scores.rows,
        "log_loss": scores.log_loss,
        "log_loss_se": scores.log_loss_se,
        "brier": scores.brier,
        "brier_se": scores.brier_se,
        "accuracy": scores.accuracy,
        "accuracy_interval": list(scores.accuracy_interval),
        "auc": scores.auc,
        "ece": scores.ece,
        "ece_of": scores.ece_of,
        "ece_noise_floor": scores.ece_noise_floor,
        "recalibration": {
            "slope": fit.slope,
            "slope_se": fit.slope_se,
            "intercepts": list(fit.intercepts),
            "intercept_ses": list(fit.intercept_ses),
        },
        "infinite_rows": scores.infinite_rows,
    }


def _finding(found: Finding) -> dict[str, object]:
    return {
        "code": found.code,
        "name": found.name,
        "level": found.level,
        "subject": found.subject,
        "message": found.message,
        "cause": found.cause,
        "cure": found.cure,
        "values": dict(found.values),
    }


def _plain(value: object) -> object:
    """NumPy to Python, and what is not finite to None."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
