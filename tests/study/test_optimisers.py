"""The stacked optimisers, against torch.optim."""

from __future__ import annotations

import pytest
import torch

from xent.study._training._optimisers import make_optimiser
from xent.study._training._protocol import Scaling

DOUBLE = torch.float64

CASES = {
    "sgd": ("sgd", 0.0, 0.0),
    "sgd, momentum": ("sgd", 0.9, 0.0),
    "sgd, momentum and decay": ("sgd", 0.5, 0.03),
    "adam": ("adam", 0.0, 0.0),
    "adam, decay": ("adam", 0.0, 0.03),
    "adamw": ("adamw", 0.0, 0.0),
    "adamw, decay": ("adamw", 0.0, 0.03),
}


def torchs(name, parameter, rate, momentum, decay, epsilon=1e-8):
    if name == "sgd":
        return torch.optim.SGD([parameter], lr=rate, momentum=momentum, weight_decay=decay)
    kind = torch.optim.AdamW if name == "adamw" else torch.optim.Adam
    return kind([parameter], lr=rate, weight_decay=decay, eps=epsilon)


def gradient_at(parameter, step):
    """Gradients of very different sizes, some of them zero for a while."""
    random = torch.Generator().manual_seed(step)
    size = torch.tensor([1e-9, 1.0, 1e3, 0.0 if step < 20 else 1.0], dtype=DOUBLE)
    noise = torch.randn(parameter.shape, generator=random, dtype=DOUBLE)
    return size * (noise + parameter.detach().sin())


@pytest.mark.parametrize(("name", "momentum", "decay"), CASES.values(), ids=CASES)
def test_a_hundred_steps_are_torchs(name, momentum, decay):
    start = torch.linspace(-2, 2, 24, dtype=DOUBLE).view(3, 2, 4)
    own, reference = start.clone(), start.clone().requires_grad_()
    optimiser = make_optimiser(name, own, 0.05, momentum, decay, Scaling())
    other = torchs(name, reference, 0.05, momentum, decay)
    for step in range(100):
        gradient = gradient_at(reference, step)
        optimiser.step(gradient.clone())
        reference.grad = gradient
        other.step()
        # torch divides by sqrt(correction), ours multiplies through: equal but for rounding
        torch.testing.assert_close(own, reference.detach(), rtol=1e-12, atol=1e-12)
    assert (own - start).abs().max() > 0.5


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_scaling_is_torchs_with_the_scaled_settings(name):
    factors = Scaling(learning_rate=0.25, epsilon=2.0, weight_decay=4.0)
    start = torch.linspace(-2, 2, 8, dtype=DOUBLE).view(2, 4)
    own, reference = start.clone(), start.clone().requires_grad_()
    optimiser = make_optimiser(name, own, 0.2, 0.0, 0.01, factors)
    other = torchs(name, reference, 0.05, 0.0, 0.04, epsilon=2e-8)
    for step in range(30):
        gradient = gradient_at(reference, step)
        optimiser.step(gradient.clone())
        reference.grad = gradient
        other.step()
    torch.testing.assert_close(own, reference.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "momentum", "decay"), CASES.values(), ids=CASES)
def test_steps_move_the_parameter_in_place_and_leave_the_gradient(name, momentum, decay):
    parameter = torch.ones(2, 3, dtype=DOUBLE)
    gradient = torch.full((2, 3), 0.5, dtype=DOUBLE)
    optimiser = make_optimiser(name, parameter, 0.1, momentum, decay, Scaling())
    for _ in range(3):
        optimiser.step(gradient)
    assert parameter.max() < 1.0
    assert (gradient == 0.5).all()
