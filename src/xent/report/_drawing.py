"""A drawing: matplotlib's SVG made small, themed by the page, and safe to stand inside it.

matplotlib never sees a name: it gets a token for each, which the escaped name replaces in the
finished SVG. So no name is read as mathematics, missed by matplotlib's own font, or measured.
Colours are placeholders as well, which become the variables of the page's stylesheet.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from xent.report._names import plain_text, svg_name
from xent.report._numbers import MINUS, significant

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

# matplotlib's colour for each of the page's; series have one each, see ``_series``.
PLACEHOLDERS = {
    "ink": "#010101",
    "muted": "#010102",
    "line": "#010103",
    "band": "#010104",
    "good": "#010105",
    "mild": "#010106",
    "bad": "#010107",
    "unsure": "#010108",
} | {f"series-{i}": f"#0102{i:02x}" for i in range(1, 9)}
_VARIABLES = {colour: f"var(--{name})" for name, colour in PLACEHOLDERS.items()}
INK, MUTED, LINE, BAND = (PLACEHOLDERS[name] for name in ("ink", "muted", "line", "band"))

FONT_SIZE = 11.5
# Pixels that a letter of a name takes.
LETTER = 6.4
_UNIT = 72.0  # of matplotlib's lengths in an inch, which is how it is told about pixels
_SETTINGS: Any = {
    "svg.hashsalt": "xent",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": FONT_SIZE,
    "axes.linewidth": 0.8,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "path.simplify": True,
}


@contextmanager
def drawing_settings() -> Iterator[None]:
    """What drawings are made under, whatever the user's own settings of matplotlib are."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


class Drawing:
    """One SVG of a fixed size in pixels, which the page scales.

    Args:
        key: keeps the identifiers inside it apart from those of the page's other drawings.
        width: in pixels at natural size.
        height: in pixels at natural size.
    """

    def __init__(self, key: str, width: float, height: float) -> None:
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        self.key, self.width, self.height = key, width, height
        self._names: list[Markup] = []
        self._figure = Figure(figsize=(width / _UNIT, height / _UNIT), dpi=_UNIT)
        self._figure.patch.set_visible(False)
        FigureCanvasSVG(self._figure)

    def axes(self, left: float, top: float, right: float, bottom: float) -> Axes:
        """Axes with these margins in pixels; only the grid that is asked for, no frame."""
        box = (
            left / self.width,
            bottom / self.height,
            (self.width - left - right) / self.width,
            (self.height - top - bottom) / self.height,
        )
        axes = self._figure.add_axes(box)
        axes.patch.set_visible(False)
        axes.spines[:].set_visible(False)
        return axes

    def name(self, text: object, width: int) -> str:
        """What to give matplotlib in place of a name that is shown in at most so many letters."""
        self._names.append(svg_name(text, width))
        return f"@{len(self._names) - 1}@"

    def svg(self, label: str) -> Markup:
        """The SVG element, with what it shows in words for those who don't see it."""
        from markupsafe import Markup

        text = io.StringIO()
        unnamed: Any = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        self._figure.savefig(text, format="svg", metadata=unnamed)
        inside = _inside(text.getvalue(), self.key)
        inside = re.sub(r"@(\d+)@", lambda found: str(self._names[int(found[1])]), inside)
        head = Markup('<svg class="drawing" viewBox="0 0 {} {}" role="img" aria-label="{}">')
        size = (f"{self.width:g}", f"{self.height:g}")
        return head.format(*size, plain_text(label)) + Markup(inside) + Markup("</svg>")


def _inside(svg: str, key: str) -> str:
    """What is inside the SVG element, in a third of matplotlib's letters."""
    body = svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")]
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = _keep_linked_identifiers(body, key)
    body = body.replace("xlink:href", "href")
    body = re.sub(r" font-family: [^;\"]*;?", "", body)
    body = re.sub(r' transform="rotate\(-?0 [^"]*"', "", body)
    body = re.sub(r' ([dxy])="([^"]*)"', lambda at: f' {at[1]}="{_rounded(at[2])}"', body)
    body = re.sub("#0[0-9a-f]{5}", lambda found: _VARIABLES.get(found[0], found[0]), body)
    body = _without_bare_groups(body)
    return re.sub(r"\s*\n\s*", "\n", body).strip()


def _keep_linked_identifiers(body: str, key: str) -> str:
    """Number the identifiers that something refers to, drop the others."""
    linked = dict.fromkeys(re.findall(r"#([\w.-]+)[\")]", body))
    short = {identifier: f"{key}-{number}" for number, identifier in enumerate(linked)}
    body = re.sub(
        r' id="([\w.-]+)"', lambda at: f' id="{short[at[1]]}"' if at[1] in short else "", body
    )
    return re.sub(r"([\"(])#([\w.-]+)", lambda at: f"{at[1]}#{short[at[2]]}", body)


def _rounded(numbers: str) -> str:
    """Numbers to a tenth of a pixel."""
    short = re.sub(
        r"-?\d+\.\d{2,}", lambda n: f"{float(n[0]):.1f}".replace("-0.0", "0.0"), numbers
    ).replace(".0 ", " ")
    return " ".join(short.split()).removesuffix(".0")


def share_styles(drawings: Iterable[Markup]) -> tuple[list[Markup], Markup]:
    """Give every style that drawings repeat one short class; return them and their stylesheet."""
    from markupsafe import Markup

    classes: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        return f' class="{classes.setdefault(found[1], f"d{len(classes)}")}"'

    # Quotes inside of names are escaped, so that these are attributes and nothing else.
    shared = [Markup(re.sub(r' style="([^"]*)"', named, drawing)) for drawing in drawings]
    return shared, Markup("\n".join(f".{name} {{ {style} }}" for style, name in classes.items()))


def _without_bare_groups(body: str) -> str:
    """Drop the groups that only carried an identifier."""
    kept: list[str] = []
    ends: list[str] = []
    for piece in re.split(r"(<g\b[^>]*>|</g>)", body):
        if piece == "<g>":
            ends.append("")
        elif piece == "</g>":
            kept.append(ends.pop())
        elif piece != "<g/>":
            if piece.startswith("<g ") and not piece.endswith("/>"):
                ends.append("</g>")
            kept.append(piece)
    return "".join(kept)


def name_column(names: list[str], width: int) -> float:
    """How many pixels a column of names takes that are cut to so many letters.

    >>> name_column(["bce", "ce1"], 18), name_column(["a name of more letters"], 10)
    (36.0, 76.0)
    """
    letters = min(width, max(map(len, names), default=0))
    return 12.0 + max(24.0, LETTER * letters)


def label_ticks(axis: Any, ticks: list[float], labels: list[str] | None = None) -> None:
    """Put ticks where they are wanted, with as many digits as tell them apart."""
    axis.set_ticks(ticks, labels=tick_labels(ticks) if labels is None else labels)
    for line in axis.get_gridlines():
        line.set_clip_on(False)


def round_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers between two ends.

    >>> round_ticks(0.0, 1.0, 3)
    [0.0, 0.5, 1.0]
    """
    from matplotlib.ticker import MaxNLocator

    slack = (high - low) * 1e-9
    ticks = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(tick) for tick in ticks if low - slack <= tick <= high + slack]


def tick_labels(ticks: list[float]) -> list[str]:
    """Labels with as many digits behind the point as the smallest step needs.

    >>> tick_labels([0.0, 0.5, 1.0]), tick_labels([0.6180, 0.6182])
    (['0', '0.5', '1'], ['0.618', '0.6182'])
    """
    steps = [b - a for a, b in pairwise(ticks)]
    smallest = min((step for step in steps if step > 0), default=1.0)
    largest = max(map(abs, ticks), default=0.0)
    if smallest < 1e-7 or largest >= 1e6:
        return [significant(0.0 if abs(tick) < smallest / 2 else tick, 6) for tick in ticks]
    digits = next(n for n in range(12) if abs(round(smallest, n) - smallest) < smallest * 1e-3)
    labels = (f"{tick:.{digits}f}".replace("-", MINUS) for tick in ticks)
    return [label.rstrip("0").rstrip(".") if "." in label else label for label in labels]
