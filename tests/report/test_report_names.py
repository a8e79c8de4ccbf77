"""Names come from the user's data: whatever they are, the page shows them and obeys none."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_runs import make_results, parameter_of, predictions_of
from taken_apart import Page, page_of

from xent.report import build
from xent.report._names import cut, html_name, html_text, svg_name

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "</title><img src=x onerror=alert(3)>",
    '" onload="alert(4)" x=\'',
    "{{ 7 * 7 }} {% raw %}",
    "$\\frac{1}{0}$ and $x^2$",
    "long " + "n" * 295,
    "עמודה מימין לשמאל",
    "عمود <b>x</b> 12",
    "👩‍💻 🎉 emoji",
    "\u202ereversed\u202c",
    "null\x00 bell\x07 line\nbreak",
    "half \ud800 surrogate",
    "@0@ @1@",
    "]]> <!-- --> &amp; &#60;",
    "漢字" * 40,
]
HARMLESS_TAGS = {
    "html", "head", "meta", "link", "title", "style", "body", "header", "main", "section", "p",
    "span", "h1", "h2", "h3", "ul", "li", "div", "table", "thead", "tbody", "tr", "th", "td", "bdi",
    "small", "details", "summary", "figure", "figcaption", "dl", "dt", "dd", "pre", "code",
    "script", "strong", "nav", "a", "em", "svg", "g", "path", "text", "use", "defs", "clippath",
    "rect", "wbr",
}  # fmt: skip


def hostile_results(name):
    """A run in which everything that can have a name has this one."""
    results = make_results((name, "ce2"))
    own = results["formulations"][name]
    own["parameters"] = [parameter_of(name, 0.5, name, f"not {name}")]
    own["parameters_note"] = f"because of {name}"
    results["data"] |= {"name": f"{name}.csv", "features": [name], "classes": [name, "other"],
                        "notes": [f"note on {name}"]}  # fmt: skip
    results["spec"]["data"] |= {"source": f"{name}.csv", "target": name}
    results["findings"] = [
        {"code": "XS100", "name": "some-finding", "level": "error", "subject": name,
         "message": f"it is {name}", "cause": "c", "cure": "d", "values": {}}
    ]  # fmt: skip
    return results


def shown(name):
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name)[:24])
def test_hostile_names(name):
    page = page_of(hostile_results(name))
    assert {tag for tag, _ in page.elements} <= HARMLESS_TAGS
    assert [own for tag, own in page.elements if tag == "script"] == [
        {"type": "application/json", "id": "results"}
    ]
    for tag, own in page.elements:
        assert not [attribute for attribute in own if attribute.startswith("on")], tag
    assert not re.search(r"<(?:img|b|iframe)\b", page.html)
    assert shown(name) in page.text.replace("  ", " ") or "  " in name
    assert page.cells("differences").count(shown(name)) == 1
    inside = json.loads(page.json)
    assert name in inside["formulations"]
    assert inside["findings"][0]["subject"] == name
    page.html.encode("utf-8")


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=st.text(min_size=1, max_size=40).filter(lambda name: name != "ce2"))
def test_any_name(name):
    page = Page(build(hostile_results(name), predictions_of))
    assert page.unmatched == []
    assert {tag for tag, _ in page.elements} <= HARMLESS_TAGS
    assert json.loads(page.json)["spec"]["formulations"][0] == name


def test_long_names_are_cut_in_drawings_and_whole_in_tables():
    name = "a" * 150 + "MIDDLE" + "z" * 144
    page = page_of(hostile_results(name))
    drawings = re.findall(r"<text[^>]*>(.*?)</text>", page.html, re.DOTALL)
    long = [text for text in drawings if "aaaaaa" in text]
    assert long
    for text in long:
        drawn = re.sub(r"<title>.*?</title>", "", text)
        assert len(drawn) < 60, drawn
        assert f"<title>{name}</title>" in text
    assert name in page.cells("seeds")
    assert name in page.cells("coefficients")


def test_formulations_named_like_attributes_of_a_mapping():
    page = page_of(make_results(("items", "keys", "0")))
    assert {"items", "keys", "0"} <= set(page.cells("scores"))


def test_text_of_a_sentence():
    assert str(html_text("a < b")) == "a &lt; b"
    two = str(html_text("אב - גד = +0.1"))
    assert two == "<bdi>אב</bdi> - <bdi>גד</bdi> = +0.1"
    assert str(html_text("tab\there \u202e")) == "tab\\there \\u202e"


def test_name_alone():
    assert str(html_name("<b>")) == "<bdi>&lt;b&gt;</bdi>"
    assert "long" in html_name("x" * 40)


def test_cutting_keeps_both_ends_and_the_width():
    assert cut("short", 5) == "short"
    assert cut("ce+smoothing=0.1+focal=2", 13) == "ce+smoot…al=2"
    assert cut("漢字漢字漢字", 7) == "漢字…字"
    for width in range(1, 30):
        assert len(cut("x" * 50, width)) <= max(width, 1)


def test_svg_names_are_isolated_and_escaped():
    assert str(svg_name("a&b", 9)) == "\u2068a&amp;b\u2069"
    assert "<title>&lt;x&gt;yyyyyy</title>" in svg_name("<x>yyyyyy", 4)
