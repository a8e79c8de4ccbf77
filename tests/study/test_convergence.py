"""Newton's method on the loss of each formulation, in float64 to the optimum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch.nn import functional

from xent._errors import InputError
from xent.study._formulations import BUILT_IN, Formulation, Modifiers, modified
from xent.study._optimum._maximum_likelihood import fit_maximum_likelihood, fit_one_vs_rest
from xent.study._training import _convergence
from xent.study._training._convergence import LinearLoss, converge
from xent.study._training._models import Stack
from xent.study._training._objectives import Objective

BASES = [("bce", 2), ("ce1", 2), ("ce2", 2), ("ce", 3), ("ovr", 3)]
MODIFIERS = {
    "plain": Modifiers(),
    "smoothing": Modifiers(smoothing=0.2),
    "focal 2": Modifiers(focal=2.0),
    "focal 0.5": Modifiers(focal=0.5),
    "weights": Modifiers(weights=(1.0, 3.0, 0.5)),
    "all": Modifiers(0.1, 1.5, (1.0, 3.0, 0.5)),
}


def squared_probability(outputs, target):
    """A user's loss: the Brier score of one sigmoid."""
    return (torch.sigmoid(outputs[:, 0]) - target.to(outputs)) ** 2


BRIER = Formulation("brier", "", lambda _: 1, squared_probability, "sigmoid")


def make_data(classes, rows=120, seed=0):
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(rows, 3))
    logits = features @ generator.normal(size=(3, classes))
    target = np.argmax(logits + generator.gumbel(size=logits.shape), axis=1)
    return features, target, generator.uniform(0.2, 3.0, size=rows)


def make_loss(formulation, classes, weight_decay=0.0, weighted=True):
    features, target, weight = make_data(classes)
    objective = Objective.bind(formulation, np.ones(classes))
    return LinearLoss(objective, features, target, weight if weighted else None, weight_decay)


def built_in(base, classes, modifiers):
    weights = modifiers.weights if modifiers.weights is None else modifiers.weights[:classes]
    return modified(BUILT_IN[base], Modifiers(modifiers.smoothing, modifiers.focal, weights))


def central(function, point, step=1e-5):
    """Central differences along each coordinate, in the last axis."""
    columns = []
    for direction in np.eye(len(point)) * step:
        columns.append((function(point + direction) - function(point - direction)) / (2 * step))
    return np.stack(columns, axis=-1)


FORMULATIONS = {
    f"{base} {name}": (built_in(base, classes, modifiers), classes)
    for base, classes in BASES
    for name, modifiers in MODIFIERS.items()
} | {"user's": (BRIER, 2)}

every_formulation = pytest.mark.parametrize(
    ("formulation", "classes"), FORMULATIONS.values(), ids=FORMULATIONS
)


@every_formulation
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_derivatives_are_finite_differences(formulation, classes, weight_decay):
    loss = make_loss(formulation, classes, weight_decay)
    point = np.random.default_rng(1).normal(size=4 * formulation.outputs(classes))
    value, gradient, hessian = loss(point)
    assert value - 0.5 * weight_decay * point @ point == pytest.approx(
        loss.value(point.reshape(-1, 4)), rel=1e-12
    )
    np.testing.assert_allclose(gradient, central(lambda x: loss(x)[0], point), atol=1e-8)
    np.testing.assert_allclose(hessian, central(lambda x: loss(x)[1], point), atol=1e-8)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-15)


def test_value_is_the_weighted_mean_of_torchs_cross_entropy():
    features, target, weight = make_data(3)
    class_weights = np.array([1.0, 3.0, 0.5])
    loss = make_loss(built_in("ce", 3, Modifiers(0.1, 0.0, tuple(class_weights))), 3)
    head = np.random.default_rng(2).normal(size=(3, 4))
    outputs = torch.from_numpy(features @ head[:, :-1].T + head[:, -1])
    losses = functional.cross_entropy(
        outputs,
        torch.from_numpy(target),
        weight=torch.from_numpy(class_weights),
        label_smoothing=0.1,
        reduction="none",
    ).numpy()
    expected = (losses * weight).sum() / (class_weights[target] * weight).sum()
    assert loss.value(head) == pytest.approx(expected, rel=1e-13)
    assert loss(head.ravel())[0] == pytest.approx(expected, rel=1e-13)


def test_a_loss_that_is_linear_has_no_curvature():
    linear = Formulation("linear", "", lambda _: 1, lambda z, y: z[:, 0], "sigmoid")
    loss = make_loss(linear, 2, weight_decay=0.5)
    _, gradient, hessian = loss(np.zeros(4))
    features, _, weight = make_data(2)
    expected = np.average(np.c_[features, np.ones(120)], axis=0, weights=weight)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)
    np.testing.assert_array_equal(hessian, 0.5 * np.eye(4))


def test_a_loss_that_sees_one_output_only_has_curvature_there_alone():
    first = Formulation("first", "", lambda _: 2, lambda z, y: z[:, 0] ** 2, "softmax")
    hessian = make_loss(first, 2)(np.ones(8))[2]
    assert np.linalg.eigvalsh(hessian[:4, :4]).min() > 0.1
    np.testing.assert_array_equal(hessian[4:], 0.0)


def start(formulation, classes, seeds=(0, 1), n_features=3):
    return Stack.draw(seeds, n_features, (), formulation, classes, shift=True, dtype=torch.float64)


@pytest.fixture(scope="module")
def best(study_data):
    return fit_maximum_likelihood(*study_data, 2)


@pytest.mark.parametrize("base", ["bce", "ce1", "ce2"])
def test_the_study_converges_to_the_maximum_of_the_likelihood(base, study_data, best):
    formulation = BUILT_IN[base]
    stack = start(formulation, 2, n_features=4)
    before = stack.layers[0].clone().numpy()
    loss = LinearLoss(Objective.bind(formulation, np.ones(2)), *study_data, None)
    trained = converge(stack, loss, 1e-9)
    for member, parameters in enumerate(trained.parameters):
        head = parameters["head"]
        np.testing.assert_allclose(formulation.contrasts(2) @ head, best.coefficients, atol=1e-6)
        if base == "ce2":
            shift = before[member].sum(axis=0)
            assert np.abs(shift).max() > 0.1
            np.testing.assert_allclose(head.sum(axis=0), shift, atol=1e-9)
    np.testing.assert_allclose(trained.objective, best.log_loss, rtol=1e-12)
    assert (trained.gradient_norm <= 1e-9).all()
    assert trained.diverged_at == [None, None]


def test_one_against_the_rest_converges_to_the_separate_fits():
    features, target, weight = make_data(3)
    formulation = BUILT_IN["ovr"]
    best = fit_one_vs_rest(features, target, 3, weight)
    trained = converge(start(formulation, 3), make_loss(formulation, 3), 1e-10)
    np.testing.assert_allclose(trained.parameters[0]["head"], best.coefficients, atol=1e-7)
    np.testing.assert_allclose(3 * trained.objective, best.log_loss, rtol=1e-10)


@every_formulation
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_every_formulation_converges_to_what_scipy_finds(formulation, classes, weight_decay):
    loss = make_loss(formulation, classes, weight_decay)
    trained = converge(start(formulation, classes), loss, 1e-9)
    assert (trained.gradient_norm <= 1e-9).all()
    for parameters in trained.parameters:
        flat = parameters["head"].ravel()
        value, gradient, _ = loss(flat)
        np.testing.assert_allclose(gradient, 0.0, atol=1e-9)
        found = minimize(lambda x: loss(x)[:2], flat + 0.5, jac=True, method="BFGS")
        assert value <= found.fun + 1e-12
    if weight_decay and not (formulation.modifiers.focal or formulation is BRIER):
        # a penalised convex loss has one minimum, wherever it was begun
        np.testing.assert_allclose(
            trained.parameters[0]["head"], trained.parameters[1]["head"], atol=1e-7
        )


def test_weight_decay_is_stationary_where_the_penalty_balances_the_gradient():
    features, target, _ = make_data(2)
    loss = make_loss(BUILT_IN["bce"], 2, weight_decay=0.3, weighted=False)
    trained = converge(start(BUILT_IN["bce"], 2), loss, 1e-10)
    head = trained.parameters[0]["head"][0]
    design = np.c_[features, np.ones(len(features))]
    residual = 1 / (1 + np.exp(-design @ head)) - target
    np.testing.assert_allclose(design.T @ residual / len(target), -0.3 * head, atol=1e-9)
    # the objective is without the penalty
    z = design @ head
    assert trained.objective[0] == pytest.approx(np.mean(np.logaddexp(0, z) - target * z))


def test_curves_fall_and_stay_at_their_end():
    loss = make_loss(BUILT_IN["ce"], 3)
    stack = start(BUILT_IN["ce"], 3, seeds=(0, 1, 2))
    stack.layers[0][1] *= 50.0
    trained = converge(stack, loss, 1e-9)
    curve = trained.train_curve
    assert curve.shape[1] == 3
    assert (np.diff(curve, axis=0) <= 1e-14).all()
    np.testing.assert_allclose(curve[-1], trained.objective, rtol=1e-12)
    assert len(trained.timings.step) == 3
    assert np.isnan(trained.validation_curve).all()
    assert trained.validation_curve.shape == curve.shape


def test_a_start_that_is_not_finite_is_a_result():
    loss = make_loss(BUILT_IN["bce"], 2)
    stack = start(BUILT_IN["bce"], 2)
    stack.layers[0][0] = np.nan
    trained = converge(stack, loss, 1e-9)
    assert trained.diverged_at[0] is not None
    assert trained.diverged_at[1] is None
    assert trained.gradient_norm[1] <= 1e-9


def test_too_many_parameters_are_refused(monkeypatch):
    monkeypatch.setattr(_convergence, "MOST_PARAMETERS", 11)
    with pytest.raises(InputError) as caught:
        converge(start(BUILT_IN["ce"], 3), make_loss(BUILT_IN["ce"], 3), 1e-9)
    assert str(caught.value) == (
        "compare: --converge must be used with at most 11 parameters; got 12. Use --optimizer "
        "lbfgs with "
        "more --epochs."
    )
