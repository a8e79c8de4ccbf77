"""Running a study: data, maximum likelihood, training, evaluation, one comparison."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from xent._links import log_softmax
from xent.scoring import NATIVE, Finding, finding, per_row_loss
from xent.scoring import class_order_findings as order_findings
from xent.study._comparison import (
    Baselines,
    Comparison,
    FormulationResult,
    Spread,
    merge_findings,
)
from xent.study._data._columns import Table, listed
from xent.study._data._dataset import Dataset
from xent.study._data._splits import load_splits, with_halves
from xent.study._evaluation._parameters import log_odds_parameters
from xent.study._evaluation._trial import Trial, class_prior, mean_log_loss
from xent.study._formulations import default_formulations, find_formulations
from xent.study._optimum._maximum_likelihood import MAXIMUM, MaximumLikelihood
from xent.study._runs._run_folder import RunFolder
from xent.study._runs._trials import Finished, Progress, SplitData, Trials
from xent.study._spec import StudySpec, check_formulations, check_spec
from xent.study._training._loss_timing import time_losses
from xent.study._verdicts._study_statistics import with_statistics


class Interrupted(KeyboardInterrupt):
    """A study was interrupted; what was finished is in its folder, and the same call goes on.

    Args:
        done: how many trials are finished.
        total: how many there are to finish.
        comparison: of the finished trials; None where there are none.
    """

    def __init__(self, done: int, total: int, comparison: Comparison | None) -> None:
        super().__init__(f"{done} of {total} trials are finished")
        self.done = done
        self.total = total
        self.comparison = comparison


def run_study(
    spec: StudySpec,
    *,
    table: Table | None = None,
    out: Path | None = None,
    store: Path | None = None,
    executor: Executor | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Comparison:
    """Run a study from its specification.

    Args:
        spec: what to do.
        table: the data themselves, where ``spec.data.source`` only names them.
        out: folder to keep the trials, the results and the curves in; None keeps nothing. Trials
            that are finished there are not trained again.
        store: the folder of the trials where several studies share one; None is ``out``.
        executor: runs the tasks; None runs them here, or in ``jobs`` processes.
        jobs: processes to run tasks in, if no executor is given.
        progress: called with what is being done and the fraction of it that is done.

    Raises:
        InputError: anything that can't be used; nothing is written then. An error of the user's own
            loss or model that comes up in training leaves the trials that were finished before.
        Interrupted: Ctrl-C in a study with a folder, which then has the results so far.
    """
    begin = time.perf_counter()
    check_spec(spec)
    folder = None if out is None else RunFolder.plan(out, store)
    spec = with_halves(spec)
    datasets = load_splits(spec, table)
    # The names of columns and classes one by one, as they were found in the data.
    spec = replace(spec, data=datasets[0].spec)
    classes = len(datasets[0].class_names)
    requested = spec.formulations or default_formulations(classes)
    formulations = find_formulations(requested, classes)
    check_formulations(spec, formulations, datasets[0])
    splits = [SplitData.prepare(each, formulations, linear=spec.linear) for each in datasets]
    trials = Trials(spec, requested, splits, folder, progress)
    try:
        trials.run(executor, jobs)
        return _finish(trials, folder, begin)
    except KeyboardInterrupt as stop:
        if folder is None:
            raise
        # With all trials finished, what was interrupted is this very step.
        some = 0 < trials.done < trials.total
        comparison = _finish(trials, folder, begin) if some else None
        raise Interrupted(trials.done, trials.total, comparison) from stop


def _finish(trials: Trials, folder: RunFolder | None, begin: float) -> Comparison:
    comparison = _compare(trials, time.perf_counter() - begin)
    if folder is not None:
        folder.write_results(comparison)
    return comparison


def _compare(trials: Trials, seconds: float) -> Comparison:
    """Compare what is finished; with several splits data and likelihood are the first one's."""
    spec, first = trials.spec, trials.splits[0]
    finished = [trials.of(position) for position in range(len(first.objectives))]
    own = [[trial for task in tasks for trial in task.trials] for tasks in finished]
    reference = first.likelihoods.reference
    comparison = Comparison(
        spec=spec,
        dataset=first.dataset,
        formulations=_summarise(spec, first, finished),
        baselines=_mean_baselines(trials.splits),
        likelihood=reference,
        findings=merge_findings(_all_findings(spec, first.dataset, reference, own)),
        environment=_environment(spec),
        seconds=seconds,
        splits=tuple(split.dataset for split in trials.splits),
        planned=trials.total,
        taken=trials.taken,
        asked=tuple(objective.formulation.name for objective in first.objectives),
    )
    return with_statistics(comparison)


def _summarise(
    spec: StudySpec, split: SplitData, finished: Sequence[Sequence[Finished]]
) -> tuple[FormulationResult, ...]:
    """Summarise the formulations that have a finished trial."""
    losses = time_losses(split.objectives, split.dataset, spec.training)
    summaries = []
    for objective, tasks, loss in zip(split.objectives, finished, losses, strict=True):
        if not tasks:
            continue
        trials = [trial for task in tasks for trial in task.trials]
        of_split = [trial for trial in trials if trial.split == 0]
        parameters, note = log_odds_parameters(spec, objective, of_split, split.likelihoods)
        if parameters and spec.n_splits > 1:
            note = "; ".join(filter(None, ("of the first split", note)))
        timings = [task.result.timings for task in tasks]
        summaries.append(
            FormulationResult(
                formulation=objective.formulation,
                n_parameters=sum(array.size for array in trials[0].parameters.values()),
                trials=tuple(trials),
                fit_seconds=sum(timing.fit for timing in timings),
                timings={
                    "step": Spread.of([s for timing in timings for s in timing.step]),
                    "data": Spread.of([s for timing in timings for s in timing.data]),
                    "evaluation": Spread.of([s for timing in timings for s in timing.evaluation]),
                    "loss": Spread.of(loss),
                },
                parameters=parameters,
                parameters_note=note,
            )
        )
    return tuple(summaries)


def _mean_baselines(splits: Sequence[SplitData]) -> Baselines:
    """Baselines as means over the splits, as scores are; None where a split has none."""
    found = [_baselines(split.dataset, split.likelihoods.reference) for split in splits]
    if len(found) == 1:
        return found[0]
    means: dict[str, float | None] = {}
    for field in vars(found[0]):
        values = [getattr(each, field) for each in found]
        means[field] = None if None in values else float(np.mean(values))
    return Baselines(**means)  # type: ignore[arg-type]  # the first two are never None


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
    trials: Sequence[Sequence[Trial]],
) -> list[Finding]:
    found = [
        _of_seed(each, trial) if len(spec.seeds) > 1 else each
        for own in trials
        for trial in own
        for each in trial.findings
    ]
    found += [
        finding("feature-gives-target-away", warning.feature, warning.sentence)
        for warning in dataset.warnings
    ]
    found += order_findings(dataset.class_names, subject="target")
    found += _repetition_findings(dataset)
    if likelihood is not None:
        found += _design_findings(dataset, likelihood)
    if not spec.model.pairs_start:
        message = (
            "Without --head the starting points can't be mapped: seeds share the split and the "
            "order of batches, not the starting point."
        )
        found.append(finding("paired-by-seed-only", "model", message))
    return found


def _of_seed(found: Finding, trial: Trial) -> Finding:
    """The finding of one trial among several: its numbers are that seed's."""
    if found.message.startswith("seed "):
        return found
    return replace(found, message=f"seed {trial.seed}: {found.message}")


def _repetition_findings(dataset: Dataset) -> list[Finding]:
    """Test rows that were trained on, as a test file may have them."""
    if not dataset.repeated:
        return []
    rows = len(dataset.test.target)
    message = f"{dataset.repeated:,} of {rows:,} test rows also stand in the training data."
    numbers = {"repeated_rows": float(dataset.repeated), "test_rows": float(rows)}
    return [finding("test-rows-in-training", "data", message, numbers)]


def _design_findings(dataset: Dataset, likelihood: MaximumLikelihood) -> list[Finding]:
    """What keeps the features from determining the weights of a linear model."""
    found = []
    if "separable" in likelihood.status:
        found.append(finding("no-maximum-likelihood", "data", likelihood.message))
    sentences = [
        f"Linearly dependent: {listed([dataset.feature_names[i] for i in group])}."
        for group in likelihood.collinear
    ]
    if dataset.constant:
        sentences.append(
            f"One value on every training row, so dropped: {listed(dataset.constant)}."
        )
    if sentences:
        found.append(finding("collinear-columns", "data", " ".join(sentences)))
    return found


def _environment(spec: StudySpec) -> dict[str, str | int | bool]:
    from xent import __version__

    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
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
