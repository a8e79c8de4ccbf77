"""Seeing every call of a PyTorch function in a thread, and seeing none of them afterwards.

A mode is seen by all calls while it is on the stack of its thread. That stack is meant for ``with``
blocks. A watch ends in the middle of one, when others may lie on top, so it is put in below those
that ``with`` blocks will take off again, and taken out from wherever it is.
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch.overrides import (
    TorchFunctionMode,
    _get_current_function_mode_stack,
    _pop_mode,
    _push_mode,
)
from torch.utils._device import DeviceContext

from xent import functional
from xent.wiring._live._loss_calls import (
    BACKWARDS,
    DIFFERENCES,
    LOSSES,
    OWN,
    Function,
    is_called_by_own_loss,
)


class Sees(Protocol):
    """Who is told of calls; each runs the call and gives its result."""

    is_over: bool

    def loss(self, function: Function, args: Any, kwargs: Any, run: Callable[[], Any]) -> Any: ...

    def backward(self, run: Callable[[], Any]) -> Any: ...

    def difference(self, args: Any, run: Callable[[], Any]) -> Any: ...


class WatchMode(TorchFunctionMode):
    """Tells an observer of the calls that it asks for."""

    def __init__(self, observer: Sees) -> None:
        super().__init__()
        self.observer = observer
        self.thread = threading.get_ident()
        _MODES.add(self)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if torch.compiler.is_compiling() or self.observer.is_over:
            return func(*args, **kwargs)
        if func in LOSSES:
            # A loss of xent asks for PyTorch's because of this mode. It gets its own arithmetic.
            own = OWN.get(func.__name__) if is_called_by_own_loss() else None
            call = functools.partial(own or func, *args, **kwargs)
            return self.observer.loss(own or func, args, kwargs, call)
        call = functools.partial(func, *args, **kwargs)
        if func in BACKWARDS:
            return self.observer.backward(call)
        if func in DIFFERENCES:
            return self.observer.difference(args, call)
        return call()

    @property
    def is_on(self) -> bool:
        """Whether it is on the stack of the thread that asks."""
        return any(mode is self for mode in _stack())

    def attach(self) -> None:
        """See the calls of this thread from now on."""
        if self.is_on:
            return
        above = _taken_off()
        # A default device insists on the bottom.
        if above and isinstance(above[-1], DeviceContext):
            _push_mode(above.pop())  # type: ignore[no-untyped-call]
        _put_back([*above, self])
        self.thread = threading.get_ident()

    def detach(self) -> None:
        """See nothing any more; to be called in the thread that is seen."""
        if self.is_on:
            _put_back([mode for mode in _taken_off() if mode is not self])


_MODES: weakref.WeakSet[WatchMode] = weakref.WeakSet()


def observers_of_thread() -> list[Sees]:
    """All that watch this thread, also those whose mode is off for the length of a call."""
    here = threading.get_ident()
    seen = [mode.observer for mode in list(_MODES) if mode.thread == here]
    return [observer for observer in seen if not observer.is_over]


def active_modes() -> list[WatchMode]:
    """Those on the stack of this thread, the one that was attached last first."""
    return [mode for mode in _stack() if isinstance(mode, WatchMode)]


def _stack() -> list[TorchFunctionMode]:
    found: list[TorchFunctionMode] = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
    return found


def _taken_off() -> list[TorchFunctionMode]:
    """Empty the stack; what was on top comes first."""
    return [_pop_mode() for _ in _stack()]  # type: ignore[no-untyped-call]


def _put_back(modes: list[TorchFunctionMode]) -> None:
    for mode in reversed(modes):
        _push_mode(mode)  # type: ignore[no-untyped-call]


@contextmanager
def unseen() -> Iterator[None]:
    """Run something that no watch sees."""
    modes = active_modes()
    for mode in modes:
        mode.detach()
    try:
        yield
    finally:
        for mode in reversed(modes):
            mode.attach()


def _leave_child() -> None:
    # Workers that load data are forked in the middle of a watch and would carry it on.
    for mode in list(_MODES):
        mode.detach()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_child)


class OwnLosses:
    """Tells modes of the calls of xent's losses, which are no functions of PyTorch.

    They are exchanged in ``xent.functional``, where ``xent.nn`` and most code takes them from, as
    long as somebody watches.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.watching = 0

    def exchange(self) -> None:
        """Put in the functions that tell."""
        with self.lock:
            self.watching += 1
            if self.watching == 1:
                for name, function in OWN.items():
                    setattr(functional, name, _telling(function))

    def restore(self) -> None:
        """Put the functions back, unless others still watch."""
        with self.lock:
            self.watching -= 1
            if self.watching == 0:
                for name, function in OWN.items():
                    setattr(functional, name, function)


OWN_LOSSES = OwnLosses()


def _telling(function: Function) -> Function:
    @functools.wraps(function)
    def told(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            return function(*args, **kwargs)
        modes = [mode for mode in active_modes() if not mode.observer.is_over]
        run: Callable[[], Any] = functools.partial(_unseen_call, function, args, kwargs)
        for mode in modes:
            run = functools.partial(mode.observer.loss, function, args, kwargs, run)
        return run()

    return told


def _unseen_call(function: Function, args: Any, kwargs: Any) -> Any:
    with unseen():
        return function(*args, **kwargs)
