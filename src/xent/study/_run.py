"""Running a study: data, maximum likelihood, training, evaluation, one comparison."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from xent._links import Array, log_softmax
from xent.scoring import NATIVE, Finding, finding, per_row_loss
from xent.scoring import class_order_findings as order_findings
from xent.study._comparison import (
    Baselines,
    Comparison,
    FormulationResult,
    Parameter,
    Spread,
    merge_findings,
    stack_coefficients,
)
from xent.study._dataset import Dataset, load_dataset
from xent.study._evaluation import Trial, class_prior, evaluate_trial, mean_log_loss
from xent.study._formulations import Formulation, default_formulations, find_formulations
from xent.study._likelihood import covariance, to_original_units
from xent.study._loss_timing import time_losses
from xent.study._maximum_likelihood import (
    MAXIMUM,
    MaximumLikelihood,
    fit_maximum_likelihood,
    fit_one_vs_rest,
)
from xent.study._objectives import Objective
from xent.study._run_folder import RunFolder
from xent.study._spec import StudySpec, check_formulations, check_spec, trial_key
from xent.study._tasks import TaskResult, bind_objective, plan_tasks, run_tasks

Progress = Callable[[str, float], None]


def run_study(
    spec: StudySpec,
    *,
    out: Path | None = None,
    executor: Executor | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Comparison:
    """Run a study from its specification.

    Args:
        spec: what to do.
        out: folder to keep the trials, the results and the curves in; None keeps nothing.
        executor: runs the tasks; None runs them here, or in ``jobs`` processes.
        jobs: processes to run tasks in, if no executor is given.
        progress: called with what is being done and the fraction of it that is done.

    Raises:
        InputError: anything that can't be used; nothing is written then.
    """
    begin = time.perf_counter()
    check_spec(spec)
    dataset = load_dataset(spec.data)
    names = spec.formulations or default_formulations(len(dataset.class_names))
    formulations = find_formulations(names, len(dataset.class_names))
    check_formulations(spec, formulations, dataset)
    folder = None if out is None else RunFolder.open(out)
    likelihoods = _Likelihoods(dataset, linear=spec.model.kind == "linear" and spec.model.built_in)
    results = _train(spec, formulations, dataset, executor, jobs, progress)
    trials = _evaluate(spec, results, dataset, likelihoods, folder, progress)
    objectives = [bind_objective(formulation, dataset) for formulation in formulations]
    loss_seconds = time_losses(objectives, dataset, spec.training)
    comparison = Comparison(
        spec=spec,
        dataset=dataset,
        formulations=tuple(
            _summarise(spec, objective, dataset, results, trials, likelihoods, seconds)
            for objective, seconds in zip(objectives, loss_seconds, strict=True)
        ),
        baselines=_baselines(dataset, likelihoods.reference),
        likelihood=likelihoods.reference,
        findings=merge_findings(_all_findings(spec, dataset, likelihoods.reference, trials)),
        environment=_environment(spec),
        seconds=time.perf_counter() - begin,
    )
    if folder is not None:
        folder.write_results(comparison)
    return comparison


class _Likelihoods:
    """Maximum likelihood of the linear model, in both forms, each fitted when first asked for."""

    def __init__(self, dataset: Dataset, *, linear: bool) -> None:
        self.dataset = dataset
        self.linear = linear
        self._fits: dict[str, MaximumLikelihood] = {}

    @property
    def reference(self) -> MaximumLikelihood | None:
        return self.of("reference")

    def of(self, log_odds_of: str) -> MaximumLikelihood | None:
        if not self.linear:
            return None
        if log_odds_of not in self._fits:
            train = self.dataset.train
            fit = fit_one_vs_rest if log_odds_of == "rest" else fit_maximum_likelihood
            self._fits[log_odds_of] = fit(
                train.features, train.target, len(self.dataset.class_names), train.weight
            )
        return self._fits[log_odds_of]


def _train(
    spec: StudySpec,
    formulations: Sequence[Formulation],
    dataset: Dataset,
    executor: Executor | None,
    jobs: int,
    progress: Progress | None,
) -> list[TaskResult]:
    tasks = plan_tasks(spec, formulations)

    def training(fraction: float) -> None:
        if progress is not None:
            progress("training", fraction)

    if executor is None and jobs > 1:
        threads = max(1, torch.get_num_threads() // jobs)
        with ProcessPoolExecutor(
            jobs, mp_context=get_context("spawn"), initializer=_limit_threads, initargs=(threads,)
        ) as pool:
            results = list(run_tasks(tasks, dataset, pool, training))
    else:
        results = list(run_tasks(tasks, dataset, executor, training))
    order = {formulation.name: i for i, formulation in enumerate(formulations)}
    return sorted(results, key=lambda r: (order[_name(r)], spec.seeds.index(r.task.seeds[0])))


def _limit_threads(threads: int) -> None:
    torch.set_num_threads(threads)


def _name(result: TaskResult) -> str:
    formulation = result.task.formulation
    return formulation if isinstance(formulation, str) else formulation.name


def _evaluate(
    spec: StudySpec,
    results: Sequence[TaskResult],
    dataset: Dataset,
    likelihoods: _Likelihoods,
    folder: RunFolder | None,
    progress: Progress | None,
) -> list[Trial]:
    from xent import __version__

    total = sum(len(result.outcomes) for result in results)
    trials: list[Trial] = []
    for result in results:
        (formulation,) = find_formulations([result.task.formulation], len(dataset.class_names))
        objective = bind_objective(formulation, dataset)
        for outcome in result.outcomes:
            trial = evaluate_trial(
                outcome,
                objective,
                dataset,
                likelihoods.reference,
                trial_key(spec, formulation, outcome.seed, dataset.fingerprint, __version__),
                linear=likelihoods.linear,
                penalised=spec.training.weight_decay > 0,
            )
            if folder is not None:
                folder.write_trial(trial, dataset)
            trials.append(trial)
            if progress is not None:
                progress("evaluating", len(trials) / total)
    return trials


def _summarise(
    spec: StudySpec,
    objective: Objective,
    dataset: Dataset,
    results: Sequence[TaskResult],
    trials: Sequence[Trial],
    likelihoods: _Likelihoods,
    loss_seconds: list[float],
) -> FormulationResult:
    formulation = objective.formulation
    timings = [result.timings for result in results if _name(result) == formulation.name]
    own = tuple(trial for trial in trials if trial.formulation == formulation.name)
    parameters, note = _parameters(spec, objective, dataset, own, likelihoods)
    return FormulationResult(
        formulation=formulation,
        n_parameters=sum(array.size for array in own[0].parameters.values()),
        trials=own,
        fit_seconds=sum(timing.fit for timing in timings),
        timings={
            "step": Spread.of([s for timing in timings for s in timing.step]),
            "data": Spread.of([s for timing in timings for s in timing.data]),
            "evaluation": Spread.of([s for timing in timings for s in timing.evaluation]),
            "loss": Spread.of(loss_seconds),
        },
        parameters=parameters,
        parameters_note=note,
    )


def _parameters(
    spec: StudySpec,
    objective: Objective,
    dataset: Dataset,
    trials: Sequence[Trial],
    likelihoods: _Likelihoods,
) -> tuple[tuple[Parameter, ...], str]:
    if not likelihoods.linear:
        return (), "only linear models have parameters in log-odds form"
    coefficients = stack_coefficients(trials)
    if coefficients is None:
        return (), "the link has no log-odds that are linear in the outputs"
    kind = objective.formulation.resolved_link.log_odds_of
    likelihood = likelihoods.of(kind)
    assert likelihood is not None
    mean = coefficients.mean(axis=0)
    estimate, estimate_se = _original(likelihood, dataset)
    errors, note = _errors(spec, objective, mean, dataset, likelihood, kind)
    truth = None
    if dataset.truth is not None and kind == "reference":
        truth = dataset.truth.coefficients
    sd = coefficients.std(axis=0, ddof=1) if len(coefficients) > 1 else None
    classes = dataset.class_names
    features = (*dataset.feature_names, "(intercept)")
    parameters = tuple(
        Parameter(
            log_odds=classes[row] if kind == "rest" else classes[row + 1],
            against="the rest" if kind == "rest" else classes[0],
            feature=feature,
            mean=float(mean[row, column]),
            sd=_at(sd, row, column),
            standard_error=_at(errors, row, column),
            estimate=_at(estimate, row, column),
            estimate_se=_at(estimate_se, row, column),
            truth=_at(truth, row, column),
        )
        for row in range(len(mean))
        for column, feature in enumerate(features)
    )
    return parameters, note


def _at(array: Array | None, row: int, column: int) -> float | None:
    return None if array is None else float(array[row, column])


def _original(likelihood: MaximumLikelihood, dataset: Dataset) -> tuple[Array | None, Array | None]:
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
    kind: str,
) -> tuple[Array | None, str]:
    """Standard errors of the likelihood at the mean coefficients, or why there are none."""
    if likelihood.status != MAXIMUM:
        return None, f"no standard errors: {likelihood.message}"
    if objective.formulation.modifiers or not objective.hand_written:
        return None, "no standard errors: the objective is not the likelihood"
    if spec.training.weight_decay:
        return None, "no standard errors: weight decay is a penalty on the likelihood"
    train = dataset.train
    standardised = _standardise(mean, dataset)
    found = covariance(
        standardised, train.features, len(dataset.class_names), train.weight, log_odds_of=kind
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


def _baselines(dataset: Dataset, likelihood: MaximumLikelihood | None) -> Baselines:
    test, prior = dataset.test, class_prior(dataset)
    majority = test.target == int(np.argmax(prior))
    with np.errstate(divide="ignore"):
        constant = np.broadcast_to(np.log(prior), (len(test.target), len(prior)))
    truth = dataset.truth
    fitted = None
    if likelihood is not None and likelihood.status == MAXIMUM:
        theta = likelihood.coefficients
        log_odds = test.features @ theta[:, :-1].T + theta[:, -1]
        logits = np.hstack([np.zeros((len(log_odds), 1)), log_odds])
        fitted = mean_log_loss(log_softmax(logits), test)
    true_loss = None
    if truth is not None:
        true_loss = float(np.mean(per_row_loss(truth.log_probabilities["test"], test.target)))
    return Baselines(
        prior_log_loss=mean_log_loss(np.asarray(constant), test),
        majority=float(np.average(majority, weights=test.weight)),
        entropy_floor=None if truth is None else float(truth.entropies("test").mean()),
        true_log_loss=true_loss,
        likelihood_log_loss=fitted,
    )


def _all_findings(
    spec: StudySpec,
    dataset: Dataset,
    likelihood: MaximumLikelihood | None,
    trials: Sequence[Trial],
) -> list[Finding]:
    found = [each for trial in trials for each in trial.findings]
    found += [
        finding("feature-gives-target-away", warning.feature, warning.sentence)
        for warning in dataset.warnings
    ]
    found += order_findings(dataset.class_names, subject="target")
    if likelihood is not None:
        if "separable" in likelihood.status:
            found.append(finding("no-maximum-likelihood", "data", likelihood.message))
        for group in likelihood.collinear:
            names = ", ".join(dataset.feature_names[i] for i in group[:8])
            more = f" and {len(group) - 8} more" if len(group) > 8 else ""
            message = f"Linearly dependent: {names}{more}."
            found.append(finding("collinear-columns", "data", message))
    if not spec.model.pairs_start:
        message = (
            "Without --head the starting points can't be mapped: seeds share the split and the "
            "order of batches, not the starting point."
        )
        found.append(finding("paired-by-seed-only", "model", message))
    return found


def _environment(spec: StudySpec) -> dict[str, str | int | bool]:
    from xent import __version__

    return {
        "xent": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "device": spec.training.device,
        "dtype": "float64" if spec.training.converge else spec.training.dtype,
        "threads": torch.get_num_threads(),
        "native_extension": NATIVE,
    }
