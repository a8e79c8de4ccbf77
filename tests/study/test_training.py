"""Training of stacks, against plain torch loops of one model at a time."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from xent.study._formulations import BUILT_IN, Modifiers, modified
from xent.study._optimum._maximum_likelihood import fit_maximum_likelihood
from xent.study._training import _stacks as _training
from xent.study._training._models import Stack, perceptron_outputs
from xent.study._training._objectives import Objective
from xent.study._training._stacks import (
    Rows,
    TrainingSpec,
    batch_order,
    first_divergence,
    mean_objective,
    train_stack,
)

DOUBLE = torch.float64
SEEDS = (0, 1, 5)


def make_data(classes=2, rows=90, seed=0, weighted=False):
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(rows, 3))
    logits = features @ generator.normal(size=(3, classes))
    target = np.argmax(logits + generator.gumbel(size=logits.shape), axis=1)
    weight = generator.uniform(0.2, 3.0, size=rows) if weighted else None
    return features, target, weight


def fit(
    data,
    spec,
    *,
    base="bce",
    modifiers=None,
    classes=2,
    widths=(),
    seeds=SEEDS,
    validation=None,
    **options,
):
    objective = Objective.bind(modified(BUILT_IN[base], modifiers or Modifiers()), np.ones(classes))
    stack = Stack.draw(
        seeds, 3, widths, objective.formulation, classes, shift=True, dtype=spec.torch_dtype
    )
    rows = Rows.prepare(*data, objective, spec)
    follow = None if validation is None else Rows.prepare(*validation, objective, spec)
    return train_stack(stack, objective, rows, follow, spec, seeds, **options), objective


def as_module(arrays):
    layers = []
    for array in arrays.values():
        linear = nn.Linear(array.shape[1] - 1, array.shape[0], dtype=DOUBLE)
        linear.weight.data = torch.from_numpy(array[:, :-1].copy())
        linear.bias.data = torch.from_numpy(array[:, -1].copy())
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def torch_optimizer(spec, parameters):
    options = {"lr": spec.learning_rate, "weight_decay": spec.weight_decay}
    if spec.optimizer == "sgd":
        return torch.optim.SGD(parameters, momentum=spec.momentum, **options)
    kind = torch.optim.AdamW if spec.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, **options)


def loop(data, spec, objective, seed, widths):
    """The same training, the way that a user of torch writes it."""
    features, target, weight = (None if a is None else torch.from_numpy(a) for a in data)
    stack = Stack.draw(
        [seed], 3, widths, objective.formulation, objective.classes, shift=True, dtype=DOUBLE
    )
    module = as_module(stack.arrays(0))
    optimizer = torch_optimizer(spec, module.parameters())
    size = spec.batch_size or len(target)
    curve = []
    for epoch in range(spec.epochs):
        order = torch.arange(len(target))
        if spec.batch_size is not None:
            order = torch.from_numpy(batch_order(seed, epoch, len(target)))
        values = []
        for rows in torch.split(order, size):
            optimizer.zero_grad()
            row_loss = objective.row_loss(module(features[rows]), target[rows])
            own = torch.ones(len(rows), dtype=DOUBLE) if weight is None else weight[rows]
            row_weight = own * torch.from_numpy(objective.class_weights)[target[rows]]
            loss = (row_loss * own).sum() / row_weight.sum()
            loss.backward()
            optimizer.step()
            values.append(loss.item() * len(rows) / len(target))
        curve.append(sum(values))
    return module, curve


CASES = {
    "full batch": {},
    "batches, the last one short": {"batch_size": 40},
    "batches of one": {"batch_size": 1, "epochs": 2},
    "one batch larger than the data": {"batch_size": 1000},
    "momentum and decay": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.02},
    "adamw, batches": {"optimizer": "adamw", "weight_decay": 0.1, "batch_size": 25},
}


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES)
@pytest.mark.parametrize("weighted", [False, True], ids=["rows", "weighted rows"])
@pytest.mark.parametrize(
    ("base", "classes", "widths"),
    [("bce", 2, ()), ("ce1", 2, (5,)), ("ce2", 2, ()), ("ce", 3, (5, 4)), ("ovr", 3, ())],
    ids=str,
)
def test_a_stack_is_separate_torch_loops(base, classes, widths, weighted, settings):
    spec = TrainingSpec(dtype="float64", **({"epochs": 6} | settings))
    data = make_data(classes, weighted=weighted)
    trained, objective = fit(data, spec, base=base, classes=classes, widths=widths)
    for member, seed in enumerate(SEEDS):
        module, curve = loop(data, spec, objective, seed, widths)
        linear = [layer for layer in module if isinstance(layer, nn.Linear)]
        for layer, array in zip(linear, trained.parameters[member].values(), strict=True):
            own = torch.cat([layer.weight, layer.bias[:, None]], dim=1).detach().numpy()
            np.testing.assert_allclose(array, own, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(trained.train_curve[:, member], curve, rtol=1e-10)
    assert trained.diverged_at == [None] * 3


def test_modifiers_train_as_the_torch_loop_does():
    spec = TrainingSpec(dtype="float64", epochs=8, batch_size=40)
    data = make_data(3, weighted=True)
    modifiers = Modifiers(0.1, 1.5, (1.0, 2.0, 0.5))
    trained, objective = fit(data, spec, base="ce", classes=3, modifiers=modifiers)
    module, _ = loop(data, spec, objective, SEEDS[0], ())
    np.testing.assert_allclose(
        trained.parameters[0]["head"][:, :-1], module[0].weight.detach().numpy(), atol=1e-10
    )


@pytest.mark.parametrize("batch_size", [None, 700])
@pytest.mark.parametrize("widths", [(), (8,)])
def test_the_result_does_not_depend_on_the_blocks(monkeypatch, batch_size, widths):
    spec = TrainingSpec(dtype="float64", epochs=5, batch_size=batch_size)
    data = make_data(rows=1500, weighted=True)
    whole, _ = fit(data, spec, base="ce2", widths=widths, validation=data)
    monkeypatch.setattr(_training, "BLOCK_ACTIVATIONS", 1)
    monkeypatch.setattr(_training, "SMALLEST_BLOCK", 61)
    blocked, _ = fit(data, spec, base="ce2", widths=widths, validation=data)
    for own, other in zip(whole.parameters, blocked.parameters, strict=True):
        for name, array in own.items():
            np.testing.assert_allclose(other[name], array, rtol=1e-11, atol=1e-12)
    for name in ("train_curve", "validation_curve", "objective", "gradient_norm"):
        np.testing.assert_allclose(getattr(blocked, name), getattr(whole, name), rtol=1e-10)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_members_do_not_depend_on_their_neighbours(optimizer):
    spec = TrainingSpec(dtype="float64", epochs=10, optimizer=optimizer)
    data = make_data()
    together, _ = fit(data, spec, widths=(4,))
    for member, seed in enumerate(SEEDS):
        alone, _ = fit(data, spec, widths=(4,), seeds=(seed,))
        for name, array in alone.parameters[0].items():
            np.testing.assert_allclose(
                together.parameters[member][name], array, rtol=1e-10, atol=1e-10
            )
        np.testing.assert_allclose(
            together.train_curve[:, member], alone.train_curve[:, 0], rtol=1e-11
        )


def test_float32_blocks_and_a_short_last_batch(monkeypatch):
    monkeypatch.setattr(_training, "BLOCK_ACTIVATIONS", 1)
    monkeypatch.setattr(_training, "SMALLEST_BLOCK", 30)
    data = make_data(weighted=True)
    settings = {"epochs": 4, "batch_size": 70}
    single, _ = fit(data, TrainingSpec(**settings))
    double, _ = fit(data, TrainingSpec(dtype="float64", **settings))
    np.testing.assert_allclose(single.train_curve, double.train_curve, rtol=1e-5)
    assert single.parameters[0]["head"].dtype == np.float64


@pytest.mark.parametrize("base", ["bce", "ce1", "ce2"])
def test_lbfgs_reaches_the_optimum(base):
    data = make_data(weighted=True)
    spec = TrainingSpec(dtype="float64", optimizer="lbfgs", learning_rate=1.0, epochs=60)
    trained, objective = fit(data, spec, base=base)
    best = fit_maximum_likelihood(*data[:2], 2, data[2])
    for parameters in trained.parameters:
        theta = objective.formulation.contrasts(2) @ parameters["head"]
        np.testing.assert_allclose(theta, best.coefficients, atol=1e-5)
    np.testing.assert_allclose(trained.objective, best.log_loss, rtol=1e-10)
    assert (trained.gradient_norm < 1e-6).all()
    assert trained.train_curve.shape == (60, 3)


def test_lbfgs_with_weight_decay_reaches_the_penalised_optimum():
    features, target, _ = data = make_data()
    decay = 0.3
    spec = TrainingSpec(
        dtype="float64", optimizer="lbfgs", learning_rate=1.0, epochs=60, weight_decay=decay
    )
    trained, _ = fit(data, spec)
    design = np.c_[features, np.ones(len(features))]
    for parameters in trained.parameters:
        head = parameters["head"][0]
        residual = 1 / (1 + np.exp(-design @ head)) - target
        np.testing.assert_allclose(design.T @ residual / len(target) + decay * head, 0, atol=1e-6)
    # objective and curve are without the penalty
    outputs = design @ trained.parameters[0]["head"].T
    loss = np.mean(np.logaddexp(0, outputs[:, 0]) - target * outputs[:, 0])
    assert trained.objective[0] == pytest.approx(loss, rel=1e-12)
    assert trained.train_curve[-1, 0] == pytest.approx(loss, rel=1e-9)


@pytest.mark.parametrize("batch_size", [None, 40])
def test_curves_and_objective_are_those_of_the_parameters(batch_size):
    spec = TrainingSpec(dtype="float64", epochs=4, batch_size=batch_size)
    train, validation = make_data(3), make_data(3, rows=50, seed=1, weighted=True)
    seen = []

    def keep(epoch, stack):
        seen.append((epoch, [stack.arrays(member) for member in range(3)]))

    trained, objective = fit(
        train, spec, base="ce", classes=3, validation=validation, on_epoch=keep
    )
    assert [epoch for epoch, _ in seen] == [1, 2, 3, 4]

    def loss(parameters, data):
        outputs = perceptron_outputs(parameters, data[0])
        log_q = outputs - np.log(np.exp(outputs).sum(axis=1, keepdims=True))
        return np.average(-log_q[np.arange(len(data[1])), data[1]], weights=data[2])

    for epoch, members in seen:
        expected = [loss(parameters, validation) for parameters in members]
        np.testing.assert_allclose(trained.validation_curve[epoch - 1], expected, rtol=1e-12)
        if batch_size is None and epoch < 4:
            expected = [loss(parameters, train) for parameters in members]
            np.testing.assert_allclose(trained.train_curve[epoch], expected, rtol=1e-12)
    final = [loss(parameters, train) for parameters in trained.parameters]
    np.testing.assert_allclose(trained.objective, final, rtol=1e-12)
    rows = Rows.prepare(*train, objective, spec)
    leaves = [torch.from_numpy(p["head"]).requires_grad_() for p in trained.parameters]
    for leaf, norm in zip(leaves, trained.gradient_norm, strict=True):
        objective.mean_loss(rows.columns.T @ leaf.T, torch.from_numpy(train[1])).backward()
        assert leaf.grad.norm().item() == pytest.approx(norm, rel=1e-10)


def test_without_validation_the_curve_is_not_followed():
    trained, _ = fit(make_data(), TrainingSpec(epochs=3))
    assert np.isnan(trained.validation_curve).all()
    assert trained.timings.evaluation == []


def test_timings_tell_steps_data_and_evaluation_apart():
    data = make_data()
    trained, _ = fit(data, TrainingSpec(epochs=3, batch_size=40), validation=data)
    timings = trained.timings
    assert (len(timings.step), len(timings.data), len(timings.evaluation)) == (9, 9, 3)
    parts = sum(timings.step) + sum(timings.data) + sum(timings.evaluation)
    assert 0 < parts <= timings.fit
    full, _ = fit(data, TrainingSpec(epochs=3), validation=data)
    assert (len(full.timings.step), len(full.timings.data)) == (3, 0)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_epochs_are_told_once_and_in_order(optimizer):
    told = []
    fit(
        make_data(),
        TrainingSpec(epochs=5, optimizer=optimizer),
        on_epoch=lambda epoch, _: told.append(epoch),
    )
    assert told == [1, 2, 3, 4, 5]


def poisoned(spec, member_start, *, base="bce", seeds=SEEDS):
    """Train with one member that starts at ``member_start``, and the same without it."""
    data = make_data()
    objective = Objective.bind(BUILT_IN[base], np.ones(2))
    stack = Stack.draw(seeds, 3, (), objective.formulation, 2, shift=True, dtype=spec.torch_dtype)
    stack.layers[0][1] = member_start
    rows = Rows.prepare(*data, objective, spec)
    clean, _ = fit(data, spec, base=base)
    return train_stack(stack, objective, rows, None, spec, seeds), clean


@pytest.mark.parametrize("base", ["bce", "ce1", "ce2", "ovr"])
@pytest.mark.parametrize("start", [np.inf, np.nan])
def test_a_broken_member_leaves_the_others_untouched(base, start):
    trained, clean = poisoned(TrainingSpec(dtype="float64", epochs=5), start, base=base)
    assert trained.diverged_at == [None, 1, None]
    for member in (0, 2):
        np.testing.assert_array_equal(
            trained.parameters[member]["head"], clean.parameters[member]["head"]
        )
        np.testing.assert_array_equal(trained.train_curve[:, member], clean.train_curve[:, member])
    assert not np.isfinite(trained.train_curve[:, 1]).any()


def test_divergence_is_reported_with_its_epoch():
    # Momentum-free steps of this size multiply the weights by about -1e30 each: the second step
    # leaves float32.
    spec = TrainingSpec(optimizer="sgd", learning_rate=1e30, epochs=6, weight_decay=1.0)
    trained, _ = fit(make_data(), spec)
    np.testing.assert_array_equal(
        np.isfinite(trained.train_curve[:, 0]), [True, True, False, False, False, False]
    )
    assert trained.diverged_at == [2, 2, 2]


def test_divergence_in_the_last_epoch_is_seen_in_the_final_objective():
    spec = TrainingSpec(optimizer="sgd", learning_rate=1e30, epochs=2, weight_decay=1.0)
    trained, _ = fit(make_data(), spec)
    assert np.isfinite(trained.train_curve).all()
    assert trained.diverged_at == [2, 2, 2]


def test_divergence_under_lbfgs_is_a_result():
    trained, clean = poisoned(TrainingSpec(optimizer="lbfgs", dtype="float64", epochs=5), np.nan)
    assert trained.diverged_at == [None, 1, None]
    np.testing.assert_array_equal(trained.parameters[2]["head"], clean.parameters[2]["head"])


@pytest.mark.parametrize(
    ("curve", "final", "one_step", "epoch"),
    [
        ([3.0, 2.0, 1.0], 0.5, True, None),
        ([3.0, 2.0, 1.0], np.nan, True, 3),
        ([3.0, 2.0, 1.0], np.inf, False, 3),
        # the objective before step 3 is broken: step 2 did it
        ([3.0, 2.0, np.inf], np.nan, True, 2),
        # the mean of the batches of epoch 3 is broken: it broke within epoch 3
        ([3.0, 2.0, np.nan], np.nan, False, 3),
        ([np.nan, np.nan, np.nan], np.nan, True, 1),
        ([np.nan, np.nan, np.nan], np.nan, False, 1),
    ],
)
def test_first_divergence(curve, final, one_step, epoch):
    assert first_divergence(np.array(curve), final, one_step=one_step) == epoch


def test_batches_are_the_same_for_every_formulation_and_differ_by_seed_and_epoch():
    np.testing.assert_array_equal(batch_order(3, 4, 100), batch_order(3, 4, 100))
    orders = [batch_order(seed, epoch, 100) for seed in (0, 1) for epoch in (0, 1)]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(100))
    assert len({tuple(order) for order in orders}) == 4


def test_mean_objective_of_rows():
    features, target, weight = data = make_data(weighted=True)
    objective = Objective.bind(BUILT_IN["bce"], np.ones(2))
    stack = Stack.draw(SEEDS, 3, (), objective.formulation, 2, shift=True, dtype=DOUBLE)
    rows = Rows.prepare(*data, objective, TrainingSpec(dtype="float64"))
    assert rows.n == 90
    z = np.c_[features, np.ones(90)] @ stack.layers[0][:, 0].numpy().T
    expected = np.average(np.logaddexp(0, z) - z * target[:, None], axis=0, weights=weight)
    np.testing.assert_allclose(mean_objective(stack, objective, rows), expected, rtol=1e-12)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs"])
def test_global_states_are_left_as_found(optimizer):
    before = (
        torch.get_rng_state(),
        np.random.get_state()[1].copy(),
        random.getstate(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
    )
    batch_size = None if optimizer == "lbfgs" else 40
    fit(make_data(), TrainingSpec(epochs=3, optimizer=optimizer, batch_size=batch_size))
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
    assert (
        random.getstate(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
    ) == before[2:]


WITHOUT_DYNAMO = """
import sys
import numpy as np
from xent.study._formulations import BUILT_IN
from xent.study._training._models import Stack
from xent.study._training._objectives import Objective
from xent.study._training._stacks import Rows, TrainingSpec, train_stack

objective = Objective.bind(BUILT_IN["bce"], np.ones(2))
spec = TrainingSpec(epochs=2, optimizer=sys.argv[1])
stack = Stack.draw([0], 1, (), objective.formulation, 2, shift=True)
features, target = np.array([[0.0], [1.0]]), np.array([0, 1])
rows = Rows.prepare(features, target, None, objective, spec)
train_stack(stack, objective, rows, None, spec, [0])
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize(("optimizer", "loaded"), [("adam", "False"), ("lbfgs", "True")])
def test_the_stacked_optimisers_do_without_torchs(optimizer, loaded):
    """What torch.optim loads takes a second; that lbfgs loads it shows that this can fail."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DYNAMO, optimizer],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == loaded


def test_a_small_pass_takes_one_thread_and_gives_the_others_back(monkeypatch):
    spec = TrainingSpec(epochs=1)
    formulation = BUILT_IN["bce"]
    objective = Objective.bind(formulation, np.ones(2))
    features, target = np.zeros((40, 2)), np.arange(40) % 2
    rows = Rows.prepare(features, target, None, objective, spec)
    stack = Stack.draw([0, 1], 2, (), formulation, 2, shift=False)
    seen = []
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        for least in (2**19, 40, 1):
            monkeypatch.setattr(_training, "ACTIVATIONS_PER_THREAD", least)
            train_stack(
                stack, objective, rows, None, spec, [0, 1],
                on_epoch=lambda *_: seen.append(torch.get_num_threads()),
            )  # fmt: skip
        assert seen == [1, 2, 3]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
