"""For Lightning: a callback that looks at the first batches for a loss given the wrong thing.

``pytorch_lightning`` or ``lightning`` must be installed; either will do, and where both are the one
that is already imported is meant.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Literal

from xent._errors import InputError, MissingExtraError
from xent.wiring._live._gradients import any_gradient
from xent.wiring._live._observer import Observer
from xent.wiring._live._watch_options import check_watch_options
from xent.wiring._live._watch_report import NO_LOSS, WatchReport, warn

__all__ = ["LossCheck"]

_HOSTS = ("lightning.pytorch", "pytorch_lightning")


def _callback_class() -> Any:
    """The host's class of callbacks.

    Raises:
        MissingExtraError: if there is no host.
    """
    for host in sorted(_HOSTS, key=lambda host: host not in sys.modules):
        try:
            return import_module(f"{host}.callbacks").Callback
        except ModuleNotFoundError as error:
            if not f"{host}.callbacks".startswith(str(error.name)):
                raise
    raise MissingExtraError("xent.lightning", "pytorch-lightning", "lightning")


_Callback = _callback_class()


class LossCheck(_Callback):  # type: ignore[misc, valid-type]
    """Looks at the losses of the first training and validation batches, and then is off.

    What is looked at is what ``xent.watch`` looks at. Validation that gives the loss another thing
    than training, such as probabilities in place of logits, is told as XE113. Between batches, and
    after the first ones, nothing of it is left in PyTorch: the callback returns at once.

    Args:
        batches: how many batches are looked at, in training and in validation.
        mode: ``"warn"`` gives one ``LossWarning`` for each fault and line, ``"raise"`` raises a
            ``WiringError`` where the loss is called, ``"report"`` only writes the report.
        ignore: codes, beginnings of codes or names of rules that are not told.
        floor: whether to look at all training batches, and see if the loss settles where that of a
            double softmax does. Steps of a small model may take twice as long then.

    Raises:
        InputError: for arguments that are none of these.
        WiringError: with ``mode="raise"``, out of ``Trainer.fit``, if a fault is seen.

    >>> LossCheck(batches=0)
    Traceback (most recent call last):
    xent._errors.InputError: LossCheck: batches must be a number of at least 1; got 0. ...
    """

    def __init__(
        self,
        *,
        batches: int = 3,
        mode: Literal["warn", "raise", "report"] = "warn",
        ignore: tuple[str, ...] = (),
        floor: bool = False,
    ) -> None:
        super().__init__()
        check_watch_options("LossCheck", batches, mode, ignore, endless=False)
        self.batches = batches
        self.mode = mode
        self.ignore = tuple(ignore)
        self.floor = floor
        self._observer: Observer | None = None
        self._left = {"training": 0, "validation": 0}
        self._gradients: bool | None = None
        self._backwards = 0

    @property
    def report(self) -> WatchReport:
        """What was seen in the last run so far.

        Raises:
            InputError: if there was none.
        """
        if self._observer is None:
            raise InputError("LossCheck: report", "asked for after a run", "none so far",
                             "Call Trainer.fit first.")  # fmt: skip
        return self._observer.report

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Begin anew with each run."""
        if stage not in ("fit", "validate"):
            return
        # One process of several tells; each of them stops.
        told = self.mode == "raise" or trainer.is_global_zero
        subject = f"run of {type(pl_module).__name__}"
        mode = self.mode if told else "report"
        self._observer = Observer(subject, self.batches, mode, self.ignore, self.floor)
        self._observer.after_backward = lambda: self._note_gradients(pl_module)
        self._left = {
            "training": self.batches if stage == "fit" else 0,
            "validation": self.batches,
        }
        self._gradients, self._backwards = None, 0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Expect the loss of a guess of a new model only, not of one that goes on from a file."""
        if trainer.global_step and self._observer is not None:
            self._observer.ignore = (*self.ignore, "XE604")

    def on_train_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        """Begin to see."""
        if self._left["training"]:
            self._see(training=True)

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """See nothing any more."""
        if self._left["training"] and self._observer is not None:
            self._rest(self._observer)
            if not self.floor:
                self._left["training"] -= 1
            if self._observer.batches_trained and not self._left["training"]:
                self._observer.judge_gradients(self._gradients, self._backwards)

    def on_validation_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Begin to see, after some training."""
        if self._left["validation"] and not trainer.sanity_checking:
            self._see(training=False)

    def on_validation_batch_end(
        self,
        trainer: Any,
        pl_module: Any,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """See nothing any more."""
        if self._left["validation"] and self._observer is not None and not trainer.sanity_checking:
            self._rest(self._observer)
            self._left["validation"] -= 1

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Say what shows at the end, or that nothing was seen."""
        observer = self._observer
        if observer is None:
            return
        observer.judge_losses()
        if observer.calls or observer.notes.findings:
            return
        if observer.mode == "raise":
            raise InputError("LossCheck: the run", "one that calls a loss of torch or xent", "none",
                             NO_LOSS.because.partition(". ")[2])  # fmt: skip
        if observer.mode == "warn":
            warn(f"xent.lightning.LossCheck: {NO_LOSS.because}")

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Leave nothing behind."""
        self.teardown(trainer, pl_module, "fit")

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Leave nothing behind."""
        self._left = {"training": 0, "validation": 0}
        if self._observer is not None:
            self._observer.detach()
            self._observer.is_over = True
            self._observer.after_backward = lambda: None

    def _see(self, *, training: bool) -> None:
        if self._observer is not None:
            self._observer.trains = training
            self._observer.attach()

    def _rest(self, observer: Observer) -> None:
        observer.end_batch()
        observer.detach()

    def _note_gradients(self, model: Any) -> None:
        self._backwards += 1
        self._gradients = any_gradient([model], self._gradients)

    def __getstate__(self) -> dict[str, Any]:
        # Processes that are spawned get a callback that has seen nothing.
        return {**self.__dict__, "_observer": None}
