"""What the user's own losses and models do, as text that changes when they do.

A trial that was kept may stand in for training only while the code behind it is the same. From a
function, class or object this follows the names that its code uses to everything else that isn't
installed: helpers, base classes, constants. Of every module of the user's own that this comes by,
the source file counts whole, with the files of all that it imports; so an edit that changes
nothing, such as to a comment, counts too. Installed packages count by their names.
"""

from __future__ import annotations

import copyreg
import dis
import functools
import hashlib
import inspect
import sys
import threading
import uuid
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

import numpy as np
import torch

from xent.study._runs._own_files import files_behind, imports_of, is_own

Described = tuple[str, Iterable[object]]

_PLAIN = (type(None), bool, int, float, complex, str, bytes)
#: Types whose objects do nothing to numbers, and whose state is only that of the moment.
_STATELESS = (
    type(threading.Lock()),
    type(threading.RLock()),
    threading.Event,
    threading.Condition,
    threading.local,
    weakref.WeakKeyDictionary,
    weakref.WeakValueDictionary,
    weakref.WeakSet,
)


@dataclass(frozen=True)
class Code:
    """What a value leads to.

    Args:
        text: the same for what does the same, in every process.
        doubts: objects whose state has no such text, and files that may not be what runs.
    """

    text: str
    doubts: tuple[str, ...]


def code_of(value: object) -> str:
    """Everything of the user's own that a function, class or object leads to, as text.

    Where that can't be told, no two texts are equal: :func:`doubts_about` says why. What is looked
    up at run time by names made of text (``getattr``, ``eval``) is not seen.

    >>> code_of(len)
    'builtins.len'
    """
    code = read_code(value)
    return code.text if not code.doubts else f"{code.text}\n{uuid.uuid4().hex}"


def doubts_about(value: object) -> tuple[str, ...]:
    """Why the code of a value can't be told from other code; nothing where it can.

    >>> doubts_about(open)
    ()
    """
    return read_code(value).doubts


def read_code(value: object) -> Code:
    """Follow a value to everything of the user's own that it leads to."""
    walk = _Walk()
    texts = walk.texts_from(value)
    files = files_behind(walk.modules)
    return Code("\n".join([*texts, *files.texts]), tuple(dict.fromkeys(walk.doubts + files.doubts)))


@dataclass
class _Walk:
    """What was met on the way: modules of the user's own, and what can't be described."""

    modules: set[str] = field(default_factory=set)
    doubts: tuple[str, ...] = ()

    def texts_from(self, value: object, inside: Mapping[int, object] | None = None) -> list[str]:
        """The text of a value, then of all that it leads to, but for what it is ``inside`` of."""
        texts: list[str] = []
        # What was seen is held, so that no other object gets its id.
        seen: dict[int, object] = dict(inside or {})
        waiting = deque([value])
        while waiting:
            one = waiting.popleft()
            if type(one) in _PLAIN:
                texts.append(repr(one))
                continue
            # Whether equal tuples are one object is up to the compiler.
            if type(one) not in (tuple, frozenset):
                if id(one) in seen:
                    continue
                seen[id(one)] = one
            if isinstance(one, set | frozenset):
                around = {**(inside or {}), id(one): one}
                texts.append(f"{_name(type(one))} {self._members_of(one, around)}")
                continue
            self._note_modules(one)
            try:
                text, more = _describe(one)
            except _UndescribedError:
                self.doubts += (f"an object of type {_name(type(one))}",)
                continue
            texts.append(text)
            waiting.extend(more)
        return texts

    def _members_of(self, value: Iterable[object], around: Mapping[int, object]) -> list[str]:
        """A digest of each member, sorted: the order of a set is that of the moment."""
        texts = ("\n".join(self.texts_from(member, around)) for member in value)
        return sorted(hashlib.sha256(text.encode()).hexdigest() for text in texts)

    def _note_modules(self, value: object) -> None:
        if isinstance(value, ModuleType):
            names = [value.__name__]
        else:
            name = getattr(value if callable(value) else type(value), "__module__", None)
            names = [name] if isinstance(name, str) else []
        if isinstance(value, FunctionType):
            package = value.__globals__.get("__package__") or ""
            for code in _codes(value.__code__):
                self.modules.update(imports_of(code, package) if is_own(value.__module__) else ())
            names.append(str(value.__globals__.get("__name__", "")))
        self.modules.update(name for name in names if name and is_own(name))


class _UndescribedError(Exception):
    """An object has state that can't be seen."""


@functools.singledispatch
def _describe(value: object) -> Described:
    """One object as text, and the objects it leads to.

    Raises:
        _UndescribedError: if its state can't be seen.
    """
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.DataFrame | pandas.Series | pandas.Index):
        return _frame(value)
    text = _name(value) if hasattr(value, "__name__") else "object"
    own_way = (
        type(value) in copyreg.dispatch_table
        or type(value).__reduce__ is not object.__reduce__
        or type(value).__reduce_ex__ is not object.__reduce_ex__
    )
    if own_way and not is_own(type(value).__module__):
        return text, (type(value), getattr(value, "__wrapped__", None), *_reduced(value))
    return text, (type(value), _attributes(value), *_reduced(value))


def _frame(value: Any) -> Described:
    """A table of pandas by its content; its caches change as it is read."""
    from pandas.util import hash_pandas_object

    try:
        rows = hash_pandas_object(value).to_numpy()
    except TypeError as error:  # cells that have no hash
        raise _UndescribedError from error
    names = [value.columns] if hasattr(value, "columns") else [value.name]
    dtypes = list(value.dtypes) if hasattr(value, "columns") else [value.dtype]
    return f"{_name(type(value))} {[str(dtype) for dtype in dtypes]}", (names, rows)


def _of_a_kind(
    text: str, members: Iterable[object], value: object, exact: tuple[type, ...]
) -> Described:
    """A container by its members, and where it is more than a container by what it is too."""
    if type(value) in exact:
        return text, members
    return text, (*members, type(value), _attributes(value), *_reduced(value))


def _stateless(value: object) -> Described:
    if type(value) in _STATELESS:
        return _name(type(value)), ()
    return "object", (type(value), _attributes(value))


for _type in _STATELESS:
    _describe.register(_type, _stateless)
for _descriptor in (GetSetDescriptorType, MethodDescriptorType, WrapperDescriptorType):
    _describe.register(_descriptor, lambda value: (_name(value), ()))


def _attributes(value: object) -> dict[str, object]:
    slots: list[str] = []
    for owner in type(value).__mro__:
        named = vars(owner).get("__slots__", ())
        slots += [named] if isinstance(named, str) else named
    held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return {
        name: member
        for name, member in (held | getattr(value, "__dict__", {})).items()
        if name not in ("__dict__", "__weakref__")
    }


def _reduced(value: object) -> Iterator[object]:
    """The pieces that pickle would make an object of again."""
    reduce = copyreg.dispatch_table.get(type(value))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reduced = reduce(value) if reduce is not None else value.__reduce_ex__(4)
    except Exception as error:  # whatever the type raises
        raise _UndescribedError from error
    if isinstance(reduced, str):
        return iter([reduced])
    function, arguments, *rest = reduced
    state, items, pairs = [*rest, None, None, None][:3]
    return iter([function, arguments, state, list(items or ()), list(pairs or ())])


@_describe.register
def _(value: Mapping) -> Described:  # type: ignore[type-arg]  # singledispatch wants it bare
    items = [item for pair in value.items() for item in pair]
    return _of_a_kind(f"mapping of {len(value)}", items, value, (dict, MappingProxyType))


@_describe.register
def _(value: list | tuple) -> Described:  # type: ignore[type-arg]
    return _of_a_kind(f"sequence of {len(value)}", value, value, (list, tuple))


@_describe.register
def _(value: weakref.ref) -> Described:  # type: ignore[type-arg]
    return "reference", (value(),)


@_describe.register
def _(value: functools.cached_property) -> Described:  # type: ignore[type-arg]
    return "cached property", (value.func,)


@_describe.register
def _(value: np.ndarray) -> Described:
    if type(value) is not np.ndarray:
        return _of_a_kind("array", (), value, ())
    if value.dtype.hasobject:
        return f"objects {value.dtype} of shape {value.shape}", value.ravel().tolist()
    digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    return f"{value.dtype} {value.shape} {digest}", ()


@_describe.register
def _(value: torch.Tensor) -> Described:
    text = f"tensor {value.dtype} {tuple(value.shape)} {value.requires_grad} {value.layout}"
    own = (type(value), vars(value)) if vars(value) else (type(value),)
    if value.is_quantized:
        raise _UndescribedError
    try:
        plain = value.detach().to_dense() if value.layout != torch.strided else value.detach()
        plain = plain.cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
        return text, (*own, plain.view(torch.uint8).numpy())
    except (TypeError, RuntimeError, NotImplementedError) as error:  # without storage
        raise _UndescribedError from error


@_describe.register
def _(value: functools.partial) -> Described:  # type: ignore[type-arg]
    return "partial", (value.func, value.args, value.keywords)


@_describe.register
def _(value: MethodType) -> Described:
    return "method", (value.__func__, value.__self__)


@_describe.register
def _(value: FunctionType) -> Described:
    if is_own(value.__module__):
        return _source(value), _behind(value)
    # What an installed package wrapped may be the user's.
    return _name(value), [content for content in _closed_over(value) if callable(content)]


@_describe.register
def _(value: type) -> Described:
    if not is_own(value.__module__):
        return _name(value), ()
    return _source(value), (*value.__bases__, *_members(value))


@_describe.register
def _(value: BuiltinFunctionType) -> Described:
    owner = value.__self__
    return _name(value), () if owner is None or isinstance(owner, ModuleType) else (owner,)


@_describe.register
def _(value: ModuleType) -> Described:
    return _name(value), ()


def _name(value: object) -> str:
    named = value if hasattr(value, "__name__") else type(value)
    module = getattr(named, "__module__", None) or ""
    return f"{module}.{getattr(named, '__qualname__', getattr(named, '__name__', ''))}"


def _source(value: Callable[..., object]) -> str:
    """The source, and of functions the instructions too: those that run, whatever the file says.

    The source is left out where there is none, and of a function that wraps another's.
    """
    code = getattr(value, "__code__", None)
    texts = list(map(_instructions, _codes(code))) if isinstance(code, CodeType) else []
    try:
        if not hasattr(value, "__wrapped__"):
            texts.append(inspect.getsource(value))
    except (OSError, TypeError):
        pass
    return "\n".join(texts) or _name(value)


def _instructions(code: CodeType) -> str:
    steps = dis.get_instructions(code)
    return " ".join(f"{step.opname} {_constant(step.argval)}" for step in steps)


def _constant(value: object) -> str:
    """What an instruction is about; the order of a set is that of the moment."""
    if isinstance(value, CodeType):
        return ""
    if isinstance(value, frozenset):
        return f"set {sorted(map(_constant, value))}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_constant, value))})"
    return repr(value)


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
    yield from _closed_over(function)
    names = [name for code in _codes(function.__code__) for name in code.co_names]
    for name in dict.fromkeys(names):
        if name in function.__globals__:
            yield from _through(function.__globals__[name], names, set())


def _closed_over(function: FunctionType) -> Iterator[object]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet, as in a function that calls itself
            continue


def _through(found: object, names: Iterable[str], passed: set[int]) -> Iterator[object]:
    """What a name stands for; of the user's own modules also what is named in them, and so on."""
    yield found
    if not isinstance(found, ModuleType) or id(found) in passed or not is_own(found.__name__):
        return
    passed.add(id(found))
    for name in dict.fromkeys(names):
        if hasattr(found, name):
            yield from _through(getattr(found, name), names, passed)


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
            name.startswith("__") or name == "_abc_impl" or isinstance(member, _PLAIN)
        ):
            yield member
