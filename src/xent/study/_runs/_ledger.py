"""The ledger of a run folder: one line for each finished trial, appended and never changed.

``trials.jsonl`` says which trials a rerun may skip. Lines are appended under a lock, after the
arrays of their trials are in place, and are on the disk before the run goes on. A process that is
killed in the middle of a line leaves a piece of one: it is no JSON object, so it counts for
nothing, and the next line begins on a line of its own.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

NAME = "trials.jsonl"


@dataclass(frozen=True)
class Ledger:
    """A file of lines, each a JSON object with a ``key``; several processes may share it.

    Args:
        path: the file, which is made with its first line.
    """

    path: Path

    def read(self) -> dict[str, dict[str, object]]:
        """The lines by their key: the first of a key counts, and what is no whole line does not.

        Raises:
            OSError: the file is there and can't be read.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        lines: dict[str, dict[str, object]] = {}
        for piece in content.split(b"\n"):
            line = _parse(piece)
            if line is not None:
                lines.setdefault(str(line["key"]), line)
        return lines

    def keys_after(self, place: int) -> tuple[set[str], int]:
        """The keys of the whole lines after so many bytes, and where the next ones will begin.

        Raises:
            OSError: the file is there and can't be read.
        """
        try:
            with self.path.open("rb") as file:
                # A file that is shorter than it was is another one.
                place = 0 if file.seek(0, os.SEEK_END) < place else place
                file.seek(place)
                content = file.read()
        except FileNotFoundError:
            return set(), 0
        end = content.rfind(b"\n") + 1
        found = (_parse(piece) for piece in content[:end].split(b"\n"))
        return {str(line["key"]) for line in found if line is not None}, place + end

    def append(self, lines: Sequence[Mapping[str, object]]) -> None:
        """Append lines, all in one write, and wait until they are on the disk.

        Raises:
            OSError: they can't be written; a piece of them may be there then, which harms nothing.
        """
        text = b"".join(json.dumps(dict(line), allow_nan=False).encode() + b"\n" for line in lines)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b", buffering=0) as file, _locked(file):
            _write_whole(file, text if _ends_with_a_line(file) else b"\n" + text)
            os.fsync(file.fileno())


def _parse(piece: bytes) -> dict[str, object] | None:
    try:
        line = json.loads(piece)
    except ValueError:  # also of bytes that are no text
        return None
    return line if isinstance(line, dict) and isinstance(line.get("key"), str) else None


def _ends_with_a_line(file: BinaryIO) -> bool:
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return True
    file.seek(size - 1)
    return file.read(1) == b"\n"


def _write_whole(file: BinaryIO, text: bytes) -> None:
    rest = memoryview(text)
    while rest:
        rest = rest[file.write(rest) :]


@contextmanager
def _locked(file: BinaryIO) -> Iterator[None]:
    """Keep other processes and threads from appending meanwhile.

    File systems without locks are used without: a line is one write at the end of the file.
    """
    with suppress(OSError):
        _lock(file)
    try:
        yield
    finally:
        with suppress(OSError):
            _unlock(file)


if sys.platform == "win32":
    import msvcrt

    # A byte that no ledger reaches: Windows would keep others from reading a locked one.
    _LOCKED_BYTE = 2**30

    def _lock(file: BinaryIO) -> None:
        file.seek(_LOCKED_BYTE)
        while True:
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # gives up after ten seconds
                return
            except PermissionError:
                continue

    def _unlock(file: BinaryIO) -> None:
        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)

    def _unlock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
