"""``xent report`` and ``--open``: from a folder alone, errors in one line."""

import json
import webbrowser
from pathlib import Path

import pytest
from command_line import xent

DATA = "synthetic:n=300,features=2"
OPTIONS = ("--seeds", "2", "--epochs", "4", "-q")


@pytest.fixture
def opened(monkeypatch):
    """What was shown in a browser, which there is none of here."""
    shown = []
    monkeypatch.setattr(webbrowser, "open", lambda address: shown.append(address) or True)
    return shown


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    assert xent("compare", DATA, *OPTIONS, "--out", folder).code == 0
    return folder


def test_a_report_is_made_again_byte_for_byte(run):
    page = (run / "report.html").read_bytes()
    (run / "report.html").unlink()
    ended = xent("report", run)
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == f"Written: {run / 'report.html'}\n"
    assert (run / "report.html").read_bytes() == page


def test_open(run, opened):
    assert xent("report", run, "--open").code == 0
    assert opened == [(run / "report.html").as_uri()]


def test_no_browser(run, monkeypatch):
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    ended = xent("report", run, "--open")
    assert ended.code == 0
    assert f"No browser could be opened; the report is {run / 'report.html'}." in ended.err


@pytest.mark.parametrize("content", [None, "{", '{"schema_version": "9.0", "formulations": {}}'])
def test_errors_are_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    ended = xent("report", tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Error: report: ")
    assert ended.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"] * (content is not None)


def test_a_folder_that_is_not_there(tmp_path):
    ended = xent("report", tmp_path / "none")
    assert (ended.code, ended.out) == (2, "")
    assert "which is not there. Run xent compare with --out first." in ended.err


def report_said(err):
    said = err.removeprefix("Report: ")
    assert said != err
    return Path(said[: said.index(" (--out FOLDER keeps everything)")])


def test_compare_shows_a_report_without_a_folder(opened):
    ended = xent("compare", DATA, *OPTIONS, "--open")
    assert ended.code == 0
    path = report_said(ended.err)
    assert opened == [path.as_uri()]
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_compare_shows_the_report_of_its_folder(tmp_path, opened):
    ended = xent("compare", DATA, *OPTIONS, "--open", "--out", tmp_path, "--json")
    assert ended.code == 0
    json.loads(ended.out)
    assert opened == [(tmp_path / "report.html").as_uri()]


def test_predictions(tmp_path, opened):
    for name, shift in (("a", 0.0), ("b", 0.05)):
        rows = [f"{i % 2},{0.3 + shift + 0.3 * (i % 2):.3f}" for i in range(40)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["y,1", *rows]) + "\n")
    arguments = ("compare", "--predictions", tmp_path / "a.csv", tmp_path / "b.csv", "--target",
                 "y", "--input", "probs", "--margin", "0.01")  # fmt: skip
    ended = xent(*arguments, "--out", tmp_path / "run")
    assert ended.code == 0, ended.err
    assert ended.err == f"Written: {tmp_path / 'run'}/report.html, results.json\n"
    page = (tmp_path / "run" / "report.html").read_bytes()
    assert xent("report", tmp_path / "run").code == 0
    assert (tmp_path / "run" / "report.html").read_bytes() == page
    assert xent(*arguments, "--open").code == 0
    assert len(opened) == 1
