"""Stacks of perceptrons and their starting points."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from xent._errors import InputError
from xent._links import Link
from xent.study._formulations import BUILT_IN, Formulation
from xent.study._training._models import (
    BODY,
    HEAD,
    ModelSpec,
    Stack,
    draw_head,
    draw_layer,
    perceptron_outputs,
    stream,
)
from xent.study._training._scratch import Scratch

DOUBLE = torch.float64
SEEDS = (0, 1, 7)


def draw(name, classes=2, widths=(), shift=True, seeds=SEEDS, n_features=4):
    return Stack.draw(seeds, n_features, widths, BUILT_IN[name], classes, shift=shift, dtype=DOUBLE)


def log_odds(stack, name, classes=2):
    contrasts = torch.from_numpy(BUILT_IN[name].contrasts(classes))
    return contrasts @ stack.layers[-1]


@pytest.mark.parametrize("widths", [(), (5, 3)])
@pytest.mark.parametrize("shift", [True, False])
def test_every_binary_formulation_starts_at_the_same_log_odds(widths, shift):
    expected = log_odds(draw("bce", widths=widths), "bce")
    for name in ("ce1", "ce2", "ce"):
        stack = draw(name, widths=widths, shift=shift)
        torch.testing.assert_close(log_odds(stack, name), expected, rtol=1e-15, atol=1e-15)
        for own, reference in zip(
            stack.layers[:-1], draw("bce", widths=widths).layers[:-1], strict=True
        ):
            assert torch.equal(own, reference)


def test_three_classes_start_at_the_log_odds_that_were_drawn():
    expected = np.stack([draw_layer(stream(seed, HEAD), 2, 4) for seed in SEEDS])
    for shift in (True, False):
        found = log_odds(draw("ce", classes=3, shift=shift), "ce", 3)
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-15)


def test_as_written_has_a_shift_that_matched_has_not():
    written, matched = draw("ce2").layers[0], draw("ce2", shift=False).layers[0]
    assert (written.sum(1).abs().amax(1) > 0.01).all()
    torch.testing.assert_close(matched.sum(1), torch.zeros(3, 5, dtype=DOUBLE), rtol=0, atol=1e-16)
    for name in ("bce", "ce1"):
        assert torch.equal(draw(name).layers[0], draw(name, shift=False).layers[0])


@pytest.mark.parametrize("name", ["bce", "ce2", "ovr"])
def test_seeds_differ_and_do_not_depend_on_their_neighbours(name):
    together = draw(name, widths=(3,))
    for member, seed in enumerate(SEEDS):
        alone = draw(name, widths=(3,), seeds=(seed,))
        for own, stacked in zip(alone.layers, together.layers, strict=True):
            assert torch.equal(own[0], stacked[member])
    for layer in together.layers:
        assert not torch.equal(layer[0], layer[1])


def test_heads_without_log_odds_against_a_reference_are_drawn_as_they_are():
    mine = Formulation("mine", "", lambda k: k, lambda z, y: z[:, 0], Link("l", "", abs, None))
    for formulation in (BUILT_IN["ovr"], mine):
        head = draw_head(3, 4, 3, formulation, shift=True)
        np.testing.assert_array_equal(head, draw_layer(stream(3, HEAD), 3, 4))


def test_layers_follow_the_law_of_linear_layers():
    layer = draw_layer(stream(0, BODY), 200, 16)
    assert layer.shape == (200, 17)
    assert np.abs(layer).max() <= 0.25
    # nn.Linear draws uniformly in ±1 / sqrt(in), weights and bias alike
    assert layer.std() == pytest.approx(0.25 / np.sqrt(3), rel=0.02)
    assert nn.Linear(16, 200).weight.abs().max().item() <= 0.25


def test_streams_leave_the_global_state_and_differ_by_purpose():
    before = np.random.get_state()[1].copy()
    draws = {tuple(stream(*key).integers(2**40, size=2)) for key in [(0, 0), (0, 1), (1, 0)]}
    assert len(draws) == 3
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def as_module(stack, member):
    """The same perceptron of torch's own layers."""
    layers = []
    for layer in stack.layers:
        n_out, n_in = layer.shape[1], layer.shape[2] - 1
        linear = nn.Linear(n_in, n_out, dtype=DOUBLE)
        linear.weight.data = layer[member, :, :-1].clone()
        linear.bias.data = layer[member, :, -1].clone()
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("widths", [(), (6,), (5, 3)])
@pytest.mark.parametrize("shared", [True, False], ids=["shared rows", "own rows"])
def test_forward_and_backward_are_torchs(widths, shared):
    stack = draw("ce2", widths=widths)
    random = torch.Generator().manual_seed(0)
    shape = (20, 4) if shared else (3, 20, 4)
    rows = torch.randn(shape, generator=random, dtype=DOUBLE)
    slopes = torch.randn(3, 2, 20, generator=random, dtype=DOUBLE)
    ones = torch.ones(*shape[:-1], 1, dtype=DOUBLE)
    features = torch.cat([rows, ones], dim=-1).transpose(-1, -2)
    outputs, inputs = stack.forward(features)
    gradients = stack.backward(features, inputs, slopes.clone())
    for member in range(3):
        module = as_module(stack, member)
        expected = module(rows if shared else rows[member])
        torch.testing.assert_close(outputs[member].T, expected, rtol=1e-13, atol=1e-13)
        expected.backward(slopes[member].T)
        linear = [layer for layer in module if isinstance(layer, nn.Linear)]
        for layer, gradient in zip(linear, gradients, strict=True):
            own = torch.cat([layer.weight.grad, layer.bias.grad[:, None]], dim=1)
            torch.testing.assert_close(gradient[member], own, rtol=1e-12, atol=1e-12)
        found = perceptron_outputs(stack.arrays(member), (rows if shared else rows[member]).numpy())
        np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-12, atol=1e-13)


def test_arrays_are_named_copies():
    stack = draw("bce", widths=(3, 2))
    arrays = stack.arrays(1)
    assert {name: array.shape for name, array in arrays.items()} == {
        "layer1": (3, 5),
        "layer2": (2, 4),
        "head": (1, 3),
    }
    before = arrays["head"].copy()
    stack.layers[-1].add_(1.0)
    np.testing.assert_array_equal(arrays["head"], before)


def test_widest():
    assert draw("ce2", widths=(5, 3)).widest == 5
    assert draw("ce2").widest == 2


def test_buffers_are_used_again_but_not_across_dtypes():
    scratch = Scratch()
    first = scratch.take("a", (4, 2), torch.zeros(1))
    assert scratch.take("a", (4, 2), torch.zeros(1)) is first
    assert scratch.take("a", (2, 3), torch.zeros(1)).data_ptr() == first.data_ptr()
    assert scratch.take("b", (4, 2), torch.zeros(1)).data_ptr() != first.data_ptr()
    double = scratch.take("a", (4, 2), torch.zeros(1, dtype=DOUBLE))
    assert double.dtype is DOUBLE
    assert scratch.take("a", (9, 9), torch.zeros(1)).shape == (9, 9)
    assert scratch.take("a", (1, 1), torch.zeros(1, device="meta")).device.type == "meta"


def test_model_specs():
    assert ModelSpec().built_in
    assert ModelSpec("mlp", (3,)).pairs_start
    own = ModelSpec("package.module:factory")
    assert not own.built_in
    assert not own.pairs_start
    assert ModelSpec("package.module:factory", head="head").pairs_start
    assert ModelSpec("own", factory=nn.Linear).find_factory() is nn.Linear
    assert ModelSpec("torch.nn:Linear").find_factory() is nn.Linear


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            "math:pi",
            "compare: --model must be linear, mlp or package.module:factory; got math:pi of type "
            "float. "
            "Name a function factory(n_features, n_outputs) that returns an nn.Module.",
        ),
        (
            "math:factory",
            "compare: --model must be package.module:name of something that exists; got "
            "'math:factory' "
            "(module math has no 'factory'). Check the spelling after the colon.",
        ),
    ],
)
def test_a_factory_must_be_a_function(kind, message):
    with pytest.raises(InputError) as caught:
        ModelSpec(kind).find_factory()
    assert str(caught.value) == message
