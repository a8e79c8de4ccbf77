"""Text of other people's that is about to be shown: names come from the user's data."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Escape what terminals obey, XML can't hold or nobody can see: names come from the data.

    >>> printable("a\x1b[31m\n")
    'a\\x1b[31m\\n'
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )
