"""Checking files again while other texts stand in them, which nobody has written yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xent.wiring._check import Options, Report, check_edited, check_text
from xent.wiring._files._contents import read_file
from xent.wiring._files._reading import Reading
from xent.wiring._files._source import UnreadableError
from xent.wiring._files._workers import Result, Targets
from xent.wiring._fixes._edits import EditError


@dataclass(frozen=True)
class Change:
    """A file that fixes change.

    Args:
        path: the file, as reports name it.
        before: what is in it.
        after: what is to be in it.
    """

    path: str
    before: bytes
    after: bytes


@dataclass(frozen=True)
class Edited:
    """Files whose texts may be others than those on disk.

    Args:
        check: what is found when texts stand in place of files, by the names of reports.
        read: what is in a file; raises EditError.
    """

    check: Callable[[Mapping[str, bytes]], Report]
    read: Callable[[str], bytes]


def edited_paths(paths: Sequence[str | Path], options: Options, jobs: int | None) -> Edited:
    """Files and folders; only what depends on a changed text is read again."""
    memory = _Memory()

    def check(texts: Mapping[str, bytes]) -> Report:
        memory.texts = {Path(path).absolute(): data for path, data in texts.items()}
        return check_edited(paths, options, memory, memory.texts, jobs)

    return Edited(check, _read)


def edited_text(data: bytes, name: str, options: Options) -> Edited:
    """Code that is in no file."""
    select, extend_select, ignore = options

    def check(texts: Mapping[str, bytes]) -> Report:
        text = texts.get(name, data)
        return check_text(text, name, select=select, extend_select=extend_select, ignore=ignore)

    return Edited(check, lambda _: data)


def _read(path: str) -> bytes:
    try:
        return read_file(Path(path))[0]
    except UnreadableError as error:
        raise EditError(str(error)) from None


class _Memory:
    """The readings of this run, each with the texts that it was made from."""

    def __init__(self) -> None:
        self.texts: dict[Path, bytes] = {}
        self._kept: dict[Targets, tuple[Reading, dict[Path, bytes | None]]] = {}

    def reading(self, targets: Targets) -> Reading | None:
        """A reading, if no file that it depends on has another text by now."""
        reading, needs = self._kept.get(targets, (None, {}))
        return (
            reading if all(self.texts.get(path) == text for path, text in needs.items()) else None
        )

    def add(self, result: Result) -> None:
        """Keep a reading."""
        needs = {path: self.texts.get(path) for path, *_ in result.needs.files}
        self._kept[result.targets] = result.reading, needs
