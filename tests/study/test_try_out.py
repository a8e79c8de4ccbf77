"""What is said of a user's formulation whose pieces don't fit, before anything is trained."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from xent import Formulation, Link
from xent._errors import InputError
from xent.study import BUILT_IN
from xent.study._training._try_out import try_out

REPAIR = " See the arguments of xent.Formulation and xent.Link."


def cross_entropy(outputs, target):
    return functional.cross_entropy(outputs, target, reduction="none")


def formulation(**changes):
    fields = {
        "name": "mine",
        "description": "logits",
        "outputs": lambda classes: classes,
        "loss": cross_entropy,
        "link": "softmax",
    }
    return Formulation(**(fields | changes))


def uniform(outputs):
    return np.full((len(outputs), 2), -np.log(2))


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_pass(name):
    try_out(BUILT_IN[name], 2)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_what_fits_passes(classes):
    try_out(formulation(), classes)


def test_a_link_without_contrasts_passes():
    try_out(formulation(link=Link("even", "1/2", uniform, None)), 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outputs": 2}, "outputs must be a function of the number of classes; got TypeError: "
         "'int' object is not callable."),
        ({"outputs": lambda classes: 0}, "outputs must be a whole number of at least 1 for every "
         "number of classes; got 0 for 2."),
        ({"outputs": lambda classes: "2"}, "outputs must be a whole number of at least 1 for "
         "every number of classes; got '2' for 2."),
        ({"loss": functional.cross_entropy}, "loss must be a tensor of one finite loss a row, "
         "shape (3,) for 3 rows; got shape ()."),
        ({"loss": lambda outputs, target: 0.0}, "loss must be a tensor of one finite loss a row, "
         "shape (3,) for 3 rows; got float."),
        ({"loss": lambda outputs, target: outputs.sum(1) / 0}, "loss must be a tensor of one "
         "finite loss a row, shape (3,) for 3 rows; got [-inf, nan, inf]."),
        ({"loss": lambda outputs, target: target * 1.0}, "loss must be differentiable; got a "
         "tensor without a gradient."),
        ({"outputs": lambda classes: 1}, "loss must be a tensor of one finite loss a row, shape "
         "(3,) for 3 rows; got IndexError: Target 1 is out of bounds.."),
        ({"link": "sigmoid"}, "contrasts of link 'sigmoid' must be a matrix (log-odds, outputs) "
         "of shape (1, 2); got shape (1, 1)."),
        ({"link": Link("even", "1/2", lambda outputs: outputs[:, :1], None)}, "link 'even' must "
         "be a map of 2 outputs to finite log-probabilities of 2 classes; got shape (3, 1)."),
        ({"link": Link("nan", "0/0", lambda outputs: outputs * np.nan, None)}, "link 'nan' must "
         "be a map of 2 outputs to finite log-probabilities of 2 classes; got [nan, nan]."),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(InputError) as caught:
        try_out(formulation(**changes), 2)
    assert str(caught.value) == f"formulation 'mine': {message}{REPAIR}"


def test_a_changed_loss_under_a_built_in_name_is_tried_too():
    def broken(outputs, target):
        raise RuntimeError("so\nbroken")

    own = formulation(name="ce", loss=broken)
    with pytest.raises(InputError, match="got RuntimeError: so broken"):
        try_out(own, 2)


def test_random_state_is_left_alone():
    before = torch.get_rng_state()
    try_out(formulation(), 3)
    assert torch.equal(before, torch.get_rng_state())
