"""SGD, Adam and AdamW for stacks: torch.optim's updates, without the second that it takes to load.

Importing ``torch.optim`` costs as long as a whole study of a linear model. These three updates are
elementwise, so that one tensor serves the whole stack; tests hold them equal to torch's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from xent.study._training._protocol import Scaling

FIRST_DECAY, SECOND_DECAY, EPSILON = 0.9, 0.999, 1e-8


@dataclass
class Sgd:
    """Gradient descent with momentum and coupled weight decay."""

    parameter: Tensor
    learning_rate: float
    momentum: float
    weight_decay: float
    velocity: Tensor | None = None

    def step(self, gradient: Tensor) -> None:
        """Move the parameter by one step."""
        if self.weight_decay:
            gradient = gradient.add(self.parameter, alpha=self.weight_decay)
        if self.momentum:
            if self.velocity is None:
                self.velocity = gradient.clone()
            else:
                self.velocity.mul_(self.momentum).add_(gradient)
            gradient = self.velocity
        self.parameter.add_(gradient, alpha=-self.learning_rate)


class Adam:
    """Adam (Kingma and Ba, 2015); ``decoupled`` is AdamW (Loshchilov and Hutter, 2019)."""

    def __init__(
        self,
        parameter: Tensor,
        learning_rate: float,
        weight_decay: float,
        epsilon: float,
        *,
        decoupled: bool,
    ) -> None:
        self.parameter = parameter
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.epsilon = epsilon
        self.decoupled = decoupled
        self.first = torch.zeros_like(parameter)
        self.second = torch.zeros_like(parameter)
        self.steps = 0

    def step(self, gradient: Tensor) -> None:
        """Move the parameter by one step."""
        self.steps += 1
        if self.weight_decay and self.decoupled:
            self.parameter.mul_(1 - self.learning_rate * self.weight_decay)
        elif self.weight_decay:
            gradient = gradient.add(self.parameter, alpha=self.weight_decay)
        self.first.lerp_(gradient, 1 - FIRST_DECAY)
        self.second.mul_(SECOND_DECAY).addcmul_(gradient, gradient, value=1 - SECOND_DECAY)
        # sqrt(v / c) + ε, with both sides of the quotient multiplied by sqrt(c).
        correction = math.sqrt(1 - SECOND_DECAY**self.steps)
        size = self.learning_rate * correction / (1 - FIRST_DECAY**self.steps)
        scale = self.second.sqrt().add_(self.epsilon * correction)
        self.parameter.addcdiv_(self.first, scale, value=-size)


def make_optimiser(
    name: str,
    parameter: Tensor,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    scaling: Scaling,
) -> Sgd | Adam:
    """The optimiser of one layer, with the factors of its parametrisation."""
    rate = learning_rate * scaling.learning_rate
    decay = weight_decay * scaling.weight_decay
    if name == "sgd":
        return Sgd(parameter, rate, momentum, decay)
    return Adam(parameter, rate, decay, EPSILON * scaling.epsilon, decoupled=name == "adamw")
