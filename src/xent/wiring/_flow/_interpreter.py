"""The engine: reads a program as if it ran it, with meanings in place of numbers.

Files are read top to bottom, calls of the program's own functions are followed with what they are
given, and what is never called is read with unknown arguments. Nothing of what is read is imported
or run. A branch that can't be decided is read both ways, and the ends are joined: what they agree
in stays known, the rest becomes unknown.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from xent.wiring._files._project import Module, Project
from xent.wiring._flow import _calls as calls
from xent.wiring._flow import _expressions as expressions
from xent.wiring._flow import _objects as objects
from xent.wiring._flow import _statements as statements
from xent.wiring._flow._events import Applied, AxisLeftOut, Compared, Event, Returned, Scored
from xent.wiring._flow._function_calls import enter_with_unknowns
from xent.wiring._flow._kinds import Kind
from xent.wiring._flow._producers import Effect
from xent.wiring._flow._relevance import Relevance
from xent.wiring._flow._store import Store
from xent.wiring._flow._summaries import Summary
from xent.wiring._flow._values import (
    UNKNOWN,
    ClassValue,
    Constant,
    Container,
    Contents,
    Deferred,
    External,
    Frame,
    Function,
    Instance,
    ModuleValue,
    Tensor,
    Value,
    next_number,
)
from xent.wiring._places import Site

# Steps, one for each expression read, that a file may take: some and more for longer files.
LEAST_STEPS, STEPS_A_LINE, MOST_STEPS = 20_000, 12, 40_000
# Steps of a function that is read by itself with all that it calls, and of an imported file.
STEPS_OF_A_FUNCTION, STEPS_OF_AN_IMPORT = 4_000, 20_000
MOST_STARS, MOST_IMPORTS = 12, 60
# Calls of the program nest some 15 calls of this one each; Python 3.11 keeps them off the C stack.
RECURSION = 6_000
DEEPEST_EXPRESSION = 150

_EVALUATING = re.compile(
    r"^_*(val|valid|validate|validation|test|eval|evaluate|evaluation|predict|inference|infer|score)"
    r"(_|$)"
)
_PROBABILITIES = re.compile(r"^predict_prob[as]?(bilities)?$|^predict_proba\w*$")


IN_PART = "read in part: "


class OutOfStepsError(Exception):
    """More steps are taken than allowed; the rest stays unknown."""


class Interpreter:
    """Reads the modules of a project and records what they do with tensors.

    Args:
        project: the files that may be read.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.store = Store()
        self.events: list[Event] = []
        self.stack: list[Function] = []
        self.sites: list[Site] = []
        self.frame_stack: list[Frame] = []
        self.read: set[ast.AST] = set()
        self.functions: list[Function] = []
        self.classes: list[ClassValue] = []
        self.generic: dict[ast.ClassDef, Instance | None] = {}
        self.reassigned: set[tuple[Frame, str]] = set()
        self.root_depth: int | None = None
        self.steps = 0
        self.allowed = self.allowed_in_all = LEAST_STEPS
        self.cut_short = 0
        self.resolving: set[Deferred] = set()
        self.relevance = Relevance(project)
        self.summaries: dict[Hashable, Summary | None] = {}
        self.touched: set[Value] = set()
        self.starred: dict[tuple[Frame, str], Value | None] = {}
        self.truncated = 0
        self.asked_for: set[tuple[Instance, str]] = set()
        self.evaluating_setter = False
        self.reassignments = 0
        self.laden: dict[Value, frozenset[str]] = {}
        self.expression_depth = 0
        self.negated: set[ast.AST] = set()
        self.assigned: dict[ast.ClassDef, dict[str, set[str]]] = {}

    # Roots.

    def check(self, module: Module) -> None:
        """Read a module, then every function and class of it that nothing has called."""
        lines = len(module.source.lines)
        self.steps = self.cut_short = 0
        self.allowed_in_all = min(LEAST_STEPS + STEPS_A_LINE * lines, MOST_STEPS)
        self.allowed = self.allowed_in_all
        self.project.may_still_read = MOST_IMPORTS
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(max(limit, RECURSION))
        try:
            module.running = True
            self._run_through(module)
            self._read_the_rest(module)
        except OutOfStepsError:
            self._report_part(module, f"more than {self.allowed_in_all:,} steps")
        except RecursionError:
            self._report_part(module, "nested too deeply")
        finally:
            sys.setrecursionlimit(limit)
            self._begin_anew()
        if self.cut_short:
            many = f"{self.cut_short} piece{'' if self.cut_short == 1 else 's'}"
            self._report_part(module, f"{many} of too many steps")

    def _report_part(self, module: Module, reason: str) -> None:
        found = self.project.problems.setdefault(module.source.path, [])
        found.append(f"{IN_PART}{reason}")

    def _begin_anew(self) -> None:
        del self.store.layers[1:]
        self.stack.clear()
        self.sites.clear()
        self.frame_stack.clear()
        self.root_depth = None
        self.expression_depth = 0

    def _run_through(self, module: Module) -> None:
        """Read the top level of the module that is checked."""
        module.started = True
        self.store.layers[0][module.frame, "__name__"] = Constant("__main__")
        self.frame_stack.append(module.frame)
        self._read_top_level(module)
        self.frame_stack.pop()

    def load(self, module: Module) -> None:
        """Begin to read an imported module: what it imports itself."""
        if module.started:
            return
        module.started = True
        self.store.layers[0][module.frame, "__name__"] = Constant(module.name)
        self._read_of(module, module.top_level.first)

    def global_name(self, module: Module, name: str) -> Value | None:
        """What a name of a file is known to be; of an imported file it is read now."""
        found = self.store.get((module.frame, name))
        if found is not None or module.running or name not in module.top_level.about:
            return found
        self._read_of(module, module.top_level.about[name])
        return self.store.get((module.frame, name))

    def _read_of(self, module: Module, body: Sequence[ast.stmt]) -> None:
        """Read statements of the top level of an imported module, each one once."""
        body = [statement for statement in body if statement not in module.done]
        if not body:
            return
        module.done.update(body)
        kept = self.store.layers, self.root_depth, self.expression_depth
        counts, stack = (self.steps, self.allowed), (self.stack, self.sites)
        self.store.layers, self.root_depth, self.expression_depth = self.store.layers[:1], None, 0
        self.stack, self.sites = [], []
        self.steps, self.allowed = 0, STEPS_OF_AN_IMPORT
        depths = len(self.frame_stack)
        self.frame_stack.append(module.frame)
        try:
            statements.block(self, body, module.frame)
        except OutOfStepsError:
            self.truncated += 1
        finally:
            del self.frame_stack[depths:]
            self.stack, self.sites = stack
            self.store.layers, self.root_depth, self.expression_depth = kept
            self.steps, self.allowed = counts

    def _read_top_level(self, module: Module) -> None:
        """One statement that takes too many steps must not hide those after it."""
        for statement in module.source.body:
            depths = self._depths()
            self.allowed = self.steps + (self.allowed_in_all - self.steps) // 2
            try:
                statements.block(self, [statement], module.frame)
            except OutOfStepsError:
                self.cut_short += 1
                del self.store.layers[1:]
                self._cut_back(depths)
        self.allowed = self.allowed_in_all

    def _depths(self) -> tuple[int, int, int]:
        return len(self.stack), len(self.sites), len(self.frame_stack)

    def _cut_back(self, depths: tuple[int, int, int]) -> None:
        """Leave the calls that were given up."""
        del self.stack[depths[0] :]
        del self.sites[depths[1] :]
        del self.frame_stack[depths[2] :]

    def _read_the_rest(self, module: Module) -> None:
        seen = 0
        while seen < len(self.classes):
            found = self.classes[seen]
            seen += 1
            if found.frame.module is module:
                self.read_class(found)
        seen = 0
        while seen < len(self.functions):
            function = self.functions[seen]
            seen += 1
            if function.frame.module is module and self.is_new(function):
                self.read_apart(function, None)

    def read_class(self, found: ClassValue) -> None:
        """Read the methods of a class on an object that stands for every object of it."""
        if found.node in self.generic or not objects.class_matters(self, found):
            return
        methods = [each for each in objects.methods_to_read(self, found) if self.may_end_in(each)]
        if methods:
            with self._apart(stays=True):
                objects.generic_instance(self, found)
            instance = self.generic[found.node]
            for method in methods:
                if instance is None or not objects.is_as_in_base(self, instance, method):
                    self.read_apart(method, instance)

    def is_new(self, function: Function) -> bool:
        """Whether a function is worth reading by itself and has not been read yet."""
        return function.node not in self.read and self.may_end_in(function)

    def may_end_in(self, function: Function) -> bool:
        """Whether a wire may end in a function: whether it is worth reading by itself."""
        return isinstance(function.node, ast.Lambda) or self.relevance.can_end(
            function.frame.module, function.node
        )

    def matters(self, function: Function) -> bool:
        """Whether a function can do anything with tensors by itself."""
        return isinstance(function.node, ast.Lambda) or self.relevance.matters(
            function.frame.module, function.node
        )

    def read_apart(self, function: Function, receiver: Value | None) -> None:
        """Read a function with unknown arguments; nothing that it changes stays."""
        if self.root_depth is not None:
            self.store.push()
            enter_with_unknowns(self, function, receiver)
            self.store.pop()
            return
        with self._apart():
            enter_with_unknowns(self, function, receiver)

    def value_after(self, method: Function, owner: Instance, name: str) -> Value:
        """What a method makes of an attribute of its object; nothing else that is old changes."""
        start, depth = next_number(), len(self.store.layers)
        self.evaluating_setter = True
        self.store.push()
        try:
            enter_with_unknowns(self, method, owner)
            found = self.store.get((owner, name)) or UNKNOWN
            for (changed, key), value in self.store.since(depth).items():
                if getattr(changed, "number", 0) > start or (changed is owner and key == name):
                    self.store.layers[0][changed, key] = value
            return found
        finally:
            del self.store.layers[depth:]
            self.evaluating_setter = False

    @contextmanager
    def _apart(self, *, stays: bool = False) -> Iterator[None]:
        """Read something by itself, in a number of steps of its own."""
        depths, layers = self._depths(), len(self.store.layers)
        self.store.push()
        self.root_depth = layers
        self.allowed = min(self.steps + STEPS_OF_A_FUNCTION, self.allowed_in_all)
        sites, self.sites = self.sites, []
        try:
            yield
        except OutOfStepsError:
            if self.steps >= self.allowed_in_all:
                raise
            self.cut_short += 1
        finally:
            self.sites = sites
            changes = self.store.since(layers) if stays else {}
            del self.store.layers[layers:]
            self.store.layers[-1].update(changes)
            self._cut_back(depths)
            self.root_depth, self.allowed = None, self.allowed_in_all

    # What the parts of the engine ask of it.

    def step(self, number: int = 1) -> None:
        """Count a step."""
        self.steps += number
        if self.steps > self.allowed:
            raise OutOfStepsError

    def value(self, node: ast.expr, frame: Frame) -> Value:
        """What an expression is known to be."""
        self.steps += 1
        if self.steps > self.allowed:
            raise OutOfStepsError
        if self.expression_depth > DEEPEST_EXPRESSION:
            return UNKNOWN
        self.expression_depth += 1
        try:
            return expressions.value(self, node, frame)
        finally:
            self.expression_depth -= 1

    def call(
        self,
        function: Value,
        arguments: Sequence[Value],
        keywords: Mapping[str, Value],
        site: Site,
        frame: Frame,
    ) -> Value:
        """What a call gives."""
        return calls.call(self, function, arguments, keywords, site, frame)

    def block(self, body: Sequence[ast.stmt], frame: Frame) -> bool:
        """Read statements; whether the end of them is reached."""
        return statements.block(self, body, frame)

    def site(self, node: ast.AST) -> Site:
        """A node of the file that is being read."""
        return Site(self.frame_stack[-1].module.source, node)

    @contextmanager
    def in_frame(self, frame: Frame, site: Site) -> Iterator[None]:
        """Read the body of a function that was called from a site."""
        depth, self.expression_depth = self.expression_depth, 0
        self.frame_stack.append(frame)
        self.sites.append(site)
        try:
            yield
        finally:
            self.frame_stack.pop()
            self.sites.pop()
            self.expression_depth = depth

    def look_up(self, name: str, frame: Frame) -> Value:
        """What a name is known to be."""
        scope: Frame | None = frame
        while scope is not None:
            if name in scope.globals:
                scope = scope.module.frame
            if scope.outer is None:
                found = self.global_name(scope.module, name)
            else:
                found = self.store.get((scope, name))
            if found is not None:
                if self.root_depth is not None and (scope, name) in self.reassigned:
                    return UNKNOWN
                return self.resolve(found)
            if scope.outer is None and name not in expressions.BUILTINS:
                return self._from_stars(scope, name) or UNKNOWN
            scope = scope.outer
        return External(f"builtins.{name}") if name in expressions.BUILTINS else UNKNOWN

    def _from_stars(self, scope: Frame, name: str) -> Value | None:
        """A name that only ``from module import *`` can give; the last one wins."""
        if not scope.stars:
            return None
        key = scope, name
        if key not in self.starred:
            self.starred[key] = self._search_stars(scope, name, {scope})
        return self.starred[key]

    def _search_stars(self, scope: Frame, name: str, seen: set[Frame]) -> Value | None:
        # An index of hundreds of files is no place to look for a layer in.
        for star in reversed(scope.stars[:MOST_STARS]):
            found = self.resolve(star)
            if isinstance(found, ModuleValue):
                inner = found.module.frame
                if inner in seen:
                    continue
                seen.add(inner)
                value = self.global_name(found.module, name)
                if value is not None:
                    return self.resolve(value)
                value = self._search_stars(inner, name, seen)
                if value is not None:
                    return value
            elif isinstance(found, External) and name in objects.public_names(found.name):
                return External(f"{found.name}.{name}")
        return None

    def bind(self, name: str, value: Value, frame: Frame) -> None:
        """Give a name a value."""
        scope = frame
        if name in frame.globals:
            scope = frame.module.frame
        elif name in frame.nonlocals and frame.outer is not None:
            scope = frame.outer
        key = (scope, name)
        if scope is scope.module.frame and not isinstance(value, Deferred):
            before = self.store.get(key)
            if before is not None and before is not value:
                self.reassigned.add(key)
                if objects.carries(self, value) or objects.carries(self, before):
                    self.reassignments += 1
        self.store.set(key, value)

    def resolve(self, value: Value) -> Value:
        """Read the file that an imported name comes from."""
        if not isinstance(value, Deferred):
            return value
        if value in self.resolving:
            return UNKNOWN
        self.resolving.add(value)
        try:
            return self._imported(value)
        finally:
            self.resolving.discard(value)

    def _imported(self, value: Deferred) -> Value:
        module = self.project.find(value.importer, value.module)
        if value.name is None:
            if module is None:
                return External(value.module)
            self.load(module)
            return ModuleValue(module)
        if module is None:
            inner = self.project.find(value.importer, f"{value.module}.{value.name}")
            if inner is not None:
                self.load(inner)
                return ModuleValue(inner)
            return External(f"{value.module}.{value.name}")
        self.load(module)
        return self.member(module, value.name)

    def member(self, module: Module, name: str) -> Value:
        """A name of another file of the project, or a file of a package."""
        found = self.global_name(module, name)
        if found is not None:
            return self.resolve(found)
        starred = self._from_stars(module.frame, name)
        if starred is not None:
            return starred
        if module.is_package:
            inner = self.project.find(module, f"{module.name}.{name}")
            if inner is not None:
                self.load(inner)
                return ModuleValue(inner)
        return UNKNOWN

    # Containers.

    def container(self, flavour: str, contents: Contents, site: Site | None = None) -> Container:
        """A new list, tuple, dict or sequence of layers."""
        made = Container(flavour, site)
        self.fill(made, contents)
        return made

    def fill(self, container: Value, contents: Contents) -> None:
        """Change what is in a container."""
        if contents.items is not None and len(contents.items) > 256:
            contents = Contents(None, UNKNOWN)
        self.store.set((container, None), contents)

    def contents(self, container: Value) -> Contents:
        """What is in a container."""
        found = self.store.get((container, None))
        return found if isinstance(found, Contents) else Contents(None, UNKNOWN)

    def element(self, container: Value) -> Value | None:
        """What every item of a container is known to be; None where it is empty."""
        return self.store.element(self.contents(container))

    # Events.

    @property
    def evaluating(self) -> bool:
        """Whether what is being read validates, tests or predicts."""
        return any(
            frame.under_no_grad or _EVALUATING.match(frame.function_name)
            for frame in self.frame_stack
        )

    def _where(self, site: Site) -> tuple[Site, tuple[Site, ...], bool]:
        return site, tuple(self.sites), self.evaluating

    def note_application(
        self, effect: Effect, operation: str, given: Tensor, output: Tensor | None,
        dim: int | None, site: Site,
    ) -> None:  # fmt: skip
        """Record that an operation is applied to a tensor of which something is known."""
        if given.kind is None:
            return
        self.events.append(Applied(*self._where(site), effect, operation, given, output, dim))

    def note_axis_left_out(self, operation: str, site: Site) -> None:
        """Record that a softmax has no axis."""
        self.events.append(AxisLeftOut(*self._where(site), operation))

    def note_comparison(self, tensor: Tensor, number: float, site: Site) -> None:
        """Record that a tensor is compared with a number."""
        if tensor.kind is not None:
            self.events.append(Compared(*self._where(site), tensor, number))

    def note_score(self, metric: str, value: Value, of_ranks: bool, site: Site) -> None:
        """Record that a metric is given predictions."""
        if isinstance(value, Tensor) and value.kind is not None:
            self.events.append(Scored(*self._where(site), metric, value, of_ranks))

    def note_return(self, function: str, value: Value, site: Site) -> None:
        """Record what a function returns whose name promises probabilities."""
        if _PROBABILITIES.match(function) and isinstance(value, Tensor) and value.kind is not None:
            self.events.append(Returned(*self._where(site), function, value))

    def tagged(self, value: Value, model: Value) -> Value:
        """The output of a model, marked as such."""
        if isinstance(value, Tensor):
            if value.kind in (None, Kind.CLASS_INDEX) or len(value.models) >= 8:
                return value
            return replace(value, models=(*value.models, model))
        if isinstance(value, Container) and value.flavour in ("tuple", "list", "dict"):
            contents = self.contents(value)
            if contents.items is None:
                return value
            items = tuple((key, self.tagged(item, model)) for key, item in contents.items)
            return self.container(value.flavour, Contents(items), value.site)
        return value
