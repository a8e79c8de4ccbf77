"""The trials of a study: taken from the run folder where they are finished, trained where not.

Each task is evaluated and kept as soon as it is trained, so that whatever ends a run costs no more
than the tasks that are under way.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace

import torch

from xent.study._data._dataset import Dataset
from xent.study._evaluation._parameters import Likelihoods
from xent.study._evaluation._trial import Trial, evaluate_trial
from xent.study._formulations import Formulation
from xent.study._runs._own_code import doubts_about
from xent.study._runs._processes import worker_processes
from xent.study._runs._run_folder import RunFolder
from xent.study._runs._tasks import Outcome, Task, TaskResult, bind_objective, plan_tasks, run_tasks
from xent.study._spec import StudySpec, trial_key
from xent.study._training._objectives import Objective

Progress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class SplitData:
    """One split, and what is worked out from it once.

    Args:
        dataset: its data.
        objectives: of the formulations on its training part.
        likelihoods: maximum likelihood on its training part.
    """

    dataset: Dataset
    objectives: tuple[Objective, ...]
    likelihoods: Likelihoods

    @classmethod
    def prepare(
        cls, dataset: Dataset, formulations: Sequence[Formulation], *, linear: bool
    ) -> SplitData:
        """Bind the formulations to the data."""
        objectives = tuple(bind_objective(formulation, dataset) for formulation in formulations)
        return cls(dataset, objectives, Likelihoods(dataset, linear=linear))


@dataclass(frozen=True, eq=False)
class Finished:
    """A task that is trained, evaluated and, where there is a folder, kept."""

    result: TaskResult
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class _Planned:
    """One task: ``formulation`` is the position of its formulation, ``keys`` are its trials'."""

    task: Task
    formulation: int
    keys: tuple[str, ...]


class Trials:
    """All trials of a study, and which of them are finished.

    Args:
        spec: the study.
        requested: the formulations as they were asked for.
        splits: the data.
        folder: where trials are kept, and taken from; None keeps nothing.
        progress: called with what is being done and the fraction of it that is done.
    """

    def __init__(
        self,
        spec: StudySpec,
        requested: Sequence[str | Formulation],
        splits: Sequence[SplitData],
        folder: RunFolder | None,
        progress: Progress | None,
    ) -> None:
        self.spec = spec
        self.splits = splits
        self.folder = folder
        self.progress = progress
        self.planned = [
            self._plan(task, position)
            for position, formulation in enumerate(requested)
            for task in plan_tasks(spec, formulation)
        ]
        self.tasks: list[Finished | None] = [None] * len(self.planned)
        self.taken = 0
        # Keys that are in the ledger, and how many bytes of it were looked at for new ones.
        self.known: set[str] = set()
        self.read_to = 0

    def _plan(self, task: Task, position: int) -> _Planned:
        from xent import __version__

        split = self.splits[task.split]
        formulation = split.objectives[position].formulation
        # Another version of torch may round otherwise.
        version = f"{__version__}, torch {torch.__version__}"
        keys = tuple(
            trial_key(self.spec, formulation, seed, split.dataset.fingerprint, version)
            for seed in task.seeds
        )
        return _Planned(task, position, keys)

    @property
    def total(self) -> int:
        """How many trials the study has."""
        return sum(len(planned.keys) for planned in self.planned)

    @property
    def done(self) -> int:
        """How many of them are finished."""
        return sum(len(finished.trials) for finished in self.tasks if finished is not None)

    def of(self, formulation: int) -> list[Finished]:
        """The finished tasks of one formulation, by its position, in the order of the seeds."""
        pairs = zip(self.planned, self.tasks, strict=True)
        return [
            finished
            for planned, finished in pairs
            if planned.formulation == formulation and finished is not None
        ]

    def run(self, executor: Executor | None, jobs: int) -> None:
        """Finish every trial.

        Raises:
            InputError: an error of the user's own loss or model, or a full disk; the trials that
                were finished before stay so.
        """
        self._take_from_folder()
        positions = self._left()
        if executor is None and jobs <= 1:
            self._run_here(positions)
            return
        work = [self._work(position) for position in positions]

        def unneeded(number: int) -> bool:
            return self._take(positions[number])

        with self._running(work, executor, jobs) as pool:
            for number, result in run_tasks(work, pool, self._training, unneeded):
                self._keep(positions[number], result)

    def _run_here(self, positions: Sequence[int]) -> None:
        """One after the other; what another process is at comes last, and is taken from it."""
        others: list[int] = []
        for position in positions:
            with self._claim(position, wait=False) as claimed:
                if claimed:
                    self._finish(position, positions)
                else:
                    others.append(position)
        for position in others:
            with self._claim(position, wait=True):
                self._finish(position, positions)

    def _claim(self, position: int, *, wait: bool) -> AbstractContextManager[bool]:
        if self.folder is None:
            return nullcontext(True)
        return self.folder.claim(self.planned[position].keys[0], wait=wait)

    def _finish(self, position: int, positions: Sequence[int]) -> None:
        if self._take(position):
            return
        done = sum(self.tasks[other] is not None for other in positions)

        def training(fraction: float) -> None:
            self._training((done + fraction) / len(positions))

        for _, result in run_tasks([self._work(position)], None, training):
            self._keep(position, result)

    def _keep(self, position: int, result: TaskResult) -> None:
        finished = self._evaluate(position, result)
        if self.folder is not None:
            dataset = self.splits[self.planned[position].task.split].dataset
            self.folder.write_task(result, finished.trials, dataset)
        self._add(position, finished)

    def _take_from_folder(self) -> None:
        if self.folder is None:
            return
        self._warn_of_doubts()
        self.known = self.folder.finished()
        for position in range(len(self.planned)):
            self._take(position)
        if self.taken:
            self._say(f"{self.taken} of {self.total} trials taken from the folder", 1.0)

    def _take(self, position: int) -> bool:
        """Take a task from the folder if it is finished there, by whatever process."""
        if self.folder is None:
            return False
        new, self.read_to = self.folder.finished_after(self.read_to)
        self.known |= new
        planned = self.planned[position]
        result = self.folder.kept(planned.keys, planned.task.seeds, self.known)
        if result is None:
            return False
        self.taken += len(planned.keys)
        self._add(position, self._evaluate(position, result))
        return True

    def _warn_of_doubts(self) -> None:
        """Say why trials can't be told from those of other code, which have other keys then."""
        own: list[object] = [] if self.spec.model.built_in else [self.spec.model.find_factory()]
        for objective in self.splits[0].objectives:
            formulation = objective.formulation
            link = formulation.resolved_link
            own += [link.log_probabilities, link.contrasts]
            if not formulation.built_in:
                own += [formulation.outputs, formulation.loss, formulation.recover]
        doubts = doubts_about(own)
        if doubts:
            warnings.warn(
                "Trials with code of your own are trained anew and can't be taken from the folder "
                f"later: the code leads to {', '.join(doubts)}, and whether that is as it was "
                "can't be told.",
                stacklevel=2,
            )

    def _left(self) -> list[int]:
        """Positions of what is to be trained, seed by seed: what is paired is finished together."""
        left = [position for position, finished in enumerate(self.tasks) if finished is None]

        def turn(position: int) -> tuple[int, int]:
            task = self.planned[position].task
            return task.split, self.spec.seeds.index(task.seeds[0])

        return sorted(left, key=turn)

    def _work(self, position: int) -> tuple[Task, Dataset]:
        task = self.planned[position].task
        return task, self.splits[task.split].dataset

    @contextmanager
    def _running(
        self, work: Sequence[tuple[Task, Dataset]], executor: Executor | None, jobs: int
    ) -> Iterator[Executor]:
        """The executor, or processes of this study's own."""
        if executor is not None:
            yield executor
            return
        with worker_processes([task for task, _ in work], jobs) as pool:
            yield pool

    def _training(self, fraction: float) -> None:
        self._say("training", fraction)

    def _evaluate(self, position: int, result: TaskResult) -> Finished:
        planned = self.planned[position]
        split = self.splits[planned.task.split]
        objective = split.objectives[planned.formulation]
        likelihood = split.likelihoods.of(objective.formulation.resolved_link.log_odds_of)

        def one(outcome: Outcome, key: str) -> Trial:
            trial = evaluate_trial(outcome, objective, split.dataset, self.spec, likelihood, key)
            return replace(trial, split=planned.task.split)

        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            return Finished(result, tuple(threads.map(one, result.outcomes, planned.keys)))

    def _add(self, position: int, finished: Finished) -> None:
        self.tasks[position] = finished
        self._say("evaluating", self.done / self.total)

    def _say(self, what: str, fraction: float) -> None:
        if self.progress is not None:
            self.progress(what, fraction)
