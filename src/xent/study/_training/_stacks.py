"""Training all seeds of one formulation at once, by blocks of rows that stay in the cache.

The data live in memory as tensors; nothing is collated. Steps, data (the gathering of batches) and
evaluation (the validation curve) are timed apart. A member of the stack that turns NaN or infinite
is a result ("diverged"), not an error: the members don't touch each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xent._links import Array
from xent.study._training._models import ORDER, Stack, stream
from xent.study._training._objectives import Objective
from xent.study._training._optimisers import Adam, Sgd, make_optimiser
from xent.study._training._protocol import Scaling
from xent.study._training._stack_losses import Targets

# Activations of one block: 2^18 floats are 1 MiB, the second-level cache of a core.
BLOCK_ACTIVATIONS = 2**18
SMALLEST_BLOCK = 256
# Measured on two cores: below this a second thread gains less than 1.3 times.
ACTIVATIONS_PER_THREAD = 2**19


@dataclass(frozen=True)
class TrainingSpec:
    """How models are trained.

    Args:
        optimizer: ``adam``, ``adamw``, ``sgd`` or ``lbfgs`` (torch's; one epoch of lbfgs is one
            iteration with its line search).
        learning_rate: as written; ``protocol`` says what it is a step of.
        epochs: passes over the training part.
        batch_size: rows of a step; None is the whole training part.
        momentum: of sgd.
        weight_decay: as the optimiser takes it.
        protocol: ``as-written`` or ``matched`` (steps equal in log-odds).
        converge: Newton to ``gradient_norm`` in float64 instead of epochs (linear models).
        gradient_norm: largest norm of the gradient of the mean loss that counts as converged.
        device: where tensors live, such as ``cpu`` or ``cuda``.
        dtype: ``float32`` or ``float64``.
    """

    optimizer: str = "adam"
    learning_rate: float = 0.1
    epochs: int = 50
    batch_size: int | None = None
    momentum: float = 0.0
    weight_decay: float = 0.0
    protocol: str = "as-written"
    converge: bool = False
    gradient_norm: float = 1e-9
    device: str = "cpu"
    dtype: str = "float32"

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype as torch's."""
        return torch.float64 if self.dtype == "float64" else torch.float32


@dataclass(frozen=True)
class Rows:
    """One part of the data as tensors: features with a last column of ones, and the target.

    Args:
        columns: ``(features + 1, n)``, for blocks of rows.
        by_row: ``(n, features + 1)``, for batches; None where there are none.
        targets: what the objective reads.
    """

    columns: Tensor
    by_row: Tensor | None
    targets: Targets

    @classmethod
    def prepare(
        cls,
        features: Array,
        target: NDArray[np.int64],
        weight: Array | None,
        objective: Objective,
        spec: TrainingSpec,
    ) -> Rows:
        """Move one part to the device."""
        dtype, device = spec.torch_dtype, spec.device
        columns = torch.empty((features.shape[1] + 1, len(features)), dtype=dtype, device=device)
        columns[:-1] = torch.from_numpy(features).to(device).T
        columns[-1] = 1.0
        index = torch.from_numpy(target).to(device)
        sample_weight = None if weight is None else torch.from_numpy(weight).to(device)
        by_row = None if spec.batch_size is None else columns.T.contiguous()
        return cls(columns, by_row, objective.targets(index, sample_weight, dtype))

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.columns.shape[1]


@dataclass
class Timings:
    """Seconds of each step, of each batch's data and of each evaluation, and of the whole fit."""

    step: list[float] = field(default_factory=list)
    data: list[float] = field(default_factory=list)
    evaluation: list[float] = field(default_factory=list)
    fit: float = 0.0


@dataclass(frozen=True)
class Trained:
    """What training one stack gave.

    Args:
        parameters: of each member, float64 arrays by layer name.
        objective: mean objective on the training part at the final parameters, by training's code,
            without any penalty.
        gradient_norm: norm of its gradient there, of each member.
        train_curve: ``(epochs, stack)`` mean objective of the steps of each epoch (before each
            step); validation_curve: after each epoch.
        diverged_at: epoch (from 1) in which a member's objective stopped being finite, or None.
        timings: of the stack.
    """

    parameters: list[dict[str, Array]]
    objective: Array
    gradient_norm: Array
    train_curve: Array
    validation_curve: Array
    diverged_at: list[int | None]
    timings: Timings


OnEpoch = Callable[[int, Stack], None]


def train_stack(
    stack: Stack,
    objective: Objective,
    train: Rows,
    validation: Rows | None,
    spec: TrainingSpec,
    seeds: Sequence[int],
    *,
    scaling: Scaling | None = None,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """Train every member of the stack from where it stands.

    Args:
        stack: starting points; its tensors are changed in place.
        objective: the loss.
        train: rows to train on.
        validation: rows of the validation curve, or None.
        spec: how to train.
        seeds: of the members; they decide the order of batches.
        scaling: factors of the matched protocol for the head.
        on_epoch: called after each epoch with its number from 1 and the stack; lbfgs takes the
            members in turn, so that there an epoch is as many steps as the stack has members.
    """
    with fitting_threads(train.n * stack.layers[0].shape[0] * stack.widest):
        if spec.optimizer == "lbfgs":
            return _train_one_by_one(stack, objective, train, validation, spec, on_epoch)
        optimisers = make_optimisers(stack, spec, scaling or Scaling())
        return _train_together(
            stack, objective, train, validation, spec, seeds, optimisers, on_epoch
        )


@contextmanager
def fitting_threads(activations: int) -> Iterator[None]:
    """As many of torch's threads as a pass over so many activations can feed.

    Each operation ends with all threads waiting for one another. For small ones that gains nothing,
    and where other work shares the cores it costs a time slice each: a hundred times the operation.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(before, activations // ACTIVATIONS_PER_THREAD)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train_together(
    stack: Stack,
    objective: Objective,
    train: Rows,
    validation: Rows | None,
    spec: TrainingSpec,
    seeds: Sequence[int],
    optimisers: Sequence[Sgd | Adam],
    on_epoch: OnEpoch | None,
) -> Trained:
    train_curve: list[Tensor] = []
    validation_curve: list[Tensor] = []
    timings = Timings()
    begin = time.perf_counter()
    with torch.no_grad():
        for epoch in range(spec.epochs):
            values: list[Tensor] = []
            for rows, targets, share in _batches(train, spec, seeds, epoch, timings):
                start = time.perf_counter()
                value, gradients = _accumulate(stack, objective, rows, targets)
                for optimiser, gradient in zip(optimisers, gradients, strict=True):
                    optimiser.step(gradient)
                values.append(value if share == 1.0 else value.mul_(share))
                timings.step.append(elapsed(start, spec.device))
            train_curve.append(values[0] if len(values) == 1 else torch.stack(values).sum(0))
            if validation is not None:
                start = time.perf_counter()
                validation_curve.append(mean_objective(stack, objective, validation))
                timings.evaluation.append(elapsed(start, spec.device))
            if on_epoch is not None:
                on_epoch(epoch + 1, stack)
    timings.fit = elapsed(begin, spec.device)
    return _finish(stack, objective, train, train_curve, validation_curve, timings)


def make_optimisers(stack: Stack, spec: TrainingSpec, scaling: Scaling) -> list[Sgd | Adam]:
    """One optimiser a layer; only the head has the factors of its parametrisation."""
    body = [Scaling()] * (len(stack.layers) - 1)
    return [
        make_optimiser(
            spec.optimizer, layer, spec.learning_rate, spec.momentum, spec.weight_decay, factors
        )
        for layer, factors in zip(stack.layers, [*body, scaling], strict=True)
    ]


def _accumulate(
    stack: Stack, objective: Objective, rows: Tensor, targets: Targets
) -> tuple[Tensor, list[Tensor]]:
    """Mean loss of each member and its gradients, one tensor a layer."""
    value: Tensor | None = None
    sums: list[Tensor] = []
    for features, part in _blocks(stack, rows, targets):
        outputs, inputs = stack.forward(features)
        own, slope = objective.value_and_gradient(outputs, part)
        gradients = stack.backward(features, inputs, slope)
        if value is None:
            value, sums = own, gradients
        else:
            value = value.double().add_(own)
            for total, gradient in zip(sums, gradients, strict=True):
                total.add_(gradient)
    assert value is not None
    denominator = targets.denominator()
    scale = denominator if isinstance(denominator, float) else denominator.view(-1, 1, 1)
    return value.div_(denominator), [total.div_(scale) for total in sums]


def mean_objective(stack: Stack, objective: Objective, rows: Rows) -> Tensor:
    """Mean objective of each member on a part, ``(stack,)`` float64."""
    value: Tensor | None = None
    for features, part in _blocks(stack, rows.columns, rows.targets):
        own = objective.value(stack.forward(features)[0], part)
        value = own if value is None else value.double().add_(own)
    assert value is not None
    return value.div_(rows.targets.denominator())


def _blocks(stack: Stack, rows: Tensor, targets: Targets) -> Iterator[tuple[Tensor, Targets]]:
    """Blocks of rows whose activations stay in the cache, each with its targets."""
    n = rows.shape[-1]
    most = max(SMALLEST_BLOCK, BLOCK_ACTIVATIONS // (stack.layers[0].shape[0] * stack.widest))
    if n <= most:
        yield rows, targets
        return
    for start in range(0, n, most):
        stop = min(start + most, n)
        yield rows[..., start:stop], targets.rows(start, stop)


def _batches(
    train: Rows, spec: TrainingSpec, seeds: Sequence[int], epoch: int, timings: Timings
) -> Iterator[tuple[Tensor, Targets, float]]:
    """Batches of one epoch: rows, targets and the share of the epoch that each is."""
    if spec.batch_size is None or train.by_row is None:
        yield train.columns, train.targets, 1.0
        return
    start = time.perf_counter()
    order = torch.from_numpy(np.stack([batch_order(seed, epoch, train.n) for seed in seeds]))
    order = order.to(spec.device)
    for first in range(0, train.n, spec.batch_size):
        rows = order[:, first : first + spec.batch_size]
        features = train.by_row[rows].transpose(1, 2)
        targets = train.targets.gather(rows)
        timings.data.append(elapsed(start, spec.device))
        yield features, targets, rows.shape[1] / train.n
        start = time.perf_counter()


def batch_order(seed: int, epoch: int, n: int) -> NDArray[np.int64]:
    """The order of the rows in this epoch of this seed, the same for every formulation."""
    return stream(seed, ORDER, epoch).permutation(n)


def elapsed(start: float, device: str) -> float:
    """Seconds since ``start`` (of ``time.perf_counter``), the device's work included."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


@torch.no_grad()
def _finish(
    stack: Stack,
    objective: Objective,
    train: Rows,
    train_curve: Sequence[Tensor],
    validation_curve: Sequence[Tensor],
    timings: Timings,
) -> Trained:
    final, gradients = _accumulate(stack, objective, train.columns, train.targets)
    norms = torch.stack([gradient.double().square().sum((1, 2)) for gradient in gradients])
    curve = torch.stack(list(train_curve)).double().cpu().numpy()
    followed = np.full_like(curve, np.nan)
    if len(validation_curve):
        followed = torch.stack(list(validation_curve)).double().cpu().numpy()
    values = final.double().cpu().numpy()
    return Trained(
        [stack.arrays(member) for member in range(len(values))],
        values,
        norms.sum(0).sqrt().cpu().numpy(),
        curve,
        followed,
        [
            first_divergence(curve[:, i], values[i], one_step=len(timings.step) == len(curve))
            for i in range(len(values))
        ],
        timings,
    )


def first_divergence(curve: Array, final: float, *, one_step: bool) -> int | None:
    """Epoch (from 1) after which the objective was no longer finite, or None.

    Args:
        curve: ``(epochs,)``, each the mean objective before the steps of its epoch.
        final: the objective after the last epoch.
        one_step: whether an epoch is a single step.
    """
    broken = np.flatnonzero(~np.isfinite(curve))
    if len(broken):
        # The curve holds the objective before each step. Where an epoch is one step, it was the
        # epoch before that broke it.
        return max(int(broken[0]) + (0 if one_step else 1), 1)
    return None if np.isfinite(final) else len(curve)


def _train_one_by_one(
    stack: Stack,
    objective: Objective,
    train: Rows,
    validation: Rows | None,
    spec: TrainingSpec,
    on_epoch: OnEpoch | None,
) -> Trained:
    """L-BFGS sees all of its parameters as one vector, so that members can't share one."""
    results: list[Trained] = []
    members = len(stack.layers[0])
    for member in range(members):
        single = Stack([layer[member : member + 1].clone() for layer in stack.layers])

        def on_own_epoch(epoch: int, _: Stack, done: int = member * spec.epochs) -> None:
            if on_epoch is not None and (done + epoch) % members == 0:
                on_epoch((done + epoch) // members, stack)

        results.append(_train_lbfgs(single, objective, train, validation, spec, on_own_epoch))
        for layer, own in zip(stack.layers, single.layers, strict=True):
            layer[member] = own[0]
    return Trained(
        [result.parameters[0] for result in results],
        np.concatenate([result.objective for result in results]),
        np.concatenate([result.gradient_norm for result in results]),
        np.hstack([result.train_curve for result in results]),
        np.hstack([result.validation_curve for result in results]),
        [result.diverged_at[0] for result in results],
        Timings(
            [s for result in results for s in result.timings.step],
            [],
            [s for result in results for s in result.timings.evaluation],
            sum(result.timings.fit for result in results),
        ),
    )


def make_lbfgs(parameters: Sequence[Tensor], spec: TrainingSpec) -> torch.optim.LBFGS:
    """Torch's L-BFGS, one iteration a step, that stops at the rounding of the dtype."""
    # Torch's own tolerances suit float32: in float64 they leave half of the digits unused.
    rounding = torch.finfo(spec.torch_dtype).eps
    return torch.optim.LBFGS(
        parameters,
        lr=spec.learning_rate,
        max_iter=1,
        tolerance_grad=rounding,
        tolerance_change=rounding / 100,
        line_search_fn="strong_wolfe",
    )


def _train_lbfgs(
    stack: Stack,
    objective: Objective,
    train: Rows,
    validation: Rows | None,
    spec: TrainingSpec,
    on_epoch: OnEpoch,
) -> Trained:
    optimizer = make_lbfgs(stack.layers, spec)
    train_curve: list[Tensor] = []
    validation_curve: list[Tensor] = []
    timings = Timings()
    seen: list[Tensor] = []
    begin = time.perf_counter()

    def closure() -> float:
        value, gradients = _accumulate(stack, objective, train.columns, train.targets)
        seen.append(value)
        for layer, gradient in zip(stack.layers, gradients, strict=True):
            layer.grad = gradient.contiguous()
            if spec.weight_decay:
                layer.grad.add_(layer, alpha=spec.weight_decay)
                value = value + 0.5 * spec.weight_decay * layer.square().sum()
        return float(value)

    with torch.no_grad():
        for epoch in range(spec.epochs):
            start = time.perf_counter()
            seen.clear()
            optimizer.step(closure)  # type: ignore[no-untyped-call]
            train_curve.append(seen[0])
            timings.step.append(elapsed(start, spec.device))
            if validation is not None:
                start = time.perf_counter()
                validation_curve.append(mean_objective(stack, objective, validation))
                timings.evaluation.append(elapsed(start, spec.device))
            on_epoch(epoch + 1, stack)
    timings.fit = elapsed(begin, spec.device)
    return _finish(stack, objective, train, train_curve, validation_curve, timings)
