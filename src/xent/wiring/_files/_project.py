"""The files that may be read: imports are followed inside them and never outside."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Container
from functools import cache
from pathlib import Path

from xent.wiring._files._contents import Files
from xent.wiring._files._source import Source, UnreadableError
from xent.wiring._flow._names import is_torch
from xent.wiring._flow._top_level import TopLevel, top_level
from xent.wiring._flow._values import Frame


class Module:
    """A file as a module.

    Args:
        path: where it is.
        source: what is in it.
        name: its name with those of its packages, such as ``models.nets``.
        package: the folder of its outermost package's parent.
        is_target: whether it is to be reported on.
    """

    def __init__(
        self, path: Path, source: Source, name: str, package: Path, *, is_target: bool
    ) -> None:
        self.path = path
        self.source = source
        self.name = name
        self.package = package
        self.is_target = is_target
        self.is_package = path.name == "__init__.py"
        self.frame = Frame(self)
        self.started = False
        # Whether all of it is read in order, as the file that is checked.
        self.running = False
        self.done: set[ast.stmt] = set()

    @property
    def top_level(self) -> TopLevel:
        """Its statements by what they are about."""
        known = self.source.__dict__
        if "top_level" not in known:
            known["top_level"] = top_level(self.source.body)
        found: TopLevel = known["top_level"]
        return found


@cache
def _python_files(folder: str) -> frozenset[str]:
    """The names of the Python files of a folder; to list it once is faster than to ask for each."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(
                entry.name for entry in entries if entry.name.endswith(".py") and entry.is_file()
            )
    except (OSError, ValueError):
        return frozenset()


def _is_file(folder: str, name: str) -> bool:
    return name in _python_files(folder)


@cache
def package_root(folder: Path) -> Path:
    """The folder from which imports of a folder's files begin: the first that is no package."""
    for _ in range(64):
        if not _is_file(str(folder), "__init__.py") or folder.parent == folder:
            return folder
        folder = folder.parent
    return folder


def look_anew() -> None:
    """Forget which files there were."""
    _python_files.cache_clear()
    package_root.cache_clear()


class Project:
    """Modules by file, each read at most once.

    Args:
        roots: the folders at which names of modules may begin.
        files: what is in files, and how reports call them.
        targets: the files that are checked; the rest of the project is what they import.
        inside: the folders in which imports are followed; those at the roots if left out.
    """

    def __init__(
        self,
        roots: tuple[Path, ...],
        files: Files,
        targets: Container[Path],
        inside: tuple[Path, ...] = (),
    ) -> None:
        self.roots = roots
        self.inside = frozenset(inside or roots)
        self.targets = targets
        self.modules: dict[Path, Module | None] = {}
        # What the reading depends on: contents of files, and which names mean a file or none.
        self.digests: dict[Path, str] = {}
        self.lookups: dict[tuple[Path, str], Path | None] = {}
        self.problems: dict[str, list[str]] = {}
        self.may_still_read = sys.maxsize
        self._files = files
        self._bases: dict[Path, list[str]] = {}

    def module_at(self, path: Path) -> Module | None:
        """The module of a file; None where it can't be read."""
        if path not in self.modules:
            self.modules[path] = self._read(path)
        return self.modules[path]

    def _read(self, path: Path) -> Module | None:
        try:
            source, self.digests[path] = self._files.source(path)
        except UnreadableError as error:
            self.digests[path] = self._files.digests.get(path, "")
            self.problems.setdefault(self._files.shown(path), []).append(str(error))
            return None
        if source.problems:
            self.problems.setdefault(source.path, []).extend(source.problems)
        root = package_root(path.parent)
        parts = [*path.relative_to(root).parts[:-1], path.stem]
        if parts[-1] == "__init__":
            parts.pop()
        module = Module(path, source, ".".join(parts), root, is_target=path in self.targets)
        # What is known of a file is kept with it: what was asked for that is needed here too.
        for name in source.__dict__.get("asked", ()):
            self._file(module, name)
        return module

    def absolute(self, importer: Module, name: str | None, level: int) -> str:
        """The full name of what ``from .name import`` means in a file."""
        if not level:
            return name or ""
        parts = importer.name.split(".") if importer.name else []
        keep = len(parts) - level + (1 if importer.is_package else 0)
        return ".".join([*parts[: max(keep, 0)], *([name] if name else [])])

    def find(self, importer: Module, name: str) -> Module | None:
        """The module that a name means in a file, if it is a file of the project."""
        path = self._file(importer, name)
        if path is None or path in self.modules:
            return None if path is None else self.modules[path]
        if self.may_still_read <= 0:
            return None
        self.may_still_read -= 1
        return self.module_at(path)

    def knows(self, importer: Module, name: str) -> bool:
        """Whether a module name means a file of the project."""
        importer.source.__dict__.setdefault("asked", {})[name] = None
        return self._file(importer, name) is not None

    def _file(self, importer: Module, name: str) -> Path | None:
        key = (importer.path.parent, name)
        if key not in self.lookups:
            self.lookups[key] = self.look_up(*key)
        return self.lookups[key]

    def look_up(self, folder: Path, name: str) -> Path | None:
        """The file that the name of a module means in the files of a folder."""
        if not name or is_torch(name) or name.partition(".")[0] in sys.stdlib_module_names:
            return None
        if folder not in self._bases:
            self._bases[folder] = [str(base) for base in self._bases_of(folder)]
        *packages, last = name.split(".")
        for base in self._bases[folder]:
            within = os.path.join(base, *packages) if packages else base  # noqa: PTH118
            for place, file in ((within, f"{last}.py"), (f"{within}{os.sep}{last}", "__init__.py")):
                if _is_file(place, file):
                    candidate = Path(place, file)
                    if self._inside(candidate):
                        return candidate
        return None

    def _bases_of(self, folder: Path) -> list[Path]:
        above = [folder, *folder.parents]
        folders = [folder, package_root(folder)]
        for root in self.roots:
            folders += [root, root / "src"]
            if root in above:
                folders += [each for each in above if root in each.parents]
        return list(dict.fromkeys(folders))

    def _inside(self, path: Path) -> bool:
        return any(folder in self.inside for folder in path.parents)
