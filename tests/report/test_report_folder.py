"""A run folder read back, with and without what it should hold."""

import json

import numpy as np
import pytest
from report_runs import make_results, predictions_of
from taken_apart import Page

from xent._errors import InputError
from xent.report import arrays_of, build, write


@pytest.fixture
def folder(tmp_path):
    """A run folder with results and the arrays of every trial."""
    results = make_results()
    (tmp_path / "trials").mkdir()
    (tmp_path / "results.json").write_text(json.dumps(results))
    for own in results["formulations"].values():
        for trial in own["trials"]:
            np.savez(tmp_path / "trials" / f"{trial['key']}.npz", **predictions_of(trial["key"]))
    return tmp_path


def test_the_report_of_a_folder(folder):
    path = write(folder)
    assert path == folder / "report.html"
    assert path.read_text(encoding="utf-8") == build(make_results(), predictions_of)
    assert {each.name for each in folder.iterdir()} == {"report.html", "results.json", "trials"}


def test_damaged_and_missing_trials_are_left_out(folder):
    trials = sorted((folder / "trials").iterdir())
    trials[0].write_bytes(b"PK\x03\x04 torn")
    trials[1].write_bytes(b"")
    trials[2].unlink()
    page = Page(write(folder).read_text(encoding="utf-8"))
    named = {row[0] for row in page.tables["reliability"][0][1:]}
    assert {"ce1", "ce2"} <= named
    assert "bce" not in named
    assert "1 of 3 formulations have no predictions to show." in page.text


def test_arrays_with_objects_are_never_unpickled(folder):
    path = folder / "trials" / "bce-0.npz"
    np.savez(path, log_probabilities=np.array([object()], dtype=object))
    assert arrays_of(folder)("bce-0") is None


def test_a_study_of_a_sweep_finds_the_trials_above(folder):
    cell = folder / "cells" / "data" / "linear" / "learning-rate-0.1"
    cell.mkdir(parents=True)
    (folder / "results.json").rename(cell / "results.json")
    assert write(cell).read_text(encoding="utf-8") == build(make_results(), predictions_of)


@pytest.mark.parametrize("key", ["../results", "a/b", "", "..", "C:x"])
def test_keys_name_no_other_files(folder, key):
    assert arrays_of(folder / "trials")(key) is None


def message(folder):
    with pytest.raises(InputError) as error:
        write(folder)
    return str(error.value)


BEGIN = "report: RUN must be a folder that xent compare --out has written; got "


def test_what_is_no_run(tmp_path):
    assert message(tmp_path / "none") == (
        f"{BEGIN}{str(tmp_path / 'none')!r}, which is not there. Run xent compare with --out first."
    )
    assert f"{str(tmp_path)!r}, which has no results.json" in message(tmp_path)
    path = tmp_path / "results.json"
    path.write_text("{}")
    assert "which holds no formulations" in message(tmp_path)
    assert "which is a file" in message(path)
    path.write_text("{")
    assert "JSONDecodeError" in message(tmp_path)
    path.write_bytes(b"\xff\xfe\x00")
    assert "UnicodeDecodeError" in message(tmp_path)
    path.write_text("[1]")
    assert "which holds no formulations" in message(tmp_path)


def test_a_sweep_has_a_report_for_each_study(tmp_path):
    (tmp_path / "sweep.json").write_text("{}")
    assert message(tmp_path) == (
        f"report: RUN must be the folder of one study; got {str(tmp_path)!r}, which holds a sweep. "
        "Name one of the folders below cells/."
    )


@pytest.mark.parametrize("version", ["2.0", "0.9", "1", None])
def test_results_of_another_version(tmp_path, version):
    results = make_results() | {"schema_version": version}
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert message(tmp_path) == (
        f"report: results.json must be of schema version 1; got version {version}. "
        "Use the version of xent that wrote it."
    )


def test_a_place_that_cannot_be_written(folder):
    (folder / "report.html").mkdir()
    assert message(folder).startswith("report: file must be one that can be written; got")
    assert not list(folder.glob("*.part"))
