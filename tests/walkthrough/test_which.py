"""The right loss: every example, every outcome and every number in the answers is run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as torch_functional
from hypothesis import given, settings
from hypothesis import strategies as st

import xent
import xent.functional as xent_functional
from xent._contracts import CONTRACTS, Argument, Contract, Form, Sibling
from xent._contracts._arguments import ELEMENTS
from xent._contracts._domains import FLOATS, LOGIT, PROBABILITY
from xent._contracts._sigmoid_family import BINARY_CROSS_ENTROPY_WITH_LOGITS
from xent.walkthrough import Choice, cheat_sheet, which
from xent.walkthrough._combinations import (
    LAST_LAYERS,
    TARGET_FORMS,
    TASKS,
    Combination,
    domain_of,
    example_target,
    outputs_before_the_last_layer,
)
from xent.walkthrough._mistakes import ANOTHER, REFUSED, SAME
from xent.walkthrough._routes import routes

CASES = settings(max_examples=50, deadline=None, derandomize=True)
EVERY = cheat_sheet()
every = pytest.mark.parametrize("choice", EVERY, ids=lambda choice: choice.title)
HOMES = {"torch": torch_functional, "xent": xent_functional}
ACTIVATIONS = {
    "none": lambda z: z,
    "sigmoid": torch.sigmoid,
    "softmax": lambda z: z.softmax(dim=1),
    "log_softmax": lambda z: z.log_softmax(dim=1),
}


def run(example: str, home: str) -> dict[str, Any]:
    """The example as it stands, or with xent.functional in the place of PyTorch's."""
    first = "import torch, torch.nn.functional as F"
    assert example.startswith(first)
    if home == "xent":
        example = example.replace(first, "import torch, xent.functional as F")
    names: dict[str, Any] = {}
    exec(example, names)
    return names


def on_tensors(choice: Choice) -> dict[str, Any]:
    """Outputs and target of the example as they are, under the names of the calls."""
    combination = Combination(choice.task, choice.last_layer, choice.target)
    logits = torch.tensor(outputs_before_the_last_layer(combination), dtype=torch.float32)
    outputs = ACTIVATIONS[choice.last_layer](logits)
    numbers = example_target(combination)
    target: Any = torch.tensor(numbers, dtype=getattr(torch, combination.target_dtype))
    if combination.target_shape == "lists":
        target = [np.flatnonzero(row).tolist() for row in numbers]
    names = {"logits": outputs, "p": outputs, "log_p": outputs}
    return {"torch": torch, "target": target, **names}


def test_every_combination_is_there() -> None:
    asked = [(choice.task, choice.last_layer, choice.target) for choice in EVERY]
    assert len(asked) == len(set(asked)) == 48
    assert asked[0] == ("binary", "none", "indices")


def test_the_last_layers_are_those_of_the_contract_table() -> None:
    layers = {
        form.domain.last_layer
        for contract in CONTRACTS.values()
        for argument in contract.arguments
        for form in argument.forms
    }
    assert layers - {""} == set(LAST_LAYERS)
    assert domain_of("softmax").normalised


@pytest.mark.parametrize("home", HOMES)
@every
def test_every_example_runs_and_gives_the_loss_that_is_told(choice: Choice, home: str) -> None:
    names = run(choice.example, home)
    assert names["loss"].item() == pytest.approx(choice.value, rel=1e-6)
    assert len(choice.example.splitlines()) == 5
    # With the two spaces before it, it fits a terminal of 80 columns.
    assert max(map(len, choice.example.splitlines())) <= 78


@every
def test_probabilities_and_predictions_of_every_example(choice: Choice) -> None:
    names = run(choice.example, "torch")
    p, prediction = names["p"], names["prediction"]
    if choice.task == "multilabel" or p.ndim == 1:
        assert prediction.dtype == torch.bool
        assert torch.equal(prediction, p > 0.5)
    else:
        assert torch.allclose(p.sum(dim=1), torch.ones(len(p)))
        assert torch.equal(prediction, p.argmax(dim=1))
    assert p.min() >= 0
    assert p.max() <= 1


@every
def test_the_value_is_the_cross_entropy_of_the_probabilities(choice: Choice) -> None:
    """By the textbook, from what the example says the probabilities are."""
    names = run(choice.example, "torch")
    p, target = names["p"].double(), names["target"]
    if choice.task == "multiclass" or p.ndim > target.ndim or (p.ndim == 2 and p.shape[1] == 2):
        if target.ndim == 1 and choice.target == "probabilities":
            target = torch.stack([1 - target, target], dim=1)
        elif target.ndim == 1:
            target = torch_functional.one_hot(target.long(), p.shape[1])
        loss = -(target * p.log()).sum(dim=1).mean()
    else:
        target = target[:, 1] if target.ndim > p.ndim else target
        loss = -(target * p.log() + (1 - target) * (1 - p).log()).mean()
    assert loss.item() == pytest.approx(choice.value, rel=1e-5)


IMPOSSIBLE = {
    *(("multiclass", "sigmoid", target) for target in TARGET_FORMS),
    *(("multilabel", layer, "indices") for layer in LAST_LAYERS),
    *(
        ("multilabel", layer, target)
        for layer in ("softmax", "log_softmax")
        for target in TARGET_FORMS
    ),
}


def test_what_is_impossible() -> None:
    found = {
        (choice.task, choice.last_layer, choice.target) for choice in EVERY if not choice.possible
    }
    assert found == IMPOSSIBLE


def test_why_it_is_impossible_and_what_to_change() -> None:
    choice = which("multiclass", "sigmoid", "indices")
    assert choice.impossible == (
        "A sigmoid for each class answers each by itself: its probabilities need not sum to one, "
        "and no loss of one class out of several takes them."
    )
    assert choice.change == "Take the sigmoid off the model: the softmax is in the loss."
    assert choice.call == "F.cross_entropy(logits, target)"
    choice = which("multilabel", "softmax", "indices")
    assert choice.impossible == (
        "A softmax makes the classes of a row share one: two of them can't both be likely, so no "
        "loss of independent labels takes its output. Class indices name one class a row; several "
        "a row are lists of different lengths, which no tensor holds."
    )
    assert choice.change == (
        "Take the softmax off the model: the sigmoid is in the loss. Turn the lists into a column "
        "of 0 and 1 for each class."
    )
    assert "for row in [[0, 2], [1]]" in choice.example


def test_what_would_be_better() -> None:
    assert which("binary", "none", "floats").change == ""
    assert which("binary", "sigmoid", "floats").change == (
        "Better without the sigmoid: F.binary_cross_entropy_with_logits(logits, target). "
        "A probability that rounds to 0 or 1 has lost what its logit knows."
    )
    assert which("multiclass", "log_softmax", "indices").change == (
        "Better without the log_softmax: F.cross_entropy(logits, target). "
        "It is the same number in one step, with less memory."
    )


@pytest.mark.parametrize(
    ("asked", "call"),
    [
        ("binary none indices", "F.binary_cross_entropy_with_logits(logits, target.float())"),
        ("binary sigmoid one-hot", "F.binary_cross_entropy(p, target[:, 1].float())"),
        ("multiclass none floats", "F.cross_entropy(logits, target.long())"),
        ("multiclass none probabilities", "F.cross_entropy(logits, target)"),
        ("multiclass log_softmax indices", "F.nll_loss(log_p, target)"),
        ("multiclass softmax probabilities", "F.cross_entropy(p.log(), target)"),
        ("multilabel sigmoid floats", "F.binary_cross_entropy(p, target)"),
    ],
)
def test_the_loss(asked: str, call: str) -> None:
    assert which(*asked.split()).call == call


@pytest.mark.parametrize("asked", ["multiclass none indices", "binary softmax one-hot"])
def test_dtypes_of_class_indices_are_those_that_each_library_takes(asked: str) -> None:
    choice = which(*asked.split())
    assert choice.targets.dtypes == "int64 or uint8 (xent: any integer)"
    x, log_p = torch.zeros(2, 3), torch.zeros(2, 3).log_softmax(dim=1)
    for name in ("int8", "int16", "int32", "int64", "uint8"):
        target = torch.tensor([0, 2]).to(getattr(torch, name))
        assert xent_functional.cross_entropy(x, target).isfinite()
        if name in choice.targets.dtypes.split():
            torch_functional.cross_entropy(x, target)
            torch_functional.nll_loss(log_p, target)
        else:
            with pytest.raises(RuntimeError):
                torch_functional.cross_entropy(x, target)


def test_the_logarithm_of_a_probability_of_zero_is_warned_of() -> None:
    for asked in ("multiclass softmax probabilities", "binary softmax probabilities"):
        assert which(*asked.split()).change.endswith(
            "As it is, a p of exactly 0 makes the loss NaN in PyTorch, 0 times log 0, even where "
            "the target is 0, too; xent.functional gives 0 there. Of "
            "p.clamp(min=torch.finfo(p.dtype).tiny) the logarithm is finite."
        )
    assert "NaN" not in which("multiclass", "softmax", "indices").change
    p = target = torch.tensor([[1.0, 0.0]])
    assert torch_functional.cross_entropy(p.log(), target).isnan()
    assert xent_functional.cross_entropy(p.log(), target).item() == 0
    for home in HOMES.values():
        finite = p.clamp(min=torch.finfo(p.dtype).tiny).log()
        assert home.cross_entropy(finite, target).item() == pytest.approx(0, abs=1e-30)


def test_logits_inside_of_the_unit_interval_pass_for_probabilities() -> None:
    assert sentence("binary none floats", "binary_cross_entropy") == (
        "takes probabilities; logits lie anywhere: what is outside [0, 1] is refused, and a batch "
        "that happens to lie inside passes without a word"
    )
    inside, target = torch.tensor([0.2, 0.9]), torch.tensor([0.0, 1.0])
    assert torch_functional.binary_cross_entropy(inside, target).isfinite()


def test_outputs_with_an_axis_of_one_are_squeezed() -> None:
    assert "; (N, 1) by squeeze(1) first |" in which("binary", "none", "floats").to_markdown()
    assert "squeeze" not in which("multilabel", "none", "floats").to_markdown()
    z, target = torch.tensor([[0.2], [3.0]]), torch.tensor([0.0, 1.0])
    with pytest.raises(ValueError, match="size"):
        torch_functional.binary_cross_entropy_with_logits(z, target)
    torch_functional.binary_cross_entropy_with_logits(z.squeeze(1), target)


def test_what_only_xent_has_is_said() -> None:
    choice = which("multiclass", "none", "indices")
    (other,) = [other for other in choice.also if other.loss == "softmax_focal_loss"]
    assert other.difference.endswith("; it is in xent.functional only")
    assert not hasattr(torch_functional, "softmax_focal_loss")
    assert ".." not in choice.to_markdown().replace("{0, ...,", "")


@pytest.mark.parametrize("home", HOMES)
@every
def test_what_becomes_of_every_other_loss(choice: Choice, home: str) -> None:
    names = on_tensors(choice) | {"F": HOMES[home]}
    assert choice.mistakes or choice.possible
    for mistake in choice.mistakes:
        if not hasattr(HOMES[home], mistake.loss):
            continue
        if mistake.outcome == REFUSED:
            with pytest.raises((ValueError, RuntimeError, IndexError, TypeError, AttributeError)):
                eval(mistake.call, names)
            continue
        value = eval(mistake.call, names).item()
        same = math.isclose(value, choice.value, rel_tol=1e-4)
        assert same == (mistake.outcome == SAME), mistake
        assert mistake.outcome in (SAME, ANOTHER)


@every
def test_every_loss_is_either_right_or_a_mistake(choice: Choice) -> None:
    told = {choice.loss} | {other.loss for other in choice.also}
    told |= {mistake.loss for mistake in choice.mistakes}
    assert told == set(CONTRACTS) - {"cross_entropy_statistics"}


@every
def test_the_other_right_losses_take_the_same(choice: Choice) -> None:
    names = on_tensors(choice) | {"F": xent_functional}
    if not choice.possible:
        names |= run(choice.example, "xent")
    for other in choice.also:
        value = eval(other.call, names).item()
        assert math.isfinite(value)
        if "same number" in other.difference:
            assert value == pytest.approx(choice.value, rel=1e-6)
        else:
            assert value < choice.value  # both focal losses only ever take weight away


# The numbers in the sentences.

logits = st.lists(st.floats(-20, 20), min_size=2, max_size=5)


def sentence(asked: str, loss: str) -> str:
    return next(each.why for each in which(*asked.split()).mistakes if each.loss == loss)


@CASES
@given(z=logits, label=st.integers(0, 1))
def test_a_second_sigmoid_has_a_floor(z: list[float], label: int) -> None:
    why = sentence("binary sigmoid floats", "binary_cross_entropy_with_logits")
    assert why == (
        "applies a sigmoid to probabilities: all comes out between 0.5 and 0.731, so a 1 costs at "
        "least 0.313 and a 0 at least 0.693"
    )
    p = torch.sigmoid(torch.tensor(z, dtype=torch.float64))
    target = torch.full_like(p, label)
    loss = torch_functional.binary_cross_entropy_with_logits(p, target, reduction="none")
    assert loss.min() >= (0.3132 if label else 0.6931)
    assert torch.sigmoid(p).min() >= 0.5
    assert torch.sigmoid(p).max() < 0.7311


@CASES
@given(z=logits)
def test_a_second_softmax_has_a_floor(z: list[float]) -> None:
    assert sentence("multiclass softmax indices", "cross_entropy") == (
        "applies a second softmax: with 3 classes no row costs less than 0.55"
    )
    p = torch.tensor([[*z[:2], 0.0]], dtype=torch.float64).softmax(dim=1)
    floor = math.log(1 + 2 / math.e)
    assert f"{floor:.2f}" == "0.55"
    assert torch_functional.cross_entropy(p, p.argmax(dim=1)).item() >= floor - 1e-12


@CASES
@given(z=logits)
def test_what_nll_loss_gives_for_probabilities_and_for_logits(z: list[float]) -> None:
    assert "from -1 to 0" in sentence("multiclass softmax indices", "nll_loss")
    assert "the loss is -x_y" in sentence("multiclass none indices", "nll_loss")
    x, y = torch.tensor([z], dtype=torch.float64), torch.tensor([0])
    assert -1 <= torch_functional.nll_loss(x.softmax(dim=1), y).item() <= 0
    assert torch_functional.nll_loss(x, y).item() == -x[0, 0].item()


@CASES
@given(z=st.floats(-30, 0))
def test_the_sigmoid_of_a_log_probability(z: float) -> None:
    assert "p / (1 + p), never above one half" in sentence(
        "multilabel log_softmax floats", "binary_cross_entropy_with_logits"
    )
    p = math.exp(z)
    assert torch.sigmoid(torch.tensor(z, dtype=torch.float64)).item() == pytest.approx(p / (1 + p))


# A new loss.


def brier(xp: Any, *, input: Any, target: Any) -> Any:
    """The squared distance of sigmoid(z) from the target."""
    return (1 / (1 + xp.exp(-input)) - target) ** 2


def toy() -> Contract:
    plain = BINARY_CROSS_ENTROPY_WITH_LOGITS
    return Contract(
        name="brier_with_logits",
        summary="Squared error of sigmoid(input).",
        tasks=("binary",),
        formula="(sigmoid(z) - t)^2",
        latex=r"(\\sigma(z) - t)^2",
        options_formula="(sigmoid(z) - t)^2",
        arguments=(
            Argument("input", (Form(LOGIT, ELEMENTS, FLOATS),), "log-odds"),
            Argument("target", (Form(PROBABILITY, ELEMENTS, FLOATS),), "labels"),
        ),
        output=ELEMENTS,
        mean_denominator="the number of elements",
        definition=brier,
        denominator=plain.denominator,
        probabilities=plain.probabilities,
        prediction=plain.prediction,
        also_known_as=(),
        twin=None,
        siblings=(Sibling("binary_cross_entropy_with_logits", "grows without bound"),),
        errors=plain.errors,
        references=(),
    )


@pytest.fixture
def table() -> Iterator[dict[str, Contract]]:
    """The contract table, to be changed; it is put back in its order."""
    before = dict(CONTRACTS)
    yield CONTRACTS
    CONTRACTS.clear()
    CONTRACTS.update(before)


def test_a_new_row_of_the_table_is_in_the_answers(table: dict[str, Contract]) -> None:
    table["brier_with_logits"] = toy()
    choice = which("binary", "none", "floats")
    assert choice.loss == "binary_cross_entropy_with_logits"
    (other,) = [other for other in choice.also if other.loss == "brier_with_logits"]
    assert other.call == "F.brier_with_logits(logits, target)"
    assert other.difference == (
        "is another loss: squared error of sigmoid(input); it is in xent.functional only"
    )
    told = which("binary", "sigmoid", "floats").mistakes
    assert "brier_with_logits" in {each.loss for each in told}


def test_a_new_loss_that_is_the_only_one(table: dict[str, Contract]) -> None:
    """Then it is the answer, and its example names xent.functional."""
    del table["binary_cross_entropy_with_logits"], table["sigmoid_focal_loss"]
    table["brier_with_logits"] = toy()
    choice = which("binary", "none", "floats")
    assert choice.loss == "brier_with_logits"
    assert choice.example.startswith("import torch, xent.functional as F\n")
    z, t = np.array([-0.1, 2.0, 3.0, 0.5]), np.array([0, 1, 1, 0])
    assert choice.value == pytest.approx(np.mean((1 / (1 + np.exp(-z)) - t) ** 2))


# What is refused.


def test_no_word_may_be_missing() -> None:
    for asked in ((None, None, None), (None, "none", "indices"), (["binary"], "none", "indices")):
        with pytest.raises(xent.InputError) as caught:
            which(*asked)  # type: ignore[arg-type]
        assert str(caught.value).startswith(
            f"which: task must be one of binary, multiclass, multilabel; got {asked[0]!r}. "
        )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            ("multclass", "none", "indices"),
            "which: task must be one of binary, multiclass, multilabel; got 'multclass'. "
            "Did you mean 'multiclass'?",
        ),
        (
            ("binary", "logsoftmax", "indices"),
            "which: last_layer must be one of none, sigmoid, softmax, log_softmax; got "
            "'logsoftmax'. Did you mean 'log_softmax'?",
        ),
        (
            ("binary", "none", "7"),
            "which: target must be one of indices, one-hot, probabilities, floats; got '7'. "
            "Give target='indices'.",
        ),
    ],
)
def test_unknown_words(asked: tuple[str, str, str], message: str) -> None:
    with pytest.raises(xent.InputError) as caught:
        which(*asked)
    assert str(caught.value) == message


# The forms of the answer.


@every
def test_json_and_markdown(choice: Choice) -> None:
    document = json.loads(json.dumps(choice.to_dict(), allow_nan=False))
    assert document["example"] == choice.example
    assert document["possible"] == choice.possible
    page = choice.to_markdown()
    block = page.split("```python\n")[1].split("\n```")[0]
    assert [line for line in block.splitlines() if line] == choice.example.splitlines()
    assert f"comes out as {choice.value:.4f}" in page
    for mistake in choice.mistakes:
        assert f"`{mistake.loss}`" in page
        assert mistake.why in page
    assert str(choice) == page


def test_a_part_of_the_sheet() -> None:
    part = cheat_sheet("multilabel", target="floats")
    assert [choice.last_layer for choice in part] == list(LAST_LAYERS)
    assert set(TASKS) == {choice.task for choice in EVERY}


def test_the_order_of_the_table_means_nothing(table: dict[str, Contract]) -> None:
    rows = list(reversed(table.items()))
    table.clear()
    table.update(rows)
    assert [choice.loss for choice in cheat_sheet()] == [choice.loss for choice in EVERY]


def test_routes_are_sorted_by_what_they_cost() -> None:
    costs = [route.cost for route in routes(Combination("multiclass", "log_softmax", "indices"))]
    assert costs == sorted(costs)
    assert costs[0] == 0
