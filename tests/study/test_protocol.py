"""The matched protocol: one trajectory in log-odds, whatever the parametrisation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from xent._errors import InputError
from xent._links import Link
from xent.study._formulations import BUILT_IN, Formulation, Modifiers, modified
from xent.study._training._models import ModelSpec, Stack
from xent.study._training._modules import ModulePart, build_module, train_module
from xent.study._training._objectives import Objective
from xent.study._training._protocol import Scaling, match, require_matchable
from xent.study._training._stacks import Rows, TrainingSpec, train_stack

BINARY = ("bce", "ce1", "ce2")
SEEDS = (0, 3)

OPTIMISERS = {
    "sgd": {"optimizer": "sgd", "learning_rate": 0.5},
    "sgd, momentum and decay": {
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "momentum": 0.9,
        "weight_decay": 0.01,
    },
    "adam": {"optimizer": "adam", "learning_rate": 0.1},
    "adam, decay": {"optimizer": "adam", "learning_rate": 0.02, "weight_decay": 0.01},
    "adamw": {"optimizer": "adamw", "learning_rate": 0.05, "weight_decay": 0.1},
}


def trajectory(name, data, settings, *, widths=(), steps=200, matched=True, batch_size=None):
    """Log-odds form of the head after every step, ``(steps, seeds, 1, features + 1)``."""
    features, target = data
    formulation = BUILT_IN[name]
    spec = TrainingSpec(epochs=steps, dtype="float64", batch_size=batch_size, **settings)
    scaling = match(formulation, 2, spec.optimizer) if matched else Scaling()
    objective = Objective.bind(formulation, np.ones(2))
    stack = Stack.draw(
        SEEDS,
        features.shape[1],
        widths,
        formulation,
        2,
        shift=not matched,
        dtype=torch.float64,
    )
    contrasts = torch.from_numpy(formulation.contrasts(2))
    path = []
    rows = Rows.prepare(features, target, None, objective, spec)
    train_stack(
        stack,
        objective,
        rows,
        None,
        spec,
        SEEDS,
        scaling=scaling,
        on_epoch=lambda _, stack: path.append((contrasts @ stack.layers[-1]).numpy().copy()),
    )
    return np.stack(path)


@pytest.mark.parametrize("settings", OPTIMISERS.values(), ids=OPTIMISERS)
def test_log_odds_agree_at_every_step(binary_data, settings):
    paths = {name: trajectory(name, binary_data, settings) for name in BINARY}
    assert paths["bce"].shape[0] == 200
    assert np.abs(paths["bce"][-1] - paths["bce"][0]).max() > 0.1
    for name in ("ce1", "ce2"):
        np.testing.assert_allclose(paths[name], paths["bce"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("settings", OPTIMISERS.values(), ids=OPTIMISERS)
def test_log_odds_of_a_perceptron_agree(iris, settings):
    settings = {**settings, "learning_rate": settings["learning_rate"] / 10}
    paths = [trajectory(name, iris, settings, widths=(6,)) for name in BINARY]
    for path in paths[1:]:
        np.testing.assert_allclose(path, paths[0], rtol=0, atol=1e-10)


def test_log_odds_agree_over_batches(iris):
    paths = [trajectory(name, iris, OPTIMISERS["adam"], steps=30, batch_size=32) for name in BINARY]
    for path in paths[1:]:
        np.testing.assert_allclose(path, paths[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_without_matching_the_steps_differ(iris, optimizer):
    """What the tests above would not survive: the same settings taken as written."""
    settings = {"optimizer": optimizer, "learning_rate": 0.1}
    paths = [trajectory(name, iris, settings, steps=5, matched=False) for name in BINARY]
    for path in paths[1:]:
        assert np.abs(path - paths[0]).max() > 1e-3


def test_epsilon_is_part_of_the_match(binary_data):
    """A feature with tiny gradients: there Adam's epsilon sets the size of the steps."""
    features = binary_data[0] * np.array([1e-7] + [1.0] * (binary_data[0].shape[1] - 1))
    data = features[:500], binary_data[1][:500]
    expected = trajectory("bce", data, OPTIMISERS["adam"], steps=50)
    found = trajectory("ce1", data, OPTIMISERS["adam"], steps=50)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


class OwnModel(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_features, 7), nn.Tanh())
        self.last = nn.Linear(7, n_outputs)

    def forward(self, features):
        return self.last(self.body(features))


@pytest.mark.parametrize("settings", OPTIMISERS.values(), ids=OPTIMISERS)
@pytest.mark.parametrize("batch_size", [None, 40])
def test_log_odds_of_a_users_module_agree(iris, settings, batch_size):
    features, target = iris
    model = ModelSpec("own", head="last", factory=OwnModel)
    spec = TrainingSpec(epochs=20, dtype="float64", batch_size=batch_size, **settings)
    found = []
    for name in BINARY:
        formulation = BUILT_IN[name]
        module = build_module(model, 4, 2, formulation, 1, shift=False)
        objective = Objective.bind(formulation, np.ones(2))
        part = ModulePart(features, target, None, spec)
        scaling = match(formulation, 2, spec.optimizer)
        trained = train_module(module, objective, part, None, spec, 1, head="last", scaling=scaling)
        head = torch.cat([module.last.weight, module.last.bias[:, None]], dim=1)
        log_odds = formulation.contrasts(2) @ head.detach().numpy()
        found.append((log_odds, module.body[0].weight.detach().numpy(), trained.train_curve))
    for other in found[1:]:
        for own, reference in zip(other, found[0], strict=True):
            np.testing.assert_allclose(own, reference, rtol=0, atol=1e-10)


def test_factors():
    assert match(BUILT_IN["bce"], 2, "adam") == Scaling(1.0, 1.0, 1.0)
    assert match(BUILT_IN["ce1"], 2, "sgd") == Scaling(0.25, 1.0, 4.0)
    assert match(BUILT_IN["ce2"], 2, "sgd") == Scaling(0.5, 1.0, 2.0)
    assert match(BUILT_IN["ce1"], 2, "adam") == Scaling(0.5, 2.0, 4.0)
    assert match(BUILT_IN["ce2"], 2, "adam") == Scaling(0.5, 1.0, 2.0)
    assert match(BUILT_IN["ce1"], 2, "adamw") == Scaling(0.5, 2.0, 2.0)
    assert match(BUILT_IN["ce2"], 2, "adamw") == Scaling(0.5, 1.0, 2.0)
    assert match(BUILT_IN["ce"], 4, "adam") == Scaling()


def own(contrasts):
    link = Link("own", "P(1) = own(z)", lambda z: z, contrasts)
    return Formulation("mine", "", lambda _: 2, lambda z, y: z[:, 0], link)


@pytest.mark.parametrize(
    ("formulation", "classes", "optimizer", "message"),
    [
        (
            BUILT_IN["bce"],
            2,
            "lbfgs",
            "compare: --protocol matched must be used with sgd, adam or adamw; got lbfgs, whose "
            "first step "
            "depends on the parametrisation. Use --protocol as-written, or --converge.",
        ),
        (
            BUILT_IN["ovr"],
            3,
            "adam",
            "compare: --protocol matched must be used with formulations that have log-odds "
            "against one "
            "reference class; got ovr (P(k) = sigmoid(z_k) / sum over j of sigmoid(z_j)). Leave it "
            "out, or use --protocol as-written.",
        ),
        (
            own(None),
            2,
            "sgd",
            "compare: --protocol matched must be used with formulations that have log-odds "
            "against one "
            "reference class; got mine (P(1) = own(z)). Leave it out, or use --protocol "
            "as-written.",
        ),
        (
            own(lambda _: np.array([[-1.0, 3.0]])),
            2,
            "adam",
            "compare: --protocol matched must be used with contrasts of one size under an adaptive "
            "optimiser; got [-1.0, 3.0] of mine. Use --optimizer sgd.",
        ),
    ],
)
def test_refusals(formulation, classes, optimizer, message):
    with pytest.raises(InputError) as caught:
        match(formulation, classes, optimizer)
    assert str(caught.value) == message


def test_contrasts_of_two_sizes_match_under_sgd():
    assert match(own(lambda _: np.array([[-1.0, 3.0]])), 2, "sgd") == Scaling(0.1, 1.0, 10.0)


def test_more_classes_need_the_same_contrasts():
    halved = Formulation(
        "halved",
        "",
        lambda k: k,
        lambda z, y: z[:, 0],
        Link("halved", "", lambda z: z, lambda k: 0.5 * BUILT_IN["ce"].contrasts(k)),
    )
    smooth = modified(BUILT_IN["ce"], Modifiers(smoothing=0.1))
    require_matchable((BUILT_IN["ce"], smooth), 3)
    require_matchable((BUILT_IN["ce"], halved), 2)
    with pytest.raises(InputError) as caught:
        require_matchable((BUILT_IN["ce"], halved), 3)
    assert str(caught.value) == (
        "compare: --protocol matched must be used with formulations that share their outputs when "
        "there "
        "are more than 2 classes; got ce and halved. Use --protocol as-written."
    )
