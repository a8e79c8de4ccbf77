"""What was found at an earlier run, as long as everything that it depends on is the same.

A reading is taken from the cache if every file that it was made from has the contents that it had,
and every name of a module that was looked up for it means the file that it meant, or still none.
A file is taken to have its old contents without being read if its stamp, taken while it had rested
for a while, is still the same. Settings are no part of this: they only say what is shown.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from xent.wiring._files._cache_entries import Entry, Lookup, Need, dump, load
from xent.wiring._files._contents import Files, Stamp, digest, read_file, stamp_of
from xent.wiring._files._paths import Reach
from xent.wiring._files._project import Project, package_root
from xent.wiring._files._reading import Reading
from xent.wiring._files._source import UnreadableError
from xent.wiring._files._workers import Result, Targets

FOLDER = ".xent_cache"
_TAG = """Signature: 8a477f597d28d172789f06886806bc55
# This folder is a cache of xent check. It can be deleted at any time.
# https://bford.info/cachedir/ says what this file is for.
"""
# Seconds after which a file of the cache that nobody has written is deleted.
_KEPT_FOR = 30 * 24 * 3600


@cache
def fingerprint() -> str:
    """What tells this checker from any other: its version, its code and Python's version."""
    import xent

    folder = Path(__file__).parent.parent
    code = [
        f"{path.relative_to(folder).as_posix()} {digest(path.read_bytes())}"
        for path in sorted(folder.rglob("*.py"))
    ]
    return digest("\n".join([xent.__version__, sys.version, *code]).encode())


def cache_folder(paths: Sequence[str | Path]) -> Path:
    """Where the cache of paths is kept: beside the settings that hold there.

    That is beside the nearest pyproject.toml at or above the first path, in the top folder of a
    Git repository, or else in the working directory.
    """
    first = Path(paths[0]).absolute()
    for folder in (first, *first.parents):
        if (folder / "pyproject.toml").is_file() or (folder / ".git").exists():
            return folder / FOLDER
    return Path.cwd() / FOLDER


class Cache:
    """The readings of earlier runs that began imports at the same places.

    Args:
        folder: where it is kept.
        reach: where imports begin and where they are followed.
        names: how reports call the files that are checked.
    """

    def __init__(self, folder: Path, reach: Reach, names: dict[Path, str]) -> None:
        self.folder = folder.absolute()
        self.problem = ""
        self._files = Files(names)
        self._project = Project(reach.roots, self._files, (), reach.inside)
        places = [str(Path.cwd()), *map(str, reach.roots), "", *map(str, reach.inside)]
        key = digest("\0".join(places).encode("utf-8", "surrogatepass"))
        self.file = self.folder / f"check-{key[:20]}.json"
        self._entries = load(self.file, fingerprint())
        self._needs: list[Need | bool] = list(self._entries.needs)
        self._lookups: list[Lookup | bool] = list(self._entries.lookups)
        self._digests: dict[str, str] = {}
        self._new: list[Result] = []
        self._stamps: dict[str, tuple[str, Stamp]] = {}

    def reading(self, targets: Targets) -> Reading | None:
        """What an earlier run has found in files, if it is what this run would find."""
        entry = self._entries.readings.get(tuple(map(str, targets)))
        try:
            return None if entry is None or not self._holds(entry) else entry.reading()
        except (ValueError, TypeError, IndexError):
            return None

    def add(self, result: Result) -> None:
        """Keep what this run has found."""
        if result.needs.certain:
            self._new.append(result)

    def _holds(self, entry: Entry) -> bool:
        """Whether all that a reading depends on is the same; each thing is looked at only once."""
        for number in entry.needs:
            need = self._needs[number]
            if not isinstance(need, bool):
                need = self._needs[number] = self._file_is_same(*need)
            if not need:
                return False
        for number in entry.lookups:
            lookup = self._lookups[number]
            if not isinstance(lookup, bool):
                lookup = self._lookups[number] = self._name_means_the_same(*lookup)
            if not lookup:
                return False
        return True

    def _file_is_same(self, path: str, contents: str, shown: str, root: str) -> bool:
        where = Path(path)
        return (
            self._files.shown(where) == shown
            and str(package_root(where.parent)) == root
            and self._digest(path) == contents
        )

    def _name_means_the_same(self, folder: str, name: str, found: str | None) -> bool:
        now = self._project.look_up(Path(folder), name)
        return (None if now is None else str(now)) == found

    def _digest(self, path: str) -> str:
        """The digest of what is in a file; empty where it can't be read."""
        if path not in self._digests:
            self._digests[path] = self._known(path) or self._read(path)
        return self._digests[path]

    def _known(self, path: str) -> str:
        """The digest that an earlier run has found, if the file has not changed since."""
        known = self._entries.stamps.get(path)
        if known is None:
            return ""
        try:
            return known[0] if stamp_of(os.stat(path)) == known[1] else ""  # noqa: PTH116
        except (OSError, ValueError):
            return ""

    def _read(self, path: str) -> str:
        try:
            data, stamp = read_file(Path(path))
        except UnreadableError:
            return ""
        found = digest(data)
        if stamp:
            self._stamps[path] = found, stamp
        return found

    def save(self) -> None:
        """Write what is new; where that can't be done the next run has what this one had."""
        if not self._new and not self._stamps:
            return
        try:
            _make(self.folder)
            # Another run may have written since: what it has found holds as well.
            entries = load(self.file, fingerprint())
            entries.stamps |= self._stamps
            for result in self._new:
                entries.add(result.targets, result.reading, result.needs)
                entries.stamps |= {
                    str(path): known for path, known in result.stamps.items() if known[1]
                }
            entries.forget_deleted()
            _replace(self.file, dump(entries, fingerprint()))
            _tidy(self.folder)
        except OSError as error:
            self.problem = f"{self.folder}: {error.strerror or type(error).__name__}"
        self._new, self._stamps = [], {}


def _make(folder: Path) -> None:
    """A folder that version control and backups leave alone."""
    if folder.is_dir():
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    (folder / "CACHEDIR.TAG").write_text(_TAG, encoding="utf-8")


def _replace(file: Path, data: bytes) -> None:
    """Write a file at once: whoever reads it finds the old contents or the new."""
    from tempfile import mkstemp

    number, name = mkstemp(prefix="writing-", dir=file.parent)
    try:
        with os.fdopen(number, "wb") as stream:
            stream.write(data)
        Path(name).replace(file)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _tidy(folder: Path) -> None:
    """Delete what has long been of no use."""
    for pattern in ("check-*.json", "writing-*"):
        for file in folder.glob(pattern):
            with contextlib.suppress(OSError):
                if file.stat().st_mtime < time.time() - _KEPT_FOR:
                    file.unlink()
