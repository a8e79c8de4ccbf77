"""What a name stands for at a call, from the assignments around the call alone.

The engine follows what tensors mean; this looks at how they were last written. A name is known only
where one assignment, and nothing else, can have given it its value: it stands before the call, in a
block that the call is in, and nothing between the two (or later in a loop around the call) binds or
reshapes the name.
"""

from __future__ import annotations

import ast
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from xent.wiring._files._source import Source
from xent.wiring._flow._names import imported
from xent.wiring._places import Site

_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_NAMED = (
    ast.MatchAs, ast.MatchStar, ast.ExceptHandler, ast.FunctionDef, ast.AsyncFunctionDef,
    ast.ClassDef,
)  # fmt: skip
_IN_PLACE = {
    "squeeze_", "unsqueeze_", "t_", "transpose_", "swapaxes_", "swapdims_", "resize_",
    "resize_as_", "set_",
}  # fmt: skip


class Surroundings:
    """The code around a call.

    Args:
        site: where the call is.
    """

    def __init__(self, site: Site) -> None:
        self.source = site.source
        self._path = _path_to(site.source.body, site.node)

    def before(self, position: tuple[int, int]) -> Surroundings:
        """The same for a statement that stands on the way to the call."""
        found = object.__new__(Surroundings)
        found.source = self.source
        found._path = [*self._path[: position[0]], (self._path[position[0]][0], position[1])]
        return found

    def definition(self, name: str) -> tuple[ast.expr, Surroundings] | None:
        """What the name was last assigned, and the code around that; None where it isn't known."""
        for depth in reversed(range(len(self._path))):
            block, at = self._path[depth]
            if depth == len(self._path) - 1:
                if _binds_before_its_end(self.source, block[at], name):
                    return None
            elif isinstance(block[at], _SCOPES) or _may_bind_on_the_way(
                self.source, block[at], name
            ):
                return None
            index = _last_binding(self.source, block, at, name)
            if index is not None:
                value = _assigned(block[index], name)
                return None if value is None else (value, self.before((depth, index)))
        return None

    def meaning(self, name: str) -> str:
        """The full name of what an import at the top of the file binds to a name."""
        return imports(self.source).get(name, "")


def imports(source: Source) -> dict[str, str]:
    """What the names that the file imports mean; nothing for a name with two meanings."""
    known = source.__dict__.get("_imports")
    if isinstance(known, dict):
        return known
    found: dict[str, str] = {}
    for node in _top_level(source.body):
        for name, full in imported(node):
            found[name] = full if found.get(name, full) == full else ""
    source.__dict__["_imports"] = found
    return found


def _top_level(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if isinstance(statement, ast.Try | ast.If):
            yield from _top_level(statement.body)
        else:
            yield statement


def _path_to(body: Sequence[ast.stmt], node: ast.AST) -> list[tuple[Sequence[ast.stmt], int]]:
    """The statements that a node is in, outermost first: the block of each and its place there."""
    path: list[tuple[Sequence[ast.stmt], int]] = []
    where = getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
    at = _covering(body, where)
    block = body
    while at is not None:
        path.append((block, at))
        inner = ((each, _covering(each, where)) for each in _inner(block[at], where))
        block, at = next((found for found in inner if found[1] is not None), ((), None))
    return path


def _inner(statement: ast.stmt, where: tuple[int, int]) -> Iterator[Sequence[ast.stmt]]:
    """The blocks of a statement; of handlers and cases the only one that the place can be in."""
    for name in _BLOCKS:
        parts = getattr(statement, name, None)
        if not isinstance(parts, list):
            continue
        if name not in ("handlers", "cases"):
            yield parts
        elif at := bisect_right(parts, where, key=lambda part: _start(part.body[0])):
            yield parts[at - 1].body


def _covering(block: Sequence[ast.stmt], where: tuple[int, int]) -> int | None:
    """Which statement of a block a line and column are in."""
    at = bisect_right(block, where, key=_start) - 1
    if at < 0:
        return None
    end = block[at].end_lineno or block[at].lineno, block[at].end_col_offset or 0
    return at if where <= end else None


def _start(statement: ast.stmt) -> tuple[int, int]:
    if isinstance(statement, _SCOPES) and statement.decorator_list:
        return statement.decorator_list[0].lineno, statement.col_offset
    return statement.lineno, statement.col_offset


def _assigned(statement: ast.stmt, name: str) -> ast.expr | None:
    """The value of a plain assignment to that name."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target: ast.expr = statement.targets[0]
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target = statement.target
    else:
        return None
    walrus = any(isinstance(each, ast.NamedExpr) for each in ast.walk(statement))
    is_it = isinstance(target, ast.Name) and target.id == name
    return statement.value if is_it and not walrus else None


def _binds_before_its_end(source: Source, statement: ast.stmt, name: str) -> bool:
    """Whether a statement binds a name otherwise than by what it assigns at its end."""
    part: ast.AST | None = statement
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        part = statement.value
    return part is not None and name in _bound(source, part)


def _may_bind_on_the_way(source: Source, outer: ast.stmt, name: str) -> bool:
    """Whether a statement around the call binds the name before it, or after it in a loop.

    The blocks themselves are looked at statement by statement, so a name that another branch binds
    doesn't count; a loop comes round again, and a try may have been left anywhere.
    """
    if isinstance(outer, (*_LOOPS, ast.Try, ast.TryStar, ast.Match)):
        return name in _bound(source, outer)
    parts: list[ast.AST] = []
    if isinstance(outer, ast.If):
        parts = [outer.test]
    elif isinstance(outer, ast.With | ast.AsyncWith):
        parts = list(outer.items)
    return any(name in _bound(source, part) for part in parts)


def _last_binding(source: Source, block: Sequence[ast.stmt], before: int, name: str) -> int | None:
    """The last statement of a block before one that binds a name, or any name at all."""
    known = source.__dict__.setdefault("_bindings", {})
    if id(block) not in known:
        table: dict[str, list[int]] = {}
        for index, statement in enumerate(block):
            for each in _bound(source, statement):
                table.setdefault(each, []).append(index)
        known[id(block)] = table
    places = [known[id(block)].get(each, ()) for each in (name, "*")]
    found = [each[at - 1] for each in places if (at := bisect_left(each, before))]
    return max(found, default=None)


def _bound(source: Source, node: ast.AST) -> frozenset[str]:
    """The names that anything in a statement binds, deletes or reshapes; read once."""
    known: dict[ast.AST, frozenset[str]] = source.__dict__.setdefault("_bound", {})
    if node not in known:
        known[node] = frozenset(name for each in ast.walk(node) for name in _bound_by(each))
    return known[node]


def _bound_by(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name):
        if not isinstance(node.ctx, ast.Load):
            yield node.id
    elif isinstance(node, ast.Attribute):
        changes = node.attr in _IN_PLACE or not isinstance(node.ctx, ast.Load)
        if changes and isinstance(node.value, ast.Name):
            yield node.value.id
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.alias):
        yield node.asname or node.name.partition(".")[0]
    elif isinstance(node, ast.MatchMapping):
        yield node.rest or ""
    elif isinstance(node, ast.Global | ast.Nonlocal):
        yield from node.names
    elif isinstance(node, _NAMED):
        yield node.name or ""
