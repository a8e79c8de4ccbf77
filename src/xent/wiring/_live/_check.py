"""``xent.check``: one batch of a loss, looked at before it costs a training run."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np

from xent._errors import InputError, LossWarning, WiringError
from xent._links import log_sigmoid, log_softmax
from xent.wiring._live._batch import MOST_ROWS, Batch, batch_of
from xent.wiring._live._findings import findings
from xent.wiring._live._loss_values import (
    OF_MARGIN,
    guessing_loss,
    has_margin,
    initial_loss_finding,
)
from xent.wiring._live._report import LiveReport, Outcome, Right, Unknown, report_of

MODES = ("warn", "raise", "report")


def check(
    loss: object,
    input: object,
    target: object,
    *,
    mode: Literal["warn", "raise", "report"] = "warn",
    initial: bool = False,
    trained_with: object = None,
    outputs: object = None,
    most_rows: int = MOST_ROWS,
) -> LiveReport:
    """Check that a loss is given what it takes: one batch, before it costs a training run.

    Softmax before cross-entropy, logits into ``BCELoss``, shapes that broadcast, targets that no
    class has, and their relatives. Values decide first; ``grad_fn`` proves what a few values can't.
    No gradient is computed and nothing is changed. A symptom that a right model shows by chance, in
    a batch of this size, is a note or a warning, and the chance is told.

    Args:
        loss: a name such as ``"cross_entropy"``, or the loss itself: a function or module of torch
            or xent, or a ``functools.partial`` of one. Its options are read, too. A score,
            ``"log_loss"``, is known as well.
        input: what the model gives the loss, as a tensor of any shape that the loss takes.
        target: the target, likewise.
        mode: ``"warn"`` gives one ``LossWarning`` for each fault, ``"raise"`` raises a
            ``WiringError`` with all of them, ``"report"`` only returns. Notes stay in the report.
        initial: whether the model is new, so that its loss should be near that of guessing, ln C.
        trained_with: for predictions that are scored, the loss that they were trained with.
        outputs: what the model gave that loss; then what is scored is compared with it.
        most_rows: how many rows are looked at; of more, as many are taken at even distances, and
            fewer where there are very many classes.

    Returns:
        A report: its findings, what is right and why, and what could not be decided. It is true
        where no error and no warning was found, so that ``assert xent.check(...)`` tests it.

    Raises:
        InputError: if the loss is not known, or input and target are nothing that it could take.
        WiringError: with ``mode="raise"``, if a fault was found.

    >>> import torch
    >>> logits = torch.tensor([[2.0, -1.0, 0.5], [0.1, 1.2, -0.7], [0.3, -0.4, 1.1]])
    >>> target = torch.tensor([0, 1, 2])
    >>> bool(check("cross_entropy", logits, target))
    True
    >>> report = check("cross_entropy", logits.softmax(dim=1), target, mode="report")
    >>> report.codes
    ('XE101',)
    """
    if mode not in MODES:
        listed = ", ".join(repr(each) for each in MODES)
        raise InputError("check: mode", f"one of {listed}", repr(mode), 'Try mode="warn".')
    batch = batch_of(
        loss, input, target, most_rows=most_rows, trained_with=trained_with, outputs=outputs
    )
    report = findings(batch)
    if initial:
        report = _with(report, _first_loss(batch))
    deliver(report, mode, stacklevel=3)
    return report


def deliver(report: LiveReport, mode: str, stacklevel: int = 2) -> None:
    """Warn of the faults of a report, or raise them.

    Args:
        report: from ``findings``.
        mode: as in ``check``.
        stacklevel: whose line the warnings name, as in ``warnings.warn``.

    Raises:
        WiringError: with ``mode="raise"``, if there is a fault.
    """
    if mode == "raise" and report.faults:
        lines = [f"{report.subject}:", *(f"- {fault}" for fault in report.faults)]
        raise WiringError("\n".join(lines), report)
    if mode == "warn":
        for fault in report.faults:
            warnings.warn(f"{fault}", LossWarning, stacklevel=stacklevel)


def _with(report: LiveReport, outcome: Outcome) -> LiveReport:
    everything = (*report.findings, *report.checked, *report.not_checked, outcome)
    return report_of(report.subject, everything)


def _first_loss(batch: Batch) -> Outcome:
    loss, guess = mean_loss(batch), guessing_loss(batch)
    if loss is None or guess is None:
        return Unknown(("XE604",), "What guessing costs isn't known for this loss and target.")
    finding = initial_loss_finding(loss, batch)
    if finding is not None:
        return finding
    if has_margin(batch):
        return OF_MARGIN
    words = f"The loss is {loss:.3g}, and guessing costs {guess[1]}. A double softmax begins there"
    return Right(("XE604",), f"{words} as well.")


def mean_loss(batch: Batch) -> float | None:
    """The mean loss in nats over the rows looked at, without options; None where it isn't known."""
    rows, name = batch.rows, batch.loss.name
    if not batch.has_values or not len(rows) or rows.target is None:
        return None
    values, target = rows.values, rows.target
    with np.errstate(all="ignore"):
        if batch.has_indices and name in ("cross_entropy", "nll_loss"):
            if target.min() < 0 or target.max() >= rows.classes:
                return None
            logs = log_softmax(values) if name == "cross_entropy" else values
            losses = -logs[np.arange(len(logs)), target]
        elif name == "cross_entropy":
            losses = -(target * log_softmax(values)).sum(axis=1)
        elif name == "binary_cross_entropy_with_logits":
            losses = -(target * log_sigmoid(values) + (1 - target) * log_sigmoid(-values))
            losses = losses[rows.kept]
        elif name == "binary_cross_entropy":
            yes, no = np.log(values).clip(-100), np.log1p(-values).clip(-100)
            losses = -(target * yes + (1 - target) * no)[rows.kept]
        else:
            return None
        return float(losses.mean())
