"""Untrusted text: names of columns, classes, files and formulations come from the user's data.

Jinja's autoescape keeps them from being read as HTML. Here is what escaping leaves: letters nobody
can see, writing from right to left that would turn the sentence around it, and length.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from xent._text import printable

# Longer names get a wide cell of a table, rather than many lines of a narrow one.
LONG = 32

if TYPE_CHECKING:
    from markupsafe import Markup

_RIGHT_TO_LEFT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff"
_RUN = re.compile(f"([{_RIGHT_TO_LEFT}](?:[{_RIGHT_TO_LEFT} ]*[{_RIGHT_TO_LEFT}])?)")
# Around a name inside the text of a drawing, where there are no elements to isolate it with.
_ISOLATE, _END = "\u2068", "\u2069"


def plain_text(text: object) -> str:
    """Text where no element can stand, such as a title; it is yet to be escaped."""
    return printable(str(text))


def html_text(text: object) -> Markup:
    """Text as HTML: escaped, control characters visible, right-to-left runs isolated.

    >>> html_text("a<b> שלום")
    Markup('a&lt;b&gt; <bdi>שלום</bdi>')
    """
    from markupsafe import Markup, escape

    pieces = _RUN.split(printable(str(text)))
    wrapped = [
        Markup("<bdi>{}</bdi>").format(piece) if i % 2 else escape(piece)
        for i, piece in enumerate(pieces)
    ]
    return Markup().join(wrapped)


def html_name(text: object) -> Markup:
    """One name as HTML, in an element of its own that isolates its direction.

    >>> html_name("x & y")
    Markup('<bdi>x &amp; y</bdi>')
    """
    from markupsafe import Markup

    shown = printable(str(text))
    element = '<bdi class="long">{}</bdi>' if len(shown) > LONG else "<bdi>{}</bdi>"
    return Markup(element).format(shown)


def html_cell(text: object) -> Markup:
    """A number as HTML; what stands behind it, its error or a range, is small and may wrap.

    >>> html_cell("0.61800 ±0.00020")
    Markup('0.61800 <small>±0.00020</small>')
    """
    from markupsafe import Markup

    shown = html_text(text)
    found = re.fullmatch(r"([^ ]+(?: [µm]?s)?) ([±(].*)", str(shown))
    if not found:
        return shown
    # Both pieces are escaped already.
    return Markup(f"{found[1]} <small>{found[2]}</small>")


def html_short(text: object, width: int = 44) -> Markup:
    """One name as HTML, cut to a width; the whole stands in its title.

    >>> html_short("abcdefghijkl", 5)
    Markup('<bdi title="abcdefghijkl">abc…l</bdi>')
    """
    from markupsafe import Markup

    whole = printable(str(text))
    shown = cut(whole, width)
    if shown == whole:
        return html_name(whole)
    return Markup('<bdi title="{}">{}</bdi>').format(whole, shown)


def svg_name(text: object, width: int) -> Markup:
    """One name as the content of an SVG text element: cut to a width, whole in its title.

    >>> svg_name("bce", 8)
    Markup('\u2068bce\u2069')
    >>> svg_name("abcdefghijkl", 5)
    Markup('\u2068abc…l\u2069<title>abcdefghijkl</title>')
    """
    from markupsafe import Markup

    whole = printable(str(text))
    shown = cut(whole, width)
    isolated = Markup("{}{}{}").format(_ISOLATE, shown, _END)
    return isolated if shown == whole else isolated + Markup("<title>{}</title>").format(whole)


def cut(text: str, width: int) -> str:
    """Cut the middle out of a long text; wide letters (Chinese, emoji) count as two.

    >>> cut("ce+smoothing=0.1+focal=2", 13)
    'ce+smoot…al=2'
    """
    if sum(map(_width, text)) <= width:
        return text
    tail_width = (width - 1) // 3
    return f"{_start(text, width - 1 - tail_width)}…{_start(text[::-1], tail_width)[::-1]}"


def _start(text: str, width: int) -> str:
    total = 0
    for i, letter in enumerate(text):
        total += _width(letter)
        if total > width:
            return text[:i]
    return text


def _width(letter: str) -> int:
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
