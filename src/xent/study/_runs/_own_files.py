"""The source files behind modules of the user's own: theirs, and those of all that they import.

Import statements count wherever they stand, also inside functions, and so does
``importlib.import_module`` of a name that is written out. Nothing is imported to find them.
"""

from __future__ import annotations

import ast
import dis
import functools
import hashlib
import os
import site
import sys
import sysconfig
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import CodeType

_INSTALLED = tuple(
    Path(folder).resolve()
    for folder in (
        *(sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib", "platstdlib")),
        site.getusersitepackages(),
    )
)
_INSTALLED_NAMES = {"site-packages", "dist-packages"}
_IMPORTERS = {"import_module", "__import__"}

# What a loaded module's file held when it was first read, by the module's name: code that was
# edited since then is not the code that runs. A module that is loaded again has another spec.
_first_read: dict[str, tuple[object, str]] = {}


@dataclass(frozen=True)
class Files:
    """What is known of some modules' files.

    Args:
        texts: a line for each file: name of the module and hash of its content.
        doubts: why these may not be the code that runs; empty where they are.
    """

    texts: tuple[str, ...]
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class _Located:
    """Where a module is: its file, if it has one, and for packages where their modules are."""

    file: Path | None
    folders: tuple[str, ...]
    spec: object


def is_own(module: str | None) -> bool:
    """Whether a module is neither Python's, nor installed, nor this package."""
    name = module or ""
    package = name.split(".", 1)[0]
    if package == "__main__":
        return True
    if package == "xent":
        return False
    found = _loaded(name)
    if found is not None and (found.file or found.folders):
        return _is_own_place(found)
    return package != "builtins" and package not in sys.stdlib_module_names


def files_behind(modules: Iterable[str]) -> Files:
    """The files of modules and of everything of the user's own that they import."""
    texts: dict[str, str] = {}
    doubts = []
    waiting: deque[tuple[str, str]] = deque((name, os.curdir) for name in sorted(modules))
    asked: set[str] = set()
    while waiting:
        name, beside = waiting.popleft()
        top = name.split(".", 1)[0]
        # Functions that were typed in, or stand in the script itself, count one by one.
        if name in asked or top in ("xent", "__main__"):
            continue
        asked.add(name)
        found = _locate(name, beside)
        if found is None or found.file is None or not _is_own_place(found):
            continue
        try:
            content = found.file.read_bytes()
        except OSError:
            doubts.append(f"module {name}, whose file can't be read")
            continue
        texts[name] = hashlib.sha256(content).hexdigest()
        if _is_edited(name, found.spec, texts[name]):
            doubts.append(f"module {name}, which was edited after it was loaded")
        package = name if found.folders else name.rpartition(".")[0]
        if found.file.suffix in (".py", ".pyw"):
            folder = str(found.file.parent)
            waiting.extend((other, folder) for other in _imports(content, package))
        waiting.extend((parent, beside) for parent in _parents(name))
    return Files(tuple(f"{name} {texts[name]}" for name in sorted(texts)), tuple(doubts))


def _is_edited(name: str, spec: object, digest: str) -> bool:
    """Whether a loaded module's file held something else before; ``spec`` is None if not loaded."""
    before, first = _first_read.get(name, (None, digest))
    # A module that was read and then loaded is taken to have been loaded as it was read.
    if spec is None or (before is not None and before is not spec):
        first = digest
    _first_read[name] = spec, first
    return first != digest


def imports_of(code: CodeType, package: str) -> Iterator[str]:
    """Names of the modules that a function imports when it runs, and of what may be some."""
    level: object = 0
    names: object = ()
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME":
            depth = level if isinstance(level, int) else 0
            members = names if isinstance(names, tuple) else ()
            yield from _modules(step.argval, depth, members, package)
        level, names = names, step.argval
    if _IMPORTERS & set(code.co_names):
        for constant in code.co_consts:
            if isinstance(constant, str) and constant.replace(".", "").isidentifier():
                yield from _named(constant, package)


@functools.lru_cache(4096)
def _imports(content: bytes, package: str) -> tuple[str, ...]:
    """Names of the modules that a file imports, and of what may be some."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError):
        return ()
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            members = [alias.name for alias in node.names]
            names += _modules(node.module or "", node.level, members, package)
        elif isinstance(node, ast.Call) and node.args:
            called = getattr(node.func, "attr", getattr(node.func, "id", None))
            given = [each.value for each in node.args[:2] if isinstance(each, ast.Constant)]
            if called in _IMPORTERS and given and isinstance(given[0], str):
                anchor = given[1] if len(given) > 1 and isinstance(given[1], str) else package
                names += _named(given[0], anchor)
    return tuple(dict.fromkeys(names))


def _named(name: str, package: str) -> Iterator[str]:
    """A module by the name that ``import_module`` takes, with dots in front where relative."""
    bare = name.lstrip(".")
    return _modules(bare, len(name) - len(bare), (), package)


def _modules(module: str, level: int, members: Iterable[str], package: str) -> Iterator[str]:
    """The module of one import statement and its members, which may be modules as well."""
    if level:
        above = package.split(".")
        base = ".".join(above[: len(above) - level + 1])
        module = f"{base}.{module}".strip(".")
    if module:
        yield module
    for member in members:
        if member != "*":
            yield f"{module}.{member}".strip(".")


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _loaded(name: str) -> _Located | None:
    module = sys.modules.get(name)
    if module is None:
        return None
    # Not by attribute: modules that load lazily would load.
    names = getattr(module, "__dict__", {})
    file, folders = names.get("__file__"), names.get("__path__", ())
    with suppress(Exception):
        folders = tuple(map(str, folders))
    return _Located(Path(file) if isinstance(file, str) else None, folders, names.get("__spec__"))


def _locate(name: str, beside: str) -> _Located | None:
    """A module that is loaded or can be; ``beside`` is the folder of the one that imports it."""
    loaded = _loaded(name)
    if loaded is not None:
        return loaded
    parent = name.rpartition(".")[0]
    if not parent:
        spec = _find(name, None) or _find(name, (beside, str(Path.cwd())))
    else:
        above = _locate(parent, beside)
        if above is None or not above.folders or not _is_own_place(above):
            return None
        spec = _find(name, above.folders)
    if spec is None:
        return None
    file = Path(spec.origin) if spec.has_location and spec.origin else None
    return _Located(file, tuple(spec.submodule_search_locations or ()), None)


def _find(name: str, folders: tuple[str, ...] | None) -> ModuleSpec | None:
    finders = sys.meta_path if folders is None else (PathFinder,)
    for finder in finders:
        with suppress(Exception):  # finders are anyone's
            spec = finder.find_spec(name, folders)
            if spec is not None:
                return spec
    return None


def _is_own_place(found: _Located) -> bool:
    places = [found.file] if found.file is not None else [Path(each) for each in found.folders]
    return any(not _is_installed(str(place)) for place in places)


@functools.lru_cache(4096)
def _is_installed(place: str) -> bool:
    # As named and as it is: installers link into caches, and projects into installed folders.
    return any(
        not _INSTALLED_NAMES.isdisjoint(path.parts)
        or any(path.is_relative_to(folder) for folder in _INSTALLED)
        for path in (Path(place).absolute(), Path(place).resolve())
    )
