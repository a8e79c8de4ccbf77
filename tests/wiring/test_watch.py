"""``xent.watch``: when it begins, what it says and how, and that nothing of it is left."""

import copy
import gc
import io
import json
import multiprocessing
import pickle
import threading
import warnings
import weakref
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.optimizer import _global_optimizer_pre_hooks
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

import xent
import xent.functional
import xent.nn
from xent.wiring._live._function_mode import active_modes

X = torch.randn(32, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(32) % 4
OWN = {name: getattr(xent.functional, name) for name in xent.functional.__all__}


def of_torch():
    """What torch.nn.functional holds, but for what Python itself notes there."""
    return {name: value for name, value in vars(F).items() if not name.startswith("__")}


OF_TORCH = of_torch()


def wrong():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 4), nn.Softmax(dim=1))


def right():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 4))


def train(model, steps=5):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(X), Y).backward()
        optimizer.step()


def hooks_of(model):
    return [
        hook
        for part in model.modules()
        for hooks in (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks,
                      part._forward_hooks_always_called)
        for hook in hooks
    ]  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_is_left():
    """After each test: no mode, no exchanged function, no hook of an optimizer."""
    yield
    assert _get_current_function_mode_stack() == []
    assert not _global_optimizer_pre_hooks
    assert {name: getattr(xent.functional, name) for name in OWN} == OWN
    assert of_torch() == OF_TORCH


def told(act):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        act()
    return [each for each in caught if issubclass(each.category, xent.LossWarning)]


def test_one_warning_for_a_fault_that_names_the_line():
    def loop():
        model = wrong()
        with xent.watch(model, batches=4):
            train(model)

    (warning,) = told(loop)
    assert warning.filename == __file__
    line = Path(__file__).read_text().splitlines()[warning.lineno - 1]
    assert line.strip() == "F.cross_entropy(model(X), Y).backward()"
    assert str(warning.message).startswith("XE101 softmax-into-cross-entropy: ")
    assert "Give it the logits." in str(warning.message)


def test_a_warning_for_each_line():
    def loop():
        model = wrong()
        with xent.watch(model):
            for _ in range(3):
                out = model(X)
                loss = F.cross_entropy(out, Y)
                (loss + F.cross_entropy(out[:5], Y[:5])).backward()

    assert len(told(loop)) == 2


def test_it_is_off_after_the_first_batches():
    model = right()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    before = dict(vars(model)), dict(vars(optimizer))
    watched = xent.watch(model, batches=2)
    for step in range(6):
        optimizer.zero_grad()
        out = model(X)
        assert watched.is_on is (step < 2)
        assert bool(active_modes()) is (step < 2)
        assert bool(hooks_of(model)) is (step < 2)
        F.cross_entropy(out, Y).backward()
        optimizer.step()
        # The step of the last batch is the first thing that runs without the mode.
        assert bool(active_modes()) is (step < 1)
    assert dict(vars(model)) == before[0]
    assert vars(optimizer).keys() == before[1].keys()
    assert not _global_optimizer_pre_hooks
    assert xent.functional.cross_entropy is OWN["cross_entropy"]
    assert watched.report.batches == 2
    assert watched.report.calls == {"cross_entropy": 2}


def test_no_call_is_seen_after_the_first_batches(monkeypatch):
    from xent.wiring._live import _function_mode

    model, seen = right(), []
    unchanged = _function_mode.WatchMode.__torch_function__

    def counted(self, function, *args, **kwargs):
        seen.append(function)
        return unchanged(self, function, *args, **kwargs)

    monkeypatch.setattr(_function_mode.WatchMode, "__torch_function__", counted)
    with xent.watch(model, batches=2):
        train(model, 2)
        assert seen
        F.cross_entropy(model(X), Y).backward()
        seen.clear()
        train(model, 3)
        assert not seen


def test_raising():
    model = wrong()
    with pytest.raises(xent.WiringError) as raised, xent.watch(model, mode="raise"):
        train(model)
    assert str(raised.value).startswith("test_watch.py:")
    assert ", batch 1: XE101 softmax-into-cross-entropy: " in str(raised.value)
    assert raised.value.report.codes == ("XE101",)
    assert not hooks_of(model)


def test_raising_says_if_no_loss_was_seen():
    model = right()
    with (
        pytest.raises(xent.InputError, match="watch: the loop must be one that calls a loss"),
        xent.watch(model, mode="raise"),
    ):
        (model(X) ** 2).mean().backward()


def test_warning_says_if_no_loss_was_seen():
    def loop():
        model = right()
        with xent.watch(model):
            (model(X) ** 2).mean().backward()

    (warning,) = told(loop)
    assert str(warning.message) == (
        "xent.watch: No call of a loss was seen. Call a loss of torch.nn, torch.nn.functional, "
        "xent.nn or xent.functional in the thread that watches, or give output and target to "
        "xent.check."
    )
    assert warning.filename == __file__


def test_a_watch_that_sees_nothing_gives_up():
    model = right()
    watched = xent.watch(model, mode="report")
    for _ in range(60):
        (model(X) ** 2).mean().backward()
    assert not watched.is_on
    assert not hooks_of(model)
    assert not active_modes()
    assert not watched.report
    assert watched.report.not_checked[0].because.startswith("No call of a loss was seen.")
    watched.close()


def test_notes_are_not_told():
    model = nn.Sequential(nn.Linear(6, 4), nn.LogSoftmax(dim=1))
    with xent.watch(model, mode="raise") as watched:
        train(model)
    assert bool(watched.report)
    assert "XE102" in watched.report.codes


@pytest.mark.parametrize("ignored", ["XE101", "XE1", "softmax-into-cross-entropy"])
def test_ignoring(ignored):
    model = wrong()
    with xent.watch(model, mode="raise", ignore=(ignored,)) as watched:
        train(model)
    assert watched.report.codes == ()


def test_the_report():
    model = wrong()
    with xent.watch(model, mode="report") as watched:
        train(model)
    report = watched.report
    assert str(report).startswith(
        "watch of Sequential, 3 batches, calls: 3 of cross_entropy: 1 err"
    )
    assert "(test_watch.py:" in str(report)
    listed = json.loads(json.dumps(report.to_dict()))
    assert listed["batches"] == 3
    (fault,) = [each for each in listed["findings"] if each["level"] == "error"]
    assert fault["name"] == "softmax-into-cross-entropy"
    assert (fault["path"], fault["batch"]) == (__file__, 1)
    assert any("cross_entropy (test_watch.py:" in each.because for each in report.checked)
    assert pickle.loads(pickle.dumps(report)) == report
    assert report.faults[0].place.endswith(", batch 1")


def test_an_error_in_the_block_comes_through():
    model = right()
    with pytest.raises(ZeroDivisionError), xent.watch(model, mode="raise"):
        raise ZeroDivisionError
    assert not hooks_of(model)


def test_an_error_in_the_model_and_in_the_loss():
    class Failing(nn.Module):
        def forward(self, x):
            raise ValueError("no")

    model = Failing()
    with xent.watch(model, mode="report") as watched:
        for _ in range(2):
            with pytest.raises(ValueError, match="no"):
                model(X)
        with pytest.raises(IndexError):
            F.cross_entropy(torch.zeros(2, 3, requires_grad=True), torch.tensor([0, 3]))
    assert watched.report.codes[0] == "XE601"


def test_arguments_that_torch_refuses_are_left_to_torch():
    model = right()
    with xent.watch(model, mode="report"), pytest.raises(TypeError):
        F.cross_entropy(model(X))
    with xent.watch(model, mode="report"), pytest.raises((TypeError, AttributeError)):
        F.cross_entropy(model(X), [1, 2])


def test_nested_watches_tell_a_fault_once():
    def loop():
        model, other = wrong(), wrong()
        with xent.watch(other, batches=9) as outer, xent.watch(model) as inner:
            train(model)
        assert inner.report.codes[0] == outer.report.codes[0] == "XE101"
        assert outer.report.calls == {"cross_entropy": 5}

    assert len(told(loop)) == 1


def test_nested_watches_and_the_losses_of_xent():
    model = wrong()
    with xent.watch(model, mode="report") as outer:
        with xent.watch(model, mode="report") as inner:
            xent.functional.cross_entropy(model(X), Y, z_loss=0.1).backward()
        xent.functional.cross_entropy(model(X), Y).backward()
    assert inner.report.calls == {"cross_entropy": 1}
    assert outer.report.calls == {"cross_entropy": 2}


class Counting(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **(kwargs or {}))


def test_modes_of_others_stay_where_they_are():
    model = wrong()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    outer, inner = Counting(), Counting()
    with outer:
        watched = xent.watch(model, mode="report", batches=1)
        for _ in range(3):
            with inner, torch.device("cpu"):
                F.cross_entropy(model(X), Y).backward()
                optimizer.step()
                stack = _get_current_function_mode_stack()
                assert [mode for mode in stack if mode in (outer, inner)] == [outer, inner]
                assert not active_modes()
        assert _get_current_function_mode_stack() == [outer]
    assert outer.count
    assert inner.count
    assert watched.report.codes[0] == "XE101"


def test_a_default_device():
    model = wrong()
    with torch.device("cpu"):
        with xent.watch(model, mode="report") as watched:
            F.cross_entropy(model(X), Y).backward()
        assert len(_get_current_function_mode_stack()) == 1
    assert watched.report.codes[0] == "XE101"
    with xent.watch(model, mode="report") as watched, torch.device("cpu"):
        F.cross_entropy(model(X), Y).backward()
    assert watched.report.codes[0] == "XE101"


def test_threads_watch_for_themselves():
    reports, errors = {}, []

    def work(name, model):
        try:
            with xent.watch(model, mode="report") as watched:
                barrier.wait()
                train(model)
                barrier.wait()
            reports[name] = watched.report
        except BaseException as error:  # pragma: no cover
            errors.append(error)

    barrier = threading.Barrier(2, timeout=60)
    threads = [
        threading.Thread(target=work, args=pair)
        for pair in (("wrong", wrong()), ("right", right()))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert {finding.code for finding in reports["wrong"].faults} == {"XE101"}
    assert reports["right"].faults == ()


def test_training_in_another_thread_is_not_seen_and_it_is_said():
    model = wrong()
    with xent.watch(model, mode="report") as watched:
        thread = threading.Thread(target=train, args=(model,))
        thread.start()
        thread.join()
    because = [each.because for each in watched.report.not_checked]
    assert any("also ran in another thread" in each for each in because)


def test_closed_in_another_thread():
    model = right()
    watched = xent.watch(model, mode="report")
    thread = threading.Thread(target=watched.close)
    thread.start()
    thread.join()
    assert not watched.is_on
    assert not hooks_of(model)
    watched.close()
    assert not active_modes()


def _modes_in_child(answers):
    answers.put(len(_get_current_function_mode_stack()))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_workers_that_are_forked_meanwhile_watch_nothing():
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    with xent.watch(right(), mode="report"):
        child = context.Process(target=_modes_in_child, args=(answers,))
        child.start()
        child.join(60)
        assert len(active_modes()) == 1
    assert answers.get() == 0


def test_copies_and_saved_models_watch_nothing():
    model = wrong()
    with xent.watch(model, mode="report") as watched:
        twin = copy.deepcopy(model)
        saved = io.BytesIO()
        torch.save(model, saved)
        train(model)
    saved.seek(0)
    for other in (twin, torch.load(saved, weights_only=False)):
        assert hooks_of(other)
        train(other, 1)
        assert not hooks_of(other)
    assert watched.report.batches == 3


def test_a_watch_that_nobody_keeps_ends_as_well():
    model = wrong()
    xent.watch(model, mode="report")
    gc.collect()
    assert hooks_of(model)
    train(model)
    assert not hooks_of(model)
    assert not active_modes()


def test_a_watch_that_is_kept_for_its_report_keeps_no_model():
    model = right()
    alive = weakref.ref(model)
    with xent.watch(model) as watched:
        train(model)
    del model
    gc.collect()
    assert alive() is None
    assert watched.report.batches == 3


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_scripted_and_parallel_models():
    scripted = torch.jit.trace(wrong(), X)
    for model in (scripted, nn.DataParallel(wrong())):
        with xent.watch(model, mode="report") as watched:
            train(model)
        assert watched.report.codes[0] == "XE101"
        assert watched.report.batches == 3


class Wrong(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 4)

    def forward(self, x):
        return F.softmax(self.layer(x), dim=1)


# The compiler itself asks tensors for their gradient, which only warnings as errors notice.
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
@pytest.mark.parametrize("way", ["function", "in place", "a part", "the loss", "the step"])
def test_compiled_loops(way):
    torch.compiler.reset()
    model, loss = Wrong(), F.cross_entropy
    compiles = []

    def backend(graph, inputs):
        compiles.append(graph)
        return graph.forward

    watched_model = model
    if way == "function":
        watched_model = torch.compile(model, backend=backend)
    elif way == "in place":
        model.compile(backend=backend)
    elif way == "a part":
        model.layer = torch.compile(model.layer, backend=backend)
    elif way == "the loss":
        loss = torch.compile(F.cross_entropy, backend=backend)

    def step():
        return loss(watched_model(X), Y)

    step = torch.compile(step, backend=backend, fullgraph=True) if way == "the step" else step
    step().backward()
    once = len(compiles)
    assert once
    with xent.watch(watched_model, mode="report", batches=2) as watched:
        for _ in range(5):
            step().backward()
    step().backward()
    if way in ("function", "a part"):
        # The mode is off inside of what is compiled, which is therefore not compiled anew.
        assert len(compiles) == once
        assert watched.report.codes[0] == "XE101"
    assert len(compiles) <= once + 2
    if way != "the step":
        assert not watched.is_on
    torch.compiler.reset()


def test_functional_transforms_are_left_alone():
    model = right()
    parameters = dict(model.named_parameters())

    def loss(parameters, x, y):
        return F.cross_entropy(torch.func.functional_call(model, parameters, (x,)), y)

    with xent.watch(model, mode="report"):
        of_each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))(
            parameters, X[:, None], Y[:, None]
        )
    assert of_each["0.weight"].shape == (32, 4, 6)


def test_gradients_taken_in_another_way_end_batches_too():
    model = wrong()
    watched = xent.watch(model, mode="report")
    for _ in range(60):
        torch.autograd.grad(F.cross_entropy(model(X), Y), list(model.parameters()))
    assert not watched.is_on
    assert not active_modes()
    assert watched.report.codes[0] == "XE101"


def test_evaluation_is_watched_for_a_few_batches_and_training_after_it():
    model, seen = wrong(), []
    with xent.watch(model, mode="report", batches=2) as watched:
        with torch.no_grad():
            for _ in range(5):
                out = model(X)
                seen.append(len(active_modes()))
                F.cross_entropy(out, Y)
        assert watched.is_on
        train(model)
        assert not watched.is_on
    assert seen == [1, 1, 0, 0, 0]
    assert watched.report.calls == {"cross_entropy": 4}
    assert watched.report.batches == 2


def test_logits_that_are_parameters_keep_no_hook():
    logits = nn.Parameter(torch.zeros(32, 4))
    with xent.watch(right(), mode="report") as watched:
        for _ in range(3):
            F.cross_entropy(logits, Y).backward()
        assert not watched.is_on
        assert not logits._backward_hooks
    assert watched.report.calls == {"cross_entropy": 3}


def test_a_loop_over_time_is_looked_at_a_few_times_in_each_batch():
    model = right()
    with xent.watch(model, mode="report") as watched:
        for _ in range(2):
            sum(F.cross_entropy(model(X), Y) for _ in range(40)).backward()
    assert watched.report.batches == 2
    assert watched.report.calls == {"cross_entropy": 16}


def test_a_check_that_fails_stops_nothing(monkeypatch):
    from xent.wiring._live import _observer

    def fails(batch):
        raise RuntimeError("no values")

    monkeypatch.setattr(_observer, "findings", fails)
    model = right()
    with xent.watch(model, mode="raise") as watched:
        train(model)
    assert "can't be looked at: RuntimeError: no values" in watched.report.not_checked[0].because


BAD = {
    "nothing": (
        (),
        {},
        "watch: model must be the torch.nn.Module that is trained; got no argument.",
    ),
    "a function": ((len,), {}, "got a builtin_function_or_method. Try xent.watch(model)."),
    "no batch": ((right(),), {"batches": 0}, "watch: batches must be a number of at least 1, or"),
    "a truth value": ((right(),), {"batches": True}, "got True. Try batches=3."),
    "mode": ((right(),), {"mode": "error"}, "watch: mode must be one of 'warn', 'raise', 'report'"),
    "ignore": ((right(),), {"ignore": "XE101"}, "watch: ignore must be a tuple of codes such as"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(name):
    args, options, words = BAD[name]
    with pytest.raises(xent.InputError) as raised:
        xent.watch(*args, **options)
    assert words in str(raised.value)
