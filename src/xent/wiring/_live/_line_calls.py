"""What is remembered of the calls of a loss from one line of code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from xent.wiring._live._batch import Batch
from xent.wiring._live._given_loss import GivenLoss
from xent.wiring._live._loss_calls import Site

# Kept losses are read off the device so many at a time.
READ_AT_ONCE = 64


@dataclass
class LineCalls:
    """The calls of a loss from one line, in training or in evaluation.

    Args:
        site: the line.
        training: whether a gradient is recorded.
        given: the loss, as it was called first.
        classes: how many there are.
        rounds: how many batches it was called in.
        pending: how often since the last batch ended.
        codes: of the faults seen.
        no_gradient: whether every gradient that came back was 0; None before the first one.
        losses: the values, where they are kept.
        unread: those that are still on the device.
    """

    site: Site
    training: bool
    given: GivenLoss
    classes: int | None
    rounds: int = 0
    pending: int = 0
    codes: set[str] = field(default_factory=set)
    no_gradient: bool | None = None
    losses: list[float] = field(default_factory=list)
    unread: list[Tensor] = field(default_factory=list)

    @property
    def label(self) -> str:
        """How the loss was called."""
        return self.given.label

    @property
    def name(self) -> str:
        """The name of the loss."""
        return self.given.loss.name

    def end_batch(self) -> None:
        """Count a batch, if the loss was called in it."""
        if self.pending:
            self.rounds += 1
            self.pending = 0

    def gradient_hook(self, is_over: Callable[[], bool]) -> Callable[[Tensor], None]:
        """A hook of the loss's input that sees whether its gradient is 0."""

        def note(gradient: Tensor) -> None:
            if not is_over() and self.no_gradient is not False:
                self.no_gradient = not bool(gradient.detach().any())

        return note

    def keep(self, value: Any, batch: Batch) -> bool:
        """Keep a loss that may be held against a floor; whether there are many to be read."""
        options = batch.options
        weighed = any(options.get(name) is not None for name in ("weight", "pos_weight"))
        is_mean = options.get("reduction", "mean") == "mean" and not options.get("label_smoothing")
        if batch.loss.name != "cross_entropy" or weighed or not is_mean:
            return False
        if isinstance(value, Tensor) and not value.dim():
            self.unread.append(value.detach())
        return len(self.unread) >= READ_AT_ONCE

    def read(self) -> list[float]:
        """All losses that were kept."""
        if self.unread:
            self.losses += torch.stack(self.unread).float().tolist()
            self.unread.clear()
        return self.losses
