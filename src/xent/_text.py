"""Text of other people's that is about to be shown: names come from the user's data."""

from __future__ import annotations

_WIDEST, _NARROWEST = 100, 40


def printable(text: str) -> str:
    r"""Escape what terminals obey, XML can't hold or nobody can see: names come from the data.

    >>> printable("a\x1b[31m\n")
    'a\\x1b[31m\\n'
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def filled(text: str, width: int, indent: str = "") -> str:
    """A paragraph in lines of at most so many columns; words stay whole.

    >>> print(filled("softmax reaches cross-entropy", 20, indent="  "))
      softmax reaches
      cross-entropy
    """
    import textwrap  # most of what escapes text wraps none

    return textwrap.fill(
        text, width, initial_indent=indent, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def page_width() -> int:
    """How wide text is written: as the terminal is, 100 columns at most and without one."""
    import shutil

    columns = shutil.get_terminal_size((_WIDEST, 0)).columns
    return min(_WIDEST, max(_NARROWEST, columns))
