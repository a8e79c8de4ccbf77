"""Sweeps: the grid, best learning rates chosen on validation rows, data sets as replicates."""

import io
import json
from dataclasses import replace

import numpy as np
import pandas
import pytest
from jsonschema import Draft202012Validator
from rich.console import Console
from scipy import stats

import xent
from xent._errors import InputError
from xent.study import SweepInterrupted, compare, schema, sweep_schema
from xent.study._runs._ledger import Ledger
from xent.study._statistics import friedman
from xent.study._sweeps._spec import read_sweep
from xent.study._sweeps._sweep import Choice, _folder_names, choose, edge_notes
from xent.study._verdicts._data_sets import compare_over_data_sets

DATA = "synthetic:n=300,features=3,seed=5"
OTHER = "synthetic:n=300,features=2,seed=6"
GRID = {
    "data": [DATA, OTHER], "model": ["linear", {"kind": "mlp", "widths": [4]}],
    "learning-rate": [0.5, 0.05], "formulations": ["bce", "ce2"], "seeds": 2, "epochs": 4,
    "margin": 0.001,
}  # fmt: skip
TIMES = ("date", "seconds", "fit_seconds", "timings")


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in TIMES}
    return [without_times(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    return folder, xent.sweep(GRID, out=folder)


def test_every_cell_is_its_study(ran):
    _, result = ran
    assert [(cell.data, cell.model, cell.learning_rate) for cell in result.cells] == [
        (data, model, rate)
        for data in (DATA, OTHER)
        for model in ("linear", "mlp 4")
        for rate in (0.05, 0.5)
    ]
    cell = result.cells[3]
    alone = compare(
        DATA, model="mlp", widths=[4], learning_rate=0.5, formulations="bce,ce2", seeds=2,
        epochs=4, margin=0.001,
    )  # fmt: skip
    assert without_times(cell.results) == without_times(alone.to_dict())
    assert result.status == "finished"
    assert (result.done, result.planned, result.taken) == (32, 32, 0)


def test_documents_are_valid(ran):
    folder, result = ran
    Draft202012Validator.check_schema(sweep_schema())
    document = json.loads((folder / "sweep.json").read_text())
    Draft202012Validator(sweep_schema()).validate(document)
    assert document == json.loads(json.dumps(result.to_dict()))
    for cell in document["cells"]:
        results = json.loads((folder / cell["folder"] / "results.json").read_text())
        Draft202012Validator(schema()).validate(results)
        assert cell["pairs"] == results["pairs"]
        for trial in (t for r in results["formulations"].values() for t in r["trials"]):
            own = folder / cell["folder"] / "trials" / f"{trial['key']}.npz"
            assert own.read_bytes() == (folder / "trials" / own.name).read_bytes()
        assert (folder / cell["folder"] / "report.html").is_file()
    assert len(list((folder / "trials").iterdir())) == 32
    assert len(Ledger(folder / "trials.jsonl").read()) == 32


def test_the_report_of_a_cell_can_be_made_again(ran):
    from xent.report import write

    folder, result = ran
    page = folder / result.cells[0].folder / "report.html"
    page.unlink()
    write(page.parent)
    assert page.is_file()


def test_best_learning_rates_are_compared(ran):
    _, result = ran
    for best in result.best:
        cells = {
            c.learning_rate: c for c in result.cells if (c.data, c.model) == (best.data, best.model)
        }
        for name, choice in best.choices.items():
            validation = [
                np.mean(
                    [t["validation_log_loss"] for t in cell.results["formulations"][name]["trials"]]
                )
                for cell in cells.values()
            ]
            np.testing.assert_allclose(choice.validation_log_losses, validation)
            assert choice.learning_rate == list(cells)[int(np.argmin(validation))]
            own = cells[choice.learning_rate].results["formulations"][name]
            assert choice.test_log_loss == own["log_loss"]
        (pair,) = best.comparison.pairs
        expected = best.choices["ce2"].test_log_loss - best.choices["bce"].test_log_loss
        assert pair.difference == pytest.approx(expected, abs=1e-12)


def noisy(tmp_path, rows=400):
    """Data whose test rows, unlike their validation rows, prefer another learning rate."""
    random = np.random.default_rng(3)
    x = random.normal(size=rows)
    y = (random.uniform(size=rows) < 1 / (1 + np.exp(-3 * x))).astype(int)
    frame = pandas.DataFrame({"x": x, "y": y})
    frame.to_csv(tmp_path / "train.csv", index=False)
    # Labels of the test file are tossed: the less a model has learnt, the better.
    frame.assign(y=random.integers(0, 2, rows)).to_csv(tmp_path / "test.csv", index=False)


def test_the_choice_is_made_on_validation_rows_not_on_test_rows(tmp_path):
    noisy(tmp_path)
    grid = {
        "data": {"source": str(tmp_path / "train.csv"), "test": str(tmp_path / "test.csv")},
        "target": "y", "learning-rate": [0.001, 0.3], "formulations": "bce,ce2", "seeds": 2,
        "epochs": 30, "margin": 0.01,
    }  # fmt: skip
    (best,) = xent.sweep(grid).best
    for name, choice in best.choices.items():
        assert choice.learning_rate == 0.3
        slow, fast = (
            compare(
                tmp_path / "train.csv", "y", test=tmp_path / "test.csv", seeds=2, epochs=30,
                learning_rate=rate, formulations=[name], margin=0.01,
            )[name].mean("log_loss")
            for rate in (0.001, 0.3)
        )  # fmt: skip
        assert slow < fast == pytest.approx(choice.test_log_loss)


def test_the_choice_goes_by_recovered_probabilities():
    """Of smoothed losses the raw validation loss says nothing of what is compared."""
    grid = {"data": DATA, "learning-rate": [0.05, 0.5], "formulations": "ce2+smoothing=0.3",
            "seeds": 2, "epochs": 20, "margin": 0.01}  # fmt: skip
    result = xent.sweep(grid)
    (choice,) = result.best[0].choices.values()
    for loss, cell in zip(choice.validation_log_losses, result.cells, strict=True):
        (own,) = cell.results["formulations"].values()
        recovered = [trial["recovered_validation_log_loss"] for trial in own["trials"]]
        assert loss == pytest.approx(np.mean(recovered))
        assert loss < np.mean([trial["validation_log_loss"] for trial in own["trials"]])
    assert result.best[0].comparison.pairs == ()


def test_a_rate_at_which_a_seed_diverges_is_not_chosen():
    grid = GRID | {"data": DATA, "model": "linear", "optimizer": "sgd",
                   "learning-rate": [0.01, 1e38]}  # fmt: skip
    result = xent.sweep(grid)
    (best,) = result.best
    for choice in best.choices.values():
        assert choice.learning_rate == 0.01
        assert choice.validation_log_losses[1] is None
    assert result.status == "finished"
    assert [cell.results["status"] for cell in result.cells] == ["finished", "failed"]
    hopeless = xent.sweep(grid | {"learning-rate": [1e37, 1e38]})
    assert {choice.learning_rate for choice in hopeless.best[0].choices.values()} == {None}
    assert hopeless.status == "failed"
    document = json.loads(json.dumps(hopeless.to_dict()))
    Draft202012Validator(sweep_schema()).validate(document)


def test_equal_losses_take_the_smaller_rate():
    comparison = compare(DATA, seeds=1, epochs=2, formulations="bce", margin=0.1)
    choices = choose([comparison, comparison, comparison], [0.1, 0.2, 0.3])
    assert choices["bce"].learning_rate == 0.1


def test_a_sweep_of_one_cell_needs_no_validation_rows():
    result = xent.sweep({"data": DATA, "validation": 0, "seeds": 1, "epochs": 2, "margin": 0.01})
    assert {choice.learning_rate for choice in result.best[0].choices.values()} == {0.1}
    assert result.to_dict()["chosen_on"] is None


# Interrupted and taken up again.


def stop_at(studies):
    def progress(what, fraction):
        if what.endswith("studies") and fraction >= studies / 8:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("studies", [0.5, 1.5, 3.0])
def test_an_interrupted_sweep_goes_on(ran, tmp_path, studies):
    folder, whole = ran
    with pytest.raises(SweepInterrupted) as stopped:
        xent.sweep(GRID, out=tmp_path, progress=stop_at(studies))
    done = round(studies * 4)
    assert str(stopped.value) == f"{done} of 32 trials are finished"
    if studies >= 1:
        partial = json.loads((tmp_path / "sweep.json").read_text())
        Draft202012Validator(sweep_schema()).validate(partial)
        assert partial["status"] == "interrupted"
        assert partial["trials"] == {"finished": done, "planned": 32}
        assert partial["over_data_sets"] == []
    again = xent.sweep(GRID, out=tmp_path)
    assert again.taken == done
    assert without_times(again.to_dict()) == without_times(whole.to_dict())
    paths = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert paths == {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def test_without_links_the_trials_are_copied(tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.hardlink_to", no_links)
    result = xent.sweep(GRID | {"data": DATA, "model": "linear"}, out=tmp_path)
    for cell in result.cells:
        kept = list((tmp_path / cell.folder / "trials").iterdir())
        assert len(kept) == 4
        for path in kept:
            assert path.read_bytes() == (tmp_path / "trials" / path.name).read_bytes()


def test_a_damaged_trial_is_made_again_in_its_cell_too(tmp_path):
    grid = GRID | {"data": DATA, "model": "linear"}
    result = xent.sweep(grid, out=tmp_path)
    own = next((tmp_path / result.cells[0].folder / "trials").iterdir())
    content = own.read_bytes()
    own.write_bytes(content[:500])  # the link is the sweep's own file
    assert (tmp_path / "trials" / own.name).read_bytes() == content[:500]
    again = xent.sweep(grid, out=tmp_path)
    assert again.taken == again.planned - 2
    assert own.read_bytes() == (tmp_path / "trials" / own.name).read_bytes()
    assert len(own.read_bytes()) == len(content)


def test_processes_are_shared():
    small = GRID | {"data": DATA, "model": "linear", "dtype": "float64"}
    alone, shared = xent.sweep(small), xent.sweep(small, jobs=2)
    for one, other in zip(alone.best, shared.best, strict=True):
        for name, choice in one.choices.items():
            assert choice.test_log_loss == pytest.approx(other.choices[name].test_log_loss)


def test_a_sweep_shows_itself(ran):
    _, result = ran
    console = Console(width=80, file=io.StringIO())
    result.show(console)
    said = " ".join(console.file.getvalue().split())
    for best in result.best:
        for choice in best.choices.values():
            assert f"{choice.test_log_loss:.5f} ±{choice.test_log_loss_se:.5f}" in said
        for note in best.notes:
            assert note in said
        for found in best.comparison.findings[:1]:
            assert f"{found.code} {found.name}" in said
    assert "test log loss (± SE)" in said
    assert "At each common learning rate: verdict (difference of log loss, in nats)" in said


def test_the_error_of_a_choice_is_that_of_its_seeds(ran):
    _, result = ran
    best = result.best[0]
    for name, choice in best.choices.items():
        losses = [trial.test.log_loss for trial in best.comparison[name].trials]
        assert choice.test_log_loss_se == pytest.approx(np.std(losses, ddof=1) / np.sqrt(2))


def test_a_best_rate_at_an_end_of_the_grid_is_said(ran):
    _, result = ran
    for best in result.best:
        rates = {choice.learning_rate for choice in best.choices.values()}
        assert len(best.notes) == len(rates)  # two rates were tried: each is an end
    middle = {"bce": Choice(0.1, (0.3, 0.2, 0.4), 0.2)}
    assert edge_notes(middle, [0.01, 0.1, 1.0]) == ()
    assert edge_notes({"bce": Choice(0.1, (0.3,), 0.2)}, [0.1]) == ()
    assert edge_notes({"bce": Choice(None, (None, None), None)}, [0.1, 1.0]) == ()


# Over data sets.


def test_two_formulations_over_data_sets():
    random = np.random.default_rng(0)
    bce, ce2 = random.uniform(0.2, 0.6, (2, 9))
    ce2 += 0.1
    found = compare_over_data_sets(
        "linear", [f"d{i}" for i in range(9)], {"bce": bce.tolist(), "ce2": ce2.tolist()}, 0.95
    )
    assert found.test == "wilcoxon"
    assert found.p_value == pytest.approx(stats.wilcoxon(ce2 - bce).pvalue, rel=1e-9)
    assert found.smallest_p_value == 2 / 2**9
    (pair,) = found.pairs
    assert (pair.minuend_worse, pair.subtrahend_worse) == (
        int((ce2 > bce).sum()), int((ce2 < bce).sum()),
    )  # fmt: skip
    assert pair.median_difference == pytest.approx(np.median(ce2 - bce))
    assert "Wilcoxon, p = " in found.sentence


def test_more_formulations_over_data_sets():
    random = np.random.default_rng(1)
    losses = random.uniform(0.2, 0.6, (8, 3)) + np.array([0.0, 0.0, 0.3])
    names = ("bce", "ce1", "ce2")
    found = compare_over_data_sets(
        "linear", [str(i) for i in range(8)], dict(zip(names, losses.T.tolist(), strict=True)), 0.95
    )
    ranks = stats.rankdata(losses, axis=1).mean(axis=0)
    assert found.mean_ranks == pytest.approx(dict(zip(names, ranks, strict=True)))
    # From permutations, so that it is near the distribution of many data sets, not equal to it.
    assert found.p_value == friedman(losses).p_value
    assert found.p_value == pytest.approx(stats.friedmanchisquare(*losses.T).pvalue, abs=0.01)
    z = np.abs(ranks[[1, 2, 2]] - ranks[[0, 0, 1]]) / np.sqrt(3 * 4 / (6 * 8))
    raw = 2 * stats.norm.sf(z)
    order, adjusted, highest = np.argsort(raw), np.zeros(3), 0.0
    for step, place in enumerate(order):
        highest = max(highest, min(1.0, (3 - step) * raw[place]))
        adjusted[place] = highest
    by_pair = {(p.minuend, p.subtrahend): p.p_value for p in found.pairs}
    expected = {
        ("ce1", "bce"): adjusted[0],
        ("ce2", "bce"): adjusted[1],
        ("ce2", "ce1"): adjusted[2],
    }
    assert by_pair == pytest.approx(expected, rel=1e-9)
    assert "the formulations differ (Friedman" in found.sentence
    assert "ce2 and bce" in found.sentence


def test_few_data_sets_can_show_nothing_and_that_is_said():
    found = compare_over_data_sets("mlp", ["a", "b"], {"bce": [0.1, 0.2], "ce2": [0.3, 0.4]}, 0.95)
    assert found.sentence == (
        "Over 2 data sets ce2 has the higher log loss on 2 and bce on 0; so few can't show a "
        "difference: Wilcoxon's p is 0.5 at the least."
    )


def test_two_data_sets_of_three_formulations_can_show_nothing():
    alike = {"bce": [0.1, 0.1], "ce1": [0.2, 0.2], "ce2": [0.3, 0.3]}
    found = compare_over_data_sets("mlp", ["a", "b"], alike, 0.95)
    assert found.smallest_p_value == pytest.approx(1 / 6)
    # The most extreme ranks there are: Friedman's own p-value is that of 20,000 permutations.
    assert found.p_value == pytest.approx(1 / 6, abs=0.01)
    assert found.sentence == (
        "Over 2 data sets no difference of the formulations can be shown: with so few Friedman's p "
        "is 0.17 at the least."
    )
    more = {name: losses * 2 for name, losses in alike.items()}
    assert "can be shown" not in compare_over_data_sets("mlp", list("abcd"), more, 0.95).sentence


def test_formulations_that_never_got_anywhere_rank_last():
    losses = {"bce": [0.1, np.inf, 0.2], "ce1": [0.2, np.inf, 0.3], "ce2": [np.inf] * 3}
    found = compare_over_data_sets("linear", list("abc"), losses, 0.95)
    assert max(found.mean_ranks, key=found.mean_ranks.get) == "ce2"
    pair = next(p for p in found.pairs if (p.minuend, p.subtrahend) == ("ce2", "bce"))
    assert (pair.minuend_worse, pair.subtrahend_worse) == (2, 0)
    two = compare_over_data_sets(
        "linear", list("ab"), {k: losses[k][:2] for k in ("bce", "ce2")}, 0.95
    )
    assert two.pairs[0].minuend_worse == 1


def test_each_model_has_its_own(ran):
    _, result = ran
    assert [over.model for over in result.over_data_sets] == ["linear", "mlp 4"]
    for over in result.over_data_sets:
        own = [best for best in result.best if best.model == over.model]
        assert over.data == tuple(best.data for best in own)
        for name, losses in over.log_losses.items():
            assert losses == tuple(best.choices[name].test_log_loss for best in own)
    assert replace(result, best=()).status == "finished"


def test_defaults_that_differ_are_refused():
    with pytest.raises(InputError) as caught:
        xent.sweep({"data": [DATA, "sklearn:iris"], "seeds": 1})
    assert str(caught.value) == (
        "compare: formulations must be given for data with two classes beside data with more, "
        f"whose defaults differ; got {DATA}: bce,ce1,ce2; sklearn:iris: ce,ovr. Give formulations "
        '= ["ce", "ovr"].'
    )


def test_an_option_that_does_not_fit_one_file_says_where_its_own_stand(tmp_path):
    noisy(tmp_path, rows=60)
    frame = pandas.read_csv(tmp_path / "train.csv").rename(columns={"y": "z"})
    frame.to_csv(tmp_path / "other.csv", index=False)
    files = [str(tmp_path / "train.csv"), str(tmp_path / "other.csv")]
    with pytest.raises(InputError) as caught:
        xent.sweep({"data": files, "target": "y", "formulations": "bce"})
    assert str(caught.value) == (
        "compare: --target must be a column of other.csv; got 'y'. The columns are 'x', 'z'. "
        "Options of other.csv alone stand in a [[data]] table with its source."
    )
    both = [files[0], {"source": files[1], "target": "z"}, "sklearn:breast_cancer"]
    small = {"target": "y", "formulations": "bce", "seeds": 1, "epochs": 1, "margin": 0.1}
    assert len(xent.sweep({"data": both} | small).cells) == 3


def test_folders_are_called_by_the_shortest_number():
    rates = [0.1, 1e-5, 1.0, 1 / 3]
    spec = read_sweep({"data": "sklearn:iris", "learning-rate": rates})
    assert [name.rpartition("-rate-")[2] for name in _folder_names(spec).values()] == [
        "1e-05", "0.1", "0.3333333333333333", "1",
    ]  # fmt: skip


def test_what_is_wrong_with_the_last_cell_is_said_before_the_first_is_trained(tmp_path):
    grid = GRID | {"data": [DATA, {"source": "sklearn:iris", "target": "petal"}]}
    with pytest.raises(InputError, match=r"^compare: --target must be a column of sklearn:iris"):
        xent.sweep(grid, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
