"""The verdicts on the terminal: one sentence a pair, then what they rest on."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from xent._text import printable
from xent.study._verdicts._pairs import Pair

MOST_PAIRS = 15
# Longer names fill lines of a sentence; the tables and results.json have them whole.
MOST_LETTERS = 60
STYLES = {
    "identical": "green",
    "equivalent": "green",
    "different": "red",
    "different but negligible": "green",
    "inconclusive": "yellow",
}


def show_pairs(pairs: Sequence[Pair], rules: Sequence[str], console: Console) -> None:
    """Print one sentence a pair, then the margin, the question, the rule and the test."""
    if not pairs:
        return
    console.print(Text("Are they really different?", style="bold"))
    for pair in pairs[:MOST_PAIRS]:
        console.print(Text("- ").append(printable(_said(pair)), style=STYLES[pair.verdict]))
    if len(pairs) > MOST_PAIRS:
        more = len(pairs) - MOST_PAIRS
        console.print(Text(f"... and {more} more pairs; --json and --out give all."))
    for sentence in rules:
        console.print(Text(sentence))
    console.print()


def _said(pair: Pair) -> str:
    """The sentence of a pair, which names each several times, with long names cut in the middle."""
    said = pair.sentence
    for name in sorted((pair.minuend, pair.subtrahend), key=len, reverse=True):
        if len(name) > MOST_LETTERS:
            said = said.replace(name, f"{name[:28]}...{name[-29:]}")
    return said
