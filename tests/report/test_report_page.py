"""The page as a whole: self-contained, well-formed, small, the same every time."""

import json
import re
import subprocess
import sys

import matplotlib as mpl
import pytest
from report_runs import make_results, predictions_of
from taken_apart import page_of, whole

from xent.report import build

SECTIONS = [
    "verdict", "findings", "scores", "differences", "seeds", "curves", "reliability",
    "coefficients", "time", "methods",
]  # fmt: skip


@pytest.fixture(scope="module")
def whole_page():
    return whole()


def test_well_formed(whole_page):
    assert whole_page.unmatched == []
    assert whole_page.open == []
    assert whole_page.html.startswith('<!doctype html>\n<html lang="en">\n')


def test_sections_from_top_to_bottom(whole_page):
    found = [own["id"] for tag, own in whole_page.elements if tag == "section"]
    assert found == SECTIONS


def test_the_header_names_the_classes_once():
    results = make_results()
    names = results["data"]["classes"]
    head = build(results).split("</header>")[0].split("<body")[1]
    for name in names:
        assert re.sub(r"<[^>]+>", "", head).count(name) == 1, name


def test_every_figure_has_drawings_and_a_table(whole_page):
    for section in SECTIONS[3:-1]:
        inside = whole_page.inside(section)
        assert "<svg" in inside, section
        assert "<summary>The numbers</summary>" in inside, section
        assert len(whole_page.cells(section)) > 5, section


def test_nothing_from_outside(whole_page):
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", whole_page.html)
    for tag, own in whole_page.elements:
        assert not {"src", "srcset", "data", "action"} & set(own), tag
        assert own.get("href", "#").startswith(("#", "data:,"))
        assert not [name for name in own if name.startswith("on")]
    policy = next(own for tag, own in whole_page.elements if own.get("http-equiv"))
    assert policy["content"].startswith("default-src 'none'")


def test_no_script_but_the_results(whole_page):
    scripts = [own for tag, own in whole_page.elements if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "results"}]
    assert not {"iframe", "object", "embed", "form"} & {tag for tag, _ in whole_page.elements}


def test_the_results_inside_parse_back(whole_page):
    results = make_results()
    inside = json.loads(whole_page.json)
    assert inside["pairs"] == results["pairs"]
    assert inside["margin"] == results["margin"]
    assert inside["data"]["fingerprint"] == "f1f2f3"
    assert inside["formulations"]["ce1"]["trials"] == 3
    assert "train_curve" not in whole_page.json


def test_identifiers_are_unique_and_those_referred_to_exist(whole_page):
    identifiers = [own["id"] for _, own in whole_page.elements if "id" in own]
    assert len(identifiers) == len(set(identifiers))
    inside = re.findall(r'(?:url\(|href=")#([\w-]+)', whole_page.html)
    assert set(inside) <= set(identifiers)


def test_drawings_follow_the_theme(whole_page):
    drawings = "".join(re.findall(r"<svg.*?</svg>", whole_page.html, re.DOTALL))
    assert not re.search(r"#[0-9a-f]{6}", drawings)
    style = whole_page.html[: whole_page.html.index("</style>")]
    named = set(re.findall(r"var\(--([\w-]+)\)", whole_page.html)) - {"of", "dash", "least"}
    light, dark = style.split("prefers-color-scheme: dark")
    for name in named:
        assert f"--{name}:" in light, name
        assert f"--{name}:" in dark, name
    assert "@media print" in style


def test_drawings_say_in_words_what_they_show(whole_page):
    labels = [own["aria-label"] for tag, own in whole_page.elements if tag == "svg"]
    assert len(labels) >= 10
    assert any("Differences in log loss" in label for label in labels)
    assert any("bce: mean 0.60200" in label for label in labels)


def test_small(whole_page):
    assert len(whole_page.html.encode()) < 120_000


def test_twenty_formulations_are_not_large():
    names = ["ce", *(f"ce+smoothing={i / 100}" for i in range(1, 20))]
    page = page_of(make_results(names, seeds=5))
    assert len(page.html.encode()) < 300_000
    assert "170 more pairs are in results.json." in page.text
    assert "Drawn are the 20 largest of 190 differences." in page.text
    assert len(json.loads(page.json)["pairs"]) == 190


def test_the_same_results_make_the_same_bytes():
    assert build(make_results(), predictions_of) == build(make_results(), predictions_of)


@pytest.mark.filterwarnings("error")
def test_settings_of_the_user_neither_matter_nor_change(whole_page):
    odd = {"font.size": 40, "axes.facecolor": "red", "svg.fonttype": "path", "axes.grid": False}
    with mpl.rc_context(odd):
        assert build(make_results(), predictions_of) == whole_page.html
        assert {key: mpl.rcParams[key] for key in odd} == odd


def test_needs_neither_torch_nor_pyplot():
    code = (
        "import sys; from report_runs import make_results, predictions_of;"
        "from xent.report import build; build(make_results(), predictions_of);"
        "print([m for m in ('torch', 'matplotlib.pyplot', 'pandas', 'sklearn', 'xent.study',"
        " 'scipy.stats') if m in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True,
        timeout=120, check=True, env={"PYTHONPATH": ":".join(filter(None, sys.path))},
    )  # fmt: skip
    assert ended.stdout == "[]\n"
