"""Which files are checked, and where imports in them are followed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from xent._errors import InputError
from xent.wiring._files._project import package_root
from xent.wiring._selection import is_like, selection_for

SUFFIXES = (".py", ".ipynb")
_LEFT_OUT = {
    "__pycache__", "node_modules", "venv", "env", "build", "dist", "site-packages",
}  # fmt: skip


@dataclass(frozen=True)
class Reach:
    """Where imports begin, and the folders inside which they are followed."""

    roots: tuple[Path, ...]
    inside: tuple[Path, ...]


def reach_of(paths: Sequence[str | Path]) -> Reach:
    """Imports are followed inside a folder that is given, and around a file: in its package."""
    roots: dict[Path, None] = {}
    inside: dict[Path, None] = {}
    for given in paths:
        path = Path(given).absolute()
        if not _exists(path):
            raise InputError(
                "check: PATH", "a file or a folder", repr(str(given)), "Look for a typo."
            )
        if path.is_dir():
            roots[package_root(path)] = roots[path] = inside[path] = None
        else:
            around = reach_around(path)
            roots[around.roots[0]] = inside[around.inside[0]] = None
    return Reach(tuple(roots), tuple(inside))


def _exists(path: Path) -> bool:
    """Whether a path means anything; one that is too long or may not be looked at does not."""
    try:
        return path.exists()
    except OSError:
        return False


def reach_around(path: Path) -> Reach:
    """The folder of a file, or the outermost package that it is in."""
    root = package_root(path.parent)
    top = path.parent if root == path.parent else root / path.relative_to(root).parts[0]
    return Reach((root,), (top,))


def files_of(paths: Sequence[str | Path]) -> dict[Path, str]:
    """The files to check, each with the name that reports give it."""
    found: dict[Path, str] = {}
    for given in paths:
        path = Path(given)
        if path.is_dir():
            for file in _walk(path):
                found.setdefault(file.absolute(), str(file))
        else:
            found.setdefault(path.absolute(), str(path))
    return found


def _walk(folder: Path) -> Iterable[Path]:
    """Files below a folder in order; links to folders are not followed, so there are no loops."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        patterns, root = _excluded_in(here)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _LEFT_OUT
            and not any(is_like(here / name, pattern, root) for pattern in patterns)
        )
        for name in sorted(files):
            if name.endswith(SUFFIXES) and not name.startswith("."):
                path = here / name
                if not any(is_like(path, pattern, root) for pattern in patterns):
                    yield path


def _excluded_in(folder: Path) -> tuple[tuple[str, ...], str]:
    """The patterns of what is left out in a folder, and where they begin."""
    selection = selection_for(folder.absolute())
    return selection.exclude, selection.root
