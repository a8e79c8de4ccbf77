"""A comparison as JSON values, by the schema in ``results.schema.json``.

JSON has no NaN and no infinity: what is not finite is null, and ``status`` says why.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files

import numpy as np

from xent.scoring import Finding, Scores
from xent.study._comparison import METRICS, Comparison, FormulationResult
from xent.study._data._dataset import Dataset
from xent.study._evaluation._trial import Trial
from xent.study._optimum._maximum_likelihood import MAXIMUM, MaximumLikelihood
from xent.study._spec import canonical
from xent.study._verdicts._conditions import conditions
from xent.study._verdicts._intervals import MetricInterval
from xent.study._verdicts._pairs import Pair

SCHEMA_VERSION = "1.1"


def schema() -> dict[str, object]:
    """The JSON Schema of ``results.json``.

    >>> schema()["properties"]["schema_version"]
    {'const': '1.1'}
    """
    text = files("xent.study").joinpath("results.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, object] = json.loads(text)
    return loaded


def results(comparison: Comparison) -> dict[str, object]:
    """The whole comparison as JSON values."""
    dataset, spec = comparison.dataset, comparison.spec
    document = {
        "schema_version": SCHEMA_VERSION,
        "status": comparison.status,
        "trials": {"finished": comparison.done, "planned": comparison.planned},
        "units": {"losses": "nats", "seconds": "seconds", "coefficients": "log-odds per unit"},
        "environment": comparison.environment,
        "spec": {
            "data": canonical(spec.data),
            "formulations": list(comparison.asked or map(_name, comparison.formulations)),
            "seeds": list(spec.seeds),
            "model": canonical(spec.model),
            "training": canonical(spec.training),
            "splits": spec.splits,
            "question": spec.question,
            "margin": spec.margin,
            "level": spec.level,
        },
        "data": {
            "name": dataset.name,
            "rows": _rows(dataset),
            "features": list(dataset.feature_names),
            "standard_deviations": dataset.train.features.std(axis=0) * dataset.scale,
            "classes": list(dataset.class_names),
            "notes": list(dataset.notes),
            "fingerprint": dataset.fingerprint,
            "splits": [_split(each) for each in comparison.splits],
        },
        "baselines": vars(comparison.baselines),
        "maximum_likelihood": _likelihood(comparison.likelihood),
        "formulations": {
            result.name: _formulation(result, comparison) for result in comparison.formulations
        },
        "question": comparison.question,
        "margin": None if comparison.margin is None else vars(comparison.margin),
        "pairs": [pair_values(pair) for pair in comparison.pairs],
        "rules": list(comparison.rules),
        "conditions": conditions(comparison),
        "findings": [finding_values(found) for found in comparison.findings],
        "seconds": comparison.seconds,
    }
    return plain(document)


def plain(document: Mapping[str, object]) -> dict[str, object]:
    """A document as plain JSON values: no NumPy, and null for what is not finite."""
    values = _plain(dict(document))
    assert isinstance(values, dict)
    return values


def pair_values(pair: Pair) -> dict[str, object]:
    """A pair as a dictionary, its checks too."""
    return vars(pair) | {"checks": [vars(check) for check in pair.checks]}


def interval_values(intervals: Sequence[MetricInterval]) -> dict[str, object]:
    """Intervals by metric."""
    return {each.metric: vars(each) for each in intervals}


def _name(result: FormulationResult) -> str:
    return result.name


def _rows(dataset: Dataset) -> dict[str, int]:
    return {name: len(part.target) for name, part in dataset.parts.items()}


def _split(dataset: Dataset) -> dict[str, object]:
    return {
        "split_seed": dataset.spec.split_seed,
        "rows": _rows(dataset),
        "fingerprint": dataset.fingerprint,
    }


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
    several = comparison.spec.n_splits > 1
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
        "intervals": interval_values(comparison.intervals.get(result.name, ())),
        "over_seeds": {metric: _aggregate(result, metric) for metric in METRICS},
        "recovered": recovered if result.recovered else None,
        "distance_to_maximum_likelihood": result.distance,
        "timings": {
            phase: None if spread is None else vars(spread)
            for phase, spread in result.timings.items()
        },
        "parameters": [vars(parameter) for parameter in result.parameters],
        "parameters_note": result.parameters_note,
        "trials": [_trial(trial, several=several) for trial in result.trials],
    }


def _aggregate(
    result: FormulationResult, metric: str, *, recovered: bool = False
) -> dict[str, object]:
    return vars(result.aggregate(metric, recovered=recovered))


def _trial(trial: Trial, *, several: bool) -> dict[str, object]:
    return {
        "key": trial.key,
        "seed": trial.seed,
        "split": trial.split if several else None,
        "status": trial.status,
        "diverged_at_epoch": trial.diverged_at,
        "objective": trial.objective,
        "objective_reproduced": trial.objective_reproduced,
        "gradient_norm": trial.gradient_norm,
        "train_log_loss": trial.train_log_loss,
        "validation_log_loss": trial.validation_log_loss,
        "recovered_validation_log_loss": trial.recovered_validation_log_loss,
        "distance_to_maximum_likelihood": trial.distance,
        "test": score_values(trial.test),
        "recovered": score_values(trial.recovered),
        "coefficients": trial.coefficients,
        "train_curve": trial.train_curve,
        "validation_curve": trial.validation_curve,
    }


def score_values(scores: Scores | None) -> dict[str, object] | None:
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


def finding_values(found: Finding) -> dict[str, object]:
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
