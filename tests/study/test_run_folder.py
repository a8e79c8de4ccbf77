"""What a run leaves on disk: enough to score its trials again, whole or not at all."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from xent._errors import InputError
from xent.report import write
from xent.study import BUILT_IN, compare
from xent.study._runs._run import Interrupted

DATA = "synthetic:n=300,features=3,seed=5"


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "deep" / "er"
    comparison = compare(DATA, seeds=2, epochs=5, formulations="bce,bce+smoothing=0.1", out=folder)
    return folder, comparison


def load(folder, trial):
    with np.load(folder / "trials" / f"{trial.key}.npz", allow_pickle=False) as archive:
        return dict(archive)


def test_files(kept):
    folder, comparison = kept
    keys = {trial.key for result in comparison.formulations for trial in result.trials}
    assert len(keys) == 4
    assert {path.name for path in (folder / "trials").iterdir()} == {f"{key}.npz" for key in keys}
    assert {path.name for path in folder.iterdir()} == {
        "results.json", "report.html", "trials", "trials.jsonl",
    }  # fmt: skip
    assert json.loads((folder / "results.json").read_text()) == comparison.to_dict()
    assert (folder / "report.html").read_text(encoding="utf-8") == comparison.to_html()


def test_trials_reproduce_the_reported_losses(kept):
    folder, comparison = kept
    test = comparison.dataset.test
    document = json.loads((folder / "results.json").read_text())
    for result in comparison.formulations:
        for trial, reported in zip(
            result.trials, document["formulations"][result.name]["trials"], strict=True
        ):
            arrays = load(folder, trial)
            np.testing.assert_array_equal(arrays["row_ids"], test.row_ids)
            np.testing.assert_array_equal(arrays["target"], test.target)
            assert str(arrays["split"]) == "test"
            rows = np.arange(len(test.target))
            loss = -arrays["log_probabilities"][rows, arrays["target"]].mean()
            assert loss == pytest.approx(reported["test"]["log_loss"], rel=1e-14)
            if result.recovered:
                loss = -arrays["recovered_log_probabilities"][rows, arrays["target"]].mean()
                assert loss == pytest.approx(reported["recovered"]["log_loss"], rel=1e-14)
            else:
                assert "recovered_log_probabilities" not in arrays


def test_parameters_reproduce_the_probabilities(kept):
    folder, comparison = kept
    arrays = load(folder, comparison["bce"].trials[1])
    head = arrays["parameter/head"][0]
    z = comparison.dataset.test.features @ head[:-1] + head[-1]
    np.testing.assert_allclose(arrays["log_probabilities"][:, 1], -np.logaddexp(0, -z), rtol=1e-12)


def test_parameters_of_a_module(tmp_path):
    comparison = compare(DATA, model=nn.Linear, seeds=1, epochs=2, formulations="ce2", out=tmp_path)
    (trial,) = comparison["ce2"].trials
    arrays = load(tmp_path, trial)
    module = nn.Linear(3, 2).double()
    module.load_state_dict(
        {name: torch.from_numpy(arrays[f"parameter/{name}"]) for name in ("weight", "bias")}
    )
    outputs = module(torch.from_numpy(comparison.dataset.test.features))
    expected = torch.log_softmax(outputs, 1).detach().numpy()
    np.testing.assert_allclose(arrays["log_probabilities"], expected, rtol=1e-5, atol=1e-6)


def test_weights_are_kept(tmp_path):
    frame = weighted_frame()
    comparison = compare(
        frame, "y", weight="w", seeds=1, epochs=2, formulations="bce", out=tmp_path
    )
    arrays = load(tmp_path, comparison["bce"].trials[0])
    given = frame["w"].to_numpy()[arrays["row_ids"]]
    np.testing.assert_allclose(arrays["weight"], given * given.sum() / (given**2).sum())
    rows = np.arange(len(arrays["target"]))
    losses = -arrays["log_probabilities"][rows, arrays["target"]]
    assert np.average(losses, weights=arrays["weight"]) == pytest.approx(
        comparison["bce"].mean("log_loss")
    )


def weighted_frame():
    import pandas

    random = np.random.default_rng(0)
    return pandas.DataFrame(
        {
            "x": random.normal(size=80),
            "y": random.integers(0, 2, 80),
            "w": random.integers(1, 4, 80).astype(float),
        }
    )


def test_keys_depend_on_what_the_numbers_depend_on(kept):
    _, comparison = kept
    keys = [trial.key for result in comparison.formulations for trial in result.trials]
    options = {"seeds": 2, "epochs": 5, "formulations": "bce,bce+smoothing=0.1"}

    def keys_of(**changes):
        data = changes.pop("data", DATA)
        again = compare(data, **(options | changes))
        return [trial.key for result in again.formulations for trial in result.trials]

    assert keys_of() == keys
    assert all(len(key) == 16 and int(key, 16) >= 0 for key in keys)
    for change in (
        {"epochs": 6}, {"seeds": [0, 2]}, {"learning_rate": 0.2}, {"dtype": "float64"},
        {"data": DATA.replace("seed=5", "seed=6")}, {"split_seed": 1}, {"standardize": False},
        {"model": "mlp", "widths": [3]},
    ):  # fmt: skip
        assert not set(keys_of(**change)) & set(keys), change


def test_a_rerun_writes_the_same_trials(kept, tmp_path):
    folder, comparison = kept
    compare(DATA, seeds=2, epochs=5, formulations="bce,bce+smoothing=0.1", out=tmp_path)
    for result in comparison.formulations:
        for trial in result.trials:
            first, second = load(folder, trial), load(tmp_path, trial)
            assert set(first) == set(second)
            for name, array in first.items():
                if not name.startswith("seconds/"):
                    np.testing.assert_array_equal(array, second[name])


def test_an_interrupted_trial_leaves_no_half_written_file(tmp_path, monkeypatch):
    savez, calls = np.savez, []

    def fail_at_the_third(file, **arrays):
        calls.append(1)
        if len(calls) < 3:
            return savez(file, **arrays)
        file.write(b"half a tr")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", fail_at_the_third)
    with pytest.raises(Interrupted, match=r"^2 of 4 trials are finished$") as stop:
        compare(DATA, seeds=2, epochs=1, formulations="bce,ce2", out=tmp_path)
    left = list((tmp_path / "trials").iterdir())
    assert {path.stem for path in left} == {
        trial.key for trial in stop.value.comparison["bce"].trials
    }
    for path in left:
        with np.load(path) as archive:
            assert archive["log_probabilities"].shape == (60, 2)
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Interrupted: 2 of 4 trials are finished" in report


def test_the_report_comes_after_the_results_that_it_can_be_made_of_again(tmp_path, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("xent.study._show._page.report_page", fail)
    with pytest.raises(KeyboardInterrupt):
        compare(DATA, seeds=1, epochs=1, formulations="bce", out=tmp_path)
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert {"results.json", "trials.jsonl"} < set(left)
    assert "report.html" not in left


def test_the_report_can_be_made_again_without_the_data(kept):
    folder, _ = kept
    page = (folder / "report.html").read_bytes()
    assert write(folder).read_bytes() == page


def test_a_report_to_a_place_of_ones_own(kept, tmp_path):
    _, comparison = kept
    page = comparison.to_html(tmp_path / "deep" / "page.html")
    assert (tmp_path / "deep" / "page.html").read_text(encoding="utf-8") == page
    with pytest.raises(InputError, match="report: file must be one that can be written"):
        comparison.to_html(tmp_path)


def test_a_loss_that_raises_late_leaves_the_finished_trials_and_no_results(tmp_path):
    calls = []

    def tired(outputs, target):
        calls.append(1)
        if len(calls) > 3:
            raise ValueError("no more")
        return BUILT_IN["ce2"].loss(outputs, target)

    own = replace(BUILT_IN["ce2"], name="tired", loss=tired)
    with pytest.raises(InputError, match="ValueError: no more"):
        compare(DATA, seeds=2, epochs=4, formulations=["bce", own], out=tmp_path)
    left = [path.suffix for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(left) == [".jsonl", ".npz", ".npz"]


def test_a_failed_run_makes_no_folder(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("xent.study._runs._trials.run_tasks", fail)
    with pytest.raises(KeyboardInterrupt):
        compare(DATA, seeds=1, epochs=1, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError) as caught:
        compare(DATA, seeds=1, out=tmp_path / "file" / "run")
    assert str(caught.value) == (
        f"compare: --out must be a folder that can be written to; got "
        f"'{tmp_path / 'file' / 'run'}' ('{tmp_path / 'file'}' is a file). Name another folder."
    )
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_turns_unwritable(tmp_path, monkeypatch):
    def full(file, **_):
        file.write(b"half a tr")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(InputError, match=r"\(No space left on device\)\. Name another folder\."):
        compare(DATA, seeds=1, epochs=1, out=tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
