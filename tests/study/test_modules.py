"""Modules that the user brings: their contract, their start, their training."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

from xent._errors import InputError
from xent.study._formulations import BUILT_IN, Modifiers, modified
from xent.study._training._models import ModelSpec, Stack
from xent.study._training._modules import (
    ModulePart,
    build_module,
    find_head,
    module_arrays,
    module_objective,
    module_outputs,
    require_outputs,
    train_module,
)
from xent.study._training._objectives import Objective
from xent.study._training._protocol import Scaling
from xent.study._training._stacks import Rows, TrainingSpec, train_stack

DOUBLE = torch.float64


class OwnModel(nn.Module):
    def __init__(self, n_features, n_outputs, dropout=0.0, bias=True):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_features, 8), nn.ReLU(), nn.Dropout(dropout))
        self.norm = nn.BatchNorm1d(8)
        self.last = nn.Linear(8, n_outputs, bias=bias)

    def forward(self, features):
        return self.last(self.norm(self.body(features)))


def with_dropout(n_features, n_outputs):
    return OwnModel(n_features, n_outputs, dropout=0.5)


def make_data(classes=2, rows=90, seed=0, weighted=False):
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(rows, 3))
    logits = features @ generator.normal(size=(3, classes))
    target = np.argmax(logits + generator.gumbel(size=logits.shape), axis=1)
    return features, target, generator.uniform(0.2, 3.0, size=rows) if weighted else None


def spec_of(factory, head=None):
    return ModelSpec("own:factory", factory=factory, head=head)


def build(factory, name="bce", *, head=None, seed=0, classes=2, shift=True):
    model = spec_of(factory, head)
    return build_module(model, 3, classes, BUILT_IN[name], seed, shift=shift)


def message_of(call, *arguments, **options):
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- the contract of a factory


def test_a_factory_must_return_a_module():
    assert message_of(build, lambda n, k: [n, k]) == (
        "compare: --model must be a factory(n_features, n_outputs) that returns an nn.Module; got "
        "list "
        "from own:factory. Return the module itself."
    )


@pytest.mark.parametrize(
    ("outputs", "found"),
    [(torch.zeros(5), "(5,)"), (torch.zeros(5, 2), "(5, 2)"), ((1, 2), "tuple")],
)
def test_outputs_must_be_rows_by_outputs(outputs, found):
    assert message_of(require_outputs, outputs, 5, 1) == (
        "compare: --model: outputs must be a tensor of shape (rows, n_outputs) = (5, 1); got "
        f"{found}. Return one column an output, also when there is only one."
    )
    right = torch.zeros(5, 1)
    assert require_outputs(right, 5, 1) is right


def test_a_module_with_wrong_outputs_is_refused_in_training():
    class Flat(nn.Linear):
        def forward(self, features):
            return super().forward(features)[:, 0]

    spec = TrainingSpec(epochs=1)
    part = ModulePart(*make_data(), spec)
    objective = Objective.bind(BUILT_IN["bce"], np.ones(2))
    message = message_of(train_module, build(Flat), objective, part, None, spec, 0)
    assert message.startswith(
        "compare: --model: outputs must be a tensor of shape (rows, n_outputs) ="
    )


def test_the_head_must_be_a_linear_layer_of_that_name():
    rest = "Its nn.Linear modules are: 'body.0', 'last'."
    assert message_of(find_head, OwnModel(3, 1), "final") == (
        "compare: --head must be the name of the model's final nn.Linear; got 'final' (no such "
        "module). " + rest
    )
    assert message_of(build, OwnModel, head="norm") == (
        "compare: --head must be the name of the model's final nn.Linear; got 'norm' "
        "(BatchNorm1d). " + rest
    )
    assert message_of(find_head, nn.ReLU(), "head").endswith("Its nn.Linear modules are: none.")


def test_only_the_head_may_change_with_the_outputs():
    def grows(n_features, n_outputs):
        return nn.Sequential(
            nn.Linear(n_features, 4 * n_outputs), nn.Linear(4 * n_outputs, n_outputs)
        )

    assert message_of(build, grows, "ce2", head="1") == (
        "compare: --head must be the only part of the model whose shape depends on n_outputs; got "
        "'1', "
        "while 0.weight changes too. Leave --head out, or build the rest of the model from "
        "n_features alone."
    )
    assert build(grows, "ce2") is not None


def test_a_module_needs_parameters():
    spec = TrainingSpec(epochs=1)
    part = ModulePart(*make_data(), spec)
    objective = Objective.bind(BUILT_IN["bce"], np.ones(2))
    frozen = nn.Linear(3, 1).requires_grad_(False)
    for module in (nn.ReLU(), frozen):
        assert message_of(train_module, module, objective, part, None, spec, 0) == (
            "compare: --model must be a module with parameters to train; got none. Add at least "
            "one "
            "nn.Linear."
        )


# ---- the starting point


def head_log_odds(module, name, classes=2):
    head = torch.cat([module.last.weight, module.last.bias[:, None]], dim=1)
    return BUILT_IN[name].contrasts(classes) @ head.detach().double().numpy()


def test_starts_are_paired_through_the_head():
    modules = {name: build(OwnModel, name, head="last") for name in ("bce", "ce1", "ce2")}
    expected = head_log_odds(modules["bce"], "bce")
    for name, module in modules.items():
        np.testing.assert_allclose(head_log_odds(module, name), expected, atol=1e-7)
        assert torch.equal(module.body[0].weight, modules["bce"].body[0].weight)
    shift = modules["ce2"].last.weight.sum(0)
    assert shift.abs().max() > 0.01
    matched = build(OwnModel, "ce2", head="last", shift=False)
    assert matched.last.weight.sum(0).abs().max() == 0.0
    np.testing.assert_array_equal(head_log_odds(matched, "ce2"), expected)


def test_a_head_without_bias_is_paired_too():
    def factory(n_features, n_outputs):
        return OwnModel(n_features, n_outputs, bias=False)

    one, two = (build(factory, name, head="last").last.weight for name in ("bce", "ce2"))
    torch.testing.assert_close(two[1:] - two[:1], one)


@pytest.mark.parametrize("name", ["bce", "ce2"])
def test_a_module_may_be_its_own_head(name):
    module = build(nn.Linear, name, head="", shift=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        start = nn.Linear(3, 1)
    contrasts = torch.from_numpy(BUILT_IN[name].contrasts(2)).float()
    torch.testing.assert_close(contrasts @ module.weight, start.weight)


@pytest.mark.parametrize("name", ["bce", "ce2"])
def test_without_a_head_the_factory_starts_from_the_seed(name):
    module = build(OwnModel, name, seed=4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        expected = OwnModel(3, BUILT_IN[name].outputs(2))
    for own, reference in zip(module.parameters(), expected.parameters(), strict=True):
        assert torch.equal(own, reference)


def test_formulations_without_a_reference_class_start_as_the_factory_makes_them():
    with_head, without = (build(OwnModel, "ovr", head=h, classes=3) for h in ("last", None))
    assert torch.equal(with_head.last.weight, without.last.weight)


def test_seeds_differ():
    first, second = (build(OwnModel, head="last", seed=seed) for seed in (0, 1))
    assert not torch.equal(first.last.weight, second.last.weight)
    assert not torch.equal(first.body[0].weight, second.body[0].weight)


# ---- training


def train(module, spec, *, data=None, name="bce", classes=2, seed=0, modifiers=None, **options):
    objective = Objective.bind(modified(BUILT_IN[name], modifiers or Modifiers()), np.ones(classes))
    data = make_data(classes) if data is None else data
    part = ModulePart(*data, spec)
    return train_module(module, objective, part, part, spec, seed, **options)


SETTINGS = {
    "adam": {},
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.01},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
    "batches": {"batch_size": 40},
    "lbfgs": {"optimizer": "lbfgs", "learning_rate": 1.0},
    "lbfgs, decay": {"optimizer": "lbfgs", "learning_rate": 1.0, "weight_decay": 0.2},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-10)])
@pytest.mark.parametrize(("name", "classes"), [("bce", 2), ("ce1", 2), ("ce", 3), ("ovr", 3)])
def test_a_linear_module_is_the_built_in_stack(name, classes, dtype, tolerance, settings):
    if dtype == "float32" and settings.get("optimizer") != "lbfgs":
        tolerance = 2e-6
    spec = TrainingSpec(epochs=8, dtype=dtype, **settings)
    data = make_data(classes, weighted=True)
    modifiers = Modifiers(smoothing=0.1, weights=(1.0, 3.0, 0.7)[:classes])
    objective = Objective.bind(modified(BUILT_IN[name], modifiers), np.ones(classes))
    stack = Stack.draw([5], 3, (), objective.formulation, classes, shift=True, dtype=DOUBLE)
    start = stack.arrays(0)["head"]
    module = nn.Linear(3, objective.n_outputs, dtype=DOUBLE)
    module.weight.data = torch.from_numpy(start[:, :-1].copy())
    module.bias.data = torch.from_numpy(start[:, -1].copy())
    stack.layers = [layer.to(spec.torch_dtype) for layer in stack.layers]
    rows = Rows.prepare(*data, objective, spec)
    expected = train_stack(stack, objective, rows, rows, spec, [5])
    found = train(module, spec, data=data, name=name, classes=classes, seed=5, modifiers=modifiers)
    arrays = module_arrays(found.module)
    own = np.c_[arrays["weight"], arrays["bias"]]
    np.testing.assert_allclose(own, expected.parameters[0]["head"], rtol=0, atol=tolerance)
    for value, reference in (
        (found.train_curve, expected.train_curve[:, 0]),
        (found.validation_curve, expected.validation_curve[:, 0]),
        (found.objective, expected.objective[0]),
        (found.gradient_norm, expected.gradient_norm[0]),
    ):
        np.testing.assert_allclose(value, reference, rtol=0, atol=tolerance)
    assert found.diverged_at is None


def test_scaling_is_for_the_head_alone():
    spec = TrainingSpec(optimizer="sgd", learning_rate=0.1, epochs=1, dtype="float64")
    plain, scaled, base = (build(OwnModel, head="last", seed=2).double() for _ in range(3))
    train(plain, spec, head="last")
    train(scaled, spec, head="last", scaling=Scaling(learning_rate=0.5))
    moved = plain.last.weight - base.last.weight
    torch.testing.assert_close(scaled.last.weight - base.last.weight, 0.5 * moved)
    assert torch.equal(scaled.body[0].weight, plain.body[0].weight)


def test_dropout_draws_from_the_seed():
    spec = TrainingSpec(epochs=3, batch_size=30)
    runs = []
    for noise, seed in ((0, 0), (99, 0), (0, 1)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(noise)
            module = build(with_dropout, seed=0)
            runs.append(train(module, spec, seed=seed))
    first, again, other = (run.train_curve for run in runs)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_validation_draws_nothing_from_the_seed():
    """Following a curve must not change what is trained, even if evaluation is random."""

    class Noisy(nn.Linear):
        def forward(self, features):
            return super().forward(features) + 0.1 * torch.randn(len(features), 1)

    spec = TrainingSpec(epochs=4)
    objective = Objective.bind(BUILT_IN["bce"], np.ones(2))
    part = ModulePart(*make_data(), spec)
    alone = train_module(build(Noisy), objective, part, None, spec, 0)
    followed = train_module(build(Noisy), objective, part, part, spec, 0)
    np.testing.assert_array_equal(alone.train_curve, followed.train_curve)
    assert np.isnan(alone.validation_curve).all()


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_global_states_are_left_as_found(optimizer):
    before = (
        torch.get_rng_state(),
        np.random.get_state()[1].copy(),
        random.getstate(),
        torch.get_num_threads(),
    )
    module = build(with_dropout, head="last")
    trained = train(module, TrainingSpec(epochs=2, optimizer=optimizer))
    module_outputs(trained.module, torch.zeros(4, 3), 1)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
    assert (random.getstate(), torch.get_num_threads()) == before[2:]


def test_objective_and_outputs_are_those_of_evaluation_mode():
    spec = TrainingSpec(epochs=3, dtype="float64")
    features, target, weight = data = make_data(weighted=True)
    trained = train(build(with_dropout), spec, data=data)
    assert not trained.module.training
    outputs = trained.module(torch.from_numpy(features)).detach().numpy()[:, 0]
    expected = np.average(np.logaddexp(0, outputs) - target * outputs, weights=weight)
    assert trained.objective == pytest.approx(expected, rel=1e-12)
    assert trained.validation_curve[-1] == pytest.approx(expected, rel=1e-12)
    assert all(p.grad is None for p in trained.module.parameters())


def test_blocks_of_evaluation_are_one_evaluation(monkeypatch):
    from xent.study._training import _modules

    spec = TrainingSpec(epochs=2, dtype="float64")
    data = make_data(weighted=True)
    whole = train(build(OwnModel), spec, data=data)
    monkeypatch.setattr(_modules, "EVALUATION_ROWS", 37)
    blocks = train(build(OwnModel), spec, data=data)
    for name in ("objective", "gradient_norm", "validation_curve"):
        np.testing.assert_allclose(getattr(blocks, name), getattr(whole, name), rtol=1e-12)


def test_module_outputs_leave_the_mode():
    module = OwnModel(3, 1).train()
    module_outputs(module, torch.zeros(4, 3), 1)
    assert module.training
    module.eval()
    part = ModulePart(*make_data(), TrainingSpec())
    module_objective(module, Objective.bind(BUILT_IN["bce"], np.ones(2)), part)
    assert not module.training


def test_divergence_is_a_result():
    spec = TrainingSpec(optimizer="sgd", learning_rate=1e30, weight_decay=1.0, epochs=5)
    trained = train(build(nn.Linear), spec)
    assert trained.diverged_at == 2
    assert not np.isfinite(trained.objective)
    lost = nn.Linear(3, 1)
    lost.weight.data.fill_(torch.nan)
    assert train(lost, TrainingSpec(optimizer="lbfgs", epochs=3)).diverged_at == 1


def test_timings_tell_steps_data_and_evaluation_apart():
    timings = train(build(OwnModel), TrainingSpec(epochs=2, batch_size=40)).timings
    assert (len(timings.step), len(timings.data), len(timings.evaluation)) == (6, 6, 2)
    assert 0 < sum(timings.step) + sum(timings.data) + sum(timings.evaluation) <= timings.fit


def test_arrays_are_copies_of_the_whole_state():
    module = OwnModel(3, 1).double()
    arrays = module_arrays(module)
    assert set(arrays) == set(module.state_dict())
    assert all(array.dtype == np.float64 for array in arrays.values())
    before = arrays["last.weight"].copy()
    module.last.weight.data.add_(1.0)
    np.testing.assert_array_equal(arrays["last.weight"], before)
