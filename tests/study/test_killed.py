"""Runs that end before their time: killed at any moment, or asked to stop."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from xent.study import schema
from xent.study._runs._ledger import Ledger

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

# Each training leaves a line: outputs of the model and its seed, which together name the trial.
MODULE = """
import os
import time

import torch


def factory(n_features, n_outputs):
    with open(os.environ["TRAININGS"], "a") as file:
        file.write(f"{n_outputs} {torch.initial_seed()}\\n")
    time.sleep(0.05)
    return torch.nn.Linear(n_features, n_outputs)
"""
SEEDS = 25
TRIALS = 2 * SEEDS
TIMES = ("date", "seconds", "fit_seconds", "timings")


class SlowStudy:
    """``xent compare`` as a process: fifty trials that take some time each."""

    def __init__(self, folder):
        self.folder = folder
        self.trainings = folder / "trainings.txt"
        (folder / "slow_model.py").write_text(MODULE)

    def start(self, out, *options):
        self.trainings.write_text("")
        path = os.pathsep.join(filter(None, [str(self.folder), *sys.path]))
        return subprocess.Popen(
            [sys.executable, "-m", "xent", "compare", "synthetic:n=200,features=2",
             "-f", "bce,ce2", "--model", "slow_model:factory", "--seeds", str(SEEDS),
             "--epochs", "1", "--margin", "0.001", "--out", str(out), *options],
            env=os.environ | {"PYTHONPATH": path, "TRAININGS": str(self.trainings),
                              "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def trained(self):
        return self.trainings.read_text().splitlines()

    def wait_for(self, process, trainings):
        end = time.monotonic() + 60
        while len(self.trained()) < trainings and process.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.002)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The study, run without interruption, and which line of a training belongs to which trial."""
    study = SlowStudy(tmp_path_factory.mktemp("slow"))
    process = study.start(study.folder / "whole")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    lines = study.trained()
    assert len(set(lines)) == len(lines) == TRIALS
    # Formulations take turns, seed by seed.
    trials = [(name, seed) for seed in range(SEEDS) for name in ("bce", "ce2")]
    return study, dict(zip(lines, trials, strict=True))


def results_of(folder):
    def without_times(value):
        if isinstance(value, dict):
            return {key: without_times(item) for key, item in value.items() if key not in TIMES}
        return [without_times(item) for item in value] if isinstance(value, list) else value

    return without_times(json.loads((folder / "results.json").read_text()))


def finished_in(folder):
    lines = Ledger(folder / "trials.jsonl").read().values()
    return {(line["formulation"], line["seed"]): line["key"] for line in lines}


@pytest.mark.slow
def test_killed_ten_times(whole, tmp_path):
    study, trial_of = whole
    chance = random.Random(20260101)
    out = tmp_path / "run"
    finished = {}
    trained = Counter()
    for kill in range(11):
        process = study.start(out)
        if kill < 10:
            study.wait_for(process, chance.randint(1, 5))
            time.sleep(chance.uniform(0, 0.08))
            process.kill()
        _, errors = process.communicate(timeout=120)
        assert process.returncode == (-signal.SIGKILL if kill < 10 else 0), errors
        now = [trial_of[line] for line in study.trained()]
        assert not set(now) & set(finished), "a finished trial was trained again"
        trained.update(now)
        before, finished = finished, finished_in(out)
        assert before.items() <= finished.items(), "a finished trial was lost"
        for key in finished.values():
            with np.load(out / "trials" / f"{key}.npz", allow_pickle=False) as archive:
                assert archive["log_probabilities"].shape == (40, 2)
        # What is under way is lost, but no more than that.
        assert sum(trained.values()) - len(finished) <= kill + 1
    assert len(finished) == TRIALS
    assert set(trained) == set(trial_of.values())
    whole_lines = [
        line for line in (out / "trials.jsonl").read_bytes().splitlines() if line.endswith(b"}")
    ]
    assert len(whole_lines) == TRIALS
    assert results_of(out) == results_of(study.folder / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_asked_to_stop(whole, tmp_path, ended_by):
    study, _ = whole
    out = tmp_path / "run"
    process = study.start(out)
    study.wait_for(process, 6)
    process.send_signal(ended_by)
    shown, errors = process.communicate(timeout=60)
    assert (process.returncode, shown) == (130, "")
    done = len(finished_in(out))
    assert 5 <= done < TRIALS
    assert errors.splitlines()[0] == (
        f"{done} of {TRIALS} trials are finished; the same command goes on from there."
    )
    assert errors.splitlines()[-1] == "Interrupted."
    document = json.loads((out / "results.json").read_text())
    Draft202012Validator(schema()).validate(document)
    assert document["status"] == "interrupted"
    assert document["trials"] == {"finished": done, "planned": TRIALS}
    again = study.start(out)
    shown, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    assert f"{done} of {TRIALS} trials were finished in the folder before" in shown
    assert len(study.trained()) == TRIALS - done
    assert results_of(out) == results_of(study.folder / "whole")


@pytest.mark.slow
def test_two_processes_on_one_folder(whole, tmp_path):
    """They share the trials: none is trained twice, and neither harms the other's."""
    study, _ = whole
    out = tmp_path / "run"
    first = study.start(out)
    study.wait_for(first, 3)
    second = study.start(out)
    for process in (first, second):
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert results_of(out) == results_of(study.folder / "whole")
    assert len(finished_in(out)) == TRIALS
    trained = study.trained()
    assert 0 < len(trained) < TRIALS
    assert len(set(trained)) == len(trained)
    lines = (out / "trials.jsonl").read_bytes().splitlines()
    assert all(json.loads(line)["key"] for line in lines)
    assert not list(out.rglob("*.part"))


@pytest.mark.slow
def test_worker_processes_end_with_the_run(whole, tmp_path):
    """Workers of a killed run would wait for ever; they end, and the next run goes on."""
    study, _ = whole
    out = tmp_path / "run"
    process = study.start(out, "--jobs", "2")
    study.wait_for(process, 4)
    workers = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(workers) >= 2
    process.kill()
    process.communicate(timeout=60)
    end = time.monotonic() + 30
    while any(_is_running(int(worker)) for worker in workers):
        assert time.monotonic() < end, "a worker outlives the run"
        time.sleep(0.05)
    finished = len(finished_in(out))
    again = study.start(out)
    _, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    assert len(study.trained()) == TRIALS - finished


def _is_running(process):
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")
