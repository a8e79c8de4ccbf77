"""Findings: what is wrong with predictions, or worth knowing about a comparison, by name.

One flat table says what each kind of finding means and what to do about it. ``_diagnosis`` looks
for those that show in predictions and objectives; other rooms report theirs by :func:`finding`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class FindingKind:
    """One kind of finding.

    Args:
        code: short and stable, such as ``XS105``.
        name: kebab-case; names the fault.
        level: ``"error"`` (a number is wrong), ``"warning"`` (it is suspect) or ``"note"``.
        cause: what usually lies behind it, one sentence.
        cure: what to do, one sentence.
        rule: where it is reported, with its thresholds; empty where the name says it all.
    """

    code: str
    name: str
    level: Level
    cause: str
    cure: str
    rule: str = ""


_KINDS = (
    FindingKind(
        "XS101",
        "objective-not-reproduced",
        "error",
        "The loss computed while training and the same loss computed afterwards, in evaluation "
        "mode, disagree on the same rows: dropout or batch statistics, a mean of unequal batches, "
        "or other rows.",
        "Evaluate the objective in evaluation mode, over all rows, with one denominator.",
        "The two differ by more than 1e-6 and by more than 1e-4 of the objective.",
    ),
    FindingKind(
        "XS102",
        "objective-is-not-the-log-loss",
        "error",
        "The model minimised one function and is scored by another: the outputs were turned into "
        "probabilities by a link that is not the one inside the loss.",
        "Turn the outputs into probabilities by the link that belongs to the loss.",
    ),
    FindingKind(
        "XS103",
        "rows-do-not-sum-to-one",
        "error",
        "The columns are not one distribution: a sigmoid on each output instead of a softmax over "
        "them, logits handed in as probabilities, or a class left out.",
        "Apply the softmax that belongs to the loss; don't divide by the row sum.",
    ),
    FindingKind(
        "XS104",
        "values-outside-unit-interval",
        "error",
        "The values are not probabilities, but probably logits or log-probabilities.",
        "Say what kind of values they are, or apply the link first.",
    ),
    FindingKind(
        "XS105",
        "log-odds-scaled",
        "warning",
        "All log-odds are off by one factor. A slope of 2 means they were halved, as by a sigmoid "
        "on each of two symmetric logits (-z, z), where softmax gives sigmoid(2 z); a slope of ½ "
        "means they were doubled, or that an overfitted model is too sure of itself.",
        "Check the link: P(1) = sigmoid(difference of the two logits).",
        "The recalibration slope is outside 2/3 to 3/2 and more than four of its standard errors "
        "from 1; an error where it is within 10 % of 2 or 1/2 on 1,000 rows or more and the "
        "intercepts are near 0. Not where the link is known to be the loss's own: see XS123.",
    ),
    FindingKind(
        "XS106",
        "softmax-applied-twice",
        "warning",
        "A softmax was fed probabilities, so that no probability can come near 0 or 1.",
        "Apply the softmax once: give the model's logits to the link and to the loss.",
    ),
    FindingKind(
        "XS107",
        "sigmoid-applied-twice",
        "warning",
        "A sigmoid was fed probabilities, so that no P(1) can lie below one half.",
        "Apply the sigmoid once: give the model's logits to the link and to the loss.",
    ),
    FindingKind(
        "XS108",
        "softmax-over-rows",
        "error",
        "The softmax ran over the rows instead of the classes.",
        "Apply the softmax over the last axis (dim=-1).",
    ),
    FindingKind(
        "XS109",
        "single-column-of-ones",
        "error",
        "A softmax over a single output is always 1, and its loss always 0.",
        "Use a sigmoid with binary cross-entropy, or give the model two outputs.",
    ),
    FindingKind(
        "XS110",
        "below-entropy-floor",
        "error",
        "The log loss is lower than the true probabilities' own entropy: the predictions are not "
        "normalised, or the rows were used in training.",
        "Normalise through the link that belongs to the loss, and score rows kept out of training.",
        "The log loss is more than four standard errors of that difference below the entropy.",
    ),
    FindingKind(
        "XS111",
        "worse-than-prior",
        "warning",
        "The predictions lose to the class shares of the training part: scaled log-odds, "
        "overfitting, or rows of another population.",
        "Look at the recalibration slope, and at the loss on the training rows.",
        "The log loss is more than four standard errors of that difference above the class "
        "prior's, "
        "or more than twice as high: a few rows of huge loss make the standard error large too.",
    ),
    FindingKind(
        "XS112",
        "columns-flipped",
        "error",
        "The columns stand in another order than the classes.",
        "Give the columns in the order of the class names.",
        "The AUC is more than four standard errors below one half, and the accuracy's interval "
        "lies "
        "below the largest class's share.",
    ),
    FindingKind(
        "XS113",
        "infinite-loss-rows",
        "warning",
        "A class came true that had a probability of exactly 0: it was rounded to 0 when it was "
        "stored or computed, or the model rules the class out.",
        "Keep logits or log-probabilities instead of probabilities; where those were scored, "
        "train with a penalty.",
    ),
    FindingKind(
        "XS114",
        "objective-is-not-proper",
        "note",
        "The minimum of the objective does not lie at the true probabilities: focal loss, label "
        "smoothing, or class weights.",
        "Read the recovered probabilities beside the raw ones.",
    ),
    FindingKind(
        "XS115",
        "recovery-clipped",
        "warning",
        "Some predictions lie where no true probability could have put them, so undoing the "
        "objective's distortion stopped at the edge.",
        "Read the recovered scores with care: they hold fewer distinct predictions.",
    ),
    FindingKind(
        "XS116",
        "class-order",
        "note",
        'Class names that look like numbers are in the order of text, where "10" comes before "2".',
        "Check that the columns are in that order, or make the target numeric.",
    ),
    FindingKind(
        "XS117",
        "not-converged",
        "note",
        "Training stopped before the optimum, so a difference may come from the step size and not "
        "from the loss.",
        "Train longer, or compare under the matched protocol.",
        "A coefficient is more than 0.1 standard errors from the maximum likelihood estimate, or "
        "--converge did not reach its gradient norm.",
    ),
    FindingKind(
        "XS118",
        "training-diverged",
        "error",
        "The objective became infinite or NaN.",
        "Lower the learning rate, or scale the features.",
    ),
    FindingKind(
        "XS119",
        "no-maximum-likelihood",
        "note",
        "The features separate the classes, so the likelihood has no maximum at finite weights.",
        "Add a penalty, or read no weights and standard errors.",
    ),
    FindingKind(
        "XS120",
        "collinear-columns",
        "note",
        "Some features are linear combinations of others, so their weights are not determined.",
        "Drop one of them, or read predictions instead of weights.",
    ),
    FindingKind(
        "XS121",
        "feature-gives-target-away",
        "warning",
        "One feature predicts the target almost alone: it may have been recorded after the fact.",
        "Ask whether the feature is known when the prediction is made.",
        "The classes lie in disjoint intervals of the feature, or every one of its categories "
        "holds "
        "one class, where chance would do that less than once in a hundred times.",
    ),
    FindingKind(
        "XS122",
        "paired-by-seed-only",
        "note",
        "The formulations share seeds but not starting points or steps, so their difference holds "
        "more noise than the losses make.",
        "Name the model's final nn.Linear with --head, to pair them step by step.",
    ),
    FindingKind(
        "XS123",
        "miscalibrated",
        "note",
        "The link belongs to the loss, so the slope is the model's own: a slope below 1 comes from "
        "overfitting or weights still near their random start, one above 1 from training that "
        "stopped early or a link that squeezes, such as normalised sigmoids.",
        "Train longer if training stopped early, add a penalty if the model overfits, or "
        "recalibrate on rows kept out of training.",
        "The recalibration slope is outside 2/3 to 3/2 and more than four of its standard errors "
        "from 1. Smaller deviations show in the slope, in the ECE beside its noise floor and in "
        "the "
        "reliability diagram, and are no finding.",
    ),
    FindingKind(
        "XS124",
        "test-rows-in-training",
        "warning",
        "The test file holds rows that the models are trained on, so that the scores tell how well "
        "they were learnt by heart and not how well others are predicted.",
        "Test on rows kept out of training: another file, or a fraction such as --test 0.2.",
        "More than half of the rows of a test file also stand in the training data, with all "
        "features and the class.",
    ),
)

FINDINGS: dict[str, FindingKind] = {kind.name: kind for kind in _KINDS}


@dataclass(frozen=True)
class Finding:
    """One finding about one subject.

    Args:
        kind: what was found.
        subject: what it was found in, such as a formulation or a file.
        message: one plain sentence with the numbers.
        values: the numbers by name.
        raised_to: a level that replaces the kind's own where the evidence is stronger.
    """

    kind: FindingKind
    subject: str
    message: str
    values: dict[str, float] = field(default_factory=dict)
    raised_to: Level | None = None

    @property
    def code(self) -> str:
        """Short, stable code."""
        return self.kind.code

    @property
    def name(self) -> str:
        """Name of the kind."""
        return self.kind.name

    @property
    def level(self) -> Level:
        """Level of this finding."""
        return self.raised_to or self.kind.level

    @property
    def cause(self) -> str:
        """What usually lies behind it."""
        return self.kind.cause

    @property
    def cure(self) -> str:
        """What to do about it."""
        return self.kind.cure


def finding(
    name: str,
    subject: str,
    message: str,
    values: Mapping[str, float] | None = None,
    *,
    raised_to: Level | None = None,
) -> Finding:
    """Return a finding of the kind of that name; KeyError if the table has no such kind.

    >>> finding("not-converged", "ce2", "The weights are 6.1 SE from the optimum.").code
    'XS117'
    """
    return Finding(FINDINGS[name], subject, message, dict(values or {}), raised_to)
