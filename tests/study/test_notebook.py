"""A comparison in a notebook: escaped, self-contained HTML."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas
import pytest
from markupsafe import escape

from xent.study import BUILT_IN, compare

EVIL = "<script>alert(1)</script>"


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data):
        self.text.append(data)


def parse(html):
    tags = Tags()
    tags.feed(html)
    return tags


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A file, columns, classes and a formulation that would all like to run a script."""
    random = np.random.default_rng(0)
    target = random.integers(0, 2, 120)
    frame = pandas.DataFrame(
        {
            EVIL: random.normal(size=120),
            "gives <b>away</b>": target * 2.0 + random.random(120),
            f"copy of {EVIL}": np.zeros(120),
            "y": np.where(target == 1, EVIL, "<img src=x onerror=alert(1)>"),
        }
    )
    path = tmp_path_factory.mktemp("hostile") / "<script>.csv"
    frame.to_csv(path, index=False)
    own = replace(BUILT_IN["bce"], name=f"bce{EVIL}")
    return compare(path, "y", seeds=2, epochs=5, formulations=["bce", own])


def test_names_are_escaped(hostile):
    html = hostile._repr_html_()
    tags = parse(html)
    assert not {"script", "img", "b"} & tags.tags
    assert "<script>.csv" in "".join(tags.text)
    assert f"bce{EVIL}" in "".join(tags.text)
    names = {found.name for found in hostile.findings}
    assert {"feature-gives-target-away", "collinear-columns"} <= names


def test_nothing_from_outside(hostile):
    html = hostile._repr_html_()
    assert not re.search(r"(?:src|href)=\"(?!#)", html.split("</metadata>")[-1])
    assert "<script" not in html


def test_numbers():
    comparison = compare("synthetic:n=300,features=2", seeds=2, epochs=5)
    html = comparison._repr_html_()
    assert f"{comparison['ce1'].mean('log_loss'):.5f}" in html
    assert "60 rows tested, 2 seeds" in html
    assert html.count("<svg") == 1


def test_a_diverged_study_is_shown():
    comparison = compare(
        "synthetic:n=300,features=2", seeds=2, epochs=4, optimizer="sgd", learning_rate=1e38
    )
    html = comparison._repr_html_()
    assert "training-diverged" in html
    assert "nan" not in "".join(parse(html.split("<svg")[0]).text)


def test_verdicts_are_shown(hostile):
    html = hostile._repr_html_()
    for pair in hostile.pairs:
        assert escape(pair.sentence) in html
