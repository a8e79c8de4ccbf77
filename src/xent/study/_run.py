"""Running a study: data, maximum likelihood, training, evaluation, one comparison."""

from __future__ import annotations

import pickle
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import active_children, get_context
from pathlib import Path

import numpy as np
import torch

from xent._errors import InputError
from xent._links import log_softmax
from xent.scoring import NATIVE, Finding, finding, per_row_loss
from xent.scoring import class_order_findings as order_findings
from xent.study._columns import Table, listed, one_line
from xent.study._comparison import (
    Baselines,
    Comparison,
    FormulationResult,
    Spread,
    merge_findings,
)
from xent.study._dataset import Dataset, load_dataset
from xent.study._evaluation import Trial, class_prior, evaluate_trial, mean_log_loss
from xent.study._formulations import default_formulations, find_formulations
from xent.study._loss_timing import time_losses
from xent.study._maximum_likelihood import MAXIMUM, MaximumLikelihood
from xent.study._objectives import Objective
from xent.study._parameters import Likelihoods, log_odds_parameters
from xent.study._run_folder import RunFolder
from xent.study._spec import StudySpec, check_formulations, check_spec, trial_key
from xent.study._tasks import Outcome, Task, TaskResult, bind_objective, plan_tasks, run_tasks

Progress = Callable[[str, float], None]


def run_study(
    spec: StudySpec,
    *,
    table: Table | None = None,
    out: Path | None = None,
    executor: Executor | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Comparison:
    """Run a study from its specification.

    Args:
        spec: what to do.
        table: the data themselves, where ``spec.data.source`` only names them.
        out: folder to keep the trials, the results and the curves in; None keeps nothing.
        executor: runs the tasks; None runs them here, or in ``jobs`` processes.
        jobs: processes to run tasks in, if no executor is given.
        progress: called with what is being done and the fraction of it that is done.

    Raises:
        InputError: anything that can't be used; nothing is written then. An error of the user's own
            loss or model that comes up in training leaves the trials that were finished before.
    """
    begin = time.perf_counter()
    check_spec(spec)
    folder = None if out is None else RunFolder.plan(out)
    dataset = load_dataset(spec.data, table)
    classes = len(dataset.class_names)
    requested = spec.formulations or default_formulations(classes)
    formulations = find_formulations(requested, classes)
    check_formulations(spec, formulations, dataset)
    tasks = [plan_tasks(spec, formulation) for formulation in requested]
    likelihoods = Likelihoods(dataset, linear=spec.linear)
    objectives = [bind_objective(formulation, dataset) for formulation in formulations]
    trials_in_all = len(formulations) * len(spec.seeds)
    evaluation = _Evaluation(spec, likelihoods, folder, progress, trials_in_all)
    trained: list[list[TaskResult]] = []
    trials: list[list[Trial]] = []
    with _results([task for own in tasks for task in own], dataset, executor, jobs, progress) as r:
        for objective, own in zip(objectives, tasks, strict=True):
            trained.append([])
            trials.append([])
            for result in islice(r, len(own)):
                trained[-1].append(result)
                trials[-1] += evaluation.of(result, objective)
    comparison = Comparison(
        spec=spec,
        dataset=dataset,
        formulations=_summarise(spec, objectives, trained, trials, likelihoods),
        baselines=_baselines(dataset, likelihoods.reference),
        likelihood=likelihoods.reference,
        findings=merge_findings(_all_findings(spec, dataset, likelihoods.reference, trials)),
        environment=_environment(spec),
        seconds=time.perf_counter() - begin,
    )
    if folder is not None:
        folder.write_results(comparison)
    return comparison


@contextmanager
def _results(
    tasks: Sequence[Task],
    dataset: Dataset,
    executor: Executor | None,
    jobs: int,
    progress: Progress | None,
) -> Iterator[Iterator[TaskResult]]:
    """The results of the tasks in their order, each as soon as it is there."""

    def training(fraction: float) -> None:
        if progress is not None:
            progress("training", fraction)

    if executor is None and jobs > 1:
        with _processes(tasks, jobs) as pool:
            yield run_tasks(tasks, dataset, pool, training)
    else:
        yield run_tasks(tasks, dataset, executor, training)


@contextmanager
def _processes(tasks: Sequence[Task], jobs: int) -> Iterator[Executor]:
    """A pool of fresh processes that share the threads of this one.

    Raises:
        InputError: a formulation or factory that can't be sent to another process.
    """
    try:
        pickle.dumps(tasks)
    except Exception as error:
        raise InputError(
            "compare: jobs",
            "1 for formulations and models that can't be sent to another process",
            one_line(f"{jobs}, {type(error).__name__}: {error}"),
            "Make them of functions of a module rather than lambdas, or leave jobs at 1.",
        ) from error
    threads = max(1, torch.get_num_threads() // jobs)
    with ProcessPoolExecutor(
        jobs, get_context("spawn"), initializer=torch.set_num_threads, initargs=(threads,)
    ) as pool:
        try:
            yield pool
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in active_children():
                worker.terminate()
            raise
        except BrokenProcessPool as error:
            raise InputError(
                "compare: jobs",
                "1 in a script whose work is not below ``if __name__ == '__main__':``",
                f"{jobs} and a worker process that ended before its work was done",
                "Guard the script's entry so, or leave jobs at 1.",
            ) from error


class _Evaluation:
    """Scores the outcomes of tasks on a few threads and keeps each trial at once."""

    def __init__(
        self,
        spec: StudySpec,
        likelihoods: Likelihoods,
        folder: RunFolder | None,
        progress: Progress | None,
        total: int,
    ) -> None:
        self.total = total
        self.spec = spec
        self.dataset = likelihoods.dataset
        self.likelihoods = likelihoods
        self.folder = folder
        self.progress = progress
        self.done = 0

    def of(self, result: TaskResult, objective: Objective) -> list[Trial]:
        """The trials of one task, in the order of its seeds."""
        kind = objective.formulation.resolved_link.log_odds_of
        likelihood = self.likelihoods.of(kind)
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            return list(
                threads.map(lambda each: self._one(each, objective, likelihood), result.outcomes)
            )

    def _one(
        self, outcome: Outcome, objective: Objective, likelihood: MaximumLikelihood | None
    ) -> Trial:
        from xent import __version__

        spec, dataset = self.spec, self.dataset
        key = trial_key(spec, objective.formulation, outcome.seed, dataset.fingerprint, __version__)
        trial = evaluate_trial(outcome, objective, dataset, spec, likelihood, key)
        if self.folder is not None:
            self.folder.write_trial(trial, dataset)
        self.done += 1
        if self.progress is not None:
            self.progress("evaluating", self.done / self.total)
        return trial


def _summarise(
    spec: StudySpec,
    objectives: Sequence[Objective],
    trained: Sequence[Sequence[TaskResult]],
    trials: Sequence[Sequence[Trial]],
    likelihoods: Likelihoods,
) -> tuple[FormulationResult, ...]:
    losses = time_losses(objectives, likelihoods.dataset, spec.training)
    summaries = []
    for objective, results, own, loss in zip(objectives, trained, trials, losses, strict=True):
        parameters, note = log_odds_parameters(spec, objective, own, likelihoods)
        timings = [result.timings for result in results]
        summaries.append(
            FormulationResult(
                formulation=objective.formulation,
                n_parameters=sum(array.size for array in own[0].parameters.values()),
                trials=tuple(own),
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
    found = [each for own in trials for trial in own for each in trial.findings]
    found += [
        finding("feature-gives-target-away", warning.feature, warning.sentence)
        for warning in dataset.warnings
    ]
    found += order_findings(dataset.class_names, subject="target")
    if likelihood is not None:
        found += _design_findings(dataset, likelihood)
    if not spec.model.pairs_start:
        message = (
            "Without --head the starting points can't be mapped: seeds share the split and the "
            "order of batches, not the starting point."
        )
        found.append(finding("paired-by-seed-only", "model", message))
    return found


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
