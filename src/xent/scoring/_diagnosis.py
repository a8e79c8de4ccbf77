"""Diagnosis: looks for what is wrong with predictions, and with the objective behind them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xent._errors import InputError
from xent._symptoms import (
    double_softmax_loss_floor,
    is_single_column_of_ones,
    is_softmax_over_rows,
    largest_softmax_of_probabilities,
    never_leaves_double_sigmoid,
    never_leaves_double_softmax,
    outside_unit_interval,
    row_sums,
)
from xent.scoring._findings import Finding, finding
from xent.scoring._rows import check_log_probabilities, check_target
from xent.scoring._scores import Scores

Array = NDArray[np.float64]

# Two means of the same losses, one of them summed in float32, agree to a few parts in a million;
# TF32 or a mean of unequal batches does not stay within a hundred.
OBJECTIVE_RELATIVE_TOLERANCE = 1e-4
OBJECTIVE_ABSOLUTE_TOLERANCE = 1e-6

# A slope outside this range is no longer what early stopping or mild overfitting leave behind.
_USUAL_SLOPES = (2.0 / 3.0, 3.0 / 2.0)
_SURE = 4.0
# A log loss of so many times the class prior's is suspect, however it scatters over the rows.
_PRIORS = 2.0
# A slope within so many standard errors of 0 says nothing about a factor.
_ABOVE_ZERO = 2.0
_MANY_ROWS = 1000


def value_findings(probabilities: ArrayLike, *, subject: str) -> tuple[Finding, ...]:
    """Look for values that can't be probabilities of one row each; needs no targets.

    Args:
        probabilities: ``(rows, columns)`` as they were given, one column or more.
        subject: what the findings are about.

    Raises:
        InputError: not two-dimensional, or without values.

    >>> [found.name for found in value_findings([[0.6, 0.6]], subject="ce2")]
    ['rows-do-not-sum-to-one']
    """
    values = np.asarray(probabilities, dtype=np.float64)
    if values.ndim != 2 or not values.size:
        raise InputError(
            "findings: probabilities",
            "of shape (rows, columns) with at least one value",
            f"shape {values.shape}",
            "Give one row of probabilities for each prediction.",
        )
    if is_single_column_of_ones(values):
        return (_single_column(values, subject),)
    found: list[Finding] = []
    outside = outside_unit_interval(values)
    if outside.count:
        found.append(
            finding(
                "values-outside-unit-interval",
                subject,
                f"{outside.count:,} of {values.size:,} values are no probabilities: they reach "
                f"from {outside.least:.6g} to {outside.greatest:.6g}.",
                {"count": outside.count, "least": outside.least, "greatest": outside.greatest},
            )
        )
    if is_softmax_over_rows(values):
        found.append(
            finding(
                "softmax-over-rows",
                subject,
                f"Each of the {values.shape[1]} columns sums to 1 over the {len(values):,} rows, "
                "and the rows do not.",
            )
        )
    if values.shape[1] > 1:
        found.extend(_row_sum_findings(values, subject))
    return tuple(found)


def _single_column(values: Array, subject: str) -> Finding:
    message = f"All {len(values):,} rows hold one probability, and it is 1."
    return finding("single-column-of-ones", subject, message, {"rows": len(values)})


def _row_sum_findings(values: Array, subject: str) -> tuple[Finding, ...]:
    sums = row_sums(values)
    if sums.are_one:
        return ()
    message = (
        f"The probabilities of a row sum to {sums.mean:.4g} in the mean, from {sums.least:.6g} to "
        f"{sums.greatest:.6g}, where storage rounding explains 1 ± {sums.tolerance:.1g}."
    )
    numbers = {"least": sums.least, "mean": sums.mean, "greatest": sums.greatest}
    return (finding("rows-do-not-sum-to-one", subject, message, numbers),)


def prediction_findings(
    scores: Scores,
    log_probabilities: ArrayLike,
    target: ArrayLike,
    *,
    subject: str,
    probabilities: ArrayLike | None = None,
    linked: bool = False,
) -> tuple[Finding, ...]:
    """Look for everything that shows in predictions and their scores.

    Args:
        scores: what :func:`score_rows` made of the same rows.
        log_probabilities: ``(rows, classes)`` as they were scored.
        target: ``(rows,)``, the column of each row's true class.
        subject: what the findings are about, such as a formulation or a file.
        probabilities: the values as they were given, where they were given as probabilities: a
            negative one has no logarithm. By default the exponential of the log-probabilities.
        linked: whether the probabilities are known to come from the loss's own link. What looks
            like a wrong scorer (scaled log-odds, flipped columns, a link applied twice) is then
            the model's doing, and a slope far from 1 is ``miscalibrated``.

    Returns:
        The findings, errors before warnings before notes.

    Raises:
        InputError: the arrays are not those of the scores, or can't be scored.
    """
    logs = check_log_probabilities(log_probabilities, "findings")
    labels = check_target(target, len(logs), logs.shape[1], "findings")
    if logs.shape != (scores.rows, scores.classes):
        raise InputError(
            "findings: log_probabilities",
            f"the {scores.rows} rows of {scores.classes} classes that were scored",
            f"shape {logs.shape}",
            "Give the arrays that the scores were made of.",
        )
    values = np.exp(logs) if probabilities is None else np.asarray(probabilities, np.float64)
    found = [
        *value_findings(values, subject=subject),
        *_below_entropy_floor(scores, subject),
        *_worse_than_prior(scores, subject),
        *_infinite_rows(scores, subject),
    ]
    if linked:
        found.extend(_miscalibrated(scores, subject))
    else:
        found.extend(_scaled_log_odds(scores, subject))
        found.extend(_twice_applied(scores, values, labels, subject))
        found.extend(_flipped_columns(scores, subject))
    if scores.class_names is not None:
        found.extend(class_order_findings(scores.class_names, subject=subject))
    severity = {"error": 0, "warning": 1, "note": 2}
    return tuple(sorted(found, key=lambda each: severity[each.level]))


def _unusual_slope(scores: Scores) -> tuple[float, float] | None:
    """Return the slope and its standard error where they are far from calibration."""
    slope, error = scores.recalibration.slope, scores.recalibration.slope_se
    if slope is None or error is None:
        return None
    low, high = _USUAL_SLOPES
    if low <= slope <= high or abs(slope - 1.0) <= _SURE * error:
        return None
    return slope, error


def _slope_message(slope: float, error: float, meaning: str) -> str:
    """Say what a slope means; where it is not above 0, no factor makes the log-odds right."""
    if slope <= _ABOVE_ZERO * error:
        meaning = (
            "the log-odds point away from the class that comes true"
            if slope < -_ABOVE_ZERO * error
            else "the log-odds hold no information about the target"
        )
    return (
        f"The recalibration slope is {slope:.3f} ± {error:.3f} where calibrated predictions have "
        f"1: {meaning}."
    )


def _miscalibrated(scores: Scores, subject: str) -> tuple[Finding, ...]:
    unusual = _unusual_slope(scores)
    if unusual is None:
        return ()
    slope, error = unusual
    meaning = "the model is too sure of itself" if slope < 1.0 else "the model is not sure enough"
    numbers = {"slope": slope, "slope_se": error}
    return (finding("miscalibrated", subject, _slope_message(slope, error, meaning), numbers),)


def _scaled_log_odds(scores: Scores, subject: str) -> tuple[Finding, ...]:
    unusual = _unusual_slope(scores)
    if unusual is None:
        return ()
    slope, error = unusual
    fit = scores.recalibration
    intercepts = zip(fit.intercepts, fit.intercept_ses, strict=True)
    centred = all(abs(value) <= max(_SURE * se, 0.05) for value, se in intercepts)
    factor = next((each for each in (2.0, 0.5) if abs(slope / each - 1.0) <= 0.1), None)
    sure = factor is not None and centred and scores.rows >= _MANY_ROWS
    numbers = {"slope": slope, "slope_se": error}
    meaning = f"every log-odds should be {slope:.3g} times as large"
    message = _slope_message(slope, error, meaning)
    return (
        finding("log-odds-scaled", subject, message, numbers, raised_to="error" if sure else None),
    )


def _twice_applied(
    scores: Scores, values: Array, target: NDArray[np.int64], subject: str
) -> tuple[Finding, ...]:
    # A weak model stays in these ranges too; what tells them apart is a slope well above 1.
    if not _is_squeezed(scores):
        return ()
    slope = scores.recalibration.slope
    evidence = "the scores separate the classes" if slope is None else f"the slope is {slope:.3g}"
    if never_leaves_double_sigmoid(values):
        low, high = float(values[:, 1].min()), float(values[:, 1].max())
        share = float(np.mean(target == 1))
        message = (
            f"Every P(1) lies from {low:.3f} to {high:.3f}, within 0.5 to 0.731, where a sigmoid "
            f"of a probability lies; the share of class 1 is {share:.3f} and {evidence}."
        )
        numbers = {"least": low, "greatest": high}
        return (finding("sigmoid-applied-twice", subject, message, numbers),)
    if never_leaves_double_softmax(values):
        ceiling = largest_softmax_of_probabilities(scores.classes)
        floor = double_softmax_loss_floor(scores.classes)
        top = float(values.max())
        message = (
            f"No probability exceeds {top:.3f}, and a softmax of probabilities can't exceed "
            f"{ceiling:.3f} (log loss {floor:.3f} at best); {evidence}."
        )
        numbers = {"greatest": top, "ceiling": ceiling, "loss_floor": floor}
        return (finding("softmax-applied-twice", subject, message, numbers),)
    return ()


def _is_squeezed(scores: Scores) -> bool:
    fit = scores.recalibration
    if fit.slope is None or fit.slope_se is None:
        return scores.auc == 1.0
    return fit.slope > _USUAL_SLOPES[1] and fit.slope - 1.0 > _SURE * fit.slope_se


def _below_entropy_floor(scores: Scores, subject: str) -> tuple[Finding, ...]:
    floor, error = scores.entropy_floor, scores.over_entropy_se
    if floor is None or error is None or scores.log_loss >= floor - _SURE * error:
        return ()
    message = (
        f"The log loss {scores.log_loss:.6f} lies {floor - scores.log_loss:.6f} nats "
        f"({(floor - scores.log_loss) / error:.0f} SE) below the entropy of the true "
        f"probabilities, {floor:.6f}."
    )
    numbers = {"log_loss": scores.log_loss, "entropy_floor": floor, "standard_error": error}
    return (finding("below-entropy-floor", subject, message, numbers),)


def _worse_than_prior(scores: Scores, subject: str) -> tuple[Finding, ...]:
    prior = scores.prior_log_loss
    if prior is None or not math.isfinite(prior) or scores.log_loss <= prior:
        return ()
    error = scores.over_prior_se
    # A few rows of huge loss make the mean worse and its error large with it: beyond so many
    # priors the error says nothing.
    near = scores.log_loss <= _PRIORS * prior
    if near and (error is None or scores.log_loss - prior <= _SURE * error):
        return ()
    message = (
        f"The log loss {scores.log_loss:.6f} is worse than {prior:.6f}, which the class shares of "
        "the training part reach without any feature."
    )
    numbers = {"log_loss": scores.log_loss, "prior_log_loss": prior}
    return (finding("worse-than-prior", subject, message, numbers),)


def _flipped_columns(scores: Scores, subject: str) -> tuple[Finding, ...]:
    majority = max(scores.class_shares)
    area = scores.auc
    if area is None or scores.accuracy_interval[1] >= majority:
        return ()
    if area >= 0.5 - _SURE * _standard_error_of_chance_auc(scores):
        return ()
    message = (
        f"The AUC is {area:.3f}, below one half, and the accuracy {scores.accuracy:.3f} is below "
        f"the largest class's share, {majority:.3f}."
    )
    numbers = {"auc": area, "accuracy": scores.accuracy, "majority": majority}
    return (finding("columns-flipped", subject, message, numbers),)


def _standard_error_of_chance_auc(scores: Scores) -> float:
    """Return the standard error of the AUC of unrelated scores, for the rarest class."""
    rarest = min(share for share in scores.class_shares if share > 0.0)
    return math.sqrt((scores.rows + 1.0) / 12.0 / (rarest * (1.0 - rarest))) / scores.rows


def _infinite_rows(scores: Scores, subject: str) -> tuple[Finding, ...]:
    if not scores.infinite_rows:
        return ()
    message = (
        f"{scores.infinite_rows:,} of {scores.rows:,} rows give probability 0 to the class that "
        "came true, so the log loss is infinite."
    )
    numbers = {"infinite_rows": scores.infinite_rows, "rows": scores.rows}
    return (finding("infinite-loss-rows", subject, message, numbers),)


def class_order_findings(class_names: Sequence[str], *, subject: str) -> tuple[Finding, ...]:
    """Note class names that look like numbers and are sorted as text.

    >>> class_order_findings(["1", "10", "2"], subject="y")[0].message
    'The classes are in the order of text, 1, 10, 2, and not of numbers.'
    """
    names = list(class_names)
    try:
        numbers = [float(name) for name in names]
    except ValueError:
        return ()
    if numbers == sorted(numbers) or names != sorted(names):
        return ()
    shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    message = f"The classes are in the order of text, {shown}, and not of numbers."
    return (finding("class-order", subject, message),)


def objective_findings(
    *,
    subject: str,
    objective: float,
    reproduced: float | None = None,
    log_loss: float | None = None,
    relative_tolerance: float = OBJECTIVE_RELATIVE_TOLERANCE,
    absolute_tolerance: float = OBJECTIVE_ABSOLUTE_TOLERANCE,
) -> tuple[Finding, ...]:
    """Compare what was minimised with what is reported, all three on the same rows.

    Args:
        subject: the formulation.
        objective: mean objective as the training code computes it, in nats, at the final weights.
        reproduced: the same mean computed independently in evaluation mode.
        log_loss: log loss as reported. Give it only for a formulation whose mean objective *is*
            the log loss: not for focal loss, smoothing, weights, penalties or one-versus-rest sums.
        relative_tolerance: of the larger magnitude. The default, 1e-4, passes training in float32,
            which agrees with float64 to a few parts in a million.
        absolute_tolerance: in nats; the default, 1e-6, passes a float32 loss near zero.

    >>> objective_findings(subject="ce2", objective=0.6184, log_loss=0.6443)[0].name
    'objective-is-not-the-log-loss'
    """
    if not math.isfinite(objective):
        message = f"The objective ended at {objective}."
        return (finding("training-diverged", subject, message, {"objective": objective}),)

    def agree(value: float) -> bool:
        return math.isclose(
            objective, value, rel_tol=relative_tolerance, abs_tol=absolute_tolerance
        )

    found: list[Finding] = []
    if reproduced is not None and not agree(reproduced):
        message = (
            f"The training code's objective is {objective:.6f}, and computed independently in "
            f"evaluation mode it is {reproduced:.6f}."
        )
        numbers = {"objective": objective, "reproduced": reproduced}
        found.append(finding("objective-not-reproduced", subject, message, numbers))
    if log_loss is not None and not agree(log_loss):
        message = (
            f"The model minimised {objective:.6f}, and its reported log loss on the same rows is "
            f"{log_loss:.6f}."
        )
        numbers = {"objective": objective, "log_loss": log_loss}
        found.append(finding("objective-is-not-the-log-loss", subject, message, numbers))
    return tuple(found)
