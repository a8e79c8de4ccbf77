"""What the user's own losses and models do, as text that changes when they do.

A trial that was kept may stand in for training only while the code behind it is the same. From a
function, class or object this follows the names that its code uses to everything else that isn't
installed: helpers, base classes, constants, other files. Installed packages count by their names.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import inspect
import sys
import sysconfig
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType

import numpy as np
import torch

Described = tuple[str, Iterable[object]]

_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_INSTALLED = tuple(
    Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib")
)


def code_of(value: object) -> str:
    """Everything of the user's own that a function, class or object leads to, as text.

    What is looked up at run time by names made of text (``getattr``, ``eval``) is not seen.

    >>> code_of(len)
    'builtins.len'
    """
    texts: list[str] = []
    # What was seen is held, so that no other object gets its id.
    seen: dict[int, object] = {}
    waiting = deque([value])
    while waiting:
        one = waiting.popleft()
        if isinstance(one, _PLAIN):
            texts.append(repr(one))
            continue
        # Whether equal tuples are one object is up to the compiler.
        if not isinstance(one, tuple | frozenset):
            if id(one) in seen:
                continue
            seen[id(one)] = one
        text, more = _describe(one)
        texts.append(text)
        waiting.extend(more)
    return "\n".join(texts)


@functools.singledispatch
def _describe(value: object) -> Described:
    """One object as text, and the objects it leads to."""
    text = _name(value) if hasattr(value, "__name__") else "object"
    names = [name for owner in type(value).__mro__ for name in getattr(owner, "__slots__", ())]
    slots = {name: getattr(value, name) for name in names if hasattr(value, name)}
    attributes = slots | getattr(value, "__dict__", {})
    return text, (type(value), attributes) if attributes else (type(value),)


@_describe.register
def _(value: Mapping) -> Described:  # type: ignore[type-arg]  # singledispatch wants it bare
    return f"mapping {[repr(key) for key in value if isinstance(key, _PLAIN)]}", value.values()


@_describe.register
def _(value: list | tuple) -> Described:  # type: ignore[type-arg]
    return f"sequence of {len(value)}", value


@_describe.register
def _(value: set | frozenset) -> Described:  # type: ignore[type-arg]
    return f"set {sorted(map(repr, value))}", ()


@_describe.register
def _(value: np.ndarray) -> Described:
    if value.dtype == object:
        return f"objects of shape {value.shape}", value.ravel().tolist()
    digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    return f"{value.dtype} {value.shape} {digest}", ()


@_describe.register
def _(value: torch.Tensor) -> Described:
    try:
        return f"tensor {value.requires_grad}", (value.detach().cpu().numpy(),)
    except (TypeError, RuntimeError, NotImplementedError):  # half types, sparse or without storage
        return repr(value), ()


@_describe.register
def _(value: functools.partial) -> Described:  # type: ignore[type-arg]
    return "partial", (value.func, value.args, value.keywords)


@_describe.register
def _(value: MethodType) -> Described:
    return "method", (value.__func__, value.__self__)


@_describe.register
def _(value: FunctionType) -> Described:
    if not _is_own(value.__module__):
        return _name(value), ()
    return _source(value), _behind(value)


@_describe.register
def _(value: type) -> Described:
    if not _is_own(value.__module__):
        return _name(value), ()
    return _source(value), (*value.__bases__, *_members(value))


@_describe.register
def _(value: BuiltinFunctionType | ModuleType) -> Described:
    return _name(value), ()


def _name(value: object) -> str:
    named = value if hasattr(value, "__name__") else type(value)
    module = getattr(named, "__module__", None) or ""
    return f"{module}.{getattr(named, '__qualname__', getattr(named, '__name__', ''))}"


def _is_own(module: str | None) -> bool:
    """Whether a module is neither Python's, nor installed, nor this package."""
    package = (module or "").split(".", 1)[0]
    if package == "xent" or package in sys.stdlib_module_names or package == "builtins":
        return package == "__main__"
    file = getattr(sys.modules.get(module or ""), "__file__", None)
    if file is None:
        return True
    path = Path(file).resolve()
    return not any(path.is_relative_to(folder) for folder in _INSTALLED)


def _source(value: Callable[..., object]) -> str:
    """The source, or a function's instructions where it was typed in, or wraps another's source."""
    try:
        if hasattr(value, "__wrapped__"):
            raise TypeError
        return inspect.getsource(value)
    except (OSError, TypeError):
        code = getattr(value, "__code__", None)
        return _name(value) if code is None else "\n".join(map(_instructions, _codes(code)))


def _instructions(code: CodeType) -> str:
    steps = ((step.opname, repr(step.argval)) for step in dis.get_instructions(code))
    return " ".join(f"{name} {'' if 'code object' in value else value}" for name, value in steps)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and those inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _behind(function: FunctionType) -> Iterator[object]:
    """Defaults, what is closed over, and the globals that the code names."""
    yield getattr(function, "__wrapped__", None)
    yield function.__defaults__
    yield function.__kwdefaults__
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet, as in a function that calls itself
            continue
    names = [name for code in _codes(function.__code__) for name in code.co_names]
    for name in dict.fromkeys(names):
        if name not in function.__globals__:
            continue
        found = function.__globals__[name]
        if not isinstance(found, ModuleType):
            yield found
        elif _is_own(found.__name__):
            yield from (getattr(found, other) for other in names if hasattr(found, other))


def _members(owner: type) -> Iterator[object]:
    """The functions and objects that a class defines; numbers and text stand in its source.

    As they are now those may be state, such as a count of calls.
    """
    for name, member in vars(owner).items():
        if isinstance(member, staticmethod | classmethod):
            yield member.__func__
        elif isinstance(member, property):
            yield from (member.fget, member.fset)
        elif isinstance(member, FunctionType) or not (
            name.startswith("__") or isinstance(member, _PLAIN)
        ):
            yield member
