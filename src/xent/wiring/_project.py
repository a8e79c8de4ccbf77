"""The files that may be read: imports are followed inside them and never outside."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from xent.wiring._names import is_torch
from xent.wiring._source import Source, UnreadableError, parse, read_bytes
from xent.wiring._values import Frame


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


@cache
def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


@cache
def package_root(folder: Path) -> Path:
    """The folder from which imports of a folder's files begin: the first that is no package."""
    for _ in range(64):
        if not _is_file(folder / "__init__.py") or folder.parent == folder:
            return folder
        folder = folder.parent
    return folder


class Project:
    """Modules by file, each read at most once.

    Args:
        roots: the folders at which names of modules may begin.
        inside: the folders in which imports are followed; those at the roots if left out.
        names: how reports call the files that are to be reported on.
        texts: what stands in files that are not read from disk.
    """

    def __init__(
        self,
        roots: tuple[Path, ...],
        names: dict[Path, str],
        texts: dict[Path, bytes] | None = None,
        inside: tuple[Path, ...] = (),
    ) -> None:
        self.roots = roots
        self.inside = inside or roots
        self.names = names
        self.texts = texts or {}
        self.modules: dict[Path, Module | None] = {}
        self._found: dict[tuple[Path, str], Path | None] = {}
        self.problems: dict[str, list[str]] = {}
        self.may_still_read = sys.maxsize

    def module_at(self, path: Path) -> Module | None:
        """The module of a file; None where it can't be read."""
        if path not in self.modules:
            self.modules[path] = self._read(path)
        return self.modules[path]

    def _read(self, path: Path) -> Module | None:
        shown = self.names.get(path) or _shown(path)
        try:
            data = self.texts[path] if path in self.texts else read_bytes(path)
            source = parse(shown, data, notebook=path.suffix == ".ipynb")
        except UnreadableError as error:
            self.problems.setdefault(shown, []).append(str(error))
            return None
        if source.problems:
            self.problems.setdefault(shown, []).extend(source.problems)
        root = package_root(path.parent)
        parts = list(path.relative_to(root).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        return Module(path, source, ".".join(parts), root, is_target=path in self.names)

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
        return self._file(importer, name) is not None

    def _file(self, importer: Module, name: str) -> Path | None:
        key = (importer.path.parent, name)
        if key not in self._found:
            self._found[key] = self._search(importer, name)
        return self._found[key]

    def _search(self, importer: Module, name: str) -> Path | None:
        if not name or is_torch(name) or name.partition(".")[0] in sys.stdlib_module_names:
            return None
        tail = name.replace(".", "/")
        for base in self._bases(importer):
            for candidate in (base / f"{tail}.py", base / tail / "__init__.py"):
                if _is_file(candidate) and self._inside(candidate):
                    return candidate
        return None

    def _bases(self, importer: Module) -> list[Path]:
        folders = [importer.path.parent, importer.package]
        for root in self.roots:
            folders += [root, root / "src"]
            if root in importer.path.parents:
                near = [folder for folder in importer.path.parents if root in folder.parents]
                folders += near
        return list(dict.fromkeys(folders))

    def _inside(self, path: Path) -> bool:
        return any(folder in path.parents for folder in self.inside)


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
