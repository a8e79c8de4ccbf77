"""The loss that training minimises, against torch's own losses and torch's autograd."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from xent._errors import InputError
from xent.study._formulations import BUILT_IN, Formulation, Modifiers, find_formulations, modified
from xent.study._training._objectives import Objective

DOUBLE = torch.float64

#: Every built-in formulation with the numbers of classes that take different paths.
BASES = [("bce", 2), ("ce1", 2), ("ce2", 2), ("ce", 2), ("ce", 4), ("ovr", 2), ("ovr", 4)]

WEIGHTS = (0.5, 3.0, 1.25, 2.0)
MODIFIERS = {
    "plain": Modifiers(),
    "smoothing": Modifiers(smoothing=0.2),
    "focal 2": Modifiers(focal=2.0),
    "focal 0.5": Modifiers(focal=0.5),
    "focal 1.7": Modifiers(focal=1.7),
    "weights": Modifiers(weights=WEIGHTS),
    "all": Modifiers(smoothing=0.1, focal=1.5, weights=WEIGHTS),
}


def make(base, classes, modifiers=MODIFIERS["plain"]):
    if isinstance(modifiers.weights, tuple):
        modifiers = replace(modifiers, weights=modifiers.weights[:classes])
    return Objective.bind(modified(BUILT_IN[base], modifiers), np.ones(classes))


def draw(objective, rows, seed=0, stack=2, scale=3.0, dtype=DOUBLE):
    """Outputs ``(stack, outputs, rows)``, classes and sample weights."""
    random = torch.Generator().manual_seed(seed)
    outputs = scale * torch.randn(stack, objective.n_outputs, rows, generator=random, dtype=dtype)
    target = torch.randint(objective.classes, (rows,), generator=random)
    weight = torch.rand(rows, generator=random, dtype=dtype) + 0.1
    return outputs, target, weight


def by_autograd(objective, outputs, target, weight):
    """Sums of the row losses of each member, and their gradient, by torch alone."""
    leaf = outputs.detach().clone().requires_grad_()
    sums = []
    for member in leaf:
        losses = objective.row_loss(member.T, target)
        sums.append((losses if weight is None else losses * weight).sum())
    (gradient,) = torch.autograd.grad(torch.stack(sums).sum(), leaf)
    return torch.stack(sums).detach(), gradient


def close(actual, expected, tolerance=1e-10):
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


every_base = pytest.mark.parametrize(("base", "classes"), BASES)
every_modifier = pytest.mark.parametrize("modifiers", MODIFIERS.values(), ids=MODIFIERS)


@every_base
@every_modifier
@pytest.mark.parametrize("weighted", [False, True], ids=["rows", "weighted rows"])
def test_hand_written_gradient_is_autograds(base, classes, modifiers, weighted):
    objective = make(base, classes, modifiers)
    assert objective.hand_written
    outputs, target, weight = draw(objective, rows=50)
    weight = weight if weighted else None
    value, gradient = by_autograd(objective, outputs, target, weight)
    targets = objective.targets(target, weight, DOUBLE)
    own_value, own_gradient = objective.value_and_gradient(outputs.clone(), targets)
    close(own_value, value)
    close(own_gradient, gradient)
    close(objective.value(outputs.clone(), targets), value)


@settings(max_examples=40, deadline=None)
@given(
    base=st.sampled_from(sorted(BUILT_IN)),
    classes=st.integers(2, 6),
    rows=st.integers(1, 30),
    stack=st.integers(1, 3),
    smoothing=st.sampled_from([0.0, 0.01, 0.5]),
    focal=st.sampled_from([0.0, 0.3, 1.0, 3.0]),
    weighted=st.booleans(),
    seed=st.integers(0, 2**31),
    scale=st.sampled_from([0.1, 5.0, 30.0]),
)
def test_hand_written_gradient_for_any_shape(
    base, classes, rows, stack, smoothing, focal, weighted, seed, scale
):
    classes = 2 if BUILT_IN[base].binary_only else classes
    weights = tuple(1.0 + k for k in range(classes)) if seed % 2 else None
    objective = make(base, classes, Modifiers(smoothing, focal, weights))
    outputs, target, weight = draw(objective, rows, seed, stack, scale)
    weight = weight if weighted else None
    value, gradient = by_autograd(objective, outputs, target, weight)
    targets = objective.targets(target, weight, DOUBLE)
    own_value, own_gradient = objective.value_and_gradient(outputs.clone(), targets)
    close(own_value, value)
    close(own_gradient, gradient)


def as_pair(base, outputs):
    """The two logits that the outputs of a binary formulation stand for."""
    if base == "bce":
        return torch.cat([torch.zeros_like(outputs), outputs], dim=1)
    return torch.cat([-outputs, outputs], dim=1) if base == "ce1" else outputs


@pytest.mark.parametrize(("base", "classes"), [b for b in BASES if b[0] != "ovr"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy_is_torchs(base, classes, smoothing, weights):
    objective = make(base, classes, Modifiers(smoothing, 0.0, weights))
    outputs, target, _ = draw(objective, rows=40, stack=1)
    rows = outputs[0].T
    options = {
        "weight": None if weights is None else torch.tensor(weights[:classes], dtype=DOUBLE),
        "label_smoothing": smoothing,
    }
    logits = as_pair(base, rows)
    losses = functional.cross_entropy(logits, target, reduction="none", **options)
    mean = functional.cross_entropy(logits, target, **options)
    close(objective.row_loss(rows, target), losses, 1e-13)
    close(objective.mean_loss(rows, target), mean, 1e-13)
    targets = objective.targets(target, None, DOUBLE)
    close(objective.value(outputs, targets) / targets.denominator(), mean.view(1), 1e-13)


def test_binary_cross_entropy_is_torchs_with_smoothed_targets_and_pos_weight():
    objective = make("bce", 2, Modifiers(0.2, 0.0, (1.0, 3.0)))
    outputs, target, _ = draw(objective, rows=40, stack=1)
    smooth = 0.8 * target.double() + 0.1
    losses = functional.binary_cross_entropy_with_logits(
        outputs[0, 0], smooth, pos_weight=torch.tensor(3.0, dtype=DOUBLE), reduction="none"
    )
    close(objective.row_loss(outputs[0].T, target), losses, 1e-13)
    # torch's mean divides by the rows; ours by the weights of their classes, as cross entropy does
    total = (1.0 + 2.0 * target).sum()
    close(objective.mean_loss(outputs[0].T, target), losses.sum() / total, 1e-13)


def test_one_against_the_rest_is_torchs_binary_cross_entropy_of_each_class():
    objective = make("ovr", 4, Modifiers(smoothing=0.2, weights=WEIGHTS))
    outputs, target, weight = draw(objective, rows=40, stack=1)
    rows = outputs[0].T
    smooth = 0.8 * functional.one_hot(target, 4).double() + 0.1
    losses = functional.binary_cross_entropy_with_logits(rows, smooth, reduction="none").mean(1)
    row_weight = torch.tensor(WEIGHTS, dtype=DOUBLE)[target]
    close(objective.row_loss(rows, target), losses * row_weight, 1e-13)
    expected = (losses * row_weight * weight).sum() / (row_weight * weight).sum()
    close(objective.mean_loss(rows, target, weight), expected, 1e-13)


@every_base
@pytest.mark.parametrize("focal", [2.0, 0.5])
def test_focal_is_its_formula(base, classes, focal):
    objective = make(base, classes, Modifiers(focal=focal))
    outputs, target, _ = draw(objective, rows=40, stack=1)
    rows = outputs[0].T
    if base == "ovr":
        q = torch.sigmoid(rows)
        q = torch.where(functional.one_hot(target, classes) == 1, q, 1 - q)
        expected = (-((1 - q) ** focal) * torch.log(q)).mean(1)
    else:
        q = torch.softmax(as_pair(base, rows), dim=1).gather(1, target[:, None])[:, 0]
        expected = -((1 - q) ** focal) * torch.log(q)
    close(objective.row_loss(rows, target), expected, 1e-10)


@every_base
def test_a_sample_weight_of_two_is_a_row_twice(base, classes):
    objective = make(base, classes, MODIFIERS["all"])
    outputs, target, _ = draw(objective, rows=30, stack=1)
    rows = outputs[0].T
    weight = torch.ones(30, dtype=DOUBLE)
    weight[:10] = 2.0
    twice = torch.cat([torch.arange(30), torch.arange(10)])
    close(
        objective.mean_loss(rows, target, weight), objective.mean_loss(rows[twice], target[twice])
    )


@every_base
@every_modifier
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE], ids=["float32", "float64"])
def test_extreme_outputs_stay_finite(base, classes, modifiers, dtype):
    objective = make(base, classes, modifiers)
    size = objective.n_outputs
    patterns = torch.tensor([[1000.0], [-1000.0], [0.0], [90.0], [-90.0]], dtype=dtype)
    rows = torch.cat([patterns.expand(-1, size), patterns * (-1.0) ** torch.arange(size)])
    rows = rows.repeat_interleave(classes, dim=0)
    target = torch.arange(classes).repeat(len(rows) // classes)
    leaf = rows.clone().requires_grad_()
    objective.row_loss(leaf, target).sum().backward()
    outputs = rows.T[None].contiguous()
    value, gradient = objective.value_and_gradient(outputs, objective.targets(target, None, dtype))
    for tensor in (value, gradient, leaf.grad):
        assert torch.isfinite(tensor).all()
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    close(gradient[0].T, leaf.grad, tolerance)


def test_extreme_losses_are_right():
    rows = torch.tensor([[1000.0], [-1000.0]], dtype=torch.float32)
    for base, factor in (("bce", 1.0), ("ce1", 2.0)):
        objective = make(base, 2)
        for label, loss in ((0, 1000.0), (1, 1000.0)):
            targets = objective.targets(torch.tensor([label, label]), None, torch.float32)
            value, _ = objective.value_and_gradient(rows.T[None].clone(), targets)
            assert value.item() == loss * factor


@every_base
@every_modifier
@pytest.mark.parametrize("weighted", [False, True], ids=["rows", "weighted rows"])
def test_gathered_batches_are_the_rows_themselves(base, classes, modifiers, weighted):
    objective = make(base, classes, modifiers)
    outputs, target, weight = draw(objective, rows=8)
    everything, classes_of, weights = draw(objective, rows=20, seed=1)
    del everything, target
    batches = torch.tensor([[3, 1, 4, 15, 9, 2, 6, 5], [19, 0, 0, 7, 11, 13, 17, 18]])
    weight = weights if weighted else None
    gathered = objective.targets(classes_of, weight, DOUBLE).gather(batches)
    value, gradient = objective.value_and_gradient(outputs.clone(), gathered)
    denominator = gathered.denominator()
    for member, rows in enumerate(batches):
        own = objective.targets(classes_of[rows], None if weight is None else weight[rows], DOUBLE)
        alone, slope = objective.value_and_gradient(outputs[member : member + 1].clone(), own)
        close(value[member : member + 1], alone, 1e-13)
        close(gradient[member : member + 1], slope, 1e-13)
        if isinstance(denominator, float):
            assert denominator == own.denominator() == 8.0
        else:
            close(denominator[member], own.denominator(), 1e-15)


@every_base
def test_slices_of_targets_are_the_targets_of_slices(base, classes):
    objective = make(base, classes, MODIFIERS["all"])
    outputs, target, weight = draw(objective, rows=20)
    whole = objective.targets(target, weight, DOUBLE)
    total = sum(
        objective.value(outputs[..., start:stop].clone(), whole.rows(start, stop))
        for start, stop in ((0, 7), (7, 19), (19, 20))
    )
    close(total, objective.value(outputs.clone(), whole), 1e-12)


def test_a_batch_without_weight_asks_for_nothing():
    objective = make("bce", 2)
    target, nothing = torch.tensor([0, 1]), torch.zeros(2, dtype=DOUBLE)
    targets = objective.targets(target, nothing, DOUBLE)
    value, gradient = objective.value_and_gradient(torch.ones(1, 1, 2, dtype=DOUBLE), targets)
    assert (value / targets.denominator()).item() == 0.0
    assert (gradient / targets.denominator()).abs().max().item() == 0.0
    assert objective.mean_loss(torch.ones(2, 1, dtype=DOUBLE), target, nothing).item() == 0.0


def same_loss_as(base, **changes):
    """A user's formulation with a built-in loss: it goes by autograd."""

    def loss(outputs, target):
        return BUILT_IN[base].loss(outputs, target)

    return replace(BUILT_IN[base], name="mine", loss=loss, **changes)


@every_base
@pytest.mark.parametrize("weighted", [False, True], ids=["rows", "weighted rows"])
@pytest.mark.parametrize("gathered", [False, True], ids=["part", "batches"])
def test_a_users_loss_goes_by_autograd_to_the_same_numbers(base, classes, weighted, gathered):
    objective = make(base, classes)
    mine = Objective.bind(same_loss_as(base), np.ones(classes))
    assert not mine.hand_written
    outputs, target, weight = draw(objective, rows=12)
    weight = weight if weighted else None
    both = []
    for each in (objective, mine):
        targets = each.targets(target, weight, DOUBLE)
        if gathered:
            targets = targets.gather(torch.stack([torch.arange(12), torch.arange(12).flip(0)]))
        value, gradient = each.value_and_gradient(outputs.clone(), targets)
        both.append((value.clone(), gradient.clone(), each.value(outputs.clone(), targets)))
    for expected, found in zip(*both, strict=True):
        assert not found.requires_grad
        close(found, expected, 1e-12)


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        (functional.cross_entropy, "()"),
        (lambda outputs, target: (outputs[:, :1] - target) ** 2, "(3, 3)"),
        (lambda outputs, target: 0.0, "float"),
    ],
    ids=["mean", "broadcast", "number"],
)
def test_a_users_loss_must_give_one_number_a_row(loss, found):
    formulation = Formulation("mine", "mine", lambda _: 2, loss, "softmax")
    objective = Objective.bind(formulation, np.ones(2))
    with pytest.raises(InputError) as caught:
        objective.mean_loss(torch.zeros(3, 2), torch.tensor([0, 1, 1]))
    assert str(caught.value) == (
        f"formulation 'mine': loss must be a function that gives one number a row, shape (3,); "
        f"got {found}. Leave out the mean (reduction='none'), and check that target is (rows,)."
    )


@every_base
@every_modifier
def test_row_loss_has_two_right_derivatives(base, classes, modifiers):
    objective = make(base, classes, modifiers)
    outputs, target, _ = draw(objective, rows=4, stack=1, scale=1.0)
    rows = outputs[0].T.contiguous().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: objective.row_loss(z, target), (rows,))
    assert torch.autograd.gradgradcheck(lambda z: objective.row_loss(z, target), (rows,))


def test_balanced_weights():
    (formulation,) = find_formulations(["ce+weights=balanced"], 3)
    objective = Objective.bind(formulation, np.array([10.0, 30.0, 60.0]))
    np.testing.assert_allclose(objective.class_weights, [100 / 30, 100 / 90, 100 / 180])


def test_balanced_weights_need_weight_in_every_class():
    (formulation,) = find_formulations(["bce+weights=balanced"], 2)
    with pytest.raises(InputError) as caught:
        Objective.bind(formulation, np.array([10.0, 0.0]))
    assert str(caught.value) == (
        "formulation 'bce+weights=balanced': weights=balanced must be used where every class has "
        "weight in the training part; got class 1 of weight 0. Give the weights as numbers, or "
        "check the sample weights."
    )


def test_mean_loss_keeps_the_precision_of_the_outputs():
    objective = make("bce", 2, Modifiers(weights=(0.1, 0.7)))
    outputs, target, _ = draw(objective, rows=1000, stack=1)
    assert torch.get_default_dtype() == torch.float32
    losses = objective.row_loss(outputs[0].T, target)
    total = math.fsum(0.7 if label else 0.1 for label in target.tolist())
    assert objective.mean_loss(outputs[0].T, target).item() == pytest.approx(
        math.fsum(losses.tolist()) / total, rel=1e-14
    )


@every_base
def test_large_float32_parts_keep_their_precision(base, classes):
    objective = make(base, classes)
    outputs, target, _ = draw(objective, rows=100_000, stack=1, dtype=torch.float32)
    value = objective.value(outputs.clone(), objective.targets(target, None, torch.float32))
    exact = objective.value(outputs.double(), objective.targets(target, None, DOUBLE))
    assert value.item() == pytest.approx(exact.item(), rel=1e-6)
