"""``xent compare study.toml`` from its file to what it prints."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from command_line import xent
from jsonschema import Draft202012Validator

from xent.study import sweep_schema

STUDY = """
data = ["synthetic:n=200,features=2", "synthetic:n=200,features=3"]
formulations = "bce,ce1,ce2"
learning-rate = [0.01, 0.1]
seeds = 2
epochs = 3
margin = 0.01
"""


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


def test_what_is_shown(study, tmp_path):
    ended = xent("compare", study, "--out", tmp_path / "run")
    assert ended.code == 0
    kept = "sweep.html, sweep.json, trials.jsonl, trials/, cells/"
    assert ended.err == f"Written: {tmp_path / 'run'}/{kept}\n"
    assert "\x1b" not in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80
    flowing = " ".join(ended.out.split())
    assert flowing.startswith(
        "4 studies: 2 data sets, 1 model, 2 learning rates; 24 trials. Best learning rates are "
        "chosen on the validation rows alone"
    )
    assert "synthetic:n=200,features=3, linear" in flowing
    assert "difference of log loss, in nats) - ce1 - bce: 0.01 " in flowing
    assert "Over all data sets, linear Over 2 data sets " in flowing
    again = xent("compare", study, "--out", tmp_path / "run")
    assert "24 of 24 trials were finished in the folder before" in " ".join(again.out.split())


def test_json(study):
    ended = xent("compare", study, "--json")
    assert (ended.code, ended.err) == (0, "")
    document = json.loads(ended.out)
    Draft202012Validator(sweep_schema()).validate(document)
    assert document["chosen_on"] == "validation rows"


def test_out_may_stand_in_the_file(study, tmp_path):
    study.write_text(STUDY + 'out = "kept"\n')
    assert xent("compare", study).code == 0
    assert (tmp_path / "kept" / "sweep.json").is_file()
    study.write_text(STUDY)
    ended = xent("compare", study)
    assert ended.err == "Nothing was written; out in the file, or --out, keeps everything.\n"


@pytest.mark.parametrize("options", [("--seeds", "3"), ("--lr", "0.1"), ("--no-stratify",)])
def test_options_that_belong_in_the_file(study, options):
    ended = xent("compare", study, *options)
    assert ended.code == 2
    assert "belongs in study.toml." in ended.err
    assert ended.err.count("\n") == 1


def test_options_that_no_sweep_has(study):
    ended = xent("compare", study, "--id", "row")
    assert ended.code == 2
    assert "--id is for files of predictions, not for a sweep." in ended.err
    assert ended.err.count("\n") == 1


def test_the_page_is_shown(study, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("webbrowser.open", lambda address: shown.append(address) or True)
    xent("compare", study, "--out", tmp_path / "run", "--open")
    xent("compare", study, "--open", "--json")
    kept, temporary = (Path(url2pathname(urlsplit(address).path)) for address in shown)
    assert kept == tmp_path / "run" / "sweep.html"
    assert temporary.name == "sweep.html"
    page = kept.read_text()
    links = re.findall(r'href="(cells/[^"]+)"', page)
    assert len(links) == 4
    assert all((kept.parent / link).is_file() for link in links)
    assert 'href="cells' not in temporary.read_text()


def test_a_failed_choice_is_exit_code_1(study):
    study.write_text(STUDY.replace("[0.01, 0.1]", "[1e37, 1e38]") + 'optimizer = "sgd"\n')
    ended = xent("compare", study)
    assert ended.code == 1
    assert "diverged" in ended.out


def test_what_is_wrong_is_one_line(study):
    study.write_text(STUDY + "epoch = 3\n")
    ended = xent("compare", study)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "Error: study.toml: key must be an option of xent compare; got 'epoch'. Did you mean "
        "'epochs'?\n"
    )
