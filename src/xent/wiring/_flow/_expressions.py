"""Expressions: names, literals, operators, indexing and comprehensions."""

from __future__ import annotations

import ast
import builtins
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from xent.wiring._flow import _containers as containers
from xent.wiring._flow import _objects as objects
from xent.wiring._flow import _tensors as tensors
from xent.wiring._flow._producers import Effect, method_effect
from xent.wiring._flow._values import (
    NOTHING,
    PLAIN,
    UNKNOWN,
    Constant,
    Container,
    Contents,
    Frame,
    Function,
    Instance,
    Layer,
    Tensor,
    Value,
)

if TYPE_CHECKING:
    from xent.wiring._flow._interpreter import Interpreter

BUILTINS = frozenset(dir(builtins))
MOST_TURNS = 32
_LONGEST_TEXT = 200

_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
_COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.In: lambda one, other: one in other, ast.NotIn: lambda one, other: one not in other,
}  # fmt: skip


def value(run: Interpreter, node: ast.expr, frame: Frame) -> Value:
    """What an expression is known to be."""
    reader = _READERS.get(type(node))
    return UNKNOWN if reader is None else reader(run, node, frame)


def _name(run: Interpreter, node: ast.Name, frame: Frame) -> Value:
    return run.look_up(node.id, frame)


def _constant(run: Interpreter, node: ast.Constant, frame: Frame) -> Value:
    return NOTHING if node.value is None else Constant(node.value)


def _attribute(run: Interpreter, node: ast.Attribute, frame: Frame) -> Value:
    owner = run.value(node.value, frame)
    if isinstance(owner, Tensor):
        if node.attr in ("data", "T", "mT", "values"):
            effect = method_effect(node.attr) or Effect.SAME
            return tensors.apply(run, node.attr, effect, owner, (), {}, run.site(node))
        return UNKNOWN
    return objects.get_attribute(run, owner, node.attr, frame)


def _tuple(run: Interpreter, node: ast.Tuple | ast.List, frame: Frame) -> Value:
    flavour = "list" if isinstance(node, ast.List) else "tuple"
    site = run.site(node)
    if not any(isinstance(item, ast.Starred) for item in node.elts):
        if len(node.elts) > 256:
            return run.container(flavour, Contents(None, UNKNOWN), site)
        found = [run.value(item, frame) for item in node.elts]
        return run.container(flavour, Contents(tuple(enumerate(found))), site)
    made = run.container(flavour, Contents(), site)
    for item in node.elts:
        if isinstance(item, ast.Starred):
            containers.extend(run, made, run.value(item.value, frame))
        else:
            containers.append(run, made, run.value(item, frame))
    return made


def _set(run: Interpreter, node: ast.Set, frame: Frame) -> Value:
    for item in node.elts[:256]:
        run.value(item, frame)
    return UNKNOWN


def _dict(run: Interpreter, node: ast.Dict, frame: Frame) -> Value:
    items: dict[Any, Value] = {}
    known = len(node.keys) <= 256
    for key, item in zip(node.keys[:256], node.values, strict=False):
        found = run.value(item, frame)
        name = run.value(key, frame) if key is not None else None
        if isinstance(name, Constant):
            items[name.value] = found
        elif key is None and isinstance(found, Container) and found.flavour == "dict":
            inside = run.contents(found).items
            items.update(inside or ())
            known = known and inside is not None
        else:
            known = False
    contents = Contents(tuple(items.items())) if known else Contents(None, UNKNOWN)
    return run.container("dict", contents, run.site(node))


def _binary(run: Interpreter, node: ast.BinOp, frame: Frame) -> Value:
    """Iterative over long sums, which nest to the left."""
    chain = [node]
    while isinstance(chain[-1].left, ast.BinOp):
        chain.append(chain[-1].left)
    one = run.value(chain[-1].left, frame)
    for part in reversed(chain):
        run.step()
        one = _combine(run, part, one, run.value(part.right, frame))
    return one


def _combine(run: Interpreter, node: ast.BinOp, one: Value, other: Value) -> Value:
    if isinstance(one, Constant) and isinstance(other, Constant):
        return _of_constants(_ARITHMETIC.get(type(node.op)), one.value, other.value)
    if isinstance(one, Container) and isinstance(node.op, ast.Add):
        made = run.container(one.flavour, run.contents(one), one.site)
        containers.extend(run, made, other)
        return made
    if isinstance(one, Container) and isinstance(node.op, ast.Mult):
        return run.container(one.flavour, Contents(None, run.element(one)), one.site)
    return tensors.binary(run, node, one, other)


def _of_constants(function: Callable[[Any, Any], Any] | None, one: Any, other: Any) -> Value:
    simple = (int, float, str, bool, type(None))
    if function is None or not (isinstance(one, simple) and isinstance(other, simple)):
        return UNKNOWN
    if isinstance(one, str) != isinstance(other, str) and function is operator.mul:
        return UNKNOWN  # "x" * 10**9
    try:
        result = function(one, other)
    except (TypeError, ValueError, ArithmeticError):
        return UNKNOWN
    too_long = isinstance(result, str) and len(result) > _LONGEST_TEXT
    too_large = isinstance(result, int) and abs(result) > 2**63
    return UNKNOWN if too_long or too_large else Constant(result)


def _unary(run: Interpreter, node: ast.UnaryOp, frame: Frame) -> Value:
    if isinstance(node.op, ast.USub):
        run.negated.add(node.operand)
    found = run.value(node.operand, frame)
    if isinstance(node.op, ast.Not):
        truth = containers.truth(run, found)
        return UNKNOWN if truth is None else Constant(not truth)
    if isinstance(found, Constant) and isinstance(found.value, int | float):
        return Constant(-found.value if isinstance(node.op, ast.USub) else found.value)
    if isinstance(node.op, ast.USub) and (found is UNKNOWN or isinstance(found, Tensor)):
        return tensors.negated(tensors.as_tensor(found))
    return found.forgotten() if isinstance(found, Tensor) else UNKNOWN


def _boolean(run: Interpreter, node: ast.BoolOp, frame: Frame) -> Value:
    stops_at = isinstance(node.op, ast.Or)
    possible: list[Value] = []
    for part in node.values:
        found = run.value(part, frame)
        truth = containers.truth(run, found)
        if truth is stops_at:
            possible.append(found)
            break
        if truth is None or part is node.values[-1]:
            possible.append(found)
    return run.store.join(possible) if possible else UNKNOWN


def _compare(run: Interpreter, node: ast.Compare, frame: Frame) -> Value:
    one = run.value(node.left, frame)
    result: Value = UNKNOWN
    for kind, right in zip(node.ops, node.comparators, strict=True):
        other = run.value(right, frame)
        result = _compared(run, node, kind, one, other)
        one = other
    return result if len(node.ops) == 1 else UNKNOWN


def _compared(
    run: Interpreter, node: ast.Compare, kind: ast.cmpop, one: Value, other: Value
) -> Value:
    if isinstance(kind, ast.Is | ast.IsNot):
        same = _identical(one, other)
        return UNKNOWN if same is None else Constant(same is isinstance(kind, ast.Is))
    if isinstance(one, Constant) and isinstance(other, Constant):
        return _of_constants(_COMPARISONS.get(type(kind)), one.value, other.value)
    if isinstance(kind, ast.Gt | ast.GtE | ast.Lt | ast.LtE):
        for tensor, number in ((one, other), (other, one)):
            limit = tensors.number(number)
            if isinstance(tensor, Tensor) and limit is not None:
                run.note_comparison(tensor, limit, run.site(node))
    if isinstance(one, Constant) and isinstance(other, Container):
        return _member(run, kind, one, other)
    return PLAIN if isinstance(one, Tensor) or isinstance(other, Tensor) else UNKNOWN


def _member(run: Interpreter, kind: ast.cmpop, one: Constant, other: Container) -> Value:
    found = containers.items_of(run, other)
    if found is None or not all(isinstance(item, Constant) for item in found):
        return UNKNOWN
    inside = any(isinstance(item, Constant) and item.value == one.value for item in found)
    if isinstance(kind, ast.In | ast.NotIn):
        return Constant(inside is isinstance(kind, ast.In))
    return UNKNOWN


def _identical(one: Value, other: Value) -> bool | None:
    constants = isinstance(one, Constant), isinstance(other, Constant)
    if isinstance(one, Constant) and isinstance(other, Constant):
        simple = (bool, type(None))
        if isinstance(one.value, simple) or isinstance(other.value, simple):
            return one.value is other.value
        return None
    certain = (Tensor, Instance, Layer, Container, Function)
    for found, constant in ((one, constants[1]), (other, constants[0])):
        if constant and isinstance(found, certain):
            return False
    return None


def _choice(run: Interpreter, node: ast.IfExp, frame: Frame) -> Value:
    truth = containers.truth(run, run.value(node.test, frame))
    if truth is not None:
        return run.value(node.body if truth else node.orelse, frame)
    return run.store.join([run.value(node.body, frame), run.value(node.orelse, frame)])


def _subscript(run: Interpreter, node: ast.Subscript, frame: Frame) -> Value:
    owner = run.value(node.value, frame)
    index = node.slice
    if isinstance(owner, Tensor):
        parts = index.elts if isinstance(index, ast.Tuple) else [index]
        found = [
            tensors.whole(run.value(part, frame)) if _may_be_number(part) else None
            for part in parts
        ]
        return tensors.indexed(owner, index, found)
    if isinstance(owner, Container) or (
        isinstance(owner, Instance) and run.store.get((owner, None)) is not None
    ):
        if isinstance(index, ast.Slice) and isinstance(owner, Container):
            bounds = [
                NOTHING if bound is None else run.value(bound, frame)
                for bound in (index.lower, index.upper, index.step)
            ]
            return containers.sliced(run, owner, *bounds)
        return containers.get_item(run, owner, run.value(index, frame))
    if not isinstance(index, ast.Slice):
        run.value(index, frame)
    return UNKNOWN


def _may_be_number(part: ast.expr) -> bool:
    return isinstance(part, ast.Constant | ast.UnaryOp | ast.Name)


def _lambda(run: Interpreter, node: ast.Lambda, frame: Frame) -> Value:
    function = Function(node, frame)
    run.functions.append(function)
    return function


def _comprehension(
    run: Interpreter, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, frame: Frame
) -> Value:
    inner = Frame(frame.module, frame)
    inner.under_no_grad = frame.under_no_grad
    items = _turns(run, node.generators, inner, lambda: run.value(node.elt, inner))
    return run.container("list", items, run.site(node))


def _dict_comprehension(run: Interpreter, node: ast.DictComp, frame: Frame) -> Value:
    inner = Frame(frame.module, frame)
    pairs: list[tuple[Value, Value]] = []

    def item() -> Value:
        pairs.append((run.value(node.key, inner), run.value(node.value, inner)))
        return pairs[-1][1]

    items = _turns(run, node.generators, inner, item)
    keys = [key.value for key, _ in pairs if isinstance(key, Constant)]
    if items.items is not None and len(keys) == len(items.items):
        values = [value for _, value in pairs]
        return run.container("dict", Contents(tuple(zip(keys, values, strict=True))))
    return run.container("dict", Contents(None, run.store.element(items)))


def _turns(
    run: Interpreter, generators: list[ast.comprehension], frame: Frame, item: Callable[[], Value]
) -> Contents:
    """The items of a comprehension: one by one for one known loop, else what they share."""
    first = generators[0]
    over = run.value(first.iter, frame)
    known = containers.turns(run, over)
    simple = len(generators) == 1 and not first.ifs
    if known is not None and simple and len(known) <= MOST_TURNS:
        found: list[Value] = []
        for each in known:
            _bind(run, first.target, each, frame)
            found.append(item())
        return Contents(tuple(enumerate(found)))
    every = run.store.join(known) if known else containers.any_turn(run, over)
    _bind(run, first.target, every, frame)
    for condition in first.ifs:
        run.value(condition, frame)
    for generator in generators[1:]:
        _bind(
            run, generator.target, containers.any_turn(run, run.value(generator.iter, frame)), frame
        )
        for condition in generator.ifs:
            run.value(condition, frame)
    return Contents(None, item())


def _bind(run: Interpreter, target: ast.expr, found: Value, frame: Frame) -> None:
    from xent.wiring._flow._statements import assign

    assign(run, target, found, frame)


def _walrus(run: Interpreter, node: ast.NamedExpr, frame: Frame) -> Value:
    found = run.value(node.value, frame)
    run.bind(node.target.id, found, frame)
    return found


def _text(run: Interpreter, node: ast.JoinedStr, frame: Frame) -> Value:
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            run.value(part.value, frame)
    return UNKNOWN


def _inner(run: Interpreter, node: ast.Await | ast.Starred | ast.YieldFrom, frame: Frame) -> Value:
    found = run.value(node.value, frame)
    return found if isinstance(node, ast.Await) else UNKNOWN


def _yield(run: Interpreter, node: ast.Yield, frame: Frame) -> Value:
    if node.value is not None:
        run.value(node.value, frame)
    return UNKNOWN


def _call(run: Interpreter, node: ast.Call, frame: Frame) -> Value:
    from xent.wiring._flow._calls import read_call

    return read_call(run, node, frame)


_READERS: dict[type, Callable[[Interpreter, Any, Frame], Value]] = {
    ast.Name: _name,
    ast.Constant: _constant,
    ast.Attribute: _attribute,
    ast.Call: _call,
    ast.Tuple: _tuple,
    ast.List: _tuple,
    ast.Set: _set,
    ast.Dict: _dict,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _boolean,
    ast.Compare: _compare,
    ast.IfExp: _choice,
    ast.Subscript: _subscript,
    ast.Lambda: _lambda,
    ast.ListComp: _comprehension,
    ast.SetComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.DictComp: _dict_comprehension,
    ast.NamedExpr: _walrus,
    ast.JoinedStr: _text,
    ast.Await: _inner,
    ast.Starred: _inner,
    ast.YieldFrom: _inner,
    ast.Yield: _yield,
}
