"""Files as they are read, with what tells later whether they have changed."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path

from xent.wiring._files._source import LARGEST_FILE, Source, UnreadableError, parse

# Times of a file, its size and its number; empty while a change could still leave them the same.
Stamp = tuple[int, ...]
# A file that has rested for so long, in nanoseconds, shows its next change in its times: longer
# than the steps in which any common file system counts.
RESTED = 2_000_000_000
# Characters of the files whose statements are kept: trees take some fifty times as many bytes.
MOST_KEPT = 2_000_000


def stamp_of(status: os.stat_result) -> Stamp:
    """What changes when the file does: both times, the size and the number of the file."""
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def rested(stamp: Stamp) -> Stamp:
    """The stamp, if the file has rested long enough for it to be trusted; else an empty one."""
    return stamp if max(stamp[:2]) + RESTED < time.time_ns() else ()


def digest(data: bytes) -> str:
    """What tells contents of files apart."""
    from hashlib import blake2b

    return blake2b(data, digest_size=16).hexdigest()


def read_file(path: Path) -> tuple[bytes, Stamp]:
    """What is in a file, and its stamp; raises UnreadableError."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableError("not a regular file")
        if status.st_size > LARGEST_FILE:
            raise UnreadableError(f"larger than {LARGEST_FILE // 2**20} MiB")
        before = rested(stamp_of(status))
        data = path.read_bytes()
        unchanged = before == stamp_of(path.stat()) and len(data) == status.st_size
        return data, before if unchanged else ()
    except OSError as error:
        raise UnreadableError(error.strerror or type(error).__name__) from None


class Files:
    """The files that one process reads: the last ones that were parsed are kept.

    Args:
        names: how reports call the files that are to be reported on.
        texts: what stands in files that are not read from disk.
    """

    def __init__(self, names: Mapping[Path, str], texts: Mapping[Path, bytes] | None = None):
        self.names = names
        self.digests: dict[Path, str] = {}
        self.stamps: dict[Path, Stamp] = {}
        self._texts = texts or {}
        self._last: tuple[Path, bytes] | None = None
        self._kept: dict[Path, tuple[Source, str]] = {}
        self._characters = 0

    def shown(self, path: Path) -> str:
        """How reports call a file."""
        return self.names.get(path) or shown(path)

    def data(self, path: Path) -> bytes:
        """What is in a file; raises UnreadableError."""
        if self._last is not None and self._last[0] == path:
            return self._last[1]
        if path in self._texts:
            self.digests[path], self.stamps[path] = "", ()
            return self._texts[path]
        self.digests[path] = ""
        data, self.stamps[path] = read_file(path)
        self.digests[path] = digest(data)
        self._last = path, data
        return data

    def source(self, path: Path) -> tuple[Source, str]:
        """A file with its statements, and the digest of its contents; raises UnreadableError."""
        kept = self._kept.pop(path, None)
        if kept is None:
            data = self.data(path)
            source = parse(self.shown(path), data, notebook=path.suffix == ".ipynb")
            kept = source, self.digests.get(path, "")
            self._characters += len(source.text)
        self._kept[path] = kept  # the last one in is the last one out
        while self._characters > MOST_KEPT and len(self._kept) > 1:
            oldest, _ = self._kept.pop(next(iter(self._kept)))
            self._characters -= len(oldest.text)
        return kept


def shown(path: Path) -> str:
    """How reports call a file that was not asked for: from the working directory, if it is there.

    >>> shown(Path.cwd() / "models" / "net.py") == str(Path("models/net.py"))
    True
    """
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
