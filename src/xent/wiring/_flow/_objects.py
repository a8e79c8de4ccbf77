"""Functions, classes, objects and containers: what they are made of and what is in them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from xent.wiring._flow import _containers as containers
from xent.wiring._flow import _losses, _producers
from xent.wiring._flow._names import canonical
from xent.wiring._flow._values import (
    UNKNOWN,
    Bound,
    ClassValue,
    Constant,
    Container,
    Contents,
    External,
    Frame,
    Function,
    Instance,
    Layer,
    ModuleValue,
    Partial,
    Super,
    Tensor,
    Value,
)
from xent.wiring._places import Site

if TYPE_CHECKING:
    from xent.wiring._flow._interpreter import Interpreter

Reader = Callable[["Interpreter", Any, Frame], bool]

# Decorators that leave a function what it is.
_HARMLESS = re.compile(
    r"^(torch\.(no_grad|inference_mode|enable_grad|compile|jit\..*|compiler\..*)|builtins\..*|"
    r"functools\.(wraps|lru_cache|cache|cached_property)|abc\..*|typing\..*|"
    r"typing_extensions\..*|dataclasses\.dataclass|pytest\..*|torch\.cuda\.amp\..*|torch\.amp\..*)$"
)


# Bases of which it is known what they bring.
_WITHOUT_LAYERS = ("torch.", "builtins.", "typing.", "typing_extensions.", "abc.", "enum.")

# Functions.


def define_function(
    run: Interpreter, node: ast.FunctionDef | ast.AsyncFunctionDef, frame: Frame,
    owner: ClassValue | None = None,
) -> Value:  # fmt: skip
    """The value of a definition, under its decorators."""
    names: list[str] = []
    known = True
    for decorator in node.decorator_list:
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(call, ast.Attribute) and call.attr in ("setter", "getter", "deleter"):
            return UNKNOWN
        found = run.value(call, frame)
        name = found.name if isinstance(found, External) else ""
        names.append(name)
        known = known and bool(_HARMLESS.match(name))
    function = Function(node, frame, owner, tuple(names))
    if owner is None:  # methods are read with their class
        run.functions.append(function)
    return function if known else UNKNOWN


def define_class(run: Interpreter, node: ast.ClassDef, frame: Frame) -> Value:
    """The value of a class; its body is read at once, its methods when they are called."""
    bases = tuple(
        UNKNOWN if isinstance(base, ast.Starred) else run.value(base, frame) for base in node.bases
    )
    namespace = Frame(frame.module, frame)
    found = ClassValue(node, frame, bases, namespace)
    run.classes.append(found)
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            function = define_function(run, statement, frame, found)
            run.store.set((namespace, statement.name), function)
        else:
            run.block([statement], namespace)
    return found


def named_tuple(run: Interpreter, arguments: Sequence[Value], site: Site, frame: Frame) -> Value:
    """``collections.namedtuple("Name", "first second")``, with fields that are written out."""
    given = arguments[1] if len(arguments) > 1 else UNKNOWN
    items = containers.items_of(run, given) or [given]
    written = [item.value for item in items if isinstance(item, Constant)]
    if not written or not all(isinstance(each, str) for each in written):
        return UNKNOWN
    names = " ".join(written).replace(",", " ").split()
    if not all(name.isidentifier() for name in names):
        return UNKNOWN
    text = "class _(NamedTuple):\n" + "\n".join(f"    {name}: object" for name in names)
    node = ast.parse(text).body[0]
    assert isinstance(node, ast.ClassDef)
    ast.copy_location(node, site.node)
    return ClassValue(node, frame, (External("typing.NamedTuple"),), Frame(frame.module, frame))


def classes_in_order(found: ClassValue) -> list[Value]:
    """A class and its bases, in the order in which names are looked up (without diamonds).

    Classes of libraries and unknown bases are in it too.
    """
    order: list[Value] = []
    waiting: list[Value] = [found]
    while waiting and len(order) < 64:
        each = waiting.pop(0)
        if each in order:
            continue
        order.append(each)
        if isinstance(each, ClassValue):
            waiting[:0] = each.bases
    return order


def is_module(found: ClassValue) -> bool:
    """Whether calling an object of a class calls its ``forward``: as of torch, or not known."""
    return any(not isinstance(each, ClassValue) for each in classes_in_order(found))


def library_base(found: ClassValue) -> str:
    """The full name of the layer or loss of torch that a class inherits from, if it does."""
    for each in classes_in_order(found):
        if isinstance(each, External):
            name = canonical(each.name)
            special = name in ("torch.nn.Sequential", "torch.nn.ModuleList", "torch.nn.ModuleDict")
            if special or _losses.loss_layer(name) or _producers.layer_effect(name):
                return name
    return ""


def find_in_class(run: Interpreter, found: ClassValue, name: str) -> tuple[Value | None, bool]:
    """A name in a class or its bases, and whether a base that can't be read may have it first."""
    hidden = False
    for each in classes_in_order(found):
        if isinstance(each, ClassValue):
            value = run.store.get((each.namespace, name))
            if value is not None:
                return run.resolve(value), hidden
        elif not (isinstance(each, External) and each.name.startswith(_WITHOUT_LAYERS)):
            hidden = True
    return None, hidden


def generic_instance(run: Interpreter, found: ClassValue) -> Instance:
    """The object that stands for every object of a class: made with unknown arguments."""
    known = run.generic.get(found.node)
    if known is not None:
        return known
    instance = Instance(found, generic=True)
    run.generic[found.node] = instance
    initialise, _ = find_in_class(run, found, "__init__")
    if isinstance(initialise, Function):
        from xent.wiring._flow._function_calls import enter_with_unknowns

        enter_with_unknowns(run, initialise, instance)
    return instance


def class_matters(run: Interpreter, found: ClassValue) -> bool:
    """Whether a class or one of its bases has anything that can matter."""
    return any(
        isinstance(each, ClassValue) and run.relevance.class_matters(each)
        for each in classes_in_order(found)
    )


def reached(run: Interpreter, found: ClassValue, function: Function) -> Hashable:
    """What of a class the method of an object can depend on: all that it leads to by name."""
    return run.relevance.reached(found, classes_in_order(found), function)


def is_as_in_base(run: Interpreter, instance: Instance, method: Function) -> bool:
    """Whether a method that a class inherits can do nothing that it doesn't do in its base."""
    base = method.owner
    if base is None or base is instance.type:
        return False
    if reached(run, instance.type, method) != reached(run, base, method):
        return False
    own: set[str] = set()
    for each in classes_in_order(instance.type):
        if each is base:
            break
        if isinstance(each, ClassValue):
            own |= _setters(run, each).keys()
    laden = run.laden.get(instance, frozenset())
    used = run.relevance.used_in(instance.type, classes_in_order(instance.type), laden & own)
    words = run.relevance.attributes(method.frame.module, method.node)
    return not (laden & own) or used.isdisjoint(words)


def method_matters(run: Interpreter, function: Function, receiver: Value | None) -> bool:
    """Whether a method can do anything that matters with the object that it belongs to."""
    found = receiver.type if isinstance(receiver, Instance) else receiver
    if not isinstance(found, ClassValue) or isinstance(function.node, ast.Lambda):
        return receiver in run.laden
    laden = run.laden.get(receiver, frozenset()) if receiver is not None else frozenset()
    used = run.relevance.used_in(found, classes_in_order(found), laden)
    return not used.isdisjoint(run.relevance.attributes(function.frame.module, function.node))


def carries(run: Interpreter, value: Value, depth: int = 0) -> bool:
    """Whether a value brings anything into a function that matters."""
    if isinstance(value, Tensor):
        return value.kind is not None
    if isinstance(value, Layer):
        return True
    if isinstance(value, Partial):
        given = (value.function, *value.arguments, *value.keywords.values())
        return any(carries(run, each, depth) for each in given)
    if isinstance(value, Instance):
        return value in run.laden or class_matters(run, value.type)
    if isinstance(value, ClassValue):
        return class_matters(run, value)
    if isinstance(value, Function):
        return run.matters(value)
    if isinstance(value, Bound):
        return carries(run, value.function) or carries(run, value.receiver)
    if isinstance(value, External):
        return library_base_of(value.name) or bool(_losses.loss_function(value.name))
    if isinstance(value, Container) and depth < 3:
        if value.flavour == "sequential":
            return True
        contents = run.contents(value)
        inside = [item for _, item in (contents.items or ())[:32]]
        inside += [contents.element] if contents.element is not None else []
        return any(carries(run, item, depth + 1) for item in inside)
    return False


def methods_to_read(run: Interpreter, found: ClassValue) -> Iterator[Function]:
    """Its own methods, and those it inherits that deal with losses."""
    seen: set[str] = {"__init__"}
    for each in classes_in_order(found):
        if not isinstance(each, ClassValue):
            continue
        for statement in each.node.body:
            if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if statement.name in seen:
                continue
            seen.add(statement.name)
            module = each.frame.module
            if each is not found and not run.relevance.deals_with_losses(module, statement):
                continue
            function = run.store.get((each.namespace, statement.name))
            if not isinstance(function, Function):
                function = Function(statement, each.frame, each, ())
            yield function


# Attributes.


def get_attribute(run: Interpreter, owner: Value, name: str, frame: Frame) -> Value:
    """``owner.name``."""
    if isinstance(owner, External):
        return External(f"{owner.name}.{name}")
    if isinstance(owner, ModuleValue):
        return run.member(owner.module, name)
    if isinstance(owner, Instance):
        return _of_instance(run, owner, name, frame)
    if isinstance(owner, ClassValue):
        found, _ = find_in_class(run, owner, name)
        if isinstance(found, Function) and "builtins.classmethod" in found.decorators:
            return Bound(found, owner)
        return found or UNKNOWN
    if isinstance(owner, Super):
        return _of_super(run, owner, name)
    if isinstance(owner, Layer | Container):
        stored = run.store.get((owner, name))
        if stored is not None:
            return run.resolve(stored)
        if isinstance(owner, Container) and owner.flavour in ("sequential", "module-dict", "dict"):
            return containers.item(run, owner, name) or UNKNOWN
    return UNKNOWN


def _of_instance(run: Interpreter, owner: Instance, name: str, frame: Frame) -> Value:
    stored = run.store.get((owner, name))
    if stored is not None:
        return UNKNOWN if _may_differ(run, owner, name, frame) else run.resolve(stored)
    if name == "__class__":
        return owner.type
    found, hidden = find_in_class(run, owner.type, name)
    if isinstance(found, Function):
        if "builtins.staticmethod" in found.decorators:
            return found
        if "builtins.classmethod" in found.decorators:
            return Bound(found, owner.type)
        if any(name.endswith(("property", "cached_property")) for name in found.decorators):
            return run.call(Bound(found, owner), (), {}, run.site(found.node), frame)
        return Bound(found, owner)
    if found is not None:
        set_later = owner.generic and _all_setters(run, owner.type, name) - {frame.function_name}
        return UNKNOWN if hidden or set_later else found
    contents = run.store.get((owner, None))
    if isinstance(contents, Contents):
        return containers.item(run, owner, name) or UNKNOWN
    return _set_elsewhere(run, owner, name)


def _set_elsewhere(run: Interpreter, owner: Instance, name: str) -> Value:
    """An attribute that one method sets, and not ``__init__``: what that method makes of it."""
    if not owner.generic or (owner, name) in run.asked_for:
        return UNKNOWN
    methods = _all_setters(run, owner.type, name)
    if len(methods) != 1 or "__init__" in methods or run.evaluating_setter:
        return UNKNOWN
    function, _ = find_in_class(run, owner.type, next(iter(methods)))
    if not isinstance(function, Function):
        return UNKNOWN
    run.asked_for.add((owner, name))
    return run.value_after(function, owner, name)


def _may_differ(run: Interpreter, owner: Instance, name: str, frame: Frame) -> bool:
    """Whether the attribute of an object that stands for all may be set somewhere else too."""
    if not owner.generic:
        return False
    if run.root_depth is not None and any(
        (owner, name) in layer for layer in run.store.layers[run.root_depth :]
    ):
        return False
    setters = _all_setters(run, owner.type, name)
    return len(setters) > 1 and bool(setters - {"__init__", frame.function_name})


def _all_setters(run: Interpreter, found: ClassValue, name: str) -> set[str]:
    """The methods of a class and its bases that assign an attribute."""
    setters: set[str] = set()
    for each in classes_in_order(found):
        if isinstance(each, ClassValue):
            setters |= _setters(run, each).get(name, set())
    return setters


def _setters(run: Interpreter, found: ClassValue) -> dict[str, set[str]]:
    """For each attribute, the methods of a class that assign it."""
    if found.node not in run.assigned:
        table: dict[str, set[str]] = {}
        for method in found.node.body:
            if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in ast.walk(method):
                    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                        table.setdefault(node.attr, set()).add(method.name)
        run.assigned[found.node] = table
    return run.assigned[found.node]


def _of_super(run: Interpreter, owner: Super, name: str) -> Value:
    receiver = owner.receiver
    if not isinstance(receiver, Instance):
        return UNKNOWN
    order = classes_in_order(receiver.type)
    after = order[order.index(owner.after) + 1 :] if owner.after in order else []
    for each in after:
        if isinstance(each, ClassValue):
            found = run.store.get((each.namespace, name))
            if found is not None:
                return Bound(run.resolve(found), receiver)
        elif isinstance(each, External):
            return Bound(External(f"{canonical(each.name)}.{name}"), receiver)
        else:
            return UNKNOWN
    return UNKNOWN


def set_attribute(run: Interpreter, owner: Value, name: str, value: Value) -> None:
    """``owner.name = value``."""
    if isinstance(owner, Instance | Layer):
        run.store.set((owner, name), value)
        run.touched.add(owner)
        if isinstance(owner, Instance) and carries(run, value):
            run.laden[owner] = run.laden.get(owner, frozenset()) | {name}
        if isinstance(owner, Instance) and isinstance(run.store.get((owner, None)), Contents):
            containers.put(run, owner, name, value)
    elif isinstance(owner, Container):
        run.store.set((owner, name), value)
        if owner.flavour in ("sequential", "module-dict"):
            containers.put(run, owner, name, value)
    elif isinstance(owner, ModuleValue):
        run.store.set((owner.module.frame, name), value)
    elif isinstance(owner, ClassValue):
        run.store.set((owner.namespace, name), value)


@cache
def public_names(module: str) -> frozenset[str]:
    """What ``from module import *`` gives, of the names that the tables know."""
    if module == "torch.nn":
        names = {name.rpartition(".")[2] for name in _losses.LAYERS}
        more = {"Sequential", "ModuleList", "ModuleDict", "Module", "functional"}
        return frozenset(names | set(_producers.LAYERS) | more)
    if module == "torch":
        return frozenset({"nn", *_producers.OPERATIONS})
    if module == "torch.nn.functional":
        names = {name.rpartition(".")[2] for name in _losses.FUNCTIONS}
        return frozenset(names | set(_producers.OPERATIONS))
    return frozenset()


def library_base_of(name: str) -> bool:
    """Whether a full name is that of a layer or loss of torch that the tables know."""
    return bool(_losses.loss_layer(name) or _producers.layer_effect(name))
