"""The code of a file as a tree in which one can go upwards, with the text of every part of it."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator

from xent.wiring._files._source import Source
from xent.wiring._finding import Edit
from xent.wiring._flow._names import canonical, imported
from xent.wiring._places import Site

Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.Module
_BARE = (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.Constant, ast.List, ast.Dict)


class Syntax:
    """A file that a repair looks at.

    Args:
        source: the file.

    ``names`` and ``attributes`` are all of them by what they are called, ``parents`` has the node
    that each node is in.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.module = ast.Module(_statements(source), [])
        self.parents: dict[ast.AST, ast.AST] = {}
        self.names: dict[str, list[ast.Name]] = {}
        self.attributes: dict[str, list[ast.Attribute]] = {}
        self._at: dict[object, ast.AST] = {}
        pending: list[ast.AST] = [self.module]
        while pending:
            node = pending.pop()
            self._at.setdefault(_key(node), node)
            if isinstance(node, ast.Name):
                self.names.setdefault(node.id, []).append(node)
            elif isinstance(node, ast.Attribute):
                self.attributes.setdefault(node.attr, []).append(node)
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
                pending.append(child)
        self.imports = self._imports()

    def node(self, site: Site | None) -> ast.AST | None:
        """The node of this tree that stands where a site is, if the site is in this file."""
        if site is None or site.source is not self.source:
            return None
        return self._at.get(_key(site.node))

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes that a node is in, innermost first."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def scope(self, node: ast.AST) -> Scope:
        """The function that a node is in, or the file."""
        return next(
            each
            for each in self.above(node)
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.Module)
        )

    def statement(self, node: ast.AST) -> ast.stmt | None:
        """The statement that a node is in."""
        return next((each for each in self.above(node) if isinstance(each, ast.stmt)), None)

    # Names.

    def full_name(self, node: ast.expr) -> str:
        """The full name of what a library offers, as the imports say it; empty if they don't."""
        if isinstance(node, ast.Attribute):
            inner = self.full_name(node.value)
            return canonical(f"{inner}.{node.attr}") if inner else ""
        return self.imports.get(node.id, ("", 0))[0] if isinstance(node, ast.Name) else ""

    def name_of(self, full: str, near: ast.expr) -> str | None:
        """How the code can name what a library offers; None where no import gives it.

        Args:
            full: the full name, such as ``torch.nn.functional.nll_loss``.
            near: where it is to stand; a name out of the same module shows how to write it.
        """
        module, _, last = full.rpartition(".")
        if isinstance(near, ast.Attribute) and self.full_name(near).rpartition(".")[0] == module:
            return f"{self.text(near.value)}.{last}"
        found = [
            alias + full[len(known) :]
            for alias, (known, line) in self.imports.items()
            if (full == known or full.startswith(f"{known}.")) and line <= _start(near)[0]
        ]
        return min(found, key=lambda name: (name.count("."), name), default=None)

    def _imports(self) -> dict[str, tuple[str, int]]:
        """What names of the whole file mean, and from which line on.

        Only names that imports bind and nothing else does.
        """
        known: dict[str, tuple[str, int]] = {}
        meanings: dict[str, set[str]] = {}
        for node in self.parents:
            for name, full in _bound(node):
                meanings.setdefault(name, set()).add(full)
                line = _start(node)[0]
                if full and self._is_of_file(node) and line < known.get(name, ("", line + 1))[1]:
                    known[name] = full, line
        return {name: known[name] for name in known if len(meanings[name]) == 1}

    def _is_of_file(self, node: ast.AST) -> bool:
        return isinstance(self.scope(node), ast.Module) and not any(
            isinstance(each, ast.ClassDef) for each in self.above(node)
        )

    # Text.

    def text(self, node: ast.AST) -> str:
        """The code of a node as it is written."""
        return self.between(_start(node), _end(node))

    def between(self, start: tuple[int, int], end: tuple[int, int]) -> str:
        """The code from one place to another; places are lines from 1 and offsets in bytes."""
        lines = [
            self.source.lines[number - 1].encode("utf-8", "surrogatepass")
            for number in range(start[0], end[0] + 1)
        ]
        lines[-1] = lines[-1][: end[1]]
        lines[0] = lines[0][start[1] :]
        return b"\n".join(lines).decode("utf-8", "surrogatepass")

    def replaced(self, node: ast.AST, text: str) -> Edit:
        """The edit that puts a text in place of a node."""
        return Edit(self.source.place(node), text)

    def removed(self, start: tuple[int, int], end: tuple[int, int]) -> Edit:
        """The edit that takes away what stands between two places."""
        return Edit(self.source.place(range_of(start, end)), "")

    def standing_for(self, whole: ast.AST, part: ast.expr) -> str | None:
        """The text of a part, fit to stand where the whole is; None where a comment would go."""
        if "#" in self.between(_start(whole), _start(part)) + self.between(_end(part), _end(whole)):
            return None
        text = self.text(part)
        if not (isinstance(part, _BARE) or self._is_apart(whole)):
            text = f"({text})"
        for form in (text, f"({text})"):
            if _is_expression(form):
                return form
        return None

    def _is_apart(self, node: ast.AST) -> bool:
        """Whether anything may stand there without parentheses of its own."""
        parent = self.parents.get(node)
        if isinstance(parent, ast.Call):
            return node in parent.args
        return isinstance(
            parent, ast.Assign | ast.Return | ast.Expr | ast.keyword | ast.AnnAssign | ast.AugAssign
        )


def syntax(source: Source) -> Syntax:
    """The tree of a file; it is made once."""
    known = source.__dict__.get("_syntax")
    if not isinstance(known, Syntax):
        known = source.__dict__["_syntax"] = Syntax(source)
    return known


def at(site: Site | None) -> tuple[Syntax, ast.AST] | None:
    """The tree of a site's file, and its node there."""
    if site is None:
        return None
    code = syntax(site.source)
    node = code.node(site)
    return None if node is None else (code, node)


def call_at(site: Site | None) -> tuple[Syntax, ast.Call] | None:
    """The same where the node is a call."""
    found = at(site)
    if found is None or not isinstance(found[1], ast.Call):
        return None
    return found[0], found[1]


def range_of(start: tuple[int, int], end: tuple[int, int]) -> ast.AST:
    """A node that stands for a range of the file."""
    return ast.Pass(lineno=start[0], col_offset=start[1], end_lineno=end[0], end_col_offset=end[1])


def start_of(node: ast.AST) -> tuple[int, int]:
    """Where a node begins: the line, and the offset in bytes."""
    return _start(node)


def end_of(node: ast.AST) -> tuple[int, int]:
    """Where a node ends."""
    return _end(node)


def _start(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 1), getattr(node, "col_offset", 0)


def _end(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "end_lineno", None) or 1, getattr(node, "end_col_offset", None) or 0


def _key(node: ast.AST) -> object:
    return (type(node), *_start(node), *_end(node)) if hasattr(node, "lineno") else id(node)


def _statements(source: Source) -> list[ast.stmt]:
    """Parsed anew: what the interpreter reads need not be the whole file."""
    if not source.cells:
        return _parsed(source.text)
    body: list[ast.stmt] = []
    for cell in source.cells:
        for statement in _parsed(cell.text):
            ast.increment_lineno(statement, cell.first_line - 1)
            body.append(statement)
    return body


def _parsed(text: str) -> list[ast.stmt]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _bound(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Names that a node binds, each with what an import makes of it, or with nothing."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((name, canonical(full)) for name, full in imported(node))
    elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id, ""
    elif isinstance(node, ast.arg):
        yield node.arg, ""
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name, ""
    elif isinstance(node, ast.ExceptHandler):
        yield node.name or "", ""


_LEADING = re.compile(r"^\s*")


def _is_expression(text: str) -> bool:
    try:
        ast.parse(_LEADING.sub("", text), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
