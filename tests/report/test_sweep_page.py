"""The page of a sweep: made of its document alone, whatever that holds."""

import copy
import re

import pytest

import xent
from xent.report import build_sweep

GRID = {
    "data": ["synthetic:n=200,features=2", "synthetic:n=200,features=3"],
    "formulations": ["bce", "ce2"], "learning-rate": [0.01, 0.1], "seeds": 2, "epochs": 3,
    "margin": 0.01,
}  # fmt: skip


@pytest.fixture(scope="module")
def result():
    return xent.sweep(GRID)


def text_of(page):
    body = page[page.index("<body>") :]
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_everything_that_was_found_is_there(result, tmp_path):
    page = result.to_html(tmp_path / "kept.html")
    assert (tmp_path / "kept.html").read_text() == page
    said = text_of(page).replace("&#39;", "'").replace("&lt;", "<")
    assert "2 data sets · 1 model · 2 learning rates · 16 trials" in said
    for best in result.best:
        for pair in best.comparison.pairs:
            assert pair.sentence in said
        for note in best.notes:
            assert note in said
        for choice in best.choices.values():
            assert f"{choice.test_log_loss:.5f} ±{choice.test_log_loss_se:.5f}" in said
            assert all(f"{loss:.5f}" in said for loss in choice.validation_log_losses)
        for found in best.comparison.findings:
            assert found.code in said
        assert best.comparison.margin.words in said
    for over in result.over_data_sets:
        assert over.sentence in said
    for cell in result.cells:
        assert f"{cell.results['pairs'][0]['difference']:+.2g}" in said


def test_it_needs_no_script_and_nothing_from_outside(result):
    page = build_sweep(result.to_dict(), linked=True)
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!#|cells/|data:,")[^"]*"', page)
    assert page == build_sweep(result.to_dict(), linked=True)


def test_names_are_no_html(result):
    document = copy.deepcopy(result.to_dict())
    document["best"][0]["data"] = "<img src=x>"
    document["best"][0]["notes"] = ["<b>bold</b>"]
    page = build_sweep(document)
    assert "<img" not in page
    assert "<b>bold" not in page
    assert "&lt;img src=x&gt;" in page


def test_what_is_not_there_is_not_made_up(result):
    document = copy.deepcopy(result.to_dict())
    document["status"], document["trials"]["finished"] = "interrupted", 3
    document["best"], document["over_data_sets"] = [], []
    assert "Interrupted: 3 of 16 trials are finished." in text_of(build_sweep(document))
    document = copy.deepcopy(result.to_dict())
    choice = document["best"][0]["formulations"]["bce"]
    choice.update(learning_rate=None, test_log_loss=None, test_log_loss_se=None)
    choice["validation_log_losses"] = [None, None]
    for pair in document["cells"][0]["pairs"]:
        pair["difference"] = None
    said = text_of(build_sweep(document))
    assert "bce diverged – – –" in said


def test_one_learning_rate_has_nothing_to_choose():
    small = GRID | {"data": GRID["data"][0], "learning-rate": 0.1, "seeds": 1}
    said = text_of(xent.sweep(small).to_html())
    assert "validation" not in said
    assert "common learning rate" not in said
    assert "±" not in said.split("Log losses in nats")[0]
