"""Another study in the folder of one: what it replaces is said, and nothing else is."""

import json

import pytest
from command_line import xent

from xent.cli._replaced import replaced_sentence

SMALL = ("--seeds", "2", "--epochs", "2", "--formulations", "bce,ce2", "--margin", "0.01")


def study(out, *options):
    ended = xent("compare", "synthetic:n=200,features=2", *SMALL, "--out", out, *options)
    assert ended.code == 0, ended.err
    return ended.err


def test_another_study_says_what_it_replaces(tmp_path):
    out = tmp_path / "run"
    written = f"Written: {out}/report.html, results.json, trials.jsonl, trials/\n"
    assert study(out) == written
    assert study(out) == written  # the same again
    assert study(out, "--level", "0.9", "--question", "fitted") == written  # judged otherwise
    assert study(out, "--model", "mlp", "--widths", "3").splitlines()[0] == (
        f"Replaced in {out}: the results of another study, of synthetic (it differs in model). Its "
        "trials are kept, so that its command brings its results back; name another --out to keep "
        "both."
    )
    back = study(out)
    assert "(it differs in model)" in back
    ended = xent("compare", "synthetic:n=200,features=2", *SMALL, "--out", out, "--json")
    assert json.loads(ended.out)["trials"] == {"finished": 4, "planned": 4}
    assert len((out / "trials.jsonl").read_text().splitlines()) == 8


def test_another_sweep_says_what_it_replaces(tmp_path):
    path, out = tmp_path / "study.toml", tmp_path / "run"
    text = 'data = "synthetic:n=200,features=2"\nseeds = 1\nmargin = 0.1\nformulations = "bce"\n'
    path.write_text(text + "epochs = 2\n")
    assert "Replaced" not in xent("compare", path, "--out", out).err
    path.write_text(text + "epochs = 3\n")
    ended = xent("compare", path, "--out", out)
    assert ended.err.startswith(
        f"Replaced in {out}: the results of another study, of synthetic:n=200,features=2 (it "
        "differs in training). Its trials are kept"
    )


@pytest.mark.parametrize(
    ("change", "differing"),
    [
        ({"data": {"name": "iris", "fingerprint": "b"}}, "data"),
        ({"spec": {"data": {"source": "other"}, "seeds": [0]}}, "data"),
        ({"spec": {"data": {"source": "a"}, "seeds": [0], "splits": 3}}, "splits"),
        ({"predictions": {"one": {}, "two": {}}}, "predictions"),
    ],
)
def test_what_makes_a_study_another_one(change, differing):
    before = {
        "data": {"name": "iris", "fingerprint": "a"}, "trials": {},
        "spec": {"data": {"source": "a"}, "seeds": [0], "level": 0.9},
    }  # fmt: skip
    assert replaced_sentence(before, before, "run") == ""
    assert f"(it differs in {differing})" in replaced_sentence(before, before | change, "run")


def test_documents_that_are_none_count_for_nothing(tmp_path):
    (tmp_path / "results.json").write_text("[")
    assert "Replaced" not in study(tmp_path)
