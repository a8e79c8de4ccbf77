"""Names in a function: where they are set and read, and whether they still mean what they did."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from xent.wiring._fixes._syntax import Syntax, start_of


@dataclass(frozen=True)
class _Uses:
    """What a function, or the file outside of functions, does with a name.

    Args:
        stores: where it is set.
        loads: where it is read.
        is_changed: whether a method such as ``add_`` is called on it, or a part of it is set.
    """

    stores: list[ast.Name]
    loads: list[ast.Name]
    is_changed: bool


def _uses(code: Syntax, scope: ast.AST, name: str) -> _Uses:
    known = code.__dict__.setdefault("_uses", {})
    if name not in known:
        by_scope: dict[ast.AST, list[ast.Name]] = {}
        for node in code.names.get(name, ()):
            by_scope.setdefault(code.scope(node), []).append(node)
        known[name] = {
            each: _Uses(
                [node for node in nodes if not isinstance(node.ctx, ast.Load)],
                [node for node in nodes if isinstance(node.ctx, ast.Load)],
                any(_is_changed(code.parents[node]) for node in nodes),
            )
            for each, nodes in by_scope.items()
        }
    found: _Uses = known[name].get(scope, _Uses([], [], is_changed=False))
    return found


def _is_changed(parent: ast.AST) -> bool:
    part = isinstance(parent, ast.Subscript) and not isinstance(parent.ctx, ast.Load)
    return part or (isinstance(parent, ast.Attribute) and parent.attr.endswith("_"))


def readings(code: Syntax, target: ast.expr) -> list[ast.expr]:
    """Where a file reads a name, or an attribute of that name of anything."""
    if isinstance(target, ast.Name):
        return [each for each in code.names[target.id] if isinstance(each.ctx, ast.Load)]
    if isinstance(target, ast.Attribute):
        return [
            each
            for each in code.attributes[target.attr]
            if isinstance(each.ctx, ast.Load) and not code.full_name(each)
        ]
    return []


def is_read_once(code: Syntax, target: ast.expr) -> bool:
    """Whether a file reads a name, or an attribute of that name of anything, in one place."""
    known = code.__dict__.setdefault("_read_once", {})
    key = target.id if isinstance(target, ast.Name) else getattr(target, "attr", None), type(target)
    if key not in known:
        known[key] = len(readings(code, target)) == 1
    return bool(known[key])


def stores(code: Syntax, scope: ast.AST, name: str) -> list[ast.Name]:
    """Where a name is set inside a function or, outside of functions, in a file."""
    return _uses(code, scope, name).stores


def loads(code: Syntax, scope: ast.AST, name: str) -> list[ast.Name]:
    """Where a name is read there."""
    return _uses(code, scope, name).loads


def value_of(code: Syntax, name: ast.Name) -> ast.expr | None:
    """What a name is set to, if it is set in one place."""
    set_at = stores(code, code.scope(name), name.id)
    parent = code.parents.get(set_at[0]) if len(set_at) == 1 else None
    return parent.value if isinstance(parent, ast.Assign) and parent.targets == set_at else None


def is_stable(code: Syntax, scope: ast.AST, name: str, start: ast.AST, end: ast.AST) -> bool:
    """Whether a name keeps its value from one place to another: it is set once, before both."""
    places = [start_of(node) for node in stores(code, scope, name)]
    if start_of(end) < start_of(start) or _uses(code, scope, name).is_changed:
        return False
    return not places or (len(places) == 1 and places[0] < start_of(start))


def is_in_the_block(code: Syntax, definition: ast.AST, use: ast.AST) -> bool:
    """Whether a use is in the block of a definition, and not in a ``with`` of its own.

    One of the two under ``no_grad`` alone would have no gradient that the other has.
    """
    statement = code.statement(definition)
    if statement is None:
        return False
    for node in code.above(use):
        if node is code.parents[statement]:
            return True
        if isinstance(node, ast.With | ast.AsyncWith):
            return False
    return False
