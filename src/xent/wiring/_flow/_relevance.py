"""Which definitions of a project can matter, and what of an object its methods can use."""

from __future__ import annotations

import ast
import re
from collections.abc import Hashable
from functools import partial

from xent.wiring._files._project import Module, Project
from xent.wiring._flow._interest import CALLS_ITSELF, EVERYWHERE, WORDS, Interest, interesting
from xent.wiring._flow._producers import GIVE_THEMSELVES
from xent.wiring._flow._values import ClassValue, External, Function, Value

# Methods that every module has, whatever it makes of them.
_EVERYWHERE = EVERYWHERE | GIVE_THEMSELVES
_ATTRIBUTE = re.compile(r"(?<=\.)[A-Za-z_]\w*")
_STRING = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'")
_LOSS = re.compile(r"[Ll][Oo][Ss][Ss]|[Cc]riterion|CRITERION|[Ee]ntropy|BCE|bce")


class Relevance:
    """Says of definitions whether they can matter.

    Args:
        project: the files that may be read.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._inherited: dict[ast.ClassDef, dict[str, tuple[Module, ast.stmt]]] = {}
        self._tables: dict[ast.ClassDef, dict[str, tuple[Module, ast.stmt]]] = {}
        self._reached: dict[tuple[ast.ClassDef, ast.AST], Hashable] = {}
        self._classes: dict[ast.ClassDef, bool] = {}
        self._methods: dict[ast.ClassDef, dict[str, set[str]]] = {}
        self._used: dict[tuple[ast.ClassDef, frozenset[str]], set[str]] = {}

    def of(self, module: Module) -> Interest:
        """What of a file can matter."""
        kept = module.source.__dict__
        if "interest" not in kept:
            kept["interest"] = interesting(
                module.source.body, module.source.lines, partial(self._is_of_project, module)
            )
        found: Interest = kept["interest"]
        return found

    def _is_of_project(self, module: Module, statement: ast.stmt) -> bool:
        """Whether an import gets its names from a file of the project."""
        if isinstance(statement, ast.ImportFrom):
            name = self._project.absolute(module, statement.module, statement.level)
            return self._project.knows(module, name) or (
                not name and any(self._project.knows(module, each.name) for each in statement.names)
            )
        names = statement.names if isinstance(statement, ast.Import) else []
        return any(self._project.knows(module, each.name) for each in names)

    def matters(self, module: Module, node: ast.AST) -> bool:
        """Whether a definition of a file can matter by itself."""
        return node in self.of(module).mattering

    def class_matters(self, found: ClassValue) -> bool:
        """Whether a class has anything that can matter, its bases left out."""
        if found.node not in self._classes:
            module = found.frame.module
            self._classes[found.node] = any(
                self.matters(module, each) for each in (found.node, *found.node.body)
            )
        return self._classes[found.node]

    def deals_with_losses(self, module: Module, node: ast.AST) -> bool:
        """Whether a definition mentions a loss, under whatever name."""
        kept: dict[ast.AST, bool] = module.source.__dict__.setdefault("of losses", {})
        if node not in kept:
            first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", 1)
            text = "\n".join(module.source.lines[first - 1 : last])
            kept[node] = _LOSS.search(text) is not None
        return kept[node]

    def attributes(self, module: Module, node: ast.AST) -> set[str]:
        """The attributes that a definition reads or calls, of whatever object."""
        kept: dict[ast.AST, set[str]] = module.source.__dict__.setdefault("attributes", {})
        if node not in kept:
            first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", 1)
            text = "\n".join(module.source.lines[first - 1 : last])
            found = set(_ATTRIBUTE.findall(_STRING.sub('""', text)))
            words = self.words(module, node)
            if CALLS_ITSELF in words:
                found |= {CALLS_ITSELF, "forward"}
            if "getattr" in words or "setattr" in words:
                found |= words
            kept[node] = found
        return kept[node]

    def words(self, module: Module, node: ast.AST) -> set[str]:
        """The words of a definition."""
        return self.of(module).words.get(node, set())

    def can_end(self, module: Module, node: ast.AST) -> bool:
        """Whether a wire can end in a definition."""
        return node in self.of(module).ends

    def used_in(self, found: ClassValue, order: list[Value], laden: frozenset[str]) -> set[str]:
        """The words by which a method of an object can do anything that matters.

        Args:
            found: the class of the object.
            order: the class and its bases.
            laden: the attributes of the object that hold anything that matters.
        """
        key = found.node, laden
        if key not in self._used:
            methods = [
                (name, words)
                for each in order
                if isinstance(each, ClassValue)
                for name, words in self._methods_of(each).items()
            ]
            used = set(laden)
            for each in order:
                if isinstance(each, ClassValue):
                    used |= self._mattering_methods(each)
            before = -1
            while before != len(used):
                before = len(used)
                used |= {name for name, words in methods if not used.isdisjoint(words)}
                used -= _EVERYWHERE
            self._used[key] = used
        return self._used[key]

    def reached(self, found: ClassValue, order: list[Value], function: Function) -> Hashable:
        """What of a class a method can depend on: all that it leads to by name.

        Args:
            found: the class of the object.
            order: the class and its bases.
            function: the method.
        """
        key = found.node, function.node
        if key not in self._reached:
            self._reached[key] = self._reach(found, order, function)
        return self._reached[key]

    def _reach(self, found: ClassValue, order: list[Value], function: Function) -> Hashable:
        if found.node not in self._inherited:
            self._inherited[found.node] = {
                name: place
                for each in reversed(order)
                if isinstance(each, ClassValue)
                for name, place in self._members(each).items()
            }
        table = self._inherited[found.node]
        foreign = [
            each.name if isinstance(each, External) else ""
            for each in order
            if not isinstance(each, ClassValue)
        ]
        nodes: dict[ast.stmt, None] = {}
        seen: set[str] = set()
        waiting = set(self.attributes(function.frame.module, function.node))
        if "super" in self.words(function.frame.module, function.node):
            waiting.add(getattr(function.node, "name", ""))
        while waiting:
            seen |= waiting
            more: set[str] = set()
            for name in waiting & table.keys():
                module, node = table[name]
                nodes[node] = None
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    more |= self.attributes(module, node)
            waiting = more - seen
        return frozenset(nodes), tuple(foreign)

    def _members(self, found: ClassValue) -> dict[str, tuple[Module, ast.stmt]]:
        """The statements of a class that give its methods and attributes."""
        if found.node not in self._tables:
            module = found.frame.module
            table: dict[str, tuple[Module, ast.stmt]] = {}
            for each in found.node.body:
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                    table[each.name] = module, each
                elif isinstance(each, ast.Assign | ast.AnnAssign):
                    targets = each.targets if isinstance(each, ast.Assign) else [each.target]
                    for target in targets:
                        if isinstance(target, ast.Name):
                            table[target.id] = module, each
            self._tables[found.node] = table
        return self._tables[found.node]

    def _methods_of(self, found: ClassValue) -> dict[str, set[str]]:
        if found.node not in self._methods:
            self._methods[found.node] = {
                each.name: self.attributes(found.frame.module, each)
                for each in found.node.body
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
            }
        return self._methods[found.node]

    def _mattering_methods(self, found: ClassValue) -> set[str]:
        """Those that name an operation, a layer or a loss."""
        return {
            each.name
            for each in found.node.body
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
            and not WORDS.isdisjoint(self.words(found.frame.module, each))
        }
