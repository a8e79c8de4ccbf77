"""What is scored, against the outputs as the loss of the training reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from xent._links import log_sigmoid, log_softmax
from xent.wiring._finding import ERROR
from xent.wiring._flow._losses import LOGITS
from xent.wiring._live._batch import Batch
from xent.wiring._live._evidence import Evidence
from xent.wiring._live._given_loss import GivenLoss
from xent.wiring._live._report import LiveFinding, Outcome, Right, Unknown, found
from xent.wiring._live._rows import Array, sampled

# Far above what half precision rounds away, far below what another link changes.
_CLOSE = 0.01


def _sigmoid(outputs: Array) -> Array:
    return np.asarray(np.exp(log_sigmoid(outputs)))


def _softmax(outputs: Array) -> Array:
    return np.asarray(np.exp(log_softmax(outputs)))


_LINKS: dict[str, Callable[[Array], Array]] = {
    "sigmoid": _sigmoid, "softmax": _softmax, "exp": np.exp, "no activation": np.asarray,
}  # fmt: skip
# What is scored, where another link was trained.
_RULES = {"sigmoid": "XE301", "softmax": "XE303", "exp": "XE304", "no activation": "XE304"}


def link_of(trained: GivenLoss) -> str:
    """How outputs that were trained with a loss become probabilities."""
    if trained.loss.takes == LOGITS:
        return "softmax" if trained.loss.of_rows else "sigmoid"
    return "exp" if trained.loss.takes == "log-probability" else "no activation"


def against_outputs(evidence: Evidence) -> Iterator[Outcome]:
    """Compare what is scored with the outputs, or with what ``grad_fn`` says of it."""
    batch = evidence.batch
    if batch.trained_with is None:
        return
    right = link_of(batch.trained_with)
    if batch.outputs is not None:
        yield _compared(evidence, right)
    elif evidence.comes_from("sigmoid", "softmax") and right in ("sigmoid", "softmax"):
        assert evidence.activation is not None
        kind = evidence.activation.kind
        if kind != right:
            yield _wrong(batch, kind, right, evidence.by_graph())
        else:
            label = batch.trained_with.label
            yield Right((_RULES[kind],), f"{evidence.by_graph()} That is what {label} applies.")


def _compared(evidence: Evidence, right: str) -> Outcome:
    batch = evidence.batch
    outputs = _outputs(batch)
    # In the order of the rows of the input, so nothing may be left out on either side.
    scored = sampled(batch.input, None, batch.class_axis, None, batch.most_rows).values
    if outputs is None:
        return Unknown(("XE301", "XE303"), "Outputs and input have different numbers of rows.")
    distances = {
        name: float(np.max(np.abs(expected - scored)))
        for name, link in _LINKS.items()
        if (expected := _columns(link(outputs), scored.shape[1])) is not None
    }
    if not distances:
        return Unknown(("XE301", "XE303"), "Outputs and input have different numbers of classes.")
    if right in distances and distances[right] <= _CLOSE:
        words = f"Input is the {right} of the outputs" if right != "no activation" else "Outputs"
        assert batch.trained_with is not None
        return Right(("XE301", "XE303", "XE304"), f"{words}, as {batch.trained_with.label} has it.")
    nearest = min(distances, key=lambda name: distances[name])
    seen = f"Input differs from the {right} of the outputs by up to {distances[right]:.3g}."
    if distances[nearest] > _CLOSE:
        return Unknown(("XE301", "XE303"), f"{seen} No link that is known gives it.")
    return _wrong(batch, nearest, right, seen + two_losses(batch, outputs))


def _outputs(batch: Batch) -> Array | None:
    assert batch.outputs is not None
    axis = batch.class_axis
    if batch.outputs.ndim == batch.input.ndim - 1:
        axis = None
    given = batch.outputs
    rows = given.numel() if axis is None else given.numel() // max(given.shape[axis], 1)
    whole = batch.input.numel() // max(batch.classes or 1, 1)
    return sampled(given, None, axis, None, batch.most_rows).values if rows == whole else None


def _columns(probabilities: Array, wanted: int) -> Array | None:
    """In as many columns as are scored: one column of yes stands for two."""
    if probabilities.shape[1] == wanted:
        return probabilities
    if probabilities.shape[1] == 1 and wanted == 2:
        return np.hstack([1 - probabilities, probabilities])
    if probabilities.shape[1] == 2 and wanted == 1:
        return probabilities[:, 1:]
    return None


def _wrong(batch: Batch, kind: str, right: str, evidence: str) -> LiveFinding:
    assert batch.trained_with is not None
    label = batch.trained_with.label
    return found(
        _RULES[kind],
        f"{batch.label} scores the {kind} of outputs that {label} trained, which reads them by "
        f"{right}: other probabilities are scored than were trained."
        if kind != "no activation"
        else f"{batch.label} scores the outputs themselves, which {label} reads by {right}.",
        f"Use {right}.",
        evidence,
        ERROR,
    )


def two_losses(batch: Batch, outputs: Array | None = None) -> str:
    """What was minimised on these rows and what is scored: one is not the other.

    Args:
        batch: with probabilities as its input.
        outputs: of the model; those of which the input is the sigmoid if left out.
    """
    p = batch.rows.values
    target = _classes(batch)
    if target is None or not np.all((p > 0) & (p < 1)) or p.shape[1] < 2:
        return ""
    if batch.trained_with is not None and not batch.trained_with.loss.of_rows:
        return ""
    condition = "" if outputs is not None else " If they are sigmoids,"
    logits = np.log(p) - np.log1p(-p) if outputs is None else outputs
    if logits.shape != p.shape:
        return ""
    if batch.has_elements:
        scored = -np.where(np.arange(p.shape[1]) == target[:, None], np.log(p), np.log1p(-p)).mean()
    else:
        scored = -_of_target(np.log(p / p.sum(axis=1, keepdims=True)), target).mean()
    minimised = -_of_target(log_softmax(logits), target).mean()
    return f"{condition} {minimised:.4g} was minimised on these rows, and {scored:.4g} is scored."


def _classes(batch: Batch) -> np.ndarray | None:
    """The class of each row looked at, whether as index, whole float or one-hot."""
    target = batch.rows.target
    if target is None:
        if batch.loss.name != "log_loss" or batch.target.shape != batch.input.shape[:1]:
            return None
        target = sampled(batch.target, None, None, None, batch.most_rows).values[:, 0]
        target = target if np.all(target == target.round()) else None
    elif batch.has_elements:
        one_hot = np.all(np.sort(target, axis=1)[:, :-1] == 0)
        target = target.argmax(axis=1) if one_hot else None
    if target is None or target.min() < 0 or target.max() >= batch.rows.classes:
        return None
    return np.asarray(target, dtype=np.int64)


def _of_target(rows: Array, target: np.ndarray) -> Array:
    return np.asarray(rows[np.arange(len(rows)), target])
