"""The scores of one set of predictions, all from the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xent._errors import InputError
from xent._symptoms import RowSums, outside_unit_interval, row_sums
from xent.scoring._calibration import Calibration
from xent.scoring._exact import MacroAuc, auc, macro_auc
from xent.scoring._partials import Partials
from xent.scoring._recalibration import Recalibration, recalibration
from xent.scoring._rows import Target, binary_log_odds, check_rows, per_row_loss
from xent.scoring._sums import WeightedMean

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scores:
    """What predictions are worth. Losses and entropies are in nats, None is "not defined".

    Args:
        rows: number of rows.
        classes: number of classes K.
        class_names: what the columns are called, in their order; None if it was not said.
        class_shares: weighted share of each class among the rows.
        log_loss: mean log loss over the sum of weights; infinite if a row's is. Never clipped.
        log_loss_se: its standard error, None with fewer than two rows or an infinite loss.
        brier: (P(1) - y)² for two classes, the sum over the classes for more.
        brier_se: its standard error.
        accuracy: share of rows whose most probable class came true.
        accuracy_interval: Wilson's 95 % interval.
        auc: exact area under the ROC curve, ties at one half; the mean of the one-versus-rest
            areas for three classes or more; None where no class has both positives and negatives.
        classes_without_auc: columns left out of that mean.
        ece: expected calibration error over 15 groups of equal mass.
        ece_of: whose probability it is: ``"positive class"`` or ``"top label"``.
        ece_noise_floor: what calibrated predictions would show on as many rows, in the mean.
        calibration: the reliability curve behind it.
        recalibration: slope and intercepts that would fit best; 1 and 0 when calibrated.
        infinite_rows: rows that give their true class probability 0.
        row_sums: smallest, mean and largest sum of a row's probabilities.
        prior_log_loss: log loss of predicting the training part's class shares for every row.
        over_prior_se: standard error of log loss minus prior log loss, from paired rows.
        entropy_floor: mean entropy of the true probabilities: in the mean no honest score is lower.
        over_entropy_se: standard error of log loss minus entropy, from paired rows.
    """

    rows: int
    classes: int
    class_names: tuple[str, ...] | None
    class_shares: tuple[float, ...]
    log_loss: float
    log_loss_se: float | None
    brier: float
    brier_se: float | None
    accuracy: float
    accuracy_interval: tuple[float, float]
    auc: float | None
    classes_without_auc: tuple[int, ...]
    ece: float
    ece_of: str
    ece_noise_floor: float
    calibration: Calibration
    recalibration: Recalibration
    infinite_rows: int
    row_sums: RowSums
    prior_log_loss: float | None
    over_prior_se: float | None
    entropy_floor: float | None
    over_entropy_se: float | None


def score_rows(
    log_probabilities: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    *,
    prior: ArrayLike | None = None,
    truth: ArrayLike | None = None,
) -> Scores:
    """Score predictions as they are: nothing is normalised, clipped or guessed.

    Args:
        log_probabilities: ``(rows, classes)``. Rows that don't sum to 1 are scored all the same;
            :func:`prediction_findings` reports them.
        target: ``(rows,)``, the column of each row's true class.
        weight: ``(rows,)``, finite and not negative; None counts each row once.
        class_names: what the columns are called, in their order.
        prior: class probabilities ``(classes,)`` of the training part, for the prior's log loss.
        truth: true class probabilities ``(rows, classes)`` where the data were simulated, for the
            entropy floor.

    Raises:
        InputError: no rows, wrong shapes, NaN, targets that are no column numbers, negative
            weights, or a prior or truth that does not sum to 1.

    >>> scores = score_rows(np.log([[0.5, 0.5], [0.25, 0.75]]), [0, 1], prior=[0.5, 0.5])
    >>> round(scores.log_loss, 4), round(scores.prior_log_loss, 4), scores.auc
    (0.4904, 0.6931, 1.0)
    """
    logs, labels, weights = check_rows(log_probabilities, target, weight, "score")
    if not len(labels) or (weights is not None and not weights.any()):
        found = f"{len(labels)} rows" if weights is None else f"{len(labels)} rows of weight 0"
        raise InputError("score: rows", "at least one of positive weight", found, "Give some rows.")
    names = _check_class_names(class_names, logs.shape[1])
    partials = Partials.from_rows(logs, labels, weights)
    area = _area(logs, labels, weights)
    reliability = partials.calibration
    losses = per_row_loss(logs, labels)
    prior_losses = None if prior is None else _prior_losses(prior, labels, logs.shape[1])
    entropies = None if truth is None else _entropies(truth, logs.shape)
    return Scores(
        rows=partials.rows,
        classes=partials.classes,
        class_names=names,
        class_shares=tuple(partials.class_shares.tolist()),
        log_loss=partials.log_loss,
        log_loss_se=partials.log_loss_se,
        brier=partials.brier,
        brier_se=partials.brier_se,
        accuracy=partials.accuracy,
        accuracy_interval=partials.accuracy_interval,
        auc=area.value,
        classes_without_auc=area.classes_left_out,
        ece=reliability.error,
        ece_of=reliability.of,
        ece_noise_floor=reliability.noise_floor,
        calibration=reliability,
        recalibration=recalibration(logs, labels, weights),
        infinite_rows=partials.infinite_rows,
        row_sums=partials.row_sums,
        prior_log_loss=_mean(prior_losses, weights),
        over_prior_se=_paired_se(losses, prior_losses, weights),
        entropy_floor=_mean(entropies, weights),
        over_entropy_se=_paired_se(losses, entropies, weights),
    )


def _area(logs: Array, target: Target, weight: Array | None) -> MacroAuc:
    if logs.shape[1] > 2:
        return macro_auc(logs, target, weight)
    area = auc(binary_log_odds(logs), target == 1, weight)
    return MacroAuc(area, (0, 1) if area is None else ())


def _mean(values: Array | None, weight: Array | None) -> float | None:
    return None if values is None else WeightedMean.of(values, weight).value


def _paired_se(losses: Array, others: Array | None, weight: Array | None) -> float | None:
    if others is None:
        return None
    with np.errstate(invalid="ignore"):
        return WeightedMean.of(losses - others, weight).standard_error


def _prior_losses(prior: ArrayLike, target: Target, classes: int) -> Array:
    shares = np.asarray(prior, dtype=np.float64)
    if shares.shape != (classes,) or not _are_probabilities(shares[None, :]):
        raise InputError(
            "score: prior",
            f"{classes} probabilities that sum to 1",
            f"{shares.tolist()}",
            "Give the share of each class among the training rows.",
        )
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log(shares))[target]


def _entropies(truth: ArrayLike, shape: tuple[int, ...]) -> Array:
    probabilities = np.asarray(truth, dtype=np.float64)
    if probabilities.shape != shape:
        raise InputError(
            "score: truth",
            f"of shape {shape}",
            f"shape {probabilities.shape}",
            "Give the true probability of every class for each row.",
        )
    if not _are_probabilities(probabilities):
        sums = row_sums(probabilities)
        raise InputError(
            "score: truth",
            "probabilities whose rows sum to 1",
            f"row sums from {sums.least:.6g} to {sums.greatest:.6g}",
            "Give the true probability of every class for each row.",
        )
    logs = np.log(np.where(probabilities > 0.0, probabilities, 1.0))
    return np.asarray(-(probabilities * logs).sum(axis=1))


def _are_probabilities(values: Array) -> bool:
    return row_sums(values).are_one and outside_unit_interval(values).count == 0


def _check_class_names(class_names: Sequence[str] | None, classes: int) -> tuple[str, ...] | None:
    if class_names is None:
        return None
    names = tuple(str(name) for name in class_names)
    if len(names) != classes:
        raise InputError(
            "score: class_names",
            f"{classes} names",
            f"{len(names)} names",
            "Name every column, in the order of the columns.",
        )
    return names
