"""Writing a file that was changed: all of it or nothing, and as the file that it was."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path


class UnwritableError(Exception):
    """A file that can't be written; the text says why."""


def write(path: Path, before: bytes, after: bytes) -> None:
    """Put new contents in place of old ones, by way of a new file beside it.

    The mode stays, and of a symbolic link the file that it points to is replaced.

    Args:
        path: the file.
        before: what is in it; anything else means that it was changed meanwhile.
        after: what is to be in it.

    Raises:
        UnwritableError: the file is read-only, was changed meanwhile, or can't be written.
    """
    try:
        target = path.resolve(strict=True)
        status = target.stat()
        if not status.st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
            raise UnwritableError("it is read-only")
        if not os.access(target, os.W_OK):
            raise UnwritableError("no permission to write it")
        found = target.read_bytes()
        if found == after:  # by another name of it, or by another run
            return
        if found != before:
            raise UnwritableError("it was changed meanwhile")
        _replace(target, after, status)
    except OSError as error:
        raise UnwritableError(error.strerror or type(error).__name__) from None


def _replace(target: Path, data: bytes, status: os.stat_result) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(OSError):  # of another user: it then becomes that of this one
            owner = status.st_uid, status.st_gid
            if hasattr(os, "chown") and owner != (os.getuid(), os.getgid()):
                os.chown(name, *owner)
        Path(name).chmod(stat.S_IMODE(status.st_mode))
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
