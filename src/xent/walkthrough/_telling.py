"""Lines of text on a console: wrapped at its width, and no space after them."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def tell(
    console: Console,
    text: str = "",
    indent: int = 0,
    style: str = "",
    *,
    head: int | None = None,
    hanging: int = 0,
) -> None:
    """Print a paragraph.

    Args:
        console: where.
        text: what; an empty one is an empty line.
        indent: spaces before it.
        style: colour and weight, as rich names them.
        head: how many characters have the style; None for all.
        hanging: more spaces before each line but the first.
    """
    from rich.text import Text

    start = " " * indent
    wrapped = textwrap.wrap(
        text, console.width, initial_indent=start, subsequent_indent=start + " " * hanging,
        break_long_words=False, break_on_hyphens=False, drop_whitespace=True,
    )  # fmt: skip
    for number, line in enumerate(wrapped or [""]):
        shown = Text(line)
        if style and (head is None or number == 0):
            shown.stylize(style, indent, len(line) if head is None else indent + head)
        console.print(shown, soft_wrap=True)


def tell_as_it_is(console: Console, text: str, indent: int = 0, style: str = "") -> None:
    """Print a line that is to be copied or is in columns: the terminal may wrap it, we don't."""
    from rich.text import Text

    console.print(Text(" " * indent + text, style), soft_wrap=True)
