"""Training a module that the user brings: one seed at a time, by autograd and torch's optimisers.

A factory ``factory(n_features, n_outputs)`` returns an ``nn.Module`` that takes features
``(rows, n_features)`` and gives outputs ``(rows, n_outputs)``. Global random state is left as it
was found.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xent._errors import InputError
from xent._links import Array
from xent.study._formulations import Formulation
from xent.study._training._models import DROPOUT, SHIFT, ModelSpec, draw_layer, stream
from xent.study._training._objectives import Objective
from xent.study._training._protocol import Scaling
from xent.study._training._stacks import (
    Timings,
    TrainingSpec,
    batch_order,
    elapsed,
    first_divergence,
    make_lbfgs,
)

EVALUATION_ROWS = 65536


class ModulePart:
    """One part of the data for a module, by rows and on the device.

    Args:
        features: ``(rows, features)`` float64; kept in the dtype of the study.
        target: ``(rows,)`` int64.
        weight: ``(rows,)`` float64 sample weights, or None.
        spec: gives the dtype and the device.
    """

    def __init__(
        self,
        features: Array,
        target: NDArray[np.int64],
        weight: Array | None,
        spec: TrainingSpec,
    ) -> None:
        dtype, device = spec.torch_dtype, spec.device
        self.features = torch.from_numpy(features).to(device, dtype)
        self.target = torch.from_numpy(target).to(device)
        self.weight = None if weight is None else torch.from_numpy(weight).to(device, dtype)

    def __len__(self) -> int:
        return len(self.target)


def build_module(
    model: ModelSpec,
    n_features: int,
    classes: int,
    formulation: Formulation,
    seed: int,
    *,
    shift: bool,
) -> nn.Module:
    """Make the module of one seed; with a named head, from the seed's starting point.

    The starting point is drawn in log-odds form: the factory is called for ``classes - 1`` outputs,
    its body is taken over and its head is mapped into this parametrisation.

    Raises:
        InputError: if the factory gives no module, has no such head, or if more than the head
            changes with the number of outputs.
    """
    factory = model.find_factory()
    n_outputs = formulation.outputs(classes)
    with _seeded(seed):
        module = _require_module(factory(n_features, n_outputs), model)
    contrasts = formulation.contrasts(classes)
    if model.head is None or contrasts is None:
        return module
    if formulation.resolved_link.log_odds_of != "reference":
        return module
    with _seeded(seed):
        start = _require_module(factory(n_features, classes - 1), model)
    _map_start(module, start, model.head, contrasts, seed, shift=shift)
    return module


def _map_start(
    module: nn.Module, start: nn.Module, head: str, contrasts: Array, seed: int, *, shift: bool
) -> None:
    own, source = find_head(module, head), find_head(start, head)
    # A module may be its own head: its name is then empty, and its parameters have no prefix.
    prefix = f"{head}." if head else ""
    body = {k: v for k, v in start.state_dict().items() if not k.startswith(prefix)}
    known = module.state_dict()
    for key, value in body.items():
        if key not in known or known[key].shape != value.shape:
            raise InputError(
                "compare: --head",
                "the only part of the model whose shape depends on n_outputs",
                f"{head!r}, while {key} changes too",
                "Leave --head out, or build the rest of the model from n_features alone.",
            )
    module.load_state_dict(body, strict=False)
    inverse = np.linalg.pinv(contrasts)
    n_outputs, n_in = own.weight.shape
    moved = np.zeros((n_outputs, n_in + 1))
    if shift and n_outputs > len(contrasts):
        moved += draw_layer(stream(seed, SHIFT), 1, n_in)
    weight = inverse @ source.weight.detach().double().numpy() + moved[:, :-1]
    with torch.no_grad():
        own.weight.copy_(torch.from_numpy(weight))
        if own.bias is not None:
            bias = inverse @ source.bias.detach().double().numpy() + moved[:, -1]
            own.bias.copy_(torch.from_numpy(bias))


def find_head(module: nn.Module, name: str) -> nn.Linear:
    """The final ``nn.Linear`` that the user named.

    Raises:
        InputError: if there is none of that name, or it is something else.
    """
    names = dict(module.named_modules())
    found = names.get(name)
    if not isinstance(found, nn.Linear):
        linear = [key for key, value in names.items() if isinstance(value, nn.Linear)]
        raise InputError(
            "compare: --head",
            "the name of the model's final nn.Linear",
            f"{name!r} ({'no such module' if found is None else type(found).__name__})",
            f"Its nn.Linear modules are: {', '.join(map(repr, linear)) or 'none'}.",
        )
    return found


def _require_module(made: object, model: ModelSpec) -> nn.Module:
    if not isinstance(made, nn.Module):
        raise InputError(
            "compare: --model",
            "a factory(n_features, n_outputs) that returns an nn.Module",
            f"{type(made).__name__} from {model.kind}",
            "Return the module itself.",
        )
    return made


@dataclass(frozen=True, eq=False)
class ModuleTrained:
    """A trained module and what its training gave, as one member of a stack.

    Args:
        module: the module itself, in evaluation mode.
        objective: mean objective on the training part at the end, in evaluation mode.
        gradient_norm: norm of its gradient.
        train_curve: ``(epochs,)`` mean objective of the steps of each epoch, in training mode.
        validation_curve: after each epoch, in evaluation mode; NaN where it was not followed.
        timings: of this module alone.
        diverged_at: epoch (from 1) in which the objective stopped being finite, or None.
    """

    module: nn.Module
    objective: float
    gradient_norm: float
    train_curve: Array
    validation_curve: Array
    timings: Timings
    diverged_at: int | None = field(init=False)

    def __post_init__(self) -> None:
        one_step = len(self.timings.step) == len(self.train_curve)
        diverged_at = first_divergence(self.train_curve, self.objective, one_step=one_step)
        object.__setattr__(self, "diverged_at", diverged_at)


def train_module(
    module: nn.Module,
    objective: Objective,
    train: ModulePart,
    validation: ModulePart | None,
    spec: TrainingSpec,
    seed: int,
    *,
    head: str | None = None,
    scaling: Scaling | None = None,
) -> ModuleTrained:
    """Train one module from where it stands; dropout draws from the seed, not from global state."""
    module = module.to(spec.device, spec.torch_dtype)
    optimizer = _optimizer(module, spec, head, scaling or Scaling())
    train_curve, validation_curve = np.zeros(spec.epochs), np.full(spec.epochs, np.nan)
    timings = Timings()
    begin = time.perf_counter()
    with _seeded(int(stream(seed, DROPOUT).integers(2**63)), spec.device):
        for epoch in range(spec.epochs):
            module.train()
            for rows, share in _batches(train, spec, seed, epoch, timings):
                start = time.perf_counter()
                value = _step(module, objective, rows, spec, optimizer)
                train_curve[epoch] += value * share
                timings.step.append(elapsed(start, spec.device))
            if validation is not None:
                start = time.perf_counter()
                validation_curve[epoch] = module_objective(module, objective, validation)
                timings.evaluation.append(elapsed(start, spec.device))
        timings.fit = elapsed(begin, spec.device)
        final, norm = _final_objective(module, objective, train)
    return ModuleTrained(module, final, norm, train_curve, validation_curve, timings)


def _final_objective(
    module: nn.Module, objective: Objective, part: ModulePart
) -> tuple[float, float]:
    """Mean objective on the training part in evaluation mode, and the norm of its gradient."""
    module.eval()
    module.zero_grad()
    total = 0.0
    share = objective.row_weights(part.target, part.weight, part.features.dtype).sum()
    for first in range(0, len(part), EVALUATION_ROWS):
        rows = slice(first, first + EVALUATION_ROWS)
        outputs = require_outputs(
            module(part.features[rows]), len(part.target[rows]), objective.n_outputs
        )
        losses = objective.row_loss(outputs, part.target[rows])
        loss = (losses if part.weight is None else losses * part.weight[rows]).sum() / share
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    squares = [
        p.grad.double().square().sum().item() for p in module.parameters() if p.grad is not None
    ]
    module.zero_grad()
    return total, math.sqrt(sum(squares))


@contextmanager
def _seeded(seed: int, device: str = "cpu") -> Iterator[None]:
    """Torch's random numbers from this seed, on the processor and the device, for a while."""
    cuda = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=cuda):
        if not (cuda or device == "cpu"):
            torch.manual_seed(seed)
        # torch.manual_seed would seed the devices that are not restored, too.
        torch.default_generator.manual_seed(seed)
        for own in cuda:
            with torch.cuda.device(own):
                torch.cuda.manual_seed(seed)
        yield


Batch = tuple[Tensor, Tensor, Tensor | None]


def _batches(
    part: ModulePart, spec: TrainingSpec, seed: int, epoch: int, timings: Timings
) -> Iterator[tuple[Batch, float]]:
    if spec.batch_size is None:
        yield (part.features, part.target, part.weight), 1.0
        return
    start = time.perf_counter()
    order = torch.from_numpy(batch_order(seed, epoch, len(part))).to(spec.device)
    for first in range(0, len(part), spec.batch_size):
        rows = order[first : first + spec.batch_size]
        weight = None if part.weight is None else part.weight[rows]
        batch = part.features[rows], part.target[rows], weight
        timings.data.append(elapsed(start, spec.device))
        yield batch, len(rows) / len(part)
        start = time.perf_counter()


def _step(
    module: nn.Module,
    objective: Objective,
    batch: Batch,
    spec: TrainingSpec,
    optimizer: torch.optim.Optimizer,
) -> float:
    features, target, weight = batch
    first: list[float] = []

    def closure() -> float:
        optimizer.zero_grad()
        outputs = require_outputs(module(features), len(features), objective.n_outputs)
        loss = objective.mean_loss(outputs, target, weight)
        first.append(loss.item())
        if spec.optimizer == "lbfgs" and spec.weight_decay:
            squares = [p.square().sum() for p in module.parameters() if p.requires_grad]
            loss = loss + 0.5 * spec.weight_decay * torch.stack(squares).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    if spec.optimizer == "lbfgs":
        optimizer.step(closure)
    else:
        closure()
        optimizer.step()
    return first[0]


def require_outputs(outputs: object, rows: int, n_outputs: int) -> Tensor:
    """Check what a module gave.

    Raises:
        InputError: if it is not a tensor ``(rows, n_outputs)``.
    """
    if isinstance(outputs, Tensor) and outputs.shape == (rows, n_outputs):
        return outputs
    found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
    raise InputError(
        "compare: --model: outputs",
        f"a tensor of shape (rows, n_outputs) = ({rows}, {n_outputs})",
        str(found),
        "Return one column an output, also when there is only one.",
    )


def _optimizer(
    module: nn.Module, spec: TrainingSpec, head: str | None, scaling: Scaling
) -> torch.optim.Optimizer:
    own = list(find_head(module, head).parameters()) if head is not None else []
    known = {id(parameter) for parameter in own}
    body = [p for p in module.parameters() if id(p) not in known]
    if not any(p.requires_grad for p in module.parameters()):
        raise InputError(
            "compare: --model",
            "a module with parameters to train",
            "none",
            "Add at least one nn.Linear.",
        )
    if spec.optimizer == "lbfgs":
        return make_lbfgs([*body, *own], spec)
    groups: list[dict[str, object]] = [{"params": body}] if body else []
    if own:
        groups.append(
            {
                "params": own,
                "lr": spec.learning_rate * scaling.learning_rate,
                "weight_decay": spec.weight_decay * scaling.weight_decay,
            }
        )
    rate, decay = spec.learning_rate, spec.weight_decay
    if spec.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=spec.momentum, weight_decay=decay)
    if own:
        groups[-1]["eps"] = 1e-8 * scaling.epsilon
    if spec.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate, weight_decay=decay)
    return torch.optim.Adam(groups, lr=rate, weight_decay=decay)


def module_outputs(module: nn.Module, features: Tensor, n_outputs: int) -> Tensor:
    """Outputs in evaluation mode, by blocks of rows; the mode is left as it was found."""
    training = module.training
    cuda = [features.device] if features.device.type == "cuda" else []
    module.eval()
    with torch.no_grad(), torch.random.fork_rng(devices=cuda):
        outputs = [
            require_outputs(module(block), len(block), n_outputs)
            for block in torch.split(features, EVALUATION_ROWS)
        ]
    module.train(training)
    return torch.cat(outputs)


def module_objective(module: nn.Module, objective: Objective, part: ModulePart) -> float:
    """Mean objective on a part, in evaluation mode."""
    outputs = module_outputs(module, part.features, objective.n_outputs)
    return objective.mean_loss(outputs, part.target, part.weight).item()


def module_arrays(module: nn.Module) -> dict[str, Array]:
    """The state of the module as arrays by name, without pickle."""
    return {
        name: np.array(value.detach().to("cpu", torch.float64).numpy())
        for name, value in module.state_dict().items()
    }
