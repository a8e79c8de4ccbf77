"""The models of a study: stacks of perceptrons, and modules that the user brings.

A stack holds the same model for every seed at once. Its parameters are tensors
``(stack, out, in + 1)``, the bias in the last column, and rows of data run along the last axis:
activations are ``(stack, width, rows)``. A linear model is a perceptron without hidden layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from xent._errors import InputError
from xent._links import Array
from xent.study._formulations import Formulation, import_by_path
from xent.study._training._scratch import Scratch

Factory = Callable[[int, int], torch.nn.Module]


@dataclass(frozen=True)
class ModelSpec:
    """Which model is trained.

    Args:
        kind: ``"linear"``, ``"mlp"`` or ``"package.module:factory"``.
        widths: hidden widths of an mlp.
        head: name of the final ``nn.Linear`` of a factory's module; with it seeds are paired by
            starting point, without it by seed only.
        factory: a factory itself, from Python.
    """

    kind: str = "linear"
    widths: tuple[int, ...] = ()
    head: str | None = None
    factory: Factory | None = None

    @property
    def built_in(self) -> bool:
        """Whether seeds train as one stack."""
        return self.factory is None and self.kind in ("linear", "mlp")

    @property
    def pairs_start(self) -> bool:
        """Whether the starting point can be mapped into each parametrisation."""
        return self.built_in or self.head is not None

    def find_factory(self) -> Factory:
        """The factory of a user's model, imported by name if need be."""
        if self.factory is not None:
            return self.factory
        found = import_by_path(self.kind, "compare: --model")
        if not callable(found):
            raise InputError(
                "compare: --model",
                "linear, mlp or package.module:factory",
                f"{self.kind} of type {type(found).__name__}",
                "Name a function factory(n_features, n_outputs) that returns an nn.Module.",
            )
        return found


def stream(seed: int, *purpose: int) -> np.random.Generator:
    """Random numbers of one purpose of one seed; the global states are never touched."""
    return np.random.default_rng(np.random.SeedSequence([seed, *purpose]))


BODY, HEAD, SHIFT, ORDER, DROPOUT = range(5)


def draw_layer(random: np.random.Generator, n_out: int, n_in: int) -> Array:
    """One layer ``(out, in + 1)`` by the law of ``nn.Linear``: uniform in ±1 / sqrt(in)."""
    bound = 1.0 / np.sqrt(n_in)
    return random.uniform(-bound, bound, size=(n_out, n_in + 1))


def draw_head(
    seed: int, n_in: int, classes: int, formulation: Formulation, *, shift: bool
) -> Array:
    """The head ``(outputs, in + 1)`` that has this seed's log-odds in this parametrisation.

    The log-odds against class 0 are drawn once a seed. The outputs that stand for them are the
    smallest ones, plus (``shift``) a random part that the probabilities can't see: two logits moved
    up or down together, as any initialisation of ``nn.Linear(n, 2)`` has it.
    """
    log_odds = draw_layer(stream(seed, HEAD), classes - 1, n_in)
    contrasts = formulation.contrasts(classes)
    n_outputs = formulation.outputs(classes)
    if contrasts is None or formulation.resolved_link.log_odds_of != "reference":
        return draw_layer(stream(seed, HEAD), n_outputs, n_in)
    head = np.linalg.pinv(contrasts) @ log_odds
    if shift and n_outputs > len(contrasts):
        head = head + draw_layer(stream(seed, SHIFT), 1, n_in)
    return np.asarray(head)


class Stack:
    """One perceptron a seed, trained together.

    Args:
        layers: parameters of each layer, ``(stack, out, in + 1)``, the head last.
    """

    def __init__(self, layers: Sequence[Tensor]) -> None:
        self.layers = list(layers)
        self.scratch = Scratch()

    @classmethod
    def draw(
        cls,
        seeds: Sequence[int],
        n_features: int,
        widths: Sequence[int],
        formulation: Formulation,
        classes: int,
        *,
        shift: bool,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
    ) -> Stack:
        """Draw the starting points of all seeds, paired between formulations."""
        sizes = [n_features, *widths]
        layers: list[list[Array]] = [[] for _ in sizes]
        for seed in seeds:
            random = stream(seed, BODY)
            for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
                layers[layer].append(draw_layer(random, n_out, n_in))
            layers[-1].append(draw_head(seed, sizes[-1], classes, formulation, shift=shift))
        return cls([torch.as_tensor(np.stack(a), dtype=dtype, device=device) for a in layers])

    @property
    def widest(self) -> int:
        """Largest number of activations a row and member: what blocks of rows are sized by."""
        return max(layer.shape[1] for layer in self.layers)

    def forward(self, features: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Outputs ``(stack, outputs, rows)`` and the inputs of each layer but the first.

        Args:
            features: ``(in + 1, rows)`` shared by the stack, or ``(stack, in + 1, rows)``; the last
                row is ones.
        """
        first, *rest = self.layers
        if features.ndim == 2:
            stack, n_out, n_in = first.shape
            flat = self.scratch.take("first", (stack * n_out, features.shape[1]), features)
            torch.mm(first.view(stack * n_out, n_in), features, out=flat)
            outputs = flat.view(stack, n_out, -1)
        else:
            outputs = torch.bmm(first, features)
        inputs: list[Tensor] = []
        for layer in rest:
            hidden = outputs.relu_()
            inputs.append(hidden)
            outputs = torch.baddbmm(layer[:, :, -1:], layer[:, :, :-1], hidden)
        return outputs, inputs

    def backward(self, features: Tensor, inputs: list[Tensor], slope: Tensor) -> list[Tensor]:
        """Gradients of the layers from the gradient of the outputs."""
        gradients: list[Tensor] = []
        for layer, hidden in zip(self.layers[:0:-1], inputs[::-1], strict=True):
            weight = torch.bmm(slope, hidden.transpose(1, 2))
            gradients.append(torch.cat([weight, slope.sum(2, keepdim=True)], dim=2))
            slope = torch.bmm(layer[:, :, :-1].transpose(1, 2), slope)
            slope.mul_(hidden > 0)
        if features.ndim == 2:
            flat = slope.reshape(-1, slope.shape[-1])
            gradients.append(torch.mm(features, flat.T).T.reshape(self.layers[0].shape))
        else:
            gradients.append(torch.bmm(slope, features.transpose(1, 2)))
        return gradients[::-1]

    def arrays(self, member: int) -> dict[str, Array]:
        """Copies of the parameters of one member as float64 arrays, by layer name."""
        last = len(self.layers) - 1
        return {
            "head" if i == last else f"layer{i + 1}": _copied(layer[member])
            for i, layer in enumerate(self.layers)
        }


def _copied(tensor: Tensor) -> Array:
    return np.array(tensor.detach().to("cpu", torch.float64).numpy())


def perceptron_outputs(parameters: dict[str, Array], features: Array) -> Array:
    """Outputs ``(rows, outputs)`` of one member in float64 NumPy: evaluation's own forward pass.

    It shares no code with training, so that a slip in either shows as a difference.
    """
    *hidden, head = parameters.values()
    activations = features
    for layer in hidden:
        activations = np.maximum(activations @ layer[:, :-1].T + layer[:, -1], 0.0)
    return np.asarray(activations @ head[:, :-1].T + head[:, -1])
