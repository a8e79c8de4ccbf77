"""The values of the target: classes out of range, left out, all the same; rows that sum to 1."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from xent.wiring._finding import WARNING
from xent.wiring._live._batch import Batch
from xent.wiring._live._given_loss import NUMBER
from xent.wiring._live._report import Outcome, Right, Unknown, found, range_words
from xent.wiring._live._rows import Array, is_coarse, tolerance_of_sums


def targets(batch: Batch) -> Iterator[Outcome]:
    """Whether the target can be learnt from."""
    if not batch.has_values or batch.loss.takes == NUMBER:
        return
    if batch.has_indices:
        yield from _indices(batch)
    elif batch.loss.name in ("log_loss", "kl_div"):
        return
    elif batch.has_elements:
        yield from _soft_rows(batch) if batch.loss.of_rows else _labels(batch)
    else:
        yield Unknown(("XE203", "XE6"), "The values of target: it doesn't fit the input.")


def _indices(batch: Batch) -> Iterator[Outcome]:
    classes, mark = batch.classes or 0, batch.ignore_index
    target = batch.indices.reshape(-1)
    counted = target if mark is None else target[target != mark]
    if not len(counted):
        yield found(
            "XE602",
            "Every row is left out: the mean loss is NaN and nothing is learnt from the batch.",
            f"Look for what makes every target the ignore_index, {mark}.",
            f"All {len(target):,} targets are {mark}.",
        )
        return
    outside = counted[(counted < 0) | (counted >= classes)]
    if len(outside):
        yield found(
            "XE601",
            f"Class indices must lie in 0 to {classes - 1}, for {classes} classes.",
            _repair_of_range(outside, counted, classes),
            f"{len(outside):,} of {len(counted):,} targets are outside: {_some(outside)}.",
        )
        return
    left_out = "" if len(counted) == len(target) else f", {len(target) - len(counted):,} left out"
    yield Right(
        ("XE601", "XE602"),
        f"{_all(len(counted))} in 0 to {classes - 1}, for {classes} classes{left_out}.",
    )
    yield from _one_class(counted, classes)


def _all(count: int) -> str:
    return "The one target lies" if count == 1 else f"All {count:,} targets lie"


def _repair_of_range(outside: Tensor, counted: Tensor, classes: int) -> str:
    values = torch.unique(outside)
    if len(values) == 1 and int(values[0]) == classes and int(counted.min()) >= 1:
        return "Class indices start at 0: use target - 1 if yours start at 1."
    if len(values) == 1:
        return f"Give ignore_index={int(values[0])} if it marks rows that are to be left out."
    return "Give the model one output for each class."


def _some(values: Tensor) -> str:
    shown = torch.unique(values)[:5].tolist()
    return ", ".join(str(value) for value in shown)


def _one_class(counted: Tensor, classes: int) -> Iterator[Outcome]:
    count = len(counted)
    if count > 1 and classes > 1 and int(counted.min()) == int(counted.max()):
        yield found(
            "XE603",
            "All targets of the batch are of one class.",
            "Shuffle the data if they are sorted by class: DataLoader(..., shuffle=True).",
            f"All {count:,} targets are {int(counted[0])}.{_chance_of_one(count, classes)}",
        )


def _chance_of_one(count: int, classes: int) -> str:
    """With classes of equal size; told since rare classes make it likely."""
    digits = (count - 1) * math.log10(classes)
    if digits > 6:
        return " With classes of equal size that doesn't happen by chance."
    return f" With classes of equal size that happens in 1 of {10**digits:,.0f} batches."


def _soft_rows(batch: Batch) -> Iterator[Outcome]:
    rows = np.asarray(batch.rows.target, dtype=float)
    rows = rows[np.isfinite(rows).all(axis=1)]
    tolerance = tolerance_of_sums(rows.shape[1], is_coarse(batch.target.dtype, rows))
    sums = rows.sum(axis=1)
    wrong = np.abs(sums - 1) > tolerance
    if not len(rows):
        return
    if rows.min() < -tolerance:
        yield found(
            "XE601",
            "Class probabilities as the target can't be negative.",
            "Give probabilities that sum to 1 over the classes, or class indices.",
            f"The smallest is {rows.min():.4g}.",
        )
    if not wrong.any():
        yield Right(("XE203",), f"All {len(rows):,} rows of target sum to 1.")
        return
    empty = wrong & (rows == 0).all(axis=1)
    if empty.sum() == wrong.sum():
        yield found(
            "XE203",
            "Some rows of target are all 0: they cost nothing, but the mean counts them.",
            "Leave such rows out, or give them sample_weight 0 in xent's cross_entropy.",
            f"{int(empty.sum()):,} of {len(rows):,} rows looked at are all 0.",
            WARNING,
        )
        return
    yield _not_normalised(batch, rows[wrong & ~empty], sums[wrong & ~empty], len(rows))


def _not_normalised(batch: Batch, rows: Array, sums: Array, count: int) -> Outcome:
    several = (rows == 1).sum(axis=1) > 1
    only_labels = bool(np.isin(rows, (0, 1)).all())
    single = bool(((rows != 0).sum(axis=1) <= 1).all())
    if several.any() and only_labels:
        words = f"{int(several.sum()):,} of {count:,} rows have several classes at once"
        repair = "For several classes at once use BCEWithLogitsLoss."
    else:
        words = f"{len(rows):,} of {count:,} rows looked at sum to {range_words(sums)}"
        repair = "Divide each row by its sum. Weights of rows: sample_weight of xent's loss."
    return found(
        "XE203",
        f"{batch.label} takes class probabilities that sum to 1 in each row, and those of target "
        "don't: a row counts by its sum.",
        repair,
        f"{words}.",
        WARNING if single else None,
    )


def _labels(batch: Batch) -> Iterator[Outcome]:
    """Targets of a loss of elements."""
    kept = batch.rows.kept
    labels = np.asarray(batch.rows.target, dtype=float)[kept]
    labels = labels[np.isfinite(labels)]
    if not kept.any():
        yield found(
            "XE602",
            "Every element is left out: the mean loss is NaN and nothing is learnt from the batch.",
            f"Look for what makes every target the ignore_index, {batch.ignore_index}.",
            f"All {kept.size:,} targets looked at are {batch.ignore_index}.",
        )
        return
    if not labels.size:
        return
    low, high = labels.min(), labels.max()
    outside = int(((labels < 0) | (labels > 1)).sum())
    if outside and batch.may_be_masked:
        words = f"Targets go from {low:.4g} to {high:.4g}: those outside [0, 1] may be masked after"
        yield Unknown(("XE601",), f"{words} the loss, or by its weight.")
        return
    if outside:
        minus_one = low == -1 and high <= 1
        yield found(
            "XE601",
            f"The targets of {batch.label} are probabilities of yes, in [0, 1]: outside of it the "
            "loss has no lower bound.",
            "Use (target + 1) / 2 for labels -1 and 1, or leave out what -1 marks."
            if minus_one
            else "For class indices use cross_entropy; else scale the targets to [0, 1].",
            f"{outside:,} of {labels.size:,} targets are outside; they go from {low:.4g} to "
            f"{high:.4g}.",
        )
        return
    yield Right(("XE601", "XE602"), "All targets lie in [0, 1].")
    if labels.size > 1 and low == high and low in (0, 1):
        yield found(
            "XE603",
            f"All targets of the batch are {low:g}.",
            "Shuffle the data if they are sorted by class: DataLoader(..., shuffle=True).",
            f"{labels.size:,} targets were looked at.{_chance_of_one(labels.size, 2)}",
        )
