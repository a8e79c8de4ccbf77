"""Losses that take log-probabilities: the negative log-likelihood and the divergence."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xent.wiring._finding import NOTE, WARNING
from xent.wiring._live._evidence import Evidence
from xent.wiring._live._report import LiveFinding, Outcome, Right, Unknown, found
from xent.wiring._live._rows import Array, sampled

# log(p + 1e-6) and the like miss 1 by a little.
_NEARLY = 0.02


def into_likelihood(evidence: Evidence) -> Iterator[Outcome]:
    """What ``nll_loss`` is given."""
    batch, values = evidence.batch, evidence.values
    tolerance = batch.rows.tolerance(1)
    if evidence.are_log_probabilities:
        yield from _nested(evidence)
        yield Right(
            ("XE106", "XE107"),
            f"exp of {batch.rows.words()} sums to 1: log-probabilities, as {batch.label} takes "
            "them.",
        )
    elif evidence.are_inside and values.max() > tolerance:
        if batch.options.get("reduction") == "none":
            yield Unknown(
                ("XE106",),
                f'With reduction="none" {batch.label} may be meant to pick out the probability of '
                "the target.",
            )
            return
        rows = f"Those of {batch.rows.words()} sum to 1." if evidence.are_probabilities else ""
        yield found(
            "XE106",
            f"input is probabilities, and {batch.label} takes log-probabilities: the loss is "
            "minus a probability and negative.",
            "Use log_softmax, or CrossEntropyLoss on the logits.",
            f"The values go from {evidence.range_words()}. {rows}".rstrip(),
        )
    else:
        yield _not_normalised(evidence, "XE107")


def _not_normalised(evidence: Evidence, code: str) -> LiveFinding:
    sums, label = evidence.sums_of_exponentials, evidence.batch.label
    positive = evidence.values.max() > evidence.batch.rows.tolerance(1)
    level = None if positive else WARNING
    repair = "Use log_softmax, or CrossEntropyLoss on the scores."
    if np.abs(sums - 1).max() < _NEARLY:
        level, repair = NOTE, "Use log_softmax rather than log(softmax + a small number)."
    if code == "XE111":
        repair = repair.replace(", or CrossEntropyLoss on the scores", "")
    return found(
        code,
        f"{label} takes log-probabilities, and exp of the rows of input doesn't sum to 1: without "
        "log_softmax the loss is no likelihood.",
        repair,
        f"The values go from {evidence.range_words()}, and exp of the rows sums to "
        f"{sums.min():.4g} to {sums.max():.4g}.",
        level,
    )


def _nested(evidence: Evidence) -> Iterator[Outcome]:
    """Log-probabilities of probabilities: log_softmax after softmax."""
    activation, batch = evidence.activation, evidence.batch
    before = activation.of if activation is not None else None
    nested = before is not None and before.kind == "softmax"
    proven = nested and activation is not None and activation.kind in ("softmax", "log_softmax")
    inner = _undone(evidence.values[np.isfinite(evidence.values).all(axis=1)])
    # By values alone weak models look the same, unless some rows are sure of one class inside.
    sure = inner.max(axis=1) > 0.95 if inner.min(initial=0) > -1e-3 else np.zeros(1, dtype=bool)
    looks = evidence.values.shape[1] > 2 and sure.sum() >= 8 and before is None
    if proven or looks:
        yield found(
            "XE112",
            "input is log_softmax of probabilities: they become nearly equal.",
            "Apply log_softmax to the logits, once.",
            evidence.by_graph() + " Before that it was a softmax already."
            if proven
            else f"No probability is above {np.exp(evidence.values.max()):.3g}, the most that a "
            f"softmax gives {batch.classes} probabilities.",
            None if proven else WARNING,
        )


def _undone(log_probabilities: Array) -> Array:
    """The numbers that sum to 1 over each row and have these log-probabilities."""
    classes = log_probabilities.shape[1]
    return np.asarray(
        log_probabilities + (1 - log_probabilities.sum(axis=1, keepdims=True)) / classes
    )


def into_divergence(evidence: Evidence) -> Iterator[Outcome]:
    """What ``kl_div`` is given, in both arguments."""
    batch, values = evidence.batch, evidence.values
    tolerance = batch.rows.tolerance(1)
    if values.max() > tolerance:
        kind = "probabilities" if evidence.are_inside else "scores that are no log-probabilities"
        yield found(
            "XE111",
            f"The first argument of {batch.label} is {kind}, and is to be log-probabilities: the "
            "divergence has the wrong size and may be negative.",
            "Use log_softmax for it.",
            f"The values go from {evidence.range_words()}; a log-probability is at most 0.",
        )
    elif not (evidence.are_log_probabilities or _normalised_elsewhere(evidence)):
        yield _not_normalised(evidence, "XE111")
    else:
        yield Right(("XE111",), "exp of the rows of input sums to 1: log-probabilities.")
    yield from _divergence_target(evidence)


def _normalised_elsewhere(evidence: Evidence) -> bool:
    """The loss doesn't say which axes hold the classes: any one, or the last ones, will do."""
    tensor, rows = evidence.batch.input, evidence.batch.rows
    alone = [(tensor, axis) for axis in range(tensor.ndim)]
    joint = [(tensor.flatten(axis), axis) for axis in range(tensor.ndim - 1)]
    for each, axis in alone + joint:
        sums = np.exp(sampled(each, None, axis, None, 256).values).sum(axis=1)
        if np.all(np.abs(sums - 1) <= rows.tolerance(each.shape[axis])):
            return True
    return False


def _divergence_target(evidence: Evidence) -> Iterator[Outcome]:
    batch = evidence.batch
    if not batch.has_elements or batch.rows.target is None:
        return
    target = np.asarray(batch.rows.target, dtype=float)
    target = target[np.isfinite(target)]
    if not target.size:
        return
    tolerance = batch.rows.tolerance(1)
    seen = f"The values of target go from {target.min():.4g} to {target.max():.4g}."
    if batch.options.get("log_target"):
        if target.max() > tolerance:
            yield found(
                "XE111",
                f"The target of {batch.label} with log_target=True is to be log-probabilities.",
                "Leave log_target out, or use log_softmax for the target.",
                seen,
            )
    elif target.min() < -tolerance:
        yield found(
            "XE111",
            f"The target of {batch.label} is to be probabilities, which are not negative.",
            "Use softmax for the target, or log_target=True where it is log-probabilities.",
            seen,
        )
