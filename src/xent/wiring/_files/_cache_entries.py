"""The file of a cache: readings, what each depends on, and stamps of files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xent.wiring._files._contents import Stamp, digest
from xent.wiring._files._plain import plain, rebuilt
from xent.wiring._files._reading import Needs, Reading

# Bytes of a file that is still read.
LARGEST_CACHE = 256 * 1024 * 1024

# Paths are kept as strings. A file: path, digest, name in reports, folder where packages begin.
Need = tuple[str, str, str, str]
Lookup = tuple[str, str, str | None]
Names = tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """A reading, and what it depends on by numbers in the tables.

    Args:
        needs: files.
        lookups: names of modules.
        found: the reading as ``plain`` gives it; None where there is nothing in it.
    """

    needs: tuple[int, ...]
    lookups: tuple[int, ...]
    found: Any

    def reading(self) -> Reading:
        """The reading; ValueError where it is none."""
        if self.found is None:
            return Reading()
        reading: Reading = rebuilt(Reading, self.found)
        return reading


@dataclass
class Entries:
    """What is in a file of the cache.

    Args:
        needs: every file with every digest that a reading depends on.
        lookups: every name of a module that one depends on.
        stamps: of files, with the digest of what was in them.
        readings: by the files that were read together.
    """

    needs: dict[Need, int] = field(default_factory=dict)
    lookups: dict[Lookup, int] = field(default_factory=dict)
    stamps: dict[str, tuple[str, Stamp]] = field(default_factory=dict)
    readings: dict[Names, Entry] = field(default_factory=dict)

    def add(self, targets: Iterable[Path], reading: Reading, needs: Needs) -> None:
        """Put in a reading, in place of what there was of these files."""
        files = [
            (str(path), contents, shown, str(root)) for path, contents, shown, root in needs.files
        ]
        lookups = [
            (str(folder), name, None if found is None else str(found))
            for folder, name, found in needs.lookups
        ]
        self.readings[tuple(map(str, targets))] = Entry(
            tuple(self.needs.setdefault(each, len(self.needs)) for each in files),
            tuple(self.lookups.setdefault(each, len(self.lookups)) for each in lookups),
            None if reading == Reading() else plain(reading),
        )

    def forget_deleted(self) -> None:
        """Drop what there is of files that are no more."""
        gone = {
            path
            for path in {each for names in self.readings for each in names} | set(self.stamps)
            if not os.path.lexists(path)
        }
        for names in [each for each in self.readings if not gone.isdisjoint(each)]:
            del self.readings[names]
        for path in gone:
            self.stamps.pop(path, None)


def dump(entries: Entries, fingerprint: str) -> bytes:
    """The contents of a file: a line that says by whom it is, and what was found."""
    needs, lookups = _Table(list(entries.needs)), _Table(list(entries.lookups))
    readings = [
        [list(names), needs.numbers(entry.needs), lookups.numbers(entry.lookups), entry.found]
        for names, entry in entries.readings.items()
    ]
    stamps = [[path, contents, *stamp] for path, (contents, stamp) in entries.stamps.items()]
    body = json.dumps([needs.rows, lookups.rows, stamps, readings], separators=(",", ":")).encode()
    return f"xent check {fingerprint} {digest(body)}\n".encode() + body


class _Table:
    """The rows of a table that something still refers to, numbered anew."""

    def __init__(self, known: list[Any]) -> None:
        self.rows: list[Any] = []
        self._known = known
        self._new: dict[int, int] = {}

    def numbers(self, old: Iterable[int]) -> list[int]:
        found = []
        for number in old:
            if number not in self._new:
                self._new[number] = len(self.rows)
                self.rows.append(self._known[number])
            found.append(self._new[number])
        return found


def load(file: Path, fingerprint: str) -> Entries:
    """What is in a file; nothing where it is broken or by another version of the checker."""
    try:
        if file.stat().st_size > LARGEST_CACHE:
            return Entries()
        head, _, body = file.read_bytes().partition(b"\n")
        if head != f"xent check {fingerprint} {digest(body)}".encode():
            return Entries()
        needs, lookups, stamps, readings = json.loads(body)
        return Entries(
            {tuple(row): number for number, row in enumerate(needs)},
            {tuple(row): number for number, row in enumerate(lookups)},
            {path: (contents, tuple(stamp)) for path, contents, *stamp in stamps},
            {
                tuple(names): Entry(tuple(files), tuple(words), found)
                for names, files, words, found in readings
            },
        )
    except (OSError, ValueError, TypeError, RecursionError):
        return Entries()
