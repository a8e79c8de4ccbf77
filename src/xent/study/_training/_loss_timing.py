"""How long the losses themselves take: forward and backward of torch's own, timed apart.

The fit of built-in models uses gradients written by hand, so that its time says nothing about a
loss function. Here each formulation's real loss runs on outputs of the study's size, the
formulations in turns, so that none has the quiet moments for itself.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from xent.study._data._dataset import Dataset
from xent.study._training._objectives import Objective
from xent.study._training._stacks import TrainingSpec, elapsed, fitting_threads

REPEATS = 9
WARM_UP = 2
MOST_ROWS = 100_000


def time_losses(
    objectives: Sequence[Objective], dataset: Dataset, spec: TrainingSpec
) -> list[list[float]]:
    """Seconds of forward and backward of each objective's mean loss, ``REPEATS`` times each."""
    rows = len(dataset.train.target) if spec.batch_size is None else spec.batch_size
    rows = min(rows, len(dataset.train.target), MOST_ROWS)
    target = torch.from_numpy(dataset.train.target[:rows]).to(spec.device)
    random = np.random.default_rng(0)
    inputs = [
        torch.as_tensor(random.normal(size=(rows, objective.n_outputs)), dtype=spec.torch_dtype)
        .to(spec.device)
        .requires_grad_()
        for objective in objectives
    ]
    widest = max(objective.n_outputs for objective in objectives)
    with fitting_threads(rows * widest):
        return _take_turns(objectives, inputs, target, spec.device)


def _take_turns(
    objectives: Sequence[Objective], inputs: Sequence[Tensor], target: Tensor, device: str
) -> list[list[float]]:
    seconds: list[list[float]] = [[] for _ in objectives]
    for repeat in range(WARM_UP + REPEATS):
        turn = range(len(objectives)) if repeat % 2 else reversed(range(len(objectives)))
        for i in turn:
            inputs[i].grad = None
            start = time.perf_counter()
            objectives[i].mean_loss(inputs[i], target).backward()  # type: ignore[no-untyped-call]
            if repeat >= WARM_UP:
                seconds[i].append(elapsed(start, device))
    return seconds
