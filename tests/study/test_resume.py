"""A run that is taken up again: nothing finished is trained twice, and the results are the same."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import Executor, Future
from dataclasses import replace

import numpy as np
import pytest
import torch
from jsonschema import Draft202012Validator
from torch import nn

from xent.study import BUILT_IN, compare, schema
from xent.study._runs._ledger import Ledger
from xent.study._runs._run import Interrupted
from xent.study._runs._run_folder import ABANDONED

DATA = "synthetic:n=300,features=3,seed=5"
# The keys of results.json that are times; all others are equal in a resumed run.
TIMES = ("date", "seconds", "fit_seconds", "timings")


class Net(nn.Module):
    """Says how often it was made; in float64 and float32 alike."""

    made = 0

    def __init__(self, n_features, n_outputs):
        super().__init__()
        type(self).made += 1
        self.hidden = nn.Linear(n_features, 4)
        self.out = nn.Linear(4, n_outputs)

    def forward(self, features):
        return self.out(torch.tanh(self.hidden(features)))


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in TIMES}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def results_of(folder):
    return without_times(json.loads((folder / "results.json").read_text()))


def stop_after(trials):
    """A progress that interrupts once so many trials are finished."""
    evaluated = []

    def progress(what, fraction):
        evaluated.append(what == "evaluating")
        if sum(evaluated) == trials:
            raise KeyboardInterrupt

    return progress


def times_in(folder):
    return json.loads((folder / "results.json").read_text())["formulations"]["bce"]["timings"]


# Every kind of trial: stacks, batches, an mlp, Newton, modules, recovered, weighted, diverged.
STUDIES = {
    "linear": {},
    "batches": {"model": "mlp", "widths": [4], "batch_size": 64},
    "newton": {"converge": True, "validation": 0.0},
    "module": {"model": Net},
    "module in float64": {"model": Net, "dtype": "float64", "head": "out"},
    "recovered": {"formulations": "bce,bce+smoothing=0.1,ce2+focal=2"},
    "three classes": {"data": "sklearn:iris", "formulations": "ce,ovr"},
    "diverged": {"optimizer": "sgd", "learning_rate": 1e38},
    "splits": {"splits": 3, "seeds": None, "formulations": "bce,ce2+weights=balanced"},
}


@pytest.mark.parametrize("options", STUDIES.values(), ids=STUDIES)
def test_a_rerun_trains_nothing_and_gives_the_same_results(options, tmp_path, monkeypatch):
    options = {"data": DATA, "seeds": 2, "epochs": 4, "formulations": "bce,ce2"} | options
    first = compare(**options, out=tmp_path)
    assert (first.taken, first.done, first.planned) == (0, first.planned, first.planned)
    before, ledger = results_of(tmp_path), (tmp_path / "trials.jsonl").read_bytes()
    times = [result.timings["step"] for result in first.formulations]

    def never(*_):
        raise AssertionError("a finished trial is trained again")

    monkeypatch.setattr("xent.study._runs._tasks.run_task", never)
    again = compare(**options, out=tmp_path)
    assert again.taken == again.planned == first.planned
    assert results_of(tmp_path) == before
    assert (tmp_path / "trials.jsonl").read_bytes() == ledger
    assert [result.timings["step"] for result in again.formulations] == times
    for result in first.formulations:
        for trial, same in zip(result.trials, again[result.name].trials, strict=True):
            np.testing.assert_array_equal(trial.log_probabilities, same.log_probabilities)


@pytest.mark.parametrize("trials", [1, 2, 3, 5])
def test_an_interrupted_run_has_results_and_goes_on(tmp_path, trials):
    options = {"model": Net, "seeds": 3, "epochs": 3, "formulations": "bce,ce2"}
    whole = tmp_path / "whole"
    compare(DATA, **options, out=whole)
    folder = tmp_path / "stopped"
    with pytest.raises(Interrupted, match=f"^{trials} of 6 trials are finished$") as stop:
        compare(DATA, **options, out=folder, progress=stop_after(trials))
    partial = json.loads((folder / "results.json").read_text())
    Draft202012Validator(schema()).validate(partial)
    assert partial["status"] == stop.value.comparison.status == "interrupted"
    assert partial["trials"] == {"finished": trials, "planned": 6}
    # Pairs are finished together.
    seeds = [
        [trial["seed"] for trial in result["trials"]] for result in partial["formulations"].values()
    ]
    assert seeds == [s for s in ([*range((trials + 1) // 2)], [*range(trials // 2)]) if s]
    Net.made = 0
    resumed = compare(DATA, **options, out=folder)
    assert resumed.taken == trials
    assert Net.made == 6 - trials
    assert results_of(folder) == results_of(whole)
    assert len(Ledger(folder / "trials.jsonl").read()) == 6


def test_interrupted_before_anything_is_finished(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("xent.study._runs._tasks.run_task", stop)
    with pytest.raises(Interrupted, match=r"^0 of 6 trials are finished$") as stopped:
        compare(DATA, seeds=2, epochs=1, out=tmp_path / "new")
    assert stopped.value.comparison is None
    assert not (tmp_path / "new").exists()


def test_interrupted_at_the_very_end(tmp_path, monkeypatch):
    """While results are made of trials that are all there."""

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("xent.study._runs._run.with_statistics", stop)
        with pytest.raises(Interrupted, match=r"^6 of 6 trials are finished$") as stopped:
            compare(DATA, seeds=2, epochs=1, out=tmp_path)
    assert stopped.value.comparison is None
    assert compare(DATA, seeds=2, epochs=1, out=tmp_path).taken == 6


@pytest.mark.parametrize("trials", [1, 2, 3])
def test_interrupted_between_splits(tmp_path, trials):
    options = {"splits": 3, "epochs": 2, "formulations": "bce,ce2"}
    with pytest.raises(Interrupted) as stopped:
        compare(DATA, **options, out=tmp_path, progress=stop_after(trials))
    partial = json.loads((tmp_path / "results.json").read_text())
    Draft202012Validator(schema()).validate(partial)
    assert partial["trials"] == {"finished": trials, "planned": 6}
    assert len(stopped.value.comparison.pairs) == (trials > 1)
    compare(DATA, **options, out=tmp_path)
    compare(DATA, **options, out=tmp_path / "whole")
    assert results_of(tmp_path) == results_of(tmp_path / "whole")


def test_interrupted_without_a_folder(monkeypatch):
    with pytest.raises(KeyboardInterrupt) as stopped:
        compare(DATA, seeds=2, epochs=1, progress=stop_after(1))
    assert not isinstance(stopped.value, Interrupted)


def test_a_stack_is_kept_whole_or_not_at_all(tmp_path):
    """Seeds that train together give other numbers when one of them is missing."""
    comparison = compare(DATA, seeds=3, epochs=3, formulations="bce", out=tmp_path)
    before = results_of(tmp_path)
    lines = (tmp_path / "trials.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == 3
    (tmp_path / "trials.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:20])
    again = compare(DATA, seeds=3, epochs=3, formulations="bce", out=tmp_path)
    assert again.taken == 0
    assert results_of(tmp_path) == before
    assert set(Ledger(tmp_path / "trials.jsonl").read()) == {
        trial.key for trial in comparison["bce"].trials
    }


def test_other_studies_share_a_folder(tmp_path):
    compare(DATA, seeds=2, epochs=3, formulations="bce", out=tmp_path)
    more = compare(DATA, seeds=2, epochs=3, formulations="bce,ce2", out=tmp_path)
    assert (more.taken, more.planned) == (2, 4)
    for changes in ({"seeds": 3}, {"epochs": 4}, {"dtype": "float64"}, {"split_seed": 1}):
        options = {"seeds": 2, "epochs": 3, "formulations": "bce"} | changes
        assert compare(DATA, **options, out=tmp_path).taken == 0
    assert compare(DATA, seeds=2, epochs=3, out=tmp_path).taken == 4


def test_a_loss_that_was_rewritten_is_trained_again(tmp_path):
    def scaled(factor):
        def loss(outputs, target):
            return factor * BUILT_IN["ce2"].loss(outputs, target)

        return replace(BUILT_IN["ce2"], name="mine", loss=loss)

    taken = [
        compare(DATA, seeds=1, epochs=2, formulations=[scaled(factor)], out=tmp_path).taken
        for factor in (1.0, 2.0, 1.0)
    ]
    assert taken == [0, 0, 1]


OWN = {
    "lib_of_mine/__init__.py": "",
    "lib_of_mine/inner.py": "import torch\ndef act(x): return torch.tanh(1.0 * x)\n",
    "lib_of_mine/scale.py": "SCALE = 1.0\n",
    "model_of_mine.py": """
import os
import numpy as np
import torch
import lib_of_mine.inner

WIDTH = np.int64(os.environ["WIDTH"])

class Net(torch.nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.hidden = torch.nn.Linear(n_features, int(WIDTH))
        self.out = torch.nn.Linear(int(WIDTH), n_outputs)

    def forward(self, x):
        return self.out(lib_of_mine.inner.act(self.hidden(x)))
""",
    "loss_of_mine.py": """
import xent
from torch.nn import functional

def loss(outputs, target):
    from lib_of_mine.scale import SCALE
    return SCALE * functional.cross_entropy(outputs, target, reduction="none")

mine = xent.Formulation("mine", "scaled", lambda classes: 2, loss, "softmax")
""",
}


def test_code_of_ones_own_that_was_edited_is_trained_again(tmp_path):
    """A submodule through its package, an import in a function's body, and an array scalar."""
    (tmp_path / "lib_of_mine").mkdir()
    for name, source in OWN.items():
        (tmp_path / name).write_text(source)
    code = (
        "import sys; sys.path.insert(0, '.'); import xent, loss_of_mine\n"
        f"print(xent.compare({DATA!r}, model='model_of_mine:Net', seeds=1, epochs=1,"
        " formulations=['ce2', loss_of_mine.mine], out='run').taken)"
    )

    def taken(width="3"):
        done = subprocess.run(
            [sys.executable, "-B", "-c", code], capture_output=True, text=True, cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": ":".join(filter(None, sys.path)), "WIDTH": width},
            check=True,
        )  # fmt: skip
        return int(done.stdout)

    def edited(name, before, after):
        path = tmp_path / "lib_of_mine" / name
        path.write_text(path.read_text().replace(before, after))
        return taken()

    assert [taken(), taken()] == [0, 2]
    assert edited("scale.py", "1.0", "2.0") == 1
    assert edited("inner.py", "1.0", "2.0") == 0
    assert taken("4") == 0


def test_what_cannot_be_told_apart_is_trained_again_and_said(tmp_path):
    numbers = (number for number in range(3))

    def loss(outputs, target):
        assert numbers is not None
        return BUILT_IN["ce2"].loss(outputs, target)

    own = replace(BUILT_IN["ce2"], name="mine", loss=loss)
    options = {"seeds": 1, "epochs": 1, "formulations": ["ce2", own], "out": tmp_path}
    said = "leads to an object of type builtins.generator, and whether that is as it was can't"
    for taken in (0, 1):
        with pytest.warns(UserWarning, match=said):
            assert compare(DATA, **options).taken == taken
    compare(DATA, **options | {"out": None})


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A run of one small trial."""
    folder = tmp_path_factory.mktemp("small")
    compare("sklearn:iris", classes=["setosa", "virginica"], **SMALL, out=folder)
    (path,) = (folder / "trials").iterdir()
    return folder, path, path.read_bytes(), results_of(folder)


SMALL = {"seeds": 1, "epochs": 2, "formulations": "bce"}


def rerun(folder):
    return compare("sklearn:iris", classes=["setosa", "virginica"], **SMALL, out=folder)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_arrays_that_end_early_are_made_again(small, share):
    folder, path, content, before = small
    path.write_bytes(content[: int(share * len(content))])
    assert rerun(folder).taken == 0
    assert results_of(folder) == before
    assert len(path.read_bytes()) == len(content)


def test_arrays_that_are_gone_are_made_again(small):
    folder, path, _, before = small
    path.unlink()
    assert rerun(folder).taken == 0
    assert results_of(folder) == before


def test_a_flipped_bit_is_found_or_harmless(small):
    from xent.study._runs._run_folder import RunFolder

    folder, path, content, _ = small
    key = path.stem
    (result,) = RunFolder(folder).kept([key], [0], {key}).outcomes
    random = np.random.default_rng(0)
    found = 0
    for position in random.integers(0, len(content), 300).tolist():
        damaged = bytearray(content)
        damaged[position] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        kept = RunFolder(folder).kept([key], [0], {key})
        found += kept is None
        if kept is not None:
            (outcome,) = kept.outcomes
            np.testing.assert_array_equal(outcome.parameters["head"], result.parameters["head"])
            np.testing.assert_array_equal(outcome.train_curve, result.train_curve)
            assert (outcome.objective, outcome.seed) == (result.objective, result.seed)
    assert found > 150
    path.write_bytes(content)


def test_a_trial_of_an_older_form_is_made_again(small):
    folder, path, _, before = small
    with np.load(path) as archive:
        arrays = dict(archive)
    del arrays["objective"]
    np.savez(path, **arrays)
    assert rerun(folder).taken == 0
    assert results_of(folder) == before


def test_what_a_killed_process_left_is_swept_up(small):
    import os
    import time

    folder, path, _, _ = small
    old, young, foreign = (
        path.parent / name
        for name in ("k.npz.0123456789ab.part", "l.npz.0123456789ab.part", "download.part")
    )
    for left in (old, young, foreign):
        left.write_bytes(b"half a trial")
    for left in (old, foreign):
        os.utime(left, (time.time() - 2 * ABANDONED,) * 2)
    rerun(folder)
    assert [left.exists() for left in (old, young, foreign)] == [False, True, True]
    young.unlink()
    foreign.unlink()


class LastFirst(Executor):
    """Finishes the last of three tasks, then the second; the first is interrupted."""

    def __init__(self, interrupt):
        self.waiting = []
        self.interrupt = interrupt

    def submit(self, function, /, *arguments):
        future = Future()
        self.waiting.append((future, function, arguments))
        if len(self.waiting) == 3:
            for each, call, given in self.waiting[:0:-1]:
                each.set_result(call(*given))
            first, call, given = self.waiting[0]
            if self.interrupt:
                first.set_exception(KeyboardInterrupt())
            else:
                first.set_result(call(*given))
        return future


def test_trials_are_kept_as_they_come_and_stand_in_their_order(tmp_path):
    options = {"seeds": 2, "epochs": 2}
    folder = tmp_path / "stopped"
    with pytest.raises(Interrupted) as stopped:
        compare(DATA, **options, executor=LastFirst(interrupt=True), out=folder)
    assert stopped.value.done in (0, 2, 4)
    resumed = compare(DATA, **options, out=folder)
    assert resumed.taken == stopped.value.done
    assert [result.name for result in resumed.formulations] == ["bce", "ce1", "ce2"]
    compare(DATA, **options, executor=LastFirst(interrupt=False), out=tmp_path / "whole")
    assert results_of(folder) == results_of(tmp_path / "whole")


class TheFirstTwo(Executor):
    """Trains two tasks; the others wait for ever."""

    submitted = 0

    def submit(self, function, /, *arguments):
        self.submitted += 1
        future = Future()
        if self.submitted <= 2:
            future.set_result(function(*arguments))
        return future


@pytest.mark.parametrize("executor", [None, TheFirstTwo()], ids=["here", "executor"])
def test_what_another_process_finishes_meanwhile_is_taken(tmp_path, executor):
    """The ledger is read again before each task."""
    options = {"model": Net, "seeds": 4, "epochs": 2, "formulations": "bce,ce2"}
    whole, folder = tmp_path / "whole", tmp_path / "shared"
    compare(DATA, **options, out=whole)
    evaluated = []

    def progress(what, _):
        evaluated.append(what == "evaluating")
        if sum(evaluated) == 2:
            shutil.copytree(whole / "trials", folder / "trials", dirs_exist_ok=True)
            lines = Ledger(whole / "trials.jsonl").read().values()
            Ledger(folder / "trials.jsonl").append(list(lines))

    Net.made = 0
    comparison = compare(DATA, **options, out=folder, progress=progress, executor=executor)
    assert (Net.made, comparison.taken) == (2, 6)
    assert results_of(folder) == results_of(whole)


def test_progress_says_what_was_taken(tmp_path):
    compare(DATA, seeds=2, epochs=2, formulations="bce", out=tmp_path)
    said = []
    compare(
        DATA, seeds=2, epochs=2, formulations="bce,ce2", out=tmp_path,
        progress=lambda what, fraction: said.append((what, fraction)),
    )  # fmt: skip
    assert ("2 of 4 trials taken from the folder", 1.0) in said
    assert said[-1] == ("evaluating", 1.0)
    assert len(times_in(tmp_path)["step"]) == 4
