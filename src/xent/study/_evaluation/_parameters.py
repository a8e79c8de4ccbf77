"""The parameters of linear models in log-odds form, beside maximum likelihood and the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xent._links import Array
from xent.study._comparison import Parameter
from xent.study._data._dataset import Dataset
from xent.study._evaluation._trial import Trial, is_likelihood
from xent.study._optimum._likelihood import covariance, to_original_units
from xent.study._optimum._maximum_likelihood import (
    MAXIMUM,
    MaximumLikelihood,
    fit_maximum_likelihood,
    fit_one_vs_rest,
)
from xent.study._spec import StudySpec
from xent.study._training._objectives import Objective


class Likelihoods:
    """Maximum likelihood of the linear model, each form fitted when it is first asked for.

    Args:
        dataset: the data.
        linear: whether the model is linear; there is nothing to fit otherwise.
    """

    def __init__(self, dataset: Dataset, *, linear: bool) -> None:
        self.dataset = dataset
        self.linear = linear
        self._fits: dict[str, MaximumLikelihood] = {}

    @property
    def reference(self) -> MaximumLikelihood | None:
        """The fit of the log-odds against class 0, or None for models that aren't linear."""
        return self.of("reference")

    def of(self, log_odds_of: str) -> MaximumLikelihood | None:
        """The fit against class 0 (``reference``), or of each class against the ``rest``."""
        if not self.linear:
            return None
        if log_odds_of not in self._fits:
            train = self.dataset.train
            fit = fit_one_vs_rest if log_odds_of == "rest" else fit_maximum_likelihood
            self._fits[log_odds_of] = fit(
                train.features, train.target, len(self.dataset.class_names), train.weight
            )
        return self._fits[log_odds_of]


def log_odds_parameters(
    spec: StudySpec, objective: Objective, trials: Sequence[Trial], likelihoods: Likelihoods
) -> tuple[tuple[Parameter, ...], str]:
    """The parameters of one formulation over its seeds, and why they or their errors are missing.

    Args:
        spec: the study.
        objective: of the formulation.
        trials: its trials; those that diverged count for nothing.
        likelihoods: of the same data.
    """
    if not spec.linear:
        return (), "only linear models have parameters in log-odds form"
    if objective.formulation.resolved_link.contrasts is None:
        return (), "the link has no log-odds that are linear in the outputs"
    found = [trial.coefficients for trial in trials if trial.coefficients is not None]
    if not found:
        return (), "every seed diverged"
    coefficients = np.stack(found)
    dataset = likelihoods.dataset
    kind = objective.formulation.resolved_link.log_odds_of
    likelihood = likelihoods.of(kind)
    assert likelihood is not None
    mean = coefficients.mean(axis=0)
    errors, note = _errors(spec, objective, mean, dataset, likelihood)
    estimate, estimate_se = _estimate(likelihood, dataset)
    columns = {
        "sd": coefficients.std(axis=0, ddof=1) if len(coefficients) > 1 else None,
        "standard_error": errors,
        "estimate": estimate,
        "estimate_se": estimate_se,
        "truth": None if dataset.truth is None or kind == "rest" else dataset.truth.coefficients,
    }
    return _table(mean, columns, dataset, against_rest=kind == "rest"), note


def _table(
    mean: Array, columns: dict[str, Array | None], dataset: Dataset, *, against_rest: bool
) -> tuple[Parameter, ...]:
    """One parameter for each log-odds and feature, from arrays of the shape of ``mean``."""
    classes = dataset.class_names
    names = classes if against_rest else classes[1:]
    features = (*dataset.feature_names, "(intercept)")
    return tuple(
        Parameter(
            log_odds=name,
            against="the rest" if against_rest else classes[0],
            feature=feature,
            mean=float(mean[row, column]),
            **{
                key: None if array is None else float(array[row, column])
                for key, array in columns.items()
            },
        )
        for row, name in enumerate(names)
        for column, feature in enumerate(features)
    )


def _estimate(likelihood: MaximumLikelihood, dataset: Dataset) -> tuple[Array | None, Array | None]:
    """The estimate and its standard errors in original units, where a maximum exists."""
    if likelihood.status != MAXIMUM:
        return None, None
    return to_original_units(
        likelihood.coefficients, likelihood.covariance, dataset.center, dataset.scale
    )


def _errors(
    spec: StudySpec,
    objective: Objective,
    mean: Array,
    dataset: Dataset,
    likelihood: MaximumLikelihood,
) -> tuple[Array | None, str]:
    """Standard errors of the likelihood at the mean coefficients, or why there are none."""
    if likelihood.status != MAXIMUM:
        return None, f"no standard errors: {likelihood.message}"
    formulation = objective.formulation
    if not is_likelihood(formulation):
        return None, "no standard errors: the objective is not the likelihood"
    if spec.training.weight_decay:
        return None, "no standard errors: weight decay is a penalty on the likelihood"
    train = dataset.train
    standardised = _standardise(mean, dataset)
    found = covariance(
        standardised,
        train.features,
        len(dataset.class_names),
        train.weight,
        log_odds_of=formulation.resolved_link.log_odds_of,
    )
    if found is None:
        return None, "no standard errors: the information is singular"
    return to_original_units(standardised, found, dataset.center, dataset.scale)[1], ""


def _standardise(theta: Array, dataset: Dataset) -> Array:
    """Coefficients of the standardised features from those in original units."""
    own = theta.copy()
    own[:, -1] += theta[:, :-1] @ dataset.center
    own[:, :-1] *= dataset.scale
    return own
