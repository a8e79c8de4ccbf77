"""The units of work of a study, and the seam through which they run.

A built-in model trains all seeds of a formulation as one task; a module of the user's, and any
model on several splits, trains one seed a task. Tasks are pure functions of their description and
go through ``concurrent.futures.Executor``, so that any executor can run them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass

import numpy as np
import torch

from xent._errors import InputError, XentError
from xent._links import Array
from xent.study._data._columns import one_line
from xent.study._data._dataset import Dataset, Part
from xent.study._formulations import Formulation, find_formulations
from xent.study._spec import StudySpec
from xent.study._training._convergence import LinearLoss, converge
from xent.study._training._models import Stack
from xent.study._training._modules import (
    ModulePart,
    build_module,
    module_arrays,
    module_outputs,
    train_module,
)
from xent.study._training._objectives import Objective
from xent.study._training._protocol import Scaling, match
from xent.study._training._stacks import Rows, Timings, Trained, train_stack

Progress = Callable[[float], None]

# Modules draw from torch's global random state, which they lend: threads have to take turns.
_GLOBAL_RANDOM_STATE = threading.Lock()


@dataclass(frozen=True)
class Task:
    """One formulation, some seeds.

    Args:
        spec: the study.
        formulation: as it was asked for; a name travels to other processes as a name.
        seeds: the seeds that train together.
        split: number of the split that they train on.
    """

    spec: StudySpec
    formulation: str | Formulation
    seeds: tuple[int, ...]
    split: int = 0


@dataclass(frozen=True)
class Outcome:
    """One trained member of a task.

    Args:
        seed: its seed.
        parameters: float64 arrays by layer name.
        outputs: part name to ``(rows, outputs)`` in evaluation mode; None where they are cheaper
            to compute from the parameters.
        objective: training's mean objective on the training part at the end, without penalty.
        gradient_norm: norm of its gradient.
        train_curve: mean objective of each epoch's steps.
        validation_curve: mean objective after each epoch, NaN where it was not followed.
        diverged_at: epoch from which the objective was not finite, or None.
    """

    seed: int
    parameters: dict[str, Array]
    outputs: dict[str, Array] | None
    objective: float
    gradient_norm: float
    train_curve: Array
    validation_curve: Array
    diverged_at: int | None


@dataclass(frozen=True)
class TaskResult:
    """What one task gave: its outcomes in the order of the seeds, and its timings."""

    outcomes: tuple[Outcome, ...]
    timings: Timings


def plan_tasks(spec: StudySpec, formulation: str | Formulation) -> list[Task]:
    """The tasks of one formulation: one for all seeds, or one a seed for modules and splits."""
    if spec.n_splits > 1:
        return [Task(spec, formulation, (seed,), split) for split, seed in enumerate(spec.seeds)]
    stacks = dict.fromkeys(spec.stack_of(seed) for seed in spec.seeds)
    return [Task(spec, formulation, seeds) for seeds in stacks]


def run_tasks(
    work: Sequence[tuple[Task, Dataset]],
    executor: Executor | None,
    progress: Progress | None = None,
    unneeded: Callable[[int], bool] = lambda _: False,
) -> Iterator[tuple[int, TaskResult]]:
    """Run tasks, each on its data; yield their positions and results as soon as they are there.

    Without an executor they run one after the other. A task that fails stops those that have not
    begun. ``progress`` is called with the fraction that is done. ``unneeded`` is asked about tasks
    that have not begun; those for which it is True are left out.
    """
    if executor is None:
        for done, (task, dataset) in enumerate(work):
            if not unneeded(done):
                yield done, run_task(task, dataset, _part_of(progress, done, len(work)))
        return
    positions: dict[Future[TaskResult], int] = {
        executor.submit(run_task, task, dataset): position
        for position, (task, dataset) in enumerate(work)
    }
    try:
        waiting = set(positions)
        while waiting:
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for left, future in enumerate(finished, start=1 - len(finished)):
                result = future.result()
                if progress is not None:
                    progress(1 - (len(waiting) - left) / len(work))
                yield positions[future], result
            begun = {future for future in waiting if future.running() or future.done()}
            for future in waiting - begun:
                if unneeded(positions[future]):
                    future.cancel()
                else:
                    begun.add(future)
            waiting = begun
    finally:
        for future in positions:
            future.cancel()


def _part_of(progress: Progress | None, done: int, total: int) -> Progress | None:
    if progress is None:
        return None
    return lambda fraction: progress((done + fraction) / total)


def class_totals(part: Part, classes: int) -> Array:
    """Weight of each class in a part, ``(classes,)``."""
    return np.bincount(part.target, weights=part.weight, minlength=classes).astype(np.float64)


def bind_objective(formulation: Formulation, dataset: Dataset) -> Objective:
    """The formulation's objective on this data: balanced weights come from the training part."""
    return Objective.bind(formulation, class_totals(dataset.train, len(dataset.class_names)))


def curve_part(dataset: Dataset) -> Part:
    """The part that curves are followed on: validation, or test where there is none."""
    return dataset.test if dataset.validation is None else dataset.validation


def run_task(task: Task, dataset: Dataset, progress: Progress | None = None) -> TaskResult:
    """Train the seeds of one task.

    Raises:
        InputError: an error of the user's own loss or module, in one line.
    """
    (formulation,) = find_formulations([task.formulation], len(dataset.class_names))
    objective = bind_objective(formulation, dataset)
    scaling = Scaling()
    if task.spec.training.protocol == "matched":
        scaling = match(formulation, objective.classes, task.spec.training.optimizer)
    try:
        if task.spec.model.built_in:
            return _run_stack(task, dataset, objective, scaling, progress)
        with _GLOBAL_RANDOM_STATE:
            return _run_module(task, dataset, objective, scaling)
    except XentError:
        raise
    except Exception as error:
        if task.spec.model.built_in and objective.hand_written:
            raise
        raise InputError(
            f"compare: formulation {formulation.name!r} with --model {task.spec.model.kind}",
            "trained by code that raises no error of its own",
            one_line(f"{type(error).__name__}: {error}"),
            "Call the loss and the model on a few rows to find it.",
        ) from error


def _run_stack(
    task: Task,
    dataset: Dataset,
    objective: Objective,
    scaling: Scaling,
    progress: Progress | None,
) -> TaskResult:
    spec = task.spec
    stack = Stack.draw(
        task.seeds,
        dataset.train.features.shape[1],
        spec.model.widths,
        objective.formulation,
        objective.classes,
        shift=spec.training.protocol != "matched",
        dtype=torch.float64 if spec.training.converge else spec.training.torch_dtype,
        device="cpu" if spec.training.converge else spec.training.device,
    )
    if spec.training.converge:
        train = dataset.train
        loss = LinearLoss(
            objective, train.features, train.target, train.weight, spec.training.weight_decay
        )
        trained = converge(stack, loss, spec.training.gradient_norm)
    else:
        trained = _train_by_epochs(stack, objective, dataset, task, scaling, progress)
    outcomes = tuple(
        Outcome(
            seed,
            trained.parameters[i],
            None,
            float(trained.objective[i]),
            float(trained.gradient_norm[i]),
            trained.train_curve[:, i],
            trained.validation_curve[:, i],
            trained.diverged_at[i],
        )
        for i, seed in enumerate(task.seeds)
    )
    return TaskResult(outcomes, trained.timings)


def _train_by_epochs(
    stack: Stack,
    objective: Objective,
    dataset: Dataset,
    task: Task,
    scaling: Scaling,
    progress: Progress | None,
) -> Trained:
    training = task.spec.training
    train, follow = (
        Rows.prepare(part.features, part.target, part.weight, objective, training)
        for part in (dataset.train, curve_part(dataset))
    )
    on_epoch = None
    if progress is not None:
        every = max(1, training.epochs // 100)

        def on_epoch(epoch: int, _: Stack) -> None:
            if epoch % every == 0:
                progress(epoch / training.epochs)

    return train_stack(
        stack, objective, train, follow, training, task.seeds, scaling=scaling, on_epoch=on_epoch
    )


def _run_module(task: Task, dataset: Dataset, objective: Objective, scaling: Scaling) -> TaskResult:
    spec, (seed,) = task.spec, task.seeds
    module = build_module(
        spec.model,
        dataset.train.features.shape[1],
        objective.classes,
        objective.formulation,
        seed,
        shift=spec.training.protocol != "matched",
    )
    train, follow = (
        ModulePart(part.features, part.target, part.weight, spec.training)
        for part in (dataset.train, curve_part(dataset))
    )
    trained = train_module(
        module,
        objective,
        train,
        follow,
        spec.training,
        seed,
        head=spec.model.head,
        scaling=scaling,
    )
    outputs = {
        name: _module_outputs_of(module, part.features, objective, spec)
        for name, part in dataset.parts.items()
    }
    outcome = Outcome(
        seed,
        module_arrays(module),
        outputs,
        trained.objective,
        trained.gradient_norm,
        trained.train_curve,
        trained.validation_curve,
        trained.diverged_at,
    )
    return TaskResult((outcome,), trained.timings)


def _module_outputs_of(
    module: torch.nn.Module, features: Array, objective: Objective, spec: StudySpec
) -> Array:
    rows = torch.from_numpy(features).to(spec.training.device, spec.training.torch_dtype)
    outputs = module_outputs(module, rows, objective.n_outputs)
    return np.asarray(outputs.double().cpu().numpy())
