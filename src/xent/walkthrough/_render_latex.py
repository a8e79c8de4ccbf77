"""An explanation as a LaTeX document that stands by itself; its sections can be taken out."""

from __future__ import annotations

import re

from xent._text import printable
from xent.walkthrough._explanation import Explanation, Step
from xent.walkthrough._render_terminal import headline
from xent.walkthrough._tables import MARK, Grid, grid

MOST_COLUMNS = 6
PREAMBLE = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{amsmath,booktabs}
\usepackage[margin=2cm]{geometry}
\setlength{\parindent}{0pt}
\begin{document}
"""
_SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}  # fmt: skip
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
_WORDS = {"inf": r"$\infty$", "-inf": r"$-\infty$", "nan": "NaN", "...": r"$\dots$"}


def latex(explanation: Explanation) -> str:
    """Sections with formulas, sentences and tables; needs amsmath and booktabs."""
    parts = [
        PREAMBLE,
        rf"\section*{{{escaped(explanation.loss)}: {escaped(headline(explanation))}}}",
        f"{escaped(explanation.summary)}\n\n{escaped(printable(explanation.given))}\n",
        *(_step(number, step) for number, step in enumerate(explanation.steps, 1)),
        r"\end{document}",
    ]
    return "\n".join(parts) + "\n"


def escaped(text: str) -> str:
    r"""Text in which nothing is a command; other than ASCII letters become question marks.

    >>> print(escaped("50 % of w_y"))
    50 \% of w\_y
    """
    plain = text.encode("ascii", "replace").decode("ascii")
    return "".join(_SPECIAL.get(letter, letter) for letter in plain)


def _step(number: int, step: Step) -> str:
    lines = [rf"\subsection*{{{number}. {escaped(step.title)}}}"]
    if step.latex:
        lines += [r"\[", step.latex, r"\]"]
    lines.append(_with_code(step.sentence))
    for table in step.tables:
        lines += [r"\begin{center}", *_table(grid(table, MOST_COLUMNS)), r"\end{center}"]
    return "\n".join(lines) + "\n"


def _with_code(sentence: str) -> str:
    """Between backticks stands what is to be typed."""
    parts = map(escaped, sentence.split("`"))
    return "".join(rf"\texttt{{{part}}}" if place % 2 else part for place, part in enumerate(parts))


def _table(shown: Grid) -> list[str]:
    columns = "l" + "r" * (len(shown.header) - 1)
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    lines += [" & ".join(escaped(heading) for heading in shown.header) + r" \\", r"\midrule"]
    lines += [" & ".join(_cell(cell) for cell in line) + r" \\" for line in shown.lines]
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\footnotesize {escaped(note)}\normalsize" for note in shown.notes]
    return lines


def _cell(cell: str) -> str:
    text = cell.strip()
    marked = text.endswith(MARK)
    text = text.removesuffix(MARK)
    sign = "$^{*}$" if marked else ""
    return _number(text) + sign


def _number(text: str) -> str:
    if text in _WORDS:
        return _WORDS[text]
    if not _NUMBER.fullmatch(text):
        return escaped(text)
    mantissa, _, exponent = text.partition("e")
    return f"${mantissa} \\times 10^{{{int(exponent)}}}$" if exponent else f"${mantissa}$"
