"""Tasks and the seam they run through: processes, threads, the user's own modules and losses."""

import os
import pickle
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from xent import Formulation
from xent._errors import InputError, MissingExtraError
from xent.study import ModelSpec, compare
from xent.study._runs._tasks import Task, plan_tasks, run_tasks
from xent.study._spec import StudySpec

DATA = "synthetic:n=300,features=3,seed=5"


class Net(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.hidden = nn.Linear(n_features, 6)
        self.dropout = nn.Dropout(0.2)
        self.out = nn.Linear(6, n_outputs)

    def forward(self, features):
        return self.out(self.dropout(torch.tanh(self.hidden(features))))


MODULE = """
from torch import nn
from torch.nn import functional
import xent

class Net(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_features, 5), nn.Tanh(), nn.Dropout(0.2))
        self.out = nn.Linear(5, n_outputs)

    def forward(self, features):
        return self.out(self.body(features))

def two(classes):
    return 2

def loss(outputs, target):
    return functional.cross_entropy(outputs, target, reduction="none")

mine = xent.Formulation("mine", "two logits", lambda classes: 2, loss, "softmax", likelihood=True)
portable = xent.Formulation("portable", "two logits", two, loss, "softmax", likelihood=True)
"""


@pytest.fixture
def user_module(tmp_path, monkeypatch):
    """A module of the user's that other processes can import too."""
    (tmp_path / "users_own.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *os.sys.path]))


def cross_entropy(outputs, target):
    return functional.cross_entropy(outputs, target, reduction="none")


def two_outputs(classes):
    return 2


def losses(comparison):
    return {
        result.name: [trial.test.log_loss for trial in result.trials]
        for result in comparison.formulations
    }


def assert_same_numbers(one, other):
    assert list(losses(one)) == list(losses(other))
    for name, values in losses(one).items():
        np.testing.assert_allclose(losses(other)[name], values, rtol=1e-9)
    for result in one.formulations:
        for trial, same in zip(result.trials, other[result.name].trials, strict=True):
            assert trial.key == same.key
            for name, array in trial.parameters.items():
                np.testing.assert_allclose(same.parameters[name], array, rtol=1e-7, atol=1e-10)


def test_plan():
    assert plan_tasks(StudySpec(data=None, seeds=(0, 4)), "bce") == [
        Task(StudySpec(data=None, seeds=(0, 4)), "bce", (0, 4))
    ]
    spec = StudySpec(data=None, seeds=(0, 4), model=ModelSpec("m:f"))
    assert [task.seeds for task in plan_tasks(spec, "bce")] == [(0,), (4,)]


def test_processes_give_the_same_numbers_for_the_user_s_modules(user_module):
    options = {
        "model": "users_own:Net", "formulations": "bce,users_own:mine", "seeds": 2, "epochs": 3,
        "batch_size": 100, "dtype": "float64",
    }  # fmt: skip
    assert_same_numbers(compare(DATA, **options), compare(DATA, jobs=2, **options))


def test_processes_give_the_same_numbers_for_stacks():
    options = {"formulations": "ce,ce+weights=1:1:4", "seeds": 2, "dtype": "float64"}
    data = "synthetic:n=300,features=3,classes=3,seed=5"
    assert_same_numbers(compare(data, **options), compare(data, jobs=2, **options))


def test_threads_take_turns():
    options = {"model": Net, "seeds": 3, "epochs": 3, "dtype": "float64", "formulations": "bce,ce2"}
    alone = compare(DATA, **options)
    with ThreadPoolExecutor(4) as pool:
        assert_same_numbers(alone, compare(DATA, executor=pool, **options))
    # Without turns the seeds would draw from one another's random state.
    assert len({value for values in losses(alone).values() for value in values}) == 6


class BackwardsExecutor(Executor):
    """Runs what it is given at shutdown, last come first served."""

    def __init__(self):
        self.waiting = []

    def submit(self, function, /, *arguments, **options):
        future = Future()
        self.waiting.append((future, function, arguments, options))
        if len(self.waiting) == 3:
            for each, call, given, named in reversed(self.waiting):
                each.set_result(call(*given, **named))
        return future


def test_results_come_in_the_order_of_the_tasks():
    fractions = []
    options = {"seeds": 2, "epochs": 3}
    comparison = compare(
        DATA, executor=BackwardsExecutor(), progress=lambda *p: fractions.append(p), **options
    )
    assert_same_numbers(compare(DATA, **options), comparison)
    training = [fraction for name, fraction in fractions if name == "training"]
    assert training == pytest.approx([1 / 3, 2 / 3, 1])
    assert fractions[-1] == ("evaluating", 1.0)


def test_progress_of_a_run_without_executor():
    fractions = []
    compare(DATA, seeds=1, epochs=4, progress=lambda *p: fractions.append(p))
    training = [fraction for name, fraction in fractions if name == "training"]
    assert training == sorted(training)
    assert training[-1] == pytest.approx(1.0)


def test_the_first_failure_stops_the_rest():
    class Refusing(Executor):
        def __init__(self):
            self.futures = []

        def submit(self, function, /, *arguments, **options):
            future = Future()
            if not self.futures:
                future.set_exception(RuntimeError("the cluster is gone"))
            self.futures.append(future)
            return future

    executor = Refusing()
    with pytest.raises(RuntimeError, match="the cluster is gone"):
        list(run_tasks([(name, None) for name in "abc"], executor))
    assert [future.cancelled() for future in executor.futures] == [False, True, True]


def test_errors_survive_the_way_out_of_a_process():
    for error in (
        InputError("compare: --seeds", "at least 1", "0", "Give more."),
        MissingExtraError("reading Parquet", "pyarrow", "data"),
    ):
        copy = pickle.loads(pickle.dumps(error))
        assert str(copy) == str(error)
        assert type(copy) is type(error)


def test_what_cannot_travel_is_refused_before_anything_runs():
    own = Formulation("mine", "two logits", lambda _: 2, cross_entropy, "softmax")
    with pytest.raises(InputError) as caught:
        compare(DATA, formulations=[own], seeds=1, jobs=2)
    assert str(caught.value).startswith(
        "compare: jobs must be 1 for formulations and models that can't be sent to another process"
    )
    assert str(caught.value).endswith(
        "Make them of functions of a module rather than lambdas, or leave jobs at 1."
    )


def test_a_formulation_of_functions_of_a_module_travels():
    own = Formulation("mine", "two logits", two_outputs, cross_entropy, "softmax")
    copy = pickle.loads(pickle.dumps(Task(StudySpec(data=None), own, (0,))))
    assert copy.formulation == own


# The user's own formulations and models


def test_own_formulation_is_held_to_its_likelihood():
    own = Formulation("mine", "two logits", two_outputs, cross_entropy, "softmax", likelihood=True)
    comparison = compare(DATA, formulations=["ce2", own], seeds=2, converge=True)
    assert comparison.ok
    ce2, mine = comparison.formulations
    assert mine.parameters_note == ""
    for own_parameter, parameter in zip(mine.parameters, ce2.parameters, strict=True):
        assert own_parameter.mean == pytest.approx(parameter.mean, rel=1e-6)
        assert own_parameter.standard_error == pytest.approx(parameter.standard_error, rel=1e-6)


def test_own_formulation_by_epochs_is_like_the_built_in_one():
    own = Formulation("mine", "two logits", two_outputs, cross_entropy, "softmax", likelihood=True)
    comparison = compare(
        DATA, formulations=["ce2", own], seeds=2, epochs=10, batch_size=70, dtype="float64"
    )
    values = losses(comparison)
    np.testing.assert_allclose(values["mine"], values["ce2"], rtol=1e-10)


def test_own_formulation_with_a_wrong_link_is_an_error():
    def halved(outputs, target):
        return functional.cross_entropy(outputs / 2, target, reduction="none")

    own = Formulation("mine", "half logits", two_outputs, halved, "softmax", likelihood=True)
    comparison = compare(DATA, formulations=[own], seeds=1, epochs=20)
    assert not comparison.ok
    found = next(f for f in comparison.findings if f.name == "objective-is-not-the-log-loss")
    assert (found.subject, found.level) == ("mine", "error")


def test_own_formulation_with_its_own_recovery():
    def doubled_odds(outputs, target):
        weight = torch.where(target == 1, 2.0, 1.0)
        return weight * cross_entropy(outputs, target)

    def halve_odds(log_q):
        log_q = log_q - np.log([1.0, 2.0])
        return log_q - np.logaddexp.reduce(log_q, axis=1, keepdims=True)

    own = Formulation(
        "mine", "class 1 twice", two_outputs, doubled_odds, "softmax", recover=halve_odds
    )
    comparison = compare(
        "synthetic:n=4000,features=2", formulations=["ce2", own], seeds=1, converge=True
    )
    plain, mine = comparison.formulations
    assert mine.mean("log_loss") > plain.mean("log_loss") + 0.01
    assert mine.mean("log_loss", recovered=True) == pytest.approx(plain.mean("log_loss"), abs=1e-3)


@pytest.mark.parametrize("head", [None, "out"])
def test_own_model(head):
    comparison = compare(DATA, model=Net, head=head, seeds=2, epochs=3, dtype="float64")
    paired = "paired-by-seed-only" not in {found.name for found in comparison.findings}
    assert paired == (head is not None)
    assert comparison.ok
    for result in comparison.formulations:
        assert result.parameters == ()
        assert result.parameters_note == "only linear models have parameters in log-odds form"
        assert set(result.trials[0].parameters) == {
            "hidden.weight", "hidden.bias", "out.weight", "out.bias",
        }  # fmt: skip
    assert comparison.likelihood is None


def test_matched_needs_a_head():
    with pytest.raises(InputError, match="--protocol matched must be used with a model whose head"):
        compare(DATA, model=Net, protocol="matched")


def test_an_error_in_the_user_s_loss_is_one_line():
    calls = []

    def tired(outputs, target):
        calls.append(1)
        if len(calls) > 3:
            raise ValueError("no more\nof this")
        return cross_entropy(outputs, target)

    own = Formulation("mine", "two logits", two_outputs, tired, "softmax")
    with pytest.raises(InputError) as caught:
        compare(DATA, formulations=[own], seeds=1)
    assert str(caught.value) == (
        "compare: formulation 'mine' with --model linear must be trained by code that raises no "
        "error of its own; got ValueError: no more of this. Call the loss and the model on a few "
        "rows to find it."
    )


def test_an_error_in_the_user_s_model_is_one_line():
    class Broken(Net):
        def forward(self, features):
            raise RuntimeError("shapes\nagain")

    with pytest.raises(InputError, match=r"Broken must be trained .* RuntimeError: shapes again\."):
        compare(DATA, model=Broken, seeds=1)
