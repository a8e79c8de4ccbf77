"""Who is at a task: processes of one machine that share a run folder don't train the same twice.

A claim is a lock of the operating system's, which goes with its process however that ends.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def claim(folder: Path, key: str, *, wait: bool = False) -> Iterator[bool]:
    """Claim a task until the block ends; yields False where another process has it.

    Where there are no locks every task can be claimed: then some are trained twice, no more.

    Args:
        folder: of the run.
        key: of the task's first trial.
        wait: until no other has it, instead of giving up.
    """
    name = hashlib.sha256(f"{folder.absolute()}\n{key}".encode()).hexdigest()[:32]
    # Not in the folder, which is made with the first trial that is finished.
    path = Path(tempfile.gettempdir()) / f"xent-{name}.claim"
    try:
        file = path.open("ab")
    except OSError:
        yield True
        return
    with file:
        if not _lock(file, wait=wait):
            yield False
            return
        try:
            yield True
        finally:
            with suppress(OSError):  # on Windows one that another waits for
                path.unlink()
            with suppress(OSError):
                _unlock(file)


if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO, *, wait: bool) -> bool:
        while True:
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
                return True
            except PermissionError:
                if not wait:
                    return False
            except OSError:
                if not wait:
                    return True

    def _unlock(file: BinaryIO) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(file: BinaryIO, *, wait: bool) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def _unlock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
