"""The faults of the BCE-versus-CE study, found from its tensors.

Three models of one binary task: one logit z trained by binary cross-entropy, the pair (-z, z) and
two free logits trained by cross-entropy. All three were read by a sigmoid for evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import xent


@dataclass(frozen=True)
class Fitted:
    """The loss of a model, and what the model gives after training."""

    loss: nn.Module
    outputs: Tensor
    minimised: float

    @property
    def scored(self) -> Tensor:
        """As the study tabulated it: a sigmoid of every output, in two columns."""
        p = torch.sigmoid(self.outputs)
        return torch.stack([1 - p, p], dim=1) if p.ndim == 1 else p


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        z = self.layer(x)
        return torch.cat([torch.special.logit(1 - torch.special.expit(z)), z], dim=1)


def data() -> tuple[Tensor, Tensor]:
    random = np.random.default_rng(0)
    w, b, x = random.normal(size=(4, 1)), random.normal(), random.normal(size=(2000, 4))
    y = random.binomial(1, 1 / (1 + np.exp(-(x @ w + b)))).ravel()
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


X, Y = data()


def fit(model: nn.Module, loss: nn.Module) -> Fitted:
    torch.manual_seed(0)
    target = Y.float() if isinstance(loss, nn.BCEWithLogitsLoss) else Y
    steps = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(100):
        steps.zero_grad()
        value = loss(model(X), target)
        value.backward()
        steps.step()
    with torch.no_grad():
        return Fitted(loss, model(X), value.item())


@pytest.fixture(scope="module")
def fitted() -> dict[str, Fitted]:
    torch.manual_seed(0)
    one = nn.Sequential(nn.Linear(4, 1), nn.Flatten(0))
    return {
        "one logit": fit(one, nn.BCEWithLogitsLoss()),
        "a pair": fit(Pair(), nn.CrossEntropyLoss()),
        "two logits": fit(nn.Linear(4, 2), nn.CrossEntropyLoss()),
    }


def test_training_itself_is_right(fitted: dict[str, Fitted]) -> None:
    for each in fitted.values():
        target = Y.float() if each.outputs.ndim == 1 else Y
        assert xent.check(each.loss, each.outputs, target)


def test_two_free_logits_are_found_from_the_table_alone(fitted: dict[str, Fitted]) -> None:
    each = fitted["two logits"]
    report = xent.check("log_loss", each.scored.numpy(), Y.numpy(), mode="report")
    (finding,) = report.faults
    assert (finding.code, finding.level) == ("XE301", "error")
    # log loss as scikit-learn tabulated it, after dividing by the sums of the rows
    scored = F.nll_loss((each.scored / each.scored.sum(1, keepdim=True)).log(), Y).item()
    assert f"{each.minimised:.3f}"[:4] in finding.evidence
    assert f"{scored:.4g} is scored" in finding.evidence
    assert scored > each.minimised + 0.01


@pytest.mark.parametrize("target", [Y, Y.float(), F.one_hot(Y).float()])
def test_what_is_scored_is_held_against_what_was_minimised(
    fitted: dict[str, Fitted], target: Tensor
) -> None:
    for name in ("a pair", "two logits"):
        each = fitted[name]
        loss = "log_loss" if target.ndim == 1 else "binary_cross_entropy"
        report = xent.check(
            loss, each.scored, target, trained_with=each.loss, outputs=each.outputs, mode="report"
        )
        (finding,) = report.faults
        assert (finding.code, finding.level) == ("XE301", "error"), name
        assert "the sigmoid of outputs that CrossEntropyLoss trained" in finding.message
        assert finding.repair == "Use softmax."
        assert "was minimised on these rows" in finding.evidence


def test_a_pair_alone_is_not_known_to_be_wrong(fitted: dict[str, Fitted]) -> None:
    """Its rows sum to 1: only the outputs show that their log-odds were halved."""
    report = xent.check("log_loss", fitted["a pair"].scored, Y, trained_with="cross_entropy")
    assert report
    assert any("outputs= compares" in each.because for each in report.not_checked)


def test_one_logit_is_right(fitted: dict[str, Fitted]) -> None:
    each = fitted["one logit"]
    report = xent.check("log_loss", each.scored, Y, trained_with=each.loss, outputs=each.outputs)
    assert report
    assert "Input is the sigmoid of the outputs, as BCEWithLogitsLoss has it." in [
        right.because for right in report.checked
    ]


def test_softmax_is_the_cure(fitted: dict[str, Fitted]) -> None:
    for name in ("a pair", "two logits"):
        each = fitted[name]
        probabilities = each.outputs.softmax(dim=1)
        assert xent.check(
            "log_loss", probabilities, Y, trained_with=each.loss, outputs=each.outputs
        )


def test_grad_fn_shows_it_where_evaluation_records_one(fitted: dict[str, Fitted]) -> None:
    torch.manual_seed(0)
    report = xent.check(
        "log_loss", Pair()(X).sigmoid(), Y, trained_with=nn.CrossEntropyLoss(), mode="report"
    )
    assert report.codes == ("XE301",)
    assert report.findings[0].evidence == "grad_fn shows that input comes from sigmoid."
