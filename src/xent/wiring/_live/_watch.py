"""``xent.watch``: the first batches of a training loop, looked at from inside."""

from __future__ import annotations

import itertools
import threading
from types import TracebackType
from typing import Any, Literal

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

from xent._errors import InputError
from xent.wiring._live._gradients import any_gradient
from xent.wiring._live._observer import Observer
from xent.wiring._live._report import Unknown
from xent.wiring._live._watch_options import check_watch_options
from xent.wiring._live._watch_report import NO_LOSS, WatchReport, warn

# So many forward passes without a loss, or without a way back, and it is given up.
PATIENCE = 50
_OTHER_THREAD = Unknown(
    ("XE1", "XE2", "XE6"),
    "The model also ran in another thread, where nothing is seen. Make the watch in the thread "
    "that trains.",
)


def watch(
    *models: nn.Module,
    batches: int | None = 3,
    mode: Literal["warn", "raise", "report"] = "warn",
    ignore: tuple[str, ...] = (),
) -> Watch:
    """Watch the first batches of a training loop for a loss that is given the wrong thing.

    Each call of a loss of torch or xent, as function or module, is looked at as ``xent.check`` does
    it, with the line that makes it; so are gradients that are 0, and differences of shapes (N, 1)
    and (N,) in losses of one's own. After the first batches the watch takes itself out: no hook, no
    mode and no exchanged function is left, and the loop runs at its full speed. Losses and
    gradients are the same to the last bit with and without it.

    Args:
        models: the models that are trained.
        batches: how many training batches are looked at. With None it doesn't end before ``close``:
            it keeps the losses, and sees if they settle where a double softmax settles. Steps of a
            small model may take twice as long then.
        mode: ``"warn"`` gives one ``LossWarning`` for each fault and line, ``"raise"`` raises a
            ``WiringError`` where the loss is called, ``"report"`` only writes the report.
        ignore: codes, beginnings of codes or names of rules that are not told.

    Returns:
        The watch: a context manager that has already begun, with ``report`` and ``close``.

    Raises:
        InputError: for arguments that are none of these.
        WiringError: with ``mode="raise"``, in the loop, if a fault is seen.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Softmax(dim=1))
    >>> x, y = torch.ones(8, 2), torch.arange(8) % 3
    >>> with watch(model, mode="report") as watched:
    ...     for _ in range(5):
    ...         torch.nn.functional.cross_entropy(model(x), y).backward()
    >>> watched.report.batches, watched.report.codes[0]
    (3, 'XE101')
    """
    return Watch(models, batches, mode, ignore)


class Watch:
    """A watch that has begun; made by ``watch``."""

    def __init__(
        self, models: tuple[nn.Module, ...], batches: int | None, mode: str, ignore: tuple[str, ...]
    ) -> None:
        _validate(models, batches, mode, ignore)
        self._models = models
        self._ends = batches is not None
        names = ", ".join(type(model).__name__ for model in models)
        self._observer = Observer(
            f"watch of {names}", batches or 3, mode, tuple(ignore), not self._ends
        )
        self._observer.after_backward = self._after_backward
        self._is_compiled = any(_is_compiled(model) for model in models)
        self._thread = threading.get_ident()
        self._depth = 0
        self._forwards = 0
        self._backwards = 0
        self._gradients: bool | None = None
        self._is_closed = False
        self._handles: list[RemovableHandle] = []
        self._add_hooks()
        self._observer.attach()

    @property
    def report(self) -> WatchReport:
        """What was seen so far."""
        return self._observer.report

    @property
    def is_on(self) -> bool:
        """Whether anything is still being watched."""
        return not self._observer.is_over

    def has(self, model: nn.Module) -> bool:
        """Whether it watches a model."""
        return any(each is model for each in self._models)

    def close(self) -> None:
        """End the watch, if it hasn't ended by itself, and say if it has seen nothing.

        Raises:
            WiringError: with ``mode="raise"``, for what only shows at the end.
            InputError: with ``mode="raise"``, if no call of a loss was seen.
        """
        try:
            self._end()
        finally:
            self._leave()
        if not self._is_closed:
            self._is_closed = True
            self._say_if_nothing_was_seen()

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
            return
        # The error of the block is what matters; nothing is raised or told beside it.
        self._is_closed = True
        self._observer.is_over = True
        self._leave()

    def _add_hooks(self) -> None:
        hook = ForwardHook(self)
        self._number = hook.number
        for model in self._models:
            # Scripted modules take no hooks. The calls of losses are seen without them.
            try:
                self._handles.append(model.register_forward_pre_hook(hook.before))
                self._handles.append(model.register_forward_hook(hook.after, always_call=True))
            except (AttributeError, RuntimeError):
                continue
        self._handles.append(register_optimizer_step_pre_hook(hook.step))

    def _before_forward(self) -> None:
        if threading.get_ident() != self._thread:
            self._observer.notes.not_checked.setdefault(_OTHER_THREAD)
            return
        if self._observer.is_over:
            self._leave()
            return
        self._depth += 1
        self._observer.in_forward = True
        if self._depth == 1:
            self._count_forward()
            # Compiled code is made anew for each stack of modes that it meets.
            self._see_or_rest(self._is_compiled)

    def _after_forward(self) -> None:
        if threading.get_ident() != self._thread or not self._depth:
            return
        self._depth -= 1
        self._observer.in_forward = self._depth > 0
        if not self._depth:
            self._see_or_rest(False)

    def _see_or_rest(self, is_compiled: bool) -> None:
        """Rest in compiled code, and in the evaluation once its first batches were looked at."""
        if self._observer.is_over:
            return
        enough = not torch.is_grad_enabled() and self._observer.has_seen_evaluation
        if is_compiled or enough:
            self._observer.function_mode.detach()
        else:
            self._observer.function_mode.attach()

    def _count_forward(self) -> None:
        """Ends what backward doesn't end: evaluation, and gradients taken in another way."""
        observer = self._observer
        for calls in observer.calls.values():
            if not calls.training:
                calls.end_batch()
        if not torch.is_grad_enabled():
            return
        self._forwards += 1
        if self._forwards > PATIENCE and not self._backwards:
            if any(calls.pending for calls in observer.calls.values()):
                observer.end_batch()
            self._end_if_enough(nothing_seen=not observer.calls)

    def _after_backward(self) -> None:
        self._backwards += 1
        self._gradients = any_gradient(self._models, self._gradients)
        self._end_if_enough(nothing_seen=not self._observer.calls and self._backwards >= PATIENCE)

    def _end_if_enough(self, *, nothing_seen: bool) -> None:
        enough = self._ends and self._observer.batches_trained >= self._observer.batches
        if enough or (self._ends and nothing_seen):
            try:
                self._end()
            finally:
                self._observer.release()

    def _end(self) -> None:
        """Judge what takes several batches, and see nothing from now on."""
        if self._observer.is_over:
            return
        self._observer.is_over = True
        self._observer.judge_losses()
        self._observer.judge_gradients(self._gradients, self._backwards)

    def _step(self) -> None:
        if self._observer.is_over and threading.get_ident() == self._thread:
            self._observer.function_mode.detach()

    def _leave(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        # Kept for its report, a watch is not to keep the models.
        self._models = ()
        _WATCHES.pop(self._number, None)
        self._observer.detach()

    def _say_if_nothing_was_seen(self) -> None:
        if self._observer.calls or self._observer.notes.findings:
            return
        if self._observer.mode == "raise":
            raise InputError("watch: the loop", "one that calls a loss of torch or xent", "none",
                             NO_LOSS.because.partition(". ")[2])  # fmt: skip
        if self._observer.mode == "warn":
            warn(f"xent.watch: {NO_LOSS.because}")


_NUMBERS = itertools.count()
_WATCHES: dict[int, Watch] = {}


class ForwardHook:
    """Hooks that name their watch by a number: models with them can be copied and saved.

    In copies they do nothing, and take themselves out once the watch has ended.
    """

    def __init__(self, watch: Watch) -> None:
        self.number = next(_NUMBERS)
        _WATCHES[self.number] = watch

    def before(self, model: nn.Module, args: Any) -> None:
        """Before a model is called."""
        if torch.compiler.is_compiling():
            return
        watch = _WATCHES.get(self.number)
        if watch is None:
            self._leave(model)
        elif watch.has(model):
            watch._before_forward()

    def after(self, model: nn.Module, args: Any, result: Any) -> None:
        """After it, also where it failed."""
        watch = None if torch.compiler.is_compiling() else _WATCHES.get(self.number)
        if watch is not None and watch.has(model):
            watch._after_forward()

    def step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        """Before an optimizer makes its step."""
        watch = None if torch.compiler.is_compiling() else _WATCHES.get(self.number)
        if watch is not None:
            watch._step()

    def _leave(self, model: nn.Module) -> None:
        for hooks in (model._forward_pre_hooks, model._forward_hooks):
            for key, hook in list(hooks.items()):
                if getattr(hook, "__self__", None) is self:
                    del hooks[key]
                    model._forward_hooks_always_called.pop(key, None)


def _is_compiled(model: nn.Module) -> bool:
    """Whether a model or a part of it is compiled."""
    from torch._dynamo.eval_frame import OptimizedModule

    return any(
        isinstance(part, OptimizedModule) or getattr(part, "_compiled_call_impl", None) is not None
        for part in model.modules()
    )


def _validate(models: tuple[object, ...], batches: object, mode: str, ignore: object) -> None:
    strange = [model for model in models if not isinstance(model, nn.Module)]
    if strange or not models:
        found_there = f"a {type(strange[0]).__name__}" if strange else "no argument"
        raise InputError("watch: model", "the torch.nn.Module that is trained", found_there,
                         "Try xent.watch(model).")  # fmt: skip
    check_watch_options("watch", batches, mode, ignore, endless=True)
