"""Looks at the calls of losses while a model is trained, and says each fault once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from xent._errors import InputError, WiringError
from xent.wiring._finding import NOTE
from xent.wiring._live._batch import Batch
from xent.wiring._live._check import mean_loss
from xent.wiring._live._findings import findings
from xent.wiring._live._function_mode import OWN_LOSSES, WatchMode, observers_of_thread
from xent.wiring._live._line_calls import LineCalls
from xent.wiring._live._loss_calls import Function, Site, batch_of_call, site_of_caller
from xent.wiring._live._loss_values import (
    dead_gradient_finding,
    floor_finding,
    initial_loss_finding,
)
from xent.wiring._live._own_differences import broadcast_difference
from xent.wiring._live._report import LiveFinding, Right, Unknown, found
from xent.wiring._live._watch_report import (
    NO_EVALUATION,
    NO_LOSS,
    Notes,
    WatchFinding,
    WatchReport,
    warn,
)

# A loop over time steps may call a loss a thousand times before it goes backward.
MOST_CALLS = 8
# What the loss is given, rather than the shapes, targets or numbers of the batch.
_OF_SCALES = ("XE101", "XE103", "XE104", "XE105", "XE106", "XE107", "XE108", "XE109", "XE111")
# Faults of a batch that explain why no gradient comes back.
_NO_GRADIENT = {"XE110", "XE602", "XE608"}


class Observer:
    """Sees the calls of losses in one thread.

    Args:
        subject: what is watched, for the report.
        batches: calls from one line are looked at in so many batches.
        mode: ``warn``, ``raise`` or ``report``.
        ignore: codes, beginnings of codes or names of rules that are not told.
        keeps_losses: whether to keep the losses and see where they settle.
    """

    def __init__(
        self, subject: str, batches: int, mode: str, ignore: tuple[str, ...], keeps_losses: bool
    ) -> None:
        self.subject = subject
        self.batches = batches
        self.mode = mode
        self.ignore = ignore
        self.keeps_losses = keeps_losses
        self.calls: dict[tuple[Site, bool, str], LineCalls] = {}
        self.notes = Notes()
        self.is_over = False
        self.in_forward = False
        self.trains: bool | None = None
        self.after_backward: Callable[[], None] = lambda: None
        self.function_mode = WatchMode(self)
        self._exchanged = False
        self._handles: list[RemovableHandle] = []

    def attach(self) -> None:
        """Begin to see the calls of this thread."""
        self.function_mode.attach()
        if not self._exchanged:
            OWN_LOSSES.exchange()
            self._exchanged = True

    def detach(self) -> None:
        """See nothing any more; the stack of modes is left alone in other threads than its own."""
        self.release()
        if threading.get_ident() == self.function_mode.thread:
            self.function_mode.detach()

    def release(self) -> None:
        """Put back the functions that were exchanged, and take hooks away."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        if self._exchanged:
            OWN_LOSSES.restore()
            self._exchanged = False

    def loss(self, function: Function, args: Any, kwargs: Any, run: Callable[[], Any]) -> Any:
        """Look at a call of a loss, and make it."""
        batch = batch_of_call(function, args, kwargs)
        if batch is None or self.is_over or _is_opaque(batch.input):
            return run()
        site, module = site_of_caller()
        calls = self._calls_of(batch, site)
        calls.pending += 1
        if calls.rounds < self.batches and calls.pending <= MOST_CALLS:
            self._look(batch, calls, module)
        value = run()
        if self.keeps_losses and calls.training and calls.keep(value, batch):
            self.judge_losses(module)
        return value

    def backward(self, run: Callable[[], Any]) -> Any:
        """Go backward, which ends a batch."""
        result = run()
        if not self.is_over:
            self.end_batch()
            self.after_backward()
        return result

    def difference(self, args: Any, run: Callable[[], Any]) -> Any:
        """Look at a difference of a column of outputs and a row of targets: a loss of one's own."""
        if not self.in_forward:
            finding = None
            # Of tensors that can't be looked at nothing is said.
            with contextlib.suppress(InputError, RuntimeError), torch.no_grad():
                finding = broadcast_difference(args)
            if finding is not None:
                self.say(finding, *site_of_caller())
        return run()

    def end_batch(self) -> None:
        """Count a batch for each line that has called a loss since the last one."""
        for calls in self.calls.values():
            calls.end_batch()

    @property
    def batches_trained(self) -> int:
        """In how many batches the line that was seen most often has called its loss."""
        return max((each.rounds for each in self.calls.values() if each.training), default=0)

    @property
    def has_seen_evaluation(self) -> bool:
        """Whether each line that calls a loss in evaluation has done so often enough."""
        rounds = [each.rounds for each in self.calls.values() if not each.training]
        return bool(rounds) and min(rounds) >= self.batches

    @property
    def report(self) -> WatchReport:
        """What was seen so far."""
        report = self.notes.report(self.subject, self.batches_trained)
        if not self.calls:
            return replace(report, not_checked=(*report.not_checked, NO_LOSS))
        if all(calls.training for calls in self.calls.values()):
            return replace(report, not_checked=(*report.not_checked, NO_EVALUATION))
        return report

    def say(
        self, finding: LiveFinding, site: Site | None = None, module: dict[str, Any] | None = None
    ) -> None:
        """Write a finding down and tell it, unless it was told before.

        Raises:
            WiringError: with mode ``raise``, for an error or a warning.
        """
        key = (finding.code, site)
        if key in self.notes.findings or self._is_ignored(finding):
            return
        path, line = (site.path, site.line) if site else ("", 0)
        seen = WatchFinding(finding, path, line, self.batches_trained + 1)
        self.notes.findings[key] = seen
        if finding.level == NOTE or self.mode == "report" or _is_told(self, key):
            return
        if self.mode == "raise":
            raise WiringError(f"{seen.place}: {finding}", self.report)
        warn(str(finding), site, module)

    def judge_gradients(self, gradients: bool | None, backwards: int) -> None:
        """Tell of losses, and of models, to which only zeros came back in all batches.

        Args:
            gradients: whether a parameter had a gradient that isn't 0; None if that isn't known.
            backwards: how many times it went backward.
        """
        if gradients is True:
            # A loss of several may be switched off by a factor of 0.
            return
        known = [each for each in self.calls.values() if each.no_gradient is not None]
        dead = [each for each in known if each.no_gradient and each.rounds]
        if dead and len(dead) == len(known):
            for calls in dead:
                if not calls.codes & _NO_GRADIENT:
                    evidence = f"So it was in each of {calls.rounds} batches."
                    what = f"the input of {calls.label}"
                    self.say(dead_gradient_finding(what, evidence), calls.site)
        elif gradients is False and self.batches_trained:
            evidence = f"So it was after each of {backwards} backward passes."
            self.say(dead_gradient_finding("all parameters", evidence))

    def _calls_of(self, batch: Batch, site: Site) -> LineCalls:
        training = batch.input.requires_grad if self.trains is None else self.trains
        key = (site, training, batch.label)
        if key not in self.calls:
            self.calls[key] = LineCalls(site, training, batch.given, batch.classes)
        return self.calls[key]

    def _look(self, batch: Batch, calls: LineCalls, module: dict[str, Any]) -> None:
        self.notes.calls[calls.label] = self.notes.calls.get(calls.label, 0) + 1
        is_first = not calls.rounds and calls.pending == 1
        told: list[LiveFinding] = []
        try:
            with torch.no_grad(), torch.autocast(batch.input.device.type, enabled=False):
                report = findings(self._with_training(batch, calls))
                told.extend(report.findings)
                if is_first:
                    self._write_down(report.checked, report.not_checked, calls)
                if is_first and calls.training and batch.has_values:
                    told.extend(_first_loss(batch))
        except InputError as error:
            self._write_down((), (Unknown(("XE2",), str(error)),), calls)
        except Exception as error:
            # Whatever the numbers can't be read for, training goes on.
            why = f"Its arguments can't be looked at: {type(error).__name__}: {error}"
            self._write_down((), (Unknown(("XE1", "XE2", "XE6"), why),), calls)
        for finding in told:
            self.say(self._in_evaluation(finding, calls), calls.site, module)
            calls.codes.add(finding.code)
        if calls.training and batch.input.requires_grad and not torch.is_inference_mode_enabled():
            hook = calls.gradient_hook(lambda: self.is_over)
            handle = batch.input.register_hook(hook)  # type: ignore[no-untyped-call]
            if batch.input.is_leaf:
                # A parameter outlives its graph, and a hook of it too.
                self._handles.append(handle)

    def _with_training(self, batch: Batch, calls: LineCalls) -> Batch:
        """In evaluation, with the loss of the training if that is one and another one."""
        trained = {each.name: each for each in self.calls.values() if each.training}
        if calls.training or len(trained) != 1 or calls.name in trained:
            return batch
        (one,) = trained.values()
        if None not in (one.classes, batch.classes) and one.classes != batch.classes:
            return batch
        return replace(batch, trained_with=one.given)

    def _write_down(
        self, checked: Iterable[Right], not_checked: Iterable[Unknown], calls: LineCalls
    ) -> None:
        where = f"{calls.label} ({calls.site}{'' if calls.training else ', in evaluation'})"
        for right in checked:
            self.notes.checked.setdefault(replace(right, because=f"{where}: {right.because}"))
        for unknown in not_checked:
            self.notes.not_checked.setdefault(
                replace(unknown, because=f"{where}: {unknown.because}")
            )

    def _in_evaluation(self, finding: LiveFinding, calls: LineCalls) -> LiveFinding:
        """What only evaluation gives the loss is a difference between the two."""
        if calls.training or finding.code not in _OF_SCALES:
            return finding
        same = [each for each in self.calls.values() if each.training and each.name == calls.name]
        if not same or any(finding.code in each.codes for each in same):
            return finding
        return found(
            "XE113",
            f"In evaluation {calls.label} is given another thing than in training "
            f"({same[0].site}), so the two losses can't be compared. {finding.message}",
            f"{finding.repair.rstrip('.')}, as in training.",
            finding.evidence,
            finding.level,
        )

    def judge_losses(self, module: dict[str, Any] | None = None) -> None:
        """Tell of losses that have settled where a double softmax settles."""
        for calls in list(self.calls.values()):
            finding = floor_finding(calls.read(), calls.classes or 0)
            if finding is not None:
                self.say(finding, calls.site, module)

    def _is_ignored(self, finding: LiveFinding) -> bool:
        return any(finding.code.startswith(word) or word == finding.name for word in self.ignore)


def _is_told(observer: Observer, key: tuple[str, Site | None]) -> bool:
    """Whether another watch of this thread has told it."""
    others = [each for each in observers_of_thread() if each is not observer]
    return any(isinstance(each, Observer) and key in each.notes.findings for each in others)


def _is_opaque(tensor: Tensor) -> bool:
    """Whether values can't be looked at: inside vmap and grad, or while a CUDA graph is made."""
    if torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        return True
    return tensor.is_cuda and torch.cuda.is_current_stream_capturing()


def _first_loss(batch: Batch) -> Iterable[LiveFinding]:
    loss = mean_loss(batch)
    finding = None if loss is None else initial_loss_finding(loss, batch)
    return () if finding is None else (finding,)
