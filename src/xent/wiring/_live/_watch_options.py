"""The options of a watch, as a function and as a callback."""

from __future__ import annotations

from xent._errors import InputError
from xent.wiring._live._check import MODES


def check_watch_options(
    where: str, batches: object, mode: object, ignore: object, *, endless: bool
) -> None:
    """Refuse options that no watch has.

    Args:
        where: ``watch`` or ``LossCheck``.
        batches: a number of at least 1.
        mode: one of ``MODES``.
        ignore: codes, beginnings of codes or names of rules.
        endless: whether ``batches`` may be None.

    Raises:
        InputError: that says which, and what it must be.
    """
    whole = isinstance(batches, int) and not isinstance(batches, bool) and batches >= 1
    if not whole and not (endless and batches is None):
        required = "a number of at least 1" + (", or None" if endless else "")
        raise InputError(f"{where}: batches", required, repr(batches), "Try batches=3.")
    if mode not in MODES:
        listed = ", ".join(repr(each) for each in MODES)
        raise InputError(f"{where}: mode", f"one of {listed}", repr(mode), 'Try mode="warn".')
    words = ignore if isinstance(ignore, tuple | list | set | frozenset) else (None,)
    if not all(isinstance(word, str) and word for word in words):
        required, repair = "a tuple of codes such as XE604", 'Try ignore=("XE604",).'
        raise InputError(f"{where}: ignore", required, repr(ignore), repair)
