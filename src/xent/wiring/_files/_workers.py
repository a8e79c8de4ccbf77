"""Reading in several processes; in this one where there is little to read."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from xent.wiring._files._contents import Files, Stamp
from xent.wiring._files._paths import Reach
from xent.wiring._files._reading import Needs, Reading

# Starting processes costs more than reading so few files.
FEW = 60
# Files that one process is given at once: few, so that progress shows and Ctrl-C loses little.
MOST_AT_ONCE = 10

Targets = tuple[Path, ...]


@dataclass(frozen=True)
class Result:
    """What reading some files together has given.

    Args:
        targets: the files.
        reading: what is found in them.
        needs: what that depends on.
        stamps: digest and stamp of each of the files that were read on the way.
    """

    targets: Targets
    reading: Reading
    needs: Needs
    stamps: dict[Path, tuple[str, Stamp]]


def read_all(
    work: Sequence[Targets],
    reach: Reach,
    names: dict[Path, str],
    jobs: int | None,
    texts: Mapping[Path, bytes] | None = None,
) -> Generator[Result]:
    """Read files, each by itself or some together; results come as they are ready."""
    many = min(jobs or _processors(), len(work))
    if many <= 1 or len(work) <= FEW:
        reader = _Reader(reach, names, texts)
        with _no_search_for_garbage():
            for targets in work:
                yield reader.read(targets)
    else:
        yield from _in_processes(work, reach, names, many, texts)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Reader:
    """Reads files of one run in one process."""

    def __init__(
        self, reach: Reach, names: dict[Path, str], texts: Mapping[Path, bytes] | None
    ) -> None:
        self.reach = reach
        self.files = Files(names, texts)

    def read(self, targets: Targets) -> Result:
        """Read one file, or some together."""
        from xent.wiring._files._reader import read_alone, read_together

        if len(targets) == 1:
            reading, needs = read_alone(targets[0], self.reach, self.files)
        else:
            reading, needs = read_together(targets, self.reach, self.files)
        files = self.files
        stamps = {path: (files.digests[path], files.stamps[path]) for path, *_ in needs.files}
        return Result(targets, reading, needs, stamps)


_READER: list[_Reader] = []


def _in_processes(
    work: Sequence[Targets],
    reach: Reach,
    names: dict[Path, str],
    many: int,
    texts: Mapping[Path, bytes] | None,
) -> Generator[Result]:
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import active_children, get_context

    size = max(1, min(MOST_AT_ONCE, len(work) // (4 * many)))
    context = get_context("forkserver" if os.name == "posix" else "spawn")
    before = set(active_children())
    with ProcessPoolExecutor(
        many, mp_context=context, initializer=_prepare, initargs=(reach, names, texts)
    ) as pool:
        waiting = [
            pool.submit(_read_here, work[start : start + size])
            for start in range(0, len(work), size)
        ]
        try:
            for done in as_completed(waiting):
                yield from done.result()
        except BaseException:  # Ctrl-C, or nobody wants the rest: what runs need not end first
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(active_children()) - before:
                process.terminate()
            raise


def _prepare(reach: Reach, names: dict[Path, str], texts: Mapping[Path, bytes] | None) -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one sees to it
    _READER[:] = [_Reader(reach, names, texts)]


def _read_here(work: Sequence[Targets]) -> list[Result]:
    with _no_search_for_garbage():
        return [_READER[0].read(targets) for targets in work]


@contextmanager
def _no_search_for_garbage() -> Generator[None]:
    """Trees of code live long and die by themselves: to look for garbage takes a fifth more."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
