"""The BCE-versus-CE study: a published comparison of three formulations, run and scored again.

It fitted a logistic regression three ways, found log losses of 0.618, 0.636 and 0.644, and blamed
nothing. All three models are equally good: every output was scored with a sigmoid, which is the
right link for only one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xent._links import Array
from xent.scoring import Finding, Scores, objective_findings, prediction_findings
from xent.study._comparison import Comparison
from xent.study._data._dataset import Dataset, DataSpec
from xent.study._evaluation._misscored import REASONS, score_with_sigmoids
from xent.study._evaluation._trial import mean_log_loss, score_part
from xent.study._formulations import BUILT_IN, Formulation
from xent.study._spec import StudySpec
from xent.study._training._models import perceptron_outputs
from xent.study._training._stacks import TrainingSpec

FORMULATIONS = ("bce", "ce1", "ce2")


@dataclass(frozen=True)
class PublishedModel:
    """Weights that the study printed, to four digits.

    Args:
        formulation: which of the three.
        head: ``(outputs, features + 1)``, bias last.
        published_log_loss: the test log loss in its table.
    """

    formulation: str
    head: tuple[tuple[float, ...], ...]
    published_log_loss: float


PUBLISHED = (
    PublishedModel("bce", ((0.1037, -0.1576, 0.6802, 0.1207, -0.5245),), 0.618044),
    PublishedModel("ce1", ((0.0615, -0.0684, 0.3213, 0.0474, -0.2585),), 0.635658),
    PublishedModel(
        "ce2",
        (
            (-0.0351, -0.0528, -0.5174, -0.1480, 0.4980),
            (0.0698, -0.2241, 0.0729, -0.0377, -0.0408),
        ),
        0.644258,
    ),
)


def demo_spec(seeds: int = 10, *, converge: bool = False) -> StudySpec:
    """The study's own set-up: its draws, its split, 50 epochs of Adam at 0.1."""
    return StudySpec(
        data=DataSpec("bce-versus-ce"),
        formulations=FORMULATIONS,
        seeds=tuple(range(seeds)),
        training=TrainingSpec(converge=converge),
    )


@dataclass(frozen=True, eq=False)
class SigmoidScore:
    """One formulation's test log loss by its right link and by a sigmoid on every output.

    Args:
        formulation: name.
        right: log loss by the right link, mean over the models given.
        renormalised: by a sigmoid on every output, rows divided by their sum.
        raw: by a sigmoid on every output, rows as they are.
        reason: why the wrong figures are wrong, or why there are none.
        findings: what catches them.
    """

    formulation: str
    right: float
    renormalised: float
    raw: float
    reason: str
    findings: tuple[Finding, ...]


def score_wrongly(comparison: Comparison) -> tuple[SigmoidScore, ...]:
    """Score every trained model of the study with a sigmoid on each output, as the study did."""
    rows = []
    for result in comparison.formulations:
        heads = [trial.parameters["head"] for trial in result.trials if trial.status == "finished"]
        if result.formulation.base in REASONS and not result.formulation.modifiers and heads:
            rows.append(_score(result.formulation, heads, comparison.dataset))
    return tuple(rows)


def score_published(dataset: Dataset) -> tuple[SigmoidScore, ...]:
    """Score the published weights, rightly and the study's way."""
    return tuple(
        _score(BUILT_IN[model.formulation], [np.asarray(model.head)], dataset)
        for model in PUBLISHED
    )


def _score(formulation: Formulation, heads: Sequence[Array], dataset: Dataset) -> SigmoidScore:
    right, raw, renormalised = [], [], []
    for head in heads:
        outputs = perceptron_outputs({"head": head}, dataset.test.features)
        wrong = score_with_sigmoids(formulation, outputs)
        log_q = formulation.resolved_link.log_probabilities(outputs)
        right.append(mean_log_loss(log_q, dataset.test))
        raw.append(mean_log_loss(wrong.raw, dataset.test))
        renormalised.append(mean_log_loss(wrong.renormalised, dataset.test))
    return SigmoidScore(
        formulation.name,
        float(np.mean(right)),
        float(np.mean(renormalised)),
        float(np.mean(raw)),
        REASONS[formulation.base],
        _find(formulation, heads[0], dataset),
    )


def _find(formulation: Formulation, head: Array, dataset: Dataset) -> tuple[Finding, ...]:
    """What xent says of one model scored the study's way: raw rows first, then renormalised."""
    test = dataset.test
    outputs = perceptron_outputs({"head": head}, test.features)
    wrong = score_with_sigmoids(formulation, outputs)
    objective = mean_log_loss(formulation.resolved_link.log_probabilities(outputs), test)
    found: dict[str, Finding] = {}
    for log_q in (wrong.raw, wrong.renormalised):
        scores: Scores = score_part(log_q, dataset, "test")
        for each in (
            *prediction_findings(scores, log_q, test.target, subject=formulation.name),
            *objective_findings(
                subject=formulation.name, objective=objective, log_loss=scores.log_loss
            ),
        ):
            found.setdefault(each.name, each)
    return tuple(found.values())
