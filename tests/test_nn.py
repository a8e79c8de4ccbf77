"""``xent.nn`` in the place of ``torch.nn``: modules, their state, copies and text form."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor
from torch import nn as torch_nn

import xent.functional as F
from xent import nn

SHARED = ["BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "NLLLoss"]
LOGITS = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
INDICES = torch.tensor([0, 2, -100, 1])
WEIGHT = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
SAMPLE = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)


def arguments(name: str) -> tuple[Tensor, Tensor]:
    if name == "BCELoss":
        return torch.sigmoid(LOGITS), (LOGITS > 0).double()
    if name == "BCEWithLogitsLoss":
        return LOGITS, (LOGITS > 0).double()
    return (torch.log_softmax(LOGITS, 1) if name == "NLLLoss" else LOGITS), INDICES


@pytest.mark.parametrize("name", SHARED)
class TestPyTorchsModules:
    def test_signature_begins_like_theirs(self, name: str) -> None:
        theirs = list(inspect.signature(getattr(torch_nn, name)).parameters.values())
        ours = list(inspect.signature(getattr(nn, name)).parameters.values())
        assert [(p.name, p.default) for p in ours[: len(theirs)]] == [
            (p.name, p.default) for p in theirs
        ]
        assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in ours[len(theirs) :])

    def test_is_one_of_theirs(self, name: str) -> None:
        assert isinstance(getattr(nn, name)(), getattr(torch_nn, name))

    @pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
    @pytest.mark.parametrize("weight", [None, WEIGHT])
    def test_same_loss(self, name: str, weight: Tensor | None, reduction: str) -> None:
        options: dict[str, Any] = {"weight": weight, "reduction": reduction}
        ours = getattr(nn, name)(**options)(*arguments(name))
        theirs = getattr(torch_nn, name)(**options)(*arguments(name))
        torch.testing.assert_close(ours, theirs)

    def test_same_text(self, name: str) -> None:
        assert repr(getattr(nn, name)()) == repr(getattr(torch_nn, name)())

    def test_state_goes_both_ways(self, name: str) -> None:
        ours = getattr(nn, name)(weight=WEIGHT.clone())
        theirs = getattr(torch_nn, name)(weight=2 * WEIGHT)
        assert ours.state_dict().keys() == theirs.state_dict().keys()
        ours.load_state_dict(theirs.state_dict())
        assert torch.equal(ours.weight, 2 * WEIGHT)
        theirs.load_state_dict(getattr(nn, name)(weight=WEIGHT).state_dict())
        assert torch.equal(theirs.weight, WEIGHT)

    def test_copies(self, name: str) -> None:
        loss = getattr(nn, name)(weight=WEIGHT, all_ignored="zero")
        file = io.BytesIO()
        torch.save(loss, file)
        file.seek(0)
        for twin in (
            copy.copy(loss),
            copy.deepcopy(loss),
            pickle.loads(pickle.dumps(loss)),
            torch.load(file, weights_only=False),
        ):
            assert type(twin) is type(loss)
            assert twin.all_ignored == "zero"
            torch.testing.assert_close(twin(*arguments(name)), loss(*arguments(name)))

    def test_moves_with_its_buffers(self, name: str) -> None:
        loss = getattr(nn, name)(weight=WEIGHT).to("meta")
        assert loss.weight.is_meta
        assert getattr(nn, name)(weight=WEIGHT).half().weight.dtype == torch.float16

    def test_what_belongs_to_a_batch(self, name: str) -> None:
        loss = getattr(nn, name)()
        total = getattr(nn, name)(reduction="sum")(*arguments(name))
        torch.testing.assert_close(loss(*arguments(name), normalizer=2), total / 2)
        rows = getattr(nn, name)(reduction="none")(*arguments(name))
        weighted = getattr(nn, name)(reduction="none")(*arguments(name), sample_weight=SAMPLE)
        share = SAMPLE[:, None] if rows.ndim == 2 else SAMPLE
        torch.testing.assert_close(weighted, share * rows)

    @pytest.mark.filterwarnings("ignore:size_average and reduce:UserWarning")
    def test_deprecated_arguments(self, name: str) -> None:
        assert getattr(nn, name)(size_average=False).reduction == "sum"
        assert getattr(nn, name)(reduce=False).reduction == "none"

    def test_extras_are_keyword_only(self, name: str) -> None:
        with pytest.raises(TypeError, match="positional arguments"):
            getattr(nn, name)(None, None, None, None, "mean", None, None, "zero")


# Each module with every option set, the function's arguments that it stands for, and its text.
ODDS = (LOGITS, torch.tensor([[0, 1, -1], [1, 0, 0], [1, -1, 1], [0, 0, 1]]))
BINARY_OPTIONS: dict[str, Any] = {
    "weight": WEIGHT,
    "pos_weight": 2 * WEIGHT,
    "label_smoothing": 0.1,
    "ignore_index": -1,
    "all_ignored": "zero",
    "reduction": "sum",
}
FULL = [
    (
        nn.BCELoss,
        F.binary_cross_entropy,
        (torch.sigmoid(LOGITS), ODDS[1]),
        BINARY_OPTIONS,
        "BCELoss(pos_weight=tensor of shape (3,), label_smoothing=0.1, ignore_index=-1, "
        "all_ignored='zero')",
    ),
    (
        nn.BCEWithLogitsLoss,
        F.binary_cross_entropy_with_logits,
        ODDS,
        BINARY_OPTIONS,
        "BCEWithLogitsLoss(label_smoothing=0.1, ignore_index=-1, all_ignored='zero')",
    ),
    (
        nn.CrossEntropyLoss,
        F.cross_entropy,
        (LOGITS.t(), INDICES),
        {
            "weight": WEIGHT,
            "ignore_index": 2,
            "reduction": "sum",
            "label_smoothing": 0.1,
            "class_dim": 0,
            "all_ignored": "zero",
            "z_loss": 0.1,
            "softcap": 3.0,
            "temperature": 2.0,
            "logit_adjustment": WEIGHT,
        },
        "CrossEntropyLoss(class_dim=0, all_ignored='zero', z_loss=0.1, softcap=3.0, "
        "temperature=2.0, logit_adjustment=tensor of shape (3,))",
    ),
    (
        nn.NLLLoss,
        F.nll_loss,
        (torch.log_softmax(LOGITS, 1).t(), INDICES),
        {"weight": WEIGHT, "reduction": "sum", "class_dim": 0, "all_ignored": "zero"},
        "NLLLoss(class_dim=0, all_ignored='zero')",
    ),
    (
        nn.SigmoidFocalLoss,
        F.sigmoid_focal_loss,
        (LOGITS, LOGITS > 0),
        {"alpha": 0.4, "gamma": 1.5, "reduction": "sum"},
        "SigmoidFocalLoss(alpha=0.4, gamma=1.5, reduction='sum')",
    ),
    (
        nn.SoftmaxFocalLoss,
        F.softmax_focal_loss,
        (LOGITS.t(), INDICES),
        {
            "weight": WEIGHT,
            "gamma": 1.5,
            "ignore_index": -100,
            "reduction": "sum",
            "class_dim": 0,
            "all_ignored": "zero",
        },
        "SoftmaxFocalLoss(gamma=1.5, reduction='sum', class_dim=0, all_ignored='zero')",
    ),
]


@pytest.mark.parametrize(("module", "function", "batch", "options", "text"), FULL)
def test_every_option_reaches_the_function(
    module: Any, function: Any, batch: tuple[Tensor, Tensor], options: dict[str, Any], text: str
) -> None:
    if module is nn.CrossEntropyLoss:
        batch = (batch[0], INDICES.clamp(min=0))
    loss = module(**options)
    assert set(options) >= set(inspect.signature(module).parameters) - {
        "size_average",
        "reduce",
    } - ({"ignore_index"} if module is nn.NLLLoss else set())
    torch.testing.assert_close(loss(*batch), function(*batch, **options))
    assert repr(loss) == text


@pytest.mark.parametrize("name", [*SHARED, "SoftmaxFocalLoss"])
def test_tensors_are_buffers(name: str) -> None:
    module = getattr(nn, name)
    given = {
        option: torch.ones(3)
        for option in ("weight", "pos_weight", "logit_adjustment")
        if option in inspect.signature(module).parameters
    }
    loss = module(**given)
    assert dict(loss.named_buffers()).keys() == given.keys()
    assert loss.state_dict().keys() == given.keys()
    assert not module().state_dict()


def test_temperature_is_a_number_a_buffer_or_a_parameter() -> None:
    assert nn.CrossEntropyLoss(temperature=2.0).temperature == 2.0
    buffer = nn.CrossEntropyLoss(temperature=torch.tensor(2.0))
    assert [*dict(buffer.named_buffers())] == ["temperature"]
    learned = nn.CrossEntropyLoss(temperature=torch_nn.Parameter(torch.tensor(2.0)))
    assert [*dict(learned.named_parameters())] == ["temperature"]
    learned(LOGITS, INDICES).backward()
    assert learned.temperature.grad is not None
    assert repr(learned) == "CrossEntropyLoss(temperature=tensor of shape ())"


def test_old_and_new_compile_alike() -> None:
    loss = torch.compile(nn.CrossEntropyLoss(z_loss=0.1), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(loss(LOGITS, INDICES), F.cross_entropy(LOGITS, INDICES, z_loss=0.1))


def test_namespace() -> None:
    assert nn.Linear is torch_nn.Linear
    assert nn.functional is F
    assert all(hasattr(nn, name) for name in dir(nn))
    assert set(nn.__all__) <= set(dir(nn))
    for name in ("NoSuchLoss", "_reduction"):
        with pytest.raises(AttributeError, match=f"module 'xent.nn' has no attribute '{name}'"):
            getattr(nn, name)
