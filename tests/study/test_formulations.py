"""The table of formulations, its grammar, and formulations that the user brings."""

from __future__ import annotations

import math
import pickle
import sys
import textwrap

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xent._errors import InputError
from xent._links import LINKS, Link
from xent.study._formulations import (
    BUILT_IN,
    Formulation,
    Modifiers,
    default_formulations,
    find_formulations,
    import_by_path,
    modified,
)

GRAMMAR = "The grammar is base+modifier=value, such as ce+smoothing=0.1+focal=2+weights=balanced."


def find(name, classes=2):
    (formulation,) = find_formulations([name], classes)
    return formulation


def squared(outputs, target):
    return (outputs[:, 0] - target) ** 2


def one_output(_):
    return 1


def own(**changes):
    arguments = {
        "name": "squared",
        "description": "squared error",
        "outputs": one_output,
        "loss": squared,
        "link": "sigmoid",
    }
    return Formulation(**(arguments | changes))


def message_of(call, *arguments):
    with pytest.raises(InputError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("name", "outputs"), [("bce", 1), ("ce1", 1), ("ce2", 2)])
def test_table_for_two_classes(name, outputs):
    formulation = BUILT_IN[name]
    assert formulation.outputs(2) == outputs
    assert formulation.binary_only
    assert formulation.likelihood


@pytest.mark.parametrize(("name", "likelihood"), [("ce", True), ("ovr", False)])
def test_table_for_many_classes(name, likelihood):
    formulation = BUILT_IN[name]
    assert [formulation.outputs(classes) for classes in (2, 3, 7)] == [2, 3, 7]
    assert not formulation.binary_only
    assert formulation.likelihood is likelihood


LOGITS = torch.tensor([[0.3, -1.2], [2.0, 0.5], [-0.7, 0.1]], dtype=torch.float64)
TARGET = torch.tensor([0, 1, 1])


def test_losses_against_the_logarithm_of_the_logistic_function():
    sign = 2.0 * TARGET.double() - 1
    z, difference = LOGITS[:, 0], LOGITS[:, 1] - LOGITS[:, 0]
    expected = {
        "bce": torch.log1p(torch.exp(-sign * z)),
        "ce1": torch.log1p(torch.exp(-2 * sign * z)),
        "ce2": torch.log1p(torch.exp(-sign * difference)),
    }
    expected["ce"] = expected["ce2"]
    # one-vs-rest: each output is a yes or no of its own; the row's loss is their mean
    signs = torch.stack([-sign, sign], dim=1)
    expected["ovr"] = torch.log1p(torch.exp(-signs * LOGITS)).mean(1)
    for name, losses in expected.items():
        formulation = BUILT_IN[name]
        given_outputs = LOGITS[:, : formulation.outputs(2)]
        torch.testing.assert_close(
            formulation.loss(given_outputs, TARGET), losses, rtol=1e-14, atol=1e-14
        )


@pytest.mark.parametrize("name", ["bce", "ce1", "ce2", "ce"])
def test_loss_is_minus_the_log_probability_of_the_link(name):
    formulation = BUILT_IN[name]
    outputs = LOGITS[:, : formulation.outputs(2)]
    log_q = formulation.resolved_link.log_probabilities(outputs.numpy())
    expected = -log_q[np.arange(3), TARGET.numpy()]
    np.testing.assert_allclose(formulation.loss(outputs, TARGET).numpy(), expected, rtol=1e-14)


def test_contrasts():
    assert BUILT_IN["bce"].contrasts(2).tolist() == [[1.0]]
    assert BUILT_IN["ce1"].contrasts(2).tolist() == [[2.0]]
    assert BUILT_IN["ce2"].contrasts(2).tolist() == [[-1.0, 1.0]]
    assert BUILT_IN["ce"].contrasts(3).tolist() == [[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]]
    assert own(link=Link("cloglog", "P", lambda z: z, None)).contrasts(2) is None


def test_default_formulations():
    assert default_formulations(2) == ("bce", "ce1", "ce2")
    assert default_formulations(10) == ("ce", "ovr")


@pytest.mark.parametrize(
    ("written", "canonical", "modifiers"),
    [
        ("bce", "bce", Modifiers()),
        ("ce+smoothing=0", "ce", Modifiers()),
        ("ce2+smoothing=.1", "ce2+smoothing=0.1", Modifiers(smoothing=0.1)),
        ("ce+focal=2.0", "ce+focal=2", Modifiers(focal=2.0)),
        ("ce+weights=balanced", "ce+weights=balanced", Modifiers(weights="balanced")),
        ("ovr+weights=1:4.50", "ovr+weights=1:4.5", Modifiers(weights=(1.0, 4.5))),
        (
            "ce+weights=1:2+focal=.5+smoothing=1e-1",
            "ce+smoothing=0.1+focal=0.5+weights=1:2",
            Modifiers(0.1, 0.5, (1.0, 2.0)),
        ),
        ("ce+smoothing=0.123456789", "ce+smoothing=0.123456789", Modifiers(0.123456789)),
        ("ce+weights=1:1000000", "ce+weights=1:1000000", Modifiers(weights=(1.0, 1e6))),
        ("ce+weights=1:1e20", "ce+weights=1:1e20", Modifiers(weights=(1.0, 1e20))),
    ],
)
def test_grammar(written, canonical, modifiers):
    formulation = find(written)
    assert formulation.name == canonical
    assert formulation.modifiers == modifiers
    assert formulation.base == canonical.split("+")[0]
    assert formulation.built_in
    assert find(canonical) == formulation
    assert formulation.likelihood == (not modifiers)


@given(
    smoothing=st.floats(0, 1, exclude_max=True),
    focal=st.floats(0, 1e300),
    weights=st.none() | st.tuples(*[st.floats(0, exclude_min=True, allow_infinity=False)] * 2),
)
def test_a_name_gives_back_the_same_numbers(smoothing, focal, weights):
    formulation = modified(BUILT_IN["ce"], Modifiers(smoothing, focal, weights))
    assert find(formulation.name).modifiers == formulation.modifiers


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "bcee",
            "compare: formulations must be among bce, ce1, ce2, ce, ovr, or package.module:name "
            "of your "
            f"own; got 'bcee'. {GRAMMAR}",
        ),
        (
            "",
            "compare: formulations must be among bce, ce1, ce2, ce, ovr, or package.module:name "
            "of your "
            f"own; got ''. {GRAMMAR}",
        ),
        (
            "ce+smooth=0.1",
            "formulation 'ce+smooth=0.1' must be modified by smoothing=, focal= or weights=; got "
            f"'smooth=0.1'. {GRAMMAR}",
        ),
        (
            "ce+focal",
            "formulation 'ce+focal' must be modified by smoothing=, focal= or weights=; got "
            f"'focal'. {GRAMMAR}",
        ),
        (
            "ce+focal=1+focal=2",
            "formulation 'ce+focal=1+focal=2' must be given each modifier once; got focal= twice. "
            "Leave one of them out.",
        ),
        *(
            (
                f"ce+smoothing={value}",
                f"formulation 'ce+smoothing={value}': smoothing must be a number in [0, 1); got "
                f"'{value}'. {GRAMMAR}",
            )
            for value in ("1", "-0.1", "nan", "much", "0.1:0.2")
        ),
        *(
            (
                f"ce+focal={value}",
                f"formulation 'ce+focal={value}': focal must be a finite number of at least 0; got "
                f"'{value}'. {GRAMMAR}",
            )
            for value in ("-1", "inf", "nan", "")
        ),
        *(
            (
                f"ce+weights={value}",
                f"formulation 'ce+weights={value}': weights must be 'balanced' or positive numbers "
                f"in class order, as in 1:4; got '{value}'. {GRAMMAR}",
            )
            for value in ("equal", "0:1", "1:-1", "1:inf", "1:nan")
        ),
        (
            "ce+weights=1:2:3",
            "formulation 'ce+weights=1:2:3': weights must be one number a class (2); got 3 "
            "numbers. Give them in class order, as in weights=1:4, or weights=balanced.",
        ),
    ],
)
def test_grammar_errors(name, message):
    assert message_of(find, name) == message


@pytest.mark.parametrize("name", ["bce", "ce1", "ce2"])
def test_binary_formulations_refuse_more_classes(name):
    assert message_of(find, name, 3) == (
        f"formulation '{name}' must be used with two classes; got a target with 3 classes. "
        "Use ce or ovr."
    )


def test_none_and_twice():
    assert message_of(find_formulations, [], 2) == (
        "compare: formulations must be at least one name; got none. Give --formulations bce,ce2."
    )
    assert message_of(find_formulations, ["ce+focal=2", "bce", "ce+focal=2.0"], 2) == (
        "compare: formulations must be different from each other; got 'ce+focal=2' twice. "
        "Name each formulation once."
    )


def test_unknown_link_is_an_error():
    assert message_of(lambda: own(link="probit")) == (
        "link must be one of sigmoid, symmetric-softmax, softmax, normalised-sigmoid, or an "
        "xent.Link of your own; got 'probit'. Say how the outputs become probabilities."
    )


def test_a_named_link_becomes_the_object():
    assert own().link is LINKS["sigmoid"]
    assert own().resolved_link is LINKS["sigmoid"]


@pytest.mark.parametrize(
    ("changes", "classes", "message"),
    [
        (
            {},
            3,
            "formulation 'squared': link sigmoid must be a map from 1 outputs to 3 "
            "log-probabilities; got an array of shape (1, 2) for one row. Give the link that "
            "belongs to the loss.",
        ),
        (
            {"outputs": lambda _: 2},
            2,
            "formulation 'squared': link sigmoid must be a map from 2 outputs to 2 "
            "log-probabilities; got contrasts of shape (1, 1). Give the link that belongs to the "
            "loss.",
        ),
        (
            {"link": Link("plain", "P = 1/2", lambda z: np.full((len(z), 2), 0.5), None)},
            2,
            "formulation 'squared': link plain must be a map from 1 outputs to 2 "
            "log-probabilities; got probabilities that sum to 3.29744. Give the link that belongs "
            "to the loss.",
        ),
    ],
)
def test_a_link_that_does_not_fit_is_an_error(changes, classes, message):
    assert message_of(find, own(**changes), classes) == message


def test_modifiers_belong_to_built_in_losses():
    assert message_of(lambda: own(modifiers=Modifiers(focal=2.0))) == (
        "formulation 'squared': modifiers must be left out with a loss of your own; got "
        "Modifiers(smoothing=0.0, focal=2.0, weights=None). Write them into the loss, and give "
        "recover to undo them."
    )


def test_a_loss_of_ones_own_under_a_built_in_name_is_not_built_in():
    assert not own(name="bce").built_in
    assert find(own(name="bce")).loss is squared


def test_modified_without_modifiers_is_the_formulation_itself():
    assert modified(BUILT_IN["bce"], Modifiers()) is BUILT_IN["bce"]


@pytest.mark.parametrize(
    "formulation",
    [
        *BUILT_IN.values(),
        find("ce+smoothing=0.1+focal=2+weights=1:3"),
        own(),
        own(link=LINKS["symmetric-softmax"]),
    ],
    ids=lambda formulation: formulation.name,
)
def test_formulations_travel_to_other_processes(formulation):
    again = pickle.loads(pickle.dumps(formulation))
    assert again == formulation
    assert again.resolved_link is formulation.resolved_link


MODULE = """
import torch
import xent

def _loss(outputs, target):
    return torch.nn.functional.softplus((1 - 2 * target.to(outputs)) * outputs[:, 0])

mine = xent.Formulation("mine", "logistic", lambda _: 1, _loss, "sigmoid", likelihood=True)
number = 3
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "own_losses").mkdir()
    (tmp_path / "own_losses" / "__init__.py").touch()
    (tmp_path / "own_losses" / "smooth.py").write_text(MODULE)
    (tmp_path / "own_losses" / "wrong.py").write_text(
        textwrap.dedent(
            """
            import xent
            mine = xent.Formulation("mine", "text", lambda _: 1, None, "probit")
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.startswith("own_losses")]:
        del sys.modules[name]


@pytest.mark.usefixtures("package")
def test_a_formulation_is_imported_by_name():
    found = find_formulations(["bce", "own_losses.smooth:mine"], 2)
    assert [formulation.name for formulation in found] == ["bce", "mine"]
    assert not found[1].built_in
    value = found[1].loss(torch.tensor([[math.log(3.0)]]), torch.tensor([1])).item()
    assert value == pytest.approx(-math.log(3 / 4), abs=1e-7)


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "own_losses.smoth:mine",
            "compare: formulations must be package.module:name of something that can be imported; "
            "got "
            "'own_losses.smoth:mine' (ModuleNotFoundError: No module named 'own_losses.smoth'). "
            "Check the spelling, and that the module is on PYTHONPATH.",
        ),
        (
            ":mine",
            "compare: formulations must be package.module:name of something that can be imported; "
            "got "
            "':mine' (ValueError: Empty module name). "
            "Check the spelling, and that the module is on PYTHONPATH.",
        ),
        (
            "own_losses.wrong:mine",
            "link must be one of sigmoid, symmetric-softmax, softmax, normalised-sigmoid, or an "
            "xent.Link of your own; got 'probit'. Say how the outputs become probabilities.",
        ),
        (
            "own_losses.smooth:yours",
            "compare: formulations must be package.module:name of something that exists; got "
            "'own_losses.smooth:yours' (module own_losses.smooth has no 'yours'). Check the "
            "spelling after the colon.",
        ),
        (
            "own_losses.smooth:number",
            "compare: formulations must be an xent.Formulation where package.module:name is "
            "given; got "
            "own_losses.smooth:number of type int. Make it with xent.Formulation(name, "
            "description, outputs, loss, link).",
        ),
    ],
)
def test_import_errors(path, message):
    assert message_of(find, path) == message


def test_import_by_path():
    assert import_by_path("math:pi", "--model") is math.pi
    assert message_of(import_by_path, "math:tau2", "compare: --model").startswith(
        "compare: --model must be"
    )
