"""The statistics of a study: the question its seeds and splits answer, margin, pairs, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xent.scoring import Scores
from xent.study._comparison import Comparison, FormulationResult
from xent.study._data._dataset import Dataset
from xent.study._evaluation._row_values import Entrant, ScoredRows
from xent.study._evaluation._trial import Trial, class_prior
from xent.study._spec import FIVE_BY_TWO, StudySpec
from xent.study._verdicts._designs import Design, measure
from xent.study._verdicts._intervals import metric_intervals
from xent.study._verdicts._margin import given_margin, margin_of_skill
from xent.study._verdicts._pair_sentences import design_sentence, question_sentence, rule_sentence
from xent.study._verdicts._pairing import compare_all
from xent.study._verdicts._pairs import Margin
from xent.study._verdicts._soundness import unsound_subjects


def with_statistics(comparison: Comparison) -> Comparison:
    """The comparison with its question, margin, pairs and intervals.

    What is compared are each trial's best probabilities: recovered where the loss distorts them.
    Trials are paired by seed and split; those that diverged or aren't finished are left out.
    """
    spec = comparison.spec
    datasets = comparison.splits or (comparison.dataset,)
    design = Design(
        spec.answered_question,
        tuple(_scored_rows(dataset) for dataset in datasets),
        five_by_two=spec.splits == FIVE_BY_TWO,
    )
    measured = measure([_entrant(result, spec) for result in comparison.formulations], design)
    scores = [_scores(result, spec) for result in comparison.formulations]
    unsound = _unsound(comparison.formulations)
    sound = [result for result in comparison.formulations if result.name not in unsound]
    margin = _margin(spec, datasets, sound)
    pairs = compare_all(measured, margin, spec.level, unsound)
    return replace(
        comparison,
        question=design.question,
        margin=margin,
        pairs=pairs,
        intervals={
            each.name: metric_intervals(each, own, spec.level)
            for each, own in zip(measured, scores, strict=True)
        },
        rules=(
            question_sentence(design.question, design.unit, len(spec.seeds)),
            rule_sentence(spec.level, len(pairs)),
            *filter(None, [design_sentence(pairs)]),
        ),
    )


def _unsound(formulations: Sequence[FormulationResult]) -> dict[str, str]:
    """Formulations of which a trial's log loss is not that of probabilities, and why."""
    trials = [trial for result in formulations for trial in result.trials]
    return unsound_subjects(found for trial in trials for found in trial.findings)


def _scored_rows(dataset: Dataset) -> ScoredRows:
    test = dataset.test
    return ScoredRows(test.target, test.weight, test.groups, len(dataset.train.target))


def _by_seed(result: FormulationResult, spec: StudySpec) -> list[Trial | None]:
    """The finished trial of every seed, None where there is none: the position is the split's."""
    finished = {trial.seed: trial for trial in result.trials if trial.status == "finished"}
    return [finished.get(seed) for seed in spec.seeds]


def _entrant(result: FormulationResult, spec: StudySpec) -> Entrant:
    return Entrant(
        result.name,
        tuple(None if t is None else t.best_log_probabilities for t in _by_seed(result, spec)),
    )


def _scores(result: FormulationResult, spec: StudySpec) -> list[Scores | None]:
    return [None if trial is None else trial.best for trial in _by_seed(result, spec)]


def _margin(
    spec: StudySpec, datasets: Sequence[Dataset], formulations: Sequence[FormulationResult]
) -> Margin:
    """As given, or from the rows that models are not tested on."""
    if spec.margin is not None:
        return given_margin(spec.margin)
    validated = all(dataset.validation is not None for dataset in datasets)
    losses = []
    for result in formulations:
        own = [
            trial.best_validation_log_loss if validated else trial.train_log_loss
            for trial in result.trials
            if trial.status == "finished"
        ]
        if own:
            losses.append(float(np.mean([np.nan if loss is None else loss for loss in own])))
    rows = "validation rows" if validated else "training rows, as there are no validation rows"
    prior = float(np.mean([_prior_log_loss(dataset) for dataset in datasets]))
    return margin_of_skill(prior, losses, rows)


def _prior_log_loss(dataset: Dataset) -> float:
    """Log loss of the training part's class shares on the validation rows, else training rows."""
    part = dataset.train if dataset.validation is None else dataset.validation
    with np.errstate(divide="ignore"):
        losses = -np.log(class_prior(dataset))[part.target]
    return float(np.average(losses, weights=part.weight))
