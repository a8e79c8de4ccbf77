"""What an explanation looks like: text, Markdown, LaTeX, HTML and JSON."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from matplotlib.mathtext import MathTextParser
from rich.console import Console

from xent.walkthrough import Explanation, explain
from xent.walkthrough._loss_curve import ticks
from xent.walkthrough._render_latex import escaped

EXPLAINED = {
    "binary": explain(logits="-0.1 2 3 0.5", targets="0 1 1 0"),
    "multiclass": explain(
        logits="-5 10 1.2 3 -4; 5 -4 0.1 1 0.1; 1 3 2.5 -0.1 2.5; -7 2.5 0.1 3.1 0.2",
        targets="0 2 3 1",
    ),
    "extreme": explain(logits="1000 -1000 1000", targets="0 1 1"),
    "extreme rows": explain(logits="1000 -1000; 0 1000", targets="1 0"),
    "every option of rows": explain(
        logits="1 2 0; 0 3 1; nan 0 0",
        targets="0 2 -100",
        weight="1 2 3",
        sample_weight="1 2 3",
        label_smoothing=0.1,
        z_loss=0.1,
        softcap=30.0,
        temperature=2.0,
        logit_adjustment="0 1 0",
    ),
    "every option of elements": explain(
        logits="1 2; 3 -1e-9",
        targets="0 1; 0.5 -1",
        task="multilabel",
        weight="1 2",
        pos_weight="3",
        sample_weight="1 2",
        label_smoothing=0.1,
        ignore_index=-1,
    ),
    "probabilities": explain(probabilities="0 1 0.5", targets="1 1 0"),
    "soft": explain(logits="1 2 3; 0 0 1", targets="0.5 0.5 0; 0 0 1", task="multiclass"),
    "focal": explain(logits="1 2 3; 0 0 1", targets="0 1", loss="softmax_focal_loss"),
    "many classes": explain(logits=[[float(i) for i in range(30)]] * 40, targets=[29] * 40),
    "sum": explain(logits="1 2", targets="0 1", reduction="sum"),
    "none": explain(logits="1 2", targets="0 1", reduction="none"),
}
every = pytest.mark.parametrize("explanation", EXPLAINED.values(), ids=EXPLAINED)


@every
def test_text_fits_80_columns_and_nothing_is_cut(explanation: Explanation) -> None:
    text = explanation.to_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert not re.search(r"[ \t]+$", text, re.MULTILINE)
    assert str(explanation) == text
    for number, step in enumerate(explanation.steps, 1):
        assert f"\n{number}. {step.title}\n" in text


def test_text_of_a_binary_loss() -> None:
    text = EXPLAINED["binary"].to_text()
    assert text.startswith(
        "binary_cross_entropy_with_logits\nmean of 4 losses: 0.448497 nats\n"
        "Cross-entropy between target and sigmoid(input), each element by itself.\n"
        "binary: 4 logits in float64 from text; reduction mean\n\n"
        "1. Input\n   logits z, targets t\n"
    )
    assert (
        "   sample       p  prediction  target  right\n"
        "   ──────────────────────────────────────────\n"
        "   0       0.4750           0       0    yes\n"
    ) in text


def test_colour_only_adds_to_the_text() -> None:
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, color_system="standard")
    EXPLAINED["extreme"].show(console)
    coloured = file.getvalue()
    assert "\x1b[" in coloured
    bare = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    lines = "\n".join(line.rstrip() for line in bare.splitlines())
    assert lines + "\n" == EXPLAINED["extreme"].to_text()


@every
def test_markdown(explanation: Explanation) -> None:
    text = explanation.to_markdown()
    assert text.count("```") == 2 * text.count("```math")
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        lines = block.splitlines()
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
        assert len(columns) == 1, block
        assert set(lines[1]) <= set("|:-")
    prose = re.sub(r"```math\n.*?```", "", text, flags=re.DOTALL)
    assert "_" not in re.sub(r"\\_", "", prose)


@every
def test_latex(explanation: Explanation) -> None:
    text = explanation.to_latex()
    assert text.isascii()
    for environment in ("document", "center", "tabular"):
        assert text.count(f"\\begin{{{environment}}}") == text.count(f"\\end{{{environment}}}")
    bare = re.sub(r"\\[\\{}]", "", text)
    assert bare.count("{") == bare.count("}")
    for table in re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end", text, re.DOTALL):
        for line in re.findall(r"^.* \\\\$", table[1], re.MULTILINE):
            assert len(re.findall(r"(?<!\\)&", line)) == len(table[0]) - 1
    prose = re.sub(r"\\\[.*?\\\]|\$[^$]*\$", "", text, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)[_^#%$]", prose)


@every
def test_formulas_can_be_set(explanation: Explanation) -> None:
    parser = MathTextParser("path")
    for step in explanation.steps:
        if step.latex:
            parser.parse(f"${step.latex}$")


def test_latex_escapes() -> None:
    assert escaped("a_b & 50% {x} ~ \\ é") == (
        r"a\_b \& 50\% \{x\} \textasciitilde{} \textbackslash{} ?"
    )


class Tags(HTMLParser):
    """Checks that tags are closed in order, and collects them with their attributes."""

    void = ("meta", "line", "polyline")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.void:
            assert self.open.pop() == tag


@every
def test_html_is_whole_and_needs_nothing(explanation: Explanation) -> None:
    tags = Tags()
    page = explanation.to_html()
    tags.feed(page)
    assert tags.open == []
    names = {tag for tag, _ in tags.seen}
    assert not names & {"script", "link", "img", "iframe"}
    assert not any(name in ("src", "href") for _, found in tags.seen for name in found)
    assert "http" not in page
    assert "@import" not in page
    fragment = explanation._repr_html_()
    assert fragment in page
    assert fragment.startswith('<div class="xent-explain">')


def test_style_touches_nothing_else_in_a_notebook() -> None:
    style = re.search(r"<style>(.*?)</style>", EXPLAINED["binary"]._repr_html_(), re.DOTALL)[1]
    rules = re.sub(r"@media [^{]*\{(.*?\})\s*\}", r"\1", style, flags=re.DOTALL)
    for selectors in re.findall(r"([^{}]+)\{[^{}]*\}", rules):
        for selector in selectors.split(","):
            assert selector.strip().startswith(".xent-explain"), selector


@pytest.mark.parametrize(
    "name", ["binary", "multiclass", "extreme", "soft", "every option of rows"]
)
def test_every_sample_is_on_the_curve(name: str) -> None:
    explanation = EXPLAINED[name]
    figure = re.search(r"<svg.*</svg>", explanation.to_html())
    drawing = ElementTree.fromstring(figure[0])
    dots = drawing.findall(".//circle")
    assert len(dots) == len(explanation.curve.points)
    for dot in dots:
        assert 0 < float(dot.get("cx")) < 640
        assert 0 < float(dot.get("cy")) < 340


def test_curve_of_rows_is_the_logistic_one() -> None:
    """Softplus of minus the log-odds of the right class is its loss."""
    from math import exp, log1p

    for point in EXPLAINED["multiclass"].curve.points:
        assert abs(log1p(exp(-point.x)) - point.loss) < 1e-12


def test_names_are_escaped() -> None:
    from dataclasses import replace

    odd = replace(EXPLAINED["binary"], given="<script>alert(1)</script> & \x1b[31m")
    page = odd.to_html()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page + odd.to_text() + odd.to_markdown() + odd.to_latex()


@every
def test_json_holds_every_number(explanation: Explanation) -> None:
    document = json.loads(explanation.to_json())
    assert list(document) == [
        "loss", "summary", "given", "options", "value", "exact", "rows", "steps",
    ]  # fmt: skip
    assert len(document["rows"]) == len(explanation.rows)
    first = document["steps"][0]["tables"][0]
    assert all(
        len(column["values"]) == len(next(iter(first.values()))) for column in first["columns"]
    )
    assert [step["key"] for step in document["steps"]] == [step.key for step in explanation.steps]


def test_json_has_no_numbers_that_json_has_not() -> None:
    text = EXPLAINED["extreme"].to_json()
    assert not re.search(r"[:\[,]\s*-?(NaN|Infinity)", text)
    assert '"inf"' in text


def test_ticks_are_round_and_inside() -> None:
    for low, high in ((-1100.0, 1100.0), (0.0, 1e-3), (-4.4, 4.4)):
        found = ticks(low, high)
        assert 3 <= len(found) <= 9
        assert all(low <= tick <= high for tick in found)


def test_what_is_to_be_typed_is_set_as_code() -> None:
    explanation = explain(logits="1 2", targets="0 1")
    assert "<code>xent verify</code>" in explanation.to_html()
    assert "`" not in explanation.to_html()
    assert " `xent verify` " in explanation.to_markdown()
    assert r"\texttt{xent verify}" in explanation.to_latex()


def test_one_number_is_told_as_one() -> None:
    one = explain(logits="1", targets="0")
    assert one.given.startswith("binary: 1 logit in float64")
    assert one.step("input").sentence.startswith("1 logit, one for each sample")
    row = explain(logits="1 2", targets="0").to_text()
    assert "1 rows" not in row
    many = explain(logits=[0.0] * 12_000, targets=[0] * 12_000)
    assert many.given.startswith("binary: 12,000 logits in float64")


def test_a_page_on_a_telephone_reads() -> None:
    """Letters of the drawing grow as it shrinks, and a table that goes on casts a shadow."""
    page = explain(logits="1 2", targets="0 1").to_html()
    drawn_at = 390 - 2 * 16
    grown = re.search(r"@media \(max-width: 40rem\).*?font-size: (\d+)px", page, re.DOTALL)
    assert int(grown[1]) * drawn_at / 640 > 10
    assert "no-repeat local" in page
    assert page.count('<div class="scroll" tabindex="0">') == page.count("<table>")
