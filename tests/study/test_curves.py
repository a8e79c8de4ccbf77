"""Learning curves: one SVG, the same every time, with names as text and nothing from outside."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from xent.study import BUILT_IN, compare
from xent.study._show._curves import draw_curves

DATA = "synthetic:n=300,features=3,seed=5"
SVG = "{http://www.w3.org/2000/svg}"


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_the_same_every_time():
    first, second = (compare(DATA, seeds=3, epochs=5) for _ in range(2))
    assert draw_curves(first) == draw_curves(second)


def test_panels_and_names():
    shown = texts(draw_curves(compare(DATA, seeds=2, epochs=5)))
    for text in ("bce", "ce1", "ce2", "epoch", "objective (nats)"):
        assert text in shown
    assert "training rows, before each epoch's steps" in shown
    assert "validation rows, after each epoch" in shown
    without = texts(draw_curves(compare(DATA, seeds=1, epochs=5, validation=0.0)))
    assert "test rows, after each epoch" in without


def test_a_converged_study_has_one_panel():
    shown = texts(draw_curves(compare(DATA, seeds=2, converge=True)))
    assert "Newton evaluation" in shown
    assert "epoch" not in shown


def test_nothing_from_outside():
    svg = draw_curves(compare(DATA, seeds=2, epochs=5))
    addresses = set(re.findall(r"https?://[^\"' <]+", svg))
    names = {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
        "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "http://purl.org/dc/elements/1.1/",
        "http://purl.org/dc/dcmitype/StillImage",
        "http://creativecommons.org/ns#",
        "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd",
    }
    assert {address for address in addresses if address not in names} <= {"https://matplotlib.org/"}
    assert "<script" not in svg
    assert "<image" not in svg


@pytest.mark.parametrize("name", ["<script>", "$x^2$", "_mine", "a & b", "half $", "\\frac"])
def test_names_are_text(name):
    own = replace(BUILT_IN["ce2"], name=name)
    svg = draw_curves(compare(DATA, seeds=1, epochs=3, formulations=["bce", own]))
    assert name in texts(svg)
    assert "<script" not in svg


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\x00b", "a\\x00b"),
        ("line\nbreak", "line\\nbreak"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("half\ud800", "half\\ud800"),
        ("Größe ½", "Größe ½"),
    ],
)
def test_letters_that_xml_cannot_hold_are_escaped(name, shown):
    own = replace(BUILT_IN["ce2"], name=name)
    assert shown in texts(draw_curves(compare(DATA, seeds=1, epochs=3, formulations=[own])))


def test_a_diverged_study_is_drawn():
    svg = draw_curves(compare(DATA, seeds=2, epochs=30, optimizer="sgd", learning_rate=1e38))
    assert "bce" in texts(svg)


def test_a_study_that_diverges_at_once_is_drawn(monkeypatch):
    comparison = compare(DATA, seeds=2, epochs=30, optimizer="sgd", learning_rate=1e38)
    for result in comparison.formulations:
        for trial in result.trials:
            trial.train_curve[:] = float("nan")
            trial.validation_curve[:] = float("inf")
    assert "ce2" in texts(draw_curves(comparison))
