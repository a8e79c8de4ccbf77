"""Numbers that a loss can't learn from: NaN, infinity, saturation, no gradient, one class only."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from xent.wiring._flow._losses import LOGITS
from xent.wiring._live._batch import Batch
from xent.wiring._live._evidence import Evidence
from xent.wiring._live._loss_values import OF_MARGIN, has_margin
from xent.wiring._live._report import LiveFinding, Outcome, Right, found
from xent.wiring._live._rows import Array

# So many wrong rows at least before saturation is told, and so large a part of all rows.
_FEWEST_WRONG, _PART_WRONG = 3, 0.1
_FEWEST_ROWS = 8


def health(batch: Batch) -> Iterator[Outcome]:
    """Whether the numbers leave something to learn."""
    if not batch.has_values or batch.input.dtype.is_complex:
        return
    bad = list(_not_finite(batch))
    yield from bad
    if bad:
        return
    yield Right(("XE606",), "There is no NaN, and no infinity that makes the loss NaN.")
    yield from _saturated(batch)
    yield from _dead(batch)
    yield from _one_prediction(batch)


def _not_finite(batch: Batch) -> Iterator[LiveFinding]:
    rows = batch.rows
    values = rows.counted
    nan, infinite = int(np.isnan(values).sum()), int((values == np.inf).sum())
    if nan or infinite:
        words = [f"{nan:,} NaN" if nan else "", f"{infinite:,} inf" if infinite else ""]
        yield found(
            "XE606",
            "input has numbers that make the loss NaN or infinite.",
            "torch.autograd.detect_anomaly() names the operation that first gives NaN.",
            f"{' and '.join(filter(None, words))} among {values.size:,} values.",
        )
    elif batch.loss.of_rows and batch.classes != 1 and len(rows):
        yield from _masked(batch, rows.values)
    if batch.has_elements and rows.target is not None:
        bad = int((~np.isfinite(np.asarray(rows.target, dtype=float)[rows.kept])).sum())
        # Log-probabilities of a target may be -inf: what they stand for is 0.
        masked = batch.options.get("reduction") == "none"
        if bad and not masked and not batch.options.get("log_target"):
            yield found(
                "XE606",
                "target has numbers that make the loss NaN or infinite.",
                "Mark what is missing with a whole number and leave it out by ignore_index.",
                f"{bad:,} NaN or infinite among {int(rows.kept.sum()):,} values.",
            )


def _masked(batch: Batch, values: Array) -> Iterator[LiveFinding]:
    """Classes at -inf are masked, which is right unless they are all the row has, or its target."""
    masked = values == -np.inf
    empty = int(masked.all(axis=1).sum())
    if empty:
        yield found(
            "XE606",
            "Rows of input are -inf throughout: their loss is NaN or infinite.",
            "Leave one class of each row unmasked, or leave such rows out by ignore_index.",
            f"{empty:,} of {len(values):,} rows are all -inf.",
        )
        return
    indices = batch.classes_of_rows
    if indices is not None:
        hit = int(masked[np.arange(len(values)), indices].sum())
        if hit:
            yield found(
                "XE606",
                "The class of the target is at -inf: the loss is infinite.",
                "Don't mask the class of the target.",
                f"So it is in {hit:,} of {len(values):,} rows.",
            )


def _saturated(batch: Batch) -> Iterator[Outcome]:
    """Scores so far apart that the result is one-hot in the dtype, and wrong in many rows.

    Where the rows are right this is how a sure model looks, and nothing is said.
    """
    rows = batch.rows
    single = batch.loss.of_rows and rows.classes < 2
    if batch.loss.takes != LOGITS or single or not len(rows):
        return
    limit = -math.log(_rounding(batch) / 2)
    if batch.loss.of_rows:
        indices = batch.classes_of_rows
        if indices is None:
            return
        ordered = np.partition(rows.values, rows.classes - 2, axis=1)
        sure = ordered[:, -1] - ordered[:, -2] > limit
        wrong = sure & (rows.values.argmax(axis=1) != indices)
        count = len(rows)
    else:
        if rows.target is None:
            return
        target, values = np.asarray(rows.target, dtype=float)[rows.kept], rows.counted
        sure = np.abs(values) > limit
        wrong = sure & (np.abs((values > 0) - target) > 0.5)
        count = len(values)
    if has_margin(batch):
        yield OF_MARGIN
    elif wrong.sum() >= _FEWEST_WRONG and wrong.sum() >= _PART_WRONG * count:
        finite = rows.counted[np.isfinite(rows.counted)]
        yield found(
            "XE605",
            "Many predictions are certain and wrong: their probability rounds to 0 or 1.",
            "Scale the logits down: smaller initial weights, a normalisation, a lower learning "
            "rate.",
            f"{int(sure.sum()):,} of {count:,} predictions are saturated, {int(wrong.sum()):,} of "
            f"them wrong; scores go from {finite.min():.4g} to {finite.max():.4g}.",
        )
    else:
        yield Right(("XE605",), "Scores are not saturated where they are wrong.")


def _rounding(batch: Batch) -> float:
    """Losses of half precision are computed in single precision."""
    return min(float(torch.finfo(batch.input.dtype).eps), float(torch.finfo(torch.float32).eps))


def _dead(batch: Batch) -> Iterator[Outcome]:
    """Wrong predictions through which no gradient comes back."""
    rows = batch.rows
    evidence = Evidence(batch)
    if batch.loss.takes == "probability" and batch.has_elements and rows.target is not None:
        target, values = np.asarray(rows.target, dtype=float)[rows.kept], rows.counted
        ends = (values == 0) | (values == 1)
        wrong = np.abs(values - target) > 0.5
        dead = ends & wrong & bool(((values >= 0) & (values <= 1)).all())
        # Through a sigmoid or softmax p (1 - p) is 0 there; otherwise its slope isn't known.
        if dead.sum() >= _FEWEST_WRONG and dead.sum() >= _PART_WRONG * wrong.sum():
            yield found(
                "XE608",
                "Wrong probabilities are exactly 0 or 1, where sigmoid and softmax have no slope: "
                "no gradient comes back from them.",
                "Use BCEWithLogitsLoss on the logits.",
                f"{int(dead.sum()):,} of {int(wrong.sum()):,} wrong values.",
            )
    elif batch.takes_logits and len(rows) >= _FEWEST_ROWS and evidence.comes_from("relu"):
        silent = (rows.values == 0).all(axis=1)
        if silent.all():
            yield found(
                "XE608",
                "All scores are 0 behind ReLU, which has no slope there: no gradient comes back.",
                "Remove the ReLU after the last layer.",
                f"All {len(rows):,} rows are 0, and {evidence.by_graph()}",
            )


def _one_prediction(batch: Batch) -> Iterator[Outcome]:
    indices = batch.classes_of_rows
    rows = batch.rows
    if indices is None or len(rows) < _FEWEST_ROWS or rows.classes < 2:
        return
    predictions = rows.values.argmax(axis=1)
    if (predictions == predictions[0]).all() and (indices != indices[0]).any():
        same = bool((rows.values == rows.values[0]).all())
        yield found(
            "XE609",
            "The same class is predicted for every row"
            + (", with the same scores." if same else "."),
            "At the start of training that is usual; later look whether the features reach the "
            "model.",
            f"Class {int(predictions[0])} in {rows.words()}; the targets are of "
            f"{len(np.unique(indices))} classes.",
        )
