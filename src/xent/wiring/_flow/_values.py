"""What the values of a program are known to be, without running it.

Every value is immutable; what changes while a program runs (attributes, contents of lists and
dicts) is kept in the store under the identity of the value, so that branches can be joined.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from xent.wiring._flow._kinds import Kind
from xent.wiring._places import Site

if TYPE_CHECKING:
    from xent.wiring._files._project import Module


_numbers = count(1)


def next_number() -> int:
    """A number greater than those of all objects made before."""
    return next(_numbers)


class Value:
    """Anything that is not known: the base and, as UNKNOWN, the value of most names."""

    __slots__ = ()


UNKNOWN = Value()


@dataclass(frozen=True, eq=False, slots=True)
class Constant(Value):
    """A number, a string, a bool or None that is written in the code."""

    value: Any


NOTHING = Constant(None)


@dataclass(frozen=True, eq=False, slots=True)
class Tensor(Value):
    """A tensor, or an array made of one.

    Args:
        kind: what its numbers mean; None for unknown.
        origin: where that came about.
        operation: the operation that gave it, such as ``softmax``.
        outputs: the size of the class axis, where the last layer says it.
        models: the modules whose output it is, innermost first.
        batched: whether the first axis is known to be that of the samples.
        dim: the axis that was normalised over, if it is written in the code.
        before: what went into the operation.
        complement: whether it is 1 minus a probability.
        joined: where several branches meet, the origin of each, that of ``origin`` first.
    """

    kind: Kind | None = None
    origin: Site | None = None
    operation: str = ""
    outputs: int | None = None
    models: tuple[Value, ...] = ()
    batched: bool = False
    dim: int | None = None
    before: Tensor | None = None
    complement: bool = False
    joined: tuple[Site, ...] = ()

    @property
    def origins(self) -> tuple[Site, ...]:
        """Where it may have come about; an origin set since branches met is the only one."""
        if self.joined and self.joined[0] is self.origin:
            return self.joined
        return () if self.origin is None else (self.origin,)

    def reshaped(self) -> Tensor:
        """The same numbers in another shape."""
        if self.outputs is None and self.dim is None:
            return self
        return replace(self, outputs=None, dim=None)

    def forgotten(self) -> Tensor:
        """A tensor of which nothing is known but that samples may be on the first axis."""
        return BATCHED if self.batched else PLAIN


PLAIN = Tensor()
BATCHED = Tensor(batched=True)


@dataclass(frozen=True, eq=False, slots=True)
class External(Value):
    """Something of a library, by its full name: ``torch.nn.functional``."""

    name: str


@dataclass(frozen=True, eq=False, slots=True)
class Deferred(Value):
    """A name imported from another file, which is read when the name is used."""

    module: str
    name: str | None
    importer: Module


@dataclass(frozen=True, eq=False, slots=True)
class ModuleValue(Value):
    """Another file, as ``import`` binds it."""

    module: Module


class Frame:
    """A namespace: of a call, a class or a file."""

    def __init__(self, module: Module, outer: Frame | None = None) -> None:
        self.module = module
        self.outer = outer
        self.number = next_number()
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()
        self.stars: list[Deferred] = []
        self.under_no_grad = False
        # Of the call of a function:
        self.function_name = ""
        self.owner: ClassValue | None = None
        self.receiver: Value | None = None
        self.depth = 1
        self.returns: list[Value] = []
        self.exits: list[dict[Any, Value]] = []
        self.loops: list[tuple[int, list[dict[Any, Value]]]] = []


@dataclass(frozen=True, eq=False, slots=True)
class Function(Value):
    """A function of the program: ``def`` or ``lambda``."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    frame: Frame
    owner: ClassValue | None = None
    decorators: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Bound(Value):
    """A method with the value that it belongs to."""

    function: Value
    receiver: Value


@dataclass(frozen=True, eq=False, slots=True)
class Partial(Value):
    """``functools.partial``: a callable with some arguments given."""

    function: Value
    arguments: tuple[Value, ...]
    keywords: Mapping[str, Value]


@dataclass(frozen=True, eq=False, slots=True)
class ClassValue(Value):
    """A class of the program."""

    node: ast.ClassDef
    frame: Frame
    bases: tuple[Value, ...]
    namespace: Frame


@dataclass(frozen=True, eq=False, slots=True)
class Instance(Value):
    """An object of a class of the program; its attributes are in the store.

    Args:
        type: its class.
        generic: whether it stands for every object of the class.
        number: greater than those of objects made before.
    """

    type: ClassValue
    generic: bool = False
    number: int = field(default_factory=next_number)


@dataclass(frozen=True, eq=False, slots=True)
class Super(Value):
    """``super()`` inside a method."""

    after: ClassValue
    receiver: Value


@dataclass(frozen=True, eq=False, slots=True)
class Layer(Value):
    """An object of a class of a library, such as ``torch.nn.Linear(4, 2)``.

    Args:
        name: the full name of the class.
        site: where it is made.
        arguments: its positional arguments.
        keywords: its arguments by name.
        number: greater than those of objects made before.
    """

    name: str
    site: Site
    arguments: tuple[Value, ...] = ()
    keywords: Mapping[str, Value] = field(default_factory=dict)
    number: int = field(default_factory=next_number)

    def argument(self, position: int, name: str) -> Value | None:
        """The argument at a position or of a name; None where it is left out."""
        if name in self.keywords:
            return self.keywords[name]
        return self.arguments[position] if position < len(self.arguments) else None


@dataclass(frozen=True, eq=False, slots=True)
class Container(Value):
    """A list, tuple, dict or ``torch.nn.Sequential``; its contents are in the store.

    Args:
        flavour: ``list``, ``tuple``, ``dict``, ``sequential``, ``modules`` or ``module-dict``.
        site: where it is made.
        number: greater than those of objects made before.
    """

    flavour: str
    site: Site | None = None
    number: int = field(default_factory=next_number)


@dataclass(frozen=True, eq=False, slots=True)
class Contents(Value):
    """What is in a container.

    Args:
        items: key and value of each item in order; None where the number of items is unknown.
        element: what every item is known to be, where the items are unknown.
    """

    items: tuple[tuple[Any, Value], ...] | None = ()
    element: Value | None = None
