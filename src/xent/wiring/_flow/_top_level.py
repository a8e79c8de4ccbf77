"""The top level of a file that is imported: of its statements only what is asked for is read.

A name is what the statements about it make of it, in their order: those that bind it, change one of
its attributes or items, or call one of its methods.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


@dataclass(frozen=True)
class TopLevel:
    """The statements of a file by what they are about.

    Args:
        first: the imports, which cost nothing to read.
        about: for each name, the statements about it.
    """

    first: Sequence[ast.stmt]
    about: dict[str, list[ast.stmt]]


def top_level(body: Sequence[ast.stmt]) -> TopLevel:
    """Sort the statements of a file.

    >>> found = top_level(ast.parse("import torch\\nlayers = []\\nlayers.append(1)\\nx = 2").body)
    >>> len(found.first), [len(found.about[name]) for name in ("layers", "x")]
    (1, [2, 1])
    """
    first: list[ast.stmt] = []
    about: dict[str, list[ast.stmt]] = {}
    for statement in _without_type_checking(body):
        names = dict.fromkeys(_names(statement))
        if "*" in names or isinstance(statement, ast.Import | ast.ImportFrom):
            first.append(statement)
        for name in names:
            about.setdefault(name, []).append(statement)
    return TopLevel(first, about)


def _without_type_checking(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements, those under ``if TYPE_CHECKING`` like all others.

    What stands under its ``else`` gives the same names in another way, such as lazily.
    """
    for statement in body:
        if isinstance(statement, ast.If) and _is_type_checking(statement.test):
            yield from statement.body
            given = {name for each in statement.body for name in _names(each)}
            for each in statement.orelse:
                if given.isdisjoint(_names(each)):
                    yield each
        else:
            yield statement


def _is_type_checking(test: ast.expr) -> bool:
    name = test.id if isinstance(test, ast.Name) else getattr(test, "attr", "")
    return name == "TYPE_CHECKING"


def _names(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement is about, those inside branches and loops too."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        each = waiting.pop()
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield each.name
            continue
        yield from _bound(each)
        for block in _BLOCKS:
            waiting.extend(getattr(each, block, ()))


def _bound(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0]
    elif isinstance(node, ast.Assign | ast.Delete):
        for target in node.targets:
            yield from _roots(target)
    elif isinstance(node, ast.AnnAssign | ast.AugAssign | ast.For | ast.AsyncFor):
        yield from _roots(node.target)
    elif isinstance(node, ast.With | ast.AsyncWith):
        for item in node.items:
            if item.optional_vars is not None:
                yield from _roots(item.optional_vars)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        if isinstance(node.value.func, ast.Attribute):
            yield from _roots(node.value.func)
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name


def _roots(target: ast.expr) -> Iterator[str]:
    """The names at the beginning of targets: ``x`` of ``x.y[0]``."""
    waiting = [target]
    while waiting:
        each = waiting.pop()
        if isinstance(each, ast.Name):
            yield each.id
        elif isinstance(each, ast.Attribute | ast.Subscript | ast.Starred):
            waiting.append(each.value)
        elif isinstance(each, ast.Call):
            waiting.append(each.func)
        elif isinstance(each, ast.Tuple | ast.List):
            waiting.extend(each.elts)
